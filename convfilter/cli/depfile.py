"""The file of ``--depfile``."""

from __future__ import annotations

from collections.abc import Sequence

from convfilter.batch import depfile
from convfilter.batch.search import Job
from convfilter.cli.request import Request, require_files
from convfilter.errors import UsageError, WriteError


def write_depfile(request: Request, jobs: Sequence[Job]) -> None:
    """Write the rules of ``--depfile``, unless this is a dry run.

    Raises
    ------
    UsageError
        A name is "-", contains a line end, or is an address, or outputs are their own inputs.
    WriteError
        The file cannot be written.
    """
    path = str(request.depfile)
    if request.in_place:
        raise UsageError("--depfile names what outputs depend on, and with --in-place each would depend on itself")
    require_files("depfile", jobs)
    if any("-" in job for job in jobs):
        raise UsageError("'-' is a pipe, and --depfile is for files; give file names")
    if request.dry_run:
        return
    others = [*depfile.files_of(request.specs), *filter(None, (request.mask, request.config))]
    try:
        depfile.write(path, jobs, others, sidecars=not request.strip, follow=request.follow)
    except WriteError as error:
        error.about(path)
        raise
