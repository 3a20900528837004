"""Cityscapes as it is downloaded, and which files count where a folder holds several kinds."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tiny_scenes import pixels

from pix2pixhd.data.dataset import AlignedDataset
from pix2pixhd.data.layouts import has_phase, phase_of_image
from pix2pixhd.util.errors import UserError

OpenSet = Callable[..., AlignedDataset]

ENDINGS = {
    "label": "gtFine_labelIds",
    "inst": "gtFine_instanceIds",
    "img": "leftImg8bit",
}
# The order of the folders is not that of the names: z of "a_z" comes before "a".
SCENES = (("ulm", "ulm_000000_000019"), ("a", "a_000001_000019"), ("a_z", "a_000000_000019"))


def write_download(root: Path, split: str = "train") -> Path:
    """A download of Cityscapes with other files beside those that count."""
    for number, (city, scene) in enumerate(SCENES):
        for what, ending in ENDINGS.items():
            top = "leftImg8bit" if what == "img" else "gtFine"
            path = root / top / split / city / f"{scene}_{ending}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels(what, number, (16, 8))).save(path)
        for other in ("color.png", "labelTrainIds.png", "instanceTrainIds.png", "polygons.json"):
            path = root / "gtFine" / split / city / f"{scene}_gtFine_{other}"
            path.write_bytes(b"not read")
    return root


def write_flat(root: Path, download: Path, split: str = "train") -> Path:
    """The same in the reference's folders."""
    for what, ending in ENDINGS.items():
        folder = root / f"{split}_{what}"
        folder.mkdir(parents=True)
        for path in download.glob(f"*/{split}/*/*_{ending}.png"):
            shutil.copy(path, folder)
    return root


def test_samples_are_those_of_the_references_folders(tmp_path: Path, open_set: OpenSet) -> None:
    download = write_download(tmp_path / "download")
    one = open_set(download)
    other = open_set(write_flat(tmp_path / "flat", download))
    names = [[s.sample_name(files["label"]) for files in s.files] for s in (one, other)]
    assert (
        names[0]
        == names[1]
        == [f"{name}_gtFine_labelIds" for _, name in sorted(SCENES, key=lambda s: s[1])]
    )
    for number in range(len(SCENES)):
        ours, theirs = one[number].tensors(), other[number].tensors()
        assert ours.keys() == theirs.keys() == {"label", "inst", "image"}
        assert all(np.array_equal(ours[name], theirs[name]) for name in ours)


def test_folders_of_label_maps_win(tmp_path: Path, open_set: OpenSet) -> None:
    write_flat(tmp_path, write_download(tmp_path))
    write_download(tmp_path, "val")
    assert {files["label"].parent.name for files in open_set(tmp_path).files} == {"train_label"}
    assert open_set(tmp_path, phase="val").files[0]["label"].is_relative_to(tmp_path / "gtFine/val")


def test_sub_folders_of_the_references_folders_are_part_of_names(
    tmp_path: Path, open_set: OpenSet
) -> None:
    write_flat(tmp_path, write_download(tmp_path / "download"))
    (tmp_path / "train_label/city").mkdir()
    name = "ulm_000000_000019_gtFine_labelIds"
    (tmp_path / f"train_label/{name}.png").rename(tmp_path / f"train_label/city/v1.{name}.png")
    for what, ending in list(ENDINGS.items())[1:]:
        file = f"ulm_000000_000019_{ending}.png"
        (tmp_path / f"train_{what}/{file}").rename(tmp_path / f"train_{what}/v1.{file}")
    data = open_set(tmp_path)
    assert f"city/v1.{name}" in [data.sample_name(files["label"]) for files in data.files]


def without(*folders: str) -> Callable[[Path], None]:
    return lambda root: [shutil.rmtree(root / folder) for folder in folders]


def only_colours(root: Path) -> None:
    for path in (root / "gtFine").rglob("*_labelIds.png"):
        path.unlink()


def without_a_photograph(root: Path) -> None:
    (root / "leftImg8bit/train/ulm/ulm_000000_000019_leftImg8bit.png").unlink()


@pytest.mark.parametrize(
    ("spoil", "changes", "expected"),
    [
        (
            without(),
            {"phase": "tset"},
            r"gtFine/tset: no such folder; \S+gtFine holds train; give --phase one of train",
        ),
        (
            without("gtFine"),
            {},
            r"/gtFine: no such folder; \S+ holds leftImg8bit; unpack gtFine_trainvaltest.zip",
        ),
        (
            without("leftImg8bit"),
            {},
            r"/leftImg8bit: no such folder; \S+ holds gtFine; unpack leftImg8bit_trainvaltest",
        ),
        (
            only_colours,
            {},
            r"gtFine/train: no files \*_labelIds.png, only \*_color, instanceIds, inst",
        ),
        (
            without_a_photograph,
            {},
            r"leftImg8bit/train/\*/\*_leftImg8bit: holds 2 files, but none for 1 of "
            r"gtFine/train/\*/\*_labelIds and .*: gtFine/train/ulm/ulm_0",
        ),
        (
            without(),
            {"label_nc": 0},
            "train_A: no such folder; .*give --label_nc with the number of labels",
        ),
        (
            without(),
            {"dataroot": "gtFine"},
            r"gtFine/train_label: no such folder; .*; give --dataroot \S+ to use Cityscapes",
        ),
    ],
)
def test_what_is_missing_is_told(
    spoil: Callable[[Path], None],
    changes: dict[str, object],
    expected: str,
    tmp_path: Path,
    open_set: OpenSet,
) -> None:
    root = write_download(tmp_path)
    spoil(root)
    root = root / str(changes.pop("dataroot", ""))
    with pytest.raises(UserError) as caught:
        open_set(root, **changes)
    assert re.search(expected, caught.value.problems[0])
    assert len(set(caught.value.problems)) == len(caught.value.problems)


def test_photographs_may_be_missing_where_none_are_needed(
    tmp_path: Path, open_set: OpenSet
) -> None:
    shutil.rmtree(write_download(tmp_path) / "leftImg8bit")
    assert set(open_set(tmp_path, needs_image=False).files[0]) == {"label", "inst"}


def test_feature_maps_lie_beside_the_download(tmp_path: Path, open_set: OpenSet) -> None:
    write_download(tmp_path)
    data = open_set(tmp_path)
    folder = data.layout.folder("feat")
    assert folder == tmp_path / "train_feat"
    folder.mkdir()
    for files in data.files:
        (folder / f"{data.sample_name(files['label'])}.npz").touch()
    found = open_set(tmp_path, read_features=True).files
    assert [files["feat"].stem for files in found] == [files["label"].stem for files in found]


def test_phases_are_found_in_both_layouts(tmp_path: Path) -> None:
    write_download(tmp_path, "val")
    (tmp_path / "test_label").mkdir()
    assert [has_phase(tmp_path, phase) for phase in ("val", "test", "train")] == [True, True, False]


@pytest.mark.parametrize(
    ("image", "found"),
    [
        ("data/train_img/aachen/x.png", ("data", "train")),
        ("data/my_test_B/x.png", ("data", "my_test")),
        ("data/leftImg8bit/val/aachen/x.png", ("data", "val")),
        ("data/val/x.png", None),
    ],
)
def test_the_data_set_of_a_photograph(
    image: str, found: tuple[str, str] | None, tmp_path: Path
) -> None:
    expected = found and (tmp_path / found[0], found[1])
    assert phase_of_image(tmp_path / image) == expected
