"""Pictures that are stored premultiplied: read, filtered and stored so, and rounded once."""

import numpy as np
import pytest
import reference
import tifffile
import tolerances

import convfilter as cf
from convfilter.cli import main
from convfilter.filters.layers import layer
from convfilter.filters.network_operators import Join, MaxIndices
from convfilter.filters.stage import Stage
from convfilter.planning import plan_stack

RNG = np.random.default_rng(11)
BINOMIAL = np.outer([1, 2, 1], [1, 2, 1])


def picture(dtype="uint8", shape=(19, 23, 4)):
    """Samples of any values: some colours are brighter than their opacity, as of glow and fire."""
    if dtype == "float32":
        return RNG.random(shape, np.float32)
    return RNG.integers(0, np.iinfo(dtype).max + 1, shape).astype(dtype)


def filtered(pixels, *specs, **keywords):
    return cf.apply(pixels, *specs, alpha=True, premultiplied=True, **keywords)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize("channels", [2, 4])
def test_identity_is_identity(dtype, channels):
    pixels = picture(dtype, (7, 8, channels))
    pixels[0, 0] = 0
    pixels[0, 1, -1] = 0  # light without any opacity
    for specs in (["identity"], ["gaussian:0"], ["box:1", "maxpool:1", "relu"], ["scale:1"], ["bias:0"]):
        np.testing.assert_array_equal(filtered(pixels, *specs), pixels)


def test_the_mean_of_two_stored_samples_is_rounded_once():
    pixels = np.array([[[162, 7, 3, 200], [197, 0, 0, 101]]], np.uint8)
    assert filtered(pixels, "box:2x1,padding=valid").tolist() == [[[180, 4, 2, 150]]]  # 179.5 3.5 1.5 150.5, to even


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
@pytest.mark.parametrize("mode", ["edge", "constant", "wrap"])
@pytest.mark.parametrize("stride", [1, 2])
def test_every_channel_is_filtered_by_itself(dtype, mode, stride):
    pixels = picture(dtype)
    geometry = {"stride": stride, "padding_mode": mode}
    if mode == "constant":
        geometry["padding_value"] = 9
    got = cf.convolve(pixels, BINOMIAL / 16, alpha=True, premultiplied=True, **geometry)
    expected = reference.correlate(reference.exact(pixels.astype(int)), BINOMIAL, **geometry) / 16
    tolerances.assert_stored_exactly(got, expected)
    blurred = cf.gaussian_blur(pixels, 2, alpha=True, premultiplied=True, **geometry)
    tolerances.assert_stored(blurred, reference.gaussian_blur(reference.real(pixels), 2, **geometry))


def test_pooling_takes_stored_samples():
    pixels = picture()
    for name in ("max_pool", "average_pool"):
        got = getattr(cf, name)(pixels, 3, stride=2, padding=1, alpha=True, premultiplied=True)
        tolerances.assert_stored(got, getattr(reference, name)(reference.real(pixels), 3, 2, 1))


def test_edges_leave_opacity_as_it_is():
    pixels = picture()
    got = cf.sobel(pixels, "x", alpha=True, premultiplied=True)
    real = reference.gradient(reference.real(pixels), "sobel", "x")
    tolerances.assert_stored_exactly(got[..., :3], np.abs(real[..., :3]))
    np.testing.assert_array_equal(got[..., 3], pixels[..., 3])
    magnitude = cf.sobel(pixels, alpha=True, premultiplied=True)
    tolerances.assert_stored(magnitude[..., :3], reference.gradient(reference.real(pixels), "sobel")[..., :3])
    np.testing.assert_array_equal(magnitude[..., 3], pixels[..., 3])


#: Filters whose straight colours, weighted with their opacity, are what premultiplied ones must become.
LIKE_STRAIGHT = [
    ["gaussian:1.5"],
    ["kernel:0 1 0; 1 3 1; 0 1 0,scale=0.25"],
    ["kernel:0 1 0; 1 3 1; 0 1 0,scale=0.1,offset=0.25"],
    ["sobel:x,map=offset"],
    ["sobel:y,offset=0.5,scale=0"],
    ["laplacian:map=abs,scale=2"],
    ["sobel:magnitude,scale=0.5"],
    ["unsharp:1,amount=0.5"],
    ["unsharp:1,amount=0.5,offset=0.1"],
    ["avgpool:3"],
    ["bias:0.25"],
    ["bias:-0.25", "abs"],
    ["scale:-0.5", "box:3"],
    ["clip:0.25"],
    ["clip:0.2,high=0.6", "gaussian:1"],
    ["invert"],
    ["invert", "gaussian:1", "invert"],
    ["threshold:0.5"],
    ["gaussian:1", "relu", "sobel:magnitude", "invert"],
    ["morphgradient:disk:2"],
    ["morphgradient:3,map=offset"],
    ["tophat:disk:2,scale=2,offset=0.1"],
    ["blackhat:3x2,stride=2"],
]


def of_both(specs, gray):
    """The result of a premultiplied picture, and that of the straight one, premultiplied."""
    straight = picture("float32")
    straight[..., 3] = 0.4 + 0.2 * straight[..., 3]
    premultiplied = straight.copy()
    premultiplied[..., :3] *= straight[..., 3:]
    expected = cf.apply(straight, *specs, alpha=True, gray=gray)
    expected[..., :-1] *= expected[..., -1:]
    return filtered(premultiplied, *specs, gray=gray), expected


@pytest.mark.parametrize("specs", LIKE_STRAIGHT, ids=" ".join)
@pytest.mark.parametrize("gray", [False, True])
def test_weighted_colours_are_straight_ones_times_opacity(specs, gray):
    got, expected = of_both(specs, gray)
    np.testing.assert_allclose(got, expected, atol=2e-6)


@pytest.mark.parametrize("gray", [False, True])
def test_a_morphological_gradient_is_the_difference_of_straight_colours(gray):
    straight = picture("float32").astype(np.float64)
    straight[..., 3] = 0.4 + 0.2 * straight[..., 3]
    how = {"alpha": True, "gray": gray}
    expected = (cf.dilate(straight, 3, **how) - cf.erode(straight, 3, **how))[..., :-1]
    np.testing.assert_allclose(cf.morphological_gradient(straight, 3, **how)[..., :-1], expected, atol=1e-12)


@pytest.mark.parametrize("specs", [["normalize"], ["normalize", "gaussian:1"]], ids=" ".join)
@pytest.mark.parametrize("gray", [False, True])
def test_normalisation_is_that_of_straight_colours(specs, gray):
    got, expected = of_both(specs, gray)
    np.testing.assert_allclose(got, expected, rtol=5e-6, atol=5e-6)


def test_light_without_opacity_has_no_part_in_a_normalisation():
    pixels = np.zeros((1, 4, 4), np.float32)
    pixels[0, :, 0], pixels[0, :, 3] = [0.1, 0.2, 0.3, 9], [0.5, 0.5, 0.5, 0]
    np.testing.assert_allclose(filtered(pixels, "normalize")[0, :3, 0], [1 / 6, 1 / 3, 1 / 2], rtol=1e-6)


def test_functions_with_constants_add_nothing_where_nothing_is():
    pixels = np.zeros((3, 3, 4), np.uint8)
    for spec in ("invert", "bias:0.5", "identity:offset=0.5", "sobel:x,map=offset", "threshold:0"):
        assert not filtered(pixels, spec).any()
    glow = np.zeros((1, 1, 4), np.uint8)
    glow[..., :3] = 204, 102, 51
    assert filtered(glow, "scale:0.5").ravel().tolist() == [102, 51, 26, 0]  # 25.5 to even


WEIGHT = RNG.normal(size=(3, 3, 3, 3)) / 5
#: Filters that see colours over black, and give straight colours.
OVER_BLACK = {
    "layer": [Stage(layer(WEIGHT, [0.1, -0.2, 0.3], activation="sigmoid"))],
    "offset": [Stage(layer(WEIGHT), offset=0.25)],
    "two layers": [Stage(layer(WEIGHT)), Stage(layer(WEIGHT, activation="relu"), stride=(2, 2))],
    "transposed": [Stage(layer(WEIGHT, activation="tanh", transposed=True), stride=(2, 2), padding="valid")],
    "between": ["gaussian:1", Stage(layer(WEIGHT)), "sigmoid", "box:3"],
    "branches": [Stage(layer(WEIGHT)), Stage(Join("multiply", ((), (Stage(layer(WEIGHT)),))))],
    "indices": [Stage(MaxIndices((2, 2)), stride=(2, 2), padding_mode="constant")],
    "directions": ["sobel:orientation"],
    "canny": ["canny:0.5,0.05,0.1"],
}


@pytest.mark.parametrize("what", OVER_BLACK)
def test_results_of_colours_over_black_are_weighted_with_opacity(what):
    straight = picture("float32")
    straight[..., 3] = 0.4 + 0.2 * straight[..., 3]
    premultiplied = straight.copy()
    premultiplied[..., :3] *= straight[..., 3:]
    expected = cf.apply(straight, *OVER_BLACK[what], alpha=True)
    assert expected[..., :-1].any()
    expected[..., :-1] *= expected[..., -1:]
    got = filtered(premultiplied, *OVER_BLACK[what])
    np.testing.assert_allclose(got, expected, rtol=2e-6, atol=2e-6)


def test_a_layer_with_its_activation_gives_what_both_give_one_after_the_other():
    pixels = picture()
    both = filtered(pixels, Stage(layer(WEIGHT, activation="sigmoid")))
    np.testing.assert_array_equal(both, filtered(pixels, Stage(layer(WEIGHT)), "sigmoid"))


def test_stretched_edges_stay_black_where_nothing_is():
    pixels = picture()
    pixels[:8, :9] = 0
    got = filtered(pixels, "sobel:x,map=stretch")
    assert not got[1:6, 1:7, :3].any() and got[..., :3].max() > 200


def test_means_go_the_fast_way_of_pictures_without_alpha():
    fast = plan_stack([Stage(s.operator) for s in cf.api.stages_of(["gaussian:2"], {})], (99, 99, 4), "uint8")
    plan = plan_stack([s.stage for s in fast.stages], (99, 99, 4), "uint8", alpha=True, premultiplied=True)
    assert [(s.algorithm, s.precision, s.alpha) for s in plan.stages] == [("separable", "float32", False)]


# Files ----------------------------------------------------------------------------------------------------------------

GLOW = np.array([[[204, 102, 51, 0], [204, 102, 51, 25], [10, 20, 30, 200], [0, 0, 0, 0]]], np.uint8)


def scaled(dtype, samples=GLOW):
    return {"uint8": samples, "uint16": samples * np.uint16(257), "float32": samples / np.float32(255)}[dtype]


def tiff(path, pixels, kind="assocalpha", **keywords):
    photometric = "rgb" if pixels.shape[-1] == 4 else "minisblack"
    tifffile.imwrite(path, pixels, photometric=photometric, extrasamples=[kind], planarconfig="contig", **keywords)


def run(*arguments):
    assert main([str(argument) for argument in arguments]) == 0


def stored(path):
    with tifffile.TiffFile(path) as file:
        return file.asarray(), [int(kind) for kind in file.pages[0].extrasamples]


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize("options", [[], ["--linear"], ["--strip"]], ids=" ".join)
def test_identity_keeps_a_premultiplied_tiff(folder, dtype, options):
    pixels = scaled(dtype, np.concatenate([GLOW, RNG.integers(0, 256, (3, 4, 4)).astype(np.uint8)]))
    tiff("in.tiff", pixels)
    run("apply", "-f", "identity", *options, "in.tiff", "out.tiff")
    got, kinds = stored("out.tiff")
    assert kinds == [1]
    if dtype == "float32":
        np.testing.assert_allclose(got, pixels, atol=1e-6 if options else 0)
    else:
        np.testing.assert_array_equal(got, pixels)


@pytest.mark.parametrize("spec", ["layer:half.npz", "canny:1,0.05,0.1", "sobel:orientation"])
def test_a_picture_gives_the_same_however_its_file_stores_opacity(folder, spec):
    np.savez("half.npz", weight=np.eye(3)[..., np.newaxis, np.newaxis] / 2)
    straight = picture("float32", (9, 11, 4))
    straight[..., 3] = 0.4 + 0.2 * straight[..., 3]
    tiff("straight.tiff", straight, "unassalpha")
    premultiplied = straight.copy()
    premultiplied[..., :3] *= straight[..., 3:]
    tiff("associated.tiff", premultiplied)
    for name in ("straight", "associated"):
        run("apply", "-f", spec, f"{name}.tiff", f"{name}.png", "--allow-loss")
    got, expected = (cf.read(f"{name}.png").pixels.astype(int) for name in ("associated", "straight"))
    assert expected[..., :3].any()
    np.testing.assert_allclose(got, expected, atol=1)


def test_a_filter_rounds_stored_samples_once(folder):
    pixels = picture("uint8", (9, 11, 4))
    pixels[0, 0], pixels[0, 1] = (162, 0, 0, 9), (197, 0, 0, 9)
    tiff("in.tiff", pixels)
    run("convolve", "--kernel", "1 1", "--scale", "1/2", "--padding", "valid", "in.tiff", "out.tiff")
    expected = np.rint((pixels[:, 1:].astype(float) + pixels[:, :-1]) / 2)
    expected[..., 3] = np.clip(expected[..., 3], 0, 255)
    got = stored("out.tiff")[0]
    assert got[0, 0, 0] == 180
    np.testing.assert_array_equal(got, expected)
    picture_ = cf.read("out.tiff")
    assert picture_.premultiplied and picture_.alpha
    cf.write("again.tiff", picture_)
    np.testing.assert_array_equal(stored("again.tiff")[0], expected)


def test_grey_pages_and_maps_of_premultiplied_pictures(folder):
    pages = np.stack([picture("uint16", (6, 7, 2)), picture("uint16", (6, 7, 2))])
    tiff("in.tiff", pages)
    run("blur", "--box", "3", "in.tiff", "out.tiff")
    for page, got in zip(pages, stored("out.tiff")[0], strict=True):
        tolerances.assert_stored(got, reference.box_blur(reference.real(page), 3))
    tiff("colour.tiff", picture("uint8", (6, 7, 4)))
    run("blur", "--box", "1", "--gray", "colour.tiff", "gray.tiff")
    colour, (gray, kinds) = stored("colour.tiff")[0], stored("gray.tiff")
    assert kinds == [1]
    tolerances.assert_stored(gray[..., 0], colour[..., :3].astype(float) @ (0.299, 0.587, 0.114))
    np.testing.assert_array_equal(gray[..., 1], colour[..., 3])


@pytest.mark.parametrize("linear", [False, True])
def test_premultiplied_light_is_composited_over_a_background(folder, linear):
    tiff("in.tiff", GLOW)
    options = ["--linear"] if linear else []
    run("apply", "-f", "identity", "--background", "white", *options, "in.tiff", "out.png")
    opacity = GLOW[..., 3:] / 255
    expected = np.rint(np.clip(GLOW[..., :3] + 255 * (1 - opacity), 0, 255))
    assert np.abs(cf.read("out.png").pixels - expected).max() <= (1 if linear else 0)


def test_formats_with_straight_colours_get_them_divided_once(folder, capsys):
    pixels = GLOW.copy()
    pixels[0, :2] = (100, 50, 7, 101), (0, 1, 2, 3)
    tiff("in.tiff", pixels)
    run("apply", "-f", "identity", "in.tiff", "out.png")
    alpha = pixels[..., 3:].astype(float)
    expected = np.rint(np.divide(pixels[..., :3] * 255.0, alpha, out=np.zeros((1, 4, 3)), where=alpha > 0))
    got = cf.read("out.png")
    assert not got.premultiplied
    np.testing.assert_array_equal(got.pixels, np.concatenate([expected, alpha], axis=2))
    run("blur", "--box", "2x1", "--padding", "valid", "in.tiff", "out.png")
    means = reference.box_blur(reference.exact(pixels.astype(int)), (1, 2), padding="valid")
    straight = [
        [*(round(255 * each / pixel[3]) if pixel[3] else 0 for each in pixel[:3]), round(pixel[3])]
        for pixel in means[0]
    ]
    np.testing.assert_array_equal(cf.read("out.png").pixels[0], straight)


@pytest.mark.parametrize("name", ["out.png", "out.webp", "out.tga", "out.jpg"])
def test_light_that_straight_colours_cannot_hold_is_no_silent_loss(folder, capsys, name):
    tiff("in.tiff", GLOW)
    assert main(["blur", "--box", "1", "in.tiff", name]) == 1
    told = capsys.readouterr().err
    assert (
        "no colours that are brighter than their opacity (light, glow), as 2 pixels are; use" in told or "jpg" in name
    )
    run("blur", "--box", "1", "--allow-loss", "in.tiff", name)
    if name == "out.png":
        assert cf.read(name).pixels[0, :2].tolist() == [[0, 0, 0, 0], [255, 255, 255, 25]]
    with pytest.raises(cf.WriteError, match=r"brighter than their opacity|no transparency"):
        cf.write(name, cf.read("in.tiff"))


def test_jpeg_2000_says_that_colours_are_premultiplied(folder):
    tiff("in.tiff", GLOW)
    run("apply", "-f", "identity", "in.tiff", "out.jp2")
    found = cf.read("out.jp2")
    assert found.premultiplied
    np.testing.assert_array_equal(found.pixels, GLOW)
    run("apply", "-f", "identity", "out.jp2", "back.tiff")
    np.testing.assert_array_equal(stored("back.tiff")[0], GLOW)
    assert main(["apply", "-f", "identity", "out.jp2", "out.j2k"]) == 1  # a bare codestream cannot say it


def test_compare_sees_premultiplied_pictures_as_their_straight_twins(folder, capsys):
    straight = picture("uint8", (5, 6, 4))
    straight[..., 3] = 255
    tiff("a.tiff", straight)
    tiff("b.tiff", straight, "unassalpha")
    run("compare", "a.tiff", "b.tiff")
    assert "100.0000 %" in capsys.readouterr().out
