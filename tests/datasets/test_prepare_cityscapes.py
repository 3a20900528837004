"""The reference's folders made of a download."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pix2pixhd.util.errors import UserError
from prepare_cityscapes import main

MAPS = {"label": "gtFine_labelIds", "inst": "gtFine_instanceIds", "img": "leftImg8bit"}
PROGRAM = Path(__file__).parents[2] / "datasets/prepare_cityscapes.py"


@pytest.fixture
def download(tmp_path: Path) -> Path:
    """Three splits of two cities, with files beside those that count."""
    root = tmp_path / "data/download"
    for split in ("train", "val", "test"):
        for scene in ("ulm_000000_000019", "aachen_000000_000019"):
            for ending in (*MAPS.values(), "gtFine_color", "gtFine_labelTrainIds"):
                at = root / ending.split("_")[0] / split / scene.split("_")[0]
                at.mkdir(parents=True, exist_ok=True)
                (at / f"{scene}_{ending}.png").write_text(f"{split} {scene} {ending}")
    return root


def prepare(root: Path, out: Path, *flags: str) -> None:
    main(["--root", str(root), "--out", str(out), *flags])


def assert_prepared(out: Path) -> None:
    for split in ("train", "val", "test"):
        for folder, ending in MAPS.items():
            files = {path.name: path.read_text() for path in (out / f"{split}_{folder}").iterdir()}
            scenes = ("ulm_000000_000019", "aachen_000000_000019")
            assert files == {f"{s}_{ending}.png": f"{split} {s} {ending}" for s in scenes}


def test_links_to_what_lies_beside_survive_a_move(
    download: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    prepare(download, tmp_path / "data/city")
    out = capsys.readouterr().out
    assert "2 in train_label, 2 in train_inst, 2 in train_img: 6 linked, 0 were there" in out
    assert "python train.py --name label2city --dataroot" in out
    assert_prepared(tmp_path / "data/city")
    (tmp_path / "data").rename(tmp_path / "moved")
    assert_prepared(tmp_path / "moved/city")


def test_links_to_elsewhere_survive_a_move_of_the_folder(download: Path, tmp_path: Path) -> None:
    (tmp_path / "here").symlink_to(download)
    prepare(tmp_path / "here", tmp_path / "project/datasets/city")
    (tmp_path / "project").rename(tmp_path / "renamed")
    assert_prepared(tmp_path / "renamed/datasets/city")


def test_copies_need_no_download(download: Path, tmp_path: Path) -> None:
    prepare(download, tmp_path / "city", "--copy")
    shutil.rmtree(download)
    assert_prepared(tmp_path / "city")


@pytest.mark.parametrize("flags", [(), ("--copy",)])
def test_again_it_adds_what_is_new_and_replaces_nothing_unasked(
    flags: tuple[str, ...], download: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "city"
    prepare(download, out, *flags, "--splits", "train,val")
    (out / "val_img/ulm_000000_000019_leftImg8bit.png").unlink()
    capsys.readouterr()
    prepare(download, out, *flags)
    told = capsys.readouterr().out.splitlines()
    assert [line.split(": ")[1].split()[0] for line in told[:3]] == ["0", "1", "6"]
    assert_prepared(out)
    own = out / "train_img/ulm_000000_000019_leftImg8bit.png"
    own.unlink()
    own.write_text("my own")
    with pytest.raises(UserError, match=rf"{own}: is there already; give --overwrite or another"):
        prepare(download, out, *flags)
    assert own.read_text() == "my own"
    prepare(download, out, *flags, "--overwrite")
    assert_prepared(out)


@pytest.mark.slow
def test_what_is_missing_is_one_line_and_nothing_is_made(download: Path, tmp_path: Path) -> None:
    command = [sys.executable, PROGRAM, "--root", download, "--out", tmp_path / "city"]

    def complaint(*flags: str) -> str:
        done = subprocess.run([*command, *flags], capture_output=True, text=True, timeout=60)
        assert (done.returncode, done.stderr.count("\n")) == (2, 1)
        assert not (tmp_path / "city").exists()
        return done.stderr

    assert "holds test, train, val; give --splits one of test" in complaint("--splits", "train,x")
    assert complaint("--split", "val").startswith("error: unrecognized arguments: --split val; see")
    (download / "gtFine/val/ulm/ulm_000000_000019_gtFine_instanceIds.png").unlink()
    assert "gtFine/val/*/*_instanceIds: holds 1 files, but none for 1 of" in complaint()
    shutil.rmtree(download / "gtFine")
    assert "gtFine: no such folder; " in complaint("--splits", "val")


def test_labels_alone_can_be_prepared(
    download: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.rmtree(download / "leftImg8bit/val")
    prepare(download, tmp_path / "city", "--splits", "val")
    assert "leftImg8bit/val: no such folder; val_img is not made" in capsys.readouterr().out
    assert {path.name for path in (tmp_path / "city").iterdir()} == {"val_label", "val_inst"}


def test_there_is_no_download(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=f"no such folder; there is no {tmp_path}/no either"):
        prepare(tmp_path / "no", tmp_path / "out")
