"""Atomic outputs: a file appears whole or not at all.

New content goes to an unnamed file (O_TMPFILE) in the target's folder or, where the file system does not support these,
to a file with a temporary name. Once complete, the file atomically replaces the target by rename. The complete content
of other targets (a FIFO, a device, an open descriptor: ``streams.py``; an object in a store: ``cloud.py``) is written
at once, except that a large picture in a stream is written from its beginning on.
"""

from __future__ import annotations

import errno
import io
import os
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import BinaryIO

from convfilter.errors import WriteError, named
from convfilter.picture.place.address import is_address
from convfilter.picture.place.source import reason
from convfilter.picture.place.streams import SeriesOutput, buffered, descriptor_of, is_special
from convfilter.picture.place.synced_file import SyncedFile

#: Existing temporary names; ``discard_unfinished`` removes them.
_unfinished: set[str] = set()
#: Most bytes of the target's name in a temporary name; file systems allow 255 for the whole name.
_MAX_NAME_BYTES = 200
_BUFFER_BYTES = 1 << 16
#: Errors of open(2) where O_TMPFILE is unsupported.
_NO_TMPFILE = (errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL, errno.ENOENT, errno.ENOSYS)


class _Output(io.BufferedRandom):
    """A file that hides its descriptor: Pillow would write to the descriptor from C, and ignore short writes."""

    def fileno(self) -> int:
        raise io.UnsupportedOperation("fileno")


@contextmanager
def open_series(path: str) -> Iterator[SeriesOutput]:
    """Open an output for several pictures: a file appears with all of them, a pipe gets each picture once complete.

    Parameters
    ----------
    path : str
        A path, an address, or "-" for standard output.

    Raises
    ------
    WriteError
        As for :func:`replacing`.
    """
    descriptor = descriptor_of(path)
    if descriptor is None and (is_address(path) or not is_special(path)):
        with replacing(path) as file:
            yield SeriesOutput(file, is_stream=False)
        return
    if descriptor == 1:
        sys.stdout.flush()
    try:
        opened = os.dup(descriptor) if descriptor is not None else os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    except OSError as error:
        raise WriteError(_reason(error, path)) from error
    with open(opened, "wb", buffering=0) as stream:
        yield SeriesOutput(stream, is_stream=True)


@contextmanager
def replacing(
    path: str | os.PathLike[str] | SeriesOutput, *, follow: bool = True, in_order: bool = False
) -> Iterator[BinaryIO]:
    """Open a file for writing that replaces ``path`` when the block ends without an exception.

    Parameters
    ----------
    path : path, address (s3://...), "-" for standard output, or SeriesOutput
        A symbolic link stays, and its target is replaced. Mode, owner
        and extended attributes of an existing file are kept.
    follow : bool
        Whether to write through a link that leads out of its folder; somebody else may have made the link.
    in_order : bool
        Whether the caller writes from the beginning to the end, and never begins again: a pipe or a device then gets
        all bytes after the first ``streams.MOST_HELD`` as they come.

    Yields
    ------
    BinaryIO
        Seekable, readable and writable; a stream that is written ``in_order`` is only writable.

    Raises
    ------
    WriteError
        The operating system refuses, or a link leads out of its folder; the old file is unchanged.
    """
    if isinstance(path, SeriesOutput):
        yield from path.piece(in_order=in_order)
        return
    name = os.fspath(path)
    if is_address(name):
        from convfilter.picture.place import cloud

        content = io.BytesIO()
        yield content
        cloud.save(name, content.getvalue())
        return
    try:
        descriptor = descriptor_of(name)
        if descriptor is not None:
            yield from buffered(descriptor, in_order=in_order)
            return
        target = os.path.realpath(name)
        if not follow:
            require_below(os.path.dirname(name), name)
        old = _status(target)
        if old is not None and stat.S_ISDIR(old.st_mode):
            raise WriteError("the output is a folder; give it a file name") from _refusal(errno.EISDIR, name)
        if old is not None and not stat.S_ISREG(old.st_mode):
            yield from buffered(target, in_order=in_order)
            return
        if old is not None and not os.access(target, os.W_OK):
            raise WriteError("the file is write-protected") from _refusal(errno.EACCES, name)
        yield from _replaced(target, old)
    except OSError as error:
        if isinstance(error, WriteError) or _is_from_caller(error):
            raise
        raise WriteError(_reason(error, name)) from error


def save(path: str, content: bytes) -> None:
    """Write a whole file, as :func:`replacing` does.

    Parameters
    ----------
    path : str
        A path, an address, or "-" for standard output.
    content : bytes

    Raises
    ------
    WriteError
        The operating system refuses; the message begins with the name.
    """
    try:
        with replacing(path) as file:
            file.write(content)
    except WriteError as error:
        error.about(path)
        raise


def is_below(target: str, top: str) -> bool:
    """Whether ``target`` is the folder ``top`` or lies below it; both are resolved paths (``os.path.realpath``)."""
    return os.path.commonpath((top, target)) == top


def require_below(folder: str, name: str) -> None:
    """Refuse an output that leads out of its folder through links, or is a pipe or a device.

    Parameters
    ----------
    folder : str
        Path of the folder; "" is the working folder.
    name : str
        Path of the output.

    Raises
    ------
    WriteError
        The output is a link that leads out of the folder, a pipe or a device.
    """
    top, target = (os.path.realpath(each or os.curdir) for each in (folder, name))
    if not is_below(target, top):
        raise WriteError(
            f"it is a link to {named(target)}, outside its folder", remedy="use {follow=True} to write there"
        )
    if is_special(name):
        raise WriteError("it is a pipe or a device", remedy="use {follow=True} to write there")


def _is_from_caller(error: OSError) -> bool:
    """Whether an error is one of this package (a ReadError is an OSError too), not of the operating system."""
    from convfilter.errors import ConvfilterError

    return isinstance(error, ConvfilterError)


def _refusal(number: int, name: str) -> OSError:
    """Return the error that the operating system would raise."""
    return OSError(number, os.strerror(number), name)


def _reason(error: OSError, name: str) -> str:
    """Return why the operating system refused to write to ``name``, with the folder if that is the reason."""
    if error.errno == errno.ENOENT:
        return f"there is no folder {os.path.dirname(os.path.realpath(name))}"
    if error.errno == errno.EACCES:
        return f"permission denied for the folder {os.path.dirname(os.path.realpath(name))}"
    return reason(error)


def _status(target: str) -> os.stat_result | None:
    try:
        return os.stat(target)
    except FileNotFoundError:
        return None


def _replaced(target: str, old: os.stat_result | None) -> Iterator[BinaryIO]:
    """Yield a new file next to the target, then rename it atomically; ``old`` is the status of a file to replace."""
    folder, base = os.path.split(target)
    temporary = os.path.join(folder, f".{_shortened(base)}.{os.urandom(6).hex()}.tmp")
    # Registered before the file exists: a signal between creation and registration would leave the file.
    _unfinished.add(temporary)
    try:
        has_name, descriptor = _created(folder, temporary, new=old is None)
        raw = (io.FileIO if old is None else SyncedFile)(descriptor, "w+")
        # Encoders read ``name``, which is the descriptor by default.
        raw.name = target
        with _Output(raw, _BUFFER_BYTES) as file:
            yield file
            file.flush()
            if old is not None and isinstance(raw, SyncedFile):
                _inherit(descriptor, target, old)
                # Before the old content is replaced: a power cut could lose both.
                raw.sync()
            if not has_name:
                # linkat(2) must follow the link; Python calls it only if a directory descriptor is given.
                source = f"/proc/self/fd/{descriptor}"
                os.link(source, temporary, src_dir_fd=descriptor, follow_symlinks=True)
        os.replace(temporary, target)
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary)
        raise
    finally:
        _unfinished.discard(temporary)


def _created(folder: str, temporary: str, *, new: bool) -> tuple[bool, int]:
    """Open a new file, unnamed if possible; return whether it has a name, and its descriptor."""
    flags = os.O_RDWR | os.O_CLOEXEC
    if hasattr(os, "O_TMPFILE") and os.path.isdir("/proc/self/fd"):
        try:
            return False, os.open(folder, flags | os.O_TMPFILE, 0o666)
        except OSError as error:
            if error.errno not in _NO_TMPFILE:
                raise
    # Readable by the owner alone until the mode of the replaced file is copied.
    return True, os.open(temporary, flags | os.O_CREAT | os.O_EXCL, 0o666 if new else 0o600)


def _shortened(base: str) -> str:
    """Shorten a name so that the temporary name stays within the file system's limit."""
    return os.fsdecode(os.fsencode(base)[:_MAX_NAME_BYTES])


def _inherit(descriptor: int, target: str, old: os.stat_result) -> None:
    """Copy owner, mode and extended attributes of the old file to the new one, where the system permits it."""
    new = os.fstat(descriptor)
    if (new.st_uid, new.st_gid) != (old.st_uid, old.st_gid):
        with suppress(OSError):
            os.fchown(descriptor, -1, old.st_gid)
        with suppress(OSError):
            os.fchown(descriptor, old.st_uid, -1)
    os.fchmod(descriptor, stat.S_IMODE(old.st_mode) & 0o777)
    if hasattr(os, "listxattr"):
        with suppress(OSError):
            for attribute in os.listxattr(target):
                with suppress(OSError):
                    os.setxattr(descriptor, attribute, os.getxattr(target, attribute))


def discard_unfinished() -> None:
    """Remove the temporary files of unfinished outputs; for a signal handler that ends the process."""
    for temporary in tuple(_unfinished):
        with suppress(OSError):
            os.unlink(temporary)
