import os
import stat
import threading
from contextlib import contextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st
from processes import run_python, start_python

from convfilter.native import code_cache
from convfilter.native.code_cache import SUFFIX, clear, fetch, lock, store, tidy

NAME = "loop-0123456789" + SUFFIX
CONTENT = b"machine code \0\n\xff and more"

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")


@pytest.fixture
def folder(tmp_path):
    """A private folder with one stored file."""
    place = tmp_path / "cache"
    assert store(place, NAME, CONTENT) is None
    return place


@contextmanager
def umask(mask):
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


@given(st.binary(max_size=300))
def test_content_comes_back(tmp_path_factory, content):
    folder = tmp_path_factory.mktemp("store")
    assert store(folder, NAME, content) is None
    assert fetch(folder, NAME) == content


def test_nothing_is_fetched_where_nothing_was_kept(tmp_path):
    assert fetch(tmp_path, NAME) is None
    assert fetch(tmp_path / "missing", NAME) is None


@pytest.mark.parametrize("mask", [0, 0o002, 0o022, 0o077])
def test_only_the_owner_can_write_to_the_code_cache(tmp_path, mask):
    with umask(mask):
        assert store(tmp_path / "a" / "b", NAME, CONTENT) is None
    assert os.listdir(tmp_path / "a" / "b") == [NAME]
    assert stat.S_IMODE((tmp_path / "a" / "b").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "a" / "b" / NAME).stat().st_mode) == 0o600
    assert fetch(tmp_path / "a" / "b", NAME) == CONTENT


# Damaged files ---------------------------------------------------------------


def test_any_flipped_bit_is_noticed(folder):
    whole = (folder / NAME).read_bytes()
    for place in range(len(whole)):
        for bit in range(8):
            doctored = bytearray(whole)
            doctored[place] ^= 1 << bit
            (folder / NAME).write_bytes(doctored)
            assert fetch(folder, NAME) is None, (place, bit)
    (folder / NAME).write_bytes(whole)
    assert fetch(folder, NAME) == CONTENT


def test_any_truncation_is_noticed(folder):
    whole = (folder / NAME).read_bytes()
    for length in range(len(whole)):
        (folder / NAME).write_bytes(whole[:length])
        assert fetch(folder, NAME) is None, length


def test_appended_bytes_are_noticed(folder):
    with open(folder / NAME, "ab") as stream:
        stream.write(b"\0")
    assert fetch(folder, NAME) is None


@given(st.binary(max_size=200))
def test_garbage_is_noticed(tmp_path_factory, garbage):
    folder = tmp_path_factory.mktemp("store")
    (folder / NAME).write_bytes(garbage)
    assert fetch(folder, NAME) is None


def test_a_whole_file_under_another_name_is_noticed(folder):
    other = "other-0123456789" + SUFFIX
    (folder / NAME).rename(folder / other)
    assert fetch(folder, other) is None


def test_a_linked_file_is_not_read(folder, tmp_path):
    (folder / NAME).rename(tmp_path / NAME)
    (folder / NAME).symlink_to(tmp_path / NAME)
    assert fetch(folder, NAME) is None


def test_storing_replaces_a_link_and_leaves_its_target(folder, tmp_path):
    (tmp_path / "target").write_text("precious")
    (folder / NAME).unlink()
    (folder / NAME).symlink_to(tmp_path / "target")
    assert store(folder, NAME, CONTENT) is None
    assert (tmp_path / "target").read_text() == "precious"
    assert not (folder / NAME).is_symlink()
    assert fetch(folder, NAME) == CONTENT


def test_a_pipe_under_the_name_is_not_waited_for_and_is_replaced(folder):
    (folder / NAME).unlink()
    os.mkfifo(folder / NAME)
    assert fetch(folder, NAME) is None
    assert store(folder, NAME, CONTENT) is None
    assert fetch(folder, NAME) == CONTENT


def test_a_folder_under_the_name_is_left_alone(folder):
    (folder / NAME).unlink()
    (folder / NAME).mkdir()
    assert fetch(folder, NAME) is None
    assert str(folder) in store(folder, NAME, CONTENT)
    assert os.listdir(folder) == [NAME]


@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666])
def test_a_file_that_others_can_write_is_not_read(folder, mode):
    (folder / NAME).chmod(mode)
    assert fetch(folder, NAME) is None


@as_root
def test_a_file_of_another_user_is_not_read(folder):
    os.chown(folder / NAME, 65534, -1)
    assert fetch(folder, NAME) is None


def test_storing_replaces_a_damaged_file(folder):
    (folder / NAME).write_bytes(b"damaged")
    assert store(folder, NAME, b"new") is None
    assert fetch(folder, NAME) == b"new"
    assert os.listdir(folder) == [NAME]


# A folder that cannot be trusted or written ------------------------------------


@pytest.mark.parametrize("mode", [0o770, 0o707, 0o720, 0o702, 0o777, 0o1777])
def test_a_folder_that_others_can_write_is_not_used(folder, mode):
    folder.chmod(mode)
    assert fetch(folder, NAME) is None
    assert "others can write to this folder" in store(folder, "new" + SUFFIX, CONTENT)
    assert os.listdir(folder) == [NAME]


@as_root
def test_a_folder_of_another_user_is_not_used(folder):
    os.chown(folder, 65534, -1)
    assert fetch(folder, NAME) is None
    assert str(folder) in store(folder, "new" + SUFFIX, CONTENT)
    assert os.listdir(folder) == [NAME]


def test_a_link_to_a_folder_is_judged_by_the_folder(folder, tmp_path):
    link = tmp_path / "link"
    link.symlink_to(folder)
    assert fetch(link, NAME) == CONTENT
    folder.chmod(0o777)
    assert fetch(link, NAME) is None
    assert store(link, NAME, CONTENT) is not None


@pytest.mark.parametrize("below", ["file", "file/folder", "dangling"])
def test_a_code_cache_folder_that_cannot_be_created_is_reported(tmp_path, below):
    (tmp_path / "file").write_text("mine")
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere" / "at all")
    assert str(tmp_path / below) in store(tmp_path / below, NAME, CONTENT)
    assert fetch(tmp_path / below, NAME) is None
    assert (tmp_path / "file").read_text() == "mine"


def test_a_code_cache_folder_without_write_permission_is_reported(tmp_path):
    user = 65534 if os.geteuid() == 0 else os.geteuid()  # root may write everywhere
    (tmp_path / "cache").mkdir(mode=0o500)
    if user != os.geteuid():
        os.chown(tmp_path / "cache", user, user)
    # A relative path: another user may not come past the folders above.
    program = f"""
import os
from pathlib import Path
from convfilter.native.code_cache import fetch, store
os.chdir({str(tmp_path)!r})
if os.geteuid() != {user}:
    os.setgid({user}), os.setuid({user})
print(store(Path("cache"), {NAME!r}, b"code"))
print(fetch(Path("cache"), {NAME!r}))
"""
    assert run_python(program).splitlines() == ["cache: Permission denied", "None"]
    assert os.listdir(tmp_path / "cache") == []


def test_a_full_disk_is_reported_and_leaves_no_partial_file(tmp_path):
    program = f"""
import resource
from pathlib import Path
from convfilter.native.code_cache import fetch, store
folder = Path({str(tmp_path / "cache")!r})
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
print(store(folder, {NAME!r}, bytes(5000)))
print(fetch(folder, {NAME!r}))
print(store(folder, {NAME!r}, bytes(500)))
"""
    problem, fetched, small = run_python(program).splitlines()
    assert "File too large" in problem
    assert fetched == "None"
    assert small == "None"
    assert os.listdir(tmp_path / "cache") == [NAME]


def test_an_interrupted_write_leaves_no_litter(folder, monkeypatch):
    def interrupted(*_arguments, **_keywords):
        raise KeyboardInterrupt

    monkeypatch.setattr(code_cache.os, "rename", interrupted)
    with pytest.raises(KeyboardInterrupt):
        store(folder, NAME, b"new")
    assert os.listdir(folder) == [NAME]
    assert fetch(folder, NAME) == CONTENT


def test_what_ended_processes_left_is_removed(folder):
    (folder / f".{NAME}.lock").touch()
    (folder / f".{NAME}.71.0badf00d").touch()
    mine = {f".{NAME}.72.0badf00d", "notes.lock", ".notes.71", f".other{SUFFIX}.lock", NAME}
    (folder / f".{NAME}.72.0badf00d").touch()
    (folder / "notes.lock").touch()
    (folder / ".notes.71").touch()
    with lock(folder, f"other{SUFFIX}"):
        tidy(folder, [71, None])
        assert {*os.listdir(folder)} == mine
    tidy(folder / "none", [71])


# Taking turns ----------------------------------------------------------------


def test_callers_hold_the_lock_one_after_the_other(tmp_path):
    place, order = tmp_path / "cache", []
    over = threading.Event()

    def second():
        with lock(place, NAME):
            order.append("second")

    def other():
        with lock(place, "other" + SUFFIX):
            over.set()

    with lock(place, NAME):
        threads = [threading.Thread(target=target) for target in (second, other)]
        for thread in threads:
            thread.start()
        assert over.wait(30)  # a process that compiles another loop does not wait
        order.append("first")
    for thread in threads:
        thread.join()
    assert order == ["first", "second"]
    assert os.listdir(place) == []


def test_waiting_for_the_lock_times_out(folder, monkeypatch):
    monkeypatch.setattr(code_cache, "PATIENCE_SECONDS", 0.05)
    with lock(folder, NAME), lock(folder, NAME):
        pass
    assert os.listdir(folder) == [NAME]


def test_without_a_folder_no_lock_is_taken(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with lock(tmp_path / "file", NAME), lock(tmp_path / "file", NAME):
        pass


def test_a_killed_process_releases_the_lock(folder):
    program = f"""
import os, signal
from pathlib import Path
from convfilter.native.code_cache import lock
with lock(Path({str(folder)!r}), {NAME!r}):
    print("inside", flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""
    killed = start_python(program)
    assert killed.communicate(timeout=60)[0] == "inside\n"
    with lock(folder, NAME):
        assert f".{NAME}.lock" in os.listdir(folder)
    assert os.listdir(folder) == [NAME]


# Emptying --------------------------------------------------------------------


def test_clear_removes_cached_code_and_nothing_else(folder):
    store(folder, "second" + SUFFIX, CONTENT)
    (folder / f".{NAME}.123.abcdef01").write_text("left by a killed process")
    others = ["README", f"notes-on{SUFFIX}.txt", f"folder{SUFFIX}", ".hidden"]
    for other in others:
        (folder / other).mkdir() if other.startswith("folder") else (folder / other).write_text("mine")
    assert clear(folder) == 2
    assert sorted(os.listdir(folder)) == sorted(others)
    assert clear(folder) == 0


def test_clear_removes_a_link_and_leaves_its_target(folder, tmp_path):
    (tmp_path / "target").write_text("precious")
    (folder / ("link" + SUFFIX)).symlink_to(tmp_path / "target")
    assert clear(folder) == 2
    assert (tmp_path / "target").read_text() == "precious"


def test_clear_finds_nothing_in_a_folder_that_is_not_there(tmp_path):
    assert clear(tmp_path / "missing") == 0
    (tmp_path / "file").write_text("mine")
    assert clear(tmp_path / "file") == 0
    assert (tmp_path / "file").read_text() == "mine"
