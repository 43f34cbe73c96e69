"""The error budget of plans, compared with the measured errors of results."""

import itertools
import math

import numpy as np
import pytest
import reference

from convfilter.executor.run import run_array
from convfilter.filters import stack
from convfilter.filters.kernel import largest_length
from convfilter.planning import plan_stack
from convfilter.planning.budget import budget, largest_budget
from convfilter.planning.methods.multirate import misplaced
from convfilter.planning.ranges import grain_of
from convfilter.record import replace
from convfilter.report.plan_text import as_json, budget_lines
from convfilter.sample_types import SAMPLE_TYPES, full_scale


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
    assert amplified.shares[0].gain == pytest.approx(3)
    # Only results of up to a third of white are not clipped, and these round more finely.
    assert 3 * alone.total > amplified.total > 1.2 * alone.total


@pytest.mark.parametrize("before", ["invert", "scale:3", "tophat:5", "gaussian:2"])
def test_gradients_of_a_bounded_range_are_summed_in_float32(before):
    plan = planned(before, "sobel:magnitude")
    assert plan.stages[1].precision == "float32"
    assert 0 < budget(plan).total < budget(plan).promised


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


def exact_and_computed(specs, image):
    """The exact results, the computed ones before they are rounded, and the budget of an integer picture."""
    white = full_scale(image.dtype)
    plan = plan_stack(stack.stages(specs), image.shape, image.dtype)
    real = plan_stack(stack.stages(specs), image.shape, np.float64, white=white)
    wide = any(stage.result == np.float64 for stage in plan.stages)
    computed = run_array(plan, image, out_dtype=np.float64 if wide else np.float32).pixels.astype(np.float64)
    return run_array(real, image.astype(np.float64)).pixels, computed, budget(plan)


def measured(specs, image):
    """The largest error of results that are not clipped, without that of storing them as float32, and the budget."""
    exact, computed, found = exact_and_computed(specs, image)
    off = np.abs(computed - exact) - np.abs(exact) * 2.0**-24
    return float(off[np.abs(exact) <= full_scale(image.dtype) + 0.5].max(initial=0)), found


def pictures(dtype, rows=90, cols=140):
    """Bright noise, lines along both axes, white, and stripes that a gradient makes bright everywhere."""
    rng, white = np.random.default_rng(4), full_scale(dtype)
    stripes = np.where(np.arange(cols) % 4 >= 2, 1 - rng.uniform(0, 0.03, (rows, 1)), 0.0)
    for picture in (
        rng.uniform(0.75, 1, (rows, cols)),
        np.broadcast_to(rng.uniform(0.6, 1, (rows, 1)), (rows, cols)),
        np.broadcast_to(rng.uniform(0.6, 1, (1, cols)), (rows, cols)),
        np.ones((rows, cols)),
        stripes,
    ):
        yield np.rint(picture * white).astype(dtype)


SOBEL = "sobel:magnitude"
STACKS = [
    ("gaussian:20", SOBEL, "maxpool:2"),
    ("gaussian:2", SOBEL),
    ("gaussian:2", SOBEL, SOBEL),
    (SOBEL, "gaussian:2", SOBEL),
    ("gaussian:4", "kirsch"),
    ("gaussian:1", "scharr:magnitude"),
    ("gaussian:2", "scale:30"),
    ("gaussian:3,truncate=3", "disk:4", "disk:4"),
    ("gaussian:1", "box:9"),
    ("avgpool:2", "unsharp:2,amount=3", "kernel:1.5 -2.25 0.3; 0.1 4 -1; 2 0.7 -3.3"),
    ("disk:4", "freichen:magnitude", "open:3"),
    ("gaussian:30",),
    ("kernel:.11 .2 .13; .2 .02 .1; .1 .1 .04", "robinson"),
]


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
@pytest.mark.parametrize("specs", STACKS, ids=" | ".join)
def test_no_result_is_off_by_more_than_the_budget_which_keeps_the_promise(specs, dtype):
    for picture in pictures(dtype):
        off, found = measured(specs, picture)
        assert off <= found.total <= found.promised


def test_budgets_of_any_stack_keep_the_promise():
    rng = np.random.default_rng(11)
    filters = [
        "gaussian:1", "gaussian:9", "box:3", "box:5,stride=2", SOBEL, "sobel:magnitude,size=5", "scharr:y", "kirsch",
        "log:2",
        "laplacian", "unsharp:2,amount=3", "disk:3", "maxpool:2", "avgpool:3", "median:3", "tophat:5", "scale:10",
        "bias:0.1", "invert", "gabor:3,wavelength=9", "kernel:1.5 -2.25 0.3; 0.1 4 -1; 2 0.7 -3.3",
    ]  # fmt: skip
    for _ in range(80):
        specs = rng.choice(filters, rng.integers(1, 5))
        found = budget(planned(*specs, dtype=str(rng.choice(["uint8", "uint16", "float32"]))))
        assert found.total <= found.promised, specs


def test_stacks_that_keep_the_promise_sum_in_single_precision():
    for specs in itertools.product(
        ["gaussian:1", "gaussian:2", "gaussian:20", "box:11"], [SOBEL], ["maxpool:2", "relu"]
    ):
        assert {stage.precision for stage in planned(*specs).stages[:2]} == {"float32"}, specs


def test_the_budget_of_a_gradient_after_a_wide_gaussian_is_near_its_error():
    off, found = measured(("gaussian:20", SOBEL, "maxpool:2"), next(pictures("uint8", 400, 600)))
    assert 0.5e-4 < off < found.total < 6e-4


def test_sums_of_double_precision_where_single_precision_broke_the_promise():
    specs = ("gaussian:2", SOBEL, SOBEL)
    plan = planned(*specs)
    assert plan.stages[0].precision == "float64"
    assert [stage.precision for stage in planned("gaussian:2", SOBEL).stages] == ["float32", "float32"]
    wide = planned("gaussian:20", "scale:1000")
    assert wide.stages[0].result == np.float64 and wide.stages[0].algorithm != "multirate"
    assert budget(wide).total < 1e-3


def test_stacks_of_whole_numbers_are_exact():
    assert budget(planned("minpool:2", "scharr:y", "emboss", "median:3")).total == 0
    assert budget(planned("box:4", "sobel:x", "scale:0.5")).total == 0
    assert budget(planned("box:3", "sobel:x")).total > 0


@pytest.mark.parametrize("sigma", [5.9, 7.86, 8.54])
def test_no_constructed_picture_breaks_the_promise_of_a_wide_gaussian(sigma):
    image = np.zeros((161, 161), np.uint8)
    plan = plan_stack(stack.stages((f"gaussian:{sigma}",)), image.shape, image.dtype, algorithm="multirate")
    real = plan_stack(stack.stages((f"gaussian:{sigma}",)), image.shape, np.float32, algorithm="multirate")
    step = plan.stages[0].rates[0].step
    real = replace(real, stages=(replace(real.stages[0], rates=plan.stages[0].rates),))
    factor = plan.stages[0].kernel.factors[0]
    for place in range(80, 80 + step):
        shown = np.zeros(161)
        for line in range(161):  # the weights with which a line of the picture counts in this row
            impulse = np.zeros((161, 161), np.float32)
            impulse[line] = 1
            shown[line] = run_array(real, impulse).pixels[place, 80]
        wanted = np.zeros(161)
        first = place - factor.size // 2
        wanted[max(first, 0) : first + factor.size] = factor[max(-first, 0) : 161 - first]
        image[:] = np.where(np.outer(shown, shown) > np.outer(wanted, wanted), 255, 0)
        off, found = measured((f"gaussian:{sigma}",), image)
        assert off <= found.total <= found.promised


def test_thresholds_and_stretched_results_have_no_bound():
    assert math.isinf(budget(planned("gaussian:2", "threshold:0.5")).total)
    assert math.isinf(budget(planned("gaussian:2,map=stretch")).total)
    assert "it has no largest gain" in "\n".join(budget_lines(planned("gaussian:2,map=stretch")))
    assert budget(planned("median:3", "threshold:0.5")).total == 0


@pytest.mark.parametrize("specs", [("gaussian:20", SOBEL), ("gaussian:9",), ("disk:4", "kirsch")])
def test_the_quick_bound_is_no_smaller(specs):
    assert budget(planned(*specs)).total <= largest_budget(planned(*specs)).total


def test_the_largest_length_of_two_sums():
    angles = np.linspace(0, math.pi, 20001)[:, np.newaxis]
    for seed in range(5):
        one, other = np.random.default_rng(seed).normal(size=(2, 3, 3))
        lengths = np.abs(np.cos(angles) * one.ravel() + np.sin(angles) * other.ravel()).sum(axis=1)
        assert largest_length(one, other) == pytest.approx(lengths.max(), rel=1e-6)
    sobel = np.outer((1, 2, 1), (1, 0, -1)).astype(float)
    assert largest_length(sobel, sobel.T) == pytest.approx(math.sqrt(80))
    assert largest_length(np.zeros((3, 3)), np.zeros((3, 3))) == 0


@pytest.mark.parametrize(("numbers", "grain"), [(6, 2), (0.75, 0.25), ([4, 6, 0], 2), ([0.5, 3], 0.5), (0, 1), ([], 1)])
def test_the_grain_of_numbers(numbers, grain):
    assert grain_of(numbers) == grain


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_single_means_keep_the_promise_without_a_look_at_their_budget(dtype):
    keys = ["", ",dilation=2", ",stride=2", ",truncate=5"]
    for sigma in np.exp(np.linspace(math.log(0.4), math.log(45), 12)):
        for key in keys:
            found = budget(planned(f"gaussian:{sigma:.3f}{key}", dtype=dtype))
            assert found.total <= found.promised, (sigma, key)
    for spec in ("disk:4", "disk:12", "disk:25", "motion:40,angle=30", "kernel:.11 .2 .13; .2 .02 .1; .1 .1 .04"):
        found = budget(planned(spec, dtype=dtype))
        assert found.total <= found.promised, spec


def test_two_means_in_a_stack_keep_the_promise_without_a_look_at_their_budget():
    means = ["gaussian:3.7", "gaussian:20", "box:64", "motion:63", "disk:7"]
    stacks = [*itertools.product(means, repeat=2), *itertools.product(means, ["maxpool:2", "relu"], means)]
    for specs in (*stacks, ["box:64"] * 5):  # the last has too many
        found = budget(planned(*specs))
        assert found.total <= found.promised, specs
