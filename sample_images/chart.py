"""A chart that shows what a filter does: frequencies, edges, points and steps, every value known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

Plane = npt.NDArray[np.float64]

WIDTH, HEIGHT = 1200, 800
GREY = 128
#: Subpixel positions per axis for edges that fall between pixels.
FINE = 8


def render() -> npt.NDArray[np.uint8]:
    """Draw the chart, (800, 1200) uint8; values are samples, not light."""
    chart = np.full((HEIGHT, WIDTH), float(GREY))
    panels = {
        (30, 50): ("zone plate, to 0.5 cycles per pixel", zone_plate(480)),
        (30, 590): ("gratings of period 2, 3, 4, 6, 8, 12, 16 and 24 pixels", gratings(480, 150)),
        (550, 50): ("Siemens star, 36 pairs", star(300)),
        (550, 400): ("slanted edges, 5 degrees: 0 | 255 and 96 | 160", slanted(300, 165)),
        (550, 615): ("impulses: 255 on 0, 0 on 255", impulses(300, 125)),
        (890, 50): ("steps of 17 levels, ramp", steps(280, 215)),
        (890, 315): ("rings and bars", bars(280, 250)),
        (890, 615): ("texture: noise of deviation 16 and 48", noise(280, 125)),
    }
    for (left, top), (_, panel) in panels.items():
        chart[top : top + panel.shape[0], left : left + panel.shape[1]] = panel
    page = Image.fromarray(np.clip(np.rint(chart), 0, 255).astype(np.uint8))
    pen = ImageDraw.Draw(page)
    for (left, top), (caption, _) in panels.items():
        pen.text((left, top - 8), caption, fill=235, font=ImageFont.load_default(15), anchor="ls")
    return np.asarray(page)


def zone_plate(size: int) -> Plane:
    """Rings whose frequency grows from 0 in the middle to half a cycle per pixel at the sides."""
    rows, cols = np.indices((size, size)) - (size - 1) / 2
    radius = np.hypot(rows, cols)
    wave = np.cos(np.pi * radius**2 / size)
    fade = np.clip((size / 2 - radius) / 6, 0, 1)
    return 127.5 + 127.5 * wave * fade


def gratings(width: int, height: int) -> Plane:
    """Sine gratings of full contrast, upright above and lying below."""
    plane = np.full((height, width), float(GREY))
    side, rows = width // 8, height // 2
    for index, period in enumerate((2, 3, 4, 6, 8, 12, 16, 24)):
        phase = 2 * np.pi * (np.arange(max(side, rows)) + 0.5) / period + (np.pi / 2 if period == 2 else 0)
        wave = 127.5 + 127.5 * np.cos(phase)
        here = slice(index * side, index * side + side - 4)
        plane[: rows - 4, here] = wave[: side - 4]
        plane[rows:-4, here] = wave[: rows - 4, None]
    return plane


def star(size: int) -> Plane:
    """Sectors of black and white, sampled finely, so that only the middle is too fine to show."""
    y, x = _fine(size, size)
    radius = np.hypot(y - size / 2, x - size / 2)
    white = np.cos(36 * np.arctan2(y - size / 2, x - size / 2)) > 0
    return _mean(np.where(radius < size / 2 - 2, np.where(white, 255, 0), GREY))


def slanted(width: int, height: int) -> Plane:
    """Two edges, 5 degrees off the vertical, of high and of low contrast."""
    y, x = _fine(height, width)
    lean = np.tan(np.radians(5)) * (y - height / 2)
    left = x < width / 2
    hard = np.where(x - width / 4 > lean, 255, 0)
    soft = np.where(x - 3 * width / 4 > lean, 160, 96)
    return _mean(np.where(left, hard, soft))


def impulses(width: int, height: int) -> Plane:
    """Single pixels, and lines one pixel wide: their answer is the kernel itself."""
    plane = np.zeros((height, width))
    middle = width // 2
    plane[:, middle:] = 255
    plane[20:-20:21, 20 : middle - 60 : 21] = 255
    plane[20:-20:21, middle + 20 : width - 60 : 21] = 0
    plane[15:-15, middle - 30] = 255
    plane[15:-15, width - 30] = 0
    return plane


def steps(width: int, height: int) -> Plane:
    """All levels from black to white: in 16 steps, and pixel by pixel."""
    plane = np.zeros((height, width))
    plane[: height // 2] = np.arange(width) * 16 // width * 17
    plane[height // 2 :] = np.linspace(0, 255, width)
    return plane


def bars(width: int, height: int) -> Plane:
    """Circles, and groups of bars 1 to 6 pixels wide, as hard as can be."""
    y, x = _fine(height, width)
    radius = np.hypot(y - 70, x - width / 2)
    rings = np.where((radius < 64) & ((radius // 8) % 2 == 0), 255, np.where(radius < 64, 0, 64))
    plane = _mean(rings.astype(float))
    top = 150
    left = 10
    for wide in (1, 2, 3, 4, 6):
        count = 4
        for bar in range(count):
            plane[top : top + 40, left + 2 * bar * wide : left + (2 * bar + 1) * wide] = 255
            plane[top + 52 + 2 * bar * wide : top + 52 + (2 * bar + 1) * wide, left : left + 44] = 255
        left += 54
    return plane


def noise(width: int, height: int) -> Plane:
    """White Gaussian noise of two strengths."""
    dice = np.random.RandomState(7)
    plane = GREY + dice.standard_normal((height, width)) * 16
    plane[:, width // 2 :] = GREY + (plane[:, width // 2 :] - GREY) * 3
    return np.clip(plane, 0, 255)


def _fine(height: int, width: int) -> tuple[Plane, Plane]:
    """Subpixel positions, y and x."""
    y, x = (np.indices((height * FINE, width * FINE), sparse=True)[axis] for axis in (0, 1))
    return (y + 0.5) / FINE, (x + 0.5) / FINE


def _mean(plane: Plane) -> Plane:
    """Average the subpixels of each pixel."""
    rows, cols = plane.shape
    return np.asarray(plane.reshape(rows // FINE, FINE, cols // FINE, FINE).mean(axis=(1, 3)))


if __name__ == "__main__":
    Image.fromarray(render()).save(Path(__file__).with_suffix(".png"), compress_level=9)
