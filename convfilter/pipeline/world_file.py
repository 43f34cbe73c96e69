"""World files: the position of a picture on a map, in a text file beside the picture (``in.tfw`` beside ``in.tif``).

The file has six lines, A, D, B, E, C and F, as ArcGIS and GDAL define them: the centre of the pixel in column x and row
y is at (A x + B y + C, D x + E y + F). Rows and columns are those of the file: EXIF's orientation does not count.
"""

from __future__ import annotations

import math
import os

from convfilter.picture.place.source import small_content
from convfilter.pipeline.georeference import Matrix, is_same_grid, moved_matrix
from convfilter.planning import Plan
from convfilter.record import NamedTuple

#: Largest size of a world file, and of the file with the projection (``in.prj``), in bytes.
_MOST_BYTES = 1 << 16


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
        """Return the content for the result of a plan; see `georeference.moved_matrix`."""
        if orientation == 1 and is_same_grid(plan):
            return self.content
        (a, b, c), (d, e, f) = moved_matrix(self.matrix, plan, orientation)
        return "".join(f"{value + 0.0!r}\n" for value in (a, d, b, e, c, f)).encode()  # 0.0: no -0.0

    def files(self, content: bytes, source: str, destination: str) -> dict[str, bytes]:
        """Return the files to write beside an output: its world file, and the projection unless the output has one.

        Parameters
        ----------
        content : bytes
            Content of the output's world file.
        source, destination : str
            Names of the picture and of the output.
        """
        styles = names(destination)[: self.style + 1]
        path = next(filter(os.path.lexists, styles), styles[-1])  # programs read the first that exists
        if path == self.path and source != destination and content != self.content:
            path = names(destination)[0]  # in.wld is that of in.png, too
        files = {path: content} if (path, content) != (self.path, self.content) else {}
        before, after = projection(source), projection(destination)
        if os.path.isfile(before) and not os.path.lexists(after):
            files[after] = small_content(before, _MOST_BYTES)
        return files


def found(picture: str) -> WorldFile | None:
    """Return the world file of a picture in a file; None if there is none."""
    for style, name in enumerate(names(picture)):
        content = small_content(name, _MOST_BYTES)
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


def projection(picture: str) -> str:
    """Return the name of the file with the projection of a picture that has a world file."""
    return os.path.splitext(picture)[0] + ".prj"
