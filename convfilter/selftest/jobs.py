"""Jobs of the self-test: filters to run, each with its exact result."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, TypeAlias, cast

import numpy as np
import numpy.typing as npt

from convfilter import api, layers, windows
from convfilter.executor.run import run_array
from convfilter.filters import kernels
from convfilter.keywords import FilterKeywords, stages_of
from convfilter.planning import plan_stack
from convfilter.record import record, replace
from convfilter.selftest.reference import (
    Geometry,
    Real,
    Weights,
    gaussian,
    largest,
    largest_under,
    ranked,
    weighted_sums,
)

Samples: TypeAlias = npt.NDArray[Any]
Keywords: TypeAlias = Mapping[str, Any]
#: Takes samples with border and a geometry; returns exact values.
Expect: TypeAlias = Callable[[Real, Geometry], Real]
#: Takes a picture and keywords; returns exact straight colours and alpha, and their magnitudes.
ExpectPixels: TypeAlias = Callable[[Samples, Keywords], tuple[Real, Real]]

PLAIN: tuple[Geometry, ...] = (
    {},
    {"stride": (2, 3), "padding_mode": "reflect"},
    {"stride": (3, 1), "padding_mode": "wrap"},
    {"stride": (1, 2), "padding_mode": ("symmetric", "wrap")},
    {"padding_mode": "constant", "padding_value": 1},
)
_DILATED: tuple[Geometry, ...] = (
    *PLAIN,
    {"dilation": (3, 2), "padding_mode": "reflect"},
    {"dilation": (2, 3), "stride": (3, 2), "padding": "full", "padding_mode": "wrap"},
)
_POOLED: tuple[Geometry, ...] = (
    {"stride": 1, "padding": 0},
    {"stride": (2, 3), "padding": 1},
    {"stride": (1, 2), "dilation": (2, 1), "padding": ((1, 0), (0, 1))},
)
_UNPADDED: tuple[Geometry, ...] = ({"stride": 1, "padding": 0}, {"stride": (2, 3), "padding": 0, "dilation": (2, 1)})
#: Geometries for windows larger than some of the pictures.
COVERING: tuple[Geometry, ...] = ({"stride": 1, "padding": "same"}, {"stride": (2, 3), "padding": "same"})


@record
class Job:
    """A filter to run, with its exact result.

    Attributes
    ----------
    run : callable
        Takes the picture, and keywords of geometry.
    expect : Expect
        Returns the exact values.
    reach : Expect
        Takes the magnitudes of the samples, and returns sum |w||x|.
    alpha : Expect, or None
        Returns the mean alpha of a window; None if the job does not take pictures with alpha.
    exact : bool
        Whether integer results equal the rounded exact results everywhere.
    signed : bool
        Whether integers store the magnitude of the result.
    scale, offset : float
        Applied to the sums before they are stored; the offset is a fraction of full scale.
    beyond : float
        Value of padding, unless the geometry gives one.
    geometries : tuple of Geometry
        Geometries, the first one for the large picture.
    stretched : bool
        Whether the range of the results is stretched to black and white.
    results : tuple of str
        Sample types of the result besides the picture's own and float32.
    clips : bool
        Whether real results, too, are clipped to black and white.
    on_large : bool
        Whether the job may run on the large picture.
    in_double : bool
        Whether the job may run on sample types that need float64, which reveal the truncation of a Gaussian.
    expect_pixels : ExpectPixels, or None
        Replaces ``expect``, ``reach`` and ``alpha`` for filters in which alpha is more than a weight.
    with_alpha : bool
        Whether ``expect_pixels`` takes pictures with alpha.
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
    stretched: bool = False
    results: tuple[str, ...] = ()
    clips: bool = False
    on_large: bool = True
    in_double: bool = True
    expect_pixels: ExpectPixels | None = None
    with_alpha: bool = False

    @property
    def takes_alpha(self) -> bool:
        """Whether the job may run on pictures with alpha."""
        return self.with_alpha or self.alpha is not None


def _sum_of(weights: Weights, divisor: float = 1.0) -> Expect:
    def expect(samples: Real, geometry: Geometry) -> Real:
        return weighted_sums(samples, weights, geometry) / divisor

    return expect


def convolution(weights: Real, *, exact: bool = False) -> Job:
    """Filter with a matrix; pictures with alpha only if no weight is negative."""

    def run(picture: Samples, **keywords: Any) -> Samples:
        return api.convolve(picture, weights, **keywords)

    mean = _sum_of(weights, weights.sum()) if weights.min() >= 0 else None
    return Job(run, _sum_of(weights), _sum_of(np.abs(weights)), mean, exact)


def blur(sigma_rows: float, sigma_cols: float) -> Job:
    """Blur with a Gaussian; sigma 0 does not blur along an axis."""

    # With padding "same" only: the reference's window is larger than the engine's, which shifts other paddings.
    def run(picture: Samples, **keywords: Any) -> Samples:
        return api.gaussian_blur(picture, (sigma_rows, sigma_cols), **keywords)

    expect = _sum_of((gaussian(sigma_rows), gaussian(sigma_cols)))
    return Job(run, expect, expect, expect, geometries=PLAIN, in_double=False)


def amplified(job: Job, scale: float = 2.3) -> Job:
    """Return the job with results multiplied about the grey of the flat picture, by a factor that avoids ties."""
    offset = 0.45 * (1 - scale)
    run = partial(job.run, scale=scale, offset=offset)
    return replace(job, run=run, alpha=None, exact=False, scale=scale, offset=offset)


def sharpening(sigma: float, amount: float) -> Job:
    """Sharpen with a Gaussian as one kernel."""

    def run(picture: Samples, **keywords: Any) -> Samples:
        return api.unsharp_mask(picture, sigma, amount, **keywords)

    blurred = gaussian(sigma)
    centre = np.eye(1, blurred.size, blurred.size // 2)[0]
    weights = (1 + amount) * np.outer(centre, centre) - amount * np.outer(blurred, blurred)
    return Job(run, _sum_of(weights), _sum_of(np.abs(weights)), geometries=PLAIN, in_double=False)


def box(rows: int, cols: int) -> Job:
    """Take the mean of a window."""

    def run(picture: Samples, **keywords: Any) -> Samples:
        return api.box_blur(picture, (rows, cols), **keywords)

    expect = _sum_of((np.ones(rows), np.ones(cols)), rows * cols)
    return Job(run, expect, expect, expect, exact=True, geometries=PLAIN)


def edges(family: str, axis: str) -> Job:
    """Compute differences along one axis, or the magnitude of both; alpha stays as it is."""
    factors = [kernels.derivative(family, name).factors for name in ("xy" if axis == "magnitude" else axis)]

    def run(picture: Samples, **keywords: Any) -> Samples:
        function: Callable[..., Samples] = getattr(api, family)
        return function(picture, axis, **keywords)

    parts = [pair for pair in factors if pair is not None]
    sizes = [(np.abs(column), np.abs(row)) for column, row in parts]
    centre = np.array([0.0, 1, 0])
    return Job(run, _length_of(parts), _length_of(sizes), _sum_of((centre, centre)), exact=True, signed=True)


def diagonal_edges() -> Job:
    """Compute Roberts' cross: differences of full rank, which are not separable."""

    def run(picture: Samples, **keywords: Any) -> Samples:
        return api.apply(picture, "roberts:magnitude", **keywords)

    parts = np.array([[1.0, 0], [0, -1]]), np.array([[0.0, 1], [-1, 0]])
    sizes = [np.abs(part) for part in parts]
    return Job(run, _length_of(parts), _length_of(sizes), exact=True, signed=True)


def compass(family: str) -> Job:
    """Take the largest sum of a pattern in eight directions."""
    patterns = [kernel.matrix for kernel in kernels.compass(family)]

    def run(picture: Samples, *, algorithm: str | None = None, **keywords: Any) -> Samples:
        function: Callable[..., Samples] = getattr(api, family)  # the only method has no name
        return function(picture, **keywords)

    def largest_sum(samples: Real, geometry: Geometry) -> Real:
        sums: Real = np.stack([weighted_sums(samples, pattern, geometry) for pattern in patterns]).max(axis=0)
        return sums

    def reach(magnitudes: Real, geometry: Geometry) -> Real:
        sums: Real = np.stack([weighted_sums(magnitudes, np.abs(pattern), geometry) for pattern in patterns]).max(
            axis=0
        )
        return sums

    return Job(run, largest_sum, reach, exact=True, signed=True)


def _length_of(weights: Sequence[Weights]) -> Expect:
    def expect(samples: Real, geometry: Geometry) -> Real:
        sums = [weighted_sums(samples, each, geometry) for each in weights]
        return sums[0] if len(sums) == 1 else np.hypot(*sums)

    return expect


def max_pool(rows: int, cols: int) -> Job:
    """Take the largest sample of a window."""

    def run(picture: Samples, **keywords: Any) -> Samples:
        return layers.max_pool(picture, (rows, cols), **keywords)

    def expect(samples: Real, geometry: Geometry) -> Real:
        return largest(samples, (rows, cols), {**geometry, "padding_mode": "constant"})

    return Job(run, expect, expect, expect, exact=True, beyond=-np.inf, geometries=_POOLED)


def min_pool(rows: int, cols: int) -> Job:
    """Take the smallest sample of a window."""

    def run(picture: Samples, **keywords: Any) -> Samples:
        return layers.min_pool(picture, (rows, cols), **keywords)

    def expect(samples: Real, geometry: Geometry) -> Real:
        return -largest(-samples, (rows, cols), {**geometry, "padding_mode": "constant"})

    def reach(magnitudes: Real, geometry: Geometry) -> Real:
        on_picture = np.where(np.isinf(magnitudes), 0, magnitudes)
        return largest(on_picture, (rows, cols), {**geometry, "padding_mode": "constant"})

    # No padding: the reference's padding would be the minimum of a window that reaches over the border.
    return Job(run, expect, reach, expect, exact=True, beyond=np.inf, geometries=_UNPADDED)


def average_pool(rows: int, cols: int) -> Job:
    """Take the mean of the samples of a window that lie on the picture."""

    def run(picture: Samples, **keywords: Any) -> Samples:
        return layers.average_pool(picture, (rows, cols), **keywords)

    def expect(samples: Real, geometry: Geometry) -> Real:
        cells = np.ones_like(samples)
        cells[-1], cells[:, -1] = 0, 0
        bordered, ones = {**geometry, "padding_mode": "constant"}, (np.ones(rows), np.ones(cols))
        return weighted_sums(samples, ones, bordered) / weighted_sums(cells, ones, bordered)

    return Job(run, expect, expect, expect, exact=True, geometries=_POOLED)


def ranks(rows: int, cols: int, fraction: float = 0.5) -> Job:
    """Take the sample of a rank of each window; exact if the rank is a whole number."""

    def run(picture: Samples, **keywords: Any) -> Samples:
        return windows.percentile(picture, (rows, cols), fraction, **keywords)

    def expect(samples: Real, geometry: Geometry) -> Real:
        return ranked(samples, (rows, cols), fraction, geometry)

    def reach(magnitudes: Real, geometry: Geometry) -> Real:
        return largest(magnitudes, (rows, cols), geometry)

    exact = float(fraction * (rows * cols - 1)).is_integer()
    return Job(run, expect, reach, exact=exact, geometries=PLAIN, on_large=False)


def extremes_under(kind: str, radius: int) -> Job:
    """Take the largest or the smallest sample under a disk."""
    distance = np.arange(-radius, radius + 1)
    footprint = np.hypot(distance[:, np.newaxis], distance) <= radius
    sign = 1.0 if kind == "dilate" else -1.0

    def run(picture: Samples, *, algorithm: str | None = None, **keywords: Any) -> Samples:
        function: Callable[..., Samples] = getattr(windows, kind)  # the only method has no name
        return function(picture, footprint.astype(np.uint8), **keywords)

    def expect(samples: Real, geometry: Geometry) -> Real:
        return sign * largest_under(sign * samples, footprint, geometry)

    def reach(magnitudes: Real, geometry: Geometry) -> Real:
        return largest_under(magnitudes, footprint, geometry)

    return Job(run, expect, reach, exact=True, geometries=PLAIN[:4], on_large=False)


def in_stack(job: Job, spec: str, *, results: tuple[str, ...] = ("uint8", "uint16"), **fields: Any) -> Job:
    """Return the job run as a stack of one SPEC, and stored in further sample types."""

    def run(picture: Samples, *, dtype: str, algorithm: str | None = None, **keywords: Any) -> Samples:
        how = {name: keywords.pop(name, False) for name in ("alpha", "premultiplied", "gray")}
        stages = stages_of([spec], cast("FilterKeywords", keywords))
        plan = plan_stack(stages, picture.shape, picture.dtype, out_dtype=dtype, **how)
        return run_array(plan, picture, out_dtype=dtype).pixels

    return replace(job, run=run, results=results, **fields)


def stretched(job: Job) -> Job:
    """Return the job with the range of its results stretched to black and white."""
    run = partial(job.run, map="stretch")
    return replace(job, run=run, alpha=None, exact=False, signed=False, stretched=True, geometries=job.geometries[:2])


def clipped(job: Job) -> Job:
    """Return the job with real results clipped, as integer results are."""
    return replace(job, run=partial(job.run, map="clip"), alpha=None, geometries=job.geometries[:1], clips=True)


def point(spec: str, function: Callable[[Real], Real]) -> Job:
    """Apply a function of each sample for which f(2x) = 2 f(x)."""

    def expect(samples: Real, _geometry: Geometry) -> Real:
        return function(samples[:-1, :-1])

    def reach(magnitudes: Real, _geometry: Geometry) -> Real:
        return magnitudes[:-1, :-1]

    return in_stack(Job(nothing, expect, reach, alpha=reach, exact=True, geometries=({},)), spec)


def nothing(*_arguments: Any, **_keywords: Any) -> Any:
    """Stand in for a callable that the job does not use."""
    raise NotImplementedError
