"""Filter pictures with ignored pixels: missing data, dead sensors, masks.

Each sum is divided by the sum of the weights on valid pixels: normalised convolution (H. Knutsson, C.-F. Westin,
"Normalized and differential convolution", CVPR 1993), as the engine does for transparent pixels. So a picture is
filtered with its mask as alpha. Differences, whose weights sum to zero, have a result only where all their taps are
valid; extremes and ranks skip ignored pixels.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from convfilter.engine.buffer import Samples
from convfilter.engine.masked import put
from convfilter.engine.threads import cut, run_blocks
from convfilter.errors import ParameterError, named, shown
from convfilter.executor.channel_operations import Setting
from convfilter.executor.held import Valid
from convfilter.executor.ignored import NODATA, TRANSPARENT, Ignore, holds, invalidate
from convfilter.executor.ignored_padding import StageWithIgnoredPadding, ignores_padding
from convfilter.executor.masked_canny import canny_stages
from convfilter.executor.masked_rows import BandedStage, Judge, run_banded_array
from convfilter.executor.masked_stage import MaskedStage
from convfilter.executor.run import Result
from convfilter.filters.network_operators import Constant, Join, Layer, MaxIndices
from convfilter.filters.operators import Canny, Point, Rank
from convfilter.filters.stage import Stage, require_finite_padding
from convfilter.machine.cores import cores_lately
from convfilter.planning.composites import expanded, sized, with_signed_clip
from convfilter.planning.task import Task, compares_samples
from convfilter.record import record, replace
from convfilter.sample_types import full_scale, real_of

#: Pixels whose validity a thread finds at a time.
_AT_A_TIME = 2**18


class MaskRows(Protocol):
    """The rows of a mask, from the first to the last."""

    def read(self, out: Samples) -> None:
        """Write the next rows into ``out``, a (some rows, cols) array of bool."""


class Mask(Protocol):
    """A mask whose rows are not in memory.

    Attributes
    ----------
    shape : (rows, cols)
    """

    shape: tuple[int, int]

    def rows(self) -> AbstractContextManager[MaskRows]:
        """Open the mask as a source of its rows."""

    def decoded(self) -> Samples:
        """Return the whole mask."""


@record(eq=False)
class Masking:
    """Selects ignored pixels, and their value in the result.

    Attributes
    ----------
    ignore : float, "alpha=0", "nodata" or None
        Colours of this value; NaN stands for every NaN. "nodata": the value that the file names.
    mask : (rows, cols) array, Mask or None
        0 where a pixel is ignored.
    fill : bool
        Whether ignored pixels get a result too, computed from their neighbours.
    mask_name : str
        Name of the file of the mask, for messages.
    nodata : float, optional
        The nodata value of files that name none themselves.
    """

    ignore: Ignore | None = None
    mask: Samples | Mask | None = None
    fill: bool = False
    mask_name: str = ""
    nodata: float | None = None

    def __post_init__(self) -> None:
        words = (TRANSPARENT, NODATA)
        if self.ignore not in words if isinstance(self.ignore, str) else not _is_number(self.ignore):
            raise ParameterError(f"ignore must be a number, nan or {TRANSPARENT}, got {shown(self.ignore)}")

    def of_file(self, nodata: float | None) -> Masking:
        """Return the masking with the file's nodata value as ``ignore``.

        Raises
        ------
        ParameterError
            "nodata" is requested, and the file names no such value.
        """
        if self.ignore != NODATA:
            return self
        nodata = self.nodata if nodata is None else nodata
        if nodata is None:
            raise ParameterError(
                f"ignore {NODATA} needs a file that names such a value, as GeoTIFF, FITS and DICOM do, or an .aux.xml "
                "beside it; this has none"
            )
        return replace(self, ignore=nodata)

    def mark(self, dtype: np.dtype[np.generic]) -> float:
        """Return the value of results that have no valid input: the ignored value, NaN or 0."""
        if not isinstance(self.ignore, str | None) and holds(dtype, float(self.ignore)):
            return float(self.ignore)
        return float("nan") if dtype.kind == "f" else 0.0

    def check(self, shape: tuple[int, ...], alpha: bool) -> None:
        """Check the mask against the shape of a picture.

        Raises
        ------
        ParameterError
            The mask has another size, or the picture has no alpha, or its file names no nodata value.
        """
        rows, cols = shape[:2]
        if self.mask is not None:
            of_mask, mask = np.shape(self.mask), f"the mask {named(self.mask_name)}".rstrip()
            if len(of_mask) != len((rows, cols)):
                raise ParameterError(f"{mask} must have two axes, rows and columns, got the shape {of_mask}")
            if of_mask != (rows, cols):
                size = "x".join(str(side) for side in reversed(of_mask))
                raise ParameterError(f"{mask} must be as large as the picture, {cols}x{rows}, got {size}")
        if self.ignore == TRANSPARENT and not alpha:
            raise ParameterError(f"ignore {TRANSPARENT} needs a picture with alpha, and this has none")
        if self.ignore == NODATA:
            raise ParameterError(f"ignore {NODATA} is for files that name such a value, as GeoTIFFs do")

    @contextmanager
    def judge(self, alpha: bool) -> Iterator[Judge]:
        """Judge the rows of a picture that passes :meth:`check`, from the first to the last."""
        if self.mask is None or isinstance(self.mask, np.ndarray):
            yield partial(self.valid, alpha)
            return
        with self.mask.rows() as rows:

            def judged(pixels: Samples, first: int) -> Valid:
                mask = np.empty(pixels.shape[:2], bool)
                rows.read(mask)
                return replace(self, mask=mask).valid(alpha, pixels)

            yield judged

    def valid(self, alpha: bool, pixels: Samples, first: int = 0) -> Valid:
        """Return the mask of valid pixels of a (rows, cols, channels) array; it may share the memory of ``mask``.

        It holds the rows from ``first`` on of a picture that passes :meth:`check`.
        """
        rows, cols = pixels.shape[:2]
        mask = self.mask if self.mask is None or isinstance(self.mask, np.ndarray) else self.mask.decoded()
        mask = None if mask is None else mask[first : first + rows]
        if mask is not None and self.ignore is None and _is_binary(mask):
            return mask.view(bool)
        valid = np.ones((rows, cols), bool) if mask is None else np.empty((rows, cols), bool)

        def find_valid(span: tuple[int, int]) -> None:
            block = slice(*span)
            if mask is not None:
                np.not_equal(mask[block], 0, out=valid[block])
            if self.ignore is not None:
                invalidate(self.ignore, pixels[block], alpha, valid[block])

        run_blocks(cut(rows, max(1, _AT_A_TIME // cols)), find_valid, cores_lately())
        return valid


def _is_binary(mask: Samples) -> bool:
    """Whether a mask holds zeros and ones, each in a byte."""
    return mask.flags.c_contiguous and (mask.dtype == bool or (mask.dtype == np.uint8 and mask.max(initial=0) <= 1))


def _is_number(ignore: Any) -> bool:
    """Whether the value of ignored pixels is None, or a number of any real type."""
    try:
        float(0 if ignore is None else ignore)
    except (TypeError, ValueError, OverflowError):
        return False
    return True


def run_masked(
    stages: Sequence[Stage],
    image: Samples,
    valid: Valid,
    *,
    fill: bool = False,
    out_dtype: npt.DTypeLike | None = None,
    alpha: bool = False,
    premultiplied: bool = False,
    gray: bool = False,
    white: float | None = None,
    out_white: float | None = None,
    threads: int | None = None,
    ignore: Ignore | None = None,
) -> tuple[Result, Valid]:
    """Filter an array with ignored pixels; other arguments are those of ``plan_stack`` and ``run_array``.

    Results between the stages are unrounded, and computed some bands of rows at a time.

    Parameters
    ----------
    valid : (rows, cols) array of bool
        Valid pixels; see :meth:`Masking.valid`.
    fill : bool
        Whether ignored pixels get results too.
    ignore : float, str or None
        The ignored value, see :class:`Masking`: padding of this value is ignored, too.

    Returns
    -------
    Result
        0 where the result is not valid.
    (rows, cols) array of bool
        Valid pixels of the result.

    Raises
    ------
    ParameterError
        A stage is a transposed layer, or joins branches, or stretches premultiplied colours.
    """
    pixels = np.ascontiguousarray(image.reshape(*image.shape[:2], -1))
    planned = masked_stages(
        stages, pixels.shape, pixels.dtype, fill=fill, out_dtype=out_dtype, alpha=alpha, premultiplied=premultiplied,
        gray=gray, white=white, out_white=out_white, ignore=ignore,
    )  # fmt: skip
    filtered, valid_results, clipped = run_banded_array(
        planned, pixels, np.ascontiguousarray(valid), threads or cores_lately()
    )
    squeeze = filtered.shape[2] == 1 and (image.ndim == 2 or gray)
    return Result(filtered[..., 0] if squeeze else filtered, clipped, filtered.size), valid_results


def masked_stages(
    stages: Sequence[Stage],
    shape: tuple[int, int, int],
    dtype: np.dtype[np.generic],
    *,
    fill: bool,
    out_dtype: npt.DTypeLike | None,
    alpha: bool,
    premultiplied: bool,
    gray: bool,
    white: float | None,
    out_white: float | None,
    ignore: Ignore | None = None,
) -> list[BandedStage]:
    """Plan the stages for pictures with ignored pixels; arguments are those of :func:`run_masked`.

    Raises
    ------
    ParameterError
        A stage is a transposed layer, or joins branches, or stretches premultiplied colours.
    """
    target = np.dtype(out_dtype or dtype)
    simple_stages = with_signed_clip([*expanded(stages)], dtype, white, target)
    require_finite_padding(stage for stage in simple_stages if not ignores_padding(stage, ignore))
    if simple_stages[-1].map == "stretch":
        if alpha and premultiplied:
            raise ParameterError(
                f"{simple_stages[-1].name}: map=stretch of premultiplied colours cannot leave out pixels; "
                "use scale and offset"
            )
        simple_stages[-1:] = _with_stretch_apart(simple_stages[-1])
    if any(isinstance(stage.operator, Join | MaxIndices | Constant) for stage in simple_stages):
        raise ParameterError(
            "branches, indices and normalisations of a network count every pixel; end the network before them, or "
            "ignore none"
        )
    between = real_of(dtype)
    full = white or full_scale(dtype)  # also of unrounded results between two stages
    planned: list[BandedStage] = []
    for number, simple_stage in enumerate(simple_stages):
        stage = sized(simple_stage, shape)
        _require_local(stage)
        last = number == len(simple_stages) - 1
        result = target if last else between
        if not last and compares_samples(simple_stages[number + 1].operator) and not isinstance(stage.operator, Rank):
            # Extremes stay integers; a rank of an even number of valid pixels may lie between two samples.
            task = Task.of(
                stage, shape, dtype, result=between, alpha=alpha, gray=gray and number == 0, whites=(full, full)
            )
            result = task.selecting().result
        setting = Setting(
            shape, dtype, result, alpha, premultiplied, gray and number == 0,
            full if number else white, out_white if last else None, fill,
        )  # fmt: skip
        if isinstance(stage.operator, Canny):
            planned += canny_stages(stage, setting)
        else:
            planned.append((StageWithIgnoredPadding if ignores_padding(stage, ignore) else MaskedStage)(stage, setting))
        shape, dtype = planned[-1].shape, planned[-1].dtype
    return planned


def streaming_obstacle(stages: Sequence[BandedStage]) -> str:
    """Return why rows with ignored pixels cannot be streamed; "" if they can."""
    return next((stage.streaming_obstacle for stage in stages if stage.streaming_obstacle), "")


def _with_stretch_apart(stage: Stage) -> tuple[Stage, Stage]:
    """Return a stage with ``map=stretch`` as two: the second, ``normalize``, takes the range of valid pixels."""
    return replace(stage, map=None), Stage(Point("normalize"), name=f"{stage.name}, stretch")


def _require_local(stage: Stage) -> None:
    operator = stage.operator
    if isinstance(operator, Layer) and operator.transposed:
        raise ParameterError(f"{stage.name}: a transposed layer cannot leave out pixels")


def marked(pixels: Samples, valid: Valid, value: float, alpha: bool) -> Samples:
    """Write a value into the colours of invalid pixels, in place; their alpha is 0."""
    return put(pixels, valid, value, colours=alpha)
