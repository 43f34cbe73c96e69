"""Write the tables of formats and of their metadata into the pages that show them: ``python docs/formats.py``.

The tables come from the rows of ``convfilter.picture.formats``; a test compares the pages with them.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from convfilter.cli.formats import bits, metadata
from convfilter.picture.format import NAMES, Format
from convfilter.picture.formats import TABLE

HERE = Path(__file__).parent
FIELDS = {
    "photos": "phones, cameras",
    "web": "web",
    "film": "film, rendering",
    "print": "print, design",
    "science": "satellites, microscopes, telescopes, hospitals",
    "programs": "programs, old and new",
}


def formats_table() -> str:
    """Return the formats by field, in Markdown; formats of ``programs`` that are only read share a line."""
    lines = [
        "| used by | format | suffixes | bits | alpha | several | by rows | extra |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for field, said in FIELDS.items():
        lines += [_row(said, fmt) for fmt in TABLE if fmt.field == field and (fmt.writer or fmt.field != "programs")]
        read = ", ".join(fmt.name for fmt in TABLE if fmt.field == field and field == "programs" and not fmt.writer)
        lines += [f"| {said} | read only: {read} | | | | | | |"] if read else []
    return "\n".join(lines) + "\n"


def _row(said: str, fmt: Format) -> str:
    suffixes = " ".join((*fmt.suffixes, *fmt.read_suffixes))
    rows = "yes" if fmt.reads_rows and fmt.row_writer else ""
    name = fmt.name if fmt.writer else f"{fmt.name}, read only"
    return _cells(said, name, suffixes, " ".join(bits(fmt)), fmt.alpha, fmt.frames, rows, fmt.extra)


def metadata_table() -> str:
    """Return each kind of metadata with the formats that hold it, in Markdown; read-only formats in brackets."""
    lines = ["| metadata | formats |", "|---|---|"]
    for kind, said in NAMES.items():
        names = [fmt.name if fmt.writer else f"({fmt.name})" for fmt in TABLE if kind in metadata(fmt)]
        lines.append(_cells(said.removeprefix("a ").removeprefix("an ").removeprefix("the "), " ".join(names)))
    return "\n".join(lines) + "\n"


def _cells(*cells: str) -> str:
    return f"| {' | '.join(cells)} |".replace("|  |", "| |").replace("|  |", "| |")


#: Each page and the table between its two marks, ``<!-- NAME -->`` and ``<!-- /NAME -->``.
PAGES: dict[str, Callable[[], str]] = {"formats": formats_table, "metadata": metadata_table}


def with_table(name: str, text: str) -> str:
    """Return a page's text with its table made again."""
    between = rf"(?<=<!-- {name} -->\n).*(?=<!-- /{name} -->)"
    return re.sub(between, lambda _: PAGES[name](), text, flags=re.DOTALL)


if __name__ == "__main__":
    for name in PAGES:
        page = HERE / f"{name}.md"
        page.write_text(with_table(name, page.read_text()))
