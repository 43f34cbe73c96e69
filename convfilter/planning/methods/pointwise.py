"""Functions of single samples."""

from __future__ import annotations

from convfilter.planning.method import Method, grid_of_samples, no_passes

POINTS = Method("points", lambda _: 1.0, grid=grid_of_samples, passes=no_passes)
