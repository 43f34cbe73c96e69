"""The tone curve of an ICC profile, if all its channels share one.

ICC.1:2022 (profile version 4.4), sections 10.6 (curveType) and 10.18 (parametricCurveType).
"""

from __future__ import annotations

import struct

import numpy as np

from convfilter.picture.metadata.curves import SRGB, Curve, ParametricCurve, SampledCurve
from convfilter.picture.metadata.icc import model_of, tags

_CURVE_TAGS = {"gray": (b"kTRC",), "rgb": (b"rTRC", b"gTRC", b"bTRC")}
#: Number of parameters of each function type of a parametric curve.
_PARAMETERS = (1, 3, 4, 5, 7)
#: A curve that differs by less from sRGB's is sRGB's. Tables of 1024 entries and 16-bit fixed point differ by less.
_SRGB_TOLERANCE = 2e-4
#: Curves of three channels that differ by no more are one: a quarter of an 8-bit level.
_CHANNEL_TOLERANCE = 1e-3


def curve_of(profile: bytes) -> Curve | None:
    """Read the tone curve of a grey or RGB profile.

    Parameters
    ----------
    profile : bytes
        ICC profile.

    Returns
    -------
    Curve, or None
        ``SRGB`` itself for curves that nearly equal it. None if the curves are damaged or differ between channels, or
        if the profile has multi-dimensional tables instead.
    """
    by_name = tags(profile)
    names = _CURVE_TAGS.get(model_of(profile) or "", ())
    curves = [_curve(by_name[name]) for name in names if name in by_name]
    first = curves[0] if curves and len(curves) == len(names) else None
    if first is None:
        return None
    probes = np.linspace(0.0, 1.0, 1025)
    reference = first.decode(probes)
    for other in curves[1:]:
        if other is None or np.abs(other.decode(probes) - reference).max() > _CHANNEL_TOLERANCE:
            return None
    return SRGB if np.abs(SRGB.decode(probes) - reference).max() < _SRGB_TOLERANCE else first


def _curve(tag: bytes) -> Curve | None:
    """Parse a curve; None if it is damaged or of another type."""
    if tag[:4] == b"curv" and len(tag) >= 12:
        return _table(tag)
    if tag[:4] == b"para" and len(tag) >= 12:
        return _parametric(tag)
    return None


def _table(tag: bytes) -> Curve | None:
    """Parse a curveType: no value is the identity, one value a power, more are samples, which must not decrease."""
    count = int.from_bytes(tag[8:12], "big")
    if count == 0:
        return ParametricCurve(1.0)
    values = np.frombuffer(tag[12 : 12 + 2 * count], ">u2")
    if len(values) < count:
        return None
    if count == 1:
        gamma = int(values[0]) / 256
        return ParametricCurve(gamma) if gamma > 0 else None
    samples = values / 65535.0
    return SampledCurve(samples) if np.all(np.diff(samples) >= 0) and samples[-1] > samples[0] else None


def _parametric(tag: bytes) -> Curve | None:
    """Parse a parametricCurveType."""
    kind = int.from_bytes(tag[8:10], "big")
    if kind >= len(_PARAMETERS) or len(tag) < 12 + 4 * _PARAMETERS[kind]:
        return None
    g, *rest = (value / 65536 for value in struct.unpack_from(f">{_PARAMETERS[kind]}i", tag, 12))
    if kind == 0:
        a, b, c, d, e, f = 1.0, 0.0, 0.0, 0.0, 0.0, 0.0
    elif kind in (1, 2):
        # Below -b/a the curve is constant.
        a, b, e = (*rest, 0.0)[:3]
        c, d, f = 0.0, -b / a if a else 0.0, e
    elif kind == 3:
        a, b, c, d = rest
        e = f = 0.0
    else:
        a, b, c, d, e, f = rest
    return ParametricCurve(g, a, b, c, d, e, f) if g > 0 and a > 0 else None
