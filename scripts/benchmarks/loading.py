"""How many images a second one loading process makes, and where its time goes.

The files are in the system's memory after the first reading: the time of a disk is not in here.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from PIL import Image
from torch.utils.data import BatchSampler

from data.dataset import AlignedDataset
from data.loader import Loader, collate
from data.transforms import draw, output_size
from scripts.benchmarks.timing import Measurement, Settings, time_ways

FILES_SIZE = (2048, 1024)  # width and height of Cityscapes' files, in pixels
LABELS = 35
SCENES = 2
BLOCK = 32  # side of the smallest region of a label, in pixels
NOISE = 0.7  # of the photographs, in gray levels: makes PNG files of about Cityscapes' length


def measure_loading(settings: Settings) -> list[Measurement]:
    """Samples at the width of their files and at half of it, from PNG files and from the cache.

    The files are Cityscapes' in size, or of the size that the settings ask for.
    """
    settings = replace(settings, device=torch.device("cpu"))  # all of this is work for the CPU
    size = settings.size or FILES_SIZE
    measurements = []
    with TemporaryDirectory() as folder, one_thread():
        root = Path(folder)
        write_scenes(root, size, settings.seed)
        for width in (size[0], max(1, size[0] // 2)):
            at = "{}x{}".format(*output_size(size, "scale_width", width, width))
            sets = {
                "from PNG": open_set(root, width, None),
                "from the cache": open_set(root, width, root / "cache"),
            }
            samples = {way: partial(dataset.__getitem__, 0) for way, dataset in sets.items()}
            times = time_ways(samples, settings)
            rows = [Measurement("loading", f"{at}: a sample", w, t) for w, t in times.items()]
            for way, dataset in sets.items():
                seconds = worker_seconds(dataset, settings)
                rows.append(Measurement("loading", f"{at}: one worker", way, seconds))
            for row in rows:
                per_second = 1 / float(np.median(row.seconds))
                measurements.append(replace(row, figures={"images/s": per_second}))
            for stage, times_ in time_ways(stages(sets["from PNG"]), settings).items():
                measurements.append(Measurement("loading", f"{at}: of a sample", stage, times_))
    return measurements


def worker_seconds(dataset: AlignedDataset, settings: Settings) -> list[float]:
    """Seconds between batches of one image as they come from one process to this one."""
    count = settings.repeats + settings.warm_up + 1
    order = BatchSampler([number % len(dataset) for number in range(count)], 1, drop_last=False)
    loader = Loader(dataset, batch_sampler=order, workers=1, seed=0)
    moments = [time.perf_counter() for _ in loader]
    return [later - sooner for sooner, later in pairwise(moments)][settings.warm_up :]


def stages(dataset: AlignedDataset) -> dict[str, Callable[[], object]]:
    """The parts of making a sample from its files, and of a batch of it, in their order."""
    files = dataset.files[0]
    maps = {name: dataset.read_map(name, path) for name, path in files.items()}
    planes = {name: dataset.resize_map(name, values) for name, values in maps.items()}
    height, width = planes["label"].shape[1:]
    rng = np.random.default_rng(0)
    whole = draw(
        rng, (width, height), resize_or_crop="none", load_size=width, fine_size=width, flip=False
    )
    sample = dataset[0]
    return {
        "decode and check label": partial(dataset.read_map, "label", files["label"]),
        "decode inst": partial(dataset.read_map, "inst", files["inst"]),
        "decode photo": partial(dataset.read_map, "image", files["image"]),
        "resize, to arrays": lambda: [dataset.resize_map(name, maps[name]) for name in maps],
        "to tensors": lambda: [dataset.to_tensor(name, planes[name], whole) for name in planes],
        "collate": lambda: collate([sample]),
    }


def open_set(root: Path, width: int, cache: Path | None) -> AlignedDataset:
    """The data set scaled to a width, as in training."""
    return AlignedDataset(
        dataroot=root,
        phase="train",
        label_nc=LABELS,
        input_nc=3,
        output_nc=3,
        use_instance=True,
        resize_or_crop="scale_width",
        load_size=width,
        fine_size=width,
        flip=True,
        ignore_label=None,
        max_size=None,
        needs_image=True,
        seed=0,
        is_train=True,
        cache=cache,
    )


def write_scenes(root: Path, size: tuple[int, int], seed: int) -> None:
    """Write `SCENES` label maps, instance maps and photographs of `size` as PNG.

    The photographs have the noise of a camera, without which they would be decoded too quickly.
    """
    rng = np.random.default_rng(seed)
    blocks = tuple(-(-side // BLOCK) for side in reversed(size))
    for number in range(SCENES):
        label = rng.integers(LABELS, size=blocks)
        inst = label * 1000 + rng.integers(20, size=blocks)
        colours = Image.fromarray(rng.integers(256, size=(*blocks, 3)).astype(np.uint8))
        smooth = np.asarray(colours.resize(size, Image.Resampling.BICUBIC))
        photo = smooth + rng.normal(scale=NOISE, size=smooth.shape)
        whole = np.ones((BLOCK, BLOCK), np.uint8)
        height, width = photo.shape[:2]
        maps = {
            "label": np.kron(label.astype(np.uint8), whole)[:height, :width],
            "inst": np.kron(inst.astype(np.uint16), whole)[:height, :width].astype(np.uint16),
            "img": photo.clip(0, 255).astype(np.uint8),
        }
        for name, pixels in maps.items():
            folder = root / f"train_{name}"
            folder.mkdir(exist_ok=True)
            Image.fromarray(pixels).save(folder / f"{number}.png")


@contextmanager
def one_thread() -> Iterator[None]:
    """PyTorch with one thread, as in loading processes."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
