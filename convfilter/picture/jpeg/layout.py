"""Size, coding and scans of a JPEG, by its segments, without decoding. ITU-T T.81, annexes B, F and G."""

from __future__ import annotations

import re

from convfilter.picture.jpeg.segments import DHT, DRI, SOS, Segment, segments
from convfilter.record import NamedTuple

#: Start of frame, without DHT (C4), JPG (C8) and DAC (CC).
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_PROGRESSIVE = frozenset((0xC2, 0xC6, 0xCA, 0xCE))
_ARITHMETIC = frozenset(range(0xC9, 0xD0)) - {0xCC}
#: Rows and columns of a block of coefficients.
BLOCK = 8
#: Regular expressions: ``bytes.find`` takes three times as long in data full of 0xFF.
_END = re.compile(rb"\xff\xd9")
_RESTART = re.compile(rb"\xff[\xd0-\xd7]")


class Scan(NamedTuple):
    """A scan of all components, and its minimum coded units (MCUs).

    Attributes
    ----------
    codes_start : int
        Offset of the entropy-coded data.
    interval : int
        MCUs between two restart markers; 0 without restart markers.
    across, down : int
        MCUs in a row and in a column of the picture.
    mcu_height : int
        Rows of pixels in an MCU.
    """

    codes_start: int
    interval: int
    across: int
    down: int
    mcu_height: int

    @property
    def restarts(self) -> int:
        """Number of restart markers."""
        return (self.across * self.down - 1) // self.interval if self.interval else 0


class Layout(NamedTuple):
    """Size and coding of a JPEG, and the offsets of its data.

    Attributes
    ----------
    width, height : int
        In pixels.
    components : int
    progressive : bool
    data_start : int
        Offset of the header of the first scan.
    data_end : int or None
        Offset of the end marker; None if it is missing.
    least_bits : int
        Lower bound for the bits of the data: each block needs at least its shortest codes.
    scan : Scan or None
        The first scan; None if it lacks a component, or the picture is progressive.
    """

    width: int
    height: int
    components: int
    progressive: bool
    data_start: int
    data_end: int | None
    least_bits: int
    scan: Scan | None


class _Frame(NamedTuple):
    marker: int
    width: int
    height: int
    #: (horizontal, vertical) sampling factors.
    factors: list[tuple[int, int]]


def layout_of(data: bytes) -> Layout | None:
    """Read the size and coding of a JPEG from the segments up to its first scan.

    Parameters
    ----------
    data : bytes
        The file.

    Returns
    -------
    Layout, or None
        None if the segments are malformed; a decoder reports the damage.

    Raises
    ------
    ReadError
        The file has more than 65,536 segments before the first scan.
    """
    frame: _Frame | None = None
    shortest: dict[int, int] = {}
    interval = 0
    for segment in segments(data):
        marker, _, content = segment
        if marker in _FRAMES:
            frame = _frame(marker, content)
        elif marker == DHT:
            shortest |= _shortest_codes(content)
        elif marker == DRI:
            interval = int.from_bytes(content[:2], "big")
        elif marker == SOS:
            return _layout(data, segment, frame, shortest, interval) if frame else None
    return None


def _frame(marker: int, segment: bytes) -> _Frame | None:
    count = segment[5] if len(segment) > 5 else 0
    specs = segment[6 : 6 + 3 * count]
    if not count or len(specs) < 3 * count:
        return None
    factors = [(specs[at] >> 4, specs[at] & 15) for at in range(1, 3 * count, 3)]
    if not all(1 <= factor <= 4 for pair in factors for factor in pair):
        return None
    return _Frame(marker, int.from_bytes(segment[3:5], "big"), int.from_bytes(segment[1:3], "big"), factors)


def _shortest_codes(segment: bytes) -> dict[int, int]:
    """Return the length in bits of the shortest code of each Huffman table, by class and number of the table."""
    shortest = {}
    at = 0
    while at + 17 <= len(segment):
        counts = segment[at + 1 : at + 17]
        shortest[segment[at]] = next((bits for bits, count in enumerate(counts, 1) if count), 16)
        at += 17 + sum(counts)
    return shortest


def _layout(data: bytes, header: Segment, frame: _Frame, shortest: dict[int, int], interval: int) -> Layout:
    end = _END.search(data, header.at)
    progressive, arithmetic = frame.marker in _PROGRESSIVE, frame.marker in _ARITHMETIC
    dc = min((bits for table, bits in shortest.items() if table >> 4 == 0), default=1)
    ac = min((bits for table, bits in shortest.items() if table >> 4 == 1), default=1)
    # A progressive picture may omit all AC codes of a block; its DC code is in the first scan.
    bits = dc if progressive else dc + ac
    blocks = _blocks(frame)
    has_all_components = header.content[:1] == bytes((len(frame.factors),))
    return Layout(
        frame.width,
        frame.height,
        len(frame.factors),
        progressive,
        header.at,
        end.start() if end else None,
        # An arithmetic code takes a fraction of a bit for each symbol: 1/32 bit for each block is a safe bound.
        blocks // 32 if arithmetic else blocks * bits,
        None if progressive or not has_all_components else _scan(frame, interval, header.end),
    )


def _scan(frame: _Frame, interval: int, codes_start: int) -> Scan:
    cols = BLOCK * (max(horizontal for horizontal, _ in frame.factors) if len(frame.factors) > 1 else 1)
    rows = BLOCK * (max(vertical for _, vertical in frame.factors) if len(frame.factors) > 1 else 1)
    return Scan(codes_start, interval, -(-frame.width // cols), -(-frame.height // rows), rows)


def restarts_of(data: bytes, layout: Layout) -> list[int]:
    """Return the offsets of the restart markers."""
    end = len(data) if layout.data_end is None else layout.data_end
    return [found.start() for found in _RESTART.finditer(data, layout.data_start, end)]


def _blocks(frame: _Frame) -> int:
    """Count the blocks that cover the picture, in all components together."""
    across = max(horizontal for horizontal, _ in frame.factors)
    down = max(vertical for _, vertical in frame.factors)
    total = 0
    for horizontal, vertical in frame.factors:
        cols = -(-frame.width * horizontal // (across * BLOCK))
        rows = -(-frame.height * vertical // (down * BLOCK))
        total += cols * rows
    return total
