"""Weighted means of the valid pixels of each window, band by band.

The mask is one channel beside the colours, which are 0 where it is 0: its sum is that of the weights on valid pixels,
by which the sums of the colours are divided as they are stored. Bands whose windows are all valid are filtered
without it.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil

import numpy as np

from convfilter.engine.buffer import Samples
from convfilter.executor.bands import band, joined, reach_of, run_band
from convfilter.executor.chunks import run_chunk_to
from convfilter.executor.held import Held, Span, Valid
from convfilter.executor.patches import with_mask
from convfilter.executor.run import run_array
from convfilter.filters.kernels import box
from convfilter.filters.stage import Correlation, Stage
from convfilter.planning import Plan
from convfilter.planning.plan_cache import cached_plan

#: Share that stands for all pixels of a window, and the least share in the square of a sigma around each valid pixel
#: for the less wide outer Gaussians of the multirate method. At the edge of a region it is a half, at a right-angled
#: corner a quarter.
_ALL, _DENSE = 255, 51
#: Share of valid pixels in all rectangles of a band that makes sure of that.
_FILLED = 0.6


class Means:
    """Bands of weighted means.

    Parameters
    ----------
    plain, dense, sparse : Plan
        Plans of one stage for a picture, and for it with a mask as another channel.
    """

    def __init__(self, plain: Plan, dense: Plan, sparse: Plan) -> None:
        self.plans: tuple[Plan, ...] = plain, dense, sparse

    def reach(self, span: Span) -> Span:
        """Return the rows of the source that some rows of the result read."""
        return reach_of(self.plans, span)

    def spans(self, held: Held, bands: Sequence[Span], threads: int) -> list[Span]:
        """Return each band with ignored pixels by itself, and the others joined."""
        spans: list[Span] = []
        clean: list[Span] = []
        for each in bands:
            if self._is_valid(held, each):
                clean.append(each)
                continue
            spans += [*joined(clean, threads, self.plans[0]), each]
            clean = []
        return [*spans, *joined(clean, threads, self.plans[0])]

    def run(self, held: Held, span: Span, out: Samples, threads: int) -> int:
        """Write the rows of a span."""
        plain, dense, sparse = self.plans
        if self._is_valid(held, span):
            return run_band(plain, held, span, out, threads)
        plan = dense
        if dense.stages[0].rates != sparse.stages[0].rates and not self._is_dense(held, span):
            plan = sparse
        chunk = band(plan.stages[0], span)
        pixels, valid = held.rows(chunk.rows.ranges)
        return run_chunk_to(plan, 0, chunk, with_mask(pixels, valid, 1), out, threads)

    def _is_valid(self, held: Held, span: Span) -> bool:
        return held.are_valid(band(self.plans[2].stages[0], span).rows.ranges)

    def _is_dense(self, held: Held, span: Span) -> bool:
        """Whether each valid pixel that a band reads has a good share of valid ones around it."""
        stage = self.plans[1].stages[0]
        assert stage.kernel.sigma is not None
        _, valid = held.rows(band(stage, span).rows.ranges)
        rows, cols = (ceil(sigma) for sigma in stage.kernel.sigma)
        return _are_filled(valid, rows, cols) or not (valid & (_shares(valid, rows, cols) < _DENSE)).any()


def _are_filled(valid: Valid, rows: int, cols: int) -> bool:
    """Whether most pixels of all rectangles of ``rows`` by half of ``cols`` are valid.

    Any square of twice their size contains three of them, which are at least a third of it.
    """
    if rows > len(valid) or cols > valid.shape[1]:
        return False
    half = -(-cols // 2)
    kind = np.uint8 if rows * half <= np.iinfo(np.uint8).max else np.uint32
    tops = np.append(np.arange(0, len(valid) - rows, rows), len(valid) - rows)
    down = np.array([np.add.reduce(valid[top : top + rows].view(np.uint8), dtype=kind) for top in tops])
    width = valid.shape[1] // half * half
    sums = down[:, :width:half].copy()
    for col in range(1, half):
        sums += down[:, col:width:half]
    return int(sums.min()) >= _FILLED * rows * half


def _shares(valid: Valid, rows: int, cols: int) -> Samples:
    """Return the shares of valid pixels in windows around all pixels, in bytes of which 255 is all."""
    marks = valid.view(np.uint8) * np.uint8(_ALL)
    plan = cached_plan([Stage(Correlation(box(2 * rows + 1, 2 * cols + 1)))], marks.shape, marks.dtype)
    return run_array(plan, marks, threads=1).pixels
