"""No silent loss: for every pair of formats, each content of the input is kept, or a note names it."""

from __future__ import annotations

import io
import json
import re
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms
from PIL.PngImagePlugin import PngInfo
from pngs import chunk
from processes import program
from samples import noise

from convfilter.errors import WriteError
from convfilter.picture.format import NAMES, Format, Holds
from convfilter.picture.formats import FORMATS
from convfilter.picture.frame import Frame
from convfilter.picture.metadata.metadata import Metadata
from convfilter.picture.options import ReadOptions, WriteOptions
from convfilter.picture.picture import Picture
from convfilter.picture.pillow.boxes import boxes_of
from convfilter.picture.pixels import CHANNELS
from convfilter.picture.read import read
from convfilter.picture.write import write
from convfilter.pipeline import Options, filter_file

pytestmark = pytest.mark.usefixtures("folder")

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def fixed(*values: float) -> bytes:
    return struct.pack(f">{len(values)}i", *(round(value * 65536) for value in values))


def display_p3() -> bytes:
    """The profile of sRGB with the primaries of Display P3."""
    columns = {b"rXYZ": (0.5151, 0.2412, -0.0011), b"gXYZ": (0.2920, 0.6922, 0.0419), b"bXYZ": (0.1571, 0.0666, 0.7841)}
    profile = bytearray(SRGB)
    for at in range(132, 132 + 12 * int.from_bytes(profile[128:132], "big"), 12):
        name, offset = bytes(profile[at : at + 4]), int.from_bytes(profile[at + 4 : at + 8], "big")
        if name in columns:
            profile[offset + 8 : offset + 20] = fixed(*columns[name])
    return bytes(profile)


def few_colours(shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    """A picture with few enough colours for a palette."""
    return noise((4, shape[2]), seed=9)[np.random.default_rng(seed).integers(0, 4, shape[:2])]


def copied(source: str, destination: str, **options: object) -> tuple[str, ...]:
    """Filter a file with the identity; returns the notes."""
    report = filter_file(source, destination, Options(["identity"], write=WriteOptions(**options)))
    return noted(report.notes)


def noted(notes: tuple[str, ...]) -> tuple[str, ...]:
    """Leave out the notes on every Radiance HDR that is written."""
    return tuple(note for note in notes if "bits per sample and an exponent" not in note)


def said(done: subprocess.CompletedProcess[str]) -> list[str]:
    return [line for line in done.stderr.splitlines() if "compiling" not in line]


every_format = pytest.mark.parametrize("fmt", FORMATS, ids=lambda fmt: fmt.name)


def name_of(fmt: Format) -> str:
    return f"out{fmt.suffixes[0]}"


def saved(picture: Picture, name: str) -> str:
    write(name, picture)
    return name


def test_every_kind_of_metadata_has_a_name() -> None:
    assert set(NAMES) == set(Holds.__match_args__)


@every_format
@pytest.mark.parametrize("dtype", [np.uint16, np.float32])
def test_depth_is_kept_or_reported(fmt: Format, dtype: type) -> None:
    shape = (6, 5) if fmt.models == ("gray",) else (6, 5, 3)
    pixels = noise(shape, dtype)
    notes = copied(saved(Picture.from_array(pixels), "in.tif"), name_of(fmt))
    kept = read(name_of(fmt)).pixels
    if fmt.mantissa:
        return
    if fmt.dtypes[-1] == "float32" or (np.dtype(dtype).name in fmt.dtypes and fmt.whites != "depths"):
        assert not notes
        white = 1 if kept.dtype == dtype else 65535
        if fmt.linear and dtype is np.uint16:
            pixels = srgb_curve(pixels / 65535) * 65535
        np.testing.assert_allclose(kept * np.float64(white), pixels, rtol=1e-6)
    else:
        assert re.search(rf"{fmt.name} holds (8|12|16) bits per sample", notes[0])
        with pytest.raises(WriteError, match=r"bits per sample.*strict=True"):
            copied("in.tif", "other" + fmt.suffixes[0], strict=True)
        assert not Path("other" + fmt.suffixes[0]).exists()


@every_format
@pytest.mark.parametrize(("low", "high"), [(-0.5, 1.0), (0.0, 1.5), (0.0, 1.0)])
def test_floats_beyond_their_range_are_kept_or_refused(fmt: Format, low: float, high: float) -> None:
    pixels = np.linspace(low, high, 48, dtype=np.float32).reshape(6, 8)
    write("in.tif", pixels)
    if fmt.mantissa:
        return
    if "float32" in fmt.dtypes or (low, high) == (0, 1):
        copied("in.tif", name_of(fmt))
        return
    with pytest.raises(WriteError, match=rf"{fmt.name} holds values from 0 .* from {low:g} to {high:g}.*scale"):
        copied("in.tif", name_of(fmt))
    with pytest.raises(WriteError, match="allow_loss=True"):
        write(name_of(fmt), pixels)
    assert not Path(name_of(fmt)).exists()
    assert any("holds values from 0" in note for note in copied("in.tif", name_of(fmt), allow_loss=True))
    fitted = Options(["identity"], {"scale": 0.5, "offset": 0.25})
    assert not any("from 0" in note for note in filter_file("in.tif", name_of(fmt), fitted).notes)


def test_results_that_a_filter_drives_beyond_the_range_are_clipped() -> None:
    write("in.tif", noise((9, 9), np.float32))
    report = filter_file("in.tif", "out.png", Options(["unsharp:1,amount=5"]))
    assert report.clipped > 0 and len(report.notes) == 1


@every_format
@pytest.mark.parametrize("channels", [2, 4])
def test_transparency_is_kept_or_refused(fmt: Format, channels: int) -> None:
    pixels = few_colours((6, 5, channels))
    pixels[..., -1] = np.where(pixels[..., 0] > np.median(pixels[..., 0]), 255, 0)
    if "rgb" not in fmt.models and channels == 4:
        return
    write("in.png", pixels)
    if fmt.alpha:
        assert copied("in.png", name_of(fmt)) == ()
        kept = read(name_of(fmt)).pixels
        kept = kept * (255 / {"f": 1, "u": np.iinfo(np.uint16).max}[kept.dtype.kind]) if kept.itemsize > 1 else kept
        np.testing.assert_allclose(kept[..., -1], pixels[..., -1], atol=3)
        return
    with pytest.raises(WriteError, match=rf"{fmt.name} has no transparency; .*background.*allow_loss=True"):
        copied("in.png", name_of(fmt))
    (note,) = copied("in.png", name_of(fmt), allow_loss=True)
    assert "no transparency" in note
    assert not read(name_of(fmt)).alpha
    assert copied("in.png", name_of(fmt), background="white") == ()


def test_a_picture_that_cannot_be_flattened_is_not_to_be_laid_over_a_colour() -> None:
    picture = Picture([Frame(noise((6, 5, 5), np.uint8))], "cmyk", True)
    with pytest.raises(WriteError, match=r"JPEG has no transparency; use a format that has it \(tiff\), or drop it"):
        write("out.jpg", picture)


@every_format
def test_bands_are_kept_or_refused(fmt: Format) -> None:
    model = "rgb" if "rgb" in fmt.models else "gray"
    pixels = noise((6, 5, 5))
    extras = 5 - CHANNELS[model]
    write("in.tif", Picture([Frame(pixels)], model, extras=extras))
    if fmt.extras:
        assert copied("in.tif", name_of(fmt)) == ()
        np.testing.assert_array_equal(read(name_of(fmt)).pixels, pixels)
        return
    with pytest.raises(WriteError, match=rf"{fmt.name} holds no bands .* has {extras} more; use tiff"):
        copied("in.tif", name_of(fmt))
    assert any("no bands" in note for note in copied("in.tif", name_of(fmt), allow_loss=True))
    assert read(name_of(fmt)).pixels.shape[:2] == (6, 5)


def test_opacity_that_is_rounded_is_reported() -> None:
    pixels = np.dstack([np.full((4, 4, 3), 9, np.uint8), np.arange(16, dtype=np.uint8).reshape(4, 4) * 17])
    write("in.png", pixels)
    (note,) = copied("in.png", "out.gif")
    assert "opaque and transparent pixels only" in note
    assert copied("out.gif", "again.gif") == ()


def test_colours_that_are_reduced_are_reported() -> None:
    write("in.png", noise((40, 40, 3)))
    (note,) = copied("in.png", "out.gif")
    assert "GIF holds 256 colours" in note
    # A blurred GIF has more colours than it had, but nothing that was in the file is lost.
    assert filter_file("out.gif", "soft.gif", Options(["gaussian:2"])).notes == ()
    write("few.png", few_colours((40, 40, 3)))
    assert copied("few.png", "out.gif") == ()


def animation(delays: tuple[tuple[int, int], ...] = ((1, 10), (1, 4), (2, 1)), loop: int = 0) -> Picture:
    frames = [Frame(few_colours((6, 5, 3), seed), delay) for seed, delay in enumerate(delays)]
    return Picture(frames, "rgb", metadata=Metadata(loop=loop))


@every_format
def test_frames_of_an_animation_are_kept_or_refused(fmt: Format) -> None:
    if "rgb" not in fmt.models:
        return
    write("in.png", animation())
    if fmt.frames:
        notes = copied("in.png", name_of(fmt))
        kept = read(name_of(fmt))
        assert len(kept.frames) == 3
        if fmt.frames == "pages":
            assert len(notes) == 1 and "times of an animation" in notes[0]
        else:
            assert notes == ()
            delays = [frame.delay[0] / frame.delay[1] for frame in kept.frames if frame.delay]
            assert delays == pytest.approx([0.1, 0.25, 2])
        return
    with pytest.raises(WriteError, match=rf"{fmt.name} holds one picture, the input has 3 frames; use .*frame=N"):
        copied("in.png", name_of(fmt))
    notes = copied("in.png", name_of(fmt), allow_loss=True)
    assert len(notes) == 1 and "one picture" in notes[0]
    assert len(read(name_of(fmt)).frames) == 1


@every_format
def test_pages_are_kept_or_refused(fmt: Format) -> None:
    pages = [noise((6, 5), seed=seed) for seed in range(3)]
    write("in.tif", Picture([Frame(page) for page in pages], "gray"))
    if fmt.frames == "pages":
        assert copied("in.tif", name_of(fmt)) == ()
        for frame, page in zip(read(name_of(fmt)).frames, pages, strict=True):
            np.testing.assert_array_equal(frame.pixels, page)
        return
    with pytest.raises(WriteError, match=r"the input has 3 pages; use tiff.*frame=N"):
        copied("in.tif", name_of(fmt))
    copied("in.tif", name_of(fmt), allow_loss=True)
    assert len(read(name_of(fmt)).frames) == 1


@pytest.mark.parametrize(
    ("suffix", "delay", "exact"),
    [
        ("gif", (33, 1000), False),
        ("gif", (3, 100), True),
        ("webp", (1, 30), False),
        ("webp", (33, 1000), True),
        ("gif", (700, 1), False),
        ("png", (70_000, 1000), True),
        ("png", (655_350, 1000), True),
        ("png", (16_777_215, 1000), False),
        ("png", (70_000, 1), False),
        ("png", (1, 100_000), False),
    ],
)
def test_delays_that_are_rounded_are_reported(suffix: str, delay: tuple[int, int], exact: bool) -> None:
    picture = animation((delay, (1, 10)))
    picture.format = "PNG"
    notes = write(f"out.{suffix}", picture)
    assert ["delays" in note for note in notes] == ([] if exact else [True])
    (numerator, denominator), _ = (frame.delay for frame in read(f"out.{suffix}").frames)
    longest = {"gif": 655.35, "png": 65535}.get(suffix, 1e9)
    assert numerator / denominator == pytest.approx(min(delay[0] / delay[1], longest), rel=1e-2, abs=0.01)


def test_repetitions_that_have_no_place_are_reported() -> None:
    write("in.png", animation(loop=3))
    for fmt in FORMATS:
        if fmt.frames == "animation":
            notes = copied("in.png", name_of(fmt))
            assert any("how often" in note for note in notes) != (read(name_of(fmt)).metadata.loop == 3)


@every_format
@pytest.mark.parametrize("profile", [SRGB, display_p3()], ids=["sRGB", "P3"])
def test_profile_is_kept_or_refused(fmt: Format, profile: bytes) -> None:
    if "rgb" not in fmt.models:
        return
    write("in.png", Picture([Frame(few_colours((6, 5, 3)))], metadata=Metadata(icc=profile)))
    if profile == SRGB or fmt.holds.icc or (fmt.holds.cicp and not fmt.only_bt709):  # which say the same by numbers
        notes = copied("in.png", name_of(fmt))
        assert any("a colour profile" in note for note in notes) != (read(name_of(fmt)).metadata.icc == profile)
        return
    with pytest.raises(
        WriteError, match=rf"{fmt.name} is written without a colour profile \(.*shown wrong.*allow_loss=True"
    ):
        copied("in.png", name_of(fmt))
    assert any("a colour profile" in note for note in copied("in.png", name_of(fmt), allow_loss=True))
    assert copied("in.png", name_of(fmt), strip="all") == copied("in.png", name_of(fmt), strip="all")
    with pytest.raises(WriteError, match="shown wrong"):
        copied("in.png", name_of(fmt), strip="most")


XMP = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    b'<rdf:Description rdf:about="" xmlns:photoshop="http://ns.adobe.com/photoshop/1.0/" photoshop:City="Utopia"/>'
    b"</rdf:RDF></x:xmpmeta>"
)
IPTC = b"\x1c\x02\x5a\x00\x07Erewhon"
#: Bytes by which each kind of metadata is found in a file.
NEEDLES = {
    "exif": (b"Maker Inc",),
    "xmp": (b"Utopia",),
    "iptc": (b"Erewhon",),
    "Title": (b"Sunset",),
    "Author": (b"Me & You", b"Me &amp; You"),
    "Comment": ("Grüße".encode(), "Grüße".encode("latin-1")),
    "Description": ("Grüße".encode(),),
    "Custom": (b"xyzzy",),
}


def exif_block() -> bytes:
    block = Image.Exif()
    block[271] = "Maker Inc"
    return block.tobytes()


def resources() -> bytes:
    return b"8BIM\x04\x04\0\0" + len(IPTC).to_bytes(4, "big") + IPTC + b"\0" * (len(IPTC) % 2)


def cicp_chunk(primaries: int, transfer: int) -> list[tuple[bytes, bytes]]:
    return [(b"cICP", bytes([primaries, transfer, 0, 1]))]


def is_close_to_p3(profile: bytes, curve: Callable[[np.ndarray], np.ndarray]) -> bool:
    """Transform by lcms, an independent reader of profiles, and compare with the numbers of the standard."""
    to_xyz = np.array([[0.48657, 0.26567, 0.19822], [0.22897, 0.69174, 0.07929], [0.0, 0.04511, 1.04394]])
    to_srgb = np.array([[3.24097, -1.53738, -0.49861], [-0.96924, 1.87597, 0.04156], [0.05563, -0.20398, 1.05697]])
    colours = noise((8, 8, 3), seed=4) // 2 + 64
    source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    shown = ImageCms.profileToProfile(Image.fromarray(colours), source, ImageCms.createProfile("sRGB"))
    linear = curve(colours / 255.0) @ (to_srgb @ to_xyz).T
    encoded = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * np.maximum(linear, 0) ** (1 / 2.4) - 0.055)
    inside = (encoded > 0.02) & (encoded < 0.98)
    return bool(np.abs(np.asarray(shown) - 255 * encoded)[inside].max() <= 2)


def srgb_curve(x: np.ndarray) -> np.ndarray:
    return np.where(x <= 0.04045, x / 12.92, ((x + 0.055) / 1.055) ** 2.4)


@every_format
def test_display_p3_of_a_code_point_is_kept_as_one_or_as_a_profile(fmt: Format) -> None:
    if "rgb" not in fmt.models:
        return
    write("in.png", Picture([Frame(few_colours((6, 5, 3)))], metadata=Metadata(png=cicp_chunk(12, 13))))
    if fmt.only_bt709 or not (fmt.holds.cicp or fmt.holds.icc):
        with pytest.raises(WriteError, match=rf"{fmt.name} is written without .*\(Display P3, sRGB\).*shown wrong"):
            copied("in.png", name_of(fmt))
        return
    assert copied("in.png", name_of(fmt)) == ()
    kept = read(name_of(fmt)).metadata
    if fmt.holds.cicp:
        assert kept.png == cicp_chunk(12, 8 if fmt.linear else 13) and kept.icc is None
    else:
        assert kept.icc is not None and is_close_to_p3(kept.icc, srgb_curve)


@every_format
def test_hdr_is_kept_or_refused(fmt: Format) -> None:
    if "rgb" not in fmt.models:
        return
    light = [(b"mDCV", bytes(range(24))), (b"cLLI", struct.pack(">II", 10_000_000, 4_000_000))]
    chunks = cicp_chunk(9, 16) + light
    write("in.png", Picture([Frame(few_colours((6, 5, 3)))], metadata=Metadata(png=chunks)))
    if not fmt.holds.cicp or fmt.linear:
        with pytest.raises(WriteError, match=rf"{fmt.name} is written without .*\(BT.2020, PQ\).*shown wrong"):
            copied("in.png", name_of(fmt))
        return
    notes = copied("in.png", name_of(fmt))
    kept = read(name_of(fmt)).metadata.png
    assert kept[0] == chunks[0]
    assert (kept[1:] == light) != any("light levels" in note for note in notes)


@pytest.mark.parametrize("points", [(12, 13), (9, 16), (9, 18), (1, 8), (6, 6)])
def test_code_points_of_an_avif_are_in_its_data_too(points: tuple[int, int]) -> None:
    for frames in ([Frame(noise((16, 16, 3)))], [Frame(noise((16, 16, 3), seed=n), (1, 10)) for n in range(3)]):
        write("in.avif", Picture(frames, metadata=Metadata(png=cicp_chunk(*points))))
        assert read("in.avif").metadata.png == cicp_chunk(*points)
        assert copied("in.avif", "out.png") == ()
        assert read("out.png").metadata.png == cicp_chunk(*points)
        assert copied("in.avif", "out.avif") == ()
        data = Path("out.avif").read_bytes()
        boxes = re.findall(rb"colrnclx(..)(..)", data, re.DOTALL)
        assert set(boxes) == {tuple(value.to_bytes(2, "big") for value in points)}
        # Sequence header of AV1: the flag for a description of colour, then primaries and transfer function.
        bits = "".join(f"{byte:08b}" for byte in data[data.index(b"mdat") :][:40])
        assert f"1{points[0]:08b}{points[1]:08b}" in bits


def test_gamma_and_primaries_become_a_profile() -> None:
    rec = struct.pack(">8I", 31270, 32900, 68000, 32000, 26500, 69000, 15000, 6000)
    chunks = [(b"gAMA", struct.pack(">I", 100000)), (b"cHRM", rec)]
    write("in.png", Picture([Frame(few_colours((6, 5, 3)))], metadata=Metadata(png=chunks)))
    for name in ("out.jpg", "out.tif", "out.webp", "out.avif", "out.gif"):
        assert copied("in.png", name) == ()
        profile = read(name).metadata.icc
        assert profile is not None and is_close_to_p3(profile, lambda x: x)
    with pytest.raises(WriteError, match=r"BMP is written without gamma and primaries.*shown wrong"):
        copied("in.png", "out.bmp")
    usual = [(b"gAMA", struct.pack(">I", 45455)), (b"sRGB", b"\0")]
    write("in.png", Picture([Frame(few_colours((6, 5, 3)))], metadata=Metadata(png=usual)))
    assert copied("in.png", "out.bmp") == ()
    assert copied("in.png", "out.jpg") == () and read("out.jpg").metadata.icc is None
    grey = [(b"gAMA", struct.pack(">I", 100000))]
    write("in.png", Picture([Frame(noise((6, 5)))], "gray", metadata=Metadata(png=grey)))
    assert copied("in.png", "out.jpg") == ()
    profile = read("out.jpg").metadata.icc
    assert profile is not None and profile[16:20] == b"GRAY"


def make_rich_png(image: Image.Image, name: str) -> None:
    info = PngInfo()
    info.add_text("Title", "Sunset")
    info.add_text("Author", "Me & You")
    info.add_itxt("Comment", "Grüße")
    info.add_text("Custom", "xyzzy")
    info.add_itxt("XML:com.adobe.xmp", XMP.decode())
    image.save(name, pnginfo=info, dpi=(300, 150), exif=exif_block(), icc_profile=SRGB)


def make_rich_jpeg(image: Image.Image, name: str) -> None:
    content = b"Photoshop 3.0\0" + resources()
    segment = b"\xff\xed" + (len(content) + 2).to_bytes(2, "big") + content
    common = {"dpi": (300, 150), "exif": exif_block(), "xmp": XMP, "icc_profile": SRGB}
    image.save(name, comment="Grüße".encode(), extra=segment, **common)


def make_rich_tiff(image: Image.Image, name: str) -> None:
    tags = [
        (269, 2, None, "Sunset", True),
        (315, 2, None, "Me & You", True),
        (271, 2, None, "Maker Inc", True),
        (700, 1, len(XMP), XMP, True),
        (33723, 7, len(IPTC), IPTC, True),
    ]
    with tifffile.TiffWriter(name) as tiff:
        tiff.write(
            np.asarray(image),
            photometric="rgb",
            description="Grüße".encode(),
            resolution=(300, 150),
            resolutionunit=2,
            iccprofile=SRGB,
            metadata=None,
            software=False,
            extratags=tags,
        )


def make_rich_webp(image: Image.Image, name: str) -> None:
    image.save(name, exif=exif_block(), xmp=XMP, icc_profile=SRGB, lossless=True)


def make_rich_avif(image: Image.Image, name: str) -> None:
    image.save(name, exif=exif_block(), xmp=XMP, icc_profile=SRGB)


def make_rich_gif(image: Image.Image, name: str) -> None:
    image.save("plain.gif", comment="Grüße".encode())
    data = Path("plain.gif").read_bytes()
    assert data[10] & 0x80
    at = 13 + 3 * 2 ** ((data[10] & 7) + 1)
    trailer = b"\x01" + bytes(range(255, -1, -1)) + b"\0"
    Path(name).write_bytes(data[:at] + b"\x21\xff\x0bXMP DataXMP" + XMP + trailer + data[at:])


def make_rich_jp2(image: Image.Image, name: str) -> None:
    image.save(name)
    data = Path(name).read_bytes()
    boxes = b""
    for uuid, content in (
        (bytes.fromhex("be7acfcb97a942e89c71999491e3afac"), XMP),
        (b"JpgTiffExif->JP2", exif_block()),
    ):
        boxes += struct.pack(">I4s", 24 + len(content), b"uuid") + uuid + content
    at = data.index(b"jp2c") - 4
    Path(name).write_bytes(data[:at] + boxes + data[at:])


def make_rich_pcx(image: Image.Image, name: str) -> None:
    image.save("plain.pcx")
    data = Path("plain.pcx").read_bytes()
    Path(name).write_bytes(data[:12] + struct.pack("<HH", 300, 150) + data[16:])


def make_rich_bmp(image: Image.Image, name: str) -> None:
    image.save(name, dpi=(300, 150))


def make_rich_tga(image: Image.Image, name: str) -> None:
    image.save("plain.tga")
    body = Path("plain.tga").read_bytes()
    lines = "Grüße".encode().ljust(324, b"\0")
    extension = struct.pack("<H", 495) + b"Me & You".ljust(41, b"\0") + lines + bytes(495 - 2 - 41 - 324)
    footer = struct.pack("<II", len(body), 0) + b"TRUEVISION-XFILE.\0"
    Path(name).write_bytes(body + extension + footer)


def make_rich_ppm(image: Image.Image, name: str) -> None:
    image.save("plain.ppm")
    data = Path("plain.ppm").read_bytes()
    Path(name).write_bytes(data[:3] + "# Grüße\n".encode() + data[3:])


#: Files that hold all that their format can, made by other programs.
RICH = {
    "png": (make_rich_png, {"icc", "exif", "xmp", "resolution", "Title", "Author", "Comment", "Custom"}),
    "jpg": (make_rich_jpeg, {"icc", "exif", "xmp", "iptc", "resolution", "Comment"}),
    "tif": (make_rich_tiff, {"icc", "exif", "xmp", "iptc", "resolution", "Title", "Author", "Description"}),
    "webp": (make_rich_webp, {"icc", "exif", "xmp"}),
    "avif": (make_rich_avif, {"icc", "exif", "xmp"}),
    "gif": (make_rich_gif, {"xmp", "Comment"}),
    "jp2": (make_rich_jp2, {"exif", "xmp"}),
    "bmp": (make_rich_bmp, {"resolution"}),
    "pcx": (make_rich_pcx, {"resolution"}),
    "tga": (make_rich_tga, {"Author", "Comment"}),
    "ppm": (make_rich_ppm, {"Comment"}),
}


def is_kept(kind: str, name: str) -> bool:
    if kind in NEEDLES:
        return any(needle in Path(name).read_bytes() for needle in NEEDLES[kind])
    if kind == "icc" and name.endswith((".jp2", ".gif")):
        return read(name).metadata.icc == SRGB  # Pillow does not look for it
    if name.endswith((".pam", ".pfm", ".exr", ".hdr", ".ff")):
        return False
    if name.endswith(".jxl"):  # which Pillow does not read
        info, exif = {}, Image.Exif()
        exif.load(b"Exif\0\0" + dict(boxes_of(Path(name).read_bytes())).get(b"Exif", b"")[4:])
    else:
        with Image.open(name) as image:
            info, exif = image.info, image.getexif()
    if kind == "icc":
        return info.get("icc_profile") == SRGB
    dpi = info.get("dpi")
    if dpi is None and 282 in exif:
        dpi = float(exif[282]), float(exif[283])
    if dpi is None and (found := re.findall(rb"tiff:[XY]Resolution>(\d+)/(\d+)", Path(name).read_bytes())):
        dpi = tuple(int(number) / int(unit) for number, unit in found)
    return dpi is not None and np.allclose(dpi, (300, 150), atol=0.05)


@every_format
@pytest.mark.parametrize("suffix", RICH)
def test_metadata_are_kept_or_reported(fmt: Format, suffix: str) -> None:
    model = fmt.models[0] if "rgb" not in fmt.models else "rgb"
    source, destination = f"in.{suffix}", f"out{fmt.suffixes[0]}"
    make, kinds = RICH[suffix]
    make(Image.fromarray(few_colours((6, 8, 3))), source)
    options = Options(["identity"], gray=model == "gray")
    notes = noted(filter_file(source, destination, options).notes)
    for kind in kinds - ({"icc"} if model == "gray" else set()):
        name = NAMES.get(kind) or kind
        says = [note for note in notes if note.startswith(f"{fmt.name} is written without") and name in note]
        assert len(says) == (0 if is_kept(kind, destination) else 1), (kind, notes)
    assert all(note.startswith(f"{fmt.name} ") for note in notes)
    assert noted(filter_file(source, destination, options._replace(write=WriteOptions(strip="all"))).notes) == ()


def test_private_chunks_and_extensions_are_named() -> None:
    image = Image.fromarray(few_colours((6, 8, 3)))
    image.save("a.webp", lossless=True)
    data = Path("a.webp").read_bytes()
    data = data[:4] + struct.pack("<I", len(data) + 2) + data[8:] + b"PRIV\2\0\0\0xx"
    Path("a.webp").write_bytes(data)
    image.save("a.gif")
    data = Path("a.gif").read_bytes()
    at = 13 + 3 * 2 ** ((data[10] & 7) + 1)
    Path("a.gif").write_bytes(data[:at] + b"\x21\xff\x0bMGK8BIM0000\2xx\0\x21\x01\2xx\0" + data[at:])
    image.save("a.jp2")
    Path("a.jp2").write_bytes(Path("a.jp2").read_bytes() + b"\0\0\0\x0aasocxx" + b"\0\0\0\x1auuid" + bytes(18))
    info = PngInfo()
    info.add(b"prVt", b"xx")
    info.add(b"caBX", b"xx")
    info.add(b"sBIT", bytes(3))
    image.save("a.png", pnginfo=info)
    found = {suffix: copied(f"a.{suffix}", "out.tif") for suffix in ("webp", "gif", "jp2", "png")}
    assert found == {
        "webp": ("the WebP has chunks that are left out: PRIV",),
        "gif": ("the GIF has blocks that are left out: MGK8BIM0000, plain text",),
        "jp2": ("the JPEG 2000 has boxes that are left out: asoc, uuid",),
        "png": ("the PNG has chunks that are left out: prVt, caBX",),
    }


@pytest.mark.parametrize("bits", [8, 16])
def test_background_colour_of_a_png_is_kept_or_reported(bits: int) -> None:
    dtype = np.uint8 if bits == 8 else np.uint16
    write("in.png", noise((4, 4, 4), dtype))
    data = Path("in.png").read_bytes()
    colour = (10, 20, 30) if bits == 8 else (1000, 2000, 30000)
    at = data.index(b"IDAT") - 4
    Path("in.png").write_bytes(data[:at] + chunk(b"bKGD", struct.pack(">3H", *colour)) + data[at:])
    assert copied("in.png", "out.png") == ()
    content = Path("out.png").read_bytes()
    assert content[content.index(b"bKGD") :][4:10] == struct.pack(">3H", *colour)
    assert any("a background colour" in note for note in copied("in.png", "out.tif"))
    assert copied("in.png", "out.png", background="white") == ()
    filter_file("in.png", "grey.png", Options(["identity"], gray=True))
    content = Path("grey.png").read_bytes()
    assert content[content.index(b"bKGD") - 4 :][:4] == b"\0\0\0\2"


def test_options_contradict_each_other() -> None:
    write("in.png", noise((4, 4)))
    done = program("apply", "-f", "identity", "--strict", "--allow-loss", "in.png", "out.png")
    assert done.returncode == 2 and "leave one of them out" in done.stderr
    Path("convfilter.toml").write_text("strict = true\n")
    write("deep.png", noise((4, 4), np.uint16))
    assert program("apply", "-f", "identity", "deep.png", "out.jpg").returncode == 1
    done = program("apply", "-f", "identity", "--allow-loss", "deep.png", "out.jpg")
    assert done.returncode == 0 and len(said(done)) == 1


def test_a_note_names_the_file_and_an_error_leaves_none() -> None:
    write("in.png", noise((4, 4, 4), np.uint16))
    done = program("apply", "-f", "identity", "in.png", "out.jpg")
    assert done.returncode == 1 and not Path("out.jpg").exists()
    (line,) = said(done)
    assert line.startswith("convfilter: out.jpg: JPEG has no transparency")
    done = program("apply", "-f", "identity", "--background", "white", "in.png", "out.jpg")
    assert done.returncode == 0
    (line,) = said(done)
    assert line.startswith("convfilter: in.png: JPEG holds 8 bits per sample")
    done = program("apply", "-f", "identity", "--background", "white", "--strict", "in.png", "strict.jpg")
    assert done.returncode == 1 and "--strict" in done.stderr and not Path("strict.jpg").exists()


def test_a_batch_says_a_note_once_with_a_count() -> None:
    Path("photos").mkdir()
    for number in range(5):
        write(f"photos/{number}.png", noise((4, 4), np.uint16 if number else np.uint8))
    done = program("apply", "-f", "identity", "--ext", "jpg", "photos", "out")
    assert done.returncode == 0
    lines = said(done)
    assert [line for line in lines if "bits per sample" in line] == [lines[0]]
    assert re.match(r"convfilter: photos/\d.png and 3 more: JPEG holds 8 bits", lines[0])
    assert lines[1:] == ["convfilter: 5 done, 0 failed"]
    done = program("apply", "-f", "identity", "--ext", "jpg", "--json", "--quiet", "photos", "again")
    assert said(done) == []
    records = [json.loads(line) for line in done.stdout.splitlines()]
    assert sorted(len(record["notes"]) for record in records) == [0, 1, 1, 1, 1]
    done = program("apply", "-f", "identity", "--ext", "jpg", "--strict", "photos", "strict")
    assert done.returncode == 1 and said(done)[-1] == "convfilter: 1 done, 4 failed"


def with_holes(shape: tuple[int, ...], value: float = np.nan) -> np.ndarray:
    """Noise with one pixel whose colours are NaN; opacity is 1."""
    pixels = noise(shape, np.float32)
    np.atleast_3d(pixels)[2, 3, :3] = value
    return pixels


@every_format
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_nan_and_infinity_are_kept_or_refused(fmt: Format, value: float) -> None:
    pixels = with_holes((6, 8), value)
    write("in.tif", pixels)
    name = name_of(fmt)
    if fmt.mantissa:
        with pytest.raises(WriteError, match="neither negative values nor NaN"):
            copied("in.tif", name)
        return
    if "float32" in fmt.dtypes:
        assert copied("in.tif", name) == ()
        np.testing.assert_array_equal(read(name).pixels, pixels)
        return
    message = r"1 sample is NaN.*with nan,.*allow_loss=True" if np.isnan(value) else r"-?inf.*allow_loss=True"
    with pytest.raises(WriteError, match=message):
        copied("in.tif", name)
    with pytest.raises(WriteError, match=message):
        write(name, pixels)
    assert not Path(name).exists()
    assert any(re.search("NaN|inf", note) for note in copied("in.tif", name, allow_loss=True))
    if np.isnan(value):
        assert not any("NaN" in note for note in copied("in.tif", name, nan=1.0))


@pytest.mark.parametrize("linear", [False, True])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_nan_is_stored_as_zero_or_as_the_requested_value(channels: int, linear: bool) -> None:
    write("in.tif", with_holes((9, 9, channels)))
    spread = Options(["box:3"], linear=linear)
    filter_file("in.tif", "real.tif", spread)
    filter_file("in.tif", "black.png", spread._replace(write=WriteOptions(allow_loss=True)))
    filter_file("in.tif", "out.png", spread._replace(write=WriteOptions(nan=0.25)))
    colours = channels - (channels == 4)
    real, black, kept = (read(name).pixels.reshape(9, 9, -1) for name in ("real.tif", "black.png", "out.png"))
    holes = np.isnan(real[..., :colours])
    assert holes.sum() == 9 * colours
    assert set(kept[..., :colours][holes]) == {16384} and set(black[..., :colours][holes]) == {0}
    np.testing.assert_array_equal(kept[..., :colours][~holes], black[..., :colours][~holes])
    with pytest.raises(WriteError, match=rf"{9 * colours} samples are NaN"):
        filter_file("in.tif", "refused.png", spread)
    # The pixels with NaN are outside every window: nothing is lost.
    apart = Options(["box:1"], {"stride": (4, 1)})
    assert not any("NaN" in note for note in filter_file("in.tif", "apart.png", apart).notes)


def test_the_value_for_nan_is_a_share_of_white() -> None:
    """Samples of int32 are computed as float64; white is 2**31 - 1."""
    picture = Picture.from_array(np.zeros((2, 3), np.int32))
    picture.pixels[0, 0] = np.nan
    write("nan.png", picture, WriteOptions(nan=1.0, allow_loss=True))
    np.testing.assert_array_equal(read("nan.png").pixels, [[65535, 0, 0], [0, 0, 0]])


def test_nan_with_a_background_and_in_every_page() -> None:
    write("in.tif", with_holes((6, 8, 4)))
    options = Options(["identity"], write=WriteOptions(background="white", nan=0.5))
    filter_file("in.tif", "out.png", options)
    assert read("out.png").pixels[2, 3].tolist() == [32768] * 3
    pages = [with_holes((6, 8)), noise((6, 8), np.float32), with_holes((6, 8))]
    write("pages.tif", Picture([Frame(page) for page in pages], "gray"))
    with pytest.raises(WriteError, match="1 sample is NaN"):
        filter_file("pages.tif", "out.png", Options(["identity"], read=ReadOptions(frame=2)))
    done = program("apply", "-f", "identity", "--nan", "2", "in.tif", "out.png")
    assert done.returncode == 2 and "--nan" in done.stderr
