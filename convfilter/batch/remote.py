"""Expand folders and globs in object stores."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

from convfilter.batch.search import Job, Naming, Search, SearchResult, is_excluded, is_output, skip, why_skipped
from convfilter.errors import ReadError, UsageError
from convfilter.picture import formats, unsupported
from convfilter.picture.place import cloud
from convfilter.picture.place.address import is_address, is_glob


def take(address: str, naming: Naming, search: Search, result: SearchResult) -> None:
    """Add the jobs of one address: an object, the objects that a glob names, or those of a folder.

    Parameters
    ----------
    address : str
        An address. Each object that matches a glob counts as named on the command line.
    naming : Naming
    search : Search
    result : SearchResult
        Receives the jobs, in the order of names, and the files that are not pictures by name.

    Raises
    ------
    UsageError
        A glob or a folder matches nothing, or fsspec is not installed.
    ReadError
        The store refuses the request.
    """
    try:
        names = _matches(address) if is_glob(address) else [address]
        for name in names:
            if is_folder(name):
                _take_folder(name, naming, search, result)
            elif not is_excluded(name, search.exclude):
                result.jobs.append(Job(name, naming.destination(name, os.path.basename(name))))
    except (UsageError, ReadError) as error:
        error.about(address)
        raise
    except Exception as error:  # the libraries of stores raise exceptions of many types
        raise ReadError(cloud.reason(error), subject=address) from error


def is_folder(address: str) -> bool:
    """Whether an address is a folder. An address with the suffix of a picture is an object: this saves a request."""
    if address.endswith("/"):
        return True
    if formats.by_suffix(os.path.splitext(address)[1]) is not None:
        return False
    store, path = cloud.filesystem(address)
    return "/" not in path.strip("/") or bool(store.isdir(path))  # a bucket, or a common prefix


def exists(address: str) -> bool:
    """Whether an object or a folder exists, or the address may be a glob."""
    if is_glob(address):
        return True
    store, path = cloud.filesystem(address)
    return bool(store.exists(path))


def _matches(address: str) -> list[str]:
    store, path = cloud.filesystem(address)
    paths = sorted(store.glob(path))
    if not paths and store.exists(path):  # a name with glob characters
        return [address]
    if not paths:
        raise UsageError("no object matches")
    return [_address(address, match) for match in paths]


def _address(like: str, path: str) -> str:
    """Return the address of a path in a store, with the scheme of the address ``like``."""
    return f"{like.partition('://')[0]}://{path.lstrip('/')}"


def _take_folder(address: str, naming: Naming, search: Search, result: SearchResult) -> None:
    before = len(result.jobs) + len(result.skipped)
    for name, relative in _walk(address, search, naming.folder):
        if is_output(name, naming):
            result.skipped.append(name)
        elif (why := why_skipped(name, _head(name, search))) is not None:
            skip(name, why, result)
        else:
            result.jobs.append(Job(name, naming.destination(name, relative)))
    if len(result.jobs) + len(result.skipped) == before:
        raise UsageError(
            "the folder is empty", remedy="" if search.recursive else "{recursive=True} searches subfolders"
        )


def _walk(top: str, search: Search, output: str | None) -> Iterator[tuple[str, str]]:
    """Yield the address, and the path below ``top``, of each object in order; skip the output folder."""
    store, root = cloud.filesystem(top)
    root = root.rstrip("/")
    avoided = cloud.identity(output).rstrip("/") + "/" if output is not None and is_address(output) else None
    for path in sorted(_paths(store, root, search.recursive)):
        relative = path[len(root) :].lstrip("/")
        name = _address(top, path)
        parts = relative.split("/")
        hidden = not relative or any(part.startswith(".") for part in parts)
        excluded = any(is_excluded("/".join(parts[: count + 1]), search.exclude) for count in range(len(parts)))
        written = avoided is not None and cloud.identity(name).startswith(avoided)
        if not (hidden or excluded or (written and avoided != cloud.identity(top).rstrip("/") + "/")):
            yield name, relative


def _paths(store: Any, root: str, recursive: bool) -> list[str]:
    if recursive:
        paths: list[str] = store.find(root)
        return paths
    return [entry["name"] for entry in store.ls(root, detail=True) if entry["type"] == "file"]


def _head(address: str, search: Search) -> bytes:
    """Return the first bytes of an object; b"" if its name tells its format."""
    if not search.any_content or formats.by_suffix(os.path.splitext(address)[1]) is not None:
        return b""
    store, path = cloud.filesystem(address)
    return bytes(store.cat_file(path, start=0, end=unsupported.HEAD_BYTES))
