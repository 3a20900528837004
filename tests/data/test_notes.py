"""What the check tells of sets that can be trained with; JPEG is in test_validate.py."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pix2pixhd.data.dataset import AlignedDataset
from pix2pixhd.data.validate import validate_dataset
from pix2pixhd.util.image import save_values

MakeSet = Callable[..., Path]
OpenSet = Callable[..., AlignedDataset]


def photographs(root: Path, values: np.ndarray, folder: str = "img", ending: str = "tif") -> None:
    """In place of those that are there, the same for every scene."""
    for path in sorted((root / "train_label").iterdir()):
        (root / f"train_{folder}" / path.name).unlink(missing_ok=True)
        save_values(values, root / f"train_{folder}/{path.stem}.{ending}")


DEEP = np.zeros((1, 8, 16), np.uint16)
FLOAT = np.eye(8, 16, dtype=np.float32)[None]


@pytest.mark.parametrize(
    ("values", "changes", "told"),
    [
        (
            DEEP + 4095,
            {},
            "4095 to 4095 of 65535, .*; give --value_range 0,4095",
        ),
        (
            DEEP + 800,
            {},
            "800 to 800 of 65535, .*; give --value_range 0,1023",
        ),
        (DEEP + 800, {"value_range": "0,900"}, None),
        (
            DEEP + 901,
            {"value_range": "0,900"},
            "901 to 901, cut off outside 0 to 900; .*=0,1023 unless .*",
        ),
        (
            FLOAT * 2,
            {"value_range": "0,1"},
            "0 to 2, cut off outside 0 to 1; .* unless .*",
        ),
        (
            DEEP + 8191,
            {},
            "8191 to 8191 of 65535, .*; give --value_range 0,8191",
        ),
        (DEEP + 8192, {}, None),
        (DEEP, {}, None),
        (FLOAT, {}, None),
        (FLOAT * 2, {}, "0 to 2, cut off outside 0 to 1; give --value_range=0,2"),
        (FLOAT - 0.5, {}, "-0.5 to 0.5, cut off outside 0 to 1; give --value_range=-0.5,0.5"),
        (FLOAT * 815.6 - 3.2, {}, "-3.2 to 812.4, cut off .*; give --value_range=-10,820"),
        (FLOAT * 2, {"value_range": "0,2"}, None),
    ],
)
def test_ranges(
    make_set: MakeSet, open_set: OpenSet, values: np.ndarray, changes: Any, told: str | None
) -> None:
    root = make_set()
    photographs(root, values)
    start = f"warning: {root}/train_img: photographs have values "
    lines = validate_dataset(open_set(root, output_nc=1, **changes))
    assert len(lines) == (told is not None)
    assert not told or re.match(rf"{start}{told}$", lines[0])
    rendered = open_set(root, output_nc=1, is_train=False, **changes)
    assert validate_dataset(rendered, "headers") == validate_dataset(rendered, "full")


def test_ranges_of_inputs_have_their_own_flag(make_set: MakeSet, open_set: OpenSet) -> None:
    root = make_set()
    photographs(root, DEEP + 255, "extra")
    (line,) = validate_dataset(open_set(root, extra_nc=1))
    told = "further input images have values 255 to 255 of 65535, nearly all black to the networks"
    assert line.endswith(f"{told}; give --input_range 0,255")


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"label_nc": 35}, "--label_nc 35, but the largest label of 4 label maps is 4; .* 5\\?$"),
        ({"label_nc": 10}, "did you mean --label_nc 5\\?$"),
        ({"label_nc": 9}, None),
        ({"label_nc": 35, "is_train": False}, None),
        ({"label_nc": 35, "max_dataset_size": 3}, None),
        ({"label_nc": 35, "ignore_label": 4}, "did you mean --label_nc 4\\?$"),
        ({"label_nc": 0, "instance": False}, None),
    ],
)
def test_fewer_labels_than_asked(
    make_set: MakeSet, open_set: OpenSet, changes: Any, told: str | None
) -> None:
    root = make_set()
    if changes["label_nc"] == 0:
        for name, other in (("label", "A"), ("img", "B")):
            (root / f"train_{name}").rename(root / f"train_{other}")
    lines = validate_dataset(open_set(root, **changes))
    assert len(lines) == (told is not None)
    assert not told or re.match(rf"warning: .*{told}", lines[0])


def test_alpha_is_told_where_it_is_dropped(make_set: MakeSet, open_set: OpenSet) -> None:
    root = make_set(count=2)
    photographs(root, np.zeros((4, 8, 16), np.uint8), ending="png")
    assert validate_dataset(open_set(root)) == [
        "note: photographs have an alpha channel, which is dropped "
        f"({root}/train_img/000.png, the first of 2)"
    ]
    assert validate_dataset(open_set(root, output_nc=4)) == []


def test_colour_files_of_labels(make_set: MakeSet, open_set: OpenSet) -> None:
    root = make_set(count=2)
    Image.fromarray(np.ones((8, 16, 3), np.uint8)).save(root / "train_label/001.png")
    assert validate_dataset(open_set(root)) == [
        f"note: label maps are colour files ({root}/train_label/001.png), taken as the numbers "
        "they show; in each, red, green and blue must be equal"
    ]


def test_sizes(make_set: MakeSet, open_set: OpenSet) -> None:
    root = make_set(count=2)
    for number in range(2):
        Image.new("RGB", (32, 16)).save(root / f"train_img/00{number}.png")
    assert validate_dataset(open_set(root, resize_or_crop="scale_width", loadSize=24)) == [
        "note: label maps of 16x8 beside photographs of 32x16: each is scaled on its own to 24x12"
    ]
