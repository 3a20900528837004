"""Loading images from files, and pooling features over instances, for `benchmark.py`."""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from data import create_dataset, create_loader
from models.segments import instance_average
from options.parsing import parse_train
from scripts.timing import Row, Settings, Timed, Way, compare, time_calls

SCENES, IMAGES = 4, 16  # files that differ, and files in an epoch


def loading(settings: Settings) -> list[Row]:
    """Epochs of PNG triples as large as Cityscapes', with and without --cache. They are in the
    system's memory after the warm-up: the time of a disk is not in here."""
    width, height = (side // (settings.scale or 1) for side in (2048, 1024))
    flags = ["--loadSize", str(width // 2), *shlex.split(settings.train_flags)]
    ways: dict[str, Way] = {}
    with TemporaryDirectory() as folder:
        write_scenes(Path(folder), width, height)
        for workers in settings.workers:
            own = [*flags, "--dataroot", folder, "--nThreads", str(workers)]
            ways[f"PNG, {workers} workers"] = partial(load, own)
            ways[f"--cache, {workers} workers"] = partial(load, [*own, "--cache", f"{folder}/c"])
        case = f"{IMAGES} images of {width}x{height}, {' '.join(flags)}"
        return compare(case, ways, settings, IMAGES, device="cpu")


def load(flags: list[str], device: str, samples: int) -> Timed:
    """Time epochs of training images."""
    options = parse_train(flags)
    dataset = create_dataset(options.data, options.model, phase="train", seed=0, is_train=True)
    loader = create_loader(dataset, options.data, seed=0, is_train=True)
    return time_calls(lambda: lambda: [None for _ in loader], device, samples)


def write_scenes(root: Path, width: int, height: int) -> None:
    """Write label maps, instance maps and photographs, as PNG."""
    random = np.random.default_rng(0)
    for number in range(SCENES):
        label = random.integers(35, size=(32, 64))
        colours = Image.fromarray(random.integers(256, size=(32, 64, 3)).astype(np.uint8))
        smooth = np.asarray(colours.resize((width, height), Image.Resampling.BICUBIC))
        # Without noise photographs would be decoded too quickly: so much, in gray levels, makes
        # files about as long as Cityscapes'.
        photo = smooth + random.normal(scale=0.7, size=smooth.shape)
        rows, columns = np.arange(height) * 32 // height, np.arange(width) * 64 // width
        maps: dict[str, np.ndarray] = {
            "label": label.astype(np.uint8)[rows][:, columns],
            "inst": (label * 1000 + 1).astype(np.uint16)[rows][:, columns],
            "img": photo.clip(0, 255).astype(np.uint8),
        }
        for name, pixels in maps.items():
            folder = root / f"train_{name}"
            folder.mkdir(exist_ok=True)
            Image.fromarray(pixels).save(folder / f"{number}.png")
            for copy in range(number + SCENES, IMAGES, SCENES):
                shutil.copyfile(folder / f"{number}.png", folder / f"{copy}.png")


def pooling(settings: Settings) -> list[Row]:
    """Instance-wise average pooling of one image, forward and backward, against a loop."""
    width, height = (side // (settings.scale or 1) for side in (1024, 512))
    found = []
    for grid in ((5, 5), (20, 25)):  # a quiet street, and more than the fullest has
        ids = torch.arange(grid[0] * grid[1]).view(1, 1, *grid).float()
        ids = F.interpolate(ids, size=(height, width), mode="nearest").int()
        features = torch.randn(1, 3, height, width, generator=torch.Generator().manual_seed(0))
        ways = {
            "loop over instances": partial(pool, loop_average, features, ids),
            "instance_average": partial(pool, instance_average, features, ids),
        }
        found += compare(f"{len(ids.unique())} instances, {width}x{height}", ways, settings)
    return found


def pool(
    average: Callable[[Tensor, Tensor], Tensor],
    features: Tensor,
    ids: Tensor,
    device: str,
    samples: int,
) -> Timed:
    """Time an average, [N, C, H, W] and [N, 1, H, W] to [N, C, H, W], and its gradient."""
    leaf, ids, gradient = features.to(device).requires_grad_(), ids.to(device), features.to(device)
    return time_calls(
        lambda: lambda: torch.autograd.grad(average(leaf, ids), leaf, gradient), device, samples
    )


def loop_average(features: Tensor, ids: Tensor) -> Tensor:
    """The plain way to pool: one instance after the other, by its mask.

    The released code also loops over the channels, which is slower still.
    """
    average = torch.zeros_like(features)
    for sample in range(len(ids)):
        for id_ in ids[sample].unique().tolist():
            mask = ids[sample, 0] == id_
            average[sample][:, mask] = features[sample][:, mask].mean(1, keepdim=True)
    return average
