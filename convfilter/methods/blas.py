"""NumPy's BLAS, kept to one thread where each of our own threads multiplies matrices."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from typing import Any, NamedTuple

from convfilter.locks import shared_lock

#: How OpenBLAS calls its switch: as NumPy's wheels build it, and as distributions do.
_NAMES = ("scipy_openblas_{}_num_threads64_", "scipy_openblas_{}_num_threads", "openblas_{}_num_threads64_")
_PLAIN_NAME = "openblas_{}_num_threads"

_lock = shared_lock()
_users: list[int] = []


class _Switch(NamedTuple):
    get: Callable[[], int]
    set: Callable[[int], Any]


@contextmanager
def single_threaded() -> Iterator[None]:
    """Have BLAS use the thread that calls it, and no other.

    Small products are ten times as fast so, where OpenBLAS's threads and ours
    would wait for each other. Another BLAS than OpenBLAS stays as it is.
    """
    switch = _switch()
    if switch is None:
        yield
        return
    with _lock:
        _users.append(switch.get() if not _users else _users[0])
        switch.set(1)
    try:
        yield
    finally:
        with _lock:
            before = _users.pop()
            if not _users:
                switch.set(before)


@cache
def _switch() -> _Switch | None:
    """Find the switch among the libraries that this process has loaded."""
    with suppress(OSError):
        with open("/proc/self/maps") as maps:
            paths = {line.split(None, 5)[5].strip() for line in maps if "openblas" in line}
        for path in sorted(paths, key=lambda path: ("numpy" not in path, path)):  # others may bring their own
            with suppress(OSError):
                library = ctypes.CDLL(path)
                for name in (*_NAMES, _PLAIN_NAME):
                    if hasattr(library, name.format("set")) and hasattr(library, name.format("get")):
                        return _Switch(library[name.format("get")], library[name.format("set")])
    return None
