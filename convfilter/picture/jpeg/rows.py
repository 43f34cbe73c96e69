"""Decode bands of a sequential JPEG in several threads.

Entropy-coded data after a restart marker begin at a byte and do not depend on earlier data (ITU-T T.81, E.1.4 and
F.2.1.3.1). So the intervals of some whole rows of MCUs, with the picture's tables, form a complete JPEG. Many cameras
write restart markers, and so does convfilter. The data of other pictures are first copied band by band; see
``codes.py``.

Where chrominance has half the rows, libjpeg interpolates it between the rows above and below, and repeats the row at
the edge of a picture. So a band is decoded together with the next row of MCUs. The first row of pixels of a band, which
needs the chrominance above, comes from the band before.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Protocol

import numpy as np

from convfilter.errors import ReadError
from convfilter.picture.jpeg import layout as jpeg
from convfilter.picture.jpeg.layout import HUFFMAN_FRAMES, Layout, Scan
from convfilter.picture.parallel import in_order
from convfilter.picture.pixels import Pixels

#: Least size for decoding in bands, with restart markers and without. Smaller pictures are decoded in one piece, mostly
#: while modules are imported; see ``prefetch.py``. On two cores, copied bands of 25 megapixels take 1.15 of the time,
#: of 48 about the same, and of 100 some 0.8 of it.
LEAST_BYTES, LEAST_COPIED_BYTES = 1 << 26, 1 << 27
#: Least rows of MCUs in a band, of which one is decoded twice, and least bytes: between bands, threads wait for each
#: other and for the interpreter.
BAND_UNITS, BAND_BYTES = 10, 1 << 22
_RST0, _RESTARTS, _END = 0xD0, 8, b"\xff\xd9"
_DQT, _JFIF, _ADOBE = 0xDB, 0xE0, 0xEE
#: Segments that a band needs: its tables, and those with the colour model.
_NEEDED = frozenset((*HUFFMAN_FRAMES, jpeg.DHT, jpeg.DRI, jpeg.SOS, _DQT, _JFIF, _ADOBE))


class Codes(Protocol):
    """The entropy-coded data of a picture, by rows of MCUs."""

    def rows(self, top: int, bottom: int) -> bytes:
        """Return the data of rows ``top`` to ``bottom - 1`` of MCUs as those of a picture, to decode a band from."""


class Intervals:
    """Data with restart markers; a ``Codes``.

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
        """Return rows of MCUs; see ``Codes``."""
        first, last = self._before(top), self._before(bottom)
        start = int(self._restarts[first - 1]) + 2 if first else self._scan.codes_start
        end = int(self._restarts[last - 1]) if last <= len(self._restarts) else self._layout.data_end
        codes = np.frombuffer(self._data[start:end], np.uint8).copy()
        inner = self._restarts[first : last - 1] - start + 1
        codes[inner] = _RST0 + np.arange(len(inner)) % _RESTARTS
        return codes.tobytes()

    def _before(self, units: int) -> int:
        """Return the number of restart intervals that contain the first ``units`` rows of MCUs."""
        return -(-units * self._scan.across // self._scan.interval)


class Rows:
    """Decodes a JPEG in bands.

    Parameters
    ----------
    data : bytes
        The file.
    layout : Layout
    scan : Scan
    units : int
        Rows of MCUs in a band.
    codes : callable
        Returns the entropy-coded data.
    segments : bytes
        Segments that replace those of the file.
    whole : callable
        Decodes the picture in one piece.
    threads : int or None
    """

    def __init__(
        self,
        data: bytes,
        layout: Layout,
        scan: Scan,
        units: int,
        codes: Callable[[], Codes],
        segments: bytes,
        whole: Callable[[], Pixels],
        threads: int | None,
    ) -> None:
        self._layout, self._scan, self._units, self._threads = layout, scan, units, threads
        self._codes, self._whole = codes, whole
        self._interpolates = scan.unit_rows > jpeg.BLOCK
        self._shape = (units + self._interpolates) * scan.unit_rows, layout.width, layout.components
        self._free: list[Pixels] = []
        self._head = bytearray(data[:2])
        for segment in jpeg.segments(data):
            if segment.marker in HUFFMAN_FRAMES:
                self._height_at = len(self._head) + 5
            if segment.marker == jpeg.SOS:
                self._head += segments
            if segment.marker in _NEEDED:
                self._head += data[segment.at : segment.end]

    @property
    def band_bytes(self) -> int:
        """Size of a band in bytes."""
        return self._units * self._scan.unit_rows * self._layout.width * self._layout.components

    def bands(self) -> Iterator[Pixels]:
        """Yield (some rows, width, components) arrays of uint8.

        If a band cannot be decoded, the picture is decoded in one piece: a decoder makes something of most damaged
        data, and otherwise its error is raised.
        """
        from convfilter.picture.jpeg.codes import DamagedCodesError

        done, is_damaged = 0, False
        try:
            tops = range(0, self._scan.down, self._units)
            for band in in_order(partial(self._band, self._codes()), tops, self._threads):
                done += len(band)
                yield band
        except (DamagedCodesError, ReadError):
            is_damaged = True
        if is_damaged:  # perhaps behind the last row
            rest = self._whole().reshape(self._layout.height, *self._shape[1:])[done:]
            if len(rest):
                yield rest

    def give_back(self, band: Pixels) -> None:
        """Reuse the memory of a band for a later one."""
        if isinstance(band.base, np.ndarray) and band.base.shape == self._shape:
            self._free.append(band.base)

    def _band(self, codes: Codes, top: int) -> Pixels:
        """Decode the band that begins with row ``top`` of MCUs."""
        unit_rows, height = self._scan.unit_rows, self._layout.height
        bottom = min(top + self._units, self._scan.down)
        extra = self._interpolates and bottom < self._scan.down  # the next row of MCUs
        rows = min((bottom + extra) * unit_rows, height) - top * unit_rows
        try:
            memory = self._free.pop()
        except IndexError:  # not asked before: another thread may take the last one in between
            memory = np.empty(self._shape, np.uint8)
        pixels = memory[:rows]
        head = self._head.copy()
        head[self._height_at : self._height_at + 2] = rows.to_bytes(2, "big")
        data = b"".join((head, codes.rows(top, bottom + extra)))
        jpeg.decode(data + _END, pixels)
        if bottom == self._scan.down and jpeg.may_lack_blocks(pixels) and jpeg.lacks_blocks(data, pixels):
            raise ReadError(jpeg.ENDS_EARLY)
        first = 1 if self._interpolates and top else 0
        return pixels[first : (bottom - top) * unit_rows + extra]


def rows_of(data: bytes, layout: Layout, whole: Callable[[], Pixels], threads: int | None) -> Rows | None:
    """Return a decoder of bands, or None if the picture must be decoded in one piece.

    Of restart markers, bands need all, in order, some of them between two rows of MCUs. If markers are missing or
    added, the decoder of whole pictures reports the damage.

    Parameters
    ----------
    data : bytes
        The file.
    layout : Layout
        Of a file with an end marker.
    whole : callable
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
    unit_bytes = scan.unit_rows * layout.width * layout.components
    units = -(-max(BAND_UNITS, BAND_BYTES // unit_bytes) // step) * step
    if scan.down <= units:
        return None
    codes: Callable[[], Codes]
    if scan.interval:
        restarts = jpeg.restarts_of(data, layout)
        numbers = [data[at + 1] - _RST0 for at in restarts]
        if len(numbers) != scan.restarts or numbers != [number % _RESTARTS for number in range(len(numbers))]:
            return None
        segments = b""
        codes = partial(Intervals, data, layout, scan, restarts)
    else:
        from convfilter.picture.jpeg.codes import CopiedCodes, coding_of

        coding = coding_of(data)
        if coding is None:
            return None
        segments = coding.segments
        codes = partial(CopiedCodes, data, layout, scan, coding, units, scan.unit_rows > jpeg.BLOCK)
    return Rows(data, layout, scan, units, codes, segments, whole, threads)
