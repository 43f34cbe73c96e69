"""Object code of loops: compiled by Numba once per machine, and cached in the user's cache folder.

A program in a Makefile starts again for each target, and importing Numba takes longer than filtering most pictures. So
a loop is compiled when it is first needed, and its code is linked and stored; later runs load it without Numba and
LLVM.

A stored file is used only if it belongs to this user, lies in a folder that no other user can write to, and holds the
checksum of its content; otherwise the loop is compiled again. The name of the file is the digest of everything that
determines the code: the loop's source, its types, the versions of Numba, llvmlite and convfilter, and the processor.
All versions of Python share the files: machine code refers to functions of the C library and, in error paths, to
functions of Python's stable ABI.
"""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Callable, Collection
from contextlib import nullcontext, suppress
from functools import cache
from typing import Any

from convfilter import __version__
from convfilter.machine.processor import description
from convfilter.native import code_cache, image
from convfilter.native.code_cache import sha256
from convfilter.record import NamedTuple

LOOPS = os.path.join(os.path.dirname(os.path.dirname(__file__)), "loops")
LOWERING = os.path.join(os.path.dirname(__file__), "lowering")
#: Prefix of the name of a loop's second entry point, which takes one pointer to all arguments (``lowering/packed.py``).
PACKED = "packed_"


class ObjectCode(NamedTuple):
    """A compiled loop: the name of its entry point, the symbols it needs, and its linked image.

    ``code`` is the object file instead, if ``image.link`` cannot link it.
    """

    entry: str
    needs: tuple[str, ...]
    code: bytes


#: Notice that is sent before the first loop is compiled.
COMPILING = "compiling for this machine, once (a few seconds)"
_ADVICE = "set CONVFILTER_CACHE_DIR to a folder of your own"
#: Notices that this process has sent.
announced: set[str] = set()
_locks = True
_notice: Callable[[str], None] | None = None


def on_notice(tell: Callable[[str], None] | None) -> None:
    """Pass each notice, that loops are compiled or cannot be stored, to ``tell`` once; None discards notices."""
    global _notice
    _notice = tell


def compile_with_lock(locks: bool) -> None:
    """Choose whether a loop is locked while it is compiled.

    A process of the lowest priority should not lock, since processes that need the loop would wait for it.
    """
    global _locks
    _locks = locks


def announce(message: str) -> None:
    """Send a notice, once per process."""
    if message not in announced:
        announced.add(message)
        if _notice is not None:
            _notice(message)


def target_machine(**options: Any) -> Any:
    """Return LLVM's target machine for this processor, which emits and loads object code."""
    import llvmlite.binding as llvm

    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    return llvm.Target.from_default_triple().create_target_machine(**options)


def cached_or_compiled(module: str, function: str, codes: tuple[str, ...]) -> ObjectCode:
    """Return a loop's object code from the cache folder; if it is missing there, compile and store it.

    Parameters
    ----------
    module, function : str
        Location of the loop: ``loops/<module>.py``.
    codes : tuple of str
        Types of its arguments.
    """
    name = _file_name(module, function, codes)
    cached = _fetched(name)
    if cached is not None:
        return unpacked(cached)
    announce(COMPILING)
    folder, problem = _folder_to_fill()
    if problem:
        announce(f"the compiled code cannot be cached ({problem}), and goes to {folder}; {_ADVICE}")
    # Parallel workers and jobs of make need the same loops at the same time, and one of them compiles a loop for all.
    with code_cache.lock(folder, name) if _locks else nullcontext():
        cached = code_cache.fetch(folder, name)
        if cached is not None:
            return unpacked(cached)
        code = compile_loop(module, function, codes)
        problem = code_cache.store(folder, name, packed(code))
    if problem:
        announce(f"the compiled code cannot be cached ({problem}); {_ADVICE}")
    return code


def is_cached(module: str, function: str, codes: tuple[str, ...]) -> bool:
    """Whether a cache folder holds a valid, trusted object file of the loop."""
    return _fetched(_file_name(module, function, codes)) is not None


def _fetched(name: str) -> bytes | None:
    cached = code_cache.fetch(code_cache.path(), name)
    return cached if cached is not None else code_cache.fetch(code_cache.temporary_path(), name)


def _folder_to_fill() -> tuple[str, str | None]:
    """Return the folder to store loops in, and why it is a temporary one (None: it is the cache folder)."""
    chosen, temporary = code_cache.path(), code_cache.temporary_path()
    problem = code_cache.refusal(chosen)
    if problem is None or chosen == temporary or code_cache.refusal(temporary) is not None:
        return chosen, None
    return temporary, problem


def is_first_time() -> bool:
    """Return whether this is the first call for this version and processor, and record the call in the cache folder.

    True also if no folder can be written.
    """
    parts = [_shared_digest(LOOPS, LOWERING), repr(_compilers()).encode(), __version__.encode(), description().encode()]
    digest = sha256(b"\0".join(parts)).hexdigest()[:40]
    return code_cache.mark(_folder_to_fill()[0], f"compiled-{digest}")


def packed(code: ObjectCode) -> bytes:
    """Return the content of the file of a compiled loop."""
    return "\n".join([code.entry, *code.needs, "", ""]).encode() + code.code


def unpacked(data: bytes) -> ObjectCode:
    """Return the compiled loop of a file's content; the inverse of :func:`packed`."""
    names, _, code = data.partition(b"\n\n")
    entry, *needs = names.decode().split("\n")
    return ObjectCode(entry, tuple(needs), code)


def _file_name(module: str, function: str, codes: tuple[str, ...]) -> str:
    parts = [
        _source(LOOPS, f"{module}.py"),
        _shared_digest(LOOPS, LOWERING),
        repr((function, codes)).encode(),
        repr((_compilers(), __version__)).encode(),
        description().encode(),
    ]
    digest = sha256(b"\0".join(sha256(part).digest() for part in parts)).hexdigest()
    return f"{function}-{digest[:40]}{code_cache.SUFFIX}"


@cache
def _shared_digest(loops: str, lowering: str) -> bytes:
    """Return the digest of the modules that affect the code of every loop."""
    names = sorted(name for name in os.listdir(lowering) if name.endswith(".py"))
    texts = [_read(loops, "vectors.py"), _read(loops, "blocks.py"), *(_read(lowering, name) for name in names)]
    texts.append(_read(os.path.dirname(image.__file__), "image.py"))
    digest: bytes = sha256(b"\0".join(sha256(text).digest() for text in texts)).digest()
    return digest


@cache
def _source(folder: str, name: str) -> bytes:
    """Return the text of a module, and of those that it imports helpers from.

    Cached, since a run loads several loops of one module.
    """
    text = _read(folder, name)
    imported = [rest.split(maxsplit=1)[0] for rest in text.split(b"\nfrom convfilter.loops.")[1:]]
    return b"\0".join([text, *(_source(folder, f"{module.decode()}.py") for module in imported)])


def _read(folder: str, name: str) -> bytes:
    with open(os.path.join(folder, name), "rb") as file:
        return file.read()


@cache
def _compilers() -> tuple[str, str]:
    """Return the versions of Numba and llvmlite.

    They are taken from the names of folders like ``numba-X.Y.dist-info``: importing importlib.metadata takes 30 ms.
    """
    found: dict[str, str] = {}
    for folder in sys.path:
        with suppress(OSError):
            infos = [name for name in os.listdir(folder or ".") if name.endswith(".dist-info")]
            found = {name.partition("-")[0]: name for name in reversed(infos)} | found
        if "numba" in found and "llvmlite" in found:
            return found["numba"], found["llvmlite"]
    from importlib.metadata import version

    return found.get("numba") or version("numba"), found.get("llvmlite") or version("llvmlite")


def compile_loop(module: str, function: str, codes: tuple[str, ...]) -> ObjectCode:
    """Compile one loop for this processor, and link it."""
    collects = gc.isenabled()
    gc.disable()  # the compiler allocates millions of objects, and looking for garbage takes an eighth of its time
    try:
        return _compile_loop(module, function, codes)
    finally:
        if collects:
            gc.enable()


def _compile_loop(module: str, function: str, codes: tuple[str, ...]) -> ObjectCode:
    from importlib import import_module

    import llvmlite.binding as llvm
    import numpy as np
    from numba import types

    from convfilter.native.lowering import compiler
    from convfilter.native.lowering.packed import packed_entry

    pointer_to: Any = types.CPointer
    scalars = [getattr(types, np.dtype(code.removesuffix("*")).name) for code in codes]
    arguments = [pointer_to(each) if code.endswith("*") else each for each, code in zip(scalars, codes, strict=True)]
    compiled = compiler.compiled(import_module(f"convfilter.loops.{module}"), function, types.int64(*arguments))
    machine = target_machine(
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
    entry, emitted = compiled.native_name, machine.emit_object(code)
    linked = image.link(emitted, (entry, PACKED + entry))
    return ObjectCode(entry, needs, emitted if linked is None else image.packed(linked))


def cache_clear() -> int:
    """Remove every compiled loop from the cache folders; return their number."""
    return sum(map(code_cache.clear, {code_cache.path(), code_cache.temporary_path()}))


def cache_tidy(ended: Collection[int | None]) -> None:
    """Remove from the cache folders what processes left that were ended while they compiled."""
    for folder in {code_cache.path(), code_cache.temporary_path()}:
        code_cache.tidy(folder, ended)
