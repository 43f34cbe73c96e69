"""How one stage of a plan is computed, and which stages run together."""

from __future__ import annotations

from convfilter.filters.factors import Product
from convfilter.filters.kernels import Kernel
from convfilter.filters.multirate import Rates
from convfilter.filters.stage import Stage
from convfilter.planning.arithmetic import AxisPlan
from convfilter.planning.field import Field
from convfilter.planning.precision import Precision
from convfilter.planning.strips import (
    Fold,
    Stream,
    fold_of,
    stream_of,
)
from convfilter.planning.ways import (
    Algorithm,
)
from convfilter.record import cached_property, record


@record
class StagePlan:
    """One stage, decided: geometry, algorithm, and what it costs.

    Attributes
    ----------
    kernel, scale : Kernel and float
        What to sum, and what is left of the stage's scale; see ``Task``.
    precision : {"float32", "float64"}
        In what the sums are kept.
    exact : bool
        Sums are whole numbers without any rounding, so the stored result is exact.
    multiply_adds : float
        Per output sample.
    scratch_bytes : int
        Working memory of one thread.
    block_rows : int
        Output rows of one block of work.
    rates : pair of Rates or None
        For the multirate way: the steps along rows and columns, None for an axis that is summed tap by tap.
    products : tuple of (column, row)
        For the ways that sum down and then along: one for a separable kernel, a few for one of low rank.
    sides : (rows, cols)
        For the transforms: padded pixels that one takes; 0 columns where they go down the columns alone.
    output_channels : int
        Of the result, alpha included.
    keeps_white : bool
        False where results have another value of white than samples of their type in the input.
    premultiplied : bool
        Colours are stored multiplied with ``alpha``, and so are results.
    bounded : bool
        Results are real and lie between the ends of their windows; see ``Task``.
    by_taps : bool
        Means of a few real samples are sums of taps.
    fields : (rows, cols) of Field
        What an output sees of the picture, through this stage and those before it.
    branches : tuple of tuple of StagePlan
        What a stage joins.
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
    keeps_white: bool = True
    premultiplied: bool = False
    bounded: bool = False
    by_taps: bool = False
    fields: tuple[Field, Field] = (Field(), Field())
    branches: tuple[tuple[StagePlan, ...], ...] = ()

    @property
    def receptive_field(self) -> tuple[int, int]:
        """(rows, cols): pixels of the picture between the first and the last that an output sees, both counted."""
        return self.fields[0].size, self.fields[1].size

    @property
    def jump(self) -> tuple[float, float]:
        """(rows, cols): how far apart the fields of two neighbouring outputs are."""
        return self.fields[0].jump, self.fields[1].jump

    @property
    def start(self) -> tuple[float, float]:
        """(rows, cols): the centre of the first output's field; 0 is the centre of the first pixel."""
        return self.fields[0].start, self.fields[1].start

    @property
    def spreads(self) -> bool:
        """Whether a sample that is infinite or not a number would show beyond the windows that hold it."""
        return self.algorithm in ("multirate", "fourier")

    @cached_property
    def stream(self) -> Stream | None:
        """How the stage is streamed, or None where it is not."""
        return stream_of(self)

    @cached_property
    def fold(self) -> Fold | None:
        """How the stage is computed in folded rows, or None where it cannot be."""
        return fold_of(self)


@record
class Group:
    """Stages ``first`` to ``last - 1``, run together; a stage alone runs on its whole input.

    Attributes
    ----------
    block_rows : tuple of int
        For each stage, the rows that are computed at a time.
    held_rows : tuple of int
        For each stage but the last, how many rows of its result are held at a time.
    held_bytes : int
        Of all of them, for one thread.
    """

    first: int
    last: int
    block_rows: tuple[int, ...] = ()
    held_rows: tuple[int, ...] = ()
    held_bytes: int = 0
