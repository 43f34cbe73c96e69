"""OpenEXR through the Academy's own library: half and float, R G B or Y with A, scene-linear and premultiplied.

OpenEXR, Technical Introduction, 2023 ("Colors", "Alpha"); attributes as in its Standard Attributes.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any, BinaryIO

import numpy as np

from convfilter.errors import ReadError
from convfilter.machine.cores import available_cores
from convfilter.picture import limits
from convfilter.picture.codecs import quiet
from convfilter.picture.codecs.light import scene_linear
from convfilter.picture.metadata.cicp import PRIMARIES
from convfilter.picture.options import ReadOptions, WriteOptions
from convfilter.picture.picture import Frame, Loss, Metadata, Picture, chosen

_LINEAR, _BT709 = 8, 1
#: Attributes that the writer derives from the pixels.
_OWN = (
    *("channels", "compression", "dataWindow", "displayWindow", "lineOrder", "type", "tiles", "chunkCount", "version"),
    *("preview", "name", "view", "maxSamplesPerPixel", "chromaticities"),
)
#: Lossless compressions of scan lines.
_LOSSLESS = ("NO_COMPRESSION", "RLE_COMPRESSION", "ZIPS_COMPRESSION", "ZIP_COMPRESSION", "PIZ_COMPRESSION")
_TOLERANCE = 1e-3
#: Marks of lines that the library prints about damage before it goes on.
_OF_LIBRARY = (b"<python_buffer>", b"Exception raised reading")
#: Types of attributes that the library can write again.
_RECORDS = ("TimeCode", "KeyCode")
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
        limits.require_size(width, height, options.max_pixels, judge=options.judge)
        needed += 4 * height * width * len(head["channels"])
    limits.require_memory(2 * needed)
    head = heads[number]
    names = [channel.name for channel in head["channels"]]
    prefix, taken = _taken(head, names)
    losses = list(_losses(heads, names, prefix, taken, options))
    file.seek(0)
    together = "".join(taken)
    is_plain = prefix == "" and together in ("RGB", "RGBA") and len(names) == len(taken)
    threads = options.threads or available_cores()
    with OpenEXR.File(file, separate_channels=not is_plain, num_threads=threads) as whole:
        if len(whole.parts) != len(heads):  # the library drops parts whose pixels cannot be decoded
            raise ReadError("the OpenEXR is truncated or damaged")
        channels = whole.parts[number].channels
        planes = [channels[name].pixels for name in ([together] if is_plain else [prefix + name for name in taken])]
        is_half = all(plane.dtype == np.float16 for plane in planes)
        if is_plain:
            # The library hands its memory over; half becomes float in a copy.
            pixels = planes[0] if planes[0].dtype == np.float32 and planes[0].flags.owndata else planes[0].astype("f4")
        else:
            pixels = np.stack(planes, axis=2, dtype=np.float32, casting="same_kind")
    if pixels.shape[:2] != _size(head):
        raise ReadError("the OpenEXR is truncated or damaged")
    alpha = taken[-1] == "A" and len(taken) > 1
    return Picture(
        [Frame(pixels[..., 0] if len(taken) == 1 else pixels)], "rgb" if len(taken) > 2 else "gray", alpha, "EXR",
        _metadata(head, is_half), losses=tuple(losses), premultiplied=alpha,
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
    heads: list[dict[str, Any]], names: list[str], prefix: str, taken: tuple[str, ...], options: ReadOptions
) -> Iterator[Loss]:
    """Yield the parts of the file that are not read."""
    others = [name for name in names if name not in {prefix + each for each in taken}]
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
    if "preview" in heads[0]:
        yield Loss("the preview of the OpenEXR is left out, since it would show it unfiltered")


def _metadata(head: dict[str, Any], is_half: bool) -> Metadata:
    """Keep the attributes, and describe the colours by code points, or by chromaticities with a gamma of 1."""
    kept = {name: value for name, value in head.items() if name not in _OWN and _is_plain(value)}
    windows = tuple(tuple(map(int, corner)) for name in ("dataWindow", "displayWindow") for corner in head[name])
    compression = str(head["compression"]).rpartition(".")[2].partition(":")[0]
    metadata = Metadata(
        attributes={"attributes": kept, "half": is_half, "windows": windows, "compression": compression}
    )
    found = head.get("chromaticities")
    if found is None:
        metadata.png.append((b"cICP", bytes([_BT709, _LINEAR, 0, 1])))
        return metadata
    values = [float(value) for value in found]
    for number, (red, green, blue, white) in PRIMARIES.items():
        if np.allclose(values, [*red, *green, *blue, *white], atol=_TOLERANCE):
            metadata.png.append((b"cICP", bytes([number, _LINEAR, 0, 1])))
            return metadata
    fixed = [min(max(round(100_000 * value), 0), 2**31 - 1) for value in (*values[6:], *values[:6])]
    metadata.png += [(b"gAMA", struct.pack(">I", 100_000)), (b"cHRM", struct.pack(">8I", *fixed))]
    return metadata


def _is_plain(value: object) -> bool:
    return isinstance(value, (str, int, float, np.ndarray)) or type(value).__name__ in (
        "Rational",
        "TimeCode",
        "KeyCode",
    )


def write_exr(file: BinaryIO, picture: Picture, options: WriteOptions) -> None:
    """Write an OpenEXR; a ``Writer``.

    Samples become premultiplied linear light, as the format defines; half if they were read as half.

    Raises
    ------
    WriteError
        The picture's tone curve is unknown.
    """
    import OpenEXR

    pixels = scene_linear(picture, next(frame.pixels for frame in picture.frames if not frame.fallback))
    known = picture.metadata.attributes or {}
    height, width = pixels.shape[:2]
    windows = known.get("windows", ())
    if not windows or (windows[1][0] - windows[0][0] + 1, windows[1][1] - windows[0][1] + 1) != (width, height):
        windows = ((0, 0), (width - 1, height - 1)) * 2
    compression = known.get("compression") if known.get("compression") in _LOSSLESS else "ZIP_COMPRESSION"
    corners = [np.array(corner, np.int32) for corner in windows]
    header = {
        **known.get("attributes", {}),
        "compression": getattr(OpenEXR, str(compression)),
        "type": OpenEXR.scanlineimage,
        "dataWindow": (corners[0], corners[1]),
        "displayWindow": (corners[2], corners[3]),
        **_chromaticities(picture.metadata),
    }
    planes = np.ascontiguousarray(pixels, np.float16 if known.get("half") else np.float32).reshape(height, width, -1)
    names = {1: "Y", 2: "YA", 3: "RGB", 4: "RGBA"}[planes.shape[2]]
    # The library takes the pixels of RGB and RGBA as they are, which saves a copy of each channel.
    channels = (
        {names: planes}
        if "RGB" in names
        else {name: np.ascontiguousarray(planes[..., at]) for at, name in enumerate(names)}
    )
    with OpenEXR.File(header, channels, num_threads=options.threads or available_cores()) as out:
        out.write(file)


def _chromaticities(metadata: Metadata) -> dict[str, tuple[float, ...]]:
    chunks = dict(metadata.png)
    if b"cICP" in chunks and chunks[b"cICP"][0] in PRIMARIES and chunks[b"cICP"][0] != _BT709:
        red, green, blue, white = PRIMARIES[chunks[b"cICP"][0]]
        return {"chromaticities": (*red, *green, *blue, *white)}
    if b"cICP" not in chunks and len(chunks.get(b"cHRM", b"")) == 32:
        white_x, white_y, *others = (value / 100_000 for value in struct.unpack(">8I", chunks[b"cHRM"]))
        return {"chromaticities": (*others, white_x, white_y)}
    return {}
