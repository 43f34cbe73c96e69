"""Every loop in every sample type that the engine may ask for: what ``cache warm`` compiles."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import numpy as np
import numpy.typing as npt

from convfilter.engine import epilogue, load, program, sums
from convfilter.methods import box, extremes, horizontal, interleaved, pointwise, stencil
from convfilter.native.loop import Loop
from convfilter.picture import png_filters

_TYPES: dict[str, tuple[type[np.generic], ...]] = {
    "S": (np.uint8, np.uint16, np.float32),
    "A": (np.float32, np.float64),
    "X": (np.uint8, np.uint16, np.float32, np.float64),  # samples of which extremes are taken, also when loaded
    "V": (np.uint8, np.uint16, np.float32, np.float64),  # sums, or extremes as they are, that are stored
    "R": (np.float32, np.float64),
    "B": (np.uint8,),
    "T": (np.uint8, np.uint16, np.float32),
}


def all_variants() -> Iterator[tuple[Loop, dict[str, npt.DTypeLike]]]:
    """Yield each loop with each choice of its types that can occur."""
    loops = [
        value
        for module in (
            load,
            sums,
            horizontal,
            stencil,
            interleaved,
            box,
            extremes,
            pointwise,
            epilogue,
            png_filters,
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
    """Whether the engine ever asks for these types together."""
    if loop.module in ("eight", "folded") or loop is interleaved.COPY:  # whole samples, summed in float32
        return types.get("A", np.float32) == np.float32 and np.float32 not in (types.get("S"), types.get("T"))
    real_target = types.get("T") == np.float32
    if loop.function in ("store_whole", "correlate_stored", "correlate_four_stored") and real_target:
        return False
    if loop.function == "store_real" and not real_target:
        return False
    if loop.function in ("mean_rows_wide", "sum_rows", "look_up"):
        return types.get("S") != np.float32
    if loop.function == "sums" and types["A"] == np.float32:
        return False  # so many cells that float32 does not hold their sum
    if loop.function == "clip_real" and not real_target:
        return False
    return types.get("R") != np.float32 or types.get("V", np.float32) == np.float32


def cache_warm() -> Iterator[str]:
    """Compile every loop that is not kept yet; yields the name of each as it is ready."""
    for loop, types in all_variants():
        loop.keep(**types)
        yield f"{loop.function} ({', '.join(sorted({np.dtype(t).name for t in types.values()}))})"
