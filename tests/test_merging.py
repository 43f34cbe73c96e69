"""Linear stages in one kernel, against the stages one by one in float64; extremes in one window."""

import numpy as np
import pytest
import reference
from hypothesis import example, given
from hypothesis import strategies as st
from samples import byte_noise
from tolerances import assert_float32, assert_stored, assert_stored_exactly

import convfilter
from convfilter.filters import stack
from convfilter.planning import plan_stack

WEIGHTS = np.array([[3, 1], [-2, 11]])
MORE = np.array([[1, 2], [5, -3]])
LARGE = np.array([[3, 1, -7], [2, 11, 9], [-4, 6, 2]])


def spec(weights, keys=""):
    return "kernel:" + ";".join(" ".join(str(weight) for weight in row) for row in weights) + keys


def count(specs, shape=(160, 150, 3), dtype="uint8", **keywords):
    return len(plan_stack(stack.stages(specs), shape, dtype, **keywords).stages)


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
@pytest.mark.parametrize(
    ("keys", "geometry"),
    [
        ((",padding_mode=wrap", ",padding_mode=wrap"), ({"padding_mode": "wrap"}, {"padding_mode": "wrap"})),
        ((",padding_mode=reflect", ",padding=valid"), ({"padding_mode": "reflect"}, {"padding": "valid"})),
        ((",padding=5", ",padding=0,stride=3x2"), ({"padding": 5}, {"padding": 0, "stride": (2, 3)})),
        ((",padding=full,flip=true", ",padding=valid"), ({"padding": "full", "flip": True}, {"padding": "valid"})),
    ],
)
def test_two_small_kernels_are_one(dtype, keys, geometry):
    image = byte_noise((40, 31, 3), dtype)
    specs = [spec(WEIGHTS, keys[0]), spec(MORE, keys[1] + ",scale=0.0625")]
    assert count(specs, image.shape, dtype) == 1
    samples = reference.real(image) if dtype == "float32" else image.astype(np.int64)
    first = reference.correlate(samples, WEIGHTS, **geometry[0])
    values = reference.correlate(first, MORE, **geometry[1])
    if dtype == "uint8":
        assert_stored_exactly(convfilter.apply(image, *specs, map="abs"), reference.exact(values) / 16, map="abs")
    else:
        magnitude = reference.correlate(
            reference.correlate(samples, abs(WEIGHTS), **geometry[0]), abs(MORE), **geometry[1]
        )
        assert_float32(convfilter.apply(image, *specs), values / 16, magnitude / 16)


@given(
    st.sampled_from((1.5, 2, 4, 9)),
    st.sampled_from((1.7, 3, 6)),
    st.sampled_from(("uint8", "uint16", "float32")),
    st.booleans(),
)
def test_two_gaussians_are_one(one, other, dtype, wraps):
    image = byte_noise((130, 110), dtype)
    modes = (",padding_mode=wrap", ",padding_mode=wrap") if wraps else (",padding_mode=symmetric", ",padding=valid")
    specs = [f"gaussian:{one}{modes[0]}", f"gaussian:{other}{modes[1]}"]
    plan = plan_stack(stack.stages(specs), image.shape, dtype)
    assert [stage.stage.name for stage in plan.stages] == [" + ".join(specs) + ", merged"]
    assert plan.stages[0].kernel.sigma == pytest.approx((np.hypot(one, other),) * 2)
    values = reference.gaussian_blur(reference.real(image), one, padding_mode="wrap" if wraps else "symmetric")
    if wraps:
        values = reference.gaussian_blur(values, other, padding_mode="wrap")
    else:  # the oracle's tails would reach past the first result
        weights = reference.gaussian_weights(other, reference.gaussian_radius(other))
        values = reference.correlate(values, np.outer(weights, weights), padding="valid")
    got = convfilter.apply(image, *specs)
    if dtype == "float32":
        assert_float32(got, values, values + 0.01)
    else:
        assert_stored(got, values)


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
@pytest.mark.parametrize(
    ("spec", "value"),
    [
        ("kernel:1 2,padding=valid,scale=1e200", np.inf),
        ("kernel:1 2,padding=valid,scale=1e-200", 0),
        ("kernel:1e200 2,padding=valid", np.inf),
        ("kernel:1e200 2;3 4,padding=valid", np.inf),
        ("gaussian:8000,padding_mode=wrap", 10),
    ],
)
def test_stages_stay_apart_where_numbers_would_leave_their_range(spec, value, dtype):
    image = np.full((30, 40), 10, dtype)
    assert count([spec] * 2, image.shape, dtype) == 2
    got = convfilter.apply(image, spec, spec, dtype=np.float32)
    assert np.allclose(got, value)


def test_stages_stay_apart_where_one_kernel_would_not_be_exact_or_not_be_faster():
    wrap = ",padding_mode=wrap"
    assert count(["box:3", "box:3"]) == 2  # the second border repeats blurred samples
    assert count(["gaussian:2" + wrap, "gaussian:3"]) == 2
    assert count([f"gaussian:2{wrap},padding=full", "gaussian:3" + wrap]) == 2
    assert count(["gaussian:2,stride=2", "gaussian:3,padding=valid"]) == 2
    assert count(["gaussian:2,offset=0.1", "gaussian:3,padding=valid"]) == 2
    assert count(["gaussian:2", "relu", "gaussian:3,padding=valid"]) == 3
    assert count(["gaussian:2" + wrap, "gaussian:3" + wrap], (160, 150, 4), alpha=True) == 2
    assert count([spec(LARGE, wrap), "gaussian:5" + wrap]) == 2  # no product of a column and a row any more
    assert count(["gaussian:2" + wrap, "gaussian:3" + wrap, "gaussian:4" + wrap, "relu"]) == 2


@st.composite
def pools(draw):
    """Return the SPECs of two extremes."""
    specs = []
    for _ in range(2):
        size, stride = draw(st.integers(1, 5)), draw(st.integers(1, 4))
        padding, ceil = draw(st.sampled_from(("valid", "same", "same_upper", 1))), draw(st.booleans())
        keys = f"{size},stride={stride},padding={padding if size > 1 else 0}" + ",ceil=true" * ceil
        specs.append(f"{draw(st.sampled_from(('maxpool', 'minpool')))}:{keys}")
    return specs


@example(["maxpool:2", "maxpool:3,stride=2,padding=1"], 23, 40, "uint8")  # the last row is in no first window
@example(["maxpool:2,ceil=true", "maxpool:3,stride=2,padding=1,ceil=true"], 41, 40, "uint8")
@given(pools(), st.integers(5, 40), st.integers(5, 40), st.sampled_from(("uint8", "uint16")))
def test_two_extremes_select_the_same_samples_as_one_by_one(specs, rows, cols, dtype):
    image = byte_noise((rows, cols, 3), dtype)
    try:
        one_by_one = convfilter.apply(convfilter.apply(image, specs[0]), specs[1])
    except convfilter.SizeError:
        with pytest.raises(convfilter.SizeError, match="stage "):
            convfilter.apply(image, *specs)
        return
    np.testing.assert_array_equal(convfilter.apply(image, *specs), one_by_one)


def test_extremes_are_one_where_no_sample_between_or_behind_them_is_left_out():
    plan = plan_stack(stack.stages(["maxpool:2", "maxpool:3,stride=2,padding=1", "maxpool:2"]), (160, 152, 3), "uint8")
    (stage,) = plan.stages
    assert (stage.rows.kernel, stage.rows.stride, stage.rows.before) == (10, 8, 2)
    assert (stage.fields[0].size, stage.fields[0].jump, stage.fields[0].first) == (10, 8, -2)
    assert count(["minpool:5,stride=1,padding=2"] * 3) == 1
    assert count(["maxpool:2", "minpool:2"]) == 2
    assert count(["maxpool:2,stride=3", "maxpool:2"]) == 2
    assert count(["maxpool:2,dilation=2", "maxpool:2"]) == 2
    assert count(["maxpool:2,scale=0.5", "maxpool:2"]) == 2
    assert count(["maxpool:2", "maxpool:3,stride=2,padding=1"], (163, 150, 3)) == 2  # row 162 is in no window
    assert count(["maxpool:2", "maxpool:2"], dtype="float32") == 2  # zeros of both signs
    assert count(["maxpool:2", "maxpool:2"], (160, 150, 4), alpha=True) == 2
    assert count(["maxpool:1,stride=65535", "maxpool:1,stride=65535"]) == 2


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_a_relu_leaves_what_has_no_sign_as_it_is(dtype):
    image = np.array([[-1.5, -0.0, 0, 3], [np.nan, np.inf, -np.inf, 2]], np.float32)
    image = image if dtype == "float32" else byte_noise((9, 7, 3))
    for first, second in (("relu", "relu"), ("abs", "relu:offset=0.25,scale=0.5")):
        assert count([first, second], image.shape, dtype) == 1
        got = convfilter.apply(image, first, second, dtype=np.float32)
        between = convfilter.apply(image, first, dtype=np.float32)
        full = 1 if dtype == "float32" else 255
        np.testing.assert_allclose(got, convfilter.apply(between / full, second) * full, rtol=1e-6)
    assert count(["relu:offset=-0.5", "relu"]) == count(["bias:-0.5", "relu"]) == count(["relu", "abs"]) == 2
    assert count(["relu", "relu"], (160, 150, 4), alpha=True) == 2
