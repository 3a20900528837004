"""How long the parts of the system take on this machine, next to a plainer way of doing the same.

    python scripts/benchmark.py                               all sections
    python scripts/benchmark.py pooling --json pooling.json   one, and its figures in a file

A section is a function from `Settings` to a list of `Measurement` and a row of `SECTIONS`.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
import torch
from scipy.spatial import cKDTree
from torch import Tensor

# Run as a program, Python looks for modules in scripts/ only.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from models.encoder import instance_average
from scripts.report import in_one_line, machine, markdown
from util.errors import UserError, run_program
from util.files import replacing

INSTANCES = (25, 500)  # a quiet street, and more than Cityscapes' fullest
FEATURES = 3  # the default of --feat_num
AGREEMENT = 1e-5  # largest difference allowed between two ways of doing the same
WARM_UP = 2  # untimed calls of each way


@dataclass(frozen=True)
class Settings:
    """What is the same for all sections."""

    device: torch.device
    repeats: int  # timed calls of each way
    width: int  # of the maps, in pixels
    height: int
    seed: int = 0


@dataclass(frozen=True)
class Measurement:
    """The times of one way of doing one thing."""

    section: str
    case: str  # the thing, such as "forward, 25 instances"
    way: str
    seconds: list[float]  # of each call
    figures: Mapping[str, float] = field(default_factory=dict)  # further ones: columns of the table

    def quartiles(self) -> tuple[float, float, float]:
        """The lower quartile, the median and the upper quartile in milliseconds."""
        low, middle, high = np.percentile(self.seconds, (25, 50, 75)) * 1000
        return float(low), float(middle), float(high)

    def record(self) -> dict[str, object]:
        """All of it, for JSON."""
        low, middle, high = self.quartiles()
        return {
            "section": self.section,
            "case": self.case,
            "way": self.way,
            "median_ms": middle,
            "quartiles_ms": [low, high],
            "seconds": self.seconds,
            "figures": dict(self.figures),
        }


def time_ways(
    ways: Mapping[str, Callable[[], object]], settings: Settings
) -> dict[str, list[float]]:
    """Seconds of each call, {way: [repeats]}.

    The ways take turns, so that other work on the machine slows all of them alike.
    """
    for way in ways.values():
        for _ in range(WARM_UP):
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


def measure_pooling(settings: Settings) -> list[Measurement]:
    """Instance-wise average pooling of one image against a loop over its instances.

    Raises:
        UserError: the size has fewer pixels than there are instances.
    """
    measurements = []
    for count in INSTANCES:
        for case, ways in pooling_ways(settings, count).items():
            difference = max_difference(*(way() for way in ways.values()))
            assert difference <= AGREEMENT, f"{case}: the two ways differ by {difference:.1e}"
            seconds = time_ways(ways, settings)
            loop, ours = (float(np.median(times)) for times in seconds.values())
            figures = {"times as fast": loop / ours, "largest difference": difference}
            for way, times in seconds.items():
                found = figures if times is seconds["instance_average"] else {}
                measurements.append(Measurement("pooling", case, way, times, found))
    return measurements


def pooling_ways(settings: Settings, count: int) -> dict[str, dict[str, Callable[[], Tensor]]]:
    """The calls to compare, {case: {way: call}}; both calls of a case return the same tensor."""
    random = torch.Generator().manual_seed(settings.seed)
    ids = instance_map(settings.width, settings.height, count, random).to(settings.device)
    shape = (1, FEATURES, settings.height, settings.width)
    features = (torch.rand(shape, generator=random) * 2 - 1).to(settings.device)
    gradient = torch.randn(shape, generator=random).to(settings.device)

    def forward(pool: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
        with torch.no_grad():
            return pool(features, ids)

    def forward_backward(pool: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
        leaf = features.detach().requires_grad_()
        pool(leaf, ids).backward(gradient)
        assert leaf.grad is not None
        return leaf.grad

    return {
        f"{case}, {count} instances": {
            "loop over instances": partial(run, loop_average),
            "instance_average": partial(run, instance_average),
        }
        for case, run in (("forward", forward), ("forward + backward", forward_backward))
    }


def instance_map(width: int, height: int, count: int, random: torch.Generator) -> Tensor:
    """Ids 26000, 26001, ... int32 [1, 1, height, width]: each pixel has that of the nearest of
    `count` random places, so that instances hang together and have slanting outlines.

    Raises:
        UserError: there are fewer pixels than instances.
    """
    if count > width * height:
        raise UserError(
            f"--size {width}x{height}: has no room for {count} instances; make it larger"
        )
    pixels = np.stack(np.divmod(np.arange(height * width), width), axis=1)
    places = pixels[torch.randperm(len(pixels), generator=random)[:count].numpy()]
    nearest = cKDTree(places).query(pixels)[1]
    return torch.from_numpy(26000 + nearest.astype(np.int32)).view(1, 1, height, width)


def loop_average(features: Tensor, ids: Tensor) -> Tensor:
    """The plain way to pool (see `instance_average`): one instance after the other, by its mask.

    The reference also loops over the channels, which is slower still.
    """
    average = torch.zeros_like(features)
    for sample in range(len(ids)):
        for id_ in ids[sample].unique().tolist():
            mask = ids[sample, 0] == id_
            average[sample][:, mask] = features[sample][:, mask].mean(1, keepdim=True)
    return average


def max_difference(one: Tensor, other: Tensor) -> float:
    """The largest absolute difference between two tensors."""
    return float((one - other).abs().max())


SECTIONS: dict[str, Callable[[Settings], list[Measurement]]] = {
    "pooling": measure_pooling,
}


def table(measurements: Sequence[Measurement]) -> str:
    """A Markdown table with a row for each measurement, and a column for each further figure."""
    further = list(dict.fromkeys(name for row in measurements for name in row.figures))
    head = ["what", "how", "median (ms)", "quartiles (ms)", *further]
    rows = []
    for row in measurements:
        low, middle, high = row.quartiles()
        figures = [f"{row.figures[name]:.3g}" if name in row.figures else "" for name in further]
        rows.append([row.case, row.way, f"{middle:.4g}", f"{low:.4g} to {high:.4g}", *figures])
    return markdown(head, rows)


def _size(text: str) -> tuple[int, int]:
    found = re.fullmatch(r"([1-9]\d*)x([1-9]\d*)", text)
    if not found:
        raise argparse.ArgumentTypeError(f"{text!r} is not WIDTHxHEIGHT, such as 1024x512")
    return int(found[1]), int(found[2])


def _positive(text: str) -> int:
    if not re.fullmatch(r"[1-9]\d*", text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 1")
    return int(text)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Time the parts of the system on this machine.")
    names = ", ".join(SECTIONS)
    parser.add_argument("sections", nargs="*", metavar="SECTION", help=f"{names} (default: all)")
    parser.add_argument("--device", help="cpu, cuda or cuda:1 (default: cuda where there is one)")
    parser.add_argument("--repeats", type=_positive, default=10, help="timed calls (10)")
    parser.add_argument("--size", type=_size, default=(1024, 512), help="of maps (1024x512)")
    parser.add_argument("--threads", type=_positive, help="of the CPU (default: torch's own)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write all figures there")
    return parser


def choose(device: str | None) -> torch.device:
    """The device of a flag, or the best there is.

    Raises:
        UserError: there is no such device.
    """
    if device is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if not re.fullmatch(r"cpu|cuda(:\d+)?", device):
        raise UserError(f"--device {device}: expected cpu, cuda or cuda:N")
    chosen = torch.device(device)
    if chosen.type == "cuda" and (chosen.index or 0) >= torch.cuda.device_count():
        raise UserError(f"--device {device}: this machine has {torch.cuda.device_count()} GPUs")
    return chosen


def main(argv: Sequence[str] | None = None) -> None:
    """Measure what the command line asks for.

    Raises:
        UserError: there is no such section or device, or the file cannot be written.
    """
    asked = _parser().parse_args(argv)
    for name in asked.sections:
        if name not in SECTIONS:
            raise UserError(f"{name}: no such section; there are {', '.join(SECTIONS)}")
    settings = Settings(choose(asked.device), asked.repeats, *asked.size)
    if asked.threads:
        torch.set_num_threads(asked.threads)
    facts = machine() | {
        "device": str(settings.device),
        "threads": str(torch.get_num_threads()),
        "size": f"{settings.width}x{settings.height}",
        "repeats": str(settings.repeats),
    }
    print(in_one_line(facts), flush=True)
    measurements = []
    for name in asked.sections or SECTIONS:
        found = SECTIONS[name](settings)
        print(f"\n{name}\n\n{table(found)}", flush=True)
        measurements += found
    if asked.json:
        content = {"machine": facts, "measurements": [row.record() for row in measurements]}
        with replacing(asked.json) as file:
            file.write(json.dumps(content, indent=1).encode() + b"\n")


if __name__ == "__main__":
    run_program(main)
