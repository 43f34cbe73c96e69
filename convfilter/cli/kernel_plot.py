"""Plots of kernels: weights, a cross-section, the frequency response."""

from __future__ import annotations

import io
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from convfilter.errors import UsageError, printable, shown
from convfilter.picture.place.atomic import save

if TYPE_CHECKING:
    from convfilter.filters.kernel import Kernel, Weights

_SUFFIXES = ("png", "svg")
_INCHES = 3.4
#: Least frequencies of the response along an axis; more if the kernel has more taps.
_FREQUENCIES = 256
_MOST_TAPS = 2048
#: Largest side of a kernel whose weights are printed into the heat map.
_MOST_WRITTEN = 7


def plot(title: str, kernels: Sequence[tuple[str, Kernel]], path: str) -> None:
    """Draw kernels, one row each, into a PNG or SVG file.

    Raises
    ------
    UsageError
        The suffix is wrong, there is no kernel, a kernel is too large, or matplotlib is missing.
    WriteError
        The file cannot be written; the message names it.
    """
    suffix = os.path.splitext(path)[1].lower().lstrip(".")
    if suffix not in _SUFFIXES:
        raise UsageError(f"a plot is a PNG or SVG file, got {shown(path)}; name it kernel.png, for instance")
    if not kernels:
        raise UsageError(f"{title} has no weights that could be plotted")
    if max(side for _, kernel in kernels for side in kernel.shape) > _MOST_TAPS:
        raise UsageError(f"kernels of up to {_MOST_TAPS} taps on a side can be plotted, {title} has more")
    try:
        import matplotlib
        from matplotlib.figure import Figure
    except ImportError:
        raise UsageError("plots need matplotlib; install it with: pip install 'convfilter[plot]'") from None
    # The same input gives the same bytes: no random identifiers, no date.
    with matplotlib.rc_context({"svg.hashsalt": "convfilter", "svg.fonttype": "path"}):
        figure = Figure(figsize=(3 * _INCHES, len(kernels) * _INCHES + 0.4), layout="constrained")
        figure.suptitle(_escaped(title))
        for axes, (name, kernel) in zip(figure.subplots(len(kernels), 3, squeeze=False), kernels, strict=True):
            draw_weights(axes[0], name, kernel.weights)
            _sections(axes[1], kernel.weights)
            _response(axes[2], kernel.weights)
        drawn = io.BytesIO()
        figure.savefig(
            drawn, format=suffix, dpi=110, metadata={"Date": None} if suffix == "svg" else {"Software": None}
        )
    save(path, drawn.getvalue())


def _escaped(text: str) -> str:
    """Escape text for matplotlib, where a dollar sign would begin a formula."""
    return printable(text).replace("$", r"\$")


def draw_weights(axes: Any, name: str, weights: Weights) -> None:
    """Draw weights as a heat map into axes of matplotlib's: white is zero, red positive, blue negative."""
    limit = float(np.abs(weights).max()) or 1.0
    rows, cols = weights.shape
    top, left = rows // 2, cols // 2
    extent = (-left - 0.5, cols - left - 0.5, rows - top - 0.5, -top - 0.5)
    shown = axes.imshow(weights, cmap="RdBu_r", vmin=-limit, vmax=limit, extent=extent)
    axes.figure.colorbar(shown, ax=axes, shrink=0.8).set_label("weight", fontsize=8)
    axes.set_xlabel("px from the centre", fontsize=8)
    axes.set_ylabel("px from the centre", fontsize=8)
    axes.set_title(f"{_escaped(name)}, {weights.shape[1]}x{weights.shape[0]}", fontsize=9)
    if max(weights.shape) > _MOST_WRITTEN:
        axes.locator_params(integer=True)
        return
    axes.set_xticks(range(-left, cols - left))
    axes.set_yticks(range(-top, rows - top))
    for (row, col), weight in np.ndenumerate(weights):
        dark = abs(weight) > 0.6 * limit
        axes.text(
            col - left,
            row - top,
            f"{weight:.3g}",
            ha="center",
            va="center",
            fontsize=8,
            color="white" if dark else "black",
        )


def _sections(axes: Any, weights: Weights) -> None:
    """Draw the middle row and the middle column."""
    rows, cols = weights.shape
    axes.axhline(0, color="0.8", linewidth=0.8)
    axes.plot(np.arange(cols) - cols // 2, weights[rows // 2], "o-", markersize=3, label="middle row")
    axes.plot(np.arange(rows) - rows // 2, weights[:, cols // 2], "s--", markersize=3, label="middle column")
    axes.set_title("cross-sections", fontsize=9)
    axes.set_xlabel("px from the centre", fontsize=8)
    axes.set_ylabel("weight", fontsize=8)
    axes.legend(fontsize=7)


def response(weights: Weights) -> Weights:
    """Return the magnitude of the frequency response, frequency zero in the middle (row and column size // 2)."""
    rows, cols = (max(_FREQUENCIES, size) for size in weights.shape)
    magnitude: Weights = np.abs(np.fft.fftshift(np.fft.fft2(weights, (rows, cols))))
    return magnitude


def _response(axes: Any, weights: Weights) -> None:
    shown = axes.imshow(response(weights), cmap="viridis", vmin=0, extent=(-0.5, 0.5, 0.5, -0.5))
    axes.set_title("frequency response", fontsize=9)
    axes.set_xlabel("cycles per px", fontsize=8)
    axes.set_ylabel("cycles per px", fontsize=8)
    axes.figure.colorbar(shown, ax=axes, shrink=0.8).set_label("gain", fontsize=8)
