"""The public pix2pixHD code, from a checkout (docs/benchmarks.md: how to get one), in processes of
its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from types import MappingProxyType

import torch

from pix2pixhd.engine.program import ENVIRONMENT
from pix2pixhd.models.conditioning import image_to_float
from pix2pixhd.options.train_options import TrainOptions
from pix2pixhd.util.batch import Batch
from pix2pixhd.util.errors import UserError
from scripts.timing import Timed

SCRIPTS = Path(__file__).resolve().parent


def run(command: Sequence[str], folder: Path, what: str, environment: Mapping[str, str]) -> str:
    """Run a Python program in a folder; returns what it printed.

    Raises:
        UserError: it fails, in words of its own; `what` says what that is.
    """
    ended = subprocess.run(
        [sys.executable, *command],
        cwd=folder,
        # Ours set what is theirs; the public code is not to have it.
        env={k: v for k, v in os.environ.items() if k not in ENVIRONMENT} | dict(environment),
        capture_output=True,
        text=True,
    )
    if ended.returncode:
        said = (ended.stderr.strip() or f"exit code {ended.returncode}").splitlines()[-1]
        raise UserError(f"{what} failed ({said})")
    return ended.stdout


def run_in(
    checkout: Path,
    script: str,
    arguments: Sequence[str],
    what: str,
    environment: Mapping[str, str] = MappingProxyType({}),
) -> str:
    """Run one of our scripts/ in a checkout, which is left as it is."""
    return run(
        [str(SCRIPTS / script), *arguments],
        checkout,
        f"--against {checkout}: give a checkout of pix2pixHD that runs on this machine; its {what}",
        {"PYTHONDONTWRITEBYTECODE": "1", **environment},
    )


def gpu_ids(device: str) -> list[str]:
    """The flag that says so, of their programs and ours."""
    return ["--gpu_ids", str(torch.device(device).index or 0) if device != "cpu" else "-1"]


def time_checkout(
    section: str,  # training or rendering
    flags: list[str],  # of train.py
    options: TrainOptions,  # what they mean
    batch: Batch,
    checkout: Path,
    convolutions: str,  # tf32 or ieee
    device: str,
    samples: int,
) -> Timed:
    """Time steps or renderings.

    Raises:
        UserError: the code fails, in words of its own.
    """
    flags = [flag for flag in flags if flag != "--fp16"] + gpu_ids(device)
    # As in our ways, all of the networks are trained, from fresh weights.
    flags += ["--load_pretrain", "", "--niter_fix_global", "0"]
    maps = batch.tensors()
    is_label_map = options.model.label_nc > 0
    maps["label"] = maps["label"].float() if is_label_map else image_to_float(maps["label"])
    maps["image"] = image_to_float(maps["image"])
    maps.setdefault("feat", torch.zeros(len(batch.path)))  # as their data set has it
    with TemporaryDirectory() as folder:
        torch.save(maps, f"{folder}/batch.pt")
        task = {
            **{"section": section, "flags": [*flags, "--checkpoints_dir", folder]},
            **{"batch": f"{folder}/batch.pt", "threads": torch.get_num_threads()},
            **{"device": device, "samples": samples, "convolutions": convolutions},
        }
        printed = run_in(checkout, "reference_step.py", [json.dumps(task)], section)
    return Timed(**json.loads(printed.splitlines()[-1]))
