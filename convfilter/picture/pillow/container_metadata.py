"""Metadata that Pillow does not report, read from the structure of a file."""

from __future__ import annotations

import struct
from typing import BinaryIO

from convfilter.picture import trailing_data
from convfilter.picture.loss import Loss
from convfilter.picture.metadata.metadata import Metadata, Text
from convfilter.picture.pillow import avif, bmp, gif, jp2, tga, webp

#: Code points that mean the same as none: sRGB, or BT.709 or unspecified primaries with an unspecified curve.
_DEFAULT_CODE_POINTS = ((1, 13), (1, 2), (2, 13), (2, 2))


def add_metadata(metadata: Metadata, file: BinaryIO, name: str) -> list[Loss]:
    """Add metadata from the structure of a file.

    Parameters
    ----------
    metadata : Metadata
        Metadata from Pillow; changed in place.
    file : BinaryIO
        Seekable; its position does not change.
    name : str
        Name of the format.

    Returns
    -------
    list of Loss
        Contents of the file that are not read.
    """
    position = file.tell()
    try:
        lost = trailing_data.losses(file, name, trailing_data.end_of(file, name))
        if name in _ADD:
            file.seek(0)
            lost += [Loss(text) for text in _ADD[name](metadata, file)]
        return lost
    finally:
        file.seek(position)


def _add_of_gif(metadata: Metadata, file: BinaryIO) -> list[str]:
    content = gif.read_metadata(file)
    metadata.text = [Text("Comment", comment) for comment in content.comments]
    metadata.xmp, metadata.icc = content.xmp, content.icc
    if content.aspect:
        metadata.png.append((b"pHYs", struct.pack(">IIB", 64, content.aspect, 0)))
    listed = ", ".join(content.others)
    return [f"the GIF has blocks that are left out: {listed}"] if listed else []


def _add_of_jpeg2000(metadata: Metadata, file: BinaryIO) -> list[str]:
    listed = ", ".join(jp2.add_metadata(metadata, file))
    return [f"the JPEG 2000 has boxes that are left out: {listed}"] if listed else []


def _add_of_avif(metadata: Metadata, file: BinaryIO) -> list[str]:
    colours = avif.colours(file)
    is_default = colours.cicp is None or tuple(colours.cicp[:2]) in _DEFAULT_CODE_POINTS
    chunks = ((b"cICP", None if is_default else colours.cicp), (b"mDCV", colours.mastering), (b"cLLI", colours.light))
    metadata.png += [(kind, data) for kind, data in chunks if data]
    return []


def _add_of_webp(metadata: Metadata, file: BinaryIO) -> list[str]:
    listed = ", ".join(webp.other_chunks(file))
    return [f"the WebP has chunks that are left out: {listed}"] if listed else []


def _add_of_bmp(metadata: Metadata, file: BinaryIO) -> list[str]:
    metadata.icc, problem = bmp.colours(file)
    return [problem] if problem else []


def _add_of_tga(metadata: Metadata, file: BinaryIO) -> list[str]:
    metadata.text, metadata.associated_alpha = tga.read_metadata(file)
    return []


_ADD = {
    "BMP": _add_of_bmp,
    "TGA": _add_of_tga,
    "GIF": _add_of_gif,
    "JPEG2000": _add_of_jpeg2000,
    "AVIF": _add_of_avif,
    "HEIC": _add_of_avif,
    "WebP": _add_of_webp,
}
