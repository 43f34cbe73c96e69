"""Rows of the catalogue: kernels sampled from formulas."""

from __future__ import annotations

from convfilter.filters.operators import Correlation, Gradient, Operator, Orientation
from convfilter.filters.parameters import Choice, Number, Parameter
from convfilter.filters.row import Filter
from convfilter.filters.stage import Stage

#: Largest sigma of kernels that are not separable: 601x601 weights.
_MOST_SIGMA_WHOLE = 50.0
_MOST_LENGTH = 601.0
ORIENTATION = "orientation shows the direction in which the luminance rises as hue, red to the right, by magnitude"

_AXES = ("x", "y", "magnitude", "orientation")
_SIGMA_WHOLE = Number("SIGMA", minimum=0.3, maximum=_MOST_SIGMA_WHOLE)
_ANGLE = Number("DEGREES", minimum=-360, maximum=360)


def _roberts(axis: str) -> Stage:
    from convfilter.filters import sampled

    x, y = sampled.roberts("x"), sampled.roberts("y")
    operator: Operator
    if axis == "orientation":
        operator = Orientation(x, y, turn=-0.125)
    else:
        operator = Gradient(x, y) if axis == "magnitude" else Correlation({"x": x, "y": y}[axis])
    return Stage(operator, signed=True)


def _derivative(sigma: float, order: int, axis: str) -> Stage:
    from convfilter.filters import sampled

    x, y = (sampled.gaussian_derivative(sigma, order, name) for name in "xy")
    operator: Operator = Gradient(x, y) if axis == "magnitude" else Correlation(x if axis == "x" else y)
    return Stage(operator, signed=True)


def _log(sigma: float) -> Stage:
    from convfilter.filters import sampled

    return Stage(Correlation(sampled.laplacian_of_gaussian(sigma)), signed=True)


def _dog(sigma: float, ratio: float) -> Stage:
    from convfilter.filters import sampled

    return Stage(Correlation(sampled.difference_of_gaussians(sigma, ratio)), signed=True)


def _gabor(sigma: float, wavelength: float, angle: float, phase: float, aspect: float) -> Stage:
    from convfilter.filters import sampled

    return Stage(Correlation(sampled.gabor(sigma, wavelength, angle, phase, aspect)), signed=True)


def _emboss() -> Stage:
    from convfilter.filters import sampled

    return Stage(Correlation(sampled.emboss()))


def _motion(length: float, angle: float) -> Stage:
    from convfilter.filters import sampled

    return Stage(Correlation(sampled.motion(length, angle)))


def _disk(radius: float) -> Stage:
    from convfilter.filters import sampled

    return Stage(Correlation(sampled.disk(radius)))


_SIGMA_PARAMETER = Parameter("sigma", _SIGMA_WHOLE, "Standard deviation of the Gaussian.", None, "px")

SAMPLED_ROWS = (
    Filter(
        "roberts",
        "Edges, Roberts' cross.",
        "x = 1 0; 0 -1, y = 0 1; -1 0 (both diagonal), magnitude = sqrt(x^2 + y^2)",
        "roberts",
        _roberts,
        (Parameter("axis", Choice(_AXES), f"One diagonal, the other, or both; {ORIENTATION}.", "magnitude"),),
        source="Roberts, Machine perception of three-dimensional solids, 1963",
    ),
    Filter(
        "derivative",
        "Derivative of a Gaussian.",
        "d^n/dx^n exp(-x^2 / (2 sigma^2)), times a Gaussian along y, normalised; positive where it rises",
        "derivative:1.5,order=1,axis=x",
        _derivative,
        (
            _SIGMA_PARAMETER,
            Parameter("order", Number("N", minimum=1, maximum=4, integer=True), "Order of the derivative.", "1"),
            Parameter("axis", Choice(_AXES[:3]), "Axis of the derivative, or magnitude: sqrt(x^2 + y^2).", "magnitude"),
        ),
        source="Canny, A computational approach to edge detection, 1986",
    ),
    Filter(
        "log",
        "Laplacian of a Gaussian: blobs and edges.",
        "(x^2 + y^2 - 2 sigma^2) / sigma^4 exp(-(x^2 + y^2) / (2 sigma^2)), normalised",
        "log:2",
        _log,
        (_SIGMA_PARAMETER,),
        source="Marr and Hildreth, Theory of edge detection, 1980",
    ),
    Filter(
        "dog",
        "Difference of two Gaussians.",
        "gaussian(sigma) - gaussian(ratio sigma)",
        "dog:2,ratio=1.6",
        _dog,
        (
            _SIGMA_PARAMETER,
            Parameter(
                "ratio", Number("RATIO", minimum=1, above=True, maximum=8), "Wider sigma over the narrower one.", "1.6"
            ),
        ),
        source="Marr and Hildreth, Theory of edge detection, 1980",
    ),
    Filter(
        "gabor",
        "Waves of one direction and length.",
        "exp(-(u^2 + (aspect v)^2) / (2 sigma^2)) cos(2 pi u / wavelength + phase), u along the angle, "
        "over the sum of the envelope",
        "gabor:3,wavelength=8,angle=45",
        _gabor,
        (
            _SIGMA_PARAMETER,
            Parameter("wavelength", Number("PIXELS", minimum=1), "Length of the wave.", "8", "px"),
            Parameter(
                "angle", _ANGLE, "Direction in which the wave runs, counter-clockwise from the right.", "0", "degrees"
            ),
            Parameter("phase", _ANGLE, "Phase of the wave at the centre; 90 responds to edges.", "0", "degrees"),
            Parameter("aspect", Number(minimum=0.1, maximum=10), "Length across the wave is sigma / aspect.", "1"),
        ),
        source="Daugman, Uncertainty relation for resolution in space, spatial frequency, and orientation, 1985",
    ),
    Filter(
        "emboss",
        "Relief: bright where the picture rises to below right.",
        "-2 -1 0; -1 1 1; 0 1 2",
        "emboss",
        _emboss,
        source="as in image editors; Schlag, Fast embossing effects on raster image data, 1994",
    ),
    Filter(
        "motion",
        "Blur along a line, as a moving camera does.",
        "max(0, 1 - distance of the pixel to the line from -(L - 1)/2 to (L - 1)/2), normalised to sum 1",
        "motion:9,angle=30",
        _motion,
        (
            Parameter("length", Number("PIXELS", minimum=1, maximum=_MOST_LENGTH), "Length of the line.", None, "px"),
            Parameter("angle", _ANGLE, "Counter-clockwise from the right.", "0", "degrees"),
        ),
        source="as fspecial('motion') of MATLAB's Image Processing Toolbox",
    ),
    Filter(
        "disk",
        "Mean of a disk, the blur of a lens out of focus.",
        "share of each pixel that the disk covers, normalised to sum 1",
        "disk:3.5",
        _disk,
        (
            Parameter(
                "radius", Number("RADIUS", minimum=0.1, maximum=_MOST_LENGTH / 2), "Radius of the disk.", None, "px"
            ),
        ),
        source="the circle of confusion of geometric optics; fspecial('disk') of MATLAB's toolbox is alike",
    ),
)
