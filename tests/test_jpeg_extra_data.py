"""Other content of a JPEG: kept if it is still true, otherwise left out with a note."""

import hashlib
import io
import struct
from xml.dom import minidom

import numpy as np
import pytest
from PIL import ExifTags, Image

from convfilter.errors import ReadError, WriteError
from convfilter.picture.frame import Frame
from convfilter.picture.metadata import exif, xmp_clean, xmp_extended
from convfilter.picture.metadata.metadata import Metadata
from convfilter.picture.options import ReadOptions, WriteOptions
from convfilter.picture.picture import Picture
from convfilter.picture.read import read
from convfilter.picture.write import write

RDF = 'xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"'
EXTENSION = b"http://ns.adobe.com/xmp/extension/\0"


def packet(descriptions, spaces=""):
    return f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF {RDF}{spaces}>{descriptions}</rdf:RDF></x:xmpmeta>'.encode()


def scene(seed=0):
    return np.random.default_rng(seed).integers(0, 256, (240, 320, 3), dtype=np.uint8)


def encoded(pixels=None, **options):
    buffer = io.BytesIO()
    Image.fromarray(scene() if pixels is None else pixels).save(buffer, "JPEG", **options)
    return buffer.getvalue()


def segment(number, content):
    return bytes((0xFF, 0xE0 + number)) + (len(content) + 2).to_bytes(2, "big") + content


def with_segments(*segments, **options):
    data = encoded(**options)
    return data[:2] + b"".join(segments) + data[2:]


def extended(main, extension):
    """Segments of a packet with an extension of several parts, the last one first."""
    guid = hashlib.md5(extension).hexdigest().upper().encode()
    main = main.replace(b"GUID", guid)
    parts = [
        EXTENSION + guid + len(extension).to_bytes(4, "big") + at.to_bytes(4, "big") + extension[at : at + 40000]
        for at in range(0, len(extension), 40000)
    ]
    first = segment(1, b"http://ns.adobe.com/xap/1.0/\0" + main)
    return [first, *(segment(1, part) for part in reversed(parts))]


NOTE = 'xmlns:xmpNote="http://ns.adobe.com/xmp/note/" xmpNote:HasExtendedXMP="GUID"'
MAIN = packet(f'<rdf:Description rdf:about="" {NOTE} xmlns:a="urn:a" a:b="main"/>')
LONG = "0123456789" * 12000
LONG_EXTENSION = packet(f'<rdf:Description rdf:about="" c:d="{LONG}"/>', ' xmlns:c="urn:c"')


def test_long_xmp_is_joined_and_cut_again(tmp_path):
    (tmp_path / "in.jpg").write_bytes(with_segments(*extended(MAIN, LONG_EXTENSION)))
    picture = read(tmp_path / "in.jpg")
    assert picture.notes == () and b"HasExtendedXMP" not in picture.metadata.xmp
    document = minidom.parseString(picture.metadata.xmp)
    found = [node for node in document.getElementsByTagName("rdf:Description")]
    assert [node.getAttribute("a:b") or node.getAttribute("c:d") for node in found] == ["main", LONG]
    for suffix in ("png", "tif", "webp"):
        assert write(tmp_path / f"out.{suffix}", picture) == ()
        assert read(tmp_path / f"out.{suffix}").metadata.xmp == picture.metadata.xmp
    assert write(tmp_path / "out.jpg", picture) == ()
    again = read(tmp_path / "out.jpg")
    assert again.notes == () and b'a:b="main"' in again.metadata.xmp and LONG.encode() in again.metadata.xmp
    with Image.open(tmp_path / "out.jpg") as image:  # readers that know no extension see the main packet
        assert b'a:b="main"' in image.info["xmp"] and b"HasExtendedXMP" in image.info["xmp"]
        minidom.parseString(image.info["xmp"])
        guid = image.info["xmp"].split(b'HasExtendedXMP="')[1][:32]
        parts = [data for name, data in image.applist if name == "APP1" and data.startswith(EXTENSION)]
        whole = b"".join(part[len(EXTENSION) + 40 :] for part in parts)
        assert hashlib.md5(whole).hexdigest().upper().encode() == guid
        minidom.parseString(whole)


@pytest.mark.parametrize("damage", ["missing", "garbage", "prefix"])
def test_an_extension_that_does_not_fit_is_left_out_with_a_note(tmp_path, damage):
    extension = LONG_EXTENSION
    if damage == "garbage":
        extension = LONG_EXTENSION[:-40]
    elif damage == "prefix":
        extension = LONG_EXTENSION.replace(b"urn:c", b"urn:x").replace(b"c:d", b"a:d").replace(b"xmlns:c", b"xmlns:a")
        extension = extension.replace(b'xmlns:a="urn:x"', b'xmlns:a="urn:x"')
    segments = extended(MAIN.replace(b"rdf:RDF xmlns:rdf", b'rdf:RDF xmlns:a="urn:a" xmlns:rdf'), extension)
    if damage == "missing":
        del segments[1]
    (tmp_path / "in.jpg").write_bytes(with_segments(*segments))
    picture = read(tmp_path / "in.jpg")
    (note,) = picture.notes
    assert "extension" in note
    assert b"HasExtendedXMP" not in picture.metadata.xmp and b'a:b="main"' in picture.metadata.xmp
    with pytest.raises(ReadError, match="strict=True"):
        read(tmp_path / "in.jpg", ReadOptions(strict=True))


def test_metadata_too_long_for_a_jpeg_are_reported(tmp_path):
    block = Image.Exif()
    block[271] = "x" * 70000
    metadata = Metadata(exif=block.tobytes().removeprefix(b"Exif\0\0"), xmp=b"<x:xmpmeta>" + b" " * 70000)
    notes = write(tmp_path / "a.jpg", Picture([Frame(scene())], metadata=metadata))
    assert [note.split(";")[0] for note in notes] == ["JPEG is written without EXIF", "JPEG is written without XMP"]
    assert read(tmp_path / "a.jpg").metadata.exif is None
    assert write(tmp_path / "a.png", Picture([Frame(scene())], metadata=metadata)) == ()


HDR = (
    '<rdf:Description rdf:about="" xmlns:hdrgm="http://ns.adobe.com/hdr-gain-map/1.0/" hdrgm:Version="1.0" '
    'xmlns:C="http://ns.google.com/photos/1.0/container/" xmlns:Item="http://ns.google.com/photos/1.0/container/item/" '
    'xmlns:k="urn:k" k:kept="yes"><C:Directory><rdf:Seq><rdf:li rdf:parseType="Resource">'
    '<C:Item Item:Semantic="Primary" Item:Mime="image/jpeg"/></rdf:li>'
    ' <rdf:li rdf:parseType="Resource"><C:Item Item:Semantic="GainMap"/></rdf:li>'
    "</rdf:Seq></C:Directory></rdf:Description>"
)


def test_xmp_of_a_gain_map_does_not_dangle(tmp_path):
    data = encoded(xmp=packet(HDR)) + encoded(scene(1))
    (tmp_path / "in.jpg").write_bytes(data)
    picture = read(tmp_path / "in.jpg")
    assert len(picture.notes) == 2 and "gain map" in picture.notes[0]
    left = picture.metadata.xmp
    minidom.parseString(left)
    assert b'k:kept="yes"' in left
    for word in (b"hdrgm:", b"Directory", b"Item:", b"GainMap"):
        assert word not in left.replace(b"xmlns:hdrgm", b"").replace(b"xmlns:Item", b"")
    assert write(tmp_path / "out.jpg", picture) == ()
    assert read(tmp_path / "out.jpg").notes == ()


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ('xmlns:G="http://ns.google.com/photos/1.0/depthmap/" G:Near="1" G:Far="2"', "a depth map"),
        ('xmlns:G="http://ns.google.com/photos/1.0/image/" G:Data="abc"', "another picture"),
        ('xmlns:G="http://ns.google.com/photos/1.0/camera/" G:MotionPhoto="1" G:MicroVideoOffset="9"', "a video"),
        ('xmlns:G="http://ns.apple.com/HDRGainMap/1.0/" G:HDRGainMapVersion="1"', "a gain map"),
    ],
)
def test_references_to_what_is_left_out_are_dropped(text, what):
    whole = packet(f"<rdf:Description rdf:about='' {text} xmlns:k=\"urn:k\" k:a='>'/>")
    clean, dropped = xmp_clean.cleaned(whole)
    assert dropped == [what]
    assert b" G:" not in clean and b"k:a='>'" in clean
    minidom.parseString(clean)
    elements = packet(
        f"<rdf:Description rdf:about='' {text.split(' ')[0]}><G:{text.split(' G:')[1].split('=')[0]}>1</G:"
        f"{text.split(' G:')[1].split('=')[0]}></rdf:Description>"
    )
    clean, dropped = xmp_clean.cleaned(elements)
    assert dropped == [what] and b"<G:" not in clean


def test_other_properties_of_a_camera_stay():
    whole = packet(
        '<rdf:Description rdf:about="" xmlns:G="http://ns.google.com/photos/1.0/camera/" G:SpecialTypeID="PANO"/>'
    )
    assert xmp_clean.cleaned(whole) == (whole, [])


def test_xmp_thumbnails_go():
    text = b"<x><xmp:Thumbnails>\n<rdf:Alt>base64</rdf:Alt></xmp:Thumbnails><y/></x>"
    assert xmp_clean.cleaned(text) == (b"<x><y/></x>", [xmp_clean.THUMBNAIL])


def test_segments_of_other_programs_are_named(tmp_path):
    segments = [
        segment(1, b"FLIR\0\1\0\0raw thermal data"),
        segment(11, b"JP\0\1\0\0\0\1jumb"),
        segment(12, b"Ducky\0\1\0\4"),
        segment(7, b"\x1c\x2a"),
        segment(14, b"Adobe\0\x64\0\0\0\0\1"),
    ]
    (tmp_path / "in.jpg").write_bytes(with_segments(*segments))
    (note,) = read(tmp_path / "in.jpg").notes
    assert note.endswith("left out: APP1 FLIR, APP11 JP, APP12 Ducky, APP7")
    (tmp_path / "plain.jpg").write_bytes(encoded(exif=Image.Exif().tobytes(), comment=b"x", dpi=(72, 72)))
    assert read(tmp_path / "plain.jpg").notes == ()


def multi_picture(kinds):
    """A file of several pictures with an index, as cameras write it."""
    pictures = [encoded(scene(number)) for number in range(len(kinds))]
    count = len(kinds)
    index = b"MM\0*" + struct.pack(">IH", 8, 3)
    index += struct.pack(">HHI4s", 0xB000, 7, 4, b"0100") + struct.pack(">HHII", 0xB001, 4, 1, count)
    index += struct.pack(">HHII", 0xB002, 7, 16 * count, 8 + 2 + 36 + 4) + bytes(4)
    first = pictures[0]
    size = len(first) + 4 + 4 + len(index) + 16 * count
    table, at = b"", size - 10  # offsets count from the index, which begins ten bytes into the file
    for number, (kind, data) in enumerate(zip(kinds, pictures, strict=True)):
        table += struct.pack(">IIIHH", kind, size if number == 0 else len(data), at if number else 0, 0, 0)
        at += len(data) if number else 0
    first = first[:2] + segment(2, b"MPF\0" + index + table) + first[2:]
    assert len(first) == size
    return first + b"".join(pictures[1:])


def test_further_pictures_are_noted_or_refused(tmp_path):
    (tmp_path / "preview.jpg").write_bytes(multi_picture([0x030000, 0x010001]))
    (note,) = read(tmp_path / "preview.jpg").notes
    assert "holds 2 pictures; the first is read" in note
    stereo = multi_picture([0x020002, 0x020002])
    (tmp_path / "stereo.jpg").write_bytes(stereo)
    with pytest.raises(ReadError, match=r"2 pictures that belong together; .*frame=N.*allow_loss=True"):
        read(tmp_path / "stereo.jpg")
    assert len(read(tmp_path / "stereo.jpg", ReadOptions(allow_loss=True)).notes) == 1
    second = read(tmp_path / "stereo.jpg", ReadOptions(frame=1))
    np.testing.assert_array_equal(second.pixels, np.asarray(Image.open(io.BytesIO(encoded(scene(1))))))
    (tmp_path / "more.jpg").write_bytes(multi_picture([0x030000, 0x010001]) + b"SEFT trailer")
    assert "12 bytes after the picture" in read(tmp_path / "more.jpg").notes[1]


@pytest.mark.parametrize(
    ("rest", "word"),
    [
        (b"\0\0\0\x18ftypmp42" + bytes(99), "a video of"),
        (b"secret", "6 bytes"),
        (b"\0" * 9, None),
        (b"\r\n", None),
    ],
)
def test_data_after_the_picture_are_reported(tmp_path, rest, word):
    (tmp_path / "in.jpg").write_bytes(encoded() + rest)
    notes = read(tmp_path / "in.jpg").notes
    assert (notes == ()) if word is None else (len(notes) == 1 and word in notes[0])


def test_a_new_thumbnail_takes_the_place_of_the_old_one(tmp_path):
    old = io.BytesIO()
    Image.new("RGB", (160, 120), "red").save(old, "JPEG")
    block = exif.with_thumbnail(None, old.getvalue())
    ramp = np.broadcast_to(np.linspace(0, 255, 640, dtype=np.uint8)[None, :, None], (480, 640, 3)).copy()
    (tmp_path / "in.jpg").write_bytes(encoded(ramp, exif=b"Exif\0\0" + block))
    picture = read(tmp_path / "in.jpg")
    assert picture.metadata.thumbnail and not exif.has_thumbnail(picture.metadata.exif)
    for suffix in ("jpg", "png", "webp", "avif", "jp2"):
        assert write(tmp_path / f"out.{suffix}", picture) == ()
        data = (tmp_path / f"out.{suffix}").read_bytes()
        assert old.getvalue() not in data
        kept = Image.Exif()
        start = data.index(b"II*\0\x08\0\0\0")
        kept.load(data[start:])
        directory = kept.get_ifd(ExifTags.IFD.IFD1)
        thumbnail = Image.open(io.BytesIO(data[start + directory[0x0201] :][: directory[0x0202]]))
        assert thumbnail.size == (160, 120)
        shown = np.asarray(thumbnail.convert("L"))[60].astype(int)
        np.testing.assert_allclose(shown, np.linspace(0, 255, 160), atol=6)
        assert read(tmp_path / f"out.{suffix}").metadata.thumbnail
    (note,) = write(tmp_path / "out.tif", picture)
    assert "without a thumbnail" in note
    assert write(tmp_path / "stripped.jpg", picture, WriteOptions(strip="most")) == ()
    assert not read(tmp_path / "stripped.jpg").metadata.thumbnail
    with pytest.raises(WriteError, match="thumbnail"):
        write(tmp_path / "strict.tif", picture, WriteOptions(strict=True))


@pytest.mark.parametrize(
    ("shape", "model", "alpha"),
    [
        ((7, 5), "gray", False),
        ((500, 3, 3), "rgb", False),
        ((1, 900), "gray", False),
        ((300, 170, 4), "rgb", True),
        ((300, 170, 4), "cmyk", False),
        ((121, 161, 2), "gray", True),
    ],
)
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_thumbnails_of_all_kinds(shape, model, alpha, dtype):
    from convfilter.picture.metadata.thumbnail import MOST_BYTES, thumbnail_of

    rng = np.random.default_rng(0)
    white = 1 if dtype is np.float32 else np.iinfo(dtype).max
    pixels = (rng.random(shape) * white).astype(dtype)
    data = thumbnail_of(Picture([Frame(pixels)], model, alpha))
    assert len(data) < MOST_BYTES
    image = Image.open(io.BytesIO(data))
    assert image.mode == ("L" if model == "gray" else "RGB")
    assert image.width <= 160 and image.height <= 120
    flat = np.full(shape, 0.5 * white).astype(dtype)
    level = np.asarray(Image.open(io.BytesIO(thumbnail_of(Picture([Frame(flat)], model, alpha))))).astype(int)
    assert np.abs(level - (64 if model == "cmyk" else 128)).max() <= 2


def test_cutting_fails_where_nothing_can_be_moved():
    assert xmp_extended.cut(b"<x/>", 10) is None
    assert xmp_extended.cut("\ufeff<x/>".encode("utf-16"), 10) is None
    assert xmp_extended.cut(packet(""), 10) is None


def test_segments_after_padding_are_found(tmp_path):
    (tmp_path / "in.jpg").write_bytes(
        with_segments(b"\xff\xff", segment(9, b"Meta\0"), b"\xff", segment(10, b"Ducky\0"))
    )
    (note,) = read(tmp_path / "in.jpg").notes
    assert note.endswith("APP9 Meta, APP10 Ducky")


def test_a_block_with_half_a_header_is_no_exif():
    assert exif.with_resolution(b"MM\0*\0\0", (72, 72)) == exif.with_resolution(None, (72, 72))
    assert exif.with_thumbnail(b"II*\0", b"jpeg") == exif.with_thumbnail(None, b"jpeg")
