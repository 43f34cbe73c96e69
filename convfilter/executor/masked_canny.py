"""Canny's edges of a picture with ignored pixels: ridges band by band, then hysteresis over those that are valid."""

from __future__ import annotations

from collections.abc import Sequence

from convfilter.engine.buffer import Samples
from convfilter.engine.masked import put
from convfilter.engine.threads import cut
from convfilter.executor.bands import PIXELS
from convfilter.executor.channel_operations import Setting
from convfilter.executor.held import Held, Span, Valid
from convfilter.executor.masked_stage import MaskedStage
from convfilter.filters.operators import Canny
from convfilter.filters.stage import Stage
from convfilter.methods.canny import RIDGE_TYPE, connect, store_edges
from convfilter.record import replace


def canny_stages(stage: Stage, setting: Setting) -> tuple[MaskedStage, Edges]:
    """Return the stages of Canny's edges: the first keeps the picture's alpha next to the marks of ridges."""
    assert isinstance(stage.operator, Canny)
    ridges = replace(stage, operator=replace(stage.operator, only_ridges=True))
    of_ridges = replace(setting, out_dtype=setting.dtype if setting.alpha else RIDGE_TYPE, out_white=None)
    return MaskedStage(ridges, of_ridges), Edges(stage, setting)


class Edges:
    """The second stage, for one picture: strong ridges, and weak ones connected to strong ones.

    Attributes are those of a ``MaskedStage``. All marks are held; the edges are stored band by band.
    """

    streaming_obstacle = ""

    def __init__(self, stage: Stage, setting: Setting) -> None:
        plan = setting.plan(stage, setting.shape[2], alpha=setting.alpha)
        (planned,) = plan.stages
        self.dtype, self.shape = setting.out_dtype, (planned.rows.output, planned.cols.output, planned.output_channels)
        self.bands = cut(self.shape[0], max(1, PIXELS // self.shape[1]))
        self.band_bytes = self.bands[0][1] * self.shape[1] * self.shape[2] * self.dtype.itemsize
        self._setting, self._full_out = setting, plan.full_out(self.dtype)
        self._marks: Samples | None = None

    def reach(self, span: Span) -> Span:
        """Return all rows."""
        return 0, self.shape[0]

    def run(self, held: Held, bands: Sequence[Span], out: Samples, valid: Valid, threads: int) -> int:
        """Store neighbouring bands."""
        setting, rows = self._setting, slice(bands[0][0], bands[-1][1])
        if self._marks is None:
            marks = held.pixels[..., :-1] if setting.alpha else held.pixels
            self._marks = marks.astype(RIDGE_TYPE, order="C", copy=setting.alpha)
            connect(self._marks)
        alpha = held.pixels[rows, :, -1] if setting.alpha else None
        store_edges(self._marks[rows], alpha, setting.full, out, self._full_out, premultiplied=setting.premultiplied)
        valid[:] = held.valid[rows]
        put(out, valid, 0)
        return 0
