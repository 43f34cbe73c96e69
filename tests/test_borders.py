import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from convfilter.engine.borders import CONSTANT, index_map
from convfilter.filters.stage import PADDING_MODES

modes = pytest.mark.parametrize("mode", PADDING_MODES)


def padded(length, before, after, mode):
    keywords = {"constant_values": CONSTANT} if mode == "constant" else {}
    return np.pad(np.arange(length), (before, after), mode=mode, **keywords)


@modes
@given(length=st.integers(1, 9), before=st.integers(0, 40), after=st.integers(0, 40))
def test_index_map_is_what_numpy_pads(mode, length, before, after):
    found = index_map(length, before, before + length + after, mode)
    assert found.dtype == np.int64
    np.testing.assert_array_equal(found, padded(length, before, after, mode))


@modes
@pytest.mark.parametrize("length", [1, 2, 3, 7])
def test_pads_much_wider_than_the_axis(mode, length):
    np.testing.assert_array_equal(index_map(length, 300, 600 + length, mode), padded(length, 300, 300, mode))


@modes
@given(length=st.integers(1, 9), before=st.integers(0, 12), total=st.integers(1, 30))
def test_places_that_no_output_touches_are_left_out(mode, length, before, total):
    whole = padded(length, before, total, mode)
    np.testing.assert_array_equal(index_map(length, before, total, mode), whole[:total])
