"""From parsed options to filtered files: names, status, and what is said about them."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, TextIO

import click

from convfilter.cli.messages import failure, say, tell
from convfilter.cli.options import stage_defaults
from convfilter.cli.root import fail
from convfilter.cli.values import is_configured
from convfilter.errors import UsageError, WriteError
from convfilter.filters.spec import FilterSpec
from convfilter.picture.options import DEFAULT_MAX_PIXELS

if TYPE_CHECKING:
    from convfilter import pipeline
    from convfilter.cli.html import HtmlReport
    from convfilter.planning import Plan

#: Any of these makes a batch of the files, even of one.
_OF_MANY = ("into", "ext", "suffix", "files_from", "null", "update", "dry_run", "depfile", "json", "dask")


def run_files(specs: Sequence[str | FilterSpec], params: dict[str, Any]) -> int:
    """Filter the files of a command line; returns the exit status."""
    if _are_a_pair(params):
        # A file of defaults says how outputs of many files are named; it must not turn OUT into an input.
        context = click.get_current_context()
        params |= {name: None for name in ("ext", "suffix") if is_configured(name, context)}
    if _are_many(params):
        from convfilter.cli.many import run_many

        return run_many(specs, params)
    return _run_one(specs, params)


def _are_a_pair(params: dict[str, Any]) -> bool:
    """Tell IN OUT, two files of which the second need not be there, from several inputs."""
    names = params["files"]
    others = any(params[name] for name in ("into", "files_from", "in_place"))
    return len(names) == 2 and not others and not any(map(_names_many, names))


def _names_many(name: str) -> bool:
    if "://" in name:
        return _may_be_many(name)
    return os.path.isdir(name) or name.endswith(os.sep)


def _are_many(params: dict[str, Any]) -> bool:
    """Tell a batch from one input and one output, which need less to be loaded."""
    names = params["files"]
    return (
        any(params[name] not in (None, False, ()) for name in _OF_MANY)
        or len(names) > (1 if params["in_place"] else 2)
        or any(map(os.path.isdir, names[:1]))
        or any(name.endswith(os.sep) for name in names[-1:])
        or any("://" in name and _names_many(name) for name in names)
    )


def _may_be_many(address: str) -> bool:
    """Tell an address that is named like one picture from a folder and from a glob."""
    from convfilter.picture import formats

    return formats.by_suffix(os.path.splitext(address)[1]) is None or is_glob(address)


def is_glob(name: str) -> bool:
    """Whether an address stands for all objects that match it; paths have been expanded by the shell."""
    return "://" in name and any(char in name for char in "*?[")


def local_names(names: Iterable[str]) -> list[str]:
    """Turn addresses of files into paths, and globs of them into what they match."""
    found: list[str] = []
    for name in names:
        scheme, mark, path = name.partition("://")
        if mark and scheme.lower() in ("file", "local"):
            from glob import glob

            found += (sorted(glob(path)) if is_glob(name) else []) or [path]
        else:
            found.append(name)
    return found


def _run_one(specs: Sequence[str | FilterSpec], params: dict[str, Any]) -> int:
    context = click.get_current_context()
    source, destination = _named_files(params, context)
    options = pipeline_options(specs, params)
    from convfilter import pipeline

    html = html_report(params, options)
    if html is not None:
        options = html.watched(options, [destination])
    try:
        report = pipeline.filter_file(source, destination, options)
    except UsageError:
        raise
    except Exception as error:
        if html is not None:
            html.add(source, destination, None, failure(error)[0])
            html.write([(source, destination)])
        subject = destination if isinstance(error, WriteError) else source
        stream = "standard output" if isinstance(error, WriteError) else "standard input"
        return fail(error, context.find_root().obj, stream if subject == "-" else subject)
    for note in report.notes:
        say(f"{source}: {note}")
    if params["verbose"]:
        say(report.line)
    if html is not None:
        html.add(source, destination, report)
        html.write([(source, destination)])
    return 0


def html_report(params: dict[str, Any], options: pipeline.Options) -> HtmlReport | None:
    """Begin the page of ``--html``, if it is wanted."""
    if not params["html"]:
        return None
    from convfilter.cli.html import HtmlReport

    return HtmlReport(params["html"], options, follow=params["follow"])


def pipeline_options(specs: Sequence[str | FilterSpec], params: dict[str, Any]) -> pipeline.Options:
    """Put together what the pipeline is told about every file."""
    defaults = stage_defaults(params)
    from convfilter import pipeline
    from convfilter.engine import native
    from convfilter.picture.options import ReadOptions, WriteOptions

    native.on_notice(say)
    allow_loss, strict = _accepted(params)
    return pipeline.Options(
        specs=tuple(specs),
        defaults=defaults,
        gray=params["gray"],
        algorithm=params["algorithm"],
        threads=params["threads"],
        in_place=params["in_place"],
        linear=params["linear"],
        keep_time=params["keep_time"],
        sheet=params["sheet"],
        explain=_explain if params["explain"] else None,
        read=ReadOptions(
            max_pixels=int(params["max_pixels"] or DEFAULT_MAX_PIXELS),
            auto_orient=not params["no_auto_orient"],
            frame=params["frame"],
            lenient=params["lenient"],
            threads=params["threads"],
            allow_loss=allow_loss,
            strict=strict,
        ),
        write=WriteOptions(
            format=params["format"],
            quality=params["quality"],
            subsampling=params["subsampling"],
            compression=params["compression"] or "default",
            strip=params["strip"],
            background=params["background"],
            threads=params["threads"],
            where_taken=_where_taken(params),
            allow_loss=allow_loss,
            strict=strict,
        ),
    )


def _accepted(params: dict[str, Any]) -> tuple[bool, bool]:
    """Return --allow-loss and --strict; what is typed comes before a configuration."""
    allow_loss, strict = params["allow_loss"], params["strict"]
    if allow_loss and strict:
        typed = [name for name in ("allow_loss", "strict") if _is_typed(name)]
        if len(typed) != 1:
            raise UsageError("--allow-loss accepts all losses, --strict none; leave one of them out")
        allow_loss, strict = typed == ["allow_loss"], typed == ["strict"]
    return allow_loss, strict


def _is_typed(name: str) -> bool:
    source = click.get_current_context().get_parameter_source(name)
    return source == click.core.ParameterSource.COMMANDLINE


def _where_taken(params: dict[str, Any]) -> tuple[str, ...]:
    """Name the options that need not fit the format: those of a configuration, and all where formats may differ."""
    names = ("quality", "subsampling", "compression", "background")
    if _are_many(params) and not (params["ext"] or params["format"]):
        return names
    return tuple(name for name in names if params[name] is not None and not _is_typed(name))


def _explain(plans: Sequence[Plan]) -> None:
    """Print each plan once, in one go, on stderr: a picture may go to standard output, and others may print too."""
    from convfilter.report.plan_text import lines

    for plan in {id(plan): plan for plan in plans}.values():
        tell(*lines(plan), err=True)


def _named_files(params: dict[str, Any], context: click.Context) -> tuple[str, str]:
    """Tell input and output; an output that is a folder gets a file of the input's name, as with cp."""
    names, in_place = params["files"], params["in_place"]
    wanted = 1 if in_place else 2
    if len(names) != wanted:
        form = "--in-place takes inputs and no output" if in_place else "an input and an output are needed"
        raise click.UsageError(f"{form}, got {len(names)} name{'s' if len(names) != 1 else ''}", context)
    source, destination = local_names((names[0], names[-1]))
    if in_place and source == "-":
        raise click.UsageError("standard input cannot be overwritten with --in-place; give it an output", context)
    if source == "-":
        _require_pipe(sys.stdin, "standard input is closed", "a picture is not read from a terminal", context)
    if destination == "-":
        _require_pipe(sys.stdout, "standard output is closed", "a picture is not written to a terminal", context)
    if os.path.isdir(destination) and source != "-":
        folder, destination = destination, os.path.join(destination, os.path.basename(source))
        if not params["follow"]:
            _require_below(folder, destination)
    return source, destination


def _require_below(folder: str, destination: str) -> None:
    from convfilter.picture.place.atomic import require_below

    try:
        require_below(folder, destination)
    except WriteError as error:
        raise WriteError(f"{destination}: {error}") from None


def _require_pipe(stream: TextIO | None, closed: str, terminal: str, context: click.Context) -> None:
    if stream is None or stream.isatty():
        raise click.UsageError(f"{closed if stream is None else terminal}; name a file, or use a pipe", context)
