"""The command line: one module for each command; ``command.py``, ``options.py`` and ``values.py`` are shared."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Sequence
from typing import NoReturn

from convfilter.cli import prefetch, signals


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program.

    Parameters
    ----------
    arguments : sequence of str, optional
        Without the program's name; by default, those of the process.

    Returns
    -------
    int
        Exit status: 0 all done, 1 a file failed, 2 wrong usage, 128 + its number on a signal.
    """
    # Before any slow import: a signal must never show a traceback.
    signals.install()
    if not sys.warnoptions:
        warnings.simplefilter("ignore")
    try:
        words = sys.argv[1:] if arguments is None else list(arguments)
        prefetch.start(words)
        from convfilter.cli.root import run

        return run(words)
    except signals.Stopped as stop:
        return stop.status


def program() -> NoReturn:
    """Run the program in its own process, and exit.

    Two steps are skipped, each of which takes a tenth of a short run: the interpreter's orderly shutdown, and garbage
    collections during imports, which free nothing.
    """
    import atexit
    import gc
    import os

    gc.set_threshold(200_000)
    # NumPy's BLAS would start unused threads on import, which spin for 0.03 s of a core.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    if None in (sys.stdin, sys.stdout, sys.stderr):
        from convfilter.cli import standard_streams

        standard_streams.reserve()
    try:
        status = main()
        atexit._run_exitfuncs()
        if sys.stderr is not None:
            sys.stderr.flush()
    except signals.Stopped as stop:
        status = stop.status
    os._exit(status)
