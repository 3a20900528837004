"""The composition of a toy street: what stands where, drawn at random but plausibly, in metres."""

from __future__ import annotations

from random import Random
from typing import Literal

from toy_streets import palette
from toy_streets.palette import Colour, body_colour, draw_light
from toy_streets.scene import (
    SIGNS,
    Barrier,
    Building,
    Car,
    Person,
    Post,
    Rider,
    Scene,
    Street,
    Thing,
    Tree,
    Verge,
    View,
)

FAR = 150.0  # m; beyond this a street is a line of trees in the haze
LANE = 3.4


def compose(rng: Random) -> Scene:
    """A whole random scene."""
    view = View(rng.uniform(1.8, 2.5), rng.uniform(-0.06, 0.06), rng.uniform(0.46, 0.56))
    light = draw_light(rng)
    street = _street(rng)
    leaf = body_colour(rng, palette.FOLIAGE, 6)
    things: list[Thing] = []
    for side in (-1, 1):
        if street.verge(side).kind == "park":
            things += _park(rng, street, side, leaf)
        else:
            things += _houses(rng, street, side, leaf)
        things += _kerbside(rng, street, side, leaf)
        things += _parked_cars(rng, street, side)
        things += _walkers(rng, street, side)
    things += _traffic(rng, street)
    things += _crossing(rng, street)
    return Scene(view, light, street, leaf, tuple(sorted(things, key=_far_end, reverse=True)))


def _far_end(thing: Thing) -> float:
    # Whatever stands on the street beside a long front is nearer than the front, wherever along it.
    return thing.end if isinstance(thing, Building | Barrier) else thing.z


def _street(rng: Random) -> Street:
    lanes = rng.choice((1, 1, 2))
    own_lane = rng.randrange(lanes)
    # Two of these three, in either order: mostly houses opposite something else.
    open_side = rng.choice(("park", "park", "gardens", "houses"))
    left, right = rng.sample(("houses", open_side, rng.choice(("houses", "gardens", "park"))), 2)
    return Street(
        offset=-LANE * (own_lane + 0.5) + rng.uniform(-0.4, 0.4),
        curvature=rng.choice((0.0, rng.uniform(-0.005, 0.005), rng.uniform(-0.005, 0.005))),
        half_road=LANE * lanes,
        left=_verge(rng, left),
        right=_verge(rng, right),
        crossing=rng.uniform(11, 24) if rng.random() < 0.35 else None,
    )


def _verge(rng: Random, kind: str) -> Verge:
    parking = rng.choice((0.0, 2.2))
    walk = rng.uniform(2.6, 4.6)
    if kind == "gardens":
        return Verge("gardens", parking, walk, rng.uniform(4, 7))
    return Verge("park" if kind == "park" else "houses", parking, walk, 0.0)


def _houses(rng: Random, street: Street, side: int, leaf: Colour) -> list[Thing]:
    """A row of houses, with a gap here and there, and hedges before their gardens if any."""
    verge = street.verge(side)
    gardens = verge.kind == "gardens"
    front = street.edge(side) + verge.setback
    storeys = rng.choice((1, 2)) if gardens else rng.choice((2, 3, 3, 4))
    pitched = gardens or rng.random() < 0.5
    things: list[Thing] = []
    z, gap = rng.uniform(3, 9), 0.0
    while z < FAR:
        length = rng.uniform(8, 12) if gardens else rng.uniform(8, 17)
        things.append(
            Building(
                side=side,
                u=side * (front + rng.choice((0.0, 0.0, rng.uniform(0, 1.5)))),
                z=z,
                end=z + length,
                depth=rng.uniform(8, 12),
                storeys=max(1, storeys + rng.choice((-1, 0, 0, 1))),
                ridge=rng.uniform(2.4, 4.0) if pitched and rng.random() < 0.85 else 0.0,
                detached=gap > 0,
                bay=rng.uniform(2.6, 3.6),
                shop=body_colour(rng, palette.COATS)
                if not gardens and rng.random() < 0.4
                else None,
                roof=body_colour(rng, palette.ROOFS, 8),
                body=body_colour(rng, palette.FACADES, 9),
            )
        )
        gap = rng.uniform(3, 7) if gardens or rng.random() < 0.18 else 0.0
        if gap > 0:
            u = side * (front + rng.uniform(3, 6))
            things.append(_tree(rng, u, z + length + gap / 2, leaf))
        z += length + gap
    if gardens:
        things += _barrier(rng, street, side, "hedge")
    return things


def _park(rng: Random, street: Street, side: int, leaf: Colour) -> list[Thing]:
    """Trees and bushes on grass, often behind a hedge, a wall or a fence."""
    edge = street.edge(side)
    things: list[Thing] = []
    for _ in range(rng.randint(12, 20)):
        z = 13 + 110 * rng.random() ** 1.3
        things.append(_tree(rng, side * (edge + 3 + 26 * rng.random() ** 1.5), z, leaf))
    for _ in range(rng.randint(3, 8)):
        z = rng.uniform(14, 60)
        radius = rng.uniform(0.6, 1.2)
        u = side * (edge + rng.uniform(2, 12))
        things.append(Tree(u, z, 0.0, radius, radius * 0.8, _shade_of(rng, leaf)))
    kind: Literal["hedge", "wall", "fence"] | None = rng.choice(("hedge", "wall", "fence", None))
    if kind:
        things += _barrier(rng, street, side, kind)
    return things


def _barrier(
    rng: Random, street: Street, side: int, kind: Literal["hedge", "wall", "fence"]
) -> list[Thing]:
    """A barrier all along the pavement's outer edge, in pieces short enough to follow a bend."""
    colour = body_colour(rng, palette.HEDGES if kind == "hedge" else palette.WALLS, 8)
    height = rng.uniform(0.7, 1.3)
    u = side * (street.edge(side) + 0.3)
    return [Barrier(kind, u, z, z + 4.0, height, colour) for z in range(5, 77, 4)]


def _tree(rng: Random, u: float, z: float, leaf: Colour) -> Tree:
    radius = rng.uniform(1.6, 2.8)
    if rng.random() < 0.2:  # a poplar
        return Tree(u, z, 1.6, radius * 0.6, radius * 1.6, _shade_of(rng, leaf))
    trunk, tall = rng.uniform(1.8, 2.8), radius * rng.uniform(0.8, 1.1)
    return Tree(u, z, trunk, radius, tall, _shade_of(rng, leaf))


def _shade_of(rng: Random, leaf: Colour) -> Colour:
    return body_colour(rng, (leaf,), 8)


def _kerbside(rng: Random, street: Street, side: int, leaf: Colour) -> list[Thing]:
    """Lamps at a regular distance, a few signs and, on some streets, a row of trees."""
    kerb = street.kerb(side)
    start, step = rng.uniform(10, 30), rng.uniform(22, 32)
    lamp, sign = side * (kerb + 0.4), side * (kerb + 0.5)
    things: list[Thing] = [Post("lamp", side, lamp, start + n * step) for n in range(4)]
    for _ in range(rng.randint(1, 3)):
        things.append(Post(rng.choice(SIGNS), side, sign, rng.uniform(9, 38)))
    if rng.random() < 0.35:
        step = rng.uniform(9, 14)
        z = rng.uniform(11, 18)
        while z < 100:
            things.append(_tree(rng, side * (kerb + 1.0), z, leaf))
            z += step
    return things


def _parked_cars(rng: Random, street: Street, side: int) -> list[Thing]:
    """Cars in the slots of the parking strip, where the street has one."""
    if not street.verge(side).parking:
        return []
    fullness = rng.uniform(0.25, 0.8)
    return [
        _car(rng, side * (street.half_road + 1.1), z, side > 0)
        for z in (8.0 + slot * 6.2 for slot in range(11))
        if rng.random() < fullness and not _blocks_crossing(street, z)
    ]


def _traffic(rng: Random, street: Street) -> list[Thing]:
    """Cars and cyclists on the move, each keeping its distance from the one ahead."""
    things: list[Thing] = []
    lanes = round(street.half_road / LANE)
    for lane in range(-lanes, lanes):
        z = rng.uniform(11, 45)
        while z < 90:
            if not _blocks_crossing(street, z):
                things.append(_car(rng, (lane + 0.5) * LANE, z, lane >= 0))
            z += rng.uniform(12, 60)
    for side in (-1, 1):
        if rng.random() < 0.4:
            u = side * (street.half_road - 0.5)
            things.append(_rider(rng, u, rng.uniform(10, 30), rng.choice((-0.25, 0.25))))
    return things


def _blocks_crossing(street: Street, z: float) -> bool:
    """Whether a car with its near end at about `z` would stand on the zebra crossing."""
    return street.crossing is not None and street.crossing - 6.5 < z < street.crossing + 4.0


def _car(rng: Random, u: float, z: float, away: bool) -> Car:
    style = rng.choice(("hatch", "hatch", "saloon", "saloon", "estate", "van"))
    u, z = u + rng.uniform(-0.2, 0.2), z + rng.uniform(0, 0.8)
    return Car(style, u, z, away, body_colour(rng, palette.CARS))


def _walkers(rng: Random, street: Street, side: int) -> list[Thing]:
    """People on the pavement, some of them in pairs."""
    things: list[Thing] = []
    for _ in range(rng.randint(1, 5)):
        u = rng.uniform(street.kerb(side) + 0.8, street.edge(side) - 0.5)
        z = 10 + 40 * rng.random() ** 1.4
        things.append(_person(rng, side * u, z))
        if rng.random() < 0.3:
            things.append(_person(rng, side * u + rng.uniform(0.55, 0.7), z + 0.1))
    return things


def _crossing(rng: Random, street: Street) -> list[Thing]:
    """Whoever uses the zebra crossing, and its traffic lights."""
    z = street.crossing
    if z is None:
        return []
    things: list[Thing] = []
    for _ in range(rng.randint(0, 3)):
        u = rng.uniform(-street.half_road, street.half_road)
        things.append(_person(rng, u, z + rng.uniform(0.4, 2.4)))
    if rng.random() < 0.4:
        u = rng.uniform(-street.half_road, street.half_road)
        things.append(_rider(rng, u, z + 1.2, rng.choice((-1.0, 1.0))))
    if rng.random() < 0.7:
        for side in (-1, 1):
            things.append(Post("light", side, side * (street.kerb(side) + 0.4), z - 0.4))
    return things


def _person(rng: Random, u: float, z: float) -> Person:
    height, stride, back = rng.uniform(1.55, 1.88), rng.uniform(0.1, 0.6), rng.random() < 0.5
    skin, hair = rng.choice(palette.SKINS), rng.choice(palette.HAIRS)
    return Person(u, z, height, stride, back, skin, hair, body_colour(rng, palette.COATS))


def _rider(rng: Random, u: float, z: float, across: float) -> Rider:
    frame = body_colour(rng, palette.CARS)
    return Rider(u, z, across, rng.choice(palette.SKINS), frame, body_colour(rng, palette.COATS))
