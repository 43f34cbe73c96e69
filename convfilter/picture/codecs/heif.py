"""HEIF reader (HEIC of phones and others) through pi-heif, which is built on libheif and libde265.

libheif applies the orientation, so EXIF and XMP lose theirs. ISO/IEC 23008-12.
"""

from __future__ import annotations

from typing import Any, BinaryIO

import numpy as np

from convfilter.errors import ReadError
from convfilter.picture import colour, limits, unsupported
from convfilter.picture.frame import Frame
from convfilter.picture.loss import Loss
from convfilter.picture.metadata import exif, xmp_clean
from convfilter.picture.metadata.metadata import Metadata
from convfilter.picture.options import ReadOptions, frame_number
from convfilter.picture.picture import Picture
from convfilter.picture.pillow import container_metadata, contents
from convfilter.picture.pillow.boxes import boxes, boxes_of, meta_boxes
from convfilter.picture.pixels import Model
from convfilter.picture.place.source import size_of

_EXIF_PREFIX = b"Exif\0\0"
#: Colour model and alpha of pi-heif's modes.
_MODELS: dict[str, tuple[Model, bool]] = {
    "L": ("gray", False),
    "I": ("gray", False),
    "LA": ("gray", True),
    "RGB": ("rgb", False),
    "RGBA": ("rgb", True),
}
#: Apple's name of gain maps, which brighten a picture on HDR displays.
_GAIN_MAP = "hdrgainmap"


def read_heif(file: BinaryIO, options: ReadOptions) -> Picture:
    """Read the primary picture of a HEIF, or the one that ``options.frame`` names; a ``Reader``.

    Samples are uint8, or uint16 with the values of the file: up to 1023 or 4095 is white.
    """
    heif = _opened(file)
    number = heif.primary_index if options.frame is None else frame_number(options.frame, len(heif))
    image = heif[number]
    width, height = image.size
    limits.require_size(width, height, options)
    mode = image.mode.partition(";")[0]
    premultiplied = mode.endswith("a")  # pi-heif writes the letter small
    if mode.upper() not in _MODELS:
        raise ReadError(f"a HEIC of the mode {image.mode} cannot be filtered; convert it to PNG first")
    model, alpha = _MODELS[mode.upper()]
    limits.require_memory(4 * width * height * len(mode))
    samples = np.array(image)  # copied: a view does not outlive the image
    bits = image.info["bit_depth"]
    if samples.dtype.itemsize == 1:
        bits = 8
    pixels, white = colour.as_stored(samples, 2**bits - 1)
    metadata = _metadata(image.info)
    losses = container_metadata.add_metadata(metadata, file, "HEIC")
    losses += [Loss(text) for text in _notes(heif, image, file, options)]
    return Picture(
        [Frame(pixels)], model, alpha, "HEIC", metadata,
        losses=tuple(losses), white=white, premultiplied=premultiplied,
    )  # fmt: skip


def _opened(file: BinaryIO) -> Any:
    """Return pi-heif's list of the pictures, without decoding them."""
    import pi_heif

    kinds = _top_boxes(file)
    if b"moov" in kinds and b"meta" not in kinds:
        sequence = unsupported.named("a HEIF sequence")
        raise ReadError(f"{sequence.name} cannot be read", remedy=sequence.remedy)
    _require_text(file)
    file.seek(0)
    heif = pi_heif.open_heif(file, convert_hdr_to_8bit=False, hdr_to_16bit=False)
    if not len(heif):
        raise ReadError("the HEIC holds no picture")
    return heif


def _require_text(file: BinaryIO) -> None:
    """Refuse names of items and of auxiliary pictures that are not UTF-8: the library ends the process on them."""
    for meta in meta_boxes(file):
        items = meta.get(b"iinf", b"")
        properties = dict(boxes_of(meta.get(b"iprp", b""))).get(b"ipco", b"")
        texts = [entry[8:] for _, entry in boxes_of(items, 6 if items[:1] == b"\0" else 8)]
        texts += [content[4:].partition(b"\0")[0] for name, content in boxes_of(properties) if name == b"auxC"]
        for text in texts:
            try:
                text.decode()
            except UnicodeDecodeError:
                raise ReadError("the HEIC is damaged: the name of an item is not UTF-8") from None


def _top_boxes(file: BinaryIO) -> set[bytes]:
    """Return the types of the outermost boxes: moov holds a sequence, meta holds pictures."""
    return {kind for kind, _, _ in boxes(file, 0, size_of(file))}


def _metadata(info: dict[str, Any]) -> Metadata:
    """Return the profile, EXIF and XMP that pi-heif reports, without orientation."""
    block = info.get("exif")
    packet = info.get("xmp")
    return Metadata(
        icc=info.get("icc_profile") or None,
        exif=exif.without_orientation(bytes(block).removeprefix(_EXIF_PREFIX)) if block else None,
        xmp=xmp_clean.with_orientation_reset(bytes(packet).rstrip(b"\0")) if packet else None,
    )


def _notes(heif: Any, image: Any, file: BinaryIO, options: ReadOptions) -> list[str]:
    """Return notes on the pictures and maps of the file that are left out."""
    notes = [*contents.heif_notes("HEIC", file, pictures=len(heif), is_chosen=options.frame is not None)]
    if b"moov" in _top_boxes(file):
        notes.append("the HEIC holds a sequence of pictures; only its cover is read")
    if image.info.get("depth_images"):
        notes.append("the HEIC holds a depth map; it is left out")
    if any(_GAIN_MAP in kind for kind in image.info.get("aux", {})):
        notes.append(contents.gain_map_note("HEIC"))
    return notes
