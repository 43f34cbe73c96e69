"""Size and memory, checked from a file's header before a pixel is decoded."""

from __future__ import annotations

from typing import TYPE_CHECKING

from convfilter.errors import ReadError, SizeError
from convfilter.machine.memory import available_memory

if TYPE_CHECKING:
    from convfilter.picture.options import ReadOptions

#: Jobs below this size are not compared with the free memory, since the query costs more than it saves.
_SMALL_JOB_BYTES = 256 * 2**20
#: Largest number of bytes of a file's decoded metadata; large profiles have 3 MiB, long edit histories 10.
MOST_METADATA_BYTES = 64 * 2**20
#: Memory overhead of a chunk or text.
_ITEM_BYTES = 256


class Budget:
    """Quota for the decoded metadata of one file, charged before decoding.

    Parameters
    ----------
    name : str
        Name of the format, for the message.
    most : int
        Bytes.
    """

    def __init__(self, name: str, most: int = MOST_METADATA_BYTES) -> None:
        self._name, self._most = name, most
        self.left = most

    def spend(self, size: int, items: int = 1) -> None:
        """Charge the bytes of some items.

        Raises
        ------
        ReadError
            The quota is exceeded.
        """
        self.left -= size + items * _ITEM_BYTES
        if self.left < 0:
            raise ReadError(self.message)

    @property
    def message(self) -> str:
        """Message when the quota is exceeded."""
        return f"the {self._name} holds more than {self._most >> 20} MiB beside its pixels"


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
    pixels : int
        Pixels of all frames, each a whole canvas.
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
    """Format a number of pixels, from a million on in millions, with enough digits to show that it exceeds a limit."""
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
        The machine, the container or the process limit does not have that much.
    """
    if needed < _SMALL_JOB_BYTES:
        return
    available = available_memory()
    if needed > available:
        raise SizeError(
            f"{what} needs about {needed / 2**30:.1f} GiB of memory, {available / 2**30:.1f} GiB are available; "
            "free some memory or use a smaller picture"
        )
