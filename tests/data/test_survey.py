from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from programs import write_tiny_data

from pix2pixhd.data import create_dataset
from pix2pixhd.data.survey import (
    TABLE,
    Regions,
    count_ids,
    photo_values,
    same_files,
    spread,
    survey_dataset,
)
from pix2pixhd.options.base_options import DataOptions, ModelOptions

LABEL = "train_label/scene_1.png"


def survey(data: Path, *, sample=False, **model):
    options = DataOptions(dataroot=str(data)), ModelOptions(**model)
    dataset = create_dataset(*options, phase="train", needs_image=False)
    return survey_dataset(dataset, sample=sample)


@pytest.mark.parametrize(
    "ids",
    [
        np.uint8([[0, 255], [255, 3]]),
        np.int32([[TABLE - 1, 0, 0]]),
        np.int32([[TABLE, 0, 0]]),
        np.int32([[2**31 - 1, -4, -4]]),
        np.zeros(0, np.int32),
    ],
)
def test_ids_are_counted_however_large(ids):
    found = count_ids(ids)
    assert found == Counter(ids.ravel().tolist()) and list(found) == sorted(found)


def test_labels_are_counted_whether_in_range_or_not(tmp_path):
    data = write_tiny_data(tmp_path, count=2)
    Image.fromarray(np.repeat(np.uint8([7, 200]), (500, 12)).reshape(16, 32)).save(data / LABEL)
    other = np.asarray(Image.open(data / "train_label/scene_0.png"))
    found = survey(data, label_nc=5)
    assert found.images == found.decoded == 2 and found.pixels == 2 * 16 * 32
    assert found.labels.keys() == {7, 200, *np.unique(other).tolist()}
    assert (found.labels[7].pixels, found.labels[200].pixels) == (500, 12)
    assert (found.labels[200].images, found.labels[200].best) == (1, 1)
    most = max(found.labels, key=lambda label: found.labels[label].pixels)
    assert most == 7


def test_sizes_of_each_kind_of_map(tmp_path):
    data = write_tiny_data(tmp_path, count=2)
    Image.new("RGB", (20, 10)).save(data / "train_img/scene_1.png")
    found = survey(data)
    assert found.sizes["label"] == {(32, 16): 2}
    assert found.sizes["image"] == {(32, 16): 1, (20, 10): 1}


@pytest.mark.parametrize("name", ["train_label", "train_inst"])
def test_a_file_that_cannot_be_read_is_left_out(tmp_path, name):
    data = write_tiny_data(tmp_path, count=3)
    (data / name / "scene_1.png").write_bytes(b"nothing")
    found = survey(data)
    assert (found.images, found.decoded, found.pixels) == (3, 2, 2 * 16 * 32)


def test_a_sample_is_evenly_spread():
    assert spread(range(100), 4) == [0, 25, 50, 75] and spread("abc", 9) == list("abc")


def test_only_a_sample_is_decoded(tmp_path, monkeypatch):
    monkeypatch.setattr("pix2pixhd.data.survey.SAMPLE", 2)
    found = survey(write_tiny_data(tmp_path, count=5), sample=True)
    assert (found.images, found.decoded) == (5, 2) and found.sizes["label"].total() == 5


def write_instances(data: Path, ids, labels):
    for number in range(2):
        for folder, values in (("train_inst", np.uint16(ids)), ("train_label", np.uint8(labels))):
            Image.fromarray(np.tile(values, (16, 1))).save(data / folder / f"scene_{number}.png")


def test_instances_that_name_labels_alone_are_instances(tmp_path):
    data = write_tiny_data(tmp_path, count=2)
    write_instances(data, [3] * 16 + [4000] * 10 + [4001] * 6, [3] * 16 + [4] * 16)
    found = survey(data).instances
    assert found.all.per_image == [3, 3] and found.named.per_image == [2, 2]
    assert found.named.sizes == {160: 2, 96: 2} and (found.misnamed, found.repeats) == (0, 0)


@pytest.mark.parametrize(("wrong", "misnamed"), [(5, 0), (6, 2)])
def test_an_instance_is_misnamed_if_most_of_it_has_another_label(tmp_path, wrong, misnamed):
    data = write_tiny_data(tmp_path, count=2)
    write_instances(data, [3] * 22 + [4000] * 10, [3] * (22 + wrong) + [4] * (10 - wrong))
    assert survey(data).instances.misnamed == misnamed


@pytest.mark.parametrize(
    ("ids", "repeats"), [([3] * 20 + [4] * 12, 2), ([9] * 32, 2), ([3] * 20 + [5] * 12, 0)]
)
def test_instance_maps_that_say_nothing_new(tmp_path, ids, repeats):
    data = write_tiny_data(tmp_path, count=2)
    write_instances(data, ids, [3] * 20 + [4] * 12)
    assert survey(data).instances.repeats == repeats


def test_quantiles_of_regions():
    regions = Regions()
    regions.add([1] * 50 + [10] * 49)
    regions.add([1000])
    assert [regions.quantile(share) for share in (0.1, 0.5, 0.51, 0.99, 1)] == [1, 1, 10, 10, 1000]


def test_files_are_the_same_by_their_bytes(tmp_path):
    texts = {"a": "same", "b": "same", "c": "else", "d": "longer", "e": "longer", "f": ""}
    paths = [tmp_path / name for name in texts]
    for path in paths:
        path.write_text(texts[path.name])
    found = same_files([*paths, tmp_path / "no such file"])
    assert found == [[tmp_path / "a", tmp_path / "b"], [tmp_path / "d", tmp_path / "e"]]


def test_values_of_photographs(tmp_path):
    pixels = np.zeros((4, 4, 3), np.uint8)
    pixels[0] = 200
    Image.fromarray(pixels).save(tmp_path / "gray.png")
    pixels[0, 0, 0] = 7
    Image.fromarray(pixels).save(tmp_path / "colour.png")
    (tmp_path / "none.png").touch()
    gray, colour, none = (photo_values(tmp_path / f"{n}.png") for n in ("gray", "colour", "none"))
    assert gray.gray and not colour.gray and none.images == 0
    both = gray + colour + none
    assert both.images == 2 and not both.gray and (both.low, both.high) == (0, 200)
