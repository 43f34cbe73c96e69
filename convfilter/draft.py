"""Drafts: a picture file with a stack of filters, which runs only when the result is requested."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal, Unpack

import numpy as np
import numpy.typing as npt

from convfilter import pipeline
from convfilter.errors import ParameterError, PictureError, UsageError, WriteError, about, shown
from convfilter.filters import stack
from convfilter.filters.kernel import Kernel, from_array
from convfilter.filters.operators import Correlation
from convfilter.filters.stage import Stage
from convfilter.keywords import (
    FloatPair,
    IntPair,
    PaddingLike,
    PoolStageKeywords,
    StageKeywords,
    documented,
    pair_of,
    real,
    require_known,
    require_threads,
    stage_values,
    stages_of,
    whole_pair,
)
from convfilter.picture.options import ReadOptions, WriteOptions
from convfilter.picture.picture import Picture
from convfilter.picture.pixels import Pixels
from convfilter.picture.place.target import resolve_target
from convfilter.picture.read import opened
from convfilter.pipeline.job import Job
from convfilter.planning import Plan
from convfilter.record import cached_property

if TYPE_CHECKING:
    from convfilter.report.views import View

_READ, _WRITE = ReadOptions(), WriteOptions()
#: Name of a file in a format that can store every result, for results that are not written.
_ANY_FORMAT = "result.tif"
#: Longest side of a picture in a notebook, in pixels.
_SIDE = 1200
#: Most bytes of each picture in a notebook cell.
_CELL_BYTES = 400 << 10
_POOLS = ("max", "min", "average")
#: Defaults of the unsharp mask, which a SPEC leaves out.
_UNSHARP = {"amount": 1.0, "threshold": 0.0}


def open(where: str | os.PathLike[str], options: ReadOptions = _READ) -> Draft:
    """Open a picture file; filters are added, and computed together at the end.

    Parameters
    ----------
    where : path, or address (s3://...)
    options : ReadOptions, optional

    Returns
    -------
    Draft
        Its methods add filters, and ``write`` filters the picture into a file. Results are rounded once; rows are
        streamed where the formats allow it.

    Raises
    ------
    ReadError
        The file does not exist, or its header is not that of a picture.
    ParameterError
        ``where`` is not a path.

    Examples
    --------
    >>> import convfilter, os, tempfile
    >>> folder = tempfile.mkdtemp()
    >>> source = os.path.join(folder, "in.png")
    >>> _ = convfilter.write(source, np.full((6, 8), 7, np.uint8))
    >>> draft = convfilter.open(source).blur(1).pool("max", 2)
    >>> draft.array().shape
    (3, 4)
    >>> _ = draft.write(os.path.join(folder, "out.png"))
    """
    if not isinstance(where, (str, os.PathLike)) or os.fspath(where) == "-":
        raise ParameterError(
            f"open takes the path of a picture, got {shown(where)}; arrays go through convfilter.apply"
        )
    draft = Draft(str(os.fspath(where)), read=options)
    with about(where), opened(draft.source, options):
        return draft


class Draft:
    """A picture file and a stack of filters; each method that adds a filter returns a new draft.

    Attributes
    ----------
    source : str
        The path of the picture.
    stages : tuple of Stage
        The stack, first to last.
    """

    def __init__(
        self,
        source: str,
        stages: tuple[Stage, ...] = (),
        *,
        linear: bool = False,
        gray: bool = False,
        read: ReadOptions = _READ,
    ) -> None:
        self.source, self.stages = source, stages
        self._linear, self._gray, self._read = linear, gray, read

    @documented(StageKeywords)
    def blur(self, sigma: FloatPair, **keywords: Unpack[StageKeywords]) -> Draft:
        """Add a Gaussian blur; ``sigma`` is a number of pixels, or (rows, cols).

        Raises
        ------
        ParameterError
            A parameter is out of range.
        """
        return self._with(f"gaussian:{_pair(sigma, 'sigma')}", keywords)

    @documented(StageKeywords)
    def box(self, size: IntPair, **keywords: Unpack[StageKeywords]) -> Draft:
        """Add the mean of a window of ``size`` (rows, cols).

        Raises
        ------
        ParameterError
            A parameter is out of range.
        """
        return self._with(f"box:{_pair(whole_pair(size, 'size'), 'size')}", keywords)

    @documented(StageKeywords)
    def edges(
        self,
        kind: Literal["sobel", "scharr", "prewitt", "roberts", "laplacian"] = "sobel",
        axis: Literal["x", "y", "magnitude", "orientation"] = "magnitude",
        **keywords: Unpack[StageKeywords],
    ) -> Draft:
        """Add an edge filter; the Laplacian has no axis.

        Raises
        ------
        UsageError
            The kind or the axis does not exist.
        """
        known = ("sobel", "scharr", "prewitt", "roberts", "laplacian")
        if not isinstance(kind, str) or kind not in known:
            raise ParameterError(f"kind must be one of {', '.join(known)}, got {shown(kind)}")
        return self._with(kind if kind == "laplacian" else f"{kind}:{axis}", keywords)

    @documented(StageKeywords)
    def sharpen(
        self, sigma: FloatPair = 1.0, amount: float = 1.0, threshold: float = 0.0, **keywords: Unpack[StageKeywords]
    ) -> Draft:
        """Add an unsharp mask; see :func:`convfilter.unsharp_mask`.

        Raises
        ------
        ParameterError
            A parameter is out of range.
        """
        others = {"amount": amount, "threshold": threshold}
        items = "".join(f",{name}={_text(value, name)}" for name, value in others.items() if value != _UNSHARP[name])
        return self._with(f"unsharp:{_pair(sigma, 'sigma')}{items}", keywords)

    @documented(StageKeywords)
    def convolve(
        self, kernel: npt.ArrayLike | Kernel, *, normalize: bool = False, **keywords: Unpack[StageKeywords]
    ) -> Draft:
        """Add a kernel of weights, (K_h, K_w); ``normalize`` divides the weights of an array by their sum.

        Raises
        ------
        KernelFileError
            There are no weights, a weight is not finite, or the sum to divide by is 0.
        ParameterError
            A keyword is out of range.
        """
        require_known(keywords, StageKeywords)
        weights = kernel if isinstance(kernel, Kernel) else from_array(kernel, normalize=normalize)
        return self._and(Stage(Correlation(weights), name="convolve", **stage_values(keywords)))

    @documented(PoolStageKeywords)
    def pool(
        self,
        kind: Literal["max", "min", "average"],
        size: IntPair,
        stride: IntPair | None = None,
        padding: PaddingLike = 0,
        **keywords: Unpack[PoolStageKeywords],
    ) -> Draft:
        """Add the largest, the least or the mean sample of each window of ``size``, which is also the default stride.

        Raises
        ------
        ParameterError
            A parameter is out of range.
        """
        require_known(keywords, PoolStageKeywords)
        if kind not in _POOLS:
            raise ParameterError(f"kind must be one of {', '.join(_POOLS)}, got {shown(kind)}")
        rows, cols = whole_pair(size, "size")
        geometry: StageKeywords = {"stride": (rows, cols) if stride is None else stride, "padding": padding}
        name = "avg" if kind == "average" else kind
        return self._with(f"{name}pool:{_pair((rows, cols), 'size')}", {**geometry, **keywords})

    def apply(self, *specs: str | Stage) -> Draft:
        """Add filters as :func:`convfilter.apply` takes them, such as ``"gabor:3,wavelength=8"``.

        Raises
        ------
        UsageError
            A spec does not parse, or a parameter is out of range.
        """
        return self._and(*stages_of(specs, {}))

    def linear(self) -> Draft:
        """Filter in linear light; the call may stand before or after any filter."""
        return self._changed(linear=True)

    def gray(self) -> Draft:
        """Take the luminance first; the call may stand before or after any filter."""
        return self._changed(gray=True)

    def write(
        self, where: str | os.PathLike[str], options: WriteOptions = _WRITE, *, threads: int | None = None
    ) -> tuple[str, ...]:
        """Filter the picture into a file, which is written completely or not at all.

        Parameters
        ----------
        where : path, or "-" for standard output
        options : WriteOptions, optional
        threads : int, optional
            At most this many; by default, one for each core.

        Returns
        -------
        tuple of str
            Notes about weights, reading, and losses in the output.

        Raises
        ------
        ReadError, WriteError, SizeError, UsageError
            As :func:`convfilter.read` and :func:`convfilter.write`; the input is never overwritten.
        """
        if not isinstance(where, (str, os.PathLike)):
            raise ParameterError(f"write takes a path, got {type(where).__name__}")
        require_threads(threads)
        chosen = self._options._replace(write=options, threads=threads, specs=self.stages or ("identity",))
        with self._named(where):
            return pipeline.filter_file(self.source, str(os.fspath(where)), chosen).notes

    def picture(self) -> Picture:
        """Filter the picture, and return the result with its metadata, at the depth of the file.

        Raises
        ------
        ReadError, SizeError, UsageError
            As :func:`convfilter.read`; or a stage leaves no output.
        """
        return self._run()[1]

    def array(self) -> Pixels:
        """Filter the picture, and return the samples of its first frame; see :meth:`picture`."""
        return self.picture().pixels

    def __array__(self, dtype: npt.DTypeLike | None = None, copy: bool | None = None) -> Pixels:
        return np.asarray(self.array(), dtype)

    def plan(self) -> Plan:
        """Plan the stack for the first frame: sizes, algorithms and cost; no sample is decoded.

        Raises
        ------
        UsageError
            No filter has been added.
        ReadError, SizeError
            As :func:`convfilter.read`; or a stage leaves no output.
        """
        if not self.stages:
            raise UsageError("a plan needs a filter: add one, as in .blur(4)")
        with self._named(None), opened(self.source, self._read) as picture:
            return self._planned(picture).plans[0]

    def __repr__(self) -> str:
        with self._named(None), opened(self.source, self._read) as picture:
            outline = picture.outline
            head = f"{self.source}: {outline.width}x{outline.height} {outline.kind} {outline.dtype}"
            if not self.stages:
                return head
            from convfilter.report import plan_text

            return "\n".join([head, *plan_text.lines(self._planned(picture).plans[0])])

    def _repr_png_(self) -> bytes:
        """Show the result in a notebook."""
        from convfilter.report.thumbnails import for_browsers

        picture = self._shown[0]
        return for_browsers(picture, max(1, -(-max(picture.pixels.shape[:2]) // _SIDE)))

    def _repr_html_(self) -> str | None:
        """Show before and after, and the plan, in a notebook; without filters, the picture."""
        from convfilter.report.cell import cell

        view = self._shown[1]
        if view is None:
            return None
        return cell(" → ".join(stage.name for stage in self.stages), self.source, view)

    @cached_property
    def _shown(self) -> tuple[Picture, View | None]:
        """Return the result as one picture, and its view; cached, since a notebook asks several times."""
        before, after, job = self._run()
        if job is None:
            return after, None
        from convfilter.report.views import Look, result_of

        view = Look(frozenset([self.source]), most_bytes=_CELL_BYTES)(self.source, before, after, job.plans, job.form)
        return result_of(after, job.plans[0], job.form)[0], view

    def _run(self) -> tuple[Picture, Picture, Job | None]:
        """Return the picture before and after, and the job."""
        with self._named(None), opened(self.source, self._read) as picture:
            if not self.stages:
                for frame in picture.frames:
                    frame.decode()
                return picture, picture, None
            job = self._planned(picture)
            job.decode()
            return picture, job.run(), job

    def _planned(self, picture: Picture) -> Job:
        job = Job(picture, resolve_target(_ANY_FORMAT), stack.stages(self.stages), self._options)
        job.plan()
        return job

    @property
    def _options(self) -> pipeline.Options:
        return pipeline.Options(self.stages, gray=self._gray, linear=self._linear, read=self._read)

    @contextmanager
    def _named(self, destination: str | os.PathLike[str] | None) -> Iterator[None]:
        """Name the file in errors: the source, or the destination if it cannot be written."""
        try:
            yield
        except PictureError as error:
            is_output = isinstance(error, WriteError) and destination is not None
            with about(destination if is_output else self.source):
                raise error

    def _with(self, spec: str, keywords: StageKeywords | PoolStageKeywords) -> Draft:
        """Add a filter as text; the parser refuses values that are not numbers."""
        require_known(keywords, StageKeywords)
        return self._and(*stack.stages([spec], **stage_values(keywords)))

    def _and(self, *stages: Stage) -> Draft:
        if self.stages and self.stages[-1].map is not None:
            raise UsageError("map is for the last filter alone, whose result is stored; leave it out before others")
        return self._changed(stages=(*self.stages, *stages))

    def _changed(self, **changes: Any) -> Draft:
        fields: dict[str, Any] = {"stages": self.stages, "linear": self._linear, "gray": self._gray, "read": self._read}
        return Draft(self.source, **(fields | changes))


def _pair(value: FloatPair, name: str) -> str:
    """Format (rows, cols) for a SPEC: WIDTHxHEIGHT, or one number for both."""
    rows, cols = (_text(each, name) for each in pair_of(value, name))
    return rows if rows == cols else f"{cols}x{rows}"


def _text(number: Any, name: str) -> str:
    """Format a number exactly for a SPEC."""
    value = real(number, name)
    return str(int(value)) if value.is_integer() else repr(value)
