import gc
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from planned import methods
from samples import byte_noise

from convfilter.errors import ParameterError
from convfilter.executor.run import may_restart, run_array
from convfilter.filters import kernels, stack
from convfilter.filters.kernel import from_array
from convfilter.filters.operators import Correlation, Gradient, Pooling, UnsharpMask
from convfilter.filters.stage import Stage
from convfilter.planning import plan_stack
from convfilter.planning.methods import chosen_method
from convfilter.precompile.variants import cache_warm
from convfilter.record import replace

RNG = np.random.default_rng(0)
SOBEL = Gradient(kernels.derivative("sobel", "x"), kernels.derivative("sobel", "y"))
FULL_RANK = from_array(RNG.integers(-9, 9, (5, 7)))

OPERATORS = {
    "full rank": Correlation(FULL_RANK),
    "real": Correlation(from_array(RNG.normal(size=(4, 3)))),
    "laplacian": Correlation(kernels.laplacian()),
    "gaussian": Correlation(kernels.gaussian(2, 1)),
    "wide gaussian": Correlation(kernels.gaussian(12, 30)),
    "box": Correlation(kernels.box(7, 4)),
    "sobel": SOBEL,
    "unsharp": UnsharpMask(kernels.gaussian(1, 1), 1.5),
    "max": Pooling("max", (3, 4)),
    "average": Pooling("average", (3, 4)),
}
every_operator = pytest.mark.parametrize("operator", OPERATORS.values(), ids=OPERATORS)


def stage_of(operator, **keywords):
    if isinstance(operator, Pooling):
        keywords |= {"padding": (1, 1, 2, 1)}
    return Stage(operator, **keywords)


# The same bytes ------------------------------------------------------------------


@every_operator
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_the_number_of_threads_does_not_change_a_byte(operator, dtype, monkeypatch):
    monkeypatch.setattr("convfilter.engine.schedule.WORTH_A_THREAD", 0)
    image = byte_noise((330, 101, 3), dtype)
    for stage in (stage_of(operator), stage_of(operator, stride=(2, 3), map="stretch")):
        plan = plan_stack([stage], image.shape, dtype)
        results = [run_array(plan, image, threads=threads) for threads in (1, 2, 5)]
        assert len({result.pixels.tobytes() for result in results}) == 1
        assert len({result.clipped for result in results}) == 1


@every_operator
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize("keywords", [{}, {"alpha": True}, {"alpha": True, "gray": True}], ids=str)
def test_where_the_picture_is_cut_does_not_show(operator, dtype, keywords):
    image = byte_noise((201, 50, 4), dtype)
    full = 1 if dtype == "float32" else np.iinfo(dtype).max
    for stage in (stage_of(operator), stage_of(operator, stride=(3, 2), dilation=(1, 2))):
        plan = plan_stack([stage], image.shape, dtype, **keywords)
        whole = run_array(plan, image).pixels
        planned = plan.stages[0]
        unit = 1 if planned.block_rows else chosen_method(planned).unit_rows(planned)
        for rows in (1, 70, 1000):
            cut = replace(plan, stages=(replace(planned, block_rows=-(-rows // unit) * unit),))
            result = run_array(cut, image).pixels
            if plan.stages[0].exact:
                assert result.tobytes() == whole.tobytes()
            else:  # sums may be added up in another order, and round to the other neighbour of a tie
                difference = np.abs(result.astype(float) - whole)
                assert difference.max() <= (2e-5 * full if dtype == "float32" else 1)
                assert np.mean(difference > 1e-6 * full) < 0.01


@every_operator
@pytest.mark.parametrize("shape", [(3, 9000, 1), (9000, 3, 1), (2, 3000, 5), (5, 6, 2500)])
def test_one_row_or_channel_alone_gives_what_it_gives_among_others(operator, shape):
    """Long rows and many channels are cut into tiles: the seams must not show."""
    image = byte_noise(shape, "uint8")
    stage = stage_of(operator, padding_mode="reflect")
    whole = run_array(plan_stack([stage], shape, "uint8"), image).pixels
    channel = shape[2] // 2
    alone = image[:, :, channel]
    np.testing.assert_array_equal(
        run_array(plan_stack([stage], alone.shape, "uint8"), alone).pixels, whole[:, :, channel]
    )
    turned = np.ascontiguousarray(image.swapaxes(0, 1))
    if (
        isinstance(operator, Correlation)
        and operator.kernel.numerators is not None
        and operator.kernel.has_integer_numerators
    ):
        transposed = stage_of(Correlation(from_array(operator.kernel.weights.T)), padding_mode="reflect")
        again = run_array(plan_stack([transposed], turned.shape, "uint8"), turned).pixels
        np.testing.assert_array_equal(again.swapaxes(0, 1), whole)


@given(
    shape=st.tuples(st.integers(1, 40), st.integers(1, 40), st.integers(1, 4)),
    size=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    stride=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    dilation=st.sampled_from([(1, 1), (1, 1), (2, 3)]),
    mode=st.sampled_from(["edge", "constant", "reflect", "wrap"]),
    dtype=st.sampled_from(["uint8", "uint16"]),
)
def test_all_ways_to_compute_a_box_agree(shape, size, stride, dilation, mode, dtype):
    image = byte_noise(shape, dtype)
    stage = Stage(Correlation(kernels.box(*size)), stride=stride, dilation=dilation, padding_mode=mode)
    names = methods(stage)
    assert {"direct", "separable"} <= set(names)
    results = {run_array(plan_stack([stage], shape, dtype, algorithm=name), image).pixels.tobytes() for name in names}
    assert len(results) == 1


@pytest.mark.parametrize("mode", ["edge", "constant", "reflect", "wrap"])
@pytest.mark.parametrize("shape", [(2, 8300, 1), (6, 8300, 1), (19, 2750, 3)])
def test_boxes_of_wide_rows_which_are_summed_two_at_a_time(shape, mode):
    image = byte_noise(shape, "uint8")
    stage = Stage(Correlation(kernels.box(3, 3)), padding_mode=mode)
    by_box, by_taps = (
        run_array(plan_stack([stage], shape, "uint8", algorithm=name), image).pixels for name in ("box", "direct")
    )
    np.testing.assert_array_equal(by_box, by_taps)


def test_means_of_dilated_windows_of_wide_rows():
    image = byte_noise((19, 2750, 3), "uint8")
    stage = Stage(Pooling("average", (3, 3)), dilation=(2, 3), stride=(1, 1), padding=(0, 0, 0, 0))
    rows, cols = 19 - 4, 2750 - 6
    total = sum(image[2 * i : 2 * i + rows, 3 * j : 3 * j + cols].astype(int) for i in range(3) for j in range(3))
    pixels = run_array(plan_stack([stage], image.shape, "uint8"), image).pixels
    np.testing.assert_array_equal(pixels, np.rint(total / 9))


# Notes and errors ------------------------------------------------------------------


@pytest.mark.parametrize("stride", [1, 3])
def test_transforms_of_several_tiles_give_what_sums_give(stride):
    """A tile gives only the rows that it was made for: rows beyond are wrapped."""
    weights = np.random.default_rng(1).standard_normal((23, 31))
    stage = Stage(Correlation(from_array(weights / np.abs(weights).sum())), stride=(stride, stride))
    image = np.random.default_rng(2).integers(0, 256, (1001, 700), np.uint8)
    by_transform, by_sums = (
        run_array(
            plan_stack([stage], image.shape, image.dtype, out_dtype=np.float32, algorithm=method),
            image,
            out_dtype=np.float32,
        )
        for method in ("fourier", "direct")
    )
    assert np.abs(by_transform.pixels - by_sums.pixels).max() < 1e-3


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("dtype", ["uint8", "float32"])
@pytest.mark.parametrize(
    ("window", "dilation", "goes_down_columns"),
    [
        ((2, 1), (1, 1), True),
        ((5, 9), (1, 1), True),
        ((30, 7), (3, 2), True),
        ((57, 3), (1, 4), True),
        ((61, 61), (1, 1), False),
        ((9, 200), (2, 2), False),
    ],
)
def test_transforms_down_columns_give_what_sums_give(window, dilation, goes_down_columns, channels, dtype):
    """Several blocks of rows and strips of columns, the last of each cut short; spans from 1 to 86 rows."""
    weights = np.random.default_rng(1).standard_normal(window)
    weights.flat[:2] = np.abs(weights.flat[:2]) * (1, -1)  # means of real samples take other methods
    stage = Stage(Correlation(from_array(weights / np.abs(weights).sum())), dilation=dilation, padding_mode="reflect")
    image = np.random.default_rng(2).integers(0, 256, (245, 1800, channels), np.uint8).astype(dtype)
    plans = [
        plan_stack([stage], image.shape, dtype, out_dtype=np.float32, algorithm=method)
        for method in ("fourier", "direct")
    ]
    assert (plans[0].stages[0].sides[1] == 0) == goes_down_columns
    by_transform, by_sums = (run_array(plan, image, out_dtype=np.float32).pixels for plan in plans)
    assert np.abs(by_transform - by_sums).max() < 2e-4


@pytest.mark.parametrize("tone_map", ["clip", "abs", "offset", "stretch"])
@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_clipped_samples_are_counted(tone_map, dtype):
    image = byte_noise((50, 60, 3), dtype)
    full = np.iinfo(dtype).max
    stage = Stage(Correlation(FULL_RANK), map=tone_map)
    result = run_array(plan_stack([stage], image.shape, dtype), image)
    raw = run_array(plan_stack([replace(stage, map=None)], image.shape, dtype), image, out_dtype=np.float32).pixels
    values = {"clip": raw, "abs": np.abs(raw), "offset": np.rint(raw + np.float64(full / 2)), "stretch": raw * 0}
    expected = np.count_nonzero((values[tone_map] < 0) | (values[tone_map] > full))
    assert result.clipped == expected
    assert (expected > 0) == (tone_map != "stretch")
    assert result.samples == image.size


def test_alpha_is_not_counted_as_clipped():
    image = byte_noise((50, 60, 4), "uint8")
    image[..., 3] = 255
    plan = plan_stack([Stage(Correlation(from_array([[0.5]])), offset=0.25)], image.shape, "uint8", alpha=True)
    assert run_array(plan, image).clipped == 0


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("name", ["unsharp:1", "scale:9", "bias:1", "normalize", "sobel:orientation", "layer"])
def test_samples_that_are_not_finite_cause_no_warnings(name, threads, tmp_path):
    """Warnings are errors here; on a command line they would be lines of noise."""
    image = np.ones((300, 90, 3), np.float32)
    image[40, 30], image[200, 50], image[201, 51], image[250, 60] = np.inf, -np.inf, np.nan, 3e38
    if name == "layer":
        np.savez(tmp_path / "layer.npz", weight=np.random.default_rng(0).standard_normal((2, 3, 3, 3)))
        name = f"layer:{tmp_path / 'layer.npz'}"
    for specs in ([name], ["box:3", name], [name, "box:3"]):
        plan = plan_stack(stack.stages(specs), image.shape, "float32")
        result = run_array(plan, image, threads=threads).pixels
        assert not np.isfinite(result[30:260, 20:70]).all()
        assert np.isfinite(result[280:]).all()


def test_an_image_of_another_shape_or_type_is_refused():
    plan = plan_stack([Stage(Correlation(FULL_RANK))], (9, 8), np.uint8)
    with pytest.raises(ParameterError, match=r"the plan is for a uint8 array of shape \(9, 8\), got uint8 \(8, 9\)"):
        run_array(plan, np.zeros((8, 9), np.uint8))
    with pytest.raises(ParameterError, match=r"the plan is for a uint8 array of shape \(9, 8\), got uint16 \(9, 8\)"):
        run_array(plan, np.zeros((9, 8), np.uint16))


@pytest.mark.parametrize("threads", [0, -2])
def test_fewer_threads_than_one_are_refused(threads):
    plan = plan_stack([Stage(Correlation(FULL_RANK))], (9, 8), np.uint8)
    with pytest.raises(ParameterError, match=f"threads must be at least 1, got {threads}"):
        run_array(plan, np.zeros((9, 8), np.uint8), threads=threads)


@pytest.mark.parametrize(
    ("dtype", "target", "factor"), [("uint8", "uint16", 257), ("uint16", "uint8", 1 / 257), ("uint8", "uint8", 1)]
)
def test_a_change_of_depth_keeps_white_white(dtype, target, factor):
    image = np.arange(0, np.iinfo(dtype).max + 1, np.iinfo(dtype).max // 255).astype(dtype).reshape(16, 16)
    result = run_array(
        plan_stack([Stage(Correlation(kernels.identity()))], image.shape, dtype), image, out_dtype=target
    )
    assert result.pixels.dtype == target
    np.testing.assert_array_equal(result.pixels, np.rint(image.astype(float) * factor))


# Memory ------------------------------------------------------------------------

TWELVE_MEGAPIXELS = (3000, 4000, 3)
#: Limit of a run's working memory for any kernel: bytes.
LIMIT = 64e6


@pytest.fixture(scope="module")
def large_image():
    for _loop in cache_warm():  # a compiler would take memory of its own
        pass
    row = np.random.default_rng(0).integers(0, 256, TWELVE_MEGAPIXELS[1:]).astype(np.uint8)
    return np.broadcast_to(row, TWELVE_MEGAPIXELS).copy()


def working_memory(stage, image):
    """Return the peak memory of planning and running beyond input and output."""
    gc.collect()
    tracemalloc.start()
    try:
        pixels = run_array(plan_stack([stage], image.shape, image.dtype), image, threads=2).pixels
        return tracemalloc.get_traced_memory()[1] - pixels.nbytes
    finally:
        tracemalloc.stop()


NOISE = RNG.normal(size=(31, 31))
LARGE = {
    "direct": Stage(Correlation(kernels.laplacian())),
    "direct, strided": Stage(Correlation(from_array(NOISE[:5, :5])), stride=(8, 8)),
    "separable": Stage(Correlation(kernels.gaussian(4, 4))),
    "multirate": Stage(Correlation(kernels.gaussian(40, 30))),
    "separable, 1201 taps, strided": Stage(Correlation(kernels.gaussian(100, 100, 6)), stride=(32, 32)),
    "separable, 12001 taps, strided": Stage(Correlation(kernels.gaussian(1000, 1000, 6)), stride=(500, 500)),
    "multirate, 3601 taps": Stage(Correlation(kernels.gaussian(300, 300)), stride=(9, 9)),
    "multirate, strided": Stage(Correlation(kernels.gaussian(1000, 1000)), stride=(5, 5)),
    "box": Stage(Correlation(kernels.box(101, 101))),
    "box, strided": Stage(Correlation(kernels.box(101, 101)), stride=(50, 50)),
    "sobel": Stage(SOBEL),
    "unsharp": Stage(UnsharpMask(kernels.gaussian(1, 1), 1.0)),
    "stretch": Stage(Correlation(kernels.laplacian()), map="stretch"),
    "max": Stage(Pooling("max", (3, 3)), stride=(2, 2), padding=(1, 1, 1, 1)),
    "average": Stage(Pooling("average", (300, 300)), stride=(300, 300), padding="valid"),
}


@pytest.mark.parametrize("stage", LARGE.values(), ids=LARGE)
def test_working_memory_is_bounded(stage, large_image):
    assert working_memory(stage, large_image) < LIMIT


LARGE_SPANS = {
    "direct": (Stage(Correlation(from_array(RNG.normal(size=(101, 25)))), stride=(99, 99)), TWELVE_MEGAPIXELS),
    "box": (
        Stage(Correlation(kernels.box(101, 101)), stride=(50, 50), padding_mode="constant", padding_value=0.5),
        TWELVE_MEGAPIXELS,
    ),
    "panorama": (Stage(Correlation(kernels.gaussian(1, 1))), (48, 250_000, 3)),
    "panorama, multirate": (Stage(Correlation(kernels.gaussian(8, 8))), (300, 40_000, 3)),
}


NARROW = {
    "direct": Stage(Correlation(from_array(RNG.normal(size=(151, 151)))), stride=(100, 100)),
    "separable, strided": Stage(Correlation(kernels.gaussian(30, 30)), stride=(100, 100)),
    "box, dilated": Stage(Correlation(kernels.box(31, 31)), dilation=(20, 20)),
}


@pytest.mark.parametrize("stage", NARROW.values(), ids=NARROW)
def test_working_memory_is_bounded_for_kernels_far_wider_than_the_picture(stage, large_image):
    """The size of a tile depends on the samples that it loads, which may be many more than the picture's width."""
    assert working_memory(stage, large_image.reshape(-1, 3, 3)[:40_000]) < LIMIT


def test_working_memory_is_bounded_for_tall_kernels_on_wide_pictures(large_image):
    """Strips of one width share the tables that say where taps find their rows."""
    for stage in (
        Stage(UnsharpMask(kernels.gaussian(30, 30), 1.0)),
        Stage(Correlation(from_array(RNG.normal(size=(129, 5)))), padding=(66, 66, 0, 0)),
    ):
        assert working_memory(stage, large_image.reshape(-1)[:2_400_000].reshape(3, -1, 1)) < LIMIT


@pytest.mark.parametrize(("stage", "shape"), LARGE_SPANS.values(), ids=LARGE_SPANS)
def test_working_memory_is_bounded_for_large_strides_and_wide_pictures(stage, shape, large_image):
    assert working_memory(stage, large_image.reshape(shape)) < LIMIT


@pytest.mark.parametrize(
    ("specs", "dtype", "expected"),
    [
        (["gaussian:20"], "uint8", False),
        (["gaussian:20"], "float32", True),
        (["box:3"], "float32", False),
        (["gaussian:20", "sobel:magnitude", "gaussian:20"], "uint16", False),
        (["scale:1e30", "scale:1e30", "gaussian:20"], "uint8", False),  # in float64, tap by tap
        (["gaussian:20", "scale:1e30", "scale:1e30"], "uint8", False),
        (["sigmoid", "gaussian:20"], "uint8", True),
    ],
)
def test_only_samples_that_may_be_infinite_are_read_again(specs, dtype, expected):
    plan = plan_stack(stack.stages(specs), (64, 64, 3), np.dtype(dtype))
    assert may_restart(plan) is expected


def test_a_transform_of_real_samples_may_begin_again():
    stages = [stage_of(OPERATORS["real"]), stage_of(OPERATORS["real"])]
    assert may_restart(plan_stack(stages, (64, 64, 3), np.dtype("uint8"), algorithm="fourier"))
    assert not may_restart(plan_stack(stages[:1], (64, 64, 3), np.dtype("uint8"), algorithm="fourier"))
