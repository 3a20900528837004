import json
import os
import re
from urllib.parse import unquote

import numpy as np
import pytest
from PIL import Image

from pix2pixhd.engine.comparison import read_results, run
from pix2pixhd.options.compare_options import parse_compare
from pix2pixhd.pages.gallery import ResultsGallery
from pix2pixhd.util.errors import UserError
from pix2pixhd.util.image_writer import ImageWriter
from pix2pixhd.util.labels import label_set

KINDS = ["input_label", "synthesized_image", "real_image"]


def write_gallery(root, name, names, metrics=None):
    folder = root / name / "test_latest"
    gallery = ResultsGallery(folder, name, KINDS, label_set(5))
    gallery.reserve(names)
    gallery.plan()
    with ImageWriter() as writer:
        for image in names:
            gallery.add_pictures(writer, image, {k: np.zeros((8, 16, 3), np.uint8) for k in KINDS})
    gallery.write()
    if metrics:
        (folder / "metrics.json").write_text(json.dumps({"metrics": metrics}))
    return folder


def write_images(folder, names, dtype=np.uint8):
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        shape = (8, 16, 3) if dtype is np.uint8 else (8, 16)
        Image.fromarray(np.full(shape, 200 * 257 if dtype is np.uint16 else 200, dtype)).save(
            folder / f"{name}.png"
        )
    return folder


def compare(root, *words):
    options = parse_compare([*words, "--results_dir", str(root)])
    run(options)
    return options.page_file


def rows(page):
    return re.findall(r'data-name="(.*?)"', page.read_text())


def test_galleries_and_a_folder_are_joined_by_name(tmp_path, capsys):
    write_gallery(tmp_path, "a", ["f_10", "f_2", "c/f_3"])
    write_gallery(tmp_path, "b", ["f_2", "c/f_3", "f_10", "more"])
    plain = write_images(tmp_path / "plain x#1", ["f_2", "f_3"])
    page = compare(tmp_path, "a", "b", f"other={plain}")
    assert page == tmp_path / "compare_a_b_other/index.html"
    assert rows(page) == ["f_2", "f_3"]
    line = "The runs have 2 images in common; a has 1 more, b has 2 more."
    assert line in page.read_text() and line in capsys.readouterr().out
    links = re.findall(r'(?:href|src)="([^"]+)"', page.read_text())
    assert len(links) == 2 * 5 * 2  # input, real and three runs, small and large
    assert all((page.parent / unquote(link)).is_file() for link in links)
    captions = re.findall(r"<figcaption>(.*?)</figcaption>", page.read_text())
    assert captions[:5] == ["input label", "real image", "a", "b", "other"]


def test_figures_of_the_runs_are_on_the_page(tmp_path):
    for name, value in (("a", 0.25), ("b", 0.5)):
        of_images = {"c/f": value, "g": 0.75}
        metrics = {"lpips": {"value": value, "better": "lower", "per_image": of_images}}
        write_gallery(tmp_path, name, ["c/f", "g"], metrics)
    text = compare(tmp_path, "a", "b").read_text()
    assert "0.25 ✓" in text and "0.5 ✓" not in text
    assert text.count("lpips 0.75") == 2 and text.count("lpips 0.25") == 1


def test_fewer_images_and_thumbnails_of_an_earlier_page_go(tmp_path):
    for name in "ab":
        write_images(tmp_path / name, ["f", "g"], np.uint16 if name == "b" else np.uint8)
    words = (f"a={tmp_path / 'a'}", f"b={tmp_path / 'b'}")
    page = compare(tmp_path, *words)
    thumbs = page.parent / "index_thumbs"
    assert len(list(thumbs.rglob("*.jpg"))) == 4
    with Image.open(thumbs / "1/f.jpg") as of_16_bits:
        assert abs(int(np.asarray(of_16_bits).mean()) - 200) < 3
    page = compare(tmp_path, *words, "--how_many", "1")
    assert rows(page) == ["f"] and len(list(thumbs.rglob("*.jpg"))) == 2


def test_the_references_own_results_are_read(tmp_path):
    write_images(tmp_path / "images", [f"f_{kind}" for kind in KINDS])
    results = read_results("x", tmp_path)
    assert list(results.images) == ["f"] and set(results.beside) == {"input_label", "real_image"}


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["a"], "compare: needs two runs or more, 1 given"),
        (["a", "a"], "names a run twice"),
        (["a", "b="], "compare 'b=': must be the name of a run, or name=DIR"),
        (["a", "nowhere"], "run test.py or evaluate.py --name nowhere first, or give nowhere=DIR"),
        (["a", "b={tmp}/empty"], "no images (an empty folder)"),
        (["a", "b={tmp}/small"], "small: holds no images of the run 'b'"),
        (["a", "b={tmp}/twins"], "f.bmp and f.png have one name, f; remove one"),
        (["a", "b={tmp}/others"], "no image in common by name (a has f, b has g)"),
        (["a", "b={tmp}/broken"], "f.png: cannot be read as an image"),
        (["a", "b={tmp}/gone"], "f.png: cannot be read as an image"),
        (["a", "b={tmp}/odd"], "metrics.json: is not a metrics.json of evaluate.py"),
        (["a", "b", "--how_many", "0"], "--how_many 0: must be a whole number of 1 or more"),
        (["a", "b", "--out", "x"], "--out x: must name a page, .html; give x/index.html"),
    ],
)
def test_mistakes_are_told_in_a_line(tmp_path, words, told):
    write_gallery(tmp_path, "a", ["f"])
    (tmp_path / "empty").mkdir()
    write_images(tmp_path / "others", ["g"])
    (write_images(tmp_path / "broken", []) / "f.png").write_text("no image")
    (write_images(tmp_path / "odd", ["f"]) / "metrics.json").write_text("[]")
    (write_images(tmp_path / "gone", []) / "f.png").symlink_to("nothing")
    (tmp_path / "gone/metrics.json").write_text('{"metrics": {}}')
    write_images(tmp_path / "small/index_thumbs", ["f"])
    (write_images(tmp_path / "twins", ["f"]) / "f.bmp").touch()
    with pytest.raises(UserError) as raised:
        compare(tmp_path, *(word.format(tmp=tmp_path) for word in words))
    assert len(raised.value.problems) == 1 and told in str(raised.value)


@pytest.mark.parametrize(
    ("written", "wrong"),
    [
        ("[" * 100_000, "maximum recursion depth"),
        ('{"metrics": {}, "protocol": null}', "(protocol)"),
        ('{"metrics": {"kid": []}}', "(kid)"),
        ('{"metrics": {"kid": {"protocol": null}}}', "(protocol of kid)"),
        ('{"metrics": {"kid": {"beside": []}}}', "(beside of kid)"),
        ('{"metrics": {"kid": {"by_class": []}}}', "(by_class of kid)"),
        ('{"metrics": {"kid": {"per_image": []}}}', "(per_image of kid)"),
        ('{"metrics": {"kid": {"per_image": {"f": "1"}}}}', "(per_image of kid)"),
        ('{"metrics": {"kid": {"value": "1"}}}', "(value of kid)"),
        ('{"metrics": {"kid": {"warning": 1}}}', "(warning of kid)"),
    ],
)
def test_a_metrics_json_of_another_form_is_told(tmp_path, written, wrong):
    (write_images(tmp_path, ["f"]) / "metrics.json").write_text(written)
    with pytest.raises(UserError) as raised:
        read_results("a", tmp_path)
    assert "is not a metrics.json of evaluate.py (" in str(raised.value)
    assert wrong in str(raised.value)


def test_figures_older_than_the_images_are_told(tmp_path, capsys):
    folders = [write_gallery(tmp_path, name, ["f"], {"kid": {"value": 1}}) for name in "ab"]
    compare(tmp_path, "a", "b")
    assert "its figures" not in capsys.readouterr().out
    os.utime(folders[1] / "metrics.json", (0, 0))
    text = compare(tmp_path, "a", "b").read_text()
    line = "b: its figures are older than its images; run evaluate.py again"
    assert line in capsys.readouterr().out and line in text and "a: its figures" not in text


def test_images_of_a_rendering_before_the_last_are_told(tmp_path, capsys):
    folder, _ = (write_gallery(tmp_path, name, ["c/f", "g"]) for name in "ab")
    at = (folder / "images/g_synthesized_image.png").stat().st_mtime_ns
    for since, is_told in ((at, False), (at + 1, True), ("damaged", False)):
        sources = {"c/f": {"since": 0}, "g": {"since": since}, "other": {"since": since}}
        (folder / "rendering.json").write_text(json.dumps({"sources": sources}))
        text = compare(tmp_path, "a", "b").read_text()
        line = "a: its rendering was stopped, 1 image of an earlier one (such as g)"
        assert (line in capsys.readouterr().out, line in text) == (is_told, is_told)


def test_another_page_is_not_replaced(tmp_path):
    page = write_gallery(tmp_path, "a", ["f"]) / "index.html"
    write_gallery(tmp_path, "b", ["f"])
    before = page.read_text()
    with pytest.raises(UserError, match="would be lost; give another --out"):
        compare(tmp_path, "a", "b", "--out", str(page))
    assert page.read_text() == before


def test_images_in_folders_are_found_and_thumbnails_are_not(tmp_path):
    for name in "ab":
        write_images(tmp_path / name / "x", ["f"])
        write_images(tmp_path / name / "index_thumbs/0", ["g"])
    words = (f"a={tmp_path / 'a'}", f"b={tmp_path / 'b'}")
    assert rows(compare(tmp_path, *words)) == ["f"]
    for name in "ab":
        write_images(tmp_path / name / "y", ["f"])
        values = {"kid": {"per_image": {"x/f": 0.25, "y/f": 0.5}}}
        (tmp_path / name / "metrics.json").write_text(json.dumps({"metrics": values}))
    page = compare(tmp_path, *words)
    assert rows(page) == ["x/f", "y/f"]
    assert page.read_text().count("kid 0.25") == 2
    assert len(list((page.parent / "index_thumbs").rglob("*.jpg"))) == 4
    compare(tmp_path, *words, "--how_many", "1")
    assert len(list((page.parent / "index_thumbs").rglob("*.jpg"))) == 2
