"""Tiles of samples as integer keys in the order of the samples, which rank filters and morphology compare.

The keys of real samples are their bits, converted (``loops/float_keys.py``), or their ranks within the tile.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from convfilter.engine.borders import Indices
from convfilter.engine.buffer import Samples, Scratch
from convfilter.engine.layout import Columns
from convfilter.engine.load import Source
from convfilter.engine.mapped_stage import MappedStage, Region
from convfilter.native.loop import Loop
from convfilter.planning import LUMINANCE_DIVISOR
from convfilter.record import record, replace
from convfilter.sample_types import is_wide

TO_KEYS = Loop("float_keys", "to_keys", "u4* i8 u4*")
FROM_KEYS = Loop("float_keys", "from_keys", "u4* i8")
SPLIT_MASK = Loop("mask", "split_mask", "M* i8 i8 M* M* M*")

#: Samples beyond a tile that loops may read and discard: four vectors of bytes.
TAIL = 4 * 64
#: The key of minus infinity, below which are those of negative NaNs, and the key of NaN.
_LEAST_KEY, _NAN_KEY = 0x007FFFFF, 0xFFC00000
#: Alpha weights of real pictures are integers: white is this weight.
_OPAQUE_WEIGHT = 2.0**24
#: Largest alpha of real pictures, in multiples of white.
_MOST_OPAQUE = 2.0**7


@record(eq=False)
class Tile:
    """The samples of some windows, as integer keys in the order of the samples.

    Attributes
    ----------
    keys : flat array
    pitch : int
        Distance of rows, in samples.
    columns : Columns
    samples : callable
        Converts keys to samples.
    decode : callable, or None
        Converts keys to samples in place, if both have the same size.
    has_nan : bool
        Whether a sample is NaN; the key of NaN is the largest.
    weights : flat int64 array, or None
        Weight of each sample; None if all are equal.
    valid : flat array of the type of ``keys``, or None
        With a mask, 1 for each valid sample and 0 for others, whose keys are the largest of the type.
    """

    keys: Samples
    pitch: int
    columns: Columns
    samples: Callable[[Samples], Samples]
    decode: Callable[[Samples], None] | None = None
    has_nan: bool = False
    weights: Indices | None = None
    valid: Samples | None = None

    @property
    def holds_samples(self) -> bool:
        """Whether the keys are the samples themselves."""
        return self.samples is _keys_are_samples


class TileLoader:
    """Loads the windows of a region as a tile.

    Parameters
    ----------
    mapped : MappedStage
    scratch : Scratch
    columns_of : callable
        Returns the columns of a region's windows, in the layout of the tile.
    takes_bit_patterns : bool
        Whether keys may be those of float32 bits; otherwise they are ranks within the tile, counted from 0.
    """

    def __init__(
        self, mapped: MappedStage, scratch: Scratch, columns_of: Callable[[Region], Columns], takes_bit_patterns: bool
    ) -> None:
        self._mapped, self._scratch, self._columns_of = mapped, scratch, columns_of
        self._takes_bit_patterns = takes_bit_patterns
        self._channels = mapped.source.channels - mapped.source.masked

    def load(self, region: Region) -> Tile:
        """Load the samples of a region's windows."""
        mapped, scratch = self._mapped, self._scratch
        source, axis = mapped.source, mapped.plan.rows
        rows = mapped.row_index[region.top * axis.stride : (region.bottom - 1) * axis.stride + axis.span + 1]
        columns = self._columns_of(region)
        straight = source.straight
        has_integer_keys = source.dtype.kind == "u" and not is_wide(source.dtype) and source.pads_with_samples
        if has_integer_keys and not source.gray and not source.premultiplied:
            loaded, pitch = loaded_tile(straight, scratch, source.dtype, rows, columns)
            if source.masked:
                return self._with_mask(loaded, rows.size * columns.count, columns)
            weights = None
            if source.alpha:
                pixels = loaded[: rows.size * pitch].reshape(-1, source.channels)
                weights = _per_sample(pixels[:, -1].astype(np.int64), source.channels)
            return Tile(loaded, pitch, columns, _keys_are_samples, _nothing_to_decode, False, weights)
        real = np.dtype(mapped.plan.precision)
        loaded, pitch = loaded_tile(straight, scratch, real, rows, columns)
        if source.masked:
            pixels = loaded[: rows.size * pitch].reshape(-1, source.channels)
            return self._keyed_with_mask(pixels, columns)
        weights = None
        if source.alpha:
            pixels = loaded[: rows.size * pitch].reshape(-1, source.channels)
            if source.premultiplied:
                loaded = _straight(pixels, source.full).reshape(-1)
                pixels = loaded.reshape(-1, source.channels)
            weights = _votes(pixels[:, -1] / (LUMINANCE_DIVISOR if source.gray else 1.0), source)
            weights = _per_sample(weights, source.channels)
        return self._keyed(loaded, rows.size * pitch, pitch, columns, weights)

    def _with_mask(self, loaded: Samples, count: int, columns: Columns) -> Tile:
        """Return a tile of integer samples, with their mask."""
        channels, kind = self._channels, loaded.dtype
        keys, valid = (self._scratch.get(name, count * channels + TAIL, kind) for name in ("keys", "valid"))
        SPLIT_MASK.variant(M=kind)(loaded, count, channels, np.array([np.iinfo(kind).max], kind), keys, valid)
        valid[count * channels :] = 0
        return Tile(keys, columns.count * channels, columns, _keys_are_samples, _nothing_to_decode, valid=valid)

    def _keyed_with_mask(self, pixels: Samples, columns: Columns) -> Tile:
        """Return real (pixels, channels) samples, the last of which is the mask, as integer keys with their mask."""
        channels, size = self._channels, len(pixels) * self._channels
        loaded = self._scratch.get("colours", size + TAIL, pixels.dtype)
        loaded[:size].reshape(-1, channels)[:] = pixels[:, :-1]
        tile = self._keyed(loaded, size, columns.count * channels, columns, None)
        valid = self._scratch.get("valid", size + TAIL, np.uint32)
        valid[:size] = np.repeat(pixels[:, -1] > 0, channels)
        valid[size:] = 0
        if self._takes_bit_patterns:
            tile.keys[:size][valid[:size] == 0] = np.iinfo(np.uint32).max
        return replace(tile, valid=valid)

    def _keyed(self, loaded: Samples, size: int, pitch: int, columns: Columns, weights: Indices | None) -> Tile:
        """Return real samples as integer keys in the same order; float32 samples are overwritten."""
        if loaded.dtype == np.float32:
            keys = loaded.view(np.uint32)
            has_nan = _to_keys(keys[:size])
            if self._takes_bit_patterns:
                return Tile(keys, pitch, columns, _from_keys, _decode_keys, has_nan, weights)
            table, places = np.unique(keys[:size], return_inverse=True)
            table = _from_keys(table)
        else:
            table, places = np.unique(loaded[:size], return_inverse=True)
            has_nan = bool(np.isnan(table[-1]))
        keys = np.zeros(size + TAIL, np.uint32)
        keys[:size] = places
        return Tile(keys, pitch, columns, lambda keys: table[keys], None, has_nan, weights)


def _keys_are_samples(keys: Samples) -> Samples:
    return keys


def _nothing_to_decode(_keys: Samples) -> None:
    pass


def _to_keys(samples: Samples) -> bool:
    """Replace the bits of flat float32 samples by keys, all NaNs last; return whether there is a NaN."""
    has_nan = bool(TO_KEYS.variant()(samples, samples.size, samples))
    if has_nan:
        samples[samples < _LEAST_KEY] = _NAN_KEY
    return has_nan


def _from_keys(keys: Samples) -> Samples:
    samples = keys.copy()
    _decode_keys(samples)
    return samples.view(np.float32)


def _decode_keys(keys: Samples) -> None:
    """Replace keys by the bits of their samples; each row is contiguous."""
    decode = FROM_KEYS.variant()
    for part in [keys] if keys.flags.c_contiguous else keys:
        decode(part, part.size)


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
    """Return alpha as integer weights; the weight of negative alpha, which signed samples can hold, is 0."""
    if source.is_finite:
        return np.rint(np.maximum(alpha, 0)).astype(np.int64)
    share = np.nan_to_num(alpha.astype(np.float64) / source.full, nan=0.0)
    return np.rint(np.clip(share, 0.0, _MOST_OPAQUE) * _OPAQUE_WEIGHT).astype(np.int64)


def _per_sample(votes: Indices, channels: int) -> Indices:
    return np.repeat(votes, channels)
