"""Read a picture: detect the format by content, check the size, decode, apply the orientation."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO, Protocol

import numpy as np

from convfilter.errors import DECODE_THE_REST, CameraRawError, ConvfilterError, ReadError, UnknownFormatError
from convfilter.picture import formats, limits
from convfilter.picture.loss import Loss, notes_of
from convfilter.picture.options import ReadOptions
from convfilter.picture.picture import Picture
from convfilter.picture.pixels import Pixels
from convfilter.picture.place import source
from convfilter.picture.row_source import decoding
from convfilter.record import replace

__all__ = ["ReadOptions", "opened", "read"]

#: Smallest number of bytes of any picture file.
_LEAST_BYTES = 4
_DEFAULTS = ReadOptions()
#: Size of a file up to which lenient reading is tried before it is advised: of larger ones, something is left.
_MOST_TRIED_BYTES = 1 << 16
#: Readers that decode damaged files by Pillow.
_BY_PILLOW = ("pillow.", "jpeg.")


class Reader(Protocol):
    """The reader of a format, such as ``read_png`` or ``read_pillow``."""

    def __call__(self, file: BinaryIO, options: ReadOptions) -> Picture:
        """Read a picture of one format.

        Parameters
        ----------
        file : BinaryIO
            Seekable, at its beginning.
        options : ReadOptions

        Returns
        -------
        Picture
            With the sample type of the file, in the orientation in which it is stored. Samples may be lazy: see
            ``row_source``.

        Raises
        ------
        ReadError
            The file is truncated, damaged, or of a kind that cannot be filtered.
        SizeError
            The picture is larger than allowed or than the memory; checked before a pixel is decoded.
        """


def read(where: str | os.PathLike[str] | BinaryIO, options: ReadOptions = _DEFAULTS) -> Picture:
    """Read a picture file.

    Parameters
    ----------
    where : path, "-" for standard input, or a binary file
    options : ReadOptions, optional

    Returns
    -------
    Picture
        With the sample type of the file, upright unless ``options.auto_orient`` is False, and with its metadata.

    Raises
    ------
    ReadError
        The file does not exist, is damaged, or is no picture. The message does not name the file, which the caller
        knows.
    SizeError
        The picture is larger than allowed, or than the memory.

    Examples
    --------
    >>> import io
    >>> read(io.BytesIO(b"P5 2 1 255 ab")).pixels
    array([[97, 98]], dtype=uint8)
    """
    with opened(where, options) as picture:
        decode_all(picture)
    return picture


@contextmanager
def opened(where: str | os.PathLike[str] | BinaryIO, options: ReadOptions = _DEFAULTS) -> Iterator[Picture]:
    """Open a picture file: like :func:`read`, but samples are decoded on demand, within the block.

    Yields
    ------
    Picture
        Its frames decode their samples at the first access, or row by row; see ``Frame``.

    Raises
    ------
    ReadError, SizeError
        As :func:`read`; damage of samples is found when they are decoded.
    """
    with source.opened(where) as file:
        try:
            picture = _decoded(file, options)
        except UnknownFormatError as error:
            raise _with_format_of_suffix(error, where) from error
        except CameraRawError:
            raise
        except ReadError as error:
            _check_advice(error, file, options)
            file.seek(0)
            if formats.sniff(file.read(32)) == "TIFF":
                _refuse_raw(where, error)
            raise
        if picture.format == "TIFF":
            _refuse_raw(where)
        if picture.metadata.text:
            from convfilter.picture.metadata import mark, raw_profiles

            mark.remove(picture.metadata)
            raw_profiles.take(picture.metadata)
        if picture.metadata.icc:
            from convfilter.picture.metadata import icc

            if not icc.fits(picture.metadata.icc, picture.model):
                _match_profile(picture)
        picture.metadata.from_integers = picture.dtype.kind != "f"
        if picture.metadata.exif or picture.metadata.xmp or picture.metadata.photoshop:
            _orient(picture, options)
        if picture.losses or (picture.notes and options.strict):
            lost = (*map(Loss, picture.notes), *picture.losses)
            picture = replace(picture, notes=notes_of(lost, options, ReadError), losses=())
        try:
            try:
                yield picture
            finally:
                for frame in picture.frames:
                    frame.close()
        except ReadError as error:
            _check_advice(error, file, options)
            raise


def _check_advice(error: ReadError, file: BinaryIO, options: ReadOptions) -> None:
    """Remove the advice to decode what is left of a small damaged file if nothing is left.

    Formats of which Pillow decodes the rest see to that themselves: its switch for damaged files would also let other
    threads decode them.
    """
    if error.remedy != DECODE_THE_REST or options.lenient:
        return
    try:
        if file.seek(0, os.SEEK_END) > _MOST_TRIED_BYTES:
            return
        file.seek(0)
        fmt = formats.row(formats.sniff(file.read(formats.HEAD_BYTES)) or "")
        file.seek(0)
        if fmt is not None and not str(fmt.reader).startswith(_BY_PILLOW):
            decode_all(_decoded(file, replace(options, lenient=True)))
    except (ConvfilterError, OSError, MemoryError):
        error.remedy = ""


def decode_all(picture: Picture) -> None:
    """Decode all samples that are not decoded yet.

    Raises
    ------
    ReadError, SizeError
        The samples are damaged, or too many for the memory.
    """
    limits.require_memory(2 * sum(math.prod(frame.shape) * frame.dtype.itemsize for frame in picture.frames))
    for frame in picture.frames:
        frame.decode()


def _decoded(file: BinaryIO, options: ReadOptions) -> Picture:
    """Call the reader of the format that the content identifies; for others, Pillow's, which knows further formats."""
    head = file.read(formats.HEAD_BYTES)
    file.seek(0)
    if not head:
        raise ReadError("the file is empty")
    if len(head) < _LEAST_BYTES:
        raise ReadError(f"the file has {len(head)} byte{'s' if len(head) > 1 else ''}, too few for a picture")
    name = formats.sniff(head)
    if name is None:
        _refuse_foreign(file)
    fmt = formats.row(name) if name else None
    if fmt is not None and (hint := formats.install_hint(fmt)):
        raise ReadError(hint)
    decode: Reader = formats.load(fmt.reader if fmt else "pillow.read:read_pillow")
    with decoding(name or "picture"):
        return decode(file, options)


def _refuse_foreign(file: BinaryIO) -> None:
    """Refuse a file whose content identifies a format that cannot be read."""
    from convfilter.picture import unsupported

    known = unsupported.by_content(file.read(unsupported.HEAD_BYTES))
    file.seek(0)
    if known is not None:
        raise ReadError(known.message)


def _with_format_of_suffix(error: ReadError, where: object) -> ReadError:
    """Return the error for unknown content: about the format of the file's suffix, if that cannot be read."""
    from convfilter.picture import unsupported

    if not isinstance(where, (str, os.PathLike)):
        return error
    suffix = os.path.splitext(os.fspath(where))[1]
    known = unsupported.by_suffix(suffix) if isinstance(suffix, str) else None
    return ReadError(known.message) if known else error


def _refuse_raw(where: object, cause: ReadError | None = None) -> None:
    """Refuse a TIFF with the suffix of a camera raw, of which only the preview can be decoded."""
    suffix = os.path.splitext(os.fspath(where))[1] if isinstance(where, (str, os.PathLike)) else ""
    if not isinstance(suffix, str) or not suffix:
        return
    from convfilter.picture import unsupported

    known = unsupported.raw_by_suffix(suffix)
    if known is not None:
        raise ReadError(known.message) from cause


def _match_profile(picture: Picture) -> None:
    """Replace or drop a colour profile for pictures of another model."""
    from convfilter.picture.metadata import icc_match

    lost = icc_match.match(picture.metadata, picture.model)
    picture.losses += (lost,) if lost else ()


def _orient(picture: Picture, options: ReadOptions) -> None:
    """Apply the orientation and reset it in the metadata; drop thumbnails, which show the unfiltered picture."""
    from convfilter.picture.metadata import exif, photoshop

    metadata = picture.metadata
    if options.auto_orient:
        orientation = exif.orientation(metadata.exif, metadata.xmp)
        if orientation != 1:
            from convfilter.picture.metadata import geometry

            picture.orientation = orientation
            decode_all(picture)
            for frame in picture.frames:
                frame.pixels = _turned(frame.pixels, orientation)
                frame.tiff = frame.tiff and frame.tiff._replace(placed=None)
                frame.obstacle = "its EXIF orientation turns the picture"
            metadata.exif = geometry.turned(metadata.exif, orientation, *picture.frames[0].shape[:2])
            if orientation >= 5 and metadata.resolution:
                metadata.resolution = metadata.resolution[::-1]
    metadata.thumbnail |= exif.has_thumbnail(metadata.exif) or photoshop.has_thumbnail(metadata.photoshop)
    metadata.exif = exif.cleaned(metadata.exif, upright=options.auto_orient)
    metadata.photoshop = photoshop.cleaned(metadata.photoshop)
    if metadata.xmp:
        _clean_xmp(picture, options)


def _clean_xmp(picture: Picture, options: ReadOptions) -> None:
    """Drop XMP that does not describe the filtered picture, with a note unless the file has one already."""
    from convfilter.picture.metadata import xmp_clean

    metadata = picture.metadata
    assert metadata.xmp is not None
    packet, dropped = xmp_clean.cleaned(metadata.xmp)
    if picture.orientation != 1:
        packet, regions = xmp_clean.without_regions(packet)
        dropped += regions
    if options.auto_orient:
        packet = xmp_clean.with_orientation_reset(packet)
    metadata.xmp = packet or None
    metadata.thumbnail |= xmp_clean.THUMBNAIL in dropped
    named = [what for what in dropped if what != xmp_clean.THUMBNAIL]
    if named:
        picture.losses += (Loss(f"XMP describes {', '.join(named)}; that is left out"),)


def _turned(pixels: Pixels, orientation: int) -> Pixels:
    """Rotate and mirror a picture so that it is upright.

    Parameters
    ----------
    pixels : (H, W) or (H, W, C) array of any dtype
    orientation : int
        1 (upright) to 8, as in EXIF; 5 to 8 exchange width and height.

    Returns
    -------
    (H, W[, C]) or (W, H[, C]) array of the same dtype
        C-contiguous; the input itself for orientation 1.
    """
    if orientation >= 5:
        pixels = pixels.swapaxes(0, 1)
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    return np.ascontiguousarray(pixels)
