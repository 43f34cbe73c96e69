"""A folder of photos blurred in one run, by convfilter and by its peers: ``python benchmarks/batch.py``.

All blur the same pictures with the same Gaussian of sigma 4, into the same format. Each program runs as its users would
run it over a folder; vips takes one picture, so two processes run at a time. Programs that are not installed are left
out and named. Losses are shown like wins.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image
from timing import machine, table, take_turns, write_json

SAMPLE = Path(__file__).parents[1] / "sample_images" / "still_life.png"
SIZE = (1632, 1224)
SIGMA = 4
#: The default JPEG quality of vips; other programs keep that of their input.
QUALITY = 75

#: Shell commands that filter the pictures of ``in`` into ``out``.
CONTENDERS = {
    "convfilter": "{convfilter} blur --gaussian {sigma} --quiet in out",
    "gm mogrify": "cd in && gm mogrify -gaussian 0x{sigma} -output-directory ../out *.{ext}",
    "mogrify": "mogrify -path out -blur 0x{sigma} in/*.{ext}",
    "xargs vips": "ls in | xargs -P{jobs} -I@ vips gaussblur in/@ out/@ {sigma}",
}


def make_photos(folder: Path, ext: str, count: int) -> None:
    """Write ``count`` different photos of 2 MP: the still life with a sensor's grain, each slightly rotated."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    with Image.open(SAMPLE) as still_life:
        photo = still_life.convert("RGB").resize(SIZE, Image.Resampling.LANCZOS)
    for number in range(count):
        turned = np.asarray(photo.rotate(number * 0.5), np.int16)
        grainy = np.clip(turned + rng.normal(0, 3, turned.shape), 0, 255).astype(np.uint8)
        Image.fromarray(grainy).save(folder / f"{number:04}.{ext}", quality=QUALITY)


def run(command: str, folder: Path, files: int) -> None:
    """Run one program on an empty output folder, and check that it has written all files."""
    out = folder / "out"
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir()
    subprocess.run(["sh", "-c", command], cwd=folder, check=True, stdout=subprocess.DEVNULL)
    if (found := len(list(out.iterdir()))) != files:
        raise SystemExit(f"{command!r} wrote {found} files of {files}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=100, help="photos of 2 MP")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--patience", type=float, default=600.0, help="seconds for all runs of one program")
    parser.add_argument("--formats", nargs="+", default=["jpg", "png"])
    parser.add_argument(
        "--against", nargs="+", choices=list(CONTENDERS)[1:], default=list(CONTENDERS)[1:], metavar="NAME"
    )
    parser.add_argument("--json", metavar="FILE", help="write all figures to FILE")
    arguments = parser.parse_args()
    about = machine()
    print(", ".join(f"{key} {value}" for key, value in about.items()))
    missing = [name for name in ("gm", "mogrify", "vips") if shutil.which(name) is None]
    if missing:
        print(f"not installed, left out: {', '.join(missing)}")
    report: dict[str, dict[str, object]] = {}
    for ext in arguments.formats:
        with tempfile.TemporaryDirectory(prefix="convfilter-batch.") as name:
            folder = Path(name)
            make_photos(folder / "in", ext, arguments.files)
            words = {
                "sigma": SIGMA, "ext": ext, "jobs": about["cores"],
                "convfilter": f"'{sys.executable}' -m convfilter",
            }  # fmt: skip
            calls = {
                contender: partial(run, command.format(**words), folder, arguments.files)
                for contender, command in CONTENDERS.items()
                if contender in ("convfilter", *arguments.against)
                and not any(program in contender.split() for program in missing)
            }
            timings = take_turns(calls, arguments.runs, arguments.patience)
        ours = timings["convfilter"]
        rows = [
            (
                contender,
                ext,
                f"{timing.seconds:.2f}",
                f"{timing.spread:.0%}",
                f"{timing.cpu_seconds:.2f}",
                f"{timing.seconds / ours.seconds:.2f}",
                f"{timing.cpu_seconds / ours.cpu_seconds:.2f}",
            )
            for contender, timing in timings.items()
        ]
        print(table(("program", "format", "seconds", "spread", "cpu s", "x ours", "x our cpu"), rows))
        report[ext] = {contender: timing.as_json() for contender, timing in timings.items()}
    if arguments.json:
        write_json(arguments.json, {"machine": about, "files": arguments.files, "formats": report})


if __name__ == "__main__":
    main()
