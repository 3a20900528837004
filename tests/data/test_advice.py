from collections import Counter
from pathlib import Path

import pytest

from pix2pixhd.data import advice
from pix2pixhd.data.survey import InstanceUse, LabelUse, Regions, Survey, ValueUse
from pix2pixhd.options.base_options import DataOptions, ModelOptions
from pix2pixhd.util.labels import label_set


def survey(*labels, sizes=((1024, 512),), name="scene.png", **kwargs):
    """One of a hundred images, each with these labels."""
    uses = {label: LabelUse(pixels=10_000, images=100) for label in labels}
    found = Survey(100, Path(name), decoded=100, labels=uses, **kwargs)
    found.sizes["label"] = Counter(dict.fromkeys(sizes, 100))
    return found


def flags(found: Survey, data: DataOptions | None = None, **model):
    everything = {}
    for suggestion in advice.suggestions(found, data or DataOptions(), ModelOptions(**model)):
        everything |= suggestion.flags
    return everything


@pytest.mark.parametrize(
    ("labels", "name", "expected"),
    [
        (range(12), "a.png", {"label_nc": 12}),
        ([0, 1, 18, 255], "a.png", {"label_nc": 19, "ignore_label": 255}),
        ([0, 255], "a.png", {"label_nc": 2}),  # a mask: its white is a label
        ([0, 1, 255], "a.png", {"label_nc": 2, "ignore_label": 255}),
        (range(256), "a.png", {"label_nc": 256}),
        ([7, 26], "x_gtFine_labelIds.png", {"label_nc": 35}),
        ([0, 40], "x_gtFine_labelIds.png", {"label_nc": 41}),
        ([0, 33], "a.png", {"label_nc": 35}),
        ([-3, 4], "a.png", {"label_nc": 5}),
        ([0, 2**30], "a.png", {}),
        ([], "a.png", {}),
    ],
)
def test_number_of_labels(labels, name, expected):
    assert flags(survey(*labels, name=name)) == expected


@pytest.mark.parametrize(
    ("sizes", "batch", "expected"),
    [
        ([(1024, 512)], 1, {}),
        ([(2048, 1024)], 1, {}),
        ([(256, 128)], 1, {"resize_or_crop": "none"}),
        ([(480, 360)], 1, {"loadSize": 480}),
        ([(500, 375), (640, 480)], 1, {"loadSize": 480}),
        ([(20, 20)], 1, {"loadSize": 32}),
        (
            [(500, 375), (500, 500)],
            2,
            {"resize_or_crop": "resize_and_crop", "loadSize": 480, "fineSize": 480},
        ),
        (
            [(1000, 3000)],
            1,
            {"resize_or_crop": "scale_width_and_crop", "loadSize": 992, "fineSize": 512},
        ),
    ],
)
def test_sizes(sizes, batch, expected):
    found = flags(survey(0, sizes=sizes), DataOptions(batchSize=batch))
    assert found == {"label_nc": 1, **expected}


def test_what_is_not_there_is_switched_off():
    assert flags(survey(0, 1), instance=False) == {"label_nc": 2, "instance": False}
    same = InstanceUse(all=Regions([2, 2]), repeats=2)
    assert flags(survey(0, 1, instances=same)) == {"label_nc": 2, "instance": False}
    finer = InstanceUse(all=Regions([2, 2]), repeats=1)
    assert flags(survey(0, 1, instances=finer)) == {"label_nc": 2}


def test_channels_and_ranges():
    gray = ValueUse(3, True, Counter({"uint16": 3}), 0, 3000)
    found = survey(values={"image": gray, "label": ValueUse(3, False, Counter({"uint8": 3}))})
    found.channels["label"] = Counter({5: 3})
    expected = {"label_nc": 0, "input_nc": 5, "output_nc": 1, "value_range": "0,4095"}
    assert flags(found, label_nc=0) == expected


@pytest.mark.parametrize(
    ("dtype", "low", "high", "expected"),
    [
        ("uint8", 0, 3, None),
        ("uint16", 0, 65535, None),
        ("uint16", 0, 40000, None),
        ("uint16", 17, 1000, "0,1023"),
        ("uint16", 0, 0, "0,1"),
        ("float32", 0, 1, None),
        ("float32", 0.01, 0.93, None),
        ("float32", 0, 0.04, "0,0.04"),
        ("float32", -1, 1, "-1,1"),
        ("float32", 0.2, 251.3, "0,260"),
        ("float32", 3, 3, None),
    ],
)
def test_value_range(dtype, low, high, expected):
    assert advice.value_range({dtype: 1}, low, high) == expected


def test_rare_and_unused_labels_are_noted():
    found = survey(0, 1, 2)
    found.images, found.decoded = 1000, 900
    found.labels[1].images = 8
    found.labels[2].pixels = 1
    lines = list(advice.notes(found, label_set(35)))
    assert "900 of 1,000 images" in lines[0]
    assert "label 1 (ego vehicle), label 2 (rectification border)" in lines[1]
    assert lines[2] == "never used: labels 3 to 34"
    assert advice._in_runs([1, 2, 4, 6, 7, 8, 9], label_set(35)).startswith("label 1 (ego vehicle)")
    assert advice._in_runs([6, 7, 8, 9], label_set(35)) == "labels 6 to 9"


def test_sparse_labels_and_misnamed_instances_are_worth_a_look():
    named = InstanceUse(named=Regions([50, 50]), misnamed=2)
    lines = list(advice.worth_a_look(survey(0, 200, 255, instances=named), label_set(201), 255))
    assert "2 of 201" in lines[0] and "0 to 1" in lines[0] and "2.0%" in lines[1]
    fine = InstanceUse(named=Regions([50, 50]), misnamed=1)
    assert not list(advice.worth_a_look(survey(0, 1, instances=fine), label_set(3), None))


def test_a_photograph_of_two_phases():
    a, b, c, d = map(Path, "abcd")
    (line,) = advice.leaks([[a, c], [b, d], [c, d]], {a, b})
    assert line.startswith("a: the same photograph as c, the first of 2;")
    assert not list(advice.leaks([[a, b], [c, d]], {a, b}))
