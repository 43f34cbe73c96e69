"""Links the object code of a loop when it is compiled, so that later runs load it without LLVM.

Importing llvmlite takes as long as filtering a small picture, and a run needs little of it: a loader that places the
sections of an object file in memory and resolves addresses. ``link`` does most of that work when the loop is compiled.
It lays the sections out in one image and applies the relocations between them. These are relative on x86-64, so the
image may be mapped at any address. ``load`` adds the image's address to some pointers, and looks up functions of the C
library.

Formats: Tool Interface Standard, Executable and Linking Format 1.2; H. J. Lu et al., System V Application Binary
Interface, AMD64, section 4.4.
"""

from __future__ import annotations

import ctypes
import mmap
import struct
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

_X86_64 = 62
_HEADER = struct.Struct("<16sHHIQQQIHHHHHH")
_SECTION = struct.Struct("<IIQQQQIIQQ")
_SYMBOL = struct.Struct("<IBBHQQ")
_RELOCATION = struct.Struct("<QQq")
_PROGBITS, _SYMTAB, _RELA, _NOBITS = 1, 2, 4, 8  # types of sections
_ALLOC = 2  # the flag of sections that occupy memory
_UNDEFINED, _COMMON = 0, 0xFFF2  # section numbers of symbols without a section
_ABS64, _PC64, _GOTOFF64, _GOT64, _GOTPC64 = 1, 24, 25, 27, 29  # relocations that LLVM's large code model uses
_POINTER = 8
_LARGEST = 2**24  # bytes of a section: the largest loop has 2**17
_READ_AND_EXECUTE = 1 | 4


class Image(NamedTuple):
    """Linked code: the bytes to map, and the relocations that depend on the address of the mapping.

    Attributes
    ----------
    content : bytes
        All sections, and the global offset table: pointers that the code reads.
    entries : tuple of int
        Offsets of the entry points.
    pointers : tuple of int
        Offsets of 64-bit pointers into the image; each holds the offset of its target until ``load`` adds the address.
    imports : tuple of (int, str)
        Offsets of 64-bit pointers to symbols of the process (functions and variables), with the names of their targets.
    """

    content: bytes
    entries: tuple[int, ...]
    pointers: tuple[int, ...]
    imports: tuple[tuple[int, str], ...]


class _CannotLinkError(Exception):
    """The object file is of another format, or uses a feature that this linker does not know."""


def link(code: bytes, entries: Sequence[str]) -> Image | None:
    """Link an object file; return None if it uses a feature that this linker does not know.

    Parameters
    ----------
    code : bytes
        An ELF object file for x86-64, in the large code model.
    entries : sequence of str
        Names of the functions that are entry points.
    """
    try:
        return _Linker(code).image(entries)
    except (_CannotLinkError, struct.error, IndexError, KeyError, UnicodeDecodeError):
        return None


class _Linker:
    """Sections of one object file, laid out one after the other."""

    def __init__(self, code: bytes) -> None:
        magic, kind, machine, _, _, _, table, _, _, _, _, entry, count, _ = _HEADER.unpack_from(code)
        if magic[:6] != b"\x7fELF\x02\x01" or (kind, machine, entry) != (1, _X86_64, _SECTION.size):
            raise _CannotLinkError
        self._code = code
        self._sections = [_SECTION.unpack_from(code, table + number * entry) for number in range(count)]
        self._content = bytearray()
        self._places: dict[int, int] = {}  # section number -> offset in the image
        for number, (_, kind, flags, _, offset, size, _, _, alignment, _) in enumerate(self._sections):
            if flags & _ALLOC and kind in (_PROGBITS, _NOBITS):
                self._places[number] = self._room(size, alignment)
                if kind == _PROGBITS:
                    place = self._places[number]
                    self._content[place : place + size] = code[offset : offset + size]
        self._symbols = self._read_symbols()
        self._slots: dict[tuple[str, int], int] = {}  # name and offset of a symbol -> offset of its entry in the table
        self._pointers: list[int] = []
        self._imports: list[tuple[int, str]] = []

    def image(self, entries: Sequence[str]) -> Image:
        """Return the image, to which all relocations are applied that do not depend on its address."""
        relocations = list(self._read_relocations())
        for kind, _, symbol, _ in relocations:
            if kind == _GOT64:
                self._slot(*symbol)
        table = min(self._slots.values(), default=0)  # the code reads entries relative to the table's first
        for kind, place, (name, target), addend in relocations:
            if kind == _GOT64:
                value = self._slots[name, target] + addend - table
            elif kind == _GOTPC64:
                value = table + addend - place
            elif target < 0:
                raise _CannotLinkError  # a symbol of the process that the code reads without the table
            elif kind == _GOTOFF64:
                value = target + addend - table
            elif kind == _PC64:
                value = target + addend - place
            elif kind == _ABS64:
                value = target + addend
                self._pointers.append(place)
            else:
                raise _CannotLinkError
            self._content[place : place + _POINTER] = value.to_bytes(_POINTER, "little", signed=True)
        offsets = {name: offset for name, offset in self._symbols if offset >= 0}
        called = tuple(offsets[name] for name in entries)
        return Image(bytes(self._content), called, tuple(self._pointers), tuple(self._imports))

    def _room(self, size: int, alignment: int) -> int:
        """Append ``size`` zero bytes to the image, and return their offset."""
        if max(size, alignment) > _LARGEST:
            raise _CannotLinkError
        self._content += bytes(-len(self._content) % max(1, alignment))
        place = len(self._content)
        self._content += bytes(size)
        return place

    def _read_symbols(self) -> list[tuple[str, int]]:
        """Return the name and offset of each symbol.

        The offset is -1 for symbols of the process, and -2 for symbols in sections that occupy no memory.
        """
        (table,) = (section for section in self._sections if section[1] == _SYMTAB)
        _, _, _, _, start, size, strings, _, _, _ = table
        names = self._sections[strings][4]
        symbols = []
        for at in range(start, start + size, _SYMBOL.size):
            name, _, _, section, value, room = _SYMBOL.unpack_from(self._code, at)
            first = names + name
            text = self._code[first : self._code.index(b"\0", first)].decode()
            if section == _UNDEFINED:
                offset = -1
            elif section == _COMMON:
                offset = self._room(room, value)
            else:
                offset = self._places[section] + value if section in self._places else -2
            symbols.append((text, offset))
        return symbols

    def _read_relocations(self) -> list[tuple[int, int, tuple[str, int], int]]:
        """Return the kind, offset, symbol and addend of each relocation in the sections of the image."""
        relocations = []
        for _, kind, _, _, start, size, _, target, _, _ in self._sections:
            if kind == _RELA and target in self._places:
                for at in range(start, start + size, _RELOCATION.size):
                    offset, info, addend = _RELOCATION.unpack_from(self._code, at)
                    symbol = self._symbols[info >> 32]
                    relocations.append((info & 0xFFFFFFFF, self._places[target] + offset, symbol, addend))
        return relocations

    def _slot(self, name: str, target: int) -> None:
        """Add an entry for a symbol to the global offset table, unless it has one."""
        if (name, target) in self._slots:
            return
        if target < -1:
            raise _CannotLinkError
        place = self._slots[name, target] = self._room(_POINTER, _POINTER)
        if target == -1:
            self._imports.append((place, name))
        else:
            self._content[place : place + _POINTER] = target.to_bytes(_POINTER, "little")
            self._pointers.append(place)


# Loading ------------------------------------------------------------------------


def load(image: Image, address_of: Callable[[str], int]) -> tuple[Any, list[int]]:
    """Map an image into this process; return the mapping, which must outlive all calls, and the entry addresses.

    Parameters
    ----------
    image : Image
    address_of : callable
        Returns the address of a symbol of the process.

    Raises
    ------
    OSError
        The operating system forbids executable memory.
    """
    kind, rights = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, mmap.PROT_READ | mmap.PROT_WRITE
    mapping = mmap.mmap(-1, len(image.content), kind, rights)
    view = ctypes.c_char.from_buffer(mapping)  # while it exists, the mapping cannot be closed
    base = ctypes.addressof(view)
    mapping.write(image.content)
    for place in image.pointers:
        (offset,) = struct.unpack_from("<q", image.content, place)
        struct.pack_into("<q", mapping, place, base + offset)
    for place, name in image.imports:
        struct.pack_into("<q", mapping, place, address_of(name))
    # The memory is never writable and executable at the same time.
    process = ctypes.CDLL(None, use_errno=True)
    if process.mprotect(ctypes.c_void_p(base), ctypes.c_size_t(len(image.content)), _READ_AND_EXECUTE) != 0:
        error = ctypes.get_errno()
        raise OSError(error, "mprotect")
    return (mapping, view), [base + offset for offset in image.entries]


# As bytes in the cache -----------------------------------------------------------


_COUNTS = struct.Struct("<4sIIIQ")
_MAGIC = b"CFI1"


def packed(image: Image) -> bytes:
    """Return the bytes that represent an image."""
    names = "\n".join(name for _, name in image.imports).encode()
    numbers = [*image.entries, *image.pointers, *(place for place, _ in image.imports)]
    counts = _COUNTS.pack(_MAGIC, len(image.entries), len(image.pointers), len(image.imports), len(names))
    return counts + struct.pack(f"<{len(numbers)}q", *numbers) + names + image.content


def unpacked(data: bytes) -> Image | None:
    """Return the image that :func:`packed` encoded; None if ``data`` is an object file."""
    if data[: len(_MAGIC)] != _MAGIC:
        return None
    _, entries, pointers, imports, size = _COUNTS.unpack_from(data)
    numbers = struct.unpack_from(f"<{entries + pointers + imports}q", data, _COUNTS.size)
    start = _COUNTS.size + 8 * len(numbers)
    names = data[start : start + size].decode().split("\n") if imports else []
    called, own, imported = numbers[:entries], numbers[entries : entries + pointers], numbers[entries + pointers :]
    return Image(data[start + size :], called, own, tuple(zip(imported, names, strict=True)))
