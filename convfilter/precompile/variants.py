"""Compile all loops for all sample types that the engine uses them with, for ``cache warm``."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from functools import partial
from itertools import product

import numpy as np
import numpy.typing as npt

from convfilter.engine import epilogue, load, masked, program, store, sums
from convfilter.executor import ignored, mask_windows, masked_box, patches
from convfilter.machine.cores import available_cores
from convfilter.methods import (
    bilateral,
    box,
    canny,
    canny_smoothing,
    extremes,
    guided_lines,
    horizontal,
    interleaved,
    medians,
    morphology,
    multirate,
    pointwise,
    rank,
    rank_columns,
    rank_network,
    rank_sliding,
    rank_tiles,
    row_sums,
)
from convfilter.native import object_code
from convfilter.native.loop import Loop
from convfilter.picture import png_filters
from convfilter.picture.jpeg import codes
from convfilter.sample_types import SAMPLE_TYPES, is_integer, is_wide

_SAMPLES = tuple(np.dtype(name).type for name in SAMPLE_TYPES)
#: Types of each letter in the signature of a loop.
_TYPES: dict[str, tuple[type[np.generic], ...]] = {
    "S": _SAMPLES,
    "A": (np.float32, np.float64),
    "X": (np.uint8, np.uint16, np.float32, np.float64),  # samples that extremes compare, stored or loaded
    "V": (np.uint8, np.uint16, np.float32, np.float64),  # values that are stored: sums, or extremes in their own type
    "R": (np.float32, np.float64),
    "B": (np.uint8,),
    "K": (np.uint8, np.uint16, np.uint32),  # samples as integer keys in the same order
    "M": (np.uint8, np.uint16, np.int32, np.int64),  # such keys, also of float64 samples, or the bits of samples
    "D": (np.float64,),
    "N": (np.int32, np.int64),  # counts of samples, or sums of their weights
    "T": _SAMPLES,
    "W": (np.uint16, np.int32, np.int64),  # sums of integers, with the number of their pixels
}


def all_variants() -> Iterator[tuple[Loop, dict[str, npt.DTypeLike]]]:
    """Yield each loop with each combination of types that can occur."""
    loops = [
        value
        for module in (
            load,
            masked,
            sums,
            horizontal,
            row_sums,
            interleaved,
            box,
            extremes,
            bilateral,
            canny,
            canny_smoothing,
            guided_lines,
            ignored,
            mask_windows,
            masked_box,
            medians,
            morphology,
            multirate,
            patches,
            pointwise,
            rank,
            rank_columns,
            rank_network,
            rank_sliding,
            rank_tiles,
            epilogue,
            store,
            png_filters,
            codes,
            program,
        )
        for value in vars(module).values()
        if isinstance(value, Loop)
    ]
    for loop in dict.fromkeys(loops):
        for chosen in product(*(_TYPES[letter] for letter in loop.letters)):
            types: dict[str, npt.DTypeLike] = dict(zip(loop.letters, chosen, strict=True))
            if can_occur(loop, types):
                yield loop, types


def can_occur(loop: Loop, types: dict[str, npt.DTypeLike]) -> bool:
    """Whether the engine ever uses this combination of types."""
    if loop in (store.STORE_MASKED, store.STORE_QUOTIENTS):
        return types["A"] == np.float32 and types["T"] in (np.uint8, np.uint16)
    if loop.function in ("split_mask", "copy_filled"):
        return types["M"] in (np.uint8, np.uint16)
    if loop.module == "mask":
        return True
    if loop is epilogue.DIVIDE_COUNTED:
        return types["A"] == np.float32
    if loop.module == "masked_box":
        return tuple(types[letter] for letter in "SWR") in masked_box.TYPES
    if any(is_wide(types.get(letter, np.uint8)) for letter in "ST"):
        return _wide_can_occur(loop, types)
    if loop is store.STORE_INTEGERS:
        return False
    if loop is interleaved.CORRELATE_EIGHT and types["S"] == types["A"] == np.float32:
        return True  # the pass along the rows, whose sums are divided by a mask
    # Lane-interleaved samples are integers, and are summed in float32.
    if loop.module in ("correlate_eight", "interleave") or loop in (load.COPY, load.COPY_MASKED, load.COPY_FILLED):
        return types.get("A", np.float32) == np.float32 and np.float32 not in (types.get("S"), types.get("T"))
    real_target = types.get("T") == np.float32
    if loop.function in ("store_whole", "correlate_stored", "correlate_four_stored") and real_target:
        return False
    if loop.function == "store_real" and not real_target:
        return False
    if loop.function in ("mean_rows_wide", "sum_rows", "look_up"):
        return types.get("S") != np.float32
    if loop.function == "sums" and types["A"] == np.float32:
        return False  # sums of that many terms need float64
    if loop.function == "clip_real" and not real_target:
        return False
    return types.get("R") != np.float32 or types.get("V", np.float32) == np.float32


def _wide_can_occur(loop: Loop, types: dict[str, npt.DTypeLike]) -> bool:
    """Whether the engine uses a loop with these wide samples: only loops that load or store; others use float64."""
    in_double = all(types.get(letter, np.float64) == np.float64 for letter in "AVR")
    if loop is store.STORE_INTEGERS:
        return in_double and is_integer(types["T"])
    if loop in (store.STORE_REAL, store.CLIP_REAL):
        return in_double and types["T"] == np.float64
    return in_double and loop in (load.LOAD, load.LOAD_MASKED, load.LOAD_FILLED, store.STORE_ALPHA)


def cache_warm(processes: int | None = None) -> Iterator[str]:
    """Compile every loop that is not in the code cache yet; yield the name of each loop.

    Parameters
    ----------
    processes : int, optional
        Number of processes, by default one for each available core. Threads would not help: Numba compiles one function
        at a time in each process.
    """
    variants = list(all_variants())
    missing = []
    for number, (loop, types) in enumerate(variants):
        if object_code.is_cached(loop.module, loop.function, loop.codes(**types)):
            yield _name(loop, types)
        else:
            missing.append(number)
    processes = min(processes or available_cores(), len(missing))
    if processes > 1 and threading.active_count() == 1:  # a fork copies only the calling thread
        object_code.announce(object_code.COMPILING)
        for number, notices in zip(missing, _compiled_by_forks(processes, missing), strict=True):
            for notice in notices:
                object_code.announce(notice)
            yield _name(*variants[number])
    else:
        for number in missing:
            loop, types = variants[number]
            loop.compile(**types)
            yield _name(loop, types)


def _name(loop: Loop, types: dict[str, npt.DTypeLike]) -> str:
    return f"{loop.function} ({', '.join(sorted({np.dtype(t).name for t in types.values()}))})"


def _compiled_by_forks(processes: int, numbers: list[int]) -> Iterator[list[str]]:
    """Compile variants, by index into all_variants, in forked processes; yield the notices of each, in order.

    If the caller stops early, or Ctrl-C comes, the processes are killed in the middle of a loop.
    """
    import multiprocessing
    import warnings
    from concurrent.futures import ProcessPoolExecutor

    import numba  # noqa: F401 - imported once, before the forks

    pipe = os.pipe()
    others, killed = {*multiprocessing.active_children()}, []
    try:
        with warnings.catch_warnings():
            # Python warns of other threads at a fork; here these are idle threads of NumPy's BLAS, which are harmless.
            warnings.simplefilter("ignore", DeprecationWarning)
            context, begin = multiprocessing.get_context("fork"), partial(_end_with_parent, *pipe)
            with ProcessPoolExecutor(processes, context, begin) as pool:
                # ``pool.map`` cancels its futures; a pool that loses its processes prints an error for each of these.
                futures = [pool.submit(_compile, number) for number in numbers]
                try:
                    yield from (future.result() for future in futures)
                except BaseException:  # the pool waits until its processes end; some loops take seconds
                    killed = [each for each in multiprocessing.active_children() if each not in others]
                    for process in killed:
                        process.kill()
                    raise
    finally:
        if killed:
            object_code.cache_tidy({process.pid for process in killed})
        for end in pipe:
            os.close(end)


def _end_with_parent(read_end: int, write_end: int) -> None:
    """Let Ctrl-C end the parent only, which ends the pool, and end this forked process if the parent is killed.

    A worker waits for its next task at a pipe of which every worker has both ends, so it never reads the end of that.
    Here only the parent has the end for writing.
    """
    import signal

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.close(write_end)

    def wait() -> None:
        os.read(read_end, 1)
        os._exit(0)

    threading.Thread(target=wait, daemon=True).start()


def _compile(number: int) -> list[str]:
    loop, types = list(all_variants())[number]
    notices: list[str] = []
    object_code.on_notice(notices.append)
    loop.compile(**types)
    return notices
