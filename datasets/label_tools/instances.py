"""Instance maps: ids label * 1000 + n, as Cityscapes' are, and the plain label elsewhere."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import ndimage

# Instances of a label that ids tell apart: one more would read as the next label's.
MOST = 999

# Pixels that touch at a corner belong together.
NEIGHBOURS = np.ones((3, 3), bool)


def components(label: np.ndarray, chosen: Sequence[int]) -> np.ndarray:
    """Number the connected regions of each of the chosen labels, from 1; int32 like `label`."""
    parts = np.zeros(label.shape, np.int32)
    for value in chosen:
        mask = label == value
        if mask.any():
            parts[mask] = ndimage.label(mask, NEIGHBOURS)[0][mask]
    return parts


def instance_ids(
    label: np.ndarray, parts: np.ndarray, chosen: Sequence[int], min_size: int = 1
) -> tuple[np.ndarray, int]:
    """The ids of an instance map.

    n counts a label's parts from 1, the largest first. Parts of fewer than `min_size` pixels keep
    the plain label, and so do all after the 999th.

    Args:
        label: integers [H,W].
        parts: integers [H,W]: pixels of one label and number are one instance; 0 belongs to none.
        chosen: the labels that have instances.

    Returns:
        int32 [H,W], and how many parts were large enough but too many.
    """
    ids, too_many = label.astype(np.int32), 0
    for value in chosen:
        mask = (label == value) & (parts > 0)
        _, inverse, sizes = np.unique(parts[mask], return_inverse=True, return_counts=True)
        rank = np.empty(len(sizes), np.int32)
        rank[np.argsort(-sizes, kind="stable")] = np.arange(1, len(sizes) + 1)
        large = sizes >= min_size
        counted = large & (rank <= MOST)
        ids[mask] = np.where(counted, value * 1000 + rank, value)[inverse]
        too_many += int((large & ~counted).sum())
    return ids, too_many
