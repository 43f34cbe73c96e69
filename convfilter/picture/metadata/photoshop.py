"""Parse Photoshop's image resources, which hold IPTC and thumbnails. Adobe Photoshop File Formats, 2019."""

from __future__ import annotations

from collections.abc import Iterator

from convfilter.record import NamedTuple

IPTC = 0x0404
#: Numbers of thumbnails, which show the unfiltered picture.
_THUMBNAILS = (0x0409, 0x040C)
_SIGNATURE = b"8BIM"
#: Signatures of resources, including those of Adobe's other programs.
_SIGNATURES = (_SIGNATURE, b"MeSa", b"AgHg", b"PHUT", b"DCSR")


class Resource(NamedTuple):
    """One image resource: its number, its content, and the bytes of the whole resource."""

    number: int
    data: bytes
    raw: bytes


def cleaned(resources: bytes | None) -> bytes | None:
    """Drop the thumbnails.

    Parameters
    ----------
    resources : bytes, or None
        A block of resources; it ends at the first malformed one.

    Returns
    -------
    bytes, or None
        None if no resource is left.
    """
    return b"".join(each.raw for each in parsed(resources or b"") if each.number not in _THUMBNAILS) or None


def has_iptc(resources: bytes | None) -> bool:
    """Whether the resources include IPTC records."""
    return any(each.number == IPTC for each in parsed(resources or b""))


def has_thumbnail(resources: bytes | None) -> bool:
    """Whether the resources include a thumbnail."""
    return any(each.number in _THUMBNAILS for each in parsed(resources or b""))


def wrapped(iptc: bytes) -> bytes:
    """Return IPTC records as a resource, for formats that have no other field for IPTC."""
    size = len(iptc).to_bytes(4, "big")
    return _SIGNATURE + IPTC.to_bytes(2, "big") + b"\0\0" + size + iptc + b"\0" * (len(iptc) & 1)


def parsed(resources: bytes) -> Iterator[Resource]:
    """Yield the image resources of a block, up to the first malformed one."""
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
