"""How threads share a stack, by bands, by steps, or by whole results: always with the same bytes."""

import tracemalloc

import numpy as np
import pytest

from convfilter.engine import executable, schedule
from convfilter.engine.executable_cache import executables
from convfilter.engine.program import Program
from convfilter.engine.rows import Connection, FromRows, ToRows
from convfilter.engine.threads import run_blocks
from convfilter.executor.group import GroupRun
from convfilter.executor.run import run_array, run_rows, run_stage
from convfilter.filters import stack
from convfilter.picture.row_source import LazyRows
from convfilter.planning import plan_stack
from convfilter.planning.groups import block_rows
from convfilter.planning.methods import chosen_method

SHAPE = (1500, 200, 3)
STACKS = (
    "gaussian:1 | relu",
    "box:11 | sobel:magnitude | maxpool:2",
    "gaussian:9 | gaussian:1",
    "gaussian:1 | gaussian:9 | relu",
    "maxpool:2 | box:3 | unsharp:2",
)


@pytest.fixture(autouse=True)
def nothing_before(monkeypatch):
    executables.forget()
    monkeypatch.setattr(schedule, "WORTH_A_THREAD", 0)
    monkeypatch.setattr("convfilter.planning.groups.BLOCK_SAMPLES", 2**14)
    yield
    executables.forget()


def planned(text, shape=SHAPE):
    return plan_stack(stack.stages(text.split(" | ")), shape, "uint8")


def picture(shape=SHAPE):
    return np.random.default_rng(3).integers(0, 256, shape, np.uint8)


def schedule_of(plan, image, threads, room=2**26):
    nodes = GroupRun(plan, 0, plan.stages, np.dtype("uint8"), threads).nodes(image, image)
    return nodes, schedule.scheduled(nodes, threads, room)


def by_bands(monkeypatch):
    monkeypatch.setattr(schedule, "MOST_SHARED", 1.0)


def by_steps(monkeypatch):
    monkeypatch.setattr(schedule, "MOST_SHARED", 0.0)
    monkeypatch.setattr(schedule, "WHOLE_BYTES", 0)


def by_whole_results(monkeypatch):
    monkeypatch.setattr(schedule, "MOST_SHARED", 0.0)


@pytest.mark.parametrize("how", [by_bands, by_steps, by_whole_results])
@pytest.mark.parametrize("text", STACKS)
def test_results_are_those_of_the_filters_one_by_one(text, how, monkeypatch):
    plan, image = planned(text), picture()
    expected = image
    for number in range(len(plan.stages)):
        expected, _ = run_stage(plan, number, expected, image.dtype, 1)
    how(monkeypatch)
    for threads in (1, 2, 3):
        for _ in range(2):  # the second run finds what the first one has prepared
            result = run_array(plan, image, threads=threads)
            np.testing.assert_array_equal(result.pixels.reshape(expected.shape), expected)


@pytest.mark.parametrize("text", STACKS)
def test_bands_share_what_both_need(text, monkeypatch):
    by_bands(monkeypatch)
    nodes, made = schedule_of(planned(text), picture(), 2)
    assert len(made.bands) == made.threads == 2
    assert made.sharing == [1] * len(nodes)
    blocks = [(number, block) for band in made.bands for tick in band.ticks for number, some in tick for block in some]
    assert len(set(blocks)) == len(blocks)
    upper, lower = made.bands
    assert lower.ready < upper.waits <= len(upper.ticks)
    work = [sum(schedule._cost(nodes[k]) * len(some) / nodes[k].blocks for tick in band.ticks for k, some in tick)
            for band in made.bands]  # fmt: skip
    assert max(work) / sum(work) < 0.6


def test_steps_of_small_results_are_whole(monkeypatch):
    by_whole_results(monkeypatch)
    nodes, made = schedule_of(planned(STACKS[0]), picture(), 2)
    (band,) = made.bands
    assert [tick for tick in band.ticks] == [[(k, list(range(node.blocks)))] for k, node in enumerate(nodes)]
    assert made.sharing == [2, 2]
    assert made.crews == [2, 1]  # point functions have no strips
    by_steps(monkeypatch)
    _, made = schedule_of(planned(STACKS[0]), picture(), 2)
    assert len(made.bands[0].ticks) > 4


def test_threads_share_columns_where_shares_of_rows_would_overlap_too_much(monkeypatch):
    by_whole_results(monkeypatch)
    _, made = schedule_of(planned("gaussian:60 | gaussian:1"), picture(), 2)
    assert made.sharing == [2] * 4
    assert made.crews == [1, 1, 1, 2]


def test_little_work_is_not_shared(monkeypatch):
    by_whole_results(monkeypatch)
    monkeypatch.setattr(schedule, "WORTH_A_THREAD", 8_000_000)
    _, made = schedule_of(planned("gaussian:2 | maxpool:2"), picture(), 2)
    assert made.sharing == [2, 1]
    _, made = schedule_of(planned("maxpool:2 | minpool:2"), picture(), 2)
    assert made.sharing == [1, 1]
    assert made.threads == 1


def test_filters_of_little_work_wake_no_thread(monkeypatch):
    monkeypatch.undo()
    image = picture((256, 256, 3))
    for text in ("gaussian:2", "gaussian:2 | relu", "gaussian:2 | gaussian:2", "box:3 | gaussian:2 | gaussian:1"):
        nodes, made = schedule_of(planned(text, image.shape), image, 2)
        assert (made.threads, made.sharing) == (1, [1] * len(nodes))


def test_bytes_that_a_filter_reads_and_writes_are_work(monkeypatch):
    monkeypatch.undo()
    image = picture((1000, 1000, 3))
    _, alone = schedule_of(planned("maxpool:2", image.shape), image, 2)
    assert alone.threads == 1
    _, before_another = schedule_of(planned("maxpool:2 | gaussian:2", image.shape), image, 2)
    assert before_another.sharing == [2, 2]  # four times the bytes are written


def test_bands_that_take_too_much_memory_are_not_made(monkeypatch):
    by_bands(monkeypatch)
    plan, image = planned(STACKS[3]), picture()
    _, roomy = schedule_of(plan, image, 2)
    assert len(roomy.bands) == 2
    _, tight = schedule_of(plan, image, 2, room=3 * 2**20)
    assert len(tight.bands) == 1


def test_the_last_rows_that_the_first_ones_need_make_one_band(monkeypatch):
    """Otherwise the upper band would wait at its beginning for the end of the band below."""
    by_bands(monkeypatch)
    stages = stack.stages(["gaussian:1,padding_mode=wrap", "sobel:magnitude,padding_mode=wrap"])
    plan = plan_stack(stages, SHAPE, "uint8")
    _, made = schedule_of(plan, picture(), 2)
    assert len(made.bands) == 1


# Pictures of 12 megapixels -------------------------------------------------------

#: Bytes for the buffers and crews of a stack: below the limit of ``test_chain.py``.
ROOM = 63_700_000


def planned_large(text, monkeypatch):
    """Return the nodes of a stack, and their schedule for two threads."""
    monkeypatch.undo()
    image = np.broadcast_to(np.uint8(0), (3000, 4000, 3))
    return schedule_of(planned(text, image.shape), image, 2, ROOM)


LARGE = (
    "erode:7",
    "morphgradient:3",
    "gaussian:64",
    "gaussian:64 | relu",
    "relu | gaussian:64",
    "unsharp:20 | relu",
    "gaussian:20 | gaussian:20 | gaussian:1",
)


@pytest.mark.parametrize("text", LARGE)
def test_two_threads_share_large_pictures(text, monkeypatch):
    _, made = planned_large(text, monkeypatch)
    assert made.threads == 2 or 2 in made.sharing


@pytest.mark.parametrize("text", ["gaussian:20 | gaussian:20 | gaussian:1", "gaussian:64 | gaussian:20 | gaussian:1"])
def test_steps_that_take_too_much_memory_are_smaller(text, monkeypatch):
    nodes, made = planned_large(text, monkeypatch)
    buffers = sum(
        rows * node.row_shape[0] * node.row_shape[1] * node.dtype.itemsize
        for rows, node in zip(made.rows, nodes, strict=False)
    )
    assert buffers + schedule._crew_bytes(nodes, 2) <= ROOM


def test_whole_results_are_computed_where_they_have_room(monkeypatch):
    nodes, made = planned_large("maxpool:2 | gaussian:32", monkeypatch)
    (band,) = made.bands
    assert [tick for tick in band.ticks] == [[(k, list(range(node.blocks)))] for k, node in enumerate(nodes)]
    _, made = planned_large("relu | gaussian:20", monkeypatch)
    assert len(made.bands[0].ticks) > 4


def test_one_thread_decimates_as_many_rows_at_a_time_as_two(monkeypatch):
    monkeypatch.undo()
    image = np.broadcast_to(np.uint8(0), (3000, 4000, 3))
    rows = [
        schedule_of(planned("gaussian:64", image.shape), image, threads, ROOM)[0][0].block_rows for threads in (1, 2)
    ]
    assert rows[0] == rows[1] > 16


@pytest.mark.parametrize("text", ["gaussian:4 | box:3", "gaussian:20", "gaussian:64", "relu | gaussian:64",
                                  "median:3 | maxpool:2"])  # fmt: skip
def test_crews_take_as_much_memory_as_scheduled(text):
    image = np.zeros((1500, 2000, 3), np.uint8)
    plan = planned(text, image.shape)
    run_array(plan, image, threads=2)
    ((_, _, executable, _),) = executables._waiting
    made, nodes = executable._schedule, executable._nodes
    held = executable.held_bytes() - sum(buffer.nbytes for buffer in executable._buffers)
    each = schedule._crew_bytes(nodes, max(made.sharing))
    assert held < 1.2 * (made.threads if len(made.bands) > 1 else 1) * each


@pytest.mark.parametrize(("text", "held"), [("gaussian:4", 16), ("gaussian:3.7", 24)])
def test_a_line_buffer_leaves_out_the_rows_in_a_lane_interleaved_ring(text, held, monkeypatch):
    """A window of 49 or 45 rows, of which a step loads eight, since the ring holds the others."""
    monkeypatch.undo()
    shape = 3000, 40000, 3
    source = LazyRows(shape, np.dtype("uint8"), lambda: iter(()))
    plan = planned(text, shape)
    before = FromRows(Connection(source), shape, source.dtype)
    nodes = GroupRun(plan, 0, plan.stages, source.dtype, 2).nodes(source, None)
    made = schedule.scheduled([before, *nodes, ToRows(Connection(None), nodes[-1])], 2, ROOM)
    assert made.rows == [held, 16]


def test_threads_that_share_ticks_decimate_a_picture_in_blocks_higher_than_those_of_a_line_buffer(monkeypatch):
    nodes, made = planned_large("gaussian:20 | gaussian:20,padding_mode=constant", monkeypatch)
    assert len(made.bands) == 1
    assert 2 in made.sharing
    assert nodes[0].block_rows == 3 * nodes[3].block_rows


def test_rows_that_are_decimated_in_place_have_higher_blocks_than_those_in_a_ring(monkeypatch):
    nodes, _ = planned_large("gaussian:20 | gaussian:20", monkeypatch)
    assert nodes[3].block_rows == 32


def test_rows_of_a_picture_in_memory_do_not_make_blocks_lower(monkeypatch):
    """The result of a block stays in the cache until it is read, and so do its sources, unless they are the picture."""
    monkeypatch.undo()
    plan, image = planned("maxpool:2 | minpool:2", (1000, 1000, 3)), picture((1000, 1000, 3))
    nodes, _ = schedule_of(plan, image, 1)
    assert nodes[0].block_rows == 4 * block_rows(plan.stages[0])
    assert nodes[1].block_rows == block_rows(plan.stages[1])


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
@pytest.mark.parametrize(
    "text", ["erode:3", "erode:31", "dilate:disk:7", "erode:3,scale=0.5", "morphgradient:3", "tophat:5"]
)
def test_extremes_take_as_much_memory_as_planned(text, dtype, monkeypatch):
    monkeypatch.undo()
    image = np.random.default_rng(3).integers(0, 256, (1500, 2000, 3)).astype(dtype)
    plan = plan_stack(stack.stages([text]), image.shape, dtype)
    run_array(plan, image, threads=1)  # loads modules and loops
    executables.forget()
    tracemalloc.start()
    try:
        pixels = run_array(plan, image, threads=1).pixels
        working = tracemalloc.get_traced_memory()[1] - pixels.nbytes
    finally:
        tracemalloc.stop()
    ((_, _, executable, _),) = executables._waiting
    buffers = sum(buffer.nbytes for buffer in executable._buffers)
    stated = buffers + schedule._crew_bytes(executable._nodes)
    assert 0.6 * stated < working < 1.25 * stated


@pytest.mark.parametrize("failing", range(2))
def test_a_band_that_fails_ends_those_that_wait_for_it(failing, monkeypatch):
    by_bands(monkeypatch)
    plan, image = planned(STACKS[2]), picture()
    expected = run_array(plan, image, threads=2).pixels
    executables.forget()
    runs, run = [], Program.run

    def fails(program, *args, **keywords):
        runs.append(None)
        if len(runs) > failing:
            raise MemoryError
        run(program, *args, **keywords)

    with monkeypatch.context() as patch, pytest.raises(MemoryError):
        patch.setattr(Program, "run", fails)
        run_array(plan, image, threads=2)
    np.testing.assert_array_equal(run_array(plan, image, threads=2).pixels, expected)


def test_an_even_number_of_blocks():
    for rows in (1, 7, 8, 50, 333, 1000, 3001):
        for text in ("gaussian:1", "box:3", "maxpool:2"):
            plan = planned(text, (rows + rows % 2, 300, 3))
            (stage,) = plan.stages
            height, output = block_rows(stage), stage.rows.output
            blocks = -(-output // height)
            assert blocks == 1 or blocks % 2 == 0 or height == chosen_method(stage).unit_rows(stage), (
                text,
                rows,
                height,
            )


class Taken:
    """A row sink of an array; ``BandTaken`` also takes bands."""

    dtype = np.dtype("uint8")

    def __init__(self, shape):
        self.pixels, self.top, self.tops = np.zeros(shape, np.uint8), 0, []

    def write(self, rows):
        self.pixels[self.top : self.top + len(rows)] = rows
        self.top += len(rows)


class BandTaken(Taken):
    def write_at(self, top, rows):
        self.tops.append(top)
        self.pixels[top : top + len(rows)] = rows


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("text", [*STACKS, "gaussian:9", "box:11", "gaussian:1"])
def test_a_sink_takes_bands_side_by_side(text, threads, monkeypatch):
    by_bands(monkeypatch)
    plan, image = planned(text), picture()
    expected = run_array(plan, image, threads=1).pixels
    for _ in range(2):
        sink = BandTaken(plan.output_shape)
        run_rows(plan, image, sink, threads=threads)
        np.testing.assert_array_equal(sink.pixels, expected)
        assert sink.tops.count(0) == (threads > 1)


def test_bands_are_more_alike_if_their_rows_are_encoded(monkeypatch):
    by_bands(monkeypatch)
    plan = planned("gaussian:9")
    group = GroupRun(plan, 0, plan.stages, np.dtype("uint8"), 2)
    sizes = []
    for encoding in (0, schedule.ENCODING, 1e9):
        monkeypatch.setattr(schedule, "ENCODING", encoding)
        nodes = group.nodes(picture(), picture(), block_rows=8, alone=False)
        nodes.append(ToRows(Connection(None), nodes[-1], takes_bands=True))
        bands = schedule.scheduled(nodes, 2, 2**26).bands
        sizes.append([sum(number == len(nodes) - 1 for tick in band.ticks for number, _ in tick) for band in bands])
    (upper, _), *_, equal = sizes
    assert upper > sizes[1][0] > equal[0] == equal[1]


@pytest.mark.parametrize("sink", [Taken, BandTaken])
def test_rows_that_a_sink_cannot_hold_come_in_order(sink, monkeypatch):
    by_bands(monkeypatch)
    if sink is BandTaken:
        monkeypatch.setattr(schedule, "MOST_WAITING", 1000)
    plan, image = planned("gaussian:9"), picture()
    taken = sink(plan.output_shape)
    run_rows(plan, image, taken, threads=2)
    np.testing.assert_array_equal(taken.pixels, run_array(plan, image, threads=1).pixels)
    assert not taken.tops


def test_a_sink_that_fails_ends_the_other_bands(monkeypatch):
    by_bands(monkeypatch)
    plan, image = planned("gaussian:9"), picture()
    calls = []

    class Full(BandTaken):
        def write_at(self, top, rows):
            calls.append(top)
            raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        run_rows(plan, image, Full(plan.output_shape), threads=2)
    assert len(calls) <= 2
    sink = BandTaken(plan.output_shape)
    run_rows(plan, image, sink, threads=2)
    np.testing.assert_array_equal(sink.pixels, run_array(plan, image, threads=1).pixels)


def test_a_band_that_never_begins_ends_those_that_wait_for_it(monkeypatch):
    by_bands(monkeypatch)
    plan, image = planned(STACKS[2]), picture()

    def interrupted(bands, run_band, threads, give_up):
        def work(number):
            if number == 1:
                raise KeyboardInterrupt
            run_band(number)

        run_blocks(bands, work, threads, give_up)

    monkeypatch.setattr(executable, "run_blocks", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run_array(plan, image, threads=2)
