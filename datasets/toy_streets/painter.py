"""One toy street from its number to its pixels: compose it, paint it, name its instances."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from random import Random

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from toy_streets.backdrop import paint_ground, paint_hills, paint_sky
from toy_streets.canvas import BICYCLE, BUILDING, CAR, PERSON, RIDER, Canvas
from toy_streets.composition import compose
from toy_streets.fixtures import paint_barrier, paint_building, paint_post, paint_tree
from toy_streets.movers import paint_car, paint_person, paint_rider
from toy_streets.palette import Colour
from toy_streets.scene import Barrier, Building, Car, Person, Post, Rider, Scene, Thing, Tree
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
    scene = compose(rng)
    grain = np.random.default_rng(rng.getrandbits(64))
    canvas = Canvas(scene.view, scene.light, width, height)
    paint_sky(canvas, grain)
    paint_ground(canvas, scene)
    house_shadow = shade_ground(canvas, scene.things, scene.street)
    paint_hills(canvas, scene, rng)
    painter = _Painter(canvas, scene, house_shadow, rng)
    for thing in scene.things:
        painter.paint(thing)
    image, ids = canvas.finished(grain)
    area = np.bincount(ids.ravel(), minlength=2**16)
    colours = {ident: body for ident, body in painter.colours.items() if area[ident]}
    return Drawing(image, ids, colours)


class _Painter:
    """Paints a scene's things one after another, numbering the instances of each label."""

    def __init__(
        self, canvas: Canvas, scene: Scene, house_shadow: Image.Image, rng: Random
    ) -> None:
        self.colours: dict[int, Colour] = {}
        self._canvas, self._street, self._rng = canvas, scene.street, rng
        self._house_shadow = house_shadow
        self._count: Counter[int] = Counter()

    def paint(self, thing: Thing) -> None:
        """Paint one more thing over those before it."""
        canvas, street = self._canvas, self._street
        far = thing.z if isinstance(thing, Tree | Person | Post | Rider) else thing.end
        if not canvas.shows(street.x(thing.u, far), far, _REACH):
            return
        match thing:
            case Building():
                paint_building(canvas, thing, street, self._ident(BUILDING, thing.body), self._rng)
            case Tree():
                paint_tree(canvas, thing, street, self._rng)
            case Barrier():
                paint_barrier(canvas, thing, street, self._rng)
            case Post():
                paint_post(canvas, thing, street, self._rng)
            case Car():
                paint_car(canvas, thing, street, self._ident(CAR, thing.body), self._sunlit(thing))
            case Person():
                ident = self._ident(PERSON, thing.body)
                paint_person(canvas, thing, street, ident, self._sunlit(thing))
            case Rider():
                idents = (self._ident(RIDER, thing.body), self._ident(BICYCLE))
                paint_rider(canvas, thing, street, idents, self._sunlit(thing))

    def _ident(self, label: int, body: Colour | None = None) -> int:
        ident = label * 1000 + self._count[label]
        self._count[label] += 1
        if body:
            self.colours[ident] = body
        return ident

    def _sunlit(self, thing: Car | Person | Rider) -> float:
        """1 where the thing stands in the sun, 0 where in a house's shadow."""
        mask = self._house_shadow
        x, y = self._canvas.project(self._street.x(thing.u, thing.z), 0.0, thing.z)
        column = min(max(int(x / 2), 0), mask.width - 1)
        row = min(max(int(y / 2), 0), mask.height - 1)
        value = mask.getpixel((column, row))
        return 1.0 - value / 255 if isinstance(value, int) else 1.0
