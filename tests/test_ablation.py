"""The script of the ablations, cut short: it trains, judges and compares."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
VARIANTS = ("full", "no_feature_matching", "one_discriminator", "no_boundaries")


@pytest.mark.slow
def test_the_ablations_end_with_a_page(tmp_path: Path) -> None:
    """In a copy of the project, with the environment that runs this test."""
    copy = tmp_path / "project"
    unwanted = shutil.ignore_patterns(".*", "checkpoints", "results", "streets", "__pycache__")
    shutil.copytree(ROOT, copy, ignore=unwanted)
    (copy / ".venv").symlink_to(sys.prefix)
    draw = [
        sys.executable,
        str(copy / "datasets/make_toy_streets.py"),
        "--train",
        "8",
        "--test",
        "2",
    ]
    subprocess.run([*draw, "--out", copy / "datasets/streets"], check=True)
    environment = {
        "EPOCHS": "1",
        "JUDGE": "--epochs 1 --gpu_ids -1",
        "EVALUATE": "--metrics l1,mean_iou --gpu_ids -1",
    }
    short = ["--max_dataset_size", "2", "--gpu_ids", "-1"]

    done = subprocess.run(
        ["bash", str(copy / "scripts/ablate_toy.sh"), *short],
        capture_output=True,
        text=True,
        timeout=600,
        env=os.environ | environment,
    )
    assert done.returncode == 0, done.stderr
    options = {}
    for variant in VARIANTS:
        name = f"ablate_{variant}_0"
        figures = json.loads((copy / f"results/{name}/test_latest/metrics.json").read_text())
        assert figures["metrics"].keys() == {"l1", "mean_iou"}
        options[variant] = json.loads((copy / f"checkpoints/{name}/options.json").read_text())
    assert [options[v]["ganFeat_loss"] for v in VARIANTS] == [True, False, True, True]
    assert [options[v]["num_D"] for v in VARIANTS] == [2, 2, 1, 2]
    assert [options[v]["instance"] for v in VARIANTS] == [True, True, True, False]
    table = done.stdout.splitlines()[-6:]
    assert table[0] == "| run | l1 | mean_iou | ms a step | parameters | ms an image |"
    assert [line.split("_0 |")[0] for line in table[2:]] == [f"| ablate_{v}" for v in VARIANTS]
    page = (copy / "results/ablate_0/index.html").read_text()
    assert all(f"ablate_{variant}_0" in page for variant in VARIANTS)
