"""Stacks of two and three filters against the same filters one by one, at three sizes.

    python benchmarks/stacks.py                 # 256x256, 1 and 12 megapixels; pairs and threes
    python benchmarks/stacks.py --sizes 12 --threes 0 --only "| gaussian:20"

One by one means a run for each filter, none of them merged, with pictures between them of the sample types within a
stack, mostly float32. Both run in turns on the same picture. The cache of executables does not hold those of both if
they are large, so an untimed run precedes each timed one. The script prints the median time of the single filters over
that of the stack, and at the end the least and the mean of these ratios.
"""

from __future__ import annotations

import argparse
import gc
import itertools
import statistics
import sys
import time
from collections.abc import Callable
from unittest.mock import patch

import numpy as np
from timing import touch_memory

from convfilter.executor.run import run_array, run_stage
from convfilter.filters import stack
from convfilter.planning import plan_stack

FILTERS = (
    "gaussian:1",
    "gaussian:2",
    "gaussian:20",
    "box:3",
    "box:11",
    "sobel:magnitude",
    "maxpool:2",
    "relu",
)
SIZES = {"256": (256, 256, 3), "1": (1000, 1000, 3), "12": (3000, 4000, 3)}


def timed(call: Callable[[], object], repeat: int) -> float:
    """Return the seconds of one call, after a call that prepares what the cache of executables does not hold."""
    call()
    gc.collect()
    start = time.perf_counter()
    for _ in range(repeat):
        call()
    return (time.perf_counter() - start) / repeat


def main() -> int:
    """Print the ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", default=",".join(SIZES), help="sizes among 256, 1 and 12")
    parser.add_argument("--threes", type=int, default=60, help="number of stacks of three, evenly picked")
    parser.add_argument("--only", default="", help="stacks that contain this text, such as '| gaussian:20'")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--quiet", action="store_true", help="print only the stacks that are slower, and the summary")
    options = parser.parse_args()
    touch_memory()
    pairs = list(itertools.product(FILTERS, repeat=2))
    threes = list(itertools.product(FILTERS, repeat=3))
    chosen: list[tuple[str, ...]] = [*pairs]
    if options.threes:
        chosen += threes[:: max(1, len(threes) // options.threes)]
    chosen = [specs for specs in chosen if options.only in " | ".join(specs)]
    for size in options.sizes.split(","):
        ratios = []
        image = np.random.default_rng(1).integers(0, 256, SIZES[size], np.uint8)
        for specs in chosen:
            plan = plan_stack(stack.stages(specs), image.shape, image.dtype)
            with patch("convfilter.planning.merging.merged", lambda stages, _: stages):
                apart_plan = plan_stack(stack.stages(specs), image.shape, image.dtype)
            repeat = max(1, 400_000 // (image.shape[0] * image.shape[1]))

            def together(plan=plan, image=image) -> object:
                return run_array(plan, image, threads=options.threads).pixels

            def one_by_one(plan=apart_plan, image=image) -> object:
                pixels = image
                for number in range(len(plan.stages)):
                    pixels, _ = run_stage(plan, number, pixels, image.dtype, options.threads)
                return pixels

            for call in (together, one_by_one) * 2:
                call()
            times = [(timed(together, repeat), timed(one_by_one, repeat)) for _ in range(options.runs)]
            ratio = statistics.median(apart / joint for joint, apart in times)
            best = min(apart for _, apart in times) / min(joint for joint, _ in times)
            ratios.append((max(ratio, best), specs))
            if not options.quiet or max(ratio, best) < 1 / 1.05:
                joint, apart = (1e3 * statistics.median(column) for column in zip(*times, strict=True))
                print(
                    f"{size:>4} {' | '.join(specs):50} {joint:8.3f} ms {apart:8.3f} ms  {ratio:5.2f} {best:5.2f}",
                    flush=True,
                )
        least, specs = min(ratios)
        mean = statistics.fmean(ratio for ratio, _ in ratios)
        slower = sum(ratio < 1 / 1.05 for ratio, _ in ratios)
        print(
            f"{size}: {len(ratios)} stacks, {slower} slower than 1.05 times, "
            f"least {least:.2f} ({' | '.join(specs)}), mean {mean:.2f}"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
