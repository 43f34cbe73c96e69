"""Warnings and exit statuses for results that are probably a mistake, or that differ more than a limit allows."""

from __future__ import annotations

import io
import re
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from convfilter.cli.commands import COMMANDS
from convfilter.cli.root import run

SAMPLES = np.random.default_rng(3).integers(0, 256, (20, 30), np.uint8)
SUM_3 = ("convolve", "--kernel", "1 1 1")
CLIPPED = "of the samples are clipped; weights that sum to 1 (--normalize), --scale 1/N or --map stretch fit them in"

ZERO = (
    "of the samples are clipped; the weights sum to 0, and --map abs or --map offset show negative results, --map clip"
)
NO_SUM = "of the samples are clipped; --scale 1/N or --map stretch fit them in, --map clip accepts it"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("photos").mkdir()
    for name in ("in.png", "photos/a.png", "photos/b.png"):
        Image.fromarray(SAMPLES).save(name)
    other = SAMPLES.copy()
    other[3, 4] = np.uint8(int(SAMPLES[3, 4]) ^ 8)  # one sample, 8 levels away
    Image.fromarray(other).save("other.png")
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ([*SUM_3, "in.png", "out.png"], f"in.png: 84% {CLIPPED}"),
        ([*SUM_3, "photos", "out"], f"photos/a.png and 1 more: up to 84% {CLIPPED}"),
        ([*SUM_3, "-q", "in.png", "out.png"], ""),
        (["convolve", "--kernel", "-9 0 9", "in.png", "out.png"], f"in.png: 90% {ZERO}"),
        (["apply", "-f", "scale:9", "in.png", "out.png"], f"in.png: 89% {NO_SUM}"),
        (["edges", "--laplacian", "--scale", "9", "in.png", "out.png"], f"in.png: 95% {NO_SUM}"),
        ([*SUM_3, "--map", "clip", "in.png", "out.png"], ""),
        ([*SUM_3, "--normalize", "in.png", "out.png"], ""),
        (["blur", "--box", "3", "in.png", "out.png"], ""),
    ],
)
def test_clipping_is_reported_once(capfd: pytest.CaptureFixture[str], arguments: list[str], line: str) -> None:
    assert run(arguments) == 0
    said = [text for text in capfd.readouterr().err.splitlines() if "clipped" in text]
    assert [text.startswith(f"convfilter: {line}") for text in said] == [True] * bool(line)
    sums = np.pad(SAMPLES.astype(int), ((0, 0), (1, 1)), "edge")
    share = np.mean(sums[:, :-2] + sums[:, 1:-1] + sums[:, 2:] > 255)
    assert f"{share:.0%}" == "84%"


@pytest.mark.parametrize(
    ("gate", "status", "reason"),
    [
        ("--max-difference 8", 0, ""),
        ("--max-difference 7", 1, "the largest difference is 8, at most 7 is allowed"),
        ("--min-psnr 50", 0, ""),
        ("--min-psnr 70", 1, "PSNR is 57.85 dB, at least 70 dB is needed"),
        ("--min-ssim 0.9", 0, ""),
        ("--min-ssim 1", 1, "SSIM is 0.99"),
        ("--max-difference 7 --min-psnr 70", 1, "at most 7 is allowed; PSNR is"),
        ("--max-difference 7 --json", 1, "at most 7 is allowed"),
    ],
)
def test_compare_gates_a_build(capfd: pytest.CaptureFixture[str], gate: str, status: int, reason: str) -> None:
    assert run(["compare", "in.png", "other.png", *gate.split()]) == status
    captured = capfd.readouterr()
    assert reason in captured.err and bool(captured.err) == bool(status)
    assert "largest" in captured.out  # the numbers are written all the same
    assert (
        run(["compare", "in.png", "photos/a.png", "--max-difference", "0", "--min-psnr", "99", "--min-ssim", "1"]) == 0
    )


def test_gates_fail_for_nan(capfd: pytest.CaptureFixture[str]) -> None:
    for name, value in (("a.pfm", 0.5), ("b.pfm", np.nan)):
        pixels = np.full((12, 12), 0.5, np.float32)
        pixels[5, 6] = value
        Path(name).write_bytes(b"Pf\n12 12\n-1\n" + pixels.tobytes())
    assert run(["compare", "a.pfm", "b.pfm", "--max-difference", "1"]) == 1
    assert "1 sample is NaN or infinite in one picture only" in capfd.readouterr().err
    assert run(["compare", "a.pfm", "b.pfm", "--min-psnr", "1"]) == 1
    assert run(["compare", "in.png", "other.png", "--min-ssim", "2"]) == 2
    Image.fromarray(SAMPLES[:4, :4]).save("tiny.png")  # smaller than the window of SSIM
    assert run(["compare", "tiny.png", "tiny.png", "--min-ssim", "0.5"]) == 1
    assert "there is no SSIM" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("options", "environment", "coloured"),
    [
        ((), {}, False),  # no terminal
        (("--color", "always"), {}, True),
        (("--color", "always"), {"NO_COLOR": "1"}, True),  # the command line wins over the environment
        (("--color=never",), {}, False),
    ],
)
def test_colours(
    options: tuple[str, ...],
    environment: dict[str, str],
    coloured: bool,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert run(["blur", "--box", "3", *options, "none.png", "photos/a.png", "out/"]) == 1
    failed, summary = capfd.readouterr().err.splitlines()
    red, bold, plain = ("\x1b[31m", "\x1b[1m", "\x1b[0m") if coloured else ("", "", "")
    assert failed == f"{red}convfilter:{plain} none.png: there is no such file"
    assert re.fullmatch(rf"{re.escape(bold)}convfilter:{re.escape(plain)} 1 done, 1 failed in \d+\.\d s", summary)
    assert run(["blur", "--color", "sometimes", "--box", "3", "in.png", "out.png"]) == 2


@pytest.mark.parametrize("name", [*COMMANDS, "kernel list", "kernel show", "cache path", "cache warm", "blrr"])
def test_every_command_has_colours(name: str, capfd: pytest.CaptureFixture[str]) -> None:
    """Also if the command line is invalid, for any text after the option."""
    assert run([*name.split(), "--color", "always", "--no-such-option"]) == 2
    assert capfd.readouterr().err.startswith("\x1b[31mconvfilter:\x1b[0m no ")
    assert run([*name.split(), "--no-such-option", "--", "--color=always"]) == 2
    assert capfd.readouterr().err.startswith("convfilter: no ")


def test_colours_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    from convfilter.cli import messages

    class Screen(io.StringIO):
        def isatty(self) -> bool:
            return True

    for environment, coloured in (({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)):
        with monkeypatch.context() as patch:
            patch.setattr(sys, "stderr", Screen())
            patch.setenv("TERM", "xterm")
            patch.delenv("NO_COLOR", raising=False)
            for name, value in environment.items():
                patch.setenv(name, value)
            messages.set_colour("auto")
            assert messages.is_coloured() == coloured
