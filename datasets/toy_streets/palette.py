"""Colours and light of the toy streets: pure tables, and how one entry is drawn at random.

Colours are RGB in 0..255.  Directions are unit vectors with x to the right, y up and z ahead.
"""

from __future__ import annotations

import math
from random import Random

Colour = tuple[int, ...]
Vector = tuple[float, ...]  # three numbers: a point, a direction, or a colour that is not whole


def _colours(codes: str) -> tuple[Colour, ...]:
    return tuple(tuple(bytes.fromhex(code)) for code in codes.split())


# A façade, a car or a coat takes one of these and then wanders off a little (see `body_colour`),
# so that nothing in a label map gives the colour away.
FACADES = _colours(
    "e8d6b0 d29c60 ba5e46 88463a deaaa6 96b892 8cb2d2 547498 ccccc6 f0eade ecc460 7a6a60 "
    "5e8064 c06c68 46747e 5c5e68"
)
CARS = _colours(
    "e6e6e4 b0b5ba 62666c 2a2c32 b82424 7a1c2c 204282 4a8ac6 1a6258 4a7840 e4b436 e0702a "
    "c6b696 684a38 745894 96c6c8"
)
COATS = _colours(
    "c42c30 e4842c e8c448 589248 246860 468cc4 243e80 764c92 ce6888 ece8de 969698 34363c "
    "8c6442 ccb08a 681e2e"
)
ROOFS = _colours("96523e 78463a 5c5c64 706258")
FOLIAGE = _colours("5c863e 507c42 6c8c3c 46703e 809246 628038 56824a bc923c b26836")
HEDGES = _colours("4a7038 58743c")
WALLS = _colours("a49888 887a70 aa705c")
SKINS = _colours("ecc4a8 d6a684 a87656 684836")
HAIRS = _colours("28201c 5c3e28 bc9660 96928e")
WHITE, LAMPLIGHT = (240, 240, 236), (255, 214, 140)


# The light of a morning, of noon, a grey day, the golden hour and dusk: how often it is drawn;
# zenith, horizon, sun and ambient as in `Light`; the ranges of the sun's elevation in degrees, of
# the haze and of the clouds; lamps.  The sun is kept mild and the air clear: a colour should show
# through the light it stands in.
_HOURS = (
    (3, (92, 146, 208), (224, 230, 226), (0.46, 0.40, 0.30), (0.72, 0.75, 0.80),
     (28, 42), (300, 480), (0.2, 0.6), False),
    (3, (70, 130, 206), (198, 220, 236), (0.40, 0.38, 0.33), (0.72, 0.75, 0.80),
     (45, 62), (420, 700), (0.1, 0.65), False),
    (2, (158, 168, 178), (216, 218, 218), (0.12, 0.12, 0.11), (0.90, 0.92, 0.94),
     (45, 60), (220, 340), (0.85, 1.0), False),
    (2, (102, 132, 182), (252, 212, 158), (0.62, 0.44, 0.22), (0.72, 0.68, 0.68),
     (16, 26), (260, 420), (0.2, 0.6), False),
    (1, (60, 72, 122), (236, 168, 140), (0.08, 0.06, 0.05), (0.74, 0.69, 0.80),
     (20, 30), (260, 400), (0.3, 0.7), True),
)  # fmt: skip


class Light:
    """The light of one scene: an hour of the day with its sun somewhere around the compass.

    `sun` and `ambient` multiply a surface's colour, channel by channel; together they come to
    about 1 on open ground.  `haze` is the distance in metres over which the air takes 63 % of a
    colour, `clouds` the covered part of the sky in 0..1; `lamps` says that lamps and some windows
    are on.
    """

    def __init__(self, rng: Random) -> None:
        hour = rng.choices(_HOURS, [row[0] for row in _HOURS])[0]
        _, self.zenith, self.horizon, self.sun, self.ambient, elevations, hazes, clouds, lamps = (
            hour
        )
        elevation, azimuth = math.radians(rng.uniform(*elevations)), rng.uniform(0, 2 * math.pi)
        flat = math.cos(elevation)
        self.toward_sun = (flat * math.sin(azimuth), math.sin(elevation), flat * math.cos(azimuth))
        self.haze, self.clouds, self.lamps = rng.uniform(*hazes), rng.uniform(*clouds), lamps


def body_colour(rng: Random, palette: tuple[Colour, ...], spread: float = 13.0) -> Colour:
    """A colour near one of `palette`'s, each channel off by a normal error of `spread`."""
    base = rng.choice(palette)
    return tuple(min(243, max(12, round(rng.gauss(channel, spread)))) for channel in base)


def mix(first: Vector, second: Vector, part: float) -> Vector:
    """`first` and `second` blended; `part` in 0..1 is the share of `second`."""
    return tuple(a * (1.0 - part) + b * part for a, b in zip(first, second, strict=True))


def dim(colour: Vector, factor: float) -> Vector:
    """`colour` with every channel times `factor`."""
    return (colour[0] * factor, colour[1] * factor, colour[2] * factor)
