"""One toy street from its number to its pixels: compose it, then paint it from far to near."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

import numpy as np
from numpy.typing import NDArray

from toy_streets.backdrop import paint_ground, paint_hills, paint_sky
from toy_streets.canvas import Canvas
from toy_streets.composition import compose
from toy_streets.palette import Colour, Light
from toy_streets.shade import shade_ground

# Half the width of the widest thing, a house apart: that is seen by its street side or not at all.
_REACH = 3.0


@dataclass(frozen=True)
class Drawing:
    """A painted street.

    `image` is (height, width, 3), RGB.  `ids` is (height, width): label * 1000 + n, n from 0, for
    a car, person, rider, bicycle or building, and the plain label elsewhere.  `colours` has the
    body colour that was drawn for each car, person, rider and building in sight, by its id; light
    and haze are not in it.
    """

    image: NDArray[np.uint8]
    ids: NDArray[np.uint16]
    colours: dict[int, Colour]


def draw_street(seed: int, phase: str, index: int, width: int, height: int) -> Drawing:
    """The street with this number in `phase`'s set; `width` and `height` are in pixels."""
    rng = Random(f"{seed} {phase} {index}")
    eye, pan, horizon = rng.uniform(1.8, 2.5), rng.uniform(-0.06, 0.06), rng.uniform(0.46, 0.56)
    canvas = Canvas(eye, pan, horizon, Light(rng), width, height)
    street, leaf, things = compose(rng)
    grain = np.random.default_rng(rng.getrandbits(64))
    paint_sky(canvas, grain)
    paint_ground(canvas, street)
    shade_ground(canvas, things)
    paint_hills(canvas, leaf, rng)
    for thing in things:
        if canvas.shows(*thing.far, _REACH):
            thing.paint(canvas, rng)
    image, ids = canvas.finished(grain)
    area = np.bincount(ids.ravel(), minlength=2**16)
    colours = {ident: body for ident, body in canvas.colours.items() if area[ident]}
    return Drawing(image, ids, colours)
