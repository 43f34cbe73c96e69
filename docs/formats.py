"""Write the README's table of formats from their rows: ``python docs/formats.py``. A test holds it to them."""

from __future__ import annotations

import re
from pathlib import Path

from convfilter.cli.formats import bits
from convfilter.picture.format import Format
from convfilter.picture.formats import TABLE

README = Path(__file__).parents[1] / "README.md"
FIELDS = {
    "photos": "phones, cameras",
    "web": "web",
    "film": "film, rendering",
    "print": "print, design",
    "science": "satellites, microscopes, telescopes, hospitals",
    "programs": "programs, old and new",
}
_BETWEEN = re.compile(r"(?<=<!-- formats -->\n).*(?=<!-- /formats -->)", re.DOTALL)


def table() -> str:
    """Return the table in Markdown: the formats by field; those that are only read share a line."""
    lines = [
        "| of | format | suffixes | bits | alpha | several | by rows | extra |",
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
    cells = (said, name, suffixes, " ".join(bits(fmt)), fmt.alpha, fmt.frames, rows, fmt.extra)
    return f"| {' | '.join(cells)} |".replace("|  |", "| |").replace("|  |", "| |")


def with_table(text: str) -> str:
    """Return a text with the table between its two marks."""
    return _BETWEEN.sub(lambda _: table(), text)


if __name__ == "__main__":
    README.write_text(with_table(README.read_text()))
