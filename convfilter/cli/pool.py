"""``convfilter pool``."""

from convfilter.cli.command import filter_command
from convfilter.cli.options import selector
from convfilter.filters.catalog import FILTERS

command = filter_command(
    "pool",
    [selector("--max", "maxpool"), selector("--min", "minpool"), selector("--average", "avgpool")],
    keywords=FILTERS["maxpool"].stage_keywords,
    examples="""\
convfilter pool --max 2 in.png out.png
convfilter pool --max 3 --stride 2 --padding 1 in.png out.png
convfilter pool --average 4x2 in.png out.png
convfilter pool --min 3 --stride 1 --padding 1 in.png out.png   erosion; --max: dilation

The stride is the window unless set, and the padding 0.""",
)
