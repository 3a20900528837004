"""Light on the ground of a toy street: the shadows that things cast, and the haze over it all.

The ground is painted first, in the open light and clear air, and shaded here once; what stands on
it is painted over it with a light of its own.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from toy_streets.canvas import Canvas, Floats, Place
from toy_streets.scene import Barrier, Building, Car, Person, Post, Rider, Street, Thing, Tree

_UNTIL = 60.0  # m; farther away, nothing but a house casts a shadow that one can see
_BENEATH = 0.55  # of the light does not come under a car, not even on a grey day


def shade_ground(canvas: Canvas, things: Sequence[Thing], street: Street) -> Image.Image:
    """Shade the finished ground, then veil it; the mask of the houses' shadow (L, half size)."""
    near = [thing for thing in things if thing.z < _UNTIL]
    houses = [thing for thing in things if isinstance(thing, Building)]
    others = [thing for thing in near if not isinstance(thing, Building)]
    cars = [thing for thing in near if isinstance(thing, Car)]

    sun_mask = Image.new("L", (canvas.size[0] // 2, canvas.size[1] // 2))
    _stamp(canvas, sun_mask, (part for house in houses for part in _shadow(canvas, house, street)))
    house_mask = sun_mask.copy()
    _stamp(canvas, sun_mask, (part for thing in others for part in _shadow(canvas, thing, street)))
    car_mask = Image.new("L", sun_mask.size)
    _stamp(canvas, car_mask, (_footprint(car, street) for car in cars))

    top = math.floor(canvas.horizon / 2)
    shaded = _soft(sun_mask, top, 0.8)
    gain = 1.0 - shaded * (1.0 - _skylight(canvas))
    gain *= 1.0 - _BENEATH * _soft(car_mask, top, canvas.size[0] / 320)
    rows = np.arange(top, sun_mask.height, dtype=np.float32)[:, None, None] * 2 + 1
    haze = canvas.haze_by_row(rows)
    gain *= 1.0 - haze
    _scale(canvas, top * 2, gain, haze * np.array(canvas.light.horizon, dtype=np.float32))
    return house_mask


def _skylight(canvas: Canvas) -> Floats:
    """What is left of each channel on open ground where the sun does not come."""
    light = canvas.light
    ambient = np.array(light.ambient, dtype=np.float32)
    left = ambient / (ambient + np.array(light.sun, dtype=np.float32) * light.toward_sun[1])
    # Whatever takes the sun from the ground takes a part of the sky from it, too.
    return np.asarray(left**1.7)


def _scale(canvas: Canvas, top: int, gain: Floats, veil: Floats) -> None:
    """Below row `top`, multiply by `gain` and add `veil`: one value for each 2 x 2 pixels."""
    ground = np.asarray(canvas.image.crop((0, top, *canvas.size)))
    rows = len(gain)
    # (block of rows, row in the block, column and channel)
    pairs = ground.reshape(rows, 2, -1).astype(np.float32)
    pairs *= np.repeat(gain, 2, axis=1).reshape(rows, 1, -1)
    pairs += np.tile(veil, (1, canvas.size[0], 1)).reshape(rows, 1, -1)
    shaded = np.minimum(pairs, 255).astype(np.uint8).reshape(ground.shape)
    canvas.image.paste(Image.fromarray(shaded), (0, top))


def _shadow(canvas: Canvas, thing: Thing, street: Street) -> list[list[Place]]:
    """The shadow of a thing in the sun, as polygons of (x, z) on the ground."""
    sun_x, sun_y, sun_z = canvas.light.toward_sun
    lean_x, lean_z = -sun_x / sun_y, -sun_z / sun_y  # how far it falls, per metre of height

    def curtain(a: Place, b: Place, height: float) -> list[Place]:
        dx, dz = lean_x * height, lean_z * height
        return [a, b, (b[0] + dx, b[1] + dz), (a[0] + dx, a[1] + dz)]

    x, z = street.x(thing.u, thing.z), thing.z
    match thing:
        case Building():
            back = (x + thing.side * thing.depth, z)
            far = (street.x(thing.u, thing.end), thing.end)
            return [curtain((x, z), end, thing.height) for end in (far, back)]
        case Barrier():
            return [curtain((x, z), (street.x(thing.u, thing.end), thing.end), thing.height)]
        case Tree():
            up, radius = thing.trunk + thing.tall, thing.radius
            turns = [step * math.pi / 6 for step in range(12)]
            top_x, top_z = x + lean_x * up, z + lean_z * up
            crown = [(top_x + radius * math.cos(t), top_z + radius * math.sin(t)) for t in turns]
            return [crown, curtain((x - 0.15, z), (x + 0.15, z), up)]
        case Car():
            base = _footprint(thing, street)
            roof = [(x + lean_x * 1.2, z + lean_z * 1.2) for x, z in base]
            return [curtain(base[0], base[2], 1.2), curtain(base[1], base[3], 1.2), roof]
        case Person() | Rider():
            half = 0.22 if isinstance(thing, Person) else 0.22 + 0.4 * abs(thing.across)
            return [curtain((x - half, z), (x + half, z), 1.6)]
        case Post():
            return [curtain((x - 0.06, z), (x + 0.06, z), 3.0)]


def _footprint(car: Car, street: Street) -> list[Place]:
    """The corners near left, near right, far right, far left."""
    a, b = street.x(car.u, car.z), street.x(car.u, car.end)
    return [(a - 0.95, car.z), (a + 0.95, car.z), (b + 0.95, car.end), (b - 0.95, car.end)]


def _stamp(canvas: Canvas, mask: Image.Image, shapes: Iterable[list[Place]]) -> None:
    """Fill these polygons of (x, z) on the ground into a mask of half the canvas' size."""
    pen = ImageDraw.Draw(mask)
    for places in shapes:
        outline = canvas.ground(places)
        if outline:
            pen.polygon([(x / 2, y / 2) for x, y in outline], 255)


def _soft(mask: Image.Image, top: int, blur: float) -> Floats:
    """The mask from row `top` on, blurred: (rows, columns, 1) in 0..1."""
    below = mask.crop((0, top, *mask.size)).filter(ImageFilter.BoxBlur(blur))
    return np.asarray(below, dtype=np.float32)[..., None] / 255
