"""``convfilter formats``: the readable and writable formats, and the content that each holds."""

from __future__ import annotations

from convfilter.cli.command import Command
from convfilter.cli.commands import COMMANDS
from convfilter.cli.messages import json_of, tell
from convfilter.cli.options import Option, common_options
from convfilter.picture import formats
from convfilter.picture.format import NAMES, Format

_BITS = {"uint8": 8, "uint16": 16, "uint32": 32}
#: Words for sample types other than unsigned integers; "signed" stands for all sizes.
_KINDS = {"int16": "signed", "float32": "float", "float64": "double"}


def facts(fmt: Format) -> dict[str, object]:
    """Return the properties of a format, for JSON.

    Parameters
    ----------
    fmt : Format

    Returns
    -------
    dict of str
    """
    return {
        "name": fmt.name,
        "field": fmt.field,
        "suffixes": [*fmt.suffixes, *fmt.read_suffixes],
        "read": bool(fmt.reader),
        "write": bool(fmt.writer),
        "bits": list(bits(fmt)),
        "dtypes": list(fmt.dtypes),
        "models": list(fmt.models),
        "alpha": fmt.alpha or None,
        "bands": fmt.extras,
        "frames": fmt.frames or None,
        "rows_read": fmt.reads_rows,
        "rows_written": bool(fmt.row_writer),
        "metadata": metadata(fmt),
        "options": list(fmt.takes),
        "package": fmt.needs or None,
        "extra": fmt.extra or None,
        "installed": not formats.install_hint(fmt),
    }


def bits(fmt: Format) -> tuple[str, ...]:
    """Return the sample types of a format as words: bits of integers, then "signed", "float" and "double"."""
    whole = fmt.depths or tuple(_BITS[dtype] for dtype in fmt.dtypes if dtype in _BITS)
    return (*map(str, whole), *(word for dtype, word in _KINDS.items() if dtype in fmt.dtypes))


def metadata(fmt: Format) -> list[str]:
    """Return the kinds of metadata that a format holds, by their fields in ``Holds``."""
    return [kind for kind in NAMES if getattr(fmt.holds, kind)]


def columns(fmt: Format) -> tuple[str, ...]:
    """Return one row of the printed table."""
    rows = {(True, True): "yes", (True, False): "read", (False, True): "written"}
    needs = "" if not fmt.extra else f"extra {fmt.extra}" + (", not installed" if formats.install_hint(fmt) else "")
    return (
        fmt.name,
        "read, write" if fmt.writer else "read",
        " ".join(suffix[1:] for suffix in (*fmt.suffixes, *fmt.read_suffixes)),
        " ".join(bits(fmt)),
        fmt.alpha or "-",
        fmt.frames or "-",
        rows.get((fmt.reads_rows, bool(fmt.row_writer)), "-"),
        " ".join(metadata(fmt)) or "-",
        needs or "-",
    )


#: Heads of the columns.
HEADS = ("format", "does", "suffixes", "bits", "alpha", "several", "by rows", "keeps", "needs")


def _lines() -> list[str]:
    table = [HEADS, *map(columns, formats.TABLE)]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    return ["  ".join(map(str.ljust, row, widths)).rstrip() for row in table]


def _formats(as_json: bool) -> int:
    tell(*(json_of([*map(facts, formats.TABLE)], indent=2).splitlines() if as_json else _lines()))
    return 0


command = Command(
    "formats",
    callback=_formats,
    help=COMMANDS["formats"]
    + """

    "bits" are the bits of a sample; "signed" integers have the same sizes, and "double" is a float of 64 bits.
    "several" is the meaning of several pictures in one file. Formats that go "by rows" need little memory for large
    pictures. "keeps" lists metadata.
    """,
    params=[
        Option("--json", "as_json", section="Result", is_flag=True, help="Write all facts as JSON."),
        *common_options(),
    ],
)
command.examples = """\
convfilter formats
convfilter formats --json"""
