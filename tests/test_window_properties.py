"""Ranks, morphology and the bilateral filter on random pictures, footprints and geometries, against the oracle."""

from __future__ import annotations

import numpy as np
import pictures
import reference
from hypothesis import given
from hypothesis import strategies as st
from tolerances import oracle_or_refusal

import convfilter as cf

DTYPES = ("uint8", "uint16", "int16", "float32", "float64")
FRACTIONS = st.sampled_from((0.0, 0.5, 1.0)) | st.floats(0, 1)
MORPHOLOGY = {
    "erode": lambda image, window, **how: reference.extreme(image, window, False, **how),
    "dilate": lambda image, window, **how: reference.extreme(image, window, True, **how),
    "opening": reference.opened,
    "closing": lambda image, window, **how: reference.opened(image, window, closes=True, **how),
}


@st.composite
def footprints(draw):
    """Sides, or an array with at least one nonzero cell."""
    shape = draw(st.integers(1, 7)), draw(st.integers(1, 7))
    if draw(st.booleans()):
        return shape
    rng = np.random.default_rng(draw(st.integers(0, 999)))
    cells = (rng.random(shape) < draw(st.sampled_from((0.2, 0.7)))).astype(float)
    cells[rng.integers(shape[0]), rng.integers(shape[1])] = -1.5
    return cells


def stored(values, dtype):
    return reference.store(values, dtype) if np.dtype(dtype).kind in "ui" else values.astype(dtype)


@given(pictures.cases(DTYPES), footprints(), FRACTIONS, st.booleans())
def test_percentiles_are_those_of_numpy(case, window, fraction, flip):
    image, geometry = case

    def run():
        return cf.percentile(image, window, fraction, flip=flip, **geometry)

    values = oracle_or_refusal(
        lambda: reference.percentile(reference.real(image), window, fraction, flip=flip, **geometry), run
    )
    if values is None:
        return
    got = run()
    assert got.dtype == image.dtype
    if np.dtype(image.dtype).kind == "f":
        np.testing.assert_allclose(got, values, rtol=3e-7, atol=1e-7)
    else:
        # Where interpolation of other fractions meets a tie, NumPy rounds its product, too.
        off = np.abs(got - values)
        assert (off <= 0.5 + (0 if fraction in (0, 0.5, 1) else 1e-9)).all()


@given(pictures.cases(DTYPES), footprints(), st.sampled_from(sorted(MORPHOLOGY)))
def test_extremes_are_those_of_numpy(case, window, kind):
    image, geometry = case

    def run():
        return getattr(cf, kind)(image, window, **geometry)

    values = oracle_or_refusal(lambda: MORPHOLOGY[kind](reference.real(image), window, **geometry), run)
    if values is not None:
        np.testing.assert_array_equal(run(), stored(values, image.dtype))


@given(pictures.cases(DTYPES, channels=(1, 3)), st.integers(1, 4), st.floats(0.5, 3), st.floats(0.02, 1), st.booleans())
def test_bilateral_means_are_those_of_the_formula(case, radius, space, sigma_range, squares):
    image, geometry = case
    white = reference.full_scale(image.dtype)

    def run():
        distance = "l2" if squares else "l1"
        return cf.bilateral_filter(image, space, sigma_range, radius=radius, distance=distance, **geometry)

    values = oracle_or_refusal(
        lambda: reference.bilateral(
            reference.real(image), space, sigma_range * white, radius, squares=squares, **geometry
        ),
        run,
    )
    if values is not None:
        rounding = 0.5 if np.dtype(image.dtype).kind in "ui" else 0
        magnitude = max(1.0, float(np.abs(values).max(initial=0)))
        assert np.abs(run() - values).max(initial=0) <= rounding + 2e-6 * magnitude


@given(pictures.pictures(DTYPES, channels=(None, 3)), footprints(), st.integers(0, 999), st.booleans())
def test_masked_windows_hold_only_valid_pixels(image, window, seed, fill):
    """Medians and extremes leave masked pixels out; an output without any input is masked in turn."""
    mask = np.random.default_rng(seed).random(image.shape[:2]) < 0.6
    cells = reference.cells_of(window)
    real, inside = reference.real(image), reference.windows(mask.astype(float), cells.shape)
    valid = np.stack([seen for place, seen in inside if cells[place]]) > 0
    samples = np.stack([seen for place, seen in reference.windows(real, cells.shape) if cells[place]])
    there = valid.any(axis=0) & (fill | mask)
    chosen = np.ma.array(
        samples, mask=~np.broadcast_to(valid.reshape(*valid.shape, *[1] * (image.ndim - 2)), samples.shape)
    )
    expected = np.ma.median(chosen, axis=0).filled(0)
    got = cf.median(image, window, mask=mask, fill=fill)
    np.testing.assert_array_equal(got[there], stored(np.asarray(expected, np.float64), image.dtype)[there])
    empty = got[~there]
    assert np.isnan(empty).all() if image.dtype.kind == "f" else not empty.any()


PAIRS = st.tuples(st.integers(1, 4), st.integers(1, 4))


@given(
    pictures.pictures(DTYPES, max_side=30, channels=(None, 3)),
    st.tuples(st.integers(1, 5), st.sampled_from([None, 1, 3]), st.sampled_from([0.02, 0.5, 0.9])),
    st.tuples(st.booleans(), PAIRS, PAIRS, st.sampled_from(["edge", "reflect", "symmetric", "wrap"])),
    st.integers(0, 999),
)
def test_masked_lines_are_fitted_to_valid_pixels(image, numbers, geometry, seed):
    """Windows and means of lines leave masked pixels out; an unknown guide is the mean of its windows."""
    (radius, planes, share), (fill, stride, dilation, mode) = numbers, geometry
    rng, white = np.random.default_rng(seed), reference.full_scale(image.dtype)
    mask = rng.random(image.shape[:2]) < share
    guide = None if planes is None else rng.random((*image.shape[:2], planes))
    how = {"fill": fill, "stride": stride, "dilation": dilation, "padding_mode": mode}
    colours = np.moveaxis(np.atleast_3d(reference.real(image) / white), 2, 0)
    expected = np.stack([reference.guided(each, mask, radius, 0.01, guide, **how) for each in colours], axis=2)
    squeezed = None if guide is None else guide.squeeze(2) if planes == 1 else guide
    got = cf.guided_filter(image, radius, 0.01, squeezed, mask=mask, dtype=np.float32, **how)
    got, missing = np.atleast_3d(got) / white, np.isnan(np.atleast_3d(got))
    # With dilation, edge padding takes lines beyond a pixel's window, which count only if one within it does.
    assert (missing >= np.isnan(expected)).all() if mode == "edge" else (missing == np.isnan(expected)).all()
    np.testing.assert_allclose(got[~missing], expected[~missing], rtol=1e-5, atol=2e-5)
