"""JPEG 2000, AVIF and SGI of other depths than 8 bits.

Pillow would silently reduce more bits, which imagecodecs decodes as it does a JPEG 2000 with subsampled chrominance,
and leave white below 255 in a JPEG 2000 of fewer bits.

ISO/IEC 15444-1, annex A.5.1 (SIZ marker segment); AV1 Codec ISO Media File Format Binding 1.3, section 2.3 (av1C box).
"""

from __future__ import annotations

from typing import BinaryIO

import numpy as np

from convfilter.errors import ReadError
from convfilter.picture import colour
from convfilter.picture.pixels import Pixels

#: Formats of which Pillow reduces the depth.
FORMATS = ("JPEG2000", "AVIF", "SGI")
_CODESTREAM = b"\xff\x4f\xff\x51"
#: Bytes of a file that are searched for its codestream or its av1C box.
_SEARCH_BYTES = 1 << 20
_SIGNED = 0x80
_BYTE_BITS, _BYTE_VALUES = 8, 256
_SGI_BYTES_AT = 3
_HIGH_BITDEPTH, _TWELVE_BIT, _MONOCHROME = 0x40, 0x20, 0x10


def bits_of(file: BinaryIO, name: str) -> int:
    """Return the largest number of bits of a sample; ``name`` is one of ``FORMATS``. The position does not change.

    Raises
    ------
    ReadError
        The samples are signed, or the header is damaged.
    """
    head = _head_of(file)
    if name == "SGI":
        return 8 * head[_SGI_BYTES_AT]
    return max(_jpeg2000_depths(head)) if name == "JPEG2000" else _avif_bits(head)


def _head_of(file: BinaryIO) -> bytes:
    position = file.tell()
    file.seek(0)
    head = file.read(_SEARCH_BYTES)
    file.seek(position)
    return head


def _jpeg2000_components(head: bytes) -> bytes:
    """Return depth, horizontal and vertical distance of the samples of each component, a byte each."""
    start = head.find(_CODESTREAM)
    size = head[start + 4 :]
    count = int.from_bytes(size[36:38], "big")
    components = size[38 : 38 + 3 * count]
    if start < 0 or not 0 < count <= 16384 or len(components) < 3 * count:
        raise ReadError("the JPEG 2000 is damaged: it has no size marker")
    return components


def is_subsampled(file: BinaryIO) -> bool:
    """Whether a component of a JPEG 2000 has a lower resolution: Pillow misplaces its samples if a size is odd.

    The position does not change.
    """
    components = _jpeg2000_components(_head_of(file))
    return max(components[1::3] + components[2::3]) > 1


def _jpeg2000_depths(head: bytes) -> list[int]:
    depths = _jpeg2000_components(head)[::3]
    if any(depth & _SIGNED for depth in depths):
        raise ReadError("a JPEG 2000 of signed samples cannot be filtered; convert it to TIFF first")
    return [depth + 1 for depth in depths]


def stretched(pixels: Pixels, file: BinaryIO) -> tuple[Pixels, list[str]]:
    """Scale the samples of a JPEG 2000 of fewer than 8 bits, which Pillow has shifted up, so that white becomes 255.

    Parameters
    ----------
    pixels : (H, W) or (H, W, C) array of uint8
    file : BinaryIO
        Its position does not change.

    Returns
    -------
    pixels : array of uint8
        The input itself if its components have 8 bits, or if there is a palette.
    list of str
        A note, if samples were scaled.
    """
    depths = _jpeg2000_depths(_head_of(file))
    planes = np.atleast_3d(pixels)
    if min(depths) >= _BYTE_BITS or len(depths) != planes.shape[2]:
        return pixels, []
    values = np.arange(_BYTE_VALUES)
    for channel, bits in enumerate(depths):
        white = _BYTE_VALUES - 2 ** (_BYTE_BITS - bits)
        table = np.minimum(np.rint(values * (255 / white)), 255).astype(np.uint8)
        planes[..., channel] = table[planes[..., channel]]
    bits = min(depths)
    return pixels, [f"the JPEG 2000 has {bits}-bit samples; they are read and written in 8 bits, {2**bits - 1} as 255"]


def is_monochrome(file: BinaryIO) -> bool:
    """Whether the first picture in an AVIF, usually not its alpha, is grey; the position does not change."""
    return bool(_avif_flags(_head_of(file)) & _MONOCHROME)


def _avif_flags(head: bytes) -> int:
    """Return the flags of the first av1C box, 0 without one."""
    start = head.find(b"av1C")
    return head[start + 6] if 0 <= start < len(head) - 6 else 0


def _avif_bits(head: bytes) -> int:
    flags = _avif_flags(head)
    return 12 if flags & _TWELVE_BIT else 10 if flags & _HIGH_BITDEPTH else 8


def decode(
    file: BinaryIO, name: str, bits: int, frames: int = 1, *, lenient: bool = False
) -> tuple[list[Pixels], int | None]:
    """Decode all frames and channels of a picture of 9 to 16 bits.

    Parameters
    ----------
    file : BinaryIO
        Seekable; its position changes.
    name : str
        One of ``FORMATS``.
    bits : int
        From :func:`bits_of`.
    frames : int
        Number of frames in an AVIF.
    lenient : bool
        Decode the readable part of a damaged SGI.

    Returns
    -------
    pixels : list of (H, W) or (H, W, C) arrays of uint16
    white : int, or None
        See ``Picture.white``.

    Raises
    ------
    ReadError
        Samples have more than 16 bits, or the array is not (frames, H, W) or (frames, H, W, 1 to 4 channels).
    """
    if name == "SGI":
        from convfilter.picture.pillow import sgi

        file.seek(0)
        return [sgi.decode(file.read(), lenient=lenient)], None
    import imagecodecs

    if bits > 16:
        raise ReadError(f"{name} samples must have up to 16 bits to be filtered, got {bits}; convert them first")
    file.seek(0)
    decode = imagecodecs.jpeg2k_decode if name == "JPEG2000" else imagecodecs.avif_decode
    samples = decode(file.read())
    stack = samples if frames > 1 else samples[np.newaxis]
    if stack.ndim not in (3, 4) or len(stack) != frames or not 1 <= (*stack.shape, 1)[3] <= 4:
        raise ReadError(
            f"a {name} must have {frames} frame{'s' * (frames > 1)} of 1 to 4 channels to be filtered, got an array of "
            f"the shape {samples.shape}"
        )
    largest = 2**bits - 1
    stack, white = colour.as_stored(np.minimum(stack, largest), largest)
    return [each[:, :, 0] if each.shape[2:] == (1,) else each for each in stack], white
