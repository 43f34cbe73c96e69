"""What files in a folder of somebody else's must not do: a configuration that is found there, links, pipes, logs."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path

import click
import numpy as np
import pytest
from PIL import Image

import convfilter
from convfilter.cli import config
from convfilter.cli.apply import command as apply
from convfilter.cli.root import COMMANDS, LazyGroup, root, run

SAMPLES = np.random.default_rng(3).integers(0, 256, (9, 11, 3), np.uint8)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    here = tmp_path / "theirs"
    here.mkdir()
    monkeypatch.chdir(here)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    Image.fromarray(SAMPLES).save("in.png")
    return here


#: Keys that name a place, connect to another machine or lift a limit.
REACHING = {
    "dask": '"tcp://127.0.0.1:1"',
    "html": '"../page.html"',
    "into": '"../outside"',
    "max-pixels": "1e12",
    "lenient": "true",
    "allow-loss": "true",
}


@pytest.mark.parametrize("key", REACHING)
@pytest.mark.parametrize("name", ["convfilter.toml", "pyproject.toml"])
@pytest.mark.parametrize("table", ["", "blur"])
def test_a_configuration_that_is_found_does_not_reach_out(
    key: str, name: str, table: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    project = "tool.convfilter" if name == "pyproject.toml" else ""
    header = ".".join(filter(None, (project, table)))
    Path(name).write_text(f"[{header}]\n{key} = {REACHING[key]}\n" if header else f"{key} = {REACHING[key]}\n")
    assert run(["blur", "--box", "3", "in.png", "out.png"]) == 2
    said = capfd.readouterr().err
    assert f"{name}: {key} reaches beyond this folder" in said
    assert "--config" in said
    assert str(tmp_path / "config" / "convfilter" / "convfilter.toml") in said
    assert sorted(path.name for path in tmp_path.iterdir()) == ["theirs"]
    assert not Path("out.png").exists()


def test_no_connection_is_made_for_a_configuration_that_is_found() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        Path("convfilter.toml").write_text(f'dask = "tcp://127.0.0.1:{server.getsockname()[1]}"\n')
        assert run(["blur", "--box", "3", "in.png", "out.png"]) == 2
        with pytest.raises(BlockingIOError):
            server.accept()


def test_the_same_keys_hold_where_the_user_has_put_them(tmp_path: Path) -> None:
    Path("mine.toml").write_text('into = "chosen"\n')
    assert run(["blur", "--box", "3", "--config", "mine.toml", "in.png"]) == 0
    assert Path("chosen/in.png").exists()
    own = tmp_path / "config" / "convfilter" / "convfilter.toml"
    own.parent.mkdir(parents=True)
    own.write_text('into = "own"\nmax-pixels = 10\n')
    assert run(["blur", "--box", "3", "in.png"]) == 1
    own.write_text('into = "own"\n')
    assert run(["blur", "--box", "3", "in.png"]) == 0
    assert Path("own/in.png").exists()
    Path("convfilter.toml").write_text("stride = 2\n")  # the first file that is there counts, alone
    assert run(["blur", "--box", "3", "in.png", "out.png"]) == 0
    with Image.open("out.png") as image:
        assert image.size == (6, 5)


def test_every_option_is_known_to_be_harmless_or_not() -> None:
    """An option that is new is refused in found files until somebody has judged it."""
    assert isinstance(root, LazyGroup)
    names = set()
    for name in COMMANDS:
        command = root.get_command(click.Context(root), name)
        assert command is not None
        names |= set(config._keys(command)) if name in config._FILTER_COMMANDS else set()
    harmless = {key for key in names if config._is_harmless(config._keys(apply).get(key) or _filter_option(key))}
    assert names - harmless == set(REACHING)


def _filter_option(key: str) -> click.Option:
    return next(
        config._keys(command)[key]
        for name in config._FILTER_COMMANDS
        if (command := root.get_command(click.Context(root), name)) and key in config._keys(command)
    )


@pytest.mark.parametrize("kind", ["kernel", "layer"])
@pytest.mark.parametrize("place", ["above", "absolute", "link", "pipe", "folder", "device"])
def test_pipelines_of_a_found_configuration_read_below_its_folder(
    kind: str, place: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    secret = tmp_path / "secret.npy"
    np.save(secret, np.ones((1, 1)) if kind == "kernel" else np.ones((3, 3, 1, 1)))
    Path("link.npy").symlink_to(secret)
    os.mkfifo("pipe.npy")
    Path("folder.npy").mkdir()
    name = {
        "above": "../secret.npy",
        "absolute": str(secret),
        "link": "link.npy",
        "pipe": "pipe.npy",
        "folder": "folder.npy",
        "device": "/dev/zero",
    }[place]
    Path("convfilter.toml").write_text(f'[pipelines]\nx = ["box:3", "{kind}:{name}"]\n')
    assert run(["apply", "@x", "in.png", "out.png"]) == 2
    assert "is no file below the folder of the configuration" in capfd.readouterr().err
    if place in ("above", "absolute", "link"):  # named by the user, it is read
        assert run(["apply", "@x", "--config", "convfilter.toml", "in.png", "out.png"]) == 0
        assert run(["apply", "-f", f"{kind}:{name}", "in.png", "out.png"]) == 0


def test_pipelines_of_a_found_configuration_read_files_and_weights_of_their_own(tmp_path: Path) -> None:
    Path("deep").mkdir()
    Path("deep/k.txt").write_text("0 0 1\n")
    Path("convfilter.toml").write_text('[pipelines]\nx = ["kernel:deep/k.txt", "kernel:1 0 0"]\n')
    assert run(["apply", "@x", "in.png", "out.png"]) == 0
    with Image.open("out.png") as image:
        expected = convfilter.apply(SAMPLES, "kernel:0 0 1", "kernel:1 0 0")
        np.testing.assert_array_equal(np.asarray(image), expected)


def test_a_found_configuration_does_not_turn_an_output_into_an_input() -> None:
    Image.fromarray(SAMPLES[::-1].copy()).save("out.png")
    for text in ('ext = "bmp"\n', 'suffix = "_x"\n'):
        Path("convfilter.toml").write_text(text)
        assert run(["blur", "--box", "3", "in.png", "out.png"]) == 0
        with Image.open("out.png") as image:
            np.testing.assert_array_equal(np.asarray(image), convfilter.box_blur(SAMPLES, 3))
        assert sorted(path.name for path in Path().iterdir()) == ["convfilter.toml", "in.png", "out.png"]


def test_a_shell_is_not_offered_names_that_mean_something_to_it() -> None:
    names = ("fine", "fine-2.0", "$(id)", "a;b", "x`id`", "two words", "\x1b[31m")
    keys = (json.dumps(name) for name in names)
    Path("convfilter.toml").write_text("[pipelines]\n" + "".join(f"{key} = ['box:3']\n" for key in keys))
    assert config.pipelines() == ["fine", "fine-2.0"]


@pytest.mark.parametrize(
    "content",
    [
        "a = " + "[" * 50_000,
        "a = " + "9" * 100_000,
        "a = 1e" + "9" * 5000,
        "a." * 20_000 + "b = 1",
        "a = 1\0",
        'stride = "' + "9" * 5000 + '"',
        "k" * 5000 + " = 1",
        "stride = " + str([[1] * 50] * 50),
        "[" + "t" * 5000 + "]",
        "stride = {" + ", ".join(f"a{i} = {i}" for i in range(500)) + "}",
        "[pipelines]\n" + "p" * 5000 + " = 1",
        "#" + " " * (1 << 20),
    ],
)
@pytest.mark.parametrize("name", ["convfilter.toml", "pyproject.toml"])
def test_a_configuration_that_makes_no_sense_is_one_short_line(
    content: str, name: str, capfd: pytest.CaptureFixture[str]
) -> None:
    if name == "pyproject.toml":
        content = content.replace("[", "[tool.convfilter.", 1) if content.startswith("[") else content
        content = f"[tool.convfilter]\n{content}"
    Path(name).write_text(content)
    assert run(["blur", "--box", "3", "in.png", "out.png"]) == 2
    said = capfd.readouterr().err
    assert said.startswith(f"convfilter: {name}: ")
    assert said.count("\n") == 1
    assert len(said) < 1200
    assert "internal error" not in said


@pytest.mark.parametrize("content", ["tool = 1", "[tool]\nconvfilter = 2", "[[tool]]\n[[tool.convfilter]]\n"])
def test_a_project_without_such_a_table_is_one_short_line(content: str, capfd: pytest.CaptureFixture[str]) -> None:
    Path("pyproject.toml").write_text(f"{content}\n# tool.convfilter\n")
    assert run(["blur", "--box", "3", "in.png", "out.png"]) == 2
    assert "must be a table, got" in capfd.readouterr().err
