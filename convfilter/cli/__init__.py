"""What a person types: one file per command; ``command.py``, ``options.py`` and ``values.py`` are what they share."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Sequence
from typing import NoReturn

from convfilter.cli import signals


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
    # Before anything that takes time is loaded: a signal must not show a traceback even now.
    signals.install()
    if not sys.warnoptions:
        warnings.simplefilter("ignore")
    try:
        from convfilter.cli.root import run

        return run(sys.argv[1:] if arguments is None else list(arguments))
    except signals.Stopped as stop:
        return stop.status


def program() -> NoReturn:
    """Run the program as a process of its own, and end it.

    Taking the interpreter down piece by piece takes a tenth of a short run,
    and looking for garbage while modules are loaded, when there is none,
    as much: both are left out.
    """
    import atexit
    import gc
    import os

    gc.set_threshold(200_000)
    # Threads that NumPy's BLAS starts when it is loaded, and that nothing here uses, spin for 0.03 s of a core.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    try:
        status = main()
        atexit._run_exitfuncs()
        if sys.stderr is not None:
            sys.stderr.flush()
    except signals.Stopped as stop:
        status = stop.status
    os._exit(status)
