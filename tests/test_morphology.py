"""Erosion, dilation and their compositions, under footprints of any shape, against NumPy, SciPy and OpenCV."""

import numpy as np
import pytest
import reference
from samples import wide_noise

import convfilter as cf
from convfilter.cli.root import run
from convfilter.errors import ParameterError
from convfilter.filters import footprints, stack

RNG = np.random.default_rng(4)
HOOK = np.array([[0, 1, 1, 0], [1, 0, 1, 1], [0, 0, 1, 1]])
NESTED = np.array([[0, 1, 0, 0], [0, 0, 0, 0], [0, 1, 0, 1], [1, 1, 1, 1], [0, 1, 0, 1], [0, 1, 1, 1]])
FUNCTIONS = {
    "erode": (cf.erode, lambda x, w, **g: reference.extreme(x, w, largest=False, **g)),
    "dilate": (cf.dilate, lambda x, w, **g: reference.extreme(x, w, largest=True, **g)),
    "open": (cf.opening, reference.opened),
    "close": (cf.closing, lambda x, w, **g: reference.opened(x, w, closes=True, **g)),
    "gradient": (
        cf.morphological_gradient,
        lambda x, w, **g: reference.extreme(x, w, largest=True, **g) - reference.extreme(x, w, largest=False, **g),
    ),
}


def stored(values, dtype):
    return values.astype(dtype) if dtype == np.float32 else reference.store(values, dtype)


@pytest.mark.parametrize("kind", FUNCTIONS)
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize(
    ("window", "geometry"),
    [
        ((3, 5), {}),
        ((4, 2), {"padding_mode": "wrap", "stride": (2, 1)}),
        (HOOK, {}),
        (HOOK, {"flip": True, "padding_mode": "reflect", "stride": (3, 2)}),
        (HOOK, {"dilation": (2, 3), "padding_mode": "constant", "padding_value": 3, "padding": "full"}),
        (HOOK, {"padding": ((4, 1), (3, 5)), "padding_mode": "symmetric"}),
        (np.eye(5), {"padding": "valid", "dilation": 2}),
        (NESTED, {}),
        (NESTED, {"flip": True, "padding_mode": "reflect", "stride": (3, 1), "dilation": (2, 3)}),
        (NESTED, {"padding_mode": "constant", "padding_value": 3, "padding": "full", "stride": (2, 2)}),
    ],
)
def test_extremes_are_those_of_numpy(kind, dtype, window, geometry):
    function, expected = FUNCTIONS[kind]
    image = wide_noise((19, 26, 3), dtype)
    values = stored(expected(reference.real(image), window, **geometry), dtype)
    for threads in (1, 2):
        np.testing.assert_array_equal(function(image, window, threads=threads, **geometry), values)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("geometry", [{}, {"stride": (2, 3), "padding_mode": "wrap"}, {"padding": "full"}])
@pytest.mark.parametrize("window", [HOOK, (3, 4)])
def test_top_hats_are_what_opening_and_closing_change(dtype, geometry, window):
    image = wide_noise((19, 26, 3), dtype)
    cells = reference.cells_of(window)
    both = tuple(2 * side - 1 for side in cells.shape)
    itself = reference.centre(reference.real(image), both, **{**geometry, "padding": _both(cells, geometry)})
    opened = reference.opened(reference.real(image), window, **geometry)
    closed = reference.opened(reference.real(image), window, closes=True, **geometry)
    np.testing.assert_array_equal(cf.top_hat(image, window, **geometry), stored(itself - opened, dtype))
    np.testing.assert_array_equal(cf.black_hat(image, window, **geometry), stored(closed - itself, dtype))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("window", [(9, 3), [[0, 1]]])
def test_the_magnitude_of_a_negative_difference_is_not_black(dtype, window):
    """A dilated hat is negative at some borders, a gradient under a footprint that lies beside its origin anywhere."""
    image = wide_noise((29, 40), dtype)
    for function in (cf.top_hat, cf.black_hat, cf.morphological_gradient):
        raw = function(image.astype(np.float64), window, dilation=3)
        assert raw.min() < 0 or (function == cf.morphological_gradient and window == (9, 3))
        for threads in (1, 2):
            found = function(image, window, dilation=3, map="abs", threads=threads)
            np.testing.assert_array_equal(found, np.abs(raw).astype(dtype))


def _both(cells, geometry):
    times = {"same": 1, "full": 2}[geometry.get("padding", "same")]
    return tuple((times * (side - 1),) * 2 for side in cells.shape)


def test_scipy_finds_the_same():
    ndimage = pytest.importorskip("scipy.ndimage")
    image = wide_noise((40, 50), np.uint16)
    disk = footprints.disk(3).matrix != 0
    disk[0, :] = False
    for ours, theirs in (
        (cf.erode, ndimage.grey_erosion),
        (cf.dilate, ndimage.grey_dilation),
        (cf.opening, ndimage.grey_opening),
        (cf.closing, ndimage.grey_closing),
        (cf.top_hat, ndimage.white_tophat),
        (cf.black_hat, ndimage.black_tophat),
    ):
        np.testing.assert_array_equal(ours(image, disk), theirs(image, footprint=disk, mode="nearest"))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("radius", [3, 7, 30])
def test_wide_pictures_under_disks_of_all_sizes(dtype, radius):
    """More samples than one strip of panels, and a disk whose panels would not fit the cache."""
    ndimage = pytest.importorskip("scipy.ndimage")
    image = wide_noise((101, 1301), dtype)
    disk = footprints.disk(radius).matrix != 0
    disk[0, :] = False
    np.testing.assert_array_equal(cf.dilate(image, disk), ndimage.grey_dilation(image, footprint=disk, mode="nearest"))
    np.testing.assert_array_equal(cf.erode(image, disk), ndimage.grey_erosion(image, footprint=disk, mode="nearest"))


@pytest.mark.peer("cv2")
def test_opencv_finds_the_same():
    cv2 = pytest.importorskip("cv2")
    image = wide_noise((40, 50, 3), np.uint8)
    disk = (footprints.disk(5).matrix != 0).astype(np.uint8)
    border = {"borderType": cv2.BORDER_REPLICATE}
    np.testing.assert_array_equal(cf.dilate(image, disk), cv2.dilate(image, disk, **border))
    gradient = cv2.morphologyEx(image, cv2.MORPH_GRADIENT, disk, **border)
    np.testing.assert_array_equal(cf.morphological_gradient(image, disk), gradient)


def test_opening_twice_changes_nothing_and_hats_give_the_picture_back():
    image = wide_noise((30, 31), np.uint8)
    for window in ("disk:2.5", (2, 4), HOOK):
        opened = cf.opening(image, window)
        inside = slice(5, -5), slice(5, -5)
        np.testing.assert_array_equal(cf.opening(opened, window)[inside], opened[inside])
        assert (opened[inside] <= image[inside]).all()
        np.testing.assert_array_equal(opened + cf.top_hat(image, window), np.maximum(opened, image))


def test_a_nan_wins_under_every_footprint():
    image = wide_noise((12, 13), np.float32)
    image[3, 4], image[9, 9] = np.nan, -np.nan
    for window in (HOOK, (3, 3)):
        for largest, function in ((False, cf.erode), (True, cf.dilate)):
            expected = reference.extreme(reference.real(image), window, largest).astype(np.float32)
            np.testing.assert_array_equal(function(image, window), expected)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_extremes_of_colours_times_alpha(dtype):
    white = reference.full_scale(dtype)
    image = abs(wide_noise((12, 13, 4), dtype).astype(np.float64))
    image[..., 3] = RNG.choice([0, 0.5, 1], (12, 13)) * white
    image = image.astype(dtype)
    for largest, function in ((False, cf.erode), (True, cf.dilate)):
        for window in (HOOK, (3, 3)):

            def apply(samples, padding_value=0, window=window, largest=largest):
                return reference.extreme(samples, window, largest)

            expected = reference.with_alpha(reference.real(image), apply, white=white)
            result = function(image, window, alpha=True)
            visible = expected[..., 3] > 0
            gap = np.abs(result - np.clip(expected, 0, None))[visible].max()
            assert gap <= (0.51 if dtype != np.float32 else 1e-6)
    hat = cf.top_hat(image, HOOK, alpha=True)
    np.testing.assert_array_equal(hat[..., 3], image[..., 3])


def test_luminance_and_other_sample_types():
    image = wide_noise((12, 13, 3), np.uint16)
    gray = reference.real(image) @ [0.299, 0.587, 0.114]
    for function, expected in (
        (cf.dilate, reference.extreme(gray, HOOK, largest=True)),
        (cf.black_hat, reference.opened(gray, HOOK, closes=True) - gray),
    ):
        np.testing.assert_allclose(function(image, HOOK, gray=True), np.maximum(expected, 0), atol=0.51)
        np.testing.assert_allclose(function(image, HOOK, gray=True, dtype=np.float32), expected, rtol=1e-6, atol=0.02)
    np.testing.assert_array_equal(
        cf.dilate(image, HOOK, dtype=np.float32), reference.extreme(reference.real(image), HOOK, largest=True)
    )


@pytest.mark.parametrize("kind", ["tophat", "blackhat", "morphgradient"])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_differences_are_scaled_and_shifted_once(kind, dtype):
    image = wide_noise((30, 41, 3), dtype)
    white = reference.full_scale(image.dtype)
    plain = cf.apply(image, f"{kind}:3", dtype=np.float64)
    for arguments, expected in (
        ("offset=0.1", plain + 0.1 * white),
        ("scale=0.5", plain * 0.5),
        ("map=offset,scale=-0.5", 0.5 * white - plain * 0.5),
    ):
        found = cf.apply(image, f"{kind}:3,{arguments}", dtype=np.float32)
        np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-6 * np.abs(expected).max())


@pytest.mark.parametrize("kind", ["tophat", "blackhat"])
def test_hats_of_premultiplied_pictures_are_those_of_straight_ones(kind):
    straight = RNG.random((30, 41, 4)) * 0.8 + 0.2
    straight[RNG.random((30, 41)) > 0.8] = 0
    multiplied = straight * np.where(np.arange(4) < 3, straight[..., 3:], 1)
    expected = cf.apply(straight, f"{kind}:3,offset=0.1", alpha=True)
    expected[..., :3] *= expected[..., 3:]
    found = cf.apply(multiplied, f"{kind}:3,offset=0.1", alpha=True, premultiplied=True)
    np.testing.assert_allclose(found, expected, atol=1e-12)
    assert not found[found[..., 3] == 0].any()


def test_in_stacks_and_as_commands(tmp_path):
    image = wide_noise((40, 21), np.uint8)
    stacked = cf.apply(image, "erode:3", "tophat:disk:2", "dilate:0 1; 1 1")
    np.testing.assert_array_equal(stacked, cf.dilate(cf.top_hat(cf.erode(image, 3), "disk:2"), [[0, 1], [1, 1]]))
    cf.write(str(tmp_path / "in.png"), image)
    for option, function in (("--open", cf.opening), ("--gradient", cf.morphological_gradient)):
        assert run(["morph", option, "disk:2", str(tmp_path / "in.png"), str(tmp_path / "out.png")]) == 0
        np.testing.assert_array_equal(cf.read(str(tmp_path / "out.png")).pixels, function(image, "disk:2"))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.uint32, np.int16, np.float32])
def test_selected_integers_keep_their_type_until_the_next_comparison(dtype):
    image = wide_noise((40, 50, 3), dtype)
    specs = "median:3", "open:disk:3", "maxpool:3,stride=1", "percentile:3x3,p=0.25", "tophat:disk:2", "box:3"
    plan = cf.plan(image.shape, *specs, dtype=dtype)
    real = np.dtype(np.float64 if dtype in (np.uint32, np.int16) else np.float32)
    kept = np.dtype(dtype) if np.dtype(dtype).kind == "u" else real
    assert [stage.result for stage in plan.stages[:-1]] == [kept] * 5 + [real]
    # A rank between two samples, another stage than a comparison, and padding that is no sample give real results.
    for pair in (("percentile:3,p=0.3", "median:3"), ("median:3", "box:3"), ("erode:3,padding_value=0.5", "median:3")):
        assert cf.plan(image.shape, *pair, dtype=dtype).stages[0].result == real
    steps = cf.percentile(cf.max_pool(cf.opening(cf.median(image, 3), "disk:3"), 3, stride=1), 3, 0.25)
    np.testing.assert_array_equal(cf.apply(image, *specs[:4], threads=2), steps)
    np.testing.assert_array_equal(cf.apply(image, *specs[:5]), cf.top_hat(steps, "disk:2"))
    assert cf.plan(image.shape, *specs, dtype=dtype, gray=True).stages[0].result == real


def test_bad_footprints():
    for spec in ("erode:0", "open:0 0", "tophat:disk:-1"):
        with pytest.raises(ParameterError):
            stack.stage(spec)


@pytest.mark.parametrize("spec", ["tophat:1", "blackhat:1", "tophat:3x2", "blackhat:2"])
@pytest.mark.parametrize("padding", [1, 3, 5])
def test_hats_leave_out_windows_that_begin_past_the_picture(spec, padding):
    image = wide_noise((9, 11), np.uint8)
    found = cf.apply(image, spec, padding=padding, ceil=True)
    whole = cf.apply(image, spec, padding=padding)
    assert found.shape == cf.plan(image.shape, spec + f",padding={padding},ceil=true").output_shape
    np.testing.assert_array_equal(found, whole[: found.shape[0], : found.shape[1]])
