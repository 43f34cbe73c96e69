"""TIFF writer, through tifffile: 8, 16 bits and float32, pages, metadata; no dates."""

from __future__ import annotations

from typing import Any, BinaryIO

from convfilter.picture import colour
from convfilter.picture.options import WriteOptions
from convfilter.picture.picture import Metadata, Picture
from convfilter.picture.tiff_tags import TEXT_TAGS

_PHOTOMETRIC = {"gray": "minisblack", "rgb": "rgb", "cmyk": "separated"}
_DEFLATE_LEVELS = {"fast": 1, "default": 6, "best": 9}
#: Offsets of a classic TIFF have 32 bits; some room is left for tags.
_CLASSIC_BYTES = 2**32 - 2**25
_STRIP_BYTES = 1 << 18
_ASCII, _BYTE, _UNDEFINED, _INCH = 2, 1, 7, 2


def write_tiff(file: BinaryIO, picture: Picture, options: WriteOptions) -> None:
    """Write a TIFF, deflated; frames become pages.

    Parameters
    ----------
    file : BinaryIO
        Seekable.
    picture : Picture
        Pixels of uint8, uint16 or float32.
    options : WriteOptions
    """
    import tifffile

    frames = [frame.pixels for frame in picture.frames if not frame.fallback]
    alpha: dict[str, Any] = {}
    if picture.alpha:
        associated = picture.metadata.associated_alpha
        alpha["extrasamples"] = ["assocalpha" if associated else "unassalpha"]
        if associated:
            frames = [colour.associated(pixels) for pixels in frames]
    total = sum(pixels.nbytes for pixels in frames)
    with tifffile.TiffWriter(file, bigtiff=total > _CLASSIC_BYTES, byteorder="<") as tiff:
        for index, pixels in enumerate(frames):
            tiff.write(
                pixels,
                photometric=_PHOTOMETRIC[picture.model],
                planarconfig="contig" if pixels.ndim == 3 else None,
                compression="adobe_deflate",
                compressionargs={"level": _DEFLATE_LEVELS[options.compression]},
                predictor=3 if pixels.dtype.kind == "f" else 2,
                rowsperstrip=max(1, _STRIP_BYTES // pixels[0].nbytes),
                metadata=None,
                software=False,
                maxworkers=options.threads,
                **alpha,
                **_tags(picture.metadata, first=index == 0),
            )


def _tags(metadata: Metadata, *, first: bool) -> dict[str, Any]:
    """Return what tifffile's ``write`` takes for the metadata; each page says its resolution and profile."""
    arguments: dict[str, Any] = {"iccprofile": metadata.icc}
    if metadata.resolution:
        arguments |= {"resolution": metadata.resolution, "resolutionunit": _INCH}
    if not first:
        return arguments
    extra: list[tuple[int, int, int | None, Any, bool]] = []
    codes = {keyword: code for code, keyword in TEXT_TAGS.items()}
    for text in metadata.text:
        code = codes.pop("Description" if text.keyword == "Comment" else text.keyword, None)
        if code is not None:
            extra.append((code, _ASCII, None, text.value.encode() + b"\0", True))
    for code, kind, data in (
        (700, _BYTE, metadata.xmp),
        (33723, _UNDEFINED, metadata.iptc),
        (34377, _BYTE, metadata.photoshop),
    ):
        if data:
            extra.append((code, kind, len(data), data, True))
    return arguments | {"extratags": extra}
