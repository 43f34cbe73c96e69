"""A picture as read or to be written: frames of samples, their meaning, and metadata."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from convfilter.picture.options import frame_number
from convfilter.picture.pixels import CHANNELS, Model, Pixels, channels_of
from convfilter.record import field, record, replace
from convfilter.sample_types import computed_in, full_scale, is_known, suggestion

if TYPE_CHECKING:
    from convfilter.picture.codecs.exr import ExrHeader
    from convfilter.picture.row_source import Bands, LazyArray
    from convfilter.picture.tiff.fields import PageFields

Item = TypeVar("Item")
#: Delay of a frame that has none in an animation: a tenth of a second, as browsers show it.
DEFAULT_DELAY = 1, 10


class Frame:
    """One frame of an animation, one page, or the only picture: always the whole canvas.

    Parameters
    ----------
    pixels : (H, W) or (H, W, C) array, or ``Bands`` or ``LazyArray``
        Samples of a type in ``sample_types.SAMPLE_TYPES``, C-contiguous, in native byte order. White is the largest
        integer of the type (or ``Picture.white``), 1 for real samples. Lazy samples can be decoded only while their
        file is open: see ``convfilter.picture.row_source``.
    delay : (int, int), or None
        Time for which an animation shows the frame: numerator and denominator of a fraction of a second.
    fallback : bool
        Whether only programs without animation show the frame: the default image of an APNG that is not part of the
        animation.
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
        """Type of the samples."""
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
        """Stop decoding: the file is about to be closed."""
        if not isinstance(self._samples, np.ndarray):
            self._samples.close()

    @property
    def bands(self) -> Bands | None:
        """The source of rows from the top down; None if the samples are decoded already or can only be at once."""
        from convfilter.picture.row_source import Bands

        return self._samples if isinstance(self._samples, Bands) else None

    @property
    def streaming_obstacle(self) -> str:
        """Why rows cannot be decoded one by one; "" if they can."""
        if isinstance(self._samples, np.ndarray):
            return self.obstacle
        return self._samples.streaming_obstacle

    def mapped(self, function: Callable[[Pixels], Pixels], dtype: np.dtype[Any], channels: int | None = None) -> Frame:
        """Return the frame with a function applied to its pixels: at once, or band by band as they are decoded.

        Parameters
        ----------
        function : callable
            Works pixel by pixel.
        dtype : dtype
            Type of the function's result.
        channels : int, optional
            Number of channels of the function's result, if it changes.
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
    """A text of a PNG chunk, a TIFF field or the like.

    ``keyword`` is a keyword of PNG, such as "Author"; ``language`` is a tag of RFC 3066; ``translated`` is the keyword
    in that language.
    """

    keyword: str
    value: str
    language: str = ""
    translated: str = ""


class JpegTables(NamedTuple):
    """Compression of a JPEG that was read, for an output with the same tables.

    ``quantization`` has 64 values in zigzag order by table number; ``subsampling`` is Pillow's number: 0 is 4:4:4, 1 is
    4:2:2, 2 is 4:2:0, -1 any other.
    """

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
    exr : ExrHeader, or None
        Attributes, windows and compression of the OpenEXR that was read; an output then has the same.
    radiance : tuple of bytes
        Lines in the header of the Radiance HDR that was read, such as its exposure.
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
    exr: ExrHeader | None = None
    radiance: tuple[bytes, ...] = ()
    thumbnail: bool = False
    marked: bool = False

    __repr__ = object.__repr__  # the fields would fill pages

    @property
    def is_empty(self) -> bool:
        """Whether every format can store the metadata, since there are none that a format could lack."""
        stored = (self.icc, self.exif, self.xmp, self.photoshop, self.iptc, self.resolution, self.text, self.png)
        return not (any(stored) or self.thumbnail)

    @property
    def code_points(self) -> tuple[int, int] | None:
        """Primaries and transfer function as ITU-T H.273 numbers them, from a cICP chunk; None without one."""
        points = dict(self.png).get(b"cICP")
        return (points[0], points[1]) if points else None


class Loss(NamedTuple):
    """A property of the input that an output lacks.

    A severe loss, of pictures or of their meaning, is an error unless the user allows it. Any other loss is a note,
    since the picture looks the same.

    Attributes
    ----------
    text : str
        One line for the note or the error.
    severe : bool
    remedy : str
        Remedy of the error, as in ``ConvfilterError``.
    """

    text: str
    severe: bool = False
    remedy: str = ""


@record(eq=False, frozen=False)
class Outline:
    """The properties of a picture that a format must support, without its samples.

    Attributes
    ----------
    width, height : int
        In pixels.
    model, alpha, format, extras, metadata, white, premultiplied
        As in ``Picture``.
    frames : int
        Number of frames or pages.
    dtype : str
        Sample type of the file that was read; of the output, the type that is stored.
    delays : tuple of (int, int)
        Delays of an animation, as in ``Frame``; frames without delays are pages.
    pages : tuple of PageFields
        Fields of TIFF pages.
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
        """(H, W, C) of a frame."""
        return self.height, self.width, CHANNELS[self.model] + self.extras + self.alpha

    @property
    def kind(self) -> str:
        """Short name of the channels: "rgb+alpha", "gray+2" with two extra bands."""
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
        Number of channels between the colours and alpha that are neither, such as spot colours or the bands of a
        satellite. They are filtered like colours.
    losses : tuple of Loss
        Parts of the file that are not in the picture.
    white : int, or None
        Value of white, and of full opacity, in integers that do not use their full range: 4095 for samples of 12 bits.
    premultiplied : bool
        Colours are multiplied by opacity, as the file stores them.
    file_dtype : str, or None
        Sample type of the file, if the engine does not support it: samples of int8 are read as int16, those of int32
        as float64. Results are rounded to it when they are written.
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
        """Type of the samples of all frames."""
        return self.frames[0].dtype

    @property
    def own_white(self) -> float | None:
        """Value of white if it is not the full scale of ``dtype``; None if it is."""
        return self.white if self.file_dtype is None else full_scale(self.file_dtype)

    def __array__(self, dtype: npt.DTypeLike | None = None, copy: bool | None = None) -> Pixels:
        """Return the samples of the first frame, with alpha, if any, as the last channel; see ``numpy.asarray``."""
        return np.array(self.pixels, dtype) if copy else np.asarray(self.pixels, dtype)

    @property
    def outline(self) -> Outline:
        """The outline of the picture; its width and height are the largest among the frames."""
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
        """Return the picture with integers stretched to their full range: of 8 bits if white is at most 255."""
        if self.white is None:
            return self
        from convfilter.picture import colour

        white = self.white
        frames = [frame.with_pixels(colour.with_full_range(frame.pixels, white)) for frame in self.frames]
        return replace(self, frames=frames, white=None)

    def straight(self) -> Picture:
        """Return the picture with straight colours: not multiplied by opacity."""
        if not self.premultiplied:
            return self
        from convfilter.picture import colour

        frames = [
            frame.with_pixels(colour.straightened(frame.pixels, frame.dtype, self.white, self.white))
            for frame in self.frames
        ]
        return replace(self, frames=frames, premultiplied=False)

    def without_extras(self, pixels: Pixels) -> Pixels:
        """Return (H, W, C) samples of this picture without its extra bands; (H, W) if only grey is left."""
        if not self.extras:
            return pixels
        colours = CHANNELS[self.model]
        rest = np.concatenate([pixels[..., :colours], pixels[..., colours + self.extras :]], axis=-1)
        return rest[..., 0] if rest.shape[-1] == 1 else rest

    @classmethod
    def from_array(cls, pixels: Pixels) -> Picture:
        """Make a picture of an array, whose 1 to 4 channels are grey, grey and alpha, RGB, or RGBA.

        Parameters
        ----------
        pixels : (H, W) or (H, W, C) array of a type in ``sample_types``
            int8 becomes int16, and int32 float64; ``file_dtype`` then names the type of the array.

        Returns
        -------
        Picture

        Raises
        ------
        ValueError
            The array has another shape or sample type.
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
    """Return one frame by its number from 0; see :func:`~convfilter.picture.options.frame_number`."""
    return frames[frame_number(index, len(frames))]


def changed_area(before: Pixels, after: Pixels) -> tuple[int, int, int, int]:
    """Return the bounding box of the difference between two frames of an animation.

    Parameters
    ----------
    before, after : (H, W) or (H, W, C) arrays of one shape

    Returns
    -------
    (int, int, int, int)
        First row, first column, last row + 1, last column + 1; the pixel at (0, 0) if the frames are equal.
    """
    changed = before != after
    if changed.ndim == 3:
        changed = changed.any(axis=2)
    rows, cols = np.flatnonzero(changed.any(axis=1)), np.flatnonzero(changed.any(axis=0))
    if not rows.size:
        return 0, 0, 1, 1
    return int(rows[0]), int(cols[0]), int(rows[-1]) + 1, int(cols[-1]) + 1
