"""Every loop three ways: as plain Python, as machine code, and as NumPy expressions."""

from importlib import import_module
from inspect import isfunction
from typing import Any, NamedTuple

import numpy as np
import pytest

from convfilter.engine import variants

#: Stands for the content of an array that a loop only works in.
SCRATCH = object()


class Case(NamedTuple):
    """Arguments of a loop, and what it should give: by position, the content of the arrays it writes."""

    arguments: list[Any]
    written: dict[int, Any]
    result: int = 0


def samples(rng, size, dtype):
    """Make samples that all sums in these tests hold exactly, so that the order of a sum does not matter."""
    low = 0 if np.dtype(dtype).kind == "u" else -50
    return rng.integers(low, 200, size).astype(dtype)


def unset(size, dtype):
    """Make memory that a loop has not written: a value that no case gives."""
    return np.full(size, 77, dtype)


def rows_of(flat, starts, length):
    """Cut ``flat`` into runs: one row for each start."""
    return flat[np.asarray(starts)[:, np.newaxis] + np.arange(length)]


# load ------------------------------------------------------------------------


def load(rng, S, A):
    for channels, run in [(1, (0, 0)), (3, (2, 4)), (2, (0, 6)), (4, (5, 1))]:
        width, height, pitch = 9, 4, 6 * channels + 3
        source = samples(rng, (height, width, channels), S)
        rows = np.array([2, -1, 0, 0, 3])
        cols = np.array([8, -1, 3, -1, 0, 5])
        cols[run[0] : sum(run)] = 1 + np.arange(run[1])
        expected = unset((rows.size, pitch), A)
        padded = np.full((height + 1, width + 1, channels), -7.5, A)
        padded[:height, :width] = source
        expected[:, : cols.size * channels] = padded[rows][:, cols].reshape(rows.size, -1)
        tile = unset(expected.size, A)
        yield Case(
            [source.ravel(), width * channels, rows, rows.size, cols, cols.size, *run, channels, -7.5, tile, pitch],
            {10: expected},
        )


def premultiply(rng, A):
    for channels in (2, 4):
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
            yield Case([tile, offset, runs, weight, weight_step, blocks, accumulate, out, pitch, length], {7: expected})


def maximum(rng, A):
    for taps in (1, 2, 5):
        rows, step, length, pitch = 3, 2, 10, 11
        tile = samples(rng, 100, A)
        tile[[10, 40, 41]], tile[[20, 60]] = -np.inf, np.nan
        row_offset = rng.integers(0, 60, rows * step)
        tap_row, tap_col = rng.integers(0, step, taps), rng.integers(0, 20, taps)
        expected = unset((rows, pitch), A)
        starts = row_offset.reshape(rows, step)[:, tap_row] + tap_col
        expected[:, :length] = np.max([rows_of(tile, starts[:, tap], length) for tap in range(taps)], axis=0)
        out = unset(expected.size, A)
        yield Case([tile, row_offset, taps, tap_row, tap_col, rows, step, out, pitch, length], {7: expected})


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


def box_rows(rng, R, S):
    """Windows of both kinds (added one by one, or run), margins, padding, ties, strides."""
    for window, step, channels, divide in [((3, 3), (1, 1), 3, 0), ((2, 11), (2, 1), 1, 1), ((4, 5), (1, 2), 2, 1)]:
        height, width, constant = 9, 14, 7
        image = samples(rng, (height, width, channels), S)
        rows = np.array([-1, 0, *range(height), height - 1])
        cols = np.array([-1, 2, *range(width), -1, 0])
        padded = np.full((rows.size, cols.size, channels), constant, np.int64)
        inside = np.ix_(rows >= 0, cols >= 0)
        padded[inside] = image[rows[rows >= 0]][:, cols[cols >= 0]]
        windows = np.lib.stride_tricks.sliding_window_view(padded, window, axis=(0, 1)).sum(axis=(-1, -2))
        sums = windows[:: step[0], :: step[1]]
        count, out_cols = sums.shape[:2]
        area = window[0] * window[1]
        factor = float(area) if divide else float(R(1 / area))
        means = sums.astype(R) / R(factor) if divide else sums.astype(R) * R(factor)
        start, out_pitch = 2, out_cols * channels + 1
        expected = unset(start + count * out_pitch, S)
        out = expected.copy()
        expected[start:].reshape(count, out_pitch)[:, :-1] = np.rint(means).reshape(count, -1)
        yield Case(
            [
                image.ravel(), width * channels, rows, window[0], step[0], constant,
                unset(width * channels, np.int32), width * channels,
                cols, cols.size, 2, width, channels, unset(cols.size * channels, np.int32),
                window[1], step[1], unset(out_cols * channels, np.int32), out_cols,
                unset(out_cols * channels, R), factor, divide, out, start, out_pitch, count,
            ],
            {6: SCRATCH, 13: SCRATCH, 16: SCRATCH, 18: SCRATCH, 21: expected},
        )  # fmt: skip


# PNG filters ---------------------------------------------------------------------


def predicted(kind, left, above, corner):
    """Return what a PNG filter predicts of a byte, from the text of the standard."""
    if kind == 4:
        estimate = left + above - corner
        return min((left, above, corner), key=lambda near: abs(estimate - near))
    return (0, left, above, (left + above) // 2)[kind]


def filtered(image, kinds, distance):
    """Filter rows of bytes, the row above the first included, each by its kind."""
    lines = []
    for y, kind in enumerate(kinds, start=1):
        line = [kind]
        for x, byte in enumerate(image[y]):
            left, corner = (image[y][x - distance], image[y - 1][x - distance]) if x >= distance else (0, 0)
            line.append((int(byte) - predicted(kind, int(left), int(image[y - 1][x]), int(corner))) % 256)
        lines.append(line)
    return np.array(lines, np.uint8)


def apply_filters(rng, B):
    for rows, length, distance, group in [(5, 12, 3, 2), (3, 7, 1, 0), (4, 8, 4, 1)]:
        image = np.cumsum(rng.integers(-3, 4, (rows + 1, length)), axis=1).astype(B)
        kinds = [2] * rows
        for first in range(0, rows if group else 0, group or 1):
            middle = min(first + group // 2, rows - 1)
            pair = image[middle : middle + 2]
            spread = [filtered(pair, [kind], distance)[0, 1:].astype(int) for kind in range(4)]
            # Pixels at the left edge have no neighbour, and are not counted.
            sums = [int(np.minimum(line, 256 - line)[distance:].sum()) for line in spread]
            best = min((2, 3, 1, 0), key=lambda kind: sums[kind])
            kinds[first : first + group] = [best] * len(kinds[first : first + group])
        out = unset(rows * (length + 1), B)
        yield Case([image.ravel(), rows, length, distance, group, out], {5: filtered(image, kinds, distance)})


def undo_filters(rng, B):
    for rows, length, distance in [(5, 12, 3), (5, 7, 1), (5, 8, 4)]:
        image = rng.integers(0, 256, (rows + 1, length)).astype(B)
        data = filtered(image, [0, 1, 2, 3, 4], distance)
        out = np.concatenate([image[0], unset(rows * length, B)])
        yield Case([data.ravel(), rows, length, distance, out], {4: image}, rows)
        data[2, 0] = 5
        broken = np.concatenate([image[:3].ravel(), unset((rows - 2) * length, B)])
        yield Case([data.ravel(), rows, length, distance, out], {4: broken}, 2)


# store -------------------------------------------------------------------------


def stored(tile, scale, divisor, offset, absolute, real):
    """Return the values before rounding, computed in the precision of the last step."""
    value = real(scale) * (tile.astype(real) / real(divisor)) + real(offset)
    return np.abs(value) if absolute else value


#: Scale, divisor, offset and whether the magnitude is taken. All products are exact, so that it does not matter
#: whether they are rounded before the offset is added.
STEPS = [(1.0, 4.0, 0.0, 0), (1.0, 1.0, -20.0, 1), (257.0, 9.0, 0.0, 0), (-0.5, 3.0, 0.25, 1), (2.0, 1.0, 127.5, 0)]


def store_whole(rng, A, R, T):
    full = int(np.iinfo(T).max)
    for scale, divisor, offset, absolute in STEPS:
        rows, length, pitch, start, out_pitch = 3, 9, 10, 2, 11
        tile = rng.integers(-3 * full, 9 * full, (rows, pitch)).astype(A)
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


def store_real(rng, A, R, T):
    for scale, divisor, offset, absolute in STEPS:
        rows, length, pitch, start, out_pitch = 3, 7, 8, 2, 9
        tile = samples(rng, (rows, pitch), A)
        tile[0, :3] = np.nan, np.inf, -np.inf
        expected = unset(rows * out_pitch + start, T)
        out = expected.copy()
        value = stored(tile[:, :length], scale, divisor, offset, absolute, R)
        expected[start:].reshape(rows, out_pitch)[:, :length] = value
        yield Case(
            [tile.ravel(), pitch, rows, length, scale, divisor, offset, absolute, out, start, out_pitch], {8: expected}
        )


def divide_by_alpha(rng, A):
    for channels, mean_divisor in [(2, 1.0), (4, 9.0)]:
        rows, cols, full, neutral = 3, 5, A(255), 33.0
        tile = samples(rng, (rows, cols * channels + 1), A)
        mean = samples(rng, (rows, cols * channels + 2), A)
        mean[0, channels - 1], mean[1, channels - 1] = 0, -3
        alpha = mean[:, :-2].reshape(rows, cols, channels)[..., -1] / A(mean_divisor)
        expected = tile.copy()
        pixels = expected[:, :-1].reshape(rows, cols, channels)
        with np.errstate(divide="ignore", invalid="ignore"):
            quotient = pixels * full / alpha[..., np.newaxis]
        pixels[...] = np.where(alpha[..., np.newaxis] > 0, quotient, 0)
        pixels[..., -1] = neutral
        out = unset(rows * cols, A)
        yield Case(
            [
                tile.ravel(), tile.shape[1], mean.ravel(), mean.shape[1], mean_divisor,
                rows, cols, channels, float(full), neutral, out,
            ],
            {0: expected, 10: alpha / full},
        )  # fmt: skip


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


# All of them ---------------------------------------------------------------------

VARIANTS = [
    pytest.param(loop, kinds, id="-".join([loop.function, *(np.dtype(kind).name for kind in kinds.values())]))
    for loop, kinds in variants.all_variants()
]


def cases(loop, kinds):
    makers = globals()
    assert loop.function in makers, f"engine/loops/{loop.module}.py: {loop.function} has no cases in this file"
    return makers[loop.function](np.random.default_rng(1), **kinds)


def as_machine_code(loop, kinds, arguments):
    """Run the compiled loop on copies of ``arguments``; returns its result and the copies."""
    copies = [value.copy() if isinstance(value, np.ndarray) else value for value in arguments]
    return loop.variant(**kinds)(*copies), copies


def as_python(loop, kinds, arguments):
    """Run the loop's source as it stands; single numbers take the types that machine code gives them."""
    function = getattr(import_module(f"convfilter.engine.loops.{loop.module}"), loop.function)
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
                if expected is SCRATCH:
                    continue
                np.testing.assert_array_equal(arguments[place], np.ravel(expected), err_msg=f"argument {place}")


def has_reals_to_sum(loop):
    return loop.function in {"luminance", "correlate", "correlate_four", "magnitude", "run_down", "run_right"}


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

    from convfilter.engine import loops

    known = {(loop.module, loop.function) for loop, _kinds in variants.all_variants()}
    for module in iter_modules(loops.__path__):
        source = import_module(f"{loops.__name__}.{module.name}")
        public = {name for name, value in vars(source).items() if isfunction(value) and not name.startswith("_")}
        assert {(module.name, name) for name in public} <= known
