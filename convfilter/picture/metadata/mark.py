"""The mark of an output: ``Software: convfilter``, where a format has such a field, or remarks that can say so."""

from __future__ import annotations

from convfilter.picture.format import ANY_TEXT, Format
from convfilter.picture.picture import Metadata, Text

_KEYWORD, _COMMENT, _VALUE = "Software", "Comment", "convfilter"
#: No date and no command line: the same picture gives the same bytes.
_MARKS = (Text(_KEYWORD, _VALUE), Text(_COMMENT, f"{_KEYWORD}: {_VALUE}"))


def mark_of(fmt: Format) -> Text | None:
    """Return the mark of a format: a field of its own (PNG, TIFF), else a comment (JPEG, GIF), else None.

    PNMs have none: there are readers that expect no comment, and streams would have one in each picture.
    """
    if fmt.continues:
        return None
    for text in _MARKS:
        if fmt.holds.text == ANY_TEXT or text.keyword in fmt.holds.text:
            return text
    return None


def add(metadata: Metadata, fmt: Format) -> None:
    """Say that convfilter has written the file; what has written the input counts no more."""
    mark = mark_of(fmt)
    if mark is not None:
        metadata.text = [*(text for text in metadata.text if text.keyword != _KEYWORD), mark]


def take_off(metadata: Metadata) -> None:
    """Remember the mark of an input, and do not carry it over as if it were a remark of somebody."""
    rest = [text for text in metadata.text if text not in _MARKS]
    metadata.marked = len(rest) < len(metadata.text)
    metadata.text = rest
