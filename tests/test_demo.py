"""The README's first command, cut short: from nothing to a gallery."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def test_the_demo_ends_with_galleries_and_the_editor(tmp_path: Path) -> None:
    """In a copy of the project, with the environment that runs this test."""
    copy = tmp_path / "project"
    unwanted = shutil.ignore_patterns(".*", "checkpoints", "results", "streets", "__pycache__")
    shutil.copytree(ROOT, copy, ignore=unwanted)
    (copy / ".venv").symlink_to(sys.prefix)
    short = ["--niter", "1", "--niter_decay", "0", "--max_dataset_size", "20", "--gpu_ids", "-1"]
    done = subprocess.run(
        ["bash", str(copy / "scripts/demo.sh"), *short], capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.strip().splitlines()[-2:]
    for line, opening, count in zip(
        lines, ("features of the real images: ", "open in a browser: "), (20, 3 * 20), strict=True
    ):
        page = Path(line.removeprefix(opening))
        assert page.is_file()
        assert len(list((page.parent / "images").glob("*_synthesized_image*.png"))) == count
    editor = subprocess.Popen(
        ["bash", str(copy / "scripts/demo.sh"), "--edit"], stdout=subprocess.PIPE, text=True
    )
    assert editor.stdout is not None
    with editor:
        assert any(line.startswith("editor: http://127.0.0.1:") for line in editor.stdout)
        editor.terminate()
