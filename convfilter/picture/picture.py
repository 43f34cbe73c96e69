"""A picture as read or to be written: frames of samples, their meaning, and metadata."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from convfilter.picture.frame import Frame
from convfilter.picture.loss import Loss
from convfilter.picture.metadata.metadata import Metadata
from convfilter.picture.outline import Outline
from convfilter.picture.pixels import CHANNELS, Model, Pixels, channels_of
from convfilter.record import field, record, replace
from convfilter.sample_types import computed_in, full_scale, is_known, suggestion

if TYPE_CHECKING:
    import numpy.typing as npt


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
    orientation : int
        EXIF orientation that has been applied to the pixels; 1 if they are as the file stores them.
    nodata : float, or None
        Value of missing samples in all frames; a page of a TIFF has its own, among its fields.
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
    orientation: int = 1
    nodata: float | None = None

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
