"""OpenEXR through the Academy's own library: half and float, R G B or Y with A, scene-linear and premultiplied.

OpenEXR, Technical Introduction, 2023 ("Colors", "Alpha"); attributes as in its Standard Attributes.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Any, BinaryIO

import numpy as np

from convfilter.errors import ReadError
from convfilter.machine.cores import available_cores
from convfilter.picture import limits
from convfilter.picture.codecs import quiet
from convfilter.picture.codecs.scene_linear import scene_linear
from convfilter.picture.metadata.cicp import PRIMARIES
from convfilter.picture.options import ReadOptions, WriteOptions
from convfilter.picture.picture import Frame, Loss, Metadata, Picture, chosen
from convfilter.picture.pixels import Pixels
from convfilter.sample_types import overflowed

_LINEAR, _BT709 = 8, 1
#: Attributes that the writer derives from the pixels, and those of OpenImageIO that are false for a filtered picture.
_OWN = (
    *("channels", "compression", "dataWindow", "displayWindow", "type", "tiles", "chunkCount", "version"),
    *("preview", "maxSamplesPerPixel", "chromaticities"),
    *("oiio:SHA-1", "oiio:AverageColor", "oiio:ConstantColor"),
)
#: Attributes of every OpenEXR, whose usual values carry no information.
_USUAL = ("pixelAspectRatio", "screenWindowCenter", "screenWindowWidth", "lineOrder", "name")
#: Lossless compressions, and the one that is lossless for half floats only.
LOSSLESS = ("NO", "RLE", "ZIPS", "ZIP", "PIZ", "ZSTD", "HTJ2K32", "HTJ2K256")
_LOSSLESS_OF_HALF = "PXR24"
_TOLERANCE = 1e-3
#: Aspect ratios below it, or above its inverse, count as damage.
_LEAST_ASPECT = 1e-3
#: Prefixes of lines that the library prints about damage, then continues.
_OF_LIBRARY = (b"<python_buffer>", b"Exception raised reading")
#: Channel names in the order of a picture's channels.
_COLOURS = (("R", "G", "B"), ("Y",))


def read_exr(file: BinaryIO, options: ReadOptions) -> Picture:
    """Read one part of an OpenEXR, the first or the one that ``options.frame`` names; a ``Reader``.

    Samples are float32 in linear light, premultiplied; 1 is diffuse white.
    """
    with quiet.heard(*_OF_LIBRARY):  # damaged parts are missing from the result, which is an error
        return _read(file, options)


def _read(file: BinaryIO, options: ReadOptions) -> Picture:
    import OpenEXR

    with OpenEXR.File(file, header_only=True) as header:
        heads = [dict(part.header) for part in header.parts]  # copied: headers do not outlive the file
    if not heads:
        raise ReadError("the OpenEXR is damaged: it has no part")
    number = chosen([*range(len(heads))], options.frame or 0)
    needed = 0
    for head in heads:
        height, width = _size(head)
        limits.require_size(width, height, options)
        needed += 4 * height * width * len(head["channels"])
    limits.require_memory(2 * needed)
    head = heads[number]
    names = [channel.name for channel in head["channels"]]
    prefix, taken = _taken(head, names)
    losses = list(_losses(heads, number, prefix, taken, options))
    file.seek(0)
    together = "".join(taken)
    is_plain = prefix == "" and together in ("RGB", "RGBA") and len(names) == len(taken)
    threads = options.threads or available_cores()
    with OpenEXR.File(file, separate_channels=not is_plain, num_threads=threads) as whole:
        if len(whole.parts) != len(heads):  # the library drops parts whose pixels cannot be decoded
            raise ReadError("the OpenEXR is truncated or damaged")
        channels = whole.parts[number].channels
        planes = [channels[name].pixels for name in ([together] if is_plain else [prefix + name for name in taken])]
        if is_plain:
            # The library hands its memory over; half becomes float in a copy.
            pixels = planes[0] if planes[0].dtype == np.float32 and planes[0].flags.owndata else planes[0].astype("f4")
        else:
            pixels = np.stack(planes, axis=2, dtype=np.float32, casting="same_kind")
    if any(plane.dtype == np.uint32 for plane in planes):
        losses.append(Loss("the OpenEXR has samples of 32-bit integers; they are read and written as 32-bit floats"))
    if pixels.shape[:2] != _size(head):
        raise ReadError("the OpenEXR is truncated or damaged")
    alpha = taken[-1] == "A" and len(taken) > 1
    return Picture(
        [Frame(pixels[..., 0] if len(taken) == 1 else pixels)], "rgb" if len(taken) > 2 else "gray", alpha, "EXR",
        _metadata(head, planes, prefix, taken), losses=tuple(losses), premultiplied=alpha,
    )  # fmt: skip


def _size(head: dict[str, Any]) -> tuple[int, int]:
    (left, top), (right, bottom) = head["dataWindow"]
    return int(bottom) - int(top) + 1, int(right) - int(left) + 1


def _taken(head: dict[str, Any], names: list[str]) -> tuple[str, tuple[str, ...]]:
    """Choose the channels of the picture: the layer's name with its dot, and their names in order.

    Raises
    ------
    ReadError
        There are no picture channels, or they have a reduced resolution.
    """
    if "deep" in str(head["type"]):
        raise ReadError("a deep OpenEXR has many samples a pixel and cannot be filtered; flatten it first")
    if {"RY", "BY"} & set(names):
        raise ReadError("an OpenEXR of luminance and chroma cannot be filtered; convert it to RGB first")
    if any((channel.xSampling, channel.ySampling) != (1, 1) for channel in head["channels"]):
        raise ReadError("an OpenEXR whose channels have a reduced resolution cannot be filtered")
    prefixes = dict.fromkeys(
        name[: name.rfind(".") + 1] for name in sorted(names, key=lambda name: (name.count("."), name))
    )
    for prefix in prefixes:
        for colours in _COLOURS:
            if all(prefix + name in names for name in colours):
                return prefix, (*colours, *(("A",) if prefix + "A" in names else ()))
    if len(names) == 1:
        return "", (names[0],)
    raise ReadError(f"the OpenEXR has no channels R, G, B or Y, but {', '.join(names)}; take one of them out first")


def _losses(
    heads: list[dict[str, Any]], number: int, prefix: str, taken: tuple[str, ...], options: ReadOptions
) -> Iterator[Loss]:
    """Yield the parts of the file that are not read."""
    head = heads[number]
    others = [channel.name for channel in head["channels"] if channel.name not in {prefix + each for each in taken}]
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


def _metadata(head: dict[str, Any], planes: list[Pixels], prefix: str, taken: tuple[str, ...]) -> Metadata:
    """Keep the attributes, and describe the colours by code points, or by chromaticities with a gamma of 1."""
    # The library cannot write an empty list, whose type it does not know.
    kept = {
        name: value for name, value in head.items() if name not in _OWN and not (isinstance(value, list) and not value)
    }
    windows = tuple(tuple(map(int, corner)) for name in ("dataWindow", "displayWindow") for corner in head[name])
    compression = str(head["compression"]).rpartition(".")[2].partition(":")[0].removesuffix("_COMPRESSION")
    corners = head.get("chromaticities")
    return Metadata(
        png=[*_colours(corners), *_aspect(kept.get("pixelAspectRatio", 1.0))],
        attributes={
            "attributes": kept,
            "said": any(name not in _USUAL for name in kept),
            "half": all(plane.dtype == np.float16 for plane in planes),
            "windows": windows,
            "compression": compression,
            "tile": (int(head["tiles"].xSize), int(head["tiles"].ySize)) if "tiles" in head else None,
            "names": (prefix, *taken),
            "chromaticities": corners and tuple(map(float, corners)),
        },
    )


def _colours(chromaticities: Sequence[float] | None) -> list[tuple[bytes, bytes]]:
    """Return the equivalent chunks of a PNG, as far as PNG has them."""
    if chromaticities is None:
        return [(b"cICP", bytes([_BT709, _LINEAR, 0, 1]))]
    values = [float(value) for value in chromaticities]
    for number, (red, green, blue, white) in PRIMARIES.items():
        if np.allclose(values, [*red, *green, *blue, *white], atol=_TOLERANCE):
            return [(b"cICP", bytes([number, _LINEAR, 0, 1]))]
    fixed = [min(max(round(100_000 * value), 0), 2**31 - 1) for value in (*values[6:], *values[:6])]
    return [(b"gAMA", struct.pack(">I", 100_000)), (b"cHRM", struct.pack(">8I", *fixed))]


def _aspect(ratio: float) -> list[tuple[bytes, bytes]]:
    """Return a PNG's pHYs that gives the ratio of a pixel's width to its height; none for square pixels."""
    if ratio == 1 or not _LEAST_ASPECT <= ratio <= 1 / _LEAST_ASPECT:
        return []
    fraction = Fraction(ratio).limit_denominator(10_000)
    return [(b"pHYs", struct.pack(">IIB", fraction.denominator, fraction.numerator, 0))]


def write_exr(file: BinaryIO, picture: Picture, options: WriteOptions) -> None:
    """Write an OpenEXR; a ``Writer``.

    Samples become premultiplied linear light, as the format defines; half if they were read as half and none is larger.

    Raises
    ------
    WriteError
        The picture's tone curve is unknown.
    """
    import OpenEXR

    pixels = scene_linear(picture, next(frame.pixels for frame in picture.frames if not frame.fallback))
    known = picture.metadata.attributes or {}
    height, width = pixels.shape[:2]
    windows = known["windows"] if fits_windows(known, width, height) else ((0, 0), (width - 1, height - 1)) * 2
    corners = [np.array(corner, np.int32) for corner in windows]
    header = {
        **known.get("attributes", {}),
        "compression": getattr(OpenEXR, f"{compression_of(known)}_COMPRESSION"),
        "type": OpenEXR.scanlineimage,
        "dataWindow": (corners[0], corners[1]),
        "displayWindow": (corners[2], corners[3]),
        **_chromaticities(picture.metadata),
        **_ratio(picture.metadata),
    }
    if known.get("tile"):
        header |= {"type": OpenEXR.tiledimage, "tiles": _tiles(*known["tile"])}
    planes: Pixels = np.ascontiguousarray(pixels, np.float32).reshape(height, width, -1)
    if known.get("half"):
        with np.errstate(over="ignore"):
            half = planes.astype(np.float16)
        planes = planes if overflowed(planes, half) else half
    with OpenEXR.File(header, _channels(planes, known), num_threads=options.threads or available_cores()) as out:
        out.write(file)


def has_windows(known: dict[str, Any]) -> bool:
    """Whether the data window of an OpenEXR that was read differs from the display window, or does not begin at 0."""
    windows = known.get("windows", ())
    return bool(windows) and (windows[:2] != windows[2:] or windows[0] != (0, 0))


def fits_windows(known: dict[str, Any], width: int, height: int) -> bool:
    """Whether a result has the size of the data window."""
    if not known.get("windows"):
        return False
    (left, top), (right, bottom) = known["windows"][:2]
    return (right - left + 1, bottom - top + 1) == (width, height)


def compression_of(known: dict[str, Any]) -> str:
    """Return the compression of an output: that of the input if it loses nothing, else ZIP."""
    lossless = (*LOSSLESS, *([_LOSSLESS_OF_HALF] if known.get("half") else []))
    compression = str(known.get("compression"))
    return compression if compression in lossless else "ZIP"


def _tiles(width: int, height: int) -> Any:
    import OpenEXR

    tiles = OpenEXR.TileDescription()
    tiles.xSize, tiles.ySize, tiles.mode = width, height, OpenEXR.ONE_LEVEL
    return tiles


def _channels(planes: Pixels, known: dict[str, Any]) -> dict[str, Pixels]:
    """Return the channels by name: with the names of the input, if it had as many channels."""
    letters = {1: "Y", 2: "YA", 3: "RGB", 4: "RGBA"}[planes.shape[2]]
    prefix, *names = known.get("names") or ("", *letters)
    if len(names) != planes.shape[2]:
        prefix, names = "", [*letters]
    if not prefix and len(names) > 2:  # the library takes such pixels without copying each channel
        return {letters: planes}
    return {prefix + name: np.ascontiguousarray(planes[..., at]) for at, name in enumerate(names)}


def _ratio(metadata: Metadata) -> dict[str, float]:
    """Return the aspect ratio of pixels, if it differs from that in the attributes."""
    across, down, unit = struct.unpack(">IIB", dict(metadata.png).get(b"pHYs", bytes(9)))
    known = (metadata.attributes or {}).get("attributes", {}).get("pixelAspectRatio", 1.0)
    if unit or not (across and down) or _aspect(known) == [(b"pHYs", dict(metadata.png)[b"pHYs"])]:
        return {}
    return {"pixelAspectRatio": down / across}


def _chromaticities(metadata: Metadata) -> dict[str, tuple[float, ...]]:
    known, chunks = (metadata.attributes or {}).get("chromaticities"), dict(metadata.png)
    if known and all(chunks.get(kind) == data for kind, data in _colours(known)):
        return {"chromaticities": known}
    if b"cICP" in chunks and chunks[b"cICP"][0] in PRIMARIES and chunks[b"cICP"][0] != _BT709:
        red, green, blue, white = PRIMARIES[chunks[b"cICP"][0]]
        return {"chromaticities": (*red, *green, *blue, *white)}
    if b"cICP" not in chunks and len(chunks.get(b"cHRM", b"")) == 32:
        white_x, white_y, *others = (value / 100_000 for value in struct.unpack(">8I", chunks[b"cHRM"]))
        return {"chromaticities": (*others, white_x, white_y)}
    return {}
