"""Data behind a picture in its file: a second picture in that place must not be dropped silently.

``cat`` and FFmpeg's image2pipe write such files. The structure of BMP, GIF, WebP and AVIF gives the end of the first
picture; the readers of PNG, PNM and JPEG find that end themselves.
"""

from __future__ import annotations

from typing import BinaryIO

from convfilter.picture import formats
from convfilter.picture.picture import Loss

_HEAD_BYTES = 64
_BLANKS = b"\0\r\n\t "
#: Possible sizes of a BMP's second header: the letters "BM" without one of them are not a picture.
_BMP_HEADERS = (12, 40, 52, 56, 64, 108, 124)


def another(name: str) -> Loss:
    """Return the loss of a second picture of the same format."""
    return Loss(
        f"the file holds more than one {name}, one behind the other",
        severe=True,
        remedy="split it, or take the first with {allow_loss=True}",
    )


def losses(file: BinaryIO, name: str, end: int | None) -> list[Loss]:
    """Search for a second picture of a format behind the first.

    Parameters
    ----------
    file : BinaryIO
        Seekable; its position does not change.
    name : str
        Name of the format.
    end : int, or None
        End of the first picture; None: unknown.

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
    if name not in (formats.sniff(rest), formats.sniff(rest.lstrip(_BLANKS))):
        return []
    if name == "BMP" and int.from_bytes(rest[14:18], "little") not in _BMP_HEADERS:
        return []
    return [another(name)]


def end_of(file: BinaryIO, name: str) -> int | None:
    """Return the end of a picture that Pillow reads, or None; the file's position may change."""
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
