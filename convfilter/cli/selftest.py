"""``convfilter selftest``: check on this machine that the engine keeps its promises."""

import click

from convfilter.cli.commands import COMMANDS
from convfilter.cli.messages import FAILED, say, tell
from convfilter.cli.options import common_options

_WIDTHS = (10, 7, 7, 5, 24, 8, 6)


def _selftest() -> int:
    from convfilter.native import object_code
    from convfilter.selftest.findings import processor, selftest

    object_code.on_notice(say)
    tell(_line("method", "picture", "result", "sums", "measured", "promised", ""))
    count = broken = 0
    for finding in selftest():
        count, broken = count + 1, broken + (not finding.passed)
        verdict = "kept" if finding.passed else "BROKEN"
        subject = (finding.algorithm, finding.dtype, finding.result, finding.sums)
        tell(_line(*subject, finding.measured, finding.promised, verdict))
    tell(f"{count - broken} of {count} promises kept on this processor ({processor()})")
    return FAILED if broken else 0


def _line(*cells: str) -> str:
    return "  ".join(cell.ljust(width) for cell, width in zip(cells, _WIDTHS, strict=True)).rstrip()


command = click.Command(
    "selftest",
    callback=_selftest,
    help=COMMANDS["selftest"]
    + """

    Runs every method of computing a filter, compiled for this processor, with every
    sample type over strides, dilations, borders, channels and alpha, and compares
    with float64. Exit status 1 if a promise is broken.
    """,
    params=[*common_options()],
)
