"""The error budget of plans, compared with the measured errors of results."""

import math

import numpy as np
import pytest
import reference

from convfilter.executor.run import run_array
from convfilter.filters import stack
from convfilter.planning import plan_stack
from convfilter.planning.budget import budget
from convfilter.planning.methods.gaussian import misplaced
from convfilter.record import replace
from convfilter.report.plan_text import as_json, budget_lines
from convfilter.sample_types import SAMPLE_TYPES


def planned(*specs, dtype="uint8", channels=3, **options):
    return plan_stack(stack.stages(specs), (300, 400, channels), dtype, **options)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_the_misplaced_weight_is_that_of_the_taps_that_impulses_show(dtype):
    (stage,) = plan_stack(stack.stages(("gaussian:20",)), (1, 600), dtype, algorithm="multirate").stages
    step = stage.rates[1].step
    real = plan_stack(stack.stages(("gaussian:20",)), (1, 600), "float32", algorithm="multirate")
    # The same steps, on real samples: each impulse shows one column of the weights.
    real = replace(real, stages=(replace(real.stages[0], rates=stage.rates),))
    shown = np.zeros((step, 600))
    for place in range(150, 450):
        impulse = np.zeros((1, 600), np.float32)
        impulse[0, place] = 1
        shown[:, place] = run_array(real, impulse).pixels[0, 300 : 300 + step]
    weights = stage.kernel.factors[1] / stage.kernel.factors[1].sum()
    off = []
    for phase in range(step):
        wanted = np.zeros(600)
        wanted[300 + phase - weights.size // 2 : 300 + phase + weights.size // 2 + 1] = weights
        off.append(np.abs(shown[phase] - wanted)[150:450].sum() / 2)
    assert misplaced(real.stages[0].rates[1], stage.kernel.factors[1]) == pytest.approx(max(off), rel=0.3, abs=2e-8)


@pytest.mark.parametrize("spec", ["gaussian:3", "gaussian:12", "log:3", "gabor:3,wavelength=9", "sobel:x", "box:7"])
def test_real_results_are_off_by_about_what_the_budget_says(spec):
    image = np.random.default_rng(0).normal(0, 1, (90, 110)).astype(np.float32)
    plan = plan_stack(stack.stages((spec,)), image.shape, image.dtype)
    kernel = plan.stages[0].kernel
    weights = kernel.matrix * (plan.stages[0].scale / kernel.divisor)
    exact = reference.correlate(image.astype(float), weights)
    magnitude = reference.correlate(np.abs(image.astype(float)), np.abs(weights))
    found = budget(plan)
    got = run_array(plan, image, out_dtype=np.float64 if plan.between == np.float64 else None).pixels
    # Storing as float32 rounds once more; deviations of up to six times the usual occur among 10,000.
    assert np.abs(got - exact).max() <= (6 * found.total + 2**-24) * magnitude.max()
    assert found.total < found.promised == SAMPLE_TYPES["float32"].error


@pytest.mark.parametrize("specs", [("box:3",), ("maxpool:2",), ("kernel:1 2 1;2 4 2;1 2 1", "maxpool:3"), ("erode:3",)])
def test_whole_numbers_are_exact(specs):
    found = budget(planned(*specs))
    assert found.shares[-1].total == 0
    if len(specs) == 1:
        assert list(budget_lines(planned(*specs))) == [
            "budget       0 of 0.001 levels",
            f"  stage 1    {specs[0]}: exact",
        ]


def test_errors_grow_by_the_gain_of_what_follows():
    alone, amplified = budget(planned("gaussian:2")), budget(planned("gaussian:2", "scale:3"))
    assert amplified.shares[0].gain == 3
    assert amplified.total > 2.9 * alone.total


def test_deeper_results_have_a_finer_promise():
    promised = {"uint8": 1e-3, "uint16": 1 / 16, "int16": 1e-3, "uint32": 1e-3, "float32": 2e-6, "float64": 1e-12}
    assert promised.keys() == SAMPLE_TYPES.keys()
    for dtype, error in promised.items():
        found = budget(planned("gaussian:20", dtype=dtype))
        assert 0 < found.total < found.promised == error


def test_unbounded_errors_are_reported():
    faint = planned("gaussian:2", channels=4, alpha=True)
    assert math.isinf(budget(faint).total)
    assert "colours are divided by their alpha" in "\n".join(budget_lines(faint))
    assert as_json(faint)["error"]["total"] is None
    assert "has no largest gain" in "\n".join(budget_lines(planned("gaussian:2", "tanh")))
