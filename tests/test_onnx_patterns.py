"""Groups of ONNX nodes as exporters write them, and nodes that rearrange pixels and channels.

The expected values are those of ``onnx.reference``, which computes node by node.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import convfilter
from convfilter.errors import KernelFileError

onnx = pytest.importorskip("onnx")
helper, numpy_helper = onnx.helper, onnx.numpy_helper
ReferenceEvaluator = pytest.importorskip("onnx.reference").ReferenceEvaluator

RNG = np.random.default_rng(5)
ROWS, COLS, CHANNELS = 12, 10, 8
IMAGE = RNG.random((ROWS, COLS, CHANNELS)).astype(np.float32) - np.float32(0.5)
NUMBERS = {
    "root": np.float32(np.sqrt(2)), "reciprocal": np.float32(np.sqrt(0.5)), "half": np.float32(0.5),
    "one": np.float32(1), "two": np.float32(2), "k": np.float32(1.5), "beta": np.float32(0.6), "tiny": np.float32(1e-3),
    "scale": RNG.random(CHANNELS).astype(np.float32) + np.float32(0.5),
    "bias": RNG.random(CHANNELS).astype(np.float32),
    "matrix": RNG.normal(size=(CHANNELS, 6)).astype(np.float32),
    "square": RNG.normal(size=(CHANNELS, CHANNELS)).astype(np.float32),
    "volume": np.int64([1, 1, CHANNELS, ROWS, -1]), "picture_again": np.int64([1, CHANNELS, ROWS, COLS]),
    "pads": np.int64([0, 0, 1, 0, 0, 0, 0, 1, 0, 0]), "depth": np.int64([1]),
    "groups": np.int64([1, 2, 4, ROWS, COLS]), "pixel": np.int64([1, CHANNELS, 1, 1]),
    "scales": np.float32([1, 1, 2, 3]), "along": np.float32([1, 1, 1, 4]), "hundred": np.float32([1, 1, 100, 1]),
    "sizes": np.int64([1, CHANNELS, 3 * ROWS, 2 * COLS]), "three": np.float32(3),
    "wider": np.int64([1, CHANNELS, 7, 7]),
    "last_axis": np.int64([-1]), "channel_axis": np.int64([1]), "pixel_axes": np.int64([2, 3]),
    "0": np.int64([0]), "1": np.int64([1]), "2": np.int64([2]), "3": np.int64([3]), "-1": np.int64([-1]),
    "-2": np.int64([-2]), "8": np.int64([8]), "most": np.int64([2**63 - 1]), "far": np.int64([5000]),
    "1 2": np.int64([1, 2]), "2 3": np.int64([2, 3]), "-3 most": np.int64([-3, 2**63 - 1]), "2 1": np.int64([2, 1]),
    "three axes": np.int64([1, 2, 3]), "0 1 0": np.int64([0, 1, 0]), "3 most -1": np.int64([3, 2**63 - 1, -1]),
}  # fmt: skip
Nodes = list[tuple[str, str, str]] | list[tuple[str, str, str, dict[str, Any]]] | list[Any]

ERF: Nodes = [("Erf", "d", "e"), ("Add", "e one", "f")]
TO_LAST: Nodes = [("Transpose", "x", "t", {"perm": [0, 2, 3, 1]})]
TO_FIRST: Nodes = [("Transpose", "m", "y", {"perm": [0, 3, 1, 2]})]
SQUARES: Nodes = [("Mul", "x x", "s"), ("Reshape", "s volume", "v"), ("Pad", "v pads", "p")]
MEANS: Nodes = [("AveragePool", "p", "a", {"kernel_shape": [3, 1, 1]})]
QUOTIENT: Nodes = [("Mul", "b tiny", "c"), ("Add", "k c", "d"), ("Pow", "d beta", "e"), ("Div", "x e", "y")]
ROWS_AROUND: Nodes = [("Slice", "x -2 most 2", "before"), ("Slice", "x 0 1 2", "after")]
COLUMNS_BEFORE: Nodes = [("Slice", "r -1 most 3", "before2")]


def centred(axes: str, source: str) -> Nodes:
    return [
        ("ReduceMean", f"{source} {axes}", "mean"), ("Sub", f"{source} mean", "c"), ("Pow", "c two", "s"),
        ("ReduceMean", f"s {axes}", "v"), ("Add", "v tiny", "w"), ("Sqrt", "w", "r"), ("Div", "c r", "n"),
    ]  # fmt: skip


GROUPS: dict[str, Nodes] = {
    "gelu of PyTorch's older exporter": [
        ("Div", "x root", "d"), *ERF, ("Mul", "x f", "g"), ("Mul", "g half", "y")],
    "gelu of PyTorch's newer exporter": [
        ("Div", "x root", "d"), *ERF, ("Mul", "half f", "g"), ("Mul", "x g", "y")],
    "gelu of a product": [
        ("Mul", "x scale4", "z"), ("Mul", "z reciprocal", "d"), *ERF, ("Mul", "half z", "g"), ("Mul", "f g", "y")],
    "layer normalisation of channels at the end": [
        *TO_LAST, ("LayerNormalization", "t scale bias", "m", {"axis": -1, "epsilon": 1e-3}), *TO_FIRST],
    "layer normalisation without bias": [*TO_LAST, ("LayerNormalization", "t scale", "m"), *TO_FIRST],
    "layer normalisation in parts, channels at the end": [
        *TO_LAST, *centred("last_axis", "t"), ("Mul", "n scale", "o"), ("Add", "o bias", "m"), *TO_FIRST],
    "layer normalisation in parts": [*centred("channel_axis", "x"), ("Relu", "n", "y")],
    "a block of ConvNeXt": [
        *TO_LAST, ("LayerNormalization", "t scale bias", "l", {"axis": 3}), ("MatMul", "l square", "o"),
        ("Add", "bias o", "d0"), ("Div", "d0 root", "d"), *ERF, ("Mul", "d0 f", "g"), ("Mul", "g half", "h"),
        ("MatMul", "h matrix", "m"), *TO_FIRST],
    "local response of PyTorch's newer exporter": [
        *SQUARES, *MEANS, ("Squeeze", "a depth", "b"), *QUOTIENT],
    "local response, reshaped": [*SQUARES, *MEANS, ("Reshape", "a picture_again", "b"), *QUOTIENT],
    "circular padding": [
        *ROWS_AROUND, ("Concat", "before x after", "r", {"axis": 2}),
        *COLUMNS_BEFORE, ("Concat", "before2 r", "y", {"axis": 3})],
    "channel shuffle": [
        ("Reshape", "x groups", "g"), ("Transpose", "g", "t", {"perm": [0, 2, 1, 3, 4]}),
        ("Reshape", "t picture_again", "y")],
    "halves of channels": [
        ("Shape", "x", "shape"), ("Gather", "shape channel_axis", "n"), ("Add", "n 1", "m"), ("Div", "m 2", "d"),
        ("Mul", "d 1", "f"), ("Slice", "x f most channel_axis", "y")],
    "excitation": [
        ("ReduceMean", "x pixel_axes", "v", {"keepdims": 0}), ("Sigmoid", "v", "s"), ("Reshape", "s pixel", "p"),
        ("Mul", "x p", "y")],
    "excitation, unsqueezed": [
        ("ReduceMean", "x pixel_axes", "v", {"keepdims": 0}), ("Unsqueeze", "v pixel_axes", "p"), ("Mul", "x p", "y")],
    "excitation, expanded": [
        ("GlobalAveragePool", "x", "p"), ("Sigmoid", "p", "s"), ("Expand", "s picture_again", "e"),
        ("Mul", "x e", "y")],
    "a square": [("Pow", "x two", "y")],
    "linear interpolation": [("Resize", "x '' scales", "y", {"mode": "linear"})],
    "linear interpolation to a size": [("Resize", "x '' '' sizes", "y", {"mode": "linear"})],
    "linear interpolation, corners aligned at 0": [
        ("Resize", "x '' scales", "y", {"mode": "linear", "coordinate_transformation_mode": "asymmetric"})],
    "linear interpolation of one axis": [
        ("Resize", "x '' along", "y", {"mode": "linear", "coordinate_transformation_mode": "pytorch_half_pixel"})],
    "repetition to a size": [
        ("Resize", "x '' '' sizes", "y", {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"})],
    "mean of channels": [("ReduceMean", "x channel_axis", "v"), ("Sigmoid", "v", "s"), ("Mul", "x s", "y")],
    "depth to space": [("DepthToSpace", "x", "y", {"blocksize": 2})],
    "depth to space, channels outside": [("DepthToSpace", "x", "y", {"blocksize": 2, "mode": "CRD"})],
    "space to depth": [("SpaceToDepth", "x", "y", {"blocksize": 2})],
    "every second row": [("Slice", "x 1 most 2 2", "y")],
    "rows and columns inside": [("Slice", "x '1 2' '-3 most' '2 3' '2 1'", "y")],
    "channels, rows and columns": [("Slice", "x '0 1 0' '3 most -1' 'three axes'", "y")],
    "YOLO's focus": [
        ("Slice", "x 0 most 2 2", "a"), ("Slice", "a 0 most 3 2", "b"), ("Slice", "a 1 most 3 2", "c"),
        ("Concat", "b c", "y", {"axis": 1})],
}  # fmt: skip


def saved(path: Path, nodes: Nodes) -> str:
    import shlex

    made = [
        helper.make_node(kind, shlex.split(inputs), [output], f"{kind} {output}", **(more[0] if more else {}))
        for kind, inputs, output, *more in nodes
    ]
    constants = [numpy_helper.from_array(each, name) for name, each in NUMBERS.items()]
    constants.append(numpy_helper.from_array(NUMBERS["scale"].reshape(1, -1, 1, 1), "scale4"))
    ends = (
        [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [1, CHANNELS, ROWS, COLS])],
        [helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, None)],
    )
    model = helper.make_model(
        helper.make_graph(made, "net", *ends, constants), opset_imports=[helper.make_opsetid("", 18)], ir_version=9
    )
    onnx.save(model, path)
    return str(path)


@pytest.mark.parametrize("name", GROUPS)
def test_groups_of_nodes(name: str, tmp_path: Path) -> None:
    path = saved(tmp_path / "net.onnx", GROUPS[name])
    (expected,) = ReferenceEvaluator(path).run(None, {"x": IMAGE.transpose(2, 0, 1)[np.newaxis]})
    got = convfilter.apply(IMAGE, f"net:{path}")
    np.testing.assert_allclose(got, expected[0].transpose(1, 2, 0), atol=2e-6, rtol=2e-6)


@pytest.mark.parametrize(
    ("nodes", "message"),
    [
        ([("Div", "x half", "d"), *ERF, ("Mul", "x f", "g"), ("Mul", "g half", "y")], r"\(Erf\): nodes of this kind"),
        ([("Div", "x root", "d"), *ERF, ("Mul", "x f", "g"), ("Mul", "g k", "y")], r"\(Erf\): nodes of this kind"),
        ([("LayerNormalization", "x scale", "y", {"axis": 1})], "only the last axis of .N, H, W, C. can be normalised"),
        ([*TO_LAST, ("LayerNormalization", "t bias two", "m"), *TO_FIRST], "scale and bias must be 8 numbers"),
        ([*TO_LAST, ("LayerNormalization", "t scale", "m", {"axis": 1}), *TO_FIRST], "can be normalised, got axis 1"),
        ([("MatMul", "x matrix", "y")], "only the last axis of"),
        ([("DepthToSpace", "x", "y", {"blocksize": 3})], "8 channels do not divide into blocks of 3x3"),
        ([("DepthToSpace", "x", "y", {"blocksize": 0})], "blocksize must be from 1 to 64, got 0"),
        ([("SpaceToDepth", "x", "y", {"blocksize": 65})], "blocksize must be from 1 to 64, got 65"),
        ([("Slice", "x far most 2", "y")], "a slice may leave out 4096 rows, got 5000"),
        ([*ROWS_AROUND, ("Concat", "after x before", "y", {"axis": 2})], r"\(Slice\): rows and columns can be sliced"),
        (
            [("MaxPool", "x", "y", {"kernel_shape": [3, 2**40]})],
            "kernel_shape must be at most 65535, got 1099511627776",
        ),
        (
            [("MaxPool", "x", "y", {"kernel_shape": [3, 3], "pads": [0, 2**40, 0, 0]})],
            "pads must be at most 65535, got 1099511627776",
        ),
        ([("Pow", "x three", "y")], "only even powers are supported, got .3.0."),
        ([("Resize", "x '' hundred", "y")], "by factors up to 64, got 100 and 1"),
        (
            [("Resize", "x '' scales", "y", {"mode": "linear", "coordinate_transformation_mode": "align_corners"})],
            "without aligned corners, is supported, got linear by 2 and 3",
        ),
        ([("Expand", "x picture_again", "y")], "only a pixel can be expanded"),
        ([("GlobalMaxPool", "x", "p"), ("Expand", "p picture_again", "y")], "only a pixel can be expanded"),
        (
            [("GlobalMaxPool", "x", "p"), ("Expand", "p wider", "e"), ("Mul", "x e", "y")],
            r"\(Mul\): only a pixel can be expanded",
        ),
        ([("ReduceMean", "x 2", "y")], "means must be over all pixels of each channel or over all channels of each"),
    ],
)
def test_groups_that_differ_are_refused(nodes: Nodes, message: str, tmp_path: Path) -> None:
    path = saved(tmp_path / "net.onnx", nodes)
    with pytest.raises(KernelFileError, match=message):
        convfilter.apply(IMAGE, f"net:{path}")


def test_space_to_depth_channel_by_channel(tmp_path: Path) -> None:
    """As version 28 of ONNX's operators has it; the inverse of a DepthToSpace with that order."""
    nodes: Nodes = [
        ("SpaceToDepth", "x", "s", {"blocksize": 2, "mode": "CRD"}),
        ("DepthToSpace", "s", "y", {"blocksize": 2, "mode": "CRD"}),
    ]
    path = saved(tmp_path / "net.onnx", nodes)
    np.testing.assert_array_equal(convfilter.apply(IMAGE, f"net:{path}"), IMAGE)
    blocks = convfilter.apply(IMAGE, f"net:{path},until=s")
    np.testing.assert_array_equal(blocks[0, 0], IMAGE[:2, :2].transpose(2, 0, 1).reshape(-1))


def test_squares_of_squares_are_read_at_once(tmp_path: Path) -> None:
    squares: Nodes = [("Mul", f"{n - 1} {n - 1}", str(n)) for n in range(101, 164)]
    nodes = [("Mul", "x x", "100"), *squares, ("Relu", "101", "y")]
    path = saved(tmp_path / "net.onnx", nodes)
    np.testing.assert_allclose(convfilter.apply(IMAGE, f"net:{path}"), IMAGE**4, rtol=1e-5, atol=1e-7)


def test_integers_are_divided_as_onnx_does(tmp_path: Path) -> None:
    """The end of the slice is -1 / 2 = 0 in ONNX, not -1; so no channel is left."""
    nodes: Nodes = [("Div", "-1 2", "end"), ("Slice", "x 0 end 1", "y")]
    path = saved(tmp_path / "net.onnx", nodes)
    with pytest.raises(KernelFileError, match="it leaves none of 8 channels"):
        convfilter.apply(IMAGE, f"net:{path}")
