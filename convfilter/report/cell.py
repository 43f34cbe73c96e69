"""The notebook cell of a filtered picture: before and after, with a line to move between them, and the plan."""

from __future__ import annotations

from html import escape

from convfilter.report.markup import shown
from convfilter.report.template import document
from convfilter.report.views import View

#: Extra height, relative to the picture, for the text below.
_LINES = 0.16


def cell(title: str, name: str, view: View) -> str:
    """Return the HTML of an iframe, which isolates the page from styles and scripts of the notebook.

    Parameters
    ----------
    title : str
        The stack, as text.
    name : str
        Name of the picture.
    view : View
        A view with pictures.
    """
    assert view.shown is not None
    width, height = view.shown.before.full
    ratio = width / (height * (1 + _LINES))
    return (
        f'<iframe title="{shown(name)}: before and after {shown(title)}" '
        f'srcdoc="{escape(document("cell.html", title, view=view, name=name))}" '
        f'style="border:0;width:100%;aspect-ratio:{ratio:.3f};min-height:18rem;max-height:52rem"></iframe>'
    )
