"""Measure the response time of ``convfilter try``: the visible area of a 12 MP photo, filtered and encoded as PNG.

``python benchmarks/trial.py`` prints the median and the longest response time to a moving slider, in milliseconds, at
full size and for the quick preview of the whole picture.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image
from timing import machine, table

from convfilter.trial.request import StackRequest, ViewRequest
from convfilter.trial.scene import Scene

PHOTO = Path(__file__).parent.parent / "sample_images" / "still_life.png"
WINDOW = 1200, 800
MOVES = 12
SEEN = {"1:1": ViewRequest(False, 1400, 1100, *WINDOW), "whole": ViewRequest(True, 0, 0, *WINDOW, quick=True)}
#: SPECs; ``{}`` stands for the slider's value, from 1 to 7.
STACKS = {
    "gaussian": ("gaussian:{}",),
    "gaussian, linear": ("gaussian:{}",),
    "unsharp": ("unsharp:2,amount={}",),
    "kernel 3x3": ("kernel:1 2 1; 2 {} 2; 1 2 1,normalize=true",),
    "gaussian, sobel": ("gaussian:{}", "sobel:magnitude"),
    "gaussian 20": ("gaussian:2{}",),
    "disk": ("disk:{}",),
}


def main() -> None:
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        large = np.asarray(Image.open(PHOTO).convert("RGB").resize((4000, 3000)))
        Image.fromarray(large).save(f"{folder}/in.jpg", quality=95)
        scene = Scene(f"{folder}/in.jpg", f"{folder}/out.png")
        for name, specs in STACKS.items():
            cells = [name]
            for seen in SEEN.values():
                times = [_milliseconds(scene, specs, seen, name, 1 + move / 2) for move in range(MOVES + 1)][1:]
                cells += [f"{statistics.median(times):.0f}", f"{max(times):.0f}"]
            rows.append(cells)
    print(machine())
    head = ["slider", *(f"{where}, {which}" for where in SEEN for which in ("median ms", "slowest ms"))]
    print(table(head, rows, left=1))


def _milliseconds(scene: Scene, specs: tuple[str, ...], seen: ViewRequest, name: str, value: float) -> float:
    wanted = StackRequest(tuple(spec.format(value) for spec in specs), linear="linear" in name)
    start = time.perf_counter()
    scene.view(wanted, seen)
    return 1000 * (time.perf_counter() - start)


if __name__ == "__main__":
    main()
