"""The formats that can be written, one row each, and how a file's content tells its format."""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np

from convfilter.picture.picture import Model

#: Sample types from the least to the greatest depth.
_DEPTHS = ("uint8", "uint16", "float32")


class Format(NamedTuple):
    """What a file format can hold.

    Attributes
    ----------
    name : str
        As ``--format`` takes it, in any case.
    suffixes : tuple of str
        With the dot, lower case; the first is the usual one.
    dtypes : tuple of str
        Sample types, a subset of uint8, uint16, float32.
    models : tuple of str
        Colour models.
    alpha : bool
        Whether it holds transparency.
    frames : str
        What more than one picture means: "animation", "pages", or "" where there is only one.
    max_side : int
        Largest width and height, in pixels.
    extras : bool
        Whether it holds bands beside colours and alpha.
    takes : tuple of str
        The fields of ``WriteOptions`` that only some formats know.
    """

    name: str
    suffixes: tuple[str, ...]
    dtypes: tuple[str, ...] = ("uint8",)
    models: tuple[Model, ...] = ("gray", "rgb")
    alpha: bool = False
    frames: Literal["", "animation", "pages"] = ""
    max_side: int = 2**31 - 1
    extras: bool = False
    takes: tuple[str, ...] = ()

    def dtype_for(self, dtype: np.dtype[np.generic]) -> np.dtype[np.generic]:
        """Choose the sample type that keeps most of ``dtype``: itself, or the deepest below, or the least above."""
        wanted = _DEPTHS.index(np.dtype(dtype).name)
        held = [_DEPTHS.index(name) for name in self.dtypes]
        below = [depth for depth in held if depth <= wanted]
        return np.dtype(_DEPTHS[max(below) if below else min(held)])


_EFFORT = ("compression",)
_LOSSY = ("quality", "subsampling", "compression")
FORMATS: tuple[Format, ...] = (
    Format("PNG", (".png", ".apng"), ("uint8", "uint16"), alpha=True, frames="animation", takes=_EFFORT),
    Format("JPEG", (".jpg", ".jpeg", ".jpe", ".jfif"), models=("gray", "rgb", "cmyk"), max_side=65500, takes=_LOSSY),
    Format("TIFF", (".tif", ".tiff"), _DEPTHS, ("gray", "rgb", "cmyk"), True, "pages", extras=True, takes=_EFFORT),
    Format("WebP", (".webp",), alpha=True, frames="animation", max_side=16383, takes=("quality", *_EFFORT)),
    Format("GIF", (".gif",), alpha=True, frames="animation", max_side=65535),
    Format("AVIF", (".avif",), alpha=True, frames="animation", max_side=65536, takes=_LOSSY),
    Format("JPEG2000", (".jp2", ".j2k", ".j2c", ".jpx", ".jpf"), _DEPTHS[:2], alpha=True, takes=("quality",)),
    Format("BMP", (".bmp", ".dib"), alpha=True),
    Format("PNM", (".pnm", ".ppm"), ("uint8", "uint16")),
    Format("PGM", (".pgm",), ("uint8", "uint16"), models=("gray",)),
    Format("PAM", (".pam",), ("uint8", "uint16"), alpha=True),
    Format("PFM", (".pfm",), ("float32",)),
    Format("TGA", (".tga",), alpha=True, max_side=65535),
    Format("PCX", (".pcx",), max_side=65535),
    Format("SGI", (".sgi", ".rgb", ".bw"), max_side=65535),
)

_BY_NAME = {fmt.name.lower(): fmt for fmt in FORMATS}
_BY_SUFFIX = {suffix: fmt for fmt in FORMATS for suffix in fmt.suffixes}


def by_name(name: str) -> Format | None:
    """Find a format by its name or one of its suffixes, with or without the dot: ``jpeg``, ``JPG``, ``.jpg``."""
    name = name.lower()
    return _BY_NAME.get(name) or _BY_SUFFIX.get("." + name.removeprefix("."))


def by_suffix(suffix: str) -> Format | None:
    """Find a format by the suffix of a file name, dot included."""
    return _BY_SUFFIX.get(suffix.lower())


def known_suffixes() -> str:
    """List all suffixes, for a message."""
    return " ".join(sorted(_BY_SUFFIX))


#: (offset, bytes, format): what the first 32 bytes of a file say; the first row that fits wins.
_SIGNATURES: tuple[tuple[int, bytes, str], ...] = (
    (0, b"\x89PNG\r\n\x1a\n", "PNG"),
    (0, b"\xff\xd8\xff", "JPEG"),
    (0, b"II*\0", "TIFF"),
    (0, b"MM\0*", "TIFF"),
    (0, b"II+\0", "TIFF"),
    (0, b"MM\0+", "TIFF"),
    (8, b"WEBP", "WebP"),
    (0, b"GIF87a", "GIF"),
    (0, b"GIF89a", "GIF"),
    (4, b"ftypavif", "AVIF"),
    (4, b"ftypavis", "AVIF"),
    (4, b"ftypmif1", "AVIF"),
    (0, b"BM", "BMP"),
    (0, b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG2000"),
    (0, b"\xff\x4f\xff\x51", "JPEG2000"),
    *((0, b"P" + kind, "PNM") for kind in (b"1", b"2", b"3", b"4", b"5", b"6")),
    (0, b"P7\n", "PAM"),
    (0, b"Pf", "PFM"),
    (0, b"PF", "PFM"),
    (0, b"\x0a\x05\x01", "PCX"),
    (0, b"\x01\xda", "SGI"),
    (0, b"8BPS", "PSD"),
)
#: One of these follows the two letters of a PNM or PFM.
_BLANKS = (b" ", b"\t", b"\r", b"\n", b"#")


def sniff(head: bytes) -> str | None:
    """Tell the format from the first 32 bytes of a file, or None."""
    for offset, signature, name in _SIGNATURES:
        if head[offset : offset + len(signature)] == signature:
            if name in ("PNM", "PFM") and head[2:3] not in _BLANKS:
                continue
            return name
    return None
