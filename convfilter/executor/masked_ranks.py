"""Ranks of the valid pixels of each window by selection networks.

Ignored pixels become the largest sample of the type, so that they are last in a sorted window, and sample k of the
valid pixels is sample k of all. The number of valid pixels decides which samples a result interpolates. A network
selects each of these for a whole rectangle. For few different numbers, that is faster than histograms in which ignored
pixels have no vote.
"""

from __future__ import annotations

import numpy as np

from convfilter.engine.buffer import Samples
from convfilter.executor.chunks import chunk_of, run_chunk_counted
from convfilter.executor.held import Held, Span, put
from convfilter.executor.stored import stored
from convfilter.filters.kernels import Kernel
from convfilter.filters.stage import Correlation, Rank, Stage
from convfilter.methods.rank import interpolated
from convfilter.planning import Plan
from convfilter.planning.methods.rank import HISTOGRAMS, NETWORK, SLIDING, rank_of
from convfilter.planning.plan_cache import cached_plan
from convfilter.record import replace

#: Most pixels of a window, which are counted in bytes.
MOST_PIXELS = 255
#: A histogram of votes takes about this times as long as one of pixels: measured.
_WEIGHTED = 2.0
#: Time of a unit of each method's cost.
_TIMES = {method.name: method.multiply_add_time for method in (NETWORK, HISTOGRAMS, SLIDING)}


def fraction_of(rank: int, count: int) -> float | None:
    """Return the fraction that is exactly a rank (from 0) of ``count`` samples; None if float64 holds none."""
    fraction = rank / max(1, count - 1)
    near = fraction, float(np.nextafter(fraction, 0.0)), float(np.nextafter(fraction, 1.0))
    return next((each for each in near if rank_of(each, count) == (rank, 0.0)), None)


class ValidRanks:
    """Computes rectangles of a rank's result.

    Parameters
    ----------
    unweighted, weighted : Plan
        Plans of the stage, whose window has at most ``MOST_PIXELS``: without a mask, and with the mask as alpha.
    """

    def __init__(self, unweighted: Plan, weighted: Plan) -> None:
        self._plan, planned = unweighted, unweighted.stages[0]
        self._stage = stage = planned.stage
        operator = stage.operator
        assert isinstance(operator, Rank)
        self._kernel, count = operator.kernel, operator.kernel.nonzeros
        self._firsts, self._shares = np.zeros(count + 1, np.int64), np.zeros(count + 1)
        for valid in range(1, count + 1):
            self._firsts[valid], self._shares[valid] = rank_of(operator.fraction, valid)
        time = planned.multiply_adds * _TIMES[planned.algorithm]
        others = weighted.stages[0]
        #: Most samples of a window for which that is faster than histograms; selecting the only one costs nothing.
        self._most = int(_WEIGHTED * others.multiply_adds * _TIMES[others.algorithm] / time) if time else count

    def run(
        self, held: Held, rows: Span, cols: Span, out_dtype: np.dtype[np.generic], threads: int
    ) -> tuple[Samples, int] | None:
        """Return a rectangle of the result and how many samples were clipped; None if histograms are faster."""
        plan = self._plan
        chunk = chunk_of(plan.stages[0], rows, cols)
        pixels, valid = held.rows(chunk.rows.ranges)
        pixels, valid = (
            np.concatenate([each[:, start:stop] for start, stop in chunk.cols.ranges], axis=1)
            for each in (pixels, valid)
        )
        shape = plan.input_shape[:2]
        window = replace(self._stage, scale=1.0, offset=0.0, map=None)
        cells = Kernel((self._kernel.matrix != 0).astype(np.float64))
        counting = cached_plan([replace(window, operator=Correlation(cells))], (*shape, 1), np.dtype(np.uint8))
        marks = np.ascontiguousarray(valid).view(np.uint8)[..., np.newaxis]
        of_counts = chunk_of(counting.stages[0], rows, cols)
        counts, _ = run_chunk_counted(counting, 0, of_counts, marks, np.dtype(np.uint8), threads)
        present = np.flatnonzero(np.bincount(counts.reshape(-1)))
        between = present[self._shares[present] > 0]
        needed = np.unique(np.concatenate([self._firsts[present], self._firsts[between] + 1]))
        fractions = [fraction_of(int(rank), self._kernel.nonzeros) for rank in needed]
        if needed.size > self._most or None in fractions:
            return None
        put(pixels, valid, np.inf if pixels.dtype.kind == "f" else np.iinfo(pixels.dtype).max)
        samples = [
            self._samples(replace(window, operator=Rank(self._kernel, each)), pixels, rows, cols, threads)
            for each in fractions
            if each is not None
        ]
        first = np.searchsorted(needed, self._firsts).astype(np.uint8)
        low = high = _chosen(samples, first[counts])
        if between.size:
            high = _chosen(samples, (first + (self._shares > 0)).astype(np.uint8)[counts])
        low[np.broadcast_to(counts == 0, low.shape)] = 0
        values = interpolated(low, high, self._shares[counts]) if between.size else low
        return stored(values, out_dtype, self._stage, full=plan.full, out_white=plan.out_white, threads=threads)

    def _samples(self, stage: Stage, pixels: Samples, rows: Span, cols: Span, threads: int) -> Samples:
        """Return the samples of one rank of all pixels."""
        plan = cached_plan([stage], self._plan.input_shape, self._plan.dtype, white=self._plan.white)
        chunk = chunk_of(plan.stages[0], rows, cols)
        return run_chunk_counted(plan, 0, chunk, pixels, self._plan.dtype, threads)[0]


def _chosen(samples: list[Samples], numbers: Samples) -> Samples:
    """Return of each pixel the samples of a number."""
    chosen = samples[0].copy()
    for number, each in enumerate(samples[1:], 1):
        np.copyto(chosen, each, where=numbers == number)
    return chosen
