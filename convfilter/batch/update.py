"""Up-to-date checks: a log in the output folder records the recipe and the input of each output.

An update skips a picture if its input, its output and the recipe are the same as in the log. The recipe is a digest of
the filters with their weights, of every option that affects the result, and of the version of convfilter. Comparing
times alone, as make does, would miss a new sigma, an older file moved over the input, and an output that another
program has written.

A file counts as unchanged if its size, modification time, inode and inode time are equal. If only the inode or its time
differ (``cp -p`` over it, ``rsync -t``, a copy of the whole tree, chmod), or the clock of the file system is too
coarse, digests of the content are compared. Files beside the input that describe it, such as a world file, count too.

The log is the file ``.convfilter_log`` in each output folder, so it moves with the outputs; without the log, every
picture is filtered again. Every batch writes a log, unless told not to. A line is appended as soon as an output exists:
an interrupted run has logged its outputs, and several runs can share a folder.
"""

from __future__ import annotations

import hashlib
import os
import stat
import time
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from convfilter import __version__
from convfilter.batch import log_file
from convfilter.batch.search import Job
from convfilter.filters import stack
from convfilter.guide_pictures import with_guides
from convfilter.pipeline import Options, sidecars
from convfilter.pipeline.mask_file import MaskFile
from convfilter.record import NamedTuple, is_record

LOG_NAME = log_file.NAME
#: Fields of the options that do not affect the bytes of a result: threads, callbacks, names.
_WITHOUT_INFLUENCE = (
    "threads", "in_place", "plan", "explain", "before_writing", "look", "specs", "defaults", "name", "where_taken",
    "remark", "digests",
)  # fmt: skip
_SECOND = 10**9
#: Time resolution in nanoseconds of file systems that store whole seconds, some of them only even ones.
_COARSE = 2 * _SECOND
#: Time resolution in nanoseconds of other file systems: a tick of the kernel's clock, 10 ms.
_FINE = _SECOND // 100


def recipe(options: Options) -> str:
    """Return a digest of everything that determines an output besides its input.

    Parameters
    ----------
    options : Options
        Files with weights count by content, not by name.

    Returns
    -------
    str
        Hexadecimal digits.
    """
    digest = hashlib.sha256(__version__.encode())
    _feed(digest, with_guides(stack.stages(options.specs, **options.defaults), options.read))
    _feed(digest, options)
    return digest.hexdigest()[:32]


def _feed(digest: Any, value: object) -> None:
    """Add a value to a digest by content and type, without ambiguity."""
    digest.update(f"<{type(value).__name__}>".encode())
    if isinstance(value, np.ndarray):
        digest.update(f"{value.dtype.str}{value.shape}".encode() + np.ascontiguousarray(value).tobytes())
    elif isinstance(value, Options) or is_record(value):
        for name in value.__match_args__:
            if name not in _WITHOUT_INFLUENCE:
                digest.update(name.encode())
                _feed(digest, getattr(value, name))
    elif isinstance(value, MaskFile):
        _feed(digest, digest_of(value.path))
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
    """State of a file: size in bytes, modification time and inode time in nanoseconds, inode."""

    size: int
    time: int
    inode: int
    changed: int


def stamp_of(path: str) -> _Stamp | None:
    """Return the state of a regular file, or None."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    if not stat.S_ISREG(status.st_mode):
        return None
    return _Stamp(status.st_size, status.st_mtime_ns, status.st_ino, status.st_ctime_ns)


def digest_of(path: str) -> str | None:
    """Return a digest of a file's content, in hexadecimal; None if it is unreadable, a pipe or a device."""
    if stamp_of(path) is None:
        return None
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return None


class UpdateLog:
    """Decides which outputs are up to date.

    Parameters
    ----------
    recipe : str
        Result of `recipe`.
    sidecars : bool
        Whether an output depends on the files beside its input.
    """

    def __init__(self, recipe: str, *, sidecars: bool = True) -> None:
        self._recipe, self._has_sidecars = recipe, sidecars
        self._folders: dict[str, dict[str, dict[str, Any]]] = {}
        self._inputs: dict[Job, tuple[_Stamp | None, int]] = {}
        self._sidecars: dict[Job, dict[str, tuple[_Stamp, int]]] = {}
        self._touched: list[Job] = []

    def is_current(self, job: Job) -> bool:
        """Whether an output exists and filtering would not change it; also records the input's state."""
        self.remember([job])
        source = self._inputs[job][0]
        folder, name = os.path.split(job.destination)
        output = stamp_of(job.destination)
        entry = self._log(folder).get(name)
        if source is None or output is None or entry is None:
            return False
        if (entry.get("input"), entry.get("recipe")) != (os.path.realpath(job.source), self._recipe):
            return False
        states = [
            _state(path, stamp, entry.get(key), fine)
            for path, stamp, key, fine in ((job.source, source, "read", _FINE), (job.destination, output, "written", 0))
        ]
        states += self._sidecar_states(job, entry.get("sidecars", {}))
        if "changed" in states:
            return False
        if "touched" in states:
            self._touched.append(job)
        return True

    def remember(self, jobs: Iterable[Job]) -> None:
        """Record the inputs' states before they are read."""
        for job in jobs:
            self._inputs[job] = stamp_of(job.source), time.time_ns()
            self._sidecars[job] = self._sidecars_now(job)

    def _sidecars_now(self, job: Job) -> dict[str, tuple[_Stamp, int]]:
        """Return the state of each file beside an input, and the time, by name."""
        stamps = {path: stamp_of(path) for path in sidecars.names(job.source)} if self._has_sidecars else {}
        return {path: (stamp, time.time_ns()) for path, stamp in stamps.items() if stamp is not None}

    def _sidecar_states(self, job: Job, logged: Any) -> list[str]:
        """Compare the files beside an input with those in the log."""
        now = self._sidecars[job]
        if not isinstance(logged, dict) or {os.path.basename(path) for path in now} != set(logged):
            return ["changed"]
        return [_state(path, stamp, logged[os.path.basename(path)], _FINE) for path, (stamp, _) in now.items()]

    def refresh(self) -> None:
        """Update the log entries of files whose content was compared, so that the next run compares only their times.

        Raises
        ------
        WriteError
            The log cannot be written.
        """
        while self._touched:
            self.record(self._touched.pop())

    def record(self, job: Job, digests: tuple[str | None, str | None] | None = None) -> None:
        """Log an output that has just been written.

        Parameters
        ----------
        job : Job
        digests : pair of str or None, optional
            Digests of input and output; computed here by default.

        Raises
        ------
        WriteError
            The log cannot be written.
        """
        source, seen = self._inputs.get(job, (None, 0))
        if digests is None:
            digests = digest_of(job.source), digest_of(job.destination)
        output, now = stamp_of(job.destination), time.time_ns()
        if output is None:
            return
        # If the input has changed since, the digest may be that of other content than was filtered.
        read = digests[0] if source is not None and stamp_of(job.source) == source else None
        folder, name = os.path.split(job.destination)
        entry = {
            "input": os.path.realpath(job.source),
            "recipe": self._recipe,
            "read": _logged(source, seen, read),
            "written": _logged(output, now, digests[1]),
        }
        if beside := self._sidecars.get(job):
            entry["sidecars"] = {
                os.path.basename(path): _logged(stamp, seen, digest_of(path) if stamp_of(path) == stamp else None)
                for path, (stamp, seen) in beside.items()
            }
        log_file.append(folder, name, entry)

    def _log(self, folder: str) -> dict[str, dict[str, Any]]:
        if folder not in self._folders:
            self._folders[folder] = log_file.read(folder)
        return self._folders[folder]


def _logged(stamp: _Stamp | None, seen: int, digest: str | None) -> dict[str, Any] | None:
    return None if stamp is None else {"stamp": list(stamp), "seen": seen, "sha256": digest}


def _state(path: str, stamp: _Stamp, logged: Any, fine: int) -> str:
    """Compare a file with its log entry: "same", "touched" (other times, same content), or "changed".

    ``fine`` is the resolution of times in nanoseconds: two changes within it may have equal times.
    """
    try:
        before, seen, digest = _Stamp(*logged["stamp"]), int(logged["seen"]), logged["sha256"]
    except (TypeError, KeyError, ValueError):
        return "changed"
    if (stamp.size, stamp.time) != (before.size, before.time):
        return "changed"
    settling = _COARSE if stamp.time % _SECOND == 0 else fine
    if stamp == before and (stamp.time < seen - settling or stamp.time > seen + _COARSE):
        return "same"
    return "touched" if digest is not None and digest == digest_of(path) else "changed"
