"""The sample images come out of their code, and hold what they are for."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image

FOLDER = Path(__file__).parents[1] / "sample_images"


@pytest.fixture(scope="module")
def renderers() -> Iterator[dict[str, ModuleType]]:
    """Import the scripts as ``make.py`` does, and forget them again: their names are common words."""
    before = set(sys.modules)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(FOLDER))
        import balloons
        import chart
        import still_life

        yield {"balloons": balloons, "chart": chart, "still_life": still_life}
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(FOLDER)):
            del sys.modules[name]


def stored(name: str) -> np.ndarray:
    with Image.open(FOLDER / f"{name}.png") as picture:
        return np.asarray(picture)


def reduced(samples: np.ndarray, factor: int) -> np.ndarray:
    rows, cols, channels = samples.shape
    blocks = samples.reshape(rows // factor, factor, cols // factor, factor, channels)
    return blocks.astype(np.float64).mean(axis=(1, 3))


def test_the_chart_is_the_one_that_its_code_draws(renderers: dict[str, ModuleType]) -> None:
    drawn = renderers["chart"].render()
    assert drawn.shape == (800, 1200)
    different = np.abs(drawn.astype(int) - stored("chart")) > 1
    assert different.mean() < 0.002  # another FreeType may draw the captions a little differently


def test_a_small_still_life_is_the_large_one_seen_from_afar(renderers: dict[str, ModuleType]) -> None:
    small = renderers["still_life"].render(30, 20)
    assert np.abs(small - reduced(stored("still_life"), 40)).mean() < 12


def test_the_same_code_paints_the_same_balloons(renderers: dict[str, ModuleType]) -> None:
    first, again = (renderers["balloons"].render(80, 100) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    alpha = first[..., 3].astype(float)
    assert np.abs(alpha - reduced(stored("balloons"), 10)[..., 3]).mean() < 6


def test_loud_colours_are_hidden_where_the_balloons_are_not() -> None:
    picture = stored("balloons")
    hidden = picture[picture[..., 3] == 0][:, :3]
    assert {tuple(colour) for colour in np.unique(hidden, axis=0).tolist()} == {(255, 0, 255), (0, 255, 0)}
    soft = (picture[..., 3] > 0) & (picture[..., 3] < 255)
    assert soft.mean() > 0.05
