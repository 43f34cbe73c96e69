"""Every block once, before it is asked for, and in a slot that nothing else takes until its last use."""

from itertools import pairwise
from types import SimpleNamespace

from hypothesis import given
from hypothesis import strategies as st

from convfilter.engine.schedule import Schedule


@st.composite
def chains(draw):
    """Links that look at any blocks of the link before."""
    counts = draw(st.lists(st.integers(1, 9), min_size=2, max_size=4))
    links = [SimpleNamespace(blocks=counts[0], block_rows=8)]
    for before, blocks in pairwise(counts):
        looks = [draw(st.sets(st.integers(0, before - 1), max_size=4)) for _ in range(blocks)]
        links.append(SimpleNamespace(blocks=blocks, block_rows=8, seen=lambda block, _rows, looks=looks: looks[block]))
    return links


@given(chains(), st.integers(1, 4), st.integers(1, 3), st.data())
def test_blocks_are_there_when_they_are_asked_for(links, together, threads, data):
    last = links[-1].blocks
    first = data.draw(st.integers(0, last - 1))
    schedule = Schedule.of(links, first, last, together, threads)
    there = [{} for _ in links]  # slot -> block
    computed = [set() for _ in links]
    for k, blocks in schedule.steps:
        assert 0 < len(blocks) <= (together if k == len(links) - 1 else threads)
        for block in blocks:
            assert block not in computed[k]
            for seen in links[k].seen(block, 8) if k else ():
                assert there[k - 1][schedule.slots[k - 1][seen]] == seen
        for block in blocks:
            computed[k].add(block)
            if k < len(links) - 1:
                assert 0 <= schedule.slots[k][block] < schedule.counts[k]
                there[k][schedule.slots[k][block]] = block
    assert computed[-1] == set(range(first, last))


def test_few_blocks_are_held():
    """Each block sees itself and its neighbours: three of the first link for each of the second, never more."""
    links = [SimpleNamespace(block_rows=8)]
    for _ in range(2):
        links.append(SimpleNamespace(block_rows=8, seen=lambda block, _rows: {max(block - 1, 0), block, block + 1}))
    assert Schedule.of(links, 0, 100, 1, 1).counts == [3, 3]
