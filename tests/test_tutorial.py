"""The tutorial notebook's cells give the outputs stored in it."""

import base64
import importlib.util
import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).parent.parent
#: Lines of a plan that tell of the engine's memory, which is no promise.
OF_THE_ENGINE = ("  memory", "  algorithm", "  work", "together")


@pytest.fixture(scope="module")
def tutorial():
    spec = importlib.util.spec_from_file_location("tutorial", ROOT / "docs" / "tutorial.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def shown(notebook):
    """Return the texts and pictures of all outputs."""
    for cell in notebook["cells"]:
        for output in cell.get("outputs", ()):
            text = output.get("text") or output["data"]["text/plain"]
            yield "".join(line for line in text if not line.startswith(OF_THE_ENGINE))
            if "image/png" in output.get("data", {}):
                yield np.asarray(Image.open(io.BytesIO(base64.b64decode(output["data"]["image/png"])))).tolist()


def test_the_cells_give_what_the_notebook_shows(tutorial, tmp_path, monkeypatch):
    monkeypatch.setenv("TUTORIAL_FOLDER", str(tmp_path))
    text = tutorial.NOTEBOOK.read_text()
    notebook = json.loads(text)
    assert text == tutorial.text_of(notebook)
    kept = list(shown(notebook))
    tutorial.run(notebook)
    assert list(shown(notebook)) == kept, "run: python docs/tutorial.py"
    assert sum(cell["cell_type"] == "code" for cell in notebook["cells"]) >= 10
