"""Compare arrays of samples: PSNR, SSIM, largest difference, share of equal samples."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from convfilter.errors import ParameterError
from convfilter.filters.kernels import gaussian
from convfilter.filters.operators import Correlation
from convfilter.filters.stage import Stage
from convfilter.picture.picture import Picture
from convfilter.record import record, replace
from convfilter.sample_types import full_scale, is_integer

Image = npt.NDArray[Any]

#: Sigma and truncation of the window of Wang et al., and the stabilising constants as shares of full scale.
_SIGMA, _TRUNCATE, _K1, _K2 = 1.5, 3.5, 0.01, 0.03
#: Rows that are compared at a time.
_BAND_ROWS = 64


@record
class Comparison:
    """The result of a comparison.

    Attributes
    ----------
    psnr : float, or None
        Peak signal-to-noise ratio in dB; infinite for equal pictures, None if there are unmatched samples.
    ssim : float, or None
        Mean structural similarity, 1 for equal pictures; None for the reason ``ssim_missing``.
    largest : float
        Largest finite difference of two samples, in sample units.
    place : (row, col, channel)
        Position of the first such difference.
    equal : float
        Share of samples that are equal, 0 to 1; two NaN count as equal, and so do two equal infinities.
    frames : int
        Number of compared frames; figures cover all frames, and SSIM is the mean of the frames.
    frame : int
        Frame of the largest difference, from 0.
    unmatched : int
        Samples without a finite difference: NaN or infinity in one picture, another value in the other.
    unmatched_place : (row, col, channel)
        Position of the first of these.
    ssim_missing : str
        Reason why there is no SSIM; "" otherwise.
    """

    psnr: float | None
    ssim: float | None
    largest: float
    place: tuple[int, int, int]
    equal: float
    frames: int = 1
    frame: int = 0
    unmatched: int = 0
    unmatched_place: tuple[int, int, int] = (0, 0, 0)
    ssim_missing: str = ""

    def lines(self) -> Iterator[str]:
        """Yield the figures as lines of text."""
        if self.psnr is None:
            yield "PSNR     none: differences are not all finite"
        else:
            yield f"PSNR     {'infinite: equal' if self.psnr == math.inf else f'{self.psnr:.2f} dB'}"
        yield "SSIM     " + (f"none: {self.ssim_missing}" if self.ssim is None else f"{self.ssim:.6f}")
        frame = f", frame {self.frame} of {self.frames}" if self.frames > 1 else ""
        yield f"largest  {self.largest:g}{_at(self.place) + frame if self.largest else ''}"
        if self.unmatched:
            yield f"besides  {self.unmatched} NaN or infinity in one picture only, first{_at(self.unmatched_place)}"
        yield f"equal    {math.floor(self.equal * 1e6) / 1e4:.4f} % of the samples"
        if self.frames > 1:
            yield f"frames   {self.frames}, all compared"

    def as_json(self) -> dict[str, Any]:
        """Return the figures; an infinite or missing PSNR is null."""
        row, col, channel = self.place
        return {
            "psnr": self.psnr if self.psnr is not None and math.isfinite(self.psnr) else None,
            "ssim": self.ssim,
            "largest": self.largest,
            "column": col,
            "row": row,
            "channel": channel,
            "equal": self.equal,
            "frames": self.frames,
            "frame": self.frame,
            "unmatched": self.unmatched,
        }


def _at(place: tuple[int, int, int]) -> str:
    row, col, channel = place
    return f" at column {col}, row {row}, channel {channel}"


def compare(first: Image, second: Image) -> Comparison:
    """Compare two pictures, sample by sample; full scale is the largest integer of their type, 1 for real samples.

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


def compare_frames(pairs: Sequence[tuple[Image, Image]], white: float | None = None) -> Comparison:
    """Compare the frames of two files, at least one pair; see ``compare``.

    ``white`` is the value of white, where that is not the full scale of the sample type.

    Raises
    ------
    ParameterError
        The shapes or types of a pair differ.
    """
    sums = _Sums()
    similarities: list[float | None] = []
    missing = ""
    white = white or full_scale(pairs[0][0].dtype)
    for number, (first, second) in enumerate(pairs):
        if first.shape != second.shape or first.dtype != second.dtype:
            raise ParameterError(
                "pictures to compare must have the same shape and type, "
                f"got {first.dtype} {first.shape} and {second.dtype} {second.shape}"
            )
        a, b = (image.reshape(image.shape[0], image.shape[1], -1) for image in (first, second))
        for top in range(0, a.shape[0], _BAND_ROWS):
            sums.add(_distances(a[top : top + _BAND_ROWS], b[top : top + _BAND_ROWS]), top, number)
        similarity, reason = _ssim(a, b, white)
        similarities.append(similarity)
        missing = missing or reason
    known = [each for each in similarities if each is not None]
    ssim = float(np.mean(known)) if len(known) == len(pairs) else None
    return Comparison(
        sums.psnr(white), ssim, sums.largest, sums.place, sums.same / sums.samples,
        len(pairs), sums.frame, sums.unmatched, sums.unmatched_place, missing,
    )  # fmt: skip


def _distances(a: Image, b: Image) -> npt.NDArray[np.float64]:
    """Return |a - b|: 0 where both are NaN or the same infinity, infinity where only one of them is not finite."""
    with np.errstate(invalid="ignore"):
        distances: npt.NDArray[np.float64] = np.abs(a.astype(np.float64) - b)
    if a.dtype.kind == "f" and not np.isfinite(distances).all():
        same = (a == b) | (np.isnan(a) & np.isnan(b))
        distances[~np.isfinite(distances)] = np.inf
        distances[same] = 0
    return distances


class _Sums:
    """Sums, maxima and counts over bands and frames."""

    def __init__(self) -> None:
        self.squares, self.largest = 0.0, 0.0
        self.same = self.samples = self.unmatched = self.frame = 0
        self.place = self.unmatched_place = (0, 0, 0)

    def add(self, distances: npt.NDArray[np.float64], top: int, frame: int) -> None:
        """Add a band that begins at row ``top``."""
        finite = np.isfinite(distances)
        if not finite.all():
            if not self.unmatched:
                self.unmatched_place = _place(int(np.argmin(finite)), distances, top)
            self.unmatched += int(np.count_nonzero(~finite))
            distances = np.where(finite, distances, 0)
        self.squares += float(np.square(distances).sum())
        self.same += int(np.count_nonzero(finite & (distances == 0)))
        self.samples += distances.size
        if distances.max() > self.largest:
            self.largest = float(distances.max())
            self.place, self.frame = _place(int(distances.argmax()), distances, top), frame

    def psnr(self, white: float) -> float | None:
        """Return the ratio in dB; infinite for equal pictures."""
        if self.unmatched:
            return None
        return math.inf if self.squares == 0 else 10 * math.log10(white**2 * self.samples / self.squares)


def _place(index: int, band: npt.NDArray[Any], top: int) -> tuple[int, int, int]:
    row, col, channel = (int(i) for i in np.unravel_index(index, band.shape))
    return top + row, col, channel


def _ssim(a: Image, b: Image, white: float) -> tuple[float | None, str]:
    """Return the mean similarity of the channels, or None and the reason."""
    window = Stage(Correlation(gaussian(_SIGMA, _SIGMA, _TRUNCATE)), padding="valid")
    if min(a.shape[:2]) < int(_TRUNCATE * _SIGMA + 0.5) * 2 + 1:
        return None, "the picture is smaller than 11x11"
    if a.dtype.kind == "f" and not (np.isfinite(a).all() and np.isfinite(b).all()):
        return None, "samples are not all finite"
    with np.errstate(over="ignore", invalid="ignore"):
        similar = float(np.mean([_ssim_of(a[..., c] / white, b[..., c] / white, window) for c in range(a.shape[2])]))
    return (similar, "") if math.isfinite(similar) else (None, "squares of the samples are too large")


def _ssim_of(a: Image, b: Image, window: Stage) -> float:
    """Return the mean similarity of two channels whose white is 1."""
    from convfilter.executor.run import run_array
    from convfilter.planning import plan_stack

    # The common mean is subtracted: squares in float32 then keep their precision.
    centre = float((a.mean() + b.mean()) / 2)
    a, b = a - centre, b - centre
    plan = plan_stack([window], a.shape, np.float32)

    def mean(values: Image) -> Image:
        return run_array(plan, values.astype(np.float32)).pixels.astype(np.float64)

    mean_a, mean_b = mean(a), mean(b)
    variances = mean(a * a) - mean_a**2 + mean(b * b) - mean_b**2
    covariance = mean(a * b) - mean_a * mean_b
    mean_a, mean_b = mean_a + centre, mean_b + centre
    c1, c2 = _K1**2, _K2**2
    numerator = (2 * mean_a * mean_b + c1) * (2 * covariance + c2)
    return float((numerator / ((mean_a**2 + mean_b**2 + c1) * (variances + c2))).mean())


def difference_picture(first: Picture, second: Picture) -> Picture:
    """Return |A - B|, frame by frame, stretched so that the largest difference of all is white.

    Each colour shows its own difference. The difference of alpha is added to each colour, so that it is visible. A
    picture in inks, or with further bands, shows the largest difference of its channels.
    """
    differences = [_difference(a.pixels, b.pixels, first) for a, b in zip(first.frames, second.frames, strict=True)]
    largest = max(float(np.max(each, where=np.isfinite(each), initial=0)) for each in differences)
    dtype = first.pixels.dtype
    white = full_scale(dtype)
    gain = white / largest if largest else 1.0
    frames = []
    for frame, difference in zip(first.frames, differences, strict=True):
        stretched = np.where(np.isfinite(difference), difference * gain, white)
        pixels = (np.rint(stretched) if is_integer(dtype) else stretched).astype(dtype)
        frames.append(frame.with_pixels(Picture.from_array(pixels).pixels))
    return replace(Picture.from_array(frames[0].pixels), frames=frames)


def _difference(a: Image, b: Image, picture: Picture) -> npt.NDArray[np.float64]:
    difference = _distances(a, b)
    if picture.alpha:
        difference = difference[..., :-1] + difference[..., -1:]
    return difference.max(axis=2) if picture.model == "cmyk" or picture.extras else difference
