"""Windows that share the rows they read among four outputs."""

import numpy as np
import pytest

from convfilter.engine.sums import StepOutput, Taps, WindowSums, sum_calls


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    ("rows", "cols", "stride", "shares"),
    [(7, 1, 1, True), (64, 1, 1, True), (66, 1, 1, True), (131, 1, 1, True), (149, 1, 8, True), (5, 5, 1, True),
     (9, 21, 1, True), (9, 22, 1, False), (9, 7, 3, True), (21, 1, 7, True), (20, 1, 7, False)],
)  # fmt: skip
def test_rows_that_are_shared_give_the_same_sums(dtype, rows, cols, stride, shares):
    """Partial sums begin with each row's first tap; an infinity or NaN stays in the windows that hold it."""
    rng = np.random.default_rng(rows * cols)
    length = 300 + 7
    pitch = length + cols - 1
    tile = rng.random((rows + 3 * stride) * pitch).astype(dtype)
    tile[rng.integers(0, tile.size, 6)] = np.nan, np.inf, -np.inf, np.nan, np.inf, 3e38
    taps = Taps.of(rng.random((rows, cols)) - 0.5, np.arange(cols))
    table = ((np.arange(4)[:, np.newaxis] * stride + np.arange(rows)) * pitch)[np.newaxis]
    window = WindowSums(taps, rows, stride, dtype, finite=False)
    expected, found = np.empty((2, 4 * length), dtype)
    for call in sum_calls(tile, table, taps, StepOutput(expected, length, length)):
        call()
    calls = window.calls(tile, table, StepOutput(found, length, length))
    for call in calls:
        call()
    assert (calls[0].loop.function == "correlate_four") == shares
    np.testing.assert_array_equal(found, expected)
    assert np.isfinite(expected).any() and not np.isfinite(expected).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("count", [3, 64, 65, 90, 150])
def test_sums_along_a_row_have_the_same_bits_in_strips_of_any_width(dtype, count):
    rng = np.random.default_rng(count)
    length = 500
    tile = rng.random(4 * (length + count)).astype(dtype)
    taps = Taps.along(np.arange(count), rng.random(count) - 0.5)
    table = (np.arange(4) * (length + count)).reshape(1, 4, 1)

    def sums(first, last):
        out = np.empty((4, last - first), dtype)
        for call in sum_calls(tile, table + first, taps, StepOutput(out.reshape(-1), last - first, last - first)):
            call()
        return out

    whole = sums(0, length)
    for width in (1, 17, 60, 112, 160, 250):
        for first in range(0, length, width):
            last = min(first + width, length)
            np.testing.assert_array_equal(sums(first, last), whole[:, first:last])


def test_a_weight_of_zero_within_a_window_of_real_samples_is_left_out():
    taps = Taps.down(np.array([1.0, 2.0, 0.0, 2.0, 1.0]))
    tile, table = np.full(8 * 40, np.nan, np.float32), np.arange(4)[:, np.newaxis] + np.arange(5)
    tile[: 2 * 40] = tile[3 * 40 : 5 * 40] = 1
    sums = np.empty(4 * 40, np.float32)
    for call in WindowSums(taps, 5, 1, np.float32, finite=False).calls(
        tile, table[np.newaxis] * 40, StepOutput(sums, 40, 40)
    ):
        call()
    assert (sums[:40] == 6).all() and np.isnan(sums[40:]).all()
