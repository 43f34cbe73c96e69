"""``convfilter rank``."""

from convfilter.cli.command import filter_command
from convfilter.cli.options import selector

command = filter_command(
    "rank",
    [selector("--median", "median"), selector("--percentile", "percentile")],
    examples="""\
convfilter rank --median 5 in.png out.png
convfilter rank --median disk:3 in.png out.png
convfilter rank --percentile 9x9,0.25 in.png out.png
convfilter rank --median '0 1 0; 1 1 1; 0 1 0' in.png out.png   a cross: where the kernel is not 0

Transparent pixels have no vote; others count by their opacity.""",
)
