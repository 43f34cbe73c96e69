"""Canny's edges: ridges of the gradient, a block of rows at a time, then hysteresis over the whole picture."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import numpy as np

from convfilter.engine.borders import Indices
from convfilter.engine.buffer import LineBuffer, Samples, Scratch
from convfilter.engine.load import Source
from convfilter.engine.node import Crew, Node, Rows, StageNode, StageSetup
from convfilter.engine.workers import Workers
from convfilter.filters.operators import Canny
from convfilter.methods.canny_smoothing import Flags, Smoothing
from convfilter.native.loop import Loop

GRADIENT_MAGNITUDE = Loop("canny", "gradient_magnitude", "D* i8 i8 i8 i8 D*")
RIDGES = Loop("canny", "ridges", "D* i8 i8 i8 i8 D* D D i8 i8 u1* i8")
HYSTERESIS = Loop("canny", "hysteresis", "u1* i8 i8 i8 i8 i8* i8")

#: Halo of a ridge in pixels: its neighbour, and one pixel more for the neighbour's gradient.
_HALO = 2
#: Mark of an edge, in the picture of ridges.
_EDGE = 3
#: Type of the marks of ridges.
RIDGE_TYPE = np.dtype(np.uint8)
#: Least magnitude of a ridge, as a fraction of full scale, as in scikit-image: a flat area has no ridges, even if the
#: thresholds are 0 and smoothing leaves rounding errors in it.
_LEAST_MAGNITUDE = 1e-14
#: Entries of the stack of a connected edge.
STACK = 2**16


def nodes(stage: StageSetup) -> list[Node]:
    """Return the nodes of a stage; transparent pixels count as black."""
    operator = stage.plan.stage.operator
    assert isinstance(operator, Canny)
    if operator.only_ridges:
        return [_Ridges(stage, with_alpha=stage.source.alpha)]
    edges = _Edges(stage)
    edges.reads = (1, 2) if stage.source.alpha else (1,)  # the ridges, and the picture for its alpha
    return [_Ridges(stage), edges]


class _Ridges(Node):
    """Ridges of the gradient's magnitude: strong, weak or none; as bytes or, with alpha, in the type of the result."""

    def __init__(self, stage: StageSetup, *, with_alpha: bool = False) -> None:
        operator = stage.plan.stage.operator
        assert isinstance(operator, Canny)
        self._stage, self._operator = stage, operator
        self._radius = operator.reach
        self.rows, self.row_shape = (
            stage.plan.rows.input,
            (stage.plan.cols.input, stage.plan.channels - (stage.source.alpha and not with_alpha)),
        )
        self.block_rows, self.dtype = stage.plan.block_rows, stage.dtype if with_alpha else RIDGE_TYPE
        self.cost, self.scratch_bytes = (
            stage.plan.multiply_adds * self.rows * self.row_shape[0],
            stage.plan.scratch_bytes,
        )
        self.overlap = 2.0 * (self._radius + _HALO)

    def demand(self, top: int, bottom: int, number: int = 0) -> Indices:
        """Return the rows that smoothing and gradients read."""
        reach = self._radius + _HALO
        return np.arange(max(0, top - reach), min(self.rows, bottom + reach))

    def crew(self, sources: Sequence[LineBuffer], target: LineBuffer, threads: int) -> Crew:
        """Return workers."""
        shape = self.rows, self.row_shape[0]

        def make() -> _Worker:
            return _Worker(self._stage.source, sources[0], target, self._operator, shape)

        return Workers(make, self.scratch_bytes)


class _Worker:
    """Finds the ridges of blocks of rows, in its own memory."""

    def __init__(
        self, source: Source, picture: LineBuffer, target: LineBuffer, operator: Canny, shape: tuple[int, int]
    ) -> None:
        self._source, self._target, self._operator, self._shape = source, target, operator, shape
        self._scratch = Scratch(np.float64)
        self._smoothing = Smoothing(source, picture, operator, shape, self._scratch)

    def __call__(self, rows: Rows) -> int:
        """Write the ridges of some rows."""
        top, bottom = rows
        height, cols = self._shape
        channels = self._source.channels - self._source.alpha
        pitch, count = (cols + 2 * _HALO) * channels, bottom - top + 2 * _HALO
        flat, magnitude = (self._scratch.get(name, count * pitch)[: count * pitch] for name in ("block", "magnitude"))
        block = flat.reshape(count, cols + 2 * _HALO, channels)
        first, last = max(0, top - _HALO), min(height, bottom + _HALO)
        place = first - (top - _HALO)
        has_value = self._smoothing.write(first, last, block[place : place + last - first])
        # Beyond the border, gradients read the mirrored rows and columns.
        beyond = np.array([place for place in range(-_HALO, cols + _HALO) if not 0 <= place < cols])
        block[:, beyond + _HALO] = block[:, _mirrored(beyond, cols) + _HALO]
        for row in range(top - _HALO, bottom + _HALO):
            if not first <= row < last:
                mirrored = int(_mirrored(np.array(row), height))
                block[row - top + _HALO] = block[min(max(mirrored, first), last - 1) - top + _HALO]
        magnitude[:pitch], magnitude[-pitch:] = 0, 0
        margins = magnitude.reshape(block.shape)
        margins[:, 0], margins[:, -1] = 0, 0
        GRADIENT_MAGNITUDE.variant(D=np.float64)(flat, pitch, count, pitch, channels, magnitude)
        target, full, size = self._target.rows(top, bottom), self._source.full, (bottom - top) * cols * channels
        with_alpha = target.shape[2] > channels
        marks = self._scratch.get("marks", size, RIDGE_TYPE)[:size] if with_alpha else target.reshape(-1)
        limits = max(0, 1 - top), min(bottom, height - 1) - top
        low, high = max(self._operator.low, _LEAST_MAGNITUDE) * full, self._operator.high * full
        RIDGES.variant(D=np.float64)(
            flat, pitch, bottom - top, cols, channels, magnitude, low, high, *limits, marks, cols * channels,
        )  # fmt: skip
        by_pixel = marks.reshape(bottom - top, cols, channels)
        if not has_value.all():  # no gradient beside a pixel without a value
            by_pixel[~_with_neighbours(has_value, place, bottom - top)] = 0
        if with_alpha:
            target[..., :channels] = by_pixel
            target[..., channels] = self._smoothing.alpha(top, bottom)
        return 0


def _with_neighbours(flags: Flags, place: int, rows: int) -> Flags:
    """Return where a flag and its eight neighbours are set, in ``rows`` rows with a halo.

    The first row of ``flags`` is row ``place`` of the halo. Cells beyond the flags count as set.
    """
    around = np.ones((rows + 2 * _HALO, flags.shape[1] + 2), bool)
    around[place : place + len(flags), 1:-1] = flags
    down = around[1:-3] & around[2:-2] & around[3:-1]
    return down[:, :-2] & down[:, 1:-1] & down[:, 2:]


def _mirrored(places: Indices, length: int) -> Indices:
    """Return the places on an axis, mirrored at its ends with the border repeated."""
    inside: Indices = places % (2 * length)
    return np.where(inside < length, inside, 2 * length - 1 - inside)


class _Edges(StageNode):
    """Strong ridges, and weak ridges connected to strong ones; a ridge may wind through the whole picture."""

    def __init__(self, stage: StageSetup) -> None:
        super().__init__(stage)
        self.jump, self.overlap, self.scratch_bytes = 1.0, self.rows, 8 * STACK

    def demand(self, top: int, bottom: int, number: int = 0) -> Indices:
        """Return all rows of the ridges, and the same rows of the picture."""
        return np.arange(top, bottom) if number else np.arange(self.plan.rows.input)

    def crew(self, sources: Sequence[LineBuffer], target: LineBuffer, threads: int) -> Crew:
        """Return workers."""
        return _Edging(self, sources, target)


class _Edging(Workers):
    """Stores the edges of blocks of rows, after the first block has found the edges of the whole picture."""

    def __init__(self, node: _Edges, sources: Sequence[LineBuffer], target: LineBuffer) -> None:
        super().__init__(lambda: self._store, node.scratch_bytes)
        self._stage, self._rows, self._sources, self._target = node.stage, node.rows, sources, target
        self._lock, self._found = threading.Lock(), False

    def begin(self) -> None:
        """Begin with another picture."""
        super().begin()
        self._found = False

    def _store(self, rows: Rows) -> int:
        ridges, *pictures = self._sources
        with self._lock:
            if not self._found:
                connect(ridges.rows(0, self._rows))
                self._found = True
        alpha = pictures[0].rows(*rows)[..., -1] if pictures else None
        store_edges(
            ridges.rows(*rows), alpha, self._stage.source.full, self._target.rows(*rows), self._stage.full_out,
            premultiplied=self._stage.source.premultiplied,
        )  # fmt: skip
        return 0


def connect(ridges: Samples) -> None:
    """Mark strong ridges, and weak ones that are connected to strong ones, as edges, in place."""
    height, cols, channels = ridges.shape
    stack = np.empty(STACK, np.int64)
    for channel in range(channels):
        HYSTERESIS.variant()(ridges.reshape(-1), height, cols, channels, channel, stack, STACK)


def store_edges(
    marks: Samples, alpha: Samples | None, full: float, out: Samples, full_out: float, *, premultiplied: bool
) -> None:
    """Store white on edges and black elsewhere, with the picture's alpha, whose white is ``full``."""
    colours = out[..., : marks.shape[2]]
    colours[...] = marks == _EDGE
    colours *= out.dtype.type(full_out)
    if alpha is not None:
        scaled = alpha * (full_out / full)
        out[..., -1] = np.rint(scaled) if out.dtype.kind == "u" else scaled
        if premultiplied:  # white times alpha
            np.minimum(colours, out[..., -1:], out=colours)
