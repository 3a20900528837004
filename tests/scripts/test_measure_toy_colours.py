"""The measure of toy colours on pictures whose answer is known."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from scripts import measure_toy_colours as program
from util.errors import UserError

WIDTH, HEIGHT, SCENES, CARS = 96, 32, 6, 6
ROAD, SKY, RIDER, PERSON, BUILDING, CAR = 7, 23, 25, 24, 11, 26
Pixels = NDArray[np.uint8]
Painter = Callable[[NDArray[np.int32], dict[int, list[int]]], Pixels]


def write_set(root: Path) -> dict[str, tuple[NDArray[np.int32], dict[int, list[int]]]]:
    """Streets with six cars, a person, a building and a rider; {scene: (ids, colours)}."""
    random = np.random.default_rng(3)
    (root / "test_inst").mkdir(parents=True)
    scenes = {}
    for number in range(SCENES):
        ids = np.full((HEIGHT, WIDTH), ROAD, np.int32)
        ids[:8] = SKY
        ids[:8, :20] = BUILDING * 1000
        ids[9:19, :8] = PERSON * 1000
        ids[9:19, 84:92] = RIDER * 1000
        for car in range(CARS):
            ids[21:29, car * 14 : car * 14 + 8] = CAR * 1000 + car
        colours = {
            int(id_): random.integers(0, 256, 3).tolist() for id_ in np.unique(ids[ids >= 1000])
        }
        Image.fromarray(ids.astype(np.uint16)).save(root / "test_inst" / f"street_{number}.png")
        scenes[f"street_{number}"] = ids, colours
    recorded = {
        name: {str(id_): c for id_, c in found.items()} for name, (_, found) in scenes.items()
    }
    (root / "colours.json").write_text(json.dumps({"train": {}, "test": recorded}))
    return scenes


def in_true_colours(ids: NDArray[np.int32], colours: dict[int, list[int]]) -> Pixels:
    """Each instance in its colour, under a weak light; all else gray."""
    picture = np.full((*ids.shape, 3), 100, np.uint8)
    for id_, colour in colours.items():
        picture[ids == id_] = np.array(colour) * 0.5 + 20
    return picture


def in_random_colours(ids: NDArray[np.int32], colours: dict[int, list[int]]) -> Pixels:
    """Each instance in a colour that has nothing to do with its own."""
    random = np.random.default_rng(int(ids.sum()) + sum(map(sum, colours.values())))
    return in_true_colours(ids, {id_: random.integers(0, 256, 3).tolist() for id_ in colours})


def write_results(root: Path, painters: list[Painter], ending: str = "png") -> Path:
    """The data set at `root/data`, and a picture by each painter of every scene."""
    images = root / "results" / "images"
    images.mkdir(parents=True)
    for name, scene in write_set(root / "data").items():
        for style, paint in enumerate(painters, 1):
            number = f"_{style}" if style > 1 else ""
            file = images / f"{name}_synthesized_image{number}.{ending}"
            Image.fromarray(paint(*scene)).save(file)
    return root / "results"


def test_true_colours_correlate(tmp_path: Path) -> None:
    results = write_results(tmp_path, [in_true_colours])
    pairs, differences, scenes = program.measure(tmp_path / "data", results)
    assert (scenes, differences) == (SCENES, None)
    counts = [pairs.count(label) for label in (CAR, PERSON, BUILDING)]
    assert counts == [SCENES * CARS, SCENES, SCENES]
    for label in (CAR, PERSON, BUILDING):
        assert pairs.correlations(label) == pytest.approx([1, 1, 1], abs=0.01)


def test_unrelated_colours_do_not(tmp_path: Path) -> None:
    results = write_results(tmp_path, [in_random_colours])
    pairs, _, _ = program.measure(tmp_path / "data", results)
    # 36 cars: the standard error of a zero correlation is 0.17, that of the mean of three 0.1.
    assert abs(pairs.correlations(CAR).mean()) < 0.3


def test_channels_are_measured_apart(tmp_path: Path) -> None:
    def red_only(ids: NDArray[np.int32], colours: dict[int, list[int]]) -> Pixels:
        picture = in_true_colours(ids, colours)
        picture[..., 1] = 80
        picture[..., 2] = 255 - picture[..., 2]
        return picture

    pairs, _, _ = program.measure(tmp_path / "data", write_results(tmp_path, [red_only]))
    red, green, blue = pairs.correlations(CAR)
    assert red > 0.99
    assert np.isnan(green)
    assert blue < -0.99


def test_small_instances_are_left_out(tmp_path: Path) -> None:
    results = write_results(tmp_path, [in_true_colours])
    for min_area, cars in ((64, SCENES * CARS), (65, 0)):
        pairs, _, _ = program.measure(tmp_path / "data", results, min_area=min_area)
        assert pairs.count(CAR) == cars
    assert np.isnan(pairs.correlations(CAR)).all()


def shifted(where: Callable[[NDArray[np.int32]], NDArray[np.bool_]], by: int) -> Painter:
    """Gray pictures, brighter by `by` at some pixels."""

    def paint(ids: NDArray[np.int32], colours: dict[int, list[int]]) -> Pixels:
        picture = np.full((*ids.shape, 3), 100, np.uint8)
        picture[where(ids)] += by
        return picture

    return paint


def near_cars(ids: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Cars and what is at most 2 rows above or below them."""
    cars = ids // 1000 == CAR
    return np.logical_or.reduce([np.roll(cars, shift, axis=0) for shift in range(-2, 3)])


def test_styles_that_differ_on_cars(tmp_path: Path) -> None:
    # Of 100, 100 + 30 and 100 - 0 the deviation is sqrt(2) / 3 * 30.
    painters = [shifted(near_cars, by) for by in (0, 30, 0)]
    results = write_results(tmp_path, painters)
    _, differences, _ = program.measure(tmp_path / "data", results, band=2)
    assert differences is not None
    assert differences.mean("car") == pytest.approx(30 * 2**0.5 / 3, abs=1e-3)
    assert differences.mean("person, building") == 0
    assert differences.mean("elsewhere") == 0
    assert differences.pixels["car"] == SCENES * CARS * 64
    _, blurred, _ = program.measure(tmp_path / "data", results, band=1)
    assert blurred is not None
    assert blurred.mean("elsewhere") > 0


@pytest.mark.parametrize(
    ("label", "name"),
    [(PERSON, "person, building"), (BUILDING, "person, building"), (SKY, "elsewhere"), (RIDER, "")],
)
def test_styles_that_differ_on_other_things(label: int, name: str, tmp_path: Path) -> None:
    def where(ids: NDArray[np.int32]) -> NDArray[np.bool_]:
        return (ids == label) | (ids // 1000 == label)

    results = write_results(tmp_path, [shifted(where, by) for by in (0, 40)])
    _, differences, _ = program.measure(tmp_path / "data", results, band=0)
    assert differences is not None
    assert {kind for kind in differences.pixels if differences.mean(kind)} == {name} - {""}


def test_pictures_of_another_size_and_in_jpeg(tmp_path: Path) -> None:
    def enlarged(ids: NDArray[np.int32], colours: dict[int, list[int]]) -> Pixels:
        return in_true_colours(ids, colours).repeat(2, axis=0).repeat(2, axis=1)

    results = write_results(tmp_path, [enlarged], ending="jpg")
    pairs, _, _ = program.measure(tmp_path / "data", results, min_area=256)
    assert pairs.count(CAR) == SCENES * CARS
    assert pairs.correlations(CAR).min() > 0.99


def test_prints_a_table_for_each_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    results = write_results(tmp_path, [in_true_colours, in_random_colours])
    folders = [str(results), str(results)]
    program.main(["--dataroot", str(tmp_path / "data"), "--results", *folders])
    printed = capsys.readouterr().out
    assert printed.splitlines()[0].count("torch") == 1
    assert printed.count(f"{results}: {SCENES} scenes, {SCENES * CARS} cars") == 2
    assert printed.count("| r red |") == printed.count("deviation across styles") == 2


def _without(path: str) -> Callable[[Path], None]:
    return lambda root: (root / path).unlink()


def _with(path: str, text: str) -> Callable[[Path], None]:
    return lambda root: (root / path).write_text(text) and None


def _crop(root: Path) -> None:
    file = root / "results/images/street_0_synthesized_image.png"
    Image.new("RGB", (HEIGHT, HEIGHT)).save(file)


@pytest.mark.parametrize(
    ("break_it", "flags", "message"),
    [
        (_without("data/colours.json"), (), "colours.json: not found"),
        (_with("data/colours.json", "{"), (), "colours.json: cannot be read"),
        (_with("data/colours.json", "[]"), (), "colours.json: has no phase 'test'"),
        (_with("data/colours.json", '{"test": {"street_0": {}}}'), (), "has no instance 11000"),
        (_without("data/test_inst/street_1.png"), (), "test_inst/street_1.png: not found"),
        (_with("data/test_inst/street_1.png", "no"), (), "test_inst/street_1.png: is no picture"),
        (_without("results/images/street_1_synthesized_image_2.png"), (), "street_1 has 1 styles"),
        (_crop, (), "render without cropping"),
        (lambda root: None, ("--phase", "val"), "has no phase 'val'"),
        (lambda root: None, ("--phase", "train"), "has no images/<scene>_synthesized_image.png"),
    ],
)
def test_what_is_missing_is_named(
    break_it: Callable[[Path], None], flags: tuple[str, ...], message: str, tmp_path: Path
) -> None:
    results = write_results(tmp_path, [in_true_colours, in_true_colours])
    break_it(tmp_path)
    argv = ["--dataroot", str(tmp_path / "data"), "--results", str(results), *flags]
    with pytest.raises(UserError, match=message) as caught:
        program.main(argv)
    assert len(caught.value.problems) == 1


def test_runs_from_any_folder(tmp_path: Path) -> None:
    argv = [sys.executable, program.__file__, "--dataroot", "nowhere", "--results", "none"]
    ended = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True)
    assert ended.returncode == 2
    assert ended.stderr.startswith("error: nowhere/colours.json: not found")
    assert ended.stderr.count("\n") == 1
