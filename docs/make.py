"""Make the README's picture: ``python docs/make.py`` with convfilter installed.

The still life in four strips, as it is and as three commands leave it. The
strips are made by the program itself, and laid side by side here.
"""

from __future__ import annotations

import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

HERE = Path(__file__).parent
SOURCE = HERE.parent / "sample_images" / "still_life.png"
COMMANDS = (
    "blur --gaussian 7",
    "edges --sobel magnitude",
    "convolve --kernel '-2 -1 0; -1 0 1; 0 1 2' --offset 0.5 --gray",
)
CAPTIONS = ("original", "blur --gaussian 7", "edges --sobel magnitude", "convolve --kernel ...")
SIZE = (900, 600)
#: Where one strip ends and the next begins, as shares of the width at half height, and how far they lean.
BORDERS, LEAN = (0.0, 0.28, 0.54, 0.78, 1.0), 0.10


def main(target: Path) -> None:
    """Run the commands and put their strips together."""
    with Image.open(SOURCE) as picture:
        strips = [np.asarray(picture.convert("RGB").resize(SIZE, Image.Resampling.LANCZOS))]
    strips += [filtered(command) for command in COMMANDS]
    page = Image.fromarray(side_by_side(strips))
    pen = ImageDraw.Draw(page)
    for caption, left, right in zip(CAPTIONS, BORDERS, BORDERS[1:], strict=False):
        middle = ((left + right) / 2 - LEAN / 2 * 0.94 * (left > 0)) * SIZE[0]
        font = ImageFont.load_default(14)
        box = pen.textbbox((middle, SIZE[1] - 20), caption, font=font, anchor="mm")
        pen.rounded_rectangle((box[0] - 8, box[1] - 5, box[2] + 8, box[3] + 5), 4, fill=(24, 28, 30))
        pen.text((middle, SIZE[1] - 20), caption, font=font, fill=(255, 255, 255), anchor="mm")
    page.save(target, optimize=True)


def filtered(command: str) -> npt.NDArray[np.uint8]:
    """Run a command on the still life and return its result, reduced."""
    with tempfile.TemporaryDirectory() as folder:
        result = Path(folder) / "result.png"
        words = [sys.executable, "-m", "convfilter", *shlex.split(command), str(SOURCE), str(result)]
        subprocess.run(words, check=True)
        with Image.open(result) as picture:
            return np.asarray(picture.convert("RGB").resize(SIZE, Image.Resampling.LANCZOS))


def side_by_side(strips: list[npt.NDArray[np.uint8]]) -> npt.NDArray[np.uint8]:
    """Cut along slanted lines, with a thin white line between."""
    rows, cols = np.indices(strips[0].shape[:2])
    place = (cols + 0.5) / SIZE[0] + LEAN * ((rows + 0.5) / SIZE[1] - 0.5)
    page = strips[0].astype(np.float64)
    for strip, border in zip(strips[1:], BORDERS[1:-1], strict=True):
        past = np.clip((place - border) * SIZE[0] + 0.5, 0, 1)[..., None]
        line = np.clip(1.9 - np.abs(place - border)[..., None] * SIZE[0], 0, 1)
        page = page + (strip - page) * past
        page = page + (255 - page) * line
    return np.rint(page).astype(np.uint8)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE / "filters.png")
