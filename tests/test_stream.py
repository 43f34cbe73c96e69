"""A stream computes every block once, from the top down, in a ring that holds rows until their last use."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from convfilter.engine.node import Node
from convfilter.engine.rows import Connection, FromRows, ToRows
from convfilter.engine.stream import Stream, readings_of
from convfilter.executor.group import GroupRun
from convfilter.filters import stack
from convfilter.picture.row_source import LazyRows
from convfilter.planning import plan_stack


class Reading(Node):
    """A node whose blocks need given rows of its inputs."""

    row_shape, dtype = (4, 1), np.dtype("uint8")

    def __init__(self, rows, block_rows, looks, reads, *, group=1, persists=False, in_order=False, lead=0):
        self.rows, self.block_rows, self.reads, self.in_order = rows, block_rows, reads, in_order
        self.contiguous_rows, self.persists, self._looks = group * block_rows, persists, looks
        self.lead_blocks = lead

    def demand(self, top, bottom, number=0):
        return self._looks[number][top // self.block_rows + self.lead_blocks]

    def incoming(self, top, bottom, number=0):
        block = top // self.block_rows + self.lead_blocks
        return np.setdiff1d(self.demand(top, bottom, number), self._looks[number][block - 1] if block else [])

    def crew(self, sources, target, threads):
        raise NotImplementedError


@st.composite
def chains(draw):
    """Nodes that read some rows of the one or two nodes before, or padding."""
    nodes = [of_rows(draw, 0, [], (), in_order=draw(st.booleans()))]
    for number in range(1, draw(st.integers(2, 5))):
        reads = (1, 2) if number > 1 and draw(st.booleans()) else (1,)
        nodes.append(of_rows(draw, number, nodes, reads))
    last = nodes[-1]
    if draw(st.booleans()):
        same = [np.arange(top, min(top + last.block_rows, last.rows)) for top in range(0, last.rows, last.block_rows)]
        nodes.append(Reading(last.rows, last.block_rows, [same], (1,), in_order=True))
    return nodes


def of_rows(draw, number, nodes, reads, *, in_order=False):
    rows, block_rows = draw(st.integers(1, 40)), draw(st.integers(1, 6))
    persists = bool(reads) and draw(st.booleans())
    lead = draw(st.integers(0, 3)) if persists else 0
    looks = []
    for back in reads:
        of_input = st.lists(st.integers(-1, nodes[number - back].rows - 1), max_size=5)
        moving = draw(st.booleans())
        looks.append([
            np.array(moved(draw(of_input), top, nodes[number - back].rows) if moving else draw(of_input), np.int64)
            for top in range(-lead * block_rows, rows, block_rows)
        ])  # fmt: skip
    group = draw(st.integers(1, 2))
    return Reading(rows, block_rows, looks, reads, group=group, persists=persists, in_order=in_order, lead=lead)


def moved(rows, top, most):
    """Return a few rows near a block, as those of a window."""
    return [max(-1, min(top + row % 7, most - 1)) for row in rows]


@given(chains(), st.data())
def test_rows_are_computed_before_they_are_read(nodes, data):
    sizes = [data.draw(st.integers(1, 3)) for _ in nodes]
    stream = Stream(nodes, readings_of(nodes), sizes)
    places = [np.arange(node.rows) % height for node, height in zip(nodes, stream.heights, strict=False)]
    for _ in range(2):  # a stream begins again for each picture
        check(nodes, stream, places)


def check(nodes, stream, places):
    there = [{} for _ in nodes]  # place -> row
    done = [-node.lead_blocks for node in nodes]
    for tick in stream:
        assert len({k for k, _ in tick}) == len(tick)
        assert sum(not nodes[k].in_order for k, _ in tick) <= 1
        read = set()
        for k, blocks in tick:
            node = nodes[k]
            assert blocks == list(range(done[k], done[k] + len(blocks)))
            for block in blocks:
                for number, back in enumerate(node.reads if k else ()):
                    needed = node.incoming if node.persists and (block or node.lead_blocks) else node.demand
                    read |= {(k - back, row) for row in needed(*node.rows_of(block), number) if row >= 0}
        assert all(there[k][places[k][row]] == row for k, row in read)
        for k, blocks in tick:
            done[k] += len(blocks)
            for row in (
                range(max(0, nodes[k].rows_of(blocks[0])[0]), nodes[k].rows_of(blocks[-1])[1])
                if k < len(places)
                else ()
            ):
                there[k][places[k][row]] = row
        assert all(there[k][places[k][row]] == row for k, row in read), "written over while it was read"
    assert done[-1] == nodes[-1].blocks


def window(rows, block_rows, reach):
    return [np.arange(max(0, top - reach), min(rows, top + block_rows + reach)) for top in range(0, rows, block_rows)]


def test_rows_are_read_and_written_while_a_step_is_computed():
    nodes = [
        Reading(32, 8, [], (), in_order=True),
        Reading(32, 8, [window(32, 8, 0)], (1,)),
        Reading(32, 8, [window(32, 8, 0)], (1,), in_order=True),
    ]
    stream = Stream(nodes, readings_of(nodes), [1, 1, 1])
    assert list(stream) == [
        [(0, [0])],
        [(1, [0]), (0, [1])],
        [(1, [1]), (2, [0]), (0, [2])],
        [(1, [2]), (2, [1]), (0, [3])],
        [(1, [3]), (2, [2])],
        [(2, [3])],
    ]
    assert stream.heights == [16, 16]


def test_few_rows_are_held():
    """A step needs three blocks of the first node, and two of them anew; the second node's block is used at once."""
    nodes = [Reading(800, 8, [], (), in_order=True)]
    nodes += [Reading(800, 8, [window(800, 8, reach)], (1,)) for reach in (5, 0)]
    assert Stream(nodes, readings_of(nodes), [1, 1, 1]).heights == [32, 8]


def test_lead_blocks_need_no_higher_buffer_than_others():
    """Each block loads eight rows into a ring of 24; without lead blocks the first one would load all 24."""
    looks = [np.arange(max(0, top), top + 8) for top in range(0, 816, 8)]
    nodes = [
        Reading(816, 8, [], (), in_order=True),
        Reading(800, 8, [looks], (1,), persists=True, lead=2),
        Reading(800, 8, [window(800, 8, 0)], (1,), in_order=True),
    ]
    stream = Stream(nodes, readings_of(nodes), [1, 1, 1])
    assert stream.heights == [16, 16]
    assert [*stream][:4] == [[(0, [0])], [(1, [-2]), (0, [1])], [(1, [-1]), (0, [2])], [(1, [0]), (0, [3])]]


@pytest.mark.parametrize("shape", [(331, 40, 3), (97, 40, 4), (40, 40, 1)])
@pytest.mark.parametrize("mode", ["edge", "reflect", "constant"])
@pytest.mark.parametrize(
    "text",
    ["gaussian:4", "gaussian:20", "box:11x3", "maxpool:2,stride=40", "unsharp:2|relu", "gaussian:1|gaussian:9|box:3",
     "sobel:magnitude|maxpool:2", "median:5", "kirsch", "tophat:3", "box:301x3"],
)  # fmt: skip
def test_spans_hold_the_rows_that_blocks_demand(text, mode, shape):
    specs = [
        spec if spec.startswith(("maxpool", "relu")) else f"{spec}{',' if ':' in spec else ':'}padding_mode={mode}"
        for spec in text.split("|")
    ]
    stages = stack.stages(specs)
    plan = plan_stack(stages, shape, "uint8", alpha=shape[2] == 4)
    source = LazyRows(shape, np.dtype("uint8"), lambda: iter(()))
    nodes = GroupRun(plan, 0, plan.stages, source.dtype, 2).nodes(source, None)
    before = FromRows(Connection(source), shape, source.dtype)
    for number, node in enumerate([before, *nodes, ToRows(Connection(None), nodes[-1])]):
        node.lower_blocks()
        for k in range(len(node.reads)):
            (firsts, stops), (exact_firsts, exact_stops) = node.spans(k), Node.spans(node, k)
            assert (firsts <= exact_firsts).all(), (number, k)
            assert (stops >= exact_stops).all(), (number, k)
