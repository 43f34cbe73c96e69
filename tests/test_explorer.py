"""The receptive field of an output: samples of a patch, windows of a pixel, and the interactive page."""

import json
import re
from pathlib import Path

import chromium
import numpy as np
import pytest

import convfilter
from convfilter.cli import main
from convfilter.filters import stack
from convfilter.filters.catalog import FILTERS
from convfilter.planning import plan_stack
from convfilter.report.explorer import Explored, example, exploration, of_channels
from convfilter.report.page import exploring

PHOTO = np.random.default_rng(9).integers(0, 256, (60, 70), np.uint8)
DIGITS = example(13, 17)
FILES = {"kernel", "layer", "convtranspose", "net"}
BRANCHED = {"instancenorm"}

STACKS = [
    (["box:3"], (0, 0)),
    (["kernel:1 2 3; 4 5 6; 7 8 10,stride=2,dilation=2,padding_mode=reflect,flip=true"], (0, 0)),
    (["gaussian:0.8,padding_mode=wrap", "sobel:magnitude"], (0, 0)),
    (["kernel:1 2 3; 4 5 6; 7 8 10,padding_mode=wrap,edge", "box:5x3,padding_mode=reflect,constant"], (0, 0)),
    (["sobel:x,padding_mode=symmetric", "abs", "maxpool:2"], (1, 1)),
    (["box:3x5,padding=valid,scale=0.5,offset=0.25", "avgpool:3,stride=2,padding=1"], (0.5, 0.5)),
    (["unsharp:1,amount=2"], (0.3, 0.9)),
    (["kernel:0 1; 1 0,padding_value=7", "minpool:3,stride=1,padding=1"], (0, 1)),
]


def computed(found, number, place):
    """Compute a pixel of a stage's result from the samples of the level before, as the page does."""
    stage, level = found["stages"][number], found["levels"][number]
    rows, cols = (
        np.arange(stage["size"][axis]) * stage["dilation"][axis]
        + place[axis] * stage["stride"][axis]
        - stage["before"][axis]
        for axis in (0, 1)
    )
    values = np.array(level["values"], float)  # none becomes NaN
    window = values[np.ix_(rows - level["top"], cols - level["left"])]
    sums = [(np.array(kernel["numerators"]) * window).sum() / kernel["divisor"] for kernel in stage["kernels"]]
    match stage["kind"]:
        case "sum":
            result = sums[0]
        case "magnitude":
            result = np.hypot(*sums)
        case "unsharp":
            middle = window[window.shape[0] // 2, window.shape[1] // 2]
            result = middle + stage["amount"] * (middle - sums[0])
        case "max" | "min" | "average":
            result = {"max": np.nanmax, "min": np.nanmin, "average": np.nanmean}[stage["kind"]](window)
        case "point":
            return abs(window[0, 0])
    return result * stage["scale"] + stage["offset"]


@pytest.mark.parametrize(("specs", "at"), STACKS, ids=lambda value: " ".join(value) if isinstance(value, list) else "")
@pytest.mark.parametrize("pixels", [PHOTO, PHOTO.astype(np.float32) / 255], ids=["whole", "real"])
def test_each_number_is_the_engines_and_the_sum_of_its_window(specs, at, pixels):
    found = exploration(stack.stages(specs), pixels, at)
    assert [level["name"] for level in found["levels"]] == ["picture", *specs]
    for number, level in enumerate(found["levels"]):
        whole = convfilter.apply(pixels, *stack.stages(specs[:number]), dtype=np.float32) if number else pixels
        assert level["size"] == list(whole.shape)
        values = np.array(level["values"], float)
        for row, col in np.ndindex(values.shape):
            place = row + level["top"], col + level["left"]
            if not (0 <= place[0] < whole.shape[0] and 0 <= place[1] < whole.shape[1]):
                continue
            np.testing.assert_allclose(values[row, col], whole[place], rtol=1e-6, atol=1e-6)
            if number:
                np.testing.assert_allclose(computed(found, number - 1, place), whole[place], rtol=2e-5, atol=2e-4)


def test_a_transposed_convolution_has_zeros_between_samples(tmp_path):
    weights = np.arange(1.0, 10).reshape(1, 1, 3, 3)
    np.save(tmp_path / "up.npy", weights)
    stages = stack.stages([f"convtranspose:{tmp_path / 'up.npy'},stride=2", "box:2"])
    digits = example(4, 5)
    found = exploration(stages, digits)
    assert [level["size"] for level in found["levels"]] == [[4, 5], [7, 9], [9, 11], [9, 11]]
    _, spread, result, _ = found["levels"]
    values = np.array(spread["values"])
    top, left = -spread["top"], -spread["left"]
    np.testing.assert_array_equal(values[top : top + 7 : 2, left : left + 9 : 2], digits)
    assert np.count_nonzero(values) == np.count_nonzero(digits)
    whole = convfilter.conv_transpose2d(digits, weights, stride=2, dtype=np.float32)
    np.testing.assert_array_equal(np.array(result["values"])[:9, :11], whole)
    for place in ((0, 0), (3, 4), (8, 10)):
        np.testing.assert_allclose(computed(found, 1, place), whole[place], rtol=1e-6)


WEIGHTS = np.random.default_rng(4).integers(-3, 4, (4, 3, 3, 3)) / 4
BIAS = np.array([0.5, 0.0, -0.25, 0.125])
ACROSS = {
    "layer": (["layer:up.npz,padding=1,padding_mode=reflect"], ["map 0", "map 1", "map 2", "map 3"]),
    "after a blur": (["box:3", "layer:up.npz,padding=1", "maxpool:2"], ["map 0", "map 1", "map 2", "map 3"]),
    "groups": (["layer:groups.npz,stride=2,groups=3"], [f"map {number}" for number in range(6)]),
    "two": (["layer:up.npz", "relu", "layer:down.npz,scale=0.5,offset=0.1"], ["map 0", "map 1"]),
    "activation": (["layer:up.npz,activation=relu"], ["map 0", "map 1", "map 2", "map 3"]),
    "transposed": (["convtranspose:back.npz,stride=2"], ["map 0", "map 1"]),
    "orientation": (["sobel:orientation"], ["map 0", "map 1", "map 2"]),
}


@pytest.fixture
def layers(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.savez("up.npz", weight=WEIGHTS, bias=BIAS)
    np.savez("groups.npz", weight=WEIGHTS.reshape(-1, 1, 3, 3)[:6], bias=np.zeros(6))
    np.savez("down.npz", weight=WEIGHTS.reshape(3, 4, 3, 3)[:2])
    np.savez("back.npz", weight=WEIGHTS.transpose(1, 0, 2, 3)[:, :2])


def mixed(found, number, place, output):
    """Compute a pixel of a layer's output channel from the maps of the level before, as the page does."""
    stage, level = found["stages"][number], found["levels"][number]
    first = output // (len(found["levels"][number + 1]["maps"]) // stage["groups"]) * stage["slots"]
    kernels = stage["kernels"][output * stage["slots"] : (output + 1) * stage["slots"]]
    one = {**stage, "kind": "sum", "scale": 1, "offset": 0}
    total = stage["bias"][output]
    for slot, kernel in enumerate(kernels):
        alone = {**level, "values": level["maps"][first + slot]}
        total += computed({"stages": [{**one, "kernels": [kernel]}], "levels": [alone]}, 0, place)
    total = max(total, 0) if stage["activation"] == "relu" else total
    return total * stage["scale"] + stage["offset"]


@pytest.mark.parametrize("case", ACROSS)
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_a_layer_across_channels_is_the_sum_over_all_its_inputs(case, dtype, layers):
    specs, names = ACROSS[case]
    photo = np.random.default_rng(3).integers(0, 256, (17, 19, 3), np.uint8)
    photo = photo if dtype == np.uint8 else (photo / 255).astype(np.float32)
    channels = {name: photo[..., number] for number, name in enumerate(("red", "green", "blue"))}
    found = of_channels(stack.stages(specs), channels)
    assert found["levels"][0]["names"] == ["red", "green", "blue"]
    assert found["levels"][-1]["names"] == names
    whole = np.atleast_3d(convfilter.apply(photo, *stack.stages(specs), dtype=np.float32))
    level = found["levels"][-1]
    assert len(level["maps"]) == whole.shape[2]
    rows, cols = (
        slice(level[name], level[name] + len(level[side])) for name, side in (("top", "rows"), ("left", "cols"))
    )
    scale = 255 if dtype == np.uint8 else 1
    np.testing.assert_allclose(np.moveaxis(level["maps"], 0, -1), whole[rows, cols], rtol=1e-5, atol=1e-5 * scale)
    for number, stage in enumerate(found["stages"]):
        if stage["kind"] != "mix":
            continue
        after = found["levels"][number + 1]
        for output, values in enumerate(after["maps"]):
            for row, col in ((0, 0), (2, 1)):
                place = row - after["top"], col - after["left"]
                known = values[place[0]][place[1]]
                np.testing.assert_allclose(
                    mixed(found, number, (row, col), output), known, rtol=1e-5, atol=1e-5 * scale
                )


def test_more_channels_than_are_drawn_are_reported(tmp_path):
    np.save(tmp_path / "many.npy", np.ones((17, 1, 1, 1)))
    stages = stack.stages([f"layer:{tmp_path / 'many.npy'}"])
    assert of_channels(stages, {"gray": DIGITS}) == "17 channels are more than the 16 that are drawn"


def test_padded_cells_show_their_value_and_its_source():
    (picture, _) = exploration(stack.stages(["box:3,padding_mode=reflect"]), DIGITS)["levels"]
    assert (picture["top"], picture["left"]) == (-1, -1)
    assert picture["rows"][:3] == [1, 0, 1]
    np.testing.assert_array_equal(np.array(picture["values"])[0, 1:], DIGITS[1, : len(picture["cols"]) - 1])
    (picture, _) = exploration(stack.stages(["box:3,padding_mode=wrap,edge"]), DIGITS)["levels"]
    assert (picture["rows"][:2], picture["cols"][:2]) == ([0, 0], [16, 0])
    (picture, _) = exploration(stack.stages(["kernel:1 1 1,padding_value=5"]), DIGITS)["levels"]
    assert picture["cols"][0] == -1
    assert picture["values"][0][0] == 5
    (picture, _) = exploration(stack.stages(["maxpool:3,stride=1,padding=1"]), DIGITS)["levels"]
    assert picture["values"][0][0] is None


@pytest.mark.parametrize(
    "row", [row for row in FILTERS.values() if row.name not in FILES | BRANCHED], ids=lambda row: row.name
)
def test_every_filter_can_be_explored(row):
    stages = stack.stages([row.example])
    found = exploration(stages, PHOTO, (0.5, 0.5))
    whole = convfilter.apply(PHOTO, *stages, dtype=np.float32)
    level = found["levels"][-1]
    rows, cols = (
        slice(level[name], level[name] + len(level[axis])) for name, axis in (("top", "rows"), ("left", "cols"))
    )
    values = level["values"] if "values" in level else level["maps"][0]
    np.testing.assert_allclose(values, np.atleast_3d(whole)[rows, cols, 0], rtol=1e-5, atol=1e-4)


def page_of(explored):
    stages = stack.stages(["box:3"])
    return exploring(plan_stack(stages, (9, 9), np.uint8), stages, explored, "convfilter plan")


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        ("instancenorm", "instancenorm, centred has branches, whose windows differ"),
        ("box:99", "the receptive field of one output is too large to be drawn pixel by pixel"),
        ("box:3,padding=40,padding_value=3", "the patch lies entirely in the padding"),
    ],
)
def test_the_explorer_names_why_a_stack_is_not_drawn(spec, reason):
    found = exploration(stack.stages([spec]), np.zeros((200, 200), np.uint8))
    assert found == reason
    assert f"Not drawn: {reason}." in page_of(Explored(found, ""))


def test_nan_and_infinity_become_null():
    pixels = PHOTO.astype(np.float32)
    pixels[0, 0], pixels[1, 2] = np.nan, np.inf
    found = exploration(stack.stages(["kernel:1 1"]), pixels)
    assert found["levels"][0]["values"][0][0] is None
    json.dumps(found, allow_nan=False)


def test_offsets_count_the_white_of_the_picture():
    twelve = PHOTO.astype(np.uint16) * 16
    stages = stack.stages(["kernel:1,offset=0.5"])
    for white, offset in ((4095, 2047.5), (None, 32767.5)):
        found = exploration(stages, twelve, white=white)
        assert found["stages"][0]["offset"] == offset
        assert found["levels"][1]["values"][0][0] == twelve[0, 0] + offset


def test_the_numbers_cannot_end_the_script():
    hostile = {"levels": [], "stages": [{"name": "kernel:</script><script>alert(1)</script>"}]}
    made, usual = (page_of(Explored(found, "a & b")) for found in (hostile, {"levels": []}))
    assert made.count("</script>") == usual.count("</script>")
    assert "a &amp; b" in made


def test_plan_writes_the_page(tmp_path, capsys):
    page = tmp_path / "windows.html"
    arguments = ["plan", "-f", "box:3", "-f", "maxpool:2", "--size", "9", "--explore", str(page)]
    assert main(arguments) == 0
    assert capsys.readouterr().out.startswith("input        9x9, 3 channels, uint8")
    text = page.read_text()
    assert f"convfilter {' '.join(arguments)}</pre>" in text
    found = json.loads(re.search(r'<script type="application/json">(.*?)</script>', text)[1])
    assert [level["size"] for level in found["levels"]] == [[9, 9], [9, 9], [4, 4]]
    assert main(["plan", "-f", "box:3", "--size", "9", "--explore", str(tmp_path / "x.png")]) == 2
    assert main(["plan", "-f", "box:3", "--size", "9000", "--explore", str(page)]) == 2


# In a browser ---------------------------------------------------------------------


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    if chromium.PROGRAM is None:
        pytest.skip("Chromium is not installed")
    with chromium.running(tmp_path_factory.mktemp("profile")) as browser:
        browser.size(900, 900)
        yield browser


def click(browser, canvas, cell, cells):
    """Click the cell (row, col) of a canvas that has ``cells`` rows and columns."""
    across, down = ((cell[axis] + 0.5) / cells[axis] for axis in (1, 0))
    browser.value(
        f"(() => {{ const c = document.querySelectorAll('.explorer canvas')[{canvas}], b = c.getBoundingClientRect();"
        f"const [x, y] = [b.left + 1 + (b.width - 2) * {across}, b.top + 1 + (b.height - 2) * {down}];"
        f"c.dispatchEvent(new MouseEvent('click', {{clientX: x, clientY: y}})) }})()"
    )


def sums(browser):
    return browser.value("[...document.querySelectorAll('.explorer .sum')].map((each) => each.textContent)")


def orange(browser, canvas, cells):
    """Return which cells are lit: redder than they are blue."""
    shown = browser.value(
        f"(() => {{ const c = document.querySelectorAll('.explorer canvas')[{canvas}], o = c.cloneNode();"
        "const x = o.getContext('2d', {willReadFrequently: true}); x.drawImage(c, 0, 0);"
        f"const [h, w] = [(c.height - 2) / {cells[0]}, (c.width - 2) / {cells[1]}];"
        f"return Array.from({{length: {cells[0]}}}, (_, r) => Array.from({{length: {cells[1]}}}, (_, k) => ["
        f"...x.getImageData(w * (k + .85), h * (r + .85), 1, 1).data]))}})()"
    )
    shown = np.array(shown)
    return shown[..., 0] > shown[..., 2] + 20


def test_a_click_shows_the_window_in_each_stage_and_its_sum(browser, tmp_path):
    page = tmp_path / "windows.html"
    assert main(["plan", "-f", "box:3", "-f", "maxpool:2", "--size", "8", "--explore", str(page)]) == 0
    browser.open(page)
    digits = example(8, 8)
    means = convfilter.box_blur(digits, 3, dtype=np.float32)
    click(browser, 3, (1, 2), (4, 4))
    first, second = sums(browser)
    values = ", ".join(f"{value:.6g}" for value in means[2:4, 4:6].ravel())
    assert second == f"row 1, column 2: max of {values} = {means[2:4, 4:6].max():.6g}"
    terms = " + ".join(f"1·{value}" for value in digits[1:4, 3:6].ravel())
    assert first == f"row 2, column 4: ({terms}) / 9 = {means[2, 4]:.6g}"
    lit = np.zeros((10, 10), bool)
    lit[1 + 1 : 1 + 5, 1 + 3 : 1 + 7] = True
    np.testing.assert_array_equal(orange(browser, 0, (10, 10)), lit)
    click(browser, 1, (0, 2), (3, 3))
    assert "The weight 1/9 in row 0, column 2 meets row 1, column 5 here" in sums(browser)[0]
    browser.value("document.querySelectorAll('.explorer canvas')[3].focus()")
    browser.press("ArrowDown", 40)
    assert sums(browser)[1].startswith("row 2, column 2: ")
    assert browser.complaints() == []


def test_each_channel_is_drawn_when_it_is_chosen(browser, tmp_path):
    photo = np.random.default_rng(8).integers(0, 256, (9, 9, 3), np.uint8)
    convfilter.write(tmp_path / "in.png", photo)
    page = tmp_path / "windows.html"
    assert main(["plan", "-f", "box:3", "--explore", str(page), str(tmp_path / "in.png")]) == 0
    browser.open(page)
    means = convfilter.box_blur(photo, 3, dtype=np.float32)
    assert browser.value("[...document.querySelectorAll('.channels option')].map((each) => each.textContent)") == [
        "red", "green", "blue",
    ]  # fmt: skip
    for channel in (0, 2, 1):
        browser.value(
            f"(() => {{ const s = document.querySelector('.channels select'); s.selectedIndex = {channel};"
            "s.dispatchEvent(new Event('change')) })()"
        )
        click(browser, 2, (4, 5), (9, 9))
        terms = " + ".join(f"1·{value}" for value in photo[3:6, 4:7, channel].ravel())
        assert sums(browser)[0] == f"row 4, column 5: ({terms}) / 9 = {means[4, 5, channel]:.6g}"
    assert chromium.faults(browser) == [] and browser.complaints() == []


def test_a_layer_lights_its_window_in_every_channel_and_adds_up_all_of_them(browser, layers):
    assert (
        main(
            [
                "plan",
                "-f",
                "layer:up.npz,padding=0",
                "-f",
                "layer:down.npz,padding=0",
                "--size",
                "7",
                "--explore",
                "page.html",
            ]
        )
        == 0
    )
    browser.open(Path("page.html").resolve())
    canvas, kernels, maps = 0, 3, 4  # three channels, a kernel for each, four maps, a kernel for each, two maps
    digits = np.stack([example(7, 7, number) for number in range(3)], axis=-1)
    middle = convfilter.conv2d(digits, WEIGHTS, BIAS, padding=0, dtype=np.float32)
    click(browser, kernels + 3 + maps + maps + 1, (1, 1), (3, 3))  # the second map of the result
    lit = np.zeros((7, 7), bool)
    lit[1:6, 1:6] = True
    for channel in range(3):
        np.testing.assert_array_equal(orange(browser, canvas + channel, (7, 7)), lit)
    first, second = sums(browser)
    products = middle[1:4, 1:4] * np.moveaxis(WEIGHTS.reshape(3, 4, 3, 3)[1], 0, -1)
    parts = products.sum(axis=(0, 1))
    assert second.startswith("row 1, column 1: map 0: ")
    said = [float(each) for each in re.findall(r"= (-?[\d.]+)", second.replace("\N{MINUS SIGN}", "-"))]
    np.testing.assert_allclose(said, [*parts, parts.sum()], rtol=1e-5)
    last = second.rpartition("map 1: ")[2]
    assert last.count(" + ") == 3 and last.partition(" = ")[0].count(" + ") == 3
    assert first.startswith("row 2, column 2: channel 0: ") and first.count(" = ") == 4
    # The weight of one input meets pixels of that channel alone.
    click(browser, 4, (0, 2), (3, 3))
    assert "in row 0, column 2 meets row 2, column 4 here" in sums(browser)[0]
    # A pixel of one channel lights every output that sees it, but no other channel.
    click(browser, 1, (3, 3), (7, 7))
    assert [orange(browser, number, (7, 7)).sum() for number in range(3)] == [0, 1, 0]
    assert chromium.faults(browser) == [] and browser.complaints() == []


def test_a_zero_between_samples_is_reported(browser, tmp_path):
    np.save(tmp_path / "up.npy", np.ones((1, 1, 2, 2)))
    page = tmp_path / "up.html"
    spec = f"convtranspose:{tmp_path / 'up.npy'},stride=2"
    assert main(["plan", "-f", spec, "--size", "3", "--channels", "1", "--explore", str(page)]) == 0
    browser.open(page)
    click(browser, 1, (2, 3), (7, 7))
    assert sums(browser)[0] == "row 1, column 2: a zero between samples"
    click(browser, 1, (3, 3), (7, 7))
    assert sums(browser)[0] == f"row 2, column 2: the sample {example(3, 3)[1, 1]}"
    click(browser, 3, (3, 3), (6, 6))
    assert sums(browser)[1] == f"row 3, column 3: 1·{example(3, 3)[1, 1]} + 1·0 + 1·0 + 1·0 = {example(3, 3)[1, 1]}"
    assert browser.complaints() == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_of_a_run_explores_its_first_picture_on_a_phone_too(browser, tmp_path, scheme):
    convfilter.write(tmp_path / "in.png", PHOTO)
    page = tmp_path / "report.html"
    names = [str(tmp_path / name) for name in ("in.png", "out.png")]
    assert main(["edges", "--sobel", "magnitude", "--html", str(page), *names]) == 0
    browser.media(prefers_color_scheme=scheme)
    browser.size(390, 844, mobile=True)
    browser.open(page)
    assert browser.value("document.documentElement.scrollWidth") <= 390
    place = [int(number) for number in re.findall(r"\d+", sums(browser)[0])[:2]]
    whole = convfilter.sobel(PHOTO, dtype=np.float32)
    assert sums(browser)[0].endswith(f"√(x² + y²) = {whole[tuple(place)]:.6g}")
    assert chromium.faults(browser) == []
    assert browser.complaints() == []
    browser.size(900, 900)


def test_the_example_has_bright_squares_on_slopes():
    picture = example(12, 20)
    squares = {(row, col) for row in (3, 4, 5, 6) for col in (2, 3, 4, 5, 11, 12, 13, 14)}
    assert set(map(tuple, np.argwhere(picture == 9).tolist())) == squares
    assert picture[0, :6].tolist() == [0, 2, 0, 2, 0, 2] and picture[:3, 0].tolist() == [0, 1, 2]
    np.testing.assert_array_equal(example(9, 9, 1)[:, :7], example(9, 9)[:, 2:])
