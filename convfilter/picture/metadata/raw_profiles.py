"""Metadata in hexadecimal texts of a PNG, the way of ImageMagick and ExifTool: "Raw profile type exif".

ImageMagick, coders/png.c (``Magick_png_write_raw_profile``). A text has a name, the number of bytes, and their digits.
"""

from __future__ import annotations

from convfilter.picture.metadata.metadata import Metadata, Text

_PREFIX = "Raw profile type "
_EXIF, _XMP = b"Exif\0\0", b"http://ns.adobe.com/xap/1.0/\0"
#: Names of Photoshop's resources, and of IPTC records, which may be bare or a resource.
_RESOURCES = ("8bim", "iptc")


def take(metadata: Metadata) -> None:
    """Move EXIF, XMP and profiles from such texts to their fields, if these are empty, and drop thumbnails from others.

    Parameters
    ----------
    metadata : Metadata
        Changed in place. Resources and IPTC stay texts, since a PNG has no other place for them.
    """
    metadata.text = [kept for kept in (_taken(metadata, text) for text in metadata.text) if kept is not None]


def move_resources(metadata: Metadata) -> None:
    """Move resources and IPTC from such texts to their field, for a format that stores them; it is changed in place."""
    from convfilter.picture.metadata import photoshop

    for text in list(metadata.text):
        data = _data(text) if _name(text) in _RESOURCES else None
        if data is None:
            continue
        metadata.text.remove(text)
        resources = data if photoshop.cleaned(data) else photoshop.wrapped(data)
        if not photoshop.has_iptc(metadata.photoshop) or not photoshop.has_iptc(resources):
            metadata.photoshop = (metadata.photoshop or b"") + resources


def _taken(metadata: Metadata, text: Text) -> Text | None:
    """Return the text if it stays one."""
    name = _name(text)
    data = _data(text) if name else None
    if data is None:
        return text
    if name in ("exif", "app1") and data.startswith(_EXIF):
        metadata.exif = metadata.exif or data[len(_EXIF) :]
    elif name in ("xmp", "app1") and (name == "xmp" or data.startswith(_XMP)):
        metadata.xmp = metadata.xmp or data.removeprefix(_XMP)
    elif name in ("icc", "icm"):
        metadata.icc = metadata.icc or data
    elif name in _RESOURCES:
        return _without_thumbnails(text, name, data)
    else:
        return text
    return None


def _without_thumbnails(text: Text, name: str, data: bytes) -> Text:
    from convfilter.picture.metadata import photoshop

    if not photoshop.has_thumbnail(data):
        return text
    clean = photoshop.cleaned(data) or b""
    lines = "\n".join(clean.hex()[at : at + 72] for at in range(0, 2 * len(clean), 72))
    return text._replace(value=f"\n{name}\n{len(clean):8}\n{lines}\n")


def _name(text: Text) -> str:
    """Return the name of a raw profile, "" for another text."""
    return text.keyword[len(_PREFIX) :].lower() if text.keyword.startswith(_PREFIX) else ""


def _data(text: Text) -> bytes | None:
    """Return the bytes of a raw profile, None if it is damaged."""
    lines = text.value.strip().split("\n", 2)
    try:
        data = bytes.fromhex(lines[2])
        return data if len(data) == int(lines[1]) else None
    except (IndexError, ValueError):
        return None
