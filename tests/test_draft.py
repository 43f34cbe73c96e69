"""Pictures that are opened, given filters, and filtered when the result is asked for."""

import importlib.util
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

import convfilter as cf
from convfilter import KernelFileError, ParameterError, ReadError, SizeError, SpecError, UsageError, WriteError

RGB = np.random.default_rng(2).integers(0, 256, (40, 60, 3), np.uint8)


@pytest.fixture
def photo(tmp_path):
    cf.write(tmp_path / "in.png", RGB)
    return cf.open(tmp_path / "in.png")


@pytest.mark.parametrize(
    ("method", "expected"),
    [
        (lambda photo: photo, RGB),
        (lambda photo: photo.blur(2), cf.gaussian_blur(RGB, 2)),
        (lambda photo: photo.blur((2, 0.5), padding_mode="wrap"), cf.apply(RGB, "gaussian:0.5x2,padding_mode=wrap")),
        (lambda photo: photo.box((3, 5), stride=(2, 1)), cf.box_blur(RGB, (3, 5), stride=(2, 1))),
        (lambda photo: photo.edges(), cf.sobel(RGB)),
        (lambda photo: photo.edges("laplacian", map="offset"), cf.laplacian(RGB, map="offset")),
        (lambda photo: photo.edges("scharr", "x"), cf.scharr(RGB, "x")),
        (lambda photo: photo.sharpen(2, 0.5, 0.1), cf.unsharp_mask(RGB, 2, 0.5, 0.1)),
        (lambda photo: photo.convolve([[1, 2, 1]], normalize=True), cf.convolve(RGB, [[1, 2, 1]], scale=1 / 4)),
        (lambda photo: photo.convolve([[1, 0, -1]], flip=True, map="abs"), cf.convolve(RGB, [[-1, 0, 1]], map="abs")),
        (lambda photo: photo.pool("max", 3), cf.max_pool(RGB, 3)),
        (lambda photo: photo.pool("average", (2, 4), 1, 1), cf.average_pool(RGB, (2, 4), 1, 1)),
        (lambda photo: photo.pool("min", 3, dilation=2), cf.min_pool(RGB, 3, dilation=2)),
        (lambda photo: photo.apply("disk:2", "invert"), cf.apply(RGB, "disk:2", "invert")),
        (lambda photo: photo.gray().blur(1), cf.gaussian_blur(RGB, 1, gray=True)),
        (lambda photo: photo.blur(1).edges("sobel", "x").blur(1), cf.apply(RGB, "gaussian:1", "sobel:x", "gaussian:1")),
    ],
)  # fmt: skip
def test_each_method_is_its_function(method, expected, photo, tmp_path):
    draft = method(photo)
    np.testing.assert_array_equal(draft.array(), expected)
    np.testing.assert_array_equal(np.asarray(draft), expected)
    assert draft.write(tmp_path / "out.png") == ()
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "out.png")), expected)


def test_nothing_is_computed_before_it_is_asked_for(photo, monkeypatch):
    from convfilter.pipeline import job

    monkeypatch.setattr(job, "run_array", None)
    draft = photo.blur(2).pool("max", 2)
    assert draft.plan().output_shape == (20, 30, 3)
    assert photo.stages == ()
    assert [stage.name for stage in draft.stages] == ["gaussian:2", "maxpool:2"]


def test_linear_light_is_that_of_the_command(photo, tmp_path):
    from convfilter.cli import main

    photo.blur(2).linear().write(tmp_path / "a.png")
    assert main(["blur", "--gaussian", "2", "--linear", photo.source, str(tmp_path / "b.png")]) == 0
    a, b = (cf.read(tmp_path / name).pixels for name in ("a.png", "b.png"))
    np.testing.assert_array_equal(a, b)
    assert (a != photo.blur(2).array()).any()


def test_the_text_of_a_draft_is_its_plan(photo):
    from convfilter.report import plan_text

    draft = photo.blur(1.5).edges()
    assert repr(photo) == f"{photo.source}: 60x40 rgb uint8"
    assert repr(draft).splitlines() == [repr(photo), *plan_text.lines(draft.plan())]


class Frames(HTMLParser):
    """Collects the pages in frames."""

    def __init__(self):
        super().__init__()
        self.pages = []

    def handle_starttag(self, tag, attrs):
        if tag == "iframe":
            self.pages.append(dict(attrs))


def test_notebooks_show_the_result_and_what_was_before(photo):
    import io

    draft = photo.edges()
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(draft._repr_png_()))), cf.sobel(RGB))
    frames = Frames()
    frames.feed(draft._repr_html_())
    (frame,) = frames.pages
    assert "before and after sobel:magnitude" in frame["title"]
    assert frame["srcdoc"].startswith("<!DOCTYPE html>")
    for part in ('class="slider', "Content-Security-Policy", "Before: ", "floor((60 + 1 + 1"):
        assert part in frame["srcdoc"]
    assert photo._repr_html_() is None
    assert np.asarray(Image.open(io.BytesIO(photo._repr_png_()))).shape == RGB.shape


def test_large_pictures_are_shown_reduced(tmp_path):
    import io

    cf.write(tmp_path / "in.png", np.zeros((10, 3000), np.uint8))
    draft = cf.open(tmp_path / "in.png").box(3)
    assert Image.open(io.BytesIO(draft._repr_png_())).size == (1000, 4)


@pytest.mark.skipif(importlib.util.find_spec("IPython") is None, reason="IPython is not installed")
def test_ipython_finds_text_html_and_png(photo):
    from IPython.core.formatters import DisplayFormatter

    formatter = DisplayFormatter()
    formatter.active_types = ["text/plain", "text/html", "image/png"]
    data, _ = formatter.format(photo.blur(1))
    assert set(data) == {"text/plain", "text/html", "image/png"}


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda photo: cf.open("none.png"), ReadError, "none.png: there is no such file"),
        (lambda photo: cf.open(RGB), ParameterError, "open takes the path of a picture, got array"),
        (lambda photo: cf.open("-"), ParameterError, "open takes the path of a picture, got '-'"),
        (lambda photo: photo.blur("2"), ParameterError, "sigma must be a number, got '2'"),
        (lambda photo: photo.blur(-1), ParameterError, "gaussian sigma must be at least 0, got -1"),
        (lambda photo: photo.blur(1, stride=0), ParameterError, "stride must be at least 1, got 0"),
        (lambda photo: photo.blur(1, dtype=float), TypeError, "unexpected keyword 'dtype'; this filter takes"),
        (lambda photo: photo.pool("max", 2, flip=True), TypeError, "unexpected keyword 'flip'; this filter takes"),
        (lambda photo: photo.pool("median", 2), ParameterError, "kind must be one of max, min, average, got 'median'"),
        (lambda photo: photo.edges("canny"), ParameterError, "kind must be one of sobel, scharr,"),
        (lambda photo: photo.edges("sobel", "z"), ParameterError, "axis must be one of x, y,"),
        (lambda photo: photo.convolve([[1, -1]], normalize=True), KernelFileError, "the weights sum to zero"),
        (lambda photo: photo.apply(["box:3"]), ParameterError, "filters are texts after the image"),
        (lambda photo: photo.apply("blurr"), SpecError, "no filter is called 'blurr'"),
        (lambda photo: photo.blur(1, map="abs").blur(1), UsageError, "map is for the last filter alone"),
        (lambda photo: photo.plan(), UsageError, "a plan needs a filter: add one, as in .blur(4)"),
        (lambda photo: photo.box(99, padding="valid").array(), SizeError, "in.png: output height must be at least 1"),
        (lambda photo: photo.blur(1).write(RGB), ParameterError, "write takes a path, got ndarray"),
        (lambda photo: photo.write("out.png", threads=1.5), ParameterError, "threads must be a whole number or None"),
        (lambda photo: photo.blur(1).write(photo.source), UsageError, "input and output are the same file"),
        (lambda photo: photo.write("none/out.png"), WriteError, "none/out.png: there is no folder"),
    ],
)
def test_mistakes_are_refused_in_a_sentence(call, error, message, photo):
    with pytest.raises(error) as caught:
        call(photo)
    assert message in str(caught.value)


def test_a_star_import_does_not_hide_the_builtin_open():
    names = {}
    exec("from convfilter import *", names)
    assert "open" not in names
    assert "open" in dir(cf)
