"""``apply``: a SPEC is the named function, and nothing is rounded or clipped between the stages of a stack."""

from fractions import Fraction

import numpy as np
import pictures
import pytest
import reference
from hypothesis import given
from hypothesis import strategies as st
from tolerances import assert_float32, assert_same_picture, assert_stored, assert_stored_exactly

import convfilter
from convfilter.errors import ConvfilterError, SizeError, SpecError

#: SPEC sizes are width x height, the functions' are (rows, cols).
SPECS = {
    "gaussian:4": lambda image: convfilter.gaussian_blur(image, 4),
    "gaussian:2x0.5": lambda image: convfilter.gaussian_blur(image, (0.5, 2)),
    "gaussian:2,truncate=3": lambda image: convfilter.gaussian_blur(image, 2, truncate=3),
    "gaussian:2,padding_mode=reflect": lambda image: convfilter.gaussian_blur(image, 2, padding_mode="reflect"),
    "box:5": lambda image: convfilter.box_blur(image, 5),
    "box:5x2,stride=3,padding=valid": lambda image: convfilter.box_blur(image, (2, 5), stride=3, padding="valid"),
    "box:3,scale=0.5,offset=0.25": lambda image: convfilter.box_blur(image, 3, scale=0.5, offset=0.25),
    "box:3,dilation=2x3": lambda image: convfilter.box_blur(image, 3, dilation=(3, 2)),
    "sobel:magnitude": convfilter.sobel,
    "sobel:x,map=offset": lambda image: convfilter.sobel(image, "x", map="offset"),
    "scharr:y": lambda image: convfilter.scharr(image, "y"),
    "prewitt:x,scale=0.25": lambda image: convfilter.prewitt(image, "x", scale=0.25),
    "laplacian": convfilter.laplacian,
    "maxpool:3,stride=2,padding=1": lambda image: convfilter.max_pool(image, 3, stride=2, padding=1),
    "maxpool:4x2": lambda image: convfilter.max_pool(image, (2, 4)),
}


@pytest.mark.parametrize("spec", SPECS)
@pytest.mark.parametrize("dtype", pictures.DTYPES)
def test_a_spec_is_the_named_function(spec, dtype):
    image = pictures.picture((26, 31, 3), dtype, seed=5)
    assert_same_picture(convfilter.apply(image, spec), SPECS[spec](image))


def test_keywords_hold_for_every_spec():
    image = pictures.picture((26, 31, 4), "uint8", seed=5)
    got = convfilter.apply(image, "box:3", alpha=True, threads=2)
    assert_same_picture(got, convfilter.box_blur(image, 3, alpha=True))
    raw = convfilter.apply(image, "sobel:x", dtype=np.float32)
    assert_same_picture(raw, convfilter.sobel(image, "x", dtype=np.float32))


@given(pictures.pictures(pictures.INTEGERS, max_side=20), st.sampled_from(pictures.MODES))
def test_two_blurs_round_once(image, mode):
    first = reference.gaussian_blur(reference.real(image), (0.8, 1.5), padding_mode=mode)
    values = reference.box_blur(first, (2, 3), padding_mode=mode)
    keys = f"padding_mode={mode}"
    assert_stored(convfilter.apply(image, f"gaussian:1.5x0.8,{keys}", f"box:3x2,{keys}"), values)


@given(pictures.pictures(max_side=16))
def test_signs_and_overshoots_pass_from_stage_to_stage(image):
    """Half of a derivative is below black; the next stage sees all of it."""
    samples = reference.real(image)
    kept = convfilter.apply(image, "sobel:x,scale=4", "box:3", dtype=np.float32)
    values = reference.box_blur(4 * reference.gradient(samples, "sobel", "x"), 3)
    magnitude = reference.correlate(np.abs(samples), np.abs(reference.derivative_kernel("sobel", "x")))
    assert_float32(kept, values, 2 * reference.box_blur(4 * magnitude, 3))


@given(pictures.pictures(pictures.INTEGERS, max_side=16))
def test_a_gain_undone_by_the_next_stage_loses_nothing(image):
    got = convfilter.apply(image, "box:1,scale=64,offset=-3", "box:1,scale=0.015625,offset=0.046875")
    assert_same_picture(got, image)


@given(pictures.pictures(pictures.INTEGERS, max_side=20))
def test_the_mean_of_maxima_is_exact_where_the_maxima_are_whole(image):
    largest = reference.max_pool(image, 2, stride=1, padding=1).astype(np.int64)
    got = convfilter.apply(image, "maxpool:2,stride=1,padding=1", "box:2")
    assert_stored_exactly(got, reference.exact(reference.box_sum(largest, 2)) / Fraction(4))


def test_geometry_follows_the_stages():
    image = pictures.picture((60, 80, 3), "uint8", seed=5)
    got = convfilter.apply(image, "box:3,stride=2", "gaussian:1,padding=full", "maxpool:3")
    first = reference.box_blur(reference.real(image), 3, stride=2)
    values = reference.max_pool(reference.gaussian_blur(first, 1, padding="full"), 3)
    assert_stored(got, values)


def test_the_same_bytes_for_any_number_of_threads():
    image = pictures.large("uint16")
    stack = ("gaussian:2", "sobel:magnitude", "box:3,stride=2", "maxpool:2,stride=1")
    once = convfilter.apply(image, *stack, threads=1)
    for threads in (2, 3, 7, None):
        assert convfilter.apply(image, *stack, threads=threads).tobytes() == once.tobytes()


@pytest.mark.parametrize("spec", ["", "gauss:3", "gaussian", "gaussian:x", "box:3,strid=2", "box:3,stride=", "sobel:z"])
def test_specs_that_do_not_parse_are_refused(spec):
    with pytest.raises(ConvfilterError) as refusal:
        convfilter.apply(np.zeros((5, 5), np.uint8), spec)
    assert "\n" not in str(refusal.value)


def test_unknown_names_list_the_choices():
    with pytest.raises(SpecError, match="gaussian"):
        convfilter.apply(np.zeros((5, 5), np.uint8), "gauss:3")


def test_a_window_larger_than_the_result_before_it_is_refused():
    with pytest.raises(SizeError):
        convfilter.apply(np.zeros((9, 9), np.uint8), "box:5,padding=valid", "box:7,padding=valid")


def test_plan_says_what_apply_gives_also_after_a_filter_has_run():
    """A module of the same name, once imported, must not take the function's place."""
    image = pictures.picture((26, 31, 3), "uint8", seed=5)
    stack = ("box:3,stride=2", "gaussian:1,padding=full", "maxpool:3")
    got = convfilter.apply(image, *stack)
    assert convfilter.plan(image.shape, *stack).output_shape == got.shape
