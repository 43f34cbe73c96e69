"""The shortest proof that the program works at all: one picture through the command and through the API."""

from __future__ import annotations

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
