"""Decode bands of a sequential JPEG in several threads.

Entropy-coded data after a restart marker begin at a byte and do not depend on earlier data (ITU-T T.81, E.1.4 and
F.2.1.3.1). So the restart intervals of a few whole rows of minimum coded units (MCUs), with the picture's tables, form
a complete JPEG. Many cameras write restart markers, and so does convfilter. The data of other pictures are first copied
band by band; see ``codes.py``.

Where chrominance has half the rows, libjpeg interpolates it between the rows above and below, and repeats the row at
the edge of a picture. So bands overlap by a row of MCUs: the first row of pixels of a band needs the chrominance above,
and is taken from the band before.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Protocol

import numpy as np

from convfilter.errors import ReadError
from convfilter.picture.band_memory import BandMemory
from convfilter.picture.jpeg import decoder
from convfilter.picture.jpeg.layout import BLOCK, Layout, Scan, restarts_of
from convfilter.picture.jpeg.segments import APP0, APP14, DHT, DQT, DRI, HUFFMAN_FRAMES, SOS, segments
from convfilter.picture.parallel import in_order
from convfilter.picture.pixels import Pixels

#: Least decoded size of a picture that is decoded in bands, with restart markers and without. Smaller pictures are
#: decoded in one piece, mostly while modules are imported; see ``prefetch.py``. On two cores, copying codes and
#: decoding bands takes 1.15 of the time of decoding in one piece at 25 megapixels, as long at 48, and 0.8 at 100.
LEAST_BYTES, LEAST_COPIED_BYTES = 1 << 26, 1 << 27
#: Least rows of MCUs and least decoded bytes of a band. One row of each band is decoded twice, and between bands
#: threads wait for each other and for the interpreter.
BAND_MCU_ROWS, BAND_BYTES = 10, 1 << 22
_RST0, _RESTARTS, _END = 0xD0, 8, b"\xff\xd9"
#: Segments that a band needs: frame, tables, scan header, and those for the colour model (JFIF, Adobe).
_NEEDED = frozenset((*HUFFMAN_FRAMES, DHT, DQT, DRI, SOS, APP0, APP14))


class Codes(Protocol):
    """The entropy-coded data of a picture, as a source of those of its bands."""

    def rows(self, top: int, bottom: int) -> bytes:
        """Return rows ``top`` to ``bottom - 1`` of MCUs, as the entropy-coded data of a separate picture."""


class Intervals:
    """Entropy-coded data with restart markers; a ``Codes``.

    Parameters
    ----------
    data : bytes
        The file.
    layout : Layout
    scan : Scan
    restarts : sequence of int
        Offsets of the restart markers.
    """

    def __init__(self, data: bytes, layout: Layout, scan: Scan, restarts: Sequence[int]) -> None:
        self._data, self._layout, self._scan = data, layout, scan
        self._restarts = np.array(restarts, np.int64)

    def rows(self, top: int, bottom: int) -> bytes:
        """Return rows of MCUs, with their restart markers numbered from 0; see ``Codes``."""
        first, last = self._intervals_above(top), self._intervals_above(bottom)
        start = int(self._restarts[first - 1]) + 2 if first else self._scan.codes_start
        end = int(self._restarts[last - 1]) if last <= len(self._restarts) else self._layout.data_end
        codes = np.frombuffer(self._data[start:end], np.uint8).copy()
        inner = self._restarts[first : last - 1] - start + 1
        codes[inner] = _RST0 + np.arange(len(inner)) % _RESTARTS
        return codes.tobytes()

    def _intervals_above(self, row: int) -> int:
        """Return the number of restart intervals that contain the rows of MCUs above ``row``."""
        return -(-row * self._scan.across // self._scan.interval)


class Rows:
    """Decodes a JPEG in bands.

    Parameters
    ----------
    data : bytes
        The file.
    layout : Layout
    scan : Scan
    mcu_rows : int
        Rows of MCUs in a band, without the overlap.
    codes : callable
        Returns the entropy-coded data.
    tables : bytes
        Segments with tables that replace those of the file.
    decode_whole : callable
        Decodes the picture in one piece.
    threads : int or None
    """

    def __init__(
        self,
        data: bytes,
        layout: Layout,
        scan: Scan,
        mcu_rows: int,
        codes: Callable[[], Codes],
        tables: bytes,
        decode_whole: Callable[[], Pixels],
        threads: int | None,
    ) -> None:
        self._layout, self._scan, self._mcu_rows, self._threads = layout, scan, mcu_rows, threads
        self._codes, self._decode_whole = codes, decode_whole
        self._overlap = _overlap(scan)
        self._shape = (mcu_rows + self._overlap) * scan.mcu_height, layout.width, layout.components
        self._memory = BandMemory(self._shape, np.dtype(np.uint8))
        self._head = bytearray(data[:2])
        for segment in segments(data):
            if segment.marker in HUFFMAN_FRAMES:
                self._height_at = len(self._head) + 5
            if segment.marker == SOS:
                self._head += tables
            if segment.marker in _NEEDED:
                self._head += data[segment.at : segment.end]

    @property
    def band_bytes(self) -> int:
        """Size of a band in bytes."""
        return self._mcu_rows * self._scan.mcu_height * self._layout.width * self._layout.components

    def bands(self) -> Iterator[Pixels]:
        """Yield (rows, width, components) arrays of uint8.

        If a band cannot be decoded, the whole picture is decoded again, in one piece: libjpeg decodes most damaged
        data to some extent, and its error is the one to report.

        Raises
        ------
        ReadError
            The data are damaged.
        """
        from convfilter.picture.jpeg.codes import DamagedCodesError

        done, is_damaged = 0, False
        try:
            tops = range(0, self._scan.down, self._mcu_rows)
            for band in in_order(partial(self._band, self._codes()), tops, self._threads):
                done += len(band)
                yield band
        except (DamagedCodesError, ReadError):
            is_damaged = True
        if is_damaged:  # perhaps only after the last row
            rest = self._decode_whole().reshape(self._layout.height, *self._shape[1:])[done:]
            if len(rest):
                yield rest

    def give_back(self, band: Pixels) -> None:
        """Reuse the memory of a band for a later one."""
        self._memory.give_back(band)

    def _band(self, codes: Codes, top: int) -> Pixels:
        """Decode the band that begins with row ``top`` of MCUs."""
        mcu_height, height = self._scan.mcu_height, self._layout.height
        bottom = min(top + self._mcu_rows, self._scan.down)
        overlap = self._overlap if bottom < self._scan.down else 0
        rows = min((bottom + overlap) * mcu_height, height) - top * mcu_height
        pixels = self._memory.take()[:rows]
        head = self._head.copy()
        head[self._height_at : self._height_at + 2] = rows.to_bytes(2, "big")
        data = b"".join((head, codes.rows(top, bottom + overlap)))
        decoder.decode(data + _END, pixels)
        is_last = bottom == self._scan.down
        if is_last and decoder.last_block_is_grey(pixels) and decoder.lacks_last_block(data, pixels):
            raise ReadError(decoder.ENDS_EARLY)
        first = self._overlap if top else 0
        return pixels[first : (bottom - top) * mcu_height + overlap]


def _overlap(scan: Scan) -> int:
    """Return how many rows of MCUs, and how many rows of pixels, neighbouring bands have in common.

    libjpeg interpolates chrominance vertically if an MCU has several rows of blocks.
    """
    return int(scan.mcu_height > BLOCK)


def rows_of(data: bytes, layout: Layout, decode_whole: Callable[[], Pixels], threads: int | None) -> Rows | None:
    """Return a decoder of bands, or None if the picture must be decoded in one piece.

    Bands of a picture with restart markers begin where one lies between two rows of MCUs. All markers must be present,
    in order; otherwise the decoder of whole pictures reports the damage.

    Parameters
    ----------
    data : bytes
        The file.
    layout : Layout
        The layout of a file with an end marker.
    decode_whole : callable
        Decodes the picture in one piece.
    threads : int or None
    """
    scan = layout.scan
    if scan is None:
        return None
    least_bytes = LEAST_BYTES if scan.interval else LEAST_COPIED_BYTES
    if layout.width * layout.height * layout.components < least_bytes:
        return None
    step = scan.interval // math.gcd(scan.interval, scan.across) if scan.interval else 1
    row_bytes = scan.mcu_height * layout.width * layout.components
    mcu_rows = -(-max(BAND_MCU_ROWS, BAND_BYTES // row_bytes) // step) * step
    if scan.down <= mcu_rows:
        return None
    codes: Callable[[], Codes]
    if scan.interval:
        restarts = restarts_of(data, layout)
        numbers = [data[at + 1] - _RST0 for at in restarts]
        if len(numbers) != scan.restarts or numbers != [number % _RESTARTS for number in range(len(numbers))]:
            return None
        tables = b""
        codes = partial(Intervals, data, layout, scan, restarts)
    else:
        from convfilter.picture.jpeg.codes import CopiedCodes, coding_of

        coding = coding_of(data)
        if coding is None:
            return None
        tables = coding.segments
        codes = partial(CopiedCodes, data, layout, scan, coding, mcu_rows, _overlap(scan))
    return Rows(data, layout, scan, mcu_rows, codes, tables, decode_whole, threads)
