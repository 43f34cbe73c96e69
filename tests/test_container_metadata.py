"""Metadata in places that decoders skip: BMP, TGA, GIF and PNM."""

import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from convfilter.errors import ReadError, WriteError
from convfilter.picture.metadata import icc, icc_curves, icc_write
from convfilter.picture.metadata.curves import ParametricCurve
from convfilter.picture.read import read
from convfilter.pipeline import Options, filter_file

pytestmark = pytest.mark.usefixtures("folder")

WIDE = icc_write.matrix_profile(
    "Wide", ((0.7347, 0.2653), (0.1596, 0.8404), (0.0366, 0.0001), (0.3457, 0.3585)), ParametricCurve(1.8)
)
PIXELS = np.arange(36, dtype=np.uint8).reshape(3, 4, 3)
REMARKS = {"Description": "an id", "Author": "Jane Doe", "Comment": "one\ntwo", "Job": "A job", "Software": "paint"}


def copied(source, destination):
    return filter_file(source, destination, Options(["identity"])).notes


def bmp(space, *, profile=b"", points=(0,) * 9, gamma=0.0, size=124):
    """A BMP of 4x3 pixels with a header of version 4 or 5 (wingdi.h)."""
    samples = PIXELS[::-1, :, ::-1].tobytes()
    start = 14 + size
    header = struct.pack("<IiiHHIIiiII", size, 4, 3, 1, 24, 0, len(samples), 0, 0, 0, 0) + bytes(16)
    header += struct.pack("<I9i3I", space, *(int(value * 2**30) for value in points), *[int(gamma * 65536)] * 3)
    if size == 124:
        header += struct.pack("<IIII", 4, start - 14 + len(samples), len(profile), 0)
    file = struct.pack("<2sIHHI", b"BM", start + len(samples) + len(profile), 0, 0, start)
    return file + header + samples + profile


def test_the_profile_of_a_bmp_is_read():
    Path("in.bmp").write_bytes(bmp(0x4D424544, profile=WIDE))
    assert copied("in.bmp", "out.png") == ()
    kept = read("out.png")
    assert kept.metadata.icc == WIDE
    np.testing.assert_array_equal(kept.pixels, PIXELS)
    with pytest.raises(WriteError, match=r"BMP is written without a colour profile \(Wide\).*shown wrong"):
        copied("in.bmp", "out.bmp")


@pytest.mark.parametrize("size", [108, 124])
def test_primaries_and_gamma_of_a_bmp_become_a_profile(size):
    srgb_points = (0.4124, 0.2126, 0.0193, 0.3576, 0.7152, 0.1192, 0.1805, 0.0722, 0.9505)
    Path("in.bmp").write_bytes(bmp(0, points=srgb_points, gamma=1.8, size=size))
    assert copied("in.bmp", "out.png") == ()
    profile = read("out.png").metadata.icc
    assert icc_curves.curve_of(profile).gamma == pytest.approx(1.8, abs=1e-3)
    assert icc.has_srgb_primaries(profile)
    for plain in (bmp(0, size=size), bmp(0x73524742, size=size), bmp(0x57696E20, size=size)):
        Path("in.bmp").write_bytes(plain)
        assert copied("in.bmp", "out.bmp") == ()


def test_a_profile_that_cannot_be_read_is_reported():
    Path("linked.bmp").write_bytes(bmp(0x4C494E4B, profile=b"C:\\wide.icc\0"))
    Path("cut.bmp").write_bytes(bmp(0x4D424544, profile=WIDE)[:-9])
    assert "the colour profile of the BMP is in another file" in copied("linked.bmp", "out.png")[0]
    assert "profile of the BMP is damaged" in copied("cut.bmp", "out.png")[0]


def tga(attributes=0, opacity=False):
    """A TGA of version 2.0 with all its texts."""
    pixels = np.dstack([PIXELS, np.full((3, 4), 100, np.uint8)]) if opacity else PIXELS
    order = [2, 1, 0, 3][: pixels.shape[2]]
    header = bytes([5, 0, 2]) + bytes(5) + struct.pack("<HHHHBB", 0, 0, 4, 3, 8 * len(order), 0x28 if opacity else 0x20)
    body = header + b"an id" + pixels[..., order].tobytes()
    lines = b"".join(line.ljust(81, b"\0") for line in (b"one", b"two", b"", b""))
    extension = struct.pack("<H", 495) + b"Jane Doe".ljust(41, b"\0") + lines
    extension += struct.pack("<6H", 2, 1, 2020, 3, 4, 5) + b"A job".ljust(41, b"\0") + bytes(6)
    extension += b"paint".ljust(41, b"\0")
    extension = extension.ljust(494, b"\0") + bytes([attributes])
    return body + extension + struct.pack("<II", len(body), 0) + b"TRUEVISION-XFILE.\0"


def test_the_texts_of_a_tga_are_kept_or_reported():
    Path("in.tga").write_bytes(tga())
    assert copied("in.tga", "out.png") == ()
    kept = {text.keyword: text.value for text in read("out.png").metadata.text}
    assert kept == {**REMARKS, "Creation Time": "2020-02-01T03:04:05"}
    (note,) = copied("in.tga", "out.tga")
    assert note.startswith("TGA is written without texts (Description, Author")
    Path("in.tga").write_bytes(tga()[:-40])  # its footer is gone
    assert copied("in.tga", "out.png") == ()


@pytest.mark.parametrize(("attributes", "is_premultiplied"), [(3, False), (4, True)])
def test_a_tga_may_be_premultiplied(attributes, is_premultiplied):
    Path("in.tga").write_bytes(tga(attributes, opacity=True))
    copied("in.tga", "out.tif")
    assert read("out.tif").premultiplied == is_premultiplied
    np.testing.assert_array_equal(read("out.tif").pixels[..., :3], PIXELS)


@pytest.mark.parametrize("kind", ["ppm", "pam"])
def test_the_comments_of_a_pnm_are_kept(kind):
    head = {
        "ppm": "P6\n# Grüße\n#  from here\n4 3\n255\n",
        "pam": "P7\n# Grüße\nWIDTH 4\n# from here\nHEIGHT 3\nDEPTH 3\nMAXVAL 255\nTUPLTYPE RGB\nENDHDR\n",
    }[kind]
    Path(f"in.{kind}").write_bytes(head.encode() + PIXELS.tobytes())
    for name in ("out.png", f"out.{kind}", "out.jpg"):
        assert copied(f"in.{kind}", name) == ()
        assert [text.value for text in read(name).metadata.text] == ["Grüße\nfrom here"]
    np.testing.assert_array_equal(read(f"out.{kind}").pixels, PIXELS)
    (note,) = copied(f"in.{kind}", "out.tga")
    assert "without texts (Comment)" in note
    copied("out.png", "title.ppm")
    with Image.open("title.ppm") as image:
        np.testing.assert_array_equal(np.asarray(image), PIXELS)


@pytest.mark.parametrize("head", [b"P6\n#" + bytes(2**19) + b"\n4 3\n255\n", b"P7\n" + 2**18 * b"#\n" + b"WIDTH 4\n"])
def test_comments_without_end_are_refused(head):
    Path("in.ppm").write_bytes(head + PIXELS.tobytes())
    with pytest.raises(ReadError, match="holds comments of more than 262144 bytes"):
        copied("in.ppm", "out.png")


def test_the_shape_of_a_gifs_pixels_is_kept_or_reported():
    Image.fromarray(PIXELS[..., 0]).save("in.gif")
    data = bytearray(Path("in.gif").read_bytes())
    for aspect, ratio in ((100, (64, 115)), (49, None), (0, None)):
        data[12] = aspect
        Path("in.gif").write_bytes(data)
        assert copied("in.gif", "out.png") == ()
        found = dict(read("out.png").metadata.png).get(b"pHYs")
        assert (found and struct.unpack(">IIB", found)) == (ratio and (*ratio, 0))
        assert len(copied("in.gif", "out.gif")) == (1 if ratio else 0)
