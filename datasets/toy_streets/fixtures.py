"""How what stays is painted: houses, trees, hedges and walls, lamps, lights and signs."""

from __future__ import annotations

import math
from random import Random

from toy_streets.canvas import (
    FENCE,
    POLE,
    TRAFFIC_LIGHT,
    TRAFFIC_SIGN,
    VEGETATION,
    WALL,
    Canvas,
    Place,
)
from toy_streets.palette import Colour, Vector, dim, mix
from toy_streets.scene import STOREY, Barrier, Building, Post, Street, Tree

_WHITE, _BLACK, _STEEL = (240, 240, 236), (36, 36, 40), (112, 116, 120)
_RED, _BLUE, _YELLOW = (200, 44, 42), (36, 84, 168), (240, 190, 50)
_LAMPLIGHT, _GLASS = (255, 214, 140), (58, 68, 80)


def paint_building(
    canvas: Canvas, house: Building, street: Street, ident: int, rng: Random
) -> None:
    """A house: its roof, the end wall that faces the camera, the front along the street."""
    a, b = (street.x(house.u, house.z), house.z), (street.x(house.u, house.end), house.end)
    c = (a[0] + house.side * house.depth, house.z)
    if house.ridge:
        _paint_roof(canvas, house, (a, b, c), ident)
    _Wall(canvas, house, a, c, rng).paint(ident, windows=house.detached)
    front = _Wall(canvas, house, a, b, rng)
    front.paint(ident)
    if house.shop:
        front.paint_shop(house.shop)


def _paint_roof(
    canvas: Canvas, house: Building, corners: tuple[Place, Place, Place], ident: int
) -> None:
    """A pitched roof with its ridge along the street, its gable and a chimney."""
    (ax, az), (bx, bz), (cx, _) = corners
    eaves, ridge = house.height, house.height + house.ridge
    rx, half = (cx - ax) / 2, house.depth / 2
    gable = [(ax, eaves, az), (ax + rx, ridge, az), (cx, eaves, az)]
    canvas.face(gable, canvas.tone((0.0, 0.0, -1.0), az)(house.body), ident)
    slant = math.hypot(half, house.ridge)
    tone = canvas.tone((-house.side * house.ridge / slant, half / slant, 0.0), az)
    slope = [(ax, eaves, az), (bx, eaves, bz), (bx + rx, ridge, bz), (ax + rx, ridge, az)]
    canvas.face(slope, tone(house.roof), ident)
    x, z = (ax + bx) / 2 + rx * 0.8, az + (bz - az) * 0.3
    brick = canvas.tone((0.0, 0.0, -1.0), z)(dim(house.roof, 0.85))
    canvas.limb((x, ridge - 0.8, z), (x, ridge + 0.9, z), 0.8, brick, ident)


class _Wall:
    """An upright wall between two places on the ground, and what can be put on it."""

    def __init__(
        self, canvas: Canvas, house: Building, start: Place, end: Place, rng: Random
    ) -> None:
        self._canvas, self._house, self._rng = canvas, house, rng
        self._start, self._end = start, end
        dx, dz = end[0] - start[0], end[1] - start[1]
        self._length = math.hypot(dx, dz)
        # The normal on the side of the wall that the camera is on.
        facing = 1.0 if dz * start[0] < dx * start[1] else -1.0
        normal = (facing * dz / self._length, 0.0, -facing * dx / self._length)
        self._depth = (start[1] + end[1]) / 2
        self._tone = canvas.tone(normal, self._depth)
        self._glow = canvas.glow(self._depth)

    def paint(self, ident: int, windows: bool = True) -> None:
        """Plaster, plinth and cornice, and windows as far as one can make them out."""
        house, whole, top = self._house, (0.0, self._length), self._house.height
        self._patch(whole, (0.0, top), self._tone(house.body), ident)
        storey_pixels = self._canvas.pixels(STOREY, self._depth)
        if storey_pixels < 4:
            return
        self._patch(whole, (0.0, 0.6), self._tone(dim(house.body, 0.72)))
        cornice = self._tone(mix(dim(house.body, 0.8), _WHITE, 0.25))
        self._patch(whole, (top - 0.35, top), cornice)
        if windows:
            self._paint_windows(storey_pixels)

    def _paint_windows(self, storey_pixels: float) -> None:
        house = self._house
        bays = max(1, round(self._length / house.bay))
        bay_pixels = abs(self._column(0.0)[0] - self._column(self._length)[0]) / bays / 2
        first = 1 if house.shop else 0
        if storey_pixels < 7 or bay_pixels < 2.4:
            self._paint_bands(first)
            return
        panes = self._panes()
        fine = storey_pixels > 11
        for bay in range(bays):
            middle = (bay + 0.5) * self._length / bays
            if not -20 < self._column(middle)[0] < self._canvas.size[0] + 20:
                continue
            for storey in range(first, house.storeys):
                self._paint_window(middle, 1.3 + storey * STOREY, self._rng.choice(panes), fine)

    def _panes(self) -> list[tuple[Colour, Colour]]:
        """The looks that a window can have: the colours of its lower and of its upper half."""
        light = self._canvas.light
        # Each window mirrors more or less of the sky, and its upper half more than its lower.
        dark = [mix(_GLASS, light.horizon, part) for part in (0.0, 0.1, 0.2, 0.35)]
        panes = [(self._tone(pane), self._tone(mix(pane, light.zenith, 0.25))) for pane in dark]
        if light.lamps:
            panes += [(self._glow(dim(_LAMPLIGHT, part)),) * 2 for part in (0.8, 0.9, 1.0)]
        return panes

    def paint_shop(self, awning: Colour) -> None:
        """Shop windows on the ground floor, with an awning over them."""
        light, tone = self._canvas.light, self._tone
        glass = tone(mix(_GLASS, light.horizon, 0.22))
        if light.lamps:
            glass = self._glow(dim(_LAMPLIGHT, 0.9))
        fields = max(1, round(self._length / 4))
        step = self._length / fields
        for field in range(fields):
            along = (field * step + 0.35, (field + 1) * step - 0.35)
            self._patch(along, (0.6, 2.5), glass)
        self._patch((0.15, self._length - 0.15), (2.5, 3.2), tone(awning))
        self._patch((0.15, self._length - 0.15), (2.42, 2.62), tone(mix(awning, _WHITE, 0.6)))

    def _paint_bands(self, first: int) -> None:
        # Windows too close together to tell apart blend into one darker band for each floor.
        colour = self._tone(mix(self._house.body, _GLASS, 0.3))
        for storey in range(first, self._house.storeys):
            sill = 1.3 + storey * STOREY
            self._patch((0.6, self._length - 0.6), (sill, sill + 1.5), colour)

    def _paint_window(
        self, middle: float, sill: float, pane: tuple[Colour, Colour], fine: bool
    ) -> None:
        if fine:
            frame = self._tone(mix(self._house.body, _WHITE, 0.55))
            self._patch((middle - 0.66, middle + 0.66), (sill - 0.14, sill + 1.74), frame)
        self._patch((middle - 0.5, middle + 0.5), (sill, sill + 1.6), pane[0])
        if fine:
            self._patch((middle - 0.5, middle + 0.5), (sill + 0.85, sill + 1.6), pane[1])

    def _column(self, along: float) -> tuple[float, float]:
        """The canvas x of an upright line on the wall, and the scale there."""
        (ax, az), (bx, bz) = self._start, self._end
        part = along / self._length
        scale = self._canvas.focal / (az + (bz - az) * part)
        return self._canvas.centre + (ax + (bx - ax) * part) * scale, scale

    def _patch(self, along: Place, up: Place, colour: Colour, ident: int | None = None) -> None:
        """A rectangle from `along[0]` to `along[1]` m on the wall and so far up."""
        (left, near), (right, far) = self._column(along[0]), self._column(along[1])
        low, high = (self._canvas.eye - height for height in up)
        horizon = self._canvas.horizon
        outline = [(left, horizon + low * near), (left, horizon + high * near)]
        outline += [(right, horizon + high * far), (right, horizon + low * far)]
        self._canvas.fill(outline, colour, ident)


def paint_tree(canvas: Canvas, tree: Tree, street: Street, rng: Random) -> None:
    """A crown of leaf clumps, dark within and light toward the sun, on its trunk."""
    x, z, middle = street.x(tree.u, tree.z), tree.z, tree.trunk + tree.tall * 0.9
    if tree.trunk:
        bark = canvas.tone((0.0, 0.3, -0.95), z)((96, 78, 62))
        canvas.limb((x, 0.0, z), (x, middle, z), 0.32, bark, VEGETATION)
    sun_x, sun_y, sun_z = canvas.light.toward_sun
    contrast = 0.2 + 0.5 * min(1.0, sum(canvas.light.sun) / sum(canvas.light.ambient))
    tone = canvas.tone((0.0, 1.0, 0.0), z)
    clumps = max(7, min(48, int(canvas.pixels(tree.radius, z) * 1.2)))
    heart = tone(dim(tree.leaf, 0.6))
    canvas.disc((x, middle, z), 0.7 * tree.radius, 0.7 * tree.tall, heart, VEGETATION)
    for number in range(clumps):
        # First the big dark clumps that make the outline, at last the small light ones on top.
        part = number / clumps
        turn, far = rng.uniform(0, 2 * math.pi), math.sqrt(rng.random()) * (0.8 - 0.1 * part)
        dx, dy = far * math.cos(turn), far * math.sin(turn)
        size = (0.4 - 0.22 * part) * rng.uniform(0.8, 1.2)
        toward_sun = dx * sun_x + dy * (sun_y + 0.25) - 0.25 * sun_z
        bright = max(0.45, 0.62 + 0.3 * part + contrast * toward_sun * part)
        centre = (x + dx * tree.radius, middle + dy * tree.tall, z)
        leaf = tone(dim(tree.leaf, bright))
        canvas.disc(centre, size * tree.radius, size * tree.tall, leaf, VEGETATION)


def paint_barrier(canvas: Canvas, barrier: Barrier, street: Street, rng: Random) -> None:
    """One piece of hedge, wall or fence."""
    a = (street.x(barrier.u, barrier.z), barrier.z)
    b = (street.x(barrier.u, barrier.end), barrier.end)
    normal = (-math.copysign(0.9, barrier.u), 0.3, -0.3)
    tone, colour = canvas.tone(normal, barrier.end), barrier.colour
    top = barrier.height

    def piece(low: float, high: float, shade: Colour, ident: int | None) -> None:
        outline = [(a[0], low, a[1]), (a[0], high, a[1]), (b[0], high, b[1]), (b[0], low, b[1])]
        canvas.face(outline, shade, ident)

    if barrier.kind == "wall":
        piece(0.0, top, tone(colour), WALL)
        piece(top - 0.15, top, tone(mix(colour, _WHITE, 0.3)), None)
    elif barrier.kind == "hedge":
        piece(0.0, top, tone(dim(colour, 0.72)), VEGETATION)
        for _ in range(10 if barrier.z < 40 else 3):
            t, y = rng.random(), rng.uniform(0.35, 0.95) * top
            place = (a[0] + (b[0] - a[0]) * t, y, a[1] + (b[1] - a[1]) * t)
            leaf = tone(dim(colour, 0.7 + 0.45 * y / top))
            canvas.disc(place, 0.3, 0.22, leaf, VEGETATION)
    else:
        for rail in (0.35, 0.95):
            piece(top * rail - 0.07, top * rail, tone(colour), FENCE)
        for number in range(6):
            t = number / 6
            x, z = a[0] + (b[0] - a[0]) * t, a[1] + (b[1] - a[1]) * t
            canvas.limb((x, 0.0, z), (x, top, z), 0.09, tone(colour), FENCE)


def paint_post(canvas: Canvas, post: Post, street: Street, rng: Random) -> None:
    """A street lamp, a traffic light or a traffic sign on its pole."""
    x, z = street.x(post.u, post.z), post.z
    tone = canvas.tone((0.0, 0.2, -0.98), z)
    steel = tone(_STEEL)
    if post.kind == "lamp":
        reach = x - post.side * 1.5
        canvas.limb((x, 0.0, z), (x, 6.6, z), 0.15, steel, POLE)
        canvas.limb((x, 6.5, z), (reach, 6.9, z), 0.12, steel, POLE)
        shine = canvas.glow(z)(_LAMPLIGHT) if canvas.light.lamps else tone(_WHITE)
        canvas.disc((reach, 6.85, z), 0.42, 0.13, shine, POLE)
    elif post.kind == "light":
        canvas.limb((x, 0.0, z), (x, 2.6, z), 0.14, steel, POLE)
        canvas.limb((x, 2.4, z), (x, 3.6, z), 0.5, tone(_BLACK), TRAFFIC_LIGHT)
        lamps = ((3.35, _RED), (3.0, _YELLOW), (2.65, (70, 200, 110)))
        burning = rng.choice((0, 2))
        for number, (y, colour) in enumerate(lamps):
            shown = mix(colour, _WHITE, 0.15) if number == burning else dim(colour, 0.3)
            canvas.disc((x, y, z), 0.15, 0.15, canvas.glow(z)(shown))
    else:
        canvas.limb((x, 0.0, z), (x, 2.4, z), 0.1, steel, POLE)
        _paint_sign(canvas, post.kind, (x, 2.5, z))


def _paint_sign(canvas: Canvas, kind: str, centre: Vector) -> None:
    """One of the five signs, 0.9 m wide: larger than life, to be told apart from afar."""
    x, y, z = centre
    shade = canvas.tone((0.0, 0.3, -0.95), z)

    def polygon(scale: float, corners: list[Place], colour: Colour) -> None:
        points = [(x + dx * scale, y + dy * scale, z) for dx, dy in corners]
        canvas.face(points, shade(colour), TRAFFIC_SIGN)

    if kind == "ban":
        canvas.disc(centre, 0.45, 0.45, shade(_RED), TRAFFIC_SIGN)
        canvas.disc(centre, 0.28, 0.28, shade(_WHITE))
    elif kind == "order":
        canvas.disc(centre, 0.45, 0.45, shade(_BLUE), TRAFFIC_SIGN)
        canvas.limb((x, y - 0.25, z), (x, y + 0.25, z), 0.13, shade(_WHITE))
    elif kind == "warning":
        triangle = [(-0.52, -0.4), (0.0, 0.5), (0.52, -0.4)]
        polygon(1.0, triangle, _RED)
        polygon(0.56, triangle, _WHITE)
    elif kind == "priority":
        diamond = [(-0.5, 0.0), (0.0, 0.5), (0.5, 0.0), (0.0, -0.5)]
        polygon(1.0, diamond, _WHITE)
        polygon(0.7, diamond, _YELLOW)
    else:
        square = [(-0.4, -0.4), (-0.4, 0.4), (0.4, 0.4), (0.4, -0.4)]
        polygon(1.0, square, _BLUE)
        canvas.limb((x - 0.1, y - 0.25, z), (x - 0.1, y + 0.25, z), 0.1, shade(_WHITE))
        canvas.disc((x + 0.04, y + 0.1, z), 0.16, 0.16, shade(_WHITE))
