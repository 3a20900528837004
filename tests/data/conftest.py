"""Tiny data sets in a temporary folder."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from tiny_scenes import pixels

from pix2pixhd.data import create_dataset
from pix2pixhd.data.dataset import AlignedDataset
from pix2pixhd.options.base_options import DataOptions, ModelOptions


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
    """Opens a dataroot with 5 labels and no resizing, or what options and arguments say."""

    def open_(dataroot: Path, **changes: Any) -> AlignedDataset:
        usual: dict[str, Any] = {
            "dataroot": str(dataroot),
            "label_nc": 5,
            "resize_or_crop": "none",
            "loadSize": 16,
            "fineSize": 8,
            "phase": "train",
            "needs_image": True,
            "seed": 0,
            "is_train": True,
            "read_features": False,
        }
        given = usual | changes
        data, model = (
            group(**{f.name: given.pop(f.name) for f in fields(group) if f.name in given})
            for group in (DataOptions, ModelOptions)
        )
        return create_dataset(data, model, **given)

    return open_
