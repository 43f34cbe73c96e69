"""Formatting of text for pages and drawings."""

from __future__ import annotations

from html import escape

from convfilter.errors import printable


def shown(text: str) -> str:
    """Escape text for XML, on one line: line ends, control characters and invalid bytes become escapes."""
    return escape(printable(text))


def number(value: float) -> str:
    """Format a count for quick reading: 18.4 million."""
    for size, word in ((1e9, "billion"), (1e6, "million")):
        if abs(value) >= size:
            return f"{value / size:,.1f} {word}"
    return f"{value:,.0f}"


def memory(count: float) -> str:
    """Format a number of bytes."""
    if count < 1 << 10:
        return f"{count:.0f} bytes"
    return f"{count / 2**20:,.1f} MB" if count >= 1 << 20 else f"{count / 2**10:,.1f} kB"
