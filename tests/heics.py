"""Small HEIF files of known samples, stored in ``heics.tar.xz``: the program only reads the format.

``python tests/heics.py`` makes them again, with pillow-heif, which is not among the packages that tests need.
They are compressed without loss: no matrix, no subsampling.
"""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import numpy as np

ARCHIVE = Path(__file__).with_name("heics.tar.xz")
HEIGHT, WIDTH = 6, 8
EXIF = b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0"
XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/" xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="6"/>'
CODE_POINTS = 12, 13  # Display P3


def samples(bits: int, channels: int) -> np.ndarray:
    """Return the samples of the files: (6, 8, channels) over the whole range."""
    y, x, c = np.mgrid[:HEIGHT, :WIDTH, :channels]
    values = (x * 37 + y * 91 + c * 201) * (2**bits // 255) % 2**bits
    return values.astype(np.uint16 if bits > 8 else np.uint8)


def heics() -> dict[str, bytes]:
    """Return the files by their names."""
    with tarfile.open(ARCHIVE) as archive:
        return {name: archive.extractfile(name).read() for name in archive.getnames()}


def _made() -> dict[str, bytes]:
    import pillow_heif

    def encoded(bits: int, channels: int, copies: int = 1, **options: object) -> bytes:
        pillow_heif.options.SAVE_HDR_TO_12_BIT = bits == 12
        pixels = samples(bits, channels)
        mode = {1: "L", 3: "RGB", 4: "RGBA"}[channels] + (";16" if bits > 8 else "")
        data = (pixels << (16 - bits) if bits > 8 else pixels).tobytes()
        heif = pillow_heif.from_bytes(mode, (WIDTH, HEIGHT), data)
        if copies > 1:
            heif.add_frombytes(mode, (WIDTH, HEIGHT), pixels[::-1].tobytes())
        buffer = io.BytesIO()
        heif.save(buffer, quality=-1, chroma=444, matrix_coefficients=0, **options)
        return buffer.getvalue()

    return {
        **{f"{bits}-{channels}.heic": encoded(bits, channels) for bits in (8, 10, 12) for channels in (1, 3, 4)},
        "turned.heic": encoded(8, 3, exif=EXIF, xmp=XMP),
        "p3.heic": encoded(10, 3, color_primaries=CODE_POINTS[0], transfer_characteristic=CODE_POINTS[1]),
        "two.heic": encoded(8, 1, copies=2, primary_index=1),
    }


if __name__ == "__main__":
    with tarfile.open(ARCHIVE, "w:xz") as archive:
        for name, data in _made().items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
