"""The most memory that a training step takes, computed from the lives of its tensors."""

from __future__ import annotations

import gc
from collections import Counter
from dataclasses import replace

import torch
from torch import nn

from options.train_options import TrainOptions
from scripts.benchmarks.fake import fake_tensors
from scripts.benchmarks.live_memory import LiveMemory, places
from scripts.benchmarks.recipes import (
    RECIPES,
    random_vgg_weights,
    recipe_options,
    recipe_size,
    synthetic_batch,
)
from scripts.benchmarks.steps import BASELINE, Step, Way, build_step
from scripts.benchmarks.timing import Measurement, Settings

GIB = 2**30
OURS = (
    Way("ours, float32", fused=None),
    Way("ours, bfloat16", fused=None, dtype=torch.bfloat16),
)
WAYS = (
    Way(BASELINE, plain=True),
    *OURS,
    *(
        replace(way, name=f"{way.name}, --checkpoint_activations", checkpoint_activations=True)
        for way in OURS
    ),
)
LARGEST = 8  # parts of the networks that are named for what they hold at the peak
REST = "activations and the rest"


def measure_memory(settings: Settings) -> list[Measurement]:
    """The peak of each recipe's second step, in GiB, and what it is made of.

    The second, as the optimizer's state is made in the first. Not counted: what libraries allocate
    within an operation, and what the allocator rounds up. On a CUDA GPU the allocator's own figure
    stands beside it.
    """
    settings.facts["memory"] = (
        "computed from live tensors; cuDNN's workspaces and the allocator's rounding not counted"
    )
    measurements = []
    for recipe in settings.recipes or RECIPES:
        options = recipe_options(recipe, settings.recipe_flags)
        size = settings.size or recipe_size(options)
        case = f"{recipe}, {size[0]}x{size[1]}"
        for way in WAYS:
            figures, largest = computed_peak(way, options, size)
            if settings.device.type == "cuda":
                figures["allocated (GiB)"] = allocated_peak(way, options, size, settings.device)
            measurements.append(Measurement("memory", case, way.name, [], figures))
            settings.facts[f"largest at the peak of {case}, {way.name}"] = ", ".join(
                f"{place} {size / GIB:.2f}" for place, size in largest.most_common(LARGEST)
            )
    return measurements


def computed_peak(
    way: Way, options: TrainOptions, size: tuple[int, int]
) -> tuple[dict[str, float], Counter[str]]:
    """Figures of the peak in GiB, by name; and the bytes that parts of the networks hold then."""
    memory = LiveMemory()
    with fake_tensors(), memory:
        step = build_step(way, options, random_vgg_weights(), None)
        batch = synthetic_batch(options, size, torch.device("cpu"))
        gradients = gradient_numbers(memory, step.model)
        step.take(batch)
        gc.collect()
        with places(memory, step.model):
            memory.reset_peak()
            step.take(batch)
        kinds = dict.fromkeys(gradients, "gradients") | lasting(memory, step)
    totals = dict.fromkeys(("parameters", "gradients", "optimizer", REST), 0)
    largest: Counter[str] = Counter()
    for number, stored in memory.at_peak.items():
        kind = kinds.get(number, REST)
        totals[kind] += stored.bytes
        if kind == REST:
            largest[part(stored.place)] += stored.bytes
    figures = {"peak (GiB)": memory.peak / GIB}
    return figures | {kind: total / GIB for kind, total in totals.items()}, largest


def gradient_numbers(memory: LiveMemory, model: nn.Module) -> set[int]:
    """The numbers of all storages of parameters' gradients; they come while steps are taken."""
    found: set[int] = set()

    def note(parameter: torch.Tensor) -> None:
        assert parameter.grad is not None
        number = memory.number(parameter.grad)
        if number is not None:
            found.add(number)

    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.register_post_accumulate_grad_hook(note)
    return found


def lasting(memory: LiveMemory, step: Step) -> dict[int, str]:
    """The kinds of the storages that outlast a step, by their numbers."""
    tensors: list[tuple[str, torch.Tensor]]
    tensors = [("parameters", tensor) for tensor in step.model.parameters()]
    for adam in (step.optimizers.G, step.optimizers.D):
        for state in adam.state.values():
            tensors += [("optimizer", t) for t in state.values() if isinstance(t, torch.Tensor)]
    numbers = [(memory.number(tensor), kind) for kind, tensor in tensors]
    return {number: kind for number, kind in numbers if number is not None}


def part(place: str) -> str:
    """A network's part: the module's name without the layer's number."""
    names = place.split(".")
    return ".".join(names[:2]) if place else "outside networks, or in a backward pass"


def allocated_peak(
    way: Way, options: TrainOptions, size: tuple[int, int], device: torch.device
) -> float:
    """What the CUDA allocator gave out at most in a second step, in GiB; NaN if it ran out."""
    torch.cuda.empty_cache()
    before = torch.cuda.memory_allocated(device)
    try:
        step = build_step(way, options, random_vgg_weights(), device)
        batch = synthetic_batch(options, size, device)
        step.take(batch)
        torch.cuda.reset_peak_memory_stats(device)
        step.take(batch)
        return (torch.cuda.max_memory_allocated(device) - before) / GIB
    except torch.OutOfMemoryError:
        return float("nan")
