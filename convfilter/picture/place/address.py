"""Tell addresses of object stores from paths."""

from __future__ import annotations


def is_address(name: str) -> bool:
    """Whether a name is an address, ``scheme://...``, rather than a path or "-"."""
    scheme, mark, _ = name.partition("://")
    return bool(mark) and scheme.isalnum()
