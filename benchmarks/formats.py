"""Measure reading and writing without the time of the libraries: ``python benchmarks/formats.py``.

The program's own time is that of ``convfilter.read`` and ``convfilter.write`` minus that of the library with the same
samples and settings. At 12 megapixels, at most 0.25 s are promised for each. HEIC is only read, and is measured if
pillow-heif, which can encode it, is installed besides pi-heif.
"""

from __future__ import annotations

import argparse
import importlib.util
import io
import sys
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from timing import machine, table, take_turns, versions

import convfilter as cf

PROMISED_SECONDS = 0.25
SIZES = {1: (1000, 1000), 12: (3000, 4000)}
LIBRARIES = ["imagecodecs", "OpenEXR", "pi-heif", "numpy"]


def scene(height: int, width: int, dtype: str) -> np.ndarray:
    """Return a smooth scene with grain."""
    y, x, c = np.mgrid[:height, :width, :3]
    values = 0.4 + 0.3 * np.sin(x / 97 + c) * np.cos(y / 61)
    values += np.random.default_rng(1).normal(0, 0.006, values.shape)
    values = np.clip(values, 0, 1)
    return values.astype(np.float32) if dtype == "float32" else np.rint(values * np.iinfo(dtype).max).astype(dtype)


class Library(NamedTuple):
    """The calls of a format's library without convfilter.

    Attributes
    ----------
    dtype : str
        Sample type.
    encode : callable
        Encodes an array; for ``read_only`` formats into the file.
    decode : callable
        Decodes the file.
    read_only : bool
        Whether convfilter does not write the format.
    """

    dtype: str
    encode: Callable[[np.ndarray], object]
    decode: Callable[[], object]
    read_only: bool = False


def libraries(folder: Path) -> dict[str, Library]:
    """Return the libraries by the name of the format: the suffix, and the bits where there are several."""
    import imagecodecs

    from convfilter.machine.cores import available_cores

    threads = available_cores()
    found = {
        "jxl": Library(
            "uint16",
            lambda a: imagecodecs.jpegxl_encode(a, lossless=True, effort=3, numthreads=threads),
            lambda: imagecodecs.jpegxl_decode((folder / "a.jxl").read_bytes(), numthreads=threads),
        ),
        "avif": Library(
            "uint16",
            lambda a: imagecodecs.avif_encode(
                a >> 4, level=92, bitspersample=12, speed=6, pixelformat="420", numthreads=max(2, threads)
            ),
            lambda: imagecodecs.avif_decode((folder / "a.avif").read_bytes()),
        ),
        "hdr": Library(
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

        found["exr"] = Library("float32", encode, decode)
    if importlib.util.find_spec("pillow_heif"):
        found |= {f"heic-{bits}": heic(folder / f"a.heic-{bits}", bits) for bits in (8, 10, 12)}
    return found


def heic(path: Path, bits: int) -> Library:
    """Return the library of HEIC, with x265's fastest preset: decoding takes as long as for any."""
    import pi_heif
    import pillow_heif

    def encode(a: np.ndarray) -> None:
        pillow_heif.options.SAVE_HDR_TO_12_BIT = bits == 12
        mode = "RGB" if bits == 8 else "RGB;16"
        heif = pillow_heif.from_bytes(mode, (a.shape[1], a.shape[0]), a.tobytes())
        heif.save(path, quality=85, enc_params={"preset": "ultrafast"})

    def decode() -> None:
        with path.open("rb") as file:
            np.array(pi_heif.open_heif(file, convert_hdr_to_8bit=False, hdr_to_16bit=False))

    return Library("uint8" if bits == 8 else "uint16", encode, decode, read_only=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print the table; always 0, since a busy machine is no failure."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--runs", type=int, default=3, help="runs of each, after a warm-up  [3]")
    parser.add_argument("--megapixels", type=int, choices=list(SIZES), default=12, help="size of the picture  [12]")
    parser.add_argument("--format", action="append", metavar="NAME", help="only this format; repeatable")
    options = parser.parse_args(arguments)
    print(machine(), versions(LIBRARIES))
    head = ["format", "samples", "read s", "own s", "write s", "own s", "promised"]
    rows: list[list[str]] = []
    with tempfile.TemporaryDirectory() as where:
        folder = Path(where)
        for name, library in libraries(folder).items():
            if options.format and name not in options.format:
                continue
            pixels = scene(*SIZES[options.megapixels], library.dtype)
            path, wanted = folder / f"a.{name}", cf.WriteOptions(quality=92 if name == "avif" else None)
            if library.read_only:
                library.encode(pixels)
            else:
                cf.write(path, pixels, wanted)
            turns = {"read": partial(cf.read, path), "decode": library.decode}
            if not library.read_only:
                turns |= {
                    "write": partial(cf.write, path, pixels, wanted),
                    "encode": partial(library.encode, pixels),
                }
            timed = {key: timing.seconds for key, timing in take_turns(turns, options.runs, 300).items()}
            pairs = [(whole, alone) for whole, alone in (("read", "decode"), ("write", "encode")) if whole in timed]
            figures = [f"{seconds:.2f}" for a, b in pairs for seconds in (timed[a], timed[a] - timed[b])]
            rows.append([name, library.dtype, *(figures + ["-"] * 4)[:4], f"{PROMISED_SECONDS}"])
    print(table(head, rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
