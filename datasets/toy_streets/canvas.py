"""The canvas of the toy streets: one camera, one picture, and one map of ids in step with it.

Whatever is painted goes through `Canvas.fill`, `face`, `limb`, `disc` or `ring`, which draw the
same outline into the picture and into the map: `ident` is what the map gets there, and `None`
leaves it as it is (a window in a façade stays façade).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from toy_streets.palette import Colour, Light, Vector, dim
from toy_streets.scene import View

# Cityscapes' label ids, as far as a toy street has them.
ROAD, SIDEWALK, PARKING = 7, 8, 9
BUILDING, WALL, FENCE = 11, 12, 13
POLE, TRAFFIC_LIGHT, TRAFFIC_SIGN = 17, 19, 20
VEGETATION, TERRAIN, SKY = 21, 22, 23
PERSON, RIDER, CAR, BICYCLE = 24, 25, 26, 33

_NEAR = 1.5  # m; nothing nearer is projected
_FOCAL = 0.85  # of the image's width

# The picture is painted this many times finer and averaged down.  The map is painted as fine, but
# then *sampled*, since ids cannot be averaged.
_FINER = 2
_TILE = 256
_DENSEST = 0.85  # the haze far away

Place = tuple[float, float]
Floats = NDArray[np.floating[Any]]  # in 32 bits wherever it is a whole picture


# How the light and the air show the colours of one surface.
Tone = Callable[[Vector], Colour]


def _toned(gain: Vector, veil: Vector) -> Tone:
    def tone(colour: Vector) -> Colour:
        return (
            min(255, int(colour[0] * gain[0] + veil[0])),
            min(255, int(colour[1] * gain[1] + veil[1])),
            min(255, int(colour[2] * gain[2] + veil[2])),
        )

    return tone


class Canvas:
    """A picture in the making.  Points are (x, y, z) in m, colours RGB 0..255 as they are seen."""

    def __init__(self, view: View, light: Light, width: int, height: int) -> None:
        """`width` and `height` are the finished picture's, in pixels."""
        self.light = light
        self.size = (width * _FINER, height * _FINER)
        self.image = Image.new("RGB", self.size)
        self.ids = Image.new("I", self.size, SKY)
        self.focal = _FOCAL * self.size[0]
        self.centre = self.size[0] * (0.5 + view.pan)
        self.horizon = self.size[1] * view.horizon
        self.eye = view.eye
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
        return abs(self.centre + x * self.focal / z - self.size[0] / 2) < (
            self.size[0] / 2 + reach * self.focal / z
        )

    def tone(self, normal: Vector, z: float, sunlit: float = 1.0) -> Tone:
        """The tone of a surface with this unit normal, out of the houses' shadow or (0) in it."""
        sun, ambient, toward = self.light.sun, self.light.ambient, self.light.toward_sun
        facing = normal[0] * toward[0] + normal[1] * toward[1] + normal[2] * toward[2]
        direct = max(0.0, facing) * sunlit
        # The sky above gives more light than the street below.
        sky = 0.9 + 0.1 * normal[1]
        haze = self.haze(z)
        clear = 1.0 - haze
        gain = (
            (ambient[0] * sky + sun[0] * direct) * clear,
            (ambient[1] * sky + sun[1] * direct) * clear,
            (ambient[2] * sky + sun[2] * direct) * clear,
        )
        return _toned(gain, dim(self.light.horizon, haze))

    def glow(self, z: float) -> Tone:
        """The tone of what shines by itself."""
        haze = self.haze(z)
        return _toned((1.0 - haze,) * 3, dim(self.light.horizon, haze))

    def haze(self, z: float) -> float:
        """The part of a colour at `z` that the air has taken, in 0..1."""
        return _DENSEST * (1.0 - math.exp(-z / self.light.haze))

    def haze_by_row(self, rows: Floats) -> Floats:
        """The same for the ground seen in these rows of the canvas."""
        clear: Floats = np.exp(-self.depth(rows) / self.light.haze)
        return _DENSEST * (1.0 - clear)

    def depth(self, rows: Floats) -> Floats:
        """The z of the ground that shows in these rows of the canvas, all below the horizon."""
        below: Floats = np.maximum(rows - self.horizon, 0.5)
        return self.eye * self.focal / below

    def face(self, points: Sequence[Vector], colour: Colour, ident: int | None = None) -> None:
        """A flat polygon."""
        # As `project`, but without a call for each of a scene's thousands of corners.
        centre, horizon, eye, focal = self.centre, self.horizon, self.eye, self.focal
        outline = [(centre + x * focal / z, horizon + (eye - y) * focal / z) for x, y, z in points]
        self.fill(outline, colour, ident)

    def fill(self, outline: Sequence[Place], colour: Colour, ident: int | None = None) -> None:
        """A polygon that is projected already."""
        self._pen.polygon(outline, colour)
        if ident is not None:
            self._id_pen.polygon(outline, ident)

    def limb(
        self, start: Vector, end: Vector, width: float, colour: Colour, ident: int | None = None
    ) -> None:
        """A straight bar `width` m thick; however far away, it stays a pixel wide."""
        (ax, ay), (bx, by) = self.project(*start), self.project(*end)
        half = max(width * self.focal / start[2], _FINER) / 2
        length = math.hypot(bx - ax, by - ay) or 1.0
        dx, dy = (by - ay) / length * half, (ax - bx) / length * half
        outline = [(ax + dx, ay + dy), (bx + dx, by + dy), (bx - dx, by - dy), (ax - dx, ay - dy)]
        self.fill(outline, colour, ident)

    def disc(
        self, centre: Vector, wide: float, tall: float, colour: Colour, ident: int | None = None
    ) -> None:
        """An upright ellipse that faces the camera, with its half axes in m."""
        box = self._box(centre, wide, tall)
        self._pen.ellipse(box, colour)
        if ident is not None:
            self._id_pen.ellipse(box, ident)

    def ring(
        self, centre: Vector, wide: float, tall: float, line: float, colour: Colour, ident: int
    ) -> None:
        """The outline, `line` m thick, of an ellipse like `disc`'s."""
        box = self._box(centre, wide, tall)
        stroke = max(_FINER, round(line * self.focal / centre[2]))
        self._pen.ellipse(box, outline=colour, width=stroke)
        self._id_pen.ellipse(box, outline=ident, width=stroke)

    def ground(self, places: Sequence[Place]) -> list[Place]:
        """The outline of a polygon of (x, z) on the ground, cut off where it is too near.

        Empty where nothing is left of it.
        """
        kept: list[Place] = []
        last_x, last_z = places[-1]
        for x, z in places:
            if (z >= _NEAR) != (last_z >= _NEAR):
                kept.append((last_x + (x - last_x) * (_NEAR - last_z) / (z - last_z), _NEAR))
            if z >= _NEAR:
                kept.append((x, z))
            last_x, last_z = x, z
        return [self.project(x, 0.0, z) for x, z in kept]

    def finished(self, grain: np.random.Generator) -> tuple[NDArray[np.uint8], NDArray[np.uint16]]:
        """The picture (height, width, 3) and the map of ids (height, width), at their final size.

        `grain` places the textures.
        """
        ids = np.asarray(self.ids)[1::_FINER, 1::_FINER].astype(np.uint16)
        picture = np.asarray(self.image.reduce(_FINER), dtype=np.float32)
        picture *= self._texture(labels_of(ids), grain)[..., None]
        return np.clip(picture + 0.5, 0, 255).astype(np.uint8), ids

    def _texture(
        self, labels: NDArray[np.uint8], grain: np.random.Generator
    ) -> NDArray[np.float32]:
        """A factor around 1 per pixel: leaves and plaster lie on the screen, grit on the ground."""
        rows, columns = (np.arange(length) for length in labels.shape)
        shift = grain.integers(_TILE, size=4, dtype=np.int32)
        noise: NDArray[np.float32]
        noise = noise_tile(0.55).take(rows + shift[0], axis=0, mode="wrap")
        noise = noise.take(columns + shift[1], axis=1, mode="wrap")

        top = math.ceil(self.horizon / _FINER)
        z = self.depth((rows[top:, None] * _FINER + 1).astype(np.float32))
        x = (columns * _FINER + 1 - self.centre).astype(np.float32) * z / self.focal
        # 12 grains to the metre.  With distance they fall below the pixels and must fade.
        across = ((x * 12).astype(np.int32) + shift[2]) % _TILE
        ahead = ((z * 12).astype(np.int32) + shift[3]) % _TILE
        grit = noise_tile(0.75)[ahead, across] * np.minimum(1.0, 14.0 / z)
        noise[top:] = np.where(_ON_GROUND[labels[top:]], grit, noise[top:])
        noise *= _TEXTURE[labels]
        noise += 1.0
        return noise

    def _box(self, centre: Vector, wide: float, tall: float) -> list[Place]:
        x, y, z = centre
        return [self.project(x - wide, y + tall, z), self.project(x + wide, y - tall, z)]


def labels_of(ids: NDArray[np.uint16]) -> NDArray[np.uint8]:
    """The label of every id: the id itself or, for an instance (label * 1000 + n), its label."""
    return np.where(ids >= 1000, ids // 1000, ids).astype(np.uint8)


@cache
def noise_tile(slope: float) -> NDArray[np.float32]:
    """A (256, 256) tile of cloudy noise that repeats without a seam: mean 0, deviation 1.

    The amplitude of a frequency f is f ** -(2 * slope): 0 is white, 1 very smooth.
    """
    rng = np.random.default_rng(2018)
    spectrum = np.fft.rfft2(rng.standard_normal((_TILE, _TILE)))
    frequency = np.hypot(np.fft.fftfreq(_TILE)[:, None], np.fft.rfftfreq(_TILE)[None])
    frequency[0, 0] = 1.0
    spectrum *= frequency ** (-2 * slope)
    spectrum[0, 0] = 0.0
    noise: NDArray[np.float32] = np.fft.irfft2(spectrum, s=(_TILE, _TILE)).astype(np.float32)
    noise /= noise.std()
    return noise


# The deviation of the texture's factor from 1, and whether it lies in perspective, by label.
_TEXTURE = np.zeros(35, dtype=np.float32)
_TEXTURE[[ROAD, SIDEWALK, PARKING, TERRAIN]] = 0.045, 0.035, 0.045, 0.09
_TEXTURE[[BUILDING, WALL, FENCE, VEGETATION]] = 0.02, 0.05, 0.04, 0.09
_ON_GROUND = np.zeros(35, dtype=bool)
_ON_GROUND[[ROAD, SIDEWALK, PARKING, TERRAIN]] = True
