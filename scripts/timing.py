"""What `benchmark.py` may be told, and its clock: ways of doing the same take turns, each built,
warmed up and timed. Nothing of ours is imported: `reference_step.py` has modules of the same names.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
import torch
import tyro

from scripts.counting import count_launches

Section = Literal["training", "rendering", "loading", "pooling", "editing", "end_to_end", "all"]
Precision = Literal["auto", "fp32", "bf16", "fp16"]
RECIPES = ("train_512p", "train_512p_feat", "train_1024p_24G", "train_1024p_12G")


@dataclass(frozen=True)
class Settings:
    """Time the parts of the system on this machine."""

    sections: tyro.conf.Positional[tuple[Section, ...]] = ("all",)  # what to time
    device: str = "cuda" if torch.cuda.is_available() else "cpu"  # cpu, cuda or cuda:N
    threads: int = 0  # of the CPU; 0: as many as PyTorch takes
    scale: int = 0  # divides sides of images and maps; 0: 1, but 8 for networks on a CPU
    rounds: int = 3  # turns of each way, which is built anew in each
    samples: int = 4  # of a way in a turn: each of ten calls on a GPU, of one on a CPU
    json: Path | None = None  # also write all figures there
    recipe: tuple[str, ...] = RECIPES  # training and rendering: scripts/RECIPE.sh
    train_flags: str = ""  # further ones of recipes and loader: --train_flags="--batchSize 4"
    precision: tuple[Precision, ...] = ("auto", "fp32")  # of our networks, as programs choose it
    compile: bool = False  # training and rendering: also compiled, which takes minutes
    checkpoint_activations: bool = False  # training: also with that flag
    against: Path | None = None  # also the public code, from a checkout of pix2pixHD
    workers: tuple[int, ...] = (1, 2)  # loading: numbers of processes; 0: in the main process
    images: int = 12  # end_to_end: rendered by test.py, and of an epoch of train.py
    frames: Path | None = None  # end_to_end: a --dataroot of theirs; else they are made
    network: str = "--netG local --ngf 8"  # end_to_end: flags of the generator


@dataclass
class Timed:
    """What the clock found of one way: a line of a section's table."""

    case: str = ""  # what is done
    way: str = ""  # how
    images: int = 0  # that a call makes
    seconds: list[float] = field(default_factory=list)  # a call, one value for each sample
    launches: int = 0  # of kernels and graphs in a call; operators on a CPU; 0: not counted
    peak_memory: int = 0  # bytes that PyTorch's CUDA allocator held at most; 0 on a CPU
    failure: str = ""  # why there are no times

    def quartiles(self) -> tuple[float, float, float]:
        """Lower quartile, median and upper quartile, in seconds."""
        low, middle, high = np.percentile(self.seconds, (25, 50, 75))
        return float(low), float(middle), float(high)


Build = Callable[[], Callable[[], object]]
"""Makes what a call needs (networks, optimizers, a batch on the device); returns the call."""

Way = Callable[[str, int], Timed]
"""Takes samples, on a device, so many, of one way of doing something."""


def time_calls(build: Build, device: str, samples: int, *, counts: bool = False) -> Timed:
    """Build a way, warm it up, and take samples of it.

    Args:
        counts: also count what a call launches.
    """
    timed, on_gpu = Timed(), device != "cpu"
    held = torch.cuda.memory_allocated(device) if on_gpu else 0
    # A wait after each call would hide that the CPU prepares the next one while a GPU computes, as
    # it does in training.
    calls = 10 if on_gpu else 1
    wait = partial(torch.cuda.synchronize, device) if on_gpu else lambda: None
    try:
        call = build()
        for _ in range(5 if on_gpu else 1):  # a GPU's kernels are chosen in the first calls
            call()
        if counts:
            timed.launches = count_launches(call, device)
        if on_gpu:
            torch.cuda.reset_peak_memory_stats(device)
        for _ in range(samples):
            wait()
            start = time.perf_counter()
            for _ in range(calls):
                call()
            wait()
            timed.seconds.append((time.perf_counter() - start) / calls)
        if on_gpu:
            timed.peak_memory = torch.cuda.max_memory_allocated(device) - held
    except torch.OutOfMemoryError:
        timed.failure = "out of memory"
    return timed


def compare(
    case: str, ways: Mapping[str, Way], settings: Settings, images: int = 0, device: str = ""
) -> list[Timed]:
    """Time ways of doing one thing in turns, so that other work on the machine slows all alike.

    They are built anew in each round, as they may be too large to be in memory together.
    """
    device = device or settings.device
    rows = {name: Timed(case, name, images) for name in ways}
    for _ in range(settings.rounds):
        for name, row in rows.items():
            if row.failure:
                continue
            timed = ways[name](device, settings.samples)
            row.seconds += timed.seconds
            row.launches = timed.launches
            row.peak_memory = max(row.peak_memory, timed.peak_memory)
            row.failure = timed.failure
            gc.collect()
            if device != "cpu":
                torch.cuda.empty_cache()  # no way is to profit from what others held
    return list(rows.values())
