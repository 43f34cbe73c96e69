"""A parsed command line as one typed record; only this module reads click's parameters."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any

import click

from convfilter.cli.messages import tell
from convfilter.cli.options import stage_defaults
from convfilter.errors import UsageError
from convfilter.filters.spec import FilterSpec
from convfilter.picture.options import DEFAULT_MAX_PIXELS, Compression, Strip
from convfilter.picture.place.address import is_address, is_glob
from convfilter.record import record, replace

if TYPE_CHECKING:
    from convfilter import pipeline
    from convfilter.executor.masked import Masking
    from convfilter.picture.options import ReadOptions
    from convfilter.planning import Plan

#: Options that a configuration does not set for a pair of files, since they name the outputs of batches.
_NAMES_OF_MANY = ("ext", "suffix")
#: A pattern that the shell leaves unexpanded if no file matches.
_PATTERN = r"[*?]|\[.+\]"
#: Write options that only some formats take.
_OF_FORMATS = ("quality", "subsampling", "compression", "background")


@record(eq=False)
class Request:
    """One command line that filters files.

    Fields after the first four have the names of their options. None, False and () mean that an option was not given.

    Attributes
    ----------
    specs : tuple of str or FilterSpec
        The stack, first to last.
    stage : mapping
        Defaults for fields of ``Stage``, from the options of geometry and result.
    typed : frozenset of str
        Options on the command line; others come from a configuration or were not given.
    config : str, or None
        The configuration file in use.
    """

    specs: tuple[str | FilterSpec, ...]
    stage: Mapping[str, Any]
    typed: frozenset[str]
    config: str | None
    debug: bool
    files: tuple[str, ...]
    gray: bool
    linear: bool
    sheet: bool
    ignore: float | str | None
    mask: str | None
    fill: bool
    format: str | None
    quality: int | None
    subsampling: str | None
    compression: Compression | None
    strip: Strip | None
    background: str | None
    nan: float | None
    max_pixels: float | None
    allow_loss: bool
    strict: bool
    frame: int | None
    lenient: bool
    no_auto_orient: bool
    keep_time: bool
    in_place: bool
    output: str | None
    overwrite: bool
    no_clobber: bool
    threads: int | None
    algorithm: str | None
    recursive: bool
    into: str | None
    ext: str | None
    suffix: str | None
    exclude: tuple[str, ...]
    files_from: str | None
    null: bool
    jobs: int | None
    dask: str | None
    follow: bool
    fail_fast: bool
    update: bool
    no_log: bool
    dry_run: bool
    depfile: str | None
    json: bool
    progress: bool | None
    quiet: bool
    verbose: bool
    html: str | None
    explain: bool

    @property
    def is_pair(self) -> bool:
        """Whether the names are IN OUT, where OUT need not exist, rather than several inputs."""
        others = self.into or self.files_from or self.in_place
        return len(self.files) == 2 and not others and not any(map(_names_many, self.files))

    @property
    def is_batch(self) -> bool:
        """Whether the request is a batch; a run on one input and one output needs fewer modules."""
        return (
            # Any of these options makes a batch, even of one file.
            any((self.into, self.ext, self.suffix, self.files_from, self.dask))
            or any((self.null, self.update, self.dry_run))
            or len(self.files) > (1 if self.in_place else 2)
            or any(map(os.path.isdir, self.files[:1]))
            or any(name.endswith(os.sep) for name in self.files[-1:])
            or any(is_address(name) and _names_many(name) for name in self.files)
        )


def requested(specs: Iterable[str | FilterSpec], params: Mapping[str, Any]) -> Request:
    """Return the request of the command that click has parsed.

    Parameters
    ----------
    specs : iterable of str or FilterSpec
    params : mapping
        Click's parameters: option values by name.

    Returns
    -------
    Request

    Raises
    ------
    UsageError
        A stage option is invalid.
    """
    context = click.get_current_context()
    session = context.find_root().obj
    read = {
        "specs": tuple(specs),
        "stage": stage_defaults(params),
        "typed": frozenset(name for name in params if _is_typed(name, context)),
        "config": session.config,
        "debug": session.debug,
    }
    own = {name: params[name] for name in Request.__match_args__ if name not in read}
    request = _settled(Request(**read, **own))
    if request.is_pair:
        # Otherwise a configuration could turn OUT into an input.
        configured: dict[str, Any] = {name: None for name in _NAMES_OF_MANY if name not in request.typed}
        request = replace(request, **configured)
    return request


def _settled(request: Request) -> Request:
    """Resolve ``--output`` and options that exclude each other."""
    if request.output:
        given = [flag for flag, value in (("--into", request.into), ("--in-place", request.in_place)) if value]
        if given:
            raise misused(f"--output names the output; leave out {given[0]}")
        request = replace(request, files=(*request.files, request.output))
    request = replace(request, **_pipes(request))
    outputs = 0 if request.into or request.in_place or request.suffix or request.ext else 1
    for name in request.files[: len(request.files) - outputs]:
        if not (is_address(name) or os.path.lexists(name)) and re.search(_PATTERN, name):
            raise UsageError("no file matches this pattern", subject=name)
    if request.no_clobber and (request.overwrite or request.in_place):
        if "no_clobber" in request.typed:
            other = "--overwrite" if request.overwrite else "--in-place"
            raise misused(f"--no-clobber keeps existing outputs, {other} replaces them; leave one out")
        request = replace(request, no_clobber=False)
    return request


def _pipes(request: Request) -> dict[str, Any]:
    """Replace ``png:-``, ImageMagick's notation for a pipe, by ``-`` and the format."""
    from convfilter.picture import formats

    files, fields = list(request.files), {}
    for index, name in enumerate(files):
        prefix, colon, rest = name.partition(":")
        if colon and rest == "-" and formats.by_name(prefix) is not None and not os.path.lexists(name):
            files[index] = rest
            if index == len(files) - 1 and not request.format:
                fields["format"] = prefix
    return {**fields, "files": tuple(files)}


def _is_typed(name: str, context: click.Context) -> bool:
    return context.get_parameter_source(name) == click.core.ParameterSource.COMMANDLINE


def misused(problem: str) -> click.UsageError:
    """Return a usage error for an incomplete or contradictory command; its message ends with a hint to the help."""
    return click.UsageError(problem, click.get_current_context())


def _names_many(name: str) -> bool:
    """Whether a name is a folder, or an address that may stand for several pictures."""
    if is_address(name):
        return _may_be_many(name)
    return os.path.isdir(name) or name.endswith(os.sep)


def _may_be_many(address: str) -> bool:
    """Whether an address may stand for several pictures: a folder or a glob."""
    from convfilter.picture import formats

    return formats.by_suffix(os.path.splitext(address)[1]) is None or is_glob(address)


def require_files(option: str, jobs: Iterable[Iterable[str]]) -> None:
    """Refuse addresses with an option that needs paths: ``--update`` has a log, ``--depfile`` names files for make."""
    for name in chain.from_iterable(jobs):
        if is_address(name):
            raise UsageError(f"{name}: --{option} is for files; leave it out for addresses")


def pipeline_options(request: Request) -> pipeline.Options:
    """Return the pipeline's options, the same for every file."""
    from convfilter import pipeline
    from convfilter.cli import compiling
    from convfilter.native import object_code
    from convfilter.picture.options import ReadOptions, WriteOptions

    object_code.on_notice(compiling.notice)
    allow_loss, strict = _accepted(request)
    read = ReadOptions(
        max_pixels=int(request.max_pixels or DEFAULT_MAX_PIXELS),
        auto_orient=not request.no_auto_orient,
        frame=request.frame,
        lenient=request.lenient,
        threads=request.threads,
        allow_loss=allow_loss,
        strict=strict,
    )
    return pipeline.Options(
        specs=request.specs,
        defaults=request.stage,
        gray=request.gray,
        algorithm=request.algorithm,
        threads=request.threads,
        in_place=request.in_place,
        linear=request.linear,
        keep_time=request.keep_time,
        sheet=request.sheet,
        masking=_masking(request, read),
        explain=_explain if request.explain else None,
        read=read,
        write=WriteOptions(
            format=request.format,
            quality=request.quality,
            subsampling=request.subsampling,
            compression=request.compression or "default",
            strip=request.strip,
            background=request.background,
            nan=request.nan,
            threads=request.threads,
            where_taken=_where_taken(request),
            marked=True,
            allow_loss=allow_loss,
            strict=strict,
        ),
    )


def _masking(request: Request, read: ReadOptions) -> Masking | None:
    """Return the selection of ignored pixels; a small mask is read now, a large one with each picture."""
    if request.ignore is None and request.mask is None:
        if request.fill:
            raise UsageError("--fill computes ignored pixels; select them by --ignore or --mask")
        return None
    if request.algorithm is not None:
        raise UsageError(
            "--algorithm: ignored pixels need an algorithm of their own; leave it out, or --ignore and --mask"
        )
    from convfilter.executor.masked import Masking

    mask: Any = None
    if request.mask is not None:
        from convfilter.pipeline.mask_file import mask_of

        mask = mask_of(request.mask, read)
    ignore: Any = request.ignore
    return Masking(ignore, mask, request.fill, request.mask or "")


def _accepted(request: Request) -> tuple[bool, bool]:
    """Return whether losses are accepted and whether notes are errors; the command line overrides a configuration."""
    if request.allow_loss and request.strict:
        typed = [name for name in ("allow_loss", "strict") if name in request.typed]
        if len(typed) != 1:
            raise UsageError("--allow-loss accepts all losses, --strict none; leave one of them out")
        return typed == ["allow_loss"], typed == ["strict"]
    return request.allow_loss, request.strict


def _where_taken(request: Request) -> tuple[str, ...]:
    """Return the options that a format may ignore: all in a batch of many formats, else those of a configuration."""
    if request.is_batch and not (request.ext or request.format):
        return _OF_FORMATS
    return tuple(name for name in _OF_FORMATS if getattr(request, name) is not None and name not in request.typed)


def _explain(plans: Sequence[Plan]) -> None:
    """Print each plan once, on stderr since pictures may go to stdout, in one write since workers may print too."""
    from convfilter.report.plan_text import lines

    for plan in {id(plan): plan for plan in plans}.values():
        tell(*lines(plan), err=True)
