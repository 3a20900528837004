"""What a rendering takes its features from: its real image, another one, or clusters; or noise."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor

from pix2pixhd.data import create_dataset, create_loader
from pix2pixhd.data.dataset import AlignedDataset
from pix2pixhd.data.layouts import phase_of_image
from pix2pixhd.engine.feature_files import (
    clusters_name,
    encoder_mark,
    existing_file,
    load_by_label,
)
from pix2pixhd.engine.runtime import Runtime
from pix2pixhd.engine.tiling import features_in_tiles
from pix2pixhd.models.clustering import ByLabel
from pix2pixhd.models.feature_bank import StyleSampler, hashed, mean_features_by_label, named_labels
from pix2pixhd.models.pix2pixhd import Pix2PixHDModel
from pix2pixhd.options.test_options import ResultOptions, TestOptions
from pix2pixhd.util.batch import Batch
from pix2pixhd.util.errors import UserError
from pix2pixhd.util.labels import label_set

FeatureSource = Callable[[Batch, Sequence[str], int], Tensor | None]
"""From a batch, its images' names and the number of a style to features [N, feat_num, H, W]; or to
None, for a generator without features and for those that the batch itself has."""


NoiseSource = Callable[[Batch, Sequence[str], int], Tensor | None]
"""The same for noise, [N, noise_dim]; None for a generator without."""


def create_feature_source(
    options: TestOptions, model: Pix2PixHDModel, runtime: Runtime, warn: Callable[[str], None]
) -> FeatureSource:
    """The source that the options ask for.

    Model and runtime encode a photograph for the style; `warn` is given lines to tell the user,
    such as that a label has no clusters.

    Raises:
        UserError: clusters or the image for the style cannot be had.
    """
    if not options.model.uses_features or options.results.use_encoded_image:
        return lambda batch, names, style: None
    image = options.results.style_from
    if image:  # its labels, and for those that it does not show the run's clusters, if any
        batch = style_batch(Path(image), options)
        centres = clusters_of(options, needed=False) | features_by_label(
            batch, options, model, runtime
        )
    else:
        centres = clusters_of(options)
    feat_num, label_nc, seed = options.model.feat_num, options.model.label_nc, options.run.seed
    describe = label_set(label_nc, options.data.label_names).describe
    kind = options.model.label_feat
    sampler = StyleSampler(centres, feat_num, seed, kind, label_nc, describe=describe)
    if image:
        sampler.lack = f"is not in the photograph {image}, and has no clusters"

    def sample(batch: Batch, names: Sequence[str], style: int) -> Tensor:
        label = batch.label if label_nc else None
        features, warnings = sampler.sample(model.feature_ids(batch), names, style, label)
        for line in warnings:
            warn(f"warning: {line}")
        return features

    return sample


def create_noise_source(
    options: TestOptions, model: Pix2PixHDModel, runtime: Runtime
) -> NoiseSource:
    """The source that the options ask for: of --use_vae an image, else draws.

    Raises:
        UserError: the image for the style cannot be had.
    """
    results, seed = options.results, options.run.seed
    if not options.model.use_vae or not (results.use_encoded_image or results.style_from):
        return lambda batch, names, style: draw_noise(model, names, style, seed)
    if not results.style_from:
        return lambda batch, names, style: model.encode_noise(batch)
    photo = style_batch(Path(results.style_from), options).to(runtime.device)
    with torch.inference_mode(), runtime.autocast():
        noise = model.encode_noise(photo)
    return lambda batch, names, style: noise.expand(len(names), -1)


def draw_noise(model: Pix2PixHDModel, names: Sequence[str], style: int, seed: int) -> Tensor | None:
    """Noise for images of these names, [N, noise_dim] from N(0, 1); None if the generator takes
    none. Seed, style and name alone decide, as they do of features."""
    if not (size := model.netG.noise_dim):
        return None
    states = [int.from_bytes(hashed(f"{seed}/{style}/{name}")) for name in names]
    rows = [torch.randn(size, generator=torch.Generator().manual_seed(state)) for state in states]
    return torch.stack(rows).to(next(model.parameters()).device)


def needs_encoder(options: TestOptions) -> bool:
    """Whether features, or noise, are made of images, and not drawn or read from files."""
    of_images = options.results.use_encoded_image or options.results.style_from is not None
    return of_images and not options.model.load_features


def clusters_file(options: TestOptions) -> Path:
    """That --cluster_path names, or that the run's --n_clusters does by default; it may not be
    there."""
    folder, results = options.run.folder, options.results
    mark, named = encoder_mark(folder, results.which_epoch, options.ema), Path(results.cluster_path)
    if results.cluster_path == ResultOptions().cluster_path:
        named = Path(clusters_name(options.model.n_clusters, mark))
    return existing_file(named if existing_file(named).is_file() else folder / named)


def clusters_of(options: TestOptions, *, needed: bool = True) -> ByLabel:
    """Those of `clusters_file`."""
    file = clusters_file(options)
    if file.is_file():
        return load_by_label("centres", file, options.model.feat_num, options.model.label_nc)
    if not needed:
        return {}
    others = sorted(other.name for other in file.parent.glob("features_clustered_*"))
    there = f"there are {', '.join(others)}" if others else "there are none"
    mark = encoder_mark(options.run.folder, options.results.which_epoch, options.ema)
    raise UserError(
        f"{file}: no such clusters of features, {there}; make them with python "
        f"encode_features.py {options.run.flags}{' --no_ema' if mark else ''}, or give "
        "--cluster_path"
    )


def features_by_label(
    batch: Batch, options: TestOptions, model: Pix2PixHDModel, runtime: Runtime
) -> ByLabel:
    """What a photograph, a batch of one, looks like: label -> [1, feat_num]."""
    with runtime.autocast():
        features = features_in_tiles(model, batch, options.results.tile or sys.maxsize)
    label = batch.label
    if not options.model.label_nc:  # then instances name their labels, as they do for clusters
        assert batch.inst is not None, "no instance map"
        label = named_labels(batch.inst)
    return mean_features_by_label(features, label.to(features.device))


def style_batch(image: Path, options: TestOptions) -> Batch:
    """The photograph for the style and its maps, a batch of one; UserError where there is none."""
    data = dataclasses.replace(options.data, nThreads=0, batchSize=1)
    [batch] = create_loader(style_dataset(image, options), data, seed=0, is_train=False)
    return batch


def style_dataset(image: Path, options: TestOptions) -> AlignedDataset:
    """The image and its maps, which are found as those of a data set are."""
    flag = f"--style_from {image}"
    if not image.is_file():
        raise UserError(f"{flag}: there is no such file; check the path")
    if (found := phase_of_image(image)) is None:
        raise UserError(
            f"{flag}: its label and instance maps are looked for beside it; give an image in a "
            "folder <phase>_img with <phase>_label and <phase>_inst beside that, or in the "
            "leftImg8bit of Cityscapes with gtFine beside that"
        )
    dataroot, phase = found
    # The image may be any of them, not only one of the first --max_dataset_size.
    data = dataclasses.replace(options.data, dataroot=str(dataroot), max_dataset_size=None)
    reads = options.model.load_features
    dataset = create_dataset(
        data, options.model, phase=phase, read_features=reads, needs_image=True
    )
    dataset.files = [files for files in dataset.files if files["image"].samefile(image)]
    if not dataset.files:
        raise UserError(
            f"{flag}: not among the images of {dataset.layout.folder('image')}; check its ending"
        )
    return dataset
