"""What a notebook shows of a picture and its filters: before and after with a line between them, and the plan."""

from __future__ import annotations

from html import escape

from convfilter.report.markup import shown
from convfilter.report.template import document
from convfilter.report.views import View

#: Beside the picture's height, for what stands below it.
_LINES = 0.16


def cell(title: str, name: str, view: View) -> str:
    """Return a frame with a page of its own, which styles and scripts of the notebook do not touch.

    Parameters
    ----------
    title : str
        The stack.
    name : str
        Of the picture.
    view : View
        With its pictures.
    """
    assert view.shown is not None
    width, height = view.shown.before.full
    ratio = width / (height * (1 + _LINES))
    return (
        f'<iframe title="{shown(name)}: before and after {shown(title)}" '
        f'srcdoc="{escape(document("cell.html", title, view=view, name=name))}" '
        f'style="border:0;width:100%;aspect-ratio:{ratio:.3f};min-height:18rem;max-height:52rem"></iframe>'
    )
