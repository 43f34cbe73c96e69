"""Code points for colour: primaries and transfer functions as PNG's cICP chunk and AVIF's nclx box give them.

ITU-T H.273 (2024), tables 2 and 3.
"""

from __future__ import annotations

_BT709, _UNSPECIFIED = 1, 2
_SRGB = 13
#: Those of BT.709 and its twins in BT.601 and BT.2020, which screens show as they show sRGB.
_LIKE_BT709 = (1, 6, 14, 15)
#: (primaries, transfer function) that are shown like a picture that names no colour space.
LIKE_SRGB = frozenset(
    (primaries, transfer) for primaries in (_BT709, _UNSPECIFIED) for transfer in (*_LIKE_BT709, _UNSPECIFIED, _SRGB)
)
