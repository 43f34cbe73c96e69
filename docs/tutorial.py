"""Run the cells of ``docs/tutorial.ipynb`` and store their outputs in it: ``python docs/tutorial.py``.

Cells are edited in the notebook, with Jupyter or by hand. This script writes their outputs, which are the
same on every machine. A test runs the cells and compares.
"""

from __future__ import annotations

import ast
import base64
import contextlib
import io
import json
import os
import tempfile
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
NOTEBOOK = HERE / "tutorial.ipynb"
#: Largest PNG that is stored as an output; larger ones appear when the notebook is run.
MOST_BYTES = 60_000


def run(notebook: dict[str, Any]) -> None:
    """Run all code cells in order, in ``docs`` as Jupyter does, and store their outputs in the notebook."""
    names: dict[str, Any] = {"__name__": "__main__"}
    before = os.getcwd()
    os.chdir(HERE)
    try:
        cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
        for count, cell in enumerate(cells, 1):
            cell["execution_count"], cell["outputs"] = count, outputs("".join(cell["source"]), names, count)
    finally:
        os.chdir(before)


def outputs(source: str, names: dict[str, Any], count: int) -> list[dict[str, Any]]:
    """Run one cell, and return its printed text and the value of its last expression as outputs."""
    tree = ast.parse(source)
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    printed, value = io.StringIO(), None
    with contextlib.redirect_stdout(printed):
        exec(compile(tree, "cell", "exec"), names)
        if isinstance(last, ast.Expr):
            value = eval(compile(ast.Expression(last.value), "cell", "eval"), names)
    stored: list[dict[str, Any]] = []
    if printed.getvalue():
        stored.append({"name": "stdout", "output_type": "stream", "text": printed.getvalue().splitlines(keepends=True)})
    if value is not None:
        data: dict[str, Any] = {"text/plain": repr(value).splitlines(keepends=True)}
        png = value._repr_png_() if hasattr(value, "_repr_png_") else b""
        if 0 < len(png) <= MOST_BYTES:
            data["image/png"] = base64.b64encode(png).decode()
        result = {"data": data, "execution_count": count, "metadata": {}, "output_type": "execute_result"}
        stored.append(result)
    return stored


def text_of(notebook: dict[str, Any]) -> str:
    """Return a notebook as JSON in the layout of Jupyter."""
    return json.dumps(notebook, indent=1, ensure_ascii=False) + "\n"


def main() -> None:
    """Update the outputs of the notebook."""
    notebook = json.loads(NOTEBOOK.read_text())
    with tempfile.TemporaryDirectory() as folder:
        os.environ["TUTORIAL_FOLDER"] = folder
        run(notebook)
    NOTEBOOK.write_text(text_of(notebook))


if __name__ == "__main__":
    main()
