"""Instances cut from their images."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageOps

CONTEXT = 4  # pixels around an instance at least, or one of a few pixels is but a block of colour
LONGEST = 2.0  # longer side to shorter: a pole alone would be a line
DIMMED = 0.2  # of the surroundings' own brightness; the rest is middle gray
# By the sum of red, green and blue.
FADED = (128 + DIMMED * (np.arange(3 * 255 + 1) / 3 - 128)).astype(np.uint8)


def cut_out(image: np.ndarray, mask: np.ndarray, margin: float = 0.1, size: int = 96) -> np.ndarray:
    """Cut an instance from its image; what surrounds it fades to gray.

    The cut-out is the instance's bounding box with the margin, at least 4 pixels, and as much more
    as makes its longer side at most twice its shorter; at the image's border it moves inwards.

    Args:
        image: uint8 [H,W,3].
        mask: bool [H,W], the instance; not empty.
        margin: on each side, in parts of the box's longer side.
        size: of the result's longer side, in pixels; small instances are enlarged.

    Returns:
        uint8 [h,w,3], max(h, w) == size.
    """
    assert mask.any(), "an empty instance"
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    longest = max(np.ptp(rows), np.ptp(columns)) + 1
    around = 2 * max(margin * longest, CONTEXT)
    least = (longest + around) / LONGEST
    box = _span(rows, around, least, len(mask)), _span(columns, around, least, mask.shape[1])
    inside, part = mask[box][..., None], image[box]
    red, green, blue = np.moveaxis(part.astype(np.int16), -1, 0)
    faded = FADED[red + green + blue][..., None]
    picture = Image.fromarray(np.where(inside, part, faded))
    return np.asarray(ImageOps.contain(picture, (size, size), Image.Resampling.LANCZOS))


def _span(places: np.ndarray, around: float, least: float, limit: int) -> slice:
    """Return the pixels to cut, of `limit`, about the sorted `places` of an instance."""
    extent = min(limit, round(max(np.ptp(places) + 1 + around, least)))
    start = round((places[0] + places[-1] + 1 - extent) / 2)
    start = min(max(start, 0), limit - extent)
    return slice(start, start + extent)
