"""Encode the instances of the training images and cluster their features, for `test.py` to draw."""

from __future__ import annotations

from engine.launch import launch
from engine.program import parse_command_line
from options.parsing import parse_encode

if __name__ == "__main__":
    OPTIONS = parse_command_line(parse_encode)

from pathlib import Path

import numpy as np
from tqdm import tqdm

from data import create_dataset
from data.dataset import AlignedDataset
from engine.distributed import gather
from engine.feature_files import clusters_name, save_clusters, save_features
from engine.render import each_batch, validate_once
from engine.runtime import Runtime, choose_runtime
from engine.trained import load_trained
from models.clustering import Clustering, cluster, nearest
from models.conditioning import image_to_float
from models.feature_bank import FeatureBank
from models.pix2pixhd import Pix2PixHDModel
from options.encode_options import EncodeOptions
from pages.cut_out import cut_out
from pages.feature_page import Example, FeaturePage, LabelClusters
from util.image import label_palette, tensor_to_image

EXAMPLES_SHOWN = 6  # of each cluster


def encode(options: EncodeOptions) -> list[Path]:
    """Encode and cluster; returns the files written.

    Several processes share the images; the first of them does the rest, others write nothing.

    Raises:
        UserError: the data or the weights are not as they should be, or a file cannot be written.
    """
    runtime = choose_runtime(options)
    folder = Path(options.run.checkpoints_dir) / options.run.name
    networks = "" if options.model.load_features else "E"
    model = load_trained(options.model, folder, options.encoding.which_epoch, networks)
    runtime.prepare(model)
    dataset = create_dataset(
        options.data,
        options.model,
        phase=options.encoding.phase,
        seed=options.run.seed,
        is_train=False,
        read_features=options.model.load_features,
        needs_image=True,
    )
    validate_once(dataset, runtime)
    banks = gather(collect(options, model, dataset, runtime), runtime.world)
    if not banks:
        return []
    bank, *others = banks
    for other in others:
        bank.merge(other)
    rows = bank.rows()
    clusters = cluster(
        rows,
        options.model.n_clusters,
        seed=options.run.seed,
        min_pixels=options.min_instance_area,
        origins=bank.origins(),
    )
    for line in clusters.lines:
        print(line)
    files = [folder / "features.npz", folder / clusters_name(options.model.n_clusters)]
    save_features(rows, files[0])
    save_clusters(clusters.centres, files[1])
    files.append(write_page(options, dataset, bank, clusters, folder / "features"))
    return files


def collect(
    options: EncodeOptions, model: Pix2PixHDModel, dataset: AlignedDataset, runtime: Runtime
) -> FeatureBank:
    """The features of the instances in this process's share of the images."""
    bank = FeatureBank(
        options.model.feat_num,
        options.model.label_nc,
        ids_are_labels=options.model.label_feat,
        first=runtime.world.rank,
        step=runtime.world.size,
    )
    # One image at a time: they may differ in size.
    with each_batch(dataset, options.data, runtime, batch_size=1) as batches:
        for batch in batches:
            label = batch.label if options.model.label_nc else None
            bank.add(model.features(batch), model.feature_ids(batch), label)
    return bank


def write_page(
    options: EncodeOptions,
    dataset: AlignedDataset,
    bank: FeatureBank,
    clusters: Clustering,
    folder: Path,
) -> Path:
    """Draw the feature space: the clusters of each label, and the instances nearest to each centre.

    Raises:
        UserError: the folder cannot be written.
    """
    rows, origins = bank.rows(), bank.origins()
    assignment: dict[int, np.ndarray] = {}
    shown: dict[int, list[np.ndarray]] = {}
    for label, centres in clusters.centres.items():
        kept = clusters.kept[label]
        assignment[label], distance = nearest(rows[label][kept, :-1], centres)
        order = np.argsort(distance, kind="stable")
        shown[label] = [
            origins[label][kept][order[assignment[label][order] == number][:EXAMPLES_SHOWN]]
            for number in range(len(centres))
        ]
    examples = cut_examples(options, dataset, shown)
    # Without a label set, labels are what instance ids say.
    colours = label_palette(options.model.label_nc or max(clusters.centres) + 1)
    page = FeaturePage(folder, f"{options.run.name}: feature space")
    page.write(
        LabelClusters(
            label=label,
            colour=colours[label].tolist(),
            points=rows[label][clusters.kept[label], :-1],
            centres=centres,
            assignment=assignment[label],
            examples=[
                [examples[label, image, id_] for image, id_, _ in instances.tolist()]
                for instances in shown[label]
            ],
            left_out=int((~clusters.kept[label]).sum()),
        )
        for label, centres in clusters.centres.items()
    )
    return folder / "index.html"


def cut_examples(
    options: EncodeOptions, dataset: AlignedDataset, shown: dict[int, list[np.ndarray]]
) -> dict[tuple[int, int, int], Example]:
    """Cut instances out of their images, reading each image once: {(label, image, id): example}."""
    of_image: dict[int, set[tuple[int, int]]] = {}
    for label, clusters in shown.items():
        for image, id_, _ in np.concatenate(clusters).tolist():
            of_image.setdefault(image, set()).add((label, id_))
    ids_of = "label" if options.model.label_feat else "inst"
    cut: dict[tuple[int, int, int], Example] = {}
    for image, instances in tqdm(sorted(of_image.items()), unit="img", disable=None, leave=False):
        sample = dataset[image]
        assert sample.image is not None  # needs_image
        picture = tensor_to_image(image_to_float(sample.image[0]))
        ids = sample.tensors()[ids_of][0, 0].numpy()
        for label, id_ in instances:
            caption = f"{Path(sample.path[0]).stem}, {id_}"
            cut[label, image, id_] = Example(cut_out(picture, ids == id_, size=144), caption)
    return cut


def main(options: EncodeOptions) -> None:
    for file in encode(options):
        print(f"written: {file}")


if __name__ == "__main__":
    launch(main, OPTIONS, OPTIONS.run.gpu_ids)
