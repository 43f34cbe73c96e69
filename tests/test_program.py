"""A program of loop calls, run in machine code, gives the same results as the calls from Python."""

import numpy as np
import pytest

from convfilter.engine.load import LOAD
from convfilter.engine.program import Call, Counting, Moving, Program, Rebased, RebasedSource, Slot
from convfilter.engine.store import STORE_WHOLE
from convfilter.engine.sums import CORRELATE
from convfilter.planning.ring import STEP_ROWS


def load_call(image, rows, tile, count=2):
    _, width, channels = image.shape
    cols = np.arange(width)
    load = LOAD.variant(S=image.dtype, A=np.float32)
    return Call(
        load, (image, width * channels, rows, count, cols, width, 0, width, channels, 0.5, tile, width * channels)
    )


@pytest.fixture
def image():
    return np.random.default_rng(1).integers(0, 256, (20, 5, 3), dtype=np.uint8)


def test_pointers_move_by_items_and_come_back(image):
    rows = np.arange(20)
    tile = np.zeros((3, 2, 15), np.float32)
    program = Program([load_call(image, Moving(rows, 2, 2), Moving(tile.ravel(), 0, 30, 3))])
    program.run(0, 5)
    for slot, step in enumerate((3, 4, 2)):
        np.testing.assert_array_equal(tile[slot].ravel(), image[2 + 2 * step : 4 + 2 * step].ravel())


def test_steps_before_the_first_run_only_the_calls_that_run_ahead(image):
    rows = np.arange(20)
    tile, later = np.zeros((2, 3, 2, 15), np.float32)
    ahead = load_call(image, Moving(rows, 4, 2), Moving(tile.ravel(), 0, 30, 3))._replace(ahead=2)
    program = Program([ahead, load_call(image, Moving(rows, 4, 2), Moving(later.ravel(), 0, 30, 3))])
    program.run(-2, 2)
    np.testing.assert_array_equal(tile[1].ravel(), image[0:2].ravel())
    np.testing.assert_array_equal(tile[2].ravel(), image[2:4].ravel())
    assert not tile[0].any() and not later.any()


def test_leading_calls_run_once_before_the_first_step(image):
    rows, tile = np.arange(20), np.zeros(30, np.float32)
    out = np.zeros((10, 30), np.float32)
    keep = load_call(image, Moving(rows, 0, 2), Moving(out.ravel(), 0, 30))
    lead = load_call(image, Moving(rows, 0, 2), tile)
    program = Program([lead._replace(ahead=2), keep])
    program.run(4, 0)
    np.testing.assert_array_equal(tile, image[6:8].ravel())
    assert not out.any()
    program.run(4, 2)
    np.testing.assert_array_equal(out[4:6].reshape(4, 15), image[8:12].reshape(4, 15))
    assert not out[:4].any()
    tile[:] = 0
    program.run(6, 0, continues=True)
    assert not tile.any()


def test_following_calls_start_some_rows_later(image):
    out = np.zeros((32, 15), np.float32)
    program = Program([load_call(image, Moving(np.arange(20), 0, 2), Rebased(out.ravel(), 0, 60))])
    for rows in (6, 3):
        out[:] = 0
        program.rebase(rows)
        program.run(1, 2)
        np.testing.assert_array_equal(out[rows + 4 : rows + 6], image[2:4].reshape(2, 15))
        np.testing.assert_array_equal(out[rows + 8 : rows + 10], image[4:6].reshape(2, 15))
        assert not out[: rows + 4].any()


def test_calls_run_in_order_and_their_results_are_added(image):
    out = np.zeros((20, 15), np.uint8)
    tile = np.zeros(30, np.float32)
    store = STORE_WHOLE.variant(V=np.float32, R=np.float32, T=np.uint8)
    calls = [
        load_call(image, Moving(np.arange(20), 0, 2), tile),
        Call(store, (tile, 15, 2, 15, 1.5, 1.0, 0.0, 0, 255.0, out, Counting(0, 30), 15)),
    ]
    program = Program(calls)
    program.run(0, 10)
    wanted = np.rint(image.reshape(20, 15) * 1.5)
    np.testing.assert_array_equal(out, np.minimum(wanted, 255))
    assert program.total == np.count_nonzero(wanted > 255)


def test_numbers_of_both_precisions_arrive_whole():
    for real in (np.float32, np.float64):
        tile, out = np.array([3.0], real), np.zeros(1, real)
        scale = float(real(0.1))
        store = Call(
            CORRELATE.variant(A=real),
            (
                tile, np.zeros(1, np.int64), 1, np.zeros(1, np.int64), np.zeros(1, np.int64), np.array([scale], real),
                0, 1, 1, 0, out, 1, 1,
            ),
        )  # fmt: skip
        Program([store]).run(0, 1)
        assert out[0] == real(3) * real(0.1)


def test_an_array_of_another_type_or_layout_is_refused(image):
    with pytest.raises(TypeError, match="contiguous"):
        Program([load_call(image, np.arange(20, dtype=np.int32), np.zeros(30, np.float32))])
    with pytest.raises(TypeError, match="contiguous"):
        Program([load_call(image, np.arange(40)[::2], np.zeros(30, np.float32))])


def test_every_call_reads_the_current_array_of_a_slot(image):
    slot, rows = Slot(image), np.arange(20)
    tile = np.zeros((10, 30), np.float32)
    program = Program([load_call(slot, Moving(rows, 0, 2), Moving(tile.ravel(), 0, 30))])
    for seen in (image, image[::-1].copy(), image):
        slot.put(seen)
        program.run(0, 10)
        np.testing.assert_array_equal(tile.reshape(20, 5, 3), seen)
        load_call(slot, rows[3:5], tile[0])()
        np.testing.assert_array_equal(tile[0], seen[3:5].ravel())


def test_results_go_where_the_array_in_a_slot_begins(image):
    first, second = np.zeros((20, 15), np.float32), np.zeros((20, 15), np.float32)
    slot = Slot(first)
    program = Program([load_call(image, Moving(np.arange(20), 0, 2), Rebased(slot, 0, 30))])
    program.run(0, 3)
    slot.put(second)
    program.rebase(STEP_ROWS)  # one step later
    program.run(0, 3)
    np.testing.assert_array_equal(first[:6], image[:6].reshape(6, 15))
    np.testing.assert_array_equal(second[2:8], image[:6].reshape(6, 15))
    assert not first[6:].any()
    assert not second[:2].any()


def test_no_call_is_made_on_an_empty_slot(image):
    slot, tile = Slot(image), np.zeros(30, np.float32)
    program = Program([load_call(slot, np.arange(2), tile)])
    slot.clear()
    for make in (lambda: program.run(0, 1), load_call(Slot(image), np.arange(2), tile)._replace(arguments=(slot,))):
        with pytest.raises(AttributeError):
            make()
    with pytest.raises(ValueError, match="this slot takes arrays of shape"):
        slot.put(image[1:])
    with pytest.raises(TypeError):
        slot.put(image.astype(np.float32))
    slot.put(image)
    program.run(0, 1)
    np.testing.assert_array_equal(tile, image[:2].ravel())


def test_sources_follow_by_themselves(image):
    """Source and target of a program may begin at different rows."""
    out = np.zeros((20, 15), np.float32)
    call = load_call(image, np.zeros(1, np.int64), Rebased(out, 0, 15), count=1)
    call = call._replace(arguments=(RebasedSource(image, 0, 15), *call.arguments[1:]))
    program = Program([call], 1)
    program.rebase(3, 7)
    program.run(0, 2)
    np.testing.assert_array_equal(out[3:5], image.reshape(20, 15)[7:9])
    assert not out[:3].any()
    assert not out[5:].any()


def test_a_call_by_itself_is_that_of_step_0(image):
    out = np.zeros(40, np.float32)
    call = load_call(image, np.arange(2), Moving(out, 5, 99))
    call._replace(arguments=(Moving(Slot(image), 15, 99), *call.arguments[1:]))()
    np.testing.assert_array_equal(out[5:35], image.reshape(20, 15)[1:3].ravel())
