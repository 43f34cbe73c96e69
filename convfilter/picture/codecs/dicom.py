"""DICOM through pydicom: stored values, for filtering and never for a diagnosis.

DICOM PS3.3, C.7.6.3 (image pixel module); PS3.5, A.4 (encapsulated pixel data).
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any, BinaryIO

import numpy as np

from convfilter.errors import ReadError
from convfilter.picture import colour, limits
from convfilter.picture.options import ReadOptions
from convfilter.picture.picture import Frame, Loss, Metadata, Picture, Text, chosen
from convfilter.picture.pixels import Model, Pixels
from convfilter.sample_types import computed_in, full_scale

_MM_PER_INCH = 25.4
_MOST_FRAMES = 10_000
#: Bits of samples that are computed in 16; others are computed in up to 64.
_MOST_NARROW = 16
#: Decoders of imagecodecs by transfer syntax, where pydicom would need further packages.
_CODECS = {
    **dict.fromkeys(("1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.81"), "jpegls_decode"),
    **dict.fromkeys(("1.2.840.10008.1.2.4.57", "1.2.840.10008.1.2.4.70"), "jpegsof3_decode"),
    **dict.fromkeys(("1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.4.91"), "jpeg2k_decode"),
}


def read_dicom(file: BinaryIO, options: ReadOptions) -> Picture:
    """Read the frames of a DICOM; a ``Reader``.

    Samples are the stored values: no window, slope or intercept is applied; the latter become a text. They have the
    smallest type of 8, 16 or 32 bits that holds the bits of the file, signed if they are.
    """
    import pydicom

    warnings.filterwarnings("ignore", module=r"pydicom\.")
    head = pydicom.dcmread(file, stop_before_pixels=True)
    if "Rows" not in head or "Columns" not in head:
        raise ReadError("the DICOM holds no picture")
    height, width, count = int(head.Rows), int(head.Columns), int(head.get("NumberOfFrames", 1) or 1)
    limits.require_size(width, height, options)
    if not 1 <= count <= _MOST_FRAMES:
        raise ReadError(f"a DICOM must have 1 to {_MOST_FRAMES} frames to be filtered, got {count}")
    limits.require_frames(count, count * height * width, options.max_pixels)
    channels = int(head.get("SamplesPerPixel", 1))
    item = 4 if int(head.get("BitsAllocated", 16)) <= _MOST_NARROW else 8
    limits.require_memory(2 * item * count * height * width * channels)
    numbers = [*range(count)] if options.frame is None else [chosen([*range(count)], options.frame)]
    file.seek(0)
    whole = pydicom.dcmread(file)
    frames = [_decoded(whole, number, (height, width), channels) for number in numbers]
    pixels, white = _stored(whole, frames)
    file_dtype = pixels[0].dtype
    computed = computed_in(file_dtype)
    model: Model = "rgb" if pixels[0].ndim == 3 else "gray"
    pages = [Frame(each.astype(computed, copy=False)) for each in pixels]
    return Picture(
        pages, model, False, "DICOM", _metadata(whole), losses=tuple(map(Loss, _notes(whole))), white=white,
        file_dtype=None if computed == file_dtype else file_dtype.name,
    )  # fmt: skip


def _decoded(whole: Any, number: int, size: tuple[int, int], channels: int) -> Pixels:
    """Decode one frame to (H, W) or (H, W, 3) values; colours become RGB."""
    from pydicom.pixels.processing import apply_color_lut
    from pydicom.pixels.utils import pixel_array

    syntax = whole.file_meta.TransferSyntaxUID
    kind = str(whole.get("PhotometricInterpretation", ""))
    if syntax in _CODECS and "YBR" not in kind:
        import imagecodecs
        from pydicom.encaps import get_frame

        data = get_frame(whole.PixelData, number, number_of_frames=int(whole.get("NumberOfFrames", 1) or 1))
        decode: Callable[[bytes], Pixels] = getattr(imagecodecs, _CODECS[syntax])
        samples = np.asarray(decode(data))
    else:
        try:
            samples = np.asarray(pixel_array(whole, index=number))
        except (RuntimeError, NotImplementedError) as error:
            raise ReadError(
                f"a DICOM compressed as {syntax.name} cannot be decoded",
                remedy="decompress it first, as with gdcmconv or dcmdjpeg",
            ) from error
    if kind == "PALETTE COLOR":
        samples = np.asarray(apply_color_lut(samples, whole))
    if samples.shape[:2] != size or samples.ndim > 2 + (kind == "PALETTE COLOR" or channels == 3):
        raise ReadError(f"a DICOM frame of the shape {samples.shape} cannot be filtered")
    return samples


def _stored(whole: Any, frames: list[Pixels]) -> tuple[list[Pixels], int | None]:
    """Return frames of a type of ``sample_types``, and the value of white."""
    if frames[0].dtype.kind == "u" and frames[0].dtype.itemsize <= 2:
        palette = whole.get("PhotometricInterpretation") == "PALETTE COLOR"
        bits = 8 * frames[0].dtype.itemsize if palette else int(whole.get("BitsStored", 8 * frames[0].dtype.itemsize))
        largest = max(2**bits - 1, *(int(frame.max()) for frame in frames))
        stored = [colour.as_stored(frame, largest) for frame in frames]
        return [frame for frame, _ in stored], stored[0][1]
    if frames[0].dtype.kind == "f":
        return [np.ascontiguousarray(frame) for frame in frames], None
    bits = int(whole.get("BitsStored", 8 * frames[0].dtype.itemsize))
    if not int(whole.get("PixelRepresentation", 0)):
        white = max(2**bits - 1, *(int(frame.max()) for frame in frames))
        full = int(full_scale(np.uint32))
        return [np.ascontiguousarray(frame, dtype=np.uint32) for frame in frames], white if white < full else None
    sign = np.int64(1) << (bits - 1)
    dtype = next(dtype for dtype in ("int8", "int16", "int32") if np.iinfo(dtype).bits >= bits)
    return [((frame.astype(np.int64) & (2 * sign - 1) ^ sign) - sign).astype(dtype) for frame in frames], None


def _metadata(whole: Any) -> Metadata:
    """Keep the meaning of values and the size of pixels; nothing about the patient."""
    metadata = Metadata()
    slope, intercept = whole.get("RescaleSlope"), whole.get("RescaleIntercept")
    if slope is not None or intercept is not None:
        unit = f" {whole.RescaleType}" if whole.get("RescaleType") else ""
        scale = f"{float(slope or 1):g} * stored value + {float(intercept or 0):g}"
        metadata.text.append(Text("Description", f"DICOM rescaling: {scale}{unit}"))
    spacing = whole.get("PixelSpacing") or whole.get("ImagerPixelSpacing")
    if spacing and all(float(each) > 0 for each in spacing):
        metadata.resolution = _MM_PER_INCH / float(spacing[1]), _MM_PER_INCH / float(spacing[0])
    profile = whole.get("ICCProfile")
    metadata.icc = bytes(profile) if profile else None
    return metadata


def _notes(whole: Any) -> list[str]:
    notes = ["the DICOM is read without its window and its data on patient and study; the result is not for diagnosis"]
    if whole.get("PhotometricInterpretation") == "MONOCHROME1":
        notes.append("the DICOM counts from white to black (MONOCHROME1), and is read so; 'invert' turns it round")
    return notes
