from __future__ import annotations

import io
import itertools
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from tiny_scenes import pixels, problems_of

from pix2pixhd.data import create_dataset
from pix2pixhd.data.dataset import AlignedDataset
from pix2pixhd.data.feature_maps import read_feature_map, read_header, resized, write_feature_map
from pix2pixhd.options.base_options import DataOptions, ModelOptions
from pix2pixhd.util.errors import UserError

MakeSet = Callable[..., Path]
OpenSet = Callable[..., AlignedDataset]
MODES = ("resize_and_crop", "crop", "scale_width", "scale_width_and_crop", "none")


def features(feat_num: int, size: tuple[int, int] = (16, 8), seed: int = 0) -> np.ndarray:
    """float32 [feat_num,H,W] in [-1,1], both ends included."""
    values = np.random.default_rng(seed).uniform(-1, 1, (feat_num, size[1], size[0]))
    values[0, 0, :2] = -1, 1
    return values.astype(np.float32)


def add_features(root: Path, count: int = 4, size: tuple[int, int] = (16, 8)) -> None:
    """Feature maps that tell the pixels' places, as the instance maps do; both formats."""
    for number in range(count):
        place = (pixels("inst", number, size).astype(np.float32) - 40000) / 255 * 2 - 1
        ending = ".png" if number % 2 else ".npz"
        path = root / f"train_feat/{number:03}{ending}"
        write_feature_map(path, np.stack([place, -place, place]))


@pytest.mark.parametrize("feat_num", [1, 3, 7])
def test_npz_keeps_float16_exactly(tmp_path: Path, feat_num: int) -> None:
    path = tmp_path / "new/folder/a.b.npz"
    written = features(feat_num).astype(np.float16)
    write_feature_map(path, written)
    again = read_feature_map(path, feat_num)
    assert again.dtype == np.float32
    np.testing.assert_array_equal(again, written)
    assert read_header(path, feat_num).size == (16, 8)
    with np.load(path, allow_pickle=False) as file:
        assert file["feat"].dtype == np.float16


@pytest.mark.parametrize(("feat_num", "mode"), [(1, "L"), (3, "RGB")])
def test_png_keeps_8_bits_as_the_reference_reads_them(
    tmp_path: Path, feat_num: int, mode: str
) -> None:
    path = tmp_path / "a.png"
    written = features(feat_num)
    write_feature_map(path, written)
    again = read_feature_map(path, feat_num)
    assert (again.dtype, again.shape) == (np.float32, written.shape)
    assert np.abs(again - written).max() <= 0.5 * 2 / 255 + 1e-6
    assert again[0, 0, :2].tolist() == [-1, 1]
    with Image.open(path) as image:
        assert image.mode == mode
        bytes_ = np.asarray(image).reshape(8, 16, feat_num).transpose(2, 0, 1)
    np.testing.assert_allclose(again, (bytes_ / 255 - 0.5) / 0.5, atol=1e-6)
    write_feature_map(path, again)
    np.testing.assert_array_equal(read_feature_map(path, feat_num), again)


def test_enlarging_by_two_repeats_pixels_and_by_any_number_is_the_same_in_two_steps() -> None:
    small = features(2, (13, 7))
    twice = small.repeat(2, axis=1).repeat(2, axis=2)
    np.testing.assert_array_equal(resized(small, (26, 14)), twice)
    for size in [(13, 7), (40, 21), (31, 90), (5, 6)]:
        np.testing.assert_array_equal(resized(small, size), resized(twice, size))


@pytest.mark.parametrize("mode", MODES)
def test_features_share_the_draw_of_the_other_maps(
    make_set: MakeSet, open_set: OpenSet, mode: str
) -> None:
    root = make_set(count=2, size=(15, 14))
    alone = open_set(root, resize_or_crop=mode, loadSize=21, fineSize=9)
    add_features(root, count=2, size=(15, 14))
    dataset = open_set(root, resize_or_crop=mode, loadSize=21, fineSize=9, read_features=True)
    flipped = 0
    for index, counter in itertools.product(range(2), range(8)):
        sample = dataset[index, counter]
        assert (sample.feat.dtype, sample.feat.shape[:2]) == (torch.float32, (1, 3))
        feat, inst = sample.feat[0], sample.inst[0].int()
        # float16 is exact to 1/8 of a step here.
        assert torch.equal(((feat[0] + 1) * 127.5).round().int(), inst[0] - 40000)
        assert torch.equal(((1 - feat[1]) * 127.5).round().int(), inst[0] - 40000)
        flipped += int(inst[0, 0, 0] > inst[0, 0, -1])
        without = alone[index, counter].tensors()
        assert without.keys() == {"label", "inst", "image"}
        assert all(torch.equal(getattr(sample, name), other) for name, other in without.items())
    assert 0 < flipped < 16


def test_pairs_by_name_in_sub_folders_with_either_ending(tmp_path: Path) -> None:
    for folder, name in [("label", "a_gtFine_labelIds.png"), ("img", "a_leftImg8bit.png")]:
        path = tmp_path / f"train_{folder}/aachen/{name}"
        path.parent.mkdir(parents=True)
        Image.fromarray(pixels(folder, 0, (16, 8))).save(path)
    data = DataOptions(dataroot=str(tmp_path), resize_or_crop="none")
    model = ModelOptions(label_nc=5, feat_num=7, instance=False)
    path = tmp_path / "train_feat/aachen/a_gtFine_labelIds.npz"
    write_feature_map(path, features(7))
    dataset = create_dataset(
        data, model, phase="train", seed=0, is_train=False, read_features=True, needs_image=True
    )
    assert dataset.files[0]["feat"] == path
    assert dataset[0].feat.shape == (1, 7, 8, 16)
    assert problems_of(dataset, "full") == []


def test_folders_missing_empty_or_incomplete(make_set: MakeSet, open_set: OpenSet) -> None:
    root = make_set(count=2)
    told = "make the feature maps with python precompute_feature_maps.py --name <the run with"
    with pytest.raises(UserError, match=rf"train_feat: no such folder; .*; {told}"):
        open_set(root, read_features=True)
    (root / "train_feat").mkdir()
    (root / "train_feat/000.npy").touch()
    with pytest.raises(UserError, match=rf"only .npy\), expected files of .*\.npz .*; {told}"):
        open_set(root, read_features=True)
    write_feature_map(root / "train_feat/000.npz", features(3))
    with pytest.raises(UserError, match="train_feat: holds 1 files, but none for 1 of"):
        open_set(root, read_features=True)
    assert open_set(root)[0].feat is None


def npz(**arrays: Any) -> bytes:
    file = io.BytesIO()
    np.savez_compressed(file, **arrays)
    return file.getvalue()


def png(pixels_: np.ndarray, mode: str | None = None) -> bytes:
    file = io.BytesIO()
    image = Image.fromarray(pixels_)
    (image.convert(mode) if mode else image).save(file, "PNG")
    return file.getvalue()


def with_header(header: str) -> bytes:
    """An archive whose array says this of itself, and has the bytes of a sound one."""
    file = io.BytesIO()
    text = header.encode().ljust(117) + b"\n"
    with zipfile.ZipFile(file, "w") as archive:
        data = features(3).astype(np.float16).tobytes()
        archive.writestr(
            "feat.npy", b"\x93NUMPY\1\0" + len(text).to_bytes(2, "little") + text + data
        )
    return file.getvalue()


SOUND = npz(feat=features(3).astype(np.float16))
FLIPPED = bytes(byte ^ (255 if at == len(SOUND) // 2 else 0) for at, byte in enumerate(SOUND))
NOT_FINITE = np.full((3, 8, 16), np.nan, np.float16)
COLOURS = np.zeros((8, 16, 3), np.uint8)
DAMAGED = r"damaged, or no \.npz of a feature map \(.+\); make the feature maps again with python"
KIND = r"this feature map is {}, expected float16 \[3,H,W\] \(--feat_num 3\); "


@pytest.mark.parametrize(
    ("ending", "content", "message"),
    [
        (".npz", b"", DAMAGED.replace(".+", "the file is empty, 0 bytes")),
        (".npz", b"not an archive\n" * 20, DAMAGED),
        (".npz", SOUND[:50], DAMAGED),
        (".npz", SOUND[:-10], DAMAGED),
        (".npz", FLIPPED, DAMAGED),
        (".npz", with_header("{'descr': '<f2', 'fortran_order': False, 'shape': (3,"), DAMAGED),
        (
            ".npz",
            with_header("{'descr': '<f2', 'fortran_order': False, 'shape': (3, 999999, 999999)}"),
            DAMAGED,
        ),
        (".npz", npz(), r"holds nothing, expected feat\.npy; make the"),
        (".npz", npz(centres_0=np.zeros(3)), r"holds centres_0\.npy, expected feat\.npy; make the"),
        (".npz", npz(feat=np.array([{}])), "this file holds pickled objects, none of which was ex"),
        (".npz", npz(feat=features(4)), KIND.format(r"float32 \[4,8,16\]") + "give --feat_num 4, "),
        (".npz", npz(feat=features(3)[0]), KIND.format(r"float32 \[8,16\]") + "make the"),
        (".npz", npz(feat=COLOURS), KIND.format(r"uint8 \[8,16,3\]") + "make the"),
        (".npz", npz(feat=features(3)[:, :, :0]), KIND.format(r"float32 \[3,8,0\]") + "make the"),
        (".npz", npz(feat=NOT_FINITE), "not all features are finite numbers, expected -1 to 1; "),
        (
            ".png",
            png(COLOURS[:, :, 0]),
            "this feature map is a picture of mode L, expected RGB for",
        ),
        (".png", png(COLOURS, "RGBA"), "picture of mode RGBA, expected RGB for --feat_num 3; give"),
        (".png", png(COLOURS)[:-30], "damaged, its pixels cannot be decoded"),
        (".png", b"", r"the file is empty \(0 bytes\)"),
        (".png", b"no picture", "not an image, whatever its name says"),
    ],
)
def test_malformed_files_are_one_line_in_the_check_and_in_reading(
    make_set: MakeSet, open_set: OpenSet, ending: str, content: bytes, message: str
) -> None:
    root = make_set()
    add_features(root)
    number = 1 if ending == ".png" else 2
    path = root / f"train_feat/00{number}{ending}"
    path.write_bytes(content)
    dataset = open_set(root, read_features=True)
    (line,) = problems_of(dataset)
    assert re.match(rf"{path}: .*{message}", line)
    with pytest.raises(UserError) as caught:
        dataset[number]
    assert caught.value.problems == [line]


def test_pictures_hold_one_or_three_features(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    write_feature_map(path, features(3))
    message = "mode RGB, expected an .npz file, as pictures hold 1 or 3, for --feat_num 7; "
    with pytest.raises(UserError, match=message):
        read_feature_map(path, 7)
    with pytest.raises(UserError, match="mode RGB, expected L for --feat_num 1; "):
        read_header(path, 1)


@pytest.mark.parametrize("ending", [".npz", ".png"])
def test_another_size_than_the_label_maps(
    make_set: MakeSet, open_set: OpenSet, ending: str
) -> None:
    root = make_set(count=1)
    path = root / f"train_feat/000{ending}"
    write_feature_map(path, features(3, (32, 16)))
    dataset = open_set(root, read_features=True)
    (line,) = problems_of(dataset)
    assert line.startswith(f"{path}: 32x16 pixels, expected 16x8 as in ")
    assert line.rpartition("; ")[2].startswith("make the feature maps again with python precomp")
    with pytest.raises(UserError) as caught:
        dataset[0]
    assert str(caught.value) == line


def test_an_earlier_file_stays_where_writing_fails(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="cannot be written"):
        write_feature_map(tmp_path / "file/a.npz", features(3))
