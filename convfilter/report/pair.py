"""Layout of the pictures before and after, one over the other, and remarks on how thumbnails differ from the files."""

from __future__ import annotations

from convfilter.record import NamedTuple
from convfilter.report.thumbnails import Thumbnail
from convfilter.report.views import Place, Shown

#: Longest side in pixels of pictures that are enlarged until pixels are visible squares.
_SMALL = 320


def is_small(width: float, height: float) -> bool:
    """Whether a picture's pixels are enlarged."""
    return max(width, height) <= _SMALL


class Layout(NamedTuple):
    """The box of two pictures: aspect ratio, position of each picture as CSS, and whether the pixels are enlarged."""

    ratio: str
    before: str
    after: str
    is_small: bool


def layout(before: Thumbnail, after: Thumbnail, place: Place) -> Layout:
    """Align two pictures; the result extends beyond the picture by the padding."""
    left, right = min(0.0, place.left), max(1.0, place.right)
    top, bottom = min(0.0, place.top), max(1.0, place.bottom)
    width, height = right - left, bottom - top

    def style(thumbnail: Thumbnail, where: Place) -> str:
        x, y = (where.left - left) / width, (where.top - top) / height
        across, down = thumbnail.extent
        w, h = across * (where.right - where.left) / width, down * (where.bottom - where.top) / height
        return f"--x:{x:.4%};--y:{y:.4%};--w:{w:.4%};--h:{h:.4%}"

    return Layout(
        f"{width * before.full[0] / (height * before.full[1]):.6g}",
        style(before, Place(0.0, 0.0, 1.0, 1.0)),
        style(after, place),
        is_small(before.full[0] * width, before.full[1] * height),
    )


def remarks(view: Shown) -> list[str]:
    """Return remarks on differences between thumbnails and files."""
    lines = []
    for title, thumbnail in (("before", view.before), ("after", view.after)):
        parts = []
        if thumbnail.factor > 1:
            parts.append(f"reduced {thumbnail.factor} to 1")
        if thumbnail.kind != "png":
            parts.append("compressed with loss")
        if thumbnail.levels is not None:
            low, high = thumbnail.levels
            parts.append(f"black is {low:.4g}, white is {high:.4g}")
        lines.append(f"{title}: {', '.join(parts) or 'every pixel'}")
    if view.maps:
        lines.append(f"{view.maps} maps, each from its least value to its largest")
    return lines
