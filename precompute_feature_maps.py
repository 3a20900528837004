"""Write the feature map of every training image, for training with --load_features.

The run's encoder sees the images at the run's own --loadSize. Its maps are then enlarged with
nearest neighbour to the size of the label maps' files: by 2 where those are twice as wide, as in
the recipes. So they pair with the files whatever the --loadSize of the run that reads them.
Where training saw crops, the maps are of the whole images.
"""

from __future__ import annotations

from engine.processes import world
from engine.start import start
from options.parsing import parse_precompute, uncropped
from util.errors import UserError, run_program

if __name__ == "__main__":
    OPTIONS = start(parse_precompute)  # before PyTorch is loaded

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import torch
from tqdm import tqdm

from data import create_dataset, create_loader
from data.dataset import AlignedDataset
from data.feature_maps import EXTENSIONS, resized, write_feature_map
from data.validate import validate_dataset
from engine.distributed import barrier, shut_down
from engine.runtime import Runtime, choose_runtime
from engine.trained import load_trained
from models.pix2pixhd import Pix2PixHDModel
from options.encode_options import PrecomputeOptions
from util.image_writer import ImageWriter


def precompute(options: PrecomputeOptions) -> Path:
    """Encode a phase's images and write their feature maps; several processes share the images.

    Returns:
        The folder of the maps.

    Raises:
        UserError: the data or the weights are not as they should be, or a file cannot be written.
    """
    runtime = choose_runtime(options)
    run_folder = Path(options.run.checkpoints_dir) / options.run.name
    model = load_trained(options.model, run_folder, options.encoding.which_epoch, "E")
    runtime.prepare(model)
    dataset = open_dataset(options)
    ending = f".{options.maps.feat_format}"
    targets = [feature_file(dataset, files["label"], ending) for files in dataset.files]
    if runtime.world.is_main:
        runtime.print_rank0(*validate_dataset(dataset))
        refuse_other_formats(targets, ending)
    barrier(runtime.world)
    runtime.print_rank0(size_line(dataset))
    mine = slice(runtime.world.rank, None, runtime.world.size)
    dataset.files = dataset.files[mine]
    write_maps(options, model, dataset, runtime, targets[mine])
    barrier(runtime.world)
    return dataset.dataroot / f"{dataset.phase}_feat"


def open_dataset(options: PrecomputeOptions) -> AlignedDataset:
    """The phase's maps and real images, whole ones; not checked yet.

    Raises:
        UserError: folders are missing or empty, or files have no partner.
    """
    return create_dataset(
        uncropped(options.data),
        options.model,
        phase=options.encoding.phase,
        seed=options.run.seed,
        is_train=False,
        needs_image=True,
    )


def write_maps(
    options: PrecomputeOptions,
    model: Pix2PixHDModel,
    dataset: AlignedDataset,
    runtime: Runtime,
    targets: Sequence[Path],
) -> None:
    """Encode the images one by one, for they may differ in size, and write each to its target."""
    data = dataclasses.replace(options.data, batchSize=1)
    loader = create_loader(dataset, data, seed=options.run.seed, is_train=False)
    hidden = None if runtime.world.is_main else True
    with (
        ImageWriter() as writer,
        torch.inference_mode(),
        runtime.autocast(),
        tqdm(total=len(dataset), unit="img", disable=hidden) as bar,
    ):
        for batch, target in zip(loader, targets, strict=True):
            features = model.encode(batch.to(runtime.device))[0].float().cpu().numpy()
            size = dataset.read_header("label", Path(batch.path[0])).size
            writer.submit(write_feature_map, target, resized(features, size))
            bar.update()


def feature_file(dataset: AlignedDataset, label: Path, ending: str) -> Path:
    """Where the feature map of a scene is kept: its name and sub-folder are the label map's."""
    below = label.relative_to(dataset.dataroot).parts[1:]
    folder = dataset.dataroot / f"{dataset.phase}_feat"
    return folder.joinpath(*below).with_suffix(ending)


def refuse_other_formats(targets: Sequence[Path], ending: str) -> None:
    """
    Raises:
        UserError: maps with other endings are there; beside ours, each scene would have two.
    """
    others = EXTENSIONS - {ending}
    there = [t.with_suffix(e) for t in targets for e in sorted(others) if t.with_suffix(e).exists()]
    if there:
        raise UserError(
            f"{there[0].parent}: holds {len(there)} feature maps of another format, such as "
            f"{there[0].name}, and each image must have one; remove them, or write to their format "
            "with --feat_format"
        )


def size_line(dataset: AlignedDataset) -> str:
    """What becomes of the maps' size, by the first of them."""
    width, height = dataset.read_header("label", dataset.files[0]["label"]).size
    encoded = dataset.output_size((width, height))
    line = (
        f"feature maps: encoded at {encoded[0]}x{encoded[1]}, written at {width}x{height}, "
        "the size of the label maps' files"
    )
    if (width, height) == (2 * encoded[0], 2 * encoded[1]):
        return line
    return f"{line}; that is not twice as large, but pairs with them at any --loadSize"


def main() -> None:
    maps = precompute(OPTIONS)
    if world().is_main:
        print(f"feature maps: {maps}; train with --load_features to use them")
    shut_down()


if __name__ == "__main__":
    run_program(main)
