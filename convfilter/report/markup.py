"""Text on its way into a page."""

from __future__ import annotations

from html import escape

from convfilter.errors import printable


def shown(text: str) -> str:
    """Return text as HTML, on one line: line ends, control characters and bytes that are no text as escapes."""
    return escape(printable(text))


def number(value: float) -> str:
    """Write a count so that it is quickly read: 18.4 million."""
    for size, word in ((1e9, "billion"), (1e6, "million")):
        if abs(value) >= size:
            return f"{value / size:,.1f} {word}"
    return f"{value:,.0f}"


def memory(count: float) -> str:
    """Write a number of bytes."""
    if count < 1 << 10:
        return f"{count:.0f} bytes"
    return f"{count / 2**20:,.1f} MB" if count >= 1 << 20 else f"{count / 2**10:,.1f} kB"


def table(head: list[tuple[str, str]], rows: list[list[str]], foot: list[str] | None = None, *, label: str) -> str:
    """Write a table that can be scrolled sideways; ``head`` has a title and a class for each column.

    Cells are HTML already. The first cell of a row is its heading.
    """
    classes = [f' class="{kind}"' if kind else "" for _, kind in head]

    def line(cells: list[str]) -> str:
        first, *others = cells
        rest = "".join(f"<td{kind}>{cell}</td>" for kind, cell in zip(classes[1:], others, strict=True))
        return f'<tr><th scope="row"{classes[0]}>{first}</th>{rest}</tr>'

    titles = "".join(f'<th scope="col"{kind}>{title}</th>' for kind, (title, _) in zip(classes, head, strict=True))
    body = "\n".join(line(row) for row in rows)
    end = f"\n<tfoot>{line(foot)}</tfoot>" if foot else ""
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{shown(label)}"><table>\n'
        f"<thead><tr>{titles}</tr></thead>\n<tbody>\n{body}\n</tbody>{end}</table></div>"
    )
