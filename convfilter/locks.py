"""Locks that forks and signal handlers cannot deadlock, uninterrupted imports, and starting threads."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from functools import cache
from typing import Any, TypeVar

from convfilter.errors import ConvfilterError

Value = TypeVar("Value")


def shared_lock() -> threading.RLock:
    """Return a lock for the state of a module.

    A fork waits until no other thread holds the lock, so a child never inherits a locked lock. The lock is reentrant: a
    signal handler may run in the thread that holds it.
    """
    lock = threading.RLock()
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(before=lock.acquire, after_in_parent=lock.release, after_in_child=lock.release)
    return lock


def undisturbed(task: Callable[[], Value]) -> Value:
    """Run a task that is not reentrant, such as an import or a compilation.

    A signal handler of the host program may interrupt the main thread anywhere and request the same task. If the main
    thread has such a handler, the task runs in a thread of its own, which no handler interrupts.
    """
    if not handler_can_come():
        return task()
    values: list[Value] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            values.append(task())
        except BaseException as error:  # raised again in the waiting thread
            errors.append(error)

    thread = threading.Thread(target=run)
    start(thread)
    thread.join()
    if errors:
        raise errors.pop()
    return values.pop()


def import_before_handlers() -> None:
    """Import all modules that filtering may import lazily, if a signal handler can come.

    A handler that interrupts an import in its own thread finds the module half executed: Python's lock of a module is
    reentrant. So functions that a handler may call import nothing in the main thread after this call.
    """
    if handler_can_come():
        undisturbed(_import_lazy_modules)


@cache
def _import_lazy_modules() -> None:
    from importlib import import_module
    from pkgutil import walk_packages

    root = __name__.partition(".")[0]
    for name in ("filters", "planning", "methods", "engine", "executor"):
        package = import_module(f"{root}.{name}")
        for module in walk_packages(package.__path__, f"{package.__name__}."):
            import_module(module.name)


def handler_can_come() -> bool:
    """Whether this is the main thread, and has a signal handler that is neither Python's own nor this program's."""
    if "signal" not in sys.modules or threading.current_thread() is not threading.main_thread():
        return False
    # ``signal.getsignal`` converts each result to an enum member, which takes ten times as long.
    signals: Any = sys.modules["_signal"]
    default = signals.SIG_DFL  # of most of the 64 signals
    handlers = [each for each in map(signals.getsignal, range(1, signals.NSIG)) if each is not default]
    known = (signals.SIG_IGN, signals.default_int_handler, None)
    package = __name__.partition(".")[0]
    return any(
        handler not in known and str(getattr(handler, "__module__", "")).partition(".")[0] != package
        for handler in handlers
    )


def start(thread: threading.Thread) -> None:
    """Start a thread.

    Raises
    ------
    ConvfilterError
        The system starts no more threads: each takes address space, and counts as a process.
    """
    try:
        thread.start()
    except RuntimeError as error:
        raise ConvfilterError(
            "the system refuses to start another thread",
            remedy="allow more memory (ulimit -v) or processes (ulimit -u), or use {threads=1}",
        ) from error
