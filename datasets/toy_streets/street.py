"""The street, and what every thing in it has in common.

Axes: x to the right, y up, z ahead; the camera stands over x = z = 0.  A place in the street is
given as (u, z), with u the sideways distance from the road's centre line, which may bend.  Traffic
keeps to the right.  A side is -1 for the left of the street and +1 for its right.  All lengths are
in metres.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from random import Random

from toy_streets.canvas import TOWARD_CAMERA, Canvas, Place, Polygon, Tone
from toy_streets.palette import Vector

LANE = 3.4


class Verge:
    """One side of a street: how far from the road's centre line its parts are."""

    def __init__(self, rng: Random, kind: str, half_road: float) -> None:
        """`kind` is houses, gardens or park."""
        self.kind = kind
        self.parking = rng.choice((0.0, 2.2))  # the width of the strip for it
        self.kerb = half_road + self.parking  # where the pavement begins
        self.edge = self.kerb + rng.uniform(2.6, 4.6)  # where it ends
        self.front = self.edge + (rng.uniform(4, 7) if kind == "gardens" else 0.0)  # the houses'


class Street:
    """A random road: its course and its cross-section."""

    def __init__(self, rng: Random) -> None:
        lanes = rng.choice((1, 1, 2))
        own_lane = rng.randrange(lanes)
        self.half_road = LANE * lanes
        # Two of these three, in either order: mostly houses opposite something else.
        open_side = rng.choice(("park", "park", "gardens", "houses"))
        kinds = rng.sample(("houses", open_side, rng.choice(("houses", "gardens", "park"))), 2)
        # The x of the road's centre line beside the camera, and how it bends, in 1/m.
        self.offset = -LANE * (own_lane + 0.5) + rng.uniform(-0.4, 0.4)
        bends = (0.0, rng.uniform(-0.005, 0.005), rng.uniform(-0.005, 0.005))
        self.curvature = rng.choice(bends)
        left, right = (Verge(rng, kind, self.half_road) for kind in kinds)
        self.verges = {-1: left, 1: right}
        # The z of a zebra crossing's near edge.
        self.crossing = rng.uniform(11, 24) if rng.random() < 0.35 else None

    def x(self, u: float, z: float) -> float:
        """The x of the place (u, z)."""
        return u + self.offset + self.curvature * z * z / 2


class Thing:
    """Something that stands in the street; each kind draws its own looks at random."""

    # Half the width and the height of what keeps the sun from the ground behind it.
    screen = (0.0, 0.0)

    def __init__(self, street: Street, u: float, z: float, length: float = 0.0) -> None:
        self.street, self.u, self.z, self.length = street, u, z, length
        self.side = math.copysign(1.0, u)
        self.near, self.far = ((street.x(u, end), end) for end in (z, z + length))  # (x, z)

    def paint(self, canvas: Canvas, rng: Random) -> None:
        """Paint it over what is there; `rng` decides on details that nothing else depends on."""
        raise NotImplementedError

    def tone(self, canvas: Canvas, normal: Vector = TOWARD_CAMERA) -> Tone:
        """How its colours show there, in the sun or in a house's shadow."""
        return canvas.tone(normal, self.z, canvas.sunlit(*self.near))

    def screens(self) -> Sequence[Polygon]:
        """The polygons that keep the sun from the ground."""
        (x, z), (half, height) = self.near, self.screen
        return [curtain((x - half, z), (x + half, z), height)]


def curtain(a: Place, b: Place, height: float) -> Polygon:
    """A polygon for `Thing.screens`: what stands on the line between two places.

    Its corners go the other way round than `upright`'s; Pillow's polygons depend on it.
    """
    return [(a[0], 0.0, a[1]), (b[0], 0.0, b[1]), (b[0], height, b[1]), (a[0], height, a[1])]
