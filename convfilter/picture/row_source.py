"""Lazy samples of a frame, decoded band by band or in one piece."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np

from convfilter.errors import ConvfilterError, ReadError, damage, keeps_library_away
from convfilter.picture.parallel import Ahead
from convfilter.picture.pixels import Pixels

#: Largest number of bytes of bands that a decoder may decode ahead.
_AHEAD_BYTES = 8 * 2**20


@contextmanager
def decoding(name: str) -> Iterator[None]:
    """Convert any exception of a decoder about a damaged file to a ``ReadError``."""
    try:
        yield
    except (ConvfilterError, StopIteration):
        raise
    except MemoryError as error:
        raise ReadError("there is not enough memory to decode the picture") from error
    except Exception as error:  # IndexError, OverflowError, zlib.error ...
        if isinstance(error, OSError) and error.errno is not None:
            raise  # an error of the file system, not of the content
        if isinstance(error, OSError) and keeps_library_away(error):
            raise  # a codec lacks memory
        raise ReadError(f"the {name} is damaged or of an unsupported kind: {damage(error)}") from error


class Bands:
    """A row source of bands: arrays of consecutive rows, decoded from the top down.

    Parameters
    ----------
    shape : (rows, cols, channels)
    dtype : dtype
    bands : callable
        Returns an iterator over arrays (some rows, cols, channels) in order. Each call begins again with the first
        row.
    band_bytes : int
        Approximate bytes of a band.
    ahead : bool
        Whether another thread decodes ahead.
    name : str
        Name of the format, for messages.
    give_back : callable, optional
        Called with each band that has been copied, whose memory is then free.
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
    ) -> None:
        self.shape, self.dtype, self._name = shape, dtype, name
        self._bands, self._give_back = bands, give_back
        self._no_rows = np.empty((0, *shape[1:]), dtype)
        self._most = max(2, _AHEAD_BYTES // band_bytes) if ahead else 0
        self._iterator: Iterator[Pixels] | Ahead[Pixels] | None = None

    streaming_obstacle = ""

    def mapped(
        self, function: Callable[[Pixels], Pixels], dtype: np.dtype[np.generic], channels: int | None = None
    ) -> Bands:
        """Return a source of a function of the pixels, which may make other channels of them."""
        shape = (*self.shape[:2], channels or self.shape[2])
        made = Bands(shape, dtype, lambda: map(function, self._bands()), name=self._name)
        made._most = self._most
        return made

    def start(self) -> None:
        """Start decoding, if another thread does it."""
        if self._iterator is None:
            bands = self._bands()
            self._iterator = Ahead(bands, self._most) if self._most else bands
            self._band, self._at = self._no_rows, 0

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
        """Write the next rows into ``out``, a (some rows, cols, channels) array.

        Raises
        ------
        ReadError
            The file is damaged there; after the last row, data that follow are checked too.
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
        """Read and check the remaining rows: a stack need not use the last rows of its input."""
        if self._iterator is not None:
            with decoding(self._name):
                for _ in self._iterator:
                    pass
        self.close()

    def decoded(self) -> Pixels:
        """Return all rows as one array."""
        pixels = np.empty(self.shape, self.dtype)
        self.read(pixels)
        self.finish()
        return pixels


class LazyArray:
    """Samples decoded in one piece.

    Parameters
    ----------
    shape : (rows, cols, channels)
    dtype : dtype
    decode : callable
        Returns the array.
    obstacle : str
        Why they are not decoded band by band.
    name : str
        Name of the format, for messages.
    """

    def __init__(
        self,
        shape: tuple[int, int, int],
        dtype: np.dtype[np.generic],
        decode: Callable[[], Pixels],
        obstacle: str,
        *,
        name: str = "picture",
    ) -> None:
        self.shape, self.dtype, self.streaming_obstacle, self._name = shape, dtype, obstacle, name
        self._decode = decode
        self._started: Ahead[Pixels] | None = None

    def mapped(
        self, function: Callable[[Pixels], Pixels], dtype: np.dtype[np.generic], channels: int | None = None
    ) -> LazyArray:
        """Return a source of a function of the pixels, which may make other channels of them."""
        shape, decode = (*self.shape[:2], channels or self.shape[2]), self._decode
        return LazyArray(shape, dtype, lambda: function(decode()), self.streaming_obstacle, name=self._name)

    def start(self) -> None:
        """Start decoding in another thread."""
        if self._started is None:
            self._started = Ahead(decode() for decode in (self._decode,))

    def close(self) -> None:
        """Wait for a running decoder to end."""
        if self._started is not None:
            self._started.stop()
            self._started = None

    def decoded(self) -> Pixels:
        """Return the array."""
        with decoding(self._name):
            pixels = self._decode() if self._started is None else next(self._started)
            self.close()
            return pixels.reshape(self.shape)
