"""Lazy samples of a frame, decoded band by band or at once, while the file is open."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np

from convfilter.errors import ConvfilterError, ReadError, damage, is_missing_library
from convfilter.picture.parallel import Ahead
from convfilter.picture.pixels import Pixels

#: Approximate number of bytes that are decoded ahead.
_AHEAD_BYTES = 4 * 2**20


@contextmanager
def decoding(name: str) -> Iterator[None]:
    """Convert exceptions of a decoder to ReadErrors about a damaged file; ``name`` is the format, for the message."""
    try:
        yield
    except (ConvfilterError, StopIteration):
        raise
    except MemoryError as error:
        raise ReadError("there is not enough memory to decode the picture") from error
    except Exception as error:  # IndexError, OverflowError, zlib.error ...
        if isinstance(error, OSError) and error.errno is not None:
            raise  # the file system fails, not the decoder
        if isinstance(error, OSError) and is_missing_library(error):
            raise  # the library of a codec cannot be loaded, as without memory
        raise ReadError(f"the {name} is damaged or of an unsupported kind: {damage(error)}") from error


class LazyRows:
    """Source of rows that decodes bands, arrays of consecutive rows, from the top down.

    Parameters
    ----------
    shape : (H, W, C)
    dtype : dtype
        Type of the decoded samples.
    bands : callable
        Returns an iterator over (some rows, W, C) arrays from the top down; each call begins with the first row. An
        array is valid until the next one is asked for; with ``ahead``, until it is given back.
    band_bytes : int
        Approximate size of a band.
    ahead : bool
        Whether another thread decodes ahead of :meth:`read`.
    name : str
        Name of the format, for messages.
    give_back : callable, optional
        Called with each band after its rows are copied, so that the decoder can use its memory again.
    read_once : callable, optional
        Called by :meth:`read_once`.
    """

    def __init__(
        self,
        shape: tuple[int, int, int],
        dtype: np.dtype[np.generic],
        bands: Callable[[], Iterator[Pixels]],
        *,
        band_bytes: int = 1 << 18,
        ahead: bool = False,
        name: str = "picture",
        give_back: Callable[[Pixels], None] = lambda band: None,
        read_once: Callable[[], None] | None = None,
    ) -> None:
        self.shape, self.dtype, self._name = shape, dtype, name
        self._bands, self._give_back, self._read_once = bands, give_back, read_once
        self._no_rows = np.empty((0, *shape[1:]), dtype)
        self._most = max(2, _AHEAD_BYTES // band_bytes) if ahead else 0
        self._iterator: Iterator[Pixels] | Ahead[Pixels] | None = None

    #: See ``Frame.streaming_obstacle``.
    streaming_obstacle = ""

    def mapped(
        self, function: Callable[[Pixels], Pixels], dtype: np.dtype[np.generic], channels: int | None = None
    ) -> LazyRows:
        """Return a source that applies a function to the samples; see ``Frame.mapped``."""
        shape = (*self.shape[:2], channels or self.shape[2])
        made = LazyRows(
            shape,
            dtype,
            lambda: map(function, self._bands()),
            name=self._name,
            give_back=self._give_back,
            read_once=self._read_once,
        )
        made._most = self._most
        return made

    def start(self) -> None:
        """Start decoding, at once if another thread decodes ahead, else with the first :meth:`read`."""
        if self._iterator is None:
            bands = self._bands()
            self._iterator = Ahead(bands, self._most) if self._most else bands
            self._band, self._at = self._no_rows, 0

    def read_once(self) -> None:
        """Let a source that is a pipe drop the rows that have been read; excludes :meth:`restart`."""
        if self._read_once is not None:
            self._read_once()

    def restart(self) -> None:
        """Begin again with the first row."""
        self.close()
        self.start()

    def close(self) -> None:
        """Stop decoding."""
        if isinstance(self._iterator, Ahead):
            self._iterator.stop()
        self._iterator = None

    def read(self, out: Pixels) -> None:
        """Copy the next rows into ``out``, a (some rows, W, C) array.

        Raises
        ------
        ReadError
            The file is damaged before the end of these rows.
        """
        self.start()
        assert self._iterator is not None
        done = 0
        while done < len(out):
            if self._at == len(self._band):
                copied, self._band, self._at = self._band, self._no_rows, 0
                self._give_back(copied)
                with decoding(self._name):
                    self._band = next(self._iterator)
            count = min(len(out) - done, len(self._band) - self._at)
            out[done : done + count] = self._band[self._at : self._at + count]
            done, self._at = done + count, self._at + count

    def finish(self) -> None:
        """Decode the rows that are left, to find damage in rows that the caller does not need, and stop."""
        if self._iterator is not None:
            with decoding(self._name):
                for _ in self._iterator:
                    pass
        self.close()

    def decoded(self) -> Pixels:
        """Decode all rows to an (H, W, C) array."""
        self.read_once()
        pixels = np.empty(self.shape, self.dtype)
        self.read(pixels)
        self.finish()
        return pixels


class LazyArray:
    """Array that is decoded at once, when it is needed.

    Parameters
    ----------
    shape : (H, W, C)
    dtype : dtype
        Type of the decoded samples.
    decode : callable
        Returns the array, also as (H, W) for one channel.
    obstacle : str
        Why it cannot be decoded band by band; see ``Frame.streaming_obstacle``.
    name : str
        Name of the format, for messages.
    is_running : bool
        Whether a thread is decoding the array already, for which ``decode`` waits.
    """

    def __init__(
        self,
        shape: tuple[int, int, int],
        dtype: np.dtype[np.generic],
        decode: Callable[[], Pixels],
        obstacle: str,
        *,
        name: str = "picture",
        is_running: bool = False,
    ) -> None:
        self.shape, self.dtype, self.streaming_obstacle, self._name = shape, dtype, obstacle, name
        self._decode, self._is_running = decode, is_running
        self._started: Ahead[Pixels] | None = None

    def mapped(
        self, function: Callable[[Pixels], Pixels], dtype: np.dtype[np.generic], channels: int | None = None
    ) -> LazyArray:
        """Return a source that applies a function to the samples; see ``Frame.mapped``."""
        shape, decode = (*self.shape[:2], channels or self.shape[2]), self._decode
        return LazyArray(shape, dtype, lambda: function(decode()), self.streaming_obstacle, name=self._name)

    def start(self) -> None:
        """Start decoding in another thread."""
        if self._started is None and not self._is_running:
            self._started = Ahead(decode() for decode in (self._decode,))

    def close(self) -> None:
        """Wait until the decoder ends, if it is running."""
        if self._started is not None:
            self._started.stop()
            self._started = None

    def decoded(self) -> Pixels:
        """Decode the samples to an (H, W, C) array."""
        with decoding(self._name):
            pixels = self._decode() if self._started is None else next(self._started)
            self.close()
            return pixels.reshape(self.shape)
