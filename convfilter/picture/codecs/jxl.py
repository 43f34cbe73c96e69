"""JPEG XL through imagecodecs (libjxl): 8 to 16 bits and floats, with alpha, EXIF and XMP.

imagecodecs reads neither ICC profiles, for which pillow-jxl-plugin is used, nor delays of animations. ISO/IEC 18181-2
(file format).
"""

from __future__ import annotations

import io
import struct
from typing import BinaryIO

import numpy as np

from convfilter.errors import ReadError, WriteError
from convfilter.machine.cores import available_cores
from convfilter.picture import colour, limits
from convfilter.picture.codecs.jxl_encoding import with_colours, with_primaries
from convfilter.picture.codecs.jxl_header import Header, parsed
from convfilter.picture.colour_chunks import (
    LINEAR,
    SRGB,
    Chromaticities,
    chromaticities_of,
    cicp_chunk,
    exponent_of,
    gamma_chunks,
)
from convfilter.picture.frame import Frame
from convfilter.picture.loss import Loss
from convfilter.picture.metadata import exif, xmp_clean
from convfilter.picture.metadata.cicp import BT709_PRIMARIES, PRIMARIES, transfer_curve
from convfilter.picture.metadata.curves import linearized
from convfilter.picture.metadata.icc_write import to_xyz
from convfilter.picture.metadata.metadata import Metadata
from convfilter.picture.metadata.transfer import curve_of
from convfilter.picture.options import DEFAULT_QUALITY, LOSSLESS_QUALITY, ReadOptions, WriteOptions, frame_number
from convfilter.picture.picture import Picture
from convfilter.picture.pillow.boxes import box
from convfilter.picture.pillow.boxes import boxes as boxes_in
from convfilter.picture.pixels import Pixels, channels_of
from convfilter.picture.png.layout import says_srgb
from convfilter.record import NamedTuple

_SIGNATURE = box(b"JXL ", b"\r\n\x87\n")
_TYPE = box(b"ftyp", b"jxl \0\0\0\0jxl ")
#: More frames than a file may have.
_MOST_FRAMES = 2**24
#: Type of an extra channel.
_ALPHA = 0
_SRGB = (BT709_PRIMARIES, SRGB)
_SRGB_EXPONENT = 0.45455
_NO_QUALITY = "leave out {quality}"
#: Bytes of the codestream that hold its header.
_HEADER_BYTES = 4096
#: EXIF and XMP that decompress to more are left out.
_MOST_BOX_BYTES = 1 << 24
_DJXL = "convert it with djxl IN OUT.png first, or accept it with {allow_loss=True}"
_NO_PROFILE = Loss(
    "the colour profile of the JPEG XL cannot be read, and its colours would be shown wrong", severe=True, remedy=_DJXL
)
_NO_PLUGIN = _NO_PROFILE._replace(remedy=f"install its reader with pip install 'convfilter[jxl]', {_DJXL}")
_LOSSY_PROFILE = Loss(
    "the JPEG XL has an ICC profile and is compressed with loss: its colours are read in linear light of sRGB, and "
    "clipped to sRGB's gamut",
    severe=True,
    remedy=_DJXL,
)
#: Whites whose chromaticities differ by less are equal.
_WHITE_TOLERANCE = 1e-3
_EFFORTS = {"fast": 1, "default": 3, "best": 7}


def read_jxl(file: BinaryIO, options: ReadOptions) -> Picture:
    """Read a JPEG XL; a ``Reader``.

    Samples are uint8, uint16 with the values of the file, or float32. libjxl applies the orientation of the header, so
    EXIF and XMP lose theirs.
    """
    import imagecodecs

    data = file.read()
    codestream, boxes = _parts(data, _HEADER_BYTES)
    header = parsed(codestream)
    limits.require_size(header.width, header.height, options)
    alpha = _ALPHA in header.extra
    channels = (1 if header.gray else 3) + alpha
    item = 4 if header.floats else 2
    limits.require_memory(2 * header.width * header.height * channels * item)
    losses = _decompress(boxes) + _losses(header, options)
    if not header.floats and header.bits > 16:
        raise ReadError(f"JPEG XL samples must have up to 16 bits, got {header.bits}; convert them first")
    if not header.animated:
        options.require_frame(1)
    threads = options.threads or available_cores()
    samples = np.asarray(imagecodecs.jpegxl_decode(data, index=0 if header.animated else None, numthreads=threads))
    if header.animated and options.frame:
        samples = _frame(data, options.frame, samples, threads)
    shape = (header.height, header.width, channels)[: 3 if channels > 1 else 2]
    if samples.shape != shape:
        raise ReadError(
            f"the JPEG XL decodes to an array of the shape {samples.shape}, its header gives {shape}",
            remedy="convert it first, as with djxl IN OUT.png",
        )
    metadata, lost = _metadata(header, boxes, data, options)
    losses += lost
    white = None
    if samples.dtype.kind == "f":
        samples = samples.astype(np.float32, copy=False)
    else:
        samples, white = colour.as_stored(samples, 2**header.bits - 1)
    return Picture(
        [Frame(samples)], "gray" if header.gray else "rgb", alpha, "JPEGXL", metadata,
        losses=tuple(losses), white=white, premultiplied=header.premultiplied,
    )  # fmt: skip


def _frame(data: bytes, index: int, first: Pixels, threads: int) -> Pixels:
    """Decode a frame of an animation without the frames before it; ``first`` is frame 0."""
    samples = _sought(data, index, first, threads) if index > 0 else None
    if samples is not None:
        return samples
    # The header does not give the number of frames: double an upper bound, then bisect.
    present, missing = 0, 1
    while _sought(data, missing, first, threads) is not None:
        present, missing = missing, 2 * missing
    while missing - present > 1:
        middle = (present + missing) // 2
        present, missing = (present, middle) if _sought(data, middle, first, threads) is None else (middle, missing)
    index = frame_number(index, missing)
    samples = _sought(data, index, first, threads) if index else None
    return first if samples is None else samples


def _sought(data: bytes, index: int, like: Pixels, threads: int) -> Pixels | None:
    """Decode a frame by its number; None if the file has fewer frames, which imagecodecs does not report."""
    import imagecodecs

    if index > _MOST_FRAMES:
        return None
    for background in (0, 1):
        samples = np.full_like(like, background)
        imagecodecs.jpegxl_decode(data, index=index, numthreads=threads, out=samples)
        if (samples != background).any():
            return samples
    return None


def _parts(data: bytes, most: int | None = None) -> tuple[bytes, dict[bytes, bytes]]:
    """Return the codestream of a file, or at least its first ``most`` bytes, and the contents of the other boxes."""
    if not data.startswith(_SIGNATURE[:4]):
        return data[:most], {}
    boxes: dict[bytes, bytes] = {}
    codestream = b""
    for kind, first, last in boxes_in(io.BytesIO(data), 0, len(data)):
        content = data[first : last if kind[:3] != b"jxl" or most is None else min(last, first + most + 4)]
        if kind == b"jxlc":
            codestream = content
        elif kind == b"jxlp":
            codestream += content[4:]
        elif kind == b"brob":
            boxes.setdefault(b"brob " + content[:4], content[4:])
        else:
            boxes.setdefault(kind, content)
    return codestream, boxes


def _decompress(boxes: dict[bytes, bytes]) -> list[Loss]:
    """Decompress EXIF and XMP boxes that are compressed with Brotli; return the losses of damaged ones."""
    import imagecodecs

    lost = []
    for kind in (b"Exif", b"xml "):
        packed = boxes.get(b"brob " + kind)
        if packed is None or kind in boxes:
            continue
        try:
            boxes[kind] = bytes(imagecodecs.brotli_decode(packed, out=_MOST_BOX_BYTES))
        except imagecodecs.BrotliError:
            name = kind.decode().strip()
            lost.append(Loss(f"{name} of the JPEG XL is damaged or too large, and left out"))
    return lost


def _losses(header: Header, options: ReadOptions) -> list[Loss]:
    """Return the losses of channels and of further frames, which are not read."""
    lost = []
    others = len(header.extra) - (_ALPHA in header.extra)
    if others:
        lost.append(Loss(f"the JPEG XL has {others} channels besides colours and transparency; they are left out"))
    if header.animated and options.frame is None:
        lost.append(
            Loss(
                "the JPEG XL is an animation, whose times cannot be read",
                severe=True,
                remedy="choose a frame with {frame=N}, or keep the first with {allow_loss=True}",
            )
        )
    return lost


def _metadata(
    header: Header, boxes: dict[bytes, bytes], data: bytes, options: ReadOptions
) -> tuple[Metadata, list[Loss]]:
    """Return EXIF and XMP from boxes and the colours from the header; and the losses of colour."""
    metadata, losses = Metadata(lossless=header.lossless), []
    if len(block := boxes.get(b"Exif", b"")) > 4:
        metadata.exif = exif.without_orientation(block[4 + int.from_bytes(block[:4], "big") :])
    if packet := boxes.get(b"xml "):
        metadata.xmp = xmp_clean.with_orientation_reset(packet)
    if header.colours and header.colours != _SRGB:
        metadata.png.append(cicp_chunk(*header.colours))
    if header.gamma:
        metadata.png += gamma_chunks(header.gamma, (*header.chromaticities[2:], *header.chromaticities[:2]))
    if header.colours is None and not header.gamma:
        if header.profile and not header.lossless:
            # libjxl cannot convert from its own colour space (XYB) to a profile, and decodes to linear light of sRGB.
            metadata.png.append(cicp_chunk(BT709_PRIMARIES, LINEAR))
            losses.append(_LOSSY_PROFILE if not header.floats else _LOSSY_PROFILE._replace(severe=False))
        else:
            metadata.icc, lost = _profile_of(data, options)
            losses += lost
    return metadata, losses


def _profile_of(data: bytes, options: ReadOptions) -> tuple[bytes | None, list[Loss]]:
    """Return the ICC profile of a lossless file, read by pillow-jxl-plugin, or the loss of the profile."""
    try:
        from pillow_jxl import Decoder

        return bytes(Decoder(num_threads=options.threads or available_cores())(data)[3]), []
    except (ImportError, RuntimeError) as error:
        return None, [_NO_PLUGIN if isinstance(error, ImportError) else _NO_PROFILE]


def write_jxl(file: BinaryIO, picture: Picture, options: WriteOptions) -> None:
    """Write a JPEG XL; a ``Writer``.

    Lossless for quality 100, and, unless a quality is given, for losslessly compressed input and samples of more than
    8 bits.

    Raises
    ------
    WriteError
        JPEG XL has no number for the code points of colour, or the quality is below 100 and their transfer function
        is not a simple curve.
    """
    pixels, metadata = picture.pixels, picture.metadata
    colours = _colours_of(metadata)
    is_plain = pixels.dtype == np.uint8 and colours.points == _SRGB
    is_lossy = pixels.dtype == np.uint8 and not metadata.lossless and colours.has_linear_srgb
    quality = options.quality or (DEFAULT_QUALITY if is_lossy else LOSSLESS_QUALITY)
    becomes_linear = quality < LOSSLESS_QUALITY and not is_plain
    codestream = _encoded(_linear_srgb(picture, colours) if becomes_linear else pixels, picture.white, quality, options)
    level: list[bytes] = []
    if codestream.startswith(_SIGNATURE[:4]):
        codestream, others = _parts(codestream)
        level = [box(b"jxll", others[b"jxll"])] if b"jxll" in others else []
    head, start = b"", 0
    if quality == LOSSLESS_QUALITY or becomes_linear:
        is_integer = becomes_linear and pixels.dtype.kind == "u"
        depth = (picture.white or int(np.iinfo(pixels.dtype).max)).bit_length() if is_integer else None
        if colours.points:
            changed = with_colours(codestream, colours.points, depth)
        else:
            changed = with_primaries(codestream, colours.primaries or (), colours.exponent, depth)
        if changed is None and not is_plain:
            raise WriteError(f"JPEG XL cannot express the code points {colours.points}; use png or avif")
        head, start = changed or (head, start)
    block = exif.with_size(metadata.exif, pixels.shape[1], pixels.shape[0])
    boxes = level
    boxes += [box(b"Exif", bytes(4), block)] if block else []
    boxes += [box(b"xml ", metadata.xmp)] if metadata.xmp else []
    if boxes:
        file.write(b"".join([_SIGNATURE, _TYPE, *boxes, _codestream_head(len(head) + len(codestream) - start)]))
    file.write(head)
    file.write(memoryview(codestream)[start:])


def _codestream_head(size: int) -> bytes:
    """Return the header of a jxlc box; the caller writes its content, which may be large, without a copy."""
    if size + 8 < 1 << 32:  # libjxl 0.7 considers a box with a length of 64 bits truncated
        return struct.pack(">I4s", size + 8, b"jxlc")
    return struct.pack(">I4sQ", 1, b"jxlc", size + 16)


class _Colours(NamedTuple):
    """The colour space of samples.

    Attributes
    ----------
    points : (int, int), or None
        Code points of ITU-T H.273 for primaries and transfer function.
    primaries : four pairs of floats, or None
        (x, y) of red, green, blue and white; None if ``points`` names unknown primaries.
    exponent : float
        Without ``points``: exponent that encodes linear light.
    """

    points: tuple[int, int] | None
    primaries: Chromaticities | None
    exponent: float = 0.0

    @property
    def has_linear_srgb(self) -> bool:
        """Whether a simple curve and a matrix convert to linear light of sRGB's primaries, with the same white."""
        is_simple = self.points is None or transfer_curve(self.points[1]) is not None
        white = self.primaries[3] if self.primaries else (0.0, 0.0)
        return is_simple and np.allclose(white, PRIMARIES[BT709_PRIMARIES][3], atol=_WHITE_TOLERANCE)


def _colours_of(metadata: Metadata) -> _Colours:
    chunks = dict(metadata.png)
    if points := metadata.code_points:
        return _Colours(points, PRIMARIES.get(points[0]))
    if b"sRGB" in chunks or says_srgb(chunks):
        return _Colours(_SRGB, PRIMARIES[BT709_PRIMARIES])
    return _Colours(
        None, chromaticities_of(chunks) or PRIMARIES[BT709_PRIMARIES], exponent_of(chunks) or _SRGB_EXPONENT
    )


def _linear_srgb(picture: Picture, colours: _Colours) -> Pixels:
    """Return the pixels in linear light of sRGB's primaries; colours outside its gamut are below 0 or above 1.

    For lossy compression libjxl expects floats in this colour space, and converts them to its own (XYB).
    """
    try:
        light = linearized(picture.pixels, curve_of(picture), picture.alpha, picture.white)
    except ReadError as error:
        raise WriteError(f"a lossy JPEG XL is made of linear light; {error.problem}", remedy=_NO_QUALITY) from None
    if colours.points != _SRGB and picture.model == "rgb":
        if not colours.has_linear_srgb or colours.primaries is None:
            raise WriteError("a lossy JPEG XL has D65 as white, the picture has another white", remedy=_NO_QUALITY)
        matrix = np.linalg.inv(to_xyz(PRIMARIES[BT709_PRIMARIES])) @ to_xyz(colours.primaries)
        light[..., :3] = light[..., :3] @ matrix.T.astype(np.float32)
    return light


def _encoded(pixels: Pixels, white: int | None, quality: int, options: WriteOptions) -> bytes:
    """Encode the pixels to a file, which may be a bare codestream."""
    import imagecodecs

    assert channels_of(pixels) <= 4
    bits = white.bit_length() if white and pixels.dtype.kind == "u" else None
    # The same distance as libjxl's JxlEncoderDistanceFromQuality.
    distance = 0.1 + (100 - quality) * 0.09 if quality >= 30 else 53 / 3000 * quality**2 - 23 / 20 * quality + 25
    lossless = quality == LOSSLESS_QUALITY
    try:
        return bytes(
            imagecodecs.jpegxl_encode(
                np.ascontiguousarray(pixels), lossless=lossless, distance=None if lossless else distance,
                effort=_EFFORTS[options.effort], bitspersample=bits,
                numthreads=options.threads or available_cores(),
            )
        )  # fmt: skip
    except (ValueError, RuntimeError) as error:
        raise WriteError(f"the picture cannot be written as JPEG XL: {error}") from error
