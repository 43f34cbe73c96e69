"""TIFF reader: every page at its own depth, through tifffile; each page is judged before it is decoded."""

from __future__ import annotations

import logging
from typing import Any, BinaryIO

import numpy as np

from convfilter.errors import ConvfilterError, ReadError
from convfilter.picture import colour, jpeg, limits
from convfilter.picture.options import ReadOptions
from convfilter.picture.picture import CHANNELS, Frame, Model, Picture, Pixels, chosen
from convfilter.picture.source import size_of
from convfilter.picture.tiff_tags import metadata_of, page_offsets

#: Photometric interpretations that can be filtered; the others (CIE Lab, LogLuv, raw sensor data) cannot sensibly.
_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _PALETTE, _MASK, _SEPARATED, _YCBCR = range(7)
_MODELS: dict[int, Model] = {
    _WHITE_IS_ZERO: "gray",
    _BLACK_IS_ZERO: "gray",
    _RGB: "rgb",
    _PALETTE: "rgb",
    _SEPARATED: "cmyk",
    _YCBCR: "rgb",
}
_OLD_JPEG, _JPEG = 6, 7
_JPEG_STREAM, _JPEG_STREAM_BYTES = 513, 514
_ASSOCIATED, _UNASSOCIATED = 1, 2
_REDUCED, _TRANSPARENCY_MASK = 1, 4


def read_tiff(file: BinaryIO, options: ReadOptions) -> Picture:
    """Read a TIFF or BigTIFF; a ``Reader``. Its pages become frames.

    Samples are uint8 for 1 to 8 bits, uint16 for 9 to 16 (both full range).
    They are float32 for floats of any size; for unsigned integers of more
    bits, whose largest becomes 1; and for signed integers, whose values stay.
    """
    # tifffile logs what it finds odd; what matters is raised here.
    logging.getLogger("tifffile").setLevel(logging.CRITICAL + 1)
    count = len(page_offsets(file))
    file.seek(0)
    try:
        import tifffile

        with tifffile.TiffFile(file, name="picture.tif") as tiff:
            return _picture(tiff, file, count, options)
    except (ConvfilterError, MemoryError):
        raise
    except Exception as error:  # tifffile and imagecodecs raise their own kinds beside ValueError, KeyError and more
        text = str(error).strip().splitlines()
        raise ReadError(
            f"the TIFF is damaged or of an unsupported kind: {text[0] if text else type(error).__name__}"
        ) from error


def _picture(tiff: Any, file: BinaryIO, count: int, options: ReadOptions) -> Picture:
    pages = [tiff.pages[index] for index in range(count)]
    whole = [page for page in pages if not int(page.subfiletype) & (_REDUCED | _TRANSPARENCY_MASK)] or pages[:1]
    if options.frame is not None:
        whole = [chosen(whole, options.frame)]
    needed = 0
    for page in whole:
        _judge(page, options)
        needed += _needed_bytes(page)
    limits.require_memory(needed)
    size = size_of(file)
    notes: list[str] = []
    frames, kinds = [], []
    for page in whole:
        _require_data(page, size, options, notes)
        pixels, model, alpha = _decoded(page, options, notes)
        frames.append(Frame(pixels))
        kinds.append((model, alpha, pixels.dtype))
    if len(set(kinds)) > 1:
        raise ReadError(f"the {len(frames)} pages differ in colour, transparency or depth; choose one with --frame N")
    model, alpha, _ = kinds[0]
    metadata = metadata_of(whole[0], file)
    metadata.associated_alpha = alpha and _ASSOCIATED in _extra_kinds(whole[0])
    return Picture(frames, model, alpha, "TIFF", metadata, tuple(dict.fromkeys(notes)))


def _needed_bytes(page: Any) -> int:
    """Estimate: the samples as they are in the file, and as they become, for input and output."""
    depth = 1 if page.bitspersample <= 8 else 2 if page.bitspersample <= 16 else 4
    becomes = depth if page.dtype.kind in "bu" else 4
    channels = 3 if int(page.photometric) == _PALETTE else page.samplesperpixel
    is_kept = page.dtype.name in ("uint8", "uint16", "float32") and channels == page.samplesperpixel
    pixels = int(page.imagewidth) * int(page.imagelength)
    return (0 if is_kept else int(page.nbytes)) + 2 * becomes * channels * pixels


def _judge(page: Any, options: ReadOptions) -> None:
    """Refuse, by the tags alone, what is too large or cannot be filtered."""
    limits.require_size(page.imagewidth, page.imagelength, options.max_pixels, judge=options.judge)
    if page.imagedepth != 1:
        raise ReadError(f"a TIFF volume of {page.imagedepth} layers in one page cannot be filtered")
    photometric = int(page.photometric)
    if photometric not in _MODELS:
        name = getattr(page.photometric, "name", photometric)
        raise ReadError(f"a TIFF of the kind {name} cannot be filtered; convert it to RGB or grey first")
    if photometric == _YCBCR and int(page.compression) not in (_OLD_JPEG, _JPEG):
        raise ReadError("a TIFF of YCbCr samples without JPEG compression cannot be read; convert it to RGB first")
    if page.dtype is None or page.dtype.kind not in "bufi":
        kind = {4: "undefined", 5: "complex integers", 6: "complex"}.get(int(page.sampleformat), "unknown")
        raise ReadError(
            f"TIFF samples must be integers or floats, got {kind} with {page.bitspersample} bits; "
            "convert them to float32"
        )
    is_signed = page.dtype.kind == "i"
    if is_signed and (photometric not in (_BLACK_IS_ZERO, _RGB) or {_ASSOCIATED, _UNASSOCIATED} & _extra_kinds(page)):
        raise ReadError("signed TIFF samples must be grey or RGB, without transparency; convert them to float32")
    model = _MODELS[photometric]
    colours = 1 if photometric == _PALETTE else CHANNELS[model]
    if page.samplesperpixel < colours:
        raise ReadError(f"the TIFF is damaged: {page.samplesperpixel} samples of {colours} for each pixel")
    if page.samplesperpixel > colours + 1 and photometric == _BLACK_IS_ZERO:
        raise ReadError(f"a TIFF of {page.samplesperpixel} grey channels cannot be filtered; split it first")


def _extra_kinds(page: Any) -> set[int]:
    return set(map(int, page.extrasamples))


def _require_data(page: Any, size: int, options: ReadOptions, notes: list[str]) -> None:
    """Refuse a page whose strips or tiles lie beyond the end of the file."""
    ends = [offset + count for offset, count in zip(page.dataoffsets, page.databytecounts, strict=False)]
    if not ends or not any(page.databytecounts):
        raise ReadError("the TIFF holds no pixels (no strips or tiles)")
    if max(ends) > size:
        what = f"the TIFF is truncated: its data ends at byte {max(ends)}, the file at {size}"
        if not options.lenient:
            raise ReadError(f"{what}; --lenient decodes what is left")
        notes.append(what)


def _decoded(page: Any, options: ReadOptions, notes: list[str]) -> tuple[Pixels, Model, bool]:
    """Decode a page to the layout of a Frame."""
    data = _samples(page, options, notes)
    photometric = int(page.photometric)
    model = _MODELS[photometric]
    colours = 1 if photometric == _PALETTE else CHANNELS[model]
    pixels, alpha = _channels(page, data, colours, notes)
    pixels = _full_range(pixels, page.bitspersample, notes) if photometric != _PALETTE else pixels
    if photometric == _PALETTE:
        pixels = _coloured(page, pixels, alpha)
    elif photometric == _WHITE_IS_ZERO:
        white = colour.white_of(pixels.dtype)
        pixels[:, :, 0] = pixels.dtype.type(white) - pixels[:, :, 0]
    if alpha and _ASSOCIATED in _extra_kinds(page):
        pixels = colour.unassociated(pixels)
    pixels = pixels[:, :, 0] if pixels.shape[2] == 1 else pixels
    return np.ascontiguousarray(pixels), model, alpha


def _samples(page: Any, options: ReadOptions, notes: list[str]) -> Pixels:
    """Decode a page to (height, width, samples)."""
    planes, _, height, width, samples = page.shaped
    stream = _old_jpeg(page) if int(page.compression) == _OLD_JPEG else None
    if stream is not None:
        data = jpeg.decode(stream)
    elif options.lenient:
        data = _what_is_left(page, notes)
    else:
        data = page.asarray(maxworkers=1 if page.nbytes < 1 << 20 else options.threads)
    data = data.reshape(planes, height, width, samples)
    return data[0] if planes == 1 else np.moveaxis(data[..., 0], 0, -1)


def _what_is_left(page: Any, notes: list[str]) -> Pixels:
    """Decode the strips or tiles that can be decoded; the others stay zero."""
    _, depth, height, width, _ = page.shaped
    out = np.zeros(page.shaped, page.dtype)
    file = page.parent.filehandle
    tables = {"jpegtables": page.jpegtables, "jpegheader": page.jpegheader}
    lost = 0
    for index, (offset, count) in enumerate(zip(page.dataoffsets, page.databytecounts, strict=False)):
        try:
            file.seek(offset)
            data = file.read(count)
            segment, (plane, z, row, col, _), shape = page.decode(data, index, **tables)
            piece = segment[: depth - z, : height - row, : width - col]
            out[plane, z : z + shape[0], row : row + shape[1], col : col + shape[2]] = piece
        except Exception:  # whatever a damaged piece makes the decoders say
            lost += 1
    if lost:
        notes.append(f"{lost} of the {len(page.dataoffsets)} strips or tiles of the TIFF cannot be decoded")
    return out


def _old_jpeg(page: Any) -> bytes | None:
    """Return the JPEG that a TIFF of the old kind holds in one piece, if it does."""
    offset, length = page.tags.valueof(_JPEG_STREAM), page.tags.valueof(_JPEG_STREAM_BYTES)
    if offset is None or length is None:
        return None
    file = page.parent.filehandle
    file.seek(int(np.ravel(offset)[0]))
    stream = bytes(file.read(int(np.ravel(length)[0])))
    return stream if jpeg.layout_of(stream) else None


def _channels(page: Any, data: Pixels, colours: int, notes: list[str]) -> tuple[Pixels, bool]:
    """Keep the colours and, where there is one, the alpha channel."""
    extra = [int(kind) for kind in page.extrasamples][: data.shape[2] - colours]
    opacity = next((index for index, kind in enumerate(extra) if kind in (_ASSOCIATED, _UNASSOCIATED)), None)
    if data.shape[2] > colours + (opacity is not None):
        notes.append("the TIFF has extra channels of unknown meaning; they are left out")
    if opacity is None:
        return data[:, :, :colours], False
    return data[:, :, [*range(colours), colours + opacity]], True


def _full_range(samples: Pixels, bits: int, notes: list[str]) -> Pixels:
    """Make bits, integers and floats of any size into uint8, uint16 or float32."""
    if samples.dtype.kind == "f":
        if samples.dtype.itemsize > 4:
            notes.append("the TIFF has 64-bit floats; they are read as 32-bit floats")
        with np.errstate(over="ignore"):
            return samples.astype(np.float32)
    if samples.dtype.kind == "b":
        return samples.astype(np.uint8) * np.uint8(255)
    if samples.dtype.kind == "i":
        # Measurements, such as heights or densities, rather than light: there is no white to scale them to.
        notes.append(f"the TIFF has signed {bits}-bit integers; they are read as floats of the same values")
        return samples.astype(np.float32)
    if bits > 16:
        notes.append(f"the TIFF has {bits}-bit integers; they are read as floats, {2**bits - 1} as 1")
        return np.divide(samples, 2.0**bits - 1, dtype=np.float32, casting="same_kind")
    samples = colour.widened(samples, 2**bits - 1)
    return samples if samples.flags.writeable else samples.copy()


def _coloured(page: Any, samples: Pixels, alpha: bool) -> Pixels:
    """Look palette indices up; the alpha behind them stays."""
    if page.colormap is None or samples.dtype.kind not in "bu":
        raise ReadError("the TIFF is damaged: palette colours without a palette")
    table = np.ascontiguousarray(page.colormap.T)
    # Writers that know 8 bits only fill one byte of the 16, some the lower one.
    if table.max() < 256:
        table = table.astype(np.uint8)
    elif not (table & 255).any() or ((table >> 8) == (table & 255)).all():
        table = (table >> 8).astype(np.uint8)
    indices = samples[:, :, 0].astype(np.intp)
    if int(indices.max()) >= len(table):
        raise ReadError(f"the TIFF is damaged: a pixel has palette entry {int(indices.max())} of {len(table)}")
    colours = table[indices]
    if not alpha:
        return colours
    opacity = colour.with_depth(colour.widened(samples[:, :, 1:], 2**page.bitspersample - 1), table.dtype)
    return np.concatenate([colours, opacity], axis=2)
