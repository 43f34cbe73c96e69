"""Checksums of the results of many filters, which a change of the engine must not change.

    python tests/digest.py                compare all filters with the committed checksums
    python tests/digest.py --write        write them again, after a change that is meant to change results
    python tests/digest.py --only box     filters whose name contains a text

Each filter runs on arrays, on one thread and on three, and again from a row source into a row sink; all
three results must have the same bytes. Some of the pictures have a mask. Filters whose sums NumPy makes
(transforms, layers, angles) depend on NumPy's build and on the processor, so the tests leave those out; this script
compares them, too.
"""

import argparse
import hashlib
import json
import sys
from collections.abc import Iterator
from contextlib import suppress
from itertools import chain, cycle
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from convfilter.errors import SizeError
from convfilter.executor.masked import masked_stages, run_masked, streaming_obstacle
from convfilter.executor.masked_rows import run_banded_rows
from convfilter.executor.run import run_array, run_rows
from convfilter.filters import stack
from convfilter.picture.row_source import LazyRows
from convfilter.planning import applicable, plan_stack
from convfilter.planning.task import Task

CHECKSUMS = Path(__file__).with_name("digest.json")
MODES = ("edge", "constant", "reflect", "symmetric", "wrap")
#: Computed by NumPy's transforms, BLAS, LAPACK (the factors of a low-rank kernel) or transcendental functions, in full
#: or in part: their last bits differ from processor to processor.
BY_NUMPY = ("fourier", "layer", "orientation", "lowrank")


class Case(NamedTuple):
    """A stack on a picture of noise."""

    specs: tuple[str, ...]
    shape: tuple[int, ...]
    dtype: str
    out: str
    alpha: bool = False
    gray: bool = False
    algorithm: str | None = None
    mask: str = ""
    fill: bool = False

    @property
    def name(self) -> str:
        """The parameters that decide the result, as text."""
        size = "x".join(map(str, self.shape))
        words = [" | ".join(self.specs), size, f"{self.dtype} to {self.out}"]
        words += ["alpha"] * self.alpha + ["gray"] * self.gray
        words += [f"mask {self.mask}"] * bool(self.mask) + ["fill"] * self.fill
        return "; ".join(words + ([f"by {self.algorithm}"] if self.algorithm else []))


def cases() -> Iterator[Case]:
    """Yield every filter, always in the same order; without those whose result would be empty."""
    for case in chain(_methods(), _geometries(), _tones(), _stacks(), _large(), _windows(), _masks(), _axes()):
        with suppress(SizeError):
            planned(case)
            yield case


_KERNELS = {
    "direct": "kernel:1 2 3; -4 5 6; 7 8 -9; 2 1 0",
    "direct real": "kernel:0.11 0.2 0.3; -0.4 0.53 0.6; 0.7 -0.8 0.9",
    "direct tall": "kernel:1;2;3;4;5;6;7;6;5;4;3;2;1",
    "separable": "kernel:1 2 1; 2 4 2; 1 2 1",
    "gaussian": "gaussian:1.3",
    "gaussian wide": "gaussian:2.6x1.9",
    "box": "box:5x3",
    "box even": "box:4",
    "sobel": "sobel:magnitude",
    "sobel x": "sobel:x",
    "laplacian": "laplacian",
    "log": "log:1.5",
    "unsharp": "unsharp:1.2,amount=0.8",
    "emboss": "emboss",
    "maxpool": "maxpool:3,stride=2,padding=1",
    "minpool": "minpool:5x2,stride=1",
    "avgpool": "avgpool:3x4,stride=2,padding=1",
}
_TYPES = (("uint8", "uint8"), ("uint16", "uint16"), ("float32", "float32"), ("uint8", "float32"), ("uint16", "uint8"))


def _methods() -> Iterator[Case]:
    """Every method that can compute a filter, in every sample type."""
    shape = (61, 83, 3)
    for spec in (*_KERNELS.values(), "gaussian:6", "gaussian:9x3", "prewitt:magnitude,dilation=2", "dog:1.5"):
        for dtype, out in _TYPES:
            stage = stack.stages([spec])[0]
            task = Task.of(stage, shape, np.dtype(dtype), result=np.dtype(out))
            forced = [name for name in applicable(task) if name not in ("points", "layer", "orientation")]
            for algorithm in (None, *(forced if len(forced) > 1 else ())):
                yield Case((spec,), shape, dtype, out, algorithm=algorithm)


def _with(spec: str, options: str) -> str:
    """Return a SPEC with more options; a colon comes before the first."""
    return spec + (options if ":" in spec else ":" + options.lstrip(","))


def _geometries() -> Iterator[Case]:
    """Strides, dilations and paddings, in every padding mode."""
    types = cycle(_TYPES)
    shapes = cycle([(47, 59), (47, 59, 3), (33, 70, 2), (5, 7, 3), (90, 3, 1), (1, 64, 4)])
    steps = cycle(["stride=2", "dilation=3", "stride=3x2,dilation=2", "padding=full", "padding=3x1", "stride=1x4"])
    for mode in MODES:
        for spec in _KERNELS.values():
            pools = "pool" in spec
            for _ in range(2):
                step = next(steps)
                if pools and ("full" in step or "3x1" in step):
                    continue
                keyword = "" if pools else f",padding_mode={mode}"
                value = ",padding_value=7" if mode == "constant" and not pools else ""
                base = spec.split(",")[0] if pools else spec
                text = _with(
                    base, f"{keyword}{value},{step}" + (",padding=1" if pools and "padding" not in step else "")
                )
                dtype, out = next(types)
                yield Case((text,), next(shapes), dtype, out)


def _tones() -> Iterator[Case]:
    """Cases of tone maps, scales, alpha and luminance."""
    for spec in _KERNELS.values():
        pools = "pool" in spec
        for dtype, out in (("uint8", "uint8"), ("uint16", "float32"), ("float32", "float32")):
            yield Case((spec,), (40, 52, 4), dtype, out, alpha=True)
            yield Case((spec,), (40, 52, 4), dtype, out, alpha=True, gray=True)
            yield Case((spec,), (40, 52, 3), dtype, out, gray=True)
        for words in ("map=abs", "map=offset", "map=stretch", "scale=0.7,offset=0.1", "scale=-2"):
            if not (pools and "offset" in words):
                yield Case((_with(spec, f",{words}"),), (40, 52, 3), "uint8", "uint8")
    for point in ("relu", "abs", "bias:0.1", "scale:1.7", "clip:0.2", "normalize", "threshold:0.4", "invert"):
        for dtype, out in _TYPES:
            yield Case((point,), (40, 52, 3), dtype, out)
        yield Case((point,), (40, 52, 4), "uint8", "uint8", alpha=True)
    for name in ("sobel:orientation", "scharr:orientation"):
        for dtype, out in _TYPES:
            yield Case((name,), (40, 52, 3), dtype, out)


_STACKS = (
    ("gaussian:1", "sobel:magnitude"),
    ("gaussian:2", "sobel:magnitude"),
    ("sobel:magnitude", "gaussian:2"),
    ("box:3", "sobel:magnitude"),
    ("box:3", "box:11"),
    ("maxpool:3,stride=1,padding=1", "gaussian:1"),
    ("gaussian:7", "sobel:magnitude"),
    ("sobel:magnitude", "gaussian:7"),
    ("gaussian:7", "box:3"),
    ("gaussian:2", "relu"),
    ("relu", "box:3"),
    ("gaussian:1", "sobel:magnitude", "maxpool:2"),
    ("box:3,stride=2", "gaussian:1", "avgpool:2"),
    ("gaussian:1,padding_mode=wrap", "gaussian:2,padding_mode=wrap"),
    ("unsharp:2", "sobel:x"),
    ("laplacian", "abs", "maxpool:3"),
    ("gaussian:3,padding_mode=reflect,stride=2", "kernel:1 2 3; 4 5 6; 7 8 9,dilation=2"),
    ("sobel:magnitude", "normalize"),
    ("normalize", "gaussian:1"),
    ("gaussian:8,stride=3", "minpool:3x1,stride=1"),
    ("avgpool:40x50,stride=1,padding=7", "gaussian:1"),
    ("kernel:0.1 0.2; 0.3 0.5", "kernel:0.4 -0.2; 0.3 0.5", "bias:0.1"),
)


def _stacks() -> Iterator[Case]:
    for specs in _STACKS:
        for dtype, out in _TYPES[:4]:
            yield Case(specs, (161, 75, 3), dtype, out)
        yield Case(specs, (161, 75, 4), "uint8", "uint8", alpha=True)
        yield Case(specs, (161, 75, 3), "uint16", "uint16", gray=True)


_LARGE = (
    "gaussian:1.5",
    "gaussian:3",
    "gaussian:12",
    "box:3",
    "box:31",
    "sobel:magnitude",
    "maxpool:5,stride=1",
    "kernel:1 2 3; 4 5 6; 7 8 10",
    "avgpool:3,stride=1,padding=1",
    "log:4",
    "unsharp:6",
)


def _large() -> Iterator[Case]:
    """Pictures of several blocks, strips and bands."""
    for spec in _LARGE:
        for dtype, out in (("uint8", "uint8"), ("uint16", "uint16"), ("uint8", "float32")):
            yield Case((spec,), (901, 700, 3), dtype, out)
    yield Case(("gaussian:2",), (40, 9001, 3), "uint8", "uint8")
    yield Case(("gaussian:20",), (2100, 310, 3), "uint8", "uint8")
    yield Case(("gaussian:20", "sobel:magnitude"), (901, 700, 3), "uint8", "uint8")
    yield Case(("gaussian:1", "sobel:magnitude", "maxpool:2"), (901, 700, 3), "uint8", "uint8")


_WINDOWS = (
    "median:3",
    "median:5,padding_mode=wrap",
    "median:3,padding_mode=reflect,dilation=2,stride=2x1",
    "median:7x4",
    "median:31",
    "percentile:3x5,0.2",
    "dilate:disk:4",
    "tophat:5",
    "kirsch",
    "bilateral:1.5,0.1",
    "guided:3,eps=0.01",
    "guided:2,padding_mode=reflect,stride=2x3,dilation=3x2",
)


def _windows() -> Iterator[Case]:
    """Cases of windows other than weighted sums."""
    for spec in _WINDOWS:
        for dtype, out in _TYPES:
            yield Case((spec,), (61, 83, 3), dtype, out)
        yield Case((spec,), (301, 700, 3), "uint8", "uint8")
        yield Case((spec,), (40, 52, 4), "uint8", "uint8", alpha=True)
    yield Case(("median:3", "gaussian:1", "median:5"), (161, 75, 3), "uint8", "uint8")


_RECTANGLE = slice(101, 240), slice(40, 97)
_MASKED = (
    ("gaussian:2", "uint8", "points"),
    ("gaussian:8", "uint8", "points"),
    ("gaussian:8", "uint8", "rectangle"),
    ("gaussian:8", "uint8", "few"),
    ("gaussian:8", "uint16", "points"),
    ("gaussian:8", "float32", "rectangle"),
    ("gaussian:30x5", "uint8", "points"),
    ("gaussian:6,padding_mode=reflect,stride=2", "uint16", "rectangle"),
    ("kernel:1 2 3; 4 5 6; 7 8 10", "uint8", "few"),
    ("sobel:x", "uint8", "points"),
    ("box:3", "uint8", "points"),
    ("box:3", "uint16", "rectangle"),
    ("box:4x7", "uint8", "few"),
    ("box:31", "uint8", "points"),
    ("box:5", "float32", "few"),
    ("avgpool:3", "uint8", "points"),
    ("avgpool:4x3,stride=2,padding=1", "uint16", "few"),
    ("maxpool:3", "uint8", "few"),
    ("minpool:5x2,stride=1", "float32", "points"),
    ("median:3", "uint8", "few"),
    ("percentile:5x3,0.2", "uint16", "rectangle"),
    ("dilate:disk:4", "uint8", "points"),
    ("guided:3,eps=0.01", "uint8", "few"),
    ("guided:2,padding_mode=reflect,stride=2x3,dilation=3x2", "float32", "rectangle"),
    ("canny:2,0.05,0.15", "uint8", "few"),
    ("canny:1,0.1,0.2", "float32", "rectangle"),
)


def _masks() -> Iterator[Case]:
    """Pictures of several bands with ignored pixels."""
    for spec, dtype, mask in _MASKED:
        yield Case((spec,), (901, 331, 3), dtype, dtype, mask=mask)
    for spec in ("gaussian:8", "box:3", "avgpool:3", "maxpool:3", "median:3", "guided:3,eps=0.01"):
        yield Case((spec,), (301, 131, 4), "uint8", "uint8", alpha=True, mask="points")
    for spec in ("gaussian:8", "box:3", "guided:3,eps=0.01"):
        yield Case((spec,), (301, 131), "uint8", "uint8", mask="rectangle", fill=True)
    yield Case(("gaussian:2", "sobel:magnitude", "maxpool:2"), (901, 131, 3), "uint8", "uint8", mask="points")


def _axes() -> Iterator[Case]:
    """A padding mode for each axis."""
    modes = cycle(["wrap,edge", "edge,wrap", "constant,reflect", "symmetric,constant"])
    shapes, types = cycle([(47, 59), (161, 75, 3), (33, 70, 2), (5, 7, 3), (3, 90, 1)]), cycle(_TYPES)
    windows = (
        "gaussian:6",
        "median:5",
        "percentile:7x4,0.3",
        "erode:5",
        "open:4x5",
        "bilateral:1.5",
        "kirsch",
        "disk:8",
    )
    for spec in (*(each for each in _KERNELS.values() if "pool" not in each), *windows):
        for _ in range(3):
            yield Case((_with(spec, f",padding_mode={next(modes)}"),), next(shapes), *next(types))
    for mode in ("wrap,edge", "reflect,wrap"):
        yield Case((f"guided:3,padding_mode={mode}",), (47, 59, 3), "uint8", "uint8")
        for spec in ("gaussian:2", "box:5", "median:5", "tophat:5"):
            yield Case((f"{spec},padding_mode={mode}",), (301, 131, 3), "uint8", "uint8", mask="points")
    yield Case(("gaussian:2", "sobel:magnitude,padding_mode=wrap,edge"), (161, 75, 3), "uint8", "uint8")


def image_of(case: Case) -> np.ndarray:
    """Return the picture of a case; real samples reach beyond black and white."""
    rng = np.random.default_rng([*case.shape, len(case.dtype)])
    if case.dtype == "float32":
        samples = rng.uniform(-0.2, 1.3, case.shape).astype(np.float32)
        if case.alpha:
            samples[..., -1] = np.clip(samples[..., -1], 0, 1)
        return samples
    return rng.integers(0, np.iinfo(case.dtype).max, case.shape, case.dtype, endpoint=True)


def valid_of(case: Case) -> np.ndarray:
    """Return the mask of a case, which leaves out scattered pixels, a rectangle, or two thirds of all pixels."""
    rows, cols = case.shape[:2]
    if case.mask == "few":
        return np.random.default_rng([rows, cols]).random((rows, cols)) < 1 / 3
    valid = np.ones((rows, cols), bool)
    valid[(slice(3, None, 17), slice(2, None, 11)) if case.mask == "points" else _RECTANGLE] = False
    return valid


def planned(case: Case) -> Any:
    """Plan a case."""
    return plan_stack(
        stack.stages(case.specs), case.shape, case.dtype,
        out_dtype=case.out, alpha=case.alpha, gray=case.gray, algorithm=case.algorithm,
    )  # fmt: skip


def is_by_numpy(plan: Any) -> bool:
    """Whether NumPy computes some of the sums."""
    return any(stage.algorithm in BY_NUMPY for stage in plan.stages)


class Gathered:
    """A row sink that holds all rows."""

    def __init__(self, dtype: str) -> None:
        self.dtype = np.dtype(dtype)
        self.restart()

    def restart(self) -> None:
        self.rows: list[bytes] = []

    def write(self, rows: np.ndarray) -> None:
        self.rows.append(rows.tobytes())


def in_rows(plan: Any, image: np.ndarray, out: str) -> tuple[bytes, int]:
    """Filter from a row source into a row sink; returns the samples, and how many were clipped."""
    pixels = image.reshape(*image.shape[:2], -1)
    source = LazyRows(pixels.shape, pixels.dtype, lambda: (pixels[top : top + 7] for top in range(0, len(pixels), 7)))
    sink = Gathered(out)
    clipped = run_rows(plan, source, sink, threads=2)
    return b"".join(sink.rows), clipped


def _plain_results(case: Case, plan: Any) -> Iterator[tuple[str, bytes, int]]:
    """Yield each way to filter with the samples and how many were clipped."""
    image = image_of(case)
    for threads in (1, 3):
        result = run_array(plan, image, out_dtype=case.out, threads=threads)
        yield f"on {threads} threads", result.pixels.tobytes(), result.clipped
    yield "from row to row", *in_rows(plan, image, case.out)


def _masked_results(case: Case) -> Iterator[tuple[str, bytes, int]]:
    """Yield each way to filter with a mask with the samples, their mask, and how many were clipped."""
    image, valid, stages = image_of(case), valid_of(case), stack.stages(case.specs)
    settings: dict[str, Any] = {
        "fill": case.fill, "out_dtype": case.out, "alpha": case.alpha, "premultiplied": False, "gray": case.gray,
        "white": None, "out_white": None,
    }  # fmt: skip
    for threads in (1, 3):
        result, there = run_masked(stages, image, valid, threads=threads, **settings)
        yield f"on {threads} threads", result.pixels.tobytes() + there.tobytes(), result.clipped
    pixels = image.reshape(*image.shape[:2], -1)
    plans = masked_stages(stages, pixels.shape, image.dtype, **settings)
    if streaming_obstacle(plans):
        return
    source = LazyRows(pixels.shape, pixels.dtype, lambda: (pixels[top : top + 7] for top in range(0, len(pixels), 7)))
    rows: list[tuple[bytes, bytes]] = []
    clipped = run_banded_rows(
        plans, source,
        lambda some, first: valid[first : first + len(some)],
        lambda some, there: rows.append((some.tobytes(), there.tobytes())),
        2,
    )  # fmt: skip
    yield "from row to row", b"".join([b"".join(each) for each in zip(*rows, strict=True)]), clipped


def digest(case: Case) -> tuple[str, bool]:
    """Return the checksum of a case's result, and whether NumPy makes some of its sums.

    Raises
    ------
    AssertionError
        The result depends on the number of threads, or on the way that rows come and go.
    """
    plan = planned(case)
    results = _masked_results(case) if case.mask else _plain_results(case, plan)
    _, samples, clipped = next(results)
    for way, others, others_clipped in results:
        assert samples == others, f"{case.name}: other bytes {way}"
        assert clipped == others_clipped, f"{case.name}: {clipped} and {others_clipped} samples clipped {way}"
    return hashlib.sha256(samples + str(clipped).encode()).hexdigest()[:20], is_by_numpy(plan)


def main() -> int:
    """Write or compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--only", default="")
    parser.add_argument("--file", type=Path, default=CHECKSUMS)
    options = parser.parse_args()
    chosen = [case for case in cases() if options.only in case.name]
    if options.write:
        made = {case.name: digest(case)[0] for case in chosen}
        options.file.write_text(json.dumps(made, indent=0) + "\n")
        print(f"{len(made)} checksums in {options.file}")
        return 0
    known, wrong = json.loads(options.file.read_text()), 0
    for case in chosen:
        try:
            found = digest(case)[0]
        except AssertionError as error:
            found = str(error)
        if known.get(case.name) != found:
            wrong += 1
            print(f"{case.name}: {found}, {known.get(case.name, 'none')} is known")
    print(f"{len(chosen)} filters, {wrong} of them with another result")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
