"""What things are made of: every function paints N points of a surface, given in the shape's own axes."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial

import numpy as np
from textures import decal, lettering, look_up, mix, noise_tile, smooth
from tracer import Array, Surface, normalized, vector


def _bump(x: Array, y: Array, tile: Array, strength: float) -> tuple[Array, Array]:
    """Slope of a noise tile along x and y."""
    step = np.float32(0.7)
    here = look_up(tile, x, y)
    return (here - look_up(tile, x + step, y)) * strength, (here - look_up(tile, x, y + step)) * strength


def plaster(point: Array, normal: Array) -> Surface:
    """Limewashed wall, brushed in all directions."""
    x, y = point[0], point[1]
    cloud = look_up(noise_tile(1, 1.7), x * 4 + 80, y * 4)
    grain = look_up(noise_tile(2, 0.9), x * 9, y * 9)
    colour = vector(0.150, 0.255, 0.245) * (1 + 0.085 * cloud + 0.035 * grain)
    dx, dy = _bump(x * 8, y * 8, noise_tile(3, 1.3), 0.16)
    return Surface(colour, np.stack([dx, dy, np.zeros_like(dx)]))


def planks(point: Array, normal: Array) -> Surface:
    """Oak boards along x. In the plane's own axes y runs into the picture, against z."""
    width = np.float32(11.5)
    board = np.floor(point[1] / width + 0.23)
    across = (point[1] / width + 0.23 - board) * width
    shift = (board * 137) % 1024
    x, y = point[0] * 0.9 + shift * 3, point[1] * 9 + shift
    wave = look_up(noise_tile(4, 2.0), point[0] * 1.5 + shift, point[1] * 5 + shift)
    rings = np.sin((across * 1.4 + wave * 2.6 + board * 1.7) * 2.2)
    fibre = look_up(noise_tile(5, 0.5), x * 0.9, y * 1.7)
    pores = smooth(1.1, 2.2, look_up(noise_tile(6, 0.35), x * 1.6 + 50, y * 2.2))
    tone = 1 + 0.10 * np.sin(board * 2.4 + 0.6)
    warm = mix(vector(0.40, 0.220, 0.105), vector(0.255, 0.122, 0.052), 0.5 + 0.5 * rings)
    colour = warm * tone * (1 + 0.085 * fibre) * (1 - 0.42 * pores)
    gap = np.minimum(across, width - across)
    colour = colour * (0.16 + 0.84 * smooth(0.03, 0.16, gap))
    roll = np.where(across < width / 2, 1.0, -1.0) * (1 - smooth(0.05, 0.5, gap)) * 0.35
    dx, dy = _bump(x, y * 1.7, noise_tile(5, 0.5), 0.022)
    return Surface(colour.astype(np.float32), np.stack([dx, dy - roll, np.zeros_like(dx)]).astype(np.float32))


def linen(point: Array, normal: Array) -> Surface:
    """Woven cloth, threads over and under, with stripes near its ends."""
    x, z = point[0], point[2]
    wander = look_up(noise_tile(7, 1.6), x * 5, z * 5)
    u = x * 7.4 + wander * 0.10
    v = z * 7.4 + look_up(noise_tile(8, 1.6), x * 5, z * 5) * 0.10
    warp, weft = np.abs(np.sin(np.pi * u)), np.abs(np.sin(np.pi * v))
    over = (np.floor(u) + np.floor(v)) % 2
    height = np.where(over > 0.5, warp**0.6 * (0.62 + 0.38 * weft), weft**0.6 * (0.62 + 0.38 * warp))
    slub = look_up(noise_tile(9, 0.8), u * 0.35, v * 6) * 0.06 + look_up(noise_tile(9, 0.8), u * 6, v * 0.35) * 0.05
    end = 15.0 - np.abs(x)
    stripe = smooth(1.6, 1.75, end) - smooth(2.9, 3.05, end) + smooth(3.5, 3.6, end) - smooth(3.9, 4.0, end)
    cloth = mix(vector(0.66, 0.62, 0.54), vector(0.11, 0.19, 0.33), stripe * 0.92)
    colour = cloth * (0.50 + 0.50 * height + slub)
    folds = noise_tile(10, 2.6)
    lean = (look_up(folds, x * 12, z * 12 + 400) - look_up(folds, x * 12 + 14, z * 12 + 400)) * 1.1
    tilt = np.stack([lean, np.zeros_like(x), lean * 0.5])
    return Surface(colour.astype(np.float32), tilt.astype(np.float32))


def lemon_peel(point: Array, normal: Array) -> Surface:
    """Yellow, dimpled, a little green towards the tips."""
    angle = np.arctan2(point[2], point[0])
    u, v = angle * 18, point[1] * 9
    dx, dy = _bump(u * 1.5, v * 1.5, noise_tile(12, 0.6, 1.3), 0.11)
    tone = look_up(noise_tile(1, 1.7), u + 200, v + 90)
    tips = smooth(2.6, 4.3, np.abs(point[1] - 3.9))
    colour = mix(vector(0.86, 0.56, 0.035), vector(0.56, 0.50, 0.06), 0.75 * tips) * (1 + 0.045 * tone)
    side = normalized(np.stack([-point[2], np.zeros_like(u), point[0]]))
    return Surface(colour.astype(np.float32), (side * dx + vector(0, 1, 0) * dy).astype(np.float32))


def lemon_cut(point: Array, normal: Array) -> Surface:
    """Half a lemon: flesh where the cut is, peel elsewhere."""
    if not (normal[1] > 0.99).any():
        return lemon_peel(point, normal)
    radius, angle = np.hypot(point[0], point[2]), np.arctan2(point[2], point[0])
    part = angle * (9 / (2 * np.pi)) + 0.04 * look_up(noise_tile(10, 2.6), radius * 90, angle * 0 + 5)
    edge = np.abs(part - np.round(part)) * (2 * np.pi / 9) * radius
    flesh = smooth(0.05, 0.13, edge) * (1 - smooth(2.16, 2.26, radius)) * smooth(0.26, 0.36, radius)
    cells = look_up(noise_tile(13, 0.7), angle * 60, radius * 7)
    juice = vector(0.80, 0.60, 0.10) * (1 + 0.13 * cells)
    pith = mix(vector(0.84, 0.79, 0.56), vector(0.86, 0.60, 0.05), smooth(2.52, 2.62, radius))
    peel = lemon_peel(point, normal)
    cut = normal[1] > 0.99
    colour = np.where(cut, mix(pith, juice, flesh), peel.albedo)
    dx, dy = _bump(angle * 60, radius * 7, noise_tile(13, 0.7), 0.10)
    assert peel.tilt is not None
    wet = np.stack([dx * flesh, np.zeros_like(dx), dy * flesh])
    return Surface(colour.astype(np.float32), np.where(cut, wet, peel.tilt).astype(np.float32))


def delft(point: Array, normal: Array) -> Surface:
    """White glaze with cobalt bands, waves and dots, as a brush leaves them."""
    angle, y = np.arctan2(point[2], point[0]), point[1]
    y = y + 0.035 * look_up(noise_tile(10, 2.6), angle * 60, y * 20)
    radius = np.hypot(point[0], point[2])

    def line(at: float, half: float) -> Array:
        return 1 - smooth(half - 0.04, half + 0.04, np.abs(y - np.float32(at)))

    turn = angle / (2 * np.pi)
    wave = 1 - smooth(0.10, 0.19, np.abs(y - 3.0 - 0.42 * np.sin(angle * 14)))
    place = turn * 24
    dots = 1 - smooth(0.13, 0.21, np.hypot((place - np.round(place)) * (2 * np.pi / 24) * radius, y - 11.35))
    leaf = turn * 12
    across = (leaf - np.round(leaf)) * (2 * np.pi / 12) * radius
    rise = np.clip((y - 4.5) / 5.6, 0, 1)
    outline = 1.05 * np.sin(np.pi * rise**0.8)
    white_line = smooth(0.03, 0.12, 0.16 - np.abs(np.abs(across) - outline * 0.62))
    petal = (1 - smooth(-0.06, 0.06, np.abs(across) - outline)) * (1 - white_line)
    lines = [line(*at) for at in ((1.0, 0.32), (1.75, 0.09), (4.2, 0.10), (10.6, 0.10), (12.1, 0.10), (16.6, 0.35))]
    blue = np.maximum.reduce([*lines, wave, petal, dots])
    wash = 0.80 + 0.20 * look_up(noise_tile(1, 1.7), angle * 50, y * 14)
    ink = mix(vector(0.70, 0.71, 0.69), vector(0.018, 0.055, 0.235), np.clip(blue * np.clip(wash, 0.5, 1), 0, 1))
    inside = (normal[1] > 0.99) & (y > 10)
    return Surface(np.where(inside, vector(0.02, 0.02, 0.02), ink).astype(np.float32))


def plain(red: float, green: float, blue: float, change: float) -> Callable[[Array, Array], Surface]:
    """One colour, slightly uneven."""
    return partial(_plain, vector(red, green, blue), change)


def _plain(colour: Array, change: float, point: Array, normal: Array) -> Surface:
    uneven = look_up(noise_tile(1, 1.1), point[0] * 23 + point[2] * 9, point[1] * 23 + point[2] * 17)
    return Surface((colour * (1 + np.float32(change) * uneven)).astype(np.float32))


@cache
def _spine(title: str) -> Array:
    return lettering((1400, 160), [(title, 0.31, 0.5, 0.055)])


def book_cloth(
    colour: tuple[float, float, float], title: str, half: tuple[float, float, float], point: Array, normal: Array
) -> Surface:
    """Woven book cloth; on the spine a gilt title and lines."""
    x, y, z = point
    threads = 0.5 * np.sin(x * 62) * np.sin((y + z) * 62) + 0.5 * look_up(noise_tile(2, 0.9), x * 14, (y + z) * 14)
    worn = smooth(0.16, 0.0, half[1] - np.abs(y)) * smooth(-0.4, 1.6, look_up(noise_tile(1, 1.7), x * 8, z * 8 + y * 8))
    base = vector(*colour) * (1 + 0.10 * threads) + 0.10 * worn * smooth(0.2, 0.0, half[2] - np.abs(z))
    spine = normal[2] > 0.9
    across, down = (x / half[0] + 1) / 2, (1 - y / half[1]) / 2
    # The lettering keeps its shape on any spine: 8.75 times as wide as tall.
    shown = decal(_spine(title), (x / (half[1] * 8.75) + 1) / 2, down)
    for at in (0.075, 0.105, 0.895, 0.925):
        shown = np.maximum(shown, 1 - smooth(0.0025, 0.0040, np.abs(across - at)))
    gilt = shown * np.where(spine, 1.0, 0.0)
    bend = np.where(spine, y / half[1] * 0.55, 0)
    tilt = np.stack([0.05 * np.cos(x * 62), bend + 0.05 * np.cos(y * 62), np.zeros_like(x)])
    return Surface(mix(base, vector(0.80, 0.60, 0.24), gilt * 0.95).astype(np.float32), tilt.astype(np.float32))


def pages(point: Array, normal: Array) -> Surface:
    """Edges of many leaves."""
    lines = look_up(noise_tile(14, 0.3), point[0] * 0.3 + point[2] * 0.3, point[1] * 34)
    return Surface((vector(0.70, 0.62, 0.47) * (1 + 0.13 * lines)).astype(np.float32))


@cache
def _label() -> Array:
    lines = [
        ("KERNEL & SONS", 0.078, 0.175, 0.012),
        ("ESTABLISHED 3 by 3", 0.040, 0.285, 0.012),
        ("GREY", 0.20, 0.475, 0.030),
        ("LEVEL TEA", 0.092, 0.675, 0.018),
        ("Exactly 255 grams, rounded once", 0.042, 0.83, 0.003),
    ]
    return lettering((1100, 900), lines)


def tin(point: Array, normal: Array) -> Surface:
    """Caddy, printed: red lacquer, a cream label with rules and lettering."""
    angle, y = np.arctan2(point[0], point[2]), point[1]
    across, down = angle * 4.3 / 8.8 + 0.5, 1 - (y - 2.2) / 7.2
    edge = np.maximum(np.abs(across - 0.5) * 8.8 - 4.4, np.abs(down - 0.5) * 7.2 - 3.6)
    paper = 1 - smooth(-0.04, 0.03, edge)
    rule = 1 - smooth(0.05, 0.09, np.abs(edge + 0.38))
    rule = np.maximum(rule, 1 - smooth(0.01, 0.04, np.abs(edge + 0.60)))
    ink = np.maximum(decal(_label(), across, down), rule) * paper
    grain = 1 + 0.03 * look_up(noise_tile(2, 0.9), angle * 60, y * 14)
    lacquer = vector(0.40, 0.030, 0.022) * (1 + 0.05 * look_up(noise_tile(1, 1.7), angle * 40, y * 10))
    gold = np.maximum(1 - smooth(0.10, 0.14, np.abs(y - 1.0)), 1 - smooth(0.05, 0.09, np.abs(y - 1.35)))
    gold = np.maximum(gold, 1 - smooth(0.10, 0.14, np.abs(y - 10.3)))
    colour = mix(mix(lacquer, vector(0.76, 0.54, 0.20), gold), vector(0.80, 0.73, 0.57) * grain, paper)
    colour = mix(colour, vector(0.055, 0.035, 0.035), ink * 0.94)
    seam = np.where(np.abs(y - 11.0) < 0.09, 0.35, 1.0)
    return Surface((colour * seam).astype(np.float32))


def leaf(point: Array, normal: Array) -> Surface:
    """Olive leaf: grey green above, silver below, a pale midrib."""
    rib = 1 - smooth(0.02, 0.07, np.abs(point[0]))
    above = smooth(-0.2, 0.2, normal[2])
    colour = mix(vector(0.34, 0.38, 0.28), vector(0.115, 0.185, 0.070), above)
    uneven = 1 + 0.10 * look_up(noise_tile(1, 1.7), point[0] * 30, point[1] * 12)
    return Surface((mix(colour, vector(0.40, 0.42, 0.24), rib * 0.6) * uneven).astype(np.float32))


def clear(point: Array, normal: Array) -> Surface:
    """Glass and polished metal have no colour of their own."""
    return Surface(np.zeros_like(point))
