"""Every row of the catalogue builds a stage, describes its parameters, and refuses others."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import convfilter
from convfilter.errors import ParameterError, SpecError, UsageError
from convfilter.filters import stack
from convfilter.filters.catalog import FILTERS, STAGE_PARAMETERS, Filter
from convfilter.filters.operators import Correlation, Gradient, Pooling, UnsharpMask
from convfilter.filters.spec import Value
from convfilter.filters.stage import Stage

rows = pytest.mark.parametrize("row", FILTERS.values(), ids=FILTERS)


def weights(stage: Stage) -> np.ndarray:
    assert isinstance(stage.operator, Correlation)
    return stage.operator.kernel.weights


@rows
def test_example_of_each_row_runs(row: Filter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    np.savez("conv1.npz", weight=np.ones((4, 1, 3, 3)))
    np.savez("up1.npz", weight=np.ones((1, 4, 4, 4)))
    if row.name == "net":
        onnx = pytest.importorskip("onnx")
        ends = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in ("x", "relu1")]
        nodes = [onnx.helper.make_node("Relu", ["x"], ["relu1"])]
        graph = onnx.helper.make_graph(nodes, "net", ends[:1], ends[1:])
        onnx.save(onnx.helper.make_model(graph), "model.onnx")
    image = np.random.default_rng(1).integers(0, 256, (20, 24), np.uint8)
    result = convfilter.apply(image, row.example)
    assert result.dtype == np.uint8
    assert result.size > 0


@rows
def test_each_row_explains_itself(row: Filter) -> None:
    assert row.name in row.form
    assert row.summary.endswith(".") and row.formula and row.source
    assert set(row.stage_keywords) <= set(STAGE_PARAMETERS)
    for parameter in row.parameters:
        assert parameter.help.endswith(".")
        assert row.parameter(parameter.name) is parameter
        if parameter.default:
            parameter.parse(Value(parameter.default, "here"))


def test_stage_parameters_are_the_fields_of_a_stage_with_their_defaults() -> None:
    names = list(Stage.__match_args__)
    assert list(STAGE_PARAMETERS) == [name for name in names if name not in ("operator", "name", "signed")]
    plain = stack.stage("identity")
    for name, parameter in STAGE_PARAMETERS.items():
        if parameter.default:
            assert parameter.parse(Value(parameter.default, "here")) == getattr(plain, name)


def test_sizes_are_width_x_height() -> None:
    assert weights(stack.stage("box:5x3")).shape == (3, 5)
    stage = stack.stage("gaussian:4x2,stride=3x2,dilation=5x4")
    assert isinstance(stage.operator, Correlation)
    assert stage.operator.kernel.sigma == (2, 4)
    assert (stage.stride, stage.dilation) == ((2, 3), (4, 5))


@pytest.mark.parametrize(
    ("text", "padding"),
    [
        ("same", "same"),
        ("VALID", "valid"),
        ("full", "full"),
        ("same_upper", "same_upper"),
        ("2", (2, 2, 2, 2)),
        ("3x1", (1, 1, 3, 3)),
        ("1,2,3,4", (2, 4, 1, 3)),
        ("1, 2, 3, 4", (2, 4, 1, 3)),
    ],
)
def test_padding(text: str, padding: object) -> None:
    assert stack.stage(f"box:3,padding={text}").padding == padding


def test_all_keywords_of_a_stage() -> None:
    stage = stack.stage(
        "kernel:1 2 3,flip=yes,padding_mode=constant,padding_value=-1.5,scale=1/4,offset=.5,map=stretch,normalize=no"
    )
    assert (stage.flip, stage.padding_mode, stage.padding_value) == (True, "constant", -1.5)
    assert (stage.scale, stage.offset, stage.map) == (0.25, 0.5, "stretch")


def test_operators() -> None:
    assert isinstance(stack.stage("sobel").operator, Gradient)
    assert np.array_equal(weights(stack.stage("sobel:x")), [[1, 0, -1], [2, 0, -2], [1, 0, -1]])
    assert np.array_equal(weights(stack.stage("scharr:y")), [[3, 10, 3], [0, 0, 0], [-3, -10, -3]])
    assert np.array_equal(weights(stack.stage("kernel:1 1; 1 1,normalize=true")), np.full((2, 2), 0.25))
    assert np.array_equal(weights(stack.stage("kernel:1,1;1,1")), np.ones((2, 2)))
    sharp = stack.stage("unsharp:2x1,amount=0.5,threshold=1/255").operator
    assert isinstance(sharp, UnsharpMask)
    assert (sharp.kernel.sigma, sharp.amount, sharp.threshold) == ((1, 2), 0.5, 1 / 255)
    pool = stack.stage("maxpool:3x2")
    assert pool.operator == Pooling("max", (2, 3))
    assert (pool.stride, pool.padding) == ((2, 3), "valid")
    assert stack.stage("maxpool:3,stride=1,padding=1").stride == (1, 1)


def test_truncated_gaussian_has_scipys_width() -> None:
    assert weights(stack.stage("gaussian:2,truncate=4")).shape == (17, 17)


def test_offset_of_a_kernel_file_yields_to_an_explicit_one(tmp_path) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "k.mat"
    path.write_text("3 1 1 51\n1 0 -1\n")
    assert stack.stage(f"kernel:{path}").operator.shift == 51
    explicit = stack.stage(f"kernel:{path},offset=0.5")
    assert (explicit.offset, explicit.operator.shift) == (0.5, 0)


def test_defaults_are_used_where_the_spec_is_silent() -> None:
    stage = stack.stage("box:3,stride=2", stride=(4, 4), padding_mode="wrap")
    assert (stage.stride, stage.padding_mode) == ((2, 2), "wrap")
    with pytest.raises(UsageError, match="maxpool does not use flip"):
        stack.stage("maxpool:2", flip=True)


@pytest.mark.parametrize(
    ("text", "kind", "message"),
    [
        ("box:0", ParameterError, "'box:0', column 5: box size must be at least 1, got 0"),
        ("box:3x0", ParameterError, "box size must be at least 1, got 3x0"),
        ("box:99999", ParameterError, "box size must be at most 65535, got 99999"),
        ("box:1.5", ParameterError, "box size must be a whole number, got 1.5"),
        ("box:3x", ParameterError, "must be one number, or two as in 5x3, got 3x"),
        ("box:3,3", ParameterError, "got 3,3"),
        ("box:-", ParameterError, "got '-'"),
        ("box", SpecError, "box needs its size, as in box:5x3"),
        ("gaussian:-1", ParameterError, "gaussian sigma must be at least 0, got -1"),
        ("gaussian:nan", ParameterError, "gaussian sigma must be a finite number, got 'nan'"),
        ("gaussian:inf", ParameterError, "gaussian sigma must be a finite number, got 'inf'"),
        ("gaussian:1e999", ParameterError, "gaussian sigma must be a finite number, got 1e999"),
        ("gaussian:1_0", ParameterError, "must be a number"),
        ("gaussian:1/0", ParameterError, "must not divide by zero, got 1/0"),
        ("gaussian:4,truncate=0", ParameterError, "column 21: gaussian truncate must be above 0, got 0"),
        ("gaussian:4,stride=0", ParameterError, "column 19: stride must be at least 1, got 0"),
        ("gaussian:4,dilation=1x0", ParameterError, "dilation must be at least 1, got 1x0"),
        ("gaussian:4,padding=-1", ParameterError, "padding must be at least 0, got -1"),
        (
            "gaussian:4,padding=1,2,3",
            ParameterError,
            "padding must be one of same, valid, full, same_upper, same_lower, a number",
        ),
        ("gaussian:4,padding_mode=zero", ParameterError, "must be one of edge, constant, reflect, symmetric, wrap"),
        ("gaussian:4,scale=x", ParameterError, "scale must be a number, got 'x'"),
        ("gaussian:4,flip=maybe", ParameterError, "flip must be true or false, got 'maybe'"),
        ("gaussian:4,sigma=3", SpecError, "column 18: sigma is given twice"),
        ("sobel:z", ParameterError, "sobel axis must be one of x, y, magnitude, orientation, got 'z'"),
        ("laplacian:3", SpecError, "laplacian takes no value, got '3'"),
        ("unsharp:1,threshold=2", ParameterError, "unsharp threshold must be at most 1, got 2"),
        (
            "gausian:3",
            SpecError,
            "column 1: no filter is called 'gausian'; did you mean gaussian? 'convfilter kernel list' shows all",
        ),
        ("zzz:3", SpecError, "no filter is called 'zzz'; 'convfilter kernel list' shows all"),
        (
            "box:3,strid=2",
            SpecError,
            "column 13: box has no parameter 'strid'; did you mean stride? its parameters are size, ",
        ),
        ("maxpool:3,flip=true", SpecError, "maxpool has no parameter 'flip'; its parameters are size, stride, "),
        ("box:3,operator=x", SpecError, "box has no parameter 'operator'"),
    ],
)
def test_invalid_specs_are_refused(text: str, kind: type[UsageError], message: str) -> None:
    with pytest.raises(kind) as caught:
        stack.stage(text)
    assert message in str(caught.value)


def test_a_stack_stores_its_last_result_only() -> None:
    first, last = stack.stages(["sobel:x", "gaussian:1"], map="offset", scale=0.5, padding_mode="wrap")
    assert (first.map, first.scale, first.padding_mode) == (None, 1, "wrap")
    assert (last.map, last.scale, last.padding_mode) == ("offset", 0.5, "wrap")
    assert last.signed
    assert not stack.stages(["gaussian:1", "box:3"])[-1].signed
    with pytest.raises(SpecError, match="column 13: only the last result is stored"):
        stack.stages(["sobel:x,map=abs", "gaussian:1"])
    with pytest.raises(UsageError, match="sobel:x,map=stretch: only the last result is stored"):
        stack.stages([stack.stage("sobel:x,map=stretch"), "gaussian:1"])


def test_defaults_apply_to_the_filters_that_take_them() -> None:
    first, last = stack.stages(["box:3", "maxpool:2"], padding_mode="wrap")
    assert (first.padding_mode, last.padding_mode) == ("wrap", "edge")
    with pytest.raises(UsageError, match="no filter of the stack uses flip"):
        stack.stages(["avgpool:2", "maxpool:2"], flip=True)
    with pytest.raises(UsageError, match="at least one filter is needed"):
        stack.stages([])


def test_finished_stages_pass_through_a_stack() -> None:
    stage = stack.stage("box:3")
    assert stack.stages([stage, stage, "box:3"])[:2] == (stage, stage)


def test_a_padding_value_sets_the_mode_that_reads_it() -> None:
    assert stack.stage("box:3,padding_value=9").padding_mode == "constant"
    assert stack.stage("box:3", padding_value=9.0).padding_mode == "constant"
    assert stack.stage("box:3", padding_value=0.0).padding_mode == "constant"
    with pytest.raises(UsageError, match="padding_value is for padding mode constant, got wrap"):
        stack.stage("box:3,padding_value=9,padding_mode=wrap")
