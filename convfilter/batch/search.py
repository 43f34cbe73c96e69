"""Options and results of a search for input files."""

from __future__ import annotations

import os
from collections.abc import Sequence
from fnmatch import fnmatchcase

from convfilter.picture import formats, unsupported
from convfilter.record import NamedTuple


class Job(NamedTuple):
    """One picture to filter: source and destination."""

    source: str
    destination: str


class Naming(NamedTuple):
    """Rules for the name of an output.

    Attributes
    ----------
    folder : str, or None
        Output folder; None: each output is in the folder of its input.
    ext : str
        Suffix of the outputs, with its dot; "" for that of each input.
    suffix : str
        Text inserted before the suffix: ``_blur`` makes ``a_blur.png``.
    """

    folder: str | None = None
    ext: str = ""
    suffix: str = ""

    def destination(self, path: str, relative: str) -> str:
        """Return the output of the input ``path``, which is at ``relative`` below the input folder."""
        stem, ext = os.path.splitext(path if self.folder is None else os.path.join(self.folder, relative))
        return stem + self.suffix + (self.ext or ext)


class Search(NamedTuple):
    """Selection of files in folders.

    Attributes
    ----------
    recursive : bool
        Whether to search subfolders.
    exclude : sequence of str
        Glob patterns of names, or of paths below the folder.
    any_content : bool
        Whether to detect pictures by content where the name does not tell the format. The format of the outputs must
        be given then.
    follow : bool
        Whether outputs may be links out of their folder.
    """

    recursive: bool = False
    exclude: Sequence[str] = ()
    any_content: bool = False
    follow: bool = False


class SearchResult(NamedTuple):
    """The jobs found, and the files left out.

    Attributes
    ----------
    jobs : list of Job
    skipped : list of str
        Files in folders that are not pictures, or cannot be filtered.
    refused : list of pair of str
        Unreadable folders, and pictures whose output must not be written, each with the reason.
    reasons : dict of str to list of str
        Names of skipped pictures, by the reason why they were skipped.
    """

    jobs: list[Job]
    skipped: list[str]
    refused: list[tuple[str, str]]
    reasons: dict[str, list[str]]


def is_excluded(path: str, patterns: Sequence[str]) -> bool:
    """Whether a pattern matches a path below a folder, or its last part."""
    base = os.path.basename(path)
    return any(fnmatchcase(base, glob.rstrip("/")) or fnmatchcase(path, glob) for glob in patterns)


def is_output(path: str, naming: Naming) -> bool:
    """Whether a file in the folder of the inputs has the name of an output of an earlier run."""
    return naming.folder is None and bool(naming.suffix) and os.path.splitext(path)[0].endswith(naming.suffix)


def why_skipped(path: str, head: bytes | None) -> str | None:
    """Classify a file in a folder by its name, and by its content where known.

    Parameters
    ----------
    path : str
        Path or address.
    head : bytes, or None
        The first 512 bytes; empty: classify by name only; None: not a file.

    Returns
    -------
    str, or None
        None for a picture to filter; "" for a file that is not a picture; else why a picture is skipped.
    """
    suffix = os.path.splitext(path)[1]
    if head is None:
        return ""
    if formats.by_suffix(suffix) is not None or formats.sniff(head) is not None:
        return None
    known = (unsupported.by_content(head) if head else None) or unsupported.by_suffix(suffix)
    if known is not None:
        return known.message
    advice = unsupported.output_remedy(suffix) if not head else None
    return f"{advice}, as with {{ext={unsupported.output_suffix_for(suffix)}}}" if advice else ""


def skip(path: str, why: str, result: SearchResult) -> None:
    """Record a skipped file."""
    result.skipped.append(path)
    if why:
        result.reasons.setdefault(why, []).append(path)
