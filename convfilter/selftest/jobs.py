"""Filters that ask something of every way, and what they compute."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from convfilter import api
from convfilter.filters import kernels
from convfilter.selftest.reference import Geometry, Real, Weights, gaussian, largest, weighted_sums

Samples: TypeAlias = npt.NDArray[Any]
Keywords: TypeAlias = Mapping[str, Any]
#: Takes samples, with what lies beyond them, and a geometry.
Expect: TypeAlias = Callable[[Real, Geometry], Real]

_PLAIN: tuple[Geometry, ...] = (
    {},
    {"stride": (2, 3), "padding_mode": "reflect"},
    {"stride": (3, 1), "padding_mode": "wrap"},
    {"stride": (1, 2), "padding_mode": "symmetric"},
    {"padding_mode": "constant", "padding_value": 1},
)
_DILATED: tuple[Geometry, ...] = (
    *_PLAIN,
    {"dilation": (3, 2), "padding_mode": "reflect"},
    {"dilation": (2, 3), "stride": (3, 2), "padding": "full", "padding_mode": "wrap"},
)
_POOLED: tuple[Geometry, ...] = (
    {"stride": 1, "padding": 0},
    {"stride": (2, 3), "padding": 1},
    {"stride": (1, 2), "dilation": (2, 1), "padding": ((1, 0), (0, 1))},
)
_UNPADDED: tuple[Geometry, ...] = ({"stride": 1, "padding": 0}, {"stride": (2, 3), "padding": 0, "dilation": (2, 1)})
#: For windows that are larger than some of the pictures.
_COVERING: tuple[Geometry, ...] = ({"stride": 1, "padding": "same"}, {"stride": (2, 3), "padding": "same"})


@dataclass(frozen=True)
class Job:
    """A filter to run, and what it computes.

    Attributes
    ----------
    run : callable
        Takes the picture, and keywords that say where the filter is applied.
    expect : Expect
        Gives the exact values.
    reach : Expect
        Given the samples' magnitudes, gives sum |w||x|.
    alpha : Expect, or None
        The mean alpha of a window; None: not for pictures with alpha.
    exact : bool
        Integer results equal the exact ones everywhere.
    signed : bool
        Integers store the magnitude of the result.
    scale, offset : float
        What is done to the sums before they are stored; the offset as a share of full scale.
    beyond : float
        What lies beyond the border, unless the geometry says so.
    geometries : tuple of Geometry
        Where it is applied, the first on the large picture.
    """

    run: Callable[..., Samples]
    expect: Expect
    reach: Expect
    alpha: Expect | None = None
    exact: bool = False
    signed: bool = False
    scale: float = 1.0
    offset: float = 0.0
    beyond: float = 0.0
    geometries: tuple[Geometry, ...] = _DILATED


def _sum_of(weights: Weights, divisor: float = 1.0) -> Expect:
    def expect(samples: Real, geometry: Geometry) -> Real:
        return weighted_sums(samples, weights, geometry) / divisor

    return expect


def _convolution(weights: Real, *, exact: bool = False) -> Job:
    """Filter with a matrix; pictures with alpha only if no weight is negative."""

    def run(picture: Samples, **keywords: Any) -> Samples:
        return api.convolve(picture, weights, **keywords)

    mean = _sum_of(weights, weights.sum()) if weights.min() >= 0 else None
    return Job(run, _sum_of(weights), _sum_of(np.abs(weights)), mean, exact)


def _blur(sigma_rows: float, sigma_cols: float) -> Job:
    # Only with padding "same": there the reach of the reference does not matter.
    def run(picture: Samples, **keywords: Any) -> Samples:
        return api.gaussian_blur(picture, (sigma_rows, sigma_cols), **keywords)

    expect = _sum_of((gaussian(sigma_rows), gaussian(sigma_cols)))
    return Job(run, expect, expect, expect, geometries=_PLAIN)


def _amplified(job: Job, scale: float = 2.3) -> Job:
    """Return the job with its results spread around the grey of the flat picture, by no fraction: none is a tie."""
    offset = 0.45 * (1 - scale)
    run = partial(job.run, scale=scale, offset=offset)
    return replace(job, run=run, alpha=None, exact=False, scale=scale, offset=offset)


def _sharpening(sigma: float, amount: float) -> Job:
    def run(picture: Samples, **keywords: Any) -> Samples:
        return api.unsharp_mask(picture, sigma, amount, **keywords)

    blur = gaussian(sigma)
    centre = np.eye(1, blur.size, blur.size // 2)[0]
    weights = (1 + amount) * np.outer(centre, centre) - amount * np.outer(blur, blur)
    return Job(run, _sum_of(weights), _sum_of(np.abs(weights)), geometries=_PLAIN)


def _box(rows: int, cols: int) -> Job:
    def run(picture: Samples, **keywords: Any) -> Samples:
        return api.box_blur(picture, (rows, cols), **keywords)

    expect = _sum_of((np.ones(rows), np.ones(cols)), rows * cols)
    return Job(run, expect, expect, expect, exact=True, geometries=_PLAIN)


def _edges(family: str, axis: str) -> Job:
    """Differences along one axis, or the magnitude of both; they leave alpha as it is."""
    factors = [kernels.derivative(family, name).factors for name in ("xy" if axis == "magnitude" else axis)]

    def run(picture: Samples, **keywords: Any) -> Samples:
        function: Callable[..., Samples] = getattr(api, family)
        return function(picture, axis, **keywords)

    parts = [pair for pair in factors if pair is not None]
    sizes = [(np.abs(column), np.abs(row)) for column, row in parts]
    centre = np.array([0.0, 1, 0])
    return Job(run, _length_of(parts), _length_of(sizes), _sum_of((centre, centre)), exact=True, signed=True)


def _diagonal_edges() -> Job:
    """Roberts' cross: both differences are of full rank, so that one pass does not give them."""

    def run(picture: Samples, **keywords: Any) -> Samples:
        return api.apply(picture, "roberts:magnitude", **keywords)

    parts = np.array([[1.0, 0], [0, -1]]), np.array([[0.0, 1], [-1, 0]])
    sizes = [np.abs(part) for part in parts]
    return Job(run, _length_of(parts), _length_of(sizes), exact=True, signed=True)


def _length_of(weights: Sequence[Weights]) -> Expect:
    def expect(samples: Real, geometry: Geometry) -> Real:
        sums = [weighted_sums(samples, each, geometry) for each in weights]
        return sums[0] if len(sums) == 1 else np.hypot(*sums)

    return expect


def _max_pool(rows: int, cols: int) -> Job:
    def run(picture: Samples, **keywords: Any) -> Samples:
        return api.max_pool(picture, (rows, cols), **keywords)

    def expect(samples: Real, geometry: Geometry) -> Real:
        return largest(samples, (rows, cols), {**geometry, "padding_mode": "constant"})

    return Job(run, expect, expect, expect, exact=True, beyond=-np.inf, geometries=_POOLED)


def _min_pool(rows: int, cols: int) -> Job:
    def run(picture: Samples, **keywords: Any) -> Samples:
        return api.min_pool(picture, (rows, cols), **keywords)

    def expect(samples: Real, geometry: Geometry) -> Real:
        return -largest(-samples, (rows, cols), {**geometry, "padding_mode": "constant"})

    def reach(magnitudes: Real, geometry: Geometry) -> Real:
        on_picture = np.where(np.isinf(magnitudes), 0, magnitudes)
        return largest(on_picture, (rows, cols), {**geometry, "padding_mode": "constant"})

    # The least of a window that reaches over the border would be what the reference puts there.
    return Job(run, expect, reach, expect, exact=True, beyond=np.inf, geometries=_UNPADDED)


def _average_pool(rows: int, cols: int) -> Job:
    def run(picture: Samples, **keywords: Any) -> Samples:
        return api.average_pool(picture, (rows, cols), **keywords)

    def expect(samples: Real, geometry: Geometry) -> Real:
        cells = np.ones_like(samples)
        cells[-1], cells[:, -1] = 0, 0
        bordered, ones = {**geometry, "padding_mode": "constant"}, (np.ones(rows), np.ones(cols))
        return weighted_sums(samples, ones, bordered) / weighted_sums(cells, ones, bordered)

    return Job(run, expect, expect, exact=True, geometries=_POOLED)


# What each way is asked -----------------------------------------------------------
# Weights sum to one, mostly, so that results lie within the range of the samples.


def _whole(rows: int, cols: int, total: int, most: int = 9) -> Real:
    """Whole numbers of both signs, and a last one that makes their sum ``total``."""
    numbers = np.random.default_rng(7).integers(-most, most, (rows, cols), endpoint=True).astype(np.float64)
    numbers[-1, -1] += total - numbers.sum()
    return numbers


def _positive(rows: int, cols: int) -> Real:
    weights = np.random.default_rng(7).random((rows, cols)) + 0.1
    normalized: Real = weights / weights.sum()
    return normalized


def _signed(rows: int, cols: int, size: float) -> Real:
    """Weights of both signs whose magnitudes sum to about ``size``: large ones ask for sums in float64."""
    noise = np.random.default_rng(7).random((rows, cols))
    noise -= noise.mean()
    scaled: Real = noise * (size / np.abs(noise).sum()) + 1 / noise.size
    return scaled


def _direct() -> list[Job]:
    return [
        _convolution(_whole(4, 5, 8) / 8, exact=True),
        _convolution(_positive(6, 7)),
        _convolution(_whole(5, 3, 2**16, 2**18) / 2**16, exact=True),
        _convolution(np.array([[1.0, 2, 1], [2, 3, 2], [1, 3, 1]]) / 16, exact=True),
        _convolution(_signed(5, 4, 3.0)),
        _convolution(_signed(7, 6, 300.0)),
        _convolution(_positive(17, 18)),
        _amplified(_convolution(_positive(3, 4))),
    ]


def _separable() -> list[Job]:
    return [
        _convolution(np.outer(_whole(4, 1, 4), _whole(1, 5, 4)) / 16, exact=True),
        _convolution(np.outer(_positive(1, 6), _positive(1, 9))),
        _blur(1.3, 0.6),
        _blur(0, 3.0),
        _convolution(np.outer([1.0, 2, 1], [1.0, 3, 3, 1]) / 32, exact=True),
        _edges("sobel", "x"),
        _convolution(np.outer(_signed(1, 5, 20.0), _signed(1, 7, 20.0))),
        _sharpening(1.2, 0.8),
        _amplified(_blur(0.8, 1.6)),
    ]


def _low_rank() -> list[Job]:
    centre, surround = gaussian(1.0), gaussian(1.6)
    narrow = np.pad(np.outer(centre, centre), (surround.size - centre.size) // 2)
    two_whole = np.outer(_whole(17, 1, 1, 1), _whole(1, 15, 1, 1)) + np.outer(_whole(17, 1, 0, 2), np.ones(15))
    two_positive = np.outer(_positive(1, 19), _positive(1, 16)) + np.outer(np.full(19, 1 / 19), _positive(16, 1))
    return [
        _convolution(two_whole, exact=True),
        _convolution(two_positive / 2),
        _convolution(1.9 * narrow - 0.9 * np.outer(surround, surround)),
        _amplified(_convolution(two_positive / 2)),
    ]


def _fourier() -> list[Job]:
    return [
        _convolution(_whole(17, 20, 1, 1), exact=True),
        _convolution(_positive(20, 18)),
        _convolution(_signed(16, 19, 1.8)),
        _convolution(_signed(19, 16, 30.0)),
        _amplified(_convolution(_positive(18, 16))),
    ]


def _boxes() -> list[Job]:
    return [_box(3, 5), _box(10, 4), _box(1, 90), _box(21, 19), _box(300, 260), _amplified(_box(5, 4))]


def _multirate() -> list[Job]:
    return [
        _blur(6, 9),
        _blur(20, 7),
        _blur(60, 60),
        _blur(0, 12),
        _blur(15, 1),
        _amplified(_blur(8, 5), 40.0),  # asks for sums in float64
        _sharpening(9, 1.5),
    ]


def _gradient() -> list[Job]:
    plain = [_edges(family, "magnitude") for family in ("sobel", "scharr", "prewitt")]
    diagonal = _diagonal_edges()
    return [*plain, _amplified(plain[0]), diagonal, _amplified(diagonal)]


def _pooling() -> list[Job]:
    return [
        _max_pool(3, 4),
        _average_pool(11, 9),
        _max_pool(11, 9),
        replace(_max_pool(45, 40), geometries=_COVERING),
        replace(_average_pool(45, 40), geometries=_COVERING),
        _min_pool(9, 17),
        _average_pool(2, 5),
        _amplified(_average_pool(3, 3)),
    ]


JOBS: dict[str, Callable[[], list[Job]]] = {
    "direct": _direct,
    "separable": _separable,
    "lowrank": _low_rank,
    "fourier": _fourier,
    "box": _boxes,
    "multirate": _multirate,
    "gradient": _gradient,
    "pooling": _pooling,
}
