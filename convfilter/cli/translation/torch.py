"""Modules and functions of ``torch.nn``."""

from __future__ import annotations

from collections.abc import Callable

from convfilter.cli.translation.calls import Arguments, Call
from convfilter.cli.translation.translation import Translation, numeral, pair, unknown

_MODES = {"zeros": "", "reflect": "reflect", "replicate": "edge", "circular": "wrap"}
_IN_PLACE = "inplace"


def _size(arguments: Arguments, name: str) -> str:
    """Write a size: torch says (rows, columns), convfilter columns x rows."""
    rows, cols = arguments.pair(name)
    return pair(cols, rows)


def _geometry(arguments: Arguments, *names: str) -> list[str]:
    """Write the stride, padding and dilation that are given."""
    words = []
    for name in names:
        value = arguments.take(name)
        if value in (None, "same", "valid"):
            words += [f"{name}={value}"] if value else []
        else:
            words.append(f"{name}={_size(Arguments(arguments.function, {name: value}), name)}")
    return words


def _convolution(arguments: Arguments, result: Translation) -> None:
    """Translate a layer, whose weights are not in the line."""
    for name in ("in_channels", "out_channels", "kernel_size", "bias", "weight", "device", "dtype"):
        arguments.take(name)
    is_transposed = "ranspose" in arguments.function
    layers = sum(spec.startswith(("layer:", "convtranspose:")) for spec in result.specs)
    file = f"conv{layers + 1}.npz" if layers else "conv.npz"
    words = [f"{'convtranspose' if is_transposed else 'layer'}:{file}"]
    words += _geometry(arguments, "stride", "dilation", "padding")
    if not is_transposed and not any(word.startswith("padding=") for word in words):
        words.append("padding=0")
    mode = str(arguments.take("padding_mode", "zeros"))
    if mode not in _MODES:
        raise unknown(f"padding_mode={mode}")
    if _MODES[mode]:
        words.append(f"padding_mode={_MODES[mode]}")
        result.note(f"{mode} in torch is {_MODES[mode]} here")
    words += _geometry(arguments, "output_padding")
    groups = arguments.number("groups", 1)
    words += [f"groups={numeral(groups)}"] if groups != 1 else []
    result.add(",".join(words))
    result.note(f"the weights are not in the line; save them as np.savez('{file}', weight=..., bias=...) of arrays")
    result.note("white counts as 1; results are stored as the picture's type: name the output maps.npy to keep floats")


def _pool(name: str) -> Callable[[Arguments, Translation], None]:
    def translate(arguments: Arguments, result: Translation) -> None:
        words = [f"{name}:{_size(arguments, 'kernel_size')}", *_geometry(arguments, "stride", "padding", "dilation")]
        if arguments.take("ceil_mode", False):
            words.append("ceil=true")
        arguments.only("return_indices", False)
        arguments.only("divisor_override")
        counts = arguments.take("count_include_pad", True)
        if name == "avgpool" and counts and any(word.startswith("padding=") and word != "padding=0" for word in words):
            words.append("count_padding=true")
            result.note("torch counts the padding in the mean (count_include_pad), as count_padding does here")
        result.add(",".join(words))

    return translate


def _activation(spec: str, parameter: str = "", default: float = 0) -> Callable[[Arguments, Translation], None]:
    def translate(arguments: Arguments, result: Translation) -> None:
        arguments.take(_IN_PLACE)
        result.add(f"{spec}:{numeral(arguments.number(parameter, default))}" if parameter else spec)

    return translate


def _gelu(arguments: Arguments, result: Translation) -> None:
    approximate = arguments.take("approximate", "none")
    if approximate not in ("none", "tanh"):
        raise unknown(f"{arguments.function}(approximate={approximate})")
    result.add("gelu" if approximate == "none" else "gelu:tanh")


def _softplus(arguments: Arguments, result: Translation) -> None:
    arguments.only("beta", 1, 1.0)
    arguments.only("threshold", 20, 20.0)  # where it is a straight line: less than 3e-9 from the curve
    result.add("softplus")


def _soft_shrink(arguments: Arguments, result: Translation) -> None:
    level = numeral(arguments.number("lambd", 0.5))
    result.add(f"shrink:{level},bias={level}")


def _clip(low: float, high: float) -> Callable[[Arguments, Translation], None]:
    def translate(arguments: Arguments, result: Translation) -> None:
        arguments.take(_IN_PLACE)
        least, most = arguments.number("min_val", low), arguments.number("max_val", high)
        if not result.specs:  # samples of a picture are 0 to 1
            least, most = max(least, -1), min(most, 1)
        result.add(f"clip:{numeral(least)},high={numeral(most)}")

    return translate


def _nothing(arguments: Arguments, _result: Translation) -> None:
    """Translate a module that does nothing in a trained network."""
    for name in ("p", _IN_PLACE):
        arguments.take(name)


#: Names of the module and of the function, their parameters, and the translation.
_ACTIVATIONS: tuple[tuple[str, str, str, Callable[[Arguments, Translation], None]], ...] = (
    ("ReLU", "relu", _IN_PLACE, _activation("relu")),
    ("ReLU6", "relu6", _IN_PLACE, _clip(0, 6)),
    ("Hardtanh", "hardtanh", f"min_val max_val {_IN_PLACE}", _clip(-1, 1)),
    ("LeakyReLU", "leaky_relu", f"negative_slope {_IN_PLACE}", _activation("leaky_relu", "negative_slope", 0.01)),
    ("Sigmoid", "sigmoid", "", _activation("sigmoid")),
    ("Tanh", "tanh", "", _activation("tanh")),
    ("ELU", "elu", f"alpha {_IN_PLACE}", _activation("elu", "alpha", 1)),
    ("SELU", "selu", _IN_PLACE, _activation("selu")),
    ("CELU", "celu", f"alpha {_IN_PLACE}", _activation("celu", "alpha", 1)),
    ("GELU", "gelu", "approximate", _gelu),
    ("SiLU", "silu", _IN_PLACE, _activation("swish")),
    ("Mish", "mish", _IN_PLACE, _activation("mish")),
    ("Softplus", "softplus", "beta threshold", _softplus),
    ("Softsign", "softsign", "", _activation("softsign")),
    ("Hardsigmoid", "hardsigmoid", _IN_PLACE, _activation("hardsigmoid:1/6")),
    ("Hardswish", "hardswish", _IN_PLACE, _activation("hardswish")),
    ("Softshrink", "softshrink", "lambd", _soft_shrink),
    ("Hardshrink", "hardshrink", "lambd", _activation("shrink", "lambd", 0.5)),
)


_CONV = "in_channels out_channels kernel_size stride padding"
_POOL = "kernel_size stride padding"
#: By the name of a module or function.
CALLS: dict[str, Call] = {
    "Conv2d": (f"{_CONV} dilation groups bias padding_mode device dtype", _convolution),
    "ConvTranspose2d": (f"{_CONV} output_padding groups bias dilation padding_mode device dtype", _convolution),
    "conv2d": ("input weight bias stride padding dilation groups", _convolution),
    "conv_transpose2d": ("input weight bias stride padding output_padding groups dilation", _convolution),
    "MaxPool2d": (f"{_POOL} dilation return_indices ceil_mode", _pool("maxpool")),
    "AvgPool2d": (f"{_POOL} ceil_mode count_include_pad divisor_override", _pool("avgpool")),
    "max_pool2d": (f"input {_POOL} dilation ceil_mode return_indices", _pool("maxpool")),
    "avg_pool2d": (f"input {_POOL} ceil_mode count_include_pad divisor_override", _pool("avgpool")),
    "Identity": ("", _nothing),
    "Dropout": (f"p {_IN_PLACE}", _nothing),
    "Dropout2d": (f"p {_IN_PLACE}", _nothing),
    **{module: (parameters, translation) for module, _, parameters, translation in _ACTIVATIONS},
    **{
        function: (f"input {parameters}".rstrip(), translation) for _, function, parameters, translation in _ACTIVATIONS
    },
}
