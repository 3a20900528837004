"""The ways to take a training step: the plain one, and what makes it faster, measure by measure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor

from engine.optimizers import Optimizers
from engine.runtime import Machine, choose_machine
from models.pix2pixhd import Batch, Pix2PixHDModel
from options.train_options import TrainOptions
from scripts.benchmarks.plain_step import PlainStep, networks_of
from scripts.benchmarks.recipes import build_model
from train import train_step

BASELINE = "eager float32 baseline"
AS_TRAINED = "as train.py runs it"


@dataclass(frozen=True)
class Way:
    """How to take a step."""

    name: str
    adds_to: str = ""  # the way that this one is to be compared with, beside the baseline
    plain: bool = False  # three looks of the discriminators (`PlainStep`)
    dtype: torch.dtype = torch.float32
    channels_last: bool = False
    compiles: bool = False
    fused: bool | None = False  # see `Optimizers`
    checkpoint_activations: bool = False

    def machine(self, device: torch.device) -> Machine:
        """What the step is computed on."""
        return Machine(
            device, dtype=self.dtype, compiles=self.compiles, channels_last=self.channels_last
        )


@dataclass(frozen=True)
class Step:
    """A step that can be taken again and again."""

    model: Pix2PixHDModel
    optimizers: PlainStep | Optimizers  # `G` and `D` are the Adams of both
    take: Callable[[Batch], object]


def training_ways(device: torch.device, options: TrainOptions, compiles: bool) -> list[Way]:
    """The baseline, the measures on top of each other, and what train.py makes of the recipe."""
    one = Way("one discriminator pass", BASELINE)
    fused = replace(one, name="+ fused Adam", adds_to=one.name, fused=None)
    half = replace(fused, name="+ bfloat16", adds_to=fused.name, dtype=torch.bfloat16)
    # Many CPUs only imitate bfloat16: what comes after would be lost in the time that takes.
    best = half if device.type == "cuda" else fused
    last = replace(best, name="+ channels last", adds_to=best.name, channels_last=True)
    ways = [Way(BASELINE, plain=True), one, fused, half, last]
    if compiles:
        ways.append(replace(last, name="+ compile", adds_to=last.name, compiles=True))
    trained = as_trained(device, options)
    again = replace(
        trained,
        name=f"{AS_TRAINED}, --checkpoint_activations",
        adds_to=AS_TRAINED,
        checkpoint_activations=True,
    )
    return [*ways, trained, again]


def as_trained(device: torch.device, options: TrainOptions) -> Way:
    """The way that train.py takes on a device, where the recipe alone says what to do."""
    machine = choose_machine(replace(options, run=replace(options.run, gpu_ids=gpu_ids(device))))
    return Way(
        AS_TRAINED,
        dtype=machine.dtype,
        channels_last=machine.channels_last,
        compiles=machine.compiles,
        fused=None,
        checkpoint_activations=options.schedule.checkpoint_activations,
    )


def gpu_ids(device: torch.device) -> str:
    """The flag's value for a device."""
    return str(device.index or 0) if device.type == "cuda" else "-1"


def build_step(
    way: Way,
    options: TrainOptions,
    weights: dict[str, Tensor],  # of the VGG19
    device: torch.device | None,  # None: leave the networks on the CPU, as they are
) -> Step:
    """Networks and optimizers of a recipe, and the step that trains them."""
    model = build_model(options, weights, way.checkpoint_activations)
    machine = way.machine(device or torch.device("cpu"))
    if device is not None:
        model = machine.prepare(model)
    if way.plain:
        plain = PlainStep(networks_of(model), options)
        return Step(model, plain, plain)
    schedule = options.schedule
    optimizers = Optimizers(model, schedule.lr, schedule.beta1, fused=way.fused)
    return Step(model, optimizers, partial(train_step, model, optimizers, machine))
