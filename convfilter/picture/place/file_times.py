"""Copy the times of an input file to its output."""

from __future__ import annotations

import os
import stat

from convfilter.errors import ReadError, UsageError, WriteError
from convfilter.picture.place.address import is_address
from convfilter.picture.place.source import reason

Times = tuple[int, int]


def times_of(source: str, destination: str) -> Times:
    """Return the access and the modification time of a file, in nanoseconds since 1970.

    Parameters
    ----------
    source : str
        A path, or "-" for a standard input that is a file.
    destination : str
        Path of the output, which must be a regular file too if it exists.

    Returns
    -------
    (int, int)

    Raises
    ------
    UsageError
        The input or output is not a regular file.
    ReadError
        The file does not exist.
    """
    try:
        status = None if is_address(source) else os.fstat(0) if source == "-" else os.stat(source)
    except OSError as error:
        raise ReadError(reason(error)) from error
    special = os.path.exists(destination) and not os.path.isfile(destination)
    if status is None or not stat.S_ISREG(status.st_mode) or destination == "-" or is_address(destination) or special:
        raise UsageError(
            f"only files have times to keep, got {source} and {destination}", remedy="leave out {keep_time=True}"
        )
    return status.st_atime_ns, status.st_mtime_ns


def set_times(destination: str, times: Times) -> None:
    """Set the access and the modification time of an output, in nanoseconds since 1970.

    Raises
    ------
    WriteError
        The operating system refuses.
    """
    try:
        os.utime(destination, ns=times)
    except OSError as error:
        raise WriteError(f"its time cannot be set: {reason(error)}") from error
