"""JPEG reader: libjpeg, with checks for damage that it ignores; Pillow for damaged files and rare kinds."""

from __future__ import annotations

import io
from typing import Any, BinaryIO

import numpy as np

from convfilter.errors import DECODE_THE_REST, ReadError
from convfilter.picture import limits
from convfilter.picture.frame import Frame, chosen
from convfilter.picture.jpeg import decoder, metadata, prefetch
from convfilter.picture.jpeg.layout import Layout, layout_of
from convfilter.picture.jpeg.rows import rows_of
from convfilter.picture.options import ReadOptions
from convfilter.picture.picture import Picture
from convfilter.picture.pixels import Model, Pixels
from convfilter.picture.place.source import content_of
from convfilter.picture.row_source import LazyArray, LazyRows

#: Start of a JPEG-LS frame, the only difference between its segments and those of a JPEG.
_JPEG_LS = b"\xff\xf7\0"
#: Neither libjpeg nor Pillow both yields rows and reports missing data.
_OBSTACLE = "a JPEG is decoded in one piece, unless it is large and not progressive"
_MODELS: dict[str, Model] = {"L": "gray", "RGB": "rgb", "CMYK": "cmyk"}


def read_jpeg(file: BinaryIO, options: ReadOptions) -> Picture:
    """Read a JPEG, or the requested picture of several (MPO, gain maps); a ``Reader``.

    Samples are 8-bit grey, RGB or CMYK. CMYK samples are amounts of ink, also where Adobe's marker inverts them.
    """
    data = content_of(file)
    if not options.lenient:
        return _read(data, options, False)
    from convfilter.picture.pillow.guards import with_lenient_retry
    from convfilter.picture.read import decode_all

    def decoded(lenient: bool) -> Picture:
        picture = _read(data, options, lenient)
        decode_all(picture)  # finds most damage
        return picture

    return with_lenient_retry(decoded, True)


def _read(data: bytes, options: ReadOptions, lenient: bool) -> Picture:
    """Read a picture; with ``lenient``, the readable part of a damaged one."""
    layout = layout_of(data)
    if layout is None:
        if _JPEG_LS in data:
            from convfilter.picture import unsupported

            raise ReadError(unsupported.JPEG_LS.message)
        raise ReadError("the JPEG is damaged: it holds no picture")
    limits.require_size(layout.width, layout.height, options)
    problem = decoder.length_problem(layout, len(data))
    if problem and not lenient:
        raise ReadError(problem, remedy=DECODE_THE_REST)
    picture = None
    if layout.data_end is not None and not lenient and options.frame is None:
        found = metadata.metadata_of(data)
        if found is not None:
            frame = Frame(_undecoded(data, layout, options))
            picture = Picture([frame], "gray" if layout.components == 1 else "rgb", False, "JPEG", found)
    if picture is None:
        picture = _through_pillow(data, layout, options, lenient)
    if options.frame is None and not metadata.is_plain(data, layout.data_end):
        from convfilter.picture.jpeg import extra_data

        picture.losses = tuple(extra_data.add(picture.metadata, data, layout.data_end))
    return picture


def _undecoded(data: bytes, layout: Layout, options: ReadOptions) -> LazyRows | LazyArray:
    """Return the samples of a grey or RGB picture, decoded on demand."""
    shape, dtype = (layout.height, layout.width, layout.components), np.dtype(np.uint8)

    def whole() -> Pixels:
        _require_room(data, layout)
        return _decoded(data, layout)

    rows = rows_of(data, layout, whole, options.threads)
    if rows is None:
        _require_room(data, layout)
        # A further thread would only wait for the one that prefetches, for up to 4 ms before it even starts.
        running = prefetch.is_running()
        return LazyArray(shape, dtype, lambda: _decoded(data, layout), _OBSTACLE, name="JPEG", is_running=running)
    ahead = options.threads != 1
    return LazyRows(
        shape, dtype, rows.bands, band_bytes=rows.band_bytes, ahead=ahead, name="JPEG", give_back=rows.give_back
    )


def _require_room(data: bytes, layout: Layout) -> None:
    """Refuse a picture whose samples do not fit into memory."""
    limits.require_memory(2 * layout.width * layout.height * layout.components + len(data))


def _through_pillow(data: bytes, layout: Layout, options: ReadOptions, lenient: bool) -> Picture:
    """Read a rare kind, or a damaged file, through Pillow, which reports the damage."""
    from PIL.JpegImagePlugin import JpegImageFile

    from convfilter.picture.metadata.pillow_info import metadata_of
    from convfilter.picture.pillow.guards import decoding

    _require_room(data, layout)
    with decoding(lenient):
        image: Any = JpegImageFile(io.BytesIO(data))
        if options.frame is not None:
            count = _picture_count(image)
            image = _picture_of_several(data, options.frame, count) if count else chosen([image], options.frame)
        if image.mode not in _MODELS:
            raise ReadError(f"a JPEG of the kind {image.mode} cannot be filtered")
        pixels = _pixels(image, data, layout, options, lenient)
    return Picture([Frame(pixels)], _MODELS[image.mode], False, "JPEG", metadata_of(image))


def _pixels(image: Any, data: bytes, layout: Layout, options: ReadOptions, lenient: bool) -> Pixels:
    """Decode the samples; Pillow decodes CMYK, whose inversion it undoes, and damaged files."""
    whole = layout.data_end is not None and not lenient and options.frame is None
    if whole and image.mode in ("L", "RGB"):
        return _decoded(data, layout)
    image.load()
    return np.array(image)


def _decoded(data: bytes, layout: Layout) -> Pixels:
    """Decode a whole grey or RGB picture, and check its last block."""
    pixels = prefetch.taken(data)
    if pixels is None:
        pixels = decoder.decode(data)
    if decoder.last_block_is_grey(pixels):
        complete = decoder.has_all_restarts(data, layout)
        if not complete or decoder.lacks_last_block(data[: layout.data_end], pixels):
            raise ReadError(decoder.ENDS_EARLY, remedy=DECODE_THE_REST)
    return pixels


def _picture_count(image: Any) -> int:
    """Return the number of pictures in a multi-picture file; 0 for a JPEG with one picture."""
    try:
        count = image._getmp()[0xB001] if "mp" in image.info else 0
    except (SyntaxError, KeyError, TypeError, IndexError, ValueError):
        return 0
    return int(count) if count > 1 else 0


def _picture_of_several(data: bytes, index: int, count: int) -> Any:
    from PIL.MpoImagePlugin import MpoImageFile

    image = MpoImageFile(io.BytesIO(data))
    image.seek(chosen(list(range(count)), index))
    return image
