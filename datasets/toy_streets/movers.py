"""How whatever moves is painted: cars, people on foot and people on bicycles."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

from toy_streets.canvas import Canvas
from toy_streets.palette import Colour, Vector, dim, mix
from toy_streets.scene import Car, Person, Rider, Street

_TYRE, _HUB, _GLASS = (34, 34, 38), (150, 152, 156), (50, 58, 68)
_TROUSERS, _HELMET = (44, 48, 62), (228, 228, 224)
_TAIL_LIGHT, _HEAD_LIGHT, _PLATE = (206, 40, 36), (250, 246, 226), (232, 232, 222)
_BEHIND: Vector = (0.0, 0.25, -0.97)  # the normal of what faces the camera

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


@dataclass(frozen=True)
class _Body:
    """A car set down in the street: where its points are, and how much sun it gets."""

    car: Car
    street: Street
    sunlit: float

    def at(self, across: float, y: float, t: float) -> Vector:
        """The point `across` m right of the car's middle and `t` m from its rear, `y` m up."""
        z = self.car.z + (t if self.car.away else self.car.length - t)
        return (self.street.x(self.car.u, z) + across, y, z)


def paint_car(canvas: Canvas, car: Car, street: Street, ident: int, sunlit: float) -> None:
    """A car: the flank the camera sees, then the faces over its roof from the far end on."""
    body = _Body(car, street, sunlit)
    profile = _PROFILES[car.style]
    _paint_underside(canvas, body, profile, ident)
    _paint_flank(canvas, body, profile, ident)
    segments = list(pairwise(profile))
    order = range(6, -1, -1) if car.away else range(7)
    for number in order:
        (t0, y0, half0), (t1, y1, half1) = segments[number]
        length = math.hypot(t1 - t0, y1 - y0)
        ahead = -(y1 - y0) / length * (1 if car.away else -1)
        normal = (0.0, (t1 - t0) / length, ahead)
        left0, left1 = body.at(-half0, y0, t0), body.at(-half1, y1, t1)
        # A face is hidden where its normal points away from the camera at (0, eye, 0).
        if normal[1] * (canvas.eye - y0) - normal[2] * left0[2] <= 0:
            continue
        face = [left0, left1, body.at(half1, y1, t1), body.at(half0, y0, t0)]
        tone = canvas.tone(normal, car.z, sunlit)
        canvas.face(face, tone(car.body), ident)
        if number in (_REAR_WINDOW, _WINDSCREEN):
            canvas.face(_shrunk(face, 0.82), tone(_glass(canvas, normal)))
    _paint_end(canvas, body, profile)


def _paint_underside(canvas: Canvas, body: _Body, profile: tuple[Vector, ...], ident: int) -> None:
    """The wheels of the near end, and the dark between them."""
    t, bottom, half = profile[0] if body.car.away else profile[-1]
    t += 0.25 if body.car.away else -0.25
    dark = canvas.tone(_BEHIND, body.car.z, body.sunlit)(_TYRE)
    low = [(-half, 0.17), (-half, bottom + 0.2), (half, bottom + 0.2), (half, 0.17)]
    canvas.face([body.at(x, y, t) for x, y in low], dark, ident)
    for side in (-1, 1):
        start = body.at(side * (half - 0.12), 0.0, t)
        canvas.limb(start, body.at(side * (half - 0.12), 0.5, t), 0.22, dark, ident)


def _paint_flank(canvas: Canvas, body: _Body, profile: tuple[Vector, ...], ident: int) -> None:
    """The long side that faces the camera, with its windows and wheels."""
    side = -1 if body.at(0, 0, 0)[0] > 0 else 1
    normal = (side * 0.98, 0.2, 0.0)
    outline = [body.at(side * half, y, t) for t, y, half in profile]
    tone = canvas.tone(normal, body.car.z, body.sunlit)
    canvas.face(outline, tone(body.car.body), ident)
    glass = _shrunk([body.at(side * half * 1.01, y, t) for t, y, half in profile[2:6]], 0.8)
    canvas.face(glass, tone(_glass(canvas, normal)))
    if canvas.pixels(1.0, body.car.z) < 5:
        return
    turns = [step * math.pi / 6 for step in range(12)]
    for t in (0.85, body.car.length - 0.85):
        for radius, colour in ((0.34, _TYRE), (0.18, _HUB)):
            circle = [(radius * math.cos(turn), radius * math.sin(turn)) for turn in turns]
            wheel = [body.at(side * 0.9, 0.34 + up, t + along) for along, up in circle]
            canvas.face(wheel, tone(colour), ident)


def _paint_end(canvas: Canvas, body: _Body, profile: tuple[Vector, ...]) -> None:
    """Lights, bumper and number plate on the end that faces the camera."""
    if canvas.pixels(1.0, body.car.z) < 4:
        return
    t, low, half = profile[0] if body.car.away else profile[-1]
    top = profile[1][1] if body.car.away else profile[-2][1]

    def spot(left: float, right: float, bottom: float, up: float, colour: Colour) -> None:
        corners = [(left, bottom), (left, up), (right, up), (right, bottom)]
        canvas.face([body.at(x, y, t) for x, y in corners], colour)

    tone = canvas.tone(_BEHIND, body.car.z, body.sunlit)
    spot(-half, half, low, low + 0.14, tone(dim(body.car.body, 0.55)))
    lamp = _TAIL_LIGHT if body.car.away else _HEAD_LIGHT
    shown = canvas.glow(body.car.z)(lamp) if canvas.light.lamps else tone(lamp)
    for inner, outer in ((-half + 0.3, -half + 0.03), (half - 0.3, half - 0.03)):
        spot(inner, outer, top - 0.27, top - 0.07, shown)
    spot(-0.26, 0.26, low + 0.2, low + 0.32, tone(_PLATE))


def _glass(canvas: Canvas, normal: Vector) -> Vector:
    # The more a pane looks up, the more sky it mirrors.
    return mix(_GLASS, canvas.light.horizon, 0.1 + 0.35 * normal[1] ** 2)


def _shrunk(face: list[Vector], scale: float) -> list[Vector]:
    """A polygon drawn in toward its middle."""
    mx, my, mz = (sum(along) / len(face) for along in zip(*face, strict=True))
    return [
        (mx + (x - mx) * scale, my + (y - my) * scale, mz + (z - mz) * scale) for x, y, z in face
    ]


def paint_person(canvas: Canvas, person: Person, street: Street, ident: int, sunlit: float) -> None:
    """Someone in a long coat, which is most of what one sees of them."""
    x, z, h = street.x(person.u, person.z), person.z, person.height
    tone = canvas.tone(_BEHIND, z, sunlit)
    coat, trousers = tone(person.body), tone(mix(_TROUSERS, person.body, 0.25))

    def at(dx: float, up: float) -> Vector:
        return (x + dx, up * h, z)

    for side in (-1, 1):
        foot = at(side * person.stride / 2 * 0.6 + side * 0.05, 0.0)
        canvas.limb(at(side * 0.08, 0.45), foot, 0.15, trousers, ident)
    sleeve = tone(dim(person.body, 0.86))
    for side in (-1, 1):
        hand = at(side * (0.24 + person.stride / 5), 0.48)
        canvas.limb(at(side * 0.2, 0.8), hand, 0.12, sleeve, ident)
    outline = [(-0.19, 0.84), (0.19, 0.84), (0.2, 0.6), (0.25, 0.3), (-0.25, 0.3), (-0.2, 0.6)]
    canvas.face([at(dx, up) for dx, up in outline], coat, ident)
    # The half of the coat away from the sun is a little darker.
    dark = -math.copysign(1.0, canvas.light.toward_sun[0])
    shade = [(0.04, 0.84), (0.19, 0.84), (0.2, 0.6), (0.25, 0.3), (0.06, 0.3)]
    canvas.face([at(dark * dx, up) for dx, up in shade], tone(dim(person.body, 0.82)), ident)
    canvas.disc(at(0.0, 0.92), 0.115, 0.14, tone(person.skin), ident)
    up, tall = (0.935, 0.14) if person.back else (0.97, 0.07)
    canvas.disc(at(0.0, up), 0.12, tall, tone(person.hair), ident)


def paint_rider(
    canvas: Canvas, rider: Rider, street: Street, idents: tuple[int, int], sunlit: float
) -> None:
    """Someone on a bicycle; `idents` are those of the rider and of the bicycle."""
    x, z = street.x(rider.u, rider.z), rider.z
    narrow = 1.0 - abs(rider.across)

    def at(along: float, y: float, aside: float = 0.0) -> Vector:
        return (x + along * rider.across + aside, y, z)

    tone = canvas.tone(_BEHIND, z, sunlit)
    person, bicycle = idents
    frame, tyre = tone(rider.frame), tone(_TYRE)
    wheel = max(0.06, 0.34 * abs(rider.across))
    for along in (0.52, -0.52):
        canvas.ring(at(along, 0.34), wheel, 0.34, 0.07, tyre, bicycle)
    joints = ((-0.52, 0.34), (-0.15, 0.34), (0.38, 0.85), (-0.18, 0.85))
    for a, b in ((0, 3), (0, 1), (1, 3), (1, 2), (2, 3)):
        canvas.limb(at(*joints[a]), at(*joints[b]), 0.07, frame, bicycle)
    canvas.limb(at(0.52, 0.34), at(0.36, 1.02), 0.07, frame, bicycle)

    jacket, trousers = tone(rider.body), tone(mix(_TROUSERS, rider.body, 0.2))
    for side, pedal in ((-1, 0.2), (1, 0.48)):
        hip = side * 0.13 * narrow
        knee = at(0.15, 0.3 + pedal, hip)
        foot = at(-0.1 + 0.1 * side, pedal - 0.05, hip)
        canvas.limb(at(-0.15, 0.95, hip), knee, 0.17, trousers, person)
        canvas.limb(knee, foot, 0.13, trousers, person)
    canvas.limb(at(-0.2, 0.88), at(0.1, 1.5), 0.36 + 0.1 * narrow, jacket, person)
    sleeve = tone(dim(rider.body, 0.84))
    for side in (-1, 1):
        shoulder = side * 0.24 * narrow
        canvas.limb(at(0.1, 1.4, shoulder), at(0.4, 1.04, shoulder), 0.12, sleeve, person)
    canvas.disc(at(0.17, 1.66), 0.12, 0.15, tone(rider.skin), person)
    canvas.disc(at(0.15, 1.74), 0.14, 0.1, tone(_HELMET), person)
