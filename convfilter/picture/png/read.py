"""PNG reader: pictures and animations of all depths and colour types, as 8- or 16-bit channels."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import BinaryIO

import numpy as np

from convfilter.errors import ReadError
from convfilter.picture import limits, trailing_data
from convfilter.picture.frame import Frame, chosen
from convfilter.picture.loss import Loss
from convfilter.picture.options import ReadOptions
from convfilter.picture.picture import Picture
from convfilter.picture.pixels import Model, Pixels
from convfilter.picture.png import layout as png
from convfilter.picture.png.chunks import ChunkReader
from convfilter.picture.png.content import Content, Image, read_content
from convfilter.picture.png.samples import BLOCK_BYTES, bands, decode_samples, memory_of
from convfilter.picture.row_source import LazyArray, LazyRows

#: Smallest number of bytes for which a second thread saves more time than it costs.
OVERLAP_BYTES = 1 << 21


def read_png(file: BinaryIO, options: ReadOptions) -> Picture:
    """Read a PNG or an APNG; a ``Reader``.

    Samples are uint8 for depths up to 8 bits (full range), uint16 for 16. A palette becomes RGB or RGBA, a colour key
    becomes alpha.

    Raises
    ------
    ReadError
        The file is truncated or damaged; with ``lenient``, only if nothing can be decoded.
    SizeError
        The picture is larger than allowed, or than the memory.
    """
    reader = ChunkReader(file, lenient=options.lenient)
    content = read_content(reader, options)
    lost = trailing_data.losses(file, "PNG", file.tell())
    images = content.images if content.plays is not None else content.images[:1]
    if not images or images[0].size == 0:
        raise ReadError("the PNG holds no pixels (no IDAT chunk)")
    header = content.header
    model: Model = "rgb" if header.colour & 2 else "gray"
    alpha = header.colour in (4, 6) or content.transparency is not None
    channels = (3 if model == "rgb" else 1) + alpha
    if len(images) == 1:
        frames = [Frame(_undecoded(reader, content, images[0], options, channels))]
    else:
        from convfilter.picture.png import animation as apng

        depth_bytes = 2 if header.depth == 16 else 1
        limits.require_memory(2 * header.width * header.height * channels * depth_bytes * len(images))
        parts = [(image.control, _decoded(reader, content, image, options)) for image in images]
        frames, alpha = apng.composed(parts, header.width, header.height, alpha)
        content.metadata.loop = content.plays
    if options.frame is not None:
        frames = [chosen([frame for frame in frames if not frame.fallback] or frames, options.frame)]
    picture = Picture(frames, model, alpha, "PNG", content.metadata, tuple(dict.fromkeys(reader.notes)))
    if content.others:
        listed = ", ".join(dict.fromkeys(content.others))
        lost.append(Loss(f"the PNG has chunks that are left out: {listed}"))
    picture.losses = tuple(lost)
    return picture


def _undecoded(
    reader: ChunkReader, content: Content, image: Image, options: ReadOptions, channels: int
) -> Pixels | LazyRows | LazyArray:
    """Return the samples of a still picture, decoded on demand."""
    header = content.header
    dtype: np.dtype[np.generic] = np.dtype(np.uint16 if header.depth == 16 else np.uint8)
    shape = header.height, header.width, channels
    if options.lenient:
        limits.require_memory(2 * math.prod(shape) * dtype.itemsize)
        return _decoded(reader, content, image, options)
    if header.interlaced:
        return LazyArray(
            shape, dtype, lambda: _decoded(reader, content, image, options), "the PNG is interlaced", name="PNG"
        )

    memory = memory_of(header, header.width, header.height)

    def decoded() -> Iterator[Pixels]:
        for band in bands(header, reader.data(image.spans), memory):
            yield _coloured(band, content, options).reshape(len(band), *shape[1:])

    size = math.prod(shape) * dtype.itemsize
    ahead = size > OVERLAP_BYTES and options.threads != 1
    return LazyRows(shape, dtype, decoded, band_bytes=BLOCK_BYTES, ahead=ahead, name="PNG", give_back=memory.give_back)


def _decoded(reader: ChunkReader, content: Content, image: Image, options: ReadOptions) -> Pixels:
    """Inflate and expand one image to 8- or 16-bit channels."""
    header = content.header
    if image.control is not None:
        header = png.Header(image.control.width, image.control.height, header.depth, header.colour, header.interlaced)
    samples, note = decode_samples(header, reader.data(image.spans), lenient=options.lenient)
    if note:
        reader.notes.append(note)
    return _coloured(samples, content, options)


def _coloured(samples: Pixels, content: Content, options: ReadOptions) -> Pixels:
    """Convert samples of the file to grey, RGB and alpha."""
    if content.header.colour == png.PALETTE:
        return _from_palette(samples, content, options)
    return _with_key(samples, content)


def _with_key(samples: Pixels, content: Content) -> Pixels:
    """Convert a colour key to an alpha channel, and few bits to the full 8-bit range."""
    depth, key = content.header.depth, content.transparency
    pixels = samples * np.uint8(255 // (2**depth - 1)) if depth < 8 else samples
    if key is None:
        return pixels
    keys = np.frombuffer(key, ">u2")
    matches = samples == keys if samples.ndim == 2 else (samples == keys).all(axis=2)
    alpha = np.where(matches, 0, np.iinfo(pixels.dtype).max).astype(pixels.dtype)
    return np.dstack([pixels, alpha])


def _from_palette(indices: Pixels, content: Content, options: ReadOptions) -> Pixels:
    """Look up the colours; an index beyond the palette is damage or, if the reader is lenient, black."""
    colours = np.frombuffer(content.palette, np.uint8).reshape(-1, 3)
    highest = int(indices.max())
    if highest >= len(colours) and not options.lenient:
        raise ReadError(
            f"the PNG is damaged: a pixel has entry {highest} of a palette of {len(colours)} colours",
            remedy="{lenient=True} takes it as black",
        )
    table = np.zeros((256, 3 if content.transparency is None else 4), np.uint8)
    table[: len(colours), :3] = colours
    if content.transparency is not None:
        table[:, 3] = 255
        table[: len(content.transparency), 3] = np.frombuffer(content.transparency, np.uint8)
    return table[indices]
