"""Streaming by rows: the same files as from whole pictures, and no partial output after damage."""

import os
import struct
import tracemalloc
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from samples import noise

import convfilter as cf
from convfilter import pipeline
from convfilter.engine.executable_cache import executables
from convfilter.errors import ReadError
from convfilter.executor.run import run_rows
from convfilter.filters import stack
from convfilter.picture import row_source
from convfilter.picture.codecs import pnm_layout
from convfilter.picture.options import WriteOptions
from convfilter.picture.place import streams
from convfilter.picture.png import samples as png_data
from convfilter.picture.png.write import _write_chunk
from convfilter.planning import plan_stack


@pytest.fixture(autouse=True)
def small_bands(monkeypatch):
    """Set small bands and blocks, so that small pictures have several."""
    monkeypatch.setattr(png_data, "BLOCK_BYTES", 2000)
    monkeypatch.setattr("convfilter.picture.png.write.STRIP_BYTES", 3000)
    monkeypatch.setattr("convfilter.picture.jpeg.write.BAND_BYTES", 8000)
    monkeypatch.setattr("convfilter.picture.png.read.OVERLAP_BYTES", 0)
    monkeypatch.setattr(pnm_layout, "BAND_BYTES", 1500)


@pytest.mark.parametrize("suffix", ["png", "jpg", "tif", "ppm", "pfm"])
@pytest.mark.parametrize("specs", [("gaussian:2",), ("gaussian:9",), ("box:3", "sobel:magnitude")], ids="|".join)
def test_threads_write_bands_of_a_picture_that_is_decoded_whole(tmp_path, specs, suffix, monkeypatch):
    monkeypatch.setattr("convfilter.engine.schedule.WORTH_A_THREAD", 0)
    cf.write(tmp_path / "in.jpg", noise((403, 90, 3)))
    for threads in (1, 2, 3):
        report = filtered(tmp_path / "in.jpg", tmp_path / f"{threads}.{suffix}", *specs, threads=threads)
        assert "input not streamed" in report.not_streamed
    first, *others = [(tmp_path / f"{threads}.{suffix}").read_bytes() for threads in (1, 2, 3)]
    assert others == [first, first]


def filtered(source, target, *specs, **options):
    """Filter a file; returns the report."""
    return pipeline.filter_file(str(source), str(target), pipeline.Options(specs=specs, **options))


STACKS = [
    ("gaussian:1.5",),
    ("gaussian:9",),
    ("box:3", "sobel:magnitude", "maxpool:2"),
    ("kernel:1 2 3; 4 5 6; 7 8 9,stride=3x2,padding=full",),
    ("box:301x3",),
    ("identity:padding=valid",),
    ("gaussian:2,padding_mode=reflect", "unsharp:2"),
]


@pytest.mark.parametrize("specs", STACKS, ids="|".join)
@pytest.mark.parametrize("suffix", ["png", "ppm"])
@pytest.mark.parametrize("threads", [1, 3])
def test_files_are_those_of_whole_pictures(tmp_path, specs, suffix, threads):
    pixels = noise((203, 90, 3))
    cf.write(tmp_path / f"in.{suffix}", pixels)
    report = filtered(tmp_path / f"in.{suffix}", tmp_path / f"out.{suffix}", *specs, threads=threads)
    assert report.not_streamed == ""
    cf.write(tmp_path / f"whole.{suffix}", cf.apply(pixels, *specs))
    assert (tmp_path / f"out.{suffix}").read_bytes() == (tmp_path / f"whole.{suffix}").read_bytes()


@pytest.mark.parametrize("specs", [("maxpool:2,stride=100",), ("gaussian:1", "box:3,stride=300")])
def test_rows_that_no_window_needs_are_dropped(tmp_path, specs):
    pixels = noise((600, 1200, 3))
    cf.write(tmp_path / "in.ppm", pixels)
    assert filtered(tmp_path / "in.ppm", tmp_path / "out.ppm", *specs).not_streamed == ""
    np.testing.assert_array_equal(cf.read(tmp_path / "out.ppm").pixels, cf.apply(pixels, *specs))


@pytest.mark.parametrize(
    ("shape", "dtype", "suffix"),
    [
        ((70, 50), "uint8", "png"),
        ((70, 50), "uint16", "png"),
        ((70, 50, 4), "uint16", "png"),
        ((70, 50, 2), "uint8", "png"),
        ((70, 50, 4), "uint8", "pam"),
        ((70, 50), "uint16", "pgm"),
        ((70, 50, 3), "float32", "pfm"),
        ((70, 50), "float32", "pfm"),
        ((1, 1), "uint8", "png"),
        ((500, 1, 3), "uint8", "png"),
        ((70, 50), "uint8", "jpg"),
        ((170, 150, 3), "uint8", "jpg"),
    ],
)
def test_every_kind_of_samples_passes(tmp_path, shape, dtype, suffix):
    pixels = noise(shape, dtype)
    source = tmp_path / f"in.{'png' if suffix == 'jpg' else suffix}"
    cf.write(source, pixels)
    report = filtered(source, tmp_path / f"out.{suffix}", "gaussian:1")
    assert report.not_streamed == ""
    alpha = len(shape) == 3 and shape[2] in (2, 4)
    cf.write(tmp_path / f"whole.{suffix}", cf.gaussian_blur(pixels, 1, alpha=alpha))
    assert (tmp_path / f"out.{suffix}").read_bytes() == (tmp_path / f"whole.{suffix}").read_bytes()


@pytest.mark.parametrize("mode", ["1", "P", "L"])
def test_palettes_and_few_bits_pass(tmp_path, mode):
    image = Image.fromarray(noise((60, 70, 3)))
    image = image.quantize(16) if mode == "P" else image.convert(mode)
    image.save(tmp_path / "in.png", **({"bits": 4} if mode == "P" else {}))
    assert filtered(tmp_path / "in.png", tmp_path / "out.png", "box:3").not_streamed == ""
    expected = cf.box_blur(np.asarray(image.convert("RGB" if mode == "P" else "L")), 3)
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "out.png")), expected)


@pytest.mark.parametrize("options", [{"linear": True}, {"write": WriteOptions(background="red")}])
@pytest.mark.parametrize("both", [False, True])
def test_linear_light_and_backgrounds_pass(tmp_path, options, both):
    if both:
        options = {"linear": True, "write": WriteOptions(background="red")}
    pixels = noise((120, 40, 4))
    cf.write(tmp_path / "in.png", pixels)
    report = filtered(tmp_path / "in.png", tmp_path / "out.png", "gaussian:2", **options)
    assert report.not_streamed == ""
    # A report needs the whole picture.
    whole = filtered(tmp_path / "in.png", tmp_path / "whole.png", "gaussian:2", look=lambda *_: None, **options)
    assert "report" in whole.not_streamed
    assert (tmp_path / "out.png").read_bytes() == (tmp_path / "whole.png").read_bytes()
    assert report.clipped == whole.clipped


@pytest.mark.parametrize(
    ("make", "specs", "reason"),
    [
        (lambda path: cf.write(path / "in.png", noise((9, 8, 3))), ("normalize",), "range of all samples"),
        (lambda path: cf.write(path / "in.png", noise((9, 8, 3))), ("sobel:x,map=stretch",), "range of all samples"),
        (lambda path: cf.write(path / "in.png", noise((9, 8, 3))), ("box:3,padding_mode=wrap",), "last rows first"),
        (lambda path: interlaced(path / "in.png"), ("box:3",), "interlaced"),
        (lambda path: turned(path / "in.png"), ("box:3",), "orientation"),
    ],
)
def test_runs_that_need_all_rows_give_the_reason(tmp_path, make, specs, reason):
    make(tmp_path)
    report = filtered(tmp_path / "in.png", tmp_path / "out.png", *specs)
    assert reason in report.not_streamed
    assert reason in report.line


def interlaced(path):
    """Write a picture of one pixel in all passes."""
    row = b"\0" + bytes(3)
    header = struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 1)
    with open(path, "wb") as file:
        file.write(b"\x89PNG\r\n\x1a\n")
        for kind, data in ((b"IHDR", header), (b"IDAT", zlib.compress(row)), (b"IEND", b"")):
            _write_chunk(file, kind, data)


def turned(path):
    exif = Image.Exif()
    exif[274] = 6
    Image.fromarray(noise((9, 8, 3))).save(path, exif=exif)


def test_other_reasons_are_those_of_the_formats(tmp_path):
    cf.write(tmp_path / "in.png", noise((20, 30, 3)))
    assert filtered(
        tmp_path / "in.png", tmp_path / "out.gif", "box:3", write=WriteOptions(allow_loss=True)
    ).not_streamed
    assert "one piece" in filtered(tmp_path / "in.png", tmp_path / "out.bmp", "box:3").not_streamed
    best = WriteOptions(compression="best")
    assert "deflates" in filtered(tmp_path / "in.png", tmp_path / "out.png", "box:3", write=best).not_streamed
    assert "progressive" in filtered(tmp_path / "in.png", tmp_path / "out.jpg", "box:3", write=best).not_streamed
    cf.write(tmp_path / "in.jpg", noise((20, 30, 3)))
    assert "input not streamed" in filtered(tmp_path / "in.jpg", tmp_path / "out.png", "box:3").not_streamed
    cf.write(tmp_path / "in.pfm", noise((20, 30, 3), "float32"))
    assert (
        "checked for values that uint16 cannot hold"
        in filtered(tmp_path / "in.pfm", tmp_path / "out.png", "box:3").not_streamed
    )


def damaged_late(path, pixels):
    """Write a PNG whose last IDAT chunk has a wrong checksum."""
    cf.write(path, pixels)
    data = bytearray(path.read_bytes())
    at = data.rindex(b"IDAT") + 4 + int.from_bytes(data[data.rindex(b"IDAT") - 4 : data.rindex(b"IDAT")], "big")
    data[at] ^= 1
    path.write_bytes(bytes(data))


@pytest.mark.parametrize("specs", [("box:3",), ("kernel:1,padding=valid,stride=400",)])
def test_damage_after_the_last_row_leaves_the_old_output(tmp_path, specs):
    """Also if no window of the filter reads the last rows."""
    source, target = tmp_path / "in.png", tmp_path / "out.png"
    damaged_late(source, noise((301, 50, 3)))
    target.write_bytes(b"old")
    with pytest.raises(ReadError, match="wrong checksum in its IDAT"):
        filtered(source, target, *specs)
    assert target.read_bytes() == b"old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.png", "out.png"]


@pytest.mark.parametrize("cut", [0.3, 0.7, 0.99])
def test_a_truncated_file_leaves_the_old_output(tmp_path, cut):
    source, target = tmp_path / "in.png", tmp_path / "out.png"
    cf.write(source, noise((301, 50, 3)))
    data = source.read_bytes()
    source.write_bytes(data[: int(len(data) * cut)])
    target.write_bytes(b"old")
    with pytest.raises(ReadError, match="truncated"):
        filtered(source, target, "box:3")
    assert target.read_bytes() == b"old"


@pytest.mark.parametrize("threads", [1, 2])
def test_a_sample_that_would_spread_begins_the_file_anew(tmp_path, threads):
    """The sample is in the middle of the picture, after rows that have been written already."""
    pixels = noise((400, 60, 3), "float32")
    pixels[300, 30, 1] = np.nan
    cf.write(tmp_path / "in.pfm", pixels)
    assert filtered(tmp_path / "in.pfm", tmp_path / "out.pfm", "gaussian:9", threads=threads).not_streamed == ""
    cf.write(tmp_path / "whole.pfm", cf.gaussian_blur(pixels, 9))
    assert (tmp_path / "out.pfm").read_bytes() == (tmp_path / "whole.pfm").read_bytes()


def through_pipe(source, fmt, *specs, **options):
    """Filter a file into a pipe that has room for the result; returns its content and the error."""
    read_end, write_end = os.pipe()
    error = None
    with open(read_end, "rb") as reader:
        with open(write_end, "wb"):
            try:
                filtered(
                    source, f"/dev/fd/{write_end}", *specs, write=WriteOptions(format=fmt, allow_loss=True), **options
                )
            except ReadError as caught:
                error = caught
        return reader.read(), error


@pytest.mark.parametrize("suffix", ["ppm", "png", "jpg", "tif", "pfm", "bmp"])
@pytest.mark.parametrize("most_held", [0, 5000])
def test_a_pipe_gets_the_bytes_of_a_file(tmp_path, monkeypatch, suffix, most_held):
    monkeypatch.setattr(streams, "MOST_HELD", most_held)
    cf.write(tmp_path / "in.ppm", noise((120, 40, 3)))
    filtered(tmp_path / "in.ppm", tmp_path / f"out.{suffix}", "box:3", write=WriteOptions(allow_loss=True))
    content, error = through_pipe(tmp_path / "in.ppm", suffix, "box:3")
    assert error is None
    assert content == (tmp_path / f"out.{suffix}").read_bytes()


@pytest.mark.parametrize(("suffix", "is_streamed"), [("ppm", True), ("png", True), ("jpg", True), ("tif", False)])
def test_only_a_large_picture_enters_a_pipe_before_it_is_sound(tmp_path, monkeypatch, suffix, is_streamed):
    source = tmp_path / "in.png"  # of which a megabyte is read at a time
    damaged_late(source, noise((1500, 1000, 3)))
    content, error = through_pipe(source, suffix, "box:3,stride=10", threads=1)
    assert content == b"" and "wrong checksum" in str(error)
    monkeypatch.setattr(streams, "MOST_HELD", 5000)
    content, error = through_pipe(source, suffix, "box:3,stride=10", threads=1)
    assert (len(content) > 5000) == is_streamed and "wrong checksum" in str(error)


def test_a_redirected_file_has_its_old_size_after_damage(tmp_path, monkeypatch):
    monkeypatch.setattr(streams, "MOST_HELD", 1000)
    source, target = tmp_path / "in.png", tmp_path / "out.ppm"
    damaged_late(source, noise((1500, 1000, 3)))
    for flags, old in ((0, b""), (os.O_APPEND, b"old")):
        target.write_bytes(old)
        descriptor = os.open(target, os.O_WRONLY | flags)
        with open(descriptor, "wb") as file:
            with pytest.raises(ReadError, match="wrong checksum"):
                filtered(source, f"/dev/fd/{descriptor}", "box:3,stride=10", write=WriteOptions(format="ppm"))
            assert target.read_bytes() == old
            file.write(b", more")
        assert target.read_bytes() == old + b", more"


def test_a_run_that_may_begin_anew_is_held(tmp_path, monkeypatch):
    """The infinity is found in the middle of the picture."""
    monkeypatch.setattr(streams, "MOST_HELD", 1000)
    pixels = np.zeros((400, 20, 3), np.float32)
    pixels[300, 10, 1] = np.inf
    cf.write(tmp_path / "in.pfm", pixels)
    content, error = through_pipe(tmp_path / "in.pfm", "ppm", "gaussian:9")
    filtered(tmp_path / "in.pfm", tmp_path / "whole.ppm", "gaussian:9", write=WriteOptions(allow_loss=True))
    assert error is None and content == (tmp_path / "whole.ppm").read_bytes()
    clipped = cf.read(tmp_path / "whole.ppm").pixels[:, 10, 1] > 0
    assert list(np.flatnonzero(clipped)[[0, -1]]) == [300 - 54, 300 + 54]


def test_metadata_after_the_samples_is_kept(tmp_path):
    source = tmp_path / "in.png"
    cf.write(source, noise((40, 50, 3)))
    data = source.read_bytes()
    with open(source, "wb") as file:
        file.write(data[:-12])
        _write_chunk(file, b"tEXt", b"Author\0somebody")
        file.write(data[-12:])
    filtered(source, tmp_path / "out.png", "box:3")
    assert Image.open(tmp_path / "out.png").text["Author"] == "somebody"


def test_a_picture_may_replace_its_own_file(tmp_path):
    path = tmp_path / "in.png"
    pixels = noise((300, 50, 3))
    cf.write(path, pixels)
    filtered(path, path, "box:3", in_place=True)
    np.testing.assert_array_equal(cf.read(path).pixels, cf.box_blur(pixels, 3))


def test_few_rows_are_held(tmp_path, monkeypatch):
    """Of a picture of 60 MB, no more than bands, blocks and what a window sees are in memory at a time."""
    monkeypatch.undo()
    height, width = 5000, 4000
    with open(tmp_path / "in.ppm", "wb") as file:
        file.write(b"P6 %d %d 255\n" % (width, height))
        for top in range(0, height, 100):
            file.write(np.full((100, width, 3), top % 256, np.uint8).tobytes())
    filtered(tmp_path / "in.ppm", tmp_path / "out.ppm", "gaussian:4")  # and load all modules
    tracemalloc.start()
    try:
        filtered(tmp_path / "in.ppm", tmp_path / "out.ppm", "gaussian:4")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert Path(tmp_path / "out.ppm").stat().st_size == height * width * 3 + 17
    assert peak < height * width * 3 / 2.5


class WideRows:
    """A source of rows of 40,000 pixels, and a sink that drops rows."""

    shape, dtype = (400, 40_000, 3), np.dtype(np.uint8)

    def read(self, out):
        out[:] = 0

    def write(self, rows):
        """Drop rows."""

    def restart(self):
        """There is nothing to begin again."""


@pytest.mark.parametrize(("sigma", "most"), [(4, 15e6), (5, 72e6), (8, 66e6), (20, 76e6)])
def test_few_wide_rows_are_held(sigma, most):
    plan = plan_stack(stack.stages([f"gaussian:{sigma}"]), WideRows.shape, WideRows.dtype)
    run_rows(plan, WideRows(), WideRows(), threads=2)  # and load all loops
    executables.forget()
    tracemalloc.start()
    try:
        run_rows(plan, WideRows(), WideRows(), threads=2)
        assert tracemalloc.get_traced_memory()[1] < most
    finally:
        tracemalloc.stop()
        executables.forget()


# Row sources ---------------------------------------------------------------------


@pytest.mark.parametrize("ahead", [False, True])
def test_bands_give_rows_in_any_portions(ahead):
    pixels = noise((23, 5, 2))
    bands = row_source.LazyRows(
        pixels.shape, pixels.dtype, lambda: (pixels[top : top + 4] for top in range(0, 23, 4)), ahead=ahead
    )
    for _ in range(2):
        got = [np.empty((count, 5, 2), np.uint8) for count in (1, 9, 6, 7)]
        for rows in got:
            bands.read(rows)
        np.testing.assert_array_equal(np.concatenate(got), pixels)
        bands.restart()
    np.testing.assert_array_equal(bands.decoded(), pixels)


@pytest.mark.parametrize("ahead", [False, True])
def test_whatever_a_decoder_raises_is_damage(ahead):
    def bands():
        yield np.zeros((1, 2, 3), np.uint8)
        raise IndexError("beyond the end")

    source = row_source.LazyRows((2, 2, 3), np.dtype(np.uint8), bands, ahead=ahead, name="XYZ")
    with pytest.raises(ReadError, match="the XYZ is damaged or of an unsupported kind: beyond the end"):
        source.decoded()
