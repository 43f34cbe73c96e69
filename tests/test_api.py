import sys

import numpy as np
import pytest
from processes import run_python

import convfilter
from convfilter import ConvfilterError, KernelFileError, ParameterError, SizeError, api
from convfilter.filters.kernel import from_array
from convfilter.filters.operators import Correlation
from convfilter.filters.stage import Stage

RNG = np.random.default_rng(0)
TWO = np.random.default_rng(8).integers(0, 256, (9, 8, 2), np.uint8)
GRAY = RNG.integers(0, 256, (9, 12)).astype(np.uint8)
RGB = RNG.integers(0, 256, (9, 12, 3)).astype(np.uint8)
RGBA = RNG.integers(0, 256, (9, 12, 4)).astype(np.uint8)
WEIGHTS = [[1, -2, 3], [0, 5, 1]]

FUNCTIONS = {
    "convolve": lambda image, **keywords: convfilter.convolve(image, WEIGHTS, **keywords),
    "gaussian_blur": lambda image, **keywords: convfilter.gaussian_blur(image, 1.5, **keywords),
    "box_blur": lambda image, **keywords: convfilter.box_blur(image, 5, **keywords),
    "sobel": convfilter.sobel,
    "scharr": lambda image, **keywords: convfilter.scharr(image, "x", **keywords),
    "prewitt": lambda image, **keywords: convfilter.prewitt(image, "y", **keywords),
    "laplacian": convfilter.laplacian,
    "unsharp_mask": convfilter.unsharp_mask,
    "max_pool": lambda image, **keywords: convfilter.max_pool(image, 3, 1, 1, **keywords),
    "average_pool": lambda image, **keywords: convfilter.average_pool(image, 3, 1, 1, **keywords),
}
every_function = pytest.mark.parametrize("function", FUNCTIONS.values(), ids=FUNCTIONS)


# Results --------------------------------------------------------------------------


@every_function
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("shape", [(9, 12), (9, 12, 1), (9, 12, 2), (9, 12, 7), (1, 1), (1, 1, 3), (1, 30), (30, 1)])
def test_the_result_has_the_images_type_and_the_image_stays(function, dtype, shape):
    image = RNG.integers(0, 256, shape).astype(dtype)
    before = image.copy()
    result = function(image)
    assert result.dtype == dtype
    assert result.shape == shape
    assert result.flags.c_contiguous
    assert result.flags.writeable
    assert not np.shares_memory(result, image)
    np.testing.assert_array_equal(image, before)


@every_function
def test_raw_values_on_the_images_scale_are_real_numbers(function):
    raw, stored = function(RGB, dtype=np.float32, map="clip"), function(RGB, map="clip")
    assert raw.dtype == np.float32
    np.testing.assert_array_equal(np.rint(raw), stored)
    np.testing.assert_array_equal(function(RGB, dtype="uint8"), function(RGB))


def test_the_identity_gives_a_copy():
    for image in (GRAY, RGB, RGB.astype(np.uint16), RGB.astype(np.float32)):
        result = convfilter.convolve(image, [[1]])
        np.testing.assert_array_equal(result, image)
        assert not np.shares_memory(result, image)


# Arguments ------------------------------------------------------------------------


@every_function
@pytest.mark.parametrize("code", [">u2", "<u2", ">f4", "<f4"])
def test_byte_order_does_not_matter(function, code):
    image = RGB.astype(code)
    result = function(image)
    assert result.dtype.isnative
    np.testing.assert_array_equal(result, function(RGB.astype(image.dtype.newbyteorder("="))))


LAYOUTS = {
    "transposed": lambda image: image.swapaxes(0, 1),
    "upside down": lambda image: image[::-1],
    "mirrored": lambda image: image[:, ::-1],
    "BGR": lambda image: image[..., ::-1],
    "every other": lambda image: image[::2, 1::2],
    "one channel": lambda image: image[..., 1],
    "Fortran": np.asfortranarray,
    "broadcast": lambda image: np.broadcast_to(image[:1, :, :1], image.shape),
    "read-only": lambda image: np.frombuffer(image.tobytes(), image.dtype).reshape(image.shape),
    "odd address": lambda image: np.frombuffer(b"x" + image.tobytes(), image.dtype, offset=1).reshape(image.shape),
    "matrix": lambda image: np.asmatrix(image[..., 0]),
}


@every_function
@pytest.mark.filterwarnings("ignore:the matrix subclass:PendingDeprecationWarning")
@pytest.mark.parametrize("view", LAYOUTS.values(), ids=LAYOUTS)
def test_the_layout_in_memory_does_not_matter(function, view):
    image = view(RGB)
    np.testing.assert_array_equal(function(image), function(np.array(image, order="C", subok=False)))


@pytest.mark.parametrize("dtype", ["u2", "f4"])
def test_samples_at_odd_addresses_are_read(dtype):
    image = np.frombuffer(b"x" + RGB.astype(dtype).tobytes(), dtype, offset=1).reshape(RGB.shape)
    assert not image.flags.aligned
    np.testing.assert_array_equal(convfilter.box_blur(image, 3), convfilter.box_blur(RGB.astype(dtype), 3))


@pytest.mark.parametrize("dtype", [complex, object, "S1"])
def test_other_sample_types_are_refused_with_advice(dtype):
    with pytest.raises(ParameterError, match=r"an image holds uint8, .* or float64, got .*; convert it with astype"):
        convfilter.convolve(GRAY.astype(dtype), WEIGHTS)


@pytest.mark.parametrize(
    ("dtype", "result"),
    [
        (np.int8, np.float64),
        (np.int32, np.float64),
        (np.int64, np.float64),
        (np.uint64, np.float64),
        (np.float16, np.float32),
        (np.bool_, np.float32),
        (np.float64, np.float64),
    ],
)
def test_arrays_of_other_types_keep_their_values(dtype, result):
    values = (GRAY // 2).astype(dtype)
    found = convfilter.convolve(values, [[1, 2, 1]], scale=0.25)
    assert found.dtype == result
    padded = np.pad(values.astype(float), ((0, 0), (1, 1)), "edge")
    np.testing.assert_array_equal(found, (padded[:, :-2] + 2 * padded[:, 1:-1] + padded[:, 2:]) / 4)


def test_lists_are_arrays_too_and_no_digit_of_a_number_is_lost():
    np.testing.assert_array_equal(convfilter.convolve([[1, 2], [3, 4]], [[0.5]]), [[0.5, 1], [1.5, 2]])
    for value in (2**53 + 1, -(2**63)):
        with pytest.raises(ParameterError, match=r"whole numbers of an image must lie within 2\*\*53, got int64 with"):
            convfilter.box_blur(np.array([[0, value]]), 3)


@pytest.mark.parametrize("image", [GRAY, RGB])
def test_the_mask_of_an_array_is_the_mask(image):
    masked = np.ma.array(image, mask=image > 150)
    valid = ~(image > 150) if image.ndim == 2 else ~(image > 150).any(axis=2)
    expected = convfilter.gaussian_blur(image, 1, mask=valid)
    np.testing.assert_array_equal(convfilter.gaussian_blur(masked, 1), expected)
    assert not np.array_equal(expected, convfilter.gaussian_blur(image, 1))
    without = np.ma.array(image, mask=np.zeros(image.shape, bool))
    np.testing.assert_array_equal(convfilter.gaussian_blur(without, 1), convfilter.gaussian_blur(image, 1))
    twice = np.ones((1 if image.ndim == 2 else 3, 1, 2, 2))
    assert convfilter.conv_transpose2d(without, twice, stride=2).shape[:2] == (2 * image.shape[0], 2 * image.shape[1])
    further = np.arange(valid.size).reshape(valid.shape) % 5
    both = convfilter.gaussian_blur(image, 1, mask=valid & (further != 0))
    np.testing.assert_array_equal(convfilter.gaussian_blur(masked, 1, mask=further), both)
    np.testing.assert_array_equal(convfilter.gaussian_blur(Lazy(masked), 1), expected)


class Lazy:
    """An object whose ``__array__`` returns an array of a subclass."""

    def __init__(self, values):
        self._values = values

    def __array__(self, dtype=None, copy=None):
        return self._values


@pytest.mark.parametrize("library", ["numpy", "dask"])
@pytest.mark.parametrize(
    ("function", "name"),
    [
        (lambda masked: convfilter.convolve(GRAY, masked), "a kernel"),
        (lambda masked: convfilter.median(GRAY, masked), "a footprint"),
        (lambda masked: convfilter.conv2d(GRAY, masked[None, None]), "weight"),
        (lambda masked: convfilter.conv2d(GRAY, np.ones((2, 1, 1, 1)), bias=masked[0]), "bias"),
        (lambda masked: convfilter.guided_filter(np.zeros((2, 2)), 1, guide=masked), "a guide"),
        (lambda masked: convfilter.gaussian_blur(np.zeros((2, 2)), 1, mask=masked), "a mask"),
        (lambda masked: convfilter.write("never.tif", masked), "a picture"),
        (lambda masked: convfilter.write("never.tif", Lazy(getattr(masked, "compute", lambda: masked)())), "a picture"),
    ],
)
def test_masked_elements_are_refused_where_they_have_no_meaning(function, name, library):
    values = np.ma.array([[1.0, 2], [3, 4]], mask=[[0, 1], [0, 0]])
    if library == "dask":
        da = pytest.importorskip("dask.array")
        values = da.from_array(values, chunks=1, asarray=False)
    with pytest.raises(ParameterError, match=rf"{name} must not have masked elements; give them a value with filled"):
        function(values)


@every_function
@pytest.mark.parametrize("shape", [(), (5,), (0, 5), (5, 0), (5, 5, 0), (5, 5, 3, 1)])
def test_other_shapes_are_refused(function, shape):
    with pytest.raises(ParameterError, match=r"an image is \(rows, cols\) or \(rows, cols, channels\), none of them 0"):
        function(np.zeros(shape, np.uint8))


# Weights -----------------------------------------------------------------------


def test_a_kernel_is_anything_that_holds_numbers():
    expected = convfilter.convolve(GRAY, np.array(WEIGHTS, np.float64))
    for kernel in (WEIGHTS, tuple(map(tuple, WEIGHTS)), np.array(WEIGHTS, np.int8), from_array(WEIGHTS)):
        np.testing.assert_array_equal(convfilter.convolve(GRAY, kernel), expected)
    np.testing.assert_array_equal(convfilter.convolve(GRAY, [1, 0, -1]), convfilter.convolve(GRAY, [[1, 0, -1]]))


@pytest.mark.parametrize(
    ("kernel", "message"),
    [
        ([], "a kernel has at least one weight, got none"),
        ([[]], "a kernel has at least one weight, got none"),
        (np.ones((2, 2, 2)), "a kernel has rows and columns, got an array with 3 axes"),
        ([[1, 2], [3, np.nan]], "weights must be finite, got nan in row 2, column 2"),
        ([[1, -np.inf]], "weights must be finite, got -inf in row 1, column 2"),
        *(
            (kernel, "a kernel is a matrix of real numbers; this is ragged, complex or not numeric")
            for kernel in ([[1, 2], [3]], [[1j]], np.array([[1, 2j]]), [["one"]], {})
        ),
    ],
)
def test_kernels_without_usable_weights_are_refused(kernel, message):
    with pytest.raises(KernelFileError) as caught:
        convfilter.convolve(GRAY, kernel)
    assert str(caught.value) == message


def test_edge_filters_are_their_kernels():
    smooth = {"sobel": [1, 2, 1], "scharr": [3, 10, 3], "prewitt": [1, 1, 1]}
    for family, weights in smooth.items():
        function = getattr(convfilter, family)
        k1 = np.outer(weights, [1, 0, -1])
        for axis, kernel in (("x", k1), ("y", k1.T)):
            signed = convfilter.convolve(GRAY, kernel, dtype=np.float32)
            np.testing.assert_array_equal(function(GRAY, axis, dtype=np.float32), signed)
            np.testing.assert_array_equal(function(GRAY, axis), np.minimum(np.abs(signed), 255))
        gx, gy = (function(GRAY, axis, dtype=np.float32).astype(float) for axis in "xy")
        np.testing.assert_allclose(function(GRAY, dtype=np.float32), np.hypot(gx, gy), rtol=1e-6)
    four = convfilter.convolve(GRAY, [[0, 1, 0], [1, -4, 1], [0, 1, 0]], dtype=np.float32)
    np.testing.assert_array_equal(convfilter.laplacian(GRAY, dtype=np.float32), four)


# Keywords ----------------------------------------------------------------------


def test_pairs_are_rows_and_cols():
    for pair in [(2, 3), [2, 3], np.array([2, 3]), (np.int64(2), np.uint8(3))]:
        np.testing.assert_array_equal(convfilter.convolve(RGB, [[1]], stride=pair), RGB[::2, ::3])
    np.testing.assert_array_equal(convfilter.convolve(RGB, [[1]], stride=2), RGB[::2, ::2])
    assert convfilter.box_blur(GRAY, (3, 5), padding="valid").shape == (7, 8)
    assert convfilter.max_pool(GRAY, (2, 3)).shape == (4, 4)
    dilated = convfilter.convolve(GRAY, np.ones((2, 2)), dilation=(3, 1), padding="valid")
    assert dilated.shape == (6, 11)
    column = convfilter.gaussian_blur(GRAY, (2, 0))
    np.testing.assert_array_equal(column, convfilter.gaussian_blur(GRAY.T, (0, 2)).T)


@pytest.mark.parametrize(
    ("padding", "sides"),
    [
        (0, (0, 0, 0, 0)),
        (2, (2, 2, 2, 2)),
        ((1, 2), (1, 1, 2, 2)),
        ([1, 2], (1, 1, 2, 2)),
        (np.array([1, 2]), (1, 1, 2, 2)),
        (((1, 2), (3, 4)), (1, 2, 3, 4)),
        ([[1, 2], [3, 4]], (1, 2, 3, 4)),
        (np.array([[1, 2], [3, 4]]), (1, 2, 3, 4)),
        ((3, 1, 4, 2), (1, 2, 3, 4)),
        ((1, (2, 3)), (1, 1, 2, 3)),
    ],
)
def test_padding_is_a_number_a_pair_or_two_pairs(padding, sides):
    top, bottom, left, right = sides
    result = convfilter.convolve(GRAY, [[1]], padding=padding, padding_mode="reflect")
    np.testing.assert_array_equal(result, np.pad(GRAY, ((top, bottom), (left, right)), mode="reflect"))


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"stride": 0}, "stride must be at least 1, got 0"),
        ({"stride": (1, -2)}, "stride must be at least 1, got -2"),
        ({"stride": 1.5}, "stride must be a whole number, got 1.5"),
        ({"stride": True}, "stride must be a whole number, got True"),
        ({"stride": None}, "stride must be a whole number, got None"),
        ({"stride": "2"}, "stride must be a whole number, got '2'"),
        ({"stride": (1, 2, 3)}, "stride must be one number or (rows, cols), got (1, 2, 3)"),
        ({"dilation": 0}, "dilation must be at least 1, got 0"),
        ({"dilation": (2, 1.0)}, "dilation must be a whole number, got 1.0"),
        ({"padding": -1}, "padding must not be negative, got -1"),
        ({"padding": ((0, 0), (0, -3))}, "padding must not be negative, got -3"),
        ({"padding": 0.5}, "padding must be a whole number, got 0.5"),
        ({"padding": (1, 2, 3)}, "padding must be one number or (rows, cols), got (1, 2, 3)"),
        (
            {"padding": "some"},
            "padding must be one of same, valid, full, same_upper, same_lower or a number of pixels, got 'some'",
        ),
        (
            {"padding_mode": "mirror"},
            "padding_mode must be one of edge, constant, reflect, symmetric, wrap, got 'mirror'",
        ),
        ({"padding_value": np.nan}, "padding_value must be a finite number, got nan"),
        ({"scale": np.inf}, "scale must be a finite number, got inf"),
        ({"offset": -np.inf}, "offset must be a finite number, got -inf"),
        ({"map": "wrap"}, "map must be one of clip, abs, offset, stretch, got 'wrap'"),
        ({"dtype": np.uint16}, "dtype must be float32, float64 or the image's own, got uint16"),
        ({"dtype": np.int16}, "dtype must be float32, float64 or the image's own, got int16"),
        ({"threads": 0}, "threads must be at least 1, got 0"),
        ({"threads": -1}, "threads must be at least 1, got -1"),
        ({"threads": "a"}, "threads must be a whole number or None, got 'a'"),
        ({"threads": 1.5}, "threads must be a whole number or None, got 1.5"),
        ({"threads": 1.5, "mask": GRAY}, "threads must be a whole number or None, got 1.5"),
        ({"scale": "a"}, "scale must be a finite number, got 'a'"),
        ({"scale": None}, "scale must be a finite number, got None"),
        ({"scale": 10**400}, "scale must be a finite number, got 1000"),
        ({"offset": [1]}, "offset must be a finite number, got [1]"),
        ({"padding_value": "a"}, "padding_value must be a finite number, got 'a'"),
        ({"flip": "yes"}, "flip must be True or False, got 'yes'"),
        ({"flip": None}, "flip must be True or False, got None"),
        ({"ceil": 1.0}, "ceil must be True or False, got 1.0"),
        ({"alpha": "no"}, "alpha must be True or False, got 'no'"),
        ({"premultiplied": "no"}, "premultiplied must be True or False, got 'no'"),
        ({"gray": "no"}, "gray must be True or False, got 'no'"),
        ({"fill": "no"}, "fill must be True or False, got 'no'"),
        ({"map": 3}, "map must be one of clip, abs, offset, stretch, got 3"),
        ({"padding_mode": []}, "padding_mode must be one of edge, constant, reflect, symmetric, wrap, got []"),
        ({"dtype": 3}, "dtype must be float32, float64 or the image's own, got 3"),
        ({"alpha": True}, "an image with alpha has 2 or 4 channels, got shape (9, 12)"),
        ({"algorithm": "box"}, "algorithm 'box' cannot compute this; try direct"),
    ],
)
def test_keywords_out_of_range_are_refused(keywords, message):
    with pytest.raises(ParameterError) as caught:
        convfilter.convolve(GRAY, WEIGHTS, **keywords)
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    ("keyword", "values"),
    [
        ("threads", [np.int64(1), np.uint8(1), True, np.True_, np.array(1), None]),
        ("scale", [1, True, np.True_, np.float32(1), np.int8(1), np.array(1.0)]),
        ("flip", [False, np.False_, 0, np.int64(0), np.array(False)]),
    ],
)
def test_keywords_may_be_of_the_types_of_numpy(keyword, values):
    expected = convfilter.convolve(GRAY, WEIGHTS)
    for value in values:
        np.testing.assert_array_equal(convfilter.convolve(GRAY, WEIGHTS, **{keyword: value}), expected)


@every_function
def test_unknown_keywords_are_refused_with_the_known_ones(function):
    with pytest.raises(TypeError, match=r"unexpected keyword 'strides'; this filter takes .*dilation"):
        function(GRAY, strides=2)


@pytest.mark.parametrize("pool", [convfilter.max_pool, convfilter.average_pool])
@pytest.mark.parametrize("keyword", [{"flip": True}, {"padding_mode": "reflect"}, {"padding_value": 3}])
def test_keywords_that_mean_nothing_to_pooling_are_refused(pool, keyword):
    with pytest.raises(TypeError, match=f"unexpected keyword '{next(iter(keyword))}'"):
        pool(GRAY, 3, 1, 1, **keyword)


@pytest.mark.parametrize("image", [GRAY, RGB[..., :1], RGB])
def test_alpha_needs_two_or_four_channels(image):
    with pytest.raises(ParameterError, match="an image with alpha has 2 or 4 channels"):
        convfilter.gaussian_blur(image, 1, alpha=True)
    assert convfilter.gaussian_blur(RGBA, 1, alpha=True).shape == RGBA.shape


def test_gray_takes_the_luminance_of_three_colours_and_leaves_the_rest():
    luminance = np.rint(RGB @ np.array([0.299, 0.587, 0.114]))
    np.testing.assert_array_equal(convfilter.convolve(RGB, [[1]], gray=True), luminance)
    assert convfilter.convolve(RGBA, [[1]], gray=True, alpha=True).shape == (9, 12, 2)
    np.testing.assert_array_equal(convfilter.convolve(GRAY, [[1]], gray=True), GRAY)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: convfilter.gaussian_blur(GRAY, -1), ParameterError, "must be a number from 0 to 10000, got -1"),
        (lambda: convfilter.gaussian_blur(GRAY, (1, np.nan)), ParameterError, "number from 0 to 10000, got nan"),
        (lambda: convfilter.gaussian_blur(GRAY, (1, 2, 3)), ParameterError, "sigma must be one number or (rows, cols)"),
        (lambda: convfilter.gaussian_blur(GRAY, 1, truncate=0), ParameterError, "number above 0, got 0"),
        (lambda: convfilter.box_blur(GRAY, 0), ParameterError, "box size must be at least 1, got 0"),
        (lambda: convfilter.box_blur(GRAY, 2.5), ParameterError, "size must be a whole number, got 2.5"),
        (lambda: convfilter.sobel(GRAY, "z"), ParameterError, "one of x, y, magnitude, orientation, got 'z'"),
        (lambda: convfilter.canny(GRAY, "1"), ParameterError, "sigma must be a number, got '1'"),
        (lambda: convfilter.bilateral_filter(GRAY, 1, None), ParameterError, "sigma_range must be a number, got None"),
        (lambda: convfilter.percentile(GRAY, 3, "0.5"), ParameterError, "p must be a number, got '0.5'"),
        (lambda: convfilter.lp_pool(GRAY, 3, p="2"), ParameterError, "p must be a number, got '2'"),
        (lambda: convfilter.max_pool(GRAY, 0), ParameterError, "pooling size must be at least 1, got 0"),
        (lambda: convfilter.max_pool(GRAY, 2, stride=0), ParameterError, "stride must be at least 1, got 0"),
        (lambda: convfilter.max_pool(GRAY, 10), SizeError, "output height must be at least 1, got 0: floor((9 + 0"),
        (lambda: convfilter.max_pool(GRAY, 2, padding=2), SizeError, "must hold at least one pixel, but output 0"),
        (lambda: convfilter.box_blur(GRAY, 10, padding="valid"), SizeError, "use a smaller kernel or dilation, or"),
    ],
)
def test_parameters_out_of_range_are_refused(call, error, message):
    with pytest.raises(error) as caught:
        call()
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert isinstance(caught.value, ConvfilterError)
    assert isinstance(caught.value, ValueError)


def test_pooling_strides_by_its_window():
    np.testing.assert_array_equal(convfilter.max_pool(GRAY, (3, 4)), GRAY.reshape(3, 3, 3, 4).max(axis=(1, 3)))
    np.testing.assert_array_equal(
        convfilter.average_pool(GRAY, (3, 4)), np.rint(GRAY.reshape(3, 3, 3, 4).mean(axis=(1, 3)))
    )


# Stacks ------------------------------------------------------------------------


HALF, DOUBLE = (Stage(Correlation(from_array([[factor]]))) for factor in (0.5, 2.0))


def test_a_stack_rounds_only_at_its_end():
    np.testing.assert_array_equal(convfilter.apply(GRAY, HALF, DOUBLE), GRAY)
    np.testing.assert_array_equal(convfilter.apply(GRAY, DOUBLE, HALF), GRAY)
    np.testing.assert_array_equal(convfilter.apply(GRAY, HALF), np.rint(GRAY / 2))


def test_a_stack_has_at_least_one_filter():
    with pytest.raises(convfilter.UsageError, match="at least one filter"):
        convfilter.apply(GRAY)


def test_specs_give_what_the_functions_give():
    for spec, expected in [
        ("gaussian:1.5", convfilter.gaussian_blur(RGB, 1.5)),
        ("box:5x3", convfilter.box_blur(RGB, (3, 5))),
        ("sobel:x,padding_mode=reflect", convfilter.sobel(RGB, "x", padding_mode="reflect")),
        ("maxpool:3,stride=2,padding=1", convfilter.max_pool(RGB, 3, stride=2, padding=1)),
    ]:
        np.testing.assert_array_equal(convfilter.apply(RGB, spec), expected)
    strided = convfilter.apply(RGB, "gaussian:1", "box:3,stride=2", stride=3)
    assert strided.shape == (2, 2, 3)


def test_a_plan_is_made_without_an_image():
    plan = api.plan((9, 12, 3), HALF, "box:3,stride=2")
    assert plan.output_shape == (5, 6, 3)
    assert [stage.rows.input for stage in plan.stages] == [9, 9]


def test_public_names_are_functions_whatever_was_imported_before():
    program = """
import importlib, pkgutil
import convfilter
for module in pkgutil.iter_modules(convfilter.__path__):
    if module.name != "__main__":
        importlib.import_module(f"convfilter.{module.name}")
print(*(name for name in convfilter.__all__ if not callable(getattr(convfilter, name))))
"""
    assert run_python(program).strip() == ""


def test_nothing_is_loaded_that_arrays_do_not_need():
    convfilter.box_blur(GRAY, 3)  # compiled by now
    program = """
import sys
import numpy as np
import convfilter
convfilter.box_blur(np.zeros((9, 12), np.uint8), 3)
print(*sorted({"numba", "PIL", "click", "imagecodecs", "tifffile", "platformdirs"} & set(sys.modules)))
"""
    assert run_python(program).strip() == ""
    assert "numpy" in sys.modules


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.int8, ">f8"])
def test_weights_are_those_of_this_call_whatever_calls_were_before(dtype, order):
    weights = np.array([[1, 2, 3], [4, 5, 7]])
    for kernel in (weights, weights.reshape(3, 2), weights[:, ::-1], weights[:1], weights):
        expected = convfilter.convolve(GRAY, kernel.tolist(), dtype=np.float32)
        for _ in range(2):
            got = convfilter.convolve(GRAY, np.array(kernel, dtype, order=order), dtype=np.float32)
            np.testing.assert_array_equal(got, expected)
    written = np.ones((3, 3))
    ones = convfilter.convolve(GRAY, written, dtype=np.float32)
    written[1, 1] = 2
    assert (convfilter.convolve(GRAY, written, dtype=np.float32) != ones).any()


def test_numbers_may_be_arrays_without_axes():
    expected = convfilter.gaussian_blur(TWO, 2, truncate=3.0, alpha=True)
    got = convfilter.gaussian_blur(TWO, 2, truncate=np.array(3.0), alpha=np.array(True))
    np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize(
    ("sigma", "keywords", "message"),
    [
        (np.array([[2.0], [1.0]]), {}, "gaussian sigma must be a number"),
        (2, {"algorithm": ["direct"]}, "algorithm must be one of"),
    ],
)
def test_arguments_that_cannot_be_hashed_are_refused(sigma, keywords, message):
    convfilter.gaussian_blur(GRAY, 2)  # there are others
    with pytest.raises(ParameterError, match=message):
        convfilter.gaussian_blur(GRAY, sigma, **keywords)


def test_channels_first_layouts_are_pointed_out() -> None:
    tensor = np.zeros((3, 40, 50), np.float32)
    with pytest.warns(UserWarning, match=r"got shape \(3, 40, 50\), which looks like \(C, H, W\)"):
        convfilter.gaussian_blur(tensor, 1)
    with pytest.warns(UserWarning), pytest.raises(ParameterError, match="move the channels of"):
        convfilter.conv2d(tensor, np.ones((4, 3, 3, 3)))
    with pytest.raises(ParameterError, match="looks like"):
        convfilter.box_blur(tensor[:, :9], 3, alpha=True)
    with pytest.raises(ParameterError, match=r"got \(3, 40, 50\); channels come last: rearrange it with transpose"):
        convfilter.write("planes.png", tensor)
    convfilter.gaussian_blur(tensor[:, :9], 1)  # three rows of nine pixels with fifty features: not a word


def test_the_warning_of_channels_first_names_the_line_of_the_call() -> None:
    tensor = np.zeros((3, 40, 50), np.float32)
    calls = [
        lambda: convfilter.gaussian_blur(tensor, 1),
        lambda: convfilter.max_pool(tensor, 2),
        lambda: convfilter.median(tensor, 3),
        lambda: convfilter.apply(tensor, "box:3"),
        lambda: convfilter.plan(tensor.shape, "box:3"),
    ]
    for call in calls:
        with pytest.warns(UserWarning, match="looks like") as noted:
            call()
        assert [each.filename for each in noted] == [__file__]


def test_stages_of_a_plan_give_their_receptive_fields() -> None:
    first, second = convfilter.plan((64, 64, 3), "box:3,stride=2", "maxpool:5x2").stages
    assert (first.receptive_field, first.jump, first.start) == ((3, 3), (2, 2), (0, 0))
    assert (second.receptive_field, second.jump, second.start) == ((5, 11), (4, 10), (1, 4))
