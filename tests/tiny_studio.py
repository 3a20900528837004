"""Runs of untrained tiny networks, made without training, for the studio to open."""

from __future__ import annotations

import functools
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
from pix2pixhd.options.fields import replaced
from pix2pixhd.options.parsing import parse_train
from pix2pixhd.options.saved import options_texts
from pix2pixhd.options.train_options import TrainOptions
from pix2pixhd.util.checkpoint import save_tensors

OF_FEATURES = {"nef": 2, "n_downsample_E": 1, "feat_num": 2}
BY_INSTANCE = {"instance_feat": True, **OF_FEATURES}
load = functools.cache(pix2pixhd.load)


@functools.cache
def tiny_options() -> TrainOptions:
    return parse_train([*tiny_run(Path("root"), "tiny")])


def make_run(root: Path, name: str, *, clusters: bool = False, **changes: Any) -> Path:
    """A run's folder as train.py leaves it, by flags that differ; with features of two numbers and
    their clusters as encode_features.py does, if asked for."""
    where = {"name": name, "dataroot": str(root / "data"), "checkpoints_dir": str(root / "ck")}
    options = replaced(tiny_options(), where | changes)
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


def open_studio(root: Path, name: str, phase: str = "test") -> Studio:
    """Renderers are kept, as nothing changes them."""
    how = {"phase": phase, "device": "cpu", "precision": "fp32"}
    return Studio(load(name, checkpoints_dir=root / "ck", **how))


def read(root: Path, kind: str, number: int = 0, phase: str = "test") -> np.ndarray:
    return np.asarray(Image.open(root / f"data/{phase}_{kind}/scene_{number}.png"))
