"""Headless Chromium, controlled by its DevTools protocol over a pipe: screenshots, console, requests."""

from __future__ import annotations

import fcntl
import io
import json
import os
import select
import shutil
import subprocess
import time
from base64 import b64decode
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "headless_shell")
PROGRAM = next(filter(None, map(shutil.which, NAMES)), None)
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--remote-debugging-pipe",
]
SECONDS = 60
_COME_TO_REST = """async (selector) => {
    const element = document.querySelector(selector);
    element.scrollIntoView({block: "center", behavior: "instant"});
    for (let still = 0, last = NaN; still < 3; ) {
        await new Promise(requestAnimationFrame);
        const box = element.getBoundingClientRect();
        still = box.top === last ? still + 1 : 0;
        last = box.top;
    }
    const box = element.getBoundingClientRect();
    return [box.left, box.top, box.width, box.height];
}"""
#: Both ends of the pipe are moved up here first, since Chromium reads from 3 and writes to 4.
LEAST_DESCRIPTOR = 10


class Browser:
    """A page of a running Chromium; ``events`` are all events that Chromium has reported for it."""

    def __init__(self, requests, answers):
        self._requests, self._answers = requests, answers
        self._received = b""
        self._number = 0
        self._session = {}
        self.events = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        self._session = {"sessionId": session}
        for domain in ("Page", "Network", "Log", "Runtime"):
            self.call(f"{domain}.enable")

    def call(self, method, **params):
        """Call a method of the protocol and return its result."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": params, **self._session}
        os.write(self._requests, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == self._number:
                assert "error" not in answer, answer
                return answer["result"]
            self.events.append(answer)

    def _next(self):
        until = time.monotonic() + SECONDS
        while b"\0" not in self._received:
            ready, _, _ = select.select([self._answers], [], [], max(0, until - time.monotonic()))
            block = os.read(self._answers, 1 << 20) if ready else b""
            assert block, "Chromium has ended, or does not answer"
            self._received += block
        message, _, self._received = self._received.partition(b"\0")
        return json.loads(message)

    def open(self, path):
        """Show a file, and wait until it is loaded."""
        self.visit(path.resolve().as_uri())

    def visit(self, address):
        """Show a page, and wait until it is loaded."""
        self.events.clear()
        self.call("Page.navigate", url=address)
        while not any(event.get("method") == "Page.loadEventFired" for event in self.events):
            self.events.append(self._next())

    def value(self, expression):
        """Evaluate JavaScript."""
        found = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def press(self, key, code):
        for kind in ("rawKeyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code)

    def drag(self, start, end):
        """Press the mouse button at ``start`` and release it at ``end``, both (x, y)."""
        for kind, (x, y) in (("mousePressed", start), ("mouseMoved", end), ("mouseReleased", end)):
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", buttons=1, clickCount=1)

    def swipe(self, start, end):
        """Touch ``start`` and move the finger to ``end`` in small steps."""
        points = [tuple(a + (b - a) * step / 8 for a, b in zip(start, end, strict=True)) for step in range(9)]
        self.call("Input.dispatchTouchEvent", type="touchStart", touchPoints=[{"x": start[0], "y": start[1]}])
        for x, y in points[1:]:
            self.call("Input.dispatchTouchEvent", type="touchMove", touchPoints=[{"x": x, "y": y}])
        self.call("Input.dispatchTouchEvent", type="touchEnd", touchPoints=[])

    def size(self, width, height, *, mobile=False):
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=mobile)
        self.call("Emulation.setTouchEmulationEnabled", enabled=mobile)

    def media(self, **features):
        named = [{"name": name.replace("_", "-"), "value": value} for name, value in features.items()]
        self.call("Emulation.setEmulatedMedia", features=named)

    def box(self, selector):
        """Scroll to an element, and return its left, top, width and height in the window."""
        return self.value(f"({_COME_TO_REST})({json.dumps(selector)})")

    def screen(self):
        """Return a screenshot of the window, as a (H, W, 3) array."""
        data = b64decode(self.call("Page.captureScreenshot", format="png")["data"])
        return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))

    def complaints(self):
        """Return the page's console messages, uncaught errors and blocked requests."""
        kinds = ("Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded", "Network.loadingFailed")
        return [event for event in self.events if event.get("method") in kinds]

    def requests(self):
        """Return the requested addresses, except data URLs."""
        sent = [event for event in self.events if event.get("method") == "Network.requestWillBeSent"]
        addresses = [event["params"]["request"]["url"] for event in sent]
        return [address for address in addresses if not address.startswith("data:")]


def faults(browser):
    """Return the serious and critical findings of axe-core; none if it is not installed (npm install -g axe-core)."""
    script = _axe()
    if script is None:
        return []
    browser.value(f"{script.read_text()};0")
    found = browser.value("axe.run().then((all) => all.violations.map((each) => [each.id, each.impact, each.help]))")
    return [fault for fault in found if fault[1] in ("serious", "critical")]


@cache
def _axe():
    npm = shutil.which("npm")
    folder = os.environ.get("NODE_PATH", "")
    if not folder and npm is not None:
        folder = subprocess.run([npm, "root", "-g"], capture_output=True, text=True, check=False).stdout.strip()
    script = Path(folder, "axe-core", "axe.min.js")
    return script if folder and script.is_file() else None


@contextmanager
def running(folder):
    """Start Chromium with an empty profile in ``folder``, and end it."""
    pipes = [*os.pipe(), *os.pipe()]
    requests_out, requests_in, answers_out, answers_in = (
        fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, LEAST_DESCRIPTOR) for end in pipes
    )
    for end in pipes:
        os.close(end)

    def connect():
        os.dup2(requests_out, 3)
        os.dup2(answers_in, 4)

    process = subprocess.Popen(
        [PROGRAM, *FLAGS, f"--user-data-dir={folder}"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        preexec_fn=connect,  # noqa: PLW1509 - two system calls, and no other thread of ours runs
        pass_fds=(3, 4),
        env={**os.environ, "HOME": str(folder)},
    )
    os.close(requests_out)
    os.close(answers_in)
    try:
        yield Browser(requests_in, answers_out)
    finally:
        # Chromium ends when its pipe is closed.
        os.close(requests_in)
        os.close(answers_out)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
