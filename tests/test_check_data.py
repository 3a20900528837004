"""`check_data.py`: what is found out, what is told, and with which exit code it ends."""

from __future__ import annotations

import json
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from programs import AS_FILES_ARE, Outcome, run_train, tiny_run, write_tiny_data
from programs import _run as run_words
from shared_data import shared
from test_bad_input import DATA_FAULTS, complaint, mask_of_255

import check_data
from pix2pixhd.options.fields import flat
from pix2pixhd.options.parsing import parse_check, parse_train


def run_check(*argv: str | Path) -> Outcome:
    """`python check_data.py ARGV` within this process."""
    return run_words(lambda words: check_data.main(*parse_check(words)), argv)


def look_at(data: Path, *flags: str | Path) -> Outcome:
    return run_check("--dataroot", data, "--out", data.parent / "page/index.html", *flags)


def command(outcome: Outcome) -> list[str]:
    """The words of the command at the end."""
    below = outcome.out.partition("\nNext")[2].partition("\n")[2].partition("\n\n")[0]
    words = shlex.split(below.replace("\\\n", ""))  # as a shell goes on in the next line
    assert words[:1] == ["python"]
    return words[1:]


def test_sound_data_and_the_command_that_trains_on_them(tmp_path: Path) -> None:
    outcome = look_at(write_tiny_data(tmp_path), "--json", tmp_path / "figures.json")
    assert (outcome.code, outcome.err) == (0, "")
    page = (tmp_path / "page/index.html").read_text()
    for word in ("--label_nc 5", "32x16 (4)", "labels reach from 0 to 4"):
        assert word in outcome.out and word in page
    figures = json.loads((tmp_path / "figures.json").read_text())
    assert figures["exit_code"] == 0 and figures["images"] == 4
    dataroot = str(tmp_path / "data")
    assert figures["flags"] == {"dataroot": dataroot, "label_nc": 5, "loadSize": 32}
    assert figures["sizes"]["image"] == {"32x16": 4}
    maps = [np.asarray(Image.open(f)) for f in (tmp_path / "data/train_label").iterdir()]
    pixels = np.bincount(np.concatenate(maps).ravel())
    assert [row["pixels"] for row in figures["labels"]] == pixels.tolist()
    program, *argv = command(outcome)
    assert program == "train.py"
    options = flat(parse_train(argv))
    assert (options["label_nc"], options["loadSize"], options["instance"]) == (5, 32, True)
    short = ("--niter", "1", "--niter_decay", "0", "--no_html")
    flags = tiny_run(tmp_path, "named")[4:]  # without its name and data set
    flags = tuple(word for word in flags if word not in AS_FILES_ARE)
    assert run_train(*argv, *flags, *short).code == 0


def test_no_instances_and_no_page(tmp_path: Path) -> None:
    data = write_tiny_data(tmp_path)
    shutil.rmtree(data / "train_inst")
    outcome = look_at(data, "--no_page")
    assert outcome.code == 0 and "--no_instance" in command(outcome)
    assert not (tmp_path / "page").exists()


def test_flags_that_are_given_count(tmp_path: Path) -> None:
    data = write_tiny_data(tmp_path)
    outcome = look_at(data, "--label_nc", "3", "--no_page", "--loadSize", "64")
    assert outcome.code == 2 and "(--label_nc 3)" in outcome.out
    assert "outside 0 to 2" in outcome.out and "you gave --label_nc 3" in outcome.out
    options = flat(parse_train(command(outcome)[1:]))
    assert (options["label_nc"], options["loadSize"]) == (3, 64)
    shutil.rmtree(data / "train_inst")
    outcome = look_at(data, "--instance", "--no_page")
    assert outcome.code == 2 and "train_inst: no such folder" in outcome.err


def test_a_run_lends_its_options(tmp_path: Path) -> None:
    data = write_tiny_data(tmp_path)
    flags = ("--niter", "1", "--niter_decay", "0", "--no_html")
    assert run_train(*tiny_run(tmp_path), *flags).code == 0
    where = ("--name", "tiny", "--checkpoints_dir", tmp_path / "ck", "--no_page")
    options, told = parse_check([str(word) for word in where])
    assert options.data.dataroot == str(data) and {"ngf", "dataroot"} <= told
    outcome = run_check(*where)
    assert outcome.code == 0 and "--ngf 4" in " ".join(command(outcome))


def test_image_to_image_is_found(tmp_path: Path) -> None:
    data = write_tiny_data(tmp_path)
    shutil.rmtree(data / "train_inst")
    (data / "train_img").rename(data / "train_B")
    shutil.copytree(data / "train_label", data / "train_A")
    shutil.rmtree(data / "train_label")
    outcome = look_at(data)
    assert outcome.code == 0 and "--input_nc 1" in outcome.out
    options = flat(parse_train(command(outcome)[1:]))
    assert (options["label_nc"], options["input_nc"], options["instance"]) == (0, 1, False)
    assert (tmp_path / "page/images/sample0_input_image.jpg").exists()


def test_a_test_set_needs_no_photographs(tmp_path: Path) -> None:
    data = write_tiny_data(tmp_path, phase="test")
    shutil.rmtree(data / "test_img")
    outcome = look_at(data, "--phase", "test")
    assert outcome.code == 0 and "4, without photographs" in outcome.out
    assert command(outcome)[0] == "test.py" and "test" in command(outcome)


def test_names_beside_the_data_are_taken(tmp_path: Path) -> None:
    data = write_tiny_data(tmp_path)
    names = data / "labels.json"
    names.write_text(json.dumps(["sky", "road", "car", "tree", "wall"]))
    outcome = look_at(data, "--no_page")
    assert " car " in outcome.out and str(names) in command(outcome)
    names.write_text(json.dumps(["sky"]))
    assert "labels.json" not in look_at(data, "--no_page").out


def test_a_folder_of_photographs_alone_is_shown_the_way(tmp_path: Path) -> None:
    data = write_tiny_data(tmp_path)
    assert "datasets/prepare_*.py make such" in complaint(look_at(data / "train_img"))


def test_no_data_set_is_one_line(tmp_path: Path) -> None:
    line = complaint(look_at(tmp_path / "nowhere"))
    assert "nowhere/train_label: no such folder" in line and "--dataroot" in line
    assert "index.html" in complaint(run_check("--out", tmp_path))


# 255 in a single map of several labels is taken for the label to ignore.
FAULTS = [fault for fault in DATA_FAULTS if fault[0] is not mask_of_255]


@pytest.mark.parametrize(("spoil", "words"), FAULTS, ids=lambda v: getattr(v, "__name__", ""))
def test_what_training_refuses(
    tmp_path: Path, spoil: Callable[[Path], None], words: tuple[str, ...]
) -> None:
    data = write_tiny_data(tmp_path)
    spoil(data)
    outcome = look_at(data, "--label_nc", "5")
    told = " ".join((outcome.out + outcome.err).split())
    assert outcome.code == 2
    for word in words:
        assert word in told


def test_masks_of_255(tmp_path: Path) -> None:
    data = write_tiny_data(tmp_path)
    for file in (data / "train_label").iterdir():
        Image.fromarray(np.tile(np.uint8([0, 255]), (16, 16))).save(file)
    outcome = look_at(data, "--no_page")
    assert outcome.code == 2 and "Divide the mask by 255" in " ".join(outcome.out.split())
    assert "--label_nc 2" in " ".join(command(outcome))


def leak(data: Path) -> None:
    write_tiny_data(data.parent, phase="test", count=3)
    shutil.copy(data / "train_img/scene_1.png", data / "test_img/scene_0.png")


def repeat_photograph(data: Path) -> None:
    shutil.copy(data / "train_img/scene_1.png", data / "train_img/scene_0.png")


def repeat_label_map(data: Path) -> None:
    shutil.copy(data / "train_label/scene_1.png", data / "train_label/scene_0.png")


def jpeg_labels(data: Path) -> None:
    Image.new("L", (32, 16)).save(data / "train_label/scene_0.jpg")
    (data / "train_label/scene_0.png").unlink()


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (leak, "train_img/scene_1.png: the same photograph as"),
        (repeat_photograph, "the same photograph as"),
        (repeat_label_map, "train_label/scene_0.png: the same label map as"),
        (jpeg_labels, "this label map is a JPEG"),
    ],
)
def test_what_is_worth_a_look(tmp_path: Path, spoil: Callable[[Path], None], words: str) -> None:
    data = write_tiny_data(tmp_path)
    shutil.rmtree(data / "train_inst")
    spoil(data)
    outcome = look_at(data, "--no_page")
    assert outcome.code == 1 and words in " ".join(outcome.out.split())


def test_alike_by_right(tmp_path: Path) -> None:
    """A pair that is there twice is one warning, and empty masks are none."""
    data = write_tiny_data(tmp_path)
    shutil.rmtree(data / "train_inst")
    for number in (0, 1):
        Image.new("L", (32, 16)).save(data / f"train_label/scene_{number}.png")
    for folder in ("train_label", "train_img"):
        shutil.copy(data / folder / "scene_2.png", data / folder / "scene_3.png")
    outcome = look_at(data, "--no_page")
    assert outcome.out.count("the same photograph") == 1
    assert "the same label map" not in outcome.out


def test_an_ignored_label_is_found_and_shown(tmp_path: Path) -> None:
    data = write_tiny_data(tmp_path)
    shutil.rmtree(data / "train_inst")
    label = np.asarray(Image.open(data / "train_label/scene_0.png")).copy()
    label[:4] = 255
    Image.fromarray(label).save(data / "train_label/scene_0.png")
    outcome = look_at(data)
    assert outcome.code == 0 and "255 (ignored)" in outcome.out
    options = flat(parse_train(command(outcome)[1:]))
    assert (options["label_nc"], options["ignore_label"]) == (5, 255)
    assert (tmp_path / "page/images/label255_example.jpg").exists()


def test_camvid(tmp_path: Path) -> None:
    data = shared("camvid")
    outcome = run_check(
        "--dataroot", data, "--out", tmp_path / "p.html", "--max_dataset_size", "40"
    )
    assert outcome.code == 0 and "480x360 (40)" in outcome.out
    options = flat(parse_train(command(outcome)[1:]))
    assert (options["label_nc"], options["instance"], options["loadSize"]) == (12, False, 480)


def test_cityscapes(tmp_path: Path) -> None:
    data = shared("cityscapes_sample")
    outcome = run_check("--dataroot", data, "--no_page", "--max_dataset_size", "2")
    assert outcome.code == 0 and "26 car" in outcome.out and "--label_nc 35" in outcome.out
    assert command(outcome)[1:5] == ["--name", "cityscapes_sample", "--dataroot", str(data)]


def test_notes_of_the_check_are_no_warnings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = ["note: just so", "warning: look here"]
    monkeypatch.setattr(check_data, "validate_dataset", lambda *_, **__: lines[:])
    outcome = look_at(write_tiny_data(tmp_path), "--no_page")
    assert outcome.code == 1 and "Warnings\n  - look here" in outcome.out
    lines.pop()
    outcome = look_at(tmp_path / "data", "--no_page")
    assert outcome.code == 0 and "Notes\n  - just so" in outcome.out
