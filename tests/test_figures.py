"""A plan's receptive field and cost, compared with probes of the stack itself."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import convfilter
from convfilter.cli import main
from convfilter.filters import stack
from convfilter.planning.field import Field
from convfilter.planning.figures import equivalent, figures
from convfilter.report.diagram import diagram
from convfilter.report.figures import drawings

WIDE = 61


@st.composite
def specs(draw: st.DrawFn) -> str:
    """One filter whose every tap counts, on one axis, with any geometry; the border is constant."""
    size, stride, dilation = draw(st.integers(1, 4)), draw(st.integers(1, 3)), draw(st.integers(1, 3))
    before, after = draw(st.integers(0, 3)), draw(st.integers(0, 3))
    if draw(st.booleans()):
        name = f"kernel:{' '.join(str(weight) for weight in range(1, size + 1))},padding_mode=constant"
    else:
        name, before, after = f"avgpool:{size}x1", min(before, 0), min(after, 0)
    return f"{name},stride={stride}x1,dilation={dilation}x1,padding={before},0,{after},0"


def seen(stack: list[str]) -> np.ndarray:
    """Which pixels (columns) change which output (rows): each channel has another pixel perturbed, the last none."""
    base = np.ones((1, WIDE, WIDE + 1), np.float32)
    base[0, :, :WIDE] += np.eye(WIDE, dtype=np.float32)
    results = convfilter.apply(base, *stack)[0]
    return results[:, :WIDE] != results[:, WIDE:]


@settings(max_examples=40, deadline=None)
@given(st.lists(specs(), min_size=1, max_size=3))
def test_receptive_fields_are_what_perturbed_pixels_reach(stack: list[str]) -> None:
    plan = convfilter.plan((1, WIDE), *stack, dtype=np.float32)
    field = figures(plan)[-1].cols
    outputs = seen(stack)
    assert outputs.shape[0] == plan.output_shape[1]
    for output, pixels in enumerate(outputs):
        first = field.first + output * field.jump
        last = first + field.size - 1
        reached = np.flatnonzero(pixels)
        if reached.size:
            assert first <= reached[0] and reached[-1] <= last
        # The outermost taps of every stage count, so both ends are reached, if they lie on the picture
        # and no stage between has padded the way to them.
        inner = all(stage.cols.before == stage.cols.after == 0 for stage in plan.stages[1:])
        if inner and 0 <= first < WIDE:
            assert reached[0] == first
        if inner and 0 <= last < WIDE:
            assert reached[-1] == last


def test_the_fields_of_a_known_network() -> None:
    """A ResNet's first stages: 7x7/2, pool 3x3/2, two 3x3; worked by hand."""
    stack = [
        "kernel:" + ";".join(["1 2 3 4 5 6 7"] * 7) + ",stride=2",
        "maxpool:3,stride=2,padding=1",
        "box:3",
        "box:3",
    ]
    found = [each.rows for each in figures(convfilter.plan((224, 224), *stack))]
    assert [(field.size, field.jump, field.start) for field in found] == [(7, 2, 0), (11, 4, 0), (19, 4, 0), (27, 4, 0)]


def test_two_3x3_see_as_much_as_one_5x5_with_18_of_25_weights() -> None:
    plan = convfilter.plan((50, 50), "box:3", "box:3")
    assert equivalent(plan) == (5, 5, 18)
    assert equivalent(convfilter.plan((50, 50), "box:3", "maxpool:3")) is None
    assert equivalent(convfilter.plan((50, 50), "box:3,stride=2", "box:3")) is None
    assert equivalent(convfilter.plan((50, 50), "box:3")) is None


def test_figures_count() -> None:
    box, pool, edges, points = figures(
        convfilter.plan((40, 50, 3), "kernel:1 2;3 4,stride=2", "maxpool:3", "sobel", "relu")
    )
    assert (box.weights, pool.weights, edges.weights, points.weights) == (4, 0, 18, 0)
    assert box.multiply_adds_direct == 4 * 20 * 25 * 3
    assert box.bytes == 20 * 25 * 3 * 4
    assert points.bytes == 6 * 8 * 3
    assert figures(convfilter.plan((4, 4), "sobel:orientation"))[0].bytes == 4 * 4 * 3
    assert points.cols == edges.cols


def test_a_field_of_even_size_lies_between_pixels() -> None:
    assert Field().start == 0
    assert figures(convfilter.plan((9, 9), "maxpool:2"))[0].rows.start == 0.5


def test_plan_as_json_and_as_text(capfd: pytest.CaptureFixture[str]) -> None:
    stack = ["-f", "box:3,stride=2,padding=1", "-f", "sobel:orientation", "--size", "9x7"]
    assert main(["plan", *stack, "--json"]) == 0
    found = json.loads(capfd.readouterr().out)
    assert found["output"] == {"width": 5, "height": 4, "channels": 3}
    width = found["stages"][0]["width"]
    assert (width["input"], width["padding"], width["output"], width["jump"], width["start"]) == (9, [1, 1], 5, 2, 0)
    assert [stage["width"]["receptive_field"] for stage in found["stages"]] == [3, 7]
    assert found["weights"] == 9 + 18
    assert main(["plan", "-f", "box:3", "-f", "box:3", "--size", "64"]) == 0
    text = capfd.readouterr().out
    assert "3 x 3 = 9 weights" in text
    assert "field      5x5 pixels of the input, 1 apart, the first about (0, 0)" in text
    assert "one 5x5 kernel of the same receptive field, with 18/25 of its weights" in text


def test_explain_prints_the_plan_and_runs_it(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    source, target = tmp_path / "in.png", tmp_path / "out.png"
    Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8)).save(source)
    assert main(["pool", "--max", "2", "--explain", str(source), str(target)]) == 0
    told = capfd.readouterr()
    assert "stage 1      maxpool:2" in told.err and "receptive" not in told.out
    assert target.exists()


@pytest.mark.parametrize("spec", ["gaussian:4", "box:3", "median:5"])
def test_a_plan_for_a_picture_is_that_of_its_run(capfd: pytest.CaptureFixture[str], tmp_path: Path, spec: str) -> None:
    samples = np.random.default_rng(0).integers(0, 256, (40, 40, 4), np.uint8)
    samples[..., :3] = np.minimum(samples[..., :3], samples[..., 3:])
    source, target = str(tmp_path / "in.tif"), str(tmp_path / "out.tif")
    tifffile.imwrite(source, samples, photometric="rgb", extrasamples=["ASSOCALPHA"])  # premultiplied
    assert main(["plan", "-f", spec, source]) == 0
    planned = capfd.readouterr().out
    assert main(["apply", "-f", spec, "--explain", source, target]) == 0
    assert capfd.readouterr().err.startswith(planned)  # a note about compiling may follow


# Drawings -----------------------------------------------------------------------------------------------------------


def boxes(drawing: str, *kinds: str) -> list[dict[str, str]]:
    root = ET.fromstring(drawing)
    found = [element.attrib for element in root.iter("{http://www.w3.org/2000/svg}rect")]
    return [each for each in found if each.get("class") in kinds]


def test_windows_without_weights_have_neither_cross_sections_nor_a_frequency_response() -> None:
    for spec in ("median:3", "erode:3"):
        ((drawing,),) = drawings(stack.stage(spec))
        assert drawing.caption == "window: 3x3, 9 pixels, no weights"


def test_the_drawing_shows_every_cell() -> None:
    drawing = diagram(convfilter.plan((5, 6), "kernel:1 2 1;2 4 2;1 2 1,stride=2,padding=1,dilation=2"))
    assert len(boxes(drawing, "in", "tap")) == 5 * 6
    assert len(boxes(drawing, "pad", "tap pad")) == 7 * 8 - 30
    assert len(boxes(drawing, "tap", "tap pad")) == 9
    assert len(boxes(drawing, "out", "hit")) == 2 * 2
    (window,), (after,) = boxes(drawing, "window"), boxes(drawing, "next")
    cell = float(boxes(drawing, "in")[0]["width"])
    assert float(window["width"]) == pytest.approx(5 * cell, rel=1e-4)
    assert float(after["x"]) - float(window["x"]) == pytest.approx(2 * cell, rel=1e-4)


def test_large_pictures_are_drawn_in_part() -> None:
    drawing = diagram(convfilter.plan((3000, 4000, 3), "gaussian:4", "kernel:1 -1,padding=valid", "relu"))
    assert "upper left corner" in drawing and len(drawing) < 1_000_000
    assert "kernel:1 -1" in drawing
    assert len(boxes(drawing, "window")) == 3


def test_large_windows_are_drawn_as_areas_that_fit() -> None:
    drawing = diagram(convfilter.plan((300, 400, 3), "gaussian:40", "box:101x3,stride=30,padding=1"))
    assert len(drawing) < 5000
    width = float(ET.fromstring(drawing).attrib["width"])
    (window, second), (picture, _) = boxes(drawing, "window"), boxes(drawing, "in")
    pixel = float(picture["width"]) / 400
    assert float(window["width"]) == pytest.approx(481 * pixel, rel=1e-4)
    assert float(picture["x"]) - float(window["x"]) == pytest.approx(240 * pixel, rel=1e-4)
    assert float(second["width"]) / float(second["height"]) == pytest.approx(101 / 3, rel=1e-3)
    for box in boxes(drawing, "window", "next", "in", "tap", "pad", "tap pad", "out"):
        assert float(box["x"]) + float(box["width"]) <= width
    taps = boxes(drawing, "tap")
    assert float(taps[0]["width"]) == pytest.approx(241 * pixel, rel=1e-4)


def test_long_titles_are_shortened() -> None:
    drawing = diagram(convfilter.plan((30, 40), "kernel:" + "1 2 3 " * 15))
    (title,) = [text for text in drawing.splitlines() if "kernel:1 2 3" in text]
    assert "...: 40x30 to 40x30" in title and len(title) < 130


def test_diagrams_are_files_named_svg(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "plan.svg"
    assert main(["plan", "-f", "box:3", "--size", "7", "--diagram", str(path)]) == 0
    assert path.read_text() == diagram(convfilter.plan((7, 7, 3), "box:3"))
    capfd.readouterr()
    assert main(["plan", "-f", "box:3", "--size", "7", "--diagram", "plan.png"]) == 2
    assert "a diagram is an SVG file, got 'plan.png'" in capfd.readouterr().err
    nowhere = tmp_path / "no" / "plan.svg"
    assert main(["plan", "-f", "box:3", "--size", "7", "--diagram", str(nowhere)]) == 1
    assert capfd.readouterr().err == f"convfilter: {nowhere}: there is no folder {nowhere.parent}\n"
