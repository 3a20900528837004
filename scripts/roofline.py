"""How fast a GPU of given peak rates can at best be: what steps and renderings at full size ask of
it, counted on tensors without content. Needs no GPU, and no time of the machine that it is run on.

python scripts/roofline.py                                               an H200, by its data sheet
python scripts/roofline.py --peak_tflops 700 --bandwidth_tb 4.2          as measured
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

import torch
from torch._subclasses.fake_tensor import FakeTensorMode

# Run as a program, Python looks for modules in scripts/ only.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))


from pix2pixhd import engine
from pix2pixhd.engine.program import run_program
from pix2pixhd.engine.runtime import Runtime
from pix2pixhd.models import segments
from pix2pixhd.options.command_line import read_argv
from pix2pixhd.util.errors import UserError
from scripts.benchmark import markdown, rounded
from scripts.benchmark_sections import build, read_recipe
from scripts.counting import Operator, Operators
from scripts.timing import RECIPES, Settings


@dataclass(frozen=True)
class Peaks:
    """Count what recipes ask of a GPU, and its fastest time for that."""

    recipe: tuple[str, ...] = RECIPES  # scripts/RECIPE.sh
    peak_tflops: float = 989  # of matrix products in bf16; TF32 has half of it
    bandwidth_tb: float = 4.8  # TB/s of its memory
    scale: int = 1  # divides sides of images


def count(call: Callable[[], object]) -> Operators:
    """What a call asks for; none of it is carried out."""
    find = segments.segments
    with (  # as on a GPU: nobody asks how many instances there are, Adam goes by groups by default
        patch.object(segments, "segments", lambda ids, _: find(ids, counted=False)),
        patch("torch.optim.adam._default_to_fused_or_foreach", lambda *_, **__: (False, True)),
        FakeTensorMode(allow_non_fake_inputs=True),
        Operators() as operators,
    ):
        call()  # Adam makes its moments in the first one
        operators.found.clear()
        call()
    return operators


def row(operators: Sequence[Operator], tflops: float, bandwidth_tb: float) -> list[str]:
    """Counts, and the fastest times in ms: of each operator for itself, and of what is left if all
    others become part of a convolution or a normalisation."""

    def ms(operator: Operator) -> float:
        return max(operator.flops / tflops, operator.bytes / bandwidth_tb) / 1e9

    convolutions = [x for x in operators if "convolution" in x.name]
    updates = [x for x in operators if re.search("adam|foreach", x.name)]
    left = [*convolutions, *updates, *(x for x in operators if "norm" in x.name)]
    flops = sum(x.flops for x in operators) / 1e12
    moved = [sum(x.bytes for x in some) / 1e9 for some in (convolutions, updates, operators)]
    gigabytes = [moved[0], moved[1], moved[2] - moved[0] - moved[1]]
    times = [1e3 * flops / tflops, sum(map(ms, operators)), sum(map(ms, left))]
    return [str(len(operators)), *map(rounded, [flops, *gigabytes, *times])]


def main(argv: Sequence[str]) -> None:
    """Print a table of all recipes.

    Raises:
        UserError: there is no such recipe, or a rate that is none.
    """
    peaks = read_argv(argv, Peaks())
    for name in ("peak_tflops", "bandwidth_tb", "scale"):
        if not getattr(peaks, name) > 0:
            raise UserError(f"--{name} {getattr(peaks, name)}: must be more than 0")
    full = Runtime(torch.device("cpu"))
    half = Runtime(torch.device("cpu"), torch.bfloat16, channels_last=True)
    ways = {  # what, in which runtime, with activations checkpointed
        "plain step, TF32": ("plain step", full, False),
        "ours, bf16": ("training", half, False),
        "ours, bf16, --checkpoint_activations": ("training", half, True),
        "rendering, bf16": ("rendering", half, False),
    }
    head = "what|how|operators|TFLOP|GB: convolutions|Adam|all else"
    head += "|ms: arithmetic|operator by operator|fused|peak (GiB)"
    lines = [head.split("|")]
    for name in peaks.recipe:
        for way, (what, runtime, again) in ways.items():
            section = "rendering" if what == "rendering" else "training"
            recipe = read_recipe(name, section, Settings(device="cpu", scale=peaks.scale))
            tflops = peaks.peak_tflops / (1 if runtime is half else 2)
            with patch.object(engine.runtime, "arranges_weights", lambda device: False):
                call = build(what, recipe, runtime, again)
            operators = count(call)
            height, width = recipe.batch.label.shape[-2:]
            figures = row(operators.found, tflops, peaks.bandwidth_tb)
            memory = rounded(operators.peak / 2**30)
            lines.append([f"{name}, {width}x{height}", way, *figures, memory])
    print(markdown(lines))


if __name__ == "__main__":
    run_program(lambda: main(sys.argv[1:]))
