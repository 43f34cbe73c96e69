"""Run a request on one file or many."""

from __future__ import annotations

from convfilter.cli.request import Request


def run_files(request: Request) -> int:
    """Filter the files of a command line; return the exit status."""
    if request.is_batch:
        from convfilter.cli.many import run_many as run
    else:
        from convfilter.cli.one import run_one as run
    status = run(request)
    from convfilter.cli import compiling

    compiling.compile_ahead()
    return status
