"""Check LZW streams before decoding: imagecodecs crashes on a code that is not in the table yet.

The code after a Clear must be a byte; imagecodecs (2026.3.6) accepts any other and later follows an uninitialised
pointer. TIFF 6.0 (Adobe, 1992), section 13.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from convfilter.errors import ReadError

if TYPE_CHECKING:
    import numpy.typing as npt

_CLEAR, _END = 256, 257
#: Bits of the shortest and of the longest codes.
_NARROW_BITS, _WIDE_BITS = 9, 12
#: Number of 9-bit codes after a Clear, and the usual number of codes until the next Clear. A run is the codes between
#: two Clears.
_NARROW_CODES, _USUAL_CODES = 254, 3840
#: Least and most codes of short runs that are checked at a time.
_LEAST_CHUNK, _MOST_CHUNK = 256, 1 << 14

_Integers = np.ndarray[tuple[Any, ...], np.dtype[np.int32]]


def is_sound(data: bytes) -> bool:
    """Whether each code after a Clear is a byte.

    Parameters
    ----------
    data : bytes
        One strip or tile, with the usual or the old bit order.

    Returns
    -------
    bool
        False if imagecodecs might crash on the data; it reports other damage itself.
    """
    stream = _Stream(data)
    at: int | None = 0
    while at is not None:
        at = stream.after_short_runs(at)
        if at is not None:
            at = stream.after_run(at)
    return stream.is_sound


def require_sound(data: bytes) -> None:
    """Refuse a stream on which imagecodecs might crash.

    Raises
    ------
    ReadError
        See :func:`is_sound`.
    """
    if not is_sound(data):
        raise ReadError("the TIFF is damaged: its LZW data have an undefined code")


class _Stream:
    """The codes of a stream, extracted from its bits many at a time."""

    def __init__(self, data: bytes) -> None:
        self.is_sound = True
        self._bits = 8 * len(data)
        self._is_old = data[:1] == b"\0" and len(data) > 1 and bool(data[1] & 1)
        self._bytes = np.frombuffer(data + b"\0\0\0", np.uint8).astype(np.int32)
        self._chunk = _LEAST_CHUNK
        # Codes widen one entry before the table is full; with the old bit order, when it is full.
        entries = np.arange(_USUAL_CODES) + (257 if self._is_old else 258)
        self._widths = np.clip(np.floor(np.log2(entries)).astype(np.int32) + 1, _NARROW_BITS, _WIDE_BITS)

    def after_short_runs(self, start: int) -> int | None:
        """Check runs of 9-bit codes; return the bit at which a longer run starts, None at the end of the stream."""
        codes, _ = self._codes(start, np.full(self._chunk, _NARROW_BITS, np.int32))
        stops = np.flatnonzero((codes == _CLEAR) | (codes == _END))
        runs = np.diff(stops, prepend=-1) - 1
        long = np.flatnonzero(runs >= _NARROW_CODES)
        stops = stops[: int(long[0])] if long.size else stops
        ends = np.flatnonzero(codes[stops] == _END)
        stops = stops[: int(ends[0])] if ends.size else stops
        firsts = np.concatenate([[0], stops + 1])
        self.is_sound = self.is_sound and bool((codes[firsts[firsts < len(codes)]] <= _END).all())
        if ends.size or not self.is_sound or not len(codes):
            return None
        self._chunk = min(2 * self._chunk, _MOST_CHUNK) if stops.size else _LEAST_CHUNK
        return start + _NARROW_BITS * (int(stops[-1]) + 1) if stops.size else start

    def after_run(self, start: int) -> int | None:
        """Check one run; return the bit at which the next one starts, None at the end of the stream."""
        widths, at = self._widths, start
        while True:
            codes, ends = self._codes(at, widths)
            if at == start and len(codes) and codes[0] > _END:
                self.is_sound = False
            stops = np.flatnonzero((codes == _CLEAR) | (codes == _END))
            if stops.size:
                is_clear = self.is_sound and codes[stops[0]] == _CLEAR
                return int(ends[stops[0]]) if is_clear else None
            if len(codes) < len(widths) or not self.is_sound:
                return None
            widths, at = np.full(_USUAL_CODES, _WIDE_BITS, np.int32), int(ends[-1])

    def _codes(self, start: int, widths: _Integers) -> tuple[_Integers, npt.NDArray[np.int64]]:
        """Return codes of these widths in bits from bit ``start`` on, fewer at the end, and the bit after each."""
        # Bits are counted from the byte in which the codes begin, so that they fit int32.
        origin, start = start >> 3, start & 7
        ends = start + np.cumsum(widths, dtype=np.int32)
        count = int(np.searchsorted(ends, self._bits - 8 * origin, side="right"))
        widths, ends = widths[:count], ends[:count]
        begins = ends - widths
        index, bit = begins >> 3, begins & 7
        part = self._bytes[origin : origin + (int(index[-1]) if count else 0) + 3]
        first, second, third = (part[offset:][index] for offset in range(3))
        if self._is_old:
            codes = (first | second << 8 | third << 16) >> bit
        else:
            codes = (first << 16 | second << 8 | third) >> (24 - widths - bit)
        return codes & ((1 << widths) - 1), ends + np.int64(8 * origin)
