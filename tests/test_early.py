"""A head start for large PNGs: the same pictures, the same errors, and nothing of files that are something else."""

import io
import os
import struct

import numpy as np
import pytest
from PIL import Image
from pngs import RGB, SIGNATURE, chunk, ihdr

from convfilter.errors import ReadError, SizeError
from convfilter.picture import early
from convfilter.picture.early import EarlyFile
from convfilter.picture.options import ReadOptions
from convfilter.picture.read import read


@pytest.fixture(autouse=True)
def any_size(monkeypatch):
    """Begin small files early too, and inflate them in several pieces."""
    monkeypatch.setattr(early, "_LEAST_BYTES", 1)
    monkeypatch.setattr(early, "_CALL_BYTES", 100)
    early._begun.clear()


def noise(shape, dtype=np.uint8):
    rng = np.random.default_rng(5)
    return rng.integers(0, np.iinfo(dtype).max, shape, dtype=dtype, endpoint=True)


def saved(path, pixels, **options):
    Image.fromarray(pixels).save(path, "PNG", **options)
    return str(path)


@pytest.mark.parametrize("shape", [(40, 50), (40, 50, 3), (40, 50, 4), (1, 1), (300, 2)])
def test_samples_are_those_of_the_reader(tmp_path, shape):
    path = saved(tmp_path / "a.png", noise(shape))
    expected = read(path)
    early.begin(path, 10**6)
    (decoding,) = early._begun
    picture = read(path)
    assert decoding.compressed > 0
    np.testing.assert_array_equal(picture.pixels, expected.pixels)
    assert early.taken(path) is None


def test_16_bits_palettes_and_small_chunks(tmp_path):
    gray = noise((30, 40), np.uint16)
    path = saved(tmp_path / "a.png", gray)
    early.begin(path, 10**6)
    np.testing.assert_array_equal(read(path).pixels, gray)
    coloured = Image.fromarray(noise((30, 40, 3))).quantize(16)
    coloured.save(path)
    early.begin(path, 10**6)
    np.testing.assert_array_equal(read(path).pixels, np.asarray(coloured.convert("RGB")))


def test_reader_waits_for_the_thread_and_not_for_the_file(tmp_path):
    pixels = noise((40, 50, 3))
    path = saved(tmp_path / "a.png", pixels)
    early.begin(path, 10**6)
    early._begun[0].join()
    os.unlink(path)
    np.testing.assert_array_equal(read(path).pixels, pixels)


def damaged(kind):
    data = io.BytesIO()
    Image.fromarray(noise((40, 50, 3))).save(data, "PNG")
    content = bytearray(data.getvalue())
    at = content.index(b"IDAT")
    if kind == "checksum of a chunk":
        content[content.index(b"IEND") - 5] ^= 1
    elif kind == "codes":
        # With a right checksum of the chunk.
        length = int.from_bytes(content[at - 4 : at], "big")
        body = bytearray(content[at + 4 : at + 4 + length])
        body[length // 2] ^= 0x55
        content[at - 4 : at + 8 + length] = chunk(b"IDAT", bytes(body))
    elif kind == "cut":
        del content[-400:]
    elif kind == "size":
        content[16:20] = struct.pack(">I", 51)
        content[8:33] = chunk(b"IHDR", bytes(content[16:29]))
    return bytes(content)


@pytest.mark.parametrize("kind", ["checksum of a chunk", "codes", "cut", "size"])
def test_damage_is_told_by_the_reader(tmp_path, kind):
    path = tmp_path / "a.png"
    path.write_bytes(damaged(kind))
    messages = []
    for begun in (False, True):
        if begun:
            early.begin(str(path), 10**6)
        with pytest.raises(ReadError) as caught:
            read(path)
        messages.append(str(caught.value))
    assert messages[0] == messages[1]


def test_what_is_left_of_a_begun_file(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(damaged("cut"))
    early.begin(str(path), 10**6)
    assert read(path, ReadOptions(lenient=True)).notes


def test_large_pictures_are_left_to_the_reader(tmp_path):
    path = saved(tmp_path / "a.png", noise((40, 50)))
    early.begin(path, 1999)
    assert early._begun[0].join() is None and early._begun[0].samples is None
    with pytest.raises(SizeError, match="40"):
        read(path, ReadOptions(max_pixels=1999))
    (tmp_path / "bomb.png").write_bytes(SIGNATURE + ihdr(2**31 - 1, 2**31 - 1, 8, RGB) + chunk(b"IDAT", b"\x78\x01"))
    early.begin(str(tmp_path / "bomb.png"), 10**20)
    early._begun[0].join()
    assert early._begun[0].samples is None
    with pytest.raises(SizeError):
        read(tmp_path / "bomb.png")


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("progressive", [False, True])
def test_jpegs_are_begun_too(tmp_path, mode, progressive):
    path = str(tmp_path / "a.jpg")
    Image.fromarray(noise((40, 50, 3))).convert(mode).save(path, progressive=progressive)
    expected = read(path)
    early.begin(path, 10**6)
    (decoding,) = early._begun
    decoding.join()
    assert (decoding.samples is None) == (mode == "CMYK")
    picture = read(path)
    np.testing.assert_array_equal(picture.pixels, expected.pixels)
    assert decoding.samples is None and picture.model == expected.model


def test_jpegs_that_are_cut_or_too_large_are_left_to_the_reader(tmp_path):
    path = tmp_path / "a.jpg"
    Image.fromarray(noise((40, 50, 3))).save(path)
    early.begin(str(path), 1999)
    early._begun[0].join()
    assert early._begun[0].samples is None
    path.write_bytes(path.read_bytes()[:-500])
    early.begin(str(path), 10**6)
    with pytest.raises(ReadError, match="truncated"):
        read(path)
    early.begin(str(path), 10**6)
    assert read(path, ReadOptions(lenient=True)).notes


def test_other_files_are_not_begun(tmp_path):
    Image.fromarray(noise((40, 50))).save(tmp_path / "a.gif")
    os.mkfifo(tmp_path / "fifo.png")
    for name in ("a.gif", "fifo.png", "missing.png", ".", "zero\0.png"):
        early.begin(str(tmp_path / name), 10**6)
        assert not early._begun


def test_content_without_copies(tmp_path):
    path = saved(tmp_path / "a.png", noise((40, 50)))
    early.begin(path, 10**6)
    file = early.taken(path)
    assert isinstance(file, EarlyFile)
    content = (tmp_path / "a.png").read_bytes()
    assert file.read(8) + bytes(file.view(20)) + file.read(4) == content[:32]
    file.seek(-3, os.SEEK_END)
    assert bytes(file.view(10)) == content[-3:] and file.read() == b""
