import html
import json
import re
import shlex

import numpy as np
import pytest
from PIL import Image

from pix2pixhd.pages.data_page import DataPage, LabelExample, Sample
from pix2pixhd.pages.data_report import BAR, DataReport, LabelRow, command_lines, percent


def report(**kwargs):
    rows = [
        LabelRow(0, "", (0, 0, 0), 900, 0.9, 1000),
        LabelRow(26, "car <b>", (0, 0, 142), 90, 0.09, 50, "near empty"),
        LabelRow(255, "", (128, 128, 128), 10, 0.01, 1, "outside 0 to 34"),
    ]
    facts = [("images", "1,000"), ("label maps", "64x32 (1,000)")]
    suggestions = [("--label_nc 27", "labels reach from 0 to 26")]
    return DataReport("set, phase train", facts, labels=rows, suggestions=suggestions, **kwargs)


def text(page):
    body = re.sub(r"<style>.*?</style>", "", page, flags=re.DOTALL)
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", body)).split())


@pytest.mark.parametrize(
    ("lines", "code", "verdict"),
    [
        ({}, 0, "Sound."),
        ({"notes": ["n"]}, 0, "Sound."),
        ({"warnings": ["w"]}, 1, "look at the warnings"),
        ({"problems": ["p"], "warnings": ["w"]}, 2, "Not usable"),
    ],
)
def test_exit_code_and_verdict(lines, code, verdict):
    found = report(**lines)
    assert found.exit_code == code and verdict in found.verdict and verdict in found.text()
    assert json.loads(json.dumps(found.figures()))["exit_code"] == code


def test_the_text_fits_80_columns_and_bars_show_shares():
    found = report(problems=["word " * 40, f"/{'x' * 90}: found"], notes=["note " * 30])
    lines = found.text().splitlines()
    assert [line for line in lines if len(line) > 80] == [f"  - /{'x' * 90}:"]
    bars = [line.count("#") for line in lines if line.endswith("#")]
    assert bars == [BAR, round(BAR / 10)]
    assert any("car <b> (near empty)" in line for line in lines)
    assert any(re.match(r" +255 \(outside 0 to 34\) +1\.0% +1$", line) for line in lines)


def test_a_long_list_of_labels_is_cut():
    found = report()
    found.labels = [LabelRow(n, "", (0, 0, 0), 1, 0.01, 1) for n in range(100)]
    assert "... and 20 more" in found.text()


def test_a_command_stays_one_when_it_is_typed():
    words = ["python", "train.py", "--dataroot", "a --b " + "long/" * 20, "--no_flip", "--ngf", "8"]
    words += [f"--flag{number}" for number in range(20)]
    lines = command_lines(words)
    assert len(lines) > 2 and all(len(line) <= 80 for line in lines if "long" not in line)
    assert shlex.split("\n".join(lines).replace("\\\n", "")) == words


@pytest.mark.parametrize(
    ("share", "words"),
    [(1, "100%"), (0.1, "10%"), (0.0451, "4.5%"), (0.00094, "0.09%"), (0.00004, "<0.01%")],
)
def test_shares_in_words(share, words):
    assert percent(share) == words


def test_the_page_holds_everything_and_only_its_own_pictures(tmp_path):
    picture = np.zeros((40, 1000, 3), np.uint8)
    found = report(problems=["p <1>"], warnings=["w 1"], notes=["n 1"], command=["python", "x"])
    samples = [Sample("one", {"input_label": picture, "overlay": picture}), Sample("two", {})]
    examples = [LabelExample(26, "label 26 (car <b>)", "9 pixels of one", picture)]
    (tmp_path / "images").mkdir()
    for name in ("sample7_overlay.jpg", "label3_example.jpg", "mine.jpg"):
        (tmp_path / "images" / name).touch()
    DataPage(tmp_path / "p.html").write(found, iter(samples), iter(examples))
    page = (tmp_path / "p.html").read_text()
    words = text(page)
    for word in ("p <1>", "w 1", "n 1", "--label_nc 27", "python x", "26 car <b> near empty"):
        assert word in words
    assert words.index("p <1>") < words.index("1,000") < words.index("9 pixels of one")
    assert {file.name for file in (tmp_path / "images").iterdir()} == {
        *("sample0_input_label.jpg", "sample0_overlay.jpg", "label26_example.jpg", "mine.jpg")
    }
    assert re.findall(r"<i style=\"width: ([\d.]+)%", page) == ["100.00", "10.00", "1.11"]
    for source, width, height in re.findall(
        r'<img src="([^"]*)" width="(\d+)" height="(\d+)"', page
    ):
        assert Image.open(tmp_path / source).size == (int(width), int(height))
