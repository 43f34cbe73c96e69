"""Frames: none is lost, each is a whole canvas, and time and repetitions are kept."""

import io
import struct
import zlib
from types import SimpleNamespace

import imagecodecs
import numpy as np
import pytest
from PIL import Image
from pngs import RGB, RGBA, SIGNATURE, chunk, ihdr, pixels_of

from convfilter.errors import ReadError, WriteError
from convfilter.picture.frame import Frame, changed_area
from convfilter.picture.options import ReadOptions, WriteOptions
from convfilter.picture.picture import Picture
from convfilter.picture.pillow import gif
from convfilter.picture.place.target import resolve_target
from convfilter.picture.png.animation import Control
from convfilter.picture.read import read
from convfilter.picture.write import write


def few_colours(seed, alpha=False):
    rng = np.random.default_rng(seed)
    pixels = np.array([[0, 0, 0], [255, 0, 0], [0, 255, 0], [250, 250, 250]], np.uint8)[rng.integers(0, 4, (20, 30))]
    if not alpha:
        return pixels
    opacity = np.where(rng.random((20, 30)) < 0.3, 0, 255).astype(np.uint8)
    return np.dstack([np.where(opacity[:, :, None] > 0, pixels, 0), opacity])


def animation(alpha=False, loop=0):
    arrays = [few_colours(seed, alpha) for seed in (1, 2, 3)]
    arrays.insert(2, arrays[1])
    picture = Picture(
        [Frame(each, (delay, 100)) for each, delay in zip(arrays, (10, 25, 3, 100), strict=True)], "rgb", alpha
    )
    picture.metadata.loop = loop
    return picture


@pytest.mark.parametrize(("suffix", "pages"), [("png", 5), ("gif", 4), ("webp", 4), ("tif", 4), ("bmp", 1), ("qoi", 1)])
def test_the_picture_for_programs_without_animation_is_lost_with_a_note(tmp_path, suffix, pages):
    picture = animation()
    shown = picture.frames[0].pixels
    picture.frames.insert(0, Frame(few_colours(9), fallback=True))
    notes = write(tmp_path / f"a.{suffix}", picture, WriteOptions(allow_loss=True))
    assert any("the picture that only programs without animation show; use png" in note for note in notes) == (
        pages < 5
    )
    frames = read(tmp_path / f"a.{suffix}").frames
    assert len(frames) == pages
    if suffix != "webp":
        np.testing.assert_array_equal(frames[pages == 5].pixels, shown)


def assert_same(picture, expected):
    assert len(picture.frames) == len(expected.frames)
    for frame, other in zip(picture.frames, expected.frames, strict=True):
        np.testing.assert_array_equal(frame.pixels, other.pixels)
        assert frame.delay[0] / frame.delay[1] == other.delay[0] / other.delay[1]


@pytest.mark.parametrize("loop", [0, 1, 2, 7])
@pytest.mark.parametrize("alpha", [False, True])
@pytest.mark.parametrize("suffix", ["gif", "png"])
def test_animations_survive(tmp_path, suffix, alpha, loop):
    expected = animation(alpha, loop)
    write(resolve_target(tmp_path / f"a.{suffix}"), expected)
    picture = read(tmp_path / f"a.{suffix}")
    assert_same(picture, expected)
    assert picture.metadata.loop == loop
    assert picture.alpha == alpha


@pytest.mark.parametrize("alpha", [False, True])
def test_webp_keeps_frames_and_time(tmp_path, alpha):
    expected = animation(alpha, loop=3)
    expected.metadata.exif = b"II*\0\x08\0\0\0\0\0\0\0\0\0"
    expected.metadata.xmp = b"<x:xmpmeta xmlns:x='adobe:ns:meta/'/>"
    expected.metadata.lossless = True
    write(resolve_target(tmp_path / "a.webp"), expected)
    picture = read(tmp_path / "a.webp")
    assert_same(picture, expected)
    assert (picture.metadata.loop, picture.alpha, picture.metadata.lossless) == (3, alpha, True)
    assert picture.metadata.xmp == expected.metadata.xmp
    expected.metadata.lossless = False
    write(resolve_target(tmp_path / "b.webp"), expected)
    delays = [frame.delay[0] / frame.delay[1] for frame in read(tmp_path / "b.webp").frames]
    assert delays == [0.1, 0.25, 0.03, 1]


def test_a_truncated_webp_animation_keeps_its_complete_frames(tmp_path):
    expected = animation()
    expected.metadata.lossless = True
    write(resolve_target(tmp_path / "a.webp"), expected)
    data = (tmp_path / "a.webp").read_bytes()[:-20]
    with pytest.raises(ReadError):
        read(io.BytesIO(data))
    picture = read(io.BytesIO(data), ReadOptions(lenient=True))
    assert picture.notes
    expected.frames.pop()
    assert_same(picture, expected)


def test_frames_become_pages(tmp_path):
    expected = animation()
    write(resolve_target(tmp_path / "a.tif"), expected)
    picture = read(tmp_path / "a.tif")
    for frame, other in zip(picture.frames, expected.frames, strict=True):
        np.testing.assert_array_equal(frame.pixels, other.pixels)
    with pytest.raises(WriteError, match=r"4 pages.*frame=N"):
        write(resolve_target(tmp_path / "a.gif"), picture)


@pytest.mark.parametrize("suffix", ["gif", "png", "tif"])
def test_one_frame_of_several(tmp_path, suffix):
    expected = animation()
    write(resolve_target(tmp_path / f"a.{suffix}"), expected)
    for index in (0, 2, -1):
        picture = read(tmp_path / f"a.{suffix}", ReadOptions(frame=index))
        assert len(picture.frames) == 1
        np.testing.assert_array_equal(picture.pixels, expected.frames[index].pixels)
        write(resolve_target(tmp_path / "one.jpg"), picture)
    with pytest.raises(ReadError, match="0 to 3, got 4"):
        read(tmp_path / f"a.{suffix}", ReadOptions(frame=4))


def test_many_colours_become_few(tmp_path):
    ramp = np.broadcast_to(np.arange(256, dtype=np.uint8)[:, None, None], (256, 64, 3)).copy()
    ramp[:, :, 1] = np.arange(64) * 4
    write(resolve_target(tmp_path / "a.gif"), Picture.from_array(ramp))
    picture = read(tmp_path / "a.gif")
    assert len(np.unique(picture.pixels.reshape(-1, 3), axis=0)) <= 256
    assert np.abs(picture.pixels.astype(int).mean(axis=(0, 1)) - ramp.mean(axis=(0, 1))).max() < 3


@pytest.mark.parametrize("alpha", [False, True])
def test_gray_gif_is_exact_and_gray(tmp_path, alpha):
    pixels = np.arange(0, 256, 2, dtype=np.uint8).reshape(8, 16)
    if alpha:
        pixels = np.dstack([np.where(pixels > 40, pixels, 0), np.where(pixels > 40, 255, 0).astype(np.uint8)])
    write(resolve_target(tmp_path / "a.gif"), Picture.from_array(pixels))
    picture = read(tmp_path / "a.gif")
    np.testing.assert_array_equal(picture.pixels, pixels)
    assert (picture.model, picture.alpha) == ("gray", alpha)


def gif_of(*frames, **options):
    images = [Image.fromarray(each).quantize(8) for each in frames]
    buffer = io.BytesIO()
    images[0].save(buffer, "GIF", save_all=True, append_images=images[1:], **options)
    return buffer.getvalue()


def test_structure_of_a_gif_is_walked():
    data = gif_of(few_colours(1), few_colours(2), comment=b"x" * 600, loop=0, duration=50)
    assert gif.damage(io.BytesIO(data)) is None

    def said(content: bytes) -> str:
        found = gif.damage(io.BytesIO(content))
        return found.text if found else ""

    for end in range(14, len(data)):
        assert "truncated" in said(data[:end])
    assert "unknown block" in said(data[:-1] + b"\x99;")
    with pytest.raises(ReadError, match="truncated"):
        read(io.BytesIO(data[:-40]))
    assert "truncated" in read(io.BytesIO(data[:-2]), ReadOptions(lenient=True)).notes[0]


def test_a_gif_cut_anywhere_shows_the_frames_before_the_cut():
    shades = [few_colours(seed) for seed in (1, 2, 3)]
    data = gif_of(*shades, duration=50)
    whole, images = read(io.BytesIO(data)), data.count(b"\x2c\0\0\0\0")
    assert images == 3
    counts = []
    for end in range(6, len(data)):
        with pytest.raises(ReadError, match=r"truncated|damaged|ends early"):
            read(io.BytesIO(data[:end]))
        try:
            picture = read(io.BytesIO(data[:end]), ReadOptions(lenient=True))
        except ReadError as error:
            assert error.problem == "the GIF is truncated" and not error.remedy
            counts.append(0)
            continue
        assert picture.notes == ("the GIF is truncated",)
        counts.append(len(picture.frames))
        for frame, expected in zip(picture.frames[:-1], whole.frames, strict=False):
            np.testing.assert_array_equal(frame.pixels, expected.pixels)
    assert counts == sorted(counts) and {*counts} == {0, 1, 2, 3}


def test_too_many_frames_are_refused(monkeypatch):
    monkeypatch.setattr(gif, "MAX_FRAMES", 2)
    data = io.BytesIO(gif_of(few_colours(1), few_colours(2), few_colours(3)))
    for lenient in (False, True):
        with pytest.raises(ReadError, match="more than 2 frames"):
            read(data, ReadOptions(lenient=lenient))


def frame(sequence, samples, left=0, top=0, dispose=0, blend=0, delay=(1, 10)):
    height, width = samples.shape[:2]
    control = struct.pack(">IIIIIHHBB", sequence, width, height, left, top, *delay, dispose, blend)
    return control, zlib.compress(pixels_of(samples, 8))


def apng(colour, *frames):
    """The first frame is the default image too."""
    width, height = struct.unpack(">II", frames[0][0][4:12])
    data = SIGNATURE + ihdr(width, height, 8, colour) + chunk(b"acTL", struct.pack(">II", len(frames), 0))
    sequence = 0
    for index, (control, pixels) in enumerate(frames):
        data += chunk(b"fcTL", struct.pack(">I", sequence) + control[4:])
        sequence += 1
        if index:
            data += chunk(b"fdAT", struct.pack(">I", sequence) + pixels)
            sequence += 1
        else:
            data += chunk(b"IDAT", pixels)
    return data + chunk(b"IEND")


def solid(height, width, *colour):
    return np.broadcast_to(np.array(colour, np.uint8), (height, width, len(colour))).copy()


def test_frames_are_put_where_they_belong():
    red, green = solid(4, 6, 255, 0, 0), solid(2, 3, 0, 255, 0)
    picture = read(io.BytesIO(apng(RGB, frame(0, red), frame(1, green, left=3, top=1, delay=(3, 0)))))
    assert not picture.alpha
    assert picture.frames[1].delay == (3, 100)
    expected = red.copy()
    expected[1:3, 3:6] = green
    np.testing.assert_array_equal(picture.frames[1].pixels, expected)


@pytest.mark.parametrize(("dispose", "left_over"), [(0, (0, 0, 255, 255)), (1, (0, 0, 0, 0)), (2, (255, 0, 0, 255))])
def test_disposal(dispose, left_over):
    first, second, third = solid(4, 4, 255, 0, 0, 255), solid(2, 2, 0, 0, 255, 255), solid(1, 1, 9, 9, 9, 255)
    data = apng(RGBA, frame(0, first), frame(1, second, dispose=dispose), frame(2, third, left=3, top=3))
    np.testing.assert_array_equal(read(io.BytesIO(data)).frames[2].pixels[0, 0], left_over)


def test_disposing_the_first_frame_to_the_previous_canvas_clears_it():
    """PNG third edition, 11.3.7.3: dispose-previous on the first frame means dispose-background."""
    first, second = solid(4, 4, 255, 0, 0, 255), solid(1, 1, 9, 9, 9, 255)
    data = apng(RGBA, frame(0, first, dispose=2), frame(1, second))
    pixels = read(io.BytesIO(data)).frames[1].pixels
    np.testing.assert_array_equal(pixels[:1, :2, :], [[(9, 9, 9, 255), (0, 0, 0, 0)]])


def test_blending_rounds_to_the_nearest():
    below, above = solid(1, 1, 200, 10, 0, 255), solid(1, 1, 0, 100, 0, 100)
    data = apng(RGBA, frame(0, below), frame(1, above, blend=1))
    # 200 * 155/255 = 121.57, (100 * 100 + 10 * 155) / 255 = 45.29
    np.testing.assert_array_equal(read(io.BytesIO(data)).frames[1].pixels[0, 0], (122, 45, 0, 255))


def test_blending():
    below, above = solid(1, 3, 200, 0, 0, 255), solid(1, 3, 0, 100, 0, 0)
    above[0, :, 3] = (0, 102, 255)
    data = apng(RGBA, frame(0, below), frame(1, above, blend=1))
    expected = [[200, 0, 0, 255], [120, 40, 0, 255], [0, 100, 0, 255]]
    np.testing.assert_array_equal(read(io.BytesIO(data)).frames[1].pixels[0], expected)


def test_an_uncovered_canvas_needs_alpha():
    data = apng(RGB, frame(0, solid(2, 2, 9, 9, 9), dispose=1), frame(1, solid(1, 1, 5, 5, 5)))
    picture = read(io.BytesIO(data))
    assert picture.alpha
    np.testing.assert_array_equal(picture.frames[1].pixels[:, :, 3], [[255, 0], [0, 0]])


@pytest.mark.parametrize(
    "second",
    [
        frame(1, solid(2, 2, 1, 1, 1), left=3),
        frame(1, solid(5, 5, 1, 1, 1)),
        frame(1, solid(2, 2, 1, 1, 1), dispose=3),
        frame(1, solid(2, 2, 1, 1, 1), blend=2),
        (struct.pack(">IIIIIHHBB", 1, 0, 1, 0, 0, 1, 1, 0, 0), b""),
        (struct.pack(">IIIIIHHBB", 1, 2**31, 2**31, 2**31, 2**31, 1, 1, 0, 0), b""),
        (b"short", b""),
        (frame(1, solid(2, 2, 1, 1, 1))[0], zlib.compress(b"\0" * 5)),
    ],
)
def test_impossible_frames_are_refused(second):
    with pytest.raises(ReadError):
        read(io.BytesIO(apng(RGB, frame(0, solid(4, 4, 0, 0, 0)), second)))


def test_changed_area():
    before = np.zeros((6, 7, 3), np.uint8)
    after = before.copy()
    assert changed_area(before, after) == (0, 0, 1, 1)
    after[2, 3, 1] = after[4, 1, 0] = 1
    assert changed_area(before, after) == (2, 1, 5, 4)
    assert changed_area(before[..., 0], after[..., 0]) == (4, 1, 5, 2)


@pytest.mark.parametrize("channels", [3, 4])
def test_frames_of_a_deep_avif_keep_their_depth(channels):
    ramp = np.linspace(0, 1000, 24).astype(np.uint16)[None, None, :, None]
    stack = np.broadcast_to(ramp + np.arange(0, 30, 10, dtype=np.uint16)[:, None, None, None], (3, 16, 24, 3)).copy()
    if channels == 4:
        stack = np.concatenate([stack, np.full_like(stack[..., :1], 1023)], axis=-1)
        stack[:, :4, :, 3] = 500
    data = imagecodecs.avif_encode(stack, level=100, bitspersample=10)
    picture = read(io.BytesIO(data))
    assert (len(picture.frames), picture.white, picture.alpha) == (3, 1023, channels == 4)
    for frame, expected in zip(picture.frames, stack, strict=True):
        np.testing.assert_allclose(frame.pixels.astype(int), expected, atol=1)
        assert frame.delay is not None
    (last,) = read(io.BytesIO(data), ReadOptions(frame=-1)).frames
    np.testing.assert_array_equal(last.pixels, picture.frames[2].pixels)


@pytest.mark.parametrize("lies", [(10, 7, 0, 0), (1, 1, 9, 6), (4, 3, 6, 4)])
@pytest.mark.parametrize("off", [(0, 0, 0, 0), (1, 0, 0, 0), (0, 1, 0, 0), (0, 0, 1, 0), (0, 0, 0, 1)])
def test_a_frame_of_an_apng_lies_within_the_picture(lies, off):
    canvas = SimpleNamespace(width=10, height=7)
    data = struct.pack(">IIIIIHHBB", 0, *np.add(lies, off).tolist(), 1, 10, 0, 0)
    if any(off):
        with pytest.raises(ReadError, match="lies outside the picture"):
            Control.parsed(data, canvas)
    else:
        assert Control.parsed(data, canvas)[:4] == lies


@pytest.mark.parametrize("size", [(0, 7), (10, 0)])
def test_a_frame_of_an_apng_has_pixels(size):
    data = struct.pack(">IIIIIHHBB", 0, *size, 0, 0, 1, 10, 0, 0)
    with pytest.raises(ReadError, match="lies outside the picture"):
        Control.parsed(data, SimpleNamespace(width=10, height=7))
