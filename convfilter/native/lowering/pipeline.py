"""A shorter pipeline of Numba's compiler for loops: it ends with LLVM code, and takes half of the processor time.

Numba compiles each function to machine code in memory, and again as a part of each function that calls it. The program
needs neither: it makes an object file from the LLVM code of a whole loop. ``_Codegen`` therefore emits no machine code
in memory. ``_Pipeline`` omits the passes for features that loops do not use, such as closures, ``with`` and parallel
loops (chapter "Customizing the Compiler" of Numba's documentation). ``_Library`` omits an optimisation, ``_Typing``
repeated searches for the types of operations, and ``_Helper`` special versions for zeros.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numba
from numba.core import types
from numba.core.codegen import JITCodeLibrary, JITCPUCodegen
from numba.core.compiler import CompilerBase
from numba.core.compiler_machinery import PassManager
from numba.core.registry import CPUDispatcher
from numba.core.typed_passes import (
    AnnotateTypes,
    IRLegalization,
    NativeLowering,
    NoPythonBackend,
    NopythonTypeInference,
    PreLowerStripPhis,
)
from numba.core.typing.context import Context
from numba.core.untyped_passes import (
    DeadBranchPrune,
    FixupArgs,
    GenericRewrites,
    IRProcessing,
    ReconstructSSA,
    TranslateByteCode,
)

_PASSES = (
    TranslateByteCode,
    FixupArgs,
    IRProcessing,
    DeadBranchPrune,
    GenericRewrites,
    ReconstructSSA,
    NopythonTypeInference,
    PreLowerStripPhis,
    IRLegalization,
    AnnotateTypes,
    NativeLowering,
    NoPythonBackend,
)


class _Library(JITCodeLibrary):
    """Modules that are optimised once.

    Numba first runs cheaper passes, for the sake of reference counts. Loops have none, and their code is the same
    without these passes.
    """

    def _optimize_final_module(self) -> None:
        passes, builder = self._codegen._module_pass_manager()
        passes.run(self._final_module, builder)


class _Codegen(JITCPUCodegen):
    """A code generator that optimises modules and emits no machine code."""

    _library_class = _Library

    def _add_module(self, module: Any) -> None:
        """Do not add a module to the execution engine, which would compile it to machine code."""

    def set_env(self, env_name: str, env: Any) -> None:
        """Do not store the address of a function's constants, since the machine code to store it in does not exist."""


@cache
def _loop_context(context: Any) -> Any:
    """Return Numba's target context with the code generator above."""
    return context.subtarget(_internal_codegen=_Codegen("loops"))


class _Typing(Context):
    """Numba's typing context, which here remembers the types of operations and of built-in functions.

    A search for the types of ``a + b`` tries dozens of templates, and loops repeat it hundreds of times.
    """

    def __init__(self, context: Any) -> None:
        vars(self).update(vars(context))
        self._found: dict[Any, Any] = {}

    def resolve_function_type(self, function: Any, args: Any, kws: Any) -> Any:
        """Return the signature of ``function`` for these types of its arguments."""
        if kws or not isinstance(function, types.Function):
            return super().resolve_function_type(function, args, kws)
        key = function, args
        if key not in self._found:
            signature = super().resolve_function_type(function, args, kws)
            if signature is None:
                return None
            self._found[key] = signature
        return self._found[key]


@cache
def _loop_typing(context: Any) -> Any:
    """Return Numba's typing context with the memory above."""
    return _Typing(context)


class _Pipeline(CompilerBase):
    """The passes that loops need."""

    def __init__(self, typing_context: Any, target_context: Any, *state: Any) -> None:
        super().__init__(_loop_typing(typing_context), _loop_context(target_context), *state)

    def define_pipelines(self) -> list[PassManager]:
        passes = PassManager("loop")
        for each in _PASSES:
            passes.add_pass(each, each.__name__)
        passes.finalize()
        return [passes]


class _Helper(CPUDispatcher):
    """A function that loops call.

    Numba compiles a version of it for each literal integer among its arguments, such as the number of channels. Most
    zeros are the index of an array's first sample, for which a version of its own gains nothing: they have the type of
    any other integer.
    """

    def get_call_template(self, args: Any, kws: Any) -> Any:
        zero = types.literal(0)
        return super().get_call_template(tuple(types.int64 if kind == zero else kind for kind in args), kws)


def helper(function: Any, **options: Any) -> Any:
    """Return a function that loops may call or pass to other helpers; it is compiled when a loop needs it."""
    return _Helper(function, targetoptions={**options, "nopython": True}, pipeline_class=_Pipeline)


def loop(signature: Any, **options: Any) -> Any:
    """Return a decorator that compiles a loop."""
    return numba.cfunc(signature, pipeline_class=_Pipeline, **options)
