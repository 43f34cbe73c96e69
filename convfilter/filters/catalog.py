"""The catalogue: one row for each filter, with its parameters, units, limits, help, example and builder.

The parser, the options of the command line and ``convfilter kernel list`` all read these rows. A new filter takes
weights in ``kernels.py``, a row here, and a test. Builders import ``kernels`` when they are called, since it imports
NumPy, which help texts do not need.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal

from convfilter.errors import ParameterError, shown
from convfilter.filters.network_rows import NETWORK_ROWS
from convfilter.filters.operators import (
    Canny,
    Compass,
    Correlation,
    Gradient,
    Operator,
    Orientation,
    Pooling,
    UnsharpMask,
)
from convfilter.filters.parameters import Choice, Flag, Number, OrWord, Parameter, Text
from convfilter.filters.point_rows import POINT_ROWS
from convfilter.filters.row import DEFAULTS_OF_POOLING, OF_POOLING, SIGMA, SIZE, STAGE_PARAMETERS, Filter
from convfilter.filters.sampled_rows import ORIENTATION, SAMPLED_ROWS
from convfilter.filters.stage import Stage
from convfilter.filters.window_rows import WINDOW_ROWS

__all__ = ["FILTERS", "STAGE_PARAMETERS", "Filter"]


def _gaussian(sigma: tuple[float, float], truncate: float | None) -> Stage:
    from convfilter.filters import kernels

    return Stage(Correlation(kernels.gaussian(*sigma, truncate)))


def _box(size: tuple[int, int]) -> Stage:
    from convfilter.filters import kernels

    return Stage(Correlation(kernels.box(*size)))


def _edges(family: str) -> Callable[..., Stage]:
    def build(axis: str, size: str = "3") -> Stage:
        from convfilter.filters import kernels

        x, y = (kernels.derivative(family, name, int(size)) for name in "xy")
        operator: Operator
        if axis == "magnitude":
            operator = Gradient(x, y)
        elif axis == "orientation":
            operator = Orientation(x, y)
        else:
            operator = Correlation(x if axis == "x" else y)
        return Stage(operator, signed=True)

    return build


def _compass(family: str) -> Callable[[], Stage]:
    def build() -> Stage:
        from convfilter.filters import kernels

        return Stage(Compass(kernels.compass(family)), signed=True)

    return build


def _laplacian() -> Stage:
    from convfilter.filters import kernels

    return Stage(Correlation(kernels.laplacian()), signed=True)


def _unsharp(sigma: tuple[float, float], amount: float, threshold: float) -> Stage:
    from convfilter.filters import kernels

    return Stage(UnsharpMask(kernels.gaussian(*sigma), amount, threshold))


def _kernel(file: str, normalize: bool) -> Stage:
    from convfilter.filters import kernel_files

    loaded = kernel_files.load(file, normalize=normalize)
    return Stage(Correlation(loaded.kernel, loaded.shift, loaded.remark), offset=loaded.offset)


def _identity() -> Stage:
    from convfilter.filters import kernels

    return Stage(Correlation(kernels.identity()))


def _pool(kind: Literal["max", "min", "average"]) -> Callable[..., Stage]:
    def build(size: tuple[int, int] | None, count_padding: bool = False) -> Stage:
        return Stage(Pooling(kind, size, count_padding), stride=size or (1, 1), padding="valid")

    return build


def _power_pool(size: tuple[int, int] | None, p: float) -> Stage:
    return Stage(Pooling("power", size, power=p), stride=size or (1, 1), padding="valid")


_SIZE_OF_BOX = Parameter("size", SIZE, "Side of the window; N, or WIDTHxHEIGHT.", None, "px")
_SIZE_OR_WHOLE = _SIZE_OF_BOX._replace(
    kind=OrWord(SIZE, "global", None),
    help="Side of the window, and the stride unless set; N, WIDTHxHEIGHT, or global: the whole picture.",
)


def _edge_row(family: str, smooth: str, source: str, name: str = "", difference: str = "1 0 -1") -> Filter:
    axes = Choice(("x", "y", "magnitude", "orientation"))
    axis = Parameter("axis", axes, f"x finds vertical edges, y horizontal ones; {ORIENTATION}.", "magnitude")
    formula = f"x = [{smooth}]' [{difference}], y its transpose, magnitude = sqrt(x^2 + y^2)"
    size = Parameter(
        "size", Choice(("3", "5", "7")), "Side of the kernels; 5 and 7 are OpenCV's, with the sign of size 3.", "3"
    )
    parameters = (axis, size) if family == "sobel" else (axis,)
    summary = f"Edges, {name or family.title()}."
    return Filter(family, summary, formula, f"{family}:x", _edges(family), parameters, source=source)


def _canny(sigma: str, low: float | None, high: float | None) -> Stage:
    """Build Canny's edges; the text ``sigma`` is one number, or all three."""
    try:
        numbers = [Number("NUMBER", minimum=0).parse(part.strip()) for part in sigma.split(",")]
    except ValueError as error:
        raise ParameterError(f"each of canny SIGMA, LOW and HIGH {error}, got {shown(sigma)}") from None
    for threshold in (low, high):
        numbers += [] if threshold is None else [threshold]
    if len(numbers) not in (1, 3):
        raise ParameterError(f"canny takes SIGMA, or SIGMA,LOW,HIGH, got {len(numbers)} numbers")
    return Stage(Canny(numbers[0], numbers[1], numbers[2]) if len(numbers) > 1 else Canny(numbers[0]))


def _compass_row(name: str, pattern: str, source: str) -> Filter:
    summary = f"Edges, {name.title()}'s compass: the strongest of eight directions."
    return Filter(name, summary, f"max over eight rotations of {pattern}", name, _compass(name), source=source)


FILTERS: Mapping[str, Filter] = {
    row.name: row
    for row in (
        Filter(
            "gaussian",
            "Gaussian blur.",
            "exp(-x^2 / (2 sigma^2)), normalised to sum 1",
            "gaussian:4x2",
            _gaussian,
            (
                Parameter("sigma", SIGMA, "Standard deviation; N, or XxY. 0 does not blur along an axis.", None, "px"),
                Parameter(
                    "truncate",
                    Number(minimum=0, above=True, maximum=100),
                    "Radius at which the kernel is cut, as in scipy.ndimage. Default: the whole Gaussian, 6 sigma.",
                    unit="sigma",
                ),
            ),
            source="Lindeberg, Scale-space for discrete signals, 1990: the sampled Gaussian",
        ),
        Filter(
            "box",
            "Mean of a window.",
            "all weights 1 / (width height)",
            "box:5x3",
            _box,
            (_SIZE_OF_BOX,),
            source="McDonnell, Box-filtering techniques, 1981",
        ),
        _edge_row("sobel", "1 2 1", "Sobel and Feldman, A 3x3 isotropic gradient operator for image processing, 1968"),
        _edge_row("scharr", "3 10 3", "Scharr, Optimal operators in digital image processing, 2000"),
        _edge_row("prewitt", "1 1 1", "Prewitt, Object enhancement and extraction, 1970"),
        _edge_row(
            "freichen",
            "1 sqrt(2) 1",
            "Frei and Chen, Fast boundary detection, 1977: the isotropic gradient, over 2 sqrt(2)",
            "Frei and Chen",
        ),
        _edge_row(
            "farid",
            "0.038 0.249 0.426 0.249 0.038",
            "Farid and Simoncelli, Differentiation of discrete multidimensional signals, 2004",
            "Farid and Simoncelli",
            "0.110 0.277 0 -0.277 -0.110",
        ),
        _compass_row("kirsch", "5 5 5; -3 0 -3; -3 -3 -3", "Kirsch, Computer determination of structure, 1971"),
        _compass_row("robinson", "1 2 1; 0 0 0; -1 -2 -1", "Robinson, Edge detection by compass gradient masks, 1977"),
        Filter(
            "canny",
            "Canny's edges: white lines one pixel wide on black.",
            "Gaussian; ridges of Sobel's gradient; those above HIGH, and those above LOW that are connected to them",
            "canny:1.4,0.1,0.2",
            _canny,
            (
                Parameter(
                    "sigma",
                    Text("SIGMA[,LOW,HIGH]"),
                    "Standard deviation of the blur; then both thresholds.",
                    "1",
                    "px",
                ),
                Parameter(
                    "low", Number("LEVEL", minimum=0), "Threshold of weak edges; 0.1 if left out.", unit="of full scale"
                ),
                Parameter(
                    "high",
                    Number("LEVEL", minimum=0),
                    "Threshold of strong edges; 0.2 if left out.",
                    unit="of full scale",
                ),
            ),
            (),
            source="Canny, A computational approach to edge detection, 1986; as scikit-image computes it",
        ),
        Filter(
            "laplacian",
            "Edges in all directions: sum of the second differences.",
            "0 1 0; 1 -4 1; 0 1 0",
            "laplacian",
            _laplacian,
            source="the five-point difference; Rosenfeld and Kak, Digital Picture Processing, 1976",
        ),
        Filter(
            "unsharp",
            "Sharpen by unsharp mask.",
            "image + amount (image - gaussian), where the difference reaches the threshold",
            "unsharp:2,amount=0.8",
            _unsharp,
            (
                Parameter("sigma", SIGMA, "Standard deviation of the blur; N, or XxY.", "1", "px"),
                Parameter("amount", Number("AMOUNT", minimum=0), "Strength.", "1"),
                Parameter(
                    "threshold",
                    Number("LEVEL", minimum=0, maximum=1),
                    "Do not sharpen differences below this level: they may be noise.",
                    "0",
                    "of full scale",
                ),
            ),
            source="Schreiber, Wirephoto quality improvement by unsharp masking, 1970",
        ),
        Filter(
            "kernel",
            "Your own weights.",
            "sum of weight times sample (cross-correlation; flip rotates the kernel by 180 degrees)",
            "kernel:1 2 1; 2 4 2; 1 2 1,normalize=true",
            _kernel,
            (
                Parameter("file", Text("FILE|WEIGHTS"), "A kernel file, or rows such as '1 2 1; 2 4 2; 1 2 1'.", None),
                Parameter("normalize", Flag(), "Divide by the sum of the weights.", "false"),
            ),
            source="Dumoulin and Visin, A guide to convolution arithmetic for deep learning, 2016",
        ),
        Filter(
            "maxpool",
            "Largest sample of each window.",
            "max over the window; padded cells are ignored",
            "maxpool:3,stride=2,padding=1",
            _pool("max"),
            (_SIZE_OR_WHOLE,),
            OF_POOLING,
            source="Riesenhuber and Poggio, Hierarchical models of object recognition in cortex, 1999",
            own_defaults=DEFAULTS_OF_POOLING,
        ),
        Filter(
            "minpool",
            "Smallest sample of each window.",
            "min over the window; padded cells are ignored",
            "minpool:3,stride=1,padding=1",
            _pool("min"),
            (_SIZE_OR_WHOLE,),
            OF_POOLING,
            source="erosion of grey pictures; Serra, Image Analysis and Mathematical Morphology, 1982",
            own_defaults=DEFAULTS_OF_POOLING,
        ),
        Filter(
            "avgpool",
            "Mean of each window.",
            "mean over the window; padded cells do not count, unless count_padding",
            "avgpool:2",
            _pool("average"),
            (
                _SIZE_OR_WHOLE,
                Parameter("count_padding", Flag(), "Padded cells count as zeros, as in PyTorch.", "false"),
            ),
            OF_POOLING,
            source="subsampling in LeCun et al., Gradient-based learning applied to document recognition, 1998",
            own_defaults=DEFAULTS_OF_POOLING,
        ),
        Filter(
            "lppool",
            "Root of the summed powers of each window.",
            "(sum over the window of |x|^p)^(1/p); padded cells add nothing",
            "lppool:3,p=2,stride=1,padding=1",
            _power_pool,
            (
                _SIZE_OR_WHOLE,
                Parameter("p", Number("P", minimum=0.125, maximum=64), "The power; 2 is the Euclidean length.", "2"),
            ),
            OF_POOLING,
            source="Gulcehre et al., Learned-norm pooling for deep feedforward and recurrent networks, 2014",
            own_defaults=DEFAULTS_OF_POOLING,
        ),
        Filter("identity", "The picture itself.", "one weight of 1", "identity", _identity, source="by definition"),
        *SAMPLED_ROWS,
        *POINT_ROWS,
        *NETWORK_ROWS,
        *WINDOW_ROWS,
    )
}
