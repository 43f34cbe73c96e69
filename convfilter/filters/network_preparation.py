"""Preparation of a picture for a network: scale, mean, deviation and order of its channels, as stages."""

from __future__ import annotations

import numpy as np

from convfilter.errors import KernelFileError
from convfilter.filters.network_operators import Layer
from convfilter.filters.operators import Point
from convfilter.filters.stage import Stage
from convfilter.record import record


@record
class Preparation:
    """Preparation of a picture for a network: ``(sample * white - mean) / std``, optionally with reversed channels.

    Attributes
    ----------
    white : float
        Value of white at the network's input: 1, or 255 for networks trained on bytes.
    mean, std : tuple of float
        On the scale of ``white``: one number for all channels, or one for each, in the network's order; empty: 0 and 1.
    reverse : bool
        Whether the network's first channel is blue.
    """

    white: float = 1.0
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    reverse: bool = False

    def stages(self, channels: int | None) -> tuple[Stage, ...]:
        """Return the preparation as stages, possibly none.

        Parameters
        ----------
        channels : int or None
            Channels of the network's input; None if the file does not say.

        Raises
        ------
        KernelFileError
            The numbers do not match the network's channels, or a standard deviation is 0.
        """
        if self == Preparation():
            return ()
        lengths = {len(numbers) for numbers in (self.mean, self.std) if len(numbers) > 1}
        channels = channels or max(lengths, default=3)
        for name, numbers in (("mean", self.mean), ("std", self.std)):
            if len(numbers) not in (0, 1, channels):
                raise KernelFileError(
                    f"{name} must be 1 or {channels} numbers, as the network has channels, got {len(numbers)}"
                )
        if 0 in self.std:
            raise KernelFileError("std must not be 0")
        if not lengths and not self.reverse:  # all channels are prepared alike
            (mean_of_all,), (std_of_all,) = self.mean or (0.0,), self.std or (1.0,)
            factor, shift = self.white / std_of_all, -mean_of_all / std_of_all
            points = (Point("scale", factor), *((Point("bias", shift),) if shift else ()))
            return tuple(Stage(point, name="preparation") for point in points)
        mean = np.broadcast_to(np.array(self.mean or (0.0,)), channels)
        std = np.broadcast_to(np.array(self.std or (1.0,)), channels)
        weight = np.diag(self.white / std)[:, ::-1] if self.reverse else np.diag(self.white / std)
        layer = Layer(np.ascontiguousarray(weight)[:, :, np.newaxis, np.newaxis], -mean / std)
        return (Stage(layer, name="preparation", padding="valid"),)
