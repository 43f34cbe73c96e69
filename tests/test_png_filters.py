"""PNG's row filters: undoing restores the bytes, in machine code and as plain Python."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convfilter.loops import png_filters as loops
from convfilter.picture import png_filters


def plain_undo(data, distance):
    """Undo filters by the formulas of the specification."""
    rows, length = data.shape[0], data.shape[1] - 1
    out = np.zeros((rows + 1, length), int)
    for y in range(rows):
        for x in range(length):
            a = out[y + 1, x - distance] if x >= distance else 0
            b = out[y, x]
            c = out[y, x - distance] if x >= distance else 0
            p = a + b - c
            paeth = min((abs(p - a), 0, a), (abs(p - b), 1, b), (abs(p - c), 2, c))[2]
            predicted = (0, a, b, (a + b) // 2, paeth)[data[y, 0]]
            out[y + 1, x] = (int(data[y, 1 + x]) + predicted) % 256
    return out.astype(np.uint8)


@st.composite
def filtered_rows(draw):
    distance = draw(st.sampled_from([1, 2, 3, 4, 6, 8]))
    rows, length = draw(st.integers(1, 7)), distance * draw(st.integers(1, 9))
    data = np.random.default_rng(draw(st.integers(0, 2**32))).integers(0, 256, (rows, 1 + length), dtype=np.uint8)
    data[:, 0] = draw(st.lists(st.integers(0, 4), min_size=rows, max_size=rows))
    return data, distance


def compiled_undo(data, distance):
    out = np.zeros((data.shape[0] + 1, data.shape[1] - 1), np.uint8)
    assert png_filters.undo_filters(data, distance, out[0], out[1:]) == len(data)
    return out


@given(filtered_rows())
@settings(max_examples=40, deadline=None)
def test_undoing_follows_the_specification(example):
    data, distance = example
    np.testing.assert_array_equal(compiled_undo(data, distance), plain_undo(data, distance))


@given(filtered_rows())
@settings(max_examples=20, deadline=None)
def test_undoing_as_plain_python(example):
    data, distance = example
    out = np.zeros((data.shape[0] + 1, data.shape[1] - 1), np.uint8)
    arguments = data.reshape(-1), len(data), data.shape[1] - 1, distance, out[0], out[1:].reshape(-1)
    assert loops.undo_filters(*arguments) == len(data)
    np.testing.assert_array_equal(out, plain_undo(data, distance))


def test_unknown_filter_is_found():
    data = np.zeros((4, 4), np.uint8)
    data[2, 0] = 5
    above, out = np.zeros(3, np.uint8), np.zeros((4, 3), np.uint8)
    assert png_filters.undo_filters(data, 3, above, out) == 2
    assert loops.undo_filters(data.reshape(-1), 4, 3, 3, above, out.reshape(-1)) == 2


IMAGES = {
    "noise": np.random.default_rng(1).integers(0, 256, (9, 24), dtype=np.uint8),
    "flat": np.full((9, 24), 7, np.uint8),
    "few dots": np.where(np.random.default_rng(2).random((9, 24)) < 0.05, 255, 0).astype(np.uint8),
    "ramp across": np.broadcast_to(np.arange(0, 240, 10, dtype=np.uint8), (9, 24)).copy(),
    "ramp down": np.broadcast_to(np.arange(0, 252, 28, dtype=np.uint8)[:, None], (9, 24)).copy(),
    "grain": np.random.default_rng(3).integers(100, 140, (9, 24), dtype=np.uint8),
}


@pytest.mark.parametrize(("group", "most"), [(0, 2), (0, 4), (1, 3), (4, 3), (1, 4), (4, 4)])
@pytest.mark.parametrize("distance", [1, 3, 8])
@pytest.mark.parametrize("name", IMAGES)
def test_filters_applied_are_undone(name, distance, group, most):
    image = IMAGES[name].copy()
    rows, length = image.shape
    image[0] = 0
    out = np.empty((rows - 1, 1 + length), np.uint8)
    png_filters.apply_filters(image, distance, group, most, out)
    np.testing.assert_array_equal(plain_undo(out, distance), image)
    plain = np.empty((rows - 1) * (1 + length), np.uint8)
    loops.apply_filters(image.reshape(-1), rows - 1, length, distance, group, most, plain)
    np.testing.assert_array_equal(plain, out.reshape(-1))
    if group == 0:
        assert set(out[:, 0]) == {most}
    assert out[:, 0].max() <= most


@pytest.mark.parametrize("most", [3, 4])
def test_the_filter_with_the_least_differences_is_chosen(most):
    chosen = {}
    for name, image in IMAGES.items():
        out = np.empty((8, 25), np.uint8)
        png_filters.apply_filters(image, 1, 1, most, out)
        chosen[name] = out[4, 0]
    assert chosen == {"noise": chosen["noise"], "flat": 2, "few dots": 0, "ramp across": 2, "ramp down": 1, "grain": 3}


def test_arrays_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="do not fit"):
        png_filters.undo_filters(np.zeros((3, 4), np.uint8), 3, np.zeros(3, np.uint8), np.zeros((4, 3), np.uint8))
    with pytest.raises(ValueError, match="do not fit"):
        png_filters.undo_filters(np.zeros((3, 4), np.uint8), 3, np.zeros(4, np.uint8), np.zeros((3, 3), np.uint8))
    with pytest.raises(ValueError, match="do not fit"):
        png_filters.apply_filters(np.zeros((3, 3), np.uint8), 4, 0, 2, np.zeros((2, 4), np.uint8))
    with pytest.raises(ValueError, match="do not fit"):
        png_filters.apply_filters(np.zeros((3, 3), np.uint8), 1, 1, 5, np.zeros((2, 4), np.uint8))


def test_paeth_is_chosen_where_it_predicts_best():
    # Steps to the right and steps down: the nearest of three neighbours is mostly the byte itself.
    steps = np.random.default_rng(4).integers(0, 2, (2, 40)) * 60
    image = (np.cumsum(steps[0, :24])[None, :] // 8 + np.cumsum(steps[1])[:, None] // 8).astype(np.uint8)
    for most in (3, 4):
        out = np.empty((39, 25), np.uint8)
        png_filters.apply_filters(image, 1, 1, most, out)
        np.testing.assert_array_equal(plain_undo_from(image[0], out), image[1:])
        assert ((out[:, 0] == 4).sum() > 5) == (most == 4)


def plain_undo_from(above, filtered):
    """Undo filters below a row that is not zero: it is prepended as a row without filter."""
    first = np.concatenate([[0], above]).astype(np.uint8)
    return plain_undo(np.concatenate([first[None], filtered]), 1)[2:]
