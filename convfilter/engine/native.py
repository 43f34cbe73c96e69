"""Loops to machine code, once per machine: compiled by Numba, kept on disk, loaded by llvmlite.

A program in a Makefile starts anew for each target, and importing Numba takes
longer than filtering most pictures. So a loop is compiled when it is first
needed, its object code is kept in the user's cache folder, and later runs
load it with llvmlite alone and call it through ``ctypes``, which lets go of
the interpreter's lock.

A kept file is used only if it lies in a folder that nobody else can write,
belongs to this user, and carries the digest of its own content, under a name
that is the digest of everything that decides the code: the loop's source, its
types, the versions of Numba, llvmlite and convfilter, and the processor. All
else is compiled anew.
"""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import cache, partial
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from convfilter import __version__
from convfilter.engine import object_store
from convfilter.engine.object_store import sha256
from convfilter.locks import shared_lock, undisturbed

_LOOPS = Path(__file__).with_name("loops")
_LOWERING = Path(__file__).with_name("lowering")
_CTYPES: dict[str, type] = {
    "u1": ctypes.c_uint8,
    "u2": ctypes.c_uint16,
    "i8": ctypes.c_int64,
    "f4": ctypes.c_float,
    "f8": ctypes.c_double,
}
#: Fused multiply-add is welcome; nothing else may change the order of a sum.
_OPTIONS: dict[str, Any] = {"fastmath": {"contract"}, "error_model": "numpy"}


#: A loop's second entry, which takes a pointer to all arguments, has its name after this; see ``lowering/packed.py``.
PACKED = "packed_"


class ObjectCode(NamedTuple):
    """A compiled loop: the name to call, the names it needs, and the object file's bytes."""

    entry: str
    needs: tuple[str, ...]
    code: bytes


class Loop:
    """A loop of ``engine/loops/``, compiled for the sample types it is called with.

    Parameters
    ----------
    module, function : str
        Where the loop stands: ``engine/loops/<module>.py``.
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
        """Return the callable for the given types; arrays among its arguments are passed as pointers."""
        key = tuple(types[letter] for letter in self.letters)
        if key not in self._variants:
            undisturbed(partial(self._make, key, self.codes(**types)))
        return self._variants[key]

    def _make(self, key: tuple[npt.DTypeLike, ...], codes: tuple[str, ...]) -> None:
        with _lock:
            if key not in self._variants:  # else another thread made it meanwhile
                code = _kept_or_compiled(self.module, self.function, codes)
                self._variants[key] = Variant(self.function, *_load(code), codes)

    def codes(self, **types: npt.DTypeLike) -> tuple[str, ...]:
        """Return the argument types with the letters replaced."""
        names = {letter: np.dtype(types[letter]).str[1:] for letter in self.letters}
        return tuple(names.get(code[0], code.rstrip("*")) + "*" * code.endswith("*") for code in self.signature.split())


class Variant:
    """A loop for given types, ready to be called.

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
        """Run the loop on arrays that are given by the addresses of their data, which nobody checks here."""
        result: int = self._native(*arguments)
        return result


def pointer(array: npt.NDArray[Any], typestr: str) -> int:
    """Return the address of an array's data; machine code trusts it, so type and layout are checked here."""
    interface = array.__array_interface__
    if interface["strides"] is not None or interface["typestr"] != typestr:
        raise TypeError(f"a loop takes a contiguous {typestr} array, got {interface['typestr']} {interface['strides']}")
    address: int = interface["data"][0]
    return address


# Machine code ---------------------------------------------------------------

_lock = shared_lock()
_engines: list[Any] = []  # they own the code, and live as long as the process
_announced: set[str] = set()


def _say_nothing(_message: str) -> None:
    pass


_notice: Callable[[str], None] = _say_nothing


def on_notice(tell: Callable[[str], None]) -> None:
    """Have ``tell`` called with a sentence, once, when loops are compiled or cannot be kept."""
    global _notice
    _notice = tell


def _announce(message: str) -> None:
    if message not in _announced:
        _announced.add(message)
        _notice(message)


def load_llvm() -> None:
    """Import what loads machine code, before it is needed."""
    _target_machine()


def _load(code: ObjectCode) -> tuple[int, int]:
    """Return the addresses of a loop's two entries."""
    import llvmlite.binding as llvm

    for name in code.needs:
        # Numba's runtime is named in error paths that these loops never take.
        if llvm.address_of_symbol(name) is None:
            llvm.add_symbol(name, ctypes.cast(_unreachable, ctypes.c_void_p).value)
    # One engine for each object: a second object in a finished engine finds its constants zeroed.
    empty = llvm.parse_assembly("")
    engine = llvm.create_mcjit_compiler(empty, _target_machine())
    engine.remove_module(empty)  # which would be compiled, 0.7 ms for each loop
    engine.add_object_file(llvm.ObjectFileRef.from_data(code.code))
    engine.finalize_object()
    _engines.append(engine)
    return engine.get_function_address(code.entry), engine.get_function_address(PACKED + code.entry)


def _target_machine(**options: Any) -> Any:
    import llvmlite.binding as llvm

    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    return llvm.Target.from_default_triple().create_target_machine(**options)


_unreachable = ctypes.CFUNCTYPE(ctypes.c_int64)(lambda: 0)


def _kept_or_compiled(module: str, function: str, codes: tuple[str, ...]) -> ObjectCode:
    name = _file_name(module, function, codes)
    folder = cache_path()
    kept = object_store.fetch(folder, name)
    if kept is not None:
        return _unpack(kept)
    _announce("compiling for this machine, once (a few seconds)")
    with object_store.turn(folder, name):  # the workers of a batch, and the jobs of make, need the same loops at once
        kept = object_store.fetch(folder, name)
        if kept is not None:
            return _unpack(kept)
        code = _compile(module, function, codes)
        problem = object_store.keep(folder, name, _pack(code))
    if problem:
        _announce(f"the compiled code cannot be kept ({problem}); set CONVFILTER_CACHE_DIR to a folder of your own")
    return code


def _keep(loop: Loop, codes: tuple[str, ...]) -> None:
    with _lock:
        _kept_or_compiled(loop.module, loop.function, codes)


def _pack(code: ObjectCode) -> bytes:
    return "\n".join([code.entry, *code.needs, "", ""]).encode() + code.code


def _unpack(data: bytes) -> ObjectCode:
    names, _, code = data.partition(b"\n\n")
    entry, *needs = names.decode().split("\n")
    return ObjectCode(entry, tuple(needs), code)


def _file_name(module: str, function: str, codes: tuple[str, ...]) -> str:
    import llvmlite

    parts = [
        (_LOOPS / f"{module}.py").read_bytes(),
        _language(_LOOPS, _LOWERING),
        repr((function, codes, sorted(_OPTIONS["fastmath"]), _OPTIONS["error_model"])).encode(),
        repr((_numba_version(), llvmlite.__version__, __version__, sys.implementation.cache_tag)).encode(),
        _processor().encode(),
    ]
    digest = sha256(b"\0".join(sha256(part).digest() for part in parts)).hexdigest()
    return f"{function}-{digest[:40]}{object_store.SUFFIX}"


@cache
def _language(loops: Path, lowering: Path) -> bytes:
    """Return the digest of what all loops are written in."""
    files = [loops / "vectors.py", loops / "blocks.py", *sorted(lowering.glob("*.py"))]
    digest: bytes = sha256(b"\0".join(sha256(file.read_bytes()).digest() for file in files)).digest()
    return digest


@cache
def _processor() -> str:
    import llvmlite.binding as llvm

    return repr((llvm.get_default_triple(), llvm.get_host_cpu_name(), llvm.get_host_cpu_features().flatten()))


@cache
def _numba_version() -> str:
    """Read Numba's version off its ``numba-X.Y.dist-info`` folder: importlib.metadata alone takes 30 ms to import."""
    for folder in sys.path:
        try:
            names = os.listdir(folder or ".")
        except OSError:
            continue
        for name in names:
            if name.startswith("numba-") and name.endswith(".dist-info"):
                return name
    from importlib.metadata import version

    return version("numba")


def _compile(module: str, function: str, codes: tuple[str, ...]) -> ObjectCode:
    """Compile one loop for this processor and return its object file."""
    from importlib import import_module

    import llvmlite.binding as llvm
    import numba
    from numba import types

    import convfilter.engine.lowering.blocks  # noqa: F401 - tells the compiler what vectors and blocks of them are
    from convfilter.engine.lowering.packed import packed_entry

    pointer_to: Any = types.CPointer
    scalars = {"u1": types.uint8, "u2": types.uint16, "i4": types.int32, "i8": types.int64}
    scalars |= {"f4": types.float32, "f8": types.float64}
    arguments = [pointer_to(scalars[code[:-1]]) if code.endswith("*") else scalars[code] for code in codes]
    loop = _with_parts(import_module(f"convfilter.engine.loops.{module}"), function)
    compiled = numba.cfunc(types.int64(*arguments), **_OPTIONS)(loop)
    machine = _target_machine(
        cpu=llvm.get_host_cpu_name(),
        features=llvm.get_host_cpu_features().flatten(),
        opt=3,
        reloc="pic",
        codemodel="jitdefault",
        jit=True,
    )
    code = llvm.parse_assembly(compiled.inspect_llvm())
    code.link_in(llvm.parse_assembly(packed_entry(compiled.native_name, PACKED + compiled.native_name, codes)))
    needs = tuple(f.name for f in code.functions if f.is_declaration and not f.name.startswith("llvm."))
    return ObjectCode(compiled.native_name, needs, machine.emit_object(code))


def _with_parts(module: ModuleType, function: str) -> Any:
    """Return a loop that sees the private functions of its file as compiled ones, which become part of its code."""
    import numba

    names = dict(vars(module))
    for name, value in vars(module).items():
        if name.startswith("_") and isinstance(value, FunctionType):
            names[name] = numba.njit(**_OPTIONS)(FunctionType(value.__code__, names, name))
    return FunctionType(getattr(module, function).__code__, names, function)


# The cache folder -------------------------------------------------------------


def cache_path() -> Path:
    """Return the folder of compiled loops: ``CONVFILTER_CACHE_DIR``, or the user's cache folder, or a temporary one."""
    chosen = os.environ.get("CONVFILTER_CACHE_DIR")
    if chosen:
        return Path(chosen)
    from platformdirs import user_cache_path

    with suppress(RuntimeError):
        folder = user_cache_path("convfilter", appauthor=False)
        if folder.is_absolute():
            return folder
    # A user without a home, as in containers. Others cannot prepare this folder: it is checked before use.
    from tempfile import gettempdir

    return Path(gettempdir(), f"convfilter-{os.geteuid()}")


def cache_clear() -> int:
    """Remove every compiled loop from the cache folder and return how many there were."""
    return object_store.clear(cache_path())


def cache_warm() -> Iterator[str]:
    """Compile every loop that is not kept yet; yields the name of each as it is ready."""
    from convfilter.engine.variants import all_variants

    for loop, types in all_variants():
        undisturbed(partial(_keep, loop, loop.codes(**types)))
        yield f"{loop.function} ({', '.join(sorted({np.dtype(t).name for t in types.values()}))})"
