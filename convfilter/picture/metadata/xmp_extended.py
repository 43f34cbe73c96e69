"""Extended XMP of a JPEG: join the main packet and its extension, and split a packet that exceeds one segment.

XMP Specification, part 3 (Adobe, 2020), section 1.1.3.1.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

PREFIX = b"http://ns.adobe.com/xmp/extension/\0"
_GUID_BYTES = 32
#: GUID, size of the whole extension, and offset of the segment's part in it.
_HEAD_BYTES = _GUID_BYTES + 8
#: Bytes of the extension in one segment, as many as other programs write.
_PART_BYTES = 65400
_RDF = re.compile(r"""<rdf:RDF(?:[^<>"']|"[^"<]*"|'[^'<]*')*>""")
_TAG = re.compile(r"""</?rdf:Description(?:[^<>"']|"[^"<]*"|'[^'<]*')*>""")
_NAMESPACE = re.compile(r"""xmlns:([\w.-]+)\s*=\s*("[^"]*"|'[^']*')""")
_NOTE = re.compile(
    r"""\sxmpNote:HasExtendedXMP\s*=\s*("[^"]*"|'[^']*')|<xmpNote:HasExtendedXMP>[^<]*</xmpNote:HasExtendedXMP>"""
)
_GUID = re.compile(rb"""xmpNote:HasExtendedXMP(?:\s*=\s*["']|>)\s*([0-9A-Fa-f]{32})""")
_END = "</rdf:RDF>"


def joined(main: bytes | None, segments: Sequence[bytes]) -> bytes | None:
    """Join a main packet and its extension.

    Parameters
    ----------
    main : bytes, or None
        Main packet, which names its extension by a GUID.
    segments : sequence of bytes
        Contents of the segments after ``PREFIX``, in any order.

    Returns
    -------
    bytes, or None
        None if the main packet names no extension, or if segments are missing or inconsistent.
    """
    named = _GUID.search(main or b"")
    if main is None or named is None:
        return None
    parts = [part for part in segments if part[:_GUID_BYTES].upper() == named[1].upper() and len(part) >= _HEAD_BYTES]
    parts.sort(key=lambda part: int.from_bytes(part[36:40], "big"))
    extension = b"".join(part[_HEAD_BYTES:] for part in parts)
    if not parts or len(extension) != int.from_bytes(parts[0][32:36], "big"):
        return None
    try:
        packet = _merged(without_note(main).decode(), extension.decode())
    except UnicodeDecodeError:
        return None
    return packet.encode() if packet is not None and is_well_formed(packet.encode()) else None


def without_note(packet: bytes) -> bytes:
    """Return a packet without the property that names its extension."""
    try:
        return _NOTE.sub("", packet.decode()).encode()
    except UnicodeDecodeError:
        return packet


def _merged(main: str, extension: str) -> str | None:
    """Append the descriptions of the extension to those of the main packet; None if the two packets conflict."""
    start, end = _RDF.search(extension), extension.rfind(_END)
    target = _RDF.search(main)
    if start is None or target is None or end < start.end() or _END not in main:
        return None
    known: dict[str, str] = dict(_NAMESPACE.findall(main[: target.end()]))
    used: dict[str, str] = dict(_NAMESPACE.findall(extension[: start.end()]))
    if any(known.get(prefix, uri)[1:-1] != uri[1:-1] for prefix, uri in used.items()):
        return None  # a prefix with two meanings
    declared = "".join(f" xmlns:{prefix}={uri}" for prefix, uri in used.items() if prefix not in known)
    at = main.rfind(_END)
    inserted = target.end() - 1
    return main[:inserted] + declared + main[inserted:at] + extension[start.end() : end] + main[at:]


def is_well_formed(packet: bytes) -> bool:
    """Whether a packet is XML with all its prefixes declared."""
    from xml.parsers import expat

    try:
        expat.ParserCreate(namespace_separator=" ").Parse(packet, True)
    except expat.ExpatError:
        return False
    return True


def cut(packet: bytes, room: int) -> tuple[bytes, list[bytes]] | None:
    """Split a packet that is larger than one segment.

    Parameters
    ----------
    packet : bytes
        XMP packet in UTF-8.
    room : int
        Largest size of the main packet, in bytes.

    Returns
    -------
    (main, segments), or None
        The main packet, and the contents of the extension's segments, which begin with ``PREFIX``. None if the packet
        has no descriptions that can be moved.
    """
    from hashlib import md5

    try:
        text = packet.decode()
    except UnicodeDecodeError:
        return None
    start, end = _RDF.search(text), text.rfind(_END)
    if start is None or end < start.end():
        return None
    head, tail = text[: start.end()], text[end:]
    note = '<rdf:Description rdf:about="" xmlns:xmpNote="http://ns.adobe.com/xmp/note/" xmpNote:HasExtendedXMP="%s"/>'
    left = room - len((head + note % ("0" * _GUID_BYTES) + tail).encode())
    kept, moved = "", ""
    for description in sorted(_descriptions(text[start.end() : end]), key=len):
        if len((kept + description).encode()) <= left:
            kept += description
        else:
            moved += description
    if left < 0 or not moved:
        return None
    namespaces = "".join(f" xmlns:{prefix}={uri}" for prefix, uri in _NAMESPACE.findall(head))
    extension = f"<x:xmpmeta{namespaces}><rdf:RDF>{moved}{_END}</x:xmpmeta>".encode()
    guid = md5(extension, usedforsecurity=False).hexdigest().upper()
    parts = [extension[at : at + _PART_BYTES] for at in range(0, len(extension), _PART_BYTES)]
    size = len(extension).to_bytes(4, "big")
    segments = [
        PREFIX + guid.encode() + size + (number * _PART_BYTES).to_bytes(4, "big") + part
        for number, part in enumerate(parts)
    ]
    return (head + kept + note % guid + tail).encode(), segments


def _descriptions(text: str) -> Iterator[str]:
    """Yield the outermost ``rdf:Description`` elements."""
    depth, begin = 0, 0
    for tag in _TAG.finditer(text):
        if tag[0].startswith("</"):
            depth -= 1
        else:
            begin = tag.start() if depth == 0 else begin
            depth += not tag[0].endswith("/>")
        if depth == 0:
            yield text[begin : tag.end()]
