"""Encode the instances of the training images and cluster their features, for `test.py` to draw."""

from __future__ import annotations

from pix2pixhd.engine.launch import launch
from pix2pixhd.engine.program import parse_command_line
from pix2pixhd.options.parsing import parse_encode

if __name__ == "__main__":
    OPTIONS = parse_command_line(parse_encode)

import itertools
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from pix2pixhd.data import create_dataset
from pix2pixhd.data.dataset import AlignedDataset
from pix2pixhd.engine.distributed import gather
from pix2pixhd.engine.feature_files import clusters_name, encoder_mark, save_by_label
from pix2pixhd.engine.launched import Launched
from pix2pixhd.engine.published import completed
from pix2pixhd.engine.render import for_each_batch, photo_to_image, validate_once
from pix2pixhd.engine.runtime import Runtime, choose_runtime
from pix2pixhd.engine.trained import load_trained
from pix2pixhd.models.clustering import Clustering, cluster, nearest
from pix2pixhd.models.feature_bank import FeatureBank, InstanceMeans, instance_means
from pix2pixhd.models.pix2pixhd import Pix2PixHDModel
from pix2pixhd.options.encode_options import EncodeOptions
from pix2pixhd.pages.cut_out import cut_out
from pix2pixhd.pages.feature_page import Example, FeaturePage, LabelClusters
from pix2pixhd.util.batch import Batch
from pix2pixhd.util.labels import LabelSet, label_palette, label_set
from pix2pixhd.util.threads import in_threads

EXAMPLES_SHOWN = 6  # of each cluster


def encode(options: EncodeOptions) -> list[Path]:
    """Encode and cluster; returns the files written.

    Several processes share the images; the first of them does the rest, others write nothing.

    Raises:
        UserError: the data or the weights are not as they should be, or a file cannot be written.
    """
    options = completed(options, options.encoding.which_epoch)
    runtime = choose_runtime(options)
    labels = label_set(options.model.label_nc, options.data.label_names)
    folder = options.run.folder
    reads, phase = options.model.load_features, options.encoding.phase
    networks, epoch = "" if reads else "E", options.encoding.which_epoch
    model = load_trained(options.model, folder, epoch, networks, ema=options.ema)
    runtime.prepare(model, renders_only=True)
    dataset = create_dataset(
        options.data, options.model, phase=phase, read_features=reads, needs_image=True
    )
    validate_once(dataset, runtime)
    banks = gather(collect(options, model, dataset, runtime), runtime.world)
    if not banks:
        return []
    bank, *others = banks
    for other in others:
        bank.merge(other)
    n_clusters, least = options.model.n_clusters, options.min_instance_area
    clusters = cluster(
        bank.rows(), n_clusters, options.run.seed, least, bank.origins(), labels.describe
    )
    for line in clusters.lines:
        print(line)
    mark = encoder_mark(folder, epoch, options.ema)
    files = [folder / f"features{mark}.npz", folder / clusters_name(n_clusters, mark)]
    save_by_label("features", bank.rows(), files[0])
    save_by_label("centres", clusters.centres, files[1])
    page = FeaturePage(folder / f"features{mark}", f"{options.run.name}: feature space")
    page.write(label_clusters(options, dataset, bank, clusters, labels))
    return [*files, page.folder / "index.html"]


def collect(
    options: EncodeOptions, model: Pix2PixHDModel, dataset: AlignedDataset, runtime: Runtime
) -> FeatureBank:
    """The features of the instances in this process's share of the images."""
    label_nc, world = options.model.label_nc, runtime.world
    bank = FeatureBank(
        options.model.feat_num, label_nc, options.model.label_feat, world.rank, step=world.size
    )

    def compute(batch: Batch) -> Launched[InstanceMeans]:
        features, image = batch.feat, batch.image
        if features is None:
            assert image is not None, "no photograph to encode"
            features = model.encode_pixels(image)
        means = instance_means(
            features, model.feature_ids(batch), batch.label if label_nc else None
        )
        return Launched(means, runtime.device)

    def add(batch: Batch, launched: Launched[InstanceMeans]) -> None:
        with launched.fetching() as means:
            bank.add_means(means)

    # One image at a time: they may differ in size.
    for_each_batch(compute, add, dataset, options.data, runtime, batch_size=1)
    return bank


def label_clusters(
    options: EncodeOptions,
    dataset: AlignedDataset,
    bank: FeatureBank,
    clusters: Clustering,
    labels: LabelSet,
) -> list[LabelClusters]:
    """For the page: the clusters of each label, and the instances nearest to each centre."""
    rows, origins = bank.rows(), bank.origins()
    assignment: dict[int, np.ndarray] = {}
    shown: dict[int, list[list[tuple[int, int]]]] = {}  # image and id, for each label and cluster
    for label, centres in clusters.centres.items():
        kept = clusters.kept[label]
        assignment[label], distance = nearest(rows[label][kept, :-1], centres)
        order = np.argsort(distance, kind="stable")
        members = (order[assignment[label][order] == number] for number in range(len(centres)))
        found = (origins[label][kept][places[:EXAMPLES_SHOWN], :2] for places in members)
        shown[label] = [[(image, id_) for image, id_ in pairs.tolist()] for pairs in found]
    examples = cut_examples(options, dataset, itertools.chain(*itertools.chain(*shown.values())))
    # Without a label set, labels are what instance ids say.
    colours = labels.colours if len(labels) else label_palette(max(clusters.centres) + 1)
    return [
        LabelClusters(
            label=label,
            colour=colours[label].tolist(),
            name=labels.names[label] if labels.names else "",
            points=rows[label][clusters.kept[label], :-1],
            centres=centres,
            assignment=assignment[label],
            examples=[[examples[instance] for instance in members] for members in shown[label]],
            left_out=int((~clusters.kept[label]).sum()),
        )
        for label, centres in clusters.centres.items()
    ]


def cut_examples(
    options: EncodeOptions, dataset: AlignedDataset, instances: Iterable[tuple[int, int]]
) -> dict[tuple[int, int], Example]:
    """Cut instances (image, id) out of their images, of which each is read once."""
    ids_of: dict[int, list[int]] = {}
    for image, id_ in instances:
        ids_of.setdefault(image, []).append(id_)
    map_name = "label" if options.model.label_feat else "inst"

    def cut_from(image: int) -> list[Example]:
        sample = dataset[image]
        assert sample.image is not None, "no photograph to cut from"
        picture, stem = photo_to_image(sample.image[0]), Path(sample.path[0]).stem
        ids = sample.tensors()[map_name][0, 0].numpy()
        cuts = ((cut_out(picture, ids == id_, size=144), id_) for id_ in ids_of[image])
        return [Example(cut, f"{stem}, {id_}") for cut, id_ in cuts]

    examples: dict[tuple[int, int], Example] = {}
    images = sorted(ids_of)
    for image, cuts in zip(images, in_threads(cut_from, images, unit="img"), strict=True):
        examples |= {(image, id_): cut for id_, cut in zip(ids_of[image], cuts, strict=True)}
    return examples


def main(options: EncodeOptions) -> None:
    files = encode(options)
    for file in files:
        print(f"written: {file}")
    if files:
        more = "" if options.ema else " --no_ema"
        if (epoch := options.encoding.which_epoch) != "latest":
            more += f" --which_epoch {epoch}"
        print(f"next: python test.py {options.run.flags}{more} --styles 3")


if __name__ == "__main__":
    launch(main, OPTIONS, OPTIONS.run.gpu_ids)
