"""Small DICOMs, as pydicom writes them."""

from __future__ import annotations

import io

import numpy as np

SYNTAX = "1.2.840.10008.1.2."


def ramp(bits, shape=(20, 30), signed=False):
    values = np.arange(np.prod(shape)) * (37 if bits <= 16 else 7_777_777) % 2**bits
    values = (values - 2 ** (bits - 1)) if signed else values
    return values.reshape(shape).astype(f"{'i' if signed else 'u'}{1 if bits <= 8 else 2 if bits <= 16 else 4}")


def dicom(pixels, bits, syntax="1", encode=None, frames=1, **more):
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.encaps import encapsulate

    meta = FileMetaDataset()
    meta.TransferSyntaxUID = (SYNTAX + syntax).rstrip(".")
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = "1.2.840.10008.5.1.4.1.1.7", "1.2.3.4"
    data = Dataset()
    data.file_meta = meta
    data.PatientName = "Doe^Jane"
    color = pixels.shape[-1] == 3
    data.SamplesPerPixel, data.PhotometricInterpretation = (3, "RGB") if color else (1, "MONOCHROME2")
    if color:
        data.PlanarConfiguration = 0
    data.Rows, data.Columns = pixels.shape[-3:-1] if color else pixels.shape[-2:]
    data.BitsAllocated, data.BitsStored, data.HighBit = 8 * pixels.itemsize, bits, bits - 1
    data.PixelRepresentation = int(pixels.dtype.kind == "i")
    if frames > 1:
        data.NumberOfFrames = frames
    parts = pixels if frames > 1 else pixels[np.newaxis]
    data.PixelData = encapsulate([bytes(encode(each)) for each in parts]) if encode else pixels.tobytes()
    data["PixelData"].VR = "OW" if pixels.itemsize > 1 and not encode else "OB"
    for key, value in more.items():
        setattr(data, key, value)
    buffer = io.BytesIO()
    data.save_as(buffer, enforce_file_format=True)
    buffer.seek(0)
    return buffer
