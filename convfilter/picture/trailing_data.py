"""Data after a picture in its file: a second picture there must not be dropped silently.

``cat`` and FFmpeg's image2pipe write such files. The readers of PNG, PNM and JPEG find the end of the first picture
while they decode it; :func:`end_of` finds it for formats that Pillow decodes.
"""

from __future__ import annotations

from typing import BinaryIO

from convfilter.picture import formats
from convfilter.picture.loss import Loss

#: Bytes after the first picture that are searched for a second one.
_HEAD_BYTES = 64
_BLANKS = b"\0\r\n\t "
#: Formats that follow each other in one stream.
_ALIKE = {"PNM": {"PNM", "PAM", "PFM"}}
#: Sizes of a BMP's second header: other data that begin with the letters "BM" are not a picture.
_BMP_HEADERS = (12, 40, 52, 56, 64, 108, 124)


def another(name: str) -> Loss:
    """Return the loss of a second picture of a format, by the format's name."""
    return Loss(
        f"the file holds more than one {name}, one after the other",
        severe=True,
        remedy="split it, or read the first with {allow_loss=True}",
    )


def losses(file: BinaryIO, name: str, end: int | None) -> list[Loss]:
    """Return the loss of a second picture of the same format after the first, if the file has one.

    Parameters
    ----------
    file : BinaryIO
        Seekable; its position does not change.
    name : str
        Name of the format.
    end : int, or None
        Offset after the first picture; None: unknown, and no second picture is searched for.

    Returns
    -------
    list of Loss
    """
    if end is None:
        return []
    position = file.tell()
    file.seek(end)
    rest = file.read(_HEAD_BYTES)
    file.seek(position)
    if not {formats.sniff(rest), formats.sniff(rest.lstrip(_BLANKS))} & _ALIKE.get(name, {name}):
        return []
    if name == "BMP" and int.from_bytes(rest[14:18], "little") not in _BMP_HEADERS:
        return []
    return [another(name)]


def end_of(file: BinaryIO, name: str) -> int | None:
    """Return the offset after the first picture of a BMP, WebP, GIF, AVIF or HEIC, or None; the position changes."""
    if name == "BMP":
        file.seek(2)
        return int.from_bytes(file.read(4), "little") or None
    if name == "WebP":
        file.seek(4)
        size = int.from_bytes(file.read(4), "little")
        return 8 + size + (size & 1)
    if name == "GIF":
        from convfilter.picture.pillow import gif

        return gif.end_of(file)
    if name in ("AVIF", "HEIC"):
        from convfilter.picture.pillow.boxes import boxes
        from convfilter.picture.place.source import size_of

        starts = [start for kind, start, _ in boxes(file, 0, size_of(file)) if kind == b"ftyp"]
        return starts[1] - 8 if len(starts) > 1 else None
    return None
