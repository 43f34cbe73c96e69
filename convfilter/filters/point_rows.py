"""Rows of the catalogue: point operations, among them the activations of networks, on the scale where white is 1."""

from __future__ import annotations

from collections.abc import Callable

from convfilter.filters.operators import Point, PointKind
from convfilter.filters.parameters import Choice, Number, Parameter
from convfilter.filters.row import OF_POINTS, Filter
from convfilter.filters.stage import Stage

#: Constants of SELU's fixed point of mean 0 and variance 1, with more digits than float32 has.
SELU_ALPHA, SELU_GAMMA = "1.6732632423543772", "1.0507009873554805"


def _of(kind: PointKind, *names: str) -> Callable[..., Stage]:
    """Return a builder that passes a filter's parameters to its point operation, in order."""

    def build(**values: float) -> Stage:
        return Stage(Point(kind, *(values[name] for name in names)))

    return build


def _gelu(approximate: str) -> Stage:
    return Stage(Point("gelu_tanh" if approximate == "tanh" else "gelu"))


def default_numbers(kind: str) -> tuple[float, float]:
    """Return the two default parameters of an activation."""
    parameters = [parameter for row in POINT_ROWS if row.name == kind for parameter in row.parameters]
    numbers = [float(parameter.default or 0) for parameter in parameters if isinstance(parameter.kind, Number)]
    low, high, *_ = (*numbers, 0.0, 1.0)
    return low, high


def _row(
    kind: PointKind,
    summary: str,
    formula: str,
    source: str,
    *parameters: Parameter,
    build: Callable[..., Stage] | None = None,
) -> Filter:
    names = [parameter.name for parameter in parameters]
    example = kind if not parameters or not parameters[0].default else f"{kind}:{parameters[0].default}"
    return Filter(kind, summary, formula, example, build or _of(kind, *names), parameters, OF_POINTS, source=source)


def _alpha(text: str, default: str = "1", number: Number = Number()) -> Parameter:  # noqa: B008 - a constant
    return Parameter("alpha", number, text, default)


_POSITIVE = Number(minimum=0, above=True)
_GELU = "Hendrycks and Gimpel, Gaussian error linear units, 2016"

_POINTWISE = "point operation; Gonzalez and Woods, Digital Image Processing, chapter 3"
_LEVEL = Number("LEVEL")

POINT_ROWS = (
    Filter(
        "relu",
        "Rectified linear unit.",
        "max(0, x)",
        "relu",
        _of("relu"),
        (),
        OF_POINTS,
        source="Nair and Hinton, Rectified linear units improve restricted Boltzmann machines, 2010",
    ),
    Filter("abs", "Magnitude of each sample.", "|x|", "abs", _of("abs"), (), OF_POINTS, source=_POINTWISE),
    Filter(
        "bias",
        "Add a number.",
        "x + level * full scale",
        "bias:0.5",
        _of("bias", "level"),
        (Parameter("level", _LEVEL, "Level to add; 0.5 is mid-grey at any depth.", None, "of full scale"),),
        OF_POINTS,
        source=_POINTWISE,
    ),
    Filter(
        "scale",
        "Multiply by a number.",
        "factor * x",
        "scale:1/4",
        _of("scale", "factor"),
        (Parameter("factor", Number("FACTOR"), "Factor of each sample.", None),),
        OF_POINTS,
        source=_POINTWISE,
    ),
    Filter(
        "clip",
        "Keep samples in a range.",
        "min(max(x, low), high)",
        "clip:0.1,high=0.9",
        _of("clip", "low", "high"),
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
        _of("normalize"),
        (),
        OF_POINTS,
        source=_POINTWISE,
    ),
    Filter(
        "threshold",
        "White from a level on, black below.",
        "full scale where x >= level * full scale, else 0",
        "threshold:0.5",
        _of("threshold", "level"),
        (Parameter("level", _LEVEL, "The least level that becomes white.", None, "of full scale"),),
        OF_POINTS,
        source=_POINTWISE,
    ),
    Filter("invert", "Negative.", "full scale - x", "invert", _of("invert"), (), OF_POINTS, source=_POINTWISE),
    _row(
        "leaky_relu",
        "ReLU with a small slope below zero.",
        "x, and slope x below zero",
        "Maas, Hannun and Ng, Rectifier nonlinearities improve neural network acoustic models, 2013",
        Parameter("slope", Number(), "Slope below zero.", "0.01"),
    ),
    _row("sigmoid", "Logistic function.", "1 / (1 + exp(-x)), white = 1", "Verhulst, 1838"),
    _row("tanh", "Hyperbolic tangent.", "tanh(x), white = 1", "LeCun et al., Efficient backprop, 1998"),
    _row(
        "elu",
        "Exponential linear unit.",
        "x, and alpha (exp(x) - 1) below zero; white = 1",
        "Clevert, Unterthiner and Hochreiter, Fast and accurate deep network learning by ELUs, 2015",
        _alpha("Magnitude of the limit for large negative samples."),
    ),
    _row(
        "selu",
        "Scaled exponential linear unit.",
        "gamma x, and gamma alpha (exp(x) - 1) below zero; white = 1",
        "Klambauer et al., Self-normalizing neural networks, 2017",
        _alpha("alpha of the ELU.", SELU_ALPHA),
        Parameter("gamma", Number(), "Factor of the ELU.", SELU_GAMMA),
    ),
    _row(
        "celu",
        "Continuously differentiable exponential linear unit.",
        "x, and alpha (exp(x / alpha) - 1) below zero; white = 1",
        "Barron, Continuously differentiable exponential linear units, 2017",
        _alpha("Magnitude of the limit for large negative samples.", "1", _POSITIVE),
    ),
    _row(
        "gelu",
        "Gaussian error linear unit.",
        "x (1 + erf(x / sqrt(2))) / 2; tanh: x (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))) / 2; white = 1",
        _GELU,
        Parameter("approximate", Choice(("none", "tanh")), "The function itself, or the usual approximation.", "none"),
        build=_gelu,
    ),
    _row(
        "softplus",
        "Smooth ReLU.",
        "log(1 + exp(x)), white = 1",
        "Dugas et al., Incorporating second-order functional knowledge for better option pricing, 2000",
    ),
    _row(
        "softsign",
        "Sigmoid with long tails.",
        "x / (1 + |x|), white = 1",
        "Turian, Bergstra and Bengio, Quadratic features and deep architectures for chunking, 2009",
    ),
    _row(
        "thresholded_relu",
        "Samples above a level; the others become 0.",
        "x where x > alpha, else 0; white = 1",
        "Konda, Memisevic and Krueger, Zero-bias autoencoders and the benefits of co-adapting features, 2014",
        _alpha("The level."),
    ),
    _row(
        "hardsigmoid",
        "Straight line between 0 and 1.",
        "min(max(alpha x + beta, 0), 1), white = 1",
        "Courbariaux, Bengio and David, BinaryConnect, 2015; PyTorch's has alpha=1/6",
        _alpha("Slope of the line.", "0.2"),
        Parameter("beta", Number(), "Level of the line at zero.", "0.5"),
    ),
    _row(
        "hardswish",
        "Swish made of straight lines.",
        "x min(max(x / 6 + 1/2, 0), 1), white = 1",
        "Howard et al., Searching for MobileNetV3, 2019",
    ),
    _row(
        "mish",
        "Smooth, not monotonic.",
        "x tanh(log(1 + exp(x))), white = 1",
        "Misra, Mish: a self regularized non-monotonic activation function, 2019",
    ),
    _row(
        "swish",
        "Sample times its sigmoid; with alpha 1 also called SiLU.",
        "x / (1 + exp(-alpha x)), white = 1",
        "Ramachandran, Zoph and Le, Searching for activation functions, 2017",
        _alpha("Steepness of the sigmoid."),
    ),
    _row(
        "shrink",
        "Soft or hard shrinkage: samples near 0 become 0.",
        "x - bias where x > lambda, x + bias where x < -lambda, else 0; white = 1",
        "Donoho, De-noising by soft-thresholding, 1995; bias = lambda is soft, bias = 0 hard",
        Parameter("threshold", Number(minimum=0), "The largest magnitude that becomes 0: lambda.", "0.5"),
        Parameter("bias", Number(), "Distance by which the other samples move towards 0.", "0"),
    ),
    _row(
        "power",
        "A power of each sample's magnitude.",
        "|x|^exponent, white = 1",
        f"{_POINTWISE}: power-law transformations",
        Parameter("exponent", Number("P", minimum=0, above=True, maximum=64), "Below 1 brightens.", "0.5"),
    ),
)
