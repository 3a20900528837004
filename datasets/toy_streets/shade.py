"""Light on the ground of a toy street: the shadows that things cast, and the haze over it all.

The ground is painted first, in the open light and clear air, and shaded here once; what stands on
it is painted over it with a light of its own.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from toy_streets.canvas import DENSEST_HAZE, Canvas, Floats, Polygon
from toy_streets.cars import Car
from toy_streets.houses import Building
from toy_streets.street import Thing

_UNTIL = 60.0  # m; farther away, nothing but a house casts a shadow that one can see
_BENEATH = 0.55  # of the light does not come under a car, not even on a grey day


def shade_ground(canvas: Canvas, things: Sequence[Thing]) -> None:
    """Shade the finished ground, then veil it; the canvas keeps the houses' shadow."""
    near = [thing for thing in things if thing.z < _UNTIL and not isinstance(thing, Building)]
    houses = [thing for thing in things if isinstance(thing, Building)]
    sun_mask, car_mask = (Image.new("L", (canvas.size[0] // 2, canvas.size[1] // 2)) for _ in "ab")
    _stamp(canvas, sun_mask, (screen for house in houses for screen in house.screens()))
    canvas.house_shadow = np.array(sun_mask)
    _stamp(canvas, sun_mask, (screen for thing in near for screen in thing.screens()))
    cars = [thing.footprint() for thing in near if isinstance(thing, Car)]
    _stamp(canvas, car_mask, ([(x, 0.0, z) for x, z in footprint] for footprint in cars))

    top = math.floor(canvas.horizon / 2)
    ambient, sun = (np.array(part, np.float32) for part in (canvas.light.ambient, canvas.light.sun))
    # What is left of each channel where the sun does not come.  Whatever takes the sun from the
    # ground takes a part of the sky from it, too: hence the power.
    skylight = (ambient / (ambient + sun * canvas.light.toward_sun[1])) ** 1.7
    gain = 1.0 - _soft(sun_mask, top, 0.8) * (1.0 - skylight)
    gain *= 1.0 - _BENEATH * _soft(car_mask, top, canvas.size[0] / 320)
    rows = np.arange(top, sun_mask.height, dtype=np.float32)[:, None, None] * 2 + 1
    haze = DENSEST_HAZE * (1.0 - np.exp(-canvas.depth(rows) / canvas.light.haze))
    gain *= 1.0 - haze
    veil = haze * np.array(canvas.light.horizon, dtype=np.float32)
    # Back to the size of the canvas.
    ground = np.array(canvas.image.crop((0, top * 2, *canvas.size)), dtype=np.float32)
    ground *= gain.repeat(2, axis=0).repeat(2, axis=1)
    ground += veil.repeat(2, axis=0)
    pixels = np.minimum(ground, 255).astype(np.uint8)
    canvas.image.paste(Image.fromarray(pixels), (0, top * 2))


def _stamp(canvas: Canvas, mask: Image.Image, screens: Iterable[Polygon]) -> None:
    """Fill the shadows of these polygons on the ground into a mask of half the canvas' size."""
    pen = ImageDraw.Draw(mask)
    sun_x, sun_y, sun_z = canvas.light.toward_sun
    lean_x, lean_z = -sun_x / sun_y, -sun_z / sun_y  # how far a shadow falls, per metre of height
    for screen in screens:
        outline = canvas.ground([(x + lean_x * y, z + lean_z * y) for x, y, z in screen])
        if outline:
            pen.polygon([(x / 2, y / 2) for x, y in outline], 255)


def _soft(mask: Image.Image, top: int, blur: float) -> Floats:
    """The mask from row `top` on, blurred: (rows, columns, 1) in 0..1."""
    below = mask.crop((0, top, *mask.size)).filter(ImageFilter.BoxBlur(blur))
    return np.asarray(below, dtype=np.float32)[..., None] / 255
