"""Guides of guided filters: read the pictures that SPECs name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from convfilter.errors import ConvfilterError, ParameterError
from convfilter.filters.operators import Guided
from convfilter.filters.stage import Stage
from convfilter.picture.options import DEFAULT_MAX_PIXELS, ReadOptions
from convfilter.record import replace
from convfilter.sample_types import full_scale, is_wide, require_sample_type

if TYPE_CHECKING:
    import numpy.typing as npt

Samples = np.ndarray[tuple[Any, ...], np.dtype[np.float32 | np.float64]]


def with_guides(stages: Sequence[Stage], max_pixels: int = DEFAULT_MAX_PIXELS) -> Sequence[Stage]:
    """Return the stages, with the samples of a guide of up to ``max_pixels`` in place of the name of its file.

    Raises
    ------
    ReadError
        The file does not exist, or is not a picture.
    ParameterError
        The picture has several frames.
    """
    return [_with_guide(stage, max_pixels) for stage in stages]


def _with_guide(stage: Stage, max_pixels: int) -> Stage:
    operator = stage.operator
    if not isinstance(operator, Guided) or not isinstance(operator.guide, str):
        return stage
    from convfilter.picture.read import read

    try:
        picture = read(operator.guide, ReadOptions(max_pixels=max_pixels))
        pixels = np.atleast_3d(picture.pixels)
    except ConvfilterError as error:
        error.about(operator.guide)
        raise
    if len(picture.frames) > 1:
        raise ParameterError(f"a guide is one picture, got {len(picture.frames)} frames", subject=operator.guide)
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
