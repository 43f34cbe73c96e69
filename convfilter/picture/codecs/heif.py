"""HEIC and other HEIF pictures, as phones make them, through pi-heif (libheif and libde265).

libheif applies the orientation of the file; the same orientation in EXIF and XMP is reset. ISO/IEC 23008-12.
"""

from __future__ import annotations

from typing import Any, BinaryIO

import numpy as np

from convfilter.errors import ReadError
from convfilter.picture import colour, limits, unsupported
from convfilter.picture.metadata import exif, xmp_clean
from convfilter.picture.options import ReadOptions
from convfilter.picture.picture import Frame, Loss, Metadata, Picture, chosen
from convfilter.picture.pillow import container_metadata, contents
from convfilter.picture.pillow.boxes import boxes, boxes_of
from convfilter.picture.pixels import Model

_EXIF_PREFIX = b"Exif\0\0"
_META_BYTES = 1 << 22
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

    Samples are uint8, or uint16 with the numbers of the file: 0 to 1023 or 4095.
    """
    heif = _opened(file)
    number = heif.primary_index if options.frame is None else chosen([*range(len(heif))], options.frame)
    image = heif[number]
    width, height = image.size
    limits.require_size(width, height, options)
    mode = image.mode.partition(";")[0]
    premultiplied = mode.endswith("a")
    if mode.upper() not in _MODELS:
        raise ReadError(f"a HEIC of samples of the kind {image.mode} cannot be filtered")
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
    """Parse the boxes without decoding."""
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
    """Refuse names of items and of auxiliary pictures that are not UTF-8, since the library would end the process."""
    for kind, first, last in boxes(file, 0, file.seek(0, 2)):
        if kind != b"meta":
            continue
        file.seek(first)
        parts = dict(boxes_of(file.read(min(last - first, _META_BYTES)), 4))
        items = parts.get(b"iinf", b"")
        properties = dict(boxes_of(parts.get(b"iprp", b""))).get(b"ipco", b"")
        texts = [entry[8:] for _, entry in boxes_of(items, 6 if items[:1] == b"\0" else 8)]
        texts += [content[4:].partition(b"\0")[0] for name, content in boxes_of(properties) if name == b"auxC"]
        for text in texts:
            try:
                text.decode()
            except UnicodeDecodeError:
                raise ReadError("the HEIC is damaged: the name of an item is no text") from None


def _top_boxes(file: BinaryIO) -> set[bytes]:
    """Return the kinds of the file's boxes; a moov box holds a sequence, a meta box pictures."""
    return {kind for kind, _, _ in boxes(file, 0, file.seek(0, 2))}


def _metadata(info: dict[str, Any]) -> Metadata:
    """Return libheif's metadata, with orientations reset."""
    block = info.get("exif")
    packet = info.get("xmp")
    return Metadata(
        icc=info.get("icc_profile") or None,
        exif=exif.without_orientation(bytes(block).removeprefix(_EXIF_PREFIX)) if block else None,
        xmp=xmp_clean.with_orientation_reset(bytes(packet).rstrip(b"\0")) if packet else None,
    )


def _notes(heif: Any, image: Any, file: BinaryIO, options: ReadOptions) -> list[str]:
    """Return notes about other pictures in the file."""
    notes = contents.notes_on(None, "HEIC", file)
    if options.frame is None and len(heif) > 1 and not any("pictures" in note for note in notes):
        notes.append(f"the HEIC holds {len(heif)} pictures; the primary one is taken")
    if b"moov" in _top_boxes(file):
        notes.append("the HEIC holds a sequence of pictures; only its cover is read")
    if image.info.get("depth_images"):
        notes.append("the HEIC holds a depth map; it is left out")
    if any(_GAIN_MAP in kind for kind in image.info.get("aux", {})):
        notes.append("the HEIC holds a gain map, which makes the picture brighter on HDR displays; it is left out")
    return notes
