"""Suggestions for unknown commands, options and filters; imported only after a mistake."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from difflib import get_close_matches

from convfilter.cli import synonyms
from convfilter.errors import shown


def _meaning(word: str, table: Mapping[str, str]) -> str:
    return next((meaning for meaning, words in table.items() if word in words.split()), "")


def of_command(word: str) -> str:
    """Return a suggestion for an unknown command."""
    from convfilter.cli.commands import COMMANDS
    from convfilter.filters import synonyms as filter_synonyms
    from convfilter.filters.catalog import FILTERS, STAGE_PARAMETERS

    said = f"no command is called {shown(word)}; "
    normalised = word.lower().replace("-", "").replace("_", "")
    if normalised in synonyms.NO_SUMS.split():
        return f"{said}convfilter has no such filter; the nearest are 'convfilter blur --gaussian 1' and 'pool'"
    meaning = _meaning(normalised, synonyms.COMMANDS)
    if not meaning and normalised in FILTERS:
        meaning = f"apply -f {FILTERS[normalised].example}"
    if not meaning:
        filter_name = _meaning(normalised, filter_synonyms.FILTERS)
        meaning = f"apply -f {FILTERS[filter_name].example}" if filter_name else ""
    if meaning:
        return f"{said}did you mean 'convfilter {meaning}'?"
    if _is_file(word):
        return f"{said}a command comes before the names of files, as in 'convfilter blur --gaussian 4 IN OUT'"
    if word.replace("-", "_") in STAGE_PARAMETERS:
        return f"{said}--{word.replace('_', '-')} is an option of filters: 'convfilter help blur' describes it"
    close = get_close_matches(word[:99], COMMANDS, n=1)
    return said + (f"did you mean {close[0]}? " if close else "") + f"the commands are {', '.join(COMMANDS)}"


def of_filter(word: str) -> str:
    """Return a suggestion for an unknown filter."""
    from convfilter.cli.messages import in_flags
    from convfilter.filters import synonyms as filter_synonyms
    from convfilter.filters.catalog import FILTERS

    close = get_close_matches(word[:99].lower(), FILTERS, n=3)
    advice = f"did you mean {' or '.join(close)}? " if close else ""
    if meant := filter_synonyms.of_filter(word):
        advice = in_flags(meant) + ("" if meant.endswith("?") else ";") + " "
    return f"no filter is called {shown(word)}; {advice}'convfilter kernel list' shows all"


def of_bare_filter(words: Sequence[str]) -> str:
    """Return a suggestion if the first name is a filter that lacks its ``-f``; else ""."""
    from convfilter.filters.catalog import FILTERS

    is_filter = bool(words) and words[0].partition(":")[0] in FILTERS and not os.path.lexists(words[0])
    return f"; did you mean -f {shown(words[0])}?" if is_filter else ""


def value_is_file(option: str, metavar: str, choices: Sequence[str], text: str) -> str:
    """Return a hint for an option without a value, which the name of a picture has become; "" for other values."""
    from convfilter.picture import formats

    if "FILE" in metavar or text in choices or formats.by_suffix(os.path.splitext(text)[1]) is None:
        return ""
    return f"{option} takes a value before the names of files ({metavar}), got {shown(text)}"


def file_among(words: Sequence[str]) -> str:
    """Return a word that looks like an option but names an existing file or a picture."""
    return next((word for word in words if word.startswith("-") and "=" not in word and _is_file(word)), "")


def _is_file(word: str) -> bool:
    from convfilter.picture import formats

    return os.path.isfile(word) or formats.by_suffix(os.path.splitext(word)[1]) is not None


def of_option(command: str, option: str, known: list[str]) -> str:
    """Return a suggestion for an unknown option."""
    name = option.partition("=")[0]
    meaning = ""
    if command in synonyms.OPTIONS_OF:
        general = _meaning(name, synonyms.OPTIONS)
        has_it = all(word.strip(",") in known for word in general.split() if word.startswith("--"))
        meaning = _meaning(name, synonyms.OPTIONS_OF[command]) or (general if has_it else "")
    nearly = get_close_matches(name[:99], known, n=1, cutoff=0.9) or get_close_matches(name[:99], known, n=2)
    meaning = meaning or " or ".join(nearly)
    return f"no such option {shown(name)}" + (f"; did you mean {meaning}?" if meaning else "")
