"""Charts of metrics.jsonl."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from matplotlib.axes import Axes
from PIL import Image

from pix2pixhd.pages import loss_curves
from pix2pixhd.pages.loss_curves import draw_curves, read_curves, smoothed
from pix2pixhd.util.log_files import append_record


def log(path: Path, *steps: int, **terms: float) -> None:
    for step in steps:
        append_record(path, {"epoch": 1, "iter": step, "step": step, "lr": 2e-4, **terms})


def test_each_scalar_has_its_own_steps_and_nulls_are_gaps(tmp_path):
    path = tmp_path / "metrics.jsonl"
    log(path, 1, G_GAN=1.0)
    append_record(path, {"epoch": 1, "step": 1, "FID": 30.0, "gpu_memory_gib": 5.0})
    log(path, 2, G_GAN=float("nan"), G_VGG=3.0)
    append_record(path, {"step": 3, "FID": float("nan")})
    curves = read_curves(path)
    expected = {
        "lr": ([1, 2], [2e-4, 2e-4], True),
        "G_GAN": ([1, 2], [1.0, np.nan], True),
        "G_VGG": ([2], [3.0], True),
        "FID": ([1, 3], [30.0, np.nan], False),
    }
    assert curves.keys() == expected.keys()
    for name, (steps, values, is_of_steps) in expected.items():
        np.testing.assert_equal(curves[name].steps, steps)
        np.testing.assert_equal(curves[name].values, values)
        assert curves[name].is_of_steps == is_of_steps


def test_the_moving_average_keeps_level_and_gaps():
    values = np.full(100, 2.0)
    values[[0, 50]] = np.nan
    np.testing.assert_allclose(smoothed(values), values)
    noise = np.random.default_rng(0).normal(size=400)
    assert smoothed(noise).std() < 0.3 * noise.std()
    np.testing.assert_equal(smoothed(np.array([7.0])), [7.0])


@pytest.mark.filterwarnings("error", "default::ResourceWarning")
def test_curves_are_drawn_from_any_log(tmp_path):
    path, out = tmp_path / "metrics.jsonl", tmp_path / "web" / "curves.png"
    draw_curves(path, out)
    assert not out.exists()  # nothing to draw
    log(path, 1, G_GAN=float("nan"), D_real=0.0)
    draw_curves(path, out)
    with Image.open(out) as one_row:
        height = one_row.height
    log(path, 2, 3, G_GAN=-1.0, G_VGG=2.0)
    draw_curves(path, out)
    with Image.open(out) as two_rows:
        assert two_rows.height == 2 * height
        assert len(two_rows.convert("RGB").getcolors(2**24)) > 50


def test_sparse_scalars_are_a_line_with_markers_at_their_own_steps(tmp_path, monkeypatch):
    drawn: dict[str, Axes] = {}
    draw = loss_curves._draw_chart

    def keep(axes: Axes, name: str, curve: loss_curves.Curve) -> None:
        drawn[name] = axes
        draw(axes, name, curve)

    monkeypatch.setattr(loss_curves, "_draw_chart", keep)
    path = tmp_path / "metrics.jsonl"
    log(path, *range(1, 101), G_GAN=1.0)
    for step, value in ((25, 90.0), (50, 60.0), (100, 50.0)):
        append_record(path, {"epoch": 1, "step": step, "FID": value})
    draw_curves(path, tmp_path / "curves.png")
    assert list(drawn) == ["G_GAN", "FID", "lr"]
    [line] = drawn["FID"].lines
    assert line.get_xydata().tolist() == [[25, 90], [50, 60], [100, 50]]
    assert line.get_marker() == "o" and line.get_linestyle() == "-"
    assert drawn["FID"].get_xlim() == drawn["G_GAN"].get_xlim()  # one axis of images for all


@pytest.mark.filterwarnings("error", "default::ResourceWarning")
def test_a_lone_loss_is_a_point_that_can_be_seen(tmp_path, monkeypatch):
    """All that there is of a short run."""
    drawn: list[Axes] = []
    draw = loss_curves._draw_chart
    monkeypatch.setattr(
        loss_curves, "_draw_chart", lambda axes, *rest: (drawn.append(axes), draw(axes, *rest))
    )
    log(tmp_path / "metrics.jsonl", 1, G_GAN=0.5)
    draw_curves(tmp_path / "metrics.jsonl", tmp_path / "curves.png")
    for axes in drawn:
        assert all(tick == int(tick) for tick in axes.get_xticks())  # there is no half an image
        [line] = axes.lines
        assert (line.get_marker(), line.get_markersize(), line.get_alpha()) == ("o", 6, None)
    assert len(drawn) == 2


HOSTILE = (
    b'{"step": "8", "G": 1}\n[]\nnull\n\xff\xfe\n' + b"[" * 100_000 + b'\n{"step": [1]}\n',
    b'{"step": 1, "G": "x", "H": {}, "I": [1], "$\\\\frac{$": 1}\n',
    b'{"step": 1e99, "G": 1e99, "H": 1e400, "I": -1e99}\n{"step": -1e99, "G": 0}\n',
    b"{" + b", ".join(b'"n%d": 1' % n for n in range(2000)) + b', "step": 1}\n',
)


@pytest.mark.parametrize("lines", HOSTILE, ids=["no records", "no numbers", "large", "many"])
def test_a_log_that_others_wrote_into_ends_in_no_traceback(tmp_path, lines, monkeypatch):
    monkeypatch.setattr(loss_curves, "MOST", 6)
    path, out = tmp_path / "metrics.jsonl", tmp_path / "curves.png"
    path.write_bytes(lines)
    draw_curves(path, out)
    assert out.exists() == bool(read_curves(path))
