"""Every way to compute a filter, as compiled for this machine, against float64.

Machine code differs from processor to processor: what the tests have shown on
one machine is shown again on the one that does the work.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from convfilter.planning import ALGORITHMS, LUMINANCE, LUMINANCE_DIVISOR, Algorithm, full_scale
from convfilter.selftest.jobs import JOBS, Job, Keywords, Samples
from convfilter.selftest.reference import Real, with_border

#: Least share of the stored samples that equal the exact result, rounded half to even ...
EQUAL_SHARE = {"uint8": 0.999, "uint16": 0.95}
#: ... and how many levels the others may be off by.
LARGEST_DIFFERENCE = 1
#: Largest error of a float32 result, as a share of sum |weight| * |sample|.
FLOAT32_ERROR = 2e-6


@dataclass(frozen=True)
class Finding:
    """What one way promises for one sample type, and what it did.

    Attributes
    ----------
    algorithm : str
    dtype : str
        Sample type of picture and result.
    sums : {"whole", "real", "any"}
        Whole numbers are summed without any rounding; with alpha, sums are divided by sums.
    samples : int
        How many were compared.
    found, promised : str
        In the same words.
    kept : bool
    """

    algorithm: Algorithm
    dtype: str
    sums: str
    samples: int
    found: str
    promised: str
    kept: bool


def selftest() -> Iterator[Finding]:
    """Check every way with every sample type, over strides, dilations, borders, channels and alpha.

    Yields
    ------
    Finding
        One for each way, sample type and kind of sums.
    """
    for algorithm in ALGORITHMS:
        jobs = JOBS[algorithm]()
        for dtype in EQUAL_SHARE:
            tallies = _compared(algorithm, dtype, jobs)
            yield from (_of_integers(algorithm, dtype, exact, tally) for exact, tally in tallies.items())
        for tally in _compared(algorithm, "float32", jobs).values():
            yield _of_reals(algorithm, tally)


@dataclass
class _Tally:
    """What differs, counted over many runs: integers in levels, reals as shares of sum |w||x|."""

    samples: int = 0
    unequal: int = 0
    largest: float = 0.0
    error: float = 0.0

    def add(self, got: Samples, values: Real, magnitudes: Real) -> None:
        """Compare one result with the exact values."""
        self.samples += got.size
        if got.dtype.kind == "u":
            difference = np.abs(got - np.clip(np.rint(values), 0, full_scale(got.dtype)))
            self.unequal += int(np.count_nonzero(difference))
            self.largest = max(self.largest, float(difference.max()))
        else:
            error = np.abs(got - values) / np.maximum(magnitudes, np.finfo(np.float32).tiny)
            # A NaN must not pass for a small error.
            self.error = max(self.error, float(np.nan_to_num(error, nan=np.inf).max()))


def _of_integers(algorithm: Algorithm, dtype: str, exact: bool, tally: _Tally) -> Finding:
    share = 1 - tally.unequal / tally.samples
    least, allowed = (1.0, 0) if exact else (EQUAL_SHARE[dtype], LARGEST_DIFFERENCE)
    found, promised = f"{share:.3%} equal, off by {tally.largest:g}", f"{least:.1%}, {allowed}"
    kept = share >= least and tally.largest <= allowed
    return Finding(algorithm, dtype, "whole" if exact else "real", tally.samples, found, promised, kept)


def _of_reals(algorithm: Algorithm, tally: _Tally) -> Finding:
    found, promised = f"{tally.error:.1e} of sum |w||x|", f"{FLOAT32_ERROR:.1e}"
    return Finding(algorithm, "float32", "any", tally.samples, found, promised, tally.error <= FLOAT32_ERROR)


def _compared(algorithm: Algorithm, dtype: str, jobs: Sequence[Job]) -> dict[bool, _Tally]:
    """Run all jobs on all pictures, the large one plainly, the others at every geometry; tallies by "must be exact"."""
    tallies: dict[bool, _Tally] = {}
    for number, (picture, how) in enumerate(_pictures(dtype)):
        for job in jobs:
            if "alpha" in how and not job.alpha:
                continue
            exact = job.exact and "alpha" not in how and dtype != "float32"
            tally = tallies.setdefault(exact, _Tally())
            for geometry in job.geometries if number else job.geometries[:1]:
                got = job.run(picture, algorithm=algorithm, **how, **geometry)
                values, magnitudes = _expected(job, picture, how, geometry)
                if job.signed and got.dtype.kind == "u":
                    values = np.abs(values)
                tally.add(got.reshape(values.shape), values, magnitudes)
    return tallies


def _pictures(dtype: str) -> Iterator[tuple[Samples, Keywords]]:
    """Make one picture larger than a tile and a block of work, a grey one, one with alpha, one to be made grey."""
    rng = np.random.default_rng(1)
    kinds: tuple[tuple[tuple[int, ...], Keywords], ...] = (
        ((70, 701, 3), {}),
        ((41, 37), {}),
        ((29, 34, 4), {"alpha": True}),
        ((33, 30, 3), {"gray": True}),
    )
    for shape, how in kinds:
        picture = rng.random(shape)
        if "alpha" in how:
            picture[..., -1] = 0.1 + 0.9 * picture[..., -1]
        scaled = picture if dtype == "float32" else np.rint(picture * full_scale(dtype))
        yield scaled.astype(dtype), how


def _expected(job: Job, picture: Samples, how: Keywords, geometry: Keywords) -> tuple[Real, Real]:
    """Return the exact values, and for a picture of reals sum |w||x| of each."""
    samples = with_border(picture, geometry.get("padding_value", job.beyond))
    divisor, mean = 1.0, None
    if "gray" in how:
        # Whole numbers until the end, so that ties stay ties.
        samples, divisor = samples @ np.array(LUMINANCE)[:, np.newaxis], LUMINANCE_DIVISOR
    if "alpha" in how and job.alpha:
        mean = job.alpha(samples[..., -1:], geometry)
        samples = samples[..., :-1] * samples[..., -1:]
    values = job.expect(samples, geometry) / divisor
    reach = job.reach(np.abs(samples), geometry) / divisor if picture.dtype.kind == "f" else values
    if mean is None:
        return values, reach
    # Sum and mean may both err.
    return np.concatenate([values / mean, mean], axis=2), np.concatenate([2 * reach / mean, mean], axis=2)


def processor() -> str:
    """Return the name of the processor that loops are compiled for."""
    import llvmlite.binding as llvm

    name: str = llvm.get_host_cpu_name()
    return name
