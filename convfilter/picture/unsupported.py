"""Formats that cannot be read, and suffixes that cannot be written, each with a remedy for messages."""

from __future__ import annotations

import re

from convfilter.picture import formats
from convfilter.record import NamedTuple

#: Bytes of a file that identify a format.
HEAD_BYTES = 512


class Unsupported(NamedTuple):
    """A format that cannot be read.

    Attributes
    ----------
    name : str
    suffixes : tuple of str
        With the dot, in lower case; a suffix that several formats share is not listed.
    signatures : tuple of (int, bytes)
        (offset, bytes) pairs, each of which identifies the format; empty if content cannot.
    remedy : str
        Remedy in messages: how to get a picture that can be read.
    """

    name: str
    suffixes: tuple[str, ...]
    signatures: tuple[tuple[int, bytes], ...]
    remedy: str

    @property
    def message(self) -> str:
        """Message for the user."""
        return f"{self.name} cannot be read; {self.remedy}"


def _with(tool: str) -> str:
    """Return the remedy of converting a file with a tool."""
    return f"convert it to TIFF or PNG first, as with {tool}"


_DEVELOP = "develop it to a TIFF of 16 bits first, as with darktable-cli, RawTherapee or dcraw"
_EXTRACT_FRAMES = "extract its frames first, as with ffmpeg -i IN frame%05d.png"
_CONVERT_DATA = _with("gdal_translate or ImageJ")
#: Suffixes of camera raws with the signature of TIFF.
_RAW_SUFFIXES = (
    *(".cr2", ".nef", ".nrw", ".arw", ".srf", ".sr2", ".pef", ".ptx", ".dng", ".srw", ".kdc", ".dcr", ".k25", ".3fr"),
    *(".fff", ".mef", ".mos", ".erf", ".iiq", ".cap", ".eip", ".gpr"),
)
#: Formats of ISO base media files by their brands.
_BRANDS = {
    b"crx ": "Canon CR3",
    **dict.fromkeys((b"qt  ", b"isom", b"iso2", b"iso4", b"iso5", b"iso6", b"mp41", b"mp42", b"avc1", b"dash"), "MP4"),
    **dict.fromkeys((b"M4V ", b"M4A ", b"M4VH", b"3gp4", b"3gp5", b"3gp6", b"3g2a", b"MSNV", b"XAVC"), "MP4"),
}
FORMATS: tuple[Unsupported, ...] = (
    Unsupported("a HEIF sequence", (".heics", ".heifs"), (), _EXTRACT_FRAMES),
    Unsupported("DPX", (".dpx",), ((0, b"SDPX"), (0, b"XPDS")), _with("oiiotool IN -o OUT.tif or ffmpeg")),
    Unsupported("Cineon", (".cin",), ((0, b"\x80\x2a\x5f\xd7"),), _with("oiiotool IN -o OUT.tif or ffmpeg")),
    Unsupported("JPEG-LS", (".jls",), ((0, b"\xff\xd8\xff\xf7"),), _with("ffmpeg -i IN OUT.png or gdal_translate")),
    Unsupported("JPEG XR", (".jxr", ".wdp", ".hdp"), ((0, b"II\xbc\x01"), (0, b"II\xbc\0")), _with("JxrDecApp")),
    Unsupported("Canon CR3", (".cr3",), (), _DEVELOP),
    Unsupported("Canon CRW", (".crw",), ((6, b"HEAPCCDR"),), _DEVELOP),
    Unsupported("Fujifilm RAF", (".raf",), ((0, b"FUJIFILMCCD-RAW"),), _DEVELOP),
    Unsupported("Olympus ORF", (".orf",), ((0, b"IIRO"), (0, b"IIRS"), (0, b"MMOR")), _DEVELOP),
    Unsupported("Panasonic RW2", (".rw2", ".rwl"), ((0, b"IIU\0"),), _DEVELOP),
    Unsupported("Sigma X3F", (".x3f",), ((0, b"FOVb"),), _DEVELOP),
    Unsupported("Minolta MRW", (".mrw",), ((0, b"\0MRM"),), _DEVELOP),
    *(Unsupported(f"the camera raw {suffix[1:].upper()}", (suffix,), (), _DEVELOP) for suffix in _RAW_SUFFIXES),
    Unsupported("SVG", (".svg", ".svgz"), (), _with("rsvg-convert -o OUT.png IN")),
    Unsupported("PDF", (".pdf",), ((0, b"%PDF-"),), _with("pdftoppm -png IN OUT")),
    Unsupported("PostScript", (".eps", ".ps", ".epsf", ".ai"), ((0, b"%!PS"), (0, b"\xc5\xd0\xd3\xc6")), _with("gs")),
    Unsupported("XCF", (".xcf",), ((0, b"gimp xcf"),), "export it from GIMP as TIFF or PNG first"),
    Unsupported("Krita's KRA", (".kra", ".ora"), (), "export it from Krita as TIFF or PNG first"),
    Unsupported("a drawing program's own format",
                (".afphoto", ".afdesign", ".clip", ".procreate", ".cdr", ".sketch"), (),
                "export it from there as TIFF or PNG first"),
    Unsupported("DjVu", (".djvu", ".djv"), ((0, b"AT&TFORM"),), _with("ddjvu -format=tiff IN OUT.tif")),
    Unsupported("IFF ILBM", (".iff", ".ilbm", ".lbm"), ((8, b"ILBM"), (8, b"PBM ")), _with("ilbmtoppm")),
    Unsupported("MNG", (".mng", ".jng"), ((0, b"\x8aMNG"), (0, b"\x8bJNG")), _with("ffmpeg or ImageMagick")),
    Unsupported("BPG", (".bpg",), ((0, b"BPG\xfb"),), _with("bpgdec -o OUT.png IN")),
    Unsupported("FLIF", (".flif",), ((0, b"FLIF"),), _with("flif -d IN OUT.png")),
    Unsupported("WMF or EMF", (".wmf", ".emf"), ((0, b"\xd7\xcd\xc6\x9a"), (40, b" EMF")), _with("inkscape")),
    Unsupported("XWD", (".xwd",), (), _with("xwdtopnm IN")),
    Unsupported("FlashPix", (".fpx", ".mic"), (), _with("ImageMagick")),
    Unsupported("Photo CD", (".pcd",), (), _with("pcdtojpeg")),
    Unsupported("KTX", (".ktx", ".ktx2"), ((0, b"\xabKTX "),), _with("ktx extract IN OUT.png")),
    Unsupported("JBIG", (".jbg", ".jbig", ".jb2", ".jbig2"), ((0, b"\x97JB2"),), _with("jbigtopnm or jbig2dec")),
    Unsupported("NIfTI", (".nii",), ((344, b"n+1\0"), (344, b"ni1\0")), _CONVERT_DATA),
    Unsupported("MRC", (".mrc", ".mrcs"), ((208, b"MAP "),), _with("mrc2tif")),
    Unsupported("HDF5", (".h5", ".hdf5", ".he5"), ((0, b"\x89HDF\r\n"),), _CONVERT_DATA),
    Unsupported("HDF4", (".hdf",), ((0, b"\x0e\x03\x13\x01"),), _CONVERT_DATA),
    Unsupported("NetCDF", (".nc", ".cdf"), ((0, b"CDF\x01"), (0, b"CDF\x02"), (0, b"CDF\x05")), _CONVERT_DATA),
    Unsupported("GRIB", (".grib", ".grb", ".grib2", ".grb2"), ((0, b"GRIB"),), _CONVERT_DATA),
    Unsupported("a microscope's own format", (".czi", ".lif", ".nd2", ".oib", ".oif", ".vsi", ".mrxs", ".ims"),
                ((0, b"ZISRAWFILE"), (0, b"\xda\xce\xbe\x0a")), _with("bfconvert IN OUT.ome.tif")),
    Unsupported("MP4", (".mp4", ".m4v", ".mov", ".3gp", ".3g2", ".qt"), ((4, b"moov"), (4, b"mdat")), _EXTRACT_FRAMES),
    Unsupported("Matroska or WebM", (".mkv", ".webm"), ((0, b"\x1a\x45\xdf\xa3"),), _EXTRACT_FRAMES),
    Unsupported("AVI", (".avi",), ((8, b"AVI "),), _EXTRACT_FRAMES),
    Unsupported("MPEG", (".mpg", ".mpeg", ".mts", ".m2ts", ".vob"), ((0, b"\0\0\1\xba"), (0, b"\0\0\1\xb3")),
                _EXTRACT_FRAMES),
    Unsupported("WMV", (".wmv", ".asf"), ((0, b"\x30\x26\xb2\x75\x8e\x66\xcf\x11"),), _EXTRACT_FRAMES),
    Unsupported("FLV", (".flv",), ((0, b"FLV\x01"),), _EXTRACT_FRAMES),
    Unsupported("Ogg", (".ogv",), ((0, b"OggS"),), _EXTRACT_FRAMES),
    Unsupported("YUV4MPEG", (".y4m",), ((0, b"YUV4MPEG2"),), _EXTRACT_FRAMES),
    Unsupported("a NumPy array", (".npy", ".npz"), ((0, b"\x93NUMPY"),), "filter it in Python with convfilter.apply"),
    Unsupported("a Git LFS pointer", (), ((0, b"version https://git-lfs"),), "fetch the picture with git lfs pull"),
    Unsupported("a gzip file", (), ((0, b"\x1f\x8b\x08"),), "decompress it first, as with gunzip"),
    Unsupported("a Zstandard file", (), ((0, b"\x28\xb5\x2f\xfd"),), "decompress it first, as with unzstd"),
    Unsupported("an xz file", (), ((0, b"\xfd7zXZ\0"),), "decompress it first, as with unxz"),
    Unsupported("a ZIP archive", (), ((0, b"PK\x03\x04"),), "take the picture out first, as with unzip"),
)  # fmt: skip
_ARRAYS = (".npy", ".npz")
_BY_NAME = {each.name: each for each in FORMATS}
_BY_SUFFIX = {suffix: each for each in FORMATS for suffix in each.suffixes}
JPEG_LS = _BY_NAME["JPEG-LS"]
_WEB_PAGE = Unsupported("a web page", (), (), "a download may have gone wrong")
_MARKUP = re.compile(rb"<(svg|!doctype html|html)[\s>]", re.IGNORECASE)


def by_content(head: bytes) -> Unsupported | None:
    """Return the format that the first 512 bytes of a file identify, if it cannot be read; else None."""
    if head[4:8] == b"ftyp":
        end = min(int.from_bytes(head[:4], "big"), len(head))
        brands = (head[8:12], *(head[at : at + 4] for at in range(16, end, 4)))
        return next((_BY_NAME[_BRANDS[brand]] for brand in brands if brand in _BRANDS), None)
    for each in FORMATS:
        if any(head[offset : offset + len(bytes_)] == bytes_ for offset, bytes_ in each.signatures):
            return each
    if head.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] == b"<" and (match := _MARKUP.search(head)):
        return _BY_NAME["SVG"] if match[1].lower() == b"svg" else _WEB_PAGE
    return None


def by_suffix(suffix: str) -> Unsupported | None:
    """Return the format that the suffix of a file name, dot included, identifies, if it cannot be read; else None."""
    return _BY_SUFFIX.get(suffix.lower())


def named(name: str) -> Unsupported:
    """Return a row by its name."""
    return _BY_NAME[name]


def raw_by_suffix(suffix: str) -> Unsupported | None:
    """Return the camera raw with the signature of TIFF that a suffix, dot included, identifies; else None."""
    return by_suffix(suffix) if suffix.lower() in _RAW_SUFFIXES else None


def output_suffix_for(suffix: str) -> str | None:
    """Return a suffix, without its dot, to write instead of one that can only be read; None for others."""
    fmt = formats.by_read_suffix(suffix)
    return fmt.instead[0] if fmt else None


def output_remedy(suffix: str) -> str | None:
    """Return a message on an output suffix, dot included, of a known format that is not written; None for others."""
    fmt = formats.by_read_suffix(suffix)
    if fmt is None:
        unknown = by_suffix(suffix)
        if unknown is None or suffix.lower() in _ARRAYS:
            return None
        return f"{unknown.name} can neither be read nor written; use tif or png for the output"
    return f"{suffix.lower()} can be read but not written; use {' or '.join(fmt.instead)} for the output"
