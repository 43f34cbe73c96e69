"""DICOM reader through pydicom: stored values, for filtering, not for diagnosis.

DICOM PS3.3, C.7.6.3 (image pixel module); PS3.5, A.4 (encapsulated pixel data).
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any, BinaryIO

import numpy as np

from convfilter.errors import ReadError
from convfilter.picture import colour, limits
from convfilter.picture.frame import Frame
from convfilter.picture.loss import Loss
from convfilter.picture.metadata.metadata import Metadata, Text
from convfilter.picture.options import ReadOptions
from convfilter.picture.picture import Picture
from convfilter.picture.pixels import Model, Pixels
from convfilter.picture.place.source import size_of
from convfilter.sample_types import computed_in, full_scale

_MM_PER_INCH = 25.4
_MOST_FRAMES = 10_000
#: Samples of up to 16 bits take at most 32 bits when they are filtered, wider ones at most 64.
_NARROW_BITS = 16
_BYTE_BITS = 8
#: The function of imagecodecs for each transfer syntax that pydicom decodes only with further packages.
_CODECS = {
    **dict.fromkeys(("1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.81"), "jpegls_decode"),
    **dict.fromkeys(("1.2.840.10008.1.2.4.57", "1.2.840.10008.1.2.4.70"), "jpegsof3_decode"),
    **dict.fromkeys(("1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.4.91"), "jpeg2k_decode"),
    **dict.fromkeys((f"1.2.840.10008.1.2.4.{number}" for number in (201, 202, 203)), "jpeg2k_decode"),
}
#: JPEG with loss at 12 bits, which pydicom decodes only with further packages; it decodes that of 8 bits.
_EXTENDED_JPEG = "1.2.840.10008.1.2.4.51"


def read_dicom(file: BinaryIO, options: ReadOptions) -> Picture:
    """Read the frames of a DICOM; a ``Reader``.

    Samples are the stored values, without window, slope and intercept; slope and intercept become a text. Their type is
    the smallest integer type of 8, 16 or 32 bits that holds the bits of the file, signed as in the file.
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
    numbers = options.frame_numbers(count)
    limits.require_frames(len(numbers), len(numbers) * height * width, options.max_pixels)
    channels = int(head.get("SamplesPerPixel", 1))
    item = 4 if int(head.get("BitsAllocated", 16)) <= _NARROW_BITS else 8
    limits.require_memory(2 * item * len(numbers) * height * width * channels + size_of(file))
    file.seek(0)
    dataset = pydicom.dcmread(file)
    frames = [_decoded(dataset, number, (height, width), channels) for number in numbers]
    pixels, white = _with_sample_type(dataset, frames)
    file_dtype = pixels[0].dtype
    computed = computed_in(file_dtype)
    model: Model = "rgb" if pixels[0].ndim == 3 else "gray"
    pages = [Frame(each.astype(computed, copy=False)) for each in pixels]
    return Picture(
        pages, model, False, "DICOM", _metadata(dataset), losses=tuple(map(Loss, _notes(dataset))), white=white,
        file_dtype=None if computed == file_dtype else file_dtype.name,
        nodata=_padding(dataset) if model == "gray" else None,
    )  # fmt: skip


def _decoded(dataset: Any, number: int, size: tuple[int, int], channels: int) -> Pixels:
    """Decode one frame to (H, W) or (H, W, 3) values; colours become RGB."""
    from pydicom.pixels.processing import apply_color_lut
    from pydicom.pixels.utils import pixel_array

    syntax = dataset.file_meta.TransferSyntaxUID
    kind = str(dataset.get("PhotometricInterpretation", ""))
    codec = _CODECS.get(syntax)
    if syntax == _EXTENDED_JPEG and int(dataset.get("BitsAllocated", 8)) > _BYTE_BITS:
        codec = "jpeg8_decode"
    if codec and "YBR" not in kind:
        import imagecodecs
        from pydicom.encaps import get_frame

        data = get_frame(dataset.PixelData, number, number_of_frames=int(dataset.get("NumberOfFrames", 1) or 1))
        decode: Callable[[bytes], Pixels] = getattr(imagecodecs, codec)
        samples = np.asarray(decode(data))
    else:
        unused = 0 if syntax.is_encapsulated else _unused_low_bits(dataset)
        try:
            samples = np.asarray(pixel_array(dataset, index=number, correct_unused_bits=not unused))
            if unused:
                samples = samples >> unused & (1 << int(dataset.BitsStored)) - 1
        except (RuntimeError, NotImplementedError) as error:
            raise ReadError(
                f"a DICOM compressed as {syntax.name} cannot be decoded",
                remedy="decompress it first, as with gdcmconv or dcmdjpeg",
            ) from error
    if kind == "PALETTE COLOR":
        samples = np.asarray(apply_color_lut(samples, dataset))
    if samples.shape[:2] != size or samples.ndim > 2 + (kind == "PALETTE COLOR" or channels == 3):
        raise ReadError(f"the DICOM is damaged: a frame decodes to the shape {samples.shape}, its header gives {size}")
    return samples


def _unused_low_bits(dataset: Any) -> int:
    """Return how many bits lie below those of a sample: none, unless an old file stores samples in the highest bits."""
    bits = int(dataset.get("BitsStored", 0))
    return max(int(dataset.get("HighBit", bits - 1)) + 1 - bits, 0) if bits else 0


def _with_sample_type(dataset: Any, frames: list[Pixels]) -> tuple[list[Pixels], int | None]:
    """Convert frames to a type of ``sample_types``; return them and ``Picture.white``."""
    palette = dataset.get("PhotometricInterpretation") == "PALETTE COLOR"
    # Codecs without a sign return the bits of signed samples as unsigned numbers.
    signed = bool(int(dataset.get("PixelRepresentation", 0))) and not palette
    if frames[0].dtype.kind == "u" and frames[0].dtype.itemsize <= 2 and not signed:
        bits = 8 * frames[0].dtype.itemsize if palette else int(dataset.get("BitsStored", 8 * frames[0].dtype.itemsize))
        largest = max(2**bits - 1, *(int(frame.max()) for frame in frames))
        stored = [colour.as_stored(frame, largest) for frame in frames]
        return [frame for frame, _ in stored], stored[0][1]
    if frames[0].dtype.kind == "f":
        return [np.ascontiguousarray(frame) for frame in frames], None
    bits = int(dataset.get("BitsStored", 8 * frames[0].dtype.itemsize))
    if not signed:
        white = max(2**bits - 1, *(int(frame.max()) for frame in frames))
        full = int(full_scale(np.uint32))
        return [np.ascontiguousarray(frame, dtype=np.uint32) for frame in frames], white if white < full else None
    sign = np.int64(1) << (bits - 1)
    dtype = next(dtype for dtype in ("int8", "int16", "int32") if np.iinfo(dtype).bits >= bits)
    # Sign extension: the bits above BitsStored are undefined.
    return [((frame.astype(np.int64) & (2 * sign - 1) ^ sign) - sign).astype(dtype) for frame in frames], None


def _padding(dataset: Any) -> float | None:
    """Return the PixelPaddingValue of grey samples, read as they are; None without one, or if it begins a range."""
    value, end = dataset.get("PixelPaddingValue"), dataset.get("PixelPaddingRangeLimit")
    if not isinstance(value, int) or (end is not None and end != value):
        return None
    bits = int(dataset.get("BitsStored", 16))
    if not int(dataset.get("PixelRepresentation", 0)):
        return float(value & 2**bits - 1)
    sign = 1 << (bits - 1)
    return float((value & 2 * sign - 1 ^ sign) - sign)


def _metadata(dataset: Any) -> Metadata:
    """Return slope and intercept as a text, resolution and colour profile, but no data on the patient."""
    metadata = Metadata()
    slope, intercept = dataset.get("RescaleSlope"), dataset.get("RescaleIntercept")
    if slope is not None or intercept is not None:
        unit = f" {dataset.RescaleType}" if dataset.get("RescaleType") else ""
        scale = f"{float(slope or 1):g} * stored value + {float(intercept or 0):g}"
        metadata.text.append(Text("Description", f"DICOM rescaling: {scale}{unit}"))
    spacing = dataset.get("PixelSpacing") or dataset.get("ImagerPixelSpacing")
    if spacing and all(float(each) > 0 for each in spacing):
        metadata.resolution = _MM_PER_INCH / float(spacing[1]), _MM_PER_INCH / float(spacing[0])
    profile = dataset.get("ICCProfile")
    metadata.icc = bytes(profile) if profile else None
    return metadata


def _notes(dataset: Any) -> list[str]:
    notes = ["the DICOM is read without its window and its data on patient and study; the result is not for diagnosis"]
    if dataset.get("PhotometricInterpretation") == "MONOCHROME1":
        notes.append(
            "samples of the DICOM go from white to black (MONOCHROME1) and are read unchanged; the filter 'invert' "
            "inverts them"
        )
    return notes
