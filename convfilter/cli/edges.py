"""``convfilter edges``."""

from convfilter.cli.command import filter_command
from convfilter.cli.options import selector

command = filter_command(
    "edges",
    [selector(f"--{name}", name) for name in ("sobel", "scharr", "prewitt", "roberts", "laplacian")],
    examples="""\
convfilter edges --sobel magnitude in.png out.png
convfilter edges --sobel x --map offset in.png out.png   signed: mid-grey is 0
convfilter edges --scharr magnitude --scale 1/16 --gray in.jpg out.png
convfilter edges --laplacian in.png out.png
convfilter edges --sobel orientation in.png out.png      hue: where it gets brighter""",
)
