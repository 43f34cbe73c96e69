"""From a request to filtered files."""

from __future__ import annotations

from convfilter.cli.request import Request


def run_files(request: Request) -> int:
    """Filter the files of a command line; returns the exit status."""
    if request.is_batch:
        from convfilter.cli.many import run_many

        return run_many(request)
    from convfilter.cli.one import run_one

    return run_one(request)
