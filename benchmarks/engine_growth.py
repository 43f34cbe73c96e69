"""Growth of the engine's own time and memory with sigma, window, picture and threads."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from engine_cases import Bench, Image, full_rank, noise
from timing import Call

import convfilter
from convfilter.planning import ALGORITHMS

#: Most bytes besides input and output: (pictures of up to so many megapixels, bytes).
MEMORY_BOUNDS = ((12, 64e6), (100, 128e6))
#: Ratio of the picture's size to that of the region that is filtered after it.
_SHARE = 12


@dataclass(frozen=True)
class Growth:
    """Two or more calls of ours, and the bound of a ratio between them.

    Attributes
    ----------
    name : str
    calls : mapping of label to callable
    figure : callable
        Takes the seconds of each call, gives the number that is bounded.
    bound : float
    at_most : bool
        Whether ``bound`` is the largest or the least that we promise.
    """

    name: str
    calls: Mapping[str, Call]
    figure: Callable[[Mapping[str, float]], float]
    bound: float
    at_most: bool = True

    def keeps(self, figure: float) -> bool:
        """Whether a measured figure is as promised."""
        return figure <= self.bound if self.at_most else figure >= self.bound


def _last_over_first(seconds: Mapping[str, float]) -> float:
    first, *_, last = seconds.values()
    return last / first


def _per_pixel(seconds: Mapping[str, float]) -> float:
    return _last_over_first(seconds) * _SHARE


def growth(bench: Bench) -> list[Growth]:
    """Return the rows that compare calls of convfilter on one picture."""
    threads, weights = bench.threads, full_rank(15)
    blur = {
        f"sigma {sigma}": lambda sigma=sigma: convfilter.gaussian_blur(bench.rgb, sigma, threads=threads)
        for sigma in (8, 64)
    }
    box = {f"box {side}": lambda side=side: convfilter.box_blur(bench.rgb, side, threads=threads) for side in (11, 101)}
    pool = {
        f"window {side}": lambda side=side: convfilter.max_pool(
            bench.rgb, side, stride=1, padding=side // 2, threads=threads
        )
        for side in (11, 101)
    }
    by_threads = {
        f"{count} thread{'s' if count > 1 else ''}": lambda count=count: convfilter.convolve(
            bench.rgb, weights, algorithm="direct", threads=count
        )
        for count in (2, 1)
    }
    rows, cols, _ = bench.rgb.shape
    small = np.ascontiguousarray(bench.rgb[: rows // 3, : cols // (_SHARE // 3)])
    sizes = {"whole": bench.rgb, "part": small}
    blurs = {
        name: lambda image=image: convfilter.gaussian_blur(image, 4, threads=threads) for name, image in sizes.items()
    }
    boxes = {name: lambda image=image: convfilter.box_blur(image, 11, threads=threads) for name, image in sizes.items()}
    return [
        Growth(f"Gaussian, sigma 4, 1/{_SHARE} of the picture after the whole, per pixel", blurs, _per_pixel, 2),
        Growth(f"box 11, 1/{_SHARE} of the picture after the whole, per pixel", boxes, _per_pixel, 2),
        Growth("Gaussian, sigma 64 over 8", blur, _last_over_first, 1.3),
        Growth("box 101 over 11", box, _last_over_first, 1.2),
        Growth("max pooling 101 over 11, stride 1", pool, _last_over_first, 1.3),
        Growth("direct 15x15, 1 thread over 2", by_threads, _last_over_first, 1.8, at_most=False),
        Growth(" + ".join(_STACK) + ", one by one over together", _stack(bench), _last_over_first, 1.3, at_most=False),
    ]


_STACK = ("gaussian:1", "sobel:magnitude", "maxpool:2")


def _stack(bench: Bench) -> dict[str, Call]:
    """Return a stack as one call, and as a call for each filter with float32 pictures between them."""

    def one_by_one() -> Image:
        image = bench.rgb
        for spec in _STACK:
            image = convfilter.apply(image, spec, dtype=np.float32, threads=bench.threads)
        return image

    return {
        "together": lambda: convfilter.apply(bench.rgb, *_STACK, threads=bench.threads),
        "one by one": one_by_one,
    }


def scaling(threads: int, sizes: tuple[float, ...]) -> list[Growth]:
    """Return the rows that compare the time of a megapixel over pictures of several ``sizes`` (in megapixels)."""
    pictures = {f"{size:g} MP": noise(size) for size in sizes}
    weights = full_rank(7)
    works: dict[str, Callable[[Image], Image]] = {
        "Gaussian, sigma 2": lambda image: convfilter.gaussian_blur(image, 2, threads=threads),
        "Gaussian, sigma 20": lambda image: convfilter.gaussian_blur(image, 20, threads=threads),
        "box 11": lambda image: convfilter.box_blur(image, 11, threads=threads),
        "Sobel magnitude": lambda image: convfilter.sobel(image, threads=threads),
        "full-rank 7x7": lambda image: convfilter.convolve(image, weights, threads=threads),
    }

    def per_megapixel(seconds: Mapping[str, float]) -> float:
        each = [value / pictures[label].size for label, value in seconds.items()]
        return max(each) / min(each)

    def calls(work: Callable[[Image], Image]) -> dict[str, Call]:
        return {label: lambda image=image: work(image) for label, image in pictures.items()}

    span = f"{sizes[0]:g} to {sizes[-1]:g} MP"
    return [Growth(f"{name}, time a pixel, {span}", calls(work), per_megapixel, 1.3) for name, work in works.items()]


# Memory -----------------------------------------------------------------------


@dataclass(frozen=True)
class Peak:
    """Peak memory of one method beyond input and output, in bytes."""

    algorithm: str
    work: str
    megapixels: float
    peak: int
    bound: float

    @property
    def kept(self) -> bool:
        """Whether it is as promised."""
        return self.peak <= self.bound


def memory_works() -> dict[str, tuple[str, Callable[..., Image]]]:
    """Return one demanding filter for each method, by name."""
    column, row = np.random.default_rng(1).random((2, 31))
    two_products = np.outer(column, row) + np.outer(row, column[::-1])
    return {
        "direct": ("15x15", lambda image, **keys: convfilter.convolve(image, full_rank(15), **keys)),
        "separable": ("sigma 3", lambda image, **keys: convfilter.gaussian_blur(image, 3, **keys)),
        "box": ("101", lambda image, **keys: convfilter.box_blur(image, 101, **keys)),
        "multirate": ("sigma 64", lambda image, **keys: convfilter.gaussian_blur(image, 64, **keys)),
        "gradient": ("Sobel", convfilter.sobel),
        "pooling": ("31", lambda image, **keys: convfilter.max_pool(image, 31, stride=1, padding=15, **keys)),
        "lowrank": ("31x31, rank 2", lambda image, **keys: convfilter.convolve(image, two_products, **keys)),
        "fourier": ("101x101", lambda image, **keys: convfilter.convolve(image, full_rank(101), **keys)),
    }


def memory(threads: int, megapixels: float, wanted: Callable[[str], bool]) -> list[Peak]:
    """Measure the peak of each method on one picture, as NumPy accounts for its arrays."""
    image = noise(megapixels)
    bound = next((bound for size, bound in MEMORY_BOUNDS if megapixels <= size), MEMORY_BOUNDS[-1][1])
    peaks = []
    works = memory_works()
    for algorithm in ALGORITHMS:
        if not wanted(f"memory {algorithm}"):
            continue
        label, work = works[algorithm]
        work(image[:64, :64], algorithm=algorithm)  # loads code and modules outside the account
        tracemalloc.start()
        try:
            result = work(image, algorithm=algorithm, threads=threads)
            peak = tracemalloc.get_traced_memory()[1] - result.nbytes
        finally:
            tracemalloc.stop()
        peaks.append(Peak(algorithm, label, megapixels, peak, bound))
        del result
    return peaks
