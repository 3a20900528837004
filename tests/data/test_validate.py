from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tiny_scenes import pixels, problems_of

from pix2pixhd.data import validate
from pix2pixhd.data.dataset import AlignedDataset
from pix2pixhd.data.validate import validate_dataset
from pix2pixhd.util.errors import UserError

MakeSet = Callable[..., Path]
OpenSet = Callable[..., AlignedDataset]


def test_sound_sets_have_no_problems(make_set: MakeSet, open_set: OpenSet) -> None:
    dataset = open_set(make_set())
    assert validate_dataset(dataset) == validate_dataset(dataset, "full", batch_size=4) == []


def damage(path: Path, how: str) -> None:
    """Spoil one file of a scene of 16x8."""
    rng = np.random.default_rng(0)
    if how in ("short", "shorter"):
        noise = rng.integers(0, 5, (8, 16) if path.parent.name != "train_img" else (8, 16, 3))
        Image.fromarray(noise.astype(np.uint8)).save(path)
        path.write_bytes(path.read_bytes()[: -30 if how == "short" else 50])
    elif how == "empty":
        path.write_bytes(b"")
    elif how == "text":
        path.write_text("not a picture\n" * 20)
    else:
        Image.fromarray(
            {
                "large": pixels("inst", 0, (32, 16)),
                "out of range": np.full((8, 16), 9, np.uint8),
                "mask": np.eye(8, 16, dtype=np.uint8) * 255,
                "unknown": np.eye(8, 16, dtype=np.uint8) * 254 + 1,
                "colours": pixels("img", 0, (16, 8)),
                "floats": np.zeros((8, 16), np.float32),
            }[how]
        ).save(path, format="TIFF")


@pytest.mark.parametrize(
    ("folder", "how", "message"),
    [
        ("label", "out of range", r"label 9 found, expected 0 to 4 \(.*; give --label_nc 10"),
        ("label", "mask", "label 255 found, .*did you mean --label_nc 2 with values 0 and 1"),
        ("label", "unknown", "label 255 found, .*--ignore_label 255"),
        ("label", "colours", r"label map has 3 channels, expected one, .*--label_nc 0"),
        ("label", "short", "damaged, .*copy it here again"),
        ("inst", "large", "32x16 pixels, expected 16x8 as in .*train_label/002.png; "),
        ("inst", "floats", "instance map holds floating-point numbers, expected whole ones; "),
        ("img", "shorter", "damaged, .*copy it here again"),
        ("img", "empty", r"the file is empty \(0 bytes\), expected an image; "),
        ("img", "text", "not an image, whatever its name says; "),
    ],
)
def test_each_problem_is_one_line(
    make_set: MakeSet, open_set: OpenSet, folder: str, how: str, message: str
) -> None:
    root = make_set()
    path = root / f"train_{folder}/002.png"
    damage(path, how)
    (line,) = problems_of(open_set(root))
    assert re.match(rf"{path}: (this )?{message}", line)
    assert "\n" not in line


def test_what_the_check_passes_can_be_read_and_what_it_tells_is_what_reading_says(
    make_set: MakeSet, open_set: OpenSet
) -> None:
    root = make_set()
    for number, how in enumerate(["unknown", "colours", "short"]):
        damage(root / f"train_label/00{number}.png", how)
    dataset = open_set(root)
    told = problems_of(dataset)
    for number in range(3):
        with pytest.raises(UserError) as caught:
            dataset[number]
        assert str(caught.value) in told
    assert dataset[3]


def test_samples_pixels_evenly_and_decodes_all_that_end_early(
    make_set: MakeSet, open_set: OpenSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(validate, "DECODED", 3)
    root = make_set(count=9)
    for number in (0, 1, 3, 6):
        damage(root / f"train_label/00{number}.png", "out of range")
    damage(root / "train_img/005.png", "short")

    def numbers(lines: list[str]) -> list[str]:
        return sorted(line.split(".png")[0][-1] for line in lines if ".png" in line)

    dataset = open_set(root)
    assert numbers(problems_of(dataset)) == ["0", "3", "5", "6"]
    assert "... and 1 more files like these" in problems_of(dataset, "full")


def test_alike_problems_are_grouped_and_all_kept_under_a_screenful(
    make_set: MakeSet, open_set: OpenSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = make_set(count=10)
    for number in range(9):
        damage(root / f"train_label/00{number}.png", "out of range")
    damage(root / "train_img/009.png", "empty")
    lines = problems_of(open_set(root))
    assert len(lines) == 5
    assert sum("... and 6 more files like these" in line for line in lines) == 1
    monkeypatch.setattr(validate, "SHOWN", 2)
    assert problems_of(open_set(root))[2:] == ["... and 3 more"]


@pytest.mark.parametrize("mode", ["none", "scale_width", "crop"])
def test_sizes_that_do_not_stack(make_set: MakeSet, open_set: OpenSet, mode: str) -> None:
    root = make_set()
    for name in ("label", "inst", "img"):
        Image.fromarray(pixels(name, 0, (16, 7))).save(root / f"train_{name}/003.png")
    dataset = open_set(root, resize_or_crop=mode)
    assert problems_of(dataset) == []
    (line,) = problems_of(dataset, batch_size=2)
    assert re.match(
        r"\S+/003.png: \d+x7 pixels .* \d+x8 from \S+/000.png, .*; give --batchSize 1, or", line
    )
    assert problems_of(open_set(root, resize_or_crop="resize_and_crop"), batch_size=2) == []


def save_jpeg(path: Path, values: np.ndarray, **options: Any) -> None:
    Image.fromarray(values).save(path, "JPEG", **options)


def test_labels_and_instances_in_jpeg_are_warned_of(make_set: MakeSet, open_set: OpenSet) -> None:
    """By what the files are, not by their names; JPEG is fine for photographs."""
    root = make_set()
    ones = np.ones((8, 16), np.uint8)
    for number in (1, 3):
        save_jpeg(root / f"train_label/00{number}.png", ones)
    save_jpeg(root / "train_inst/002.png", ones)
    save_jpeg(root / "train_img/000.png", np.stack([ones] * 3, axis=2))
    label, inst = validate_dataset(open_set(root))
    assert label == (
        f"warning: {root}/train_label/001.png: this label map is a JPEG, the first of 2; JPEG "
        "changes values along edges, where training then sees labels that nobody drew; make the "
        "label maps again as PNG"
    )
    assert inst.startswith(
        f"warning: {root}/train_inst/002.png: this instance map is a JPEG; JPEG "
    )
    assert "instances that nobody drew" in inst


def test_pictures_in_place_of_labels_may_be_jpeg(make_set: MakeSet, open_set: OpenSet) -> None:
    root = make_set(folders=("A", "B"))
    save_jpeg(root / "train_A/001.png", np.ones((8, 16, 3), np.uint8))
    assert validate_dataset(open_set(root, label_nc=0, instance=False)) == []


def test_no_bar_where_there_is_no_terminal(
    make_set: MakeSet, open_set: OpenSet, capfd: pytest.CaptureFixture[str]
) -> None:
    validate_dataset(open_set(make_set()))
    assert capfd.readouterr() == ("", "")


def test_headers_alone(
    make_set: MakeSet, open_set: OpenSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For who reads all files anyway: what only pixels tell is left to that."""
    root = make_set()
    dataset = open_set(root)
    read: list[str] = []
    read_map = dataset.read_map

    def counting(name: str, path: Path) -> Any:
        read.append(f"{name} {path.stem}")
        return read_map(name, path)

    monkeypatch.setattr(dataset, "read_map", counting)
    damage(root / "train_label/001.png", "out of range")
    assert problems_of(dataset, "headers") == [] and read == []
    assert len(problems_of(dataset)) == 1
    read.clear()
    damage(root / "train_label/002.png", "short")
    damage(root / "train_inst/003.png", "large")
    lines = problems_of(dataset, "headers")
    assert len(lines) == 2 and "32x16 pixels" in lines[0] and "damaged" in lines[1]
    assert read == ["label 002"], "it ends too early"
