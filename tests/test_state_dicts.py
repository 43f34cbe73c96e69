"""Layers from PyTorch state dicts: the tensors of a layer, and errors."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import convfilter
from convfilter.errors import KernelFileError
from convfilter.filters import layer_files
from convfilter.filters.network_operators import Layer
from convfilter.filters.stage import Stage

RNG = np.random.default_rng(9)
IMAGE = RNG.random((9, 8, 3)).astype(np.float32)


def norm(channels: int) -> dict[str, np.ndarray]:
    return {
        "weight": RNG.random(channels) + 0.5,
        "bias": RNG.normal(size=channels),
        "running_mean": RNG.normal(size=channels),
        "running_var": RNG.random(channels) + 0.5,
        "num_batches_tracked": np.array(7),
    }


def network() -> dict[str, dict[str, np.ndarray]]:
    """Modules as a small network has them: blocks in a row, and two with names of their own."""
    return {
        "features.0": {"weight": RNG.normal(size=(4, 3, 3, 3)), "bias": RNG.normal(size=4)},
        "features.1": norm(4),
        "features.2": {"weight": RNG.random(4)},
        "features.4": {"weight": RNG.normal(size=(5, 4, 1, 1))},
        "conv1": {"weight": RNG.normal(size=(2, 3, 5, 5))},
        "bn1": norm(2),
        "prelu1": {"weight": RNG.random(1)},
        "block.0": {"weight": RNG.normal(size=(2, 3, 3, 3))},
        "block.1": norm(2),
        "block.2": {"weight": np.array([0.1, 0.3])},
        "fc": {"weight": RNG.normal(size=(10, 5)), "bias": RNG.normal(size=10)},
    }


@pytest.fixture
def saved(tmp_path: Path) -> tuple[str, dict[str, dict[str, np.ndarray]]]:
    modules = network()
    path = tmp_path / "net.npz"
    np.savez(path, **{f"{name}.{key}": value for name, own in modules.items() for key, value in own.items()})
    return str(path), modules


def by_hand(modules: dict[str, dict[str, np.ndarray]], convolution: str, *others: str) -> np.ndarray:
    keywords: dict[str, np.ndarray | str] = {}
    for other in others:
        own = modules[other]
        if "running_mean" in own:
            keywords |= {"gamma": own["weight"], "beta": own["bias"]}
            keywords |= {"mean": own["running_mean"], "var": own["running_var"]}
        else:
            keywords |= {"activation": "prelu", "slope": own["weight"]}
    own = modules[convolution]
    return convfilter.conv2d(IMAGE, own["weight"], own.get("bias"), **keywords)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("words", "modules"),
    [
        ("prefix=features.0", ["features.0"]),
        ("prefix=features.0,norm=features.1,prelu=features.2", ["features.0", "features.1", "features.2"]),
        ("prefix=conv1,norm=bn1", ["conv1", "bn1"]),
        ("prefix=conv1,prelu=prelu1", ["conv1", "prelu1"]),
        ("prefix=block", ["block.0", "block.1", "block.2"]),
    ],
)
def test_modules_make_a_layer(
    saved: tuple[str, dict[str, dict[str, np.ndarray]]], words: str, modules: list[str]
) -> None:
    path, network = saved
    got = convfilter.apply(IMAGE, f"layer:{path},{words}")
    np.testing.assert_array_equal(got, by_hand(network, *modules))


def test_a_state_dict_of_one_layer_needs_no_prefix(tmp_path: Path) -> None:
    safetensors = pytest.importorskip("safetensors.numpy")
    path = tmp_path / "one.safetensors"
    modules = {"0": {"weight": RNG.normal(size=(4, 3, 3, 3)), "bias": RNG.normal(size=4)}, "1": norm(4)}
    safetensors.save_file({f"{name}.{key}": value for name, own in modules.items() for key, value in own.items()}, path)
    np.testing.assert_array_equal(convfilter.apply(IMAGE, f"layer:{path}"), by_hand(modules, "0", "1"))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("", "a layer has one convolution, got 4; choose one with prefix=NAME: features.0, features.4,"),
        (",prefix=features.9", "there is no module 'features.9'; modules are features.0, features.1,"),
        (",prefix=fc", "no weight has the four axes of a convolution; modules are fc"),
        (",prefix=features.4,norm=bn1", "must have the shape"),
        (",prefix=conv1,norm=fc", "norm must name a batch normalisation, which has a running_mean, got 'fc'"),
        (",prefix=conv1,norm=prelu1", "norm must name a batch normalisation, which has a running_mean, got 'prelu1'"),
        (",prefix=conv1,prelu=bn1", "prelu must name a PReLU, which has a weight of one axis alone, got 'bn1'"),
        (",prefix=block,norm=bn1", "a layer has one module of each kind, and there is another like 'bn1'"),
    ],
)
def test_modules_that_make_no_layer(
    saved: tuple[str, dict[str, dict[str, np.ndarray]]], words: str, message: str
) -> None:
    with pytest.raises(KernelFileError) as caught:
        convfilter.apply(IMAGE, f"layer:{saved[0]}{words}")
    assert message in str(caught.value)


def test_modules_of_other_kinds_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", **{"0.weight": np.ones((2, 3, 3, 3)), "1.weight": np.ones(2), "1.bias": np.ones(2)})
    with pytest.raises(KernelFileError, match="module '1' with bias, weight does not belong to a layer"):
        convfilter.apply(IMAGE, f"layer:{tmp_path / 'a.npz'}")


def loaded(tmp_path: Path, **arrays: object) -> Stage:
    path = tmp_path / "a.npz"
    np.savez(path, weight=np.ones((1, 1, 2, 2)), **arrays)  # type: ignore[arg-type]
    return layer_files.load(str(path))


def test_a_file_says_what_lies_beyond_the_border(tmp_path: Path) -> None:
    assert loaded(tmp_path).padding_mode == "constant"
    for word, mode in {"zeros": "constant", "reflect": "reflect", "replicate": "edge", "circular": "wrap"}.items():
        assert loaded(tmp_path, padding_mode=word).padding_mode == mode
    assert loaded(tmp_path, padding=[1, 2, 3, 4]).padding == (2, 4, 1, 3)
    assert loaded(tmp_path, padding=[1, 2]).padding == (1, 1, 2, 2)
    assert loaded(tmp_path, padding="same_lower").padding == "same_lower"
    prelu = loaded(tmp_path, activation="prelu", slope=[0.5]).operator
    assert isinstance(prelu, Layer) and prelu.slope == 0.5
    for wrong, message in (
        ({"padding_mode": "mirror"}, "padding_mode must be one of edge, constant, reflect"),
        ({"padding": [1, 2, 3]}, r"or \(left, top, right, bottom\), got int64 of shape \(3,\)"),
        ({"activation": "prelu"}, "prelu needs its slope: one for all channels, or 1"),
        ({"activation": "relu", "slope": [1, 2]}, r"slope must be one number, got the shape \(2,\); prelu takes more"),
        ({"activation": "prelu", "slope": [1, 2]}, r"slope must have the shape \(1,\)"),
    ):
        with pytest.raises(KernelFileError, match=message):
            loaded(tmp_path, **wrong)
