"""JPEG segments and completeness of data, and direct decoding.

libjpeg fills missing data with grey, silently. So the amount of data is compared with the size of the picture before
decoding. Flipped bits within data of the right amount go unnoticed: JPEG has no checksum, codes resynchronise, and a
decoder that counts leftover bits at the end would notice only one flipped bit in seven (progressive: one in three), at
the cost of a second decoding. ITU-T T.81, annexes B (segments), F and G (codes).
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np

from convfilter.errors import ReadError
from convfilter.picture.pixels import Pixels
from convfilter.record import NamedTuple

DHT, SOS, DRI = 0xC4, 0xDA, 0xDD
#: Start of a baseline and of an extended sequential frame, with Huffman codes.
HUFFMAN_FRAMES = (0xC0, 0xC1)
#: Start of frame, without DHT (C4), JPG (C8) and DAC (CC).
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_PROGRESSIVE = frozenset((0xC2, 0xC6, 0xCA, 0xCE))
_ARITHMETIC = frozenset(range(0xC9, 0xD0)) - {0xCC}
_ALONE = frozenset((*range(0xD0, 0xD9), 0x01))
#: Rows and columns of a block of coefficients.
BLOCK = 8
#: As regular expressions, which are found in a third of the time that ``bytes.find`` takes in data full of 0xFF.
_END = re.compile(rb"\xff\xd9")
_RESTART = re.compile(rb"\xff[\xd0-\xd7]")
ENDS_EARLY = "the JPEG is damaged: its data ends before its last row"
#: A sample without data, and the codes that stand for missing ones.
_MISSING, _FILLING = 128, bytes(range(1, 255)) * 4
#: Weights of the luminance of JPEGs, and by how much clipping colours can change it.
_LUMINANCE, _CLIPPED = (0.299, 0.587, 0.114), 40
_MOST_RUBBISH = _MOST_SEGMENTS = 1 << 16


class Scan(NamedTuple):
    """A scan of all components.

    Attributes
    ----------
    codes_start : int
        Offset of its codes.
    interval : int
        MCUs between two restart markers; 0: there are no such markers.
    across, down : int
        MCUs of a row and of a column.
    unit_rows : int
        Rows of pixels in an MCU.
    """

    codes_start: int
    interval: int
    across: int
    down: int
    unit_rows: int

    @property
    def restarts(self) -> int:
        """Number of restart markers."""
        return (self.across * self.down - 1) // self.interval if self.interval else 0


class Layout(NamedTuple):
    """Size and coding of a JPEG, and the offsets of its data.

    ``data_start`` is the offset of the first scan, ``data_end`` that of the end
    marker, None if there is none. ``least_bits`` is a lower bound for the bits
    of the data: each block needs its shortest codes. ``scan`` describes the first
    scan of a sequential picture if it has all components, and else is None.
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


class Segment(NamedTuple):
    """A segment in front of the data: its marker, the offset of its marker, and its content behind the length."""

    marker: int
    at: int
    content: bytes

    @property
    def end(self) -> int:
        """The offset of the byte behind it."""
        return self.at + 4 + len(self.content)


def segments(data: bytes) -> Iterator[Segment]:
    """Yield the segments up to the header of the first scan; ends early where they make no sense.

    Markers without content are passed over, as are padding and a little rubbish between segments, which decoders skip
    too.

    Raises
    ------
    ReadError
        There are more than 65,536.
    """
    at = 2
    for _ in range(_MOST_SEGMENTS):
        if at + 4 > len(data):
            return
        marker = data[at + 1]
        if data[at] != 0xFF or marker in (0x00, 0xFF):
            at = data.find(b"\xff", at + 1, at + _MOST_RUBBISH)
            if at < 0:
                return
            continue
        if marker in _ALONE:
            at += 2
            continue
        end = at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        if not at + 4 <= end <= len(data):
            return
        yield Segment(marker, at, data[at + 4 : end])
        if marker == SOS:
            return
        at = end
    raise ReadError(f"the JPEG holds more than {_MOST_SEGMENTS} segments in front of its pixels")


def layout_of(data: bytes) -> Layout | None:
    """Read the segments up to the first scan.

    Parameters
    ----------
    data : bytes
        The file.

    Returns
    -------
    Layout, or None
        None if the segments are malformed; a decoder will report it.
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
    """Return the length of the shortest code of each Huffman table, by its class and number."""
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
        # Arithmetic codes take a fraction of a bit for each symbol, but more than this.
        blocks // 32 if arithmetic else blocks * bits,
        None if progressive or not has_all_components else _scan(frame, interval, header.end),
    )


def _scan(frame: _Frame, interval: int, codes_start: int) -> Scan:
    """Describe a scan of all components."""
    cols = BLOCK * (max(horizontal for horizontal, _ in frame.factors) if len(frame.factors) > 1 else 1)
    rows = BLOCK * (max(vertical for _, vertical in frame.factors) if len(frame.factors) > 1 else 1)
    return Scan(codes_start, interval, -(-frame.width // cols), -(-frame.height // rows), rows)


def has_all_restarts(data: bytes, layout: Layout) -> bool:
    """Count the restart markers, if their expected number is known."""
    restarts = layout.scan.restarts if layout.scan else 0
    return restarts == 0 or len(restarts_of(data, layout)) >= restarts


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


def damage(layout: Layout, size: int) -> str:
    """Return a problem with the amount of data, "" if none is found.

    Parameters
    ----------
    layout : Layout
    size : int
        Bytes of the file.
    """
    if 8 * (size - layout.data_start) < layout.least_bits:
        return (
            f"the JPEG is damaged: {size} bytes cannot hold {layout.width}x{layout.height} pixels, "
            f"{layout.least_bits // 8} at least are needed"
        )
    return ""


def decode(data: bytes, out: Pixels | None = None) -> Pixels:
    """Decode a grey or RGB JPEG into an array, in half the time and memory of Pillow.

    Parameters
    ----------
    data : bytes
        The file, checked for completeness: the decoder does not check it.
    out : (H, W, C) array of uint8, optional
        Gets the samples.

    Returns
    -------
    (H, W) or (H, W, 3) array of uint8

    Raises
    ------
    ReadError
        The decoder fails.
    """
    import imagecodecs

    try:
        # The decoder's arrays of grey pictures have two axes.
        place = out[..., 0] if out is not None and out.shape[2] == 1 else out
        pixels: Pixels = imagecodecs.jpeg8_decode(data, out=place)
    except imagecodecs.Jpeg8Error as error:
        raise ReadError(f"the JPEG is damaged: {error}") from error
    return pixels


def may_lack_blocks(pixels: Pixels) -> bool:
    """Whether the last block may be missing, which libjpeg silently leaves mid-grey.

    The first row and column of a block may have colours interpolated between it and its neighbours.
    """
    rows, cols = ((size - 1) % BLOCK for size in pixels.shape[:2])
    corner = pixels[-max(rows, 1) :, -max(cols, 1) :]
    if (rows and cols) or corner.ndim == 2 or corner.shape[2] == 1:
        return bool((corner == _MISSING).all())
    luminance = corner @ np.array(_LUMINANCE)
    return bool((abs(luminance - _MISSING) < _CLIPPED).all())


def lacks_blocks(data: bytes, pixels: Pixels) -> bool:
    """Whether the last block is missing, by another decoding.

    libjpeg ignores extra data before the end marker of a complete picture; otherwise it decodes them as the missing
    blocks. (With restart markers it always ignores them, but those can be counted.)

    Parameters
    ----------
    data : bytes
        The file up to its end marker.
    pixels : (H, W) or (H, W, C) array of uint8
        Its decoded samples.
    """
    return not np.array_equal(decode(data + _FILLING + b"\xff\xd9").reshape(pixels.shape), pixels)
