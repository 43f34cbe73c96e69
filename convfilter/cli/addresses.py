"""Addresses of files, ``file://...``, on a command line."""

from __future__ import annotations

from collections.abc import Iterable

from convfilter.errors import UsageError
from convfilter.picture.place.address import is_glob


def local_names(names: Iterable[str]) -> list[str]:
    """Convert file:// addresses to paths, and expand their globs.

    Raises
    ------
    UsageError
        A name is empty, as ``"$in"`` is without the variable.
    """
    paths: list[str] = []
    for name in names:
        if not name:
            raise UsageError("a file name is empty; check the variables of the shell")
        scheme, mark, path = name.partition("://")
        if mark and scheme.lower() in ("file", "local"):
            from glob import glob

            paths += (sorted(glob(path)) if is_glob(name) else []) or [path]
        else:
            paths.append(name)
    return paths
