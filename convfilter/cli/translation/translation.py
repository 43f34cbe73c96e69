"""The result of a translation (filters, options and notes), and how numbers, windows and kernels are written."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Sequence
from fractions import Fraction

from convfilter.errors import UsageError, shown
from convfilter.record import record

GAUSSIAN = "convfilter's Gaussian is not cut and is normalised"
ROUNDED = "rounds after each pass and each filter; convfilter rounds once, at the end"
NUMBER = r"\d*\.?\d+"
#: Largest number of cells of a matrix in a line; larger ones belong in a file.
_MOST_CELLS = 10_000
#: Largest magnitude of a number: more are infinite in the float32 of pictures.
LARGEST_NUMBER = 1e38
#: Largest denominator of a number that is written as a fraction.
_MOST_DENOMINATOR = 9999

#: Libraries whose calls have a translation, for messages.
LIBRARIES = "ndimage, cv2, skimage, torch.nn and ImageFilter"

Matrix = Sequence[Sequence[float]]


class Translation:
    """The filters, options and notes of a foreign line, collected word by word."""

    def __init__(self) -> None:
        self.specs: list[str] = []
        self.options: dict[str, str] = {}
        self.names: list[str] = []
        self.notes: dict[str, None] = {}
        #: Words of the line that change the operations after them.
        self.settings: dict[str, str] = {}

    def add(self, spec: str, *notes: str) -> None:
        """Add a filter, and the reasons why its result will differ."""
        self.specs.append(spec)
        self.notes |= dict.fromkeys(notes)

    def note(self, text: str) -> None:
        """Add a reason why results will differ, once."""
        self.notes[text] = None

    def lines(self) -> Iterator[str]:
        """Return the command, then the notes as comments of a shell."""
        source, destination = (*self.names, "in.png", "out.png")[:2] if not self.names else (*self.names, "out.png")[:2]
        words = ["convfilter", "apply"]
        for spec in self.specs:
            words += ["-f", spec]
        for flag, value in self.options.items():
            words += [flag, value] if value else [flag]
        yield shlex.join([*words, source, destination])
        for note in self.notes:
            yield f"# {note}"


def unknown(part: str, why: str = "") -> UsageError:
    """Return the error that a part of a line has no translation, with the reason."""
    return UsageError(f"{shown(part)} has no translation" + (f": {why}" if why else ""))


def numbers(text: str, form: str, part: str) -> list[float | None]:
    """Parse a geometry such as ``0x4`` or ``2x1+1+0.05``.

    Parameters
    ----------
    text : str
    form : str
        Regular expression with a group for each number.
    part : str
        The option before the text, for the error.

    Returns
    -------
    list of float or None
        None for groups that are missing.

    Raises
    ------
    UsageError
        The text has another form.
    """
    result = re.fullmatch(form, text)
    if result is None:
        raise unknown(f"{part} {text}".rstrip())
    return [None if group is None else float(group) for group in result.groups()]


def numeral(value: float) -> str:
    """Write a number; as a fraction such as 1/9 if no short decimal is equal, so that sums stay exact.

    Raises
    ------
    UsageError
        The number is not finite, or beyond what float32 holds.
    """
    if not abs(value) <= LARGEST_NUMBER:
        raise UsageError(f"numbers up to {LARGEST_NUMBER:g} have a translation, got {shown(str(value)[:99])}")
    decimal = f"{value:.12g}"
    fraction = Fraction(value).limit_denominator(_MOST_DENOMINATOR)
    return str(fraction) if float(decimal) != value and float(fraction) == value else decimal


def pair(cols: float, rows: float) -> str:
    """Write a size: one number if both are the same."""
    return numeral(cols) if cols == rows else f"{numeral(cols)}x{numeral(rows)}"


def require_odd(cols: float, rows: float, part: str, what: str = "windows") -> None:
    """Refuse a window, or a footprint, of an even size, whose middle lies elsewhere in other programs.

    Raises
    ------
    UsageError
        The message names the part of the line.
    """
    if cols % 2 == 0 or rows % 2 == 0:
        raise unknown(part, f"even {what} reach further to the left there, to the right here")


def require_symmetric(cells: Matrix, why: str, part: str = "footprint") -> None:
    """Refuse a footprint of an even size, or one that differs from itself rotated by 180 degrees.

    Raises
    ------
    UsageError
        The message names the ``part`` of the line; ``why`` is the reason against a footprint that is not symmetric.
    """
    require_odd(len(cells[0]), len(cells), part, "footprints")
    if [list(row) for row in cells] != [list(reversed(row)) for row in reversed(cells)]:
        raise unknown(part, why)


def rows_of(matrix: Matrix) -> str:
    """Write the weights of a kernel, or the cells of a footprint."""
    return "; ".join(" ".join(map(numeral, row)) for row in matrix)


def window(cells: Matrix) -> str:
    """Write a footprint: a size if all its cells are inside."""
    if all(cell for row in cells for cell in row):
        return pair(len(cells[0]), len(cells))
    return rows_of([[float(cell != 0) for cell in row] for row in cells])


@record
class Window:
    """A rectangle, or some of its cells."""

    rows: int
    cols: int
    cells: Matrix | None = None

    @classmethod
    def of(cls, cells: Matrix) -> Window:
        """Return a window of cells."""
        return cls(len(cells), len(cells[0]), cells)

    @property
    def text(self) -> str:
        """The window as a part of a SPEC."""
        return pair(self.cols, self.rows) if self.cells is None else window(self.cells)

    @property
    def count(self) -> int:
        """Number of its pixels."""
        return self.rows * self.cols if self.cells is None else sum(cell != 0 for row in self.cells for cell in row)

    @property
    def is_full(self) -> bool:
        """Whether it is a rectangle."""
        return self.count == self.rows * self.cols

    @property
    def rotated(self) -> Window:
        """The window rotated by 180 degrees."""
        cells = self.cells
        return self if cells is None else Window.of([list(reversed(row)) for row in reversed(cells)])

    def padding(self, origin: tuple[int, int] = (0, 0)) -> str:
        """Write the padding of a window that is even, or moved up and to the left by ``origin``, (rows, cols).

        An even window reaches further to the left and to the top in SciPy and OpenCV, and further to the right here.
        """
        top, left = self.rows // 2 + origin[0], self.cols // 2 + origin[1]
        bottom, right = self.rows - 1 - top, self.cols - 1 - left
        if min(top, left, bottom, right) < 0:
            raise unknown(f"an origin of {list(origin)}", "the window does not reach that far")
        if (top, left) == ((self.rows - 1) // 2, (self.cols - 1) // 2):
            return ""
        return f",padding={left},{top},{right},{bottom}"

    def ranked(self, rank: int, padding: str) -> str:
        """Write the SPEC of a rank as a fraction: other programs take a sample, and never interpolate between two."""
        return f"percentile:{self.text}{padding},p={numeral(rank / max(self.count - 1, 1))}"

    def median(self, padding: str) -> str:
        """Write the SPEC of a median that takes the upper of two samples in the middle."""
        return self.ranked(self.count // 2, padding) if self.count % 2 == 0 else f"median:{self.text}{padding}"


def cut_gaussians(sigmas: tuple[float, float], radii: tuple[float, float]) -> Iterator[str]:
    """Write the SPEC of a Gaussian that is cut at radii in pixels, across and down, or one for each axis."""
    (across, down), (left, up) = sigmas, radii
    if left and up and left * down == up * across:
        yield f"gaussian:{pair(across, down)},truncate={numeral(left / across)}"
        return
    for sigma, radius, size in ((across, left, pair(across, 0)), (down, up, pair(0, down))):
        if sigma and radius:
            yield f"gaussian:{size},truncate={numeral(radius / sigma)}"


def with_keywords(spec: str, *keywords: str) -> str:
    """Add ``key=value`` to a SPEC, after a colon if it is the first argument, else after a comma."""
    return ("," if ":" in spec else ":").join([spec, ",".join(keywords)]) if keywords else spec


def kernel_of(weights: Matrix, *arguments: str) -> str:
    """Write the SPEC of a kernel."""
    return ",".join([f"kernel:{rows_of(weights)}", *arguments])


def ones(rows: int, cols: int) -> list[list[float]]:
    """Return the cells of a rectangle."""
    require_small(rows, cols)
    return [[1.0] * cols for _ in range(rows)]


def require_small(rows: int, cols: int) -> None:
    """Refuse a matrix that would not fit into a line."""
    if rows < 1 or cols < 1 or rows * cols > _MOST_CELLS:
        raise UsageError(
            f"a matrix in the line has 1 to {_MOST_CELLS} cells, got {cols}x{rows}; write it to a file: kernel:FILE.npy"
        )


def round_footprint(name: str, radius: float) -> list[list[float]]:
    """Return the cells of a disk, a diamond or a cross (a plus) within ``radius`` of the middle."""
    reach = int(radius)
    require_small(2 * reach + 1, 2 * reach + 1)
    side = range(-reach, reach + 1)
    match name:
        case "disk":
            return [[float(x * x + y * y <= radius * radius) for x in side] for y in side]
        case "diamond":
            return [[float(abs(x) + abs(y) <= radius) for x in side] for y in side]
        case _:
            return [[float(x == 0 or y == 0) for x in side] for y in side]
