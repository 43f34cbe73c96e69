"""Pictures, kernels and geometries for property tests."""

import numpy as np
import reference
from hypothesis import strategies as st

DTYPES = ("uint8", "uint16", "float32")
INTEGERS = ("uint8", "uint16")
MODES = ("edge", "constant", "reflect", "symmetric", "wrap")
CONTENTS = ("noise", "dark", "white", "checkerboard", "impulse", "two-valued")


def picture(shape, dtype, content="noise", seed=0):
    """Make a picture; floats are signed and reach beyond white, where content allows."""
    rng = np.random.default_rng([seed, *shape])
    white = reference.full_scale(dtype)
    if content == "white":
        samples = np.full(shape, white)
    elif content == "checkerboard":
        samples = np.indices(shape)[:2].sum(axis=0) % 2 * white
    elif content == "impulse":
        samples = np.zeros(shape)
        samples[tuple(rng.integers(0, side) for side in shape)] = white
    elif content == "two-valued":
        samples = rng.integers(0, 2, shape) * white
    elif content == "dark":
        samples = rng.integers(0, 4, shape) * (1 if white > 1 else 1 / 256)
    elif white == 1:
        samples = rng.uniform(-1.5, 1.5, shape)
    else:
        samples = rng.integers(0, white + 1, shape)
    return samples.astype(dtype)


def large(dtype, channels=3):
    """A picture with several blocks of rows and several tiles, none of them even, for several threads."""
    return picture((901, 310, channels), dtype, seed=2)


@st.composite
def shapes(draw, max_side=13, channels=(None, 1, 2, 3, 4, 5)):
    """(rows, cols) or (rows, cols, channels); single rows, columns and pixels are frequent."""
    side = st.one_of(st.just(1), st.integers(1, max_side))
    depth = draw(st.sampled_from(channels))
    return (draw(side), draw(side)) if depth is None else (draw(side), draw(side), depth)


@st.composite
def pictures(draw, dtypes=DTYPES, max_side=13, channels=(None, 1, 2, 3, 4, 5), contents=CONTENTS):
    """Small pictures of any kind."""
    shape = draw(shapes(max_side, channels))
    return picture(shape, draw(st.sampled_from(dtypes)), draw(st.sampled_from(contents)), draw(st.integers(0, 99)))


def asymmetric(kernel):
    """Change the first weight of a kernel if it equals a mirror image of itself."""
    while any(
        kernel.shape[axis] > 1 and np.array_equal(kernel, np.flip(kernel, axes))
        for axis, axes in ((0, 0), (1, 1), (0, (0, 1)), (1, (0, 1)))
    ):
        kernel[0, 0] += 1
    return kernel


@st.composite
def kernels(draw, weights, max_side=6):
    """Asymmetric kernels of odd and even sides; ``weights(rng, shape)`` makes their numbers."""
    shape = draw(st.integers(1, max_side)), draw(st.integers(1, max_side))
    return asymmetric(weights(np.random.default_rng(draw(st.integers(0, 999))), shape))


def whole(rng, shape):
    """Small whole weights, both signs, some of them zero."""
    return rng.integers(-9, 10, shape)


def eighths(rng, shape):
    """Binary fractions: their sums meet ties exactly."""
    return rng.integers(-16, 17, shape) / 8


def fractions(rng, shape):
    """Real weights of both signs whose magnitudes sum to at most two."""
    weights = rng.standard_normal(shape)
    return weights * (rng.uniform(0.5, 2.0) / np.abs(weights).sum())


def separable(rng, shape):
    """Real weights of rank one."""
    column, row = rng.uniform(0.05, 1, shape[0]), rng.uniform(0.05, 1, shape[1])
    return np.outer(column / column.sum(), row / row.sum())


def sparse(rng, shape):
    """Weights that are mostly zero."""
    return np.where(rng.random(shape) < 0.2, rng.integers(-9, 10, shape), 0)


def pairs(numbers):
    """One number for both axes, or one for each."""
    return st.one_of(numbers, st.tuples(numbers, numbers))


PADDINGS = st.one_of(
    st.sampled_from(("same", "valid", "full")),
    pairs(st.integers(0, 9)),
    st.tuples(st.tuples(st.integers(0, 30), st.integers(0, 9)), st.tuples(st.integers(0, 9), st.integers(0, 30))),
)


@st.composite
def geometries(draw, *, white=1, max_stride=4, max_dilation=3, paddings=PADDINGS, modes=MODES):
    """Stride, dilation, padding, border modes and, within the picture's range, the padding's value."""
    geometry = {
        "stride": draw(pairs(st.integers(1, max_stride))),
        "dilation": draw(pairs(st.integers(1, max_dilation))),
        "padding": draw(paddings),
        "padding_mode": draw(pairs(st.sampled_from(modes))),
    }
    if "constant" in reference.pair(geometry["padding_mode"]):
        geometry["padding_value"] = draw(st.sampled_from((0, 1))) * white or draw(st.integers(0, 200)) * white / 255
        if white > 1:
            geometry["padding_value"] = int(geometry["padding_value"])
    return geometry


@st.composite
def cases(draw, dtypes=DTYPES, max_side=13, channels=(None, 1, 2, 3, 4, 5), contents=CONTENTS, **options):
    """A picture and a geometry for it."""
    samples = draw(pictures(dtypes, max_side, channels, contents))
    return samples, draw(geometries(white=reference.full_scale(samples.dtype), **options))


@st.composite
def storings(draw, scales=(1,), offsets=(0,)):
    """Conversion of a sum to a sample: flip, scale, offset and map."""
    return {
        "flip": draw(st.booleans()),
        "scale": draw(st.sampled_from(scales)),
        "offset": draw(st.sampled_from(offsets)),
        "map": draw(st.sampled_from((None, "clip", "abs", "offset"))),
    }
