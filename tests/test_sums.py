"""Windows that share the rows they read among four outputs."""

import numpy as np
import pytest

from convfilter.engine.sums import StepOutput, Taps, Window, sum_call


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
    window = Window(taps, rows, stride, dtype, finite=False)
    expected, found = np.empty((2, 4 * length), dtype)
    sum_call(tile, table, taps, StepOutput(expected, length, length))()
    calls = window.calls(tile, table, StepOutput(found, length, length))
    for call in calls:
        call()
    assert (calls[0].loop.function == "correlate_four") == shares
    np.testing.assert_array_equal(found, expected)
    assert np.isfinite(expected).any() and not np.isfinite(expected).all()


def test_a_weight_of_zero_within_a_window_of_real_samples_is_left_out():
    taps = Taps.down(np.array([1.0, 2.0, 0.0, 2.0, 1.0]))
    tile, table = np.full(8 * 40, np.nan, np.float32), np.arange(4)[:, np.newaxis] + np.arange(5)
    tile[: 2 * 40] = tile[3 * 40 : 5 * 40] = 1
    sums = np.empty(4 * 40, np.float32)
    for call in Window(taps, 5, 1, np.float32, finite=False).calls(
        tile, table[np.newaxis] * 40, StepOutput(sums, 40, 40)
    ):
        call()
    assert (sums[:40] == 6).all() and np.isnan(sums[40:]).all()
