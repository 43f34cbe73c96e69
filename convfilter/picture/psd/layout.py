"""PSD and PSB: header, image resources and layers, as far as the merged picture needs them.

Adobe Photoshop File Formats Specification (2019).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from itertools import islice
from typing import BinaryIO, NamedTuple

from convfilter.errors import ReadError
from convfilter.picture.metadata import photoshop
from convfilter.picture.pixels import Model
from convfilter.picture.place.source import size_of

BITMAP, GRAYSCALE, INDEXED, RGB, CMYK, MULTICHANNEL, DUOTONE, LAB = 0, 1, 2, 3, 4, 7, 8, 9
_MODE_NAMES = {
    BITMAP: "Bitmap",
    GRAYSCALE: "Grayscale",
    INDEXED: "Indexed Color",
    RGB: "RGB Color",
    CMYK: "CMYK Color",
    MULTICHANNEL: "Multichannel",
    DUOTONE: "Duotone",
    LAB: "Lab Color",
}
#: Colour model, stored channels and possible depths of the modes that can be filtered.
_READABLE: dict[int, tuple[Model, int, tuple[int, ...]]] = {
    BITMAP: ("gray", 1, (1,)),
    GRAYSCALE: ("gray", 1, (8, 16, 32)),
    INDEXED: ("rgb", 1, (8,)),
    RGB: ("rgb", 3, (8, 16, 32)),
    CMYK: ("cmyk", 4, (8, 16)),
    DUOTONE: ("gray", 1, (8, 16)),
}
_HEADER = struct.Struct(">4sH6xHIIHH")
_MOST_CHANNELS = 56
_MOST_RESOURCE_BYTES = 64 * 2**20
_ALPHA_NAMES, _UNICODE_ALPHA_NAMES, _ALPHA_IDENTIFIERS = 1006, 1045, 1053
_VERSION_INFO = 1057
#: Blocks after the layers: those of deep pictures contain the layers; the others tell that the merged picture has
#: alpha.
_DEEP_LAYERS = (b"Lr16", b"Lr32")
_MERGED_TRANSPARENCY = (b"Mtrn", b"Mt16", b"Mt32")
#: Blocks whose length takes 8 bytes in a PSB.
_LONG_BLOCKS = frozenset(
    (
        *_DEEP_LAYERS,
        *_MERGED_TRANSPARENCY,
        *(b"LMsk", b"Layr", b"Alph", b"FMsk", b"FEid", b"FXid", b"PxSD", b"lnk2", b"lnk3", b"lnkE", b"FELS"),
        *(b"extd", b"extn", b"cinf", b"artd", b"pths"),
    )
)
_MOST_BLOCKS = 10_000


class Header(NamedTuple):
    """The first 26 bytes."""

    is_big: bool
    channels: int
    height: int
    width: int
    depth: int
    mode: int

    @property
    def model(self) -> Model:
        """Colour model of the result."""
        return _READABLE[self.mode][0]

    @property
    def colours(self) -> int:
        """Number of stored colour channels; those behind are alpha, selections and spot colours."""
        return _READABLE[self.mode][1]

    @property
    def row_bytes(self) -> int:
        """Bytes of one row of one channel."""
        return (self.width * self.depth + 7) // 8


class Document(NamedTuple):
    """Contents of the sections before the pixels.

    Attributes
    ----------
    header : Header
    palette : bytes
        768 bytes, all reds first; empty unless the mode is Indexed Color.
    resources : dict of int to bytes
        Image resources by number.
    layers : int
        Number of layers, groups counted too.
    has_alpha : bool or None
        Whether the first channel behind the colours is the transparency of the
        merged picture; None: unknown, without layers, as from another program.
    """

    header: Header
    palette: bytes
    resources: dict[int, bytes]
    layers: int
    has_alpha: bool | None

    @property
    def extra_names(self) -> list[str]:
        """Names of saved selections and spot colours."""
        block = self.resources.get(_UNICODE_ALPHA_NAMES)
        names = _pascal_strings(self.resources.get(_ALPHA_NAMES, b"")) if block is None else _unicode_strings(block)
        return list(islice(names, _MOST_CHANNELS))

    @property
    def names_extras(self) -> bool:
        """Whether the file names its extra channels as saved selections or spot colours."""
        identifiers = self.resources.get(_ALPHA_IDENTIFIERS, b"")
        return bool(identifiers.strip(b"\0")) or bool(self.extra_names)

    @property
    def has_merged_picture(self) -> bool:
        """False for a file saved without "Maximize Compatibility": its merged picture is blank."""
        info = self.resources.get(_VERSION_INFO, b"")
        return len(info) < 5 or info[4] != 0


def read_header(file: BinaryIO) -> Header:
    """Read the header and check everything but the size.

    Raises
    ------
    ReadError
        The header is damaged, or the mode or depth cannot be filtered.
    """
    data = file.read(_HEADER.size)
    if len(data) < _HEADER.size:
        raise ReadError("the PSD is truncated in its header")
    _, version, channels, height, width, depth, mode = _HEADER.unpack(data)
    name = _MODE_NAMES.get(mode)
    if version not in (1, 2) or name is None or depth not in (1, 8, 16, 32):
        raise ReadError(f"the PSD is damaged: version {version}, mode {mode} or {depth} bits do not exist")
    if mode not in _READABLE:
        raise ReadError(f"a PSD of the mode {name} cannot be filtered; convert it to RGB Color or Grayscale first")
    _, colours, depths = _READABLE[mode]
    if depth not in depths:
        raise ReadError(f"a PSD of the mode {name} with {depth} bits cannot be filtered; convert it to 16 bits first")
    if not colours <= channels <= _MOST_CHANNELS:
        raise ReadError(f"the PSD is damaged: {channels} channels in the mode {name}")
    return Header(version == 2, channels, height, width, depth, mode)


def read_document(file: BinaryIO, header: Header) -> Document:
    """Read the sections between header and pixels; the file ends up at the pixels.

    Raises
    ------
    ReadError
        A section lies beyond the end of the file.
    """
    size = size_of(file)
    palette = _section(file, size)
    resources = {each.number: each.data for each in islice(photoshop.parsed(_section(file, size)), _MOST_BLOCKS)}
    length = _length(file, 8 if header.is_big else 4)
    start = file.tell()
    layers, has_alpha = _layers(file, header, start + length) if length else (0, None)
    if start + length > size:
        raise ReadError("the PSD is truncated in front of its merged picture")
    file.seek(start + length)
    return Document(header, palette if header.mode == INDEXED else b"", resources, layers, has_alpha)


def _length(file: BinaryIO, width: int) -> int:
    data = file.read(width)
    if len(data) < width:
        raise ReadError("the PSD is truncated in front of its merged picture")
    return int.from_bytes(data, "big")


def _section(file: BinaryIO, size: int) -> bytes:
    """Read a section and its length."""
    length = _length(file, 4)
    if file.tell() + length > size:
        raise ReadError("the PSD is truncated in front of its merged picture")
    if length > _MOST_RESOURCE_BYTES:
        raise ReadError(
            f"the PSD holds {length >> 20} MiB of image resources, {_MOST_RESOURCE_BYTES >> 20} are allowed"
        )
    return file.read(length)


def _layers(file: BinaryIO, header: Header, end: int) -> tuple[int, bool | None]:
    """Return the number of layers; a negative count marks a merged picture with transparency."""
    width = 8 if header.is_big else 4
    length = _length(file, width)
    start = file.tell()
    count = _count(file) if length else 0
    file.seek(start + length)
    has_alpha = count < 0
    if file.tell() + 4 <= end:
        file.seek(int.from_bytes(file.read(4), "big"), 1)
        for key, block_length in _blocks(file, header, end):
            has_alpha = has_alpha or key in _MERGED_TRANSPARENCY
            if key in _DEEP_LAYERS and block_length and not count:
                count = _count(file)
                has_alpha = has_alpha or count < 0
    return abs(count), has_alpha if count or has_alpha else None


def _count(file: BinaryIO) -> int:
    return int.from_bytes(file.read(2), "big", signed=True)


def _blocks(file: BinaryIO, header: Header, end: int) -> Iterator[tuple[bytes, int]]:
    """Yield key and length of the blocks after the layers, with the file at the content."""
    for _ in range(_MOST_BLOCKS):
        head = file.read(8)
        if file.tell() + 4 > end or head[:4] not in (b"8BIM", b"8B64"):
            return
        length = int.from_bytes(file.read(8 if header.is_big and head[4:] in _LONG_BLOCKS else 4), "big")
        following = file.tell() + length + (-length) % 4
        yield head[4:], length
        file.seek(following)


def _pascal_strings(block: bytes) -> Iterator[str]:
    at = 0
    while at < len(block):
        yield block[at + 1 : at + 1 + block[at]].decode("latin-1")
        at += 1 + block[at]


def _unicode_strings(block: bytes) -> Iterator[str]:
    at = 0
    while at + 4 <= len(block):
        length = 2 * int.from_bytes(block[at : at + 4], "big")
        yield block[at + 4 : at + 4 + length].decode("utf-16-be", "replace").rstrip("\0")
        at += 4 + length
