import html
import os
import pickle
import re
from urllib.parse import unquote, unquote_to_bytes

import numpy as np
from PIL import Image

from pix2pixhd.pages.gallery import ResultsGallery, natural, near
from pix2pixhd.util.image_writer import ImageWriter

COLUMNS = ["input_label", "synthesized_image", "real_image"]


def build(folder, names, *, image_format="png", size=(8, 16), **kwargs):
    gallery = ResultsGallery(folder, "A <title>", COLUMNS, **kwargs)
    gallery.reserve(names)
    with ImageWriter() as writer:
        for shade, name in enumerate(names):
            image = np.full((*size, 3), shade, np.uint8)
            pictures = {"synthesized_image": image, "input_label": image}
            gallery.add_pictures(writer, name, pictures, image_format)
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
        gallery = ResultsGallery(tmp_path / "two", "A <title>", COLUMNS)
        gallery.reserve(names)
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
