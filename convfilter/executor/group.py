"""Stages that run together: their nodes, their executable, and a first pass that finds the range of samples if needed.

``run.py`` runs a plan group by group; a group makes its nodes from ``methods/`` and hands them to an executable.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np

from convfilter.engine.buffer import Samples
from convfilter.engine.executable import Executable
from convfilter.engine.executable_cache import executables
from convfilter.engine.masked import Masked, MaskedSlot
from convfilter.engine.node import Node, StageNode, StageSetup, source_of
from convfilter.engine.program import Slot
from convfilter.engine.rows import Connection, FromRows, RowSink, RowSource, ToRows, is_band_sink
from convfilter.engine.store import Range
from convfilter.engine.tone import Tone, rounding_of, stretched
from convfilter.filters.network_operators import Layer
from convfilter.filters.operators import Point
from convfilter.locks import import_before_handlers
from convfilter.methods import nodes_of
from convfilter.planning import LUMINANCE, LUMINANCE_DIVISOR, Plan, StagePlan
from convfilter.planning.derived_cache import DerivedCache
from convfilter.planning.groups import alone_block_rows, block_rows, written_block_rows
from convfilter.planning.method_choice import for_any_numbers
from convfilter.record import replace

#: Plans that replace those of methods that spread infinities and NaN.
_local = DerivedCache[StagePlan](32)
#: Samples whose range is found at a time: several float64 copies of them fit a core's cache.
_RANGE_SAMPLES = 2**15
#: Bytes for buffers and scratch of all threads together, between two arrays and where rows come or go in order.
_MEMORY, _STREAM_MEMORY = 55 * 2**20, 96 * 2**20
#: An input array adds its own bytes over this number.
_ARRAY_DIVISOR = 6


class GroupRun:
    """A run of some stages together.

    Parameters
    ----------
    plan : Plan
    first : int
        Number of the first stage in the plan.
    stages : sequence of StagePlan
    dtype : dtype
        Of the result.
    threads : int
    """

    def __init__(
        self, plan: Plan, first: int, stages: Sequence[StagePlan], dtype: np.dtype[np.generic], threads: int
    ) -> None:
        self._plan, self._first, self._stages, self._dtype, self._threads = plan, first, tuple(stages), dtype, threads
        self._full_out = plan.full_out(dtype)

    def run(self, source: RowSource | Samples | Masked, sink: RowSink | Samples) -> int:
        """Filter a picture; return the number of clipped samples."""
        with _single_threaded_blas(self._stages):
            if any(stage.takes_range for stage in self._stages):
                assert isinstance(source, np.ndarray)
                assert isinstance(sink, np.ndarray)
                return self._run_with_range(source, sink)
            key, executable = self._taken(source, sink)
            clipped = executable.run(source, sink)
            executables.give_back(key, self._stages, executable)
            return clipped

    def prepare(self, source: RowSource | Samples | Masked, sink: RowSink | Samples) -> None:
        """Cache an executable for a later run between ends of these kinds and shapes."""
        key, executable = self._taken(source, sink)
        executable.prepare()
        executables.give_back(key, self._stages, executable)

    def _taken(self, source: RowSource | Samples | Masked, sink: RowSink | Samples) -> tuple[Hashable, Executable]:
        """Return an executable out of the cache or a new one, and its key."""
        in_memory = isinstance(source, np.ndarray | Masked)
        kinds = type(source) if in_memory else None, isinstance(sink, np.ndarray), is_band_sink(sink)
        key = (*map(id, self._stages), self._first, self._dtype, self._threads, source.shape, kinds)
        executable = executables.take(key)
        if executable is None:
            import_before_handlers()
            executable = self._executable(self.nodes(source, sink), source, sink)
        return key, executable

    def local_at(self, number: int) -> GroupRun:
        """Return the same group with one stage computed tap by tap."""
        stages = list(self._stages)
        spreading = stages[number]
        stages[number] = _local.get(spreading, None, lambda: for_any_numbers(spreading))
        return GroupRun(self._plan, self._first, stages, self._dtype, self._threads)

    def nodes(self, source: RowSource | Samples | Masked, sink: RowSink | Samples, **first: Any) -> list[Node]:
        """Return the nodes of all stages; ``first`` are fields of the first stage's ``StageSetup``."""
        nodes: list[Node] = []
        for number, stage in enumerate(self._stages):
            setup = self._setup(number, stage, source, sink)
            if number == 0:
                setup = replace(setup, **first)
            stage_nodes = nodes_of(setup)
            for node in stage_nodes:
                node.stage_number = number
            nodes += stage_nodes
        return nodes

    def _executable(
        self, nodes: list[Node], source: RowSource | Samples | Masked, sink: RowSink | Samples
    ) -> Executable:
        """Return an executable for nodes between a source and a sink of these kinds."""
        is_streamed = not (isinstance(source, np.ndarray | Masked) and isinstance(sink, np.ndarray))
        room, before, after = _STREAM_MEMORY if is_streamed else _MEMORY, None, None
        if isinstance(source, np.ndarray | Masked):
            start: Slot | Connection[RowSource] = MaskedSlot(source) if isinstance(source, Masked) else Slot(source)
            room += source.nbytes // _ARRAY_DIVISOR
        else:
            start = Connection(source)
            before = FromRows(start, source.shape, source.dtype)
        if isinstance(sink, np.ndarray):
            end: Slot | Connection[RowSink] = Slot(sink)
        else:
            end = Connection(sink)
            after = ToRows(end, nodes[-1], is_band_sink(sink))
        all_nodes = [node for node in (before, *nodes, after) if node is not None]
        return Executable(all_nodes, start, end, self._threads, room)

    def _setup(
        self, number: int, stage: StagePlan, source: RowSource | Samples | Masked, sink: RowSink | Samples
    ) -> StageSetup:
        plan, full, is_last = self._plan, self._plan.full, number == len(self._stages) - 1
        gray = bool(plan.gray) and self._first + number == 0
        incoming = self._stages[number - 1].result if number else source.dtype
        in_memory = number == 0 and isinstance(source, np.ndarray | Masked)
        alone = in_memory and is_last and not is_band_sink(sink)
        if in_memory and is_last:
            rows = alone_block_rows(stage) if alone else written_block_rows(stage, self._dtype)
        else:
            rows = block_rows(stage, in_memory=in_memory)
        dtype, white = (self._dtype, self._full_out) if is_last else (stage.result, full)
        loaded = source_of(stage, incoming, full, gray=gray)
        return StageSetup(stage, loaded, dtype, white, rows, in_memory=in_memory, alone=alone)

    def _run_with_range(self, image: Samples, output: Samples) -> int:
        """Find the range of the input or the results in a first pass, then filter.

        The first stage of a group takes it, since groups are cut there.
        """
        fields: dict[str, Any] = {"input_range": _input_range(self._setup(0, self._stages[0], image, output), image)}
        if self._stages[-1].stage.map == "stretch":
            fields["tone"] = self._stretching_tone(image, output, fields)
        return self._executable(self.nodes(image, output, **fields), image, output).run(image, output)

    def _stretching_tone(self, image: Samples, output: Samples, fields: dict[str, Any]) -> Tone:
        """Return the tone that maps the range of the only stage's results to that of the output."""
        (stage,) = self._stages
        ranges: list[Range] = []
        nodes = self.nodes(image, output, ranges=ranges, **fields)
        self._executable(nodes, image, output).run(image, output)
        low = min((each.ends[0] for each in ranges), default=np.inf)
        high = max((each.ends[1] for each in ranges), default=-np.inf)
        storing = nodes[-1]
        assert isinstance(storing, StageNode)
        tone = storing.stage.tone_of_sums
        return stretched(tone, low, high, self._full_out, rounding_of(stage, image, tone))


def _input_range(stage: StageSetup, image: Samples) -> tuple[float, float]:
    """Return the smallest and largest finite colour of the input if the stage needs them, else (0, 1).

    Premultiplied colours count as straight ones, where alpha is above 0.
    """
    operator = stage.plan.stage.operator
    if not isinstance(operator, Point) or operator.kind != "normalize":
        return 0.0, 1.0
    low, high = np.inf, -np.inf
    step = max(1, _RANGE_SAMPLES // max(1, image[:1].size))
    for top in range(0, len(image), step):
        colours = image[top : top + step, :, : image.shape[2] - stage.source.alpha].astype(np.float64)
        if stage.source.gray:
            colours = (colours @ np.array(LUMINANCE) / LUMINANCE_DIVISOR)[..., np.newaxis]
        if stage.source.alpha and stage.source.premultiplied:
            shares = image[top : top + step, :, -1].astype(np.float64) / stage.source.full
            colours = colours[shares > 0] / shares[shares > 0][:, np.newaxis]
        finite = colours[np.isfinite(colours)]
        if finite.size:
            low, high = min(low, float(finite.min())), max(high, float(finite.max()))
    return (low, high) if low <= high else (0.0, 0.0)


def _single_threaded_blas(stages: Sequence[StagePlan]) -> AbstractContextManager[None]:
    """Limit NumPy's BLAS to one thread while the engine's threads multiply matrices for a layer."""
    if not any(isinstance(stage.stage.operator, Layer) for stage in stages):
        return nullcontext()
    from convfilter.methods.blas import single_threaded

    return single_threaded()
