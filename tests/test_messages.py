"""Names and texts from outside in messages: escaped, on one line, through one function."""

from __future__ import annotations

import ast
import os
import pickle
import subprocess
import sys
from pathlib import Path
from xml.dom import minidom

import numpy as np
import pytest
from PIL import Image

import convfilter
from convfilter.cli.messages import as_flag, failure
from convfilter.cli.options import run_options
from convfilter.cli.root import run
from convfilter.errors import ReadError, UsageError, named, printable, shown, with_options
from convfilter.filters.catalog import STAGE_PARAMETERS

#: An escape sequence, a C1 control, a change of direction, a byte that is no UTF-8, line ends, and a formula.
NAME = os.fsdecode(b"k\x1b[31m\xc2\x9b2J\xe2\x80\xae\xff\r\n$x_{$.txt")
SHOWN = r"k\x1b[31m\x9b2J\u202e\xff\r\n$x_{$.txt"
PACKAGE = Path(convfilter.__file__).parent


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Image.fromarray(np.zeros((9, 9), np.uint8)).save("in.png")
    Path(NAME).write_text("0,25;0,5;0,25\n0;0;0\n")
    return tmp_path


def test_control_characters_are_escaped() -> None:
    assert printable(NAME) == SHOWN
    assert printable("é 中 'a'") == "é 中 'a'"
    assert printable("\u2028\x7f\u200b\ud800") == r"\u2028\x7f\u200b\ud800"
    assert shown("a\x1b'b") == '"a\\x1b\'b"'
    assert len(shown("x" * 500)) == len(shown((1,) * 500)) == 60
    assert named("/long/" * 200 + "end").endswith("/long/end")
    assert len(named("/long/" * 200)) == 400


@pytest.mark.parametrize(
    "arguments",
    [
        ["kernel", "show", f"kernel:{NAME}"],
        ["plan", "-f", f"kernel:{NAME}", "--size", "8"],
        ["plan", "-f", f"kernel:{NAME}", "--size", "8", "--json"],
        ["apply", "-f", f"kernel:{NAME}", "-v", "--explain", "in.png", "out.png"],
        ["apply", "-f", f"kernel:{NAME}", "--dry-run", "in.png", "--into", f"out{NAME}"],
        ["apply", "-f", f"kernel:{NAME}", "--json", "in.png", "--into", f"out{NAME}"],
        ["apply", "-f", "box:3", "--debug", NAME, "out.png"],
        ["apply", "-f", "box:3", "--debug", NAME, "in.png", "--into", "out"],
        ["apply", "-f", NAME, "in.png", "out.png"],
        ["apply", f"@{NAME}", "in.png", "out.png"],
        ["apply", "-f", f"layer:{NAME}.npz", "in.png", "out.png"],
        ["blur", "--box", NAME, "in.png", "out.png"],
        ["blur", "--algorithm", NAME, "--box", "3", "in.png", "out.png"],
        ["blur", "--box", "3", "--config", NAME, "in.png", "out.png"],
        ["blur", "--box", "3", "--files-from", f"{NAME}.list", "--into", "out"],
        ["blur", "--box", "3", "in.png", NAME],
        ["blur", f"--{NAME}", "in.png", "out.png"],
        ["compare", NAME, NAME],
        [NAME],
    ],
)
def test_messages_escape_control_characters_in_names(
    arguments: list[str], capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    run(arguments)
    captured = capfdbinary.readouterr()
    for said in (captured.out, captured.err):
        text = said.decode()  # and all of it is UTF-8
        assert all(char.isprintable() or char == "\n" for char in text), text
        assert "\u202e" not in text
    # JSON has escapes of its own.
    assert SHOWN in captured.out.decode() + captured.err.decode() or "--json" in arguments


def test_pipelines_are_escaped(capfd: pytest.CaptureFixture[str]) -> None:
    Path("c.toml").write_text('[pipelines]\nx = ["box:3\\u001b[31m"]\n"y\\u001b[1m" = 1\n')
    assert run(["apply", "--config", "c.toml", "@x", "in.png", "out.png"]) == 2
    assert "\x1b" not in capfd.readouterr().err


def test_drawings_and_pages_hold_no_control_characters() -> None:
    spec = f"kernel:{NAME}"
    assert run(["plan", "-f", spec, "--size", "8", "--diagram", "plan.svg"]) == 0
    assert run(["apply", "-f", spec, "--html", "page.html", "in.png", "out.png"]) == 0
    assert SHOWN in Path("plan.svg").read_text()
    assert SHOWN in Path("page.html").read_text()
    minidom.parse("plan.svg")
    for name in ("plan.svg", "page.html"):
        assert all(char.isprintable() or char == "\n" for char in Path(name).read_text())


def test_a_plot_shows_a_name_and_no_formula() -> None:
    pytest.importorskip("matplotlib")
    assert run(["kernel", "show", f"kernel:{NAME}", "--plot", "kernel.svg"]) == 0
    minidom.parse("kernel.svg")


def test_characters_that_a_stream_cannot_encode_are_escaped() -> None:
    Path("é.txt").write_text("1 2 1\n")
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONPATH": str(PACKAGE.parent)}
    command = [sys.executable, "-m", "convfilter", "kernel", "show", "kernel:é.txt"]
    done = subprocess.run(command, env=environment, capture_output=True, check=True)
    assert done.stdout.startswith(b"kernel:\\xe9.txt: Your own weights.")


def test_one_function_prints() -> None:
    """Only help, the shell's script and the cache's path, which scripts read, are printed as they are."""
    free = {"messages.py", "progress.py", "root.py", "completion.py", "shells.py", "cache.py"}
    for path in sorted((PACKAGE / "cli").glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            called = ast.unparse(node.func) if isinstance(node, ast.Call) else ""
            prints = called in ("print", "click.echo") or called.endswith(("stdout.write", "stderr.write"))
            assert not prints or path.name in free, f"{path.name}:{node.lineno} prints by itself"


def test_errors_carry_a_subject_and_a_remedy() -> None:
    problem, remedy = "the frames are too many", "raise it with {max_pixels}, take {frame=N} or {lenient=True}"
    error = ReadError(problem, remedy=remedy)
    error.about("a.tif")
    error.about("b.tif")  # the first to know it says it
    said = "a.tif: the frames are too many; raise it with max_pixels, take frame=N or lenient=True"
    assert (str(error), error.problem, error.subject) == (said, problem, "a.tif")
    flags = "a.tif: the frames are too many; raise it with --max-pixels, take --frame N or --lenient"
    assert failure(error) == (flags, 1)
    assert failure(UsageError("no", remedy="leave out {auto_orient=False}")) == ("no; leave out --no-auto-orient", 2)
    assert failure(pickle.loads(pickle.dumps(error))) == (flags, 1)


def test_every_option_that_a_remedy_names_is_there() -> None:
    known = {name for option in run_options() for name in (*option.opts, *option.secondary_opts)}
    known |= {f"--{name.replace('_', '-')}" for name in (*STAGE_PARAMETERS, "normalize")}
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            values = [keyword.value for keyword in getattr(node, "keywords", ()) if keyword.arg == "remedy"]
            for part in (part for value in values for part in ast.walk(value)):
                if isinstance(part, ast.Constant) and isinstance(part.value, str):
                    named: list[str] = []
                    with_options(part.value, lambda name, value, named=named: named.append(as_flag(name, value)) or "")
                    assert {flag.split()[0] for flag in named} <= known, f"{path.name}:{part.lineno}"
