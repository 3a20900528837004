"""Photographs to edges."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pix2pixhd.data import create_dataset
from pix2pixhd.options.base_options import DataOptions, ModelOptions
from pix2pixhd.util.errors import UserError
from prepare_edges import find_edges, main


def disc(level: float, size: int = 64) -> np.ndarray:
    y, x = np.mgrid[:size, :size] - size / 2 + 0.5
    return np.where(np.hypot(x, y) < 20, level, 0).astype(np.float32)


def test_a_discs_edge_is_one_thin_closed_line() -> None:
    edges = find_edges(disc(200), sigma=1, low=10, high=25)
    y, x = np.nonzero(edges)
    radius = np.hypot(x - 31.5, y - 31.5)
    assert np.abs(radius - 20).max() < 1.5
    angles = np.sort(np.arctan2(y - 31.5, x - 31.5))
    assert np.diff(angles).max() < 0.15  # no gap of more than two pixels
    assert 2 * np.pi * 20 * 0.8 < edges.sum() < 2 * np.pi * 20 * 1.3  # and thin


@pytest.mark.parametrize("sigma", [1.0, 3.0])
def test_thresholds_are_the_height_of_a_step(sigma: float) -> None:
    step = np.zeros((40, 80), np.float32)
    step[:, 40:] = 30
    assert find_edges(step, sigma, 0, 27).any()
    assert not find_edges(step, sigma, 0, 31).any()


def test_a_weak_line_goes_on_where_a_strong_one_began() -> None:
    step = np.zeros((80, 60), np.float32)
    step[:, 30:] = np.linspace(60, 20, 80)[:, None]
    assert find_edges(step, 1, low=10, high=40).any(axis=1).all()
    assert not find_edges(step, 1, low=40, high=40)[60:].any()
    assert not find_edges(step[50:], 1, low=10, high=40).any()


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Two photographs, one in a sub-folder and one of 16 bits."""
    folder = tmp_path / "photos"
    (folder / "more").mkdir(parents=True)
    Image.fromarray(disc(200).astype(np.uint8)).save(folder / "v1.5.png")
    Image.fromarray((disc(200) * 257).astype(np.uint16)).save(folder / "more/b.png")
    return folder


def prepare(photos: Path, out: Path, *flags: str) -> None:
    main(["--in", str(photos), "--out", str(out), *flags])


def test_folders_are_those_of_image_to_image(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "set"
    prepare(photos, out, "--phase", "val", "--sigma", "1")
    [_, told] = capsys.readouterr().out.splitlines()
    assert told.endswith(f"--label_nc 0 --no_instance --input_nc 1 --dataroot {out}")
    model = ModelOptions(label_nc=0, instance=False, input_nc=1)
    data = DataOptions(dataroot=str(out), resize_or_crop="none")
    samples = create_dataset(data, model, phase="val", needs_image=True)
    names = [samples.sample_name(files["label"]) for files in samples.files]
    assert names == ["more/b", "v1.5"]
    lines = [sample.label[0, 0].numpy() for sample in (samples[0], samples[1])]
    assert np.array_equal(*lines) and set(np.unique(lines[0])) == {0, 255}
    assert np.array_equal(lines[0] == 0, find_edges(disc(200), 1, 10, 25))  # black on white
    assert (out / "val_B/v1.5.png").is_symlink()
    prepare(photos, out, "--phase", "train", "--white", "--copy")
    assert np.asarray(Image.open(out / "train_A/v1.5.png")).mean() < 60
    assert not (out / "train_B/v1.5.png").is_symlink()


def test_photographs_that_are_in_their_place_stay_as_they_are(photos: Path) -> None:
    photos = photos.rename(photos.with_name("train_B"))
    before = (photos / "v1.5.png").read_bytes()
    for flags in ((), ("--overwrite", "--copy")):
        prepare(photos, photos.parent, *flags)
        assert (photos / "v1.5.png").read_bytes() == before
        assert not (photos / "v1.5.png").is_symlink()
    assert (photos.parent / "train_A/more/b.png").is_file()


def test_a_damaged_photograph_is_told_at_the_end_and_the_others_are_done(
    photos: Path, tmp_path: Path
) -> None:
    (photos / "a.png").write_bytes(b"")
    with pytest.raises(UserError) as caught:
        prepare(photos, tmp_path / "set")
    assert caught.value.problems == [
        f"{photos}/a.png: the file is empty (0 bytes), expected an image; copy it here again"
    ]
    assert not list((tmp_path / "set").rglob("a.png"))
    assert {path.name for path in (tmp_path / "set").rglob("*.png")} == {"v1.5.png", "b.png"}


def test_nothing_is_replaced_unasked_or_read_as_its_own_result(
    photos: Path, tmp_path: Path
) -> None:
    out = tmp_path / "set"
    prepare(photos, out)
    with pytest.raises(UserError, match=r"b.png: is there already, and 3 more of the files"):
        prepare(photos, out, "--white")
    prepare(photos, out, "--white", "--overwrite")
    assert np.asarray(Image.open(out / "train_A/v1.5.png")).mean() < 60
    with pytest.raises(UserError, match=r"train_A: lies in \S+photos, which is read; give another"):
        prepare(photos, photos)
    (photos / "v1.5.bmp").write_bytes((photos / "v1.5.png").read_bytes())
    with pytest.raises(UserError, match=r"v1.5.png: \S+v1.5.png is made of v1.5.bmp already; ren"):
        prepare(photos, tmp_path / "other")


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--sigma", "0"), "error: --sigma 0.0: expected more than 0, at most 100; see python "),
        (("--low", "30"), "error: --low 30.0 --high 25: expected 0 <= low <= high; see python"),
        (("--high", "nan"), "error: --low 10 --high nan: expected 0 <= low <= high; see python"),
    ],
)
def test_bad_flags_are_one_line(
    flags: tuple[str, ...], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stop:
        prepare(tmp_path, tmp_path / "set", *flags)
    told = capsys.readouterr().err
    assert stop.value.code == 2 and told.startswith(message) and told.count("\n") == 1
