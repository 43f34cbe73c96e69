"""``convfilter from``: translate command lines and calls of other programs."""

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

    LINE is a command line of ImageMagick, vips, ffmpeg or G'MIC, or a call of scipy.ndimage, OpenCV, scikit-image,
    torch.nn or Pillow. The convfilter command is printed, with comments below that say where results will differ and
    why. If a part of the line has no certain translation, an error names that part, and nothing is printed.
    """,
    params=[click.Argument(["words"], nargs=-1, required=True, metavar="LINE"), *common_options()],
)
command.examples = """\
convfilter from 'magick in.jpg -blur 0x4 out.jpg'
convfilter from 'ndimage.gaussian_filter(image, 4)'
convfilter from 'cv2.GaussianBlur(image, (9, 9), 2)'"""
