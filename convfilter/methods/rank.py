"""Rank filters: medians and percentiles of windows of any shape.

All samples are compared as integer keys: the keys of real samples are their bit patterns, or their ranks within the
tile. Three methods find the result: a selection network (``loops/select.py``, ``medians.py``), column histograms
(``loops/rank.py``), and a histogram that slides along a row (``loops/slide.py``). With alpha, a pixel's vote has the
weight of its alpha. With a mask, the valid pixels of a window are ranked; their number decides about the rank.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import gcd
from typing import Any

import numpy as np
import numpy.typing as npt

from convfilter.engine.borders import Indices
from convfilter.engine.buffer import LineBuffer, Samples, Scratch, aligned_array
from convfilter.engine.epilogue import Epilogue
from convfilter.engine.layout import Columns, columns_for
from convfilter.engine.load import Source
from convfilter.engine.mapped_stage import MappedStage, Region
from convfilter.engine.node import Crew, Node, Rows, StageNode, StageSetup
from convfilter.engine.threads import cut
from convfilter.engine.workers import Workers
from convfilter.filters.operators import Rank
from convfilter.methods import medians
from convfilter.native.loop import Loop
from convfilter.planning import LUMINANCE_DIVISOR, is_wide
from convfilter.planning.methods.rank import histogram_cols, network_of, rank_of, ranks_of, valid_ranks_of
from convfilter.planning.networks import Network
from convfilter.record import record, replace

SELECT = Loop("select", "select", "K* i8 i8 i8 i8 i8 i8 i8* i8 K* i8 i8* i8 i8* i8 i8 i8 K* K* K* i8")
SELECT_VALID = Loop(
    "select", "select_valid",
    "K* K* i8 i8 i8 i8 i8 i8 i8* i8 K* K* i8 i8* i8 i8* i8 i8* i8* i8* i8 i8 K* K* K* K* i8",
)  # fmt: skip
BY_COLUMNS = Loop("rank", "by_columns", "B* B* i8 i8 i8 i8 i8 i8 i8 i8* i8* i8 B* B* i8* i8 u2* u2* i8*")
APART = Loop("mask", "apart", "M* i8 i8 M* M* M*")
SLIDE = Loop(
    "slide", "slide",
    "K* i8 i8 i8 i8 i8 i8* i8 i8* i8 i8* i8 i8* i8 i8 i8* f8 i8* N* N* N* K* K* i8* i8 i8",
)  # fmt: skip

#: Samples behind a tile that loops may read and discard: four vectors of bytes.
TAIL = 4 * 64
#: Entries of a column's histogram.
_COUNTS = 288
#: What column histograms find beside the first sample, as in ``loops/rank.py``.
_BOTH, _MEAN = 1, 2
#: Alpha weights of real pictures are integers: white is this weight.
_OPAQUE_WEIGHT = 2.0**24
#: Largest alpha of real pictures, in multiples of white.
_MOST_OPAQUE = 2.0**7

_NONE = np.zeros(0, np.int64)

Real = npt.NDArray[np.float64]


def nodes(stage: StageSetup) -> list[Node]:
    """Return the node of a stage."""
    return [_Ranks(stage)]


class _Ranks(StageNode):
    """A node that finds ranks, region by region."""

    def crew(self, sources: Sequence[LineBuffer], target: LineBuffer, threads: int) -> Crew:
        """Return workers."""
        mapped, operator = self.mapped(sources[0]), self.plan.stage.operator
        assert isinstance(operator, Rank)
        median = medians.loop_for(self.plan, ranks_of(operator))
        if median is not None and self.stage.ranges is None:
            crew = medians.direct_crew(median, mapped, target, self.block_rows)
            if crew is not None:
                return crew
        epilogue = self.epilogue(mapped, target)
        return Workers(lambda: _Worker(mapped, epilogue, target, self.stage).compute, self.scratch_bytes)


@record(eq=False)
class _Tile:
    """The samples of some windows, as integer keys in the order of the samples.

    Attributes
    ----------
    keys : flat array
    pitch : int
        Samples of a row.
    columns : Columns
    samples : callable
        Converts keys to samples.
    decode : callable, or None
        Converts keys to samples in place, if both have the same size.
    has_nan : bool
        Whether a sample is NaN; the key of NaN is the largest.
    weights : flat int64 array, or None
        Weight of each sample; None if all are equal.
    marks : flat array of the type of ``keys``, or None
        With a mask, 1 for each valid sample and 0 for others, whose keys are the largest of the type.
    """

    keys: Samples
    pitch: int
    columns: Columns
    samples: Callable[[Samples], Samples]
    decode: Callable[[Samples], None] | None = None
    has_nan: bool = False
    weights: Indices | None = None
    marks: Samples | None = None


class _Worker:
    """Finds the ranks of blocks of rows, in its own memory."""

    def __init__(self, mapped: MappedStage, epilogue: Epilogue, target: LineBuffer, stage: StageSetup) -> None:
        operator = mapped.plan.stage.operator
        assert isinstance(operator, Rank)
        self._mapped, self._epilogue, self._target, self._fraction = mapped, epilogue, target, operator.fraction
        self._scratch = Scratch(mapped.plan.precision)
        self._finder = _finder(mapped, self._scratch)
        first, self._share = rank_of(operator.fraction, mapped.plan.kernel.nonzeros)
        self._ranks = (first, first + (self._share > 0))
        self._channels = mapped.source.channels - mapped.source.masked
        stores = replace(mapped, source=mapped.source.straight).stores_samples(target.dtype) and stage.ranges is None
        self._stores = stores and not mapped.source.alpha and self._share == 0
        #: Of each number of valid pixels.
        count = mapped.plan.kernel.nonzeros if mapped.source.masked else 0
        self._shares = np.array([0.0, *(rank_of(operator.fraction, n)[1] for n in range(1, count + 1))])
        self._stores_means = stores and bool(np.isin(self._shares, (0.0, 0.5)).all())

    def compute(self, rows: Rows) -> int:
        """Store output rows ``top`` to ``bottom - 1``; return the number of clipped samples."""
        cols = self._mapped.plan.cols.output
        return sum(self._rank_region(Region(*rows, *span)) for span in cut(cols, self._finder.strip_cols))

    def _rank_region(self, region: Region) -> int:
        """Find and store the ranks of a region; return the number of clipped samples."""
        tile = self._load(region)
        if tile.marks is not None:
            return self._rank_valid(region, tile)
        fits = tile.keys.dtype.itemsize == self._target.dtype.itemsize
        if self._stores and fits and tile.decode and not tile.has_nan and tile.weights is None:
            channels = self._mapped.source.channels
            out = self._target.rows(region.top, region.bottom).view(tile.keys.dtype)
            pitch = self._target.row_samples
            flat = out.reshape(-1)[region.left * channels :]
            self._finder.find(tile, region, self._ranks, (flat, flat), pitch)
            tile.decode(out[:, region.left : region.right])
            return 0
        return self._store(region, tile)

    def _rank_valid(self, region: Region, tile: _Tile) -> int:
        """Find and store the ranks of the valid samples of a region; return the number of clipped samples."""
        pitch = (region.right - region.left) * self._channels
        if self._stores_means and tile.samples is _keys_are_samples and not isinstance(self._finder, _Sliding):
            out, pitch = self._target.rows(region.top, region.bottom).reshape(-1), self._target.row_samples
            self._finder.find_means(tile, region, self._fraction, out[region.left * self._channels :], pitch)
            return 0
        shape = region.bottom - region.top, region.right - region.left, self._channels
        low, high, counts = (each.reshape(shape) for each in self._finder.find_valid(tile, region, self._fraction))
        values = interpolated(tile.samples(low), tile.samples(high), self._shares[counts])
        if tile.has_nan:
            last = self._finder.find_valid(tile, region, 1.0)[0]
            values[np.isnan(tile.samples(last)).reshape(shape)] = np.nan
        values[counts == 0] = 0.0
        return self._epilogue.store_values(region, values)

    def _store(self, region: Region, tile: _Tile) -> int:
        """Store ranks that interpolate two samples, or whose samples are scaled or converted."""
        source = self._mapped.source
        rows, cols, channels = region.bottom - region.top, region.right - region.left, source.channels
        values = self._scratch.get("values", rows * cols * channels, np.float64)[: rows * cols * channels]
        shape = rows, cols, channels
        values = values.reshape(shape)
        alpha = None
        if tile.weights is None:
            values[:] = interpolated(*self._at_ranks(tile, region, self._ranks), self._share).reshape(shape)
            if tile.has_nan:
                last = self._mapped.plan.kernel.nonzeros - 1
                values[np.isnan(self._at_ranks(tile, region, (last, last))[0].reshape(shape))] = np.nan
        else:
            assert isinstance(self._finder, _Sliding)
            values[:] = self._weighted(self._finder, tile, region)
            alpha = values[..., -1] / (LUMINANCE_DIVISOR if source.gray else 1.0)
            if source.premultiplied:
                values *= 1 / source.full * alpha[..., np.newaxis]
        return self._epilogue.store_values(region, values, alpha)

    def _at_ranks(self, tile: _Tile, region: Region, ranks: tuple[int, int]) -> tuple[Samples, Samples]:
        """Return the samples of two ranks."""
        size = (region.bottom - region.top) * (region.right - region.left) * self._mapped.source.channels
        out = [self._scratch.get(f"rank {number}", size, tile.keys.dtype)[:size] for number in range(2)]
        pitch = (region.right - region.left) * self._mapped.source.channels
        self._finder.find(tile, region, ranks, (out[0], out[1]), pitch)
        first = tile.samples(out[0])
        return first, first if ranks[0] == ranks[1] else tile.samples(out[1])

    def _weighted(self, finder: _Sliding, tile: _Tile, region: Region) -> Real:
        """Return ranks of colours weighted by alpha, and of alpha itself."""
        low, high, votes = finder.find_weighted(tile, region, self._fraction)
        count = self._mapped.plan.kernel.nonzeros
        shares = np.array([rank_of(self._fraction, n)[1] for n in range(1, count + 1)])
        share = np.where(votes < 0, 0.5, shares[np.maximum(votes, 1) - 1])
        values = interpolated(tile.samples(low), tile.samples(high), share)
        if tile.has_nan:
            last, _, _ = finder.find_weighted(tile, region, 1.0)
            values[np.isnan(tile.samples(last))] = np.nan
        values[votes == 0] = 0.0
        return values

    def _load(self, region: Region) -> _Tile:
        """Load the samples of a region's windows."""
        mapped, scratch = self._mapped, self._scratch
        source, axis = mapped.source, mapped.plan.rows
        rows = mapped.row_index[region.top * axis.stride : (region.bottom - 1) * axis.stride + axis.span + 1]
        columns = self._finder.columns(region)
        straight = source.straight
        has_integer_keys = source.dtype.kind == "u" and not is_wide(source.dtype) and source.pads_with_samples
        if has_integer_keys and not source.gray and not source.premultiplied:
            loaded, pitch = loaded_tile(straight, scratch, source.dtype, rows, columns)
            if source.masked:
                return self._marked(loaded, rows.size * columns.count, columns)
            weights = None
            if source.alpha:
                pixels = loaded[: rows.size * pitch].reshape(-1, source.channels)
                weights = _per_sample(pixels[:, -1].astype(np.int64), source.channels)
            return _Tile(loaded, pitch, columns, _keys_are_samples, _nothing_to_decode, False, weights)
        real = np.dtype(mapped.plan.precision)
        loaded, pitch = loaded_tile(straight, scratch, real, rows, columns)
        if source.masked:
            pixels = loaded[: rows.size * pitch].reshape(-1, source.channels)
            return self._keyed_and_marked(pixels, columns)
        weights = None
        if source.alpha:
            pixels = loaded[: rows.size * pitch].reshape(-1, source.channels)
            if source.premultiplied:
                loaded = _straight(pixels, source.full).reshape(-1)
                pixels = loaded.reshape(-1, source.channels)
            weights = _votes(pixels[:, -1] / (LUMINANCE_DIVISOR if source.gray else 1.0), source)
            weights = _per_sample(weights, source.channels)
        return self._keyed(loaded, rows.size * pitch, pitch, columns, weights)

    def _marked(self, loaded: Samples, count: int, columns: Columns) -> _Tile:
        """Return a tile of integer samples beside their mask."""
        channels, kind = self._channels, loaded.dtype
        keys, marks = (self._scratch.get(name, count * channels + TAIL, kind) for name in ("keys", "marks"))
        APART.variant(M=kind)(loaded, count, channels, np.array([np.iinfo(kind).max], kind), keys, marks)
        marks[count * channels :] = 0
        return _Tile(keys, columns.count * channels, columns, _keys_are_samples, _nothing_to_decode, marks=marks)

    def _keyed_and_marked(self, pixels: Samples, columns: Columns) -> _Tile:
        """Return real (pixels, channels) samples beside their mask as integer keys."""
        channels, size = self._channels, len(pixels) * self._channels
        loaded = self._scratch.get("colours", size + TAIL, pixels.dtype)
        loaded[:size].reshape(-1, channels)[:] = pixels[:, :-1]
        tile = self._keyed(loaded, size, columns.count * channels, columns, None)
        marks = self._scratch.get("marks", size + TAIL, np.int32)
        marks[:size] = np.repeat(pixels[:, -1] > 0, channels)
        marks[size:] = 0
        if not isinstance(self._finder, _Sliding):
            tile.keys[:size][marks[:size] == 0] = np.iinfo(np.int32).max
        return replace(tile, marks=marks)

    def _keyed(self, loaded: Samples, size: int, pitch: int, columns: Columns, weights: Indices | None) -> _Tile:
        """Return real samples as integer keys in the same order."""
        samples = loaded[:size]
        nan = np.isnan(samples)
        has_nan = bool(nan.any())
        if has_nan:
            samples[nan] = np.nan  # a negative NaN, too, must come last
        if loaded.dtype == np.float32 and not isinstance(self._finder, _Sliding):
            keys = loaded.view(np.int32)
            flip_negatives(keys[:size])
            return _Tile(keys, pitch, columns, _flipped, flip_negatives, has_nan, weights)
        if loaded.dtype == np.float32:
            table, places = np.unique(_flipped(samples.view(np.int32)).view(np.int32), return_inverse=True)
            table = _flipped(table)
        else:
            table, places = np.unique(samples, return_inverse=True)
        keys = np.zeros(size + TAIL, np.int32)
        keys[:size] = places
        return _Tile(keys, pitch, columns, lambda keys: table[keys], None, has_nan, weights)


def interpolated(low: Samples, high: Samples, share: float | Real) -> Real:
    """Interpolate between two samples as ``numpy.percentile`` does; a share of 0 is the first, also beside infinity."""
    first = low.astype(np.float64)
    if low is high:
        return first
    with np.errstate(invalid="ignore", over="ignore"):
        difference = high.astype(np.float64)
        second = difference.copy()
        difference -= first
        from_second = second - difference * (1 - np.asarray(share))
        between = np.where(np.less(share, 0.5), first + difference * share, from_second)
    return np.where((first == second) | np.equal(share, 0), first, between)


def _keys_are_samples(keys: Samples) -> Samples:
    return keys


def _nothing_to_decode(_keys: Samples) -> None:
    pass


def flip_negatives(keys: Samples) -> None:
    """Convert bit patterns of real samples to integers in the order of the samples, in place; its own inverse."""
    whole = keys.view(f"i{keys.dtype.itemsize}")
    whole ^= (whole >> (8 * whole.itemsize - 1)) & np.iinfo(whole.dtype).max


def _flipped(keys: Samples) -> Samples:
    samples: Samples = (keys ^ ((keys >> 31) & np.int32(0x7FFFFFFF))).view(np.float32)
    return samples


def loaded_tile(
    source: Source, scratch: Scratch, dtype: np.dtype[Any], rows: Indices, columns: Columns
) -> tuple[Samples, int]:
    """Load selected rows and columns as samples of a type; return the flat tile, with a tail, and its pitch."""
    real_scratch = Scratch(dtype)
    if dtype.kind == "u":  # loops on integer samples take an integer padding value
        value: Any = int(source.padding_value)
        source = replace(source, padding_value=value)
    pitch = columns.count * source.channels
    tile = scratch.get("tile", rows.size * pitch + TAIL, dtype)
    for call in source.load_calls(real_scratch, rows, rows.size, columns, tile):
        call()
    return tile, pitch


def _straight(pixels: Samples, full: float) -> Samples:
    """Return premultiplied pixels with straight colours."""
    alpha = pixels[:, -1:].astype(np.float64)
    straight = np.divide(pixels * full, alpha, out=np.zeros(pixels.shape), where=alpha > 0)
    straight[:, -1:] = alpha
    return straight


def _votes(alpha: Samples, source: Source) -> Indices:
    """Return alpha as integer weights; negative alpha, which signed samples can hold, has none."""
    if source.is_finite:
        return np.rint(np.maximum(alpha, 0)).astype(np.int64)
    share = np.nan_to_num(alpha.astype(np.float64) / source.full, nan=0.0)
    return np.rint(np.clip(share, 0.0, _MOST_OPAQUE) * _OPAQUE_WEIGHT).astype(np.int64)


def _per_sample(votes: Indices, channels: int) -> Indices:
    return np.repeat(votes, channels)


# Methods ------------------------------------------------------------------------------


def _finder(mapped: MappedStage, scratch: Scratch) -> _ByNetwork | _ByColumns | _Sliding:
    match mapped.plan.algorithm:
        case "network":
            return _ByNetwork(mapped, scratch)
        case "histograms":
            return _ByColumns(mapped, scratch)
    return _Sliding(mapped, scratch)


class _Finder:
    """Finds samples of a rank in a tile.

    Attributes
    ----------
    strip_cols : int
        Output columns of a tile.
    """

    def __init__(self, mapped: MappedStage, scratch: Scratch) -> None:
        self._mapped, self._scratch, self.strip_cols = mapped, scratch, mapped.plan.cols.output
        self._rows, self._cols = mapped.plan.rows, mapped.plan.cols
        self._channels = mapped.source.channels - mapped.source.masked

    def columns(self, region: Region) -> Columns:
        """Return the columns of a region's windows, in the layout of its tile."""
        return columns_for(self._cols, self._mapped.col_index, region.left, region.right)

    def find(
        self, tile: _Tile, region: Region, ranks: tuple[int, int], out: tuple[Samples, Samples], pitch: int
    ) -> None:
        """Write the keys of two ranks, in rows ``pitch`` samples apart; equal ranks are written once, to ``out[0]``."""
        raise NotImplementedError

    def find_valid(self, tile: _Tile, region: Region, fraction: float) -> tuple[Samples, Samples, Samples]:
        """Return the keys of two ranks among the valid samples of each window, and the number of these samples."""
        raise NotImplementedError

    def find_means(self, tile: _Tile, region: Region, fraction: float, out: Samples, pitch: int) -> None:
        """Write the mean of these keys, rounded half to even, in rows ``pitch`` samples apart."""
        raise NotImplementedError


class _ByNetwork(_Finder):
    """Compares pairs of taps in a selection network."""

    def find(
        self, tile: _Tile, region: Region, ranks: tuple[int, int], out: tuple[Samples, Samples], pitch: int
    ) -> None:
        """Write the keys of two ranks."""
        rows = self._rows
        height, length = region.bottom - region.top, (region.right - region.left) * self._channels
        network = network_of(self._mapped.plan.kernel, ranks)
        row_distance = rows.dilation * tile.pitch
        kind = tile.keys.dtype
        median = medians.loop_for(self._mapped.plan, ranks)
        if median is not None:
            keys, target = (tile.keys, tile.pitch), (out[0], pitch)
            medians.write_medians(median, self._scratch, self._mapped, keys, (height, length), target)
            return
        taps = self._taps(tile, network)
        columns = self._scratch.get("columns", (rows.kernel * tile.pitch if network.columns else 0) + TAIL, kind)
        lines = self._scratch.get("lines", taps.size * TAIL // kind.itemsize, kind)
        SELECT.variant(K=kind)(
            tile.keys, tile.pitch, rows.stride, height, length, rows.kernel, row_distance,
            _flat(network.columns), len(network.columns), columns, tile.pitch,
            taps, taps.size, _flat(network.pairs), len(network.pairs), network.lines[0],
            network.lines[-1], lines, *out, pitch,
        )  # fmt: skip

    def find_valid(self, tile: _Tile, region: Region, fraction: float) -> tuple[Samples, Samples, Samples]:
        """Return two keys of each sample, and its number of valid samples."""
        pitch = (region.right - region.left) * self._channels
        low, high, counts = (np.empty((region.bottom - region.top) * pitch, tile.keys.dtype) for _ in range(3))
        self._select_valid(tile, region, fraction, False, (low, high, counts), pitch)
        return low, high, counts

    def find_means(self, tile: _Tile, region: Region, fraction: float, out: Samples, pitch: int) -> None:
        """Write the mean of two keys of each sample."""
        self._select_valid(tile, region, fraction, True, (out, out, out), pitch)

    def _select_valid(
        self,
        tile: _Tile,
        region: Region,
        fraction: float,
        averages: bool,
        out: tuple[Samples, Samples, Samples],
        pitch: int,
    ) -> None:
        assert tile.marks is not None
        rows, kernel, kind = self._rows, self._mapped.plan.kernel, tile.keys.dtype
        ranks = valid_ranks_of(fraction, kernel.nonzeros)
        network = network_of(kernel, ranks)
        found = [rank_of(fraction, count) for count in range(1, kernel.nonzeros + 1)]
        # The least number of samples, counted from 1, whose rank is at least the one in a line.
        firsts = np.searchsorted([first for first, _ in found], ranks) + 1
        seconds = np.searchsorted([first + (share > 0) for first, share in found], ranks) + 1
        taps = self._taps(tile, network)
        columns, marks = (
            self._scratch.get(name, (count * tile.pitch if network.columns else 0) + TAIL, kind)
            for name, count in (("columns", rows.kernel), ("mark columns", 1))
        )
        lines = self._scratch.get("lines", (taps.size + 3) * TAIL // kind.itemsize, kind)
        height, length = region.bottom - region.top, (region.right - region.left) * self._channels
        SELECT_VALID.variant(K=kind)(
            tile.keys, tile.marks, tile.pitch, rows.stride, height, length, rows.kernel, rows.dilation * tile.pitch,
            _flat(network.columns), len(network.columns), columns, marks, tile.pitch,
            taps, taps.size, _flat(network.pairs), len(network.pairs), np.array(network.lines, np.int64),
            firsts, seconds, len(ranks), int(averages), lines, *out, pitch,
        )  # fmt: skip

    def _taps(self, tile: _Tile, network: Network) -> Indices:
        """Return the offset of each line's samples from those of the first output."""
        rows, offsets = self._rows, tile.columns.tap_offset * self._channels
        if network.columns:
            taps = (np.arange(rows.kernel)[:, np.newaxis] * tile.pitch + offsets).ravel()
        else:
            down, along = np.nonzero(self._mapped.plan.kernel.matrix)
            taps = down * rows.dilation * tile.pitch + offsets[along]
        return np.ascontiguousarray(taps)


def _flat(pairs: Sequence[tuple[int, int, int]]) -> Indices:
    return np.array(pairs, np.int64).reshape(-1)


class _ByColumns(_Finder):
    """Uses column histograms: for rectangles of bytes without stride or dilation."""

    def __init__(self, mapped: MappedStage, scratch: Scratch) -> None:
        super().__init__(mapped, scratch)
        self.strip_cols = histogram_cols(mapped.plan)
        self._window, self._current = aligned_array(_COUNTS, np.uint16), np.zeros(8, np.int64)

    def find(
        self, tile: _Tile, region: Region, ranks: tuple[int, int], out: tuple[Samples, Samples], pitch: int
    ) -> None:
        """Write the keys of two ranks."""
        size = self._rows.kernel * self._cols.kernel + 1
        firsts, seconds = (np.full(size, rank, np.int64) for rank in ranks)
        self._count(tile, region, (firsts, seconds), _BOTH * (ranks[0] != ranks[1]), (*out, _NONE), pitch)

    def find_valid(self, tile: _Tile, region: Region, fraction: float) -> tuple[Samples, Samples, Samples]:
        """Return two keys of each sample, and its number of valid samples."""
        pitch = (region.right - region.left) * self._channels
        size = (region.bottom - region.top) * pitch
        low, high = (np.empty(size, tile.keys.dtype) for _ in range(2))
        counts = np.empty(size, np.int64)
        self._count(tile, region, self._places(fraction), _BOTH, (low, high, counts), pitch)
        return low, high, counts

    def find_means(self, tile: _Tile, region: Region, fraction: float, out: Samples, pitch: int) -> None:
        """Write the mean of two keys of each sample."""
        self._count(tile, region, self._places(fraction), _MEAN, (out, out, _NONE), pitch)

    def _places(self, fraction: float) -> tuple[Indices, Indices]:
        """Return the two ranks of each number of samples."""
        found = [(0, 0.0), *(rank_of(fraction, n) for n in range(1, self._rows.kernel * self._cols.kernel + 1))]
        firsts, shares = (np.array(each) for each in zip(*found, strict=True))
        return firsts, firsts + (shares > 0)

    def _count(
        self,
        tile: _Tile,
        region: Region,
        places: tuple[Indices, Indices],
        wanted: int,
        out: tuple[Samples, Samples, Indices],
        pitch: int,
    ) -> None:
        counts = self._scratch.get("counts", _COUNTS * tile.columns.count, np.uint16)
        marks = tile.keys if tile.marks is None else tile.marks
        BY_COLUMNS.variant(B=np.uint8)(
            tile.keys, marks, int(tile.marks is not None), tile.pitch, region.bottom - region.top, self._rows.kernel,
            region.right - region.left, self._cols.kernel, self._channels, *places, wanted, *out, pitch,
            counts, self._window, self._current,
        )  # fmt: skip


class _Sliding(_Finder):
    """Uses a histogram that slides along each row: for any window and any samples."""

    def __init__(self, mapped: MappedStage, scratch: Scratch) -> None:
        super().__init__(mapped, scratch)
        cols = self._cols
        common = gcd(cols.stride, cols.dilation)
        #: Outputs this far apart read the same dilated columns, shifted by ``shift`` taps.
        self._phases, shift = cols.dilation // common, cols.stride // common
        cells = np.asarray(mapped.plan.kernel.matrix != 0)
        leaving, entering = cells.copy(), cells.copy()
        if shift < cells.shape[1]:
            leaving[:, shift:] &= ~cells[:, :-shift]
            entering[:, :-shift] &= ~cells[:, shift:]
        self._taps, self._leaving, self._entering = (np.nonzero(each) for each in (cells, leaving, entering))
        self._counts: dict[tuple[int, Any], list[Samples]] = {}

    def columns(self, region: Region) -> Columns:
        """Return the columns of a region's windows, in source order."""
        cols = self._cols
        first, last = region.left * cols.stride, (region.right - 1) * cols.stride + 1
        return columns_for(replace(cols, stride=1), self._mapped.col_index, first, last)

    def find(
        self, tile: _Tile, region: Region, ranks: tuple[int, int], out: tuple[Samples, Samples], pitch: int
    ) -> None:
        """Write the keys of two ranks."""
        count = self._taps[0].size
        kinds = self._scratch.get("kinds", (region.bottom - region.top) * pitch, np.int64)
        for rank, keys in zip(dict.fromkeys(ranks), out, strict=False):
            unused = self._scratch.get("unused", keys.size, keys.dtype)
            for channel in range(self._channels):
                places = np.full(count + 1, rank)
                self._slide(tile, region, channel, places, 0.0, None, (keys, unused, kinds), pitch)

    def find_valid(self, tile: _Tile, region: Region, fraction: float) -> tuple[Samples, Samples, Samples]:
        """Return two keys of each sample, and its number of valid samples."""
        assert tile.marks is not None
        weights = tile.marks.astype(np.int64)
        return self._find_voted(tile, region, fraction, [weights] * self._channels)

    def find_weighted(self, tile: _Tile, region: Region, fraction: float) -> tuple[Samples, Samples, Indices]:
        """Return two keys of each sample, and its number of votes or -1; for alpha, all pixels have equal votes.

        The number of votes is that of pixels with equal alpha; -1: alpha differs, and the keys decide by its sum.
        """
        shape = region.bottom - region.top, region.right - region.left, self._channels
        found = self._find_voted(tile, region, fraction, [tile.weights] * (self._channels - 1) + [None])
        low, high, votes = (each.reshape(shape) for each in found)
        return low, high, votes

    def _find_voted(
        self, tile: _Tile, region: Region, fraction: float, weights: list[Indices | None] | list[Indices]
    ) -> tuple[Samples, Samples, Indices]:
        """Return two keys of each sample and its number of votes; each channel has its weights."""
        pitch = (region.right - region.left) * self._channels
        size = (region.bottom - region.top) * pitch
        out = np.empty(size, tile.keys.dtype), np.empty(size, tile.keys.dtype), np.empty(size, np.int64)
        places = np.array([rank_of(fraction, n)[0] if n else 0 for n in range(self._taps[0].size + 1)])
        for channel, of_channel in enumerate(weights):
            self._slide(tile, region, channel, places, fraction, of_channel, out, pitch)
        return out

    def _slide(
        self,
        tile: _Tile,
        region: Region,
        channel: int,
        places: Indices,
        fraction: float,
        weights: Indices | None,
        out: tuple[Samples, Samples, Indices],
        pitch: int,
    ) -> None:
        cols, rows, channels = self._cols, self._rows, self._channels
        row_distance, col_distance = rows.dilation * tile.pitch, cols.dilation * channels

        def offsets(cells: tuple[Indices, ...]) -> Indices:
            return np.ascontiguousarray(cells[0] * row_distance + cells[1] * col_distance)

        taps, entering, leaving = (offsets(each) for each in (self._taps, self._entering, self._leaving))
        levels = 256**tile.keys.dtype.itemsize if tile.keys.dtype.kind == "u" else int(tile.keys.max()) + 1
        kind = np.dtype(np.int32 if weights is None else np.int64)
        none = np.empty(0, np.int64)
        height, width = region.bottom - region.top, region.right - region.left
        SLIDE.variant(K=tile.keys.dtype, N=kind)(
            tile.keys[channel:], tile.pitch, rows.stride, height, cols.stride * channels, width,
            none if weights is None else weights[channel:], int(weights is not None),
            taps, taps.size, entering, entering.size, leaving, leaving.size, self._phases,
            places, fraction, np.zeros(4, np.int64), *self._histogram(levels, kind),
            *(each[channel:] for each in out), pitch, channels,
        )  # fmt: skip

    def _histogram(self, levels: int, kind: np.dtype[Any]) -> list[Samples]:
        """Return the counts of a histogram, in bins of 1, 16 and 256 keys: all zero, and zero again after each loop."""
        size = max(256, 1 << (levels - 1).bit_length())
        if (size, kind) not in self._counts:
            self._counts[size, kind] = [np.zeros(size >> bits, kind) for bits in (0, 4, 8)]
        return self._counts[size, kind]
