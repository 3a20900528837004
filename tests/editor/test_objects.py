"""The gallery of objects cut from the data set."""

from __future__ import annotations

import os
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tiny_studio import BY_INSTANCE, make_run, open_studio

from pix2pixhd.editor import objects
from pix2pixhd.editor.operations import add_object
from pix2pixhd.editor.regions import placed
from pix2pixhd.util.errors import UserError

SIZE = (24, 32)
BACKGROUND, TREE, CAR = 0, 1, 2
TREES = [(slice(2, 8), slice(2, 8)), (slice(12, 16), slice(20, 27)), (slice(10, 13), slice(2, 5))]
CARS = {2001: (slice(16, 22), slice(3, 11)), 2002: (slice(2, 9), slice(24, 32))}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two scenes with trees, of which one is too small, and cars, of which one is cut off by the
    border, and one a pole stands before; the second image's trees are a pixel wider."""
    for number in range(2):
        label = np.zeros(SIZE, np.uint8)
        inst = np.zeros(SIZE, np.uint16)
        for rows, columns in TREES:
            box = rows, slice(columns.start, columns.stop + number)
            label[box] = inst[box] = TREE
        for id_, box in CARS.items():
            label[box], inst[box] = CAR, id_
        label[17:21, 6], inst[17:21, 6] = BACKGROUND, BACKGROUND
        photo = np.random.default_rng(number).integers(0, 256, (*SIZE, 3), dtype=np.uint8)
        for what, values in {"label": label, "inst": inst, "img": photo}.items():
            folder = tmp_path / f"data/train_{what}"
            folder.mkdir(parents=True, exist_ok=True)
            Image.fromarray(values).save(folder / f"scene_{number}.png")
    make_run(tmp_path, "styled", clusters=True, **BY_INSTANCE)
    return tmp_path


def test_whole_objects_are_cut_out(root: Path) -> None:
    studio, told = open_studio(root, "styled", phase="train"), []
    gallery = studio.objects(lambda *done: told.append(done))
    assert told == [(1, 2), (2, 2)]
    assert gallery.labels() == [TREE, CAR] and gallery.of(BACKGROUND) == []
    trees, cars = gallery.of(TREE), gallery.of(CAR)
    assert [tree.area for tree in trees] == [42, 36, 32, 28]  # parts of one region; not those of 9
    assert [car.area for car in cars] == [44, 44] and not any(car.is_cut_off for car in cars)
    car = min(cars, key=lambda car: car.image)
    assert (car.image, car.instance, car.at) == ("scene_0", 2001, (16, 3))
    assert car.mask.shape == (6, 8) and not car.mask[1:5, 3].any() and car.mask[0].all()
    scene = studio.open("scene_0")
    assert np.array_equal(car.vector, scene.vectors[2001])
    shown = np.asarray(Image.open(BytesIO(car.thumbnail)))
    assert shown.shape == (72, 96, 4) and shown[0, 0, 3] == 255 and shown[36, 42, 3] < 30


def test_an_object_is_added_to_a_scene(root: Path) -> None:
    studio = open_studio(root, "styled", phase="train")
    [car, _] = studio.objects().of(CAR)
    scene = studio.open("scene_1")
    mask = placed(car.mask, 1.0, True, (9, 12), scene.shape)
    scene.apply(add_object(scene, mask, car.label, car.vector))
    new = scene.instance_at(9, 12)
    assert np.array_equal(scene.vectors[new], car.vector)
    assert ((scene.inst == new) == mask).all() and studio.render(scene).image.shape == (*SIZE, 3)
    again = studio.cut(scene, new)
    assert np.array_equal(again.mask, car.mask[:, ::-1]) and again.at == (9, 12)
    assert studio.cut(scene, 2002).is_cut_off
    with pytest.raises(UserError, match="instance 77"):
        studio.cut(scene, 77)


def test_it_is_kept_and_built_anew_for_other_data_or_weights(root: Path) -> None:
    def build() -> tuple[int, objects.ObjectGallery]:
        told: list[int] = []
        gallery = open_studio(root, "styled", phase="train").objects(lambda *n: told.append(n[0]))
        return len(told), gallery

    built, first = build()
    kept, second = build()
    assert (built, kept) == (2, 0)
    for label in first.labels():
        for one, other in zip(first.of(label), second.of(label), strict=True):
            assert vars(one).keys() == vars(other).keys()
            assert all(np.array_equal(value, vars(other)[n]) for n, value in vars(one).items())
    for changed in (root / "data/train_label/scene_0.png", root / "ck/styled/latest_net_E.pth"):
        os.utime(changed, ns=(1, 1))
        assert build()[0] == 2
    file = root / "ck/styled/objects.npz"
    file.write_bytes(file.read_bytes()[:-200])
    assert build()[0] == 2


def test_the_largest_are_taken_and_not_all_of_one_image(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(objects, "PER_IMAGE", 1)
    studio = open_studio(root, "styled", phase="train")
    assert [tree.area for tree in studio.objects().of(TREE)] == [42, 36]
    monkeypatch.setattr(objects, "PER_LABEL", 1)
    studio = open_studio(root, "styled", phase="train")
    assert [tree.area for tree in studio.objects().of(TREE)] == [42]
    monkeypatch.setattr(objects, "MOST_IMAGES", 1)
    studio = open_studio(root, "styled", phase="train")
    assert [tree.image for tree in studio.objects().of(TREE)] == ["scene_0"]


def test_without_photographs_or_instances(root: Path) -> None:
    (root / "data/train_img").rename(root / "away")
    make_run(root, "flat", instance=False)
    studio = open_studio(root, "flat", phase="train")
    gallery = studio.objects()
    [car, _] = gallery.of(CAR)
    assert car.vector is None and car.area == 44
    shown = np.asarray(Image.open(BytesIO(car.thumbnail)))
    assert (shown[0, 0] == [*studio.labels.colours[CAR], 255]).all()
    assert open_studio(root, "flat", phase="train").objects().of(CAR)[0].vector is None
