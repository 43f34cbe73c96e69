"""A reused executable gives the same bytes, keeps no reference to a picture, and needs little memory."""

import gc
import os
import threading
import tracemalloc
import weakref
from contextlib import contextmanager
from itertools import repeat

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import convfilter
from convfilter.engine import executable_cache
from convfilter.engine.executable_cache import executables as cache
from convfilter.executor import chunks
from convfilter.executor.run import prepare, run_array, run_rows
from convfilter.filters import kernels, stack
from convfilter.filters.kernel import from_array
from convfilter.filters.operators import Correlation
from convfilter.filters.stage import Stage
from convfilter.picture.row_source import LazyRows
from convfilter.planning import plan_stack
from convfilter.planning.plan_cache import cached_plan

FULL_RANK = from_array(np.random.default_rng(0).integers(-9, 9, (5, 7)))
STAGES = {
    "direct": Stage(Correlation(FULL_RANK), map="abs"),
    "real": Stage(Correlation(from_array(np.random.default_rng(1).normal(size=(4, 3))))),
    "row": Stage(Correlation(from_array([[1, 4, 1]]))),
    "gaussian": stack.stages(["gaussian:2"])[0],
    "wide": stack.stages(["gaussian:14"])[0],
    "wide rows": Stage(Correlation(kernels.gaussian(0.6, 20))),
    "wide columns": Stage(Correlation(kernels.gaussian(20, 0.6))),
    "sobel": stack.stages(["sobel:magnitude"])[0],
    "sobel x": stack.stages(["sobel:x,map=stretch"])[0],
    "unsharp": stack.stages(["unsharp:2,amount=1.5"])[0],
    "box": stack.stages(["box:5x3"])[0],
    "max": stack.stages(["maxpool:3x2,stride=1,padding=1"])[0],
    "average": stack.stages(["avgpool:4,stride=2"])[0],
}


@pytest.fixture(autouse=True)
def nothing_before(monkeypatch):
    cache.forget()
    monkeypatch.setattr("convfilter.engine.schedule.WORTH_A_THREAD", 0)
    yield
    cache.forget()


def picture(shape, dtype, seed, *, finite=True):
    rng = np.random.default_rng(seed)
    if np.dtype(dtype).kind == "u":
        return rng.integers(0, np.iinfo(dtype).max, shape, dtype, endpoint=True)
    image = rng.normal(0.5, 0.4, shape).astype(dtype)
    if not finite:
        image[tuple(rng.integers(0, size) for size in shape)] = rng.choice([np.nan, np.inf])
    return image


@st.composite
def works(draw):
    """A plan, and the shape and type of its pictures."""
    from convfilter.record import replace

    stage = draw(st.sampled_from(sorted(STAGES)).map(STAGES.get))
    mode = draw(st.sampled_from(["edge", "constant", "reflect", "wrap"]))
    stage = replace(stage, padding_mode=mode, padding_value=draw(st.sampled_from([0.0, 0.75])))
    if draw(st.integers(0, 3)) == 0:
        stage = replace(stage, stride=(2, 3), dilation=draw(st.sampled_from([(1, 1), (2, 1)])))
    dtype = draw(st.sampled_from(["uint8", "uint8", "uint16", "float32"]))
    channels, alpha, gray = draw(st.sampled_from([(1, 0, 0), (3, 0, 0), (3, 0, 1), (4, 1, 0), (4, 1, 1), (5, 0, 0)]))
    cols = draw(st.sampled_from([9, 31, 60, 1100 // channels]))  # the last is lane-interleaved by some methods
    shape = draw(st.integers(9, 90)), cols, channels
    target = draw(st.sampled_from([dtype, dtype, "float32"]))
    plan = plan_stack([stage], shape, dtype, out_dtype=target, alpha=bool(alpha), gray=bool(gray))
    return plan, target


@settings(max_examples=25)
@given(
    pair=st.tuples(works(), works()),
    calls=st.lists(st.tuples(st.integers(0, 1), st.integers(1, 4), st.integers(0, 7)), min_size=4, max_size=7),
)
def test_repeated_runs_give_the_bytes_of_the_first(pair, calls):
    for which, threads, kind in calls:
        plan, target = pair[which]
        image = picture(plan.input_shape, plan.dtype, kind, finite=kind != 3)
        if kind == 4:
            image = np.asfortranarray(image)
        if kind == 5:
            image = np.concatenate([image, image], axis=1)[:, : image.shape[1]]
        image.flags.writeable = kind != 6
        before = image.copy()
        result = run_array(plan, image, out_dtype=target, threads=threads)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("convfilter.executor.group.executables", executable_cache.Cache())
            fresh = run_array(plan, image, out_dtype=target, threads=1)
        assert result.pixels.tobytes() == fresh.pixels.tobytes()
        assert result.clipped == fresh.clipped
        assert image.tobytes() == before.tobytes()


@contextmanager
def nothing_made(monkeypatch):
    """Fail if an executable is created rather than reused."""
    with monkeypatch.context() as patch:
        patch.setattr("convfilter.executor.group.Executable", None)
        yield


@pytest.mark.parametrize("shape", [(90, 400, 3), (131, 1500, 1)])
def test_interleaved_rows_are_kept(shape, monkeypatch):
    plan = plan_stack([STAGES["gaussian"]], shape, "uint8")
    assert plan.stages[0].interleaving
    images = [picture(shape, "uint8", seed) for seed in range(3)]
    expected = [
        run_array(plan_stack([STAGES["gaussian"]], shape, "uint8"), image, threads=1).pixels for image in images
    ]
    for number in (0, 0, 1, 2, 0, 1):
        result = run_array(plan, images[number], threads=1 + number).pixels
        np.testing.assert_array_equal(result, expected[number])
    with nothing_made(monkeypatch):
        np.testing.assert_array_equal(run_array(plan, images[0], threads=2).pixels, expected[0])


KEPT = {name: stage for name, stage in STAGES.items() if stage.map != "stretch"}


KEPT_STACKS = {name: [stage] for name, stage in KEPT.items()} | {
    "stack": stack.stages(["gaussian:1", "sobel:magnitude", "maxpool:2"]),
    "wide stack": stack.stages(["box:3", "gaussian:14", "relu"]),
    "orientation": stack.stages(["sobel:orientation"]),
}


@pytest.mark.parametrize("stages", KEPT_STACKS.values(), ids=KEPT_STACKS)
def test_a_plan_that_is_run_again_is_prepared_once(stages, monkeypatch):
    plan = plan_stack(stages, (50, 40, 3), "uint8")
    expected = run_array(plan_stack(stages, (50, 40, 3), "uint8"), picture((50, 40, 3), "uint8", 1)).pixels
    cache.forget()
    run_array(plan, picture((50, 40, 3), "uint8", 0))
    assert len(cache) == 1
    with nothing_made(monkeypatch):
        np.testing.assert_array_equal(run_array(plan, picture((50, 40, 3), "uint8", 1)).pixels, expected)
    assert len(cache) == 1


@pytest.mark.parametrize("stages", KEPT_STACKS.values(), ids=KEPT_STACKS)
def test_neither_image_nor_result_is_kept_alive(stages):
    plan = plan_stack(stages, (50, 40, 3), "uint8")
    for seed in range(3):
        image = picture((50, 40, 3), "uint8", seed)
        result = run_array(plan, image, threads=2).pixels
        base = result if result.base is None else result.base
        watched = [weakref.ref(image), weakref.ref(base)]
        del image, result, base
        if any(ref() is not None for ref in watched):  # in a cycle, which is no leak
            gc.collect()
        assert [ref() for ref in watched] == [None, None]
    assert len(cache) == 1


def test_functions_and_specs_give_the_same_bytes_from_the_cache():
    image = picture((50, 40, 3), "uint8", 0)
    results = [convfilter.apply(image, "gaussian:2"), convfilter.gaussian_blur(image, 2)]
    results += [convfilter.gaussian_blur(image.copy(), 2) for _ in range(3)]
    assert len({result.tobytes() for result in results}) == 1
    assert len(cache) == 2  # the SPEC names the stage, so its plan is another


def test_threads_that_call_at_once_have_memory_of_their_own():
    shape, count = (120, 70, 3), 4
    plan = cached_plan([STAGES["wide"]], shape, np.dtype(np.uint8))
    images = [picture(shape, "uint8", seed) for seed in range(count)]
    expected = [run_array(plan_stack([STAGES["wide"]], shape, "uint8"), image, threads=1).pixels for image in images]
    cache.forget()
    start, wrong = threading.Barrier(count, timeout=60), []

    def call(number):
        for _ in range(10):
            start.wait()
            if (run_array(plan, images[number], threads=2).pixels != expected[number]).any():
                wrong.append(number)

    callers = [threading.Thread(target=call, args=(number,)) for number in range(count)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert not wrong
    assert 1 <= len(cache) <= count


def test_pictures_with_nan_find_the_executable_of_the_method_that_keeps_it_in_its_windows():
    shape = 90, 80, 1
    plan = plan_stack(stack.stages(["gaussian:14"]), shape, "float32")
    image = picture(shape, "float32", 0)
    image[40, 30] = np.nan
    results = [run_array(plan, image).pixels.tobytes() for _ in range(3)]
    assert len(set(results)) == 1
    assert len(cache) == 1


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_an_executable_is_dropped_after_an_exception(error, monkeypatch):
    plan = plan_stack([STAGES["wide"]], (50, 40, 3), "uint8")
    image = picture((50, 40, 3), "uint8", 0)
    expected = run_array(plan, image).pixels
    run_array(plan, image)
    assert len(cache) == 1

    def fail(*_arguments, **_keywords):
        raise error

    with monkeypatch.context() as failing:
        failing.setattr("convfilter.engine.program.Program.run", fail)
        with pytest.raises(error):
            run_array(plan, image)
    assert not len(cache)
    np.testing.assert_array_equal(run_array(plan, image).pixels, expected)
    assert len(cache) == 1


def test_the_cache_of_executables_is_bounded(monkeypatch):
    shape = (300, 200, 3)
    image = picture(shape, "uint8", 0)
    plans = [plan_stack(stages, shape, "uint8") for stages in KEPT_STACKS.values()]
    for plan in plans:  # loops are loaded
        run_array(plan, image)
    sizes = []
    gc.collect()
    gc.freeze()  # of all that other tests have left, nothing is collected again
    for plan in plans:
        cache.forget()
        gc.collect()
        tracemalloc.start()
        try:
            run_array(plan, image, threads=2)
            gc.collect()
            held = tracemalloc.get_traced_memory()[0]
        finally:
            tracemalloc.stop()
        sizes.append(cache.nbytes)
        assert held <= cache.nbytes + 2**18  # the interpreter's objects are not counted
    most = 4 * max(sizes)
    monkeypatch.setattr(cache, "most_bytes", most)
    for plan in plans * 2:
        run_array(plan, image, threads=2)
        with nothing_made(monkeypatch):
            run_array(plan, image, threads=2)
        assert cache.nbytes <= most
    cache.forget()
    run_array(plans[0], image, threads=1)
    size = cache.nbytes
    for most, kept in ((size, 1), (size - 1, 0)):  # one may take everything
        monkeypatch.setattr(cache, "most_bytes", most)
        cache.forget()
        run_array(plans[0], image, threads=1)
        assert len(cache) == kept


@pytest.mark.parametrize("name", ["box", "max", "gaussian"])
def test_memory_for_tall_pictures_is_counted(name):
    image = picture((60_000, 4), "uint8", 0)
    plan = plan_stack([STAGES[name]], image.shape, "uint8")
    run_array(plan, image, threads=2)
    gc.collect()
    tracemalloc.start()
    try:
        cache.forget()
        for _ in range(3):
            run_array(plan, image, threads=1)
        gc.collect()
        held = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert held <= cache.nbytes + 2**18


def test_few_runs_are_kept(monkeypatch):
    monkeypatch.setattr(cache, "most", 2)
    plans = [plan_stack([STAGES["row"]], (9, cols, 1), "uint8") for cols in (5, 6, 7)]
    for plan in plans:
        run_array(plan, picture(plan.input_shape, "uint8", 0))
    assert len(cache) == 2
    for plan in plans[1:]:
        with nothing_made(monkeypatch):
            run_array(plan, picture(plan.input_shape, "uint8", 1))


def test_the_same_plan_to_another_type_is_prepared_anew():
    plan = plan_stack([STAGES["gaussian"]], (20, 30, 3), "uint8")
    image = picture((20, 30, 3), "uint8", 0)
    for _ in range(3):
        for target in ("uint8", "uint16", "float32"):
            result = run_array(plan, image, out_dtype=target).pixels
            np.testing.assert_allclose(
                result * {"uint16": 1 / 257}.get(target, 1.0), run_array(plan, image).pixels, atol=1
            )
    assert len(cache) == 3


@pytest.mark.parametrize("value", [1e300, -7.0, 0.5])
def test_an_unused_padding_value_may_be_anything(value):
    image = picture((40, 50, 3), "uint8", 0)
    expected = convfilter.box_blur(image, 3)
    for _ in range(3):
        got = convfilter.box_blur(image, 3, padding_mode="edge", padding_value=value)
        np.testing.assert_array_equal(got, expected)


def test_a_finalizer_may_filter_while_another_run_is_put_back(monkeypatch):
    plan = plan_stack([STAGES["gaussian"]], (20, 30, 3), "uint8")
    image, other = (picture((20, 30, 3), "uint8", seed) for seed in (0, 1))
    expected = [run_array(plan, each).pixels for each in (image, other)]
    cache.forget()

    class Most(int):
        """A bound whose comparison runs another filter, as a finalizer may while the list of executables changes."""

        compared = False

        def __lt__(self, count):
            if not Most.compared:
                Most.compared = True
                results.append(run_array(plan, other, threads=1).pixels)
            return int(self) < count

    results = []
    monkeypatch.setattr(cache, "most", Most(2))
    caller = threading.Thread(target=lambda: results.append(run_array(plan, image, threads=1).pixels), daemon=True)
    caller.start()
    caller.join(60)
    assert not caller.is_alive()
    np.testing.assert_array_equal(results, expected[::-1])


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_a_child_goes_on_with_what_its_parent_has_kept():
    plan = plan_stack([STAGES["wide"]], (50, 40, 3), "uint8")
    image, other = (picture((50, 40, 3), "uint8", seed) for seed in (0, 1))
    expected = run_array(plan, other).pixels
    run_array(plan, image)
    child = os.fork()
    if not child:
        os._exit(0 if (run_array(plan, other).pixels == expected).all() else 1)
    assert os.waitpid(child, 0)[1] == 0
    np.testing.assert_array_equal(run_array(plan, other).pixels, expected)


def test_equal_chunks_share_an_executable():
    shape, cuts = (128, 400, 3), range(0, 400, 50)
    plan = plan_stack([STAGES["gaussian"]], shape, "uint8")
    image = picture(shape, "uint8", 0)
    whole = run_array(plan, image).pixels
    cache.forget()
    for _ in range(2):
        for left in cuts:
            chunk = chunks.chunk_of(plan.stages[0], (0, 128), (left, left + 50))
            ((first, last),) = chunk.cols.ranges
            done, _ = chunks.run_chunk(plan, 0, chunk, image[:, first:last], np.dtype(np.uint8), 1)
            np.testing.assert_array_equal(done, whole[:, left : left + 50])
    assert len(cache) == 3  # both ends, and all between


class Sink:
    """Takes rows into an array, also band by band, as the writers of files do."""

    def __init__(self, shape):
        self.pixels, self.dtype, self._top = np.empty(shape, np.uint8), np.dtype(np.uint8), 0

    def write(self, rows):
        self.write_at(self._top, rows)
        self._top += len(rows)

    def write_at(self, top, rows):
        self.pixels[top : top + len(rows)] = rows


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("name", ["gaussian", "wide", "box", "max"])
def test_a_run_uses_the_executable_that_was_prepared_for_it(name, threads):
    image = picture((70, 40, 3), np.uint8, 5)
    plan = plan_stack([STAGES[name]], image.shape, image.dtype)
    prepare(plan, image.dtype, threads=threads)
    prepare(plan, image.dtype, threads=threads)  # as the next picture of a batch does
    (prepared,) = cache._waiting
    sink = Sink(plan.output_shape)
    run_rows(plan, image, sink, threads=threads)
    (used,) = cache._waiting
    assert used[2] is prepared[2]
    np.testing.assert_array_equal(sink.pixels, run_array(plan, image).pixels)


@pytest.mark.parametrize(
    ("specs", "most"), [(["gaussian:2"], 40), (["gaussian:8"], 110), (["box:3", "sobel:magnitude"], 80)], ids=str
)
def test_streams_hold_few_bytes_for_each_row(specs, most):
    """Of pictures of millions of rows, tables of rows would take more memory than the rows that are held."""
    cols, heights = 8, (10_000, 60_000)
    held = []
    for height in (heights[0], *heights):
        plan = plan_stack(stack.stages(specs), (height, cols, 1), np.uint8)
        rows = np.zeros((100, cols, 1), np.uint8)
        source = LazyRows(
            plan.input_shape, np.dtype(np.uint8), lambda rows=rows, count=height // 100: repeat(rows, count)
        )
        cache.forget()
        gc.collect()
        tracemalloc.start()
        try:
            run_rows(plan, source, Counter(), threads=1)
            gc.collect()
            held.append(tracemalloc.get_traced_memory()[0])
        finally:
            tracemalloc.stop()
    assert held[-1] - held[-2] <= most * (heights[1] - heights[0])


class Counter:
    """Takes rows, and drops them."""

    dtype = np.dtype(np.uint8)

    def write(self, rows):
        pass
