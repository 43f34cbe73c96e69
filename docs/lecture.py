"""Make docs/lecture.md and its pictures: ``python docs/lecture.py`` with convfilter installed.

Every number and every picture of the page is the program's own output.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

import convfilter

HERE = Path(__file__).parent
SOURCE = HERE.parent / "sample_images" / "still_life.png"
PICTURES = HERE / "lecture"
WIDTH = 300
#: The lecture's own examples.
NUMBERS = ("3 3 2 1 0 0", "0 1 3 1 3 1", "2 2 3 2 0 0", "2 2 2 0 0 0", "1 0 1 3 2 2", "3 2 0 3 0 1")
SMALL = ("3 3 2 1 0", "0 0 1 3 1", "3 1 2 2 3", "2 0 0 2 2", "2 0 0 0 1")
_PLAN = "| grep -E 'stage|width|sees'"


def main(page: Path, pictures: Path) -> None:
    """Write the page and its pictures."""
    pictures.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        small = Path(folder) / "in.png"
        with Image.open(SOURCE) as picture:
            reduced = picture.convert("RGB").resize((WIDTH, WIDTH * picture.height // picture.width))
        reduced.save(small)
        reduced.save(pictures / "in.png")
        np.save(Path(folder) / "edges.npy", bank())
        page.write_text("".join(parts(Path(folder), pictures)).rstrip() + "\n")


def bank() -> np.ndarray:
    """Six filters across three colours: two Sobel kernels for each colour."""
    x = np.array([[1.0, 0, -1], [2, 0, -2], [1, 0, -1]])
    weight = np.zeros((6, 3, 3, 3))
    for colour in range(3):
        weight[2 * colour, colour], weight[2 * colour + 1, colour] = x, x.T
    return weight


def numbers(name: str, rows: tuple[str, ...], folder: Path) -> str:
    """Write a picture as plain text, and show it."""
    text = f"P2 {len(rows[0].split())} {len(rows)} 255\n" + "\n".join(rows) + "\n"
    (folder / f"{name}.pgm").write_text(text)
    return f"`{name}.pgm`, a picture that can be read:\n\n```text\n{text}```\n\n"


def parts(folder: Path, pictures: Path) -> Iterator[str]:  # noqa: PLR0915 - a page, from top to bottom
    """Yield the page, piece by piece."""

    def told(command: str) -> str:
        """Run a command that prints, and show it."""
        return f"```console\n$ {command}\n{printed(command, folder)}```\n\n"

    def shown(*commands: str) -> str:
        """Run commands that write pictures, and show them side by side."""
        text, images = "".join(f"{command}\n" for command in commands), []
        for command in commands:
            printed(command, folder)
            name = shlex.split(command)[-1]
            with Image.open(folder / name) as result:
                result.convert("RGB").save(pictures / f"{Path(name).stem}.jpg", quality=88, subsampling=0)
            images.append(f"![{Path(name).stem}](lecture/{Path(name).stem}.jpg)")
        return f"```sh\n{text}```\n\n{' '.join(images)}\n\n"

    def drawn(name: str, specs: str, size: str) -> str:
        """Draw a plan, and show command and drawing."""
        command = f"convfilter plan {specs} --size {size} --diagram {name}.svg"
        printed(command, folder)
        (pictures / f"{name}.svg").write_text((folder / f"{name}.svg").read_text())
        return f"```sh\n{command}\n```\n\n![{name}](lecture/{name}.svg)\n\n"

    yield """# The lecture, working

This page is made by `python docs/lecture.py` from the program's own output: every number and every picture in it.
`in.png` is this picture; `edges.npy` is made below, under several filters.

![in](lecture/in.png)

## Locality and shared weights

A filter is a linear map, so it is a matrix; but each output sees only its neighbours (the matrix is sparse), and
each uses the same weights (all diagonals are constant: a Toeplitz matrix). The weights 1 2 1 on seven samples, without
padding, give five outputs; their matrix has 15 numbers that are not zero, and only three that differ:

"""
    columns = convfilter.convolve(np.eye(7, dtype=np.float32), [[1, 2, 1]], padding=((0, 0), (0, 0)))
    yield "```text\n" + "\n".join(" ".join(f"{value:2.0f}" for value in row) for row in columns.T) + "\n```\n\n"
    yield "## Convolution\n\nEach output is the sum of weight times sample under the kernel. The kernel slides.\n\n"
    yield told("convfilter kernel show 'kernel:1 2 1; 2 4 2; 1 2 1,normalize=true'")
    yield drawn("valid", "-f box:3,padding=valid", "6")
    yield numbers("numbers", NUMBERS, folder)
    yield "The first output is 2*3 + 2*3 + 2*2 + 1*1 + 2*2 + 1*3 = 24:\n\n"
    yield told(
        "convfilter convolve --kernel '2 2 2; 0 1 0; 2 0 1' --padding valid numbers.pgm - "
        "| tail -c 16 | od -An -tu1 | xargs -n4"
    )
    yield "## Padding\n\nWith padding the result keeps its size; `--padding-mode` says what lies beyond the border.\n\n"
    yield drawn("same", "-f box:3", "6")
    yield "## Stride\n\nKeep every second output: a quarter of the pixels, and of the work.\n\n"
    yield drawn("strided", "-f box:3,stride=2,padding=1", "7")
    yield shown("convfilter blur --gaussian 2 --stride 2 in.png strided.png")
    yield "## Dilation\n\nSpread the taps: a wider view with the same number of weights.\n\n"
    yield drawn("dilated", "-f box:3,dilation=2,padding=valid", "7")
    yield "## Output size\n\nfloor((I + P + P' - D(K - 1) - 1) / S) + 1, with the numbers put in:\n\n"
    yield told(f"convfilter plan -f box:3,stride=2,dilation=2,padding=1 --size 11x8 {_PLAN}")
    yield "## Pooling\n\nThe largest sample of each window, or the mean.\n\n"
    yield drawn("pooled", "-f maxpool:2", "6")
    yield numbers("small", SMALL, folder)
    yield "Windows of 3x3, two apart, with padding, in which nothing can win:\n\n"
    yield told("convfilter pool --max 3 --stride 2 --padding 1 small.pgm - | tail -c 9 | od -An -tu1 | xargs -n3")
    yield shown("convfilter pool --max 4 in.png largest.png", "convfilter pool --average 4 in.png mean.png")
    yield "## Box 3, 5, 11\n\n"
    yield shown(*(f"convfilter blur --box {size} in.png box{size}.png" for size in (3, 5, 11)))
    yield "## Gaussian 2 and 4\n\nThe Gaussian has no corners: no streaks, and no direction.\n\n"
    yield shown(*(f"convfilter blur --gaussian {sigma} in.png gaussian{sigma}.png" for sigma in (2, 4)))
    yield "## Sobel: k1, k2, magnitude\n\n"
    yield told("convfilter kernel show sobel")
    yield shown(
        "convfilter edges --sobel x --map offset in.png k1.png",
        "convfilter edges --sobel y --map offset in.png k2.png",
        "convfilter edges --sobel magnitude in.png magnitude.png",
    )
    yield "The direction in which the picture gets brighter, as hue: red to the right, green up and to the left.\n\n"
    yield shown("convfilter edges --sobel orientation in.png orientation.png")
    yield "## Colour pictures\n\nA 2-D kernel is applied to each colour by itself; or take the luminance first.\n\n"
    yield shown(
        "convfilter edges --laplacian in.png colours.png", "convfilter edges --laplacian --gray in.png luminance.png"
    )
    yield """## Several filters

A layer has a kernel for each pair of input and output channel: K x K x C_in x C_out weights. `edges.npy` holds six
filters, k1 and k2 for each of the three colours, as an array of shape (6, 3, 3, 3). One map is a grey picture, three
are RGB, four RGBA; six are no picture, so they are written as a sheet, or as an array to an `.npy` file.

"""
    yield told("convfilter plan -f layer:edges.npy --size 300x200 | grep -E 'kernel|channels'")
    yield shown("convfilter apply -f layer:edges.npy in.png maps.png")
    yield "## Stacking\n\nTwo 3x3 kernels see as much as one 5x5, with 18 of its 25 weights:\n\n"
    yield told("convfilter plan -f box:3 -f box:3 --size 300x200 | grep -E 'stage|sees|instead'")
    yield "Between the stages nothing is rounded or clipped:\n\n"
    yield shown(
        "convfilter apply -f gaussian:1 -f sobel:magnitude -f maxpool:2 in.png stack.png",
        "convfilter apply -f gaussian:2 -f sobel:x -f relu in.png rising.png",
    )
    yield "## Receptive field\n\nEach stage adds D(K - 1) times the strides before it.\n\n"
    yield told(f"convfilter plan -f box:7,stride=2 -f maxpool:3,stride=2,padding=1 -f box:3 --size 224 {_PLAN}")
    yield "## Stride against pooling\n\nBoth halve the picture. A stride drops samples; pooling asks all of them.\n\n"
    yield told(f"convfilter plan -f box:3,stride=2,padding=1 --size 300x200 {_PLAN}")
    yield told(f"convfilter plan -f box:3 -f maxpool:2 --size 300x200 {_PLAN}")
    yield shown(
        "convfilter apply -f sobel:magnitude,stride=2,padding=1 in.png dropped.png",
        "convfilter apply -f sobel:magnitude -f maxpool:2 in.png asked.png",
    )


def printed(command: str, folder: Path) -> str:
    """Run a command line in ``folder``; returns what it prints."""
    program = f'convfilter() {{ "{sys.executable}" -m convfilter "$@"; }}; '
    environment = {**os.environ, "PYTHONPATH": str(HERE.parent)}
    result = subprocess.run(
        ["bash", "-o", "pipefail", "-c", program + command],
        cwd=folder, env=environment, check=True, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    return result.stdout


if __name__ == "__main__":
    main(HERE / "lecture.md", PICTURES)
