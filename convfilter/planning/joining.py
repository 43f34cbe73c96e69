"""Joins of branches: sum, product, concatenation, constants and indices; their sizes and receptive fields."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import TypeAlias

from convfilter.errors import ParameterError
from convfilter.filters.network_operators import Constant, Join, Unpooling
from convfilter.planning.field import Field
from convfilter.planning.stage_plan import StagePlan
from convfilter.planning.task import MOST_INDICES

#: Stages of the branches that a stage joins.
Branches: TypeAlias = tuple[tuple[StagePlan, ...], ...]


def joined_shape(
    operator: Join, branches: Branches, size: tuple[int, int, int], prefix: str, *, alpha: bool
) -> tuple[int, int, int]:
    """Return rows, columns and channels of joined branches; ``size`` is that of an empty branch.

    Raises
    ------
    ParameterError
        Branches have different sizes.
    """
    shapes = [
        (branch[-1].rows.output, branch[-1].cols.output, branch[-1].output_channels) if branch else size
        for branch in branches
    ]
    if operator.unpooling:
        return _unpooled_shape(operator.unpooling, shapes, prefix, alpha=alpha)
    sizes = {shape[:2] for shape in shapes}
    if operator.kind != "concat" and len(sizes) > 1:
        sizes -= {(1, 1)}
    colours = {shape[2] - alpha for shape in shapes}
    if len(sizes) > 1 or (operator.kind != "concat" and len(colours - {1}) > 1):
        listed = " and ".join(f"{cols}x{rows} with {channels} channels" for rows, cols, channels in shapes)
        raise ParameterError(f"{prefix}branches must be of one size, got {listed}")
    ((rows, cols),) = sizes
    return (
        rows,
        cols,
        (sum(shape[2] - alpha for shape in shapes) if operator.kind == "concat" else max(colours)) + alpha,
    )


def _unpooled_shape(
    operator: Unpooling, shapes: Sequence[tuple[int, int, int]], prefix: str, *, alpha: bool
) -> tuple[int, int, int]:
    """Return rows, columns and channels of an unpooled picture.

    Raises
    ------
    ParameterError
        Indices have another shape than the samples, or exceed what float32 holds exactly; or the picture has alpha.
    """
    (rows, cols, channels), indices = shapes
    if alpha:
        raise ParameterError(f"{prefix}unpooling must not have alpha; use a picture without it")
    if indices != shapes[0]:
        raise ParameterError(f"{prefix}each sample needs an index, got {shapes[0]} samples and {indices} indices")
    size = operator.pooled(rows, cols)
    if prod(size) * channels > MOST_INDICES:
        raise ParameterError(f"{prefix}indices must be below {MOST_INDICES}, got {prod(size) * channels} samples")
    return *(operator.output_size or size), channels


def constant_shape(operator: Constant, size: tuple[int, int, int], prefix: str, *, alpha: bool) -> tuple[int, int, int]:
    """Return rows, columns and channels of a constant, which is repeated to the size of the picture.

    Raises
    ------
    ParameterError
        The constant has neither the size of the picture nor a single row or column.
    """
    rows, cols, channels = operator.values.shape
    if rows not in (1, size[0]) or cols not in (1, size[1]):
        raise ParameterError(
            f"{prefix}the constant has {cols}x{rows} pixels and is for pictures of that size, got {size[1]}x{size[0]}"
        )
    return *size[:2], channels + alpha


def joined_fields(fields: tuple[Field, Field], branches: Branches) -> tuple[Field, Field]:
    """Return the receptive fields of joined branches: the union of the fields through each."""
    ends = []
    for branch in branches:
        rows, cols = fields
        for stage in branch:
            rows, cols = rows.after(stage.rows), cols.after(stage.cols)
        ends.append((rows, cols))
    rows, cols = ends[0]
    for other_rows, other_cols in ends[1:]:
        rows, cols = rows.joined(other_rows), cols.joined(other_cols)
    return rows, cols
