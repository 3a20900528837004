"""Pictures side by side, cut into two folders."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pix2pixhd.options.parsing import parse_train
from pix2pixhd.util.errors import UserError
from prepare_ab import main


def picture(number: int, dtype: type = np.uint8) -> np.ndarray:
    """Four pixels wide, the left half even numbers, the right one odd."""
    values = np.array([[2, 4, 1, 3], [6, 8, 5, 7]], dtype) + dtype(10 * number)
    return values if dtype is np.uint16 else np.stack([values] * 3, axis=2)


def write(folder: Path, *names: str, dtype: type = np.uint8) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for number, name in enumerate(names):
        Image.fromarray(picture(number, dtype)).save(folder / name)
    return folder


def read(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path))


def cut(folder: Path, out: Path, *flags: str) -> None:
    main(["--in", str(folder), "--out", str(out), *flags])


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("swap", [False, True])
def test_halves_keep_every_pixel_and_bit(dtype: type, swap: bool, tmp_path: Path) -> None:
    folder = write(tmp_path / "pix", "v1.0.png", "v1.1.png", dtype=dtype)
    cut(folder, tmp_path / "set", *["--swap"] * swap)
    for number, name in enumerate(("v1.0.png", "v1.1.png")):
        whole = picture(number, dtype)
        halves = [read(tmp_path / f"set/train_{side}" / name) for side in "AB"]
        assert halves[0].dtype == dtype
        np.testing.assert_array_equal(np.concatenate(halves[:: -1 if swap else 1], axis=1), whole)


def test_sub_folders_are_phases(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for phase in ("train", "val"):
        write(tmp_path / "pix" / phase, "1.png", "2.png")
    cut(tmp_path / "pix", tmp_path / "pix")
    made = {path.parent.name for path in (tmp_path / "pix").rglob("1.png")}
    assert made == {"train", "val", "train_A", "train_B", "val_A", "val_B"}
    *counts, command = capsys.readouterr().out.splitlines()
    assert counts == [
        f"2 pictures cut into {tmp_path}/pix/{p}_A and {p}_B" for p in ("train", "val")
    ]
    options = parse_train(command.split("train.py ")[1].split())
    assert (options.model.label_nc, options.data.loadSize) == (0, 2)
    assert (options.model.instance, options.data.dataroot) == (False, str(tmp_path / "pix"))


def test_without_sub_folders_the_phase_is_named(tmp_path: Path) -> None:
    cut(write(tmp_path / "pix", "1.png"), tmp_path / "set", "--phase", "test")
    assert {path.name for path in (tmp_path / "set").iterdir()} == {"test_A", "test_B"}


def test_an_odd_width_is_told_before_anything_is_written(tmp_path: Path) -> None:
    folder = write(tmp_path / "pix", "1.png", "2.png")
    Image.fromarray(picture(0)[:, :3]).save(folder / "3.png")
    with pytest.raises(UserError, match=r"^\S+/3.png: 3 pixels wide, expected an even number"):
        cut(folder, tmp_path / "set")
    assert not (tmp_path / "set").exists()


def test_a_damaged_picture_is_told_at_the_end_and_the_others_are_done(tmp_path: Path) -> None:
    folder = write(tmp_path / "pix", "1.png", "2.png", "3.png")
    whole = (folder / "2.png").read_bytes()
    (folder / "2.png").write_bytes(whole[: whole.index(b"IDAT") + 8])
    with pytest.raises(UserError, match=r"^\S+/2.png: damaged, its pixels cannot be decoded"):
        cut(folder, tmp_path / "set")
    names = sorted(path.name for path in (tmp_path / "set").rglob("*.png"))
    assert names == ["1.png", "1.png", "3.png", "3.png"]


def test_nothing_is_replaced_unasked(tmp_path: Path) -> None:
    folder = write(tmp_path / "pix", "1.png")
    cut(folder, tmp_path / "set")
    with pytest.raises(UserError, match=r"is there already, and 1 more of the files to write; giv"):
        cut(folder, tmp_path / "set", "--swap")
    cut(folder, tmp_path / "set", "--swap", "--overwrite")
    np.testing.assert_array_equal(read(tmp_path / "set/train_A/1.png"), picture(0)[:, 2:])
    with pytest.raises(UserError, match=r"train_A: lies in \S+pix, which is read"):
        cut(folder, folder)


def test_an_array_is_not_passed_over(tmp_path: Path) -> None:
    folder = write(tmp_path / "pix", "a.png")
    np.save(folder / "b.npy", picture(1))
    with pytest.raises(UserError, match=r"b.npy: an array, expected a picture of two halves"):
        cut(folder, tmp_path / "set")
    assert not (tmp_path / "set").exists()


@pytest.mark.parametrize("phase", ["../x", "a/b", "", ".hidden"])
def test_a_phase_is_no_path(phase: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        cut(write(tmp_path / "pix", "a.png"), tmp_path / "set", f"--phase={phase}")
    assert stop.value.code == 2 and "is no part of a folder's name" in capsys.readouterr().err
