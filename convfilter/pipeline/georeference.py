"""Move what describes positions (GeoTIFF, FITS, a subject in EXIF) to where a plan places the pixels of the result."""

from __future__ import annotations

from typing import TYPE_CHECKING

from convfilter.picture.frame import Frame
from convfilter.picture.loss import Loss
from convfilter.picture.metadata.metadata import Metadata
from convfilter.planning import Plan

if TYPE_CHECKING:
    from convfilter.picture.axis import Axis

#: Coefficients of x, and of y: (A, B, C) and (D, E, F). The point of column x and row y is at (A x + B y + C,
#: D x + E y + F); columns and rows count from the centre of the first pixel.
Matrix = tuple[tuple[float, float, float], tuple[float, float, float]]


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


def moved_matrix(matrix: Matrix, plan: Plan, orientation: int) -> Matrix:
    """Return the matrix of the result of a plan.

    Parameters
    ----------
    matrix : Matrix
        Of the stored picture.
    plan : Plan
    orientation : int
        EXIF orientation by which the picture was turned before it was filtered; 1 for none.
    """
    rows, cols = axes(plan)
    by_x, by_y = turned(matrix, orientation, *plan.input_shape[:2])
    return _on_grid(by_x, rows, cols), _on_grid(by_y, rows, cols)


def turned(matrix: Matrix, orientation: int, height: int, width: int) -> Matrix:
    """Return the matrix of a picture after it was turned upright, to ``height`` and ``width``."""

    def of_row(by_col: float, by_row: float, constant: float) -> tuple[float, float, float]:
        if orientation >= 5:
            by_col, by_row = by_row, by_col
        if orientation in (2, 3, 6, 7):
            by_col, constant = -by_col, constant + by_col * (width - 1)
        if orientation in (3, 4, 7, 8):
            by_row, constant = -by_row, constant + by_row * (height - 1)
        return by_col, by_row, constant

    return of_row(*matrix[0]), of_row(*matrix[1])


def _on_grid(row: tuple[float, float, float], rows: Axis, cols: Axis) -> tuple[float, float, float]:
    by_col, by_row, constant = row
    return by_col * cols.jump, by_row * rows.jump, constant + by_col * cols.start + by_row * rows.start
