"""`--help` answers before PyTorch is loaded, in lines of the terminal's width."""

from __future__ import annotations

import io
import re
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest

from pix2pixhd.options.base_options import ProgramOptions
from pix2pixhd.options.check_options import CheckOptions
from pix2pixhd.options.command_line import read_argv
from pix2pixhd.options.edit_options import EditOptions
from pix2pixhd.options.encode_options import EncodeOptions, PrecomputeOptions
from pix2pixhd.options.evaluate_options import EvaluateOptions
from pix2pixhd.options.fields import flat
from pix2pixhd.options.test_options import TestOptions
from pix2pixhd.options.train_options import TrainOptions

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = """
import runpy, sys
sys.argv = ["PROGRAM", "--help"]
try:
    runpy.run_path("PROGRAM", run_name="__main__")
finally:
    print(sorted({"torch", "numpy", "PIL"} & set(sys.modules)), file=sys.stderr)
"""


ENTRY_SCRIPTS = {
    "train.py": TrainOptions,
    "test.py": TestOptions,
    "encode_features.py": EncodeOptions,
    "precompute_feature_maps.py": PrecomputeOptions,
    "check_data.py": CheckOptions,
    "evaluate.py": EvaluateOptions,
    "edit.py": EditOptions,
}


@pytest.mark.parametrize(("program", "options"), ENTRY_SCRIPTS.items())
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
    assert "--version" in listed
    for name, default in flat(options()).items():
        assert f"--{name}" in listed
        if default is True:
            assert f"--no_{name}" in listed


@pytest.mark.parametrize("options", [TestOptions, EncodeOptions, PrecomputeOptions, EditOptions])
def test_flags_of_a_base_class_have_their_help(
    options: type[ProgramOptions],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("COLUMNS", "300")
    with pytest.raises(SystemExit):
        read_argv(["--help"], options())
    assert "Take the average of the weights where the run kept one" in capsys.readouterr().out


@pytest.mark.parametrize("columns", [50, 60, 80, 100, 120])
@pytest.mark.parametrize("options", ENTRY_SCRIPTS.values())
def test_sentences_break_only_where_a_line_is_full(
    columns: int, options: type[ProgramOptions], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(printed := io.BytesIO(), "utf-8"))
    with pytest.raises(SystemExit):
        read_argv(["--help"], options())
    sys.stdout.flush()
    rows = [row[1:-1] for row in printed.getvalue().decode().splitlines() if row[:1] == "│"]
    assert {len(row) for row in rows} == {columns - 2}
    indent = rows[0].index("show this help")  # of what stands beside flags, or below them

    def is_help(row: str) -> bool:
        flag = row[:indent].strip()  # with what it takes, unless that needs the place of the help
        return row[indent - 1] == " " != row[indent] and (not flag or " " in flag)

    compared = 0
    for row, below in pairwise(rows):
        if is_help(row) and is_help(below) and not below[:indent].strip():
            # What goes on below begins with a part for which the line had no room.
            part = re.split(r"(?<=,)| ", below.strip())[0]
            assert len(f"{row.rstrip()} {part} ") > len(row), (row, below)
            compared += 1
    assert compared > 10
