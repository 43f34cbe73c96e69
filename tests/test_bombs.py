"""Small files that would take much memory or time, which are refused by their headers."""

import io
import json
import struct
import subprocess
import sys
import zlib

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image
from pngs import GRAY, PALETTE, RGB, RGBA, SIGNATURE, chunk, ihdr, pixels_of, png
from psds import RGB as PSD_RGB
from psds import psd, resource, samples
from tiffs import by_hand

from convfilter import pipeline
from convfilter.errors import ReadError, SizeError
from convfilter.picture import limits
from convfilter.picture.read import ReadOptions, read
from convfilter.picture.tiff import segments as tiff_segments

MEBIBYTE = 2**20
#: Memory for reading, beyond the interpreter and its modules; the bombs would take gigabytes.
ROOM_BYTES = 500 * MEBIBYTE
READ_ALL = f"""
import io, json, resource, sys
from convfilter.errors import ConvfilterError
from convfilter.picture.read import ReadOptions, read
import PIL.WebPImagePlugin, PIL.AvifImagePlugin, PIL.GifImagePlugin, PIL.IcoImagePlugin, imagecodecs, tifffile
for name in ("jpeg8", "jpeg2k", "png", "webp", "zlib", "zstd", "lerc", "jpegxl"):
    getattr(imagecodecs, name + "_decode")
used = int(open("/proc/self/statm").read().split()[0]) * 4096
resource.setrlimit(resource.RLIMIT_AS, (used + {ROOM_BYTES},) * 2)
messages = {{}}
for path in sys.argv[1:]:
    for lenient in (True, False):
        try:
            picture = read(path, ReadOptions(max_pixels=2_000_000, lenient=lenient))
            messages[path] = str(picture.pixels.shape)
        except ConvfilterError as error:
            messages[path] = str(error)
print(json.dumps(messages))
"""


def in_png(*chunks):
    return png(np.zeros((4, 4, 3), np.uint8), 8, RGB, before=b"".join(chunks))


def saved(size, fmt, mode="RGB", **options):
    buffer = io.BytesIO()
    Image.new(mode, size).save(buffer, fmt, **options)
    return buffer.getvalue()


def inflating(size):
    """Return a zlib stream of ``size`` zeros; after full flushes all blocks are equal, so only one is compressed."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    block = packer.compress(bytes(MEBIBYTE)) + packer.flush(zlib.Z_FULL_FLUSH)
    blocks, rest = divmod(size, MEBIBYTE)
    end = packer.compress(bytes(rest)) + packer.flush()
    checksum = struct.pack(">HH", size % 65521, 1)  # Adler-32 of zeros
    return b"\x78\xda" + block * blocks + end + checksum


def black_png(side):
    """Return a square PNG of 1-bit zeros."""
    rows = chunk(b"IDAT", inflating(side * (1 + -(-side // 8))))
    return SIGNATURE + ihdr(side, side, 1, GRAY) + rows + chunk(b"IEND", b"")


def directory(entries, following=0):
    packed = b"".join(struct.pack("<HHII", *entry) for entry in sorted(entries))
    return struct.pack("<H", len(entries)) + packed + struct.pack("<I", following)


def strip(compression, data):
    """A TIFF of 16x16 whose only strip holds ``data``."""
    return by_hand(16, 16, data, extra={259: (3, compression)}.items())


def gif(frames, side):
    whole = saved((side, side), "GIF", "P")
    head = whole[: 13 + 3 * 2 ** ((whole[10] & 7) + 1)]
    frame = b"\x21\xf9\4\0\1\0\0\0\x2c" + struct.pack("<HHHHB", 0, 0, 1, 1, 0) + b"\x02\x02\x44\x01\0"
    return head + frame * frames + b";"


def apng(frames, side):
    def control(number, side):
        return chunk(b"fcTL", struct.pack(">IIIIIHHBB", number, side, side, 0, 0, 1, 10, 0, 0))

    first = zlib.compress(pixels_of(np.zeros((side, side, 4), np.uint8), 8), 9)
    pixel = zlib.compress(pixels_of(np.zeros((1, 1, 4), np.uint8), 8), 9)
    parts = [control(0, side), chunk(b"IDAT", first)]
    for number in range(1, 2 * frames, 2):
        parts += [control(number, 1), chunk(b"fdAT", struct.pack(">I", number + 1) + pixel)]
    return SIGNATURE + ihdr(side, side, 8, RGBA) + chunk(b"acTL", struct.pack(">II", frames, 0)) + b"".join(parts)


def webp(frames, side):
    def part(kind, data):
        return kind + struct.pack("<I", len(data)) + data + b"\0" * (len(data) & 1)

    def three(value):
        return value.to_bytes(3, "little")

    pixel = saved((1, 1), "WEBP", "RGBA", lossless=True)[12:]
    frame = part(b"ANMF", three(0) * 4 + three(10) + b"\2" + pixel)
    body = part(b"VP8X", b"\x12\0\0\0" + three(side - 1) * 2) + part(b"ANIM", bytes(6)) + frame * frames
    return b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WEBP" + body


def shared_tables(pages, strips):
    """A TIFF whose pages all have one table of many strips."""
    tables = np.full(strips, 8, "<u4").tobytes() + np.ones(strips, "<u4").tobytes()
    start = 8 + 16 + len(tables)
    size = 2 + 12 * 9 + 4
    entries = [(256, 4, 1, 4), (257, 4, 1, 4), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1), (277, 3, 1, 1)]
    entries += [(273, 4, strips, 24), (278, 4, 1, 4), (279, 4, strips, 24 + 4 * strips)]
    chain = [start + size * (page + 1) if page < pages - 1 else 0 for page in range(pages)]
    return b"II*\0" + struct.pack("<I", start) + bytes(16) + tables + b"".join(directory(entries, at) for at in chain)


def overlapping_fields(count, size):
    """A TIFF whose EXIF directory has many fields, all of the same large part of the file."""
    plain = by_hand(4, 3, bytes(12), extra={34665: (4, 0)}.items())
    exif = len(plain)
    fields = directory([(40000 + number, 7, size, 0) for number in range(count)])
    data = bytearray(plain + fields + bytes(max(0, size - exif - len(fields))))
    at = data.index(struct.pack("<HHI", 34665, 4, 1)) + 8
    data[at : at + 4] = struct.pack("<I", exif)
    return bytes(data)


def exif_that_meets_itself(count):
    return b"II*\0\x08\0\0\0" + struct.pack("<H", count) + struct.pack("<HHII", 0x8769, 4, 1, 8) * count + bytes(4)


def psd_of_names(count):
    return psd(samples(5), PSD_RGB, resources=resource(1006, bytes(count)) + resource(1000, b"") * count)


def with_xmp(packet):
    return in_png(chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + packet))


GAIN_MAP = b'<x xmlns:g="http://ns.adobe.com/hdr-gain-map/1.0/">'
JPEG = saved((8, 8), "JPEG")
BESIDE = "holds more than 64 MiB besides its pixels"
TOGETHER = "pixels together, the limit is 2 million"
LARGER = "the TIFF is damaged: a strip or tile of at most"
BOMBS = {
    "ztxt.png": (lambda: in_png(chunk(b"zTXt", b"a\0\0" + inflating(MEBIBYTE - 1)) * 200), BESIDE),
    "itxt.png": (lambda: in_png(chunk(b"iTXt", b"a\0\1\0\0\0" + inflating(MEBIBYTE - 1)) * 200), BESIDE),
    "iccp.png": (lambda: in_png(chunk(b"iCCP", b"a\0\0" + inflating(15 * MEBIBYTE)) * 30), BESIDE),
    "text.png": (lambda: in_png(chunk(b"tEXt", b"a\0") * 300_000), BESIDE),
    "time.png": (lambda: in_png(chunk(b"tIME", bytes(7)) * 300_000), BESIDE),
    "exif.png": (lambda: in_png(chunk(b"eXIf", exif_that_meets_itself(60_000))), "(4, 4, 3)"),
    "xmp.png": (lambda: with_xmp(b"<xmp:Thumbnails>" * 500_000), "(4, 4, 3)"),
    "gain_map.png": (lambda: with_xmp(GAIN_MAP + b"<g:a>" * 500_000 + b"<g:b " * 500_000), "(4, 4, 3)"),
    "names.png": (lambda: with_xmp(GAIN_MAP + b"".join(b"<g:a%d>" % n for n in range(300_000))), "(4, 4, 3)"),
    "extended.png": (lambda: with_xmp(b"HasExtendedXMP" + b" " * 2_000_000 + b'<rdf:RDF "' * 300_000), "(4, 4, 3)"),
    "frames.png": (lambda: apng(3000, 100), TOGETHER),
    "size.png": (lambda: SIGNATURE + ihdr(30_000, 30_000, 1, PALETTE), "raise it with max_pixels"),
    "frames.gif": (lambda: gif(50_000, 160), TOGETHER),
    "comments.gif": (lambda: gif(1, 4)[:-1] + b"\x21\xfe\1a\0" * 300_000 + b";", BESIDE),
    "frames.webp": (lambda: webp(20_000, 400), TOGETHER),
    "size.webp": (lambda: webp(1, 16_000), "raise it with max_pixels"),
    "segments.jpg": (lambda: JPEG[:2] + b"\xff\xfe\0\2" * 1_000_000 + JPEG[2:], "more than 65536 segments"),
    "filling.jpg": (lambda: JPEG[:2] + b"\xff" * 1_000_000 + JPEG[2:], "more than 65536 segments"),
    "exif.jpg": (
        lambda: (
            JPEG[:2]
            + b"\xff\xe1"
            + struct.pack(">H", 8 + len(exif_that_meets_itself(5000)))
            + b"Exif\0\0"
            + exif_that_meets_itself(5000)
            + JPEG[2:]
        ),
        "(8, 8, 3)",
    ),
    "shared.tif": (lambda: shared_tables(500, 500_000), "claim more data than the file has"),
    "fields.tif": (lambda: overlapping_fields(4000, 10 * MEBIBYTE), BESIDE),
    "pages.tif": (lambda: shared_tables(8000, 1), "(4, 4)"),
    "jpeg.tif": (lambda: strip(7, saved((6000, 6000), "JPEG", "L")), LARGER),
    "deflate.tif": (lambda: strip(8, inflating(512 * MEBIBYTE)), "the TIFF is damaged"),
    "png.tif": (lambda: strip(34933, black_png(20_000)), LARGER),
    "jpeg2000.tif": (lambda: strip(34712, imagecodecs.jpeg2k_encode(np.zeros((6000, 6000), np.uint8))), LARGER),
    "webp.tif": (lambda: strip(50001, saved((16_000, 1000), "WEBP", method=0)), LARGER),
    "lerc.tif": (lambda: strip(34887, imagecodecs.lerc_encode(np.zeros((6000, 6000), np.uint8))), LARGER),
    "zstandard.tif": (lambda: strip(50000, imagecodecs.zstd_encode(bytes(512 * MEBIBYTE))), "the TIFF is damaged"),
    "icon.ico": (
        lambda: struct.pack("<HHHBBBBHHII", 0, 1, 1, 16, 16, 0, 0, 1, 32, 1000, 22) + black_png(9000),
        "raise it with max_pixels",
    ),
    "names.psd": (lambda: psd_of_names(300_000), "(9, 21, 3)"),
}


@pytest.fixture(scope="module")
def errors(tmp_path_factory):
    """The error for each bomb, from one process with a small memory limit."""
    folder = tmp_path_factory.mktemp("bombs")
    for name, (make, _) in BOMBS.items():
        (folder / name).write_bytes(make())
    command = [sys.executable, "-c", READ_ALL, *(str(folder / name) for name in BOMBS)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return {path.rpartition("/")[2]: message for path, message in json.loads(done.stdout).items()}


@pytest.mark.parametrize("name", BOMBS)
def test_bombs_are_refused_by_their_headers(errors, name):
    assert BOMBS[name][1] in errors[name], errors[name]


@pytest.mark.parametrize(
    "shape", [(8, 8), (16, 256), (256, 256), (300, 500), (1, 600), (512, 1024), (900, 1200), (9, 7)]
)
@pytest.mark.parametrize("options", [{}, {"usecontainer": True}])
def test_the_size_of_a_jpeg_xl_is_read(shape, options):
    data = imagecodecs.jpegxl_encode(np.zeros(shape, np.uint8), **options)
    check = tiff_segments.SegmentCheck(tifffile.TiffFile(io.BytesIO(strip(50002, data))).pages[0])
    if shape[0] * shape[1] <= 2 * 16 * 16 + 2**16:
        check.require_sound(data)
    else:
        with pytest.raises(ReadError, match=f"holds a picture of {shape[1]}x{shape[0]}"):
            check.require_sound(data)
    assert tiff_segments.jpeg_xl_size(data) == shape[::-1]
    if not options:  # ISO/IEC 18181-2: a codestream in parts, each behind its number
        parts = (
            struct.pack(">I", 12) + b"JXL \r\n\x87\n" + struct.pack(">I", 12 + len(data)) + b"jxlp" + bytes(4) + data
        )
        assert tiff_segments.jpeg_xl_size(parts) == shape[::-1]


@pytest.mark.parametrize("compression", ["jpeg", "jpeg2000", "webp", "png", "jpegxl", "lerc", "lzw", "zstd", "lzma"])
@pytest.mark.parametrize("options", [{}, {"rowsperstrip": 7}, {"tile": (32, 48)}])
def test_sound_strips_are_decoded(compression, options):
    pixels = np.random.default_rng(1).integers(0, 9, (65, 90, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    try:
        tifffile.imwrite(buffer, pixels, photometric="rgb", compression=compression, **options)
    except (ValueError, RuntimeError) as error:
        pytest.skip(str(error))
    buffer.seek(0)
    expected = tifffile.imread(buffer)
    buffer.seek(0)
    np.testing.assert_array_equal(read(buffer).pixels, expected)


def test_wrapped_lerc_is_decoded():
    pixels = np.random.default_rng(1).random((65, 90)).astype(np.float32)
    for wrapping in ("deflate", "zstd"):
        buffer = io.BytesIO()
        tifffile.imwrite(
            buffer, pixels, photometric="minisblack", compression="lerc", compressionargs={"compression": wrapping}
        )
        buffer.seek(0)
        np.testing.assert_array_equal(read(buffer).pixels, pixels)


def test_frames_count_together():
    data = gif(10, 100)
    read(io.BytesIO(data), ReadOptions(max_pixels=100_000))
    with pytest.raises(SizeError, match=r"10 frames have 100000 pixels together, the limit is 99999; .*frame=N"):
        read(io.BytesIO(data), ReadOptions(max_pixels=99_999))
    assert read(io.BytesIO(data), ReadOptions(max_pixels=99_999, frame=3)).pixels.shape[:2] == (100, 100)
    pages = io.BytesIO()
    tifffile.imwrite(pages, np.zeros((10, 100, 100), np.uint8), photometric="minisblack")
    with pytest.raises(SizeError, match="10 frames have 100000 pixels"):
        read(pages, ReadOptions(max_pixels=99_999))
    assert len(read(pages, ReadOptions(max_pixels=99_999, frame=3)).frames) == 1


def test_frames_of_the_result_count_together(tmp_path):
    (tmp_path / "in.gif").write_bytes(gif(10, 100))
    options = pipeline.Options(specs=["box:3,padding=10"], read=ReadOptions(max_pixels=110_000))
    with pytest.raises(SizeError, match="10 frames have"):
        pipeline.filter_file(str(tmp_path / "in.gif"), str(tmp_path / "out.gif"), options)


@pytest.mark.parametrize("fmt", ["WEBP", "GIF", "PNG", "BMP", "ICO"])
def test_the_limit_is_that_of_the_user_not_that_of_pillow(fmt, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    data = saved((128, 128), fmt)
    assert read(io.BytesIO(data)).pixels.shape[:2] == (128, 128)
    assert Image.MAX_IMAGE_PIXELS == 1000
    with pytest.raises(SizeError, match="128x128"):
        read(io.BytesIO(data), ReadOptions(max_pixels=16_000))


@pytest.mark.parametrize("options", [{"lossless": True}, {"quality": 50}, {"lossless": True, "exif": b"Exif\0\0II*\0"}])
@pytest.mark.parametrize("size", [(1, 1), (17, 300), (301, 16)])
def test_webps_are_checked_before_a_decoder_is_made(size, options, monkeypatch):
    checked = []
    monkeypatch.setattr(limits, "require_size", lambda *size, **_: checked.append(size[:2]))
    read(io.BytesIO(saved(size, "WEBP", "RGBA", **options)))
    assert checked == [size, size]


def test_a_budget_is_spent():
    budget = limits.Budget("PNG", 10_000)
    budget.spend(5000)
    with pytest.raises(ReadError, match="the PNG holds more than 0 MiB besides its pixels"):
        budget.spend(5000)
