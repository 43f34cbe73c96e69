"""Compare the engine with other libraries: ``python benchmarks/engine.py``.

All libraries do the same work on the same array with the same number of threads (where the peer has threads), in turns;
the ratios are of medians. Each row shows the promised and the measured ratio, and says if a peer is faster.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from fnmatch import fnmatch
from typing import Any

import numpy as np
from engine_cases import CONTRIB, OURS, PEERS, SINGLE_THREADED, UNMASKED, Bench, Case, Contender, Image, cases
from engine_growth import MEMORY_BOUNDS, Growth, growth, memory, scaling
from timing import Timing, machine, table, take_turns, versions, write_json

from convfilter.precompile.variants import cache_warm

Report = dict[str, Any]


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print the tables, write JSON; always 0, since a busy machine is no failure."""
    options = _parse(arguments)
    for name in cache_warm():  # so that no warm-up has to compile, which would pass for a slow filter
        _progress(f"compiling {name}")
    bench = Bench(options.megapixels, options.threads, options.without)
    report: Report = {
        "machine": machine(),
        "versions": versions(["numpy", "numba", "llvmlite", CONTRIB, *(name for _, name in PEERS.values())]),
        "threads": options.threads,
        "shape": bench.rgb.shape,
        "runs": options.runs,
        "patience": options.patience,
        "quick": options.quick,
    }
    _print_head(report, bench, options.without)
    report["cases"] = [_measure(case, options) for case in cases(bench) if options.wanted(case.name)]
    _print_cases(report["cases"])
    report["growth"] = [_grow(row, options) for row in growth(bench) if options.wanted(row.name)]
    report["growth"] += [_grow(row, options) for row in _scaling(options)]
    _print_growth(report["growth"])
    report["memory"] = _memory(options)
    _print_memory(report["memory"])
    _print_summary(report)
    if options.json:
        write_json(options.json, report)
    return 0


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    add = parser.add_argument
    add("--threads", type=int, default=2, help="threads of convfilter, and of peers that have threads  [2]")
    add("--runs", type=int, help="runs of each, after a warm-up  [7; quick: 3]")
    add("--patience", type=float, help="seconds for all runs of one; a slower one gets fewer runs  [30; quick: 2]")
    add("--megapixels", type=float, help="size of the picture  [12; quick: 1]")
    add("--only", action="append", metavar="PATTERN", help="rows whose name contains this; * and ? are wildcards")
    add("--without", action="append", default=[], choices=list(PEERS), metavar="PEER", help="leave a peer out")
    add("--memory", action="store_true", help="measure the peak memory of each method too")
    add("--quick", action="store_true", help="small picture, few runs: a check that everything works")
    add("--json", metavar="FILE", help="write all runs to FILE")
    options = parser.parse_args(arguments)
    for name, usual, quick in (("runs", 7, 3), ("patience", 30.0, 2.0), ("megapixels", 12.0, 1.0)):
        if getattr(options, name) is None:
            setattr(options, name, quick if options.quick else usual)
        if getattr(options, name) <= 0:
            parser.error(f"--{name} must be above 0, got {getattr(options, name)}")
    if options.threads < 1:
        parser.error(f"--threads must be at least 1, got {options.threads}")
    options.wanted = _matcher(options.only)
    return options


def _matcher(patterns: Sequence[str] | None) -> Callable[[str], bool]:
    def wanted(name: str) -> bool:
        return not patterns or any(fnmatch(name.lower(), f"*{pattern.lower()}*") for pattern in patterns)

    return wanted


# Measuring --------------------------------------------------------------------


def _measure(case: Case, options: argparse.Namespace) -> Report:
    """Time one case, and compare the results."""
    _progress(case.name)
    images: dict[str, Image] = {}
    by_name = {contender.name: contender for contender in case.contenders}

    def compare(name: str, result: Any) -> None:
        images[name] = by_name[name].image(result)
        if name != OURS:
            differences[name] = difference(images[OURS], images.pop(name))

    differences: dict[str, tuple[float, float]] = {}
    calls = {name: contender.call for name, contender in by_name.items()}
    timings = take_turns(calls, options.runs, options.patience, compare)
    ours = timings[OURS]
    entries = [_entry(contender, timings[contender.name], ours, differences) for contender in case.contenders]
    return {"name": case.name, "contenders": entries}


def _entry(
    contender: Contender, timing: Timing, ours: Timing, differences: Mapping[str, tuple[float, float]]
) -> Report:
    entry: Report = {"name": contender.name, "note": contender.note, **timing.as_json()}
    if contender.name == OURS:
        return entry
    ratio = timing.seconds / ours.seconds
    share, largest = differences[contender.name]
    kept = None if contender.floor is None else ratio >= contender.floor
    return entry | {
        "ratio": ratio,
        "cpu_ratio": timing.cpu_seconds / ours.cpu_seconds,
        "floor": contender.floor,
        "kept": kept,
        "differing_share": share,
        "largest_difference": largest,
    }


def difference(ours: Image, theirs: Image) -> tuple[float, float]:
    """Return the share of samples that differ and the largest difference, in levels for integer results."""
    if ours.shape != theirs.shape:
        raise ValueError(f"not the same work: our result is {ours.shape}, theirs {theirs.shape}")
    differing, largest = 0, 0.0
    for our_rows, their_rows in zip(np.array_split(ours, 16), np.array_split(theirs, 16), strict=True):
        their_values = their_rows.astype(np.float32)
        if ours.dtype.kind == "u":
            their_values = np.rint(their_values)
        gap = np.abs(our_rows - their_values)
        differing += int(np.count_nonzero(gap))
        largest = max(largest, float(gap.max(initial=0)))
    return differing / ours.size, largest


def _scaling(options: argparse.Namespace) -> list[Growth]:
    """Make only the pictures that some row needs: the largest takes 300 MB."""
    if not options.wanted("time a pixel"):
        return []
    return scaling(options.threads, (1, 4) if options.quick else (1, 12, 100))


def _grow(row: Growth, options: argparse.Namespace) -> Report:
    _progress(row.name)
    timings = take_turns(row.calls, options.runs, options.patience)
    figure = row.figure({label: timing.seconds for label, timing in timings.items()})
    return {
        "name": row.name,
        "calls": {label: timing.as_json() for label, timing in timings.items()},
        "figure": figure,
        "bound": row.bound,
        "at_most": row.at_most,
        "kept": row.keeps(figure),
    }


def _memory(options: argparse.Namespace) -> list[Report]:
    if not options.memory:
        return []
    sizes = [options.megapixels] if options.quick else [size for size, _ in MEMORY_BOUNDS]
    peaks = []
    for size in sizes:
        _progress(f"memory at {size:g} MP")
        peaks += [{**vars(peak), "kept": peak.kept} for peak in memory(options.threads, size, options.wanted)]
    return peaks


# Printing ---------------------------------------------------------------------


def _progress(text: str) -> None:
    if sys.stderr.isatty():
        print(f"\r\033[K{text} ...", end="", file=sys.stderr, flush=True)


def _print_head(report: Report, bench: Bench, without: Sequence[str]) -> None:
    here = report["machine"]
    rows, cols, _ = report["shape"]
    print(f"{here['processor']}, {here['cores']} cores, load {here['load']}; Python {here['python']}, {here['system']}")
    print(f"convfilter {here['revision'] or ''}; " + ", ".join(f"{k} {v}" for k, v in report["versions"].items() if v))
    print(f"{cols}x{rows} RGB uint8 unless a row says otherwise; threads: {report['threads']},", end=" ")
    print(f"for {', '.join(SINGLE_THREADED)} always 1")
    missing = [name for name in PEERS if name not in bench.peers]
    if missing:
        left_out = [f"{name} ({'as asked' if name in without else 'not installed'})" for name in missing]
        print(f"left out: {', '.join(left_out)}")
    print(
        f"medians of {report['runs']} runs in turns after a warm-up; fewer where those would take more than "
        f"{report['patience']:g} s ('1 cold': the warm-up itself)"
    )
    if here["load"] > here["cores"] / 2:
        print("the machine is busy: processor times are more reliable than wall-clock times")
    if report["quick"]:
        print("quick: the promised figures are for the full picture")
    print(flush=True)


def _print_cases(measured: Sequence[Report]) -> None:
    if not measured:
        return
    head = ["work", "by", "wall ms", "spread", "cpu ms", "runs", "ratio", "cpu ratio", "promised", "", "differs"]
    rows = []
    for case in measured:
        for entry in case["contenders"]:
            runs = str(len(entry["wall"])) if entry["warm"] else "1 cold"
            name = case["name"] if entry["name"] == OURS else ""
            row = [name, entry["name"], f"{entry['median_wall'] * 1e3:.1f}", f"{entry['spread']:.0%}"]
            row += [f"{entry['median_cpu'] * 1e3:.1f}", runs]
            rows.append(row + (_against(entry) if "ratio" in entry else [""] * 5))
    print("\033[K" if sys.stderr.isatty() else "", end="")
    print(table(head, rows))
    print("\nratio: their time over ours; differs: samples that are not equal to ours, and by how many levels at most")
    print("\n".join(_notes(measured)), end="\n\n", flush=True)


def _notes(measured: Sequence[Report]) -> list[str]:
    """Print how a peer's work differs, and on which rows."""
    rows: dict[tuple[str, str], list[str]] = {}
    for case in measured:
        for entry in case["contenders"]:
            if entry["note"]:
                rows.setdefault((entry["name"], entry["note"]), []).append(case["name"])
    return [f"{peer}: {note} ({'; '.join(names)})" for (peer, note), names in sorted(rows.items())]


def _against(entry: Report) -> list[str]:
    floor = f"{entry['floor']:g} x" if entry["floor"] else ""
    differs = f"{entry['differing_share']:.2%} by {entry['largest_difference']:.3g}"
    return [f"{entry['ratio']:.2f} x", f"{entry['cpu_ratio']:.2f} x", floor, _verdict(entry), differs]


def _is_lost(entry: Report) -> bool:
    return entry["ratio"] < 1 and entry["name"] != UNMASKED


def _verdict(entry: Report) -> str:
    """Mark a row as lost if a peer is faster, whatever is promised."""
    if _is_lost(entry):
        return "LOSS"
    return {None: "", True: "kept", False: "MISSED"}[entry["kept"]]


def _print_growth(measured: Sequence[Report]) -> None:
    if not measured:
        return
    rows = [
        [
            row["name"],
            ", ".join(f"{label} {timing['median_wall'] * 1e3:.1f} ms" for label, timing in row["calls"].items()),
            f"{row['figure']:.2f}",
            f"{'at most' if row['at_most'] else 'at least'} {row['bound']:g}",
            "kept" if row["kept"] else "MISSED",
        ]
        for row in measured
    ]
    print(table(["growth", "wall", "figure", "promised", ""], rows), end="\n\n", flush=True)


def _print_memory(peaks: Sequence[Report]) -> None:
    if not peaks:
        return
    rows = [
        [
            peak["algorithm"],
            peak["work"],
            f"{peak['megapixels']:g} MP",
            f"{peak['peak'] / 1e6:.1f} MB",
            f"{peak['bound'] / 1e6:g} MB",
            "kept" if peak["kept"] else "MISSED",
        ]
        for peak in peaks
    ]
    print(table(["peak memory of", "at", "picture", "without in, out", "promised", ""], rows), end="\n\n", flush=True)


def _print_summary(report: Report) -> None:
    entries = [(case["name"], entry) for case in report["cases"] for entry in case["contenders"] if "ratio" in entry]
    promises = [(f"{name} against {entry['name']}", entry["kept"]) for name, entry in entries if entry["floor"]]
    promises += [(row["name"], row["kept"]) for row in report["growth"]]
    promises += [
        (f"memory of {peak['algorithm']} at {peak['megapixels']:g} MP", peak["kept"]) for peak in report["memory"]
    ]
    print(f"{sum(kept for _, kept in promises)} of {len(promises)} promises kept")
    for name, kept in promises:
        if not kept:
            print(f"missed: {name}")
    for name, entry in entries:
        if _is_lost(entry):
            print(f"lost: {name}: {entry['name']} takes {entry['ratio']:.2f} of our time")
    print(f"load at the end {machine()['load']}")


if __name__ == "__main__":
    raise SystemExit(main())
