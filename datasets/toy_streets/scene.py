"""What a toy street consists of: the plain records that are composed first and painted afterwards.

Axes: x to the right, y up, z ahead; the camera stands over x = z = 0.  A place in the street is
given as (u, z), with u the sideways distance from the road's centre line, which may bend.  Traffic
keeps to the right.  `side` is -1 for the left of the street and +1 for its right.  All lengths are
in metres.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from toy_streets.palette import Colour, Light

STOREY = 3.1
CAR_LENGTHS = {"hatch": 4.0, "saloon": 4.5, "estate": 4.6, "van": 5.0}
SIGNS = ("ban", "order", "warning", "priority", "parking")


@dataclass(frozen=True)
class View:
    """The camera: `eye` height in m, `pan` and `horizon` as parts of the image's width, height."""

    eye: float
    pan: float
    horizon: float


@dataclass(frozen=True)
class Verge:
    """One side of the street, outward from the kerb; widths in m."""

    kind: Literal["houses", "gardens", "park"]
    parking: float
    walk: float
    setback: float  # from the pavement's outer edge to the house fronts


@dataclass(frozen=True)
class Street:
    """The road's course and cross-section; lengths in m."""

    offset: float  # x of the road's centre line beside the camera
    curvature: float  # 1/m
    half_road: float
    left: Verge
    right: Verge
    crossing: float | None  # z of a zebra crossing's near edge

    def x(self, u: float, z: float) -> float:
        """The x of the place (u, z)."""
        return u + self.offset + self.curvature * z * z / 2

    def verge(self, side: int) -> Verge:
        """The given side of the street."""
        return self.left if side < 0 else self.right

    def kerb(self, side: int) -> float:
        """How far from the centre line the pavement begins."""
        return self.half_road + self.verge(side).parking

    def edge(self, side: int) -> float:
        """How far from the centre line the pavement ends."""
        return self.kerb(side) + self.verge(side).walk


@dataclass(frozen=True)
class Building:
    """A house with its front at `u` from `z` to `end`.

    `ridge` is the roof's height, 0 if flat; a `detached` house has no other right before it.
    """

    side: int
    u: float
    z: float
    end: float
    depth: float
    storeys: int
    ridge: float
    detached: bool
    bay: float  # m from window to window
    shop: Colour | None  # the awning's colour
    roof: Colour
    body: Colour

    @property
    def height(self) -> float:
        """From the ground to the eaves."""
        return 0.9 + STOREY * self.storeys


@dataclass(frozen=True)
class Tree:
    """A tree or, with no `trunk`, a bush; `radius` and `tall` (half the crown's height) in m."""

    u: float
    z: float
    trunk: float
    radius: float
    tall: float
    leaf: Colour


@dataclass(frozen=True)
class Barrier:
    """A short straight piece of hedge, wall or fence along the street."""

    kind: Literal["hedge", "wall", "fence"]
    u: float
    z: float
    end: float
    height: float
    colour: Colour


@dataclass(frozen=True)
class Post:
    """A street lamp, a traffic light or a sign (one of `SIGNS`), arm or face toward the road."""

    kind: str
    side: int
    u: float
    z: float


@dataclass(frozen=True)
class Car:
    """A car with its nearest end at `z`; `away` if it shows its tail."""

    style: str
    u: float
    z: float
    away: bool
    body: Colour

    @property
    def length(self) -> float:
        """From bumper to bumper."""
        return CAR_LENGTHS[self.style]

    @property
    def end(self) -> float:
        """The z of its far end."""
        return self.z + self.length


@dataclass(frozen=True)
class Person:
    """Someone on foot; `stride` is how far the feet are apart in m, `back` turned or not."""

    u: float
    z: float
    height: float
    stride: float
    back: bool
    skin: Colour
    hair: Colour
    body: Colour


@dataclass(frozen=True)
class Rider:
    """Someone on a bicycle; `across` is the part of its length that the camera sees, signed."""

    u: float
    z: float
    across: float
    skin: Colour
    frame: Colour
    body: Colour


Thing = Building | Tree | Barrier | Post | Car | Person | Rider


@dataclass(frozen=True)
class Scene:
    """All that one picture shows; `things` are in the order to paint them, far to near."""

    view: View
    light: Light
    street: Street
    leaf: Colour
    things: tuple[Thing, ...]
