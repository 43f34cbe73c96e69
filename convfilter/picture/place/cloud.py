"""Read and write whole objects of object stores by fsspec; writes are atomic."""

from __future__ import annotations

import os
from typing import Any

from convfilter.errors import ReadError, UsageError, WriteError, first_line

_INSTALL = "pip install 'convfilter[cluster]'"
#: Aliases of schemes: addresses that differ only by alias name one object.
_ALIASES = {"s3a": "s3", "gcs": "gs", "az": "abfs"}
#: Schemes whose stores replace an object atomically; on other stores, a temporary object is renamed.
_ATOMIC = ("s3", "gs", "abfs", "memory")
#: Keyword of each store for the content type, which makes browsers show pictures.
_CONTENT_TYPE = {"s3": "ContentType", "gs": "content_type"}
#: All opened file systems: a reference keeps them from being finalised before the process ends. A forked worker
#: inherits those of its parent, and fsspec forgets them; s3fs would then try to close the parent's session in the
#: worker's event loop.
_OPENED: set[Any] = set()


def scheme_of(address: str) -> str:
    """Return the scheme of an address, without aliases."""
    scheme = address.partition("://")[0].lower()
    return _ALIASES.get(scheme, scheme)


def identity(address: str) -> str:
    """Return the canonical spelling of an object's address."""
    return f"{scheme_of(address)}://{address.partition('://')[2].lstrip('/')}"


def filesystem(address: str) -> tuple[Any, str]:
    """Return the fsspec file system of an address, and the path in it.

    Raises
    ------
    UsageError
        fsspec or its package for this scheme is not installed, or the scheme is unknown.
    ReadError
        The store's settings are bad.
    """
    try:
        from fsspec.core import url_to_fs

        # No cached listings: changes by others must be visible, and a million entries take gigabytes.
        opened: tuple[Any, str] = url_to_fs(address, use_listings_cache=False)
    except ImportError as error:
        raise UsageError(f"{address}: addresses need packages that are not installed; {_INSTALL}") from error
    except ValueError as error:
        raise UsageError(
            f"{address}: {first_line(error)}; the supported ones are s3://, gs://, file:// and memory://"
        ) from error
    except Exception as error:  # store libraries raise their own exceptions for bad settings
        raise ReadError(reason(error)) from error
    _OPENED.add(opened[0])
    return opened


def load(address: str) -> bytes:
    """Read a whole object.

    Raises
    ------
    UsageError
        As for :func:`filesystem`.
    ReadError
        The object does not exist, or the store refuses.
    """
    store, path = filesystem(address)
    try:
        content: bytes = store.cat_file(path)
    except Exception as error:  # as in filesystem
        raise ReadError(reason(error)) from error
    return content


def save(address: str, content: bytes) -> None:
    """Write an object, replacing an existing one.

    Raises
    ------
    UsageError
        As for :func:`filesystem`.
    WriteError
        The store refuses; the old object is unchanged.
    """
    scheme = scheme_of(address)
    try:
        store, path = filesystem(address)
        settings = {}
        if scheme in _CONTENT_TYPE:
            from mimetypes import guess_type

            settings = {_CONTENT_TYPE[scheme]: guess_type(path)[0] or "application/octet-stream"}
        if scheme in _ATOMIC:
            store.pipe_file(path, content, **settings)
            return
        folder, base = os.path.split(path)
        temporary = os.path.join(folder, f".{base}.{os.urandom(6).hex()}.tmp")
        store.makedirs(folder, exist_ok=True)
        store.pipe_file(temporary, content)
        store.mv(temporary, path)
    except UsageError:
        raise
    except Exception as error:  # as in filesystem
        raise WriteError(reason(error)) from error


def reason(error: BaseException) -> str:
    """Return in one line why a store refused, from an exception of its library."""
    kind = type(error).__name__
    if isinstance(error, FileNotFoundError):
        return "there is no such object, or no such bucket"
    if kind in ("NoCredentialsError", "PartialCredentialsError", "CredentialRetrievalError", "DefaultCredentialsError"):
        return "no credentials for this store were found; set them as for the store's own tools"
    if isinstance(error, PermissionError):
        return f"permission denied by the store: {first_line(error)}"
    if isinstance(error, NotImplementedError):
        return "this kind of address cannot be written"
    return first_line(error)
