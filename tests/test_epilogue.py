"""The epilogue of every method: centre samples, scale, offset, map, rounding, and the count of clipped samples."""

import numpy as np
import pytest
import reference
from samples import byte_noise
from tolerances import assert_same_picture, assert_stored

import convfilter
from convfilter.executor.run import run_array, run_rows
from convfilter.filters import stack
from convfilter.filters.catalog import FILTERS
from convfilter.planning import plan_stack

FROM_FILES = {"kernel", "layer", "convtranspose", "net"}
#: Filters whose results may be stretched.
STRETCHED = [row for row in FILTERS.values() if "map" in row.stage_keywords and row.name not in FROM_FILES]

INTEGERS = ("uint8", "uint16")


class Rows:
    """A row sink that stores all rows."""

    def __init__(self, dtype):
        self.dtype, self.written = np.dtype(dtype), []

    def restart(self):
        self.written = []

    def write(self, rows):
        self.written.append(rows.copy())


@pytest.mark.parametrize("padding", ["full", "valid", 7, ((9, 1), (2, 12))], ids=str)
@pytest.mark.parametrize("dtype", INTEGERS)
def test_sharpening_takes_the_centre_of_each_window(padding, dtype):
    image = byte_noise((40, 53, 3), dtype)
    geometry = {"padding": padding, "padding_mode": "reflect"}
    expected = reference.unsharp_mask(image, 1.5, 0.8, white=np.iinfo(dtype).max, **geometry)
    assert_stored(convfilter.unsharp_mask(image, 1.5, 0.8, **geometry), expected)


@pytest.mark.parametrize("padding", ["full", ((9, 1), (2, 12))], ids=str)
def test_edges_take_the_alpha_of_the_centre(padding):
    image = byte_noise((40, 53, 4), "uint8")
    result = convfilter.laplacian(image, padding=padding, alpha=True)
    expected = reference.centre(image[..., 3:], (3, 3), padding=padding)
    np.testing.assert_array_equal(result[..., 3:], expected)


SELECTING = ["maxpool:3", "median:3", "median:9", "percentile:3,0.125", "dilate:3", "erode:disk:2"]


@pytest.mark.parametrize("spec", SELECTING)
@pytest.mark.parametrize("dtype", INTEGERS)
def test_selected_samples_are_scaled_and_offset(spec, dtype):
    """Methods store samples unchanged only without scale and offset."""
    image, white = byte_noise((31, 42, 3), dtype), np.iinfo(dtype).max
    plain = convfilter.apply(image, spec).astype(np.float64)
    for scale, offset in ((1, 0.1), (0.5, 0), (2, -0.25)):
        found = convfilter.apply(image, f"{spec},scale={scale},offset={offset}")
        assert_same_picture(found, np.clip(np.rint(scale * plain + offset * white), 0, white).astype(dtype))


@pytest.mark.parametrize("spec", SELECTING)
def test_selected_samples_are_scaled_from_one_white_to_the_other(spec):
    image = byte_noise((31, 42), "uint16") // 64
    plain = convfilter.apply(image, spec)
    plan = plan_stack(stack.stages([spec]), image.shape, "uint16", white=1023, out_white=2046)
    assert_same_picture(run_array(plan, image).pixels, 2 * plain)


@pytest.mark.parametrize("value", [-300, 300, 1000])
@pytest.mark.parametrize("spec", ["box:5", "kernel:1 2 1;2 4 2;1 2 1", "gaussian:1", "kernel:1 0 -1"])
def test_padding_beyond_the_range_is_clipped_with_the_sums(spec, value):
    image = byte_noise((40, 53, 3), "uint8")
    keywords = {"padding": "full", "padding_mode": "constant", "padding_value": value}
    real = convfilter.apply(image.astype(np.float64), spec, dtype=np.float64, **keywords)
    assert_stored(convfilter.apply(image, spec, map="clip", **keywords), real)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_rows_of_real_samples_are_clipped_on_their_way_to_a_sink(dtype):
    image = byte_noise((300, 80, 2), dtype)
    stages = stack.stages(["kernel:2 1 2,map=clip"])
    plan, rows = plan_stack(stages, image.shape, dtype), Rows(dtype)
    run_rows(plan, image, rows)
    found = np.concatenate(rows.written)
    assert_same_picture(found, np.clip(convfilter.apply(image, "kernel:2 1 2"), 0, 1))


def test_rounding_errors_are_not_stretched():
    """Second differences of a ramp are 0, up to the rounding of its samples."""
    ramp = np.add.outer(np.arange(30), np.arange(40)).astype(np.float32) / np.float32(70)
    found = convfilter.apply(ramp, "laplacian:map=stretch,padding=valid")
    np.testing.assert_array_equal(found, 0)


@pytest.mark.parametrize(
    ("spec", "algorithm"),
    [
        ("kernel:1 3 1;2 5 2,scale=0.2", None),
        ("box:5,scale=3", None),
        ("gaussian:12,scale=3", None),
        ("median:3,scale=3", "network"),
        ("median:9,scale=3", "sliding"),
        ("maxpool:3,scale=3", None),
        ("sobel:magnitude", None),
        ("guided:3,scale=3", None),
    ],
)
def test_each_run_counts_its_own_clipped_samples(spec, algorithm):
    """An executable that is used again begins at 0; rows left over after whole steps count, too."""
    image = byte_noise((301, 90, 3), "uint8")
    plan = plan_stack(stack.stages([spec]), image.shape, "uint8", algorithm=algorithm)
    real = plan_stack(stack.stages([spec]), image.shape, "uint8", algorithm=algorithm, out_dtype=np.float64)
    values = np.rint(run_array(real, image, out_dtype=np.float64).pixels)
    counts = [run_array(plan, image, threads=threads).clipped for threads in (1, 1, 2, 2)]
    assert counts == [np.count_nonzero((values < 0) | (values > 255))] * 4


def test_luminance_is_taken_once_before_a_range_that_a_later_stage_needs():
    image = byte_noise((40, 53, 3), "uint8")
    stages = stack.stages(["gaussian:1", "sobel:x,map=stretch"])
    found = run_array(plan_stack(stages, image.shape, "uint8", gray=True), image).pixels
    luminance = image @ np.array([0.299, 0.587, 0.114])
    assert_stored(found, convfilter.apply(luminance, "gaussian:1", "sobel:x"), map="stretch")


@pytest.mark.parametrize("row", STRETCHED, ids=lambda row: row.name)
def test_the_range_of_a_luminance_is_stretched(row):
    image = byte_noise((24, 29, 3), "uint8")
    spec = f"{row.example}{',' if ':' in row.example else ':'}map=stretch"
    found = convfilter.apply(image, spec, gray=True)
    luminance = image @ np.array([0.299, 0.587, 0.114]) / 255
    expected = convfilter.apply(luminance, spec)
    assert np.abs(found - 255 * expected).max() <= 0.501


@pytest.mark.parametrize("premultiplied", [False, True])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("options", ["", "offset=-0.2", "offset=0.2", "scale=2", "scale=-1", "map=offset"])
@pytest.mark.parametrize(
    "spec", ["box:3", "median:3", "sobel:x", "bilateral:2", "kirsch", "unsharp:1", "relu", "invert"]
)
def test_alpha_is_never_counted_as_clipped(spec, options, dtype, premultiplied):
    rgb = (np.random.default_rng(1).random((12, 15, 3)) * (1 if dtype == np.float32 else np.iinfo(dtype).max)).astype(
        dtype
    )
    opaque = np.full((12, 15, 1), 1 if dtype == np.float32 else np.iinfo(dtype).max, dtype)
    given = stack.stages([f"{spec}{',' if ':' in spec else ':'}{options}" if options else spec])
    for out_dtype in (np.dtype(np.uint8), np.dtype(np.uint16)):
        clipped = []
        for image, alpha in (
            (rgb, {}),
            (np.concatenate([rgb, opaque], 2), {"alpha": True, "premultiplied": premultiplied}),
        ):
            plan = plan_stack(given, image.shape, dtype, out_dtype=out_dtype, **alpha)
            clipped.append(run_array(plan, image, out_dtype=out_dtype).clipped)
        assert abs(clipped[0] - clipped[1]) <= 2  # a sum on the edge may be rounded another way
