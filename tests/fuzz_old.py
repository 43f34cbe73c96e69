"""Small files of formats that are only read, for ``fuzz.py``, written by Pillow or byte by byte."""

from __future__ import annotations

import io
import struct
from typing import Any

import numpy as np
from PIL import Image


def old_formats(ramp: Any, rgb: Any, rgba: Any) -> dict[str, bytes]:
    """Return files of 24x31 pixels by name."""
    rows, cols = ramp.shape
    size = struct.pack("<HH", cols, rows)
    dumped = b"\x80\xe8\0\0".ljust(416, b"\0") + struct.pack("<6H", rows, cols, 0, 0, 14, 2)
    small = saved(Image.fromarray(rgba).resize((32, 32)), "PNG")
    files = {
        "icon.icns": b"icns" + struct.pack(">I4sI", 16 + len(small), b"icp5", 8 + len(small)) + small,
        "texture.dds": saved(Image.fromarray(rgba), "DDS"),
        "texture.blp": saved(Image.fromarray(rgb).quantize(20), "BLP", blp_version="BLP2"),
        "bits.msp": saved(Image.fromarray(ramp > 90), "MSP"),
        "layers.im": saved(Image.fromarray(rgb), "IM"),
        "raster.sun": struct.pack(">8I", 0x59A66A95, cols + 1, rows, 24, 0, 1, 0, 0)
        + np.pad(rgb, ((0, 0), (0, 1), (0, 0))).tobytes(),
        "dump.pxr": dumped.ljust(1024, b"\0") + rgb.tobytes(),
        "brush.gbr": struct.pack(">5I4sI", 34, 2, cols, rows, 4, b"GIMP", 10) + b"brush\0" + rgba.tobytes(),
    }
    page = saved(Image.fromarray(ramp), "PCX")
    files["pages.dcx"] = struct.pack("<4I", 0x3ADE68B1, 16, 16 + len(page), 0) + page + page
    colours = b"".join(b'"%c c #%02X%02X%02X",\n' % (65 + at, at * 9, 255 - at * 9, at) for at in range(26))
    lines = b"".join(b'"%s",\n' % bytes(65 + ramp[row] % 26) for row in range(rows))
    files["pixels.xpm"] = b'/* XPM */\nstatic char *x[] = {\n"%d %d 26 1",\n%s%s};\n' % (cols, rows, colours, lines)
    # One frame of copied pixels after a palette of greys.
    palette = struct.pack("<IHHBB", 6 + 4 + 768, 4, 1, 0, 0) + bytes(
        value for grey in range(256) for value in [grey] * 3
    )
    copied = struct.pack("<IH", 6 + ramp.size, 16) + ramp.tobytes()
    frame = struct.pack("<IHH8x", 16 + len(palette) + len(copied), 0xF1FA, 2) + palette + copied
    head = struct.pack("<IHH", 128 + len(frame), 0xAF12, 1) + size + struct.pack("<HHI", 8, 3, 70)
    files["film.flc"] = head.ljust(128, b"\0") + frame
    return files


def saved(image: Any, kind: str, **options: Any) -> bytes:
    """Return the file that Pillow writes."""
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()
