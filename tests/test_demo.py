"""The README's first command, cut short: from nothing to a gallery."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.slow
@pytest.mark.parametrize("features", [[], ["--features"]], ids=["labels", "features"])
def test_the_demo_ends_with_a_gallery(tmp_path: Path, features: list[str]) -> None:
    """In a copy of the project, with the environment that runs this test."""
    copy = tmp_path / "project"
    unwanted = shutil.ignore_patterns(".*", "checkpoints", "results", "streets", "__pycache__")
    shutil.copytree(ROOT, copy, ignore=unwanted)
    (copy / ".venv").symlink_to(sys.prefix)
    short = ["--niter", "1", "--niter_decay", "0", "--max_dataset_size", "20", "--gpu_ids", "-1"]
    done = subprocess.run(
        ["bash", str(copy / "scripts/demo.sh"), *features, *short],
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    page = Path(done.stdout.strip().splitlines()[-1].removeprefix("open in a browser: "))
    assert page.is_file()
    styles = 3 if features else 1
    assert len(list((page.parent / "images").glob("*_synthesized_image*.png"))) == 20 * styles
