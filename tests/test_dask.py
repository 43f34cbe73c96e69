"""Stacks on Dask arrays: equal bit for bit to the whole picture, for any chunks, border and algorithm."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pictures import MODES, large, pairs, picture

import convfilter
from convfilter.executor import chunks
from convfilter.planning import AxisPlan

da = pytest.importorskip("dask.array")
dask = pytest.importorskip("dask")
pytest.importorskip("distributed")

from convfilter.dask import apply  # noqa: E402 - it needs what may be missing


def compare(image, chunks, *specs, **keywords):
    """Filter an image in chunks and as a whole, and return the Dask array."""
    result = apply(da.from_array(image, chunks=chunks), *specs, **keywords)
    expected = convfilter.apply(image, *specs, **keywords)
    assert (result.shape, result.dtype) == (expected.shape, expected.dtype)
    found = result.compute(scheduler="synchronous")
    assert found.dtype == expected.dtype
    assert np.array_equal(found, expected)
    return result


CALLS = [
    (("gaussian:2",), {}),
    (("gaussian:3x0,stride=3",), {"algorithm": "separable"}),
    (("gaussian:7",), {}),
    (("gaussian:9x1",), {}),
    (("gaussian:1x9",), {}),
    (("gaussian:14,stride=3",), {}),
    (("box:31x9,stride=2",), {}),
    (("box:5,padding=full", "box:3,padding=valid"), {}),
    (("disk:6",), {"algorithm": "fourier"}),
    (("disk:6,stride=3",), {"algorithm": "fourier"}),
    (("disk:3,dilation=5,stride=2",), {"algorithm": "direct"}),
    (("emboss", "gabor:6"), {}),
    (("sobel:magnitude,stride=2",), {}),
    (("sobel:orientation",), {}),
    (("sobel:orientation,padding=4,ceil=true",), {}),
    (("unsharp:2", "invert", "bias:0.1", "abs"), {}),
    (("gaussian:1", "avgpool:31x25,stride=2"), {}),
    (("gaussian:1", "maxpool:31x25,stride=1,padding=12", "minpool:9"), {}),
    (("avgpool:31x25,stride=1,padding=12",), {}),
    (("maxpool:3,stride=2,padding=1", "avgpool:5,stride=1", "minpool:2"), {}),
    (("tophat:7x4", "guided:5,stride=2"), {}),
    (("blackhat:5,padding=full,padding_mode=reflect",), {}),
    (("gaussian:1.5", "sobel:magnitude,stride=2", "relu", "gaussian:3,stride=3"), {}),
]


@pytest.mark.parametrize(
    ("specs", "keywords"), CALLS, ids=lambda value: "+".join(value) if value and str(value)[0] == "(" else ""
)
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_every_algorithm_gives_the_same_bits_in_chunks(specs, keywords, dtype):
    """Also on real samples, where another order of additions would change bits."""
    keywords = keywords | ({"dtype": np.float32} if dtype == "float32" else {})
    result = compare(large("uint8" if dtype == "float32" else dtype), (300, 100, 1), *specs, **keywords)
    assert result.npartitions > 1 or "gaussian:14,stride=3" in specs  # its kept rows are too few to be cut


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("spec", ["gaussian:2", "gaussian:20", "box:41", "sobel:magnitude,dilation=40", "tophat:21"])
def test_every_border_gives_the_same_bits(mode, spec):
    compare(large("uint8", channels=1), (256, 128, 1), spec, padding_mode=mode)
    # Wider than the picture, past several chunks, and with a padding value that no sample can have.
    value = {"padding_value": 12.5} if mode == "constant" else {}
    rows, cols = ((95, 3), (0, 64)) if spec != "gaussian:20" else ((195, 23), (0, 264))
    for padding in ((rows, cols), (rows[::-1], cols[::-1])):
        compare(picture((40, 30), "uint16"), (9, 7), spec, padding_mode=mode, padding=padding, **value)


@pytest.mark.parametrize(
    "keywords", [{"alpha": True}, {"alpha": True, "gray": True}, {"dtype": np.float32}, {"scale": -3, "offset": 0.5}]
)
@pytest.mark.parametrize("specs", [("gaussian:4,padding_mode=wrap",), ("sobel:x",), ("gaussian:11", "laplacian")])
def test_alpha_luminance_and_depth(keywords, specs):
    compare(large("uint8", channels=4), (300, 160, 4), *specs, **keywords)


@pytest.mark.parametrize("spec", ["maxpool:2", "avgpool:2"])
def test_chunks_of_exact_pooling_begin_where_those_of_the_source_do(spec):
    result = compare(large("uint8"), (300, 250, 3), spec)
    assert result.chunks[0][:2] == (150, 150)


def test_layers_keep_the_shape_of_their_products(tmp_path):
    rng = np.random.default_rng(3)
    path = tmp_path / "layer.npz"
    np.savez(path, weight=rng.standard_normal((8, 3, 5, 5)).astype(np.float32))
    compare(large("uint8"), (200, 150, 3), f"layer:{path}", "maxpool:2", dtype=np.float32)


@pytest.mark.parametrize("geometry", ["stride=2", "stride=3x2,dilation=2,padding=2", "stride=4,output_padding=3"])
def test_transposed_convolutions(geometry, tmp_path):
    path = tmp_path / "up.npz"
    np.savez(path, weight=np.random.default_rng(3).standard_normal((3, 2, 5, 4)).astype(np.float32))
    result = compare(large("uint8"), (150, 100, 3), f"convtranspose:{path},{geometry}", dtype=np.float32)
    assert result.npartitions > 1


@given(
    shape=st.tuples(st.integers(1, 300), st.integers(1, 90)),
    rows=st.integers(1, 300),
    cols=st.integers(1, 90),
    kernel=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    stride=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    dilation=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    padding=st.one_of(st.sampled_from(["same", "full"]), st.tuples(*[st.tuples(*[st.integers(0, 40)] * 2)] * 2)),
    mode=pairs(st.sampled_from(MODES)),
    algorithm=st.sampled_from(["direct", None]),
)
@example((300, 5), 7, 2, (2, 3), (3, 1), (2, 1), "same", "wrap", None)
@example((30, 50), 7, 9, (2, 3), (3, 1), (2, 1), "full", ("constant", "wrap"), None)
def test_any_geometry_in_any_chunks(shape, rows, cols, kernel, stride, dilation, padding, mode, algorithm):
    """Two stages, so that the chunks of the first are cut again for the second."""
    image = picture(shape, "uint8", seed=4)
    weights = np.random.default_rng(5).standard_normal(kernel)
    text = "; ".join(" ".join(f"{number:.6f}" for number in line) for line in weights)
    geometry = {"stride": stride, "dilation": dilation, "padding": padding, "padding_mode": mode}
    try:
        convfilter.apply(image, f"kernel:{text}", "gaussian:1", algorithm=algorithm, **geometry)
    except convfilter.SizeError:
        return
    compare(image, (rows, cols), f"kernel:{text}", "gaussian:1", algorithm=algorithm, **geometry)


def test_chunks_may_cut_the_blocks_of_decimated_rows(monkeypatch):
    """Coarse rows of a multirate Gaussian are computed in blocks: chunks may lie within one or in two."""
    monkeypatch.setattr("convfilter.planning.methods.multirate.COARSE_SAMPLES", 1)
    for stride in (1, 2, 3, 5):
        compare(large("uint8"), (150, 310, 3), "gaussian:8", stride=stride)
        compare(large("uint8"), (150, 310, 3), "gaussian:8", stride=stride, dtype=np.float32)
        compare(large("uint16", channels=1), (50, 310, 1), "gaussian:9x5", stride=stride, dtype=np.float32)
        compare(large("uint16"), (150, 310, 3), "gaussian:10x6", stride=stride, padding_mode="reflect")
        # Among other filters the whole picture is computed without bands.
        compare(large("uint8"), (150, 310, 3), "box:3", f"gaussian:8,stride={stride}", "sobel:x", dtype=np.float32)


@given(
    axis=st.builds(AxisPlan, *[st.integers(1, 40)] * 2, *[st.integers(1, 4)] * 2, *[st.integers(0, 50)] * 2),
    step=st.integers(0, 9),
    wanted=st.lists(st.integers(0, 50)),
)
def test_cuts_rise_and_lie_on_the_grid(axis, step, wanted):
    if axis.output < 1:
        return
    cuts = chunks.boundaries(axis, step, wanted)
    assert (cuts[0], cuts[-1]) == (0, axis.output)
    assert list(cuts) == sorted(set(cuts))
    for cut in cuts[1:-1]:
        assert step and cut % step == 0


def test_a_corner_of_a_wrapped_picture_does_not_need_the_whole():
    """Chunks between the near and the far side are not computed."""
    image = da.from_array(np.zeros((900, 900), np.uint8), chunks=100)
    result = apply(image, "gaussian:2,padding_mode=wrap")
    (optimised,) = dask.optimize(result[:1, :1])
    blocks = {key for key in optimised.__dask_graph__() if isinstance(key, tuple) and str(key[0]).startswith("array-")}
    assert 0 < len(blocks) <= 16


def test_only_the_rows_that_a_neighbour_reads_are_sent():
    image = da.zeros((1000, 400), dtype=np.uint8, chunks=(500, 400))
    result = apply(image, "box:5")
    sizes = [
        (task.args if hasattr(task, "args") else task[1:])[1:]
        for key, task in dict(result.__dask_graph__()).items()
        if isinstance(key, tuple) and "-piece" in key[0]
    ]
    assert sorted((rows.stop - rows.start) for rows, _ in sizes) == [2, 2]


def test_a_scheduler_with_two_processes_gives_the_same_bits():
    import distributed

    image = large("uint8")
    expected = convfilter.apply(image, "gaussian:5", "sobel:magnitude")
    cluster = distributed.LocalCluster(
        n_workers=2,
        threads_per_worker=2,
        host="127.0.0.1",
        memory_limit=0,
        scheduler_kwargs={"dashboard": False, "dashboard_address": "127.0.0.1:0"},
    )
    with cluster, distributed.Client(cluster, set_as_default=False) as client:
        result = apply(da.from_array(image, chunks=(300, 155, 3)), "gaussian:5", "sobel:magnitude")
        assert np.array_equal(client.compute(result).result(), expected)


@pytest.mark.parametrize("mode", ["edge", "reflect", "symmetric", "wrap"])
@pytest.mark.parametrize("spec", ["guided:4", "guided:9,stride=3", "guided:3,dilation=4", "guided:2,stride=31"])
def test_guided_filters_are_cut_at_their_blocks(mode, spec):
    image = large("uint8").astype(np.float32)
    result = compare(image, (100, 70, 3), spec, padding_mode=mode)
    assert (result.npartitions > 1) == (mode != "wrap")
    compare(image[:30], (9, 70, 3), spec, padding_mode=mode)


def test_chunks_along_the_channels_are_joined():
    compare(large("uint8"), (400, 310, 1), "gaussian:2", gray=True)


@pytest.mark.parametrize("dtype", ["int64", "uint64", "int32", "int8", "bool", "float16", ">u2", ">f4", ">f2"])
def test_the_types_are_those_of_arrays(dtype):
    compare(picture((40, 33), "uint8").astype(dtype), (16, 15), "box:3", "sobel:x")


def test_whole_numbers_that_float64_does_not_hold_are_refused():
    numbers = da.from_array(np.array([[1, 2**53 + 1]]), chunks=1)
    with pytest.raises(convfilter.ParameterError, match="must lie within 2\\*\\*53, got int64"):
        apply(numbers, "box:1").compute(scheduler="synchronous")


@pytest.mark.parametrize(
    ("array", "specs", "keywords", "error", "message"),
    [
        (np.zeros((3, 3), np.uint8), ("box:3",), {}, "ParameterError", "array must be a dask array, got ndarray"),
        (da.zeros((3, 3), dtype="c8"), ("box:3",), {}, "ParameterError", "or float64, got complex64"),
        (da.zeros((3, 3), dtype="u1"), ("normalize",), {}, "UsageError", "normalize needs the range of the whole"),
        (da.zeros((3, 3), dtype="u1"), ("box:3",), {"map": "stretch"}, "UsageError", "map=stretch needs the range"),
        (da.zeros((3, 3), dtype="u1"), ("instancenorm",), {}, "UsageError", "normalisations over all pixels need"),
        (da.zeros((3, 3), dtype="u1"), ("box:3",), {"threads": 0}, "ParameterError", "threads must be at least 1"),
        (
            da.zeros((3, 3), dtype="u1"),
            ("box:3",),
            {"threads": 1.5},
            "ParameterError",
            "threads must be a whole number",
        ),
        (da.zeros((3, 3), dtype="u1"), ("box:9,padding=valid",), {}, "SizeError", "output height must be at least 1"),
        (da.zeros((3, 3), dtype="u1"), ("bax:9",), {}, "SpecError", "no filter is called 'bax'"),
    ],
)
def test_invalid_stacks_are_refused_before_anything_is_computed(array, specs, keywords, error, message):
    with pytest.raises(getattr(convfilter, error), match=message):
        apply(array, *specs, **keywords)


def test_chunks_of_unknown_size_are_refused():
    array = da.zeros((9, 9), dtype="u1", chunks=3)
    with pytest.raises(convfilter.ParameterError, match="call compute_chunk_sizes"):
        apply(array[array[:, 0] == 0], "box:3")


def test_the_graph_is_named_after_what_it_computes():
    array = da.zeros((9, 9), dtype="u1", chunks=3)
    assert apply(array, "box:3").name == apply(array, "box:3").name != apply(array, "box:5").name


@pytest.mark.parametrize("shape", [(30, 41), (30, 41, 3)])
def test_the_mask_of_masked_arrays_is_their_mask(shape):
    image = picture(shape, np.float32)
    masked, mask = np.ma.array(image, mask=image > 0.7), np.arange(30 * 41).reshape(30, 41) % 7
    array = da.from_array(masked, chunks=17, asarray=False)
    for keywords in ({}, {"mask": mask}):
        expected = convfilter.apply(masked, "gaussian:2", fill=True, **keywords)
        found = apply(array, "gaussian:2", fill=True, **keywords).compute(scheduler="synchronous")
        np.testing.assert_array_equal(found, expected)
        np.testing.assert_array_equal(convfilter.apply(array, "gaussian:2", fill=True, **keywords), expected)
