"""Cars: an outline over the roof for each style, wheels, windows and lights."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from random import Random

from toy_streets.canvas import CAR, CIRCLE, Canvas, Place, Polygon, Tone, upright
from toy_streets.palette import CARS, Vector, body_colour, dim, mix
from toy_streets.street import Street, Thing, curtain

TYRE, _HUB, _GLASS = (34, 34, 38), (150, 152, 156), (50, 58, 68)
_TAIL_LIGHT, _HEAD_LIGHT, _PLATE = (206, 40, 36), (250, 246, 226), (232, 232, 222)

# A car's outline over the roof, from its rear bumper to its front one: (m from the rear, height,
# half width).  The eight corners bound, in turn, the rear panel, the boot, the rear window, the
# roof, the windscreen, the bonnet and the front panel.
_PROFILES: dict[str, tuple[Vector, ...]] = {
    "hatch": ((0, 0.3, 0.84), (0, 0.95, 0.88), (0.1, 1.0, 0.86), (0.55, 1.46, 0.66),
              (2.2, 1.48, 0.66), (3.0, 1.0, 0.84), (3.9, 0.8, 0.82), (4.0, 0.3, 0.82)),
    "saloon": ((0, 0.3, 0.86), (0, 0.96, 0.88), (0.75, 1.0, 0.86), (1.4, 1.42, 0.66),
               (2.7, 1.42, 0.66), (3.4, 0.98, 0.86), (4.4, 0.78, 0.84), (4.5, 0.3, 0.84)),
    "estate": ((0, 0.36, 0.88), (0, 1.05, 0.92), (0.08, 1.1, 0.9), (0.4, 1.66, 0.74),
               (2.8, 1.7, 0.74), (3.5, 1.12, 0.9), (4.5, 0.95, 0.88), (4.6, 0.36, 0.88)),
    "van": ((0, 0.36, 0.92), (0, 1.15, 0.95), (0.03, 1.25, 0.95), (0.1, 2.0, 0.84),
            (3.7, 2.02, 0.84), (4.5, 1.25, 0.92), (4.95, 1.0, 0.9), (5.0, 0.36, 0.9)),
}  # fmt: skip
_REAR_WINDOW, _WINDSCREEN = 2, 4


class Car(Thing):
    """A car with its nearest end at about `z`; `away` if it shows its tail."""

    def __init__(self, rng: Random, street: Street, u: float, z: float, away: bool) -> None:
        style = rng.choice(("hatch", "hatch", "saloon", "saloon", "estate", "van"))
        self.profile, self.away = _PROFILES[style], away
        # The lower and the upper corner of the end that faces the camera.
        self.near_end = self.profile[:2] if away else self.profile[:-3:-1]
        u, z = u + rng.uniform(-0.2, 0.2), z + rng.uniform(0, 0.8)
        self.body = body_colour(rng, CARS)
        super().__init__(street, u, z, length=self.profile[-1][0])

    def screens(self) -> Sequence[Polygon]:
        """A level roof, and its two diagonals upright under it."""
        a, b, c, d = self.footprint()
        roof = [(x, 1.2, z) for x, z in (a, b, c, d)]
        return [curtain(a, c, 1.2), curtain(b, d, 1.2), roof]

    def footprint(self) -> list[Place]:
        """The corners near left, near right, far right, far left."""
        (a, near), (b, far) = self.near, self.far
        return [(a - 0.95, near), (a + 0.95, near), (b + 0.95, far), (b - 0.95, far)]

    def paint(self, canvas: Canvas, rng: Random) -> None:
        """The flank that the camera sees, then the faces over the roof from the far end on."""
        ident = canvas.instance(CAR, self.body)
        # The wheels of the near end, and the dark between them.
        (t, bottom, half), dark = self.near_end[0], self.tone(canvas)(TYRE)
        t += 0.25 if self.away else -0.25
        canvas.face(self._panel(-half, half, 0.17, bottom + 0.2, t), dark, ident)
        for x in (0.12 - half, half - 0.12):
            canvas.limb(self._at(x, 0.0, t), self._at(x, 0.5, t), 0.22, dark, ident)
        self._paint_flank(canvas, ident)
        segments = list(enumerate(pairwise(self.profile)))
        for number, ((t0, y0, half0), (t1, y1, half1)) in segments[:: -1 if self.away else 1]:
            length = math.hypot(t1 - t0, y1 - y0)
            ahead = -(y1 - y0) / length * (1 if self.away else -1)
            normal = (0.0, (t1 - t0) / length, ahead)
            left0, left1 = self._at(-half0, y0, t0), self._at(-half1, y1, t1)
            # A face is hidden where its normal points away from the camera at (0, eye, 0).
            if normal[1] * (canvas.eye - y0) - normal[2] * left0[2] <= 0:
                continue
            face = [left0, left1, self._at(half1, y1, t1), self._at(half0, y0, t0)]
            tone = self.tone(canvas, normal)
            canvas.face(face, tone(self.body), ident)
            if number in (_REAR_WINDOW, _WINDSCREEN):
                _paint_glass(canvas, face, 0.82, normal, tone)
        self._paint_end(canvas)

    def _at(self, across: float, y: float, t: float) -> Vector:
        """The point `across` m right of the car's middle and `t` m from its rear, `y` m up."""
        z = self.z + (t if self.away else self.length - t)
        return (self.street.x(self.u, z) + across, y, z)

    def _panel(self, left: float, right: float, low: float, high: float, t: float) -> Polygon:
        """A rectangle across the car, `t` m from its rear."""
        x, _, z = self._at(0.0, 0.0, t)
        return upright((x + left, z), (x + right, z), low, high)

    def _paint_flank(self, canvas: Canvas, ident: int) -> None:
        """The long side that faces the camera, with its windows and wheels."""
        side = -1 if self._at(0, 0, 0)[0] > 0 else 1
        normal = (side * 0.98, 0.2, 0.0)
        tone = self.tone(canvas, normal)
        outline = [self._at(side * half, y, t) for t, y, half in self.profile]
        canvas.face(outline, tone(self.body), ident)
        windows = [self._at(side * half * 1.01, y, t) for t, y, half in self.profile[2:6]]
        _paint_glass(canvas, windows, 0.8, normal, tone)
        if canvas.pixels(1.0, self.z) < 5:
            return
        for t in (0.85, self.length - 0.85):
            for radius, colour in ((0.34, TYRE), (0.18, _HUB)):
                rim = [(0.34 + radius * up, t + radius * along) for along, up in CIRCLE]
                wheel = [self._at(side * 0.9, y, along) for y, along in rim]
                canvas.face(wheel, tone(colour), ident)

    def _paint_end(self, canvas: Canvas) -> None:
        """Lights, bumper and number plate on the end that faces the camera."""
        if canvas.pixels(1.0, self.z) < 4:
            return
        (t, low, half), (_, top, _) = self.near_end
        tone = self.tone(canvas)
        shine = canvas.glow(self.z) if canvas.light.lamps else tone
        lamp = shine(_TAIL_LIGHT if self.away else _HEAD_LIGHT)
        for left, right, bottom, up, colour in (
            (-half, half, low, low + 0.14, tone(dim(self.body, 0.55))),
            (-half + 0.3, -half + 0.03, top - 0.27, top - 0.07, lamp),
            (half - 0.3, half - 0.03, top - 0.27, top - 0.07, lamp),
            (-0.26, 0.26, low + 0.2, low + 0.32, tone(_PLATE)),
        ):
            canvas.face(self._panel(left, right, bottom, up, t), colour)


def _paint_glass(canvas: Canvas, face: Polygon, part: float, normal: Vector, tone: Tone) -> None:
    """A pane that takes this part of a face's width and height."""
    mx, my, mz = (sum(along) / len(face) for along in zip(*face, strict=True))
    pane = [(mx + (x - mx) * part, my + (y - my) * part, mz + (z - mz) * part) for x, y, z in face]
    # The more a pane looks up, the more sky it mirrors.
    colour = mix(_GLASS, canvas.light.horizon, 0.1 + 0.35 * normal[1] ** 2)
    canvas.face(pane, tone(colour))
