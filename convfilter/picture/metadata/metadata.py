"""Metadata of a picture file, in one record for all formats."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from convfilter.record import NamedTuple, field, record

if TYPE_CHECKING:
    from convfilter.picture.codecs.exr import ExrHeader


class Text(NamedTuple):
    """A text of a PNG chunk, a TIFF field or the like.

    ``keyword`` is a keyword of PNG, such as "Author"; ``language`` is a tag of RFC 3066; ``translated`` is the keyword
    in that language.
    """

    keyword: str
    value: str
    language: str = ""
    translated: str = ""


class JpegTables(NamedTuple):
    """Compression of a JPEG that was read, for an output with the same tables.

    ``quantization`` has the 64 values of each table, row by row, by the number of the table; ``subsampling`` is
    Pillow's number: 0 is 4:4:4, 1 is 4:2:2, 2 is 4:2:0; -1 for grey and CMYK.
    """

    quantization: dict[int, list[int]]
    subsampling: int
    progressive: bool = False


def subsampling_of(factors: Sequence[tuple[int, int]]) -> int:
    """Return the strongest subsampling that is written and loses no chrominance.

    Parameters
    ----------
    factors : sequence of (int, int)
        Horizontal and vertical sampling factors of each component.

    Returns
    -------
    int
        Pillow's number: 0 is 4:4:4, 1 is 4:2:2, 2 is 4:2:0; -1 unless there are three components.
    """
    if len(factors) != 3 or not all(map(all, factors)):
        return -1
    across, down = (max(each) // max(each[1:]) for each in zip(*factors, strict=True))
    is_whole = factors[0] == tuple(map(max, zip(*factors, strict=True)))  # luminance has the full resolution
    return (2 if down > 1 else 1) if is_whole and across > 1 else 0


@record(eq=False, frozen=False)
class Metadata:
    """Metadata of a file.

    Attributes
    ----------
    icc : bytes, or None
        ICC profile.
    exif : bytes, or None
        EXIF as a TIFF structure, without the ``Exif`` prefix of a JPEG;
        orientation reset where it has been applied, thumbnail dropped.
    xmp : bytes, or None
        XMP packet.
    photoshop : bytes, or None
        Image resources of a JPEG's APP13 segment or a TIFF's tag 34377, which
        may include IPTC.
    iptc : bytes, or None
        IPTC-IIM records from a TIFF's tag 33723.
    resolution : (float, float), or None
        Dots per inch, (x, y).
    per_centimetre : bool
        Whether the file that was read stores dots per centimetre; a TIFF or JPEG then does, too.
    text : list of Text
        Texts; ``Description`` and ``Comment`` have fields in TIFF and JPEG.
    png : list of (bytes, bytes)
        PNG chunks, unchanged: colour (gAMA, cHRM, sRGB, cICP, mDCV,
        cLLI), tIME, and a pHYs that gives an aspect ratio only.
    loop : int, or None
        Number of times that an animation plays, 0 without end; None if the file does not say.
    jpeg : JpegTables, or None
        Compression of the JPEG that was read.
    alpha_at : int
        Position of alpha among the extra samples of the TIFF that was read, from 0.
    associated_alpha : bool
        Whether the TIFF or JP2 that was read is premultiplied; an output then is too.
    compression : str
        Compression of the TIFF that was read: a name of ``WriteOptions.compression``, or one that is not written; ""
        for other formats.
    tile : (int, int), or None
        Width and height of the tiles of the TIFF that was read; an output then has such tiles.
    mask : bool
        Whether alpha is the transparency mask of the TIFF that was read; an output then has a mask.
    lossless : bool
        Whether the WebP that was read is lossless; an output then is too.
    from_integers : bool
        Whether samples were integers, which are display-encoded by default; floats are linear light.
    exr : ExrHeader, or None
        Attributes, windows and compression of the OpenEXR that was read; an output then has the same.
    radiance : tuple of bytes
        Lines in the header of the Radiance HDR that was read, such as its exposure.
    thumbnail : bool
        Whether the file had a thumbnail; an output then gets a new one.
    marked : bool
        Whether the file that was read has convfilter's mark.
    """

    icc: bytes | None = None
    exif: bytes | None = None
    xmp: bytes | None = None
    photoshop: bytes | None = None
    iptc: bytes | None = None
    resolution: tuple[float, float] | None = None
    per_centimetre: bool = False
    text: list[Text] = field(factory=list)
    png: list[tuple[bytes, bytes]] = field(factory=list)
    loop: int | None = None
    jpeg: JpegTables | None = None
    alpha_at: int = 0
    associated_alpha: bool = False
    lossless: bool = False
    compression: str = ""
    tile: tuple[int, int] | None = None
    mask: bool = False
    from_integers: bool = False
    exr: ExrHeader | None = None
    radiance: tuple[bytes, ...] = ()
    thumbnail: bool = False
    marked: bool = False

    __repr__ = object.__repr__  # the fields would fill pages

    @property
    def is_empty(self) -> bool:
        """Whether the metadata have nothing that a format needs a field to store."""
        stored = (self.icc, self.exif, self.xmp, self.photoshop, self.iptc, self.resolution, self.text, self.png)
        return not (any(stored) or self.thumbnail)

    @property
    def code_points(self) -> tuple[int, int] | None:
        """Code points of ITU-T H.273 for primaries and transfer function, from a cICP chunk; None without cICP."""
        points = dict(self.png).get(b"cICP")
        return (points[0], points[1]) if points else None
