import json

import numpy as np
from PIL import Image

from pages.loss_curves import draw_loss_curves, read, smoothed
from util.metrics import append_record, drop_records_after, read_records


def log(path, steps, **terms):
    for step in steps:
        append_record(path, {"epoch": 1, "iter": step, "step": step, "lr": 2e-4, **terms})


def test_records_keep_full_precision_and_nan_is_null(tmp_path):
    path = tmp_path / "metrics.jsonl"
    append_record(path, {"step": 8, "G_GAN": 1 / 3, "G_VGG": float("nan"), "D": float("inf")})
    assert json.loads(path.read_text()) == {"step": 8, "G_GAN": 1 / 3, "G_VGG": None, "D": None}


def test_a_continued_run_drops_what_it_will_log_again(tmp_path):
    path = tmp_path / "metrics.jsonl"
    drop_records_after(path, 5)  # nothing logged yet
    log(path, range(1, 10))
    with path.open("a") as file:
        file.write('{"step": 10, "G_')
    drop_records_after(path, 5)
    log(path, [6])
    assert [record["step"] for record in read_records(path)] == [1, 2, 3, 4, 5, 6]


def test_reading_takes_every_nth_line(tmp_path):
    path = tmp_path / "metrics.jsonl"
    log(path, range(10))
    assert [record["step"] for record in read_records(path, every=4)] == [0, 4, 8]


def test_a_long_log_is_thinned(tmp_path):
    path = tmp_path / "metrics.jsonl"
    line = json.dumps({"step": 1, "G_GAN": 0.5}) + " " * 200 + "\n"
    path.write_text(line * 30_000)
    assert 2_000 < read(path)["step"].size < 10_000


def test_terms_that_come_later_and_nulls_are_gaps(tmp_path):
    path = tmp_path / "metrics.jsonl"
    log(path, [1], G_GAN=1.0)
    log(path, [2], G_GAN=float("nan"), G_VGG=3.0)
    columns = read(path)
    np.testing.assert_equal(columns["G_GAN"], [1.0, np.nan])
    np.testing.assert_equal(columns["G_VGG"], [np.nan, 3.0])
    assert set(columns) == {"step", "lr", "G_GAN", "G_VGG"}


def test_the_moving_average_keeps_level_and_gaps():
    values = np.full(100, 2.0)
    values[[0, 50]] = np.nan
    np.testing.assert_allclose(smoothed(values), values)
    noise = np.random.default_rng(0).normal(size=400)
    assert smoothed(noise).std() < 0.3 * noise.std()
    np.testing.assert_equal(smoothed(np.array([7.0])), [7.0])


def test_curves_are_drawn_from_any_log(tmp_path):
    path, out = tmp_path / "metrics.jsonl", tmp_path / "web" / "curves.png"
    draw_loss_curves(path, out)
    assert not out.exists()  # nothing to draw
    log(path, [1], G_GAN=float("nan"), D_real=0.0)
    draw_loss_curves(path, out)
    with Image.open(out) as one_row:
        height = one_row.height
    log(path, [2, 3], G_GAN=-1.0, G_VGG=2.0)
    draw_loss_curves(path, out)
    with Image.open(out) as two_rows:
        assert two_rows.height == 2 * height
        assert len(two_rows.convert("RGB").getcolors(2**24)) > 50
