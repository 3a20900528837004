"""Annotation of every kind to label and instance maps, by the command line as people use it."""

from __future__ import annotations

import base64
import io
import json
import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from shared_data import shared

from pix2pixhd.data.decode import read_ids
from pix2pixhd.options.parsing import parse_train
from pix2pixhd.util.errors import UserError
from pix2pixhd.util.labels import label_palette
from prepare_labels import main

PALETTE = label_palette(6)


@pytest.fixture
def paths(tmp_path: Path) -> tuple[Path, Path]:
    """Where the annotation lies, and where the data set is to be."""
    (tmp_path / "in").mkdir()
    return tmp_path / "in", tmp_path / "set"


def prepare(paths: tuple[Path, Path], *flags: str) -> None:
    main(["--in", str(paths[0]), "--out", str(paths[1]), *flags])


def write(path: Path, pixels: Any, **settings: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.asarray(pixels)).save(path, **settings)


def read(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path)).astype(int)


def labels_of(out: Path) -> list[dict[str, Any]]:
    return json.loads((out / "labels.json").read_text())


def blocks(seed: int, size: int = 96) -> np.ndarray:
    """A label map of a background and squares of the labels 1 to 5."""
    rng = np.random.default_rng(seed)
    label, side = np.zeros((size, size), np.uint8), size // 3
    for value in (1, 2, 3, 4, 5):
        x, y = rng.integers(0, size - side, 2)
        label[y : y + side, x : x + side] = value
    return label


def in_order(label: np.ndarray, out: Path) -> np.ndarray:
    """A label map by PALETTE with the numbers that labels.json gives to the nearest colours."""
    colours = np.array([entry["color"] for entry in labels_of(out)])
    distance = np.linalg.norm(colours[:, None] - PALETTE[None].astype(int), axis=-1)
    return distance.argmin(0)[label]


# --- colours -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("t.json", json.dumps({str(n): c for n, c in enumerate(PALETTE.tolist())})),
        (
            "t.json",
            json.dumps(
                [{"name": str(n), "colour": PALETTE[n].tolist(), "id": n} for n in range(5, -1, -1)]
            ),
        ),
        (
            "t.json",
            json.dumps(
                [{"name": str(n), "color": "#" + bytes(c).hex()} for n, c in enumerate(PALETTE)]
            ),
        ),
        (
            "t.csv",
            "r, g, b, name\n"
            + "".join(f"{r},{g},{b},{n}\n" for n, (r, g, b) in enumerate(PALETTE)),
        ),
        ("t.txt", "".join(f"{r} {g} {b}\t\t{n}\n" for n, (r, g, b) in enumerate(PALETTE))),
    ],
    ids=["dictionary", "list with ids", "hexadecimal", "csv", "camvid"],
)
def test_label_maps_come_back_from_their_colours(
    name: str, text: str, paths: tuple[Path, Path], tmp_path: Path
) -> None:
    (tmp_path / name).write_text(text)
    write(paths[0] / "town" / "v1.0.png", PALETTE[blocks(1)])
    write(paths[0] / "2.png", PALETTE[blocks(2)])
    prepare(paths, "--colours", str(tmp_path / name))
    np.testing.assert_array_equal(read(paths[1] / "train_label/town/v1.0.png"), blocks(1))
    np.testing.assert_array_equal(read(paths[1] / "train_label/2.png"), blocks(2))
    assert Image.open(paths[1] / "train_label/2.png").mode == "L"
    assert not (paths[1] / "train_inst").exists()
    wanted = [{"id": n, "name": str(n), "color": PALETTE[n].tolist()} for n in range(6)]
    assert labels_of(paths[1]) == wanted


def test_colours_are_found_and_kept_for_the_next_phase(
    paths: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(paths[0] / "1.png", PALETTE[blocks(1)])
    prepare(paths)
    label = read(paths[1] / "train_label/1.png")
    np.testing.assert_array_equal(label, in_order(blocks(1), paths[1]))
    counts = np.bincount(label.ravel())
    assert (np.diff(counts) <= 0).all()
    printed = capsys.readouterr().out
    share = f"{counts[0] / counts.sum():.3%}"
    assert f"     0  #000000 {counts[0]:12,} {share:>8}       1           0\n" in printed
    options = parse_train(shlex.split(printed.split("train.py ")[1]))
    assert (options.model.label_nc, options.model.instance) == (6, False)
    assert options.data.label_names == str(paths[1] / "labels.json")
    # In another picture other colours are frequent.
    flipped = 5 - blocks(1)
    write(tmp_path / "val" / "2.png", PALETTE[flipped])
    prepare((tmp_path / "val", paths[1]), "--phase", "val")
    np.testing.assert_array_equal(read(paths[1] / "val_label/2.png"), in_order(flipped, paths[1]))
    assert "train.py" not in capsys.readouterr().out


@pytest.mark.parametrize("quality", [50, 75, 95])
def test_noise_of_jpeg_is_told_from_labels(
    quality: int, paths: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    for seed in range(8):
        write(paths[0] / f"{seed}.jpg", PALETTE[blocks(seed, 192)], quality=quality)
    prepare(paths)
    assert len(labels_of(paths[1])) == 6
    right = [
        (read(paths[1] / f"train_label/{seed}.png") == in_order(blocks(seed, 192), paths[1])).mean()
        for seed in range(8)
    ]
    assert np.mean(right) > 0.97
    assert "other colours, taken for the nearest label as noise" in capsys.readouterr().out
    with pytest.raises(UserError, match=r"unknown colours: .* give --nearest"):
        prepare(paths, "--phase", "val")
    prepare(paths, "--phase", "val", "--nearest")
    for seed in range(8):
        np.testing.assert_array_equal(
            read(paths[1] / f"val_label/{seed}.png"), read(paths[1] / f"train_label/{seed}.png")
        )


def test_labels_of_real_streets_are_found_in_jpeg(paths: tuple[Path, Path]) -> None:
    colours = label_palette(12)
    for file in sorted(shared("camvid", "train_label").iterdir())[::12]:
        write(paths[0] / f"{file.stem}.jpg", colours[read(file)], quality=75)
    prepare(paths)
    found = np.array([entry["color"] for entry in labels_of(paths[1])], float)
    distance = np.linalg.norm(found[:, None] - colours[None], axis=-1)
    assert len(found) == 12
    assert sorted(distance.argmin(1)) == list(range(12))
    assert distance.min(1).max() < 8


def test_smooth_edges_are_told_from_labels(paths: tuple[Path, Path]) -> None:
    for seed in range(8):
        picture = Image.fromarray(PALETTE[blocks(seed, 256)])
        picture.rotate(7, Image.Resampling.BICUBIC).resize((200, 200)).save(
            paths[0] / f"{seed}.png"
        )
    prepare(paths)
    assert sorted(tuple(entry["color"]) for entry in labels_of(paths[1])) == sorted(
        map(tuple, PALETTE.tolist())
    )


def test_labels_fill_areas(paths: tuple[Path, Path]) -> None:
    picture = np.zeros((200, 200, 3), np.uint8)
    picture[:2, :150, 1] = np.arange(300).reshape(2, 150) % 256  # too many colours to be exact
    picture[:2, :150, 2] = np.arange(300).reshape(2, 150) // 256 * 90
    picture[10:14, 10:14] = 200, 0, 0  # a small label
    picture[20:22, 20:22] = 0, 200, 0  # too small
    picture[40:160:2, 10:100:2] = 0, 0, 200  # many pixels, but an area of few of them
    picture[180:184, 10:14] = 0, 0, 200
    write(paths[0] / "1.png", picture)
    prepare(paths)
    assert [entry["color"] for entry in labels_of(paths[1])] == [[0, 0, 0], [200, 0, 0]]


def test_few_colours_of_exact_pictures_are_all_labels(
    paths: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    picture = np.zeros((64, 64, 3), np.uint8)
    picture[:40] = 200, 9, 9
    picture[5, 5] = 201, 9, 9  # one pixel, next to a frequent colour
    write(paths[0] / "1.png", picture)
    prepare(paths)
    assert len(labels_of(paths[1])) == 3
    assert "colours that never fill 2x2 pixels: #c90909;" in capsys.readouterr().err
    (paths[1] / "labels.json").unlink()
    prepare(paths, "--min_share", "0.1", "--overwrite")
    assert len(labels_of(paths[1])) == 2
    assert read(paths[1] / "train_label/1.png")[5, 5] == 0


def test_photographs_are_no_label_maps(paths: tuple[Path, Path]) -> None:
    rng = np.random.default_rng(0)
    smooth = Image.fromarray(rng.integers(0, 256, (8, 8, 3), np.uint8)).resize((128, 128))
    smooth.save(paths[0] / "1.png")
    with pytest.raises(UserError, match="look like photographs"):
        prepare(paths)


def test_unknown_colours(paths: tuple[Path, Path], tmp_path: Path) -> None:
    table = tmp_path / "t.json"
    table.write_text(
        '[{"name": "road", "color": [9, 9, 9]}, {"name": "sky", "color": [0, 0, 250]}]'
    )
    picture = np.full((4, 4, 3), 9, np.uint8)
    picture[0, :3] = 0, 0, 255
    write(paths[0] / "1.png", picture)
    given = ("--colours", str(table))
    with pytest.raises(UserError) as error:
        prepare(paths, *given)
    assert not paths[1].exists()
    assert error.value.problems[0] == (
        f"{paths[0]}/1.png: colour 0,0,255 (#0000ff) is not in {table} (pixels: 3, files: 1); "
        "nearest is sky, at a distance of 5"
    )
    prepare(paths, *given, "--nearest")
    assert read(paths[1] / "train_label/1.png")[0].tolist() == [1, 1, 1, 0]
    prepare(paths, *given, "--ignore_unknown", "--overwrite")
    assert read(paths[1] / "train_label/1.png")[0].tolist() == [255, 255, 255, 0]


def test_labels_are_merged_and_ignored_by_their_ids(
    paths: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = tmp_path / "t.csv"
    table.write_text("name,r,g,b,id\nroad,1,1,1,0\ncar,2,2,2,3\ntruck,3,3,3,3\nvoid,4,4,4,255\n")
    write(paths[0] / "1.png", np.repeat([[[1], [2], [3], [4]]], 3, 2).astype(np.uint8))
    prepare(paths, "--from", "colours", "--colours", str(table))
    assert read(paths[1] / "train_label/1.png").tolist() == [[0, 3, 3, 255]]
    command = capsys.readouterr().out.split("train.py ")[1]
    assert "--label_nc 4 " in command and "--ignore_label 255" in command
    assert labels_of(paths[1])[3] == {
        **{"id": 3, "name": "car", "color": [2, 2, 2], "also": [[3, 3, 3]]}
    }
    prepare(paths, "--from", "colours", "--phase", "val")
    assert read(paths[1] / "val_label/1.png").tolist() == [[0, 3, 3, 255]]


# --- label maps ----------------------------------------------------------------------------------


def test_gaps_are_closed(
    paths: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(paths[0] / "1.png", np.array([[0, 7, 255]], np.uint8))
    write(paths[0] / "2.png", np.repeat(np.array([[[7], [300 - 256], [0]]], np.uint8), 3, 2))
    prepare(paths, "--no_instance")
    assert (
        "give --renumber to have labels 0 to 3, and --ignore_label 255" in capsys.readouterr().err
    )
    assert read(paths[1] / "train_label/1.png").tolist() == [[0, 7, 255]]
    again = (paths[0], tmp_path / "renumbered")
    prepare(again, "--renumber", "--ignore_label", "255")
    assert read(again[1] / "train_label/1.png").tolist() == [[0, 1, 255]]
    assert read(again[1] / "train_label/2.png").tolist() == [[1, 2, 0]]
    assert labels_of(again[1])[2] == {"id": 2, "name": "44", "source": 44}
    command = capsys.readouterr().out.split("train.py ")[1]
    assert "--label_nc 3 " in command and "--ignore_label 255" in command
    # The next phase, of which the first label is missing.
    write(tmp_path / "val" / "3.png", np.array([[7, 44]], np.uint8))
    prepare((tmp_path / "val", again[1]), "--phase", "val")
    assert read(again[1] / "val_label/3.png").tolist() == [[1, 2]]
    write(tmp_path / "val" / "3.png", np.array([[7, 45]], np.uint8))
    with pytest.raises(UserError, match=r"label 45 found, but .*labels.json has no such"):
        prepare((tmp_path / "val", again[1]), "--phase", "val", "--overwrite")


def test_more_than_255_labels_take_16_bits(paths: tuple[Path, Path]) -> None:
    values = np.arange(257).reshape(1, 257) * 3
    write(paths[0] / "1.png", values.astype(np.uint16))
    prepare(paths, "--renumber", "--ignore_label", "0")
    label = read(paths[1] / "train_label/1.png")
    np.testing.assert_array_equal(label.ravel()[1:], np.arange(256))
    assert label[0, 0] == 65535
    assert Image.open(paths[1] / "train_label/1.png").mode == "I;16"


def test_connected_regions_become_instances(paths: tuple[Path, Path], tmp_path: Path) -> None:
    label = np.array(
        [
            [1, 0, 1, 1, 2],
            [0, 1, 0, 0, 0],
            [0, 0, 0, 1, 0],
            [2, 2, 0, 0, 3],
        ],
        np.uint8,
    )
    write(paths[0] / "1.png", label)
    (tmp_path / "names.txt").write_text("road\ncar\nPerson\nsky\n")
    prepare(paths, "--classes", str(tmp_path / "names.txt"), "--instances", "1,person")
    np.testing.assert_array_equal(read(paths[1] / "train_label/1.png"), label)
    # The first region of cars hangs together at its corners; the larger of each label comes first.
    assert read(paths[1] / "train_inst/1.png").tolist() == [
        [1001, 0, 1001, 1001, 2002],
        [0, 1001, 0, 0, 0],
        [0, 0, 0, 1002, 0],
        [2001, 2001, 0, 0, 3],
    ]
    assert Image.open(paths[1] / "train_inst/1.png").mode == "I;16"
    prepare(paths, "--instances", "car", "--min_size", "2", "--overwrite")
    assert read(paths[1] / "train_inst/1.png")[2, 3] == 1


def test_more_instances_than_ids_keep_the_plain_label(
    paths: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    label = np.zeros((80, 80), np.uint8)
    label[::2, ::2] = 1  # 1600 pixels on their own
    label[4, 4:7] = 1  # two of them in one
    write(paths[0] / "1.png", label)
    prepare(paths, "--instances", "1")
    ids = read(paths[1] / "train_inst/1.png")
    assert sorted(np.unique(ids)) == [0, 1, *range(1001, 2000)]
    assert ids[4, 5] == 1001
    assert "the smallest keep the plain label: 600;" in capsys.readouterr().err


# --- labelme -------------------------------------------------------------------------------------


def labelme(path: Path, *shapes: dict[str, Any], **others: Any) -> None:
    """A file as labelme 5 writes it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    shapes = tuple(
        {"group_id": None, "description": "", "shape_type": "polygon", "flags": {}} | shape
        for shape in shapes
    )
    content = {
        **{"version": "5.4.1", "flags": {}, "shapes": shapes, "imagePath": path.stem + ".jpg"},
        **{"imageData": None, "imageHeight": 40, "imageWidth": 60},
    }
    path.write_text(json.dumps(content | others, indent=2))


def square(label: str, x: float, y: float, side: float, **others: Any) -> dict[str, Any]:
    points = [[x, y], [x + side, y], [x + side, y + side], [x, y + side]]
    return {"label": label, "points": points} | others


def png(pixels: np.ndarray) -> str:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()


def test_labelme(paths: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    labelme(
        paths[0] / "town" / "1.json",
        square("road", 0, 0, 30),
        square("car", 2, 2, 4, group_id=7),
        square("car", 12, 2, 4, group_id=7),
        square("car", 20, 20, 5),
        square("__ignore__", 40, 0, 4),
        square("_background_", 3, 3, 1),
    )
    labelme(paths[0] / "2.json", square("car", 0, 0, 3))
    prepare(paths)
    label = read(paths[1] / "train_label/town/1.png")
    inst = read(paths[1] / "train_inst/town/1.png")
    assert label.shape == (40, 60)
    assert [entry["name"] for entry in labels_of(paths[1])] == ["background", "car", "road"]
    at = {(35, 35): 0, (15, 15): 2, (2, 2): 1, (13, 4): 1, (22, 22): 1, (41, 2): 255, (3, 3): 0}
    assert {place: label[place[::-1]] for place in at} == at
    assert inst[2, 2] == inst[4, 13] == 1001  # one group, and the largest together
    assert (inst[22, 22], inst[15, 15], inst[35, 35], inst[2, 41]) == (1002, 2001, 0, 255)
    np.testing.assert_array_equal(np.where(inst >= 1000, inst // 1000, inst), label)
    command = capsys.readouterr().out.split("train.py ")[1]
    assert "--label_nc 3 " in command and "no_instance" not in command


@pytest.mark.parametrize(
    ("shape", "pixels"),
    [
        (square("a", 10, 10, 4), 25),
        ({"shape_type": "rectangle", "points": [[14, 14], [10, 11]]}, 20),
        ({"shape_type": "circle", "points": [[20, 20], [23, 24]]}, 97),
        ({"shape_type": "line", "points": [[5, 20], [24, 20]]}, 200),
        ({"shape_type": "linestrip", "points": [[5, 20], [14, 20], [24, 20]]}, 200),
        ({"shape_type": "point", "points": [[20, 20]]}, 97),
        (
            {
                **{"shape_type": "mask", "points": [[10, 12], [12, 13]]},
                **{"mask": png(np.array([[1, 0, 1], [1, 1, 1]], bool))},
            },
            5,
        ),
        (square("a", 50, 30, 100), 100),
    ],
    ids=["polygon", "rectangle", "circle", "line", "linestrip", "point", "mask", "outside"],
)
def test_shapes_of_labelme(shape: dict[str, Any], pixels: int, paths: tuple[Path, Path]) -> None:
    labelme(paths[0] / "1.json", {"label": "a"} | shape)
    prepare(paths)
    label = read(paths[1] / "train_label/1.png")
    assert label.sum() == pixels


@pytest.mark.parametrize("text", ["__ignore__\n_background_\nsky\ncar\n", "__ignore__\nsky\ncar\n"])
def test_classes_of_labelme(text: str, paths: tuple[Path, Path], tmp_path: Path) -> None:
    labelme(paths[0] / "1.json", square("car", 0, 0, 3), square("sky", 10, 10, 3))
    (tmp_path / "labels.txt").write_text(text)
    prepare(paths, "--classes", str(tmp_path / "labels.txt"), "--instances", "car")
    label, inst = (read(paths[1] / f"train_{kind}/1.png") for kind in ("label", "inst"))
    assert (label[0, 0], label[11, 11], inst[0, 0], inst[11, 11]) == (2, 1, 2001, 1)
    # In the order of the first phase, without being told.
    labelme(paths[0] / "1.json", square("car", 0, 0, 3))
    prepare(paths, "--phase", "val")
    assert read(paths[1] / "val_label/1.png")[0, 0] == 2
    labelme(paths[0] / "1.json", square("cat", 0, 0, 3))
    with pytest.raises(UserError, match=r"cat found, but .*labels.json has no such .*cat: car"):
        prepare(paths, "--phase", "test")
    prepare(paths, "--phase", "test", "--ignore_unknown")
    assert read(paths[1] / "test_label/1.png")[0, 0] == 255


def test_old_labelme_files_take_the_picture_s_size(paths: tuple[Path, Path]) -> None:
    old = {"imageHeight": None, "imageWidth": None}
    write(paths[0] / "1.jpg", np.zeros((8, 9), np.uint8))
    labelme(paths[0] / "1.json", square("a", 0, 0, 3), **old)
    data = png(np.zeros((5, 6), np.uint8))
    labelme(paths[0] / "2.json", square("a", 0, 0, 3), imageData=data, **old)
    prepare(paths)
    assert read(paths[1] / "train_label/1.png").shape == (8, 9)
    assert read(paths[1] / "train_label/2.png").shape == (5, 6)
    labelme(paths[0] / "3.json", square("a", 0, 0, 3), **old)
    with pytest.raises(UserError, match=r"3.json: no imageWidth and imageHeight"):
        prepare(paths, "--overwrite")


# --- COCO ----------------------------------------------------------------------------------------


def coco(path: Path, *annotations: dict[str, Any], **others: Any) -> Path:
    """A file as COCO's instances_*.json are."""
    content = {
        **{"info": {}, "licenses": [], "annotations": annotations},
        "images": [
            {"id": 9, "file_name": "train/0009.jpg", "height": 20, "width": 30, "license": 3},
            {"id": 4, "file_name": "0004.jpg", "height": 20, "width": 30},
        ],
        "categories": [
            {"id": 18, "name": "dog", "supercategory": "animal"},
            {"id": 3, "name": "car", "supercategory": "vehicle"},
        ],
    }
    path.write_text(json.dumps(content | others))
    return path


def annotation(category: int, segmentation: Any, area: float = 1, **others: Any) -> dict[str, Any]:
    return {
        **{"id": 1, "image_id": 9, "category_id": category, "segmentation": segmentation},
        **{"area": area, "bbox": [0, 0, 1, 1], "iscrowd": 0},
    } | others


def box(x: float, y: float, x1: float, y1: float) -> list[float]:
    return [x, y, x1, y, x1, y1, x, y1]


def test_coco(paths: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    # Columns: 5 of 20 pixels, whole, of a crowd that covers all the left.
    crowd = {"counts": [0, 200, 400], "size": [20, 30]}
    file = coco(
        paths[0] / "instances_train.json",
        annotation(3, [box(40, 2, 44, 4)], 4),  # outside
        annotation(3, [box(12, 2, 14, 4)], 4),
        annotation(18, [box(10, 0, 20, 10), box(10, 12, 20, 14)], 120),
        annotation(18, crowd, 1, iscrowd=1),
        annotation(3, [box(2, 2, 4, 5)], 6),
        annotation(3, [], 6),
    )
    prepare((file, paths[1]))
    label, inst = (
        read(paths[1] / "train_label/train/0009.png"),
        read(paths[1] / "train_inst/train/0009.png"),
    )
    wanted = np.zeros((20, 30), int)
    wanted[:, :10] = 2
    wanted[:10, 10:20] = wanted[12:14, 10:20] = 2002 - 1
    wanted[2:4, 12:14] = 1002
    wanted[2:5, 2:4] = 1001
    np.testing.assert_array_equal(inst, wanted)
    np.testing.assert_array_equal(label, np.where(wanted >= 1000, wanted // 1000, wanted))
    assert not read(paths[1] / "train_label/0004.png").any()
    assert labels_of(paths[1]) == [
        {"id": 0, "name": "background"},
        {"id": 1, "name": "car", "source": 3},
        {"id": 2, "name": "dog", "source": 18},
    ]
    printed = capsys.readouterr()
    assert "the largest are drawn first" in printed.out
    assert "annotations without a segmentation, left out: 1" in printed.err


def test_ids_beyond_16_bits_go_to_tiff(paths: tuple[Path, Path]) -> None:
    categories = [{"id": n, "name": f"c{n}"} for n in range(1, 81)]
    file = coco(paths[0] / "c.json", annotation(80, [box(0, 0, 10, 10)]), categories=categories)
    prepare((file, paths[1]))
    ids = np.asarray(read_ids(paths[1] / "train_inst/train/0009.tif", "instance"))
    assert (ids[5, 5], ids[15, 15]) == (80001, 0)


def test_coco_panoptic(paths: tuple[Path, Path]) -> None:
    ids = np.zeros((20, 30), int)
    ids[:10], ids[10:, :10], ids[10:, 10:20] = 70000, 5, 300
    (paths[0] / "panoptic_val").mkdir()
    rgb = np.stack([ids % 256, ids // 256 % 256, ids // 65536], -1).astype(np.uint8)
    write(paths[0] / "panoptic_val/0009.png", rgb)
    segments = [
        {"id": 70000, "category_id": 184, "iscrowd": 0, "bbox": [0, 0, 30, 10], "area": 300},
        {"id": 5, "category_id": 3, "iscrowd": 0, "bbox": [0, 10, 10, 10], "area": 100},
        {"id": 300, "category_id": 3, "iscrowd": 1, "bbox": [10, 10, 10, 10], "area": 100},
    ]
    file = coco(
        paths[0] / "panoptic_val.json",
        {"image_id": 9, "file_name": "0009.png", "segments_info": segments},
        categories=[
            {"id": 3, "name": "car", "isthing": 1, "color": [0, 0, 142]},
            {"id": 184, "name": "tree", "isthing": 0, "color": [0, 200, 0]},
        ],
    )
    prepare((file, paths[1]), "--phase", "val")
    wanted = np.zeros((20, 30), int)
    wanted[:10], wanted[10:, :10], wanted[10:, 10:20] = 2, 1001, 1
    np.testing.assert_array_equal(read(paths[1] / "val_inst/train/0009.png"), wanted)
    assert labels_of(paths[1])[1] == {"id": 1, "name": "car", "color": [0, 0, 142], "source": 3}
    write(paths[0] / "panoptic_val/0009.png", rgb + np.uint8(1))
    with pytest.raises(UserError, match=r"0009.png: segment 65793 is not among the segments"):
        prepare((file, paths[1]), "--phase", "val", "--overwrite")


# --- files ---------------------------------------------------------------------------------------


def test_nothing_is_overwritten_unasked(paths: tuple[Path, Path], tmp_path: Path) -> None:
    write(paths[0] / "1.png", PALETTE[blocks(1)])
    prepare(paths)
    before = (paths[1] / "train_label/1.png").read_bytes()
    write(paths[0] / "1.png", PALETTE[blocks(2)])
    with pytest.raises(UserError, match=r"train_label/1.png.* there already; give --overwrite"):
        prepare(paths)
    table = tmp_path / "t.json"
    table.write_text(json.dumps({str(n): c for n, c in enumerate(PALETTE.tolist())}))
    with pytest.raises(UserError, match=r"labels.json: other labels than those of .*t.json"):
        prepare(paths, "--colours", str(table), "--phase", "val")
    assert (paths[1] / "train_label/1.png").read_bytes() == before
    assert not (paths[1] / "val_label").exists()
    prepare(paths, "--colours", str(table), "--overwrite")
    np.testing.assert_array_equal(read(paths[1] / "train_label/1.png"), blocks(2))


def test_a_damaged_file_is_named_and_the_others_are_done(
    paths: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    write(paths[0] / "1.png", PALETTE[blocks(1)])
    (paths[0] / "2.png").write_bytes((paths[0] / "1.png").read_bytes()[:100])
    labelme(paths[0] / "l" / "1.json", square("a", 0, 0, 3))
    labelme(paths[0] / "l" / "2.json", {"label": "a", "points": [[1, 1], [2, 2]]})
    for kind, folder, bad in (("colours", "", "2.png: damaged"), ("labelme", "l", "of 2 points")):
        here = (paths[0] / folder, paths[1] / kind)
        with pytest.raises(UserError) as error:
            prepare(here, "--from", kind)
        (line,) = error.value.problems
        assert bad in line
        assert [path.name for path in (here[1] / "train_label").iterdir()] == ["1.png"]
        assert "maps written: 1," in capsys.readouterr().out


def test_the_program_ends_with_2_and_one_line(tmp_path: Path) -> None:
    program = Path(__file__).parents[2] / "datasets" / "prepare_labels.py"
    command = [sys.executable, str(program), "--in", "nowhere", "--out", "set"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "error: nowhere: no such file or folder; check --in\n"


TABLE = [{"name": "a", "color": [1, 2, 3]}]


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ("", "no entries"),
        ("[1]", "entry 0 is 1, expected a name"),
        ("{", "not sound JSON"),
        ('{"a": [1, 2]}', r"entry 0 \(a\): colour \[1, 2\], expected red, green and blue"),
        ('{"a": [1, 2, 256]}', r"colour \[1, 2, 256\], expected .* from 0 to 255"),
        ('{"a": [1, 2, "x"]}', r'colour \[1, 2, "x"\], expected red'),
        ('{"a": [1, 2, 3], "b": [1, 2, 3]}', "a and b have one colour, 1,2,3"),
        (json.dumps([*TABLE, {"name": "b", "id": 0}]), r"entry 0 \(a\) has no id, but others have"),
        (json.dumps([{"name": "a", "id": -1}]), "all ids mean that nothing is known"),
        (json.dumps([{"name": "a", "id": 70000}]), "id 70000, expected numbers up to 65534"),
        ("name,red\na,1\n", 'begins with "name,red", expected JSON'),
        ("name,r,g,b\na,1,2\n", r"entry 0 has 3 columns, expected 4 \(name,r,g,b\)"),
        ("road\nsky\n", "names without colours"),
    ],
)
def test_bad_tables(table: str, said: str, paths: tuple[Path, Path], tmp_path: Path) -> None:
    write(paths[0] / "1.png", PALETTE[blocks(1)])
    (tmp_path / "table").write_text(table)
    with pytest.raises(UserError, match=said):
        prepare(paths, "--colours", str(tmp_path / "table"))
    assert not paths[1].exists()


def test_bad_input(paths: tuple[Path, Path], tmp_path: Path) -> None:
    def complaint(*flags: str, where: Path = paths[0]) -> str:
        with pytest.raises(UserError) as error:
            prepare((where, paths[1]), *flags)
        assert not paths[1].exists()
        return str(error.value)

    assert "no images (an empty folder)" in complaint()
    assert "no such file or folder" in complaint(where=tmp_path / "no")
    file = coco(paths[0] / "a.json", annotation(3, [box(0, 0, 9, 9)]))
    assert f"expected one of them: --in {file}" in complaint()
    coco(file, annotation(5, [box(0, 0, 9, 9)]))
    assert "annotation 1 is of category 5" in complaint(where=file)
    coco(file, annotation(3, [box(0, 0, 9, 9)], image_id=77))
    assert "not among the images: 77" in complaint(where=file)
    nameless = [{"id": 9, "file_name": "..", "height": 20, "width": 30}]
    coco(file, annotation(3, [box(0, 0, 9, 9)]), images=nameless)
    assert "image 9 has the file_name '..', expected the name of a picture" in complaint(where=file)
    coco(file, annotation(3, []))
    assert "no annotation has a segmentation" in complaint(where=file)
    coco(file, {"image_id": 9, "file_name": "9.png", "segments_info": []})
    assert "a: no such folder" in complaint(where=file)
    coco(file, {"image_id": 9, "segments_info": []})
    assert "has no file_name" in complaint("--masks", str(tmp_path), where=file)
    coco(file, annotation(3, [box(0, 0, 9, 9)]), categories=[{"id": 3}])
    assert "category 3 has no name" in complaint(where=file)
    coco(file, annotation(3, [box(0, 0, 9, 9)]), images=[{"id": 9, "file_name": "1.jpg"}])
    assert "image 9 has no height, width" in complaint(where=file)
    file.write_text('{"a": 1}')
    assert "neither a file of labelme (shapes) nor of COCO" in complaint(where=file)
    file.unlink()
    write(paths[0] / "1.png", blocks(1))
    assert "--instances bus: no such label; there are 0 0, 1 1" in complaint("--instances", "bus")
    assert "label 0 cannot have instances" in complaint("--instances", "0")
    assert "give one of them" in complaint("--instances", "1", "--no_instance")
    write(paths[0] / "2.png", PALETTE[blocks(1)])
    assert "give --from colours or --from labels" in complaint()
    (paths[0] / "1.png").unlink()
    assert "3 channels, expected one" in complaint("--from", "labels")
    write(paths[0] / "1.png", blocks(1))
    write(paths[0] / "1.jpg", PALETTE[blocks(1)])
    assert "train_label/1.png is made of 1.jpg already" in complaint("--from", "colours")


@pytest.mark.parametrize(
    "flags", [["--min_size", "-1"], ["--min_share", "x"], ["--from", "masks"], ["--nope"]]
)
def test_bad_flags_end_in_one_line(
    flags: list[str], paths: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end:
        prepare(paths, *flags)
    assert end.value.code == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_results_are_not_read_again(paths: tuple[Path, Path]) -> None:
    file = paths[0] / "train_label/1.png"
    file.parent.mkdir(parents=True)
    write(file, PALETTE[blocks(1)])
    for read, out in ((file.parent, paths[0]), (file.parent, file.parent), (paths[0], paths[0])):
        with pytest.raises(UserError, match=r"lies in .*, which is read; give another --out"):
            prepare((read, out), "--overwrite")
    assert [f for f in paths[0].rglob("*") if f.is_file()] == [file]


def test_a_pipe_is_told(paths: tuple[Path, Path]) -> None:
    paths[0].mkdir(parents=True, exist_ok=True)
    os.mkfifo(paths[0] / "1.png")
    with pytest.raises(UserError, match=r"1.png: a pipe, socket or device"):
        prepare(paths)
