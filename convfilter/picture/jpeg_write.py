"""JPEG from an array without detours: what Pillow would write, without loading it, and on all cores.

Where the tables are those of a quality, as nearly all are, libjpeg can have the
array itself, and a large picture in bands: each is encoded by itself, and the
scan is joined from them at restart markers (ITU-T T.81, E.1.4), after which
codes begin anew on a whole byte. Coefficients are those of the picture encoded
in one piece. Where the bands end depends on the picture's size alone, so any
number of threads writes the same bytes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any, BinaryIO

import numpy as np

from convfilter.errors import WriteError
from convfilter.picture import jpeg_segments
from convfilter.picture.jpeg import DRI, SOS
from convfilter.picture.metadata import jpeg_parameters
from convfilter.picture.options import DEFAULT_QUALITY, WriteOptions
from convfilter.picture.parallel import in_order
from convfilter.picture.picture import Metadata, Picture, Pixels

_SUBSAMPLINGS = {"4:4:4": 0, "4:2:2": 1, "4:2:0": 2}
#: By Pillow's number: the encoder's name, and width and height of a unit of the scan, in pixels.
_UNITS = {0: ("444", 8, 8), 1: ("422", 16, 8), 2: ("420", 16, 16)}
#: What stands between the start of a file and its tables: APP0 to APP15, COM.
_SEGMENTS = frozenset((*range(0xE0, 0xF0), 0xFE))
_SOF0, _RST0 = 0xC0, 0xD0
_RESTARTS = 8
_END = b"\xff\xd9"
_MAX_SIDE = 65500  # of the decoders' and encoders' own
#: Samples of a band: an interval of at most 16,384 units, of which a segment counts 65,535.
_BAND_BYTES = 1 << 20


def write_jpeg(file: BinaryIO, picture: Picture, options: WriteOptions) -> None:
    """Write a JPEG.

    Parameters
    ----------
    file : BinaryIO
    picture : Picture
        8-bit grey, RGB or CMYK.
    options : WriteOptions

    Raises
    ------
    WriteError
        The encoder refuses.
    """
    metadata = picture.metadata
    if metadata.exif:
        from convfilter.picture import exif

        height, width = picture.pixels.shape[:2]
        metadata.exif = exif.with_size(metadata.exif, width, height)
    pixels = next(frame.pixels for frame in picture.frames if not frame.fallback)
    if picture.model != "cmyk" and write_direct(file, pixels, parameters_of(metadata, options), options.threads):
        return
    from convfilter.picture.pillow_write import write_pillow

    write_pillow(file, "JPEG", picture, options)


def parameters_of(metadata: Metadata, options: WriteOptions) -> dict[str, Any]:
    """Return what Pillow's ``save`` takes: tables and subsampling of a JPEG are kept, unless a quality is asked for."""
    parameters = jpeg_parameters(metadata)
    source = metadata.jpeg
    if options.quality is None and source and sorted(source.quantization) == list(range(len(source.quantization))):
        parameters["qtables"] = source.quantization
        parameters["quality"] = -1
    else:
        parameters["quality"] = DEFAULT_QUALITY if options.quality is None else options.quality
    if options.subsampling is not None:
        parameters["subsampling"] = _SUBSAMPLINGS[options.subsampling]
    elif source and source.subsampling >= 0:
        parameters["subsampling"] = source.subsampling
    parameters["progressive"] = options.compression == "best" or bool(source and source.progressive)
    parameters["optimize"] = options.compression == "best"
    return parameters


def write_direct(file: BinaryIO, pixels: Pixels, parameters: Mapping[str, Any], threads: int | None = None) -> bool:
    """Write a JPEG as Pillow would, but for restart markers, if that can be done without it.

    Parameters
    ----------
    file : BinaryIO
    pixels : (H, W) or (H, W, 3) array of uint8
    parameters : mapping
        As ``Image.save`` takes them.
    threads : int, optional
        None: one for each core. The bytes do not depend on it.

    Returns
    -------
    bool
        False: nothing has been written, since the tables, or the order of the
        data, are of another kind.

    Raises
    ------
    WriteError
        The encoder refuses.
    """
    height, width = pixels.shape[:2]
    colour = pixels.ndim == 3 and pixels.shape[2] == 3
    quality = _quality(parameters, tables=1 + colour)
    subsampling = parameters.get("subsampling", 2 if colour else 0)
    if (
        quality is None
        or not (colour or pixels.ndim == 2)
        # That of a grey picture decides only how many blocks fill up its edge, and how is Pillow's affair.
        or (subsampling not in _UNITS if colour else subsampling)
        or parameters["progressive"]
        or parameters["optimize"]
        or max(height, width) > _MAX_SIDE
    ):
        return False
    name, across, down = _UNITS[subsampling]
    rows = max(1, _BAND_BYTES // (pixels.strides[0] * down)) * down
    encode = partial(_encoded, quality=quality, subsampling=name if colour else None)
    bands = [np.ascontiguousarray(pixels[top : top + rows]) for top in range(0, height, rows)]
    head = jpeg_segments.packed(parameters)
    for part in _joined(in_order(encode, bands, threads), height, -(-width // across) * (rows // down), len(bands)):
        file.write(head)
        file.write(part)
        head = b""
    return True


def _encoded(band: Pixels, *, quality: int, subsampling: str | None) -> memoryview:
    import imagecodecs

    try:
        return memoryview(imagecodecs.jpeg8_encode(band, level=quality, subsampling=subsampling))
    except imagecodecs.Jpeg8Error as error:
        raise WriteError(f"the picture cannot be written as JPEG: {error}") from error


def _joined(bands: Iterator[memoryview], height: int, interval: int, count: int) -> Iterator[bytes | memoryview]:
    """Yield a file from its tables on: those of the first band, and the data of all."""
    for number, band in enumerate(bands):
        tables = _end_of_segments(band)
        scan = _start_of(SOS, band, tables)
        data = scan + 2 + int.from_bytes(band[scan + 2 : scan + 4], "big")
        if number == 0:
            frame = _start_of(_SOF0, band, tables)
            yield band[tables : frame + 5]
            yield height.to_bytes(2, "big")
            yield band[frame + 7 : scan]
            if count > 1:
                yield bytes((0xFF, DRI)) + (4).to_bytes(2, "big") + interval.to_bytes(2, "big")
            yield band[scan:data]
        yield band[data : -len(_END)]
        yield bytes((0xFF, _RST0 + number % _RESTARTS)) if number < count - 1 else _END


def _end_of_segments(data: memoryview) -> int:
    """Return where the tables begin."""
    at = 2
    while data[at + 1] in _SEGMENTS:
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return at


def _start_of(marker: int, data: memoryview, at: int) -> int:
    """Return where a segment begins that is known to be there, from ``at`` on."""
    while data[at + 1] != marker:
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return at


def _quality(parameters: Mapping[str, Any], tables: int) -> int | None:
    """Return the quality that the tables belong to, None if they are of no quality."""
    wanted: Mapping[int, Sequence[int]] | None = parameters.get("qtables")
    if wanted is None:
        return int(parameters["quality"])
    if len(wanted) < tables:
        return None
    # As libjpeg scales the tables of ITU-T T.81, annex K.
    quality = np.arange(1, 101)[:, np.newaxis, np.newaxis]
    percent = np.where(quality < 50, 5000 // quality, 200 - 2 * quality)
    scaled = np.clip((np.array(_ANNEX_K[:tables]) * percent + 50) // 100, 1, 255)
    equal = (scaled == np.array([wanted[number] for number in range(tables)])).all(axis=(1, 2))
    return int(equal.argmax()) + 1 if equal.any() else None


#: Luminance and chrominance, row by row.
_ANNEX_K = (
    (
        16, 11, 10, 16, 24, 40, 51, 61,
        12, 12, 14, 19, 26, 58, 60, 55,
        14, 13, 16, 24, 40, 57, 69, 56,
        14, 17, 22, 29, 51, 87, 80, 62,
        18, 22, 37, 56, 68, 109, 103, 77,
        24, 35, 55, 64, 81, 104, 113, 92,
        49, 64, 78, 87, 103, 121, 120, 101,
        72, 92, 95, 98, 112, 100, 103, 99,
    ),
    (
        17, 18, 24, 47, 99, 99, 99, 99,
        18, 21, 26, 66, 99, 99, 99, 99,
        24, 26, 56, 99, 99, 99, 99, 99,
        47, 66, 99, 99, 99, 99, 99, 99,
        99, 99, 99, 99, 99, 99, 99, 99,
        99, 99, 99, 99, 99, 99, 99, 99,
        99, 99, 99, 99, 99, 99, 99, 99,
        99, 99, 99, 99, 99, 99, 99, 99,
    ),
)  # fmt: skip
