"""Patterns to look up: tileable noise, and lettering drawn with Pillow's built-in font."""

from __future__ import annotations

from functools import cache

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

Array = npt.NDArray[np.float32]

#: Side of a noise tile in cells; one cell is one unit of the look-up's coordinates.
TILE = 1024


@cache
def noise_tile(seed: int, steepness: float, blur: float = 0.0) -> Array:
    """Make a (TILE, TILE) tile of noise whose spectrum falls as frequency to the power of -steepness.

    Mean 0, standard deviation 1. A steepness of 0 is white noise, 2 looks like
    clouds; ``blur`` is the sigma, in cells, of a Gaussian over it.
    """
    white = np.random.RandomState(seed).standard_normal((TILE, TILE))
    down, across = np.fft.fftfreq(TILE), np.fft.rfftfreq(TILE)
    frequency = np.hypot(down[:, None], across[None, :])
    frequency[0, 0] = 1
    spectrum = np.fft.rfft2(white) * frequency**-steepness * np.exp(-2 * (np.pi * blur * frequency) ** 2)
    spectrum[0, 0] = 0
    tile = np.fft.irfft2(spectrum, (TILE, TILE))
    return (tile / tile.std()).astype(np.float32)


def look_up(tile: Array, x: Array, y: Array) -> Array:
    """Read a tile between its cells, bilinearly; it repeats in both directions."""
    rows, cols = tile.shape
    left, top = np.floor(x), np.floor(y)
    u, v = x - left, y - top
    col, row = left.astype(np.int64) % cols, top.astype(np.int64) % rows
    next_col, next_row = (col + 1) % cols, (row + 1) % rows
    upper = tile[row, col] * (1 - u) + tile[row, next_col] * u
    lower = tile[next_row, col] * (1 - u) + tile[next_row, next_col] * u
    return (upper * (1 - v) + lower * v).astype(np.float32)


def decal(picture: Array, across: Array, down: Array) -> Array:
    """Read a picture at coordinates from 0 to 1; 0 outside."""
    rows, cols = picture.shape
    inside = (across >= 0) & (across < 1) & (down >= 0) & (down < 1)
    x = np.clip(across, 0, 1) * (cols - 1)
    y = np.clip(down, 0, 1) * (rows - 1)
    return np.where(inside, look_up(picture, x, y), 0).astype(np.float32)


def lettering(size: tuple[int, int], lines: list[tuple[str, float, float, float]]) -> Array:
    """Draw centred lines of text, 1 on 0, as a (height, width) array.

    A line is (text, height of the letters, place of its middle from the top,
    space between letters), all as fractions of the picture's height.
    """
    width, height = size
    page = Image.new("L", size, 0)
    pen = ImageDraw.Draw(page)
    for text, tall, middle, space in lines:
        font = ImageFont.load_default(tall * height * 1.4)
        advance = [font.getlength(letter) for letter in text]
        x = (width - sum(advance) - space * height * (len(text) - 1)) / 2
        for letter, step in zip(text, advance, strict=True):
            pen.text((x, middle * height), letter, fill=255, font=font, anchor="lm")
            x += step + space * height
    return np.asarray(page, np.float32) / 255


def smooth(low: float, high: float, x: Array) -> Array:
    """Rise from 0 to 1 between low and high."""
    t = np.clip((x - np.float32(low)) / np.float32(high - low), 0, 1)
    return t * t * (3 - 2 * t)


def mix(a: Array, b: Array, share: Array) -> Array:
    """Go from a to b."""
    return a + (b - a) * share
