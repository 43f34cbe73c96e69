"""Limit NumPy's BLAS to one thread while several of our threads multiply matrices."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from typing import Any, NamedTuple

from convfilter.locks import shared_lock

#: Names of OpenBLAS's functions for the number of threads, in NumPy's wheels and in distributions.
_NAMES = ("scipy_openblas_{}_num_threads64_", "scipy_openblas_{}_num_threads", "openblas_{}_num_threads64_")
_PLAIN_NAME = "openblas_{}_num_threads"

_lock = shared_lock()
_users: list[int] = []


class _Switch(NamedTuple):
    get: Callable[[], int]
    set: Callable[[int], Any]


@contextmanager
def single_threaded() -> Iterator[None]:
    """Limit BLAS to the calling thread.

    Small products are then ten times as fast; otherwise OpenBLAS's threads and
    ours would wait for each other. Other BLAS libraries are left alone.
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
    """Find the functions among the libraries that this process has loaded."""
    with suppress(OSError):
        with open("/proc/self/maps") as maps:
            paths = {line.split(None, 5)[5].strip() for line in maps if "openblas" in line}
        for path in sorted(paths, key=lambda path: ("numpy" not in path, path)):  # others may ship a copy
            with suppress(OSError):
                library = ctypes.CDLL(path)
                for name in (*_NAMES, _PLAIN_NAME):
                    if hasattr(library, name.format("set")) and hasattr(library, name.format("get")):
                        return _Switch(library[name.format("get")], library[name.format("set")])
    return None
