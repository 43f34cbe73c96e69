"""Several pictures in sequence in a file or a stream: all are filtered in order, or an error is raised."""

import io
import itertools
import os
import subprocess
import sys
import tracemalloc
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import convfilter as cf
from convfilter.cli.root import run
from convfilter.errors import ReadError, WriteError
from convfilter.picture.options import WriteOptions
from convfilter.picture.read import ReadOptions, read
from convfilter.pipeline import Options, filter_file

pytestmark = pytest.mark.usefixtures("folder")

BOX = Options(["box:3"])


def pictures(suffix, count=3):
    """Pictures of several sizes and kinds that a format holds."""
    rng = np.random.default_rng(3)
    channels = {"ppm": (3, 1, 3), "pgm": (1, 1, 1), "pam": (4, 1, 2), "pfm": (3, 1, 1)}.get(suffix, (3, 3, 3))
    made = []
    for number in range(count):
        shape = (9 + number, 11, channels[number % 3])
        pixels = rng.integers(0, 4, shape, np.uint8) * np.uint8(60)
        if suffix == "pfm":
            pixels = pixels.astype(np.float32) / 255
        if suffix == "ppm" and number == 2:
            pixels = pixels.astype(np.uint16) * 257
        made.append(pixels[..., 0] if shape[2] == 1 else pixels)
    return made


def concatenated(suffix, count=3, between=b""):
    files = []
    for pixels in pictures(suffix, count):
        # A PPM cannot be grey; its reader takes a PGM all the same.
        name = f"one.{'pgm' if suffix == 'ppm' and pixels.ndim == 2 else suffix}"
        cf.write(name, pixels)
        files.append(Path(name).read_bytes())
    return between.join(files)


def filtered_apart(suffix):
    for pixels in pictures(suffix):
        yield cf.box_blur(pixels, 3, alpha=pixels.ndim == 3 and pixels.shape[2] in (2, 4))


def assert_all_filtered(data, suffix):
    at = 0
    for expected in filtered_apart(suffix):
        kept = read(io.BytesIO(data[at:]), ReadOptions(allow_loss=True)).pixels
        np.testing.assert_array_equal(kept, expected)
        cf.write("again.pgm" if suffix == "ppm" and kept.ndim == 2 else f"again.{suffix}", kept)
        at += Path("again.pgm" if suffix == "ppm" and kept.ndim == 2 else f"again.{suffix}").stat().st_size
    assert at == len(data)


def standard_input(monkeypatch, data):
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(data), isatty=lambda: False))


@pytest.mark.parametrize("suffix", ["ppm", "pgm", "pam", "pfm"])
@pytest.mark.parametrize("source", ["in", "-"])
def test_all_pictures_of_a_file_and_a_stream_are_filtered(monkeypatch, suffix, source):
    data = concatenated(suffix, between=b"\n" if suffix == "pgm" else b"")
    standard_input(monkeypatch, data)
    Path(f"in.{suffix}").write_bytes(data)
    report = filter_file("-" if source == "-" else f"in.{suffix}", f"out.{suffix}", BOX)
    assert report.frames == 3 and report.notes == ()
    assert_all_filtered(Path(f"out.{suffix}").read_bytes(), suffix)


def test_in_place_and_in_a_folder():
    Path("photos").mkdir()
    Path("photos/in.ppm").write_bytes(concatenated("ppm"))
    assert run(["blur", "--box", "3", "photos", "out"]) == 0
    assert run(["blur", "--box", "3", "--in-place", "photos/in.ppm"]) == 0
    for name in ("out/in.ppm", "photos/in.ppm"):
        assert_all_filtered(Path(name).read_bytes(), "ppm")


def test_each_picture_comes_out_before_the_next_is_read():
    first, second = pictures("ppm", 1)[0], np.full((9, 11, 3), 7, np.uint8)
    cf.write("a.ppm", first)
    cf.write("b.ppm", second)
    size = Path("a.ppm").stat().st_size
    command = [sys.executable, "-m", "convfilter", "blur", "--box", "3", "-", "-"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as program:
        program.stdin.write(Path("a.ppm").read_bytes() + Path("b.ppm").read_bytes()[:40])
        program.stdin.flush()
        data = program.stdout.read(size)  # would wait without end
        np.testing.assert_array_equal(read(io.BytesIO(data)).pixels, cf.box_blur(first, 3))
        program.stdin.write(Path("b.ppm").read_bytes()[40:])
        program.stdin.close()
        np.testing.assert_array_equal(read(io.BytesIO(program.stdout.read())).pixels, second)
        assert program.wait(60) == 0


def test_a_pipe_with_a_name_is_kept_open(monkeypatch):
    standard_input(monkeypatch, concatenated("ppm"))
    os.mkfifo("pipe")
    with subprocess.Popen(["cat", "pipe"], stdout=subprocess.PIPE) as reader:
        filter_file("-", "pipe", BOX)
        assert_all_filtered(reader.stdout.read(), "ppm")


class Endless:
    """A stream of ``count`` pictures of a megabyte, which are made as they are read."""

    def __init__(self, count):
        self._picture = b"P5 1000 1000 255\n" + bytes(1_000_000)
        self._left = io.BytesIO()
        self._count = count

    def read(self, size):
        content = b""
        while len(content) < size:
            more = self._left.read(size - len(content))
            content += more
            if not more:
                if not self._count:
                    break
                self._count -= 1
                self._left = io.BytesIO(self._picture)
        return content


def test_memory_does_not_grow_with_the_number_of_pictures(monkeypatch):
    os.mkfifo("pipe")
    peaks = []
    for count in (5, 45):
        monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=Endless(count), isatty=lambda: False))
        with subprocess.Popen(["wc", "-c", "pipe"], stdout=subprocess.PIPE) as reader:
            tracemalloc.start()
            try:
                report = filter_file("-", "pipe", BOX)
                peaks.append(tracemalloc.get_traced_memory()[1])
            finally:
                tracemalloc.stop()
            assert int(reader.stdout.read().split()[0]) == count * (1_000_016 + 1)
        assert report.frames == count
    assert peaks[1] < peaks[0] + 4 * 2**20


class EndlessRows:
    """A stream of one picture, 3,000 bytes a row, whose rows are made as they are read."""

    def __init__(self, rows, sent=None):
        self._header = io.BytesIO(b"P6 1000 %d 255\n" % rows)
        self._left = 3000 * (rows if sent is None else sent)

    def read(self, size):
        content = self._header.read(size)
        count = min(size - len(content), self._left)
        self._left -= count
        return content + bytes(count)


@pytest.mark.parametrize("specs", [["box:3"], ["gaussian:20", "sobel:magnitude", "maxpool:2"]], ids=["one", "stack"])
@pytest.mark.parametrize("name", ["out.ppm", "out.png"])
def test_memory_does_not_grow_with_the_rows_of_a_picture(monkeypatch, specs, name):
    peaks = []
    for rows in (4_000, 16_000):
        monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=EndlessRows(rows), isatty=lambda: False))
        tracemalloc.start()
        try:
            filter_file("-", name, Options(specs))
            peaks.append(tracemalloc.get_traced_memory()[1])
        finally:
            tracemalloc.stop()
    assert peaks[1] < peaks[0] + 4 * 2**20


def test_a_stream_that_ends_early_leaves_the_old_output(monkeypatch):
    Path("out.png").write_bytes(b"before")
    stream = EndlessRows(6_000, sent=5_000)
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=stream, isatty=lambda: False))
    with pytest.raises(ReadError, match=r"^the PNM is truncated: 15000000 of 18000000 bytes are there"):
        filter_file("-", "out.png", BOX)
    assert Path("out.png").read_bytes() == b"before" and os.listdir() == ["out.png"]
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=EndlessRows(60, sent=50), isatty=lambda: False))
    report = filter_file("-", "out.png", BOX._replace(read=ReadOptions(lenient=True)))
    assert report.notes == ("the PNM is truncated: 150000 of 180000 bytes are there",)


def test_filters_that_read_samples_again_take_a_stream(monkeypatch):
    data = concatenated("pam", 1)
    for specs in (["normalize"], ["gaussian:2,padding_mode=wrap"], ["scale:1e38", "scale:1e38", "gaussian:20"]):
        standard_input(monkeypatch, data)
        filter_file("-", "out.png", Options(specs))
        Path("in.pam").write_bytes(data)
        filter_file("in.pam", "apart.png", Options(specs))
        assert Path("out.png").read_bytes() == Path("apart.png").read_bytes()


def test_a_picture_of_a_series_can_be_chosen(monkeypatch):
    data = concatenated("pgm")
    for source in ("in.pgm", "-"):
        Path("in.pgm").write_bytes(data)
        for index in (0, 1, 2, -1, -3):
            standard_input(monkeypatch, data)
            filter_file(source, "out.png", BOX._replace(read=ReadOptions(frame=index)))
            np.testing.assert_array_equal(read("out.png").pixels, cf.box_blur(pictures("pgm")[index], 3))
        for index in (3, -4):
            standard_input(monkeypatch, data)
            with pytest.raises(ReadError, match=f"the frame must be 0 to 2, got {index}"):
                filter_file(source, "out.png", BOX._replace(read=ReadOptions(frame=index)))


@pytest.mark.parametrize("name", ["out.png", "out.jpg", "out.tif", "out.npy"])
def test_formats_of_one_picture_refuse_several(monkeypatch, name):
    data = concatenated("pgm")
    standard_input(monkeypatch, data)
    with pytest.raises(WriteError, match=r"holds one picture.*several.*frame=N.*allow_loss"):
        filter_file("-", name, BOX)
    assert not Path(name).exists()
    standard_input(monkeypatch, data)
    (note,) = filter_file("-", name, BOX._replace(write=WriteOptions(allow_loss=True))).notes
    assert "holds one picture" in note
    one = concatenated("pgm", 1)
    standard_input(monkeypatch, one)
    assert filter_file("-", name, BOX).notes == ()


def test_damage_in_a_stream_is_reported_with_the_number_of_the_picture(monkeypatch):
    data = concatenated("pgm")
    for broken, message in (
        (data[:-5], "picture 3: the PNM is truncated"),
        (data + b"rubbish", "the data after picture 3 are not a picture"),
    ):
        standard_input(monkeypatch, broken)
        with pytest.raises(ReadError, match=message):
            filter_file("-", "out.pgm", BOX)
        assert not Path("out.pgm").exists()
    standard_input(monkeypatch, concatenated("pgm", 1) + b"rubbish")
    assert filter_file("-", "out.pgm", BOX).notes == (
        "the data after the picture are not a picture; they are left out",
    )
    standard_input(monkeypatch, concatenated("pgm", 1) + b"rubbish")
    with pytest.raises(ReadError, match=r"the data after the picture are not a picture.*strict"):
        filter_file("-", "strict.pgm", BOX._replace(read=ReadOptions(strict=True)))
    assert not Path("strict.pgm").exists()
    for huge in (b"P5 70000 70000 255\n", b"P7\nWIDTH 70000\nHEIGHT 70000\nDEPTH 1\nMAXVAL 255\nENDHDR\n"):
        standard_input(monkeypatch, concatenated("pgm", 1) + huge)
        with pytest.raises(cf.SizeError, match="max_pixels"):
            filter_file("-", "out.pgm", BOX)


@pytest.mark.parametrize("suffix", ["png", "jpg", "bmp", "gif", "webp", "avif"])
@pytest.mark.parametrize("source", ["in", "-"])
def test_other_formats_refuse_several(monkeypatch, suffix, source):
    data = concatenated(suffix, 2)
    Path(f"in.{suffix}").write_bytes(data)
    standard_input(monkeypatch, data)
    where = "-" if source == "-" else f"in.{suffix}"
    with pytest.raises(ReadError, match=r"more than one \w+, one after the other; .*allow_loss"):
        filter_file(where, "out.png", BOX)
    standard_input(monkeypatch, data)
    accepting = BOX._replace(read=ReadOptions(allow_loss=True), write=WriteOptions(allow_loss=True))
    assert any("more than one" in note for note in filter_file(where, "out.png", accepting).notes)
    Path(f"one.{suffix}").write_bytes(concatenated(suffix, 1) + bytes(9))
    assert not any("more than one" in note for note in filter_file(f"one.{suffix}", "out.png", accepting).notes)


def test_readers_of_one_picture_refuse_several():
    raw = [
        b"P6 1 1 255\nabc", b"P7\nWIDTH 1\nHEIGHT 1\nDEPTH 1\nMAXVAL 255\nTUPLTYPE GRAYSCALE\nENDHDR\na",
        b"Pf\n1 1\n-1.0\nabcd",
    ]  # fmt: skip
    plain = b"P2 2 1 9 3 4\n"
    for first, second in itertools.product([*raw, plain], raw):
        Path("in.pnm").write_bytes(first + second)
        with pytest.raises(ReadError, match="more than one PNM"):
            read("in.pnm")
    Path("plain.pgm").write_bytes(plain + plain)
    with pytest.raises(ReadError, match="more than one PNM"):
        read("plain.pgm")
    with pytest.raises(ReadError, match="more than one PNM"):
        filter_file("plain.pgm", "out.pgm", BOX)
