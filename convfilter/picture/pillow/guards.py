"""Guards around Pillow's decoders: errors in one line, no warnings, no size limit, and damaged files on request."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from PIL import Image, ImageFile

from convfilter.errors import DECODE_THE_REST, ConvfilterError, ReadError, damage
from convfilter.locks import shared_lock
from convfilter.picture.picture import Picture
from convfilter.record import replace

#: End of the messages about damage that Pillow's decoders report.
_REPORTED = "when reading image file"
_lenient_lock = shared_lock()
_limit_lock = shared_lock()
#: Number of threads that currently read without Pillow's size limit, and the limit to restore.
_unlimited = 0
_limit: int | None = None


def with_lenient_retry(decode: Callable[[bool], Picture], lenient: bool) -> Picture:
    """Decode a picture; if it is damaged, decode its readable part, with a note.

    Parameters
    ----------
    decode : callable
        Decodes the picture, leniently if its argument is True.
    lenient : bool
        Whether to decode leniently after a ReadError.

    Returns
    -------
    Picture

    Raises
    ------
    ReadError
        The picture is damaged, and ``lenient`` is False or nothing can be read.
    """
    try:
        return decode(False)
    except ReadError as error:
        if not lenient:
            raise
        note = error.problem
    picture = decode(True)
    return replace(picture, notes=tuple(dict.fromkeys((note, *picture.notes))))


@contextmanager
def decoding(lenient: bool) -> Iterator[None]:
    """Convert any exception of Pillow to a ReadError of one line, and suppress its warnings.

    Parameters
    ----------
    lenient : bool
        Let Pillow decode truncated pictures. This is a global switch, so that lenient reads wait for each other.

    Raises
    ------
    ReadError
        The decoder failed.
    """
    # Pillow's warnings repeat checks made here, or concern only its developers.
    warnings.filterwarnings("ignore", module=r"PIL\.")
    try:
        with _without_pillows_limit():
            if lenient:
                with _lenient_lock:
                    yield from _leniently()
            else:
                yield
    except (ConvfilterError, MemoryError):
        raise
    except Exception as error:  # Pillow raises OSError, SyntaxError, ValueError, TypeError, struct.error and more
        text = str(error).strip().splitlines()
        if not lenient and text and text[0].startswith("image file is truncated"):
            raise ReadError("the picture is truncated", remedy=DECODE_THE_REST) from error
        # Pillow's lenient mode ignores what its decoders report, except that of JPEG 2000, "broken data stream".
        is_ignored = bool(text) and text[0].endswith(_REPORTED) and not text[0].startswith("broken data stream")
        what, remedy = damage(error), DECODE_THE_REST if is_ignored and not lenient else ""
        raise ReadError(f"the picture is damaged or of an unsupported kind: {what}", remedy=remedy) from error


@contextmanager
def _without_pillows_limit() -> Iterator[None]:
    """Disable Pillow's own size check, whose limit all threads share, until the last thread leaves the block."""
    global _unlimited, _limit
    with _limit_lock:
        if _unlimited == 0:
            _limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        _unlimited += 1
    try:
        yield
    finally:
        with _limit_lock:
            _unlimited -= 1
            if _unlimited == 0:
                Image.MAX_IMAGE_PIXELS = _limit


def _leniently() -> Iterator[None]:
    """Let Pillow decode truncated pictures."""
    before, ImageFile.LOAD_TRUNCATED_IMAGES = ImageFile.LOAD_TRUNCATED_IMAGES, True
    try:
        yield
    finally:
        ImageFile.LOAD_TRUNCATED_IMAGES = before
