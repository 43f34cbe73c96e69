"""Functions of single samples."""

from __future__ import annotations

from convfilter.planning.method import Method

POINTS = Method("points", lambda _: 1.0, terms=lambda _: 3)
