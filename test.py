"""Render label maps with a trained generator into a web page. `python test.py --help` tells how."""

from __future__ import annotations

import os
import sys

from options.parsing import ineffective_flags, parse_test
from util.errors import run_program

if __name__ == "__main__":
    # Before PyTorch is loaded, which takes seconds: --help and a misspelt flag answer at once.
    # Idle threads of OpenMP are to sleep, not spin on cores that the loading processes need.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    OPTIONS = parse_test(sys.argv[1:])

from pathlib import Path

import torch
from tqdm import tqdm

from data import create_dataset, create_loader
from data.check import require_sound
from models import create_model
from models.pictures import pictures, render, to_device
from models.pix2pixhd_model import Pix2PixHDModel
from options.test_options import TestOptions
from util.checkpoint import load_network, network_file, require_epoch
from util.device import choose_device
from util.gallery import ResultsGallery
from util.image_writer import ImageWriter


def test(options: TestOptions) -> Path:
    """Render a phase's label maps and write their gallery.

    Returns:
        The gallery's first page.

    Raises:
        UserError: the data or the weights are not as they should be, or a file cannot be written.
    """
    seed, results = options.run.seed, options.results
    device, notes = choose_device(options.run.gpu_ids)
    for line in notes + ineffective_flags(options):
        print(line, flush=True)
    model = load_model(options).to(device)
    half = (options.run.fp16 or options.run.data_type == 16) and device.type == "cuda"

    dataset = create_dataset(
        options.data, options.model, phase=results.phase, seed=seed, is_train=False
    )
    total = len(dataset)
    del dataset.files[results.how_many :]
    require_sound(dataset, batch_size=options.data.batchSize)
    loader = create_loader(dataset, options.data, seed=seed, is_train=False)
    gallery = create_gallery(options, shown=len(dataset), total=total)

    with ImageWriter() as writer, tqdm(total=len(dataset), unit="img", disable=None) as bar:
        for batch in loader:
            batch = to_device(batch, device)
            with torch.autocast(device.type, dtype=torch.float16, enabled=half):
                fake = render(model, batch)
            for sample, path in enumerate(batch["path"]):
                row = pictures(batch, fake, options.model.label_nc, sample)
                gallery.add_pictures(writer, row_name(path, options), row, results.image_format)
            bar.update(len(fake))
    gallery.write()
    print(gallery.note)
    return gallery.folder / "index.html"


def load_model(options: TestOptions) -> Pix2PixHDModel:
    """The run's generator, of the epoch asked for.

    Raises:
        UserError: there are no such weights, or they are of another architecture.
    """
    folder = Path(options.run.checkpoints_dir) / options.run.name
    require_epoch(folder, options.results.which_epoch)
    model = create_model(options.model)
    load_network(model.netG, network_file(folder, options.results.which_epoch, "G"))
    if options.run.verbose:
        print(model)
    return model


def create_gallery(options: TestOptions, shown: int, total: int) -> ResultsGallery:
    """An empty gallery in the results' folder, which says how many images it leaves out."""
    run, results = options.run, options.results
    images = f"{shown} images" if shown != 1 else "1 image"
    if total > shown:
        images = f"{shown} of {total} images; --how_many {shown} left out {total - shown}"
    return ResultsGallery(
        folder=Path(results.results_dir) / run.name / f"{results.phase}_{results.which_epoch}",
        title=f"{run.name}: {results.phase}, epoch {results.which_epoch}",
        columns=["input_label", "synthesized_image", "real_image"],
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
