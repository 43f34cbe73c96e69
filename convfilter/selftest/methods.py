"""The jobs of each method; the first three also run on a large picture.

Most weights sum to one: results stay within the range of the samples.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from convfilter.record import replace
from convfilter.selftest.codec_jobs import jpeg_rows, png_rows
from convfilter.selftest.jobs import (
    COVERING,
    Job,
    amplified,
    average_pool,
    blur,
    box,
    clipped,
    compass,
    convolution,
    diagonal_edges,
    edges,
    extremes_under,
    in_stack,
    max_pool,
    min_pool,
    point,
    ranks,
    sharpening,
    stretched,
)
from convfilter.selftest.masked_jobs import (
    masked_bilateral,
    masked_box,
    masked_difference,
    masked_guided_fits,
    masked_mean,
    masked_median,
    masked_pool,
    masked_sharpening,
    mean_without,
)
from convfilter.selftest.pixel_jobs import (
    ACTIVATIONS,
    activation,
    bilateral_means,
    branches,
    canny_edges,
    guided_fits,
    layer,
    small_details,
    transposed_layer,
    weighted_ranks,
)
from convfilter.selftest.reference import Real, gaussian


def _whole(rows: int, cols: int, total: int, most: int = 9) -> Real:
    """Return integers of both signs, the last of which makes their sum ``total``."""
    numbers = np.random.default_rng(7).integers(-most, most, (rows, cols), endpoint=True).astype(np.float64)
    numbers[-1, -1] += total - numbers.sum()
    return numbers


def _positive(rows: int, cols: int) -> Real:
    weights = np.random.default_rng(7).random((rows, cols)) + 0.1
    normalized: Real = weights / weights.sum()
    return normalized


def _signed(rows: int, cols: int, size: float) -> Real:
    """Return weights of both signs whose magnitudes sum to about ``size``: large ones require float64 sums."""
    noise = np.random.default_rng(7).random((rows, cols))
    noise -= noise.mean()
    scaled: Real = noise * (size / np.abs(noise).sum()) + 1 / noise.size
    return scaled


def _direct() -> list[Job]:
    return [
        convolution(_whole(4, 5, 8) / 8, exact=True),
        convolution(_positive(6, 7)),
        convolution(_whole(5, 3, 2**16, 2**18) / 2**16, exact=True),
        convolution(np.array([[1.0, 2, 1], [2, 3, 2], [1, 3, 1]]) / 16, exact=True),
        convolution(_signed(5, 4, 3.0)),
        convolution(_signed(7, 6, 300.0)),
        convolution(_positive(17, 18)),
        amplified(convolution(_positive(3, 4))),
        stretched(convolution(_positive(2, 5))),
        stretched(convolution(_signed(5, 3, 300.0))),
        clipped(convolution(_signed(3, 3, 5.0))),
    ]


def _separable() -> list[Job]:
    return [
        convolution(np.outer(_whole(4, 1, 4), _whole(1, 5, 4)) / 16, exact=True),
        convolution(np.outer(_positive(1, 6), _positive(1, 9))),
        blur(1.3, 0.6),  # in lane-interleaved rows on the large picture
        blur(0, 3.0),
        convolution(np.outer([1.0, 2, 1], [1.0, 3, 3, 1]) / 32, exact=True),
        edges("sobel", "x"),
        convolution(np.outer(_signed(1, 5, 20.0), _signed(1, 7, 20.0))),
        sharpening(1.2, 0.8),
        amplified(blur(0.8, 1.6)),
    ]


def _low_rank() -> list[Job]:
    centre, surround = gaussian(1.0), gaussian(1.6)
    narrow = np.pad(np.outer(centre, centre), (surround.size - centre.size) // 2)
    two_whole = np.outer(_whole(17, 1, 1, 1), _whole(1, 15, 1, 1)) + np.outer(_whole(17, 1, 0, 2), np.ones(15))
    two_positive = np.outer(_positive(1, 19), _positive(1, 16)) + np.outer(np.full(19, 1 / 19), _positive(16, 1))
    return [
        convolution(two_whole, exact=True),
        convolution(two_positive / 2),
        convolution(1.9 * narrow - 0.9 * np.outer(surround, surround)),
        amplified(convolution(two_positive / 2)),
    ]


def _fourier() -> list[Job]:
    return [
        convolution(_whole(17, 20, 1, 1), exact=True),
        convolution(_positive(20, 18)),
        convolution(_signed(16, 19, 1.8)),
        convolution(_signed(19, 16, 30.0)),
        amplified(convolution(_positive(18, 16))),
    ]


def _boxes() -> list[Job]:
    sizes = [(3, 5), (10, 4), (1, 90), (21, 19), (300, 260), (300, 3), (200, 400)]
    return [*(box(*size) for size in sizes), amplified(box(5, 4)), stretched(box(4, 6))]


def _multirate() -> list[Job]:
    return [
        blur(6, 9),
        blur(20, 7),
        blur(60, 60),
        blur(0, 12),
        blur(15, 1),
        amplified(blur(8, 5), 40.0),  # requires float64 sums
        amplified(blur(9, 1), 40.0),
        sharpening(9, 1.5),
        in_stack(blur(12, 12), "gaussian:12", results=("uint8",)),
    ]


def _gradient() -> list[Job]:
    magnitudes = [edges(family, "magnitude") for family in ("sobel", "scharr", "prewitt")]
    diagonal = diagonal_edges()
    return [*magnitudes, amplified(magnitudes[0]), diagonal, amplified(diagonal)]


def _pooling() -> list[Job]:
    return [
        max_pool(3, 4),
        average_pool(11, 9),
        max_pool(11, 9),
        replace(max_pool(45, 40), geometries=COVERING),
        replace(average_pool(45, 40), geometries=COVERING),
        min_pool(9, 17),
        average_pool(2, 5),
        amplified(average_pool(3, 3)),
        in_stack(max_pool(3, 5), "maxpool:5x3"),
        in_stack(min_pool(1, 2), "minpool:2x1"),
        stretched(max_pool(4, 3)),
        clipped(max_pool(2, 2)),
    ]


def _points() -> list[Job]:
    magnitude = point("abs", np.abs)
    return [
        point("relu", lambda x: np.maximum(x, 0)),
        magnitude,
        point("scale:0.75", lambda x: 0.75 * x),
        replace(stretched(magnitude), alpha=magnitude.alpha),
        *map(activation, ACTIVATIONS),
    ]


def _network() -> list[Job]:
    return [ranks(3, 3), ranks(5, 5), ranks(3, 7), ranks(4, 4, 0.3)]


def _histograms() -> list[Job]:
    return [ranks(9, 11), ranks(21, 21), ranks(6, 5, 0.9)]


def _sliding() -> list[Job]:
    return [ranks(9, 11), ranks(6, 5, 0.9), weighted_ranks(5, 7), weighted_ranks(8, 3, 0.3)]


def _morphology() -> list[Job]:
    return [extremes_under("dilate", 2), extremes_under("erode", 4), small_details(2)]


def _compass() -> list[Job]:
    return [compass("kirsch"), compass("robinson")]


def _layers() -> list[Job]:
    """Return jobs with weights for the largest number of inputs, whose magnitudes sum to about one."""
    whole, real = _whole(4 * 3 * 3 * 5, 1, 0), _signed(4 * 3 * 3 * 5, 1, 4.0)
    forth, back = (4, 3, 3, 5), (3, 4, 3, 5)
    return [
        layer(whole.reshape(forth) / 64, exact=True),
        layer(real.reshape(forth)),
        transposed_layer(whole.reshape(back) / 64, exact=True),
        transposed_layer(real.reshape(back)),
    ]


def _joins() -> list[Job]:
    return [branches("add", -0.4), branches("multiply", 0.8), branches("concat", 0.7)]


def _masks() -> list[Job]:
    column, signed, wave = _positive(9, 1), _positive(3, 3), _signed(1, 9, 0.5)
    signed[0, 0] *= -0.2
    signed /= signed.sum()
    wave -= wave.mean()
    return [
        masked_mean(_positive(5, 3), with_alpha=True),
        masked_difference(column * wave, on_large=True),  # in lane-interleaved rows on the large picture
        masked_mean(column * column.T, on_large=True),  # in lane-interleaved rows on the large picture
        masked_mean(np.ones((4, 6)) / 24, with_alpha=True),
        masked_mean(_positive(5, 3) / 2),
        masked_mean(signed),
        masked_mean(np.array([[1.0, -1, 1], [2, 5, 2], [1, -1, 1]])),  # bytes whose sums count the weights, too
        masked_bilateral(1.5, 0.2, 3),  # rows are copied with their mask
        masked_median(),
        masked_median(3, copies=2),
        masked_median(5, copies=2),
        masked_sharpening(),
        masked_difference(np.array([[1.0, -2, 1], [-2, 4, -2], [1, -2, 1]]) / 16),
        masked_difference(_signed(17, 18, 300.0) - 1 / 306),
        masked_box(3, 5),  # sums of bytes in 16 bits, then quotients of 32 bits in float32, then in float64
        masked_box(4, 16),
        masked_box(31, 17),
        masked_box(64, 64),  # sums and numbers in halves of 64 bits
        masked_box(257, 257),
        masked_pool("max"),
        masked_pool("min"),
        mean_without(0.0),
        mean_without(np.nan),
    ]


def _canny() -> list[Job]:
    return [canny_edges(1.2, 0.1, 0.2), canny_edges(2.0, 0.05, 0.3)]


def _png() -> list[Job]:
    return [*map(png_rows, range(5)), png_rows(3, 4), png_rows(4, 6)]


def _jpeg() -> list[Job]:
    return [jpeg_rows(quality) for quality in (50, 90, 100)]


def _guided() -> list[Job]:
    return [guided_fits(2, 0.02), guided_fits(3, 0.01, 1), guided_fits(2, 0.02, 3), masked_guided_fits(2, 0.02)]


def _bilateral() -> list[Job]:
    return [bilateral_means(1.5, 0.2, 4), bilateral_means(2.0, 0.05, 3, twice=True)]


JOBS: dict[str, Callable[[], list[Job]]] = {
    "direct": _direct,
    "separable": _separable,
    "lowrank": _low_rank,
    "fourier": _fourier,
    "box": _boxes,
    "multirate": _multirate,
    "gradient": _gradient,
    "pooling": _pooling,
    "network": _network,
    "histograms": _histograms,
    "sliding": _sliding,
    "morphology": _morphology,
    "compass": _compass,
    "bilateral": _bilateral,
    "guided": _guided,
    "points": _points,
    "layer": _layers,
    "join": _joins,
    "mask": _masks,
    "canny": _canny,
    "png": _png,
    "jpeg": _jpeg,
}
