"""Instance, group, layer and local response normalisation, as stages."""

from __future__ import annotations

import numpy as np

from convfilter.filters.network_operators import Join, LocalResponse
from convfilter.filters.operators import Point, Pooling
from convfilter.filters.stage import Stage


def instance(epsilon: float, *, channels: int = 1, groups: int | None = None, name: str = "") -> tuple[Stage, ...]:
    """Return instance or group normalisation: ``(x - mean) / sqrt(variance + epsilon)`` over all pixels.

    Parameters
    ----------
    epsilon : float
        Addend of the variance of samples whose white is 1; above 0.
    channels, groups : int
        Number of channels, and of groups of neighbouring channels with a common mean and variance. Without ``groups``
        each channel has its own mean and variance, and ``channels`` is not needed.
    name : str
        First part of the names of the stages.

    Notes
    -----
    D. Ulyanov, A. Vedaldi, V. Lempitsky, "Instance normalization", 2016; Y. Wu, K. He, "Group normalization", 2018.
    """
    means: tuple[Stage, ...] = (Stage(Pooling("average", None), name=f"{name}, means", padding="valid"),)
    if groups is not None and groups < channels:
        from convfilter.filters import layers

        members = channels // groups
        of_group = np.kron(np.eye(groups), np.full((members, members), 1 / members))
        layer = layers.layer(of_group[:, :, np.newaxis, np.newaxis])
        means = (*means, Stage(layer, name=f"{name}, groups", padding="valid", padding_mode="constant"))
    negative_means = (*means, Stage(Point("scale", -1.0), name=f"{name}, off"))
    reciprocal_deviations = (
        Stage(Point("power", 2.0), name=f"{name}, squares"),
        *means,
        Stage(Point("bias", epsilon), name=f"{name}, epsilon"),
        Stage(Point("power", -0.5), name=f"{name}, one over the root"),
    )
    return (
        Stage(Join("add", ((), negative_means)), name=f"{name}, centred"),
        Stage(Join("multiply", ((), reciprocal_deviations)), name=f"{name}, divided"),
    )


def of_pixels(epsilon: float, channels: int, name: str = "") -> tuple[Stage, ...]:
    """Return layer normalisation: ``(x - mean) / sqrt(variance + epsilon)`` over the channels of each pixel.

    Parameters
    ----------
    epsilon : float
        Addend of the variance of samples whose white is 1; above 0.
    channels : int
    name : str
        First part of the names of the stages.

    Notes
    -----
    J. L. Ba, J. R. Kiros, G. E. Hinton, "Layer normalization", 2016.
    """
    from convfilter.filters import layers

    def mean(factor: float, described: str) -> Stage:
        layer = layers.layer(np.full((1, channels, 1, 1), factor / channels))
        return Stage(layer, name=f"{name}, {described}", padding="valid", padding_mode="constant")

    reciprocal_deviation = (
        Stage(Point("power", 2.0), name=f"{name}, squares"),
        mean(1, "variance"),
        Stage(Point("bias", epsilon), name=f"{name}, epsilon"),
        Stage(Point("power", -0.5), name=f"{name}, one over the root"),
    )
    return (
        Stage(Join("add", ((), (mean(-1, "mean"),))), name=f"{name}, centred"),
        Stage(Join("multiply", ((), reciprocal_deviation)), name=f"{name}, divided"),
    )


def response(size: int, alpha: float, beta: float, bias: float) -> Stage:
    """Return local response normalisation (A. Krizhevsky et al., 2012); see :class:`LocalResponse`."""
    return Stage(LocalResponse(size, alpha, beta, bias))
