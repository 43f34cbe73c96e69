"""A short run of ``fuzz.py``: damaged pictures, weights and texts give a result or a one-line error."""

import io
import random
from pathlib import Path

import pytest
from fuzz import MAX_PIXELS, mutated, seeds, survives
from fuzz_texts import TARGETS, damaged
from hypothesis import given, settings
from hypothesis import strategies as st

from convfilter.errors import ConvfilterError
from convfilter.picture import formats
from convfilter.picture.read import ReadOptions, read


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


def test_the_advice_about_damage_works(files):
    """Each option that an error advises is followed: cuts within heads, tables and samples, and flipped bits."""
    rng, followed, in_vain = random.Random(3), set(), []
    for name, data in sorted(files.items()):
        ends = {*rng.sample(range(1, 120), 12), *(len(data) * part // 20 for part in range(1, 20)), len(data) - 1}
        damages = [data[:end] for end in sorted(ends)] + [mutated(data, rng) for _ in range(12)]
        for number, damage in enumerate(damages):
            advice = advised(damage)
            for option, value in (("lenient", True), ("allow_loss", True), ("frame", 0)):
                if f"{{{option}" in advice:
                    followed.add((option, Path(name).suffix))
                    if advised(damage, **{option: value}):
                        in_vain.append((name, number, option))
    assert not in_vain
    assert {(option, suffix) for option, suffix in followed if option == "lenient"} >= {
        ("lenient", suffix) for suffix in (".png", ".jpg", ".tif", ".webp", ".gif", ".ppm", ".psd", ".sgi", ".dcx")
    }


def advised(data, **options):
    """Return the remedy of the error that a file causes; a text without options for other errors, "" for none."""
    try:
        read(io.BytesIO(data), ReadOptions(max_pixels=MAX_PIXELS, **options))
    except ConvfilterError as error:
        return error.remedy or "nothing"
    return ""


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
