"""Rendering: the generator alone, the plain way and as test.py does it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor

from engine.render import render
from engine.runtime import Machine, choose_machine
from models import create_model, uses_features
from options.test_options import TestOptions
from options.train_options import TrainOptions
from scripts.benchmarks.fake import count_operations
from scripts.benchmarks.recipes import synthetic_batch, timed_recipe
from scripts.benchmarks.steps import BASELINE, gpu_ids
from scripts.benchmarks.timing import Measurement, Settings, time_in_rounds
from scripts.benchmarks.training import rates

RECIPES = ("train_512p", "train_1024p_24G")  # a global and a local generator
AS_RENDERED = "as test.py runs it"


def measure_inference(settings: Settings) -> list[Measurement]:
    """Time the rendering of one batch by the generators of the recipes.

    Raises:
        UserError: there is no such recipe.
    """
    measurements = []
    for recipe in settings.recipes or RECIPES:
        options, size = timed_recipe(recipe, settings)
        machines = rendering_machines(settings)
        ways = {
            name: partial(build_rendering, machine, options, size, settings)
            for name, machine in machines.items()
        }
        found = time_in_rounds(ways, settings)
        case = f"{recipe}, {size[0]}x{size[1]}"
        operations = count_operations(partial(build_rendering, None, options, size, settings))
        settings.facts[f"{case}, TFLOP a rendering"] = f"{operations / 1e12:.3g}"
        for name, timed in found.items():
            if timed.failure:
                settings.facts[f"{case}, rendering, {name}"] = timed.failure
                continue
            figures = {}
            if found[BASELINE].seconds:
                figures["times as fast"] = found[BASELINE].median / timed.median
            figures["images/s"] = options.data.batchSize / timed.median
            figures |= rates(operations, timed.median, machines[name].dtype, settings)
            if settings.device.type == "cuda":
                figures["peak memory (GiB)"] = timed.peak_memory / 2**30
            measurements.append(Measurement("inference", case, name, timed.seconds, figures))
    return measurements


def rendering_machines(settings: Settings) -> dict[str, Machine]:
    """What to render on, by the way's name."""
    device = settings.device
    half = Machine(device, dtype=torch.bfloat16)
    last = replace(half, channels_last=True)
    machines = {BASELINE: Machine(device), "bfloat16": half, "bfloat16, channels last": last}
    if settings.compiles or device.type == "cuda":
        machines["bfloat16, channels last, compile"] = replace(last, compiles=True)
    own = TestOptions()
    own = replace(own, run=replace(own.run, gpu_ids=gpu_ids(device)))
    return machines | {AS_RENDERED: choose_machine(own)}


def build_rendering(
    machine: Machine | None,  # None: networks stay as they are made, and compute in float32
    options: TrainOptions,
    size: tuple[int, int],
    settings: Settings,
) -> Callable[[], Tensor]:
    """Make a generator and a batch for it; returns the call that renders the batch."""
    model = create_model(options.model, seed=settings.seed)
    if machine is None:
        machine = Machine(torch.device("cpu"))
    else:
        if machine.compiles:
            torch._dynamo.reset()  # else the ways before count towards its limit of versions
        model = machine.prepare(model)
    # Features are given, as those of a style are: the encoder renders nothing.
    given = replace(
        options, model=replace(options.model, load_features=uses_features(options.model))
    )
    batch = synthetic_batch(given, size, machine.device, settings.seed)

    def call() -> Tensor:
        with machine.autocast():
            return render(model, batch)

    return call
