"""The log file of updates: one JSON object on each line, in a folder that may belong to another user.

The log is opened without following links, and must be a regular file of this user with one name: a link would redirect
appended lines, and a pipe would block. Malformed lines are ignored.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any, BinaryIO

from convfilter.errors import WriteError
from convfilter.picture.place import atomic

NAME = ".convfilter_log"
#: A log with more lines for each output is compacted.
_LINES_AN_OUTPUT = 3
#: Longest line that the program writes: two names and some numbers. Longer lines are skipped.
_MOST_LINE_BYTES = 1 << 16
#: Largest number of bytes of the log that are read, enough for a million outputs.
_MOST_BYTES = 1 << 29
_FLAGS = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def read(folder: str) -> dict[str, dict[str, Any]]:
    """Return the last log entry of each output in a folder, by name; without a trusted log, no entries."""
    path = os.path.join(folder, NAME)
    entries: dict[str, dict[str, Any]] = {}
    lines = 0
    try:
        with os.fdopen(_opened(path, os.O_RDONLY), "rb") as file:
            for line in _lines(file):
                lines += 1
                with suppress(ValueError, KeyError, AttributeError, TypeError, RecursionError, MemoryError):
                    entry = json.loads(line)
                    entries[str(entry.pop("output"))] = entry
    except (OSError, WriteError):
        return {}
    if lines > _LINES_AN_OUTPUT * max(len(entries), 10):
        _rewrite(path, entries)
    return entries


def append(folder: str, output: str, entry: Mapping[str, Any]) -> None:
    """Append a line about an output.

    Raises
    ------
    WriteError
        The log cannot be written, or is not a regular file of this user; the message begins with its name.
    """
    path = os.path.join(folder, NAME)
    try:
        # One write of a short line with O_APPEND is atomic: lines of concurrent runs do not mix.
        descriptor = _opened(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        try:
            os.write(descriptor, _line(output, entry))
        finally:
            os.close(descriptor)
    except WriteError as error:
        raise WriteError(
            error.problem, subject=path, remedy="remove it, or {update=True} filters everything again"
        ) from error
    except OSError as error:
        raise WriteError(
            f"the log of outputs cannot be written: {(error.strerror or '').lower()}", subject=path
        ) from error


def _opened(path: str, flags: int) -> int:
    """Open the log and refuse it unless it is a regular file of this user with one name; the check is free of races."""
    try:
        descriptor = os.open(path, flags | _FLAGS, 0o666)
    except OSError as error:
        if os.path.lexists(path) and not stat.S_ISREG(os.lstat(path).st_mode):
            raise WriteError("the log of outputs must be a regular file, and this is a link or a pipe") from error
        raise
    status = os.fstat(descriptor)
    if stat.S_ISREG(status.st_mode) and status.st_uid == os.geteuid() and status.st_nlink <= 1:
        return descriptor
    os.close(descriptor)
    raise WriteError("the log of outputs must be a regular file of this user, with one name")


def _lines(file: BinaryIO) -> Iterator[bytes]:
    """Yield the lines of at most 64 KiB, and skip longer lines."""
    left, inside = _MOST_BYTES, False
    while left > 0 and (line := file.readline(_MOST_LINE_BYTES)):
        left -= len(line)
        whole = line.endswith(b"\n") or len(line) < _MOST_LINE_BYTES
        if whole and not inside:
            yield line
        inside = not whole


def _rewrite(path: str, entries: Mapping[str, Mapping[str, Any]]) -> None:
    """Compact the log atomically to one line for each output."""
    with suppress(OSError, WriteError), atomic.replacing(path, follow=False) as file:
        for name, entry in entries.items():
            file.write(_line(name, entry))


def _line(output: str, entry: Mapping[str, Any]) -> bytes:
    # The line end comes first, so that a truncated previous line does not corrupt this one.
    return ("\n" + json.dumps({"output": output, **entry})).encode()
