"""Files of compiled code in a folder that only its owner can write to.

Files are written atomically, and used only if owner, permissions and checksum are right.
"""

from __future__ import annotations

import os
import stat
import sys
import time
import zlib
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from typing import Any

SUFFIX = ".convfilter-object"
_MAGIC = b"convfilter object 2\n"
_CHECKSUM_BYTES = 4
#: Seconds to wait for a lock. Compiling a loop takes a few seconds, so a process that holds a lock longer is suspended.
PATIENCE_SECONDS = 60.0
_POLL_SECONDS = 0.02
_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH


def _sha256() -> Any:
    """Return SHA-256 without importing ``hashlib``, which loads OpenSSL in 3 ms; ``random`` does the same."""
    for module in ("_sha2", "_sha256"):  # from Python 3.12 on, and before
        with suppress(ImportError):
            return import_module(module).sha256
    import hashlib

    return hashlib.sha256


sha256 = _sha256()


def path() -> str:
    """Return the folder of compiled code: ``CONVFILTER_CACHE_DIR``, the user's cache folder, or a temporary folder."""
    chosen = os.environ.get("CONVFILTER_CACHE_DIR")
    if chosen:
        return chosen
    folder = _user_cache()
    # In containers, a user may have no home; then the folder is not an absolute path.
    return folder if os.path.isabs(folder) else temporary_path()


def _user_cache() -> str:
    """Return this program's folder in the user's cache folder; not an absolute path if the user has no home."""
    if sys.platform == "linux":  # the XDG Base Directory Specification, without platformdirs, whose import takes 8 ms
        return os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "convfilter")
    from platformdirs import user_cache_dir

    with suppress(RuntimeError):
        return user_cache_dir("convfilter", appauthor=False)
    return ""


def temporary_path() -> str:
    """Return this user's folder in the folder for temporary files; files of other users in it are not used."""
    from tempfile import gettempdir

    return os.path.join(gettempdir(), f"convfilter-{os.geteuid()}")


def fetch(folder: str, name: str) -> bytes | None:
    """Return the content stored under ``name``, or None if it is missing or untrusted."""
    try:
        place = _open_folder(folder)
    except OSError:
        return None
    try:
        # The file is opened before it is checked: another process cannot replace it in between.
        file = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK, dir_fd=place)
    except OSError:
        return None
    finally:
        os.close(place)
    status = os.fstat(file)
    if not stat.S_ISREG(status.st_mode) or _is_foreign(status):
        os.close(file)
        return None
    try:
        with os.fdopen(file, "rb") as stream:
            data = stream.read()
    except OSError:
        return None
    head = len(_MAGIC) + _CHECKSUM_BYTES
    content = data[head:]
    return content if data[:head] == _head(name, content) else None


def store(folder: str, name: str, content: bytes) -> str | None:
    """Store ``content`` under ``name``; return the text of an error, or None."""
    try:
        _make(folder)
        place = _open_folder(folder)
    except OSError as error:
        return f"{folder}: {error.strerror or error}"
    temporary = f".{name}.{os.getpid()}.{os.urandom(4).hex()}"
    try:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        file = os.open(temporary, flags, 0o600, dir_fd=place)
        try:
            with os.fdopen(file, "wb") as stream:
                stream.write(_head(name, content) + content)
            os.rename(temporary, name, src_dir_fd=place, dst_dir_fd=place)
        except BaseException:
            os.unlink(temporary, dir_fd=place)
            raise
    except OSError as error:
        return f"{folder}: {error.strerror or error}"
    finally:
        os.close(place)
    return None


def _head(name: str, content: bytes) -> bytes:
    """Return the first bytes of a file: CRC-32 notices damage, and takes a tenth of the time of SHA-256."""
    return _MAGIC + zlib.crc32(content, zlib.crc32(name.encode())).to_bytes(_CHECKSUM_BYTES, "big")


def mark(folder: str, name: str) -> bool:
    """Create an empty file for ``name``, which :func:`clear` removes; return False if it exists already."""
    try:
        place = _open_folder(folder)
        try:
            os.close(os.open(f".{name}{SUFFIX}.mark", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600, dir_fd=place))
        finally:
            os.close(place)
    except FileExistsError:
        return False
    except OSError:
        pass
    return True


def refusal(folder: str) -> str | None:
    """Return why ``folder`` cannot hold the cache, or None if it can; create the folder if it is missing."""
    probe = f".{SUFFIX}.{os.getpid()}.{os.urandom(4).hex()}"
    try:
        _make(folder)
        place = _open_folder(folder)
        try:
            os.close(os.open(probe, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600, dir_fd=place))
            os.unlink(probe, dir_fd=place)
        finally:
            os.close(place)
    except OSError as error:
        return f"{folder}: {error.strerror or error}"
    return None


@contextmanager
def lock(folder: str, name: str) -> Iterator[None]:
    """Lock ``name`` while one process compiles it; without effect if the folder cannot be written."""
    file = _lock_file(folder, f".{name}.lock")
    try:
        yield
    finally:
        if file is not None:
            with suppress(OSError):
                os.unlink(os.path.join(folder, f".{name}.lock"))
            os.close(file)


def _lock_file(folder: str, name: str) -> int | None:
    """Return the descriptor of a locked file; None if locking is impossible or timed out."""
    import fcntl

    try:
        _make(folder)
        place = _open_folder(folder)
        try:
            lock = os.open(name, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=place)
        finally:
            os.close(place)
    except OSError:
        return None
    until = time.monotonic() + PATIENCE_SECONDS
    try:
        while time.monotonic() < until:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return lock
            except BlockingIOError:
                time.sleep(_POLL_SECONDS)
    except OSError:  # the file system has no locks
        pass
    except BaseException:
        os.close(lock)
        raise
    os.close(lock)
    return None


def tidy(folder: str, ended: Collection[int | None]) -> None:
    """Remove the locks and temporary files of processes that were ended while they compiled.

    Parameters
    ----------
    folder : str
    ended : collection of int
        Identifiers of the processes; None is ignored.
    """
    try:
        names = os.listdir(folder)
    except (FileNotFoundError, NotADirectoryError):
        return
    for name in names:
        _, _, purpose = name.partition(f"{SUFFIX}.") if name.startswith(".") else ("", "", "")
        if purpose == "lock" or purpose.partition(".")[0] in map(str, ended):
            with suppress(OSError):  # another process holds the lock, or has removed it
                _remove_unlocked(os.path.join(folder, name))


def _remove_unlocked(path: str) -> None:
    import fcntl

    file = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.unlink(path)
    finally:
        os.close(file)


def clear(folder: str) -> int:
    """Remove stored files, marks, locks and temporary files from ``folder``; return the number of stored files."""
    removed = 0
    try:
        names = os.listdir(folder)
    except (FileNotFoundError, NotADirectoryError):
        return 0
    for name in names:
        stored, left_over = name.endswith(SUFFIX), name.startswith(".") and f"{SUFFIX}." in name
        if (stored or left_over) and not stat.S_ISDIR(os.lstat(os.path.join(folder, name)).st_mode):
            os.unlink(os.path.join(folder, name))
            removed += stored
    return removed


def _make(folder: str) -> None:
    """Create a folder that only its owner can use, and its missing parents."""
    # Importing pathlib takes 3 ms, and runs whose loops are all in the cache do not need it.
    from pathlib import Path

    Path(folder).mkdir(mode=0o700, parents=True, exist_ok=True)


def _open_folder(folder: str) -> int:
    """Open ``folder``, and raise PermissionError unless it belongs to this user and no other user can write to it."""
    place = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    if _is_foreign(os.fstat(place)):
        os.close(place)
        raise PermissionError(0, "others can write to this folder, so code in it cannot be trusted")
    return place


def _is_foreign(status: os.stat_result) -> bool:
    return status.st_uid != os.geteuid() or bool(status.st_mode & _OTHERS_WRITE)
