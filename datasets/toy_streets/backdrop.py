"""What a toy street is painted on: the sky, the hills far away and the ground."""

from __future__ import annotations

import math
from random import Random

import numpy as np
from PIL import Image

from toy_streets.canvas import (
    PARKING,
    ROAD,
    SIDEWALK,
    TERRAIN,
    VEGETATION,
    Canvas,
    Place,
    noise_tile,
)
from toy_streets.palette import Vector, dim, mix
from toy_streets.scene import Scene, Street

_UP: Vector = (0.0, 1.0, 0.0)

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


def paint_hills(canvas: Canvas, scene: Scene, rng: Random) -> None:
    """Low wooded hills that close the view."""
    z = 330.0
    half = canvas.size[0] / canvas.focal * z
    height = rng.uniform(5, 11)
    waves = [(rng.uniform(0.008, 0.03), rng.uniform(0, 6.3)) for _ in range(3)]
    xs = [half * (step / 32 - 1) for step in range(65)]
    crest: list[Vector] = [
        (x, height * (1.2 + 0.25 * sum(math.sin(x * f + phase) for f, phase in waves)), z)
        for x in xs
    ]
    colour = canvas.tone(_UP, z)(dim(scene.leaf, 0.85))
    canvas.face([(-half, -2, z), *crest, (half, -2, z)], colour, VEGETATION)


def paint_ground(canvas: Canvas, scene: Scene) -> None:
    """Grass, road, parking strips, pavements, kerbs and markings, all in the open light."""
    street = scene.street
    wide = 2 * _FAR
    grass = [(-wide, 1.6), (wide, 1.6), (wide, _FAR), (-wide, _FAR)]
    canvas.fill(canvas.ground(grass), canvas.tone(_UP, 0.0)(_GRASS), TERRAIN)
    for side in (-1, 1):
        half, kerb, edge = street.half_road, street.kerb(side), street.edge(side)
        if kerb > half:
            _ribbon(canvas, street, (side * half, side * kerb), _PARKING, PARKING)
        # Between houses there is no grass: some stand a little back from the others.
        outer = edge + 1.6 if street.verge(side).kind == "houses" else edge
        _ribbon(canvas, street, (side * kerb, side * outer), _PAVING, SIDEWALK)
        _paving_joints(canvas, street, side * kerb, side * outer)
        _ribbon(canvas, street, (side * kerb, side * (kerb + 0.22)), _KERB, SIDEWALK)
    _ribbon(canvas, street, (-street.half_road, street.half_road), _ASPHALT, ROAD)
    _markings(canvas, street)


def _ribbon(
    canvas: Canvas, street: Street, us: Place, colour: Vector, ident: int, zs: Place = _ALL_ALONG
) -> None:
    """The part of the ground between two u and two z."""
    stations = [zs[0], *(z for z in _STATIONS if zs[0] < z < zs[1]), zs[1]]
    outline = [(street.x(us[0], z), z) for z in stations]
    outline += [(street.x(us[1], z), z) for z in reversed(stations)]
    canvas.fill(canvas.ground(outline), canvas.tone(_UP, 0.0)(colour), ident)


def _paving_joints(canvas: Canvas, street: Street, inner: float, outer: float) -> None:
    joint = dim(_PAVING, 0.88)
    for number in range(10):
        z = 6.0 + 2.0 * number
        _ribbon(canvas, street, (inner, outer), joint, SIDEWALK, (z, z + 0.012 * z))
    middle = (inner + outer) / 2
    _ribbon(canvas, street, (middle - 0.04, middle + 0.04), joint, SIDEWALK, (4, 30))


def _markings(canvas: Canvas, street: Street) -> None:
    """Lines between the lanes, along the edges, and the zebra crossing."""
    half = street.half_road
    clear = (street.crossing - 1.6, street.crossing + 4.6) if street.crossing else (0.0, 0.0)
    paint = mix(_PAINT, _ASPHALT, 0.12)
    for edge in (-half + 0.22, half - 0.22):
        _ribbon(canvas, street, (edge - 0.07, edge + 0.07), paint, ROAD, (2, clear[0] or 120))
        if clear[1]:
            _ribbon(canvas, street, (edge - 0.07, edge + 0.07), paint, ROAD, (clear[1], 120))
    for line in range(-1, 2) if half > 4 else (0,):
        u = line * half / 2
        for z in range(2, 110, 8):
            if not clear[0] - 3 < z < clear[1]:
                _ribbon(canvas, street, (u - 0.08, u + 0.08), paint, ROAD, (z, z + 3.6))
    if street.crossing:
        _ribbon(canvas, street, (0, half - 0.3), paint, ROAD, (clear[0], clear[0] + 0.45))
        for bar in range(round(half * 2)):
            u = -half + 0.25 + bar
            zs = (street.crossing, street.crossing + 3.2)
            _ribbon(canvas, street, (u, u + 0.52), paint, ROAD, zs)
