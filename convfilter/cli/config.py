"""Defaults and named pipelines from ``convfilter.toml``, or from ``[tool.convfilter]`` in ``pyproject.toml``.

::

    compression = "best"            # an option's name, for every command that has it
    [blur]
    padding-mode = "reflect"        # for one command
    [pipelines]
    thumbnail = ["gaussian:1.5", "avgpool:4"]      # convfilter apply @thumbnail in.png out.png

The files are looked for in the working folder; the first that is there counts,
alone. What stands on the command line wins.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Any

import click

from convfilter.cli.options import CONFIG_FILES
from convfilter.cli.root import Session
from convfilter.errors import UsageError

NAME, _PROJECT = CONFIG_FILES
_TABLE = "tool.convfilter"
_PIPELINES = "pipelines"
_FILTER_COMMANDS = ("blur", "edges", "sharpen", "convolve", "pool", "apply")
#: Options that say what to do now, not how it is usually done.
_NEVER = ("in_place", "config", "no_config", "specs", "dry_run", "files_from", "null", "depfile")


def use(ctx: click.Context, path: str | None) -> None:
    """Make the configuration the defaults of a command that is being parsed.

    Parameters
    ----------
    ctx : click.Context
        Its options but for the eager ones are not parsed yet.
    path : str, or None
        None: look for the file in the working folder.

    Raises
    ------
    UsageError
        The file cannot be read, or holds what no command knows.
    """
    found = _found(path)
    if found is None:
        return
    name, table = found
    session: Session = ctx.find_root().obj
    session.config, session.pipelines = name, _pipelines(name, table.pop(_PIPELINES, {}))
    from convfilter.cli.apply import command as apply

    common = _keys(apply)
    tables = {key: value for key, value in table.items() if isinstance(value, dict)}
    for key in tables:
        if key not in _FILTER_COMMANDS:
            raise UsageError(f"{name}: {_unknown(key, [*_FILTER_COMMANDS, _PIPELINES], 'table')}")
    own = _keys(ctx.command)
    defaults = _values(name, {key: value for key, value in table.items() if key not in tables}, common)
    defaults = {param: value for param, value in defaults.items() if param in {option.name for option in own.values()}}
    here = str(ctx.command.name)
    ctx.default_map = defaults | _values(f"{name}: [{here}]", tables.get(here, {}), own)


def _found(path: str | None) -> tuple[str, dict[str, Any]] | None:
    """Return the name and the content of the file that counts."""
    if path is not None:
        table = _parsed(path)
        return path, table.get("tool", {}).get("convfilter", {}) if os.path.basename(path) == _PROJECT else table
    if os.path.isfile(NAME):
        return NAME, _parsed(NAME)
    if os.path.isfile(_PROJECT):
        with open(_PROJECT, "rb") as file:
            if _TABLE.encode() not in file.read():  # parsing takes longer than looking
                return None
        table = _parsed(_PROJECT).get("tool", {}).get("convfilter")
        return (_PROJECT, table) if table is not None else None
    return None


def _parsed(path: str) -> dict[str, Any]:
    import tomllib

    try:
        with open(path, "rb") as file:
            return tomllib.load(file)
    except OSError as error:
        raise UsageError(f"{path}: the configuration cannot be read: {(error.strerror or '').lower()}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: this is no TOML: {error}") from error


def _keys(command: click.Command) -> dict[str, click.Option]:
    """Return the options of a command that may have defaults, by the key that stands for them."""
    options = [param for param in command.params if isinstance(param, click.Option)]
    chooses = any(getattr(option, "selects", False) for option in options)
    return {
        max(option.opts, key=len).removeprefix("--"): option
        for option in options
        if option.expose_value
        and option.name not in _NEVER
        # A parameter of one filter of several would be in the way of the others.
        and not (chooses and hasattr(option, "filter_name"))
    }


def _values(where: str, table: Mapping[str, Any], known: Mapping[str, click.Option]) -> dict[str, Any]:
    """Turn a table into values by the names of parameters, as if they had been typed."""
    values: dict[str, Any] = {}
    for key, value in table.items():
        option = known.get(key)
        if option is None:
            raise UsageError(f"{where}: {_unknown(key, known, 'key')}")
        assert option.name is not None
        if option.is_flag:
            if not isinstance(value, bool):
                raise UsageError(f"{where}: {key} must be true or false, got {value!r}")
            # None is an option that was not given; it overrides a true of the table for all commands.
            values[option.name] = value if value or option.secondary_opts else None
        elif option.multiple:
            if not isinstance(value, list):
                raise UsageError(f"{where}: {key} must be a list of texts, got {value!r}")
            values[option.name] = [str(item) for item in value]
        elif isinstance(value, bool) or not isinstance(value, str | int | float):
            raise UsageError(f"{where}: {key} must be a text or a number, got {value!r}")
        else:
            values[option.name] = str(value)
    return values


def _pipelines(name: str, table: object) -> dict[str, list[str]]:
    if not isinstance(table, dict):
        raise UsageError(
            f'{name}: {_PIPELINES} must be a table of lists, as in thumbnail = ["gaussian:1", "avgpool:2"]'
        )
    for key, specs in table.items():
        if not isinstance(specs, list) or not specs or not all(isinstance(spec, str) for spec in specs):
            raise UsageError(f"{name}: pipeline {key} must be a list of filters, got {specs!r}")
    return table


def pipelines() -> list[str]:
    """List the names of the pipelines that apply in this folder; none where the file makes no sense."""
    try:
        found = _found(None)
        return list(_pipelines(found[0], found[1].get(_PIPELINES, {}))) if found else []
    except UsageError:
        return []


def pipeline(session: Session, reference: str) -> list[str]:
    """Return the filters of a named pipeline.

    Parameters
    ----------
    session : Session
    reference : str
        ``@thumbnail``.

    Raises
    ------
    UsageError
        There is none of that name.
    """
    name = reference.removeprefix("@")
    if session.config is None:
        raise UsageError(f"{reference}: pipelines stand in {NAME}, and there is none here; use --config")
    if name not in session.pipelines:
        raise UsageError(f"{reference}: {session.config}: {_unknown(name, session.pipelines, 'pipeline')}")
    return session.pipelines[name]


def _unknown(word: str, known: Iterable[str], what: str) -> str:
    from difflib import get_close_matches

    words = list(known)
    close = get_close_matches(word, words, n=1)
    advice = f"did you mean {close[0]}? " if close else ""
    return f"unknown {what} {word!r}; {advice}known are {', '.join(words) or 'none'}"
