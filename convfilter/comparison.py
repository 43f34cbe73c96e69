"""How far apart two arrays of samples are: PSNR, SSIM, largest difference, share of equal samples."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from convfilter.errors import ParameterError
from convfilter.filters.kernels import gaussian
from convfilter.filters.stage import Correlation, Stage
from convfilter.picture.picture import Picture
from convfilter.planning import full_scale
from convfilter.record import record

Image = npt.NDArray[Any]

#: Of Wang's window, and the constants that keep its quotients steady, as shares of full scale.
_SIGMA, _TRUNCATE, _K1, _K2 = 1.5, 3.5, 0.01, 0.03
_BAND_ROWS = 64


@record
class Comparison:
    """What two pictures have in common.

    Attributes
    ----------
    psnr : float
        Peak signal-to-noise ratio in dB; infinite for equal pictures.
    ssim : float, or None
        Mean structural similarity, 1 for equal pictures; None where the picture is smaller than the window.
    largest : float
        Largest difference of two samples, in sample units.
    place : (row, col, channel)
        Of the first such difference.
    equal : float
        Share of samples that are equal, 0 to 1.
    frames : int
        How many were compared; the numbers are of all of them, SSIM is their mean.
    frame : int
        Of the largest difference, from 0.
    """

    psnr: float
    ssim: float | None
    largest: float
    place: tuple[int, int, int]
    equal: float
    frames: int = 1
    frame: int = 0

    def lines(self) -> Iterator[str]:
        """Write the numbers, a line each."""
        row, col, channel = self.place
        yield f"PSNR     {'infinite: equal' if self.psnr == math.inf else f'{self.psnr:.2f} dB'}"
        yield "SSIM     " + ("none: the picture is smaller than 11x11" if self.ssim is None else f"{self.ssim:.6f}")
        frame = f", frame {self.frame} of {self.frames}" if self.frames > 1 else ""
        where = f" at column {col}, row {row}, channel {channel}{frame}" if self.largest else ""
        yield f"largest  {self.largest:g}{where}"
        yield f"equal    {math.floor(self.equal * 1e6) / 1e4:.4f} % of the samples"
        if self.frames > 1:
            yield f"frames   {self.frames}, all compared"

    def as_json(self) -> dict[str, Any]:
        """Return the numbers; an infinite PSNR is null."""
        row, col, channel = self.place
        return {
            "psnr": None if self.psnr == math.inf else self.psnr,
            "ssim": self.ssim,
            "largest": self.largest,
            "column": col,
            "row": row,
            "channel": channel,
            "equal": self.equal,
            "frames": self.frames,
            "frame": self.frame,
        }


def compare(first: Image, second: Image) -> Comparison:
    """Compare two pictures, sample by sample; full scale is 255, 65535, or 1 for real samples.

    Parameters
    ----------
    first, second : (H, W) or (H, W, C) arrays of one shape and type

    Raises
    ------
    ParameterError
        Shapes or types differ.

    Notes
    -----
    Z. Wang, A. Bovik, H. Sheikh, E. Simoncelli, "Image quality assessment: from
    error visibility to structural similarity", 2004; a Gaussian of 1.5 pixels
    cut to 11x11, population covariances, the mean over windows that lie on the
    picture and over channels.
    """
    return compare_frames([(first, second)])


def compare_frames(pairs: Sequence[tuple[Image, Image]]) -> Comparison:
    """Compare the frames of two files as one: at least one pair of them; see ``compare``.

    Raises
    ------
    ParameterError
        The shapes of a pair differ, or types.
    """
    squares, same, samples, largest, place, frame = 0.0, 0, 0, 0.0, (0, 0, 0), 0
    similarities: list[float | None] = []
    for number, (first, second) in enumerate(pairs):
        if first.shape != second.shape or first.dtype != second.dtype:
            raise ParameterError(
                "pictures to compare must have the same shape and type, "
                f"got {first.dtype} {first.shape} and {second.dtype} {second.shape}"
            )
        a, b = (image.reshape(image.shape[0], image.shape[1], -1) for image in (first, second))
        for top in range(0, a.shape[0], _BAND_ROWS):
            difference = np.abs(a[top : top + _BAND_ROWS].astype(np.float64) - b[top : top + _BAND_ROWS])
            squares += float(np.square(difference).sum())
            same += int(np.count_nonzero(difference == 0))
            if difference.max() > largest:
                row, col, channel = (int(i) for i in np.unravel_index(int(difference.argmax()), difference.shape))
                largest, place, frame = float(difference.max()), (top + row, col, channel), number
        samples += a.size
        similarities.append(_ssim(a, b, full_scale(a.dtype)))
    psnr = math.inf if squares == 0 else 10 * math.log10(full_scale(pairs[0][0].dtype) ** 2 * samples / squares)
    found = [each for each in similarities if each is not None]
    ssim = float(np.mean(found)) if len(found) == len(pairs) else None
    return Comparison(psnr, ssim, largest, place, same / samples, len(pairs), frame)


def _ssim(a: Image, b: Image, white: float) -> float | None:
    window = Stage(Correlation(gaussian(_SIGMA, _SIGMA, _TRUNCATE)), padding="valid")
    if min(a.shape[:2]) < int(_TRUNCATE * _SIGMA + 0.5) * 2 + 1:
        return None
    return float(np.mean([_ssim_of(a[..., c] / white, b[..., c] / white, window) for c in range(a.shape[2])]))


def _ssim_of(a: Image, b: Image, window: Stage) -> float:
    """Return the mean similarity of two channels whose white is 1."""
    from convfilter.engine.run import run_array
    from convfilter.planning import plan_stack

    # Less their common mean, so that squares of float32 keep what matters.
    centre = float((a.mean() + b.mean()) / 2)
    a, b = a - centre, b - centre
    plan = plan_stack([window], a.shape, np.float32)

    def mean(values: Image) -> Image:
        return run_array(plan, values.astype(np.float32)).pixels.astype(np.float64)

    mean_a, mean_b = mean(a), mean(b)
    spread = mean(a * a) - mean_a**2 + mean(b * b) - mean_b**2
    common = mean(a * b) - mean_a * mean_b
    mean_a, mean_b = mean_a + centre, mean_b + centre
    c1, c2 = _K1**2, _K2**2
    similar = (2 * mean_a * mean_b + c1) * (2 * common + c2) / ((mean_a**2 + mean_b**2 + c1) * (spread + c2))
    return float(similar.mean())


def difference_picture(first: Picture, second: Picture) -> Picture:
    """Return |A - B|, frame by frame, stretched so that the largest difference of all is white.

    Each colour keeps its own difference; where a picture has alpha, that of
    alpha is added to each, so that it shows. Of inks, and of bands beside the
    colours, the largest is taken.
    """
    differences = [_difference(a.pixels, b.pixels, first) for a, b in zip(first.frames, second.frames, strict=True)]
    largest, dtype = max(float(difference.max()) for difference in differences), first.pixels.dtype
    gain = full_scale(dtype) / largest if largest else 1.0
    shown = []
    for frame, difference in zip(first.frames, differences, strict=True):
        stretched = difference * gain
        pixels = (np.rint(stretched) if dtype.kind == "u" else stretched).astype(dtype)
        shown.append(replace(frame, pixels=Picture.from_array(pixels).pixels))
    return replace(Picture.from_array(shown[0].pixels), frames=shown)


def _difference(a: Image, b: Image, picture: Picture) -> npt.NDArray[np.float64]:
    difference: npt.NDArray[np.float64] = np.abs(a.astype(np.float64) - b)
    if picture.alpha:
        difference = difference[..., :-1] + difference[..., -1:]
    return difference.max(axis=2) if picture.model == "cmyk" or picture.extras else difference
