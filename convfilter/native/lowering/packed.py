"""The second entry point of a compiled loop, which takes one pointer to all arguments.

All second entry points have the same type, so one loop (``loops/program.py``) can call any other.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

_FLOATS = {"f4": "FloatType", "f8": "DoubleType"}


def packed_entry(entry: str, name: str, codes: Sequence[str]) -> str:
    """Return LLVM assembly of a function ``name`` that calls ``entry`` with arguments from an array of 64-bit words.

    A word holds an integer, an address, or the bits of a float64.
    """
    from llvmlite import ir

    module = ir.Module()
    word = ir.IntType(64)
    kinds = [_kind(code) for code in codes]
    loop = ir.Function(module, ir.FunctionType(word, kinds), entry)
    packed = ir.Function(module, ir.FunctionType(word, [word.as_pointer()]), name)
    builder = ir.IRBuilder(packed.append_basic_block())
    arguments = [
        _unpacked(builder, builder.load(builder.gep(packed.args[0], [word(number)])), kind)
        for number, kind in enumerate(kinds)
    ]
    builder.ret(builder.call(loop, arguments))
    return str(module)


def _kind(code: str) -> Any:
    from llvmlite import ir

    name = code.rstrip("*")
    kind = getattr(ir, _FLOATS[name])() if name in _FLOATS else ir.IntType(8 * int(name[1:]))
    return kind.as_pointer() if code.endswith("*") else kind


def _unpacked(builder: Any, word: Any, kind: Any) -> Any:
    from llvmlite import ir

    if isinstance(kind, ir.PointerType):
        return builder.inttoptr(word, kind)
    if isinstance(kind, ir.IntType):
        return word if kind.width == 64 else builder.trunc(word, kind)
    number = builder.bitcast(word, ir.DoubleType())
    return number if isinstance(kind, ir.DoubleType) else builder.fptrunc(number, kind)
