"""Write formats through Pillow: WebP, AVIF, JPEG 2000, BMP and a few old ones, and JPEGs that need it."""

from __future__ import annotations

import io
import struct
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

import numpy as np
from PIL import Image, ImageFile

from convfilter.errors import WriteError
from convfilter.picture.frame import DEFAULT_DELAY, Frame
from convfilter.picture.jpeg.metadata import with_density
from convfilter.picture.jpeg.parameters import parameters_of
from convfilter.picture.metadata import exif
from convfilter.picture.metadata.density import PER_INCH, PER_METRE
from convfilter.picture.metadata.metadata import Metadata
from convfilter.picture.metadata.pillow_info import pillow_parameters
from convfilter.picture.options import DEFAULT_QUALITY, WriteOptions
from convfilter.picture.picture import Picture
from convfilter.picture.pillow import jp2
from convfilter.picture.pixels import Pixels

_HEADROOM_BYTES = 1 << 18
#: Offset of the resolution in a PCX.
_PCX_RESOLUTION = 12
_PILLOW_NAMES = {"WebP": "WEBP"}
_MODES = {("gray", False): "L", ("gray", True): "LA", ("rgb", False): "RGB", ("rgb", True): "RGBA"}
#: Setting of the encoder for each ``WriteOptions.effort``.
_WEBP_METHODS = {"fast": 2, "default": 4, "best": 6}
_AVIF_SPEEDS = {"fast": 9, "default": 6, "best": 2}


def write_pillow(file: BinaryIO, picture: Picture, options: WriteOptions) -> None:
    """Write a picture in one of the formats that Pillow encodes; a ``Writer``.

    Parameters
    ----------
    file : BinaryIO
    picture : Picture
        Samples of a type and a model that ``picture.format`` stores; the EXIF block gets the size of the picture.
    options : WriteOptions

    Raises
    ------
    WriteError
        The encoder fails.
    """
    warnings.filterwarnings("ignore", module=r"PIL\.")
    name = picture.format or ""
    height, width = picture.pixels.shape[:2]
    metadata = picture.metadata
    metadata.exif = exif.with_size(metadata.exif, width, height)
    frames = picture.frames
    if name in ("JPEG2000", "J2K"):
        with _encoding(name):
            codestream = _codestream(picture, options)
        if name == "J2K":
            file.write(codestream)
        else:
            jp2.write(file, codestream, picture)
        return
    if name == "WebP" and len(frames) > 1:
        _write_animated_webp(file, frames, picture, options)
        return
    parameters = _PARAMETERS.get(name, _resolution)(metadata, picture, options, frames)
    images = [_image(frame.pixels, picture) for frame in frames]
    if len(images) > 1:
        parameters |= {"save_all": True, "append_images": images[1:]}
    if name == "JPEG" and (parameters["progressive"] or parameters["optimize"]):
        # Pillow encodes a progressive or optimised JPEG into one buffer, whose estimated size can be too small.
        ImageFile.MAXBLOCK = max(ImageFile.MAXBLOCK, frames[0].pixels.nbytes + _HEADROOM_BYTES)
    patch = _PATCHES.get(name)
    target = io.BytesIO() if patch else file
    with _encoding(name):
        images[0].save(target, _PILLOW_NAMES.get(name, name), **parameters)
    if patch and isinstance(target, io.BytesIO):
        file.write(patch(target.getvalue(), metadata))


def _with_code_points(data: bytes, metadata: Metadata) -> bytes:
    """Write primaries and transfer function into an AVIF."""
    from convfilter.picture.pillow import avif

    return avif.with_cicp(data, *metadata.code_points) if metadata.code_points else data


def _with_dots_per_inch(data: bytes, metadata: Metadata) -> bytes:
    """Write the resolution into a PCX, in place of Pillow's 100 dots per inch; none if it does not fit."""
    _, dots = (metadata.resolution and PER_INCH.of(metadata.resolution)) or (0, (0, 0))
    return data[:_PCX_RESOLUTION] + struct.pack("<HH", *dots) + data[_PCX_RESOLUTION + 4 :]


#: Functions that write properties into the encoded file which Pillow's encoders do not support.
_PATCHES: dict[str, Callable[[bytes, Metadata], bytes]] = {
    "AVIF": _with_code_points,
    "JPEG": with_density,
    "PCX": _with_dots_per_inch,
}


@contextmanager
def _encoding(name: str) -> Iterator[None]:
    """Convert exceptions of an encoder to WriteErrors, except those of the operating system."""
    try:
        yield
    except OSError:
        raise
    except (ValueError, TypeError, RuntimeError, KeyError, SystemError) as error:
        raise WriteError(f"the picture cannot be written as {name}: {error}") from error


def _image(pixels: Pixels, picture: Picture) -> Any:
    """Return samples of a picture as Pillow's image, without a copy."""
    if picture.model == "cmyk":
        return Image.frombuffer("CMYK", (pixels.shape[1], pixels.shape[0]), pixels, "raw", "CMYK", 0, 1)
    height, width = pixels.shape[:2]
    mode = _MODES[picture.model, picture.alpha]
    return Image.frombuffer(mode, (width, height), pixels, "raw", mode, 0, 1)


def _jpeg(metadata: Metadata, picture: Picture, options: WriteOptions, frames: list[Frame]) -> dict[str, Any]:
    return parameters_of(metadata, options)


def _animation(frames: list[Frame]) -> dict[str, Any]:
    """Return Pillow's parameters for the delays of several frames, in milliseconds."""
    if len(frames) == 1:
        return {}
    delays = [frame.delay or DEFAULT_DELAY for frame in frames]
    return {"duration": [round(1000 * numerator / denominator) for numerator, denominator in delays]}


def _webp(metadata: Metadata, picture: Picture, options: WriteOptions, frames: list[Frame]) -> dict[str, Any]:
    return pillow_parameters(metadata) | _webp_effort(metadata, options)


def _webp_effort(metadata: Metadata, options: WriteOptions) -> dict[str, Any]:
    parameters = {"method": _WEBP_METHODS[options.effort], "exact": True}
    if metadata.lossless and options.quality is None:
        return parameters | {"lossless": True}
    return parameters | {"quality": DEFAULT_QUALITY if options.quality is None else options.quality}


def _write_animated_webp(file: BinaryIO, frames: list[Frame], picture: Picture, options: WriteOptions) -> None:
    from convfilter.picture.pillow import webp

    def encode(pixels: Pixels) -> bytes:
        buffer = io.BytesIO()
        _image(pixels, picture).save(buffer, "WEBP", **_webp_effort(picture.metadata, options))
        return buffer.getvalue()

    webp.write_animation(file, frames, picture.metadata, picture.alpha, encode)


def _avif(metadata: Metadata, picture: Picture, options: WriteOptions, frames: list[Frame]) -> dict[str, Any]:
    if exif.orientation(metadata.exif, metadata.xmp) == 1:
        # Pillow would remove the orientation by rewriting the block, which moves the camera's maker note.
        metadata.exif = exif.without_orientation(metadata.exif)
    parameters = pillow_parameters(metadata) | _animation(frames)
    parameters["quality"] = DEFAULT_QUALITY if options.quality is None else options.quality
    parameters["speed"] = _AVIF_SPEEDS[options.effort]
    if metadata.code_points:
        # The data get them too, as well as the boxes around them: decoders read either.
        names = ("c:color-primaries", "c:transfer-characteristics")
        parameters["advanced"] = dict(zip(names, map(str, metadata.code_points), strict=True))
    if options.subsampling:
        parameters["subsampling"] = options.subsampling
    return parameters


def _codestream(picture: Picture, options: WriteOptions) -> bytes:
    """Encode a JPEG 2000 codestream: losslessly, or for quality q with a signal-to-noise ratio of 20 + 0.4 q dB."""
    pixels, quality = picture.pixels, options.quality
    if pixels.dtype == np.uint16:  # Pillow supports 16 bits for grey only
        import imagecodecs

        level = 0 if quality is None else 20 + quality * 2 // 5
        bits = (picture.white or 65535).bit_length()
        reversible, encode = quality is None, imagecodecs.jpeg2k_encode
        return bytes(encode(pixels, level=level, codecformat="j2k", reversible=reversible, bitspersample=bits))
    parameters: dict[str, Any] = {"irreversible": False}
    if quality is not None:
        parameters = {"irreversible": True, "quality_mode": "dB", "quality_layers": [20 + 0.4 * quality]}
    buffer = io.BytesIO()
    _image(pixels, picture).save(buffer, "JPEG2000", no_jp2=True, **parameters)
    return buffer.getvalue()


def _resolution(metadata: Metadata, picture: Picture, options: WriteOptions, frames: list[Frame]) -> dict[str, Any]:
    is_stored = metadata.resolution and PER_METRE.of(metadata.resolution)  # in a BMP; a PCX is patched
    return {"dpi": metadata.resolution if is_stored else (0, 0)}  # without one, Pillow writes 96 or 100


#: Functions that return Pillow's parameters for a format.
_PARAMETERS = {"JPEG": _jpeg, "WebP": _webp, "AVIF": _avif}
