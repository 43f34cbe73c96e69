"""Edit XMP packets as text, so that the rest of a packet does not change.

XMP Specification, part 1 (ISO 16684-1:2019), and part 3 (Adobe, 2020): properties for keywords of PNG.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from convfilter.picture.picture import Text

_NAMESPACES = {
    "dc": "http://purl.org/dc/elements/1.1/",
    "exif": "http://ns.adobe.com/exif/1.0/",
    "tiff": "http://ns.adobe.com/tiff/1.0/",
    "xmp": "http://ns.adobe.com/xap/1.0/",
}
_NEW = (
    '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>\n'
    '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    '</rdf:RDF></x:xmpmeta>\n<?xpacket end="w"?>'
)
_END = "</rdf:RDF>"
_ABOUT = re.compile(r"""rdf:about\s*=\s*("[^"<]*"|'[^'<]*')""")
#: Characters that XML 1.0 cannot contain.
_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class _Property(NamedTuple):
    """A property, and its container: "" for a simple text, else an RDF container of texts."""

    name: str
    container: str = ""


#: The property for each keyword of a PNG.
_OF_KEYWORDS = {
    "Title": _Property("dc:title", "Alt"),
    "Description": _Property("dc:description", "Alt"),
    "Copyright": _Property("dc:rights", "Alt"),
    "Author": _Property("dc:creator", "Seq"),
    "Source": _Property("dc:source"),
    "Software": _Property("xmp:CreatorTool"),
    "Creation Time": _Property("xmp:CreateDate"),
    "Comment": _Property("exif:UserComment", "Alt"),
}


def with_remarks(packet: bytes | None, remarks: Sequence[Text]) -> tuple[bytes | None, list[Text]]:
    """Add texts as properties.

    Parameters
    ----------
    packet : bytes, or None
        None: make a new one.
    remarks : sequence of Text

    Returns
    -------
    packet : bytes, or None
        None if there was none and no text has a property.
    left : list of Text
        Texts without a property, or whose property has another value.
    """
    properties: dict[str, str] = {}
    left = []
    text = _text_of(packet)
    remarks = _with_one_comment(remarks)
    for keyword in dict.fromkeys(remark.keyword for remark in remarks):
        values = [remark for remark in remarks if remark.keyword == keyword]
        written = _written(keyword, values)
        if written is None or text is None:
            left += values
        elif (name := _OF_KEYWORDS[keyword].name) in text:
            left += [remark for remark in values if not _is_value(remark.value, text)]
        else:
            properties[name] = written
    added = with_properties(packet, properties) if properties else packet
    return added, left


def _with_one_comment(remarks: Sequence[Text]) -> list[Text]:
    """Merge texts without a property, as ``keyword: value``, and comments into one comment."""
    known = [each for each in remarks if each.keyword in _OF_KEYWORDS and each.keyword != "Comment"]
    lines = [
        each.value if each.keyword == "Comment" else f"{each.keyword}: {each.value}"
        for each in remarks
        if each not in known
    ]
    return [*known, Text("Comment", "\n".join(lines))] if lines else known


def with_properties(packet: bytes | None, properties: Mapping[str, str]) -> bytes | None:
    """Add properties by prefixed names with values in XML; None if the packet cannot take them."""
    text = _text_of(packet)
    if text is None or not properties:
        return None
    at = text.rindex(_END)
    about = _ABOUT.search(text)
    prefixes = sorted({name.partition(":")[0] for name in properties})
    spaces = "".join(f' xmlns:{prefix}="{_NAMESPACES[prefix]}"' for prefix in prefixes)
    elements = "".join(f"<{name}>{value}</{name}>" for name, value in properties.items())
    subject = about[1] if about else '""'
    new = f"<rdf:Description rdf:about={subject}{spaces}>{elements}</rdf:Description>"
    return (text[:at] + new + text[at:]).encode()


def with_resolution(packet: bytes | None, resolution: tuple[float, float]) -> bytes | None:
    """Add dots per inch; None if the packet cannot take them or has other values."""
    if packet and b"tiff:XResolution" in packet:
        return None
    x, y = (f"{round(dots * 100)}/100" for dots in resolution)
    return with_properties(packet, {"tiff:XResolution": x, "tiff:YResolution": y, "tiff:ResolutionUnit": "2"})


def with_date(packet: bytes | None, date: str) -> bytes | None:
    """Add the time of the last change, as ISO 8601; None if the packet cannot take it or has another value."""
    if packet and b"xmp:ModifyDate" in packet:
        return None
    return with_properties(packet, {"xmp:ModifyDate": date})


def _text_of(packet: bytes | None) -> str | None:
    """Decode a packet that can be extended; an empty packet is replaced."""
    try:
        text = packet.decode() if packet else _NEW
    except UnicodeDecodeError:  # UTF-16 is allowed, but very rare
        return None
    if _END in text:
        return text
    return None if "rdf:Description" in text else _NEW


def _written(keyword: str, remarks: Sequence[Text]) -> str | None:
    """Return the values of a keyword as XML; None if XMP has no property for them."""
    field = _OF_KEYWORDS.get(keyword)
    if field is None or any(_FORBIDDEN.search(remark.value) for remark in remarks):
        return None
    if field.name == "xmp:CreateDate":
        return _date(remarks[0].value) if len(remarks) == 1 else None
    if not field.container:
        return _escaped(remarks[0].value) if len(remarks) == 1 else None
    items = []
    for number, remark in enumerate(remarks):
        language = remark.language if remark.language.replace("-", "").isalnum() else ""
        named = f' xml:lang="{language or "x-default"}"' if field.container == "Alt" else ""
        if field.container == "Alt" and number and not language:
            return None  # each alternative needs its own language
        items.append(f"<rdf:li{named}>{_escaped(remark.value)}</rdf:li>")
    return f"<rdf:{field.container}>{''.join(items)}</rdf:{field.container}>"


def _date(value: str) -> str | None:
    """Return a date as ISO 8601, from ISO 8601 or RFC 1123 (recommended by PNG)."""
    from datetime import datetime
    from email.utils import parsedate_to_datetime

    for parse in (datetime.fromisoformat, parsedate_to_datetime):
        try:
            return parse(value.strip()).isoformat()
        except (ValueError, TypeError):
            continue
    return None


def _is_value(value: str, packet: str) -> bool:
    """Whether some element or attribute has this value."""
    return any(f"{before}{_escaped(value)}{behind}" in packet for before, behind in ("><", '""', "''"))


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
