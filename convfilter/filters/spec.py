"""Parse the text of a filter, such as ``"gaussian:4,stride=2"``, into a FilterSpec; ``stack.py`` interprets it.

::

    SPEC  = NAME [":" ITEM {"," ITEM}]
    ITEM  = KEY "=" TEXT | TEXT

A bare item continues the value of the key before it, so that ``padding=1,2,3,4`` needs no quotes. Bare items after the
colon are the filter's first parameter.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from types import MappingProxyType

from convfilter.errors import SpecError, shown
from convfilter.record import NamedTuple

#: NumPy scalars as repr() formats them, also within lists.
_NUMPYS = r"np\.(?:float|int|uint)\d*\(([^(),]*)\)"
_NAME = r"[A-Za-z][A-Za-z0-9_]*"
_KEY = r"([A-Za-z][A-Za-z_-]*)\s*=\s*"


class Value(NamedTuple):
    """A typed value, and its origin for messages.

    Attributes
    ----------
    text : str
        The value, stripped.
    where : str
        Start of an error message: ``'box:0', column 5``, or the name of an option.
    """

    text: str
    where: str


class FilterSpec(NamedTuple):
    """The parsed text of one filter: its name, its bare first parameter, and the other parameters by key."""

    name: Value
    argument: Value | None = None
    options: Mapping[str, Value] = MappingProxyType({})

    @property
    def text(self) -> str:
        """The equivalent SPEC."""
        items = [] if self.argument is None else [self.argument.text]
        items += [f"{key}={value.text}" for key, value in self.options.items()]
        return self.name.text + (":" + ",".join(items) if items else "")


def parse(text: str) -> FilterSpec:
    """Split the text of a filter into name, argument and options.

    Parameters
    ----------
    text : str
        Such as ``"gaussian:4,stride=2"``.

    Raises
    ------
    SpecError
        The name is missing, an item is empty, or a key is given twice; the message names the column.

    Examples
    --------
    >>> parse("gaussian:4,padding-mode=wrap").options["padding_mode"].text
    'wrap'
    """
    name = re.match(rf"\s*({_NAME})", text)
    if name is None:
        raise SpecError(f"{_where(text, 0)}: a filter begins with its name, as in gaussian:4")
    rest = text[name.end() :].lstrip()
    if rest and not rest.startswith(":"):
        position = len(text) - len(rest)
        raise SpecError(f"{_where(text, position)}: a colon follows the name, as in gaussian:4 or sobel:stride=2")
    named = Value(name[1], _where(text, name.start(1)))
    if not rest:
        return FilterSpec(named)
    return _with_items(FilterSpec(named), text, len(text) - len(rest) + 1)


def _with_items(spec: FilterSpec, text: str, start: int) -> FilterSpec:
    argument: Value | None = None
    options: dict[str, Value] = {}
    key = ""  # the empty key is the bare argument
    for item, position in _items(text, start):
        match = re.match(_KEY, item)
        if match is None and key:
            options[key] = _longer(options[key], item)
        elif match is None:
            argument = _longer(argument, item) if argument else _value(text, item, position)
        else:
            key = match.group(1).replace("-", "_")
            if key in options:
                raise SpecError(f"{_where(text, position)}: {key} is given twice; leave one out")
            if match.end() == len(item):
                raise SpecError(f"{_where(text, position)}: {key}= needs a value")
            options[key] = _value(text, item[match.end() :], position + match.end())
    return spec._replace(argument=argument, options=options)


def _items(text: str, start: int) -> Iterator[tuple[str, int]]:
    """Yield the items between commas, each with its position in the text."""
    for item in text[start:].split(","):
        stripped = item.strip()
        position = start + len(item) - len(item.lstrip())
        if not stripped:
            raise SpecError(f"{_where(text, min(position, len(text)))}: a value is missing here")
        yield stripped, position
        start += len(item) + 1


def _value(text: str, item: str, position: int) -> Value:
    return Value(_without_numpy(item), _where(text, position))


def _longer(value: Value, item: str) -> Value:
    """Return a value extended after a comma."""
    return value._replace(text=f"{value.text},{_without_numpy(item)}")


def _without_numpy(item: str) -> str:
    """Replace NumPy scalars by Python numbers."""
    return re.sub(_NUMPYS, r"\1", item)


def _where(text: str, position: int) -> str:
    return f"{shown(text)}, column {position + 1}"
