"""The cache of executables between runs.

A thread that runs a plan takes the executable out of the cache, so that no two threads share its memory, and puts it
back after success; after an exception the executable is dropped.
"""

from __future__ import annotations

from collections.abc import Hashable
from contextlib import suppress

from convfilter.engine.executable import Executable


class Cache:
    """LRU cache of idle executables, the latest last.

    Threads and finalizers may change the cache at any time: each operation is atomic.
    """

    #: Most bytes of all executables together, and of one.
    most_bytes = 128 * 2**20
    most = 32

    def __init__(self) -> None:
        self._waiting: list[tuple[Hashable, object, Executable, int]] = []

    def __len__(self) -> int:
        """Return the number of idle executables."""
        return len(self._waiting)

    @property
    def nbytes(self) -> int:
        """Bytes of all idle executables."""
        return sum(entry[3] for entry in self._waiting.copy())

    def take(self, key: Hashable) -> Executable | None:
        """Remove and return an idle executable of this key, or None."""
        for entry in reversed(self._waiting.copy()):
            if entry[0] == key:
                with suppress(ValueError):  # another thread was faster
                    self._waiting.remove(entry)
                    return entry[2]
        return None

    def give_back(self, key: Hashable, alive: object, executable: Executable) -> None:
        """Add an executable; ``alive`` is the object that the key identifies."""
        size = executable.held_bytes()
        if size > self.most_bytes:
            return
        self._waiting.append((key, alive, executable, size))
        while len(self._waiting) > self.most or self.nbytes > self.most_bytes:
            with suppress(IndexError):
                del self._waiting[0]

    def forget(self) -> None:
        """Drop all executables."""
        self._waiting.clear()


executables = Cache()
