"""Every loop three ways: as plain Python, as machine code, and as NumPy expressions."""

from importlib import import_module
from inspect import isfunction
from itertools import cycle, product
from typing import Any, NamedTuple

import numpy as np
import pytest

from convfilter.executor import masked_box
from convfilter.loops import huffman, masked_box_bytes
from convfilter.loops.vectors import vector_bytes
from convfilter.planning import networks
from convfilter.precompile import variants

#: Of a vector of float32.
LANES = vector_bytes() // 4


class Near(NamedTuple):
    """Expected content of an array up to rounding: (..., rows, cols) values, with a pitch of rows in samples."""

    place: tuple[Any, int]

    def check(self, found):
        values, pitch = self.place
        rows = found.reshape(*values.shape[:-1], pitch)[..., : values.shape[-1]]
        np.testing.assert_allclose(rows, values, rtol=1e-11, atol=1e-11)


class Beginning(NamedTuple):
    """Expected beginning of an array."""

    values: Any

    def check(self, found):
        np.testing.assert_array_equal(found[: len(self.values)], self.values)


class Case(NamedTuple):
    """Arguments of a loop, and the expected content of each array that it writes, by position (None: any)."""

    arguments: list[Any]
    written: dict[int, Any]
    result: int = 0


def samples(rng, size, dtype):
    """Make samples that all sums in these tests hold exactly, so that the order of a sum does not matter."""
    low = 0 if np.dtype(dtype).kind == "u" else -50
    return rng.integers(low, 200, size).astype(dtype)


def unset(size, dtype):
    """Make memory for output, filled with a value that no result has."""
    return np.full(size, 77, dtype)


def rows_of(flat, starts, length):
    """Cut ``flat`` into runs: one row for each start."""
    return flat[np.asarray(starts)[:, np.newaxis] + np.arange(length)]


# load ------------------------------------------------------------------------


def load(rng, S, A=None):
    A = A or S
    constant = 7 if np.dtype(A).kind == "u" else -7.5
    for channels, run in [(1, (0, 0)), (3, (2, 4)), (2, (0, 6)), (4, (5, 1)), (3, (1, 55))]:
        width, height = 4 + sum(run), 4
        source = samples(rng, (height, width, channels), S)
        rows = np.array([2, -1, 0, 0, 3])
        cols = np.resize([width - 1, -1, 3, -1, 0, 2], max(6, sum(run) + 1))
        cols[run[0] : sum(run)] = 1 + np.arange(run[1])
        pitch = cols.size * channels + 3
        expected = unset((rows.size, pitch), A)
        padded = np.full((height + 1, width + 1, channels), constant, A)
        padded[:height, :width] = source
        expected[:, : cols.size * channels] = padded[rows][:, cols].reshape(rows.size, -1)
        tile = unset(expected.size, A)
        yield Case(
            [source.ravel(), width * channels, rows, rows.size, cols, cols.size, *run, channels, constant, tile, pitch],
            {10: expected},
        )


def load_masked(rng, S, A=None):
    A = A or S
    constant = 7 if np.dtype(A).kind == "u" else -7.5
    for channels, run in [(1, (0, 0)), (3, (2, 4)), (2, (0, 6)), (4, (5, 1)), (3, (1, 55)), (1, (2, 90))]:
        width, height = 4 + sum(run), 4
        source, valid = samples(rng, (height, width, channels), S), rng.integers(0, 2, (height, width, 1), np.uint8)
        rows = np.array([2, -1, 0, 0, 3])
        cols = np.resize([width - 1, -1, 3, -1, 0, 2], max(6, sum(run) + 1))
        cols[run[0] : sum(run)] = 1 + np.arange(run[1])
        line, pitch = cols.size * (channels + 1), cols.size * (channels + 1) + 3
        expected = unset((rows.size, pitch), A)
        padded = np.full((height + 1, width + 1, channels + 1), constant, A)
        padded[:height, :width] = np.concatenate([np.where(valid, source, 0), valid], axis=2)
        expected[:, :line] = padded[rows][:, cols].reshape(rows.size, -1)
        if np.dtype(S).kind == "f":
            source[valid[..., 0] == 0] = np.nan
        picture = source.ravel(), width * channels, valid.ravel(), width
        where = rows, rows.size, cols, cols.size, *run, channels, constant, 0
        out = unset(line + LANES * 4, S), unset(expected.size, A), pitch
        yield Case([*picture, *where, *out], {13: None, 14: expected})


def load_filled(rng, S, A=None):
    for case in load(rng, S, A):
        source, source_pitch, *where, constant, tile, pitch = case.arguments
        channels, expected = where[-1], case.written[10]
        width, height = source_pitch // channels, source.size // source_pitch
        valid = rng.integers(0, 2, (height, width), np.uint8)
        if np.dtype(S).kind == "f":
            source[np.flatnonzero(np.repeat(valid, channels) == 0)] = np.nan
        rows, cols = where[0][:, np.newaxis], where[2]
        ignored = (rows >= 0) & (cols >= 0) & (valid[rows, cols] == 0)
        expected[:, : cols.size * channels][np.repeat(ignored, channels, axis=1)] = 0
        line, marks = (unset(cols.size * channels + 3 * vector_bytes(), kind) for kind in (S, np.uint8))
        picture = source, source_pitch, valid.ravel(), width
        where += [constant]
        yield Case([*picture, *where, 0, 0, line, tile, pitch, marks], {14: None, 15: expected.copy(), 17: None})
        padded = expected[:, : cols.size * channels]
        padded += np.where(np.repeat(ignored, channels, axis=1), 0, 32).astype(expected.dtype)
        fresh = [unset(each.size, each.dtype) for each in (line, tile, marks)]
        counted = [*picture, *where, 32, 0, fresh[0], fresh[1], pitch, fresh[2]]
        yield Case(counted, {14: None, 15: expected, 17: None})


def premultiply(rng, A):
    for channels in (2, 3, 4):
        tile = samples(rng, (3, 5 * channels + 2), A)
        expected = tile.copy()
        pixels = expected[:, : 5 * channels].reshape(3, 5, channels)
        pixels[..., :-1] *= pixels[..., -1:].copy()
        pixels[..., -1] *= 255
        yield Case([tile.ravel(), tile.shape[1], 3, 5, channels, 255.0], {0: expected})


def luminance(rng, A):
    for channels in (3, 4):
        tile = samples(rng, (3, 5 * channels + 1), A)
        pixels = tile[:, : 5 * channels].reshape(3, 5, channels)
        expected = unset((3, 5 * (channels - 2) + 2), A)
        gray = expected[:, : 5 * (channels - 2)].reshape(3, 5, channels - 2)
        gray[..., 0] = pixels[..., :3] @ np.array([299, 587, 114], A)
        gray[..., 1:] = 1000 * pixels[..., 3:]
        out = unset(expected.size, A)
        yield Case(
            [tile.ravel(), tile.shape[1], 3, 5, channels, 299.0, 587.0, 114.0, out, expected.shape[1]], {8: expected}
        )


def find_nonfinite(rng, A):
    """Yield a bad sample in a vector and in a tail, and one between the rows, which does not count."""
    for bad, row, col in [(0, 0, 0), (np.nan, 2, 3 * LANES), (np.inf, 0, 1), (-np.inf, 1, 0), (np.nan, 1, -1)]:
        length = 3 * LANES + 1
        some = samples(rng, (3, length + 2), A)
        some[row, col] = bad
        found = np.zeros(1, np.int64)
        yield Case([some.ravel(), length + 2, 3, length, found], {4: np.array([bad != 0 and col >= 0])})


def pick(rng, A):
    for channels in (1, 2, 3, 4):
        source = samples(rng, (4, 7, channels), A)
        cols = np.array([6, 0, 3, 3, 1])
        expected = unset((4, 5 * channels + 2), A)
        expected[:, : 5 * channels] = source[:, cols].reshape(4, -1)
        out = unset(expected.size, A)
        yield Case([source.ravel(), 7 * channels, 4, cols, cols.size, channels, out, expected.shape[1]], {6: expected})


def multirate_along(rng, A):
    """Yield rows padded on both sides, with fewer and more columns than lanes."""
    tall = 2 * 64 // np.dtype(A).itemsize
    for channels, cols, before, places, step, down_taps, middle_taps, up_taps, width, rows in [
        (1, 3, 2, 9, 2, 3, 1, 2, 4, 1),
        (3, 31, 5, 44, 3, 7, 3, 4, 29, 4),
        (2, 37, -3, 40, 2, 5, 5, 3, 41, tall - 3),
        (4, 5, 70, 150, 1, 66, 3, 9, 33, 3),
    ]:
        lowered, blurred = (places - down_taps) // step + 1, (places - down_taps) // step + 2 - middle_taps
        tile = samples(rng, (tall, cols + 1, channels), A)
        index = rng.integers(-1, cols, places)
        own = np.arange(max(0, before), min(places, before + cols))
        index[own] = own - before
        down, middle, up = (samples(rng, size, A) % 4 for size in (down_taps, middle_taps, (5, up_taps)))
        chunks, most = -(-width // 7), blurred - up_taps + 1
        phase, place = np.tile(rng.integers(0, 5, 7), chunks), rng.integers(0, most, 7 * chunks)
        value = tile[:rows, np.where(index < 0, cols, index)]
        for taps, count, apart in ((down, lowered, step), (middle, blurred, 1)):
            value = sum(taps[t] * value[:, t : t + (count - 1) * apart + 1 : apart] for t in range(taps.size))
        value = sum(up[phase, t][:, np.newaxis] * value[:, place + t] for t in range(up_taps))[:, :width]

        def table(places, channels=channels):
            at = (places[:, np.newaxis] * channels + np.arange(channels)).ravel()
            return np.append(at, np.repeat(at[-1:], -at.size % 8))

        lowered_at = table(np.arange(lowered) * step)
        # Chunks of seven pixels; eight sums for each, the last channel more than once.
        channel = np.minimum(np.arange(8), channels - 1)
        up_at, up_place = ((p[:, np.newaxis] * channels + channel).ravel() for p in (place, np.arange(7)))
        length, pitch = width * channels, width * channels + 3
        expected = unset((rows, pitch), A)
        out = expected.ravel().copy()
        expected[:, :length] = value.reshape(rows, length)
        many = -(-blurred * channels // 8) * 8
        turned = unset((places * channels + lowered_at.size + many + 7 * channels + 100) * 16, A)
        yield Case(
            [
                tile.ravel(), rows, channels, cols, before, index, places,
                lowered_at, lowered_at.size, down, down_taps, many, middle, middle_taps,
                up_at, up_place, phase[:7] * up_taps, up_place.size, up.ravel(), up_taps,
                turned, out, pitch, length, 7 * channels,
            ],
            {20: None, 21: expected},
        )  # fmt: skip


# correlate, extreme, gradient ---------------------------------------------------------


def correlate(rng, A):
    for taps in (0, 1, 2, 3, 5, 7, 8, 9, 11, 16, 22):
        rows, step, length, pitch = 3, 4, 10, 12
        tile = samples(rng, 100, A)
        row_offset = rng.integers(0, 60, rows * step)
        tap_row, tap_col = rng.integers(0, step, taps), rng.integers(0, 20, taps)
        for accumulate, weight_step in [(0, 0), (1, 0), (0, taps), (1, taps + 2)]:
            weight = samples(rng, (rows if weight_step else 1) * max(taps, weight_step), A)
            out = unset(rows * pitch, A)
            expected = out.reshape(rows, pitch).copy()
            expected[:, :length] *= accumulate
            for tap in range(taps):
                starts = row_offset.reshape(rows, step)[:, tap_row[tap]] + tap_col[tap]
                of_row = weight[np.arange(rows)[:, np.newaxis] * weight_step + tap]
                expected[:, :length] += of_row * rows_of(tile, starts, length)
            yield Case(
                [
                    tile, row_offset, taps, tap_row, tap_col, weight, weight_step,
                    rows, step, accumulate, out, pitch, length,
                ],
                {10: expected},
            )  # fmt: skip

    yield from rows_of_many_blocks(rng, A)


def rows_of_many_blocks(rng, A):
    """Yield rows of several blocks of vectors and a rest; evenly spaced taps, whose samples blocks may share."""
    for taps, apart, length in [(1, 3, 300), (9, 3, 131), (20, 3, 700), (40, 3, 541), (60, 3, 400), (9, 12, 401)]:
        yield row_of_even_taps(rng, A, taps, np.arange(taps) * apart, length)
    yield row_of_even_taps(rng, A, 70, np.arange(70) * 3, 300)
    yield row_of_even_taps(rng, A, 21, np.append(np.arange(20) * 3, 58), 400)
    yield row_of_even_taps(rng, A, 21, np.arange(21)[::-1] * 3, 400)


def row_of_even_taps(rng, A, taps, tap_col, length):
    rows, pitch, accumulate = 2, length + 1, taps % 2
    tile = samples(rng, 2 * (length + int(tap_col.max())) + 7, A)
    row_offset = np.array([5, tile.size - length - int(tap_col.max())])
    weight = samples(rng, 2 * taps, A)
    out = unset(rows * pitch, A)
    expected = out.reshape(rows, pitch).copy()
    expected[:, :length] *= accumulate
    for row, start in enumerate(row_offset):
        expected[row, :length] += weight[row * taps :][:taps] @ rows_of(tile, start + tap_col, length)
    tap_row = np.zeros(taps, np.int64)
    return Case(
        [tile, row_offset, taps, tap_row, tap_col, weight, taps, rows, 1, accumulate, out, pitch, length],
        {10: expected},
    )


def correlate_four(rng, A):
    for runs in (0, 1, 2, 3, 7, 8, 9, 12, 19):
        blocks, length, pitch = 2, 9, 11
        tile = samples(rng, 100, A)
        offset = rng.integers(0, 90, blocks * runs)
        for accumulate, weight_step in [(0, 0), (1, 0), (1, 4 * runs)]:
            weight = samples(rng, max(4 * runs, blocks * weight_step), A)
            out = unset(4 * blocks * pitch, A)
            expected = out.reshape(blocks, 4, pitch).copy()
            expected[..., :length] *= accumulate
            for block in range(blocks):
                of_rows = weight[block * weight_step :][: 4 * runs].reshape(runs, 4)
                expected[block, :, :length] += of_rows.T @ rows_of(tile, offset.reshape(blocks, runs)[block], length)
            arguments = [tile, offset, runs, weight, weight_step, blocks, 4 + runs % 5, accumulate, out, pitch, length]
            yield Case(arguments, {8: expected})
    yield from four_rows_that_slide(rng, A)


def four_rows_that_slide(rng, A):
    """Yield rows of several blocks of vectors and a rest, down which windows slide: weights of zero at both ends."""
    for taps, slide, length in [(5, 1, 200), (2, 1, 70), (1, 2, 131), (70, 1, 90), (6, 3, 64)]:
        runs, pitch, accumulate = taps + 3 * slide, length, taps % 2
        tile, offset = samples(rng, 1000, A), rng.integers(0, 800, 2 * runs)
        weight = np.zeros((runs, 4), A)
        for row in range(4):
            weight[row * slide :][:taps, row] = samples(rng, taps, A)
        out = unset(8 * pitch, A)
        expected = out.reshape(2, 4, pitch) * A(accumulate)
        for block in range(2):
            expected[block] += weight.T @ rows_of(tile, offset.reshape(2, runs)[block], length)
        yield Case([tile, offset, runs, weight.ravel(), 0, 2, 64, accumulate, out, pitch, length], {8: expected})


def correlate_stored(rng, A, T):
    yield from sums_that_are_stored(correlate(rng, A), A, T)


def correlate_four_stored(rng, A, T):
    cases_ = ((case.arguments, case.written[8]) for case in correlate_four(rng, A))
    sums = (Case([*some[:6], *some[7:]], {7: written}) for some, written in cases_)  # one sum of all runs
    yield from sums_that_are_stored(sums, A, T)


def sums_that_are_stored(sums, A, T):
    """Turn cases of sums into cases of loops that also store, each with another epilogue."""
    tones = cycle([*STEPS, (2.0**-11, 1.0, 60.0, 0), (1.0, 2048.0, 0.0, 1)])
    full = int(np.iinfo(T).max)
    for case, tone in zip(sums, tones, strict=False):
        *where, accumulate, out, pitch, length = case.arguments
        if accumulate:
            continue
        start = 3
        sums_ = np.reshape(case.written[len(where) + 1], (-1, pitch))[:, :length]
        value = np.rint(stored(sums_, *tone, A))
        expected = unset(start + out.size, T)
        written = expected.copy()
        expected[start:].reshape(-1, pitch)[:, :length] = np.clip(value, 0, full)
        clipped = int(np.sum((value < 0) | (value > full)))
        arguments = [*where, written, start, pitch, length, *tone, float(full)]
        yield Case([*arguments, 0, 0.0, 1.0, 1.0], {len(where): expected}, clipped)
        behind = arguments[len(where) + 1 :]
        if not clipped:
            yield Case([*where, written.copy(), *behind, 1, 0.0, 1.0, 1.0], {len(where): expected}, 0)
        value = np.rint(stored(_counted_quotients(sums_, 64, 3, 2, A), *tone, A))
        expected = expected.copy()
        expected[start:].reshape(-1, pitch)[:, :length] = np.clip(value, 0, full)
        clipped = int(np.sum((value < 0) | (value > full)))
        yield Case([*where, written.copy(), *behind, 0, 64.0, 3.0, 2.0], {len(where): expected}, clipped)


def _counted_quotients(sums, unit, factor, divisor, A):
    """Return quotients of sums that hold sums of weights in multiples of ``unit``; 0 where these are not above 0."""
    weights = np.rint(sums.astype(A) / unit)
    quotients = (sums - weights * A(unit)) * A(factor) / (np.where(weights > 0, weights, 1) * A(divisor))
    return np.where(weights > 0, quotients, A(0)).astype(A)


def correlate_eight(rng, S, A):
    for taps, count, vectors_long in [(7, 1, 1), (8, 3, 2), (13, 2, 3), (21, 1, 7)]:
        runs, length = taps + 7, vectors_long * LANES
        pitch = length + LANES
        tile, offset = samples(rng, 1000, S), rng.integers(0, 1000 - length, count * runs)
        weight = np.zeros((runs, 8), A)
        for row in range(8):
            weight[row : row + taps, row] = samples(rng, taps, A)
        out = unset(8 * count * pitch, A)
        expected = out.reshape(count, 8, pitch).copy()
        for block in range(count):
            expected[block, :, :length] = weight.T @ rows_of(tile, offset.reshape(count, runs)[block], length).astype(A)
        yield Case([tile, offset, runs, weight.ravel(), count, out, pitch, length], {5: expected})


def correlate_eight_stored(rng, A, T):
    for case in correlate_eight(rng, A, A):
        *where, out, pitch, length = case.arguments
        sums = np.reshape(case.written[5], (-1, pitch))[:, :length]
        # The values to round are multiples of 1/4, with halves among them.
        scale = A(2.0 ** -np.ceil(np.log2(abs(sums).max() / 100)))
        for tone in [(scale, 1.0, 101.0), (scale, 4.0, 150.25)]:
            value = sums * tone[0] / tone[1] + tone[2]
            expected = unset(out.size, T).reshape(-1, pitch)
            written = expected.ravel().copy()
            expected[:, :length] = np.rint(value)
            yield Case([*where, written, pitch, length, 0, *tone], {5: expected})
        where[0] = abs(where[0]) % 8 + 0.5  # weights become what sums to less than 255
        where[3] = np.where(where[3] != 0, A(0.125), A(0))
        expected = unset(out.size, T).reshape(-1, pitch)
        written = expected.ravel().copy()
        for block in range(where[4]):
            seen = rows_of(where[0], where[1].reshape(where[4], -1)[block], length)
            expected[8 * block :][:8, :length] = np.rint(where[3].reshape(-1, 8).T @ seen)
        yield Case([*where, written, pitch, length, 1, 1.0, 1.0, 0.0], {5: expected})


def interleave(rng, S):
    for rows, depth in [(1, LANES), (3, 2 * LANES)]:
        pitch = depth * LANES + 3
        natural = samples(rng, rows * pitch, S)
        stretches = natural.reshape(rows, pitch)[:, : depth * LANES].reshape(rows, LANES, depth)
        yield Case([natural, pitch, rows, depth, unset(rows * depth * LANES, S)], {4: stretches.transpose(0, 2, 1)})


def append_halo(rng, A):
    for rows, depth, count in [(2, 5, 3), (1, 4, 11)]:
        pitch = (depth + count) * LANES + 1
        tile = samples(rng, rows * pitch, A)
        expected = tile.copy()
        for row in expected.reshape(rows, pitch):
            vectors = row[:-1].reshape(-1, LANES)
            for number in range(count):
                vectors[depth + number] = np.append(vectors[number, 1:], vectors[number, -1])
        yield Case([tile, pitch, rows, depth, count], {0: expected})


def deinterleave(rng, T):
    for rows, depth, length in [(1, LANES, 5), (3, 2 * LANES, 2 * LANES**2), (2, 2 * LANES, LANES**2 + 5 * LANES + 3)]:
        pitch, start, out_pitch = depth * LANES + 2, 3, length + 4
        tile = samples(rng, rows * pitch, T)
        natural = tile.reshape(rows, pitch)[:, : depth * LANES].reshape(rows, depth, LANES).transpose(0, 2, 1)
        expected = unset(start + rows * out_pitch, T)
        out = expected.copy()
        expected[start:].reshape(rows, out_pitch)[:, :length] = natural.reshape(rows, -1)[:, :length]
        line = unset(depth * LANES + LANES * LANES, T)
        yield Case([tile, pitch, rows, depth, line, out, start, out_pitch, length], {4: None, 5: expected})


def extremes(rng, S, extreme):
    """Make cases for extremes, or sums, of windows in blocks, with and without whole ones between, or row by row."""
    for window, step, reach, (block, blocks), before, channels in [
        ((1, 1), (1, 1), 1, (1, 0), 0, 1),
        ((3, 2), (2, 1), 1, (1, 0), 1, 3),
        ((4, 3), (1, 3), 2, (1, 0), 0, 2),
        ((5, 4), (1, 1), 1, (5, 1), 2, 1),
        ((7, 5), (1, 2), 3, (3, 2), 5, 3),
        ((8, 17), (3, 1), 1, (2, 4), 0, 1),
        ((9, 33), (2, 1), 1, (3, 3), 4, 2),
    ]:
        height, width, pitch = 6, 41, 41 * channels + 2
        source = samples(rng, (height, pitch), S)
        if np.dtype(S).kind == "f":
            source[1, 5:9], source[2, 20], source[4, 30:33] = -np.inf, np.nan, -np.inf
        count, places = 5, before + width + 3
        rows = rng.integers(0, height, (count - 1) * step[0] + window[0])
        nearest = np.clip(np.arange(places), before, before + width - 1)
        out_cols = (places - (window[1] - 1) * reach - 1) // step[1] + 1
        padded = source[:, : width * channels].reshape(height, width, channels)[rows][:, nearest - before]
        span = window[0], (window[1] - 1) * reach + 1
        windows = np.lib.stride_tricks.sliding_window_view(padded, span, axis=(0, 1))
        expected = extreme(windows[:: step[0], :: step[1], :, :, ::reach], axis=(-1, -2))[:count, :out_cols]
        start, out_pitch = 2, out_cols * channels + 3
        written = unset(start + count * out_pitch, S)
        out = written.copy()
        written[start:].reshape(count, -1)[:, : out_cols * channels] = expected.reshape(count, -1)
        length = width * channels
        sizes = block * length, max(1, blocks) * length, length, length, places * channels, places * channels
        scratch = [unset(size, S) for size in sizes]
        yield Case(
            [
                source.ravel(), pitch, rows, window[0], step[0], block, blocks,
                length, nearest, places, before, channels, window[1], reach, step[1],
                *scratch, out, start, out_pitch, out_cols, count,
            ],
            dict.fromkeys(range(15, 21)) | {21: written},
        )  # fmt: skip


def sums(rng, A):
    yield from extremes(rng, A, np.sum)


def largest(rng, X):
    yield from extremes(rng, X, np.max)


def least(rng, X):
    yield from extremes(rng, X, np.min)


def magnitude(rng, A):
    for side, centre, (left, middle, right) in [(1.0, 2.0, (0, 3, 6)), (3.0, 10.0, (12, 0, 5))]:
        rows, length, pitch = 3, 8, 9
        tile = samples(rng, 100, A)
        row_offset = rng.integers(0, 70, 3 * rows)
        window = np.array(
            [[rows_of(tile, row_offset[row::3] + col, length) for col in (left, middle, right)] for row in range(3)],
            np.float64,
        )
        smooth, difference = np.array([side, centre, side]), np.array([1, 0, -1])
        gx = np.einsum("i,j,ijyx->yx", smooth, difference, window)
        gy = np.einsum("i,j,ijyx->yx", difference, smooth, window)
        expected = unset((rows, pitch), A)
        expected[:, :length] = np.sqrt((gx * gx + gy * gy).astype(A))
        out = unset(expected.size, A)
        yield Case([tile, row_offset, left, middle, right, side, centre, rows, out, pitch, length], {8: expected})


def length_of(rng, A):
    rows, pitch, length, out_pitch = 3, 7, 5, 9
    x, y = samples(rng, rows * pitch, A), samples(rng, rows * pitch, A)
    expected = unset((rows, out_pitch), A)
    expected[:, :length] = np.sqrt(x * x + y * y).reshape(rows, pitch)[:, :length]
    out = unset(expected.size, A)
    yield Case([x, y, pitch, rows, out, out_pitch, length], {4: expected})


# box ---------------------------------------------------------------------------


def run_down(rng, A):
    for rows, step in [(1, 1), (4, 1), (3, 2)]:
        pitch, length, out_pitch = 7, 6, 8
        total = samples(rng, length, A)
        entering, leaving = samples(rng, (rows * step, pitch), A), samples(rng, (rows * step, pitch), A)
        totals = total + np.cumsum(entering - leaving, axis=0)[:, :length]
        expected = unset((rows, out_pitch), A)
        expected[:, :length] = totals[step - 1 :: step]
        out = unset(expected.size, A)
        yield Case(
            [total, entering.ravel(), leaving.ravel(), pitch, rows, step, out, out_pitch, length],
            {0: totals[-1], 6: expected},
        )


def run_right(rng, A):
    for rows, window, step, channels in [(1, 1, 1, 1), (4, 3, 1, 1), (5, 4, 2, 3), (8, 2, 5, 2), (11, 5, 3, 1)]:
        cols = 4
        pitch, out_pitch = ((cols - 1) * step + window) * channels + 2, cols * channels + 1
        tile = samples(rng, (rows, pitch), A)
        pixels = tile[:, :-2].reshape(rows, -1, channels)
        expected = unset((rows, out_pitch), A)
        sums = [pixels[:, x * step : x * step + window].sum(axis=1) for x in range(cols)]
        expected[:, :-1] = np.stack(sums, axis=1).reshape(rows, -1)
        out = unset(expected.size, A)
        yield Case([tile.ravel(), pitch, rows, window, step, channels, out, out_pitch, cols], {6: expected})


def windows(rng, S, sums):
    """Yield windows of few columns and of many, with strides and dilation: the arguments and the expected sums."""
    for channels, window, step, reach, before, divide in [
        (1, (3, 1), (1, 1), 1, 0, 0),
        (3, (2, 2), (1, 1), 1, 2, 1),
        (2, (3, 3), (2, 1), 2, 1, 0),
        (1, (1, 8), (1, 1), 1, 3, 0),
        (3, (9, 9), (3, 1), 1, 3, 1),
        (2, (4, 5), (1, 3), 1, 1, 1),
        (3, (5, 3), (6, 5), 1, 0, 0),
        (3, (8, 4), (1, 2), 2, 30, 1),
    ]:
        height, width, padding = 8, 20, 7
        source = samples(rng, (height, width, channels), S)
        count, places = 4, max(before + width + 2, (window[1] - 1) * reach + 1)
        out_cols = (places - (window[1] - 1) * reach - 1) // step[1] + 1
        rows = rng.integers(-1, height, (count - 1) * step[0] + window[0])
        cols = rng.integers(-1, width, places)
        cols[before : before + width] = np.arange(width)[: max(0, places - before)]
        padded = np.full((height + 1, width + 1, channels), padding, np.int64)
        padded[:-1, :-1] = source  # index -1 is then the padding
        span = window[0], (window[1] - 1) * reach + 1
        windows = np.lib.stride_tricks.sliding_window_view(padded[rows][:, cols], span, axis=(0, 1))
        totals = windows[:: step[0], :: step[1], :, :, ::reach].sum(axis=(-1, -2))[:, :out_cols].reshape(count, -1)
        line = max(places, before + width) * channels
        lead = rng.integers(-1, height, step[0])  # of the row above, which is not there
        arguments = [
            source.ravel(), width * channels, np.append(lead, rows), window[0], step[0], padding, np.zeros(1, np.int64),
            unset(line, sums), width * channels, cols, places, before, channels, window[1], reach, step[1],
            unset(places * channels, sums), unset((places + reach) * channels, np.int32),
            unset(out_cols * channels, np.int32), out_cols,
        ]  # fmt: skip
        yield arguments, totals, window, divide


#: Arguments that are written besides the result: the state, and scratch memory.
BESIDE = {6: np.ones(1, np.int64), 7: None, 16: None, 17: None, 18: None}


def means(rng, S, sums, real):
    """Make cases for means with and without a division."""
    for arguments, totals, window, divide in windows(rng, S, sums):
        count, length = totals.shape
        channels, out_cols = arguments[12], arguments[19]
        down = rng.integers(1, window[0], count, endpoint=True) if divide else np.full(count, 2.0**-7)
        along = rng.integers(1, window[1], out_cols * channels, endpoint=True)
        value = totals / (down[:, np.newaxis] * along) if divide else totals * down[:, np.newaxis]
        start, out_pitch = 2, length + 3
        expected = unset(start + count * out_pitch, S)
        out = expected.copy()
        expected[start:].reshape(count, -1)[:, :-3] = np.rint(value).astype(int).astype(S)
        numbers = [down.astype(real), along.astype(real), divide, 0, 0, 0, out, start, out_pitch, count]
        yield Case([*arguments, *numbers], {**BESIDE, 26: expected})


def sum_rows(rng, A, S=None):
    for arguments, totals, *_ in windows(rng, S or np.uint8, np.int32 if S else np.uint16):
        yield from sums_of(arguments, totals, A)


def sums_of(arguments, totals, A):
    count, length = totals.shape
    start, out_pitch = 1, length + 2
    expected = unset(start + count * out_pitch, A)
    out = expected.copy()
    expected[start:].reshape(count, -1)[:, :-2] = totals
    yield Case([*arguments, out, start, out_pitch, count], {**BESIDE, 20: expected})


def mean_rows(rng):
    yield from means(rng, np.uint8, np.uint16, np.float32)
    yield from means_of_few_columns(rng)


def means_of_few_columns(rng):
    """Make cases for windows whose sums are multiplied by whole factors: chunks, vectors, a rest, the extremes."""
    for channels, width, window, shift in [
        (3, 53, (3, 3), 0),
        (1, 7, (5, 3), 3),
        (4, 40, (33, 3), 0),
        (3, 30, (5, 5), 4),
        (1, 2300, (3, 7), 3),
        (2, 70, (7, 7), 3),
        (3, 1100, (9, 1), 1),
    ]:
        count, (rows, cols) = 6, window
        source = rng.choice([0, 1, 127, 128, 254, 255], (count + rows - 1, width, channels)).astype(np.uint8)
        source[:, :9] = 255
        reach, length = cols // 2, width * channels
        index, area, padded = np.clip(np.arange(width + cols - 1) - reach, 0, width - 1), rows * cols, width + cols - 1
        windows = np.lib.stride_tricks.sliding_window_view(source[:, index], window, axis=(0, 1))
        expected = np.rint(windows.sum(axis=(-1, -2)) / area).astype(np.uint8).ravel()
        yield Case(
            [
                source.ravel(), length, np.arange(-1, count + rows - 1), rows, 1, 0, np.zeros(1, np.int64),
                unset(2 * padded * channels + 64, np.uint16), length, index, padded, reach, channels, cols, 1, 1,
                unset(padded * channels, np.uint16), unset((padded + 1) * channels, np.int32),
                unset(length, np.int32), width, np.full(count, 1 / area, np.float32), np.ones(length, np.float32), 0,
                area // 2, 2 ** (16 + shift) // area + 1, 2 ** (16 - shift) if shift else 0,
                unset(count * length, np.uint8), 0, length, count,
            ],
            {**BESIDE, 26: expected},
        )  # fmt: skip


def mean_rows_wide(rng, S):
    yield from means(rng, S, np.int32, np.float64)


# png_filters -------------------------------------------------------------------


def predicted(kind, image, distance):
    """Predict each byte below the first row as PNG's filters do (third edition, section 9)."""
    image = image.astype(int)
    a = np.zeros_like(image[1:])
    a[:, distance:] = image[1:, :-distance]
    b = image[:-1]
    c = np.zeros_like(b)
    c[:, distance:] = b[:, :-distance]
    if kind < 4:
        return [np.zeros_like(a), a, b, (a + b) // 2][kind]
    p = a + b - c
    pa, pb, pc = abs(p - a), abs(p - b), abs(p - c)
    return np.where((pa <= pb) & (pa <= pc), a, np.where(pb <= pc, b, c))


def png_image(rng, distance):
    """Make rows for which different filters of the five are best."""
    image = rng.integers(0, 256, (11, 6 * distance))
    image[3:5] = rng.integers(0, 9, (2, 6 * distance))
    image[5:7] = np.arange(6 * distance) * 3
    image[9:11] = image[8] + np.arange(6 * distance) // 5
    return image.astype(np.uint8)


def apply_filters(rng, B):
    for distance, group, most in [(1, 0, 2), (3, 0, 0), (3, 0, 4), (1, 1, 3), (2, 1, 4), (4, 3, 3), (3, 100, 4)]:
        image = png_image(rng, distance)
        rows, length = image.shape[0] - 1, image.shape[1]
        filtered = np.array([image[1:] - predicted(kind, image, distance) for kind in range(5)]).astype(np.uint8)
        sizes = np.minimum(filtered, 256 - filtered.astype(int))[..., distance:].sum(axis=2)
        expected = np.empty((rows, length + 1), np.uint8)
        for first in range(0, rows, group or rows):
            middle = min(first + group // 2, rows - 1)
            kinds = (2, 3, 1, 0, 4) if most == 4 else (2, 3, 1, 0)
            kind = min(kinds, key=lambda each: sizes[each, middle]) if group else most
            some = slice(first, first + (group or rows))
            expected[some, 0], expected[some, 1:] = kind, filtered[kind, some]
        out = unset(expected.size, B)
        yield Case([image.ravel(), rows, length, distance, group, most, out], {6: expected})


def undo_filters(rng, B):
    for distance, wrong in [(1, None), (3, None), (4, None), (2, 0), (3, 7)]:
        image = png_image(rng, distance)
        rows, length = image.shape[0] - 1, image.shape[1]
        kinds = np.arange(rows) % 5
        predictions = np.array([predicted(kind, image, distance)[row] for row, kind in enumerate(kinds)])
        data = np.column_stack([kinds, image[1:] - predictions]).astype(np.uint8)
        if wrong is not None:
            data[wrong, 0] = 5
        done = rows if wrong is None else wrong
        expected = np.where(np.arange(rows)[:, np.newaxis] < done, image[1:], 77).astype(np.uint8)
        out = unset(rows * length, B)
        yield Case([data.ravel(), rows, length, distance, image[0], out], {5: expected}, done)


# huffman -----------------------------------------------------------------------

AC_SYMBOLS = [0x00, 0xF0, *range(1, 11), *range(0x11, 0x19), 0x21, 0x35, 0x42, 0x71, 0x9A, 0xA1, 0xC3, 0xE1, 0xF2, 0xFA]
#: Categories of DC differences, and symbols that do not occur.
DC_SYMBOLS = [*range(12), *range(0x20, 0x32)]


def huffman_codes(symbols):
    """Return codes of 2 to 16 bits, two of each length, as text, and the number of codes of each length."""
    codes, code = {}, 0
    for number, symbol in enumerate(symbols):
        length = 2 + number // 2
        codes[int(symbol)] = f"{code:0{length}b}"
        code = (code + 1) << number % 2
    counts = np.bincount([len(each) for each in codes.values()], minlength=17)[1:]
    return codes, counts.astype(np.uint8)


def first_codes(bits, codes, is_ac):
    """Find the codes that ``bits`` begin with: the number of their bits, and the category or the coefficients."""
    used = coefficients = 0
    while code := next((each for each in codes if bits[used:].startswith(each)), None):
        symbol = codes[code]
        if not is_ac:
            return symbol << 5 | len(code) if symbol < 12 else 0
        if symbol == 0:
            return 1 << 12 | (coefficients + 1) << 5 | used + len(code)
        if coefficients + (symbol >> 4) + 1 > 63:
            break
        coefficients += (symbol >> 4) + 1
        used += len(code) + symbol % 16
    return (coefficients or 127 * is_ac) << 5 | used


def fill_table(rng):
    for is_ac, some in ((0, DC_SYMBOLS), (1, AC_SYMBOLS)):
        symbols = rng.permutation(some).astype(np.uint8)
        codes, counts = huffman_codes(symbols)
        by_code = {code: symbol for symbol, code in codes.items()}
        entries = [first_codes(f"{index:012b}", by_code, is_ac) for index in range(1 << 12)]
        yield Case([counts, symbols, is_ac, unset(huffman.TABLE_SIZE, np.uint16)], {3: Beginning(entries)})


def dc_bits(difference, codes):
    size = int(abs(difference)).bit_length()
    return codes[size] + (f"{difference + (2**size - 1) * (difference < 0):0{size}b}" if size else "")


def ac_bits(rng, codes):
    """Return random coefficients of a block."""
    bits, last = "", 0
    while last < 63:
        symbol = int(rng.choice(list(codes)))
        if symbol == 0 or last + (symbol >> 4) + 1 > 63:
            return bits + codes[0]
        size = symbol % 16
        bits += codes[symbol] + (f"{rng.integers(1 << size):0{size}b}" if size else "")
        last += (symbol >> 4) + 1
    return bits


def with_stuffing(bits):
    bits += "1" * (-len(bits) % 8)
    return bytes(int(bits[at : at + 8], 2) for at in range(0, len(bits), 8)).replace(b"\xff", b"\xff\0")


def copy_rows(rng):
    for components, rows, mcus in [((0,), 3, 40), ((0, 0, 1, 2), 2, 9), ((0, 0, 0, 0, 1, 2), 1, 5)]:
        kinds = [huffman_codes(rng.permutation(symbols)) for symbols in (DC_SYMBOLS, AC_SYMBOLS, AC_SYMBOLS)]
        (dc, _), *acs = [(codes, counts) for codes, counts in kinds]
        tables = []
        for is_ac, (codes, counts) in zip((0, 1, 1), kinds, strict=True):
            tables.append(np.zeros(huffman.TABLE_SIZE, np.uint16))
            huffman.fill_table(counts, np.array(list(codes), np.uint8), is_ac, tables[-1])
        stored, alone, last = "", "", [0] * 3
        firsts = [components.index(component) == block for block, component in enumerate(components)]
        for mcu in range(rows * mcus):
            for component, first in zip(components, firsts, strict=True):
                value = int(rng.choice([last[component], rng.integers(-1000, 1001)]))
                ac = ac_bits(rng, acs[component > 0][0])
                stored += dc_bits(value - last[component], dc) + ac
                alone += dc_bits(value if first and mcu == 0 else value - last[component], dc) + ac
                last[component] = value
        data, expected = with_stuffing(stored), with_stuffing(alone)
        size = huffman.TABLE_SIZE
        blocks = [(each, first, 0, size * (1 + (each > 0))) for each, first in zip(components, firsts, strict=True)]
        scan = np.array([mcus, len(blocks), *np.ravel(blocks)], np.int64)
        codes = np.array([(len(dc[each]), int(dc[each], 2)) for each in range(12)] * 3, np.int64)
        state = np.zeros(huffman.STATE_SIZE, np.int64)
        state[0] = 5
        file = np.frombuffer(bytes(5) + data + b"\xff\xd9", np.uint8)
        arguments = [
            scan,
            np.concatenate(tables),
            codes.ravel(),
            state,
            rows,
            rows - 1,
            unset(2 * len(data) + 64, np.uint8),
        ]
        written = {5: None, 8: Beginning(np.frombuffer(expected, np.uint8))}
        yield Case([file, 5 + len(data), *arguments], written, len(expected))
        for end in (len(data), 5 + len(data) // 2, 5):
            yield Case([file, end, *arguments], {5: None, 8: None}, -1)


# store -------------------------------------------------------------------------


def stored(tile, scale, divisor, offset, absolute, real):
    """Return the values before rounding, computed in the precision of the last step."""
    value = real(scale) * (tile.astype(real) / real(divisor)) + real(offset)
    return np.abs(value) if absolute else value


#: Scale, divisor, offset and whether the magnitude is taken. All products are exact, so that it does not matter
#: whether they are rounded before the offset is added.
STEPS = [(1.0, 4.0, 0.0, 0), (1.0, 1.0, -20.0, 1), (257.0, 9.0, 0.0, 0), (-0.5, 3.0, 0.25, 1), (2.0, 1.0, 127.5, 0)]


def store_whole(rng, V, R, T):
    full = int(np.iinfo(T).max)
    for (scale, divisor, offset, absolute), length in product(STEPS, (9, 75)):
        rows, pitch, start, out_pitch = 3, length + 1, 2, length + 2
        tile = rng.integers(-3 * full, 9 * full, (rows, pitch)).astype(V)
        if np.dtype(V).kind == "f":
            tile[0, :9] = 2, 6, 10, -2, -6, 0, np.nan, np.inf, -np.inf
        value = np.rint(stored(tile[:, :length], scale, divisor, offset, absolute, R))
        expected = unset(rows * out_pitch + start, T)
        out = expected.copy()
        rows_of_output = expected[start:].reshape(rows, out_pitch)
        rows_of_output[:, :length] = np.clip(np.nan_to_num(value, nan=0, posinf=full, neginf=0), 0, full)
        clipped = int(np.sum(~((value >= 0) & (value <= full))))
        yield Case(
            [tile.ravel(), pitch, rows, length, scale, divisor, offset, absolute, float(full), out, start, out_pitch],
            {9: expected},
            clipped,
        )


def store_integers(rng, V, R, T):
    low, full = int(np.iinfo(T).min), int(np.iinfo(T).max)
    for scale, divisor, offset, absolute in STEPS:
        rows, length, pitch, start, out_pitch = 3, 11, 12, 2, 13
        tile = rng.integers(-3 * full, 9 * full, (rows, pitch)).astype(V)
        tile[0, :9] = 2, 6, 10, -2, -6, 0, np.nan, np.inf, -np.inf
        value = np.rint(stored(tile[:, :length], scale, divisor, offset, absolute, R))
        expected = unset(rows * out_pitch + start, T)
        out = expected.copy()
        inside = np.clip(np.nan_to_num(value, nan=0, posinf=full, neginf=low), low, full)
        expected[start:].reshape(rows, out_pitch)[:, :length] = inside
        clipped = int(np.sum(~((value >= low) & (value <= full))))
        numbers = [scale, divisor, offset, absolute, float(low), float(full)]
        where = [tile.ravel(), pitch, rows, length]
        yield Case([*where, *numbers, out, start, out_pitch], {10: expected}, clipped)


def store_real(rng, V, R, T):
    for scale, divisor, offset, absolute in STEPS:
        rows, length, pitch, start, out_pitch = 3, 7, 8, 2, 9
        tile = samples(rng, (rows, pitch), V)
        if np.dtype(V).kind == "f":
            tile[0, :3] = np.nan, np.inf, -np.inf
        expected = unset(rows * out_pitch + start, T)
        out = expected.copy()
        value = stored(tile[:, :length], scale, divisor, offset, absolute, R)
        expected[start:].reshape(rows, out_pitch)[:, :length] = value
        yield Case(
            [tile.ravel(), pitch, rows, length, scale, divisor, offset, absolute, out, start, out_pitch], {8: expected}
        )


def divide_by_alpha(rng, A):
    for channels, mean_divisor, divisor, scale in [(2, 1.0, 3.0, 0.0), (4, 9.0, 1.0, 50.0), (3, 1.0, 1.0, 0.0)]:
        rows, cols, full, whole, neutral = 3, 5, A(255), A(2295), 0.5
        tile = samples(rng, (rows, cols * channels + 1), A)
        mean = samples(rng, (rows, cols * channels + 2), A)
        mean[0, channels - 1], mean[1, channels - 1] = 0, -3
        alpha = mean[:, :-2].reshape(rows, cols, channels)[..., -1]
        expected = tile.copy()
        pixels = expected[:, :-1].reshape(rows, cols, channels)
        with np.errstate(divide="ignore", invalid="ignore"):
            quotient = pixels * full / (alpha[..., np.newaxis] / A(mean_divisor) * A(divisor))
        pixels[...] = np.where(alpha[..., np.newaxis] > 0, quotient, 0)
        pixels[..., -1] = np.clip(alpha / A(whole) * A(scale), 0, neutral) if scale else neutral
        out = unset(rows * cols, A)
        yield Case(
            [
                tile.ravel(), tile.shape[1], mean.ravel(), mean.shape[1],
                mean_divisor, divisor, float(full), float(whole),
                rows, cols, channels, neutral, scale, out, unset(cols * channels, A),
            ],
            {0: expected, 13: alpha / whole, 14: None},
        )  # fmt: skip


def _masked_sums(rng, rows, cols, channels, A):
    """Return sums of colours and of a mask of zeros and powers of two, by which they are divided without rounding."""
    sums = samples(rng, (rows, cols, channels), A)
    sums[..., -1] = A(2) ** rng.integers(-2, 3, (rows, cols))
    sums[rng.random((rows, cols)) < 0.2] = 0
    divisors = np.where(sums[..., -1:] > 0, sums[..., -1:], 1)
    return sums, sums[..., :-1] / divisors


def divide_by_mask(rng, A):
    for channels, factor, mask_divisor, divisor in [(2, 1.0, 1.0, 4.0), (4, 3.0, 8.0, 1.0), (3, 1.0, 1.0, 1.0)]:
        rows, cols = 3, 7
        sums, quotients = _masked_sums(rng, rows, cols, channels, A)
        tile = unset((rows, cols * channels + 1), A)
        tile[:, :-1] = sums.reshape(rows, -1)
        where = tile.ravel(), tile.shape[1], rows, cols, channels, factor, mask_divisor, divisor, float("inf")
        out = unset(cols, A), unset(quotients.size, A)
        yield Case([*where, *out], {9: None, 10: quotients * A(factor) * A(mask_divisor) / A(divisor)})


def divide_counted(rng, A):
    rows, length, pitch = 3, 70, 75
    tile = rng.integers(-2000, 9000, rows * pitch).astype(A)
    expected = tile.copy().reshape(rows, pitch)
    expected[:, :length] = _counted_quotients(expected[:, :length], 64, 3, 2, A)
    yield Case([tile, pitch, rows, length, 64.0, 3.0, 2.0, float("inf")], {0: expected})


def store_masked(rng, A, T):
    full = int(np.iinfo(T).max)
    for channels, factor, divisor, exact, scale, offset, absolute in [
        (2, 0.5, 1.0, 0, 1.0, 0.0, 0), (4, 1.0, 1.0, 1, 1.0, 0.0, 0), (4, 2.0, 1.0, 0, -0.5, 3.0, 1),
        (2, 1.0, 1.0, 0, full / 16, 7.0, 0), (2, 3.0, 2.0, 1, 1.0, 0.0, 0), (4, 8.0, 1.0, 1, 1.0, 2.0, 0),
        (4, 1.0, 2.0, 2, 1.0, 0.0, 0), (2, 1.0, 1.0, 2, 1.0, 0.0, 0), (4, 64.0, 1.0, 2, 1.0, 0.0, 0),
        (2, 64.0, 1.0, 0, 1.0, 0.0, 0),
    ]:  # fmt: skip
        rows, cols = 2, LANES * LANES // channels + 5
        start, out_pitch = 3, cols * (channels - 1) + 2
        sums, quotients = _masked_sums(rng, rows, cols, channels, A)
        sums[:, ::7, -1], quotients[:, ::7] = -2, 0
        tile = unset((rows, cols * channels + 1), A)
        tile[:, :-1] = sums.reshape(rows, -1)
        values = np.rint(A(scale) * (quotients * A(factor / divisor)) + A(offset))
        values = np.abs(values) if absolute else values
        kept = np.clip(values, 0, full)
        expected = unset(start + rows * out_pitch, T)
        out = expected.copy()
        expected[start:].reshape(rows, out_pitch)[:, :-2] = kept.reshape(rows, -1)
        numbers = factor, divisor, exact, scale, offset, absolute, float(full)
        where = tile.ravel(), tile.shape[1], rows, cols, channels, *numbers
        yield Case([*where, out, start, out_pitch], {12: expected}, int(np.count_nonzero(kept != values)))


def store_quotients(rng, A, T):
    for channels, exact in [(2, 0), (4, 1), (4, 0), (2, 2), (4, 2), (2, 1)]:
        rows, cols, start = 2, 2 * LANES + 5, 3
        sums, quotients = _masked_sums(rng, rows, cols, channels, A)
        sums[..., :-1], quotients = np.abs(sums[..., :-1]) / 8, np.abs(quotients) / 8
        tile = unset((rows, cols * channels + 1), A)
        tile[:, :-1] = sums.reshape(rows, -1)
        expected = unset((rows, cols * (channels - 1) + 2), T)
        expected[:, :-2] = np.rint(quotients).reshape(rows, -1)
        expected = np.concatenate([unset(start, T), expected.ravel()])
        where = tile.ravel(), tile.shape[1], rows, cols, channels, 1.0, exact
        out = unset(expected.size, T)
        yield Case([*where, out, start, cols * (channels - 1) + 2], {7: expected})


def unmask(rng, A, T):
    for channels, exact in [(4, 0), (2, 1), (4, 2)]:
        sums, quotients = _masked_sums(rng, 6, LANES, channels, A)
        sums[..., :-1], quotients = np.abs(sums[..., :-1]) / 8, np.abs(quotients) / 8
        tile = sums.transpose(0, 2, 1)
        expected = np.rint(quotients).transpose(0, 2, 1).astype(T)
        yield Case([tile.ravel(), 6, channels, exact, unset(expected.size, T)], {4: expected})


def split_alpha(rng, A):
    for keep, shift, divisor in [(1.0, 0.0, 16.0), (0.0, 0.5, 1.0), (1.0, -0.25, 4.0)]:
        rows, cols, channels, pitch, mean_pitch = 2, 5, 4, 23, 21
        tile, mean = samples(rng, (rows, pitch), A), samples(rng, (rows, mean_pitch), A)
        expected = tile.copy()
        pixels = expected[:, : cols * channels].reshape(rows, cols, channels)
        alpha = mean[:, : cols * channels].reshape(rows, cols, channels)[..., -1] / A(divisor)
        pixels[..., :-1] = A(keep) * pixels[..., :-1] + A(shift) * alpha[..., np.newaxis]
        pixels[..., -1] = 0
        where = [tile.ravel(), pitch, mean.ravel(), mean_pitch, divisor, keep, shift, rows, cols, channels]
        yield Case([*where, unset(rows * cols, A)], {0: expected, 10: alpha.ravel()})


def store_alpha(rng, A, T):
    whole = np.dtype(T).kind == "u"
    full = int(np.iinfo(T).max) if whole else 1
    for channels, scale in [(2, 1.0), (4, 0.5)]:
        rows, cols, start, out_pitch = 3, 5, 1, 5 * channels + 1
        alpha = (samples(rng, rows * cols, A) * A(full) / A(150)).astype(A)
        expected = unset(rows * out_pitch + start, T)
        out = expected.copy()
        value = alpha.reshape(rows, cols) * A(scale)
        value = np.clip(np.rint(value) if whole else value, 0, A(full))
        expected[start:].reshape(rows, out_pitch)[:, :-1].reshape(rows, cols, channels)[..., -1] = value
        yield Case([alpha, rows, cols, channels, scale, float(full), int(whole), out, start, out_pitch], {7: expected})


def divide_by_counts(rng, A):
    rows, length, pitch = 3, 7, 9
    tile = samples(rng, (rows, pitch), A)
    down, along = (rng.integers(1, 9, size).astype(A) for size in (rows, length))
    expected = tile.copy()
    expected[:, :length] /= down[:, np.newaxis] * along
    yield Case([tile.ravel(), pitch, rows, length, down, along], {0: expected})


def sharpen(rng, A):
    for threshold in (0.0, 30.0):
        rows, length, pitch, centre_pitch = 3, 21, 24, 22
        tile, centre = samples(rng, (rows, pitch), A), samples(rng, (rows, centre_pitch), A)
        tile[0, 0], centre[1, 1] = np.nan, np.inf
        expected, there = tile.copy(), centre[:, :length]
        difference = there - expected[:, :length] * A(0.5)
        difference[np.abs(difference) < threshold] = 0
        expected[:, :length] = there + difference * A(1.5)
        arguments = [tile.ravel(), pitch, centre.ravel(), centre_pitch, rows, length, 0.5, 1.5, threshold]
        yield Case(arguments, {0: expected})


def widen_range(rng, V):
    for colours in (2, 3):
        rows, cols, channels = 3, 4, 3
        tile = samples(rng, (rows, cols * channels + 1), V)
        if np.dtype(V).kind == "f":
            tile[0, :2] = np.nan, np.inf
        values = tile[:, :-1].reshape(rows, cols, channels)[..., :colours].astype(np.float64) * -2 / 8 + 3
        finite = values[np.isfinite(values)]
        before = np.array([0.5, 1.0])
        expected = min(0.5, finite.min()), max(1.0, finite.max())
        arguments = [tile.ravel(), tile.shape[1], rows, cols, channels, colours, -2.0, 8.0, 3.0, before]
        yield Case(arguments, {9: np.array(expected)})


def clip_real(rng, T):
    rows, cols, channels, start, pitch = 2, 5, 4, 1, 22
    out = samples(rng, start + rows * pitch, T)
    out[start : start + 3] = np.nan, np.inf, -np.inf
    expected = out.copy()
    pixels = expected[start:].reshape(rows, pitch)[:, : cols * channels].reshape(rows, cols, channels)
    pixels[..., :3] = np.clip(pixels[..., :3], 0, 100)
    yield Case([out, start, pitch, rows, cols, channels, 3, 100.0], {0: expected})


# points --------------------------------------------------------------------------

FUNCTIONS = [
    lambda x, low, high: np.maximum(x, 0),
    lambda x, low, high: np.abs(x),
    lambda x, low, high: x + low,
    lambda x, low, high: x * low,
    np.clip,
    lambda x, low, high: (x - low) * high,
    lambda x, low, high: np.where(x >= low, high, 0),
    lambda x, low, high: high - x,
]


def apply_function(rng, A):
    for number, function in enumerate(FUNCTIONS):
        for channels, colours, divisor in [(3, 3, 1.0), (2, 1, 4.0)]:
            rows, cols, pitch, low, high = 2, 7, 7 * channels + 2, 2.0, 50.0
            tile = samples(rng, (rows, pitch), A)
            tile[0, 0], tile[1, 0] = np.nan, -np.inf
            expected, alpha = tile.copy(), unset(rows * cols, A)
            pixels = expected[:, : cols * channels].reshape(rows, cols, channels)
            written = {0: expected}
            if colours < channels:
                written[11] = pixels[..., -1].ravel() / A(divisor)
            with np.errstate(invalid="ignore"):
                pixels[..., :colours] = function(pixels[..., :colours] / A(divisor), A(low), A(high))
            if colours < channels:
                pixels[..., -1] = 9.0
            numbers = [channels, colours, number, low, high, divisor, 9.0]
            yield Case([tile.ravel(), pitch, rows, cols, *numbers, alpha], written)


def apply_premultiplied(rng, A):
    for number, function in enumerate(PREMULTIPLIED_FUNCTIONS):
        for keep, shift, divisor in [(1.0, 0.0, 1.0), (0.5, -0.25, 4.0)]:
            rows, cols, channels, pitch, low, high, full = 2, 7, 3, 23, 2.0, 50.0, 64.0
            tile = samples(rng, (rows, pitch), A)
            expected = tile.copy()
            pixels = expected[:, : cols * channels].reshape(rows, cols, channels)
            alpha = pixels[..., -1:] / A(divisor)
            values = function(pixels[..., :-1] / A(divisor), A(low), A(high), alpha / A(full))
            pixels[..., :-1] = A(keep) * values + A(shift) * alpha
            pixels[..., -1] = 0
            numbers = [channels, number, low, high, divisor, full, keep, shift]
            yield Case(
                [tile.ravel(), pitch, rows, cols, *numbers, unset(rows * cols, A)], {0: expected, 12: alpha.ravel()}
            )


#: As ``activate`` numbers them: those whose values have no rounding. Those of exponentials are in test_filters.py.
ACTIVATED = {
    0: lambda x, low, high: np.where(x < 0, low * x, x),
    9: lambda x, low, high: x / (1 + np.abs(x)),
    10: lambda x, low, high: np.where(x > low, x, 0),
    11: lambda x, low, high: np.clip(low * x + high, 0, 1),
    15: lambda x, low, high: np.sign(x) * np.where(np.abs(x) > low, np.abs(x) - high, 0),
    16: lambda x, low, high: np.abs(x) ** low,
}


def activate(rng):
    for number, function in ACTIVATED.items():
        for channels, colours, divisor in [(3, 3, 1.0), (2, 1, 4.0)]:
            rows, cols, pitch, white, low, high = 2, 7, 7 * channels + 2, 2.0, 2.0, 0.5
            tile = rng.integers(-3, 4, (rows, pitch)) * divisor * white
            expected, alpha = tile.copy(), unset(rows * cols, "f8")
            pixels = expected[:, : cols * channels].reshape(rows, cols, channels)
            written = {0: expected}
            if colours < channels:
                written[12] = pixels[..., -1].ravel() / divisor
            pixels[..., :colours] = white * function(pixels[..., :colours] / divisor / white, low, high)
            if colours < channels:
                pixels[..., -1] = 9.0
            numbers = [channels, colours, number, low, high, divisor, white, 9.0]
            yield Case([tile.ravel(), pitch, rows, cols, *numbers, alpha], written)


def activate_premultiplied(rng):
    for number, function in ACTIVATED.items():
        rows, cols, channels, pitch, white, low, high, keep, shift = 2, 7, 3, 23, 4.0, 2.0, 0.5, 0.5, -0.25
        tile = rng.integers(-3, 4, (rows, pitch)) * 1.0
        tile[:, 2::3] = rng.integers(0, 3, tile[:, 2::3].shape) * 2
        expected = tile.copy()
        pixels = expected[:, : cols * channels].reshape(rows, cols, channels)
        alpha = pixels[..., -1:] / 2
        share = alpha / white
        with np.errstate(divide="ignore", invalid="ignore"):
            values = white * share * function(pixels[..., :-1] / 2 / (white * share), low, high)
        pixels[..., :-1] = keep * np.where(share == 0, 0, values) + shift * alpha
        pixels[..., -1] = 0
        numbers = [channels, number, low, high, 2.0, white, keep, shift]
        where = [tile.ravel(), pitch, rows, cols]
        yield Case([*where, *numbers, unset(rows * cols, "f8")], {0: expected, 12: alpha.ravel()})


#: As ``apply_premultiplied`` numbers them; ``share`` is the opacity.
PREMULTIPLIED_FUNCTIONS = [
    lambda x, low, high, share: np.maximum(x, 0),
    lambda x, low, high, share: np.abs(x),
    lambda x, low, high, share: x + low * share,
    lambda x, low, high, share: x * low,
    lambda x, low, high, share: np.minimum(np.maximum(x, low * share), high * share),
    lambda x, low, high, share: (x - low * share) * high,
    lambda x, low, high, share: np.where(x >= low * share, high * share, 0),
    lambda x, low, high, share: high * share - x,
]


def look_up(rng, S, T):
    for channels, colours in [(3, 3), (4, 3)]:
        rows, cols, start, out_pitch = np.array([2, 0]), 5, 1, 5 * channels + 2
        source = samples(rng, (3, cols, channels), S)
        table, opacities = (rng.integers(0, 200, np.iinfo(S).max + 1).astype(T) for _ in range(2))
        counts = rng.integers(0, 2, table.size)
        expected = unset(start + rows.size * out_pitch, T)
        out = expected.copy()
        picked = source[rows]
        found = np.concatenate([table[picked[..., :colours]], opacities[picked[..., colours:]]], axis=2)
        expected[start:].reshape(rows.size, -1)[:, :-2] = found.reshape(rows.size, -1)
        where = [source.ravel(), cols * channels, rows, rows.size, cols, channels, colours]
        clipped = int(counts[picked[..., :colours]].sum())
        yield Case([*where, table, opacities, counts, out, start, out_pitch], {10: expected}, clipped)


# mask ---------------------------------------------------------------------------------


def append_mask(rng, M):
    for channels in (1, 2, 3):
        picture, valid = samples(rng, (5, 9, channels), M), rng.integers(0, 2, (5, 9)).astype(np.uint8)
        joined = unset((4, 8, channels + 1), M)
        counts = valid[1:4, 2:7]
        joined[1:, 3:, :channels] = np.where(counts[..., np.newaxis], picture[1:4, 2:7], 0)
        joined[1:, 3:, channels] = counts * 7
        where = 11 * channels, 9 * channels, valid.ravel(), 11, 9, 3, 5, channels, np.array([7], M)
        out = unset(joined.size, M), 11 * (channels + 1), 8 * (channels + 1)
        yield Case([picture.ravel(), *where, *out], {10: joined})


def drop_mask(rng, M):
    for channels in (1, 2, 3):
        found = samples(rng, (3, 5, channels + 1), M)
        expected = unset((4, 8, channels), M)
        expected[1:, 3:] = found[..., :channels]
        place = unset(expected.size, M), 11 * channels, 8 * channels
        yield Case([found.ravel(), 5 * (channels + 1), 3, 5, channels, *place], {5: expected})


def split_mask(rng, M):
    for channels in (1, 2, 3):
        pixels, valid = samples(rng, (20, channels), M), rng.integers(0, 2, (20, 1)).astype(M)
        joined = np.concatenate([pixels * valid, valid], axis=1)
        largest = np.array([np.iinfo(M).max], M)
        expected = np.where(valid == 1, pixels, largest), np.repeat(valid, channels)
        out = [unset(20 * channels + 4, M) for _ in range(2)]
        yield Case(
            [joined.ravel(), 20, channels, largest, *out],
            {4: Beginning(expected[0].ravel()), 5: Beginning(expected[1])},
        )


def fill_ignored(rng, M):
    for channels, written, count in ((1, 1, 20), (4, 3, 20), (3, 3, 9000)):
        pixels, valid = samples(rng, (count, channels), M), rng.integers(0, 2, count).astype(np.uint8)
        valid[4096:8192] = 1
        expected = pixels.copy()
        expected[valid == 0, :written] = 9
        yield Case([pixels.ravel(), valid, count, channels, written, np.array([9], M)], {0: expected})


def copy_filled(rng, M):
    for channels, upper in product((1, 2, 3), (0, 1)):
        picture, valid = samples(rng, (5, 70, channels), M), rng.integers(0, 2, (5, 70)).astype(np.uint8)
        rows, neutral = np.array([3, 0, 0, 4]), np.iinfo(M).max * upper
        expected = unset((4, 70, channels), M)
        expected[:] = np.where(valid[..., np.newaxis] == 1, picture, neutral)[rows]
        where = 70 * channels, valid.ravel(), 70, rows, 4, 70, channels, upper
        yield Case([picture.ravel(), *where, unset(expected.size, M)], {9: expected})


def ignore_value(rng, S):
    for channels, colours in ((1, 1), (3, 3), (4, 3), (2, 1)):
        pixels, valid = samples(rng, (500, channels), S), rng.integers(0, 2, 500).astype(np.uint8)
        pixels[rng.random((500, channels)) > 0.3] = 9
        kept = valid * (pixels[:, :colours] != 9).any(axis=1)
        value = 9.0 if np.dtype(S).kind == "f" else 9
        yield Case([pixels.ravel(), 500, channels, colours, value, valid], {5: kept})


def ignore_nan(rng, R):
    for channels, colours in ((1, 1), (3, 3), (4, 3), (2, 1)):
        pixels, valid = samples(rng, (500, channels), R), rng.integers(0, 2, 500).astype(np.uint8)
        pixels[rng.random((500, channels)) > 0.8] = np.nan
        kept = valid * ~np.isnan(pixels[:, :colours]).any(axis=1)
        yield Case([pixels.ravel(), 500, channels, colours, valid], {4: kept})


def ignore_transparent(rng, S):
    for channels in (2, 4):
        pixels, valid = samples(rng, (500, channels), S), rng.integers(0, 2, 500).astype(np.uint8)
        pixels[rng.random(500) > 0.5, -1] = 0
        yield Case([pixels.ravel(), 500, channels, valid], {3: valid * (pixels[:, -1] > 0)})


def masked_means(rng, S, W, R):
    more = vector_bytes()
    windows = ((3, (3, 3), (1, 1), 2), (1, (2, 7), (1, 2), 0), (2, (4, 2), (1, 1), 1), (3, (5, 1), (2, 3), 0))
    more_windows = (3, (3, 3), (3, 3), 0), (3, (1, 5), (1, 1), 2), (3, (2, 6), (1, 1), 3)
    for number, masked in enumerate(_masked_windows(rng, S, (*windows, *more_windows))):
        (rows, cols), steps, channels, out_cols = masked.window, masked.steps, masked.channels, masked.out_cols
        places, bits = (masked.places + 1) * channels + more, (rows * cols * 255 + 1).bit_length()
        shift = 32 if np.dtype(W).itemsize == 8 and (np.dtype(R).itemsize == 4 or number % 2 == 1) else bits
        yield Case(
            [*masked.source[:7], steps[0], *masked.source[7:], cols, steps[1],
             shift, np.zeros(places, W), np.zeros(places, W), np.zeros((out_cols + 1) * channels + more, W),
             unset(2 * 40 * channels, np.uint8), unset(2, R), *masked.results],
            {**dict.fromkeys((16, 17, 18, 19, 20)), 21: masked.expected, 27: masked.found},
        )  # fmt: skip


def masked_byte_means(rng):
    factors = np.array([0, *(-(-(2**15) // number) for number in range(1, 32))], np.uint16)
    windows = ((3, (3, 3), (1, 1), 2), (1, (2, 7), (1, 1), 0), (4, (4, 2), (2, 1), 1), (3, (5, 1), (6, 1), 0))
    strided = ((3, (3, 3), (3, 3), 0), (2, (3, 5), (1, 2), 2), (3, (4, 4), (4, 4), 1))
    for masked in _masked_windows(rng, np.uint8, (*windows, *strided), width=700):
        (rows, cols), steps, channels = masked.window, masked.steps, masked.channels
        places, ring = masked.places + vector_bytes() + cols, -(-700 * channels // 64) * 64
        yield Case(
            [*masked.source[:4], *masked.source[5:7], steps[0], *masked.source[7:], cols, steps[1],
             unset((rows + 1) * ring, np.uint8), np.zeros(places * channels, np.uint16), np.zeros(places, np.uint8),
             unset(places * channels, np.uint16), unset(places, np.uint8), unset(places * channels, np.uint8), factors,
             unset(2, np.float32), *masked.results],
            {**dict.fromkeys((*range(14, 20), 21)), 22: masked.expected, 28: masked.found},
        )  # fmt: skip


class _MaskedWindows(NamedTuple):
    """Arguments of a loop for means with a mask, and their results."""

    window: tuple
    steps: tuple
    channels: int
    places: int
    out_cols: int
    source: tuple
    results: tuple
    expected: np.ndarray
    found: np.ndarray


def _masked_windows(rng, S, windows, width=40):
    for (channels, window, steps, before), leaves_out in product(windows, range(3)):
        picture, valid = samples(rng, (7, width, channels), S), rng.integers(0, 4, (7, width)).astype(np.uint8) != 1
        valid[1:5] = True
        rows, cols = np.array([-1, 0, 0, 1, 2, 3, 4, 6, 5, -1]), np.clip(np.arange(-before, width + 2), -1, width - 1)
        cols[-1] = -1
        padded = np.zeros((rows.size, cols.size, channels)), np.zeros((rows.size, cols.size))
        inside = np.ix_(rows >= 0, cols >= 0)
        source = np.ix_(rows[rows >= 0], cols[cols >= 0])
        padded[0][inside], padded[1][inside] = (picture * valid[..., np.newaxis])[source], valid[source]
        total, present = (
            np.lib.stride_tricks.sliding_window_view(each, window, (0, 1)).sum((-1, -2))[:: steps[0], :: steps[1]]
            for each in padded
        )
        expected = unset((len(total), total.shape[1] * channels + 3), S)
        wanted = rng.integers(0, 3, present.shape) > 0
        found = wanted & (present > 0) if leaves_out == 2 else wanted
        kept = found[..., np.newaxis] | (leaves_out == 0)
        expected[:, :-3] = np.rint(total / np.maximum(present, 1)[..., np.newaxis] * kept).reshape(len(total), -1)
        yield _MaskedWindows(
            window, steps, channels, cols.size, total.shape[1],
            (picture.ravel(), width * channels, valid.astype(np.uint8).ravel(), width,
             valid.all(axis=1).astype(np.uint8), rows, window[0], cols, cols.size, before, width, channels),
            (unset(expected.size, S), expected.shape[1], total.shape[1], len(total),
             wanted.astype(np.uint8).ravel(), total.shape[1], unset(present.size, np.uint8), leaves_out),
            expected, found.astype(np.uint8) if leaves_out else unset(present.shape, np.uint8),
        )  # fmt: skip


# mask_windows ---------------------------------------------------------------------------


def find_windows(rng):
    """Windows of weights of both signs, and windows all of whose pixels must be valid."""
    both, ones = np.array([[0, -3, 0], [-1, 9, 4]]), np.ones((3, 2), int)
    for (weights, least), (before, width), row_stride, centre in product(
        ((both, 1), (ones, 6)), ((2, 4), (1, 90)), (1, 2), ((-1, 0), (1, 1))
    ):
        valid = (rng.random((6, width)) > 0.2).astype(np.uint8)
        rows, cols = np.array([-1, 0, 0, 1, 2, 3, 4, 5, 5, -1]), np.arange(-before, width + 2)
        cols = np.where(cols < width, np.maximum(cols, -1), 0)
        padded = np.pad(valid, ((0, 1), (0, 1)), constant_values=1)[rows][:, cols].astype(int)
        views = np.lib.stride_tricks.sliding_window_view(padded, weights.shape)[::row_stride]
        found = (views * weights).sum((-1, -2)) >= least
        if centre[0] >= 0:
            found &= views[..., centre[0], centre[1]] > 0
        tap_rows, tap_cols = np.nonzero(weights)
        whole, (count, out_cols) = weights[tap_rows, tap_cols], found.shape
        start = -int(whole[whole < 0].sum())
        read = [*tap_cols, centre[1]]
        left = max(0, before - min(read))
        where = tap_rows, tap_cols, whole.astype(np.uint8), whole.size, start, start + least, *centre
        scratch = unset(whole.size, np.int64), unset(whole.size, np.int64), unset(whole.size, np.uint8)
        yield Case(
            [valid.ravel(), width, rows, row_stride, cols, before, *where, left, before + width - max(read),
             unset(found.size, np.uint8), out_cols, count, *scratch],
            {16: found.astype(np.uint8), **dict.fromkeys((19, 20, 21))},
        )  # fmt: skip


# select, rank, slide -----------------------------------------------------------


def _windows(tile, window_rows, window_cols, channels):
    """Return the samples of each window of a (rows, cols * channels) tile, as (rows, cols, channels, taps)."""
    pixels = tile.reshape(len(tile), -1, channels)
    views = np.lib.stride_tricks.sliding_window_view(pixels, (window_rows, window_cols), (0, 1))
    return views.reshape(*views.shape[:3], -1)


def _tile_of(rng, K, rows, cols, channels):
    """Return a tile, and the same flat with room for four vectors more."""
    low = -50 if np.dtype(K).kind == "i" else 0
    tile = rng.integers(low, 200, (rows, cols * channels)).astype(K)
    return tile, np.append(tile.ravel(), unset(4 * 64, K))


def select(rng, K):
    for side, channels, ranks in ((3, 1, (4,)), (2, 3, (1, 2)), (5, 2, (0, 24))):
        network = networks.of_rectangle(side, side, ranks)
        tile, flat = _tile_of(rng, K, side + 1, 67, channels)
        pitch, length = tile.shape[1], (67 - side + 1) * channels
        taps = np.array([row * pitch + col * channels for row in range(side) for col in range(side)])
        ordered = np.sort(_windows(tile, side, side, channels), axis=-1).reshape(2, length, -1)
        expected = [unset((2, length + 3), K) for _ in range(2)]
        for out, rank in zip(expected, (ranks[0], ranks[-1]), strict=True):
            out[:, :length] = ordered[..., rank]
        for column in (network.columns, ()):
            made = network if column else networks.of_taps(side * side, ranks)
            pairs, columns = (np.array(each, np.int64).reshape(-1) for each in (made.pairs, column))
            room, lines = unset(side * pitch + 4 * 64, K), unset(side * side * 4 * 64, K)
            out = [unset(2 * (length + 3), K) for _ in range(2)]
            yield Case(
                [flat, pitch, 1, 2, length, side, pitch, columns, columns.size // 3, room, pitch, taps, taps.size,
                 pairs, pairs.size // 3, made.lines[0], made.lines[-1], lines, *out, length + 3],
                {9: None, 17: None, 18: expected[0], 19: expected[1]},
            )  # fmt: skip


def _ranked(seen, counts, firsts, seconds):
    """Return the samples of two ranks among those of each window that count, 0 if none does, and their number."""
    numbers = counts.sum(axis=-1)
    ordered = np.sort(np.where(counts, seen.astype(np.int64), 2**40), axis=-1)
    places = (ranks[numbers][..., np.newaxis] for ranks in (firsts, seconds))
    return (*(np.where(numbers, np.take_along_axis(ordered, each, -1)[..., 0], 0) for each in places), numbers)


def _mean(low, high):
    return np.rint((low + high) / 2)


def select_valid(rng, K):
    for side, channels, p in ((3, 1, 0.5), (2, 3, 0.3), (5, 2, 1.0)):
        count, numbers = side * side, np.maximum(np.arange(side * side + 1) - 1, 0)
        firsts, seconds = (rounded(numbers * p).astype(int) for rounded in (np.floor, np.ceil))
        ranks = tuple(np.unique([firsts, seconds]).tolist())
        tile, flat = _tile_of(rng, K, side + 1, 67, channels)
        pitch, length = tile.shape[1], (67 - side + 1) * channels
        counts = rng.random(tile.shape) > 0.4
        counts[:, 10 * channels : 30 * channels], counts[:, -9 * channels :] = False, True
        flat[: tile.size][~counts.ravel()] = np.iinfo(K).max
        marks = np.append(counts.ravel().astype(K), np.zeros(4 * 64, K))
        seen, valid = (_windows(each, side, side, channels).reshape(2, length, -1) for each in (tile, counts))
        found = _ranked(seen, valid, firsts, seconds)
        taps = np.array([row * pitch + col * channels for row in range(side) for col in range(side)])
        least = [np.searchsorted(each[1:], ranks) + 1 for each in (firsts, seconds)]
        for averages, sorts_columns in product((0, 1), (False, True)):
            if averages and (p != 0.5 or np.dtype(K).itemsize > 2):
                continue
            network = networks.of_rectangle(side, side, ranks) if sorts_columns else networks.of_taps(count, ranks)
            pairs, columns = (np.array(each, np.int64).reshape(-1) for each in (network.pairs, network.columns))
            room = unset(side * pitch + 4 * 64, K), unset(pitch + 4 * 64, K), unset((count + 3) * 4 * 64, K)
            expected = [unset((2, length + 3), kind) for kind in (K, K, np.int64)]
            for out, values in zip(expected, (_mean(*found[:2]),) if averages else found, strict=False):
                out[:, :length] = values
            yield Case(
                [flat, marks, pitch, 1, 2, length, side, pitch, columns, columns.size // 3, *room[:2], pitch,
                 taps, count, pairs, pairs.size // 3, np.array(network.lines), *least, len(ranks), averages, room[2],
                 *(unset(each.size, each.dtype) for each in expected), length + 3],
                {10: None, 11: None, 22: None, **dict(zip((23, 24, 25), expected, strict=True))},
            )  # fmt: skip


def interpolate(rng, X):
    low, high = np.sort(samples(rng, (2, 1500), X), axis=0)
    high[::7] = low[::7]
    shares, numbers = np.array([0.0, 0.25, 0.5, 0.75]), rng.integers(0, 4, 1500)
    for numbered in (0, 1):
        share = shares[numbers] if numbered else 0.25
        expected = low + (high.astype(np.float64) - low) * share
        where = shares if numbered else shares[1:], numbers, numbered
        yield Case([low, high, *where, 0, 1499, unset(1500, np.float64)], {7: np.append(expected[:-1], 77)})
        share = numbers % 2 / 2 if numbered else np.full(1500, 0.5)
        expected = np.where(share > 0, (low + high.astype(np.float64)) / 2, low)
        where = (np.array([0.0, 0.5]), numbers % 2, 1) if numbered else (np.array([0.5]), numbers, 0)
        yield Case([low, high, *where, 1, 1499, unset(1500, np.float64)], {7: np.append(expected[:-1], 77)})


def _medians(rng, K, side):
    for channels, cols, step, padding in ((1, 140, 2, 0), (3, 40, 1, 2), (2, 1100, 1, 1)):
        picture = rng.integers(-50 if np.dtype(K).kind == "i" else 0, 200, (6, cols, channels)).astype(K)
        rows = np.array([0, 0, 1, 2, 3, 3, 5, 4])
        places = np.clip(np.arange(-padding, cols + padding), 0, cols - 1)
        count, length = (rows.size - side) // step + 1, (places.size - side + 1) * channels
        expected = unset((count, length + 3), K)
        padded = picture[rows][:, places].reshape(rows.size, -1)
        found = np.sort(_windows(padded, side, side, channels))[::step, ..., side**2 // 2]
        expected[:, :length] = found.reshape(count, -1)
        samples = (places[:, np.newaxis] * channels + np.arange(channels)).ravel()
        width = 2048 + (side - 1) * channels + 3 * 64
        out = unset(expected.size, K)
        yield Case(
            [picture.ravel(), cols * channels, rows, step, 1, count, samples, padding * channels, cols * channels,
             length, channels, unset(5 * width, K), width, out, 0, length + 3],
            {11: None, 13: expected},
        )  # fmt: skip


def median_3(rng, K):
    yield from _medians(rng, K, 3)


def median_5(rng, K):
    yield from _medians(rng, K, 5)


def to_keys(rng):
    reals = _reals_of_all_kinds(rng)
    keys = unset(reals.size + 1, np.uint32)
    expected = np.append(_float_keys(reals), keys[-1])
    yield Case([reals.view(np.uint32), reals.size, keys], {2: expected}, result=int(np.isnan(reals).sum()))


def from_keys(rng):
    reals = _reals_of_all_kinds(rng)
    keys = np.append(_float_keys(reals), np.uint32(7))
    yield Case([keys, reals.size], {0: np.append(reals.view(np.uint32), np.uint32(7))})


def _reals_of_all_kinds(rng):
    reals = rng.normal(0, 100, 77).astype(np.float32)
    reals[[3, 40, 70]], reals[[5, 71]], reals[[8, 72]] = np.nan, -0.0, 0.0
    reals[[11, 73]], reals[[12, 74]], reals[[20, 75]] = np.inf, -np.inf, 1e-45
    reals.view(np.uint32)[21] = 0xFFC00000  # a negative NaN
    return reals


def _float_keys(reals):
    bits = reals.astype(np.float32).view(np.uint32)
    return np.where(np.signbit(reals), ~bits, bits | np.uint32(0x80000000))


def _mean_of_samples(low, high, K):
    """The means of samples, or of float32 samples that are given as keys."""
    if np.dtype(K).itemsize < 4:
        return _mean(low, high)
    bits = [np.where(keys >> 31, keys & 0x7FFFFFFF, ~keys).astype(np.uint32) for keys in (low, high)]
    one, other = (each.view(np.float32).astype(np.float64) for each in bits)
    with np.errstate(invalid="ignore"):
        return _float_keys(np.where(one == other, one, (one + other) / 2))


def _masked_medians(rng, K, side):
    rows = np.array([0, 0, 1, 2, 3, 3, 2, 4, 5, 5, 0, 1])
    windows = (1, 140, 2, 1, 0), (3, 40, 1, 1, 2), (2, 1100, 1, 1, 1), (3, 25, 1, 2, 3), (1, 70, 3, 2, 2)
    for (channels, cols, step, dilation, padding), leaves_out in product(windows, (0, 1)):
        picture, valid = rng.integers(0, 200, (6, cols, channels)).astype(K), rng.random((6, cols)) > 0.6
        if np.dtype(K).itemsize == 4:
            reals = np.array([-np.inf, -1e38, -3e38, -1e-45, -0.0, 0.0, 1e-45, 0.1, 7, 1e38, 3e38, 3.4e38, np.inf])
            picture = _float_keys(np.append(reals, rng.normal(0, 9, 187)).astype(np.float32))[picture]
        valid[1:5] = valid[:, ::4] = valid[:, 1::4] = valid[:, -1] = True  # each window has a valid sample
        places = np.clip(np.arange(-padding, cols + padding), 0, cols - 1)
        reach, size = dilation * (side - 1), places.size * channels
        count, length = (rows.size - reach - 1) // step + 1, size - reach * channels
        padded = picture[rows][:, places].reshape(-1, size), np.repeat(valid[rows][:, places], channels, axis=1)
        offsets = [(row * dilation, col * dilation * channels) for row, col in np.ndindex(side, side)]
        seen, counts = (
            np.stack([each[i : i + (count - 1) * step + 1 : step, j : j + length] for i, j in offsets], axis=-1)
            for each in padded
        )
        numbers = np.arange(side**2 + 1) - 1
        low, high, _ = _ranked(seen, counts, numbers // 2, (numbers + 1) // 2)
        centre = counts[..., side**2 // 2] | (leaves_out == 0)
        expected = unset((count, length + 3), K)
        expected[:, :length] = _mean_of_samples(low, high, K) * centre
        samples = (places[:, np.newaxis] * channels + np.arange(channels)).ravel()
        width, ring, pitch = 2048 + reach * channels + 3 * 64, 4 * dilation + 1, (size // 64 + 2) * 64
        yield Case(
            [picture.ravel(), cols * channels, rows, step, dilation, count, samples, padding * channels,
             cols * channels, length, dilation * channels, unset(6 * width, K), width, unset(expected.size, K), 0,
             length + 3, valid.astype(np.uint8).ravel(), cols, channels, unset((ring + 1) * pitch, K), pitch,
             unset(ring, np.int64), leaves_out],
            {11: None, 13: expected, 19: None, 21: None},
        )  # fmt: skip


def masked_median_3(rng, K):
    yield from _masked_medians(rng, K, 3)


def masked_median_5(rng, K):
    yield from _masked_medians(rng, K, 5)


def by_columns(rng, B):
    for (window_rows, window_cols, channels, p), marked, wanted in product(
        ((3, 4, 1, 0.5), (2, 3, 2, 0.3), (5, 7, 3, 0.5)), (0, 1), (0, 1, 2)
    ):
        if wanted == 2 and p != 0.5:
            continue
        tile, flat = _tile_of(rng, B, window_rows + 2, 20, channels)
        counts = (rng.random(tile.shape) > 0.4) | (marked == 0)
        counts[:, 8 * channels : 17 * channels] &= marked == 0
        cols, size = 20 - window_cols + 1, window_rows * window_cols
        numbers = np.maximum(np.arange(size + 1) - 1, 0)
        firsts, seconds = (rounded(numbers * p).astype(int) for rounded in (np.floor, np.ceil))
        seen, valid = (
            _windows(each, window_rows, window_cols, channels).reshape(3, cols * channels, -1)
            for each in (tile, counts)
        )
        found = _ranked(seen, valid, firsts, seconds)
        expected = [unset((3, cols * channels + 2), kind) for kind in (B, B, np.int64)]
        written = {0: found[:1], 1: found if marked else found[:2], 2: (_mean(*found[:2]),)}[wanted]
        for out, values in zip(expected, written, strict=False):
            out[:, : cols * channels] = values
        scratch = [unset(288 * 20, np.uint16), unset(288, np.uint16), unset(8, np.int64)]
        yield Case(
            [flat, np.append(counts.ravel(), np.zeros(4 * 64)).astype(B), marked, tile.shape[1], 3, window_rows, cols,
             window_cols, channels, firsts, seconds, wanted, *(unset(each.size, each.dtype) for each in expected),
             cols * channels + 2, *scratch],
            {12: expected[0], 13: expected[1], 14: expected[2], 16: None, 17: None, 18: None},
        )  # fmt: skip


def _under(rng, M, largest):
    cells = np.array([[0, 1, 1, 1, 0], [1, 1, 0, 0, 1], [0, 0, 1, 0, 0]], bool)
    for channels, step_rows, step_cols, reach_cols in ((1, 1, 1, 1), (3, 2, 1, 2), (2, 1, 2, 1)):
        tile, flat = _tile_of(rng, M, 6, 45, channels)
        pitch, reach = tile.shape[1], reach_cols * channels
        rows, cols = (6 - 3) // step_rows + 1, (45 - 4 * reach_cols - 1) // step_cols + 1
        expected = unset((rows, cols * channels), M)
        pixels = tile.reshape(6, 45, channels)
        for row, col in np.ndindex(rows, cols):
            seen = pixels[row * step_rows :, col * step_cols :: reach_cols][:3, :5][cells]
            expected[row, col * channels : (col + 1) * channels] = (np.max if largest else np.min)(seen, axis=0)
        # runs of one, two and three cells
        lengths, starts = np.array([1, 2, 3]), np.array([0, 2, 3, 4])
        run_rows, run_cols = np.array([1, 2, 1, 0]), np.array([4, 2, 0, 1])
        limit = np.iinfo(M).min if largest else np.iinfo(M).max
        out = np.append(np.full(expected.size, limit, M), unset(64, M))
        line = unset(pitch + 3 * reach + 4 * 64, M)
        yield Case(
            [flat, pitch, 6, step_rows, rows, lengths, starts, 3, run_rows, run_cols * reach, reach, step_cols,
             channels, cols, line, pitch, out, cols * channels],
            {14: None, 16: np.append(expected.ravel(), unset(64, M))},
        )  # fmt: skip


def largest_under(rng, M):
    yield from _under(rng, M, largest=True)


def least_under(rng, M):
    yield from _under(rng, M, largest=False)


def _of_nested(rng, M, largest):
    cells = np.array([[0, 1, 0, 0], [0, 0, 0, 0], [1, 1, 1, 1], [0, 1, 0, 1]], bool)
    taps, ends, run_rows, numbers = np.array([1, 3, 0, 2]), np.array([1, 2, 4]), [0, 2, 3], [0, 2, 1]
    lanes = vector_bytes() // np.dtype(M).itemsize
    for channels, step_rows, reach_cols, width in ((1, 1, 1, 6 * lanes + 3), (3, 2, 2, 45)):
        tile, flat = _tile_of(rng, M, 12, width, channels)
        rows, cols = (12 - 4) // step_rows + 1, width - 3 * reach_cols
        expected = unset((rows, cols * channels), M)
        pixels = tile.reshape(12, width, channels)
        for row, col in np.ndindex(rows, cols):
            seen = pixels[row * step_rows :, col::reach_cols][:4, :4][cells]
            expected[row, col * channels : (col + 1) * channels] = (np.max if largest else np.min)(seen, axis=0)
        panel = (12 * 3 + 1) * lanes
        yield Case(
            [flat, tile.shape[1], 12, step_rows, rows, taps * reach_cols * channels, ends, 3,
             np.array(run_rows) * 3 + numbers, 3, 4, unset(4 * panel, M), panel, unset(expected.size, M),
             cols * channels, cols * channels],
            {11: None, 13: expected.ravel()},
        )  # fmt: skip


def largest_of_nested(rng, M):
    yield from _of_nested(rng, M, largest=True)


def least_of_nested(rng, M):
    yield from _of_nested(rng, M, largest=False)


def slide(rng, K, N):
    for weighed, step, apart in ((0, 1, 1), (1, 1, 2), (2, 2, 1)):
        tile = rng.integers(0, 200, (6, 30)).astype(K)
        weights = np.ones(tile.shape, np.int64) * 3
        if weighed == 2:  # in pairs, so that half of the sum often lies between two
            weights = rng.integers(0, 3, tile.shape)
        weights[1, 4:9] = 0
        weights = weights if weighed else np.ones(tile.shape, np.int64)
        cells = np.array([[1, 1, 0], [0, 1, 1]], bool)
        gone, come = cells.copy(), cells.copy()
        gone[:, step:] &= ~cells[:, :-step]
        come[:, :-step] &= ~cells[:, step:]
        taps, entering, leaving = (down * 30 + along * apart for down, along in map(np.nonzero, (cells, come, gone)))
        cols = (30 - 2 * apart - 1) // step + 1
        expected = [unset((4, cols + 1), K), unset((4, cols + 1), K), unset((4, cols + 1), np.int64)]
        for row, col in np.ndindex(4, cols):
            seen, votes = (each.ravel()[row * 30 + col * step + taps] for each in (tile, weights))
            all_alike = len(set(votes[votes > 0])) == 1
            each = np.sort(np.repeat(seen, votes > 0 if all_alike else votes))
            first, second = (each.size - 1) // 2, each.size // 2
            found = (0, 0, 0) if each.size == 0 else (each[first], each[second], each.size if all_alike else -1)
            if all_alike:  # the caller asks for the lower one, which the next follows
                found = each[first], each[min(first + 1, each.size - 1)], each.size
            for out, value in zip(expected, found, strict=True):
                out[row, col] = value
        places = np.maximum(np.arange(cells.size + 1) - 1, 0) // 2
        out = [unset(each.size, each.dtype) for each in expected]
        counts = [np.zeros(256 >> bits, N) for bits in (0, 4, 8)]
        yield Case(
            [tile.ravel(), 30, 1, 4, step, cols, weights.ravel(), int(weighed > 0), taps, taps.size, entering,
             entering.size, leaving, leaving.size, apart, places, 0.5, unset(4, np.int64), *counts, *out, cols + 1, 1],
            {17: None, 21: expected[0], 22: expected[1], 23: expected[2]},
        )  # fmt: skip


# bilateral ---------------------------------------------------------------------


def split(rng, A):
    tile = samples(rng, (3, 5 * 4 + 2), A)
    pixels = tile[:, :20].reshape(3, 5, 4)
    pixels[..., 3] = np.resize([0, 2, -1, 4, 1], (3, 5))
    counts = pixels[..., 3] > 0
    for colours, divisor in ((4, 0.0), (3, 0.0), (3, 8.0)):
        share = np.divide(divisor, pixels[..., 3], out=np.ones((3, 5), A), where=counts & (divisor > 0))
        planes = [pixels[..., c] * share for c in range(colours)]
        if colours == 3:
            planes = [
                *(np.where(counts, plane, 0) for plane in planes),
                np.where(counts, pixels[..., 3], 0),
                counts * -2,
            ]
        expected = unset((len(planes), 3, 6), A)
        expected[:, :, :5] = planes
        out = unset(expected.size, A)
        yield Case([tile.ravel(), 22, 3, 5, 4, colours, divisor, -2.0, out, 18, 6], {8: expected})


def average(rng, A, colours=2):
    """Yield windows whose weights are powers of two: exact, whatever the polynomial between them."""
    cols, rows, step = LANES + 3, 2, 2
    pitch, lines = cols + 2, 2 * LANES
    taps, spaces = np.array([0, 2, pitch + 1, 2 * pitch]), np.array([-2, -1, 0, -3], A)
    centre = pitch + 1
    for squared, voting in product((0, 1), (0, 1)):
        planes = np.zeros((colours + 2 * voting, 5 * pitch), A)
        planes[:colours] = rng.integers(0, 4, (colours, 5 * pitch))
        if voting:
            planes[colours] = rng.integers(0, 3, 5 * pitch)
            planes[colours, : pitch + 9] = 0
            planes[colours + 1] = np.where(planes[colours] > 0, -1, 0)
        expected = unset((rows, cols * (colours + 1) + 1), A)
        for row, col in np.ndindex(rows, cols):
            at = row * step * pitch + col
            middle = planes[:colours, at + centre]
            apart = planes[:colours, at + taps] - middle[:, np.newaxis]
            distance = (apart**2).sum(axis=0) if squared else np.abs(apart).sum(axis=0) ** 2
            weights = np.exp2(spaces + (planes[-1, at + centre] if voting else -1) * distance)
            weights = weights * planes[colours, at + taps] if voting else weights
            mean = middle + (weights * apart).sum(axis=1) / (weights.sum() or np.finfo(A).tiny)
            expected[row, col * (colours + 1) :][:colours] = mean
        flat = np.append(planes.ravel(), np.zeros(64, A))
        limits = float(np.finfo(A).tiny), float(np.finfo(A).max)
        yield Case(
            [flat, 5 * pitch, pitch, step, rows, cols, colours, taps, spaces, 4, centre, -1.0, squared, voting, *limits,
             unset(64 * colours, A), unset(64 * colours, A), unset(lines * colours, A), lines,
             unset(expected.size, A), expected.shape[1], colours + 1],
            {16: None, 17: None, 18: None, 20: expected},
        )  # fmt: skip


def average_1(rng, A):
    return average(rng, A, 1)


def average_3(rng, A):
    return average(rng, A, 3)


# guided ------------------------------------------------------------------------


def _boxes(planes, radius):
    views = np.lib.stride_tricks.sliding_window_view(planes, (2 * radius + 1,) * 2, axis=(-2, -1))
    return views.mean(axis=(-2, -1))


def _guided(rng, planes):
    """Return planes padded by one pixel, with room for a vector that reads beyond them."""
    lanes = vector_bytes() // 8
    rows, cols = 6, lanes + 3
    pitch = -(-(cols + 2) // lanes) * lanes
    samples_ = np.zeros((planes, rows + 2, pitch))
    samples_[..., : cols + 2] = rng.integers(0, 9, (planes, rows + 2, cols + 2)) * 3.0
    return rows, cols, pitch, samples_, samples_[..., : cols + 2], 2 * lanes


def _near(written):
    """Sums in another order, and Cramer's rule, round otherwise."""
    return {place: Near(value) for place, value in written.items()}


def _sums(planes):
    return 9 * _boxes(planes, 1)


def _cells(rng, size):
    """Return cells of which some windows have none that is 1, and the shares of windows."""
    cells = (rng.random(size) < 0.6).astype(float)
    cells[1:5, 1:5] = 0
    counts = np.round(_sums(cells))
    return cells, np.where(counts > 0, 1 / np.maximum(counts, 1), 0)


def window_shares(rng, D):
    rows, cols, pitch, planes, inner, line = _guided(rng, 1)
    inner[0], shares = _cells(rng, inner[0].shape)
    yield Case(
        [planes.ravel(), pitch, rows, cols, 1, unset(pitch, D), unset(pitch + line, D), unset(rows * line, D), line],
        {5: None, 6: None} | _near({7: (shares, line)}),
    )


def _share_rows(shares, line):
    """Return shares as rows of a pitch."""
    return np.pad(shares, ((0, 0), (0, line - shares.shape[1]))).ravel()


def fit(rng, D):
    rows, cols, pitch, planes, (guide, image), line = _guided(rng, 2)
    cells, shares = _cells(rng, guide.shape)
    for masked, alike in product((0, 1), (0, 1)):
        other, middle = (guide, 4.0) if alike else (image, 5.0)
        if masked:
            guide[cells == 0], image[cells == 0] = 4.0, 5.0
        of, by = (shares, line) if masked else (np.full(line, 1 / 9), 0)
        factor = shares if masked else 1 / 9
        mean, mean_guide = (factor * _sums(each) for each in (other - middle, guide - 4.0))
        square = factor * _sums((guide - 4.0) ** 2) - mean_guide**2
        product_ = factor * _sums((guide - 4.0) * (other - middle)) - mean_guide * mean
        slope = product_ / (square + 0.5)
        scratch = unset(4 * pitch, D), unset(5 * (pitch + line), D)
        out = [unset(rows * line, D) for _ in range(3)]
        flat = _share_rows(of, line) if masked else of
        yield Case(
            [planes[0].ravel(), planes[1].ravel(), pitch, rows, cols, 1, alike, 4.0, 5.0, 0.5, flat, by, *scratch,
             *out, line],
            {12: None, 13: None}
            | _near({14: (slope, line), 15: (mean, line), 16: (mean - slope * mean_guide, line)}),
        )  # fmt: skip


def fit_colours(rng, D):
    rows, cols, pitch, planes, inner, line = _guided(rng, 4)
    guide, image = inner[:3] - 4.0, inner[3] - 5.0
    means, mean = _boxes(guide, 1), _boxes(image, 1)
    matrix = np.einsum("cd,yx->yxcd", np.eye(3) * 0.5, np.ones((rows, cols)))
    right = np.stack([_boxes(guide[c] * image, 1) - means[c] * mean for c in range(3)], axis=-1)
    for c, d in product(range(3), range(3)):
        matrix[..., c, d] += _boxes(guide[c] * guide[d], 1) - means[c] * means[d]
    slopes = np.linalg.solve(matrix, right[..., np.newaxis])[..., 0].transpose(2, 0, 1)
    shifts = mean - (slopes * means).sum(axis=0)
    scratch = unset(13 * pitch, D), unset(14 * (pitch + line), D)
    out = unset(3 * rows * line, D), unset(rows * line, D)
    plane = planes[0].size
    yield Case(
        [planes[:3].ravel(), plane, planes[3].ravel(), pitch, rows, cols, 1, 4.0, 5.0, 0.5, np.full(line, 1 / 9), 0,
         *scratch, out[0], rows * line, out[1], line],
        {12: None, 13: None} | _near({14: (slopes, line), 16: (shifts, line)}),
    )  # fmt: skip


def evaluate(rng, D):
    rows, cols, pitch, planes, inner, line = _guided(rng, 3)
    lines = np.zeros((4, rows, line))
    lines[..., :cols] = rng.integers(0, 9, (4, rows, cols)) * 9.0
    index, places = np.clip(np.arange(cols + 2) - 1, 0, cols - 1), np.clip(np.arange(rows + 2) - 1, 0, rows - 1)
    _, shares = _cells(rng, (rows + 2, cols + 2))
    for count, masked in product((1, 3), (0, 1)):
        padded = lines[:, places][..., index]
        means = (shares if masked else 1 / 9) * _sums(padded)
        of, by = (_share_rows(shares, line), line) if masked else (np.full(line, 1 / 9), 0)
        values = means[3] + 5.0 + (means[:count] * (inner[:count, 1:-1, 1:-1] - 4.0)).sum(axis=0)
        for step, kept in ((1, np.arange(cols)), (4, np.array([cols - 1, 0, 2]))):
            out = unset(rows * (2 * cols + 1), D)
            expected = unset((rows, 2 * cols + 1), D)
            expected[: -(-rows // step), : 2 * kept.size : 2] = values[::step, kept]
            yield Case(
                [lines[:3].ravel(), rows * line, lines[3].ravel(), line, places, rows, cols, 1, index, planes.ravel(),
                 planes[0].size, pitch, np.arange(1, rows + 1), count, 4.0, 5.0, of, by, unset(4 * line, D),
                 unset(4 * (pitch + line), D), pitch + line, step, kept, kept.size, out, 2 * cols + 1, 2],
                {18: None, 19: None} | _near({24: (expected, 2 * cols + 1)}),
            )  # fmt: skip


# canny -------------------------------------------------------------------------


def smooth(rng, D):
    for taps, apart, length in ((1, 1, 5), (4, 3, 7)):
        source, weights = samples(rng, (3, length + taps * apart), D), samples(rng, taps, D)
        expected = unset((3, length + 2), D)
        expected[:, :length] = sum(weights[t] * source[:, t * apart :][:, :length] for t in range(taps))
        pitch = source.shape[1]
        yield Case(
            [source.ravel(), pitch, 3, length, weights, taps, apart, unset(expected.size, D), length + 2],
            {7: expected},
        )


def _gradients(block):
    """Return Sobel's gradients, down and along, of all pixels but the outermost."""
    above, middle, below = block[:-2], block[1:-1], block[2:]
    down = below - above
    along = above + 2 * middle + below
    return down[:, :-2] + 2 * down[:, 1:-1] + down[:, 2:], along[:, 2:] - along[:, :-2]


def gradient_magnitude(rng, D):
    for channels in (1, 3):
        block = samples(rng, (5, 7, channels), D)
        expected = unset(block.shape, D)
        expected[1:-1, 1:-1] = np.sqrt(sum(each**2 for each in _gradients(block)))
        yield Case(
            [block.ravel(), 7 * channels, 5, 7 * channels, channels, unset(block.size, D)], {5: expected.ravel()}
        )


def ridges(rng, D):
    """A bright bar across, and one down: ridges are where it rises and falls, but not next to the border."""
    for turned in (False, True):
        block = np.zeros((12, 14), D)
        (block.T if turned else block)[5:] = 10
        down, along = _gradients(block)
        magnitude = np.zeros(block.shape, D)
        magnitude[1:-1, 1:-1] = np.hypot(down, along)
        for high in (40.0, 41.0):
            expected = np.zeros((8, 10), np.uint8)
            # The gradient is as large in the two rows, or columns, beside the step.
            place = (slice(1, 7), slice(2, 4)) if turned else (slice(2, 4), slice(1, 9))
            expected[place] = 2 if high == 40 else 1
            out = unset(expected.size, np.uint8)
            yield Case([block.ravel(), 14, 8, 10, 1, magnitude.ravel(), 30.0, high, 1, 7, out, 10], {10: expected})


def hysteresis(_rng):
    marks = np.array([[1, 0, 0, 1], [0, 2, 0, 1], [0, 0, 0, 0], [1, 2, 1, 1]], np.uint8)
    expected = np.array([[3, 0, 0, 1], [0, 3, 0, 1], [0, 0, 0, 0], [3, 3, 3, 3]], np.uint8)
    both, after = np.stack([marks.T, marks], axis=2), np.stack([marks.T, expected], axis=2)
    for most in (1, 2, 16):  # a stack that is too small for the pixels of an edge, too
        yield Case([both.ravel(), 4, 4, 2, 1, unset(most, np.int64), most], {0: after, 5: None})


# All of them ---------------------------------------------------------------------

VARIANTS = [
    pytest.param(loop, kinds, id="-".join([loop.function, *(np.dtype(kind).name for kind in kinds.values())]))
    for loop, kinds in variants.all_variants()
    if loop.function != "run_program"  # calls machine code: see test_program.py
]


def cases(loop, kinds):
    makers = globals()
    assert loop.function in makers, f"loops/{loop.module}.py: {loop.function} has no cases in this file"
    return makers[loop.function](np.random.default_rng(1), **kinds)


def as_machine_code(loop, kinds, arguments):
    """Run the compiled loop on copies of ``arguments``; returns its result and the copies."""
    copies = [value.copy() if isinstance(value, np.ndarray) else value for value in arguments]
    return loop.variant(**kinds)(*copies), copies


def as_python(loop, kinds, arguments):
    """Run the loop's source as it stands; single numbers take the types that machine code gives them."""
    function = getattr(import_module(f"convfilter.loops.{loop.module}"), loop.function)
    passed = [
        value.copy() if code.endswith("*") else np.dtype(code).type(value) if code[0] == "f" else value
        for code, value in zip(loop.codes(**kinds), arguments, strict=True)
    ]
    with np.errstate(all="ignore"):
        return function(*passed), passed


@pytest.mark.parametrize(("loop", "kinds"), VARIANTS)
@pytest.mark.parametrize("run", [as_machine_code, as_python])
def test_a_loop_gives_what_numpy_gives(run, loop, kinds):
    for case in cases(loop, kinds):
        result, arguments = run(loop, kinds, case.arguments)
        assert result == case.result
        for place, value in enumerate(case.arguments):
            if isinstance(value, np.ndarray):  # arrays that are not to be written stay as they were
                expected = case.written.get(place, value)
                if expected is None:
                    continue
                if isinstance(expected, Near | Beginning):
                    expected.check(arguments[place])
                    continue
                np.testing.assert_array_equal(arguments[place], np.ravel(expected), err_msg=f"argument {place}")


@pytest.mark.parametrize("number", range(1, masked_box_bytes._FEW + 1))
def test_means_of_few_bytes_are_exact_for_every_sum(number):
    sums = np.arange(255 * number + 1, dtype=np.uint16)
    out = unset(sums.size, np.uint8)
    numbers = np.full(sums.size + vector_bytes(), number, np.uint8)
    masked_box_bytes._store_few(sums, 0, 1, 1, numbers, masked_box._FACTORS, out, 0, sums.size)
    np.testing.assert_array_equal(out, np.rint(sums / number))


def test_sums_go_on_from_the_row_above():
    """Two calls, the second with the state that the first left, give what one call gives."""
    rng = np.random.default_rng(5)
    loop = next(loop for loop, _ in variants.all_variants() if loop.function == "mean_rows")
    for case in means(rng, np.uint8, np.uint16, np.float32):
        run = loop.variant()
        once = [value.copy() if isinstance(value, np.ndarray) else value for value in case.arguments]
        twice = [value.copy() if isinstance(value, np.ndarray) else value for value in case.arguments]
        run(*once)
        step, down, out_pitch = twice[4], twice[20], twice[28]
        for first, count in ((0, 1), (1, 3)):
            part = [*twice]
            part[2], part[20], part[27], part[29] = twice[2][first * step :], down[first:], 2 + first * out_pitch, count
            run(*part)
        np.testing.assert_array_equal(twice[26], once[26])


def has_reals_to_sum(loop):
    return loop.function in {
        "luminance",
        "correlate",
        "correlate_four",
        "correlate_eight",
        "magnitude",
        "length_of",
        "run_down",
        "run_right",
    }


@pytest.mark.parametrize(("loop", "kinds"), [p for p in VARIANTS if has_reals_to_sum(p.values[0])])
def test_machine_code_sums_reals_in_the_order_that_is_written(loop, kinds):
    rng = np.random.default_rng(2)
    epsilon = float(np.finfo(kinds["A"]).eps)
    for case in cases(loop, kinds):
        reals = [
            value + rng.random(value.shape).astype(value.dtype)
            if isinstance(value, np.ndarray) and value.dtype == kinds["A"]
            else value
            for value in case.arguments
        ]
        _, compiled = as_machine_code(loop, kinds, reals)
        _, plain = as_python(loop, kinds, reals)
        for place in case.written:
            # Only a product and the sum it enters may become one rounding instead of two.
            np.testing.assert_allclose(compiled[place], plain[place], rtol=4 * epsilon, atol=2e5 * epsilon)


def test_every_function_of_every_loop_file_is_among_the_variants():
    from pkgutil import iter_modules

    from convfilter import loops

    known = {(loop.module, loop.function) for loop, _kinds in variants.all_variants()}
    for module in iter_modules(loops.__path__):
        if module.name in ("vectors", "blocks"):  # what loops are written in
            continue
        source = import_module(f"{loops.__name__}.{module.name}")
        public = {name for name, value in vars(source).items() if isfunction(value) and not name.startswith("_")}
        assert {(module.name, name) for name in public} <= known
