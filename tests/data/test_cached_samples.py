"""Samples are the same with the cache as without it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from cached_sets import assert_same, files, forbid_reading
from PIL import Image
from tiny_scenes import pixels

from pix2pixhd.data.dataset import AlignedDataset
from pix2pixhd.data.feature_maps import write_feature_map
from pix2pixhd.util.errors import UserError

MakeSet = Callable[..., Path]
OpenSet = Callable[..., AlignedDataset]
MODES = ("resize_and_crop", "crop", "scale_width", "scale_width_and_crop", "none")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "made" / "cache"


def save_label(root: Path, values: list[int]) -> None:
    ids = np.resize(np.array(values, np.uint16), (24, 40))
    Image.fromarray(ids).save(root / "train_label/000.png")


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.filterwarnings("error", "default::ResourceWarning")
def test_same_samples_and_nothing_decoded_again(
    make_set: MakeSet, open_set: OpenSet, folder: Path, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = make_set(count=1, size=(40, 24))
    plain = open_set(root, resize_or_crop=mode)
    cached = open_set(root, resize_or_crop=mode, cache=folder)
    cached[0]
    assert len(files(folder)) == 6
    forbid_reading(cached, monkeypatch)
    assert_same(cached, plain)


@pytest.mark.parametrize(
    ("label_nc", "ignore_label", "values"),
    [
        (5, None, [0, 1, 4]),
        (5, 255, [0, 1, 255]),
        (5, 3, [0, 3, 4]),
        (5, 60000, [0, 4, 60000]),
        (255, 255, [0, 254, 255]),
        (300, None, [0, 299, 255]),
        (300, 60000, [0, 299, 60000]),
        (70000, None, [0, 65535, 300]),
    ],
)
def test_same_labels(
    make_set: MakeSet,
    open_set: OpenSet,
    folder: Path,
    label_nc: int,
    ignore_label: int | None,
    values: list[int],
) -> None:
    root = make_set(count=1, size=(40, 24))
    save_label(root, values)
    options = {"label_nc": label_nc, "ignore_label": ignore_label, "resize_or_crop": "crop"}
    plain, cached = open_set(root, **options), open_set(root, **options, cache=folder)
    cached[0]
    assert_same(cached, plain)


@pytest.mark.parametrize(
    ("dtype", "expected"),
    [(np.uint8, torch.uint16), (np.uint16, torch.uint16), (np.int32, torch.int32)],
)
def test_instance_ids_are_of_the_type_that_their_file_needs(
    make_set: MakeSet, open_set: OpenSet, folder: Path, dtype: type, expected: torch.dtype
) -> None:
    """Whatever their values: then all samples of a set are alike."""
    root = make_set(count=1, size=(40, 24))
    (root / "train_inst/000.png").unlink()
    ids = np.arange(40 * 24).reshape(24, 40) % 200
    np.save(root / "train_inst/000.npy", ids.astype(dtype))
    plain, cached = open_set(root, flip=False), open_set(root, flip=False, cache=folder)
    cached[0]
    assert_same(cached, plain)
    assert plain[0].inst.dtype == expected
    np.testing.assert_array_equal(plain[0].inst[0, 0], ids)


@pytest.mark.parametrize(("input_nc", "output_nc"), [(1, 3), (3, 1)])
def test_same_photographs(
    make_set: MakeSet, open_set: OpenSet, folder: Path, input_nc: int, output_nc: int
) -> None:
    root = make_set(count=1, size=(40, 24), folders=("A", "B"))
    options = {"label_nc": 0, "input_nc": input_nc, "output_nc": output_nc, "instance": False}
    options["resize_or_crop"] = "scale_width_and_crop"
    plain, cached = open_set(root, **options), open_set(root, **options, cache=folder)
    cached[0]
    assert_same(cached, plain)


@pytest.mark.parametrize("ending", [".npz", ".png"])
def test_same_features(make_set: MakeSet, open_set: OpenSet, folder: Path, ending: str) -> None:
    root = make_set(count=1, size=(40, 24))
    features = np.random.default_rng(0).uniform(-1, 1, (3, 24, 40)).astype(np.float32)
    write_feature_map(root / f"train_feat/000{ending}", features)
    options = {"read_features": True, "resize_or_crop": "scale_width_and_crop"}
    plain, cached = open_set(root, **options), open_set(root, **options, cache=folder)
    cached[0]
    assert_same(cached, plain)


@pytest.mark.parametrize(
    ("changes", "new"),
    [
        ({}, 0),
        ({"fineSize": 6, "flip": False, "seed": 5}, 0),
        ({"resize_or_crop": "scale_width"}, 0),
        ({"instance": False}, 0),
        ({"loadSize": 17}, 3),
        ({"resize_or_crop": "resize_and_crop"}, 3),
        ({"resize_or_crop": "none"}, 3),
        ({"label_nc": 6}, 1),
        ({"ignore_label": 3}, 1),
        ({"output_nc": 1}, 1),
    ],
)
def test_other_options_are_other_files(
    make_set: MakeSet, open_set: OpenSet, folder: Path, changes: dict[str, object], new: int
) -> None:
    root = make_set(count=1, size=(40, 24))
    usual = {"resize_or_crop": "scale_width_and_crop"}
    open_set(root, cache=folder, **usual)[0]
    changed = usual | changes
    cached = open_set(root, cache=folder, **changed)
    cached[0]
    assert len(files(folder)) == 6 + 2 * new
    assert_same(cached, open_set(root, **changed))


def test_maps_that_no_longer_agree_in_size(
    make_set: MakeSet, open_set: OpenSet, folder: Path
) -> None:
    """Neither a kept map nor one that comes out in the right size hides it."""
    root = make_set(count=1, size=(40, 24))
    cached = open_set(root, cache=folder, resize_or_crop="resize_and_crop")
    cached[0]
    Image.fromarray(pixels("inst", 0, (50, 24))).save(root / "train_inst/000.png")
    for _ in range(2):
        with pytest.raises(UserError, match="50x24 pixels, expected 40x24"):
            cached[0]
