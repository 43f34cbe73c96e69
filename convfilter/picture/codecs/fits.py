"""FITS through astropy: images and cubes, with header and world coordinates.

FITS standard 4.0 (2016): 4.4.2 (keywords), 8 (world coordinates); SIP: Shupe et al., ADASS XIV, 2005. Rows stay in the
order of the file, of which the first is the lowest in the sky.
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
from convfilter.picture.options import ReadOptions, WriteOptions
from convfilter.picture.picture import Frame, Loss, Picture, chosen
from convfilter.picture.pixels import Pixels
from convfilter.picture.place.source import size_of
from convfilter.picture.tiff.fields import FitsHeader, PageFields
from convfilter.sample_types import computed_in, is_known

#: Keywords that the writer computes, or that are false for a filtered picture.
_OWN = re.compile(
    r"(SIMPLE|XTENSION|BITPIX|NAXIS\d*|EXTEND|PCOUNT|GCOUNT|GROUPS|BSCALE|BZERO|BLANK|CHECKSUM|DATASUM|DATAMIN|DATAMAX|END)\Z"
)
_CENTRE = re.compile(r"(CRPIX|LTV)([12])[A-Z]?\Z")
_STEP = re.compile(r"(CDELT)([12])[A-Z]?\Z|(CD|PC)\d_([12])[A-Z]?\Z")
_LOGICAL = re.compile(r"LTM([12])_\1\Z")
_SIP = re.compile(r"([AB])P?_(\d)_(\d)\Z")
_MOST_FRAMES = 10_000
_MOST_NAMES = 8


def read_fits(file: BinaryIO, options: ReadOptions) -> Picture:
    """Read the first image of a FITS; a ``Reader``. The planes of a cube are pages.

    Samples keep the type of the file; BZERO of unsigned integers is applied. With BSCALE, another BZERO or BLANK they
    become real, and BLANK becomes NaN. Integers of 64 bits become float64.
    """
    with _units(file) as units:
        images = [unit for unit in units if unit.is_image and unit.header.get("NAXIS", 0) >= 2 and 0 not in unit.shape]
        if not images:
            raise ReadError("the FITS holds no image of two dimensions; spectra and tables cannot be filtered")
        unit = images[0]
        axes = tuple(map(int, unit.shape[:-2]))
        if sum(size != 1 for size in axes) > 1:
            raise ReadError(f"a FITS of the dimensions {unit.shape} cannot be filtered; take a cube of it out first")
        planes, (height, width) = math.prod(axes), unit.shape[-2:]
        if planes > _MOST_FRAMES:
            raise ReadError(f"a FITS of more than {_MOST_FRAMES} planes cannot be filtered")
        limits.require_size(width, height, options)
        limits.require_frames(planes, planes * height * width, options.max_pixels)
        limits.require_memory(planes * height * width * 16)
        _require_whole(unit, file)
        numbers = [*range(planes)] if options.frame is None else [chosen([*range(planes)], options.frame)]
        bits = int(unit.header["BITPIX"])
        said = np.dtype(unit.data.dtype).newbyteorder("=")
        stack = np.asarray(unit.data).reshape(planes, height, width)
        if is_known(said):
            samples = [np.ascontiguousarray(stack[number], dtype=computed_in(said)) for number in numbers]
        else:
            samples = [colour.exact(stack[number], "FITS") for number in numbers]
        losses = [*_losses(len(images), bits, said), *_left_out(units, unit)]
        cards = tuple(str(card) for card in unit.header.cards if not _OWN.match(card.keyword))
    header = FitsHeader(cards, (0.0, 1.0), (0.0, 1.0), axes, numbers[0])
    page = PageFields((), (height, width), said.name, planes, (height, width), header)
    frames = [Frame(each, tiff=page) for each in samples]
    file_dtype = said.name if is_known(said) and computed_in(said) != said else None
    return Picture(frames, "gray", False, "FITS", losses=tuple(losses), file_dtype=file_dtype)


@contextmanager
def _units(file: BinaryIO) -> Iterator[Any]:
    """Yield the header-data units of a file, and leave the file open."""
    fits = _astropy()
    units = fits.open(file, mode="readonly", memmap=False, lazy_load_hdus=False, ignore_missing_end=False)
    try:
        yield units
    finally:
        units.close(closed=False)


def _astropy() -> Any:
    """Import astropy's FITS without its warnings: damage is checked here, and its folders do not matter."""
    warnings.filterwarnings("ignore", module=r"astropy\b")
    from astropy.io import fits
    from astropy.utils.exceptions import AstropyWarning

    warnings.filterwarnings("ignore", category=AstropyWarning)
    return fits


def _require_whole(unit: Any, file: BinaryIO) -> None:
    where = unit.fileinfo()
    if where["datLoc"] + where["datSpan"] > size_of(file):
        raise ReadError("the FITS is truncated")


def _losses(images: int, bits: int, dtype: np.dtype[Any]) -> list[Loss]:
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
    """Yield the losses of reading: tables, the compression, and the first header if the image is an extension."""
    tables = sum(not unit.is_image for unit in units)
    if tables:
        yield Loss(f"the FITS holds {tables} table{'s' * (tables > 1)} beside the image; left out")
    if compression := getattr(image, "compression_type", None):
        yield Loss(f"the FITS is compressed with {compression}, and a result is not")
    if image is not units[0]:
        names = list(dict.fromkeys(card.keyword for card in units[0].header.cards if not _OWN.match(card.keyword)))
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
    frames = [frame for frame in picture.frames if not frame.fallback]
    if len({frame.shape for frame in frames}) > 1:
        raise WriteError("the pages of a FITS must have one size; use tiff")
    header = fits.Header()
    known = frames[0].tiff.header if frames[0].tiff else None
    if known is not None:
        header.extend(fits.Header.fromstring("".join(f"{card:80}" for card in known.cards)).cards, bottom=True)
        _move(header, known)
    pixels: Pixels = frames[0].pixels if len(frames) == 1 else np.stack([frame.pixels for frame in frames])
    axes = _axes(header, known, len(frames)) if known is not None else None
    if axes is not None:
        pixels = pixels.reshape(*axes, *frames[0].shape)
    buffer = io.BytesIO()
    unit = fits.PrimaryHDU(np.ascontiguousarray(pixels), header=header, uint=True)
    fits.HDUList([unit]).writeto(buffer, output_verify="silentfix+ignore")
    file.write(buffer.getbuffer())


def _axes(header: Any, known: FitsHeader, planes: int) -> tuple[int, ...] | None:
    """Return the axes before rows and columns, the axis of planes moved to a chosen plane; None if they do not fit."""
    if math.prod(known.axes) == planes:
        return known.axes
    if planes != 1:
        return None
    across = next(len(known.axes) + 2 - at for at, size in enumerate(known.axes) if size > 1)
    for key in list(header):
        if re.fullmatch(rf"CRPIX{across}[A-Z]?", key):
            header[key] -= known.plane
    return (1,) * len(known.axes)


def _move(header: Any, known: FitsHeader) -> None:
    """Rewrite the world coordinates for the grid of the result."""
    axes = {1: known.cols, 2: known.rows}
    if all(axis == (0.0, 1.0) for axis in axes.values()):
        return
    has_matrix = any(re.match(r"(CD|PC)\d_\d", key) for key in header)
    for key in list(dict.fromkeys(header)):
        value = header[key]
        if not isinstance(value, int | float) or isinstance(value, bool):
            continue
        if match := _CENTRE.match(key):
            start, jump = axes[int(match[2])]
            header[key] = (value - 1 - start) / jump + 1
        elif match := _LOGICAL.match(key):
            header[key] = value / axes[int(match[1])][1]
        elif match := _STEP.match(key):
            if not (match[1] and has_matrix):
                header[key] = value * axes[int(match[2] or match[4])][1]
        elif match := _SIP.match(key):
            across, up = axes[1][1], axes[2][1]
            header[key] = value * across ** int(match[2]) * up ** int(match[3]) / (across if match[1] == "A" else up)
