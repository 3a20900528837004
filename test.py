"""Render label maps with a trained generator into a web page. `python test.py --help` tells how."""

from __future__ import annotations

from pix2pixhd.engine.launch import launch
from pix2pixhd.engine.program import parse_command_line
from pix2pixhd.options.parsing import parse_test

if __name__ == "__main__":
    OPTIONS = parse_command_line(parse_test)

import sys
from functools import partial
from pathlib import Path

import numpy as np

from pix2pixhd.data import create_dataset
from pix2pixhd.data.dataset import AlignedDataset
from pix2pixhd.data.originals import read_small, take_originals
from pix2pixhd.engine.builders import require_size
from pix2pixhd.engine.distributed import broadcast, gather
from pix2pixhd.engine.kept_images import begin_rendering
from pix2pixhd.engine.memory import keep_freed_memory
from pix2pixhd.engine.published import completed
from pix2pixhd.engine.render import Rendering, for_each_batch, validate_once
from pix2pixhd.engine.results import create_gallery, telling_what_stays
from pix2pixhd.engine.runtime import Runtime, choose_runtime
from pix2pixhd.engine.styles import create_feature_source, create_noise_source, needs_encoder
from pix2pixhd.engine.tiling import render_in_tiles, require_tile
from pix2pixhd.engine.trained import load_trained
from pix2pixhd.engine.world import read_world
from pix2pixhd.models.pix2pixhd import Pix2PixHDModel
from pix2pixhd.options.test_options import TestOptions
from pix2pixhd.pages.gallery import Original, ResultsGallery
from pix2pixhd.util.batch import Batch
from pix2pixhd.util.errors import UserError
from pix2pixhd.util.image_writer import ImageWriter
from pix2pixhd.util.labels import label_set


def test(options: TestOptions) -> Path:
    """As `render_gallery`; returns the gallery's first page."""
    return render_gallery(options).folder / "index.html"


def render_gallery(options: TestOptions, *, keeps: bool = False) -> ResultsGallery:
    """Render a phase's label maps and write their gallery; several processes share the images.

    Args:
        keeps: leave images as they are that a rendering with the same weights, options and data
            left, such as one that was stopped.

    Returns:
        The gallery; its rows are on rank 0.

    Raises:
        UserError: the data or the weights are not as they should be, or a file cannot be written.
    """
    options = completed(options, options.results.which_epoch)
    runtime = choose_runtime(options)
    keep_freed_memory(runtime.device)
    results, tile = options.results, options.results.tile
    labels = label_set(options.model.label_nc, options.data.label_names)
    model = load_model(options, runtime)
    dataset, total = open_dataset(options, runtime)
    gallery = create_gallery(options, model, labels, shown=len(dataset), total=total)
    sources = {dataset.sample_name(f["label"]): list(f.values()) for f in dataset.files}
    gallery.reserve(sources)
    has_real = "image" in dataset.files[0]
    encodes = results.use_encoded_image and not options.model.load_features
    keeps_bytes = not encodes and (options.data.output_bits or 8) == 8
    originals = take_originals(dataset, results.image_format) if keeps_bytes else {}
    warnings: list[str] = []

    def warn(line: str) -> None:
        if line not in warnings:
            warnings.append(line)
            runtime.print_rank0(line)

    features_of = create_feature_source(options, model, runtime, warn)
    noise_of = create_noise_source(options, model, runtime)

    def render(batch: Batch) -> Rendering:
        names = [dataset.sample_name(path) for path in batch.path]
        fakes = []
        for style in range(results.styles):
            features = features_of(batch, names, style)
            noise = noise_of(batch, names, style)
            number = style % model.netG.num_images
            fake = render_in_tiles(model, batch, features, tile or sys.maxsize, noise, number)
            fakes.append(fake)
        return Rendering(batch, *fakes)

    def save(batch: Batch, rendering: Rendering) -> None:
        for sample, path in enumerate(batch.path):
            row: dict[str, np.ndarray | Original] = {**rendering.pictures(labels, sample)}
            if file := originals.get(path):
                size = (batch.label.shape[3], batch.label.shape[2])
                row["real_image"] = Original(file, size, partial(read_small, file))
            values = rendering.values(options.data, sample)
            gallery.add_pictures(writer, dataset.sample_name(path), row, values)

    kept: set[str] = set()
    if runtime.world.is_main:
        kept = begin_rendering(gallery, sources, options, has_real=has_real, keeps=keeps)
        gallery.plan()
    kept = broadcast(kept, runtime.world)
    dataset.files = [f for f in dataset.files if dataset.sample_name(f["label"]) not in kept]
    # Processes read batches ahead and threads write files while the device renders. For tiles, the
    # maps stay in host memory, and so do real images that are only shown.
    with telling_what_stays(gallery), ImageWriter() as writer:
        for_each_batch(
            render,
            save,
            dataset,
            options.data,
            runtime,
            on_device=tile is None,
            with_image=encodes,
        )
    for rows, lines in gather((gallery.rows, warnings), runtime.world)[1:]:
        gallery.rows += rows
        for line in lines:
            warn(line)
    if runtime.world.is_main:
        gallery.write()
    runtime.print_rank0(gallery.note)
    return gallery


def load_model(options: TestOptions, runtime: Runtime) -> Pix2PixHDModel:
    """The trained networks that the options need, on the runtime.

    Raises:
        UserError: the weights are not as they should be, or tiles are too small for the networks.
    """
    folder = options.run.folder
    networks = "GE" if needs_encoder(options) else "G"
    model = load_trained(
        options.model, folder, options.results.which_epoch, networks, ema=options.ema
    )
    model.netG.evaluates = options.results.eval
    if options.results.tile is not None:
        require_tile(model, options.results.tile)
    if options.run.verbose:
        runtime.print_rank0(str(model))
    return runtime.prepare(model, renders_only=True)


def open_dataset(options: TestOptions, runtime: Runtime) -> tuple[AlignedDataset, int]:
    """The images to render, checked; and how many there are, of which --how_many are rendered.

    Raises:
        UserError: the data are not as they should be.
    """
    results = options.results
    reads = results.use_encoded_image and options.model.load_features
    dataset = create_dataset(options.data, options.model, phase=results.phase, read_features=reads)
    total = len(dataset)
    require_size(options.model, dataset)
    del dataset.files[results.how_many :]
    if needs_encoder(options) and "image" not in dataset.files[0] and not results.style_from:
        raise UserError(
            f"--use_encoded_image: there is no {dataset.layout.folder('image')} to encode; "
            "leave the flag out, or give a --phase that has real images"
        )
    # What only pixels tell, the loader finds: each file is decoded once.
    validate_once(dataset, runtime, batch_size=options.data.batchSize, mode="headers")
    return dataset, total


def main(options: TestOptions) -> None:
    page = test(options)
    if read_world().is_main:
        print(f"results: {page}")


if __name__ == "__main__":
    launch(main, OPTIONS, OPTIONS.run.gpu_ids)
