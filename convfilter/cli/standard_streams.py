"""Standard streams that the shell has closed (``>&-``)."""

from __future__ import annotations

import errno
import io
import os
import sys
from typing import BinaryIO, NoReturn


class ClosedStream(io.TextIOBase):
    """A standard stream that is closed: its use is an error, where Python and click would print nothing.

    Parameters
    ----------
    name : str
        For messages.
    """

    def __init__(self, name: str) -> None:
        self.name = name

    def write(self, text: str, /) -> NoReturn:
        """Raise an OSError."""
        raise OSError(errno.EBADF, f"{self.name} is closed")

    @property
    def buffer(self) -> BinaryIO:
        """Raise an OSError."""
        raise OSError(errno.EBADF, f"{self.name} is closed")


def reserve() -> None:
    """Occupy the descriptors of closed streams, and make the use of standard input and output an error.

    The next file to be opened would get the lowest free number; libraries would then print into a picture. As GNU
    programs do, this opens the null device the wrong way round, so that no read and no write succeeds.
    """
    for descriptor, flags in enumerate((os.O_WRONLY, os.O_RDONLY, os.O_RDONLY)):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, flags)
    if sys.stdin is None:
        sys.stdin = ClosedStream("standard input")
    if sys.stdout is None:
        sys.stdout = ClosedStream("standard output")
