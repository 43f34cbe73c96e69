"""Refuse to overwrite an existing photo, to which a shell pattern has expanded in the place of OUT."""

from __future__ import annotations

import os

from convfilter.cli.request import Request
from convfilter.errors import PictureError, UsageError
from convfilter.picture import formats
from convfilter.picture.options import DEFAULT_MAX_PIXELS, ReadOptions


def require_own(request: Request, source: str, destination: str) -> None:
    """Refuse OUT of ``IN OUT`` if it looks like a second input.

    ``convfilter blur --gaussian 4 *.jpg`` in a folder of two photos would otherwise overwrite the second photo. OUT
    looks like an input if it is a picture in the same folder as IN, has a suffix of the same format, and has no mark
    that convfilter wrote it. A name after ``--output`` is always accepted.

    Raises
    ------
    UsageError
    """
    if request.overwrite or request.output or not request.is_pair or "-" in (source, destination):
        return
    limit = int(request.max_pixels or DEFAULT_MAX_PIXELS)
    if not _are_neighbours(source, destination) or _is_own(destination, limit):
        return
    raise UsageError(
        "it exists and convfilter did not write it; did a pattern match two files?",
        subject=destination,
        remedy="{overwrite=True} replaces it",
    )


def keeps(request: Request, destination: str) -> bool:
    """Whether ``--no-clobber`` skips an output; devices and pipes are always written."""
    return request.no_clobber and (os.path.isfile(destination) or os.path.islink(destination))


def _are_neighbours(source: str, destination: str) -> bool:
    """Whether both are files in one folder, with suffixes of one format."""
    kinds = [formats.by_suffix(os.path.splitext(name)[1]) for name in (source, destination)]
    if kinds[0] is None or kinds[0] is not kinds[1] or not (os.path.isfile(source) and os.path.isfile(destination)):
        return False
    if os.path.samefile(source, destination):
        return False  # the pipeline has its own message for that
    return os.path.samefile(*(os.path.dirname(name) or os.curdir for name in (source, destination)))


def _is_own(path: str, max_pixels: int) -> bool:
    """Whether a file may be overwritten: convfilter's mark is in it, its format has no mark, or it is not a picture."""
    from convfilter.picture.metadata import mark

    fmt = formats.by_suffix(os.path.splitext(path)[1])
    if fmt is None or mark.mark_of(fmt) is None:
        return True
    try:
        with open(path, "rb") as file:
            if formats.sniff(file.read(formats.HEAD_BYTES)) is None:
                return True
        try:
            return _is_marked(path, ReadOptions(allow_loss=True, max_pixels=max_pixels))
        except PictureError:  # damaged: reading it leniently decodes all pixels
            return _is_marked(path, ReadOptions(lenient=True, allow_loss=True, max_pixels=max_pixels))
    except PictureError:
        return False
    except OSError:  # a file may be written that must not be read
        return True


def _is_marked(path: str, options: ReadOptions) -> bool:
    from convfilter.picture.read import opened

    with opened(path, options) as picture:
        return picture.metadata.marked
