"""The examples of docs/editing.md do on a tiny model what they say."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tiny_studio import BY_INSTANCE, make_run

from scripts import edit_pictures

SIZE = (32, 48)
PLACES = {1: (2, 30), 2: (16, 4), 3: (4, 4), 4: (28, 0)}  # of a block of 8 pixels by label; else 0
LABELS = "car=2,tree=1,building=3,road=0,sidewalk=4"


@pytest.fixture
def run(tmp_path: Path) -> list[str]:
    label = np.zeros(SIZE, np.uint8)
    for value, (row, column) in PLACES.items():
        label[row : row + 8, column : column + 8] = value
    photo = np.random.default_rng(0).integers(0, 256, (*SIZE, 3), dtype=np.uint8)
    for what, values in {"label": label, "inst": label * np.uint16(1000), "img": photo}.items():
        (tmp_path / f"data/test_{what}").mkdir(parents=True)
        Image.fromarray(values).save(tmp_path / f"data/test_{what}/scene.png")
    make_run(tmp_path, "styled", clusters=True, **BY_INSTANCE)
    return ["--name", "styled", "--checkpoints_dir", str(tmp_path / "ck"), "--labels", LABELS]


def test_each_example_changes_the_picture(run: list[str], tmp_path: Path) -> None:
    files = edit_pictures.main([*run, "--out", str(tmp_path / "out")])
    assert len(files) == 7 and {file.name for file in files} >= {"edit_style.png", "edit_add.png"}
    for file in files:
        picture = np.asarray(Image.open(file))
        assert picture.shape == (2 * SIZE[0], 2 * SIZE[1], 3)
        before, after = np.hsplit(picture, 2)
        image, labels = ((before[part] != after[part]).any() for part in np.s_[:32, 32:])
        assert image and labels == (file.stem not in ("edit_style", "edit_axis")), file.stem


def test_the_document_from_its_first_line_to_its_last(
    run: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocks = re.findall(edit_pictures.BLOCK, edit_pictures.DOCUMENT.read_text(), re.S)
    given = f'"styled", checkpoints_dir="{tmp_path / "ck"}"'
    text = "\n".join([*blocks[:2], blocks[-1]]).replace('"toy_streets"', given)
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    exec(text, names)
    assert not names["reach"].any()
    assert {file.name for file in Path("mine").iterdir()} == {
        *("label.png", "inst.png", "features.npz", "image.png", "before_after.png")
    }


def test_examples_are_ten_lines_at_most() -> None:
    for code in edit_pictures.examples(edit_pictures.DOCUMENT.read_text()).values():
        assert len(code.splitlines()) <= 10
