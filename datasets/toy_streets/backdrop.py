"""What a toy street is painted on: the sky, the hills far away and the ground."""

from __future__ import annotations

import math
from collections.abc import Iterator
from random import Random

import numpy as np
from PIL import Image

from toy_streets import canvas as labels
from toy_streets.canvas import UP, Canvas, Place, noise_tile
from toy_streets.palette import Colour, Vector, dim, mix
from toy_streets.street import Street

_ASPHALT, _PARKING, _PAINT = (100, 101, 106), (130, 123, 117), (238, 234, 222)
_PAVING, _KERB, _GRASS = (176, 167, 155), (208, 203, 194), (124, 150, 82)
_FAR = 400.0  # m; from there the ground is its own horizon
# Where a ribbon along the street bends: close together near the camera.
_STATIONS = [1.6 * 1.2**step for step in range(31)]
_ALL_ALONG = (_STATIONS[0], _STATIONS[-1])


def paint_sky(canvas: Canvas, grain: np.random.Generator) -> None:
    """The sky down to the horizon: its gradient, the sun's glow and clouds in perspective."""
    light = canvas.light
    width, height = canvas.size[0] // 4, math.ceil(canvas.horizon / 4) + 1
    # How far below the zenith each row looks, 0 at the picture's top and 1 on the horizon.
    fall = np.linspace(0, 1, height, dtype=np.float32)[:, None, None]
    zenith, horizon = np.array(light.zenith), np.array(light.horizon)
    sky = zenith + (horizon - zenith) * fall**1.4

    x, y, z = light.toward_sun
    columns = np.arange(width, dtype=np.float32)[None]
    rows = np.arange(height, dtype=np.float32)[:, None]
    if z > 0.2:
        sun_x = (canvas.centre + canvas.focal * x / z) / 4
        sun_y = (canvas.horizon - canvas.focal * y / z) / 4
        away = np.hypot(columns - sun_x, rows - sun_y) / width
        sky = sky + 190 * np.array(light.sun) * np.exp(-((away / 0.3) ** 2))[..., None]

    # A cloud layer overhead: the nearer the horizon, the farther away and the more foreshortened.
    distance = 22.0 / (height - rows + 5.0)
    shift = grain.integers(256, size=2)
    across = ((columns / width - 0.5) * distance * 110).astype(np.int64) + shift[0]
    ahead = (distance * 95).astype(np.int64) + shift[1]
    noise = noise_tile(0.95)[ahead % 256, across % 256][..., None]
    cover = np.clip((noise + 2.6 * light.clouds - 1.3) * 0.8, 0, 1) * (0.85 - 0.6 * fall)
    cloud = np.array(mix(light.horizon, (252, 250, 248), 0.55))
    sky = sky + (cloud * (1 - 0.07 * np.clip(noise, 0, 2)) - sky) * cover

    small = Image.fromarray(np.clip(sky, 0, 255).astype(np.uint8))
    whole = small.resize((canvas.size[0], height * 4), Image.Resampling.BILINEAR)
    canvas.image.paste(whole, (0, 0))


def paint_hills(canvas: Canvas, leaf: Colour, rng: Random) -> None:
    """Low wooded hills that close the view."""
    z = 330.0
    half = canvas.size[0] / canvas.focal * z
    height = rng.uniform(5, 11)
    waves = [(rng.uniform(0.008, 0.03), rng.uniform(0, 6.3)) for _ in range(3)]
    crest: list[Vector] = []
    for x in (half * (step / 32 - 1) for step in range(65)):
        wave = sum(math.sin(x * frequency + phase) for frequency, phase in waves)
        crest.append((x, height * (1.2 + 0.25 * wave), z))
    colour = canvas.tone(UP, z)(dim(leaf, 0.85))
    canvas.face([(-half, -2, z), *crest, (half, -2, z)], colour, labels.VEGETATION)


def paint_ground(canvas: Canvas, street: Street) -> None:
    """Grass, road, parking strips, pavements, kerbs and markings, all in the open light."""
    wide, half = 2 * _FAR, street.half_road
    grass = [(-wide, 1.6), (wide, 1.6), (wide, _FAR), (-wide, _FAR)]
    canvas.fill(canvas.ground(grass), canvas.tone(UP, 0.0)(_GRASS), labels.TERRAIN)

    def ribbon(us: Place, colour: Vector, ident: int, zs: Place = _ALL_ALONG) -> None:
        """The part of the ground between two u and two z."""
        stations = [zs[0], *(z for z in _STATIONS if zs[0] < z < zs[1]), zs[1]]
        outline = [(street.x(us[0], z), z) for z in stations]
        outline += [(street.x(us[1], z), z) for z in reversed(stations)]
        canvas.fill(canvas.ground(outline), canvas.tone(UP, 0.0)(colour), ident)

    for side, verge in street.verges.items():
        inner = side * verge.kerb
        if verge.parking:
            ribbon((side * half, inner), _PARKING, labels.PARKING)
        # Between houses there is no grass: some stand a little back from the others.
        outer = side * (verge.edge + 1.6 if verge.kind == "houses" else verge.edge)
        ribbon((inner, outer), _PAVING, labels.SIDEWALK)
        joint = dim(_PAVING, 0.88)
        for z in range(6, 26, 2):
            ribbon((inner, outer), joint, labels.SIDEWALK, (z, z + 0.012 * z))
        middle = (inner + outer) / 2
        ribbon((middle - 0.04, middle + 0.04), joint, labels.SIDEWALK, (4, 30))
        ribbon((inner, side * (verge.kerb + 0.22)), _KERB, labels.SIDEWALK)
    ribbon((-half, half), _ASPHALT, labels.ROAD)
    for us, zs in _markings(street):
        ribbon(us, mix(_PAINT, _ASPHALT, 0.12), labels.ROAD, zs)


def _markings(street: Street) -> Iterator[tuple[Place, Place]]:
    """Lines between the lanes, along the edges, and the zebra crossing: two u and two z each."""
    half, zebra = street.half_road, street.crossing
    clear = (zebra - 1.6, zebra + 4.6) if zebra else (0.0, 0.0)
    for edge in (-half + 0.22, half - 0.22):
        yield (edge - 0.07, edge + 0.07), (2, clear[0] or 120)
        if zebra:
            yield (edge - 0.07, edge + 0.07), (clear[1], 120)
    for u in (-half / 2, 0.0, half / 2) if half > 4 else (0.0,):
        for z in range(2, 110, 8):
            if not clear[0] - 3 < z < clear[1]:
                yield (u - 0.08, u + 0.08), (z, z + 3.6)
    if zebra:
        yield (0, half - 0.3), (clear[0], clear[0] + 0.45)
        for bar in range(round(half * 2)):
            u = -half + 0.25 + bar
            yield (u, u + 0.52), (zebra, zebra + 3.2)
