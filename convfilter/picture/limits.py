"""Limits of size and memory, checked with the numbers of a file's header before a pixel is decoded."""

from __future__ import annotations

from typing import TYPE_CHECKING

from convfilter.errors import ReadError, SizeError

if TYPE_CHECKING:
    from convfilter.picture.options import ReadOptions

#: Smaller jobs are not compared with the available memory, since the query would take longer than they do.
_SMALL_JOB_BYTES = 256 * 2**20
#: Largest size of a file's decoded metadata; large colour profiles have 3 MiB, long edit histories 10 MiB.
MOST_METADATA_BYTES = 64 * 2**20
#: Memory that a chunk or text takes besides its bytes.
_ITEM_BYTES = 256


class Budget:
    """Quota for the decoded metadata of one file, charged before they are decoded.

    Parameters
    ----------
    name : str
        Name of the format, for the message.
    most : int
        Number of bytes.

    Attributes
    ----------
    left : int
        Bytes that are not charged yet.
    """

    def __init__(self, name: str, most: int = MOST_METADATA_BYTES) -> None:
        self._name, self._most = name, most
        self.left = most

    def spend(self, size: int) -> None:
        """Charge an item of ``size`` bytes.

        Raises
        ------
        ReadError
            The quota is exceeded.
        """
        self.left -= size + _ITEM_BYTES
        if self.left < 0:
            raise ReadError(self.message)

    @property
    def message(self) -> str:
        """Text of the error when the quota is exceeded."""
        return f"the {self._name} holds more than {self._most >> 20} MiB besides its pixels"


def require_size(width: int, height: int, options: ReadOptions) -> None:
    """Refuse a picture whose header gives no pixels or too many, or a size that ``options.check_size`` refuses.

    Parameters
    ----------
    width, height : int
        In pixels, from the header.
    options : ReadOptions

    Raises
    ------
    ReadError
        A side is 0 or less.
    SizeError
        There are more than ``options.max_pixels`` pixels, or ``options.check_size`` raises it.
    """
    require_pixels(width, height, options.max_pixels)
    if options.check_size is not None:
        options.check_size(width, height)


def require_pixels(width: int, height: int, max_pixels: int, what: str = "picture") -> None:
    """Refuse a picture without pixels or with too many.

    Parameters
    ----------
    width, height : int
        In pixels.
    max_pixels : int
        Largest number of pixels allowed.
    what : str, default "picture"
        Subject of the message.

    Raises
    ------
    ReadError
        A side is 0 or less.
    SizeError
        There are more pixels than allowed.
    """
    if width < 1 or height < 1:
        raise ReadError(f"a picture has at least one pixel, this one is {width}x{height}")
    if width * height > max_pixels:
        raise SizeError(
            f"the {what} is too large: {width}x{height} is {_counted(width * height)} pixels, "
            f"the limit is {_counted(max_pixels)}",
            remedy="raise it with {max_pixels}",
        )


def require_frames(frames: int, pixels: int, max_pixels: int) -> None:
    """Refuse frames that have too many pixels together.

    Parameters
    ----------
    frames : int
        Number of frames that are read; a single one is checked by :func:`require_size`.
    pixels : int
        Pixels of all these frames, each a whole canvas.
    max_pixels : int
        Largest number of pixels allowed.

    Raises
    ------
    SizeError
        There are more pixels than allowed.
    """
    if frames > 1 and pixels > max_pixels:
        raise SizeError(
            f"the {frames} frames have {_counted(pixels)} pixels together, the limit is {_counted(max_pixels)}",
            remedy="raise it with {max_pixels}, or choose one with {frame=N}",
        )


def _counted(pixels: int) -> str:
    """Format a number of pixels, from a million on in millions with all digits, as they may differ in the last ones."""
    return f"{pixels / 1e6:.10g} million" if pixels >= 1_000_000 else str(pixels)


def require_memory(needed: int, what: str = "the picture") -> None:
    """Refuse a job that needs more memory than is available.

    Parameters
    ----------
    needed : int
        Bytes, estimated from the header: samples of input and output.
    what : str
        Subject of the message.

    Raises
    ------
    SizeError
        The machine, its container or the limit of the process leaves less memory.
    """
    if needed < _SMALL_JOB_BYTES:
        return
    from convfilter.machine.memory import available_memory

    available = available_memory()
    if needed > available:
        raise SizeError(
            f"{what} needs about {needed / 2**30:.1f} GiB of memory, {available / 2**30:.1f} GiB are available; "
            "free some memory or use a smaller picture"
        )
