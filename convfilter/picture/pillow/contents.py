"""Notes on containers from which one picture is read: icons, textures, AVIF and JPEG 2000.

DDS: Microsoft's DDS_HEADER and DDS_HEADER_DXT10; HEIF: ISO/IEC 23008-12 (items); JPX: ISO/IEC 15444-2, annex M.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any, BinaryIO

from convfilter.errors import ReadError
from convfilter.picture.pillow.boxes import boxes, boxes_of

_HEAD_BYTES = 148
_ICONS = (b"\0\0\1\0", b"\0\0\2\0", b"icns")
_CUBE_MAP, _VOLUME = 0x200, 0x200000
_META_BYTES = 1 << 20
#: Item types of HEIF that are pictures.
_CODED = (b"av01", b"grid", b"iden", b"iovl", b"hvc1", b"jpeg")


def embedded_sizes(head: bytes, file: BinaryIO) -> Iterator[tuple[int, int]]:
    """Yield the sizes of PNGs and JPEG 2000s within an icon, which may differ from its directory.

    Parameters
    ----------
    head : bytes
        The first bytes.
    file : BinaryIO
        Its position stays where it was.

    Yields
    ------
    (int, int)
        Width and height.
    """
    if not head.startswith(_ICONS):
        return
    position = file.tell()
    file.seek(0)
    data = file.read()
    file.seek(position)
    for mark, distance in ((b"\x89PNG\r\n\x1a\n", 16), (b"\xff\x4f\xff\x51", 8)):
        at = data.find(mark)
        while 0 <= at <= len(data) - distance - 8:
            width, height = struct.unpack_from(">II", data, at + distance)
            yield width, height
            at = data.find(mark, at + 1)


def notes_on(image: Any, name: str | None, file: BinaryIO) -> list[str]:
    """Return notes on the contents of a file besides the picture that Pillow has opened.

    Parameters
    ----------
    image : PIL.Image.Image
    name : str or None
        Name of the format.
    file : BinaryIO
        Its position stays where it was.

    Returns
    -------
    list of str

    Raises
    ------
    ReadError
        Parts of the picture itself would be dropped: faces, slices, layers of a texture.
    """
    if name not in _NOTES:
        return []
    position = file.tell()
    file.seek(0)
    try:
        return list(_NOTES[name](image, file))
    finally:
        file.seek(position)


def _icon_notes(image: Any, file: BinaryIO) -> Iterator[str]:
    count = int.from_bytes(file.read(6)[4:], "little")
    if count > 1:
        yield f"the file holds {count} icons; the largest is taken"


def _icns_notes(image: Any, file: BinaryIO) -> Iterator[str]:
    count = len(image.info.get("sizes", ()))
    if count > 1:
        yield f"the file holds {count} icons; the largest is taken"


def _texture_notes(image: Any, file: BinaryIO) -> Iterator[str]:
    head = file.read(_HEAD_BYTES)
    if len(head) < 128:
        return
    mipmaps, capabilities = struct.unpack_from("<I", head, 28)[0], struct.unpack_from("<I", head, 112)[0]
    is_cube, layers = bool(capabilities & _CUBE_MAP), 1
    if head[84:88] == b"DX10" and len(head) == _HEAD_BYTES:
        flags, layers = struct.unpack_from("<II", head, 136)
        is_cube = is_cube or bool(flags & 4)
    if is_cube or capabilities & _VOLUME or layers > 1:
        kind = "cube map" if is_cube else "volume" if capabilities & _VOLUME else f"texture of {layers} layers"
        raise ReadError(f"a DDS {kind} holds more than one picture and cannot be filtered; split it first")
    if mipmaps > 1:
        yield f"the DDS holds {mipmaps - 1} reduced versions of the picture (mipmaps); they are left out"


def _jpeg2000_notes(image: Any, file: BinaryIO) -> Iterator[str]:
    """Count the codestreams of a JPX."""
    count = sum(kind == b"jp2c" for kind, _, _ in boxes(file, 0, file.seek(0, 2)))
    if count > 1:
        yield f"the JPEG 2000 holds {count} pictures; the first is taken"


def _avif_notes(image: Any, file: BinaryIO) -> Iterator[str]:
    return _heif_notes("AVIF", file)


def _heic_notes(image: Any, file: BinaryIO) -> Iterator[str]:
    return _heif_notes("HEIC", file)


def _heif_notes(name: str, file: BinaryIO) -> Iterator[str]:
    """Search the items for pictures that neither are the primary one nor belong to it."""
    for kind, start, end in boxes(file, 0, file.seek(0, 2)):
        if kind == b"meta" and end - start <= _META_BYTES:
            file.seek(start)
            content = file.read(end - start)
            break
    else:
        return
    parts = dict(boxes_of(content, 4))
    types = dict(_items(parts.get(b"iinf", b"")))
    if b"tmap" in types.values():
        yield f"the {name} holds a gain map, which makes the picture brighter on HDR displays; it is left out"
    primary = parts.get(b"pitm", b"")
    used = {int.from_bytes(primary[4 : 6 if primary[:1] == b"\0" else 8], "big")}
    for kind, source, targets in _references(parts.get(b"iref", b"")):
        used |= {b"dimg": set(targets)}.get(kind, {source})
    others = [item for item, kind in types.items() if kind in _CODED and item not in used]
    if others:
        yield f"the {name} holds {len(others) + 1} pictures; the primary one is taken"


def _items(content: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield number and type of the items in an iinf box."""
    for kind, entry in boxes_of(content, 6 if content[:1] == b"\0" else 8):
        if kind == b"infe" and entry[:1] in (b"\2", b"\3") and len(entry) >= 12:
            wide = entry[:1] == b"\3"
            at = 10 if wide else 8
            yield int.from_bytes(entry[4 : 8 if wide else 6], "big"), entry[at : at + 4]


def _references(content: bytes) -> Iterator[tuple[bytes, int, list[int]]]:
    """Yield kind, source and targets of the references in an iref box."""
    width = 2 if content[:1] == b"\0" else 4
    for kind, entry in boxes_of(content, 4):
        count = int.from_bytes(entry[width : width + 2], "big")
        end = min(width + 2 + width * count, len(entry))
        numbers = (entry[at : at + width] for at in range(width + 2, end, width))
        yield kind, int.from_bytes(entry[:width], "big"), [int.from_bytes(number, "big") for number in numbers]


_NOTES = {
    "ICO": _icon_notes,
    "CUR": _icon_notes,
    "ICNS": _icns_notes,
    "DDS": _texture_notes,
    "JPEG2000": _jpeg2000_notes,
    "AVIF": _avif_notes,
    "HEIC": _heic_notes,
}
