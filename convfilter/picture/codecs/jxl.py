"""JPEG XL through imagecodecs (libjxl): 8 to 16 bits and floats, with alpha, EXIF and XMP.

imagecodecs gives no ICC profiles and no times of animations; pillow-jxl-plugin gives the profiles. ISO/IEC 18181-2
(file format).
"""

from __future__ import annotations

import io
import struct
from typing import BinaryIO, NamedTuple

import numpy as np

from convfilter.errors import ReadError, WriteError
from convfilter.machine.cores import available_cores
from convfilter.picture import colour, limits
from convfilter.picture.codecs.jxl_header import Header, parsed, with_colours, with_primaries
from convfilter.picture.metadata import exif, xmp_clean
from convfilter.picture.metadata.cicp import PRIMARIES, transfer_curve
from convfilter.picture.metadata.curves import linearized
from convfilter.picture.metadata.icc_write import Primaries, to_xyz
from convfilter.picture.metadata.transfer import curve_of
from convfilter.picture.options import DEFAULT_QUALITY, ReadOptions, WriteOptions
from convfilter.picture.picture import Frame, Loss, Metadata, Picture, chosen
from convfilter.picture.pillow.boxes import box
from convfilter.picture.pillow.boxes import boxes as boxes_in
from convfilter.picture.pixels import Pixels, channels_of
from convfilter.picture.png.layout import has_primaries, says_srgb

_SIGNATURE = box(b"JXL ", b"\r\n\x87\n")
_TYPE = box(b"ftyp", b"jxl \0\0\0\0jxl ")
_ALPHA = 0
_SRGB = (1, 13)
_LOSSLESS = 100
_NO_QUALITY = "leave out {quality}"
_HEADER_BYTES = 4096
#: EXIF and XMP that decompress to more are left out.
_MOST_BOX_BYTES = 1 << 24
_LINEAR_SRGB = bytes([1, 8, 0, 1])
#: Losses of colour.
_DJXL = "convert it with djxl IN OUT.png first, or accept it with {allow_loss=True}"
_NO_PROFILE = Loss(
    "the colour profile of the JPEG XL cannot be read, and its colours would be shown wrong", severe=True, remedy=_DJXL
)
_NO_PLUGIN = _NO_PROFILE._replace(remedy=f"install what reads it with pip install 'convfilter[jxl]', {_DJXL}")
_LOSSY_PROFILE = Loss(
    "the JPEG XL has an ICC profile and is compressed with loss: its colours are read in linear light of sRGB, "
    "within its gamut",
    severe=True,
    remedy=_DJXL,
)
_EFFORTS = {"fast": 1, "default": 3, "best": 7}


def read_jxl(file: BinaryIO, options: ReadOptions) -> Picture:
    """Read a JPEG XL; a ``Reader``.

    libjxl applies the orientation of the header; the same orientation in EXIF and XMP is reset.
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
        raise ReadError(f"JPEG XL samples must have up to 16 bits, got {header.bits}")
    samples = np.asarray(imagecodecs.jpegxl_decode(data, numthreads=options.threads or available_cores()))
    if header.animated:
        frames = samples if samples.ndim == 3 + (channels > 1) else samples[np.newaxis]
        samples = chosen(list(frames), options.frame or 0)
    elif options.frame is not None:
        chosen([0], options.frame)
    if samples.shape != ((header.height, header.width, channels) if channels > 1 else (header.height, header.width)):
        raise ReadError(f"a JPEG XL of the shape {samples.shape} cannot be filtered")
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


def _parts(data: bytes, most: int | None = None) -> tuple[bytes, dict[bytes, bytes]]:
    """Split a file into its codestream (the first ``most`` bytes are enough for the header) and its other boxes."""
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
    """Add EXIF and XMP that are compressed (Brotli) to the boxes, or return that they are left out."""
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
    """Return the parts of the picture that are not read."""
    lost = []
    others = len(header.extra) - (_ALPHA in header.extra)
    if others:
        lost.append(Loss(f"the JPEG XL has {others} channels beside colours and transparency; they are left out"))
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
    """Return EXIF and XMP from boxes, and the colours from the header, and their losses."""
    metadata, losses = Metadata(lossless=header.lossless), []
    if len(block := boxes.get(b"Exif", b"")) > 4:
        metadata.exif = exif.without_orientation(block[4 + int.from_bytes(block[:4], "big") :])
    if packet := boxes.get(b"xml "):
        metadata.xmp = xmp_clean.with_orientation_reset(packet)
    if header.colours and header.colours != _SRGB:
        metadata.png.append((b"cICP", bytes([*header.colours, 0, 1])))
    if header.gamma:
        fixed = [min(max(round(100_000 * value), 0), 2**31 - 1) for value in (header.gamma, *header.chromaticities)]
        metadata.png += [(b"gAMA", struct.pack(">I", fixed[0])), (b"cHRM", struct.pack(">8I", *fixed[1:]))]
    if header.colours is None and not header.gamma:
        if header.profile and not header.lossless:
            # libjxl converts from its own colour space to one that it knows.
            metadata.png.append((b"cICP", _LINEAR_SRGB))
            losses.append(_LOSSY_PROFILE if not header.floats else _LOSSY_PROFILE._replace(severe=False))
        else:
            metadata.icc, lost = _profile_of(data, options)
            losses += lost
    return metadata, losses


def _profile_of(data: bytes, options: ReadOptions) -> tuple[bytes | None, list[Loss]]:
    """Return the ICC profile of samples that are stored as they were, by pillow-jxl-plugin."""
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
    pixels = next(frame.pixels for frame in picture.frames if not frame.fallback)
    metadata = picture.metadata
    colours = _colours_of(metadata)
    is_plain = pixels.dtype == np.uint8 and colours.points == _SRGB
    is_lossy = pixels.dtype == np.uint8 and not metadata.lossless and colours.has_light
    quality = options.quality or (DEFAULT_QUALITY if is_lossy else _LOSSLESS)
    in_light = quality < _LOSSLESS and not is_plain
    stored = _light(picture, pixels, colours) if in_light else pixels
    codestream = _encoded(stored, picture.white, quality, options)
    kept: dict[bytes, bytes] = {}
    if codestream.startswith(_SIGNATURE[:4]):
        codestream, kept = _parts(codestream)
    head, start = b"", 0
    if quality == _LOSSLESS or in_light:
        whole = in_light and pixels.dtype.kind == "u"
        depth = ((picture.white or int(np.iinfo(pixels.dtype).max)).bit_length()) if whole else None
        if colours.points:
            changed = with_colours(codestream, colours.points, depth)
        else:
            changed = with_primaries(codestream, colours.primaries or (), colours.gamma, depth)
        if changed is None and not is_plain:
            raise WriteError(f"JPEG XL has no number for the code points {colours.points}; use png or avif")
        head, start = changed or (head, start)
    block = exif.with_size(metadata.exif, pixels.shape[1], pixels.shape[0])
    boxes = [box(b"jxll", kept[b"jxll"])] if b"jxll" in kept else []
    boxes += [box(b"Exif", bytes(4), block)] if block else []
    boxes += [box(b"xml ", metadata.xmp)] if metadata.xmp else []
    size = len(head) + len(codestream) - start
    if boxes:
        # The content of the last box, which may be large, is written without a copy.
        # libjxl 0.7 takes a box with a length of 64 bits for truncated.
        is_short = size + 8 < 1 << 32
        start_of_box = (
            struct.pack(">I4s", size + 8, b"jxlc") if is_short else struct.pack(">I4sQ", 1, b"jxlc", size + 16)
        )
        file.write(b"".join([_SIGNATURE, _TYPE, *boxes, start_of_box]))
    file.write(head)
    file.write(memoryview(codestream)[start:])


class _Colours(NamedTuple):
    """What samples mean: by code points, or by primaries (red, green, blue, white) and the exponent of encoding."""

    points: tuple[int, int] | None
    primaries: Primaries | None
    gamma: float = 0.0

    @property
    def has_light(self) -> bool:
        """Whether they become linear light of sRGB's primaries by a simple curve and a matrix of the same white."""
        is_simple = self.points is None or transfer_curve(self.points[1]) is not None
        white = self.primaries[3] if self.primaries else (0.0, 0.0)
        return is_simple and np.allclose(white, PRIMARIES[_SRGB[0]][3], atol=1e-3)


def _colours_of(metadata: Metadata) -> _Colours:
    chunks = dict(metadata.png)
    if b"cICP" in chunks:
        points = chunks[b"cICP"][0], chunks[b"cICP"][1]
        return _Colours(points, PRIMARIES.get(points[0]))
    if b"sRGB" in chunks or says_srgb(chunks):
        return _Colours(_SRGB, PRIMARIES[_SRGB[0]])
    gamma = int.from_bytes(chunks.get(b"gAMA", b""), "big")
    exponent = gamma / 100_000 if gamma else 0.45455
    if not has_primaries(chunks):
        return _Colours(None, PRIMARIES[_SRGB[0]], exponent)
    x, y, *corners = (value / 100_000 for value in struct.unpack(">8I", chunks[b"cHRM"]))
    red, green, blue = ((corners[at], corners[at + 1]) for at in (0, 2, 4))
    return _Colours(None, (red, green, blue, (x, y)), exponent)


def _light(picture: Picture, pixels: Pixels, colours: _Colours) -> Pixels:
    """Return colours in linear light of sRGB's primaries, beyond 0 to 1 where they lie outside.

    As such libjxl takes floats, which in its lossy way it stores in a space of its own.
    """
    try:
        light = linearized(pixels, curve_of(picture), picture.alpha, picture.white)
    except ReadError as error:
        raise WriteError(f"a JPEG XL with loss is made of linear light; {error.problem}", remedy=_NO_QUALITY) from None
    if colours.points != _SRGB and picture.model == "rgb":
        if not colours.has_light or colours.primaries is None:
            raise WriteError("a JPEG XL with loss has D65 as white, the picture does not", remedy=_NO_QUALITY)
        into = np.linalg.inv(to_xyz(PRIMARIES[_SRGB[0]])) @ to_xyz(colours.primaries)
        light[..., :3] = light[..., :3] @ into.T.astype(np.float32)
    return light


def _encoded(pixels: Pixels, white: int | None, quality: int, options: WriteOptions) -> bytes:
    import imagecodecs

    assert channels_of(pixels) <= 4
    bits = white.bit_length() if white and pixels.dtype.kind == "u" else None
    # libjxl's own map from quality to distance.
    distance = 0.1 + (100 - quality) * 0.09 if quality >= 30 else 53 / 3000 * quality**2 - 23 / 20 * quality + 25
    lossless = quality == _LOSSLESS
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
