"""Make docs/lecture.md and its pictures: ``python docs/lecture.py`` with convfilter installed.

Every number and every picture of the page is the program's own output.
"""

from __future__ import annotations

import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

import convfilter

sys.path.insert(0, str(Path(__file__).parent))

from shell import printed

HERE = Path(__file__).parent
SOURCE = HERE.parent / "sample_images" / "still_life.png"
PICTURES = HERE / "lecture"
WIDTH = 300
#: The lecture's own examples.
NUMBERS = ("3 3 2 1 0 0", "0 1 3 1 3 1", "2 2 3 2 0 0", "2 2 2 0 0 0", "1 0 1 3 2 2", "3 2 0 3 0 1")
SMALL = ("3 3 2 1 0", "0 0 1 3 1", "3 1 2 2 3", "2 0 0 2 2", "2 0 0 0 1")
_PLAN = "| grep -E '^stage|width|field'"
BANK = """\
import numpy as np

k1 = np.array([[1.0, 0, -1], [2, 0, -2], [1, 0, -1]])
edges = np.zeros((6, 3, 3, 3))
for colour in range(3):
    edges[2 * colour, colour], edges[2 * colour + 1, colour] = k1, k1.T
np.save("edges.npy", edges)
"""
TRANSPOSED = """\
import numpy as np

np.save("up.npy", np.array([[[[1.0, 2, 1]]]]))
np.save("square.npy", np.ones((1, 1, 3, 3)))
open("three.pgm", "w").write("P2 3 1 255 10 20 30")
open("flat.pgm", "w").write("P2 4 4 255" + 16 * " 10")
"""


def main(page: Path, pictures: Path) -> None:
    """Write the page and its pictures."""
    pictures.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        small = Path(folder) / "in.png"
        with Image.open(SOURCE) as picture:
            reduced = picture.convert("RGB").resize((WIDTH, WIDTH * picture.height // picture.width))
        reduced.save(small)
        reduced.save(pictures / "in.png")
        page.write_text("".join(parts(Path(folder), pictures)).rstrip() + "\n")


def parts(folder: Path, pictures: Path) -> Iterator[str]:  # noqa: PLR0915 - a page, from top to bottom
    """Yield the page, piece by piece; all that its commands read is ``in.png`` and what they have written before."""

    def told(command: str) -> str:
        """Run a command that prints, and show it."""
        return f"```console\n$ {command}\n{printed(command, folder)}```\n\n"

    def typed(command: str) -> str:
        """Run commands that print nothing, and show them."""
        printed(command, folder)
        return f"```sh\n{command}\n```\n\n"

    def python(program: str) -> str:
        """Run Python, and show it."""
        subprocess.run([sys.executable, "-c", program], cwd=folder, check=True)
        return f"```python\n{program}```\n\n"

    def numbers(name: str, rows: tuple[str, ...]) -> str:
        """Write a picture as plain text, which can be read."""
        text = f"P2 {len(rows[0].split())} {len(rows)} 255\n" + "\n".join(rows)
        return typed(f"cat > {name}.pgm <<END\n{text}\nEND")

    def shown(commands: dict[str, str]) -> str:
        """Run commands that write pictures, and show them side by side; each has what its picture shows."""
        text, images = "".join(f"{command}\n" for command in commands), []
        for command, alt in commands.items():
            printed(command, folder)
            name = shlex.split(command)[-1]
            with Image.open(folder / name) as result:
                result.convert("RGB").save(pictures / f"{Path(name).stem}.jpg", quality=88, subsampling=0)
            images.append(f"![{alt}](lecture/{Path(name).stem}.jpg)")
        return f"```sh\n{text}```\n\n{' '.join(images)}\n\n"

    def drawn(name: str, specs: str, size: str, alt: str) -> str:
        """Draw a plan, and show command and drawing."""
        command = f"convfilter plan {specs} --size {size} --diagram {name}.svg > {name}.txt"
        printed(command, folder)
        (pictures / f"{name}.svg").write_text((folder / f"{name}.svg").read_text())
        return f"```sh\n{command}\n```\n\n![{alt}](lecture/{name}.svg)\n\n"

    yield """# The lecture, computed

`python docs/lecture.py` makes this page; every number and every picture in it is the program's own output. The commands
need the picture below, which is `docs/lecture/in.png`, and the files that earlier commands have written.
[handout.html](handout.html) is a page of exercises to print, with answers that the program has computed.

![A still life: an olive branch in a painted vase, lemons, a tea tin, books and a glass ball on a table](lecture/in.png)

## Locality and shared weights

A filter is a linear map, so it is a matrix. Each output depends only on neighbouring samples (the matrix is sparse),
and all outputs have the same weights (all diagonals are constant: a Toeplitz matrix). The weights `1 2 1` on seven
samples, without padding, give five outputs; their matrix has 15 nonzero numbers, which repeat only three weights:

"""
    columns = convfilter.convolve(np.eye(7, dtype=np.float32), [[1, 2, 1]], padding=((0, 0), (0, 0)))
    yield "```text\n" + "\n".join(" ".join(f"{value:2.0f}" for value in row) for row in columns.T) + "\n```\n\n"
    yield "## Convolution\n\nEach output is the sum of weight times sample under the kernel. The kernel slides.\n\n"
    yield told("convfilter kernel show 'kernel:1 2 1; 2 4 2; 1 2 1,normalize=true'")
    yield drawn(
        "valid", "-f box:3,padding=valid", "6",
        "A window of 3x3 on a grid of 6x6 without padding; the result is a grid of 4x4",
    )  # fmt: skip
    yield "A picture as text:\n\n"
    yield numbers("numbers", NUMBERS)
    yield "Under the weights `2 2 2; 0 1 0; 2 0 1` the first output is `2*3 + 2*3 + 2*2 + 1*1 + 2*2 + 1*3 = 24`:\n\n"
    yield told(
        "convfilter convolve --kernel '2 2 2; 0 1 0; 2 0 1' --padding valid numbers.pgm - "
        "| tail -c 16 | od -An -tu1 | xargs -n4"
    )
    yield "## Padding\n\nWith padding the result keeps its size; `--padding-mode` chooses the padding's values.\n\n"
    yield drawn(
        "same", "-f box:3", "6", "A window of 3x3 on a grid of 6x6 with one pixel of padding; the result is 6x6"
    )
    yield "## Stride\n\nKeep every second output: a quarter of the pixels, and of the work.\n\n"
    yield drawn(
        "strided", "-f box:3,stride=2,padding=1", "7",
        "Windows of 3x3 that lie two pixels apart on a padded grid of 7x7; the result is 4x4",
    )  # fmt: skip
    yield shown(
        {"convfilter blur --gaussian 2 --stride 2 in.png half.png": "The still life, blurred, at half its size"}
    )
    yield "## Dilation\n\nSpread the taps: a wider view with the same number of weights.\n\n"
    yield drawn(
        "dilated", "-f box:3,dilation=2,padding=valid", "7",
        "Nine taps that lie two pixels apart cover 5x5 pixels of a grid of 7x7; the result is 3x3",
    )  # fmt: skip
    yield "## Output size\n\n`floor((I + P + P' - D(K - 1) - 1) / S) + 1`, with numbers:\n\n"
    yield told(f"convfilter plan -f box:3,stride=2,dilation=2,padding=1 --size 11x8 {_PLAN}")
    yield "## Pooling\n\nThe largest sample of each window, or the mean.\n\n"
    yield drawn("pooled", "-f maxpool:2", "6", "Windows of 2x2 side by side on a grid of 6x6; the result is 3x3")
    yield numbers("small", SMALL)
    yield "Windows of 3x3, two pixels apart; padding is never the largest sample:\n\n"
    yield told("convfilter pool --max 3 --stride 2 --padding 1 small.pgm - | tail -c 9 | od -An -tu1 | xargs -n3")
    yield shown({
        "convfilter pool --max 4 in.png largest.png": "A quarter of the size, from the brightest samples",
        "convfilter pool --average 4 in.png mean.png": "A quarter of the size, from means",
    })  # fmt: skip
    yield "## Box 3, 5, 11\n\n"
    yield shown({
        f"convfilter blur --box {size} in.png box{size}.png": f"Blurred with a box of {size}: {what}"
        for size, what in ((3, "fine texture goes"), (5, "edges soften"), (11, "streaks along rows and columns"))
    })  # fmt: skip
    yield "## Gaussian 2 and 4\n\nThe Gaussian has no corners: no streaks, and no direction.\n\n"
    yield shown({
        f"convfilter blur --gaussian {sigma} in.png gaussian{sigma}.png": f"Blurred with a Gaussian of sigma {sigma}"
        for sigma in (2, 4)
    })  # fmt: skip
    yield "## Sobel: k1, k2, magnitude\n\n"
    yield told("convfilter kernel show sobel")
    yield shown({
        "convfilter edges --sobel x --map offset in.png k1.png": "Vertical edges; grey is zero",
        "convfilter edges --sobel y --map offset in.png k2.png": "Horizontal edges; grey is zero",
        "convfilter edges --sobel magnitude in.png magnitude.png": "All edges, bright on black",
    })  # fmt: skip
    yield "The direction in which the picture gets brighter, as hue: red to the right, green up and to the left.\n\n"
    yield shown({"convfilter edges --sobel orientation in.png orientation.png": "Edges, coloured by their direction"})
    yield "## Colour pictures\n\nA 2-D kernel filters each colour by itself; `--gray` takes the luminance first.\n\n"
    yield shown({
        "convfilter edges --laplacian in.png colours.png": "Second differences of each colour: coloured outlines",
        "convfilter edges --laplacian --gray in.png luminance.png": "Second differences of grey: grey outlines",
    })  # fmt: skip
    yield """## Several filters

A layer has a kernel for each pair of input and output channel: `K x K x C_in x C_out` weights. These are six filters,
k1 and k2 for each of the three colours:

"""
    yield python(BANK)
    yield """One map is written as a grey picture, three as RGB, four as RGBA; six are not one picture, so they are
written as a contact sheet, or as an array to an `.npy` file.

"""
    yield told("convfilter plan -f layer:edges.npy --size 300x200 | grep -E 'kernel|channels'")
    yield shown({
        "convfilter apply -f layer:edges.npy in.png maps.png": "Six labelled maps of edges, two for each colour"
    })  # fmt: skip
    yield "## Stacking\n\nTwo 3x3 kernels have the receptive field of one 5x5, with 18 weights instead of 25:\n\n"
    yield told("convfilter plan -f box:3 -f box:3 --size 300x200 | grep -E 'stage|field|instead'")
    yield "Between the stages nothing is rounded or clipped:\n\n"
    yield shown({
        "convfilter apply -f gaussian:1 -f sobel:magnitude -f maxpool:2 in.png stack.png": "Edges at half the size",
        "convfilter apply -f gaussian:2 -f sobel:x -f relu in.png rising.png": "Edges of one sign only",
    })  # fmt: skip
    yield """## Receptive field

The receptive field of an output is the part of the picture on which it depends: each stage adds `D(K - 1)` times the
product of the strides before it.

"""
    yield told(f"convfilter plan -f box:7,stride=2 -f maxpool:3,stride=2,padding=1 -f box:3 --size 224 {_PLAN}")
    yield drawn(
        "stacked", "-f box:3 -f maxpool:2", "8",
        "One output of a pooling of 2x2 sees four outputs of a box of 3x3, and they see 4x4 pixels of the picture",
    )  # fmt: skip
    yield """The explorer shows it on a page: a click on a pixel of any stage marks its receptive field in all earlier
stages, with the sums in numbers, and a click on a weight marks the pixels that it is multiplied by.

"""
    yield typed("convfilter plan -f box:3 -f maxpool:2 --size 8 --explore field.html > field.txt")
    yield """## Transposed convolution

A convolution with stride 2 halves a picture; its transpose, a layer of decoders and of generators, doubles it: each
sample, times the weights, is added to the result, two pixels after the one before. The weights `1 2 1` with stride 2
take seven samples to three, by a matrix of three rows; the transpose of this matrix takes three samples to seven:

"""
    strided = convfilter.convolve(
        np.eye(7, dtype=np.float32), [[1, 2, 1]], stride=(1, 2), padding=((0, 0), (0, 0))
    )  # fmt: skip
    yield "```text\n" + "\n".join(" ".join(f"{value:2.0f}" for value in row) for row in strided) + "\n```\n\n"
    yield python(TRANSPOSED)
    yield told("convfilter apply -f convtranspose:up.npy,stride=2 --format pgm three.pgm - | tail -c 7 | od -An -tu1")
    yield "The output size is the input size of the convolution: `(I - 1)S - P - P' + D(K - 1) + 1`.\n\n"
    yield told(
        "convfilter plan -f convtranspose:up.npy,stride=2x1 --size 3x1 --channels 1 | grep -E 'stage|width|field'"
    )
    yield """The explorer shows it as two steps: insert zeros between the samples, then convolve. Where windows of
neighbours overlap unevenly, as windows of 3 with stride 2 do, a flat picture becomes a chequerboard; with windows whose
size is a multiple of the stride it stays flat.

"""
    yield typed("convfilter plan -f convtranspose:square.npy,stride=2 --size 4 --channels 1 --explore up.html > up.txt")
    yield told(
        "convfilter apply -f convtranspose:square.npy,stride=2 flat.pgm - | tail -c 81 | od -An -v -tu1 -w9 | tr -s ' '"
    )
    yield "## Stride against pooling\n\nBoth halve the picture. A stride drops samples; pooling uses all of them.\n\n"
    yield told(f"convfilter plan -f box:3,stride=2,padding=1 --size 300x200 {_PLAN}")
    yield told(f"convfilter plan -f box:3 -f maxpool:2 --size 300x200 {_PLAN}")
    yield shown({
        "convfilter apply -f sobel:magnitude,stride=2,padding=1 in.png dropped.png": "Edges at half the size, gaps",
        "convfilter apply -f sobel:magnitude -f maxpool:2 in.png asked.png": "Edges at half the size, all there",
    })  # fmt: skip


if __name__ == "__main__":
    main(HERE / "lecture.md", PICTURES)
