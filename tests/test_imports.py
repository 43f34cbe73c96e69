"""Allowed imports: folders stand on levels, imports point down, and no modules import each other in a circle."""

import ast
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from importlib.util import resolve_name
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


def imported(path: Path, package: str = "convfilter") -> Iterator[str]:
    """Yield the modules of the package that a file imports, also inside functions, but not for type checkers alone.

    Relative imports begin in ``package``, the file's. A public name of convfilter counts as an import of the API, which
    it loads; of a name that is put together at run time the package counts, unless it is the file's.
    """
    nodes: list[ast.AST] = [ast.parse(path.read_text())]
    while nodes:
        node = nodes.pop()
        if isinstance(node, ast.If) and getattr(node.test, "id", "") == "TYPE_CHECKING":
            nodes += node.orelse
            continue
        nodes += ast.iter_child_nodes(node)
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            module = resolve_name("." * node.level + (node.module or ""), package) if node.level else str(node.module)
            names = [f"{module}.{alias.name}" for alias in node.names]
            names = [name if name in MODULES or module == "convfilter" else module for name in names]
        elif isinstance(node, ast.Call) and getattr(node.func, "id", getattr(node.func, "attr", "")) == "import_module":
            names = [name for name in [prefix_of(node.args[0])] if not f"{package}.".startswith(f"{name}.")]
        else:
            continue
        for name in names:
            if name.split(".")[0] == "convfilter" and name != "convfilter.__version__":
                yield name if name in MODULES and name != "convfilter" else "convfilter.api"


def prefix_of(name: ast.expr) -> str:
    """Return the name in a call of ``import_module``, as far as the code has it; the rest lies in that package."""
    text = name.values[0] if isinstance(name, ast.JoinedStr) else name
    value = text.value if isinstance(text, ast.Constant) else ""
    return str(value).rstrip(".")


@cache
def all_imports() -> dict[str, set[str]]:
    """Return what each module imports; read when the first test asks, not while tests are collected."""
    return {name: set(imported(path, package_of(name))) - {name} for name, path in MODULES.items()}


def package_of(module: str) -> str:
    """Return the package in which a module lies; a package is its own."""
    return module if MODULES[module].name == "__init__.py" else module.rpartition(".")[0]


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


@pytest.mark.parametrize(
    ("code", "modules"),
    [
        ("if TYPE_CHECKING:\n    from convfilter import dask", set()),
        ("def f():\n    from convfilter.engine import node", {"convfilter.engine.node"}),
        ("def f():\n    import convfilter.executor.run", {"convfilter.executor.run"}),
        ("from ..executor import run", {"convfilter.executor.run"}),
        ("from . import node", {"convfilter.engine.node"}),
        ("from .node import Node", {"convfilter.engine.node"}),
        ("import convfilter", {"convfilter.api"}),
        ("from convfilter import box_blur, __version__", {"convfilter.api"}),
        ("from importlib import import_module\nimport_module('convfilter.pipeline')", {"convfilter.pipeline"}),
        ("import importlib\nimportlib.import_module(f'convfilter.loops.{name}')", {"convfilter.loops"}),
        ("import numpy as np\nfrom click import command", set()),
    ],
)
def test_every_way_to_import_is_seen(code, modules, tmp_path):
    file = tmp_path / "module.py"
    file.write_text(code)
    assert set(imported(file, "convfilter.engine")) == modules
