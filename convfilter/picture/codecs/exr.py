"""OpenEXR through the Academy's own library: channels R, G, B or Y, and A, of 16-bit or 32-bit floats.

Samples are linear light, premultiplied. OpenEXR, Technical Introduction, 2023 ("Colors", "Alpha"), and Standard
Attributes.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from contextlib import suppress
from fractions import Fraction
from typing import Any, BinaryIO

import numpy as np

from convfilter.errors import ReadError
from convfilter.machine.cores import available_cores
from convfilter.picture import limits
from convfilter.picture.codecs import library_output
from convfilter.picture.codecs.scene_linear import scene_linear
from convfilter.picture.colour_chunks import LINEAR, Chunk, chromaticities_of, cicp_chunk, gamma_chunks
from convfilter.picture.frame import Frame
from convfilter.picture.loss import Loss
from convfilter.picture.metadata.cicp import BT709_PRIMARIES, PRIMARIES
from convfilter.picture.metadata.metadata import Metadata
from convfilter.picture.options import ReadOptions, WriteOptions, frame_number
from convfilter.picture.picture import Picture
from convfilter.picture.pixels import Pixels
from convfilter.record import NamedTuple
from convfilter.sample_types import overflowed

#: Attributes that the writer derives from the pixels, and OpenImageIO's, which are false for a filtered picture.
_DERIVED = (
    *("channels", "compression", "dataWindow", "displayWindow", "type", "tiles", "chunkCount", "version"),
    *("preview", "maxSamplesPerPixel", "chromaticities"),
    *("oiio:SHA-1", "oiio:AverageColor", "oiio:ConstantColor"),
)
#: Attributes of every OpenEXR, whose usual values carry no information.
_USUAL = ("pixelAspectRatio", "screenWindowCenter", "screenWindowWidth", "lineOrder", "name")
#: Lossless compressions, and the one that is lossless for half floats only.
_LOSSLESS = ("NO", "RLE", "ZIPS", "ZIP", "PIZ", "ZSTD", "HTJ2K32", "HTJ2K256")
_LOSSLESS_OF_HALF = "PXR24"
#: Chromaticities that differ by less are equal.
_TOLERANCE = 1e-3
#: Pixel aspect ratios below this one, or above its inverse, are damage.
_LEAST_ASPECT = 1e-3
#: Texts in the lines that the library prints about damage before it goes on.
_MESSAGES = (b"<python_buffer>", b"Exception raised reading")
#: Channel names in the order of a picture's channels.
_COLOURS = (("R", "G", "B"), ("Y",))


Corner = tuple[int, int]
Window = tuple[Corner, Corner]


class ExrHeader(NamedTuple):
    """Properties of an OpenEXR part that was read, which an output copies.

    Attributes
    ----------
    attributes : dict of str to object
        Attributes that are also true for the filtered picture, with the library's values.
    is_half : bool
        Whether all samples were 16-bit floats.
    data_window, display_window : ((int, int), (int, int))
        ((left, top), (right, bottom)) of the stored and of the shown pixels, all inclusive.
    compression : str
        Name in the library, without ``_COMPRESSION``.
    tile : (int, int), or None
        Width and height of the tiles.
    prefix : str
        Name of the layer with its dot; "" for none.
    names : tuple of str
        Names of the channels, without the prefix, in the order of a picture's channels.
    chromaticities : tuple of 8 floats, or None
        x and y of red, green, blue and white; None: those of BT.709.
    """

    attributes: dict[str, Any]
    is_half: bool
    data_window: Window
    display_window: Window
    compression: str
    tile: tuple[int, int] | None
    prefix: str
    names: tuple[str, ...]
    chromaticities: tuple[float, ...] | None

    @property
    def has_attributes(self) -> bool:
        """Whether there are attributes beyond those of every OpenEXR."""
        return any(name not in _USUAL for name in self.attributes)

    @property
    def has_windows(self) -> bool:
        """Whether the data window differs from the display window, or does not begin at (0, 0)."""
        return self.data_window != self.display_window or self.data_window[0] != (0, 0)

    def fits(self, width: int, height: int) -> bool:
        """Whether a result of this size has the size of the data window."""
        (left, top), (right, bottom) = self.data_window
        return (right - left + 1, bottom - top + 1) == (width, height)

    @property
    def lossless_compression(self) -> str:
        """The compression of an output: that of the input if it is lossless, else ZIP."""
        lossless = (*_LOSSLESS, *([_LOSSLESS_OF_HALF] if self.is_half else []))
        return self.compression if self.compression in lossless else "ZIP"


def read_exr(file: BinaryIO, options: ReadOptions) -> Picture:
    """Read one part of an OpenEXR, the first or the one that ``options.frame`` names; a ``Reader``.

    Samples are float32 in linear light, premultiplied; 1 is diffuse white.
    """
    with library_output.captured(*_MESSAGES):  # _decoded raises an error for damaged parts
        return _read(file, options)


def _read(file: BinaryIO, options: ReadOptions) -> Picture:
    import OpenEXR

    with OpenEXR.File(file, header_only=True) as header:
        heads = [dict(part.header) for part in header.parts]  # copied: headers do not outlive the file
    if not heads:
        raise ReadError("the OpenEXR is damaged: it has no part")
    number = frame_number(options.frame or 0, len(heads))
    needed = 0
    for head in heads:
        height, width = _size(head)
        limits.require_size(width, height, options)
        needed += 4 * height * width * len(head["channels"])
    limits.require_memory(2 * needed)
    head = heads[number]
    prefix, names = _channels_of(head)
    losses = list(_losses(heads, number, prefix, names, options))
    file.seek(0)
    planes, pixels = _decoded(file, heads, number, prefix, names, options.threads or available_cores())
    if any(plane.dtype == np.uint32 for plane in planes):
        losses.append(Loss("the OpenEXR has samples of 32-bit integers; they are read and written as 32-bit floats"))
    alpha = names[-1] == "A" and len(names) > 1
    return Picture(
        [Frame(pixels[..., 0] if len(names) == 1 else pixels)], "rgb" if len(names) > 2 else "gray", alpha, "EXR",
        _metadata(head, planes, prefix, names), losses=tuple(losses), premultiplied=alpha,
    )  # fmt: skip


def _decoded(
    file: BinaryIO, heads: list[dict[str, Any]], number: int, prefix: str, names: tuple[str, ...], threads: int
) -> tuple[list[Pixels], Pixels]:
    """Return the channels of a part, each as the library decodes it, and as one (H, W, C) array of float32."""
    together = "".join(names)
    planes: list[Pixels] = []
    if not prefix and together in ("RGB", "RGBA") and len(names) == len(heads[number]["channels"]):
        with suppress(ValueError):  # channels of different types
            planes = _planes(file, len(heads), number, [together], threads, separate=False)
    if planes:
        # float32 samples that own their memory need no copy.
        pixels = planes[0] if planes[0].dtype == np.float32 and planes[0].flags.owndata else planes[0].astype("f4")
    else:
        file.seek(0)
        planes = _planes(file, len(heads), number, [prefix + name for name in names], threads, separate=True)
        pixels = np.stack(planes, axis=2, dtype=np.float32, casting="same_kind")
    if pixels.shape[:2] != _size(heads[number]):
        raise ReadError("the OpenEXR is truncated or damaged")
    return planes, pixels


def _planes(file: BinaryIO, parts: int, number: int, names: list[str], threads: int, separate: bool) -> list[Pixels]:
    """Decode a part; return its channels of these names, which are RGB or RGBA unless channels are ``separate``."""
    import OpenEXR

    with OpenEXR.File(file, separate_channels=separate, num_threads=threads) as decoded:
        if len(decoded.parts) != parts:  # the library drops parts whose pixels cannot be decoded
            raise ReadError("the OpenEXR is truncated or damaged")
        return [decoded.parts[number].channels[name].pixels for name in names]


def _size(head: dict[str, Any]) -> tuple[int, int]:
    """Return height and width of the data window."""
    (left, top), (right, bottom) = head["dataWindow"]
    return int(bottom) - int(top) + 1, int(right) - int(left) + 1


def _channels_of(head: dict[str, Any]) -> tuple[str, tuple[str, ...]]:
    """Choose the channels of the picture: the prefix of their layer, and their names without it, in order.

    Of several layers, the one with the fewest dots in its name is chosen, then the first in alphabetical order.

    Raises
    ------
    ReadError
        The part has no channels R, G, B or Y, or they have a reduced resolution.
    """
    stored = [channel.name for channel in head["channels"]]
    if "deep" in str(head["type"]):
        raise ReadError("a deep OpenEXR has several samples per pixel and cannot be filtered; flatten it first")
    if {"RY", "BY"} & set(stored):
        raise ReadError("an OpenEXR of luminance and chroma cannot be filtered; convert it to RGB first")
    if any((channel.xSampling, channel.ySampling) != (1, 1) for channel in head["channels"]):
        raise ReadError(
            "an OpenEXR whose channels have a reduced resolution cannot be filtered; store all at full resolution first"
        )
    prefixes = dict.fromkeys(
        name[: name.rfind(".") + 1] for name in sorted(stored, key=lambda name: (name.count("."), name))
    )
    for prefix in prefixes:
        for colours in _COLOURS:
            if all(prefix + name in stored for name in colours):
                return prefix, (*colours, *(("A",) if prefix + "A" in stored else ()))
    if len(stored) == 1:
        return "", (stored[0],)
    raise ReadError(f"the OpenEXR has no channels R, G, B or Y, but {', '.join(stored)}; take one of them out first")


def _losses(
    heads: list[dict[str, Any]], number: int, prefix: str, names: tuple[str, ...], options: ReadOptions
) -> Iterator[Loss]:
    """Yield the losses of channels, parts, previews and levels, which are not read."""
    head = heads[number]
    others = [channel.name for channel in head["channels"] if channel.name not in {prefix + each for each in names}]
    if others:
        yield Loss(
            f"the OpenEXR has more channels ({', '.join(others)}), which are not filtered",
            severe=True,
            remedy="take them out into files of their own, or leave them out with {allow_loss=True}",
        )
    if len(heads) > 1 and options.frame is None:
        yield Loss(
            f"the OpenEXR has {len(heads)} parts",
            severe=True,
            remedy="choose one with {frame=N}, or keep the first with {allow_loss=True}",
        )
    if "preview" in head:
        yield Loss("the preview of the OpenEXR is left out, since it would show it unfiltered")
    if "tiles" in head and not _has_one_level(head["tiles"]):
        yield Loss("the reduced versions of the OpenEXR (levels) are left out, since they would show it unfiltered")


def _has_one_level(tiles: Any) -> bool:
    return str(tiles.mode).endswith("ONE_LEVEL")


def _metadata(head: dict[str, Any], planes: list[Pixels], prefix: str, names: tuple[str, ...]) -> Metadata:
    """Return the attributes, and the colours as code points, or as chromaticities with a gamma of 1."""
    # The library cannot write an empty list: it derives the type of a list from its elements.
    attributes = {
        name: value
        for name, value in head.items()
        if name not in _DERIVED and not (isinstance(value, list) and not value)
    }
    points = head.get("chromaticities")
    chromaticities = tuple(map(float, points)) if points else None
    header = ExrHeader(
        attributes,
        is_half=all(plane.dtype == np.float16 for plane in planes),
        data_window=_window(head["dataWindow"]),
        display_window=_window(head["displayWindow"]),
        compression=str(head["compression"]).rpartition(".")[2].partition(":")[0].removesuffix("_COMPRESSION"),
        tile=(int(head["tiles"].xSize), int(head["tiles"].ySize)) if "tiles" in head else None,
        prefix=prefix,
        names=names,
        chromaticities=chromaticities,
    )
    aspect = _aspect(attributes.get("pixelAspectRatio", 1.0))
    return Metadata(png=[*_colours(chromaticities), *aspect], exr=header)


def _window(corners: Any) -> Window:
    (left, top), (right, bottom) = corners
    return (int(left), int(top)), (int(right), int(bottom))


def _colours(chromaticities: Sequence[float] | None) -> list[Chunk]:
    """Return the PNG chunks for linear light of the given primaries; None means those of BT.709."""
    if chromaticities is None:
        return [cicp_chunk(BT709_PRIMARIES, LINEAR)]
    for number, (red, green, blue, white) in PRIMARIES.items():
        if np.allclose(chromaticities, [*red, *green, *blue, *white], atol=_TOLERANCE):
            return [cicp_chunk(number, LINEAR)]
    return gamma_chunks(1.0, chromaticities)


def _aspect(ratio: float) -> list[Chunk]:
    """Return a PNG's pHYs chunk for the ratio of a pixel's width to its height; no chunk for square pixels."""
    if ratio == 1 or not _LEAST_ASPECT <= ratio <= 1 / _LEAST_ASPECT:
        return []
    fraction = Fraction(ratio).limit_denominator(10_000)
    return [(b"pHYs", struct.pack(">IIB", fraction.denominator, fraction.numerator, 0))]


def write_exr(file: BinaryIO, picture: Picture, options: WriteOptions) -> None:
    """Write an OpenEXR; a ``Writer``.

    Samples become premultiplied linear light, as the format defines: 16-bit floats if the picture was read as such and
    no sample overflows them, else 32-bit floats.

    Raises
    ------
    WriteError
        The picture's tone curve is unknown.
    """
    import OpenEXR

    pixels = scene_linear(picture, picture.pixels)
    source = picture.metadata.exr
    height, width = pixels.shape[:2]
    data_window: Window = (0, 0), (width - 1, height - 1)
    display_window = data_window
    if source and source.fits(width, height):
        data_window, display_window = source.data_window, source.display_window
    compression = source.lossless_compression if source else "ZIP"
    header = {
        **(source.attributes if source else {}),
        "compression": getattr(OpenEXR, f"{compression}_COMPRESSION"),
        "type": OpenEXR.scanlineimage,
        "dataWindow": tuple(np.array(corner, np.int32) for corner in data_window),
        "displayWindow": tuple(np.array(corner, np.int32) for corner in display_window),
        **_chromaticities(picture.metadata),
        **_aspect_attribute(picture.metadata),
    }
    if source and source.tile:
        header |= {"type": OpenEXR.tiledimage, "tiles": _tiles(*source.tile)}
    planes: Pixels = np.ascontiguousarray(pixels, np.float32).reshape(height, width, -1)
    if source and source.is_half:
        with np.errstate(over="ignore"):
            half = planes.astype(np.float16)
        planes = planes if overflowed(planes, half) else half
    with OpenEXR.File(header, _channels(planes, source), num_threads=options.threads or available_cores()) as out:
        out.write(file)


def _tiles(width: int, height: int) -> Any:
    import OpenEXR

    tiles = OpenEXR.TileDescription()
    tiles.xSize, tiles.ySize, tiles.mode = width, height, OpenEXR.ONE_LEVEL
    return tiles


def _channels(planes: Pixels, source: ExrHeader | None) -> dict[str, Pixels]:
    """Return the channels by name; the names are those of the input if it had as many channels."""
    letters = {1: "Y", 2: "YA", 3: "RGB", 4: "RGBA"}[planes.shape[2]]
    prefix, names = "", tuple(letters)
    if source and len(source.names) == planes.shape[2]:
        prefix, names = source.prefix, source.names
    if not prefix and len(names) > 2:  # the library writes RGB and RGBA arrays without copying each channel
        return {letters: planes}
    return {prefix + name: np.ascontiguousarray(planes[..., at]) for at, name in enumerate(names)}


def _aspect_attribute(metadata: Metadata) -> dict[str, float]:
    """Return the aspect ratio of pixels as an attribute, if it differs from that of the input."""
    across, down, unit = struct.unpack(">IIB", dict(metadata.png).get(b"pHYs", bytes(9)))
    before = metadata.exr.attributes.get("pixelAspectRatio", 1.0) if metadata.exr else 1.0
    if unit or not (across and down) or _aspect(before) == [(b"pHYs", dict(metadata.png)[b"pHYs"])]:
        return {}
    return {"pixelAspectRatio": down / across}


def _chromaticities(metadata: Metadata) -> dict[str, tuple[float, ...]]:
    """Return the chromaticities as an attribute: those of the input if the PNG chunks agree; none for BT.709."""
    before, chunks = metadata.exr and metadata.exr.chromaticities, dict(metadata.png)
    if before and all(chunks.get(kind) == data for kind, data in _colours(before)):
        return {"chromaticities": before}
    points = PRIMARIES.get(metadata.code_points[0]) if metadata.code_points else chromaticities_of(chunks)
    if points is None or points == PRIMARIES[BT709_PRIMARIES]:
        return {}
    red, green, blue, white = points
    return {"chromaticities": (*red, *green, *blue, *white)}
