"""Formats that Pillow reads: header first, then limits, then every frame."""

from __future__ import annotations

import importlib
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

import numpy as np
from PIL import Image, UnidentifiedImageError

from convfilter.errors import ConvfilterError, ReadError
from convfilter.picture import formats, jpeg2000, limits
from convfilter.picture.metadata import metadata_of
from convfilter.picture.options import ReadOptions
from convfilter.picture.picture import Frame, Model, Picture, Pixels, channels_of

#: Pillow's plugin and class for the formats that a signature tells; loading one plugin is quick, all of them is not.
_PLUGINS = {
    "JPEG": ("JpegImagePlugin", "JpegImageFile"),
    "GIF": ("GifImagePlugin", "GifImageFile"),
    "BMP": ("BmpImagePlugin", "BmpImageFile"),
    "WebP": ("WebPImagePlugin", "WebPImageFile"),
    "AVIF": ("AvifImagePlugin", "AvifImageFile"),
    "JPEG2000": ("Jpeg2KImagePlugin", "Jpeg2KImageFile"),
    "PCX": ("PcxImagePlugin", "PcxImageFile"),
    "SGI": ("SgiImagePlugin", "SgiImageFile"),
}
#: Tried in turn for the rest. Left out on purpose: formats that start other programs (EPS), that Pillow only
#: recognises (GRIB, HDF5, WMF ...), and video.
_OTHERS = (
    *("DIB", "TGA", "PSD", "ICO", "CUR", "DDS", "BLP", "QOI", "SUN"),
    *("FLI", "GBR", "MSP", "XBM", "XPM", "IM", "ICNS", "DCX", "PIXAR"),
)
#: Modes that NumPy sees as samples at once.
_MODELS: dict[str, tuple[Model, bool]] = {
    "L": ("gray", False),
    "LA": ("gray", True),
    "RGB": ("rgb", False),
    "RGBA": ("rgb", True),
    "CMYK": ("cmyk", False),
    "I;16": ("gray", False),
    "F": ("gray", False),
}
_CONVERSIONS = {"1": "L", "La": "LA", "RGBa": "RGBA", "RGBX": "RGB", "YCbCr": "RGB", "HSV": "RGB", "PA": "RGBA"}
_lenient_lock = threading.Lock()


def read_pillow(file: BinaryIO, options: ReadOptions) -> Picture:
    """Read a picture of any format that Pillow decodes at full depth.

    Parameters
    ----------
    file : BinaryIO
        Seekable, at its beginning.
    options : ReadOptions

    Returns
    -------
    Picture

    Raises
    ------
    ReadError
        Pillow does not know the format, or finds the file damaged.
    SizeError
        It is larger than allowed, or than the memory.
    """
    # Pillow's warnings repeat what the checks here say, or concern nobody but its developers.
    warnings.filterwarnings("ignore", module=r"PIL\.")
    with _damage_reported(), _leniency(options.lenient):
        image = _opened(file)
        limits.require_size(image.width, image.height, options.max_pixels)
        if image.format == "JPEG2000" and (bits := jpeg2000.bits_of(file)) > 8:
            return _deep_jpeg2000(image, file, bits)
        return _picture(image, options)


def _picture(image: Any, options: ReadOptions) -> Picture:
    fmt = {"WEBP": "WebP", "MPO": "JPEG", "DIB": "BMP"}.get(image.format, image.format)
    count = int(getattr(image, "n_frames", 1)) if fmt in ("GIF", "WebP", "AVIF", "FLI", "DCX") else 1
    channels = len(image.getbands()) if image.mode != "P" else 4
    limits.require_memory(2 * image.width * image.height * channels * count)
    metadata = metadata_of(image)
    converted = [_frame(image, index, fmt) for index in range(count)]
    mode = _common_mode([each.mode for each, _ in converted])
    frames = [Frame(_pixels(each if each.mode == mode else each.convert(mode)), delay) for each, delay in converted]
    model, alpha = _MODELS[mode]
    return Picture(frames, model, alpha, fmt, metadata)


def _deep_jpeg2000(image: Any, file: BinaryIO, bits: int) -> Picture:
    """Take the metadata from Pillow, the samples from a decoder that keeps their depth."""
    limits.require_memory(4 * image.width * image.height * len(image.getbands()))
    pixels = jpeg2000.decode_deep(file, bits)
    channels = channels_of(pixels)
    if not 1 <= channels <= 4:
        raise ReadError(f"a JPEG 2000 of {channels} channels cannot be filtered")
    return Picture(
        [Frame(pixels)], "gray" if channels < 3 else "rgb", channels in (2, 4), "JPEG2000", metadata_of(image)
    )


def _frame(image: Any, index: int, fmt: str) -> tuple[Any, tuple[int, int] | None]:
    """Decode one frame, in a mode that NumPy understands, with its delay."""
    if index or fmt in ("GIF", "WebP", "AVIF"):
        image.seek(index)
    image.load()
    duration = image.info.get("duration")
    delay = (round(duration), 1000) if duration is not None else None
    return _plain(image), delay


def _plain(image: Any) -> Any:
    """Convert to a mode of ``_MODELS``, without loss."""
    mode = image.mode
    keyed = "transparency" in image.info
    if mode == "P":
        return image.convert("RGBA" if keyed or image.palette.mode == "RGBA" else "RGB")
    if keyed and mode in ("1", "L", "RGB"):
        return image.convert({"RGB": "RGBA"}.get(mode, "LA"))
    if mode in _MODELS:
        return image.copy()
    if mode in _CONVERSIONS:
        return image.convert(_CONVERSIONS[mode])
    if mode in ("I;16B", "I;16L", "I;16N"):
        return image.convert("I;16") if mode == "I;16B" else image
    raise ReadError(f"samples of the kind {mode} cannot be filtered; convert the picture to RGB or grey first")


def _common_mode(modes: list[str]) -> str:
    """Find the mode that holds all frames of an animation."""
    if len(set(modes)) == 1:
        return modes[0]
    colour = any(mode.startswith("RGB") for mode in modes)
    alpha = any(mode.endswith("A") for mode in modes)
    return ("RGB" if colour else "L") + ("A" if alpha else "")


def _pixels(image: Any) -> Pixels:
    return np.ascontiguousarray(np.asarray(image))


def _opened(file: BinaryIO) -> Any:
    """Parse the header; no pixel is decoded."""
    head = file.read(32)
    file.seek(0)
    name = formats.sniff(head)
    if name in _PLUGINS:
        module, cls = _PLUGINS[name]
        return getattr(importlib.import_module(f"PIL.{module}"), cls)(file)
    try:
        return Image.open(file, formats=_OTHERS)
    except UnidentifiedImageError as error:
        raise ReadError("it is no picture of a known format") from error


@contextmanager
def _damage_reported() -> Iterator[None]:
    """Turn whatever a decoder raises into a ReadError of one line."""
    try:
        yield
    except ConvfilterError:
        raise
    except MemoryError:
        raise
    except Exception as error:  # Pillow raises OSError, SyntaxError, ValueError, TypeError, struct.error and more
        text = str(error).strip().splitlines()
        raise ReadError(f"the picture is damaged or of an unsupported kind: {text[0] if text else error!r}") from error


@contextmanager
def _leniency(lenient: bool) -> Iterator[None]:
    """Let Pillow decode truncated pictures; a global switch of Pillow, hence the lock."""
    if not lenient:
        yield
        return
    from PIL import ImageFile

    with _lenient_lock:
        ImageFile.LOAD_TRUNCATED_IMAGES = True
        try:
            yield
        finally:
            ImageFile.LOAD_TRUNCATED_IMAGES = False
