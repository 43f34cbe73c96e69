"""QOI writer, through imagecodecs; Pillow reads the format."""

from __future__ import annotations

from typing import BinaryIO

from convfilter.picture import colour
from convfilter.picture.options import WriteOptions
from convfilter.picture.picture import Picture


def write_qoi(file: BinaryIO, picture: Picture, options: WriteOptions) -> None:
    """Write a QOI, which holds RGB and RGBA; a ``Writer``."""
    import imagecodecs

    file.write(imagecodecs.qoi_encode(colour.rgb_of(picture.pixels, picture.model, picture.alpha)))
