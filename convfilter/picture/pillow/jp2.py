"""JP2, the file format around a JPEG 2000 codestream: profile, resolution, EXIF and XMP, read and written.

ISO/IEC 15444-1, annex I; ICC profiles with lookup tables as in ISO/IEC 15444-2, annex M.11.7.3.2.
"""

from __future__ import annotations

import struct
from typing import BinaryIO

import numpy as np

from convfilter.picture.metadata import icc
from convfilter.picture.metadata.metadata import Metadata
from convfilter.picture.picture import Picture
from convfilter.picture.pillow.boxes import box, boxes, boxes_of
from convfilter.picture.pixels import channels_of

_SIGNATURE = b"\r\n\x87\n"
_FIRST_BOX = b"\0\0\0\x0cjP  " + _SIGNATURE
_XMP_UUID = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")
_EXIF_UUID = b"JpgTiffExif->JP2"
#: Methods of a colr box, and its colour spaces.
_ENUMERATED, _RESTRICTED_PROFILE, _ANY_PROFILE = 1, 2, 3
_SRGB, _GRAY = 16, 17
#: Types of a channel, and its association, in a cdef box.
_OPACITY, _PREMULTIPLIED_OPACITY, _ALL_COLOURS = 1, 2, 0
_METRES_PER_INCH = 0.0254
#: Boxes about decoding, boxes without information, and those that are read.
_KNOWN = (b"jP  ", b"ftyp", b"jp2h", b"jp2c", b"rreq", b"free", b"uuid")
_MOST_BYTES = 1 << 26


def add_metadata(metadata: Metadata, file: BinaryIO) -> list[str]:
    """Add metadata from the boxes of a JP2; a bare codestream has none.

    Parameters
    ----------
    metadata : Metadata
        Changed in place.
    file : BinaryIO
        Seekable, at its beginning; its position changes.

    Returns
    -------
    list of str
        Distinct names of the boxes that are not read.
    """
    if file.read(len(_FIRST_BOX)) != _FIRST_BOX:
        return []
    others = []
    for kind, start, end in boxes(file, 0, file.seek(0, 2)):
        if kind not in (b"jp2h", b"uuid") or end - start > _MOST_BYTES:
            others += [] if kind in _KNOWN else [kind.decode("latin-1").strip()]
            continue
        file.seek(start)
        content = file.read(end - start)
        if kind == b"jp2h":
            _add_header(metadata, content)
        elif content.startswith(_XMP_UUID):
            metadata.xmp = content[16:] or None
        elif content.startswith(_EXIF_UUID):
            metadata.exif = content[16:].removeprefix(b"Exif\0\0") or None
        else:
            others.append("uuid")
    return list(dict.fromkeys(others))


def _add_header(metadata: Metadata, header: bytes) -> None:
    """Add profile, kind of alpha and resolution from the content of a jp2h box."""
    for kind, content in boxes_of(header):
        if kind == b"colr" and content[:1] in (bytes([_RESTRICTED_PROFILE]), bytes([_ANY_PROFILE])):
            metadata.icc = metadata.icc or content[3:]
        elif kind == b"cdef":
            rows = struct.iter_unpack(">HHH", content[2 : 2 + (len(content) - 2) // 6 * 6])
            metadata.associated_alpha = any(type_ == _PREMULTIPLIED_OPACITY for _, type_, _ in rows)
        elif kind == b"res ":
            boxes = dict(boxes_of(content))
            metadata.resolution = _dots_per_inch(boxes.get(b"resd") or boxes.get(b"resc") or b"")


def _dots_per_inch(content: bytes) -> tuple[float, float] | None:
    """Return the resolution, (x, y), of a resd or resc box, which gives dots per metre."""
    if len(content) < 10:
        return None
    y_number, y_unit, x_number, x_unit, y_power, x_power = struct.unpack_from(">HHHHbb", content)
    if not (y_unit and x_unit and y_number and x_number):
        return None
    x, y = x_number / x_unit * 10.0**x_power, y_number / y_unit * 10.0**y_power
    return round(x * _METRES_PER_INCH, 6), round(y * _METRES_PER_INCH, 6)


def write(file: BinaryIO, codestream: bytes, picture: Picture) -> None:
    """Write a JP2.

    Parameters
    ----------
    file : BinaryIO
        Need not be seekable.
    codestream : bytes
        The encoded samples.
    picture : Picture
        The picture that was encoded.
    """
    metadata = picture.metadata
    is_restricted = metadata.icc is None or _is_restricted(metadata.icc)
    brands = b"jp2 " if is_restricted else b"jp2 jpx "
    header = [_image_header(picture), _colours(picture, is_restricted), _channel_definitions(picture)]
    if metadata.resolution:
        number = _resolution(*metadata.resolution)
        header.append(box(b"res ", box(b"resc", number), box(b"resd", number)))
    file.write(_FIRST_BOX + box(b"ftyp", b"jp2 ", bytes(4), brands) + box(b"jp2h", *header))
    if metadata.exif:
        file.write(box(b"uuid", _EXIF_UUID, metadata.exif))
    if metadata.xmp:
        file.write(box(b"uuid", _XMP_UUID, metadata.xmp))
    file.write(box(b"jp2c", codestream))


def _image_header(picture: Picture) -> bytes:
    pixels = picture.pixels
    height, width = pixels.shape[:2]
    depth = (picture.white or np.iinfo(pixels.dtype).max).bit_length() - 1
    return box(b"ihdr", struct.pack(">IIHBBBB", height, width, channels_of(pixels), depth, 7, 0, 0))


def _is_restricted(profile: bytes) -> bool:
    """Whether a profile has only curves and at most a matrix (restricted ICC), which every JP2 reader supports."""
    return not any(name.startswith((b"A2B", b"D2B")) for name in icc.tags(profile))


def _colours(picture: Picture, is_restricted: bool) -> bytes:
    """Return the box of the colour space."""
    if picture.metadata.icc:
        method = _RESTRICTED_PROFILE if is_restricted else _ANY_PROFILE
        return box(b"colr", bytes([method, 0, 0]), picture.metadata.icc)
    space = _GRAY if picture.model == "gray" else _SRGB
    return box(b"colr", struct.pack(">BBBI", _ENUMERATED, 0, 0, space))


def _channel_definitions(picture: Picture) -> bytes:
    """Return the box that marks the alpha channel; b"" without alpha."""
    if not picture.alpha:
        return b""
    count = channels_of(picture.pixels)
    colours = [(number, 0, number + 1) for number in range(count - 1)]
    opacity = _PREMULTIPLIED_OPACITY if picture.premultiplied else _OPACITY
    rows = [*colours, (count - 1, opacity, _ALL_COLOURS)]
    return box(b"cdef", struct.pack(">H", count), *(struct.pack(">HHH", *row) for row in rows))


def _resolution(x: float, y: float) -> bytes:
    """Return the content of a resd box: dots per inch as dots per metre, for integers exactly n * 10**4 / 254."""
    parts = []
    for dots in (y, x):
        number, power = (round(dots), 4) if dots >= 650 or dots == round(dots) else (round(dots * 100), 2)
        parts.append((min(max(number, 1), 65535), power))
    (y_number, y_power), (x_number, x_power) = parts
    return struct.pack(">HHHHbb", y_number, 254, x_number, 254, y_power, x_power)
