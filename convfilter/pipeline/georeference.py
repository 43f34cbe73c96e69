"""Move what describes positions (GeoTIFF, FITS, a subject in EXIF) to where a plan places the pixels of the result."""

from __future__ import annotations

from typing import TYPE_CHECKING

from convfilter.picture.frame import Frame
from convfilter.picture.loss import Loss
from convfilter.picture.metadata.metadata import Metadata
from convfilter.planning import Plan

if TYPE_CHECKING:
    from convfilter.picture.axis import Axis


def georeferenced(frame: Frame, plan: Plan) -> Frame:
    """Return a frame with the position fields of the result.

    Parameters
    ----------
    frame : Frame
        Frame with the pixels of the result and the fields of the input.
    plan : Plan

    Returns
    -------
    Frame
    """
    if frame.tiff is None:
        return frame
    from convfilter.picture.tiff.position import moved

    return frame.with_tiff(moved(frame.tiff, *axes(plan)))


def moved_metadata(metadata: Metadata, plan: Plan) -> tuple[Metadata, tuple[Loss, ...]]:
    """Return the metadata of the result, and what they lose; see ``geometry.moved``."""
    if not (metadata.exif or metadata.xmp or metadata.png) or is_same_grid(plan):
        return metadata, ()
    from convfilter.picture.metadata import geometry

    return geometry.moved(metadata, *axes(plan), plan.input_shape)


def is_same_grid(plan: Plan) -> bool:
    """Whether each pixel of the result is in the place of a pixel of the picture, and none is left out."""
    height, width = plan.input_shape[:2]
    return axes(plan) == ((0, 1, height), (0, 1, width))


def axes(plan: Plan) -> tuple[Axis, Axis]:
    """Return where the rows and columns of the result lie on the grid of the picture."""
    from convfilter.picture.axis import Axis
    from convfilter.planning.figures import figures

    last = figures(plan)[-1]
    height, width = plan.output_shape[:2]
    return Axis(last.rows.start, last.rows.jump, height), Axis(last.cols.start, last.cols.jump, width)
