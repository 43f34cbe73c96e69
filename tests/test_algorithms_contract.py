"""Every algorithm, forced by ``algorithm=``, keeps the contract, also where the planner would not choose it."""

from fractions import Fraction

import numpy as np
import pictures
import pytest
import reference
from hypothesis import given
from hypothesis import strategies as st
from tolerances import FLOAT32, GAUSSIAN_TAIL, TRANSFORM, assert_float32, assert_stored, assert_stored_exactly

import convfilter
from convfilter.errors import ParameterError
from convfilter.planning import ALGORITHMS

#: Cases that each algorithm must accept.
MADE_FOR = {
    "direct": ("whole", "eighths", "real", "separable", "box", "whole numbers in a box", "gaussian", "wide gaussian"),
    "separable": ("separable", "box", "whole numbers in a box", "gaussian", "wide gaussian"),
    "box": ("whole numbers in a box",),
    "lowrank": ("whole", "real"),
    "multirate": ("wide gaussian",),
    "fourier": ("whole", "real", "separable"),
}


def forced(algorithm, job, run):
    """Run with the algorithm; None if it refuses the case."""
    try:
        return run(algorithm=algorithm)
    except ParameterError as refusal:
        assert "algorithm" in str(refusal)
        assert algorithm not in MADE_FOR or job not in MADE_FOR[algorithm], str(refusal)
        return None


def gaussian_job(sigma, dilation=1):
    """Multirate needs a sigma of 4.4 pixels, for 8-bit results less, and dilation 1, along one axis at least."""
    axes = zip(reference.pair(sigma), reference.pair(dilation), strict=True)
    return "wide gaussian" if any(spread >= 4.4 and step == 1 for spread, step in axes) else "gaussian"


def kernel_for(job, shape, seed):
    """Weights as (argument of the filter, integer numerators or None, divisor)."""
    rng = np.random.default_rng(seed)
    if job in ("whole", "eighths"):
        numerators = pictures.asymmetric(pictures.whole(rng, shape))
        divisor = 8 if job == "eighths" else 1
        return numerators / divisor, numerators, divisor
    make = pictures.fractions if job == "real" else pictures.separable
    return pictures.asymmetric(make(rng, shape)), None, 1


def spread(algorithm, image, geometry, weights):
    """Addition to the magnitude that bounds a float32 result: the rounding of a transform."""
    if algorithm != "fourier":
        return 0
    largest = max(np.abs(reference.real(image)).max(), abs(geometry.get("padding_value", 0)))
    return TRANSFORM / FLOAT32 * largest * np.abs(weights).sum()


def refused(window, image, geometry):
    return min(reference.output_shape(image.shape, window, **geometry)) < 1


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@given(
    pictures.cases(max_side=24),
    st.sampled_from(("whole", "eighths", "real", "separable")),
    st.tuples(st.integers(1, 9), st.integers(1, 9)),
    st.integers(0, 99),
)
def test_kernels(algorithm, case, job, shape, seed):
    image, geometry = case
    if refused(shape, image, geometry):
        return
    kernel, numerators, divisor = kernel_for(job, shape, seed)
    got = forced(algorithm, job, lambda **how: convfilter.convolve(image, kernel, **how, **geometry))
    if got is None:
        return
    if image.dtype == np.float32:
        magnitude = reference.correlate(np.abs(reference.real(image)), np.abs(kernel), **geometry)
        magnitude = magnitude + spread(algorithm, image, geometry, kernel)
        assert_float32(got, reference.correlate(reference.real(image), kernel, **geometry), magnitude)
    elif numerators is not None:
        sums = reference.correlate(image.astype(np.int64), numerators, **geometry)
        assert_stored_exactly(got, reference.exact(sums) / divisor)
    else:
        assert_stored(got, reference.correlate(reference.real(image), kernel, **geometry))


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("dtype", pictures.INTEGERS)
@pytest.mark.parametrize(
    "storing", [{"offset": 0.5}, {"offset": 0.1}, {"map": "offset"}, {"offset": 0.5, "map": "abs"}], ids=str
)
def test_whole_kernels_stay_exact_where_an_offset_makes_ties(algorithm, dtype, storing):
    image = pictures.picture((40, 60), dtype, seed=8)
    kernel = pictures.asymmetric(pictures.whole(np.random.default_rng(8), (6, 5)))
    got = forced(algorithm, None, lambda **how: convfilter.convolve(image, kernel, **storing, **how))
    if got is not None:
        offset = Fraction(str(storing.get("offset", 0))) * reference.full_scale(dtype)
        sums = reference.correlate(image.astype(np.int64), kernel)
        assert_stored_exactly(got, reference.exact(sums) + offset, storing.get("map", "clip"))


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("dtype", pictures.INTEGERS)
def test_whole_kernels_are_stretched_as_well_as_others(algorithm, dtype):
    """Stretching a small range to the whole range amplifies small errors."""
    image = (pictures.picture((40, 60), dtype, seed=8) % 2).astype(dtype)
    kernel = pictures.asymmetric(pictures.whole(np.random.default_rng(8), (6, 5))) // 5
    got = forced(algorithm, None, lambda **how: convfilter.convolve(image, kernel, map="stretch", **how))
    if got is not None:
        assert_stored(got, reference.correlate(reference.real(image), kernel), "stretch")


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("dtype", pictures.DTYPES)
@pytest.mark.parametrize("job", ["real", "separable", "box", "wide gaussian"])
def test_stretching_a_flat_result_does_not_show_its_rounding(algorithm, dtype, job):
    image = np.full((90, 110), reference.full_scale(dtype) * 0.7, dtype)
    kernel = np.zeros((5, 6)) if job in ("box", "wide gaussian") else kernel_for(job, (5, 6), 1)[0]
    run = {
        "box": lambda **how: convfilter.box_blur(image, (5, 6), map="stretch", **how),
        "wide gaussian": lambda **how: convfilter.gaussian_blur(image, 10, map="stretch", **how),
    }.get(job, lambda **how: convfilter.convolve(image, kernel, map="stretch", **how))
    if (algorithm, job) == ("direct", "wide gaussian"):
        return
    got = forced(algorithm, None, run)
    assert got is None or not got.any()


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("whole", [False, True])
def test_huge_weights_leave_no_trace_outside_their_windows(algorithm, whole):
    image = np.zeros((60, 70), np.uint8)
    image[20, 30] = 255
    kernel = pictures.asymmetric(np.random.default_rng(2).integers(1, 1000, (5, 6))) * (2.0**30 if whole else 1.1e20)
    got = forced(algorithm, None, lambda **how: convfilter.convolve(image, kernel, **how))
    if got is not None:
        sums = reference.correlate(image.astype(np.float64), np.ones(kernel.shape))
        assert np.array_equal(got, np.where(sums > 0, 255, 0))


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("magnitude", [1e-3, 1e-8, 1e-20, 1e-30, 0])
def test_weights_too_small_to_show_leave_the_offset(algorithm, magnitude):
    image = pictures.picture((9, 40), "uint8")
    kernel = magnitude * kernel_for("real", (5, 6), 1)[0]
    got = forced(
        algorithm,
        "real" if magnitude else None,
        lambda **how: convfilter.convolve(image, kernel, offset=0.4, **how),
    )
    if got is not None:
        assert (got == 102).all()


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@given(pictures.cases(max_side=24), pictures.pairs(st.integers(1, 12)))
def test_boxes(algorithm, case, size):
    image, geometry = case
    # A running sum needs dilation 1.
    geometry["dilation"] = 1
    if refused(reference.pair(size), image, geometry):
        return
    job = "box" if image.dtype == np.float32 else "whole numbers in a box"
    got = forced(algorithm, job, lambda **how: convfilter.box_blur(image, size, **how, **geometry))
    if got is None:
        return
    if image.dtype == np.float32:
        magnitude = reference.box_blur(np.abs(reference.real(image)), size, **geometry)
        magnitude = magnitude + spread(algorithm, image, geometry, np.ones(1))
        assert_float32(got, reference.box_blur(reference.real(image), size, **geometry), magnitude)
    else:
        cells = reference.pair(size)[0] * reference.pair(size)[1]
        sums = reference.box_sum(image.astype(np.int64), size, **geometry)
        assert_stored_exactly(got, reference.exact(sums) / Fraction(cells))


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@given(pictures.cases(max_side=24), pictures.pairs(st.sampled_from((0.3, 1, 2.4, 5, 8, 13, 40))))
def test_gaussians(algorithm, case, sigma):
    image, geometry = case
    if (algorithm == "direct" and np.max(sigma) > 3) or refused(reference.gaussian_window(sigma), image, geometry):
        return
    job = gaussian_job(sigma, geometry["dilation"])
    got = forced(algorithm, job, lambda **how: convfilter.gaussian_blur(image, sigma, **how, **geometry))
    if got is None:
        return
    samples = reference.real(image)
    values = reference.gaussian_blur(samples, sigma, **geometry)
    if image.dtype == np.float32:
        largest = max(np.abs(samples).max(), abs(geometry.get("padding_value", 0)))
        magnitude = reference.gaussian_blur(np.abs(samples), sigma, **geometry)
        assert_float32(got, values, magnitude + GAUSSIAN_TAIL / FLOAT32 * largest)
    else:
        assert_stored(got, values)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("dtype", pictures.INTEGERS)
def test_shares_of_equal_samples(algorithm, dtype):
    """On a picture of several blocks, with a filter that each algorithm can compute."""
    image = pictures.picture((120, 150, 3), dtype, seed=6)
    samples = reference.real(image)
    for sigma in (1.2, (2, 3), 9, 31):
        if algorithm != "direct" or np.max(sigma) < 3:
            got = forced(algorithm, gaussian_job(sigma), lambda **how: convfilter.gaussian_blur(image, sigma, **how))  # noqa: B023
            if got is not None:
                assert_stored(got, reference.gaussian_blur(samples, sigma))
    for job in ("real", "separable"):
        kernel, _, _ = kernel_for(job, (9, 8), 3)
        got = forced(algorithm, job, lambda **how: convfilter.convolve(image, kernel, **how))  # noqa: B023
        if got is not None:
            assert_stored(got, reference.correlate(samples, kernel))


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("dtype", pictures.DTYPES)
def test_the_same_bytes_for_any_number_of_threads(algorithm, dtype):
    image = pictures.large(dtype)
    kernel, _, _ = kernel_for("real", (7, 6), 1)
    thin, _, _ = kernel_for("separable", (7, 6), 1)
    for job, run in {
        "real": lambda **keys: convfilter.convolve(image, kernel, **keys),
        "separable": lambda **keys: convfilter.convolve(image, thin, **keys),
        "box": lambda **keys: convfilter.box_blur(image, (9, 12), **keys),
        "gaussian": lambda **keys: convfilter.gaussian_blur(image, (0.9, 1.4), **keys),
        "wide gaussian": lambda **keys: convfilter.gaussian_blur(image, (9, 14), **keys),
    }.items():
        if (algorithm, job) == ("direct", "wide gaussian"):
            continue
        once = forced(algorithm, job, lambda run=run, **how: run(threads=1, **how))
        for threads in (2, 3, 7) if once is not None else ():
            assert run(threads=threads, algorithm=algorithm).tobytes() == once.tobytes()


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("job", ["real", "separable", "box", "gaussian", "wide gaussian"])
def test_nan_and_infinity_stay_in_the_windows_that_contain_them(algorithm, job):
    image = pictures.picture((190, 200, 2), "float32", seed=3)
    sound = image.copy()
    sound[97, 90, 1], image[97, 90, 1] = 0, np.nan
    if "gaussian" in job:
        sigma = 1.5 if job == "gaussian" else 6
        column = reference.gaussian_weights(sigma, reference.gaussian_radius(sigma))[:, np.newaxis]
        run, passes = lambda **how: convfilter.gaussian_blur(image, sigma, **how), (column, column.T)
    elif job == "box":
        passes = np.full((7, 1), 1 / 7), np.full((1, 6), 1 / 6)
        run = lambda **how: convfilter.box_blur(image, (7, 6), **how)  # noqa: E731
    else:
        kernel, _, _ = kernel_for(job, (7, 6), 2)
        run, passes = lambda **how: convfilter.convolve(image, kernel, **how), (kernel,)
    if (algorithm, job) == ("direct", "wide gaussian"):
        return
    got = forced(algorithm, job, run)
    if got is None:
        return

    def through(samples, of_weights):
        for each in passes:
            samples = reference.correlate(samples, of_weights(each))
        return samples

    touched = through(np.float64(np.isnan(image)), np.ones_like) > 0
    magnitude = through(np.abs(reference.real(sound)), np.abs) + GAUSSIAN_TAIL / FLOAT32 * 1.5
    assert_float32(got, through(reference.real(sound), np.asarray), magnitude, uncertain=touched)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("mode", pictures.MODES)
def test_sweep_of_sigma_on_small_pictures(algorithm, mode):
    for shape, dtype in (((1, 1), "uint8"), ((1, 9), "uint16"), ((13, 1), "uint8"), ((17, 29), "uint16")):
        image = pictures.picture(shape, dtype, seed=7)
        settings = {"padding_mode": mode, "padding_value": reference.full_scale(dtype)}
        for sigma in (1, 3.9, 4, 4.1, 6, 8, 10, 16, 30, 77, 300):
            if algorithm == "direct" and sigma > 4:
                continue
            run = lambda **how: convfilter.gaussian_blur(image, sigma, **settings, **how)  # noqa: B023, E731
            got = forced(algorithm, gaussian_job(sigma), run)
            if got is not None:
                assert_stored(got, reference.gaussian_blur(reference.real(image), sigma, **settings))


def test_every_algorithm_is_forced_somewhere():
    """An algorithm that refused every case would pass all the tests above."""
    image = pictures.picture((30, 31), "uint8")
    runs = (
        lambda **how: convfilter.convolve(image, kernel_for("real", (5, 4), 1)[0], **how),
        lambda **how: convfilter.convolve(image, kernel_for("separable", (5, 4), 1)[0], **how),
        lambda **how: convfilter.box_blur(image, 5, **how),
        lambda **how: convfilter.gaussian_blur(image, 9, **how),
        lambda **how: convfilter.sobel(image, **how),
        lambda **how: convfilter.max_pool(image, 3, **how),
        lambda **how: convfilter.median(image, 3, **how),
    )
    for algorithm in ALGORITHMS:
        assert any(forced(algorithm, None, run) is not None for run in runs), algorithm


def test_the_planner_may_be_overridden_but_not_misled():
    image = pictures.picture((30, 31), "uint8")
    with pytest.raises(ParameterError, match="direct"):
        convfilter.convolve(image, [[1, 2], [3, 5]], algorithm="box")
