"""The plan of one stage, and groups of stages that run together."""

from __future__ import annotations

import numpy as np

from convfilter.filters.factors import Product
from convfilter.filters.kernel import Kernel
from convfilter.filters.multirate import Rates
from convfilter.filters.operators import Point, Pooling
from convfilter.filters.stage import PaddingMode, Stage
from convfilter.planning.arithmetic import AxisPlan
from convfilter.planning.field import Field
from convfilter.planning.method import Algorithm
from convfilter.planning.precision import Precision
from convfilter.planning.strips import (
    Interleaving,
    SlidingWindow,
    TapRows,
    interleaving_of,
    sliding_window_of,
)
from convfilter.record import cached_property, record


@record
class StagePlan:
    """The plan of one stage: geometry, algorithm, precision and cost.

    Attributes
    ----------
    kernel, scale : Kernel and float
        Weights to sum, and the remaining scale of the stage; see ``Task``.
    precision : {"float32", "float64"}
        Type of the sums.
    exact : bool
        Sums are integers that are never rounded, so the stored result is exact.
    multiply_adds : float
        Multiply-adds of one output sample.
    scratch_bytes : int
        Working memory of one thread.
    block_rows : int
        Output rows of one block, if the method fixes them; 0: see ``groups.py``.
    rates : pair of Rates or None
        For the multirate method: vertical and horizontal rates, None for an axis that is computed tap by tap.
    products : tuple of (column, row)
        For separable methods: one product for a separable kernel, a few for one of low rank.
    sides : (rows, cols)
        For transforms: padded pixels of one transform; 0 columns if it transforms columns only.
    output_channels : int
        Channels of the result, alpha included, without a mask.
    preserves_white : bool
        Whether results have the same value of white as input samples of their type.
    premultiplied : bool
        Whether colours are stored multiplied by alpha, in input and result.
    masked : bool
        The last channel, ``alpha``, is a mask that the result leaves out; see ``Task``.
    bounded : bool
        Results are real and lie between the smallest and largest sample of their windows; see ``Task``.
    tap_rows : TapRows or None
        Kernel rows with taps, of a method with a sliding window.
    by_taps : bool
        Means of a few real samples are summed tap by tap.
    result : dtype
        Sample type of the result if another stage follows.
    fields : (rows, cols) of Field
        Receptive field of an output in the picture, through this stage and those before it.
    branches : tuple of tuple of StagePlan
        Branches that the stage joins.
    """

    stage: Stage
    rows: AxisPlan
    cols: AxisPlan
    channels: int
    alpha: bool
    algorithm: Algorithm
    kernel: Kernel
    scale: float
    precision: Precision
    exact: bool
    multiply_adds: float
    scratch_bytes: int
    block_rows: int
    rates: tuple[Rates | None, Rates | None] = (None, None)
    products: tuple[Product, ...] = ()
    sides: tuple[int, int] = (0, 0)
    output_channels: int = 0
    preserves_white: bool = True
    premultiplied: bool = False
    masked: bool = False
    bounded: bool = False
    tap_rows: TapRows | None = None
    by_taps: bool = False
    result: np.dtype[np.generic] = np.dtype(np.float32)
    fields: tuple[Field, Field] = (Field(), Field())
    branches: tuple[tuple[StagePlan, ...], ...] = ()

    @property
    def padding_modes(self) -> tuple[PaddingMode, PaddingMode]:
        """The padding modes of index maps of (rows, cols); windows of pooling leave padding out, whatever its mode."""
        return ("constant", "constant") if isinstance(self.stage.operator, Pooling) else self.stage.padding_modes

    @property
    def padding_value(self) -> float:
        """The value of padded cells: 0 for pooling, which adds it to means, and in modes that repeat samples."""
        has_value = self.stage.pads_with_value and not isinstance(self.stage.operator, Pooling)
        return self.stage.padding_value if has_value else 0.0

    @property
    def takes_range(self) -> bool:
        """Whether the range of all samples of the input or the result must be known before a sample is stored."""
        operator = self.stage.operator
        return self.stage.map == "stretch" or (isinstance(operator, Point) and operator.kind == "normalize")

    @property
    def streaming_obstacle(self) -> str:
        """Why the stage needs all rows of its input at once; "" if rows can be streamed."""
        if self.takes_range:
            return "the range of all samples must be known first (normalize, map=stretch)"
        if self.branches:
            return "branches of a network read the same rows"
        if self.stage.padding_modes[0] == "wrap" and self.rows.before > 0:
            return "padding_mode=wrap reads the last rows first"
        return ""

    @property
    def receptive_field(self) -> tuple[int, int]:
        """(rows, cols): pixels from the first to the last that an output depends on, both included."""
        return self.fields[0].size, self.fields[1].size

    @property
    def jump(self) -> tuple[float, float]:
        """(rows, cols): distance of the fields of neighbouring outputs."""
        return self.fields[0].jump, self.fields[1].jump

    @property
    def start(self) -> tuple[float, float]:
        """(rows, cols): centre of the first output's field; 0 is the centre of the first pixel."""
        return self.fields[0].start, self.fields[1].start

    @cached_property
    def sliding_window(self) -> SlidingWindow | None:
        """Layout of the sliding window, or None if the method has none."""
        return sliding_window_of(self)

    @cached_property
    def interleaving(self) -> Interleaving | None:
        """Layout of lane-interleaved rows, or None if they do not apply."""
        return interleaving_of(self)


@record
class Group:
    """Stages ``first`` to ``last - 1`` of a plan, which run together; a group of one stage runs on its whole input.

    Attributes
    ----------
    block_rows : tuple of int
        Rows of one block of each stage.
    buffer_rows : tuple of int
        Rows in the line buffer after each stage but the last.
    buffer_bytes : int
        Bytes of all line buffers, for one thread.
    """

    first: int
    last: int
    block_rows: tuple[int, ...] = ()
    buffer_rows: tuple[int, ...] = ()
    buffer_bytes: int = 0
