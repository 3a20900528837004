"""Houses: a roof, an end wall and a front, with their windows and shops."""

from __future__ import annotations

import math
from collections.abc import Sequence
from random import Random

from toy_streets import palette
from toy_streets.canvas import BUILDING, Canvas, Place, Polygon, upright
from toy_streets.palette import LAMPLIGHT, WHITE, Colour, body_colour, dim, mix
from toy_streets.street import Street, Thing, curtain

_STOREY = 3.1
_GLASS = (58, 68, 80)


class Building(Thing):
    """A house with its front along the street, as those of a row are."""

    def __init__(
        self, rng: Random, street: Street, side: int, z: float, floors: int, steep: bool, gap: float
    ) -> None:
        """About so many floors, the roof mostly pitched if `steep`; `gap` m to the house before."""
        verge, gardens = street.verges[side], street.verges[side].kind == "gardens"
        length = rng.uniform(8, 12) if gardens else rng.uniform(8, 17)
        u = side * (verge.front + rng.choice((0.0, 0.0, rng.uniform(0, 1.5))))
        super().__init__(street, u, z, length)
        self.detached, self.depth = gap > 0, rng.uniform(8, 12)
        self.storeys = max(1, floors + rng.choice((-1, 0, 0, 1)))
        self.height = 0.9 + _STOREY * self.storeys  # of the eaves
        self.ridge = rng.uniform(2.4, 4.0) if steep and rng.random() < 0.85 else 0.0  # above them
        self.bay = rng.uniform(2.6, 3.6)  # m from window to window
        shop = not gardens and rng.random() < 0.4
        self.awning = body_colour(rng, palette.COATS) if shop else None
        self.roof = body_colour(rng, palette.ROOFS, 8)
        self.body = body_colour(rng, palette.FACADES, 9)
        # The x and z of the end wall's corner away from the street.
        self.back = (self.near[0] + self.side * self.depth, z)

    def screens(self) -> Sequence[Polygon]:
        return [curtain(self.near, end, self.height) for end in (self.far, self.back)]

    def paint(self, canvas: Canvas, rng: Random) -> None:
        ident = canvas.instance(BUILDING, self.body)
        if self.ridge:
            self._paint_roof(canvas, ident)
        end_wall, front = (_Wall(canvas, self, end) for end in (self.back, self.far))
        end_wall.paint(ident)
        if self.detached:
            end_wall.paint_windows(rng)
        front.paint(ident)
        front.paint_windows(rng)
        if self.awning:
            front.paint_shop(self.awning)

    def _paint_roof(self, canvas: Canvas, ident: int) -> None:
        """A pitched roof with its ridge along the street, its gable and a chimney."""
        (ax, az), (bx, bz), (cx, _) = self.near, self.far, self.back
        eaves, ridge = self.height, self.height + self.ridge
        rx, half = (cx - ax) / 2, self.depth / 2
        gable = [(ax, eaves, az), (ax + rx, ridge, az), (cx, eaves, az)]
        canvas.face(gable, canvas.tone((0.0, 0.0, -1.0), az)(self.body), ident)
        slant = math.hypot(half, self.ridge)
        tone = canvas.tone((-self.side * self.ridge / slant, half / slant, 0.0), az)
        slope = [(ax, eaves, az), (bx, eaves, bz), (bx + rx, ridge, bz), (ax + rx, ridge, az)]
        canvas.face(slope, tone(self.roof), ident)
        x, z = (ax + bx) / 2 + rx * 0.8, az + (bz - az) * 0.3
        brick = canvas.tone((0.0, 0.0, -1.0), z)(dim(self.roof, 0.85))
        canvas.limb((x, ridge - 0.8, z), (x, ridge + 0.9, z), 0.8, brick, ident)


class _Wall:
    """An upright wall between two places on the ground, and what can be put on it."""

    def __init__(self, canvas: Canvas, house: Building, end: Place) -> None:
        start = house.near
        self._canvas, self._house, self._start, self._end = canvas, house, start, end
        dx, dz = end[0] - start[0], end[1] - start[1]
        self._length = math.hypot(dx, dz)
        # The normal on the side of the wall that the camera is on.
        facing = 1.0 if dz * start[0] < dx * start[1] else -1.0
        normal = (facing * dz / self._length, 0.0, -facing * dx / self._length)
        depth = (start[1] + end[1]) / 2
        self._tone, self._glow = canvas.tone(normal, depth), canvas.glow(depth)
        self._storey_pixels = canvas.pixels(_STOREY, depth)

    def paint(self, ident: int) -> None:
        """Plaster and, where one can make them out, plinth and cornice."""
        body, top, whole = self._house.body, self._house.height, (0.0, self._length)
        self._patch(whole, (0.0, top), self._tone(body), ident)
        if self._storey_pixels >= 4:
            self._patch(whole, (0.0, 0.6), self._tone(dim(body, 0.72)))
            cornice = self._tone(mix(dim(body, 0.8), WHITE, 0.25))
            self._patch(whole, (top - 0.35, top), cornice)

    def paint_windows(self, rng: Random) -> None:
        """Windows above the shop if any, as far as one can make them out."""
        if self._storey_pixels < 4:
            return
        house, fine = self._house, self._storey_pixels > 11
        bays = max(1, round(self._length / house.bay))
        bay_pixels = abs(self._column(0.0) - self._column(self._length)) / bays / 2
        first = 1 if house.awning else 0
        sills = [1.3 + storey * _STOREY for storey in range(first, house.storeys)]
        if self._storey_pixels < 7 or bay_pixels < 2.4:
            # Windows too close together to tell apart blend into one darker band for each floor.
            band = self._tone(mix(house.body, _GLASS, 0.3))
            for sill in sills:
                self._patch((0.6, self._length - 0.6), (sill, sill + 1.5), band)
            return
        panes, frame = self._panes(), self._tone(mix(house.body, WHITE, 0.55))
        for bay in range(bays):
            middle = (bay + 0.5) * self._length / bays
            if not -20 < self._column(middle) < self._canvas.size[0] + 20:
                continue
            for sill in sills:
                lower, upper = rng.choice(panes)
                layers = (0.66, -0.14, 1.74, frame), (0.5, 0.0, 1.6, lower), (0.5, 0.85, 1.6, upper)
                for half, low, high, colour in layers if fine else layers[1:2]:
                    self._patch((middle - half, middle + half), (sill + low, sill + high), colour)

    def _panes(self) -> list[tuple[Colour, Colour]]:
        """The looks that a window can have: the colours of its lower and of its upper half."""
        light = self._canvas.light
        # Each window mirrors more or less of the sky, and its upper half more than its lower.
        dark = [mix(_GLASS, light.horizon, part) for part in (0.0, 0.1, 0.2, 0.35)]
        panes = [(self._tone(pane), self._tone(mix(pane, light.zenith, 0.25))) for pane in dark]
        if light.lamps:
            panes += [(self._glow(dim(LAMPLIGHT, part)),) * 2 for part in (0.8, 0.9, 1.0)]
        return panes

    def paint_shop(self, awning: Colour) -> None:
        """Shop windows on the ground floor, with an awning over them."""
        light, tone = self._canvas.light, self._tone
        lit, dark = self._glow(dim(LAMPLIGHT, 0.9)), tone(mix(_GLASS, light.horizon, 0.22))
        whole, glass = (0.15, self._length - 0.15), lit if light.lamps else dark
        fields = max(1, round(self._length / 4))
        step = self._length / fields
        for start in (field * step for field in range(fields)):
            self._patch((start + 0.35, start + step - 0.35), (0.6, 2.5), glass)
        self._patch(whole, (2.5, 3.2), tone(awning))
        self._patch(whole, (2.42, 2.62), tone(mix(awning, WHITE, 0.6)))

    def _place(self, along: float) -> Place:
        """The x and z of an upright line on the wall."""
        (ax, az), (bx, bz), part = self._start, self._end, along / self._length
        return ax + (bx - ax) * part, az + (bz - az) * part

    def _column(self, along: float) -> float:
        """Where on the canvas that line shows."""
        x, z = self._place(along)
        return self._canvas.project(x, 0.0, z)[0]

    def _patch(self, along: Place, up: Place, colour: Colour, ident: int = 0) -> None:
        """A rectangle from `along[0]` to `along[1]` m on the wall and so far up."""
        left, right = self._place(along[0]), self._place(along[1])
        self._canvas.face(upright(left, right, *up), colour, ident)
