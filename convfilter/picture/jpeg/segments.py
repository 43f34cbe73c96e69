"""Segments of a JPEG: markers and their content in front of the first scan. ITU-T T.81, annex B."""

from __future__ import annotations

from collections.abc import Iterator

from convfilter.errors import ReadError
from convfilter.record import NamedTuple

DHT, SOS, DQT, DRI, COM = 0xC4, 0xDA, 0xDB, 0xDD, 0xFE
APP0, APP1, APP2, APP13, APP14, APP15 = 0xE0, 0xE1, 0xE2, 0xED, 0xEE, 0xEF
#: Start of a baseline and of an extended sequential frame, with Huffman codes.
HUFFMAN_FRAMES = (0xC0, 0xC1)
#: Markers without content: RST0 to RST7, SOI, TEM.
_WITHOUT_CONTENT = frozenset((*range(0xD0, 0xD9), 0x01))
_MOST_RUBBISH_BYTES = _MOST_SEGMENTS = 1 << 16


class Segment(NamedTuple):
    """A segment: the second byte of its marker, the offset of the marker, and the content after the length."""

    marker: int
    at: int
    content: bytes

    @property
    def end(self) -> int:
        """Offset of the byte after the segment."""
        return self.at + 4 + len(self.content)


def segments(data: bytes) -> Iterator[Segment]:
    """Yield the segments up to the header of the first scan; stop early at a malformed segment.

    Markers without content, padding, and up to 64 KiB of rubbish between segments are skipped, as decoders do.

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
            at = data.find(b"\xff", at + 1, at + _MOST_RUBBISH_BYTES)
            if at < 0:
                return
            continue
        if marker in _WITHOUT_CONTENT:
            at += 2
            continue
        end = at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        if not at + 4 <= end <= len(data):
            return
        yield Segment(marker, at, data[at + 4 : end])
        if marker == SOS:
            return
        at = end
    raise ReadError(f"the JPEG holds more than {_MOST_SEGMENTS} segments before its pixels")


def app_segments(data: bytes) -> list[Segment]:
    """Return the application segments in front of the first scan."""
    return [segment for segment in segments(data) if APP0 <= segment.marker <= APP15]


def packed(marker: int, content: bytes) -> bytes:
    """Return a segment with its marker and length."""
    return bytes((0xFF, marker)) + (len(content) + 2).to_bytes(2, "big") + content
