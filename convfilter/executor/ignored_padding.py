"""Stages whose padding has the ignored value: its pixels are ignored, too."""

from __future__ import annotations

import math
from collections.abc import Sequence

from convfilter.engine.buffer import Samples
from convfilter.executor.channel_operations import Setting, without_constant_padding
from convfilter.executor.held import Border, Held, Span, Valid
from convfilter.executor.ignored import Ignore
from convfilter.executor.masked_stage import MaskedStage
from convfilter.filters.network_operators import Layer
from convfilter.filters.operators import Canny, Point, Pooling
from convfilter.filters.stage import Stage


def ignores_padding(stage: Stage, ignore: Ignore | None) -> bool:
    """Whether the padding of a stage has the ignored value; that of pooling and layers never counts, or always as 0."""
    has_value = stage.pads_with_value and not isinstance(stage.operator, Pooling | Layer | Point | Canny)
    if not has_value or isinstance(ignore, str | None):
        return False
    return float(ignore) == stage.padding_value or (math.isnan(ignore) and math.isnan(stage.padding_value))


class StageWithIgnoredPadding:
    """A stage that filters the picture with a border of ignored pixels; attributes are those of a ``MaskedStage``."""

    def __init__(self, stage: Stage, setting: Setting) -> None:
        planned = setting.plan(stage, setting.shape[2], alpha=setting.alpha).stages[0]
        self._border = Border.of(planned)
        self._stage = MaskedStage(without_constant_padding(stage, planned), setting.surrounded(self._border))
        self.shape, self.dtype = self._stage.shape, self._stage.dtype
        self.bands, self.band_bytes = self._stage.bands, self._stage.band_bytes

    @property
    def streaming_obstacle(self) -> str:
        """Why the stage needs all rows of its source at once; "" if it does not."""
        return self._stage.streaming_obstacle

    def reach(self, span: Span) -> Span:
        """Return the rows of the source that some rows of the result read."""
        return self._border.within(self._stage.reach(span))

    def run(self, held: Held, bands: Sequence[Span], out: Samples, valid: Valid, threads: int) -> int:
        """Compute neighbouring bands; return how many samples were clipped."""
        return self._stage.run(self._border.around(held, 0, valid=False), bands, out, valid, threads)
