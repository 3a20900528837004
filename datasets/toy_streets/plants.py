"""Trees and bushes, and the hedges, walls and fences along the street."""

from __future__ import annotations

import math
from collections.abc import Sequence
from random import Random

from toy_streets.canvas import CIRCLE, FENCE, UP, VEGETATION, WALL, Canvas, Polygon, upright
from toy_streets.palette import WHITE, Colour, Vector, body_colour, dim, mix
from toy_streets.street import Street, Thing, curtain

_BARK = (96, 78, 62)


class Tree(Thing):
    """A tree or a bush, with `leaf` or thereabouts as its colour."""

    def __init__(
        self, rng: Random, street: Street, u: float, z: float, leaf: Colour, bush: float = 0.0
    ) -> None:
        """`bush` is its radius, if it is one."""
        super().__init__(street, u, z)
        radius = bush or rng.uniform(1.6, 2.8)
        if bush:
            self.trunk, self.radius, self.tall = 0.0, radius, radius * 0.8
        elif rng.random() < 0.2:  # a poplar
            self.trunk, self.radius, self.tall = 1.6, radius * 0.6, radius * 1.6
        else:
            self.trunk, self.radius = rng.uniform(1.8, 2.8), radius
            self.tall = radius * rng.uniform(0.8, 1.1)  # half the crown's height
        self.leaf = body_colour(rng, (leaf,), 8)

    def screens(self) -> Sequence[Polygon]:
        """The crown as a level disc, and the trunk."""
        (x, z), up, radius = self.near, self.trunk + self.tall, self.radius
        crown = [(x + radius * right, up, z + radius * ahead) for right, ahead in CIRCLE]
        return [crown, curtain((x - 0.15, z), (x + 0.15, z), up)]

    def paint(self, canvas: Canvas, rng: Random) -> None:
        """A crown of leaf clumps, dark within and light toward the sun, on its trunk."""
        (x, z), middle = self.near, self.trunk + self.tall * 0.9
        if self.trunk:
            bark = canvas.tone((0.0, 0.3, -0.95), z)(_BARK)
            canvas.limb((x, 0.0, z), (x, middle, z), 0.32, bark, VEGETATION)
        sun_x, sun_y, sun_z = canvas.light.toward_sun
        contrast = 0.2 + 0.5 * min(1.0, sum(canvas.light.sun) / sum(canvas.light.ambient))
        tone = canvas.tone(UP, z)

        def clump(dx: float, dy: float, size: float, bright: float) -> None:
            centre = (x + dx * self.radius, middle + dy * self.tall, z)
            leaf = tone(dim(self.leaf, bright))
            canvas.disc(centre, size * self.radius, size * self.tall, leaf, VEGETATION)

        clump(0.0, 0.0, 0.7, 0.6)
        clumps = max(7, min(48, int(canvas.pixels(self.radius, z) * 1.2)))
        for number in range(clumps):
            # First the big dark clumps that make the outline, at last the small light ones on top.
            part = number / clumps
            turn, far = rng.uniform(0, 2 * math.pi), math.sqrt(rng.random()) * (0.8 - 0.1 * part)
            dx, dy = far * math.cos(turn), far * math.sin(turn)
            size = (0.4 - 0.22 * part) * rng.uniform(0.8, 1.2)
            toward_sun = dx * sun_x + dy * (sun_y + 0.25) - 0.25 * sun_z
            clump(dx, dy, size, max(0.45, 0.62 + 0.3 * part + contrast * toward_sun * part))


class Barrier(Thing):
    """A short straight piece of hedge, wall or fence along the street, 4 m long."""

    def __init__(
        self, street: Street, u: float, z: float, kind: str, height: float, colour: Colour
    ) -> None:
        super().__init__(street, u, z, length=4.0)
        self.kind, self.height, self.colour = kind, height, colour

    def screens(self) -> Sequence[Polygon]:
        return [curtain(self.near, self.far, self.height)]

    def paint(self, canvas: Canvas, rng: Random) -> None:
        """A wall with its coping, a hedge with some leaves, or a fence of rails and posts."""
        a, b, top, colour = self.near, self.far, self.height, self.colour
        tone = canvas.tone((-0.9 * self.side, 0.3, -0.3), b[1])

        def point(part: float, y: float) -> Vector:
            return (a[0] + (b[0] - a[0]) * part, y, a[1] + (b[1] - a[1]) * part)

        if self.kind == "wall":
            canvas.face(upright(a, b, 0.0, top), tone(colour), WALL)
            canvas.face(upright(a, b, top - 0.15, top), tone(mix(colour, WHITE, 0.3)))
        elif self.kind == "hedge":
            canvas.face(upright(a, b, 0.0, top), tone(dim(colour, 0.72)), VEGETATION)
            for _ in range(10 if self.z < 40 else 3):
                part, y = rng.random(), rng.uniform(0.35, 0.95) * top
                leaf = tone(dim(colour, 0.7 + 0.45 * y / top))
                canvas.disc(point(part, y), 0.3, 0.22, leaf, VEGETATION)
        else:
            for rail in (top * 0.35, top * 0.95):
                canvas.face(upright(a, b, rail - 0.07, rail), tone(colour), FENCE)
            for part in (number / 6 for number in range(6)):
                canvas.limb(point(part, 0.0), point(part, top), 0.09, tone(colour), FENCE)
