"""Resizing, cropping and flipping: drawn at random once for a sample, then applied to all its maps.

Sizes are (width, height), as Pillow has them.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor

Size = tuple[int, int]


class CropAndFlip(NamedTuple):
    """What is drawn for a sample: all its maps share it, or they would no longer show one scene."""

    resized: Size  # that the whole map is scaled to
    box: tuple[int, int, int, int]  # left, upper, right, lower edge of what is kept of that, pixels
    flip: bool  # left to right


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
