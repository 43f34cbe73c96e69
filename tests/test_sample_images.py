"""The sample images have the content that examples need, and the chart is the one that its code draws."""

from __future__ import annotations

import runpy
from pathlib import Path

import numpy as np
from PIL import Image

FOLDER = Path(__file__).parents[1] / "sample_images"


def stored(name: str) -> np.ndarray:
    with Image.open(FOLDER / f"{name}.png") as picture:
        return np.asarray(picture)


def test_the_chart_is_the_one_that_its_code_draws() -> None:
    drawn = runpy.run_path(str(FOLDER / "chart.py"))["render"]()
    assert drawn.shape == (800, 1200)
    different = np.abs(drawn.astype(int) - stored("chart")) > 1
    assert different.mean() < 0.002  # another FreeType may draw the captions a little differently


def test_loud_colours_are_hidden_where_the_balloons_are_not() -> None:
    picture = stored("balloons")
    hidden = picture[picture[..., 3] == 0][:, :3]
    assert {tuple(colour) for colour in np.unique(hidden, axis=0).tolist()} == {(255, 0, 255), (0, 255, 0)}
    soft = (picture[..., 3] > 0) & (picture[..., 3] < 255)
    assert soft.mean() > 0.05
