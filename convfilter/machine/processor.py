"""The model of the processor and its instructions, which decide what machine code it can run.

On Linux they come from a file; on other systems from LLVM, which takes 40 ms to load.
"""

from __future__ import annotations

import os
from contextlib import suppress
from functools import cache

CPUINFO = "/proc/cpuinfo"
_INFO_BYTES = 8192
#: Fields of the file that name the model and its instructions, on x86-64 and on ARM.
_FIELDS = (
    *(b"vendor_id", b"cpu family", b"model", b"stepping", b"flags"),
    *(b"CPU implementer", b"CPU architecture", b"CPU variant", b"CPU part", b"Features"),
)


def description() -> str:
    """Return a text of the system, the processor's model and its instructions, which identifies machine code."""
    lines = _lines(CPUINFO)
    if lines:
        return repr((os.uname().sysname, os.uname().machine, *lines))
    import llvmlite.binding as llvm

    return repr((llvm.get_default_triple(), llvm.get_host_cpu_name(), llvm.get_host_cpu_features().flatten()))


@cache
def has_avx512() -> bool:
    """Whether the processor has vectors of 64 bytes, and all operations on shorter ones that AVX-512VL adds."""
    lines = _lines(CPUINFO)
    if lines:
        return any(b"avx512vl" in line.split() for line in lines)
    import llvmlite.binding as llvm

    return bool(llvm.get_host_cpu_features().get("avx512vl"))


@cache
def _lines(path: str) -> list[bytes]:
    """Return the lines of Linux's file that describe the first core; none on other systems.

    Only the start of the file is read: the kernel would ask each further core for its frequency.
    """
    with suppress(OSError), open(path, "rb", buffering=0) as file:
        first, _, _ = file.read(_INFO_BYTES).partition(b"\n\n")
        return [line for line in first.splitlines() if line.split(b":")[0].strip() in _FIELDS]
    return []
