"""Rows of the catalogue: layers and networks from files, and normalisations."""

from __future__ import annotations

from typing import Any, Literal

from convfilter.filters.network_operators import Softmax
from convfilter.filters.operators import LAYER_ACTIVATIONS
from convfilter.filters.parameters import Choice, Key, Number, Numbers, Pair, Parameter, Text
from convfilter.filters.row import ALL_KEYWORDS, OF_POINTS, Filter
from convfilter.filters.stage import Stage

#: Parameters that select a layer's parts in its file, or override them.
_OF_LAYER = (
    Parameter("activation", Choice(LAYER_ACTIVATIONS, "NAME"), "Activation, in place of the file's."),
    Parameter(
        "groups", Number("N", minimum=1, maximum=65535, integer=True), "Groups of channels, in place of the file's."
    ),
    Parameter(
        "prefix",
        Key("PREFIX"),
        "Prefix of the layer in a PyTorch state dict: features.0, or that of a block with one layer.",
    ),
    Parameter("norm", Key("PREFIX"), "Prefix of the layer's batch normalisation, if it differs: bn1."),
    Parameter("prelu", Key("PREFIX"), "Prefix of the layer's PReLU slopes, if it differs."),
)


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
    from convfilter.filters.network_preparation import Preparation

    preparation = Preparation(white, mean or (), std or (), order == "bgr")
    return onnx_file.net(file, until=until, preparation=preparation)


def _instance(eps: float) -> tuple[Stage, ...]:
    from convfilter.filters import normalizations

    return normalizations.instance(eps, name="instancenorm")


def _response(size: int, alpha: float, beta: float, bias: float) -> Stage:
    from convfilter.filters import normalizations

    return normalizations.response(size, alpha, beta, bias)


def _softmax(kind: Literal["soft", "log", "hard"]) -> Stage:
    return Stage(Softmax(kind))


NETWORK_ROWS = (
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
        ALL_KEYWORDS,
        source="LeCun et al., 1998; batch normalisation: Ioffe and Szegedy, 2015",
        own_defaults={
            "stride": "the file's, else 1",
            "dilation": "the file's, else 1",
            "padding": "the file's, else same",
            "padding_mode": "the file's, else constant",
        },
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
                Pair(Number("N", minimum=0, maximum=65535, integer=True)),
                "Rows and columns added at the end; N, or XxY.",
                unit="px",
            ),
        ),
        ("stride", "dilation", "padding", "scale", "offset", "map"),
        source="Dumoulin and Visin, A guide to convolution arithmetic for deep learning, 2016, chapter 4",
        own_defaults={
            "stride": "the file's, else 1",
            "dilation": "the file's, else 1",
            "padding": "the file's, else 0",
        },
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
            Parameter("mean", Numbers(), "Mean to subtract: one for all channels, or R,G,B in the network's order."),
            Parameter("std", Numbers(), "Divisor of the difference: one for all channels, or one for each."),
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
                Number("N", minimum=1, maximum=65535, integer=True),
                "Number of channels in the sum, the sample's own included.",
                "5",
            ),
            Parameter("alpha", Number(), "Weight of the mean square.", "1e-4"),
            Parameter("beta", Number(), "Power of the sum.", "0.75"),
            Parameter("bias", Number(), "Added to the sum; PyTorch's k.", "1"),
        ),
        OF_POINTS,
        source="Krizhevsky, Sutskever and Hinton, ImageNet classification with deep networks, 2012",
    ),
    Filter(
        "softmax",
        "Softmax: the shares of the channels of each pixel.",
        "exp(x) / sum of exp(x) over channels, white = 1; log: its logarithm; hard: 1 for the largest, else 0",
        "softmax",
        _softmax,
        (Parameter("kind", Choice(("soft", "log", "hard")), "The shares, their logarithms, or the largest.", "soft"),),
        OF_POINTS,
        source="Bridle, Training stochastic model recognition algorithms, 1990",
    ),
)
