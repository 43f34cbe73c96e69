"""``convfilter sharpen``: the unsharp mask."""

from convfilter.cli.command import filter_command
from convfilter.cli.options import parameter_option

command = filter_command(
    "sharpen",
    [parameter_option("unsharp", name) for name in ("sigma", "amount", "threshold")],
    filter_name="unsharp",
    examples="""\
convfilter sharpen in.jpg out.jpg
convfilter sharpen --sigma 2 --amount 0.6 --threshold 0.02 in.jpg out.jpg""",
)
