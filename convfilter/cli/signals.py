"""Signals as exceptions, so that half-written files are cleaned up on the way out."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from types import FrameType

_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
#: Seconds until an alarm ends the program, if Python has discarded the exception in a callback.
_AT_ONCE_SECONDS = 0.001
#: Seconds for cleaning up, after which an alarm ends the program.
_GRACE_SECONDS = 30.0


class Stopped(KeyboardInterrupt):
    """Raised by a signal that ends the program; ``status`` is the exit status."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.status = 128 + number


def install() -> None:
    """Convert the signals that end a program to `Stopped`; an ignored signal (nohup) stays ignored."""
    if sys.unraisablehook.__module__ != __name__:
        sys.unraisablehook = _quiet(sys.unraisablehook)
    for number in _ENDING:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _stop)


def _quiet(tell: Callable[[sys.UnraisableHookArgs], object]) -> Callable[[sys.UnraisableHookArgs], object]:
    """Make a hook that ends the program quietly if Python discards `Stopped` in a callback, as during imports."""

    def hook(lost: sys.UnraisableHookArgs) -> None:
        if isinstance(lost.exc_value, Stopped):
            signal.setitimer(signal.ITIMER_REAL, _AT_ONCE_SECONDS)
        else:
            tell(lost)

    return hook


def _stop(number: int, _frame: FrameType | None) -> None:
    for other in _ENDING:
        if signal.getsignal(other) is not signal.SIG_IGN:
            signal.signal(other, _stop_at_once)
    # Python discards an exception raised in a callback, such as a finalizer.
    signal.signal(signal.SIGALRM, lambda _alarm, frame: _stop_at_once(number, frame))
    signal.setitimer(signal.ITIMER_REAL, _GRACE_SECONDS)
    raise Stopped(number)


def _stop_at_once(number: int, _frame: FrameType | None) -> None:
    """Exit after a second signal: do not wait for threads, but remove temporary files."""
    atomic = sys.modules.get("convfilter.picture.place.atomic")
    if atomic is not None:
        atomic.discard_unfinished()
    os._exit(128 + number)
