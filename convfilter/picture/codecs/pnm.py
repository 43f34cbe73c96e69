"""Reader and writer of PBM, PGM, PPM (P1 to P6), PAM (P7) and PFM at full depth; Pillow reduces a 16-bit PPM to 8."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO

import numpy as np

from convfilter.errors import DECODE_THE_REST, ReadError
from convfilter.picture import limits, trailing_data
from convfilter.picture.codecs import pnm_layout
from convfilter.picture.codecs.pnm_layout import Layout, header_of
from convfilter.picture.frame import Frame
from convfilter.picture.loss import Loss
from convfilter.picture.metadata.metadata import Metadata, Text
from convfilter.picture.options import ReadOptions, WriteOptions
from convfilter.picture.outline import Outline
from convfilter.picture.picture import Picture
from convfilter.picture.pixels import CHANNELS, Model, Pixels
from convfilter.picture.place.ranges import StreamedFile
from convfilter.picture.place.source import size_of
from convfilter.picture.row_source import LazyRows
from convfilter.picture.row_writer import Block, RowWriter

#: Bytes of memory for a sample in decimal text, as a bytes object in a list of words.
_WORD_MEMORY_BYTES = 64
#: Bytes of decimal text that are read for each sample, which has at most 5 digits, and for all samples together; a file
#: with more blanks is refused.
_TEXT_BYTES, _MORE_TEXT_BYTES = 16, 1 << 16


def read_pnm(file: BinaryIO, options: ReadOptions) -> Picture:
    """Read a PBM, PGM, PPM, PAM or PFM; a ``Reader``.

    Samples have the values of the file, as uint8 if the largest allowed one is at most 255, else as uint16; bits become
    0 and 255. A PFM has float32.
    """
    options.require_frame(1)
    kind, layout, largest = header_of(file, options)
    if kind not in (b"P1", b"P2", b"P3"):
        return _opened(file, layout, options)
    limits.require_memory(2 * layout.total_bytes)
    height, width, channels = layout.shape
    samples, note, losses = _plain_samples(file, height * width * channels, kind == b"P1", largest, options)
    return _picture(layout, layout.converted(1 - samples if kind == b"P1" else samples), note, losses)


def _opened(file: BinaryIO, layout: Layout, options: ReadOptions) -> Picture:
    """Return a picture whose binary samples begin at the file's position, and are decoded later."""
    start = file.tell()
    needed, present = layout.total_bytes, size_of(file) - start
    note = ""
    if present < needed:
        note = f"the PNM is truncated: {present} of {needed} bytes are there"
        if not options.lenient:
            raise ReadError(note, remedy=DECODE_THE_REST)
    stream = file if isinstance(file, StreamedFile) else None

    def decoded() -> Iterator[Pixels]:
        yield from layout.bands(file, start)
        if stream is not None:
            stream.finish()

    read_once = stream.read_once if stream is not None else None
    rows = LazyRows(layout.shape, layout.dtype, decoded, name=layout.name, read_once=read_once)
    return _picture(layout, rows, note, trailing_data.losses(file, "PNM", start + needed) if present > needed else ())


def _picture(layout: Layout, samples: Pixels | LazyRows, note: str, losses: Sequence[Loss] = ()) -> Picture:
    """Return a picture of (H, W, C) samples; ``note`` describes damage, "" without damage."""
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
    """Read ``count`` samples in decimal text, or in adjacent digits for ``bits``.

    Returns the samples, a note on damage ("" without damage), and losses.
    """
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
    losses = [trailing_data.another("PNM")] if re.search(rb"P[1-7fF]\s", text) else []
    return values.astype(np.uint8 if largest < 256 else np.uint16), note, losses


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

    keeps_rows = True

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
        self.block_rows = max(1, pnm_layout.BAND_BYTES // self._row_bytes)

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
