"""Add properties to XMP packets, which are edited as text, since the rest of a packet must not change.

XMP Specification, part 1 (ISO 16684-1:2019), and part 3 (Adobe, 2020): properties for keywords of PNG.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from convfilter.picture.metadata.metadata import Text
from convfilter.record import NamedTuple

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
#: Characters that XML 1.0 cannot contain. Compiling the complement of those that it can takes 6 ms, this 0.2 ms.
_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")


class _Property(NamedTuple):
    """A property by its prefixed name, and the RDF container of its texts: "Alt", "Seq", or "" for a single text."""

    name: str
    container: str = ""


#: The property for each keyword of a PNG.
_PROPERTIES = {
    "Title": _Property("dc:title", "Alt"),
    "Description": _Property("dc:description", "Alt"),
    "Copyright": _Property("dc:rights", "Alt"),
    "Author": _Property("dc:creator", "Seq"),
    "Source": _Property("dc:source"),
    "Software": _Property("xmp:CreatorTool"),
    "Creation Time": _Property("xmp:CreateDate"),
    "Comment": _Property("exif:UserComment", "Alt"),
}


def with_texts(packet: bytes | None, texts: Sequence[Text]) -> tuple[bytes | None, list[Text]]:
    """Add texts as properties.

    Parameters
    ----------
    packet : bytes, or None
        XMP packet; None: make a new one.
    texts : sequence of Text
        Texts without a property are merged into one comment, as ``keyword: value``.

    Returns
    -------
    packet : bytes, or None
        None if no packet was given and no text was added.
    left : list of Text
        Texts that were not added: XMP cannot hold them, or the packet has another value for the property.
    """
    properties: dict[str, str] = {}
    left = []
    xml = _xml_of(packet)
    texts = _with_one_comment(texts)
    for keyword in dict.fromkeys(text.keyword for text in texts):
        values = [text for text in texts if text.keyword == keyword]
        value = _value_of(keyword, values)
        if value is None or xml is None:
            left += values
        elif (name := _PROPERTIES[keyword].name) in xml:
            left += [text for text in values if not _has_value(xml, text.value)]
        else:
            properties[name] = value
    added = with_properties(packet, properties) if properties else packet
    return added, left


def _with_one_comment(texts: Sequence[Text]) -> list[Text]:
    """Merge comments, and texts without a property as ``keyword: value``, into one comment."""
    known = [each for each in texts if each.keyword in _PROPERTIES and each.keyword != "Comment"]
    lines = [
        each.value if each.keyword == "Comment" else f"{each.keyword}: {each.value}"
        for each in texts
        if each not in known
    ]
    return [*known, Text("Comment", "\n".join(lines))] if lines else known


def with_properties(packet: bytes | None, properties: Mapping[str, str]) -> bytes | None:
    """Add properties to a packet.

    Parameters
    ----------
    packet : bytes, or None
        XMP packet; None: make a new one.
    properties : mapping of str to str
        Values, as XML, by prefixed names such as "dc:title"; the prefixes are those of ``_NAMESPACES``.

    Returns
    -------
    bytes, or None
        None if the packet cannot be extended (:func:`_xml_of`), or if ``properties`` is empty.
    """
    xml = _xml_of(packet)
    if xml is None or not properties:
        return None
    at = xml.rindex(_END)
    about = _ABOUT.search(xml)
    prefixes = sorted({name.partition(":")[0] for name in properties})
    namespaces = "".join(f' xmlns:{prefix}="{_NAMESPACES[prefix]}"' for prefix in prefixes)
    elements = "".join(f"<{name}>{value}</{name}>" for name, value in properties.items())
    subject = about[1] if about else '""'
    new = f"<rdf:Description rdf:about={subject}{namespaces}>{elements}</rdf:Description>"
    return (xml[:at] + new + xml[at:]).encode()


def with_resolution(packet: bytes | None, resolution: tuple[float, float]) -> bytes | None:
    """Add the resolution in dots per inch, (x, y); None if the packet has one already or cannot be extended."""
    if packet and b"tiff:XResolution" in packet:
        return None
    x, y = (f"{round(dots * 100)}/100" for dots in resolution)
    return with_properties(packet, {"tiff:XResolution": x, "tiff:YResolution": y, "tiff:ResolutionUnit": "2"})


def with_date(packet: bytes | None, date: str) -> bytes | None:
    """Add the time of the last change, as ISO 8601; None if the packet has one already or cannot be extended."""
    if packet and b"xmp:ModifyDate" in packet:
        return None
    return with_properties(packet, {"xmp:ModifyDate": date})


def _xml_of(packet: bytes | None) -> str | None:
    """Return the XML of a packet, by default a new one; None if the packet cannot be extended."""
    try:
        xml = packet.decode() if packet else _NEW
    except UnicodeDecodeError:  # UTF-16 is allowed, but very rare
        return None
    if _END in xml:
        return xml
    return None if "rdf:Description" in xml else _NEW


def _value_of(keyword: str, texts: Sequence[Text]) -> str | None:
    """Return the texts of one keyword as the XML of its property; None if XMP cannot hold them."""
    prop = _PROPERTIES.get(keyword)
    if prop is None or any(_FORBIDDEN.search(text.value) for text in texts):
        return None
    if prop.name == "xmp:CreateDate":
        return _date(texts[0].value) if len(texts) == 1 else None
    if not prop.container:
        return _escaped(texts[0].value) if len(texts) == 1 else None
    items = []
    for number, text in enumerate(texts):
        language = text.language if text.language.replace("-", "").isalnum() else ""
        attribute = f' xml:lang="{language or "x-default"}"' if prop.container == "Alt" else ""
        if prop.container == "Alt" and number and not language:
            return None  # each alternative needs its own language
        items.append(f"<rdf:li{attribute}>{_escaped(text.value)}</rdf:li>")
    return f"<rdf:{prop.container}>{''.join(items)}</rdf:{prop.container}>"


def _date(value: str) -> str | None:
    """Convert a date from ISO 8601, or from RFC 1123 as PNG recommends, to ISO 8601; None for other texts."""
    from datetime import datetime
    from email.utils import parsedate_to_datetime

    for parse in (datetime.fromisoformat, parsedate_to_datetime):
        try:
            return parse(value.strip()).isoformat()
        except (ValueError, TypeError):
            continue
    return None


def _has_value(xml: str, value: str) -> bool:
    """Whether an element or an attribute has this value."""
    return any(f"{before}{_escaped(value)}{after}" in xml for before, after in ("><", '""', "''"))


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
