"""The Gaussian before Canny's edges: sums of the valid pixels, divided by the weights that fall on them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from convfilter.engine.buffer import LineBuffer, Samples, Scratch
from convfilter.engine.load import Source
from convfilter.engine.masked import pixels_and_mask
from convfilter.filters import kernels
from convfilter.filters.operators import CANNY_SIGMAS, Canny
from convfilter.native.loop import Loop
from convfilter.planning import LUMINANCE, LUMINANCE_DIVISOR
from convfilter.record import replace

SMOOTH = Loop("canny", "smooth", "D* i8 i8 i8 D* i8 i8 D* i8")

#: Keeps a quotient of two sums of zero finite, as in scikit-image.
_EPSILON = np.finfo(float).eps

Real = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]


class Smoothing:
    """Smooths rows of a picture, in the memory of one thread: normalised convolution with a Gaussian.

    Parameters
    ----------
    source : Source
    picture : LineBuffer
        Its rows.
    operator : Canny
    shape : (rows, cols)
    scratch : Scratch
    """

    def __init__(
        self, source: Source, picture: LineBuffer, operator: Canny, shape: tuple[int, int], scratch: Scratch
    ) -> None:
        factors = kernels.gaussian(operator.sigma, 0, CANNY_SIGMAS).factors
        assert factors is not None
        pixels, self._mask = pixels_and_mask(picture.slot)
        self._source, self._picture, self._scratch = source, replace(picture, slot=pixels), scratch
        self._weights, self._radius = factors[0], operator.reach
        self._down, self._along = (_weights_on_picture(self._weights, self._radius, length) for length in shape)

    def write(self, top: int, bottom: int, out: Real) -> Flags:
        """Write smoothed rows into a (rows, cols + margins, channels) array, between its margins.

        Returns
        -------
        (rows, cols) array of bool
            Where a valid pixel is within reach; other pixels become 0.
        """
        (_, width, channels), cols = out.shape, len(self._along)
        margin = (width - cols) // 2
        self._sum(self._colours(*self._reach(top, bottom)), top, bottom, out.reshape(-1)[margin * channels :], width)
        weights = self._weights_on_valid(top, bottom)
        has_value: Flags = weights > 0
        weights += _EPSILON
        smoothed = out[:, margin : margin + cols]
        smoothed /= weights[..., np.newaxis]
        return has_value

    def alpha(self, top: int, bottom: int) -> Samples:
        """Return the alpha of some rows; that of ignored pixels is the smoothed one."""
        alpha, valid = self._pixels(top, bottom)[..., -1], self._valid(top, bottom)
        if valid is None:
            return alpha
        sums = self._scratch.get("alpha", alpha.size)[: alpha.size]
        self._sum(self._pixels(*self._reach(top, bottom))[..., -1:], top, bottom, sums, alpha.shape[1])
        means = sums.reshape(alpha.shape) / (self._weights_on_valid(top, bottom) + _EPSILON)
        return np.where(valid, alpha, means if alpha.dtype.kind == "f" else np.rint(means)).astype(alpha.dtype)

    def _reach(self, top: int, bottom: int) -> tuple[int, int]:
        """Return the rows of the picture that smoothing reads."""
        return max(0, top - self._radius), min(len(self._down), bottom + self._radius)

    def _sum(self, image: Samples, top: int, bottom: int, out: Real, width: int) -> None:
        """Write weighted sums of the rows of ``_reach`` into flat rows of ``width`` pixels; pixels beyond are 0."""
        radius, taps, scratch, rows = self._radius, self._weights.size, self._scratch, bottom - top
        cols, channels = image.shape[1:]
        length, between_pitch = cols * channels, (cols + taps - 1) * channels
        tile = scratch.get("tile", (rows + taps - 1) * length)[: (rows + taps - 1) * length]
        shaped, above = tile.reshape(rows + taps - 1, cols, channels), max(0, radius - top)
        shaped[:above], shaped[above + len(image) :] = 0, 0
        shaped[above : above + len(image)] = image
        between = scratch.get("between", rows * between_pitch)[: rows * between_pitch]
        margins = between.reshape(rows, between_pitch)
        margins[:, : radius * channels], margins[:, radius * channels + length :] = 0, 0
        loop = SMOOTH.variant(D=np.float64)
        loop(tile, length, rows, length, self._weights, taps, length, between[radius * channels :], between_pitch)
        loop(between, between_pitch, rows, length, self._weights, taps, channels, out, width * channels)

    def _weights_on_valid(self, top: int, bottom: int) -> Real:
        """Return, for each pixel of some rows, the sum of the weights that fall on valid pixels.

        Rows whose windows have no ignored pixel do not depend on the mask: bands may be cut and joined anywhere.
        """
        rows, cols = bottom - top, len(self._along)
        weights = self._scratch.get("weights", rows * cols)[: rows * cols].reshape(rows, cols)
        first, last = self._reach(top, bottom)
        valid = self._valid(first, last)
        if valid is None:
            return np.multiply(self._down[top:bottom, np.newaxis], self._along, out=weights)
        self._sum(valid[..., np.newaxis], top, bottom, weights.reshape(-1), cols)
        holes, row = np.concatenate([[0], np.cumsum(~valid.all(axis=1))]), np.arange(top, bottom)
        above, below = np.maximum(row - self._radius, first), np.minimum(row + self._radius + 1, last)
        whole = holes[above - first] == holes[below - first]
        weights[whole] = self._down[top:bottom][whole, np.newaxis] * self._along
        return weights

    def _colours(self, top: int, bottom: int) -> Samples:
        """Return rows of the picture: luminance, premultiplied colours, or samples as they are stored."""
        source = self._source
        image = self._pixels(top, bottom)
        if not (source.alpha or source.gray):
            return image
        colours: Real = (image[..., :-1] if source.alpha else image).astype(np.float64)
        if source.gray:
            colours = (colours @ np.array(LUMINANCE) / LUMINANCE_DIVISOR)[..., np.newaxis]
        if source.multiplies:
            colours = colours * (image[..., -1:] / source.full)
        return colours

    def _pixels(self, top: int, bottom: int) -> Samples:
        """Return rows of the picture; ignored pixels are 0."""
        pixels, valid = self._picture.rows(top, bottom), self._valid(top, bottom)
        return pixels if valid is None else np.where(valid[..., np.newaxis], pixels, pixels.dtype.type(0))

    def _valid(self, top: int, bottom: int) -> Flags | None:
        """Return the mask of some rows; None if all their pixels are valid."""
        valid: Flags | None = None if self._mask is None else self._mask.array[top:bottom].view(bool)
        return None if valid is None or valid.all() else valid


def _weights_on_picture(weights: Real, radius: int, length: int) -> Real:
    """Return, for each pixel of an axis, the sum of the weights that fall on the picture."""
    sums = np.concatenate([[0.0], np.cumsum(weights)])
    place = np.arange(length)
    first, last = np.maximum(radius - place, 0), np.minimum(radius + length - place, weights.size)
    on_picture: Real = sums[last] - sums[first]
    return on_picture
