"""Medians of 3x3 and 5x5 samples over the valid pixels of each window, in one pass; see ``loops/holes.py``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from convfilter.engine.borders import Indices
from convfilter.engine.buffer import Samples
from convfilter.engine.mapped_stage import padded_cols, padded_rows
from convfilter.engine.masked import put
from convfilter.executor.bands import joined, reach_of, run_parts
from convfilter.executor.held import Held, Span, Valid
from convfilter.executor.patches import Patches
from convfilter.executor.validity import Validity
from convfilter.filters.operators import Rank
from convfilter.methods import medians
from convfilter.methods.rank_tiles import FROM_KEYS, TO_KEYS
from convfilter.planning.methods.rank import ranks_of

#: Rows that a thread computes at a time; of real samples fewer, whose keys are read again from the cache.
_ROWS, _ROWS_OF_KEYS = 256, 64


class Medians:
    """Bands of medians.

    Parameters
    ----------
    general : Patches
        Computes rows of real samples of which some valid one is NaN. Its first plan, without a mask, is that of a
        stage that :func:`medians_of` accepts.
    """

    in_turn = True

    def __init__(self, general: Patches) -> None:
        self._general, self.plans = general, general.plans
        self._planned = planned = self.plans[0].stages[0]
        self._rows = padded_rows(planned)
        self._places, self._inner = medians.samples_of(planned.cols, padded_cols(planned), planned.channels)

    @property
    def pads_with_samples(self) -> bool:
        """Whether windows read samples of the picture alone, enough of which are adjacent."""
        return self._inner[1] >= medians.LANES and int(min(self._places.min(), self._rows.min())) >= 0

    def reach(self, span: Span) -> Span:
        """Return the rows of the source that some rows of the result read."""
        return reach_of(self.plans, span)

    def spans(self, held: Held, bands: Sequence[Span], threads: int) -> list[Span]:
        """Return all bands as one span."""
        return joined(bands, 1, self.plans[0])

    def run(self, held: Held, span: Span, out: Samples, threads: int) -> int:
        """Write the rows of a span; undefined where a window has no valid pixel."""
        rows = self._rows_at_a_time(out)
        run_parts(span, threads, lambda part, place: self._run(held, part, out[place], leaves_out=False), rows)
        return 0

    def marks_results(self, _span: Span, validity: Validity) -> bool:
        """Whether :meth:`run_marked` may compute a span instead of :meth:`run`: the pixels at the centres decide."""
        return not validity.plans

    def run_marked(self, held: Held, span: Span, out: Samples, valid: Valid, validity: Validity, threads: int) -> None:
        """Write the rows of a span, 0 where they are not valid, and their valid pixels."""

        def run(part: Span, rows: slice) -> None:
            self._run(held, part, out[rows], leaves_out=True)
            valid[rows] = validity.centres(held, part)
            if out.dtype.kind == "f":
                put(out[rows], valid[rows], 0)

        run_parts(span, threads, run, self._rows_at_a_time(out))

    @staticmethod
    def _rows_at_a_time(out: Samples) -> int:
        return _ROWS_OF_KEYS if out.dtype.kind == "f" else _ROWS

    def _run(self, held: Held, span: Span, out: Samples, *, leaves_out: bool) -> None:
        rows = self._planned.rows
        begin = span[0] * rows.stride
        table = self._rows[begin : begin + (len(out) - 1) * rows.stride + rows.span + 1]
        first, last = int(table.min()), int(table.max()) + 1
        pixels, valid = (np.ascontiguousarray(each) for each in held.rows([(first, last)]))
        if out.dtype.kind != "f":
            self._write((pixels, valid), table - first, out, leaves_out=leaves_out)
            return
        keys, medians_out = np.empty(pixels.shape, np.uint32), out.view(np.uint32)
        nans = TO_KEYS.variant()(pixels.view(np.uint32), pixels.size, keys)
        if nans and bool(np.isnan(pixels[valid]).any()):
            self._general.run(held, span, out, 1)
            return
        self._write((keys, valid), table - first, medians_out, leaves_out=False)
        FROM_KEYS.variant()(medians_out, medians_out.size)

    def _write(self, picture: tuple[Samples, Valid], rows: Indices, out: Samples, *, leaves_out: bool) -> None:
        places, inner = self._places, self._inner
        medians.write_masked_medians(self._planned, picture, rows, places, inner, out, leaves_out=leaves_out)


def medians_of(general: Patches, out_dtype: np.dtype[Any]) -> Medians | None:
    """Return the operation if results are medians of stored samples, unchanged, of windows that have a loop."""
    plan = general.plans[0]
    planned = plan.stages[0]
    stage = planned.stage
    stores_samples = plan.dtype in (np.uint8, np.uint16, np.float32) and plan.dtype == out_dtype
    is_unscaled = stage.is_unscaled and planned.preserves_white and not plan.gray
    if plan.dtype.kind == "f":
        is_unscaled = is_unscaled and stage.map is None  # real samples may be negative, or above white
    is_median = isinstance(stage.operator, Rank) and medians.loop_for(planned, ranks_of(stage.operator)) is not None
    if not (is_median and is_unscaled and stores_samples):
        return None
    operation = Medians(general)
    return operation if operation.pads_with_samples else None
