"""The loading section runs at a tiny size and leaves nothing behind. No test is about speed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from scripts.benchmarks import loading
from scripts.benchmarks.timing import Settings

STAGES = {
    "decode and check label",
    "decode inst",
    "decode photo",
    "resize, to arrays",
    "to tensors",
    "collate",
}


@pytest.fixture
def settings() -> Settings:
    return Settings(torch.device("cpu"), repeats=3, size=(64, 32), warm_up=1)


def test_measures_both_ways_at_both_widths(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    threads = torch.get_num_threads()
    rows = loading.measure_loading(settings)
    ways = {case: {row.way for row in rows if row.case == case} for case in (r.case for r in rows)}
    both = {"from PNG", "from the cache"}
    assert ways == {
        f"{size}: {case}": expected
        for size in ("64x32", "32x16")
        for case, expected in (("a sample", both), ("one worker", both), ("of a sample", STAGES))
    }
    for row in rows:
        assert (row.section, len(row.seconds)) == ("loading", 3)
        assert min(row.seconds) > 0
        if row.way in both:
            assert row.figures["images/s"] == pytest.approx(1 / np.median(row.seconds))
    assert torch.get_num_threads() == threads
    assert not list(tmp_path.iterdir())


def test_photographs_are_as_hard_to_compress_as_a_cameras(tmp_path: Path) -> None:
    """Cityscapes' take 2.3 MB of 6.3; without noise it would be a tenth of that."""
    loading.write_scenes(tmp_path, (512, 256), seed=0)
    length = (tmp_path / "train_img/0.png").stat().st_size
    assert 0.3 < length / (512 * 256 * 3) < 0.55


def test_scenes_are_sound(tmp_path: Path) -> None:
    loading.write_scenes(tmp_path, (50, 30), seed=0)
    ids = np.asarray(Image.open(tmp_path / "train_inst/1.png"))
    label = np.asarray(Image.open(tmp_path / "train_label/1.png"))
    assert ids.shape == label.shape == (30, 50)
    np.testing.assert_array_equal(ids // 1000, label)
    assert loading.open_set(tmp_path, 50, None)[1]["image"].shape == (3, 30, 50)
