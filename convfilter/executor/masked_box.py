"""Means of boxes of 8- and 16-bit samples over their valid pixels, in one pass."""

from __future__ import annotations

from typing import Any

import numpy as np

from convfilter.engine.borders import Indices, index_map
from convfilter.engine.buffer import Samples
from convfilter.executor.held import Held, Span, Valid
from convfilter.filters.operators import Pooling
from convfilter.loops.vectors import vector_bytes
from convfilter.native.loop import Loop
from convfilter.planning import Plan, full_scale

_ARGUMENTS = "S* i8 u1* i8 u1* i8* i8 i8 i8* i8 i8 i8 i8 i8 i8 i8 W* W* W* u1* R* S* i8 i8 i8 u1* i8"
MASKED_MEANS = Loop("masked_box", "masked_means", _ARGUMENTS)
MASKED_BYTE_MEANS = Loop(
    "masked_box_bytes",
    "masked_byte_means",
    "u1* i8 u1* i8 i8* i8 i8 i8* i8 i8 i8 i8 i8 u1* u2* u2* u2* u2* f4* u1* i8 i8 i8 u1* i8",
)

#: Most pixels of a window of bytes whose sum has 16 bits, and the most columns that are added one by one.
_NARROW_AREA, _NARROW_COLS = 257, 15

#: Types of samples, of sums with the number of their pixels, and of quotients.
TYPES = (
    (np.uint8, np.uint16, np.float32),
    (np.uint8, np.int32, np.float32),
    (np.uint8, np.int32, np.float64),
    (np.uint8, np.int64, np.float64),
    (np.uint16, np.int32, np.float64),
    (np.uint16, np.int64, np.float64),
)
#: Most bits of a sum and its number in each type of sums; float64 holds the last exactly.
_SHORT, _SINGLE, _LONG = 16, 31, 53
#: Most bits of a sum and its number that float32 holds exactly. Its quotients of sums of bytes are ties only where the
#: exact ones are.
_SINGLE_WHOLE = 24

_NONE = np.empty(0, np.uint8)


class MaskedBox:
    """Computes rows of a box's means.

    Parameters
    ----------
    plan : Plan
        Of one stage, without a mask; see :func:`is_unscaled_box`.
    """

    def __init__(self, plan: Plan) -> None:
        self._planned = planned = plan.stages[0]
        rows, cols = planned.rows, planned.cols
        self._rows, self._cols = (
            index_map(axis.input, axis.before, axis.padded, planned.padding_mode) for axis in (rows, cols)
        )
        self._shift, bits = _bits(plan)
        self._is_narrow = (
            plan.dtype == np.uint8
            and rows.kernel * cols.kernel <= _NARROW_AREA
            and cols.kernel <= _NARROW_COLS
            and cols.stride == 1
        )
        short = plan.dtype == np.uint8 and bits <= _SHORT
        self._types: dict[str, Any] = {
            "S": plan.dtype,
            "W": np.uint16 if short else np.int32 if bits <= _SINGLE else np.int64,
            "R": np.float32 if plan.dtype == np.uint8 and bits <= _SINGLE_WHOLE else np.float64,
        }

    def run(self, held: Held, span: Span, out: Samples, found: Valid | None = None, *, finds: bool = False) -> None:
        """Write the means of a span of rows; 0 where a window has no valid pixel.

        Parameters
        ----------
        held : Held
        span : (first, last + 1)
        out : (rows, cols, channels) array
        found : (rows, cols) array of bool, C-contiguous, optional
            False where the mean shall be 0.
        finds : bool
            Whether ``found`` becomes False where a window has no valid pixel.
        """
        rows, cols = self._planned.rows, self._planned.cols
        begin = span[0] * rows.stride
        table = self._rows[begin : begin + (span[1] - span[0] - 1) * rows.stride + rows.kernel]
        inside = table[table >= 0]
        first, last = (int(inside.min()), int(inside.max()) + 1) if inside.size else (held.first, held.first)
        table = np.where(table < 0, table, table - first)
        pixels, valid = (np.ascontiguousarray(each) for each in held.rows([(first, last)]))
        marks = valid.view(np.uint8)
        place = out, cols.output * pixels.shape[2], cols.output, span[1] - span[0]
        left_out = found.view(np.uint8) if found is not None else _NONE, 0 if found is None else 1 + finds
        run = self._run_bytes if self._is_narrow and pixels.shape[2] in (1, 3) else self._run_packed
        run(pixels, marks, table, *place, *left_out)

    def _run_bytes(self, pixels: Samples, marks: Samples, table: Indices, *results: Any) -> None:
        rows, cols = self._planned.rows, self._planned.cols
        channels, width = pixels.shape[2], cols.input
        spare = vector_bytes() + cols.kernel
        places = max(cols.padded, cols.before + width) + spare
        MASKED_BYTE_MEANS.variant()(
            pixels, width * channels, marks, width, table, rows.kernel, rows.stride,
            self._cols, cols.padded, cols.before, width, channels, cols.kernel,
            np.empty((rows.kernel + 1) * width * channels, np.uint8),
            np.zeros(places * channels, np.uint16), np.zeros(places, np.uint16),
            np.empty((cols.output + spare) * channels, np.uint16), np.empty(cols.output + spare, np.uint16),
            np.empty(2, np.float32), *results,
        )  # fmt: skip

    def _run_packed(self, pixels: Samples, marks: Samples, table: Indices, *results: Any) -> None:
        rows, cols = self._planned.rows, self._planned.cols
        channels, width = pixels.shape[2], cols.input
        spare = vector_bytes() + channels
        places, short = max(cols.padded, cols.before + width) * channels + spare, self._types["W"]
        MASKED_MEANS.variant(**self._types)(
            pixels, width * channels, marks, width, marks.all(axis=1).view(np.uint8), table, rows.kernel, rows.stride,
            self._cols, cols.padded, cols.before, width, channels, cols.kernel, cols.stride,
            self._shift, np.zeros(places, short), np.zeros(places, short),
            np.zeros(cols.output * channels + spare, short), np.empty(max(2 * width, cols.output) * channels, np.uint8),
            np.empty(2, self._types["R"]), *results,
        )  # fmt: skip


def _bits(plan: Plan) -> tuple[int, int]:
    """Return the bits of a window's sum, and those of the sum with the number of its pixels."""
    area = plan.stages[0].rows.kernel * plan.stages[0].cols.kernel
    bits = (area * int(full_scale(plan.dtype)) + 1).bit_length()
    return bits, bits + area.bit_length()


def is_unscaled_box(plan: Plan) -> bool:
    """Whether a stage's results are unscaled means of neighbouring boxes of 8- or 16-bit samples."""
    planned, full = plan.stages[0], full_scale(plan.dtype)
    stage, rows, cols = planned.stage, planned.rows, planned.cols
    area = rows.kernel * cols.kernel
    is_mean = isinstance(stage.operator, Pooling) or (planned.kernel.is_box and planned.kernel.divisor == area)
    is_unscaled = stage.scale == planned.scale == 1 and stage.offset == 0 and stage.map in (None, "clip", "abs")
    return (
        plan.dtype in (np.uint8, np.uint16)
        and not plan.gray
        and plan.full == plan.full_out(plan.dtype) == full
        and is_mean
        and is_unscaled
        and rows.dilation == cols.dilation == 1
        and cols.before >= 0
        and _bits(plan)[1] <= _LONG
    )
