"""Compare every method, as compiled for this machine, with references in float64.

Machine code differs between processors, so the self-test repeats a comparison of the test suite on the user's machine.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from convfilter.errors import ParameterError
from convfilter.planning import LUMINANCE, LUMINANCE_DIVISOR
from convfilter.planning.methods.extremes import TILE_SAMPLES
from convfilter.record import record
from convfilter.sample_types import SAMPLE_TYPES, full_scale, is_integer, is_wide, sample_type
from convfilter.selftest.jobs import ExpectPixels, Job, Keywords, Samples
from convfilter.selftest.methods import JOBS
from convfilter.selftest.reference import Real, with_border

#: Rows of the largest picture: more than a block has, and no whole number of steps.
_ROWS = 67
#: The integer types, then the real ones.
_DTYPES = sorted(SAMPLE_TYPES, key=lambda name: not is_integer(name))


@record
class Finding:
    """The promise of one method for one sample type, and its measured error.

    Attributes
    ----------
    algorithm : str
    dtype, result : str
        Sample types of the picture and of the result.
    sums : {"whole", "real", "any"}
        "whole": sums are exact, and so must be integer results; "real": sums are rounded, or are divided by sums of
        straight alpha; "any": results are real numbers.
    samples : int
        Number of compared samples.
    measured, promised : str
        Measured and promised error, in comparable words.
    passed : bool
        Whether the measured error is within the promise.
    """

    algorithm: str
    dtype: str
    result: str
    sums: str
    samples: int
    measured: str
    promised: str
    passed: bool


def selftest(algorithms: Sequence[str] = tuple(JOBS)) -> Iterator[Finding]:
    """Check every method with every sample type, over strides, dilations, borders, channels and alpha.

    Parameters
    ----------
    algorithms : sequence of str
        Methods to check.

    Yields
    ------
    Finding
        One for each method, pair of sample types and kind of sums.
    """
    for algorithm in algorithms:
        jobs = JOBS[algorithm]()
        for dtype in _DTYPES:
            for (result, sums), tally in _compared(algorithm, dtype, jobs).items():
                yield Finding(algorithm, dtype, result, sums, tally.samples, *_verdict(result, sums, tally))


@dataclass
class _Tally:
    """Errors over many runs: of integers in levels, of real numbers as shares of sum |w||x|."""

    samples: int = 0
    unequal: int = 0
    largest: float = 0.0
    error: float = 0.0

    def add(self, got: Samples, values: Real, reach: Real) -> None:
        """Compare one result with the exact values."""
        self.samples += got.size
        if is_integer(got.dtype):
            exact = np.clip(values, np.iinfo(got.dtype).min, full_scale(got.dtype))
            self.unequal += int(np.count_nonzero(got != np.rint(exact)))
            self.largest = max(self.largest, float(np.abs(got - exact).max()))
        else:
            error = np.abs(got - values) / np.maximum(reach, np.finfo(np.float32).tiny)
            # NaN must count as an infinite error.
            self.error = max(self.error, float(np.nan_to_num(error, nan=np.inf).max()))


def _verdict(result: str, sums: str, tally: _Tally) -> tuple[str, str, bool]:
    """Return the measured and the promised error in words, and whether the promise holds."""
    promised = sample_type(result).error
    if not is_integer(result):
        return f"{tally.error:.1e} of sum |w||x|", f"{promised:.1e}", tally.error <= promised
    share = 1 - tally.unequal / tally.samples
    measured = f"{share:.2%} equal, {tally.largest:.4f} off"
    if sums == "whole":
        return measured, "100 %", tally.unequal == 0
    allowed = 0.5 + promised  # the sample is the rounded exact result, unless that lies so close to a tie
    return measured, f"{allowed:g}", tally.largest <= allowed


def _compared(algorithm: str, dtype: str, jobs: Sequence[Job]) -> dict[tuple[str, str], _Tally]:
    """Run all jobs on all pictures; return tallies by sample type of the result and kind of sums."""
    tallies: dict[tuple[str, str], _Tally] = {}
    for job, picture, how in _runs(dtype, jobs):
        # On small pictures, float results of integers are checked too.
        others = (*job.results, "float32") if picture.shape[1] < TILE_SAMPLES // 3 or job.results else ()
        for result in dict.fromkeys((dtype, *(("float64",) if is_wide(dtype) else others))):
            try:
                got = job.run(picture, algorithm=algorithm, dtype=result, **how)
            except ParameterError:  # a method refuses stages that it cannot compute exactly
                break
            values, reach = _expected(job, picture, how, result)
            # Sums of real samples are rounded.
            whole = (
                job.exact and ("alpha" not in how or "premultiplied" in how) and (is_integer(dtype) or result == dtype)
            )
            sums = "any" if not is_integer(result) else "whole" if whole else "real"
            tallies.setdefault((result, sums), _Tally()).add(got.reshape(values.shape), values, reach)
    return tallies


def _runs(dtype: str, jobs: Sequence[Job]) -> Iterator[tuple[Job, Samples, Keywords]]:
    """Yield jobs with pictures: the large picture for the first jobs, the small ones for all jobs and geometries."""
    large, *small = _pictures(dtype)
    for job in jobs[:3]:
        if job.on_large and not is_wide(dtype):
            yield job, large[0], job.geometries[0]
    # Wide types share their loops with the others up to the type of sums, so fewer geometries suffice.
    step = 2 if is_wide(dtype) else 1
    chosen = (slice(None, None, step), *(slice(first, None, 3 * step) for first in range(3)))
    for (picture, how), places in zip(small, chosen, strict=True):
        for job in jobs:
            if (job.takes_alpha or "alpha" not in how) and (job.in_double or not is_wide(dtype)):
                for geometry in job.geometries[places] or job.geometries[:1]:
                    yield job, picture, {**how, **geometry}


def _pictures(dtype: str) -> Iterator[tuple[Samples, Keywords]]:
    """Yield a picture larger than a tile and a block, a nearly flat grey one, one with straight alpha, and others."""
    rng = np.random.default_rng(1)
    kinds: tuple[tuple[tuple[int, ...], Keywords], ...] = (
        ((_ROWS, TILE_SAMPLES // 3 + 3, 3), {}),
        ((41, 37), {}),
        ((29, 34, 4), {"alpha": True}),
        ((33, 30, 3), {"gray": True}),
        ((27, 31, 4), {"alpha": True, "premultiplied": True}),
    )
    for shape, how in kinds:
        picture = rng.random(shape)
        if "alpha" in how:
            picture[..., -1] = 0.1 + 0.9 * picture[..., -1]
        elif picture.ndim == 2:
            picture = 0.4 + 0.1 * picture  # so that edges and sharpening stay within the range
        elif not is_integer(dtype):
            picture -= 0.3
        scaled = picture if not is_integer(dtype) else np.rint(picture * full_scale(dtype))
        yield scaled.astype(dtype), how


def _expected(job: Job, picture: Samples, how: Keywords, result: str) -> tuple[Real, Real]:
    """Return the exact values and, for real results, sum |w||x| of each."""
    if job.expect_pixels:
        return _expected_pixels(job.expect_pixels, picture, how, result)
    # A picture with alpha is padded with transparent pixels without colour.
    samples = with_border(picture, how.get("padding_value", 0.0 if "alpha" in how else job.beyond))
    full, full_out = full_scale(picture.dtype), full_scale(picture.dtype if not is_integer(result) else result)
    divisor: float | Real = 1.0
    weight: float | Real = 1.0
    errors, mean = 1.0, None
    if "gray" in how:
        # Luminance stays an integer numerator until the end, so that ties stay ties.
        samples, divisor = samples @ np.array(LUMINANCE)[:, np.newaxis], LUMINANCE_DIVISOR
    if "alpha" in how and job.alpha:
        mean, colours = job.alpha(samples[..., -1:], how), samples[..., :-1]
        if "premultiplied" in how:  # an offset is multiplied by alpha
            samples, weight = colours, mean / full
        else:  # the sum and the mean both have errors
            samples, divisor, errors = colours * samples[..., -1:], mean, 2.0
    depth, offset = full_out / full, job.offset * full * weight
    values = job.scale * job.expect(samples, how) / divisor + offset
    reach: Real = np.zeros(())
    if not is_integer(result):
        reach = abs(job.scale) * job.reach(np.abs(samples), how) / divisor * errors + np.abs(offset)
    if job.signed and np.dtype(result).kind == "u":
        values = np.abs(values)
    if job.stretched:
        low, gain = values.min(), full / np.ptp(values)
        values, reach = (values - low * weight) * gain, (reach + abs(low)) * gain
    values *= depth
    if (job.clips or job.stretched) and not is_integer(result):
        values = np.clip(values, 0, full_out)
    if mean is None:
        return values, reach
    if not is_integer(result):
        reach = np.concatenate([reach, mean], axis=2)
    return np.concatenate([values, mean * depth], axis=2), reach


def _expected_pixels(expect: ExpectPixels, picture: Samples, how: Keywords, result: str) -> tuple[Real, Real]:
    """Return the exact pixels of a job, premultiplied if the picture is, in the scale of the result."""
    full = full_scale(picture.dtype)
    values, reach = expect(picture, how)
    if "premultiplied" in how:
        share = values[..., -1:] / full
        values = np.concatenate([values[..., :-1] * share, values[..., -1:]], axis=2)
    depth = full_scale(picture.dtype if not is_integer(result) else result) / full
    return values * depth, reach * depth


def processor() -> str:
    """Return the name of the processor that loops are compiled for."""
    import llvmlite.binding as llvm

    name: str = llvm.get_host_cpu_name()
    return name
