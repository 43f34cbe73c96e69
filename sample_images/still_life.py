"""A still life by a window: books, a tea caddy, lemons on linen, an olive branch, a glass ball."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from functools import cache, partial
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from film import Camera, Dice, Film, develop
from light import Light, Rays
from materials import (
    book_cloth,
    clear,
    delft,
    leaf,
    lemon_cut,
    lemon_peel,
    linen,
    pages,
    plain,
    planks,
    plaster,
    tin,
)
from tracer import (
    Array,
    Box,
    Cluster,
    Ellipsoid,
    Geometry,
    Indices,
    Lathe,
    Material,
    Plane,
    Shape,
    Stick,
    rotation,
    vector,
)

#: Rays through every pixel, and through those that then are uncertain by more than this share.
SAMPLES, MORE_SAMPLES, NOISE_LIMIT = 8, 24, 0.05
#: Pixels rendered at a time: fewer and Python takes longer than NumPy, more and memory does.
BAND = 48_000

Numbers: TypeAlias = npt.NDArray[np.float64]
Triple: TypeAlias = tuple[float, float, float]

CAMERA = Camera(place=(3.5, 20.5, 80.0), target=(0.2, 11.6, 0.0), view=24.0, focus=79.0, lens=0.22)

#: Outlines of turned things: heights, and the radius at each.
LEMON = (
    (0.0, 0.12, 0.45, 0.95, 1.8, 3.1, 4.2, 5.4, 6.5, 7.1, 7.5, 7.75),
    (0.02, 0.34, 0.55, 1.00, 1.95, 2.62, 2.70, 2.30, 1.42, 0.72, 0.46, 0.02),
)
VASE = (
    (0.0, 0.5, 0.9, 2.0, 4.0, 6.6, 9.0, 11.2, 12.8, 14.2, 15.4, 16.6, 17.0, 17.15),
    (2.9, 3.0, 2.95, 3.9, 5.15, 5.75, 5.25, 3.85, 2.55, 2.05, 2.2, 2.95, 3.15, 3.10),
)
CADDY = (
    (0.0, 0.15, 10.85, 10.95, 11.0, 12.6, 12.85, 13.05, 13.12),
    (4.18, 4.3, 4.3, 4.3, 4.42, 4.42, 4.35, 4.0, 1.5),
)
KNOB = (
    (0.0, 0.35, 0.6, 1.0, 1.4, 1.6),
    (0.5, 0.45, 0.75, 0.92, 0.75, 0.05),
)


def scene() -> Geometry:
    """Lay the table."""
    gloss = (0.045, 0.045, 0.045)
    peel = Material(lemon_peel, gloss, 0.22)
    parts: list[Shape | Cluster] = [
        Plane(Material(plaster), vector(0, 0, -27)),
        Plane(Material(planks, (0.03, 0.03, 0.03), 0.16), turn=rotation(pitch=-90)),
        Box(Material(linen), vector(-3.5, 0.06, 7.0), rotation(yaw=9), half=(15.0, 0.06, 7.2)),
        Lathe(Material(delft, (0.055, 0.055, 0.055), 0.012), vector(-12.4, 0, -5.5), rotation(yaw=20), VASE),
        Lathe(peel, vector(-4.6, 2.75, 5.8), rotation(yaw=-38, roll=90), LEMON, 20),
        Lathe(peel, vector(-0.1, 2.72, 1.6), rotation(yaw=48, roll=93), LEMON, 20),
        Lathe(
            Material(lemon_cut, gloss, 0.12),
            vector(2.3, 0.30, 9.0),
            rotation(yaw=14, pitch=40),
            tuple(row[:6] for row in LEMON),
            16,
        ),
        Ellipsoid(Material(clear, (0.04, 0.04, 0.04), 0.0, True), vector(19.8, 2.9, 10.6), axes=(2.9, 2.9, 2.9)),
        *_book(vector(12.4, 1.75, -5.6), -7, (12.4, 1.75, 8.4), (0.030, 0.085, 0.125), "CONVOLUTION"),
        *_book(vector(12.9, 4.85, -6.2), 6, (10.9, 1.35, 7.4), (0.23, 0.165, 0.050), "A TREATISE OF EDGES"),
        Lathe(Material(tin, (0.05, 0.05, 0.05), 0.06), vector(9.6, 6.2, -6.4), rotation(yaw=-8), CADDY, 20),
        Lathe(Material(clear, (0.80, 0.62, 0.33), 0.10), vector(9.6, 19.3, -6.4), rotation(), KNOB, 16),
        *_branches(),
    ]
    return Geometry(parts)


def _book(middle: Array, yaw: float, half: Triple, colour: Triple, title: str) -> list[Shape]:
    """Lay a book with its spine towards the viewer: two boards, a spine, and the pages between."""
    turn = rotation(yaw=yaw)
    w, h, d = half
    board = 0.17
    cloth = Material(partial(book_cloth, colour, title, half), (0.02, 0.02, 0.02), 0.4)
    parts: list[Shape] = []
    for up in (h - board, board - h):
        place = middle + turn @ vector(0, up, 0)
        lid = Material(partial(book_cloth, colour, "", (w, board, d)), (0.02, 0.02, 0.02), 0.4)
        parts.append(Box(lid, place, turn, half=(w, board, d)))
    parts.append(Box(cloth, middle + turn @ vector(0, 0, d - 0.3), turn, half=(w - 0.02, h - 2 * board + 0.1, 0.32)))
    inside = middle + turn @ vector(0, 0, -0.25)
    parts.append(Box(Material(pages), inside, turn, half=(w - 0.45, h - 2 * board, d - 0.55)))
    return parts


def _branches() -> list[Cluster]:
    """Twigs of an olive tree in the vase, with leaves in pairs and a few olives."""
    dice = np.random.RandomState(41)
    twigs = ((-0.62, 0.10, 5), (-0.16, -0.25, 7), (0.30, 0.22, 7), (0.72, -0.05, 7), (0.10, 0.45, 5))
    return [_twig(lean_x, lean_z, pieces, dice) for lean_x, lean_z, pieces in twigs]


def _twig(lean_x: float, lean_z: float, pieces: int, dice: np.random.RandomState) -> Cluster:
    bark = Material(plain(0.16, 0.115, 0.075, 0.2))
    green = Material(leaf, (0.04, 0.04, 0.04), 0.30)
    olive = Material(plain(0.085, 0.060, 0.085, 0.12), (0.05, 0.05, 0.05), 0.12)
    parts: list[Shape] = []
    foot = np.array([-12.4 + lean_x, 16.0, -5.5 + lean_z])
    way = np.array([lean_x, 1.35, lean_z])
    for piece in range(pieces):
        way = way + np.array([lean_x * 0.16, -0.075, lean_z * 0.1]) + dice.normal(0, 0.06, 3)
        way /= np.linalg.norm(way)
        parts.append(_stick(bark, foot, way, 2.15, 0.17 - 0.018 * piece))
        foot = foot + way * 2.15
        if piece >= 1:
            parts.extend(_leaf_pair(green, foot, way, dice))
        if piece in (2, 4) and dice.rand() < 0.75:
            hang = foot + np.array([dice.normal(0, 0.35), -0.85, dice.normal(0, 0.35)])
            parts.append(Ellipsoid(olive, vector(*hang), rotation(roll=dice.normal(0, 20)), axes=(0.55, 0.75, 0.55)))
    parts.append(_leaf(green, foot, way, 3.0))
    return Cluster(parts)


def _leaf_pair(green: Material, foot: Numbers, way: Numbers, dice: np.random.RandomState) -> list[Shape]:
    across = np.cross(way, dice.normal(0, 1, 3))
    across /= np.linalg.norm(across)
    ways = (way * 0.75 + side * across + dice.normal(0, 0.16, 3) for side in (1, -1))
    return [_leaf(green, foot, onward, dice.uniform(2.0, 2.9)) for onward in ways]


def _leaf(green: Material, foot: Numbers, way: Numbers, length: float) -> Shape:
    way = way / np.linalg.norm(way)
    return Ellipsoid(green, vector(*(foot + way * length)), _turn_to(way), axes=(0.52, length, 0.06))


def _stick(bark: Material, foot: Numbers, way: Numbers, length: float, radius: float) -> Shape:
    return Stick(bark, vector(*foot), _turn_to(way), radius=radius, tip=radius - 0.018, length=length * 1.02)


def _turn_to(way: Numbers) -> Array:
    """Turn y to point along ``way``, z to the viewer as far as it can."""
    z = np.array([0.25, 0.35, 1.0]) - way * np.dot(way, [0.25, 0.35, 1.0])
    z /= np.linalg.norm(z)
    return np.stack([np.cross(way, z), way, z], axis=1).astype(np.float32)


# The picture


def render(width: int = 1200, height: int = 800) -> npt.NDArray[np.uint8]:
    """Render the still life, (height, width, 3) uint8 sRGB."""
    rows = max(1, BAND // width)
    bands = [(top, min(top + rows, height)) for top in range(0, height, rows)]
    expose = partial(_expose, width, height)
    if len(bands) == 1:
        films = [expose(bands[0])]
    else:
        with ProcessPoolExecutor() as pool:
            films = list(pool.map(expose, bands))
    return develop(Film.joined(films).light())


@cache
def _light() -> Light:
    return Light(scene())


def _expose(width: int, height: int, band: tuple[int, int]) -> Film:
    """Gather the light of some rows."""
    rows, cols = (index.ravel() for index in np.mgrid[band[0] : band[1], 0:width])
    film = Film(band[1] - band[0], width)

    def add_rays(pixels: Indices, count: int, *, gathers: bool) -> None:
        for sample in range(count):
            dice = Dice(rows[pixels], cols[pixels], sample, count)
            origin, direction = CAMERA.rays(width, height, dice)
            rays = Rays(origin, direction, dice, film=film, pixels=pixels, gathers=gathers)
            film.expose(pixels, _light().radiance(rays))

    add_rays(np.arange(rows.size), SAMPLES, gathers=True)
    add_rays(film.noisy(NOISE_LIMIT), MORE_SAMPLES, gathers=False)
    return film
