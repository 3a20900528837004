"""The canvas of the toy streets: one camera, one picture, and one map of ids in step with it.

Whatever is painted goes through `Canvas.fill`, `face`, `limb`, `disc` or `wheel`, which draw the
same outline into the picture and into the map: `ident` is what the map gets there, and 0
leaves it as it is (a window in a façade stays façade).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from toy_streets.palette import Colour, Light, Vector, dim

# Cityscapes' label ids, as far as a toy street has them.
ROAD, SIDEWALK, PARKING = 7, 8, 9
BUILDING, WALL, FENCE = 11, 12, 13
POLE, TRAFFIC_LIGHT, TRAFFIC_SIGN = 17, 19, 20
VEGETATION, TERRAIN, SKY = 21, 22, 23
PERSON, RIDER, CAR, BICYCLE = 24, 25, 26, 33

UP: Vector = (0.0, 1.0, 0.0)
TOWARD_CAMERA: Vector = (0.0, 0.25, -0.97)  # the normal of what one sees from behind
CIRCLE = [(math.cos(step * math.pi / 6), math.sin(step * math.pi / 6)) for step in range(12)]

_NEAR = 1.5  # m; nothing nearer is projected
_FOCAL = 0.85  # of the image's width

# The picture is painted this many times finer and averaged down.  The map is painted as fine, but
# then *sampled*, since ids cannot be averaged.
_FINER = 2
_TILE = 256
DENSEST_HAZE = 0.85  # the part of a colour that the air takes, far away

Place = tuple[float, float]  # on the canvas, or (x, z) on the ground
Floats = NDArray[np.floating[Any]]  # in 32 bits wherever it is a whole picture
Polygon = Sequence[Vector]  # flat, by its corners
Tone = Callable[[Vector], Colour]  # how the light and the air show the colours of one surface


class Canvas:
    """A picture in the making.  Points are (x, y, z) in m, colours RGB 0..255 as they are seen.

    `colours` has the body colour of each instance by its id; `house_shadow`, (height, width), is
    255 where a house keeps the sun from the ground.
    """

    def __init__(
        self, eye: float, pan: float, horizon: float, light: Light, width: int, height: int
    ) -> None:
        """The camera is `eye` m up; `width` and `height` are the finished picture's, in pixels.

        `pan` and `horizon` are parts of them: how far right all is moved, and where the sky ends.
        """
        self.light = light
        self.colours: dict[int, Colour] = {}
        self.house_shadow: NDArray[np.uint8] = np.zeros((height, width), dtype=np.uint8)
        self._count: Counter[int] = Counter()
        self.size = (width * _FINER, height * _FINER)
        self.image = Image.new("RGB", self.size)
        self.ids = Image.new("I", self.size, SKY)
        self.focal = _FOCAL * self.size[0]
        self.centre = self.size[0] * (0.5 + pan)
        self.horizon = self.size[1] * horizon
        self.eye = eye
        self._pen = ImageDraw.Draw(self.image)
        self._id_pen = ImageDraw.Draw(self.ids)

    def project(self, x: float, y: float, z: float) -> Place:
        """Where on the (fine) canvas a point shows."""
        scale = self.focal / z
        return self.centre + x * scale, self.horizon + (self.eye - y) * scale

    def pixels(self, metres: float, z: float) -> float:
        """How many pixels of the finished picture a length facing the camera takes at `z`."""
        return metres * self.focal / z / _FINER

    def shows(self, x: float, z: float, reach: float) -> bool:
        """Whether anything within `reach` m to the left or right of x at `z` is in the picture."""
        middle = self.size[0] / 2
        return abs(self.project(x, 0.0, z)[0] - middle) < middle + reach * self.focal / z

    def instance(self, label: int, body: Colour | None = None) -> int:
        """The id of one more instance of this label."""
        ident = label * 1000 + self._count[label]
        self._count[label] += 1
        if body:
            self.colours[ident] = body
        return ident

    def sunlit(self, x: float, z: float) -> float:
        """1 where a thing at (x, z) stands in the sun, 0 where in a house's shadow."""
        (height, width), (column, row) = self.house_shadow.shape, self.project(x, 0.0, z)
        column, row = min(max(column / _FINER, 0), width - 1), min(max(row / _FINER, 0), height - 1)
        return 1.0 - float(self.house_shadow[int(row), int(column)]) / 255

    def tone(self, normal: Vector, z: float, sunlit: float = 1.0) -> Tone:
        """The tone of a surface with this unit normal, out of the houses' shadow or (0) in it."""
        toward = self.light.toward_sun
        facing = normal[0] * toward[0] + normal[1] * toward[1] + normal[2] * toward[2]
        direct = max(0.0, facing) * sunlit
        # The sky above gives more light than the street below.
        sky = 0.9 + 0.1 * normal[1]
        lights = zip(self.light.ambient, self.light.sun, strict=True)
        return self._seen(tuple(ambient * sky + sun * direct for ambient, sun in lights), z)

    def glow(self, z: float) -> Tone:
        """The tone of what shines by itself."""
        return self._seen((1.0, 1.0, 1.0), z)

    def _seen(self, light: Vector, z: float) -> Tone:
        """The tone of a surface at `z` in this light, through the haze."""
        haze = DENSEST_HAZE * (1.0 - math.exp(-z / self.light.haze))
        gain, veil = dim(light, 1.0 - haze), dim(self.light.horizon, haze)

        def tone(colour: Vector) -> Colour:
            # Spelled out for speed: a scene asks for thousands of colours.
            red = int(colour[0] * gain[0] + veil[0])
            green = int(colour[1] * gain[1] + veil[1])
            blue = int(colour[2] * gain[2] + veil[2])
            return min(255, red), min(255, green), min(255, blue)

        return tone

    def depth(self, rows: Floats) -> Floats:
        """The z of the ground that shows in these rows of the canvas, all below the horizon."""
        below: Floats = np.maximum(rows - self.horizon, 0.5)
        return self.eye * self.focal / below

    def face(self, points: Polygon, colour: Colour, ident: int = 0) -> None:
        """A flat polygon."""
        # As `project`, but without a call for each of a scene's thousands of corners.
        centre, horizon, eye, focal = self.centre, self.horizon, self.eye, self.focal
        outline = [(centre + x * focal / z, horizon + (eye - y) * focal / z) for x, y, z in points]
        self.fill(outline, colour, ident)

    def fill(self, outline: Sequence[Place], colour: Colour, ident: int = 0) -> None:
        """A polygon that is projected already."""
        self._pen.polygon(outline, colour)
        if ident:
            self._id_pen.polygon(outline, ident)

    def limb(self, a: Vector, b: Vector, width: float, colour: Colour, ident: int = 0) -> None:
        """A straight bar `width` m thick; however far away, it stays a pixel wide."""
        (ax, ay), (bx, by) = self.project(*a), self.project(*b)
        half = max(width * self.focal / a[2], _FINER) / 2
        length = math.hypot(bx - ax, by - ay) or 1.0
        dx, dy = (by - ay) / length * half, (ax - bx) / length * half
        outline = [(ax + dx, ay + dy), (bx + dx, by + dy), (bx - dx, by - dy), (ax - dx, ay - dy)]
        self.fill(outline, colour, ident)

    def disc(self, at: Vector, wide: float, tall: float, colour: Colour, ident: int = 0) -> None:
        """An upright ellipse that faces the camera, with its half axes in m."""
        x, y, z = at
        box = [self.project(x - wide, y + tall, z), self.project(x + wide, y - tall, z)]
        self._pen.ellipse(box, colour)
        if ident:
            self._id_pen.ellipse(box, ident)

    def wheel(self, at: Vector, wide: float, tall: float, colour: Colour, ident: int) -> None:
        """The tyre, 7 cm thick, of a wheel that shows as an ellipse like `disc`'s."""
        x, y, z = at
        box = [self.project(x - wide, y + tall, z), self.project(x + wide, y - tall, z)]
        stroke = max(_FINER, round(0.07 * self.focal / z))
        self._pen.ellipse(box, outline=colour, width=stroke)
        self._id_pen.ellipse(box, outline=ident, width=stroke)

    def ground(self, places: Sequence[Place]) -> list[Place]:
        """The outline of a polygon of (x, z) on the ground; empty where all of it is too near."""
        kept: list[Place] = []
        for (ax, az), (bx, bz) in pairwise([places[-1], *places]):
            if (bz >= _NEAR) != (az >= _NEAR):
                kept.append((ax + (bx - ax) * (_NEAR - az) / (bz - az), _NEAR))
            if bz >= _NEAR:
                kept.append((bx, bz))
        return [self.project(x, 0.0, z) for x, z in kept]

    def finished(self, grain: np.random.Generator) -> tuple[NDArray[np.uint8], NDArray[np.uint16]]:
        """The picture (height, width, 3) and the map of ids (height, width), at their final size.

        `grain` places the textures.
        """
        ids = np.asarray(self.ids)[1::_FINER, 1::_FINER].astype(np.uint16)
        picture = np.asarray(self.image.reduce(_FINER), dtype=np.float32)
        picture *= self._texture(labels_of(ids), grain)[..., None]
        return np.clip(picture + 0.5, 0, 255).astype(np.uint8), ids

    def _texture(self, labels: NDArray[np.uint8], grain: np.random.Generator) -> Floats:
        """A factor around 1 per pixel: leaves and plaster lie on the screen, grit on the ground."""
        rows, columns = (np.arange(length) for length in labels.shape)
        shift = grain.integers(_TILE, size=4, dtype=np.int32)
        noise = noise_tile(0.55)[np.ix_((rows + shift[0]) % _TILE, (columns + shift[1]) % _TILE)]
        top = math.ceil(self.horizon / _FINER)
        z = self.depth((rows[top:, None] * _FINER + 1).astype(np.float32))
        x = (columns * _FINER + 1 - self.centre).astype(np.float32) * z / self.focal
        # 12 grains to the metre.  With distance they fall below the pixels and must fade.
        across = ((x * 12).astype(np.int32) + shift[2]) % _TILE
        ahead = ((z * 12).astype(np.int32) + shift[3]) % _TILE
        grit = noise_tile(0.75)[ahead, across] * np.minimum(1.0, 14.0 / z)
        noise[top:] = np.where(_ON_GROUND[labels[top:]], grit, noise[top:])
        return 1.0 + noise * _TEXTURE[labels]


def upright(a: Place, b: Place, low: float, high: float) -> Polygon:
    """The rectangle on the line between two places (x, z), from one height to another."""
    return [(a[0], low, a[1]), (a[0], high, a[1]), (b[0], high, b[1]), (b[0], low, b[1])]


def labels_of(ids: NDArray[np.uint16]) -> NDArray[np.uint8]:
    """The label of every id: the id itself or, for an instance (label * 1000 + n), its label."""
    return np.where(ids >= 1000, ids // 1000, ids).astype(np.uint8)


@cache
def noise_tile(slope: float) -> NDArray[np.float32]:
    """A (256, 256) tile of cloudy noise that repeats without a seam: mean 0, deviation 1.

    The amplitude of a frequency f is f ** -(2 * slope): near 0 is white, 1 very smooth.
    """
    rng = np.random.default_rng(2018)
    spectrum = np.fft.rfft2(rng.standard_normal((_TILE, _TILE)))
    frequency = np.hypot(np.fft.fftfreq(_TILE)[:, None], np.fft.rfftfreq(_TILE)[None])
    frequency[0, 0] = np.inf  # no mean
    spectrum *= frequency ** (-2 * slope)
    noise: NDArray[np.float32] = np.fft.irfft2(spectrum, s=(_TILE, _TILE)).astype(np.float32)
    return noise / noise.std()


# The deviation of the texture's factor from 1, and whether it lies in perspective, by label.
_TEXTURE = np.zeros(35, dtype=np.float32)
_TEXTURE[[ROAD, SIDEWALK, PARKING, TERRAIN]] = 0.045, 0.035, 0.045, 0.09
_TEXTURE[[BUILDING, WALL, FENCE, VEGETATION]] = 0.02, 0.05, 0.04, 0.09
_ON_GROUND = np.zeros(35, dtype=bool)
_ON_GROUND[[ROAD, SIDEWALK, PARKING, TERRAIN]] = True
