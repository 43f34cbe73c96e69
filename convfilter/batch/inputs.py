"""Find pairs of input and output by the names on a command line, and refuse collisions."""

from __future__ import annotations

import codecs
import os
from collections.abc import Iterable, Iterator, Sequence

from convfilter.batch.search import Job, Naming, Search, SearchResult, is_excluded, is_output, skip, why_skipped
from convfilter.errors import UsageError, named
from convfilter.picture import formats, unsupported
from convfilter.picture.place.address import is_address
from convfilter.picture.place.atomic import is_below
from convfilter.picture.place.streams import is_special

#: Most folders reached through links: a few linked folders can form a maze of millions of paths.
MOST_LINKED = 10_000


def find(names: Iterable[str], naming: Naming, search: Search) -> SearchResult:
    """Find the pictures for names, and name their outputs.

    Parameters
    ----------
    names : iterable of str
        Files, addresses and folders. A file named twice is one input. The pictures of a folder come in the order of
        their names, without hidden files. A symbolic link to a folder is followed, unless it leads to an ancestor
        folder.
    search : Search

    Returns
    -------
    SearchResult

    Raises
    ------
    UsageError
        Two inputs have the same output, or an output is an input. Nothing
        has been written yet.
    """
    result = SearchResult([], [], [], {})
    links = _Links()
    for name in names:
        if is_address(name):
            from convfilter.batch import remote

            remote.take(name, naming, search, result)
        elif os.path.isdir(name):
            _take_folder(name, naming, search, links, result)
        elif not is_excluded(name, search.exclude):
            job = Job(name, naming.destination(name, os.path.basename(name)))
            # An input named on the command line may be a link, even if it is overwritten in place.
            free = search.follow or naming == Naming()
            _take(job, "" if free else naming.folder or os.path.dirname(name) or os.curdir, links, result)
    return result._replace(jobs=distinct(result.jobs, in_place=naming == Naming()))


def _take_folder(name: str, naming: Naming, search: Search, links: _Links, result: SearchResult) -> None:
    """Add the pictures of a folder; say so if only its subfolders have any."""
    found = len(result.jobs) + len(result.skipped) + len(result.refused)
    for path, relative in _walk(name, search, naming.folder, result.refused):
        if is_output(path, naming):
            result.skipped.append(path)
        elif (why := why_skipped(path, _head(path, search))) is not None:
            skip(path, why, result)
        else:
            job = Job(path, naming.destination(path, relative))
            _take(job, "" if search.follow else naming.folder or name, links, result)
    is_empty = found == len(result.jobs) + len(result.skipped) + len(result.refused)
    if is_empty and not search.recursive and _has_folders(name):
        skip(name, "it holds folders and no pictures; {recursive=True} searches them", result)


def _take(job: Job, top: str, links: _Links, result: SearchResult) -> None:
    """Add a job, or refuse it if its output is a pipe, or a link out of ``top``: another user may have planted them."""
    target = links.target_outside(job.destination, top) if top else None
    if target is not None:
        why = f"leads out of {named(top)} to {named(target)}"
    elif top and not is_address(job.destination) and is_special(job.destination):
        why = "is a pipe or a device"
    else:
        result.jobs.append(job)
        return
    problem = f"its output {named(job.destination)} {why}; use {{follow=True}} to write there"
    result.refused.append((job.source, problem))


class _Links:
    """Resolves links, each folder once."""

    def __init__(self) -> None:
        self._folders: dict[str, str] = {}

    def target_outside(self, name: str, top: str) -> str | None:
        """Return the target of a name, or None if it is below ``top``."""
        if is_address(name):
            return None
        folder, base = os.path.split(name)
        target = os.path.realpath(name) if os.path.islink(name) else os.path.join(self._of(folder), base)
        return None if is_below(target, self._of(top)) else target

    def _of(self, folder: str) -> str:
        if folder not in self._folders:
            self._folders[folder] = os.path.realpath(folder or os.curdir)
        return self._folders[folder]


def _walk(top: str, search: Search, output: str | None, refused: list[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """Yield the path, and the path below ``top``, of each file in order; skip the output folder."""
    avoided = _identity(output) if output is not None else None
    waiting: list[tuple[str, str, frozenset[object], bool]] = [(top, "", frozenset(), False)]
    linked = 0
    while waiting:
        folder, below, parents, through_link = waiting.pop()
        identity = _identity(folder)
        if identity in parents or (identity == avoided and below):
            continue
        linked += through_link
        if linked > MOST_LINKED:
            refused.append((folder, f"links lead to more than {MOST_LINKED:,} folders; name the folders to search"))
            return
        folders = []
        for entry in _entries(folder, refused):
            relative = os.path.join(below, entry.name)
            if entry.name.startswith(".") or is_excluded(relative, search.exclude):
                continue
            if os.path.isdir(entry.path):  # entry.is_dir() raises on a link to itself
                folders.append((entry.path, relative, parents | {identity}, through_link or entry.is_symlink()))
            else:
                yield entry.path, relative
        if search.recursive:
            waiting += reversed(folders)


def _entries(folder: str, refused: list[tuple[str, str]]) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except OSError as error:
        refused.append((folder, f"the folder cannot be read: {(error.strerror or str(error)).lower()}"))
        return []


def _has_folders(name: str) -> bool:
    return any(os.path.isdir(entry.path) for entry in _entries(name, []) if not entry.name.startswith("."))


def _identity(path: str) -> object:
    """Return the identity of a file or folder: its inode, or its path if it does not exist yet."""
    if is_address(path):
        from convfilter.picture.place import cloud

        return cloud.identity(path)
    try:
        status = os.stat(path)
        return status.st_dev, status.st_ino
    except OSError:
        return os.path.realpath(path)


def _head(path: str, search: Search) -> bytes | None:
    """Return the first bytes of a file; b"" if its name tells its format, None if it is unreadable or not a file."""
    if not os.path.isfile(path):
        return None
    if not search.any_content or formats.by_suffix(os.path.splitext(path)[1]) is not None:
        return b""
    try:
        with open(path, "rb") as file:
            return file.read(unsupported.HEAD_BYTES)
    except OSError:
        return None


def distinct(jobs: Sequence[Job], *, in_place: bool) -> list[Job]:
    """Remove duplicates, and refuse outputs that would overwrite each other or an input.

    Parameters
    ----------
    jobs : sequence of Job
    in_place : bool
        Whether an output may be its own input.

    Returns
    -------
    list of Job
        A file that several names give for one output, such as overlapping globs, is listed once.

    Raises
    ------
    UsageError
        Two files collide; the message names both.
    """
    sources = {_identity(job.source): job.source for job in jobs}
    taken: dict[object, tuple[object, Job]] = {}
    for job in jobs:
        source, output = _identity(job.source), _identity(job.destination)
        before, other = taken.setdefault(output, (source, job))
        if before != source:
            raise UsageError(
                f"{job.source} and {other.source} would both be written to {job.destination}; "
                "rename one, or filter them in separate runs"
            )
        overwritten = sources.get(output)
        if overwritten is not None and not in_place:
            raise UsageError(
                f"{job.destination}: the output of {job.source} would overwrite the input {overwritten}",
                remedy="give another folder or {suffix}, or {in_place=True} to overwrite inputs",
            )
    return [job for _, job in taken.values()]


def read_list(path: str, *, separator: str = "\n") -> list[str]:
    r"""Read names of files from a file, or from standard input.

    Parameters
    ----------
    path : str
        "-" for standard input.
    separator : str, default "\\n"
        Terminator of a name; "\\0" for the output of ``find -print0``.

    Returns
    -------
    list of str
        Empty lines are left out.

    Raises
    ------
    UsageError
        The file cannot be read, or its names have another terminator.
    """
    try:
        with open(0 if path == "-" else path, "rb", closefd=path != "-") as file:
            text = os.fsdecode(_without_mark(file.read()))
    except OSError as error:
        raise UsageError(f"{path}: the list cannot be read: {(error.strerror or str(error)).lower()}") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}: the list begins as UTF-16 but is not; write it as UTF-8") from error
    if separator == "\n" and "\0" in text:
        raise UsageError(
            "the list has zero bytes, which names cannot have",
            subject=path,
            remedy="give {null=True} if names end with them",
        )
    names = text.split(separator)
    return [name for name in (name.removesuffix("\r") if separator == "\n" else name for name in names) if name]


def _without_mark(content: bytes) -> bytes:
    """Remove the byte-order mark of Windows editors and shells; UTF-16 becomes UTF-8."""
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return content.decode("utf-16").encode("utf-8", "surrogatepass")
    return content.removeprefix(codecs.BOM_UTF8)
