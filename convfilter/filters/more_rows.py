"""Rows of the catalogue: kernels sampled from formulas, and point operations."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from convfilter.filters.parameters import Choice, Key, Number, Numbers, Pair, Parameter, Text
from convfilter.filters.row import OF_POINTS, Filter
from convfilter.filters.stage import (
    LAYER_ACTIVATIONS,
    Correlation,
    Gradient,
    Operator,
    Orientation,
    Point,
    PointKind,
    Stage,
)

#: Largest sigma of kernels that are not separable: 601x601 weights.
_MOST_SIGMA_WHOLE = 50.0
_MOST_LENGTH = 601.0
ORIENTATION = "orientation shows the direction in which the luminance rises as hue, red to the right, by magnitude"

_AXES = ("x", "y", "magnitude", "orientation")
_SIGMA_WHOLE = Number("SIGMA", minimum=0.3, maximum=_MOST_SIGMA_WHOLE)
_ANGLE = Number("DEGREES", minimum=-360, maximum=360)
_LEVEL = Number("LEVEL")


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


def _layer(file: str, prefix: str | None, norm: str | None, prelu: str | None, **values: Any) -> Stage:
    from convfilter.filters import layer_files
    from convfilter.filters.state_dicts import Modules

    return layer_files.load(file, modules=Modules(prefix or "", norm or "", prelu or ""), **values)


def _transposed(file: str, **values: Any) -> Stage:
    return _layer(file, transposed=True, **values)


def _net(
    file: str,
    until: str | None,
    white: float,
    mean: tuple[float, ...] | None,
    std: tuple[float, ...] | None,
    order: str,
) -> tuple[Stage, ...]:
    from convfilter.filters import onnx_file

    preparation = onnx_file.Preparation(white, mean or (), std or (), order == "bgr")
    return onnx_file.net(file, until=until, preparation=preparation)


def _instance(eps: float) -> tuple[Stage, ...]:
    from convfilter.filters import normalizations

    return normalizations.instance(eps, name="instancenorm")


def _response(size: int, alpha: float, beta: float, bias: float) -> Stage:
    from convfilter.filters import normalizations

    return normalizations.response(size, alpha, beta, bias)


def _point(kind: PointKind) -> Callable[..., Stage]:
    def build(low: float = 0.0, high: float = 1.0) -> Stage:
        return Stage(Point(kind, low, high))

    return build


def _point_of(kind: PointKind, *names: str) -> Callable[..., Stage]:
    """Return a builder that passes a filter's parameters to its point operation, in order."""

    def build(**values: float) -> Stage:
        return Stage(Point(kind, *(values[name] for name in names)))

    return build


#: Parameters that select a layer's parts in its file, or override them.
_OF_LAYER = (
    Parameter("activation", Choice(LAYER_ACTIVATIONS, "NAME"), "Replaces the file's."),
    Parameter("groups", Number("N", minimum=1, maximum=65535, whole=True), "Replaces the file's."),
    Parameter(
        "prefix",
        Key("PREFIX"),
        "Prefix of the layer in a PyTorch state dict: features.0, or that of a block with one layer.",
    ),
    Parameter("norm", Key("PREFIX"), "Prefix of its batch normalisation, if it differs: bn1."),
    Parameter("prelu", Key("PREFIX"), "Prefix of its PReLU slopes, if it differs."),
)
_POINTWISE = "point operation; Gonzalez and Woods, Digital Image Processing, chapter 3"
_SIGMA_PARAMETER = Parameter("sigma", _SIGMA_WHOLE, "Standard deviation of the Gaussian.", None, "px")

MORE_ROWS = (
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
            Parameter("order", Number("N", minimum=1, maximum=4, whole=True), "Order of the derivative.", "1"),
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
        "Mean of a disk, as by a lens out of focus.",
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
    Filter(
        "relu",
        "Rectified linear unit.",
        "max(0, x)",
        "relu",
        _point("relu"),
        (),
        OF_POINTS,
        source="Nair and Hinton, Rectified linear units improve restricted Boltzmann machines, 2010",
    ),
    Filter("abs", "Magnitude of each sample.", "|x|", "abs", _point("abs"), (), OF_POINTS, source=_POINTWISE),
    Filter(
        "bias",
        "Add a number.",
        "x + level * full scale",
        "bias:0.5",
        _point_of("bias", "level"),
        (Parameter("level", _LEVEL, "Level to add; 0.5 is mid-grey at any depth.", None, "of full scale"),),
        OF_POINTS,
        source=_POINTWISE,
    ),
    Filter(
        "scale",
        "Multiply by a number.",
        "factor * x",
        "scale:1/4",
        _point_of("scale", "factor"),
        (Parameter("factor", Number("FACTOR"), "Factor of each sample.", None),),
        OF_POINTS,
        source=_POINTWISE,
    ),
    Filter(
        "clip",
        "Keep samples in a range.",
        "min(max(x, low), high)",
        "clip:0.1,high=0.9",
        _point_of("clip", "low", "high"),
        (
            Parameter("low", _LEVEL, "Least level.", "0", "of full scale"),
            Parameter("high", _LEVEL, "Largest level, not below the least.", "1", "of full scale"),
        ),
        OF_POINTS,
        source=_POINTWISE,
    ),
    Filter(
        "normalize",
        "Stretch the picture's own range, all colours together, to full range.",
        "(x - min) / (max - min) * full scale",
        "normalize",
        _point("normalize"),
        (),
        OF_POINTS,
        source=_POINTWISE,
    ),
    Filter(
        "threshold",
        "White from a level on, black below.",
        "full scale where x >= level * full scale, else 0",
        "threshold:0.5",
        _point_of("threshold", "level"),
        (Parameter("level", _LEVEL, "The least level that becomes white.", None, "of full scale"),),
        OF_POINTS,
        source=_POINTWISE,
    ),
    Filter(
        "layer",
        "Layer of a network from a file: kernels across channels, batch normalisation, activation.",
        "activation(sum over channels and window of weight * sample + bias), white = 1; zeros beyond the border",
        "layer:conv1.npz",
        _layer,
        (
            Parameter("file", Text("FILE"), "An .npz, .npy or .safetensors file with the weight.", None),
            *_OF_LAYER,
        ),
        ("stride", "dilation", "padding", "padding_mode", "padding_value", "scale", "offset", "map"),
        source="LeCun et al., 1998; batch normalisation: Ioffe and Szegedy, 2015",
    ),
    Filter(
        "convtranspose",
        "Transposed convolution: each sample adds its weights to the result, a stride apart.",
        "activation(sum of each weight * sample at sample * stride + weight * dilation - padding, + bias), white = 1",
        "convtranspose:up1.npz,stride=2",
        _transposed,
        (
            Parameter(
                "file", Text("FILE"), "An .npz, .npy or .safetensors file with the weight (C_in, C_out, ...).", None
            ),
            *_OF_LAYER,
            Parameter(
                "output_padding",
                Pair(Number("N", minimum=0, maximum=65535, whole=True)),
                "Rows and columns added at the end; N, or XxY.",
                unit="px",
            ),
        ),
        ("stride", "dilation", "padding", "scale", "offset", "map"),
        source="Dumoulin and Visin, A guide to convolution arithmetic for deep learning, 2016, chapter 4",
    ),
    Filter(
        "net",
        "Network from an ONNX file, from its input to a node: convolutions, normalisations, activations, pooling.",
        "its nodes in order, on (sample * white - mean) / std, where white of the picture is 1",
        "net:model.onnx,until=relu1,mean=0.5,std=0.25",
        _net,
        (
            Parameter("file", Text("FILE"), "An .onnx file.", None),
            Parameter("until", Key("NODE"), "The last node, or its output; by default, the network's first output."),
            Parameter("white", Number(minimum=0, above=True), "Value of white: 1, or 255 for bytes.", "1"),
            Parameter("mean", Numbers(), "Subtracted next: one for all channels, or R,G,B in the network's order."),
            Parameter("std", Numbers(), "Divisor after that: one for all channels, or one for each."),
            Parameter("order", Choice(("rgb", "bgr")), "bgr: the network's first channel is blue.", "rgb"),
        ),
        ("scale", "offset", "map"),
        source="Open Neural Network Exchange, https://onnx.ai; LeCun et al., 1998",
    ),
    Filter(
        "instancenorm",
        "Instance normalisation: mean 0 and variance 1 in each channel.",
        "(x - mean) / sqrt(variance + eps) of each channel of the whole picture, white = 1",
        "instancenorm:1e-5",
        _instance,
        (Parameter("eps", Number("EPS", minimum=0, above=True), "Added to the variance; white is 1.", "1e-5"),),
        OF_POINTS,
        source="Ulyanov, Vedaldi and Lempitsky, Instance normalization, 2016",
    ),
    Filter(
        "lrn",
        "Local response normalisation: each sample is divided by a norm of the channels around it.",
        "x / (bias + alpha / size * sum of x^2 over size channels)^beta, white = 1",
        "lrn:5,alpha=1e-4",
        _response,
        (
            Parameter(
                "size",
                Number("N", minimum=1, maximum=65535, whole=True),
                "Number of channels in the sum, itself included.",
                "5",
            ),
            Parameter("alpha", Number(), "Weight of the mean square.", "1e-4"),
            Parameter("beta", Number(), "Power of the sum.", "0.75"),
            Parameter("bias", Number(), "Added to the sum; PyTorch's k.", "1"),
        ),
        OF_POINTS,
        source="Krizhevsky, Sutskever and Hinton, ImageNet classification with deep networks, 2012",
    ),
    Filter("invert", "Negative.", "full scale - x", "invert", _point("invert"), (), OF_POINTS, source=_POINTWISE),
)
