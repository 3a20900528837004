"""Encode the instances of the training images and cluster their features, for `test.py` to draw."""

from __future__ import annotations

import os
import sys

from options.parsing import ineffective_flags, parse_encode
from util.errors import run_program

if __name__ == "__main__":
    # Before PyTorch is loaded, which takes seconds: --help and a misspelt flag answer at once.
    # Idle threads of OpenMP are to sleep, not spin on cores that the loading processes need.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    OPTIONS = parse_encode(sys.argv[1:])

import dataclasses
from pathlib import Path

import torch
from tqdm import tqdm

from data import create_dataset, create_loader
from data.aligned_dataset import AlignedDataset
from data.check import require_sound
from models.feature_files import clusters_name, save_clusters, save_features
from models.features import FeatureBank, cluster
from models.pictures import to_device
from models.pix2pixhd_model import Pix2PixHDModel
from models.trained import load_trained
from options.encode_options import EncodeOptions
from util.device import choose_device


def encode(options: EncodeOptions) -> list[Path]:
    """Encode and cluster; returns the files written.

    Raises:
        UserError: the data or the weights are not as they should be, or a file cannot be written.
    """
    device, notes = choose_device(options.run.gpu_ids)
    for line in notes + ineffective_flags(options):
        print(line, flush=True)
    folder = Path(options.run.checkpoints_dir) / options.run.name
    networks = "" if options.model.load_features else "E"
    model = load_trained(options.model, folder, options.encoding.which_epoch, networks).to(device)
    dataset = create_dataset(
        options.data,
        options.model,
        phase=options.encoding.phase,
        seed=options.run.seed,
        is_train=False,
        read_features=options.model.load_features,
        needs_image=True,
    )
    require_sound(dataset)
    bank = collect(options, model, dataset, device)
    rows = bank.rows()
    clusters = cluster(
        rows,
        options.model.n_clusters,
        seed=options.run.seed,
        min_pixels=options.clustering.min_instance_area,
        origins=bank.origins(),
    )
    for line in clusters.lines:
        print(line)
    files = [folder / "features.npz", folder / clusters_name(options.model.n_clusters)]
    save_features(rows, files[0])
    save_clusters(clusters.centres, files[1])
    return files


def collect(
    options: EncodeOptions, model: Pix2PixHDModel, dataset: AlignedDataset, device: torch.device
) -> FeatureBank:
    """The features of all instances of the data set, in its order."""
    bank = FeatureBank(
        options.model.feat_num, options.model.label_nc, ids_are_labels=options.model.label_feat
    )
    # One image at a time: they may differ in size.
    data = dataclasses.replace(options.data, batchSize=1)
    loader = create_loader(dataset, data, seed=options.run.seed, is_train=False)
    with torch.inference_mode(), tqdm(total=len(dataset), unit="img", disable=None) as bar:
        for batch in loader:
            batch = to_device(batch, device)
            label = batch["label"] if options.model.label_nc else None
            bank.add(model.features(batch), model.feature_ids(batch), label)
            bar.update()
    return bank


def main() -> None:
    for file in encode(OPTIONS):
        print(f"written: {file}")


if __name__ == "__main__":
    run_program(main)
