"""The lines of a guided filter: the loops that fit and average them, for one plane at a time."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from convfilter.engine.borders import Indices
from convfilter.engine.buffer import Samples, Scratch
from convfilter.loops.vectors import vector_bytes
from convfilter.native.loop import Loop
from convfilter.record import NamedTuple, record

WINDOW_SHARES = Loop("guided", "window_shares", "D* i8 i8 i8 i8 D* D* D* i8")
FIT = Loop("guided", "fit", "D* D* i8 i8 i8 i8 i8 D D D D* i8 D* D* D* D* D* i8")
FIT_COLOURS = Loop("guided", "fit_colours", "D* i8 D* i8 i8 i8 i8 D D D D* i8 D* D* D* i8 D* i8")
EVALUATE = Loop(
    "guided", "evaluate", "D* i8 D* i8 i8* i8 i8 i8 i8* D* i8 i8 i8* i8 D D D* i8 D* D* i8 i8 i8* i8 D* i8 i8"
)  # fmt: skip

#: Running sums of a window whose guide has three planes; a guide of one plane has four.
_SUMS = 13

Real = npt.NDArray[np.float64]
Marks = npt.NDArray[np.bool_]


class Shares(NamedTuple):
    """Factors that make means of sums: arrays of (rows, pitch), with a single row if all are alike.

    ``of_windows`` has 1 over the number of valid pixels of each window, ``of_lines`` 1 over the number of windows
    around each pixel that have a line; 0 where that number is 0.
    """

    of_windows: Real
    of_lines: Real


class Guides(NamedTuple):
    """A guide of some planes: (planes, loaded rows, pitch) arrays.

    ``fitted`` is that of the lines, in which ignored pixels are the ``middle`` of white; ``known`` that of the means.
    """

    fitted: Real
    known: Real
    middle: float


@record(eq=False)
class Where:
    """The windows of some lines, and the outputs that their means are taken for.

    Attributes
    ----------
    ranges : list of range
        Rows of the picture whose lines are needed.
    starts : int array
        First loaded row of each range.
    line_rows : int array
        Lines that the means read, from the top down.
    centres : int array
        Loaded row of each mean.
    step : int
        Every ``step``-th row of means is an output.
    """

    ranges: list[range]
    starts: Indices
    line_rows: Indices
    centres: Indices
    step: int


class Lines:
    """Fits lines and takes their means, in its own memory.

    Parameters
    ----------
    radius : int
    windows : int array
        Number of the window of each loaded column.
    outputs : int array
        Number of the window of each output.
    channels : int
        Distance of outputs in samples.
    """

    def __init__(self, radius: int, windows: Indices, outputs: Indices, channels: int) -> None:
        self._radius, self._windows, self._outputs, self._channels = radius, windows, outputs, channels
        #: Windows along a row; those that straddle two pictures side by side are computed and ignored.
        self.width = windows.size - 2 * radius
        lanes = vector_bytes() // 8
        self.pitch, self._line = (-(-size // lanes) * lanes for size in (windows.size, self.width))
        #: Samples beyond the last that loops may read.
        self.behind = lanes
        self._scratch = Scratch(np.float64)
        #: The factors where all pixels are valid.
        self.all_valid = Shares(*np.full((2, 1, self._line), 1 / (2 * radius + 1) ** 2))

    def shares(self, cells: Marks, centres: Indices) -> Shares:
        """Return the factors of the means of true cells.

        ``centres`` are the loaded rows at the centres of the windows of all lines, from the top down.
        """
        of_windows = self._window_shares("windows", cells)
        has_line = of_windows[centres - self._radius] > 0
        return Shares(of_windows, self._window_shares("lines", has_line[:, self._windows]))

    def _window_shares(self, name: str, cells: Marks) -> Real:
        """Return 1 over the number of true cells of each window, or 0 if that number is 0: (rows, pitch)."""
        rows, cols = cells.shape
        side, scratch = 2 * self._radius, self._scratch
        numbers = scratch.get("cells", rows * self.pitch)
        padded = numbers[: rows * self.pitch].reshape(rows, -1)
        padded[:, :cols], padded[:, cols:] = cells, 0
        result = scratch.get(f"{name} shares", (rows - side) * self._line)
        sums, running = self._running(1)
        size = self.pitch, rows - side, self.width, self._radius
        WINDOW_SHARES.variant(D=np.float64)(numbers, *size, sums, running, result, self._line)
        return result[: (rows - side) * self._line].reshape(-1, self._line)

    def _running(self, count: int) -> tuple[Real, Real]:
        """Return scratch memory of loops for some sums, and for their prefix sums along a row."""
        line = self.pitch + self.behind
        return self._scratch.get("sums", count * self.pitch), self._scratch.get("running", count * line + self.behind)

    def write(
        self, picture: Real, middle: float, guides: Guides | None, epsilon: float, where: Where, shares: Shares,
        out: Samples, means: Samples | None = None,
    ) -> None:  # fmt: skip
        """Write the results of one plane: the lines of all windows, then their means at the pixels of the outputs.

        Parameters
        ----------
        picture : (loaded rows, pitch) array
        middle : float
            Subtracted from samples; the value of ignored ones.
        guides : Guides or None
            None: the picture.
        epsilon : float
            Added to variances. With infinity, lines are the means of windows.
        where : Where
        shares : Shares
        out : flat array
        means : flat array, optional
            Without guides: gets the means of the windows' means, too.
        """
        guides_itself, ranges, starts, centres = guides is None, where.ranges, where.starts, where.centres
        guide, known, guide_middle = guides or Guides(picture[np.newaxis], picture[np.newaxis], middle)
        planes, radius, line, pitch, scratch = len(guide), self._radius, self._line, self.pitch, self._scratch
        count = sum(len(each) for each in ranges)
        slopes = scratch.get("slopes", planes * count * line + self.behind)
        intercepts = scratch.get("intercepts", count * line + self.behind)
        window_means = intercepts if means is None else scratch.get("means", count * line + self.behind)
        sums, running = self._running(_SUMS)
        middles, flat_guide, flat_picture = (guide_middle, middle), guide.reshape(-1), picture.reshape(-1)
        share_pitch = 0 if shares is self.all_valid else line
        for number, each in enumerate(ranges):
            start, line_start = int(starts[number]) * pitch, (int(starts[number]) - 2 * radius * number) * line
            size = pitch, len(each), self.width, radius
            share = shares.of_windows.reshape(-1)[int(starts[number]) * share_pitch :]
            scratches = *middles, epsilon, share, share_pitch, sums, running
            lines_of_range = slopes[line_start:], window_means[line_start:], intercepts[line_start:]
            if planes == 1:
                FIT.variant(D=np.float64)(
                    flat_guide[start:], flat_picture[start:], *size, int(guides_itself), *scratches, *lines_of_range,
                    line,
                )  # fmt: skip
            else:
                FIT_COLOURS.variant(D=np.float64)(
                    flat_guide[start:], guide[0].size, flat_picture[start:], *size, *scratches,
                    lines_of_range[0], count * line, lines_of_range[2], line,
                )  # fmt: skip
        evaluated = (planes, intercepts, out), *([(0, window_means, means)] if means is not None else [])
        for number, terms, results in evaluated:
            EVALUATE.variant(D=np.float64)(
                slopes, count * line, terms, line, where.line_rows, centres.size, self.width, radius, self._windows,
                known.reshape(-1), known[0].size, pitch, centres, number, *middles, shares.of_lines.reshape(-1),
                share_pitch, sums, running, pitch + self.behind, where.step, self._outputs, self._outputs.size,
                results, self._outputs.size * self._channels, self._channels,
            )  # fmt: skip
