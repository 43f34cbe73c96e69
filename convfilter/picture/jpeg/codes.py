"""Huffman codes of a JPEG without restart markers, copied band by band, so that each band is a JPEG of its own.

The loop in ``loops/huffman.py`` reads the codes from the top down, in about a quarter of the time that decoding takes;
several threads then decode the bands. Only undamaged data are copied: pictures with damaged data are decoded in one
piece.
"""

from __future__ import annotations

import re
import threading

import numpy as np
import numpy.typing as npt

from convfilter.loops import huffman
from convfilter.loops.huffman import CATEGORIES, TABLE_SIZE
from convfilter.native.loop import Loop
from convfilter.picture.jpeg import layout as jpeg
from convfilter.picture.jpeg.layout import DHT, HUFFMAN_FRAMES, SOS, Layout, Scan
from convfilter.record import NamedTuple

FILL_TABLE = Loop("huffman", "fill_table", "u1* u1* i8 u2*")
COPY_ROWS = Loop("huffman", "copy_rows", "u1* i8 i8* u2* i8* i8* i8 i8 u1*")

_LENGTHS = 16
#: Symbols of a table, and of one for DC.
_MOST_SYMBOLS, _MOST_CATEGORIES = 256, 16
#: Class of the tables for AC, as part of a table's number.
_AC = 0x10
_MOST_BLOCKS = 10
_MOST_COMPONENTS = 4
#: A scan of all coefficients, as its header ends.
_ALL_COEFFICIENTS = bytes((0, 63, 0))
#: Most bytes that a band gains by other codes of its first DC coefficients and by padding, and those that are written
#: behind its end.
_GAINED_BYTES = 32

#: A marker in codes, perhaps after fill bytes; a zero behind 0xFF marks that byte as one of the codes.
_MARKER = re.compile(rb"\xff+[^\x00\xff]")

_Ints = npt.NDArray[np.int64]


class DamagedCodesError(Exception):
    """Codes are damaged or of a kind that only a decoder should judge."""


class HuffmanTable(NamedTuple):
    """A table as it stands in a file: the number of codes of each length from 1 to 16, and the symbols in order."""

    counts: bytes
    symbols: bytes

    def codes(self) -> dict[int, tuple[int, int]]:
        """Return the length of the code and the code of each symbol."""
        found = {}
        code, at = 0, 0
        for length, count in enumerate(self.counts, 1):
            for symbol in self.symbols[at : at + count]:
                found[symbol] = length, code
                code += 1
            at, code = at + count, code << 1
        return found

    @property
    def free(self) -> int:
        """Number of codes of 16 bits that could be added; below 0 if there are too many codes.

        A code of ones alone is not allowed.
        """
        used = sum(count << (_LENGTHS - length) for length, count in enumerate(self.counts, 1))
        return (1 << _LENGTHS) - 1 - used

    @property
    def is_valid(self) -> bool:
        """Whether a decoder takes the table."""
        return self.free >= 0 and sum(self.counts) == len(self.symbols) <= _MOST_SYMBOLS

    def with_all_categories(self) -> HuffmanTable | None:
        """Return a table of DC differences with codes also for missing categories, the others unchanged.

        An optimised table has no codes for differences that do not occur in its picture. None if there is no room.
        """
        missing = bytes(set(range(CATEGORIES)) - set(self.symbols))
        if len(missing) > self.free or len(self.symbols) > _MOST_CATEGORIES:
            return None
        return HuffmanTable(self.counts[:-1] + bytes((self.counts[-1] + len(missing),)), self.symbols + missing)


class Block(NamedTuple):
    """A block of an MCU: the number of its component, whether it is the component's first, and its tables."""

    component: int
    is_first: bool
    dc: HuffmanTable
    ac: HuffmanTable


class Coding(NamedTuple):
    """How the codes of a picture are to be read and copied.

    Attributes
    ----------
    blocks : list of Block
        Of an MCU.
    tables : list of HuffmanTable
        Those for DC of each component, with all categories.
    segments : bytes
        These tables as a segment, for a place behind all others.
    """

    blocks: list[Block]
    tables: list[HuffmanTable]
    segments: bytes


def coding_of(data: bytes) -> Coding | None:
    """Return the coding of a picture; None if its codes are to be left to a decoder.

    Parameters
    ----------
    data : bytes
        A file of one scan, without restart markers.
    """
    tables: dict[int, HuffmanTable] = {}
    frame = header = b""
    for segment in jpeg.segments(data):
        if segment.marker in HUFFMAN_FRAMES:
            frame = segment.content
        elif segment.marker == DHT:
            tables |= _tables(segment.content)
        elif segment.marker == SOS:
            header = segment.content
    factors = {frame[at]: (frame[at + 1] >> 4, frame[at + 1] & 15) for at in range(6, len(frame) - 2, 3)}
    count = len(factors)
    selectors = [(header[at], header[at + 1]) for at in range(1, len(header) - len(_ALL_COEFFICIENTS), 2)]
    if not 1 <= count == frame[5] == len(selectors) <= _MOST_COMPONENTS or header[-3:] != _ALL_COEFFICIENTS:
        return None
    if set(factors) != {name for name, _ in selectors}:
        return None
    blocks, extended = [], {}
    for number, (name, selector) in enumerate(selectors):
        dc, ac = tables.get(selector >> 4), tables.get(_AC | selector & 15)
        if dc is None or ac is None or not (dc.is_valid and ac.is_valid):
            return None
        whole = dc.with_all_categories()
        if whole is None:
            return None
        extended[selector >> 4] = whole
        across, down = factors[name] if count > 1 else (1, 1)
        blocks += [Block(number, index == 0, dc, ac) for index in range(across * down)]
    if len(blocks) > _MOST_BLOCKS:
        return None
    content = b"".join(bytes((number,)) + table.counts + table.symbols for number, table in extended.items())
    return Coding(blocks, [extended[selector >> 4] for _, selector in selectors], _segment(DHT, content))


def _tables(content: bytes) -> dict[int, HuffmanTable]:
    """Return the tables of a segment by class and number."""
    tables = {}
    at = 0
    while at + 1 + _LENGTHS <= len(content):
        counts = content[at + 1 : at + 1 + _LENGTHS]
        start = at + 1 + _LENGTHS
        end = start + sum(counts)
        tables[content[at]] = HuffmanTable(counts, content[start:end])
        at = end
    return tables


def _segment(marker: int, content: bytes) -> bytes:
    return bytes((0xFF, marker)) + (len(content) + 2).to_bytes(2, "big") + content


class CopiedCodes:
    """The codes of a picture, copied band by band from the top down; a ``Codes``.

    Parameters
    ----------
    data : bytes
        The file.
    layout : Layout
        Of a file with an end marker.
    scan : Scan
    coding : Coding
    units : int
        Rows of MCUs in a band.
    extra : int
        Further rows that are decoded with a band.
    """

    def __init__(self, data: bytes, layout: Layout, scan: Scan, coding: Coding, units: int, extra: int) -> None:
        assert layout.data_end is not None
        self._data, self._end, self._down = np.frombuffer(data, np.uint8), layout.data_end, scan.down
        self._units, self._extra = units, extra
        self._scan, self._tables, self._codes = _arrays(scan, coding)
        self._state = np.zeros(huffman.STATE_SIZE, np.int64)
        self._state[0] = scan.codes_start
        # Each byte may need a zero behind it. Only pages that are written take memory.
        self._out = np.empty(2 * (self._end - scan.codes_start + _GAINED_BYTES), np.uint8)
        self._lock = threading.Lock()
        self._bands: dict[int, bytes] = {}
        self._top = 0
        self._is_damaged = False

    def rows(self, top: int, bottom: int) -> bytes:
        """Return the rows of a band and those that are decoded with it; see ``Codes``.

        Raises
        ------
        DamagedCodesError
        """
        with self._lock:
            while self._top <= top:
                self._copy()
            return self._bands.pop(top)

    def _copy(self) -> None:
        """Copy the next band."""
        top = self._top
        count, bottom = min(self._units, self._down - top), min(top + self._units + self._extra, self._down)
        size = -1
        if not self._is_damaged:
            size = COPY_ROWS.variant()(
                self._data, self._end, self._scan, self._tables, self._codes,
                self._state, bottom - top, count, self._out,
            )  # fmt: skip
        # Behind the last codes may follow another scan, which a decoder refuses.
        is_last = bottom == top + count == self._down
        if size < 0 or (is_last and _MARKER.search(self._data.data, int(self._state[0]), self._end)):
            self._is_damaged = True
            raise DamagedCodesError
        self._bands[top] = self._out[:size].tobytes()
        self._top += count


def _arrays(scan: Scan, coding: Coding) -> tuple[_Ints, npt.NDArray[np.uint16], _Ints]:
    """Return the arguments ``scan``, ``tables`` and ``codes`` of ``copy_rows``."""
    kinds = [(is_ac, table) for block in coding.blocks for is_ac, table in enumerate((block.dc, block.ac))]
    places = {kind: TABLE_SIZE * number for number, kind in enumerate(dict.fromkeys(kinds))}
    tables = np.zeros(TABLE_SIZE * len(places), np.uint16)
    for (is_ac, table), place in places.items():
        counts, symbols = (np.frombuffer(part, np.uint8) for part in table)
        FILL_TABLE.variant()(counts, symbols, is_ac, tables[place : place + TABLE_SIZE])
    blocks = [scan.across, len(coding.blocks)]
    for block in coding.blocks:
        blocks += [block.component, block.is_first, places[0, block.dc], places[1, block.ac]]
    codes = [table.codes()[category] for table in coding.tables for category in range(CATEGORIES)]
    return np.array(blocks, np.int64), tables, np.array(codes, np.int64).reshape(-1)
