"""World files: the position of a picture on a map, in a text file beside the picture (``in.tfw`` beside ``in.tif``).

The file has six lines, A, D, B, E, C and F, as ArcGIS and GDAL define them: the centre of the pixel in column x and row
y is at (A x + B y + C, D x + E y + F). Rows and columns are those of the file: EXIF's orientation does not count.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from convfilter.errors import WriteError
from convfilter.picture.loss import Loss, notes_of
from convfilter.picture.place import atomic
from convfilter.picture.place.address import is_address
from convfilter.picture.place.streams import descriptor_of, is_special
from convfilter.pipeline.georeference import axes, is_same_grid
from convfilter.record import NamedTuple

if TYPE_CHECKING:
    from convfilter.picture.axis import Axis
    from convfilter.picture.options import WriteOptions
    from convfilter.picture.picture import Picture
    from convfilter.pipeline.contact_sheet import Form
    from convfilter.planning import Plan

#: Largest size of a world file, and of the file with the projection (``in.prj``), in bytes.
_MOST_BYTES = 1 << 16

#: Coefficients of x, and of y: (A, B, C) and (D, E, F).
Matrix = tuple[tuple[float, float, float], tuple[float, float, float]]


class WorldFile(NamedTuple):
    """A world file.

    Attributes
    ----------
    path : str
    style : int
        Position of its name in ``names``.
    matrix : pair of (float, float, float)
    content : bytes
    """

    path: str
    style: int
    matrix: Matrix
    content: bytes

    def moved(self, plan: Plan, orientation: int) -> bytes:
        """Return the content for the result of a plan.

        Parameters
        ----------
        plan : Plan
        orientation : int
            EXIF orientation by which the picture was turned before it was filtered; 1 for none.
        """
        if orientation == 1 and is_same_grid(plan):
            return self.content
        matrix, (rows, cols) = turned(self.matrix, orientation, *plan.input_shape[:2]), axes(plan)
        (a, b, c), (d, e, f) = (_on_grid(each, rows, cols) for each in matrix)
        return "".join(f"{value + 0.0!r}\n" for value in (a, d, b, e, c, f)).encode()  # 0.0: no -0.0


def carry(
    source: str, destination: str, picture: Picture, plan: Plan, form: Form, options: WriteOptions
) -> tuple[Callable[[], None] | None, tuple[str, ...]]:
    """Prepare the world file of an output.

    Parameters
    ----------
    source, destination : str
        Names of the picture and of the output.
    picture : Picture
    plan : Plan
    form : Form
        Of the result.
    options : WriteOptions

    Returns
    -------
    callable, or None
        Writes the world file, once the output is in place; None if there is none to write.
    tuple of str
        Notes.

    Raises
    ------
    WriteError
        The position is lost, and the options do not accept that.
    """
    world = found(source)
    if world is None or options.strip:
        return None, ()
    why = _obstacle(destination, form)
    if why:
        text = f"the position in {os.path.basename(world.path)} is left out, since {why}"
        return None, notes_of([Loss(text)], options, WriteError)
    content = world.moved(plan, picture.orientation)
    return partial(_write, world, content, source, destination), ()


def _obstacle(destination: str, form: Form) -> str:
    if form != "picture":
        return "the output is not a picture of the same map"
    if descriptor_of(destination) is not None or is_address(destination) or is_special(destination):
        return "the output is not a file in a folder"
    return ""


def found(picture: str) -> WorldFile | None:
    """Return the world file of a picture in a file; None if there is none."""
    if descriptor_of(picture) is not None or is_address(picture):
        return None
    for style, name in enumerate(names(picture)):
        content = _content(name)
        try:
            a, d, b, e, c, f = map(float, content.split())
        except ValueError:
            continue
        if all(map(math.isfinite, (a, b, c, d, e, f))):
            return WorldFile(name, style, ((a, b, c), (d, e, f)), content)
    return None


def names(picture: str) -> tuple[str, str, str]:
    """Return the possible names of the world file of a picture, in GDAL's order: ``.tfw``, ``.tifw``, ``.wld``."""
    stem, ext = os.path.splitext(picture)
    w, wld = ("W", ".WLD") if ext.isupper() else ("w", ".wld")
    return (f"{stem}{ext[:2]}{ext[-1]}{w}", picture + w, stem + wld) if ext[1:] else (stem + wld,) * 3


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


def _write(world: WorldFile, content: bytes, source: str, destination: str) -> None:
    """Write a world file beside an output, and copy the projection (``.prj``) unless the output has one."""
    path = names(destination)[world.style]
    if path == world.path and source != destination and content != world.content:
        path = names(destination)[0]  # in.wld is that of in.png, too
    files = {path: content} if (path, content) != (world.path, world.content) else {}
    before, after = (os.path.splitext(name)[0] + ".prj" for name in (source, destination))
    if os.path.isfile(before) and not os.path.lexists(after):
        files[after] = _content(before)
    for name, data in files.items():
        try:
            with atomic.replacing(name, follow=False) as file:
                file.write(data)
        except WriteError as error:
            error.about(name)
            raise


def _content(name: str) -> bytes:
    """Return the content of a small file; b"" if there is none."""
    try:
        if os.path.isfile(name) and os.path.getsize(name) <= _MOST_BYTES:
            with open(name, "rb") as file:
                return file.read()
    except OSError:
        pass
    return b""
