"""Declarations of the methods, one module each, and the choice among them.

The module of the same name in ``convfilter/methods/`` computes the method.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from convfilter.filters.network_operators import Join, Layer
from convfilter.filters.operators import (
    Bilateral,
    Canny,
    Compass,
    Gradient,
    Guided,
    Morphology,
    Operator,
    Orientation,
    Point,
    Pooling,
    Rank,
    WeightedSums,
)
from convfilter.planning.method import Algorithm, Grid, Method
from convfilter.planning.task import Task

if TYPE_CHECKING:
    from convfilter.planning.stage_plan import StagePlan


def methods_of(operator: Operator) -> tuple[Method, ...]:
    """Return the methods of an operator; only their modules are imported."""
    match operator:
        case WeightedSums():
            from convfilter.planning.methods import box, fourier, multirate, stencil

            return stencil.DIRECT, stencil.SEPARABLE, stencil.LOW_RANK, box.BOX, multirate.MULTIRATE, fourier.FOURIER
        case Gradient():
            from convfilter.planning.methods.stencil import GRADIENT as METHOD
        case Pooling():
            from convfilter.planning.methods.extremes import POOLING as METHOD
        case Rank():
            from convfilter.planning.methods import rank

            return rank.NETWORK, rank.HISTOGRAMS, rank.SLIDING
        case Morphology():
            from convfilter.planning.methods.morphology import MORPHOLOGY as METHOD
        case Compass():
            from convfilter.planning.methods.compass import COMPASS as METHOD
        case Canny():
            from convfilter.planning.methods.canny import CANNY as METHOD
        case Guided():
            from convfilter.planning.methods.guided import GUIDED as METHOD
        case Bilateral():
            from convfilter.planning.methods.bilateral import BILATERAL as METHOD
        case Point():
            from convfilter.planning.methods.pointwise import POINTS as METHOD
        case Orientation():
            from convfilter.planning.methods.orientation import ORIENTATION as METHOD
        case Layer():
            from convfilter.planning.methods.layer import LAYER as METHOD
        case Join():
            from convfilter.planning.methods.join import JOIN as METHOD
        case _:
            from convfilter.planning.methods.values import method_of

            METHOD = method_of(operator)
    return (METHOD,)


def chosen_method(stage: StagePlan) -> Method:
    """Return the method that a stage's plan names."""
    return next(method for method in methods_of(stage.stage.operator) if method.name == stage.algorithm)


def grid_of(stage: StagePlan) -> Grid:
    """Return where chunks of a stage's result may begin; the plan is that for the whole picture."""
    return chosen_method(stage).grid(stage)


def capable(task: Task) -> tuple[Method, ...]:
    """Return the methods that can compute ``task``, at any cost."""
    return tuple(method for method in methods_of(task.stage.operator) if method.can(task))


def applicable(task: Task) -> tuple[Algorithm, ...]:
    """Return the names of the methods that can compute ``task``."""
    return tuple(method.name for method in capable(task))


def fastest(methods: tuple[Method, ...], task: Task) -> Method:
    """Return the method that takes the least time for ``task``."""
    return methods[0] if len(methods) == 1 else min(methods, key=lambda method: method.time(task))


def least_time(task: Task) -> float:
    """Return the approximate time of one output sample by the fastest method."""
    return min(method.time(task) for method in capable(task))
