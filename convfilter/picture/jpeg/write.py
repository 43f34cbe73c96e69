"""JPEG writer: the same coefficients as Pillow, without importing it, and on all cores.

libjpeg encodes the array directly if the quantisation tables are those of a quality, as nearly all are. A large picture
is encoded in bands, which are joined by restart markers (ITU-T T.81, E.1.4): after a marker, codes begin at a whole
byte. The coefficients equal those of the picture encoded in one piece. The bands depend only on the picture's size, so
any number of threads writes the same bytes.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any, BinaryIO

import numpy as np

from convfilter.errors import WriteError
from convfilter.picture.jpeg import metadata as jpeg_metadata
from convfilter.picture.jpeg.parameters import parameters_of, with_size
from convfilter.picture.jpeg.segments import APP0, APP15, COM, DRI, packed, segments
from convfilter.picture.options import WriteOptions
from convfilter.picture.outline import Outline
from convfilter.picture.picture import Picture
from convfilter.picture.pixels import Pixels
from convfilter.picture.row_writer import Block, RowWriter
from convfilter.record import replace

#: By Pillow's number of a subsampling: libjpeg's name, and width and height of a minimum coded unit (MCU) in pixels.
_SUBSAMPLINGS = {0: ("444", 8, 8), 1: ("422", 16, 8), 2: ("420", 16, 16)}
#: Markers of the segments in front of the tables.
_METADATA = frozenset((*range(APP0, APP15 + 1), COM))
#: Upper bound for what libjpeg writes before the codes: two quantisation and four Huffman tables.
_MOST_HEAD_BYTES = 1 << 12
_SOF0, _RST0 = 0xC0, 0xD0
_RESTARTS = 8
_END = b"\xff\xd9"
#: Largest value of a quantisation table in a baseline JPEG, and a part of what libjpeg prints about larger ones.
_BASELINE_MAX, _TOO_COARSE = 255, b"too coarse for baseline"
_MAX_SIDE = 65500  # libjpeg's limit
#: Most bytes of samples in a band: at most 16,384 MCUs. A DRI segment can count 65,535.
BAND_BYTES = 1 << 20
_UINT8: np.dtype[np.generic] = np.dtype(np.uint8)


def write_jpeg(file: BinaryIO, picture: Picture, options: WriteOptions) -> None:
    """Write a JPEG.

    Parameters
    ----------
    file : BinaryIO
    picture : Picture
        8-bit grey, RGB or CMYK.
    options : WriteOptions

    Raises
    ------
    WriteError
        The encoder refuses the picture.
    """
    metadata = with_size(picture.metadata, *picture.pixels.shape[:2])
    pixels = picture.pixels
    if picture.model != "cmyk" and write_direct(file, pixels, parameters_of(metadata, options), options.threads):
        return
    from convfilter.picture.pillow.write import write_pillow

    picture = replace(picture, format="JPEG", metadata=metadata)
    tables = metadata.jpeg.quantization.values() if metadata.jpeg else ()
    if max(map(max, tables), default=0) <= _BASELINE_MAX:
        write_pillow(file, picture, options)
        return
    from convfilter.picture.codecs import library_output

    data = io.BytesIO()  # not the file, which may be one of the captured descriptors
    with library_output.captured(_TOO_COARSE):
        write_pillow(data, picture, options)
    file.write(data.getbuffer())


def streaming_obstacle(stored: Outline, options: WriteOptions) -> str:
    """Return why the picture cannot be encoded row by row; "" if it can."""
    if stored.model == "cmyk":
        return "a CMYK JPEG is encoded in one piece"
    return why_not_direct(stored.shape, parameters_of(stored.metadata, options))


def row_writer(
    file: BinaryIO, stored: Outline, options: WriteOptions, dtype: np.dtype[np.generic], **keywords: Any
) -> JpegWriter:
    """Return a row writer; see ``write.row_writer``."""
    metadata = with_size(stored.metadata, stored.height, stored.width)
    return JpegWriter(file, stored.shape, parameters_of(metadata, options), dtype, **keywords)


def write_direct(file: BinaryIO, pixels: Pixels, parameters: Mapping[str, Any], threads: int | None = None) -> bool:
    """Write a JPEG with :class:`JpegWriter`, if possible.

    Returns
    -------
    bool
        False if nothing has been written; see :func:`why_not_direct`.
    """
    if why_not_direct(pixels.shape, parameters):
        return False
    with JpegWriter(file, pixels.shape, parameters, threads=threads) as writer:
        writer.write_all(pixels)
        writer.finish()
    return True


def why_not_direct(shape: tuple[int, ...], parameters: Mapping[str, Any]) -> str:
    """Return why only Pillow can encode a grey or RGB picture, in one piece; "" if :class:`JpegWriter` can.

    Parameters
    ----------
    shape : (H, W) or (H, W, C)
    parameters : mapping
        Arguments of ``Image.save``.
    """
    height, width, channels = (*shape, 1)[:3]
    colour = channels == 3
    subsampling = parameters.get("subsampling", 2 if colour else 0)
    if parameters["progressive"] or parameters["optimize"]:
        return "a progressive or optimised JPEG is encoded in one piece"
    if _quality(parameters, tables=1 + colour) is None:
        return "the JPEG keeps tables that belong to no quality, and is encoded in one piece"
    # The subsampling of a grey picture affects only the padding of its edge, which is Pillow's choice.
    fits = channels in (1, 3) and (subsampling in _SUBSAMPLINGS if colour else not subsampling)
    if not fits or max(height, width) > _MAX_SIDE:
        return "a JPEG of a rare kind is encoded in one piece"
    return ""


class JpegWriter(RowWriter):
    """Writes the rows of a JPEG as Pillow would, plus restart markers between separately encoded bands.

    Parameters
    ----------
    file : BinaryIO
    shape : (H, W) or (H, W, 3)
        Shape of the uint8 samples.
    parameters : mapping
        Arguments of ``Image.save``, for which :func:`why_not_direct` returns "".
    dtype : dtype
        Type of the rows before ``prepare``.
    """

    def __init__(
        self,
        file: BinaryIO,
        shape: tuple[int, ...],
        parameters: Mapping[str, Any],
        dtype: np.dtype[np.generic] = _UINT8,
        **keywords: Any,
    ) -> None:
        height, width, channels = (*shape, 1)[:3]
        super().__init__(file, (height, width, channels), dtype, **keywords)
        colour = channels == 3
        quality = _quality(parameters, tables=1 + colour)
        assert quality is not None
        self._parameters, self._quality = parameters, quality
        name, self._across, self._down = _SUBSAMPLINGS[parameters.get("subsampling", 2 if colour else 0)]
        self._subsampling = name if colour else None
        self.block_rows = max(1, BAND_BYTES // (width * channels * self._down)) * self._down

    def begin(self) -> None:
        """Write the start marker and the segments before the tables."""
        self._number = 0
        self.file.write(jpeg_metadata.encoded(self._parameters))

    def encode(self, block: Block) -> memoryview:
        """Encode a band as a separate JPEG."""
        rows = np.ascontiguousarray(block.rows[:, :, 0] if self.shape[2] == 1 else block.rows)
        return _encoded(rows, quality=self._quality, subsampling=self._subsampling)

    def emit(self, piece: memoryview) -> None:
        """Write the data of a band; before the first, its tables."""
        height, width, _ = self.shape
        count = -(-height // self.block_rows)
        found = list(segments(bytes(piece[:_MOST_HEAD_BYTES])))
        scan, data = found[-1].at, found[-1].end
        if self._number == 0:
            tables = next(segment.at for segment in found if segment.marker not in _METADATA)
            frame = next(segment.at for segment in found if segment.marker == _SOF0)
            self.file.write(piece[tables : frame + 5])
            self.file.write(height.to_bytes(2, "big"))
            self.file.write(piece[frame + 7 : scan])
            if count > 1:
                interval = -(-width // self._across) * (self.block_rows // self._down)
                self.file.write(packed(DRI, interval.to_bytes(2, "big")))
            self.file.write(piece[scan:data])
        self.file.write(piece[data : -len(_END)])
        self.file.write(bytes((0xFF, _RST0 + self._number % _RESTARTS)) if self._number < count - 1 else _END)
        self._number += 1

    def end(self) -> None:
        """Do nothing: the last band ends the file."""


def _encoded(band: Pixels, *, quality: int, subsampling: str | None) -> memoryview:
    import imagecodecs

    try:
        return memoryview(imagecodecs.jpeg8_encode(band, level=quality, subsampling=subsampling))
    except imagecodecs.Jpeg8Error as error:
        raise WriteError(f"the picture cannot be written as JPEG: {error}") from error


def _quality(parameters: Mapping[str, Any], tables: int) -> int | None:
    """Return the quality that gives the quantisation tables; None if no quality does."""
    wanted: Mapping[int, Sequence[int]] | None = parameters.get("qtables")
    if wanted is None:
        return int(parameters["quality"])
    if len(wanted) < tables:
        return None
    # libjpeg scales the tables of ITU-T T.81, annex K.
    quality = np.arange(1, 101)[:, np.newaxis, np.newaxis]
    percent = np.where(quality < 50, 5000 // quality, 200 - 2 * quality)
    scaled = np.clip((np.array(_ANNEX_K[:tables]) * percent + 50) // 100, 1, 255)
    equal = (scaled == np.array([wanted[number] for number in range(tables)])).all(axis=(1, 2))
    return int(equal.argmax()) + 1 if equal.any() else None


#: Quantisation tables of luminance and chrominance, row by row.
_ANNEX_K = (
    (
        16, 11, 10, 16, 24, 40, 51, 61,
        12, 12, 14, 19, 26, 58, 60, 55,
        14, 13, 16, 24, 40, 57, 69, 56,
        14, 17, 22, 29, 51, 87, 80, 62,
        18, 22, 37, 56, 68, 109, 103, 77,
        24, 35, 55, 64, 81, 104, 113, 92,
        49, 64, 78, 87, 103, 121, 120, 101,
        72, 92, 95, 98, 112, 100, 103, 99,
    ),
    (
        17, 18, 24, 47, 99, 99, 99, 99,
        18, 21, 26, 66, 99, 99, 99, 99,
        24, 26, 56, 99, 99, 99, 99, 99,
        47, 66, 99, 99, 99, 99, 99, 99,
        99, 99, 99, 99, 99, 99, 99, 99,
        99, 99, 99, 99, 99, 99, 99, 99,
        99, 99, 99, 99, 99, 99, 99, 99,
        99, 99, 99, 99, 99, 99, 99, 99,
    ),
)  # fmt: skip
