"""Render the sample images: ``python sample_images/make.py [FOLDER]``.

Needs NumPy and Pillow alone. The pictures depend on nothing but this code; the
still life takes a minute or two on two cores, the others a few seconds.
"""

from __future__ import annotations

import sys
from pathlib import Path

import balloons
import chart
import still_life
from PIL import Image

PICTURES = {"chart.png": chart.render, "balloons.png": balloons.render, "still_life.png": still_life.render}


def main(folder: Path) -> None:
    """Write all pictures to a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, render in PICTURES.items():
        Image.fromarray(render()).save(folder / name, compress_level=9)
        print(folder / name)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)
