"""Write docs/handout.html, a page of exercises to print: ``python docs/handout.py`` with convfilter installed.

The program computes each answer by the command that is printed below it.
"""

from __future__ import annotations

import sys
import tempfile
from html import escape
from pathlib import Path
from typing import NamedTuple

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))

from shell import printed

HERE = Path(__file__).parent
PAGE = HERE / "handout.html"


class Exercise(NamedTuple):
    """A question, as HTML, and the command whose output answers it."""

    question: str
    command: str


#: Pictures that the commands read, by name.
FILES = {
    "five.pgm": "P2 5 5 255 3 3 2 1 0 0 0 1 3 1 3 1 2 2 3 2 0 0 2 2 2 0 0 0 1",
    "step.pgm": "P2 4 3 255 0 0 10 10 0 0 10 10 0 0 10 10",
    "row.pgm": "P2 4 1 255 1 2 3 4",
    "two.pgm": "P2 2 1 255 10 20",
}
LAYERS = {"layer.npy": (64, 3, 3, 3), "up.npy": (1, 1, 1, 3)}
_FIVE = "3 3 2 1 0\n0 0 1 3 1\n3 1 2 2 3\n2 0 0 2 2\n2 0 0 0 1"
_NUMBERS = "tail -c {} | od -An -v -tu1 -w{} | tr -s ' '"

EXERCISES = (
    Exercise(
        "A kernel of 3 with dilation 2 goes over 11 pixels, padded by 1 on each side, with stride 2. How many outputs?",
        "convfilter plan -f box:3,stride=2,dilation=2,padding=1 --size 11 | grep width",
    ),
    Exercise(
        f"Filter these samples with the weights <code>0 1 2; 2 2 0; 0 1 2</code>, without padding.<pre>{_FIVE}</pre>",
        f"convfilter convolve --kernel '0 1 2; 2 2 0; 0 1 2' --padding valid five.pgm - | {_NUMBERS.format(9, 3)}",
    ),
    Exercise(
        "Pool the same samples: the largest of windows of 3x3, stride 2, padding 1.",
        f"convfilter pool --max 3 --stride 2 --padding 1 five.pgm - | {_NUMBERS.format(9, 3)}",
    ),
    Exercise(
        "What stands beyond the border of <code>1 2 3 4</code>, two samples on each side, by <em>edge</em>, "
        "<em>reflect</em>, <em>symmetric</em> and <em>wrap</em>?",
        "for mode in edge reflect symmetric wrap; do convfilter convolve --kernel 1 --padding 2x0 --padding-mode $mode "
        f"row.pgm - | {_NUMBERS.format(8, 8)}; done",
    ),
    Exercise(
        "Sobel's k<sup>[1]</sup> = <code>1 0 -1; 2 0 -2; 1 0 -1</code> goes over rows <code>0 0 10 10</code>, the "
        "border repeated. What is the largest magnitude, and what is the sign there?",
        "convfilter apply -f sobel:x step.pgm step.npy && python3 -c "
        "\"import numpy; print(*numpy.rint(255 * numpy.load('step.npy')[1].ravel()))\"",
    ),
    Exercise(
        "A kernel of 7 with stride 2, a pooling of 3 with stride 2, a kernel of 3: how many pixels does an output see, "
        "and how far apart are the fields of neighbours?",
        "convfilter plan -f box:7,stride=2 -f maxpool:3,stride=2,padding=1 -f box:3 --size 224 | grep field | tail -n1",
    ),
    Exercise(
        "How many weights and biases has a layer of 3x3 kernels from 3 channels to 64?",
        "convfilter plan -f layer:layer.npy --size 224 | grep kernel",
    ),
    Exercise(
        "How many multiplications a sample does a Gaussian of 25x25 take weight by weight, and how many as a row and a "
        "column?",
        "convfilter plan -f gaussian:2 --size 512 | grep -E 'kernel|algorithm'",
    ),
    Exercise(
        "A transposed convolution with the weights <code>1 2 1</code> and stride 2 of the samples <code>10 20</code>?",
        f"convfilter apply -f convtranspose:up.npy,stride=2x1 two.pgm - | {_NUMBERS.format(5, 5)}",
    ),
    Exercise(
        "Two kernels of 3x3, one after the other: which single kernel has the same receptive field, and which "
        "share of its weights do they have?",
        "convfilter plan -f box:3 -f box:3 --size 64 | grep instead",
    ),
)

_STYLE = """
@page { size: A4; margin: 11mm; }
:root { color-scheme: light dark; }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1rem; max-width: 60rem; font: 15px/1.4 system-ui, sans-serif; }
h1 { font-size: 1.3rem; margin: 0; } h2 { font-size: 1.05rem; margin: .9rem 0 .3rem; }
p { margin: .2rem 0; }
ol { margin: 0; padding-left: 1.4rem; columns: 22rem 2; column-gap: 2rem; }
li { break-inside: avoid; margin-bottom: .45rem; }
pre, code { font: .9em/1.3 ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace; }
pre { margin: .2rem 0; white-space: pre-wrap; overflow-wrap: anywhere; }
.answers { border-top: 1px solid; margin-top: .8rem; }
.answers li code { display: block; opacity: .8; overflow-wrap: anywhere; font-size: .78em; }
@media print {
  body { padding: 0; max-width: none; font-size: 9.2pt; line-height: 1.28; }
  ol { columns: 2; }
  .answers { font-size: 7.6pt; }
}
"""


def page() -> str:
    """Return the page as HTML."""
    with tempfile.TemporaryDirectory() as folder:
        for name, text in FILES.items():
            Path(folder, name).write_text(text)
        for name, shape in LAYERS.items():
            np.save(Path(folder, name), np.array([1.0, 2, 1]).reshape(shape) if name == "up.npy" else np.zeros(shape))
        answers = [(exercise.command, answer(exercise.command, Path(folder))) for exercise in EXERCISES]
    questions = "\n".join(f"<li>{exercise.question}</li>" for exercise in EXERCISES)
    solved = "\n".join(
        f"<li><pre>{escape(result)}</pre><code>{escape(command)}</code></li>" for command, result in answers
    )
    read = ", ".join(f'{name} (<code class="in">{text}</code>)' for name, text in FILES.items())
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n<title>Convolution: exercises</title>\n'
        f"<style>{_STYLE}</style>\n</head>\n<body>\n<main>\n<h1>Convolution: exercises</h1>\n"
        "<p>Cross-correlation, as networks have it: the kernel is not turned. Sizes are width x height.</p>\n"
        f"<h2>Questions</h2>\n<ol>\n{questions}\n</ol>\n"
        '<section class="answers">\n<h2>Answers, computed by convfilter</h2>\n'
        f"<ol>\n{solved}\n</ol>\n<p>Input files: {read}; layer.npy and up.npy hold weights of the shapes "
        f"{escape(str(LAYERS['layer.npy']))} and {escape(str(LAYERS['up.npy']))}, the second 1 2 1.</p>\n"
        "</section>\n</main>\n</body>\n</html>\n"
    )


def answer(command: str, folder: Path) -> str:
    """Run a command, and return its output without the blanks around each line."""
    return "\n".join(line.strip() for line in printed(command, folder).splitlines())


if __name__ == "__main__":
    PAGE.write_text(page())
