"""Tone curves: functions from stored samples to linear light, and back."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
import numpy.typing as npt

from convfilter.picture.pixels import Pixels, channels_of
from convfilter.sample_types import full_scale, is_wide, real_of

Floats = npt.NDArray[np.floating[Any]]

#: Samples that are encoded at a time, to keep intermediate arrays small.
_BAND_SAMPLES = 1 << 18


class Curve(ABC):
    """A rising function from stored values to linear light, 0..1 to 0..1.

    The curve is odd (the sign of a negative value is kept) and continues above 1, so decoding and encoding preserve
    floats out of range.
    """

    @abstractmethod
    def _decode(self, values: Floats) -> Floats:
        """Decode values of at least 0."""

    @abstractmethod
    def _encode(self, values: Floats) -> Floats:
        """Encode values of at least 0."""

    def decode(self, values: Floats) -> Floats:
        """Convert stored values to linear light.

        Parameters
        ----------
        values : array of float32 or float64, any shape
            0 is black, 1 white.

        Returns
        -------
        array of the same shape and dtype
        """
        return np.copysign(self._decode(np.abs(values)), values).astype(values.dtype, copy=False)

    def encode(self, values: Floats) -> Floats:
        """Convert linear light to stored values; the inverse of ``decode``.

        Parameters
        ----------
        values : array of float32 or float64, any shape
            Linear light: 0 is black, 1 white.

        Returns
        -------
        array of the same shape and dtype
        """
        return np.copysign(self._encode(np.abs(values)), values).astype(values.dtype, copy=False)

    def decode_table(self, white: int) -> npt.NDArray[np.float32]:
        """Return the linear light, 0..1, of each integer sample from 0 to ``white``.

        Parameters
        ----------
        white : int
            Sample value of white, at least 1.

        Returns
        -------
        (white + 1,) array of float32
        """
        return self.decode(np.arange(white + 1, dtype=np.float64) / white).astype(np.float32)


class ParametricCurve(Curve):
    """``(a x + b)**gamma + e`` from ``d`` on, ``c x + f`` below; by default a pure power.

    The parameters have the names of function type 4 in ICC.1:2022, section 10.18, where ``gamma`` is ``g``.
    """

    def __init__(
        self,
        gamma: float,
        a: float = 1.0,
        b: float = 0.0,
        c: float = 0.0,
        d: float = 0.0,
        e: float = 0.0,
        f: float = 0.0,
    ) -> None:
        self.gamma, self.a, self.b, self.c, self.d, self.e, self.f = gamma, a, b, c, d, e, f

    def _decode(self, values: Floats) -> Floats:
        curved: Floats = np.maximum(self.a * values + self.b, 0) ** self.gamma + self.e
        decoded: Floats = np.where(values >= self.d, curved, self.c * values + self.f) if self.d > 0 else curved
        return decoded

    def _encode(self, values: Floats) -> Floats:
        curved: Floats = (np.maximum(values - self.e, 0) ** (1 / self.gamma) - self.b) / self.a
        if self.d <= 0:
            return curved
        straight = (values - self.f) / self.c if self.c > 0 else np.zeros_like(values)
        encoded: Floats = np.where(values >= self.c * self.d + self.f, curved, straight)
        return encoded


class SampledCurve(Curve):
    """Linear interpolation between equally spaced samples; constant outside 0 to 1.

    Parameters
    ----------
    samples : (N,) array of float64
        Linear light of the stored values 0, 1/(N-1), ..., 1; must not decrease.
    """

    def __init__(self, samples: npt.NDArray[np.float64]) -> None:
        self._stored = np.linspace(0.0, 1.0, len(samples))
        self._linear = samples

    def _decode(self, values: Floats) -> Floats:
        decoded: Floats = np.interp(values, self._stored, self._linear)
        return decoded

    def _encode(self, values: Floats) -> Floats:
        encoded: Floats = np.interp(values, self._linear, self._stored)
        return encoded


#: IEC 61966-2-1:1999.
SRGB = ParametricCurve(2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
#: ITU-R BT.709-6, item 1.2, inverted; with enough digits for the two pieces to meet (from BT.2020).
BT709 = ParametricCurve(1 / 0.45, 1 / 1.0992968268, 0.0992968268 / 1.0992968268, 1 / 4.5, 4.5 * 0.0180539685)
LINEAR = ParametricCurve(1.0)


def linearized(pixels: Pixels, curve: Curve, alpha: bool, white: float | None = None) -> Pixels:
    """Convert samples to linear light; alpha, which is linear already, is only scaled to 0..1.

    Parameters
    ----------
    pixels : (H, W) or (H, W, C) array of uint8, uint16, uint32, float32 or float64
    curve : Curve
        Tone curve of the colours.
    alpha : bool
        Whether the last channel is alpha.
    white : float, optional
        The value of white; None: the full scale of the type.

    Returns
    -------
    array of float32 or float64
        Same shape as the input; 0 is black, 1 white.
    """
    white = white or full_scale(pixels.dtype)
    dtype = real_of(pixels.dtype)
    if pixels.dtype == dtype:
        out = curve.decode(pixels)
    elif is_wide(pixels.dtype):
        out = curve.decode(pixels / white)
    else:
        out = curve.decode_table(int(white))[pixels]
    if alpha:
        out[:, :, -1] = pixels[:, :, -1] / dtype.type(white)
    return np.ascontiguousarray(out, dtype=dtype)


def delinearized(
    light: Pixels,
    curve: Curve,
    alpha: bool,
    dtype: npt.DTypeLike,
    white: float | None = None,
) -> Pixels:
    """Convert linear light to samples, rounded half to even once.

    Parameters
    ----------
    light : (H, W) or (H, W, C) array of float32 or float64
        0 is black, 1 white.
    curve : Curve
        Tone curve of the colours.
    alpha : bool
        Whether the last channel is alpha.
    dtype : dtype
        Sample type of the result.
    white : float, optional
        The value of white in the result; None: the full scale of the type.

    Returns
    -------
    array of ``dtype``
        Same shape as the input; integers are clipped, floats are not.
    """
    from convfilter.picture import colour

    out = np.empty(light.shape, dtype)
    rows = max(1, _BAND_SAMPLES // max(1, light.shape[1] * channels_of(light)))
    for start in range(0, light.shape[0], rows):
        band = light[start : start + rows]
        values = curve.encode(band)
        if alpha:
            values[:, :, -1] = band[:, :, -1]
        out[start : start + rows] = colour.with_depth(values, out.dtype, out_white=white)
    return out
