"""Texts and resolution for which a format has no field: they go into XMP and EXIF, and nothing else changes."""

import struct
from xml.dom import minidom

import numpy as np
import pytest
from PIL import Image

from convfilter.picture.formats import by_name
from convfilter.picture.frame import Frame
from convfilter.picture.metadata import carry, exif, xmp
from convfilter.picture.metadata.metadata import Metadata, Text
from convfilter.picture.picture import Picture
from convfilter.picture.read import read
from convfilter.picture.write import write

RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
DC = "http://purl.org/dc/elements/1.1/"
PACKET = (
    '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">'
    f'<rdf:RDF xmlns:rdf="{RDF}"><rdf:Description rdf:about="uuid:1" xmlns:q="urn:q" q:a="b"/></rdf:RDF>'
    '</x:xmpmeta>\n   \n<?xpacket end="w"?>'
).encode()


def properties(packet):
    """Names and texts of all properties, after the packet has been parsed as XML."""
    document = minidom.parseString(packet)
    found = {}
    for node in document.getElementsByTagNameNS(RDF, "Description"):
        for child in node.childNodes:
            items = child.getElementsByTagNameNS(RDF, "li")
            found[child.localName] = [item.firstChild.data for item in items] or child.firstChild.data
    return found


@pytest.mark.parametrize("packet", [None, PACKET, b'<x:xmpmeta xmlns:x="adobe:ns:meta/"/>'])
def test_texts_become_xmp_properties(packet):
    texts = [
        Text("Title", "a < b & c"),
        Text("Author", "One"),
        Text("Author", "Two"),
        Text("Software", "It"),
        Text("Creation Time", "Tue, 5 Mar 2024 10:11:12 GMT"),
        Text("Comment", "remark"),
        Text("Custom", "else"),
    ]
    added, left = xmp.with_texts(packet, texts)
    assert left == []
    assert properties(added) == {
        "title": ["a < b & c"],
        "creator": ["One", "Two"],
        "CreatorTool": "It",
        "CreateDate": "2024-03-05T10:11:12+00:00",
        "UserComment": ["remark\nCustom: else"],
    }
    if packet == PACKET:
        assert b'q:a="b"' in added and added.endswith(PACKET[-30:])
        subjects = {node.getAttribute("rdf:about") for node in minidom.parseString(added).getElementsByTagName("*")}
        assert subjects - {""} == {"uuid:1"}  # all descriptions of a packet are about one thing


def test_titles_in_several_languages_are_alternatives():
    texts = [Text("Title", "Sunset"), Text("Title", "Sonnenuntergang", "de")]
    added, left = xmp.with_texts(None, texts)
    assert left == []
    languages = {
        item.getAttribute("xml:lang"): item.firstChild.data
        for item in minidom.parseString(added).getElementsByTagNameNS(RDF, "li")
    }
    assert languages == {"x-default": "Sunset", "de": "Sonnenuntergang"}


@pytest.mark.parametrize(
    ("packet", "remark"),
    [
        (None, Text("Title", "bell \x07")),
        ("\ufeff<x:xmpmeta><rdf:RDF><rdf:Description/></rdf:RDF>".encode("utf-16"), Text("Title", "a")),
        (b"<x:xmpmeta><r:RDF><rdf:Description/></r:RDF></x:xmpmeta>", Text("Title", "a")),
        (PACKET.replace(b"q:a", b"dc:title"), Text("Title", "a")),
        (None, Text("Creation Time", "long ago")),
    ],
)
def test_texts_that_xmp_cannot_hold_are_left(packet, remark):
    assert xmp.with_texts(packet, [remark]) == (packet, [remark])


def test_a_text_that_the_packet_has_is_not_added():
    added, _ = xmp.with_texts(PACKET, [Text("Title", "same")])
    assert xmp.with_texts(added, [Text("Title", "same")]) == (added, [])
    assert xmp.with_texts(added, [Text("Title", "other")]) == (added, [Text("Title", "other")])


def block(order="<"):
    """EXIF with a maker, a resolution and, after them, a maker note that must keep its offset."""
    block = Image.Exif()
    block.endian = order
    block[271] = "Maker"
    block[274] = 1
    block.get_ifd(0x8769)[0x927C] = b"points to byte 300"
    return block.tobytes().removeprefix(b"Exif\0\0")


@pytest.mark.parametrize("resolution", [(300.0, 150.0), (299.9994, 72.25), (1.5, 60000.0), (0.00254, 0.001)])
@pytest.mark.parametrize("order", ["<", ">", None])
def test_resolution_is_added_to_exif_and_values_keep_their_offsets(order, resolution):
    before = block(order) if order else None
    after = exif.with_resolution(before, resolution)
    assert exif.resolution(after) == pytest.approx(resolution, abs=0.006 if resolution[0] > 1 else 1e-5)
    again = exif.with_resolution(after, (10.0, 20.0))
    assert exif.resolution(again) == (10, 20) and len(again) == len(after)
    parsed = Image.Exif()
    parsed.load(after)
    assert float(parsed[282]) == pytest.approx(resolution[0], abs=0.006) and parsed[296] == 2
    assert exif.resolution(exif.with_resolution(before, (2e6, 300.0))) is None  # as in every other format
    if before is not None:
        note = b"points to byte 300"
        assert after.index(note) == before.index(note)
        assert parsed[271] == "Maker" and parsed.get_ifd(0x8769)[0x927C] == note


def test_resolution_in_centimetres():
    after = bytearray(exif.with_resolution(None, (254.0, 127.0)))
    at = after.index(struct.pack("<HHI", 0x0128, 3, 1)) + 8
    after[at] = 3
    assert exif.resolution(bytes(after)) == pytest.approx((645.16, 322.58))
    after[at] = 1
    assert exif.resolution(bytes(after)) is None
    assert exif.resolution(b"no EXIF") is None


def test_orientation_is_removed_and_values_keep_their_offsets():
    before = block()
    after = exif.without_orientation(before)
    assert len(after) == len(before) and exif.without_orientation(after) == after
    parsed = Image.Exif()
    parsed.load(after)
    assert 274 not in parsed and parsed[271] == "Maker"
    assert parsed.get_ifd(0x8769)[0x927C] == b"points to byte 300"


def test_maker_notes_stay_in_place_in_an_avif(tmp_path):
    picture = Picture([Frame(np.zeros((8, 8, 3), np.uint8))], metadata=Metadata(exif=block()))
    write(tmp_path / "a.avif", picture)
    kept = read(tmp_path / "a.avif").metadata.exif
    note = b"points to byte 300"
    assert kept.index(note) == block().index(note)


@pytest.mark.parametrize("name", ["webp", "avif", "jp2", "gif"])
def test_resolution_is_read_from_the_field_it_was_moved_to(name):
    metadata = carry.fitted(Metadata(resolution=(300.0, 150.0)), by_name(name))
    back = carry.fitted(metadata, by_name("bmp"))
    if name == "gif":  # XMP is not looked into
        assert back.resolution is None and b"30000/100" in back.xmp
    else:
        assert back.resolution == (300, 150)


def test_comments_are_several_or_one(tmp_path):
    texts = [Text("Comment", "one"), Text("Comment", "x" * 70000), Text("Custom", "else")]
    picture = Picture([Frame(np.zeros((8, 8, 3), np.uint8))], metadata=Metadata(text=texts))
    for suffix in ("jpg", "gif"):
        assert write(tmp_path / f"a.{suffix}", picture) == ()
        found = read(tmp_path / f"a.{suffix}").metadata
        assert found.text[0].value == "one"
        assert "".join(text.value for text in found.text[1:]) == "x" * 70000
        assert b"Custom: else" in found.xmp
    assert write(tmp_path / "a.tif", picture) == ()
    found = read(tmp_path / "a.tif").metadata
    assert found.text == [Text("Description", "one")] and b"Custom: else" in found.xmp
