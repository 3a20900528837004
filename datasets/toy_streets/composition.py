"""The composition of a toy street: what stands where, drawn at random but plausibly, in metres."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from toy_streets import palette
from toy_streets.cars import Car
from toy_streets.houses import Building
from toy_streets.palette import Colour, body_colour
from toy_streets.people import Person, Rider
from toy_streets.plants import Barrier, Tree
from toy_streets.posts import SIGNS, Post
from toy_streets.street import LANE, Street, Thing

_FAR = 150.0  # m; beyond this a street is a line of trees in the haze


def compose(rng: Random) -> tuple[Street, Colour, list[Thing]]:
    """A random street, the colour of its leaves, and its things in the order to paint them."""
    street = Street(rng)
    leaf = body_colour(rng, palette.FOLIAGE, 6)
    things: list[Thing] = []
    for side, verge in street.verges.items():
        fill = _park if verge.kind == "park" else _houses
        things += fill(rng, street, side, leaf)
        things += _kerbside(rng, street, side, leaf)
    things += _traffic(rng, street)
    things += _crossing(rng, street)
    # Whatever stands on the street beside a long front is nearer than the front, wherever along it.
    things.sort(key=lambda thing: -(thing.z if isinstance(thing, Car) else thing.far[1]))
    return street, leaf, things


def _houses(rng: Random, street: Street, side: int, leaf: Colour) -> Iterator[Thing]:
    """A row of houses, with a gap here and there, and hedges before their gardens if any."""
    gardens, front = street.verges[side].kind == "gardens", street.verges[side].front
    floors = rng.choice((1, 2)) if gardens else rng.choice((2, 3, 3, 4))
    steep = gardens or rng.random() < 0.5
    z, gap = rng.uniform(3, 9), 0.0
    while z < _FAR:
        house = Building(rng, street, side, z, floors, steep, gap)
        yield house
        gap = rng.uniform(3, 7) if gardens or rng.random() < 0.18 else 0.0
        if gap > 0:
            u = side * (front + rng.uniform(3, 6))
            yield Tree(rng, street, u, z + house.length + gap / 2, leaf)
        z += house.length + gap
    if gardens:
        yield from _barrier(rng, street, side, "hedge")


def _park(rng: Random, street: Street, side: int, leaf: Colour) -> Iterator[Thing]:
    """Trees and bushes on grass, often behind a hedge, a wall or a fence."""
    edge = street.verges[side].edge
    for _ in range(rng.randint(12, 20)):
        z = 13 + 110 * rng.random() ** 1.3
        yield Tree(rng, street, side * (edge + 3 + 26 * rng.random() ** 1.5), z, leaf)
    for _ in range(rng.randint(3, 8)):
        z, radius = rng.uniform(14, 60), rng.uniform(0.6, 1.2)
        u = side * (edge + rng.uniform(2, 12))
        yield Tree(rng, street, u, z, leaf, bush=radius)
    kind = rng.choice(("hedge", "wall", "fence", None))
    if kind:
        yield from _barrier(rng, street, side, kind)


def _barrier(rng: Random, street: Street, side: int, kind: str) -> Iterator[Thing]:
    """A barrier all along the pavement's outer edge, in pieces short enough to follow a bend."""
    colour = body_colour(rng, palette.HEDGES if kind == "hedge" else palette.WALLS, 8)
    height, u = rng.uniform(0.7, 1.3), side * (street.verges[side].edge + 0.3)
    for z in range(5, 77, 4):
        yield Barrier(street, u, z, kind, height, colour)


def _kerbside(rng: Random, street: Street, side: int, leaf: Colour) -> Iterator[Thing]:
    """Lamps at a regular distance, signs, perhaps a row of trees, parked cars, and people."""
    verge = street.verges[side]
    kerb = verge.kerb
    start, step = rng.uniform(10, 30), rng.uniform(22, 32)
    for number in range(4):
        yield Post(street, side * (kerb + 0.4), start + number * step, "lamp")
    for _ in range(rng.randint(1, 3)):
        kind = rng.choice(list(SIGNS))
        yield Post(street, side * (kerb + 0.5), rng.uniform(9, 38), kind)
    if rng.random() < 0.35:
        step, z = rng.uniform(9, 14), rng.uniform(11, 18)
        while z < 100:
            yield Tree(rng, street, side * (kerb + 1.0), z, leaf)
            z += step
    if verge.parking:
        fullness = rng.uniform(0.25, 0.8)
        for z in (8.0 + slot * 6.2 for slot in range(11)):
            if rng.random() < fullness and not _blocks_crossing(street, z):
                yield Car(rng, street, side * (street.half_road + 1.1), z, side > 0)
    for _ in range(rng.randint(1, 5)):
        u = side * rng.uniform(kerb + 0.8, verge.edge - 0.5)
        z = 10 + 40 * rng.random() ** 1.4
        yield Person(rng, street, u, z)
        if rng.random() < 0.3:  # a pair
            yield Person(rng, street, u + rng.uniform(0.55, 0.7), z + 0.1)


def _traffic(rng: Random, street: Street) -> Iterator[Thing]:
    """Cars and cyclists on the move, each keeping its distance from the one ahead."""
    lanes = round(street.half_road / LANE)
    for lane in range(-lanes, lanes):
        z = rng.uniform(11, 45)
        while z < 90:
            if not _blocks_crossing(street, z):
                yield Car(rng, street, (lane + 0.5) * LANE, z, lane >= 0)
            z += rng.uniform(12, 60)
    for side in (-1, 1):
        if rng.random() < 0.4:
            z, across = rng.uniform(10, 30), rng.choice((-0.25, 0.25))
            yield Rider(rng, street, side * (street.half_road - 0.5), z, across)


def _blocks_crossing(street: Street, z: float) -> bool:
    """Whether a car with its near end at about `z` would stand on the zebra crossing."""
    return street.crossing is not None and street.crossing - 6.5 < z < street.crossing + 4.0


def _crossing(rng: Random, street: Street) -> Iterator[Thing]:
    """Whoever uses the zebra crossing, and its traffic lights."""
    z, half = street.crossing, street.half_road
    if z is None:
        return
    for _ in range(rng.randint(0, 3)):
        u = rng.uniform(-half, half)
        yield Person(rng, street, u, z + rng.uniform(0.4, 2.4))
    if rng.random() < 0.4:
        u = rng.uniform(-half, half)
        yield Rider(rng, street, u, z + 1.2, rng.choice((-1.0, 1.0)))
    if rng.random() < 0.7:
        for side, verge in street.verges.items():
            yield Post(street, side * (verge.kerb + 0.4), z - 0.4, "light")
