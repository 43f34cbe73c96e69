"""The steps of a job that differ for feature maps, which are not pictures, and checks of a result's size.

``contact_sheet`` is imported only for results that are laid out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from convfilter.errors import ParameterError, SizeError, UsageError
from convfilter.executor.run import run_array
from convfilter.filters.network_operators import Layer
from convfilter.filters.operators import Orientation
from convfilter.filters.stage import Stage
from convfilter.picture.limits import require_memory
from convfilter.picture.outline import Outline
from convfilter.picture.picture import Picture
from convfilter.picture.place.atomic import replacing
from convfilter.picture.place.target import Target
from convfilter.pipeline.georeference import georeferenced
from convfilter.planning import Plan, plan_stack
from convfilter.record import replace

if TYPE_CHECKING:
    from convfilter.pipeline.contact_sheet import Form
    from convfilter.pipeline.ignored_pixels import IgnoredPixels
    from convfilter.pipeline.streaming import RowConverter

_COLOURS = (1, 3)
_COLOURS_AND_ALPHA = 4


def require_result(stages: Sequence[Stage], width: int, height: int) -> None:
    """Refuse a stack whose output for this size, rotated or not, is empty or too large for memory.

    Raises
    ------
    SizeError
        The message names the stage and its numbers.
    """
    refusals = []
    for rows, cols in ((height, width), (width, height)):
        try:
            plan = plan_stack(stages, (rows, cols, _channels(stages)), "uint8")
            require_room(plan, are_maps=plan.stages[-1].output_channels not in (*_COLOURS, _COLOURS_AND_ALPHA))
            return
        except SizeError as error:
            refusals.append(error)
        except ParameterError:  # errors independent of the size are raised with the whole picture
            return
    raise refusals[0]


def _channels(stages: Sequence[Stage]) -> int:
    """Return the channels that the stack reads: those of its first layer, else 3."""
    first = next((stage.operator for stage in stages if isinstance(stage.operator, Layer | Orientation)), None)
    return first.inputs if isinstance(first, Layer) else max(_COLOURS)


def require_room(plan: Plan, *, are_maps: bool) -> None:
    """Refuse a stack whose intermediate results or feature maps, which are floats, exceed the memory.

    Raises
    ------
    SizeError
        The message names the stage and its numbers.
    """
    for number, stage in enumerate(plan.stages if are_maps else plan.stages[:-1], 1):
        rows, cols, channels = stage.rows.output, stage.cols.output, stage.output_channels
        what = f"stage {number} ({stage.stage.name}), {channels} channels of {cols}x{rows},"
        require_memory(rows * cols * channels * plan.between.itemsize, what)


def form_of(plan: Plan, target: Target | None, *, wants_sheet: bool) -> Form:
    """Return the form of a result.

    Parameters
    ----------
    plan : Plan
        Plan of a frame.
    target : Target, or None
        None for an array.
    wants_sheet : bool
        Whether a contact sheet is requested.

    Returns
    -------
    Form
        "picture" for 1 or 3 colours, for as many as the input has, and for 4 channels without alpha; else "pages" in a
        TIFF and "sheet" in other formats.

    Raises
    ------
    UsageError
        An array cannot be a sheet.
    """
    if target is None:
        if wants_sheet:
            raise UsageError(
                "a sheet is a picture, and the output is an .npy array",
                remedy="name it sheet.png, for instance, or leave out {sheet=True}",
            )
        return "array"
    if wants_sheet:
        return "sheet"
    if has_colours(plan):
        return "picture"
    return "pages" if target.format is not None and target.format.name.upper() == "TIFF" else "sheet"


def has_colours(plan: Plan) -> bool:
    """Whether the result's channels are colours, rather than feature maps."""
    colours = plan.stages[-1].output_channels - plan.alpha
    return colours in _COLOURS or colours == plan.input_colours or (colours == _COLOURS_AND_ALPHA and not plan.alpha)


def has_alpha(stages: Sequence[Stage], picture: Picture) -> bool:
    """Whether the result has alpha: that of the picture, or the fourth of four channels that the last layer computes.

    Four channels are red, green, blue and opacity, as in ``Picture.from_array``, unless they are inks.
    """
    makers = [stage.operator for stage in stages if isinstance(stage.operator, Layer | Orientation)]
    last = makers[-1] if makers else None
    computes_alpha = isinstance(last, Layer) and last.weight.shape[0] == _COLOURS_AND_ALPHA and picture.model != "cmyk"
    return picture.alpha or computes_alpha


def outline_of(form: Form, outline: Outline, plans: Sequence[Plan]) -> Outline:
    """Return the outline of a result in the form "sheet" or "pages", from the outline that its maps would have."""
    from convfilter.pipeline.contact_sheet import Grid

    maps = plans[0].stages[-1].output_channels - plans[0].alpha
    outline = replace(outline, model="gray", alpha=False, extras=0, white=None)
    if form == "pages":
        return replace(outline, frames=outline.frames * maps, delays=())
    height, width = Grid(maps, outline.height, outline.width).size
    return replace(outline, height=height, width=width, dtype="uint8")


def run_maps(
    plans: Sequence[Plan],
    picture: Picture,
    form: Form,
    threads: int | None,
    ignored_pixels: IgnoredPixels | None,
    converter: RowConverter,
) -> Picture:
    """Run the plans to float values, which ``converter`` converts (white = 1), and lay out the maps.

    Only arrays keep alpha. On a sheet, ignored pixels are black, and do not count in the range of a map.
    """
    from convfilter.pipeline.contact_sheet import as_pages, as_sheets

    frames = []
    for number, (plan, frame) in enumerate(zip(plans, picture.frames, strict=True)):
        if ignored_pixels is None:
            pixels = converter(run_array(plan, frame.pixels, out_dtype=plan.between, threads=threads).pixels)
        else:
            pixels = ignored_pixels.maps(number, converter, drawn=form == "sheet")
        pixels = pixels.reshape(*pixels.shape[:2], -1)
        if plan.alpha and form != "array":
            pixels = pixels[..., :-1]
        frames.append(georeferenced(frame.with_pixels(pixels), plan))
    mapped = replace(picture, frames=frames, white=None, file_dtype=None)
    return {"sheet": as_sheets, "pages": as_pages}.get(form, lambda same: same)(mapped)


def write_array(destination: str, picture: Picture) -> None:
    """Write the values of the only frame as an .npy array of floats, (H, W, C).

    Parameters
    ----------
    destination : str
        A path, an address, or "-" for standard output.
    picture : Picture

    Raises
    ------
    UsageError
        There are several frames.
    WriteError
        The file cannot be written.
    """
    from convfilter.pipeline.contact_sheet import array_bytes

    if len(picture.frames) > 1:
        raise UsageError(f"an .npy file holds one frame, got {len(picture.frames)}", remedy="choose one with {frame=N}")
    with replacing(destination) as file:
        file.write(array_bytes(picture.pixels))
