"""Decode the rows of a TIFF page in order: strips, or rows of tiles, several of them in parallel."""

from __future__ import annotations

import math
import operator
import threading
from array import array
from collections.abc import Iterator
from typing import Any, BinaryIO

import numpy as np

from convfilter.picture.metadata.tiff_numbers import (
    CONTIGUOUS,
    OLD_JPEG,
    STRIP_BYTE_COUNTS,
    STRIP_OFFSETS,
    UNCOMPRESSED,
)
from convfilter.picture.parallel import in_order
from convfilter.picture.pixels import Pixels
from convfilter.picture.place.source import read_into
from convfilter.picture.tiff import segments as tiff_segments
from convfilter.picture.tiff.damaged import decoding
from convfilter.picture.tiff.layout import Image, group_rows

#: Approximate size of the bands in which uncompressed rows are read.
BAND_BYTES = 1 << 20
#: Most decoded bytes of a strip or row of tiles; pages with larger ones are decoded as a whole by tifffile.
MOST_BYTES = 1 << 26
_FILL_FROM_HIGH = 1


def streaming_obstacle(image: Image) -> str:
    """Return why a page cannot be decoded band by band; "" if it can."""
    page = image.page
    if image.mask is not None or image.slice:
        return "its pages have masks, or share one directory"
    if int(page.planarconfig) != CONTIGUOUS and page.samplesperpixel > 1:
        return "its channels lie one after the other"
    if int(page.compression) == OLD_JPEG:
        return "it holds a JPEG, which is decoded in one piece"
    if _is_uncompressed(page) and not _has_whole_strips(page):
        return "its strips are shorter than their rows"
    if not _is_uncompressed(page) and group_rows(page) * int(page.imagewidth) * _pixel_bytes(page) > MOST_BYTES:
        return "its strips are too large"
    return ""


class Rows:
    """Decodes a page whose :func:`streaming_obstacle` is "".

    Parameters
    ----------
    page : tifffile.TiffPage
    file : BinaryIO
        The page's file; the object serialises the reads of its threads.
    threads : int or None
        Threads that decode; None: one for each core.
    """

    def __init__(self, page: Any, file: BinaryIO, threads: int | None) -> None:
        self._page, self._file, self._threads = page, file, threads
        self._lock = threading.Lock()
        self.is_plain = _is_uncompressed(page)
        self._order = page.parent.byteorder
        # Read from the file now: tifffile closes it later.
        self._tables = {"jpegtables": page.jpegtables, "jpegheader": page.jpegheader}
        self._decode = None if self.is_plain else page.decode
        self._check = tiff_segments.SegmentCheck(page)
        if self.is_plain:
            _compact_strips(page)

    @property
    def band_bytes(self) -> int:
        """Approximate size of a band in bytes."""
        return (
            BAND_BYTES
            if self.is_plain
            else group_rows(self._page) * int(self._page.imagewidth) * _pixel_bytes(self._page)
        )

    def bands(self) -> Iterator[Pixels]:
        """Yield (rows, width, samples) arrays of the page's sample type.

        The next array may lie in the memory of the one before, if samples are stored uncompressed.
        """
        if self.is_plain:
            yield from self._uncompressed()
            return
        page = self._page
        groups = range(-(-int(page.imagelength) // group_rows(page)))
        yield from in_order(self._group, groups, self._threads)

    def _uncompressed(self) -> Iterator[Pixels]:
        page = self._page
        width, samples, height = int(page.imagewidth), int(page.samplesperpixel), int(page.imagelength)
        row_bytes = width * _pixel_bytes(page)
        stored = page.dtype.newbyteorder(self._order)
        step = max(1, BAND_BYTES // row_bytes)
        strip_rows = group_rows(page)
        memory = np.empty(min(step, strip_rows, height) * row_bytes, np.uint8)
        for number, strip in enumerate(range(0, height, strip_rows)):
            rows = min(strip_rows, height - strip)
            for top in range(0, rows, step):
                count = min(step, rows - top)
                data = memory[: count * row_bytes]
                self._file.seek(page.dataoffsets[number] + top * row_bytes)
                data[read_into(self._file, data.data) :] = 0
                yield data.view(stored).reshape(count, width, samples).astype(page.dtype, copy=False)

    def _group(self, number: int) -> Pixels:
        """Decode a strip, or a row of tiles."""
        page = self._page
        height, width, samples = int(page.imagelength), int(page.imagewidth), int(page.samplesperpixel)
        top, across = number * group_rows(page), _across(page)
        group = np.full((min(group_rows(page), height - top), width, samples), page.nodata, page.dtype)
        for index in range(number * across, (number + 1) * across):
            length = page.databytecounts[index]
            if not length:
                continue
            data = self._read(page.dataoffsets[index], length)
            assert self._decode is not None
            with decoding(page):
                if self._check.is_needed:
                    self._check.require_sound(data)
                segment, (_, _, row, col, _), _ = self._decode(data, index, **self._tables)
            piece = segment[0, : height - row, : width - col]
            group[row - top : row - top + piece.shape[0], col : col + piece.shape[1]] = piece
        return group

    def _read(self, offset: int, length: int) -> bytes:
        with self._lock:
            self._file.seek(offset)
            return self._file.read(length)


def _compact_strips(page: Any) -> None:
    """Keep the places of strips in 16 bytes each, a fifth of what the values of tifffile's tags take."""
    page.dataoffsets, page.databytecounts = array("q", page.dataoffsets), array("q", page.databytecounts)
    for tag in (STRIP_OFFSETS, STRIP_BYTE_COUNTS):
        if tag in page.tags:
            del page.tags[tag]


def _is_uncompressed(page: Any) -> bool:
    """Whether samples are stored uncompressed, in whole bytes, as consecutive rows."""
    whole_bytes = page.dtype is not None and page.dtype.itemsize * 8 == page.bitspersample
    return bool(
        int(page.compression) == UNCOMPRESSED
        and whole_bytes
        and not page.is_tiled
        and int(page.predictor) == 1
        and int(page.fillorder) == _FILL_FROM_HIGH
        and page.dtype.kind in "uif"
    )


def _has_whole_strips(page: Any) -> bool:
    """Whether each strip has as many bytes as its rows take."""
    height, rows = int(page.imagelength), group_rows(page)
    needed = (min(rows, height - top) * int(page.imagewidth) * _pixel_bytes(page) for top in range(0, height, rows))
    return len(page.databytecounts) * rows >= height and all(map(operator.le, needed, page.databytecounts))


def _across(page: Any) -> int:
    """Return how many tiles, or how many strips, lie side by side."""
    return math.ceil(page.imagewidth / page.tilewidth) if page.is_tiled else 1


def _pixel_bytes(page: Any) -> int:
    return int(page.samplesperpixel) * int(page.dtype.itemsize)
