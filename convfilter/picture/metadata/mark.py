"""The mark of an output: ``Software: convfilter``, in a field of the format or a comment."""

from __future__ import annotations

from convfilter.picture.format import ANY_TEXT, Format
from convfilter.picture.picture import Metadata, Text

_KEYWORD, _COMMENT, _VALUE = "Software", "Comment", "convfilter"
#: Neither date nor command line: the same picture gives the same bytes.
_MARKS = (Text(_KEYWORD, _VALUE), Text(_COMMENT, f"{_KEYWORD}: {_VALUE}"))


def is_mark(text: Text) -> bool:
    """Whether a text is the mark of an output."""
    return text in _MARKS


def mark_of(fmt: Format) -> Text | None:
    """Return the mark of a format: a field of its own (PNG, TIFF), else a comment (JPEG, GIF), else None.

    PNMs have none: some readers expect no comments, and streams would have one in each picture.
    """
    if fmt.continues:
        return None
    for text in _MARKS:
        if fmt.holds.text == ANY_TEXT or text.keyword in fmt.holds.text:
            return text
    return None


def add(metadata: Metadata, fmt: Format) -> None:
    """Add the mark, in place of the program that wrote the input."""
    mark = mark_of(fmt)
    if mark is not None:
        metadata.text = [*(text for text in metadata.text if text.keyword != _KEYWORD), mark]


def take_off(metadata: Metadata) -> None:
    """Record and remove the mark of an input, so that it does not count as a text of the user."""
    rest = [text for text in metadata.text if not is_mark(text)]
    metadata.marked = len(rest) < len(metadata.text)
    metadata.text = rest
