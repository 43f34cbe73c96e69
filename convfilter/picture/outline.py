"""Outline of a picture: the properties that a format must support, without samples."""

from __future__ import annotations

from typing import TYPE_CHECKING

from convfilter.picture.metadata.metadata import Metadata
from convfilter.picture.pixels import CHANNELS, Model
from convfilter.record import field, record

if TYPE_CHECKING:
    from convfilter.picture.tiff.fields import PageFields


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
