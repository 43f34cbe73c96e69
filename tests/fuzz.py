"""Fuzz the readers with damaged pictures: each gives a picture or a ConvfilterError.

``python tests/fuzz.py`` runs until it is stopped or a case fails; it saves that case in its folder.
``--target layers`` damages layers instead, and likewise kernels, specs, configurations, logs, lists and series.
The mutations are those of ``tests/test_fuzz.py``.
"""

from __future__ import annotations

import argparse
import faulthandler
import io
import random
import struct
import sys
import time
import zlib
from pathlib import Path
from resource import RUSAGE_SELF, getrusage

import dicoms
import jxls
import numpy as np
import tifffile
from fuzz_old import old_formats
from heics import heics
from PIL import Image
from psds import CMYK, DEFLATED, PACKBITS, RGB, layers, psd, resource, samples

from convfilter.errors import ConvfilterError
from convfilter.picture.frame import Frame
from convfilter.picture.metadata.metadata import Metadata, Text
from convfilter.picture.options import WriteOptions
from convfilter.picture.picture import Picture
from convfilter.picture.place.target import resolve_target
from convfilter.picture.read import ReadOptions, read
from convfilter.picture.write import write
from convfilter.sample_types import SAMPLE_TYPES

#: Limit of pixels, since damage can turn a small file into a huge picture.
MAX_PIXELS = 1_000_000
INTERESTING = (0, 1, 0x7F, 0x80, 0xFF)


def seeds(folder: Path) -> dict[str, bytes]:
    """Write a small picture of every format and kind, and return the files' bytes."""
    rng = np.random.default_rng(7)
    ramp = (np.arange(24)[:, None] * 5 + np.arange(31) * 3 + rng.integers(0, 9, (24, 31))).astype(np.uint8)
    rgb = np.stack([ramp, ramp[::-1], 255 - ramp], axis=2)
    rgba = np.dstack([rgb, ramp[:, ::-1]])
    metadata = Metadata(exif=b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x01\0\0\0\0\0\0\0", xmp=b"<x:xmpmeta/>")
    metadata.text.append(Text("Comment", "hello"))
    metadata.resolution = (300.0, 300.0)
    files = {}
    kinds = {
        "gray": [ramp],
        "rgb": [rgb],
        "rgba": [rgba],
        "gray16": [ramp * np.uint16(257)],
        "rgb16": [rgb * np.uint16(257)],
        "float": [rgb.astype(np.float32) / 255],
        "animation": [rgba, rgba[::-1].copy(), rgba],
    }
    for suffix in (
        "png",
        "jpg",
        "tif",
        "webp",
        "gif",
        "avif",
        "jxl",
        "exr",
        "fits",
        "jp2",
        "j2k",
        "bmp",
        "ppm",
        "pgm",
        "pam",
        "pfm",
        "tga",
        "pcx",
        "sgi",
        "qoi",
        "ff",
    ):
        measured = {f"gray-{dtype}": [ramp.astype(dtype)] for dtype in ("int8", "int16", "int32", "uint32", "float64")}
        for kind, arrays in (kinds | (measured if suffix in ("tif", "fits") else {})).items():
            picture = Picture.from_array(arrays[0])
            if len(arrays) > 1:
                picture.frames = [Frame(array, (1, 10)) for array in arrays]
            picture.metadata = metadata
            path = folder / f"{kind}.{suffix}"
            try:
                write(resolve_target(path), picture, WriteOptions())
            except ConvfilterError:
                continue
            files[path.name] = path.read_bytes()
    for name, image, fmt, options in (
        ("palette.png", Image.fromarray(rgb).quantize(7), "PNG", {"transparency": 3}),
        ("bits.png", Image.fromarray(ramp > 90), "PNG", {}),
        ("interlaced.gif", Image.fromarray(rgb).quantize(40), "GIF", {"interlace": 1}),
        ("progressive.jpg", Image.fromarray(rgb), "JPEG", {"progressive": True}),
        ("cmyk.jpg", Image.fromarray(rgb).convert("CMYK"), "JPEG", {}),
        ("lzw.tif", Image.fromarray(rgb), "TIFF", {"compression": "tiff_lzw"}),
        ("g4.tif", Image.fromarray(ramp > 90), "TIFF", {"compression": "group4"}),
        ("plain.tif", Image.fromarray(rgba), "TIFF", {}),
        ("palette.bmp", Image.fromarray(rgb).quantize(20), "BMP", {}),
        ("lossless.webp", Image.fromarray(rgba), "WEBP", {"lossless": True}),
        ("icon.ico", Image.fromarray(rgba), "ICO", {}),
        ("bits.xbm", Image.fromarray(ramp > 90), "XBM", {}),
    ):
        buffer = io.BytesIO()
        image.save(buffer, fmt, **options)
        files[name] = buffer.getvalue()
    tile = {"tile": (16, 16)}
    for name, pixels, options in (
        ("tiles-zstd", rgb, {"compression": "zstd", **tile}),
        ("planes-packbits", np.moveaxis(rgb, 2, 0).copy(), {"planarconfig": "separate", "compression": "packbits"}),
        ("premultiplied", rgba, {"extrasamples": ["assocalpha"], "compression": "lzw", "predictor": True}),
        ("jpeg", rgb, {"compression": "jpeg", "rowsperstrip": 8}),
        ("float-predictor", rgb.astype(np.float32), {"compression": "deflate", "predictor": True}),
        ("signed-tiles", rgb.astype(np.int16), {"compression": "deflate", "predictor": True, **tile}),
        ("double-predictor", rgb.astype(np.float64), {"compression": "zstd", "predictor": True}),
        ("lerc", ramp.astype(np.float32), {"compression": "lerc"}),
        ("jpeg2000", rgb, {"compression": "jpeg2000", **tile}),
        ("webp", rgb, {"compression": "webp"}),
        ("png", rgb, {"compression": "png"}),
    ):
        buffer = io.BytesIO()
        photometric = "minisblack" if pixels.ndim == 2 else "rgb"
        tifffile.imwrite(buffer, pixels, photometric=photometric, **options)
        files[f"{name}.tif"] = buffer.getvalue()
    names = resource(1006, b"\x05Alpha\x04Spot")
    files["rgba.psd"] = psd(samples(4), RGB, compression=PACKBITS, section=layers(-2), resources=names)
    files["cmyk.psb"] = psd(samples(6, 16), CMYK, depth=16, compression=DEFLATED, big=True, section=layers(0, True))
    files["gray.dcm"] = dicoms.dicom(dicoms.ramp(12), 12, RescaleSlope="2").getvalue()
    files |= {"profile.jxl": jxls.LOSSLESS, "of-jpeg.jxl": jxls.JPEG}
    files["scene.hdr"] = b"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n-Y 24 +X 31\n" + rng.bytes(4 * 24 * 31)
    files |= old_formats(ramp, rgb, rgba)
    files |= {name: data for name, data in heics().items() if name in ("8-4.heic", "10-3.heic", "turned.heic")}
    return files


def mutated(data: bytes, rng: random.Random) -> bytes:
    """Damage a file in one to four places; sometimes mend a PNG's checksums, so that the damage goes deeper."""
    content = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(content)) if rng.random() < 0.5 else min(int(rng.expovariate(1 / 40)), len(content) - 1)
        match rng.randrange(8):
            case 0:
                content[at] ^= 1 << rng.randrange(8)
            case 1:
                content[at] = rng.choice(INTERESTING)
            case 2:
                size = rng.choice((2, 4))
                value = rng.choice((0, 1, 2**15, 2**16 - 1, 2**31 - 1, 2**31, 2**32 - 1)) % 256**size
                content[at : at + size] = value.to_bytes(size, rng.choice(("little", "big")))
            case 3:
                del content[at : at + rng.randint(1, 40)]
            case 4:
                content[at:at] = rng.randbytes(rng.randint(1, 40))
            case 5:
                del content[at:]
            case 6:
                other = rng.randrange(len(content))
                content[at : at + 16] = content[other : other + 16]
            case 7:
                content += rng.randbytes(rng.randint(1, 200))
        if not content:
            break
    if data.startswith(b"\x89PNG") and rng.random() < 0.7:
        return mended(bytes(content))
    return bytes(content)


def mended(data: bytes) -> bytes:
    """Correct the checksums of a PNG's chunks, as far as the chunks can be parsed."""
    content = bytearray(data)
    at = 8
    while at + 12 <= len(content):
        (length,) = struct.unpack_from(">I", content, at)
        end = at + 8 + length
        if end + 4 > len(content):
            break
        struct.pack_into(">I", content, end, zlib.crc32(content[at + 4 : end]))
        at = end + 4
    return bytes(content)


def survives(data: bytes, lenient: bool) -> bool:
    """Read a file; True if it is a picture. Anything but a picture or a ConvfilterError is raised."""
    options = ReadOptions(max_pixels=MAX_PIXELS, lenient=lenient)
    try:
        picture = read(io.BytesIO(data), options)
    except ConvfilterError as error:
        assert str(error) and "\n" not in str(error), f"a message of one line, got {error!r}"
        return False
    for frame in picture.frames:
        assert frame.pixels.flags.c_contiguous
        assert frame.pixels.dtype.name in SAMPLE_TYPES
        assert frame.pixels.shape[0] * frame.pixels.shape[1] <= MAX_PIXELS
    return True


def main() -> None:
    """Fuzz until a case fails."""
    from fuzz_texts import TARGETS, damaged

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=float("inf"))
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--only", default="", help="files whose name contains this")
    parser.add_argument("--target", choices=("pictures", *TARGETS), default="pictures")
    arguments = parser.parse_args()
    faulthandler.enable()
    folder = Path(__file__).with_name(".fuzz")
    folder.mkdir(exist_ok=True)
    target = TARGETS.get(arguments.target)
    files = target.seeds() if target else seeds(folder)
    files = {name: data for name, data in files.items() if arguments.only in name}
    rng = random.Random(arguments.seed)
    start = time.monotonic()
    runs = sound = 0
    suspect = folder / "suspect"
    while time.monotonic() - start < arguments.seconds:
        name = rng.choice(sorted(files))
        data = damaged(name, files[name], rng) if target else mutated(files[name], rng)
        # Written before the trial, so that the file remains if the process crashes.
        suspect.with_suffix(Path(name).suffix).write_bytes(data)
        before = time.monotonic()
        try:
            sound += target.survives(data, folder / name) if target else survives(data, lenient=rng.random() < 0.3)
        except BaseException:
            kept = folder / f"found-{runs}-{name}"
            kept.write_bytes(data)
            print(f"\n{kept}", file=sys.stderr)
            raise
        if time.monotonic() - before > 5:
            kept = folder / f"slow-{runs}-{name}"
            kept.write_bytes(data)
            print(f"\n{kept}: {time.monotonic() - before:.1f} s", file=sys.stderr)
        runs += 1
        if runs % 1000 == 0 and sys.stderr.isatty():
            print(f"\r{runs} files, {sound} of them still sound", end="", file=sys.stderr)
    peak = getrusage(RUSAGE_SELF).ru_maxrss >> 10
    print(f"\r{runs} files, {sound} of them still sound, {peak} MiB at most", file=sys.stderr)


if __name__ == "__main__":
    main()
