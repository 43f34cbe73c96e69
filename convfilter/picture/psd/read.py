"""PSD reader: the merged picture at its own depth, with transparency; notes list what is left out."""

from __future__ import annotations

from typing import BinaryIO

import numpy as np

from convfilter.errors import ReadError
from convfilter.picture import limits
from convfilter.picture.frame import Frame
from convfilter.picture.metadata.metadata import Metadata
from convfilter.picture.options import ReadOptions
from convfilter.picture.picture import Picture
from convfilter.picture.pixels import Pixels
from convfilter.picture.psd import layout as psd
from convfilter.picture.psd.samples import read_planes
from convfilter.sample_types import full_scale

#: Numbers of image resources.
_RESOLUTION, _IPTC, _ICC, _TRANSPARENCY_INDEX, _EXIF, _XMP = 1005, 1028, 1039, 1047, 1058, 1060
_PALETTE_BYTES = 768
_FLOAT_MAX = float(np.finfo(np.float32).max)
#: Most channels that a note names, and most characters of a name.
_LISTED_NAMES, _NAME_LENGTH = 4, 40


def read_psd(file: BinaryIO, options: ReadOptions) -> Picture:
    """Read the merged picture of a PSD or PSB; a ``Reader``.

    Samples are uint8 for 1 and 8 bits, uint16 for 16, and float32 for 32 bits (linear light, white is 1). CMYK samples
    are amounts of ink.
    """
    header = psd.read_header(file)
    limits.require_size(header.width, header.height, options)
    document = psd.read_document(file, header)
    if not document.has_merged_picture:
        raise ReadError(
            "the PSD holds layers only, and no merged picture; "
            'save it with "Maximize Compatibility" switched on, or as a TIFF'
        )
    options.require_frame(1)
    alpha = _has_alpha(document)
    planes = header.colours + alpha
    limits.require_memory(3 * header.height * header.row_bytes * planes)
    notes = _notes(document, alpha)
    stored, problem = read_planes(file, header, planes, lenient=options.lenient)
    if header.mode == psd.INDEXED:
        pixels, alpha = _from_palette(stored, document)
    else:
        pixels = _interleaved(stored, header)
        if alpha and (_is_composited_over_white(document) or _looks_composited_over_white(pixels)):
            _remove_white(pixels)
        if header.mode == psd.CMYK:  # stored as complements, 0 for full ink
            pixels[:, :, :4] = np.iinfo(pixels.dtype).max - pixels[:, :, :4]
    frames = [Frame(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)]
    notes += [problem] if problem else []
    return Picture(frames, header.model, alpha, "PSD", _metadata(document), tuple(notes))


def _has_alpha(document: psd.Document) -> bool:
    """Whether the first channel after the colours is transparency rather than a saved selection."""
    extras = document.header.channels - document.header.colours
    if extras == 0:
        return False
    if document.has_alpha is not None:
        return document.has_alpha
    return extras == 1 and not document.names_extras


def _notes(document: psd.Document, alpha: bool) -> list[str]:
    """Return notes on the parts of the document that are left out."""
    header = document.header
    notes = []
    if document.layers > 1:
        notes.append(f"the PSD has {document.layers} layers; the picture merged from them is read")
    extras = header.channels - header.colours - alpha
    if extras:
        names = [name[:_NAME_LENGTH] for name in document.extra_names[-extras:]]
        listed = ", ".join(names[:_LISTED_NAMES]) + (", ..." if len(names) > _LISTED_NAMES else "")
        channels = "1 channel" if extras == 1 else f"{extras} channels"
        notes.append(
            f"the PSD has {channels} besides its colours{f' ({listed})' if listed else ''}, "
            "saved selections or spot colours; they are left out"
        )
    if header.mode == psd.DUOTONE:
        notes.append("the PSD is a Duotone; it is read as grey, without its inks")
    return notes


def _interleaved(stored: Pixels, header: psd.Header) -> Pixels:
    """Convert (C, H, row bytes) planes to (H, W, C) samples; in a Bitmap 1 is black."""
    if header.depth == 1:
        return (1 - np.unpackbits(stored[0], axis=1, count=header.width))[:, :, np.newaxis] * np.uint8(255)
    planes = stored.view({8: "u1", 16: ">u2", 32: ">f4"}[header.depth])
    return np.ascontiguousarray(np.moveaxis(planes, 0, -1), dtype=planes.dtype.newbyteorder("="))


def _from_palette(stored: Pixels, document: psd.Document) -> tuple[Pixels, bool]:
    """Return (H, W, 3 or 4) colours of an indexed picture, and whether it has alpha; one entry may be transparent."""
    if len(document.palette) != _PALETTE_BYTES:
        raise ReadError(
            f"the PSD is damaged: its palette has {len(document.palette)} bytes instead of {_PALETTE_BYTES}"
        )
    table = np.frombuffer(document.palette, np.uint8).reshape(3, -1).T
    clear = document.resources.get(_TRANSPARENCY_INDEX)
    if len(stored) == 1 and (clear is None or len(clear) < 2):
        return table[stored[0]], False
    if len(stored) > 1:
        return np.dstack([table[stored[0]], stored[1]]), True
    assert clear is not None
    opacity = np.full((len(table), 1), 255, np.uint8)
    opacity[np.arange(len(table)) == int.from_bytes(clear[:2], "big", signed=True)] = 0
    return np.hstack([table, opacity])[stored[0]], True


def _is_composited_over_white(document: psd.Document) -> bool:
    """Whether Photoshop composited the transparent picture over white before it stored the colours."""
    return bool(document.has_alpha) and document.header.mode in (psd.GRAYSCALE, psd.RGB)


def _looks_composited_over_white(pixels: Pixels) -> bool:
    """Whether all samples are light enough for a picture composited over white; for files that do not tell."""
    white = full_scale(pixels.dtype)
    least = white - (1.0 if pixels.dtype.kind == "u" else 1 / 255)
    return all((row[:, :-1].astype(np.float64) + row[:, -1:] >= least).all() for row in pixels)


def _remove_white(pixels: Pixels) -> None:
    """Recover straight colours from colours composited over white, in place; where alpha is 0, they do not change."""
    is_integer = pixels.dtype.kind == "u"
    white = full_scale(pixels.dtype)
    # Floats at very low alpha may be far out of range, but must stay finite.
    least, most = (0.0, white) if is_integer else (-_FLOAT_MAX, _FLOAT_MAX)
    for row in pixels:
        opacity = row[:, -1:].astype(np.float64)
        over = row[:, :-1].astype(np.float64)
        straight = np.divide((over + opacity - white) * white, opacity, out=over.copy(), where=opacity > 0)
        straight = straight.clip(least, most)
        row[:, :-1] = np.rint(straight) if is_integer else straight


def _metadata(document: psd.Document) -> Metadata:
    """Return the metadata in the image resources."""
    resources = document.resources
    resolution = resources.get(_RESOLUTION, b"")
    return Metadata(
        icc=resources.get(_ICC) or None,
        exif=resources.get(_EXIF) or None,
        xmp=resources.get(_XMP) or None,
        iptc=resources.get(_IPTC) or None,
        resolution=_dots_per_inch(resolution) if len(resolution) >= 16 else None,
    )


def _dots_per_inch(block: bytes) -> tuple[float, float] | None:
    """Return (x, y) of a resolution resource, in dots per inch whatever unit Photoshop displays; None if damaged."""
    x, y = int.from_bytes(block[:4], "big") / 65536, int.from_bytes(block[8:12], "big") / 65536
    return (x, y) if x > 0 and y > 0 else None
