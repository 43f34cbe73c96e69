"""Kernels across channels, against sums written out with SciPy, and against PyTorch where it is installed."""

from __future__ import annotations

import io
import itertools
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import reference
import tolerances
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy import signal

import convfilter
from convfilter.cli import main
from convfilter.errors import KernelFileError, ParameterError, SizeError, UsageError
from convfilter.executor.run import run_array
from convfilter.filters import kernels, layer_files
from convfilter.filters.kernel import from_array
from convfilter.filters.layers import layer
from convfilter.filters.operators import Correlation, Gradient, Pooling
from convfilter.filters.stage import Stage
from convfilter.machine import memory
from convfilter.methods import blas
from convfilter.planning import plan_stack
from convfilter.planning.figures import figures

RNG = np.random.default_rng(5)
GEOMETRIES = [
    {},
    {"stride": 2, "padding": 1},
    {"stride": (2, 3), "padding": (2, 1), "dilation": (1, 2)},
    {"padding": "same", "dilation": 2},
    {"groups": 2, "padding": 3},
]


def weights(out: int = 6, inputs: int = 4, rows: int = 3, cols: int = 3) -> np.ndarray:
    return RNG.normal(size=(out, inputs, rows, cols))


def image(channels: int = 4, rows: int = 17, cols: int = 19) -> np.ndarray:
    return RNG.random((rows, cols, channels)).astype(np.float32)


def summed(pixels: np.ndarray, weight: np.ndarray, groups: int = 1) -> np.ndarray:
    """Sums over whole windows, in float64, one output channel and one input channel at a time."""
    outputs, inputs = weight.shape[:2]
    maps = []
    for out in range(outputs):
        first = out // (outputs // groups) * inputs
        maps.append(
            sum(signal.correlate2d(pixels[..., first + i] * 1.0, weight[out, i], "valid") for i in range(inputs))
        )
    return np.stack(maps, axis=-1)


@pytest.mark.parametrize("shape", [(6, 4, 3, 3), (1, 4, 1, 1), (5, 1, 4, 2), (16, 3, 5, 5)])
def test_sums_over_channels_and_window(shape: tuple[int, int, int, int]) -> None:
    weight, bias = weights(*shape), RNG.normal(size=shape[0])
    pixels = image(shape[1])
    got = convfilter.conv2d(pixels, weight, bias, padding="valid")
    expected = summed(pixels, weight) + bias
    assert got.dtype == np.float32
    np.testing.assert_allclose(got.reshape(expected.shape), expected, atol=1e-5)


def test_groups_stride_dilation_and_padding() -> None:
    weight = weights(6, 2)
    pixels = image(4)
    padded = np.pad(pixels, ((2, 2), (1, 1), (0, 0)))
    spread = np.zeros((6, 2, 5, 3))
    spread[:, :, ::2] = weight
    expected = summed(padded, spread, 2)[::3, ::2]
    got = convfilter.conv2d(pixels, weight, groups=2, stride=(3, 2), dilation=(2, 1), padding=(2, 1))
    np.testing.assert_allclose(got, expected, atol=1e-5)


@pytest.mark.parametrize("mode", ["edge", "reflect", "symmetric", "wrap"])
def test_padding_modes(mode: Any) -> None:
    weight, pixels = weights(), image()
    expected = summed(np.pad(pixels, ((2, 2), (3, 3), (0, 0)), mode=mode), weight)
    np.testing.assert_allclose(
        convfilter.conv2d(pixels, weight, padding=(2, 3), padding_mode=mode), expected, atol=1e-5
    )


def test_padding_has_the_value_asked_for() -> None:
    weight, pixels = weights(), image()
    expected = summed(np.pad(pixels, ((2, 2), (3, 3), (0, 0)), constant_values=0.75), weight)
    got = convfilter.conv2d(pixels, weight, padding=(2, 3), padding_mode="constant", padding_value=0.75)
    np.testing.assert_allclose(got, expected, atol=1e-5)


def test_batch_norm_and_activations() -> None:
    weight, bias, pixels = weights(), RNG.normal(size=6), image()
    mean, var, gamma, beta = RNG.normal(size=6), RNG.random(6), RNG.normal(size=6), RNG.normal(size=6)
    normal = gamma * (summed(pixels, weight) + bias - mean) / np.sqrt(var + 1e-3) + beta
    formulas = {
        "none": normal,
        "relu": np.where(normal > 0, normal, 0),
        "leaky_relu": np.where(normal > 0, normal, 0.2 * normal),
        "sigmoid": 1 / (1 + np.exp(-normal)),
        "tanh": np.tanh(normal),
    }
    for activation, expected in formulas.items():
        got = convfilter.conv2d(
            pixels,
            weight,
            bias,
            mean=mean,
            var=var,
            gamma=gamma,
            beta=beta,
            eps=1e-3,
            activation=activation,
            slope=0.2,
            padding=0,
        )
        np.testing.assert_allclose(got, expected, atol=3e-5)


@pytest.mark.peer("torch")
@pytest.mark.parametrize("geometry", GEOMETRIES)
@pytest.mark.parametrize("activation", ["none", "relu"])
def test_pytorch_gives_the_same(geometry: dict[str, Any], activation: str) -> None:
    torch = pytest.importorskip("torch")
    groups = geometry.get("groups", 1)
    weight, bias = (part.astype(np.float32) for part in (weights(6, 4 // groups) / 6, RNG.normal(size=6)))
    bn = [RNG.random(6).astype(np.float32) + 0.5 for _ in range(4)]
    pixels = image()
    x = torch.from_numpy(pixels.transpose(2, 0, 1)[np.newaxis].copy())
    y = torch.nn.functional.conv2d(x, torch.from_numpy(weight), torch.from_numpy(bias), **geometry)
    y = torch.nn.functional.batch_norm(y, *(torch.from_numpy(part) for part in bn))
    y = torch.relu(y) if activation == "relu" else y
    mean, var, gamma, beta = bn
    got = convfilter.conv2d(
        pixels,
        weight,
        bias,
        mean=mean,
        var=var,
        gamma=gamma,
        beta=beta,
        activation=activation,
        **{"padding": 0, **geometry},
    )
    np.testing.assert_allclose(got, y[0].numpy().transpose(1, 2, 0), atol=1e-5)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_integers_count_with_white_as_one(dtype: type[np.generic]) -> None:
    white = np.iinfo(dtype).max  # type: ignore[type-var]
    pixels = RNG.integers(0, white + 1, (11, 12, 3)).astype(dtype)
    weight, bias = weights(3, 3) / 9, np.array([0.5, 0.1, -0.2])
    expected = (summed(pixels / white, weight) + bias) * white
    got = convfilter.conv2d(pixels, weight, bias, padding=0)
    assert got.dtype == dtype
    assert np.abs(got - np.clip(expected, 0, white)).max() <= 0.51 + white * 1e-6
    raw = convfilter.conv2d(pixels, weight, bias, dtype=np.float32, padding=0)
    np.testing.assert_allclose(raw, expected, atol=2e-6 * white)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("activation", ["none", "relu", "leaky_relu"])
def test_fractions_are_exact_down_to_ties(dtype: type[np.generic], activation: str) -> None:
    """Sums of stored samples with whole numerators, a bias in levels, one division, half to even."""
    white = int(np.iinfo(dtype).max)  # type: ignore[type-var]
    pixels = RNG.integers(0, white + 1, (23, 24, 4)).astype(dtype)
    weight = RNG.integers(-8, 9, (6, 2, 2, 3)) / np.array([1, 2, 4, 8, 16, 6])[:, np.newaxis, np.newaxis, np.newaxis]
    bias = np.array([0, 0.5, -0.5, 0.25, 0, 1])
    keywords: dict[str, Any] = {"groups": 2, "activation": activation, "slope": 0.5, "padding": 1}
    got = convfilter.conv2d(pixels, weight, bias, **keywords)
    padded = np.pad(pixels.astype(int), ((1, 1), (1, 1), (0, 0)))
    sixths = np.rint(summed(padded, np.rint(weight * 48), 2)) + 48 * white * bias
    real = reference.exact(sixths) / 48
    if activation != "none":
        real = np.where(real < 0, real / 2 if activation == "leaky_relu" else real * 0, real)
    tolerances.assert_stored_exactly(got, real)
    as_stored = convfilter.conv2d(
        pixels, weight, bias, groups=2, activation=activation, slope=0.5, padding=1, dtype="f4"
    )
    np.testing.assert_allclose(as_stored, real.astype(float), rtol=1e-7, atol=0)


def test_ties_of_a_layer_go_to_even_as_those_of_a_filter() -> None:
    pixels = np.array([[[1], [3], [5], [7], [9]]], np.uint8)
    assert convfilter.conv2d(pixels, [[[[0.5]]]]).ravel().tolist() == [0, 2, 2, 4, 4]
    # Folded, the normalisation halves; 51 of 255 are subtracted before, and 0.2 of 255 added after.
    halved = {"mean": [0.2], "var": [3.5], "eps": 0.5, "beta": [0.2]}
    levels = pixels + np.uint8(61)
    assert convfilter.conv2d(levels, [[[[1.0]]]], **halved).ravel().tolist() == [56, 58, 58, 60, 60]
    raw = convfilter.conv2d(np.full((3, 3, 1), 7, np.uint8), np.ones((1, 1, 3, 3)), dtype=np.float32, padding=0)
    assert raw.ravel().tolist() == [63.0]
    half, weight = Stage(Correlation(from_array([[0.5]]))), np.full((1, 1, 1, 1), 0.5)
    assert convfilter.apply(pixels, half, in_stack(weight)).ravel().tolist() == [0, 1, 1, 2, 2]


def in_stack(weight: np.ndarray, bias: Any = None, **geometry: Any) -> Stage:
    return Stage(layer(weight, bias), name="layer", padding_mode="constant", **geometry)


def test_transparent_and_grey_pictures_are_summed_exactly_too() -> None:
    pixels = RNG.integers(0, 256, (9, 8, 4)).astype(np.uint8)
    # The weight 1/2 on colours that count with their alpha.
    got = convfilter.apply(pixels, in_stack(np.eye(3)[:, :, np.newaxis, np.newaxis] / 2), alpha=True)
    expected = reference.exact(pixels[..., :3].astype(int) * pixels[..., 3:]) / 510
    tolerances.assert_stored_exactly(got[..., :3], expected)
    gray = run_array(
        plan_stack([in_stack(np.full((1, 1, 1, 1), 0.5))], (9, 8, 3), np.uint8, gray=True), pixels[..., :3].copy()
    )
    luminance = pixels[..., :3].astype(int) @ np.array([299, 587, 114])
    tolerances.assert_stored_exactly(gray.pixels, reference.exact(luminance) / 2000)


@pytest.mark.parametrize("activation", ["none", "relu", "sigmoid", "tanh"])
def test_long_sums_stay_within_half_a_level(activation: str) -> None:
    """2,304 weights that are not fractions: the error of the sum only changes results next to ties."""
    pixels = RNG.integers(0, 256, (12, 12, 64)).astype(np.uint8)
    weight, bias = RNG.normal(size=(16, 64, 6, 6)) / 8, RNG.normal(size=16)
    real = summed(pixels, weight) + 255 * bias
    functions = {"relu": lambda x: np.maximum(x, 0), "sigmoid": lambda x: 1 / (1 + np.exp(-x)), "tanh": np.tanh}
    real = functions.get(activation, lambda x: x)(real / 255) * 255
    got = convfilter.conv2d(pixels, weight, bias, activation=activation, padding=0)
    assert np.abs(got - np.clip(real, 0, 255)).max() <= 0.5 + 1e-3


def test_padding_alone_has_no_rows_to_read() -> None:
    """Every row of the result sees padding only, so a stack holds no row of the stage before."""
    picture = np.arange(5, dtype=np.uint8).reshape(1, 5)
    ones, around = np.ones((1, 1, 1, 1)), {"stride": (2, 2), "padding": (1, 1, 1, 1)}
    assert convfilter.apply(picture, "identity", in_stack(ones, **around)).tolist() == [[0] * 4] * 2
    assert convfilter.apply(picture, "identity", in_stack(ones, [0.2], **around)).tolist() == [[51] * 4] * 2
    transparent = np.full((1, 5, 4), 200, np.uint8)
    colours = in_stack(np.eye(3)[..., np.newaxis, np.newaxis], **around)
    assert not convfilter.apply(transparent, "identity", colours, alpha=True).any()
    # Columns: the only output lies left of the picture.
    assert (
        convfilter.conv2d(np.ones((3, 20, 1), np.uint8), ones, padding=(0, 9), stride=(1, 40)).tolist() == [[[0]]] * 3
    )


GEOMETRY = st.fixed_dictionaries(
    {
        "stride": st.tuples(*[st.sampled_from([1, 2, 3, 7])] * 2),
        "dilation": st.tuples(*[st.sampled_from([1, 2, 5])] * 2),
        "padding": st.one_of(st.sampled_from(["same", "valid", "full"]), st.tuples(*[st.integers(0, 9)] * 4)),
    }
)
OPERATORS = {
    "layer": lambda: layer(np.array([[[[1.0, -2.0]]]]), [0.25]),
    "1x1 layer": lambda: layer(np.ones((1, 1, 1, 1))),
    "kernel": lambda: Correlation(from_array([[1, 2], [0, -1], [3, 1]])),
    "box": lambda: Correlation(kernels.box(2, 3)),
    "gaussian": lambda: Correlation(kernels.gaussian(0.6, 12)),
    "gradient": lambda: Gradient(kernels.derivative("sobel", "x"), kernels.derivative("sobel", "y")),
    "maxpool": lambda: Pooling("max", (2, 2)),
    "avgpool": lambda: Pooling("average", (3, 1)),
}


@pytest.mark.parametrize("name", OPERATORS)
@given(rows=st.integers(1, 9), cols=st.integers(1, 9), geometry=GEOMETRY, mode=st.sampled_from(["constant", "reflect"]))
@settings(max_examples=15, deadline=None, derandomize=True)
def test_after_another_stage_every_geometry_gives_what_it_gives_alone(
    name: str, rows: int, cols: int, geometry: Any, mode: Any
) -> None:
    pixels = np.random.default_rng(rows + 10 * cols).integers(0, 256, (rows, cols)).astype(np.uint8)
    stage = Stage(OPERATORS[name](), padding_mode=mode, **geometry)
    try:
        alone = convfilter.apply(pixels, stage, dtype=np.float32)
    except SizeError:
        with pytest.raises(SizeError):
            convfilter.apply(pixels, "identity", stage)
        return
    after = convfilter.apply(pixels, "identity", stage, dtype=np.float32)
    np.testing.assert_allclose(after, alone, atol=1e-3)


def test_layers_of_many_rows_are_the_same_for_any_number_of_threads() -> None:
    pixels, weight = image(3, 500, 300), weights(8, 3)
    once = convfilter.conv2d(pixels, weight, padding=1, threads=1)
    assert convfilter.conv2d(pixels, weight, padding=1, threads=3).tobytes() == once.tobytes()
    np.testing.assert_allclose(once[1:-1, 1:-1], summed(pixels, weight), atol=1e-5)


def test_blas_gets_its_threads_back() -> None:
    thread_count = blas._thread_count()
    if thread_count is None:
        pytest.skip("this NumPy does not use OpenBLAS")
    before = thread_count.get()
    with blas.single_threaded():
        assert thread_count.get() == 1
        with blas.single_threaded():
            assert thread_count.get() == 1
        assert thread_count.get() == 1
    assert thread_count.get() == before


def test_transparent_pixels_count_as_black(tmp_path: Path) -> None:
    weight = weights(3, 3, 1, 1)
    np.save(tmp_path / "k.npy", weight)
    pixels = RNG.random((5, 6, 4)).astype(np.float32)
    got = convfilter.apply(pixels, f"layer:{tmp_path / 'k.npy'}", alpha=True)
    np.testing.assert_allclose(got[..., :3], summed(pixels[..., :3] * pixels[..., 3:], weight), atol=1e-5)
    assert np.array_equal(got[..., 3], pixels[..., 3])


# Files --------------------------------------------------------------------------------------------------------------


def saved(folder: Path, **arrays: Any) -> str:
    path = folder / "layer.npz"
    np.savez(path, **arrays)
    return str(path)


def test_a_stack_of_layers_from_files(tmp_path: Path) -> None:
    first, second = weights(5, 3), weights(2, 5, 1, 1)
    one = saved(tmp_path, weight=first, bias=np.ones(5), activation="relu", stride=2, padding=np.array([1, 1]))
    np.save(tmp_path / "two.npy", second)
    pixels = image(3)
    hidden = np.maximum(summed(np.pad(pixels, ((1, 1), (1, 1), (0, 0))), first)[::2, ::2] + 1, 0)
    got = convfilter.apply(pixels, f"layer:{one}", f"layer:{tmp_path / 'two.npy'}", "relu")
    np.testing.assert_allclose(got, np.maximum(summed(hidden, second), 0), atol=1e-4)
    plan = convfilter.plan((224, 224, 3), f"layer:{one}", f"layer:{tmp_path / 'two.npy'}")
    assert [each.weights for each in figures(plan)] == [5 * 3 * 9, 2 * 5]
    assert figures(plan)[0].multiply_adds_direct == 5 * 3 * 9 * 112 * 112
    assert plan.output_shape == (112, 112, 2)


def test_a_spec_comes_before_the_file(tmp_path: Path) -> None:
    path = saved(tmp_path, weight=weights(4, 2), activation="relu", stride=2, groups=2)
    pixels = image(4)
    got = convfilter.apply(pixels, f"layer:{path},activation=none,stride=1,padding=valid")
    assert got.min() < 0
    assert got.shape == (15, 17, 4)


def test_safetensors(tmp_path: Path) -> None:
    library = pytest.importorskip("safetensors.numpy")
    weight, mean = weights().astype(np.float32), np.ones(6, np.float32)
    path = tmp_path / "layer.safetensors"
    library.save_file({"weight": weight, "running_mean": mean}, path, metadata={"activation": "tanh"})
    got = layer_files.load(str(path)).operator
    expected = layer(weight, mean=mean, activation="tanh")
    assert np.array_equal(got.weight, expected.weight) and np.array_equal(got.bias, expected.bias)  # type: ignore[union-attr]
    assert got.activation == "tanh"  # type: ignore[union-attr]
    path.write_bytes(b"no tensors at all")
    with pytest.raises(KernelFileError, match=r"layer.safetensors: this is not a usable .safetensors file"):
        layer_files.load(str(path))


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"weight": np.ones((1, 1, 1, 1)), "stride": np.array(10**18)}, "stride must be at most 2147483647, got 1e+18"),
        ({"weight": np.ones((1, 1, 1, 1)), "stride": np.ones((1,) * 40)}, "got float64 of shape (1, 1,"),
        (
            {"weight": np.ones((1, 1, 1, 1)), "var": np.zeros(1), "eps": 1e-300},
            "weight with its batch normalisation must",
        ),
        ({"weight": np.ones((1, 1, 1, 1)), "slope": np.nan}, "slope must be a finite number, got nan"),
        (
            {"weight": np.ones((2, 3, 3))},
            "shape (C_out, C_in, K_h, K_w), none of them 0, got (2, 3, 3)",
        ),
        ({"weight": np.ones((2, 0, 3, 3))}, "none of them 0"),
        ({"weight": np.full((1, 1, 1, 2), np.nan)}, "weight must be finite, got nan at (0, 0, 0, 0)"),
        ({"weight": np.ones((1, 1, 1, 1)) * 1j}, "weight must hold real numbers, got complex128"),
        ({"weight": np.full((1, 1, 1, 1), 1e300)}, "weight must fit float32"),
        (
            {"weight": np.ones((2, 1, 1, 1)), "bias": np.ones(3)},
            "bias must have the shape (2,), as weight has 2",
        ),
        ({"weight": np.ones((2, 1, 1, 1)), "gamma": np.ones(2)}, "gamma and beta belong to a batch normalisation"),
        ({"weight": np.ones((2, 1, 1, 1)), "var": -np.ones(2)}, "var must not be negative, got -1"),
        ({"weight": np.ones((3, 1, 1, 1)), "groups": 2}, "the 3 output channels of weight do not divide into 2 groups"),
        ({"weight": np.ones((1, 1, 1, 1)), "activation": "step"}, "activation must be one of none, relu,"),
        ({"weight": np.ones((1, 1, 1, 1)), "stride": 0}, "stride must be at least 1, got 0"),
        ({"weight": np.ones((1, 1, 1, 1)), "stride": 1.5}, "stride must be one whole number or (rows, cols)"),
        (
            {"weight": np.ones((1, 1, 1, 1)), "pad": 1},
            "'pad' does not belong to a layer, whose arrays are weight, bias,",
        ),
        ({"kernel": np.ones((1, 1, 1, 1))}, "a layer has an array called weight, got kernel"),
        ({"weight": np.array([[[[None]]]], object)}, "this is not a usable .npz file"),
    ],
)
def test_files_that_do_not_fit(tmp_path: Path, arrays: dict[str, Any], message: str) -> None:
    with pytest.raises(KernelFileError) as caught:
        layer_files.load(saved(tmp_path, **arrays))
    assert message in str(caught.value)
    assert "layer.npz: " in str(caught.value)


def test_files_that_are_too_large_are_not_read(tmp_path: Path) -> None:
    huge = tmp_path / "huge.npy"
    with huge.open("wb") as file:
        file.truncate(2 << 30)
    with pytest.raises(KernelFileError, match="weights may take 256 MB, this file has 2,048 MB"):
        layer_files.load(str(huge))
    bomb = tmp_path / "bomb.npz"
    np.savez_compressed(bomb, weight=np.zeros((1 << 23, 1, 3, 3), np.float32))
    with pytest.raises(KernelFileError, match="this archive unpacks to 288 MB"):
        layer_files.load(str(bomb))


def claiming(shape: tuple[int, ...]) -> bytes:
    """The header of an array without its data."""
    content = io.BytesIO()
    np.lib.format.write_array_header_1_0(content, {"descr": "<f4", "fortran_order": False, "shape": shape})
    return content.getvalue()


def test_a_header_that_claims_too_much_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.npy").write_bytes(claiming((10**9, 3, 3, 3)))
    with zipfile.ZipFile(tmp_path / "b.npz", "w") as archive:
        archive.writestr("weight.npy", claiming((10**9, 3, 3, 3)))
    for name in ("a.npy", "b.npz"):
        with pytest.raises(KernelFileError) as caught:
            layer_files.load(str(tmp_path / name))
        message = "weights may take 256 MB, an array of shape (1000000000, 3, 3, 3) takes 102,997 MB"
        assert str(caught.value) == f"{tmp_path / name}: {message}"


def test_other_files_are_refused(tmp_path: Path) -> None:
    for name, content in (("a.txt", b"1 2 3"), ("b.npz", b"no archive"), ("c.npy", b""), ("d.npz", b"PK\x03\x04")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(KernelFileError, match=name):
            layer_files.load(str(tmp_path / name))
    with pytest.raises(KernelFileError, match="cannot be read: no such file"):
        layer_files.load(str(tmp_path / "none.npz"))


def test_channels_that_do_not_fit_name_both_sides() -> None:
    with pytest.raises(ParameterError, match=r"weight \(6, 4, 3, 3\) in 1 group takes 4 channels, but gets 3"):
        convfilter.conv2d(image(3), weights())
    with pytest.raises(ParameterError, match="takes 1 channel, but gets 3; gray=True makes one of three colours"):
        convfilter.conv2d(image(3), np.ones((2, 1, 3, 3)))
    with pytest.raises(SizeError, match="output height must be at least 1"):
        convfilter.conv2d(image(4, 2, 9), weights(), padding=0)
    with pytest.raises(UsageError, match="cannot compute this"):
        convfilter.apply(image(4), "relu", algorithm="box")


# Output -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Image.fromarray(RNG.integers(0, 256, (20, 30, 3), np.uint8)).save("in.png")
    np.save("five.npy", weights(5, 3))
    np.save("one.npy", weights(1, 3))
    return tmp_path


def maps(folder: Path) -> np.ndarray:
    pixels = convfilter.read("in.png").pixels
    return convfilter.apply(pixels, "layer:five.npy", dtype=np.float32) / np.float32(255)


def test_many_maps_become_a_labelled_sheet(folder: Path) -> None:
    assert main(["apply", "-f", "layer:five.npy", "in.png", "out.png"]) == 0
    with Image.open("out.png") as drawn:
        assert (drawn.mode, drawn.size) == ("L", (3 * 34 + 4, 2 * 38 + 4))
        pixels = np.asarray(drawn)
    for number, (row, col) in enumerate(itertools.islice(itertools.product(range(2), range(3)), 5)):
        top, left = 4 + row * 38 + 14, 4 + col * 34
        shown = pixels[top : top + 20, left : left + 30].astype(float)
        values = maps(folder)[..., number]
        expected = (values - values.min()) / (values.max() - values.min()) * 255
        assert np.abs(shown - expected).max() <= 0.51
        assert pixels[top - 14 : top, left : left + 30].min() < 100  # the label


def test_many_maps_become_pages_or_an_array(folder: Path) -> None:
    assert main(["apply", "-f", "layer:five.npy", "in.png", "out.npy"]) == 0
    np.testing.assert_array_equal(np.load("out.npy"), maps(folder))
    assert main(["apply", "-f", "layer:five.npy", "in.png", "out.tiff"]) == 0
    pages = convfilter.read("out.tiff").frames
    assert len(pages) == 5
    for number, page in enumerate(pages):
        np.testing.assert_array_equal(page.pixels, maps(folder)[..., number])


def test_one_map_is_a_grey_picture_unless_a_sheet_is_wanted(folder: Path) -> None:
    assert main(["apply", "-f", "layer:one.npy,activation=relu", "in.png", "out.png"]) == 0
    assert convfilter.read("out.png").pixels.shape == (20, 30)
    assert main(["blur", "--box", "3", "--sheet", "in.png", "out.png"]) == 0
    assert convfilter.read("out.png").pixels.shape == (2 * 38 + 4, 2 * 34 + 4)


def test_four_maps_are_colours_and_opacity(folder: Path) -> None:
    np.save("four.npy", weights(4, 3, 1, 1))
    pixels = convfilter.read("in.png").pixels
    expected = convfilter.apply(pixels, "layer:four.npy")
    for name in ("out.png", "out.tiff"):
        assert main(["apply", "-f", "layer:four.npy", "in.png", name]) == 0
        found = convfilter.read(name)
        assert found.alpha and found.model == "rgb" and len(found.frames) == 1
        np.testing.assert_array_equal(found.pixels, expected)
    assert main(["apply", "-f", "layer:four.npy", "--sheet", "in.png", "out.png"]) == 0
    assert convfilter.read("out.png").pixels.shape == (2 * 38 + 4, 2 * 34 + 4)


def test_four_maps_are_laid_over_a_background_unrounded(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    np.save("four.npy", np.abs(weights(4, 3, 1, 1)) / 4)
    assert main(["apply", "-f", "layer:four.npy", "in.png", "out.ppm"]) == 1
    assert "PNM has no transparency; lay the picture over a colour with --background" in capfd.readouterr().err
    assert main(["apply", "-f", "layer:four.npy", "--background", "white", "in.png", "out.ppm"]) == 0
    real = convfilter.apply(convfilter.read("in.png").pixels, "layer:four.npy", dtype=np.float32).astype(float) / 255
    alpha = np.clip(real[..., 3:], 0, 1)
    flat = np.clip(real[..., :3] * alpha + 1 - alpha, 0, 1) * 255
    assert np.abs(convfilter.read("out.ppm").pixels - flat).max() <= 0.501


def test_four_maps_beside_alpha_are_a_sheet_and_inks_stay_inks(folder: Path) -> None:
    np.save("four.npy", weights(4, 3, 1, 1))
    np.save("inks.npy", weights(4, 4, 1, 1))
    Image.fromarray(RNG.integers(0, 256, (20, 30, 4), np.uint8)).save("alpha.png")
    assert main(["apply", "-f", "layer:four.npy", "alpha.png", "out.png"]) == 0
    assert convfilter.read("out.png").pixels.shape == (2 * 38 + 4, 2 * 34 + 4)
    Image.fromarray(RNG.integers(0, 256, (20, 30, 4), np.uint8), "CMYK").save("cmyk.tiff")
    assert main(["apply", "-f", "layer:inks.npy", "cmyk.tiff", "out.tiff"]) == 0
    found = convfilter.read("out.tiff")
    assert (found.model, found.alpha, found.pixels.shape) == ("cmyk", False, (20, 30, 4))


@pytest.mark.parametrize("suffix", ["png", "jpg", "tiff", "ppm", "gif"])
def test_an_impossible_stack_is_refused_before_pixels_are_read(
    folder: Path, capfd: pytest.CaptureFixture[str], suffix: str
) -> None:
    """The picture is truncated: decoding it would fail first."""
    whole = io.BytesIO()
    noise = Image.fromarray(RNG.integers(0, 256, (120, 90, 3), np.uint8))
    noise.save(whole, {"jpg": "jpeg"}.get(suffix, suffix))
    cut = whole.getvalue()
    np.save("many.npy", np.ones((200_000, 3, 1, 1), np.float32))
    if suffix != "tiff":  # whose tags are at its end
        cut = cut[: len(cut) // 2]
    Path(f"torn.{suffix}").write_bytes(cut)
    stack = ["-f", "gaussian:1", "-f", "maxpool:40", "-f", "box:3,padding=valid,stride=2"]
    assert main(["apply", *stack, f"torn.{suffix}", "out.png"]) == 1
    assert "stage 3 (box:3,padding=valid,stride=2): output width must be at least 1, got 0: floor((2 + 0 + 0 -" in (
        capfd.readouterr().err
    )
    if suffix != "tiff":
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(memory, "available_memory", lambda: 2**30)
            assert main(["apply", "-f", "relu", "-f", "layer:many.npy", f"torn.{suffix}", "out.png"]) == 1
        told = capfd.readouterr().err
        assert "stage 2 (layer:many.npy), 200000 channels of 90x120, needs about 8.0 GiB of memory, 1.0 GiB are" in told
        assert main(["apply", "-f", "gaussian:1", "-f", "maxpool:4", f"torn.{suffix}", "out.png"]) == 1
        assert "stage" not in capfd.readouterr().err


def test_a_picture_that_exif_turns_is_judged_as_it_will_be(folder: Path) -> None:
    noise = Image.fromarray(RNG.integers(0, 256, (40, 90, 3), np.uint8))
    exif = Image.Exif()
    exif[0x0112] = 6  # a quarter turn
    noise.save("turned.jpg", exif=exif)
    assert main(["convolve", "--kernel", "1;" * 59 + "1", "--padding", "valid", "turned.jpg", "out.png"]) == 0
    assert convfilter.read("out.png").pixels.shape == (31, 40, 3)
    assert main(["convolve", "--kernel", "1 " * 60, "--padding", "valid", "turned.jpg", "out.png"]) == 1


def test_stacks_and_results_that_cannot_be_written(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["blur", "--box", "3", "--sheet", "in.png", "out.npy"]) == 2
    assert "a sheet is a picture" in capfd.readouterr().err
    assert main(["apply", "-f", "layer:five.npy", "-f", "layer:five.npy", "in.png", "out.png"]) == 2
    assert "stage 2 (layer:five.npy): the layer's weight (5, 3, 3, 3) in 1 group takes 3 channels, but gets 5" in (
        capfd.readouterr().err
    )
    assert not Path("out.png").exists()


# kernel show --------------------------------------------------------------------------------------------------------


def test_layers_are_shown(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    weight = np.arange(2 * 1 * 2 * 2, dtype=np.float32).reshape(2, 1, 2, 2)
    np.savez("two.npz", weight=weight, bias=np.array([1, -1]), activation="relu", groups=2)
    assert main(["kernel", "show", "layer:two.npz"]) == 0
    told = capfd.readouterr().out
    assert "weight: 2 outputs x 1 inputs x 2 x 2 = 8 in 2 groups, from 0 to 7" in told
    assert "bias: from -1 to 1; activation: relu" in told
    assert "output 1 of input 1: 2x2, sum 22, not separable\n  4  5\n  6  7\n" in told
    np.save("many.npy", np.ones((512, 3, 1, 1), np.float32))
    assert main(["kernel", "show", "layer:many.npy"]) == 0
    assert "1,536 kernels are too many to print" in capfd.readouterr().out
    assert main(["kernel", "show", "layer:many.npy", "--plot", "k.png"]) == 2
    assert "up to 24 kernels can be plotted, layer:many.npy has 1,536" in capfd.readouterr().err


def test_layers_are_plotted(folder: Path) -> None:
    pytest.importorskip("matplotlib")
    assert main(["kernel", "show", "layer:one.npy", "--plot", "k.png"]) == 0
    with Image.open("k.png") as plot:
        assert plot.height > 3 * 300  # a row for each of three kernels


# Transposed --------------------------------------------------------------------------------------------------------

TRANSPOSED = [
    {},
    {"stride": 2, "padding": 1, "output_padding": 1},
    {"stride": (3, 2), "padding": (0, 2), "output_padding": (2, 0)},
    {"stride": (2, 4), "dilation": (3, 2), "groups": 2},
    {"stride": 5, "padding": 1},  # more than the kernel: some outputs see nothing
    {"dilation": 2, "padding": 3},
]


@pytest.mark.parametrize("geometry", TRANSPOSED)
@pytest.mark.parametrize("kernel", [(3, 3), (4, 2)])
def test_transposed_convolution(geometry: dict[str, Any], kernel: tuple[int, int]) -> None:
    pixels, bias = image(4, 9, 11), RNG.normal(size=6)
    weight = RNG.normal(size=(4, 6 // geometry.get("groups", 1), *kernel))
    expected = reference.conv_transpose(pixels, weight, **geometry) + bias
    got = convfilter.conv_transpose2d(pixels, weight, bias, **geometry)
    assert got.shape == expected.shape
    np.testing.assert_allclose(got, expected, atol=1e-5)


@pytest.mark.parametrize("groups", [1, 3])
def test_outputs_of_a_transposed_convolution_that_lie_between_all_taps_are_the_bias(groups: int) -> None:
    geometry: dict[str, Any] = {"stride": (4, 6), "padding": (1, 3), "output_padding": (3, 0), "groups": groups}
    pixels, weight = image(3, 1, 2), RNG.normal(size=(3, 3 // groups, 1, 2))
    expected = reference.conv_transpose(pixels, weight, **geometry) + 0.5
    assert (expected == 0.5).all()
    np.testing.assert_array_equal(convfilter.conv_transpose2d(pixels, weight, [0.5] * 3, **geometry), expected)


def test_whole_numbers_are_transposed_exactly() -> None:
    pixels = RNG.integers(0, 256, (40, 31, 2), np.uint8)
    weight = RNG.integers(-8, 9, (2, 3, 3, 3)) / 16
    expected = reference.conv_transpose(pixels.astype(float), weight, stride=2, padding=1)
    got = convfilter.conv_transpose2d(pixels, weight, stride=2, padding=1)
    np.testing.assert_array_equal(got, np.clip(np.rint(expected), 0, 255))
    for threads in (1, 3):
        again = convfilter.conv_transpose2d(pixels, weight, stride=2, padding=1, threads=threads)
        assert again.tobytes() == got.tobytes()


@pytest.mark.peer("torch")
def test_pytorch_transposes_the_same() -> None:
    torch = pytest.importorskip("torch")
    pixels, weight = image(4, 9, 11), RNG.normal(size=(4, 3, 3, 4)).astype(np.float32)
    geometry = {"stride": (2, 3), "padding": (1, 2), "output_padding": (1, 2), "dilation": (2, 1), "groups": 2}
    x = torch.from_numpy(pixels.transpose(2, 0, 1)[np.newaxis].copy())
    theirs = torch.nn.functional.conv_transpose2d(x, torch.from_numpy(weight), **geometry)[0].numpy()
    np.testing.assert_allclose(
        convfilter.conv_transpose2d(pixels, weight, **geometry), theirs.transpose(1, 2, 0), atol=1e-5
    )


def test_layers_flip_and_round_sizes_up(tmp_path: Path) -> None:
    pixels, weight = image(3, 16, 15), RNG.normal(size=(4, 3, 3, 2))
    np.savez(tmp_path / "layer.npz", weight=weight)
    flipped = convfilter.conv2d(pixels, weight[:, :, ::-1, ::-1])
    np.testing.assert_array_equal(convfilter.conv2d(pixels, weight, flip=True), flipped)
    np.testing.assert_array_equal(convfilter.apply(pixels, f"layer:{tmp_path}/layer.npz,flip=true"), flipped)
    up = convfilter.conv2d(pixels, weight, stride=2, padding=0, ceil=True)
    assert up.shape == (8, 8, 4) and convfilter.conv2d(pixels, weight, stride=2, padding=0).shape == (7, 7, 4)
    np.testing.assert_array_equal(
        convfilter.apply(pixels, f"layer:{tmp_path}/layer.npz,stride=2,padding=0,ceil=true"), up
    )
    for unknown in ("ceil", "flip"):
        with pytest.raises(TypeError, match=f"unexpected keyword '{unknown}'"):
            convfilter.conv_transpose2d(pixels, weight.swapaxes(0, 1), **{unknown: True})


def test_same_sizes_of_transposed_convolutions() -> None:
    pixels, weight = image(1, 5, 6), np.ones((1, 1, 3, 3))
    assert convfilter.conv_transpose2d(pixels, weight, stride=2, padding="same_upper").shape == (10, 12, 1)
    upper = convfilter.conv_transpose2d(pixels, weight, stride=2, padding=((0, 1), (0, 1)))
    np.testing.assert_array_equal(convfilter.conv_transpose2d(pixels, weight, stride=2, padding="same_upper"), upper)
    lower = convfilter.conv_transpose2d(pixels, weight, stride=2, padding=((1, 0), (1, 0)))
    np.testing.assert_array_equal(convfilter.conv_transpose2d(pixels, weight, stride=2, padding="same_lower"), lower)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"output_padding": 2, "stride": 2}, "output_padding must be smaller than stride 2 or dilation 1, got 2"),
        ({"padding": 9}, r"output height must be at least 1, got -11: \(5 - 1\)\*1 - 9 - 9 \+ 1\*\(3 - 1\) \+ 0 \+ 1"),
        ({"groups": 3}, "the 1 input channels of weight do not divide into 3 groups"),
        ({"groups": "all"}, "groups must be a whole number, got 'all'"),
        ({"output_padding": -1}, "output_padding must be at least 0, got -1"),
    ],
)
def test_impossible_transposed_convolutions_are_refused(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises((KernelFileError, ParameterError, SizeError), match=message):
        convfilter.conv_transpose2d(image(1, 5, 6), np.ones((1, 1, 3, 3)), **wrong)


def test_a_transposed_layer_in_a_stack_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "up.npz"
    weight, slope = RNG.normal(size=(3, 4, 4, 4)), [0.1, 0.2, 0.3, 0.4]
    np.savez(path, weight=weight, stride=2, padding=1, activation="prelu", slope=slope)
    pixels = image(3, 150, 40)
    got = convfilter.apply(pixels, "box:3", f"convtranspose:{path}", "maxpool:2", dtype=np.float32)
    between = convfilter.box_blur(pixels, 3)
    up = convfilter.conv_transpose2d(between, weight, stride=2, padding=1, activation="prelu", slope=slope)
    expected = reference.conv_transpose(between, weight, stride=2, padding=1)
    np.testing.assert_allclose(up, np.where(expected < 0, expected * slope, expected), atol=1e-5)
    np.testing.assert_allclose(got, convfilter.max_pool(up, 2), atol=1e-6)
    plan = convfilter.plan((150, 40, 3), f"convtranspose:{path}", "box:3")
    first, second = figures(plan)
    assert (first.rows.size, first.rows.jump, first.rows.start) == (2, 0.5, -0.25)
    assert (second.rows.size, second.rows.jump) == (3, 0.5)


def test_alpha_of_a_transposed_layer_is_that_of_the_nearest_sample() -> None:
    pixels = np.zeros((3, 2, 4), np.float32)
    pixels[..., 3] = np.arange(1, 7).reshape(3, 2) / 8
    got = convfilter.conv_transpose2d(pixels, np.ones((3, 3, 2, 2)), stride=2, alpha=True)
    np.testing.assert_array_equal(got[..., 3], pixels[..., 3].repeat(2, 0).repeat(2, 1))
