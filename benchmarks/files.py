"""Program against program, from file to file: ``python benchmarks/files.py``.

All programs blur the same PNG and the same JPEG with a Gaussian of sigma 4, in turns; the ratios are of medians. With
SciPy installed, the PNGs are compared with the exact Gaussian in float64. Start-up is compared with the least time that
a program of this kind can take: Python with click, NumPy and Pillow imported.
"""

from __future__ import annotations

import argparse
import io
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image
from timing import Timing, machine, table, take_turns, versions, write_json

Report = dict[str, Any]

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "sample_images" / "still_life.png"
OURS = "convfilter"
SIGMA = 4
#: Grain of a photo, in levels: a rendered scene without grain compresses better than any photo.
GRAIN = 1.5
SIZES = {0.25: (500, 500), 2: (1633, 1225), 12: (4000, 3000)}
#: Program of each peer, and its arguments for input and output.
PEERS: dict[str, tuple[str, Callable[[str, str], list[str]]]] = {
    "vips": ("vips", lambda source, target: ["gaussblur", source, target, str(SIGMA)]),
    "ImageMagick -blur": ("convert", lambda source, target: [source, "-blur", f"0x{SIGMA}", target]),
    "GraphicsMagick": ("gm", lambda source, target: ["convert", source, "-blur", f"0x{SIGMA}", target]),
    "G'MIC": ("gmic", lambda source, target: [source, "-blur", str(SIGMA), "-output", target]),
    "ffmpeg": (
        "ffmpeg",
        lambda source, target: ["-y", "-v", "error", "-i", source, "-vf", f"gblur=sigma={SIGMA}", target],
    ),
}
#: Least promised ratio, theirs over ours, by (peer, suffix, megapixels) or (peer,).
PROMISED = {("vips", "png", 12): 1 / 0.55, ("vips",): None}
FLOOR = "Python, click, NumPy, Pillow"
FLOORS = {
    FLOOR: [sys.executable, "-c", "import click, numpy, PIL.Image"],
    "Python": [sys.executable, "-c", "pass"],
}
#: Most time of start-up, as a multiple of a floor.
STARTUP = {"blur 512x512": (FLOOR, 1.35), "--help": ("Python", 6.0)}


class Job(NamedTuple):
    """The same work for every program: the input, and the command of each program."""

    suffix: str
    megapixels: float
    source: Path
    commands: Mapping[str, list[str]]
    targets: Mapping[str, Path]


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print the tables, write JSON; always 0, since a busy machine is no failure."""
    options = _parse(arguments)
    peers = {name: found for name, (program, _) in PEERS.items() if (found := shutil.which(program))}
    report: Report = {
        "machine": machine(),
        "versions": versions(["numpy", "pillow", "isal", "imagecodecs", "llvmlite"]),
        "runs": options.runs,
        "missing": [name for name in PEERS if name not in peers],
    }
    _print_head(report, options)
    with tempfile.TemporaryDirectory() as folder:
        if not options.no_startup:
            report["startup"] = _startup(Path(folder), options)
            _print_startup(report["startup"])
        report["jobs"] = [_measure(job, options) for job in _jobs(Path(folder), peers, options)]
    _print_jobs(report["jobs"])
    if options.json:
        write_json(options.json, report)
    return 0


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    add = parser.add_argument
    add("--runs", type=int, default=5, help="runs of each, after a warm-up  [5]")
    add("--patience", type=float, default=30, help="seconds for all runs of one; a slower one gets fewer runs  [30]")
    add("--megapixels", type=float, action="append", choices=list(SIZES), help="size of the picture  [0.25, 2 and 12]")
    add("--program", default=f"{sys.executable} -m convfilter", help="command of the program  [that of this Python]")
    add("--no-startup", action="store_true", help="leave out the start-up")
    add("--json", metavar="FILE", help="write all figures to FILE")
    options = parser.parse_args(arguments)
    options.program = options.program.split()
    options.megapixels = options.megapixels or list(SIZES)
    return options


# Work -----------------------------------------------------------------------


def _picture(width: int, height: int) -> Image.Image:
    """Render the sample scene at a size, with grain."""
    scene = Image.open(SOURCE).convert("RGB").resize((width, height), Image.Resampling.LANCZOS)
    grain = np.random.default_rng(1).normal(0, GRAIN, (height, width, 3))
    return Image.fromarray(np.clip(np.rint(np.asarray(scene) + grain), 0, 255).astype(np.uint8))


def _jobs(folder: Path, peers: Mapping[str, str], options: argparse.Namespace) -> list[Job]:
    jobs = []
    for megapixels in options.megapixels:
        picture = _picture(*SIZES[megapixels])
        for suffix, parameters in (("png", {}), ("jpg", {"quality": 92})):
            source = folder / f"source-{megapixels:g}.{suffix}"
            picture.save(source, **parameters)
            targets = {name: folder / f"{index}.{suffix}" for index, name in enumerate((OURS, *peers))}
            commands = {OURS: [*options.program, "blur", "--gaussian", str(SIGMA), str(source), str(targets[OURS])]}
            for name, program in peers.items():
                commands[name] = [program, *PEERS[name][1](str(source), str(targets[name]))]
            jobs.append(Job(suffix, megapixels, source, commands, targets))
    return jobs


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}


def _call(command: list[str]) -> Callable[[], None]:
    def call() -> None:
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        subprocess.run(command, check=True, env=_environment(), **quiet)

    return call


def _peak_mib(command: list[str]) -> float:
    """Run once from a small process, since a child's peak memory starts with its parent's."""
    launcher = (
        "import resource, subprocess, sys\n"
        "subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)\n"
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    )
    done = subprocess.run(
        [sys.executable, "-S", "-c", launcher, *command], check=True, capture_output=True, env=_environment()
    )
    return int(done.stdout) / 1024


# Measuring --------------------------------------------------------------------


def _measure(job: Job, options: argparse.Namespace) -> Report:
    timings = take_turns({name: _call(each) for name, each in job.commands.items()}, options.runs, options.patience)
    ours = timings[OURS]
    rows = {}
    for name, timing in timings.items():
        rows[name] = {
            **timing.as_json(),
            "ratio": timing.seconds / ours.seconds,
            "bytes": job.targets[name].stat().st_size,
            "peak_mib": _peak_mib(job.commands[name]),
            "promised": _promise(name, job),
        }
    report: Report = {"suffix": job.suffix, "megapixels": job.megapixels, "rows": rows}
    if job.suffix == "png":
        _compare_with_exact(job, rows)
        buffer = io.BytesIO()
        Image.open(job.targets[OURS]).save(buffer, "PNG", compress_level=1)
        report["pillow_level_1_bytes"] = buffer.tell()
    return report


def _compare_with_exact(job: Job, rows: Mapping[str, Report]) -> None:
    """Add the share of samples that are not the rounded exact value, and the largest difference in levels.

    The border is left out, as wide as the kernel reaches (6 sigma): programs continue the picture differently there.
    """
    try:
        from scipy.ndimage import gaussian_filter
    except ImportError:
        return
    inside = (slice(6 * SIGMA, -6 * SIGMA),) * 2
    source = np.asarray(Image.open(job.source), np.float64)
    exact = np.rint(gaussian_filter(source, (SIGMA, SIGMA, 0), truncate=6))[inside]
    for name, row in rows.items():
        gap = np.abs(np.asarray(Image.open(job.targets[name]).convert("RGB"))[inside] - exact)
        row |= {"differing_share": np.count_nonzero(gap) / gap.size, "largest_difference": float(gap.max())}


def _promise(name: str, job: Job) -> float | None:
    """Return the least promised ratio against a peer, by default 1 for the largest picture; None without a promise."""
    if name == OURS:
        return None
    for key in ((name, job.suffix, job.megapixels), (name,)):
        if key in PROMISED:
            return PROMISED[key]
    return 1.0 if job.megapixels == max(SIZES) else None


def _startup(folder: Path, options: argparse.Namespace) -> Report:
    source, target = folder / "small.png", folder / "blurred.png"
    _picture(512, 512).save(source)
    commands = {
        **FLOORS,
        "blur 512x512": [*options.program, "blur", "--gaussian", str(SIGMA), str(source), str(target)],
        "--help": [*options.program, "--help"],
    }
    runs = max(options.runs, 11)
    timings = take_turns({name: _call(command) for name, command in commands.items()}, runs, options.patience)
    return {
        name: {
            **timings[name].as_json(),
            "floor": floor,
            "ratio": timings[name].seconds / timings[floor].seconds,
            "promised": most,
        }
        for name, (floor, most) in STARTUP.items()
    }


# Printing -------------------------------------------------------------------------


def _print_head(report: Report, options: argparse.Namespace) -> None:
    here = report["machine"]
    print(f"{here['processor']}, {here['cores']} cores, load {here['load']}; Python {here['python']}, {here['system']}")
    print(f"convfilter {here['revision'] or ''}; " + ", ".join(f"{k} {v}" for k, v in report["versions"].items() if v))
    if report["missing"]:
        print(f"left out, since they are not installed: {', '.join(report['missing'])}")
    print(f"Gaussian of sigma {SIGMA}; medians of up to {options.runs} runs in turns after a warm-up")
    if here["load"] > here["cores"] / 2:
        print("the machine is busy: processor times are more reliable than wall-clock times")
    print(flush=True)


def _verdict(kept: bool | None) -> str:
    return "" if kept is None else "kept" if kept else "MISSED"


def _print_startup(rows: Report) -> None:
    head = ["start-up", "floor", "wall ms", "ratio", "at most", ""]
    lines = [
        [
            name,
            row["floor"],
            f"{1000 * row['median_wall']:.0f}",
            f"{row['ratio']:.2f}",
            f"{row['promised']:g}",
            _verdict(row["ratio"] <= row["promised"]),
        ]
        for name, row in rows.items()
    ]
    print(table(head, lines), end="\n\n", flush=True)


def _print_jobs(jobs: Sequence[Report]) -> None:
    head = ["file", "by", "wall ms", "spread", "cpu ms", "ratio", "promised", "", "MB", "peak MiB", "not exact"]
    lines = []
    for job in jobs:
        for name, row in job["rows"].items():
            timing = Timing(row["wall"], row["cpu"], row["warm"])
            least = row["promised"]
            verdict = _verdict(None if least is None else row["ratio"] >= least)
            lines.append(
                [
                    f"{job['megapixels']:g} MP {job['suffix']}" if name == OURS else "",
                    name + ("" if timing.warm else " (1 cold)"),
                    f"{1000 * timing.seconds:.0f}",
                    f"{timing.spread:.0%}",
                    f"{1000 * timing.cpu_seconds:.0f}",
                    "" if name == OURS else f"{row['ratio']:.2f}",
                    "" if least is None else f"{least:.2f}",
                    verdict or ("LOSS" if row["ratio"] < 1 else ""),
                    f"{row['bytes'] / 1e6:.2f}",
                    f"{row['peak_mib']:.0f}",
                    _not_exact(row),
                ]
            )
        if "pillow_level_1_bytes" in job:
            lines.append(["", "(Pillow, level 1: size)", *[""] * 6, f"{job['pillow_level_1_bytes'] / 1e6:.2f}", "", ""])
    print(table(head, lines), flush=True)


def _not_exact(row: Report) -> str:
    if "differing_share" not in row:
        return ""
    return f"{row['differing_share']:.2%} by {row['largest_difference']:.0f}"


if __name__ == "__main__":
    sys.exit(main())
