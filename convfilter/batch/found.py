"""What a search for input files is told, what it finds, and what it leaves out."""

from __future__ import annotations

import os
from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import NamedTuple

from convfilter.picture import foreign, formats

HEAD_BYTES = 32


class Job(NamedTuple):
    """One picture to be filtered: where it comes from and where it goes."""

    source: str
    destination: str


class Naming(NamedTuple):
    """How an output is named after its input.

    Attributes
    ----------
    folder : str, or None
        Where outputs go; None: beside their inputs.
    ext : str
        Suffix of the outputs, with its dot; "": that of the input.
    suffix : str
        What stands before that: ``_blur`` makes ``a_blur.png``.
    """

    folder: str | None = None
    ext: str = ""
    suffix: str = ""

    def destination(self, path: str, relative: str) -> str:
        """Name the output of the input ``path``, which stands at ``relative`` below the input folder."""
        stem, ext = os.path.splitext(path if self.folder is None else os.path.join(self.folder, relative))
        return stem + self.suffix + (self.ext or ext)


class Search(NamedTuple):
    """Which files of folders are taken.

    Attributes
    ----------
    recursive : bool
        Those of folders in folders too.
    exclude : sequence of str
        Glob patterns, of a name or of a path below the folder.
    any_content : bool
        A picture of any name is taken, since the output's suffix is given.
    follow : bool
        Outputs may lead out of their folder through links.
    """

    recursive: bool = False
    exclude: Sequence[str] = ()
    any_content: bool = False
    follow: bool = False


class Found(NamedTuple):
    """What is to be done, and what cannot be.

    Attributes
    ----------
    jobs : list of Job
    skipped : list of str
        Files of folders that are no pictures, or not of a kind that can be filtered.
    closed : list of pair of str
        Folders that cannot be read, and pictures whose output must not be written, each with the reason.
    reasons : dict of str to list of str
        Why pictures are among the skipped files, and which.
    """

    jobs: list[Job]
    skipped: list[str]
    closed: list[tuple[str, str]]
    reasons: dict[str, list[str]]


def is_excluded(path: str, patterns: Sequence[str]) -> bool:
    """Whether a path below a folder, or its last part, is to be left out."""
    base = os.path.basename(path)
    return any(fnmatchcase(base, glob.rstrip("/")) or fnmatchcase(path, glob) for glob in patterns)


def is_output(path: str, naming: Naming) -> bool:
    """Tell the outputs of an earlier run, which lie beside their inputs."""
    return naming.folder is None and bool(naming.suffix) and os.path.splitext(path)[0].endswith(naming.suffix)


def why_skipped(path: str, head: bytes | None) -> str | None:
    """Judge a file of a folder by its name, and by its content where that is known.

    Parameters
    ----------
    path : str
        Path or address.
    head : bytes, or None
        The first 512 bytes; empty: only the name counts, None: it is no file.

    Returns
    -------
    str, or None
        None for a picture that is filtered; "" for a file that is none; else why a picture is left out.
    """
    suffix = os.path.splitext(path)[1]
    if head is None:
        return ""
    if formats.by_suffix(suffix) is not None or formats.sniff(head[:HEAD_BYTES]) is not None:
        return None
    found = (foreign.by_content(head) if head else None) or foreign.by_suffix(suffix)
    if found is not None:
        return found.message
    advice = foreign.read_only(suffix) if not head else None
    return f"{advice}, as with {{ext={foreign.output_for(suffix)}}}" if advice else ""


def skip(path: str, why: str, found: Found) -> None:
    """Note a file that is left out."""
    found.skipped.append(path)
    if why:
        found.reasons.setdefault(why, []).append(path)
