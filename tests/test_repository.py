"""The files around the code are complete and up to date: templates, hooks, citation, links."""

import re
import tomllib
from pathlib import Path

import pytest

import convfilter
from convfilter.cli import main

ROOT = Path(convfilter.__file__).parents[1]


@pytest.mark.parametrize(
    "name", ["SECURITY.md", "RELEASING.md", "CITATION.cff", "CHANGELOG.md", "LICENSE", ".github/workflows/ci.yml"]
)
def test_the_usual_files_are_there(name):
    assert (ROOT / name).read_text().strip()


def test_the_citation_has_the_version():
    citation = (ROOT / "CITATION.cff").read_text()
    assert re.findall(r"^version: (.*)$", citation, re.MULTILINE) == [convfilter.__version__]


def test_yaml_files_are_yaml():
    yaml = pytest.importorskip("yaml")
    names = [*ROOT.glob(".*.yaml"), *ROOT.glob(".github/**/*.yml"), ROOT / "CITATION.cff"]
    assert len(names) >= 7
    for name in names:
        assert yaml.safe_load(name.read_text())


def test_hosted_ci_runs_the_same_script_with_the_oldest_python():
    yaml = pytest.importorskip("yaml")
    (job,) = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text())["jobs"].values()
    assert {"run": "bash .ci/run"} in job["steps"]
    oldest = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["requires-python"].removeprefix(">=")
    versions = [step["with"]["python-version"] for step in job["steps"] if "python-version" in step.get("with", {})]
    assert oldest in versions[0].split()


def test_the_hook_for_others_is_a_command_that_is_there(tmp_path):
    yaml = pytest.importorskip("yaml")
    (hook,) = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())
    picture = tmp_path / "a.pgm"
    picture.write_bytes(b"P5 2 1 255\n\x01\x02")
    other = tmp_path / "b.pgm"
    other.write_bytes(b"P5 2 1 255\n\x01\xf2")
    program, *words = hook["entry"].split()
    assert program == "convfilter"
    assert main([*words, str(picture), str(picture), "--min-psnr", "50"]) == 0
    assert main([*words, str(picture), str(other), "--min-psnr", "50"]) == 1


def test_hooks_of_developers_are_those_of_the_makefile():
    hooks = (ROOT / ".pre-commit-config.yaml").read_text()
    lint = re.search(r"^lint:.*\n((?:\t.*\n)+)", (ROOT / "Makefile").read_text(), re.MULTILINE)[1]
    for tool in ("ruff check", "ruff format", "mypy"):
        assert f"bin/{tool}" in hooks
        assert f"bin/{tool}" in lint


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", "SECURITY.md", "RELEASING.md", "docs/engine.md"])
def test_files_that_pages_name_are_there(name):
    text = (ROOT / name).read_text()
    named = re.findall(r"`(?:python |bash )?((?:tests|docs|benchmarks|sample_images|convfilter|\.ci)/[\w./]*)`", text)
    named += re.findall(r"`((?:planning|picture|engine|executor|methods|filters|loops|native)/\w[\w/]*\.py)`", text)
    assert named or name == "RELEASING.md"
    for each in named:
        assert (ROOT / each).exists() or (ROOT / "convfilter" / each).exists(), each


def test_tests_replace_no_private_names():
    """Sizes at which work is cut, and files of the system, are public names of their modules for this."""
    private = re.compile(r"""setattr\((?:[^,()]+, "_[a-z]|"convfilter[\w.]*\._[a-z]|[^,()]*\._[A-Z])""", re.IGNORECASE)
    found = {path.name for path in (ROOT / "tests").glob("*.py") if private.search(path.read_text())}
    assert found == set()
