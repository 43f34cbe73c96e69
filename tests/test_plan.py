import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from planned import methods

from convfilter.errors import ParameterError, SizeError
from convfilter.filters import kernels, stack
from convfilter.filters.factors import factored, low_rank
from convfilter.filters.kernel import Kernel, from_array
from convfilter.filters.operators import Correlation, Gradient, Pooling, UnsharpMask
from convfilter.filters.stage import Stage
from convfilter.planning import ALGORITHMS, AxisPlan, plan_stack, real_cells
from convfilter.planning.method_choice import for_any_numbers
from convfilter.planning.preview import for_preview
from convfilter.planning.strips import PERSISTENT_BYTES
from convfilter.record import replace
from convfilter.sample_types import full_scale

SOBEL = Gradient(kernels.derivative("sobel", "x"), kernels.derivative("sobel", "y"))
RNG = np.random.default_rng(0)
FULL_RANK = from_array([[1, 2, 0], [3, -1, 5], [2, 2, -7]])


def correlation(weights, **keywords):
    return Stage(Correlation(weights if isinstance(weights, Kernel) else from_array(weights)), **keywords)


def plan_one(stage, shape=(40, 50, 3), dtype=np.uint8, **keywords):
    return plan_stack([stage], shape, dtype, **keywords).stages[0]


# Sizes -------------------------------------------------------------------------


@given(
    size=st.integers(1, 30),
    kernel=st.integers(1, 9),
    stride=st.integers(1, 7),
    dilation=st.integers(1, 5),
    before=st.integers(0, 9),
    after=st.integers(0, 9),
)
def test_output_size_counts_the_places_where_the_kernel_fits(size, kernel, stride, dilation, before, after):
    axis = AxisPlan(size, kernel, stride, dilation, before, after)
    last_taps = range(dilation * (kernel - 1), size + before + after)
    places = len(last_taps[::stride])
    if places:
        assert axis.output == places
        assert axis.padded == last_taps[::stride][-1] + 1
    else:
        assert axis.output < 1
        with pytest.raises(SizeError):
            plan_one(correlation(np.ones((kernel, 1)), stride=(stride, 1), dilation=(dilation, 1),
                                 padding=(before, after, 0, 0)), (size, 1))  # fmt: skip


@pytest.mark.parametrize("kernel", [1, 2, 3, 4, 7])
@pytest.mark.parametrize("dilation", [1, 3])
def test_padding_words(kernel, dilation):
    total = dilation * (kernel - 1)
    pads = {"same": (total // 2, total - total // 2), "valid": (0, 0), "full": (total, total)}
    for word, (before, after) in pads.items():
        stage = correlation(RNG.integers(1, 9, (kernel, kernel)), dilation=(dilation, dilation), padding=word)
        for axis in (plan_one(stage).rows, plan_one(stage).cols):
            assert (axis.before, axis.after) == (before, after)
    assert plan_stack([correlation(np.ones((kernel, kernel)))], (40, 50), np.uint8).output_shape == (40, 50)


def test_padding_and_steps_belong_to_their_axis():
    stage = correlation(np.ones((2, 3)), padding=(1, 2, 3, 4), stride=(2, 5), dilation=(6, 7))
    plan = plan_one(stage)
    assert plan.rows == AxisPlan(40, 2, 2, 6, 1, 2)
    assert plan.cols == AxisPlan(50, 3, 5, 7, 3, 4)
    assert (plan.rows.output, plan.cols.output) == ((40 + 3 - 6 - 1) // 2 + 1, (50 + 7 - 14 - 1) // 5 + 1)


def test_stages_take_the_sizes_of_those_before_them():
    plan = plan_stack([correlation(np.ones((3, 3)), padding="valid", stride=(2, 3))] * 3, (100, 100, 3), np.uint8)
    assert [stage.rows.input for stage in plan.stages] == [100, 49, 24]
    assert [stage.cols.input for stage in plan.stages] == [100, 33, 11]
    assert plan.output_shape == (11, 3, 3)


@pytest.mark.parametrize(
    ("shape", "alpha", "gray", "output_shape"),
    [
        ((5, 6), False, False, (5, 6)),
        ((5, 6), False, True, (5, 6)),
        ((5, 6, 1), False, True, (5, 6, 1)),
        ((5, 6, 3), False, False, (5, 6, 3)),
        ((5, 6, 3), False, True, (5, 6)),
        ((5, 6, 4), True, False, (5, 6, 4)),
        ((5, 6, 4), True, True, (5, 6, 2)),
        ((5, 6, 4), False, True, (5, 6, 4)),
        ((5, 6, 2), True, True, (5, 6, 2)),
    ],
)
def test_output_shape(shape, alpha, gray, output_shape):
    plan = plan_stack([correlation([[1, 2, 1]])] * 2, shape, np.uint8, alpha=alpha, gray=gray)
    assert plan.output_shape == output_shape


def test_an_output_without_pixels_is_an_error_that_names_the_numbers():
    with pytest.raises(SizeError) as caught:
        plan_one(correlation(np.ones((1, 9)), padding=(0, 0, 1, 2), dilation=(1, 2), stride=(1, 3)), (40, 5))
    assert str(caught.value) == (
        "output width must be at least 1, got -2: floor((5 + 1 + 2 - 2*(9 - 1) - 1) / 3) + 1; "
        "use a smaller kernel or dilation, or more padding"
    )


def test_an_error_in_a_stack_names_the_stage():
    small = correlation(np.ones((7, 1)), padding="valid", name="first")
    with pytest.raises(SizeError, match=r"^stage 2 \(second\): output height must be at least 1, got -1: "):
        plan_stack([small, replace(small, name="second")], (11, 9), np.uint8)


@given(
    size=st.integers(1, 20),
    kernel=st.integers(1, 6),
    stride=st.integers(1, 5),
    dilation=st.integers(1, 4),
    pads=st.tuples(st.integers(0, 8), st.integers(0, 8)),
)
def test_real_cells_counts_the_taps_on_the_picture(size, kernel, stride, dilation, pads):
    axis = AxisPlan(size, kernel, stride, dilation, *pads)
    padded = np.pad(np.ones(size, int), pads)
    counts = [
        int(padded[first : first + axis.span + 1 : dilation].sum())
        for first in range(0, padded.size - axis.span, stride)
    ]
    assert (real_cells(axis).tolist() if axis.output > 0 else []) == counts


@pytest.mark.parametrize("kind", ["max", "average"])
def test_a_pooling_window_of_padding_alone_is_an_error(kind):
    stage = Stage(Pooling(kind, (2, 2)), padding=(0, 0, 0, 3), stride=(1, 1))
    with pytest.raises(
        SizeError, match="every pooling window must hold at least one pixel, but output 5 along the wid"
    ):
        plan_one(stage, (5, 5))
    assert plan_one(replace(stage, padding=(1, 1, 1, 1)), (5, 5)).cols.output == 6


def test_errors_of_pooling_show_the_padding_that_was_given():
    stage = Stage(Pooling("max", (3, 3)), padding=(0, 5, 0, 5), stride=(2, 2), ceil=True)
    with pytest.raises(SizeError, match="output 3 along the height has none: padding 0 and 5, window 3; use less"):
        plan_one(stage, (6, 6))
    stage = replace(stage, padding=(0, 7, 0, 7), dilation=(2, 2))
    with pytest.raises(SizeError, match="padding 0 and 7, window 3, dilation 2; use less"):
        plan_one(stage, (8, 8))
    stage = Stage(Pooling("max", (9, 9)), padding=(0, 0, 0, 0), stride=(3, 3), ceil=True)
    with pytest.raises(SizeError, match=r"got -1: ceil\(\(2 \+ 0 \+ 0 - 1\*\(9 - 1\) - 1\) / 3\) \+ 1"):
        plan_one(stage, (2, 2))


# The algorithm -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("stage", "dtype", "algorithm"),
    [
        (correlation(kernels.gaussian(2, 2)), np.uint8, "separable"),
        (correlation(kernels.gaussian(2, 2)), np.float32, "separable"),
        (correlation(kernels.gaussian(2, 2).matrix), np.float32, "separable"),
        (correlation(kernels.box(9, 9)), np.uint8, "box"),
        (correlation(kernels.box(99, 3)), np.uint16, "box"),
        (correlation(np.ones((9, 9))), np.uint8, "box"),
        (correlation(kernels.box(9, 9)), np.float32, "separable"),
        (correlation(kernels.box(9, 9), dilation=(2, 2)), np.uint8, "separable"),
        (correlation(FULL_RANK), np.uint8, "direct"),
        (correlation(kernels.laplacian()), np.float32, "direct"),
        (correlation([[1]]), np.uint8, "direct"),
        (Stage(SOBEL), np.uint8, "gradient"),
        (Stage(Pooling("max", (3, 3))), np.uint8, "pooling"),
        (Stage(Pooling("average", (3, 3))), np.float32, "pooling"),
        (Stage(UnsharpMask(kernels.gaussian(2, 2), 1.0)), np.uint8, "separable"),
    ],
)
def test_the_cheapest_algorithm_is_chosen(stage, dtype, algorithm):
    assert plan_one(stage, dtype=dtype).algorithm == algorithm


@pytest.mark.parametrize(("cols", "algorithm"), [(5000, "multirate"), (15_000, "multirate"), (17_000, "separable")])
def test_a_moderate_gaussian_of_wide_rows_is_summed_tap_by_tap(cols, algorithm):
    stage = correlation(kernels.gaussian(4, 4))
    assert plan_stack([stage], (3000, cols, 3), np.uint8).stages[0].algorithm == algorithm


def test_large_windows_side_by_side_are_summed_along_each_axis():
    """A direct sum takes as many multiply-adds, but a table of all taps, a gigabyte for 12 million."""
    side_by_side = correlation(kernels.box(300, 400), stride=(300, 400), padding="valid")
    assert plan_one(side_by_side, (3000, 4000, 3), np.float32).algorithm == "separable"


def test_a_separable_kernel_costs_its_height_and_width():
    assert plan_one(correlation(kernels.gaussian(2, 2))).multiply_adds == 2 * 25
    assert plan_one(correlation(FULL_RANK)).multiply_adds == 8
    costs = [plan_one(correlation(kernels.box(n, n)), (2000, 2000)).multiply_adds for n in (9, 99, 999)]
    assert len(set(costs)) == 1


def test_an_algorithm_that_is_asked_for_is_used():
    for algorithm in methods(correlation(kernels.box(9, 9))):
        assert plan_one(correlation(kernels.box(9, 9)), algorithm=algorithm).algorithm == algorithm


def test_an_algorithm_that_cannot_compute_a_stage_is_an_error():
    with pytest.raises(ParameterError, match=r"algorithm must be one of direct, separable, .*, got 'quick'"):
        plan_one(correlation([[1]]), algorithm="quick")
    stack = [correlation(kernels.box(3, 3)), correlation(FULL_RANK, name="kernel")]
    with pytest.raises(ParameterError, match=r"stage 2 \(kernel\): algorithm 'separable' cannot compute this; try dir"):
        plan_stack(stack, (9, 9), np.uint8, algorithm="separable")
    for stage in (Stage(SOBEL), Stage(Pooling("max", (3, 3)))):
        for algorithm in set(ALGORITHMS) - set(methods(stage)):
            with pytest.raises(ParameterError):
                plan_one(stage, algorithm=algorithm)


def test_flip_turns_the_kernel_that_is_run():
    weights = np.arange(6).reshape(2, 3)
    plan = plan_one(correlation(weights, flip=True))
    np.testing.assert_array_equal(plan.kernel.weights, weights[::-1, ::-1])
    np.testing.assert_array_equal(plan_one(correlation(weights)).kernel.weights, weights)


# Rank one ------------------------------------------------------------------------


def is_rank_one(matrix):
    """Decide by the 2x2 minors of neighbours of a pivot, in whole numbers of any size."""
    whole = [[int(value) for value in row] for row in matrix]
    pivots = [(r, c) for r, row in enumerate(whole) for c, value in enumerate(row) if value]
    if not pivots:
        return True
    r0, c0 = pivots[0]
    return all(
        whole[r][c] * whole[r0][c0] == whole[r][c0] * whole[r0][c]
        for r in range(len(whole))
        for c in range(len(whole[0]))
    )


def has_exact_factors(kernel):
    column, row = ([int(value) for value in factor] for factor in kernel.factors)
    return [[a * b for b in row] for a in column] == [[int(value) for value in line] for line in kernel.numerators]


vectors = st.lists(st.integers(-40, 40), min_size=1, max_size=5)


def test_a_kernel_of_low_rank_has_a_product_however_much_may_be_left_out():
    """Without a product, no pass would write the sums."""
    assert len(low_rank(from_array([[1e-20, 2e-20], [3e-20, -5e-20]]), 1.0) or ()) == 1


@given(column=vectors, row=vectors, scale=st.sampled_from([1, 3, 2**20, 10**6]))
def test_products_of_whole_vectors_are_found_and_factored_exactly(column, row, scale):
    kernel = from_array(np.outer(column, row) * float(scale))
    found = factored(kernel)
    assert found.factors is not None
    assert has_exact_factors(found)
    assert found.divisor == kernel.divisor


@given(
    column=vectors,
    row=vectors,
    place=st.tuples(st.integers(0, 4), st.integers(0, 4)),
    change=st.sampled_from([1, -1, 7]),
    scale=st.sampled_from([1, 2**15, 10**9]),
)
def test_one_changed_weight_is_noticed(column, row, place, change, scale):
    matrix = np.outer(column, row) * float(scale)
    matrix[place[0] % len(column), place[1] % len(row)] += change
    found = factored(from_array(matrix))
    assert (found.factors is not None) == is_rank_one(matrix)
    assert found.factors is None or has_exact_factors(found)


@given(st.lists(st.lists(st.integers(-2, 2), min_size=3, max_size=3), min_size=2, max_size=3))
def test_small_whole_kernels_are_factored_just_when_they_have_rank_one(matrix):
    found = factored(from_array(matrix))
    assert (found.factors is not None) == is_rank_one(matrix)
    assert found.factors is None or has_exact_factors(found)


def test_the_largest_whole_weights_are_compared_exactly():
    top = 2.0**53
    assert factored(from_array([[top, top], [top, top - 1]])).factors is None
    assert has_exact_factors(factored(from_array([[top, top - 2], [top, top - 2]])))


@pytest.mark.parametrize("change", [0, 1e-6])
def test_products_of_real_vectors_are_found_too(change):
    column, row = RNG.normal(size=7), RNG.normal(size=5)
    matrix = np.outer(column, row)
    matrix[3, 3] += change
    found = factored(from_array(matrix))
    assert (found.factors is not None) == (change == 0)
    if found.factors is not None:
        np.testing.assert_allclose(np.outer(*found.factors), matrix, rtol=1e-14)


# Precision -----------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("size", [1, 9, 255, 257, 4097])
def test_whole_kernels_are_summed_without_rounding(dtype, size):
    plan = plan_one(correlation(kernels.box(size, size)), dtype=dtype)
    largest = size * size * full_scale(dtype)
    assert plan.exact
    assert plan.precision == ("float32" if largest <= 2**24 else "float64")


@pytest.mark.parametrize(
    "stage",
    [
        correlation(kernels.gaussian(1, 1)),
        correlation(kernels.box(3, 3), padding_mode="constant", padding_value=0.5),
        correlation([[2.0**46, 1.0]]),
        Stage(UnsharpMask(kernels.box(3, 3), 1.0)),
    ],
)
def test_sums_that_round_are_not_exact(stage):
    assert not plan_one(stage).exact


def test_real_pictures_are_never_exact():
    assert not plan_one(correlation(kernels.box(3, 3)), dtype=np.float32).exact


def test_quotients_by_a_mask_need_the_divisor_without_factors_in_common_with_the_weights():
    """A binomial kernel of 5x5 sums to its divisor, 256: quotients are by at most 256."""
    row = np.array([1.0, 4.0, 6.0, 4.0, 1.0])
    binomial, other = (correlation(Kernel(np.outer(row, row), divisor=divisor)) for divisor in (256.0, 257.0))
    plans = [
        plan_stack([stage], (40, 40, 4), np.uint8, alpha=True, mask="dense").stages[0] for stage in (binomial, other)
    ]
    assert [plan.precision for plan in plans] == ["float32", "float64"]


def test_whole_padding_keeps_sums_exact_and_counts_in_their_size():
    stage = correlation(kernels.box(3, 3), padding_mode="constant", padding_value=-255.0)
    assert (plan_one(stage).exact, plan_one(stage).precision) == (True, "float32")
    far = replace(stage, padding_value=2.0**30)
    assert (plan_one(far).exact, plan_one(far).precision) == (True, "float64")


def test_long_sums_of_real_pictures_are_kept_in_double_precision():
    precisions = [plan_one(correlation(RNG.normal(size=(n, n))), dtype=np.float32).precision for n in (3, 31)]
    assert precisions == ["float32", "float64"]


def test_large_gains_are_summed_in_double_precision():
    precisions = [plan_one(correlation(kernels.gaussian(1, 1), scale=scale)).precision for scale in (1, 1e6)]
    assert precisions == ["float32", "float64"]


@pytest.mark.parametrize(("stages", "out_dtype"), [(1, np.float32), (1, np.uint16), (2, np.uint8)])
def test_a_finer_result_is_computed_as_finely(stages, out_dtype):
    blur = Stage(Correlation(kernels.gaussian(20, 20)))
    coarse, fine = (
        plan_stack([blur] * count, (300, 300, 3), np.uint8, out_dtype=dtype).stages[0].rates[0].interpolation_taps
        for count, dtype in ((1, np.uint8), (stages, out_dtype))
    )
    assert fine > coarse


@pytest.mark.parametrize(("dtype", "full"), [(np.uint8, 255), (np.uint16, 65535), (np.float32, 1)])
def test_full_scale(dtype, full):
    assert full_scale(dtype) == full


# Memory --------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize(
    "stage",
    [
        correlation(FULL_RANK),
        correlation(RNG.normal(size=(31, 31))),
        correlation(RNG.normal(size=(1001, 1001))),
        correlation(kernels.gaussian(4, 4)),
        correlation(kernels.gaussian(100, 100)),
        correlation(kernels.gaussian(1000, 1000)),
        correlation(kernels.gaussian(1000, 1000), stride=(2, 2)),
        correlation(kernels.box(101, 101)),
        correlation(kernels.box(2999, 2999)),
        correlation(np.ones((12001, 1))),
        correlation(np.ones((1, 12001))),
        Stage(SOBEL),
        Stage(UnsharpMask(kernels.gaussian(2, 2), 1.0)),
        Stage(Pooling("max", (3, 3)), stride=(2, 2), padding=(1, 1, 1, 1)),
        Stage(Pooling("average", (300, 300)), stride=(300, 300), padding="valid"),
    ],
)
def test_scratch_of_a_large_picture_is_bounded(stage, dtype):
    plan = plan_one(stage, (3000, 4000, 3), dtype)
    assert plan.scratch_bytes < 64e6


def test_scratch_grows_with_the_kernel_until_strips_share_it():
    stages = [correlation(kernels.gaussian(sigma, sigma)) for sigma in (1, 4, 20)]
    scratch = [plan_one(stage, (3000, 4000, 3), algorithm="separable").scratch_bytes for stage in stages]
    assert scratch[0] < scratch[1]
    assert max(scratch) < PERSISTENT_BYTES


def test_a_preview_sums_tap_by_tap_in_float32():
    stages = stack.stages(["gaussian:2", "sobel:magnitude"])
    plan = plan_stack(stages, (99, 99), np.float32)
    assert [stage.precision for stage in plan.stages] == ["float64", "float64"]
    assert [stage.precision for stage in for_preview(plan).stages] == ["float32", "float64"]


def test_a_preview_blurs_bytes_as_for_a_result_of_bytes():
    stages = stack.stages(["gaussian:4.3", "sobel:magnitude"])
    plan = plan_stack(stages, (999, 999), np.uint8)
    alone = plan_stack(stages[:1], (999, 999), np.uint8)
    assert (plan.stages[0].algorithm, alone.stages[0].algorithm) == ("separable", "multirate")
    blurred = replace(alone.stages[0], result=plan.stages[0].result)
    assert for_preview(plan).stages == (blurred, plan.stages[1])
    for unlike in (plan_stack(stages, (9, 9), np.uint16), alone, plan_stack(stages, (9, 9), np.uint8, white=99)):
        assert for_preview(unlike) == unlike


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    "stage",
    [
        *stack.stages(["gaussian:9", "gaussian:20,stride=2", "unsharp:9"]),
        correlation(np.random.default_rng(0).random((70, 70))),
    ],
    ids=lambda stage: stage.name or "full rank",
)
def test_the_plan_for_infinities_is_that_of_the_method_that_is_named(stage, dtype):
    plan = plan_one(stage, (500, 400, 3), dtype)
    local = for_any_numbers(plan)
    named = plan_one(stage, (500, 400, 3), dtype, algorithm=local.algorithm)
    assert local.algorithm in ("direct", "separable")
    for field in ("multiply_adds", "scratch_bytes", "block_rows", "precision", "tap_rows"):
        assert getattr(local, field) == getattr(named, field), field
