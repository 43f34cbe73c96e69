"""Estimate the cost of a million 12 MP pictures from that of one: ``python benchmarks/cluster.py``.

Prints the processor time of each step for one picture on one thread, as on a worker of a cluster; the bytes read and
written; and the processor time of client and scheduler to submit one file. docs/cluster.md uses these figures.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from pathlib import Path
from unittest import mock

import numpy as np
from PIL import Image
from timing import machine, table, write_json

from convfilter import pipeline
from convfilter.batch.search import Job
from convfilter.batch.workers import Outcome
from convfilter.picture.options import WriteOptions

SAMPLE = Path(__file__).parents[1] / "sample_images" / "still_life.png"
SIZE = (4000, 3000)
#: Grain of a photo, in levels.
GRAIN = 1.5
SPECS = ("gaussian:4", "gaussian:40", "sobel:magnitude")
STEPS = ("read", "run", "write")
MILLION = 10**6


def make_photo(path: str) -> None:
    """Write a photo of 12 MP, as JPEG at quality 90 or as PNG."""
    with Image.open(SAMPLE) as still_life:
        photo = np.asarray(still_life.convert("RGB").resize(SIZE, Image.Resampling.LANCZOS), np.float32)
    grain = np.random.default_rng(0).normal(0, GRAIN, photo.shape)
    Image.fromarray(np.clip(photo + grain, 0, 255).astype(np.uint8)).save(path, quality=90)


def one_picture(source: str, target: str, spec: str, runs: int) -> dict[str, float]:
    """Return the median processor seconds of each step, and the megabytes in and out."""
    options = pipeline.Options((spec,), {}, threads=1, write=WriteOptions(threads=1))
    with mock.patch.object(time, "perf_counter", time.process_time):
        pipeline.filter_file(source, target, options)  # warm-up
        reports = [pipeline.filter_file(source, target, options) for _ in range(runs)]
    seconds = {step: statistics.median(report.seconds[step] for report in reports) for step in STEPS}
    return seconds | {"in": os.path.getsize(source) / 1e6, "out": os.path.getsize(target) / 1e6}


def handing_out(folder: str, files: int) -> float:
    """Return the processor seconds of client and scheduler for one file; the workers are other processes."""
    from convfilter.cluster import scheduler

    source = os.path.join(folder, "tiny.png")
    Image.new("RGB", (8, 8)).save(source)
    jobs = [Job(source, os.path.join(folder, "tiny", f"{number}.png")) for number in range(files)]
    options = pipeline.Options(("box:3",), {}, threads=1, write=WriteOptions(threads=1))
    events = scheduler.outcomes(jobs, options, "local", processes=2)
    done, start = 0, 0.0
    for event in events:
        done += isinstance(event, Outcome)
        if done == files // 10 and not start:
            start = time.process_time()
    return (time.process_time() - start) / (files - files // 10)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--files", type=int, default=1000, help="tiny files, to measure the time to submit one")
    parser.add_argument("--json", metavar="FILE", help="write all figures to FILE")
    arguments = parser.parse_args()
    about = machine()
    print(", ".join(f"{key} {value}" for key, value in about.items()))
    rows, report = [], {}
    with tempfile.TemporaryDirectory(prefix="convfilter-cluster.") as folder:
        for ext in ("jpg", "png"):
            source = os.path.join(folder, f"in.{ext}")
            make_photo(source)
            for spec in SPECS:
                found = one_picture(source, os.path.join(folder, f"out.{ext}"), spec, arguments.runs)
                report[f"{ext} {spec}"] = found
                seconds = sum(found[step] for step in STEPS)
                moved = found["in"] + found["out"]
                rows.append(
                    [
                        ext,
                        spec,
                        *(f"{found[step]:.3f}" for step in STEPS),
                        f"{seconds:.3f}",
                        f"{found['in']:.1f}",
                        f"{found['out']:.1f}",
                        f"{seconds * MILLION / 3600:.0f}",
                        f"{moved * MILLION / 1e6:.1f}",
                        f"{moved * 8 / seconds:.0f}",
                    ]
                )
        head = [
            "", "", *STEPS, "cpu s", "MB in", "MB out", "core hours a million", "TB a million", "Mbit/s a core",
        ]  # fmt: skip
        print(table(head, rows))
        each = handing_out(folder, arguments.files)
    print(f"submitting one file: {each * 1e3:.2f} ms of processor time of client and scheduler")
    if arguments.json:
        write_json(arguments.json, {"machine": about, "pictures": report, "submit": each})


if __name__ == "__main__":
    main()
