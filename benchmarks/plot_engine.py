"""Draw time against sigma and against kernel size: ``python benchmarks/plot_engine.py docs/engine.svg``.

The script measures the points as ``engine.py`` does. ``--json`` saves them, and ``--from`` draws saved points again.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from engine_cases import OURS, PEERS, Bench, Case, gaussian, kernel
from timing import machine, take_turns, versions, write_json

from convfilter.precompile.variants import cache_warm

#: (title, label of the axis, places on it, function from a place to a case)
Curve = tuple[str, str, tuple[int, ...], Callable[[Bench, int], Case]]
CURVES: dict[str, Curve] = {
    "sigma": ("Gaussian blur", "sigma in pixels", (1, 2, 4, 8, 16, 32, 64, 128), gaussian),
    "side": ("kernel of full rank", "side of the kernel in pixels", (3, 5, 7, 11, 15, 21, 31, 51, 101), kernel),
}
#: One colour for each contender, distinct for colour-blind readers, too (Okabe and Ito, 2008).
COLOURS = {
    OURS: "#0072B2",
    "OpenCV": "#D55E00",
    "scipy.ndimage": "#009E73",
    "scikit-image": "#CC79A7",
    "Pillow": "#999999",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, unless there are measurements, and draw."""
    options = _parse(arguments)
    report = json.loads(Path(options.source).read_text(encoding="utf-8")) if options.source else measured(options)
    if options.json:
        write_json(options.json, report)
    draw(report, options.output)
    return 0


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    add = parser.add_argument
    add("output", metavar="FILE", help="the drawing: .svg, .png or .pdf")
    add("--threads", type=int, default=2, help="threads of convfilter, and of peers that have threads  [2]")
    add("--runs", type=int, default=5, help="runs of each point, after a warm-up  [5]")
    add(
        "--patience", type=float, default=10, help="a peer that takes longer (s) for a point gets no further ones  [10]"
    )
    add("--megapixels", type=float, default=12, help="size of the picture  [12]")
    add("--without", action="append", default=["scikit-image", "PyTorch"], choices=list(PEERS), metavar="PEER")
    add("--json", metavar="FILE", help="write the measurements to FILE")
    add("--from", dest="source", metavar="FILE", help="draw these measurements instead of new ones")
    return parser.parse_args(arguments)


def measured(options: argparse.Namespace) -> dict[str, Any]:
    """Measure every point of every curve."""
    for _ in cache_warm():  # no warm-up should have to compile
        pass
    bench = Bench(options.megapixels, options.threads, options.without)
    curves = {
        name: _points(((place, make(bench, place)) for place in places), options)
        for name, (_, _, places, make) in CURVES.items()
    }
    return {
        "machine": machine(),
        "versions": versions([distribution for name, (_, distribution) in PEERS.items() if name in bench.peers]),
        "threads": options.threads,
        "shape": bench.rgb.shape,
        "curves": curves,
    }


def _points(cases: Iterable[tuple[int, Case]], options: argparse.Namespace) -> dict[str, list[tuple[int, float]]]:
    """Return (place, seconds) for each contender, up to the first point that takes too long."""
    points: dict[str, list[tuple[int, float]]] = {}
    too_slow: set[str] = set()
    for place, case in cases:
        calls = {each.name: each.call for each in case.contenders if each.name not in too_slow}
        for name, timing in take_turns(calls, options.runs, options.patience).items():
            points.setdefault(name, []).append((place, timing.seconds))
            if timing.seconds > options.patience and name != OURS:
                too_slow.add(name)
        print(f"{case.name}: " + ", ".join(f"{name} {points[name][-1][1]:.3f} s" for name in calls), file=sys.stderr)
    return points


def draw(report: dict[str, Any], output: str) -> None:
    """Draw one panel for each curve."""
    import matplotlib as mpl

    mpl.use("agg")
    # The same measurements give the same file.
    mpl.rcParams.update({"svg.hashsalt": "convfilter", "font.size": 9})
    from matplotlib import pyplot as plt

    figure, panels = plt.subplots(1, len(CURVES), figsize=(9, 3.8), layout="constrained", sharey=True)
    for panel, (name, (title, label, places, _)) in zip(panels, CURVES.items(), strict=True):
        for contender, points in report["curves"][name].items():
            ours = contender == OURS
            panel.plot(
                *zip(*points, strict=True),
                label=contender,
                color=COLOURS.get(contender),
                linewidth=2.2 if ours else 1.3,
                marker="o",
                markersize=4 if ours else 3,
                zorder=3 if ours else 2,
            )
        panel.set(title=title, xlabel=label, xscale="log", yscale="log")
        panel.set_xticks(places, labels=map(str, places))
        panel.minorticks_off()
        panel.grid(alpha=0.25)
        panel.spines[["top", "right"]].set_visible(False)
    rows, cols = report["shape"][:2]
    panels[0].set_ylabel(f"seconds, {cols}x{rows} RGB uint8, {report['threads']} threads")
    panels[0].legend(frameon=False)
    kinds = {".svg": {"Date": None}, ".png": {"Software": None}, ".pdf": {"CreationDate": None}}
    figure.savefig(output, metadata=kinds.get(Path(output).suffix), dpi=150)


if __name__ == "__main__":
    raise SystemExit(main())
