"""The weights of a Gaussian at several rates, against those of the Gaussian itself."""

import numpy as np
import pictures
import pytest
import reference

import convfilter
from convfilter.executor.run import run_array, run_stage
from convfilter.filters import kernels, stack
from convfilter.filters.multirate import COARSE, FINE, largest_step, rates
from convfilter.filters.operators import Correlation
from convfilter.filters.stage import Stage
from convfilter.planning import plan_stack

#: What docs/engine.md promises for one axis: the magnitudes of all wrong weights, summed.
WRONG_WEIGHT = {COARSE: 4e-6, FINE: 7e-8}
SIGMAS = (*np.geomspace(3.2, 60, 80), 100, 333)
REACH = 9  # sigmas; beyond them lies less than 1e-17 of a Gaussian


def response(steps, phase, radius):
    """Weights of the samples within ``radius`` for an output ``phase`` samples after a decimated one."""
    seen = np.zeros(2 * radius + 1)
    down, middle = steps.decimation.size // 2, steps.blur.size // 2
    outer = np.convolve(steps.interpolation[phase], steps.blur)
    for kept, weight in enumerate(outer, steps.interpolation_first - middle):
        first = kept * steps.step - phase + radius - down
        seen[first : first + steps.decimation.size] += weight * steps.decimation
    return seen


@pytest.mark.parametrize("quality", [COARSE, FINE], ids=["coarse", "fine"])
def test_the_steps_together_are_the_gaussian(quality):
    worst = 0.0
    for sigma in SIGMAS:
        if largest_step(sigma, quality) < 2:
            continue
        steps = rates(sigma, quality)
        radius = int(REACH * sigma) + (steps.interpolation_taps + steps.blur.size) * steps.step + steps.decimation.size
        gaussian = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma) ** 2)
        gaussian /= gaussian.sum()
        for phase in {0, 1, steps.step // 3, steps.step // 2, steps.step - 1}:
            seen = response(steps, phase, radius)
            assert seen.sum() == pytest.approx(1, abs=1e-14)
            worst = max(worst, np.abs(seen - gaussian).sum())
    # As promised, and not far below it: the promise is of use.
    assert WRONG_WEIGHT[quality] / 2 < worst <= WRONG_WEIGHT[quality]


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize("scale", [-3, 0.01, 40])
def test_results_are_scaled_as_by_taps(dtype, scale):
    image = pictures.picture((40, 50, 3), dtype)
    by_rates, by_taps = (
        convfilter.gaussian_blur(image, 8, scale=scale, offset=0.2, dtype="float32", algorithm=algorithm)
        for algorithm in ("multirate", "separable")
    )
    np.testing.assert_allclose(by_rates, by_taps, rtol=0, atol=2e-6 * (abs(scale) + 0.2) * image.max())


@pytest.mark.parametrize("mode", ["edge", "constant", "reflect", "symmetric", "wrap"])
@pytest.mark.parametrize("stride", [1, (2, 7)])
def test_the_parts_in_which_rows_are_filtered_do_not_show(mode, stride, monkeypatch):
    image = pictures.picture((37, 61, 3), "uint16")
    keywords = {"stride": stride, "padding_mode": mode, "padding_value": 99, "algorithm": "multirate"}
    if mode != "constant":
        del keywords["padding_value"]
    whole = convfilter.gaussian_blur(image, 6, **keywords)
    monkeypatch.setattr("convfilter.methods.horizontal.TRANSPOSED_SAMPLES", 60)
    monkeypatch.setattr("convfilter.methods.horizontal.HALOS", 0)
    np.testing.assert_array_equal(convfilter.gaussian_blur(image, 6, **keywords), whole)


@pytest.mark.parametrize("mode", ["edge", "constant", "reflect", "symmetric", "wrap"])
@pytest.mark.parametrize("sigma", [8, 20])
@pytest.mark.parametrize("before", ["relu", "gaussian:1"])
def test_rows_of_a_line_buffer_give_the_results_of_those_of_a_picture(before, sigma, mode, monkeypatch):
    monkeypatch.setattr("convfilter.engine.schedule.WORTH_A_THREAD", 0)
    monkeypatch.setattr("convfilter.engine.schedule.WHOLE_BYTES", 0)
    image = pictures.picture((900, 70, 3), "uint8")
    plan = plan_stack(stack.stages([before, f"gaussian:{sigma},padding_mode={mode}"]), image.shape, "uint8")
    assert plan.stages[1].algorithm == "multirate"
    between, _ = run_stage(plan, 0, image, image.dtype, 1)
    expected, _ = run_stage(plan, 1, between, image.dtype, 1)
    for threads in (1, 2):
        np.testing.assert_array_equal(run_array(plan, image, threads=threads).pixels, expected)


@pytest.mark.parametrize("sigma", [5, 8, 14, 40])
def test_no_picture_of_8_bits_is_off_by_more_than_a_thousandth(sigma):
    """Steps, stripes, black and white noise, and noise whose results are all next to ties."""
    length = 400
    x = np.arange(length)
    pictures_ = [np.where((x[:, np.newaxis] > length // 2) & (x > length // 2 - 9), 255, 0)]
    pictures_ += [np.where((x[:, np.newaxis] // period + x // period) % 2, 255, 0) for period in (5, 17, 33)]
    pictures_ += [
        np.random.default_rng(0).integers(low, high, (length, length)) for low, high in ((0, 256), (200, 202))
    ]
    for image in pictures_:
        exact = reference.gaussian_blur(reference.real(image), sigma)
        stored = convfilter.gaussian_blur(image.astype(np.uint8), sigma, algorithm="multirate")
        assert np.abs(stored - exact).max() <= 0.5 + 1e-3
        stage = Stage(Correlation(kernels.gaussian(sigma, sigma)))
        plan = plan_stack([stage], image.shape, "uint8", algorithm="multirate")
        unrounded = run_array(plan, image.astype(np.uint8), out_dtype=np.float32).pixels
        assert np.abs(unrounded - exact).max() <= 1e-3
