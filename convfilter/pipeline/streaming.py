"""Stream the rows of a picture through the engine into a file, or say why its samples must be held all at once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from convfilter.executor.run import streaming_obstacle
from convfilter.picture import write
from convfilter.picture.format import Format
from convfilter.picture.frame import Frame
from convfilter.picture.options import WriteOptions
from convfilter.picture.outline import Outline
from convfilter.picture.picture import Picture
from convfilter.picture.pixels import Pixels
from convfilter.picture.place import atomic
from convfilter.picture.place.target import Target
from convfilter.pipeline import linear_light
from convfilter.planning import Plan
from convfilter.record import NamedTuple
from convfilter.sample_types import can_leave, overflowed

if TYPE_CHECKING:
    from convfilter.engine.rows import RowSink, RowSource
    from convfilter.picture.metadata.curves import Curve


class Streaming(NamedTuple):
    """Obstacles to streaming the rows of the input and of the output; "" where rows are streamed."""

    input_obstacle: str
    output_obstacle: str

    @property
    def remark(self) -> str:
        """Both obstacles in one line; "" if all rows are streamed."""
        reasons = (("input", self.input_obstacle), ("output", self.output_obstacle))
        return "; ".join(f"{name} not streamed: {reason}" for name, reason in reasons if reason)


def streaming_of(
    picture: Picture, plans: Sequence[Plan], fmt: Format | None, stored: Outline, options: WriteOptions, other: str
) -> Streaming:
    """Decide whether the rows of a picture are streamed.

    Parameters
    ----------
    picture : Picture
        Before any sample is decoded.
    plans : sequence of Plan
        One for each frame.
    fmt : Format, or None
        Of the output; None for an array.
    stored : Outline
        The stored outline.
    options : WriteOptions
    other : str
        A reason other than files and filters, or "".
    """
    if other or len(picture.frames) > 1 or fmt is None:
        reason = other or ("frames are filtered one by one" if len(picture.frames) > 1 else "the result is an array")
        return Streaming(reason, reason)
    before = streaming_obstacle(plans[0])
    loses_range = can_leave(picture.outline.dtype, stored.dtype)
    if loses_range:
        before = before or f"samples are first checked for values that {np.dtype(stored.dtype)} cannot hold"
    after = write.streaming_obstacle(fmt, stored, options)
    if loses_range or fmt.colours:
        after = after or before or "its colours are counted"
    return Streaming(before or picture.frames[0].streaming_obstacle, after)


class RowConverter:
    """Converts the engine's rows to stored rows, and counts clipped samples.

    Parameters
    ----------
    alpha : bool
        The last channel is opacity.
    run_dtype, dtype : dtype
        Types of the engine's rows and of the stored rows.
    white : float
        Value of white in the engine's rows.
    out_white : float or None
        Value of white in the stored rows.
    curve : Curve or None
        Curve to encode linear light with.
    background : str or None
    divide : bool
        Whether to scale white to 1.
    premultiplied, straighten : bool
        Whether colours are premultiplied, and whether to unpremultiply them.
    """

    def __init__(
        self,
        alpha: bool,
        run_dtype: np.dtype[np.generic],
        dtype: np.dtype[np.generic],
        white: float,
        out_white: float | None,
        *,
        curve: Curve | None,
        background: str | None,
        divide: bool,
        premultiplied: bool,
        straighten: bool,
    ) -> None:
        self._alpha, self._dtype, self._white, self._out_white = alpha, dtype, white, out_white
        self._curve, self._background, self._divide = curve, background, divide
        self._converts = run_dtype != dtype
        self._premultiplied, self._straighten = premultiplied, straighten
        self._lock = threading.Lock()
        self.clipped = 0

    @property
    def is_needed(self) -> bool:
        """Whether stored rows differ from the engine's."""
        return self._converts_colours or self._divide or self._converts

    @property
    def _converts_colours(self) -> bool:
        return self._curve is not None or self._background is not None or self._straighten

    def __call__(self, rows: Pixels) -> Pixels:
        """Convert (rows, cols, channels) of the engine to stored rows."""
        if not self._converts_colours:
            rows = rows / rows.dtype.type(self._white) if self._divide else rows
            if not self._converts:
                return rows
            if self._dtype.kind == "f":
                with np.errstate(over="ignore"):
                    cast = rows.astype(self._dtype, copy=False)
                return self._counted(cast, overflowed(rows, cast))
            from convfilter.picture import colour

            done, clipped = colour.rounded(rows, self._dtype)
            return self._counted(done, clipped)
        done, clipped = linear_light.stored_samples(
            rows, self._alpha, self._dtype, self._white, self._out_white,
            curve=self._curve, background=self._background,
            premultiplied=self._premultiplied, straighten=self._straighten,
        )  # fmt: skip
        return self._counted(done, clipped)

    def _counted(self, done: Pixels, clipped: int) -> Pixels:
        with self._lock:
            self.clipped += clipped
        return done


def stream_to_file(
    run: Callable[[RowSource | Pixels, RowSink], int],
    frame: Frame,
    target: Target,
    stored: Outline,
    options: WriteOptions,
    dtype: np.dtype[np.generic],
    convert: Callable[[Pixels], Pixels] | None,
    *,
    restarts: bool,
) -> int:
    """Filter a frame into a file row by row.

    Parameters
    ----------
    run : callable
        Filters the rows of a source into a sink; returns the number of clipped samples.
    frame : Frame
    target : Target
    stored : Outline
        Outline that can be written row by row.
    options : WriteOptions
    dtype : dtype
        Type of the rows that ``run`` passes to the sink.
    convert : callable or None
        Converts these rows to stored rows.
    restarts : bool
        Whether ``run`` may begin again with the first row.

    Returns
    -------
    int
        Number of samples that the engine clipped.

    Raises
    ------
    PictureError
        The picture is damaged, or the file cannot be written; an old file is unchanged. A pipe may have got the
        beginning of a large picture.
    """
    assert target.format is not None
    with (
        atomic.replacing(target.path, in_order=target.format.in_order and not restarts) as file,
        write.row_writer(file, target.format, stored, options, dtype, convert) as writer,
    ):
        lazy_rows = frame.lazy_rows
        source = frame.pixels.reshape(*frame.shape[:2], -1) if lazy_rows is None else lazy_rows
        if lazy_rows is not None and not restarts:
            lazy_rows.read_once()
        try:
            clipped = run(source, writer)
            if lazy_rows is not None:
                lazy_rows.finish()
        finally:
            frame.close()
        writer.finish()
    return clipped
