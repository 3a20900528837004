"""Resizing, cropping and flipping, with --augment also turning, enlarging and recolouring: drawn at
random once for a sample, then applied to all its maps.

Sizes are (width, height), as Pillow has them.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

Size = tuple[int, int]

MOST_DEGREES = 5  # that an augmented map is turned by, either way
MOST_ZOOM = 1.2  # that it is enlarged by, beyond what the turn needs
COLOURS = (0.8, 1.2)  # range of the factors of brightness, contrast and saturation
LEVELS = {torch.uint8: 255, torch.uint16: 65535}  # white of these types; black is 0


class CropAndFlip(NamedTuple):
    """What is drawn for a sample: all its maps share it, or they would no longer show one scene."""

    resized: Size  # that the whole map is scaled to
    box: tuple[int, int, int, int]  # left, upper, right, lower edge of what is kept of that, pixels
    flip: bool  # left to right


class Warp(NamedTuple):
    """Where the centres of an augmented crop's pixels lie in the resized maps, which share it."""

    nearest: np.ndarray  # [h,w]: the pixel that each lies in, of the flattened map
    grid: Tensor  # float32 [1,h,w,2]: across and down, from -1 to 1 at the map's edges


class Colours(NamedTuple):
    """Factors that a photograph's colours are changed by; 1 leaves them."""

    brightness: float  # of the levels above black
    contrast: float  # of the distance to the photograph's mean
    saturation: float  # of the distance to the pixel's mean


def resized_size(size: Size, resize_or_crop: str, load_size: int) -> Size:
    """Size after resizing: a square, the given width with the aspect ratio kept, or as it is."""
    width, height = size
    if resize_or_crop == "resize_and_crop":
        return load_size, load_size
    if resize_or_crop.startswith("scale_width"):
        return load_size, max(1, int(load_size * height / width))
    return size


def output_size(size: Size, resize_or_crop: str, load_size: int, fine_size: int) -> Size:
    """Size that a map of `size` comes out with: a side shorter than the crop stays as it is."""
    width, height = resized_size(size, resize_or_crop, load_size)
    if resize_or_crop.endswith("crop"):
        return min(width, fine_size), min(height, fine_size)
    return width, height


def resize_key(resize_or_crop: str, load_size: int) -> str:
    """A name for what `resized_size` does: equal where the results are, however it is cropped."""
    if resize_or_crop == "resize_and_crop":
        return f"{load_size} square"
    return f"{load_size} wide" if resize_or_crop.startswith("scale_width") else "as it is"


def draw_crop_and_flip(
    rng: np.random.Generator, resized: Size, cropped: Size, *, flip: bool
) -> CropAndFlip:
    """Draw the crop's place, uniform over all there are, and with `flip` one flip in two.

    All draws come from `rng` and in this order: a run that continues must see the same pixels.
    """
    width, height = cropped
    x = int(rng.integers(resized[0] - width, endpoint=True))
    y = int(rng.integers(resized[1] - height, endpoint=True))
    return CropAndFlip(resized, (x, y, x + width, y + height), flip and bool(rng.integers(2)))


def draw_warp(rng: np.random.Generator, drawn: CropAndFlip) -> Warp:
    """Draw an angle, an enlargement and a place for the crop, in this order; its size and flip are
    those drawn before.

    The enlargement is at least so much that every pixel of the map, however turned, has the centre
    of one of the crop in it, so that thin labels stay, and that the crop fits into the map, so that
    nothing need be filled in. The place is uniform over those where it fits.
    """
    angle = math.radians(rng.uniform(-MOST_DEGREES, MOST_DEGREES))
    zoom, across, down = rng.uniform(1, MOST_ZOOM), rng.random(), rng.random()
    (width, height), (left, upper, right, lower) = drawn.resized, drawn.box
    w, h = right - left, lower - upper
    cos, sin = math.cos(angle), math.sin(angle)
    scale = zoom * (cos + abs(sin) * max(1, w / height, h / width))
    # Width and height, as shares of the map's, that the turned crop takes of it.
    takes = (w * cos + h * abs(sin)) / scale / width, (w * abs(sin) + h * cos) / scale / height
    left_to_right = (-1 if drawn.flip else 1) * w / scale
    affine = [
        [left_to_right * cos / width, -h / scale * sin / width, (2 * across - 1) * (1 - takes[0])],
        [left_to_right * sin / height, h / scale * cos / height, (2 * down - 1) * (1 - takes[1])],
    ]
    grid = F.affine_grid(torch.tensor([affine]), [1, 1, h, w], align_corners=False)
    column, row = ((grid[0] + 1) * torch.tensor([width / 2, height / 2])).long().unbind(2)
    return Warp((row * width + column).numpy(), grid)


def draw_colours(rng: np.random.Generator) -> Colours:
    """Draw the factors, uniform in COLOURS."""
    return Colours(*rng.uniform(*COLOURS, size=3).tolist())


def resize(image: Image.Image, size: Size, resample: Image.Resampling) -> Image.Image:
    """Scale an image.

    Pillow does it: its NEAREST picks the source pixel that existing users trained with, and its
    BICUBIC averages over what a smaller picture leaves out.
    """
    return image if image.size == size else image.resize(size, resample)


def resize_ids(ids: Image.Image, size: Size) -> np.ndarray:
    """Scale a map of identifiers as `resize` does, NEAREST: [H,W] of the image's own type."""
    if ids.mode == "I;16" and ids.size != size:  # for which Pillow picks other pixels
        wide = resize(ids.convert("I"), size, Image.Resampling.NEAREST)
        return np.asarray(wide).astype(np.uint16)
    return np.asarray(resize(ids, size, Image.Resampling.NEAREST))


def resize_planes(planes: np.ndarray, size: Size) -> np.ndarray:
    """Scale a photograph [C,H,W] as `resize` does, BICUBIC: its planes one by one, as no channel is
    transparency to weigh the others with. More than 8 bits are scaled as floating point."""
    if (planes.shape[2], planes.shape[1]) == size:
        return planes
    dtype = np.uint8 if planes.dtype == np.uint8 else np.float32
    images = [Image.fromarray(plane.astype(dtype, copy=False)) for plane in planes]
    scaled = np.stack(
        [np.asarray(resize(image, size, Image.Resampling.BICUBIC)) for image in images]
    )
    if planes.dtype == np.uint16:
        return np.rint(scaled).clip(0, 65535).astype(np.uint16)
    return scaled


def same_aspect(size: Size, other: Size) -> bool:
    """Whether the smaller size is the larger one scaled, up to the rounding of one side."""
    (w, h), (width, height) = sorted((size, other), key=lambda s: s[0] * s[1])
    return abs(width * h / height - w) < 1 or abs(height * w / width - h) < 1


def to_float(pixels: Tensor, black: float, white: float) -> Tensor:
    """Levels as float32 in [-1,1], what is outside `black` and `white` being cut off. For whole
    types from 0 to their largest value bit for bit what `models.conditioning` makes of them."""
    values = pixels.float().sub_(black).div_((white - black) / 2).sub_(1)
    return values.clamp_(-1, 1)


def crop_and_flip(planes: np.ndarray, drawn: CropAndFlip, dtype: np.dtype) -> Tensor:
    """A resized map cropped and flipped as drawn.

    Args:
        planes: [C,H,W], of size drawn.resized.
        drawn: the sample's crop and flip.
        dtype: of the result; it must hold the values.

    Returns:
        [C,h,w] with memory of its own: a view would keep a file of the cache open.
    """
    left, upper, right, lower = drawn.box
    # NumPy converts and copies quicker, PyTorch flips quicker.
    cropped = torch.from_numpy(planes[:, upper:lower, left:right].astype(dtype, order="C"))
    if not drawn.flip:
        return cropped
    if cropped.dtype == torch.uint16:  # which PyTorch 2.11 does not flip
        return cropped.view(torch.int16).flip(-1).view(torch.uint16)
    return cropped.flip(-1)


def warp(planes: np.ndarray, drawn: Warp, dtype: np.dtype, *, smooth: bool) -> Tensor:
    """A resized map turned, enlarged, cropped and flipped as drawn, in one step.

    Args:
        planes: [C,H,W], of the size that `drawn` was drawn for.
        drawn: the sample's warp.
        dtype: of the result; it must hold the values.
        smooth: bicubic, for photographs; else every pixel is one of the map's, the same of all
            maps, and never a mixture.

    Returns:
        [C,h,w] with memory of its own.
    """
    if not smooth:
        flat = planes.reshape(len(planes), -1)
        return torch.from_numpy(flat.take(drawn.nearest, axis=1).astype(dtype, copy=False))
    pixels = torch.from_numpy(planes.astype(np.float32))[None]
    # Several times quicker than Pillow's transform, and of any number of channels.
    turned = F.grid_sample(pixels, drawn.grid, "bicubic", "border", align_corners=False)[0]
    return _as_type(turned, torch.from_numpy(np.empty(0, dtype)).dtype)


def recoloured(pixels: Tensor, factors: Colours) -> Tensor:
    """A photograph [1,C,H,W] in other colours: uint8, uint16, or float32 in [-1,1], as it stays.
    Saturation is changed where there are 3 channels."""
    black = -1 if pixels.is_floating_point() else 0
    levels = pixels.float() - black
    contrast, saturation = factors.contrast, factors.saturation if levels.shape[1] == 3 else 1
    # Neither of the means is changed by what moves levels towards it, or away.
    towards = levels.mean(1, keepdim=True).mul_(contrast * (1 - saturation))
    towards += (1 - contrast) * levels.mean()
    levels.mul_(contrast * saturation).add_(towards).mul_(factors.brightness).add_(black)
    return _as_type(levels.clamp_(-1, 1) if black else levels, pixels.dtype)


def _as_type(levels: Tensor, dtype: torch.dtype) -> Tensor:
    """Levels rounded and cut off to a whole type; floats as they are. Changes `levels`."""
    if white := LEVELS.get(dtype):
        levels.round_().clamp_(0, white)
    return levels.to(dtype)
