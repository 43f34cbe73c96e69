"""Rectangles of results equal the same rectangles of the whole result, sample by sample."""

import numpy as np
import pytest

from convfilter.executor.region import run_region
from convfilter.executor.run import run_array
from convfilter.filters import stack
from convfilter.planning import plan_stack

RNG = np.random.default_rng(11)
PHOTO = RNG.integers(0, 256, (211, 187, 3), np.uint8)

STACKS = [
    ["gaussian:1.5"],
    ["gaussian:12"],
    ["gaussian:9,stride=3,padding_mode=reflect"],
    ["box:9x5,padding=full"],
    ["sobel:magnitude"],
    ["sobel:orientation"],
    ["kernel:1 2 3; 4 5 6; 7 8 10,dilation=4,padding_mode=wrap,normalize=true"],
    ["unsharp:2,amount=1.5"],
    ["gabor:6,wavelength=8,angle=30"],
    ["disk:30"],
    ["disk:30,stride=3"],
    ["maxpool:3,stride=2,padding=1"],
    ["avgpool:5x3"],
    ["avgpool:31x25,stride=1"],
    ["normalize"],
    ["gaussian:2,map=stretch"],
    ["gaussian:2", "sobel:x,stride=2", "abs", "box:7,padding=valid"],
    ["box:3,padding=20", "gaussian:3", "minpool:2"],
    ["kernel:1 2 3; 4 5 6; 7 8 10,padding=40"],
    ["box:3,padding=25"],
    ["avgpool:4,stride=3,padding=1,ceil=true,count_padding=true"],
    ["gaussian:1,padding=30,padding_mode=reflect,stride=2"],
    ["maxpool:3,stride=2,ceil=true"],
]
SPANS = [((0, 1), (0, 1)), ((30, 61), (11, 40)), ((-9, None), (-7, None)), ((-1, None), (0, 1))]


def resolved(span, size):
    first, last = (size + each if each is not None and each < 0 else each for each in span)
    return min(first, size - 1), min(size if last is None else last, size)


@pytest.mark.parametrize("specs", STACKS, ids=" ".join)
@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.float64])
def test_a_region_is_that_of_the_whole(specs, dtype):
    pixels = PHOTO if dtype == np.uint8 else (PHOTO / 255).astype(dtype)  # reals whose sums depend on their order
    plan = plan_stack(stack.stages(specs), pixels.shape, pixels.dtype)
    whole = run_array(plan, pixels).pixels
    for spans in SPANS:
        rows, cols = map(resolved, spans, whole.shape)
        part = run_region(plan, pixels, rows, cols, pixels.dtype, threads=2)
        np.testing.assert_array_equal(part, whole[slice(*rows), slice(*cols)])


@pytest.mark.parametrize("geometry", ["stride=2", "stride=3x2,dilation=2,padding=2", "stride=4,output_padding=3"])
@pytest.mark.parametrize("window", [(5, 4), (1, 2)], ids=str)  # with a stride of 4 the latter misses whole samples
def test_a_region_of_a_transposed_convolution_is_that_of_the_whole(window, geometry, tmp_path):
    path = tmp_path / "up.npz"
    np.savez(path, weight=RNG.standard_normal((3, 2, *window)).astype(np.float32))
    plan = plan_stack(stack.stages([f"convtranspose:{path},{geometry}"]), PHOTO.shape, PHOTO.dtype)
    whole = run_array(plan, PHOTO, out_dtype="f4").pixels
    for spans in [*SPANS, ((200, 300), (100, 101)), ((64, 66), (0, None)), ((2, 3), (3, 4))]:
        rows, cols = map(resolved, spans, whole.shape)
        part = run_region(plan, PHOTO, rows, cols, np.dtype("f4"), threads=2)
        np.testing.assert_array_equal(part, whole[slice(*rows), slice(*cols)])


def test_a_small_region_reads_a_small_part_of_the_picture(monkeypatch):
    from convfilter.executor import chunks

    sizes = []
    run_stage = chunks.run_stage

    def counted(plan, number, pixels, *others):
        sizes.append(pixels.shape[:2])
        return run_stage(plan, number, pixels, *others)

    monkeypatch.setattr(chunks, "run_stage", counted)
    plan = plan_stack(stack.stages(["gaussian:1.5", "sobel:magnitude"]), PHOTO.shape, PHOTO.dtype)
    run_region(plan, PHOTO, (100, 116), (40, 80), PHOTO.dtype, threads=1)
    assert max(rows for rows, _ in sizes) < 60
    assert max(cols for _, cols in sizes) < 80


def test_alpha_and_luminance_are_as_in_the_whole():
    rgba = RNG.integers(0, 256, (50, 60, 4), np.uint8)
    plan = plan_stack(stack.stages(["gaussian:2", "sobel:x"]), rgba.shape, rgba.dtype, alpha=True, gray=True)
    whole = run_array(plan, rgba).pixels
    part = run_region(plan, rgba, (10, 20), (30, 60), rgba.dtype, threads=1)
    np.testing.assert_array_equal(part, whole[10:20, 30:60])
