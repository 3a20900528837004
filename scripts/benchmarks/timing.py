"""What every section needs: its settings, a measurement, and a clock."""

from __future__ import annotations

import gc
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

DEFAULT_SIZE = (1024, 512)  # width and height of maps, in pixels
ROUNDS = 2  # turns that ways take which cannot all be built at once


@dataclass(frozen=True)
class Settings:
    """What is the same for all sections."""

    device: torch.device
    repeats: int = 10  # timed calls of each way
    size: tuple[int, int] | None = None  # width and height that were asked for, in pixels
    seed: int = 0
    warm_up: int = 2  # untimed calls of each way
    steps: int = 4  # timed calls of each way, where a call is a whole training step or rendering
    recipes: tuple[str, ...] = ()  # scripts/<name>.sh; none: each section's own choice
    recipe_flags: tuple[str, ...] = ()  # of train.py, added to every recipe's own
    compiles: bool = False  # also time what takes minutes to compile
    against: Path | None = None  # a checkout of pix2pixHD to compare with
    vgg_weights: Path | None = None
    facts: dict[str, str] = field(default_factory=dict)  # what sections found out on their way

    @property
    def width(self) -> int:
        """Of maps, in pixels, where they are of no recipe."""
        return (self.size or DEFAULT_SIZE)[0]

    @property
    def height(self) -> int:
        return (self.size or DEFAULT_SIZE)[1]


@dataclass(frozen=True)
class Measurement:
    """The times of one way of doing one thing, or other figures of it."""

    section: str
    case: str  # the thing, such as "forward, 25 instances"
    way: str
    seconds: list[float]  # of each call; empty where nothing is timed
    figures: dict[str, float] = field(default_factory=dict)  # further ones: columns of the table

    def quartiles(self) -> tuple[float, float, float]:
        """The lower quartile, the median and the upper quartile in milliseconds."""
        low, middle, high = np.percentile(self.seconds, (25, 50, 75)) * 1000
        return float(low), float(middle), float(high)

    def record(self) -> dict[str, object]:
        """All of it, for JSON."""
        times: dict[str, object] = {}
        if self.seconds:
            low, middle, high = self.quartiles()
            times = {"median_ms": middle, "quartiles_ms": [low, high], "seconds": self.seconds}
        what = {"section": self.section, "case": self.case, "way": self.way}
        return {**what, **times, "figures": dict(self.figures)}


def time_ways(
    ways: Mapping[str, Callable[[], object]], settings: Settings
) -> dict[str, list[float]]:
    """Seconds of each call, {way: [repeats]}.

    The ways take turns, so that other work on the machine slows all of them alike.
    """
    for way in ways.values():
        for _ in range(settings.warm_up):
            way()
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(settings.repeats):
        for name, way in ways.items():
            seconds[name].append(time_call(way, settings.device))
    return seconds


def time_call(call: Callable[[], object], device: torch.device) -> float:
    """Seconds of one call, to the end of the work that it puts on the device."""
    if device.type != "cuda":
        start = time.perf_counter()
        call()
        return time.perf_counter() - start
    with torch.cuda.device(device):
        before, after = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        torch.cuda.synchronize()
        before.record()
        call()
        after.record()
        torch.cuda.synchronize()
    return before.elapsed_time(after) / 1000


@dataclass
class Timed:
    """The calls of one way."""

    seconds: list[float] = field(default_factory=list)
    peak_memory: int = 0  # bytes that the CUDA allocator gave out at most, of this way alone
    failure: str = ""  # why it could not be timed

    @property
    def median(self) -> float:
        """Seconds."""
        return float(np.median(self.seconds))


def time_in_rounds(
    ways: Mapping[str, Callable[[], Callable[[], object]]], settings: Settings
) -> dict[str, Timed]:
    """Time ways that are too large to be in memory together, {way: its calls}.

    In each of `ROUNDS` rounds each way is built, warmed up, called, and given up again.
    """
    found = {name: Timed() for name in ways}
    calls = -(-settings.steps // ROUNDS)
    for _ in range(ROUNDS):
        for name, build in ways.items():
            if sys.stderr.isatty():
                print(f"timing: {name}", file=sys.stderr, flush=True)
            if not found[name].failure:
                _time_one(build, found[name], min(calls, settings.steps), settings)
            gc.collect()
            if settings.device.type == "cuda":
                torch.cuda.empty_cache()
    return found


def _time_one(
    build: Callable[[], Callable[[], object]], timed: Timed, calls: int, settings: Settings
) -> None:
    device = settings.device
    before = torch.cuda.memory_allocated(device) if device.type == "cuda" else 0
    try:
        call = build()
        # Nothing is compiled or chosen by trial on a CPU, where a step takes seconds.
        for _ in range(settings.warm_up if device.type == "cuda" else 1):
            call()
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
        timed.seconds += [time_call(call, device) for _ in range(calls)]
        if device.type == "cuda":
            timed.peak_memory = torch.cuda.max_memory_allocated(device) - before
    except torch.OutOfMemoryError:
        timed.failure = "out of memory"
