"""Render label maps with a trained generator into a web page. `python test.py --help` tells how."""

from __future__ import annotations

from engine.processes import world
from engine.start import start
from options.parsing import parse_test
from util.errors import UserError, run_program

if __name__ == "__main__":
    OPTIONS = start(parse_test)  # before PyTorch is loaded

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TypeVar

import torch
from tqdm import tqdm

from data import create_dataset, create_loader
from data.dataset import AlignedDataset
from data.validate import validate_dataset
from engine.distributed import barrier, gather, shut_down
from engine.render import Rendering, render, synthesized_names
from engine.runtime import Runtime, choose_runtime
from engine.styles import FeatureSource, create_feature_source, needs_encoder
from engine.tiling import least_overlap, render_in_tiles, window_side
from engine.trained import load_trained
from models.pix2pixhd import Pix2PixHDModel
from options.test_options import ResultOptions, TestOptions
from pages.gallery import ResultsGallery
from util.batch import Batch
from util.image_writer import ImageWriter

Item = TypeVar("Item")


def test(options: TestOptions) -> Path:
    """Render a phase's label maps and write their gallery; several processes share the images.

    Returns:
        The gallery's first page.

    Raises:
        UserError: the data or the weights are not as they should be, or a file cannot be written.
    """
    runtime = choose_runtime(options)
    model = load_model(options, runtime)
    dataset, total = open_dataset(options, runtime)
    gallery = create_gallery(options, model, shown=len(dataset), total=total)
    gallery.reserve(row_name(str(files["label"]), options) for files in dataset.files)
    dataset.files = dataset.files[runtime.world.rank :: runtime.world.size]
    warnings: list[str] = []

    def warn(line: str) -> None:
        if line not in warnings:
            warnings.append(line)
            runtime.print_rank0(line)

    features_of = create_feature_source(options, model, runtime, warn)
    render_all(options, model, dataset, runtime, features_of, gallery)
    for rows, lines in gather((gallery.rows, warnings), runtime.world)[1:]:
        gallery.rows += rows
        for line in lines:
            warn(line)
    if runtime.world.is_main:
        gallery.write()
    runtime.print_rank0(gallery.note)
    return gallery.folder / "index.html"


def load_model(options: TestOptions, runtime: Runtime) -> Pix2PixHDModel:
    """The trained networks that the options need, on the runtime.

    Raises:
        UserError: the weights are not as they should be.
    """
    folder = Path(options.run.checkpoints_dir) / options.run.name
    networks = "GE" if needs_encoder(options) else "G"
    model = load_trained(options.model, folder, options.results.which_epoch, networks)
    if options.run.verbose:
        runtime.print_rank0(str(model))
    return runtime.prepare(model)


def render_all(
    options: TestOptions,
    model: Pix2PixHDModel,
    dataset: AlignedDataset,
    runtime: Runtime,
    features_of: FeatureSource,
    gallery: ResultsGallery,
) -> None:
    """Render the data set's images into the gallery.

    Reading, rendering and writing overlap: processes read batches ahead, threads write files, and
    the device renders a batch while the pictures of the one before are taken.

    Raises:
        UserError: a file cannot be read or written.
    """
    results = options.results
    loader = create_loader(
        dataset,
        options.data,
        seed=options.run.seed,
        is_train=False,
        pin_memory=runtime.device.type == "cuda" and results.tile is None,
    )

    def renderings() -> Iterator[tuple[list[str], Rendering]]:
        for batch in loader:
            names = [row_name(path, options) for path in batch.path]
            if results.tile is None:
                batch = batch.to(runtime.device)
            yield names, render_styles(model, batch, names, features_of, results)

    hidden = None if runtime.world.is_main else True
    bar = tqdm(total=len(dataset), unit="img", disable=hidden)
    with torch.inference_mode(), runtime.autocast(), ImageWriter() as writer, bar:
        for names, rendered in one_behind(renderings()):
            for sample, name in enumerate(names):
                row = rendered.pictures(options.model.label_nc, sample)
                gallery.add_pictures(writer, name, row, results.image_format)
            bar.update(len(names))


def render_styles(
    model: Pix2PixHDModel,
    batch: Batch,
    names: list[str],
    features_of: FeatureSource,
    results: ResultOptions,
) -> Rendering:
    """Render a batch once for each style; it is in host memory if it is to be rendered in tiles."""
    fakes = []
    for style in range(results.styles):
        features = features_of(batch, names, style)
        if results.tile is None:
            fakes.append(render(model, batch, features))
        else:
            fakes.append(render_in_tiles(model, batch, features, results.tile))
    return Rendering(batch, fakes)


def one_behind(items: Iterable[Item]) -> Iterator[Item]:
    """The items, each when the next one has been made."""
    before: list[Item] = []
    for item in items:
        yield from before
        before = [item]
    yield from before


def open_dataset(options: TestOptions, runtime: Runtime) -> tuple[AlignedDataset, int]:
    """The images to render, checked; and how many there are, of which --how_many are rendered.

    Raises:
        UserError: the data are not as they should be.
    """
    results = options.results
    dataset = create_dataset(
        options.data,
        options.model,
        phase=results.phase,
        seed=options.run.seed,
        is_train=False,
        read_features=results.use_encoded_image and options.model.load_features,
    )
    total = len(dataset)
    del dataset.files[results.how_many :]
    if needs_encoder(options) and "image" not in dataset.files[0] and not results.style_from:
        raise UserError(
            f"--use_encoded_image: {options.data.dataroot} has no {results.phase}_img to encode; "
            "leave the flag out, or give a --phase that has real images"
        )
    if runtime.world.is_main:
        validate_dataset(dataset, batch_size=options.data.batchSize)
    barrier(runtime.world)
    return dataset, total


def create_gallery(
    options: TestOptions, model: Pix2PixHDModel, shown: int, total: int
) -> ResultsGallery:
    """An empty gallery in the results' folder, which says how many images it leaves out."""
    run, results = options.run, options.results
    note = f"{shown} images" if shown != 1 else "1 image"
    if total > shown:
        note = f"{shown} of {total} images; --how_many {shown} left out {total - shown}"
    if results.tile is not None:
        side, overlap = (f(results.tile, model.netG.stride) for f in (window_side, least_overlap))
        note += (
            f"; those larger than {results.tile} pixels rendered in tiles of {side}, "
            f"blended over {overlap}"
        )
    return ResultsGallery(
        folder=Path(results.results_dir) / run.name / f"{results.phase}_{results.which_epoch}",
        title=f"{run.name}: {results.phase}, epoch {results.which_epoch}",
        columns=["input_label", *synthesized_names(results.styles), "real_image"],
        image_width=run.display_winsize,
        note=note,
    )


def row_name(path: str, options: TestOptions) -> str:
    """A sample's name: its label map's file below the phase's folder, without the ending."""
    below = Path(path).relative_to(options.data.dataroot).with_suffix("")
    return "/".join(below.parts[1:])


def main() -> None:
    page = test(OPTIONS)
    if world().is_main:
        print(f"results: {page}")
    shut_down()


if __name__ == "__main__":
    run_program(main)
