"""Filters, parameters and values in other programs, and their names here.

A value notes where the meaning differs. Options that also exist in Python stand in braces, as in errors.
"""

from __future__ import annotations

from collections.abc import Sequence

#: Filters, each with names elsewhere.
FILTERS = {
    "gaussian": "gauss gaussblur gaussianblur gaussian_blur blur smooth",
    "box": "mean average uniform uniform_filter boxblur boxfilter avgblur",
    "unsharp": "usm unsharpmask sharpen sharp",
    "kernel": "conv conv2d convolve convolution correlate custom matrix filter2d",
    "maxpool": "maxpool2d max maximum",
    "minpool": "minpool2d min minimum",
    "avgpool": "avgpool2d averagepool meanpool",
    "median": "medianblur median_filter medfilt",
    "percentile": "rank rank_filter quantile",
    "erode": "erosion minimum_filter grey_erosion",
    "dilate": "dilation maximum_filter grey_dilation",
    "open": "opening",
    "close": "closing",
    "morphgradient": "gradient morphologicalgradient",
    "tophat": "whitetophat",
    "blackhat": "bottomhat blacktophat",
    "bilateral": "bilateralfilter denoise_bilateral surfaceblur",
    "guided": "guidedfilter",
    "log": "laplacianofgaussian gaussian_laplace marr",
    "dog": "differenceofgaussians",
    "laplacian": "laplace",
    "disk": "pillbox circle bokeh",
    "motion": "motionblur",
    "invert": "negate negative",
    "threshold": "binarize binary",
    "leaky_relu": "leakyrelu",
    "swish": "silu",
    "clip": "clamp hardtanh relu6",
    "shrink": "softshrink hardshrink",
    "lppool": "lppool2d l2pool",
    "instancenorm": "instancenorm2d",
}
#: Parameters of filters, each with names elsewhere; a filter has only some of these.
PARAMETERS = {
    "padding_mode": "mode border boundary edge",
    "padding_value": "cval fill value",
    "padding": "pad pads",
    "stride": "strides step steps",
    "dilation": "dilations rate",
    "sigma": "std stddev radius",
    "size": "ksize kernel_size window radius",
    "truncate": "cut",
    "angle": "theta orientation",
    "wavelength": "lambda lambd lam",
    "aspect": "gamma",
    "phase": "psi",
    "amount": "strength percent gain",
    "slope": "negative_slope alpha",
    "sigma_range": "sigma_color sigmacolor",
    "p": "percentile quantile rank",
    "scale": "factor gain",
    "offset": "bias delta",
}
#: Filters without an equivalent filter here.
PHRASES = {
    "nlmeans": "non-local means compare patches, which no filter here does; the nearest is bilateral:3",
    "grayscale": "grey is an option, not a filter: {gray=True}",
    "greyscale": "grey is an option, not a filter: {gray=True}",
    "gray": "it is an option, not a filter: {gray=True}",
    "resize": "sizes change by a stride: gaussian:1,stride=2",
    "downsample": "sizes change by a stride: gaussian:1,stride=2",
}
#: Values by parameter and word elsewhere, each with its equivalent here.
VALUES = {
    "padding_mode": {
        "mirror": "mirror in SciPy is reflect here, in ImageMagick symmetric",
        "replicate": "replicate in PyTorch and OpenCV is edge here",
        "nearest": "nearest in SciPy is edge here",
        "clamp": "clamp is edge here",
        "extend": "extend is edge here",
        "reflect101": "reflect101 in OpenCV is reflect here",
        "reflect_101": "reflect_101 in OpenCV is reflect here",
        "grid-mirror": "grid-mirror in SciPy is symmetric here, as is its reflect",
        "tile": "tile is wrap here",
        "circular": "circular in PyTorch is wrap here",
        "periodic": "periodic is wrap here",
        "zero": "zeros are constant here, with {padding_value=0}",
        "zeros": "zeros are constant here, with {padding_value=0}",
        "black": "black is constant here, with {padding_value=0}",
        "neumann": "neumann in G'MIC is edge here",
        "dirichlet": "dirichlet in G'MIC is constant here, with {padding_value=0}",
    },
    "padding": {"zero": "it is {padding_mode=constant}", "reflect": "it is {padding_mode=reflect}"},
    "map": {
        "normalize": "normalize is stretch here",
        "absolute": "absolute is abs here",
        "bias": "bias is offset here",
        "none": "without a map, results are clipped",
    },
    "axis": {"horizontal": "x changes along the rows", "vertical": "y changes along the columns",
             "both": "it is magnitude", "dx": "dx is x here", "dy": "dy is y here", "direction": "it is orientation"},
    "format": {"jpg2000": "it is jpeg2000"},
}  # fmt: skip


def of_filter(word: str) -> str:
    """Return the equivalent of another program's filter; "" if unknown."""
    normalised = word.lower().replace("-", "")
    if normalised in PHRASES:
        return PHRASES[normalised]
    for name, words in FILTERS.items():
        if normalised in words.split() or normalised.replace("_", "") in words.split():
            return f"did you mean {name}?"
    return ""


def of_parameter(word: str, known: Sequence[str]) -> str:
    """Return the equivalent of another program's parameter among the known ones; "" if no known one is equivalent."""
    normalised = word.lower().replace("-", "_")
    return next((name for name, words in PARAMETERS.items() if name in known and normalised in words.split()), "")


def of_value(parameter: str, word: str, choices: Sequence[str]) -> str:
    """Return a suggestion for an unknown word: from other programs, or by spelling."""
    from difflib import get_close_matches

    known = VALUES.get(parameter, {})
    for part in word.lower().split(","):
        if part.strip() in known:
            return known[part.strip()]
    close = get_close_matches(word.lower()[:99], choices, n=1)
    return f"did you mean {close[0]}?" if close else ""
