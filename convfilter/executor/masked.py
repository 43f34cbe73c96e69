"""Filter pictures with ignored pixels: missing data, dead sensors, masks.

Each sum is divided by the sum of the weights on valid pixels: normalised convolution (H. Knutsson, C.-F. Westin,
"Normalized and differential convolution", CVPR 1993), as the engine does for transparent pixels. So a picture is
filtered with its mask as alpha. Differences, whose weights sum to zero, have a result only where all their taps are
valid; extremes and ranks skip ignored pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import isclose, isnan
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from convfilter.engine.borders import CONSTANT, index_map
from convfilter.errors import ParameterError, shown
from convfilter.executor.patches import run_in_patches
from convfilter.executor.run import Result, run_array
from convfilter.filters.kernels import Kernel
from convfilter.filters.stage import (
    Bilateral,
    Canny,
    Compass,
    Constant,
    Correlation,
    Gradient,
    Guided,
    Join,
    Layer,
    MaxIndices,
    Morphology,
    NetworkOperator,
    Orientation,
    Point,
    Pooling,
    Rank,
    Stage,
)
from convfilter.native.loop import Loop
from convfilter.planning import AxisPlan, Plan, full_scale, plan_stack
from convfilter.planning.composites import expanded
from convfilter.planning.stage_plan import StagePlan
from convfilter.record import record, replace
from convfilter.sample_types import real_of

Samples: TypeAlias = npt.NDArray[Any]
Valid: TypeAlias = npt.NDArray[np.bool_]
#: The ignored pixels: those of one value, NaN, transparent ones, or those of the file's nodata value.
Ignore: TypeAlias = float | Literal["alpha=0", "nodata"]

TRANSPARENT: Literal["alpha=0"] = "alpha=0"
NODATA: Literal["nodata"] = "nodata"


@record(eq=False)
class Masking:
    """Selects ignored pixels, and their value in the result.

    Attributes
    ----------
    ignore : float, "alpha=0", "nodata" or None
        Colours of this value; NaN stands for every NaN. "nodata": the value that the file names.
    mask : (rows, cols) array or None
        0 where a pixel is ignored.
    fill : bool
        Whether ignored pixels get a result too, computed from their neighbours.
    """

    ignore: Ignore | None = None
    mask: Samples | None = None
    fill: bool = False

    def __post_init__(self) -> None:
        if isinstance(self.ignore, str) and self.ignore not in (TRANSPARENT, NODATA):
            raise ParameterError(f"ignore must be a number, nan or {TRANSPARENT}, got {shown(self.ignore)}")

    def of_file(self, nodata: float | None) -> Masking:
        """Return this with the file's nodata value filled in.

        Raises
        ------
        ParameterError
            "nodata" is requested, and the file names no such value.
        """
        if self.ignore != NODATA:
            return self
        if nodata is None:
            raise ParameterError(
                f"ignore {NODATA} needs a file that names such a value, as GeoTIFF and FITS do; this has none"
            )
        return replace(self, ignore=nodata)

    def mark(self, dtype: np.dtype[np.generic]) -> float:
        """Return the value of results that have no valid input: the ignored value, NaN or 0."""
        if not isinstance(self.ignore, str | None) and _holds(dtype, float(self.ignore)):
            return float(self.ignore)
        return float("nan") if dtype.kind == "f" else 0.0

    def valid(self, pixels: Samples, alpha: bool) -> Valid:
        """Return the mask of valid pixels of a (rows, cols, channels) array.

        Raises
        ------
        ParameterError
            The mask has another size, or the picture has no alpha, or its file names no nodata value.
        """
        rows, cols, channels = pixels.shape
        valid = np.ones((rows, cols), bool) if self.mask is None else np.empty(0, bool)
        if self.mask is not None:
            mask = np.asarray(self.mask)
            if mask.ndim != 2 or mask.shape != (rows, cols):
                size = "x".join(str(side) for side in reversed(mask.shape[:2]))
                raise ParameterError(f"the mask must be as large as the picture, {cols}x{rows}, got {size}")
            valid = np.ascontiguousarray(mask != 0)
        if self.ignore == TRANSPARENT:
            if not alpha:
                raise ParameterError(f"ignore {TRANSPARENT} needs a picture with alpha, and this has none")
            valid &= pixels[..., -1] > 0
        elif self.ignore == NODATA:
            raise ParameterError(f"ignore {NODATA} is for files that name such a value, as GeoTIFFs do")
        elif self.ignore is not None:
            colours = pixels[..., : channels - alpha]
            value = float(self.ignore)
            if isnan(value):
                valid &= ~np.isnan(colours).any(axis=2) if pixels.dtype.kind == "f" else True
            elif _holds(pixels.dtype, value):
                valid &= (colours != pixels.dtype.type(value)).any(axis=2)
        return valid


def _holds(dtype: np.dtype[Any], value: float) -> bool:
    return dtype.kind == "f" or (value.is_integer() and np.iinfo(dtype).min <= value <= np.iinfo(dtype).max)


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
) -> tuple[Result, Valid]:
    """Filter an array with ignored pixels; other arguments are those of ``plan_stack`` and ``run_array``.

    Results between the stages are whole real arrays.

    Parameters
    ----------
    valid : (rows, cols) array of bool
        Valid pixels; see :meth:`Masking.valid`.
    fill : bool
        Whether ignored pixels get results too.

    Returns
    -------
    Result
        0 where no result could be computed or none is wanted.
    (rows, cols) array of bool
        Valid pixels of the result.

    Raises
    ------
    ParameterError
        A stage needs the range of all its results, or is a transposed layer.
    """
    pixels = np.ascontiguousarray(image.reshape(*image.shape[:2], -1))
    target = np.dtype(out_dtype or pixels.dtype)
    between = real_of(pixels.dtype)
    every = [*expanded(stages)]
    if any(isinstance(stage.operator, Join | MaxIndices | Constant) for stage in every):
        raise ParameterError(
            "branches and indices of a network count every pixel; end the network before them, or ignore none"
        )
    clipped = 0
    for number, stage in enumerate(every):
        last = number == len(every) - 1
        _require_local(stage)
        run = _Run(
            stage, pixels, valid, target if last else between, alpha, premultiplied,
            gray and number == 0, white, out_white if last else None, fill, threads,
        )  # fmt: skip
        if number == 0 and run.reads_ignored:
            run = replace(run, pixels=put(pixels.copy(), valid, 0))
        pixels, clipped = run.result()
        white = white or full_scale(image.dtype)  # of real numbers between two stages, too
        valid = run.valid_results()
        put(pixels, valid, 0)
    squeeze = pixels.shape[2] == 1 and (image.ndim == 2 or gray)
    return Result(pixels[..., 0] if squeeze else pixels, clipped, pixels.size), valid


def _require_local(stage: Stage) -> None:
    operator = stage.operator
    if stage.map == "stretch":
        raise ParameterError(f"{stage.name}: the range of all results cannot leave any out; use scale and offset")
    if isinstance(operator, Layer) and operator.transposed:
        raise ParameterError(f"{stage.name}: a transposed layer cannot leave out pixels")


@record(eq=False)
class _Run:
    """One stage on pixels of which some are ignored; those are 0 if the stage ``reads_ignored``."""

    stage: Stage
    pixels: Samples
    valid: Valid
    dtype: np.dtype[np.generic]
    alpha: bool
    premultiplied: bool
    gray: bool
    white: float | None
    out_white: float | None
    fill: bool
    threads: int | None

    @property
    def reads_ignored(self) -> bool:
        """Whether ignored pixels must be 0, and not any number."""
        unknown = self.alpha or self.pixels.dtype.kind == "f"
        return unknown or self._is_difference or isinstance(self.stage.operator, Point)

    def result(self) -> tuple[Samples, int]:
        """Return the result, undefined at invalid pixels, and the number of clipped samples."""
        if not self.alpha:
            return self._filtered(self.pixels)
        if self.premultiplied and self._is_mean and not self.stage.offset:  # colours and alpha are means alike
            apart = replace(self, alpha=False, premultiplied=False)
            colours, clipped = apart._filtered(self.pixels[..., :-1])
            opacity, _ = replace(apart, stage=self._stage_of_alpha)._filtered(self.pixels[..., -1:])
            return np.concatenate([colours, opacity], axis=2), clipped
        # Ignored pixels are transparent, so they do not affect colours; alpha itself is a picture with a mask.
        found = self._run(self.stage, self.pixels, alpha=True)
        result, clipped = found.pixels, found.clipped
        if not self._is_difference and not isinstance(self.stage.operator, Point):
            opacity, _ = replace(self, stage=self._stage_of_alpha)._filtered(self.pixels[..., -1:])
            result[..., -1:] = opacity
        return result, clipped

    @property
    def _stage_of_alpha(self) -> Stage:
        """The stage for alpha, of which a sum is the mean."""
        operator = self.stage.operator
        total = operator.kernel.sum if isinstance(operator, Correlation) else 1.0
        scale = 1.0 if isclose(total, 1) else 1 / total
        return replace(self.stage, scale=scale, offset=0.0, map=None, signed=False)

    @property
    def _is_mean(self) -> bool:
        """Whether a result is a weighted sum that a mask divides by the weights it leaves."""
        operator = self.stage.operator
        if isinstance(operator, Pooling):
            return operator.kind == "average"
        return isinstance(operator, Correlation) and not self._is_difference

    def _filtered(self, pixels: Samples) -> tuple[Samples, int]:
        operator = self.stage.operator
        stage = self.stage
        if self._is_difference or isinstance(operator, Point):
            found = self._run(stage, pixels)
        elif (isinstance(operator, Pooling) and operator.kind != "average") or isinstance(operator, Morphology):
            found = self._run(stage, self._without(pixels))
        else:
            stage, pixels, valid = self._surrounded(pixels)
            opaque = pixels.dtype.type(self.white or full_scale(pixels.dtype))
            shape = *pixels.shape[:2], pixels.shape[2] + 1
            plain, weighted = (
                self._plan(stage, pixels.shape, pixels.dtype),
                self._plan(stage, shape, pixels.dtype, True),
            )
            return run_in_patches(plain, weighted, pixels, valid, opaque, self.dtype, self.threads)
        return found.pixels, found.clipped

    def _run(self, stage: Stage, pixels: Samples, alpha: bool = False) -> Result:
        if isinstance(stage.operator, Point) and stage.operator.kind == "normalize":
            pixels = self._within_range(pixels)
        plan = self._plan(stage, pixels.shape, pixels.dtype, alpha)
        found = run_array(plan, pixels, out_dtype=self.dtype, threads=self.threads)
        return Result(found.pixels.reshape(*found.pixels.shape[:2], -1), found.clipped, found.samples)

    def _plan(self, stage: Stage, shape: tuple[int, ...], dtype: np.dtype[np.generic], alpha: bool = False) -> Plan:
        algorithm = None
        if self.fill and alpha and isinstance(stage.operator, Correlation) and stage.operator.kernel.sigma:
            algorithm = "separable"  # tap by tap: far from valid pixels, only the tail of a wide Gaussian counts
        return plan_stack(
            [stage], shape, dtype, out_dtype=self.dtype, alpha=alpha, algorithm=algorithm,
            gray=self.gray and shape[2] - alpha == _COLOURS, white=self.white, out_white=self.out_white,
            premultiplied=self.premultiplied and alpha and self.alpha,
        )  # fmt: skip

    @property
    def _is_difference(self) -> bool:
        """Whether the result is a difference of samples, which needs all of them."""
        operator = self.stage.operator
        if isinstance(operator, Gradient | NetworkOperator | Orientation | Layer | Compass | Canny | Guided):
            return True
        if isinstance(operator, Morphology):
            return operator.is_difference
        return not isinstance(operator, Pooling | Rank | Bilateral | Point) and operator.kernel.sums_to_zero

    def _without(self, pixels: Samples) -> Samples:
        """Return pixels whose ignored samples are replaced so that they never win a comparison."""
        operator = self.stage.operator
        largest = operator.kind in ("max", "dilate") if isinstance(operator, Pooling | Morphology) else True
        if pixels.dtype.kind == "f":
            loser = -np.inf if largest else np.inf
        else:
            loser = np.iinfo(pixels.dtype).min if largest else np.iinfo(pixels.dtype).max
        return np.where(self.valid[..., np.newaxis], pixels, pixels.dtype.type(loser))

    def _within_range(self, pixels: Samples) -> Samples:
        """Return pixels whose ignored ones equal a valid one, so that their range is that of the valid ones."""
        place = np.unravel_index(int(self.valid.argmax()), self.valid.shape)
        return np.where(self.valid[..., np.newaxis], pixels, pixels[place])

    def _surrounded(self, pixels: Samples) -> tuple[Stage, Samples, Valid]:
        """Return the stage without constant padding, and the pixels padded instead: padding is valid."""
        stage = self.stage
        if stage.padding_mode != "constant" or isinstance(stage.operator, Pooling):
            return stage, pixels, self.valid
        plan = self._planned
        rows, cols = ((max(0, axis.before), max(0, axis.after - axis.beyond)) for axis in (plan.rows, plan.cols))
        value = pixels.dtype.type(stage.padding_value)
        own = replace(stage, padding=(0, 0, 0, 0), padding_mode="edge", padding_value=0.0)
        around = np.pad(pixels, (rows, cols, (0, 0)), constant_values=value)
        return own, around, np.pad(self.valid, (rows, cols), constant_values=True)

    @property
    def _planned(self) -> StagePlan:
        return plan_stack([self.stage], self.pixels.shape, self.pixels.dtype, gray=self.gray).stages[0]

    def valid_results(self) -> Valid:
        """Return the valid pixels of the result; without ``fill``, those centred on ignored pixels are invalid."""
        if self.valid.all():
            plan = self._planned
            return np.ones((plan.rows.output, plan.cols.output), bool)
        operator = self.stage.operator
        if isinstance(operator, Point):
            return self.valid
        every = self._is_difference
        cells = self._cells()
        if not self.fill and not every and self._sees_centre(cells):
            return self._centre()
        found = self._extreme(cells, every)
        return found if self.fill or isinstance(operator, Pooling) else found & self._centre()

    def _cells(self) -> Kernel | None:
        """Return the cells with nonzero weights; None: all of the window."""
        operator = self.stage.operator
        if isinstance(operator, Pooling):
            return None
        if isinstance(operator, Layer):
            return _where(np.abs(operator.weight).sum(axis=(0, 1)))
        if isinstance(operator, Compass):
            return _where(np.abs([kernel.matrix for kernel in operator.kernels]).sum(axis=0))
        if isinstance(operator, Gradient | Orientation):
            return _where(np.abs(operator.x.matrix) + np.abs(operator.y.matrix))
        kernel = self._planned.kernel
        if isinstance(operator, Morphology) and operator.kind == "dilate":
            return kernel.rotated() if not kernel.is_box else None
        # A Gaussian's window may be too large for its matrix.
        return None if kernel.factors is not None and all(map(np.all, kernel.factors)) else _where(kernel.matrix)

    def _extreme(self, cells: Kernel | None, every: bool) -> Valid:
        """Return where all, or any, of the cells of a window are valid."""
        operator, stage = self.stage.operator, self.stage
        shape = cells.shape if cells is not None else self._planned.kernel.shape
        # The kernels of other operators are flipped already.
        flips = stage.flip and isinstance(operator, Gradient | Orientation | Compass)
        own = replace(
            stage, flip=flips, scale=1.0, offset=0.0, map=None,
            signed=False, padding_value=1.0 if stage.padding_mode == "constant" else 0.0,
        )  # fmt: skip
        if isinstance(operator, Pooling):
            own = replace(own, operator=replace(operator, kind="max"))
        else:
            window = cells if cells is not None else Kernel(factors=(np.ones(shape[0]), np.ones(shape[1])))
            rotated = window if every or window.is_box else window.rotated()
            own = replace(own, operator=Morphology("erode" if every else "dilate", rotated))
        plan = plan_stack([own], self.valid.shape, np.uint8)
        found: Valid = run_array(plan, self.valid.astype(np.uint8), threads=self.threads).pixels > 0
        return found

    def _sees_centre(self, cells: Kernel | None) -> bool:
        """Whether a result that is centred on a valid pixel has one in its window: that pixel."""
        if isinstance(self.stage.operator, Pooling):
            return False
        plan = self._planned
        rows, cols = plan.rows.kernel, plan.cols.kernel
        return rows % 2 == cols % 2 == 1 and (cells is None or bool(cells.matrix[rows // 2, cols // 2]))

    def _centre(self) -> Valid:
        """Return the validity of the centre pixel of each result; centres beyond the border are valid."""
        plan = self._planned
        rows, cols = (
            index_map(axis.input, axis.before, axis.padded, self.stage.padding_mode)[_centres(axis)]
            for axis in (plan.rows, plan.cols)
        )
        if all(
            np.array_equal(each, np.arange(size)) for each, size in zip((rows, cols), self.valid.shape, strict=True)
        ):
            return self.valid
        found: Valid = self.valid[np.ix_(rows, cols)]
        found |= (rows == CONSTANT)[:, np.newaxis] | (cols == CONSTANT)
        return found


PUT = Loop("mask", "put", "S* u1* i8 i8 i8 S")
_LOOPED = (np.uint8, np.uint16, np.float32, np.int16, np.uint32, np.float64)
#: Channels of a picture whose luminance can be taken.
_COLOURS = 3


def put(pixels: Samples, valid: Valid, value: float, *, colours: bool = False) -> Samples:
    """Write a value into all channels of invalid pixels, or into all but the last, in place."""
    if not pixels.flags.c_contiguous or pixels.dtype.type not in _LOOPED:
        places = pixels.reshape(*valid.shape, -1)[..., : -1 if colours else None]
        np.copyto(places, pixels.dtype.type(value), where=~valid[..., np.newaxis])
        return pixels
    channels = pixels.size // max(1, valid.size)
    written = channels - 1 if colours else channels
    number = float(value) if pixels.dtype.kind == "f" else int(value)
    counts = np.ascontiguousarray(valid).view(np.uint8)
    PUT.variant(S=pixels.dtype)(pixels, counts, valid.size, channels, written, number)
    return pixels


def _where(weights: npt.NDArray[np.float64]) -> Kernel:
    return Kernel((weights != 0).astype(np.float64))


def _centres(axis: AxisPlan) -> npt.NDArray[np.int64]:
    return np.arange(axis.output) * axis.stride + axis.centre


def marked(pixels: Samples, valid: Valid, value: float, alpha: bool) -> Samples:
    """Write a value into the colours of invalid pixels, in place; their alpha is 0."""
    put(pixels, valid, value, colours=alpha)
    return pixels
