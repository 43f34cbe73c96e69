"""Types of options: how values are parsed and completed."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import click

from convfilter.errors import UsageError, shown
from convfilter.filters.catalog import FILTERS, STAGE_PARAMETERS
from convfilter.filters.parameters import AxisModes, Kind, Parameter
from convfilter.filters.spec import Value

# Generic only in newer versions of click.
if TYPE_CHECKING:
    ParamType = click.ParamType[Any]
else:
    ParamType = click.ParamType


class KindType(ParamType):
    """A kind of value, from the catalogue of filters, as a type of click's."""

    def __init__(self, kind: Kind) -> None:
        self.kind = kind
        self.name = kind.metavar

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[Any]:
        """Offer the words of a choice, or files."""
        from click.shell_completion import CompletionItem

        if self.kind.metavar.startswith(("FILE", "WINDOW")):
            return [CompletionItem(incomplete, type="file")]
        words = self.kind.choices
        if isinstance(self.kind, AxisModes) and "," in incomplete:
            words = tuple(f"{incomplete.partition(',')[0]},{word}" for word in words)
        return [CompletionItem(word) for word in words if word.startswith(incomplete)]


class RunType(KindType):
    """A kind whose text is parsed when click parses the command line."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Parse text with the kind; errors name the option."""
        if not isinstance(value, str) or param is None:
            return value
        name = str(param.name).replace("_", " ")
        return Parameter(name, self.kind, "").parse(Value(value, where_from(param, ctx)))


class WordType(ParamType):
    """Text with completion of words or file names."""

    def __init__(self, name: str, words: Callable[[], Iterable[str]] = tuple, files: str = "") -> None:
        self.name, self._words, self._files = name, words, files

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[Any]:
        """Offer the words, or let the shell offer files ("file") or folders ("dir")."""
        from click.shell_completion import CompletionItem

        if self._files:
            return [CompletionItem(incomplete, type=self._files)]
        return [CompletionItem(word) for word in self._words() if word.startswith(incomplete)]


class AlgorithmType(WordType):
    """An algorithm's name; the list is imported only if one is given."""

    def __init__(self) -> None:
        super().__init__("NAME", _algorithms)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Refuse an unknown name, once for all files."""
        if value not in _algorithms():
            where = where_from(param, ctx) if param else "--algorithm"
            raise UsageError(f"{where}: algorithm must be one of {', '.join(_algorithms())}, got {shown(value)}")
        return value


def where_from(param: click.Parameter, context: click.Context | None) -> str:
    """Return where a value comes from, for messages: the option, or the configuration file."""
    if context is not None and is_configured(str(param.name), context):
        return str(context.find_root().obj.config)
    return param.opts[-1]


def is_configured(name: str, context: click.Context) -> bool:
    """Whether the value of an option comes from the file of defaults."""
    return context.get_parameter_source(name) == click.core.ParameterSource.DEFAULT_MAP


def _format_names() -> list[str]:
    from convfilter.picture.formats import FORMATS

    return [fmt.name.lower() for fmt in FORMATS]


def _algorithms() -> tuple[str, ...]:
    from convfilter.planning import ALGORITHMS

    return ALGORITHMS


def _suffixes() -> list[str]:
    from convfilter.picture.formats import known_suffixes

    return known_suffixes().replace(".", "").split()


class SpecType(WordType):
    """A SPEC, with completion of names, parameters and their values."""

    def __init__(self) -> None:
        super().__init__("SPEC")

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[Any]:
        """Offer ``gaussian:`` for ``gaus``, ``gaussian:4,stride=`` for ``gaussian:4,st``, and the words of a choice."""
        from click.shell_completion import CompletionItem

        return [CompletionItem(word) for word in _specs(incomplete) if word.startswith(incomplete)]


def _specs(typed: str) -> list[str]:
    name, colon, _ = typed.partition(",")[0].partition(":")
    row = FILTERS.get(name)
    if row is None or not (colon or "," in typed):
        return [each.name + (":" if each.parameters else "") for each in FILTERS.values()]
    before, comma, last = typed.rpartition(",")
    stage = [STAGE_PARAMETERS[key] for key in row.stage_keywords]
    if not comma:
        return [f"{name}:{word}" for each in row.parameters[:1] for word in each.kind.choices]
    key, equals, _ = last.partition("=")
    known = {each.name: each for each in (*row.parameters[1:], *stage)}
    if equals:
        return [f"{before},{key}={word}" for word in (known[key].kind.choices if key in known else ())]
    keys = [f"{each}=" for each in known if f",{each}=" not in before]
    key = before.rpartition(",")[2].partition("=")[0]
    seconds = known[key].kind.choices if key in known and isinstance(known[key].kind, AxisModes) else ()
    return [f"{before},{each}" for each in (*seconds, *keys)]


#: A filter.
SPEC = SpecType()
OUT, FILE, FOLDER = WordType("OUT", files="file"), WordType("FILE", files="file"), WordType("DIR", files="dir")
FORMAT, SUFFIX = WordType("NAME", _format_names), WordType("EXT", _suffixes)
ALGORITHM = AlgorithmType()
