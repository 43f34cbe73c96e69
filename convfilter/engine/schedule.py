"""The schedule of a group of nodes: how threads share its blocks, and the heights of its line buffers.

- By bands: each thread computes a band of rows of the result, and all blocks that the band needs.
- By ticks: threads share the blocks of all nodes. This is for groups whose bands overlap or take too much memory.
- By whole results, one node after the other. This replaces ticks that threads would share, if all results are small.
- By the ticks of a stream, if rows are read or written in order.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence

from convfilter.engine.node import Node
from convfilter.engine.order import (
    Band,
    Step,
    Tick,
    bands_of,
    one_by_one,
    order_of,
    pipelined,
    places_of,
)
from convfilter.record import record

#: Least multiply-adds of a run, or of a step that threads share, for which a second thread saves more time than it
#: costs: it wakes after 70 us, and the first thread some 50 us after the end of the second. On two cores of an AMD
#: EPYC, runs of 8 to 13 million take 1.0 to 1.8 times as long on two threads as on one; `maxpool:2` at 1 megapixel in
#: front of another filter, 13.5 million, lets the stack take 0.87.
WORTH_A_THREAD = 13_000_000
#: The same for a step of a stream, in which other threads read and write rows meanwhile, over the number above.
_WORTH_IN_STREAM = 2 / 3
#: Multiply-adds that take as long as reading or writing a byte. With them a thousand take 13 to 60 ns, in most nodes 23
#: to 35 (AMD EPYC).
_MOVING = 1.75
#: Multiply-adds that take as long as encoding and writing a byte of a result: 1 ns in a JPEG or PPM, 3.4 ns in a PNG.
ENCODING = 40
#: Most bytes of all results between nodes for a schedule by whole results, if there is room for them. Threads then wait
#: for each other once for each node, and each strip stays in its core's cache from its first row to its last.
WHOLE_BYTES = 64 * 2**20
#: Bytes of a crew besides scratch and index maps: programs and their tables.
_CREW_BYTES = 2**18
#: Most bytes of line buffers for which a step has more blocks than threads; above, a thread may idle instead.
_MOST_BUFFERS = 32 * 2**20
#: Least bytes that the largest node writes in a tick of a group that reads or writes rows; threads wait at its end.
_TICK_BYTES = 2**20
#: Most bytes of rows of lower bands, encoded or not, that wait in a sink until the rows above them are written.
MOST_WAITING = 64 * 2**20
#: Largest share of a run's multiply-adds in blocks that two bands both compute.
_MOST_TWICE = 0.1
#: Largest share of its input that a node loads twice so that threads share rows.
_MOST_LOADED_TWICE = 1 / 16
#: Largest share of a run's multiply-adds in blocks that the lower band computes for the upper band, too.
MOST_SHARED = 0.25


@record(eq=False)
class Schedule:
    """Order of blocks and assignment to threads.

    Attributes
    ----------
    threads : int
        Bands that are computed side by side.
    sharing : list of int
        For each node, the threads that share the blocks of a step.
    crews : list of int
        For each node, the crews that compute a step: one for all threads that share it, or one for each.
    bands : list of Band
        From the top down.
    rows : list of int
        Rows of the line buffers between the nodes.
    """

    threads: int
    sharing: list[int]
    crews: list[int]
    bands: list[Band]
    rows: list[int]


def scheduled(nodes: Sequence[Node], threads: int, room: int) -> Schedule:
    """Choose the bands and the threads, with ``room`` bytes for all buffers and crews."""
    threads = threads if sum(map(_cost, nodes)) > WORTH_A_THREAD else 1
    if len(nodes) == 1:
        return _of_one_node(nodes, threads, room)
    if any(node.in_order for node in nodes):
        return _by_written_bands(nodes, threads, room) or _by_stream(nodes, threads, room)
    if 1 < threads <= nodes[-1].blocks:
        made = _by_bands(nodes, threads, room) or _by_whole_results(nodes, threads, room)
        if made is not None:
            return made
    if threads > 1:
        for node in nodes:
            node.lower_blocks(shared=True)
    made = _by_ticks(nodes, threads, room)
    if _bytes(nodes, made.rows) + _crew_bytes(nodes, threads) <= room:
        return made
    for node in nodes:
        node.lower_blocks()
    return _by_ticks(nodes, threads, room)


def _of_one_node(nodes: Sequence[Node], threads: int, room: int) -> Schedule:
    """Return the schedule of a single node: its blocks do not depend on each other."""
    blocks, alone = nodes[0].blocks, [1]
    threads = min(threads, blocks, max(1, room // _crew_bytes(nodes)))
    alike = [[(0, list(range(blocks)))]] if threads == 1 else [[(0, [block])] for block in range(blocks)]
    return Schedule(threads, alone, alone, [_single(steps) for steps in alike], [])


def _by_whole_results(nodes: Sequence[Node], threads: int, room: int) -> Schedule | None:
    """Return the schedule of one node after the other; None if their results take too much memory."""
    if _bytes(nodes, [node.rows for node in nodes[:-1]]) > min(WHOLE_BYTES, room - threads * _crew_bytes(nodes)):
        return None
    steps = order_of(nodes, 0, nodes[-1].blocks, nodes[-1].blocks, [node.blocks for node in nodes])
    sharing = _sharing(nodes, threads, steps)
    crews = [count if _shares_rows(node, count) else 1 for node, count in zip(nodes, sharing, strict=True)]
    return Schedule(1, sharing, crews, *_one_band(nodes, one_by_one(steps)))


def _by_ticks(nodes: Sequence[Node], threads: int, room: int) -> Schedule:
    """Return the schedule of a single band of which threads share the blocks."""
    alone, blocks = [1] * len(nodes), nodes[-1].blocks
    bands, rows = _one_band(nodes, one_by_one(order_of(nodes, 0, blocks)))
    buffer_bytes = _bytes(nodes, rows)
    threads = min(threads, _most_threads(nodes, room - buffer_bytes))
    if threads == 1:
        return Schedule(1, alone, alone, bands, rows)
    room -= _crew_bytes(nodes, threads)
    sizes = _sizes(nodes, threads)
    while True:
        steps = order_of(nodes, 0, blocks, threads if buffer_bytes > _MOST_BUFFERS else sizes[-1], sizes)
        for ticks in _ticks_of(nodes, steps):
            bands, rows = _one_band(nodes, ticks)
            if _bytes(nodes, rows) <= room:
                break
        if _bytes(nodes, rows) <= room or max(sizes[1:]) == 1:
            return Schedule(1, _sharing(nodes, threads, steps), alone, bands, rows)
        sizes = _halved(sizes)


def _by_written_bands(nodes: Sequence[Node], threads: int, room: int) -> Schedule | None:
    """Return the schedule of bands side by side that a sink takes; None if it does not, or too many rows would wait."""
    *before, last = nodes
    waiting = _bytes([last], [last.rows]) * (threads - 1) // threads
    fits = 1 < threads <= last.blocks and waiting <= MOST_WAITING
    if not (fits and last.takes_bands) or any(node.in_order for node in before):
        return None
    made = _by_bands(nodes, threads, room)
    last.in_order = made is None
    return made


def _by_stream(nodes: Sequence[Node], threads: int, room: int) -> Schedule:
    """Return the schedule of a group that reads or writes rows in order."""
    from convfilter.engine.stream import Stream, readings_of

    for node in nodes:
        node.lower_blocks()
    readings, sizes = readings_of(nodes), [1] * len(nodes)
    stream = Stream(nodes, readings, sizes)
    buffer_bytes = _bytes(nodes, stream.heights)
    threads = min(threads, _most_threads(nodes, room - buffer_bytes))
    if threads > 1:
        sizes = _sizes(nodes, threads)
        if buffer_bytes <= _MOST_BUFFERS:
            sizes = _of_ticks(nodes, sizes)
        left = room - _crew_bytes(nodes, threads)
        while _bytes(nodes, (stream := Stream(nodes, readings, sizes)).heights) > left and max(sizes[1:]) > 1:
            sizes = _halved(sizes)
    steps = [-(-node.blocks // size) for node, size in zip(nodes, sizes, strict=True)]
    steps[0] = max(steps)
    worth = _WORTH_IN_STREAM * WORTH_A_THREAD
    sharing = [threads if _cost(node) > worth * some else 1 for node, some in zip(nodes, steps, strict=True)]
    return Schedule(1, sharing, [1] * len(nodes), [Band(stream, stream.heights, 0, 0)], stream.heights)


def _halved(sizes: Sequence[int]) -> list[int]:
    """Return half as many blocks for each step, except for the first node, which reads no line buffer."""
    return [sizes[0], *(max(1, size // 2) for size in sizes[1:])]


def _ticks_of(nodes: Sequence[Node], steps: Sequence[Step]) -> Iterator[list[Tick]]:
    """Yield ticks that compute steps, those with the fewest waits first, which take the most memory."""
    yield pipelined(nodes, steps)
    yield pipelined(nodes, steps, 2)
    yield one_by_one(steps)


def _sharing(nodes: Sequence[Node], threads: int, steps: Sequence[Step]) -> list[int]:
    """Return, for each node, the threads that share the blocks of a step."""
    count = Counter(number for number, _ in steps)
    return [threads if _cost(node) > WORTH_A_THREAD * count[number] else 1 for number, node in enumerate(nodes)]


def _shares_rows(node: Node, threads: int) -> bool:
    """Whether threads share the rows of a whole result, each in strips of its own, rather than columns.

    Strips of fewer columns compute more columns twice, rows of fewer blocks are loaded twice.
    """
    return node.splits_columns and (threads - 1) * node.overlap <= _MOST_LOADED_TWICE * node.jump * node.rows


def _crew_bytes(nodes: Sequence[Node], threads: int = 1) -> int:
    """Return the bytes of the crews of all nodes, each shared by ``threads``.

    Strips that persist share the columns, and so the memory, however many threads run them.
    """
    return sum(
        node.scratch_bytes * (1 if node.persists else threads) + node.table_bytes + _CREW_BYTES for node in nodes
    )


def _most_threads(nodes: Sequence[Node], room: int) -> int:
    """Return the most threads that may share the crews of all nodes in ``room`` bytes, at least one."""
    one = _crew_bytes(nodes)
    return 1 + max(0, room - one) // max(1, _crew_bytes(nodes, 2) - one)


def _single(steps: list[Step]) -> Band:
    """Return a band of a single node."""
    ticks = one_by_one(steps)
    return Band(ticks, [], 0, len(ticks))


def _one_band(nodes: Sequence[Node], ticks: Sequence[Tick]) -> tuple[list[Band], list[int]]:
    """Return the only band, and the rows of its line buffers."""
    places = places_of(nodes, ticks)
    return [Band(ticks, [row_map for _, row_map in places], 0, len(ticks))], [rows for rows, _ in places]


def _by_bands(nodes: Sequence[Node], threads: int, room: int) -> Schedule | None:
    """Return the schedule of a band for each thread; None if bands overlap too much, or take too much memory.

    More bands than threads do not pay: preparing a band takes about as long as filtering a megapixel.
    """
    blocks, cost = nodes[-1].blocks, sum(map(_cost, nodes))
    share = all(node.contiguous_rows <= node.block_rows for node in nodes)
    twice = sum(_cost(node) * rows / node.rows for rows, node in zip(_overlaps(nodes), nodes, strict=True)) / cost
    if (threads - 1) * twice > (MOST_SHARED if share else _MOST_TWICE):
        return None
    # About half of the overlap lies above the cut, and the lower band computes it: move the cut down.
    lower = twice / 2 * cost / (cost + _encoding_cost(nodes[-1])) if share else 0
    ends = [round(blocks * (number / threads + lower)) for number in range(1, threads)]
    cuts = list(zip([0, *ends], [*ends, blocks], strict=True))
    bands, rows = bands_of(nodes, cuts, share=share)
    counts = [len([*band.ticks]) for band in bands]
    waits_long = any(
        lower.ready > lower.waits or lower.ready * counts[above] > upper.waits * counts[number]
        for number, lower in enumerate(bands)
        for above, upper in enumerate(bands[:number])
    )
    if waits_long or _bytes(nodes, rows) + threads * _crew_bytes(nodes) > room:
        return None
    alone = [1] * len(nodes)
    return Schedule(threads, alone, alone, bands, rows)


def _cost(node: Node) -> float:
    """Return the time of a node in multiply-adds."""
    return node.cost + _MOVING * (node.read_bytes + _bytes([node], [node.rows]))


def _encoding_cost(node: Node) -> float:
    """Return the time in which a sink encodes the bands of a node, in multiply-adds."""
    return ENCODING * _bytes([node], [node.rows]) if node.takes_bands else 0


def _block_bytes(node: Node) -> int:
    return node.block_rows * math.prod(node.row_shape) * node.dtype.itemsize


def _bytes(nodes: Sequence[Node], rows: Sequence[int]) -> int:
    """Return the bytes of line buffers of these heights."""
    return sum(
        count * math.prod(node.row_shape) * node.dtype.itemsize for node, count in zip(nodes, rows, strict=False)
    )


def _overlaps(nodes: Sequence[Node]) -> list[float]:
    """Return the rows of each node's result that two neighbouring bands both compute."""
    rows = [0.0] * len(nodes)
    for number in range(len(nodes) - 1, 0, -1):
        node = nodes[number]
        for back in node.reads:
            if number >= back:
                before = number - back
                rows[before] = max(rows[before], rows[number] * node.jump + node.overlap + nodes[before].block_rows)
    return rows


def _sizes(nodes: Sequence[Node], threads: int) -> list[int]:
    """Return the blocks of each node in a step.

    The first node computes all blocks that a step needs, since its input takes no line buffer. Each other node computes
    one block for each thread, one large block of which threads share the columns, or as many rows as the tallest block
    before it allows.
    """
    sizes, tallest = [nodes[0].blocks], [float(nodes[0].block_rows)]
    for number, node in enumerate(nodes[1:], 1):
        above = tallest[max(0, number - node.reads[0])] / node.jump
        tallest.append(max(node.block_rows, above))
        is_shared = node.splits_columns or node.in_order
        least = 1 if is_shared and 4 * _block_bytes(node) > 3 * _TICK_BYTES else threads
        sizes.append(max(least, round(tallest[number] / node.block_rows)))
    return sizes


def _of_ticks(nodes: Sequence[Node], sizes: Sequence[int]) -> list[int]:
    """Return the sizes of steps for ticks of at least ``_TICK_BYTES``."""
    largest = max(_block_bytes(node) * size for node, size in zip(nodes[1:], sizes[1:], strict=True))
    times = max(1, _TICK_BYTES // largest)
    return [times * size for size in sizes]
