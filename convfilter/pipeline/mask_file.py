"""A mask from a picture file: a small one as an array, a large one as a file whose rows are read with the picture's."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import numpy as np

from convfilter.engine.buffer import Samples
from convfilter.errors import ParameterError, ReadError, about_auxiliary
from convfilter.executor.ignored import invalidate
from convfilter.picture.frame import Frame
from convfilter.picture.options import ReadOptions
from convfilter.picture.picture import Picture
from convfilter.picture.pixels import Pixels
from convfilter.picture.read import decode_all, opened
from convfilter.picture.row_source import LazyRows

#: Masks of fewer pixels are held in memory.
LEAST_PIXELS = 2**22


def mask_of(path: str, options: ReadOptions) -> MaskFile | Samples:
    """Return the mask of a picture file: pixels that are not black. ``options`` are those of the pictures.

    Raises
    ------
    ReadError, SizeError
        The file is no picture, damaged, or too large; ``filename`` is its name.
    ParameterError
        The picture has several frames.
    """
    with about_auxiliary(path), opened(path, options.of_auxiliary()) as picture:
        if len(picture.frames) > 1:
            raise ParameterError(f"a mask is one picture, got {len(picture.frames)} frames")
        rows, cols = picture.frames[0].shape[:2]
        is_large = picture.frames[0].lazy_rows is not None and rows * cols >= LEAST_PIXELS
        if not (is_large and os.path.isfile(path)):
            decode_all(picture)
            return _marks(picture).pixels.reshape(rows, cols)
    return MaskFile(path, (rows, cols), auto_orient=options.auto_orient)


class MaskFile:
    """A mask whose rows are decoded when they are needed.

    Parameters
    ----------
    path : str
        Stored as an absolute path.
    shape : (rows, cols)
    auto_orient : bool
        As in ``ReadOptions``.
    """

    def __init__(self, path: str, shape: tuple[int, int], *, auto_orient: bool) -> None:
        self._name, self.path, self.shape = path, os.path.abspath(path), shape
        self._options = ReadOptions(max_pixels=shape[0] * shape[1], auto_orient=auto_orient)

    @contextmanager
    def rows(self) -> Iterator[MaskRows]:
        """Open the file as a source of its rows; at the end, the rest of the file is checked.

        Raises
        ------
        ReadError
            The file is damaged, or has been replaced.
        """
        with ExitStack() as files:
            with about_auxiliary(self._name):
                lazy_rows = _marks(files.enter_context(opened(self.path, self._options))).lazy_rows
                if lazy_rows is None or lazy_rows.shape[:2] != self.shape:
                    raise ReadError("the mask has changed while pictures were filtered")
            files.callback(lazy_rows.close)
            rows = MaskRows(lazy_rows, self._name)
            yield rows
            rows.finish()

    def decoded(self) -> Samples:
        """Return the whole mask."""
        mask = np.empty(self.shape, bool)
        with self.rows() as rows:
            rows.read(mask)
        return mask


class MaskRows:
    """The rows of a mask, from the first to the last; errors name the file."""

    def __init__(self, lazy_rows: LazyRows, name: str) -> None:
        self._lazy_rows, self._name = lazy_rows, name

    def read(self, out: Samples) -> None:
        """Write the next rows into ``out``, a (some rows, cols) array of bool."""
        with about_auxiliary(self._name):
            self._lazy_rows.read(out[..., np.newaxis])

    def finish(self) -> None:
        """Read and check the remaining rows."""
        with about_auxiliary(self._name):
            self._lazy_rows.finish()


def _marks(picture: Picture) -> Frame:
    """Return the first frame as one channel: whether a colour is not 0."""

    def marks(pixels: Pixels) -> Pixels:
        pixels = pixels.reshape(*pixels.shape[:2], -1)
        valid = np.ones(pixels.shape[:2], bool)
        invalidate(0.0, pixels, picture.alpha, valid)
        return valid[..., np.newaxis]

    return picture.frames[0].mapped(marks, np.dtype(bool), 1)
