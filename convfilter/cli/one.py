"""Filter one file: check the names, run it, and print the messages."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, TextIO

import click

from convfilter.cli import clipping
from convfilter.cli.addresses import local_names
from convfilter.cli.messages import failure, say, tell
from convfilter.cli.overwrite import keeps, require_own
from convfilter.cli.request import Request, misused, pipeline_options
from convfilter.cli.root import fail
from convfilter.errors import UsageError, WriteError

if TYPE_CHECKING:
    from convfilter import pipeline
    from convfilter.cli.html import HtmlReport


def run_one(request: Request) -> int:
    """Filter the one file of a command line; return the exit status."""
    source, destination = _named_files(request)
    if keeps(request, destination):
        if not request.quiet:
            say(f"{destination}: skipped, since it exists (--no-clobber)")
        return 0
    require_own(request, source, destination)
    options = pipeline_options(request)
    from convfilter import pipeline

    html = html_report(request, options)
    if request.depfile:
        from convfilter.batch.search import Job
        from convfilter.cli.depfile import write_depfile

        write_depfile(request, [Job(source, destination)])
    if html is not None:
        options = html.watched(options, [destination])
    try:
        report = pipeline.filter_file(source, destination, options)
    except UsageError:
        raise
    except Exception as error:
        _record(request, html, source, destination, None, failure(error)[0])
        subject = destination if isinstance(error, WriteError) else source
        stream = "standard output" if isinstance(error, WriteError) else "standard input"
        session = click.get_current_context().find_root().obj
        return fail(error, session, stream if subject == "-" else subject)
    for note in report.notes if not request.quiet else ():
        say(f"{source}: {note}")
    if clipping.is_likely_a_mistake(request, report.clipped):
        say(clipping.line([(source, report.clipped)], request))
    if request.verbose:
        say(report.line)
    _record(request, html, source, destination, report)
    return 0


def _record(
    request: Request,
    html: HtmlReport | None,
    source: str,
    destination: str,
    report: pipeline.Report | None,
    message: str = "",
) -> None:
    """Write the page of ``--html`` and the line of ``--json``: a report, or the message of an error."""
    if html is not None:
        html.add(source, destination, report, message)
        html.write([(source, destination)])
    if request.json:
        from convfilter.cli import json_lines

        tell(json_lines.line(source, destination, report, message))


def html_report(request: Request, options: pipeline.Options) -> HtmlReport | None:
    """Return the page of ``--html``, if requested."""
    if not request.html:
        return None
    from convfilter.cli.html import HtmlReport

    command = click.get_current_context().find_root().obj.command
    return HtmlReport(request.html, options, follow=request.follow, command=command)


def _named_files(request: Request) -> tuple[str, str]:
    """Return input and output; in an output folder, the file gets the input's name, as with cp."""
    names, in_place = request.files, request.in_place
    wanted = 1 if in_place else 2
    if len(names) != wanted:
        form = "--in-place takes inputs and no output" if in_place else "an input and an output are needed"
        raise misused(f"{form}, got {len(names)} name{'s' if len(names) != 1 else ''}")
    source, destination = local_names((names[0], names[-1]))
    if in_place and source == "-":
        raise misused("standard input cannot be overwritten with --in-place; give it an output")
    if source == request.mask == "-":
        raise misused("standard input can be the picture or the --mask, and not both; name a file for one of them")
    if source == "-":
        _require_pipe(sys.stdin, "a picture is not read from a terminal")
    if destination == "-":
        if request.json:
            raise misused("standard output cannot be both the picture and the --json; name a file for the picture")
        _require_pipe(sys.stdout, "a picture is not written to a terminal")
    is_named = not in_place
    if os.path.isdir(destination) and source != "-":
        folder, destination = destination, os.path.join(destination, os.path.basename(source))
        if not request.follow:
            _require_below(folder, destination)
        is_named = False
    if request.format and not is_named:
        from convfilter.cli.names import check_suffixes

        check_suffixes(request, [destination])
    return source, destination


def _require_below(folder: str, destination: str) -> None:
    from convfilter.picture.place.atomic import require_below

    try:
        require_below(folder, destination)
    except WriteError as error:
        error.about(destination)
        raise


def _require_pipe(stream: TextIO, terminal: str) -> None:
    from convfilter.cli.standard_streams import ClosedStream

    if isinstance(stream, ClosedStream):
        raise misused(f"{stream.name} is closed; name a file, or use a pipe")
    if stream.isatty():
        raise misused(f"{terminal}; name a file, or use a pipe")
