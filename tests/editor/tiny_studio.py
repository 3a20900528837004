"""Runs of untrained tiny networks, made without training, for the studio to open."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from programs import LABELS, tiny_run
from tiny_models import model_of

import pix2pixhd
from pix2pixhd.editor.studio import Studio
from pix2pixhd.engine.feature_files import save_by_label
from pix2pixhd.engine.run_folder import write_all
from pix2pixhd.options.parsing import parse_train
from pix2pixhd.options.saved import options_texts
from pix2pixhd.util.checkpoint import save_tensors

OF_FEATURES = ("--nef", "2", "--n_downsample_E", "1", "--feat_num", "2")


def make_run(root: Path, name: str, *flags: str, clusters: bool = False) -> Path:
    """A run's folder as train.py leaves it, by its flags; with features of two numbers and their
    clusters as encode_features.py does, if asked for."""
    options = parse_train([*tiny_run(root, name), *flags])
    folder = options.run.folder
    write_all(folder, options_texts(options))
    for letter, network in model_of(options).trained_networks().items():
        save_tensors(network.state_dict(), folder / f"latest_net_{letter}.pth")
    if clusters:
        rows = np.random.default_rng(0).normal(size=(LABELS, 20, 3)) * (0.5, 0.1, 1)
        save_by_label("features", dict(enumerate(rows)), folder / "features.npz")
        centres = dict(enumerate(rows[:, :4, :2]))
        save_by_label("centres", centres, folder / "features_clustered_010.npz")
    return folder


def open_studio(root: Path, name: str, **how: Any) -> Studio:
    return Studio(pix2pixhd.load(name, checkpoints_dir=root / "ck", device="cpu", **how))


def read(root: Path, kind: str, number: int = 0, phase: str = "test") -> np.ndarray:
    return np.asarray(Image.open(root / f"data/{phase}_{kind}/scene_{number}.png"))
