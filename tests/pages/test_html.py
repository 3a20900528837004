import re
from pathlib import Path

import pytest
from dominate import tags

from pix2pixhd.pages import html
from pix2pixhd.util.errors import UserError
from pix2pixhd.util.labels import PAPERS, label_set


def legend(*args):
    with tags.div() as page:
        html.add_legend(*args)
    return page.render()


def test_the_legend_names_all_labels():
    page = legend(label_set(35))
    assert "<details" in page and "open" not in page and ">35 labels<" in page
    assert len(re.findall("<li>", page)) == 35
    assert re.search(r"rgb\(0 0 142\)[^<]*</span>\s*<span>26 car<", page)


def test_the_legend_names_only_labels_that_occur():
    page = legend(label_set(35), {7, 255, -1})
    assert ">1 label<" in page and re.findall(r"<span>(.*?)<", page) == ["7 road"]


def test_labels_without_names_have_their_numbers():
    page = legend(label_set(12), {1, 11})
    assert ">2 labels<" in page and re.findall(r"<span>(.*?)<", page) == ["1", "11"]


@pytest.mark.parametrize(("label_nc", "shown"), [(0, None), (35, set()), (12, {77})])
def test_no_labels_no_legend(label_nc, shown):
    assert "details" not in legend(label_set(label_nc), shown)


def test_the_papers_that_label_colours_avoid_are_the_stylesheet_s():
    css = Path(html.__file__).with_name("style.css").read_text()
    colours = re.findall(r"--(?:paper|card): #([0-9a-f]+);", css)
    whole = (
        colour if len(colour) == 6 else "".join(2 * digit for digit in colour) for colour in colours
    )
    assert [tuple(bytes.fromhex(colour)) for colour in whole] == list(PAPERS)


def test_only_a_page_of_the_same_command_may_be_replaced(tmp_path):
    page = tmp_path / "index.html"
    html.refuse_other(page, "study")
    html.write_page(html.new_page("", columns=1, image_width=9, command="study"), page)
    html.refuse_other(page, "study")
    with pytest.raises(UserError, match="py study-report and would be lost"):
        html.refuse_other(page, "study-report")
    page.write_bytes(b"\xff")
    with pytest.raises(UserError, match="would be lost"):
        html.refuse_other(page, "study")
    with pytest.raises(UserError, match="Is a directory"):
        html.refuse_other(tmp_path, "study")
