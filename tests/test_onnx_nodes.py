"""The node tests of the ``onnx`` package: each gives the expected values as a network, or is refused with a reason.

Importing the package makes the cases, so only the modules of these nodes are imported.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import convfilter
from convfilter.errors import KernelFileError

onnx = pytest.importorskip("onnx")
helper, numpy_helper = onnx.helper, onnx.numpy_helper

#: Kinds of nodes.
OPERATORS = (
    "Abs", "Add", "AveragePool", "BatchNormalization", "Celu", "Clip", "Concat", "Conv", "ConvInteger",
    "ConvTranspose", "DeformConv", "Div", "Elu", "Gelu", "GlobalAveragePool", "GlobalMaxPool", "GroupNormalization",
    "Hardmax", "HardSigmoid", "HardSwish", "InstanceNormalization", "LeakyRelu", "LogSoftmax", "LpPool", "LRN",
    "MaxPool", "MaxUnpool", "MeanVarianceNormalization", "Mish", "Mul", "Neg", "Pad", "PRelu", "QLinearConv", "Relu",
    "Selu", "Shrink", "Sigmoid", "Softmax", "Softplus", "Softsign", "Sub", "Sum", "Swish", "Tanh", "ThresholdedRelu",
)  # fmt: skip
#: Functions written out as their own graphs: only these are chains or products of a tensor and its activation.
EXPANDED = ("test_hardswish_expanded", "test_mish_expanded", "test_swish_expanded")
#: Nodes whose inputs are all samples, which come as the channels of one picture.
OF_BRANCHES = ("Add", "Concat", "Div", "Mul", "Sub", "Sum")
#: Nodes over an axis, which becomes that of channels.
OF_CHANNELS = ("Softmax", "LogSoftmax", "Hardmax", "Split")
#: Data sets that come as files: tests of PyTorch's modules, converted.
FOLDERS = ("pytorch-converted", "pytorch-operator")
CONVERTED = (
    "AvgPool", "BatchNorm", "ConstantPad", "Conv", "ELU", "GLU", "LeakyReLU", "LogSoftmax", "MaxPool", "PReLU", "ReLU",
    "ReflectionPad", "ReplicationPad", "SELU", "Sigmoid", "Softmax", "Softmin", "Softplus", "Softsign", "Tanh",
    "ZeroPad", "log_softmax", "operator_add_", "operator_addconstant", "operator_clip", "operator_concat2",
    "operator_conv", "operator_maxpool", "operator_pad", "operator_selu", "softmax",
)  # fmt: skip


class Case:
    """A node test: its model, and numbers in and out.

    Attributes
    ----------
    refused : str
        Text of the error for a network that is refused; "" if results must be equal.
    """

    def __init__(self, name: str, model: Any, data: tuple[list[Any], list[Any]], rtol: float, atol: float) -> None:
        self.name, self.model, self.rtol, self.atol = name, model, rtol, atol
        self.inputs, self.outputs = ([np.asarray(each) for each in arrays] for arrays in data)
        self.kinds = [each.op_type for each in model.graph.node]
        self.refused = self._reason()

    @property
    def is_volume(self) -> bool:
        return self.inputs[0].ndim > 4

    def _reason(self) -> str:
        if "training_mode" in self.name:
            return "it is in training mode; export the network for inference"
        if self.kinds == ["Div"] and self.inputs[0].dtype.kind in "iu":
            return "quotients of integers are not supported"
        for kind in ("ConvInteger", "QLinearConv", "DeformConv"):
            if kind in self.kinds:
                return f"({kind}): nodes of this kind are not supported"
        return ""


def _made() -> list[Case]:
    """Collect the cases that are made by Python modules."""
    node = import_module("onnx.backend.test.case.node")
    pooling = import_module("onnx.reference.ops.op_pool_common")

    def pool(padded: Any, x_shape: Any, kernel: Any, strides: Any, out_shape: Any, *others: Any, **more: Any) -> Any:
        if len(x_shape) > 4:  # the results of volumes are not needed, and take four fifths of the time of collection
            return np.zeros((*x_shape[:2], *out_shape), padded.dtype)
        return pool_pictures(padded, x_shape, kernel, strides, out_shape, *others, **more)

    pool_pictures = pooling.pool
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pooling, "pool", pool)
        for path in sorted(Path(node.__file__).parent.glob("*.py")):  # some have other names in other versions
            if any(f"class {operator}(" in path.read_text() for operator in OPERATORS):
                import_module(f"{node.__name__}.{path.stem}")
    found = {}
    for case in node._NodeTestCases:
        nodes = case.model.graph.node
        if case.name in EXPANDED or (len(nodes) == 1 and nodes[0].op_type in OPERATORS):
            found[case.name] = Case(case.name, case.model, case.data_sets[0], case.rtol, case.atol)
    return list(found.values())


def _stored() -> list[Case]:
    """Collect the cases that the package holds as files."""
    data = Path(onnx.__file__).parent / "backend" / "test" / "data"
    found = []
    for folder in FOLDERS:
        for path in sorted((data / folder).iterdir()):
            name = path.name.removeprefix("test_")
            if name.startswith(CONVERTED) or name == "operator_symbolic_override":
                model = onnx.load(path / "model.onnx")
                found.append(Case(path.name, model, _tensors(path / "test_data_set_0"), 1e-3, 1e-7))
    return found


def _tensors(path: Path) -> tuple[list[Any], list[Any]]:
    """Read the tensors of a data set."""
    read: list[list[Any]] = [[], []]
    for place, kind in enumerate(("input", "output")):
        for number in range(len(list(path.glob(f"{kind}_*.pb")))):
            tensor = onnx.TensorProto()
            tensor.ParseFromString((path / f"{kind}_{number}.pb").read_bytes())
            read[place].append(numpy_helper.to_array(tensor).copy())
    return read[0], read[1]


ALL = [*_made(), *_stored()]
CASES = [case for case in ALL if not case.is_volume]


def as_network(case: Case) -> Any:
    """Return a model whose inputs but the first are constants: the weights, as files of networks have them."""
    made = onnx.ModelProto()
    made.CopyFrom(case.model)
    names = [each.name for each in made.graph.input if each.name not in {i.name for i in made.graph.initializer}]
    for name, value in zip(names[1:], case.inputs[1:], strict=False):
        real = value.astype(np.float32) if value.dtype.kind == "V" else value
        made.graph.initializer.append(numpy_helper.from_array(real, name))
    return made


def as_branches(case: Case, axis: int) -> Any:
    """Return a model whose inputs are channels of a picture, which convolutions of one pixel tell apart.

    ``axis`` is what a Concat puts together: the channels.
    """
    made = onnx.ModelProto()
    made.CopyFrom(case.model)
    graph = made.graph
    (node,) = graph.node
    sizes = [each.shape[axis] if node.op_type == "Concat" else 1 for each in case.inputs]
    ends = np.cumsum(sizes)
    chosen = np.eye(ends[-1], dtype=np.float32)[:, :, np.newaxis, np.newaxis]
    parts = []
    for name, end, size in zip(node.input, ends, sizes, strict=True):
        graph.initializer.append(numpy_helper.from_array(chosen[end - size : end], f"{name}, weight"))
        parts.append(helper.make_node("Conv", ["picture", f"{name}, weight"], [name]))
    for each in node.attribute:
        if each.name == "axis":
            each.i = 1
    nodes = [*parts, node]
    del graph.node[:], graph.input[:]
    graph.node.extend(nodes)
    shape = ["n", int(ends[-1]), "h", "w"]
    kind = helper.np_dtype_to_tensor_dtype(case.inputs[0].dtype)
    graph.input.append(helper.make_tensor_value_info("picture", kind, shape))
    return made


def as_channels(case: Case) -> tuple[Any, int]:
    """Return a model whose axis is that of channels, and the axis that it was."""
    made = onnx.ModelProto()
    made.CopyFrom(case.model)
    (node,) = (each for each in made.graph.node if each.op_type in OF_CHANNELS)
    version = made.opset_import[0].version
    default = 0 if node.op_type == "Split" else 1 if version < 13 else -1
    axis = next((each.i for each in node.attribute if each.name == "axis"), default)
    rest = [each for each in node.attribute if each.name != "axis"]
    del node.attribute[:], made.graph.input[:]
    node.attribute.extend([*rest, helper.make_attribute("axis", 1)])
    name = case.model.graph.input[0].name
    shape = ["n", case.inputs[0].shape[axis], "h", "w"]
    made.graph.input.append(helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape))
    if node.op_type != "Split":
        assert version >= 13 or axis in (-1, case.inputs[0].ndim - 1)  # the axis and all after it
        made.opset_import[0].version = max(version, 13)
    return made, axis


def result_of(case: Case, path: Path, output: int) -> np.ndarray:
    """Run the case as a network on pictures, and return the tensor that they make."""
    tensor, shape = case.inputs[0], case.outputs[output].shape
    spec = f"net:{path},until={case.model.graph.output[output].name}"

    def run(picture: np.ndarray) -> np.ndarray:
        is_stored = case.kinds == ["MaxPool"] and picture.dtype == np.uint8
        kept = is_stored or picture.dtype == np.float64
        pixels = picture if kept else picture.astype(np.float32)
        return np.atleast_3d(convfilter.apply(np.ascontiguousarray(pixels), spec))

    if set(case.kinds) & set(OF_CHANNELS):
        model, axis = as_channels(case)
        onnx.save(model, path)
        moved = np.moveaxis(tensor, axis, -1)
        got = run(moved.reshape(1, -1, moved.shape[-1]))
        return np.moveaxis(got.reshape(*moved.shape[:-1], -1), -1, axis)
    if case.kinds[0] in OF_BRANCHES and len({each.shape for each in case.inputs}) == 1:
        axis = next((each.i for each in case.model.graph.node[0].attribute), 0)
        onnx.save(as_branches(case, axis), path)
        if case.kinds == ["Concat"]:
            moved = [np.moveaxis(each, axis, -1) for each in case.inputs]
            got = run(np.concatenate([each.reshape(1, -1, each.shape[-1]) for each in moved], axis=2))
            return np.moveaxis(got.reshape(*moved[0].shape[:-1], -1), -1, axis)
        return run(np.stack(case.inputs, axis=-1).reshape(1, -1, len(case.inputs))).reshape(shape)
    if case.kinds[0] in OF_BRANCHES:  # with a constant: of two axes, rows and columns; of three, channels first
        onnx.save(as_network(case), path)
        whole = tensor.reshape(-1, *tensor.shape[-2:])
        return run(whole.transpose(1, 2, 0)).transpose(2, 0, 1).reshape(shape)
    if case.kinds == ["MeanVarianceNormalization"]:  # over all pictures: one below the other
        onnx.save(as_network(case), path)
        got = run(tensor.transpose(0, 2, 3, 1).reshape(-1, tensor.shape[3], tensor.shape[1]))
        return got.reshape(*np.array(shape)[[0, 2, 3, 1]]).transpose(0, 3, 1, 2)
    if case.kinds == ["PRelu"] and tensor.ndim < 4 and len(case.inputs) > 1:  # a slope for each: as many channels
        case.inputs[1] = np.broadcast_to(case.inputs[1], tensor.shape).reshape(-1, 1)
        onnx.save(as_network(case), path)
        return run(tensor.reshape(1, 1, -1)).reshape(shape)
    onnx.save(as_network(case), path)
    if tensor.ndim == 4:
        return np.stack([run(each.transpose(1, 2, 0)).transpose(2, 0, 1) for each in tensor]).reshape(shape)
    if tensor.ndim == 3:  # signals: pictures of one row, or, where an axis is put in, of one column
        turn = (2, 0, 1) if case.kinds[0] == "Unsqueeze" else (0, 2, 1)
        back = np.stack([run(np.expand_dims(each, 0).transpose(turn)) for each in tensor])
        return (back[:, :, 0] if turn[0] else back[:, 0]).transpose(0, 2, 1).reshape(shape)
    return run(tensor.reshape(1, -1, 1)).reshape(shape)


@pytest.mark.parametrize("case", [pytest.param(case, id=case.name) for case in CASES if not case.refused])
def test_a_node_gives_what_its_test_says(case: Case, tmp_path: Path) -> None:
    for number, expected in enumerate(case.outputs):
        got = result_of(case, tmp_path / "node.onnx", number)
        assert (got.dtype == np.uint8) == (case.inputs[0].dtype == np.uint8 and case.kinds == ["MaxPool"])
        is_half = expected.dtype == np.float16 or expected.dtype.kind == "V"
        real = expected.astype(np.float64) if expected.dtype.kind != "V" else expected.astype(np.float32)
        rounding = 2.0**-7 if is_half else 0
        np.testing.assert_allclose(
            got.astype(np.float64), real, rtol=max(case.rtol, rounding), atol=max(case.atol, 3e-7)
        )


@pytest.mark.parametrize("case", [pytest.param(case, id=case.name) for case in CASES if case.refused])
def test_a_node_that_is_no_filter_is_named(case: Case, tmp_path: Path) -> None:
    with pytest.raises(KernelFileError) as caught:
        result_of(case, tmp_path / "node.onnx", 0)
    assert case.refused in str(caught.value)
    assert f"node {case.model.graph.output[0].name!r}" in str(caught.value)


def test_the_documentation_counts_the_tests_of_onnx() -> None:
    if not onnx.__version__.startswith("1.23."):
        pytest.skip("other versions have other cases")
    refused, volumes = (sum(kinds) for kinds in zip(*((bool(c.refused), c.is_volume) for c in ALL), strict=True))
    equal = len(CASES) - sum(bool(case.refused) for case in CASES)
    page = (Path(__file__).parent.parent / "docs" / "networks.md").read_text()
    said = f"{equal} of {len(ALL)} are equal, {volumes} are volumes, and {len(ALL) - equal - volumes} are refused"
    assert refused >= len(ALL) - equal - volumes
    assert said in " ".join(page.split())
