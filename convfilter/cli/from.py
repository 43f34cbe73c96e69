"""``convfilter from``: lines of other programs translated to commands."""

from __future__ import annotations

import click

from convfilter.cli.command import Command
from convfilter.cli.commands import COMMANDS
from convfilter.cli.messages import tell
from convfilter.cli.options import common_options


def _from(words: tuple[str, ...]) -> int:
    from shlex import join

    from convfilter.cli.translation import translated

    tell(*translated(words[0] if len(words) == 1 else join(words)).lines())
    return 0


command = Command(
    "from",
    callback=_from,
    help=COMMANDS["from"]
    + """

    LINE is one of ImageMagick, vips, ffmpeg or G'MIC, or one call of scipy.ndimage, OpenCV, scikit-image or torch.nn.
    The command is printed, and below it, as comments, where results will differ and why. A part without a certain
    meaning here is named, and nothing is printed.
    """,
    params=[click.Argument(["words"], nargs=-1, required=True, metavar="LINE"), *common_options()],
)
command.examples = """\
convfilter from 'magick in.jpg -blur 0x4 out.jpg'
convfilter from 'ndimage.gaussian_filter(image, 4)'
convfilter from 'cv2.GaussianBlur(image, (9, 9), 2)'"""
