"""Jobs of filters with a mask or ignored pixels, whose exact result is computed pixel by pixel."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import numpy as np

from convfilter import api, layers, windows
from convfilter.sample_types import full_scale
from convfilter.selftest.jobs import PLAIN, Job, Keywords, Samples
from convfilter.selftest.pixel_jobs import pixel_job, split, with_alpha
from convfilter.selftest.reference import Real, Weights, bilateral, guided, largest, strided, weighted_sums, with_border


def _two_of_three(picture: Samples) -> Real:
    y, x = np.indices(picture.shape[:2])
    counts: Real = np.where((y + 2 * x) % 3, 1.0, 0.0)[..., np.newaxis]
    return counts


def masked_median(side: int = 3, copies: int = 1) -> Job:
    """Take the median of the pixels of a square that a mask counts, two of three, in copies of the picture in a row.

    Loops that read whole vectors do not run on a single copy.
    """

    def run(picture: Samples, *, algorithm: str | None = None, **keywords: Any) -> Samples:
        row = np.concatenate([picture] * copies, axis=1)
        return windows.median(row, side, mask=_two_of_three(row)[..., 0], fill=True, **keywords)

    def windows_of(picture: Samples, how: Keywords) -> Real:
        row = np.concatenate([picture] * copies, axis=1)
        samples = np.where(_two_of_three(row) > 0, split(row, how)[0], np.nan)
        padded = np.pad(samples, ((side // 2, side // 2), (side // 2, side // 2), (0, 0)), mode="edge")
        return np.lib.stride_tricks.sliding_window_view(padded, (side, side), (0, 1))

    def expect(picture: Samples, how: Keywords) -> tuple[Real, Real]:
        medians: Real = np.nanmedian(windows_of(picture, how), axis=(3, 4))
        magnitudes: Real = np.nanmax(windows_of(np.abs(picture), how), axis=(3, 4))
        return with_alpha(medians, None), with_alpha(magnitudes, None)

    return pixel_job(run, expect, geometries=({},))


def masked_bilateral(sigma_space: float, sigma_range: float, radius: int) -> Job:
    """Filter bilaterally the pixels that a mask counts, two of three."""

    def run(picture: Samples, *, algorithm: str | None = None, **keywords: Any) -> Samples:
        mask = _two_of_three(picture)[..., 0]
        result = windows.bilateral_filter(picture, sigma_space, sigma_range, radius=radius, mask=mask, **keywords)
        result[mask == 0] = 0
        return result

    def expect(picture: Samples, how: Keywords) -> tuple[Real, Real]:
        counts, colours = _two_of_three(picture), split(picture, how)[0]
        samples, sigmas = with_border(colours, 0.0), (sigma_space, sigma_range * full_scale(picture.dtype))
        means = bilateral(samples, with_border(counts, 0.0), sigmas, radius, how)[..., :-1]
        return counts * means, largest(np.abs(samples), (2 * radius + 1, 2 * radius + 1), how)

    return pixel_job(run, expect, geometries=({},))


def masked_guided_fits(radius: int, epsilon: float) -> Job:
    """Filter by a guide of noise, from the pixels that a mask counts, two of three; all get results."""

    def guide(picture: Samples) -> Real:
        return np.random.default_rng(3).random((*picture.shape[:2], 1)).astype(np.float32).astype(np.float64)

    def run(picture: Samples, *, algorithm: str | None = None, **keywords: Any) -> Samples:
        counts = _two_of_three(picture)[..., 0]
        return windows.guided_filter(picture, radius, epsilon, guide(picture), mask=counts, fill=True, **keywords)

    def expect(picture: Samples, how: Keywords) -> tuple[Real, Real]:
        colours, _ = split(picture, how)
        full = full_scale(picture.dtype)
        counts = _two_of_three(picture)[..., 0]
        values = guided(colours / full, guide(picture), radius, epsilon, how, counts) * full
        size = np.full_like(values, np.abs(colours).max())
        return strided(with_alpha(values, None), how), strided(with_alpha(size, None), how)

    return pixel_job(run, expect, geometries=PLAIN[:4])


def masked_pool(kind: Literal["max", "min"]) -> Job:
    """Take the largest or least of the pixels of 2x3 that a mask counts: four of six."""
    pool, extreme = (layers.max_pool, np.nanmax) if kind == "max" else (layers.min_pool, np.nanmin)

    def run(picture: Samples, *, algorithm: str | None = None, **keywords: Any) -> Samples:
        return pool(picture, (2, 3), mask=_two_of_three(picture)[..., 0], **keywords)

    def windows_of(picture: Samples, how: Keywords) -> Real:
        samples = np.where(_two_of_three(picture) > 0, split(picture, how)[0], np.nan)
        return np.lib.stride_tricks.sliding_window_view(samples, (2, 3), (0, 1))

    def expect(picture: Samples, how: Keywords) -> tuple[Real, Real]:
        extremes: Real = extreme(windows_of(picture, how), axis=(3, 4))
        magnitudes: Real = np.nanmax(windows_of(np.abs(picture), how), axis=(3, 4))
        return with_alpha(extremes, None), with_alpha(magnitudes, None)

    return pixel_job(run, expect, geometries=({"stride": 1, "padding": 0},))


def masked_sharpening() -> Job:
    """Add to each pixel that a mask counts, of two of three, its difference from a Gaussian of sigma 0.5 pixels."""
    taps = np.exp(-2.0 * np.arange(-3, 4) ** 2)
    blur = np.outer(taps, taps) / taps.sum() ** 2
    weights = -blur
    weights[3, 3] += 2

    def run(picture: Samples, *, algorithm: str | None = None, **keywords: Any) -> Samples:
        counts = _two_of_three(picture)
        sharp = api.unsharp_mask(picture, 0.5, mask=counts[..., 0], **keywords)
        sharp[counts[..., 0] == 0] = 0
        return sharp

    def expect(picture: Samples, how: Keywords) -> tuple[Real, Real]:
        counts = _two_of_three(picture)

        def share(samples: Real, weights: Real = weights) -> Real:
            return counts * weighted_sums(with_border(samples * counts, 0.0), weights, how)

        colours, weight = split(picture, how)[0], np.where(counts > 0, share(counts), 1.0)
        values, sizes = share(colours) / weight, share(np.abs(colours), np.abs(weights)) / weight
        return with_alpha(values, None), with_alpha(sizes, None)

    return pixel_job(run, expect, geometries=({},))


def masked_mean(weights: Real, **fields: Any) -> Job:
    """Take the weighted mean of the pixels that a mask counts, two of three, times the sum of the weights."""

    def run(picture: Samples, *, algorithm: str | None = None, **keywords: Any) -> Samples:
        return api.convolve(picture, weights, mask=_two_of_three(picture)[..., 0], fill=True, **keywords)

    return _mean_of_two_thirds(run, weights, factor=float(weights.sum()), **fields)


def masked_difference(weights: Real, **fields: Any) -> Job:
    """Sum weights that sum to zero, beside grey, and 0 where a tap lies on one of few pixels that a mask leaves out."""

    def holes(picture: Samples) -> Real:
        y, x = np.indices(picture.shape[:2])
        ignored: Real = np.where((y % 64 == 11) & (x % 48 == 13), 1.0, 0.0)[..., np.newaxis]
        return ignored

    def is_valid(picture: Samples) -> Real:
        touched = weighted_sums(with_border(holes(picture), 0.0), np.where(weights != 0, 1.0, 0.0), {})
        return np.where(touched > 0.5, 0.0, 1.0)

    def run(picture: Samples, *, algorithm: str | None = None, **keywords: Any) -> Samples:
        mask = holes(picture)[..., 0] == 0
        result = api.convolve(picture, weights, offset=0.5, mask=mask, fill=True, **keywords)
        result[is_valid(picture)[..., 0] == 0] = 0
        return result

    def expect(picture: Samples, how: Keywords) -> tuple[Real, Real]:
        colours, grey = with_border(split(picture, how)[0], 0.0), full_scale(picture.dtype) / 2
        values, sizes = weighted_sums(colours, weights, how), weighted_sums(np.abs(colours), np.abs(weights), how)
        return is_valid(picture) * (values + grey), is_valid(picture) * (sizes + grey)

    return pixel_job(run, expect, geometries=({},), **fields)


def masked_box(rows: int, cols: int) -> Job:
    """Take the mean of the pixels of a rectangle that a mask counts: two of three."""

    def run(picture: Samples, *, algorithm: str | None = None, **keywords: Any) -> Samples:
        return api.box_blur(picture, (rows, cols), mask=_two_of_three(picture)[..., 0], fill=True, **keywords)

    return _mean_of_two_thirds(run, (np.ones(rows), np.ones(cols)))


def mean_without(value: float) -> Job:
    """Take the mean of the pixels of 5x3 without those of a value, or of alpha 0 if the picture has alpha."""

    def run(picture: Samples, *, algorithm: str | None = None, **keywords: Any) -> Samples:
        marked, ignored = picture.copy(), _two_of_three(picture)[..., 0] == 0
        if "alpha" in keywords:
            marked[ignored, -1] = 0
            return api.box_blur(marked, (5, 3), ignore="alpha=0", fill=True, **keywords)
        ignore = value if picture.dtype.kind == "f" else 0.0
        marked[ignored] = ignore
        return api.box_blur(marked, (5, 3), ignore=ignore, fill=True, **keywords)

    return _mean_of_two_thirds(run, (np.ones(5), np.ones(3)), with_alpha=True)


def _mean_of_two_thirds(run: Callable[..., Samples], weights: Weights, factor: float = 1.0, **fields: Any) -> Job:
    """Return the job of a weighted mean over two of three pixels, times a factor."""
    is_pair = isinstance(weights, tuple)
    magnitudes: Weights = (np.abs(weights[0]), np.abs(weights[1])) if is_pair else np.abs(weights)

    def expect(picture: Samples, how: Keywords) -> tuple[Real, Real]:
        def sums(samples: Real, weights: Weights = weights) -> Real:
            return weighted_sums(with_border(samples, 0.0), weights, how)

        colours, alpha = split(picture, how)
        counts = _two_of_three(picture)
        opacities = counts if alpha is None else counts * alpha
        means, sizes = (
            factor * sums(colours * opacities) / sums(opacities),
            factor * sums(np.abs(colours) * opacities, magnitudes) / sums(opacities),
        )
        opacity = None if alpha is None else sums(opacities) / sums(counts)
        return with_alpha(means, opacity), with_alpha(sizes, opacity)

    return pixel_job(run, expect, geometries=PLAIN[:4], **fields)
