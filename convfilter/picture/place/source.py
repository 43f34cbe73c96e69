"""Open the input of a picture as a seekable file: a path, an address, standard input, or an open file."""

from __future__ import annotations

import errno
import io
import os
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

from convfilter.errors import ConvfilterError, ReadError, is_missing_library
from convfilter.picture import formats, limits
from convfilter.picture.place.address import is_address

#: Bytes at the start of a file that include the signature of any known format.
_HEAD_BYTES = 512
_BLOCK_BYTES = 1 << 20
_REASONS = {
    errno.ENOENT: "there is no such file",
    errno.EISDIR: "it is a folder, a picture file is needed",
    errno.EACCES: "permission denied",
    errno.ELOOP: "its symbolic links run in a circle",
    errno.ENOSPC: "no space left on the disk",
    errno.EDQUOT: "the disk quota is used up",
    errno.ENOTDIR: "a part of its path is a file, a folder is needed",
    errno.ENAMETOOLONG: "the name is too long",
    errno.EFBIG: "the file would be larger than the limit for files",
    errno.EROFS: "the file system is read-only",
}


def reason(error: OSError) -> str:
    """Return the reason why the operating system refused, in one line."""
    if error.errno in _REASONS:
        return _REASONS[error.errno]
    return (error.strerror or str(error) or type(error).__name__).splitlines()[0].lower()


@contextmanager
def opened(source: str | os.PathLike[str] | BinaryIO) -> Iterator[BinaryIO]:
    """Open an input for reading.

    Parameters
    ----------
    source : path, address (s3://...), "-" for standard input, or a binary file
        A pipe is read to its end, if it begins like a picture and fits into
        memory; an object at an address is read whole.

    Yields
    ------
    BinaryIO
        Seekable, at its beginning.

    Raises
    ------
    ReadError
        The input cannot be opened, is a folder or is empty.
    SizeError
        The content of a pipe does not fit into memory.
    """
    if source == "":
        raise ReadError("the name of the file is empty")
    try:
        if isinstance(source, str) and source == "-":
            yield _buffered(sys.stdin.buffer)
        elif isinstance(source, str) and is_address(source):
            from convfilter.picture.place import cloud

            yield io.BytesIO(cloud.load(source))
        elif isinstance(source, (str, os.PathLike)):
            with open(source, "rb") as file:
                regular = stat.S_ISREG(os.fstat(file.fileno()).st_mode)
                yield file if regular else _buffered(file)
        elif source.seekable():
            source.seek(0)
            yield source
        else:
            yield _buffered(source)
    except OSError as error:
        # In the caller's block, the import of a library may fail, which is no error of the file.
        if isinstance(error, ConvfilterError) or is_missing_library(error):
            raise
        refused = ReadError(reason(error))
        refused.errno = error.errno
        raise refused from error


def _buffered(stream: BinaryIO) -> BinaryIO:
    """Read a stream into memory; only its first bytes if they have no signature of a picture.

    The available memory is checked every 64 MiB.
    """
    head = b""
    while len(head) < _HEAD_BYTES and (block := stream.read(_HEAD_BYTES - len(head))):
        head += block
    content = io.BytesIO()
    content.write(head)
    if formats.sniff(head) is not None or 0 < len(head) < _HEAD_BYTES:
        while block := stream.read(_BLOCK_BYTES):
            content.write(block)
            if content.tell() % (64 * _BLOCK_BYTES) < len(block):
                limits.require_memory(content.tell())
    content.seek(0)
    return content


def content_of(file: BinaryIO) -> bytes:
    """Return all bytes of a seekable file."""
    file.seek(0, os.SEEK_END)  # empties the buffer: ``read`` would copy all bytes to join it with the rest
    file.seek(0)
    return file.read()


def read_into(file: BinaryIO, memory: memoryview) -> int:
    """Fill memory with the next bytes of a file; returns their number, which is smaller only at the end of the file."""
    done = 0
    while done < len(memory):
        if hasattr(file, "readinto"):
            count = file.readinto(memory[done:]) or 0
        else:
            content = file.read(len(memory) - done)
            count = len(content)
            memory[done : done + count] = content
        if not count:
            break
        done += count
    return done


def size_of(file: BinaryIO) -> int:
    """Return the size of a seekable file; the position does not change."""
    position = file.tell()
    size = file.seek(0, os.SEEK_END)
    file.seek(position)
    return size


def small_content(name: str, most_bytes: int) -> bytes:
    """Return the content of a small file; b"" if there is none, if it is unreadable, or if it is larger."""
    try:
        if os.path.isfile(name) and os.path.getsize(name) <= most_bytes:
            with open(name, "rb") as file:
                return file.read()
    except OSError:
        pass
    return b""
