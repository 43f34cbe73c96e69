"""``max_pool`` and ``average_pool`` against the oracle: equal everywhere."""

import numpy as np
import pictures
import pytest
import reference
import scipy.ndimage
from hypothesis import given
from hypothesis import strategies as st
from tolerances import assert_float32, assert_same_picture, assert_stored_exactly

import convfilter
from convfilter.errors import ConvfilterError, ParameterError

SIZES = pictures.pairs(st.integers(1, 6) | st.sampled_from((9, 17)))
PADDINGS = (
    pictures.pairs(st.integers(0, 4))
    | st.tuples(st.tuples(st.integers(0, 4), st.integers(0, 9)), st.tuples(st.integers(0, 9), st.integers(0, 4)))
    | st.sampled_from(("same", "valid", "same_upper", "same_lower"))
)
GEOMETRIES = st.fixed_dictionaries(
    {},
    optional={
        "stride": pictures.pairs(st.integers(1, 5)),
        "padding": PADDINGS,
        "dilation": pictures.pairs(st.integers(1, 3)),
        "ceil": st.booleans(),
    },
)


def pooled_or_refused(oracle, run):
    """As ``oracle_or_refusal``, but a window without any real cell is refused too."""
    try:
        return oracle()
    except ValueError:
        with pytest.raises(ConvfilterError):
            run()
        return None


def test_the_lectures_example():
    image = np.uint8([[3, 3, 2, 1, 0], [0, 0, 1, 3, 1], [3, 1, 2, 2, 3], [2, 0, 0, 2, 2], [2, 0, 0, 0, 1]])
    assert convfilter.max_pool(image, 3, stride=2, padding=1).tolist() == [[3, 3, 3], [3, 3, 3], [2, 2, 2]]


@given(pictures.pictures(max_side=20), SIZES, GEOMETRIES)
def test_max_pooling_is_equal_everywhere(image, size, geometry):
    def run():
        return convfilter.max_pool(image, size, **geometry)

    expected = pooled_or_refused(lambda: reference.max_pool(image, size, **geometry), run)
    if expected is not None:
        assert_same_picture(run(), expected.astype(image.dtype))


@given(pictures.pictures(pictures.INTEGERS, max_side=20), SIZES, GEOMETRIES, st.booleans())
def test_average_pooling_is_equal_everywhere(image, size, geometry, count_padding):
    """Also where the number of real cells differs from window to window, and on ties."""
    geometry = {**geometry, "count_padding": count_padding}

    def run():
        return convfilter.average_pool(image, size, **geometry)

    means = pooled_or_refused(lambda: reference.average_pool(reference.exact(image), size, **geometry), run)
    if means is not None:
        assert run().dtype == image.dtype
        assert_stored_exactly(run(), means)


@given(pictures.pictures(max_side=20), SIZES, GEOMETRIES, st.booleans())
def test_average_pooling_of_raw_values(image, size, geometry, count_padding):
    geometry = {**geometry, "count_padding": count_padding}
    samples = reference.real(image)

    def run():
        return convfilter.average_pool(image, size, dtype=np.float32, **geometry)

    means = pooled_or_refused(lambda: reference.average_pool(samples, size, **geometry), run)
    if means is not None:
        assert_float32(run(), means, reference.average_pool(np.abs(samples), size, **geometry))


@given(pictures.pictures(max_side=20), SIZES, GEOMETRIES, st.sampled_from((1, 2, 3.5)))
def test_power_pooling_of_raw_values(image, size, geometry, p):
    white = reference.full_scale(image.dtype)
    samples = reference.real(image) / white

    def run():
        return convfilter.lp_pool(image, size, p=p, dtype=np.float32, **geometry)

    expected = pooled_or_refused(lambda: reference.lp_pool(samples, size, p, **geometry), run)
    if expected is not None:
        np.testing.assert_allclose(run(), expected * white, rtol=3e-6, atol=1e-30 * white)


@pytest.mark.parametrize("magnitude", [1e20, 1e-31])
@pytest.mark.parametrize("p", [1.5, 2, 7])
def test_powers_of_float32_samples_neither_overflow_nor_vanish(magnitude, p):
    image = (pictures.picture((9, 8, 3), "float32", seed=8) + 2) * np.float32(magnitude)
    expected = reference.lp_pool(reference.real(image), 2, p)
    np.testing.assert_allclose(convfilter.lp_pool(image, 2, p=p), expected, rtol=1e-6)


@pytest.mark.peer("torch")
def test_pytorchs_pooling():
    torch = pytest.importorskip("torch")
    image = pictures.picture((23, 30), "float32", seed=4)
    tensor = torch.from_numpy(image.copy())[None, None]
    for size, stride, padding in (((3, 4), (2, 3), (1, 2)), ((5, 2), (3, 5), (2, 1))):
        geometry = {"stride": stride, "padding": padding}
        for ceil in (False, True):
            theirs = torch.nn.functional.max_pool2d(tensor, size, **geometry, dilation=(1, 2), ceil_mode=ceil)
            got = convfilter.max_pool(image, size, **geometry, dilation=(1, 2), ceil=ceil)
            assert_same_picture(got, theirs[0, 0].numpy())
            for counts in (False, True):
                keywords = {"ceil_mode": ceil, "count_include_pad": counts}
                theirs = torch.nn.functional.avg_pool2d(tensor, size, **geometry, **keywords)[0, 0].numpy()
                got = convfilter.average_pool(image, size, **geometry, ceil=ceil, count_padding=counts)
                np.testing.assert_allclose(got, theirs, rtol=1e-5, atol=1e-7)


def test_the_whole_picture_is_one_window():
    image = pictures.picture((9, 7, 3), "uint8", seed=6)
    assert_same_picture(convfilter.max_pool(image, "global"), image.max(axis=(0, 1), keepdims=True))
    means = image.astype(np.float64).mean(axis=(0, 1), keepdims=True)
    assert_same_picture(convfilter.average_pool(image, "global"), np.rint(means).astype(np.uint8))
    for p in (1, 2, 3.5):
        expected = reference.lp_pool(reference.real(image) / 255, image.shape[:2], p) * 255
        got = convfilter.lp_pool(image, "global", p=p, dtype=np.float32)
        np.testing.assert_allclose(got, expected, rtol=3e-6)


def test_lp_pooling_of_the_whole_picture_is_that_of_a_window_as_large():
    """Also with padding, after another filter, with alpha in both forms, as grey, and with ignored pixels."""
    image = pictures.picture((12, 9, 4), "uint8", seed=7)
    valid = image[..., 0] > 60
    for keywords in (
        {"padding": 2}, {"alpha": True}, {"alpha": True, "premultiplied": True}, {"gray": True, "alpha": True},
        {"mask": valid}, {"mask": valid, "alpha": True}, {"scale": 0.25, "offset": 0.1},
    ):  # fmt: skip
        got = convfilter.lp_pool(image, "global", p=3, dtype=np.float32, **{"scale": 0.5} | keywords)
        expected = convfilter.lp_pool(image, (12, 9), 1, p=3, dtype=np.float32, **{"scale": 0.5} | keywords)
        assert_same_picture(got, expected)
    of_both = (convfilter.apply(image, "maxpool:2", f"lppool:{size},p=3,scale=1/20") for size in ("global", "4x6"))
    assert_same_picture(*of_both)


@pytest.mark.parametrize("dtype", pictures.DTYPES)
@pytest.mark.parametrize("size", [2, 3, (5, 31), (64, 1), 57])
def test_larger_pictures(dtype, size):
    """Pictures larger than one tile, vector and band of rows, with running extremes over every window."""
    image = pictures.picture((111, 140, 3), dtype, seed=5)
    less_than_a_window = tuple((0, min(9, side - 1)) for side in reference.pair(size))
    for geometry in ({}, {"stride": 1}, {"stride": (1, 3), "padding": less_than_a_window, "dilation": (1, 2)}):
        expected = reference.max_pool(image, size, **geometry).astype(dtype)
        assert_same_picture(convfilter.max_pool(image, size, **geometry), expected)
        got = convfilter.average_pool(image, size, **geometry)
        if dtype == "float32":
            magnitude = reference.average_pool(np.abs(reference.real(image)), size, **geometry)
            assert_float32(got, reference.average_pool(reference.real(image), size, **geometry), magnitude)
        else:
            counts = reference.real_cells(image.shape, size, **{"stride": size, "padding": 0, **geometry})
            settings = {"stride": size, "padding": 0, **geometry, "padding_mode": "constant"}
            sums = np.rint(reference.correlate(reference.real(image), np.ones(reference.pair(size)), **settings))
            assert_stored_exactly(got, reference.exact(sums) / counts)


def test_negative_samples_win_over_padding():
    image = np.full((4, 5), -7, np.float32)
    assert (convfilter.max_pool(image, 3, stride=1, padding=1) == -7).all()
    assert (convfilter.average_pool(image, 3, stride=1, padding=1) == -7).all()
    image[:] = -np.inf
    assert (convfilter.max_pool(image, 3, stride=1, padding=1) == -np.inf).all()


def test_nan_is_seen_in_its_windows_and_only_there():
    image = pictures.picture((40, 50, 2), "float32", seed=3)
    image[11, 20, 1] = np.nan
    for size in (2, 5, (3, 16)):
        expected = reference.max_pool(image, size, stride=1).astype(np.float32)
        assert_same_picture(convfilter.max_pool(image, size, stride=1), expected)
        got = convfilter.average_pool(image, size, stride=1)
        assert np.array_equal(np.isnan(got), np.isnan(expected))


def test_the_stride_defaults_to_the_window_and_padding_to_none():
    image = pictures.picture((23, 30), "uint8")
    for pool in (convfilter.max_pool, convfilter.average_pool):
        assert pool(image, (3, 4)).shape == (7, 7)
        assert_same_picture(pool(image, (3, 4)), pool(image, (3, 4), stride=(3, 4), padding=0, dilation=1))


def test_scipys_filters_say_the_same_inside():
    image = pictures.picture((30, 41), "uint16", seed=2)
    theirs = scipy.ndimage.maximum_filter(image, (5, 3))
    assert np.array_equal(convfilter.max_pool(image, (5, 3), stride=1), theirs[2:-2, 1:-1])
    theirs = scipy.ndimage.uniform_filter(image.astype(np.float64), (5, 3))
    assert np.array_equal(convfilter.average_pool(image, (5, 3), stride=1), np.rint(theirs[2:-2, 1:-1]))


@pytest.mark.parametrize("dtype", pictures.DTYPES)
def test_the_same_bytes_for_any_number_of_threads(dtype):
    image = pictures.large(dtype)
    for pool in (convfilter.max_pool, convfilter.average_pool):
        for geometry in ({}, {"stride": (3, 1), "padding": (2, 1), "dilation": (2, 3)}):
            once = pool(image, (7, 4), threads=1, **geometry)
            for threads in (2, 3, 7, None):
                assert pool(image, (7, 4), threads=threads, **geometry).tobytes() == once.tobytes()


@pytest.mark.parametrize(
    "wrong", [{"size": 0}, {"size": (2, -1)}, {"stride": 0}, {"padding": -1}, {"dilation": 0}], ids=str
)
def test_parameters_out_of_range_are_refused(wrong):
    for pool in (convfilter.max_pool, convfilter.average_pool):
        with pytest.raises(ParameterError):
            pool(np.zeros((5, 5), np.uint8), **{"size": 2, **wrong})
