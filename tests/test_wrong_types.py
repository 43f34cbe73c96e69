"""Arguments of a wrong type are refused with an error of the program that names them, in every public function."""

import contextlib
import inspect

import numpy as np
import pytest
from samples import noise

import convfilter as cf
from convfilter import ConvfilterError, ParameterError, ReadOptions, WriteOptions
from convfilter.filters import kernels
from convfilter.filters.operators import Bilateral, Canny, Correlation, Guided, Morphology, Pooling, Rank, UnsharpMask
from convfilter.filters.stage import Stage
from convfilter.keywords import FilterKeywords

BOX = kernels.box(3, 3)
#: Each public filter, with arguments after the image.
CALLS = {
    "apply": ("box:3",), "average_pool": (2,), "bilateral_filter": (1.0, 0.1), "black_hat": (3,), "box_blur": (3,),
    "canny": (1.0, 0.1, 0.2), "closing": (3,), "conv2d": (np.ones((2, 1, 3, 3)),),
    "conv_transpose2d": (np.ones((1, 2, 3, 3)),), "convolve": (np.ones((3, 3)),), "dilate": (3,), "erode": (3,),
    "farid": ("x",), "frei_chen": ("x",), "gaussian_blur": (1.0,), "guided_filter": (2, 0.1), "kirsch": (),
    "laplacian": (), "lp_pool": (2,), "max_pool": (2,), "median": (3,), "min_pool": (2,),
    "morphological_gradient": (3,), "opening": (3,), "percentile": (3, 0.5), "prewitt": ("x",), "robinson": (),
    "scharr": ("x",), "sobel": ("x",), "top_hat": (3,), "unsharp_mask": (1.0, 0.5),
}  # fmt: skip
WRONG = (b"x", (1, 2, 3), {}, [[1, 2], [3]], np.array([1, 2, 3]), np.array("x"), 10**30)
#: The first argument is a field's value of a right type.
RECORDS = {
    Stage: {"operator": Correlation(BOX)},
    Bilateral: {"sigma_space": 1.0},
    Canny: {},
    Correlation: {"kernel": BOX},
    Guided: {"radius": 2},
    Morphology: {"kind": "erode", "kernel": BOX},
    Pooling: {"kind": "max", "size": (2, 2)},
    Rank: {"kernel": BOX},
    UnsharpMask: {"kernel": BOX, "amount": 1.0},
    ReadOptions: {},
    WriteOptions: {},
}
CHECKED = {
    Stage: Stage.__annotations__,
    Bilateral: Bilateral.__annotations__,
    Canny: ["sigma", "low", "high"],
    Correlation: ["shift"],
    Guided: ["radius", "epsilon"],
    Morphology: ["kind"],
    Pooling: Pooling.__annotations__,
    Rank: ["fraction"],
    UnsharpMask: ["amount", "threshold"],
    ReadOptions: ["max_pixels"],
    WriteOptions: ["format", "quality", "subsampling", "compression", "strip", "background", "nan"],
}


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.filterwarnings("ignore")
def test_functions_refuse_arguments_of_a_wrong_type(name):
    function, arguments, image = getattr(cf, name), CALLS[name], noise((9, 9))
    function(image, *arguments)
    parameters = inspect.signature(function).parameters.values()
    keywords = {each.name for each in parameters if each.kind == each.KEYWORD_ONLY}
    if any(each.kind == each.VAR_KEYWORD for each in parameters):
        keywords |= set(FilterKeywords.__annotations__)
    for wrong in (*WRONG, "a"):
        calls = [((wrong, *arguments), {})]
        calls += [((image, *arguments[:at], wrong, *arguments[at + 1 :]), {}) for at in range(len(arguments))]
        calls += [((image, *arguments), {keyword: wrong}) for keyword in sorted(keywords)]
        for positional, keyword in calls:
            # Some values are right for some parameters; others of a pooling are no keywords.
            with contextlib.suppress(ConvfilterError):
                try:
                    function(*positional, **keyword)
                except TypeError as error:
                    if "unexpected keyword" not in str(error) and "multiple values" not in str(error):
                        raise


@pytest.mark.parametrize(("kind", "field"), [(kind, field) for kind, fields in CHECKED.items() for field in fields])
def test_records_refuse_fields_of_a_wrong_type(kind, field):
    for wrong in WRONG[:-1]:
        with pytest.raises(ParameterError, match=r"^[a-z_ ]+ (must be|is a|takes) .*, got "):
            kind(**{**RECORDS[kind], field: wrong})


@pytest.mark.parametrize("image", [None, {}, {1, 2}, object()])
def test_an_image_that_is_no_array_is_named(image):
    with pytest.raises(ParameterError, match=r"^the image must be an array of numbers, got (None|\{|<object)"):
        cf.box_blur(image, 3)


@pytest.mark.parametrize(
    ("name", "keyword", "value"),
    [
        ("canny", "stride", 2),
        ("canny", "padding", 1),
        ("canny", "padding_mode", "wrap"),
        ("guided_filter", "padding", 1),
        ("guided_filter", "ceil", True),
        ("guided_filter", "padding_value", 1),
        ("canny", "scale", 2),
    ],
)
def test_keywords_that_a_filter_does_not_have_are_refused(name, keyword, value):
    with pytest.raises(TypeError, match=f"unexpected keyword '{keyword}'; this filter takes dtype, "):
        getattr(cf, name)(noise((20, 30)), *CALLS[name], **{keyword: value})


@pytest.mark.parametrize(
    ("function", "keywords"),
    [
        (cf.bilateral_filter, {"sigma_space": 1.0, "radius": (1, 2)}),
        (cf.guided_filter, {"radius": (2, 3)}),
        (cf.box_blur, {"size": 3, "padding": ((1, 2), 1, 1, 1)}),
    ],
)
def test_a_pair_is_refused_where_one_number_counts(function, keywords):
    with pytest.raises(ParameterError, match=r"(radius|padding) must be a whole number, got \(\d, \d\)"):
        function(noise((20, 30)), **keywords)


@pytest.mark.parametrize(
    ("shape", "keywords", "message"),
    [
        (20, {}, r"a shape is \(rows, cols\) or \(rows, cols, channels\), got 20"),
        ("ab", {}, "a shape is .*, got 'ab'"),
        (None, {}, "a shape is .*, got None"),
        ((20.5, 30), {}, r"a shape is .*, got \(20.5, 30\)"),
        ((20,), {}, r"an image is .*, got \(20,\)"),
        ((0, 3), {}, r"an image is .*, got \(0, 3\)"),
        ((-3, 3), {}, r"an image is .*, got \(-3, 3\)"),
        ((20, 30), {"alpha": True}, "an image with alpha has 2 or 4 channels"),
        ((20, 30), {"alpha": "a"}, "alpha must be True or False"),
        ((20, 30), {"gray": "a"}, "gray must be True or False"),
        ((20, 30), {"dtype": "foo"}, "dtype must be a type of samples, got 'foo'"),
        ((20, 30), {"dtype": complex}, "an image holds .*, got complex128"),
    ],
)
def test_plans_refuse_arguments_of_a_wrong_type(shape, keywords, message):
    with pytest.raises(ParameterError, match=f"^{message}"):
        cf.plan(shape, "box:3", **keywords)


def test_plans_of_arrays_that_are_converted_are_those_of_their_runs():
    for dtype, known in ((bool, np.float32), (np.float16, np.float32), (np.int8, np.float64), (">u2", np.uint16)):
        assert str(cf.plan((20, 30), "box:3", dtype=dtype)) == str(cf.plan((20, 30), "box:3", dtype=known))


@pytest.mark.parametrize("side", [0, -1, 1.5, "a", 2**24 + 1, 10**30])
def test_sides_of_a_box_are_limited(side):
    with pytest.raises(ParameterError, match=r"box size must be (at least 1|at most 16777216|a whole number), got "):
        kernels.box(3, side)


@pytest.mark.parametrize("image", [[[1, 2], [3]], "a"])
def test_written_pictures_are_arrays(tmp_path, image):
    with pytest.raises(ParameterError, match="a picture "):
        cf.write(tmp_path / "a.png", image)
    assert not list(tmp_path.iterdir())
