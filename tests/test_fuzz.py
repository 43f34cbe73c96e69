"""A taste of ``fuzz.py``: damaged files of every format are pictures or one-line errors."""

import random

import pytest
from fuzz import mutated, seeds, survives
from hypothesis import given, settings
from hypothesis import strategies as st


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return seeds(tmp_path_factory.mktemp("seeds"))


def test_seeds_are_pictures(files):
    assert len(files) > 50
    for name, data in files.items():
        assert survives(data, lenient=False), name


@given(choice=st.integers(0, 10_000), seed=st.integers(0, 2**32), lenient=st.booleans())
@settings(max_examples=1500, deadline=None)
def test_damaged_files_end_well(files, choice, seed, lenient):
    name = sorted(files)[choice % len(files)]
    survives(mutated(files[name], random.Random(seed)), lenient)
