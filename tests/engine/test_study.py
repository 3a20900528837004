from __future__ import annotations

import base64
import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pix2pixhd.engine.study import run, shuffled
from pix2pixhd.options.study_options import parse_study, parse_study_report
from pix2pixhd.util.errors import UserError


def gallery(root: Path, run_name: str, shade: int, count: int = 3, size=(24, 12)) -> Path:
    folder = root / "results" / run_name / "test_latest/images"
    folder.mkdir(parents=True)
    for number in range(count):
        for what, colour in (("input_label", 5), ("synthesized_image", shade), ("real_image", 9)):
            image = Image.new("RGB", size, (colour, number, 0))
            image.save(folder / f"s{number}_{what}.png")
    return folder


def write(root: Path, *words: str) -> dict:
    """The key of a study."""
    run(parse_study(["--results_dir", f"{root}/results", "--out", f"{root}/study", *words]))
    page = (root / "study/index.html").read_text()
    coded = re.search(r'id="key"[^>]*>([^<]*)<', page)
    assert coded
    return json.loads(base64.b64decode(coded[1]))


def pixel(root: Path, file: str) -> tuple[int, ...]:
    return Image.open(root / "study" / file).getpixel((0, 0))


def test_the_folder_holds_the_pairs_under_names_that_tell_nothing(tmp_path, capsys) -> None:
    gallery(tmp_path, "one", 100)
    gallery(tmp_path, "two", 200, count=4)
    key = write(tmp_path, "one", "two", "--timed", "--checks", "0.3")
    assert "The runs have 3 images in common; two has 1 more." in capsys.readouterr().out
    assert (key["x"], key["y"], len(key["times"])) == ("one", "two", 7)
    pairs = [trial for trial in key["trials"] if not trial["check"]]
    assert [trial["name"] for trial in pairs] == ["s0", "s1", "s2"]
    for number, trial in enumerate(pairs):
        assert pixel(tmp_path, trial["a"]) == (100, number, 0)
        assert pixel(tmp_path, trial["b"]) == (200, number, 0)
        assert pixel(tmp_path, trial["input"]) == (5, number, 0)
    assert len(key["trials"]) == 4
    named = {trial[what] for trial in key["trials"] for what in ("a", "b", "input")}
    there = {
        p.relative_to(tmp_path / "study").as_posix() for p in (tmp_path / "study").rglob("*.*")
    }
    assert there == {*named, "index.html"}
    assert all(re.fullmatch(r"images/[0-9a-f]{16}\.png", file) for file in named)


def test_pictures_of_an_earlier_study_go_and_other_pictures_are_another_study(tmp_path) -> None:
    gallery(tmp_path, "one", 100)
    folder = gallery(tmp_path, "two", 200)
    first, again = (write(tmp_path, "one", "two") for _ in range(2))
    assert first == again
    Image.new("RGB", (24, 12)).save(folder / "s0_synthesized_image.png")
    assert write(tmp_path, "one", "two")["study"] != first["study"]
    assert len(write(tmp_path, "one", "two", "--pairs", "1", "--checks", "0")["trials"]) == 1
    assert len(list((tmp_path / "study/images").iterdir())) == 3


def test_another_page_is_not_replaced(tmp_path) -> None:
    gallery(tmp_path, "one", 100)
    page = gallery(tmp_path, "two", 200).parent / "index.html"
    page.write_text("a gallery")
    with pytest.raises(UserError, match="would be lost; give another --out"):
        write(tmp_path, "one", "two", f"--out={page.parent}")
    assert page.read_text() == "a gallery"


def test_folders_of_other_programs_join_by_name(tmp_path) -> None:
    gallery(tmp_path, "one", 100)
    for number in range(2):
        (tmp_path / "plain").mkdir(exist_ok=True)
        Image.new("RGB", (48, 24), (7, number, 0)).save(tmp_path / f"plain/s{number}.png")
    key = write(tmp_path, "one", f"other={tmp_path}/plain")
    assert key["y"] == "other" and pixel(tmp_path, key["trials"][0]["b"]) == (7, 0, 0)


def test_pictures_are_shown_in_8_bits(tmp_path) -> None:
    gallery(tmp_path, "one", 100, count=1)
    (tmp_path / "deep").mkdir()
    deep = np.full((12, 24), 100 * 257, np.uint16)
    Image.fromarray(deep).save(tmp_path / "deep/s0.png")
    key = write(tmp_path, "one", f"deep={tmp_path}/deep")
    assert pixel(tmp_path, key["trials"][0]["b"]) == (100, 100, 100)


def test_a_broken_picture_is_the_same_pixels_elsewhere() -> None:
    image = np.random.default_rng(0).integers(0, 256, (24, 37, 3), dtype=np.uint8)
    broken = shuffled(image, 1)
    assert np.array_equal(np.sort(broken.reshape(-1)), np.sort(image.reshape(-1)))
    blocks = [np.s_[y : y + 4, x : x + 6] for y in range(0, 24, 4) for x in range(0, 36, 6)]
    assert not any(np.array_equal(image[block], broken[block]) for block in blocks)
    assert shuffled(image[:1, :1], 0).shape == (1, 1, 3)


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["one"], "needs two runs, found one"),
        (["one", "one"], "both runs are called 'one'"),
        (["one", "none"], "run test.py or evaluate.py --name none first"),
        (["one", "two", "--pairs", "9"], "--pairs 9: there are 3"),
        (["one", "two", "--checks", "2"], "--checks 2.0: must be a finite number from 0 to 1"),
        (["one", "square"], "one is 24x12, square 12x12"),
        (["one", "a={}/other"], "no image in common by name (one has s0, a has elsewhere)"),
        (["one", "broken"], "is no image that can be read"),
        (["=one", "two"], "study '=one': must be the name of a run, or name=DIR"),
        (["one", "a={}/twins"], "s0.jpg and s0.png have one name, s0"),
    ],
)
def test_mistakes_get_a_line(words, complaint, tmp_path) -> None:
    gallery(tmp_path, "one", 100)
    gallery(tmp_path, "two", 200)
    gallery(tmp_path, "square", 200, size=(12, 12))
    (gallery(tmp_path, "broken", 200) / "s1_synthesized_image.png").write_text("no image")
    (tmp_path / "other").mkdir()
    (tmp_path / "twins").mkdir()
    for file in ("other/elsewhere.png", "twins/s0.png", "twins/s0.jpg"):
        Image.new("RGB", (24, 12)).save(tmp_path / file)
    with pytest.raises(UserError) as error:
        write(tmp_path, *(word.format(tmp_path) for word in words))
    [line] = error.value.problems
    assert complaint in line


@pytest.mark.parametrize("parse", [parse_study, parse_study_report])
def test_an_empty_out_is_no_folder(parse) -> None:
    with pytest.raises(UserError, match="--out '': must name a folder"):
        parse(["one", "two", "--out="])
