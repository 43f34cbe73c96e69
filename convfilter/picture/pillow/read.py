"""Read formats through Pillow: the header, then checks of size and memory, then every frame."""

from __future__ import annotations

import importlib
import io
import struct
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, BinaryIO

import numpy as np
from PIL import Image, ImageFile

from convfilter.errors import DECODE_THE_REST, ConvfilterError, ReadError, UnknownFormatError
from convfilter.picture import formats, limits
from convfilter.picture.frame import Frame
from convfilter.picture.metadata.pillow_info import metadata_of
from convfilter.picture.options import ReadOptions
from convfilter.picture.picture import Picture
from convfilter.picture.pillow import (
    avif,
    bmp,
    container_metadata,
    contents,
    gif,
    gif_frames,
    high_depth,
    ico,
    sun,
    tga,
    webp,
)
from convfilter.picture.pillow.guards import decoding, with_lenient_retry
from convfilter.picture.pixels import Model, Pixels, channels_of
from convfilter.picture.place.source import content_of
from convfilter.record import NamedTuple, replace

#: Pillow's plugin and class by format: importing all plugins takes 74 ms.
_PLUGINS = {
    "GIF": ("GifImagePlugin", "GifImageFile"),
    "BMP": ("BmpImagePlugin", "BmpImageFile"),
    "WebP": ("WebPImagePlugin", "WebPImageFile"),
    "AVIF": ("AvifImagePlugin", "AvifImageFile"),
    "JPEG2000": ("Jpeg2KImagePlugin", "Jpeg2KImageFile"),
    "PCX": ("PcxImagePlugin", "PcxImageFile"),
    "SGI": ("SgiImagePlugin", "SgiImageFile"),
}
#: Pillow's names of the formats that are tried in order for other files. Left out are formats for which Pillow starts
#: other programs (EPS), that it only identifies (GRIB, HDF5, WMF ...), and video.
_OTHERS = (
    *("DIB", "TGA", "ICO", "CUR", "DDS", "BLP", "QOI", "SUN"),
    *("FLI", "GBR", "MSP", "XBM", "XPM", "IM", "ICNS", "DCX", "PIXAR"),
)
_NAMES = {"WEBP": "WebP", "DIB": "BMP"}
_ANIMATED = ("GIF", "WebP", "AVIF", "FLI")
#: Formats of several pictures that are not animations.
_PAGED = ("DCX", "IM")
#: Colour model and alpha of Pillow's modes whose samples become an array as they are.
_MODELS: dict[str, tuple[Model, bool]] = {
    "L": ("gray", False),
    "LA": ("gray", True),
    "RGB": ("rgb", False),
    "RGBA": ("rgb", True),
    "CMYK": ("cmyk", False),
    "I;16": ("gray", False),
    "F": ("gray", False),
}
#: Modes that are first converted to one of them, without loss.
_CONVERSIONS = {
    **{"1": "L", "La": "LA", "RGBa": "RGBA", "RGBX": "RGB", "YCbCr": "RGB", "HSV": "RGB", "PA": "RGBA"},
    **{"I;16B": "I;16", "I;16L": "I;16", "I;16N": "I;16"},
}
#: Bytes of a BMP with its masks.
_BMP_HEAD_BYTES = 70
#: Beginnings of icons and cursors.
_ICONS = (b"\0\0\1\0", b"\0\0\2\0")
_RIFF_NAME_AND_SIZE_BYTES = 8


class _Decoded(NamedTuple):
    """A decoded frame; see ``Picture`` and ``Frame``."""

    pixels: Pixels
    model: Model
    alpha: bool
    delay: tuple[int, int] | None


def read_pillow(file: BinaryIO, options: ReadOptions) -> Picture:
    """Read a picture of any format that Pillow decodes; a ``Reader``."""
    return with_lenient_retry(lambda lenient: _read(file, options, lenient), options.lenient)


def _read(file: BinaryIO, options: ReadOptions, lenient: bool) -> Picture:
    """Read a picture; of a damaged one the readable part if ``lenient``."""
    file.seek(0)
    with decoding(lenient):
        image = _opened(file, lenient, options)
        name = _NAMES.get(image.format, image.format)
        limits.require_size(image.width, image.height, options)
        notes = contents.notes_on(image, name, file)
        if name in high_depth.FORMATS and not getattr(image, "is_animated", False):
            bits = high_depth.bits_of(file, name)
            if bits > 8 or (bits == 8 and name == "JPEG2000" and high_depth.is_subsampled(file)):
                options.require_frame(1)
                picture = _high_depth(image, file, name, bits, lenient)
                return replace(_shown(picture, file, notes), notes=tuple(notes))
        if name == "SUN" and (unpacked := sun.unpacked(content_of(file))) is not None:
            image = _opened(io.BytesIO(unpacked), lenient, options)
        if name == "JPEG2000":
            # Its decoder gives all samples or none; for none, a lenient Pillow would return a black picture.
            ImageFile.LOAD_TRUNCATED_IMAGES = False
        try:
            picture = _picture(image, file, name, options, lenient)
        except OSError:
            unpacked = tga.unpacked(content_of(file)) if name == "TGA" else None
            if unpacked is None:
                raise
            picture = _picture(_opened(io.BytesIO(unpacked), lenient, options), file, name, options, lenient)
        if name == "JPEG2000" and image.mode != "P":
            pixels, more = high_depth.stretched(picture.pixels, file)
            picture, notes = replace(picture, frames=[Frame(pixels)]), [*more, *notes]
        return replace(_shown(picture, file, notes), notes=tuple(notes))


def _shown(picture: Picture, file: BinaryIO, notes: list[str]) -> Picture:
    """Return the part of a still AVIF that is to be shown, and add a note if it is malformed."""
    if picture.format != "AVIF" or len(picture.frames) > 1:
        return picture
    height, width = picture.pixels.shape[:2]
    part = avif.clean_aperture(file, width, height)
    if part is None:
        return picture
    pixels = picture.pixels[part]
    if not pixels.size:
        notes.append("the part of the AVIF that is to be shown (clap) is malformed; the whole is read")
        return picture
    return replace(picture, frames=[picture.frames[0].with_pixels(np.ascontiguousarray(pixels))])


def _high_depth(image: Any, file: BinaryIO, name: str, bits: int, lenient: bool) -> Picture:
    """Return a picture with metadata from Pillow and samples from a decoder that keeps their depth."""
    limits.require_memory(4 * image.width * image.height * len(image.getbands()))
    (pixels,), white = high_depth.decode(file, name, bits, lenient=lenient)
    channels = channels_of(pixels)
    model: Model = "gray" if channels < 3 else "rgb"
    metadata = metadata_of(image)
    losses = container_metadata.add_metadata(metadata, file, name)
    alpha = channels in (2, 4)
    premultiplied = alpha and metadata.associated_alpha
    return Picture(
        [Frame(pixels)], model, alpha, name, metadata,
        losses=tuple(losses), white=white, premultiplied=premultiplied,
    )  # fmt: skip


def _picture(image: Any, file: BinaryIO, name: str, options: ReadOptions, lenient: bool) -> Picture:
    """Decode all frames or the chosen one, and read the metadata."""
    placed = gif_frames.placed(image.fp) if name == "GIF" else []
    count = len(placed) or (int(getattr(image, "n_frames", 1)) if name in (*_ANIMATED, *_PAGED) else 1)
    width, height = image.size
    if placed:
        width, height = gif_frames.canvas_size(image.size, placed)
        limits.require_size(width, height, options)
    if count > gif.MAX_FRAMES:
        raise ReadError(f"a {name} must have up to {gif.MAX_FRAMES} frames to be read, got {count}")
    numbers = options.frame_numbers(count)
    limits.require_frames(len(numbers), len(numbers) * width * height, options.max_pixels)
    channels = 4 if image.mode == "P" or count > 1 else len(image.getbands())
    limits.require_memory(2 * width * height * channels * len(numbers))
    metadata = metadata_of(image)
    losses = container_metadata.add_metadata(metadata, file, name)
    metadata.lossless = name == "WebP" and webp.is_lossless(file)
    decoded = _drawn(placed, numbers, width, height) if placed else _readable(image, numbers, count, options, lenient)
    if (name == "GIF" or (name == "AVIF" and high_depth.is_monochrome(file))) and all(
        _is_gray(each) for each in decoded
    ):
        # A GIF has palettes of RGB, and Pillow decodes the grey of an AVIF with alpha to RGB.
        decoded = [each._replace(pixels=_without_colour(each), model="gray") for each in decoded]
    model: Model = "rgb" if any(each.model == "rgb" for each in decoded) else decoded[0].model
    alpha = any(each.alpha for each in decoded)
    frames = [Frame(_expanded(each, model, alpha), each.delay) for each in decoded]
    picture = Picture(frames, model, alpha, name, metadata, losses=tuple(losses))
    picture.premultiplied = alpha and metadata.associated_alpha
    bits = high_depth.bits_of(file, name) if name == "AVIF" and count > 1 else 8
    return _with_depth(picture, file, bits, count, numbers) if bits > 8 else picture


def _readable(image: Any, numbers: Sequence[int], count: int, options: ReadOptions, lenient: bool) -> list[_Decoded]:
    """Decode the frames with these numbers; if ``lenient``, those before the first that cannot be decoded."""
    decoded: list[_Decoded] = []
    for number in numbers:
        try:
            decoded.append(_decoded(image, number, count, options))
        except Exception as error:  # Pillow raises exceptions of many types
            if not (lenient and decoded) or isinstance(error, ConvfilterError | MemoryError):
                raise
            break
    return decoded


def _with_depth(picture: Picture, file: BinaryIO, bits: int, count: int, numbers: Sequence[int]) -> Picture:
    """Return an animated AVIF with Pillow's delays and the samples of a decoder that keeps their depth."""
    height, width = picture.pixels.shape[:2]
    limits.require_memory(4 * width * height * channels_of(picture.pixels) * count)
    pixels, white = high_depth.decode(file, "AVIF", bits, count)
    frames = [frame.with_pixels(pixels[number]) for frame, number in zip(picture.frames, numbers, strict=True)]
    channels = channels_of(frames[0].pixels)
    return replace(
        picture, frames=frames, model="gray" if channels < 3 else "rgb", alpha=channels in (2, 4), white=white
    )


def _decoded(image: Any, number: int, count: int, options: ReadOptions) -> _Decoded:
    """Decode one frame."""
    is_animated = count > 1 and _NAMES.get(image.format, image.format) in _ANIMATED
    if count > 1:
        image.seek(number)
        limits.require_size(image.width, image.height, options)
    image.load()
    delay = (round(image.info.get("duration", 0)), 1000) if is_animated else None
    plain = _plain(image)
    model, alpha = _MODELS[plain.mode]
    pixels = np.array(plain)
    if image.format == "XBM":
        pixels = ~pixels  # bits that are set are black, which Pillow makes white
    return _Decoded(pixels, model, alpha, delay)


def _drawn(placed: Sequence[gif_frames.Placed], numbers: Sequence[int], width: int, height: int) -> list[_Decoded]:
    """Decode the frames of a GIF with these numbers, in ascending order."""
    drawn = gif_frames.drawn(placed[: numbers[-1] + 1], width, height)
    chosen = [frame for number, frame in enumerate(drawn) if number in numbers]
    delays = [(10 * frame.delay, 1000) if len(placed) > 1 else None for frame in chosen]
    model: Model = "gray" if channels_of(chosen[0].pixels) < 3 else "rgb"
    return [_Decoded(frame.pixels, model, frame.alpha, delay) for frame, delay in zip(chosen, delays, strict=True)]


def _is_gray(frame: _Decoded) -> bool:
    """Whether a frame is grey, or RGB with equal channels."""
    pixels = frame.pixels
    return frame.model == "gray" or bool((pixels[:, :, 0:1] == pixels[:, :, 1:3]).all())


def _without_colour(frame: _Decoded) -> Pixels:
    """Return the samples of a grey frame with one colour channel."""
    pixels = frame.pixels
    if frame.model == "gray":
        return pixels
    return np.ascontiguousarray(pixels[:, :, ::3] if frame.alpha else pixels[:, :, 0])


def _plain(image: Any) -> Any:
    """Convert an image, without loss, to a mode of ``_MODELS``."""
    mode = image.mode
    keyed = "transparency" in image.info
    if mode == "P":
        return image.convert("RGBA" if keyed or image.palette.mode == "RGBA" else "RGB")
    if keyed and mode in ("1", "L", "RGB"):
        return image.convert("RGBA" if mode == "RGB" else "LA")
    if mode in _CONVERSIONS:
        return image.convert(_CONVERSIONS[mode])
    if mode not in _MODELS:
        raise ReadError(f"samples of the mode {mode} cannot be filtered; convert the picture to RGB or grey first")
    return image


def _expanded(frame: _Decoded, model: Model, alpha: bool) -> Pixels:
    """Add the colour or alpha channels that another frame of the animation has."""
    pixels = frame.pixels
    if (frame.model, frame.alpha) == (model, alpha):
        return pixels
    planes = pixels.reshape(*pixels.shape[:2], -1)
    colours = planes[:, :, :-1] if frame.alpha else planes
    opacity = planes[:, :, -1:] if frame.alpha else np.full_like(planes[:, :, :1], 255)
    if frame.model == "gray" and model == "rgb":
        colours = np.repeat(colours, 3, axis=2)
    return np.ascontiguousarray(np.concatenate([colours, opacity], axis=2) if alpha else colours)


def _opened(file: BinaryIO, lenient: bool, options: ReadOptions) -> Any:
    """Return Pillow's image of a file, of which only the header is parsed."""
    head = file.read(32)
    file.seek(0)
    name = formats.sniff(head)
    if name == "WebP":
        _check_webp(head, file, options)
        return _webp(file, int.from_bytes(head[4:8], "little"), lenient)
    if name in _PLUGINS:
        module, cls = _PLUGINS[name]
        if name == "GIF" and (problem := gif.damage(file)):
            if not problem.leaves_frames:
                raise ReadError(problem.text)
            if not lenient:
                width, height = struct.unpack_from("<HH", head, gif.SIZE_AT)
                limits.require_size(width, height, options)
                raise ReadError(problem.text, remedy=DECODE_THE_REST)
            file = io.BytesIO(gif.completed(file.read()))
        if name == "BMP" and (layout := bmp.masked(file.read(_BMP_HEAD_BYTES))):
            limits.require_size(layout.width, abs(layout.height), options)
            limits.require_memory(12 * layout.width * abs(layout.height))
            file = io.BytesIO(bmp.unmasked(content_of(file), layout))
        file.seek(0)  # behind the head of a BMP
        return getattr(importlib.import_module(f"PIL.{module}"), cls)(file)
    for size in contents.embedded_sizes(head, file):  # Pillow decodes icons when it opens them
        limits.require_pixels(*size, options.max_pixels)
    if head[:4] in _ICONS and (icon := ico.best(content_of(file))) is not None:
        file, head = io.BytesIO(icon), icon
    Image.init()
    for other in _OTHERS:
        factory, accept = Image.OPEN[other]
        if accept is None or accept(head[:16]) is True:
            file.seek(0)
            try:
                return factory(file, "")
            except (SyntaxError, IndexError, TypeError, struct.error):  # the file is not of the plugin's format
                continue
    raise UnknownFormatError("it is not a picture of a known format")


def _check_webp(head: bytes, file: BinaryIO, options: ReadOptions) -> None:
    """Refuse a picture that is too large before the decoder allocates a whole canvas."""
    size = webp.size_of(head)
    if size is not None:
        width, height = size
        limits.require_size(width, height, options)
        limits.require_memory(8 * width * height)
        if options.frame is None:
            frames = webp.frames_of(file)
            limits.require_frames(frames, frames * width * height, options.max_pixels)


def _webp(file: BinaryIO, size: int, lenient: bool) -> Any:
    """Return Pillow's image of a WebP; ``size`` is the number of bytes that its header announces."""
    module, name = _PLUGINS["WebP"]
    plugin = getattr(importlib.import_module(f"PIL.{module}"), name)
    if lenient:
        return plugin(io.BytesIO(webp.completed(file.read())))
    try:
        return plugin(file)
    except Exception:  # Pillow raises exceptions of many types for a truncated file
        if file.seek(0, 2) >= _RIFF_NAME_AND_SIZE_BYTES + size:
            raise
    file.seek(0)
    remedy = ""
    with suppress(Exception):  # of a file that ends in its header or its first tables, which no zeros complete
        plugin(io.BytesIO(webp.completed(file.read()))).load()
        remedy = DECODE_THE_REST
    raise ReadError("the WebP is truncated", remedy=remedy)
