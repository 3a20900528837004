from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pix2pixhd.data import problems
from pix2pixhd.data.decode import read_ids
from pix2pixhd.util.errors import UserError


@pytest.mark.parametrize(
    ("name", "values", "remedy"),
    [
        ("a.jpg", [0, 9], "JPEG does not keep labels exactly: save label maps as PNG"),
        ("a.tif", [-1, 0], "labels count from 0: renumber them"),
    ],
)
def test_remedies_for_labels(name: str, values: list[int], remedy: str) -> None:
    with pytest.raises(UserError) as caught:
        problems.check_labels(Path(name), values, label_nc=5, ignore_label=None)
    assert str(caught.value).endswith(f"; {remedy}")


def test_more_pixels_than_pillow_takes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "map.png"
    Image.fromarray(np.zeros((8, 16), np.uint8)).save(path)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    with pytest.raises(UserError, match=r"map\.png: more pixels than .*; cut it into tiles"):
        read_ids(path, "label")
