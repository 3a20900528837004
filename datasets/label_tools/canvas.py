"""Shapes drawn over one another: labels, and which shape a pixel belongs to."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw

from label_tools.source import Drawing


class Canvas:
    """A picture of shape numbers; later shapes cover earlier ones."""

    def __init__(self, width: int, height: int) -> None:
        self.picture = Image.new("I", (width, height))
        self.draw = ImageDraw.Draw(self.picture)
        self._shapes: dict[object, int] = {}
        self._labels, self._counted = [0], [False]

    def shape(self, label: int, key: object = None, *, counted: bool = True) -> int:
        """The number to draw a shape of this label with; shapes of one label and key share it.

        `counted`: it is an instance.
        """
        key = object() if key is None else (label, key)
        if key not in self._shapes:
            self._shapes[key] = len(self._labels)
            self._labels.append(label)
            self._counted.append(counted and label > 0)
        return self._shapes[key]

    def fill(self, mask: np.ndarray, corner: tuple[int, int], number: int) -> None:
        """Draw the pixels of a mask, bool [h,w], whose first pixel lies at `corner` (x, y)."""
        self.picture.paste(number, corner, Image.fromarray(mask.astype(np.uint8) * 255))

    def drawing(self) -> Drawing:
        shapes = np.asarray(self.picture)
        counted = np.array(self._counted)[shapes]
        return Drawing(np.array(self._labels, np.int32)[shapes], np.where(counted, shapes, 0))


def polygon_mask(
    corners: np.ndarray, width: int, height: int
) -> tuple[np.ndarray, tuple[int, int]]:
    """The pixels whose centres lie in a polygon, by the even-odd rule.

    Pillow's polygons have their outline's pixels as well, which is half a pixel too much all
    around where, as in COCO, a square from 0 to 10 has 100 pixels.

    Args:
        corners: float [n,2], x and y; the centre of the first pixel is at 0.5.

    Returns:
        bool [h,w], and where in the picture its first pixel lies (x, y).
    """
    size = (width, height)
    left, top = np.clip(np.floor(corners.min(0)), 0, size).astype(int)
    right, bottom = np.clip(np.ceil(corners.max(0)), (left, top), size).astype(int)
    crossed = np.zeros((bottom - top, right - left + 1), bool)
    for (x, y), (x1, y1) in zip(corners, np.roll(corners, -1, 0), strict=True):
        # The rows whose centres the edge passes, and the first pixels behind it.
        first, last = np.clip(np.ceil(np.sort([y, y1]) - 0.5), top, bottom).astype(int)
        rows = np.arange(first, last)
        if len(rows):
            at = np.ceil(x + (rows + 0.5 - y) * (x1 - x) / (y1 - y) - 0.5)
            crossed[rows - top, np.clip(at, left, right).astype(int) - left] ^= True
    return np.logical_xor.accumulate(crossed, axis=1)[:, :-1], (int(left), int(top))
