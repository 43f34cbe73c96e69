"""Calls of Python libraries, parsed as text: nothing of the line is executed."""

from __future__ import annotations

import ast
from collections.abc import Callable
from importlib import import_module
from typing import Any

from convfilter.cli.translation.translation import (
    LARGEST_NUMBER,
    LIBRARIES,
    Matrix,
    Translation,
    ones,
    require_small,
    round_footprint,
    unknown,
)
from convfilter.errors import UsageError, shown

#: The module of translations for each prefix of the function's name.
_LIBRARIES = {
    "ndimage": "ndimage", "ndi": "ndimage", "cv2": "opencv", "cv": "opencv", "filters": "skimage", "feature": "skimage",
    "morphology": "skimage", "restoration": "skimage", "skimage": "skimage", "nn": "torch", "F": "torch",
    "functional": "torch", "ImageFilter": "pillow",
}  # fmt: skip
_MODULES = ("ndimage", "opencv", "skimage", "torch", "pillow")
#: Names that stand before those of :data:`_LIBRARIES`: of packages, and of packages with the same functions.
_PACKAGES = ("scipy", "sp", "cupyx", "ski", "sk", "cucim", "torch", "th", "PIL")


class Arguments:
    """The arguments of a call by name; an argument that no translation reads is an error at the end."""

    def __init__(self, function: str, values: dict[str, Any]) -> None:
        self.function, self._values = function, values
        self.is_of_colours = False

    def take(self, name: str, default: Any = None) -> Any:
        """Return an argument without conversion."""
        return self._values.pop(name, default)

    def number(self, name: str, default: float | None = None) -> float:
        """Return a number."""
        value = self._values.pop(name, default)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self._wrong(name, value, "a number")
        return value

    def number_or(self, name: str, default: float) -> float:
        """Return a number, or ``default`` if the argument is missing or None."""
        if not self.has(name):
            self._values[name] = default
        return self.number(name)

    def pair(self, name: str, default: float | None = None, flat: float | None = None) -> tuple[float, float]:
        """Return a pair from one number or two; a third is for channels, and must be ``flat``, without effect."""
        value = self._values.pop(name, default)
        both = value if isinstance(value, list | tuple) else (value, value)
        if len(both) == 3 and flat is not None and both[2] == flat:
            self.is_of_colours, both = True, both[:2]
        if len(both) != 2 or not all(isinstance(each, int | float) for each in both):
            raise self._wrong(name, value, "a number or two")
        return both[0], both[1]

    def matrix(self, name: str) -> Matrix:
        """Return rows of numbers; a flat list is one row."""
        value = self._values.pop(name, None)
        rows = (
            [value] if isinstance(value, list | tuple) and value and not isinstance(value[0], list | tuple) else value
        )
        if not isinstance(rows, list | tuple) or not rows:
            wrong = self._wrong(name, value, "a list of rows")
            raise UsageError(f"{wrong}; SPECs such as kernel:FILE.npy take it from a file")
        cols = len(rows[0]) if isinstance(rows[0], list | tuple) else 0
        for row in rows:
            if not isinstance(row, list | tuple) or len(row) != cols:
                raise self._wrong(name, value, "rows of one length")
            if not all(isinstance(cell, int | float) for cell in row):
                raise self._wrong(name, value, "rows of numbers")
        require_small(len(rows), cols)
        return rows

    def only(self, name: str, *allowed: Any) -> None:
        """Refuse an argument with any value except those without effect."""
        value = self._values.pop(name, allowed[0] if allowed else None)
        if value not in (allowed or (None,)):
            raise unknown(f"{self.function}({name}={value})")

    def has(self, name: str) -> bool:
        """Whether an argument is given; None counts as not given, and is dropped."""
        if self._values.get(name) is None:
            self._values.pop(name, None)
        return name in self._values

    def finish(self) -> None:
        """Refuse arguments that nothing has read."""
        if self._values:
            raise unknown(f"{self.function}({next(iter(self._values))}=...)")

    def _wrong(self, name: str, value: Any, wanted: str) -> UsageError:
        return UsageError(
            f"{name} must be {wanted} in the line, got {shown(str('nothing' if value is None else value)[:99])}"
        )


#: Names of a function's arguments in their order, and the function that translates a call.
Call = tuple[str, Callable[[Arguments, Translation], None]]


def translated(line: str) -> Translation:
    """Translate one call.

    Raises
    ------
    UsageError
        Not a call, an unknown function, or an argument without an exact equivalent.
    """
    try:
        body = ast.parse(line).body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise UsageError(f"this is not a Python call: {shown(line)}") from error
    call = getattr(body[0], "value", None) if len(body) == 1 else None
    if not isinstance(call, ast.Call):
        raise UsageError(f"one call is needed, got {shown(line)}")
    result = Translation()
    translate(call, result)
    if not result.specs:
        raise UsageError(f"no filter was found in {shown(line)}")
    return result


def translate(call: ast.Call, result: Translation) -> None:
    """Add the filters of a call, after those of calls inside it; nn.Sequential adds its modules in order."""
    if isinstance(call.func, ast.Attribute) and call.func.attr == "filter":
        _input(call.func.value, result)
        _of_pillow(call, result)
        return
    called = ast.unparse(call.func)
    *before, name = called.split(".")
    if name == "Sequential":
        for each in call.args:
            if not isinstance(each, ast.Call):
                raise unknown(ast.unparse(each), "the modules of Sequential must be calls")
            translate(each, result)
        return
    order, translation = _known(called, name, before)
    names = order.split()
    if len(call.args) > len(names):
        raise unknown(ast.unparse(call.args[len(names)]))
    values: dict[str, Any] = {}
    for key, node in _arguments(call, names):
        if key not in names:
            raise unknown(f"{name}({key}=...)")
        if key in ("input", "src", "image"):
            _input(node, result)
        else:
            values[key] = _plain(_value(node), node)
    arguments = Arguments(name, values)
    is_nested, options = bool(result.specs), dict(result.options)
    translation(arguments, result)
    arguments.finish()
    edge = {"--padding-mode": "edge"}
    if is_nested and edge | result.options != edge | options:
        raise unknown(f"{called}()", "its borders are not those of the call before it; translate the calls one by one")


def _of_pillow(call: ast.Call, result: Translation) -> None:
    """Add the filter that is the argument of ``Image.filter``: a call, or the name of a filter without arguments."""
    node = call.args[0] if len(call.args) == 1 and not call.keywords else None
    made = ast.Call(node, [], []) if isinstance(node, ast.Name | ast.Attribute) else node
    if not isinstance(made, ast.Call):
        raise unknown(f"{ast.unparse(call)}", "filter() has one argument, a filter of Pillow such as ImageFilter.BLUR")
    if isinstance(made.func, ast.Name):
        made.func = ast.Attribute(ast.Name("ImageFilter"), made.func.id)
    translate(made, result)


def _arguments(call: ast.Call, names: list[str]) -> list[tuple[str, ast.expr]]:
    """Return the arguments of a call with their names; refuse those that the line does not spell out."""
    for each in (*call.args, *call.keywords):
        if isinstance(each, ast.Starred) or (isinstance(each, ast.keyword) and each.arg is None):
            raise unknown(ast.unparse(each), "write its values into the line")
    named = [*zip(names, call.args, strict=False), *((str(each.arg), each.value) for each in call.keywords)]
    keys = [key for key, _ in named]
    twice = next((key for key in keys if keys.count(key) > 1), None)
    if twice is not None:
        raise UsageError(f"{twice} is given twice")
    return named


def _input(node: ast.expr, result: Translation) -> None:
    """Accept the name of a picture, a call that reads or converts one, or another call, which is translated first."""
    if isinstance(node, ast.Call):
        name = ast.unparse(node.func).rpartition(".")[2]
        if name in ("astype", "copy") and isinstance(node.func, ast.Attribute):
            _input(node.func.value, result)
        elif name not in ("imread", "open", "asarray", "array", "float32", "float64", "img_as_float"):
            translate(node, result)
    elif not isinstance(node, ast.Name | ast.Attribute):
        raise unknown(ast.unparse(node), "the input must be the name of a picture, or a call with a translation")


def _known(called: str, name: str, before: list[str]) -> Call:
    """Find a function in the library that the names before it state, or in the only library that has it.

    The first known name decides: ``scipy.ndimage.filters``, as SciPy had it, is not ``skimage.filters``. Names of other
    packages are refused, since ``tf.nn.leaky_relu`` and ``kornia.filters.sobel`` are other functions.
    """
    library = next((_LIBRARIES[each] for each in before if each in _LIBRARIES), "")
    if before and (not library or any(each not in _LIBRARIES and each not in _PACKAGES for each in before)):
        raise unknown(f"{called}()", f"only calls of {LIBRARIES} have one")
    modules = [library] if library else _MODULES
    tables: dict[str, dict[str, Call]] = {
        module: import_module(f"convfilter.cli.translation.{module}").CALLS for module in modules
    }
    having = [module for module, table in tables.items() if name in table]
    if len(having) > 1:
        raise unknown(f"{called}()", f"{' and '.join(having)} have it; write the library before it, as ndimage.{name}")
    if not having:
        names = (
            ", ".join(name for table in tables.values() for name in table) if library else "ndimage.sobel and others"
        )
        raise unknown(f"{called}()", f"the functions that have one are {names}")
    return tables[having[0]][name]


def _value(node: ast.expr) -> Any:
    """Return a number, a list of numbers, or a name as text; arithmetic and arrays are evaluated."""
    match node:
        case ast.Constant():
            return node.value
        case ast.List() | ast.Tuple():
            return [_value(each) for each in node.elts]
        case ast.UnaryOp(op=ast.USub()):
            return _each(_value(node.operand), lambda x: -x, node)
        case ast.BinOp():
            return _arithmetic(node)
        case ast.Call():
            return _array(node)
        case _:
            return ast.unparse(node).rpartition(".")[2]


def _plain(value: Any, node: ast.expr) -> Any:
    """Return a value of finite numbers, texts and lists of these; refuse others."""
    for each in value if isinstance(value, list) else ():
        _plain(each, node)
    is_large = isinstance(value, int | float) and not abs(value) <= LARGEST_NUMBER
    if is_large or not isinstance(value, int | float | str | list | None):
        raise unknown(ast.unparse(node), f"it must be a number up to {LARGEST_NUMBER:g}, a text or a list of these")
    return value


def _is_list(node: ast.expr) -> bool:
    """Whether a value is a list or a tuple of Python, which ``+`` and ``*`` make longer."""
    if isinstance(node, ast.BinOp):
        return _is_list(node.left) or _is_list(node.right)
    return isinstance(node, ast.List | ast.Tuple)


def _longer(node: ast.BinOp, left: Any, right: Any) -> list[Any]:
    """Return two lists as one, or a list several times."""
    match node.op, left, right:
        case ast.Add(), list(), list():
            require_small(1, len(left) + len(right))
            return left + right
        case (ast.Mult(), list() as cells, int() as times) | (ast.Mult(), int() as times, list() as cells):
            require_small(len(cells), times)
            return cells * times
    raise unknown(ast.unparse(node), "it is no arithmetic of lists; np.array makes an array of a list")


def _arithmetic(node: ast.BinOp) -> Any:
    left, right = _value(node.left), _value(node.right)
    if _is_list(node):
        return _longer(node, left, right)
    numbers = [isinstance(each, int | float) for each in (left, right)]
    try:
        match node.op:
            case ast.Div() if numbers[1]:
                return _each(left, lambda x: x / right, node)
            case ast.Mult() if numbers[1]:
                return _each(left, lambda x: x * right, node)
            case ast.Mult() if numbers[0]:
                return _each(right, lambda x: left * x, node)
            case ast.Add() if all(numbers):
                return left + right
            case ast.Sub() if all(numbers):
                return left - right
    except (ZeroDivisionError, OverflowError) as error:
        raise unknown(ast.unparse(node), str(error)) from error
    raise unknown(ast.unparse(node))


def _each(value: Any, of: Callable[[float], float], node: ast.expr) -> Any:
    if isinstance(value, list):
        return [_each(each, of, node) for each in value]
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise unknown(ast.unparse(node))
    return of(value)


def _array(node: ast.Call) -> Any:
    """Return the rows of an array, or the cells of a footprint, that a call in the line makes."""
    name = ast.unparse(node.func).rpartition(".")[2]
    named = [each.value for each in node.keywords if each.arg in ("shape", "ksize")]
    values = [_value(each) for each in (*node.args, *named)]
    match name, values:
        case (("array" | "asarray" | "float32" | "float64" | "tensor"), [rows, *_]):
            return rows
        case (("ones" | "footprint_rectangle"), [[int(rows), int(cols)], *_]):
            return ones(rows, cols)
        case "getStructuringElement", ["MORPH_RECT", [int(cols), int(rows)]]:
            return ones(rows, cols)
        case "getStructuringElement", ["MORPH_CROSS", [int(cols), int(rows)]] if cols % 2 and rows % 2:
            require_small(rows, cols)
            return [[float(x == cols // 2 or y == rows // 2) for x in range(cols)] for y in range(rows)]
        case "getStructuringElement", ["MORPH_ELLIPSE", [int(cols), int(rows)]]:
            return _ellipse(rows, cols)
        case "generate_binary_structure", [2, (1 | 2) as connectivity]:
            return round_footprint("diamond", 1) if connectivity == 1 else ones(3, 3)
        case (("disk" | "diamond"), [int(radius), *_]) if not node.keywords:
            return round_footprint(name, radius)
        case "square", [int(side), *_]:
            return ones(side, side)
    raise unknown(ast.unparse(node))


def _ellipse(rows: int, cols: int) -> list[list[float]]:
    """Return the cells of an ellipse as OpenCV draws it."""
    require_small(rows, cols)
    radius, reach = rows // 2, cols // 2
    cells = []
    for row in range(rows):
        down = row - radius
        across = round(reach * (radius**2 - down**2) ** 0.5 / radius) if radius and abs(down) <= radius else -1
        across = reach if not radius else across
        cells.append([float(abs(col - reach) <= across) for col in range(cols)])
    return cells
