"""`--help` answers before PyTorch is loaded."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from options.encode_options import EncodeOptions, PrecomputeOptions
from options.saved import flat
from options.test_options import TestOptions
from options.train_options import TrainOptions

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = """
import runpy, sys
sys.argv = ["PROGRAM", "--help"]
try:
    runpy.run_path("PROGRAM", run_name="__main__")
finally:
    print(sorted({"torch", "numpy", "PIL"} & set(sys.modules)), file=sys.stderr)
"""


@pytest.mark.parametrize(
    ("program", "options"),
    [
        ("train.py", TrainOptions),
        ("test.py", TestOptions),
        ("encode_features.py", EncodeOptions),
        ("precompute_feature_maps.py", PrecomputeOptions),
    ],
)
def test_help_lists_every_flag_and_loads_no_library(program: str, options: type) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.replace("PROGRAM", program)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0
    assert done.stderr == "[]\n"
    listed = set(done.stdout.replace(",", " ").split())
    for name, default in flat(options()).items():
        assert f"--{name}" in listed
        if default is True:
            assert f"--no_{name}" in listed
