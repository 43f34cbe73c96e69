"""farbfeld: RGBA of 16 bits, uncompressed. https://tools.suckless.org/farbfeld/."""

from __future__ import annotations

import struct
from typing import BinaryIO

import numpy as np

from convfilter.errors import ReadError
from convfilter.picture import colour, limits
from convfilter.picture.frame import Frame
from convfilter.picture.options import ReadOptions, WriteOptions
from convfilter.picture.picture import Picture

_MAGIC = b"farbfeld"
_OPAQUE = 65535
_HEAD = struct.Struct(">8s2I")
_PIXEL_BYTES = 8


def read_farbfeld(file: BinaryIO, options: ReadOptions) -> Picture:
    """Read a farbfeld; a ``Reader``. Samples are uint16; a fully opaque picture has no alpha."""
    options.require_frame(1)
    head = file.read(_HEAD.size)
    if len(head) < _HEAD.size:
        raise ReadError("the farbfeld is truncated")
    _, width, height = _HEAD.unpack(head)
    limits.require_size(width, height, options)
    size = _PIXEL_BYTES * width * height
    limits.require_memory(3 * size)
    data = file.read(size)
    if len(data) < size:
        raise ReadError(f"the farbfeld is truncated: {len(data)} of {size} bytes are there")
    pixels = np.frombuffer(data, ">u2").reshape(height, width, 4).astype(np.uint16)
    alpha = bool((pixels[..., 3] != _OPAQUE).any())
    return Picture([Frame(pixels if alpha else np.ascontiguousarray(pixels[..., :3]))], "rgb", alpha, "FARBFELD")


def write_farbfeld(file: BinaryIO, picture: Picture, options: WriteOptions) -> None:
    """Write a farbfeld; a ``Writer``. A picture without alpha becomes opaque."""
    rgb = colour.rgb_of(picture.pixels, picture.model, picture.alpha)
    if rgb.shape[2] == 3:
        rgb = np.concatenate([rgb, np.full_like(rgb[..., :1], _OPAQUE)], axis=2)
    height, width = rgb.shape[:2]
    file.write(_HEAD.pack(_MAGIC, width, height))
    file.write(np.ascontiguousarray(rgb, dtype=">u2").data)
