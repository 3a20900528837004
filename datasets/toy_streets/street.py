"""The street, and what every thing in it has in common.

Axes: x to the right, y up, z ahead; the camera stands over x = z = 0.  A place in the street is
given as (u, z), with u the sideways distance from the road's centre line, which may bend.  Traffic
keeps to the right.  A side is -1 for the left of the street and +1 for its right.  All lengths are
in metres.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random
from typing import ClassVar

from toy_streets.canvas import Canvas, Place, Polygon


@dataclass(frozen=True)
class Verge:
    """One side of the street: how far from the road's centre line its parts are."""

    kind: str  # houses, gardens or park
    kerb: float  # where the pavement begins
    edge: float  # where it ends
    front: float  # the houses' fronts


@dataclass(frozen=True)
class Street:
    """The road's course and cross-section."""

    offset: float  # x of the road's centre line beside the camera
    curvature: float  # 1/m
    half_road: float
    verges: dict[int, Verge]  # by side
    crossing: float | None  # z of a zebra crossing's near edge

    def x(self, u: float, z: float) -> float:
        """The x of the place (u, z)."""
        return u + self.offset + self.curvature * z * z / 2


@dataclass(frozen=True)
class Thing:
    """Something that stands in the street, from `z` on for its `length`."""

    street: Street
    u: float
    z: float
    length: float = field(default=0.0, kw_only=True)
    # Half the width and the height of what keeps the sun from the ground behind it.
    SCREEN: ClassVar[Place] = (0.0, 0.0)

    @property
    def near(self) -> Place:
        """The x and z of its near end."""
        return self.street.x(self.u, self.z), self.z

    @property
    def far(self) -> Place:
        """The x and z of its far end."""
        end = self.z + self.length
        return self.street.x(self.u, end), end

    @property
    def side(self) -> float:
        """The side of the street that it is on."""
        return math.copysign(1.0, self.u)

    def paint(self, canvas: Canvas, rng: Random) -> None:
        """Paint it over what is there; `rng` decides on details that nothing else depends on."""
        raise NotImplementedError

    def screens(self) -> Sequence[Polygon]:
        """The polygons that keep the sun from the ground."""
        (x, z), (half, height) = self.near, self.SCREEN
        return [curtain((x - half, z), (x + half, z), height)]


def curtain(a: Place, b: Place, height: float) -> Polygon:
    """A polygon for `Thing.screens`: what stands on the line between two places.

    Its corners go the other way round than `upright`'s; Pillow's polygons depend on it.
    """
    return [(a[0], 0.0, a[1]), (b[0], 0.0, b[1]), (b[0], height, b[1]), (a[0], height, a[1])]
