"""Records that describe a file format; ``formats`` has one for each format."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np

from convfilter.picture.metadata.density import WholeDots
from convfilter.picture.pixels import Model
from convfilter.record import record
from convfilter.sample_types import full_scale, stored_in


@record
class Holds:
    """Kinds of metadata that a format can store; ``NAMES`` has their names in messages.

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
        Photoshop's image resources.
    resolution : bool
        Dots per inch.
    aspect : bool
        Ratio of a pixel's sides, without a unit.
    background : bool
        Background colour for a transparent picture.
    time : bool
        Time of the last change.
    loop : bool
        Number of times an animation plays.
    thumbnail : bool
        A small version of the picture, in EXIF.
    geo : bool
        GeoTIFF's fields: pixel scale, tie points, transformation, projection.
    nodata : bool
        Value of missing samples, as GDAL stores it.
    gdal : bool
        GDAL's own metadata.
    layout : bool
        Dimensions of a stack and physical sizes of pixels, as ImageJ and OME describe them.
    inks : bool
        Names, number and dot range of the inks of a separated TIFF.
    page_names, page_texts : bool
        Names and numbers of pages; descriptions, profiles and the like of pages after the first.
    header : bool
        The header of a FITS.
    private : bool
        Private TIFF tags of other programs.
    exr : bool
        Attributes of an OpenEXR beyond those that every OpenEXR has.
    radiance : bool
        Lines of a Radiance HDR's header, such as its exposure.
    text : tuple of str
        Keywords of the texts for which there are fields; ``ANY_TEXT``: all keywords.
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
    inks: bool = False
    page_names: bool = False
    page_texts: bool = False
    header: bool = False
    private: bool = False
    exr: bool = False
    radiance: bool = False
    text: tuple[str, ...] = ()


#: ``Holds.text`` of formats that store texts with any keyword.
ANY_TEXT = ("*",)
#: Names in messages of the fields of ``Holds``, in the order of messages.
NAMES = {
    "icc": "a colour profile",
    "cicp": "a description of its colours",
    "primaries": "gamma and primaries (gAMA, cHRM)",
    "light": "light levels (mDCV, cLLI)",
    "exif": "EXIF",
    "xmp": "XMP",
    "iptc": "IPTC",
    "photoshop": "Photoshop resources",
    "text": "texts",
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
    "inks": "names of inks",
    "page_names": "names of pages",
    "page_texts": "descriptions of further pages",
    "header": "the header of a FITS",
    "private": "tags of other programs",
    "exr": "attributes of an OpenEXR",
    "radiance": "header lines of a Radiance HDR",
}


@record
class Format:
    """Properties of a file format, from which options, checks and losses are derived.

    Attributes
    ----------
    name : str
        Name for ``--format``, in any case.
    field : str
        Main field of use: "web", "photos", "film", "science", "print", "programs".
    suffixes : tuple of str
        Suffixes of output files, with the dot, lower case; the first is the usual one.
    signatures : tuple of (int, bytes)
        (offset, bytes) pairs within the first 132 bytes, each of which identifies the format.
    brands : tuple of bytes
        Brands of an ISO base media file that identify the format.
    reader, writer : str
        "module:function" below ``convfilter.picture``, imported on demand: a ``read.Reader`` and a ``write.Writer``;
        "" if the format cannot be read or written.
    row_writer : str
        Function for ``write.row_writer``, named likewise; "" if a picture is encoded in one piece.
    row_check : str
        Function that returns why a picture cannot be encoded row by row; "": all pictures can. See
        ``write.streaming_obstacle``.
    in_order : bool
        Whether the row writer writes from the first byte to the last, and does not seek.
    reads_rows : bool
        Whether most files are decoded row by row.
    continues : bool
        Whether a file may hold several pictures, one after the other.
    read_suffixes : tuple of str
        Suffixes of input files that are not written.
    instead : tuple of str
        Output suffixes, without the dot, to propose for files with ``read_suffixes``.
    needs : str
        Optional package that the format needs; "" for none.
    extra : str
        Extra of convfilter that installs the package.
    dtypes : tuple of str
        Sample types that the format stores, as ``sample_types`` names them.
    depths : tuple of int
        Numbers of bits of a sample, if they differ from those of ``dtypes``.
    models : tuple of str
        Colour models that the format stores.
    rgb_profiles : bool
        Whether grey is stored as RGB, so that ICC profiles are for RGB.
    alpha : str
        Transparency: "full", "binary" (a pixel is opaque or clear), or "" for none.
    linear : bool
        Whether samples are linear light; the writer converts to it.
    only_bt709 : bool
        Whether linear light must have the primaries of BT.709.
    mantissa : int
        Bits of the mantissa if it is shorter than that of float16; else 0.
    premultiplied : bool
        Whether colours may be stored premultiplied.
    frames : str
        Meaning of several pictures: "animation", "pages", or "" for a format of one picture.
    fallback : bool
        Whether an animation may have a picture for programs without animation: see ``Frame.fallback``.
    colours : int
        Largest number of colours of a frame; 0 for any number.
    ticks : int
        Time base of delays, in ticks per second; 0 for any fraction.
    longest : float
        Longest delay, in seconds.
    max_side : int
        Largest width and height, in pixels.
    extras : bool
        Whether the format stores bands besides colours and alpha.
    whites : str
        Values of white that the format stores: "" for the full range of its sample types only; "bits" for 2**n - 1 of
        n = 9 to 15 bits too; "depths" for those of ``depths`` only; "any" for all.
    most_exif, most_xmp : int
        Longest EXIF block and XMP packet in one piece, in bytes.
    least_dpi, most_dpi : float
        Range of the resolutions that the format stores, in dots per inch.
    whole_dots : WholeDots, or None
        Units in which the format stores resolutions as integers; None if it stores fractions.
    takes : tuple of str
        Fields of ``WriteOptions`` that apply to the format, of those that do not apply to all formats.
    holds : Holds
        Metadata that the format stores.
    """

    name: str
    field: str
    suffixes: tuple[str, ...]
    signatures: tuple[tuple[int, bytes], ...] = ()
    brands: tuple[bytes, ...] = ()
    reader: str = ""
    writer: str = ""
    row_writer: str = ""
    row_check: str = ""
    in_order: bool = False
    reads_rows: bool = False
    continues: bool = False
    read_suffixes: tuple[str, ...] = ()
    instead: tuple[str, ...] = ()
    needs: str = ""
    extra: str = ""
    dtypes: tuple[str, ...] = ("uint8",)
    depths: tuple[int, ...] = ()
    models: tuple[Model, ...] = ("gray", "rgb")
    rgb_profiles: bool = False
    alpha: Literal["", "binary", "full"] = ""
    linear: bool = False
    only_bt709: bool = False
    mantissa: int = 0
    premultiplied: bool = False
    frames: Literal["", "animation", "pages"] = ""
    fallback: bool = False
    colours: int = 0
    ticks: int = 0
    longest: float = math.inf
    max_side: int = 2**31 - 1
    extras: bool = False
    whites: Literal["", "bits", "depths", "any"] = ""
    most_exif: int = 2**32
    most_xmp: int = 2**32
    least_dpi: float = 0.0
    most_dpi: float = math.inf
    whole_dots: WholeDots | None = None
    takes: tuple[str, ...] = ()
    holds: Holds = Holds()

    def white_for(self, dtype: np.dtype[np.generic], white: int | None) -> int | None:
        """Choose the value of white with which samples are stored.

        Parameters
        ----------
        dtype : dtype
            Type in which they are stored.
        white : int, or None
            Value of white of the picture; None: the full range of its type.

        Returns
        -------
        int, or None
            ``white`` itself if the format stores it; None for the full range of ``dtype``. For ``depths``, the smallest
            value that is not below ``white``, else the largest.
        """
        if self.whites == "depths" and dtype == np.uint16:
            bits = (white or 65535).bit_length()
            depth: int = next((depth for depth in sorted(self.depths)[1:] if depth >= bits), max(self.depths))
            return (1 << depth) - 1
        if white is None or dtype.kind != "u" or white >= full_scale(dtype):
            return None
        has_bits = dtype.itemsize > 1 and not white & (white + 1)
        is_stored = self.whites == "any" or (self.whites == "bits" and has_bits)
        return white if is_stored else None

    def dtype_for(self, dtype: np.dtype[np.generic]) -> np.dtype[np.generic]:
        """Choose the type in which samples of ``dtype`` lose least: ``dtype`` itself if the format stores it."""
        return stored_in(dtype, self.dtypes)
