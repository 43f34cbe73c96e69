"""Options of filtering one picture, from file to file."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from convfilter.filters.spec import FilterSpec
from convfilter.filters.stage import Stage
from convfilter.picture.options import ReadOptions, WriteOptions
from convfilter.picture.picture import Picture
from convfilter.record import NamedTuple

if TYPE_CHECKING:
    from convfilter.executor.masked import Masking
    from convfilter.pipeline.contact_sheet import Form
    from convfilter.planning import Plan


class Options(NamedTuple):
    """Options of filtering pictures.

    Attributes
    ----------
    specs : sequence of str, FilterSpec or Stage
        The stack, first to last.
    defaults : mapping
        Defaults for fields of ``Stage``; see ``stack.stages``.
    gray : bool
        Filter the luminance, which is computed first.
    algorithm : str, or None
        Name of the algorithm to use in place of the cheapest.
    threads : int, or None
        Largest number of threads; None: one for each core.
    in_place : bool
        Whether the output may be the input.
    linear : bool
        Filter in linear light.
    keep_time : bool
        Give the output the time of the input.
    sheet : bool
        Write a sheet of labelled maps, one for each channel.
    masking : Masking, or None
        Selects ignored pixels.
    plan : callable, or None
        Function that plans a stack in place of ``plan_stack``, such as a function with a cache.
    explain : callable, or None
        Called with the plans, one for each frame, before they run.
    before_writing : callable, or None
        Called with the destination once the result exists.
    look : callable, or None
        Called with the destination, the picture before and after, the plans and the form of the result; its
        return value goes into the report.
    digests : bool
        Whether to compute digests of each input and output, for batches.
    read : ReadOptions
    write : WriteOptions
    """

    specs: Sequence[str | FilterSpec | Stage]
    defaults: Mapping[str, Any] = MappingProxyType({})
    gray: bool = False
    algorithm: str | None = None
    threads: int | None = None
    in_place: bool = False
    linear: bool = False
    keep_time: bool = False
    sheet: bool = False
    masking: Masking | None = None
    plan: Callable[..., Plan] | None = None
    explain: Callable[[Sequence[Plan]], None] | None = None
    before_writing: Callable[[str], None] | None = None
    look: Callable[[str, Picture, Picture, Sequence[Plan], Form], Any] | None = None
    digests: bool = False
    read: ReadOptions = ReadOptions()
    write: WriteOptions = WriteOptions()
