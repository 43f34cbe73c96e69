"""Object stores, and a Dask scheduler that sends files to workers, one of which dies."""

from __future__ import annotations

import io
import json
import os
import pickle
import signal
import socket
import struct
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from machines import HOME, Cluster, wait_for
from PIL import Image
from processes import PROGRAM, program, untimed
from s3_server import served

from convfilter import errors, pipeline
from convfilter.batch.search import Job
from convfilter.batch.workers import Outcome
from convfilter.cli.root import run
from convfilter.cluster import connection, scheduler, worker
from convfilter.picture.place import cloud

distributed = pytest.importorskip("distributed")
fsspec = pytest.importorskip("fsspec")
pytest.importorskip("s3fs")

BLUR = ("blur", "--gaussian", "1.5")
#: The kernel stands in a file where the workers are not, and in the text here.
LOG = ".convfilter_log"
STOPPED = "convfilter: stopped: 1 done, 0 failed, 2 not done; to continue, repeat the command with --update"
STACK = ("apply", "-f", "gaussian:2", "-f", "kernel:0 1 2; 1 3 1; 0 1 0,stride=2", "--scale", "1/9")
NAMES = ("a.png", "b.png", "deep/a.png", "deep/er/c.png")


@pytest.fixture(scope="module", autouse=True)
def compiled(tmp_path_factory):
    """Compile the loops of these tests first: no output must have a note on compiling."""
    picture = tmp_path_factory.mktemp("compiled") / "a.png"
    picture.write_bytes(png(0))
    for stack in (BLUR, ("apply", "-f", "box:3"), STACK):
        assert run([*stack, str(picture), f"{picture}.out.png"]) == 0


@pytest.fixture(scope="module")
def cluster(tmp_path_factory, s3_server):
    with Cluster(tmp_path_factory.mktemp("cluster")) as machines:
        yield machines


@pytest.fixture(scope="module")
def s3_server():
    """Start an S3 server on this machine, and point all processes of these tests to it."""
    with served() as address, pytest.MonkeyPatch.context() as patch:
        for name, value in {
            "AWS_ENDPOINT_URL": address,
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        }.items():
            patch.setenv(name, value)
        yield


@pytest.fixture
def bucket(s3_server, request):
    """A bucket with a tree of pictures and other objects."""
    name = request.node.name.replace("_", "-").lower()[:60]
    store = fsspec.filesystem("s3")
    store.mkdir(name)
    for number, key in enumerate(NAMES):
        store.pipe_file(f"{name}/in/{key}", png(number))
    store.pipe_file(f"{name}/in/notes.txt", b"no picture")
    return f"s3://{name}"


@pytest.fixture
def memory():
    """The same tree in this process's memory."""
    store = fsspec.filesystem("memory")
    for number, key in enumerate(NAMES):
        store.pipe_file(f"/in/{key}", png(number))
    yield store
    store.store.clear()
    store.pseudo_dirs[:] = [""]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Work in a folder with the same tree."""
    monkeypatch.chdir(tmp_path)
    for number, key in enumerate(NAMES):
        path = tmp_path / "in" / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(png(number))
    return tmp_path


def png(seed: int) -> bytes:
    samples = np.random.default_rng(seed).integers(0, 256, (24, 31, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(samples).save(file, "PNG")
    return file.getvalue()


def files(top: str) -> dict[str, bytes]:
    """Return the content of all files or objects below an address or a folder, except the log of outputs."""
    store, root = fsspec.core.url_to_fs(top)
    store.invalidate_cache()
    return {path[len(root) :].lstrip("/"): store.cat_file(path) for path in store.find(root) if not path.endswith(LOG)}


def expected(folder: Path, *arguments: str) -> dict[str, bytes]:
    """Return what one machine writes from files."""
    assert run([*arguments, "in", "expected/", "-r", "--quiet"]) == 0
    return files(str(folder / "expected"))


# Addresses ----------------------------------------------------------------------


def test_a_folder_of_objects_keeps_its_tree(memory, folder, capsys):
    assert run([*BLUR, "memory://in", "memory://out", "-r"]) == 0
    assert untimed(capsys.readouterr().err) == "convfilter: 4 done, 0 failed\n"
    assert files("memory://out") == expected(folder, *BLUR)


def test_a_folder_is_not_entered_unasked(memory):
    assert run([*BLUR, "memory://in/", "memory://out/", "-q"]) == 0
    assert sorted(files("memory://out")) == ["a.png", "b.png"]


def test_a_glob_names_objects(memory):
    assert run([*BLUR, "memory://in/[b-z].png", "memory://in/deep/*.png", "memory://out", "-q"]) == 0
    assert sorted(files("memory://out")) == ["a.png", "b.png"]


def test_two_objects_of_one_name_are_refused(memory, capsys):
    assert run([*BLUR, "memory://in/*.png", "memory://in/deep/*.png", "memory://out/"]) == 2
    assert "would both be written to memory://out/a.png" in capsys.readouterr().err
    assert not files("memory://out")


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (("memory://in/x*.png", "memory://out/"), 2, "memory://in/x*.png: no object matches"),
        (("memory://none/", "memory://out/"), 1, "memory://none/: there is no such object, or no such bucket"),
        (("memory://in/x.png", "out.png"), 1, "memory://in/x.png: there is no such object, or no such bucket"),
        (("memory://in/", "memory://out/", "--update"), 2, "memory://in/a.png: --update is for files"),
        (("memory://in/", "memory://out/", "--depfile", "d"), 2, "memory://in/a.png: --depfile is for files"),
        (("memory://in/", "memory://out.png"), 2, "memory://out.png: several inputs, or a folder, need a folder"),
        (
            ("memory://in/a.png", "nobody://out.png"),
            2,
            "nobody://out.png: Protocol not known: nobody; the supported ones are s3://",
        ),
        (("memory://in/a.png", "memory:///in/a.png"), 2, "memory:///in/a.png: input and output are the same file"),
    ],
)
def test_invalid_cluster_commands_fail_with_one_line(memory, folder, capsys, arguments, status, message):
    before = files("memory://")
    assert run([*BLUR, *arguments]) == status
    error = capsys.readouterr().err
    assert error.startswith(f"convfilter: {message}")
    assert error.count("\n") == 1
    assert files("memory://") == before


def test_outputs_in_the_input_folder_are_no_inputs(memory):
    for _ in range(2):
        assert run([*BLUR, "memory://in", "memory://in/out", "-r", "-q"]) == 0
    assert sorted(files("memory://in/out")) == sorted(NAMES)


def test_objects_are_replaced_in_place_when_asked(memory, folder):
    assert run([*BLUR, "memory://in/", "-r", "--in-place", "-q"]) == 0
    assert files("memory://in") == expected(folder, *BLUR)


def test_excluded_objects_and_those_of_no_picture_stay_out(memory, capsys):
    memory.pipe_file("/in/notes.txt", b"no picture")
    memory.pipe_file("/in/.hidden/x.png", b"no picture")
    assert run([*BLUR, "memory://in", "memory://out", "-r", "--dry-run", "--exclude", "er"]) == 0
    printed = capsys.readouterr()
    assert [line.split(" -> ")[1] for line in printed.out.splitlines()] == [
        f"memory://out/{key}" for key in ("a.png", "b.png", "deep/a.png")
    ]
    assert printed.err == "convfilter: 3 to do, 1 skipped, 0 up to date\n"


def test_addresses_of_files_are_paths(folder):
    assert run([*BLUR, f"file://{folder}/in/*.png", f"file://{folder}/out/", "-q", "--no-log"]) == 0
    assert run([*BLUR, f"file://{folder}/in/deep/a.png", f"file://{folder}/out/deep.png"]) == 0
    assert {f"out/{name}" for name in ("a.png", "b.png", "deep.png")} == {str(p) for p in Path().glob("out/*")}


def test_one_object_goes_through_a_pipe(memory, folder):
    import convfilter

    assert run([*BLUR, "memory://in/a.png", "memory://out/a.png"]) == 0
    whole = convfilter.read("memory://in/a.png")
    assert np.array_equal(convfilter.read("memory://out/a.png").pixels, convfilter.gaussian_blur(whole.pixels, 1.5))


def test_an_object_that_cannot_be_written_leaves_the_old_one(memory, monkeypatch, capsys):
    def refuse(*_unused, **_settings):
        raise PermissionError("Access Denied\nsecond line")

    before = files("memory://in")
    monkeypatch.setattr(type(memory), "pipe_file", refuse)
    assert run([*BLUR, "memory://in/", "--in-place"]) == 1
    error = capsys.readouterr().err
    assert "memory://in/a.png: permission denied by the store: Access Denied\n" in error
    assert untimed(error).endswith("0 done, 2 failed\n")
    assert files("memory://in") == before


@pytest.mark.parametrize("missing", ["fsspec.core", "distributed"])
def test_an_error_names_the_extra_that_is_not_installed(missing, monkeypatch, folder, capsys):
    monkeypatch.setitem(sys.modules, missing, None)
    names = ("s3://b/a.png", "s3://b/o.png") if missing == "fsspec.core" else ("in/", "out/", "--dask", "local")
    assert run([*BLUR, *names]) == 2
    assert "pip install 'convfilter[cluster]'\n" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("address", "same"),
    [("s3://b/a.png", "s3a://b/a.png"), ("gs://b/a", "gcs://b/a"), ("memory://a", "memory:///a")],
)
def test_spellings_of_one_object(address, same):
    assert cloud.identity(address) == cloud.identity(same) != cloud.identity(address + "b")


# A real store -------------------------------------------------------------------


def test_s3_on_one_machine(bucket, folder):
    done = program(*BLUR, f"{bucket}/in/", f"{bucket}/out/", "-r", "--jobs", "2")
    assert (done.returncode, done.stderr) == (0, "convfilter: 4 done, 0 failed, 1 skipped\n")
    assert files(f"{bucket}/out") == expected(folder, *BLUR)
    assert fsspec.filesystem("s3").info(f"{bucket}/out/a.png", refresh=True)["ContentType"] == "image/png"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "s3://nobody-made-this/a.png: there is no such object, or no such bucket"),
        ({"AWS_ACCESS_KEY_ID": None}, "s3://nobody-made-this/a.png: no credentials for this store were found"),
    ],
)
def test_s3_that_refuses_is_one_line(s3_server, folder, monkeypatch, capsys, settings, message):
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name in settings:
        monkeypatch.delenv(name)
    fsspec.filesystem("s3").clear_instance_cache()
    assert run([*BLUR, "s3://nobody-made-this/a.png", "out.png"]) == 1
    assert capsys.readouterr().err.startswith(f"convfilter: {message}")
    fsspec.filesystem("s3").clear_instance_cache()


# A scheduler --------------------------------------------------------------------


def test_a_cluster_writes_the_same_bytes(cluster, bucket, folder):
    Path("kernel.txt").write_text("0 1 2\n1 3 1\n0 1 0\n")  # the workers are in another folder, and need not have it
    fsspec.filesystem("s3").pipe_file(f"{bucket}/in/bad.png", b"no picture")
    stack = ("apply", "-f", "gaussian:2", "-f", "kernel:kernel.txt,stride=2", "--scale", "1/9")
    done = program(*stack, f"{bucket}/in", f"{bucket}/out", "-r", "--dask", cluster.address, "--json")
    assert done.returncode == 1
    failing, summary = done.stderr.splitlines()
    assert failing == f"convfilter: {bucket}/in/bad.png: it is not a picture of a known format"
    assert summary == "convfilter: 4 done, 1 failed, 1 skipped"
    assert files(f"{bucket}/out") == expected(folder, *stack)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert sorted(line["input"] for line in lines) == sorted(f"{bucket}/in/{key}" for key in (*NAMES, "bad.png"))
    assert [line["error"] is None for line in lines].count(True) == 4


def test_a_worker_that_dies_loses_nothing(cluster, folder):
    """One of two workers is killed while it reads a picture out of a pipe; the other gets the same picture."""
    os.mkfifo("pipe.png")
    names = [f"in/{key}" for key in ("a.png", "b.png", "deep/er/c.png")]
    process = subprocess.Popen(
        [*PROGRAM, *BLUR, "pipe.png", *names, "out/", "--dask", cluster.address],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(HOME)},
    )
    with open("pipe.png", "wb"):  # it opens when a worker reads
        (pid,) = wait_for(lambda: [each.pid for each in cluster.workers if reads(each.pid, "pipe.png")])
        cluster.kill(pid)
    with open("pipe.png", "wb") as pipe:
        (other,) = wait_for(lambda: [each.pid for each in cluster.workers if reads(each.pid, "pipe.png")])
        pipe.write(png(9))
    assert untimed(process.communicate(timeout=60)[1]).splitlines()[-1] == "convfilter: 4 done, 0 failed"
    assert (process.returncode, other != pid) == (0, True)
    Path("in/pipe.png").write_bytes(png(9))
    whole = expected(folder, *BLUR)
    assert files("out") == {Path(name).name: whole[name] for name in ("pipe.png", "a.png", "b.png", "deep/er/c.png")}
    assert not [path for path in Path("out").iterdir() if path.name.startswith(".") and path.name != LOG]


def reads(pid: int, name: str) -> bool:
    """Whether a process has a file open."""
    wanted = os.path.realpath(name)
    try:
        return any(os.path.realpath(link) == wanted for link in Path(f"/proc/{pid}/fd").iterdir())
    except OSError:
        return False


def test_ctrl_c_stops_a_cluster_run_and_keeps_finished_files(cluster, folder):
    os.mkfifo("pipe.png")
    process = subprocess.Popen(
        [*PROGRAM, *BLUR, "in/a.png", "pipe.png", "in/b.png", "out/", "--dask", cluster.address, "--jobs", "1"],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(HOME)},
    )
    with open("pipe.png", "wb"):
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=60)[1].splitlines()[-1] == STOPPED
    assert process.returncode == 130
    assert sorted(os.listdir("out")) == [LOG, "a.png"]


def test_workers_may_come_later(folder, s3_server, tmp_path_factory):
    with Cluster(tmp_path_factory.mktemp("later"), workers=0) as machines:
        process = subprocess.Popen(
            [*PROGRAM, *BLUR, "in/", "out/", "-q", "--dask", machines.address],
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(HOME)},
        )
        assert process.stderr is not None
        assert (
            process.stderr.readline()
            == f"convfilter: {machines.address}: the scheduler has no workers yet; waiting for them\n"
        )
        machines.add_worker()
        assert process.communicate(timeout=60)[1] in (
            "",
            "convfilter: compiling for this machine, once (a few seconds)\n",
        )
        assert process.returncode == 0
    assert sorted(os.listdir("out")) == [LOG, "a.png", "b.png"]


def test_a_task_that_fails_on_one_worker_runs_on_another(cluster, folder, monkeypatch):
    """The file does not exist; each worker must have tried before the error is reported."""
    asked = []
    submit = distributed.Client.submit

    def note(client, function, *arguments, **keywords):
        if function is worker.filter_one:
            asked.append(tuple(keywords["workers"]))
        return submit(client, function, *arguments, **keywords)

    monkeypatch.setattr(distributed.Client, "submit", note)
    jobs, options = [Job("in/none.png", "out/n.png")], pipeline.Options(("box:3",))
    events = list(scheduler.outcomes(jobs, options, cluster.address, processes=1))
    (outcome,) = (event for event in events if isinstance(event, Outcome))
    assert (outcome.job, str(outcome.error)) == (jobs[0], "there is no such file")
    assert len(set(asked)) == len(asked) == 2
    assert all(address.startswith("tcp://") for (address,) in asked)


def test_fail_fast_stops_a_cluster(cluster, folder, capsys):
    Path("in/bad.png").write_bytes(b"no picture")
    names = [f"in/{name}" for name in ("bad.png", "a.png", "b.png")]
    assert run([*BLUR, *names, "out/", "--dask", cluster.address, "--jobs", "1", "--fail-fast"]) == 1
    assert untimed(capsys.readouterr().err).endswith("convfilter: 0 done, 1 failed, 2 not done\n")
    assert not os.path.exists("out/b.png")


def test_a_cluster_of_this_machine(folder):
    done = program(*BLUR, "in/", "out/", "-r", "--dask", "local", "--jobs", "2")
    assert (done.returncode, done.stderr) == (0, "convfilter: 4 done, 0 failed\n")
    assert files("out") == expected(folder, *BLUR)


def test_ctrl_c_on_a_terminal_reaches_the_workers_of_this_machine_too_and_is_one_line(folder):
    os.mkfifo("pipe.png")
    process = subprocess.Popen(
        [*PROGRAM, *BLUR, "in/a.png", "pipe.png", "in/b.png", "out/", "--dask", "local", "--jobs", "1"],
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={**os.environ, "PYTHONPATH": str(HOME)},
    )
    with open("pipe.png", "wb"):
        os.killpg(process.pid, signal.SIGINT)
        lines = [line for line in process.communicate(timeout=60)[1].splitlines() if "compiling" not in line]
    assert lines == [STOPPED]
    assert process.returncode == 130


def test_a_missing_scheduler_is_an_error(folder, monkeypatch, capsys):
    monkeypatch.setattr(connection, "CONNECT_SECONDS", 0.3)
    assert run([*BLUR, "in/", "out/", "--dask", "tcp://127.0.0.1:1"]) == 1
    error = capsys.readouterr().err
    assert error.startswith("convfilter: no Dask scheduler answers at tcp://127.0.0.1:1: ")
    assert error.count("\n") == 1


ANSWERS = {
    "hangs up": b"",
    "another protocol": b"HTTP/1.0 400 Bad Request\r\n\r\n" * 9,
    "zeros": bytes(1 << 16),
    "too much": struct.pack("<QQQ", 2, 1 << 60, 1 << 60),
    "half a greeting": struct.pack("<Q", 1),
    "silence": None,
}


@pytest.mark.parametrize("answer", ANSWERS)
def test_answers_of_other_services_are_an_error(answer, folder, monkeypatch, capsys):
    monkeypatch.setattr(connection, "CONNECT_SECONDS", 0.5)
    monkeypatch.setattr(connection, "GOODBYE_SECONDS", 0.5)
    ended = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve():
            while not ended.is_set():
                with suppress(OSError):
                    caller, _ = server.accept()
                    with caller:
                        if ANSWERS[answer] is None:
                            ended.wait(60)
                        else:
                            caller.sendall(ANSWERS[answer])

        server.settimeout(0.1)
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            address = f"tcp://127.0.0.1:{server.getsockname()[1]}"
            assert run([*BLUR, "in/", "out/", "--dask", address]) == 1
        finally:
            ended.set()
            thread.join()
    said = capsys.readouterr().err
    assert said.startswith(f"convfilter: no Dask scheduler answers at {address}: ")
    assert said.count("\n") == 1


def test_other_errors_of_a_scheduler_fail_with_one_line(cluster, folder, monkeypatch, capsys):
    def broken(*_unused):
        raise struct.error("unpack_from requires a buffer")

    monkeypatch.setattr(scheduler, "require_like_versions", broken)
    assert run([*BLUR, "in/", "out/", "--dask", cluster.address]) == 1
    expected = f"convfilter: the scheduler at {cluster.address} cannot be used: unpack_from requires a buffer\n"
    assert capsys.readouterr().err == expected


def test_another_version_is_refused(cluster, folder, monkeypatch, capsys):
    monkeypatch.setattr(worker, "__version__", "0.0.1")
    assert run([*BLUR, "in/", "out/", "--dask", cluster.address]) == 1
    assert "all workers must have convfilter 0.0.1, as here, but tcp://" in capsys.readouterr().err
    assert not os.path.exists("out/a.png")


def test_a_worker_that_comes_later_with_another_version_does_nothing(folder):
    done = worker.filter_one(Job("in/a.png", "out/a.png"), b"", "0.0.1")
    assert isinstance(done.outcome.error, errors.ConvfilterError)
    assert done.elsewhere
    assert not os.path.exists("out")


def test_a_file_is_tried_on_another_worker_than_the_faulty_one(folder):
    options = pickle.dumps(pipeline.Options(("box:3",), {}))
    missing = worker.filter_one(Job("in/none.png", "out/a.png"), options, worker.__version__)
    damaged = Path("in/bad.png")
    damaged.write_bytes(b"no picture")
    broken = worker.filter_one(Job("in/bad.png", "out/a.png"), options, worker.__version__)
    assert (missing.elsewhere, broken.elsewhere) == (True, False)


def test_a_scheduler_that_stops_is_reported(folder, tmp_path_factory, s3_server, monkeypatch):
    monkeypatch.setattr(scheduler, "GONE_SECONDS", 0.5)
    os.mkfifo("pipe.png")
    jobs = [Job("in/a.png", "a.png"), Job("pipe.png", "p.png")]
    with Cluster(tmp_path_factory.mktemp("lost")) as machines:  # one worker waits at the pipe, the other works
        events = scheduler.outcomes(jobs, pipeline.Options(("box:3",)), machines.address, processes=1)
        first = next(event for event in events if isinstance(event, Outcome))
        assert first.job == jobs[0]
        machines.stop_scheduler()
        with pytest.raises(errors.ClusterError, match=f"the scheduler at {machines.address} has disconnected"):
            list(events)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("in/", "out/", "--dask", "host"), "a scheduler's address looks like tcp://host:8786"),
        (
            ("in/", "out/", "--dask", "local", "--explain"),
            "the plans would be printed on the workers; leave out --explain, or --dask",
        ),
        (
            ("in/", "out/", "--dask", "local", "--html", "page.html"),
            "a page needs the pictures on this machine; leave out --html, or --dask",
        ),
        (("in/", "--in-place", "--dask", "local"), "a file that is filtered in place would be filtered twice"),
        (("in/", "memory://out/", "--dask", "local"), "memory://out/a.png: memory:// exists in one process only"),
    ],
)
def test_options_without_meaning_on_a_cluster_are_refused(folder, capsys, arguments, message):
    assert run([*BLUR, *arguments]) == 2
    assert capsys.readouterr().err.startswith(f"convfilter: {message}")
    assert not Path("page.html").exists()
