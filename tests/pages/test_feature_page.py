import html
import re
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pytest
from PIL import Image

from pix2pixhd.pages.cut_out import cut_out
from pix2pixhd.pages.feature_page import Example, FeaturePage, LabelClusters
from pix2pixhd.pages.feature_plot import cluster_colours, ink_on, plane


def clusters(label=26, feat_num=3, sizes=(9, 3, 1), examples=2, **kwargs):
    """A label with clusters of these sizes, each around its own place."""
    rng = np.random.default_rng(0)
    centres = rng.uniform(-1, 1, (len(sizes), feat_num))
    assignment = np.repeat(np.arange(len(sizes)), sizes)
    points = centres[assignment] + rng.normal(0, 0.05, (len(assignment), feat_num))
    image = np.zeros((6, 8, 3), np.uint8)
    shown = [[Example(image, f"a <b>, {n}") for n in range(min(examples, size))] for size in sizes]
    return LabelClusters(label, (0, 0, 142), points, centres, assignment, shown, **kwargs)


def write(folder: Path, *labels, **kwargs):
    FeaturePage(folder, "A <title>").write(iter(labels), **kwargs)
    return (folder / "index.html").read_text()


def text(page):
    """The words of a page, single-spaced."""
    body = re.sub(r"<style>.*?</style>", "", page, flags=re.DOTALL)
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", body)).split())


def files(folder):
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def corner(*pixels, shape=(40, 60)):
    mask = np.zeros(shape, bool)
    mask[tuple(np.transpose(pixels))] = True
    return mask


def test_every_cluster_has_its_size_share_and_centre(tmp_path):
    found = clusters(sizes=(1500, 300, 1), left_out=7)
    words = text(write(tmp_path, found, clusters(8, sizes=(4,)), note="seed 0 & more"))
    assert "1,805 instances of 2 labels in 4 clusters." in words
    assert "label 26 1,801 instances in 3 clusters · 7 more left out" in words
    assert "label 8 4 instances in 1 cluster " in words and "seed 0 & more" in words
    for number, size in enumerate(("1,500 instances · 83.3%", "300 instances · 16.7%"), 1):
        assert f"{number} {size} centre" in words
    assert "3 1 instance · 0.1% centre" in words
    for centre in found.centres:
        assert "centre " + " ".join(f"{v:+.2f}" for v in centre).replace("-", "−") in words


def test_links_lead_to_files_and_to_each_label(tmp_path):
    page = write(tmp_path, clusters(26), clusters(-1, sizes=(2, 2)))
    links = {unquote(link) for link in re.findall(r'(?:href|src)="([^"]*)"', page)}
    anchors = {link[1:] for link in links if link.startswith("#")}
    assert anchors == set(re.findall(r' id="([^"]*)"', page)) == {"label26", "label-1"}
    pictures = {link for link in links if not link.startswith("#")}
    assert pictures | {"index.html"} == files(tmp_path) and len(pictures) == 1 + 5 + 4
    for tag in re.findall(r"<img[^>]*>", page):
        source, width, height = (
            re.search(f' {key}="([^"]*)"', tag)[1] for key in ("src", "width", "height")
        )
        assert Image.open(tmp_path / source).size == (int(width), int(height))
        assert 'loading="lazy"' in tag


@pytest.mark.parametrize("sizes", [(1,), (9, 2), (1,) * 30])
def test_a_label_with_nothing_to_plot_is_folded(tmp_path, sizes):
    page = write(tmp_path, clusters(7, sizes=sizes), clusters(26))
    folded = re.search(r"<details>.*</details>", page, re.DOTALL)[0]
    assert "label 7" in folded and "label 26" not in folded
    # A link to what is inside opens it.
    assert 'id="label7"' in folded.partition("</summary>")[2]
    assert {file for file in files(tmp_path) if file.startswith("plots")} == {"plots/label26.png"}


def test_clusters_of_one_instance_share_a_row(tmp_path):
    found = clusters(sizes=(9, 3, 1, 1, 1))
    page = write(tmp_path, found)
    assert page.count("<li>") == 3
    row = page[page.rindex("<li>") :]
    assert "3 clusters of 1 instance each" in text(row)
    assert re.findall(r'class="number"[^>]*>(\d+)<', row) == ["3", "4", "5"]
    assert len(re.findall("<img", row)) == 3
    assert f'title="centre {found.centres[4][0]:+.2f}'.replace("-", "−") in row
    assert write(tmp_path, clusters(sizes=(9, 3, 1))).count("<li>") == 3


def test_labels_have_their_names(tmp_path):
    page = write(tmp_path, clusters(26, name="a <car>"), clusters(7, name="road", sizes=(2,)))
    words = text(page)
    assert "label 26 (a <car>) 13 instances" in words and "label 7 (road) 2 instances" in words
    links = dict(re.findall(r'href="#(label\d+)">(.*?)</a>', page, re.DOTALL))
    assert {name: text(link) for name, link in links.items()} == {
        "label26": "26 a <car>",
        "label7": "7 road",
    }


def test_labels_without_instances_are_left_out(tmp_path):
    empty = LabelClusters(5, (1, 2, 3), np.zeros((0, 3)), np.zeros((0, 3)), np.zeros(0, int), [])
    assert "label 5" not in text(write(tmp_path, empty, clusters(7)))
    assert "0 instances of 0 labels" in text(write(tmp_path))


@pytest.mark.parametrize("feat_num", [1, 2, 3, 7])
@pytest.mark.parametrize("sizes", [(12,), (30, 2), (5, *[1] * 12)])
@pytest.mark.filterwarnings("error", "default::ResourceWarning")
def test_any_number_of_features_and_instances(tmp_path, feat_num, sizes):
    page = write(tmp_path, clusters(0, feat_num, sizes))
    assert ("red, green and blue" in page) == (feat_num == 3)
    plot = np.asarray(Image.open(tmp_path / "plots/label0.png"))
    assert plot[0, 0, 3] == 0  # transparent: the page may be dark
    for colour in cluster_colours(clusters(0, feat_num, sizes).centres):
        assert (plot == (*colour, 255)).all(axis=-1).any()
        assert f"rgb({colour[0]} {colour[1]} {colour[2]})" in page


@pytest.mark.parametrize("feat_num", [1, 2, 3, 7])
@pytest.mark.filterwarnings("error", "default::ResourceWarning")
def test_identical_points(tmp_path, feat_num):
    same, which = np.full((5, feat_num), 0.5), np.zeros(5, int)
    found = LabelClusters(1, (0, 0, 0), same, same[:1], which, [[]])
    assert "1 5 instances · 100.0% centre +0.50" in text(write(tmp_path, found))


def test_long_centres_are_cut_short(tmp_path):
    words = text(write(tmp_path, clusters(feat_num=64)))
    assert re.search(r"centre( [+−]\d\.\d\d){8} … \(64 values\)", words)


def test_what_the_user_wrote_is_escaped_and_nothing_is_from_elsewhere(tmp_path):
    page = write(tmp_path, clusters(), note="<i>")
    assert "A &lt;title&gt;" in page and "&lt;i&gt;" in page and "a &lt;b&gt;, 0" in page
    assert "http" not in page and "<script" not in page
    assert "width=device-width" in page and "prefers-color-scheme: dark" in page


def test_files_of_an_earlier_page_go_and_those_of_others_stay(tmp_path):
    write(tmp_path, clusters(26), clusters(7))
    for mine in ("examples/label26_mine.jpg", "plots/label7.svg", "label7.png"):
        (tmp_path / mine).touch()
    write(tmp_path, clusters(26, sizes=(11, 1), examples=1))
    assert files(tmp_path) == {
        "index.html",
        "plots/label26.png",
        "examples/label26_cluster1_1.jpg",
        "examples/label26_cluster2_1.jpg",
        "examples/label26_mine.jpg",
        "plots/label7.svg",
        "label7.png",
    }


def test_one_label_at_a_time_is_held(tmp_path):
    def labels():
        for label in (1, 2):
            if label == 2:
                assert (tmp_path / "examples/label1_cluster1_1.jpg").exists()
            yield clusters(label)

    FeaturePage(tmp_path, "t").write(labels())


def test_a_label_given_twice_is_our_mistake(tmp_path):
    with pytest.raises(AssertionError, match="twice"):
        write(tmp_path, clusters(3), clusters(3))


def test_colours_of_three_features_are_their_own():
    centres = np.array([[-1, 0, 1], [-9, 9, 0.5]])
    assert cluster_colours(centres).tolist() == [[0, 128, 255], [0, 255, 191]]


def test_colours_of_other_features_differ():
    assert len(np.unique(cluster_colours(np.zeros((40, 2))), axis=0)) == 40
    assert cluster_colours(np.zeros((1000, 2))).shape == (1000, 3)
    assert ink_on(np.array([255, 255, 0])) != ink_on(np.array([0, 0, 255]))


def test_the_plane_is_that_of_largest_variance():
    rng = np.random.default_rng(0)
    points = 5 + rng.normal(0, (0.1, 3, 1, 0.01), (20_000, 4))
    directions, middle, names = plane(points)
    assert np.abs(directions[[1, 2], [0, 1]]).min() > 0.99 and directions[1, 0] > 0
    assert np.allclose(middle, 5, atol=0.1)
    assert [int(re.search(r"\((\d+)%", name)[1]) for name in names] == [90, 10]


def test_a_cut_out_has_the_margin_and_keeps_the_proportions():
    image = np.random.default_rng(0).integers(0, 256, (200, 300, 3), np.uint8)
    mask = np.zeros((200, 300), bool)
    mask[50:90, 100:180] = True  # 40 x 80, and 8 on each side: 56 x 96
    cut = cut_out(image, mask, margin=0.1, size=96)
    assert cut.shape == (56, 96, 3) and cut.dtype == np.uint8
    assert (cut[8:48, 8:88] == image[50:90, 100:180]).all()
    assert cut_out(image, mask, margin=0.5, size=160).shape == (120, 160, 3)


def test_a_cut_out_fades_what_is_not_the_instance():
    image = np.full((40, 60, 3), (0, 0, 240), np.uint8)
    mask = corner((20, 30), (20, 31), (21, 30), (21, 31))
    cut = cut_out(image, mask, size=10)
    assert (cut[4:6, 4:6] == (0, 0, 240)).all()
    assert (cut[:3] == cut[0, 0, 0]).all() and 80 < cut[0, 0, 0] < 128
    assert (image == (0, 0, 240)).all()


@pytest.mark.parametrize("pixel", [(0, 0), (0, 59), (39, 0), (39, 59), (20, 0), (39, 30)])
def test_a_pixel_at_the_border_is_shown_with_its_surroundings(pixel):
    image = np.zeros((40, 60, 3), np.uint8)
    image[pixel] = 255, 0, 0
    cut = cut_out(image, corner(pixel), size=9)  # 1 pixel and 4 around: not enlarged
    assert cut.shape == (9, 9, 3)
    red = np.argwhere(cut[..., 0] > 200).tolist()
    first = np.clip(np.subtract(pixel, 4), 0, (40 - 9, 60 - 9))
    assert red == [list(pixel - first)]


def test_a_thin_instance_is_no_line_and_a_small_image_is_taken_whole():
    pole = np.zeros((200, 300, 1), np.uint8).repeat(3, 2)
    mask = np.zeros((200, 300), bool)
    mask[:, 299] = True
    assert cut_out(pole, mask, size=100).shape == (100, 60, 3)
    whole = np.ones((1, 1), bool)
    assert (cut_out(np.full((1, 1, 3), 7, np.uint8), whole, size=16) == 7).all()
    with pytest.raises(AssertionError, match="empty"):
        cut_out(pole, mask & False)
