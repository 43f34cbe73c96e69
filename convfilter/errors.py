"""Everything that can go wrong, as one tree.

::

    ConvfilterError
    |-- UsageError          what was asked for makes no sense       exit status 2
    |   |-- ParameterError    a number, size or mode out of range (a ValueError too)
    |   |-- SpecError         the text of a filter does not parse
    |   `-- KernelFileError   weights that cannot be used
    |-- PictureError        one picture cannot be done              exit status 1
    |   |-- ReadError         it cannot be read
    |   |-- SizeError         nothing is left of it, or it is too large
    |   `-- WriteError        the result cannot be written
    `-- ClusterError        other machines cannot do the work       exit status 1

A message is one line: the rule, then the value, then the way out.
"""

from __future__ import annotations


class ConvfilterError(Exception):
    """The root: whatever convfilter raises on purpose."""


class UsageError(ConvfilterError):
    """What was asked for makes no sense, whatever the picture."""


class ParameterError(UsageError, ValueError):
    """A parameter is out of its range; the message names rule and value."""


class SpecError(UsageError, ValueError):
    """The text of a filter does not parse."""


class KernelFileError(UsageError, ValueError):
    """A kernel, from a file or written inline, holds no usable weights."""


class PictureError(ConvfilterError):
    """One picture cannot be done; others can."""


class ReadError(PictureError, OSError):
    """A picture cannot be read: missing, damaged, or of an unknown kind."""


class SizeError(PictureError, ValueError):
    """Nothing is left of the picture, or it is larger than allowed."""


class WriteError(PictureError, OSError):
    """The result cannot be written, or the format cannot hold it."""


class ClusterError(ConvfilterError):
    """A scheduler or its workers cannot do the work: not there, lost, or of another version."""


def first_line(error: BaseException) -> str:
    """Return what an error of another library says first, without its full stop; its type where it says nothing."""
    lines = str(error).splitlines()
    return (lines[0].rstrip(".") if lines else "") or type(error).__name__
