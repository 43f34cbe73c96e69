"""The PNG writer: files for other decoders, metadata, and one valid zlib stream."""

import io
import shutil
import struct
import subprocess
import zlib

import imagecodecs
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from pngs import SIGNATURE

from convfilter.picture.frame import Frame
from convfilter.picture.metadata.metadata import Metadata, Text
from convfilter.picture.picture import Picture
from convfilter.picture.png.write import adler32_combine, write_png
from convfilter.picture.read import read


def chunks(data):
    """Take a file apart, checksums checked."""
    assert data.startswith(SIGNATURE)
    at, found = 8, []
    while at < len(data):
        (length,) = struct.unpack_from(">I", data, at)
        kind, body = data[at + 4 : at + 8], data[at + 8 : at + 8 + length]
        assert struct.unpack_from(">I", data, at + 8 + length)[0] == zlib.crc32(kind + body)
        found.append((kind, body))
        at += 12 + length
    return found


def written(frames, metadata=None, **options):
    file = io.BytesIO()
    frames = [frame if isinstance(frame, Frame) else Frame(frame) for frame in frames]
    write_png(file, frames, metadata or Metadata(), **options)
    return file.getvalue()


def smooth(height, width, channels=3, dtype=np.uint8):
    white = np.iinfo(dtype).max
    ramp = np.linspace(0, white, height)[:, None, None] * np.linspace(0.2, 1, width)[:, None]
    noise = np.random.default_rng(5).normal(0, white / 100, (height, width, channels))
    pixels = np.clip(np.rint(ramp + noise), 0, white).astype(dtype)
    return pixels[:, :, 0] if channels == 1 else pixels


@pytest.mark.parametrize("compression", ["fast", "default", "best"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_other_decoders_read_it(channels, dtype, compression):
    pixels = smooth(500, 400, channels, dtype)
    data = written([pixels], compression=compression)
    np.testing.assert_array_equal(imagecodecs.png_decode(data), pixels)
    if dtype == np.uint8:
        np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(data))), pixels)
    stream = b"".join(body for kind, body in chunks(data) if kind == b"IDAT")
    inflater = zlib.decompressobj()
    assert len(inflater.decompress(stream)) == 500 * (1 + 400 * channels * np.dtype(dtype).itemsize)
    assert inflater.eof and not inflater.unused_data


@pytest.mark.peer("cv2")
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_opencv_reads_it(dtype):
    cv2 = pytest.importorskip("cv2")
    pixels = smooth(200, 300, 3, dtype)
    decoded = cv2.imdecode(np.frombuffer(written([pixels]), np.uint8), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(decoded[:, :, ::-1], pixels)


@pytest.mark.skipif(shutil.which("pngcheck") is None, reason="pngcheck is not installed")
def test_pngcheck_finds_nothing(tmp_path):
    metadata = Metadata(resolution=(300, 300), text=[Text("Author", "me"), Text("Title", "☃")], loop=2)
    metadata.exif = b"II*\0\x08\0\0\0\0\0\0\0\0\0"
    (tmp_path / "a.png").write_bytes(written([smooth(300, 200)], metadata))
    subprocess.run(["pngcheck", "-q", tmp_path / "a.png"], check=True)


def test_better_compression_is_smaller():
    pixels = smooth(600, 600)
    fast, default, best = (len(written([pixels], compression=name)) for name in ("fast", "default", "best"))
    assert best < default <= fast


def test_best_leaves_text_unfiltered_and_takes_paeth_where_it_pays():
    def kinds(pixels):
        data = zlib.decompress(idat(written([pixels], compression="best")))
        return np.frombuffer(data, np.uint8).reshape(pixels.shape[0], -1)[:, 0]

    rng = np.random.default_rng(8)
    letters = rng.random((20, 12, 8)) < 0.3
    text = np.where(letters[rng.integers(0, 20, (20, 40))], 0, 255).astype(np.uint8)
    text = np.ascontiguousarray(text.transpose(0, 2, 1, 3)).reshape(240, 320)
    assert set(kinds(text)) == {0}
    edges = np.cumsum(rng.integers(0, 2, 300) * 9)[:, None] // 8 + np.cumsum(rng.integers(0, 2, 300) * 9) // 8
    assert 4 in kinds(edges.astype(np.uint8))


def idat(data):
    at = data.index(b"IDAT")
    return data[at + 4 : at + 4 + int.from_bytes(data[at - 4 : at], "big")]


def test_threads_change_nothing():
    pixels = smooth(900, 700)
    assert len({written([pixels], threads=threads) for threads in (1, 2, 3, 8)}) == 1


@given(st.lists(st.binary(max_size=300), min_size=1, max_size=5))
def test_checksums_combine(parts):
    combined = 1
    for part in parts:
        combined = adler32_combine(combined, zlib.adler32(part), len(part))
    assert combined == zlib.adler32(b"".join(parts))


def test_metadata_survives():
    profile = bytes(16) + b"RGB " + bytes(16) + b"acsp" + bytes(88)
    metadata = Metadata(
        icc=profile,
        exif=b"MM\0*\0\0\0\x08\0\0\0\0\0\0",
        xmp=b"<x:xmpmeta/>",
        resolution=(300.0, 72.0),
        text=[Text("Author", "Jörg"), Text("Title", "世界", "zh", "标题"), Text("Comment", "long " * 1000)],
        png=[(b"gAMA", bytes(4)), (b"cHRM", bytes(32)), (b"tIME", bytes(7))],
    )
    data = written([smooth(9, 9)], metadata)
    again = read(io.BytesIO(data)).metadata
    for name in ("icc", "exif", "xmp", "text", "png"):
        assert getattr(again, name) == getattr(metadata, name), name
    assert again.resolution == pytest.approx(metadata.resolution, abs=0.02)
    kinds = [kind for kind, _ in chunks(data)]
    assert kinds[0] == b"IHDR" and kinds[-1] == b"IEND"
    assert max(kinds.index(kind) for kind in (b"gAMA", b"cHRM", b"iCCP", b"pHYs")) < kinds.index(b"IDAT")


def test_a_zero_byte_does_not_cut_a_text_off():
    texts = [Text("Comment", "before\0after"), Text("Title", "世\0界"), Text("Source", "long\0 " * 1000)]
    data = written([smooth(4, 4)], Metadata(text=texts))
    assert [text.value for text in read(io.BytesIO(data)).metadata.text] == ["before after", "世 界", "long  " * 1000]


def test_pixels_of_more_than_two_metres_have_no_resolution():
    assert b"pHYs" not in [kind for kind, _ in chunks(written([smooth(4, 4)], Metadata(resolution=(0.01, 0.01))))]
    again = read(io.BytesIO(written([smooth(4, 4)], Metadata(resolution=(0.0254, 0.0508)))))
    assert again.metadata.resolution == pytest.approx((0.0254, 0.0508))


def test_profile_and_srgb_chunk_do_not_contradict_each_other():
    metadata = Metadata(icc=b"x" * 200, png=[(b"sRGB", b"\0"), (b"gAMA", bytes(4))])
    kinds = [kind for kind, _ in chunks(written([smooth(4, 4)], metadata))]
    assert b"iCCP" in kinds and b"sRGB" not in kinds


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_animation_survives(dtype):
    first = smooth(40, 30, 4, dtype)
    second = first.copy()
    second[5:9, 7:20] = 0
    frames = [Frame(first, (1, 10)), Frame(second, (3, 100)), Frame(second, (0, 1)), Frame(first, (1, 2))]
    data = written(frames, Metadata(loop=3))
    again = read(io.BytesIO(data))
    assert [frame.delay for frame in again.frames] == [(1, 10), (3, 100), (0, 1), (1, 2)]
    assert again.metadata.loop == 3
    for frame, original in zip(again.frames, frames, strict=True):
        np.testing.assert_array_equal(frame.pixels, original.pixels)
    with Image.open(io.BytesIO(data)) as image:
        assert image.n_frames == 4


def test_fallback_picture_stays_outside_of_the_animation():
    fallback, shown = smooth(8, 8, 4), np.zeros((8, 8, 4), np.uint8)
    data = written([Frame(fallback, fallback=True), Frame(shown, (1, 4))], Metadata(loop=0))
    again = read(io.BytesIO(data))
    assert [frame.fallback for frame in again.frames] == [True, False]
    np.testing.assert_array_equal(again.frames[0].pixels, fallback)
    np.testing.assert_array_equal(again.frames[1].pixels, shown)


def test_rows_wider_than_a_strip():
    pixels = np.random.default_rng(0).integers(0, 256, (3, 300_000, 3), dtype=np.uint8)
    np.testing.assert_array_equal(read(io.BytesIO(written([pixels]))).pixels, pixels)


def test_nothing_of_the_moment_is_written():
    kinds = {kind for kind, _ in chunks(written([smooth(4, 4)]))}
    assert kinds == {b"IHDR", b"IDAT", b"IEND"}
    assert Picture.from_array(smooth(4, 4)).metadata.text == []


def test_texts_keep_their_language_or_translated_keyword():
    texts = [Text("Title", "Bild", language="de"), Text("Author", "Jane", translated="Autor")]
    file = written([np.zeros((2, 2), np.uint8)], Metadata(text=texts))
    assert list(read(io.BytesIO(file)).metadata.text) == texts
