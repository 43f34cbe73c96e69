"""Decode bands of a JPEG with restart markers in several threads.

Entropy-coded data after a restart marker begin at a byte and do not depend on earlier data (ITU-T T.81, E.1.4 and
F.2.1.3.1). So the intervals of some whole rows of MCUs, with the picture's tables, form a complete JPEG. Many cameras
write restart markers, and so does convfilter.

Where chrominance has half the rows, libjpeg interpolates it between the rows above and below, and repeats the row at
the edge of a picture. So a band is decoded together with the next row of MCUs. The first row of pixels of a band, which
needs the chrominance above, comes from the band before.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np

from convfilter.picture.jpeg import layout as jpeg
from convfilter.picture.jpeg.layout import Layout, Scan
from convfilter.picture.parallel import in_order
from convfilter.picture.pixels import Pixels

#: Least size for decoding in bands. Smaller pictures are decoded in one piece, mostly while planner and engine are
#: imported; bands would take 5 % longer, since they copy each sample once more.
LEAST_BYTES = 1 << 26
#: Least rows of MCUs in a band, of which one is decoded twice.
BAND_UNITS = 10
_RST0, _RESTARTS, _END = 0xD0, 8, b"\xff\xd9"
#: Start of a baseline and of an extended sequential frame, with Huffman codes.
_FRAMES = (0xC0, 0xC1)
_DQT, _JFIF, _ADOBE = 0xDB, 0xE0, 0xEE
#: Segments that a band needs: its tables, and those with the colour model.
_NEEDED = frozenset((*_FRAMES, jpeg.DHT, jpeg.DRI, jpeg.SOS, _DQT, _JFIF, _ADOBE))


class Rows:
    """Decodes a JPEG with restart markers in bands.

    Parameters
    ----------
    data : bytes
        The file.
    layout : Layout
    scan : Scan
    restarts : sequence of int
        Offsets of the restart markers.
    threads : int or None
    """

    def __init__(self, data: bytes, layout: Layout, scan: Scan, restarts: Sequence[int], threads: int | None) -> None:
        self._data, self._layout, self._scan, self._threads = data, layout, scan, threads
        self._restarts = np.array(restarts, np.int64)
        self._units = -(-BAND_UNITS // _step(scan)) * _step(scan)
        self._interpolates = scan.unit_rows > jpeg.BLOCK
        self._free: list[Pixels] = []
        self._head = bytearray(data[:2])
        for segment in jpeg.segments(data):
            if segment.marker in _FRAMES:
                self._height_at = len(self._head) + 5
            if segment.marker in _NEEDED:
                self._head += data[segment.at : segment.end]
            self._start = segment.end

    @property
    def band_bytes(self) -> int:
        """Size of a band in bytes."""
        return self._units * self._scan.unit_rows * self._layout.width * self._layout.components

    def bands(self) -> Iterator[Pixels]:
        """Yield (some rows, width, components) arrays of uint8."""
        yield from in_order(self._band, range(0, self._scan.down, self._units), self._threads)

    def give_back(self, band: Pixels) -> None:
        """Reuse the memory of a band for a later one."""
        if isinstance(band.base, np.ndarray):
            self._free.append(band.base)

    def _band(self, top: int) -> Pixels:
        """Decode the band that begins with row ``top`` of MCUs."""
        unit_rows, height = self._scan.unit_rows, self._layout.height
        bottom = min(top + self._units, self._scan.down)
        extra = self._interpolates and bottom < self._scan.down  # the next row of MCUs
        rows = min((bottom + extra) * unit_rows, height) - top * unit_rows
        most = (self._units + self._interpolates) * unit_rows
        shape = most, self._layout.width, self._layout.components
        memory = self._free.pop() if self._free else np.empty(shape, np.uint8)
        pixels = memory[:rows]
        jpeg.decode(self._jpeg_of(top, bottom + extra, rows), pixels)
        first = 1 if self._interpolates and top else 0
        return pixels[first : (bottom - top) * unit_rows + extra]

    def _jpeg_of(self, top: int, bottom: int, height: int) -> bytes:
        """Return rows ``top`` to ``bottom - 1`` of MCUs as a JPEG of ``height`` rows of pixels."""
        first, last = self._intervals(top), self._intervals(bottom)
        start = int(self._restarts[first - 1]) + 2 if first else self._start
        end = int(self._restarts[last - 1]) if last <= len(self._restarts) else self._layout.data_end
        codes = np.frombuffer(self._data[start:end], np.uint8).copy()
        inner = self._restarts[first : last - 1] - start + 1
        codes[inner] = _RST0 + np.arange(len(inner)) % _RESTARTS
        head = self._head.copy()
        head[self._height_at : self._height_at + 2] = height.to_bytes(2, "big")
        return b"".join((head, codes.data, _END))

    def _intervals(self, units: int) -> int:
        """Return the number of restart intervals that contain the first ``units`` rows of MCUs."""
        return -(-units * self._scan.across // self._scan.interval)


def rows_of(data: bytes, layout: Layout, threads: int | None) -> Rows | None:
    """Return a decoder of bands, or None if the picture must be decoded in one piece.

    Bands need all restart markers, in order, some of them between two rows of MCUs. If markers are missing or added,
    the decoder of whole pictures reports the damage.

    Parameters
    ----------
    data : bytes
        The file.
    layout : Layout
        Of a file with an end marker.
    threads : int or None
    """
    scan = layout.scan
    if scan is None or layout.width * layout.height * layout.components < LEAST_BYTES:
        return None
    if scan.down <= max(_step(scan), BAND_UNITS):
        return None
    restarts = jpeg.restarts_of(data, layout)
    numbers = [data[at + 1] - _RST0 for at in restarts]
    if len(numbers) != scan.restarts or numbers != [number % _RESTARTS for number in range(len(numbers))]:
        return None
    return Rows(data, layout, scan, restarts, threads)


def _step(scan: Scan) -> int:
    """Return the rows of MCUs from a restart marker at the start of a row to the next one."""
    return scan.interval // math.gcd(scan.interval, scan.across)
