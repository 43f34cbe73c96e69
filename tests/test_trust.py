"""Untrusted folders: limits on configurations found there, links, pipes and logs."""

from __future__ import annotations

import json
import os
import re
import socket
from pathlib import Path

import click
import numpy as np
import pytest
from PIL import Image
from processes import untimed

import convfilter
from convfilter.cli import config
from convfilter.cli.apply import command as apply
from convfilter.cli.commands import COMMANDS
from convfilter.cli.root import LazyGroup, root, run

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
    "mask": '"../mask.png"',
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
    assert f"{name}: {key} has an effect outside this folder" in said
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
    """A new option is refused in found files until ``_is_harmless`` accepts it."""
    assert isinstance(root, LazyGroup)
    names = set()
    for name in COMMANDS:
        command = root.get_command(click.Context(root), name)
        assert command is not None
        names |= set(config.option_keys(command)) if name in config.FILTER_COMMANDS else set()
    harmless = {key for key in names if config.is_harmless(config.option_keys(apply).get(key) or _filter_option(key))}
    assert names - harmless == set(REACHING)


def _filter_option(key: str) -> click.Option:
    return next(
        config.option_keys(command)[key]
        for name in config.FILTER_COMMANDS
        if (command := root.get_command(click.Context(root), name)) and key in config.option_keys(command)
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
    assert "is not a file below the folder of this configuration" in capfd.readouterr().err
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
        assert run(["blur", "--box", "3", "--overwrite", "in.png", "out.png"]) == 0
        with Image.open("out.png") as image:
            np.testing.assert_array_equal(np.asarray(image), convfilter.box_blur(SAMPLES, 3))
        assert sorted(path.name for path in Path().iterdir()) == ["convfilter.toml", "in.png", "out.png"]


def test_completion_offers_no_names_that_a_shell_would_interpret() -> None:
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
        "a." * 5000 + "b = 1",
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
def test_a_malformed_configuration_is_one_short_line(
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
def test_a_project_without_the_table_is_one_short_line(content: str, capfd: pytest.CaptureFixture[str]) -> None:
    Path("pyproject.toml").write_text(f"{content}\n# tool.convfilter\n")
    assert run(["blur", "--box", "3", "in.png", "out.png"]) == 2
    assert "must be a table, got" in capfd.readouterr().err


# Links and pipes in folders of others -----------------------------------------


UPDATE = ("blur", "--box", "3", "--update", "--into", "out", "in.png")


def planted(kind: str, tmp_path: Path) -> Path:
    """Replace the log by a file that must not be read or written; return the file that must not change."""
    victim = tmp_path / "bashrc"
    victim.write_text("# mine\n" * 40)
    Path("out").mkdir()
    log = Path("out/.convfilter_log")
    if kind == "pipe":
        os.mkfifo(log)
    elif kind == "folder":
        log.mkdir()
    elif kind == "hard link":
        os.link(victim, log)
    else:
        target = {"link": str(victim), "dangling": str(tmp_path / "new"), "device": "/dev/zero"}[kind]
        log.symlink_to(target)
    return victim


@pytest.mark.parametrize("kind", ["link", "dangling", "hard link", "pipe", "device", "folder"])
def test_a_log_that_is_no_regular_file_is_neither_read_nor_written(
    kind: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    victim = planted(kind, tmp_path)
    for _ in range(2):
        assert run([*UPDATE]) == 0
        said = capfd.readouterr().err
        assert "out/.convfilter_log: the log of outputs" in said
        assert untimed(said).endswith("1 done, 0 failed\n")
    assert victim.read_text() == "# mine\n" * 40
    assert not (tmp_path / "new").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="gives a file to another user")
def test_a_log_of_another_user_is_not_read(capfd: pytest.CaptureFixture[str]) -> None:
    assert run([*UPDATE]) == 0
    os.chown("out/.convfilter_log", 12345, 12345)
    assert run([*UPDATE]) == 0
    assert "a regular file of this user" in capfd.readouterr().err


@pytest.mark.parametrize(
    "line",
    [
        '{"output": ' + "[" * 30_000,
        '{"output": ' + "9" * 30_000 + "}",
        '{"output": "in.png"}',
        '{"output": "in.png", "read": {"stamp": 1}}',
        '{"output": ["in.png"], "read": {}}',
        '{"output": "in.png", "input": {}, "read": {"stamp": [1, 2, 3, 4], "seen": "x", "sha256": 5}}',
        "[]",
        "null",
        "1e999",
        "\0\xff",
        "x" * 200_000,
        '{"output": "' + "x" * 200_000 + '"}',
    ],
)
def test_malformed_lines_of_a_log_are_ignored(line: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert run([*UPDATE]) == 0
    log = Path("out/.convfilter_log")
    log.write_bytes(line.encode("latin-1") + b"\n" + log.read_bytes())
    assert run([*UPDATE]) == 0
    assert untimed(capfd.readouterr().err).endswith("1 up to date\n")
    log.write_bytes(log.read_bytes() + b"\n" + line.encode("latin-1") + b"\n")
    assert run([*UPDATE]) == 0
    assert "failed" in capfd.readouterr().err


def test_a_compacted_log_replaces_the_old_one_atomically() -> None:
    assert run([*UPDATE]) == 0
    log = Path("out/.convfilter_log")
    log.write_bytes(log.read_bytes() * 50)
    inode = log.stat().st_ino
    assert run([*UPDATE]) == 0
    assert len(log.read_bytes().splitlines()) < 6
    assert log.stat().st_ino != inode
    assert sorted(path.name for path in Path("out").iterdir()) == [".convfilter_log", "in.png"]


def stray(tmp_path: Path, name: str) -> Path:
    """Create a link with the name of an output that leads to the user's picture elsewhere."""
    mine = tmp_path / "mine.png"
    Image.fromarray(SAMPLES[::-1].copy()).save(mine)
    Path(name).parent.mkdir(parents=True, exist_ok=True)
    Path(name).symlink_to(mine)
    return mine


@pytest.mark.parametrize(
    ("link", "arguments"),
    [
        ("out/in.png", ["in.png", "out/"]),
        ("out/in.png", ["in.png", "out"]),
        ("out/in.png", ["--into", "out", "in.png"]),
        ("out/in.png", [".", "--into", "out"]),
        ("in_soft.png", ["--suffix", "_soft", "in.png"]),
        ("tree/in.png", ["--in-place", "-r", "tree"]),
        ("tree/deep/in.png", ["--in-place", "-r", "tree"]),
    ],
)
def test_outputs_do_not_leave_their_folder_through_links(
    link: str, arguments: list[str], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    mine = stray(tmp_path, link)
    before = mine.read_bytes()
    assert run(["blur", "--box", "3", *arguments]) == 1
    said = capfd.readouterr().err
    assert f"to {mine}" in said
    assert "--follow" in said
    assert mine.read_bytes() == before
    assert run(["blur", "--box", "3", "--follow", *arguments]) == 0
    assert mine.read_bytes() != before
    assert Path(link).is_symlink()


def test_linked_folders_get_no_outputs_without_follow(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    Image.fromarray(SAMPLES).save(mine / "a.png")
    before = (mine / "a.png").read_bytes()
    Path("tree").mkdir()
    Path("tree/deep").symlink_to(mine)
    assert run(["blur", "--box", "3", "--in-place", "-r", "tree"]) == 1
    assert run(["blur", "--box", "3", "--suffix", "_x", "-r", "tree"]) == 1
    assert f"leads out of tree to {mine}/a_x.png; use --follow" in capfd.readouterr().err
    assert [path.name for path in mine.iterdir()] == ["a.png"]
    assert (mine / "a.png").read_bytes() == before
    # Reading through the link is no harm; a link that stays in the tree is none either.
    assert run(["blur", "--box", "3", "-r", "tree", "out"]) == 0
    Path("out/b.png").symlink_to("deep/a.png")
    assert run(["blur", "--box", "3", "--in-place", "out/b.png"]) == 0


@pytest.mark.parametrize("option", ["--html", "--depfile"])
def test_pages_and_rules_do_not_leave_their_folder_through_links(
    option: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    mine = tmp_path / "mine.html"
    mine.write_text("mine")
    Path("page.html").symlink_to(mine)
    arguments = ["blur", "--box", "3", option, "page.html", "in.png", "out.png"]
    assert run(arguments) == 1
    assert f"page.html: it is a link to {mine}, outside its folder; use --follow" in capfd.readouterr().err
    assert mine.read_text() == "mine"
    assert run([*arguments, "--follow"]) == 0
    assert mine.read_text() != "mine"


@pytest.mark.parametrize(
    "arguments",
    [["in.png", "out/"], ["in.png", "--into", "out"], [".", "out"], ["--html", "out/in.html", "in.png", "o.png"]],
)
def test_pipes_named_like_outputs_are_left_alone(arguments: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    Path("out").mkdir()
    os.mkfifo("out/in.png")
    os.mkfifo("out/in.html")
    assert run(["blur", "--box", "3", *arguments]) == 1
    assert "is a pipe or a device; use --follow to write there" in capfd.readouterr().err


def test_pipes_and_devices_among_pictures_are_not_opened(capfd: pytest.CaptureFixture[str]) -> None:
    Path("tree").mkdir()
    os.mkfifo("tree/a.png")
    Path("tree/b.png").symlink_to("/dev/zero")
    Path("tree/c.png").symlink_to("c.png")
    Image.fromarray(SAMPLES).save("tree/d.png")
    for arguments in (["tree", "out"], ["--ext", "png", "tree", "out"], ["--update", "tree", "new/"]):
        assert run(["blur", "--box", "3", *arguments]) == 0
        assert "1 done, 0 failed, 3 skipped" in capfd.readouterr().err


def test_searches_through_links_are_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    from convfilter.batch import inputs

    monkeypatch.setattr(inputs, "MOST_LINKED", 50)
    for level in range(30):
        Path(f"maze/{level}").mkdir(parents=True)
        for name in ("a", "b"):
            Path(f"maze/{level}/{name}").symlink_to(f"../{level + 1}")
    found = inputs.find(["maze"], inputs.Naming("out"), inputs.Search(recursive=True))
    assert "links lead to more than 50 folders" in found.refused[0][1]


def test_the_temporary_file_of_a_private_file_is_private(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from convfilter.picture.place import atomic

    monkeypatch.delattr(os, "O_TMPFILE", raising=False)  # as on file systems that must give it a name
    Path("private.png").write_bytes(b"old")
    os.chmod("private.png", 0o600)
    with atomic.replacing("private.png"):
        (temporary,) = Path().glob(".private.png.*.tmp")
        assert temporary.stat().st_mode & 0o777 == 0o600
    assert Path("private.png").stat().st_mode & 0o777 == 0o600


def test_outputs_inherit_no_special_bits() -> None:
    Path("out.png").write_bytes(b"old")
    os.chmod("out.png", 0o6755)
    assert run(["blur", "--box", "3", "in.png", "out.png"]) == 0
    assert Path("out.png").stat().st_mode & 0o7777 == 0o755


def test_the_threat_model_names_tests_that_there_are() -> None:
    home = Path(__file__).parents[1]
    text = (home / "SECURITY.md").read_text()
    named = re.findall(r"tests/\w+\.py", text)
    assert len(set(named)) >= 12
    for name in named:
        assert (home / name).is_file(), name
    for target in re.findall(r"\]\(([\w./]+)(?:#[\w-]+)?\)", text):
        assert (home / target).is_file(), target
    cluster = (home / "docs/cluster.md").read_text()
    assert "## Whom you trust with a scheduler" in cluster
    for key in REACHING:
        assert f"`{key}`" in (home / "docs/makefiles.md").read_text()
