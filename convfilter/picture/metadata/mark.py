"""The mark that convfilter wrote a file: ``Software: convfilter``, in a field of the format or in a comment."""

from __future__ import annotations

from convfilter.picture.format import ANY_TEXT, Format
from convfilter.picture.metadata.metadata import Metadata, Text

_KEYWORD, _COMMENT, _VALUE = "Software", "Comment", "convfilter"
#: Without a date and a command line: the same picture gives the same bytes.
_MARKS = (Text(_KEYWORD, _VALUE), Text(_COMMENT, f"{_KEYWORD}: {_VALUE}"))


def is_mark(text: Text) -> bool:
    """Whether a text is the mark of an output."""
    return text in _MARKS


def mark_of(fmt: Format) -> Text | None:
    """Return the mark for outputs of a format.

    Parameters
    ----------
    fmt : Format

    Returns
    -------
    Text, or None
        With the keyword ``Software`` where the format has a field for it (PNG, TIFF), else a ``Comment`` (JPEG, GIF).
        None for formats without comments, and for PNM: some readers do not expect comments there, and each picture of
        a stream would have one.
    """
    if fmt.continues:
        return None
    for text in _MARKS:
        if fmt.holds.text == ANY_TEXT or text.keyword in fmt.holds.text:
            return text
    return None


def add(metadata: Metadata, fmt: Format) -> None:
    """Add the mark to the texts; it replaces the name of the program that wrote the input."""
    mark = mark_of(fmt)
    if mark is not None:
        metadata.text = [*(text for text in metadata.text if text.keyword != _KEYWORD), mark]


def remove(metadata: Metadata) -> None:
    """Move the mark of an input from the texts, which are the user's, to ``Metadata.marked``."""
    rest = [text for text in metadata.text if not is_mark(text)]
    metadata.marked = len(rest) < len(metadata.text)
    metadata.text = rest
