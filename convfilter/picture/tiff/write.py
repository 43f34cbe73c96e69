"""TIFF writer: threads encode strips or tiles, and the directory of each page follows its samples.

TIFF 6.0 (Adobe, 1992); BigTIFF; TIFF Technical Note 3 (predictors of real samples).
"""

from __future__ import annotations

import struct
from array import array
from collections.abc import Sequence
from typing import Any, BinaryIO, Literal

import numpy as np

from convfilter.picture import colour
from convfilter.picture.metadata import exif, ifd, mark
from convfilter.picture.metadata.ifd import Field
from convfilter.picture.metadata.metadata import Metadata
from convfilter.picture.metadata.tiff_numbers import (
    ASCII,
    ASSOCIATED,
    BITS_PER_SAMPLE,
    BLACK_IS_ZERO,
    BYTE,
    CENTIMETRE,
    CM_PER_INCH,
    COMPRESSION,
    CONTIGUOUS,
    HEIGHT,
    ICC,
    INCH,
    IPTC,
    LONG,
    LONG8,
    PHOTOMETRIC,
    PHOTOSHOP,
    PLANAR_CONFIGURATION,
    RATIONAL,
    RESOLUTION_UNIT,
    RGB,
    ROWS_PER_STRIP,
    SAMPLES_PER_PIXEL,
    SEPARATED,
    SHORT,
    STRIP_BYTE_COUNTS,
    STRIP_OFFSETS,
    UNASSOCIATED,
    UNDEFINED,
    UNSPECIFIED,
    WIDTH,
    X_RESOLUTION,
    XMP,
    Y_RESOLUTION,
)
from convfilter.picture.options import WriteOptions
from convfilter.picture.outline import Outline
from convfilter.picture.picture import Picture
from convfilter.picture.pixels import CHANNELS, Pixels
from convfilter.picture.row_writer import Block, RowWriter
from convfilter.picture.tiff import fields as tiff_fields
from convfilter.picture.tiff.compression import CODES, PREDICTED, compression_of, encoder
from convfilter.picture.tiff.fields import PageFields
from convfilter.picture.tiff.masks import Mask
from convfilter.picture.tiff.pages import Pages
from convfilter.picture.tiff.tags import TEXT_TAGS
from convfilter.picture.tiff.tiles import tiling_of
from convfilter.record import replace
from convfilter.sample_types import full_scale

_ORDER: Literal["<"] = "<"
#: Most bytes of samples in a classic TIFF, whose offsets have 32 bits; 32 MiB are left for tags.
CLASSIC_BYTES = 2**32 - 2**25
#: Approximate bytes of a strip.
STRIP_BYTES = 1 << 18
_TILE_WIDTH, _TILE_HEIGHT, _TILE_OFFSETS, _TILE_COUNTS = 322, 323, 324, 325
_PREDICTOR, _EXTRA_SAMPLES, _SAMPLE_FORMAT = 317, 338, 339
#: Sample formats that need a tag: without it, readers expect unsigned integers.
_SAMPLE_FORMATS = {"i": 2, "f": 3}
_PHOTOMETRICS = {"gray": BLACK_IS_ZERO, "rgb": RGB, "cmyk": SEPARATED}
#: Denominator of a resolution.
_PARTS = 10_000


def write_tiff(file: BinaryIO, picture: Picture, options: WriteOptions) -> None:
    """Write a TIFF; frames become pages.

    Parameters
    ----------
    file : BinaryIO
        Seekable, at its beginning.
    picture : Picture
        Pixels of any type of ``sample_types``.
    options : WriteOptions

    Raises
    ------
    OSError
        The file cannot be written.
    """
    frames = [frame.pixels for frame in picture.frames]
    given = fields_of(picture)
    fields = [tiff_fields.fitting(*each)[0] if each else [] for each in given]
    outlines = [
        replace(picture.outline, height=pixels.shape[0], width=pixels.shape[1], dtype=pixels.dtype.name)
        for pixels in frames
    ]
    pages = Pages(file, big=sum(map(_page_bytes, outlines)) > CLASSIC_BYTES)
    for number, (pixels, outline) in enumerate(zip(frames, outlines, strict=True)):
        if number and given[number]:  # other pages have a profile of their own among their fields
            outline.metadata = replace(outline.metadata, icc=None)
        arguments = file, outline, options, fields[number]
        with TiffWriter(*arguments, pages=pages, is_first=number == 0, threads=options.threads) as writer:
            writer.write_all(pixels)
            writer.finish()


def row_writer(
    file: BinaryIO, stored: Outline, options: WriteOptions, dtype: np.dtype[np.generic], **keywords: Any
) -> TiffWriter:
    """Return the writer of rows for a picture of one page; see ``write.row_writer``."""
    shape = stored.shape[:2] if stored.shape[2] == 1 else stored.shape
    fields = tiff_fields.fitting(stored.pages[0], shape, stored.dtype, 1)[0] if stored.pages else []
    return TiffWriter(file, stored, options, fields, incoming=dtype, **keywords)


def fields_of(picture: Picture) -> list[tuple[PageFields, tuple[int, ...], str, int] | None]:
    """Return the arguments of ``tiff_fields.fitting`` for each page, None where there are no fields."""
    frames = picture.frames
    return [frame.tiff and (frame.tiff, frame.shape, frame.dtype.name, len(frames)) for frame in frames]


class TiffWriter(RowWriter):
    """Writes the rows of a page.

    Parameters
    ----------
    file : BinaryIO
        Seekable.
    stored : Outline
        The page.
    options : WriteOptions
    fields : sequence of Field
        Fields of the page, except those for the layout of its samples.
    pages : Pages, optional
        The pages of the file so far; None: a file of one page.
    is_first : bool
        Whether this page gets the metadata of the file.
    incoming : dtype, optional
        Type of the rows before ``prepare``; by default that of ``stored``.
    keywords
        As for ``RowWriter``.
    """

    def __init__(
        self,
        file: BinaryIO,
        stored: Outline,
        options: WriteOptions,
        fields: Sequence[Field] = (),
        *,
        pages: Pages | None = None,
        is_first: bool = True,
        incoming: np.dtype[np.generic] | None = None,
        **keywords: Any,
    ) -> None:
        dtype = np.dtype(stored.dtype)
        super().__init__(file, stored.shape, incoming or dtype, **keywords)
        self._pages = pages or Pages(file, big=_page_bytes(stored) > CLASSIC_BYTES)
        self._is_first, self._stored, self._dtype, self._fields = is_first, stored, dtype, fields
        self._compression = compression_of(stored.metadata, options)
        self._encoder = encoder(self._compression, options.compression)
        self._bits = stored.white.bit_length() if stored.white is not None else 8 * dtype.itemsize
        self._predicts = self._compression in PREDICTED and stored.white is None
        self._kinds = _extra_kinds(stored)
        self._mask: Mask | None = None
        if stored.alpha and stored.metadata.mask:
            self._mask, self._kinds = Mask(stored.white or full_scale(dtype)), [UNSPECIFIED] * stored.extras
        self._tiling = tiling_of(stored)
        if self._tiling is None:
            self.block_rows = max(1, STRIP_BYTES // _row_bytes(stored))
            if self._compression == "none":
                self._threads = 1  # encoding is a copy
        else:
            self.block_rows, self._threads = self._tiling.height, self._tiling.threads(self._threads)

    def begin(self) -> None:
        """Write the header of the file."""
        if self._is_first:
            self._pages.begin()
        # Lists would take four times the memory: a large picture has tens of thousands of strips.
        self._offsets, self._counts = array("Q"), array("Q")

    def encode(self, block: Block) -> tuple[list[bytes], bytes | None]:
        """Return the encoded strip, or the encoded tiles of a row, and the encoded mask."""
        mask = None
        if self._mask is None:
            rows = _as_stored(block.rows, self._stored, self._kinds)
        else:
            rows, mask = block.rows[..., :-1], self._mask.encoded(block.rows[..., -1])
        return [self._encoded(piece) for piece in (self._tiling.cut(rows) if self._tiling else (rows,))], mask

    def _encoded(self, rows: Pixels) -> bytes:
        import imagecodecs

        if self._bits < 8 * self._dtype.itemsize:
            samples = rows.shape[1] * rows.shape[2]
            return self._encoder(imagecodecs.packints_encode(rows.ravel(), self._bits, runlen=samples))
        rows = np.ascontiguousarray(rows, dtype=self._dtype.newbyteorder(_ORDER))
        if self._predicts:
            differences = imagecodecs.floatpred_encode if self._dtype.kind == "f" else imagecodecs.delta_encode
            return self._encoder(differences(rows, axis=-2).tobytes())
        if self._compression == "packbits":  # each row is compressed separately
            return b"".join(self._encoder(row.tobytes()) for row in rows)
        return self._encoder(rows.tobytes())

    def emit(self, piece: tuple[list[bytes], bytes | None]) -> None:
        """Write a strip, or tiles."""
        pieces, mask = piece
        if mask is not None and self._mask is not None:
            self._mask.append(mask)
        for data in pieces:
            self._offsets.append(self.file.tell())
            self._counts.append(len(data))
            self.file.write(data)

    def end(self) -> None:
        """Write the directory."""
        metadata, (height, width, _) = self._stored.metadata, self.shape
        fields = {field.tag: field for field in self._fields}
        described = ifd.Directories({}, {}, {})
        if self._is_first:
            described = ifd.from_block(exif.with_size(metadata.exif, width, height) or b"", _ORDER)
            fields = _with_descriptions(metadata, described, fields)
        if metadata.resolution and X_RESOLUTION not in fields:
            unit, inches = (CENTIMETRE, 1 / CM_PER_INCH) if metadata.per_centimetre else (INCH, 1.0)
            for tag, dots in zip((X_RESOLUTION, Y_RESOLUTION), metadata.resolution, strict=True):
                fields[tag] = Field(tag, RATIONAL, struct.pack("<II", *_ratio(dots * inches)))
            fields[RESOLUTION_UNIT] = _shorts(RESOLUTION_UNIT, unit)
        if metadata.icc and ICC not in fields:
            fields[ICC] = Field(ICC, UNDEFINED, metadata.icc)
        fields.update({field.tag: field for field in self._layout()})
        self._pages.append(fields, {ifd.EXIF_IFD: described.exif, ifd.GPS_IFD: described.gps})
        if self._mask is not None:
            self._mask.write(self._pages, width, height, self.block_rows)

    def _layout(self) -> list[Field]:
        """Return the fields for the layout of the samples."""
        height, width, _ = self.shape
        channels = CHANNELS[self._stored.model] + len(self._kinds)
        (offset_type, offset_bytes), tiling = (LONG8, 8) if self._pages.big else (LONG, 4), self._tiling
        if tiling is None:
            tags, sides = (STRIP_OFFSETS, STRIP_BYTE_COUNTS), {ROWS_PER_STRIP: min(self.block_rows, height)}
        else:
            tags, sides = (_TILE_OFFSETS, _TILE_COUNTS), {_TILE_WIDTH: tiling.width, _TILE_HEIGHT: tiling.height}
        fields = [
            Field(WIDTH, LONG, struct.pack("<I", width)),
            Field(HEIGHT, LONG, struct.pack("<I", height)),
            _shorts(BITS_PER_SAMPLE, *[self._bits] * channels),
            _shorts(COMPRESSION, CODES[self._compression]),
            _shorts(PHOTOMETRIC, _PHOTOMETRICS[self._stored.model]),
            _shorts(SAMPLES_PER_PIXEL, channels),
            *(Field(tag, LONG, struct.pack("<I", side)) for tag, side in sides.items()),
            _shorts(PLANAR_CONFIGURATION, CONTIGUOUS),
            *(
                Field(tag, offset_type, np.array(values, f"<u{offset_bytes}").tobytes())
                for tag, values in zip(tags, (self._offsets, self._counts), strict=True)
            ),
        ]
        if self._predicts:
            fields.append(_shorts(_PREDICTOR, 3 if self._dtype.kind == "f" else 2))
        if self._kinds:
            fields.append(_shorts(_EXTRA_SAMPLES, *self._kinds))
        if self._dtype.kind in _SAMPLE_FORMATS:
            fields.append(_shorts(_SAMPLE_FORMAT, *[_SAMPLE_FORMATS[self._dtype.kind]] * channels))
        return fields


def _row_bytes(page: Outline) -> int:
    return page.shape[1] * page.shape[2] * np.dtype(page.dtype).itemsize


def _page_bytes(page: Outline) -> int:
    """Return the size of a page's samples in bytes, uncompressed."""
    tiling = tiling_of(page)
    return tiling.page_bytes if tiling else page.height * _row_bytes(page)


def _shorts(tag: int, *values: int) -> Field:
    return Field(tag, SHORT, struct.pack(f"<{len(values)}H", *values))


def _ratio(value: float) -> tuple[int, int]:
    """Return a fraction of two 32-bit integers close to a positive value."""
    if value.is_integer() or value * _PARTS >= 2**32:
        return round(value), 1
    return (round(value * _PARTS), _PARTS) if value * _PARTS >= 1 else (1, min(round(1 / value), 2**32 - 1))


def _alpha_kind(outline: Outline) -> int:
    return ASSOCIATED if outline.premultiplied or outline.metadata.associated_alpha else UNASSOCIATED


def _extra_kinds(outline: Outline) -> list[int]:
    """Return the kinds of the channels after the colours, with alpha at its place in the input file."""
    kinds = [UNSPECIFIED] * outline.extras
    if outline.alpha:
        kinds.insert(outline.metadata.alpha_at, _alpha_kind(outline))
    return kinds


def _as_stored(rows: Pixels, outline: Outline, kinds: list[int]) -> Pixels:
    """Return rows with the file's order of channels, and with premultiplied colours if its alpha is associated."""
    if not outline.alpha:
        return rows
    if outline.metadata.associated_alpha and not outline.premultiplied:
        rows = colour.premultiplied(rows, outline.white)
    if kinds[-1] != UNSPECIFIED:
        return rows
    at = CHANNELS[outline.model] + kinds.index(_alpha_kind(outline))
    return np.concatenate([rows[..., :at], rows[..., -1:], rows[..., at:-1]], axis=-1)


def _with_descriptions(metadata: Metadata, described: ifd.Directories, fields: dict[int, Field]) -> dict[int, Field]:
    """Add texts, XMP, IPTC, Photoshop's resources and the descriptive fields of EXIF to the fields of a page."""
    tags = [tag for tag in (*ifd.DESCRIPTIVE, ifd.ORIENTATION) if tag in described.first]
    fields = fields | {tag: described.first[tag] for tag in tags}
    codes = {keyword: code for code, keyword in TEXT_TAGS.items()}
    for text in metadata.text:
        code = codes.pop(text.keyword, None)
        if code is not None and (code not in fields or mark.is_mark(text)):
            fields[code] = Field(code, ASCII, text.value.replace("\0", " ").encode() + b"\0")  # 0 ends a text
    for code, kind, data in (
        (XMP, BYTE, metadata.xmp),
        (IPTC, UNDEFINED, metadata.iptc),
        (PHOTOSHOP, BYTE, metadata.photoshop),
    ):
        if data:
            fields[code] = Field(code, kind, data)
    return fields
