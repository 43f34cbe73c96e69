"""``convfilter compare``: measure the difference of two pictures."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from convfilter.cli.command import Command
from convfilter.cli.commands import COMMANDS
from convfilter.cli.messages import FAILED, json_of, say, tell
from convfilter.cli.options import Option, common_options, read_options
from convfilter.cli.values import RunType
from convfilter.errors import PictureError, UsageError
from convfilter.filters.parameters import Number
from convfilter.picture.options import DEFAULT_MAX_PIXELS, ReadOptions

if TYPE_CHECKING:
    from convfilter.comparison import Comparison
    from convfilter.picture.picture import Picture
    from convfilter.picture.place.target import Target


def _compare(
    a: str,
    b: str,
    difference: str | None,
    max_difference: float | None,
    min_psnr: float | None,
    min_ssim: float | None,
    as_json: bool,
    max_pixels: float | None,
    allow_loss: bool,
    frame: int | None,
    lenient: bool,
) -> int:
    from convfilter.comparison import compare_frames, difference_picture

    target = None if difference is None else _target(difference, a, b)
    options = ReadOptions(
        max_pixels=int(max_pixels or DEFAULT_MAX_PIXELS), allow_loss=allow_loss, frame=frame, lenient=lenient
    )
    first, second = _read(a, options), _read(b, options)
    if first.premultiplied != second.premultiplied:
        first, second = first.straight(), second.straight()
    _require_alike(first, second, a, b)
    pairs = [(x.pixels, y.pixels) for x, y in zip(first.frames, second.frames, strict=True)]
    comparison = compare_frames(pairs, first.own_white)
    if target is not None:
        _write(target, difference_picture(first, second), str(difference))
    if as_json:
        tell(*json_of(comparison.as_json(), indent=2).splitlines())
    else:
        tell(*comparison.lines())
    failed = list(_failed(comparison, max_difference, min_psnr, min_ssim))
    if failed:
        say(f"{a} and {b} are too far apart: {'; '.join(failed)}")
    return FAILED if failed else 0


def _failed(comparison: Comparison, difference: float | None, psnr: float | None, ssim: float | None) -> Iterator[str]:
    """Yield a sentence for each limit that is exceeded; NaN exceeds all limits."""
    if difference is not None and comparison.largest > difference:
        yield f"the largest difference is {comparison.largest:g}, at most {difference:g} is allowed"
    if difference is not None and comparison.unmatched:
        samples = "1 sample is" if comparison.unmatched == 1 else f"{comparison.unmatched} samples are"
        yield f"{samples} NaN or infinite in one picture only"
    if psnr is not None and (comparison.psnr is None or comparison.psnr < psnr):
        reached = "there is no PSNR" if comparison.psnr is None else f"PSNR is {comparison.psnr:.2f} dB"
        yield f"{reached}, at least {psnr:g} dB is needed"
    if ssim is not None and (comparison.ssim is None or comparison.ssim < ssim):
        reached = "there is no SSIM" if comparison.ssim is None else f"SSIM is {comparison.ssim:.6f}"
        yield f"{reached}, at least {ssim:g} is needed"


def _target(name: str, *sources: str) -> Target:
    """Refuse to write the difference over an input, or to standard output among the numbers."""
    from convfilter.picture.place.target import resolve_target

    if name == "-":
        raise UsageError("the numbers go to standard output; give the difference a file name")
    for source in sources:
        if os.path.exists(name) and os.path.exists(source) and os.path.samefile(name, source):
            raise UsageError(f"{name}: the difference would overwrite an input; give it another name")
    return resolve_target(name)


def _read(name: str, options: ReadOptions) -> Picture:
    """Read a picture; a note names what an accepted loss leaves out."""
    from convfilter.picture.read import read

    try:
        picture = read(name, options).full_range()
    except PictureError as error:
        error.about(name)
        raise
    for note in picture.notes if options.allow_loss or options.lenient else ():
        say(f"{name}: {note}")
    return picture


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
        ("sample type", *(each.outline.dtype for each in (first, second))),
    ):
        if one != other:
            raise PictureError(f"pictures to compare must have the same {name}: {a} has {one}, {b} has {other}")


def _limit(flag: str, kind: Number, text: str) -> Option:
    return Option(flag, section="Result", type=RunType(kind), metavar=kind.metavar, help=text)


command = Command(
    "compare",
    callback=_compare,
    help=COMMANDS["compare"]
    + """

    PSNR and SSIM (Wang et al. 2004: Gaussian window of 1.5 pixels, mean over the
    channels), the largest difference in levels and its place, and the share of equal
    samples. Frames are compared one by one; the numbers hold for all frames
    together, and SSIM is the mean over the frames.
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
        _limit("--max-difference", Number("N", minimum=0), "Exit status 1 if two samples differ by more, in levels."),
        _limit("--min-psnr", Number("DB"), "Exit status 1 if the PSNR is lower."),
        _limit("--min-ssim", Number("S", minimum=-1, maximum=1), "Exit status 1 if the SSIM is lower."),
        Option("--json", "as_json", section="Result", is_flag=True, help="Write the numbers as JSON."),
        *read_options(),
        *common_options(),
    ],
)
command.examples = """\
convfilter compare before.png after.png
convfilter compare before.png after.png --difference where.png
convfilter compare golden.png result.png --max-difference 1 --min-psnr 50   in a test"""
