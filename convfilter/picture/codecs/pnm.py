"""Netpbm's formats at full depth: PBM, PGM, PPM (P1 to P6), PAM (P7) and PFM.

Not through Pillow, which reduces a 16-bit PPM to 8 bits. Manual pages pbm(5), pgm(5), ppm(5) and pam(5); PFM by
P. Debevec.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO, Protocol

import numpy as np

from convfilter.errors import DECODE_THE_REST, ReadError
from convfilter.picture import limits, trailing_data
from convfilter.picture.colour import widened
from convfilter.picture.frame import Frame
from convfilter.picture.loss import Loss
from convfilter.picture.metadata.metadata import Metadata, Text
from convfilter.picture.metadata.pillow_info import text_of
from convfilter.picture.options import ReadOptions, WriteOptions
from convfilter.picture.outline import Outline
from convfilter.picture.picture import Picture
from convfilter.picture.pixels import CHANNELS, Model, Pixels
from convfilter.picture.place.source import size_of
from convfilter.picture.row_source import Bands
from convfilter.picture.row_writer import Block, RowWriter

_BLANKS = b" \t\r\n\v\f"
_WORD_BYTES = 20
_PAM_HEADER_BYTES = 4096
#: Largest number of bytes of all comments in a header, which is read byte by byte.
_COMMENT_BYTES = 1 << 18
#: Memory of a sample in decimal text while it is a bytes object in a list of words.
_WORD_MEMORY_BYTES = 64
#: Bytes of decimal text read for each sample, which has at most 5 digits, and for all; more blanks are refused.
_TEXT_BYTES, _MORE_TEXT_BYTES = 16, 1 << 16
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


class _Words:
    """Reader of the blank-separated words of a header; collects the comments between them."""

    def __init__(self, file: HeaderSource) -> None:
        self._file = file
        self._left = _COMMENT_BYTES
        self.comments: list[bytes] = []

    def word(self) -> bytes:
        """Read a word and the single blank behind it; b"" at the end of the file."""
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
                raise ReadError(f"the header of the PNM holds {word.decode('latin-1')!r}... where a number must be")

    def number(self, what: str) -> int:
        """Read an integer of at least 1; ``what`` names it in messages."""
        word = self.word()
        if not word.isdigit() or int(word) < 1:
            raise ReadError(f"the {what} of the PNM must be a number of at least 1, got {word.decode('latin-1')!r}")
        return int(word)


def read_pnm(file: BinaryIO, options: ReadOptions) -> Picture:
    """Read a PBM, PGM, PPM, PAM or PFM; a ``Reader``.

    Samples have the values of the file, as uint8 if the largest allowed one is at most 255, else as uint16; bits become
    0 and 255. A PFM has float32.
    """
    options.require_frame(1)
    kind, layout, largest = _header_of(file, options)
    if kind not in (b"P1", b"P2", b"P3"):
        return _opened(file, layout, options)
    limits.require_memory(2 * layout.total_bytes)
    height, width, channels = layout.shape
    samples, note, losses = _plain_samples(file, height * width * channels, kind == b"P1", largest, options)
    return _picture(layout, layout.converted(1 - samples if kind == b"P1" else samples), note, losses)


def layout_of(file: HeaderSource, options: ReadOptions) -> Layout:
    """Read the header of a picture with binary samples, which begin at the end of the header.

    Raises
    ------
    ReadError
        The header is damaged, or of a kind that cannot be filtered.
    SizeError
        The picture is larger than allowed.
    """
    return _header_of(file, options)[1]


def _header_of(file: HeaderSource, options: ReadOptions) -> tuple[bytes, Layout, int]:
    """Return the signature, the layout, and the largest sample (0 for a PFM; of PAM, see the layout)."""
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
        raise ReadError(f"the largest value of a PNM is {_LARGEST} at most, got {largest}")
    channels = 3 if kind in (b"P3", b"P6") else 1
    layout = Layout((height, width, channels), largest, bits=kind == b"P4", name="PNM", comments=header.comments)
    return kind, layout, largest


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
    def total_bytes(self) -> int:
        """Bytes of all samples in the file."""
        return self.shape[0] * self.row_bytes

    def converted(self, samples: Pixels) -> Pixels:
        """Convert samples of whole rows to (some rows, W, C).

        Parameters
        ----------
        samples : 1-D array
            Of the type in the file; of uint8 for bits.

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
        """Yield the rows from the top down as (some rows, W, C) arrays; samples that the file lacks are zero."""
        height = self.shape[0]
        step = max(1, BAND_BYTES // self.row_bytes)
        for top in range(0, height, step):
            bottom = min(top + step, height)
            data = np.empty((bottom - top) * self.row_bytes, np.uint8)
            file.seek(start + (height - bottom if self._real else top) * self.row_bytes)
            read = file.readinto(data)  # type: ignore[attr-defined]
            data[read:] = 0
            rows = self.converted(data if self._bits else data.view(self._stored))
            yield rows[::-1] if self._real else rows


def _opened(file: BinaryIO, layout: Layout, options: ReadOptions) -> Picture:
    """Return a picture whose binary samples begin at the file's position, and are decoded later."""
    start = file.tell()
    needed, present = layout.total_bytes, size_of(file) - start
    note = ""
    if present < needed:
        note = f"the PNM is truncated: {present} of {needed} bytes are there"
        if not options.lenient:
            raise ReadError(note, remedy=DECODE_THE_REST)
    bands = Bands(layout.shape, layout.dtype, lambda: layout.bands(file, start), name=layout.name)
    return _picture(layout, bands, note, trailing_data.losses(file, "PNM", start + needed) if present > needed else ())


def _picture(layout: Layout, samples: Pixels | Bands, note: str, losses: Sequence[Loss] = ()) -> Picture:
    """Return a picture of (H, W, C) samples; ``note`` is about damage, "" for none."""
    channels = layout.shape[2]
    if isinstance(samples, np.ndarray) and channels == 1:
        samples = samples[:, :, 0]
    model: Model = "gray" if channels < 3 else "rgb"
    notes = (note,) if note else ()
    return Picture(
        [Frame(samples)], model, channels in (2, 4), layout.name,
        metadata=Metadata(text=[Text("Comment", layout.comment)] if layout.comment else []),
        notes=notes, losses=tuple(losses), white=layout.white,
    )  # fmt: skip


def _plain_samples(
    file: BinaryIO, count: int, bits: bool, largest: int, options: ReadOptions
) -> tuple[Pixels, str, list[Loss]]:
    """Read ``count`` samples in decimal text, or in adjacent digits for ``bits``: samples, note on damage, losses."""
    limits.require_memory(_WORD_MEMORY_BYTES * count)
    text = file.read(_TEXT_BYTES * count + _MORE_TEXT_BYTES)
    if b"#" in text:
        text = b"\n".join(line.partition(b"#")[0] for line in text.split(b"\n"))
    words = [bytes([byte]) for byte in text if byte in b"01"] if bits else text.split()
    note = ""
    if len(words) < count:
        note = f"the PNM is truncated: {len(words)} of {count} samples are there"
        if not options.lenient:
            raise ReadError(note, remedy=DECODE_THE_REST)
        words += [b"0"] * (count - len(words))
    try:
        values = np.array(words[:count], dtype=np.int64)
    except (ValueError, OverflowError) as error:
        raise ReadError("the PNM is damaged: a sample is not a whole number") from error
    if values.min() < 0 or values.max() > largest:
        raise ReadError(
            f"the PNM is damaged: samples go from {values.min()} to {values.max()}, its header allows 0 to {largest}"
        )
    # By ppm(5) a plain file holds one picture.
    losses = [trailing_data.another("PNM")] if re.search(rb"P[1-6]\s", text) else []
    return values.astype(np.uint8 if largest < 256 else np.uint16), note, losses


def _pam_layout(file: HeaderSource, options: ReadOptions) -> Layout:
    """Read the header of a PAM behind its signature: lines of a keyword and a value."""
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
    """Read the header of a PFM behind its signature; a scale below 0 means little-endian samples."""
    header = _Words(file)
    width, height = header.number("width"), header.number("height")
    limits.require_size(width, height, options)
    try:
        scale = float(header.word())
    except ValueError as error:
        raise ReadError("the header of the PFM has no number for its scale") from error
    real = "<f4" if scale < 0 else ">f4"
    return Layout((height, width, channels), 0, real=real, name="PFM")


def row_writer(
    file: BinaryIO, stored: Outline, options: WriteOptions, dtype: np.dtype[np.generic], **keywords: Any
) -> PnmWriter:
    """Return a row writer; see ``write.row_writer``."""
    assert stored.format is not None
    return PnmWriter(file, stored.shape, np.dtype(stored.dtype), stored.format, stored, incoming=dtype, **keywords)


def write_pnm(file: BinaryIO, picture: Picture, options: WriteOptions) -> None:
    """Write a PGM, PPM, PAM or PFM; a ``Writer``."""
    pixels, name = picture.pixels, picture.format
    assert name is not None
    with PnmWriter(file, pixels.shape, pixels.dtype, name, picture.outline) as writer:
        writer.write_all(pixels)
        writer.finish()


class PnmWriter(RowWriter):
    """Writer of the rows of a PGM, PPM, PAM or PFM.

    Parameters
    ----------
    file : BinaryIO
        Seekable for a PFM, whose rows are stored bottom-up.
    shape : (H, W) or (H, W, C)
    dtype : dtype
        Type of the stored samples.
    name : str
        "PNM", "PGM", "PAM" or "PFM".
    outline : Outline
        Outline of the picture that is written; gives white, model, alpha and the comment.
    incoming : dtype, optional
        Type of the rows before ``prepare``, if different.
    """

    def __init__(
        self,
        file: BinaryIO,
        shape: tuple[int, ...],
        dtype: np.dtype[np.generic],
        name: str,
        outline: Outline,
        *,
        incoming: np.dtype[np.generic] | None = None,
        **keywords: Any,
    ) -> None:
        height, width, channels = (*shape, 1)[:3]
        super().__init__(file, (height, width, channels), incoming or dtype, **keywords)
        self._name, self._outline, self._stored = name, outline, dtype.newbyteorder("<" if name == "PFM" else ">")
        self._row_bytes = width * channels * dtype.itemsize
        self._threads = 1  # encoding is a copy
        self.block_rows = max(1, BAND_BYTES // self._row_bytes)

    def begin(self) -> None:
        """Write the header."""
        height, width, channels = self.shape
        largest = self._outline.white or (0 if self._name == "PFM" else 2 ** (8 * self._stored.itemsize) - 1)
        if self._name == "PFM":
            head = b"%s\n%d %d\n-1.0\n" % (b"PF" if channels == 3 else b"Pf", width, height)
        elif self._name == "PAM":
            model, alpha = self._outline.model, self._outline.alpha
            kind = (b"GRAYSCALE" if CHANNELS[model] == 1 else b"RGB") + (b"_ALPHA" if alpha else b"")
            sizes = width, height, channels, largest
            fields = b"WIDTH %d\nHEIGHT %d\nDEPTH %d\nMAXVAL %d\nTUPLTYPE %s\n" % (*sizes, kind)
            head = b"P7\n%s%sENDHDR\n" % (self._comments(), fields)
        else:
            magic = b"P6" if channels == 3 else b"P5"
            head = b"%s\n%s%d %d\n%d\n" % (magic, self._comments(), width, height, largest)
        self.file.write(head)
        self._samples_start = self.file.tell() if self._name == "PFM" else 0

    def _comments(self) -> bytes:
        """Return the comment lines of the header."""
        lines = [line for text in self._outline.metadata.text for line in text.value.splitlines()]
        return b"".join(b"# %s\n" % line.encode() for line in lines)

    def encode(self, block: Block) -> tuple[int, Pixels]:
        """Return the number of rows below the block, which a PFM stores first, and the stored samples."""
        rows = block.rows[::-1] if self._name == "PFM" else block.rows
        return self.shape[0] - block.top - len(rows), np.ascontiguousarray(rows, dtype=self._stored)

    def emit(self, piece: tuple[int, Pixels]) -> None:
        """Write the samples of a block."""
        below, rows = piece
        if self._name == "PFM":
            self.file.seek(self._samples_start + below * self._row_bytes)
        self.file.write(rows.data)

    def end(self) -> None:
        """Do nothing: the format has no trailer."""
