"""Jobs of the loops of picture formats: row filters of PNG, and the copied Huffman codes of JPEG."""

from __future__ import annotations

from typing import Any

import numpy as np

from convfilter.errors import ParameterError
from convfilter.picture import png_filters
from convfilter.picture.jpeg import decoder
from convfilter.picture.jpeg.codes import CopiedCodes, coding_of
from convfilter.picture.jpeg.layout import layout_of
from convfilter.picture.jpeg.rows import Rows
from convfilter.selftest.jobs import Job, Keywords, Samples
from convfilter.selftest.pixel_jobs import pixel_job
from convfilter.selftest.reference import Real, unfiltered


def _unchanged(picture: Samples, _how: Keywords) -> tuple[Real, Real]:
    """Return the samples of the picture, which a codec must restore, and magnitudes above 0."""
    values = np.atleast_3d(picture).astype(np.float64)
    return values, np.abs(values) + 1e-30


def png_rows(kind: int, group: int = 0) -> Job:
    """Apply and undo a row filter of PNG; with ``group``, each group of rows gets the best filter up to ``kind``."""

    def run(picture: Samples, *, dtype: str, algorithm: str | None = None, **_how: Any) -> Samples:
        if dtype != picture.dtype:
            raise ParameterError("rows of PNG are bytes")
        rows = picture.reshape(len(picture), -1).view(np.uint8)
        distance = rows.shape[1] // picture.shape[1]
        above = np.zeros((1, rows.shape[1]), np.uint8)
        filtered = np.empty((len(rows), 1 + rows.shape[1]), np.uint8)
        png_filters.apply_filters(np.concatenate([above, rows]), distance, group, kind, filtered)
        undone = np.empty_like(rows)
        png_filters.undo_filters(filtered, distance, above[0], undone)
        # The reference, byte by byte, reveals errors that the filter and its inverse share.
        undone[unfiltered(filtered, distance) != rows] ^= 255
        return undone.view(picture.dtype).reshape(picture.shape)

    return pixel_job(run, _unchanged, exact=True, geometries=({},))


def jpeg_rows(quality: int) -> Job:
    """Decode a JPEG of the picture's bytes row of blocks by row of blocks; the reference is decoded in one piece."""

    def run(picture: Samples, *, dtype: str, algorithm: str | None = None, **_how: Any) -> Samples:
        if dtype != picture.dtype:
            raise ParameterError("a JPEG is made of bytes")
        import imagecodecs

        rows = picture.reshape(len(picture), -1).view(np.uint8)
        data = bytes(imagecodecs.jpeg8_encode(rows, level=quality))
        layout, whole = layout_of(data), decoder.decode(data)
        assert layout is not None and layout.scan is not None
        scan, coding = layout.scan, coding_of(data)
        assert coding is not None

        def codes() -> CopiedCodes:
            return CopiedCodes(data, layout, scan, coding, 1, 0)

        bands = Rows(data, layout, scan, 1, codes, coding.segments, lambda: ~whole, 1).bands()
        decoded = np.concatenate([np.array(band)[..., 0] for band in bands])
        same: Samples = rows ^ decoded ^ whole
        return same.view(picture.dtype).reshape(picture.shape)

    return pixel_job(run, _unchanged, exact=True, geometries=({},))
