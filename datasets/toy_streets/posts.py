"""Street lamps, traffic lights and traffic signs on their poles."""

from __future__ import annotations

from random import Random

from toy_streets.canvas import POLE, TRAFFIC_LIGHT, TRAFFIC_SIGN, Canvas
from toy_streets.palette import LAMPLIGHT, WHITE, Colour, dim, mix
from toy_streets.street import Street, Thing

_BLACK, _STEEL = (36, 36, 40), (112, 116, 120)
_RED, _BLUE, _YELLOW, _GREEN = (200, 44, 42), (36, 84, 168), (240, 190, 50), (70, 200, 110)

_OUTLINES = {
    "triangle": ((-0.52, -0.4), (0.0, 0.5), (0.52, -0.4)),
    "diamond": ((-0.5, 0.0), (0.0, 0.5), (0.5, 0.0), (0.0, -0.5)),
    "square": ((-0.4, -0.4), (-0.4, 0.4), (0.4, 0.4), (0.4, -0.4)),
}
# The layers of each sign, from the back: an outline and its scale, a disc and its radius or an
# upright bar and its width; the offset of its middle; its colour.  A sign is 0.9 m wide: larger
# than life, to be told apart from afar.
SIGNS: dict[str, tuple[tuple[str, float, float, float, Colour], ...]] = {
    "ban": (("disc", 0.45, 0, 0, _RED), ("disc", 0.28, 0, 0, WHITE)),
    "order": (("disc", 0.45, 0, 0, _BLUE), ("bar", 0.13, 0, 0, WHITE)),
    "warning": (("triangle", 1, 0, 0, _RED), ("triangle", 0.56, 0, 0, WHITE)),
    "priority": (("diamond", 1, 0, 0, WHITE), ("diamond", 0.7, 0, 0, _YELLOW)),
    "parking": (
        ("square", 1, 0, 0, _BLUE),
        ("bar", 0.1, -0.1, 0, WHITE),
        ("disc", 0.16, 0.04, 0.1, WHITE),
    ),
}


class Post(Thing):
    """A lamp, a (traffic) light or one of `SIGNS`, with its arm or its face toward the road."""

    screen = (0.06, 3.0)

    def __init__(self, street: Street, u: float, z: float, kind: str) -> None:
        super().__init__(street, u, z)
        self.kind = kind

    def paint(self, canvas: Canvas, rng: Random) -> None:
        x, z = self.near
        tone, glow = canvas.tone((0.0, 0.2, -0.98), z), canvas.glow(z)
        top, width = {"lamp": (6.6, 0.15), "light": (2.6, 0.14)}.get(self.kind, (2.4, 0.1))
        canvas.limb((x, 0.0, z), (x, top, z), width, tone(_STEEL), POLE)
        if self.kind == "lamp":
            reach = x - self.side * 1.5
            canvas.limb((x, 6.5, z), (reach, 6.9, z), 0.12, tone(_STEEL), POLE)
            shine = glow(LAMPLIGHT) if canvas.light.lamps else tone(WHITE)
            canvas.disc((reach, 6.85, z), 0.42, 0.13, shine, POLE)
        elif self.kind == "light":
            canvas.limb((x, 2.4, z), (x, 3.6, z), 0.5, tone(_BLACK), TRAFFIC_LIGHT)
            burning = rng.choice((_RED, _GREEN))
            for y, colour in ((3.35, _RED), (3.0, _YELLOW), (2.65, _GREEN)):
                shown = mix(colour, WHITE, 0.15) if colour is burning else dim(colour, 0.3)
                canvas.disc((x, y, z), 0.15, 0.15, glow(shown))
        else:
            self._paint_sign(canvas)

    def _paint_sign(self, canvas: Canvas) -> None:
        (x, z), tone = self.near, canvas.tone((0.0, 0.3, -0.95), self.z)
        for layer, (shape, size, dx, dy, paint) in enumerate(SIGNS[self.kind]):
            middle, y, colour = x + dx, 2.5 + dy, tone(paint)
            ident = 0 if layer else TRAFFIC_SIGN
            if shape == "disc":
                canvas.disc((middle, y, z), size, size, colour, ident)
            elif shape == "bar":
                canvas.limb((middle, y - 0.25, z), (middle, y + 0.25, z), size, colour, ident)
            else:
                outline = [(x + px * size, y + py * size, z) for px, py in _OUTLINES[shape]]
                canvas.face(outline, colour, TRAFFIC_SIGN)
