"""Jobs whose exact result is computed pixel by pixel: filters of several stages, or that use alpha."""

from __future__ import annotations

from collections.abc import Callable
from math import erf
from typing import Any, Literal

import numpy as np

from convfilter import layers, windows
from convfilter.executor.run import run_array
from convfilter.filters import kernels
from convfilter.filters.network_operators import Join
from convfilter.filters.operators import Correlation, Point
from convfilter.filters.stage import Stage
from convfilter.planning import LUMINANCE, LUMINANCE_DIVISOR, plan_stack
from convfilter.sample_types import full_scale
from convfilter.selftest.jobs import PLAIN, ExpectPixels, Job, Keywords, Samples, in_stack, nothing
from convfilter.selftest.reference import (
    Geometry,
    Real,
    across_channels,
    bilateral,
    canny,
    guided,
    largest,
    largest_under,
    ranked,
    ranked_by_weight,
    strided,
    transposed,
    weighted_sums,
    with_border,
)


def split(picture: Samples, how: Keywords) -> tuple[Real, Real | None]:
    """Split a picture into straight colours, or their luminance, and alpha."""
    samples = np.atleast_3d(picture).astype(np.float64)
    alpha = None
    if "alpha" in how:
        samples, alpha = samples[..., :-1], samples[..., -1:]
        if "premultiplied" in how:
            samples = samples / alpha * full_scale(picture.dtype)
    if "gray" in how:
        samples = samples @ np.array(LUMINANCE)[:, np.newaxis] / LUMINANCE_DIVISOR
    return samples, alpha


def _summed(picture: Samples, how: Keywords, *, magnitudes: bool = False) -> tuple[Real, float]:
    """Return colours and 1, or the integer numerators of their luminance and the divisor of their sums."""
    samples = np.atleast_3d(picture).astype(np.float64)
    samples = np.abs(samples) if magnitudes else samples
    return (samples @ np.array(LUMINANCE)[:, np.newaxis], LUMINANCE_DIVISOR) if "gray" in how else (samples, 1.0)


def with_alpha(colours: Real, alpha: Real | None) -> Real:
    """Append alpha, if any, to colours."""
    return colours if alpha is None else np.concatenate([colours, alpha], axis=2)


# Activations ------------------------------------------------------------------------

_ERF = np.vectorize(erf, otypes=[np.float64])


def _sigmoid(x: Real) -> Real:
    result: Real = 1 / (1 + np.exp(-x))
    return result


#: Activations as their papers define them; white is 1.
ACTIVATIONS: dict[str, Callable[[Real], Real]] = {
    "leaky_relu:0.2": lambda x: np.where(x < 0, 0.2 * x, x),
    "sigmoid": _sigmoid,
    "tanh": np.tanh,
    "elu:1.5": lambda x: np.where(x < 0, 1.5 * (np.exp(x) - 1), x),
    "selu:1.5,gamma=1.1": lambda x: 1.1 * np.where(x < 0, 1.5 * (np.exp(x) - 1), x),
    "celu:0.5": lambda x: np.where(x < 0, 0.5 * (np.exp(2 * x) - 1), x),
    "gelu": lambda x: x / 2 * (1 + _ERF(x / np.sqrt(2))),
    "gelu:tanh": lambda x: x / 2 * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3))),
    "softplus": lambda x: np.logaddexp(0, x),
    "softsign": lambda x: x / (1 + np.abs(x)),
    "thresholded_relu:0.3": lambda x: np.where(x > 0.3, x, 0),
    "hardsigmoid:0.7,beta=0.2": lambda x: np.clip(0.7 * x + 0.2, 0, 1),
    "hardswish": lambda x: x * np.clip(x / 6 + 0.5, 0, 1),
    "mish": lambda x: x * np.tanh(np.logaddexp(0, x)),
    "swish:2": lambda x: x * _sigmoid(2 * x),
    "shrink:0.3,bias=0.1": lambda x: np.sign(x) * np.where(np.abs(x) > 0.3, np.abs(x) - 0.1, 0),
    "power:0.75": lambda x: np.abs(x) ** 0.75,
}


def activation(spec: str) -> Job:
    """Apply an activation to each sample."""

    def expect(picture: Samples, how: Keywords) -> tuple[Real, Real]:
        full = full_scale(picture.dtype)
        colours, alpha = split(picture, how)
        values = full * ACTIVATIONS[spec](colours / full)
        return with_alpha(values, alpha), with_alpha(np.abs(values) + np.abs(colours), alpha)

    return in_stack(pixel_job(nothing, expect, geometries=({},), with_alpha=True), spec)


def pixel_job(run: Callable[..., Samples], expect: ExpectPixels, *, on_large: bool = False, **fields: Any) -> Job:
    """Return a job with exact pixels."""
    return Job(run, nothing, nothing, expect_pixels=expect, on_large=on_large, **fields)


# Layers, and branches -----------------------------------------------------------------


def layer(weights: Real, *, exact: bool = False) -> Job:
    """Sum over windows of all channels; ``weights`` are (C_out, 3, K_h, K_w), of which grey pictures use one input."""

    def run(picture: Samples, *, algorithm: str | None = None, **keywords: Any) -> Samples:
        return layers.conv2d(picture, _for(weights, picture, keywords, 1), **keywords)

    def expect(picture: Samples, how: Keywords) -> tuple[Real, Real]:
        kernel, geometry = _for(weights, picture, how, 1), {"padding_mode": "constant", **how}

        def sums(weights: Real, *, magnitudes: bool = False) -> Real:
            colours, divisor = _summed(picture, how, magnitudes=magnitudes)
            beyond = with_border(colours, how.get("padding_value", 0.0) * divisor)
            return across_channels(beyond, weights, geometry) / divisor

        return sums(kernel), sums(np.abs(kernel), magnitudes=True)

    return pixel_job(run, expect, exact=exact, geometries=(*PLAIN, {"dilation": (2, 3), "stride": (3, 2)}))


def transposed_layer(weights: Real, *, exact: bool = False) -> Job:
    """Add each sample times the weights to the result; ``weights`` are (3, C_out, K_h, K_w), as for ``layer``."""

    def run(picture: Samples, *, algorithm: str | None = None, **keywords: Any) -> Samples:
        return layers.conv_transpose2d(picture, _for(weights, picture, keywords, 0), **keywords)

    def expect(picture: Samples, how: Keywords) -> tuple[Real, Real]:
        kernel = _for(weights, picture, how, 0)
        (colours, divisor), (sizes, _) = (_summed(picture, how, magnitudes=each) for each in (False, True))
        return transposed(colours, kernel, how) / divisor, transposed(sizes, np.abs(kernel), how) / divisor

    spread: tuple[Geometry, ...] = (
        {"stride": 2},
        {"stride": (3, 2), "padding": 1},
        {"stride": (1, 2), "dilation": (2, 3)},
    )
    return pixel_job(run, expect, exact=exact, geometries=spread)


def _for(weights: Real, picture: Samples, how: Keywords, axis: int) -> Real:
    """Return the weights for a picture's channels, scaled so that their magnitudes have the same sum."""
    inputs = 1 if picture.ndim == 2 or how.get("gray") else 3
    chosen: Real = weights.take(range(inputs), axis) * (weights.shape[axis] / inputs)
    return chosen


def branches(kind: Literal["add", "multiply", "concat"], scale: float) -> Job:
    """Join a picture with a multiple of its window mean, computed by a branch of two stages."""

    def run(picture: Samples, *, dtype: str, algorithm: str | None = None, **how: Any) -> Samples:
        mean = Stage(Correlation(kernels.box(5, 3)), name="mean", padding_mode="reflect")
        joined = Stage(Join(kind, ((), (mean, Stage(Point("scale", scale), name="multiple")))), name="joined")
        plan = plan_stack([joined], picture.shape, picture.dtype, out_dtype=dtype, **how)
        return run_array(plan, picture, out_dtype=dtype).pixels

    def joined_with(colours: Real, alpha: Real | None, scale: float, full: float) -> Real:
        opacities = np.ones_like(colours[..., :1]) if alpha is None else alpha
        sums, counts = (
            weighted_sums(with_border(each, 0.0), (np.ones(5), np.ones(3)), {"padding_mode": "reflect"})
            for each in (colours * opacities, opacities)
        )
        other = scale * sums / counts
        if kind == "concat":
            return with_alpha(colours, other)
        return colours + other if kind == "add" else colours * other / full

    def expect(picture: Samples, how: Keywords) -> tuple[Real, Real]:
        colours, alpha = split(picture, how)
        full = full_scale(picture.dtype)
        values = joined_with(colours, alpha, scale, full)
        return with_alpha(values, alpha), with_alpha(joined_with(np.abs(colours), alpha, abs(scale), full), alpha)

    return pixel_job(run, expect, geometries=({},), with_alpha=True)


# Ranks and edges -----------------------------------------------------------------------


def weighted_ranks(rows: int, cols: int, fraction: float = 0.5) -> Job:
    """Take the sample of a rank of each window, where each pixel counts with its opacity."""

    def run(picture: Samples, **keywords: Any) -> Samples:
        return windows.percentile(picture, (rows, cols), fraction, **keywords)

    def expect(picture: Samples, how: Keywords) -> tuple[Real, Real]:
        beyond, window = how.get("padding_value", 0.0), (rows, cols)
        colours, alpha = split(picture, how)
        samples = with_border(with_alpha(colours, alpha), beyond)
        values = (
            ranked(samples, window, fraction, how)
            if alpha is None
            else ranked_by_weight(samples, window, fraction, how)
        )
        return values, largest(np.abs(samples), window, how)

    return pixel_job(run, expect, geometries=PLAIN[:4], with_alpha=True)


def bilateral_means(sigma_space: float, sigma_range: float, radius: int, *, twice: bool = False) -> Job:
    """Filter bilaterally; ``twice``: with all channels repeated, so that colours lie twice as far apart."""

    def doubles(picture: Samples, how: Keywords) -> bool:
        return twice and "alpha" not in how and "gray" not in how

    def run(picture: Samples, *, algorithm: str | None = None, **keywords: Any) -> Samples:
        given = np.concatenate([np.atleast_3d(picture)] * 2, axis=2) if doubles(picture, keywords) else picture
        result = windows.bilateral_filter(given, sigma_space, sigma_range, radius=radius, **keywords)
        return result[..., : result.shape[2] // 2] if doubles(picture, keywords) else result

    def expect(picture: Samples, how: Keywords) -> tuple[Real, Real]:
        colours, alpha = split(picture, how)
        opacities = np.ones_like(colours[..., :1]) if alpha is None else alpha
        sigma = sigma_range * full_scale(picture.dtype) / (2 if doubles(picture, how) else 1)
        beyond = how.get("padding_value", 0.0)
        samples = with_border(colours, beyond), with_border(opacities, beyond if alpha is not None else 1.0)
        values = bilateral(*samples, (sigma_space, sigma), radius, how)
        size = largest(
            np.abs(with_border(with_alpha(colours, opacities), beyond)), (2 * radius + 1, 2 * radius + 1), how
        )
        return (values, size) if alpha is not None else (values[..., :-1], size[..., :-1])

    geometries = (*PLAIN[:4], {"dilation": (3, 2), "padding_mode": "reflect"})
    return pixel_job(run, expect, geometries=geometries, with_alpha=True)


def guided_fits(radius: int, epsilon: float, channels: int = 0) -> Job:
    """Filter with the picture as its own guide, or with a guide of noise that has ``channels`` channels."""

    def guide(picture: Samples) -> Real | None:
        shape = (*picture.shape[:2], channels)
        return np.random.default_rng(3).random(shape).astype(np.float32).astype(np.float64) if channels else None

    def run(picture: Samples, *, algorithm: str | None = None, **keywords: Any) -> Samples:
        return windows.guided_filter(picture, radius, epsilon, guide(picture), **keywords)

    def expect(picture: Samples, how: Keywords) -> tuple[Real, Real]:
        colours, alpha = split(picture, how)
        full = full_scale(picture.dtype)
        share = 1.0 if alpha is None else alpha / full
        values = guided(colours * share / full, guide(picture), radius, epsilon, how) * full / share
        size = np.full_like(values, np.abs(colours / share).max())
        return strided(with_alpha(values, alpha), how), strided(with_alpha(size, alpha), how)

    dilated: Geometry = {"dilation": (3, 2), "stride": (2, 3), "padding_mode": "reflect"}
    return pixel_job(run, expect, geometries=(*PLAIN[:4], dilated), with_alpha=True)


def canny_edges(sigma: float, low: float, high: float) -> Job:
    """Find Canny's edges in each channel."""

    def run(picture: Samples, *, algorithm: str | None = None, **keywords: Any) -> Samples:
        return windows.canny(picture, sigma, low, high, **keywords)

    def expect(picture: Samples, how: Keywords) -> tuple[Real, Real]:
        colours, _ = split(picture, how)
        full = full_scale(picture.dtype)
        planes = np.moveaxis(colours, 2, 0)
        found = np.stack([canny(each, sigma, low * full, high * full) for each in planes], axis=2)
        edges: Real = full * found.astype(np.float64)
        return edges, np.full_like(edges, full)

    return pixel_job(run, expect, exact=True, geometries=({},))


def small_details(radius: int) -> Job:
    """Subtract the opening with a disk from the picture."""
    distance = np.arange(-radius, radius + 1)
    footprint = np.hypot(distance[:, np.newaxis], distance) <= radius

    def run(picture: Samples, *, algorithm: str | None = None, **keywords: Any) -> Samples:
        return windows.top_hat(picture, footprint.astype(np.uint8), **keywords)

    def expect(picture: Samples, how: Keywords) -> tuple[Real, Real]:
        colours, _ = split(picture, how)
        eroded = -largest_under(with_border(-colours, 0.0), footprint, how)
        values: Real = colours - largest_under(with_border(eroded, 0.0), footprint, how)
        return values, np.full_like(values, np.abs(colours).max())

    return pixel_job(run, expect, exact=True, geometries=({}, {"padding_mode": "reflect"}))
