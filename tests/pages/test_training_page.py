import datetime
import os
import re
import struct
import time
import zlib

import numpy as np
import pytest
from PIL import Image

from pix2pixhd.pages.training_page import TrainingPage
from pix2pixhd.util.errors import UserError
from pix2pixhd.util.labels import label_set

HEADER = b"IHDR" + struct.pack(">IIBBBBB", 100_000, 100_000, 8, 2, 0, 0, 0)  # a decompression bomb
HUGE_PNG = b"\x89PNG\r\n\x1a\n\0\0\0\x0d" + HEADER + struct.pack(">I", zlib.crc32(HEADER))
HUGE_PNG += b"\0\0\0\0IDAT"
WHAT = ("input_label", "synthesized_image", "real_image")


def new_page(folder, title="name", **changes):
    usual = {"labels": label_set(35), "command": "python train.py --netG local"}
    return TrainingPage(folder, title, 512, folder / "metrics.jsonl", **usual | changes)


def pictures(shade=0):
    return {what: np.full((8, 16, 3), shade, np.uint8) for what in WHAT}


def page_text(folder):
    return (folder / "index.html").read_text()


def state(folder):
    """Return the line on how far the run is, without markup."""
    return re.sub("<[^>]*>", "", re.search(r'<p class="state">(.*?)</p>', page_text(folder))[1])


def shown(folder):
    """Return the files on the page, in order."""
    return re.findall(r'src="images/([^"?]*)', page_text(folder))


def test_the_newest_epoch_comes_first_in_the_runs_order(tmp_path):
    page = new_page(tmp_path)
    for epoch in (1, 2, 10):
        page.log_pictures(epoch, epoch * 1000, pictures())
    expected = [f"epoch{epoch:03d}_{what}.jpg" for epoch in (10, 2, 1) for what in WHAT]
    assert shown(tmp_path) == expected
    assert all((tmp_path / "images" / file).is_file() for file in expected)
    assert "Epoch 10, 10,000 images seen" in page_text(tmp_path)


def test_an_epochs_pictures_are_overwritten_and_their_link_changes(tmp_path):
    page = new_page(tmp_path)
    page.log_pictures(1, 100, pictures(0))
    path = tmp_path / "images" / "epoch001_real_image.jpg"
    os.utime(path, (1, 1))
    before = set(re.findall(r'src="([^"]*)"', page_text(tmp_path)))
    page.log_pictures(1, 200, pictures(200))
    assert Image.open(path).getpixel((0, 0))[0] == 200
    assert len(shown(tmp_path)) == 3
    assert before.isdisjoint(re.findall(r'src="([^"]*)"', page_text(tmp_path)))


def test_a_restart_finds_earlier_epochs_and_forgets_later_ones(tmp_path):
    page = new_page(tmp_path)
    for epoch in (1, 2, 1000):
        page.log_pictures(epoch, epoch, pictures())
    (tmp_path / "images" / "epoch002_broken.jpg").write_text("no picture")
    (tmp_path / "images" / "epoch_of_mine.jpg").touch()
    again = new_page(tmp_path)
    assert len(shown(tmp_path)) == 9 and shown(tmp_path)[0].startswith("epoch1000_")
    again.log_pictures(3, 3, pictures())
    assert [file[:8] for file in shown(tmp_path)[::3]] == ["epoch003", "epoch002", "epoch001"]
    assert shown(tmp_path)[3:6] == [f"epoch002_{what}.jpg" for what in WHAT]


def test_the_page_refreshes_until_it_is_finished(tmp_path):
    page = new_page(tmp_path, "a <name>", refresh_seconds=7)
    assert re.search(r'<meta[^>]*content="7"[^>]*http-equiv="refresh"', page_text(tmp_path))
    assert "a &lt;name&gt;" in page_text(tmp_path)
    page.close()
    assert "http-equiv" not in page_text(tmp_path)


def test_only_the_newest_pictures_load_at_once(tmp_path):
    page = new_page(tmp_path)
    page.log_pictures(1, 1, pictures())
    page.log_pictures(2, 2, pictures())
    assert page_text(tmp_path).count('loading="lazy"') == 3
    assert page_text(tmp_path).count('width="16"') == 6


def test_loss_curves_are_on_top_once_they_are_drawn(tmp_path):
    page = new_page(tmp_path)
    assert "loss_curves" not in page_text(tmp_path)
    page.log_pictures(1, 1, pictures())
    Image.new("RGB", (120, 60)).save(tmp_path / "loss_curves.png")
    page.write()
    text = page_text(tmp_path)
    assert 0 < text.index("loss_curves.png") < text.index("epoch001")


@pytest.mark.parametrize("content", [b"", b"no picture", b"\x89PNG\r\n\x1a\n", HUGE_PNG, None])
def test_files_that_are_no_images_are_left_out(tmp_path, content):
    (tmp_path / "images").mkdir()
    for path in (tmp_path / "loss_curves.png", tmp_path / "images/epoch001_x.jpg"):
        if content is None:
            os.mkfifo(path)  # to open it would hang
        else:
            path.write_bytes(content)
    (tmp_path / "images/epoch002_x.jpg").mkdir()
    new_page(tmp_path)
    assert "<img" not in page_text(tmp_path)


@pytest.mark.parametrize(("every", "times"), [(0, 5), (3600, 0)])
def test_curves_are_drawn_now_and_then_and_at_the_end(tmp_path, monkeypatch, every, times):
    drawn = []
    monkeypatch.setattr("pix2pixhd.pages.training_page.CURVES_EVERY", every)
    monkeypatch.setattr("pix2pixhd.pages.training_page.CURVES_SHARE", 1e9)
    monkeypatch.setattr(
        "pix2pixhd.pages.training_page.draw_curves", lambda *args: drawn.append(args)
    )
    page = new_page(tmp_path)
    for step in range(5):
        page.log_values({"step": step}, {"FID": 1.0})
    assert len(drawn) == times
    page.close()
    assert drawn[times:] == [(tmp_path / "metrics.jsonl", tmp_path / "loss_curves.png")]


def test_drawing_takes_a_small_share_of_the_time(tmp_path, monkeypatch):
    """A page whose curves take a second to draw is drawn every fifty seconds."""
    now, drawn = [0.0], []
    monkeypatch.setattr("pix2pixhd.pages.training_page.time.monotonic", lambda: now[0])

    def draw(*args):
        drawn.append(now[0])
        now[0] += 1

    monkeypatch.setattr("pix2pixhd.pages.training_page.draw_curves", draw)
    page = new_page(tmp_path)
    while now[0] < 200:
        page.log_values({"step": 1}, {})
        now[0] += 0.5
    assert drawn == [20, 71, 122, 173]


def test_an_unwritable_folder_is_a_users_error(tmp_path):
    (tmp_path / "web").touch()
    with pytest.raises(UserError, match="web"):
        new_page(tmp_path / "web")


def test_pictures_that_cannot_be_written_leave_a_page_that_can_be_closed(tmp_path):
    page = new_page(tmp_path)
    (tmp_path / "images").touch()
    with pytest.raises(UserError, match="images"):
        page.log_pictures(1, 100, pictures())
    page.close()


ENDS = {
    "finished, 200 epochs": lambda page: page.end_run(True),
    "stopped after 3 of 16 images of epoch 2 of 200; --continue_train goes on":
        lambda page: page.end_run(False),
    "broken off after 3 of 16 images of epoch 2 of 200; --continue_train goes on from the last "
    "save, if there is one": lambda page: None,  # an error
}  # fmt: skip


@pytest.mark.parametrize("words", ENDS)
def test_the_page_tells_how_the_run_ended(tmp_path, words):
    page = new_page(tmp_path)
    page.start_epoch(2, 200, 16, 2)
    page.advance(1)
    ENDS[words](page)
    page.close()
    assert state(tmp_path) == words
    assert "<script" not in page_text(tmp_path) and "while it runs" not in page_text(tmp_path)


def test_a_running_page_is_written_every_so_often_and_says_so(tmp_path, monkeypatch):
    now = [0.0]
    monkeypatch.setattr("pix2pixhd.pages.training_page.time.monotonic", lambda: now[0])
    page = new_page(tmp_path)
    assert state(tmp_path) == "starting"
    page.start_epoch(1, 2, 100)
    said = []
    for _ in range(100):
        now[0] += 1
        page.advance(1)
        said.append(state(tmp_path))
    assert [step for step in range(1, 100) if said[step] != said[step - 1]] == [29, 59, 89]
    assert said[-1] == "running, 45 % of 2 epochs, about 2 min left"
    assert "about every 30 s while it runs" in page_text(tmp_path)
    now[0] += 3000
    page.advance(10)
    assert ", about every 5 min while it runs" in page_text(tmp_path)  # as steps take longer


def test_gpu_memory_and_how_the_run_was_started_are_on_the_page(tmp_path):
    page = new_page(tmp_path)
    assert "GPU" not in page_text(tmp_path)
    page.log_values({"step": 1, "gpu_memory_gib": 5.31}, {})
    page.write()
    text = page_text(tmp_path)
    assert "5.3 GiB of GPU memory" in text
    assert re.search(r"<details[^>]* open", text) and "python train.py --netG local" in text
    new_page(tmp_path, command="python train.py " + 50 * "--netG local ")
    assert not re.search(r"<details[^>]* open", page_text(tmp_path))


@pytest.mark.parametrize(("label_nc", "caption"), [(35, "input label"), (0, "input image")])
def test_captions_say_what_an_input_is_and_labels_have_a_legend(tmp_path, label_nc, caption):
    page = new_page(tmp_path, labels=label_set(label_nc))
    for epoch in (1, 2):
        page.log_pictures(epoch, epoch, pictures())
    text = page_text(tmp_path)
    assert text.count(f"<figcaption>{caption}</figcaption>") == 2
    assert text.count('class="legend"') == (1 if label_nc else 0)


def test_held_out_pictures_have_a_row_of_their_own(tmp_path):
    page = new_page(tmp_path)
    shot = np.zeros((8, 16, 3), np.uint8)
    names = ("input_label", "input_extra", "synthesized_image", "real_image")
    page.log_pictures(1, 1, {what: shot for n in names for what in (n, f"held_out_{n}")})
    assert "--columns: 4" in page_text(tmp_path)


def test_a_reader_is_told_that_a_run_was_killed(tmp_path, browser):
    """An old page of a run still says that it is running."""
    new_page(tmp_path).start_epoch(1, 2, 100)
    seen = browser.new_page()
    for written, is_told in ((time.time() - 7200, True), (time.time(), False)):
        when = datetime.datetime.fromtimestamp(written, datetime.UTC).isoformat()
        page = re.sub(r'datetime="[^"]*"', f'datetime="{when}"', page_text(tmp_path))
        (tmp_path / "old.html").write_text(page)
        seen.goto((tmp_path / "old.html").as_uri())
        assert ("nothing was written for 2 h" in seen.inner_text("body")) == is_told
    seen.close()
