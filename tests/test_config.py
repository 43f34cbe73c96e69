"""Defaults and pipelines from a file: its place, the precedence of the command line, and misspelt keys."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import convfilter
from convfilter.cli.root import run

SAMPLES = np.random.default_rng(1).integers(0, 256, (12, 16, 3), np.uint8)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Image.fromarray(SAMPLES).save("in.png")
    return tmp_path


def made(*arguments: str) -> np.ndarray:
    assert run([*arguments, "in.png", "out.png"]) == 0
    with Image.open("out.png") as image:
        return np.asarray(image)


def test_defaults_hold_and_the_command_line_wins() -> None:
    Path("convfilter.toml").write_text('stride = 2\ngray = true\n[blur]\npadding-mode = "wrap"\nstride = "2x1"\n')
    wrapped = convfilter.apply(SAMPLES, "box:3,padding_mode=wrap,stride=2x1", gray=True)
    assert np.array_equal(made("blur", "--box", "3"), wrapped)
    edge = convfilter.apply(SAMPLES, "box:3,padding_mode=edge,stride=3", gray=True)
    assert np.array_equal(made("blur", "--box", "3", "--stride", "3", "--padding-mode", "edge"), edge)
    sobel = convfilter.apply(SAMPLES, "sobel:x,stride=2", gray=True)
    assert np.array_equal(made("edges", "--sobel", "x"), sobel)
    assert np.array_equal(made("blur", "--box", "3", "--no-config"), convfilter.box_blur(SAMPLES, 3))


def test_where_the_file_is_looked_for(folder: Path) -> None:
    Path("pyproject.toml").write_text("[tool.convfilter]\nstride = 2\n")
    assert made("blur", "--box", "3").shape == (6, 8, 3)
    Path("convfilter.toml").write_text("stride = 3\n")
    assert made("blur", "--box", "3").shape == (4, 6, 3)
    (folder / "other.toml").write_text("stride = 4\n")
    assert made("blur", "--box", "3", "--config", "other.toml").shape == (3, 4, 3)
    assert made("blur", "--config", "pyproject.toml", "--box", "3").shape == (6, 8, 3)
    Path("convfilter.toml").unlink()
    Path("pyproject.toml").write_text('[project]\nname = "else"\n')
    assert made("blur", "--box", "3").shape == SAMPLES.shape


def test_a_parameter_of_the_only_filter_has_a_default() -> None:
    Path("convfilter.toml").write_text("[sharpen]\namount = 2.5\n")
    assert np.array_equal(made("sharpen"), convfilter.apply(SAMPLES, "unsharp:amount=2.5"))


def test_pipelines_have_names() -> None:
    Path("convfilter.toml").write_text('[pipelines]\nthumbnail = ["gaussian:1.5", "avgpool:4"]\n')
    assert np.array_equal(made("apply", "@thumbnail"), convfilter.apply(SAMPLES, "gaussian:1.5", "avgpool:4"))


def test_options_for_many_files_have_defaults(capfd: pytest.CaptureFixture[str]) -> None:
    Path("convfilter.toml").write_text('quiet = true\njobs = 1\nexclude = ["b*"]\next = "bmp"\n')
    for name in ("photos/a.png", "photos/b.png"):
        Path("photos").mkdir(exist_ok=True)
        Image.fromarray(SAMPLES).save(name)
    assert run(["blur", "--box", "3", "photos", "out"]) == 0
    assert sorted(path.name for path in Path("out").iterdir()) == [".convfilter_log", "a.bmp"]
    assert "done" not in capfd.readouterr().err


def test_the_depfile_names_the_configuration() -> None:
    Path("convfilter.toml").write_text("quiet = true\n")
    assert run(["blur", "--box", "3", "--depfile", "deps.mk", "in.png", "out.png"]) == 0
    assert Path("deps.mk").read_text().startswith("out.png: in.png convfilter.toml\n")


@pytest.mark.parametrize("command", ["rank --median", "morph --dilate"])
def test_windows_have_tables_of_their_own(command: str) -> None:
    name = command.split(maxsplit=1)[0]
    Path("convfilter.toml").write_text(f"[{name}]\nstride = 2\n")
    assert run([*command.split(), "3", "in.png", "out.png"]) == 0
    with Image.open("in.png") as before, Image.open("out.png") as after:
        assert after.size == tuple(-(-side // 2) for side in before.size)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("strid = 2\n", "convfilter.toml: unknown key 'strid'; did you mean stride? the known keys are "),
        ("[blr]\n", "convfilter.toml: unknown table 'blr'; did you mean blur?"),
        ("[blur]\ngaussian = 3\n", "convfilter.toml: [blur]: unknown key 'gaussian'"),
        ("in-place = true\n", "convfilter.toml: unknown key 'in-place'"),
        ("gray = 1\n", "convfilter.toml: gray must be true or false, got 1"),
        ("quality = true\n", "convfilter.toml: quality must be a text or a number, got True"),
        ('exclude = "a"\n', "convfilter.toml: exclude must be a list of texts, got 'a'"),
        ("quality = 101\n", "convfilter.toml: quality must be at most 100, got 101"),
        ("stride = 0\n", "convfilter.toml: stride must be at least 1, got 0"),
        ("algorithm = 'best'\n", "convfilter.toml: algorithm must be one of direct, "),
        ("stride = \n", "convfilter.toml: this is not TOML: "),
        ("[pipelines]\na = 'box:3'\n", "convfilter.toml: pipeline a must be a list of filters, got 'box:3'"),
        ("pipelines = 1\n", "convfilter.toml: pipelines must be a table of lists"),
    ],
)
def test_mistakes_are_one_line(capfd: pytest.CaptureFixture[str], text: str, message: str) -> None:
    Path("convfilter.toml").write_text(text)
    assert run(["blur", "--box", "3", "in.png", "out.png"]) == 2
    said = capfd.readouterr().err
    assert message in said
    assert said.count("\n") == 1
    assert not Path("out.png").exists()


def test_errors_name_the_option_or_the_file_of_defaults(capfd: pytest.CaptureFixture[str]) -> None:
    Path("convfilter.toml").write_text("stride = 2\n[sharpen]\namount = 'much'\n")
    assert run(["sharpen", "in.png", "out.png"]) == 2
    assert capfd.readouterr().err.startswith("convfilter: convfilter.toml: unsharp amount must be a number")
    assert run(["sharpen", "--amount", "1", "--stride", "0", "in.png", "out.png"]) == 2
    assert capfd.readouterr().err.startswith("convfilter: --stride: stride must be at least 1")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            "apply @thumbnail in.png out.png",
            "@thumbnail: pipelines are defined in convfilter.toml, and this folder has none",
        ),
        ("apply --config some.toml @smal in.png out.png", "@smal: some.toml: unknown pipeline 'smal'"),
        ("blur --config none.toml --box 3 in.png out.png", "none.toml: the configuration cannot be read: no such file"),
        ("apply in.png out.png", "a filter is needed: -f SPEC, or the @NAME of a pipeline"),
        ("plan gaussian:4 --size 8", "or the @NAME of a pipeline; did you mean -f 'gaussian:4'?"),
    ],
)  # fmt: skip
def test_missing_pipelines_and_files_fail_with_one_line(
    capfd: pytest.CaptureFixture[str], arguments: str, message: str
) -> None:
    Path("some.toml").write_text('[pipelines]\nsmall = ["box:3"]\n')
    assert run(arguments.split()) == 2
    said = capfd.readouterr().err
    assert message in said
    assert said.count("\n") == 1
