"""Plans are cached by the value of what decides them, and by nothing else."""

import sys

import numpy as np
import pytest

import convfilter
from convfilter.errors import SizeError
from convfilter.filters import kernels, stack
from convfilter.filters.kernel import Kernel, from_array
from convfilter.filters.operators import Correlation, Pooling
from convfilter.filters.stage import Stage
from convfilter.planning import plan_cache
from convfilter.planning.plan_cache import cached_plan

UINT8 = np.dtype(np.uint8)
BASE = {"stages": [Stage(Correlation(kernels.gaussian(2, 2)))], "shape": (40, 50, 4), "dtype": UINT8}


def planned(**changes):
    values = BASE | changes
    return cached_plan(values.pop("stages"), values.pop("shape"), values.pop("dtype"), **values)


def test_equal_values_share_a_plan():
    assert planned() is planned(stages=[Stage(Correlation(kernels.gaussian(2, 2)))])
    spec = {"stages": stack.stages(["sobel:magnitude,stride=2", "maxpool:3"])}
    again = {"stages": stack.stages(["sobel:magnitude,stride=2", "maxpool:3"])}
    assert planned(**spec) is planned(**again)
    assert planned(out_dtype=np.float32) is planned(out_dtype="float32")


OTHERS = {
    "weights": {"stages": [Stage(Correlation(kernels.gaussian(2, 2.5)))]},
    "shape": {"shape": (40, 51, 4)},
    "channels": {"shape": (40, 50, 3)},
    "dtype": {"dtype": np.dtype(np.uint16)},
    "out_dtype": {"out_dtype": np.float32},
    "alpha": {"alpha": True},
    "gray": {"shape": (40, 50, 4), "alpha": True, "gray": True},
    "algorithm": {"algorithm": "direct"},
    "stride": {"stages": [Stage(Correlation(kernels.gaussian(2, 2)), stride=(1, 2))]},
    "value": {"stages": [Stage(Correlation(kernels.gaussian(2, 2)), padding_value=-0.0)]},
    "operator": {"stages": [Stage(Pooling("max", (3, 3)))]},
    "number": {"stages": [Stage(Correlation(kernels.gaussian(2, 2)))] * 2},
}


@pytest.mark.parametrize("changes", OTHERS.values(), ids=OTHERS)
def test_another_value_is_another_plan(changes):
    first, other = planned(), planned(**changes)
    assert other is not first
    assert planned() is first
    assert planned(**changes) is other


def test_weights_that_are_written_to_later_are_not_those_of_the_plan():
    matrix = np.array([[0.0, 1.0, 0.0]] * 3)
    image = np.random.default_rng(0).integers(0, 80, (9, 9), dtype=np.uint8)
    expected = convfilter.convolve(image, matrix)
    for kernel in (matrix, Kernel(matrix)):
        convfilter.convolve(image, kernel)
        matrix[:] = 0
        assert not convfilter.convolve(image, kernel).any()
        matrix[:, 1] = 1
        np.testing.assert_array_equal(convfilter.convolve(image, matrix.copy()), expected)


def test_few_plans_are_cached_and_the_latest(monkeypatch):
    monkeypatch.setattr(plan_cache, "MOST_PLANS", 3)
    first, second = planned(shape=(1, 1)), planned(shape=(1, 2))
    for cols in (3, 1, 4):
        planned(shape=(1, cols))
    assert planned(shape=(1, 1)) is first
    assert planned(shape=(1, 2)) is not second
    second = planned(shape=(1, 3))
    for cols in (5, 6, 7):
        planned(shape=(1, cols))
    assert planned(shape=(1, 3)) is not second


def test_large_weights_are_not_cached():
    large = {"stages": [Stage(Correlation(from_array(np.random.default_rng(0).normal(size=(120, 120)))))]}
    assert planned(**large) is not planned(**large)


def test_plan_errors_are_not_cached():
    for _ in range(2):
        with pytest.raises(SizeError):
            planned(stages=[Stage(Pooling("max", (99, 99)), padding="valid")])


def test_an_equal_call_calls_few_functions():
    """Of 256 x 256 pixels, a call of a Python function takes a thousandth of the time."""
    image = np.zeros((20, 30, 3), np.uint8)
    for _ in range(3):
        convfilter.gaussian_blur(image, 3, threads=1)
    called = []
    before = sys.getprofile()
    sys.setprofile(lambda frame, event, _: called.append(frame.f_code.co_name) if event == "call" else None)
    try:
        convfilter.gaussian_blur(image, 3, threads=1)
    finally:
        sys.setprofile(before)
    assert len(called) <= 200
