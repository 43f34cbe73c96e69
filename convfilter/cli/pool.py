"""``convfilter pool``: pooling by the largest, the smallest or the mean sample."""

from convfilter.cli.command import filter_command
from convfilter.cli.options import parameter_option, selector
from convfilter.filters.catalog import FILTERS

command = filter_command(
    "pool",
    [
        selector("--max", "maxpool"),
        selector("--min", "minpool"),
        selector("--average", "avgpool"),
        selector("--lp", "lppool"),
        parameter_option("avgpool", "count_padding"),
        parameter_option("lppool", "p"),
    ],
    stage_parameters=FILTERS["maxpool"].stage_parameters,
    examples="""\
convfilter pool --max 2 in.png out.png
convfilter pool --max 3 --stride 2 --padding 1 in.png out.png
convfilter pool --average 4x2 in.png out.png
convfilter pool --average 3 --stride 2 --ceil --count-padding --padding 1 in.png out.png
convfilter pool --max global in.png out.png                     one pixel
convfilter pool --min 3 --stride 1 --padding 1 in.png out.png   erosion; --max: dilation

By default the stride is the size of the window, and the padding is 0.""",
)
