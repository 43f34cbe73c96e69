"""Measure reading and writing without the libraries' share: ``python benchmarks/formats.py``.

The program's own share is the time of ``convfilter.read`` and ``convfilter.write`` less that of the library called
with the same samples and settings. At 12 megapixels, at most 0.25 s are promised for each.
"""

from __future__ import annotations

import argparse
import importlib.util
import io
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from timing import machine, table, take_turns, versions

import convfilter as cf

PROMISED_SECONDS = 0.25
SIZES = {1: (1000, 1000), 12: (3000, 4000)}
LIBRARIES = ["imagecodecs", "OpenEXR", "astropy", "numpy"]


def scene(height: int, width: int, dtype: str) -> np.ndarray:
    """Return a smooth scene with grain."""
    y, x, c = np.mgrid[:height, :width, :3]
    values = 0.4 + 0.3 * np.sin(x / 97 + c) * np.cos(y / 61)
    values += np.random.default_rng(1).normal(0, 0.006, values.shape)
    values = np.clip(values, 0, 1)
    return values.astype(np.float32) if dtype == "float32" else np.rint(values * np.iinfo(dtype).max).astype(dtype)


def libraries(folder: Path) -> dict[str, tuple[str, Callable[[np.ndarray], object], Callable[[], object]]]:
    """Return for each format its sample type, and what its library does by itself: encode, and decode."""
    import imagecodecs

    from convfilter.machine.cores import available_cores

    threads = available_cores()
    found: dict[str, tuple[str, Callable[[np.ndarray], object], Callable[[], object]]] = {
        "jxl": (
            "uint16",
            lambda a: imagecodecs.jpegxl_encode(a, lossless=True, effort=3, numthreads=threads),
            lambda: imagecodecs.jpegxl_decode((folder / "a.jxl").read_bytes(), numthreads=threads),
        ),
        "avif": (
            "uint16",
            lambda a: imagecodecs.avif_encode(
                a >> 4, level=92, bitspersample=12, speed=6, pixelformat="420", numthreads=max(2, threads)
            ),
            lambda: imagecodecs.avif_decode((folder / "a.avif").read_bytes()),
        ),
        "hdr": (
            "float32",
            lambda a: imagecodecs.rgbe_encode(a, header=False, rle=True, out=8 * a.shape[0] * (a.shape[1] + 4)),
            lambda: imagecodecs.rgbe_decode((folder / "a.hdr").read_bytes(), header=True),
        ),
    }
    if importlib.util.find_spec("OpenEXR"):
        import OpenEXR

        def encode(a: np.ndarray) -> None:
            header = {"compression": OpenEXR.ZIP_COMPRESSION, "type": OpenEXR.scanlineimage}
            with OpenEXR.File(header, {"RGB": a}, num_threads=threads) as file:
                file.write(io.BytesIO())

        def decode() -> None:
            with OpenEXR.File(str(folder / "a.exr"), num_threads=threads) as file:
                file.channels()["RGB"].pixels.sum()

        found["exr"] = "float32", encode, decode
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print the table; always 0, since a busy machine is no failure."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--runs", type=int, default=3, help="of each, after a warm-up  [3]")
    parser.add_argument("--megapixels", type=int, choices=list(SIZES), default=12, help="of the picture  [12]")
    parser.add_argument("--format", action="append", metavar="SUFFIX", help="only this one; repeatable")
    options = parser.parse_args(arguments)
    print(machine(), versions(LIBRARIES))
    head = ["format", "samples", "read s", "own s", "write s", "own s", "promised"]
    rows: list[list[str]] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for suffix, (dtype, encode, decode) in libraries(folder).items():
            if options.format and suffix not in options.format:
                continue
            pixels = scene(*SIZES[options.megapixels], dtype)
            path = folder / f"a.{suffix}"
            cf.write(path, pixels, cf.WriteOptions(quality=92 if suffix == "avif" else None))
            turns = {
                "read": lambda path=path: cf.read(path),
                "decode": decode,
                "write": lambda path=path, pixels=pixels, suffix=suffix: cf.write(
                    path, pixels, cf.WriteOptions(quality=92 if suffix == "avif" else None)
                ),
                "encode": lambda encode=encode, pixels=pixels: encode(pixels),
            }
            timed = {key: timing.seconds for key, timing in take_turns(turns, options.runs, 300).items()}
            own = timed["read"] - timed["decode"], timed["write"] - timed["encode"]
            rows.append(
                [suffix, dtype, *(f"{value:.2f}" for value in (timed["read"], own[0], timed["write"], own[1])),
                 f"{PROMISED_SECONDS}"]
            )  # fmt: skip
    print(table(head, rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
