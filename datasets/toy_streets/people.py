"""People on foot and people on bicycles."""

from __future__ import annotations

import math
from random import Random

from toy_streets import palette
from toy_streets.canvas import BICYCLE, PERSON, RIDER, Canvas
from toy_streets.cars import TYRE
from toy_streets.palette import Vector, body_colour, dim, mix
from toy_streets.street import Street, Thing

_TROUSERS, _HELMET = (44, 48, 62), (228, 228, 224)


class Person(Thing):
    """Someone on foot, in a long coat, which is most of what one sees of them."""

    screen = (0.22, 1.6)

    def __init__(self, rng: Random, street: Street, u: float, z: float) -> None:
        super().__init__(street, u, z)
        self.height = rng.uniform(1.55, 1.88)
        self.stride = rng.uniform(0.1, 0.6)  # m from foot to foot
        self.back = rng.random() < 0.5  # is what one sees
        self.skin, self.hair = rng.choice(palette.SKINS), rng.choice(palette.HAIRS)
        self.body = body_colour(rng, palette.COATS)

    def paint(self, canvas: Canvas, rng: Random) -> None:
        (x, z), ident = self.near, canvas.instance(PERSON, self.body)
        tone = self.tone(canvas)

        def at(dx: float, up: float) -> Vector:
            return (x + dx, up * self.height, z)

        trousers, sleeve = tone(mix(_TROUSERS, self.body, 0.25)), tone(dim(self.body, 0.86))
        for side in (-1, 1):
            foot = side * self.stride / 2 * 0.6 + side * 0.05
            canvas.limb(at(side * 0.08, 0.45), at(foot, 0.0), 0.15, trousers, ident)
        for side in (-1, 1):
            hand = side * (0.24 + self.stride / 5)
            canvas.limb(at(side * 0.2, 0.8), at(hand, 0.48), 0.12, sleeve, ident)
        coat = [(-0.19, 0.84), (0.19, 0.84), (0.2, 0.6), (0.25, 0.3), (-0.25, 0.3), (-0.2, 0.6)]
        canvas.face([at(dx, up) for dx, up in coat], tone(self.body), ident)
        # The half of the coat away from the sun is a little darker.
        dark = -math.copysign(1.0, canvas.light.toward_sun[0])
        shade = [(0.04, 0.84), (0.19, 0.84), (0.2, 0.6), (0.25, 0.3), (0.06, 0.3)]
        canvas.face([at(dark * dx, up) for dx, up in shade], tone(dim(self.body, 0.82)), ident)
        canvas.disc(at(0.0, 0.92), 0.115, 0.14, tone(self.skin), ident)
        up, tall = (0.935, 0.14) if self.back else (0.97, 0.07)
        canvas.disc(at(0.0, up), 0.12, tall, tone(self.hair), ident)


class Rider(Thing):
    """Someone on a bicycle; `across` is the part of its length that the camera sees, signed."""

    def __init__(self, rng: Random, street: Street, u: float, z: float, across: float) -> None:
        super().__init__(street, u, z)
        self.across = across
        # As wide as the camera sees it, whatever the sun sees.
        self.screen = (0.22 + 0.4 * abs(across), 1.6)
        self.frame = body_colour(rng, palette.CARS)
        self.skin, self.body = rng.choice(palette.SKINS), body_colour(rng, palette.COATS)

    def paint(self, canvas: Canvas, rng: Random) -> None:
        tone, (x, z), across = self.tone(canvas), self.near, self.across
        rider, bicycle = canvas.instance(RIDER, self.body), canvas.instance(BICYCLE)

        def at(along: float, y: float, aside: float = 0.0) -> Vector:
            return (x + along * across + aside, y, z)

        for along in (0.52, -0.52):
            wide = max(0.06, 0.34 * abs(across))
            canvas.wheel(at(along, 0.34), wide, 0.34, tone(TYRE), bicycle)
        hub, pedals, head, saddle = (-0.52, 0.34), (-0.15, 0.34), (0.38, 0.85), (-0.18, 0.85)
        tubes = ((hub, saddle), (hub, pedals), (pedals, saddle), (pedals, head), (head, saddle))
        for start, end in (*tubes, ((0.52, 0.34), (0.36, 1.02))):
            canvas.limb(at(*start), at(*end), 0.07, tone(self.frame), bicycle)

        narrow = 1.0 - abs(across)
        jacket, sleeve = tone(self.body), tone(dim(self.body, 0.84))
        trousers = tone(mix(_TROUSERS, self.body, 0.2))
        for side, pedal in ((-1, 0.2), (1, 0.48)):
            hip = side * 0.13 * narrow
            knee = at(0.15, 0.3 + pedal, hip)
            foot = at(-0.1 + 0.1 * side, pedal - 0.05, hip)
            canvas.limb(at(-0.15, 0.95, hip), knee, 0.17, trousers, rider)
            canvas.limb(knee, foot, 0.13, trousers, rider)
        canvas.limb(at(-0.2, 0.88), at(0.1, 1.5), 0.36 + 0.1 * narrow, jacket, rider)
        for side in (-1, 1):
            shoulder = side * 0.24 * narrow
            canvas.limb(at(0.1, 1.4, shoulder), at(0.4, 1.04, shoulder), 0.12, sleeve, rider)
        canvas.disc(at(0.17, 1.66), 0.12, 0.15, tone(self.skin), rider)
        canvas.disc(at(0.15, 1.74), 0.14, 0.1, tone(_HELMET), rider)
