"""The node tests of the ``onnx`` package: each that a picture can have is said as a network, and equal.

The package makes the cases where it is imported; only the modules of the nodes in question are.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import convfilter

onnx = pytest.importorskip("onnx")

MODULES = [
    "averagepool",
    "batch_normalization",
    "celu",
    "clip",
    "conv",
    "convtranspose",
    "elu",
    "gelu",
    "globalaveragepool",
    "globalmaxpool",
    "groupnormalization",
    "hardsigmoid",
    "hardswish",
    "instance_normalization",
    "leakyrelu",
    "lppool",
    "lrn",
    "maxpool",
    "mish",
    "pad",
    "prelu",
    "relu",
    "selu",
    "sigmoid",
    "softplus",
    "softsign",
    "swish",
    "tanh",
    "thresholdedrelu",
]
OPERATORS = {
    "AveragePool", "BatchNormalization", "Celu", "Clip", "Conv", "ConvTranspose", "Elu", "Gelu", "GlobalAveragePool",
    "GlobalMaxPool", "GroupNormalization", "HardSigmoid", "HardSwish", "InstanceNormalization", "LeakyRelu",
    "LpPool", "LRN", "MaxPool",
    "Mish", "Pad", "PRelu", "Relu", "Selu", "Sigmoid", "Softplus", "Softsign", "Swish", "Tanh", "ThresholdedRelu",
}  # fmt: skip
#: Functions written out as their own graphs: only these are chains or products of a tensor and its activation.
EXPANDED = ("test_hardswish_expanded", "test_mish_expanded", "test_swish_expanded")
#: What docs/networks.md lists as not to be said here, by what the names begin with or end in.
NOT_HERE = {
    "volumes": ("_3d", "conv3d", "pool3d"),
    "training": ("training_mode",),
    "indices": ("with_argmax",),
    "whole numbers other than those of pictures": ("int8",),
}
#: Data sets that come as files: tests of PyTorch's modules, converted.
FOLDERS = ("pytorch-converted", "pytorch-operator")
CONVERTED = [
    "AvgPool1d",
    "AvgPool2d",
    "BatchNorm1d_3d",
    "BatchNorm2d",
    "ConstantPad2d",
    "Conv1d",
    "Conv2d",
    "ConvTranspose2d",
    "ELU",
    "LeakyReLU",
    "MaxPool1d",
    "MaxPool2d",
    "PReLU_1d",
    "PReLU_2d",
    "ReLU",
    "ReflectionPad2d",
    "ReplicationPad2d",
    "SELU",
    "Sigmoid",
    "Softplus",
    "Softsign",
    "Tanh",
    "ZeroPad2d",
    "operator_conv",
    "operator_maxpool",
    "operator_pad",
    "operator_selu",
    "operator_clip",
]


def _made() -> list[Any]:
    """Collect the cases that are made by Python modules."""
    node = import_module("onnx.backend.test.case.node")
    for name in MODULES:
        import_module(f"onnx.backend.test.case.node.{name}")
    found = {}
    for case in node._NodeTestCases:
        kinds = {each.op_type for each in case.model.graph.node}
        if case.name in EXPANDED or (len(case.model.graph.node) == 1 and kinds <= OPERATORS):
            found[case.name] = pytest.param(case.model, case.data_sets[0], case.rtol, case.atol, id=case.name)
    return [case for name, case in found.items() if not _is_elsewhere(name)]


def _stored() -> list[Any]:
    """Collect the cases that lie beside the package as files."""
    data = Path(onnx.__file__).parent / "backend" / "test" / "data"
    found = []
    for folder in FOLDERS:
        for path in sorted((data / folder).iterdir()):
            name = path.name.removeprefix("test_")
            if name.startswith(tuple(CONVERTED)) and not _is_elsewhere(name.lower()):
                found.append(pytest.param(path, None, 1e-3, 1e-7, id=path.name))
    return found


def _is_elsewhere(name: str) -> bool:
    return any(word in name for words in NOT_HERE.values() for word in words)


def _tensors(path: Path) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Read the tensors of a data set."""
    from onnx import numpy_helper

    read: list[list[np.ndarray]] = [[], []]
    for place, kind in enumerate(("input", "output")):
        for number in range(len(list(path.glob(f"{kind}_*.pb")))):
            tensor = onnx.TensorProto()
            tensor.ParseFromString((path / f"{kind}_{number}.pb").read_bytes())
            read[place].append(numpy_helper.to_array(tensor))
    return read[0], read[1]


def as_network(model: Any, inputs: list[np.ndarray]) -> Any:
    """Return a model whose inputs but the first are constants: the weights, as files of networks have them."""
    from onnx import numpy_helper

    made = onnx.ModelProto()
    made.CopyFrom(model)
    names = [each.name for each in made.graph.input if each.name not in {i.name for i in made.graph.initializer}]
    for name, value in zip(names[1:], inputs[1:], strict=False):
        real = value.astype(np.float32) if value.dtype.kind == "V" else value
        made.graph.initializer.append(numpy_helper.from_array(real, name))
    return made


def pictures_of(tensor: np.ndarray, first: str, slopes: bool) -> list[np.ndarray]:
    """Return the pictures of a tensor: of (N, C, H, W) each; of one axis less, rows; of others, all as they lie."""
    tensor = tensor if tensor.dtype == np.uint8 else tensor.astype(np.float32)
    if first == "Unsqueeze":
        return [each.T[:, np.newaxis] for each in tensor]
    if tensor.ndim == 4:
        return [each.transpose(1, 2, 0) for each in tensor]
    if slopes:  # one slope for each number: as many channels
        return [tensor.reshape(1, 1, -1)]
    if tensor.ndim == 3:
        return [each.T[np.newaxis] for each in tensor]
    return [tensor.reshape(1, -1, 1)]


def tensor_of(pictures: list[np.ndarray], shape: tuple[int, ...]) -> np.ndarray:
    """Undo ``pictures_of``."""
    if len(shape) == 4:
        return np.stack([each.transpose(2, 0, 1) for each in pictures])
    if len(shape) == 3 and len(pictures) == shape[0]:
        return np.stack(
            [each.squeeze(1 if each.shape[1] == 1 and each.shape[0] == shape[2] else 0).T for each in pictures]
        )
    return pictures[0].reshape(shape)


@pytest.mark.parametrize(("model", "data", "rtol", "atol"), [*_made(), *_stored()])
def test_a_node_gives_what_its_test_says(model: Any, data: Any, rtol: float, atol: float, tmp_path: Path) -> None:
    if data is None:
        data, model = _tensors(model / "test_data_set_0"), onnx.load(model / "model.onnx")
    inputs, (expected, *_) = data
    inputs = [np.asarray(each) for each in inputs]
    first = model.graph.node[0].op_type
    slopes = first == "PRelu" and len(inputs) > 1 and inputs[0].ndim < 4
    if slopes:
        inputs[1] = np.broadcast_to(inputs[1], inputs[0].shape).reshape(-1, 1, 1)
    path = tmp_path / "node.onnx"
    onnx.save(as_network(model, inputs), path)
    got = [
        convfilter.apply(np.ascontiguousarray(each), f"net:{path}") for each in pictures_of(inputs[0], first, slopes)
    ]
    expected = np.asarray(expected)
    assert (got[0].dtype == np.uint8) == (expected.dtype == np.uint8)
    result = tensor_of(got, expected.shape).astype(np.float64)
    is_half = expected.dtype == np.float16 or expected.dtype.kind == "V"
    expected = expected.astype(np.float32) if expected.dtype.kind == "V" else expected
    rounding = 2.0**-7 if is_half else 0
    np.testing.assert_allclose(result, expected, rtol=max(rtol, rounding), atol=max(atol, 3e-7))
