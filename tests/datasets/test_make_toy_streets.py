"""The toy street generator: what it writes, that it repeats itself, and what its colours record."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

import make_toy_streets as toys
from toy_streets import files, painter

SCRIPT = Path(__file__).parents[2] / "datasets" / "make_toy_streets.py"

TRAIN, TEST = 3, 2
ARGUMENTS = ["--train", str(TRAIN), "--test", str(TEST), "--seed", "5"]
BUILDING, PERSON, RIDER, CAR, BICYCLE = 11, 24, 25, 26, 33
COUNTABLE = {BUILDING, PERSON, RIDER, CAR, BICYCLE}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small set that no test changes."""
    out: Path = tmp_path_factory.mktemp("toys") / "streets"
    assert toys.main(["--out", str(out), *ARGUMENTS]) == 0
    return out


class Body(NamedTuple):
    """One instance: its label, its area in pixels, the colour on record and its mean colour."""

    label: int
    area: int
    recorded: NDArray[np.float64]
    seen: NDArray[np.float64]


@pytest.fixture(scope="module")
def bodies() -> list[Body]:
    """The coloured instances of 30 streets, specks aside."""
    found = []
    for index in range(30):
        drawing = painter.draw_street(1, "train", index, 128, 64)
        for ident, colour in drawing.colours.items():
            mask = drawing.ids == ident
            if mask.sum() >= 20:
                mean = drawing.image[mask].mean(axis=0)
                found.append(Body(ident // 1000, int(mask.sum()), np.array(colour, float), mean))
    return found


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def array(path: Path) -> NDArray[np.int64]:
    return np.asarray(Image.open(path)).astype(np.int64)


def test_folders_hold_the_triples(made: Path) -> None:
    names = {path.name for path in made.iterdir()}
    folders = {
        f"{phase}_{kind}" for phase in ("train", "test") for kind in ("label", "inst", "img")
    }
    assert names == folders | {"colours.json", "toy_streets.json"}
    for folder in folders:
        count = TRAIN if folder.startswith("train") else TEST
        wanted = [f"street_{index:04d}.png" for index in range(count)]
        assert sorted(path.name for path in (made / folder).iterdir()) == wanted


def test_modes_and_sizes(made: Path) -> None:
    for kind, mode in (("label", "L"), ("inst", "I;16"), ("img", "RGB")):
        for path in made.glob(f"*_{kind}/*.png"):
            with Image.open(path) as image:
                assert (image.mode, image.size) == (mode, (256, 128))


def test_instances_agree_with_labels(made: Path) -> None:
    seen: set[int] = set()
    for path in made.glob("*_label/*.png"):
        label = array(path)
        inst = array(Path(str(path).replace("_label", "_inst")))
        countable = inst >= 1000
        np.testing.assert_array_equal(np.where(countable, inst // 1000, inst), label)
        assert set(np.unique(label[countable])) <= COUNTABLE
        assert not COUNTABLE & set(np.unique(label[~countable]))
        seen |= set(np.unique(label).tolist())
    assert seen <= set(range(35))
    road, sidewalk, pole, sign, vegetation, sky = 7, 8, 17, 20, 21, 23
    assert {road, sidewalk, pole, sign, vegetation, sky, BUILDING, PERSON, CAR} <= seen


def test_colours_name_the_instances_in_sight(made: Path) -> None:
    colours = json.loads((made / "colours.json").read_text())
    for phase, count in (("train", TRAIN), ("test", TEST)):
        assert len(colours[phase]) == count
        for name, recorded in colours[phase].items():
            ids = set(np.unique(array(made / f"{phase}_inst" / f"{name}.png")).tolist())
            coloured = {i for i in ids if i >= 1000 and i // 1000 != BICYCLE}
            assert {int(key) for key in recorded} == coloured
            assert all(0 <= channel <= 255 for rgb in recorded.values() for channel in rgb)


def test_same_seed_same_bytes(made: Path, tmp_path: Path) -> None:
    toys.main(["--out", str(tmp_path / "again"), *ARGUMENTS])
    assert contents(tmp_path / "again") == contents(made)
    toys.main(["--out", str(tmp_path / "other"), *ARGUMENTS[:-1], "6"])
    pictures = contents(tmp_path / "other")
    assert pictures["test_img/street_0000.png"] != contents(made)["test_img/street_0000.png"]


def test_small_set_is_the_beginning_of_a_large_one(made: Path, tmp_path: Path) -> None:
    toys.main(["--out", str(tmp_path / "few"), "--train", "1", "--test", "1", "--seed", "5"])
    large = contents(made)
    for name, content in contents(tmp_path / "few").items():
        if name.endswith(".png"):
            assert large[name] == content


def test_pool_of_processes_draws_the_same(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "_WORTH_A_POOL", 2)
    toys.main(["--out", str(tmp_path / "pooled"), *ARGUMENTS])
    assert contents(tmp_path / "pooled") == contents(made)


@pytest.mark.parametrize("label", [BUILDING, PERSON, CAR])
def test_recorded_colour_is_the_colour_one_sees(label: int, bodies: list[Body]) -> None:
    recorded = np.array([body.recorded for body in bodies if body.label == label])
    seen = np.array([body.seen for body in bodies if body.label == label])
    assert len(recorded) > 30
    for channel in range(3):
        assert np.corrcoef(recorded[:, channel], seen[:, channel])[0, 1] > 0.6


def test_label_map_does_not_give_a_colour_away(bodies: list[Body]) -> None:
    cars = [body for body in bodies if body.label == CAR]
    area = np.log([car.area for car in cars])
    for channel in range(3):
        recorded = np.array([car.recorded[channel] for car in cars])
        assert recorded.std() > 40
        # Three standard errors of a correlation that is not there.
        assert abs(np.corrcoef(recorded, area)[0, 1]) < 3 / np.sqrt(len(cars))


def test_scene_keeps_its_layout_at_another_size() -> None:
    small = painter.draw_street(3, "test", 2, 128, 64)
    large = painter.draw_street(3, "test", 2, 256, 128)
    assert small.image.shape == (64, 128, 3)
    assert np.mean(large.ids[1::2, 1::2] == small.ids) > 0.9


@pytest.mark.parametrize(
    "arguments",
    [
        ["--width", "0"],
        ["--height", "99999"],
        ["--width", "wide"],
        ["--height", "--128"],
        ["--train", "-1"],
        ["--test", "1.5"],
        ["--seed", "-3"],
        ["--no-such-option"],
    ],
)
def test_bad_arguments_end_in_one_line(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end:
        toys.main(["--out", str(tmp_path / "toys"), *arguments])
    assert end.value.code == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert not (tmp_path / "toys").exists()


def test_script_refuses_a_file_as_its_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    command = [sys.executable, str(SCRIPT), "--out", str(tmp_path / "file")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "Traceback" not in done.stderr


def test_again_is_a_no_op(made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = {path: path.stat().st_mtime_ns for path in made.rglob("*")}
    assert toys.main(["--out", str(made), *ARGUMENTS]) == 0
    assert capsys.readouterr().out.count("\n") == 1
    assert {path: path.stat().st_mtime_ns for path in made.rglob("*")} == before


def test_other_content_is_replaced_only_by_force(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    small, more = ["--train", "0", "--test", "1"], ["--train", "0", "--test", "2"]
    out = ["--out", str(tmp_path)]
    assert toys.main([*out, *more]) == 0
    before = contents(tmp_path)
    capsys.readouterr()
    with pytest.raises(SystemExit) as end:
        toys.main([*out, *small])
    assert end.value.code == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert contents(tmp_path) == before
    assert toys.main([*out, *small, "--force"]) == 0
    assert [path.name for path in (tmp_path / "test_img").iterdir()] == ["street_0000.png"]


def test_incomplete_set_does_not_pass_for_whole(made: Path, tmp_path: Path) -> None:
    out = tmp_path / "toys"
    shutil.copytree(made, out)
    (out / "train_inst" / "street_0001.png").unlink()
    with pytest.raises(SystemExit):
        toys.main(["--out", str(out), *ARGUMENTS])
    assert toys.main(["--out", str(out), *ARGUMENTS, "--force"]) == 0
    assert contents(out) == contents(made)


@pytest.mark.parametrize("scenes", [20, 2000], ids=["one process", "several"])
def test_ctrl_c_ends_quietly_and_what_it_leaves_is_no_obstacle(scenes: int, tmp_path: Path) -> None:
    # Large pictures where there is one process, so that it does not end before it is stopped.
    size = ["--width", "1024", "--height", "1024"] if scenes < 24 else []
    command = [sys.executable, str(SCRIPT), "--out", str(tmp_path / "toys")]
    process = subprocess.Popen(
        [*command, "--train", str(scenes), *size], stderr=subprocess.PIPE, start_new_session=True
    )
    give_up = time.monotonic() + 60
    while not list(tmp_path.glob("toys/train_img/*.png")) and time.monotonic() < give_up:
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGINT)
    _, printed = process.communicate(timeout=60)
    assert (process.returncode, printed) == (130, b"")
    assert not (tmp_path / "toys" / "toy_streets.json").exists()
    assert toys.main(["--out", str(tmp_path / "toys"), *ARGUMENTS]) == 0
    assert len(list(tmp_path.glob("toys/*_img/*"))) == TRAIN + TEST
    assert not list(tmp_path.glob("toys/*.tmp"))


def test_pictures_are_those_of_the_first_edition() -> None:
    """Sets that were made at other times must agree; who changes pictures raises `_EDITION`."""
    exact, means = hashlib.sha256(), []
    for seed, index, size in ((0, 0, (256, 128)), (5, 7, (97, 61)), (2018, 3, (512, 256))):
        drawing = painter.draw_street(seed, "test", index, *size)
        exact.update(drawing.ids.tobytes() + json.dumps(drawing.colours).encode())
        means += drawing.image.mean(axis=(0, 1)).tolist()
    digest = "fe8e21c5e3b5e56df6c7e10355651727590241f9550de261153edb361d9a57fa"
    assert exact.hexdigest() == digest
    # Sky, haze and grain go through NumPy's exp and FFT, whose last bits depend on the processor.
    red_green_blue = [105.2715, 119.2736, 120.1266, 122.1141, 112.4567, 103.59]
    assert means == pytest.approx([*red_green_blue, 126.5038, 137.3734, 137.3225], abs=1e-3)
