"""The scripts that compare variants on the toy streets: what they would train, and in which order,
by a program in the place of Python that only writes down what it is asked."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from pix2pixhd.options.ineffective import ineffective_flags
from pix2pixhd.options.parsing import parse_train
from pix2pixhd.options.train_options import TrainOptions

ROOT = Path(__file__).resolve().parents[2]

PYTHON = """#!/bin/sh
program=$1
echo "$@" >> asked.txt
while [ $# -gt 1 ]; do
    [ "$1" = --name ] && mkdir -p "checkpoints/$2"
    shift
done
[ "$program" != train.py ] || exit $STATUS
"""


def asked(script: str, folder: Path, status: int = 0, **environment: str) -> tuple[int, list[str]]:
    """The script's exit status, and the commands that it ran. Trainings end with `status`."""
    shutil.copytree(ROOT / "scripts", folder / "scripts")
    for file in ROOT.glob("requirements*.txt"):
        shutil.copy(file, folder)
    programs = folder / ".venv/bin"
    programs.mkdir(parents=True)
    (programs / "python").write_text(PYTHON)
    (programs / "python").chmod(0o755)
    (programs / "activate").write_text('PATH="$PWD/.venv/bin:$PATH"\n')
    known = os.environ | {"STATUS": str(status)} | environment
    command = ["bash", str(folder / "scripts" / script), "--nThreads", "1"]
    done = subprocess.run(command, env=known, capture_output=True, text=True, timeout=60)
    return done.returncode, (folder / "asked.txt").read_text().splitlines()


def trainings(commands: list[str]) -> dict[str, TrainOptions]:
    parsed = [
        parse_train(command.removeprefix("train.py ").split())
        for command in commands
        if command.startswith("train.py ")
    ]
    return {options.run.name: options for options in parsed}


@pytest.mark.parametrize(("kind", "seeds"), [("paper", "0 3"), ("remedies", "3")])
def test_ablations_train_for_equal_steps(kind: str, seeds: str, tmp_path: Path) -> None:
    code, commands = asked("ablate_toy.sh", tmp_path, SET=kind, SEEDS=seeds, EPOCHS="5")
    runs = trainings(commands)
    assert code == 0 and {f"ablate_full_{seed}" for seed in seeds.split()} <= set(runs)
    for name, options in runs.items():
        assert (options.schedule.niter, options.schedule.niter_decay) == (2, 3)
        assert name.endswith(f"_{options.run.seed}") and options.data.nThreads == 1
    assert sum(command.startswith("evaluate.py --name") for command in commands) == len(runs)


def test_systems_train_for_equal_time(tmp_path: Path) -> None:
    code, commands = asked("compare_toy.sh", tmp_path, MINUTES="1", VGG="vgg.pth")
    runs = trainings(commands)
    assert code == 0
    assert {name: options.model.netG for name, options in runs.items()} == {
        "compare_pix2pixhd_0": "local",
        "compare_pix2pixhd_remedies_0": "local",
        "compare_pix2pix_0": "unet_128",
        "compare_pix2pix_G_0": "unet_128",
        "compare_crn_G_0": "crn",
        "compare_spade_0": "spade",
        "compare_oasis_0": "oasis",
        "compare_crn_0": "crn",
        "compare_with_vgg_0": "local",
    }
    for options in runs.values():
        assert options.schedule.niter > 1000 and options.schedule.niter_decay == 0
        # Sizes that all of them are given, whether they have such layers or not.
        shared = {"n_downsample_global", "n_blocks_global", "n_blocks_local", "ndf", "n_layers_D"}
        flags = {line[2:].split()[0] for line in ineffective_flags(options)}
        assert flags <= shared
    assert commands[-2].split()[1] == "compare" and commands[-1].split()[1:] == list(runs)


def test_a_training_whose_time_is_over_is_a_finished_one(tmp_path: Path) -> None:
    code, commands = asked("compare_toy.sh", tmp_path, status=130)
    assert code == 0 and len(trainings(commands)) == 7
    code, commands = asked("compare_toy.sh", tmp_path / "failing", status=2)
    assert code != 0 and len(trainings(commands)) == 1
