"""What need not be done again: a log beside the outputs of what each was made from, and how.

``--update`` skips an output that the log knows, if nothing has changed since:
the input (size and time), the output itself (size and time), and the recipe: a
digest of the filters with their weights, of every option that has an
influence, and of the version of convfilter. Times alone, as make compares
them, would miss a new sigma, an older file moved over the input, and an output
that something else has written.

The log is the file ``.convfilter_log`` in each folder of outputs, so that it
travels with them; without it everything is done once more. A line is appended
when an output is there, so that a run that is stopped has logged what it has
done, and several runs can share a folder.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import fields, is_dataclass
from typing import Any, NamedTuple

import numpy as np

from convfilter import __version__
from convfilter.batch.inputs import Job
from convfilter.errors import WriteError
from convfilter.filters import stack
from convfilter.picture import atomic
from convfilter.pipeline import Options

LOG_NAME = ".convfilter_log"
#: A log with more lines than this for each output is written anew.
_LINES_AN_OUTPUT = 3
#: Who does the work, how fast, and who looks on, does not show in the result.
_WITHOUT_INFLUENCE = (
    "threads", "in_place", "plan", "explain", "before_writing", "look", "specs", "defaults", "name", "where_taken",
)  # fmt: skip


def recipe(options: Options) -> str:
    """Return a digest of all that decides how an output follows from an input.

    Parameters
    ----------
    options : Options
        The weights of its filters count, not the files they come from.

    Returns
    -------
    str
        Hexadecimal.
    """
    digest = hashlib.sha256(__version__.encode())
    _feed(digest, stack.stages(options.specs, **options.defaults))
    _feed(digest, options)
    return digest.hexdigest()[:32]


def _feed(digest: Any, value: object) -> None:
    """Take in a value by its content, and by its type, so that no two values look alike."""
    digest.update(f"<{type(value).__name__}>".encode())
    if isinstance(value, np.ndarray):
        digest.update(f"{value.dtype.str}{value.shape}".encode() + np.ascontiguousarray(value).tobytes())
    elif is_dataclass(value) and not isinstance(value, type):
        for field in fields(value):
            if field.name not in _WITHOUT_INFLUENCE:
                digest.update(field.name.encode())
                _feed(digest, getattr(value, field.name))
    elif isinstance(value, Options):
        for name, item in value._asdict().items():
            if name not in _WITHOUT_INFLUENCE:
                digest.update(name.encode())
                _feed(digest, item)
    elif isinstance(value, tuple | list):
        for item in value:
            _feed(digest, item)
    elif isinstance(value, Mapping):
        for key in sorted(value):
            _feed(digest, key)
            _feed(digest, value[key])
    else:
        digest.update(repr(value).encode())


class _Stamp(NamedTuple):
    """Size in bytes and time of the last change in nanoseconds."""

    size: int
    time: int


def _stamp(path: str) -> _Stamp | None:
    try:
        status = os.stat(path)
    except OSError:
        return None
    return _Stamp(status.st_size, status.st_mtime_ns)


class UpdateLog:
    """Which outputs are up to date.

    Parameters
    ----------
    recipe : str
        As `recipe` returns it.
    """

    def __init__(self, recipe: str) -> None:
        self._recipe = recipe
        self._folders: dict[str, dict[str, Any]] = {}
        self._inputs: dict[Job, _Stamp | None] = {}

    def is_current(self, job: Job) -> bool:
        """Tell whether an output is there, and would come out the same; remembers the input as it is now."""
        source = self._inputs[job] = _stamp(job.source)
        folder, name = os.path.split(job.destination)
        output = _stamp(job.destination)
        return source is not None and output is not None and self._log(folder).get(name) == self._entry(job, output)

    def record(self, job: Job) -> None:
        """Log an output that has just been written.

        Raises
        ------
        WriteError
            The log cannot be written.
        """
        folder, name = os.path.split(job.destination)
        output = _stamp(job.destination)
        if output is None:
            return
        # The line end comes first: a line before it that was cut short does not take this one with it.
        line = "\n" + json.dumps({"output": name, **self._entry(job, output)})
        path = os.path.join(folder, LOG_NAME)
        try:
            # One write of one short line to a file opened for appending: lines of several runs do not mix.
            descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o666)
            try:
                os.write(descriptor, line.encode())
            finally:
                os.close(descriptor)
        except OSError as error:
            raise WriteError(f"the log of --update cannot be written: {(error.strerror or '').lower()}") from error

    def _entry(self, job: Job, output: _Stamp) -> dict[str, Any]:
        source = self._inputs.get(job)
        return {
            "input": os.path.realpath(job.source),
            "read": list(source) if source else None,
            "recipe": self._recipe,
            "written": list(output),
        }

    def _log(self, folder: str) -> dict[str, Any]:
        if folder not in self._folders:
            self._folders[folder] = _entries(os.path.join(folder, LOG_NAME))
        return self._folders[folder]


def _entries(path: str) -> dict[str, Any]:
    """Read a log, the last line of an output counting; a line that was cut short counts for nothing."""
    entries: dict[str, Any] = {}
    lines = 0
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            for line in file:
                lines += 1
                with suppress(ValueError, KeyError, AttributeError, TypeError):
                    entry = json.loads(line)
                    entries[entry.pop("output")] = entry
    except OSError:
        return {}
    if lines > _LINES_AN_OUTPUT * max(len(entries), 10):
        with suppress(OSError), atomic.replacing(path) as file:
            for name, entry in entries.items():
                file.write(("\n" + json.dumps({"output": name, **entry})).encode())
    return entries
