import os
import re

import numpy as np
import pytest
from PIL import Image

from pages.training_page import TrainingPage
from util.errors import UserError

WHAT = ("input_label", "synthesized_image", "real_image")


def pictures(shade=0):
    return {what: np.full((8, 16, 3), shade, np.uint8) for what in WHAT}


def page_text(folder):
    return (folder / "index.html").read_text()


def shown(folder):
    """Return the files on the page, in order."""
    return re.findall(r'src="images/([^"?]*)', page_text(folder))


def test_the_newest_epoch_comes_first_in_the_runs_order(tmp_path):
    page = TrainingPage(tmp_path, "name", 512)
    for epoch in (1, 2, 10):
        page.add(epoch, epoch * 1000, pictures())
    expected = [f"epoch{epoch:03d}_{what}.jpg" for epoch in (10, 2, 1) for what in WHAT]
    assert shown(tmp_path) == expected
    assert all((tmp_path / "images" / file).is_file() for file in expected)
    assert "Epoch 10, 10,000 images seen" in page_text(tmp_path)


def test_an_epochs_pictures_are_overwritten_and_their_link_changes(tmp_path):
    page = TrainingPage(tmp_path, "name", 512)
    page.add(1, 100, pictures(0))
    path = tmp_path / "images" / "epoch001_real_image.jpg"
    os.utime(path, (1, 1))
    before = set(re.findall(r'src="([^"]*)"', page_text(tmp_path)))
    page.add(1, 200, pictures(200))
    assert Image.open(path).getpixel((0, 0))[0] == 200
    assert len(shown(tmp_path)) == 3
    assert before.isdisjoint(re.findall(r'src="([^"]*)"', page_text(tmp_path)))


def test_a_restart_finds_earlier_epochs_and_forgets_later_ones(tmp_path):
    page = TrainingPage(tmp_path, "name", 512)
    for epoch in (1, 2, 1000):
        page.add(epoch, epoch, pictures())
    (tmp_path / "images" / "epoch002_broken.jpg").write_text("no picture")
    (tmp_path / "images" / "epoch_of_mine.jpg").touch()
    again = TrainingPage(tmp_path, "name", 512)
    assert len(shown(tmp_path)) == 9 and shown(tmp_path)[0].startswith("epoch1000_")
    again.add(3, 3, pictures())
    assert [file[:8] for file in shown(tmp_path)[::3]] == ["epoch003", "epoch002", "epoch001"]
    assert shown(tmp_path)[3:6] == [f"epoch002_{what}.jpg" for what in WHAT]


def test_the_page_refreshes_until_it_is_finished(tmp_path):
    page = TrainingPage(tmp_path, "a <name>", 512, refresh_seconds=7)
    assert re.search(r'<meta[^>]*content="7"[^>]*http-equiv="refresh"', page_text(tmp_path))
    assert "a &lt;name&gt;" in page_text(tmp_path)
    page.finish()
    assert "http-equiv" not in page_text(tmp_path)


def test_only_the_newest_pictures_load_at_once(tmp_path):
    page = TrainingPage(tmp_path, "name", 512)
    page.add(1, 1, pictures())
    page.add(2, 2, pictures())
    assert page_text(tmp_path).count('loading="lazy"') == 3
    assert page_text(tmp_path).count('width="16"') == 6


def test_loss_curves_are_on_top_once_they_are_drawn(tmp_path):
    page = TrainingPage(tmp_path, "name", 512)
    assert "loss_curves" not in page_text(tmp_path)
    page.add(1, 1, pictures())
    Image.new("RGB", (120, 60)).save(page.curves)
    page.write()
    text = page_text(tmp_path)
    assert 0 < text.index("loss_curves.png") < text.index("epoch001")


def test_an_unwritable_folder_is_a_users_error(tmp_path):
    (tmp_path / "web").touch()
    with pytest.raises(UserError, match="web"):
        TrainingPage(tmp_path / "web", "name", 512)
