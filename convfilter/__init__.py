"""Exact, fast convolution filters for pictures, with padding, stride and dilation.

The public names are imported at their first use, so importing the package takes almost no time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from convfilter.errors import (
    ClusterError,
    ConvfilterError,
    KernelFileError,
    ParameterError,
    PictureError,
    ReadError,
    SizeError,
    SpecError,
    UsageError,
    WriteError,
)
from convfilter.locks import undisturbed

if TYPE_CHECKING:
    from convfilter.api import (
        apply,
        box_blur,
        convolve,
        farid,
        frei_chen,
        gaussian_blur,
        kirsch,
        laplacian,
        plan,
        prewitt,
        robinson,
        scharr,
        sobel,
        unsharp_mask,
    )
    from convfilter.draft import Draft
    from convfilter.draft import open as open
    from convfilter.files import read, write
    from convfilter.layers import average_pool, conv2d, conv_transpose2d, lp_pool, max_pool, min_pool
    from convfilter.picture.options import ReadOptions, WriteOptions
    from convfilter.picture.picture import Picture
    from convfilter.windows import (
        bilateral_filter,
        black_hat,
        canny,
        closing,
        dilate,
        erode,
        guided_filter,
        median,
        morphological_gradient,
        opening,
        percentile,
        top_hat,
    )

__version__ = "0.1.0"

_OF_WINDOWS = (
    "bilateral_filter",
    "black_hat",
    "canny",
    "closing",
    "dilate",
    "erode",
    "guided_filter",
    "median",
    "morphological_gradient",
    "opening",
    "percentile",
    "top_hat",
)
_LAYERS = ("average_pool", "conv2d", "conv_transpose2d", "lp_pool", "max_pool", "min_pool")
_HOMES = {
    **dict.fromkeys(_OF_WINDOWS, "convfilter.windows"),
    **dict.fromkeys(_LAYERS, "convfilter.layers"),
    "Draft": "convfilter.draft",
    "Picture": "convfilter.picture.picture",
    "ReadOptions": "convfilter.picture.options",
    "WriteOptions": "convfilter.picture.options",
    "open": "convfilter.draft",
    "read": "convfilter.files",
    "write": "convfilter.files",
}

# Without ``open``: a star import would replace Python's own.
__all__ = [
    "ClusterError",
    "ConvfilterError",
    "Draft",
    "KernelFileError",
    "ParameterError",
    "Picture",
    "PictureError",
    "ReadError",
    "ReadOptions",
    "SizeError",
    "SpecError",
    "UsageError",
    "WriteError",
    "WriteOptions",
    "apply",
    "average_pool",
    "bilateral_filter",
    "black_hat",
    "box_blur",
    "canny",
    "closing",
    "conv2d",
    "conv_transpose2d",
    "convolve",
    "dilate",
    "erode",
    "farid",
    "frei_chen",
    "gaussian_blur",
    "guided_filter",
    "kirsch",
    "laplacian",
    "lp_pool",
    "max_pool",
    "median",
    "min_pool",
    "morphological_gradient",
    "opening",
    "percentile",
    "plan",
    "prewitt",
    "read",
    "robinson",
    "scharr",
    "sobel",
    "top_hat",
    "unsharp_mask",
    "write",
]


if not TYPE_CHECKING:  # a type checker would take any name for one of these

    def __getattr__(name: str) -> Any:
        if name.startswith("_") or (name not in __all__ and name not in _HOMES):
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib import import_module

        value = getattr(undisturbed(lambda: import_module(_HOMES.get(name, "convfilter.api"))), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return [*__all__, "__version__", "open"]
