"""HEIC: every depth as it is stored, upright, with its colours; a note names further pictures."""

import io
import struct

import numpy as np
import pytest
from heics import CODE_POINTS, heics, samples

from convfilter.errors import ReadError, SizeError, UsageError, WriteError
from convfilter.picture.options import ReadOptions, WriteOptions
from convfilter.picture.pillow.boxes import box
from convfilter.picture.place.target import resolve_target
from convfilter.picture.read import read
from convfilter.picture.write import write
from convfilter.pipeline import Options, filter_file

FILES = heics()


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("bits", [8, 10, 12])
def test_samples_are_those_of_the_file(bits, channels):
    picture = read(io.BytesIO(FILES[f"{bits}-{channels}.heic"]))
    np.testing.assert_array_equal(np.atleast_3d(picture.pixels), samples(bits, channels))
    assert picture.format == "HEIC" and picture.alpha == (channels == 4) and not picture.notes
    assert picture.white == (None if bits == 8 else 2**bits - 1)


def test_a_turned_picture_is_turned_once():
    picture = read(io.BytesIO(FILES["turned.heic"]))
    np.testing.assert_array_equal(picture.pixels, np.rot90(samples(8, 3), -1))
    assert b"\x12\x01\x03\0\x01\0\0\0\x06" not in picture.metadata.exif
    assert b'tiff:Orientation="1"' in picture.metadata.xmp


def test_code_points_reach_the_output(tmp_path):
    source, destination = tmp_path / "a.heic", tmp_path / "b.png"
    source.write_bytes(FILES["p3.heic"])
    report = filter_file(str(source), str(destination), Options(["identity"]))
    picture = read(destination)
    assert dict(picture.metadata.png)[b"cICP"] == bytes([*CODE_POINTS, 0, 1])
    np.testing.assert_allclose(picture.pixels / 65535, samples(10, 3) / 1023, atol=1e-5)
    assert any("0 to 1023" in note for note in report.notes)


def test_of_several_pictures_the_primary_one_is_read_or_another_by_its_number():
    picture = read(io.BytesIO(FILES["two.heic"]))
    np.testing.assert_array_equal(picture.pixels, samples(8, 1)[::-1, :, 0])
    assert picture.notes == ("the HEIC holds 2 pictures; the primary one is read",)
    other = read(io.BytesIO(FILES["two.heic"]), ReadOptions(frame=0))
    np.testing.assert_array_equal(other.pixels, samples(8, 1)[..., 0])
    assert other.notes == ()
    with pytest.raises(ReadError, match="the frame must be 0 to 1, got 2"):
        read(io.BytesIO(FILES["two.heic"]), ReadOptions(frame=2))


def test_size_is_checked_by_the_header():
    data = FILES["8-3.heic"]
    with pytest.raises(SizeError, match="the limit is 47"):
        read(io.BytesIO(data), ReadOptions(max_pixels=47))
    at = data.index(b"ispe") + 8
    with pytest.raises(ReadError, match="size"):  # boxes and codestream contradict each other
        read(io.BytesIO(data[:at] + struct.pack(">II", 20_000, 20_000) + data[at + 8 :]))


def test_truncated_files_are_refused():
    data = FILES["10-4.heic"]
    for size in (100, len(data) // 2, len(data) - 300, len(data) - 20):
        with pytest.raises(ReadError):
            read(io.BytesIO(data[:size]))


def test_writing_names_formats_that_can_be_written(tmp_path):
    with pytest.raises(UsageError, match=r"\.heic can be read but not written; use avif or jpg for the output"):
        resolve_target("out.heic")
    with pytest.raises(UsageError, match="HEIC can be read but not written; use format=avif or jpg"):
        resolve_target("-", WriteOptions(format="heif"))
    picture = read(io.BytesIO(FILES["12-4.heic"]))
    with pytest.raises(WriteError, match="cannot be written as HEIC; use format=avif or jpg"):
        write("-", picture)
    write(tmp_path / "a.tif", picture)
    np.testing.assert_array_equal(read(tmp_path / "a.tif").pixels, samples(12, 4))


@pytest.mark.parametrize("brand", [b"hevc", b"msf1", b"heic"])
def test_sequences_are_named(brand):
    head = box(b"ftyp", brand, bytes(4), brand, b"iso8")
    moov = box(b"moov", box(b"mvhd", bytes(100)))
    with pytest.raises(ReadError, match="a HEIF sequence cannot be read; extract its frames first, as with ffmpeg"):
        read(io.BytesIO(head + moov + box(b"mdat", bytes(50))))
    picture = read(io.BytesIO(FILES["8-3.heic"] + moov))
    np.testing.assert_array_equal(picture.pixels, samples(8, 3))
    assert picture.notes == ("the HEIC holds a sequence of pictures; only its cover is read",)


@pytest.mark.parametrize(("suffix", "name"), [("svg", "SVG"), ("dpx", "DPX"), ("nef", "the camera raw NEF")])
def test_formats_without_reader_and_writer_are_named(tmp_path, suffix, name):
    with pytest.raises(UsageError, match=f"{name} can neither be read nor written; use tif or png for the output"):
        resolve_target(tmp_path / f"a.{suffix}")


@pytest.mark.parametrize("text", [b"application/rdf+xml", b"mime", b"urn:mpeg:hevc:2015:auxid:1"])
def test_names_that_are_no_text_are_refused(text):
    data = FILES["8-4.heic" if text[:3] == b"urn" else "turned.heic"]
    at = data.index(text)
    for place in range(at, at + len(text), 3):
        with pytest.raises(ReadError, match="the HEIC is damaged: the name of an item is not UTF-8"):
            read(io.BytesIO(data[:place] + b"\xff" + data[place + 1 :]))
