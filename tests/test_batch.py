"""Many files: selection, output names, refusals before the start, and failing files."""

from __future__ import annotations

import itertools
import json
import os
import pty
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from processes import PROGRAM, program, untimed

import convfilter
from convfilter import pipeline
from convfilter.batch import depfile, log_file, resources, update, workers
from convfilter.batch.search import Job
from convfilter.cli import signals
from convfilter.cli.root import run

HOME = Path(convfilter.__file__).parents[1]
BLUR = ("blur", "--box", "3")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in a folder with a tree of pictures and other files."""
    monkeypatch.setenv("PYTHONPATH", str(HOME))
    monkeypatch.chdir(tmp_path)
    for number, name in enumerate(("a.png", "b.png", "deep/a.png", "deep/er/c.png")):
        path = Path("photos", name)
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(samples(number)).save(path)
    Path("photos/notes.txt").write_text("no picture")
    Path("photos/.hidden.png").write_text("left alone")
    return tmp_path


def samples(seed: int = 0) -> np.ndarray[Any, np.dtype[np.uint8]]:
    return np.random.default_rng(seed).integers(0, 256, (12, 16, 3), np.uint8)


def tree(top: str) -> list[str]:
    return sorted(
        str(path.relative_to(top)) for path in Path(top).rglob("*") if path.is_file() and path.name != update.LOG_NAME
    )


def is_blurred(path: str, seed: int) -> bool:
    with Image.open(path) as image:
        return np.array_equal(np.asarray(image), convfilter.box_blur(samples(seed), 3))


# Which files, and where to ----------------------------------------------------


def test_several_files_go_into_a_folder() -> None:
    done = program(*BLUR, "photos/a.png", "photos/b.png", "out/")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "convfilter: 2 done, 0 failed\n")
    assert tree("out") == ["a.png", "b.png"]
    assert is_blurred("out/a.png", 0) and is_blurred("out/b.png", 1)


def test_a_folder_gives_its_pictures_and_its_tree_if_asked() -> None:
    done = program(*BLUR, "photos", "flat")
    assert (done.returncode, done.stderr) == (0, "convfilter: 2 done, 0 failed, 1 skipped\n")
    assert tree("flat") == ["a.png", "b.png"]
    done = program(*BLUR, "-v", "photos/", "out", "--recursive")
    assert done.stderr.endswith("convfilter: 4 done, 0 failed, 1 skipped\n")
    assert "convfilter: photos/notes.txt: skipped, this is not a picture file" in done.stderr
    assert tree("out") == ["a.png", "b.png", "deep/a.png", "deep/er/c.png"]
    assert is_blurred("out/deep/a.png", 2) and is_blurred("out/deep/er/c.png", 3)


def test_the_output_is_no_input_of_the_next_run() -> None:
    for _ in range(2):
        assert program(*BLUR, "-r", "photos", "photos/out").returncode == 0
    assert tree("photos/out") == ["a.png", "b.png", "deep/a.png", "deep/er/c.png"]
    for _ in range(2):
        assert program(*BLUR, "--suffix", "_soft", "photos/deep").returncode == 0
    assert tree("photos/deep") == ["a.png", "a_soft.png", "er/c.png"]


def test_symbolic_links_are_followed_but_not_in_circles() -> None:
    Path("photos/deep/up").symlink_to("..")
    Path("photos/self").symlink_to("self")
    Path("elsewhere").mkdir()
    Image.fromarray(samples(7)).save("elsewhere/d.png")
    Path("photos/more").symlink_to("../elsewhere")
    assert program(*BLUR, "-r", "photos", "out").returncode == 0
    assert tree("out") == ["a.png", "b.png", "deep/a.png", "deep/er/c.png", "more/d.png"]


def test_names_of_outputs(capfd: pytest.CaptureFixture[str]) -> None:
    def planned(*arguments: str) -> list[str]:
        assert run([*BLUR, "--dry-run", *arguments]) == 0
        return [line.split(" -> ")[1] for line in capfd.readouterr().out.splitlines()]

    assert planned("--ext", "jpg", "--depfile", "deps.mk", "photos/a.png") == ["photos/a.jpg"]
    assert planned("--ext", ".jpg", "--suffix", "_x", "photos/a.png", "photos/b.png", "out/") == [
        "out/a_x.jpg",
        "out/b_x.jpg",
    ]
    assert planned("--into", "out", "-r", "photos", "--exclude", "er", "--exclude", "b.*") == [
        "out/a.png",
        "out/deep/a.png",
    ]
    assert planned("-r", "--exclude", "deep/*", "photos", "out") == ["out/a.png", "out/b.png"]
    assert planned("--in-place", "photos/b.png", "photos/a.png") == ["photos/b.png", "photos/a.png"]
    assert not Path("out").exists() and not Path("deps.mk").exists()


def test_names_from_a_list() -> None:
    Path("photos/new\nline.png").write_bytes(Path("photos/b.png").read_bytes())
    Path("list").write_text("photos/a.png\n\nphotos/b.png\r\n")
    assert program(*BLUR, "--files-from", "list", "out/").returncode == 0
    assert tree("out") == ["a.png", "b.png"]
    done = program(*BLUR, "--files-from", "-", "-0", "zero/", input="photos/new\nline.png\0photos/deep/a.png\0")
    assert done.returncode == 0
    assert tree("zero") == ["a.png", "new\nline.png"]


def test_in_place_for_many_files() -> None:
    assert program(*BLUR, "--in-place", "photos/a.png", "photos/b.png").returncode == 0
    assert is_blurred("photos/a.png", 0) and is_blurred("photos/b.png", 1)


def test_outputs_in_another_format_keep_no_wrong_name(capfd: pytest.CaptureFixture[str]) -> None:
    """A batch of several files, of one, and one file: the name is that of the input."""
    before = Path("photos/a.png").read_bytes()
    for names in (["photos/a.png"], ["photos/a.png", "photos/b.png"], ["-r", "photos"]):
        assert run([*BLUR, "--in-place", "--format", "jpg", *names]) == 2
        assert "--in-place keeps the name, whose suffix is not that of JPEG; --ext jpg" in capfd.readouterr().err
        assert run([*BLUR, "--in-place", "--format", "png", *names, "--dry-run"]) == 0
        assert "suffix" not in capfd.readouterr().err
    assert Path("photos/a.png").read_bytes() == before
    Path("out").mkdir()
    for names, said in (
        (["photos/a.png", "out"], "out/a.png: the suffix"), (["photos", "out/"], "out/a.png and 1 more: the suffix"),
    ):  # fmt: skip
        assert run([*BLUR, "--format", "jpg", *names]) == 0
        assert f"{said} is not that of JPEG; --ext jpg gives outputs that suffix" in capfd.readouterr().err
        assert run([*BLUR, "--ext", "jpg", *names[:-1], "out/"]) == 0
        assert "suffix" not in capfd.readouterr().err
    assert run([*BLUR, "--format", "jpg", "photos/a.png", "out/named.png"]) == 0
    assert capfd.readouterr().err == ""


def test_another_format() -> None:
    assert program(*BLUR, "--ext", "bmp", "-r", "photos", "out").returncode == 0
    assert tree("out") == ["a.bmp", "b.bmp", "deep/a.bmp", "deep/er/c.bmp"]
    assert is_blurred("out/a.bmp", 0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("photos/a.png photos/deep/a.png out/", "photos/deep/a.png and photos/a.png would both be written"),
        ("--ext jpg photos/a.png photos/a.bmp out/", "would both be written to out/a.jpg"),
        ("photos/a.png photos/b.png photos/", "photos/a.png: the output of photos/a.png would overwrite the input"),
        ("photos/deep/a.png photos/a.png photos", "would overwrite the input photos/a.png"),
        ("photos/a.png photos/b.png none", "none: there is no such folder; several inputs need one"),
        ("photos/a.png photos/b.png -", "'-' is standard output, which takes one picture"),
        ("--dry-run - out.png", "'-' is a pipe, and options for many files need names of files"),
        ("--dry-run photos/a.png -", "'-' is a pipe, and options for many files need names of files"),
        ("--json photos/a.png -", "standard output cannot be both the picture and the --json; name a file"),
        ("photos/a.png - out/", "'-' means standard input and cannot be one of several inputs"),
        ("--algorithm magic photos out", "--algorithm: algorithm must be one of direct"),
        ("--ext xyz photos out", "--ext: no picture format has the suffix"),
        ("--in-place --ext jpg photos/a.png", "--in-place writes each result over its input"),
        ("-0 photos out", "-0 is an option of --files-from"),
        ("--suffix a/b photos", "--suffix: it is a part of a file name"),
        ("--jobs 0 photos out", "--jobs: jobs must be at least 1, got 0"),
        ("--files-from none out/", "none: the list cannot be read: no such file"),
        ("--files-from zeros out/", "zeros: the list has zero bytes, which names cannot have; give --null"),
        ("--depfile none/deps.mk photos out", "none/deps.mk: there is no folder"),
        ("--depfile deps --in-place photos/a.png", "with --in-place each would depend on itself"),
        ("--depfile deps --in-place photos/a.png photos/b.png", "with --in-place each would depend on itself"),
        ("--json photos/a.png", "an input and an output are needed"),
        ("--padding-mode mirror photos out", "--padding-mode: padding_mode must be one of"),
    ],
)  # fmt: skip
def test_invalid_batches_are_refused_before_the_first_picture(
    capfd: pytest.CaptureFixture[str], arguments: str, message: str
) -> None:
    Path("zeros").write_text("photos/a.png\0photos/b.png\0")
    before = tree(".")
    status = run([*BLUR, *arguments.split()])
    text = capfd.readouterr().err
    assert status == (1 if "deps.mk" in arguments else 2)
    assert message in text
    assert text.count("\n") == 1
    assert tree(".") == before


# How the work is done ---------------------------------------------------------


def test_a_folder_of_folders_is_searched_only_on_request(capfd: pytest.CaptureFixture[str]) -> None:
    Path("top/photos").mkdir(parents=True)
    Path("photos/a.png").rename("top/photos/a.png")
    Path("empty").mkdir()
    for name, first in (
        ("top", "top: skipped, it holds folders and no pictures; --recursive searches them"),
        ("empty", "0 done, 0 failed in"),
    ):
        assert run([*BLUR, name, "out"]) == 0
        assert capfd.readouterr().err.startswith(f"convfilter: {first}")


def test_one_file_has_a_line_of_json_and_no_summary(capfd: pytest.CaptureFixture[str]) -> None:
    def lines(*names: str) -> tuple[int, list[dict[str, object]], str]:
        status = run([*BLUR, "--json", *names])
        done = capfd.readouterr()
        return status, [json.loads(line) for line in done.out.splitlines()], done.err

    status, (record,), said = lines("photos/a.png", "out.png")
    assert (status, record["output"], record["error"], record["size"], said) == (0, "out.png", None, [16, 12], "")
    status, (record,), said = lines("missing.png", "out.png")
    assert (status, record["error"], said) == (
        1,
        "there is no such file",
        "convfilter: missing.png: there is no such file\n",
    )
    Path("out").mkdir()
    status, (record,), said = lines("photos/a.png", "out")
    assert (status, record["output"], said) == (0, "out/a.png", "")
    status, (record,), said = lines("--in-place", "photos/a.png")
    assert (status, record["output"], said) == (0, "photos/a.png", "")
    with Path("photos/b.png").open("rb") as pipe:
        command = [sys.executable, "-m", "convfilter", *BLUR, "--json", "-", "out.png"]
        piped = subprocess.run(command, stdin=pipe, capture_output=True, text=True, check=True)
    assert (json.loads(piped.stdout)["input"], piped.stderr) == ("-", "")


def test_quiet_leaves_out_the_notes_on_one_file(capfd: pytest.CaptureFixture[str]) -> None:
    arguments = [*BLUR, "--allow-loss", "--frame", "0", "photos/a.png", "out.webp"]
    Image.fromarray(np.arange(192, dtype=np.uint16).reshape(12, 16) * 300).save("photos/a.png")
    assert run(arguments) == 0
    assert "WebP holds 8 bits per sample" in capfd.readouterr().err
    for further in ((), ("--no-clobber",)):
        assert run([*arguments, "--quiet", *further]) == 0
        assert capfd.readouterr() == ("", "")


def test_a_failing_file_does_not_stop_the_others() -> None:
    Path("photos/aa.png").write_text("no picture, whatever its name says")
    done = program(*BLUR, "photos/a.png", "missing.png", "photos/aa.png", "photos/b.png", "out/", "--json")
    assert done.returncode == 1
    lines = done.stderr.splitlines()
    assert "convfilter: missing.png: there is no such file" in lines
    assert any(line.startswith("convfilter: photos/aa.png: ") for line in lines)
    assert lines[-1] == "convfilter: 2 done, 2 failed"
    assert len(lines) == 3
    records = {record["input"]: record for record in map(json.loads, done.stdout.splitlines())}
    assert set(records) == {"photos/a.png", "photos/b.png", "missing.png", "photos/aa.png"}
    assert records["missing.png"]["error"] == "there is no such file"
    whole = records["photos/a.png"]
    assert (whole["output"], whole["error"], whole["size"]) == ("out/a.png", None, [16, 12])
    assert set(whole["seconds"]) == {"parse", "read", "plan", "run", "write"}
    assert tree("out") == ["a.png", "b.png"]


def test_a_failing_file_leaves_no_empty_folder() -> None:
    Path("photos/deep/a.png").write_text("no picture")
    done = program(*BLUR, "-r", "photos", "out")
    assert done.returncode == 1
    assert not Path("out/deep/a.png").exists() and is_blurred("out/deep/er/c.png", 3)
    assert program(*BLUR, "photos/deep/a.png", "missing.png", "none/").returncode == 1
    assert not Path("none").exists()
    Path("file").write_text("in the way")
    done = program(*BLUR, "photos/a.png", "photos/b.png", "--into", "file/below")
    assert "convfilter: file/below/a.png: the folder cannot be created: not a directory" in done.stderr.splitlines()


def test_a_folder_that_cannot_be_read_does_not_stop_the_others(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    scandir = os.scandir

    def guarded(folder: str) -> Any:
        if os.path.basename(folder) == "er":  # no mode keeps out root, as which containers run tests
            raise PermissionError(13, "Permission denied")
        return scandir(folder)

    monkeypatch.setattr(os, "scandir", guarded)
    for options, status, files in (
        ("--dry-run", 1, []),
        ("--fail-fast", 1, []),
        ("-r", 1, ["a.png", "b.png", "deep/a.png"]),
    ):
        assert run([*BLUR, options, "-r", "photos", "out"]) == status
        text = [line for line in capfd.readouterr().err.splitlines() if "compiling" not in line]
        assert text[0] == "convfilter: photos/deep/er: the folder cannot be read: permission denied"
        assert tree("out") == files
    assert [untimed(line) for line in text[1:]] == ["convfilter: 3 done, 1 failed, 1 skipped"]


def test_fail_fast_stops() -> None:
    done = program(*BLUR, "-j1", "--fail-fast", "missing.png", "photos/a.png", "photos/b.png", "out/")
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        "convfilter: missing.png: there is no such file",
        "convfilter: 0 done, 1 failed, 2 not done",
    ]


def test_quiet_prints_only_failures() -> None:
    done = program(*BLUR, "-q", "photos/a.png", "missing.png", "out/")
    assert (done.returncode, done.stderr) == (1, "convfilter: missing.png: there is no such file\n")


def test_results_do_not_depend_on_the_number_of_jobs() -> None:
    assert program("blur", "--gaussian", "2", "-r", "photos", "one", "-j1").returncode == 0
    assert program("blur", "--gaussian", "2", "-r", "photos", "four", "-j4").returncode == 0
    assert tree("one") == tree("four")
    assert all(Path("one", name).read_bytes() == Path("four", name).read_bytes() for name in tree("one"))


def collected(jobs: list[Job], processes: int = 2) -> list[workers.Outcome]:
    events = workers.outcomes(jobs, pipeline.Options(("box:3",)), processes)
    return [event for event in events if isinstance(event, workers.Outcome)]


@pytest.mark.parametrize(
    ("end", "cause"),
    [
        (lambda: os.kill(os.getpid(), signal.SIGKILL), "ended by SIGKILL"),
        (lambda: os._exit(0), "ended by status 0"),
        (lambda: os._exit(128), "ended by status 128"),
        (lambda: os._exit(137), "ended by SIGKILL"),
    ],
)
def test_a_worker_that_dies_fails_one_file(
    monkeypatch: pytest.MonkeyPatch, end: Callable[[], None], cause: str
) -> None:
    whole = pipeline.filter_file

    def fragile(source: str, destination: str, options: pipeline.Options) -> pipeline.Report:
        if source.endswith("b.png"):
            end()
        return whole(source, destination, options)

    monkeypatch.setattr(pipeline, "filter_file", fragile)
    names = ("a", "b", "deep/a", "deep/er/c")
    found = collected([Job(f"photos/{name}.png", f"out/{name}.png") for name in names], 1)
    assert len(found) == 4
    (failed,) = [outcome for outcome in found if outcome.error]
    assert failed.job.source == "photos/b.png"
    assert cause in str(failed.error)
    assert tree("out") == ["a.png", "deep/a.png", "deep/er/c.png"]


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux to tell the memory of a process")
def test_memory_does_not_grow_with_the_number_of_files(monkeypatch: pytest.MonkeyPatch) -> None:
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (200, 200, 3), np.uint8)).save("noise.jpg")
    first, last = 49, 249
    filtered = pipeline.filter_file
    count = itertools.count()

    def noting(*arguments: Any) -> pipeline.Report:
        report = filtered(*arguments)
        if (number := next(count)) in (first, last):
            lines = Path("/proc/self/status").read_text().splitlines()
            kept = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("RssAnon:"))
            Path(f"{number}.kept").write_text(str(kept))
        return report

    monkeypatch.setattr(pipeline, "filter_file", noting)
    jobs = [Job("noise.jpg", f"out/{number}.{('jpg', 'png')[number % 2]}") for number in range(250)]
    events = workers.outcomes(jobs, pipeline.Options(("gaussian:4",)), 1)
    assert all(event.error is None for event in events if isinstance(event, workers.Outcome))
    # To keep one in ten of the pictures would take 4 MB; one worker has filtered them all, or a file is missing.
    assert int(Path(f"{last}.kept").read_text()) - int(Path(f"{first}.kept").read_text()) < 2 * 2**20


class Unportable(Exception):
    def __init__(self, first: str, second: str) -> None:
        super().__init__(f"{first} and {second}")
        self.cause_of_trouble = lambda: None  # what no pickle takes


def test_errors_that_cannot_be_pickled_are_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    def explode(*_arguments: object) -> pipeline.Report:
        raise Unportable("this", "that")

    monkeypatch.setattr(pipeline, "filter_file", explode)
    for outcome in collected([Job("photos/a.png", "x.png"), Job("photos/b.png", "y.png")]):
        assert str(outcome.error) == "Unportable: this and that"
        assert "explode" in outcome.traceback


@pytest.mark.parametrize(
    ("files", "jobs", "threads", "cores", "share"),
    [
        (100, None, None, 8, (8, 1)),
        (3, None, None, 8, (3, 2)),
        (1, None, None, 8, (1, 8)),
        (100, None, 3, 8, (2, 3)),
        (100, 2, None, 8, (2, 4)),
        (100, 16, None, 8, (8, 1)),
        (100, 4, 4, 8, (4, 2)),
        (100, None, 99, 8, (1, 8)),
        (0, None, None, 8, (1, 8)),
    ],
)
def test_cores_are_shared_and_never_exceeded(
    files: int, jobs: int | None, threads: int | None, cores: int, share: tuple[int, int]
) -> None:
    assert resources.share(files, jobs, threads, cores) == share
    assert share[0] * share[1] <= cores


def test_large_pictures_wait_for_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resources, "available_memory", lambda: 300 * 2**20)
    memory = resources.Memory(pipeline.Options(("box:3",)))
    assert memory.admits(2**40)  # by itself: the reader will judge
    memory.reserve("large", 200 * 2**20)
    assert not memory.admits(150 * 2**20)
    assert memory.admits(2**20)
    memory.release("large")
    assert memory.admits(150 * 2**20)


def test_the_memory_of_a_picture_follows_from_its_header_and_the_stack() -> None:
    def needed(path: str, *specs: str, **options: Any) -> int:
        return resources.Memory(pipeline.Options(specs or ("box:3",))._replace(**options)).needed(path)

    samples_ = 12 * 16 * 3
    plain = needed("photos/a.png")
    assert plain >= 2 * samples_
    assert needed("photos/a.png", "box:3", "box:3") == plain + 4 * samples_
    assert needed("photos/a.png", "box:3", "box:3", "box:3") == plain + 8 * samples_
    assert needed("photos/a.png", "maxpool:4", "box:3") < plain
    assert needed("photos/a.png", linear=True) > plain
    assert needed("none.png") == 0
    assert needed("photos/a.png", read=convfilter.ReadOptions(max_pixels=10)) == 0
    assert needed("photos/a.png", "box:99,padding=valid") == 0
    convfilter.write("deep.png", samples().astype(np.uint16))
    assert resources.header_of("deep.png") == ((12, 16, 3), "u2", False, 1)
    convfilter.write("deep.tif", samples().astype(np.uint16))
    assert resources.header_of("deep.tif") == ((12, 16, 3), "u2", False, 1)
    noise = np.random.default_rng(0).random((12, 16, 3), np.float32)
    convfilter.write("real.tif", noise)  # Pillow cannot open it
    assert needed("real.tif") > 2 * noise.nbytes
    convfilter.write("deep.jxl", noise)  # nor this
    assert resources.header_of("deep.jxl") == ((12, 16, 4), "f4", True, 1)
    Path("no.jxl").write_bytes(b"\xff\x0a" + bytes(9))
    assert resources.header_of("no.jxl") is None or needed("no.jxl") < 10_000
    frames = [Image.fromarray(samples(number)) for number in range(3)]
    frames[0].save("pages.tif", save_all=True, append_images=frames[1:])
    assert resources.header_of("pages.tif") == ((12, 16, 3), "u1", False, 3)
    assert needed("pages.tif") == plain + 2 * (samples_ + samples_)  # two frames more, and their results


def test_jobs_run_alone_where_memory_is_short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resources.Memory, "needed", lambda *_: 2**40)
    filtered = pipeline.filter_file

    def alone(*arguments: Any) -> pipeline.Report:
        with open("running", "x"):  # an error, where another worker is at it
            time.sleep(0.02)
            report = filtered(*arguments)
        os.unlink("running")
        return report

    monkeypatch.setattr(pipeline, "filter_file", alone)
    found = collected([Job(f"photos/{name}.png", f"out/{name}.png") for name in ("a", "b", "deep/a")])
    assert [outcome.error for outcome in found] == [None] * 3


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=str)
def test_signals_keep_finished_files_and_leave_no_partial_ones(
    folder: Path, number: signal.Signals, status: int
) -> None:
    os.mkfifo("slow.png")
    child = subprocess.Popen(
        [*PROGRAM, *BLUR, "-j1", "-v", "photos/a.png", "slow.png", "photos/b.png", "out/"],
        stderr=subprocess.PIPE,
        text=True,
    )
    with open("slow.png", "wb", buffering=0) as fifo:  # returns when the worker has opened it
        fifo.write(Path("photos/a.png").read_bytes()[:70])
        child.send_signal(number)
        _, text = child.communicate(timeout=60)
    assert child.returncode == status
    assert text.splitlines()[-1] == (
        "convfilter: stopped: 1 done, 0 failed, 2 not done; to continue, repeat the command with --update"
    )
    assert sorted(os.listdir("out")) == [update.LOG_NAME, "a.png"]
    assert is_blurred("out/a.png", 0)


def test_workers_that_are_stopped_clean_up(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def slow(_job: Job, _options: pipeline.Options) -> workers.Outcome:
        try:
            Path("begun").touch()
            time.sleep(60)
        finally:
            Path("cleaned").touch()
        raise AssertionError

    monkeypatch.setattr(workers, "perform", slow)
    signals.install()
    jobs = [Job("photos/a.png", "a.png"), Job("photos/b.png", "b.png")]
    events = workers.outcomes(jobs, pipeline.Options(["box:3"]), processes=1, tick_seconds=0.01)
    while not Path("begun").exists():
        assert isinstance(next(events), workers.Tick)
    with pytest.raises(KeyboardInterrupt):
        events.throw(KeyboardInterrupt)
    assert Path("cleaned").exists()


# Up to date -------------------------------------------------------------------


def test_update_filters_only_changed_inputs(capfd: pytest.CaptureFixture[str]) -> None:
    Path("weights.txt").write_text("1 2 1\n")

    def left(*options: str, kernel: str = "weights.txt") -> list[str]:
        arguments = ["convolve", "--kernel", kernel, "--normalize", "--update", *options, "photos", "out"]
        capfd.readouterr()
        assert run([*arguments, "--dry-run"]) == 0
        todo = [line.split(" -> ")[0] for line in capfd.readouterr().out.splitlines()]
        assert run([*arguments, "--json"]) == 0
        assert sorted(json.loads(line)["input"] for line in capfd.readouterr().out.splitlines()) == sorted(todo)
        return todo

    both = ["photos/a.png", "photos/b.png"]
    assert left() == both
    assert left() == []
    assert left("--threads", "1") == []  # in the same process, too
    assert left(kernel="1 2 1") == []  # the same weights
    assert left("--stride", "2") == both
    assert left("--strip") == both
    assert left() == both
    Path("weights.txt").write_text("1 3 1\n")
    assert left() == both
    Path("out/a.png").unlink()
    assert left() == ["photos/a.png"]
    Image.fromarray(samples(9)).save("photos/b.png")
    os.utime("photos/b.png", (1, 1))  # newer content, older time
    assert left() == ["photos/b.png"]
    Path("out/a.png").write_bytes(Path("photos/b.png").read_bytes())  # newer, but not ours
    assert left() == ["photos/a.png"]
    Path("out/.convfilter_log").write_text('{"output": "a.png"}\nnonsense\n["list"]\n{"outp')
    assert left() == both
    assert left() == []


def rewritten(path: str, content: bytes, how: str) -> None:
    """Change a file's content, but neither its size nor its time."""
    status = os.stat(path)
    assert len(content) == status.st_size
    if how == "in place":  # cp -p
        Path(path).write_bytes(content)
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    else:  # rsync -t
        Path("new").write_bytes(content)
        os.utime("new", ns=(status.st_atime_ns, status.st_mtime_ns))
        os.replace("new", path)


@pytest.mark.parametrize("how", ["in place", "renamed"])
@pytest.mark.parametrize("which", ["photos/a.pgm", "out/a.pgm"])
@pytest.mark.parametrize("coarse", [False, True])
def test_update_sees_new_content_of_the_same_size_and_time(
    how: str, which: str, coarse: bool, capfd: pytest.CaptureFixture[str]
) -> None:
    arguments = [*BLUR, "--update", "--into", "out", "photos/a.pgm"]
    head = b"P5 4 4 255\n"
    Path("photos/a.pgm").write_bytes(head + bytes(16))
    if coarse:
        os.utime("photos/a.pgm", (10**9, 10**9))
    assert run(arguments) == 0
    if coarse and which.startswith("out"):
        os.utime(which, (10**9, 10**9))
        assert run(arguments) == 0
    rewritten(which, head + bytes(range(100, 116)), how)
    capfd.readouterr()
    assert run(arguments) == 0
    assert "1 done" in capfd.readouterr().err
    for _ in range(2):
        assert run(arguments) == 0
        assert "1 up to date" in capfd.readouterr().err
    result = Path("out/a.pgm").read_bytes()
    assert run([*BLUR, "photos/a.pgm", "expected.pgm"]) == 0
    assert result == Path("expected.pgm").read_bytes()


@pytest.mark.parametrize("touch", ["chmod", "copy", "rename"])
def test_update_compares_the_content_where_only_the_inode_has_moved(
    touch: str, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = [*BLUR, "--update", "photos", "out"]
    assert run(arguments) == 0
    for path in ("photos/a.png", "out/b.png"):
        if touch == "chmod":
            os.chmod(path, 0o640)
        else:
            rewritten(path, Path(path).read_bytes(), "renamed" if touch == "rename" else "in place")
    digests = []
    digest_of = update.digest_of
    monkeypatch.setattr(update, "digest_of", lambda path: digests.append(path) or digest_of(path))
    capfd.readouterr()
    assert run([*arguments, "--dry-run"]) == 0
    assert "0 to do, 1 skipped, 2 up to date" in capfd.readouterr().err
    log = Path("out/.convfilter_log").read_bytes()
    assert {"photos/a.png", "out/b.png"} <= set(digests)
    assert run(arguments) == 0
    assert "2 up to date" in capfd.readouterr().err
    assert Path("out/.convfilter_log").read_bytes().startswith(log) and Path("out/.convfilter_log").stat().st_size
    digests.clear()
    assert run(arguments) == 0
    assert digests == []  # inputs that are unchanged are not read again


def test_update_reads_the_content_where_the_clock_is_too_coarse_to_tell(capfd: pytest.CaptureFixture[str]) -> None:
    """Two changes within one tick of a file system of whole seconds: even the inode's time is the same."""
    now = time.time_ns() // 10**9 * 10**9
    Path("a.pgm").write_bytes(b"P5 1 1 255\n\1")
    os.utime("a.pgm", ns=(now, now))
    log, job = update.UpdateLog("recipe"), Job("a.pgm", "b.pgm")
    assert not log.is_current(job)
    Path("b.pgm").write_bytes(b"P5 1 1 255\n\1")
    log.record(job)
    assert update.UpdateLog("recipe").is_current(job)
    entries = log_file.read("")
    Path("a.pgm").write_bytes(b"P5 1 1 255\n\2")
    os.utime("a.pgm", ns=(now, now))
    entries["b.pgm"]["read"]["stamp"] = list(update.stamp_of("a.pgm"))
    log_file.append("", "b.pgm", entries["b.pgm"])
    assert not update.UpdateLog("recipe").is_current(job)


def test_an_input_that_changes_while_it_is_filtered_is_not_up_to_date() -> None:
    job = Job("photos/a.png", "photos/b.png")
    log = update.UpdateLog("recipe")
    assert not log.is_current(job)
    status = os.stat("photos/a.png")
    Path("photos/a.png").write_bytes(Path("photos/a.png").read_bytes()[::-1])
    os.utime("photos/a.png", ns=(status.st_atime_ns, status.st_mtime_ns))
    log.record(job)
    assert not update.UpdateLog("recipe").is_current(job)


def test_an_option_of_any_kind_changes_the_recipe() -> None:
    options = pipeline.Options(("gaussian:2",))
    recipes = [
        update.recipe(each)
        for each in (
            options,
            options._replace(specs=("gaussian:2.5",)),
            options._replace(specs=("gaussian:2", "gaussian:2")),
            options._replace(defaults={"stride": (2, 1)}),
            options._replace(defaults={"padding_mode": "wrap"}),
            options._replace(gray=True),
            options._replace(algorithm="separable"),
            options._replace(read=convfilter.ReadOptions(auto_orient=False)),
            options._replace(write=convfilter.WriteOptions(quality=80)),
        )
    ]
    assert len(set(recipes)) == len(recipes)
    same = options._replace(
        threads=3, explain=print, write=convfilter.WriteOptions(threads=3), specs=("gaussian:sigma=2.0",)
    )
    assert update.recipe(same) == recipes[0]


def test_another_version_may_give_another_result(monkeypatch: pytest.MonkeyPatch) -> None:
    before = update.recipe(pipeline.Options(["box:3"]))
    monkeypatch.setattr(update, "__version__", "99")
    assert update.recipe(pipeline.Options(["box:3"])) != before


def test_explaining_and_reporting_make_no_output_outdated() -> None:
    for option in ((), ("--explain",), ("--html", "report.html")):
        done = program(*BLUR, "--update", *option, "photos", "out/")
        assert done.returncode == 0
        assert ("2 up to date" in done.stderr) == bool(option)


def test_the_log_does_not_grow_for_ever() -> None:
    for sigma in range(40):
        log = update.UpdateLog(f"recipe {sigma}")
        job = Job("photos/a.png", "photos/b.png")
        assert not log.is_current(job)
        log.record(job)
    assert len(Path("photos", update.LOG_NAME).read_text().splitlines()) <= 32
    assert update.UpdateLog("recipe 39").is_current(job)


def test_make_reads_the_depfile() -> None:
    Path("photos/b.png").rename("photos/b $x#y.png")
    Path("weights.txt").write_text("1 2 1\n")
    done = program("convolve", "--kernel", "weights.txt", "--depfile", "deps.mk", "photos", "out")
    assert done.returncode == 0
    text = Path("deps.mk").read_text()
    assert "out/a.png: photos/a.png weights.txt\n" in text
    assert "\nweights.txt:\n" in text
    Path("Makefile").write_text("all: out/a.png out/b\\ $$x\\#y.png\ninclude deps.mk\nout/%.png: ; @echo do '$@'\n")

    def make() -> str:
        return subprocess.run(["make", "-s"], capture_output=True, text=True, check=True, timeout=60).stdout

    assert "do" not in make()
    later = time.time() + 100
    os.utime("photos/b $x#y.png", (later, later))
    assert make() == "do out/b $x#y.png\n"
    os.utime("weights.txt", (later, later))
    assert make() == "do out/a.png\ndo out/b $x#y.png\n"
    Path("weights.txt").unlink()
    assert "do out/a.png" in make()


def test_one_file_with_a_depfile_is_no_batch(capfd: pytest.CaptureFixture[str]) -> None:
    assert run([*BLUR, "--depfile", "deps.mk", "photos/a.png", "out.png"]) == 0
    assert capfd.readouterr() == ("", "")
    assert Path("deps.mk").read_text() == "out.png: photos/a.png\n\nphotos/a.png:\n"
    assert run([*BLUR, "--depfile", "deps.mk", "photos/a.png", "-"]) == 2
    assert "'-' is a pipe, and --depfile is for files; give file names" in capfd.readouterr().err
    Path("out").mkdir()
    assert run([*BLUR, "--depfile", "deps.mk", "photos/a.png", "out"]) == 0
    assert Path("deps.mk").read_text().startswith("out/a.png: photos/a.png\n")
    assert os.listdir("out") == ["a.png"]


ODD_NAMES = [
    "p%s", "%", "a[1]", "x*y", "q?z", "e=f", "s;t", "a|b", "b&", "back\\slash", "back\\ blank", "back\\#", "back\\:c",
    "back\\%", "end\\", "tab\tx", "~me", "d$e$(f)", "(1)", "it's", '"q"', "a  b", " lead", "é", "a;b=c\\|d\te f%",
]  # fmt: skip


def test_make_understands_any_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MAKEFLAGS", raising=False)
    Path("in").mkdir()
    Path("out").mkdir()
    jobs = [Job(f"in/{name}.png", f"out/{name}.png") for name in ODD_NAMES]
    for job in jobs:
        Path(job.source).touch()
        os.utime(job.source, (1, 1))
        Path(job.destination).touch()
    for decoy in ("a1", "xxy", "qqz", "p"):  # what patterns in the names would stand for
        Path("in", f"{decoy}.png").touch()
    depfile.write("deps.mk", jobs, [])
    goals = " ".join(depfile.escaped(job.destination) for job in jobs)
    Path("Makefile").write_text(f"all:\ninclude deps.mk\nall: {goals}\nout/%: ; $(info made $@)@:\n")

    def made() -> list[str]:
        done = subprocess.run(["make", "-s", "-j2"], capture_output=True, text=True, check=True, timeout=60)
        return [line.removeprefix("made ") for line in done.stdout.splitlines() if line.startswith("made ")]

    assert made() == []
    later = time.time() + 100
    for job in jobs:
        os.utime(job.source, (later, later))
        assert made() == [job.destination]
        os.utime(job.source, (1, 1))
    for job in jobs:
        Path(job.source).unlink()
    assert sorted(made()) == sorted(job.destination for job in jobs)


# Progress ---------------------------------------------------------------------


def shown_on_a_terminal(*arguments: str, **environment: str) -> str:
    leader, follower = pty.openpty()
    child = subprocess.Popen(
        [*PROGRAM, *arguments], stderr=follower, env={**os.environ, "TERM": "xterm", **environment}
    )
    os.close(follower)
    text = b""
    try:
        while select.select([leader], [], [], 60)[0]:
            text += os.read(leader, 4096)
    except OSError:  # the other end is closed
        pass
    os.close(leader)
    child.wait(timeout=60)
    return text.decode()


def test_progress_is_shown_on_a_terminal_only() -> None:
    arguments = (*BLUR, "photos/a.png", "missing.png", "photos/b.png", "out/")
    text = shown_on_a_terminal(*arguments)
    assert "\r\x1b[K\x1b[31m3/3" in text
    assert "MP/s" in text and "0:00 left" in text and "1 failed: missing.png" in text
    assert untimed(text).endswith("\r\x1b[K\x1b[1mconvfilter:\x1b[0m 2 done, 1 failed\r\n")
    assert "\x1b[31m" not in shown_on_a_terminal(*arguments, NO_COLOR="1")
    assert "\x1b[K" not in shown_on_a_terminal(*arguments, "--no-progress")
    assert "\x1b[K" not in shown_on_a_terminal(*arguments, "--quiet")
    Path("convfilter.toml").write_text("progress = false\n")
    assert "\x1b[K" not in shown_on_a_terminal(*arguments)
    assert "\x1b[" in shown_on_a_terminal(*arguments, "--progress")
    Path("convfilter.toml").unlink()
    assert "\x1b" not in program(*arguments).stderr
    assert "3/3" in program(*arguments, "--progress").stderr


def test_one_file_does_not_import_the_batch() -> None:
    code = "import sys, convfilter.cli as c; c.main(sys.argv[1:]); sys.stderr.write(' '.join(sys.modules))"
    arguments = [sys.executable, "-c", code, *BLUR, "photos/a.png", "out.png"]
    done = subprocess.run(arguments, capture_output=True, text=True, check=True)
    assert not [name for name in done.stderr.split() if "batch" in name or name.endswith((".many", ".progress"))]


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    """Workers are forked from this process: all must have ended."""
    yield
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


def test_a_batch_leaves_a_log_and_a_later_update_knows_it(capfd: pytest.CaptureFixture[str]) -> None:
    assert run([*BLUR, "photos", "out"]) == 0
    assert Path("out", update.LOG_NAME).exists()
    capfd.readouterr()
    assert run([*BLUR, "--update", "photos", "out"]) == 0
    assert capfd.readouterr().err.startswith("convfilter: 0 done, 0 failed, 1 skipped, 2 up to date")
    for options in (("--no-log", "photos", "bare/"), ("--dry-run", "photos", "bare/"), ("photos/a.png", "b.png")):
        assert run([*BLUR, *options]) == 0
    assert run([*BLUR, "--in-place", "photos/a.png", "photos/b.png"]) == 0
    assert not [name for name in ("bare", "photos", ".") if Path(name, update.LOG_NAME).exists()]
    # --no-log may read a log, and adds nothing to it.
    Path("photos/c.png").write_bytes(Path("photos/b.png").read_bytes())
    before = Path("out", update.LOG_NAME).read_bytes()
    assert run([*BLUR, "--update", "--no-log", "photos", "out"]) == 0
    assert Path("out", update.LOG_NAME).read_bytes() == before


def test_a_pipe_has_no_content_to_log() -> None:
    os.mkfifo("pipe.png")
    assert update.digest_of("pipe.png") is None  # and digest_of does not wait for a writer of the pipe


def test_an_input_that_changes_while_it_is_filtered_is_done_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """The log cannot know which content was read, so the file is filtered again, with or without --update before."""
    outcomes = workers.outcomes

    def changing(*arguments: Any) -> Any:
        Image.fromarray(samples(9)).save("photos/a.png")
        return outcomes(*arguments)

    monkeypatch.setattr(workers, "outcomes", changing)
    assert run([*BLUR, "photos", "out"]) == 0
    monkeypatch.setattr(workers, "outcomes", outcomes)
    Image.fromarray(samples(8)).save("photos/a.png")
    assert run([*BLUR, "--update", "photos", "out"]) == 0
    assert is_blurred("out/a.png", 8)
