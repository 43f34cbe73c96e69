from processes import run_python

from convfilter.precompile import variants
from convfilter.precompile.variants import all_variants

#: Each method, with each sample type, kind of picture and kind of result.
EVERYTHING = """
import sys
from itertools import product
import numpy as np
from convfilter.native import object_code
from convfilter.precompile import variants
from convfilter.executor.run import run_array
from convfilter.errors import ParameterError
from convfilter.filters import kernels
from convfilter.filters.kernel import from_array
from convfilter.filters.operators import Canny, Correlation, Gradient, Morphology, Point, Pooling, Rank, UnsharpMask
from convfilter.filters.stage import Stage
from convfilter.planning import Task, applicable, plan_stack

object_code.on_notice(print)
operators = [
    Correlation(from_array([[1, 2, 0], [3, -1, 5], [2, 2, -7]])),
    Correlation(kernels.laplacian()),
    Correlation(kernels.box(3, 3)),
    Correlation(kernels.gaussian(1, 1)),
    Correlation(kernels.gaussian(9, 8)),
    Gradient(kernels.derivative("sobel", "x"), kernels.derivative("sobel", "y")),
    UnsharpMask(kernels.gaussian(1, 1), 1.0),
    Pooling("max", (2, 2)),
    Pooling("min", (2, 2)),
    Pooling("average", (2, 2)),
    Point("elu", 1.0),
    *(Morphology(kind, from_array([[0, 1], [1, 1]])) for kind in ("erode", "dilate", "gradient", "tophat")),
    Morphology("gradient", kernels.box(2, 2)),
    Canny(),
    Rank(kernels.box(3, 3)),
    Rank(kernels.box(5, 5)),
    Rank(kernels.box(2, 2)),
]
layouts = [(1, False, False), (3, False, True), (4, True, False), (4, True, True)]
for operator, dtype, (channels, alpha, gray) in product(operators, ("u1", "u2", "f4"), layouts):
    image = np.zeros((5, 6, channels), dtype)
    for scale, stretch in [(1.0, None), (1e6, "stretch")]:
        stage = Stage(operator, scale=scale, map=stretch)
        for method in applicable(Task.of(stage, (5, 6, channels - 2 * gray), np.dtype(dtype), alpha=alpha, gray=gray)):
            for stages in ([stage], [stage, stage]):
                second = Task.of(stage, (5, 6, channels - 2 * gray), np.dtype("f4"), alpha=alpha)
                if len(stages) == 2 and method not in applicable(second):
                    continue
                try:
                    plan = plan_stack(stages, image.shape, dtype, alpha=alpha, gray=gray, algorithm=method)
                except ParameterError:  # before another stage, what a method may round is judged otherwise
                    continue
                for target in {dtype, "f4", "u2" if dtype == "u1" else dtype}:
                    run_array(plan, image, out_dtype=target)
print("numba" in sys.modules)
"""


def test_warm_compiles_every_loop_that_the_engine_requests():
    assert len(list(variants.cache_warm())) == len(list(all_variants()))
    assert run_python(EVERYTHING) == "False\n"


def test_each_variant_is_named_once():
    named = [(loop.function, loop.codes(**kinds)) for loop, kinds in all_variants()]
    assert len(set(named)) == len(named)
