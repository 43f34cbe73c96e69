"""Normalisations of each picture by itself, as stages: by means of all its pixels."""

from __future__ import annotations

import numpy as np

from convfilter.filters.stage import Join, LocalResponse, Point, Pooling, Stage


def instance(epsilon: float, *, channels: int = 1, groups: int | None = None, name: str = "") -> tuple[Stage, ...]:
    """Take the mean of each channel, or of each group of channels, off; divide by the root of variance + epsilon.

    Parameters
    ----------
    epsilon : float
        Of samples whose white is 1; above 0.
    channels, groups : int
        Without ``groups``, each channel counts by itself, however many there are.
    name : str
        What the names of the stages begin with.

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
    off = (*means, Stage(Point("scale", -1.0), name=f"{name}, off"))
    spread = (
        Stage(Point("power", 2.0), name=f"{name}, squares"),
        *means,
        Stage(Point("bias", epsilon), name=f"{name}, epsilon"),
        Stage(Point("power", -0.5), name=f"{name}, one over the root"),
    )
    return (
        Stage(Join("add", ((), off)), name=f"{name}, centred"),
        Stage(Join("multiply", ((), spread)), name=f"{name}, divided"),
    )


def response(size: int, alpha: float, beta: float, bias: float) -> Stage:
    """Divide each sample by a power of the squares of the channels around it (A. Krizhevsky et al., 2012)."""
    return Stage(LocalResponse(size, alpha, beta, bias))
