"""Means of boxes of 8- and 16-bit samples over their valid pixels, in one pass."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from convfilter.engine.borders import Indices
from convfilter.engine.buffer import CACHE_LINE, Samples, aligned_array
from convfilter.engine.mapped_stage import padded_cols, padded_rows
from convfilter.executor.held import Held, Span, Valid
from convfilter.filters.operators import Pooling
from convfilter.loops.masked_box import HALF_WORD
from convfilter.loops.vectors import vector_bytes
from convfilter.native.loop import Loop
from convfilter.planning import Plan
from convfilter.sample_types import full_scale

if TYPE_CHECKING:
    import numpy.typing as npt

_ARGUMENTS = "S* i8 u1* i8 u1* i8* i8 i8 i8* i8 i8 i8 i8 i8 i8 i8 W* W* W* u1* R* S* i8 i8 i8 u1* i8 u1* i8"
MASKED_MEANS = Loop("masked_box", "masked_means", _ARGUMENTS)
MASKED_BYTE_MEANS = Loop(
    "masked_box_bytes",
    "masked_byte_means",
    "u1* i8 u1* i8 i8* i8 i8 i8* i8 i8 i8 i8 i8 i8 u1* u2* u1* u2* u1* u1* u2* f4* u1* i8 i8 i8 u1* i8 u1* i8",
)

#: Most pixels of a window of bytes whose sum has 16 bits, and the most columns that are added one by one.
_NARROW_AREA, _NARROW_COLS = 255, 15

#: Types of samples, of sums with the number of their pixels, and of quotients.
TYPES = (
    (np.uint8, np.int32, np.float32),
    (np.uint8, np.int32, np.float64),
    (np.uint8, np.int64, np.float32),
    (np.uint8, np.int64, np.float64),
    (np.uint16, np.int32, np.float64),
    (np.uint16, np.int64, np.float64),
)
#: Most bits of a sum and its number in each type of sums; float64 holds the last exactly.
_SINGLE, _LONG = 31, 53
#: A float32 quotient of at most 255 and an area below this is a tie only if the exact quotient is one.
_SINGLE_AREA = 2**16
#: Most bits of a sum and its number that float32 holds exactly. Its quotients of sums of bytes are ties only where the
#: exact ones are.
_SINGLE_WHOLE = 24

#: 2**15 over each number of pixels, rounded up; 0 over none.
_FACTORS = np.array([0, *(-(-(2**15) // number) for number in range(1, 32))], np.uint16)

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
        self._rows, self._cols = padded_rows(planned), padded_cols(planned)
        self._shift, sums, quotients = _layout(plan)
        self._is_narrow = (
            plan.dtype == np.uint8 and rows.kernel * cols.kernel <= _NARROW_AREA and cols.kernel <= _NARROW_COLS
        )
        self._types: dict[str, Any] = {"S": plan.dtype, "W": sums, "R": quotients}

    def run(
        self, held: Held, span: Span, out: Samples, marks: tuple[Valid, Valid] | None = None, *, finds: bool = False
    ) -> None:
        """Write the means of a span of rows; 0 where a window has no valid pixel.

        Parameters
        ----------
        held : Held
        span : (first, last + 1)
        out : (rows, cols, channels) array
        marks : (kept, found), optional
            Arrays (rows, cols) of bool. The mean is 0 where ``kept`` is False. ``found``, C-contiguous, becomes the
            mask of the means.
        finds : bool
            Whether ``found`` is False where a window has no valid pixel, too.
        """
        rows, cols = self._planned.rows, self._planned.cols
        begin = span[0] * rows.stride
        table = self._rows[begin : begin + (span[1] - span[0] - 1) * rows.stride + rows.kernel]
        inside = table[table >= 0]
        first, last = (int(inside.min()), int(inside.max()) + 1) if inside.size else (held.first, held.first)
        table = np.where(table < 0, table, table - first)
        pixels, valid = (np.ascontiguousarray(each) for each in held.rows([(first, last)]))
        place = out, cols.output * pixels.shape[2], cols.output, span[1] - span[0]
        left_out = (_NONE, 0, _NONE, 0) if marks is None else (*_rows_of(marks[0]), marks[1].view(np.uint8), 1 + finds)
        run = self._run_bytes if self._is_narrow else self._run_packed
        run(pixels, valid.view(np.uint8), table, *place, *left_out)

    def _run_bytes(self, pixels: Samples, marks: Samples, table: Indices, *results: Any) -> None:
        rows, cols = self._planned.rows, self._planned.cols
        channels, width = pixels.shape[2], cols.input
        spare = vector_bytes() + cols.kernel
        places = max(cols.padded, cols.before + width) + spare
        lead = -cols.before * channels % CACHE_LINE  # the sums of the first column begin a cache line
        slot = -(-width * channels // CACHE_LINE) * CACHE_LINE
        MASKED_BYTE_MEANS.variant()(
            pixels, width * channels, marks, width, table, rows.kernel, rows.stride,
            self._cols, cols.padded, cols.before, width, channels, cols.kernel, cols.stride,
            aligned_array((rows.kernel + 1) * slot, np.uint8),
            aligned_array(places * channels + lead, np.uint16, zeros=True)[lead:], np.zeros(places, np.uint8),
            aligned_array(places * channels, np.uint16), aligned_array(places, np.uint8),
            aligned_array(places * channels, np.uint8), _FACTORS,
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


def _rows_of(marks: Valid) -> tuple[Samples, int]:
    """Return the rows of a mask as a contiguous array of bytes, and how far apart they are; 0 if they are the same."""
    if marks.strides[0] == 0:
        marks = marks[:1]
        return np.ascontiguousarray(marks).view(np.uint8), 0
    return np.ascontiguousarray(marks).view(np.uint8), marks.shape[1]


def _bits(plan: Plan) -> tuple[int, int]:
    """Return the bits of a window's sum, and those of the sum with the number of its pixels."""
    area = plan.stages[0].rows.kernel * plan.stages[0].cols.kernel
    bits = (area * int(full_scale(plan.dtype)) + 1).bit_length()
    return bits, bits + area.bit_length()


def _layout(plan: Plan) -> tuple[int, npt.DTypeLike, npt.DTypeLike]:
    """Return the number of bits below that of the pixels in an integer, and the types of integers and quotients."""
    area = plan.stages[0].rows.kernel * plan.stages[0].cols.kernel
    of_sum, bits = _bits(plan)
    if bits <= _SINGLE:
        return of_sum, np.int32, np.float32 if plan.dtype == np.uint8 and bits <= _SINGLE_WHOLE else np.float64
    if of_sum >= HALF_WORD:
        return of_sum, np.int64, np.float64
    return HALF_WORD, np.int64, np.float32 if plan.dtype == np.uint8 and area < _SINGLE_AREA else np.float64


def is_unscaled_box(plan: Plan) -> bool:
    """Whether a stage's results are unscaled means of neighbouring boxes of 8- or 16-bit samples."""
    planned, full = plan.stages[0], full_scale(plan.dtype)
    stage, rows, cols = planned.stage, planned.rows, planned.cols
    area = rows.kernel * cols.kernel
    is_mean = isinstance(stage.operator, Pooling) or (planned.kernel.is_box and planned.kernel.divisor == area)
    is_unscaled = planned.scale == 1 and stage.is_unscaled
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
