"""Parameters of the JPEG encoders: tables, subsampling and metadata."""

from __future__ import annotations

from typing import Any

from convfilter.picture.metadata.metadata import Metadata
from convfilter.picture.metadata.pillow_info import jpeg_parameters
from convfilter.picture.options import DEFAULT_QUALITY, WriteOptions
from convfilter.record import replace

_SUBSAMPLINGS = {"4:4:4": 0, "4:2:2": 1, "4:2:0": 2}


def parameters_of(metadata: Metadata, options: WriteOptions) -> dict[str, Any]:
    """Return arguments of Pillow's ``save``.

    The tables and subsampling of a source JPEG are kept unless the options give a quality or a subsampling.
    """
    parameters = jpeg_parameters(metadata)
    source = metadata.jpeg
    if options.quality is None and source and sorted(source.quantization) == list(range(len(source.quantization))):
        parameters["qtables"] = source.quantization
        parameters["quality"] = -1
    else:
        parameters["quality"] = DEFAULT_QUALITY if options.quality is None else options.quality
    if options.subsampling is not None:
        parameters["subsampling"] = _SUBSAMPLINGS[options.subsampling]
    elif source and source.subsampling >= 0:
        parameters["subsampling"] = source.subsampling
    parameters["progressive"] = options.effort == "best" or bool(source and source.progressive)
    parameters["optimize"] = options.effort == "best"
    return parameters


def with_size(metadata: Metadata, height: int, width: int) -> Metadata:
    """Return the metadata with the size of the picture in the EXIF block."""
    if metadata.exif:
        from convfilter.picture.metadata import exif

        return replace(metadata, exif=exif.with_size(metadata.exif, width, height))
    return metadata
