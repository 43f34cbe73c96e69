"""Names on a command line that are addresses: globs in object stores, and files written as file://."""

from __future__ import annotations

from collections.abc import Iterable


def is_glob(name: str) -> bool:
    """Whether an address stands for all objects that match it; paths have been expanded by the shell."""
    return "://" in name and any(char in name for char in "*?[")


def local_names(names: Iterable[str]) -> list[str]:
    """Turn addresses of files into paths, and globs of them into what they match."""
    found: list[str] = []
    for name in names:
        scheme, mark, path = name.partition("://")
        if mark and scheme.lower() in ("file", "local"):
            from glob import glob

            found += (sorted(glob(path)) if is_glob(name) else []) or [path]
        else:
            found.append(name)
    return found
