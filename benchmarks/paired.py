"""Compare the engine's processor time in this tree and in another, in turns.

    git worktree add /tmp/before main
    python benchmarks/paired.py /tmp/before            # 16 filters at 256x256, 1 and 12 megapixels
    python benchmarks/paired.py /tmp/before --only gaussian --sizes 12 --pairs 30

Each tree has a process of its own; both run the same filter in turns, on one thread, and processor time is measured.
The script prints the median of the ratios of all pairs and the ratio of the minima (this tree over the other: below 1
this tree is faster), and at the end the worst ratio. ``--limit 1.03`` sets the exit status.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

from timing import touch_memory

FILTERS = (
    "gaussian:1",
    "gaussian:2",
    "gaussian:3",
    "gaussian:8",
    "gaussian:20",
    "gaussian:64",
    "box:3",
    "box:11",
    "box:101",
    "sobel:magnitude",
    "laplacian",
    "kernel:1 2 3; 4 5 6; 7 8 10",
    "log:2",
    "maxpool:3,stride=1,padding=1",
    "unsharp:2",
    "gaussian:1 | sobel:magnitude | maxpool:2",
    "gaussian:20 | sobel:magnitude",
)
SIZES = {"256": (256, 256, 3), "1": (1000, 1000, 3), "12": (3000, 4000, 3)}

_WORKER = r"""
import json, sys, time
import numpy as np
from convfilter.filters import stack
from convfilter.planning import plan_stack
try:
    from convfilter.executor.run import run_array
except ImportError:  # an older tree
    from convfilter.engine.run import run as run_array

kept = {}
for line in sys.stdin:
    specs, shape, out, repeat, threads = json.loads(line)
    key = line
    if key not in kept:
        kept.clear()
        image = np.random.default_rng(1).integers(0, 256, shape, np.uint8)
        kept[key] = plan_stack(stack.stages(specs.split(" | ")), tuple(shape), np.uint8, out_dtype=out), image
    plan, image = kept[key]
    clock = time.process_time if threads == 1 else time.perf_counter
    start = clock()
    for _ in range(repeat):
        result = run_array(plan, image, out_dtype=np.dtype(out), threads=threads)
    took = clock() - start
    del result
    print(took / repeat, flush=True)
"""


class Tree:
    """A tree's engine, in a process of its own."""

    def __init__(self, folder: Path) -> None:
        environment = {**os.environ, "PYTHONPATH": str(folder)}
        self._process = subprocess.Popen(
            [sys.executable, "-c", _WORKER], cwd=folder, env=environment,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip

    def seconds(self, *work: object) -> float:
        """Run a filter, and return the seconds of one run."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps(work) + "\n")
        self._process.stdin.flush()
        return float(self._process.stdout.readline())


def main() -> int:
    """Print the ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("other", type=Path, help="folder of the other tree")
    parser.add_argument("--only", default="", help="filters whose SPEC contains this text")
    parser.add_argument("--sizes", default=",".join(SIZES), help="sizes among 256, 1 and 12")
    parser.add_argument("--out", default="uint8", help="sample type of the result")
    parser.add_argument("--pairs", type=int, default=15)
    parser.add_argument("--threads", type=int, default=1, help="with more than one, wall-clock time")
    parser.add_argument("--limit", type=float, default=float("inf"), help="largest ratio allowed")
    options = parser.parse_args()
    touch_memory()
    trees = Tree(Path(__file__).resolve().parent.parent), Tree(options.other.resolve())
    worst = 0.0
    for size in options.sizes.split(","):
        for specs in FILTERS:
            if options.only not in specs:
                continue
            shape = SIZES[size]
            work = specs, shape, options.out, max(1, 200_000 // (shape[0] * shape[1])), options.threads
            for tree in trees * 3:  # the third run finds all that is kept for it
                tree.seconds(*work)
            pairs = [[tree.seconds(*work) for tree in trees] for _ in range(options.pairs)]
            ratio = statistics.median(this / other for this, other in pairs)
            least = min(this for this, _ in pairs) / min(other for _, other in pairs)
            ours, theirs = (1e3 * statistics.median(column) for column in zip(*pairs, strict=True))
            worst = max(worst, min(ratio, least))
            print(f"{size:>4} {specs:45} {ours:9.3f} ms {theirs:9.3f} ms  {ratio:6.3f} {least:6.3f}", flush=True)
    print(f"worst: {worst:.3f} (of each filter the smaller of both ratios)")
    return worst > options.limit


if __name__ == "__main__":
    sys.exit(main())
