"""Networks and single layers from ONNX files: results and refusals."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import convfilter
from convfilter.cli.root import run
from convfilter.errors import KernelFileError, ParameterError, SizeError, UsageError
from convfilter.filters import stack

onnx = pytest.importorskip("onnx")
helper, numpy_helper = onnx.helper, onnx.numpy_helper
ReferenceEvaluator = pytest.importorskip("onnx.reference").ReferenceEvaluator

RNG = np.random.default_rng(11)
IMAGE = RNG.random((21, 18, 3)).astype(np.float32)


def tensor(name: str, *shape: int) -> Any:
    return numpy_helper.from_array((RNG.normal(size=shape) / np.sqrt(np.prod(shape[1:]) or 1)).astype(np.float32), name)


def positive(name: str, *shape: int) -> Any:
    return numpy_helper.from_array((RNG.random(shape) + 0.5).astype(np.float32), name)


def saved(path: Path, nodes: list[Any], weights: list[Any], output: str, **graph: Any) -> str:
    ends = (
        [helper.make_tensor_value_info("picture", onnx.TensorProto.FLOAT, ["n", 3, "h", "w"])],
        [helper.make_tensor_value_info(output, onnx.TensorProto.FLOAT, None)],
    )
    made = helper.make_graph(nodes, "net", *ends, weights, **graph)
    onnx.save(helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)
    return str(path)


@pytest.fixture
def model(tmp_path: Path) -> str:
    """A small network: two blocks, a transposed convolution, and a classifier that is no filter."""
    node = helper.make_node
    nodes = [
        node("Conv", ["picture", "w1", "b1"], ["c1"], "conv1", pads=[1, 0, 2, 1], strides=[2, 1]),
        node("BatchNormalization", ["c1", "g", "beta", "mean", "var"], ["n1"], "bn1", epsilon=1e-3),
        node("Relu", ["n1"], ["r1"], "relu1"),
        node("MaxPool", ["r1"], ["p1"], "pool1", kernel_shape=[3, 2], strides=[2, 2], ceil_mode=1),
        node("Conv", ["p1", "w2"], ["c2"], "conv2", group=2, dilations=[2, 2], pads=[2, 2, 2, 2]),
        node("PRelu", ["c2", "slope"], ["r2"], "prelu2"),
        node("Sigmoid", ["r2"], ["s2"], "sigmoid2"),
        node("Mul", ["r2", "s2"], ["m2"], "silu2"),
        node(
            "ConvTranspose", ["m2", "w3", "b3"], ["u3"], "up3", strides=[2, 2], output_padding=[1, 0], pads=[1, 1, 0, 1]
        ),
        node("HardSwish", ["u3"], ["h3"], "hardswish3"),
        node("Flatten", ["h3"], ["flat"], "flatten4"),
        node("Softmax", ["flat"], ["scores"], "softmax5"),
    ]
    weights = [
        tensor("w1", 6, 3, 3, 2), tensor("b1", 6), positive("g", 6), tensor("beta", 6), tensor("mean", 6),
        positive("var", 6), tensor("w2", 4, 3, 3, 3), positive("slope", 4, 1, 1), tensor("w3", 4, 5, 4, 3),
        tensor("b3", 5),
    ]  # fmt: skip
    return saved(tmp_path / "model.onnx", nodes, weights, "scores")


OUTPUTS = {
    "conv1": "c1", "bn1": "n1", "relu1": "r1", "pool1": "p1", "conv2": "c2", "prelu2": "r2", "silu2": "m2",
    "up3": "u3", "hardswish3": "h3",
}  # fmt: skip


@pytest.mark.peer("onnxruntime")
@pytest.mark.parametrize("until", OUTPUTS)
def test_onnxruntime_gives_the_same(model: str, until: str) -> None:
    runtime = pytest.importorskip("onnxruntime")
    made = onnx.load(model)
    made.graph.output.append(helper.make_tensor_value_info(OUTPUTS[until], onnx.TensorProto.FLOAT, None))
    session = runtime.InferenceSession(made.SerializeToString(), providers=["CPUExecutionProvider"])
    (theirs,) = session.run([OUTPUTS[until]], {"picture": IMAGE.transpose(2, 0, 1)[np.newaxis]})
    for name in (until, OUTPUTS[until]):
        got = convfilter.apply(IMAGE, f"net:{model},until={name}")
        np.testing.assert_allclose(got, theirs[0].transpose(1, 2, 0), atol=1e-5)


def test_preprocessing_of_a_network_appears_in_the_spec(model: str) -> None:
    mean, std = np.array([10, 20, 30.0]), np.array([40, 50, 60.0])
    prepared = ((IMAGE[..., ::-1] * 255 - mean) / std).astype(np.float32)
    expected = convfilter.apply(prepared, f"net:{model},until=relu1")
    spec = f"net:{model},until=relu1,white=255,mean=10,20,30,std=40,50,60,order=bgr"
    np.testing.assert_allclose(convfilter.apply(IMAGE, spec), expected, atol=1e-5)
    half = convfilter.apply(IMAGE, f"net:{model},until=relu1,mean=0.5")
    np.testing.assert_allclose(half, convfilter.apply(IMAGE - np.float32(0.5), f"net:{model},until=relu1"), atol=1e-5)
    with pytest.raises(KernelFileError, match="mean must be 1 or 3 numbers, as the network has channels, got 2"):
        convfilter.apply(IMAGE, f"net:{model},until=relu1,mean=1,2")
    with pytest.raises(KernelFileError, match="std must not be 0"):
        convfilter.apply(IMAGE, f"net:{model},until=relu1,std=0")


def test_layers_take_in_what_follows_them(model: str) -> None:
    stages = stack.stages([f"net:{model},until=prelu2"])
    assert [stage.name for stage in stages] == ["conv1+bn1+relu1", "pool1", "conv2+prelu2"]


def test_one_layer_of_a_network(model: str) -> None:
    whole = convfilter.apply(IMAGE, f"net:{model},until=conv1")
    for name in ("conv1", "c1", "w1"):
        np.testing.assert_array_equal(convfilter.apply(IMAGE, f"layer:{model}#{name}"), whole)
    changed = convfilter.apply(IMAGE, f"layer:{model}#conv1,stride=1,activation=relu")
    assert changed.shape[:2] == (22, 18)
    assert changed.min() == 0
    maps = RNG.random((5, 6, 4)).astype(np.float32)
    assert convfilter.apply(maps, f"convtranspose:{model}#up3").shape == (12, 11, 5)
    assert stack.paths_of([f"layer:{model}#conv1", f"net:{model}"]) == [model]


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("net:{}", "node 'flatten4' (Flatten): the size of its map is unknown; export the network with the height"),
        ("net:{}", "until=hardswish3 ends the network before it"),
        ("net:{},until=relu9", "no node is called 'relu9'; the network's are conv1, bn1, relu1, pool1, conv2, prelu2,"),
        ("layer:{}", "an ONNX file holds a network; name one of its convolutions, as in model.onnx#conv1"),
        ("layer:{}#relu1", "no convolution is called 'relu1'; the network's are conv1, conv2, up3"),
        ("layer:{}#up3", "'up3' is a transposed convolution; read it with convtranspose:"),
    ],
)
def test_layers_that_are_missing_or_unsupported_are_named(model: str, spec: str, message: str) -> None:
    with pytest.raises(KernelFileError) as caught:
        convfilter.apply(IMAGE, spec.format(model))
    assert message in str(caught.value)
    assert str(caught.value).startswith(model)


def _of(kind: str, *inputs: str, **attributes: Any) -> Any:
    return helper.make_node(kind, ["picture", *inputs], ["y"], "node", **attributes)


WRONG = {
    "cycle": (
        [helper.make_node("Add", ["picture", "b"], ["a"], "add"), helper.make_node("Relu", ["a"], ["b"], "relu")],
        [], "node 'add' (Add) needs 'b', which is computed after it: the graph has a cycle",
    ),
    "undefined": ([_of("Add", "z")], [], "needs 'z', which is neither an input of the network nor"),
    "unfolded": (
        [helper.make_node("Sqrt", ["g"], ["s"], "root"), _of("Mul", "s")], [positive("g", 3, 1, 1)],
        "needs 's', which is computed from constants (Sqrt); fold constants",
    ),
    "unknown": ([_of("Frob")], [], "node 'node' (Frob): nodes of this kind are not supported"),
    "transpose": ([_of("Transpose", perm=[0, 3, 2, 1])], [], "only transposes between (N, H, W, C) and (N, C, H, W)"),
    "computed weight": (
        [helper.make_node("Relu", ["picture"], ["w"], "relu"), _of("Conv", "w")], [],
        "(Conv): only its first input may come from the picture; the others must be constants; until=relu ends",
    ),
    "statistics": (
        [_of("BatchNormalization", "g", "g", "g", "v")], [positive("g", 3), positive("v", 5)],
        "scale, bias, mean and variance must be of one size, got [3, 5]",
    ),
    "variance": (
        [_of("BatchNormalization", "g", "g", "g", "v")],
        [positive("g", 3), numpy_helper.from_array(np.float32([1, -1, 1]), "v")],
        "its variance must not be negative, got -1",
    ),
    "NaN": (
        [_of("BatchNormalization", "g", "g", "v", "g")],
        [positive("g", 3), numpy_helper.from_array(np.float32([1, np.nan, 1]), "v")],
        "its mean must be finite numbers, one for each channel",
    ),
    "fused": (
        [helper.make_node("Conv", ["picture", "w"], ["c"], "conv"),
         helper.make_node("BatchNormalization", ["c", "g", "g", "g", "g"], ["y"], "norm")],
        [tensor("w", 2, 3, 3, 3), positive("g", 5)],
        "node 'norm' (BatchNormalization): it has 5 numbers for 2 channels",
    ),
    "axes": ([_of("Conv", "w")], [tensor("w", 2, 3, 3)], "its weight must have 4 axes, as the network's input"),
    "no window": ([_of("MaxPool")], [], "node 'node' (MaxPool): its kernel_shape is missing"),
    "auto_pad": (
        [_of("MaxPool", kernel_shape=[2, 2], auto_pad="FOO")], [],
        "node 'node' (MaxPool): its auto_pad must be one of NOTSET, SAME_UPPER, SAME_LOWER, VALID, got 'FOO'",
    ),
    "mode": ([_of("Pad", mode="banana")], [], "its mode must be one of constant, reflect, edge, wrap, got 'banana'"),
    "volume": ([_of("MaxPool", kernel_shape=[2, 2, 2])], [], "pictures have two axes, got kernel_shape of 3"),
    "channels": ([_of("Concat", "k", axis=2)], [positive("k", 3, 1, 1)], "channels can be concatenated, got axis 2"),
}  # fmt: skip


@pytest.mark.parametrize("what", WRONG)
@pytest.mark.filterwarnings("error")
def test_a_wrong_graph_is_refused_in_a_line(what: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    nodes, weights, message = WRONG[what]
    path = saved(tmp_path / "wrong.onnx", nodes, weights, nodes[-1].output[0])
    convfilter.write(str(tmp_path / "in.png"), np.zeros((9, 9, 3), np.uint8))
    assert run(["apply", "-f", f"net:{path}", str(tmp_path / "in.png"), str(tmp_path / "out.npy")]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line
    assert line.startswith(f"convfilter: {path}: ")


def test_models_that_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "text.onnx").write_text("no model")
    with pytest.raises(KernelFileError, match="this is not a usable ONNX model"):
        convfilter.apply(IMAGE, f"net:{tmp_path / 'text.onnx'}")
    (tmp_path / "empty.onnx").write_bytes(b"")
    with pytest.raises(KernelFileError, match="this is not a usable ONNX model: it has no nodes"):
        convfilter.apply(IMAGE, f"net:{tmp_path / 'empty.onnx'}")
    with pytest.raises(KernelFileError, match=r"model\.onnx,until=conv1 ends the network at a node"):
        convfilter.apply(IMAGE, "net:model.onnx#conv1")
    with pytest.raises(KernelFileError, match="cannot be read: no such file"):
        convfilter.apply(IMAGE, f"net:{tmp_path / 'none.onnx'}")
    node = helper.make_node("Conv", ["picture", "w"], ["c"], "conv")
    path = saved(tmp_path / "external.onnx", [node], [tensor("w", 8, 3, 9, 9)], "c")
    onnx.save(onnx.load(path), path, save_as_external_data=True, location="weights.bin", size_threshold=0)
    with pytest.raises(KernelFileError, match="the weights of 'w' lie in another file; put all into one"):
        convfilter.apply(IMAGE, f"net:{path}")
    monkeypatch.setattr("convfilter.filters.onnx_file.MOST_BYTES", 10)
    with pytest.raises(KernelFileError, match="a model may take"):
        convfilter.apply(IMAGE, f"net:{path}")
    monkeypatch.setitem(__import__("sys").modules, "onnx", None)
    with pytest.raises(UsageError, match=r"pip install 'convfilter\[onnx\]'"):
        convfilter.apply(IMAGE, f"net:{path}")


@pytest.fixture
def branched(tmp_path: Path) -> str:
    """Branches: a residual sum, a sum of two strided branches, a gate of one pixel, a concatenation of channels."""
    node = helper.make_node
    nodes = [
        node("Conv", ["picture", "w1"], ["c1"], "conv1", pads=[1, 1, 1, 1]),
        node("Relu", ["c1"], ["r1"], "relu1"),
        node("Conv", ["r1", "w2"], ["c2"], "conv2", pads=[2, 2, 2, 2]),
        node("Add", ["c2", "r1"], ["a2"], "add2"),
        node("Conv", ["a2", "w3"], ["c3"], "conv3", pads=[1, 1, 1, 1], strides=[2, 2]),
        node("Sigmoid", ["c3"], ["s3"], "sigmoid3"),
        node("MaxPool", ["a2"], ["p3"], "pool3", kernel_shape=[2, 2], strides=[2, 2], ceil_mode=1),
        node("Add", ["s3", "p3"], ["a3"], "add3"),
        node("ReduceMean", ["a3"], ["g4"], "squeeze4", axes=[2, 3]),
        node("Conv", ["g4", "w4"], ["e4"], "excite4"),
        node("HardSigmoid", ["e4"], ["h4"], "gate4"),
        node("Mul", ["a3", "h4"], ["m4"], "scale4"),
        node("Concat", ["m4", "c3", "p3"], ["k5"], "concat5", axis=1),
        node("InstanceNormalization", ["k5", "g5", "b5"], ["i5"], "norm5"),
        node("Resize", ["i5", "", "scales"], ["z6"], "resize6", mode="cubic"),
    ]
    weights = [
        tensor("w1", 4, 3, 3, 3), tensor("w2", 4, 4, 5, 5), tensor("w3", 4, 4, 3, 3), tensor("w4", 4, 4, 1, 1),
        positive("g5", 12), tensor("b5", 12), numpy_helper.from_array(np.float32([1, 1, 2, 2]), "scales"),
    ]  # fmt: skip
    return saved(tmp_path / "branched.onnx", nodes, weights, "z6")


@pytest.mark.peer("onnxruntime")
@pytest.mark.parametrize(("until", "output"), [("add2", "a2"), ("add3", "a3"), ("scale4", "m4"), ("norm5", "i5")])
def test_branches(branched: str, until: str, output: str) -> None:
    runtime = pytest.importorskip("onnxruntime")
    made = onnx.load(branched)
    made.graph.output.append(helper.make_tensor_value_info(output, onnx.TensorProto.FLOAT, None))
    session = runtime.InferenceSession(made.SerializeToString(), providers=["CPUExecutionProvider"])
    (theirs,) = session.run([output], {"picture": IMAGE.transpose(2, 0, 1)[np.newaxis]})
    spec = f"net:{branched},until={until}"
    got = convfilter.apply(IMAGE, spec, threads=1)
    np.testing.assert_allclose(got, theirs[0].transpose(1, 2, 0), atol=2e-5)
    assert convfilter.apply(IMAGE, spec, threads=3).tobytes() == got.tobytes()
    bytes_ = np.rint(IMAGE * 255).astype(np.uint8)
    raw = convfilter.apply(bytes_, spec, dtype=np.float32) / 255
    np.testing.assert_allclose(raw, convfilter.apply(bytes_ / np.float32(255), spec), atol=2e-5)


def test_branches_keep_alpha(branched: str) -> None:
    pixels = np.concatenate([IMAGE, np.full((21, 18, 1), 0.5, np.float32)], axis=2)
    got = convfilter.apply(pixels, f"net:{branched},until=add2", alpha=True)
    np.testing.assert_array_equal(got[..., -1], 0.5)
    first = convfilter.apply(pixels, f"net:{branched},until=relu1", alpha=True)
    second = convfilter.apply(first[..., :-1] * np.float32(0.5), f"layer:{branched}#conv2")  # over black, as ever
    np.testing.assert_allclose(got[..., :-1], first[..., :-1] + second, atol=1e-6)
    weighted = np.concatenate([IMAGE * np.float32(0.5), pixels[..., 3:]], axis=2)
    premultiplied = convfilter.apply(weighted, f"net:{branched},until=add2", alpha=True, premultiplied=True)
    assert premultiplied.shape == got.shape
    np.testing.assert_array_equal(premultiplied[..., -1], 0.5)


@pytest.mark.parametrize("how", [{"axes": [2]}, {"axes": [1, 2, 3]}, {"axes": [-2, 1], "keepdims": 0}])
def test_means_over_other_axes_are_refused(how: dict[str, Any], tmp_path: Path) -> None:
    mean = helper.make_node("ReduceMean", ["picture"], ["m"], "mean", **how)
    path = saved(tmp_path / "mean.onnx", [mean], [], "m")
    with pytest.raises(KernelFileError, match="means must be over all pixels of each channel"):
        convfilter.apply(IMAGE, f"net:{path}")


def test_receptive_fields_of_branches(branched: str) -> None:
    (_, joined) = convfilter.plan((64, 64, 3), f"net:{branched},until=add2").stages
    assert (joined.receptive_field, joined.jump, joined.start) == ((7, 7), (1, 1), (0, 0))
    last = convfilter.plan((64, 64, 3), f"net:{branched},until=add3").stages[-1]
    assert (last.receptive_field, last.jump) == ((9, 9), (2, 2))


@pytest.fixture
def unpooled(tmp_path: Path) -> str:
    """MaxPool with indices, a layer, MaxUnpool; constants for each row, column and pixel."""
    node = helper.make_node
    nodes = [
        node("Conv", ["picture", "w1"], ["c1"], "conv1", pads=[1, 1, 1, 1]),
        node("MaxPool", ["c1"], ["p1", "i1"], "pool1", kernel_shape=[3, 2], strides=[3, 2]),
        node("Relu", ["p1"], ["r1"], "relu1"),
        node("MaxUnpool", ["r1", "i1"], ["u1"], "unpool1", kernel_shape=[3, 2], strides=[3, 2]),
        node("Add", ["u1", "pixels"], ["a2"], "add2"),
        node("Sub", ["cols", "a2"], ["s3"], "sub3"),
        node("Mul", ["s3", "rows"], ["m4"], "mul4"),
        node("Sub", ["m4", "c1"], ["d5"], "sub5"),
        node("Concat", ["d5", "pixels"], ["k6"], "concat6", axis=1),
    ]
    weights = [
        tensor("w1", 4, 3, 3, 3), tensor("pixels", 1, 4, 21, 18), tensor("cols", 18), tensor("rows", 4, 21, 1),
    ]  # fmt: skip
    return saved(tmp_path / "unpooled.onnx", nodes, weights, "k6")


OF_UNPOOLED = {"i1": "i1", "unpool1": "u1", "add2": "a2", "sub3": "s3", "mul4": "m4", "sub5": "d5", "concat6": "k6"}


@pytest.mark.peer("onnxruntime")
@pytest.mark.parametrize("until", OF_UNPOOLED)
def test_places_of_maxima_and_constants_for_each_pixel(unpooled: str, until: str) -> None:
    runtime = pytest.importorskip("onnxruntime")
    output = OF_UNPOOLED[until]
    made = onnx.load(unpooled)
    made.graph.output.append(helper.make_tensor_value_info(output, 7 if until == "i1" else 1, None))
    session = runtime.InferenceSession(made.SerializeToString(), providers=["CPUExecutionProvider"])
    (theirs,) = session.run([output], {"picture": IMAGE.transpose(2, 0, 1)[np.newaxis]})
    got = convfilter.apply(IMAGE, f"net:{unpooled},until={until}", threads=1)
    np.testing.assert_allclose(got, theirs[0].transpose(1, 2, 0), atol=2e-5)
    assert convfilter.apply(IMAGE, f"net:{unpooled},until={until}", threads=3).tobytes() == got.tobytes()


def test_places_of_maxima_are_those_of_the_largest_samples(unpooled: str) -> None:
    maps = convfilter.apply(IMAGE, f"net:{unpooled},until=conv1").transpose(2, 0, 1)
    places = convfilter.apply(IMAGE, f"net:{unpooled},until=i1").transpose(2, 0, 1).astype(int)
    blocks = maps.reshape(4, 7, 3, 9, 2).transpose(0, 1, 3, 2, 4)
    np.testing.assert_array_equal(maps.reshape(-1)[places], blocks.max(axis=(3, 4)))
    back = convfilter.apply(IMAGE, f"net:{unpooled},until=unpool1").transpose(2, 0, 1)
    expected = np.zeros(maps.size, np.float32)
    expected[places.reshape(-1)] = np.maximum(maps.reshape(-1)[places.reshape(-1)], 0)
    np.testing.assert_array_equal(back.reshape(-1), expected)
    bytes_ = np.rint(IMAGE * 255).astype(np.uint8)
    raw = convfilter.apply(bytes_, f"net:{unpooled},until=concat6", dtype=np.float32) / 255
    same = convfilter.apply(bytes_ / np.float32(255), f"net:{unpooled},until=concat6")
    np.testing.assert_allclose(raw, same, atol=1e-4)


def test_invalid_unpooling_and_constants_are_refused(unpooled: str) -> None:
    with pytest.raises(ParameterError, match="the constant has 18x21 pixels and is for pictures of that size, got 12x"):
        convfilter.apply(IMAGE[:15, :12], f"net:{unpooled},until=add2")
    pixels = np.concatenate([IMAGE, IMAGE[..., :1]], axis=2)
    with pytest.raises(ParameterError, match="unpooling must not have alpha; use a picture without it"):
        convfilter.apply(pixels, f"net:{unpooled},until=unpool1", alpha=True)
    with pytest.raises(ParameterError, match="float32 holds the indices of at most 4194304 samples, got 4320000"):
        convfilter.plan((1200, 900, 3), f"net:{unpooled},until=i1", dtype=np.float32)
    with pytest.raises(ParameterError, match="branches, indices and normalisations of a network count every pixel"):
        convfilter.apply(IMAGE, f"net:{unpooled},until=i1", ignore=0)


def test_constants_follow_their_channels_through_a_transpose(tmp_path: Path) -> None:
    node = helper.make_node
    nodes = [
        node("Sub", ["picture", "mean"], ["centred"], "sub"),
        node("Transpose", ["centred"], ["turned"], "turn", perm=[0, 3, 1, 2]),
        node("Conv", ["turned", "w"], ["c"], "conv"),
        node("Transpose", ["c"], ["back"], "back", perm=[0, 2, 3, 1]),
        node("Add", ["back", "bias"], ["sum"], "add"),
        node("Concat", ["sum", "sum"], ["both"], "both", axis=3),
    ]
    weights = [tensor("mean", 3), tensor("w", 3, 3, 1, 1), tensor("bias", 3)]
    path = saved(tmp_path / "turned.onnx", nodes, weights, "both")
    mean, weight, bias = (numpy_helper.to_array(each) for each in weights)
    expected = (IMAGE - mean) @ weight[:, :, 0, 0].T + bias
    got = convfilter.apply(IMAGE[:3, :3], f"net:{path}")  # as many rows and columns as channels
    np.testing.assert_allclose(got, np.concatenate([expected, expected], axis=2)[:3, :3], atol=1e-5)


@pytest.mark.parametrize(
    ("shape", "before", "pads"),
    [
        (["n", 3, "h", "w"], None, [0, 0, 1, 2, 0, 0, 3, 4]),
        (["n", 3, "h", "w"], [0, 2, 3, 1], [0, 1, 2, 0, 0, 3, 4, 0]),
        (["n", 3, "w"], None, [0, 0, 2, 0, 0, 4]),
    ],
    ids=["channels first", "channels last", "signal"],
)
def test_rows_and_columns_are_padded_in_each_layout(
    tmp_path: Path, shape: list[Any], before: list[int] | None, pads: list[int]
) -> None:
    nodes = [helper.make_node("Pad", ["picture", "pads"], ["padded"], "pad")]
    if before:
        nodes = [
            helper.make_node("Transpose", ["picture"], ["turned"], "turn", perm=before),
            helper.make_node("Pad", ["turned", "pads"], ["more"], "pad"),
            helper.make_node("Transpose", ["more"], ["padded"], "back", perm=[0, 3, 1, 2]),
        ]
    ends = (
        [helper.make_tensor_value_info("picture", onnx.TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("padded", onnx.TensorProto.FLOAT, None)],
    )
    graph = helper.make_graph(nodes, "net", *ends, [integers("pads", *pads)])
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.save(made, tmp_path / "padding.onnx")
    image = IMAGE if len(shape) == 4 else IMAGE[:1]
    batch = image.transpose(2, 0, 1)[np.newaxis]
    picture = batch if len(shape) == 4 else batch[:, :, 0]
    (expected,) = ReferenceEvaluator(made).run(None, {"picture": picture})
    result = convfilter.apply(image, f"net:{tmp_path / 'padding.onnx'}")
    np.testing.assert_array_equal(result, expected.reshape(3, -1, expected.shape[-1]).transpose(1, 2, 0))


def test_branches_that_do_not_fit(tmp_path: Path) -> None:
    node = helper.make_node
    nodes = [node("Conv", ["picture", "w"], ["c"], "conv"), node("Add", ["picture", "c"], ["both"], "add")]
    path = saved(tmp_path / "misfit.onnx", nodes, [tensor("w", 3, 3, 3, 3)], "both")
    with pytest.raises(ParameterError, match="branches must be of one size, got 18x21 with 3 channels and 16x19 with"):
        convfilter.apply(IMAGE, f"net:{path}")


@pytest.fixture
def of_channels(tmp_path: Path) -> str:
    """A gated linear unit, quotients of branches, repeated pixels, and softmax."""
    node = helper.make_node
    nodes = [
        node("Conv", ["picture", "w"], ["c"], "conv"),
        node("Split", ["c", "sizes"], ["a", "b"], "split", axis=1),
        node("Sigmoid", ["b"], ["s"], "sigmoid"),
        node("Mul", ["a", "s"], ["glu"], "gate"),
        node("Div", ["glu", "s"], ["q"], "quotient"),
        node("Div", ["ones", "s"], ["r"], "reciprocal"),
        node("Resize", ["q", "", "scales"], ["z"], "resize", mode="nearest", nearest_mode="floor",
             coordinate_transformation_mode="asymmetric"),
        node("Resize", ["r", "", "scales"], ["z2"], "centred"),
        node("Add", ["z", "z2"], ["both"], "both"),
        node("Softmax", ["both"], ["soft"], "soft", axis=1),
        node("LogSoftmax", ["both"], ["log"], "log", axis=-3),
        node("Hardmax", ["both"], ["hard"], "hard", axis=1),
    ]  # fmt: skip
    weights = [
        tensor("w", 6, 3, 3, 3), positive("ones", 1, 3, 1, 1),
        numpy_helper.from_array(np.int64([3, 3]), "sizes"),
        numpy_helper.from_array(np.float32([1, 1, 2, 3]), "scales"),
    ]  # fmt: skip
    return saved(tmp_path / "channels.onnx", nodes, weights, "soft")


OF_CHANNELS = {"b": "b", "gate": "glu", "quotient": "q", "reciprocal": "r", "resize": "z", "centred": "z2",
               "soft": "soft", "log": "log", "hard": "hard"}  # fmt: skip


@pytest.mark.peer("onnxruntime")
@pytest.mark.parametrize("until", OF_CHANNELS)
def test_onnxruntime_parts_divides_repeats_and_shares_alike(of_channels: str, until: str) -> None:
    runtime = pytest.importorskip("onnxruntime")
    made = onnx.load(of_channels)
    if until != "soft":
        made.graph.output.append(helper.make_tensor_value_info(OF_CHANNELS[until], onnx.TensorProto.FLOAT, None))
    session = runtime.InferenceSession(made.SerializeToString(), providers=["CPUExecutionProvider"])
    (theirs,) = session.run([OF_CHANNELS[until]], {"picture": IMAGE.transpose(2, 0, 1)[np.newaxis]})
    got = convfilter.apply(IMAGE, f"net:{of_channels},until={until}", threads=1)
    np.testing.assert_allclose(got, theirs[0].transpose(1, 2, 0), atol=2e-5)
    assert convfilter.apply(IMAGE, f"net:{of_channels},until={until}", threads=3).tobytes() == got.tobytes()


_INTEGERS = {
    "zero": [0], "one": [1], "two": [2], "three": [3], "minus_one": [-1], "minus_three": [-3], "sizes": [2, 2],
    "most": [2**63 - 1], "least": [-(2**63)], "swapped": [2, 1, 0], "twice_last": [-1, 2, 0], "far": [0, 3],
}  # fmt: skip


def test_channels_are_split_divided_repeated_and_shared(of_channels: str) -> None:
    def at(until: str) -> np.ndarray:
        return convfilter.apply(IMAGE, f"net:{of_channels},until={until}").astype(np.float64)

    maps = at("conv")
    np.testing.assert_array_equal(at("a"), maps[..., :3])
    np.testing.assert_array_equal(at("b"), maps[..., 3:])
    np.testing.assert_allclose(at("gate"), maps[..., :3] / (1 + np.exp(-maps[..., 3:])), atol=1e-6)
    np.testing.assert_allclose(at("quotient"), maps[..., :3], atol=1e-6)
    for until, before in (("resize", "quotient"), ("centred", "reciprocal")):
        np.testing.assert_array_equal(at(until), at(before).repeat(2, axis=0).repeat(3, axis=1))
    powers = np.exp(at("both"))
    shares = powers / powers.sum(axis=2, keepdims=True)
    np.testing.assert_allclose(at("soft"), shares, rtol=2e-6)
    np.testing.assert_allclose(at("log"), np.log(shares), rtol=2e-6, atol=2e-6)
    np.testing.assert_array_equal(at("hard"), shares == shares.max(axis=2, keepdims=True))


@pytest.mark.parametrize(
    ("node", "channels"),
    [
        (helper.make_node("Slice", ["picture", "one", "three", "one"], ["y"], "one"), [1, 2]),
        (helper.make_node("Slice", ["picture", "one", "most", "minus_three"], ["y"], "one"), [1, 2]),
        (helper.make_node("Slice", ["picture", "minus_one", "least", "one", "minus_one"], ["y"], "one"), [2, 1, 0]),
        (helper.make_node("Slice", ["picture", "two", "minus_three", "one", "minus_one"], ["y"], "one"), [2, 1]),
        (helper.make_node("Slice", ["picture", "zero", "most", "one", "two"], ["y"], "one"), [0, 2]),
        (helper.make_node("Gather", ["picture", "swapped"], ["y"], "one", axis=1), [2, 1, 0]),
        (helper.make_node("Gather", ["picture", "swapped"], ["y"], "one", axis=-3), [2, 1, 0]),
        (helper.make_node("Gather", ["picture", "twice_last"], ["y"], "one", axis=1), [2, 2, 0]),
    ],
)
def test_channels_are_chosen(node: Any, channels: list[int], tmp_path: Path) -> None:
    integers = [numpy_helper.from_array(np.int64(each), name) for name, each in _INTEGERS.items()]
    path = saved(tmp_path / "one.onnx", [node], integers, "y")
    (expected,) = ReferenceEvaluator(path).run(None, {"picture": IMAGE.transpose(2, 0, 1)[np.newaxis]})
    np.testing.assert_array_equal(expected[0].transpose(1, 2, 0), IMAGE[..., channels])
    np.testing.assert_array_equal(convfilter.apply(IMAGE, f"net:{path}"), IMAGE[..., channels])


@pytest.mark.parametrize(
    ("node", "message"),
    [
        (_of("Softmax", axis=2), "a softmax must be over channels alone, got axis 2"),
        (_of("Softmax"), "a softmax must be over channels alone, got axis -1"),
        (_of("Split", axis=2), "only channels can be split, got axis 2"),
        (_of("Split", "sizes", axis=1), "its 3 channels do not split into [2, 2]"),
        (_of("Slice", "one", "two", "two"), "with an end counted from the last one, got 1:2:1"),
        (_of("Slice", "minus_one", "most", "two"), "sliced from a first one on, with an end counted from"),
        (_of("Slice", "one", "two"), "only channels, rows and columns can be sliced, got the axis 0"),
        (_of("Slice", "one", "one", "one"), "it leaves none of 3 channels"),
        (_of("Gather", "two", axis=2), "only channels can be gathered, by a list of their numbers, got axis 2"),
        (_of("Gather", "far", axis=1), "its indices must be numbers of 3 channels, got [0, 3]"),
        (_of("Resize", "", "half"), "only a Resize of rows and columns by whole factors"),
        (
            _of("Resize", "", "", "sizes"),
            "its scales must be 4 constants; for a Resize to given sizes, export the network with the",
        ),
        (
            _of("Resize", "", "twice", coordinate_transformation_mode="asymmetric"),
            "nearest or linear, without aligned corners, is supported",
        ),
    ],
)
def test_other_axes_and_factors_are_refused(node: Any, message: str, tmp_path: Path) -> None:
    numbers = {name: np.int64(each) for name, each in _INTEGERS.items()}
    numbers |= {"half": np.float32([1, 1, 0.5, 2]), "twice": np.float32([1, 1, 2, 2])}
    path = saved(tmp_path / "one.onnx", [node], [numpy_helper.from_array(*each[::-1]) for each in numbers.items()], "y")
    with pytest.raises(KernelFileError) as caught:
        convfilter.apply(IMAGE, f"net:{path}")
    assert message in str(caught.value)


def test_repetition_needs_to_know_the_channels(tmp_path: Path) -> None:
    node, scales = _of("Upsample", "scales"), numpy_helper.from_array(np.float32([1, 1, 2, 2]), "scales")
    path = saved(tmp_path / "unknown.onnx", [node], [scales], "y")
    np.testing.assert_array_equal(convfilter.apply(IMAGE, f"net:{path}"), IMAGE.repeat(2, axis=0).repeat(2, axis=1))
    model = onnx.load(path)
    model.graph.input[0].type.tensor_type.shape.dim[1].dim_param = "channels"
    onnx.save(model, path)
    with pytest.raises(KernelFileError, match="the number of its channels is unknown; export the network with its"):
        convfilter.apply(IMAGE, f"net:{path}")


def test_nodes_after_branches_are_named(branched: str) -> None:
    with pytest.raises(KernelFileError, match=r"node 'resize6' \(Resize\): only.*got cubic by 2 and 2; until=norm5"):
        convfilter.apply(IMAGE, f"net:{branched}")


def test_a_network_on_the_command_line(
    model: str, branched: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    convfilter.write("in.png", np.rint(IMAGE * 255).astype(np.uint8))
    assert run(["apply", "-f", "net:model.onnx", "--until", "relu1", "in.png", "maps.npy"]) == 0
    assert np.load("maps.npy").shape == (11, 18, 6)
    assert run(["plan", "-f", "net:model.onnx", "--until", "pool1", "--size", "18x21"]) == 0
    assert "stage 1      conv1+bn1+relu1" in capsys.readouterr().out
    assert run(["apply", "-f", "net:branched.onnx", "--until", "add3", "in.png", "joined.npy"]) == 0
    assert np.load("joined.npy").shape == (11, 9, 4)
    assert run(["plan", "-f", "net:branched.onnx", "--until", "add3", "--size", "18x21"]) == 0
    assert "joins      conv3, sigmoid3; pool3" in capsys.readouterr().out
    assert run(["apply", "-f", "box:3", "--until", "relu1", "in.png", "out.png"]) == 2
    assert "--until is for networks" in capsys.readouterr().err
    assert run(["apply", "-f", "net:model.onnx,until=conv1", "--until", "relu1", "in.png", "out.npy"]) == 2
    assert "until is given twice, got until=conv1 and --until relu1" in capsys.readouterr().err


@pytest.mark.parametrize("mode", ["reflect", "edge", "constant"])
def test_paddings_that_constants_give_as_in_exports_of_pytorch(mode: str, tmp_path: Path) -> None:
    """``ReflectionPad2d((1, 2, 3, 0))``: its numbers are filled up with zeros, paired, reversed and transposed."""
    node = helper.make_node
    nodes = [
        node("ConstantOfShape", ["four"], ["zeros"], "zeros", value=numpy_helper.from_array(np.int64([0]))),
        node("Concat", ["sides", "zeros"], ["all"], "all", axis=0),
        node("Reshape", ["all", "pairs"], ["paired"], "paired"),
        node("Slice", ["paired", "last", "least", "axis", "last"], ["reversed"], "reversed"),
        node("Transpose", ["reversed"], ["ends"], "ends", perm=[1, 0]),
        node("Reshape", ["ends", "last"], ["flat"], "flat"),
        node("Cast", ["flat"], ["pads"], "cast", to=7),
        node("Pad", ["picture", "pads"], ["padded"], "pad", mode=mode),
        node("Conv", ["padded", "w"], ["c"], "conv"),
    ]
    weights = [
        tensor("w", 2, 3, 3, 3), integers("four", 4), integers("sides", 1, 2, 3, 0), integers("pairs", -1, 2),
        integers("last", -1), integers("least", -(2**63) + 1), integers("axis", 0),
    ]  # fmt: skip
    path = saved(tmp_path / "padded.onnx", nodes, weights, "c")
    (expected,) = ReferenceEvaluator(path).run(None, {"picture": IMAGE.transpose(2, 0, 1)[np.newaxis]})
    got = convfilter.apply(IMAGE, f"net:{path}")
    assert got.shape == (22, 19, 2)
    np.testing.assert_allclose(got, expected[0].transpose(1, 2, 0), atol=1e-6)


@pytest.mark.parametrize("shape", [["n", 3, 10, 7], [1, 3, "h", "w"]])
@pytest.mark.parametrize("groups", [1, 2, 4])
def test_group_normalisations_as_in_exports_of_pytorch(groups: int, shape: list[Any], tmp_path: Path) -> None:
    node = helper.make_node
    nodes = [
        node("Reshape", ["p", "grouped"], ["q"], "join"),
        node("InstanceNormalization", ["q", "g", "beta"], ["i"], "norm", epsilon=1e-3),
        node("Shape", ["p"], ["size"], "size"),
        node("Reshape", ["i", "size"], ["back"], "back"),
        node("Mul", ["back", "gamma"], ["m"], "mul"),
        node("Relu", ["m"], ["y"], "relu"),
    ]
    weights = [
        integers("grouped", 0, groups, -1), positive("g", groups), tensor("beta", groups), positive("gamma", 4, 1, 1),
    ]  # fmt: skip
    path = classifier(tmp_path / "net.onnx", nodes, weights, "y", shape=shape)
    picture = IMAGE[:10, :7]
    (expected,) = ReferenceEvaluator(path).run(None, {"picture": picture.transpose(2, 0, 1)[np.newaxis]})
    np.testing.assert_allclose(convfilter.apply(picture, f"net:{path}"), expected[0].transpose(1, 2, 0), atol=2e-5)
    with pytest.raises(
        KernelFileError, match=r"node 'join' \(Reshape\): channels in groups are no picture; an Instance"
    ):
        convfilter.apply(picture, f"net:{path},until=join")


@pytest.mark.parametrize(
    ("nodes", "message"),
    [
        (
            [("Reshape", ["p", "two"], {}), ("Relu", ["x0"], {})],
            r"node 'n1' \(Relu\): channels in groups are no picture",
        ),
        ([("Reshape", ["p", "three"], {})], "only all samples of a map can become one vector"),
        (
            [("Reshape", ["p", "two"], {}), ("Reshape", ["x0", "turned"], {})],
            r"node 'n1' \(Reshape\): channels in groups are no picture",
        ),
        (
            [("Reshape", ["p", "two"], {}), ("InstanceNormalization", ["x0", "g", "g"], {})],
            "its scale and bias must be 2 numbers, got 4 and 4",
        ),
    ],
)
def test_groups_that_do_not_become_a_picture_again(tmp_path: Path, nodes: list[Any], message: str) -> None:
    made = [
        helper.make_node(kind, inputs, [f"x{number}"], f"n{number}", **attributes)
        for number, (kind, inputs, attributes) in enumerate(nodes)
    ]
    weights = [integers("two", 0, 2, -1), integers("three", 0, 3, 16), integers("turned", 1, 4, 3, 4), positive("g", 4)]
    path = classifier(tmp_path / "net.onnx", made, weights, made[-1].output[0], shape=[1, 3, 10, 7])
    with pytest.raises(KernelFileError, match=message):
        convfilter.apply(IMAGE[:10, :7], f"net:{path}")


@pytest.mark.parametrize("shape", [(2**20, 2**20), (-1, 3), (2**62, 4)])
def test_constants_of_any_number_of_samples_are_refused(shape: tuple[int, ...], tmp_path: Path) -> None:
    nodes = [helper.make_node("ConstantOfShape", ["s"], ["k"], "fill"), _of("Add", "k")]
    path = saved(tmp_path / "large.onnx", nodes, [integers("s", *shape)], "y")
    with pytest.raises(KernelFileError, match=r"which is computed from constants \(ConstantOfShape\)"):
        convfilter.apply(IMAGE, f"net:{path}")
    doubled = [helper.make_node("Concat", [f"k{n}"] * 2, [f"k{n + 1}"], f"n{n}", axis=0) for n in range(40)]
    path = saved(tmp_path / "doubled.onnx", [*doubled, _of("Add", "k40")], [integers("k0", 1, 2)], "y")
    with pytest.raises(KernelFileError, match=r"which is computed from constants \(Concat\)"):
        convfilter.apply(IMAGE, f"net:{path}")


def classifier(path: Path, nodes: list[Any], weights: list[Any], *outputs: str, shape: list[Any]) -> str:
    """Save a network whose input has a size, with a convolution of 3 to 4 channels and a pooling before ``nodes``."""
    node = helper.make_node
    made = helper.make_graph(
        [
            node("Conv", ["picture", "w", "b"], ["c"], "conv"),
            node("MaxPool", ["c"], ["p"], "pool", kernel_shape=[2, 2], strides=[2, 2]),
            *nodes,
        ],
        "net",
        [helper.make_tensor_value_info("picture", onnx.TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(output, onnx.TensorProto.FLOAT, None) for output in outputs],
        [tensor("w", 4, 3, 3, 2), tensor("b", 4), *weights],
    )
    onnx.save(helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)
    return str(path)


def integers(name: str, *values: int) -> Any:
    return numpy_helper.from_array(np.int64(values), name)


_TRANSPOSED = [
    # As exports of x.permute(0, 3, 2, 1).reshape(len(x), -1), in R-Net and O-Net.
    helper.make_node("Transpose", ["p"], ["t"], "transpose", perm=[0, 3, 2, 1]),
    helper.make_node("Shape", ["p"], ["size"], "shape"),
    helper.make_node("Gather", ["size", "zero"], ["n"], "gather"),
    helper.make_node("Concat", ["n", "rest"], ["all"], "all", axis=0),
    helper.make_node("Reshape", ["t", "all"], ["v"], "reshape"),
]
_HEADS = [
    helper.make_node("Relu", ["v"], ["r"], "relu"),
    helper.make_node("Gemm", ["r", "m1", "b1"], ["d"], "dense", transB=1, alpha=0.5, beta=2.0),
    helper.make_node("PRelu", ["d", "slope"], ["q"], "prelu"),
    helper.make_node("Gemm", ["q", "m2"], ["place"], "box"),
    helper.make_node("MatMul", ["q", "m2"], ["e"], "scores"),
    helper.make_node("Add", ["e", "b2"], ["f"], "bias"),
    helper.make_node("BatchNormalization", ["f", "g", "b2", "b2", "g"], ["h"], "norm"),
    helper.make_node("Concat", ["place", "h"], ["both"], "both", axis=1),
    helper.make_node("Softmax", ["both"], ["soft"], "softmax", axis=1),
]
_LAST = [
    # As TensorFlow's exports.
    helper.make_node("Transpose", ["p"], ["t"], "transpose", perm=[0, 2, 3, 1]),
    helper.make_node("Reshape", ["t", "flat"], ["v"], "reshape"),
]


@pytest.mark.parametrize("nodes", [_TRANSPOSED, _LAST, [helper.make_node("Flatten", ["p"], ["v"], "flatten")]])
def test_gemm_is_a_convolution_of_the_map(tmp_path: Path, nodes: list[Any]) -> None:
    weights = [
        tensor("m1", 5, 4 * 4 * 3), tensor("b1", 5), positive("slope", 5), tensor("m2", 5, 3), tensor("b2", 3),
        positive("g", 3), integers("zero", 0), integers("rest", -1), integers("flat", -1, 4 * 4 * 3),
    ]  # fmt: skip
    path = classifier(tmp_path / "net.onnx", [*nodes, *_HEADS], weights, "place", "soft", shape=["n", 3, 10, 7])
    evaluator = ReferenceEvaluator(path)

    def theirs(picture: np.ndarray) -> list[np.ndarray]:
        return evaluator.run(None, {"picture": picture.transpose(2, 0, 1)[np.newaxis]})

    for until, expected in zip(("place", "soft"), theirs(IMAGE[:10, :7]), strict=True):
        got = convfilter.apply(IMAGE[:10, :7], f"net:{path},until={until}")
        assert got.shape == (1, 1, expected.shape[1])
        np.testing.assert_allclose(got[0, 0], expected[0], atol=1e-6)
    # On a larger picture the network moves by the stride of its pooling.
    larger = convfilter.apply(IMAGE[:15, :12], f"net:{path},until=soft")
    assert larger.shape == (3, 3, 6)
    for row, col in np.ndindex(3, 3):
        window = IMAGE[2 * row : 2 * row + 10, 2 * col : 2 * col + 7]
        np.testing.assert_allclose(larger[row, col], theirs(window)[1][0], atol=1e-6)
    with pytest.raises(SizeError, match=r"stage \d \(dense\+prelu\): output height must be at least 1"):
        convfilter.apply(IMAGE[:7, :7], f"net:{path},until=place")


@pytest.mark.parametrize(
    "means",
    [
        [
            helper.make_node("GlobalAveragePool", ["p"], ["a"], "mean"),
            helper.make_node("Squeeze", ["a", "axes"], ["s"], "squeeze"),
        ],
        [helper.make_node("ReduceMean", ["p"], ["s"], "mean", axes=[2, 3], keepdims=0)],  # as of x.mean((2, 3))
        [
            helper.make_node("Transpose", ["p"], ["t"], "transpose", perm=[0, 2, 3, 1]),
            helper.make_node("ReduceMean", ["t"], ["s"], "mean", axes=[1, 2], keepdims=0),
        ],
    ],
)
def test_a_pixel_needs_no_size_of_the_picture(means: list[Any], tmp_path: Path) -> None:
    nodes = [*means, helper.make_node("Gemm", ["s", "m"], ["v"], "dense", transB=1)]
    path = classifier(
        tmp_path / "net.onnx", nodes, [tensor("m", 5, 4), integers("axes", 2, 3)], "v", shape=[1, 3, "h", "w"]
    )
    (expected,) = ReferenceEvaluator(path).run(None, {"picture": IMAGE.transpose(2, 0, 1)[np.newaxis]})
    np.testing.assert_allclose(convfilter.apply(IMAGE, f"net:{path}")[0, 0], expected[0], atol=1e-6)


def test_a_reshape_whose_numbers_come_from_the_shape_of_its_map(tmp_path: Path) -> None:
    """As in exports of PaddlePaddle, for version 11 of ONNX's operators, whose inference leaves these numbers out."""
    nodes = [
        helper.make_node("GlobalAveragePool", ["p"], ["a"], "mean"),
        helper.make_node("Shape", ["a"], ["size"], "size"),
        helper.make_node("Cast", ["size"], ["cast"], "cast", to=6),
        helper.make_node("Slice", ["cast", "zero", "one", "zero"], ["n"], "first"),
        helper.make_node("Gather", ["size", "one"], ["channels"], "second"),
        helper.make_node("Cast", ["n"], ["batch"], "back", to=7),
        helper.make_node("Concat", ["batch", "channels"], ["all"], "all", axis=-1),
        helper.make_node("Reshape", ["a", "all"], ["v"], "reshape"),
        helper.make_node("MatMul", ["v", "m"], ["d"], "dense"),
        helper.make_node("Softmax", ["d"], ["y"], "softmax", axis=1),
    ]
    weights = [tensor("m", 4, 5), integers("zero", 0), integers("one", 1)]
    path = classifier(tmp_path / "net.onnx", nodes, weights, "y", shape=[-1, 3, "h", "w"])
    model = onnx.load(path)
    model.opset_import[0].version, model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 11, -1
    onnx.save(model, path)
    (expected,) = ReferenceEvaluator(path).run(None, {"picture": IMAGE.transpose(2, 0, 1)[np.newaxis]})
    np.testing.assert_allclose(convfilter.apply(IMAGE, f"net:{path}")[0, 0], expected[0], atol=1e-6)


@pytest.mark.parametrize(("attributes", "power"), [({}, 2), ({"p": 1}, 1), ({"p": 3}, 3)])
def test_global_lp_pooling_is_that_of_a_window_as_large_as_the_map(tmp_path, attributes, power) -> None:
    """The reference has no GlobalLpPool, only LpPool."""
    convolution = helper.make_node("Conv", ["picture", "w"], ["c"], "conv", strides=[2, 1])
    paths = [
        saved(tmp_path / f"{node.op_type}.onnx", [convolution, node], [weight], "g")
        for weight in [tensor("w", 4, 3, 3, 3)]
        for node in (
            helper.make_node("GlobalLpPool", ["c"], ["g"], "global", **attributes),
            helper.make_node("LpPool", ["c"], ["g"], "window", kernel_shape=[10, 16], p=power),
        )
    ]
    (expected,) = ReferenceEvaluator(paths[1]).run(None, {"picture": IMAGE.transpose(2, 0, 1)[np.newaxis]})
    got = convfilter.apply(IMAGE, f"net:{paths[0]}")
    assert got.shape == (1, 1, 4)
    np.testing.assert_allclose(got[0, 0], expected[0, :, 0, 0], rtol=3e-6)


@pytest.mark.parametrize(
    ("nodes", "message"),
    [
        (
            [("Flatten", ["p"], {})],
            r"a vector of 4 channels of 3x4 pixels is no picture; a Gemm or MatMul must follow;",
        ),
        ([("Flatten", ["p"], {}), ("Softmax", ["x0"], {})], r"\(Softmax\): its input is a vector of 4 channels of 3x4"),
        ([("Flatten", ["p"], {}), ("Add", ["x0", "b48"], {})], r"\(Add\): its input is a vector of 4 channels of 3x4"),
        ([("Flatten", ["p"], {}), ("Conv", ["x0", "w"], {})], "of this kind are not supported for vectors"),
        ([("Flatten", ["p"], {}), ("Gemm", ["x0", "m"], {})], r"a matrix of \(5, 48\) does not fit 4 channels of 3x4"),
        ([("Flatten", ["p"], {}), ("Gemm", ["m", "x0"], {"transB": 1})], "only a vector times a constant matrix"),
        ([("Flatten", ["p"], {"axis": 2})], r"only all samples of a map can become one vector, \(N, C \* H \* W\)"),
        (
            [("Transpose", ["p"], {"perm": [0, 1, 3, 2]})],
            "only transposes between .* others before a Flatten; until=pool",
        ),
        ([("Transpose", ["p"], {"perm": [1, 0, 2, 3]})], "only transposes between"),
        ([("Transpose", ["p"], {"perm": [0, 3, 2, 1]}), ("Relu", ["x0"], {})], "another order of axes than"),
    ],
)
def test_vectors_that_are_no_pictures(tmp_path: Path, nodes: list[Any], message: str) -> None:
    made = [
        helper.make_node(kind, inputs, [f"x{number}"], f"node{number}", **attributes)
        for number, (kind, inputs, attributes) in enumerate(nodes)
    ]
    weights = [tensor("m", 5, 48), tensor("b48", 48)]
    path = classifier(tmp_path / "net.onnx", made, weights, made[-1].output[0], shape=[1, 3, 10, 7])
    with pytest.raises(KernelFileError, match=message):
        convfilter.apply(IMAGE, f"net:{path}")
