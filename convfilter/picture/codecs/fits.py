"""FITS through astropy: images and cubes, with header and world coordinates.

Rows stay in the order of the file, whose first row is the lowest one in the sky. FITS standard 4.0 (2016): 4.4.2
(keywords), 8 (world coordinates); SIP distortion: Shupe et al., ADASS XIV, 2005.
"""

from __future__ import annotations

import io
import math
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

import numpy as np

from convfilter.errors import ReadError, WriteError
from convfilter.picture import colour, limits
from convfilter.picture.frame import Frame
from convfilter.picture.loss import Loss
from convfilter.picture.options import ReadOptions, WriteOptions
from convfilter.picture.picture import Picture
from convfilter.picture.pixels import Pixels
from convfilter.picture.place.source import size_of
from convfilter.picture.tiff.fields import FitsHeader, PageFields
from convfilter.sample_types import computed_in, is_known

#: Keywords that the writer computes, or that are false for a filtered picture.
_DERIVED = re.compile(
    r"(SIMPLE|XTENSION|BITPIX|NAXIS\d*|EXTEND|PCOUNT|GCOUNT|GROUPS|BSCALE|BZERO|BLANK|CHECKSUM|DATASUM|DATAMIN|DATAMAX|END)\Z"
)
#: Keywords of world coordinates: reference pixel; step of a pixel; matrix to the detector; polynomials of distortion.
_REFERENCE = re.compile(r"(CRPIX|LTV)([12])[A-Z]?\Z")
_STEP = re.compile(r"CDELT([12])([A-Z]?)\Z")
_MATRIX = re.compile(r"(CD|PC)(?:\d_|00\d00)(\d)([A-Z]?)\Z")
_VERSION = re.compile(r"(?:CTYPE|CRVAL|CRPIX|CDELT)[12]([A-Z]?)\Z")
_LOGICAL = re.compile(r"LTM([12])_\1\Z")
_SIP = re.compile(r"([AB])P?_(\d)_(\d)\Z")
_MOST_FRAMES = 10_000
_MOST_NAMES = 8
#: Largest integers, in bytes, whose scaled values are read as float32.
_FLOAT32_HOLDS = 2


def read_fits(file: BinaryIO, options: ReadOptions) -> Picture:
    """Read the first image of a FITS; a ``Reader``. The planes of a cube are pages.

    Samples keep the type of the file; the BZERO that marks unsigned integers is applied. With BSCALE, BLANK or
    another BZERO, samples become floats, and BLANK becomes NaN. Integers of 64 bits become float64.
    """
    with _opened(file) as units:
        images = [unit for unit in units if unit.is_image and unit.header.get("NAXIS", 0) >= 2 and 0 not in unit.shape]
        if not images:
            raise ReadError("the FITS holds no image of two dimensions; spectra and tables cannot be filtered")
        unit = images[0]
        axes = tuple(map(int, unit.shape[:-2]))
        if sum(size != 1 for size in axes) > 1:
            raise ReadError(f"a FITS of the dimensions {unit.shape} cannot be filtered; take a cube out of it first")
        planes, (height, width) = math.prod(axes), unit.shape[-2:]
        if planes > _MOST_FRAMES:
            raise ReadError(f"a FITS must have up to {_MOST_FRAMES} planes to be filtered, got {planes}")
        limits.require_size(width, height, options)
        numbers = options.frame_numbers(planes)
        limits.require_frames(len(numbers), len(numbers) * height * width, options.max_pixels)
        limits.require_memory((planes + len(numbers)) * height * width * 8)
        _require_complete(unit, file)
        bits = int(unit.header["BITPIX"])
        data = _missing_as_nan(file, units.index(unit), unit) if bits > 0 and "BLANK" in unit.header else unit.data
        dtype = np.dtype(data.dtype).newbyteorder("=")
        stack = np.asarray(data).reshape(planes, height, width)
        if is_known(dtype):
            samples = [np.ascontiguousarray(stack[number], dtype=computed_in(dtype)) for number in numbers]
        else:
            samples = [colour.as_float64(stack[number], "FITS") for number in numbers]
        losses = [*_losses(len(images), bits, dtype), *_left_out(units, unit)]
        cards = tuple(str(card) for card in unit.header.cards if not _DERIVED.match(card.keyword))
    header = FitsHeader(cards, (0.0, 1.0), (0.0, 1.0), axes, numbers[0])
    page = PageFields((), (height, width), dtype.name, planes, (height, width), header)
    frames = [Frame(each, tiff=page) for each in samples]
    file_dtype = dtype.name if is_known(dtype) and computed_in(dtype) != dtype else None
    # BLANK is read as NaN.
    return Picture(frames, "gray", False, "FITS", losses=tuple(losses), file_dtype=file_dtype, nodata=float("nan"))


@contextmanager
def _opened(file: BinaryIO, stored: bool = False) -> Iterator[Any]:
    """Yield astropy's list of the header-data units of a file, which stays open; ``stored``: samples without scale."""
    fits = _astropy()
    units = fits.open(
        file,
        mode="readonly",
        memmap=False,
        lazy_load_hdus=False,
        ignore_missing_end=False,
        do_not_scale_image_data=stored,
    )
    try:
        yield units
    finally:
        units.close(closed=False)


def _astropy() -> Any:
    """Import astropy.io.fits without its warnings about damage, which is checked here, and about its own folders."""
    warnings.filterwarnings("ignore", module=r"astropy\b")
    from astropy.io import fits
    from astropy.utils.exceptions import AstropyWarning

    warnings.filterwarnings("ignore", category=AstropyWarning)
    return fits


def _missing_as_nan(file: BinaryIO, index: int, unit: Any) -> Any:
    """Return integers as the real numbers that they stand for, missing ones as NaN.

    Astropy leaves a BLANK of 0, and the BLANK of integers that BZERO makes unsigned, a number.
    """
    header = unit.header
    missing, scale, zero = header["BLANK"], header.get("BSCALE", 1), header.get("BZERO", 0)
    file.seek(0)
    with _opened(file, stored=True) as units:
        integers = units[index].data
    values = integers.astype(np.float32 if integers.itemsize <= _FLOAT32_HOLDS else np.float64)
    values *= scale
    values += zero
    values[integers == missing] = np.nan
    return values


def _require_complete(unit: Any, file: BinaryIO) -> None:
    place = unit.fileinfo()
    end, size = place["datLoc"] + place["datSpan"], size_of(file)
    if end > size:
        raise ReadError(f"the FITS is truncated: its image ends at byte {end}, the file has {size}")


def _losses(images: int, bits: int, dtype: np.dtype[Any]) -> list[Loss]:
    """Return the losses of further images and of the sample type; ``bits`` is BITPIX, above 0 for integers."""
    lost = []
    if images > 1:
        lost.append(
            Loss(
                f"the FITS holds {images} images",
                severe=True,
                remedy="take the others out into files of their own, or keep the first with {allow_loss=True}",
            )
        )
    if not is_known(dtype):
        lost.append(
            Loss(f"the FITS has samples of {dtype}; they are read and written as 64-bit floats of the same values")
        )
    elif bits > 0 and dtype.kind == "f":
        lost.append(
            Loss(
                "the FITS has integers that are scaled (BSCALE, BZERO) or partly missing (BLANK); "
                f"they are read and written as {8 * dtype.itemsize}-bit floats"
            )
        )
    return lost


def _left_out(units: Any, image: Any) -> Iterator[Loss]:
    """Yield the losses of tables, of the compression, and of the first header if the image is an extension."""
    tables = sum(not unit.is_image for unit in units)
    if tables:
        count = "1 table, which is" if tables == 1 else f"{tables} tables, which are"
        yield Loss(f"the FITS holds {count} left out")
    if compression := getattr(image, "compression_type", None):
        yield Loss(f"the FITS is compressed with {compression}; a result is not compressed")
    if image is not units[0]:
        names = list(dict.fromkeys(card.keyword for card in units[0].header.cards if not _DERIVED.match(card.keyword)))
        if names:
            shown = ", ".join(names[:_MOST_NAMES]) + (", ..." if len(names) > _MOST_NAMES else "")
            yield Loss(f"the header of the whole FITS ({shown}) is left out; that of the image is kept")


def write_fits(file: BinaryIO, picture: Picture, options: WriteOptions) -> None:
    """Write a FITS of one image, or a cube of the pages; a ``Writer``.

    Raises
    ------
    WriteError
        The pages differ in size.
    """
    fits = _astropy()
    frames = picture.frames
    if len({frame.shape for frame in frames}) > 1:
        raise WriteError("the pages of a FITS must have one size; use tiff")
    header = fits.Header()
    source = frames[0].tiff.header if frames[0].tiff else None
    if source is not None:
        header.extend(fits.Header.fromstring("".join(f"{card:80}" for card in source.cards)).cards, bottom=True)
        _move(header, source)
    pixels: Pixels = frames[0].pixels if len(frames) == 1 else np.stack([frame.pixels for frame in frames])
    axes = _axes(header, source, len(frames)) if source is not None else None
    if axes is not None:
        pixels = pixels.reshape(*axes, *frames[0].shape)
    buffer = io.BytesIO()
    unit = fits.PrimaryHDU(np.ascontiguousarray(pixels), header=header, uint=True)
    fits.HDUList([unit]).writeto(buffer, output_verify="silentfix+ignore")
    file.write(buffer.getbuffer())


def _axes(header: Any, source: FitsHeader, planes: int) -> tuple[int, ...] | None:
    """Return the lengths of the axes before rows and columns; None if the number of planes is not that of the input.

    For a single plane of a cube, the reference pixel of the planes' axis moves to that plane.
    """
    if math.prod(source.axes) == planes:
        return source.axes
    if planes != 1:
        return None
    number = next(
        len(source.axes) + 2 - at for at, size in enumerate(source.axes) if size > 1
    )  # FITS numbers axes from the last, from 1
    for key in list(header):
        if re.fullmatch(rf"CRPIX{number}[A-Z]?", key):
            header[key] -= source.plane
    return (1,) * len(source.axes)


def _move(header: Any, source: FitsHeader) -> None:
    """Rewrite the world coordinates for the grid of the result: (start, step) on each axis, in pixels of the input."""
    axes = {1: source.cols, 2: source.rows}
    if all(axis == (0.0, 1.0) for axis in axes.values()):
        return
    matrices = {match[3]: match[1] for match in map(_MATRIX.match, header) if match}
    _state_defaults(header, matrices)
    for key in list(dict.fromkeys(header)):
        value = header[key]
        if not isinstance(value, int | float) or isinstance(value, bool):
            continue
        if match := _REFERENCE.match(key):
            start, step = axes[int(match[2])]
            header[key] = (value - 1 - start) / step + 1
        elif match := _LOGICAL.match(key):
            header[key] = value / axes[int(match[1])][1]
        elif match := _STEP.match(key):
            if matrices.get(match[2]) != "PC":
                header[key] = value * axes[int(match[1])][1]
        elif match := _MATRIX.match(key):
            header[key] = value * axes.get(int(match[2]), (0.0, 1.0))[1]
        elif match := _SIP.match(key):
            across, up = axes[1][1], axes[2][1]
            header[key] = value * across ** int(match[2]) * up ** int(match[3]) / (across if match[1] == "A" else up)


def _state_defaults(header: Any, matrices: dict[str, str]) -> None:
    """Add the keywords whose defaults are false on the grid of the result; ``matrices``: CD or PC, by version."""
    versions = {match[1] for match in map(_VERSION.match, header) if match}
    for version in sorted(versions | set(matrices)):
        for axis in (1, 2):
            header.setdefault(f"CRPIX{axis}{version}", 0.0)
            if version not in matrices:
                header.setdefault(f"CDELT{axis}{version}", 1.0)
            elif matrices[version] == "PC":
                draft = f"PC00{axis}00{axis}"
                has_draft = any(key.startswith("PC00") for key in header) and not version
                header.setdefault(draft if has_draft else f"PC{axis}_{axis}{version}", 1.0)
