"""Tell addresses of object stores from paths."""

from __future__ import annotations


def is_address(name: str) -> bool:
    """Whether a name is an address, ``scheme://...``, rather than a path or "-"."""
    scheme, mark, _ = name.partition("://")
    return bool(mark) and scheme.isalnum()


def is_glob(name: str) -> bool:
    """Whether a name is an address with wildcards; the shell has expanded wildcards in paths."""
    return is_address(name) and any(char in name for char in "*?[")
