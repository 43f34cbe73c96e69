"""Outputs appear whole or not at all, and keep mode, owner and attributes of the files that they replace."""

import errno
import os
import signal
import stat
import tempfile
import threading
import time
from pathlib import Path

import pytest
from processes import run_python, start_python

from convfilter.errors import ReadError, WriteError
from convfilter.picture.place import atomic, synced_file


def put(path, content=b"new"):
    with atomic.replacing(path) as file:
        file.write(content)


def test_file_appears(tmp_path):
    put(tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == b"new"
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


@pytest.mark.parametrize("nameless", [True, False])
def test_the_umask_decides_on_the_mode_of_a_new_file(tmp_path, monkeypatch, nameless):
    if not nameless:
        monkeypatch.delattr(os, "O_TMPFILE", raising=False)
    before = os.umask(0o026)
    try:
        put(tmp_path / "a")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o640


def test_a_number_is_the_name_of_a_file_not_of_a_descriptor(folder):
    put("12")
    assert (folder / "12").read_bytes() == b"new"


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit, ReadError])
def test_failure_leaves_the_old_file_and_no_litter(tmp_path, error):
    (tmp_path / "a").write_bytes(b"old")
    with pytest.raises(error), atomic.replacing(tmp_path / "a") as file:
        file.write(b"half")
        raise error("stop")
    assert (tmp_path / "a").read_bytes() == b"old"
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.skipif(not hasattr(os, "O_TMPFILE"), reason="there are no nameless files here")
def test_only_a_file_system_without_o_tmpfile_gets_a_named_temporary_file(tmp_path, monkeypatch):
    opened, number = os.open, errno.EOPNOTSUPP

    def refuse(path, flags, *others, **keywords):
        if flags & os.O_TMPFILE == os.O_TMPFILE:
            raise OSError(number, os.strerror(number))
        return opened(path, flags, *others, **keywords)

    monkeypatch.setattr(os, "open", refuse)
    put(tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == b"new"
    number = errno.EDQUOT
    with pytest.raises(OSError, match=r"(?i)quota"):
        put(tmp_path / "a", b"newer")
    assert (tmp_path / "a").read_bytes() == b"new"


def test_outputs_are_atomic_without_unnamed_files_too(tmp_path, monkeypatch):
    monkeypatch.delattr(os, "O_TMPFILE")
    (tmp_path / "a").write_bytes(b"old")
    with pytest.raises(ValueError, match="stop"), atomic.replacing(tmp_path / "a") as file:
        file.write(b"half")
        assert len(list(tmp_path.iterdir())) == 2
        raise ValueError("stop")
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    put(tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == b"new"
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_signal_hook_removes_unfinished_files(tmp_path, monkeypatch):
    monkeypatch.delattr(os, "O_TMPFILE")
    with pytest.raises(WriteError), atomic.replacing(tmp_path / "a") as file:
        file.write(b"half")
        atomic.discard_unfinished()
        assert list(tmp_path.iterdir()) == []
    assert list(tmp_path.iterdir()) == []


def test_mode_is_kept(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"old")
    path.chmod(0o640)
    put(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_a_result_runs_with_nobodys_rights(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"old")
    path.chmod(0o6755)
    put(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o755


def test_the_new_content_is_on_the_disk_before_the_old_one_goes(tmp_path, monkeypatch):
    (tmp_path / "a").write_bytes(b"old")
    calls = []

    def noted(name):
        function = getattr(os, name)

        def call(*arguments, **options):
            calls.append(name)
            return function(*arguments, **options)

        monkeypatch.setattr(os, name, call)

    for name in ("fsync", "replace"):
        noted(name)
    put(tmp_path / "a")
    assert calls == ["fsync", "replace"]


def flush_often(monkeypatch, fsync=os.fsync):
    """Let a thread flush a file after each byte; ``fsync`` replaces the system's."""
    monkeypatch.setattr(synced_file, "FLUSH_BYTES", 1)
    monkeypatch.setattr(os, "fsync", fsync)


def test_large_content_goes_to_disk_while_it_is_written(tmp_path, monkeypatch):
    (tmp_path / "a").write_bytes(b"old")
    sizes = []
    flush_often(monkeypatch, lambda number: sizes.append(os.fstat(number).st_size))
    with atomic.replacing(tmp_path / "a") as file:
        file.write(bytes(2**20))
        until = time.monotonic() + 60
        while not sizes and time.monotonic() < until:
            time.sleep(0.001)
        file.write(b"end")
    assert (sizes[0], sizes[-1]) == (2**20, 2**20 + 3)
    assert (tmp_path / "a").read_bytes() == bytes(2**20) + b"end"


def test_a_failure_of_the_disk_while_a_file_is_written_is_not_forgotten(tmp_path, monkeypatch):
    (tmp_path / "a").write_bytes(b"old")
    failures = [OSError(errno.EIO, os.strerror(errno.EIO))]

    def fail_once(number):
        if failures:
            raise failures.pop()

    flush_often(monkeypatch, fail_once)
    with pytest.raises(WriteError, match=r"(?i)input/output error"):
        put(tmp_path / "a", bytes(2**20))
    assert not failures
    assert (tmp_path / "a").read_bytes() == b"old"
    assert len(list(tmp_path.iterdir())) == 1


def test_a_file_is_flushed_where_no_thread_starts(tmp_path, monkeypatch):
    (tmp_path / "a").write_bytes(b"old")
    flushed = []
    flush_often(monkeypatch, flushed.append)

    def refuse(thread):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    put(tmp_path / "a", bytes(2**20))
    assert len(flushed) == 1
    assert (tmp_path / "a").read_bytes() == bytes(2**20)


def test_extended_attributes_are_kept(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"old")
    try:
        os.setxattr(path, "user.rating", b"5")
    except OSError:
        pytest.skip("the file system has no extended attributes")
    put(path)
    assert os.getxattr(path, "user.rating") == b"5"


def test_new_file_has_the_usual_mode(tmp_path):
    put(tmp_path / "a")
    (tmp_path / "b").write_bytes(b"")
    assert (tmp_path / "a").stat().st_mode == (tmp_path / "b").stat().st_mode


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_owner_is_kept(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"old")
    os.chown(path, 12345, 23456)
    put(path)
    assert (path.stat().st_uid, path.stat().st_gid) == (12345, 23456)


def test_symbolic_link_stays_a_link(tmp_path):
    (tmp_path / "folder").mkdir()
    target = tmp_path / "folder" / "target"
    target.write_bytes(b"old")
    link = tmp_path / "link"
    link.symlink_to(os.path.join("folder", "target"))
    put(link)
    assert link.is_symlink()
    assert target.read_bytes() == b"new"


def test_link_to_nowhere_creates_its_target(tmp_path):
    (tmp_path / "link").symlink_to("target")
    put(tmp_path / "link")
    assert (tmp_path / "target").read_bytes() == b"new"


def test_fifo_gets_the_content(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    got = []
    reader = threading.Thread(target=lambda: got.append((tmp_path / "fifo").read_bytes()))
    reader.start()
    put(tmp_path / "fifo", b"x" * 200_000)
    reader.join()
    assert got == [b"x" * 200_000]
    assert stat.S_ISFIFO((tmp_path / "fifo").stat().st_mode)


def test_failure_sends_nothing_down_a_stream(capfdbinary):
    with pytest.raises(ValueError, match="stop"), atomic.replacing("-") as file:
        file.write(b"half")
        raise ValueError("stop")
    assert capfdbinary.readouterr().out == b""


def test_redirected_output_is_appended_to(tmp_path):
    script = (
        "import os, sys\n"
        "from convfilter.picture.place.atomic import replacing\n"
        "os.dup2(os.open(sys.argv[1], os.O_WRONLY | os.O_APPEND), 1)\n"
        "for name in ('/dev/stdout', '/dev/fd/1', '-'):\n"
        "    print('then', end=' ')\n"
        "    with replacing(name) as file: file.write(b'new ')\n"
    )
    (tmp_path / "a").write_bytes(b"old ")
    run_python(script.replace("sys.argv[1]", repr(str(tmp_path / "a"))), PYTHONUNBUFFERED=None)
    assert (tmp_path / "a").read_bytes() == b"old then new then new then new "


def test_outputs_may_go_to_the_null_device():
    put("/dev/null")
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)


def test_refused_outputs_give_a_reason(tmp_path):
    with pytest.raises(WriteError, match="folder"):
        put(tmp_path)
    with pytest.raises(WriteError, match=r"there is no folder .*nowhere"):
        put(tmp_path / "nowhere" / "a")
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(WriteError):
        put(tmp_path / "loop")


def test_paths_without_write_permission_are_refused(tmp_path):
    """Root may write everywhere: tests that root runs write as another user."""
    closed, opened = tmp_path / "closed", tmp_path / "opened"
    for folder in (closed, opened):
        folder.mkdir()
        (folder / "a").write_bytes(b"old")
        (folder / "a").chmod(0o444)
    closed.chmod(0o555)
    opened.chmod(0o777)
    if os.geteuid() == 0:
        for parent in (tmp_path, *tmp_path.parents):
            if parent == Path(tempfile.gettempdir()):
                break
            parent.chmod(parent.stat().st_mode | 0o011)
    script = (
        "import os\n"
        "from convfilter.errors import WriteError\n"
        "from convfilter.picture.place.atomic import replacing\n"
        "if os.geteuid() == 0: os.setuid(65534)\n"
        f"for name in ({str(closed / 'new')!r}, {str(closed / 'a')!r}, {str(opened / 'a')!r}):\n"
        "    try:\n"
        "        with replacing(name) as file: file.write(b'new')\n"
        "    except WriteError as error: print(error)\n"
    )
    new, *old = run_python(script).splitlines()
    assert new == f"permission denied for the folder {closed}"
    assert old == ["the file is write-protected"] * 2
    closed.chmod(0o755)
    assert [path.name for path in closed.iterdir()] == ["a"]
    assert (closed / "a").read_bytes() == (opened / "a").read_bytes() == b"old"


def test_full_disk_leaves_the_old_file(tmp_path):
    """A limit on the size of files acts like a full disk."""
    (tmp_path / "a").write_bytes(b"old")
    script = (
        "import resource\n"
        "from convfilter.errors import WriteError\n"
        "from convfilter.picture.place.atomic import replacing\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))\n"
        "try:\n"
        f"    with replacing({str(tmp_path / 'a')!r}) as f: f.write(bytes(1 << 22))\n"
        "except WriteError as error: print(error)\n"
    )
    assert run_python(script) == "the file would be larger than the limit for files\n"
    assert (tmp_path / "a").read_bytes() == b"old"
    assert len(list(tmp_path.iterdir())) == 1


def test_killed_at_any_moment_the_file_is_old_or_new(tmp_path):
    (tmp_path / "a").write_bytes(b"old")
    script = (
        "from convfilter.picture.place.atomic import replacing\n"
        "print(flush=True)\n"
        "while True:\n"
        f"    with replacing({str(tmp_path / 'a')!r}) as f:\n"
        "        for _ in range(50): f.write(bytes(1000))\n"
    )
    for step in range(6):
        child = start_python(script)
        child.stdout.readline()
        time.sleep(0.003 * step)
        child.send_signal(signal.SIGINT if step % 2 else signal.SIGKILL)
        child.communicate()
        assert (tmp_path / "a").read_bytes() in (b"old", bytes(50_000))
    # SIGKILL may hit the instant between the name and the rename; SIGINT never leaves anything.
    assert len(list(tmp_path.iterdir())) <= 4
