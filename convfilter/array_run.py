"""Run stages on an image that is an array or a Picture, with the keywords of a public function."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from convfilter import arrays
from convfilter.errors import ParameterError, shown
from convfilter.executor.run import run_array
from convfilter.filters.checks import require_unmasked
from convfilter.filters.operators import Operator
from convfilter.filters.stage import Stage, require_finite_padding
from convfilter.images import Image, ImageLike, checked, warn_of_dimensions
from convfilter.keywords import (
    FilterKeywords,
    PoolKeywords,
    RunKeywords,
    dtype_of,
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

    The result has the type and the labels of the image, or the type of the file of a ``Picture``. It is computed in
    ``out`` if that is possible, else copied there.
    """
    if type(image) is not np.ndarray:
        warn_of_dimensions(image)
    array, keywords = arrays.converted(image, keywords)
    pixels = checked(array, keywords.get("alpha", False))
    file_dtype = arrays.file_type_of(image)
    out = keywords.get("out")
    if out is not None:
        keywords = _with_type_of(out, keywords, file_dtype or pixels.dtype)
    white = None if file_dtype is None else full_scale(file_dtype)
    rounded = file_dtype if keywords.get("dtype") is None else None
    if rounded is not None:
        stages = [replace(each, map=None) if each.map == "clip" else each for each in stages]  # rounding also clips
        keywords = {**keywords, "dtype": real_of(pixels.dtype)}
    plan = planned(stages, pixels.shape, pixels.dtype, keywords, white)
    if out is not None and out.shape != plan.output_shape:
        raise ParameterError(f"out must have the shape of the result, {plan.output_shape}, got {out.shape}")
    direct = None
    if keywords.get("ignore") is not None or keywords.get("mask") is not None:
        result = _run_masked(stages, pixels, keywords, white, rounded)
    else:
        require_finite_padding(stages)
        direct = None if out is None or rounded is not None or _needs_copy(out, pixels) else out
        dtype, threads = keywords.get("dtype"), keywords.get("threads")
        result = run_array(plan, pixels, out_dtype=dtype, threads=threads, out=direct).pixels
        result = result if rounded is None else _rounded(result, rounded)
    if out is not None:
        if direct is None:
            out[...] = result
        result = out
    return result if type(image) is np.ndarray else arrays.labelled(result, image, plan)


def _with_type_of(out: Any, keywords: PoolKeywords | RunKeywords, own: np.dtype[Any]) -> PoolKeywords | RunKeywords:
    """Return the keywords with the type of ``out`` as ``dtype``, unless it is ``own``, the type of results by default.

    Raises
    ------
    ParameterError
        No result of this call can be stored in ``out``.
    """
    require_unmasked("out", out)
    if not isinstance(out, np.ndarray) or not out.flags.writeable:
        got = "a read-only array" if isinstance(out, np.ndarray) else shown(out)
        raise ParameterError(f"out must be a NumPy array that can be written to, got {got}")
    given = dtype_of(keywords)
    types = (own, np.dtype(np.float32), np.dtype(np.float64)) if given is None else (given,)
    if out.dtype not in types:
        named = " or ".join(dict.fromkeys(map(str, types)))
        raise ParameterError(f"out must have the type of the result, {named}, got {out.dtype}")
    return keywords if given is not None or out.dtype == own else {**keywords, "dtype": out.dtype}


def _needs_copy(out: Image, pixels: Image) -> bool:
    """Whether the engine cannot store results in ``out``: it is not contiguous, or the image lies there."""
    return not (out.flags.c_contiguous and out.flags.aligned) or np.may_share_memory(out, pixels)


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
        ignore=masking.ignore,
    )  # fmt: skip
    samples = result.pixels if rounded is None else _rounded(result.pixels, rounded)
    mark = masking.mark(samples.dtype)
    return marked(samples, valid_results, mark, alpha) if mark else samples
