"""The recipes of CONTRIBUTING.md work, step by step, in a copy of the package, and the files that it names exist."""

import os
import re
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import convfilter

ROOT = Path(convfilter.__file__).parents[1]
PAGE = (ROOT / "CONTRIBUTING.md").read_text()
HEADER = b"xyz!" + (2).to_bytes(1) + (3).to_bytes(1) + (3).to_bytes(1)
#: Stands for the library of an invented format: a signature, height, width, channels, samples.
LIBRARY = """
import numpy as np

def shape(data):
    return tuple(data[4:7])

def decode(data):
    return np.frombuffer(data[7:], np.uint8).reshape(shape(data)).copy()
"""


def section(title):
    return re.search(rf"^## {title}\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)[1]


def blocks(title):
    return [textwrap.dedent(text) for text in re.findall(r"^ *```python\n(.*?)^ *```", section(title), re.M | re.S)]


@pytest.fixture
def tree(tmp_path):
    """A copy of the package, which programs started by :func:`run` see."""
    shutil.copytree(ROOT / "convfilter", tmp_path / "convfilter", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def insert(path, before, text):
    """Insert ``text`` before the only line of a file that begins with ``before``, indented like that line."""
    source = path.read_text()
    (line,) = re.findall(rf"^( *){re.escape(before)}", source, re.MULTILINE)
    place = re.search(rf"^ *{re.escape(before)}", source, re.MULTILINE).start()
    path.write_text(source[:place] + textwrap.indent(text, line) + source[place:])


def run(tree, *arguments):
    environment = {**os.environ, "PYTHONPATH": str(tree), "PYTHONSAFEPATH": "1"}
    command = [sys.executable, "-B", *arguments]
    done = subprocess.run(command, cwd=tree, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_filter_is_added(tree):
    weights, stage, row, test = blocks("Add a filter")
    kernels, catalog = tree / "convfilter/filters/kernels.py", tree / "convfilter/filters/catalog.py"
    kernels.write_text(f"{kernels.read_text()}\n\n{weights}")
    insert(catalog, "FILTERS: Mapping", f"{stage}\n\n")
    insert(catalog, "*SAMPLED_ROWS", row.rstrip() + ",\n")
    option = re.search(r'`(selector\("--diamond", "diamond"\))`', section("Add a filter"))[1]
    blur = tree / "convfilter/cli/blur.py"
    blur.write_text(blur.read_text().replace('selector("--box", "box")', f'selector("--box", "box"), {option}'))
    imports = "import numpy as np\n\nfrom convfilter.filters import kernels\n\n\n"
    (tree / "test_recipe.py").write_text(imports + test)
    assert "1 passed" in run(tree, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_recipe.py")
    picture = ROOT / "sample_images/still_life.png"
    run(tree, "-m", "convfilter", "plan", "-f", "diamond:2.5", "--size", "9")
    assert "city-block" in run(tree, "-m", "convfilter", "kernel", "show", "diamond:1")
    run(tree, "-m", "convfilter", "blur", "--diamond", "5", "--dry-run", str(picture), "out.png")


def test_a_format_is_added(tree):
    reader, row = blocks("Add a format")
    (tree / "convfilter/picture/codecs/xyz.py").write_text(reader)
    insert(tree / "convfilter/picture/formats.py", "TABLE: tuple[Format, ...] = (", "_XYZ = " + row)
    formats = tree / "convfilter/picture/formats.py"
    formats.write_text(
        formats.read_text().replace("TABLE: tuple[Format, ...] = (", "TABLE: tuple[Format, ...] = (_XYZ,", 1)
    )
    (tree / "xyz.py").write_text(LIBRARY)
    (tree / "in.xyz").write_bytes(HEADER + bytes(range(18)))
    run(tree, "-m", "convfilter", "apply", "-f", "identity", "in.xyz", "out.ppm")
    assert (tree / "out.ppm").read_bytes().endswith(bytes(range(18)))
    assert "XYZ" in run(tree, "-m", "convfilter", "formats")


#: A loop as plain Python, as machine code and as NumPy says it, in each type that ``cache warm`` compiles.
TRIED = """
import numpy as np
from convfilter.engine import load
from convfilter.loops.negated import negate
from convfilter.precompile.variants import all_variants

for types in [types for loop, types in all_variants() if loop is load.NEGATE]:
    samples = np.arange(9, dtype=types["A"])
    for call in (negate, load.NEGATE.variant(**types)):
        out = np.zeros(5, types["A"])
        assert call(samples, 2, 4, out) == 0
        np.testing.assert_array_equal(out, [-2, -3, -4, -5, 0])
    print(np.dtype(types["A"]))
"""


def test_a_loop_is_added(tree):
    function, loop = blocks("Add a loop")
    (tree / "convfilter/loops/negated.py").write_text(function)
    with open(tree / "convfilter/engine/load.py", "a") as module:
        module.write(loop)
    assert run(tree, "-c", TRIED).split() == ["float32", "float64"]


def test_paths_named_in_contributing_exist():
    named = set(
        re.findall(
            r"`((?:convfilter|tests|docs|benchmarks|sample_images|picture|planning|loops|native)/[\w/.]*)`", PAGE
        )
    )
    assert len(named) > 25
    missing = [name for name in named if not any((ROOT / top / name).exists() for top in ("", "convfilter"))]
    assert missing == []


@pytest.mark.parametrize("name", sorted(set(re.findall(r"`make (\w+)`|^make (\w+)", PAGE, re.MULTILINE))))
def test_targets_are_those_of_the_makefile(name):
    assert re.search(rf"^{''.join(name)}:", (ROOT / "Makefile").read_text(), re.MULTILINE)
