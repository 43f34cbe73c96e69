import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from convfilter.engine.borders import CONSTANT, index_map
from convfilter.engine.buffer import LineBuffer, Scratch
from convfilter.engine.layout import centre_columns, columns_for, distinct_rows
from convfilter.engine.load import Source
from convfilter.engine.program import Slot
from convfilter.filters.stage import PADDING_MODES
from convfilter.planning import AxisPlan


@st.composite
def axes(draw):
    """Draw an axis, its index map, and a range of its outputs."""
    kernel, stride, dilation = draw(st.integers(1, 7)), draw(st.integers(1, 6)), draw(st.integers(1, 5))
    before, after = draw(st.integers(0, 15)), draw(st.integers(0, 15))
    span = dilation * (kernel - 1)
    size = draw(st.integers(max(1, span + 1 - before - after), span + 30))
    axis = AxisPlan(size, kernel, stride, dilation, before, after)
    first = draw(st.integers(0, axis.output - 1))
    last = draw(st.integers(first + 1, axis.output))
    return axis, index_map(size, before, axis.padded, draw(st.sampled_from(PADDING_MODES))), first, last


def runs_are_side_by_side(columns):
    run = columns.indices[columns.run_start : columns.run_start + columns.run_length]
    return run.size == columns.run_length and CONSTANT not in run and np.all(np.diff(run) == 1)


@given(axes())
def test_each_tap_of_each_output_looks_at_its_own_source_column(case):
    axis, source_index, first, last = case
    columns = columns_for(axis, source_index, first, last)
    output, tap = np.arange(last - first)[:, np.newaxis], np.arange(axis.kernel)
    looked_at = columns.indices[columns.tap_offset + output]
    np.testing.assert_array_equal(looked_at, source_index[(first + output) * axis.stride + tap * axis.dilation])
    assert columns.count == columns.indices.size
    assert runs_are_side_by_side(columns)


@given(axes())
def test_columns_that_no_output_needs_are_left_out(case):
    axis, source_index, first, last = case
    columns = columns_for(axis, source_index, first, last)
    phases = len({tap * axis.dilation % axis.stride for tap in range(axis.kernel)})
    assert columns.count <= phases * (last - first + axis.span // axis.stride)


def test_unstrided_columns_inside_the_picture_are_one_run():
    axis = AxisPlan(100, 5, 1, 1, 2, 2)
    columns = columns_for(axis, index_map(100, 2, axis.padded, "edge"), 0, 100)
    assert (columns.run_start, columns.run_length) == (2, 100)


@given(axes())
def test_centre_columns_are_those_on_which_same_padding_centres_the_outputs(case):
    axis, source_index, first, last = case
    columns = centre_columns(axis, source_index, first, last)
    centres = np.arange(first, last) * axis.stride + axis.dilation * (axis.kernel - 1) // 2
    np.testing.assert_array_equal(columns.indices, source_index[centres])
    assert columns.indices.flags.c_contiguous
    assert runs_are_side_by_side(columns)


@given(axes(), st.integers(1, 20))
def test_parts_of_columns_add_up(case, width):
    columns = columns_for(case[0], *case[1:])
    parts = [columns.subset(left, min(left + width, columns.count)) for left in range(0, columns.count, width)]
    np.testing.assert_array_equal(np.concatenate([part.indices for part in parts]), columns.indices)
    assert sum(part.run_length for part in parts) == columns.run_length
    assert all(runs_are_side_by_side(part) for part in parts)


@given(st.integers(1, 12).flatmap(lambda n: st.tuples(st.just(n), st.lists(st.integers(-1, n - 1), min_size=1))))
def test_distinct_rows_are_loaded_once_each(case):
    length, wanted = case[0], np.array(case[1])
    rows, place = distinct_rows(wanted, length)
    assert sorted(rows) == sorted(set(wanted.tolist()))
    np.testing.assert_array_equal(rows[place], wanted)


def test_distinct_rows_of_a_table_keep_its_shape():
    wanted = np.array([[0, CONSTANT, 2], [CONSTANT, 2, 2]])
    rows, place = distinct_rows(wanted, 5)
    assert place.shape == wanted.shape
    np.testing.assert_array_equal(rows[place], wanted)


# Loading ---------------------------------------------------------------------


def loaded(source, scratch, rows, columns):
    tile, pitch = source.load(scratch, "tile", rows, columns)
    return tile[: rows.size * pitch].reshape(rows.size, columns.count, source.channels)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("real", [np.float32, np.float64])
@given(rows=axes(), cols=axes(), channels=st.integers(1, 5))
def test_a_tile_is_the_padded_picture(dtype, real, rows, cols, channels):
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (rows[0].input, cols[0].input, channels)).astype(dtype)
    source = Source(LineBuffer(Slot(image)), 255.0, False, False, padding_value=-7.5)
    columns = columns_for(cols[0], *cols[1:])
    tile = loaded(source, Scratch(real), rows[1], columns)
    assert tile.dtype == real
    padded = np.full((image.shape[0] + 1, image.shape[1] + 1, channels), -7.5)
    padded[:-1, :-1] = image  # index -1 is then the padding
    np.testing.assert_array_equal(tile, padded[rows[1]][:, columns.indices])


@pytest.mark.parametrize("alpha", [False, True])
@pytest.mark.parametrize("gray", [False, True])
def test_a_tile_is_premultiplied_and_weighed_to_luminance(alpha, gray):
    image = np.random.default_rng(0).integers(0, 256, (4, 6, 3 + alpha)).astype(np.uint8)
    source = Source(LineBuffer(Slot(image)), 255.0, alpha, gray, 0.0)
    axis = AxisPlan(6, 1, 1, 1, 0, 0)
    columns = columns_for(axis, np.arange(6), 0, 6)
    tile = loaded(source, Scratch(np.float64), np.arange(4), columns)
    expected = image.astype(np.float64)
    if alpha:
        expected[..., :3] *= expected[..., 3:]
        expected[..., 3] *= 255
    if gray:
        luminance = expected[..., :3] @ [299, 587, 114]
        expected = np.concatenate([luminance[..., np.newaxis], 1000 * expected[..., 3:]], axis=2)
    assert source.channels == expected.shape[2]
    np.testing.assert_array_equal(tile, expected)


def test_scratch_grows_and_is_used_again():
    scratch = Scratch(np.float32)
    small = scratch.get("sums", 10)
    assert small.size >= 10
    assert small.dtype == np.float32
    assert np.shares_memory(scratch.get("sums", 7), small)
    assert not np.shares_memory(scratch.get("tile", 7), small)
    assert scratch.get("sums", 5000).size >= 5000


def test_a_line_buffer_finds_rows_where_they_are():
    image = np.arange(12).reshape(4, 3, 1)
    whole, held = LineBuffer(Slot(image)), LineBuffer(Slot(image), np.array([-1, 2, 3, 0, -1, -1]))
    np.testing.assert_array_equal(whole.index(np.array([2, CONSTANT])), [2, CONSTANT])
    np.testing.assert_array_equal(held.index(np.array([1, 3, CONSTANT])), [2, 0, CONSTANT])
    assert (whole.row(3), held.row(3)) == (3, 0)
    assert np.shares_memory(held.rows(1, 3), image)
    np.testing.assert_array_equal(held.rows(1, 4), image[[2, 3, 0]])
    assert (held.row_samples, held.dtype) == (3, image.dtype)


def test_a_ring_holds_rows_modulo_its_height():
    image = np.arange(12).reshape(4, 3, 1)
    ring = LineBuffer(Slot(image), 4)
    np.testing.assert_array_equal(ring.index(np.array([1, 9, CONSTANT])), [1, 1, CONSTANT])
    assert ring.row(11) == 3
    assert np.shares_memory(ring.rows(5, 8), image)
    np.testing.assert_array_equal(ring.rows(5, 8), image[1:4])
    np.testing.assert_array_equal(ring.rows(6, 9), image[[2, 3, 0]])
