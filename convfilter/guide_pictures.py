"""Guides of guided filters: read the pictures that SPECs name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from convfilter.errors import ParameterError, about_auxiliary
from convfilter.filters.operators import Guided
from convfilter.filters.stage import Stage
from convfilter.picture.options import ReadOptions
from convfilter.record import replace
from convfilter.sample_types import full_scale, is_wide, require_sample_type

if TYPE_CHECKING:
    import numpy.typing as npt

Samples = np.ndarray[tuple[Any, ...], np.dtype[np.float32 | np.float64]]


_OF_PYTHON = ReadOptions()


def with_guides(stages: Sequence[Stage], options: ReadOptions = _OF_PYTHON) -> Sequence[Stage]:
    """Return the stages, with the samples of a guide in place of the name of its file.

    ``options`` are those of the pictures.

    Raises
    ------
    ReadError
        The file does not exist, or is not a picture.
    ParameterError
        The picture has several frames.
    """
    return [_with_guide(stage, options) for stage in stages]


def _with_guide(stage: Stage, options: ReadOptions) -> Stage:
    operator = stage.operator
    if not isinstance(operator, Guided) or not isinstance(operator.guide, str):
        return stage
    from convfilter.picture.read import read

    with about_auxiliary(operator.guide):
        picture = read(operator.guide, options.of_auxiliary())
        pixels = np.atleast_3d(picture.pixels)
        if len(picture.frames) > 1:
            raise ParameterError(f"a guide is one picture, got {len(picture.frames)} frames")
    guide = samples_of(pixels[..., : pixels.shape[2] - picture.alpha], picture.white)
    return replace(stage, operator=replace(operator, guide=guide, name=operator.guide))


def samples_of(pixels: npt.NDArray[np.generic], white: float | None = None) -> Samples:
    """Return a picture's samples as real numbers whose white is 1.

    Raises
    ------
    ParameterError
        Pictures do not have this sample type.
    """
    require_sample_type(pixels.dtype)
    scaled: Samples = np.atleast_3d(pixels).astype(np.float64 if is_wide(pixels.dtype) else np.float32)
    scaled /= white or full_scale(pixels.dtype)
    return scaled
