"""Notes on the pictures of a file that are not read: of icons, textures, AVIF, HEIF and JPEG 2000.

DDS: Microsoft's DDS_HEADER and DDS_HEADER_DXT10; HEIF: ISO/IEC 23008-12 (items); JPX: ISO/IEC 15444-2, annex M.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any, BinaryIO

from convfilter.errors import ReadError
from convfilter.picture.pillow.boxes import boxes, boxes_of, meta_boxes, primary_item

_HEAD_BYTES = 148
_ICONS = (b"\0\0\1\0", b"\0\0\2\0", b"icns")
_CUBE_MAP, _VOLUME = 0x200, 0x200000
#: Types of items in HEIF that are pictures.
_PICTURES = (b"av01", b"grid", b"iden", b"iovl", b"hvc1", b"jpeg")


def embedded_sizes(head: bytes, file: BinaryIO) -> Iterator[tuple[int, int]]:
    """Yield the sizes of PNGs and JPEG 2000s within an icon, which may differ from those in its directory.

    Parameters
    ----------
    head : bytes
        The first bytes of the file.
    file : BinaryIO
        Its position does not change.

    Yields
    ------
    (int, int)
        Width and height; nothing for a file that is no icon.
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
        Its position does not change.

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


def _ico_notes(image: Any, file: BinaryIO) -> Iterator[str]:
    yield from _icon_notes(int.from_bytes(file.read(6)[4:], "little"))


def _icns_notes(image: Any, file: BinaryIO) -> Iterator[str]:
    yield from _icon_notes(len(image.info.get("sizes", ())))


def _icon_notes(count: int) -> Iterator[str]:
    if count > 1:
        yield f"the file holds {count} icons; the largest is read"


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
    # Each codestream of a JPX is a picture.
    count = sum(kind == b"jp2c" for kind, _, _ in boxes(file, 0, file.seek(0, 2)))
    if count > 1:
        yield f"the JPEG 2000 holds {count} pictures; the first is read"


def _avif_notes(image: Any, file: BinaryIO) -> Iterator[str]:
    return heif_notes("AVIF", file)


def heif_notes(name: str, file: BinaryIO, *, pictures: int = 1, is_chosen: bool = False) -> Iterator[str]:
    """Yield notes on the gain map of a HEIF or AVIF, and on pictures that are not read.

    Parameters
    ----------
    name : str
        Name of the format.
    file : BinaryIO
        Seekable; its position changes.
    pictures : int
        Number of pictures that the decoder reports; the file may hold more.
    is_chosen : bool
        Whether the user has chosen a picture, rather than the primary one.

    Yields
    ------
    str
    """
    meta = next(meta_boxes(file), {})
    types = dict(_items(meta.get(b"iinf", b"")))
    if b"tmap" in types.values():
        yield gain_map_note(name)
    # Pictures that neither are the primary one nor belong to another, such as tiles and thumbnails.
    used = {primary_item(meta)}
    for kind, source, targets in _references(meta.get(b"iref", b"")):
        used |= set(targets) if kind == b"dimg" else {source}
    count = max(pictures, 1 + sum(kind in _PICTURES and item not in used for item, kind in types.items()))
    if count > 1 and not is_chosen:
        yield f"the {name} holds {count} pictures; the primary one is read"


def gain_map_note(name: str) -> str:
    """Return the note on a gain map, by the name of the format."""
    return f"the {name} holds a gain map, which makes the picture brighter on HDR displays; it is left out"


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
    "ICO": _ico_notes,
    "CUR": _ico_notes,
    "ICNS": _icns_notes,
    "DDS": _texture_notes,
    "JPEG2000": _jpeg2000_notes,
    "AVIF": _avif_notes,
}
