"""What the tiny scenes of `conftest.make_set` show, and what the start-up check says of them."""

from __future__ import annotations

from typing import Any

import numpy as np

from pix2pixhd.data.dataset import AlignedDataset
from pix2pixhd.data.validate import validate_dataset
from pix2pixhd.util.errors import UserError


def pixels(name: str, number: int, size: tuple[int, int]) -> np.ndarray:
    """A map whose every pixel tells its place: labels below 5, instances above 16 bits' half."""
    width, height = size
    place = np.arange(width * height).reshape(height, width) + number
    if name == "label":
        return (place % 5).astype(np.uint8)
    if name == "inst":
        return (40000 + place).astype(np.uint16)
    return np.stack([place % 256, number + 0 * place, place // 256], axis=2).astype(np.uint8)


def problems_of(dataset: AlignedDataset, mode: Any = "sample", batch_size: int = 1) -> list[str]:
    try:
        validate_dataset(dataset, mode, batch_size=batch_size)
    except UserError as error:
        return error.problems
    return []
