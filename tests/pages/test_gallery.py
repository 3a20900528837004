import html
import os
import pickle
import re
from urllib.parse import unquote, unquote_to_bytes

import numpy as np
import pytest
import tifffile
from PIL import Image

from pix2pixhd.pages.gallery import ResultsGallery, Style
from pix2pixhd.pages.pager import natural, near
from pix2pixhd.util.image_writer import ImageWriter
from pix2pixhd.util.labels import label_set

COLUMNS = ["input_label", "synthesized_image", "real_image"]


LABELS = label_set(5)


def build(folder, names, *, size=(8, 16), values=None, labels=LABELS, **kwargs):
    gallery = ResultsGallery(folder, "A <title>", COLUMNS, labels, **kwargs)
    gallery.reserve(names)
    gallery.plan()
    with ImageWriter() as writer:
        for shade, name in enumerate(names):
            image = np.full((*size, 3), shade, np.uint8)
            pictures = {"synthesized_image": image, "input_label": image}
            gallery.add_pictures(writer, name, pictures, values)
    gallery.write()
    return gallery


def headings(page):
    return [html.unescape(name) for name in re.findall(r"<h2>(.*?)</h2>", page.read_text())]


def links(page):
    found = re.findall(r'(?:href|src)="([^"]*)"', page.read_text())
    return [unquote(html.unescape(link)) for link in found]


def names_in_order(folder, descending=False):
    """The rows as a reader sees them who sorts and then follows the links to the next page."""
    link, names = "index.html", []
    if descending:
        link = re.search(r'href="([^"]*)"[^>]*>Z to A<', (folder / link).read_text())[1]
    while link:
        file, _, fragment = link.partition("#")
        assert fragment == ("descending" if descending else "")
        rows = headings(folder / file)
        names += rows[::-1] if descending else rows  # so the stylesheet shows them
        bar = (folder / file).read_text().split('class="bar ')[1 + descending]
        assert bar.startswith("descending" if descending else "ascending")
        following = re.search(r'href="([^"]*)"[^>]*title="Next page"', bar)
        link = following and following[1]
    return names


def test_pages_hold_all_rows_sorted_both_ways(tmp_path):
    names = [f"frame_{number}" for number in (10, 2, 33, 1, 4, 100, 7)]
    build(tmp_path, names, rows_per_page=3)
    expected = [f"frame_{number}" for number in (1, 2, 4, 7, 10, 33, 100)]
    assert names_in_order(tmp_path) == expected
    assert names_in_order(tmp_path, descending=True) == expected[::-1]
    assert len(headings(tmp_path / "page_0003.html")) == 1
    assert {path.name for path in tmp_path.glob("*.html")} == {
        "index.html", "page_0002.html", "page_0003.html"
    }  # fmt: skip


def test_every_link_leads_to_a_file_and_every_page_is_reached(tmp_path):
    build(tmp_path, ["a b#1%", "<b>&amp;", "q?x=1", "d/e", "ä"], rows_per_page=2)
    reached, todo = set(), ["index.html"]
    while todo:
        page = todo.pop()
        if page in reached:
            continue
        reached.add(page)
        for link in links(tmp_path / page):
            link = link.removesuffix("#descending")
            assert (tmp_path / link).is_file(), f"{page} links to {link}"
            if link.endswith(".html"):
                todo.append(link)
    assert reached == {path.name for path in tmp_path.glob("*.html")} and len(reached) == 3


def test_names_and_title_are_escaped(tmp_path):
    build(tmp_path, ["<script>"], note="50 & more")
    page = (tmp_path / "index.html").read_text()
    assert "<script>" not in page and "&lt;script&gt;" in page
    assert "A &lt;title&gt;" in page and "50 &amp; more" in page


def test_a_click_on_a_small_thumbnail_opens_the_full_picture(tmp_path):
    build(tmp_path, ["x.y"], size=(64, 128), image_width=32, image_format="jpg")
    page = (tmp_path / "index.html").read_text()
    image = re.search(r"<img[^>]*>", page)[0]
    for attribute in ('width="32"', 'height="16"', 'loading="lazy"', 'alt="input label of x.y"'):
        assert attribute in image
    thumbnail = tmp_path / "images/thumbs/x.y_input_label.jpg"
    with (
        Image.open(thumbnail) as small,
        Image.open(tmp_path / "images/x.y_input_label.jpg") as full,
    ):
        assert small.size == (32, 16) and full.size == (128, 64)
    assert links(tmp_path / "index.html").index("images/x.y_input_label.jpg") + 1 == links(
        tmp_path / "index.html"
    ).index("images/thumbs/x.y_input_label.jpg")


def test_columns_keep_their_order_and_a_missing_picture_is_left_out(tmp_path):
    build(tmp_path, ["a"])
    captions = re.findall(r"<figcaption>(.*?)</figcaption>", (tmp_path / "index.html").read_text())
    assert captions == ["input label", "synthesized image"]


def test_names_that_share_a_last_part_do_not_clash(tmp_path):
    names = ["aachen/f", "b/f", "b_f", "c/F", "/b/f"]
    build(tmp_path, names)
    files = sorted(tmp_path.glob("images/*_input_label.png"))
    assert len({file.name.casefold() for file in files}) == len(names)
    shades = sorted(np.asarray(Image.open(file))[0, 0, 0] for file in files)
    assert shades == list(range(len(names)))
    assert (tmp_path / "images/f_input_label.png").is_file()


def test_processes_that_share_the_rows_name_files_as_one_would(tmp_path):
    names = ["aachen/f", "b/f", "b_f", "c/F", "g"]
    build(tmp_path / "one", names)
    parts = []
    for rank in range(2):
        gallery = ResultsGallery(tmp_path / "two", "A <title>", COLUMNS, LABELS)
        gallery.reserve(names)
        if rank == 0:
            gallery.plan()
        with ImageWriter() as writer:
            for shade, name in list(enumerate(names))[rank::2]:
                image = np.full((8, 16, 3), shade, np.uint8)
                pictures = {"synthesized_image": image, "input_label": image}
                gallery.add_pictures(writer, name, pictures)
        parts.append(pickle.dumps(gallery.rows))
    gallery.rows = []
    for part in reversed(parts):
        gallery.rows += pickle.loads(part)
    gallery.write()
    assert contents(tmp_path / "one") == contents(tmp_path / "two")


def contents(folder):
    return {
        path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }


def test_pages_of_an_earlier_longer_result_go(tmp_path):
    build(tmp_path, list("abcdef"), rows_per_page=2)
    mine = {"page_of_mine.html", "index_mine.html"}
    for name in ("index_desc.html", "page_0002_desc.html", *mine):  # of an earlier version
        (tmp_path / name).touch()
    build(tmp_path, list("abc"), rows_per_page=2)
    assert {path.name for path in tmp_path.glob("*.html")} == {
        "index.html", "page_0002.html", *mine
    }  # fmt: skip


def test_no_rows_give_an_empty_page(tmp_path):
    build(tmp_path, [])
    assert headings(tmp_path / "index.html") == []


def test_natural_order():
    names = ["a10", "A2", "a", "2", "10", "a2b", "b", "²"]
    assert sorted(names, key=natural) == ["2", "10", "a", "A2", "a2b", "a10", "b", "²"]


def test_the_pager_offers_the_ends_and_the_neighbours():
    assert near(1, 1) == [1]
    assert near(1, 200) == [1, 2, 3, 200]
    assert near(100, 200) == [1, 98, 99, 100, 101, 102, 200]


def test_pages_need_nothing_from_elsewhere(tmp_path):
    build(tmp_path, ["a"])
    page = (tmp_path / "index.html").read_text()
    assert "http" not in page and "<script" not in page
    assert "width=device-width" in page and "prefers-color-scheme: dark" in page


def test_names_of_bytes_that_are_no_text_lead_to_their_files(tmp_path):
    name = os.fsdecode(b"broken_\xff")
    build(tmp_path, [name])
    page = tmp_path / "index.html"
    found = re.findall(r'href="(images/[^"]*)"', page.read_text())
    assert found
    for link in found:
        assert (tmp_path / os.fsdecode(unquote_to_bytes(link))).is_file()


def images(folder):
    return sorted(path.name for path in (folder / "images").glob("*.*"))


def test_files_of_rows_that_are_gone_go_but_nobody_elses(tmp_path):
    mine = [tmp_path / "images" / name for name in ("mine_real_image.png", "b_notes.txt")]
    mine[0].parent.mkdir()
    for file in mine:
        file.write_bytes(b"mine")
    build(tmp_path, ["a", "b"], plain_folders=True)
    build(tmp_path, ["a"], image_format="jpg")
    shown = ["a_input_label.jpg", "a_synthesized_image.jpg"]
    assert images(tmp_path) == sorted([*shown, *(file.name for file in mine)])
    assert sorted(path.name for path in (tmp_path / "images/thumbs").iterdir()) == shown
    assert not (tmp_path / "input_label").exists()
    assert all(file.read_bytes() == b"mine" for file in mine)


def test_what_an_interrupted_rendering_left_goes(tmp_path):
    build(tmp_path, ["a"])
    gallery = ResultsGallery(tmp_path, "A <title>", COLUMNS, LABELS, plain_folders=True)
    gallery.reserve(["a", "b"])
    gallery.plan()
    with ImageWriter() as writer:
        picture = {"input_label": np.zeros((8, 16, 3), np.uint8)}
        gallery.add_pictures(writer, "b", picture)
    assert (tmp_path / "input_label/b.png").is_file()
    build(tmp_path, ["a"])
    assert images(tmp_path) == ["a_input_label.png", "a_synthesized_image.png"]
    assert not (tmp_path / "input_label").exists()


def test_plain_folders_hold_each_image_under_its_label_maps_name(tmp_path):
    build(tmp_path, ["x/f", "y/f"], plain_folders=True)
    build(tmp_path, ["x/f", "y/f"], plain_folders=True)  # over those of the time before
    for stem in ("f", "y_f"):
        for what in ("input_label", "synthesized_image"):
            plain = tmp_path / what / f"{stem}.png"
            assert plain.samefile(tmp_path / f"images/{stem}_{what}.png")
    assert len(list((tmp_path / "synthesized_image").iterdir())) == 2


def test_the_page_is_as_wide_as_its_rows(tmp_path):
    build(tmp_path, ["a"], image_width=100)
    assert "--columns: 2" in (tmp_path / "index.html").read_text()


def test_captions_and_legend_are_of_the_labels(tmp_path):
    build(tmp_path, ["a"], labels=label_set(35))
    assert "traffic light" in (tmp_path / "index.html").read_text()
    build(tmp_path, ["a"], labels=label_set(0))
    page = (tmp_path / "index.html").read_text()
    assert "<figcaption>input image</figcaption>" in page and 'alt="input image of a"' in page
    assert "<summary>" not in page


def test_the_page_says_how_it_was_made(tmp_path):
    build(tmp_path, ["a"], date="1 Jan 2030, 10:00", command="python test.py --name 'a & b'")
    page = html.unescape((tmp_path / "index.html").read_text())
    assert "Rendered 1 Jan 2030, 10:00 by" in page
    assert "<code>python test.py --name 'a & b'</code>" in page


def test_the_photograph_of_the_style_is_shown_and_goes_with_it(tmp_path):
    style = Style("evening.png", np.full((8, 16, 3), 200, np.uint8))
    build(tmp_path, ["a"], style=style)
    assert "<figcaption>style of evening.png</figcaption>" in (tmp_path / "index.html").read_text()
    assert (np.asarray(Image.open(tmp_path / "images/style_from.png")) == 200).all()
    assert "images/thumbs/style_from.jpg" in links(tmp_path / "index.html")
    build(tmp_path, ["a"])
    assert not list(tmp_path.rglob("style_from.*"))


@pytest.mark.parametrize(
    ("values", "image_format", "file", "is_beside"),
    [
        (np.full((1, 8, 16), 7, np.uint8), "png", "a_synthesized_image.png", False),
        (np.full((1, 8, 16), 7, np.uint8), "jpg", "a_synthesized_image.jpg", False),
        (np.full((1, 8, 16), 7000, np.uint16), "png", "a_synthesized_image.png", False),
        (np.full((1, 8, 16), 7000, np.uint16), "jpg", "a_synthesized_image.png", True),
        (np.full((1, 8, 16), 0.7, np.float32), "png", "a_synthesized_image.tif", True),
        (np.full((4, 8, 16), 7, np.uint8), "png", "a_synthesized_image.tif", True),
        (np.full((2, 8, 16), 7000, np.uint16), "png", "a_synthesized_image.tif", True),
    ],
)
def test_values_are_kept_in_the_picture_or_beside_it(
    tmp_path, values, image_format, file, is_beside
):
    of_fake = {"synthesized_image": values}
    build(tmp_path, ["a"], values=of_fake, image_format=image_format, plain_folders=True)
    path = tmp_path / "images" / file
    found = tifffile.imread(path) if path.suffix == ".tif" else np.asarray(Image.open(path))
    assert (found.dtype, found.size) == (values.dtype, values.size)
    assert (found == values.flat[0]).all()
    assert (f"images/{file}" in links(tmp_path / "index.html")) and (
        f"values ({path.suffix})" in (tmp_path / "index.html").read_text()
    ) == is_beside
    assert (tmp_path / f"images/a_synthesized_image.{image_format}").is_file()
    assert (tmp_path / f"synthesized_image/a{path.suffix}").samefile(path)
    build(tmp_path, ["a"])  # of 8 bits again
    assert images(tmp_path) == ["a_input_label.png", "a_synthesized_image.png"]
