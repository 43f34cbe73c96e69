"""Composite the frames of an animated PNG to whole canvases, at full depth.

PNG third edition, section 11.3.7.
"""

from __future__ import annotations

import struct

import numpy as np

from convfilter.errors import ReadError
from convfilter.picture.frame import Frame
from convfilter.picture.pixels import Pixels, channels_of
from convfilter.picture.png import layout as png
from convfilter.record import NamedTuple

_DISPOSE_BACKGROUND, _DISPOSE_PREVIOUS = 1, 2
_BLEND_OVER = 1


class Control(NamedTuple):
    """fcTL: area of a frame on the canvas in pixels, delay in seconds as a fraction, disposal and blending."""

    width: int
    height: int
    left: int
    top: int
    delay: tuple[int, int]
    dispose: int
    blend: int

    @classmethod
    def parsed(cls, data: bytes, header: png.Header) -> Control:
        """Parse the content of an fcTL chunk.

        Raises
        ------
        ReadError
            The chunk is damaged, or its frame reaches beyond the canvas.
        """
        if len(data) != 26:
            raise ReadError(f"the PNG is damaged: an fcTL chunk has {len(data)} bytes, not 26")
        _, width, height, left, top, numerator, denominator, dispose, blend = struct.unpack(">IIIIIHHBB", data)
        if not (0 < width <= header.width - left and 0 < height <= header.height - top):
            raise ReadError(f"the PNG is damaged: a frame of {width}x{height} at {left},{top} lies outside the picture")
        if dispose > 2 or blend > 1:
            raise ReadError(
                "the PNG is damaged: disposal and blending of a frame must be 0 to 2 and 0 or 1, "
                f"got {dispose}, {blend}"
            )
        return cls(width, height, left, top, (numerator, denominator or 100), dispose, blend)


def composed(
    parts: list[tuple[Control | None, Pixels]], width: int, height: int, alpha: bool
) -> tuple[list[Frame], bool]:
    """Composite the frames of an animation to the canvases that a viewer shows.

    Parameters
    ----------
    parts : list of (Control or None, pixels)
        In the order of the file, (h, w) or (h, w, C) arrays of uint8 or uint16. The control is None for a picture that
        is not part of the animation.
    width, height : int
        Size of the canvas in pixels.
    alpha : bool
        Whether the last channel of the pixels is alpha.

    Returns
    -------
    frames : list of Frame
        Whole canvases, of the dtype of the parts.
    alpha : bool
        Whether frames have alpha. They get it, even if the file has none, if one leaves part of the canvas empty.
    """
    white = np.iinfo(parts[0][1].dtype).max
    colours = channels_of(parts[0][1]) - alpha
    canvas = np.zeros((height, width, colours + 1), parts[0][1].dtype)
    frames = []
    for control, pixels in parts:
        layer = np.atleast_3d(pixels)
        if not alpha:
            layer = np.dstack([layer, np.full(layer.shape[:2], white, layer.dtype)])
        if control is None:
            frames.append(Frame(layer, fallback=True))
            continue
        area = np.s_[control.top : control.top + control.height, control.left : control.left + control.width]
        before = canvas[area].copy()
        canvas[area] = _over(before, layer) if control.blend == _BLEND_OVER else layer
        frames.append(Frame(canvas.copy(), control.delay))
        if control.dispose == _DISPOSE_BACKGROUND:
            canvas[area] = 0
        elif control.dispose == _DISPOSE_PREVIOUS:  # for the first frame, the standard asks for an empty canvas
            canvas[area] = before
    keep = alpha or any((frame.pixels[:, :, -1] != white).any() for frame in frames)
    for frame in frames:
        shown = frame.pixels if keep else frame.pixels[:, :, :colours]
        frame.pixels = np.ascontiguousarray(shown[:, :, 0] if shown.shape[2] == 1 else shown)
    return frames, keep


def _over(below: Pixels, above: Pixels) -> Pixels:
    """Composite samples with straight alpha, rounded once."""
    white = float(np.iinfo(below.dtype).max)
    top = above[:, :, -1:] / white
    bottom = below[:, :, -1:] / white * (1 - top)
    opacity = top + bottom
    colour = above[:, :, :-1] * top + below[:, :, :-1] * bottom
    colour = np.divide(colour, opacity, out=np.zeros_like(colour), where=opacity > 0)
    over: Pixels = np.rint(np.concatenate([colour, opacity * white], axis=2)).astype(below.dtype)
    return over
