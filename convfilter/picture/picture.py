"""Pictures: frames of samples, and their metadata."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from convfilter.errors import ReadError
from convfilter.picture.pixels import CHANNELS, Model, Pixels, channels_of
from convfilter.record import field, record, replace
from convfilter.sample_types import computed_in, full_scale, is_known, suggestion

if TYPE_CHECKING:
    from convfilter.picture.row_source import Bands, LazyArray
    from convfilter.picture.tiff.fields import PageFields

Item = TypeVar("Item")


class Frame:
    """One picture of a sequence, always the whole canvas.

    Parameters
    ----------
    pixels : (H, W) or (H, W, C) array of a type of ``sample_types.SAMPLE_TYPES``, or what decodes to it
        C-contiguous, native byte order. Integers fill their range, unless ``Picture.white`` says otherwise: white
        is the largest of their type; that of real samples is 1. What is still to be decoded is decoded as long as
        the file is open: see ``convfilter.picture.row_source``.
    delay : (int, int), or None
        Time that an animation shows the frame, as a fraction of a second.
    fallback : bool
        True for a picture that only viewers without animation show (the default image of an APNG that is not part
        of the animation).
    tiff : PageFields, or None
        Fields of a TIFF page, copied unchanged.
    """

    def __init__(
        self,
        pixels: Pixels | Bands | LazyArray,
        delay: tuple[int, int] | None = None,
        fallback: bool = False,
        tiff: PageFields | None = None,
    ) -> None:
        self._samples, self.delay, self.fallback, self.tiff = pixels, delay, fallback, tiff
        #: Why the samples were decoded at once; see ``streaming_obstacle``.
        self.obstacle = "the format is decoded in one piece"

    @property
    def shape(self) -> tuple[int, ...]:
        """(H, W), or (H, W, C) with several channels."""
        shape: tuple[int, ...] = self._samples.shape
        return shape[:2] if len(shape) == 3 and shape[2] == 1 else shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the samples."""
        dtype: np.dtype[Any] = self._samples.dtype
        return dtype

    @property
    def pixels(self) -> Pixels:
        """The samples, decoded at the first access."""
        return self.decode()

    @pixels.setter
    def pixels(self, pixels: Pixels) -> None:
        self._samples = pixels

    def decode(self) -> Pixels:
        """Decode the samples if necessary, and return them."""
        if not isinstance(self._samples, np.ndarray):
            self._samples = self._samples.decoded().reshape(self.shape)
        return self._samples

    def start(self) -> None:
        """Start decoding in another thread, if the format gains from it."""
        if not isinstance(self._samples, np.ndarray):
            self._samples.start()

    def close(self) -> None:
        """Decode no more."""
        if not isinstance(self._samples, np.ndarray):
            self._samples.close()

    @property
    def bands(self) -> Bands | None:
        """The source of rows in order, if they are not decoded yet and the format allows it."""
        from convfilter.picture.row_source import Bands

        return self._samples if isinstance(self._samples, Bands) else None

    @property
    def streaming_obstacle(self) -> str:
        """Why rows cannot be decoded one by one; "" if they can."""
        if isinstance(self._samples, np.ndarray):
            return self.obstacle
        return self._samples.streaming_obstacle

    def mapped(self, function: Callable[[Pixels], Pixels], dtype: np.dtype[Any], channels: int | None = None) -> Frame:
        """Return the frame with a function applied to its pixels when they are decoded.

        ``channels`` is the number of channels of the function's result, if it changes.
        """
        if isinstance(self._samples, np.ndarray):
            return self.with_pixels(function(self._samples))
        return Frame(self._samples.mapped(function, dtype, channels), self.delay, self.fallback, self.tiff)

    def with_pixels(self, pixels: Pixels) -> Frame:
        """Return the same frame with other samples."""
        return Frame(pixels, self.delay, self.fallback, self.tiff)

    def with_tiff(self, fields: PageFields | None) -> Frame:
        """Return the same frame with other fields of a TIFF page."""
        return Frame(self._samples, self.delay, self.fallback, fields)


class Text(NamedTuple):
    """A text in a file, such as ``Author``; ``language`` as in RFC 3066."""

    keyword: str
    value: str
    language: str = ""
    translated: str = ""


class JpegTables(NamedTuple):
    """Compression of a JPEG: quantisation tables, and Pillow's number of the subsampling (-1: another)."""

    quantization: dict[int, list[int]]
    subsampling: int
    progressive: bool = False


@record(eq=False, frozen=False)
class Metadata:
    """Metadata of a file.

    Attributes
    ----------
    icc : bytes, or None
        ICC profile.
    exif : bytes, or None
        EXIF as a TIFF structure, without the ``Exif`` prefix of a JPEG;
        orientation reset where it has been applied, thumbnail dropped.
    xmp : bytes, or None
        XMP packet.
    photoshop : bytes, or None
        Image resources of a JPEG's APP13 segment or a TIFF's tag 34377; IPTC
        lives there.
    iptc : bytes, or None
        IPTC-IIM records from a TIFF's tag 33723.
    resolution : (float, float), or None
        Dots per inch, (x, y).
    text : list of Text
        Texts; ``Description`` and ``Comment`` have fields in TIFF and JPEG.
    png : list of (bytes, bytes)
        PNG chunks, unchanged: colour (gAMA, cHRM, sRGB, cICP, mDCV,
        cLLI), tIME, and a pHYs that gives an aspect ratio only.
    loop : int, or None
        Number of times an animation plays, 0: forever; None: unspecified.
    jpeg : JpegTables, or None
        Compression of the JPEG that was read.
    alpha_at : int
        Position of alpha among the extra samples of the TIFF that was read, from 0.
    associated_alpha : bool
        Whether the TIFF or JP2 that was read is premultiplied; an output then is too.
    compression : str
        Compression of the TIFF that was read: a name of ``WriteOptions.compression``, or one that is not written; ""
        for other formats.
    tile : (int, int), or None
        Width and height of the tiles of the TIFF that was read; an output then has such tiles.
    mask : bool
        Whether opacity is that of the TIFF's transparency mask; an output then has a mask.
    lossless : bool
        Whether the WebP that was read is lossless; an output then is too.
    from_integers : bool
        Whether samples were integers, which are display-encoded by default; floats are linear light.
    attributes : dict, or None
        Attributes of the OpenEXR or Radiance HDR that was read.
    thumbnail : bool
        Whether the file had a thumbnail; an output then gets a new one.
    marked : bool
        Whether the file that was read has convfilter's mark.
    """

    icc: bytes | None = None
    exif: bytes | None = None
    xmp: bytes | None = None
    photoshop: bytes | None = None
    iptc: bytes | None = None
    resolution: tuple[float, float] | None = None
    text: list[Text] = field(factory=list)
    png: list[tuple[bytes, bytes]] = field(factory=list)
    loop: int | None = None
    jpeg: JpegTables | None = None
    alpha_at: int = 0
    associated_alpha: bool = False
    lossless: bool = False
    compression: str = ""
    tile: tuple[int, int] | None = None
    mask: bool = False
    from_integers: bool = False
    attributes: dict[str, Any] | None = None
    thumbnail: bool = False
    marked: bool = False

    __repr__ = object.__repr__  # the fields would fill pages

    @property
    def is_empty(self) -> bool:
        """Whether there is no metadata that some format could not store."""
        said = (self.icc, self.exif, self.xmp, self.photoshop, self.iptc, self.resolution, self.text, self.png)
        return not (any(said) or self.thumbnail)


class Loss(NamedTuple):
    """A property of the input that an output lacks.

    ``severe`` if pictures or their meaning are lost: an error unless the user
    allows it. Otherwise the picture looks the same, and the loss is a note.
    ``remedy`` is the remedy of the error, as in ``ConvfilterError``.
    """

    text: str
    severe: bool = False
    remedy: str = ""


@record(eq=False, frozen=False)
class Outline:
    """The properties of a picture that a format must support, without samples.

    ``dtype`` is that of the file that was read, ``delays`` are those of an
    animation; frames without delays are pages. ``pages`` are fields of TIFF pages.
    """

    width: int
    height: int
    model: Model
    alpha: bool
    frames: int = 1
    format: str | None = None
    extras: int = 0
    dtype: str = "uint8"
    delays: tuple[tuple[int, int], ...] = ()
    metadata: Metadata = field(factory=Metadata)
    white: int | None = None
    pages: tuple[PageFields, ...] = ()
    premultiplied: bool = False

    @property
    def shape(self) -> tuple[int, int, int]:
        """(rows, cols, channels) of a frame."""
        return self.height, self.width, CHANNELS[self.model] + self.extras + self.alpha

    @property
    def kind(self) -> str:
        """Short name of the channels: ``rgb+alpha``."""
        return self.model + (f"+{self.extras}" if self.extras else "") + ("+alpha" if self.alpha else "")

    @property
    def animated(self) -> bool:
        """Whether the frames are an animation rather than pages."""
        return bool(self.delays)


@record(eq=False, frozen=False)
class Picture:
    """Samples and metadata of a picture file.

    Attributes
    ----------
    frames : list of Frame
        At least one; all of one dtype and number of channels.
    model : "gray", "rgb" or "cmyk"
        Colour model. CMYK counts ink: 0 is white.
    alpha : bool
        The last channel is opacity.
    format : str, or None
        Name of the format, detected from the content: "PNG", "JPEG", ...
    metadata : Metadata
    notes : tuple of str
        Notes to the user about reading, one line each.
    extras : int
        Channels between the colours and alpha that are neither: bands of a
        satellite, spot colours. They are filtered like colours.
    losses : tuple of Loss
        Parts of the file that are not in the picture.
    white : int, or None
        The value of white, and of full opacity, where integers do not fill
        their range: 4095 for samples of 12 bits.
    premultiplied : bool
        Colours are multiplied with opacity, as the file stores them.
    file_dtype : str, or None
        The sample type of the file, where the engine does not take it: samples of int8 are in int16, those of int32
        in float64. What is written is rounded to it.
    """

    frames: list[Frame]
    model: Model = "rgb"
    alpha: bool = False
    format: str | None = None
    metadata: Metadata = field(factory=Metadata)
    notes: tuple[str, ...] = ()
    extras: int = 0
    losses: tuple[Loss, ...] = ()
    white: int | None = None
    premultiplied: bool = False
    file_dtype: str | None = None

    @property
    def pixels(self) -> Pixels:
        """The samples of the first frame, often the only one."""
        return self.frames[0].pixels

    @pixels.setter
    def pixels(self, pixels: Pixels) -> None:
        self.frames[0].pixels = pixels

    def start(self) -> None:
        """Start decoding the only frame in another thread; several frames are decoded one by one."""
        if len(self.frames) == 1:
            self.frames[0].start()

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the samples of all frames."""
        return self.frames[0].dtype

    @property
    def own_white(self) -> float | None:
        """The value of white, where it is not the full scale of the samples' type."""
        return self.white if self.file_dtype is None else full_scale(self.file_dtype)

    def __array__(self, dtype: npt.DTypeLike | None = None, copy: bool | None = None) -> Pixels:
        """Return the samples of the first frame; alpha, if there is one, is the last channel."""
        return np.array(self.pixels, dtype) if copy else np.asarray(self.pixels, dtype)

    @property
    def outline(self) -> Outline:
        """Size and kind; the size is that of the largest frame on each axis."""
        height = max(frame.shape[0] for frame in self.frames)
        width = max(frame.shape[1] for frame in self.frames)
        delays = tuple(frame.delay for frame in self.frames if frame.delay is not None)
        return Outline(
            width,
            height,
            self.model,
            self.alpha,
            len(self.frames),
            self.format,
            self.extras,
            self.file_dtype or self.dtype.name,
            delays,
            self.metadata,
            self.white,
            tuple(frame.tiff for frame in self.frames if frame.tiff is not None),
            self.premultiplied,
        )

    def full_range(self) -> Picture:
        """Return the picture with integers that use their full range."""
        if self.white is None:
            return self
        from convfilter.picture import colour

        white = self.white
        frames = [frame.with_pixels(colour.filling(frame.pixels, white)) for frame in self.frames]
        return replace(self, frames=frames, white=None)

    def straight(self) -> Picture:
        """Return the picture with straight colours."""
        if not self.premultiplied:
            return self
        from convfilter.picture import colour

        frames = [
            frame.with_pixels(colour.straightened(frame.pixels, frame.dtype, self.white, self.white))
            for frame in self.frames
        ]
        return replace(self, frames=frames, premultiplied=False)

    def without_extras(self, pixels: Pixels) -> Pixels:
        """Return samples of this picture without the bands beside colours and alpha."""
        if not self.extras:
            return pixels
        colours = CHANNELS[self.model]
        kept = np.concatenate([pixels[..., :colours], pixels[..., colours + self.extras :]], axis=-1)
        return kept[..., 0] if kept.shape[-1] == 1 else kept

    @classmethod
    def from_array(cls, pixels: Pixels) -> Picture:
        """Make a picture of an array: 1 to 4 channels are grey, grey and alpha, RGB, RGBA.

        Parameters
        ----------
        pixels : (H, W) or (H, W, C) array of a type of ``sample_types``

        Returns
        -------
        Picture

        Raises
        ------
        ValueError
            The array has another shape or another dtype.
        """
        if not is_known(pixels.dtype):
            raise ValueError(f"a picture holds no samples of {pixels.dtype}; {suggestion(pixels.dtype)}")
        if pixels.ndim not in (2, 3) or not 1 <= channels_of(pixels) <= 4 or 0 in pixels.shape:
            first = pixels.ndim == 3 and pixels.shape[0] in (1, 3, 4)
            remedy = "; channels come last: rearrange it with transpose(1, 2, 0)" if first else ""
            raise ValueError(
                f"a picture is a (H, W) or (H, W, 1 to 4) array without empty axes, got {pixels.shape}{remedy}"
            )
        channels = channels_of(pixels)
        if pixels.ndim == 3 and channels == 1:
            pixels = pixels[:, :, 0]
        model: Model = "gray" if channels < 3 else "rgb"
        computed = computed_in(pixels.dtype)
        file_dtype = pixels.dtype.name if computed != pixels.dtype else None
        frame = Frame(np.ascontiguousarray(pixels, dtype=computed))
        return cls([frame], model, channels in (2, 4), file_dtype=file_dtype)


def chosen(frames: list[Item], index: int) -> Item:
    """Return one frame by its number from 0; negative numbers count from the end."""
    if not -len(frames) <= index < len(frames):
        there = f"0 to {len(frames) - 1}" if len(frames) > 1 else "0, the only one"
        raise ReadError(f"the frame must be {there}, got {index}")
    return frames[index]


def changed_area(before: Pixels, after: Pixels) -> tuple[int, int, int, int]:
    """Return the bounding box of the difference of two frames of one size.

    Returns
    -------
    (int, int, int, int)
        First row, first column, last row + 1, last column + 1; one pixel if all is equal.
    """
    changed = before != after
    if changed.ndim == 3:
        changed = changed.any(axis=2)
    rows, cols = np.flatnonzero(changed.any(axis=1)), np.flatnonzero(changed.any(axis=0))
    if not rows.size:
        return 0, 0, 1, 1
    return int(rows[0]), int(cols[0]), int(rows[-1]) + 1, int(cols[-1]) + 1
