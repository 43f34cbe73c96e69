"""How a batch shares cores and memory among its pictures."""

from __future__ import annotations

import os
from typing import NamedTuple

from convfilter.picture.limits import available_memory

#: Input, result, and what decoder and encoder hold beside them: eight-bit colour needs about 4 bytes in each.
_BYTES_OF_A_PIXEL = 16
#: Pictures that need less than this run side by side unasked.
_SMALL_BYTES = 64 * 2**20


class Share(NamedTuple):
    """How the cores are shared: pictures at a time, and threads for each."""

    jobs: int
    threads: int


def share(files: int, jobs: int | None, threads: int | None, available: int) -> Share:
    """Share the cores among pictures; jobs times threads is never more than the cores.

    Parameters
    ----------
    files : int
        Pictures to be filtered.
    jobs, threads : int, or None
        As wished for; None: as many pictures as there are cores, and the rest as threads.
    available : int
        Cores.

    Returns
    -------
    Share

    Examples
    --------
    >>> share(100, None, None, 8), share(2, None, None, 8), share(100, None, 4, 8)
    (Share(jobs=8, threads=1), Share(jobs=2, threads=4), Share(jobs=2, threads=4))
    """
    wanted = jobs or available // min(threads or 1, available)
    count = max(1, min(wanted, available, files))
    most = max(1, available // count)
    return Share(count, min(threads or most, most))


def estimated_bytes(path: str, max_pixels: int) -> int:
    """Estimate from a picture's header the memory that filtering it takes; 0 where the header tells nothing.

    Parameters
    ----------
    path : str
    max_pixels : int
        A larger picture will be refused, and needs nothing.
    """
    import warnings

    if not os.path.isfile(path):  # opening a FIFO would wait for its writer, and take what it writes
        return 0
    from PIL import Image

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(path) as image:
                pixels = image.width * image.height
                deep = image.mode.startswith(("I", "F")) or image.format == "TIFF"
    except Exception:  # whatever is wrong with the file, the one who filters it will say so
        return 0
    return 0 if pixels > max_pixels else pixels * _BYTES_OF_A_PIXEL * (2 if deep else 1)


class Memory:
    """The memory that running jobs have been given."""

    def __init__(self) -> None:
        self._given: dict[str, int] = {}

    def admits(self, source: str, needed: int) -> bool:
        """Tell whether a picture may start beside those that run; one by itself always may."""
        if not self._given or needed < _SMALL_BYTES:
            return True
        # What the others were given counts in full, though they may hold some of it already.
        return needed + sum(self._given.values()) <= available_memory()

    def give(self, source: str, needed: int) -> None:
        """Note that a job has started."""
        self._given[source] = needed

    def take_back(self, source: str) -> None:
        """Note that it has ended."""
        self._given.pop(source, None)
