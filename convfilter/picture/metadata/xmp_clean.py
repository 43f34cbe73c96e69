"""What of an XMP packet is not true of a filtered picture any more: pictures as they were before, and references.

Thumbnails show the picture before the filter. Gain maps, depth maps, and videos of moving photos lie behind the picture
in a JPEG, where only this one is taken from; what the packet says of them would dangle.
"""

from __future__ import annotations

import re

from convfilter.picture.metadata import xmp_extended

_THUMBNAILS = rb"(?:xmp|xap):Thumbnails"
_ORIENTATION = re.compile(rb"(tiff:Orientation(?:=[\"']|>)\s*)([1-8])")
THUMBNAIL = "a thumbnail"
_GAIN_MAP, _CONTAINER, _DEPTH, _ORIGINAL = (
    "a gain map",
    "pictures or videos behind it",
    "a depth map",
    "another picture",
)
#: Namespaces of properties that are dropped, and what they speak of.
_SPACES = {
    b"http://ns.adobe.com/hdr-gain-map/1.0/": _GAIN_MAP,
    b"http://ns.apple.com/HDRGainMap/1.0/": _GAIN_MAP,
    b"http://ns.google.com/photos/1.0/container/": _CONTAINER,
    b"http://ns.google.com/photos/1.0/container/item/": _CONTAINER,
    b"http://ns.google.com/photos/1.0/depthmap/": _DEPTH,
    b"http://ns.google.com/photos/1.0/image/": _ORIGINAL,
    b"http://ns.google.com/photos/1.0/audio/": "sound",
}
_CAMERA = b"http://ns.google.com/photos/1.0/camera/"
#: Of the camera's namespace, which says other things, too.
_VIDEO_NAMES = rb"(?:MotionPhoto|MicroVideo)\w*"
_MOST_UNCLOSED = 100
_ANY_NAME = rb"[\w.-]+"


def with_orientation_reset(packet: bytes) -> bytes:
    """Say that the picture stands upright."""
    return _ORIENTATION.sub(rb"\g<1>1", packet)


def cleaned(packet: bytes) -> tuple[bytes, list[str]]:
    """Drop what is not true any more.

    Parameters
    ----------
    packet : bytes

    Returns
    -------
    packet : bytes
    dropped : list of str
        What it spoke of.
    """
    dropped = []
    clean = _without_elements(packet, _THUMBNAILS)
    if clean != packet:
        dropped.append(THUMBNAIL)
    for uri, what in (*_SPACES.items(), (_CAMERA, "a video")):
        for prefix in set(re.findall(rb"xmlns:([\w.-]+)\s*=\s*[\"']" + re.escape(uri) + rb"[\"']", clean)):
            name = _VIDEO_NAMES if uri == _CAMERA else _ANY_NAME
            without = _without(clean, re.escape(prefix) + b":" + name)
            if without != clean:
                clean = without
                dropped.append(what)
    if b"HasExtendedXMP" in clean:
        clean = xmp_extended.without_note(clean)
        dropped.append("an extension that is not whole")
    if dropped and xmp_extended.is_well_formed(packet) and not xmp_extended.is_well_formed(clean):
        return b"", [*dropped, "much else"]
    return clean, list(dict.fromkeys(dropped))


def _without(packet: bytes, name: bytes) -> bytes:
    """Take attributes and elements of a name, which is a pattern, out of a packet."""
    packet = re.sub(rb"\s" + name + rb"\s*=\s*(?:\"[^\"]*\"|'[^']*')", b"", packet)
    packet = _without_elements(packet, name)
    return re.sub(rb"<" + name + rb"(?:\s[^<>]*)?/>", b"", packet)


def _without_elements(packet: bytes, name: bytes) -> bytes:
    """Take elements of a name, which is a pattern, out of a packet.

    The time is proportional to the packet: what is opened again and again and never closed is given up.
    """
    opening = re.compile(rb"<(" + name + rb")(?:\s[^<>]*)?(?<!/)>")
    parts, at, unclosed = [], 0, 0
    while unclosed < _MOST_UNCLOSED and (found := opening.search(packet, at)):
        closing = b"</" + found[1] + b">"
        end = packet.find(closing, found.end())
        parts.append(packet[at : found.start() if end >= 0 else found.end()])
        at = end + len(closing) if end >= 0 else found.end()
        unclosed += end < 0
    return b"".join([*parts, packet[at:]]) if parts else packet
