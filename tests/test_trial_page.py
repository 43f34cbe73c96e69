"""``convfilter try`` in headless Chromium: sliders, weights, order, keys; its pixels are those of the command."""

import json
import shlex
import threading
import time

import chromium
import numpy as np
import pytest

import convfilter
from convfilter.cli import main
from convfilter.trial import server as trial_server
from convfilter.trial.pace import Pace
from convfilter.trial.scene import Scene
from convfilter.trial.server import Server

pytestmark = pytest.mark.skipif(chromium.PROGRAM is None, reason="Chromium is not installed")
PHOTO = np.random.default_rng(6).integers(0, 256, (400, 600, 3), np.uint8)


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with chromium.running(tmp_path_factory.mktemp("profile")) as browser:
        browser.size(900, 700)
        yield browser


@pytest.fixture
def page(browser, tmp_path, monkeypatch):
    monkeypatch.setattr(trial_server, "GRACE_SECONDS", 0.1)
    monkeypatch.setattr(trial_server, "BEAT_SECONDS", 0.02)
    monkeypatch.setattr(Server, "timeout", 0.02)
    convfilter.write(tmp_path / "in.png", PHOTO)
    server = Server(Scene(str(tmp_path / "in.png"), str(tmp_path / "out.png")), ("gaussian:1",))
    thread = threading.Thread(target=server.serve, daemon=True)
    thread.start()
    browser.visit(server.address)
    settled(browser)
    browser.folder = tmp_path
    yield browser
    complaints, requests = browser.complaints(), browser.requests()
    browser.visit("about:blank")
    thread.join(10)
    assert not thread.is_alive()
    assert complaints == []
    assert all(address.startswith((server.address, "blob:")) for address in requests)


def settled(browser):
    """Wait until the page shows the requested picture."""
    until = time.monotonic() + 20
    while browser.value("document.documentElement.dataset.state") != "idle":
        assert time.monotonic() < until
        time.sleep(0.01)


def do(browser, script):
    browser.value(f"(() => {{ {script} }})()")
    settled(browser)


def move(browser, selector, value):
    """Move a slider, or type into a field, and send its event to the page."""
    do(
        browser,
        f"const e = document.querySelector({json.dumps(selector)}); e.value = {json.dumps(value)};"
        "e.dispatchEvent(new Event('input', {bubbles: true})); e.dispatchEvent(new Event('change', {bubbles: true}))",
    )


def pixels(browser):
    """Return the pixels that are shown, and column and row of the first."""
    width, height, left, top, data = browser.value(
        "(() => { const p = document.getElementById('picture'), c = document.createElement('canvas');"
        "[c.width, c.height] = [p.naturalWidth, p.naturalHeight];"
        "const x = c.getContext('2d', {willReadFrequently: true}); x.drawImage(p, 0, 0);"
        "const d = document.documentElement.dataset;"
        "return [c.width, c.height, +d.left, +d.top, btoa(String.fromCharCode(...[].concat("
        "...Array.from({length: c.height}, (_, y) => y % 37 ? [] : [...x.getImageData(0, y, c.width, 1).data]))))] })()"
    )
    rows = np.frombuffer(chromium.b64decode(data), np.uint8).reshape(-1, width, 4)
    return rows[..., :3], slice(left, left + width), slice(top, top + height, 37)


def compare(browser):
    """Compare the shown pixels with the file that the command on the page writes; return the command."""
    command = browser.value("document.getElementById('command').textContent")
    assert main(shlex.split(command)[1:]) == 0
    shown, cols, rows = pixels(browser)
    np.testing.assert_array_equal(shown, convfilter.read(browser.folder / "out.png").pixels[rows, cols])
    return command.partition(" apply ")[2].partition(f" {browser.folder}")[0]


def test_sliders_fields_and_boxes_change_picture_and_command_alike(page):
    assert compare(page) == "-f gaussian:1"
    move(page, "#stack input[type=range]", "3.5")
    assert compare(page) == "-f gaussian:3.5"
    move(page, "#stack .field", "5x0.5")
    assert compare(page) == "-f gaussian:5x0.5"
    do(page, "document.getElementById('linear').click()")
    move(page, "[id$=stride]", "2")
    move(page, "[id$=padding_mode]", "reflect")
    assert compare(page) == "-f gaussian:5x0.5,stride=2,padding_mode=reflect --linear"
    move(page, "[id$=dilation]", "3")
    move(page, "[id$='-padding']", "valid")
    assert compare(page).endswith("stride=2,padding_mode=reflect,dilation=3,padding=valid --linear")


def test_filters_are_added_ordered_left_out_and_removed(page):
    move(page, "#more", "sobel")
    do(page, "document.getElementById('add').click()")
    assert compare(page) == "-f gaussian:1 -f sobel:x"
    do(page, "document.querySelector('li:nth-child(2) .up').click()")
    assert compare(page) == "-f sobel:x -f gaussian:1"
    assert page.value("document.activeElement.closest('li').querySelector('strong').textContent") == "sobel"
    do(page, "document.querySelector('li:nth-child(1) input[type=checkbox]').click()")
    assert compare(page) == "-f gaussian:1"
    do(page, "document.querySelector('li:nth-child(1) .remove').click()")
    assert page.value("document.querySelectorAll('#stack > li').length") == 1


def test_weights_are_clicked_and_typed(page):
    move(page, "#more", "kernel")
    do(page, "document.getElementById('add').click(); document.querySelector('li .remove').click()")
    assert compare(page) == "-f 'kernel:1 2 1; 2 4 2; 1 2 1,normalize=true'"
    do(page, "document.querySelector('.grid button:nth-child(5)').click()")
    do(page, "document.querySelectorAll('.brushes input')[1].click(); document.querySelector('.grid button').click()")
    assert compare(page) == "-f 'kernel:0 2 1; 2 5 2; 1 2 1,normalize=true'"
    page.value("document.querySelector('.grid button').focus()")
    for key, code in (("ArrowRight", 39), ("ArrowDown", 40), ("7", 55)):
        page.press(key, code)
    settled(page)
    assert compare(page) == "-f 'kernel:0 2 1; 2 7 2; 1 2 1,normalize=true'"
    do(page, "document.querySelector('[id$=normalize]').click()")
    move(page, "[id$=-file]", "1 0 -1")
    assert page.value("document.querySelectorAll('.grid button').length") == 3
    assert compare(page) == "-f 'kernel:1 0 -1'"


def test_keys_move_and_enlarge_the_picture(page):
    page.value("document.getElementById('viewer').focus()")
    before = pixels(page)
    for key, code in (("ArrowLeft", 37), ("ArrowUp", 38)):
        page.press(key, code)
        settled(page)
    shown, cols, rows = pixels(page)
    assert (cols.start, rows.start) == (max(0, before[1].start - 64), max(0, before[2].start - 64))
    page.press("+", 187)
    settled(page)
    assert pixels(page)[0].shape[1] < shown.shape[1]
    page.press("b", 66)
    settled(page)
    shown, cols, rows = pixels(page)
    np.testing.assert_array_equal(shown, PHOTO[rows, cols])
    do(page, "document.querySelector('#zoom input').click()")
    assert page.value("document.documentElement.dataset.factor") == "2"


def test_a_coarser_preview_has_the_size_of_the_whole(page, monkeypatch):
    do(page, "document.querySelector('#zoom input').click()")
    picture = "document.getElementById('picture')"
    place = f"(() => {{ const b = {picture}.getBoundingClientRect(); return [b.width, b.height] }})()"
    usual, factor = page.value(place), int(page.value("document.documentElement.dataset.factor"))
    monkeypatch.setattr(Pace, "factor", lambda pace, kind: 4)
    page.value("ask(true).then(() => null)")
    width, height = page.value(place)
    assert page.value(f"{picture}.naturalWidth") == -(-600 // (4 * factor))
    assert f", {4 * factor}x{4 * factor} pixels in one" in page.value("document.getElementById('status').textContent")
    assert 0 <= width - usual[0] < 4 and 0 <= height - usual[1] < 4


def test_an_invalid_stack_shows_its_error_and_keeps_the_picture(page):
    before = pixels(page)[0]
    move(page, "#stack .field", "x")
    assert "must be one number" in page.value("document.getElementById('problem').textContent")
    np.testing.assert_array_equal(pixels(page)[0], before)
    page.events.clear()  # the browser notes the refusal, too
    move(page, "#stack .field", "2")
    assert page.value("document.getElementById('problem').hidden")
    compare(page)


def test_the_whole_is_saved_and_nothing_is_overwritten_unasked(page):
    def save():
        page.value("document.getElementById('save').click()")
        while page.value("document.documentElement.dataset.saving") != "idle":
            time.sleep(0.01)
        return page.value("document.getElementById('saved').textContent")

    assert save() == f"{page.folder / 'out.png'} is written"
    np.testing.assert_array_equal(convfilter.read(page.folder / "out.png").pixels, convfilter.gaussian_blur(PHOTO, 1))
    assert "out.png exists; tick 'replace it'" in save()
    page.events.clear()
    page.value("document.getElementById('replace').click()")
    assert save().endswith(" is written")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_fits_a_phone_and_has_no_serious_fault(page, scheme):
    page.media(prefers_color_scheme=scheme)
    page.size(390, 844, mobile=True)
    do(page, "document.querySelector('details').open = true")
    assert page.value("document.documentElement.scrollWidth") <= 390
    assert chromium.faults(page) == []
    page.size(900, 700)
    page.media(prefers_color_scheme="light")
