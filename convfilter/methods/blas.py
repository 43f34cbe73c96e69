"""Limit NumPy's BLAS to one thread while several of our threads multiply matrices."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from typing import Any

from convfilter.locks import shared_lock
from convfilter.record import NamedTuple

#: Names of OpenBLAS's functions for the number of threads, in NumPy's wheels and in distributions.
_NAMES = (
    "scipy_openblas_{}_num_threads64_",
    "scipy_openblas_{}_num_threads",
    "openblas_{}_num_threads64_",
    "openblas_{}_num_threads",
)

_lock = shared_lock()
#: The number of threads to restore after the last user, once for each current user.
_users: list[int] = []


class _ThreadCount(NamedTuple):
    """OpenBLAS's functions that read and set its number of threads."""

    get: Callable[[], int]
    set: Callable[[int], Any]


@contextmanager
def single_threaded() -> Iterator[None]:
    """Limit BLAS to the calling thread.

    Small products are then ten times as fast; otherwise OpenBLAS's threads and
    ours would wait for each other. Other BLAS libraries keep their threads.
    """
    thread_count = _thread_count()
    if thread_count is None:
        yield
        return
    with _lock:
        _users.append(thread_count.get() if not _users else _users[0])
        thread_count.set(1)
    try:
        yield
    finally:
        with _lock:
            before = _users.pop()
            if not _users:
                thread_count.set(before)


@cache
def _thread_count() -> _ThreadCount | None:
    """Return the functions of a library that this process has loaded, or None; NumPy's own copy comes first."""
    with suppress(OSError):
        with open("/proc/self/maps") as maps:
            paths = {line.split(None, 5)[5].strip() for line in maps if "openblas" in line}
        for path in sorted(paths, key=lambda path: ("numpy" not in path, path)):  # other packages may ship a copy
            with suppress(OSError):
                library = ctypes.CDLL(path)
                for name in _NAMES:
                    if hasattr(library, name.format("set")) and hasattr(library, name.format("get")):
                        return _ThreadCount(library[name.format("get")], library[name.format("set")])
    return None
