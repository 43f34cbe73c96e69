"""Decode the samples of a TIFF page, and convert them to the order and the type of a frame."""

from __future__ import annotations

import math
from typing import Any, BinaryIO

import numpy as np

from convfilter.errors import ReadError
from convfilter.picture import colour
from convfilter.picture.jpeg import decoder
from convfilter.picture.jpeg.layout import layout_of
from convfilter.picture.metadata.tiff_numbers import (
    ASSOCIATED,
    BLACK_IS_ZERO,
    OLD_JPEG,
    PALETTE,
    RGB,
    SEPARATED,
    UNASSOCIATED,
    UNSPECIFIED,
    WHITE_IS_ZERO,
    YCBCR,
)
from convfilter.picture.options import ReadOptions
from convfilter.picture.pixels import CHANNELS, Model, Pixels
from convfilter.picture.row_source import LazyRows
from convfilter.picture.tiff import damaged
from convfilter.picture.tiff import rows as tiff_rows
from convfilter.picture.tiff import segments as tiff_segments
from convfilter.picture.tiff.layout import Image
from convfilter.record import NamedTuple
from convfilter.sample_types import computed_in, full_scale, is_known

#: Colour models of the photometric interpretations that can be filtered. CIE Lab, LogLuv and raw sensor data cannot.
MODELS: dict[int, Model] = {
    WHITE_IS_ZERO: "gray",
    BLACK_IS_ZERO: "gray",
    RGB: "rgb",
    PALETTE: "rgb",
    SEPARATED: "cmyk",
    YCBCR: "rgb",
}
_JPEG_STREAM, _JPEG_STREAM_BYTES = 513, 514


class Decoded(NamedTuple):
    """A page: its samples, or the decoder of its rows, and the properties of its channels as in ``Picture``.

    ``obstacle`` is the reason why the samples could not be left to be decoded band by band; "" if they were.
    """

    pixels: Any
    model: Model
    alpha: bool
    extras: int
    white: int | None
    obstacle: str = ""
    premultiplied: bool = False
    file_dtype: str | None = None

    @property
    def kind(self) -> tuple[object, ...]:
        """The properties that all pages of a picture must share."""
        return self.model, self.alpha, self.extras, self.pixels.dtype, self.white, self.file_dtype

    @property
    def opaque(self) -> float:
        """The value of full opacity, and of white."""
        return self.white or full_scale(self.file_dtype or self.pixels.dtype)

    def straight(self) -> Decoded:
        """Return the page with straight colours, which are not multiplied by alpha."""
        if not self.premultiplied:
            return self
        straight = colour.straightened(self.pixels, self.pixels.dtype, self.white, self.white)
        return self._replace(pixels=straight, premultiplied=False)

    def with_alpha(self) -> Decoded:
        """Return the page with an alpha channel; a page without one becomes opaque."""
        if self.alpha:
            return self
        opaque = np.full(self.pixels.shape[:2], self.opaque, self.pixels.dtype)
        return self._replace(pixels=np.dstack([self.pixels, opaque]), alpha=True)


def extra_kinds(page: Any) -> list[int]:
    """Return the kind of each sample of a pixel after the colours; UNSPECIFIED where the file gives no kind."""
    photometric = int(page.photometric)
    colours = 1 if photometric == PALETTE else CHANNELS[MODELS[photometric]]
    kinds = list(map(int, page.extrasamples))
    count = int(page.samplesperpixel) - colours
    return (kinds + [UNSPECIFIED] * count)[:count] if count > 0 else []


def opened(image: Image, file: BinaryIO, options: ReadOptions, notes: list[str]) -> Decoded:
    """Return a page that is decoded band by band on demand; decode it now if that is not possible.

    Parameters
    ----------
    image : Image
    file : BinaryIO
        Stays open until the page is decoded.
    options : ReadOptions
    notes : list of str
        A line is added for each conversion and damage.

    Raises
    ------
    ReadError
        The page is damaged.
    """
    if options.lenient or (obstacle := tiff_rows.streaming_obstacle(image)):
        page = decoded(image, options, notes)
        return page if options.lenient else page._replace(obstacle=obstacle)
    page = image.page
    convert = _Converter(page)
    rows = tiff_rows.Rows(page, file, options.threads)
    # Converting one pixel gives the type and the channels of all.
    pixel = convert(np.zeros((1, 1, int(page.samplesperpixel)), page.dtype), notes)
    shape = int(page.imagelength), int(page.imagewidth), pixel.shape[2]
    bands = LazyRows(
        shape,
        pixel.dtype,
        lambda: (convert(band, []) for band in rows.bands()),
        band_bytes=rows.band_bytes,
        ahead=not rows.is_plain
        and options.threads != 1
        and math.prod(shape) * pixel.dtype.itemsize > tiff_rows.BAND_BYTES,
        name="TIFF",
    )
    kind = convert.model, convert.alpha, convert.extras, convert.white
    return Decoded(bands, *kind, premultiplied=convert.premultiplied, file_dtype=convert.file_dtype)


def decoded(image: Image, options: ReadOptions, notes: list[str]) -> Decoded:
    """Decode an image, and its mask to alpha; arguments and errors as for :func:`opened`."""
    convert = _Converter(image.page)
    pixels = convert(_samples(image, options, notes), notes)
    pixels = pixels[:, :, 0] if pixels.shape[2] == 1 else pixels
    kind = convert.model, convert.alpha, convert.extras, convert.white
    page = Decoded(
        np.ascontiguousarray(pixels), *kind, premultiplied=convert.premultiplied, file_dtype=convert.file_dtype
    )
    if image.mask is None:
        return page
    if page.alpha:
        notes.append("the TIFF holds a transparency mask besides an alpha channel; the mask is left out")
        return page
    mask = _samples(Image(image.mask), options, notes)[:, :, 0] != 0
    opacity = mask * page.pixels.dtype.type(page.opaque)
    return page._replace(pixels=np.dstack([page.pixels, opacity]), alpha=True)


class _Converter:
    """Converts samples of a page to those of a picture, for any number of rows at a time.

    Attributes
    ----------
    model, alpha, extras, white, premultiplied, file_dtype
        As in ``Picture``.
    """

    def __init__(self, page: Any) -> None:
        self._page, self._photometric = page, int(page.photometric)
        self.model = MODELS[self._photometric]
        self._kinds = extra_kinds(page)
        self._at = next((index for index, kind in enumerate(self._kinds) if kind in (ASSOCIATED, UNASSOCIATED)), None)
        self.alpha = self._at is not None
        self.premultiplied = self._at is not None and self._kinds[self._at] == ASSOCIATED
        self.extras = len(self._kinds) - self.alpha
        bits = int(page.bitspersample)
        has_levels = page.dtype.kind == "u" and bits in (*range(9, 16), *range(17, 32)) and self._photometric != PALETTE
        self.white = 2**bits - 1 if has_levels else None
        is_narrow = is_known(page.dtype) and computed_in(page.dtype) != page.dtype
        self.file_dtype: str | None = page.dtype.name if is_narrow else None

    def __call__(self, data: Pixels, notes: list[str]) -> Pixels:
        """Convert (rows, cols, samples) of the file to (rows, cols, channels), and add to the notes."""
        at, kinds, page = self._at, self._kinds, self._page
        if at is not None:
            data = _alpha_last(data, at - len(kinds))
        is_palette = self._photometric == PALETTE
        pixels = _coloured(page, data) if is_palette else _computed(data, page.bitspersample, notes)
        if self._photometric == WHITE_IS_ZERO:
            pixels[:, :, 0] = pixels.dtype.type(self.white or full_scale(pixels.dtype)) - pixels[:, :, 0]
        return pixels


def _alpha_last(data: Pixels, at: int) -> Pixels:
    """Move the alpha channel, whose index is ``at`` (-1 is the last), after all others."""
    return data if at == -1 else np.concatenate([data[:, :, :at], data[:, :, at + 1 :], data[:, :, [at]]], axis=2)


def _samples(image: Image, options: ReadOptions, notes: list[str]) -> Pixels:
    """Decode a page to (height, width, samples)."""
    page = image.page
    planes, _, height, width, samples = page.shaped
    stream = _old_jpeg(page) if int(page.compression) == OLD_JPEG else None
    if stream is not None:
        data = decoder.decode(stream)
    elif image.slice:
        data = _slice(image)
    elif options.lenient:
        data = damaged.readable_segments(page, notes)
    else:
        with damaged.decoding(page):
            tiff_segments.require_sound_segments(page)
            data = page.asarray(maxworkers=1 if page.nbytes < 1 << 20 else options.threads)
    data = data.reshape(planes, height, width, samples)
    return data[0] if planes == 1 else np.moveaxis(data[..., 0], 0, -1)


def _slice(image: Image) -> Pixels:
    """Read an image of a stack with one directory; missing samples are zero."""
    page = image.page
    if page.dtype.itemsize * 8 != page.bitspersample:
        raise ReadError(
            f"the TIFF is a stack of {page.bitspersample}-bit samples with one directory; save it with 8 or 16"
        )
    file = page.parent.filehandle
    file.seek(page.dataoffsets[0] + image.slice * int(page.nbytes))
    data = file.read(int(page.nbytes)).ljust(int(page.nbytes), b"\0")
    return np.frombuffer(data, page.dtype.newbyteorder(page.parent.byteorder)).astype(page.dtype)


def _old_jpeg(page: Any) -> bytes | None:
    """Return the JPEG stream of a TIFF with old-style JPEG compression, if it is in one piece."""
    offset, length = page.tags.valueof(_JPEG_STREAM), page.tags.valueof(_JPEG_STREAM_BYTES)
    if offset is None or length is None:
        return None
    file = page.parent.filehandle
    file.seek(int(np.ravel(offset)[0]))
    stream = bytes(file.read(int(np.ravel(length)[0])))
    layout = layout_of(stream)
    if layout is not None and (layout.width, layout.height) != (page.imagewidth, page.imagelength):
        raise ReadError(
            f"the TIFF is damaged: its JPEG has {layout.width}x{layout.height} pixels, "
            f"its tags say {page.imagewidth}x{page.imagelength}"
        )
    return stream if layout else None


def _computed(samples: Pixels, bits: int, notes: list[str]) -> Pixels:
    """Convert samples to a type of the engine; those of up to 8 bits are scaled to all of uint8, others keep values."""
    if samples.dtype.kind == "b":
        return samples.astype(np.uint8) * np.uint8(255)
    if samples.dtype.kind == "u" and bits <= 8:
        if bits < 8:
            notes.append(f"the TIFF has {bits}-bit samples; they are read and written in 8 bits, {2**bits - 1} as 255")
        made = colour.widened(samples, 2**bits - 1)
    elif is_known(samples.dtype):
        made = np.ascontiguousarray(samples, dtype=computed_in(samples.dtype))
    elif samples.dtype == np.float16:
        notes.append("the TIFF has 16-bit floats; they are read and written as 32-bit floats")
        return samples.astype(np.float32)
    else:
        notes.append(f"the TIFF has {bits}-bit integers; they are read and written as 64-bit floats of the same values")
        return colour.as_float64(samples, "TIFF")
    return made if made.flags.writeable else made.copy()


def _coloured(page: Any, samples: Pixels) -> Pixels:
    """Replace palette indices by colours; further channels are scaled to the depth of the colours."""
    if page.colormap is None or samples.dtype.kind not in "bu":
        raise ReadError("the TIFF is damaged: palette colours without a palette")
    table = np.ascontiguousarray(page.colormap.T)
    # Writers with 8-bit palettes fill only the upper or only the lower byte of each 16-bit entry, or repeat it in both.
    if table.max() < 256:
        table = table.astype(np.uint8)
    elif not (table & 255).any() or ((table >> 8) == (table & 255)).all():
        table = (table >> 8).astype(np.uint8)
    indices = samples[:, :, 0].astype(np.intp)
    if int(indices.max()) >= len(table):
        raise ReadError(
            f"the TIFF is damaged: a pixel has entry {int(indices.max())} of a palette of {len(table)} colours"
        )
    if samples.shape[2] == 1:
        return table[indices]
    others = colour.with_depth(colour.widened(samples[:, :, 1:], 2**page.bitspersample - 1), table.dtype)
    return np.concatenate([table[indices], others], axis=2)
