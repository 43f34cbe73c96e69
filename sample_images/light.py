"""Light: a low sun through a window, the sky in its panes, and what the room throws back."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from film import SAMPLE_LIMIT, Dice, Film
from textures import look_up, mix, noise_tile, smooth
from tracer import SKIN, Array, Geometry, Hits, Indices, dot, normalized, vector


@dataclass(frozen=True)
class Rays:
    """Rays on their way, with the dice that they throw.

    Depth 0 is what the camera sees, 1 what mirrors and glass show, 2 what lights
    other surfaces: deeper rays gather less. ``rough`` is the roughness of the
    mirror that sent them. Camera rays belong to pixels of a film, which takes the
    bounced light, if the ray ``gathers`` it; it is missing from what the rays see.
    """

    origin: Array
    direction: Array
    dice: Dice
    depth: int = 0
    rough: Array | None = None
    film: Film | None = None
    pixels: Indices | None = None
    gathers: bool = True

    def of(self, some: Indices) -> Rays:
        """Keep some of the rays."""
        return replace(
            self,
            origin=self.origin[:, some],
            direction=self.direction[:, some],
            dice=self.dice.of(some),
            rough=None if self.rough is None else self.rough[some],
            pixels=None if self.pixels is None else self.pixels[some],
        )


@dataclass(frozen=True)
class Look:
    """Normals, with and without bumps, colours and gloss of N points."""

    shape_normal: Array
    normal: Array
    albedo: Array
    shine: Array
    roughness: Array
    glass: npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Window:
    """A window in the wall at x = ``wall``: panes of ``pane`` by ``pane_tall`` from ``corner`` (y, z), bars between."""

    wall: float = -75.0
    corner: tuple[float, float] = (20.0, -13.0)
    columns: int = 4
    rows: int = 3
    pane: float = 19.0
    pane_tall: float = 25.0
    bar: float = 2.6

    def is_open(self, y: Array, z: Array) -> npt.NDArray[np.bool_]:
        """Tell whether light passes at (y, z) of the wall."""
        return self.passes(y, z, np.float32(1e-3)) > 0.5

    def passes(self, y: Array, z: Array, blur: Array | np.float32) -> Array:
        """Share of a soft beam, ``blur`` wide where it meets the wall, that passes at (y, z)."""
        across, up = (z - self.corner[1]) / self.pane, (y - self.corner[0]) / self.pane_tall
        share = np.ones(np.shape(y), np.float32)
        for place, size, count in ((across, self.pane, self.columns), (up, self.pane_tall, self.rows)):
            bar = np.clip(np.round(place), 1, count - 1)
            clearance = np.minimum(np.abs(place - bar), np.minimum(place, count - place)) * size - self.bar / 2
            share *= smooth(-0.5, 0.5, clearance / blur)
        return share


class Light:
    """Everything that shines on a scene, and the tracing that gathers it."""

    def __init__(self, geometry: Geometry) -> None:
        self.geometry = geometry
        self.glass = [shape for shape in geometry.shapes if shape.material.is_glass]
        self.window = Window()
        self.to_sun = normalized(vector(-0.80, 0.52, 0.40))
        self.sun = vector(7.4, 5.7, 3.7)
        self.sun_spread = np.float32(0.011)
        self.sky = vector(2.5, 3.1, 4.0)
        self.panes = self.sky * np.float32(1.6)
        self.room = vector(0.115, 0.105, 0.095)

    # Direct light

    def from_sun(self, point: Array, normal: Array, dice: Dice, use: int) -> Array:
        """Irradiance from the sun, over pi, through window and leaves."""
        u, v = dice.pair(use)
        radius, angle = np.sqrt(u) * self.sun_spread, v * np.float32(2 * np.pi)
        side, up = _frame(self.to_sun)
        direction = normalized(self.to_sun + side * (radius * np.cos(angle)) + up * (radius * np.sin(angle)))
        cosine = dot(normal, direction)
        along = (self.window.wall - point[0]) / self.to_sun[0]
        y, z = point[1] + along * self.to_sun[1], point[2] + along * self.to_sun[2]
        passing = self.window.passes(y, z, 2.6 * self.sun_spread * np.maximum(along, 1))
        lit = np.flatnonzero((cosine > 0) & (passing > 0))
        share = np.zeros(point.shape[1], np.float32)
        clear = ~self.geometry.blocked(point[:, lit], direction[:, lit])
        share[lit] = clear * cosine[lit] * passing[lit] * self._foliage(y[lit], z[lit])
        return self.sun * share * self._lens(point, direction)

    def _lens(self, point: Array, direction: Array) -> Array:
        """Roughly what a glass ball does to light on its way: a dark ring, a bright middle."""
        share = np.ones(point.shape[1], np.float32)
        for ball in self.glass:
            away = ball.centre - point
            along = dot(away, direction)
            square = np.maximum(dot(away, away) - along * along, 0) / np.float32(ball.reach() ** 2)
            focus = 0.28 + 3.2 * np.exp(-9 * square)
            share = np.where((along > 0) & (square < 1), mix(focus, np.float32(1), smooth(0.86, 1.0, square)), share)
        return share

    def _foliage(self, y: Array, z: Array) -> Array:
        """Leave gaps between the leaves of a tree before the window."""
        thick = look_up(noise_tile(11, 0.6, 9), z * 5 + 300, y * 5 + 120)
        return 1 - np.float32(0.93) * smooth(0.55, 1.35, thick)

    def from_sky(self, point: Array, normal: Array, dice: Dice, use: int) -> Array:
        """Irradiance from the sky in the panes, over pi."""
        u, v = dice.pair(use)
        window = self.window
        wide, tall = window.columns * window.pane, window.rows * window.pane_tall
        y, z = window.corner[0] + v * np.float32(tall), window.corner[1] + u * np.float32(wide)
        target = np.stack([np.full_like(u, window.wall), y, z])
        away = target - point
        square = dot(away, away)
        length = np.sqrt(square)
        direction = away / length
        cosine = dot(normal, direction)
        lit = np.flatnonzero((cosine > 0) & window.is_open(y, z))
        share = np.zeros(point.shape[1], np.float32)
        clear = ~self.geometry.blocked(point[:, lit], direction[:, lit], length[lit] * np.float32(0.99))
        solid = -direction[0, lit] * np.float32(wide * tall / np.pi) / square[lit]
        share[lit] = np.where(clear, cosine[lit] * solid, 0)
        return self.sky * share * np.minimum(self._lens(point, direction), 1)

    # What a ray sees

    def surroundings(self, rays: Rays) -> Array:
        """Radiance of the room where rays meet no shape; a rough mirror sees the window blurred."""
        o, d = rays.origin, rays.direction
        seen = (self.room * (0.75 + 0.5 * d[1]) * (1 + 0.25 * d[2])).astype(np.float32)
        facing = np.flatnonzero(d[0] < -0.02)
        if rays.depth == 2 or not facing.size:
            return seen
        o, d = o[:, facing], d[:, facing]
        along = (self.window.wall - o[0]) / d[0]
        y, z = o[1] + along * d[1], o[2] + along * d[2]
        blur = np.float32(0.2) if rays.rough is None else 0.2 + 1.2 * rays.rough[facing] * along
        glare = 1 + 5 * np.exp(-((1 - dot(d, self.to_sun)) / np.float32(0.10)))
        seen[:, facing] += (self.panes * glare - seen[:, facing]) * self.window.passes(y, z, blur)
        return seen

    def radiance(self, rays: Rays) -> Array:
        """Light that arrives along rays, (3, N)."""
        hits = self.geometry.nearest(rays.origin, rays.direction)
        found, missed = np.flatnonzero(hits.which >= 0), np.flatnonzero(hits.which < 0)
        seen = np.empty_like(rays.direction)
        seen[:, missed] = self.surroundings(rays.of(missed))
        if found.size:
            seen[:, found] = self._shade(rays.of(found), Hits(hits.which[found], hits.distance[found]))
        return seen

    def _shade(self, rays: Rays, hits: Hits) -> Array:
        """Light that leaves the surfaces that were hit, towards the rays' origins."""
        point = rays.origin + rays.direction * hits.distance
        look = self._looks(point, hits)
        normal = _facing(look.normal, rays.direction)
        outside = point + _facing(look.shape_normal, rays.direction) * SKIN * 2
        light = self.from_sun(outside, normal, rays.dice, 10 + rays.depth)
        if rays.depth < 2:
            light = light + self.from_sky(outside, normal, rays.dice, 20 + rays.depth)
        if rays.depth > 0:
            light = light + self.room
        mirrored, kept = self._mirrored(rays, outside, normal, look)
        albedo = look.albedo * kept
        seen = albedo * light + mirrored
        if rays.film is not None and rays.pixels is not None:
            rays.film.add(rays.pixels, albedo=albedo)
            if rays.gathers:
                bounced = albedo * self._bounced(outside, normal, rays.dice)
                met = {"bounced_albedo": albedo, "normal": look.shape_normal, "point": point}
                rays.film.add(rays.pixels, bounced=bounced, bounced_count=1, **met)
        clear = np.flatnonzero(look.glass)
        if clear.size and rays.depth < 2:
            seen[:, clear] += self._through(rays.of(clear), point[:, clear], hits.which[clear])
        return seen

    def _looks(self, point: Array, hits: Hits) -> Look:
        """Ask each shape that was hit for normals, colours and gloss."""
        count = point.shape[1]
        shape_normal, normal, albedo, shine = (np.zeros((3, count), np.float32) for _ in range(4))
        roughness, glass = np.zeros(count, np.float32), np.zeros(count, bool)
        for number in np.unique(hits.which):
            rays = np.flatnonzero(hits.which == number)
            shape = self.geometry.shapes[number]
            local = shape.turn.T @ (point[:, rays] - shape.centre)
            facing = shape.normal(local)
            surface = shape.material.paint(local, facing)
            shape_normal[:, rays] = shape.turn @ facing
            if surface.tilt is not None:
                facing = normalized(facing + surface.tilt)
            normal[:, rays] = shape.turn @ facing
            albedo[:, rays] = surface.albedo
            shine[:, rays] = vector(*shape.material.shine)
            roughness[rays] = shape.material.roughness
            glass[rays] = shape.material.is_glass
        return Look(shape_normal, normal, albedo, shine, roughness, glass)

    def _bounced(self, point: Array, normal: Array, dice: Dice) -> Array:
        """Light from other surfaces: one ray, cosine distributed."""
        u, v = dice.pair(30)
        side, up = _frame(normal)
        radius, angle = np.sqrt(u), v * np.float32(2 * np.pi)
        direction = side * (radius * np.cos(angle)) + up * (radius * np.sin(angle)) + normal * np.sqrt(1 - u)
        return np.minimum(self.radiance(Rays(point, direction, dice, depth=2)), SAMPLE_LIMIT)

    def _mirrored(self, rays: Rays, point: Array, normal: Array, look: Look) -> tuple[Array, Array]:
        """Light that surfaces mirror, by Schlick's approximation of Fresnel's equations, and the share they keep."""
        light, kept = np.zeros_like(point), np.ones(point.shape[1], np.float32)
        polished = np.flatnonzero(look.shine[0] > 0)
        if not polished.size or rays.depth > 1:
            return light, kept
        d, n, rough = rays.direction[:, polished], normal[:, polished], look.roughness[polished]
        dice = rays.dice.of(polished)
        u, v = dice.pair(40 + rays.depth)
        side, up = _frame(n)
        radius, angle = 0.6 * rough * np.sqrt(u / np.maximum(1.02 - u, 0.02)), v * np.float32(2 * np.pi)
        facet = normalized(n + side * (radius * np.cos(angle)) + up * (radius * np.sin(angle)))
        cosine = np.maximum(-dot(d, facet), 0)
        way = normalized(d + facet * (2 * cosine))
        way = np.where(dot(way, n) < 0, normalized(way - 1.9 * n * dot(way, n)), way)
        base = look.shine[:, polished]
        share = base + (1 - base) * (1 - cosine) ** 5 * (1 - np.minimum(rough * 1.5, 0.8))
        onward = Rays(point[:, polished], way, dice, depth=1, rough=rough)
        found = self.radiance(onward) if rays.depth == 0 else self.surroundings(onward)
        light[:, polished] = share * np.minimum(found, 4 * SAMPLE_LIMIT)
        kept[polished] = 1 - share.mean(axis=0)
        return light, kept

    def _through(self, rays: Rays, point: Array, which: npt.NDArray[np.int32]) -> Array:
        """Light through a glass ball: refracted in, refracted out (Snell), and on through the scene."""
        seen = np.zeros_like(point)
        for number in np.unique(which):
            some = np.flatnonzero(which == number)
            shape = self.geometry.shapes[number]
            d, p = rays.direction[:, some], point[:, some]
            n = normalized(p - shape.centre)
            inner = _refracted(d, n, 1 / 1.5)
            chord = -2 * dot(inner, p - shape.centre)
            leave = p + inner * chord
            outward = normalized(leave - shape.centre)
            outer = _refracted(inner, -outward, 1.5)
            tint = np.exp(-vector(0.030, 0.012, 0.008) * chord)
            share = 1 - (0.04 + 0.96 * (1 - np.abs(dot(d, n))) ** 5)
            onward = Rays(leave + outward * SKIN * 2, outer, rays.dice.of(some), depth=1)
            seen[:, some] = tint * share * self.radiance(onward)
        return seen


def _facing(normal: Array, direction: Array) -> Array:
    """Turn normals that bumps have tilted away back to the ray's side."""
    along = dot(normal, direction)
    return np.where(along > 0, normalized(normal - 1.02 * direction * along), normal)


def _frame(normal: Array) -> tuple[Array, Array]:
    """Two directions that stand on a normal and on each other (Duff et al., 2017)."""
    sign = np.where(normal[2] >= 0, np.float32(1), np.float32(-1))
    a = -1 / (sign + normal[2])
    b = normal[0] * normal[1] * a
    first = np.stack([1 + sign * normal[0] ** 2 * a, sign * b, -sign * normal[0]])
    return first, np.stack([b, sign + normal[1] ** 2 * a, -normal[1]])


def _refracted(direction: Array, normal: Array, ratio: float) -> Array:
    """Bend rays that meet a surface from its normal's side."""
    cosine = -dot(direction, normal)
    square = 1 - ratio * ratio * (1 - cosine * cosine)
    return normalized(direction * ratio + normal * (ratio * cosine - np.sqrt(np.maximum(square, 0))))
