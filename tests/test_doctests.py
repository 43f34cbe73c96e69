import doctest
from importlib import import_module
from pkgutil import walk_packages

import pytest

import convfilter

MODULES = [
    module.name for module in walk_packages(convfilter.__path__, "convfilter.") if not module.name.endswith("__main__")
]


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings_give_what_they_say(name):
    if name == "convfilter.dask":
        pytest.importorskip("dask.array")
    assert doctest.testmod(import_module(name)).failed == 0


def test_the_functions_on_arrays_have_examples():
    homes = [import_module(f"convfilter.{name}") for name in ("api", "layers", "windows")]
    assert sum(doctest.testmod(home).attempted for home in homes) > 20
