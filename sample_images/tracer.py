"""A small Monte Carlo ray tracer in NumPy: shapes, rays and the light between them.

Points and directions are (3, N) float32 arrays, one column per ray; lengths
are in centimetres. All randomness comes from a seeded hash of pixel and
sample, so that a picture depends on nothing but its description.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float32]
Numbers = npt.NDArray[np.float64]
Indices = npt.NDArray[np.intp]

#: A ray starts this far off the surface it leaves.
SKIN = np.float32(2e-3)
FAR = np.float32(1e9)
#: Steps of a lathe's look-up tables.
TABLE = 512


def vector(*numbers: float) -> Array:
    """Make a (3, 1) column, which broadcasts over rays."""
    return np.array(numbers, np.float32).reshape(3, 1)


def dot(a: Array, b: Array) -> Array:
    """Scalar product of each pair of columns."""
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


def normalized(a: Array) -> Array:
    """Columns of length one."""
    return a / np.sqrt(np.maximum(dot(a, a), np.float32(1e-20)))


def rotation(*, yaw: float = 0.0, pitch: float = 0.0, roll: float = 0.0) -> Array:
    """Rotate about z by roll, then about x by pitch, then about y by yaw; degrees."""
    (cy, cp, cr), (sy, sp, sr) = np.cos(np.radians([yaw, pitch, roll])), np.sin(np.radians([yaw, pitch, roll]))
    about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    about_x = np.array([[1, 0, 0], [0, cp, -sp], [0, sp, cp]])
    about_z = np.array([[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]])
    return (about_y @ about_x @ about_z).astype(np.float32)


@dataclass(frozen=True)
class Surface:
    """What a material looks like at N points: colour, and a tilt of the normal, in the shape's own axes."""

    albedo: Array
    tilt: Array | None = None


@dataclass(frozen=True)
class Material:
    """How a shape answers light.

    ``paint`` turns the points and normals of a hit, in the shape's own axes,
    into a Surface. ``shine`` is the reflectance at normal incidence, one
    number or three (metal: three, and a black albedo).
    """

    paint: Callable[[Array, Array], Surface]
    shine: tuple[float, float, float] = (0.0, 0.0, 0.0)
    roughness: float = 0.0
    is_glass: bool = False


@dataclass(frozen=True, eq=False)
class Shape:
    """A solid in its own axes, turned by ``turn`` and moved to ``centre``."""

    material: Material
    centre: Array = field(default_factory=lambda: vector(0, 0, 0))
    turn: Array = field(default_factory=lambda: np.eye(3, dtype=np.float32))

    def reach(self) -> float:
        """Radius of a sphere about the centre that holds the shape; infinite if there is none."""
        return float("inf")

    def distance(self, origin: Array, direction: Array) -> Array:
        """Distance along each ray, in the shape's own axes, to the first hit; FAR without one."""
        raise NotImplementedError

    def normal(self, point: Array) -> Array:
        """Outward normals at points on the surface, in the shape's own axes."""
        raise NotImplementedError

    def hit(self, origin: Array, direction: Array) -> Array:
        """Distance along rays given in the scene's axes."""
        local, way = self.turn.T @ (origin - self.centre), self.turn.T @ direction
        reach = self.reach()
        if reach == float("inf"):
            return self.distance(local, way)
        # Thin shapes seen from afar are beyond float32: start beside them.
        skipped = np.maximum(-dot(local, way) - np.float32(1.1 * reach + 0.1), 0)
        return np.minimum(self.distance(local + way * skipped, way) + skipped, FAR)


@dataclass(frozen=True, eq=False)
class Plane(Shape):
    """The plane z = 0 in its own axes."""

    def distance(self, origin: Array, direction: Array) -> Array:
        """See Shape."""
        with np.errstate(divide="ignore", invalid="ignore"):
            t = -origin[2] / direction[2]
        return np.where(t > SKIN, t, FAR)

    def normal(self, point: Array) -> Array:
        """See Shape."""
        return np.broadcast_to(vector(0, 0, 1), point.shape)


@dataclass(frozen=True, eq=False)
class Ellipsoid(Shape):
    """An ellipsoid with three semi-axes."""

    axes: tuple[float, float, float] = (1.0, 1.0, 1.0)

    def reach(self) -> float:
        """See Shape."""
        return max(self.axes)

    def distance(self, origin: Array, direction: Array) -> Array:
        """See Shape."""
        scale = vector(*self.axes)
        o, d = origin / scale, direction / scale
        a, b, c = dot(d, d), dot(o, d), dot(o, o) - 1
        root = b * b - a * c
        s = np.sqrt(np.maximum(root, 0))
        first, second = (-b - s) / a, (-b + s) / a
        t = np.where(first > SKIN, first, second)
        return np.where((root > 0) & (t > SKIN), t, FAR)

    def normal(self, point: Array) -> Array:
        """See Shape."""
        return normalized(point / vector(*self.axes) ** 2)


@dataclass(frozen=True, eq=False)
class Box(Shape):
    """A box with three half sides."""

    half: tuple[float, float, float] = (1.0, 1.0, 1.0)

    def reach(self) -> float:
        """See Shape."""
        return float(np.linalg.norm(self.half))

    def distance(self, origin: Array, direction: Array) -> Array:
        """See Shape."""
        inverse = 1 / np.where(np.abs(direction) < 1e-9, np.float32(1e-9), direction)
        half = vector(*self.half)
        a, b = (-half - origin) * inverse, (half - origin) * inverse
        enter, leave = np.minimum(a, b).max(axis=0), np.maximum(a, b).min(axis=0)
        t = np.where(enter > SKIN, enter, leave)
        return np.where((enter < leave) & (t > SKIN), t, FAR)

    def normal(self, point: Array) -> Array:
        """See Shape."""
        relative = point / vector(*self.half)
        face = np.argmax(np.abs(relative), axis=0)
        normal = np.zeros_like(point)
        rays = np.arange(point.shape[1])
        normal[face, rays] = np.sign(relative[face, rays])
        return normal


@dataclass(frozen=True, eq=False)
class Stick(Shape):
    """A round stick along y from 0 to ``length``, getting thinner from ``radius`` to ``tip``."""

    radius: float = 1.0
    tip: float = 1.0
    length: float = 1.0

    def reach(self) -> float:
        """See Shape."""
        return self.length + self.radius

    def distance(self, origin: Array, direction: Array) -> Array:
        """See Shape."""
        slope = np.float32((self.tip - self.radius) / self.length)
        width = self.radius + slope * origin[1]
        a = direction[0] ** 2 + direction[2] ** 2 - (slope * direction[1]) ** 2
        b = origin[0] * direction[0] + origin[2] * direction[2] - width * slope * direction[1]
        c = origin[0] ** 2 + origin[2] ** 2 - width**2
        root = b * b - a * c
        a = np.where(np.abs(a) < 1e-9, np.float32(1e-9), a)
        t = (-b - np.sqrt(np.maximum(root, 0))) / a
        height = origin[1] + t * direction[1]
        return np.where((root > 0) & (t > SKIN) & (height > 0) & (height < self.length), t, FAR)

    def normal(self, point: Array) -> Array:
        """See Shape."""
        return normalized(np.stack([point[0], np.zeros_like(point[0]), point[2]]))


@dataclass(frozen=True, eq=False)
class Lathe(Shape):
    """A solid of revolution about y: a smooth outline through heights and the radius at each."""

    outline: tuple[tuple[float, ...], tuple[float, ...]] = ((0.0, 1.0), (1.0, 1.0))
    steps: int = 28

    @cached_property
    def _tables(self) -> tuple[Array, Array]:
        """Radius and its slope at even steps of height."""
        heights, radii = (np.array(numbers) for numbers in self.outline)
        fine = np.linspace(heights[0], heights[-1], TABLE + 1)
        curve = monotone_cubic(heights, radii, fine)
        return curve.astype(np.float32), np.gradient(curve, fine[1] - fine[0]).astype(np.float32)

    def reach(self) -> float:
        """See Shape."""
        return float(np.hypot(*self.outline).max())

    def distance(self, origin: Array, direction: Array) -> Array:
        """See Shape."""
        enter, leave = self._slab(origin, direction)
        crossing = np.full(enter.shape, FAR, np.float32)
        live = np.flatnonzero(enter < leave)
        if not live.size:
            return crossing
        o, d, enter = origin[:, live], direction[:, live], enter[live]
        step = (leave[live] - enter) / self.steps
        low, high = enter.copy(), np.full(live.size, FAR, np.float32)
        outside = self._outside(o, d, low)
        high = np.where(outside > 0, high, low)
        for index in range(1, self.steps + 1):
            t = enter + step * np.float32(index)
            inside = self._outside(o, d, t) <= 0
            first = (high == FAR) & inside
            high = np.where(first, t, high)
            low = np.where((high == FAR), t, low)
        found = np.flatnonzero((high != FAR) & (outside > 0))
        a, b, o, d = low[found], high[found], o[:, found], d[:, found]
        for _ in range(9):
            middle = (a + b) / 2
            inside = self._outside(o, d, middle) <= 0
            a, b = np.where(inside, a, middle), np.where(inside, middle, b)
        t = np.where(outside > 0, FAR, enter)
        t[found] = b
        crossing[live] = np.where(t > SKIN, t, FAR)
        return crossing

    def normal(self, point: Array) -> Array:
        """See Shape."""
        curve, slopes = self._tables
        slope = self._at(slopes, point[1])
        radius = np.sqrt(point[0] ** 2 + point[2] ** 2)
        side = normalized(np.stack([point[0], -slope * radius, point[2]]))
        bottom, top = self.outline[0][0], self.outline[0][-1]
        rim = self._at(curve, point[1])
        on_top = (point[1] > top - 0.01) & (radius < rim - 0.01)
        on_bottom = (point[1] < bottom + 0.01) & (radius < rim - 0.01)
        return np.where(on_top, vector(0, 1, 0), np.where(on_bottom, vector(0, -1, 0), side))

    def _slab(self, origin: Array, direction: Array) -> tuple[Array, Array]:
        """Where each ray is inside the enclosing cylinder."""
        heights, radii = self.outline
        radius = max(radii) * 1.001
        a = np.maximum(direction[0] ** 2 + direction[2] ** 2, np.float32(1e-12))
        b = origin[0] * direction[0] + origin[2] * direction[2]
        root = b * b - a * (origin[0] ** 2 + origin[2] ** 2 - np.float32(radius * radius))
        s = np.sqrt(np.maximum(root, 0))
        dy = np.where(np.abs(direction[1]) < 1e-9, np.float32(1e-9), direction[1])
        low, high = (heights[0] - origin[1]) / dy, (heights[-1] - origin[1]) / dy
        enter = np.maximum(np.maximum((-b - s) / a, np.minimum(low, high)), SKIN)
        leave = np.minimum((-b + s) / a, np.maximum(low, high))
        return enter.astype(np.float32), np.where(root > 0, leave, np.float32(-1)).astype(np.float32)

    def _outside(self, o: Array, d: Array, t: Array) -> Array:
        x, y, z = o[0] + t * d[0], o[1] + t * d[1], o[2] + t * d[2]
        radius = self._at(self._tables[0], y)
        return x * x + z * z - radius * radius

    def _at(self, table: Array, height: Array) -> Array:
        """Linear look-up by height."""
        bottom, top = self.outline[0][0], self.outline[0][-1]
        place = np.clip(
            (height - np.float32(bottom)) * np.float32(TABLE / (top - bottom)), 0, np.float32(TABLE - 0.001)
        )
        index = place.astype(np.int32)
        low = table[index]
        return low + (place - index) * (table[index + 1] - low)


def monotone_cubic(x: Numbers, y: Numbers, at: Numbers) -> Numbers:
    """Interpolate without overshoot (Fritsch and Butland, 1984)."""
    width, rise = np.diff(x), np.diff(y) / np.diff(x)
    slope = np.zeros_like(y)
    same = rise[1:] * rise[:-1] > 0
    w1, w2 = 2 * width[1:] + width[:-1], width[1:] + 2 * width[:-1]
    with np.errstate(divide="ignore", invalid="ignore"):
        harmonic = (w1 + w2) / (w1 / rise[:-1] + w2 / rise[1:])
    slope[1:-1] = np.where(same, harmonic, 0)
    slope[0], slope[-1] = 1.5 * rise[0] - 0.5 * slope[1], 1.5 * rise[-1] - 0.5 * slope[-2]
    index = np.clip(np.searchsorted(x, at, side="right") - 1, 0, len(x) - 2)
    t = (at - x[index]) / width[index]
    h = width[index]
    return (
        y[index] * (1 + 2 * t) * (1 - t) ** 2
        + y[index + 1] * t * t * (3 - 2 * t)
        + h * slope[index] * t * (1 - t) ** 2
        - h * slope[index + 1] * t * t * (1 - t)
    )


class Cluster:
    """Shapes close together, skipped as one by rays that pass far away."""

    def __init__(self, shapes: Sequence[Shape]) -> None:
        self.shapes = tuple(shapes)
        self.centre = np.mean([shape.centre for shape in shapes], axis=0, dtype=np.float32)
        self.reach = max(float(np.linalg.norm(shape.centre - self.centre)) + shape.reach() for shape in shapes)


def _near(origin: Array, direction: Array, centre: Array, reach: float) -> Indices:
    """Find the rays that meet a sphere."""
    away = origin - centre
    along, square = dot(away, direction), dot(away, away)
    limit = np.float32(reach * reach)
    return np.flatnonzero((square - along * along < limit) & ((along < 0) | (square < limit)))


@dataclass(frozen=True)
class Hits:
    """The nearest shape along each ray: its index (-1: none) and its distance."""

    which: npt.NDArray[np.int32]
    distance: Array


class Geometry:
    """All shapes of a scene."""

    def __init__(self, parts: Sequence[Shape | Cluster]) -> None:
        self.shapes: list[Shape] = []
        self._clusters: list[tuple[Cluster | None, range]] = []
        for part in parts:
            members = part.shapes if isinstance(part, Cluster) else (part,)
            first = len(self.shapes)
            self.shapes.extend(members)
            self._clusters.append((part if isinstance(part, Cluster) else None, range(first, len(self.shapes))))

    def nearest(self, origin: Array, direction: Array) -> Hits:
        """Find the first shape that each ray meets."""
        distance = np.full(origin.shape[1], FAR, np.float32)
        which = np.full(origin.shape[1], -1, np.int32)
        for number, rays in self._meetings(origin, direction):
            t = self.shapes[number].hit(origin[:, rays], direction[:, rays])
            closer = t < distance[rays]
            distance[rays] = np.where(closer, t, distance[rays])
            which[rays] = np.where(closer, np.int32(number), which[rays])
        return Hits(which, distance)

    def blocked(self, origin: Array, direction: Array, limit: Array | np.float32 = FAR) -> npt.NDArray[np.bool_]:
        """Tell which rays meet an opaque shape before ``limit``."""
        shadow = np.zeros(origin.shape[1], bool)
        limits = np.broadcast_to(limit, shadow.shape)
        for number, meeting in self._meetings(origin, direction):
            rays = meeting[~shadow[meeting]]
            if rays.size and not self.shapes[number].material.is_glass:
                shadow[rays] = self.shapes[number].hit(origin[:, rays], direction[:, rays]) < limits[rays]
        return shadow

    def _meetings(self, origin: Array, direction: Array) -> Iterator[tuple[int, Indices]]:
        """Pair every shape with the rays that may meet it."""
        everyone = np.arange(origin.shape[1])
        for cluster, numbers in self._clusters:
            group = everyone if cluster is None else _near(origin, direction, cluster.centre, cluster.reach)
            if not group.size:
                continue
            o, d = (origin, direction) if cluster is None else (origin[:, group], direction[:, group])
            for number in numbers:
                shape = self.shapes[number]
                reach = shape.reach()
                rays = group if reach == float("inf") else group[_near(o, d, shape.centre, reach)]
                if rays.size:
                    yield number, rays
