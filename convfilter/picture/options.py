"""Options for reading and writing pictures."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from convfilter.errors import ParameterError, ReadError, shown
from convfilter.record import record

DEFAULT_MAX_PIXELS = 250_000_000
DEFAULT_QUALITY = 92
#: The quality at which AVIF and JPEG XL are lossless.
LOSSLESS_QUALITY = 100
Effort = Literal["fast", "default", "best"]
Compression = Literal["fast", "default", "best", "none", "lzw", "deflate", "zip", "zstd", "packbits"]
Strip = Literal["most", "all"]
EFFORTS: tuple[Effort, ...] = ("fast", "default", "best")
#: Compressions of TIFF; "zip" is another name of deflate.
TIFF_COMPRESSIONS: tuple[Compression, ...] = ("none", "lzw", "deflate", "zip", "zstd", "packbits")
COMPRESSIONS: tuple[Compression, ...] = (*EFFORTS, *TIFF_COMPRESSIONS)
STRIPS: tuple[Strip, ...] = ("most", "all")
SUBSAMPLINGS = ("4:4:4", "4:2:2", "4:2:0")


@record(eq=False)
class ReadOptions:
    """Options for reading a picture.

    Attributes
    ----------
    max_pixels : int
        Largest width times height, of all frames together.
    auto_orient : bool
        Apply the orientation that EXIF or XMP gives, and reset it there.
    frame : int, or None
        Read only this frame, counted from 0; negative: from the end. None: all.
    lenient : bool
        Decode the readable part of a truncated or damaged picture, with a note.
    threads : int, or None
        Number of threads; None: one for each core.
    check_size : callable, or None
        Called with width and height from the header, before the EXIF orientation is applied and before a pixel is
        decoded; raises SizeError to refuse the picture.
    allow_loss : bool
        Read the supported part of a file that holds more, such as further pictures or channels, with a note.
    strict : bool
        Make notes errors.

    Raises
    ------
    ParameterError
        ``max_pixels`` is below 1.
    """

    max_pixels: int = DEFAULT_MAX_PIXELS
    auto_orient: bool = True
    frame: int | None = None
    lenient: bool = False
    threads: int | None = None
    check_size: Callable[[int, int], None] | None = None
    allow_loss: bool = False
    strict: bool = False

    def __post_init__(self) -> None:
        if not (_is_number(self.max_pixels) and self.max_pixels >= 1):
            raise ParameterError(f"max_pixels must be at least 1, got {shown(self.max_pixels)}")

    def of_auxiliary(self) -> ReadOptions:
        """Return the options for a mask or a guide of the picture, which must be undamaged and have one frame."""
        return ReadOptions(max_pixels=self.max_pixels, auto_orient=self.auto_orient)

    def frame_numbers(self, count: int) -> list[int]:
        """Return the numbers, from 0, of the frames to read from a file of ``count`` frames: all, or only ``frame``.

        Raises
        ------
        ReadError
            The file has no such frame.
        """
        return [*range(count)] if self.frame is None else [frame_number(self.frame, count)]

    def require_frame(self, count: int) -> None:
        """Refuse a ``frame`` that a file of ``count`` frames does not have, with a ReadError."""
        if self.frame is not None:
            frame_number(self.frame, count)


def frame_number(index: int, count: int) -> int:
    """Return the number, from 0, of one of ``count`` frames; a negative index counts from the end.

    Raises
    ------
    ReadError
        There is no such frame.
    """
    if not -count <= index < count:
        allowed = f"0 to {count - 1}" if count > 1 else "0, the only one"
        raise ReadError(f"the frame must be {allowed}, got {index}")
    return index % count


@record(eq=False)
class WriteOptions:
    """Options for writing a picture.

    Attributes
    ----------
    format : str, or None
        Name of the format; None: by the suffix, for standard output that of the input.
    quality : int, or None
        1 to 100, for JPEG, WebP, AVIF, JPEG XL and JPEG 2000; 100 is lossless for AVIF and JPEG XL. None: a JPEG keeps
        its tables, and a lossless WebP or JPEG XL stays lossless; else 92 (JPEG 2000: lossless).
    subsampling : str, or None
        Resolution of the colours of a JPEG or AVIF: "4:4:4", "4:2:2" or "4:2:0". None: that of the JPEG that was
        read, else 4:2:0.
    compression : str
        "fast", "default" or "best": time against size, never against quality. For TIFF also "none", "lzw", "deflate"
        (or "zip"), "zstd" or "packbits"; otherwise a TIFF is compressed as the TIFF that was read, else deflated.
    strip : str, or None
        "most" drops all metadata except the ICC profile; "all" drops that too.
    background : str, or None
        Colour to composite a transparent picture on; the result has no alpha.
    threads : int, or None
        Number of threads; None: one for each core.
    where_taken : tuple of str
        Options among "quality", "subsampling" and "compression" that a format may ignore, as in a batch of several
        formats; any other of the three is an error for a format to which it does not apply.
    marked : bool
        Write the mark ``Software: convfilter``, if the format has a field or comments.
    allow_loss : bool
        Drop what the format cannot store, such as further frames or transparency, with a note.
    strict : bool
        Make notes errors.
    nan : float, or None
        Value stored for NaN in integers, 0 (black) to 1 (white). None: NaN is an error.

    Raises
    ------
    ParameterError
        ``nan`` or ``quality`` is out of range, or ``subsampling``, ``compression`` or ``strip`` has no such value.
    """

    format: str | None = None
    quality: int | None = None
    subsampling: str | None = None
    compression: Compression = "default"
    strip: Strip | None = None
    background: str | None = None
    threads: int | None = None
    where_taken: tuple[str, ...] = ()
    marked: bool = False
    allow_loss: bool = False
    strict: bool = False
    nan: float | None = None

    def __post_init__(self) -> None:
        if self.nan is not None and not (_is_number(self.nan) and 0 <= self.nan <= 1):
            raise ParameterError(f"nan must be 0 (black) to 1 (white), got {shown(self.nan)}")
        if self.quality is not None and not (_is_number(self.quality) and 1 <= self.quality <= 100):
            raise ParameterError(f"quality must be 1 to 100, got {shown(self.quality)}")
        for name, value in (("format", self.format), ("background", self.background)):
            if value is not None and not isinstance(value, str):
                raise ParameterError(f"{name} must be a text, got {shown(value)}")
        for name, value, choices in (
            ("subsampling", self.subsampling, SUBSAMPLINGS),
            ("compression", self.compression, COMPRESSIONS),
            ("strip", self.strip, STRIPS),
        ):
            if value is not None and (not isinstance(value, str) or value not in choices):
                raise ParameterError(f"{name} must be one of {', '.join(choices)}, got {shown(value)}")

    @property
    def effort(self) -> Effort:
        """Time spent on compression: "fast", "default" or "best"; "default" for a compression of TIFF."""
        return self.compression if self.compression in EFFORTS else "default"


def _is_number(value: Any) -> bool:
    """Whether a value is a real number, of Python or NumPy."""
    return isinstance(value, int | float) or (getattr(value, "ndim", None) == 0 and value.dtype.kind in "iuf")
