"""Tiny data and tiny networks, and the entry scripts run on them as from a command line."""

from __future__ import annotations

import contextlib
import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

import encode_features as encode_program
import test as test_program
import train as train_program
from pix2pixhd.engine.program import run_program
from pix2pixhd.options.parsing import parse_encode, parse_test, parse_train

LABELS = 5
TINY_NETWORKS = (
    *("--label_nc", str(LABELS), "--ngf", "4", "--n_downsample_global", "2"),
    *("--n_blocks_global", "1", "--gpu_ids", "-1", "--nThreads", "0", "--precision", "fp32"),
)
TINY_LOSSES = ("--ndf", "4", "--num_D", "1", "--n_layers_D", "2", "--no_vgg_loss")
AS_FILES_ARE = ("--resize_or_crop", "none")


@dataclass
class Outcome:
    """What a program left: its exit code and what it printed."""

    code: int
    out: str
    err: str


def run_train(*argv: str | Path) -> Outcome:
    """`python train.py ARGV` within this process."""
    return _run(lambda words: train_program.train(parse_train(words)), argv)


def run_test(*argv: str | Path) -> Outcome:
    """`python test.py ARGV` within this process."""
    return _run(lambda words: test_program.test(parse_test(words)), argv)


def run_encode(*argv: str | Path) -> Outcome:
    """`python encode_features.py ARGV` within this process."""
    return _run(lambda words: encode_program.encode(parse_encode(words)), argv)


def tiny_run(root: Path, name: str = "tiny") -> tuple[str, ...]:
    """Flags of a training that takes about a second: where it is, and what of."""
    where = (
        "--name",
        name,
        "--dataroot",
        str(root / "data"),
        "--checkpoints_dir",
        str(root / "ck"),
    )
    return (*where, *TINY_NETWORKS, *TINY_LOSSES, *AS_FILES_ARE)


def write_tiny_data(
    root: Path, *, phase: str = "train", count: int = 4, size: tuple[int, int] = (32, 16)
) -> Path:
    """Scenes of blocks, with labels below LABELS and images of noise, into `root/data`."""
    width, height = size
    random = np.random.default_rng(count)
    for number in range(count):
        blocks = random.integers(0, LABELS, (height // 8 + 1, width // 8 + 1), dtype=np.uint8)
        label = blocks.repeat(8, axis=0).repeat(8, axis=1)[:height, :width]
        maps: dict[str, Any] = {
            "label": label,
            "inst": label.astype(np.uint16) * 1000 + (np.arange(width) // 16).astype(np.uint16),
            "img": random.integers(0, 256, (height, width, 3), dtype=np.uint8),
        }
        for what, values in maps.items():
            folder = root / "data" / f"{phase}_{what}"
            folder.mkdir(parents=True, exist_ok=True)
            Image.fromarray(values).save(folder / f"scene_{number}.png")
    return root / "data"


def metrics(run_dir: Path) -> list[dict[str, Any]]:
    """The lines of a run's metrics.jsonl."""
    return [json.loads(line) for line in (run_dir / "metrics.jsonl").read_text().splitlines()]


def same_weights(one: Path, other: Path) -> bool:
    """Whether two runs ended with the same generator and discriminators, bit for bit."""
    files = [file.name for file in one.glob("latest_net_*.pth")]
    assert files, f"{one} holds no weights"
    return all(_equal(_load(one / name), _load(other / name)) for name in files)


def _run(program: Any, argv: tuple[str | Path, ...]) -> Outcome:
    out, err = io.StringIO(), io.StringIO()
    code = 0
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            run_program(lambda: program([str(word) for word in argv]))
        except SystemExit as stop:
            code = int(stop.code or 0)
    return Outcome(code, out.getvalue(), err.getvalue())


def _load(file: Path) -> dict[str, torch.Tensor]:
    return torch.load(file, weights_only=True)


def _equal(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)
