"""Whole programs as a user starts them, timed by the wall: `test.py`; `train.py` with loading."""

from __future__ import annotations

import dataclasses
import shlex
import time
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from pix2pixhd.models import create_generator
from pix2pixhd.options.parsing import parse_train
from scripts.benchmark_sections import write_scenes
from scripts.checkout import SCRIPTS, gpu_ids, run, run_in
from scripts.timing import Settings, Timed, Way, compare

ROOT = SCRIPTS.parent
EPOCHS = 2
# Small discriminators, beside which loading counts; the perceptual loss would need its weights.
TRAINING = f"--no_vgg_loss --ndf 8 --niter {EPOCHS} --niter_decay 0 --save_epoch_freq {EPOCHS}"


def end_to_end(settings: Settings) -> list[Timed]:
    """Label and instance maps to a gallery, with their photographs as well where ours is told to;
    then epochs of training from them.

    Raises:
        UserError: a program fails, in words of its own.
    """
    with TemporaryDirectory() as folder:
        root = settings.frames or made_frames(Path(folder) / "frames", settings)
        weights = Path(folder) / "latest_net_G.pth"
        options = parse_train(shlex.split(settings.network))
        torch.save(create_generator(options.model).state_dict(), weights)
        common = ["--dataroot", str(root.resolve()), *shlex.split(settings.network)]
        rendering = [*common, "--resize_or_crop", "none"]
        found = []
        for phase, what in (("test", ""), ("train", ", with photographs")):
            there = len(list((root / f"{phase}_label").iterdir()))
            images = min(settings.images, there)
            flags = [*rendering, "--phase", phase, "--how_many", str(images)]
            ways = ways_of("test.py", flags, weights, settings)
            found += compare(f"test.py, {images} frames{what}", ways, settings, images)
        flags = [*common, *shlex.split(TRAINING), "--max_dataset_size", str(images)]
        flags += ["--loadSize", str(1024 // (settings.scale or 1))]
        ways = ways_of("train.py", flags, weights, settings)
        case = f"train.py, {EPOCHS} epochs of {images} frames"
        return found + compare(case, ways, settings, images * EPOCHS)


def made_frames(root: Path, settings: Settings) -> Path:
    """As large as Cityscapes'; there are photographs in the phase train alone."""
    width, height = (side // (settings.scale or 1) for side in (2048, 1024))
    write_scenes(root, width, height, settings.images)
    for name in ("label", "inst"):
        (root / f"test_{name}").symlink_to(f"train_{name}")
    return root


def ways_of(program: str, flags: list[str], weights: Path, settings: Settings) -> dict[str, Way]:
    """The public program, if there is a checkout, and ours in each precision."""
    ways: dict[str, Way] = {}
    if settings.against:
        ways["reference checkout"] = partial(time_program, program, flags, weights, settings)
    ours = dataclasses.replace(settings, against=None)
    for precision in settings.precision:
        own = [] if precision == "auto" else ["--precision", precision]
        ways[f"ours, {' '.join(own) or 'by default'}"] = partial(
            time_program, program, [*flags, *own], weights, ours
        )
    return ways


def time_program(
    program: str,
    flags: list[str],
    weights: Path,
    settings: Settings,  # with a checkout: the program of that
    device: str,
    samples: int,
) -> Timed:
    """Time it once, from start to end, as a run of its own in new folders.

    Raises:
        UserError: it fails, in words of its own.
    """
    threads = {"OMP_NUM_THREADS": str(settings.threads)} if settings.threads else {}
    with TemporaryDirectory() as folder:
        flags = [*flags, *gpu_ids(device), "--name", "run", "--checkpoints_dir", folder]
        if program == "test.py":
            flags += ["--results_dir", f"{folder}/results"]
            (Path(folder) / "run").mkdir()
            (Path(folder) / "run" / weights.name).symlink_to(weights)
        start = time.perf_counter()
        if settings.against:
            own = [program, device, *flags]
            run_in(settings.against, "reference_program.py", own, program, threads)
        else:
            run([program, *flags], ROOT, program, threads)
        return Timed(seconds=[time.perf_counter() - start])
