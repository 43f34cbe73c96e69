"""Unreadable formats are recognised by content and by name; the error names a remedy; folders list them apart."""

import io
import struct

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image
from processes import program

from convfilter.errors import ReadError, UsageError
from convfilter.picture import formats, unsupported
from convfilter.picture.place.target import resolve_target
from convfilter.picture.read import read


def ftyp(major, *compatible):
    brands = b"".join(compatible)
    return struct.pack(">I4s4sI", 16 + len(brands), b"ftyp", major, 0) + brands + bytes(500)


def at(offset, signature):
    return bytes(offset) + signature + bytes(600)


CONTENTS = {
    "DPX": [at(0, b"SDPX"), at(0, b"XPDS")],
    "JPEG-LS": [imagecodecs.jpegls_encode(np.zeros((9, 9), np.uint8))],
    "JPEG XR": [at(0, b"II\xbc\x01")],
    "Canon CR3": [ftyp(b"crx ", b"crx ", b"isom")],
    "Canon CRW": [at(0, b"II\x1a\0\0\0HEAPCCDR")],
    "Fujifilm RAF": [at(0, b"FUJIFILMCCD-RAW 0201")],
    "Olympus ORF": [at(0, b"IIRO\x08\0\0\0"), at(0, b"IIRS")],
    "Panasonic RW2": [at(0, b"IIU\0\x08\0\0\0")],
    "Sigma X3F": [at(0, b"FOVb")],
    "SVG": [b'<svg xmlns="http://www.w3.org/2000/svg"/>', b'\xef\xbb\xbf<?xml version="1.0"?>\n<svg width="9"/>'],
    "PDF": [b"%PDF-1.7\n" + bytes(600)],
    "PostScript": [b"%!PS-Adobe-3.0 EPSF-3.0\n" + bytes(600)],
    "XCF": [at(0, b"gimp xcf v011\0")],
    "DjVu": [at(0, b"AT&TFORM")],
    "IFF ILBM": [at(0, b"FORM\0\0\1\0ILBM")],
    "MP4": [ftyp(b"isom", b"isom", b"avc1"), ftyp(b"qt  ", b"qt  "), ftyp(b"mp42", b"mp41")],
    "Matroska or WebM": [at(0, b"\x1a\x45\xdf\xa3")],
    "AVI": [at(0, b"RIFF\0\1\0\0AVI LIST")],
    "a NumPy array": [at(0, b"\x93NUMPY\1\0")],
    "a web page": [b"<!DOCTYPE html><html><body>Not found</body></html>"],
    "a Git LFS pointer": [b"version https://git-lfs.github.com/spec/v1\noid sha256:00\n"],
    "a gzip file": [at(0, b"\x1f\x8b\x08")],
}


@pytest.mark.parametrize(("name", "data"), [(name, data) for name, datas in CONTENTS.items() for data in datas])
def test_content_tells_the_format(name, data):
    with pytest.raises(ReadError, match=rf"^{name} cannot be read; .*") as caught:
        read(io.BytesIO(data))
    assert any(word in str(caught.value) for word in ("first", "Python", "download", "git lfs"))


NAMES = "heics dpx cr2 nef arw raf dng cr3 svg pdf mp4 mov webm xcf kra czi jls nii"


@pytest.mark.parametrize("suffix", NAMES.split())
def test_the_name_tells_the_format_where_the_content_does_not(tmp_path, suffix):
    path = tmp_path / f"a.{suffix.upper()}"
    path.write_bytes(b"nothing that is known\n" * 99)
    with pytest.raises(ReadError, match=r"cannot be read; .*(convert|develop|export|extract|take)"):
        read(path)


@pytest.mark.parametrize("data", [b"II*\0" + bytes(60), b"II*\0\x10\0\0\0CR\2\0" + bytes(60), b"MM\0*", None])
def test_a_tiff_with_the_name_of_a_camera_raw_is_one(tmp_path, data):
    for suffix in (".nef", ".CR2", ".arw"):
        path = tmp_path / f"a{suffix}"
        if data is None:  # the preview of one, as it seems
            tifffile.imwrite(path, np.zeros((4, 4), np.uint8))
        else:
            path.write_bytes(data)
        with pytest.raises(ReadError, match=rf"the camera raw {suffix[1:].upper()} cannot be read; develop it .*TIFF"):
            read(path)


def test_other_files_are_no_pictures(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"nothing that is known\n" * 99)
    with pytest.raises(ReadError, match=r"^it is not a picture of a known format$"):
        read(tmp_path / "a.txt")


def test_the_content_comes_before_the_name(tmp_path):
    Image.new("L", (4, 4)).save(tmp_path / "a.png")
    (tmp_path / "a.xcf").write_bytes((tmp_path / "a.png").read_bytes())
    assert read(tmp_path / "a.xcf").format == "PNG"


def test_heif_that_is_avif_is_read():
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8)).save(buffer, "AVIF")
    data = buffer.getvalue()
    assert data[8:12] == b"avif"
    size = int.from_bytes(data[:4], "big")
    assert b"avif" in data[16:size]
    assert read(io.BytesIO(data[:8] + b"mif1" + data[12:])).format == "AVIF"


def test_no_signature_identifies_another_format():
    for each in unsupported.FORMATS:
        for offset, signature in each.signatures:
            head = (bytes(offset) + signature).ljust(512, b"\0")
            assert formats.sniff(head[:32]) is None, each.name
            assert unsupported.by_content(head) == each
        for suffix in each.suffixes:
            assert formats.by_suffix(suffix) is None or suffix == ".npy"
            advice = unsupported.output_remedy(suffix) or ""
            assert advice.startswith(f"{each.name} can neither be read nor written") or suffix in (".npy", ".npz")


@pytest.mark.parametrize("fmt", ["ICO", "DDS", "MSP", "DIB", "PCX", "SGI", "TGA", "BMP", "JPEG2000", "WEBP"])
def test_pictures_are_not_identified_as_unsupported(fmt):
    buffer = io.BytesIO()
    Image.new("1" if fmt == "MSP" else "RGB", (32, 32)).save(buffer, fmt)
    assert unsupported.by_content(buffer.getvalue()[:512]) is None
    assert read(io.BytesIO(buffer.getvalue())).pixels.shape[:2] == (32, 32)


@pytest.mark.parametrize(("suffix", "other"), [("pbm", "pgm"), ("psd", "tif"), ("ico", "png"), ("PBM", "pgm")])
def test_outputs_that_cannot_be_written_name_one_that_can(suffix, other):
    with pytest.raises(
        UsageError, match=rf"\.{suffix.lower()} can be read but not written; use {other} for the output"
    ):
        resolve_target(f"out.{suffix}")


# Folders


@pytest.fixture
def photos(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "photos"
    folder.mkdir()
    Image.new("L", (4, 4)).save(folder / "a.png")
    for name in ("b.xcf", "c.xcf", "d.nef", "notes.txt"):
        (folder / name).write_bytes(b"x" * 600)
    Image.new("1", (4, 4)).save(folder / "e.pbm", "PPM")
    Image.new("RGBA", (32, 32)).save(folder / "f.ico")
    return folder


def test_unreadable_files_of_a_folder_are_listed(photos):
    done = program("blur", "--box", "3", "photos", "out")
    lines = done.stderr.splitlines()
    assert done.returncode == 0
    assert (
        "convfilter: photos/b.xcf and 1 more: skipped, XCF cannot be read; export it from GIMP as TIFF or PNG first"
    ) in lines
    assert any(
        line.startswith("convfilter: photos/d.nef: skipped, the camera raw NEF cannot be read") for line in lines
    )
    assert (
        "convfilter: photos/e.pbm: skipped, .pbm can be read but not written; use pgm for the output, as with --ext pgm"
    ) in lines
    assert any(line.startswith("convfilter: photos/f.ico: skipped, .ico can be read but not written") for line in lines)
    assert lines[-1] == "convfilter: 1 done, 0 failed, 6 skipped"
    assert "notes.txt" not in done.stderr


def test_quiet_is_quiet(photos):
    assert program("blur", "--box", "3", "photos", "out", "--quiet").stderr == ""


def test_with_another_format_all_that_can_be_read_is_filtered(photos):
    done = program("blur", "--box", "3", "photos", "out", "--ext", "pgm", "--gray", "--background", "white")
    assert (photos.parent / "out" / "e.pgm").exists()
    assert (photos.parent / "out" / "f.pgm").exists()
    assert done.stderr.splitlines()[-1] == "convfilter: 3 done, 0 failed, 4 skipped"
    assert "XCF cannot be read" in done.stderr


def test_content_counts_where_the_output_has_another_format(photos):
    (photos / "g").write_bytes(at(0, b"gimp xcf v011"))
    (photos / "h.xcf").write_bytes((photos / "a.png").read_bytes())
    done = program("blur", "--box", "3", "photos", "out", "--ext", "png")
    assert "photos/b.xcf and 2 more: skipped, XCF" in done.stderr
    assert (photos.parent / "out" / "h.png").exists()


def test_an_ext_that_cannot_be_written_names_one_that_can(photos):
    done = program("blur", "--box", "3", "photos", "out", "--ext", "pbm")
    assert done.returncode == 2
    assert ".pbm can be read but not written; use pgm for the output" in done.stderr
