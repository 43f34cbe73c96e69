"""A schedule computes every block once, before its first use, in a slot that stays its own until the last use."""

from types import SimpleNamespace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from convfilter.engine.buffer import LineBuffer
from convfilter.engine.order import bands_of, one_by_one, order_of, pipelined, places_of
from convfilter.engine.program import Slot


@st.composite
def chains(draw):
    """Nodes that read any blocks of the node before, and some that read blocks of the one before that."""
    counts = draw(st.lists(st.integers(1, 9), min_size=2, max_size=4))
    nodes = [node_of(counts[0], {}, ())]
    for number, blocks in enumerate(counts[1:], 1):
        reads = (1, 2) if number > 1 and draw(st.booleans()) else (1,)
        looks = {}
        for k, back in enumerate(reads):
            some = st.sets(st.integers(0, counts[number - back] - 1), max_size=4)
            looks |= {(block, k): draw(some) for block in range(blocks)}
        nodes.append(node_of(blocks, looks, reads, keeps=draw(st.booleans())))
    return nodes


def node_of(blocks, looks, reads, *, keeps=False):
    def blocks_needed(block, _rows, k=0, *, follows=False):
        return looks[block, k] - looks.get((block - 1, k), set()) if follows and keeps else looks[block, k]

    def rows_of(block):
        return 8 * block, min(8 * block + 8, rows)

    rows = 8 * blocks - 3
    return SimpleNamespace(
        blocks=blocks,
        block_rows=8,
        contiguous_rows=0,
        rows=rows,
        rows_of=rows_of,
        blocks_needed=blocks_needed,
        reads=reads,
    )


@given(chains(), st.integers(1, 4), st.integers(1, 3), st.data())
def test_blocks_are_computed_before_they_are_read(nodes, together, size, data):
    last = nodes[-1].blocks
    first = data.draw(st.integers(0, last - 1))
    sizes = [size] * len(nodes)
    ticks = one_by_one(order_of(nodes, first, last, together, sizes))
    check(nodes, ticks, places_of(nodes, ticks), together, size)
    computed = {block for tick in ticks for number, blocks in tick if number == len(nodes) - 1 for block in blocks}
    assert computed == set(range(first, last))


def check(nodes, ticks, places, together, size):
    there = [{} for _ in nodes]  # place -> row
    computed = [set() for _ in nodes]
    before = [None] * len(nodes)
    for tick in ticks:
        read = []
        assert len({k for k, _ in tick}) == len(tick)
        for k, blocks in tick:
            assert 0 < len(blocks) <= (together if k == len(nodes) - 1 else size)
            assert blocks == sorted(blocks)
            for block in blocks:
                assert block not in computed[k]
                follows = block - 1 == before[k]
                before[k] = block
                for number, back in enumerate(nodes[k].reads):
                    for needed in nodes[k].blocks_needed(block, 8, number, follows=follows):
                        read += [(k - back, row) for row in range(*nodes[k - back].rows_of(needed))]
        assert all(there[k][places[k][1][row]] == row for k, row in read)
        for k, blocks in tick:
            for block in blocks:
                computed[k].add(block)
                if k < len(nodes) - 1:
                    rows, held = places[k]
                    at = held[slice(*nodes[k].rows_of(block))]
                    assert (np.diff(at) == 1).all() and at[0] >= 0 and at[0] + 8 <= rows
                    there[k] |= dict(zip(at.tolist(), range(*nodes[k].rows_of(block)), strict=True))
        assert all(there[k][places[k][1][row]] == row for k, row in read), "overwritten while it is read"


@given(chains(), st.integers(1, 4))
def test_rows_of_a_group_lie_together(nodes, blocks):
    for node in nodes:
        node.contiguous_rows = 8 * blocks
    ticks = one_by_one(order_of(nodes, 0, nodes[-1].blocks))
    for node, (rows, held) in zip(nodes, places_of(nodes, ticks), strict=False):
        for first in range(0, node.rows, node.contiguous_rows):
            places = held[first : min(first + node.contiguous_rows, node.rows)]
            assert (places == -1).all() or (np.diff(places) == 1).all()
            assert places.max() < rows
    check(nodes, ticks, places_of(nodes, ticks), nodes[-1].blocks, 1)


def test_few_blocks_are_held():
    """Each block reads itself and its neighbours: at most three blocks of the first node for each of the second."""
    neighbours = {(block, 0): {max(block - 1, 0), block, block + 1} for block in range(102)}
    nodes = [node_of(102, {}, ()), node_of(101, neighbours, (1,)), node_of(100, neighbours, (1,))]
    places = places_of(nodes, one_by_one(order_of(nodes, 0, 100)))
    assert [rows for rows, _ in places] == [24, 24]


def test_a_node_that_keeps_rows_needs_only_those_that_come_in():
    neighbours = {(block, 0): {max(block - 1, 0), block, block + 1} for block in range(101)}
    nodes = [node_of(102, {}, ()), node_of(101, neighbours, (1,), keeps=True)]
    places = places_of(nodes, one_by_one(order_of(nodes, 0, 101)))
    assert [rows for rows, _ in places] == [16]  # block 0 needs two at once


def test_rows_that_are_never_held_have_no_slot():
    nodes = [node_of(3, {}, ()), node_of(1, {(0, 0): {1}}, (1,))]
    ((_, held),) = places_of(nodes, one_by_one(order_of(nodes, 0, 1)))
    np.testing.assert_array_equal(held, [-1] * 8 + list(range(8)) + [-1] * 6)


def test_staying_blocks_keep_their_places():
    neighbours = {(block, 0): {block} for block in range(10)}
    nodes = [node_of(10, {}, ()), node_of(10, neighbours, (1,))]
    ticks = one_by_one(order_of(nodes, 0, 10))
    ((rows, held),) = places_of(nodes, ticks, [{1, 2}, set()])
    assert rows == 24
    places = [set(held[8 * block : min(8 * block + 8, 77)].tolist()) for block in range(10)]
    assert all(places[stays].isdisjoint(places[later]) for stays in (1, 2) for later in range(stays + 1, 10))


@given(chains(), st.booleans(), st.data())
def test_bands_share_the_blocks_of_the_bands_below(nodes, share, data):
    last = nodes[-1].blocks
    ends = sorted(data.draw(st.sets(st.integers(1, last - 1), max_size=2))) if last > 1 else []
    cuts = list(zip([0, *ends], [*ends, last], strict=True))
    bands, rows = bands_of(nodes, cuts, share=share)
    assert len(bands) == len(cuts)
    computed = [step for band in bands for tick in band.ticks for step in tick]
    blocks = [(number, block) for number, some in computed for block in some]
    assert sorted(block for number, block in blocks if number == len(nodes) - 1) == list(range(last))
    if share:
        assert len(set(blocks)) == len(blocks)
    else:
        assert all(band.ready == 0 and band.waits == len(band.ticks) for band in bands)
    below_first = list(enumerate(bands))[::-1]
    whole = [(number, tick) for number, band in below_first for tick in band.ticks]
    begun = [(number, tick) for number, band in below_first for tick in band.ticks[: band.ready]]
    rest = [(number, tick) for number, band in enumerate(bands) for tick in band.ticks[band.ready :]]
    for order in (whole, begun + rest):
        look_up(nodes, bands, rows, order)


def look_up(nodes, bands, rows, order):
    """Compute the ticks of bands in some order, and check that each block is in its slot when it is read."""
    there = [{} for _ in nodes]
    before = [[None] * len(nodes) for _ in bands]
    foreign = [False] * len(bands)
    passed = [0] * len(bands)
    mine = [{(k, block) for tick in band.ticks for k, some in tick for block in some} for band in bands]
    for number, tick in order:
        places = bands[number].places
        for k, blocks in tick:
            for block in blocks:
                follows = before[number][k] == block - 1
                before[number][k] = block
                for which, back in enumerate(nodes[k].reads):
                    for needed in nodes[k].blocks_needed(block, 8, which, follows=follows):
                        foreign[number] |= (k - back, needed) not in mine[number]
                        for row in range(*nodes[k - back].rows_of(needed)):
                            assert there[k - back][places[k - back][row]] == row
                if k < len(nodes) - 1:
                    at = places[k][slice(*nodes[k].rows_of(block))]
                    assert at.min() >= 0 and at.max() < rows[k] and (np.diff(at) == 1).all()
                    there[k] |= dict(zip(at.tolist(), range(*nodes[k].rows_of(block)), strict=True))
        assert foreign[number] == (passed[number] >= bands[number].waits)
        passed[number] += 1


@given(chains(), st.integers(1, 4), st.integers(1, 3), st.integers(1, 2))
def test_nodes_of_a_pipeline_compute_concurrently(nodes, together, size, every):
    steps = order_of(nodes, 0, nodes[-1].blocks, together, [size] * len(nodes))
    ticks = pipelined(nodes, steps, every)
    check(nodes, ticks, places_of(nodes, ticks), together, size)
    assert sorted(map(str, steps)) == sorted(str(step) for tick in ticks for step in tick)


def test_a_pipeline_has_a_step_of_each_node_in_a_tick():
    same = {(block, 0): {block} for block in range(10)}
    nodes = [node_of(10, {}, ()), node_of(10, same, (1,)), node_of(10, same, (1,))]
    ticks = pipelined(nodes, order_of(nodes, 0, 10))
    assert len(ticks) == 12
    assert sorted(ticks[5]) == [(0, [5]), (1, [4]), (2, [3])]
    assert [rows for rows, _ in places_of(nodes, ticks)] == [16, 16]
    turns = pipelined(nodes, order_of(nodes, 0, 10), 2)
    assert len(turns) == 21
    assert [sorted(tick) for tick in turns[9:11]] == [[(1, [4])], [(0, [5]), (2, [4])]]
    assert [rows for rows, _ in places_of(nodes, turns)] == [8, 8]


def test_the_first_node_of_a_pipeline_does_not_run_ahead():
    nodes = [node_of(5, {}, ()), node_of(10, {(block, 0): {block // 2} for block in range(10)}, (1,))]
    ticks = pipelined(nodes, order_of(nodes, 0, 10))
    assert [time for time, tick in enumerate(ticks) if any(number == 0 for number, _ in tick)] == [0, 2, 4, 6, 8]
    assert len(ticks) == 11
    assert [rows for rows, _ in places_of(nodes, ticks)] == [16]


def test_rows_of_a_buffer_come_in_the_order_of_the_picture():
    """Slots may be out of order even if first and last slot are as far apart as those of rows in order."""
    rows = np.arange(24).reshape(6, 2, 2)
    for places in ([2, 3, 4, 5], [2, 0, 1, 5], [4, 5, 0, 1], [2, 4, 3, 5]):
        buffer = LineBuffer(Slot(rows), np.array([*places, -1]))
        np.testing.assert_array_equal(buffer.rows(0, 4), rows[places])
