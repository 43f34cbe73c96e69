"""Find the inputs of a batch and name their outputs."""

from __future__ import annotations

import os
from collections.abc import Sequence

from convfilter.batch import inputs
from convfilter.batch.search import Job, Naming, Search, SearchResult
from convfilter.cli.addresses import local_names
from convfilter.cli.messages import say
from convfilter.cli.overwrite import require_own
from convfilter.cli.request import Request, misused
from convfilter.errors import UsageError, shown
from convfilter.picture import formats
from convfilter.picture.place.address import is_address, is_glob


def found_files(request: Request) -> SearchResult:
    """Find the inputs and name their outputs.

    Raises
    ------
    UsageError
        Options contradict each other, an output has no folder, or two inputs have the same output.
    """
    names = local_names(request.files)
    naming = Naming(None, _ext(request.ext), request.suffix or "")
    if request.null and not request.files_from:
        raise misused("-0 is an option of --files-from; give that too")
    if request.in_place:
        others = {"into": request.into, "ext": request.ext, "suffix": request.suffix, "update": request.update}
        given = [f"--{name}" for name, value in others.items() if value]
        if given:
            raise misused(f"--in-place writes each result over its input; leave out {given[0]}")
    elif request.into:
        naming = naming._replace(folder=local_names([request.into])[0])
    elif request.output or (names and not _are_all_inputs(names, naming, bool(request.files_from))):
        naming = naming._replace(folder=names.pop())
    if request.files_from:
        names += local_names(inputs.read_list(request.files_from, separator="\0" if request.null else "\n"))
    elif not names:
        raise misused("an input and an output are needed; outputs can go --into a folder too")
    elif naming == Naming() and not request.in_place:
        raise misused("an output is needed, or --into, --suffix, --ext or --in-place")
    if not request.in_place and naming == Naming():
        raise misused("an output folder is needed, as OUT or with --into")
    if request.suffix and os.sep in request.suffix:
        raise UsageError(f"--suffix: it is a part of a file name, without {os.sep}, got {shown(request.suffix)}")
    search = Search(request.recursive, request.exclude, bool(request.ext or request.format), request.follow)
    single = _single(names, naming, request)
    if single is not None:
        inputs.distinct([single], in_place=False)
        return SearchResult([single], [], [], {})
    _require_folder(names, naming, made=bool(request.into))
    return inputs.find(names, naming, search)


def check_suffixes(request: Request, outputs: Sequence[str]) -> None:
    """Note outputs that get ``--format``, but keep from their inputs the suffix of another format.

    Raises
    ------
    UsageError
        One is to replace its input with ``--in-place``.
    """
    chosen = formats.by_name(request.format) if request.format else None
    if chosen is None or request.ext:
        return
    wrong = [name for name in outputs if formats.suffix_names_another(os.path.splitext(name)[1], chosen)]
    if not wrong:
        return
    ext = chosen.suffixes[0][1:]
    if request.in_place:
        raise UsageError(
            f"--in-place keeps the name, whose suffix is not that of {chosen.name}; --ext {ext}, without --in-place "
            "and --format, writes a file beside the input",
            subject=wrong[0],
        )
    if not request.quiet:
        what = f"the suffix is not that of {chosen.name}; --ext {ext} gives outputs that suffix"
        say(f"{first_of(wrong)}: {what}")


def first_of(names: Sequence[str]) -> str:
    """Name the first of some files, and count the others."""
    return names[0] + (f" and {len(names) - 1} more" if len(names) > 1 else "")


def _ext(typed: str | None) -> str:
    """Return the suffix with its dot; refuse a suffix that no format has."""
    if not typed:
        return ""
    ext = "." + typed.removeprefix(".")
    if formats.by_suffix(ext) is None:
        from convfilter.picture import unsupported

        if advice := unsupported.output_remedy(ext):
            raise UsageError(f"--ext: {advice}")
        raise UsageError(
            f"--ext: no picture format has the suffix {shown(ext)}; the nearest are {formats.nearest(ext)}; "
            "'convfilter formats' lists all"
        )
    return ext


def _are_all_inputs(names: Sequence[str], naming: Naming, listed: bool) -> bool:
    """Whether all names are inputs, with outputs in the same folders: --suffix or --ext, and no output folder last."""
    if not (naming.suffix or naming.ext):
        return False
    several = len(names) > 1 or listed
    return not (several and (_is_folder(names[-1]) or not _exists(names[-1])))


def _is_folder(name: str) -> bool:
    if is_address(name):
        from convfilter.batch import remote

        return remote.is_folder(name)
    return os.path.isdir(name)


def _exists(name: str) -> bool:
    if is_address(name):
        from convfilter.batch import remote

        return remote.exists(name)
    return os.path.exists(name)


def _single(names: Sequence[str], naming: Naming, request: Request) -> Job | None:
    """Return the job of one input and one output file with an option for batches, such as --update."""
    out = naming.folder
    if len(names) != 1 or out is None or request.into or naming != Naming(out) or request.files_from:
        return None
    if _is_folder(names[0]) or _is_folder(out) or out.endswith(os.sep) or is_glob(names[0]):
        return None
    if "-" in (names[0], out):
        raise UsageError("'-' is a pipe, and options for many files need names of files; give file names")
    require_own(request, names[0], out)
    return Job(names[0], out)


def _require_folder(names: Sequence[str], naming: Naming, *, made: bool) -> None:
    """Refuse an output that is not a folder; a folder is created only with --into or a trailing slash."""
    out = naming.folder
    if "-" in names:
        raise UsageError(
            "'-' means standard input and cannot be one of several inputs; a file really named '-' is './-'"
        )
    if out is None or _is_folder(out):
        return
    if is_address(out):  # stores need no folders
        if formats.by_suffix(os.path.splitext(out)[1]) is not None:
            raise UsageError(f"{out}: several inputs, or a folder, need a folder as output; end it with /")
        return
    if out == "-":
        raise UsageError("'-' is standard output, which takes one picture; give a folder for several")
    if os.path.lexists(out):
        raise UsageError(
            f"{out}: several inputs, or a folder, need a folder as output, and this is a file; name another"
        )
    a_tree = any(map(_is_folder, names)) and formats.by_suffix(os.path.splitext(out)[1]) is None
    if not (made or out.endswith(os.sep) or a_tree):
        raise UsageError(f"{out}: there is no such folder; several inputs need one: create it, or write {out}{os.sep}")
