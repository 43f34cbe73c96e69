"""Compiled loops as Python callables: ``ctypes`` calls their machine code without the interpreter's lock."""

from __future__ import annotations

import ctypes
from functools import cache, partial
from typing import Any

import numpy as np
import numpy.typing as npt

from convfilter.locks import shared_lock, undisturbed
from convfilter.native import image
from convfilter.native.object_code import PACKED, ObjectCode, cached_or_compiled, target_machine

_CTYPES: dict[str, type] = {
    "u1": ctypes.c_uint8,
    "u2": ctypes.c_uint16,
    "i2": ctypes.c_int16,
    "u4": ctypes.c_uint32,
    "i8": ctypes.c_int64,
    "f4": ctypes.c_float,
    "f8": ctypes.c_double,
}
_lock = shared_lock()
_owners: list[Any] = []  # mappings and LLVM engines that own the code, kept until the process ends


class Loop:
    """A loop of ``loops/``, compiled for the sample types it is called with.

    Parameters
    ----------
    module, function : str
        The loop is ``function`` in ``loops/<module>.py``.
    signature : str
        Argument types, blank-separated: NumPy type codes (``i8``, ``f4``),
        or capital letters that stand for a type chosen by :meth:`variant`;
        ``*`` marks a pointer. All loops return a 64-bit integer.
    """

    def __init__(self, module: str, function: str, signature: str) -> None:
        self.module, self.function, self.signature = module, function, signature
        self._variants: dict[tuple[npt.DTypeLike, ...], Variant] = {}
        self.letters = sorted({code[0] for code in signature.split() if code[0].isupper()})

    def variant(self, **types: npt.DTypeLike) -> Variant:
        """Return the callable for the given types, loaded or compiled if need be; it passes arrays as pointers."""
        key = tuple(types[letter] for letter in self.letters)
        if key not in self._variants:
            undisturbed(partial(self._make, key, self.codes(**types)))
        return self._variants[key]

    def _make(self, key: tuple[npt.DTypeLike, ...], codes: tuple[str, ...]) -> None:
        with _lock:
            if key not in self._variants:  # another thread may have made it
                code = cached_or_compiled(self.module, self.function, codes)
                self._variants[key] = Variant(self.function, *_load(code), codes)

    def compile(self, **types: npt.DTypeLike) -> None:
        """Compile the loop for the given types, unless the cache folder has it; load nothing."""
        undisturbed(partial(self._compile, self.codes(**types)))

    def _compile(self, codes: tuple[str, ...]) -> None:
        with _lock:
            cached_or_compiled(self.module, self.function, codes)

    def codes(self, **types: npt.DTypeLike) -> tuple[str, ...]:
        """Return the argument types, with letters replaced by types."""
        names = {letter: np.dtype(types[letter]).str[1:] for letter in self.letters}
        return tuple(names.get(code[0], code.rstrip("*")) + "*" * code.endswith("*") for code in self.signature.split())


class Variant:
    """A loop for given types, loaded into this process.

    Attributes
    ----------
    function : str
        The loop's name.
    packed : int
        Address of a function that takes one pointer to all arguments; see ``lowering/packed.py``.
    codes : tuple of str
        Types of the arguments.
    """

    def __init__(self, function: str, address: int, packed: int, codes: tuple[str, ...]) -> None:
        self.function, self.packed, self.codes = function, packed, codes
        kinds = [ctypes.c_void_p if code.endswith("*") else _CTYPES[code] for code in codes]
        self._native = ctypes.CFUNCTYPE(ctypes.c_int64, *kinds)(address)
        self._pointers = [np.dtype(code[:-1]).str if code.endswith("*") else "" for code in codes]

    def __call__(self, *arguments: Any) -> int:
        """Run the loop."""
        return self.at_addresses(
            *(
                pointer(value, typestr) if typestr else value
                for typestr, value in zip(self._pointers, arguments, strict=True)
            )
        )

    def at_addresses(self, *arguments: Any) -> int:
        """Run the loop; arrays are passed as addresses, and nothing is checked."""
        result: int = self._native(*arguments)
        return result


def pointer(array: npt.NDArray[Any], typestr: str) -> int:
    """Return the address of an array's data; machine code trusts it, so type and layout are checked here."""
    interface = array.__array_interface__
    if interface["strides"] is not None or interface["typestr"] != typestr:
        raise TypeError(f"a loop takes a contiguous {typestr} array, got {interface['typestr']} {interface['strides']}")
    address: int = interface["data"][0]
    return address


def _load(code: ObjectCode) -> tuple[int, int]:
    """Load a loop; return the addresses of its two entries, as it is and packed."""
    linked = image.unpacked(code.code)
    if linked is None:
        return _load_object(code)
    memory, (address, packed) = image.load(linked, _address_of)
    _owners.append(memory)
    return address, packed


def _load_object(code: ObjectCode) -> tuple[int, int]:
    """Have LLVM link and load an object file."""
    import llvmlite.binding as llvm

    for name in code.needs:
        if llvm.address_of_symbol(name) is None:
            llvm.add_symbol(name, _address_of(name))
    # One engine for each object: a second object in a finished engine finds its constants zeroed.
    empty = llvm.parse_assembly("")
    engine = llvm.create_mcjit_compiler(empty, target_machine())
    engine.remove_module(empty)  # compiling the empty module would take 0.7 ms for each loop
    engine.add_object_file(llvm.ObjectFileRef.from_data(code.code))
    engine.finalize_object()
    _owners.append(engine)
    return engine.get_function_address(code.entry), engine.get_function_address(PACKED + code.entry)


def _address_of(name: str) -> int:
    """Return the address of a function or variable of the process.

    Raises
    ------
    OSError
        No loaded library has it.
    """
    try:
        symbol = getattr(_process(), name)
    except AttributeError:
        if not name.startswith(_RUNTIME):
            raise OSError(f"compiled code needs {name}, which no library of this process has") from None
        symbol = _unreachable
    address = ctypes.cast(symbol, ctypes.c_void_p).value
    assert address is not None
    return address


@cache
def _process() -> ctypes.CDLL:
    """Return all libraries of the process; each object defines a class for its functions."""
    return ctypes.CDLL(None)


#: Error paths that these loops never take refer to Numba's runtime.
_RUNTIME = ("numba_", "NRT_")
_unreachable = ctypes.CFUNCTYPE(ctypes.c_int64)(lambda: 0)
