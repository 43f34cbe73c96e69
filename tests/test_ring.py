"""The ring buffer of source rows holds every row that a tap reads, in its place."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from convfilter.planning.arithmetic import AxisPlan
from convfilter.planning.ring import STEP_ROWS, Ring

small = st.integers(1, 9)


@given(st.integers(1, 60), small, small, small, st.integers(0, 12), st.sampled_from([STEP_ROWS, 8]), st.data())
def test_every_tap_finds_its_row(length, kernel, stride, dilation, pad, step_rows, data):
    axis = AxisPlan(length, kernel, stride, dilation, pad, pad + dilation * (kernel - 1))
    first = data.draw(st.integers(0, kernel - 1))
    last = data.draw(st.integers(first + 1, kernel))
    ring = Ring.of(axis, first, last, step_rows)
    places, table = ring.places(), ring.table()
    assert table.shape == (ring.period, step_rows, last - first)
    memory = np.full(ring.slots, -1)
    for step in range(-ring.lead, -(-axis.output // step_rows)):
        slot = step % ring.period * ring.block
        memory[slot : slot + ring.block] = places[(step + ring.lead) * ring.block :][: ring.block]
        for row in range(step_rows if step >= 0 else 0):
            output = step_rows * step + row
            if output < axis.output:
                wanted = output * stride + np.arange(first, last) * dilation
                np.testing.assert_array_equal(memory[table[step % ring.period, row]], wanted)


@pytest.mark.parametrize(("stride", "dilation", "per_output"), [(1, 1, 1), (1, 4, 1), (2, 2, 1), (3, 1, 3), (5, 1, 4)])
def test_only_rows_that_a_tap_looks_at_come_in(stride, dilation, per_output):
    ring = Ring.of(AxisPlan(100, 4, stride, dilation, 0, 0), 0, 4)
    assert ring.block == STEP_ROWS * per_output
