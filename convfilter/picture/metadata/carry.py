"""Move metadata to the fields that a format has: texts and resolution into XMP and EXIF, and back."""

from __future__ import annotations

from convfilter.picture.format import ANY_TEXT, Format
from convfilter.picture.metadata import exif, xmp
from convfilter.picture.picture import Metadata, Text
from convfilter.picture.pixels import Model
from convfilter.record import replace

_TIME = b"tIME"


def fitted(metadata: Metadata, fmt: Format, model: Model = "rgb") -> Metadata:
    """Return metadata with items moved for which a format has no own field.

    Parameters
    ----------
    metadata : Metadata
        Not modified.
    fmt : Format
    model : "gray", "rgb" or "cmyk"
        Colour model of the picture.

    Returns
    -------
    Metadata
        Items still in fields that the format lacks are lost.
    """
    moved = replace(metadata, text=list(metadata.text), png=list(metadata.png))
    if moved.resolution is None and not fmt.holds.exif:
        moved.resolution = exif.resolution(moved.exif)
    if moved.text and fmt.holds.text != ANY_TEXT:
        _move_remarks(moved, fmt)
    if moved.resolution and not fmt.holds.resolution:
        _move_resolution(moved, fmt)
    chunks = dict(moved.png)
    if _TIME in chunks and not fmt.holds.time and fmt.holds.xmp:
        changed = xmp.with_date(moved.xmp, _date(chunks[_TIME]))
        if changed is not None:
            moved.xmp = changed
            moved.png = [chunk for chunk in moved.png if chunk[0] != _TIME]
    if chunks and fmt.holds.icc and not moved.icc and model != "cmyk":
        _make_profile(moved, fmt, model)
    return moved


def _make_profile(moved: Metadata, fmt: Format, model: Model) -> None:
    """Make a profile from code points, or from gamma and primaries."""
    chunks = dict(moved.png)
    if fmt.holds.cicp if b"cICP" in chunks else fmt.holds.primaries:
        return
    from convfilter.picture.metadata import cicp

    moved.icc = cicp.profile_of(chunks, model)
    if moved.icc:
        moved.png = [chunk for chunk in moved.png if chunk[0] not in (b"cICP", b"gAMA", b"cHRM")]


def has_place(text: Text, fmt: Format) -> bool:
    """Whether a format has a field for a text."""
    return fmt.holds.text == ANY_TEXT or text.keyword in fmt.holds.text


def has_room(metadata: Metadata, fmt: Format, kind: str) -> bool:
    """Whether EXIF, XMP or a thumbnail is short enough for a format."""
    if kind == "exif":
        return len(metadata.exif or b"") <= fmt.most_exif
    if kind == "thumbnail":
        from convfilter.picture.metadata.thumbnail import MOST_BYTES

        return len(metadata.exif or b"") + MOST_BYTES <= fmt.most_exif
    if kind == "xmp" and metadata.xmp and len(metadata.xmp) > fmt.most_xmp:
        from convfilter.picture.metadata import xmp_extended

        return xmp_extended.cut(metadata.xmp, fmt.most_xmp) is not None
    return True


def _move_remarks(moved: Metadata, fmt: Format) -> None:
    """Move texts without a field to the nearest keyword that has one, else to an XMP property."""
    places = fmt.holds.text
    keywords = {text.keyword for text in moved.text}
    if "Comment" in keywords and "Comment" not in places and "Description" in places and "Description" not in keywords:
        moved.text = [
            text._replace(keyword="Description") if text.keyword == "Comment" else text for text in moved.text
        ]
    kept = [text for text in moved.text if text.keyword in places and _is_plain(text)]
    left = [text for text in moved.text if text not in kept]
    # A keyword's field holds one text; comments may be several.
    for keyword in set(places) - {"Comment"}:
        several = [text for text in kept if text.keyword == keyword][1:]
        kept = [text for text in kept if text not in several]
        left += several
    if left and fmt.holds.xmp:
        moved.xmp, left = xmp.with_remarks(moved.xmp, left)
    if "Comment" in places:
        kept += [Text("Comment", f"{text.keyword}: {text.value}") for text in left]
        left = []
    moved.text = kept + left


def _is_plain(text: Text) -> bool:
    return not (text.language or text.translated)


def _move_resolution(moved: Metadata, fmt: Format) -> None:
    assert moved.resolution is not None
    if fmt.holds.exif:
        moved.exif = exif.with_resolution(moved.exif, moved.resolution)
        moved.resolution = None
    elif fmt.holds.xmp:
        changed = xmp.with_resolution(moved.xmp, moved.resolution)
        if changed is not None:
            moved.xmp, moved.resolution = changed, None


def _date(chunk: bytes) -> str:
    """Return the time of a tIME chunk (UTC) as ISO 8601."""
    month, day, hour, minute, second = chunk[2:7]
    return f"{int.from_bytes(chunk[:2], 'big'):04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z"
