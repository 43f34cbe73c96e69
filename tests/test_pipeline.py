"""Loops compiled by the shorter pipeline, and by Numba's own decorators where that fails."""

from __future__ import annotations

import ctypes
import sys
from importlib import import_module
from typing import Any

import llvmlite.binding as llvm
import numpy as np
import pytest
from numba import types

from convfilter.native import object_code
from convfilter.native.lowering.compiler import PUBLIC, Decorators, compiled, compiled_by, short

#: A loop that calls a helper of its module.
LOOP = import_module("convfilter.loops.load"), "premultiply"
SIGNATURE: Any = types.int64(types.CPointer(types.float32), *4 * [types.int64], types.float32)


def premultiplied(loop: Any) -> Any:
    """Run the LLVM code of the loop on two pixels of one colour and alpha; full scale is 5."""
    engine = llvm.create_mcjit_compiler(llvm.parse_assembly(loop.inspect_llvm()), object_code.target_machine())
    engine.finalize_object()
    kind = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_void_p, *4 * [ctypes.c_int64], ctypes.c_float)
    tile = np.array([10, 2, 20, 3], np.float32)
    assert kind(engine.get_function_address(loop.native_name))(tile.ctypes.data, 4, 1, 2, 2, 5.0) == 0
    return tile.tolist()


@pytest.mark.parametrize("decorators", [short(), PUBLIC], ids=["short", "public"])
def test_a_loop_computes_the_same_by_both_pipelines(decorators: Decorators) -> None:
    assert premultiplied(compiled_by(decorators, *LOOP, SIGNATURE)) == [20, 10, 60, 15]


def test_the_short_pipeline_is_the_usual_one_and_makes_no_machine_code_in_memory() -> None:
    assert compiled(*LOOP, SIGNATURE).address == 0
    assert compiled_by(PUBLIC, *LOOP, SIGNATURE).address != 0


def test_loops_are_compiled_by_a_numba_that_lacks_what_the_short_pipeline_needs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "convfilter.native.lowering.pipeline", None)  # importing it raises ImportError
    loop = compiled(*LOOP, SIGNATURE)
    assert loop.address != 0
    assert premultiplied(loop) == [20, 10, 60, 15]
