"""Decoder of a PSD's merged pixels: plane after plane, uncompressed, in PackBits or deflated."""

from __future__ import annotations

import zlib
from typing import BinaryIO

import numpy as np

from convfilter.errors import DECODE_THE_REST, ReadError
from convfilter.picture.pixels import Pixels
from convfilter.picture.place.source import size_of
from convfilter.picture.psd.layout import Header

_RAW, _PACKBITS, _DEFLATED, _PREDICTED = range(4)


def read_planes(file: BinaryIO, header: Header, count: int, *, lenient: bool) -> tuple[Pixels, str]:
    """Decode the first planes of the merged picture.

    Parameters
    ----------
    file : BinaryIO
        At the pixels, after the sections that ``layout.read_document`` reads.
    header : Header
    count : int
        Number of planes to decode.
    lenient : bool
        Whether damaged or missing rows become zero instead of an error.

    Returns
    -------
    planes : (count, H, row bytes) array of uint8
    problem : str
        Note on damage; "" for a complete picture.

    Raises
    ------
    ReadError
        The pixels are truncated or damaged, or compressed in an unknown way.
    """
    compression = int.from_bytes(file.read(2), "big")
    if compression == _PACKBITS:
        planes, problem = _unpacked(file, header, count)
    elif compression in (_DEFLATED, _PREDICTED):
        planes, problem = _inflated(file, header, count)
    elif compression == _RAW:
        planes, problem = _filled(file.read(count * header.height * header.row_bytes), header, count)
    else:
        raise ReadError(f"the PSD is damaged: compression {compression} does not exist")
    if problem and not lenient:
        raise ReadError(problem, remedy=DECODE_THE_REST)
    if compression == _PREDICTED:
        planes = _without_predictor(planes, header)
    return planes, problem


def _shape(header: Header, count: int) -> tuple[int, int, int]:
    return count, header.height, header.row_bytes


def _filled(data: bytes, header: Header, count: int) -> tuple[Pixels, str]:
    """Return (count, H, row bytes) planes, in which missing bytes are zero, and a note on damage."""
    needed = count * header.height * header.row_bytes
    problem = "" if len(data) >= needed else f"the PSD is truncated: {len(data)} of {needed} bytes of pixels are there"
    return np.frombuffer(data.ljust(needed, b"\0"), np.uint8).reshape(_shape(header, count)), problem


def _unpacked(file: BinaryIO, header: Header, count: int) -> tuple[Pixels, str]:
    """Decode PackBits: a table with the packed size of every row of every channel, then the rows."""
    import imagecodecs

    entry = 4 if header.is_big else 2
    table = file.read(entry * header.height * header.channels)
    if len(table) < entry * header.height * header.channels:
        raise ReadError("the PSD is truncated before its pixels")
    sizes = np.frombuffer(table, f">u{entry}").astype(np.int64)[: count * header.height]
    left = size_of(file) - file.tell()
    planes = np.zeros(_shape(header, count), np.uint8)
    lost = 0
    for row, size in zip(planes.reshape(-1, header.row_bytes), sizes.tolist(), strict=True):
        left -= size
        try:
            data = imagecodecs.packbits_decode(file.read(size) if left >= 0 else b"", out=header.row_bytes)
        except imagecodecs.PackbitsError:
            data = b""
        if len(data) == header.row_bytes:
            row[:] = np.frombuffer(data, np.uint8)
        else:
            lost += 1
    problem = f"the PSD is truncated or damaged: {lost} of {len(sizes)} rows of pixels cannot be decoded"
    return planes, problem if lost else ""


def _inflated(file: BinaryIO, header: Header, count: int) -> tuple[Pixels, str]:
    """Inflate the first ``count`` planes only."""
    needed = count * header.height * header.row_bytes
    try:
        data = zlib.decompressobj().decompress(file.read(), needed)
    except zlib.error as error:
        raise ReadError(f"the PSD is damaged: its pixels do not decompress ({error})") from error
    return _filled(data, header, count)


def _without_predictor(planes: Pixels, header: Header) -> Pixels:
    """Undo the predictor, which stores each sample as the difference from its left neighbour.

    A row of 32-bit floats holds the first bytes of all samples, then all second bytes, and so on, and the predictor
    works on bytes.
    """
    if header.depth == 16:
        return np.cumsum(planes.view(">u2"), axis=2, dtype=np.uint16).astype(">u2").view(np.uint8)
    planes = np.cumsum(planes, axis=2, dtype=np.uint8)
    if header.depth == 32:
        planes = planes.reshape(*planes.shape[:2], 4, header.width).swapaxes(2, 3).reshape(planes.shape)
    return np.ascontiguousarray(planes)
