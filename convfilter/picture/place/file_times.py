"""The time of an input file, for an output that is to keep it."""

from __future__ import annotations

import os
import stat

from convfilter.errors import ReadError, UsageError, WriteError
from convfilter.picture.place.source import reason

Times = tuple[int, int]


def times_of(source: str, destination: str) -> Times:
    """Return when a file was read and changed last, in nanoseconds.

    Parameters
    ----------
    source : str
        A path, or "-" for a standard input that is a file.
    destination : str
        Must be a path too, of what is no pipe and no device.

    Raises
    ------
    UsageError
        Only a file has a time to keep.
    ReadError
        There is no such file.
    """
    try:
        status = None if "://" in source else os.fstat(0) if source == "-" else os.stat(source)
    except OSError as error:
        raise ReadError(reason(error)) from error
    special = os.path.exists(destination) and not os.path.isfile(destination)
    if status is None or not stat.S_ISREG(status.st_mode) or destination == "-" or "://" in destination or special:
        raise UsageError(
            f"only files have times to keep, got {source} and {destination}", remedy="leave out {keep_time=True}"
        )
    return status.st_atime_ns, status.st_mtime_ns


def set_times(destination: str, times: Times) -> None:
    """Give an output the times of its input.

    Raises
    ------
    WriteError
    """
    try:
        os.utime(destination, ns=times)
    except OSError as error:
        raise WriteError(f"its time cannot be set: {reason(error)}") from error
