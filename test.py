"""Render label maps with a trained generator into a web page. `python test.py --help` tells how."""

from __future__ import annotations

import os
import sys

from options.parsing import parse_test
from util.errors import UserError, run_program

if __name__ == "__main__":
    # Before PyTorch is loaded, which takes seconds: --help and a misspelt flag answer at once.
    # Idle threads of OpenMP are to sleep, not spin on cores that the loading processes need.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    OPTIONS = parse_test(sys.argv[1:])

from pathlib import Path

from tqdm import tqdm

from data import create_dataset, create_loader
from data.aligned_dataset import AlignedDataset
from data.check import require_sound
from feature_source import create_feature_source, needs_encoder
from launch import choose_machine
from models.pictures import pictures, render, synthesized_names, to_device
from models.trained import load_trained
from options.test_options import TestOptions
from util.gallery import ResultsGallery
from util.image_writer import ImageWriter


def test(options: TestOptions) -> Path:
    """Render a phase's label maps and write their gallery.

    Returns:
        The gallery's first page.

    Raises:
        UserError: the data or the weights are not as they should be, or a file cannot be written.
    """
    machine = choose_machine(options)
    results = options.results
    folder = Path(options.run.checkpoints_dir) / options.run.name
    networks = "GE" if needs_encoder(options) else "G"
    model = load_trained(options.model, folder, results.which_epoch, networks).to(machine.device)
    if options.run.verbose:
        print(model)
    dataset, total = open_dataset(options)
    loader = create_loader(
        dataset,
        options.data,
        seed=options.run.seed,
        is_train=False,
        pin_memory=machine.device.type == "cuda",
    )
    features_of = create_feature_source(options, model, machine)
    gallery = create_gallery(options, shown=len(dataset), total=total)

    with ImageWriter() as writer, tqdm(total=len(dataset), unit="img", disable=None) as bar:
        for batch in loader:
            batch = to_device(batch, machine.device)
            names = [row_name(path, options) for path in batch["path"]]
            with machine.autocast():
                fakes = [
                    render(model, batch, features_of(batch, names, style))
                    for style in range(results.styles)
                ]
            for sample, name in enumerate(names):
                row = pictures(batch, fakes, options.model.label_nc, sample)
                gallery.add_pictures(writer, name, row, results.image_format)
            bar.update(len(names))
    gallery.write()
    print(gallery.note)
    return gallery.folder / "index.html"


def open_dataset(options: TestOptions) -> tuple[AlignedDataset, int]:
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
    require_sound(dataset, batch_size=options.data.batchSize)
    return dataset, total


def create_gallery(options: TestOptions, shown: int, total: int) -> ResultsGallery:
    """An empty gallery in the results' folder, which says how many images it leaves out."""
    run, results = options.run, options.results
    images = f"{shown} images" if shown != 1 else "1 image"
    if total > shown:
        images = f"{shown} of {total} images; --how_many {shown} left out {total - shown}"
    return ResultsGallery(
        folder=Path(results.results_dir) / run.name / f"{results.phase}_{results.which_epoch}",
        title=f"{run.name}: {results.phase}, epoch {results.which_epoch}",
        columns=["input_label", *synthesized_names(results.styles), "real_image"],
        image_width=run.display_winsize,
        note=images,
    )


def row_name(path: str, options: TestOptions) -> str:
    """A sample's name: its label map's file below the phase's folder, without the ending."""
    below = Path(path).relative_to(options.data.dataroot).with_suffix("")
    return "/".join(below.parts[1:])


def main() -> None:
    page = test(OPTIONS)
    print(f"results: {page}")


if __name__ == "__main__":
    run_program(main)
