"""Stages that run together, against the same stages one by one, and against the oracle."""

import gc
import tracemalloc

import numpy as np
import pytest
import reference
from hypothesis import given, settings
from hypothesis import strategies as st
from samples import byte_noise
from tolerances import assert_float32, assert_same_picture, assert_stored

import convfilter
from convfilter.executor.run import Result, run_array, run_stage
from convfilter.filters import stack
from convfilter.planning import plan_stack
from convfilter.precompile.variants import cache_warm
from convfilter.record import replace
from convfilter.report import plan_text

MODES = ("edge", "constant", "reflect", "symmetric", "wrap")
KERNELS = ("1 2 3", "1;-2;4", "1 2;3 4;5 -6", "0.3 0.1 -0.7;0.2 1.1 0.9;-0.4 0.6 0.2", "1 0 0 0 1;0 0 0 0 0;0 2 0 0 0")


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    """Cut even small pictures into many blocks, and let threads share them."""
    monkeypatch.setattr("convfilter.planning.groups.BLOCK_SAMPLES", 1)
    monkeypatch.setattr("convfilter.engine.schedule.WORTH_A_THREAD", 0)
    monkeypatch.setattr("convfilter.engine.schedule.WHOLE_BYTES", 0)


def planned(specs, shape, dtype, **keywords):
    return plan_stack(stack.stages(specs), shape, dtype, **keywords)


def one_by_one(plan, image, *, out_dtype=None, threads=1):
    """Run the same stages, each on the whole result of the one before."""
    pixels = image.reshape(*image.shape[:2], -1)
    for number in range(len(plan.stages)):
        pixels, clipped = run_stage(plan, number, pixels, np.dtype(out_dtype or image.dtype), threads)
    return Result(pixels.reshape(plan.output_shape), clipped, pixels.size)


@st.composite
def specs(draw):
    """One filter with any geometry and border."""
    stride = f"stride={draw(st.integers(1, 3))}x{draw(st.integers(1, 3))}"
    kind = draw(
        st.sampled_from(("kernel", "kernel", "gaussian", "box", "sobel", "maxpool", "avgpool", "points", "unsharp"))
    )
    if kind == "points":
        return draw(
            st.sampled_from(("relu", "abs", "bias:-0.25", "scale:1.5", "clip:0.2,high=0.7", "invert", "threshold:0.4"))
        )
    if kind in ("maxpool", "avgpool"):
        return f"{kind}:{draw(st.integers(1, 4))}x{draw(st.integers(1, 4))},{stride}"
    name = {
        "kernel": f"kernel:{draw(st.sampled_from(KERNELS))}",
        "gaussian": f"gaussian:{draw(st.sampled_from((0.5, 1, 2.5)))}",
        "box": f"box:{draw(st.integers(1, 9))}x{draw(st.integers(1, 9))}",
        "sobel": "sobel:magnitude",
        "unsharp": "unsharp:0.7",
    }[kind]
    mode = ",".join(draw(st.lists(st.sampled_from(MODES), min_size=1, max_size=2)))
    dilation = draw(st.integers(1, 3)) if kind != "gaussian" else 1
    padding = draw(st.sampled_from(("same", "same", "full", "5,1,2,7")))
    return f"{name},{stride},dilation={dilation},padding={padding},padding_mode={mode}"


@settings(max_examples=40)
@given(
    st.lists(specs(), min_size=2, max_size=4),
    st.sampled_from(("uint8", "uint16", "float32")),
    st.sampled_from(((61, 17, 3), (90, 23), (37, 60, 2), (5, 7, 1))),
    st.sampled_from(("same", "float32")),
    st.integers(1, 3),
    st.booleans(),
)
def test_a_chain_gives_the_bytes_of_its_stages_one_by_one(stack_, dtype, shape, out, threads, alpha):
    image = byte_noise(shape, dtype)
    out_dtype = dtype if out == "same" else out
    try:
        plan = planned(stack_, shape, dtype, out_dtype=out_dtype, alpha=alpha and shape[2:] in ((2,), (3,)))
    except convfilter.SizeError:
        return
    whole = one_by_one(plan, image, out_dtype=out_dtype, threads=1)
    together = run_array(plan, image, out_dtype=out_dtype, threads=threads)
    assert_same_picture(together.pixels, whole.pixels)
    assert together.clipped == whole.clipped


@pytest.mark.parametrize(
    "stack_",
    [
        ["gaussian:12", "sobel:magnitude"],
        ["box:3", "gaussian:16x22,padding_mode=wrap", "maxpool:2"],
        ["gaussian:16,stride=2", "gaussian:40x0.5,padding_mode=reflect,padding=full", "relu"],
        ["kernel:1 2 3,padding_mode=wrap", "gaussian:0.5x60,stride=3x2,padding_mode=constant", "box:3"],
        ["unsharp:16", "gaussian:20,padding_mode=symmetric"],
        ["gaussian:13.49x16.86,padding_mode=reflect,padding=full", "box:1x3"],
    ],
    ids=" ".join,
)
@pytest.mark.parametrize("dtype", ["uint8", "float32"])
@pytest.mark.parametrize("shape", [(296, 64, 3), (97, 101, 4)])
def test_wide_gaussians_in_a_chain(stack_, dtype, shape, monkeypatch):
    """The cuts between blocks of decimated rows do not change results: sums are added in the same order."""
    monkeypatch.setattr("convfilter.planning.methods.multirate.COARSE_SAMPLES", 1)
    image = byte_noise(shape, dtype)
    plan = planned(stack_, shape, dtype, alpha=shape[2] == 4, out_dtype=np.float32)
    assert any(stage.rates != (None, None) for stage in plan.stages)
    assert len(plan.groups) == 1
    whole = one_by_one(plan, image, out_dtype=np.float32).pixels
    got = [run_array(plan, image, out_dtype=np.float32, threads=threads).pixels for threads in (1, 2, 3)]
    assert got[0].tobytes() == got[1].tobytes() == got[2].tobytes()
    assert_same_picture(got[0], whole)


def test_ranges_end_a_chain():
    """These stages need the whole result before them; the stages after them are fused again."""
    image = byte_noise((61, 17, 3), "uint8")
    stack_ = ["box:3", "relu", "normalize", "gaussian:1", "sobel:x,map=stretch"]
    plan = planned(stack_, image.shape, "uint8")
    assert [(group.first, group.last) for group in plan.groups] == [(0, 2), (2, 4), (4, 5)]
    assert_same_picture(run_array(plan, image, threads=2).pixels, one_by_one(plan, image).pixels)


def test_plan_shows_what_runs_together(monkeypatch):
    monkeypatch.undo()
    plan = planned(["gaussian:1", "sobel:magnitude", "normalize", "maxpool:2"], (3000, 4000, 3), "uint8")
    written = list(plan_text.lines(plan))
    assert "together     stages 1 to 2, 16 + 16 rows at a time" in written
    assert "together     stages 3 to 4, 16 + 32 rows at a time" in written
    first, second, _, last = (line for line in written if line.startswith("  memory"))
    assert " held of 137.33 MB result" in first
    assert second.startswith("  memory     137.33 MB result")
    assert last.startswith("  memory     8.58 MB result")
    bytes_ = planned(["erode:3", "dilate:3"], (3000, 4000, 3), "uint8")
    (rows,) = bytes_.groups[0].buffer_rows
    assert f"  memory     {rows * 12_000 / 2**20:.2f} MB held of 34.33 MB result" in "\n".join(plan_text.lines(bytes_))
    shown = plan_text.as_json(plan)["groups"]
    assert [group["stages"] for group in shown] == [[1, 2], [3, 4]]
    # A block and what a block looks at of 16 rows each, of 4000 x 3 float32 samples.
    assert 16 * 48_000 < shown[0]["held_bytes"] < 4 * 16 * 48_000
    wide = planned(["gaussian:1", "sobel:magnitude", "normalize", "maxpool:2"], (3000, 4000, 3), "float64")
    assert plan_text.as_json(wide)["groups"][0]["held_bytes"] == 2 * shown[0]["held_bytes"]


# Against the oracle --------------------------------------------------------------------


@st.composite
def sums(draw):
    """One filter, the oracle's equivalent, and its bound of magnitudes."""
    stride = draw(st.sampled_from(((1, 1), (1, 1), (2, 1), (3, 2))))
    modes = draw(st.tuples(st.sampled_from(MODES), st.sampled_from(MODES)))
    keys = f"stride={stride[1]}x{stride[0]},padding_mode={modes[1]},{modes[0]}"
    geometry = {"stride": stride, "padding_mode": modes}
    kind = draw(st.sampled_from(("kernel", "gaussian", "box", "sobel", "maxpool")))
    if kind == "maxpool":
        return (
            f"maxpool:3x2,{keys.split(',', maxsplit=1)[0]}",
            lambda x: reference.max_pool(x, (2, 3), stride=stride),
            None,
        )
    if kind == "gaussian":
        sigma = draw(st.sampled_from((0.6, 1.5)))
        return f"gaussian:{sigma},{keys}", lambda x: reference.gaussian_blur(x, sigma, **geometry), None
    dilation = draw(st.integers(1, 3))
    geometry["dilation"], keys = dilation, f"{keys},dilation={dilation}"
    if kind == "box":
        return f"box:4x3,{keys}", lambda x: reference.box_blur(x, (3, 4), **geometry), None
    if kind == "sobel":
        across = abs(reference.derivative_kernel("sobel", "x"))
        return (
            f"sobel:magnitude,scale=0.2,{keys}",
            lambda x: 0.2 * reference.gradient(x, "sobel", **geometry),
            lambda x: 0.2 * (reference.correlate(x, across, **geometry) + reference.correlate(x, across.T, **geometry)),
        )
    weights = np.array([[0.3, 0.1, -0.7], [0.2, 1.1, 0.9], [-0.4, 0.6, 0.2]])
    return (
        f"kernel:{KERNELS[3]},{keys}",
        lambda x: reference.correlate(x, weights, **geometry),
        lambda x: reference.correlate(x, abs(weights), **geometry),
    )


@settings(max_examples=30)
@given(
    st.lists(sums(), min_size=2, max_size=4),
    st.sampled_from(("uint8", "uint16", "float32")),
    st.sampled_from(((61, 17, 3), (90, 23), (37, 60, 2))),
)
def test_a_chain_is_what_its_stages_make_in_float64(stack_, dtype, shape):
    image = byte_noise(shape, dtype)
    values, magnitude = reference.real(image), np.abs(reference.real(image))
    for _, apply, apply_to_magnitudes in stack_:
        values, magnitude = apply(values), (apply_to_magnitudes or apply)(magnitude)
    names = [spec for spec, _, _ in stack_]
    if dtype != "float32":
        assert_stored(convfilter.apply(image, *names, threads=2, map="clip"), values)
    raw = convfilter.apply(image, *names, threads=2, dtype=np.float32)
    # Every stage may be off by its promise, and each error passes through the later stages.
    assert_float32(raw, values, len(stack_) * magnitude)


# Numbers that are not finite ----------------------------------------------------------


def test_nan_and_infinity_stay_in_their_windows():
    """A transform would spread an infinity over its tile; this one first appears in the result of the first stage."""
    image = byte_noise((80, 70), "float32")
    image[40, 30] = 3e38
    weights = ";".join([" ".join(["0.37 -0.11 0.29"] * 5)] * 14 + [" ".join(["1.3"] * 15)])
    plan = planned(["kernel:4,padding_mode=constant", f"kernel:{weights}", "relu"], image.shape, "float32")
    fourier = planned([f"kernel:{weights}"], image.shape, "float32", algorithm="fourier").stages[0]
    plan = replace(plan, stages=(plan.stages[0], fourier, plan.stages[2]))
    got = run_array(plan, image, threads=2).pixels
    assert_same_picture(got, one_by_one(plan, image).pixels)
    rows, cols = np.nonzero(~np.isfinite(got))
    assert rows.size and np.ptp(rows) < 15 and np.ptp(cols) < 15


@pytest.mark.parametrize("stack_", [["gaussian:16", "box:3"], ["kernel:4", "gaussian:16", "relu"]], ids=" ".join)
def test_wide_gaussians_keep_what_is_not_finite_in_its_windows(stack_):
    image = byte_noise((300, 70), "float32")
    image[20, 30] = 3e38 if len(stack_) > 2 else np.nan
    plan = planned(stack_, image.shape, "float32")
    assert any(stage.rates[0] is not None for stage in plan.stages)
    got = run_array(plan, image, threads=2).pixels
    assert_same_picture(got, one_by_one(plan, image).pixels)
    rows, _ = np.nonzero(~np.isfinite(got))
    assert rows.size and rows.max() == 20 + 96 + (stack_[-1] == "box:3")


@pytest.mark.parametrize("row, col", [(0, 0), (299, 69), (150, 69), (299, 3)])
@pytest.mark.parametrize("blur", ["gaussian:16", "gaussian:1x16", "gaussian:16x1"])
def test_wide_gaussians_find_what_is_not_finite_anywhere(blur, row, col):
    image = byte_noise((300, 70), "float32")
    image[row, col] = np.inf
    for specs_ in ([blur], ["relu", blur]):
        plan = planned(specs_, image.shape, "float32")
        reach = plan.stages[-1].rows.before, plan.stages[-1].cols.before
        touched = np.zeros(image.shape, bool)
        touched[max(0, row - reach[0]) : row + reach[0] + 1, max(0, col - reach[1]) : col + reach[1] + 1] = True
        np.testing.assert_array_equal(np.isfinite(run_array(plan, image, threads=2).pixels), ~touched)


# Memory --------------------------------------------------------------------------------

#: Working memory that a stack may take on 12 megapixels, whatever its stages: bytes.
LIMIT = 64e6
LARGE = {
    "edges of a blur, pooled": ["gaussian:1", "sobel:magnitude", "maxpool:2"],
    "points": ["scale:1.5", "relu", "gaussian:2", "invert"],
    "wrapped": ["gaussian:2", "gaussian:3,padding_mode=wrap", "box:3,padding_mode=wrap"],
    "tall": ["box:3", "gaussian:12,truncate=4", "maxpool:9"],
    "wide": ["box:3", "gaussian:20", "sobel:magnitude"],
    "very wide": ["unsharp:1", "gaussian:64", "relu"],
    "wide, twice": ["gaussian:20", "gaussian:20", "gaussian:1"],
    "in whole results": ["maxpool:2", "gaussian:20"],
    "strided": ["gaussian:1,stride=3", "sobel:magnitude", "avgpool:5"],
}


@pytest.mark.parametrize("name", LARGE)
def test_working_memory_is_bounded(name, monkeypatch):
    monkeypatch.undo()
    for _loop in cache_warm():  # a compiler would take memory of its own
        pass
    row = np.random.default_rng(0).integers(0, 256, (4000, 3)).astype(np.uint8)
    image = np.broadcast_to(row, (3000, 4000, 3)).copy()
    gc.collect()
    tracemalloc.start()
    try:
        pixels = run_array(planned(LARGE[name], image.shape, "uint8"), image, threads=2).pixels
        working = tracemalloc.get_traced_memory()[1] - pixels.nbytes
    finally:
        tracemalloc.stop()
    assert working < LIMIT


def test_strips_that_share_memory_begin_each_block_afresh(monkeypatch):
    """If ring buffers are too large for the cache, all strips of a thread use the same one."""
    monkeypatch.undo()  # blocks of the usual size
    image = byte_noise((300, 5000, 3))
    stack_ = [
        "kernel:1 2 3 4 5;5 4 3 2 1;1 2 3 4 5;6 5 4 3 2;1 1 1 2 1,normalize=true",
        "kernel:1 2 1;2 5 2;1 2 1,normalize=true",
    ]
    own = run_array(planned(stack_, image.shape, "uint8"), image, threads=1).pixels
    monkeypatch.setattr("convfilter.methods.stencil.PERSISTENT_BYTES", 0)
    assert_same_picture(run_array(planned(stack_, image.shape, "uint8"), image, threads=1).pixels, own)
