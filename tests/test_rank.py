"""Medians and percentiles of windows of any shape, by every method, against NumPy and SciPy."""

import tracemalloc

import numpy as np
import pytest
import reference
from samples import wide_noise

import convfilter as cf
from convfilter.cli.root import run
from convfilter.errors import KernelFileError, ParameterError
from convfilter.executor.run import run_array
from convfilter.filters import footprints, stack
from convfilter.filters.operators import Rank
from convfilter.filters.stage import Stage
from convfilter.loops.median_5 import MEDIAN_OF_COLUMNS, MIDDLE_OF_COLUMNS
from convfilter.planning import applicable, networks, plan_stack
from convfilter.planning.task import Task

RNG = np.random.default_rng(3)
CROSS = np.array([[0, 1, 0], [1, 1, 1], [0, 1, 1]])


def methods(stage, image):
    return applicable(Task.of(stage, (*image.shape, 1)[:3], image.dtype))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize(
    ("window", "p", "geometry"),
    [
        ((3, 3), 0.5, {}),
        ((5, 5), 0.5, {"padding_mode": "wrap"}),
        ((5, 5), 0.3, {"padding": "valid"}),
        ((4, 6), 0.5, {"padding_mode": "reflect", "padding": "full"}),
        ((7, 3), 1.0, {"stride": (2, 3), "padding_mode": "symmetric"}),
        ((3, 5), 0.9, {"dilation": (2, 3), "stride": (1, 2), "padding_mode": "constant", "padding_value": 7}),
        ((1, 9), 0.0, {"dilation": (1, 2), "stride": (1, 3)}),
        ((9, 1), 0.5, {"padding": ((3, 0), (1, 2))}),
        (CROSS, 0.5, {"flip": True}),
        (CROSS, 0.25, {"dilation": 2, "stride": 3}),
    ],
)
def test_every_way_gives_what_numpy_gives(dtype, window, p, geometry):
    image = wide_noise((19, 26, 3), dtype)
    expected = (
        reference.store(reference.percentile(reference.real(image), window, p, **geometry), dtype)
        if (dtype != np.float32)
        else reference.percentile(reference.real(image), window, p, **geometry).astype(dtype)
    )
    kernel = footprints.of_cells(window) if np.ndim(window) == 2 else footprints.rectangle(*window)
    from convfilter.keywords import stage_values

    stage = Stage(Rank(kernel, p), **stage_values(geometry))
    for method in methods(stage, image):
        decided = plan_stack([stage], image.shape, dtype, algorithm=method)
        for threads in (1, 2):
            np.testing.assert_array_equal(run_array(decided, image, threads=threads).pixels, expected, err_msg=method)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int16, np.float32])
@pytest.mark.parametrize(
    ("side", "geometry"),
    [
        (3, {}),
        (5, {}),
        (3, {"padding_mode": "wrap", "dilation": (3, 2)}),
        (5, {"padding_mode": "wrap", "dilation": (2, 70)}),
        (3, {"padding_mode": "reflect", "padding": (9, 40), "stride": (2, 1)}),
        (5, {"padding_mode": "symmetric", "padding": (9, 40), "stride": (3, 1)}),
        (3, {"padding": "valid", "dilation": (1, 30)}),
        (3, {"padding_mode": "constant", "padding_value": 9}),
        (5, {"padding_mode": "constant", "padding_value": 9, "stride": (2, 2)}),
    ],
)
def test_medians_straight_from_rows_of_any_width(dtype, side, geometry):
    for shape in ((11, 62), (9, 65, 3), (7, 130), (8, 710, 3), (6, 2300)):
        image = wide_noise(shape, dtype)
        expected = reference.percentile(reference.real(image), side, **geometry)
        np.testing.assert_array_equal(cf.median(image, side, **geometry), expected.astype(dtype))


def test_a_padding_value_that_is_no_sample_is_sorted_like_any_other():
    image = wide_noise((5, 6), np.uint8)
    for value in (-3.5, 300):
        expected = reference.percentile(reference.real(image), 3, padding_mode="constant", padding_value=value)
        np.testing.assert_array_equal(cf.median(image, 3, padding_value=value), reference.store(expected, np.uint8))


@pytest.mark.parametrize("side", [21, 51])
def test_large_windows_of_bytes_and_of_words(side):
    image = wide_noise((60, 70), np.uint8)
    expected = reference.store(reference.percentile(reference.real(image), side, 0.4), np.uint8)
    np.testing.assert_array_equal(cf.percentile(image, side, 0.4), expected)
    words = image.astype(np.uint16) * 257
    np.testing.assert_array_equal(cf.median(words, side) // 257, cf.median(image, side))


@pytest.mark.parametrize("p", [0.02, 0.5, 0.98])
def test_the_largest_window_whose_samples_sixteen_bits_count(p):
    image = wide_noise((5, 6), np.uint8)
    expected = reference.store(reference.percentile(reference.real(image), (255, 257), p), np.uint8)
    np.testing.assert_array_equal(cf.percentile(image, (255, 257), p, algorithm="histograms"), expected)
    flat = np.full((5, 6), 200, np.uint8)
    np.testing.assert_array_equal(cf.percentile(flat, (255, 257), p, algorithm="histograms"), flat)


def test_scipy_finds_the_same():
    ndimage = pytest.importorskip("scipy.ndimage")
    image = wide_noise((40, 50), np.uint16)
    for side in (3, 7, 17):
        np.testing.assert_array_equal(cf.median(image, side), ndimage.median_filter(image, side, mode="nearest"))
    disk = footprints.disk(4).matrix != 0
    expected = ndimage.percentile_filter(image, 100, footprint=disk, mode="wrap")
    np.testing.assert_array_equal(cf.percentile(image, "disk:4", 1, padding_mode="wrap"), expected)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("window", [(1, 2), (2, 2), (4, 6), (9, 10)])
def test_a_median_of_an_even_number_is_the_mean_of_both_middle_samples(dtype, window):
    image = RNG.normal(size=(30, 40)).astype(dtype)
    cells = np.lib.stride_tricks.sliding_window_view(image.astype(np.float64), window).reshape(31 - window[0], -1)
    expected = np.median(cells.reshape(len(cells), -1, window[0] * window[1]), axis=-1).astype(dtype)
    for valid in (None, np.ones(image.shape)):
        np.testing.assert_array_equal(cf.median(image, window, padding="valid", mask=valid), expected)
    np.testing.assert_array_equal(cf.apply(image, f"median:{window[1]}x{window[0]},padding=valid"), expected)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_median_between_a_finite_and_an_infinite_sample_is_infinite(dtype):
    infinity, large = np.inf, np.finfo(dtype).max
    image = np.array([[1, infinity, 3, -infinity, infinity, 2, large, large / 2, -large]], dtype)
    expected = np.array([[infinity, infinity, -infinity, np.nan, infinity, large / 2, large * 0.75, -large / 4]], dtype)
    expected[0, 5] = 1 + large / 2
    for valid in (None, np.ones(image.shape)):
        np.testing.assert_array_equal(cf.median(image, (1, 2), padding="valid", mask=valid), expected)
    opaque = np.dstack([image, np.ones_like(image)])
    np.testing.assert_array_equal(cf.median(opaque, (1, 2), padding="valid", alpha=True)[..., 0], expected)


def test_a_nan_makes_every_window_that_holds_it_nan():
    image = wide_noise((12, 13), np.float32)
    image[3, 4], image[9, 9], image[0, 0] = np.nan, -np.nan, np.inf
    for window in (3, 5, 17):
        expected = reference.percentile(reference.real(image), window).astype(np.float32)
        np.testing.assert_array_equal(cf.median(image, window), expected)


def test_zeros_of_both_signs_give_the_same_bytes_wherever_the_tile_is_cut():
    image = np.where(RNG.random((200, 9)) < 0.5, np.float32(-0.0), np.float32(0.0))
    whole, part = cf.median(image, (3, 5)), cf.median(image[50:], (3, 5))
    assert whole[60:].tobytes() == part[10:].tobytes()
    assert set(np.signbit(whole).ravel().tolist()) == {True, False}


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("p", [0.5, 0.2])
def test_pixels_vote_with_their_opacity(dtype, p):
    white = reference.full_scale(dtype)
    image = wide_noise((9, 10, 4), dtype)
    levels = np.array([0, 0, 1, 2, 4]) / 4
    image[..., 3] = (RNG.choice(levels, (9, 10)) * white).astype(dtype)
    image[3:8, 3:8, 3] = 0
    image[:, 8:, 3] = white
    padded = np.pad(reference.real(image), ((1, 1), (1, 1), (0, 0)), mode="edge")
    votes = np.rint(padded[..., 3] / white * (white if dtype != np.float32 else 2**24)).astype(np.int64)
    result = cf.percentile(image, 3, p, alpha=True)
    for row, col in np.ndindex(9, 10):
        seen = padded[row : row + 3, col : col + 3].reshape(9, 4)
        weights = votes[row : row + 3, col : col + 3].ravel()
        colours = [reference.weighted_percentile(seen[:, channel], weights, p) for channel in range(3)]
        expected = np.array([*colours, np.percentile(seen[:, 3], 100 * p)])
        np.testing.assert_array_equal(
            result[row, col], np.rint(expected) if dtype != np.float32 else expected.astype(dtype)
        )


def test_opaque_pictures_are_filtered_like_those_without_alpha():
    image = wide_noise((11, 12, 3), np.uint8)
    opaque = np.dstack([image, np.full((11, 12), 255, np.uint8)])
    for p in (0.5, 0.9):
        np.testing.assert_array_equal(
            cf.percentile(opaque, (3, 5), p, alpha=True)[..., :3], cf.percentile(image, (3, 5), p)
        )


def test_premultiplied_pictures_are_filtered_as_they_look():
    straight = wide_noise((9, 10, 4), np.float32)
    straight[..., 3] = RNG.choice([0.0, 0.5, 1.0], (9, 10))
    premultiplied = straight.copy()
    premultiplied[..., :3] *= straight[..., 3:]
    expected = cf.median(straight, 3, alpha=True)
    expected[..., :3] *= expected[..., 3:]
    result = cf.median(premultiplied, 3, alpha=True, premultiplied=True)
    np.testing.assert_allclose(result, expected, rtol=1e-6, atol=1e-7)


def test_luminance_scale_and_offset():
    image = wide_noise((9, 10, 3), np.uint8)
    gray = reference.exact(image) @ np.array([299, 587, 114])
    expected = reference.percentile(gray.astype(np.float64), 3) / 1000
    np.testing.assert_array_equal(cf.median(image, 3, gray=True), np.rint(expected).astype(np.uint8))
    scaled = reference.percentile(reference.real(image), 3) * 0.25 + 0.5 * 255
    np.testing.assert_array_equal(cf.median(image, 3, scale=0.25, offset=0.5), reference.store(scaled, np.uint8))
    np.testing.assert_array_equal(
        cf.median(image, 2, dtype=np.float32), reference.percentile(reference.real(image), 2).astype(np.float32)
    )


def test_in_a_stack_nothing_is_rounded_before_or_after():
    image = wide_noise((40, 21), np.uint8)
    before = cf.apply(image, "gaussian:1", dtype=np.float32)
    alone = cf.median(before, 4)
    np.testing.assert_array_equal(cf.apply(image, "gaussian:1", "median:4", dtype=np.float32), alone)
    after = cf.apply(image, "median:4", "box:3", dtype=np.float32)
    np.testing.assert_allclose(after, cf.box_blur(cf.median(image, 4, dtype=np.float32), 3), rtol=1e-6)


def test_networks_find_every_rank():
    for rows, cols in ((1, 7), (2, 3), (4, 6), (5, 5)):
        samples = RNG.integers(0, 9, (rows, cols, 50))
        for rank in range(rows * cols):
            network = networks.of_rectangle(rows, cols, (rank,))
            lines = np.sort(samples, axis=0) if network.columns else samples
            lines = lines.reshape(rows * cols, -1).copy()
            for one, other, kept in network.pairs:
                smaller, larger = np.minimum(lines[one], lines[other]), np.maximum(lines[one], lines[other])
                lines[one], lines[other] = (
                    (smaller, lines[other]) if kept == 1 else (lines[one], larger) if (kept == 2) else (smaller, larger)
                )
            expected = np.sort(samples.reshape(rows * cols, -1), axis=0)[rank]
            np.testing.assert_array_equal(lines[network.lines[0]], expected)


def _of_sorted_columns(side, ranks):
    """Return the network that selects ranks of ``side`` sorted columns of ``side`` taps.

    The pairs sort the rows, too. Many taps then have too many samples below or above them to be of a rank; the pairs
    sort only the others.
    """
    rows = [(side * row + one, side * row + other) for row in range(side) for one, other in networks.sorted_by(side)]
    places = [(row, col) for row in range(side) for col in range(side)]
    too_low = [place for place in places if side * side - (side - place[0]) * (side - place[1]) < min(ranks)]
    too_high = [place for place in places if (place[0] + 1) * (place[1] + 1) - 1 > max(ranks)]
    taps = [side * row + col for row, col in places if (row, col) not in too_low and (row, col) not in too_high]
    lines = tuple(taps[rank - len(too_low)] for rank in ranks)
    return networks.Network(
        (),
        networks.deciding([*rows, *((taps[one], taps[other]) for one, other in networks.sorted_by(len(taps)))], lines),
        lines,
    )


@pytest.mark.parametrize(("text", "ranks"), [(MEDIAN_OF_COLUMNS, (12,)), (MIDDLE_OF_COLUMNS, (12, 13))])
def test_the_networks_in_registers_are_those_which_are_worked_out(text, ranks):
    network = _of_sorted_columns(5, ranks)
    assert " ".join(text.split()) == " ".join(f"{one}{':<>'[kept]}{other}" for one, other, kept in network.pairs)
    assert network.lines == ranks


def test_windows_from_text_and_files(tmp_path):
    assert footprints.of_text("9x3").shape == (3, 9)
    assert footprints.of_text("disk:2").nonzeros == 13
    (tmp_path / "cross.txt").write_text("0 1 0\n1 2 1\n0 -1 0\n")
    assert footprints.of_text(str(tmp_path / "cross.txt")).nonzeros == 5
    assert footprints.of_text("1 1; 1 1").is_box
    assert stack.paths_of([f"percentile:{tmp_path}/cross.txt,0.5"]) == [f"{tmp_path}/cross.txt"]
    image = wide_noise((7, 8), np.uint8)
    np.testing.assert_array_equal(
        cf.apply(image, f"percentile:{tmp_path}/cross.txt,0.75"),
        cf.percentile(image, [[0, 1, 0], [1, 1, 1], [0, 1, 0]], 0.75),
    )
    np.testing.assert_array_equal(cf.apply(image, "percentile:3x5,p=0.75"), cf.percentile(image, (5, 3), 0.75))


@pytest.mark.parametrize(
    ("spec", "error", "words"),
    [
        ("median:0 0; 0 0", ParameterError, "must have a cell that is not 0, got none"),
        ("median:-3", ParameterError, "side must be a whole number from 1 to 65535 pixels, got -3"),
        ("median:3.5", ParameterError, "side must be a whole number from 1 to 65535 pixels, got 3.5"),
        ("erode:1/2", ParameterError, "side must be a whole number from 1 to 65535 pixels, got 1/2"),
        ("median:0", ParameterError, "side must be from 1 to 65535 pixels, got 0"),
        ("median:disk:x", ParameterError, "radius must be a number, as in disk:3, got 'x'"),
        ("median:disk:nan", ParameterError, "from 0 to 500 pixels, got nan"),
        ("median:none.txt", KernelFileError, "there is no such kernel file"),
        ("percentile:3,2", ParameterError, "p must be at most 1, got 2"),
        ("percentile:3,p=2", ParameterError, "must be at most 1, got 2"),
        ("percentile:3", ParameterError, "needs the fraction of samples below it, as in 3,0.9"),
        ("percentile:5,0.5,p=0.9", ParameterError, "takes the fraction once, got '0.5' and p=0.9"),
        ("percentile:disk:2,0.5,p=0.9", ParameterError, "takes the fraction once, got '0.5' and p=0.9"),
    ],
)
def test_bad_windows_are_refused_in_a_line(spec, error, words):
    with pytest.raises(error, match=words):
        stack.stage(spec)


def test_a_file_without_a_footprint_is_named(tmp_path):
    path = tmp_path / "empty.txt"
    path.write_text("0 0 0\n0 0 0\n")
    with pytest.raises(ParameterError, match=r"empty\.txt: a footprint must have a cell that is not 0"):
        stack.stage(f"dilate:{path}")


@pytest.mark.parametrize("window", [2.5, np.float64(3.0), True, (3, 2.5)])
def test_a_side_is_a_whole_number(window):
    with pytest.raises(ParameterError, match="window must be a whole number, got"):
        cf.median(np.zeros((7, 8), np.uint8), window)


def test_bad_values_of_the_functions():
    image = wide_noise((7, 8), np.uint8)
    for call in (lambda: cf.percentile(image, 3, 1.5), lambda: cf.median(image, np.zeros((3, 3))),
                 lambda: cf.median(image, np.ones((2, 2, 2))), lambda: cf.median(image, 2.5)):  # fmt: skip
        with pytest.raises(ParameterError):
            call()


def test_negative_alpha_has_no_vote():
    image = RNG.integers(-(2**15), 2**15, (9, 11, 4)).astype(np.int16)
    clear = np.dstack([image[..., :3], np.maximum(image[..., 3], 0)])
    for p in (0.25, 0.5):
        votes = cf.percentile(image, 3, p, alpha=True)[..., :3]
        np.testing.assert_array_equal(votes, cf.percentile(clear, 3, p, alpha=True)[..., :3])


def test_the_command(tmp_path):
    image = wide_noise((12, 13, 3), np.uint8)
    cf.write(str(tmp_path / "in.png"), image)
    for option, value, expected in (
        ("--median", "disk:2", cf.median(image, "disk:2")),
        ("--percentile", "5x3,0.25", cf.percentile(image, (3, 5), 0.25)),
    ):
        assert run(["rank", option, value, str(tmp_path / "in.png"), str(tmp_path / "out.png")]) == 0
        np.testing.assert_array_equal(cf.read(str(tmp_path / "out.png")).pixels, expected)


def test_histograms_of_large_numbers_are_no_larger_than_their_window():
    image = RNG.integers(0, 2**32, (23, 31), np.uint32)
    tracemalloc.start()
    found = cf.median(image, (9, 11), algorithm="sliding")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    np.testing.assert_array_equal(found, reference.percentile(image, np.ones((9, 11))))
    assert peak < 2**26
