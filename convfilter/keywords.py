"""Keywords that the functions on arrays share, and their conversion to stages and plans.

Pairs are (rows, cols), or one number for both.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias, TypedDict, TypeVar

import numpy as np
import numpy.typing as npt

from convfilter.errors import ParameterError, shown
from convfilter.filters.checks import is_whole_number, require_flag
from convfilter.filters.stage import Padding, PaddingModes, Stage, ToneMap
from convfilter.guide_pictures import with_guides
from convfilter.locks import import_before_handlers
from convfilter.planning import ALGORITHMS, Plan
from convfilter.planning.plan_cache import cached_plan

if TYPE_CHECKING:
    from convfilter.executor.masked import Masking


IntPair: TypeAlias = int | tuple[int, int]
FloatPair: TypeAlias = float | tuple[float, float]
PaddingLike: TypeAlias = (
    str | int | tuple[int, int] | tuple[int, int, int, int] | tuple[tuple[int, int], tuple[int, int]]
)

#: Keywords that are True or False.
_FLAGS = frozenset({"ceil", "flip", "alpha", "premultiplied", "gray", "fill"})


class PoolStageKeywords(TypedDict, total=False):
    """Keywords that every stage takes; see :class:`FilterKeywords`."""

    dilation: IntPair
    ceil: bool
    scale: float
    offset: float
    map: ToneMap | None


class StageKeywords(PoolStageKeywords, total=False):
    """Keywords that every stage with weights takes; see :class:`FilterKeywords`."""

    stride: IntPair
    padding: PaddingLike
    padding_mode: PaddingModes
    padding_value: float
    flip: bool


class RunKeywords(TypedDict, total=False):
    """Keywords of the functions on arrays; see :class:`FilterKeywords`."""

    dtype: npt.DTypeLike | None
    out: npt.NDArray[Any] | None
    alpha: bool
    premultiplied: bool
    gray: bool
    threads: int | None
    algorithm: str | None
    ignore: float | str | None
    mask: npt.ArrayLike | None
    fill: bool


class ScaledKeywords(RunKeywords, total=False):
    """Keywords of filters that state their geometry themselves; see :class:`FilterKeywords`."""

    scale: float
    offset: float
    map: ToneMap | None


class TransposedKeywords(ScaledKeywords, total=False):
    """Keywords of transposed convolutions; see :class:`FilterKeywords`."""

    dilation: IntPair


class PoolKeywords(PoolStageKeywords, RunKeywords, total=False):
    """Keywords of the pooling functions; see :class:`FilterKeywords`."""


class FilterKeywords(StageKeywords, RunKeywords, total=False):
    """Keywords that every filter takes.

    Attributes
    ----------
    stride : int or (rows, cols), default 1
        Distance in pixels between two outputs, at least 1.
    padding : str, int, (rows, cols), ((top, bottom), (left, right)) or (left, top, right, bottom), default "same"
        Pixels added around the image. "same" keeps the size at stride 1, "valid" adds none, "full" adds all that a
        window can reach. "same_upper" gives ceil(size / stride) outputs, as TensorFlow's and ONNX's SAME; "same_lower"
        puts the extra pixel of an odd total before the image.
    padding_mode : {"edge", "constant", "reflect", "symmetric", "wrap"} or (rows, cols) of these, default "edge"
        Values of the added pixels, as in ``numpy.pad``. With ("edge", "wrap"), those above and below repeat the edge,
        and those left and right wrap round.
    padding_value : float, default 0
        Value for "constant", in the image's sample units; without a mode, it sets the mode to "constant". Padding of
        the value of ``ignore``, also NaN, is ignored.
    dilation : int or (rows, cols), default 1
        Distance in pixels between two taps, at least 1.
    ceil : bool, default False
        Round sizes up: a last window that begins on the image counts although it ends beyond the padding.
    flip : bool, default False
        Rotate the kernel by 180 degrees: convolution instead of cross-correlation.
    scale, offset : float, default 1 and 0
        The result is ``scale * sum + offset * full scale`` (255, 65535 or 1.0).
    map : {"clip", "abs", "offset", "stretch"}, optional
        How signed results are stored. By default edge filters store their magnitude, other filters clip; a float32
        result is stored unchanged.
    dtype : dtype, optional
        ``numpy.float32`` gives the raw values on the image's scale; by default
        the result has the image's type.
    out : array, optional
        Array for the result, of its shape; without ``dtype``, the result has its type. It is returned, too, and may be
        the image itself. Calls in a loop are faster with one array than with a new one each.
    alpha : bool, default False
        The last of 2 or 4 channels is alpha.
    premultiplied : bool, default False
        Colours are multiplied by alpha, as some TIFFs store them, in the image and in the result.
    gray : bool, default False
        Take the luminance (ITU-R BT.601) of three colour channels first.
    threads : int, optional
        At most this many; by default, one for each core.
    algorithm : str, optional
        Method to use, by default the fastest.
    ignore : float or "alpha=0", optional
        Ignored pixels: all colours have this value (NaN: a colour is NaN), or alpha is 0. Means are means of the other
        pixels, with the same weights; edges have no value where they would need an ignored pixel.
    mask : (H, W) array_like, optional
        Pixels are ignored where the mask is 0.
    fill : bool, default False
        Compute values for ignored pixels, too. Pixels without a value become ``ignore``, else NaN or 0.
    """


#: Keywords of any function.
Keywords: TypeAlias = (
    FilterKeywords | PoolKeywords | TransposedKeywords | StageKeywords | PoolStageKeywords | RunKeywords
)
Function = TypeVar("Function", bound=Callable[..., Any])


def documented(keywords: type[Keywords]) -> Callable[[Function], Function]:
    """Append the descriptions of its keywords to a function's docstring, as ``help()`` shows it."""

    def append(function: Function) -> Function:
        if function.__doc__ and FilterKeywords.__doc__:  # python -OO removes docstrings
            known = inspect.cleandoc(FilterKeywords.__doc__).partition("----------\n")[2].splitlines()
            lines, taken = [], False
            for line in known:
                if not line.startswith(" "):
                    taken = line.partition(" : ")[0].split(", ")[0] in keywords.__annotations__
                lines += [f"{line}\n"] * taken
            section = "".join(["Other Parameters\n", "----------------\n", *lines])
            function.__doc__ = f"{inspect.cleandoc(function.__doc__)}\n\n{section}"
        return function

    return append


def stages_of(specs: Sequence[str | Stage], keywords: FilterKeywords) -> tuple[Stage, ...]:
    """Convert filters and the keywords of :func:`convfilter.apply` to stages."""
    import_before_handlers()
    from convfilter.filters import stack

    for spec in specs:
        if not isinstance(spec, (str, Stage)):
            raise ParameterError(
                "filters are texts after the image: apply(image, 'gaussian:4', 'box:3'), or apply(image, *filters); "
                f"got {type(spec).__name__}"
            )
    return tuple(with_guides(stack.stages(specs, **stage_values(keywords))))


def planned(
    stages: Sequence[Stage],
    shape: tuple[int, ...],
    image_dtype: np.dtype[Any],
    keywords: RunKeywords,
    white: float | None = None,
) -> Plan:
    """Plan stages with the keywords of a function on arrays; ``white`` is None for the full scale of the type.

    Raises
    ------
    ParameterError, SizeError
    """
    dtype, algorithm = dtype_of(keywords), keywords.get("algorithm")
    if algorithm is not None and not isinstance(algorithm, str):
        raise ParameterError(f"algorithm must be one of {', '.join(ALGORITHMS)}, got {shown(algorithm)}")
    if dtype is not None and dtype not in (np.dtype(np.float32), np.dtype(np.float64), image_dtype):
        raise ParameterError(f"dtype must be float32, float64 or the image's own, got {dtype}")
    return cached_plan(
        stages,
        shape,
        image_dtype,
        out_dtype=dtype,
        alpha=keywords.get("alpha", False),
        premultiplied=keywords.get("premultiplied", False),
        gray=keywords.get("gray", False),
        algorithm=algorithm,
        white=white,
        out_white=white,
    )


def dtype_of(keywords: RunKeywords) -> np.dtype[Any] | None:
    """Return the keyword ``dtype`` as a NumPy type; refuse a value that names no type."""
    dtype = keywords.get("dtype")
    try:
        return None if dtype is None else np.dtype(dtype)
    except TypeError:
        raise ParameterError(f"dtype must be float32, float64 or the image's own, got {shown(dtype)}") from None


def masking_of(keywords: Keywords, mask: Any) -> Masking:
    """Return the selection of ignored pixels; ``mask`` is the keyword as an array of any library.

    Raises
    ------
    ParameterError
        ``ignore`` is no value, or the call names an algorithm.
    """
    from convfilter.executor.masked import Masking

    if keywords.get("algorithm") is not None:
        raise ParameterError("ignored pixels need an algorithm of their own; leave out algorithm, or ignore and mask")
    ignore: Any = keywords.get("ignore")
    return Masking(ignore, mask)


def stage_values(keywords: Keywords) -> dict[str, Any]:
    """Return the keywords of a stage, with pairs and padding in the stage's own form."""
    require_known(keywords, FilterKeywords)
    _require_types(keywords)
    values: dict[str, Any] = {
        name: value for name, value in keywords.items() if name not in RunKeywords.__annotations__
    }
    for name in ("stride", "dilation"):
        if name in values:
            values[name] = whole_pair(values[name], name)
    if "padding" in values:
        values["padding"] = _padding(values["padding"])
    modes = values.get("padding_mode")
    if isinstance(modes, list) and len(modes) == 2:
        values["padding_mode"] = tuple(modes)
    if "padding_value" in values:
        values.setdefault("padding_mode", "constant")
    return values


def _require_types(keywords: Keywords) -> None:
    """Refuse flags and a number of threads of another type; a flag may be a number, too."""
    for name in _FLAGS & keywords.keys():
        require_flag(name, keywords[name])  # type: ignore[literal-required]
    require_threads(keywords.get("threads"))


def require_threads(threads: Any) -> None:
    """Refuse a number of threads that is neither None nor an integer."""
    if threads is not None and not is_whole_number(threads):
        raise ParameterError(f"threads must be a whole number or None, got {shown(threads)}")


def require_known(keywords: Keywords, known: type[Keywords]) -> None:
    """Refuse an unknown keyword, as Python does."""
    unknown = keywords.keys() - known.__annotations__.keys()
    if unknown:
        raise TypeError(f"unexpected keyword {min(unknown)!r}; this filter takes {', '.join(known.__annotations__)}")


def _padding(padding: PaddingLike) -> Padding:
    if isinstance(padding, np.ndarray):
        padding = padding.tolist()
    if isinstance(padding, str):
        return padding
    if isinstance(padding, tuple | list) and len(padding) == 4:  # in a SPEC's order
        left, top, right, bottom = (whole(side, "padding") for side in padding)
        return top, bottom, left, right
    rows, cols = pair_of(padding, "padding")
    (top, bottom), (left, right) = whole_pair(rows, "padding"), whole_pair(cols, "padding")
    return top, bottom, left, right


def pair_of(value: Any, name: str) -> tuple[Any, Any]:
    """Return (rows, cols) of a pair, or of one number for both."""
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if isinstance(value, tuple | list):
        if len(value) != 2:
            raise ParameterError(f"{name} must be one number or (rows, cols), got {shown(value)}")
        return value[0], value[1]
    return value, value


def real(value: Any, name: str) -> float:
    """Return a number of any real type; refuse others."""
    if isinstance(value, bool) or not isinstance(value, int | float | np.integer | np.floating):
        raise ParameterError(f"{name} must be a number, got {shown(value)}")
    return float(value)


def whole_pair(value: Any, name: str) -> tuple[int, int]:
    """Return (rows, cols) of a pair of integers, or of one integer for both."""
    pair = pair_of(value, name)
    return whole(pair[0], name), whole(pair[1], name)


def whole(value: Any, name: str) -> int:
    """Return an integer; refuse others."""
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise ParameterError(f"{name} must be a whole number, got {shown(value)}")
    return int(value)
