"""Activation functions of neural networks, applied to tiles of real samples; ``white`` is the sample value of 1."""

from __future__ import annotations

import math

_HALF_SQRT = 0.7071067811865476  # 1 / sqrt(2)
_TANH_SCALE = 0.7978845608028654  # sqrt(2 / pi)


def activate(tile, pitch, rows, cols, channels, colours, function, low, high, divisor, white, neutral, alpha):
    """Apply an activation to ``colours`` of the ``channels`` of each pixel: ``white * f(x / (divisor * white))``.

    ``function`` is the number of a function in ``_activated``. A further channel is alpha: alpha /
    ``divisor`` is written to ``alpha`` (rows x cols), and the tile's alpha becomes ``neutral``, which the store step
    does not count as clipped.
    """
    for y in range(rows):
        for p in range(cols):
            at = y * pitch + p * channels
            for c in range(colours):
                tile[at + c] = white * _activated(tile[at + c] / divisor / white, function, low, high)
            if colours < channels:
                alpha[y * cols + p] = tile[at + colours] / divisor
                tile[at + colours] = neutral
    return 0


def activate_premultiplied(
    tile, pitch, rows, cols, channels, function, low, high, divisor, white, colour_factor, alpha_share, alpha
):
    """Apply an activation, defined for straight colours, to premultiplied colours; where alpha is 0 its value is 0.

    Colours become ``colour_factor * value + alpha_share * alpha``. The last channel is alpha: alpha / ``divisor``
    is written to ``alpha`` (rows x cols), and the tile's alpha becomes 0.
    """
    zero = white - white
    for y in range(rows):
        for p in range(cols):
            at = y * pitch + p * channels
            pixel_alpha = tile[at + channels - 1] / divisor
            opacity = pixel_alpha / white  # 0 to 1
            for c in range(channels - 1):
                value = zero
                if opacity != zero:
                    full = white * opacity
                    value = full * _activated(tile[at + c] / divisor / full, function, low, high)
                tile[at + c] = colour_factor * value + alpha_share * pixel_alpha
            tile[at + channels - 1] = zero
            alpha[y * cols + p] = pixel_alpha
    return 0


def _activated(x, function, low, high):
    """Return the value of a function at ``x``, computed so that it never overflows.

    ``function`` is its number: 0 leaky ReLU with slope ``low``, 1 sigmoid, 2 hyperbolic tangent, 3 ELU (alpha ``low``),
    4 SELU (alpha ``low``, gamma ``high``), 5 CELU (alpha ``low``), 6 GELU, 7 GELU by tanh, 8 softplus, 9 softsign, 10
    thresholded ReLU (x above ``low``, 0 elsewhere), 11 hard sigmoid (``low * x + high``, clipped to 0 ... 1), 12 hard
    swish, 13 mish, 14 swish (``x * sigmoid(low * x)``), 15 shrink (0 from ``-low`` to ``low``, elsewhere x moved by
    ``high`` towards 0), 16 ``abs(x)**low``.
    """
    zero = low - low
    one = zero + 1
    half = one / 2
    if function == 0:
        return low * x if x < zero else x
    if function == 1:
        return _sigmoid(x)
    if function == 2:
        return math.tanh(x)
    if function == 3:
        return low * math.expm1(x) if x < zero else x
    if function == 4:
        return high * (low * math.expm1(x) if x < zero else x)
    if function == 5:
        return low * math.expm1(x / low) if x < zero else x
    if function == 6:
        return half * x * (one + math.erf(x * _HALF_SQRT))
    if function == 7:
        return half * x * (one + math.tanh(_TANH_SCALE * (x + 0.044715 * x * x * x)))
    if function == 8:
        return _softplus(x, zero)
    if function == 9:
        return x / (one + abs(x))
    if function == 10:
        return zero if x <= low else x
    if function == 11:
        return _between(low * x + high)
    if function == 12:
        return x * _between(x / 6 + half)
    if function == 13:
        return x * math.tanh(_softplus(x, zero))
    if function == 14:
        return x * _sigmoid(low * x)
    if function == 15:
        if abs(x) <= low:
            return zero
        return x - high if x > zero else x + high
    return abs(x) ** low


def _sigmoid(x):
    small = math.exp(-abs(x))
    return small / (1 + small) if x < 0 else 1 / (1 + small)


def _softplus(x, zero):
    positive = x if x > 0 else zero
    return positive + math.log1p(math.exp(-abs(x)))


def _between(x):
    """Clip x to 0 ... 1."""
    x = 0.0 if x < 0 else x
    return 1.0 if x > 1 else x
