"""Table of formats, one row each, and their detection by name and content.

To add a format, write a module with its reader and writer, and add a row here.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from convfilter.picture.format import ANY_TEXT, Format, Holds
from convfilter.picture.metadata.density import PER_INCH, PER_INCH_OR_CENTIMETRE, PER_METRE
from convfilter.picture.pixels import Model

_ALL_MODELS: tuple[Model, ...] = ("gray", "rgb", "cmyk")
_EFFORT = ("compression",)
_LOSSY = ("quality", "subsampling", "compression")
_INTEGERS = ("uint8", "uint16")
_WITH_FLOATS = ("uint8", "uint16", "float32")
#: Sample types of formats for measurements.
_ALL_DEPTHS = (*_WITH_FLOATS, "int8", "int16", "int32", "uint32", "float64")
_READ_PILLOW, _WRITE_PILLOW = "pillow.read:read_pillow", "pillow.write:write_pillow"
_DICOM_AT, _DICOM = 128, b"DICM"
_PNM: dict[str, Any] = {
    "field": "programs", "reader": "codecs.pnm:read_pnm", "writer": "codecs.pnm:write_pnm",
    "row_writer": "codecs.pnm:row_writer", "in_order": True, "reads_rows": True, "continues": True,
    "holds": Holds(text=("Comment",)),
}  # fmt: skip
_PILLOW: dict[str, Any] = {"field": "programs", "reader": _READ_PILLOW, "writer": _WRITE_PILLOW}


def _read_only(
    name: str, suffixes: tuple[str, ...], *signatures: tuple[int, bytes], instead: str = "png", **properties: Any
) -> Format:
    """Return the row of an old format that only Pillow reads."""
    return Format(
        name, "programs", (), signatures=signatures, reader=_READ_PILLOW, read_suffixes=suffixes, instead=(instead,),
        **properties,
    )  # fmt: skip


#: Formats that can be written come first, in the order in which messages recommend them.
TABLE: tuple[Format, ...] = (
    Format(
        "PNG",
        "web",
        (".png", ".apng"),
        signatures=((0, b"\x89PNG\r\n\x1a\n"),),
        longest=65535,
        reader="png.read:read_png",
        writer="png.write:write_picture",
        row_writer="png.write:row_writer",
        in_order=True,
        row_check="png.write:streaming_obstacle",
        reads_rows=True,
        dtypes=_INTEGERS,
        alpha="full",
        frames="animation",
        fallback=True,
        whole_dots=PER_METRE,
        takes=_EFFORT,
        holds=Holds(
            icc=True, cicp=True, primaries=True, light=True, exif=True, thumbnail=True, xmp=True, resolution=True,
            aspect=True, background=True, time=True, loop=True, text=ANY_TEXT,
        ),
    ),
    Format(
        "JPEG",
        "photos",
        (".jpg", ".jpeg", ".jpe", ".jfif"),
        signatures=((0, b"\xff\xd8\xff"),),
        reader="jpeg.read:read_jpeg",
        writer="jpeg.write:write_jpeg",
        row_writer="jpeg.write:row_writer",
        in_order=True,
        row_check="jpeg.write:streaming_obstacle",
        read_suffixes=(".mpo",),
        instead=("jpg",),
        models=_ALL_MODELS,
        max_side=65500,
        most_exif=65527,
        most_xmp=65504,
        whole_dots=PER_INCH_OR_CENTIMETRE,
        takes=_LOSSY,
        holds=Holds(
            icc=True, exif=True, thumbnail=True, xmp=True, iptc=True, photoshop=True, resolution=True,
            text=("Comment",),
        ),
    ),
    Format(
        "TIFF",
        "science",
        (".tif", ".tiff"),
        signatures=((0, b"II*\0"), (0, b"MM\0*"), (0, b"II+\0"), (0, b"MM\0+")),
        reader="tiff.read:read_tiff",
        writer="tiff.write:write_tiff",
        row_writer="tiff.write:row_writer",
        reads_rows=True,
        dtypes=_ALL_DEPTHS,
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
            nodata=True, gdal=True, layout=True, inks=True, page_names=True, page_texts=True, private=True,
            text=("Description", "Software", "Author", "Copyright", "Title"),
        ),
    ),
    Format(
        "WebP",
        "web",
        (".webp",),
        signatures=((8, b"WEBP"),),
        reader=_READ_PILLOW,
        writer=_WRITE_PILLOW,
        rgb_profiles=True,
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
        "web",
        (".gif",),
        signatures=((0, b"GIF87a"), (0, b"GIF89a")),
        reader=_READ_PILLOW,
        writer="pillow.gif_write:write_gif",
        rgb_profiles=True,
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
        "web",
        (".avif",),
        brands=(b"avif", b"avis"),
        reader=_READ_PILLOW,
        writer="codecs.avif:write_avif",
        dtypes=_INTEGERS,
        depths=(8, 10, 12),
        whites="depths",
        alpha="full",
        frames="animation",
        ticks=1000,
        max_side=32768,
        takes=_LOSSY,
        holds=Holds(icc=True, cicp=True, exif=True, thumbnail=True, xmp=True),
    ),
    Format(
        "JPEG2000",
        "film",
        (".jp2", ".jpx", ".jpf"),
        signatures=((0, b"\0\0\0\x0cjP  \r\n\x87\n"), (0, b"\xff\x4f\xff\x51")),
        reader=_READ_PILLOW,
        writer=_WRITE_PILLOW,
        dtypes=_INTEGERS,
        alpha="full",
        premultiplied=True,
        whites="bits",
        least_dpi=0.1,
        most_dpi=65535,
        takes=("quality",),
        holds=Holds(icc=True, exif=True, thumbnail=True, xmp=True, resolution=True),
    ),
    Format(
        "EXR", "film", (".exr",), signatures=((0, b"\x76\x2f\x31\x01"),), reader="codecs.exr:read_exr",
        writer="codecs.exr:write_exr", needs="OpenEXR", extra="exr", dtypes=("float32",), alpha="full",
        linear=True, premultiplied=True, holds=Holds(cicp=True, primaries=True, aspect=True, exr=True),
    ),
    Format(
        "HDR", "film", (".hdr",), signatures=((0, b"#?RADIANCE"), (0, b"#?RGBE")), reader="codecs.hdr:read_hdr",
        writer="codecs.hdr:write_hdr", dtypes=("float32",), linear=True, only_bt709=True, mantissa=8,
        read_suffixes=(".rgbe", ".pic"), instead=("hdr",), holds=Holds(cicp=True, radiance=True),
    ),
    Format(
        "FITS", "science", (".fits", ".fit", ".fts"), signatures=((0, b"SIMPLE  ="),), reader="codecs.fits:read_fits",
        writer="codecs.fits:write_fits", needs="astropy", extra="fits", dtypes=_ALL_DEPTHS, models=("gray",),
        frames="pages", holds=Holds(header=True),
    ),
    Format(
        "J2K", "film", (".j2k", ".j2c"), reader=_READ_PILLOW, writer=_WRITE_PILLOW, dtypes=_INTEGERS, alpha="full",
        whites="bits", takes=("quality",),
    ),
    Format(
        "JPEGXL",
        "photos",
        (".jxl",),
        signatures=((0, b"\xff\x0a"), (0, b"\0\0\0\x0cJXL \r\n\x87\n")),
        reader="codecs.jxl:read_jxl",
        writer="codecs.jxl:write_jxl",
        dtypes=_WITH_FLOATS,
        alpha="full",
        whites="bits",
        takes=("quality", *_EFFORT),
        holds=Holds(cicp=True, primaries=True, exif=True, thumbnail=True, xmp=True),
    ),
    Format(
        "BMP", "programs", (".bmp", ".dib"), signatures=((0, b"BM"),), reader=_READ_PILLOW,
        writer="pillow.bmp_write:write_bmp", alpha="full",
        whole_dots=PER_METRE, holds=Holds(resolution=True),
    ),
    Format(
        "PNM", suffixes=(".pnm", ".ppm"), signatures=tuple((0, b"P%d" % kind) for kind in range(1, 7)),
        dtypes=_INTEGERS, whites="any", read_suffixes=(".pbm",), instead=("pgm",), **_PNM,
    ),
    Format("PGM", suffixes=(".pgm",), dtypes=_INTEGERS, models=("gray",), whites="any", **_PNM),
    Format("PAM", suffixes=(".pam",), signatures=((0, b"P7\n"),), dtypes=_INTEGERS, alpha="full", whites="any", **_PNM),
    Format(
        "PFM", suffixes=(".pfm",), signatures=((0, b"Pf"), (0, b"PF")), dtypes=("float32",),
        **{**_PNM, "holds": Holds(), "in_order": False},
    ),
    Format(
        "TGA", suffixes=(".tga",), alpha="full", max_side=65535, read_suffixes=(".icb", ".vda", ".vst"),
        instead=("tga",), **_PILLOW,
    ),
    Format(
        "PCX", suffixes=(".pcx",), signatures=((0, b"\x0a\x05\x01"),), max_side=65534,
        whole_dots=PER_INCH, holds=Holds(resolution=True), **_PILLOW,
    ),
    Format("SGI", suffixes=(".sgi", ".rgb", ".bw"), signatures=((0, b"\x01\xda"),), max_side=65535, **_PILLOW),
    Format(
        "QOI", "programs", (".qoi",), signatures=((0, b"qoif"),), reader=_READ_PILLOW, writer="codecs.qoi:write_qoi",
        alpha="full",
    ),
    Format(
        "FARBFELD", "programs", (".ff",), signatures=((0, b"farbfeld"),), reader="codecs.farbfeld:read_farbfeld",
        writer="codecs.farbfeld:write_farbfeld", dtypes=("uint16",), alpha="full",
    ),
    # Formats that can only be read.
    Format(
        "HEIC", "photos", (), reader="codecs.heif:read_heif", read_suffixes=(".heic", ".heif", ".hif"),
        brands=(
            *(b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"heif"),
            *(b"mif1", b"msf1", b"mif2", b"miaf"),
        ),
        instead=("avif", "jpg"), depths=(8, 10, 12), dtypes=_INTEGERS, alpha="full", premultiplied=True, whites="bits",
        holds=Holds(icc=True, cicp=True, exif=True, thumbnail=True, xmp=True),
    ),
    Format(
        "PSD", "print", (), signatures=((0, b"8BPS"),), reader="psd.read:read_psd", read_suffixes=(".psd", ".psb"),
        instead=("tif",), dtypes=_WITH_FLOATS, models=_ALL_MODELS, alpha="full", extras=True,
        holds=Holds(icc=True, exif=True, xmp=True, iptc=True, photoshop=True, resolution=True),
    ),
    Format(
        "DICOM", "science", (), signatures=((_DICOM_AT, _DICOM),), reader="codecs.dicom:read_dicom",
        read_suffixes=(".dcm", ".dicom"), instead=("tif",), needs="pydicom", extra="dicom", dtypes=_ALL_DEPTHS,
        frames="pages", whites="bits", holds=Holds(icc=True, resolution=True),
    ),
    _read_only("ICO", (".ico", ".cur"), (0, b"\0\0\1\0"), alpha="full"),
    _read_only("ICNS", (".icns",), (0, b"icns"), alpha="full"),
    _read_only("DDS", (".dds",), (0, b"DDS "), alpha="full"),
    _read_only("BLP", (".blp",), (0, b"BLP1"), (0, b"BLP2"), alpha="full"),
    _read_only("FLI", (".fli", ".flc"), (4, b"\x11\xaf"), (4, b"\x12\xaf"), instead="gif", frames="animation"),
    _read_only("XPM", (".xpm",), (0, b"/* XPM */"), alpha="full"),
    _read_only("XBM", (".xbm",), instead="pgm", models=("gray",)),
    _read_only("MSP", (".msp",), (0, b"DanM"), (0, b"LinS"), instead="pgm", models=("gray",)),
    _read_only("DCX", (".dcx",), (0, b"\xb1\x68\xde\x3a"), instead="tif", frames="pages"),
    _read_only("SUN", (".ras", ".sun"), (0, b"\x59\xa6\x6a\x95")),
    _read_only("PIXAR", (".pxr",), (0, b"\x80\xe8\0\0")),
    _read_only("IM", (".im",), instead="tif", frames="pages"),
    _read_only("GBR", (".gbr",), alpha="full"),
)  # fmt: skip
#: The formats that can be written.
FORMATS = tuple(fmt for fmt in TABLE if fmt.writer)

_ROWS = {fmt.name: fmt for fmt in TABLE}
_BY_NAME = {fmt.name.lower(): fmt for fmt in FORMATS}
_BY_READ_SUFFIX = {suffix: fmt for fmt in TABLE for suffix in fmt.read_suffixes}
_BY_SUFFIX = {suffix: fmt for fmt in FORMATS for suffix in fmt.suffixes}


def by_name(name: str) -> Format | None:
    """Find a format that can be written by its name or a suffix, dot or not, in any case: "jpeg", "JPG", ".jpg"."""
    name = name.lower()
    return _BY_NAME.get(name) or _BY_SUFFIX.get("." + name.removeprefix("."))


def by_suffix(suffix: str) -> Format | None:
    """Find the format that is written with the suffix of a file name, dot included."""
    return _BY_SUFFIX.get(suffix.lower())


def known_suffixes() -> str:
    """List the suffixes of outputs, for a message."""
    return " ".join(sorted(_BY_SUFFIX))


def nearest(suffix: str) -> str:
    """List three suffixes of outputs: those most like an unknown one, then frequent ones: ".jpg, .jpe, .png"."""
    from difflib import get_close_matches

    close = get_close_matches(suffix.lower()[:20], _BY_SUFFIX, n=2)
    return ", ".join(list(dict.fromkeys((*close, ".png", ".jpg", ".tif")))[:3])


def row(name: str) -> Format | None:
    """Return the row of a format, including read-only ones, by its exact name."""
    return _ROWS.get(name)


def by_read_suffix(suffix: str) -> Format | None:
    """Find the format that is read, but not written, with the suffix of a file name, dot included."""
    return _BY_READ_SUFFIX.get(suffix.lower())


def suffix_names_another(suffix: str, fmt: Format) -> bool:
    """Whether the suffix of a file name, dot included, is known, and of another format."""
    named = by_suffix(suffix) or by_read_suffix(suffix)
    return named is not None and named.name != fmt.name


def load(function: str) -> Any:
    """Import the function that a row names as "module:function", below ``convfilter.picture``."""
    module, _, name = function.partition(":")
    return getattr(import_module(f"convfilter.picture.{module}"), name)


def install_hint(fmt: Format) -> str:
    """Return a message on the package to install for a format; "" if nothing is missing."""
    if not fmt.needs:
        return ""
    from importlib.util import find_spec

    if find_spec(fmt.needs) is not None:
        return ""
    return f"{fmt.name} needs the package {fmt.needs}; install it with: pip install 'convfilter[{fmt.extra}]'"


#: Bytes of a file that hold all signatures.
HEAD_BYTES = 132
#: A blank or a comment follows the two letters of a PNM or PFM.
_BLANKS = (b" ", b"\t", b"\r", b"\n", b"#")
_JPEG_LS = b"\xff\xd8\xff\xf7"


def sniff(head: bytes) -> str | None:
    """Return the name of the format that the first bytes of a file identify, or None."""
    if head[_DICOM_AT:].startswith(_DICOM):  # the bytes before it are free, and may begin as a TIFF does
        return "DICOM"
    for fmt in TABLE:
        for offset, signature in fmt.signatures:
            if head[offset : offset + len(signature)] == signature:
                if (fmt.name in ("PNM", "PFM") and head[2:3] not in _BLANKS) or head.startswith(_JPEG_LS):
                    continue
                return fmt.name
    return _by_brand(head) if head[4:8] == b"ftyp" else None


def _by_brand(head: bytes) -> str | None:
    """Return the format of an ISO base media file by its brands: the major one at byte 8, others from 16 on."""
    brands = {head[8:12], *(head[at : at + 4] for at in range(16, 32, 4))}
    return next((fmt.name for fmt in TABLE if not brands.isdisjoint(fmt.brands)), None)
