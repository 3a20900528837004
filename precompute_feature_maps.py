"""Write the feature map of every training image, for training with --load_features.

The run's encoder sees the images at the run's own --loadSize. Its maps are then enlarged with
nearest neighbour to the size of the label maps' files: by 2 where those are twice as wide, as in
the recipes. So they pair with the files whatever the --loadSize of the run that reads them.
Where training saw crops, the maps are of the whole images.
"""

from __future__ import annotations

from pix2pixhd.engine.launch import launch
from pix2pixhd.engine.program import parse_command_line
from pix2pixhd.options.parsing import parse_precompute

if __name__ == "__main__":
    OPTIONS = parse_command_line(parse_precompute)

from collections.abc import Iterable
from pathlib import Path

from torch import Tensor

from pix2pixhd.data import create_dataset
from pix2pixhd.data.dataset import AlignedDataset
from pix2pixhd.data.feature_maps import EXTENSIONS, resized, write_feature_map
from pix2pixhd.engine.distributed import barrier
from pix2pixhd.engine.feature_files import encoder_mark
from pix2pixhd.engine.launched import Launched
from pix2pixhd.engine.published import completed
from pix2pixhd.engine.render import for_each_batch, validate_once
from pix2pixhd.engine.runtime import choose_runtime
from pix2pixhd.engine.trained import load_trained
from pix2pixhd.engine.world import read_world
from pix2pixhd.options.encode_options import PrecomputeOptions
from pix2pixhd.util.batch import Batch
from pix2pixhd.util.errors import UserError
from pix2pixhd.util.image_writer import ImageWriter


def precompute(options: PrecomputeOptions) -> Path:
    """Encode a phase's images and write their feature maps; several processes share the images.

    Returns:
        The folder of the maps.

    Raises:
        UserError: the data or the weights are not as they should be, or a file cannot be written.
    """
    options = completed(options, options.encoding.which_epoch)
    runtime = choose_runtime(options)
    run_folder = options.run.folder
    model = load_trained(
        options.model, run_folder, options.encoding.which_epoch, "E", ema=options.ema
    )
    runtime.prepare(model, renders_only=True)
    phase = options.encoding.phase
    dataset = create_dataset(options.data, options.model, phase=phase, needs_image=True)
    folder, ending = dataset.layout.folder("feat"), f".{options.feat_format}"
    labels = [files["label"] for files in dataset.files]
    targets = {label: folder / (dataset.sample_name(label) + ending) for label in labels}
    refuse_other_formats(targets.values(), ending)
    validate_once(dataset, runtime)
    runtime.print_rank0(size_line(dataset))
    if encoder_mark(run_folder, options.encoding.which_epoch, options.ema):
        runtime.print_rank0(
            f"{folder}: maps are not of the average of the encoder, as --no_ema asks"
        )

    def compute(batch: Batch) -> Launched[Tensor]:
        return Launched(model.encode(batch), runtime.device)

    def write(batch: Batch, launched: Launched[Tensor]) -> None:
        label = Path(batch.path[0])
        size = dataset.read_header("label", label).size
        with launched.fetching() as features:
            planes = resized(features[0].float().cpu().numpy(), size)
        writer.submit(write_feature_map, targets[label], planes)

    with ImageWriter() as writer:
        # One image at a time: they may differ in size.
        for_each_batch(compute, write, dataset, options.data, runtime, batch_size=1)
    barrier(runtime.world)
    return folder


def refuse_other_formats(targets: Iterable[Path], ending: str) -> None:
    """
    Raises:
        UserError: maps with other endings are there; beside ours, each scene would have two.
    """
    others = sorted(EXTENSIONS - {ending})
    there = [t.with_suffix(e) for t in targets for e in others if t.with_suffix(e).exists()]
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
    is_twice = (width, height) == (2 * encoded[0], 2 * encoded[1])
    unusual = "; that is not twice as large, but pairs with them at any --loadSize"
    return (
        f"feature maps: encoded at {encoded[0]}x{encoded[1]}, written at {width}x{height}, "
        f"the size of the label maps' files{'' if is_twice else unusual}"
    )


def main(options: PrecomputeOptions) -> None:
    maps = precompute(options)
    if read_world().is_main:
        print(f"feature maps: {maps}; train with --load_features to use them")


if __name__ == "__main__":
    launch(main, OPTIONS, OPTIONS.run.gpu_ids)
