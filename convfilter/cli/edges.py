"""``convfilter edges``: edge detectors."""

from convfilter.cli.command import filter_command
from convfilter.cli.options import parameter_option, selector

command = filter_command(
    "edges",
    [
        *(selector(f"--{name}", name) for name in ("sobel", "scharr", "prewitt", "farid")),
        selector("--frei-chen", "freichen"),
        *(selector(f"--{name}", name) for name in ("roberts", "laplacian", "kirsch", "robinson", "canny")),
        parameter_option("sobel", "size"),
    ],
    examples="""\
convfilter edges --sobel magnitude in.png out.png
convfilter edges --sobel x --map offset in.png out.png   signed: mid-grey is 0
convfilter edges --scharr magnitude --scale 1/16 --gray in.jpg out.png
convfilter edges --sobel magnitude --size 5 in.png out.png
convfilter edges --kirsch --scale 1/8 in.png out.png     the strongest of eight directions
convfilter edges --canny 1.4,0.1,0.2 --gray in.jpg out.png   blur, weak and strong edges
convfilter edges --laplacian in.png out.png
convfilter edges --sobel orientation in.png out.png      hue: the direction of brighter pixels""",
)
