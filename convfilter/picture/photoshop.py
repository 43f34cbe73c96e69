"""Photoshop's image resources, which carry IPTC: taken apart as far as needed. Adobe Photoshop File Formats, 2019."""

from __future__ import annotations

from collections.abc import Iterator

_IPTC = 0x0404
#: Small pictures of the whole, as it was before the filter.
_THUMBNAILS = (0x0409, 0x040C)
_SIGNATURE = b"8BIM"


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
    return b"".join(raw for number, raw in _split(resources or b"") if number not in _THUMBNAILS) or None


def wrapped(iptc: bytes) -> bytes:
    """Make a resource of IPTC records, for a format that has no other place for them."""
    size = len(iptc).to_bytes(4, "big")
    return _SIGNATURE + _IPTC.to_bytes(2, "big") + b"\0\0" + size + iptc + b"\0" * (len(iptc) & 1)


def _split(resources: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield (number, whole resource); stops where the structure ends."""
    at = 0
    while resources[at : at + 4] == _SIGNATURE and at + 12 <= len(resources):
        number = int.from_bytes(resources[at + 4 : at + 6], "big")
        name = resources[at + 6] + 1
        size_at = at + 6 + name + (name & 1)
        size = int.from_bytes(resources[size_at : size_at + 4], "big")
        end = size_at + 4 + size + (size & 1)
        if size_at + 4 + size > len(resources):
            return
        yield number, resources[at:end]
        at = end
