"""Headers of Netpbm's formats and of PFM, and the layout of the samples that follow them.

Manual pages pbm(5), pgm(5), ppm(5) and pam(5); PFM by P. Debevec.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import BinaryIO, Protocol

import numpy as np

from convfilter.errors import ReadError
from convfilter.picture import limits
from convfilter.picture.colour import widened
from convfilter.picture.metadata.pillow_info import text_of
from convfilter.picture.options import ReadOptions
from convfilter.picture.pixels import Pixels
from convfilter.picture.place.source import read_into

_BLANKS = b" \t\r\n\v\f"
_WORD_BYTES = 20
_PAM_HEADER_BYTES = 4096
#: Largest number of bytes of all comments in a header, which is read byte by byte.
_COMMENT_BYTES = 1 << 18
_LARGEST = 65535
#: Approximate bytes of a band of rows.
BAND_BYTES = 1 << 20


class HeaderSource(Protocol):
    """A file or stream from which a header is read."""

    def read(self, size: int, /) -> bytes:
        """Read ``size`` bytes, fewer only at the end."""

    def readline(self, limit: int, /) -> bytes:
        """Read a line of at most ``limit`` bytes, with its line end."""

    def tell(self) -> int:
        """Return the number of bytes read so far."""


class Layout:
    """The layout of binary samples in a file, and their conversion.

    Parameters
    ----------
    shape : (rows, cols, channels)
    largest : int
        Largest sample, which is white, up to 65535; 0 for floats.
    bits : bool
        Whether eight pixels share a byte, as in a PBM, where 1 is black.
    real : str
        Type of float samples in the file, whose rows are stored bottom-up; "" for integers.
    name : str
        Name of the format, for messages.
    comments : sequence of bytes
        Comment lines of the header.
    """

    def __init__(
        self,
        shape: tuple[int, int, int],
        largest: int,
        *,
        bits: bool = False,
        real: str = "",
        name: str,
        comments: Sequence[bytes] = (),
    ) -> None:
        self.shape, self.name = shape, name
        self.comment = "\n".join(text_of(line).strip() for line in comments).strip()
        self._largest, self._bits, self._real = largest, bits, real
        _, cols, channels = shape
        self._stored = np.dtype(real or ("u1" if largest < 256 else ">u2"))
        self.row_bytes = (cols + 7) // 8 if bits else cols * channels * self._stored.itemsize
        self.dtype: np.dtype[np.generic] = self._stored.newbyteorder("=")
        self.white = largest if largest > 1 and largest not in (255, _LARGEST) else None

    @property
    def is_bottom_up(self) -> bool:
        """Whether the file begins with the last row."""
        return bool(self._real)

    @property
    def total_bytes(self) -> int:
        """Bytes of all samples in the file."""
        return self.shape[0] * self.row_bytes

    def converted(self, samples: Pixels) -> Pixels:
        """Convert samples of whole rows to (some rows, W, C).

        Parameters
        ----------
        samples : 1-D array
            Samples of the type in the file; uint8 for bits.

        Raises
        ------
        ReadError
            A sample exceeds the largest value in the header.
        """
        if self._bits:
            samples = 1 - np.unpackbits(samples.reshape(-1, self.row_bytes), axis=1, count=self.shape[1])
        samples = samples.reshape(-1, *self.shape[1:])
        if self._real:
            return samples.astype(self.dtype)
        if self._largest not in (255, _LARGEST) and (highest := int(samples.max())) > self._largest:
            raise ReadError(
                f"the {self.name} is damaged: a sample of {highest} is above its largest value {self._largest}"
            )
        return widened(samples, 1) if self._largest == 1 else np.ascontiguousarray(samples, dtype=self.dtype)

    def bands(self, file: BinaryIO, start: int) -> Iterator[Pixels]:
        """Yield the rows from the top down as (some rows, W, C) arrays; samples that the file lacks are zero.

        The next array may lie in the memory of the one before.
        """
        height = self.shape[0]
        step = max(1, BAND_BYTES // self.row_bytes)
        memory = np.empty(min(step, height) * self.row_bytes, np.uint8)
        for top in range(0, height, step):
            bottom = min(top + step, height)
            data = memory[: (bottom - top) * self.row_bytes]
            file.seek(start + (height - bottom if self._real else top) * self.row_bytes)
            data[read_into(file, data.data) :] = 0
            rows = self.converted(data if self._bits else data.view(self._stored))
            yield rows[::-1] if self._real else rows


def layout_of(file: HeaderSource, options: ReadOptions) -> Layout:
    """Read the header of a picture with binary samples; the position afterwards is that of the samples.

    Raises
    ------
    ReadError
        The header is damaged, or of a kind that cannot be filtered.
    SizeError
        The picture is larger than allowed.
    """
    return header_of(file, options)[1]


def header_of(file: HeaderSource, options: ReadOptions) -> tuple[bytes, Layout, int]:
    """Return the signature, the layout, and the largest sample of a PNM (0 for a PAM and a PFM)."""
    kind = file.read(2)
    if kind in (b"Pf", b"PF"):
        return kind, _pfm_layout(file, options, 3 if kind == b"PF" else 1), 0
    if kind == b"P7":
        return kind, _pam_layout(file, options), 0
    header = _Words(file)
    width, height = header.number("width"), header.number("height")
    limits.require_size(width, height, options)
    largest = 1 if kind in (b"P1", b"P4") else header.number("largest value")
    if largest > _LARGEST:
        raise ReadError(f"the largest value of a PNM must be at most {_LARGEST}, got {largest}")
    channels = 3 if kind in (b"P3", b"P6") else 1
    layout = Layout((height, width, channels), largest, bits=kind == b"P4", name="PNM", comments=header.comments)
    return kind, layout, largest


def _pam_layout(file: HeaderSource, options: ReadOptions) -> Layout:
    """Read the header of a PAM after its signature: lines of a keyword and a value."""
    fields: dict[bytes, bytes] = {}
    comments: list[bytes] = []
    left, length = _COMMENT_BYTES, 0
    file.readline(_PAM_HEADER_BYTES)
    while True:
        line = file.readline(_PAM_HEADER_BYTES)
        if line.startswith(b"#") and line.endswith(b"\n"):
            left -= len(line)
            if left < 0:
                raise ReadError(f"the header of the PAM holds comments of more than {_COMMENT_BYTES} bytes")
            comments.append(line[1:])
            continue
        length += len(line)
        if not line.endswith(b"\n") or length > _PAM_HEADER_BYTES:
            raise ReadError("the header of the PAM has no end")
        key, _, value = line.strip().partition(b" ")
        if key == b"ENDHDR":
            break
        if key:
            fields[key] = value.strip()
    try:
        width, height, depth, largest = (int(fields[key]) for key in (b"WIDTH", b"HEIGHT", b"DEPTH", b"MAXVAL"))
    except (KeyError, ValueError) as error:
        raise ReadError("the header of the PAM lacks WIDTH, HEIGHT, DEPTH or MAXVAL") from error
    limits.require_size(width, height, options)
    if not 1 <= depth <= 4 or not 1 <= largest <= _LARGEST:
        raise ReadError(
            f"a PAM must have 1 to 4 channels of samples up to {_LARGEST} to be filtered, got {depth} up to {largest}"
        )
    if fields.get(b"TUPLTYPE", b"").startswith(b"CMYK"):
        raise ReadError("a PAM of CMYK cannot be filtered; convert it to RGB first")
    return Layout((height, width, depth), largest, name="PAM", comments=comments)


def _pfm_layout(file: HeaderSource, options: ReadOptions, channels: int) -> Layout:
    """Read the header of a PFM after its signature; a scale below 0 means little-endian samples."""
    header = _Words(file)
    width, height = header.number("width"), header.number("height")
    limits.require_size(width, height, options)
    try:
        scale = float(header.word())
    except ValueError as error:
        raise ReadError("the header of the PFM has no number for its scale") from error
    real = "<f4" if scale < 0 else ">f4"
    return Layout((height, width, channels), 0, real=real, name="PFM")


class _Words:
    """Reader of the blank-separated words of a header; collects the comments between them."""

    def __init__(self, file: HeaderSource) -> None:
        self._file = file
        self._left = _COMMENT_BYTES
        self.comments: list[bytes] = []

    def word(self) -> bytes:
        """Read a word and the blank that ends it; b"" at the end of the file."""
        word = b""
        while True:
            byte = self._file.read(1)
            if byte == b"#":
                comment = bytearray()
                self._left -= 1
                while (byte := self._file.read(1)) not in (b"\n", b"\r", b""):
                    comment += byte
                    self._left -= 1
                    if self._left < 0:
                        raise ReadError(f"the header of the PNM holds comments of more than {_COMMENT_BYTES} bytes")
                self.comments.append(bytes(comment))
            if not byte or byte in _BLANKS:
                if word or not byte:
                    return word
                continue
            word += byte
            if len(word) > _WORD_BYTES:
                raise ReadError(f"the header of the PNM holds {word.decode('latin-1')!r}... in place of a number")

    def number(self, what: str) -> int:
        """Read an integer of at least 1; ``what`` names it in messages."""
        word = self.word()
        if not word.isdigit() or int(word) < 1:
            raise ReadError(f"the {what} of the PNM must be a number of at least 1, got {word.decode('latin-1')!r}")
        return int(word)
