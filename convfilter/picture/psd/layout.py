"""Header, image resources and layers of a PSD or PSB: the parts that are needed to read the merged picture.

Adobe Photoshop File Formats Specification (2019).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from itertools import islice
from typing import BinaryIO

from convfilter.errors import ReadError
from convfilter.picture.metadata import photoshop
from convfilter.picture.pixels import Model
from convfilter.picture.place.source import size_of
from convfilter.record import NamedTuple

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
#: Modes that can be filtered: colour model, number of stored colour channels, and possible bits of a sample.
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
#: Largest size of the palette or of all image resources.
_MOST_RESOURCE_BYTES = 64 * 2**20
#: Numbers of image resources.
_ALPHA_NAMES, _UNICODE_ALPHA_NAMES, _ALPHA_IDENTIFIERS = 1006, 1045, 1053
_VERSION_INFO = 1057
#: Blocks after the layers: those with the layers of 16- and 32-bit pictures, and those that mark a merged picture with
#: alpha.
_HIGH_DEPTH_LAYERS = (b"Lr16", b"Lr32")
_MERGED_TRANSPARENCY = (b"Mtrn", b"Mt16", b"Mt32")
#: Blocks whose length is stored in 8 bytes in a PSB.
_LONG_BLOCKS = frozenset(
    (
        *_HIGH_DEPTH_LAYERS,
        *_MERGED_TRANSPARENCY,
        *(b"LMsk", b"Layr", b"Alph", b"FMsk", b"FEid", b"FXid", b"PxSD", b"lnk2", b"lnk3", b"lnkE", b"FELS"),
        *(b"extd", b"extn", b"cinf", b"artd", b"pths"),
    )
)
_MOST_BLOCKS = 10_000


class Header(NamedTuple):
    """The header, the first 26 bytes of a file.

    Attributes
    ----------
    is_big : bool
        Whether the file is a PSB, with larger sizes, rather than a PSD.
    channels : int
        Number of all stored channels.
    height, width : int
        In pixels.
    depth : int
        Bits of a sample: 1, 8, 16 or 32.
    mode : int
        Colour mode, such as ``RGB``.
    """

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
        """Number of stored colour channels; the channels after them are alpha, selections and spot colours."""
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
        Number of layers, including groups.
    has_alpha : bool or None
        Whether the first channel after the colours is the transparency of the merged picture; None if the file does not
        tell, as files without layers do not.
    """

    header: Header
    palette: bytes
    resources: dict[int, bytes]
    layers: int
    has_alpha: bool | None

    @property
    def extra_names(self) -> list[str]:
        """Names of the channels for saved selections and spot colours."""
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
        """Whether the merged picture is stored; it is blank in files saved without "Maximize Compatibility"."""
        info = self.resources.get(_VERSION_INFO, b"")
        return len(info) < 5 or info[4] != 0


def read_header(file: BinaryIO) -> Header:
    """Read the header, and check all but width and height.

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
    """Read the sections between header and pixels; the position afterwards is that of the pixels.

    Raises
    ------
    ReadError
        A section ends beyond the end of the file, or is too large.
    """
    size = size_of(file)
    palette = _section(file, size)
    resources = {each.number: each.data for each in islice(photoshop.parsed(_section(file, size)), _MOST_BLOCKS)}
    length = _length(file, 8 if header.is_big else 4)
    start = file.tell()
    layers, has_alpha = _layers(file, header, start + length) if length else (0, None)
    if start + length > size:
        raise ReadError("the PSD is truncated before its merged picture")
    file.seek(start + length)
    return Document(header, palette if header.mode == INDEXED else b"", resources, layers, has_alpha)


def _length(file: BinaryIO, size: int) -> int:
    """Read a length that is stored in ``size`` bytes."""
    data = file.read(size)
    if len(data) < size:
        raise ReadError("the PSD is truncated before its merged picture")
    return int.from_bytes(data, "big")


def _section(file: BinaryIO, size: int) -> bytes:
    """Read the length of a section, and the section; ``size`` is the size of the file."""
    length = _length(file, 4)
    if file.tell() + length > size:
        raise ReadError("the PSD is truncated before its merged picture")
    if length > _MOST_RESOURCE_BYTES:
        raise ReadError(
            f"the PSD holds {length >> 20} MiB of image resources, {_MOST_RESOURCE_BYTES >> 20} are allowed"
        )
    return file.read(length)


def _layers(file: BinaryIO, header: Header, end: int) -> tuple[int, bool | None]:
    """Return the number of layers, and ``Document.has_alpha``: a negative count marks a picture with alpha."""
    length = _length(file, 8 if header.is_big else 4)
    start = file.tell()
    count = _count(file) if length else 0
    file.seek(start + length)
    has_alpha = count < 0
    if file.tell() + 4 <= end:
        file.seek(int.from_bytes(file.read(4), "big"), 1)
        for key, block_length in _blocks(file, header, end):
            has_alpha = has_alpha or key in _MERGED_TRANSPARENCY
            if key in _HIGH_DEPTH_LAYERS and block_length and not count:
                count = _count(file)
                has_alpha = has_alpha or count < 0
    return abs(count), has_alpha if count or has_alpha else None


def _count(file: BinaryIO) -> int:
    return int.from_bytes(file.read(2), "big", signed=True)


def _blocks(file: BinaryIO, header: Header, end: int) -> Iterator[tuple[bytes, int]]:
    """Yield key and length of each block after the layers, with the file at the content of the block."""
    for _ in range(_MOST_BLOCKS):
        head = file.read(8)
        if file.tell() + 4 > end or head[:4] not in (b"8BIM", b"8B64"):
            return
        length = int.from_bytes(file.read(8 if header.is_big and head[4:] in _LONG_BLOCKS else 4), "big")
        following = file.tell() + length + (-length) % 4
        yield head[4:], length
        file.seek(following)


def _pascal_strings(block: bytes) -> Iterator[str]:
    """Yield strings, each of which follows its length in one byte."""
    at = 0
    while at < len(block):
        yield block[at + 1 : at + 1 + block[at]].decode("latin-1")
        at += 1 + block[at]


def _unicode_strings(block: bytes) -> Iterator[str]:
    """Yield UTF-16 strings, each of which follows its number of code units in four bytes."""
    at = 0
    while at + 4 <= len(block):
        length = 2 * int.from_bytes(block[at : at + 4], "big")
        yield block[at + 4 : at + 4 + length].decode("utf-16-be", "replace").rstrip("\0")
        at += 4 + length
