"""Lay out feature maps, more than a picture has channels: as a contact sheet, as pages or as an array."""

from __future__ import annotations

import io
import math
from typing import Literal, TypeAlias

import numpy as np

from convfilter.picture.frame import Frame
from convfilter.picture.picture import Picture
from convfilter.picture.pixels import Pixels
from convfilter.record import NamedTuple, replace

Form: TypeAlias = Literal["picture", "sheet", "pages", "array"]

#: Pixels between maps, and height of the label above each.
_GAP, _LABEL = 4, 14
_PAPER, _INK = 255, 0


class Grid(NamedTuple):
    """A contact sheet of ``maps`` maps of ``height`` by ``width`` pixels, each in a cell with a label."""

    maps: int
    height: int
    width: int

    @property
    def cols(self) -> int:
        """Maps in one row: as many as there are rows, or one more."""
        return math.ceil(math.sqrt(self.maps))

    @property
    def rows(self) -> int:
        """Rows of maps."""
        return -(-self.maps // self.cols)

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the sheet in pixels."""
        return self.rows * (self.height + _LABEL + _GAP) + _GAP, self.cols * (self.width + _GAP) + _GAP

    def place(self, number: int) -> tuple[int, int]:
        """Return the first row and the first column of a map, in pixels of the sheet."""
        row, col = divmod(number, self.cols)
        return _GAP + row * (self.height + _LABEL + _GAP) + _LABEL, _GAP + col * (self.width + _GAP)


def sheet(maps: Pixels) -> Pixels:
    """Lay out feature maps with labels on a grey sheet, each stretched from its minimum (black) to its maximum (white).

    Parameters
    ----------
    maps : (H, W, C) array of float32 or float64
        NaN is shown as black, infinities as black or white.

    Returns
    -------
    (height, width) array of uint8
        Of the size of the :class:`Grid`.
    """
    grid = Grid(maps.shape[2], maps.shape[0], maps.shape[1])
    paper = np.full(grid.size, _PAPER, np.uint8)
    for number in range(grid.maps):
        row, col = grid.place(number)
        values = maps[..., number].astype(np.float64)
        finite = values[np.isfinite(values)]
        low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
        gain = 255 / (high - low) if high > low else 0.0
        shown = np.clip(np.nan_to_num((values - low) * gain), 0, 255)
        paper[row : row + grid.height, col : col + grid.width] = np.rint(shown)
        label = _label(f"{number}: {low:.3g} to {high:.3g}", grid.width)
        paper[row - _LABEL : row - _LABEL + label.shape[0], col : col + label.shape[1]] = label
    return paper


def _label(text: str, width: int) -> Pixels:
    """Draw a line of text, clipped to the width of a map."""
    from PIL import Image, ImageDraw, ImageFont

    label = Image.new("L", (width, _LABEL), _PAPER)
    font = ImageFont.load_default_imagefont() if hasattr(ImageFont, "load_default_imagefont") else None
    ImageDraw.Draw(label).text((0, 1), text, fill=_INK, font=font)
    return np.asarray(label)


def as_sheets(picture: Picture) -> Picture:
    """Return a picture with each frame laid out as a contact sheet of its channels."""
    frames = [frame.with_pixels(sheet(frame.pixels)) for frame in picture.frames]
    return replace(picture, frames=frames, model="gray", alpha=False, extras=0)


def as_pages(picture: Picture) -> Picture:
    """Return a picture with a grey page for each channel of each frame."""
    pages = [
        Frame(np.ascontiguousarray(frame.pixels[..., number]), tiff=frame.tiff)
        for frame in picture.frames
        for number in range(frame.pixels.shape[2])
    ]
    return replace(picture, frames=pages, model="gray", alpha=False, extras=0)


def array_bytes(maps: Pixels) -> bytes:
    """Return an array as the content of an .npy file."""
    content = io.BytesIO()
    np.lib.format.write_array(content, np.ascontiguousarray(maps), allow_pickle=False)
    return content.getvalue()
