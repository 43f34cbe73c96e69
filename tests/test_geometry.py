"""Metadata that name places in a picture, or the shape of its pixels, are true of a result."""

import struct
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pngs import chunk

from convfilter.errors import WriteError
from convfilter.picture.axis import Axis
from convfilter.picture.metadata import geometry, xmp_clean
from convfilter.picture.options import ReadOptions, WriteOptions
from convfilter.picture.read import read
from convfilter.pipeline import Options, filter_file

AREA, LOCATION = 0x9214, 0xA214
REGIONS = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    b'<rdf:Description xmlns:mwg-rs="http://www.metadataworkinggroup.com/schemas/regions/" '
    b'xmlns:exif="http://ns.adobe.com/exif/1.0/" xmlns:dc="http://purl.org/dc/elements/1.1/" dc:format="image/png">'
    b'<mwg-rs:Regions rdf:parseType="Resource"><mwg-rs:RegionList><rdf:Bag><rdf:li><rdf:Description mwg-rs:Name="A"/>'
    b"</rdf:li></rdf:Bag></mwg-rs:RegionList></mwg-rs:Regions>"
    b"<exif:SubjectArea><rdf:Seq><rdf:li>10</rdf:li><rdf:li>20</rdf:li></rdf:Seq></exif:SubjectArea>"
    b"</rdf:Description></rdf:RDF></x:xmpmeta>"
)


def block(area=None, location=None, orientation=1):
    """Return EXIF; the byte order of Pillow's blocks is that of the machine."""
    image = Image.Exif()
    image[0x0112] = orientation
    below = image.get_ifd(0x8769)
    below |= {AREA: area} if area else {}
    below |= {LOCATION: location} if location else {}
    below[0xA002], below[0xA420] = 40, "an identifier"
    return image.tobytes().removeprefix(b"Exif\0\0")


def subject(data):
    """Return the two fields, and check that others are unharmed."""
    image = Image.Exif()
    image.load(data)
    below = image.get_ifd(0x8769)
    assert below[0xA420] == "an identifier"
    return below.get(AREA), below.get(LOCATION)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_subject_is_turned_with_the_picture(folder, orientation):
    pixels = np.zeros((24, 40), np.uint8)
    pixels[6:9, 30] = 255  # a rectangle 1 wide and 3 high, centred on (30, 7)
    Image.fromarray(pixels).save("in.png", exif=block((30, 7, 1, 3), (30, 7), orientation))
    picture = read("in.png")
    (rows, cols), area_location = np.nonzero(picture.pixels), subject(picture.metadata.exif)
    centre, size = (int(cols.mean()), int(rows.mean())), (int(np.ptp(cols)) + 1, int(np.ptp(rows)) + 1)
    assert area_location == ((*centre, *size), centre)
    assert subject(read("in.png", ReadOptions(auto_orient=False)).metadata.exif) == ((30, 7, 1, 3), (30, 7))


@pytest.mark.parametrize(
    ("spec", "area", "expected"),
    [
        ("box:3", (20, 10, 8, 6), (20, 10, 8, 6)),
        ("box:3,stride=2", (20, 10, 8, 6), (10, 5, 4, 3)),
        ("box:3,stride=2x1", (20, 10, 8, 6), (10, 10, 4, 6)),
        ("box:3,stride=4x1", (20, 10, 8), (5, 10, 4)),
        ("avgpool:8", (20, 11), (2, 1)),
        ("box:3,padding=valid", (20, 10, 8, 6), (19, 9, 8, 6)),
        ("box:3,padding=full", (20, 10), (21, 11)),
        ("box:11,padding=valid", (3, 10), None),
    ],
)
def test_the_subject_moves_with_the_pixels(folder, spec, area, expected):
    Image.fromarray(np.zeros((24, 40), np.uint8)).save("in.png", exif=block(area, area[:2]))
    filter_file("in.png", "out.jpg", Options([spec]))
    assert subject(read("out.jpg").metadata.exif) == (expected, expected and expected[:2])


def test_damaged_subjects_are_removed():
    data = block((1, 2, 3, 4))
    moves = Axis(0, 2, 50)
    for at in range(len(data)):
        for value in (0, 255):
            geometry.with_subject(data[:at] + bytes([value]) + data[at + 1 :], moves, moves)
        geometry.with_subject(data[:at], moves, moves)
    assert geometry.with_subject(b"no EXIF", moves, moves) == b"no EXIF"


def test_regions_stay_where_the_result_shows_the_same_part(folder):
    def filtered(spec, xmp=REGIONS, **options):
        metadata = {"xmp": xmp} if options.pop("webp", True) else {}
        Image.fromarray(np.zeros((60, 80, 3), np.uint8)).save("in.webp", lossless=True, **metadata)
        notes = filter_file("in.webp", "out.webp", Options([spec], write=WriteOptions(**options))).notes
        return notes, read("out.webp").metadata.xmp

    note = "XMP describes regions of the picture; that is left out"
    for spec in ("gaussian:1", "box:3,stride=2", "avgpool:4"):
        notes, after = filtered(spec)
        assert notes == () and b"mwg-rs:Regions" in after
    for spec in ("box:9,padding=valid", "box:9,padding=full", "box:3,padding=20,stride=2"):
        notes, after = filtered(spec)
        assert notes == (note,) and b"Region" not in after.replace(b"/regions/", b"")
        assert b"SubjectArea" not in after and b'dc:format="image/png"' in after
    with pytest.raises(WriteError, match="regions of the picture"):
        filtered("box:9,padding=valid", strict=True)


def test_regions_of_a_turned_picture_are_left_out(folder):
    turned = REGIONS.replace(
        b'dc:format="', b'xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="6" dc:format="'
    )
    Image.fromarray(np.zeros((60, 80, 3), np.uint8)).save("in.webp", lossless=True, xmp=turned)
    report = filter_file("in.webp", "out.webp", Options(["box:3"]))
    assert report.notes == ("XMP describes regions of the picture; that is left out",)
    assert b"mwg-rs:Regions" not in read("out.webp").metadata.xmp
    assert xmp_clean.without_regions(b"<a/>") == (b"<a/>", [])


@pytest.mark.parametrize(
    ("spec", "factor"), [("box:1,stride=2x1", 2), ("box:1,stride=1x3", Fraction(1, 3)), ("box:1,stride=2", 1)]
)
@pytest.mark.parametrize("suffix", ["png", "exr"])
def test_an_aspect_ratio_is_that_of_the_results_pixels(folder, spec, factor, suffix):
    Image.fromarray(np.zeros((24, 40), np.uint8)).save("in.png")
    data = Path("in.png").read_bytes()
    aspect = chunk(b"pHYs", struct.pack(">IIB", 3, 2, 0))  # a pixel is 2/3 as wide as high
    Path("in.png").write_bytes(data[:33] + aspect + data[33:])
    if suffix == "exr":
        pytest.importorskip("OpenEXR")
        filter_file("in.png", "in.exr", Options(["identity"]))
    filter_file(f"in.{suffix}", f"out.{suffix}", Options([spec]))
    across, down, unit = struct.unpack(">IIB", dict(read(f"out.{suffix}").metadata.png)[b"pHYs"])
    assert (Fraction(down, across), unit) == (Fraction(2, 3) * factor, 0)
