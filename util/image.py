"""Tensors and label maps to pictures, and pictures to files."""

from __future__ import annotations

import functools
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageCms
from torch import Tensor

from pix2pixhd.util.files import replacing

# The colour of labels outside the range: those that --ignore_label names. Generated palettes keep
# away from it.
IGNORED = (128, 128, 128)

# Colours of this chroma in CIELAB and above hurt the eye on large areas.
NEON = 75

# The official table of the Cityscapes benchmark, ids 0 to 34: red, green and blue in hexadecimal.
CITYSCAPES = np.frombuffer(
    bytes.fromhex(
        # unlabeled, ego vehicle, rectification border, out of roi, static, dynamic, ground
        "000000 000000 000000 000000 000000 6f4a00 510051 "
        # road, sidewalk, parking, rail track
        "804080 f423e8 faaaa0 e6968c "
        # building, wall, fence, guard rail, bridge, tunnel
        "464646 66669c be9999 b4a5b4 966464 96785a "
        # pole, polegroup, traffic light, traffic sign
        "999999 999999 faaa1e dcdc00 "
        # vegetation, terrain, sky
        "6b8e23 98fb98 4682b4 "
        # person, rider
        "dc143c ff0000 "
        # car, truck, bus, caravan, trailer, train, motorcycle, bicycle, license plate
        "00008e 000046 003c64 00005a 00006e 005064 0000e6 770b20 00008e"
    ),
    np.uint8,
).reshape(-1, 3)


def tensor_to_image(image: Tensor) -> np.ndarray:
    """Convert a network's image to one that can be saved.

    Args:
        image: float [C,H,W] in [-1,1]; values outside are clipped, NaN becomes black. One or two
            channels are drawn as the gray of the first, of more than three the first three are.

    Returns:
        uint8 [H,W,3].
    """
    assert image.ndim == 3, f"expected [C,H,W], got {list(image.shape)}"
    image = image.detach()[:3] if len(image) >= 3 else image.detach()[:1].expand(3, -1, -1)
    levels = ((image.float() + 1) * 127.5).nan_to_num(nan=0).round().clamp(0, 255)
    # To bytes before it leaves the device: a quarter of the traffic.
    return levels.to(torch.uint8).permute(1, 2, 0).contiguous().cpu().numpy()


def label_to_image(label: Tensor | np.ndarray, label_nc: int) -> np.ndarray:
    """Colour a label map by its palette.

    Args:
        label: integers [H,W] or [1,H,W]; values outside [0, label_nc) are drawn in gray.
        label_nc: number of labels.

    Returns:
        uint8 [H,W,3].
    """
    values = np.asarray(label.detach().cpu() if isinstance(label, Tensor) else label)
    if values.ndim == 3:
        assert len(values) == 1, f"expected one channel, got {values.shape}"
        values = values[0]
    table = np.vstack([label_palette(label_nc), np.array(IGNORED, np.uint8)])
    # As wide integers: NumPy refuses to put a label_nc above 255 beside 8-bit labels.
    values = values.astype(np.intp)
    return table[np.where((values >= 0) & (values < label_nc), values, label_nc)]


def label_palette(n: int) -> np.ndarray:
    """Return a colour for each of `n` labels, uint8 [n,3]: Cityscapes' own when n is 35."""
    return (CITYSCAPES if n == len(CITYSCAPES) else _distinct_colours(n)).copy()


@functools.cache
def _distinct_colours(n: int) -> np.ndarray:
    """Choose `n` colours, each as far as can be from all before it, uint8 [n,3].

    The first is black, the usual background. There are about 4000 to choose from; beyond them they
    repeat.
    """
    levels = np.linspace(0, 255, 18).round().astype(np.uint8)
    grid = np.stack(np.meshgrid(levels, levels, levels, indexing="ij"), -1).reshape(-1, 3)
    places = _in_cielab(grid)
    calm = np.linalg.norm(places[:, 1:], axis=-1) < NEON
    grid, places = grid[calm], places[calm]
    distance = np.linalg.norm(places - _in_cielab(np.array([IGNORED], np.uint8)), axis=-1)
    chosen = [0]
    while len(chosen) < min(n, len(grid)):
        from_last = np.linalg.norm(places - places[chosen[-1]], axis=-1)
        distance = np.minimum(distance, from_last)
        # The second term keeps neighbouring labels apart also when the palette gets crowded; it
        # is a factor, so that a colour already taken (distance 0) is never taken again.
        chosen.append(int(np.argmax(distance * np.sqrt(from_last))))
    return np.resize(grid[chosen], (n, 3))


def _in_cielab(rgb: np.ndarray) -> np.ndarray:
    """Map sRGB, uint8 [n,3], to CIELAB, where equal distances look about equally different."""
    spaces = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
    image = ImageCms.profileToProfile(Image.fromarray(rgb[None]), *spaces, outputMode="LAB")
    lab = np.asarray(image)[0]  # L from 0 to 255 for 0 to 100; a and b are signed
    return np.column_stack([lab[:, 0] / 2.55, lab[:, 1:].view(np.int8)])


def save_image(image: np.ndarray, path: Path, *, quality: int = 92) -> None:
    """Write a picture whole or not at all, in the format that the suffix names.

    Args:
        image: uint8 [H,W,3] or [H,W].
        path: ends in .png, .jpg or .jpeg; its folder is made if need be.
        quality: of JPEG, 1 to 95.

    Raises:
        UserError: the file cannot be written.
    """
    picture = Image.fromarray(image)
    with replacing(path) as file:
        if path.suffix.lower() == ".png":
            # A third of the default effort's time, for files a tenth larger.
            picture.save(file, "PNG", compress_level=3)
        else:
            assert path.suffix.lower() in (".jpg", ".jpeg"), f"{path}: not a png or jpg"
            # Full-resolution colour: label maps have hard edges between saturated colours.
            picture.save(file, "JPEG", quality=quality, subsampling=0)


def save_thumbnail(image: np.ndarray, path: Path, width: int) -> None:
    """Write `image`, shrunk to `width` pixels, or as it is when it is no wider (see save_image)."""
    size = thumbnail_size(image.shape[1], image.shape[0], width)
    small = Image.fromarray(image).resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0)
    save_image(np.asarray(small), path, quality=85)


def thumbnail_size(width: int, height: int, limit: int) -> tuple[int, int]:
    """Return the width and height in pixels that fit into `limit` of width, never enlarged."""
    scale = min(1.0, limit / width)
    return max(1, round(width * scale)), max(1, round(height * scale))
