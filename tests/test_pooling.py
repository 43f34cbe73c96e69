"""The rows that running extremes read, and their blocks: cases too large for the contract's pictures."""

import numpy as np
import pytest
import reference
from hypothesis import example, given
from hypothesis import strategies as st

import convfilter
from convfilter.methods.extremes import nearest_cells
from convfilter.planning import AxisPlan
from convfilter.planning.arithmetic import real_cells
from convfilter.planning.methods.extremes import blocks_of, comparisons, pass_rows_of

AXES = st.builds(
    AxisPlan, st.integers(1, 40), st.integers(1, 200), st.integers(1, 9), st.integers(1, 5), *[st.integers(0, 60)] * 2
)


def windows(axis):
    """Return the padded places of each window: (outputs, taps)."""
    return np.arange(axis.output)[:, np.newaxis] * axis.stride + np.arange(axis.kernel) * axis.dilation


@given(AXES.filter(lambda axis: axis.output > 0 and real_cells(axis).min() > 0))
def test_nearest_cells_of_a_window_are_its_cells_on_the_picture(axis):
    cells = nearest_cells(axis)
    for places in windows(axis):
        on_picture = places - axis.before
        own = on_picture[(on_picture >= 0) & (on_picture < axis.input)]
        assert set(cells[places]) == set(own)


@example(AxisPlan(31, 9, 100, 7, 56, 56))
@given(AXES.filter(lambda axis: axis.output > 0 and real_cells(axis).min() > 0))
def test_no_place_reads_beyond_the_loaded_samples(axis):
    """Nor do places between the taps of a dilated window, which the loop fills from loaded samples."""
    assert nearest_cells(axis).min() >= 0
    assert nearest_cells(axis).max() < min(axis.input, axis.padded - axis.before)


@given(AXES.filter(lambda axis: axis.output > 0))
def test_the_cells_on_the_picture_are_counted(axis):
    places = windows(axis) - axis.before
    assert np.array_equal(real_cells(axis), ((places >= 0) & (places < axis.input)).sum(axis=1))


@given(AXES.filter(lambda axis: axis.output > 0))
def test_blocks_are_nearly_all_of_a_window(axis):
    block, blocks = blocks_of(axis)
    if blocks:
        assert 0 <= axis.kernel - block * blocks < blocks
        assert block >= blocks or axis.kernel > 1000
    assert 1 <= pass_rows_of(axis) <= axis.output


def test_the_cost_of_a_window_grows_with_its_logarithm():
    costs = [comparisons(*[AxisPlan(3000, side, 1, 1, side // 2, side // 2)] * 2) for side in (5, 31, 101, 1001)]
    assert costs == sorted(costs) and costs[-1] < 3 * costs[0]


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("size", [(33, 1), (100, 7), (130, 130)])
@pytest.mark.parametrize("stride", [1, (2, 3)])
def test_tall_windows_span_several_blocks(dtype, size, stride):
    image = np.random.default_rng(4).integers(0, 250, (140, 150, 2)).astype(dtype)
    spans = np.lib.stride_tricks.sliding_window_view(image, size, axis=(0, 1))
    down, right = stride if isinstance(stride, tuple) else (stride, stride)
    kept = spans[::down, ::right]
    assert np.array_equal(convfilter.max_pool(image, size, stride), kept.max(axis=(-1, -2)))
    assert np.array_equal(convfilter.min_pool(image, size, stride), kept.min(axis=(-1, -2)))


def test_the_last_of_equal_samples_wins():
    """+0 and -0 are equal: which one is the result must not depend on the blocks of the window."""
    image = -np.zeros((90, 100), np.float32)
    image[::2, ::3] = 0.0
    for size in (2, 3, 5, 33, (70, 64)):
        rows, cols = (size, size) if isinstance(size, int) else size
        last = image[rows - 1 :, cols - 1 :]
        for pool in (convfilter.max_pool, convfilter.min_pool):
            assert np.array_equal(np.signbit(pool(image, size, 1)), np.signbit(last))


def test_infinities_of_both_signs_and_nan_stay_in_their_windows():
    image = np.random.default_rng(5).random((60, 70)).astype(np.float32)
    image[10, 20], image[40, 30], image[50, 60] = np.inf, -np.inf, np.nan
    spans = np.lib.stride_tricks.sliding_window_view(image, (9, 35))
    assert np.array_equal(convfilter.max_pool(image, (9, 35), 1), spans.max(axis=(-1, -2)), equal_nan=True)
    assert np.array_equal(convfilter.min_pool(image, (9, 35), 1), spans.min(axis=(-1, -2)), equal_nan=True)


@pytest.mark.parametrize("side", [180, 190])
def test_sums_on_both_sides_of_31_bits(side):
    image = 65535 - np.random.default_rng(8).integers(0, 9, (200, 203)).astype(np.uint16)
    whole = np.pad(image.astype(np.int64).cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    sums = whole[side:, side:] - whole[:-side, side:] - whole[side:, :-side] + whole[:-side, :-side]
    assert (sums.max() > 2**31) == (side == 190)
    assert np.array_equal(convfilter.average_pool(image, side, 1), np.rint(sums / side**2))


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
@pytest.mark.parametrize("size", [(3, 4), (70, 2), (2, 70), (40, 33)])
@pytest.mark.parametrize("geometry", [{"stride": 1}, {"stride": (2, 3), "padding": 1}])
def test_means_of_real_samples_and_of_blended_ones(dtype, size, geometry):
    """By taps and by blocks; infinities stay in their windows."""
    image = np.random.default_rng(7).integers(0, 250, (140, 150, 4)).astype(dtype)
    image[..., 3] = 255 if dtype == np.uint8 else 1
    want = reference.average_pool(image.astype(np.float64), size, **geometry)
    got = convfilter.average_pool(image, size, dtype=np.float32, **geometry)
    assert np.all(np.abs(got - want) <= 2e-6 * want)
    blended = convfilter.average_pool(image, size, dtype=np.float32, alpha=True, **geometry)
    assert np.all(np.abs(blended - want) <= 4e-6 * want)
    if dtype == np.float32:
        image[60, 70, 0], image[5, 5, 1] = np.inf, np.nan
        with np.errstate(invalid="ignore"):
            want = reference.average_pool(image.astype(np.float64), size, **geometry)
        got = convfilter.average_pool(image, size, **geometry)
        assert np.array_equal(np.isfinite(got), np.isfinite(want))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_tall_windows_of_transparent_and_of_scaled_pictures(dtype):
    full = np.iinfo(dtype).max
    image = np.random.default_rng(6).integers(0, full, (90, 80, 4)).astype(dtype)
    image[..., 3] = full
    for pool in (convfilter.max_pool, convfilter.min_pool):
        opaque = pool(image[..., :3], (40, 7), (1, 2), padding=(20, 3), dilation=(2, 1))
        blended = pool(image, (40, 7), (1, 2), padding=(20, 3), dilation=(2, 1), alpha=True)
        assert np.array_equal(blended[..., :3], opaque) and (blended[..., 3] == full).all()
        real = pool(image[..., :3], (40, 7), (1, 2), padding=(20, 3), dilation=(2, 1), dtype=np.float32)
        assert np.array_equal(real, opaque.astype(np.float32))


def test_extremes_of_16_bit_luminance_are_exact():
    """A thousand times the luminance has 26 bits, more than float32 holds."""
    image = np.random.default_rng(5).integers(0, 65536, (40, 52, 3), np.uint16)
    luminance = image.astype(np.float64) @ (299, 587, 114) / 1000
    expected = luminance.reshape(20, 2, 26, 2).max(axis=(1, 3))
    got = convfilter.max_pool(image, 2, gray=True, dtype=np.float32)
    np.testing.assert_array_equal(got, expected.astype(np.float32))
