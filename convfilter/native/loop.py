"""Compiled loops as Python callables; ``ctypes`` releases the global interpreter lock while machine code runs."""

from __future__ import annotations

import ctypes
from functools import cache, partial
from typing import TYPE_CHECKING, Any

import numpy as np

from convfilter.locks import shared_lock, undisturbed
from convfilter.native import image
from convfilter.native.object_code import PACKED, ObjectCode, cached_or_compiled, target_machine

if TYPE_CHECKING:
    import numpy.typing as npt

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
    """A loop of ``loops/``, compiled for each combination of sample types that it is called with.

    Parameters
    ----------
    module, function : str
        The loop is ``function`` in ``loops/<module>.py``.
    signature : str
        Argument types, separated by blanks: NumPy type codes (``i8``, ``f4``), or capital letters for which
        :meth:`variant` chooses a type; ``*`` marks a pointer. All loops return a 64-bit integer.
    """

    def __init__(self, module: str, function: str, signature: str) -> None:
        self.module, self.function, self.signature = module, function, signature
        self._variants: dict[tuple[npt.DTypeLike, ...], Variant] = {}
        self.letters = sorted({code[0] for code in signature.split() if code[0].isupper()})

    def variant(self, **types: npt.DTypeLike) -> Variant:
        """Return the callable for the given types, loaded from the cache or compiled; it passes arrays as pointers."""
        key = tuple(types[letter] for letter in self.letters)
        if key not in self._variants:
            undisturbed(partial(self._make, key, self.codes(**types)))
        return self._variants[key]

    def _make(self, key: tuple[npt.DTypeLike, ...], codes: tuple[str, ...]) -> None:
        with _lock:
            if key not in self._variants:  # another thread may have added it
                code = cached_or_compiled(self.module, self.function, codes)
                self._variants[key] = Variant(self.function, *_load(code), codes)

    def compile(self, **types: npt.DTypeLike) -> None:
        """Compile the loop for the given types, unless its code is in the cache folder; do not load it."""
        undisturbed(partial(self._compile, self.codes(**types)))

    def _compile(self, codes: tuple[str, ...]) -> None:
        with _lock:
            cached_or_compiled(self.module, self.function, codes)

    def codes(self, **types: npt.DTypeLike) -> tuple[str, ...]:
        """Return the types of the arguments, with the given types in place of letters."""
        names = {letter: np.dtype(types[letter]).str[1:] for letter in self.letters}
        return tuple(names.get(code[0], code.rstrip("*")) + "*" * code.endswith("*") for code in self.signature.split())


class Variant:
    """A loop for one combination of types, loaded into this process.

    Attributes
    ----------
    function : str
        The loop's name.
    packed : int
        Address of the second entry point, which takes one pointer to all arguments; see ``lowering/packed.py``.
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
        """Run the loop with unchecked arguments; arrays are given as addresses."""
        result: int = self._native(*arguments)
        return result


def pointer(array: npt.NDArray[Any], typestr: str) -> int:
    """Return the address of an array's data, after a check of type and layout, which machine code takes for granted."""
    interface = array.__array_interface__
    if interface["strides"] is not None or interface["typestr"] != typestr:
        raise TypeError(f"a loop takes a contiguous {typestr} array, got {interface['typestr']} {interface['strides']}")
    address: int = interface["data"][0]
    return address


def _load(code: ObjectCode) -> tuple[int, int]:
    """Load a loop; return the addresses of its two entry points."""
    linked = image.unpacked(code.code)
    if linked is None:
        return _load_object(code)
    memory, (address, packed) = image.load(linked, _address_of)
    _owners.append(memory)
    return address, packed


def _load_object(code: ObjectCode) -> tuple[int, int]:
    """Load an object file with LLVM's linker; return the addresses of the loop's two entry points."""
    import llvmlite.binding as llvm

    for name in code.needs:
        if llvm.address_of_symbol(name) is None:
            llvm.add_symbol(name, _address_of(name))
    # Each object has an engine of its own: a finished engine zeroes the constants of a second object.
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
        No library of the process defines it.
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
    """Return the symbols of all libraries of the process; cached, since each CDLL defines a class for its functions."""
    return ctypes.CDLL(None)


#: Prefixes of functions of Numba's runtime, which loops refer to only in error paths that they never take.
_RUNTIME = ("numba_", "NRT_")
_unreachable = ctypes.CFUNCTYPE(ctypes.c_int64)(lambda: 0)
