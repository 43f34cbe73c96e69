"""The progress line of a batch on a terminal."""

from __future__ import annotations

import os
import shutil
import sys
import time

from convfilter.cli.messages import is_coloured, printable_lines, say
from convfilter.errors import printable

_INTERVAL_SECONDS = 0.1
_CLEAR_LINE = "\r\x1b[K"
_RED, _PLAIN = "\x1b[31m", "\x1b[0m"


class Progress:
    """Shows files, megapixels per second, time left, and the last file that failed; a context manager.

    Parameters
    ----------
    files : int
        Number of files.
    wanted : bool, optional
        Whether to show the line; None: if stderr is a terminal with cursor movement.
    """

    def __init__(self, files: int, wanted: bool | None = None) -> None:
        self._files = files
        self._terminal = sys.stderr is not None and sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
        self._shown = (self._terminal and files > 1) if wanted is None else wanted and sys.stderr is not None
        self._coloured = self._terminal and is_coloured()
        self._start = time.monotonic()
        self._last = 0.0
        self._megapixels = 0.0
        self._failing = ""

    @property
    def interval_seconds(self) -> float | None:
        """Seconds between calls of `show`; None if it shows nothing."""
        return _INTERVAL_SECONDS if self._shown else None

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_unused: object) -> None:
        self._clear()
        self._shown = False

    def add(self, megapixels: float) -> None:
        """Count a finished picture."""
        self._megapixels += megapixels

    def show(self, done: int, failed: int) -> None:
        """Redraw the line a few times a second, or print one every ten seconds where it cannot be redrawn."""
        now = time.monotonic()
        interval = _INTERVAL_SECONDS if self._terminal else 100 * _INTERVAL_SECONDS
        if not self._shown or (now - self._last < interval and done + failed < self._files):
            return
        self._last = now
        text = self._line(done, failed, now - self._start)
        if not self._terminal:
            say(text)
            return
        width = shutil.get_terminal_size().columns - 1
        text = text[:width]
        red = self._coloured and failed
        self._write(f"{_CLEAR_LINE}{_RED if red else ''}{text}{_PLAIN if red else ''}")

    def _line(self, done: int, failed: int, seconds: float) -> str:
        finished = done + failed
        parts = [f"{finished}/{self._files}"]
        if self._megapixels and seconds:
            parts.append(f"{self._megapixels / seconds:.1f} MP/s")
        if finished:
            parts.append(f"{_clock(seconds / finished * (self._files - finished))} left")
        if failed:
            parts.append(f"{failed} failed: {printable(self._failing)}")
        return "  ".join(parts)

    def say(self, message: str, failed: str = "") -> None:
        """Print a message in place of the line; ``failed`` is the file that failed, if the message is an error."""
        self._failing = failed or self._failing
        self._clear()
        say(message, "error" if failed else "note")

    def print(self, text: str) -> None:
        """Print text of several lines."""
        self._clear()
        self._write(printable_lines(text))

    def _clear(self) -> None:
        if self._shown and self._terminal:
            self._write(_CLEAR_LINE)

    def _write(self, text: str) -> None:
        try:
            if sys.stderr is not None:
                sys.stderr.write(text)
                sys.stderr.flush()
        except (OSError, ValueError):
            pass


def _clock(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
