"""Defaults and named pipelines from ``convfilter.toml``, or from ``[tool.convfilter]`` in ``pyproject.toml``.

::

    compression = "best"            # an option's name, for every command that has it
    [blur]
    padding-mode = "reflect"        # for one command
    [pipelines]
    thumbnail = ["gaussian:1.5", "avgpool:4"]      # convfilter apply @thumbnail in.png out.png

The working folder is searched for these files, then the user's configuration folder; only the first file is used. The
command line overrides it.

The working folder may belong to another user, so a file in it must not have an effect outside it: keys that name
places, connect to other machines or lift limits are allowed only in the user's own file and in a file that ``--config``
names. Kernels and layers of pipelines in the working folder's file must be regular files below that folder.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from typing import Any

import click

from convfilter.cli.config_files import CONFIG_FILES, own_config
from convfilter.cli.root import Session
from convfilter.errors import UsageError, foreign, named, shown
from convfilter.filters.row import STAGE_PARAMETERS
from convfilter.filters.stack import paths_of
from convfilter.picture.place.atomic import is_below

NAME, _PROJECT = CONFIG_FILES
_TABLE = "tool.convfilter"
_PIPELINES = "pipelines"
FILTER_COMMANDS = ("blur", "edges", "sharpen", "convolve", "pool", "rank", "morph", "apply")
#: Options that cannot be configured, since they belong to one run.
_NEVER = (
    "in_place",
    "output",
    "overwrite",
    "config",
    "no_config",
    "specs",
    "dry_run",
    "files_from",
    "null",
    "depfile",
    "follow",
)
#: Options that are allowed in the working folder's file; all others name places or lift limits.
_HARMLESS = (
    *STAGE_PARAMETERS,
    "gray", "linear", "sheet", "ignore", "fill", "until", "format", "quality", "subsampling", "compression", "strip",
    "background", "nan", "frame", "strict", "no_clobber", "no_auto_orient", "threads", "algorithm", "verbose",
    "explain", "keep_time", "recursive", "ext", "suffix", "exclude", "jobs", "fail_fast", "update", "no_log", "json",
    "progress", "quiet",
)  # fmt: skip
#: Largest configuration file, in bytes.
_MOST_BYTES = 1 << 20


def use(ctx: click.Context, path: str | None) -> None:
    """Make the configuration the defaults of a command that is being parsed.

    Parameters
    ----------
    ctx : click.Context
        Context of the command; only its eager options have been parsed.
    path : str, or None
        Path of the configuration; None: look for it.

    Raises
    ------
    UsageError
        The file cannot be read, or has a key that no command knows.
    """
    named_table = _found(path)
    if named_table is None:
        return
    name, table = named_table
    session: Session = ctx.find_root().obj
    session.config, session.trusts_config = name, path is not None or _is_own(name)
    session.pipelines = _pipelines(name, table.pop(_PIPELINES, {}))
    root = ctx.find_root().command
    apply = root.get_command(ctx, "apply") if isinstance(root, click.Group) else None
    common = option_keys(apply or ctx.command)
    tables = {key: value for key, value in table.items() if isinstance(value, dict)}
    for key in tables:
        if key not in FILTER_COMMANDS:
            raise UsageError(f"{name}: {_unknown(key, [*FILTER_COMMANDS, _PIPELINES], 'table')}")
    own = option_keys(ctx.command)
    defaults = _values(name, {key: value for key, value in table.items() if key not in tables}, common)
    defaults = {param: value for param, value in defaults.items() if param in {option.name for option in own.values()}}
    here = str(ctx.command.name)
    defaults |= _values(f"{name}: [{here}]", tables.get(here, {}), own)
    if not session.trusts_config:
        for key, option in own.items():
            if defaults.get(str(option.name)) is not None and not is_harmless(option):
                raise UsageError(
                    f"{name}: {key} has an effect outside this folder, so a file in the folder cannot set it; "
                    f"leave it out, name the file with --config, or set it in {own_config()}"
                )
    ctx.default_map = defaults


def is_harmless(option: click.Option) -> bool:
    """Whether the working folder's file may set an option: an option of a filter, or a harmless one."""
    return hasattr(option, "filter_name") or option.name in _HARMLESS


def _is_own(name: str) -> bool:
    try:
        return os.path.samefile(name, own_config())
    except OSError:
        return False


def _found(path: str | None) -> tuple[str, dict[str, Any]] | None:
    """Return the name and the content of the configuration file in use."""
    if path is not None:
        return path, _of_project(path) or {} if os.path.basename(path) == _PROJECT else _parsed(path)
    for name in (NAME, _PROJECT, own_config()):
        if os.path.isfile(name):
            table = _of_project(name) if name == _PROJECT else _parsed(name)
            if table is not None:
                return name, table
    return None


def _of_project(path: str) -> dict[str, Any] | None:
    """Return this program's table in a ``pyproject.toml``, or None; a file without the table's name is not parsed."""
    content = _content(path)
    if _TABLE.encode() not in content:
        return None
    table: Any = _parsed(path, content)
    for key in _TABLE.split("."):
        table = table.get(key)
        if table is None:
            return None
        if not isinstance(table, dict):
            raise UsageError(f"{path}: {key} must be a table, got {shown(table)}")
    own: dict[str, Any] = table
    return own


def _content(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            content = file.read(_MOST_BYTES + 1)
    except OSError as error:
        raise UsageError(f"{path}: the configuration cannot be read: {(error.strerror or '').lower()}") from error
    if len(content) > _MOST_BYTES:
        raise UsageError(f"{path}: a configuration may have {_MOST_BYTES >> 20} MB, and this is larger")
    return content


def _parsed(path: str, content: bytes | None = None) -> dict[str, Any]:
    import tomllib

    with foreign(f"{path}: this is not TOML", UsageError):
        return tomllib.loads((_content(path) if content is None else content).decode())


def option_keys(command: click.Command) -> dict[str, click.Option]:
    """Return the configurable options of a command, by key."""
    options = [param for param in command.params if isinstance(param, click.Option)]
    chooses = any(getattr(option, "selects", False) for option in options)
    return {
        max(option.opts, key=len).removeprefix("--"): option
        for option in options
        if option.expose_value
        and option.name not in _NEVER
        # A default for one filter's parameter would conflict with the choice of another filter.
        and not (chooses and hasattr(option, "filter_name"))
    }


def _values(where: str, table: Mapping[str, Any], known: Mapping[str, click.Option]) -> dict[str, Any]:
    """Convert a table to values of click's parameters, as if they had been typed."""
    values: dict[str, Any] = {}
    for key, value in table.items():
        option = known.get(key)
        if option is None:
            raise UsageError(f"{where}: {_unknown(key, known, 'key')}")
        assert option.name is not None
        if option.is_flag:
            if not isinstance(value, bool):
                raise UsageError(f"{where}: {key} must be true or false, got {shown(value)}")
            # None means that the option is not given; it overrides a true in the table for all commands.
            values[option.name] = value if value or option.secondary_opts else None
        elif option.multiple:
            if not isinstance(value, list):
                raise UsageError(f"{where}: {key} must be a list of texts, got {shown(value)}")
            values[option.name] = [str(item) for item in value]
        elif isinstance(value, bool) or not isinstance(value, str | int | float):
            raise UsageError(f"{where}: {key} must be a text or a number, got {shown(value)}")
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
            raise UsageError(
                f"{name}: pipeline {shown(key, quotes=False)} must be a list of filters, got {shown(specs)}"
            )
    return table


def pipelines() -> list[str]:
    """List the names of the pipelines that apply in this folder; none if the file is invalid.

    A shell inserts them verbatim, so names with special characters are left out.
    """
    try:
        named_table = _found(None)
        names = list(_pipelines(named_table[0], named_table[1].get(_PIPELINES, {}))) if named_table else []
    except UsageError:
        return []
    return [name for name in names if re.fullmatch(r"[\w.-]+", name)]


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
        No pipeline has this name, or a pipeline of the working folder's file reads files outside the folder.
    """
    name = reference.removeprefix("@")
    if session.config is None:
        raise UsageError(f"{reference}: pipelines are defined in {NAME}, and this folder has none; use --config")
    if name not in session.pipelines:
        raise UsageError(f"{reference}: {session.config}: {_unknown(name, session.pipelines, 'pipeline')}")
    specs = session.pipelines[name]
    if not session.trusts_config:
        for path in paths_of(specs):
            _require_below(session.config, path)
    return specs


def _require_below(config: str, path: str) -> None:
    """Refuse weights that the working folder's configuration must not name: a file outside the folder, or a FIFO."""
    folder, target = (os.path.realpath(each) for each in (os.path.dirname(config), path))
    if not is_below(target, folder) or not os.path.isfile(target):
        raise UsageError(
            f"{config}: {named(path)} is not a file below the folder of this configuration; "
            "name the configuration with --config to allow that"
        )


def _unknown(word: str, known: Iterable[str], what: str) -> str:
    from difflib import get_close_matches

    words = [shown(each, quotes=False) for each in known]
    close = get_close_matches(word, words, n=1)
    advice = f"did you mean {close[0]}? " if close else ""
    return f"unknown {what} {shown(word)}; {advice}the known {what}s are {', '.join(words) or 'none'}"
