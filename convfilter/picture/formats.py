"""The formats that can be written, one row each, and how a file's content tells its format."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np

from convfilter.picture.picture import Model
from convfilter.record import record

#: Sample types from the least to the greatest depth.
_DEPTHS = ("uint8", "uint16", "float32")


@record
class Holds:
    """What a format can say beside its samples; ``NAMES`` has the words for messages.

    Attributes
    ----------
    icc : bool
        ICC profile.
    cicp : bool
        Code points of ITU-T H.273 for primaries and tone curve: PNG's cICP, AVIF's nclx.
    primaries : bool
        PNG's gAMA and cHRM.
    light : bool
        Luminance of the mastering display and of the content: PNG's mDCV and cLLI.
    exif, xmp, iptc : bool
    photoshop : bool
        Image resources.
    resolution : bool
        Dots per inch.
    aspect : bool
        Ratio of a pixel's sides, without a unit.
    background : bool
        Colour to show a transparent picture on.
    time : bool
        When the picture was changed last.
    loop : bool
        How often an animation plays.
    thumbnail : bool
        A small version of the picture, in EXIF.
    geo : bool
        GeoTIFF's fields: pixel scale, tie points, transformation, projection.
    nodata : bool
        The value of samples that say nothing, as GDAL stores it.
    gdal : bool
        GDAL's own metadata.
    layout : bool
        Dimensions of a stack, and lengths of pixels in units of their own, as ImageJ and OME describe them.
    page_names, page_texts : bool
        Names and numbers of pages; descriptions, profiles and the like of pages behind the first.
    private : bool
        Fields that only other programs understand.
    text : tuple of str
        Keywords of remarks that have a place of their own; ``ANY_TEXT``: all keywords.
    """

    icc: bool = False
    cicp: bool = False
    primaries: bool = False
    light: bool = False
    exif: bool = False
    xmp: bool = False
    iptc: bool = False
    photoshop: bool = False
    resolution: bool = False
    aspect: bool = False
    background: bool = False
    time: bool = False
    loop: bool = False
    thumbnail: bool = False
    geo: bool = False
    nodata: bool = False
    gdal: bool = False
    layout: bool = False
    page_names: bool = False
    page_texts: bool = False
    private: bool = False
    text: tuple[str, ...] = ()


ANY_TEXT = ("*",)
#: The fields of ``Holds`` in the order of messages, and what messages call them.
NAMES = {
    "icc": "a colour profile",
    "cicp": "a description of its colours",
    "primaries": "gamma and primaries (gAMA, cHRM)",
    "light": "light levels (mDCV, cLLI)",
    "exif": "EXIF",
    "xmp": "XMP",
    "iptc": "IPTC",
    "photoshop": "Photoshop resources",
    "text": "remarks",
    "resolution": "a resolution",
    "aspect": "an aspect ratio of pixels",
    "background": "a background colour",
    "time": "the time of the last change",
    "loop": "how often an animation plays",
    "thumbnail": "a thumbnail",
    "geo": "position and projection (GeoTIFF)",
    "nodata": "a nodata value",
    "gdal": "GDAL metadata",
    "layout": "the dimensions of a stack (ImageJ, OME)",
    "page_names": "names of pages",
    "page_texts": "descriptions of further pages",
    "private": "tags of other programs",
}


@record
class Format:
    """What a file format can hold: all facts from which options, checks and losses are derived.

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
    alpha : str
        Transparency: "full", "binary" (a pixel is opaque or clear), or "" for none.
    premultiplied : bool
        Colours may be stored multiplied with their opacity.
    frames : str
        What more than one picture means: "animation", "pages", or "" where there is only one.
    colours : int
        Largest number of colours of a frame; 0 for any number.
    ticks : int
        Steps in a second in which delays are counted; 0 for any fraction.
    longest : float
        Longest delay, in seconds.
    max_side : int
        Largest width and height, in pixels.
    extras : bool
        Whether it holds bands beside colours and alpha.
    whites : str
        Which values of white it holds beside the full range of its sample types: those of 9 to 15 "bits", "any" or
        "" for none.
    most_exif, most_xmp : int
        Longest EXIF block and XMP packet in one piece, in bytes.
    takes : tuple of str
        The fields of ``WriteOptions`` that only some formats know.
    holds : Holds
        Metadata.
    """

    name: str
    suffixes: tuple[str, ...]
    dtypes: tuple[str, ...] = ("uint8",)
    models: tuple[Model, ...] = ("gray", "rgb")
    alpha: Literal["", "binary", "full"] = ""
    premultiplied: bool = False
    frames: Literal["", "animation", "pages"] = ""
    colours: int = 0
    ticks: int = 0
    longest: float = math.inf
    max_side: int = 2**31 - 1
    extras: bool = False
    whites: Literal["", "bits", "any"] = ""
    most_exif: int = 2**32
    most_xmp: int = 2**32
    takes: tuple[str, ...] = ()
    holds: Holds = Holds()

    def white_for(self, dtype: np.dtype[np.generic], white: int | None) -> int | None:
        """Choose the value of white for samples stored as ``dtype``: ``white`` if it can be kept, else None."""
        if white is None or dtype.kind != "u" or white >= int(np.iinfo(dtype.name).max):
            return None
        is_held = self.whites == "any" or (self.whites == "bits" and dtype == np.uint16 and not white & (white + 1))
        return white if is_held else None

    def dtype_for(self, dtype: np.dtype[np.generic]) -> np.dtype[np.generic]:
        """Choose the sample type that keeps most of ``dtype``: itself, or the deepest below, or the least above."""
        wanted = _DEPTHS.index(np.dtype(dtype).name)
        held = [_DEPTHS.index(name) for name in self.dtypes]
        below = [depth for depth in held if depth <= wanted]
        return np.dtype(_DEPTHS[max(below) if below else min(held)])


_ALL_MODELS: tuple[Model, ...] = ("gray", "rgb", "cmyk")
_EFFORT = ("compression",)
_LOSSY = ("quality", "subsampling", "compression")
_SIXTEEN = ("uint8", "uint16")
FORMATS: tuple[Format, ...] = (
    Format(
        "PNG",
        (".png", ".apng"),
        dtypes=_SIXTEEN,
        alpha="full",
        frames="animation",
        takes=_EFFORT,
        holds=Holds(
            icc=True, cicp=True, primaries=True, light=True, exif=True, thumbnail=True, xmp=True, resolution=True,
            aspect=True, background=True, time=True, loop=True, text=ANY_TEXT,
        ),
    ),
    Format(
        "JPEG",
        (".jpg", ".jpeg", ".jpe", ".jfif"),
        models=_ALL_MODELS,
        max_side=65500,
        most_exif=65527,
        most_xmp=65504,
        takes=_LOSSY,
        holds=Holds(
            icc=True, exif=True, thumbnail=True, xmp=True, iptc=True, photoshop=True, resolution=True,
            text=("Comment",),
        ),
    ),
    Format(
        "TIFF",
        (".tif", ".tiff"),
        dtypes=_DEPTHS,
        models=_ALL_MODELS,
        alpha="full",
        premultiplied=True,
        extras=True,
        whites="bits",
        frames="pages",
        takes=_EFFORT,
        holds=Holds(
            icc=True, exif=True, xmp=True, iptc=True, photoshop=True, resolution=True,
            geo=True,
            nodata=True, gdal=True, layout=True, page_names=True, page_texts=True, private=True,
            text=("Description", "Software", "Author", "Copyright", "Title"),
        ),
    ),
    Format(
        "WebP",
        (".webp",),
        alpha="full",
        frames="animation",
        ticks=1000,
        longest=16777.215,
        max_side=16383,
        takes=("quality", *_EFFORT),
        holds=Holds(icc=True, exif=True, thumbnail=True, xmp=True, loop=True),
    ),
    Format(
        "GIF",
        (".gif",),
        alpha="binary",
        frames="animation",
        colours=256,
        ticks=100,
        longest=655.35,
        max_side=65535,
        holds=Holds(icc=True, xmp=True, loop=True, text=("Comment",)),
    ),
    Format(
        "AVIF",
        (".avif",),
        alpha="full",
        frames="animation",
        ticks=1000,
        max_side=65536,
        takes=_LOSSY,
        holds=Holds(icc=True, cicp=True, exif=True, thumbnail=True, xmp=True),
    ),
    Format(
        "JPEG2000",
        (".jp2", ".jpx", ".jpf"),
        dtypes=_SIXTEEN,
        alpha="full",
        premultiplied=True,
        whites="bits",
        takes=("quality",),
        holds=Holds(icc=True, exif=True, thumbnail=True, xmp=True, resolution=True),
    ),
    Format("J2K", (".j2k", ".j2c"), dtypes=_SIXTEEN, alpha="full", whites="bits", takes=("quality",)),
    Format("BMP", (".bmp", ".dib"), alpha="full", holds=Holds(resolution=True)),
    Format("PNM", (".pnm", ".ppm"), dtypes=_SIXTEEN, whites="any"),
    Format("PGM", (".pgm",), dtypes=_SIXTEEN, models=("gray",), whites="any"),
    Format("PAM", (".pam",), dtypes=_SIXTEEN, alpha="full", whites="any"),
    Format("PFM", (".pfm",), dtypes=("float32",)),
    Format("TGA", (".tga",), alpha="full", max_side=65535),
    Format("PCX", (".pcx",), max_side=65535, holds=Holds(resolution=True)),
    Format("SGI", (".sgi", ".rgb", ".bw"), max_side=65535),
)  # fmt: skip

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
    (0, b"\0\0\1\0", "ICO"),
    (0, b"icns", "ICNS"),
    (0, b"DDS ", "DDS"),
    (0, b"qoif", "QOI"),
    (0, b"BLP1", "BLP"),
    (0, b"BLP2", "BLP"),
    (4, b"\x11\xaf", "FLI"),
    (4, b"\x12\xaf", "FLI"),
    (0, b"/* XPM */", "XPM"),
    (0, b"DanM", "MSP"),
    (0, b"LinS", "MSP"),
    (0, b"\xb1\x68\xde\x3a", "DCX"),
    (0, b"\x59\xa6\x6a\x95", "SUN"),
    (0, b"\x80\xe8\0\0", "PIXAR"),
)
#: One of these follows the two letters of a PNM or PFM.
_BLANKS = (b" ", b"\t", b"\r", b"\n", b"#")


_JPEG_LS = b"\xff\xd8\xff\xf7"


def sniff(head: bytes) -> str | None:
    """Tell the format from the first 32 bytes of a file, or None."""
    for offset, signature, name in _SIGNATURES:
        if head[offset : offset + len(signature)] == signature:
            if (name in ("PNM", "PFM") and head[2:3] not in _BLANKS) or head.startswith(_JPEG_LS):
                continue
            return name
    # A HEIF of which AVIF is one of the brands.
    return "AVIF" if head[4:8] == b"ftyp" and b"avif" in (head[at : at + 4] for at in range(16, 32, 4)) else None
