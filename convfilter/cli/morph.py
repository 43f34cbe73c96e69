"""``convfilter morph``."""

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
convfilter morph --open disk:4 in.png out.png                     bright specks go
convfilter morph --tophat disk:20 in.png out.png                  ... or nothing else stays
convfilter morph --dilate '0 1 0; 1 1 1; 0 1 0' in.png out.png    a cross: where the kernel is not 0

'convfilter pool --min' and '--max' with a stride of 1 do without what lies beyond the border.""",
)
