"""Canny's edges: ridges of the gradient, a block of rows at a time, then hysteresis over the whole picture."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from convfilter.engine.borders import Indices
from convfilter.engine.buffer import LineBuffer, Samples, Scratch
from convfilter.engine.load import Source
from convfilter.engine.node import Crew, Node, Rows, StageNode, StageSetup
from convfilter.engine.workers import Workers
from convfilter.filters import kernels
from convfilter.filters.operators import CANNY_SIGMAS, Canny
from convfilter.native.loop import Loop
from convfilter.planning import LUMINANCE, LUMINANCE_DIVISOR
from convfilter.planning.methods.canny import canny_block_rows

SMOOTH = Loop("canny", "smooth", "D* i8 i8 i8 D* i8 i8 D* i8")
GRADIENT_MAGNITUDE = Loop("canny", "gradient_magnitude", "D* i8 i8 i8 i8 D*")
RIDGES = Loop("canny", "ridges", "D* i8 i8 i8 i8 D* D D i8 i8 u1* i8")
HYSTERESIS = Loop("canny", "hysteresis", "u1* i8 i8 i8 i8 i8* i8")

#: Halo of a ridge in pixels: its neighbour, and one pixel more for the neighbour's gradient.
_HALO = 2
#: Mark of an edge, in the picture of ridges.
_EDGE = 3
#: Type of the marks of ridges.
RIDGE_TYPE = np.dtype(np.uint8)
#: Entries of the stack of a connected edge.
STACK = 2**16

Real = npt.NDArray[np.float64]


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
        self.block_rows, self.dtype = canny_block_rows(stage.plan.rows), stage.dtype if with_alpha else RIDGE_TYPE
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
        factors = kernels.gaussian(self._operator.sigma, 0, CANNY_SIGMAS).factors
        assert factors is not None
        weights = factors[0]
        # Smoothed sums are divided by the weights that fall on the picture.
        down, along = (_share(weights, self._radius, length) for length in (self.rows, self.row_shape[0]))

        def make() -> _Worker:
            return _Worker(self._stage.source, sources[0], target, self._operator, weights, down, along)

        return Workers(make, self.scratch_bytes)


def _share(weights: Real, radius: int, length: int) -> Real:
    """Return, for each pixel of an axis, the sum of the weights that fall on the picture."""
    sums = np.concatenate([[0.0], np.cumsum(weights)])
    place = np.arange(length)
    first, last = np.maximum(radius - place, 0), np.minimum(radius + length - place, weights.size)
    shares: Real = sums[last] - sums[first]
    return shares


class _Worker:
    """Finds the ridges of blocks of rows, in its own memory."""

    def __init__(
        self,
        source: Source,
        picture: LineBuffer,
        target: LineBuffer,
        operator: Canny,
        weights: Real,
        down: Real,
        along: Real,
    ) -> None:
        self._source, self._picture, self._target, self._operator = source, picture, target, operator
        self._weights, self._down, self._along = weights, down, along
        self._scratch = Scratch(np.float64)

    def __call__(self, rows: Rows) -> int:
        """Write the ridges of some rows."""
        top, bottom = rows
        height, cols = len(self._down), len(self._along)
        channels = self._source.channels - self._source.alpha
        pitch, count = (cols + 2 * _HALO) * channels, bottom - top + 2 * _HALO
        flat, magnitude = (self._scratch.get(name, count * pitch)[: count * pitch] for name in ("block", "magnitude"))
        block = flat.reshape(count, cols + 2 * _HALO, channels)
        first, last = max(0, top - _HALO), min(height, bottom + _HALO)
        place = first - (top - _HALO)
        self._smooth(first, last, flat[place * pitch :], pitch)
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
        RIDGES.variant(D=np.float64)(
            flat, pitch, bottom - top, cols, channels, magnitude, self._operator.low * full,
            self._operator.high * full, *limits, marks, cols * channels,
        )  # fmt: skip
        if with_alpha:
            target[..., :channels] = marks.reshape(bottom - top, cols, channels)
            target[..., channels] = self._picture.rows(top, bottom)[..., -1]
        return 0

    def _smooth(self, top: int, bottom: int, out: Real, pitch: int) -> None:
        """Write smoothed rows, ``pitch`` samples apart, with room for the pixels at their ends."""
        radius, taps, height, scratch = self._weights.size // 2, self._weights.size, len(self._down), self._scratch
        first, last, rows = max(0, top - radius), min(height, bottom + radius), bottom - top
        image = self._colours(first, last)
        cols, channels = image.shape[1:]
        length, between_pitch = cols * channels, (cols + taps - 1) * channels
        tile = scratch.get("tile", (rows + taps - 1) * length)[: (rows + taps - 1) * length]
        shaped, above = tile.reshape(rows + taps - 1, cols, channels), first - (top - radius)
        shaped[:above], shaped[above + last - first :] = 0, 0
        shaped[above : above + last - first] = image
        between = scratch.get("between", rows * between_pitch)[: rows * between_pitch]
        margins = between.reshape(rows, between_pitch)
        margins[:, : radius * channels], margins[:, radius * channels + length :] = 0, 0
        loop, side = SMOOTH.variant(D=np.float64), _HALO * channels
        loop(tile, length, rows, length, self._weights, taps, length, between[radius * channels :], between_pitch)
        loop(between, between_pitch, rows, length, self._weights, taps, channels, out[side:], pitch)
        smoothed = out[: rows * pitch].reshape(rows, -1)[:, side:-side].reshape(rows, cols, channels)
        shares = scratch.get("shares", rows * cols)[: rows * cols].reshape(rows, cols)
        np.multiply(self._down[top:bottom, np.newaxis], self._along, out=shares)
        shares += np.finfo(float).eps
        smoothed /= shares[..., np.newaxis]

    def _colours(self, top: int, bottom: int) -> Samples:
        """Return rows of the picture: luminance, premultiplied colours, or samples as they are stored."""
        source = self._source
        image = self._picture.rows(top, bottom)
        if not (source.alpha or source.gray):
            return image
        colours: Real = (image[..., :-1] if source.alpha else image).astype(np.float64)
        if source.gray:
            colours = (colours @ np.array(LUMINANCE) / LUMINANCE_DIVISOR)[..., np.newaxis]
        if source.multiplies:
            colours = colours * (image[..., -1:] / source.full)
        return colours


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
