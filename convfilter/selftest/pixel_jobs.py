"""Jobs whose exact result is computed pixel by pixel: filters that treat alpha specially, or have several stages."""

from __future__ import annotations

from collections.abc import Callable
from math import erf
from typing import Any, Literal

import numpy as np

from convfilter import api, layers, windows
from convfilter.errors import ParameterError
from convfilter.executor.run import run_array as engine_run
from convfilter.filters import kernels
from convfilter.filters.stage import Correlation, Join, Point, Stage
from convfilter.picture import png_filters
from convfilter.picture.jpeg import decoder
from convfilter.picture.jpeg.codes import CopiedCodes, coding_of
from convfilter.picture.jpeg.layout import layout_of
from convfilter.picture.jpeg.rows import Rows
from convfilter.planning import LUMINANCE, LUMINANCE_DIVISOR, full_scale, plan_stack
from convfilter.selftest.jobs import PLAIN, ExpectPixels, Job, Keywords, Samples, in_stack, nothing
from convfilter.selftest.reference import (
    Geometry,
    Real,
    Weights,
    across_channels,
    bilateral,
    canny,
    guided,
    largest,
    ranked,
    ranked_by_weight,
    strided,
    transposed,
    unfiltered,
    weighted_sums,
    with_border,
)


def _split(picture: Samples, how: Keywords) -> tuple[Real, Real | None]:
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


def _with(colours: Real, alpha: Real | None) -> Real:
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
        colours, alpha = _split(picture, how)
        values = full * ACTIVATIONS[spec](colours / full)
        return _with(values, alpha), _with(np.abs(values) + np.abs(colours), alpha)

    return in_stack(_job(nothing, expect, geometries=({},), with_alpha=True), spec)


def _job(run: Callable[..., Samples], expect: ExpectPixels, *, on_large: bool = False, **fields: Any) -> Job:
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

    return _job(run, expect, exact=exact, geometries=(*PLAIN, {"dilation": (2, 3), "stride": (3, 2)}))


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
    return _job(run, expect, exact=exact, geometries=spread)


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
        return engine_run(plan, picture, out_dtype=dtype).pixels

    def joined_with(colours: Real, alpha: Real | None, scale: float, full: float) -> Real:
        opacities = np.ones_like(colours[..., :1]) if alpha is None else alpha
        sums, counts = (
            weighted_sums(with_border(each, 0.0), (np.ones(5), np.ones(3)), {"padding_mode": "reflect"})
            for each in (colours * opacities, opacities)
        )
        other = scale * sums / counts
        if kind == "concat":
            return _with(colours, other)
        return colours + other if kind == "add" else colours * other / full

    def expect(picture: Samples, how: Keywords) -> tuple[Real, Real]:
        colours, alpha = _split(picture, how)
        full = full_scale(picture.dtype)
        values = joined_with(colours, alpha, scale, full)
        return _with(values, alpha), _with(joined_with(np.abs(colours), alpha, abs(scale), full), alpha)

    return _job(run, expect, geometries=({},), with_alpha=True)


# Masks --------------------------------------------------------------------------------


def _two_of_three(picture: Samples) -> Real:
    y, x = np.indices(picture.shape[:2])
    counts: Real = np.where((y + 2 * x) % 3, 1.0, 0.0)[..., np.newaxis]
    return counts


def masked_median() -> Job:
    """Take the median of the pixels of 3x3 that a mask counts: six of nine."""

    def run(picture: Samples, *, algorithm: str | None = None, **keywords: Any) -> Samples:
        return windows.median(picture, 3, mask=_two_of_three(picture)[..., 0], fill=True, **keywords)

    def windows_of(picture: Samples, how: Keywords) -> Real:
        samples = np.where(_two_of_three(picture) > 0, _split(picture, how)[0], np.nan)
        padded = np.pad(samples, ((1, 1), (1, 1), (0, 0)), mode="edge")
        return np.lib.stride_tricks.sliding_window_view(padded, (3, 3), (0, 1))

    def expect(picture: Samples, how: Keywords) -> tuple[Real, Real]:
        medians: Real = np.nanmedian(windows_of(picture, how), axis=(3, 4))
        magnitudes: Real = np.nanmax(windows_of(np.abs(picture), how), axis=(3, 4))
        return _with(medians, None), _with(magnitudes, None)

    return _job(run, expect, geometries=({},))


def masked_mean(weights: Real, **fields: Any) -> Job:
    """Take the weighted mean of the pixels of each window that a mask counts: two of three."""

    def run(picture: Samples, *, algorithm: str | None = None, **keywords: Any) -> Samples:
        return api.convolve(picture, weights, mask=_two_of_three(picture)[..., 0], fill=True, **keywords)

    return _mean_of_two_thirds(run, weights, **fields)


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


def _mean_of_two_thirds(run: Callable[..., Samples], weights: Weights, **fields: Any) -> Job:
    """Return the job of a weighted mean over two of three pixels."""
    is_pair = isinstance(weights, tuple)
    magnitudes: Weights = (np.abs(weights[0]), np.abs(weights[1])) if is_pair else np.abs(weights)

    def expect(picture: Samples, how: Keywords) -> tuple[Real, Real]:
        def sums(samples: Real, weights: Weights = weights) -> Real:
            return weighted_sums(with_border(samples, 0.0), weights, how)

        colours, alpha = _split(picture, how)
        counts = _two_of_three(picture)
        opacities = counts if alpha is None else counts * alpha
        means, sizes = (
            sums(colours * opacities) / sums(opacities),
            sums(np.abs(colours) * opacities, magnitudes) / sums(opacities),
        )
        opacity = None if alpha is None else sums(opacities) / sums(counts)
        return _with(means, opacity), _with(sizes, opacity)

    return _job(run, expect, geometries=PLAIN[:4], **fields)


# Ranks, edges, rows of PNG ---------------------------------------------------------------


def weighted_ranks(rows: int, cols: int, fraction: float = 0.5) -> Job:
    """Take the sample of a rank of each window, where each pixel counts with its opacity."""

    def run(picture: Samples, **keywords: Any) -> Samples:
        return windows.percentile(picture, (rows, cols), fraction, **keywords)

    def expect(picture: Samples, how: Keywords) -> tuple[Real, Real]:
        beyond, window = how.get("padding_value", 0.0), (rows, cols)
        colours, alpha = _split(picture, how)
        samples = with_border(_with(colours, alpha), beyond)
        values = (
            ranked(samples, window, fraction, how)
            if alpha is None
            else ranked_by_weight(samples, window, fraction, how)
        )
        return values, largest(np.abs(samples), window, how)

    return _job(run, expect, geometries=PLAIN[:4], with_alpha=True)


def bilateral_means(sigma_space: float, sigma_range: float, radius: int, *, twice: bool = False) -> Job:
    """Filter bilaterally; ``twice``: with all channels repeated, so that colours lie twice as far apart."""

    def doubles(picture: Samples, how: Keywords) -> bool:
        return twice and "alpha" not in how and "gray" not in how

    def run(picture: Samples, *, algorithm: str | None = None, **keywords: Any) -> Samples:
        given = np.concatenate([np.atleast_3d(picture)] * 2, axis=2) if doubles(picture, keywords) else picture
        result = windows.bilateral_filter(given, sigma_space, sigma_range, radius=radius, **keywords)
        return result[..., : result.shape[2] // 2] if doubles(picture, keywords) else result

    def expect(picture: Samples, how: Keywords) -> tuple[Real, Real]:
        colours, alpha = _split(picture, how)
        opacities = np.ones_like(colours[..., :1]) if alpha is None else alpha
        sigma = sigma_range * full_scale(picture.dtype) / (2 if doubles(picture, how) else 1)
        beyond = how.get("padding_value", 0.0)
        samples = with_border(colours, beyond), with_border(opacities, beyond if alpha is not None else 1.0)
        values = bilateral(*samples, (sigma_space, sigma), radius, how)
        size = largest(np.abs(with_border(_with(colours, opacities), beyond)), (2 * radius + 1, 2 * radius + 1), how)
        return (values, size) if alpha is not None else (values[..., :-1], size[..., :-1])

    geometries = (*PLAIN[:4], {"dilation": (3, 2), "padding_mode": "reflect"})
    return _job(run, expect, geometries=geometries, with_alpha=True)


def guided_fits(radius: int, epsilon: float, channels: int = 0) -> Job:
    """Filter with the picture as its own guide, or with a guide of noise that has ``channels`` channels."""

    def guide(picture: Samples) -> Real | None:
        shape = (*picture.shape[:2], channels)
        return np.random.default_rng(3).random(shape).astype(np.float32).astype(np.float64) if channels else None

    def run(picture: Samples, *, algorithm: str | None = None, **keywords: Any) -> Samples:
        return windows.guided_filter(picture, radius, epsilon, guide(picture), **keywords)

    def expect(picture: Samples, how: Keywords) -> tuple[Real, Real]:
        colours, alpha = _split(picture, how)
        full = full_scale(picture.dtype)
        share = 1.0 if alpha is None else alpha / full
        values = guided(colours * share / full, guide(picture), radius, epsilon, how) * full / share
        size = np.full_like(values, np.abs(colours / share).max())
        return strided(_with(values, alpha), how), strided(_with(size, alpha), how)

    dilated: Geometry = {"dilation": (3, 2), "stride": (2, 3), "padding_mode": "reflect"}
    return _job(run, expect, geometries=(*PLAIN[:4], dilated), with_alpha=True)


def canny_edges(sigma: float, low: float, high: float) -> Job:
    """Find Canny's edges in each channel."""

    def run(picture: Samples, *, algorithm: str | None = None, **keywords: Any) -> Samples:
        return windows.canny(picture, sigma, low, high, **keywords)

    def expect(picture: Samples, how: Keywords) -> tuple[Real, Real]:
        colours, _ = _split(picture, how)
        full = full_scale(picture.dtype)
        planes = np.moveaxis(colours, 2, 0)
        found = np.stack([canny(each, sigma, low * full, high * full) for each in planes], axis=2)
        edges: Real = full * found.astype(np.float64)
        return edges, np.full_like(edges, full)

    return _job(run, expect, exact=True, geometries=({},))


def png_rows(kind: int, group: int = 0) -> Job:
    """Apply and undo a row filter of PNG; with ``group``, each group of rows gets the best filter up to ``kind``."""

    def run(picture: Samples, *, dtype: str, algorithm: str | None = None, **_how: Any) -> Samples:
        if dtype != picture.dtype:
            raise ParameterError("rows of PNG are bytes")
        rows = picture.reshape(len(picture), -1).view(np.uint8)
        distance = rows.shape[1] // picture.shape[1]
        above = np.zeros((1, rows.shape[1]), np.uint8)
        filtered = np.empty((len(rows), 1 + rows.shape[1]), np.uint8)
        png_filters.apply_filters(np.concatenate([above, rows]), distance, group, kind, filtered)
        undone = np.concatenate([above, np.empty_like(rows)])
        png_filters.undo_filters(filtered, distance, undone)
        # The reference, byte by byte, reveals errors that the filter and its inverse share.
        undone[1:][unfiltered(filtered, distance) != rows] ^= 255
        return undone[1:].view(picture.dtype).reshape(picture.shape)

    def expect(picture: Samples, _how: Keywords) -> tuple[Real, Real]:
        values = np.atleast_3d(picture).astype(np.float64)
        return values, np.abs(values) + 1e-30

    return _job(run, expect, exact=True, geometries=({},))


def jpeg_rows(quality: int) -> Job:
    """Decode a JPEG of the picture's bytes row of blocks by row of blocks; the reference is decoded in one piece."""

    def run(picture: Samples, *, dtype: str, algorithm: str | None = None, **_how: Any) -> Samples:
        if dtype != picture.dtype:
            raise ParameterError("a JPEG is made of bytes")
        import imagecodecs

        rows = picture.reshape(len(picture), -1).view(np.uint8)
        data = bytes(imagecodecs.jpeg8_encode(rows, level=quality))
        layout, whole = layout_of(data), decoder.decode(data)
        assert layout is not None and layout.scan is not None
        scan, coding = layout.scan, coding_of(data)
        assert coding is not None

        def codes() -> CopiedCodes:
            return CopiedCodes(data, layout, scan, coding, 1, 0)

        bands = Rows(data, layout, scan, 1, codes, coding.segments, lambda: ~whole, 1).bands()
        decoded = np.concatenate([np.array(band)[..., 0] for band in bands])
        same: Samples = rows ^ decoded ^ whole
        return same.view(picture.dtype).reshape(picture.shape)

    def expect(picture: Samples, _how: Keywords) -> tuple[Real, Real]:
        values = np.atleast_3d(picture).astype(np.float64)
        return values, np.abs(values) + 1e-30

    return _job(run, expect, exact=True, geometries=({},))
