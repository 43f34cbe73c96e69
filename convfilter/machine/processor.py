"""The processor: what decides which machine code it runs.

Linux tells it in a file; elsewhere LLVM does, which takes 40 ms to load.
"""

from __future__ import annotations

import os
from contextlib import suppress
from functools import cache

CPUINFO = "/proc/cpuinfo"
_INFO_BYTES = 8192
#: Lines that name the model and its instructions: those of x86-64, and of ARM.
_DECISIVE = (
    *(b"vendor_id", b"cpu family", b"model", b"stepping", b"flags"),
    *(b"CPU implementer", b"CPU architecture", b"CPU variant", b"CPU part", b"Features"),
)


def description() -> str:
    """Return the model and the instructions of the processor, and the system's kind of program."""
    told = _told()
    if told:
        return repr((os.uname().sysname, os.uname().machine, *told))
    import llvmlite.binding as llvm

    return repr((llvm.get_default_triple(), llvm.get_host_cpu_name(), llvm.get_host_cpu_features().flatten()))


@cache
def has_avx512() -> bool:
    """Whether the processor has vectors of 64 bytes, and all operations on shorter ones that AVX-512VL adds."""
    told = _told()
    if told:
        return any(b"avx512vl" in line.split() for line in told)
    import llvmlite.binding as llvm

    return bool(llvm.get_host_cpu_features().get("avx512vl"))


def _told() -> list[bytes]:
    """Return what Linux tells of the first core; the kernel would ask each further one for its frequency."""
    with suppress(OSError), open(CPUINFO, "rb", buffering=0) as file:
        first, _, _ = file.read(_INFO_BYTES).partition(b"\n\n")
        return [line for line in first.splitlines() if line.split(b":")[0].strip() in _DECISIVE]
    return []
