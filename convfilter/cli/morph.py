"""``convfilter morph``: erosion, dilation and filters composed of them."""

from convfilter.cli.command import filter_command
from convfilter.cli.options import selector

command = filter_command(
    "morph",
    [
        *(selector(f"--{name}", name) for name in ("erode", "dilate", "open", "close")),
        selector("--gradient", "morphgradient"),
        selector("--tophat", "tophat"),
        selector("--blackhat", "blackhat"),
    ],
    examples="""\
convfilter morph --erode 3 in.png out.png
convfilter morph --open disk:4 in.png out.png                     removes bright specks
convfilter morph --tophat disk:20 in.png out.png                  keeps only bright specks
convfilter morph --dilate '0 1 0; 1 1 1; 0 1 0' in.png out.png    a cross: the pixels with a weight

'convfilter pool --min' and '--max' with a stride of 1 ignore pixels beyond the border.""",
)
