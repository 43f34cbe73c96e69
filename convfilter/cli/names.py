"""From the names on a command line of several files to inputs, each with the name of its output."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import click

from convfilter.batch import inputs
from convfilter.batch.inputs import Job, Naming, Search
from convfilter.cli.jobs import is_glob, local_names
from convfilter.errors import UsageError, shown
from convfilter.picture import formats


def found_files(params: dict[str, Any], context: click.Context) -> inputs.Found:
    """Find the inputs and name their outputs.

    Raises
    ------
    UsageError
        Options contradict each other, an output has no place, or two inputs have the same one.
    """
    names = local_names(params["files"])
    naming = Naming(None, _ext(params["ext"]), params["suffix"] or "")
    if params["null"] and not params["files_from"]:
        raise click.UsageError("-0 tells how the names of --files-from end; give that too", context)
    if params["in_place"]:
        given = [f"--{name}" for name in ("into", "ext", "suffix", "update") if params[name]]
        if given:
            raise click.UsageError(f"--in-place leaves names and places alone; leave out {given[0]}", context)
    elif params["into"]:
        naming = naming._replace(folder=local_names([params["into"]])[0])
    elif names and not _stands_beside(names, naming, bool(params["files_from"])):
        naming = naming._replace(folder=names.pop())
    if params["files_from"]:
        names += local_names(inputs.read_list(params["files_from"], separator="\0" if params["null"] else "\n"))
    elif not names:
        raise click.UsageError("an input and an output are needed; outputs can go --into a folder too", context)
    elif naming == Naming() and not params["in_place"]:
        raise click.UsageError("an output is needed, or --into, --suffix, --ext or --in-place", context)
    if not params["in_place"] and naming == Naming():
        raise click.UsageError("an output folder is needed, as OUT or with --into", context)
    if params["suffix"] and os.sep in params["suffix"]:
        raise UsageError(f"--suffix: it is a part of a file name, without {os.sep}, got {shown(params['suffix'])}")
    search = Search(params["recursive"], params["exclude"], bool(params["ext"] or params["format"]), params["follow"])
    single = _single(names, naming, params)
    if single is not None:
        inputs.distinct([single], in_place=False)
        return inputs.Found([single], [], [], {})
    _require_folder(names, naming, made=bool(params["into"]))
    return inputs.find(names, naming, search)


def _ext(typed: str | None) -> str:
    """Return the suffix with its dot, if a format has it."""
    if not typed:
        return ""
    ext = "." + typed.removeprefix(".")
    if formats.by_suffix(ext) is None:
        from convfilter.picture import foreign

        if advice := foreign.read_only(ext):
            raise UsageError(f"--ext: {advice}")
        raise UsageError(f"--ext: the suffix must be one of {formats.known_suffixes()}, got {shown(typed)}")
    return ext


def _stands_beside(names: Sequence[str], naming: Naming, listed: bool) -> bool:
    """Tell whether all names are inputs: with --suffix or --ext, unless the last is a folder, or not there."""
    if not (naming.suffix or naming.ext):
        return False
    several = len(names) > 1 or listed
    return not (several and (_is_folder(names[-1]) or not _exists(names[-1])))


def _is_folder(name: str) -> bool:
    if "://" in name:
        from convfilter.batch import remote

        return remote.is_folder(name)
    return os.path.isdir(name)


def _exists(name: str) -> bool:
    if "://" in name:
        from convfilter.batch import remote

        return remote.exists(name)
    return os.path.exists(name)


def _single(names: Sequence[str], naming: Naming, params: dict[str, Any]) -> Job | None:
    """Return the job of one input and one output that is no folder: IN OUT with an option for many, as --json."""
    out = naming.folder
    if len(names) != 1 or out is None or params["into"] or naming != Naming(out) or params["files_from"]:
        return None
    if _is_folder(names[0]) or _is_folder(out) or out.endswith(os.sep) or is_glob(names[0]):
        return None
    if "-" in (names[0], out):
        raise UsageError("-: options for many files need names of files, not pipes")
    return Job(names[0], out)


def _require_folder(names: Sequence[str], naming: Naming, *, made: bool) -> None:
    """Refuse an output that is no folder; it is made where that cannot be a slip: with --into, or a slash."""
    out = naming.folder
    if "-" in names:
        raise UsageError("-: standard input is one picture without a name; filter it by itself, or name a file ./- so")
    if out is None or _is_folder(out):
        return
    if "://" in out:  # a folder there needs no making
        if formats.by_suffix(os.path.splitext(out)[1]) is not None:
            raise UsageError(f"{out}: several inputs, or a folder, need a folder as output; end it with /")
        return
    if out == "-":
        raise UsageError("-: standard output takes one picture; give a folder")
    if os.path.lexists(out):
        raise UsageError(f"{out}: several inputs, or a folder, need a folder as output, and this is a file")
    a_tree = any(map(_is_folder, names)) and formats.by_suffix(os.path.splitext(out)[1]) is None
    if not (made or out.endswith(os.sep) or a_tree):
        raise UsageError(f"{out}: there is no such folder; several inputs need one: make it, or end it with {os.sep}")
