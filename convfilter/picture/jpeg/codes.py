"""Huffman codes of a JPEG without restart markers, copied band by band: each band becomes a separate JPEG.

The loop in ``loops/huffman.py`` copies the codes from the top down, in about a quarter of the time of decoding;
several threads then decode the bands. Damaged data are not copied, but decoded in one piece.
"""

from __future__ import annotations

import re
import threading

import numpy as np
import numpy.typing as npt

from convfilter.loops import huffman
from convfilter.loops.huffman import CATEGORIES, TABLE_SIZE
from convfilter.native.loop import Loop
from convfilter.picture.jpeg.layout import Layout, Scan
from convfilter.picture.jpeg.segments import DHT, HUFFMAN_FRAMES, SOS, packed, segments
from convfilter.record import NamedTuple

FILL_TABLE = Loop("huffman", "fill_table", "u1* u1* i8 u2*")
COPY_ROWS = Loop("huffman", "copy_rows", "u1* i8 i8* u2* i8* i8* i8 i8 u1*")

_LENGTHS = 16
#: Most symbols of an AC table and of a DC table.
_MOST_SYMBOLS, _MOST_CATEGORIES = 256, 16
#: Class of the AC tables, in the upper half of the byte that numbers a table.
_AC = 0x10
#: Most blocks of an MCU.
_MOST_BLOCKS = 10
_MOST_COMPONENTS = 4
#: End of the header of a scan of all coefficients: first, last, and no successive approximation.
_ALL_COEFFICIENTS = bytes((0, 63, 0))
#: Most bytes by which a band grows: its first DC coefficients get other codes, padding ends it, and the loop writes a
#: few bytes beyond the end.
_GAINED_BYTES = 32

#: A marker, perhaps after fill bytes. In entropy-coded data, each byte 0xFF is followed by a stuffed zero.
_MARKER = re.compile(rb"\xff+[^\x00\xff]")

_Ints = npt.NDArray[np.int64]


class DamagedCodesError(Exception):
    """The codes are damaged, or of a kind that only a decoder can judge."""


class HuffmanTable(NamedTuple):
    """A Huffman table as a file stores it: the number of codes of each length from 1 to 16 bits, and the symbols."""

    counts: bytes
    symbols: bytes

    def codes(self) -> dict[int, tuple[int, int]]:
        """Return, for each symbol, the length of its code in bits, and the code."""
        found = {}
        code, at = 0, 0
        for length, count in enumerate(self.counts, 1):
            for symbol in self.symbols[at : at + count]:
                found[symbol] = length, code
                code += 1
            at, code = at + count, code << 1
        return found

    @property
    def free_codes(self) -> int:
        """Number of 16-bit codes that could be added; negative if the table has too many codes.

        The code of sixteen ones is not allowed.
        """
        used = sum(count << (_LENGTHS - length) for length, count in enumerate(self.counts, 1))
        return (1 << _LENGTHS) - 1 - used

    @property
    def is_valid(self) -> bool:
        """Whether a decoder accepts the table."""
        return self.free_codes >= 0 and sum(self.counts) == len(self.symbols) <= _MOST_SYMBOLS

    def with_all_categories(self) -> HuffmanTable | None:
        """Return the DC table with 16-bit codes added for missing categories; None if too few codes are free.

        An optimised table has no codes for differences that do not occur in its picture, but the first blocks of a
        band have other differences.
        """
        missing = bytes(set(range(CATEGORIES)) - set(self.symbols))
        if len(missing) > self.free_codes or len(self.symbols) > _MOST_CATEGORIES:
            return None
        return HuffmanTable(self.counts[:-1] + bytes((self.counts[-1] + len(missing),)), self.symbols + missing)


class Block(NamedTuple):
    """A block of an MCU: its component, whether it is the first of the component in the MCU, and its tables."""

    component: int
    is_first: bool
    dc: HuffmanTable
    ac: HuffmanTable


class Coding(NamedTuple):
    """The Huffman coding of a picture and of its bands.

    Attributes
    ----------
    blocks : list of Block
        The blocks of an MCU, with the tables of the picture.
    tables : list of HuffmanTable
        The DC table of each component in a band, with all categories.
    segments : bytes
        These tables as a segment, which comes after all others in a band and replaces their DC tables.
    """

    blocks: list[Block]
    tables: list[HuffmanTable]
    segments: bytes


def coding_of(data: bytes) -> Coding | None:
    """Return the Huffman coding of a picture; None if only a decoder can read its codes.

    Parameters
    ----------
    data : bytes
        A JPEG with one scan and without restart markers.
    """
    tables: dict[int, HuffmanTable] = {}
    frame = header = b""
    for segment in segments(data):
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
    return Coding(blocks, [extended[selector >> 4] for _, selector in selectors], packed(DHT, content))


def _tables(content: bytes) -> dict[int, HuffmanTable]:
    """Return the Huffman tables of a segment, by class and number."""
    tables = {}
    at = 0
    while at + 1 + _LENGTHS <= len(content):
        counts = content[at + 1 : at + 1 + _LENGTHS]
        start = at + 1 + _LENGTHS
        end = start + sum(counts)
        tables[content[at]] = HuffmanTable(counts, content[start:end])
        at = end
    return tables


class CopiedCodes:
    """Entropy-coded data of bands, copied from those of the picture from the top down; a ``Codes``.

    Parameters
    ----------
    data : bytes
        The file.
    layout : Layout
        The layout of a file with an end marker.
    scan : Scan
    coding : Coding
    mcu_rows : int
        Rows of MCUs in a band.
    overlap : int
        Rows of MCUs of the next band that are decoded with a band.
    """

    def __init__(self, data: bytes, layout: Layout, scan: Scan, coding: Coding, mcu_rows: int, overlap: int) -> None:
        assert layout.data_end is not None
        self._data, self._end, self._down = np.frombuffer(data, np.uint8), layout.data_end, scan.down
        self._mcu_rows, self._overlap = mcu_rows, overlap
        self._scan, self._tables, self._codes = _arrays(scan, coding)
        self._state = np.zeros(huffman.STATE_SIZE, np.int64)
        self._state[0] = scan.codes_start
        # Stuffed zeros at most double the data. The system gives memory only for the pages that are written.
        self._out = np.empty(2 * (self._end - scan.codes_start + _GAINED_BYTES), np.uint8)
        self._lock = threading.Lock()
        self._bands: dict[int, bytes] = {}
        self._top = 0
        self._is_damaged = False

    def rows(self, top: int, bottom: int) -> bytes:
        """Return the data of a band and its overlap; see ``Codes``.

        Raises
        ------
        DamagedCodesError
            The codes are damaged, or of a kind that only a decoder can judge.
        """
        with self._lock:
            while self._top <= top:
                self._copy()
            return self._bands.pop(top)

    def _copy(self) -> None:
        """Copy the next band."""
        top = self._top
        count, bottom = min(self._mcu_rows, self._down - top), min(top + self._mcu_rows + self._overlap, self._down)
        size = -1
        if not self._is_damaged:
            size = COPY_ROWS.variant()(
                self._data, self._end, self._scan, self._tables, self._codes,
                self._state, bottom - top, count, self._out,
            )  # fmt: skip
        # Another scan may follow the last codes; a decoder then reports the damage.
        is_last = bottom == top + count == self._down
        if size < 0 or (is_last and _MARKER.search(self._data.data, int(self._state[0]), self._end)):
            self._is_damaged = True
            raise DamagedCodesError
        self._bands[top] = self._out[:size].tobytes()
        self._top += count


def _arrays(scan: Scan, coding: Coding) -> tuple[_Ints, npt.NDArray[np.uint16], _Ints]:
    """Return the arguments ``scan``, ``tables`` and ``codes`` of ``copy_rows``."""
    used = [(is_ac, table) for block in coding.blocks for is_ac, table in enumerate((block.dc, block.ac))]
    offsets = {key: TABLE_SIZE * number for number, key in enumerate(dict.fromkeys(used))}
    tables = np.zeros(TABLE_SIZE * len(offsets), np.uint16)
    for (is_ac, table), offset in offsets.items():
        counts, symbols = (np.frombuffer(field, np.uint8) for field in table)
        FILL_TABLE.variant()(counts, symbols, is_ac, tables[offset : offset + TABLE_SIZE])
    blocks = [scan.across, len(coding.blocks)]
    for block in coding.blocks:
        blocks += [block.component, block.is_first, offsets[0, block.dc], offsets[1, block.ac]]
    codes = [table.codes()[category] for table in coding.tables for category in range(CATEGORIES)]
    return np.array(blocks, np.int64), tables, np.array(codes, np.int64).reshape(-1)
