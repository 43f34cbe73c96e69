"""A short run of ``fuzz.py``: damaged pictures, weights and texts give a result or a one-line error."""

import random
from pathlib import Path

import pytest
from fuzz import mutated, seeds, survives
from fuzz_texts import TARGETS, damaged
from hypothesis import given, settings
from hypothesis import strategies as st

from convfilter.picture import formats


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return seeds(tmp_path_factory.mktemp("seeds"))


def test_seeds_are_pictures(files):
    assert len(files) > 50
    for name, data in files.items():
        assert survives(data, lenient=False), name
    suffixes = {Path(name).suffix for name in files}
    assert all(suffixes & {*row.suffixes, *row.read_suffixes} for row in formats.TABLE)


@given(choice=st.integers(0, 10_000), seed=st.integers(0, 2**32), lenient=st.booleans())
@settings(max_examples=400, deadline=None)
def test_damaged_files_end_well(files, choice, seed, lenient):
    name = sorted(files)[choice % len(files)]
    survives(mutated(files[name], random.Random(seed)), lenient)


@pytest.mark.parametrize("name", TARGETS)
def test_seeds_of_texts_and_weights_are_sound(name: str, tmp_path: Path) -> None:
    for file, data in TARGETS[name].seeds().items():
        assert TARGETS[name].survives(data, tmp_path / file), file


@pytest.mark.parametrize("name", TARGETS)
def test_damaged_texts_and_weights_end_well(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    target, rng = TARGETS[name], random.Random(name)
    files = target.seeds()
    for file in rng.choices(sorted(files), k=400):
        target.survives(damaged(file, files[file], rng), tmp_path / file)
