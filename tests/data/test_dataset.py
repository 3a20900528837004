from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tiny_scenes import pixels

from pix2pixhd.data import transforms
from pix2pixhd.data.dataset import IGNORE, IGNORE_WIDE, AlignedDataset
from pix2pixhd.data.feature_maps import write_feature_map
from pix2pixhd.models.conditioning import image_to_float
from pix2pixhd.util.errors import UserError

MakeSet = Callable[..., Path]
OpenSet = Callable[..., AlignedDataset]


def test_a_sample(make_set: MakeSet, open_set: OpenSet) -> None:
    root = make_set()
    dataset = open_set(root, flip=False)
    sample = dataset[1]
    assert len(dataset) == 4
    assert sample.path == [str(root / "train_label/001.png")]
    assert {name: v.dtype for name, v in sample.tensors().items()} == {
        "label": torch.uint8,
        "inst": torch.uint16,
        "image": torch.uint8,
    }
    np.testing.assert_array_equal(sample.label[0, 0], pixels("label", 1, (16, 8)))
    np.testing.assert_array_equal(sample.inst[0, 0], pixels("inst", 1, (16, 8)))
    image = pixels("img", 1, (16, 8)).transpose(2, 0, 1)
    np.testing.assert_array_equal(sample.image[0], image)


@pytest.mark.parametrize("mode", ["resize_and_crop", "crop", "scale_width_and_crop"])
def test_one_draw_for_all_maps(make_set: MakeSet, open_set: OpenSet, mode: str) -> None:
    """Instance ids tell the pixels' places: label and image must be of those places."""
    dataset = open_set(make_set(size=(16, 16)), resize_or_crop=mode)
    for counter in range(20):
        sample = dataset[0, counter]
        place = sample.inst[0, 0].int() - 40000
        assert torch.equal(sample.label[0, 0], (place % 5).byte())
        assert torch.equal(sample.image[0, 0].int(), place)


def test_draws_depend_on_seed_and_counter_alone(make_set: MakeSet, open_set: OpenSet) -> None:
    root = make_set(size=(40, 40))
    dataset, again = (open_set(root, resize_or_crop="crop") for _ in range(2))
    first = [dataset[0, counter].inst for counter in range(10)]
    for counter in reversed(range(10)):
        assert torch.equal(again[0, counter].inst, first[counter])
    assert len({tensor.numpy().tobytes() for tensor in first}) == 10
    assert torch.equal(dataset[3].inst, dataset[3, 3].inst)
    other = open_set(root, resize_or_crop="crop", seed=1)
    assert not torch.equal(other[0, 0].inst, first[0])


def test_flips_half_of_the_training_images_and_no_others(
    make_set: MakeSet, open_set: OpenSet
) -> None:
    root = make_set(count=1)

    def flipped(**changes: bool) -> int:
        dataset = open_set(root, **changes)
        return sum(int(dataset[0, c].inst[0, 0, 0, 0]) != 40000 for c in range(100))

    assert 30 < flipped() < 70
    assert flipped(flip=False) == flipped(is_train=False) == 0


def test_photographs_resize_smoothly_and_identifiers_do_not(
    make_set: MakeSet, open_set: OpenSet
) -> None:
    root = make_set(count=1, size=(64, 32))
    sample = open_set(root, resize_or_crop="scale_width", flip=False)[0]
    photo = Image.open(root / "train_img/000.png").resize((16, 8), Image.Resampling.BICUBIC)
    np.testing.assert_array_equal(sample.image[0], np.asarray(photo).transpose(2, 0, 1))
    ids = Image.open(root / "train_inst/000.png").resize((16, 8), Image.Resampling.NEAREST)
    np.testing.assert_array_equal(sample.inst[0, 0], np.asarray(ids))


def test_levels_become_the_floats_that_existing_users_trained_with(
    make_set: MakeSet, open_set: OpenSet
) -> None:
    root = make_set(count=1, size=(16, 16))
    levels = np.arange(256, dtype=np.uint8).reshape(16, 16)
    Image.fromarray(np.stack([levels] * 3, axis=2)).save(root / "train_img/000.png")
    expected = torch.from_numpy(levels).float().div(255).sub(0.5).div(0.5)
    image = image_to_float(open_set(root, flip=False)[0].image)
    assert torch.equal(image, expected.expand(1, 3, -1, -1))


def test_image_to_image(make_set: MakeSet, open_set: OpenSet) -> None:
    root = make_set(folders=("A", "B", "inst"))
    sample = open_set(root, label_nc=0, input_nc=1, output_nc=3)[0]
    assert sample.label.dtype == torch.uint8
    assert sample.label.shape == (1, 1, 8, 16)
    assert sample.image.shape == (1, 3, 8, 16)
    assert sample.inst.dtype == torch.uint16
    assert sample.path == [str(root / "train_A/000.png")]
    assert open_set(root, label_nc=0, instance=False)[0].inst is None


def test_images_are_optional_in_testing(make_set: MakeSet, open_set: OpenSet) -> None:
    root = make_set(phase="test", folders=("label", "inst"))
    sample = open_set(root, phase="test", needs_image=False)[0]
    assert sample.tensors().keys() == {"label", "inst"}
    make_set(folders=("label", "inst", "img"))
    assert open_set(root, phase="train", needs_image=False)[0].image is not None


def test_takes_only_the_first_so_many(make_set: MakeSet, open_set: OpenSet) -> None:
    dataset = open_set(make_set(), max_dataset_size=2)
    names = [Path(dataset[n].path[0]).name for n in range(len(dataset))]
    assert names == ["000.png", "001.png"]


def save_label(root: Path, values: list[int], dtype: type = np.uint8) -> Path:
    path = root / "train_label/000.png"
    Image.fromarray(np.array(values * 32, dtype).reshape(8, 16)).save(path)
    return path


@pytest.mark.parametrize(
    ("label_nc", "dtype", "ignored"),
    [
        (5, torch.uint8, IGNORE),
        (255, torch.uint8, IGNORE),
        (256, torch.int32, IGNORE_WIDE),
        (300, torch.int32, IGNORE_WIDE),
    ],
)
@pytest.mark.parametrize("value", [255, 3, 60000])
def test_ignored_label_becomes_a_value_outside_the_range(
    make_set: MakeSet,
    open_set: OpenSet,
    label_nc: int,
    dtype: torch.dtype,
    ignored: int,
    value: int,
) -> None:
    root = make_set(count=1)
    save_label(root, [0, 1, 2, value], np.uint16)
    label = open_set(root, label_nc=label_nc, ignore_label=value, flip=False)[0].label
    assert label.dtype == dtype
    assert label[0, 0, 0, :4].tolist() == [0, 1, 2, ignored]


def test_labels_beyond_a_byte(make_set: MakeSet, open_set: OpenSet) -> None:
    root = make_set(count=1)
    save_label(root, [0, 1, 2, 299], np.uint16)
    assert open_set(root, label_nc=300)[0].label.max() == 299


@pytest.mark.parametrize(
    ("values", "changes", "message"),
    [
        ([0, 1, 2, 5], {}, r"label 5 found, expected 0 to 4 \(--label_nc 5\); give --label_nc 6 "),
        ([0, 1, 2, 255], {}, "label 255 found, .*give --ignore_label 255"),
        ([0, 255, 0, 255], {}, r"did you mean --label_nc 2 with values 0 and 1\?"),
        ([6, 7, 8, 9], {}, r"label 6, 7, 8, \.\.\. 9 found"),
        ([1, 7, 8, 255], {}, "give --label_nc 9 or more .*--ignore_label 255"),
        ([0, 1, 2, 255], {"ignore_label": 2}, "label 255 found"),
    ],
)
def test_labels_outside_the_range(
    make_set: MakeSet, open_set: OpenSet, values: list[int], changes: dict[str, int], message: str
) -> None:
    root = make_set()
    path = save_label(root, values)
    with pytest.raises(UserError, match=message) as caught:
        open_set(root, **changes)[0]
    assert str(caught.value).startswith(f"{path}: ")


@pytest.mark.parametrize("folder", ["inst", "img"])
def test_sizes_that_differ(make_set: MakeSet, open_set: OpenSet, folder: str) -> None:
    root = make_set()
    path = root / f"train_{folder}/002.png"
    Image.fromarray(pixels(folder, 0, (17, 8))).save(path)
    message = rf"{path}: 17x8 pixels, expected 16x8 as in \S+train_label/002.png; "
    with pytest.raises(UserError, match=message):
        open_set(root)[2]


@pytest.mark.parametrize(
    ("folders", "changes", "problems"),
    [
        (("label", "img"), {}, ["train_inst: no such folder; .*; give --no_instance"]),
        (("label", "inst"), {}, ["train_img: no such folder; .* holds train_inst, train_label; "]),
        (("A", "B"), {"instance": False}, ["train_label: .*--label_nc 0", "train_img: "]),
        (("label", "img"), {"label_nc": 0, "instance": False}, ["_A: .*--label_nc", "_B: "]),
        (("label", "inst", "img"), {"phase": "val"}, ["_label", "_inst", "val_img: no such"]),
        (
            ("label", "inst", "img"),
            {"extra_nc": 3},
            ["_extra: no such .*--extra_nc 0"],
        ),
    ],
)
def test_sets_that_cannot_be_opened(
    make_set: MakeSet,
    open_set: OpenSet,
    folders: tuple[str, ...],
    changes: dict[str, int],
    problems: list[str],
) -> None:
    root = make_set(folders=folders)
    with pytest.raises(UserError) as caught:
        open_set(root, **changes)
    assert len(caught.value.problems) == len(problems)
    for told, expected in zip(caught.value.problems, problems, strict=True):
        assert re.search(expected, told)


def scene(root: Path) -> np.ndarray:
    """A scene whose instances tell places, with labels in stripes of a pixel's width, a photograph
    and an input image of two colours by label, instances and features of other sizes."""
    labels = np.where(np.arange(48) % 8 == 0, 3, np.arange(48) // 16) + np.zeros((24, 1))
    labels[10], labels[:6, 30:40] = 4, 1
    shown = np.stack([np.where(labels == 1, 60, 180)] * 3, 2) + np.array([0, 20, 40])
    saved = {
        "label": labels.astype(np.uint8),
        "inst": np.arange(96 * 48, dtype=np.uint16).reshape(48, 96),
        "img": shown.astype(np.uint8),
        "extra": shown.astype(np.uint8),
    }
    for folder, values in saved.items():
        (root / f"train_{folder}").mkdir()
        Image.fromarray(values).save(root / f"train_{folder}/000.png")
    features = np.random.default_rng(0).uniform(-1, 1, (2, 12, 24)).astype(np.float16)
    write_feature_map(root / "train_feat/000.npz", features)
    return labels


AUGMENTED = {
    "augment": True,
    "extra_nc": 3,
    "feat_num": 2,
    "read_features": True,
    "ignore_label": 4,
    "loadSize": 48,
    "resize_or_crop": "scale_width",
}


@pytest.mark.parametrize("mode", ["scale_width", "scale_width_and_crop"])
@pytest.mark.parametrize("label_nc", [4, 300])
def test_an_augmented_sample_shows_one_scene(
    tmp_path: Path, open_set: OpenSet, mode: str, label_nc: int
) -> None:
    """Each of its pixels is one of the scene: label, instance and features together."""

    def pixels_of(**changes: object) -> set[bytes]:
        usual = {"resize_or_crop": mode, "fineSize": 20, "label_nc": label_nc}
        sample = open_set(tmp_path, **(AUGMENTED | usual | changes))[0, 1]
        assert sample.image.dtype == sample.extra.dtype == torch.uint8
        maps = [sample.label.double(), sample.inst.double(), sample.feat.double()]
        flat = torch.cat(maps, 1)[0].flatten(1).T.contiguous()
        # The photograph is that of its label, but for some pixels at borders; the input image too.
        for photo in (sample.image, sample.extra):
            dark = photo[:, :1] < 120
            assert (dark == (sample.label == 1)).double().mean() > 0.95
        return {pixel.numpy().tobytes() for pixel in flat}

    scene(tmp_path)
    whole = pixels_of(augment=False, resize_or_crop="scale_width", flip=False)
    assert len(whole) == 24 * 48
    seen = pixels_of()
    assert len(seen) > 100
    assert seen < whole


def test_augments_training_samples_anew_each_time_and_no_others(
    make_set: MakeSet, open_set: OpenSet
) -> None:
    root = make_set(count=1, size=(40, 40))

    def seen(**changes: object) -> list[tuple[bytes, ...]]:
        dataset = open_set(root, **changes)
        samples = (dataset[0, counter].tensors().values() for counter in range(6))
        return [tuple(tensor.numpy().tobytes() for tensor in sample) for sample in samples]

    augmented = seen(augment=True)
    assert len(set(augmented)) == 6
    assert augmented == seen(augment=True) == seen(augment=True, cache=str(root / "cache"))
    assert augmented == seen(augment=True, cache=str(root / "cache"))  # now read from it
    assert not set(augmented) & set(seen())
    assert not set(augmented) & set(seen(augment=True, seed=1))
    assert seen(augment=True, is_train=False) == seen(is_train=False)


def test_colours_of_the_photograph_alone_are_changed_unless_features_tell_them(
    tmp_path: Path, open_set: OpenSet
) -> None:
    scene(tmp_path)
    recoloured = open_set(tmp_path, **(AUGMENTED | {"read_features": False}))
    kept = open_set(tmp_path, **AUGMENTED)
    for counter in range(4):
        one, other = recoloured[0, counter], kept[0, counter]
        assert torch.equal(other.image, other.extra)
        assert torch.equal(one.extra, other.extra)
        assert not torch.equal(one.image, one.extra)


def test_draws_of_augmentation_come_last(
    make_set: MakeSet, open_set: OpenSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that its flips are those of samples without."""
    dataset = open_set(make_set(size=(16, 16)), resize_or_crop="crop", augment=True)
    plain = open_set(dataset.dataroot, resize_or_crop="crop")
    drawn = []
    draw = transforms.draw_crop_and_flip

    def noted(*args: object, **flip: bool) -> transforms.CropAndFlip:
        drawn.append(draw(*args, **flip))  # type: ignore[arg-type]
        return drawn[-1]

    monkeypatch.setattr(transforms, "draw_crop_and_flip", noted)
    for counter in range(8):
        dataset[0, counter], plain[0, counter]
    assert drawn[::2] == drawn[1::2]
    assert {d.flip for d in drawn} == {False, True}
