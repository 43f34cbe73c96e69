"""Pictures to feature maps: what ``pipeline`` does where the result is no picture of one or three colours."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from convfilter.engine.run import run
from convfilter.errors import UsageError
from convfilter.picture.atomic import replacing
from convfilter.picture.picture import Outline, Picture
from convfilter.picture.sheet import Form, Grid, array_bytes, as_pages, as_sheets
from convfilter.picture.write import Target, WriteOptions
from convfilter.planning import Plan, full_scale

_COLOURS = (1, 3)


def is_array(destination: str) -> bool:
    """Whether the result is to be an array of raw values: an .npy file."""
    return os.path.splitext(destination)[1].lower() == ".npy"


def require_no_file_options(options: WriteOptions) -> None:
    """Refuse options of picture files that would say nothing to an array."""
    for name in ("quality", "subsampling", "compression", "background"):
        given = getattr(options, name) != getattr(WriteOptions, name)
        if given and name not in options.where_taken:
            raise UsageError(f"--{name} is for picture files, and the output is an .npy array; leave it out")


def form_of(plan: Plan, target: Target | None, *, wants_sheet: bool) -> Form:
    """Tell how the result of ``plan`` is to be written; ``target`` is None for an array."""
    if target is None:
        if wants_sheet:
            raise UsageError("a sheet is a picture; name it sheet.png, for instance, or leave out --sheet")
        return "array"
    colours = plan.stages[-1].output_channels - plan.alpha
    if wants_sheet:
        return "sheet"
    if colours in _COLOURS or colours == plan.input_colours:
        return "picture"
    return "pages" if target.format is not None and target.format.name.upper() == "TIFF" else "sheet"


def outline_of(form: Form, outline: Outline, plans: Sequence[Plan]) -> Outline:
    """Return what will be written: the outline of a sheet, or of pages."""
    maps = plans[0].stages[-1].output_channels - plans[0].alpha
    if form == "pages":
        return replace(outline, model="gray", alpha=False, frames=outline.frames * maps, animated=False)
    height, width = Grid(maps, outline.height, outline.width).size
    return replace(outline, model="gray", alpha=False, height=height, width=width)


def run_maps(plans: Sequence[Plan], picture: Picture, form: Form, threads: int | None) -> Picture:
    """Run the plans to real values, white = 1, and lay the maps out; alpha is left out."""
    frames = []
    for plan, frame in zip(plans, picture.frames, strict=True):
        pixels = run(plan, frame.pixels, out_dtype=np.float32, threads=threads).pixels
        pixels = pixels.reshape(*pixels.shape[:2], -1)
        if plan.alpha and form != "array":
            pixels = pixels[..., :-1]
        frames.append(replace(frame, pixels=pixels / np.float32(full_scale(frame.pixels.dtype))))
    mapped = replace(picture, frames=frames)
    return {"sheet": as_sheets, "pages": as_pages}.get(form, lambda same: same)(mapped)


def write_array(destination: str, picture: Picture) -> None:
    """Write the values of the only frame as .npy: (H, W, C) float32.

    Raises
    ------
    UsageError
        There are several frames.
    WriteError
        The file cannot be written.
    """
    if len(picture.frames) > 1:
        raise UsageError(f"an .npy file holds one frame, got {len(picture.frames)}; choose one with --frame")
    with replacing(destination) as file:
        file.write(array_bytes(picture.pixels))
