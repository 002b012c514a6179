"""Drawn people in clothes: the pictures of the demo."""

from __future__ import annotations

import colorsys
import math
from collections.abc import Mapping, Sequence

import numpy as np
from PIL import Image, ImageDraw

Colour = tuple[int, int, int]
Point = tuple[float, float]
Paint = Colour | Image.Image
"""A plain colour, or a picture of the canvas' size that shows through the shape."""

_OVERSAMPLING = 2
_SKIN = ((250, 220, 196), (240, 200, 166), (222, 174, 136), (196, 144, 104), (164, 112, 78))
_HAIR = ((40, 30, 28), (78, 50, 34), (120, 76, 42), (190, 146, 80), (160, 70, 36), (150, 146, 142))


def draw(row: Mapping[str, int], rng: np.random.Generator, size: tuple[int, int]) -> Image.Image:
    """Draw a person who shows the attributes of ``row``, by name, on RGB.

    ``size`` is (height, width) in pixels.
    """
    height, width = size
    canvas = _Canvas(width * _OVERSAMPLING, height * _OVERSAMPLING, rng)
    _background(canvas, rng)
    _person(canvas, rng, row)
    small = canvas.image.resize((width, height), Image.Resampling.BOX)
    return _photograph(small, rng)


class _Canvas:
    """A picture with the person's coordinates: feet at (0, 0), top of the head near (0, 100)."""

    def __init__(self, width: int, height: int, rng: np.random.Generator) -> None:
        self.image = Image.new("RGB", (width, height))
        self.pen = ImageDraw.Draw(self.image)
        self.width, self.height = width, height
        self._unit = height * rng.uniform(0.0079, 0.0085)
        self._centre = width * rng.uniform(0.45, 0.55)
        self._floor = height * rng.uniform(0.93, 0.97)
        self._lean = rng.uniform(-0.03, 0.03)
        self._line = max(2, round(0.7 * self._unit))

    def pixel(self, point: Point) -> Point:
        x, y = point
        return self._centre + self._unit * (x + self._lean * y), self._floor - self._unit * y

    def fill(self, shapes: Sequence[Sequence[Point]], paint: Paint, edge: Colour) -> None:
        """Fill polygons, drawn together, so that the edge runs around all of them."""
        polygons = [[self.pixel(point) for point in shape] for shape in shapes]
        for polygon in polygons:
            self.pen.line([*polygon, polygon[0]], fill=edge, width=2 * self._line)
        for polygon in polygons:
            if isinstance(paint, Image.Image):
                mask = Image.new("1", self.image.size)
                ImageDraw.Draw(mask).polygon(polygon, fill=1)
                self.image.paste(paint, (0, 0), mask)
            else:
                self.pen.polygon(polygon, fill=paint)

    def stroke(self, points: Sequence[Point], colour: Colour) -> None:
        self.pen.line([self.pixel(p) for p in points], fill=colour, width=self._line)


def _shade(colour: Colour, factor: float) -> Colour:
    red, green, blue = (min(255, max(0, round(c * factor))) for c in colour)
    return red, green, blue


def _hsv(hue: float, saturation: float, value: float) -> Colour:
    red, green, blue = (round(255 * c) for c in colorsys.hsv_to_rgb(hue % 1, saturation, value))
    return red, green, blue


def _mix(colours: Sequence[Colour], rng: np.random.Generator) -> Colour:
    """A colour somewhere on the way from one of the colours to the next."""
    i = int(rng.integers(len(colours) - 1))
    return _between(colours[i], colours[i + 1], rng.random())


def _between(start: Colour, end: Colour, share: float) -> Colour:
    red, green, blue = (round(a + share * (b - a)) for a, b in zip(start, end, strict=True))
    return red, green, blue


def _ellipse(
    x: float, y: float, rx: float, ry: float, start: float = 0, end: float = 360
) -> list[Point]:
    angles = np.radians(np.linspace(start, end, 25))
    return [(x + rx * math.cos(a), y + ry * math.sin(a)) for a in angles]


def _limb(a: Point, b: Point, ra: float, rb: float) -> list[Point]:
    """A tapered tube from ``a`` to ``b`` with round ends."""
    turn = math.degrees(math.atan2(b[1] - a[1], b[0] - a[0]))
    return [
        *_ellipse(*a, ra, ra, turn + 90, turn + 270),
        *_ellipse(*b, rb, rb, turn - 90, turn + 90),
    ]


def _towards(a: Point, b: Point, share: float) -> Point:
    return a[0] + share * (b[0] - a[0]), a[1] + share * (b[1] - a[1])


def _background(canvas: _Canvas, rng: np.random.Generator) -> None:
    pen, w, h = canvas.pen, canvas.width, canvas.height
    hue, kind = rng.random(), int(rng.integers(4))
    horizon = round(h * rng.uniform(0.70, 0.84))
    wall, floor = _hsv(hue, rng.uniform(0.05, 0.2), 0.95), _hsv(hue + 0.08, 0.2, 0.84)
    if kind == 2:  # a park
        wall, floor = _hsv(0.56, rng.uniform(0.1, 0.25), 0.97), _hsv(0.27, 0.3, 0.82)
    elif kind == 3:  # a beach
        wall, floor = _hsv(0.55, rng.uniform(0.1, 0.25), 0.97), _hsv(0.12, 0.24, 0.93)
    pen.rectangle((0, 0, w, h), fill=wall)
    pen.rectangle((0, horizon, w, h), fill=floor)
    x = w * rng.choice([rng.uniform(0.02, 0.2), rng.uniform(0.8, 0.98)])
    if kind == 1:  # a room with a picture on the wall
        y, a = h * rng.uniform(0.12, 0.3), h * rng.uniform(0.06, 0.1)
        pen.rectangle((0, horizon, w, horizon + h // 60), fill=_shade(wall, 0.9))
        pen.rectangle((x - a, y - a, x + a, y + a), fill=_shade(wall, 0.86))
        pen.rectangle((x - a * 0.8, y - a * 0.8, x + a * 0.8, y + a * 0.8), fill=_shade(floor, 1.1))
    elif kind == 2:
        y, a = horizon - h * rng.uniform(0.25, 0.4), h * rng.uniform(0.1, 0.16)
        pen.rectangle((x - a / 8, y, x + a / 8, horizon + a / 4), fill=_hsv(0.08, 0.3, 0.7))
        pen.ellipse((x - a, y - a, x + a, y + a), fill=_hsv(0.3, 0.32, 0.78))
    elif kind == 3:
        pen.rectangle((0, horizon - h * 0.12, w, horizon), fill=_hsv(0.53, 0.3, 0.87))
        pen.ellipse((x - h * 0.05, h * 0.06, x + h * 0.05, h * 0.16), fill=_hsv(0.14, 0.3, 1.0))


def _print(canvas: _Canvas, colour: Colour, rng: np.random.Generator) -> Image.Image:
    """Cloth with stripes, checks or dots."""
    cloth = Image.new("RGB", canvas.image.size, colour)
    pen = ImageDraw.Draw(cloth)
    bright = sum(colour) > 330
    ink = _shade(colour, 0.4) if bright else _hsv(rng.random(), 0.12, 0.97)
    ink = _between(colour, ink, rng.uniform(0.65, 1))
    step, kind = canvas.height * rng.uniform(0.028, 0.04), int(rng.integers(4))
    rows, columns = np.arange(0, canvas.height, step), np.arange(0, canvas.width, step)
    if kind in (0, 2):
        for y in rows:
            pen.rectangle((0, y, canvas.width, y + step * (0.5 - 0.1 * kind)), fill=ink)
    if kind in (1, 2):
        for x in columns:
            pen.rectangle((x, 0, x + step * 0.4, canvas.height), fill=ink)
    if kind == 3:
        for i, y in enumerate(rows):
            for x in columns + step / 2 * (i % 2):
                pen.ellipse((x, y, x + step * 0.62, y + step * 0.62), fill=ink)
    return cloth


def _person(canvas: _Canvas, rng: np.random.Generator, row: Mapping[str, int]) -> None:
    skin, hair = _mix(_SKIN, rng), _shade(_HAIR[rng.integers(len(_HAIR))], rng.uniform(0.85, 1.15))
    top = _hsv(rng.random(), rng.uniform(0.45, 0.85), rng.uniform(0.35, 0.8))
    bottom = _hsv(rng.choice([0.6, 0.62, 0.66, 0.08]), rng.uniform(0.3, 0.6), rng.uniform(0.2, 0.5))
    cloth: Paint = _print(canvas, top, rng) if row["has_pattern"] else top
    skin_edge, top_edge, bottom_edge = _shade(skin, 0.72), _shade(top, 0.55), _shade(bottom, 0.6)
    hair_kind, long_hair = int(rng.integers(3)), rng.random() < 0.45

    shadow = _ellipse(2, -1, 26, 3)
    canvas.pen.polygon([canvas.pixel(p) for p in shadow], fill=(150, 146, 150))
    if long_hair:
        canvas.fill([_ellipse(0, 84, 13, 16)], hair, _shade(hair, 0.7))
    _legs(canvas, rng, bool(row["has_long_trousers"]), (skin, skin_edge), (bottom, bottom_edge))
    canvas.fill([_limb((0, 82), (0, 76), 4, 4)], skin, skin_edge)

    half = [(8, 77), (16, 73), (12.5, 58), (13.5, 45)]
    torso = [*half, *((-x, y) for x, y in reversed(half))]
    canvas.fill([torso], cloth, top_edge)
    canvas.fill([_ellipse(0, 77, 6, rng.uniform(2.5, 6), 180, 360)], skin, top_edge)
    covered = rng.uniform(0.25, 1.0)
    for side in (-1, 1):
        shoulder = (side * 14.5, 71.5)
        angle, bend = rng.uniform(0.1, 0.55), rng.uniform(-0.5, 0.6)
        elbow = (shoulder[0] + side * 15 * math.sin(angle), shoulder[1] - 15 * math.cos(angle))
        angle += bend
        wrist = (elbow[0] + side * 14 * math.sin(angle), elbow[1] - 14 * math.cos(angle))
        arm = [_limb(shoulder, elbow, 4, 3.6), _limb(elbow, wrist, 3.6, 3), _ellipse(*wrist, 4, 4)]
        canvas.fill(arm, skin, skin_edge)
        if row["has_sleeves"]:
            upper, lower = min(1.0, covered * 2), max(0.0, covered * 2 - 1.15)
            tubes = [_limb(shoulder, _towards(shoulder, elbow, upper), 5.2, 4.8)]
            if lower > 0:
                tubes.append(_limb(elbow, _towards(elbow, wrist, lower), 4.8, 4.4))
            canvas.fill(tubes, cloth, top_edge)
    _head(canvas, rng, skin, hair, hair_kind)
    if row["has_hat"]:
        _hat(canvas, rng)


def _legs(
    canvas: _Canvas,
    rng: np.random.Generator,
    long: bool,
    skin: tuple[Colour, Colour],
    cloth: tuple[Colour, Colour],
) -> None:
    stance, skirt, length = rng.uniform(0, 5), rng.random() < 0.5, rng.uniform(0.3, 0.9)
    shoe = _hsv(rng.random(), rng.uniform(0.1, 0.8), rng.uniform(0.2, 0.9))
    tubes = []
    for side in (-1, 1):
        hip, knee = (side * 6.5, 45.0), (side * (7 + stance / 2), 25.0)
        ankle = (side * (7 + stance), 4.0)
        canvas.fill([_limb(hip, knee, 5, 4.2), _limb(knee, ankle, 4.2, 3)], *skin)
        foot = _limb((ankle[0] - side, 2), (ankle[0] + side * 3, 1.5), 3, 2.4)
        canvas.fill([foot], shoe, _shade(shoe, 0.6))
        if long:
            tubes += [_limb(hip, knee, 7, 6), _limb(knee, _towards(knee, ankle, 0.85), 6, 6)]
        else:
            tubes.append(_limb(hip, _towards(hip, knee, length), 7, 6.6))
    if skirt and not long:
        low = 45 - 20 * length - 4
        tubes = [[(-12, 47), (12, 47), (16, low), (-16, low)]]
    canvas.fill(tubes, *cloth)


def _head(canvas: _Canvas, rng: np.random.Generator, skin: Colour, hair: Colour, kind: int) -> None:
    edge, dark = _shade(skin, 0.72), (50, 40, 40)
    canvas.fill([_ellipse(-9.6, 88, 1.8, 2.4), _ellipse(9.6, 88, 1.8, 2.4)], skin, edge)
    canvas.fill([_ellipse(0, 89, 9.6, 10.5)], skin, edge)
    if kind == 2:
        canvas.fill([_ellipse(0, 102, 4, 3.6)], hair, _shade(hair, 0.7))
    parting = rng.uniform(-6, 6)
    fringe = [*_ellipse(0, 90, 10.4, 10.8, 0, 180), (parting, rng.uniform(94, 97))]
    canvas.fill([fringe], hair, _shade(hair, 0.7))
    look = rng.uniform(-1.2, 1.2)
    for side in (-1, 1):
        eye = _ellipse(look + side * 3.6, 88, 0.9, 1.3)
        canvas.pen.polygon([canvas.pixel(p) for p in eye], fill=dark)
    canvas.stroke(_ellipse(look, 85, 3, rng.uniform(0.4, 2.2), 200, 340), _shade(skin, 0.5))


def _hat(canvas: _Canvas, rng: np.random.Generator) -> None:
    colour = _hsv(rng.choice([0.98, 0.63, 0.08]), rng.uniform(0.3, 0.7), rng.uniform(0.2, 0.5))
    band, edge = _hsv(rng.uniform(0.1, 0.15), 0.5, 0.95), _shade(colour, 0.6)
    brim, tall = rng.uniform(16, 24), rng.uniform(9, 13)
    canvas.fill([_ellipse(0, 96.5, brim, 4.5)], colour, edge)
    crown = [(-11, 97), *_ellipse(0, 94 + tall, 9.5, 3, 180, 0), (11, 97)]
    canvas.fill([crown], colour, edge)
    canvas.fill([[(-11, 97), (-10.7, 100.5), (10.7, 100.5), (11, 97)]], band, edge)


def _photograph(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Light from one side, a tint, exposure and the camera's noise."""
    pixels = np.asarray(image, dtype=np.float32)
    h, w = pixels.shape[:2]
    across = np.linspace(-1, 1, w, dtype=np.float32)[None, :, None] * rng.uniform(-0.08, 0.08)
    down = np.linspace(-1, 1, h, dtype=np.float32)[:, None, None] * rng.uniform(-0.06, 0.06)
    tint = rng.uniform(0.96, 1.04, 3).astype(np.float32) * np.float32(rng.uniform(0.85, 1.05))
    noise = rng.standard_normal(pixels.shape, dtype=np.float32) * np.float32(rng.uniform(1, 4))
    lit = pixels * tint * (1 + across + down) + noise
    return Image.fromarray(np.clip(np.rint(lit), 0, 255).astype(np.uint8))
