"""Move metadata to the fields that a format has: texts and resolution into XMP and EXIF, and back."""

from __future__ import annotations

from convfilter.picture.format import ANY_TEXT, Format
from convfilter.picture.metadata import exif, xmp
from convfilter.picture.metadata.metadata import Metadata, Text
from convfilter.picture.pixels import Model
from convfilter.record import replace

_TIME = b"tIME"


def fitted(metadata: Metadata, fmt: Format, model: Model = "rgb") -> Metadata:
    """Move each item that a format has no field for to a field that the format has.

    Parameters
    ----------
    metadata : Metadata
        Not modified.
    fmt : Format
        Format of the output.
    model : "gray", "rgb" or "cmyk"
        Colour model of the picture.

    Returns
    -------
    Metadata
        A copy. Items that fit no field of the format stay where they were, and are not written.
    """
    moved = replace(metadata, text=list(metadata.text), png=list(metadata.png))
    if moved.resolution is None and not fmt.holds.exif:
        moved.resolution = exif.resolution(moved.exif)
    if moved.text and fmt.holds.text != ANY_TEXT:
        from convfilter.picture.metadata import raw_profiles

        raw_profiles.move_resources(moved)
        _move_texts(moved, fmt)
    if moved.resolution and not (fmt.holds.resolution and has_room(moved, fmt, "resolution")):
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
    """Replace code points (cICP), or gamma and primaries, by the equivalent ICC profile."""
    chunks = dict(moved.png)
    if fmt.holds.cicp if b"cICP" in chunks else fmt.holds.primaries:
        return
    from convfilter.picture.metadata import cicp

    moved.icc = cicp.profile_of(chunks, model)
    if moved.icc:
        moved.png = [chunk for chunk in moved.png if chunk[0] not in (b"cICP", b"gAMA", b"cHRM")]


def has_field(text: Text, fmt: Format) -> bool:
    """Whether a format has a field for the keyword of a text."""
    return fmt.holds.text == ANY_TEXT or text.keyword in fmt.holds.text


def has_room(metadata: Metadata, fmt: Format, kind: str) -> bool:
    """Whether a format can store metadata of a kind: they are short enough, or the resolution is in range and precise.

    Parameters
    ----------
    metadata : Metadata
    fmt : Format
    kind : str
        "exif", "xmp", "thumbnail" or "resolution"; other kinds of metadata have no limit.

    Returns
    -------
    bool
    """
    if kind == "exif":
        return len(metadata.exif or b"") <= fmt.most_exif
    if kind == "thumbnail":
        from convfilter.picture.metadata.thumbnail import MOST_BYTES

        return len(metadata.exif or b"") + MOST_BYTES <= fmt.most_exif
    if kind == "resolution" and metadata.resolution:
        in_range = all(fmt.least_dpi < dots <= fmt.most_dpi for dots in metadata.resolution)
        return in_range and (fmt.whole_dots is None or fmt.whole_dots.of(metadata.resolution) is not None)
    if kind == "xmp" and metadata.xmp and len(metadata.xmp) > fmt.most_xmp:
        from convfilter.picture.metadata import xmp_extended

        return xmp_extended.cut(metadata.xmp, fmt.most_xmp) is not None
    return True


def _move_texts(moved: Metadata, fmt: Format) -> None:
    """Move each text without a field to the most similar keyword with a field, to an XMP property, or to a comment."""
    fields = fmt.holds.text
    keywords = {text.keyword for text in moved.text}
    if "Comment" in keywords and "Comment" not in fields and "Description" in fields and "Description" not in keywords:
        moved.text = [
            text._replace(keyword="Description") if text.keyword == "Comment" else text for text in moved.text
        ]
    kept = [text for text in moved.text if text.keyword in fields and _is_plain(text)]
    left = [text for text in moved.text if text not in kept]
    # The field of a keyword holds one text; only comments may be several.
    for keyword in set(fields) - {"Comment"}:
        several = [text for text in kept if text.keyword == keyword][1:]
        kept = [text for text in kept if text not in several]
        left += several
    if left and fmt.holds.xmp:
        moved.xmp, left = xmp.with_texts(moved.xmp, left)
    if "Comment" in fields:
        kept += [Text("Comment", f"{text.keyword}: {text.value}") for text in left]
        left = []
    moved.text = kept + left


def _is_plain(text: Text) -> bool:
    """Whether a text has neither a language nor a translated keyword, which only PNG and XMP store."""
    return not (text.language or text.translated)


def _move_resolution(moved: Metadata, fmt: Format) -> None:
    """Move the resolution to EXIF, else to XMP."""
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
