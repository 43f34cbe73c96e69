"""The note that loops are compiled, once for each machine, and the process that compiles further loops ahead."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from convfilter.cli.messages import say
from convfilter.native import code_cache, object_code

#: "no" disables compiling ahead.
AHEAD_VARIABLE = "CONVFILTER_COMPILE_AHEAD"
_LOWEST_PRIORITY = 19
_is_first = False


def notice(text: str, tell: Callable[[str], None] = say) -> None:
    """Forward a note about compiling; the note that compiling begins is forwarded only once on a machine."""
    global _is_first
    if text == object_code.COMPILING:
        if not object_code.is_first_time():
            return
        _is_first = True
    tell(text)


def compile_ahead() -> None:
    """After the first run that compiled a loop, start a process that compiles the loops of other everyday filters.

    The process has the lowest priority, and outlives this one, as Git's housekeeping does.
    """
    global _is_first
    is_first, _is_first = _is_first, False
    if not is_first or os.environ.get(AHEAD_VARIABLE) == "no":
        return
    import subprocess
    import sys
    from contextlib import suppress

    # -P: modules in the working folder must not shadow the program's.
    command = [sys.executable, "-P", "-m", "convfilter", "cache", "warm", "--everyday"]
    nothing = subprocess.DEVNULL
    streams: dict[str, Any] = {"stdin": nothing, "stdout": nothing, "stderr": nothing}
    environment = {**os.environ, "CONVFILTER_CACHE_DIR": os.path.abspath(code_cache.path())}
    with suppress(OSError):
        child = subprocess.Popen(command, **streams, cwd="/", env=environment, start_new_session=True)
        os.setpriority(os.PRIO_PROCESS, child.pid, _LOWEST_PRIORITY)
