"""Foreign text and weights: kernels, layers, SPECs, configurations, logs and lists give a result or a ConvfilterError.

``python tests/fuzz.py --target layers`` runs until it is stopped or a case fails.
"""

from __future__ import annotations

import io
import json
import random
import struct
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

import click
import numpy as np
import pytest
from fuzz import mutated

import convfilter
from convfilter.batch import inputs, log_file, update
from convfilter.cli import config
from convfilter.cli.blur import command as blur
from convfilter.cli.root import Session, root
from convfilter.errors import ConvfilterError, SizeError
from convfilter.filters import stack
from convfilter.filters.catalog import FILTERS
from convfilter.picture.options import ReadOptions, WriteOptions
from convfilter.pipeline import Options, filter_file

IMAGE = np.random.default_rng(1).integers(0, 256, (9, 11, 3), np.uint8)
#: Pieces of text that have broken a parser before, or could.
TOKENS = (
    "[", "]", "{", "}", "[" * 400, "9" * 5000, "1e999", "-1e999", "nan", "inf", "0", "-0", "1/0", "0/0", "1e-400",
    "\\u0000", "\0", "\n", "\r\n", ";", ",", ",,", ":", "=", "'", '"', '"""', "#", "@", "\ufeff", "\ud800", "\x1b[31m",
    "é", "٣", " ", "\t", "null", "true", "4294967296", "9223372036854775808", "65536", "0x1F", "1_000", "..", "/",
    "-", "x", "../",
)  # fmt: skip
#: Larger jobs are valid, but take too long here.
MOST_WORK = 10**7


class Target(NamedTuple):
    """A target: valid contents, and a trial that returns whether a content is valid."""

    seeds: Callable[[], dict[str, bytes]]
    survives: Callable[[bytes, Path], bool]


def mutated_text(data: bytes, rng: random.Random) -> bytes:
    """Damage text in one to four places, with pieces of the text and with tokens of the parsers."""
    text = data.decode("utf-8", "surrogateescape")
    for _ in range(rng.randint(1, 3)):
        at, end = (rng.randrange(len(text) + 1) for _ in range(2))
        at, end = min(at, end), min(max(at, end), at + 12)
        match rng.randrange(5):
            case 0:
                text = text[:at] + text[end:]
            case 1:
                text = text[:at] + rng.choice(TOKENS) + text[at:]
            case 2:
                text = text[:at] + rng.choice(TOKENS) + text[end:]
            case 3:
                text = text[:at] + text[at:end] * rng.randint(2, 5) + text[end:]
            case 4:
                text = text[:at] + chr(rng.randrange(256)) + text[end:]
    return text.encode("utf-8", "surrogatepass")


def damaged(name: str, data: bytes, rng: random.Random) -> bytes:
    """Damage a file as text, or as bytes where it is no text."""
    is_binary = name.endswith((".npy", ".npz", ".safetensors", ".pgm", ".pam", ".pfm"))
    return mutated(data, rng) if is_binary and rng.random() < 0.7 else mutated_text(data, rng)


def says_one_line(error: ConvfilterError, most: int = 1000) -> bool:
    """Check the text of an error, and return False."""
    text = str(error)
    assert text and "\n" not in text and len(text) <= most, f"a message of one line and at most {most}, got {text!r}"
    return False


def _array(array: np.ndarray) -> bytes:
    content = io.BytesIO()
    np.save(content, array)
    return content.getvalue()


def _archive(method: int, **arrays: np.ndarray) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", method) as archive:
        for name, array in arrays.items():
            archive.writestr(f"{name}.npy", _array(array))
    return content.getvalue()


def _safetensors(dtype: str, width: int) -> bytes:
    header = json.dumps(
        {
            "__metadata__": {"activation": "relu"},
            "weight": {"dtype": dtype, "shape": [2, 3, 1, 2], "data_offsets": [0, 12 * width]},
            "stride": {"dtype": "I64", "shape": [2], "data_offsets": [12 * width, 12 * width + 16]},
        }
    ).encode()
    return struct.pack("<Q", len(header)) + header + bytes(12 * width) + struct.pack("<qq", 1, 2)


def layer_seeds() -> dict[str, bytes]:
    """Return layers in every kind of file."""
    weight = np.arange(12, dtype=np.float32).reshape(2, 3, 1, 2)
    parts = {"weight": weight, "bias": np.ones(2), "stride": np.array(2), "activation": np.array("tanh")}
    norm = {
        "weight": weight,
        "mean": np.zeros(2),
        "var": np.ones(2),
        "eps": np.array(1e-3),
        "padding": np.array([0, 1]),
    }
    methods = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)
    return {
        "a.npy": _array(weight),
        "fortran.npy": _array(np.asfortranarray(weight.astype(">f8"))),
        **{f"parts{method}.npz": _archive(method, **parts) for method in methods},
        "norm.npz": _archive(zipfile.ZIP_STORED, **norm),
        **{
            f"{kind}.safetensors": _safetensors(kind, width)
            for kind, width in (("F32", 4), ("BF16", 2), ("F8_E4M3", 1))
        },
    }


def layer_survives(data: bytes, path: Path) -> bool:
    """Load a layer and run it."""
    path.write_bytes(data)
    return _runs(f"layer:{path}")


def kernel_seeds() -> dict[str, bytes]:
    """Return kernels in every kind of file."""
    matrix = np.array([[1, 2, 1], [2, 4, 2]])
    texts = {
        "rows.txt": "# mean\n1 2 1\n2 4 2\n",
        "fractions.txt": "1/9, 1/9, 1/9\n.5 -1e-3 2\n",
        "vips.mat": "3 2 16 128\n1 2 1\n2 4 2\n",
        "european.csv": "0,25;0,5;0,25\n0;1;0\n",
        "brackets.txt": "np.array([[1, 2],\n [3, 4]])",
        "semicolons.txt": "1 2 1; 2 4 2",
        "a.json": '{"weights": [[1, 2, 1], ["1/3", 4, 2]], "scale": 16, "offset": 0.5, "unit": "full scale"}',
        "rows.json": "[[1, 2, 1], [2, 4, 2]]",
    }
    arrays = {"a.npy": _array(matrix), "a.npz": _archive(zipfile.ZIP_DEFLATED, kernel=matrix, other=matrix)}
    return {name: text.encode() for name, text in texts.items()} | arrays


def kernel_survives(data: bytes, path: Path) -> bool:
    """Load a kernel and run it."""
    path.write_bytes(data)
    return _runs(f"kernel:{path}")


def spec_seeds() -> dict[str, bytes]:
    """Return the example of every filter, and each with options."""
    examples = {name: row.example for name, row in FILTERS.items() if name not in ("layer", "convtranspose", "net")}
    options = "stride=2x1,padding=1,0,2,1,padding_mode=wrap,dilation=2,scale=-1/3,offset=.5,map=abs,flip=yes"
    return {name: text.encode() for name, text in examples.items()} | {
        f"{name}-{key}": f"{text}{',' if ':' in text else ':'}{item}".encode()
        for name, text in examples.items()
        for item in ("padding=1,0,2,1", *options.split(","))
        if (key := item.partition("=")[0]) in FILTERS[name].stage_keywords and f"{key}=" not in text
    }


def spec_survives(data: bytes, _path: Path) -> bool:
    """Parse a SPEC and run it."""
    return _runs(data.decode("utf-8", "surrogateescape"))


def _runs(spec: str) -> bool:
    try:
        stages = stack.stages([spec])
        plan = convfilter.plan(IMAGE.shape, *stages)
        rows, cols, channels = (*plan.output_shape, 1)[:3]
        if rows * cols * channels * plan.stages[0].kernel.nonzeros < MOST_WORK:
            convfilter.apply(IMAGE, *stages, threads=1)
    except SizeError as error:
        return says_one_line(error) or True
    except ConvfilterError as error:
        return says_one_line(error)
    return True


def config_seeds() -> dict[str, bytes]:
    """Return configurations, of a project too."""
    text = """compression = "best"
stride = "2x1"
gray = true
exclude = ["a*", "b*"]
scale = 0.5
[blur]
padding-mode = "reflect"
progress = false
[pipelines]
thumbnail = ["gaussian:1.5", "avgpool:4"]
"""
    project = "[project]\nname = 'x'\n[tool.convfilter]\nquality = 90\n[tool.convfilter.blur]\njobs = 2\n"
    project += "[tool.convfilter.pipelines]\nthumbnail = ['box:3']\n"
    return {"convfilter.toml": text.encode(), "pyproject.toml": project.encode()}


def config_survives(data: bytes, path: Path) -> bool:
    """Parse a command line with the configuration."""
    path = path.with_name("pyproject.toml" if b"tool.convfilter" in data else "convfilter.toml")
    path.write_bytes(data)
    try:
        with root.make_context("convfilter", ["blur"], obj=Session(), resilient_parsing=True) as parent:
            blur.make_context("blur", ["--config", str(path), "--box", "3", "in.png", "out.png"], parent=parent)
            config.pipeline(parent.obj, "@thumbnail")
    except ConvfilterError as error:
        return says_one_line(error, 1200)
    except click.UsageError as error:
        assert error.format_message()
        return False
    return True


def log_seeds() -> dict[str, bytes]:
    """Return logs of --update."""
    entry = {
        "output": "out.png",
        "input": "/in.png",
        "recipe": "r",
        "read": {"stamp": [1, 2, 3, 4], "seen": 5, "sha256": "00"},
        "written": {"stamp": [1, 2, 3, 4], "seen": 5, "sha256": None},
    }
    return {"log": ("\n" + json.dumps(entry)).encode() * 3}


def log_survives(data: bytes, path: Path) -> bool:
    """Ask whether an output is up to date by a log."""
    folder = path.parent
    (folder / log_file.NAME).write_bytes(data)
    (folder / "out.png").write_bytes(b"x")
    job = inputs.Job(str(folder / "out.png"), str(folder / "out.png"))
    assert not update.UpdateLog("r").is_current(job)
    return "out.png" in log_file.read(str(folder))


def list_seeds() -> dict[str, bytes]:
    """Return lists of names."""
    return {"lines": b"a.png\r\n\xef\xbb\xbfb c.png\n\n./-\n", "mark": b"\xef\xbb\xbfa.png\n\xff.png\n"}


def list_survives(data: bytes, path: Path) -> bool:
    """Read a list of names and look for the files."""
    path.write_bytes(data)
    try:
        names = inputs.read_list(str(path))
        inputs.find([name for name in names if "://" not in name], inputs.Naming("out"), inputs.Search())
    except ConvfilterError as error:
        return says_one_line(error, 20_000)
    return True


def series_seeds() -> dict[str, bytes]:
    """Return pictures one after the other."""
    gray, rgb = b"P5\n# a comment\n4 3\n255\n" + bytes(range(12)), b"P6 2 2 65535\n" + bytes(range(24))
    pam = b"P7\nWIDTH 2\n# a comment\nHEIGHT 2\nDEPTH 2\nMAXVAL 9\nTUPLTYPE GRAYSCALE_ALPHA\nENDHDR\n" + bytes(8)
    pfm, bits = b"Pf\n2 1\n-1.0\n" + bytes(8), b"P4\n9 2\n" + bytes(4)
    return {"mixed.pam": gray + rgb + pam + pfm + bits, "gray.pgm": 3 * (gray + b"\n"), "one.pfm": pfm + pfm}


def series_survives(data: bytes, path: Path) -> bool:
    """Filter a file of pictures, and the same bytes as a stream; both must have the same outcome."""
    path.write_bytes(data)
    outcomes = []
    for is_stream in (False, True):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(data), isatty=lambda: False))
            out = path.with_suffix(f".{is_stream}{path.suffix}")
            options = Options(["box:3"], read=ReadOptions(max_pixels=10**5), write=WriteOptions(allow_loss=True))
            try:
                report = filter_file("-" if is_stream else str(path), str(out), options)
            except ConvfilterError as error:
                outcomes.append((int(says_one_line(error)), b""))
            else:
                outcomes.append((report.frames, out.read_bytes()))
    assert outcomes[0] == outcomes[1]
    return outcomes[0][0] > 0


TARGETS = {
    "series": Target(series_seeds, series_survives),
    "layers": Target(layer_seeds, layer_survives),
    "kernels": Target(kernel_seeds, kernel_survives),
    "specs": Target(spec_seeds, spec_survives),
    "configurations": Target(config_seeds, config_survives),
    "logs": Target(log_seeds, log_survives),
    "lists": Target(list_seeds, list_survives),
}
