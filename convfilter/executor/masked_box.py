"""Means of boxes of 8- and 16-bit samples over their valid pixels, in one pass; without a stride."""

from __future__ import annotations

from typing import Any

import numpy as np

from convfilter.engine.borders import index_map
from convfilter.engine.buffer import Samples
from convfilter.executor.held import Held, Span
from convfilter.filters.stage import Pooling
from convfilter.loops.vectors import vector_bytes
from convfilter.native.loop import Loop
from convfilter.planning import Plan, full_scale
from convfilter.planning.methods.extremes import LARGEST_SUM

_ARGUMENTS = "S* i8 u1* i8 i8* i8 i8* i8 i8 i8 i8 i8 i8 S* W* u1* W* S* W* W* W* W* R* S* i8 i8"
MASKED_MEANS = Loop("masked_box", "masked_means", _ARGUMENTS)

#: Types of samples, of their sums, and of quotients.
TYPES = (
    (np.uint8, np.uint16, np.float32),
    (np.uint8, np.int32, np.float32),
    (np.uint8, np.int32, np.float64),
    (np.uint16, np.int32, np.float64),
)
#: Largest window sum in 16 bits, and largest window for sums and quotients in float32: it holds the sum of 2**16 bytes
#: exactly, and a float32 quotient of at most 255 and a divisor of at most 2**16 is a tie only if the exact quotient is
#: one.
_SHORT, _SINGLE = 2**16 - 1, 2**16


class MaskedBox:
    """Computes rows of a box's means.

    Parameters
    ----------
    plan : Plan
        Of one stage, without a mask; see :func:`is_plain_box`.
    """

    def __init__(self, plan: Plan) -> None:
        self._planned = planned = plan.stages[0]
        self._dtype: np.dtype[Any] = plan.dtype
        rows, cols = planned.rows, planned.cols
        self._rows, self._cols = (
            index_map(axis.input, axis.before, axis.padded, planned.padding_mode) for axis in (rows, cols)
        )
        area = rows.kernel * cols.kernel
        is_short, is_single = area * full_scale(plan.dtype) <= _SHORT, area <= _SINGLE
        self._types: dict[str, Any] = {
            "S": plan.dtype,
            "W": np.uint16 if plan.dtype == np.uint8 and is_short else np.int32,
            "R": np.float32 if plan.dtype == np.uint8 and is_single else np.float64,
        }

    def run(self, held: Held, span: Span, out: Samples) -> None:
        """Write the means of a span of rows; 0 where a window has no valid pixel."""
        rows, cols = self._planned.rows, self._planned.cols
        table = self._rows[span[0] : span[1] - 1 + rows.kernel]
        inside = table[table >= 0]
        first, last = (int(inside.min()), int(inside.max()) + 1) if inside.size else (held.first, held.first)
        table = np.where(table < 0, table, table - first)
        pixels, valid = (np.ascontiguousarray(each) for each in held.rows([(first, last)]))
        channels, width, short = pixels.shape[2], cols.input, self._types["W"]
        more = vector_bytes() + channels
        places = max(cols.padded, cols.before + width)
        line, line_marks = np.zeros(places * channels + more, short), np.zeros(places + more, short)
        MASKED_MEANS.variant(**self._types)(
            pixels, width * channels, valid.view(np.uint8), width, table, rows.kernel,
            self._cols, cols.padded, cols.before, width, channels, cols.kernel, cols.output,
            np.zeros(rows.kernel * width * channels, self._dtype), line,
            np.zeros(rows.kernel * width, np.uint8), line_marks, np.empty(width * channels, self._dtype),
            np.empty_like(line), np.empty_like(line), np.empty_like(line_marks),
            np.empty(cols.output * channels + more, short), np.empty(more, self._types["R"]),
            out, cols.output * channels, span[1] - span[0],
        )  # fmt: skip


def is_plain_box(plan: Plan) -> bool:
    """Whether a stage's results are unscaled means of neighbouring boxes of 8- or 16-bit samples."""
    planned, full = plan.stages[0], full_scale(plan.dtype)
    stage, rows, cols = planned.stage, planned.rows, planned.cols
    area = rows.kernel * cols.kernel
    is_mean = isinstance(stage.operator, Pooling) or (planned.kernel.is_box and planned.kernel.divisor == area)
    is_plain = stage.scale == planned.scale == 1 and stage.offset == 0 and stage.map in (None, "clip", "abs")
    return (
        plan.dtype in (np.uint8, np.uint16)
        and not plan.gray
        and plan.full == plan.full_out(plan.dtype) == full
        and is_mean
        and is_plain
        and (rows.dilation, cols.dilation) == (rows.stride, cols.stride) == (1, 1)
        and cols.before >= 0
        and area * full <= LARGEST_SUM
    )
