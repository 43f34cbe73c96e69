"""Run stages on an image that is an array or a Picture, with the keywords of a public function."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from convfilter import arrays
from convfilter.executor.run import run_array
from convfilter.filters.checks import require_unmasked
from convfilter.filters.operators import Operator
from convfilter.filters.stage import Stage
from convfilter.images import Image, ImageLike, checked
from convfilter.keywords import (
    FilterKeywords,
    PoolKeywords,
    RunKeywords,
    masking_of,
    planned,
    stage_values,
)
from convfilter.record import replace
from convfilter.sample_types import full_scale, real_of


def run_operator(
    image: ImageLike,
    name: str,
    operator: Operator,
    keywords: FilterKeywords | PoolKeywords | RunKeywords,
    *,
    signed: bool = False,
) -> Image:
    """Run one operator on an image, with the keywords of a public function."""
    stage = Stage(operator, name=name, signed=signed, **stage_values(keywords))
    return run_stages(image, [stage], keywords)


def run_stages(image: ImageLike, stages: Sequence[Stage], keywords: PoolKeywords | RunKeywords) -> Image:
    """Run stages on an image, with the keywords of a public function.

    The result has the type and the labels of the image, or the type of the file of a ``Picture``.
    """
    array, keywords = arrays.converted(image, keywords)
    pixels = checked(array, keywords.get("alpha", False))
    file_dtype = arrays.file_type_of(image)
    white = None if file_dtype is None else full_scale(file_dtype)
    rounded = file_dtype if keywords.get("dtype") is None else None
    if rounded is not None:
        stages = [replace(each, map=None) if each.map == "clip" else each for each in stages]  # rounding also clips
        keywords = {**keywords, "dtype": real_of(pixels.dtype)}
    plan = planned(stages, pixels.shape, pixels.dtype, keywords, white)
    if keywords.get("ignore") is not None or keywords.get("mask") is not None:
        result = _run_masked(stages, pixels, keywords, white, rounded)
    else:
        result = run_array(plan, pixels, out_dtype=keywords.get("dtype"), threads=keywords.get("threads")).pixels
        result = result if rounded is None else _rounded(result, rounded)
    return result if type(image) is np.ndarray else arrays.labelled(result, image, plan)


def _rounded(result: Image, dtype: np.dtype[Any]) -> Image:
    from convfilter.picture import colour

    return colour.rounded(result, dtype)[0]


def _run_masked(
    stages: Sequence[Stage],
    pixels: Image,
    keywords: PoolKeywords | RunKeywords,
    white: float | None,
    rounded: np.dtype[Any] | None,
) -> Image:
    from convfilter.executor.masked import marked, run_masked

    mask, alpha = keywords.get("mask"), keywords.get("alpha", False)
    require_unmasked("a mask", mask)
    masking = masking_of(keywords, None if mask is None else arrays.as_array(mask, "mask"))
    dtype = np.dtype(keywords.get("dtype") or pixels.dtype)
    masking.check(pixels.shape, alpha)
    valid = masking.valid(alpha, pixels.reshape(*pixels.shape[:2], -1))
    result, valid_results = run_masked(
        stages, pixels, valid, fill=keywords.get("fill", False), out_dtype=dtype, alpha=alpha,
        premultiplied=keywords.get("premultiplied", False), gray=keywords.get("gray", False),
        threads=keywords.get("threads"), white=white, out_white=white,
    )  # fmt: skip
    samples = result.pixels if rounded is None else _rounded(result.pixels, rounded)
    mark = masking.mark(samples.dtype)
    return marked(samples, valid_results, mark, alpha) if mark else samples
