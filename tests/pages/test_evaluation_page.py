"""The page of an evaluation: what it shows, and the files that it keeps."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pix2pixhd.pages.evaluation_page import EvaluationPage, Shown, add_histogram
from pix2pixhd.util.errors import UserError
from pix2pixhd.util.image import save_image, save_values

PROTOCOL = {
    "split": "test",
    "images": 4,
    "size": "12x8",
    "features": "label maps only",
    "checkpoint": {"chosen": "latest"},
}


def figure(better: str = "lower", **more: Any) -> dict[str, Any]:
    plain = {"value": 0.5, "better": better, "quote": "QUOTED", "beside": {}, "by_class": {}}
    return {**plain, "per_image": {}, "warning": "", "protocol": {**PROTOCOL, "window": 11}, **more}


def page_of(folder: Path, metrics: dict[str, Any], warning: str = "") -> str:
    shown = {}
    for number in range(4):
        file = folder / f"files/{number}.png"
        save_image(np.full((8, 12, 3), 50 * number, np.uint8), file)
        shown[f"image {number}"] = [Shown("synthesized image", file)]
    report = {"name": "run <1>", "protocol": PROTOCOL, "metrics": metrics}
    page = EvaluationPage(folder, report, shown, warning)
    page.write()
    return page.file.read_text()


@pytest.mark.parametrize("better", ["lower", "higher"])
def test_best_and_worst_images_are_shown(better: str, tmp_path: Path) -> None:
    values = {"image 0": 0.1, "image 1": None, "image 2": 0.3, "image 3": 0.2}
    text = page_of(tmp_path, {"l1": figure(better, per_image=values)})
    found = re.findall(r"<h2>(image \d)\s*<small>(best|worst): ([\d.]+)", text)
    best, worst = ("image 0", "0.1"), ("image 2", "0.3")
    if better == "higher":
        best, worst = worst, best
    assert found == [(best[0], "best", best[1]), (worst[0], "worst", worst[1])]
    thumbs = sorted((tmp_path / "evaluation_thumbs").iterdir())
    assert [file.name for file in thumbs] == ["0.jpg", "1.jpg"]
    assert 'href="files/0.png"' in text
    page_of(tmp_path, {"l1": figure()})  # shows none
    assert not list((tmp_path / "evaluation_thumbs").iterdir())


def test_figures_classes_and_protocol(tmp_path: Path) -> None:
    metrics = {
        "mean_iou": figure(by_class={"road": 0.75, "car": None}, beside={"real": 0.625}),
        "kid": figure(value=None, warning="few images"),
    }
    text = page_of(tmp_path, metrics, "chosen on these")
    assert "<title>run &lt;1&gt;: figures</title>" in text
    for part in ("real 0.625", "<td>road</td>", "0.75", "QUOTED", '<th scope="row">window</th>'):
        assert part in text
    lines = re.findall(r"<li>(.*?)</li>", text)
    assert lines == ["chosen on these", "kid: few images"]
    # What all figures share is told once.
    assert text.count('<th scope="row">split</th>') == 1
    assert "<svg" not in text


@pytest.mark.parametrize("values", [[0.0, 1.0, 1.0, 5.0], [2.0, 2.0]])
def test_the_histogram_holds_every_image(values: list[float]) -> None:
    from dominate import tags

    with tags.div() as around:
        add_histogram("l1", values)
    counts = [int(n) for n in re.findall(r"<title>(\d+):", around.render())]
    assert sum(counts) == len(values)


def test_pictures_of_16_bits_have_thumbnails(tmp_path: Path) -> None:
    file = tmp_path / "deep.png"
    save_values(np.full((1, 8, 12), 200 * 257, np.uint16), file)
    page = EvaluationPage(tmp_path, {}, {})
    with Image.open(page._thumbnail(file)) as thumbnail:
        assert abs(np.asarray(thumbnail).astype(int) - 200).max() <= 2
    (broken := tmp_path / "broken.png").write_text("none")
    with pytest.raises(UserError, match=r"broken\.png: cannot be read"):
        page._thumbnail(broken)
