"""Addresses of files, ``file://...``, on a command line."""

from __future__ import annotations

from collections.abc import Iterable

from convfilter.picture.place.address import is_glob


def local_names(names: Iterable[str]) -> list[str]:
    """Convert file:// addresses to paths, and expand their globs."""
    paths: list[str] = []
    for name in names:
        scheme, mark, path = name.partition("://")
        if mark and scheme.lower() in ("file", "local"):
            from glob import glob

            paths += (sorted(glob(path)) if is_glob(name) else []) or [path]
        else:
            paths.append(name)
    return paths
