"""Sums, products and concatenations of branches."""

from __future__ import annotations

from convfilter.planning.method import Method, never

JOIN = Method("join", lambda _: 1.0, fits_single=never)
