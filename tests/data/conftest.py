"""Tiny data sets in a temporary folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from tiny_scenes import pixels

from data.dataset import AlignedDataset


@pytest.fixture
def make_set(tmp_path: Path) -> Callable[..., Path]:
    """Writes `count` scenes 000, 001, ... as PNG; returns the dataroot."""

    def make(
        count: int = 4,
        size: tuple[int, int] = (16, 8),
        phase: str = "train",
        folders: tuple[str, ...] = ("label", "inst", "img"),
    ) -> Path:
        for folder in folders:
            at = tmp_path / f"{phase}_{folder}"
            at.mkdir()
            for number in range(count):
                Image.fromarray(pixels(folder, number, size)).save(at / f"{number:03}.png")
        return tmp_path

    return make


@pytest.fixture
def open_set() -> Callable[..., AlignedDataset]:
    """Opens a dataroot with 5 labels and no resizing, or what the arguments say."""

    def open_(dataroot: Path, **changes: Any) -> AlignedDataset:
        usual: dict[str, Any] = {
            "dataroot": dataroot,
            "phase": "train",
            "label_nc": 5,
            "input_nc": 3,
            "output_nc": 3,
            "use_instance": True,
            "resize_or_crop": "none",
            "load_size": 16,
            "fine_size": 8,
            "flip": True,
            "ignore_label": None,
            "max_size": None,
            "needs_image": True,
            "seed": 0,
            "is_train": True,
        }
        return AlignedDataset(**(usual | changes))

    return open_
