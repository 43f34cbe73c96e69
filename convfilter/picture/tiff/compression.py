"""The compressions of a TIFF that is written. TIFF 6.0 (Adobe, 1992); numbers registered by Adobe and libtiff."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from convfilter.picture.metadata.metadata import Metadata
from convfilter.picture.options import EFFORTS, WriteOptions

#: Numbers of compressions, by name.
CODES = {"none": 1, "lzw": 5, "deflate": 8, "zip": 8, "packbits": 32773, "zstd": 50000}
#: Compressions that a predictor improves.
PREDICTED = ("lzw", "deflate", "zip", "zstd")
#: Levels of libdeflate by effort: 1 takes a seventh of zlib's time at level 6, for files 2 % larger (photos) to 11 %
#: (blurred pictures).
_DEFLATE_LEVELS = {"default": 1, "best": 10}
_ZSTD_LEVELS = {"fast": 1, "default": 3, "best": 19}


def compression_of(metadata: Metadata, options: WriteOptions) -> str:
    """Return the name of the compression of strips and tiles, a key of ``CODES``.

    The requested compression comes first, then that of the TIFF that was read, then Deflate. A requested effort also
    compresses the result of an uncompressed TIFF.
    """
    if options.compression in CODES:
        return options.compression
    has_effort = options.compression != "default"
    is_kept = metadata.compression in CODES and not (has_effort and metadata.compression == "none")
    return metadata.compression if is_kept else "deflate"


def encoder(compression: str, effort: str) -> Callable[[Any], bytes]:
    """Return the function that compresses the bytes of a strip or tile.

    Parameters
    ----------
    compression : str
        A key of ``CODES``.
    effort : str
        "fast", "default" or "best", for Deflate and Zstandard; other texts mean "default".

    Returns
    -------
    callable
        bytes-like -> bytes.
    """
    import imagecodecs

    effort = effort if effort in EFFORTS else "default"
    match compression:
        case "none":
            return bytes
        case "lzw":
            return lambda data: bytes(imagecodecs.lzw_encode(data))
        case "zstd":
            return lambda data: bytes(imagecodecs.zstd_encode(data, level=_ZSTD_LEVELS[effort]))
        case "packbits":
            return lambda data: bytes(imagecodecs.packbits_encode(data))
    if effort == "fast":
        from isal import isal_zlib

        return lambda data: isal_zlib.compress(data, 1)
    return lambda data: bytes(imagecodecs.deflate_encode(data, level=_DEFLATE_LEVELS[effort]))
