"""Files that go to disk while they are written."""

from __future__ import annotations

import io
import os
import threading
from contextlib import suppress
from typing import Any

from convfilter.errors import ConvfilterError
from convfilter.locks import start

#: Bytes of new content that are worth a flush of their own.
FLUSH_BYTES = 1 << 25


class SyncedFile(io.FileIO):
    """A file that a thread flushes to disk while it is written, so that :meth:`sync` waits for the last bytes only."""

    _thread: threading.Thread | None = None
    _error: OSError | None = None
    _unflushed = 0

    def write(self, content: Any, /) -> int:
        """Write as FileIO does; flush the content so far if it has grown by ``FLUSH_BYTES``."""
        written = super().write(content)
        self._unflushed += written
        if self._unflushed >= FLUSH_BYTES and (self._thread is None or not self._thread.is_alive()):
            self._unflushed = 0
            thread = threading.Thread(target=self._flush, daemon=True)
            with suppress(ConvfilterError):  # without another thread, ``sync`` flushes it all
                start(thread)
                self._thread = thread
        return written

    def sync(self) -> None:
        """Flush all content to disk.

        Raises
        ------
        OSError
            The disk failed, now or in an earlier flush.
        """
        self._wait()
        if self._error is not None:  # the system reports a failure only once
            raise self._error
        os.fsync(self.fileno())

    def close(self) -> None:
        """Close the file when the thread no longer uses its descriptor."""
        self._wait()
        super().close()

    def _flush(self) -> None:
        try:
            os.fsync(self.fileno())
        except OSError as error:
            self._error = self._error or error

    def _wait(self) -> None:
        if self._thread is not None:
            self._thread.join()
