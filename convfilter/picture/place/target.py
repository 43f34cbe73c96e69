"""Choose the format of an output: from an option, the output's name, or the input."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np

from convfilter.errors import UsageError, WriteError, shown
from convfilter.picture import formats
from convfilter.picture.format import Format
from convfilter.picture.options import WriteOptions
from convfilter.record import NamedTuple

_DEFAULTS = WriteOptions()

if TYPE_CHECKING:
    import numpy.typing as npt

    from convfilter.picture.place.streams import SeriesOutput


class Target(NamedTuple):
    """The output of a picture, and its format.

    Attributes
    ----------
    path : str, or SeriesOutput
        "-" for standard output.
    format : Format, or None
        None for the format of the input, which is not open yet.
    """

    path: str | SeriesOutput
    format: Format | None = None

    def with_input_format(self, source_format: str | None) -> Target:
        """Return the target with the input's format if it has none.

        Parameters
        ----------
        source_format : str, or None
            Name of the input's format, as in ``Picture.format``.

        Returns
        -------
        Target

        Raises
        ------
        WriteError
            The input's format cannot be written.
        """
        if self.format is not None:
            return self
        fmt = formats.by_name(source_format) if source_format else None
        if fmt is None:
            known = formats.row(source_format or "")
            remedy = f"{{format={' or '.join(known.instead)}}}" if known else "{format}"
            raise WriteError(
                f"pictures cannot be written as {source_format or 'an unknown format'}", remedy=f"use {remedy}"
            )
        return self._replace(format=fmt)

    def store_dtype(self, dtype: npt.DTypeLike) -> np.dtype[np.generic]:
        """Return the sample type in which the format stores a picture.

        The engine computes this type, so samples of a format of less depth are rounded only once.

        Parameters
        ----------
        dtype : dtype
            Sample type of the input, one of ``sample_types.SAMPLE_TYPES``.

        Returns
        -------
        numpy.dtype
        """
        return self.format.dtype_for(np.dtype(dtype)) if self.format else np.dtype(dtype)

    def store_white(self, dtype: npt.DTypeLike, white: int | None) -> int | None:
        """Return the stored value of white for an input of ``dtype`` whose white is ``white``.

        None means the full scale of the type, for the input and for the result.
        """
        return self.format.white_for(self.store_dtype(dtype), white) if self.format else white


def resolve_target(
    path: str | os.PathLike[str], options: WriteOptions = _DEFAULTS, source_format: str | None = None
) -> Target:
    """Return the target of an output. No file is opened; the status of the path tells whether it is a pipe or a device.

    Parameters
    ----------
    path : path, or "-" for standard output
    options : WriteOptions, optional
        Its ``format`` overrides the suffix.
    source_format : str, optional
        Format of the input, for an output without a suffix: standard output, a FIFO, a device. None if it is not known
        yet; see ``Target.with_input_format``.

    Returns
    -------
    Target

    Raises
    ------
    UsageError
        The format or the suffix is unknown; the message lists the known ones.
    WriteError
        The input's format cannot be written.
    """
    name = os.fspath(path)
    if options.format is not None:
        chosen = formats.by_name(options.format)
        if chosen is None:
            suffix = "." + options.format.removeprefix(".")
            if known := formats.row(options.format.upper()) or formats.by_read_suffix(suffix):
                remedy = " or ".join(known.instead)
                raise UsageError(f"{known.name} can be read but not written", remedy=f"use {{format={remedy}}}")
            names = " ".join(fmt.name.lower() for fmt in formats.FORMATS)
            raise UsageError(f"format must be one of {names}, got {shown(options.format)}")
        return Target(name, chosen)
    suffix = os.path.splitext(name)[1]
    chosen = formats.by_suffix(suffix)
    if chosen is not None:
        return Target(name, chosen)
    from convfilter.picture.place.streams import is_special

    if name != "-" and not is_special(name):
        from convfilter.picture import unsupported

        if advice := unsupported.output_remedy(suffix):
            raise UsageError(advice, remedy="or set {format}")
        base = os.path.basename(name)
        if not suffix:
            import re

            simple = name if re.fullmatch(r"[\w./-]+", name) else "NAME"  # braces would be options
            raise UsageError(
                f"{shown(base)} has no suffix, which would tell the format",
                remedy=f"write {simple}/ for a folder, {simple}.png for a picture, or use {{format}}",
            )
        raise UsageError(
            f"no picture format has the suffix {shown(suffix)}; the nearest are {formats.nearest(suffix)}",
            remedy="'convfilter formats' lists all; or use {format}",
        )
    target = Target(name)
    return target.with_input_format(source_format) if source_format else target


def is_array(destination: str) -> bool:
    """Whether the output is an array of raw values: an .npy file."""
    return os.path.splitext(destination)[1].lower() == ".npy"


def require_no_file_options(options: WriteOptions) -> None:
    """Refuse options of picture files, which an array does not use."""
    for name in ("quality", "subsampling", "compression", "background"):
        given = getattr(options, name) != getattr(WriteOptions, name)
        if given and name not in options.where_taken:
            raise UsageError(
                f"{name} is for picture files, and the output is an .npy array", remedy=f"leave out {{{name}}}"
            )
