"""Move the position fields of a frame (GeoTIFF, FITS) to where its plan places the pixels of the result."""

from __future__ import annotations

from convfilter.picture.axis import Axis
from convfilter.picture.frame import Frame
from convfilter.planning import Plan


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


def axes(plan: Plan) -> tuple[Axis, Axis]:
    """Return where the rows and columns of the result lie on the grid of the picture."""
    from convfilter.planning.figures import figures

    last = figures(plan)[-1]
    height, width = plan.output_shape[:2]
    return Axis(last.rows.start, last.rows.jump, height), Axis(last.cols.start, last.cols.jump, width)
