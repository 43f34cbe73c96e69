"""The camera, the film that gathers its light, and the darkroom."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import numpy.typing as npt
from tracer import Array, Indices, dot, normalized, vector

#: Brightest sample that enters a pixel's mean: keeps the rims of highlights from going jagged.
SAMPLE_LIMIT = np.float32(3.5)
#: Radiance times this enters the film's curve, and this comes out as white.
EXPOSURE, WHITE = np.float32(1.38), np.float32(9.0)


def noise_of(pixel: npt.NDArray[np.uint32], sample: int, use: int) -> Array:
    """Hash pixel, sample and use to a number from 0 to 1 (Wellons' lowbias32)."""
    with np.errstate(over="ignore"):
        key = (sample * 0x85EBCA77 + use * 0xC2B2AE3D + 0x165667B1) & 0xFFFFFFFF
        x = pixel * np.uint32(0x9E3779B1) ^ np.uint32(key)
        for multiplier in (0x7FEB352D, 0x846CA68B):
            x ^= x >> np.uint32(16)
            x *= np.uint32(multiplier)
        x ^= x >> np.uint32(15)
    return (x >> np.uint32(8)).astype(np.float32) * np.float32(2**-24)


@dataclass(frozen=True)
class Dice:
    """Well spread random pairs, for one of ``count`` samples of many pixels.

    The samples of a pixel lie on a lattice; neighbouring pixels shift it by
    steps that fill the square evenly (Roberts' R2 sequence), so that what noise
    is left has no coarse grain.
    """

    rows: Indices
    cols: Indices
    sample: int
    count: int

    def pair(self, use: int) -> tuple[Array, Array]:
        """Two numbers from 0 to 1 for each pixel; each use takes the samples in an order of its own."""
        index = (self.sample * _coprime(self.count, use)) % self.count
        u = (index + 0.5) / self.count + 0.754877666 * self.cols + 0.569840291 * self.rows + 0.137 * use
        v = index * 0.618033989 + 0.569840291 * self.cols - 0.754877666 * self.rows + 0.731 * use
        return (u % 1).astype(np.float32), (v % 1).astype(np.float32)

    def of(self, some: Indices) -> Dice:
        """Keep some of the pixels."""
        return replace(self, rows=self.rows[some], cols=self.cols[some])


def _coprime(count: int, use: int) -> int:
    """Pick a step that visits all samples, another one for each use."""
    steps = [step for step in range(1, max(count, 2)) if np.gcd(step, count) == 1]
    return steps[(use * 5 + 1) % len(steps)]


@dataclass(frozen=True)
class Camera:
    """A lens of radius ``lens``, aimed at ``target``, sharp at ``focus``; its ``view`` is that many degrees high."""

    place: tuple[float, float, float]
    target: tuple[float, float, float]
    view: float
    focus: float
    lens: float

    def rays(self, width: int, height: int, dice: Dice) -> tuple[Array, Array]:
        """Origins and directions of rays through a tent over each pixel."""
        place = vector(*self.place)
        forward = normalized(vector(*self.target) - place)
        right = normalized(np.cross(forward, vector(0, 1, 0), axis=0))
        up = np.cross(right, forward, axis=0)
        scale = np.float32(2 * np.tan(np.radians(self.view / 2)) / height)
        u, v = (_tent(number) for number in dice.pair(1))
        x = (dice.cols + np.float32(0.5) + u - np.float32(width / 2)) * scale
        y = (np.float32(height / 2) - dice.rows - np.float32(0.5) - v) * scale
        a, b = dice.pair(2)
        radius, angle = np.float32(self.lens) * np.sqrt(a), b * np.float32(2 * np.pi)
        shift = right * (radius * np.cos(angle)) + up * (radius * np.sin(angle))
        aim = (forward + right * x + up * y) * np.float32(self.focus) - shift
        return (place + shift).astype(np.float32), normalized(aim).astype(np.float32)


def _tent(number: Array) -> Array:
    """Spread a number from 0 to 1 over -0.9..0.9, most of it near 0."""
    low = number < 0.5
    side = np.where(low, np.sqrt(2 * number), np.sqrt(2 - 2 * number))
    return np.float32(0.9) * np.where(low, side - 1, 1 - side)


class Film:
    """Light gathered for a block of pixels, as sums over rays.

    Light that came by way of another surface changes slowly but arrives by few
    rays; it is kept apart, with what is needed to smooth it within a surface.
    """

    PLANES: ClassVar = {
        "sharp": 3,  # light but for the bounced
        "squares": 1,  # its square, to know its noise
        "albedo": 3,
        "count": 1,
        "bounced": 3,  # the rest: bounced light, and what it met
        "bounced_albedo": 3,
        "normal": 3,
        "point": 3,
        "bounced_count": 1,
    }

    def __init__(self, rows: int, cols: int) -> None:
        self.shape = rows, cols
        self.sums = {name: np.zeros((planes, rows * cols), np.float32) for name, planes in self.PLANES.items()}

    @classmethod
    def joined(cls, films: Sequence[Film]) -> Film:
        """Put blocks of one width under each other."""
        whole = cls(sum(film.shape[0] for film in films), films[0].shape[1])
        whole.sums = {name: np.concatenate([film.sums[name] for film in films], axis=1) for name in whole.sums}
        return whole

    def add(self, pixels: Indices, **gathered: Array | int) -> None:
        """Add to the sums of some pixels."""
        for name, values in gathered.items():
            self.sums[name][:, pixels] += values

    def expose(self, pixels: Indices, light: Array) -> None:
        """Add the light of one ray for some pixels."""
        light = np.minimum(light, SAMPLE_LIMIT)
        self.add(pixels, sharp=light, squares=light.mean(axis=0) ** 2, count=1)

    def noisy(self, limit: float) -> Indices:
        """Find the pixels whose mean is uncertain by more than ``limit`` of itself."""
        count = self.sums["count"][0]
        mean = self.sums["sharp"].mean(axis=0) / count
        variance = np.maximum(self.sums["squares"][0] / count - mean * mean, 0)
        return np.flatnonzero(np.sqrt(variance / count) > np.float32(limit) * (mean + np.float32(0.05)))

    def light(self) -> Array:
        """Mean light of each pixel, (3, rows, cols), the bounced part smoothed within surfaces."""
        plane = {name: sums.reshape(-1, *self.shape) for name, sums in self.sums.items()}
        normal, point = normalized(plane["normal"]), plane["point"] / np.maximum(plane["bounced_count"], 1)
        arriving, weight = plane["bounced"], plane["bounced_albedo"] + np.float32(1e-4)
        for step in (1, 2, 4, 8):
            arriving, weight = _smoothed(arriving, weight, normal, point, step)
        return (plane["sharp"] + plane["albedo"] * arriving / weight) / plane["count"]


def _smoothed(light: Array, weight: Array, normal: Array, point: Array, step: int) -> tuple[Array, Array]:
    """Average over pixels of one surface, ``step`` apart (the a-trous filter of Dammertz et al., 2010)."""
    rows, cols = light.shape[1:]
    total_light, total_weight = np.zeros_like(light), np.zeros_like(weight)
    for down, tap_down in zip((-2, -1, 0, 1, 2), (1, 4, 6, 4, 1), strict=True):
        row = np.clip(np.arange(rows) + down * step, 0, rows - 1)
        for across, tap_across in zip((-2, -1, 0, 1, 2), (1, 4, 6, 4, 1), strict=True):
            col = np.clip(np.arange(cols) + across * step, 0, cols - 1)
            there = np.s_[:, row[:, None], col]
            alike = np.maximum(dot(normal, normal[there]), 0) ** 24
            off_plane = dot(normal, point[there] - point)
            tap = np.float32(tap_down * tap_across) * alike * np.exp(-((off_plane / np.float32(0.35)) ** 2))
            total_light += tap * light[there]
            total_weight += tap * weight[there]
    return total_light, total_weight + np.float32(1e-9)


def develop(light: Array) -> npt.NDArray[np.uint8]:
    """Turn radiance into sRGB: a filmic shoulder (Hable, 2010), gamma, and dither against banding."""
    linear = np.clip(_filmic(light * EXPOSURE) / _filmic(WHITE), 0, 1)
    encoded = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    count = np.arange(encoded.size, dtype=np.uint32)
    dither = (noise_of(count, 1, 90) - noise_of(count, 2, 91)).reshape(encoded.shape) * np.float32(0.7)
    levels = np.clip(np.rint(encoded * 255 + dither), 0, 255).astype(np.uint8)
    return np.ascontiguousarray(levels.transpose(1, 2, 0))


def _filmic(x: Array | np.float32) -> Array:
    return np.asarray((x * (0.22 * x + 0.03) + 0.002) / (x * (0.22 * x + 0.30) + 0.06) - np.float32(0.0333), np.float32)
