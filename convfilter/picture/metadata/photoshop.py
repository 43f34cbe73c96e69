"""Photoshop's image resources, which carry IPTC: taken apart as far as needed. Adobe Photoshop File Formats, 2019."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

IPTC = 0x0404
#: Small pictures of the whole, as it was before the filter.
_THUMBNAILS = (0x0409, 0x040C)
_SIGNATURE = b"8BIM"
#: Adobe's other programs sign with these.
_SIGNATURES = (_SIGNATURE, b"MeSa", b"AgHg", b"PHUT", b"DCSR")


class Resource(NamedTuple):
    """One image resource: its number, its content, and all its bytes in the block."""

    number: int
    data: bytes
    raw: bytes


def cleaned(resources: bytes | None) -> bytes | None:
    """Drop the thumbnails.

    Parameters
    ----------
    resources : bytes, or None

    Returns
    -------
    bytes, or None
        None if nothing is left.
    """
    return b"".join(each.raw for each in parsed(resources or b"") if each.number not in _THUMBNAILS) or None


def has_iptc(resources: bytes | None) -> bool:
    """Tell whether there are IPTC records among them."""
    return any(each.number == IPTC for each in parsed(resources or b""))


def has_thumbnail(resources: bytes | None) -> bool:
    """Tell whether there is a thumbnail among them."""
    return any(each.number in _THUMBNAILS for each in parsed(resources or b""))


def wrapped(iptc: bytes) -> bytes:
    """Make a resource of IPTC records, for a format that has no other place for them."""
    size = len(iptc).to_bytes(4, "big")
    return _SIGNATURE + IPTC.to_bytes(2, "big") + b"\0\0" + size + iptc + b"\0" * (len(iptc) & 1)


def parsed(resources: bytes) -> Iterator[Resource]:
    """Take a block of image resources apart; stops where the structure ends."""
    at = 0
    while resources[at : at + 4] in _SIGNATURES and at + 12 <= len(resources):
        number = int.from_bytes(resources[at + 4 : at + 6], "big")
        name = resources[at + 6] + 1
        size_at = at + 6 + name + (name & 1)
        size = int.from_bytes(resources[size_at : size_at + 4], "big")
        start, end = size_at + 4, size_at + 4 + size + (size & 1)
        if start + size > len(resources):
            return
        yield Resource(number, resources[start : start + size], resources[at:end])
        at = end
