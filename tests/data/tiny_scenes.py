"""What the tiny scenes of `conftest.make_set` show."""

from __future__ import annotations

import numpy as np


def pixels(name: str, number: int, size: tuple[int, int]) -> np.ndarray:
    """A map whose every pixel tells its place: labels below 5, instances above 16 bits' half."""
    width, height = size
    place = np.arange(width * height).reshape(height, width) + number
    if name == "label":
        return (place % 5).astype(np.uint8)
    if name == "inst":
        return (40000 + place).astype(np.uint16)
    return np.stack([place % 256, number + 0 * place, place // 256], axis=2).astype(np.uint8)
