"""Parameters of filters and of runs: a name, a kind of value with its limits, and help.

A kind parses text to a value and describes its values, in the same words for error messages, help texts and lists.
"""

from __future__ import annotations

import math
import re
from typing import Any, Protocol

from convfilter.errors import ParameterError, shown
from convfilter.filters.spec import Value
from convfilter.record import NamedTuple, record

#: Largest side, step or pad in pixels: the longest side of a JPEG.
MOST_PIXELS = 65535

# Patterns are text, compiled at their first use: most runs of the program need one or two.
_NUMBER = r"(?ai)[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?"
_WHOLE = r"(?a)[+-]?\d+"
_PADS = r"(?ai)[+-]?\d+(x[+-]?\d+)?"
_TRUTH = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}
_NOT_FINITE = ("nan", "inf", "infinity")
_MOST_DIGITS = 30


class Kind(Protocol):
    """One kind of value."""

    @property
    def metavar(self) -> str:
        """Placeholder of the value in a usage line: ``SIGMA`` or ``x|y``."""

    @property
    def limits(self) -> str:
        """Allowed range, such as ``at least 1``; empty if unlimited."""

    @property
    def choices(self) -> tuple[str, ...]:
        """Allowed words; empty if any value is allowed."""

    def parse(self, text: str) -> Any:
        """Parse text; the message of a ValueError is the violated rule."""


@record
class Number:
    """A real number, or a fraction such as 1/9."""

    metavar: str = "NUMBER"
    minimum: float = -math.inf
    maximum: float = math.inf
    above: bool = False  # whether the minimum is excluded
    integer: bool = False
    choices: tuple[str, ...] = ()
    or_nan: bool = False

    @property
    def limits(self) -> str:
        """The range in words."""
        return " and ".join(filter(None, (self._least, self._most)))

    @property
    def _least(self) -> str:
        if self.minimum == -math.inf:
            return ""
        return f"above {self.minimum:g}" if self.above else f"at least {self.minimum:g}"

    @property
    def _most(self) -> str:
        return f"at most {self.maximum:.10g}" if self.maximum < math.inf else ""

    def parse(self, text: str) -> float:
        """Parse text to a float, or to an int if only integers are allowed."""
        number = self._number(text)
        if number < self.minimum or (self.above and number == self.minimum):
            raise ValueError(f"must be {self._least}")
        if number > self.maximum:
            raise ValueError(f"must be {self._most}")
        return number

    def _number(self, text: str) -> float:
        if self.or_nan and text.lower() == "nan":
            return math.nan
        if text.lstrip("+-").lower() in _NOT_FINITE:
            raise ValueError("must be a finite number")
        if self.integer:
            if not re.fullmatch(_WHOLE, text) or len(text) > _MOST_DIGITS:
                raise ValueError("must be a whole number")
            return int(text)
        parts = text.split("/")
        if len(parts) > 2 or not all(re.fullmatch(_NUMBER, part) for part in parts):
            raise ValueError("must be a number")
        number = float(parts[0])
        if len(parts) == 2:
            if float(parts[1]) == 0:
                raise ValueError("must not divide by zero")
            number /= float(parts[1])
        if not math.isfinite(number):
            raise ValueError("must be a finite number")
        return number


@record
class Pair:
    """One number for both axes, or WIDTHxHEIGHT; the value is (rows, cols)."""

    of: Number
    choices: tuple[str, ...] = ()

    @property
    def metavar(self) -> str:
        """One placeholder for both forms; the help text shows the second."""
        return self.of.metavar

    @property
    def limits(self) -> str:
        """The limits of each number."""
        return self.of.limits

    def parse(self, text: str) -> tuple[float, float]:
        """Parse ``5x3`` to (3, 5)."""
        parts = [part.strip() for part in text.lower().split("x")]
        if len(parts) > 2 or not all(re.match(_NUMBER, part) or part in _NOT_FINITE for part in parts):
            raise ValueError("must be one number, or two as in 5x3")
        numbers = [self.of.parse(part) for part in parts]
        return numbers[-1], numbers[0]


@record
class OrWord:
    """A value of another kind, or one word that stands for ``meaning``."""

    of: Kind
    word: str
    meaning: Any

    @property
    def metavar(self) -> str:
        """The metavar of the other kind; the help text names the word."""
        return self.of.metavar

    @property
    def limits(self) -> str:
        """The limits of the other kind."""
        return self.of.limits

    @property
    def choices(self) -> tuple[str, ...]:
        """The word."""
        return (self.word,)

    def parse(self, text: str) -> Any:
        """Return the meaning of the word, or parse with the other kind."""
        return self.meaning if text.lower() == self.word else self.of.parse(text)


@record
class Choice:
    """One of a few words."""

    choices: tuple[str, ...]
    stand_in: str = ""

    @property
    def metavar(self) -> str:
        """The words, or a placeholder if there are many."""
        return self.stand_in or "|".join(self.choices)

    @property
    def limits(self) -> str:
        """All words, if the placeholder does not list them."""
        return f"one of {', '.join(self.choices)}" if self.stand_in else ""

    def parse(self, text: str) -> str:
        """Return the word, in lower case."""
        if text.lower() not in self.choices:
            raise ValueError(f"must be one of {', '.join(self.choices)}")
        return text.lower()


@record
class AxisModes:
    """One of a few words for both axes, or two as in ``wrap,edge``, ACROSS,DOWN; the value of two is (rows, cols)."""

    choices: tuple[str, ...]
    metavar: str = "MODE"

    @property
    def limits(self) -> str:
        """All words."""
        return f"one or two of {', '.join(self.choices)}"

    def parse(self, text: str) -> str | tuple[str, str]:
        """Parse ``wrap,edge`` to ("edge", "wrap"); a single word, and two equal ones, to that word."""
        words = [part.strip() for part in text.lower().split(",")]
        if len(words) > 2:
            raise ValueError("must be one word, or two as in wrap,edge: across, then down")
        if not all(word in self.choices for word in words):
            raise ValueError(f"must be one of {', '.join(self.choices)}")
        return words[0] if words[0] == words[-1] else (words[1], words[0])


@record
class PaddingAmount:
    """A word, N, XxY, or LEFT,TOP,RIGHT,BOTTOM; the value of numbers is (top, bottom, left, right)."""

    choices: tuple[str, ...]
    metavar: str = "PADDING"
    limits: str = ""

    def parse(self, text: str) -> str | tuple[int, int, int, int]:
        """Parse ``2x1`` to (1, 1, 2, 2); words are returned unchanged."""
        if text.lower() in self.choices:
            return text.lower()
        side = Number(integer=True, minimum=0, maximum=MOST_PIXELS)
        parts = text.split(",")
        if len(parts) == 4 and all(re.fullmatch(_WHOLE, part.strip()) for part in parts):
            left, top, right, bottom = (int(side.parse(part.strip())) for part in parts)
            return top, bottom, left, right
        if not re.fullmatch(_PADS, text):
            raise ValueError(f"must be one of {', '.join(self.choices)}, a number, XxY, or LEFT,TOP,RIGHT,BOTTOM")
        rows, cols = (int(number) for number in Pair(side).parse(text))
        return rows, rows, cols, cols


@record
class Flag:
    """Yes or no."""

    metavar: str = "true|false"
    limits: str = ""
    choices: tuple[str, ...] = ("true", "false")

    def parse(self, text: str) -> bool:
        """Parse yes, on, true, 1 and their opposites to a bool."""
        if text.lower() not in _TRUTH:
            raise ValueError("must be true or false")
        return _TRUTH[text.lower()]


@record
class Text:
    """Any text, which the filter parses."""

    metavar: str = "TEXT"
    limits: str = ""
    choices: tuple[str, ...] = ()

    def parse(self, text: str) -> str:
        """Return the text."""
        return text


@record
class Ignored:
    """A selection of ignored pixels: the value of their colours, NaN, or one of two words."""

    metavar: str = "nan|VALUE|..."
    limits: str = ""
    choices: tuple[str, ...] = ("nan", "nodata", "alpha=0")

    def parse(self, text: str) -> float | str:
        """Parse text to a float, or return a word unchanged."""
        if text.lower() in self.choices:
            return math.nan if text.lower() == "nan" else text.lower()
        try:
            return Number().parse(text)
        except ValueError as error:
            raise ValueError(f"{error}, nan, nodata or alpha=0") from None


@record
class Window:
    """A window as text: a size, ``disk:RADIUS``, or a kernel file; see :mod:`convfilter.filters.footprints`."""

    metavar: str = "WINDOW"
    limits: str = ""
    choices: tuple[str, ...] = ()

    def parse(self, text: str) -> str:
        """Return the text."""
        return text


@record
class Numbers:
    """Real numbers, separated by commas."""

    of: Number = Number()
    metavar: str = "N,N,N"
    choices: tuple[str, ...] = ()

    @property
    def limits(self) -> str:
        """The limits of each number."""
        return self.of.limits

    def parse(self, text: str) -> tuple[float, ...]:
        """Parse ``0.5, 0.25`` to (0.5, 0.25)."""
        return tuple(self.of.parse(part.strip()) for part in text.split(","))


@record
class Key:
    """A name within a file: of a node, or of a module."""

    metavar: str = "NAME"
    limits: str = ""
    choices: tuple[str, ...] = ()

    def parse(self, text: str) -> str:
        """Return the name."""
        return text


class Parameter(NamedTuple):
    """One named value that a filter, or a run, takes.

    Attributes
    ----------
    name : str
        Name in a SPEC and in the Python API; options of the command line have hyphens in place of underscores.
    kind : Kind
        Parses text to the value.
    help : str
        One line for lists and help texts.
    default : str, optional
        Default as typed text; None if the parameter is required, "" if ``help`` explains the default.
    unit : str
        Unit of the number: "px", "of full scale"; empty for words and factors.
    """

    name: str
    kind: Kind
    help: str
    default: str | None = ""
    unit: str = ""

    def parse(self, value: Value, subject: str = "") -> Any:
        """Parse a typed value to a number, a pair or a word.

        Raises
        ------
        ParameterError
            The value is invalid; the message names its origin, the rule, and the value.
        """
        try:
            return self.kind.parse(value.text)
        except ValueError as error:
            is_number = re.match(_NUMBER, value.text) and value.text.isascii()
            got = shown(value.text, quotes=not is_number)
            from convfilter.filters import synonyms

            remedy = synonyms.of_value(self.name, value.text, self.kind.choices)
            raise ParameterError(f"{value.where}: {subject or self.name} {error}, got {got}", remedy=remedy) from None

    @property
    def facts(self) -> str:
        """Unit, limits and default in a few words: ``px, at least 1, default 1``."""
        default = f"default {self.default}" if self.default else ("required" if self.default is None else "")
        return ", ".join(filter(None, (self.unit, self.kind.limits, default)))
