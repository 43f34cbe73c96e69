"""JPEGs that are decoded before the command line is parsed give the same results and messages as others."""

import os

import numpy as np
import pytest
from PIL import Image
from processes import program

from convfilter.cli import main
from convfilter.cli import prefetch as command_line
from convfilter.picture.jpeg import decoder, prefetch
from convfilter.picture.read import opened

SIZE = 48, 64


@pytest.fixture
def photo(tmp_path):
    pixels = np.random.default_rng(1).integers(0, 256, (*SIZE, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "in.jpg", quality=90)
    return tmp_path / "in.jpg"


@pytest.fixture
def started(monkeypatch):
    """Paths that are prefetched, by a machine of two cores."""
    paths = []
    monkeypatch.setattr("convfilter.machine.cores.cores_lately", lambda: 2)
    monkeypatch.setattr(prefetch, "start", paths.append)
    return paths


def test_samples_are_decoded_once_and_the_same(photo, monkeypatch):
    decode, calls = decoder.decode, []

    def counted(data):
        calls.append(data)
        return decode(data)

    monkeypatch.setattr(decoder, "decode", counted)
    monkeypatch.setattr("convfilter.machine.cores.cores_lately", lambda: 2)
    outputs = [photo.with_name(name) for name in ("prefetched.png", "late.png")]
    assert main(["blur", "--gaussian", "1", str(photo), str(outputs[0])]) == 0
    assert len(calls) == 1
    monkeypatch.setattr(prefetch, "start", lambda path: None)
    assert main(["blur", "--gaussian", "1", str(photo), str(outputs[1])]) == 0
    assert len(calls) == 2
    assert outputs[0].read_bytes() == outputs[1].read_bytes()


def test_samples_are_of_the_bytes_that_the_reader_finds(photo):
    prefetch.start(str(photo))
    data = photo.read_bytes()
    assert prefetch.taken(data + b"\0") is None
    assert prefetch.taken(data) is None  # given up
    prefetch.start(str(photo))
    assert np.array_equal(prefetch.taken(data), decoder.decode(data))
    assert prefetch.taken(data) is None  # taken


def test_no_further_thread_waits_for_the_samples(photo):
    prefetch.start(str(photo))
    for is_prefetched in (True, False):
        with opened(str(photo)) as picture:
            (frame,) = picture.frames
            frame.start()
            assert (frame._samples._started is None) == is_prefetched
            assert np.array_equal(frame.pixels, decoder.decode(photo.read_bytes()))


def test_large_pictures_and_other_files_are_left_to_the_reader(photo, monkeypatch):
    monkeypatch.setattr(prefetch, "MOST_SAMPLES", 3 * SIZE[0] * SIZE[1] - 1)
    for path in (photo, photo.with_name("none.jpg"), "/dev/zero"):
        prefetch.start(str(path))
        assert prefetch.taken(photo.read_bytes()) is None


def test_a_fork_waits_for_the_decoder(photo):
    prefetch.start(str(photo))
    child = os.fork()
    if child == 0:
        os._exit(prefetch._prefetched._thread.is_alive())
    assert os.waitpid(child, 0)[1] == 0


def test_the_last_but_one_word_is_the_input(photo, started):
    command_line.start(["blur", "--gaussian", "1", str(photo), "out.png"])
    assert started == [str(photo)]


@pytest.mark.parametrize(
    "words",
    [
        ["info", "--json", "{in}", "{in}"],
        ["blur", "--gaussian", "1", "{in}", "."],
        ["blur", "--gaussian", "1", "none.jpg", "out.jpg"],
        ["blur", "--gaussian", "1", "--threads", "1", "{in}", "out.jpg"],
        ["blur", "--gaussian", "1", "--threads=1", "{in}", "out.jpg"],
        ["blur", "--gaussian", "1", "--config", "c.toml", "{in}", "out.jpg"],
        ["{in}", "out.jpg"],
        [],
    ],
)
def test_other_words_start_nothing(photo, started, words):
    command_line.start([word.replace("{in}", str(photo)) for word in words])
    assert started == []


@pytest.mark.parametrize(
    "words",
    [
        ["blur", "--gaussian", "1", "{in}", "-"],
        ["blur", "{in}", "out.jpg", "--gaussian", "1"],
        ["blur", "--gaussian", "1", "{in}", "{out}", "--overwrite", "-q"],
        ["blur", "--gaussian", "1", "--mask", "{out}", "{in}", "out.png"],
        ["blur", "--gaussian", "1", "{in}", "{out}", "--mask", "{out}"],
    ],
)
def test_the_input_is_found_among_options(photo, started, words):
    other = photo.with_name("other.jpg")
    other.write_bytes(photo.read_bytes())
    command_line.start([word.replace("{in}", str(photo)).replace("{out}", str(other)) for word in words])
    assert started == [str(photo)]


def test_a_configuration_of_threads_starts_nothing(photo, started, monkeypatch):
    monkeypatch.chdir(photo.parent)
    words = ["blur", "--gaussian", "1", "in.jpg", "out.jpg"]
    for text, paths in (("[blur]\nthreads = 1\n", []), ("quality = 90\n", ["in.jpg"])):
        photo.with_name("convfilter.toml").write_text(text)
        command_line.start(words)
        assert started == paths


def test_one_core_starts_nothing(photo, started, monkeypatch):
    monkeypatch.setattr("convfilter.machine.cores.cores_lately", lambda: 1)
    command_line.start(["blur", "--gaussian", "1", str(photo), "out.jpg"])
    assert started == []


@pytest.mark.parametrize(("end", "problem"), [(b"", "is truncated"), (b"\xff\xd9", "ends before its last row")])
def test_damage_is_reported_by_the_reader(photo, end, problem):
    photo.write_bytes(photo.read_bytes()[:-900] + end)
    done = program("blur", "--gaussian", "1", str(photo), str(photo.with_name("out.jpg")))
    assert done.returncode == 1
    assert "in.jpg: " in done.stderr and problem in done.stderr
