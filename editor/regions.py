"""Regions of integer maps: strokes, fills, placed objects. Pure functions of arrays."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import numpy as np
from scipy import ndimage

from pix2pixhd.editor.history import Box
from pix2pixhd.util.errors import UserError

FAR = 2**16  # pixels; beyond any picture
SLENDER = 8  # times as many pixels has what is no slender thing

Point = tuple[float, float]
"""Row and column; whole numbers are the middles of pixels."""


def disc_stroke(shape: tuple[int, int], points: Sequence[Point], width: float) -> np.ndarray:
    """A stroke of a round brush along straight lines from point to point.

    Args:
        shape: height and width of the picture; what lies outside is cut off.
        points: one is a dot.
        width: of the brush in pixels; below 1 as 1.

    Returns:
        bool [H,W]: the pixels whose middle is at most half a width from the line, and those of the
        points.

    Raises:
        UserError: a coordinate is not finite.
    """
    if not np.isfinite([width, *itertools.chain(*points)]).all():
        raise UserError("stroke: not all coordinates are finite numbers; draw it again")
    mask, radius = np.zeros(shape, bool), max(width, 1) / 2
    line = np.array(points, float).reshape(-1, 2).clip(-FAR, FAR)
    for a, b in itertools.pairwise([*line, *line[-1:]]):
        # In pieces, as the rectangle around a long slanted line is mostly not of it.
        ends = np.linspace(a, b, math.ceil(np.abs(b - a).max() / (width + 32)) + 1 + (a == b).all())
        for p, q in itertools.pairwise(ends):
            low = np.maximum(np.floor(np.minimum(p, q) - radius), 0)
            high = np.minimum(np.ceil(np.maximum(p, q) + radius) + 1, shape)
            if (low >= high).any():
                continue
            (top, left), (bottom, right) = low.astype(int), high.astype(int)
            rows = np.arange(top, bottom)[:, None] - p[0]
            columns = np.arange(left, right)[None] - p[1]
            d = q - p
            along = ((rows * d[0] + columns * d[1]) / max(d @ d, 1e-12)).clip(0, 1)
            near = (rows - along * d[0]) ** 2 + (columns - along * d[1]) ** 2
            mask[top:bottom, left:right] |= near <= radius**2 + 1e-9
        row, column = np.rint(a)
        if 0 <= row < shape[0] and 0 <= column < shape[1]:
            mask[int(row), int(column)] = True
    return mask


def flood(map_: np.ndarray, row: int, column: int) -> np.ndarray:
    """bool [H,W]: the pixels of the same value that are joined to the given one by their sides.

    Args:
        map_: [H,W], or [H,W,C] of a picture.
    """
    same = map_ == map_[row, column]
    regions, _ = ndimage.label(same if same.ndim == 2 else same.all(axis=2))
    return regions == regions[row, column]


def bounding_box(mask: np.ndarray) -> Box | None:
    """The least rectangle around the mask, bool [H,W]; None for an empty one."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return None
    return Box(int(rows[0]), int(columns[0]), int(rows[-1]) + 1, int(columns[-1]) + 1)


def placed(
    mask: np.ndarray, scale: float, mirrored: bool, at: tuple[int, int], shape: tuple[int, int]
) -> np.ndarray:
    """An object's mask, bool [h,w], put into a picture, bool [H,W]: scaled (nearest pixel),
    mirrored left to right, its top left corner `at` a row and column, cut off outside."""
    sides = [max(1, round(side * scale)) for side in mask.shape]
    whole = np.zeros(shape, bool)
    low = [min(max(place, 0), size) for place, size in zip(at, shape, strict=True)]
    high = [
        max(start, min(place + side, size))
        for start, place, side, size in zip(low, at, sides, shape, strict=True)
    ]
    rows, columns = (
        ((np.arange(start, stop) - place + 0.5) * (old / new)).astype(int)
        for start, stop, place, old, new in zip(low, high, at, mask.shape, sides, strict=True)
    )
    whole[low[0] : high[0], low[1] : high[1]] = (mask[:, ::-1] if mirrored else mask)[
        np.ix_(rows, columns)
    ]
    return whole


def surrounding(ids: np.ndarray, mask: np.ndarray, among: np.ndarray | None = None) -> int | None:
    """The id of most pixels beside the mask.

    Args:
        ids: integers [H,W].
        mask: bool [H,W].
        among: bool [H,W], which pixels count, in the mask as well; None: all outside it.

    Returns:
        None where there are no such pixels.
    """
    box = _grown_box(mask)
    if box is None:
        return None
    inside = mask[box]
    near = _grown(inside) & (~inside if among is None else among[box])
    values, n = np.unique(ids[box][near], return_counts=True)
    return int(values[n.argmax()]) if len(values) else None


def nearest_outside(mask: np.ndarray, preferred: np.ndarray) -> np.ndarray | None:
    """For each pixel of the mask the nearest around it, and of those a preferred one if any of
    these adjoins the mask; both bool [H,W].

    Returns:
        int [n], row * W + column, in the order of the mask's pixels; None if nothing is outside.
    """
    box = _grown_box(mask)
    if box is None:
        return np.zeros(0, int)
    inside = mask[box]
    source = ~inside & preferred[box]
    if not (_grown(inside) & source).any():
        source = ~inside
    if not source.any():
        return None
    rows, columns = ndimage.distance_transform_edt(
        ~source, return_distances=False, return_indices=True
    )[:, inside]
    return (rows + box[0].start) * mask.shape[1] + columns + box[1].start


def without_slender(mask: np.ndarray, preferred: np.ndarray, ids: np.ndarray) -> np.ndarray:
    """`preferred`, bool [H,W], without what is slender around a connected part of the mask, as a
    pole beside a car, which would grow into the car's place.

    Args:
        ids: integers [H,W]; slender is one of few pixels near the part.
    """
    wanted = preferred & ~mask
    parts, _ = ndimage.label(mask)
    for part, box in enumerate(ndimage.find_objects(parts), 1):
        reach = 1 + round(math.sqrt(np.count_nonzero(parts[box] == part)) / 2)
        around = tuple(slice(max(side.start - reach, 0), side.stop + reach) for side in box)
        near = ndimage.distance_transform_edt(parts[around] != part) <= reach
        near &= preferred[around] & ~mask[around]
        values, n = np.unique(ids[around][near], return_counts=True)
        slender = values[n * SLENDER < n.max(initial=0)]
        wanted[around][near & np.isin(ids[around], slender)] = False
    return wanted


def outline(mask: np.ndarray) -> np.ndarray:
    """bool [H,W]: the mask's pixels that have a side at its edge, or at the picture's."""
    edge = np.zeros_like(mask)
    if box := _grown_box(mask):
        edge[box] = mask[box] & _grown(np.pad(~mask[box], 1, constant_values=True))[1:-1, 1:-1]
    return edge


def _grown_box(mask: np.ndarray) -> tuple[slice, slice] | None:
    """The bounding box and a pixel around it, as an index."""
    if (box := bounding_box(mask)) is None:
        return None
    top, left = max(box.top - 1, 0), max(box.left - 1, 0)
    return slice(top, box.bottom + 1), slice(left, box.right + 1)


def _grown(mask: np.ndarray) -> np.ndarray:
    """The mask and the pixels beside it; SciPy's dilation takes several times as long."""
    grown = mask.copy()
    grown[1:] |= mask[:-1]
    grown[:-1] |= mask[1:]
    grown[:, 1:] |= mask[:, :-1]
    grown[:, :-1] |= mask[:, 1:]
    return grown
