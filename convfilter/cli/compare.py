"""``convfilter compare``: how far apart two pictures are."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click

from convfilter.cli.command import Command
from convfilter.cli.commands import COMMANDS
from convfilter.cli.messages import json_of, tell
from convfilter.cli.options import Option, debug_option
from convfilter.errors import PictureError, UsageError

if TYPE_CHECKING:
    from convfilter.picture.picture import Picture
    from convfilter.picture.place.target import Target


def _compare(a: str, b: str, difference: str | None, as_json: bool, least_psnr: float | None) -> int:
    from convfilter.comparison import compare_frames, difference_picture

    target = None if difference is None else _target(difference, a, b)
    first, second = _read(a), _read(b)
    if first.premultiplied != second.premultiplied:
        first, second = first.straight(), second.straight()
    _require_alike(first, second, a, b)
    found = compare_frames([(x.pixels, y.pixels) for x, y in zip(first.frames, second.frames, strict=True)])
    if target is not None:
        _write(target, difference_picture(first, second), str(difference))
    if as_json:
        tell(*json_of(found.as_json(), indent=2).splitlines())
    else:
        tell(*found.lines())
    if least_psnr is not None and (found.psnr is None or found.psnr < least_psnr):
        reached = "no number" if found.psnr is None else f"{found.psnr:.2f} dB"
        raise PictureError(f"{a} and {b} are too far apart: PSNR is {reached}, --least-psnr asks for {least_psnr:g} dB")
    return 0


def _target(name: str, *sources: str) -> Target:
    """Refuse to write the difference over what is compared, or among the numbers."""
    from convfilter.picture.place.target import resolve_target

    if name == "-":
        raise UsageError("the numbers go to standard output; give the difference a file name")
    for source in sources:
        if os.path.exists(name) and os.path.exists(source) and os.path.samefile(name, source):
            raise UsageError(f"{name}: the difference would overwrite an input; give it another name")
    return resolve_target(name)


def _read(name: str) -> Picture:
    from convfilter.picture.read import read

    try:
        return read(name).full_range()
    except PictureError as error:
        error.about(name)
        raise


def _write(target: Target, picture: Picture, name: str) -> None:
    from convfilter.picture.write import write

    try:
        write(target, picture)
    except PictureError as error:
        error.about(name)
        raise


def _require_alike(first: Picture, second: Picture, a: str, b: str) -> None:
    for name, one, other in (
        ("number of frames", *(str(len(each.frames)) for each in (first, second))),
        *(
            ("size", *(f"{each.pixels.shape[1]}x{each.pixels.shape[0]}" for each in pair))
            for pair in zip(first.frames, second.frames, strict=False)
        ),
        ("channels", *(each.outline.kind for each in (first, second))),
        ("sample type", *(str(each.pixels.dtype) for each in (first, second))),
    ):
        if one != other:
            raise PictureError(f"pictures to compare must have the same {name}: {a} has {one}, {b} has {other}")


command = Command(
    "compare",
    callback=_compare,
    help=COMMANDS["compare"]
    + """

    PSNR and SSIM (Wang et al. 2004: Gaussian window of 1.5 pixels, mean over the
    channels), the largest difference in levels and where it is, and the share of
    samples that are equal. Frames are compared one by one; the numbers are of all
    of them, SSIM is their mean.
    """,
    params=[
        click.Argument(["a"], metavar="A", type=click.Path()),
        click.Argument(["b"], metavar="B", type=click.Path()),
        Option(
            "--difference",
            section="Result",
            metavar="FILE",
            help="Write |A - B|, stretched so that the largest difference is white.",
        ),
        Option(
            "--least-psnr",
            section="Result",
            metavar="DB",
            type=click.FloatRange(min=0),
            help="Exit with status 1 if the pictures are further apart.",
        ),
        Option("--json", "as_json", section="Result", is_flag=True, help="Write the numbers as JSON."),
        debug_option(),
    ],
)
command.examples = """\
convfilter compare before.png after.png
convfilter compare before.png after.png --difference where.png
convfilter compare golden.png result.png --least-psnr 50"""
