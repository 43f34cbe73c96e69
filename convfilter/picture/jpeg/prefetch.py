"""Decode a JPEG in a thread before the reader asks for it, while the program still imports modules."""

from __future__ import annotations

import os
import stat
import threading
from contextlib import suppress

from convfilter.errors import ConvfilterError
from convfilter.locks import start as start_thread
from convfilter.picture.jpeg import decoder
from convfilter.picture.jpeg.layout import layout_of
from convfilter.picture.pixels import Pixels

#: Most samples of a picture that is prefetched. Larger pictures may be decoded in bands (``rows.py``), or be refused.
MOST_SAMPLES = 1 << 26
#: Bytes at the start of the file that are searched for the size of the picture.
_HEAD_BYTES = 1 << 18


class _Prefetched:
    """A file that a thread decodes."""

    def __init__(self, path: str) -> None:
        self._path = path
        self.is_taken = False
        self._decoded: tuple[bytes, Pixels] | None = None
        self._thread = threading.Thread(target=self._decode, daemon=True)
        start_thread(self._thread)

    def taken(self, data: bytes) -> Pixels | None:
        """Return the samples, once, if the decoded file has this content; else None."""
        self.is_taken = True
        self._thread.join()
        decoded, self._decoded = self._decoded, None
        return decoded[1] if decoded is not None and decoded[0] == data else None

    def wait(self) -> None:
        """Wait until the thread has ended."""
        self._thread.join()

    def _decode(self) -> None:
        with suppress(Exception):  # the reader decodes the file again and reports its damage
            if not stat.S_ISREG(os.stat(self._path).st_mode):
                return
            with open(self._path, "rb", buffering=0) as file:
                layout = layout_of(file.read(_HEAD_BYTES))
                if layout is None or layout.components not in (1, 3):
                    return
                if layout.width * layout.height * layout.components > MOST_SAMPLES:
                    return
                file.seek(0)  # reading the head again takes less time than joining it with the rest
                data = file.read()
            self._decoded = data, decoder.decode(data)


_prefetched: _Prefetched | None = None


def start(path: str) -> None:
    """Import the decoder, and begin to decode a file.

    The reader still checks whether the file may be read and whether it is damaged: it takes the samples only if it
    would decode the same bytes.
    """
    global _prefetched
    with suppress(ImportError, ConvfilterError):  # no decoder, or no threads
        import imagecodecs

        imagecodecs.jpeg8_decode  # noqa: B018 - imports the codec in this thread: two importing threads delay each other
        _prefetched = _Prefetched(path)


def is_running() -> bool:
    """Whether a file has been prefetched, or is being decoded, and its samples are not taken yet."""
    return _prefetched is not None and not _prefetched.is_taken


def taken(data: bytes) -> Pixels | None:
    """Return the prefetched samples of the grey or RGB file with this content, once decoded; None without such."""
    return None if _prefetched is None else _prefetched.taken(data)


def _wait() -> None:
    if _prefetched is not None:
        _prefetched.wait()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_wait)  # a child would inherit locks that the thread holds
