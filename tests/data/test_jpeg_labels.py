"""Warnings of the start-up check are printed by every program that makes it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image
from programs import run_encode, run_test, run_train, tiny_run, write_tiny_data


def test_programs_warn_once_of_jpeg_label_maps_and_go_on(tmp_path: Path) -> None:
    data = write_tiny_data(tmp_path, count=2)
    write_tiny_data(tmp_path, count=2, phase="test")
    for phase in ("train", "test"):
        ones = np.ones((16, 32), np.uint8)
        Image.fromarray(ones).save(data / f"{phase}_label/scene_1.png", "JPEG")
    features = ("--instance_feat", "--nef", "2", "--n_downsample_E", "2", "--no_html")
    short = ("--niter", "1", "--niter_decay", "0")
    flags = ("--name", "tiny", "--checkpoints_dir", tmp_path / "ck", "--gpu_ids", "-1")
    trained = run_train(*tiny_run(tmp_path), *features, *short)
    encoded = run_encode(*flags, "--nThreads", "0")
    rendered = run_test(*flags, "--nThreads", "0", "--results_dir", tmp_path / "results")
    for outcome, phase in ((trained, "train"), (encoded, "train"), (rendered, "test")):
        assert outcome.code == 0, outcome.err
        told = [line for line in outcome.out.splitlines() if "JPEG" in line]
        assert len(told) == 1
        assert told[0].startswith(f"warning: {data}/{phase}_label/scene_1.png: this label map is a")
        assert "JPEG" not in outcome.err
