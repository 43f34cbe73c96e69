"""Lane-interleaved rows: the same bytes as natural rows, which other tests compare with the oracle."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import convfilter
from convfilter.filters import kernels
from convfilter.filters.operators import Correlation
from convfilter.filters.stage import Stage
from convfilter.methods import interleaved
from convfilter.planning import plan_cache, plan_stack


@st.composite
def pictures(draw):
    """Make whole-number pictures wide enough to interleave, of any kind of content."""
    channels = draw(st.integers(1, 4))
    rows = draw(st.integers(8, 90))
    cols = draw(st.integers(1100 // channels, 3000 // channels))
    dtype = draw(st.sampled_from([np.uint8, np.uint16]))
    full = np.iinfo(dtype).max
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    if draw(st.booleans()):
        return rng.integers(0, full, (rows, cols, channels), dtype, endpoint=True)
    return rng.choice(np.array([0, 1, full], dtype), (rows, cols, channels))


@st.composite
def weights(draw):
    """Make a column or a row of positive weights, perhaps with zeros among them."""
    taps = draw(st.integers(7, 40))
    drawn = np.random.default_rng(draw(st.integers(0, 99))).random(taps) + 0.01
    drawn[1 : -1 : draw(st.integers(1, 4))] *= draw(st.sampled_from([0, 1]))
    return drawn / drawn.sum()


def geometries():
    mode = st.sampled_from(["edge", "reflect", "symmetric", "wrap", "constant"])
    padding = st.sampled_from(["same", "full", "valid"])
    modes = st.one_of(mode, st.tuples(mode, mode))
    return st.fixed_dictionaries({"padding_mode": modes, "padding": padding, "threads": st.integers(1, 3)})


def both(image, kernel, monkeypatch, **keywords):
    """Filter in interleaved and in natural rows; return both results, and whether rows were interleaved."""
    made = []
    make = interleaved.strips
    with monkeypatch.context() as patch:
        patch.setattr(interleaved, "strips", lambda *which: made.append(make(*which)) or made[-1])
        plan_cache.forget()
        first = convfilter.convolve(image, kernel, algorithm="separable", **keywords)
        patch.setattr(interleaved, "strips", lambda *_: None)
        plan_cache.forget()
        second = convfilter.convolve(image, kernel, algorithm="separable", **keywords)
    return first, second, any(strips is not None for strips in made)


@settings(max_examples=20)
@given(pictures(), weights(), weights(), geometries(), st.sampled_from([0, 7, 0.5]))
def test_interleaved_rows_give_the_same_bytes(image, column, row, geometry, beyond):
    with pytest.MonkeyPatch.context() as patch:
        constant = "constant" in geometry["padding_mode"]
        if constant:
            geometry["padding_value"] = beyond
        if geometry["padding"] == "valid" and image.shape[0] < column.size + 8:
            geometry["padding"] = "same"
        first, second, interleaves = both(image, np.outer(column, row), patch, **geometry)
        np.testing.assert_array_equal(first, second)
        length = (image.shape[1] - row.size + 1) * image.shape[2]
        assert interleaves or (constant and beyond % 1) or (geometry["padding"] == "valid" and length < 1024)


@pytest.mark.parametrize("cols", [1024, 1025, 4096, 8192, 8193, 20_000])
def test_any_width_is_cut_into_strips(cols, monkeypatch):
    image = np.random.default_rng(3).integers(0, 256, (17, cols), np.uint8)
    first, second, interleaves = both(image, kernels.gaussian(1.5, 2.5), monkeypatch, padding_mode="wrap")
    np.testing.assert_array_equal(first, second)
    assert interleaves


def test_depth_changes_while_rows_are_interleaved(monkeypatch):
    image = np.random.default_rng(4).integers(0, 256, (30, 700, 3), np.uint8)
    stage = Stage(Correlation(kernels.gaussian(2, 2)), scale=0.5, offset=0.25)
    plan = plan_stack([stage], image.shape, np.uint8, out_dtype=np.uint16)
    from convfilter.executor.run import run_array

    wide = run_array(plan, image, out_dtype=np.uint16).pixels
    plan = plan_stack([stage], image.shape, np.uint8, out_dtype=np.uint16)  # for which nothing waits
    monkeypatch.setattr(interleaved, "strips", lambda *_: None)
    np.testing.assert_array_equal(wide, run_array(plan, image, out_dtype=np.uint16).pixels)


@pytest.mark.parametrize(
    ("shape", "keywords"),
    [
        ((30, 300, 3), {}),  # too narrow
        ((7, 2000), {}),  # not one step of rows
        ((30, 2000), {"stride": 2}),
        ((30, 2000), {"dilation": (1, 2)}),
        ((30, 2000), {"scale": 3}),  # results are clipped
        ((30, 2000), {"dtype": np.float32}),
        ((30, 2000), {"padding_mode": "constant", "padding_value": 0.5}),
    ],
)
def test_other_work_is_done_in_natural_rows(shape, keywords, monkeypatch):
    image = np.random.default_rng(5).integers(0, 256, shape, np.uint8)
    first, second, interleaves = both(image, kernels.gaussian(2, 2), monkeypatch, **keywords)
    np.testing.assert_array_equal(first, second)
    assert not interleaves
