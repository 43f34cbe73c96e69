"""Hot-air balloons and clouds on a transparent ground, with loud colours hidden where nothing is to be seen."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from film import noise_of
from PIL import Image
from textures import look_up, mix, noise_tile, smooth
from tracer import Array, monotone_cubic, normalized, vector

#: Samples per pixel, as a grid.
GRID = 4
TO_SUN = normalized(vector(-0.62, 0.62, 0.55))
SUN, SKY = vector(1.12, 1.02, 0.86), vector(0.36, 0.43, 0.56)
#: Outline of the envelope: heights, and the radius at each; 1 is the radius of the balloon.
ENVELOPE = (
    (-1.30, -1.22, -0.95, -0.60, -0.25, 0.05, 0.40, 0.68, 0.86, 0.955, 0.985),
    (0.235, 0.26, 0.45, 0.74, 0.945, 1.0, 0.925, 0.735, 0.49, 0.25, 0.0),
)
GORES = 20
#: Puffs of the two banks of cloud: x, y, radius.
BEHIND = (
    *((0.50, -0.52, 0.17), (0.30, -0.57, 0.13), (0.66, -0.57, 0.13), (0.12, -0.60, 0.09)),
    *((-0.56, 0.02, 0.09), (-0.68, -0.02, 0.10)),
)
BEFORE = (
    *((-0.42, -0.72, 0.19), (-0.60, -0.78, 0.15), (-0.20, -0.79, 0.16), (0.00, -0.83, 0.11)),
    *((0.42, -0.86, 0.08), (0.54, -0.88, 0.06)),
    *((-0.52, -0.26, 0.085), (-0.40, -0.285, 0.075), (-0.29, -0.30, 0.055)),
)
FESTIVE = ((0.62, 0.050, 0.040), (0.86, 0.30, 0.035), (0.90, 0.80, 0.62), (0.045, 0.16, 0.33))
DISTANT = ((0.10, 0.33, 0.36), (0.85, 0.72, 0.42), (0.10, 0.33, 0.36), (0.80, 0.42, 0.22))


class Layer:
    """Colour and coverage, to be laid over what is behind."""

    def __init__(self, colour: Array, alpha: Array) -> None:
        self.colour, self.alpha = colour, alpha.astype(np.float32)

    def over(self, behind: Layer) -> Layer:
        """Lay this over another one; colours are not multiplied by their alpha."""
        alpha = self.alpha + behind.alpha * (1 - self.alpha)
        share = self.alpha / np.maximum(alpha, 1e-6)
        return Layer(mix(behind.colour, self.colour, share), alpha)


def render(width: int = 800, height: int = 1000) -> npt.NDArray[np.uint8]:
    """Paint the balloons, (height, width, 4) uint8 sRGB with alpha that is not premultiplied."""
    x, y = _points(width, height, 0.5, 0.5)
    far = _sampled(width, height, (0.615, 0.04), 0.150, DISTANT)
    hazy = Layer(mix(far.colour, vector(0.62, 0.72, 0.84)[:, :, None], np.float32(0.30)), far.alpha)
    whole = cloud(x, y, 1, BEHIND)
    for layer in (hazy, _sampled(width, height, (-0.10, 0.30), 0.60, FESTIVE), cloud(x, y, 2, BEFORE)):
        whole = layer.over(whole)
    return _stored(whole)


def _points(width: int, height: int, right: float, down: float) -> tuple[Array, Array]:
    """One point in each pixel: 1 is half the picture's height, y points up."""
    rows, cols = np.mgrid[0:height, 0:width].astype(np.float32)
    x = (cols + np.float32(right) - np.float32(width / 2)) / np.float32(height / 2)
    return x, (np.float32(height / 2) - rows - np.float32(down)) / np.float32(height / 2)


def _sampled(
    width: int, height: int, middle: tuple[float, float], radius: float, colours: tuple[tuple[float, float, float], ...]
) -> Layer:
    """Paint a balloon with many samples in each pixel."""
    colour, alpha = np.zeros((3, height, width), np.float32), np.zeros((height, width), np.float32)
    for sample in range(GRID * GRID):
        x, y = _points(width, height, (sample % GRID + 0.5) / GRID, (sample // GRID + 0.5) / GRID)
        u, v = (x - np.float32(middle[0])) / np.float32(radius), (y - np.float32(middle[1])) / np.float32(radius)
        box = np.ix_(np.abs(v[:, 0] + 0.45) < 1.47, np.abs(u[0]) < 1.02)
        layer = balloon(u[box], v[box], colours)
        colour[:, *box] += layer.colour * layer.alpha
        alpha[box] += layer.alpha
    return Layer(colour / np.maximum(alpha, 1e-6), alpha / GRID**2)


def balloon(x: Array, y: Array, colours: tuple[tuple[float, float, float], ...]) -> Layer:
    """Envelope, ropes and basket; the envelope has radius 1."""
    whole = basket(x, y)
    for layer in (ropes(x, y), envelope(x, y, colours)):
        whole = layer.over(whole)
    return whole


def envelope(x: Array, y: Array, colours: tuple[tuple[float, float, float], ...]) -> Layer:
    """Bulging gores of cloth, a zigzag about the middle, and the burner's glow through the mouth."""
    heights, radii = np.array(ENVELOPE)
    fine = np.linspace(heights[0], heights[-1], 2000)
    curve = monotone_cubic(heights, radii, fine)
    radius = np.interp(y, fine, curve, left=0, right=0).astype(np.float32)
    slope = np.interp(y, fine, np.gradient(curve, fine)).astype(np.float32)
    inside = np.abs(x) < radius
    ratio = np.clip(x / np.maximum(radius, 1e-6), -1, 1)
    turn = np.arcsin(ratio) / (2 * np.pi) * GORES + 0.5
    gore = np.floor(turn)
    part = turn - gore - 0.5
    angle = (gore + 0.5 - 0.5 + 1.35 * part) * (2 * np.pi / GORES)
    normal = normalized(np.stack([np.sin(angle), -slope, np.maximum(np.cos(angle), 0.02)]).astype(np.float32))
    tooth = 0.13 * (1 - 4 * np.abs(part) * 0.5)
    band = (y > -0.16 + tooth - 0.10) & (y < 0.24 + tooth - 0.10)
    thin = (np.abs(y - 0.30 - tooth + 0.10) < 0.022) | (np.abs(y + 0.22 - tooth + 0.10) < 0.022)
    even = (gore % 2) == 0
    cloth = np.where(even, *(vector(*colours[index])[:, :, None] for index in (0, 1)))
    cloth = np.where(band, np.where(even, *(vector(*colours[index])[:, :, None] for index in (3, 2))), cloth)
    cloth = np.where(thin | (y < -1.16) | (y > 0.93), vector(*colours[2])[:, :, None], cloth)
    seam = 1 - 0.35 * smooth(0.455, 0.5, np.abs(part))
    panel = 1 - 0.06 * smooth(0.46, 0.5, np.abs((y * 7) % 1 - 0.5))
    crease = 1 + 0.035 * look_up(noise_tile(10, 2.6), gore * 97 + part * 30, y * 160)
    sun = np.maximum((normal * TO_SUN[:, :, None]).sum(axis=0), 0)
    through = 0.16 * (0.5 + 0.5 * normal[0])
    light = SUN[:, :, None] * (sun + through) + SKY[:, :, None] * (0.62 + 0.38 * normal[1])
    glow = np.exp(-((y + 1.30) ** 2 + (0.8 * x) ** 2) / 0.11)
    light = light + vector(2.1, 0.95, 0.25)[:, :, None] * glow
    sheen = 0.22 * np.maximum(normal[0] * -0.42 + normal[1] * 0.42 + normal[2] * 0.80, 0) ** 26
    return Layer((cloth * light * seam * panel * crease + sheen).astype(np.float32), inside.astype(np.float32))


def ropes(x: Array, y: Array) -> Layer:
    """Lines from the mouth to the basket, and the burner's flame between them."""
    share = (y + 1.62) / 0.33
    hangs = (share > 0) & (share < 1)
    covered = np.zeros_like(x)
    for place in (-1.0, -0.72, -0.25, 0.25, 0.72, 1.0):
        middle = place * (0.135 + (0.235 - 0.135) * share)
        covered = np.maximum(covered, (np.abs(x - middle) < 0.0045) * hangs)
    lines = Layer(np.broadcast_to(vector(0.10, 0.07, 0.05)[:, :, None], (3, *x.shape)), covered)
    tall = np.clip((y + 1.52) / 0.30, 0, 1)
    width = 0.050 * np.sqrt(np.sin(np.pi * tall**0.7) + 1e-6) * (1 - 0.45 * tall)
    flame = (1 - smooth(0.25, 1.0, np.abs(x) / np.maximum(width, 1e-4))) * ((tall > 0) & (tall < 1))
    heat = np.clip(1.4 - 1.3 * np.abs(x) / np.maximum(width, 1e-4), 0, 1)
    fire = mix(vector(1.0, 0.34, 0.03)[:, :, None], vector(1.0, 0.93, 0.62)[:, :, None], heat)
    return lines.over(Layer(fire, 0.9 * flame))


def basket(x: Array, y: Array) -> Layer:
    """Wicker basket with padded rims."""
    up = y + 1.86
    half = 0.135 + 0.018 * np.sin(np.clip(up / 0.24, 0, 1) * np.pi) - 0.02 * (1 - np.clip(up / 0.24, 0, 1))
    inside = (up > 0) & (up < 0.245) & (np.abs(x) < half)
    ratio = np.clip(x / half, -1, 1)
    angle = np.arcsin(ratio)
    column, row = angle * 9, up * 62
    over = (np.floor(column) + np.floor(row)) % 2
    weave = np.where(over > 0.5, np.abs(np.sin(np.pi * row)) ** 0.7, np.abs(np.sin(np.pi * column)) ** 0.7)
    rim = smooth(0.205, 0.209, up) + 1 - smooth(0.022, 0.026, up)
    wicker, leather = vector(0.40, 0.235, 0.10)[:, :, None], vector(0.16, 0.065, 0.035)[:, :, None]
    wood = mix(wicker * (0.35 + 0.75 * weave), leather, rim)
    light = SUN[:, :, None] * np.maximum(-0.62 * np.sin(angle) + 0.6 * np.cos(angle), 0) + SKY[:, :, None] * 0.75
    return Layer((wood * light).astype(np.float32), inside.astype(np.float32))


def cloud(x: Array, y: Array, seed: int, puffs: tuple[tuple[float, float, float], ...]) -> Layer:
    """Bank of cumulus: round puffs frayed by noise, lit from the sun's side, thin at the edges."""
    here = _density(x, y, seed, puffs)
    shade = sum(here - _density(x - step, y + step * 1.3, seed, puffs) for step in (0.012, 0.03, 0.06)) / np.float32(3)
    lit = smooth(-0.28, 0.30, shade)
    colour = mix(vector(0.34, 0.40, 0.56)[:, :, None], vector(1.0, 0.97, 0.91)[:, :, None], 0.25 + 0.75 * lit)
    alpha = 0.98 * smooth(0.04, 0.62, here)
    return Layer(colour.astype(np.float32), alpha)


def _density(x: Array, y: Array, seed: int, puffs: tuple[tuple[float, float, float], ...]) -> Array:
    frayed = look_up(noise_tile(60 + seed, 1.55), x * 300 + 400, y * 300 + 500)
    total = np.zeros_like(x)
    for middle_x, middle_y, radius in puffs:
        away = np.hypot(x - middle_x, (y - middle_y) * np.where(y < middle_y, 1.8, 1.0)) / radius
        total += np.exp(-1.3 * away**2) * 1.2
    return np.maximum(total - 0.36 + 0.20 * frayed * smooth(0.02, 0.5, total), 0).astype(np.float32)


def _stored(picture: Layer) -> npt.NDArray[np.uint8]:
    """Encode as sRGB, dithered, and hide bright checks under the fully transparent pixels."""
    alpha, linear = picture.alpha, np.clip(picture.colour, 0, 1)
    encoded = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    rgba = np.concatenate([encoded, alpha[None]])
    count = np.arange(rgba.size, dtype=np.uint32)
    dither = (noise_of(count, 1, 92) - noise_of(count, 2, 93)).reshape(rgba.shape) * np.float32(0.5)
    dither[3] = np.where((alpha > 0.002) & (alpha < 0.998), dither[3], 0)
    levels = np.clip(np.rint(rgba * 255 + dither), 0, 255).astype(np.uint8)
    rows, cols = np.indices(alpha.shape)
    magenta = (rows // 40 + cols // 40) % 2 == 0
    hidden = np.where(magenta, *(np.array(loud, np.uint8).reshape(3, 1, 1) for loud in ((255, 0, 255), (0, 255, 0))))
    levels[:3] = np.where(levels[3] == 0, hidden, levels[:3])
    return np.ascontiguousarray(levels.transpose(1, 2, 0))


def on_checks(rgba: npt.NDArray[np.uint8], size: int = 20) -> Image.Image:
    """Show a picture on the usual grey checks."""
    rows, cols = np.indices(rgba.shape[:2])
    checks = np.where((rows // size + cols // size) % 2 == 0, 255, 214).astype(np.uint8)
    ground = Image.fromarray(checks).convert("RGBA")
    return Image.alpha_composite(ground, Image.fromarray(rgba)).convert("RGB")
