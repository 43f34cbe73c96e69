"""Run the cells of ``docs/tutorial.ipynb`` and keep what they give: ``python docs/tutorial.py``.

The notebook is its own source: cells are written in it, by Jupyter or by hand, and their outputs come from here, so
that they are the same wherever they are made. A test runs the cells and compares.
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
#: Larger pictures are left for whoever runs the notebook.
MOST_BYTES = 60_000


def run(notebook: dict[str, Any]) -> None:
    """Run all code cells in their order, in ``docs`` as Jupyter does, and put what they give into the notebook."""
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
    """Run one cell; returns what it has printed and the value of its last expression."""
    tree = ast.parse(source)
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    printed, value = io.StringIO(), None
    with contextlib.redirect_stdout(printed):
        exec(compile(tree, "cell", "exec"), names)
        if isinstance(last, ast.Expr):
            value = eval(compile(ast.Expression(last.value), "cell", "eval"), names)
    found: list[dict[str, Any]] = []
    if printed.getvalue():
        found.append({"name": "stdout", "output_type": "stream", "text": printed.getvalue().splitlines(keepends=True)})
    if value is not None:
        data: dict[str, Any] = {"text/plain": repr(value).splitlines(keepends=True)}
        png = value._repr_png_() if hasattr(value, "_repr_png_") else b""
        if 0 < len(png) <= MOST_BYTES:
            data["image/png"] = base64.b64encode(png).decode()
        result = {"data": data, "execution_count": count, "metadata": {}, "output_type": "execute_result"}
        found.append(result)
    return found


def text_of(notebook: dict[str, Any]) -> str:
    """Write a notebook as Jupyter does."""
    return json.dumps(notebook, indent=1, ensure_ascii=False) + "\n"


def main() -> None:
    """Bring the notebook up to date."""
    notebook = json.loads(NOTEBOOK.read_text())
    with tempfile.TemporaryDirectory() as folder:
        os.environ["TUTORIAL_FOLDER"] = folder
        run(notebook)
    NOTEBOOK.write_text(text_of(notebook))


if __name__ == "__main__":
    main()
