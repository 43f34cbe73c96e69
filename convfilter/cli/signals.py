"""Signals as exceptions, so that half-written files are cleaned up on the way out."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from types import FrameType

_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
#: Seconds after which an alarm ends the program where Python lost the exception in a callback.
_AT_ONCE_SECONDS = 0.001
#: Seconds that the program may take to clean up; an alarm ends it then.
_GRACE_SECONDS = 30.0


class Stopped(KeyboardInterrupt):
    """A signal asks the program to end; ``status`` is what a shell expects then."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.status = 128 + number


def install() -> None:
    """Turn the signals that end a program into `Stopped`; one that is ignored (nohup) stays ignored."""
    if sys.unraisablehook.__module__ != __name__:
        sys.unraisablehook = _quiet(sys.unraisablehook)
    for number in _ENDING:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _stop)


def _quiet(tell: Callable[[sys.UnraisableHookArgs], object]) -> Callable[[sys.UnraisableHookArgs], object]:
    """Make a hook that ends the program without a word where `Stopped` is lost in a callback; imports have such."""

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
    # The exception is lost where it is raised in a callback, such as the end of an object's life.
    signal.signal(signal.SIGALRM, lambda _alarm, frame: _stop_at_once(number, frame))
    signal.setitimer(signal.ITIMER_REAL, _GRACE_SECONDS)
    raise Stopped(number)


def _stop_at_once(number: int, _frame: FrameType | None) -> None:
    """Someone has asked twice: do not wait for threads, but leave no temporary file either."""
    atomic = sys.modules.get("convfilter.picture.place.atomic")
    if atomic is not None:
        atomic.discard_unfinished()
    os._exit(128 + number)
