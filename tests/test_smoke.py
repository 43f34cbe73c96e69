"""Quick checks before every commit: one picture through the command and through the API, and an easily broken rule."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import numpy as np
from PIL import Image

import convfilter as cf
from convfilter.cli.root import run

SAMPLES = np.random.default_rng(5).integers(0, 256, (9, 11), np.uint8)


def test_a_box_from_file_to_file_is_the_mean_of_nine(tmp_path: Path) -> None:
    source, destination = tmp_path / "in.png", tmp_path / "out.png"
    Image.fromarray(SAMPLES).save(source)
    assert run(["blur", "--box", "3", "--padding", "valid", str(source), str(destination)]) == 0
    windows = np.lib.stride_tricks.sliding_window_view(SAMPLES.astype(float), (3, 3))
    expected = np.rint(windows.mean((2, 3))).astype(np.uint8)  # a mean of nine levels never lies between two
    np.testing.assert_array_equal(np.asarray(Image.open(destination)), expected)
    np.testing.assert_array_equal(cf.box_blur(SAMPLES, 3, padding="valid"), expected)


def test_only_the_command_line_names_flags() -> None:
    """Below it, errors hold options in braces, since Python's users have no flags."""
    package = Path(cf.__file__).parent
    flag = re.compile(r"(^|[\s'(])--([a-z]|$)")
    for path in sorted(package.rglob("*.py")):
        # Styles of pages have such names, and the page of ``try`` shows commands.
        if path.relative_to(package).parts[0] in ("cli", "report", "trial"):
            continue
        tree = ast.parse(path.read_text())
        plain = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}  # docstrings
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in plain:
                assert not flag.search(node.value), f"{path.name}:{node.lineno}: {node.value}"
