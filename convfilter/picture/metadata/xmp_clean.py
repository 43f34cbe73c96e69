"""Remove the properties of an XMP packet that are false for a filtered picture, and reset its orientation.

Thumbnails show the unfiltered picture. Gain maps, depth maps, and videos of moving photos follow the picture in a JPEG
and are not kept, so properties that refer to them would dangle.
"""

from __future__ import annotations

import re

from convfilter.picture.metadata import xmp_extended

_THUMBNAILS = rb"(?:xmp|xap):Thumbnails"
_ORIENTATION = re.compile(rb"(tiff:Orientation(?:=[\"']|>)\s*)([1-8])")
_WIDTH, _HEIGHT = (
    re.compile(rb"((?:%b)(?:\s*=\s*[\"']|>)\s*)\d+" % names)
    for names in (rb"tiff:ImageWidth|exif:PixelXDimension", rb"tiff:ImageLength|exif:PixelYDimension")
)
THUMBNAIL = "a thumbnail"
_GAIN_MAP, _CONTAINER, _DEPTH, _ORIGINAL = (
    "a gain map",
    "further pictures or videos in the file",
    "a depth map",
    "another picture",
)
#: Namespaces of dropped properties, and the subject of the properties, for messages.
_NAMESPACES = {
    b"http://ns.adobe.com/hdr-gain-map/1.0/": _GAIN_MAP,
    b"http://ns.apple.com/HDRGainMap/1.0/": _GAIN_MAP,
    b"http://ns.google.com/photos/1.0/container/": _CONTAINER,
    b"http://ns.google.com/photos/1.0/container/item/": _CONTAINER,
    b"http://ns.google.com/photos/1.0/depthmap/": _DEPTH,
    b"http://ns.google.com/photos/1.0/image/": _ORIGINAL,
    b"http://ns.google.com/photos/1.0/audio/": "sound",
}
#: Namespaces of marked regions, such as faces.
_REGIONS = (b"http://www.metadataworkinggroup.com/schemas/regions/", b"http://ns.microsoft.com/photo/1.2/")
#: The main subject in pixels, which EXIF has, too.
_SUBJECT = rb"exif:Subject(?:Area|Location)"
_CAMERA = b"http://ns.google.com/photos/1.0/camera/"
#: Names of dropped properties in the camera's namespace, which has other properties too.
_VIDEO_NAMES = rb"(?:MotionPhoto|MicroVideo)\w*"
#: Most opening tags without a closing tag: many of them would make the search take quadratic time.
_MOST_UNCLOSED = 100
_ANY_NAME = rb"[\w.-]+"


def orientation_of(packet: bytes) -> int:
    """Return the orientation, 1 to 8 as in EXIF; 1 if the packet has none."""
    match = _ORIENTATION.search(packet)
    return int(match[2]) if match else 1


def with_orientation_reset(packet: bytes) -> bytes:
    """Return a packet whose orientation, if it has one, is 1 (upright)."""
    return _ORIENTATION.sub(rb"\g<1>1", packet)


def with_size(packet: bytes, width: int, height: int) -> bytes:
    """Return a packet whose properties for the size of the picture, if it has some, are true of a result."""
    return _HEIGHT.sub(rb"\g<1>%d" % height, _WIDTH.sub(rb"\g<1>%d" % width, packet))


def cleaned(packet: bytes) -> tuple[bytes, list[str]]:
    """Drop the properties that are false for a filtered picture.

    Parameters
    ----------
    packet : bytes
        XMP packet in UTF-8.

    Returns
    -------
    packet : bytes
        Empty if removing the properties would make a well-formed packet malformed.
    dropped : list of str
        The subject of each kind of dropped property, such as "a gain map".
    """
    dropped = []
    clean = _without_elements(packet, _THUMBNAILS)
    if clean != packet:
        dropped.append(THUMBNAIL)
    for uri, what in (*_NAMESPACES.items(), (_CAMERA, "a video")):
        without = _without_names(clean, uri, _VIDEO_NAMES if uri == _CAMERA else _ANY_NAME)
        if without != clean:
            clean = without
            dropped.append(what)
    if b"HasExtendedXMP" in clean:
        clean = xmp_extended.without_note(clean)
        dropped.append("an incomplete extension")
    return _well_formed(packet, clean, list(dict.fromkeys(dropped)))


def without_regions(packet: bytes) -> tuple[bytes, list[str]]:
    """Drop the main subject and marked regions, such as faces; return what :func:`cleaned` does."""
    clean = _without(packet, _SUBJECT)
    rest = clean
    for uri in _REGIONS:
        rest = _without_names(rest, uri, _ANY_NAME)
    return _well_formed(packet, rest, [] if rest == clean else ["regions of the picture"])


def _well_formed(before: bytes, after: bytes, dropped: list[str]) -> tuple[bytes, list[str]]:
    """Return a packet without some properties, and what was dropped; no packet if that made it malformed."""
    if before != after and xmp_extended.is_well_formed(before) and not xmp_extended.is_well_formed(after):
        return b"", [*dropped, "much else"]
    return after, dropped


def _without_names(packet: bytes, uri: bytes, name: bytes) -> bytes:
    """Remove attributes and elements of a namespace whose local name matches a pattern."""
    for prefix in set(re.findall(rb"xmlns:([\w.-]+)\s*=\s*[\"']" + re.escape(uri) + rb"[\"']", packet)):
        packet = _without(packet, re.escape(prefix) + b":" + name)
    return packet


def _without(packet: bytes, name: bytes) -> bytes:
    """Remove attributes and elements whose name matches a pattern."""
    packet = re.sub(rb"\s" + name + rb"\s*=\s*(?:\"[^\"]*\"|'[^']*')", b"", packet)
    packet = _without_elements(packet, name)
    return re.sub(rb"<" + name + rb"(?:\s[^<>]*)?/>", b"", packet)


def _without_elements(packet: bytes, name: bytes) -> bytes:
    """Remove elements whose name matches a pattern; the search ends after ``_MOST_UNCLOSED`` unclosed elements."""
    opening = re.compile(rb"<(" + name + rb")(?:\s[^<>]*)?(?<!/)>")
    parts, at, unclosed = [], 0, 0
    while unclosed < _MOST_UNCLOSED and (match := opening.search(packet, at)):
        closing = b"</" + match[1] + b">"
        end = packet.find(closing, match.end())
        parts.append(packet[at : match.start() if end >= 0 else match.end()])
        at = end + len(closing) if end >= 0 else match.end()
        unclosed += end < 0
    return b"".join([*parts, packet[at:]]) if parts else packet
