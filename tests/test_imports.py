"""Allowed imports: folders stand on levels, imports point down, and no modules import each other in a circle."""

import ast
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import convfilter

PACKAGE = Path(convfilter.__file__).parent
#: From the bottom up. A folder or module of the package imports itself, and those on lines below it.
LEVELS = [
    "errors record",
    "locks",
    "machine filters sample_types",
    "planning",
    "loops",
    "native",
    "engine",
    "methods",
    "executor",
    "picture",
    "guide_pictures",
    "arrays files images keywords",
    "array_run",
    "api dask_masks layers windows",
    "comparison dask pipeline",
    "report",
    "batch draft precompile",
    "cluster selftest trial",
    "cli",
    "__main__",
]
LEVEL = {name: level for level, names in enumerate(LEVELS) for name in names.split()}


def name_of(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {name_of(path): path for path in PACKAGE.rglob("*.py")}


def imported(path: Path) -> Iterator[str]:
    """Yield the modules of the package that a file imports, also inside functions, but not for type checkers alone."""
    nodes: list[ast.AST] = [ast.parse(path.read_text())]
    while nodes:
        node = nodes.pop()
        if isinstance(node, ast.If) and getattr(node.test, "id", "") == "TYPE_CHECKING":
            nodes += node.orelse
            continue
        nodes += ast.iter_child_nodes(node)
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.split(".")[0] == "convfilter")
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "convfilter":
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield inner if inner in MODULES else str(node.module)


@cache
def all_imports() -> dict[str, set[str]]:
    """Return what each module imports; read when the first test asks, not while tests are collected."""
    return {name: set(imported(path)) - {name, "convfilter"} for name, path in MODULES.items()}


def folder(module: str) -> str:
    return module.split(".")[1]


def test_every_folder_stands_on_a_level():
    assert {folder(name) for name in MODULES if name != "convfilter"} == set(LEVEL)


@pytest.mark.parametrize("name", sorted(LEVEL))
def test_imports_point_down(name):
    upwards = [
        f"{module} imports {other}"
        for module, others in all_imports().items()
        if module != "convfilter" and folder(module) == name
        for other in others
        if folder(other) != name and LEVEL[folder(other)] >= LEVEL[name]
    ]
    assert not upwards


def test_no_modules_import_each_other_in_a_circle():
    try:
        TopologicalSorter(all_imports()).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


def test_imports_inside_functions_are_seen_and_those_of_type_checkers_are_not(tmp_path):
    file = tmp_path / "module.py"
    file.write_text(
        "from typing import TYPE_CHECKING\n"
        "if TYPE_CHECKING:\n    from convfilter import dask\n"
        "def f():\n    from convfilter.engine import node\n    import convfilter.api\n"
    )
    assert set(imported(file)) == {"convfilter.engine.node", "convfilter.api"}
