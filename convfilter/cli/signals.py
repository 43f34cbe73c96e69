"""Signals as exceptions, so that half-written files are cleaned up on the way out."""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType

_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
#: Who has not ended by then did not hear the signal, and is ended.
_GRACE_SECONDS = 30.0


class Stopped(KeyboardInterrupt):
    """A signal asks the program to end; ``status`` is what a shell expects then."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.status = 128 + number


def install() -> None:
    """Turn the signals that end a program into `Stopped`; one that is ignored (nohup) stays ignored."""
    for number in _ENDING:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _stop)


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
    atomic = sys.modules.get("convfilter.picture.atomic")
    if atomic is not None:
        atomic.discard_unfinished()
    os._exit(128 + number)
