"""``convfilter rank``: medians and percentiles."""

from convfilter.cli.command import filter_command
from convfilter.cli.options import selector

command = filter_command(
    "rank",
    [selector("--median", "median"), selector("--percentile", "percentile")],
    examples="""\
convfilter rank --median 5 in.png out.png
convfilter rank --median disk:3 in.png out.png
convfilter rank --percentile 9x9,0.25 in.png out.png
convfilter rank --median '0 1 0; 1 1 1; 0 1 0' in.png out.png   a cross: the pixels with a weight

Opacity is the weight of a pixel, so transparent pixels do not count.""",
)
