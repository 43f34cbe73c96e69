"""``convfilter info``: the content of a picture file, the losses in each format, and the effect of filters on it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from convfilter.cli.apply import spec_option, with_pipeline, words
from convfilter.cli.command import Command
from convfilter.cli.commands import COMMANDS
from convfilter.cli.messages import json_of, tell
from convfilter.cli.options import Option, common_options, config_options
from convfilter.cli.request import misused
from convfilter.errors import PictureError

if TYPE_CHECKING:
    from convfilter.picture.outline import Outline
    from convfilter.picture.picture import Picture

#: Formats in the printed list; JSON has all.
_TARGETS = ("PNG", "JPEG", "TIFF", "WebP", "AVIF")
_TURNS = {1: "upright", 3: "rotated by 180 degrees", 6: "rotated by 90 degrees", 8: "rotated by 270 degrees"}


def _info(names: tuple[str, ...], specs: tuple[str, ...], as_json: bool) -> int:
    specs, names = with_pipeline(specs, names)
    if not names:
        raise misused("a picture is needed after the @NAME of a pipeline")
    for name in names:
        facts = _facts(name)
        if specs:
            facts |= _foreseen(name, specs)
        if as_json:
            tell(*json_of(facts, indent=2).splitlines())
        else:
            tell(*_lines(facts))
    return 0


def _facts(name: str) -> dict[str, Any]:
    """Return the properties of a file; most formats need no decoding."""
    from convfilter.picture.options import ReadOptions
    from convfilter.picture.read import opened

    try:
        with opened(name, ReadOptions(auto_orient=False, allow_loss=True, max_pixels=sys.maxsize)) as picture:
            return _of_picture(name, picture)
    except PictureError as error:
        error.about(name)
        raise


def _of_picture(name: str, picture: Picture) -> dict[str, Any]:
    from convfilter.picture.losses import present
    from convfilter.picture.metadata import exif, icc

    outline, metadata = picture.outline, picture.metadata
    kinds = [kind for kind, is_there in present(outline).items() if is_there]
    kinds += ["text"] if metadata.text else []
    kinds += sorted({kind for page in outline.pages for kind in page.kinds} - {*kinds})
    return {
        "name": name,
        "format": picture.format,
        "width": outline.width,
        "height": outline.height,
        "model": outline.model,
        "alpha": outline.alpha,
        "premultiplied": outline.premultiplied,
        "bands": outline.extras,
        "dtype": outline.dtype,
        "white": outline.white,
        "frames": outline.frames,
        "animated": outline.animated,
        "profile": (icc.description(metadata.icc) or "without a name") if metadata.icc else None,
        "orientation": exif.orientation(metadata.exif, metadata.xmp),
        "resolution": metadata.resolution,
        "metadata": kinds,
        "text": {text.keyword: text.value for text in metadata.text},
        "written_by_convfilter": metadata.marked,
        "notes": list(picture.notes),
        "kept": _kept(kinds),
        "losses": _losses(outline),
    }


def _kept(kinds: list[str]) -> dict[str, list[str]]:
    """Return the metadata that each writable format keeps."""
    from convfilter.picture import formats

    return {fmt.name: [kind for kind in kinds if getattr(fmt.holds, kind, False)] for fmt in formats.FORMATS}


def _losses(outline: Outline) -> dict[str, list[str]]:
    """Return the losses in each writable format."""
    from convfilter.picture import formats, losses
    from convfilter.picture.options import WriteOptions

    by_format = {}
    for fmt in formats.FORMATS:
        holds = outline.model in fmt.models
        lost = [loss.text for loss in losses.of_outline(outline, fmt, WriteOptions())]
        by_format[fmt.name] = lost if holds else [f"{fmt.name} cannot hold a picture of model {outline.model}"]
    return by_format


def _foreseen(name: str, specs: tuple[str, ...]) -> dict[str, Any]:
    """Return the effect that a stack would have on the picture, and the losses of the result in each format."""
    from convfilter.picture.options import ReadOptions, WriteOptions
    from convfilter.pipeline import Options
    from convfilter.pipeline.forecast import forecast
    from convfilter.report import plan_text

    read = ReadOptions(allow_loss=True, max_pixels=sys.maxsize)
    options = Options(specs, read=read, write=WriteOptions(allow_loss=True))
    try:
        effect = forecast(name, options)
    except PictureError as error:
        error.about(name)
        raise
    stages = effect.plans[0].stages
    return {
        "filter": {
            "specs": list(specs),
            "before": effect.before,
            "after": effect.after,
            "format": effect.format,
            "algorithms": [stage.algorithm for stage in stages],
            "precision": [stage.precision for stage in stages],
            "not_streamed": effect.not_streamed or None,
            "notes": list(effect.notes),
            "plan": plan_text.as_json(effect.plans[0]),
        },
        "losses": _losses(effect.outline),
    }


def _lines(facts: dict[str, Any]) -> Iterator[str]:
    """Yield the available properties as lines of text."""
    white = f" (0 to {facts['white']})" if facts["white"] else ""
    alpha = " with opacity" if facts["alpha"] else ""
    bands = f" and {facts['bands']} more bands" if facts["bands"] else ""
    frames = f", {facts['frames']} {'frames' if facts['animated'] else 'pages'}" if facts["frames"] > 1 else ""
    model = f"{facts['model']}{alpha}{bands}"
    size = f"{facts['width']}x{facts['height']}"
    yield f"{facts['name']}: {facts['format']}, {size}, {model}, {facts['dtype']}{white}{frames}"
    if facts["profile"]:
        yield f"  profile      {facts['profile']}"
    if facts["orientation"] != 1:
        turn = _TURNS.get(facts["orientation"], "mirrored")
        yield f"  orientation  {facts['orientation']}: {turn} when it is filtered"
    if facts["resolution"]:
        x, y = facts["resolution"]
        yield f"  resolution   {x:g} dpi" + (f" x {y:g} dpi" if x != y else "")
    from convfilter.picture.format import NAMES

    kinds = ", ".join(NAMES[kind] for kind in facts["metadata"])
    yield f"  metadata     {kinds or 'none'}"
    for keyword, value in facts["text"].items():
        yield f"  {keyword[:12]:<12} {' '.join(value.split())[:200]}"
    if facts["written_by_convfilter"]:
        yield "  Software     convfilter"
    if "filter" in facts:
        yield from _filter_lines(facts["filter"])
    else:
        yield f"  a filter     {_way(facts)}"
    for note in facts["notes"]:
        yield f"  note         {note}"
    for name in _TARGETS:
        lost = facts["losses"][name]
        yield f"  as {name:<9} {'; '.join(lost) if lost else 'all is kept'}"


def _filter_lines(effect: dict[str, Any]) -> Iterator[str]:
    """Yield the effect of a stack as lines of text."""
    yield f"  {' + '.join(effect['specs'])}:"
    yield f"    result     {effect['before']} -> {effect['after']}, as {effect['format']}"
    methods = zip(effect["algorithms"], effect["precision"], strict=True)
    yield f"    algorithm  {' + '.join(f'{method} in {precision}' for method, precision in methods)}"
    yield f"    rows       {effect['not_streamed'] or 'streamed in a few megabytes'}"
    for note in effect["notes"]:
        yield f"    note       {note}"


def _way(facts: dict[str, Any]) -> str:
    """Describe how a filter treats a picture with these properties."""
    parts = ["takes its samples unchanged, sums them exactly or in floats, and rounds once"]
    if facts["alpha"]:
        parts.append("weights colours with their opacity")
    if facts["frames"] > 1:
        parts.append("filters each " + ("frame" if facts["animated"] else "page"))
    return "; ".join(parts)


command = Command(
    "info",
    callback=_info,
    help=COMMANDS["info"]
    + """

    Size, colour model, sample type, frames, colour profile, orientation and metadata, the effect of a filter, and the
    losses of each format. No sample is decoded, if the format allows that. With -f, or the @NAME of a pipeline before
    IN, the effect of these filters is printed too.
    """,
    params=[
        spec_option(required=False),
        click.Argument(["names"], nargs=-1, required=True, metavar="IN...", type=click.Path(), shell_complete=words),
        Option("--json", "as_json", section="Result", is_flag=True, help="Write the facts as JSON, with all formats."),
        *config_options(),
        *common_options(),
    ],
)
command.examples = """\
convfilter info in.tif
convfilter info -f gaussian:4,stride=2 in.tif
convfilter info --json in.jpg"""
