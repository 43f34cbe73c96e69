"""Convert Pillow's ``info`` to metadata, and metadata to arguments of Pillow's ``save``."""

from __future__ import annotations

from typing import Any

from convfilter.picture.jpeg.segments import APP1, APP13, COM, packed
from convfilter.picture.metadata.density import valid_resolution
from convfilter.picture.metadata.metadata import JpegTables, Metadata, Text, subsampling_of

EXIF_PREFIX = b"Exif\0\0"
PHOTOSHOP_PREFIX = b"Photoshop 3.0\0"
#: Largest number of bytes of a JPEG segment, without its two length bytes.
SEGMENT_BYTES = 65533
_XMP_PREFIX_BYTES = 29


def metadata_of(image: Any) -> Metadata:
    """Return the metadata that Pillow found in a file.

    Parameters
    ----------
    image : PIL.Image.Image
        Result of ``PIL.Image.open``; its samples need not be decoded.

    Returns
    -------
    Metadata
        Includes the quantisation tables and the subsampling of a JPEG.
    """
    info = image.info
    metadata = Metadata(icc=info.get("icc_profile") or None, xmp=_bytes(info.get("xmp")))
    if raw := info.get("exif"):
        metadata.exif = raw.removeprefix(EXIF_PREFIX)
    metadata.resolution = valid_resolution(info.get("dpi"))
    if (comment := info.get("comment")) and image.format != "JPEG2000":  # the comment of a JPEG 2000 names the encoder
        metadata.text.append(Text("Comment", text_of(comment)))
    if image.format in ("GIF", "WEBP", "AVIF"):
        metadata.loop = _loop(image)
    if image.format == "JPEG":
        metadata.per_centimetre = info.get("jfif_unit") == 2
        from convfilter.picture.metadata.exif import resolution

        if info.get("jfif_unit") not in (1, 2):  # Pillow then invents a resolution that EXIF does not give
            metadata.resolution = resolution(metadata.exif)
        comments = [data for name, data in image.applist if name == "COM" and data]
        metadata.text = [Text("Comment", text_of(each)) for each in comments]
        blocks = [data for name, data in image.applist if name == "APP13" and data.startswith(PHOTOSHOP_PREFIX)]
        metadata.photoshop = b"".join(block[len(PHOTOSHOP_PREFIX) :] for block in blocks) or None
        metadata.jpeg = _jpeg_tables(image)
    return metadata


def _bytes(value: Any) -> bytes | None:
    if not value:
        return None
    return value.encode() if isinstance(value, str) else bytes(value)


def text_of(value: Any) -> str:
    """Decode a text of unknown encoding: as UTF-8 if valid, else as Latin-1."""
    if isinstance(value, str):
        return value
    try:
        return bytes(value).decode("utf-8").rstrip("\0")
    except UnicodeDecodeError:
        return bytes(value).decode("latin-1").rstrip("\0")


def _loop(image: Any) -> int | None:
    """Return how many times an animation plays, 0 without end; a GIF stores the repetitions after the first time."""
    loop = image.info.get("loop")
    if image.format == "GIF":
        return 1 if loop is None else loop + 1 if loop else 0
    return loop if loop is None else int(loop)


def _jpeg_tables(image: Any) -> JpegTables:
    tables = {key: list(table) for key, table in image.quantization.items()}
    return JpegTables(
        tables, subsampling_of([layer[1:3] for layer in image.layer]), bool(image.info.get("progressive"))
    )


def pillow_parameters(metadata: Metadata) -> dict[str, Any]:
    """Return arguments of Pillow's ``save``, which ignores those that its format does not have."""
    parameters: dict[str, Any] = {}
    if metadata.icc:
        parameters["icc_profile"] = metadata.icc
    if metadata.exif:
        parameters["exif"] = EXIF_PREFIX + metadata.exif
    if metadata.xmp:
        parameters["xmp"] = metadata.xmp
    if metadata.resolution:
        parameters["dpi"] = metadata.resolution
    return parameters


def jpeg_parameters(metadata: Metadata) -> dict[str, Any]:
    """Return arguments of Pillow's ``save`` for a JPEG, without EXIF and XMP that are too long for their segments."""
    parameters = pillow_parameters(metadata)
    if metadata.per_centimetre:
        parameters["per_centimetre"] = True
    if len(parameters.get("exif", b"")) > SEGMENT_BYTES:
        del parameters["exif"]
    comments = [part for text in metadata.text for part in _parts(text.value.encode(), SEGMENT_BYTES)]
    if comments:
        parameters["comment"] = comments[-1]
    extra = [packed(COM, each) for each in comments[:-1]]
    extra += [packed(APP13, PHOTOSHOP_PREFIX + part) for part in _resources(metadata)]
    room = SEGMENT_BYTES - _XMP_PREFIX_BYTES
    if len(parameters.get("xmp", b"")) > room:
        from convfilter.picture.metadata import xmp_extended

        main, extension = xmp_extended.cut(parameters.pop("xmp"), room) or (b"", [])
        parameters |= {"xmp": main} if main else {}
        extra += [packed(APP1, each) for each in extension]
    if extra:
        parameters["extra"] = b"".join(extra)
    return parameters


def _parts(data: bytes, room: int) -> list[bytes]:
    """Split data into pieces that fit a segment."""
    return [data[at : at + room] for at in range(0, len(data), room)]


def _resources(metadata: Metadata) -> list[bytes]:
    """Return Photoshop's resources, IPTC included, in pieces that fit segments."""
    resources = metadata.photoshop or b""
    if metadata.iptc:
        from convfilter.picture.metadata import photoshop

        if not photoshop.has_iptc(resources):
            resources += photoshop.wrapped(metadata.iptc)
    return _parts(resources, SEGMENT_BYTES - len(PHOTOSHOP_PREFIX))
