"""One picture of a page: before and after, one over the other with a line that can be moved."""

from __future__ import annotations

from base64 import b64encode
from typing import TYPE_CHECKING

from convfilter.report.markup import shown
from convfilter.report.thumbnails import Thumbnail
from convfilter.report.views import Place, Shown

if TYPE_CHECKING:
    from convfilter.pipeline import Report

#: Smaller pictures are enlarged so that their pixels are seen as squares.
_SMALL = 320


def card(index: int, source: str, destination: str, report: Report, view: Shown, plan_link: str) -> str:
    """Return the figure of one picture, as HTML."""
    facts = [f"{shown(report.before)} → {shown(report.after)}", f"{report.clipped:.3%} of the samples clipped"]
    facts += [f"frame 0 of {report.frames} is shown"] if report.frames > 1 else []
    facts += [plan_link] if plan_link else []
    notes = "".join(f'<p class="small">{shown(note)}</p>' for note in report.notes)
    name = source if source != "-" else "standard input"
    target = destination if destination != "-" else "standard output"
    return (
        f'<figure class="card" id="picture-{index}">\n<figcaption><h3>{shown(name)}</h3>'
        f'<p class="small">→ {shown(target)}</p><p class="soft small">{"; ".join(facts)}</p>{notes}</figcaption>\n'
        f"{views(view, name)}{_detail(view, name)}\n</figure>"
    )


def views(view: Shown, name: str) -> str:
    """Return both pictures, and how they differ from what the files hold."""
    body = _sheet(view, name) if view.place is None else slider(view.before, view.after, view.place, name)
    return f'{body}\n<p class="soft small">{"; ".join(_remarks(view))}</p>'


def slider(before: Thumbnail, after: Thumbnail, place: Place, name: str) -> str:
    """Return two pictures, one over the other where it belongs, with a line between them that can be moved."""
    # The box holds both: the result reaches beyond the picture where the padding does.
    left, right = min(0.0, place.left), max(1.0, place.right)
    top, bottom = min(0.0, place.top), max(1.0, place.bottom)
    width, height = right - left, bottom - top
    ratio = width * before.full[0] / (height * before.full[1])

    def image(thumbnail: Thumbnail, where: Place, title: str) -> str:
        x, y = (where.left - left) / width, (where.top - top) / height
        across, down = thumbnail.extent
        w, h = across * (where.right - where.left) / width, down * (where.bottom - where.top) / height
        style = f"--x:{x:.4%};--y:{y:.4%};--w:{w:.4%};--h:{h:.4%}"
        return _image(thumbnail, f"{title}: {name}", f' style="{style}"')

    pixels = " pixels" if max(before.full[0] * width, before.full[1] * height) <= _SMALL else ""
    return (
        f'<div class="slider checks{pixels}" style="--ratio:{ratio:.6g}">'
        f'<div class="half first">{image(before, Place(0.0, 0.0, 1.0, 1.0), "Before")}</div>'
        f'<div class="half second">{image(after, place, "After")}</div>'
        f'<input type="range" min="0" max="100" step="0.5" value="50" aria-valuetext="before 50 %, after 50 %" '
        f'aria-label="Line between before (left) and after (right): {shown(name)}">'
        '<span class="line"></span><span class="tag left">before</span><span class="tag right">after</span></div>'
    )


def _image(thumbnail: Thumbnail, title: str, attributes: str = "") -> str:
    width, height = thumbnail.size
    data = b64encode(thumbnail.data).decode()
    return (
        f'<img alt="{shown(title)}" width="{width}" height="{height}"{attributes} '
        f'src="data:image/{thumbnail.kind};base64,{data}">'
    )


def _sheet(view: Shown, name: str) -> str:
    """Return the picture and the sheet of its maps, beside each other."""
    small = " pixels" if max(view.before.full) <= _SMALL else ""
    return (
        f'<div class="sheet"><div class="checks{small}">{_image(view.before, f"Before: {name}")}</div>'
        f"<div>{_image(view.after, f'After: {view.maps} maps of {name}')}</div></div>"
    )


def _remarks(view: Shown) -> list[str]:
    """Say how what is shown differs from what the files hold."""
    remarks = []
    for title, thumbnail in (("before", view.before), ("after", view.after)):
        parts = []
        if thumbnail.factor > 1:
            parts.append(f"reduced {thumbnail.factor} to 1")
        if thumbnail.kind != "png":
            parts.append("compressed with loss")
        if thumbnail.levels is not None:
            low, high = thumbnail.levels
            parts.append(f"black is {low:.4g}, white is {high:.4g}")
        remarks.append(f"{title}: {', '.join(parts) or 'every pixel'}")
    if view.maps:
        remarks.append(f"{view.maps} maps, each from its least value to its largest")
    return remarks


def _detail(view: Shown, name: str) -> str:
    if view.detail is None:
        return ""
    detail = view.detail
    (col, row), (width, height) = detail.corner, detail.before.full
    remark = "every pixel" if detail.before.is_exact and detail.after.is_exact else "compressed with loss"
    text = f"The part that changes most, {width}x{height} pixels from column {col}, row {row}; {remark}"
    return (
        f'\n<div class="detail"><p class="soft small">{text}</p>'
        f"{slider(detail.before, detail.after, detail.place, f'part of {name}')}</div>"
    )
