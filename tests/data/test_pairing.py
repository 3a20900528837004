from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from shared_data import shared

from pix2pixhd.data.pairing import list_images, pair_files
from pix2pixhd.util.errors import UserError


def touch(root: Path, *names: str) -> None:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def pairs(root: Path, *folders: str) -> list[tuple[str, ...]]:
    found = pair_files({folder: list_images(root / folder) for folder in folders}, root)
    return [tuple(path.relative_to(root).as_posix() for path in scene) for scene in found]


def test_lists_images_of_all_sub_folders_sorted_by_path(tmp_path: Path) -> None:
    images = ["b.png", "a-b/1.jpg", "a/2.PNG", "a/10.tif", "B.jpeg", "a.bmp"]
    touch(tmp_path, *images, ".hidden.png", ".cache/x.png", "notes.txt", "a/feat.npz")
    expected = sorted(str(tmp_path / name) for name in images)
    assert [str(path) for path in list_images(tmp_path)] == expected


def test_walks_linked_folders_but_not_in_circles(tmp_path: Path) -> None:
    touch(tmp_path, "set/a.png", "elsewhere/b.png")
    (tmp_path / "set/city").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere/back").symlink_to(tmp_path / "set")
    assert [path.name for path in list_images(tmp_path / "set")] == ["a.png", "b.png"]


@pytest.mark.parametrize("ending", [".png", ".npz"])
def test_pipes_and_devices_are_no_images(tmp_path: Path, ending: str) -> None:
    """To open the pipe would take for ever."""
    touch(tmp_path, "a.png")
    (tmp_path / "link.png").symlink_to("a.png")
    (tmp_path / "to nothing.png").symlink_to("nowhere")  # told by whoever reads it
    names = ["a.png", "link.png", "to nothing.png"]
    assert [path.name for path in list_images(tmp_path)] == names
    os.mkfifo(tmp_path / f"scene{ending}")
    message = rf"scene\{ending}: a pipe, socket or device, expected a file; remove it$"
    with pytest.raises(UserError, match=message):
        list_images(tmp_path, extensions={".png", ".npz"})
    (tmp_path / f"scene{ending}").unlink()
    (tmp_path / f"scene{ending}").symlink_to("/dev/zero")
    with pytest.raises(UserError, match=message):
        list_images(tmp_path, extensions={".png", ".npz"})


@pytest.mark.parametrize(
    ("folder", "message"),
    [
        ("train_img", r"train_img: no such folder; \S+ holds notes, train_label; check --dataroot"),
        ("no/where", r"no/where: no such folder; there is no \S+/no either; check --dataroot"),
        ("train_label", r"train_label: no images \(an empty folder\), expected files of .*\.png"),
        ("notes", r"notes: no images \(only .md, .npz\), expected files of"),
    ],
)
def test_missing_and_empty_folders(tmp_path: Path, folder: str, message: str) -> None:
    touch(tmp_path, "notes/a.md", "notes/b.npz")
    (tmp_path / "train_label").mkdir()
    with pytest.raises(UserError, match=message):
        list_images(tmp_path / folder)


@pytest.mark.parametrize(
    ("label", "inst"),
    [
        ("0001.png", "0001.tif"),
        ("aachen/a_1_gtFine_labelIds.png", "aachen/a_1_leftImg8bit.png"),
        ("aachen/a_1_gtCoarse_labelIds.png", "aachen/a_1_gtCoarse_instanceIds.png"),
        ("x_label.png", "x_inst.png"),
        ("x_labelTrainIds.png", "X_IMG.JPG"),
        ("0001TP_006690_L.png", "0001TP_006690.png"),
        ("aachen/a.png", "a.png"),
        ("v1.5.png", "v1.5.jpg"),
    ],
)
def test_pairs_by_name(tmp_path: Path, label: str, inst: str) -> None:
    touch(tmp_path, f"l/{label}", f"i/{inst}", "l/zz_label.png", "i/zz_img.jpg")
    assert pairs(tmp_path, "l", "i") == [
        (f"l/{label}", f"i/{inst}"),
        ("l/zz_label.png", "i/zz_img.jpg"),
    ]


def test_position_does_not_pair(tmp_path: Path) -> None:
    touch(tmp_path, "l/a_label.png", "l/b.png", "i/B.png", "i/a.png")
    assert pairs(tmp_path, "l", "i") == [("l/a_label.png", "i/a.png"), ("l/b.png", "i/B.png")]


def test_equal_names_are_partners_even_where_a_lenient_look_confuses_them(tmp_path: Path) -> None:
    touch(tmp_path, *(f"{f}/{n}" for f in "li" for n in ("a.png", "a_img.png", "x/b.png", "b.png")))
    assert all(one[2:] == other[2:] for one, other in pairs(tmp_path, "l", "i"))


def test_unpaired_files_are_counted_and_named_with_the_folder_that_lacks_them(
    tmp_path: Path,
) -> None:
    touch(tmp_path, *(f"l/{n}_label.png" for n in range(9)), "i/0_inst.png", "i/x_inst.png")
    with pytest.raises(UserError) as caught:
        pairs(tmp_path, "l", "i")
    lacks_label, lacks_inst = caught.value.problems
    assert "/l: holds 9 files, but none for 1 of i: i/x_inst.png; " in lacks_label
    named = "l/1_label.png, l/2_label.png, l/3_label.png, l/4_label.png, l/5_label.png"
    assert f"/i: holds 2 files, but none for 8 of l: {named}, ... and 3 more; " in lacks_inst


def test_two_files_of_one_name(tmp_path: Path) -> None:
    touch(tmp_path, "l/a.png", "i/a.png", "i/a.jpg")
    message = r"/i: 1 names stand for more than one file \(a.jpg and a.png\); keep one of each"
    with pytest.raises(UserError, match=message):
        pairs(tmp_path, "l", "i")


def test_real_cityscapes_pairs() -> None:
    root = shared("cityscapes_sample")
    found = pairs(root, "train_label", "train_inst", "train_img")
    assert len(found) == 8
    assert all(len({re.split("_gt|_left", Path(p).name)[0] for p in scene}) == 1 for scene in found)
