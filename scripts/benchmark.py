"""How long the parts of the system take on this machine, next to a plainer way of doing the same.

    python scripts/benchmark.py                               all sections
    python scripts/benchmark.py pooling --json pooling.json   one, and its figures in a file
    python scripts/benchmark.py training --against ../pix2pixHD
                                                              next to another implementation

A section is a function from `Settings` to a list of `Measurement` and a row of `SECTIONS`.
"""

from __future__ import annotations

import argparse
import json
import re
import shlex
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

# Run as a program, Python looks for modules in scripts/ only.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from engine.program import run_program
from scripts.benchmarks.colouring import measure_colouring
from scripts.benchmarks.inference import measure_inference
from scripts.benchmarks.loading import measure_loading
from scripts.benchmarks.memory import measure_memory
from scripts.benchmarks.pooling import measure_pooling
from scripts.benchmarks.timing import Measurement, Settings
from scripts.benchmarks.training import measure_training
from scripts.report import in_one_line, machine, markdown
from util.errors import UserError
from util.files import replacing

SECTIONS: dict[str, Callable[[Settings], list[Measurement]]] = {
    "pooling": measure_pooling,
    "training": measure_training,
    "inference": measure_inference,
    "colouring": measure_colouring,
    "loading": measure_loading,
    "memory": measure_memory,
}
REPEATS = 10
STEPS_ON_CPU = 4  # timed training steps and renderings, which take seconds there


def table(measurements: Sequence[Measurement]) -> str:
    """A Markdown table with a row for each measurement, and a column for each further figure."""
    timed = any(row.seconds for row in measurements)
    further = list(dict.fromkeys(name for row in measurements for name in row.figures))
    head = ["what", "how", *(["median (ms)", "quartiles (ms)"] if timed else []), *further]
    rows = []
    for row in measurements:
        cells = [row.case, row.way]
        if row.seconds:
            low, middle, high = row.quartiles()
            cells += [f"{middle:.4g}", f"{low:.4g} to {high:.4g}"]
        elif timed:
            cells += ["", ""]
        rows.append(cells + [_cell(row.figures.get(name)) for name in further])
    return markdown(head, rows)


def _cell(figure: float | None) -> str:
    return "" if figure is None else f"{figure:.3g}"


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
    parser = argparse.ArgumentParser(
        description="Time the parts of the system on this machine.",
        epilog="On a CPU, training steps and renderings are smaller and fewer unless flags say "
        "otherwise; what was chosen is printed.",
    )
    names = ", ".join(SECTIONS)
    parser.add_argument("sections", nargs="*", metavar="SECTION", help=f"{names} (default: all)")
    parser.add_argument("--device", help="cpu, cuda or cuda:1 (default: cuda where there is one)")
    parser.add_argument(
        "--repeats",
        type=_positive,
        help=f"timed calls of each way ({REPEATS}; {STEPS_ON_CPU} of a training step on a CPU)",
    )
    parser.add_argument(
        "--size", type=_size, metavar="WxH", help="of maps (1024x512) and of the recipes' images"
    )
    parser.add_argument("--threads", type=_positive, help="of the CPU (default: torch's own)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write all figures there")
    recipes = parser.add_argument_group("training, inference and memory")
    recipes.add_argument(
        "--recipes", nargs="+", default=(), metavar="NAME", help="scripts/<NAME>.sh, by name"
    )
    recipes.add_argument(
        "--train_flags",
        type=shlex.split,
        default=(),
        metavar="FLAGS",
        help='added to the recipes\' own: --train_flags="--batchSize 4 --no_vgg_loss"',
    )
    recipes.add_argument(
        "--compile", action="store_true", help="torch.compile on a CPU too, which takes minutes"
    )
    recipes.add_argument("--vgg_weights", type=Path, metavar="FILE", help="of the perceptual loss")
    recipes.add_argument(
        "--against", type=Path, metavar="PATH", help="a checkout of pix2pixHD to compare with"
    )
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


def settings_of(asked: argparse.Namespace) -> Settings:
    """What the command line asks for.

    Raises:
        UserError: there is no such device.
    """
    device = choose(asked.device)
    repeats = asked.repeats or REPEATS
    return Settings(
        device,
        repeats,
        asked.size,
        steps=repeats if asked.repeats or device.type == "cuda" else STEPS_ON_CPU,
        recipes=tuple(asked.recipes),
        recipe_flags=tuple(asked.train_flags),
        compiles=asked.compile,
        against=asked.against,
        vgg_weights=asked.vgg_weights,
    )


def main(argv: Sequence[str] | None = None) -> None:
    """Measure what the command line asks for.

    Raises:
        UserError: there is no such section or device, or the file cannot be written.
    """
    asked = _parser().parse_args(argv)
    for name in asked.sections:
        if name not in SECTIONS:
            raise UserError(f"{name}: no such section; there are {', '.join(SECTIONS)}")
    settings = settings_of(asked)
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
        known = set(settings.facts)
        found = SECTIONS[name](settings)
        print(f"\n{name}\n\n{table(found)}\n", flush=True)
        for fact in (fact for fact in settings.facts if fact not in known):
            print(f"- {fact}: {settings.facts[fact]}", flush=True)
        measurements += found
    facts |= settings.facts
    if asked.json:
        content = {"machine": facts, "measurements": [row.record() for row in measurements]}
        with replacing(asked.json) as file:
            file.write(json.dumps(content, indent=1).encode() + b"\n")


if __name__ == "__main__":
    run_program(main)
