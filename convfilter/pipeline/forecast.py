"""Forecast a run on a picture without running it."""

from __future__ import annotations

from convfilter.filters import stack
from convfilter.picture import formats
from convfilter.picture.outline import Outline
from convfilter.picture.place.target import Target
from convfilter.picture.read import opened
from convfilter.pipeline.job import Job
from convfilter.pipeline.options import Options
from convfilter.pipeline.steps import described, with_size_check
from convfilter.planning import Plan
from convfilter.record import NamedTuple


class Forecast(NamedTuple):
    """The outline of a result before it is computed, and the plans that compute it.

    Attributes
    ----------
    before, after : str
        Size, kind and depth, as in a `pipeline.Report`.
    plans : list of Plan
        One for each frame.
    outline : Outline
        Of the result.
    format : str
        Output format.
    not_streamed : str
        Why samples are decoded or encoded all at once, as in a `pipeline.Report`.
    notes : tuple of str
        Notes of the run.
    """

    before: str
    after: str
    plans: list[Plan]
    outline: Outline
    format: str
    not_streamed: str
    notes: tuple[str, ...]


def forecast(source: str, options: Options) -> Forecast:
    """Forecast a run that keeps the picture's format, or writes TIFF if that is read-only.

    Parameters
    ----------
    source : str
        A path, an address, or "-" for standard input.
    options : Options

    Returns
    -------
    Forecast

    Raises
    ------
    UsageError, PictureError
        As `pipeline.filter_file`.
    """
    stages = stack.stages(options.specs, **options.defaults)
    with opened(source, with_size_check(options.read, stages)) as picture:
        fmt = formats.by_name(picture.format or "") or formats.by_name("TIFF")
        assert fmt is not None
        job = Job(picture, Target("-", fmt), stages, options)
        job.plan()
        return Forecast(
            before=described(picture.outline),
            after=described(job.result),
            plans=job.plans,
            outline=job.result,
            format=fmt.name,
            not_streamed=job.streaming.remark,
            notes=tuple(dict.fromkeys((*stack.remarks(stages), *job.notes))),
        )
