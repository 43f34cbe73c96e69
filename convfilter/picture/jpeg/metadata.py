"""JPEG metadata, read and written without Pillow: importing Pillow takes as long as reading a photo.

Well-formed files give the same metadata here as through Pillow; other files are left to Pillow. ITU-T T.81, annex B;
JFIF 1.02; CIPA DC-008 (Exif 2.32); ICC.1, annex B.4; XMP, part 3.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from convfilter.picture.jpeg import segments as jpeg
from convfilter.picture.jpeg.segments import APP0, APP1, APP2, APP13, APP14, APP15, COM, DHT, DQT, DRI, SOS, packed
from convfilter.picture.metadata.density import PER_INCH_OR_CENTIMETRE, valid_resolution
from convfilter.picture.metadata.metadata import JpegTables, Metadata, Text, subsampling_of
from convfilter.picture.metadata.pillow_info import EXIF_PREFIX, PHOTOSHOP_PREFIX, SEGMENT_BYTES, text_of
from convfilter.picture.metadata.tiff_numbers import CM_PER_INCH

#: Start of a baseline, an extended sequential and a progressive frame.
_FRAMES = (0xC0, 0xC1, _PROGRESSIVE := 0xC2)
_KNOWN = frozenset((*_FRAMES, DHT, DRI, DQT, SOS, COM, *range(APP0, APP15 + 1)))
_JFIF, _XMP, _ICC, _MPF = b"JFIF\0", b"http://ns.adobe.com/xap/1.0/\0", b"ICC_PROFILE\0", b"MPF\0"
_PLAIN = (_JFIF, EXIF_PREFIX, _XMP, _ICC, PHOTOSHOP_PREFIX)
_JFIF_BYTES = 12
_ICC_HEAD_BYTES = len(_ICC) + 2
_BLOCK = 64
_INCH, _CENTIMETRE = 1, 2
#: Offset of the density, and of its unit, in a JPEG that begins with a JFIF segment.
_DENSITY = 13
#: Row-major index in a block of each coefficient, in zigzag order.
_ZIGZAG = sorted(range(_BLOCK), key=lambda at: (sum(divmod(at, 8)), divmod(at, 8)[1 - sum(divmod(at, 8)) % 2]))


class _UnsupportedError(Exception):
    """The data are malformed, or of a kind that only Pillow reads."""


def metadata_of(data: bytes) -> Metadata | None:
    """Read the metadata of a grey or RGB JPEG.

    Parameters
    ----------
    data : bytes
        The file.

    Returns
    -------
    Metadata, or None
        None if only Pillow can read the file: a segment is damaged or unusual,
        or the file has several pictures or another colour model.
    """
    try:
        return _metadata(list(_segments(data)))
    except _UnsupportedError:
        return None


def _segments(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield marker and content of the segments in front of the first scan.

    Raises
    ------
    _UnsupportedError
        A segment is of an unknown kind, or does not begin where the last one ends.
    """
    end = 2
    for segment in jpeg.segments(data):
        if segment.at != end or segment.marker not in _KNOWN:
            break
        if segment.marker == SOS:
            return
        yield segment.marker, segment.content
        end = segment.end
    raise _UnsupportedError


def is_plain(data: bytes, end: int | None) -> bool:
    """Whether a JPEG holds nothing but a picture and metadata that ``metadata_of`` reads.

    Parameters
    ----------
    data : bytes
        The file.
    end : int, or None
        Offset of the picture's end marker.
    """
    if end is not None and len(data) > end + 2:
        return False
    segments = jpeg.app_segments(data)
    has_whole_profile = True
    if any(is_of_profile(content) for _, _, content in segments):
        try:
            has_whole_profile = _profile([(marker, content) for marker, _, content in segments]) is not None
        except _UnsupportedError:
            has_whole_profile = False
    return has_whole_profile and all(is_plain_segment(marker, content) for marker, _, content in segments)


def is_of_profile(content: bytes) -> bool:
    """Whether an application segment holds a part of an ICC profile."""
    return content.startswith(_ICC)


def is_plain_segment(marker: int, content: bytes) -> bool:
    """Whether an application segment holds metadata that ``metadata_of`` reads, or describes the coding."""
    return content.startswith(_PLAIN) or (marker == APP14 and content.startswith(b"Adobe"))


def _metadata(segments: Sequence[tuple[int, bytes]]) -> Metadata:
    def of_kind(marker: int, prefix: bytes = b"") -> list[bytes]:
        found = [content for kind, content in segments if kind == marker and content.startswith(prefix)]
        return [content[len(prefix) :] for content in found]

    frames = [index for index, (kind, _) in enumerate(segments) if kind in _FRAMES]
    if len(frames) != 1 or of_kind(APP2, _MPF):
        raise _UnsupportedError
    packets, comments = of_kind(APP1, _XMP), of_kind(COM)
    exif = b"".join(of_kind(APP1, EXIF_PREFIX))
    dpi, unit = _dpi_of_jfif([content for kind, content in segments if kind == APP0 and content.startswith(_JFIF[:4])])
    if dpi is None and exif:
        from convfilter.picture.metadata.exif import is_complete, resolution

        if not is_complete(exif):
            raise _UnsupportedError
        dpi = resolution(exif)
    return Metadata(
        icc=_profile(segments[: frames[0]]),
        exif=exif or None,
        xmp=packets[-1] if packets and packets[-1] else None,
        photoshop=b"".join(of_kind(APP13, PHOTOSHOP_PREFIX)) or None,
        resolution=valid_resolution(dpi),
        per_centimetre=unit == _CENTIMETRE,
        text=[Text("Comment", text_of(each)) for each in comments if each],
        jpeg=_tables(*segments[frames[0]], of_kind(DQT)),
    )


def _dpi_of_jfif(segments: Sequence[bytes]) -> tuple[tuple[float, float] | None, int]:
    """Return dots per inch, and the unit that the file uses; None and 0 if it gives only the pixel aspect ratio."""
    dpi: tuple[float, float] | None = None
    unit = 0
    for content in segments:
        if len(content) < _JFIF_BYTES:
            raise _UnsupportedError
        x, y = int.from_bytes(content[8:10], "big"), int.from_bytes(content[10:12], "big")
        if content[7] in (_INCH, _CENTIMETRE):
            unit, scale = content[7], CM_PER_INCH if content[7] == _CENTIMETRE else 1
            dpi = x * scale, y * scale
    return dpi, unit


def _profile(segments: Sequence[tuple[int, bytes]]) -> bytes | None:
    """Join the parts of an ICC profile in the order of their numbers; None if some are missing."""
    parts = sorted(content for kind, content in segments if kind == APP2 and content.startswith(_ICC))
    if any(len(part) < _ICC_HEAD_BYTES for part in parts):
        raise _UnsupportedError
    if not parts or parts[0][_ICC_HEAD_BYTES - 1] != len(parts):
        return None
    return b"".join(part[_ICC_HEAD_BYTES:] for part in parts) or None


def _tables(marker: int, frame: bytes, tables: Sequence[bytes]) -> JpegTables:
    """Return the quantisation tables, row by row, and the chroma subsampling."""
    if len(frame) < 6 or frame[0] != 8 or frame[5] not in (1, 3) or len(frame) != 6 + 3 * frame[5]:
        raise _UnsupportedError
    factors = [(frame[at] >> 4, frame[at] & 15) for at in range(7, len(frame), 3)]
    quantization: dict[int, list[int]] = {}
    for content in tables:
        at = 0
        while at < len(content):
            number, size = content[at] & 15, 2 if content[at] >> 4 else 1
            values = content[at + 1 : at + 1 + _BLOCK * size]
            if len(values) < _BLOCK * size:
                raise _UnsupportedError
            table = [0] * _BLOCK
            for index, place in enumerate(_ZIGZAG):
                table[place] = int.from_bytes(values[index * size : (index + 1) * size], "big")
            quantization[number] = table
            at += 1 + _BLOCK * size
    return JpegTables(quantization, subsampling_of(factors), marker == _PROGRESSIVE)


def encoded(parameters: Mapping[str, Any]) -> bytes:
    """Return the segments between the start of a grey or RGB JPEG and its tables.

    Parameters
    ----------
    parameters : mapping
        Arguments of ``Image.save``: ``dpi``, ``exif``, ``extra``, ``xmp``,
        ``icc_profile`` and ``comment``, none too long for its segments. Pillow ignores
        ``per_centimetre``: whether dots per centimetre are preferred to dots per inch.

    Returns
    -------
    bytes
        The same bytes as Pillow's, except for a density in dots per centimetre.
    """
    density = _density(parameters.get("dpi"), parameters.get("per_centimetre", False))
    parts = [b"\xff\xd8", packed(APP0, _JFIF + bytes((1, 1)) + density + bytes(2))]
    if exif := parameters.get("exif"):
        parts.append(packed(APP1, exif))
    parts.append(parameters.get("extra", b""))
    if xmp := parameters.get("xmp"):
        parts.append(packed(APP1, _XMP + xmp))
    profile = parameters.get("icc_profile") or b""
    room = SEGMENT_BYTES - _ICC_HEAD_BYTES
    count = -(-len(profile) // room)
    for number in range(count):
        part = profile[number * room : (number + 1) * room]
        parts.append(packed(APP2, _ICC + bytes((number + 1 & 0xFF, count & 0xFF)) + part))
    if comment := parameters.get("comment"):
        parts.append(packed(COM, comment))
    return b"".join(parts)


def with_density(data: bytes, metadata: Metadata) -> bytes:
    """Write the resolution into a JPEG of Pillow's, which stores it only in dots per inch.

    Parameters
    ----------
    data : bytes
        The JPEG.
    metadata : Metadata

    Returns
    -------
    bytes
        The JPEG, unchanged unless it begins with a JFIF segment.
    """
    density = _density(metadata.resolution, metadata.per_centimetre)
    return data[:_DENSITY] + density + data[_DENSITY + len(density) :] if data[6:11] == _JFIF else data


def _density(dots_per_inch: tuple[float, float] | None, per_centimetre: bool) -> bytes:
    """Encode unit and density; ``per_centimetre`` decides between units in which the density is equally exact."""
    found = dots_per_inch and PER_INCH_OR_CENTIMETRE.of(dots_per_inch, preferred=int(per_centimetre))
    if not found:
        return struct.pack(">BHH", 0, 1, 1)  # square pixels of unknown size
    unit, dots = found
    return struct.pack(">BHH", (_INCH, _CENTIMETRE)[unit], *dots)
