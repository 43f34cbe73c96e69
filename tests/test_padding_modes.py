"""A padding mode for each axis: a filter of a picture is the filter, without padding, of the padded picture."""

from itertools import product

import numpy as np
import pytest
import reference
from samples import noise

import convfilter as cf
from convfilter.cli.root import run
from convfilter.errors import ParameterError, UsageError
from convfilter.executor.region import run_region
from convfilter.filters import kernels, stack
from convfilter.filters.operators import Correlation
from convfilter.filters.stage import PADDING_MODES, Stage
from convfilter.planning import plan_stack

#: Each mode on either axis, and mode constant beside modes that repeat samples.
PAIRS = [
    ("edge", "wrap"), ("wrap", "edge"), ("constant", "wrap"), ("reflect", "constant"), ("symmetric", "reflect"),
    ("wrap", "symmetric"),
]  # fmt: skip
pairs = pytest.mark.parametrize("modes", PAIRS, ids=",".join)

#: Filters of one window, with its (rows, cols).
WINDOWS = {
    "kernel:1 2 3 4; 5 6 7 8; 9 10 11 13,normalize=true": (3, 4),
    "kernel:1 2 3 4; 5 6 7 8; 9 10 11 13,normalize=true,flip=true": (3, 4),
    "gaussian:0.7x1.5,truncate=3": (11, 5),
    "gaussian:5,truncate=4": (41, 41),
    "box:5x3": (3, 5),
    "box:31x9": (9, 31),
    "disk:9": (19, 19),
    "sobel:magnitude": (3, 3),
    "sobel:orientation": (3, 3),
    "scharr:x": (3, 3),
    "kirsch": (3, 3),
    "unsharp:1": (13, 13),
    "median:3": (3, 3),
    "median:5": (5, 5),
    "median:11x4": (4, 11),
    "percentile:7,p=0.8": (7, 7),
    "erode:5x4": (4, 5),
    "dilate:disk:4": (9, 9),
    "morphgradient:4": (4, 4),
    "bilateral:1": (7, 7),
}
SHAPES = [(23, 70, 3), (5, 3), (1, 9, 2)]
VALUE = 9


def padded(image, window, modes, dilation=(1, 1), value=VALUE):
    """The picture with the padding of padding=same."""
    return reference.extend(
        image, reference.pads("same", [d * (k - 1) for d, k in zip(dilation, window, strict=True)]), modes, value
    )


def with_modes(modes, **keywords):
    """Keywords of a filter with these modes."""
    return {"padding_mode": modes, **({"padding_value": VALUE} if "constant" in modes else {}), **keywords}


@pairs
@pytest.mark.parametrize("spec", WINDOWS)
def test_one_window(spec, modes):
    for shape, (stride, dilation) in product(SHAPES, [((1, 1), (1, 1)), ((2, 3), (3, 2))]):
        for image in (noise(shape), (noise(shape) / 255).astype(np.float32)):
            geometry = {"stride": stride, "dilation": dilation}
            around = padded(image, WINDOWS[spec], modes, dilation)
            expected = cf.apply(around, spec, padding="valid", **geometry)
            found = [cf.apply(image, spec, **with_modes(modes), **geometry, threads=threads) for threads in (1, 3)]
            assert found[0].tobytes() == found[1].tobytes()
            if image.dtype == np.uint8:  # both are within half a level of the exact result
                assert np.abs(found[0].astype(int) - expected).max() <= (1 if "orientation" not in spec else 255)
                assert np.mean(found[0] != expected) < 0.01
            elif "orientation" not in spec:
                np.testing.assert_allclose(found[0], expected, atol=1e-4)


@pairs
@pytest.mark.parametrize("spec", WINDOWS)
@pytest.mark.parametrize("fill", [False, True])
def test_one_window_without_ignored_pixels(spec, modes, fill):
    """Padding counts as valid pixels in mode constant; elsewhere it is ignored like the pixel that it repeats."""
    if "orientation" in spec:
        return
    for shape, stride in product(SHAPES[:2], [(1, 1), (2, 3)]):
        for image in (noise(shape), (noise(shape) / 255).astype(np.float32)):
            counts = np.random.default_rng(4).random(shape[:2]) > 0.2
            around = padded(image, WINDOWS[spec], modes), padded(counts, WINDOWS[spec], modes, value=True)
            expected = cf.apply(around[0], spec, padding="valid", stride=stride, mask=around[1], fill=fill)
            found = cf.apply(image, spec, **with_modes(modes), stride=stride, mask=counts, fill=fill)
            if image.dtype == np.uint8:
                assert np.mean(np.abs(found.astype(int) - expected) > 1) == 0
            else:
                np.testing.assert_allclose(found, expected, atol=1e-4)


@pytest.mark.parametrize("modes", [pair for pair in PAIRS if "constant" in pair], ids=",".join)
@pytest.mark.parametrize("spec", [*WINDOWS, "tophat:3", "open:3x4"])
def test_padding_of_the_ignored_value(spec, modes):
    """Constant padding is ignored; padding of the other axis is ignored where it repeats an ignored pixel."""
    image = noise((31, 40, 2))
    image[np.random.default_rng(4).random(image.shape[:2]) > 0.9] = VALUE
    bordered = reference.extend(
        image, ((0, 0), (60, 60)) if modes[1] == "constant" else ((60, 60), (0, 0)), modes, VALUE
    )
    rows, cols = (
        slice(60 * (mode == "constant"), size + 60 * (mode == "constant"))
        for mode, size in zip(modes, image.shape, strict=False)
    )
    other = next(mode for mode in modes if mode != "constant")
    expected = cf.apply(bordered, spec, padding_mode=other, ignore=VALUE)[rows, cols]
    found = cf.apply(image, spec, **with_modes(modes), ignore=VALUE)
    np.testing.assert_allclose(found.astype(float), expected, atol=0 if "orientation" in spec else 1)


@pairs
def test_two_windows_one_after_the_other(modes):
    for shape in SHAPES:
        image = noise(shape)
        for name, closes in (("open", False), ("close", True)):
            geometry = with_modes(modes, dilation=(1, 2))
            expected = reference.opened(image, (4, 3), closes, **geometry)
            np.testing.assert_array_equal(cf.apply(image, f"{name}:3x4", **geometry), expected)
            hat = (expected - image.astype(int)) * (1 if closes else -1)
            found = cf.apply(image, f"{'blackhat' if closes else 'tophat'}:3x4", **geometry)
            np.testing.assert_array_equal(found, hat.clip(0, 255))


@pairs
@pytest.mark.parametrize("holes", [False, True])
def test_guided(modes, holes):
    image = noise((29, 41)) / np.float32(255)
    if "constant" in modes:
        with pytest.raises(
            ParameterError, match="guided padding_mode must be edge, reflect, symmetric or wrap, got constant"
        ):
            cf.guided_filter(image, 2, padding_mode=modes)
        return
    counts = np.random.default_rng(3).random(image.shape) > 0.1 * holes
    masked = {"mask": counts} if holes else {}
    for stride, dilation in [((1, 1), (1, 1)), ((2, 3), (1, 1)), ((1, 1), (2, 3)), ((3, 1), (1, 9))]:
        geometry = {"padding_mode": modes, "stride": stride, "dilation": dilation}
        expected = np.nan_to_num(reference.guided(image, counts, 2, 0.01, **geometry), nan=0)
        found = cf.guided_filter(image, 2, **geometry, **masked)
        np.testing.assert_allclose(np.nan_to_num(found), expected, atol=1e-5)


@pairs
def test_corners(modes):
    """A corner is beyond the border of both axes: the order in which the axes are padded does not matter."""
    image = np.arange(12, dtype=np.float32).reshape(3, 4)
    found = cf.apply(image, "identity", padding=((5, 4), (7, 9)), **with_modes(modes))
    turned = reference.extend(image.T, ((7, 9), (5, 4)), modes[::-1], VALUE).T
    np.testing.assert_array_equal(found, reference.extend(image, ((5, 4), (7, 9)), modes, VALUE))
    np.testing.assert_array_equal(found, turned)


LOCAL = [
    "gaussian:3", "gaussian:14", "box:31x9", "median:5", "tophat:7x4", "close:5,padding=full", "guided:4,dilation=2",
    "sobel:magnitude,stride=2", "disk:30",
]  # fmt: skip


@pairs
@pytest.mark.parametrize("spec", LOCAL)
def test_regions_and_chunks_are_those_of_the_whole(spec, modes):
    if "guided" in spec and "constant" in modes:
        return
    da = pytest.importorskip("dask.array")
    from convfilter.dask import apply

    image = noise((211, 187, 2))
    keywords = with_modes(modes)
    whole = cf.apply(image, spec, **keywords)
    plan = plan_stack(stack.stages([spec], **keywords), image.shape, image.dtype)
    for rows, cols in (((0, 1), (0, 1)), ((30, 61), (11, 40)), ((70, whole.shape[0]), (50, whole.shape[1]))):
        part = run_region(plan, image, rows, cols, image.dtype, threads=2)
        np.testing.assert_array_equal(part, whole[slice(*rows), slice(*cols)])
    chunked = apply(da.from_array(image, chunks=(60, 50, 1)), spec, **keywords)
    np.testing.assert_array_equal(chunked.compute(scheduler="synchronous"), whole)


@pytest.mark.parametrize("spec", ["gaussian:1.5", "gaussian:9", "box:301x3", "tophat:5", "guided:2"])
@pytest.mark.parametrize("masked", [False, True])
def test_only_rows_that_wrap_are_held(tmp_path, capsys, spec, masked):
    image, counts = noise((403, 90, 3)), np.random.default_rng(3).random((403, 90)) > 0.1
    source, mask, target = (str(tmp_path / name) for name in ("in.png", "mask.png", "out.png"))
    cf.write(source, image)
    cf.write(mask, counts.astype(np.uint8))
    words, how = (["--mask", mask], {"mask": counts}) if masked else ([], {})
    for across, down in (("wrap", "edge"), ("wrap", "reflect"), ("reflect", "wrap"), ("edge", "symmetric")):
        specs = f"{spec},padding_mode={across},{down}", "box:3,padding_mode=wrap,edge"
        assert run(["apply", "-f", specs[0], "-f", specs[1], "-v", "--overwrite", *words, source, target]) == 0
        told = capsys.readouterr().err
        assert ("input not streamed: padding_mode=wrap reads the last rows first" in told) == (down == "wrap")
        np.testing.assert_array_equal(cf.read(target).pixels, cf.apply(image, *specs, **how))


def test_a_panorama_has_no_seam():
    """Turning a panorama and filtering it may be done in any order; above and below, its edge is repeated."""
    image = noise((40, 100))
    turned = np.roll(image, 37, axis=1)
    for spec in ("gaussian:2", "gaussian:12", "box:9", "median:5", "bilateral:2", "guided:3", "sobel:magnitude"):
        found = cf.apply(image, spec, padding_mode=("edge", "wrap"))
        difference = np.roll(found, 37, axis=1).astype(int) - cf.apply(turned, spec, padding_mode=("edge", "wrap"))
        assert np.abs(difference).max() <= 1
        assert not np.array_equal(found, cf.apply(image, spec, padding_mode="edge"))


def test_equal_modes_are_one_mode():
    image = noise((20, 30))
    for mode in PADDING_MODES:
        one = cf.gaussian_blur(image, 2, padding_mode=mode)
        for two in ((mode, mode), [mode, mode]):
            np.testing.assert_array_equal(cf.gaussian_blur(image, 2, padding_mode=two), one)
        assert stack.stage(f"box:3,padding_mode={mode},{mode}").padding_mode == mode


@pytest.mark.parametrize("modes", [("wrap", "wrap"), ("edge", "wrap"), ("wrap", "edge")])
def test_stages_are_merged_where_both_axes_wrap(modes):
    stages = stack.stages(["gaussian:2", "gaussian:3"], padding_mode=modes)
    plan = plan_stack(stages, (60, 80), np.dtype(np.uint8))
    assert len(plan.stages) == (1 if modes == ("wrap", "wrap") else 2)
    inner = stack.stages(["gaussian:2,padding=9", "gaussian:3,padding=valid"], padding_mode=modes)
    (merged,) = plan_stack(inner, (60, 80), np.dtype(np.uint8)).stages
    assert merged.padding_modes == modes


def test_a_spec_names_the_mode_across_first():
    across_first = stack.stage("gaussian:2, padding-mode=wrap , edge,stride=2")
    assert across_first.padding_modes == ("edge", "wrap")
    assert across_first.stride == (2, 2)
    assert Stage(Correlation(kernels.box(3, 3)), padding_mode=("edge", "wrap")).padding_modes == ("edge", "wrap")


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (
            "box:3,padding_mode=wrap,mirror",
            "must be one of edge, constant, reflect, symmetric, wrap, got 'wrap,mirror'",
        ),
        ("box:3,padding_mode=circular,edge", "got 'circular,edge'; circular in PyTorch is wrap here"),
        ("box:3,padding_mode=a,b,c", "must be one word, or two as in wrap,edge: across, then down, got 'a,b,c'"),
        (
            "box:3,padding_mode=wrap,edge,padding_value=3",
            "padding_value is for padding mode constant, got edge and wrap",
        ),
    ],
)
def test_errors_of_specs(spec, message):
    with pytest.raises((ParameterError, UsageError), match=message):
        stack.stage(spec)


@pytest.mark.parametrize("modes", [("edge",), ("edge", "wrap", "edge"), ("edge", "mirror"), ("edge", 3), []])
def test_errors_of_pairs(modes):
    with pytest.raises(ParameterError, match=r"padding_mode must be one"):
        cf.box_blur(noise((5, 5)), 3, padding_mode=modes)


def test_command_line(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    image = noise((30, 40))
    cf.write("in.png", image)
    assert run(["blur", "--box", "5", "--padding-mode", "wrap,edge", "in.png", "out.png"]) == 0
    np.testing.assert_array_equal(cf.read("out.png").pixels, cf.box_blur(image, 5, padding_mode=("edge", "wrap")))
    both = ["--padding-mode", "wrap,constant", "--padding-value", "200"]
    assert run(["apply", "-f", "box:5", "-f", "median:3", *both, "in.png", "out.png"]) == 0
    expected = cf.apply(image, "box:5", "median:3", padding_mode=("constant", "wrap"), padding_value=200)
    np.testing.assert_array_equal(cf.read("out.png").pixels, expected)
    (tmp_path / "convfilter.toml").write_text('padding-mode = "wrap,edge"\n')
    assert run(["blur", "--box", "5", "in.png", "out.png"]) == 0
    np.testing.assert_array_equal(cf.read("out.png").pixels, cf.box_blur(image, 5, padding_mode=("edge", "wrap")))
    assert run(["blur", "--box", "5", "--padding-value", "0", "in.png", "out.png"]) == 0
    np.testing.assert_array_equal(cf.read("out.png").pixels, cf.box_blur(image, 5, padding_value=0))
    capsys.readouterr()
    assert run(["blur", "--box", "5", "--padding-mode", "wrap,wrp", "in.png", "out.png"]) == 2
    assert "--padding-mode: padding_mode must be one of edge, constant" in capsys.readouterr().err


def test_layers_of_files(tmp_path):
    image, weight = noise((9, 12)) / np.float32(255), np.arange(25, dtype=float).reshape(1, 1, 5, 5) / 300
    np.savez(tmp_path / "conv.npz", weight=weight, padding_mode=np.array(["replicate", "circular"]))
    found = cf.apply(image, f"layer:{tmp_path / 'conv.npz'}")
    np.testing.assert_array_equal(found, cf.conv2d(image, weight, padding="same", padding_mode=("edge", "wrap")))
    np.savez(tmp_path / "up.npz", weight=weight, padding_mode=np.array(["zeros", "circular"]))
    with pytest.raises(cf.ConvfilterError, match=r"only zeros lie between .*, got 'zeros and circular'"):
        cf.apply(image, f"convtranspose:{tmp_path / 'up.npz'}")
