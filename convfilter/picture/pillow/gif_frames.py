"""Frames of a GIF: Pillow decodes their pixels, and they are drawn on one canvas as browsers draw them.

Pillow's own canvas begins with the background colour, which no browser shows, fills the place of a removed frame with
it, and takes an unspecified disposal for that of the frame before. GIF89a (CompuServe, 1990).
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from convfilter.picture.pillow import gif
from convfilter.picture.pixels import Pixels
from convfilter.record import NamedTuple

_REMOVE, _RESTORE = 2, 3
_IS_TRANSPARENT, _IS_INTERLACED, _HAS_TABLE = 0x01, 0x40, 0x80
#: Palette of a file without one; with it, Pillow decodes the numbers of colours as samples.
_GREYS = np.repeat(np.arange(256, dtype=np.uint8), 3).reshape(256, 3)


class Placed(NamedTuple):
    """A frame of the file, before it is drawn.

    Attributes
    ----------
    left, top, width, height : int
        Its place on the canvas.
    palette : (256, 3) array of uint8
    transparent : int, or None
        Number of the transparent colour.
    disposal : int
        What happens to its place before the next frame is drawn.
    delay : int
        In 1/100 s.
    interlaced : bool
    codes : bytes
        Its pixels as stored: the size of the first codes, and sub-blocks.
    """

    left: int
    top: int
    width: int
    height: int
    palette: npt.NDArray[np.uint8]
    transparent: int | None
    disposal: int
    delay: int
    interlaced: bool
    codes: bytes

    @property
    def area(self) -> tuple[slice, slice]:
        """Its rows and columns of the canvas."""
        return slice(self.top, self.top + self.height), slice(self.left, self.left + self.width)


class Drawn(NamedTuple):
    """The canvas after a frame is drawn, (H, W[, C]) with alpha if it can be transparent, and the frame's delay."""

    pixels: Pixels
    alpha: bool
    delay: int


def placed(file: BinaryIO) -> list[Placed]:
    """Return the frames of a file, of which no pixel is decoded.

    Parameters
    ----------
    file : BinaryIO
        Seekable; a truncated file completed by ``gif.completed``. Its position changes.
    """
    file.seek(0)
    head = file.read(gif.HEADER_BYTES)
    shared = _table(file, head[10])
    found: list[Placed] = []
    control = bytes(4)
    for block in gif.blocks(file):
        if block.label == gif.CONTROL:
            file.seek(block.start + 1)
            control = file.read(4).ljust(4, b"\0")
        elif block.introducer == gif.IMAGE:
            file.seek(block.at + 1)
            descriptor = file.read(gif.DESCRIPTOR_BYTES)
            left, top, width, height, flags = struct.unpack("<4HB", descriptor)
            own = _table(file, flags)
            codes = file.read(block.end - file.tell())
            palette = own if own is not None else shared if shared is not None else _GREYS
            transparent = control[3] if control[0] & _IS_TRANSPARENT else None
            delay = int.from_bytes(control[1:3], "little")
            interlaced, disposal = bool(flags & _IS_INTERLACED), control[0] >> 2 & 7
            found.append(Placed(left, top, width, height, palette, transparent, disposal, delay, interlaced, codes))
            control = bytes(4)
    return found


def canvas_size(size: tuple[int, int], frames: Sequence[Placed]) -> tuple[int, int]:
    """Return the width and height of the canvas, which holds all frames, and has at least the size of the header."""
    return (
        max(size[0], *(frame.left + frame.width for frame in frames), 0),
        max(size[1], *(frame.top + frame.height for frame in frames), 0),
    )


def is_gray(frames: Sequence[Placed]) -> bool:
    """Whether all colours of all palettes are grey."""
    return all((frame.palette == frame.palette[:, :1]).all() for frame in frames)


def drawn(frames: Sequence[Placed], width: int, height: int) -> Iterator[Drawn]:
    """Draw frames one after the other on a canvas that is transparent at first; yield it after each.

    It is grey if all palettes are.
    """
    colours = [0] if is_gray(frames) else [0, 1, 2]
    canvas = np.zeros((height, width), np.uint32)  # the four bytes of a pixel, which are copied at once
    may_be_transparent = False
    for frame in frames:
        numbers, area = _numbers(frame), canvas[frame.area]
        before = area.copy() if frame.disposal == _RESTORE else None
        table = np.column_stack([frame.palette, np.full(len(frame.palette), 255, np.uint8)]).view(np.uint32)[:, 0]
        if frame.transparent is None:
            area[:] = table[numbers]
        else:
            np.copyto(area, table[numbers], where=numbers != frame.transparent)
        pixels = canvas.view(np.uint8).reshape(height, width, 4)
        covers = frame.transparent is None and area.size == canvas.size
        may_be_transparent |= frame.transparent is not None or not (covers or pixels[..., 3].all())
        channels = [*colours, *([3] if may_be_transparent else [])]
        shown = pixels.copy() if len(channels) == 4 else np.stack([pixels[..., each] for each in channels], axis=-1)
        yield Drawn(shown[..., 0] if len(channels) == 1 else shown, may_be_transparent, frame.delay)
        if frame.disposal == _REMOVE:
            area[:] = 0
        elif before is not None:
            area[:] = before


def _numbers(frame: Placed) -> npt.NDArray[np.uint8]:
    """Decode the numbers of a frame's colours, (H, W): as a GIF of its own, whose palette is a grey ramp."""
    if not frame.width or not frame.height:
        return np.zeros((frame.height, frame.width), np.uint8)
    from PIL.GifImagePlugin import GifImageFile

    size = struct.pack("<HH", frame.width, frame.height)
    data = b"GIF89a" + size + b"\xf7\0\0" + _GREYS.tobytes()
    data += b"," + bytes(4) + size + bytes([_IS_INTERLACED * frame.interlaced]) + frame.codes + b";"
    image: Any = GifImageFile(io.BytesIO(data))
    image.load()
    return np.array(image)


def _table(file: BinaryIO, flags: int) -> npt.NDArray[np.uint8] | None:
    """Read a colour table, if the flags announce one; missing colours are black."""
    if not flags & _HAS_TABLE:
        return None
    table = np.zeros((256, 3), np.uint8)
    stored = np.frombuffer(file.read(gif.table_bytes(flags)), np.uint8)
    table.reshape(-1)[: stored.size] = stored
    return table
