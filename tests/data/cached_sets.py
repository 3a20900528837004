"""What the tests of the cache look at."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from PIL import Image

from pix2pixhd.data.dataset import AlignedDataset


def files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def assert_same(one: AlignedDataset, other: AlignedDataset, counters: range = range(6)) -> None:
    for counter in counters:
        ours, theirs = one[0, counter].tensors(), other[0, counter].tensors()
        assert ours.keys() == theirs.keys()
        for name, value in ours.items():
            assert value.dtype == theirs[name].dtype
            assert torch.equal(value, theirs[name])


def forbid_reading(dataset: AlignedDataset, monkeypatch: pytest.MonkeyPatch) -> None:
    def read_map(name: str, path: Path) -> Image.Image:
        raise AssertionError(f"{path} was decoded")

    monkeypatch.setattr(dataset, "read_map", read_map)
