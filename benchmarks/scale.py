"""Large pictures, from file to file: ``python benchmarks/scale.py``.

Prints the peak memory of the whole program for pictures of 25 to 1600 megapixels, which are made here band by band;
then its time and that of vips, in turns, as medians. Other load on the machine affects the times, not the memory.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
from files import ROOT, _call, _environment, _verdict
from timing import machine, table, take_turns, versions, write_json

from convfilter.picture import row_writer
from convfilter.picture.formats import by_suffix
from convfilter.picture.metadata.metadata import Metadata
from convfilter.picture.options import WriteOptions
from convfilter.picture.outline import Outline
from convfilter.picture.write import row_writer as writer_of

Report = dict[str, Any]

SIGMA = 4
STACK = ["gaussian:20", "sobel:magnitude", "maxpool:2"]
#: Height and width by megapixels.
SIZES = {12: (3000, 4000), 25: (5000, 5000), 100: (10000, 10000), 225: (15000, 15000), 400: (20000, 20000)}
SIZES[1600] = (40000, 40000)
#: Most promised memory in MB, and most by which the memory of the largest picture may exceed that of 25 MP.
MOST_MB, MOST_GROWTH, MOST_STACK_MB = 90, 1.2, 200
#: Suffix and megapixels of the pictures that vips also filters, and the promised share of its time.
PROMISED = {
    ("png", 100): 0.40,
    ("png", 12): 0.42,
    ("tif", 100): 1.0,
    ("ppm", 225): 1.0,
    ("jpg", 12): 1.0,
    ("jpg", 100): 1.0,
    ("jpeg", 12): 1.0,
    ("jpeg", 100): 1.0,
}
#: The JPEG quality for vips: that of the input, which convfilter keeps by default.
QUALITY = 90
_CELL = 64
_BAND_ROWS = 256


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, write JSON; always 0, since a busy machine is no failure."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    add = parser.add_argument
    add("--memory", type=int, nargs="*", choices=list(SIZES), default=[25, 100, 400, 1600], help="megapixels")
    add(
        "--suffix",
        action="append",
        choices=["png", "tif", "ppm", "jpg", "jpeg"],
        help="of the pictures whose memory is measured; .jpeg: without restart markers  [png, tif and ppm]",
    )
    add("--runs", type=int, default=5, help="runs of convfilter and vips, after a warm-up; 0: none  [5]")
    add("--patience", type=float, default=60, help="seconds for all runs of one  [60]")
    add("--program", default=f"{sys.executable} -m convfilter", help="command of the program  [that of this Python]")
    add("--folder", help="folder for the pictures; 1600 megapixels take 15 GB")
    add("--json", metavar="FILE", help="write all figures to FILE")
    options = parser.parse_args(arguments)
    options.program = options.program.split()
    report: Report = {"machine": machine(), "versions": versions(["numpy", "isal", "imagecodecs", "llvmlite"])}
    here = report["machine"]
    print(f"{here['processor']}, {here['cores']} cores, load {here['load']}; Python {here['python']}, {here['system']}")
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        report["memory"] = list(_memory(Path(folder), options))
        report["times"] = list(_times(Path(folder), options))
    if options.json:
        write_json(options.json, report)
    return 0


# Pictures -------------------------------------------------------------------------


def bands(height: int, width: int) -> Iterator[np.ndarray]:
    """Yield the rows of a picture like a photo: smooth areas with grain; band by band."""
    rng = np.random.default_rng(height)
    coarse = rng.normal(128, 50, (height // _CELL + 2, width // _CELL + 2, 3))
    across = np.arange(width) / _CELL
    left, share = across.astype(int), (across % 1)[np.newaxis, :, np.newaxis]
    for top in range(0, height, _BAND_ROWS):
        down = np.arange(top, min(top + _BAND_ROWS, height)) / _CELL
        above, part = down.astype(int), (down % 1)[:, np.newaxis, np.newaxis].astype(np.float32)
        rows = coarse[above[0] : above[-1] + 2]
        lines = np.float32(rows[:, left] * (1 - share) + rows[:, left + 1] * share)
        smooth = lines[above - above[0]] * (1 - part) + lines[above - above[0] + 1] * part
        grain = rng.normal(0, 3, (64, width, 1)).astype(np.float32)
        smooth += np.resize(grain, (len(down), width, 1))
        yield np.clip(smooth, 0, 255).astype(np.uint8)


def make(path: Path, height: int, width: int) -> None:
    """Write a picture row by row, without holding it in memory; a JPEG without restart markers (.jpeg) in one piece."""
    if path.suffix == ".jpeg":
        pixels = np.concatenate([*bands(height, width)])
        path.write_bytes(imagecodecs.jpeg8_encode(pixels, level=QUALITY, subsampling="420"))
        return
    fmt = by_suffix(path.suffix)
    assert fmt is not None
    outline = Outline(width, height, "rgb", False, metadata=Metadata())
    options = WriteOptions(compression="none" if fmt.name == "TIFF" else "default", quality=QUALITY)
    with open(path, "w+b") as file:
        writer: row_writer.RowWriter
        with writer_of(file, fmt, outline, options, np.dtype(np.uint8), None) as writer:
            for band in bands(height, width):
                writer.write(band)
            writer.finish()


# Memory --------------------------------------------------------------------------


def peak_mb(command: list[str]) -> float:
    """Run a command; returns its peak memory, from a small process, since a child counts its parent's at first."""
    launcher = (
        "import resource, subprocess, sys\n"
        "subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL)\n"
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    )
    done = subprocess.run(
        [sys.executable, "-S", "-c", launcher, *command], check=True, stdout=subprocess.PIPE, env=_environment()
    )
    return int(done.stdout) * 1024 / 1e6


def _memory(folder: Path, options: argparse.Namespace) -> Iterator[Report]:
    """Measure the peaks of all sizes, and print them as they come."""
    if not options.memory:
        return
    head = ["file", "filter", "MP", "peak MB", "at most", "", "over the first"]
    rows = []
    blur = ["blur", "--gaussian", str(SIGMA)]
    stack = ["apply", *(word for spec in STACK for word in ("-f", spec))]
    works = [(suffix, blur, MOST_MB) for suffix in options.suffix or ("png", "tif", "ppm")]
    works.append((works[0][0], stack, MOST_STACK_MB))
    for suffix, command, most in works:
        first = 0.0
        for megapixels in options.memory:
            source, target = folder / f"{megapixels}.{suffix}", folder / f"out.{suffix}"
            if not source.exists():
                make(source, *SIZES[megapixels])
            peak = peak_mb([*options.program, *command, "--max-pixels", "10000000000", str(source), str(target)])
            target.unlink()
            first = first or peak
            yield {"suffix": suffix, "command": command, "megapixels": megapixels, "peak_mb": peak}
            name = f"sigma {SIGMA}" if command is blur else ", ".join(STACK)
            is_largest = megapixels == max(options.memory)
            kept = peak <= most and (command is stack or not is_largest or peak <= MOST_GROWTH * first)
            line = [suffix, name, str(megapixels), f"{peak:.0f}", str(most), _verdict(kept), f"{peak / first:.2f}"]
            rows.append(line)
            print("  ".join(line), file=sys.stderr, flush=True)
        if suffix != works[-1][0] or command is stack:
            for megapixels in options.memory:
                (folder / f"{megapixels}.{suffix}").unlink(missing_ok=True)
    print(table(head, rows), end="\n\n", flush=True)


# Time -------------------------------------------------------------------------------


def _times(folder: Path, options: argparse.Namespace) -> Iterator[Report]:
    """Run both programs in turns."""
    vips = shutil.which("vips")
    if not vips or not options.runs:
        return
    head = ["file", "MP", "wall ms", "vips", "ratio", "at most", "", "cpu ms", "vips"]
    rows = []
    for (suffix, megapixels), most in PROMISED.items():
        source, ours, theirs = folder / f"in.{suffix}", folder / f"ours.{suffix}", folder / f"theirs.{suffix}"
        make(source, *SIZES[megapixels])
        written = f"{theirs}[Q={QUALITY}]" if suffix in ("jpg", "jpeg") else str(theirs)
        calls: dict[str, Callable[[], None]] = {
            "convfilter": _call([*options.program, "blur", "--gaussian", str(SIGMA), str(source), str(ours)]),
            "vips": _call([vips, "gaussblur", str(source), written, str(SIGMA)]),
        }
        timings = take_turns(calls, options.runs, options.patience)
        own, other = timings["convfilter"], timings["vips"]
        ratio = own.seconds / other.seconds
        yield {"suffix": suffix, "megapixels": megapixels, **{name: each.as_json() for name, each in timings.items()}}
        rows.append([
            suffix, str(megapixels), f"{1000 * own.seconds:.0f}", f"{1000 * other.seconds:.0f}", f"{ratio:.2f}",
            f"{most:.2f}", _verdict(ratio <= most), f"{1000 * own.cpu_seconds:.0f}", f"{1000 * other.cpu_seconds:.0f}",
        ])  # fmt: skip
        for path in (source, ours, theirs):
            os.unlink(path)
    print(table(head, rows), flush=True)


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    sys.exit(main())
