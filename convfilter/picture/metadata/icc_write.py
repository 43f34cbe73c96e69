"""Make ICC profiles from primaries and a tone curve, for formats that can only describe colours by a profile.

ICC.1:2022 (profile version 4.4), sections 7.2 (header), 8.3 (matrix profiles), 8.4 (grey), 10.18 (parametric curves);
annex E.3 (Bradford).
"""

from __future__ import annotations

import struct

import numpy as np
import numpy.typing as npt

from convfilter.picture.colour_chunks import Chromaticities
from convfilter.picture.metadata.curves import ParametricCurve

_D50 = (0.9642, 1.0, 0.8249)
_BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
_VERSION = 0x04400000
_HEADER_BYTES, _ENTRY_BYTES = 128, 12


def matrix_profile(name: str, primaries: Chromaticities, curve: ParametricCurve | bytes) -> bytes:
    """Make a profile for RGB.

    Parameters
    ----------
    name : str
        Description of the profile.
    primaries : four pairs of float
        Chromaticities (x, y) of red, green, blue and white.
    curve : ParametricCurve or bytes
        Tone curve from stored values to linear light, or the content of a tag of another profile.

    Returns
    -------
    bytes
        The profile, without a date: equal parameters give equal bytes.

    Raises
    ------
    ZeroDivisionError, numpy.linalg.LinAlgError
        A chromaticity has a y of 0, or the primaries lie on a line.
    """
    red, green, blue = colourants(primaries).T
    tone = _curve_tag(curve)
    tags = {b"rXYZ": _xyz_tag(red), b"gXYZ": _xyz_tag(green), b"bXYZ": _xyz_tag(blue)}
    tags |= dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), tone)
    return _profile(b"RGB ", name, {**tags, b"chad": _fixed(b"sf32", adaptation(primaries[3]).ravel())})


def colourants(primaries: Chromaticities) -> npt.NDArray[np.float64]:
    """Return the (3, 3) matrix from linear RGB of these primaries to the profile connection space (XYZ, D50)."""
    return adaptation(primaries[3]) @ to_xyz(primaries)


def to_xyz(primaries: Chromaticities) -> npt.NDArray[np.float64]:
    """Return the (3, 3) matrix from linear RGB of these primaries to XYZ; white has a Y of 1."""
    *colours, white = (_xyz_of(*each) for each in primaries)
    columns = np.array(colours).T
    scaled: npt.NDArray[np.float64] = columns * np.linalg.solve(columns, np.array(white))
    return scaled


def gray_profile(name: str, curve: ParametricCurve | bytes) -> bytes:
    """Make a profile for grey; see :func:`matrix_profile`."""
    return _profile(b"GRAY", name, {b"kTRC": _curve_tag(curve)})


def _xyz_of(x: float, y: float) -> tuple[float, float, float]:
    return x / y, 1.0, (1 - x - y) / y


def adaptation(white: tuple[float, float]) -> npt.NDArray[np.float64]:
    """Return the (3, 3) matrix of the chromatic adaptation (Bradford) from ``white``, (x, y), to D50."""
    gains = (_BRADFORD @ np.array(_D50)) / (_BRADFORD @ np.array(_xyz_of(*white)))
    matrix: npt.NDArray[np.float64] = np.linalg.inv(_BRADFORD) @ np.diag(gains) @ _BRADFORD
    return matrix


def _fixed(kind: bytes, values: npt.ArrayLike) -> bytes:
    """Encode numbers as s15Fixed16, after the signature of their type."""
    numbers = [round(float(value) * 65536) for value in np.ravel(values)]
    return kind + bytes(4) + struct.pack(f">{len(numbers)}i", *numbers)


def _xyz_tag(values: npt.ArrayLike) -> bytes:
    return _fixed(b"XYZ ", values)


def _curve_tag(curve: ParametricCurve | bytes) -> bytes:
    """Encode a curve as function type 3, or type 0 for a pure power; an encoded one stays."""
    if isinstance(curve, bytes):
        return curve
    values = [curve.gamma] if curve.d <= 0 else [curve.gamma, curve.a, curve.b, curve.c, curve.d]
    kind = 0 if len(values) == 1 else 3
    return b"para" + bytes(4) + struct.pack(">HH", kind, 0) + _fixed(b"", values)[4:]


def _text_tag(text: str) -> bytes:
    encoded = text.encode("utf-16-be")
    return b"mluc" + bytes(4) + struct.pack(">II2s2sII", 1, 12, b"en", b"US", len(encoded), 28) + encoded


def _profile(space: bytes, name: str, tags: dict[bytes, bytes]) -> bytes:
    """Assemble header, tag table and tags; equal tags are stored once."""
    tags = {b"desc": _text_tag(name), b"cprt": _text_tag("CC0"), b"wtpt": _xyz_tag(_D50), **tags}
    start = _HEADER_BYTES + 4 + _ENTRY_BYTES * len(tags)
    table, body = struct.pack(">I", len(tags)), b""
    offsets: dict[bytes, int] = {}
    for tag, content in tags.items():
        if content not in offsets:
            offsets[content] = start + len(body)
            body += content + bytes(-len(content) % 4)
        table += struct.pack(">4sII", tag, offsets[content], len(content))
    size = start + len(body)
    head = struct.pack(">I4xI4s4s4s12x4s", size, _VERSION, b"mntr", space, b"XYZ ", b"acsp")
    illuminant = struct.pack(">3i", *(round(value * 65536) for value in _D50))
    return head + bytes(28) + illuminant + bytes(_HEADER_BYTES - len(head) - 40) + table + body
