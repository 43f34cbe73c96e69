"""GIF frames drawn on one canvas as the specification and browsers say, by a second, slow implementation."""

import io
import struct

import numpy as np
import pytest

from convfilter.picture.options import ReadOptions
from convfilter.picture.read import read

LEAVE, REMOVE, RESTORE = 1, 2, 3
WIDTH, HEIGHT = 9, 7
SHARED = np.random.default_rng(8).integers(0, 256, (16, 3), np.uint8)


def codes_of(numbers):
    """LZW codes of 5 bits, with a clear code so often that they never grow."""
    codes = [code for place, number in enumerate(numbers) for code in ([16] if place % 14 == 0 else []) + [int(number)]]
    bits = sum(code << 5 * place for place, code in enumerate([*codes, 17]))
    data = bits.to_bytes((5 * len(codes) + 12) // 8, "little")
    blocks = [data[at : at + 255] for at in range(0, len(data), 255)]
    return b"\4" + b"".join(bytes([len(block)]) + block for block in blocks) + b"\0"


class Animation:
    """A GIF, and the canvas after each frame."""

    def __init__(self, seed, size=(WIDTH, HEIGHT)):
        self.rng = np.random.default_rng(seed)
        self.data = b"GIF89a" + struct.pack("<HHBBB", *size, 0x83, 5, 0) + SHARED.tobytes()
        self.canvas = np.zeros((HEIGHT, WIDTH, 4), np.uint8)
        self.shown = []

    def add(self, left, top, width, height, disposal, transparent=None, palette=None, interlaced=False):
        numbers = self.rng.integers(0, 16, (height, width))
        if disposal is not None:
            flags = disposal << 2 | (transparent is not None)
            self.data += b"\x21\xf9\4" + struct.pack("<BHB", flags, 7, transparent or 0) + b"\0"
        flags = 0x83 * (palette is not None) | 0x40 * interlaced
        self.data += b"," + struct.pack("<4HB", left, top, width, height, flags)
        self.data += b"" if palette is None else palette.tobytes()
        rows = [row for start, step in ((0, 8), (4, 8), (2, 4), (1, 2)) for row in range(start, height, step)]
        self.data += codes_of(numbers[rows if interlaced else slice(None)].ravel())
        before = self.canvas.copy()
        for row, col in np.ndindex(height, width):
            if numbers[row, col] != transparent:
                colour = (SHARED if palette is None else palette)[numbers[row, col]]
                self.canvas[top + row, left + col] = (*colour, 255)
        self.shown.append(self.canvas.copy())
        if disposal == REMOVE:
            self.canvas[top : top + height, left : left + width] = 0
        elif disposal == RESTORE:
            self.canvas = before


def as_rgba(pixels):
    return pixels if pixels.shape[2] == 4 else np.dstack([pixels, np.full(pixels.shape[:2], 255, np.uint8)])


def assert_drawn(animation):
    file = io.BytesIO(animation.data + b";")
    picture = read(file)
    assert len(picture.frames) == len(animation.shown)
    for number, expected in enumerate(animation.shown):
        alone = read(file, ReadOptions(frame=number)).pixels
        for got in (as_rgba(picture.frames[number].pixels), as_rgba(alone)):
            np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize("seed", range(60))
def test_frames_are_drawn_as_browsers_draw_them(seed):
    animation, rng = Animation(seed), np.random.default_rng(seed)
    for number in range(rng.integers(1, 6)):
        whole = number == 0 and rng.random() < 0.5
        left, top = (0, 0) if whole else (int(rng.integers(WIDTH)), int(rng.integers(HEIGHT)))
        width, height = WIDTH - left, HEIGHT - top
        if not whole:
            width, height = int(rng.integers(1, width + 1)), int(rng.integers(1, height + 1))
        transparent = int(rng.integers(16)) if rng.random() < 0.6 else None
        palette = rng.integers(0, 256, (16, 3), np.uint8) if rng.random() < 0.4 else None
        disposal = [None, 0, LEAVE, REMOVE, RESTORE][rng.integers(5)] if transparent is None else int(rng.integers(4))
        animation.add(left, top, width, height, disposal, transparent, palette, bool(rng.random() < 0.3))
    assert_drawn(animation)


def test_an_unspecified_disposal_leaves_the_frame():
    """Behind a frame that is removed."""
    animation = Animation(1)
    animation.add(0, 0, WIDTH, HEIGHT, REMOVE, transparent=3)
    animation.add(1, 1, 4, 3, 0, transparent=3)
    animation.add(6, 4, 2, 2, 0, transparent=3)
    assert_drawn(animation)
    assert animation.shown[2][1:4, 1:5, 3].any()


@pytest.mark.parametrize("disposal", [REMOVE, RESTORE])
def test_places_without_a_frame_are_transparent(disposal):
    animation = Animation(2)
    animation.add(2, 1, 5, 4, disposal)
    animation.add(4, 3, 3, 3, LEAVE)
    assert_drawn(animation)
    assert not animation.shown[1][0].any()


def test_a_frame_beyond_the_canvas_widens_it():
    animation = Animation(3, size=(4, 2))
    animation.add(0, 0, 4, 2, LEAVE)
    animation.add(3, 1, WIDTH - 3, HEIGHT - 1, LEAVE)
    assert_drawn(animation)
