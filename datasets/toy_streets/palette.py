"""Colours and light of the toy streets: pure tables, and how one entry is drawn at random.

Colours are RGB in 0..255.  Directions are unit vectors with x to the right, y up and z ahead.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from random import Random

Colour = tuple[int, int, int]
Vector = tuple[float, float, float]

# A façade, a car or a coat takes one of these and then wanders off a little (see `body_colour`),
# so that nothing in a label map gives the colour away.
FACADES: tuple[Colour, ...] = (
    (232, 214, 176), (210, 156, 96), (186, 94, 70), (136, 70, 58), (222, 170, 166),
    (150, 184, 146), (140, 178, 210), (84, 116, 152), (204, 204, 198), (240, 234, 222),
    (236, 196, 96), (122, 106, 96), (94, 128, 100), (192, 108, 104), (70, 116, 126),
    (92, 94, 104),
)  # fmt: skip
CARS: tuple[Colour, ...] = (
    (230, 230, 228), (176, 181, 186), (98, 102, 108), (42, 44, 50), (184, 36, 36),
    (122, 28, 44), (32, 66, 130), (74, 138, 198), (26, 98, 88), (74, 120, 64),
    (228, 180, 54), (224, 112, 42), (198, 182, 150), (104, 74, 56), (116, 88, 148),
    (150, 198, 200),
)  # fmt: skip
COATS: tuple[Colour, ...] = (
    (196, 44, 48), (228, 132, 44), (232, 196, 72), (88, 146, 72), (36, 104, 96),
    (70, 140, 196), (36, 62, 128), (118, 76, 146), (206, 104, 136), (236, 232, 222),
    (150, 150, 152), (52, 54, 60), (140, 100, 66), (204, 176, 138), (104, 30, 46),
)  # fmt: skip
ROOFS: tuple[Colour, ...] = ((150, 82, 62), (120, 70, 58), (92, 92, 100), (112, 98, 88))
FOLIAGE: tuple[Colour, ...] = (
    (92, 134, 62), (80, 124, 66), (108, 140, 60), (70, 112, 62), (128, 146, 70),
    (98, 128, 56), (86, 130, 74), (188, 146, 60), (178, 104, 54),
)  # fmt: skip
HEDGES: tuple[Colour, ...] = ((74, 112, 56), (88, 116, 60))
WALLS: tuple[Colour, ...] = ((164, 152, 136), (136, 122, 112), (170, 112, 92))
SKINS: tuple[Colour, ...] = ((236, 196, 168), (214, 166, 132), (168, 118, 86), (104, 72, 54))
HAIRS: tuple[Colour, ...] = ((40, 32, 28), (92, 62, 40), (188, 150, 96), (150, 146, 142))


@dataclass(frozen=True)
class Light:
    """The light of one scene.

    `sun` and `ambient` multiply a surface's colour, channel by channel; together they come to
    about 1 on open ground.  `haze` is the distance in metres over which the air takes 63 % of a
    colour, `clouds` the covered part of the sky in 0..1; `lamps` says that lamps and some windows
    are on.
    """

    zenith: Colour
    horizon: Colour
    sun: Vector
    ambient: Vector
    toward_sun: Vector
    haze: float
    clouds: float
    lamps: bool


@dataclass(frozen=True)
class _Hour:
    """A kind of light: `Light` with ranges where a scene draws its own value."""

    weight: float
    zenith: Colour
    horizon: Colour
    sun: Vector
    ambient: Vector
    elevation: tuple[float, float]
    haze: tuple[float, float]
    clouds: tuple[float, float]
    lamps: bool = False


# The sun is kept mild and the air clear: a colour should show through the light it stands in.
_HOURS = (
    # Morning, noon, a grey day, the golden hour, dusk.
    _Hour(3, (92, 146, 208), (224, 230, 226), (0.46, 0.40, 0.30), (0.72, 0.75, 0.80),
          (28, 42), (300, 480), (0.2, 0.6)),
    _Hour(3, (70, 130, 206), (198, 220, 236), (0.40, 0.38, 0.33), (0.72, 0.75, 0.80),
          (45, 62), (420, 700), (0.1, 0.65)),
    _Hour(2, (158, 168, 178), (216, 218, 218), (0.12, 0.12, 0.11), (0.90, 0.92, 0.94),
          (45, 60), (220, 340), (0.85, 1.0)),
    _Hour(2, (102, 132, 182), (252, 212, 158), (0.62, 0.44, 0.22), (0.72, 0.68, 0.68),
          (16, 26), (260, 420), (0.2, 0.6)),
    _Hour(1, (60, 72, 122), (236, 168, 140), (0.08, 0.06, 0.05), (0.74, 0.69, 0.80),
          (20, 30), (260, 400), (0.3, 0.7), lamps=True),
)  # fmt: skip


def draw_light(rng: Random) -> Light:
    """One hour of the day with its sun somewhere around the compass."""
    hour = rng.choices(_HOURS, [hour.weight for hour in _HOURS])[0]
    elevation = math.radians(rng.uniform(*hour.elevation))
    azimuth = rng.uniform(0, 2 * math.pi)
    flat = math.cos(elevation)
    return Light(
        zenith=hour.zenith,
        horizon=hour.horizon,
        sun=hour.sun,
        ambient=hour.ambient,
        toward_sun=(flat * math.sin(azimuth), math.sin(elevation), flat * math.cos(azimuth)),
        haze=rng.uniform(*hour.haze),
        clouds=rng.uniform(*hour.clouds),
        lamps=hour.lamps,
    )


def body_colour(rng: Random, palette: tuple[Colour, ...], spread: float = 13.0) -> Colour:
    """A colour near one of `palette`'s, each channel off by a normal error of `spread`."""
    red, green, blue = rng.choice(palette)
    return (_jitter(rng, red, spread), _jitter(rng, green, spread), _jitter(rng, blue, spread))


def _jitter(rng: Random, channel: int, spread: float) -> int:
    return min(243, max(12, round(rng.gauss(channel, spread))))


def mix(first: Vector, second: Vector, part: float) -> Vector:
    """`first` and `second` blended; `part` in 0..1 is the share of `second`."""
    keep = 1.0 - part
    return (
        first[0] * keep + second[0] * part,
        first[1] * keep + second[1] * part,
        first[2] * keep + second[2] * part,
    )


def dim(colour: Vector, factor: float) -> Vector:
    """`colour` with every channel times `factor`."""
    return (colour[0] * factor, colour[1] * factor, colour[2] * factor)
