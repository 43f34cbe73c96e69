"""Read formats through Pillow: header first, then limits, then every frame."""

from __future__ import annotations

import importlib
import struct
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from PIL import Image, ImageFile

from convfilter.errors import DECODE_THE_REST, ConvfilterError, ReadError, UnknownFormatError, damage
from convfilter.locks import shared_lock
from convfilter.picture import formats, limits
from convfilter.picture.metadata.pillow_info import metadata_of
from convfilter.picture.options import ReadOptions
from convfilter.picture.picture import Frame, Picture, chosen
from convfilter.picture.pillow import container_metadata, contents, gif, high_depth, webp
from convfilter.picture.pixels import Model, Pixels, channels_of
from convfilter.record import replace

#: Pillow's plugin and class by format: importing one plugin is quick, importing all is not.
_PLUGINS = {
    "GIF": ("GifImagePlugin", "GifImageFile"),
    "BMP": ("BmpImagePlugin", "BmpImageFile"),
    "WebP": ("WebPImagePlugin", "WebPImageFile"),
    "AVIF": ("AvifImagePlugin", "AvifImageFile"),
    "JPEG2000": ("Jpeg2KImagePlugin", "Jpeg2KImageFile"),
    "PCX": ("PcxImagePlugin", "PcxImageFile"),
    "SGI": ("SgiImagePlugin", "SgiImageFile"),
}
#: Plugins tried in order for other formats. Excluded on purpose: formats that start other programs (EPS), that Pillow
#: only recognises (GRIB, HDF5, WMF ...), and video.
_OTHERS = (
    *("DIB", "TGA", "ICO", "CUR", "DDS", "BLP", "QOI", "SUN"),
    *("FLI", "GBR", "MSP", "XBM", "XPM", "IM", "ICNS", "DCX", "PIXAR"),
)
_NAMES = {"WEBP": "WebP", "DIB": "BMP"}
_ANIMATED = ("GIF", "WebP", "AVIF", "FLI")
#: Formats of several pictures that are not animations.
_PAGED = ("DCX", "IM")
#: Modes whose samples NumPy can use directly: model and alpha.
_MODELS: dict[str, tuple[Model, bool]] = {
    "L": ("gray", False),
    "LA": ("gray", True),
    "RGB": ("rgb", False),
    "RGBA": ("rgb", True),
    "CMYK": ("cmyk", False),
    "I;16": ("gray", False),
    "F": ("gray", False),
}
_CONVERSIONS = {
    **{"1": "L", "La": "LA", "RGBa": "RGBA", "RGBX": "RGB", "YCbCr": "RGB", "HSV": "RGB", "PA": "RGBA"},
    **{"I;16B": "I;16", "I;16L": "I;16", "I;16N": "I;16"},
}
_FRAME_HEADER_BYTES = 16
_RIFF_NAME_AND_SIZE_BYTES = 8
_lenient_lock = shared_lock()
_limit_lock = shared_lock()
#: Number of threads that read without Pillow's size limit, and that limit.
_unlimited = 0
_limit: int | None = None


class _Decoded(NamedTuple):
    pixels: Pixels
    model: Model
    alpha: bool
    delay: tuple[int, int] | None


def read_pillow(file: BinaryIO, options: ReadOptions) -> Picture:
    """Read a picture of any format that Pillow decodes; a ``Reader``."""
    return rescued(lambda left: _read(file, options, left), options.lenient)


def rescued(decode: Callable[[bool], Picture], lenient: bool) -> Picture:
    """Decode a picture; if it is damaged, decode the rest, with a note.

    Parameters
    ----------
    decode : callable
        Called with False; after a ReadError, with True.
    lenient : bool
        False: the ReadError is raised.

    Returns
    -------
    Picture
    """
    try:
        return decode(False)
    except ReadError as error:
        if not lenient:
            raise
        note = error.problem
    picture = decode(True)
    return replace(picture, notes=tuple(dict.fromkeys((note, *picture.notes))))


def _read(file: BinaryIO, options: ReadOptions, lenient: bool) -> Picture:
    """Read a whole picture, or the rest of a damaged one."""
    file.seek(0)
    with guarded(lenient):
        image = _opened(file, lenient, options)
        name = _NAMES.get(image.format, image.format)
        limits.require_size(image.width, image.height, options)
        notes = contents.notes_on(image, name, file)
        if name in ("JPEG2000", "AVIF") and not getattr(image, "is_animated", False):
            bits = high_depth.bits_of(file, name)
            if bits > 8:
                if options.frame is not None:
                    chosen([image], options.frame)
                return replace(_deep(image, file, name, bits), notes=tuple(notes))
        if name == "JPEG2000":
            # This decoder gives all or nothing, and Pillow would return nothing as a black picture.
            ImageFile.LOAD_TRUNCATED_IMAGES = False
        return replace(_picture(image, file, name, options, lenient), notes=tuple(notes))


def _deep(image: Any, file: BinaryIO, name: str, bits: int) -> Picture:
    """Combine metadata from Pillow with samples from a decoder that keeps their depth."""
    limits.require_memory(4 * image.width * image.height * len(image.getbands()))
    (pixels,), white = high_depth.decode(file, name, bits)
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
    if name == "GIF" and (problem := gif.damage(file)) and not (lenient and problem.leaves_frames):
        raise ReadError(problem.text, remedy=DECODE_THE_REST if problem.leaves_frames else "")
    count = int(getattr(image, "n_frames", 1)) if name in (*_ANIMATED, *_PAGED) else 1
    if count > gif.MAX_FRAMES:
        raise ReadError(f"a {name} of more than {gif.MAX_FRAMES} frames cannot be read")
    if options.frame is None:
        limits.require_frames(count, count * image.width * image.height, options.max_pixels)
    wanted = list(range(count))
    if options.frame is not None:
        wanted = [chosen(wanted, options.frame)]
    channels = 4 if image.mode == "P" or count > 1 else len(image.getbands())
    limits.require_memory(2 * image.width * image.height * channels * len(wanted))
    metadata = metadata_of(image)
    losses = container_metadata.add_metadata(metadata, file, name)
    metadata.lossless = name == "WebP" and _is_lossless_webp(file)
    decoded = [_decoded(image, index, count, options) for index in wanted]
    if (name == "GIF" or (name == "AVIF" and high_depth.is_monochrome(file))) and all(
        _is_gray(each) for each in decoded
    ):
        # A GIF has only palettes, and Pillow makes colours of grey with alpha.
        decoded = [each._replace(pixels=_without_colour(each), model="gray") for each in decoded]
    model: Model = "rgb" if any(each.model == "rgb" for each in decoded) else decoded[0].model
    alpha = any(each.alpha for each in decoded)
    frames = [Frame(_expanded(each, model, alpha), each.delay) for each in decoded]
    picture = Picture(frames, model, alpha, name, metadata, losses=tuple(losses))
    picture.premultiplied = alpha and metadata.associated_alpha
    bits = high_depth.bits_of(file, name) if name == "AVIF" and count > 1 else 8
    return _with_deep_frames(picture, file, bits, count, wanted) if bits > 8 else picture


def _with_deep_frames(picture: Picture, file: BinaryIO, bits: int, count: int, wanted: Sequence[int]) -> Picture:
    """Combine the samples of a decoder that keeps depth with Pillow's frame times, for an animated AVIF."""
    height, width = picture.pixels.shape[:2]
    limits.require_memory(4 * width * height * channels_of(picture.pixels) * count)
    pixels, white = high_depth.decode(file, "AVIF", bits, count)
    frames = [frame.with_pixels(pixels[index]) for frame, index in zip(picture.frames, wanted, strict=True)]
    channels = channels_of(frames[0].pixels)
    return replace(
        picture, frames=frames, model="gray" if channels < 3 else "rgb", alpha=channels in (2, 4), white=white
    )


def _is_lossless_webp(file: BinaryIO) -> bool:
    """Return whether the first chunk with pixels is lossless; in an animation it is one level down."""
    position = file.tell()
    file.seek(12)
    lossless = False
    while len(head := file.read(8)) == 8:
        if head[:4] in (b"VP8 ", b"VP8L"):
            lossless = head[:4] == b"VP8L"
            break
        size = int.from_bytes(head[4:], "little")
        file.seek(_FRAME_HEADER_BYTES if head[:4] == b"ANMF" else size + (size & 1), 1)
    file.seek(position)
    return lossless


def _decoded(image: Any, index: int, count: int, options: ReadOptions) -> _Decoded:
    """Decode one frame."""
    is_animated = count > 1 and _NAMES.get(image.format, image.format) in _ANIMATED
    if count > 1:
        image.seek(index)
        limits.require_size(image.width, image.height, options)
    image.load()
    delay = (round(image.info.get("duration", 0)), 1000) if is_animated else None
    plain = _plain(image)
    model, alpha = _MODELS[plain.mode]
    return _Decoded(np.array(plain), model, alpha, delay)


def _is_gray(frame: _Decoded) -> bool:
    pixels = frame.pixels
    return frame.model == "gray" or bool((pixels[:, :, 0:1] == pixels[:, :, 1:3]).all())


def _without_colour(frame: _Decoded) -> Pixels:
    pixels = frame.pixels
    if frame.model == "gray":
        return pixels
    return np.ascontiguousarray(pixels[:, :, ::3] if frame.alpha else pixels[:, :, 0])


def _plain(image: Any) -> Any:
    """Convert losslessly to a mode of ``_MODELS``."""
    mode = image.mode
    keyed = "transparency" in image.info
    if mode == "P":
        return image.convert("RGBA" if keyed or image.palette.mode == "RGBA" else "RGB")
    if keyed and mode in ("1", "L", "RGB"):
        return image.convert("RGBA" if mode == "RGB" else "LA")
    if mode in _CONVERSIONS:
        return image.convert(_CONVERSIONS[mode])
    if mode not in _MODELS:
        raise ReadError(f"samples of the kind {mode} cannot be filtered; convert the picture to RGB or grey first")
    return image


def _expanded(frame: _Decoded, model: Model, alpha: bool) -> Pixels:
    """Add channels to a frame that another frame of the animation needs."""
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
    """Parse the header without decoding."""
    head = file.read(32)
    file.seek(0)
    name = formats.sniff(head)
    if name == "WebP":
        _check_webp(head, file, options)
        return _webp(file, int.from_bytes(head[4:8], "little"), lenient)
    if name in _PLUGINS:
        module, cls = _PLUGINS[name]
        return getattr(importlib.import_module(f"PIL.{module}"), cls)(file)
    for size in contents.embedded_sizes(head, file):  # Pillow decodes icons when it opens them
        limits.require_pixels(*size, options.max_pixels)
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
    size = webp.outline_of(head)
    if size is not None:
        width, height = size
        limits.require_size(width, height, options)
        limits.require_memory(8 * width * height)
        if options.frame is None:
            frames = webp.frames_of(file)
            limits.require_frames(frames, frames * width * height, options.max_pixels)


def _webp(file: BinaryIO, size: int, lenient: bool) -> Any:
    """Parse the header of a WebP of ``size`` further bytes; its decoder does not report missing data."""
    if lenient:
        import io

        file = io.BytesIO(webp.completed(file.read()))
    module, cls = _PLUGINS["WebP"]
    try:
        return getattr(importlib.import_module(f"PIL.{module}"), cls)(file)
    except Exception:  # Pillow raises exceptions of many types for a truncated file
        if not lenient and file.seek(0, 2) < _RIFF_NAME_AND_SIZE_BYTES + size:
            raise ReadError("the WebP is truncated", remedy=DECODE_THE_REST) from None
        raise


@contextmanager
def guarded(lenient: bool) -> Iterator[None]:
    """Convert any exception of a decoder to a ReadError of one line, and suppress its warnings.

    Parameters
    ----------
    lenient : bool
        Let Pillow decode truncated pictures; this is a global switch, hence a lock.

    Raises
    ------
    ReadError
        The decoder failed.
    """
    # Pillow's warnings repeat checks made here, or concern only its developers.
    warnings.filterwarnings("ignore", module=r"PIL\.")
    try:
        with _without_pillows_limit():
            if lenient:
                with _lenient_lock:
                    yield from _leniently()
            else:
                yield
    except (ConvfilterError, MemoryError):
        raise
    except Exception as error:  # Pillow raises OSError, SyntaxError, ValueError, TypeError, struct.error and more
        text = str(error).strip().splitlines()
        if not lenient and text and text[0].startswith("image file is truncated"):
            raise ReadError("the picture is truncated", remedy=DECODE_THE_REST) from error
        what = damage(error)
        raise ReadError(f"the picture is damaged or of an unsupported kind: {what}") from error


@contextmanager
def _without_pillows_limit() -> Iterator[None]:
    """Disable Pillow's size check for pictures checked here; its limit is the same for all threads."""
    global _unlimited, _limit
    with _limit_lock:
        if _unlimited == 0:
            _limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        _unlimited += 1
    try:
        yield
    finally:
        with _limit_lock:
            _unlimited -= 1
            if _unlimited == 0:
                Image.MAX_IMAGE_PIXELS = _limit


def _leniently() -> Iterator[None]:
    before, ImageFile.LOAD_TRUNCATED_IMAGES = ImageFile.LOAD_TRUNCATED_IMAGES, True
    try:
        yield
    finally:
        ImageFile.LOAD_TRUNCATED_IMAGES = before
