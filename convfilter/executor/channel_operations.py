"""The operations that compute a stage on a picture with ignored pixels: each some channels of the result."""

from __future__ import annotations

from collections.abc import Sequence
from math import isclose
from typing import Any

import numpy as np

from convfilter.engine.buffer import Samples
from convfilter.executor.bands import Operation
from convfilter.executor.filled import FilledBands
from convfilter.executor.held import Border, Held, Span, read_padding
from convfilter.executor.means import Means
from convfilter.executor.medians import medians_of
from convfilter.executor.patches import Patches
from convfilter.executor.straight_colours import StraightColours
from convfilter.filters.operators import Correlation, Guided, Morphology, Operator, Point, Pooling, Rank
from convfilter.filters.stage import Stage
from convfilter.planning import Plan, StagePlan
from convfilter.planning.plan_cache import cached_plan
from convfilter.planning.task import MaskKind
from convfilter.record import record, replace
from convfilter.sample_types import full_scale, real_of

#: Channels of a picture whose luminance can be taken.
_COLOURS = 3
#: All channels.
ALL = slice(None)


@record(eq=False)
class Setting:
    """What a stage reads and writes; see ``plan_stack``.

    Attributes
    ----------
    shape : (rows, cols, channels)
        Of the whole source.
    dtype, out_dtype : dtype
    alpha, premultiplied, gray : bool
    white, out_white : float or None
    fill : bool
        Whether ignored pixels get results too.
    """

    shape: tuple[int, int, int]
    dtype: np.dtype[np.generic]
    out_dtype: np.dtype[np.generic]
    alpha: bool = False
    premultiplied: bool = False
    gray: bool = False
    white: float | None = None
    out_white: float | None = None
    fill: bool = False

    @property
    def full(self) -> float:
        """Value of white in the source."""
        return self.white or full_scale(self.dtype)

    @property
    def straight(self) -> Setting:
        """The setting for straight colours and real results."""
        real = real_of(self.dtype, self.out_dtype)
        return replace(self, dtype=real, out_dtype=real, premultiplied=False, white=self.full, out_white=None)

    def surrounded(self, border: Border) -> Setting:
        """Return the setting for the source with a border."""
        rows, cols, channels = self.shape
        return replace(self, shape=(rows + sum(border.rows), cols + sum(border.cols), channels))

    def plan(self, stage: Stage, channels: int, *, alpha: bool = False, mask: MaskKind = "") -> Plan:
        """Plan a stage on pictures of some channels; ``alpha`` may be a mask."""
        algorithm = None
        if self.fill and alpha and isinstance(stage.operator, Correlation) and stage.operator.kernel.sigma:
            algorithm = "separable"  # tap by tap: far from valid pixels, only the tail of a wide Gaussian counts
        return cached_plan(
            [stage], (*self.shape[:2], channels), self.dtype, out_dtype=self.out_dtype, alpha=alpha,
            algorithm=algorithm, gray=self.gray and channels - alpha == _COLOURS, white=self.white,
            out_white=self.out_white, premultiplied=self.premultiplied and alpha and self.alpha, mask=mask,
        )  # fmt: skip


@record
class ChannelOperation:
    """An operation on some channels of the source, which computes some channels of the result."""

    source: slice
    operation: Operation
    result: slice


def channel_operations(stage: Stage, setting: Setting) -> list[ChannelOperation]:
    """Return the operations that compute a stage, each some channels of its result."""
    channels = setting.shape[2]
    if isinstance(stage.operator, Guided) and setting.fill:
        stage = replace(stage, operator=replace(stage.operator, fills=True))
    if not setting.alpha:
        return [ChannelOperation(ALL, _operation_without_alpha(stage, setting, channels), ALL)]
    # Ignored pixels are transparent, so they do not affect colours; alpha itself is a picture with a mask.
    values = _neutral_pixel(stage.operator, setting) if _is_extreme(stage) else (0, 0)
    all_channels = ChannelOperation(ALL, FilledBands(setting.plan(stage, channels, alpha=True), *values), ALL)
    if _keeps_alpha(stage):
        return [all_channels]
    colours, last = slice(0, -1), slice(-1, None)
    straight = replace(setting, alpha=False, premultiplied=False)
    opacity = ChannelOperation(
        last, _operation_without_alpha(_stage_of_alpha(stage), replace(straight, gray=False), 1), last
    )
    if setting.premultiplied and _is_mean(stage):  # colours and alpha are means alike
        return [ChannelOperation(colours, _operation_without_alpha(stage, straight, channels - 1), colours), opacity]
    return [all_channels, opacity]


def _operation_without_alpha(stage: Stage, setting: Setting, channels: int) -> Operation:
    """Return the operation that computes a stage without alpha."""
    operator = stage.operator
    if _keeps_alpha(stage):
        return FilledBands(setting.plan(stage, channels), 0)
    if _is_extreme(stage):
        return FilledBands(setting.plan(stage, channels), _neutral(operator, setting.dtype))
    if operator.count_padding if isinstance(operator, Pooling) else stage.pads_with_value:
        return _PaddedBands(stage, setting, channels)
    return _weighted_operation(stage, setting, channels)


def _weighted_operation(stage: Stage, setting: Setting, channels: int) -> Operation:
    """Return the operation for means and ranks of the valid pixels of each window."""
    unmasked = setting.plan(stage, channels)
    if _is_mean(stage):
        masks: tuple[MaskKind, MaskKind] = ("dense", "sparse")
        dense, sparse = (setting.plan(stage, channels + 1, alpha=True, mask=mask) for mask in masks)
        return Means(unmasked, dense, sparse, setting.out_dtype)
    if isinstance(stage.operator, Rank):
        patches = Patches(unmasked, setting.plan(stage, channels + 1, alpha=True, mask="dense"), 1)
        return medians_of(patches, setting.out_dtype) or patches
    return Patches(unmasked, setting.plan(stage, channels + 1, alpha=True), setting.full)


def _keeps_alpha(stage: Stage) -> bool:
    """Whether results have the alpha of their centre pixel: alpha needs no operation of its own."""
    return stage.operator.is_difference or isinstance(stage.operator, Point | Guided)


def _is_mean(stage: Stage) -> bool:
    """Whether results are weighted sums, to be divided by the sum of the weights on valid pixels."""
    operator = stage.operator
    if isinstance(operator, Pooling):
        return operator.kind == "average"
    return isinstance(operator, Correlation) and not operator.is_difference


def _is_extreme(stage: Stage) -> bool:
    """Whether a result is the largest or smallest sample of a window."""
    return stage.operator.selects and not isinstance(stage.operator, Rank)


def straight_colours(stage: Stage, setting: Setting) -> StraightColours | None:
    """Return the conversion of premultiplied colours for stages that need straight ones, else None.

    Alpha is a mean or a rank of the valid pixels. Colours that are weighted with another alpha, in which ignored pixels
    count as transparent, do not fit it. Extremes, and means without an offset, do not weight by alpha.
    """
    if not (setting.alpha and setting.premultiplied) or _keeps_alpha(stage) or _is_extreme(stage):
        return None
    adds = stage.offset != 0 or stage.map == "offset"
    if _is_mean(stage) and not adds:
        return None
    return StraightColours(setting.straight.dtype, setting.full, setting.out_white)


def _stage_of_alpha(stage: Stage) -> Stage:
    """Return the stage for alpha: scaled so that a weighted sum of alpha becomes its mean."""
    operator = stage.operator
    total = operator.kernel.sum if isinstance(operator, Correlation) else 1.0
    scale = 1.0 if isclose(total, 1) else 1 / total
    return replace(stage, scale=scale, offset=0.0, map=None, signed=False)


def _neutral(operator: Operator, dtype: np.dtype[Any]) -> float:
    """Return the neutral element of an extreme: the sample that never wins against another."""
    assert isinstance(operator, Pooling | Morphology)
    largest = operator.kind in ("max", "dilate")
    if dtype.kind == "f":
        return -np.inf if largest else np.inf
    return int(np.iinfo(dtype).min if largest else np.iinfo(dtype).max)


def _neutral_pixel(operator: Operator, setting: Setting) -> tuple[float, float]:
    """Return the colours and the alpha of a pixel that is neutral once its colours are premultiplied."""
    dtype: np.dtype[Any] = setting.dtype
    value = _neutral(operator, dtype)
    if value > 0 or setting.premultiplied:
        return value, value
    if dtype.kind == "f":
        return value, float(np.finfo(dtype).tiny)
    return (np.iinfo(dtype).max if value < 0 else 0), value  # the product with white is the least sample


def without_constant_padding(stage: Stage, planned: StagePlan) -> Stage:
    """Return a stage that reads a picture with its constant padding, the ``Border``; it pads other axes itself."""
    down, along = planned.padding_modes
    rows = (0, 0) if down == "constant" else read_padding(planned.rows)
    cols = (0, 0) if along == "constant" else read_padding(planned.cols)
    modes = "edge" if down == "constant" else down, "edge" if along == "constant" else along
    return replace(stage, padding=(*rows, *cols), padding_mode=modes, padding_value=0.0, ceil=False)


class _PaddedBands:
    """Bands of a stage whose constant padding counts: the padding is added to the picture, as valid pixels.

    A picture whose sample type does not hold the padding value is converted to float64.
    """

    def __init__(self, stage: Stage, setting: Setting, channels: int) -> None:
        planned = setting.plan(stage, channels).stages[0]
        border, self._value = Border.of(planned), planned.padding_value
        if setting.dtype.kind != "f" and not _holds(setting.dtype, self._value):
            setting = replace(setting, dtype=np.dtype(np.float64), white=setting.full)
        self._dtype = setting.dtype
        unpadded = without_constant_padding(stage, planned)
        if isinstance(stage.operator, Pooling):  # cells beyond the requested padding do not count
            rows, cols = max(0, planned.rows.beyond), max(0, planned.cols.beyond)
            (top, bottom), (left, right) = border.rows, border.cols
            border = replace(border, rows=(top, bottom - rows), cols=(left, right - cols))
            pooling = replace(stage.operator, count_padding=False)
            unpadded = replace(unpadded, operator=pooling, padding=(0, rows, 0, cols))
        self._border = border
        self._operation = _weighted_operation(unpadded, setting.surrounded(border), channels)
        self.plans, self.in_turn = self._operation.plans, self._operation.in_turn
        self._padded: tuple[Held, Held] | None = None

    def reach(self, span: Span) -> Span:
        """Return the rows of the source that some rows of the result read."""
        return self._border.within(self._operation.reach(span))

    def spans(self, held: Held, bands: Sequence[Span], threads: int) -> list[Span]:
        """Return the bands as the stage without padding does."""
        return self._operation.spans(self._around(held), bands, threads)

    def run(self, held: Held, span: Span, out: Samples, threads: int) -> int:
        """Write the rows of a span."""
        return self._operation.run(self._around(held), span, out, threads)

    def _around(self, held: Held) -> Held:
        padded = self._padded  # read once: threads share it
        if padded is None or padded[0] is not held:
            own = Held(held.first, held.pixels.astype(self._dtype, copy=False), held.valid)
            padded = self._padded = held, self._border.around(own, self._dtype.type(self._value), valid=True)
        return padded[1]


def _holds(dtype: np.dtype[Any], value: float) -> bool:
    """Whether a number is a sample of an integer type."""
    ends = np.iinfo(dtype)
    return value % 1 == 0 and ends.min <= value <= ends.max
