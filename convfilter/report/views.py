"""The view of one picture in a page: the picture before and after, a detail of both, and the plan."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from convfilter.filters.stage import Stage
from convfilter.guide_pictures import with_guides
from convfilter.picture.colour import straightened, with_full_range
from convfilter.picture.options import ReadOptions
from convfilter.picture.picture import Picture
from convfilter.picture.pixels import Pixels
from convfilter.pipeline.contact_sheet import Form, sheet
from convfilter.planning import LUMINANCE, LUMINANCE_DIVISOR, Plan
from convfilter.planning.field import Field
from convfilter.planning.figures import figures
from convfilter.record import NamedTuple, record
from convfilter.report import plan_text
from convfilter.report.exploration_steps import goes_across
from convfilter.report.explorer import Explored, of_channels
from convfilter.report.thumbnails import Thumbnail, thumbnail
from convfilter.sample_types import is_integer

if TYPE_CHECKING:
    from PIL import Image

#: Largest number of pictures on a page, and of bytes: of all pictures, and of each, before base64.
MOST_SHOWN = 100
_MOST_BYTES = 24 << 20
_MOST_BYTES_EACH = 4 << 20
#: (number of pictures, longest side of a thumbnail in pixels) for pages of up to this number of pictures.
SIDES = ((12, 1600), (40, 1200), (MOST_SHOWN, 800))
#: Width and height of a detail in pixels, and the most pictures of a page with details.
DETAIL = 480, 320
_MOST_WITH_DETAIL = 40
#: Largest number of feature maps shown.
_MOST_MAPS = 64
_COLOURS = (1, 3)
_CHANNELS = {"gray": ("grey",), "rgb": ("red", "green", "blue"), "cmyk": ("cyan", "magenta", "yellow", "black")}


class Place(NamedTuple):
    """Position of the result on the picture: edges as fractions of width and height; beyond 0..1 lies the padding."""

    left: float
    top: float
    right: float
    bottom: float


class Detail(NamedTuple):
    """A region before and after, at full resolution; ``corner`` is the column and row of its first pixel."""

    before: Thumbnail
    after: Thumbnail
    place: Place
    corner: tuple[int, int]


class Shown(NamedTuple):
    """The pictures of a view.

    Attributes
    ----------
    before, after : Thumbnail
    place : Place, or None
        Position of the result; None for a contact sheet of maps.
    detail : Detail, or None
        The region that changes most, if the thumbnails are reduced.
    maps : int
        Number of feature maps shown, 0 for a picture.
    """

    before: Thumbnail
    after: Thumbnail
    place: Place | None
    detail: Detail | None = None
    maps: int = 0


class View(NamedTuple):
    """The data of one picture in a page.

    Attributes
    ----------
    plan : dict
        Result of ``plan_text.as_json``.
    words : tuple of str
        The plan as lines of text.
    shown : Shown, or None
        Pictures; None if there are too many.
    explored : Explored, or None
        Exploration of receptive fields, for one picture of a page.
    """

    plan: dict[str, Any]
    words: tuple[str, ...]
    shown: Shown | None = None
    explored: Explored | None = None


@record
class Look:
    """Makes the views of a batch: a callable with each picture before and after filtering.

    Attributes
    ----------
    shown : frozenset of str
        Destinations to show; the more destinations, the smaller their pictures.
    explored : str
        The destination whose picture is explored; "" for none.
    stages : sequence of Stage
        The stack that is explored.
    auto_orient : bool
        Whether guides are oriented, as in ``ReadOptions``.
    most_bytes : int
        Largest size of each picture in bytes; larger ones are compressed with loss.
    """

    shown: frozenset[str]
    explored: str = ""
    stages: Sequence[Stage] = ()
    auto_orient: bool = True
    most_bytes: int = _MOST_BYTES_EACH

    def __call__(self, destination: str, before: Picture, after: Picture, plans: Sequence[Plan], form: Form) -> View:
        """Return the view of a picture's first frame.

        Parameters
        ----------
        destination : str
            The output, as typed.
        before, after : Picture
            The picture that was read, and the picture that is written.
        plans : sequence of Plan
            One for each frame.
        form : Form
            Form of the result.
        """
        plan, words = plan_text.as_json(plans[0]), tuple(plan_text.lines(plans[0]))
        is_shown = destination in self.shown
        if not is_shown:
            return View(plan, words)
        made = _shown(len(self.shown), self.most_bytes, before, after, plans[0], form)
        explored = self._explored(before, plans[0], made) if destination == self.explored else None
        return View(plan, words, made, explored)

    def _explored(self, before: Picture, plan: Plan, made: Shown) -> Explored:
        """Explore a picture at the detail, or in the middle if the view has no detail."""
        at = 0.5, 0.5
        if made.detail is not None:
            (col, row), (width, height) = made.detail.corner, made.detail.before.full
            at = (row + height / 2) / before.pixels.shape[0], (col + width / 2) / before.pixels.shape[1]
        options = ReadOptions(max_pixels=sys.maxsize, auto_orient=self.auto_orient)
        return explored_at(with_guides(self.stages, options), before, plan, at)


def explored_at(stages: Sequence[Stage], before: Picture, plan: Plan, at: tuple[float, float]) -> Explored:
    """Explore the channels of a picture at a place, from 0 (top, left) to 1 (bottom, right)."""
    pixels = np.atleast_3d(before.pixels)
    if plan.dtype != before.dtype or (*plan.input_shape, 1)[2] != pixels.shape[2]:
        return Explored("the filters read other samples than the file holds: linear light, or weighted colours", "")
    names = _CHANNELS[before.model]
    names += tuple(f"band {number}" for number in range(len(names) + 1, pixels.shape[2] + 1 - before.alpha))
    channels = {name: pixels[..., number] for number, name in enumerate(names)}
    if plan.gray and before.model == "rgb":
        weights = np.array(LUMINANCE) / LUMINANCE_DIVISOR
        luminance = pixels[..., :3] @ weights
        rounded = (np.rint(luminance) if is_integer(before.dtype) else luminance).astype(before.dtype)
        channels = {"luminance": rounded}
    patch = of_channels(stages, channels, at, before.own_white)
    each = "All channels are drawn" if goes_across(stages) else "One channel is drawn at a time"
    each = "Its luminance is drawn" if plan.gray and before.model == "rgb" else each
    alpha = ", transparency aside" if before.alpha else ""
    return Explored(patch, f"A patch of the first picture, pixel by pixel. {each}{alpha}.")


def _shown(pictures: int, most_bytes: int, before: Picture, after: Picture, plan: Plan, form: Form) -> Shown:
    """Make the thumbnails of one of ``pictures`` pictures."""
    side = next((side for most, side in SIDES if pictures <= most), SIDES[-1][1])
    has_detail = pictures <= _MOST_WITH_DETAIL
    most_bytes = min(most_bytes, _MOST_BYTES // pictures // (4 if has_detail else 2))
    after, maps = result_of(after, plan, form)
    small = [_thumbnail(picture, picture.pixels, side, most_bytes) for picture in (before, after)]
    if maps:
        return Shown(small[0], small[1], None, maps=maps)
    cols, rows = (last_field(plan, axis) for axis in ("cols", "rows"))
    whole = [((0, picture.pixels.shape[1]), (0, picture.pixels.shape[0])) for picture in (after, before)]
    detail = None
    if has_detail and any(each.factor > 1 for each in small):
        detail = _detail(before, after, small, cols, rows, most_bytes)
    return Shown(small[0], small[1], laid(cols, rows, *whole[0], *whole[1]), detail)


def result_of(picture: Picture, plan: Plan, form: Form) -> tuple[Picture, int]:
    """Return a result as one picture, and the number of maps on its contact sheet, or 0."""
    if form == "picture":
        return picture, 0
    maps = plan.stages[-1].output_channels - plan.alpha
    if form == "sheet":
        return picture, maps
    if form == "pages":
        pixels = np.stack([frame.pixels for frame in picture.frames[: min(maps, _MOST_MAPS)]], axis=2)
        return Picture.from_array(sheet(pixels)), min(maps, _MOST_MAPS)
    pixels = picture.pixels.reshape(*picture.pixels.shape[:2], -1)[..., :maps]
    if maps in _COLOURS:
        return Picture.from_array(np.ascontiguousarray(pixels)), 0
    return Picture.from_array(sheet(pixels[..., :_MOST_MAPS])), min(maps, _MOST_MAPS)


def _thumbnail(picture: Picture, pixels: Pixels, side: int, most_bytes: int) -> Thumbnail:
    model, alpha, icc = picture.model, picture.alpha, picture.metadata.icc
    if picture.premultiplied and alpha:
        pixels = straightened(pixels, pixels.dtype, picture.white, picture.white)
    pixels = picture.without_extras(pixels)
    if picture.white is not None:
        pixels = with_full_range(pixels, picture.white)
    return thumbnail(pixels, model, alpha, side=side, most_bytes=most_bytes, icc=icc)


def last_field(plan: Plan, axis: str) -> Field:
    """Return the receptive fields of a plan's outputs, along "cols" or "rows"."""
    field: Field = getattr(figures(plan)[-1], axis)
    return field


def edges(field: Field, outputs: tuple[int, int]) -> tuple[float, float]:
    """Return the extent of outputs (first, last + 1) in pixels of the input; 0 is its left edge."""
    first, last = outputs
    begin = field.start + 0.5 - field.jump / 2
    return begin + first * field.jump, begin + last * field.jump


def laid(
    cols: Field,
    rows: Field,
    outputs_across: tuple[int, int],
    outputs_down: tuple[int, int],
    inputs_across: tuple[int, int],
    inputs_down: tuple[int, int],
) -> Place:
    """Return the position of a region of the result on a region of the picture; spans are (first, last + 1)."""
    left, right = ((edge - inputs_across[0]) for edge in edges(cols, outputs_across))
    top, bottom = ((edge - inputs_down[0]) for edge in edges(rows, outputs_down))
    width, height = inputs_across[1] - inputs_across[0], inputs_down[1] - inputs_down[0]
    return Place(left / width, top / height, right / width, bottom / height)


def _detail(
    before: Picture, after: Picture, small: Sequence[Thumbnail], cols: Field, rows: Field, most_bytes: int
) -> Detail | None:
    """Cut the same region out of both pictures, at full resolution."""
    height, width = before.pixels.shape[:2]
    across, down = min(DETAIL[0], width), min(DETAIL[1], height)
    left, top = _busiest(small, (across / width, down / height))
    col, row = round(left * (width - across)), round(top * (height - down))
    inputs = (col, col + across), (row, row + down)
    limits = after.pixels.shape[1], after.pixels.shape[0]
    outputs = [
        outputs_within(field, part, limit) for field, part, limit in zip((cols, rows), inputs, limits, strict=True)
    ]
    if any(last <= first for first, last in outputs):
        return None
    cut = before.pixels[row : row + down, col : col + across]
    filtered = after.pixels[slice(*outputs[1]), slice(*outputs[0])]
    # With the own side of each cut, nothing is reduced, even if the result has several pixels for each input pixel.
    thumbnails = [
        _thumbnail(picture, pixels, max(pixels.shape[:2]), most_bytes)
        for picture, pixels in ((before, cut), (after, filtered))
    ]
    place = laid(cols, rows, outputs[0], outputs[1], *inputs)
    return Detail(thumbnails[0], thumbnails[1], place, (col, row))


def outputs_within(field: Field, inputs: tuple[int, int], limit: int) -> tuple[int, int]:
    """Return the outputs (first, last + 1) whose centres lie within a span of the input."""
    first = int(np.ceil((inputs[0] - field.start) / field.jump))
    last = int(np.floor((inputs[1] - 1 - field.start) / field.jump)) + 1
    return max(0, first), min(limit, last)


def _busiest(small: Sequence[Thumbnail], part: tuple[float, float]) -> tuple[float, float]:
    """Return the position of the region that changes most: left and top as fractions, 0 to 1, of their ranges."""
    from io import BytesIO

    from PIL import Image

    grey = []
    for each in small:
        with Image.open(BytesIO(each.data)) as image:
            grey.append(_grey(image).resize(small[0].size, Image.Resampling.BOX))
    change = np.abs(np.subtract(*(np.asarray(image, np.float64) for image in grey)))
    total = np.pad(change, ((1, 0), (1, 0))).cumsum(axis=0).cumsum(axis=1)
    height, width = change.shape
    across, down = max(1, int(part[0] * width)), max(1, int(part[1] * height))
    sums = total[down:, across:] - total[:-down, across:] - total[down:, :-across] + total[:-down, :-across]
    row, col = np.unravel_index(int(sums.argmax()), sums.shape)
    return int(col) / max(1, sums.shape[1] - 1), int(row) / max(1, sums.shape[0] - 1)


def _grey(image: Image.Image) -> Image.Image:
    """Return a picture in grey, composited over mid-grey: transparent pixels are neutral."""
    from PIL import Image

    if image.mode in ("L", "RGB"):
        return image.convert("L")
    colour = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", colour.size, (128, 128, 128, 255)), colour).convert("L")
