"""The page of ``--html``: its content, and its layout in Chromium, where that is installed."""

from __future__ import annotations

import base64
import hashlib
import io
import pickle
import re
import subprocess
import sys
from fractions import Fraction
from html.parser import HTMLParser
from pathlib import Path

import chromium
import numpy as np
import pytest
from PIL import Image
from processes import run_python

import convfilter
from convfilter import pipeline
from convfilter.batch import workers
from convfilter.cli import html as command
from convfilter.cli import main, root
from convfilter.filters import kernels, stack
from convfilter.filters.kernel import Kernel
from convfilter.filters.kernels import gaussian
from convfilter.picture.colour import with_depth
from convfilter.picture.picture import Picture
from convfilter.planning.field import Field
from convfilter.report import figures, pair, thumbnails, views
from convfilter.report.thumbnails import Thumbnail, thumbnail

NEEDS_CHROMIUM = pytest.mark.skipif(chromium.PROGRAM is None, reason="needs Chromium")
VOID = {"meta", "img", "input", "rect", "line", "polyline"}
BLUE, YELLOW = (0, 0, 255), (255, 255, 0)


class Parsed(HTMLParser):
    """Elements as (name, attributes), images by their description, text; every element must be closed in its turn."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.texts, self.ids = [], [], []
        self._open = []
        self.feed(text)
        assert self._open == []

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        self.ids += [value for name, value in attrs if name == "id"]
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_data(self, data):
        if not self._open or self._open[-1] not in ("style", "script"):
            self.texts.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.texts).split())

    def all(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]

    def picture(self, alt):
        (source,) = [attributes["src"] for attributes in self.all("img") if attributes["alt"] == alt]
        head, _, data = source.partition(";base64,")
        with Image.open(io.BytesIO(base64.b64decode(data))) as image:
            assert head == f"data:image/{image.format.lower()}"
            image.load()
        return image


def save(path, shape=(20, 30, 3), dtype=np.uint8, seed=0):
    pixels = np.random.default_rng(seed).integers(0, np.iinfo(dtype).max + 1, shape).astype(dtype)
    Path(path).parent.mkdir(exist_ok=True)
    convfilter.write(path, pixels)
    return pixels


def parsed(path="report.html"):
    text = Path(path).read_text()
    found = Parsed(text)
    assert len(set(found.ids)) == len(found.ids)
    links = {attributes["href"] for attributes in found.all("a")}
    assert {link.removeprefix("#") for link in links} <= set(found.ids)
    assert "http" not in re.sub(r"<meta http-equiv|http://www.w3.org/2000/svg", "", text)
    assert "url(" not in text
    return found


def without_timings(path):
    text = re.sub(r'<pre class="command".*?</pre>', "", Path(path).read_text())  # it names the page, and the jobs
    return re.sub(r'<section id="timings">.*?</section>', "", text, flags=re.DOTALL)


def run(*words):
    return main([*map(str, words)])


# Contents ---------------------------------------------------------------------


def test_a_page_has_the_pictures_the_plan_the_kernels_and_the_timings(folder):
    before = save("in.png", (21, 30, 3))
    assert run("blur", "--gaussian", 2, "--stride", 2, "--html", "report.html", "in.png", "out.png") == 0
    found = parsed()
    np.testing.assert_array_equal(np.asarray(found.picture("Before: in.png")), before)
    with Image.open("out.png") as after:
        np.testing.assert_array_equal(np.asarray(found.picture("After: in.png")), np.asarray(after))
    assert "30x21 rgb uint8 → 15x11 rgb uint8" in found.text
    assert "floor((30 + 12 + 12 - 1*(25 - 1) - 1) / 2) + 1 = 15" in found.text
    assert "field 25x25 pixels of the input, 2 apart" in found.text
    assert "exp(-x^2 / (2 sigma^2))" in found.text
    assert "before: every pixel; after: every pixel" in found.text
    assert found.all("svg")[0]["aria-label"].startswith("heat map of 25x25 weights")
    table = re.search(r'<section id="timings">(.*?)</section>', Path("report.html").read_text(), re.DOTALL)
    for step in ("read", "plan", "run", "write"):
        assert re.search(rf'<th scope="col" class="number">{step}</th>', table[1])
    assert len(re.findall(r'<td class="number">\d+\.\d{3}</td>', table[1])) == 7


def test_a_page_may_load_nothing_and_run_its_own_script_only(folder):
    save("in.png")
    assert run("blur", "--box", 3, "--html", "report.html", "in.png", "out.png") == 0
    (policy,) = [meta["content"] for meta in parsed().all("meta") if "http-equiv" in meta]
    rules = dict(rule.split(maxsplit=1) for rule in policy.split("; "))
    assert rules.pop("default-src") == "'none'"
    assert rules.pop("img-src") == "data:"
    assert rules.pop("style-src") == "'unsafe-inline'"
    script = re.search("<script>(.*?)</script>", Path("report.html").read_text(), re.DOTALL)[1]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert rules == {"script-src": f"'sha256-{digest}'"}


def test_only_the_timings_differ_between_runs_and_jobs(folder):
    for index in range(4):
        save(f"photos/{index}.png", (30 + index, 40, 3), seed=index)
    (folder / "photos" / "torn.png").write_bytes(Path("photos/0.png").read_bytes()[:900])
    pages = []
    for jobs in (1, 2, 2):
        words = ("--jobs", jobs, "--html", f"{len(pages)}.html", "photos", "out/")
        assert run("edges", "--sobel", "magnitude", *words) == 1
        pages.append(without_timings(f"{len(pages)}.html"))
    assert pages[0] == pages[1] == pages[2]
    assert [name for name in re.findall(r"<h3>(.*?)</h3>", pages[0])[:4]] == [f"photos/{n}.png" for n in range(4)]
    assert "4 done, 1 failed" in pages[0]
    command = "convfilter edges --sobel magnitude --jobs 2 --html 1.html photos out/"
    assert f'<pre class="command" tabindex="0">{command}</pre>' in Path("1.html").read_text()
    assert "<strong>photos/torn.png</strong>: the PNG is truncated" in pages[0]


@pytest.mark.parametrize(
    "name", ["<img src=x onerror=alert(1)>.png", "a\"b'c&amp;.png", "two\nlines.png", "\udcff.png"]
)
def test_names_are_text(folder, name):
    save("in.png")
    (folder / "in.png").rename(folder / name)
    assert run("blur", "--box", 3, "--html", "report.html", name, "out.png") == 0
    found = parsed()
    shown = name.replace("\n", "\\n").replace("\udcff", "\\xff")
    assert {image["alt"] for image in found.all("img")} == {f"Before: {shown}", f"After: {shown}"}
    assert found.all("input")[0]["aria-label"].endswith(shown)


def test_a_failure_of_the_only_file_makes_a_page_too(folder):
    (folder / "in.png").write_bytes(b"no picture")
    (folder / "report.html").write_text("old")
    assert run("blur", "--box", 3, "--html", "report.html", "in.png", "out.png") == 1
    found = parsed()
    assert "1 failed" in found.text
    assert not found.all("img")


def test_wrong_usage_leaves_the_old_page(folder):
    save("in.png")
    (folder / "report.html").write_text("old")
    assert run("blur", "--box", 3, "--map", "odd", "--html", "report.html", "in.png", "out.png") == 2
    assert (folder / "report.html").read_text() == "old"


def test_a_page_is_named_as_one(folder, capfd):
    save("in.png")
    before = (folder / "in.png").read_bytes()
    assert run("blur", "--box", 3, "--html", "in.png", "in.png", "out.png") == 2
    assert capfd.readouterr().err == (
        "convfilter: --html: a report is an HTML page, got 'in.png'; name it report.html, for instance\n"
    )
    assert (folder / "in.png").read_bytes() == before
    assert not (folder / "out.png").exists()


def test_a_page_appears_whole_or_not_at_all(folder, monkeypatch):
    save("in.png")
    (folder / "report.html").write_text("old")

    def fails(_run):
        raise MemoryError

    monkeypatch.setattr(command, "page", fails)
    assert run("blur", "--box", 3, "--html", "report.html", "in.png", "out.png") == 1
    assert (folder / "report.html").read_text() == "old"
    assert sorted(path.name for path in folder.iterdir()) == ["in.png", "out.png", "report.html"]


def test_a_page_can_lie_in_the_folder_that_is_made_for_the_outputs(folder):
    save("photos/a.png")
    assert run("blur", "--box", 3, "--html", "out/report.html", "photos", "out/") == 0
    assert "photos/a.png" in parsed("out/report.html").text


def test_pipes_are_shown(folder):
    before = save("in.png")
    program = [sys.executable, "-m", "convfilter", "blur", "--box", "3", "--html", "report.html", "--format", "png"]
    done = subprocess.run([*program, "-", "-"], input=Path("in.png").read_bytes(), capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    found = parsed()
    np.testing.assert_array_equal(np.asarray(found.picture("Before: standard input")), before)
    with Image.open(io.BytesIO(done.stdout)) as after:
        np.testing.assert_array_equal(np.asarray(found.picture("After: standard input")), np.asarray(after))
    assert "→ standard output" in found.text


def test_the_page_shows_an_overwritten_picture_as_it_was(folder):
    before = save("in.png")
    assert run("blur", "--box", 5, "--in-place", "--html", "report.html", "in.png") == 0
    np.testing.assert_array_equal(np.asarray(parsed().picture("Before: in.png")), before)


def test_a_dry_run_writes_no_page(folder):
    save("photos/a.png")
    assert run("blur", "--box", 3, "--dry-run", "--html", "report.html", "photos", "out/") == 0
    assert [path.name for path in folder.iterdir()] == ["photos"]


def test_the_page_names_pictures_that_are_up_to_date(folder, capfd):
    for name in "ab":
        save(f"photos/{name}.png")
    words = ("blur", "--box", 3, "--update", "--html", "report.html", "photos", "out/")
    assert run(*words) == 0
    assert len(parsed().all("img")) == 4
    save("photos/b.png", seed=1)
    assert run(*words) == 0
    assert "1 up to date" in capfd.readouterr().err
    found = parsed()
    assert "1 up to date, not filtered again" in found.text
    assert "out/a.png" in found.text
    assert {image["alt"] for image in found.all("img")} == {"Before: photos/b.png", "After: photos/b.png"}


def test_a_run_that_is_stopped_has_a_page_of_what_was_done(folder, monkeypatch):
    for index in range(3):
        save(f"photos/{index}.png", seed=index)

    def stopped(jobs, options, *_others):
        yield workers.perform(jobs[0], options)
        raise KeyboardInterrupt

    monkeypatch.setattr(workers, "outcomes", stopped)
    with pytest.raises(KeyboardInterrupt):
        root.run(["blur", "--box", "3", "--html", "report.html", "photos", "out/"])
    found = parsed()
    assert "1 done, 2 not done" in found.text
    assert len(found.all("img")) == 2


def test_many_pictures_are_listed_and_some_shown(folder):
    for index in range(101):
        save(f"photos/{index:03}.png", (2, 3, 3), seed=index)
    assert run("blur", "--box", 3, "--html", "report.html", "photos", "out/") == 0
    found = parsed()
    assert len(found.all("img")) == 200
    assert "The first 100 of 101 pictures are shown" in found.text
    assert all(f"photos/{index:03}.png" in found.text for index in range(101))


def test_long_lists_say_what_they_leave_out(folder):
    for index in range(13):
        save(f"photos/{index}.png", (8 + index, 9, 3))
    assert run("blur", "--box", 3, "--html", "report.html", "photos", "out/") == 0
    text = Path("report.html").read_text()
    assert "The first 12 of 13 plans" in text
    assert len(re.findall(r'<h3 id="plan-\d+"', text)) == 12
    assert "are listed" not in text
    report = pipeline.filter_file("photos/1.png", "out.png", pipeline.Options(("box:3",)))
    done, failed = command.Entry("in.png", "out.png", report), command.Entry("no.png", "out.png", None, "broken")
    text = command.page(command.Run(stack.stages(["box:3"]), [done] * 1001 + [failed] * 1001, ["old.png"] * 1001))
    assert text.count("The first 1000 of 1001 files are listed.") == 3
    assert "The first 1000 of 1001 failures are listed." in text
    assert text.count("<strong>no.png</strong>") == 1000


def test_maps_are_shown_as_a_sheet(folder):
    save("in.png")
    weight = np.random.default_rng(1).normal(size=(6, 3, 3, 3)).astype(np.float32)
    np.savez("conv.npz", weight=weight)
    for name, shown in (("out.png", "6 maps"), ("out.npy", "6 maps"), ("out.tiff", "6 maps")):
        assert run("apply", "-f", "layer:conv.npz", "--html", "report.html", "in.png", name) == 0
        found = parsed()
        assert shown in found.text
        assert found.picture("After: 6 maps of in.png").size == (3 * 34 + 4, 2 * 38 + 4)
        assert not found.all("input")
        assert "6 outputs (down) of 3 inputs (across), 3x3 weights each" in found.text


def test_arrays_of_signed_values_are_stretched(folder):
    save("in.png")
    assert run("edges", "--sobel", "x", "--html", "report.html", "in.png", "out.npy") == 0
    values = np.load("out.npy")
    found = parsed()
    assert f"black is {values.min():.4g}, white is {values.max():.4g}" in found.text
    shown = np.asarray(found.picture("After: in.png")).astype(np.float64)
    expected = (values - values.min()) / (values.max() - values.min()) * 255
    assert np.abs(shown - expected).max() <= 0.51


def test_frames_are_counted(folder):
    frames = [Image.fromarray(np.full((9, 9), value, np.uint8)) for value in (10, 200)]
    frames[0].save("in.tiff", save_all=True, append_images=frames[1:])
    assert run("blur", "--box", 3, "--html", "report.html", "in.tiff", "out.tiff") == 0
    found = parsed()
    assert "frame 0 of 2 is shown" in found.text
    assert np.asarray(found.picture("Before: in.tiff")).mean() == 10


def test_large_pictures_are_reduced_and_a_part_is_not(folder, monkeypatch):
    monkeypatch.setattr(views, "SIDES", ((12, 100),))
    monkeypatch.setattr(views, "DETAIL", (60, 40))
    pixels = np.full((300, 400, 3), 90, np.uint8)
    pixels[200:230, 250:290] = np.random.default_rng(0).integers(0, 256, (30, 40, 3))
    convfilter.write("in.png", pixels)
    assert run("blur", "--gaussian", 1, "--stride", 2, "--html", "report.html", "in.png", "out.png") == 0
    found = parsed()
    assert "before: reduced 4 to 1" in found.text
    assert found.picture("Before: in.png").size == (100, 75)
    corner = re.search(r"60x40 pixels from column (\d+), row (\d+); every pixel", found.text)
    col, row = int(corner[1]), int(corner[2])
    assert 225 <= col <= 255 and 185 <= row <= 205
    part = np.asarray(found.picture("Before: part of in.png"))
    np.testing.assert_array_equal(part, pixels[row : row + 40, col : col + 60])
    with Image.open("out.png") as after:
        rows = slice(-(-row // 2), (row + 39) // 2 + 1)
        cols = slice(-(-col // 2), (col + 59) // 2 + 1)
        np.testing.assert_array_equal(np.asarray(found.picture("After: part of in.png")), np.asarray(after)[rows, cols])


def test_a_look_can_be_pickled(folder):
    pixels = save("in.png")
    look = pickle.loads(pickle.dumps(views.Look(frozenset({"out.png"}))))
    picture = convfilter.Picture.from_array(pixels)
    plan = convfilter.plan(pixels.shape, "gaussian:1")
    shown = pickle.loads(pickle.dumps(look("out.png", picture, picture, [plan], "picture")))
    assert shown.shown.before == shown.shown.after and shown.shown.place == (0, 0, 1, 1)
    assert look("other.png", picture, picture, [plan], "picture") == shown._replace(shown=None)


def test_the_page_needs_no_matplotlib_and_the_plain_run_no_page(folder):
    save("in.png")
    for option, needed in (("'--html', 'report.html', ", True), ("", False)):
        run_python(
            "import os, sys\n"
            f"os.chdir({str(folder)!r})\n"
            "sys.modules['matplotlib'] = None\n"
            "from convfilter.cli import main\n"
            f"assert main(['blur', '--box', '3', {option}'in.png', 'out.png']) == 0\n"
            f"assert any(name.startswith('convfilter.report') for name in sys.modules) is {needed}\n"
        )


# Thumbnails -------------------------------------------------------------------


def decoded(thumb):
    return Image.open(io.BytesIO(thumb.data))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize(
    ("model", "alpha", "channels"), [("gray", False, 1), ("gray", True, 2), ("rgb", False, 3), ("rgb", True, 4)]
)
def test_small_pictures_are_kept_exactly(dtype, model, alpha, channels):
    rng = np.random.default_rng(channels)
    pixels = rng.uniform(0, 1 if dtype is np.float32 else np.iinfo(dtype).max, (7, 9, channels)).astype(dtype)
    pixels = pixels[..., 0] if channels == 1 else pixels
    thumb = thumbnail(pixels, model, alpha, side=100, most_bytes=10**6)
    assert thumb.is_exact and thumb.levels is None
    np.testing.assert_array_equal(np.asarray(decoded(thumb)), with_depth(pixels, np.uint8))


def test_reduced_pictures_are_means_over_areas():
    pixels = np.random.default_rng(0).integers(0, 256, (96, 160, 3), np.uint8)
    means = pixels.reshape(12, 8, 20, 8, 3).mean(axis=(1, 3))
    reduced = Image.open(io.BytesIO(thumbnails.for_browsers(Picture.from_array(pixels), 8)))
    assert np.abs(np.asarray(reduced) - means).max() <= 0.5
    thumb = thumbnail(pixels, "rgb", False, side=20, most_bytes=10**6)
    assert (thumb.size, thumb.factor, thumb.full, thumb.extent) == ((20, 12), 8, (160, 96), (1, 1))
    assert not thumb.is_exact
    rest = thumbnail(pixels, "rgb", False, side=30, most_bytes=10**6)
    assert (rest.size, rest.factor, rest.extent) == ((27, 16), 6, (162 / 160, 1))


def test_thumbnails_do_not_depend_on_their_bands(monkeypatch):
    picture = Picture.from_array(np.random.default_rng(0).integers(0, 65536, (50, 30), np.uint16))
    whole = thumbnails.for_browsers(picture, 3)
    monkeypatch.setattr(thumbnails, "BAND_PIXELS", 200)
    assert thumbnails.for_browsers(picture, 3) == whole


def test_transparent_pixels_do_not_colour_a_thumbnail():
    pixels = np.zeros((64, 64, 4), np.uint8)
    pixels[:, ::2] = (255, 0, 0, 255)
    pixels[:, 1::2, 1] = 255  # green, and nobody sees it
    colour = np.asarray(decoded(thumbnail(pixels, "rgb", True, side=8, most_bytes=10**6)))
    assert colour[..., 0].min() > 240 and colour[..., 1].max() < 15
    assert np.abs(colour[..., 3].astype(int) - 128).max() <= 2


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_thumbnails_keep_to_their_bytes(channels):
    pixels = np.random.default_rng(0).integers(0, 256, (300, 300, channels), np.uint8)
    pixels = pixels[..., 0] if channels == 1 else pixels
    model, alpha = ("gray" if channels == 1 else "rgb"), channels == 4
    for most in (300_000, 60_000, 9_000, 3_000):
        thumb = thumbnail(pixels, model, alpha, side=300, most_bytes=most)
        assert len(thumb.data) <= most
        assert decoded(thumb).size == thumb.size


def test_inks_become_colours():
    pixels = np.zeros((4, 4, 4), np.uint8)
    pixels[..., 0] = 255  # cyan ink alone
    image = decoded(thumbnail(pixels, "cmyk", False, side=10, most_bytes=10**5))
    assert image.mode == "RGB"
    assert tuple(np.asarray(image)[0, 0]) == (0, 255, 255)


@pytest.mark.parametrize(
    ("values", "shown"),
    [
        ([np.nan, 0.0, 1.0], [0, 0, 255]),
        ([np.inf, 0.0, 1.0], [255, 0, 255]),
        ([np.nan] * 3, [0] * 3),
        ([-np.inf, np.nan, 5.0], [0, 0, 255]),
    ],
)
def test_samples_that_are_not_finite_are_shown_black_or_white(values, shown):
    pixels = np.array([values], np.float32)
    image = decoded(thumbnail(pixels, "gray", False, side=10, most_bytes=10**5))
    assert np.asarray(image).tolist() == [shown]


def test_profiles_are_kept(folder):
    from PIL import ImageCms

    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    pixels = np.random.default_rng(0).integers(0, 256, (90, 90, 3), np.uint8)
    for side in (90, 40):
        thumb = thumbnail(pixels, "rgb", False, side=side, most_bytes=10**6, icc=profile)
        assert decoded(thumb).info["icc_profile"] == profile


# Where the result lies --------------------------------------------------------


def test_results_are_placed_over_their_receptive_fields():
    """Each output of an identity is a pixel of the picture: it covers that pixel, its neighbours the space between."""
    plan = convfilter.plan((40, 60), "identity:stride=3,padding=4", "identity:stride=2,padding=1")
    field = views.last_field(plan, "cols")
    # Output k reads place 2k - 1 of the first result, which reads pixel 3 * that - 4.
    for k in (0, 5):
        left, right = views.edges(field, (k, k + 1))
        assert (left + right) / 2 == 3 * (2 * k - 1) - 4 + 0.5
        assert right - left == 6
    place = views.laid(field, field, (1, 3), (1, 3), (0, 60), (0, 40))
    assert place == views.Place((-1 + 0.5 - 3) / 60, (-1 + 0.5 - 3) / 40, (5 + 0.5 + 3) / 60, (5 + 0.5 + 3) / 40)


def test_the_box_of_both_pictures_includes_the_padding():
    """The result lies a quarter to the left of the picture, and a quarter below: the box is 1.25 times as large."""
    before, after = (Thumbnail(b"", "png", (40, 20), 1, (40, 20)) for _ in range(2))
    laid = pair.layout(before, after, views.Place(-0.25, 0.25, 0.75, 1.25))
    assert (laid.ratio, laid.is_small) == ("2", True)
    assert laid.before == "--x:20.0000%;--y:0.0000%;--w:80.0000%;--h:80.0000%"
    assert laid.after == "--x:0.0000%;--y:20.0000%;--w:80.0000%;--h:80.0000%"


def test_the_detail_of_the_result_lies_over_that_of_the_picture():
    field = Field(size=5, jump=2, first=-2)
    for first in range(0, 9):
        inputs = (first, first + 7)
        begin, end = views.outputs_within(field, inputs, 100)
        centres = [field.start + k * field.jump for k in range(100)]
        assert [k for k, centre in enumerate(centres) if inputs[0] <= centre <= inputs[1] - 1] == list(
            range(begin, end)
        )


# Drawings ---------------------------------------------------------------------


def kernel_of(spec):
    return dict(figures.titled_kernels(stack.stage(spec)))


def ticks(drawing):
    return re.findall(r'<text class="tick[^>]*>([^<]*)</text>', drawing)


def test_drawings_of_kernels_have_axes_with_units():
    kernel = kernels.box(3, 5)
    assert ticks(figures.heat_map(kernel)) == ["−2", "0", "2", "−1", "0", "1", "px", "px"]  # noqa: RUF001
    assert ticks(figures.sections(kernel)) == ["−2", "0", "2", "0", "0.0667", "px from the centre", "weight"]  # noqa: RUF001
    assert ticks(figures.response(kernel)) == 2 * ["−½", "0", "½"] + 2 * ["cycles per px"]  # noqa: RUF001
    assert figures.gain(kernel)[1] == pytest.approx(1)
    assert ticks(figures.heat_map(kernels.identity())) == ["0", "0", "px", "px"]


def test_weights_are_written_into_small_kernels():
    (kernel,) = kernel_of("kernel:1 2 1;2 4 2;1 2 -1/3").values()
    drawn = figures.heat_map(kernel)
    written = [
        Fraction(text.replace("\N{MINUS SIGN}", "-"))
        for text in re.findall(r"<text(?! class=.tick)[^>]*>([^<]*)<", drawn)
    ]
    assert written == [1, 2, 1, 2, 4, 2, 1, 2, Fraction(-1, 3)]
    kinds = re.findall(r'<rect class="(\w+)" x', drawn)
    assert kinds == ["positive"] * 8 + ["negative"]


def test_a_turned_kernel_is_drawn_turned():
    assert kernel_of("kernel:1 2 3,flip=true")["weights"].weights.tolist() == [[3, 2, 1]]
    assert list(kernel_of("sobel:magnitude")) == ["x", "y"]
    assert kernel_of("maxpool:3") == kernel_of("relu") == {}


@pytest.mark.parametrize("whole", [True, False])
def test_large_kernels_are_drawn_by_means_over_blocks(whole):
    kernel = gaussian(15.0, 9.0)
    if whole:
        kernel = Kernel(numerators=kernel.matrix, divisor=kernel.divisor)
    values, block = figures.block_means(kernel)
    assert max(values.shape) <= 34
    weights = kernel.weights
    peak = np.unravel_index(values.argmax(), values.shape)
    assert values[peak] == values.max()
    centre = [size // 2 for size in weights.shape]
    part = tuple(
        slice(middle - size // 2, middle - size // 2 + size) for middle, size in zip(centre, block, strict=True)
    )
    np.testing.assert_allclose(values[peak], weights[part].mean(), rtol=1e-12)
    np.testing.assert_allclose(values, values[::-1, ::-1], atol=1e-12)


def test_huge_kernels_are_drawn_from_their_factors():
    (kernel,) = kernel_of("gaussian:2000").values()
    assert len(figures.heat_map(kernel)) + len(figures.sections(kernel)) + len(figures.response(kernel)) < 500_000


@pytest.mark.parametrize("spec", ["sobel:x", "gaussian:1.5", "kernel:1 2;3 5;7 11"])
def test_responses_are_those_of_the_transform(spec):
    (kernel,) = kernel_of(spec).values()
    drawn = figures.response(kernel)
    opacities = np.array([float(text) for text in re.findall(r'fill-opacity="([\d.]+)"', drawn)]).reshape(33, 33)
    padded = np.zeros((32, 32))
    rows, cols = kernel.shape
    padded[:rows, :cols] = kernel.weights
    expected = np.abs(np.fft.fftshift(np.fft.fft2(padded)))
    np.testing.assert_allclose(opacities[:32, :32] * max(expected.max(), 1e-300), expected, atol=6e-4 * expected.max())


def test_layers_say_what_is_not_drawn():
    from convfilter.filters.network_operators import Layer

    layer = Layer(np.ones((40, 20, 23, 3), np.float32), np.zeros(40, np.float32))
    drawn, text = figures.layer_map(layer)
    assert "the first 16 outputs and 8 inputs are drawn" in text and "one weight of 3" in text
    assert drawn.count("<rect") == 1 + 16 * 8 * 8


# In Chromium ------------------------------------------------------------------


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    if chromium.PROGRAM is None:
        pytest.skip("needs Chromium")
    with chromium.running(tmp_path_factory.mktemp("profile")) as running:
        yield running


@pytest.fixture
def page(folder, browser):
    """A blue picture that becomes yellow, on a page that is open."""
    convfilter.write("in.png", np.full((200, 400, 3), BLUE, np.uint8))
    assert (
        run(
            "apply",
            "-f",
            "invert",
            "-f",
            "sobel:x,padding=0",
            "-f",
            "invert",
            "--html",
            "other.html",
            "in.png",
            "o.png",
        )
        == 0
    )
    assert run("apply", "-f", "invert", "--html", "report.html", "in.png", "out.png") == 0
    browser.media(prefers_color_scheme="light", prefers_reduced_motion="no-preference")
    browser.size(1000, 800)
    browser.open(folder / "report.html")
    assert chromium.faults(browser) == []
    yield browser
    assert browser.complaints() == []
    assert browser.requests() == [(folder / "report.html").resolve().as_uri()]


def share_of_before(browser):
    """Measure on the screen how far the picture before reaches, 0 to 1; to its right must lie the one after."""
    left, top, width, height = browser.box(".slider")
    row = browser.screen()[round(top + height / 5), round(left) + 2 : round(left + width) - 2]
    is_before, is_after = (np.abs(row.astype(int) - colour).max(axis=1) < 8 for colour in (BLUE, YELLOW))
    edge = int(is_before.sum())
    assert is_before[: max(0, edge - 2)].all() and is_after[edge + 6 :].all()
    return edge / len(row)


@NEEDS_CHROMIUM
def test_the_line_moves_by_keys(page):
    assert share_of_before(page) == pytest.approx(0.5, abs=0.01)
    page.press("Tab", 9)
    while page.value("document.activeElement.type") != "range":
        page.press("Tab", 9)
    page.press("Home", 36)
    assert share_of_before(page) == pytest.approx(0, abs=0.01)
    page.press("End", 35)
    assert share_of_before(page) == pytest.approx(1, abs=0.01)
    page.press("PageDown", 34)
    reached = share_of_before(page)
    assert 0.8 < reached < 0.95
    page.press("ArrowLeft", 37)
    assert share_of_before(page) < reached
    assert page.value("document.activeElement.getAttribute('aria-valuetext')").startswith("before ")


@NEEDS_CHROMIUM
def test_the_line_moves_by_mouse(page):
    left, top, width, height = page.box(".slider")
    middle = top + height / 2
    page.drag((left + width / 2, middle), (left + 0.8 * width, middle))
    assert share_of_before(page) == pytest.approx(0.8, abs=0.02)
    # A press beside the line calls it.
    page.drag((left + 0.3 * width, top + 5), (left + 0.3 * width, top + 5))
    assert share_of_before(page) == pytest.approx(0.3, abs=0.02)


@NEEDS_CHROMIUM
def test_the_line_moves_by_touch_on_a_phone(page):
    page.size(360, 640, mobile=True)
    assert page.value("document.documentElement.scrollWidth") <= 360
    left, top, width, height = page.box(".slider")
    middle = top + height / 2
    page.swipe((left + width / 2, middle), (left + 0.2 * width, middle))
    assert share_of_before(page) == pytest.approx(0.2, abs=0.03)


@NEEDS_CHROMIUM
def test_a_finger_that_scrolls_leaves_the_line_alone(page):
    page.size(360, 300, mobile=True)
    left, top, width, height = page.box(".slider")
    before = page.value("scrollY")
    place = left + 0.8 * width
    page.swipe((place, top + 0.9 * height), (place, top + 0.9 * height - 100))
    moved = "(async () => { while (scrollY <= %d) await new Promise(requestAnimationFrame); return scrollY; })()"
    assert page.value(moved % before) > before
    # The page still animates for a while, so its state is read, not its pixels.
    cut = "getComputedStyle(document.querySelector('.slider')).getPropertyValue('--cut')"
    assert page.value(cut) == "50%"
    assert page.value("document.querySelector('.slider input').value") == "50"


@NEEDS_CHROMIUM
def test_the_slider_has_a_name_and_pictures_have_descriptions(page):
    nodes = page.call("Accessibility.getFullAXTree")["nodes"]
    named = {(node.get("role", {}).get("value"), node.get("name", {}).get("value")) for node in nodes}
    assert ("slider", "Line between before (left) and after (right): in.png") in named
    assert {("image", "Before: in.png"), ("image", "After: in.png")} <= named
    assert not [name for role, name in named if role == "image" and not name]


@NEEDS_CHROMIUM
def test_colours_and_motion_follow_the_system(page):
    paper = "getComputedStyle(document.body).backgroundColor"
    moves = "getComputedStyle(document.querySelector('.slider .line'), '::after').transitionDuration"
    light = [int(level) for level in re.findall(r"\d+", page.value(paper))]
    assert page.value(moves) != "0s"
    page.media(prefers_color_scheme="dark", prefers_reduced_motion="reduce")
    dark = [int(level) for level in re.findall(r"\d+", page.value(paper))]
    assert min(light) > 200 and max(dark) < 60
    assert page.value(moves) == "0s"


@NEEDS_CHROMIUM
def test_without_scripts_both_pictures_are_shown(page, folder):
    page.call("Emulation.setScriptExecutionDisabled", value=True)
    try:
        page.open(folder / "report.html")
        shown = page.screen().reshape(-1, 3)
    finally:
        page.call("Emulation.setScriptExecutionDisabled", value=False)
    counts = [int((shown == colour).all(axis=1).sum()) for colour in (BLUE, YELLOW)]
    assert min(counts) > 20_000 and abs(counts[0] - counts[1]) < 0.05 * counts[0]


@NEEDS_CHROMIUM
def test_a_hostile_name_runs_nothing(page, folder):
    name = "<img src=x onerror=document.title='taken'>\"'&amp;.png"
    (folder / "in.png").rename(folder / name)
    assert run("apply", "-f", "invert", "--html", "report.html", name, "out.png") == 0
    page.open(folder / "report.html")
    assert page.value("document.title") == "invert - convfilter"
    assert page.value("document.querySelector('#picture-1 h3').textContent") == name
    assert page.value("document.querySelectorAll('img').length") == 2


@NEEDS_CHROMIUM
def test_a_page_with_all_sections_fits_a_phone(page, folder):
    save("photos/a_very_long_name_of_a_picture_that_nobody_would_want_to_type_twice_in_a_day.png", (50, 70, 3))
    save("photos/b.png", (30, 20, 4))
    (folder / "photos" / "torn.png").write_bytes(b"")
    np.savez("conv.npz", weight=np.ones((3, 3, 3, 3), np.float32))
    words = ["-f", "gaussian:20", "-f", "sobel:magnitude", "-f", "layer:conv.npz", "-f", "maxpool:3,stride=2"]
    assert run("apply", *words, "--html", "report.html", "photos", "out/") == 1
    page.size(320, 640, mobile=True)
    page.open(folder / "report.html")
    assert page.value("document.documentElement.scrollWidth") <= 320
    assert page.value("[...document.images].every(i => i.complete && i.naturalWidth > 0)")
