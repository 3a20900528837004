"""Training steps of the recipes: the plain one, ours, and what each measure brings."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import torch
from torch import Tensor

from options.train_options import TrainOptions
from scripts.benchmarks.against import Checkout
from scripts.benchmarks.fake import count_operations
from scripts.benchmarks.peak import matmul_peak, precision
from scripts.benchmarks.recipes import (
    RECIPES,
    random_vgg_weights,
    synthetic_batch,
    timed_recipe,
    vgg_weights,
)
from scripts.benchmarks.steps import BASELINE, Way, build_step, training_ways
from scripts.benchmarks.timing import Measurement, Settings, Timed, time_in_rounds

REFERENCE = "reference checkout"
ON_CPU = ("train_512p", "train_1024p_24G")  # recipes that are timed there if none are named


def measure_training(settings: Settings) -> list[Measurement]:
    """Time the steps of each recipe, the ways taking turns.

    Raises:
        UserError: there is no such recipe or checkout, or the VGG19's weights cannot be read.
    """
    weights, source = vgg_weights(settings)
    settings.facts["VGG19 weights"] = source
    settings.facts["TFLOP"] = (
        "convolutions of one efficient step, forward and backward; what a way computes beyond them "
        "does not count"
    )
    checkout = Checkout(settings.against, weights) if settings.against else None
    on_cpu = settings.device.type == "cpu"
    measurements = []
    for recipe in settings.recipes or (ON_CPU if on_cpu else RECIPES):
        options, size = timed_recipe(recipe, settings)
        measurements += measure_recipe(recipe, options, size, weights, checkout, settings)
    return measurements


def measure_recipe(
    recipe: str,
    options: TrainOptions,
    size: tuple[int, int],
    weights: dict[str, Tensor],
    checkout: Checkout | None,
    settings: Settings,
) -> list[Measurement]:
    """Time one recipe's step at a size."""
    device = settings.device
    compiles = settings.compiles or device.type == "cuda"
    ways = {way.name: way for way in training_ways(device, options, compiles)}
    batch = synthetic_batch(options, size, device, settings.seed)

    def build(way: Way) -> Callable[[], object]:
        if way.compiles:
            torch._dynamo.reset()  # else the ways before count towards its limit of versions
        return partial(build_step(way, options, weights, device).take, batch)

    builders: dict[str, Callable[[], Callable[[], object]]] = {}
    if checkout:
        builders[REFERENCE] = lambda: partial(checkout.step(options, device), batch)
    builders |= {name: partial(build, way) for name, way in ways.items()}
    found = time_in_rounds(builders, settings)

    case = f"{recipe}, {size[0]}x{size[1]}"
    operations = step_operations(options, size)
    images = options.data.batchSize
    measurements = []
    for name, timed in found.items():
        if timed.failure:
            settings.facts[f"{case}, {name}"] = timed.failure
            continue
        figures = ratios(name, ways, found, REFERENCE if checkout else BASELINE)
        figures["images/s"] = images / timed.median
        dtype = ways[name].dtype if name in ways else torch.float32
        figures |= rates(operations, timed.median, dtype, settings)
        if device.type == "cuda":
            figures["peak memory (GiB)"] = timed.peak_memory / 2**30
        measurements.append(Measurement("training", case, name, timed.seconds, figures))
    settings.facts[f"{case}, TFLOP a step"] = f"{operations / 1e12:.3g}"
    return measurements


def step_operations(options: TrainOptions, size: tuple[int, int]) -> int:
    """Floating-point operations that a step needs: the discriminators see each image once."""

    def build() -> Callable[[], object]:
        way = Way("ours", fused=None)
        step = build_step(way, options, random_vgg_weights(), None)
        return partial(step.take, synthetic_batch(options, size, torch.device("cpu")))

    return count_operations(build)


def ratios(
    name: str, ways: Mapping[str, Way], found: Mapping[str, Timed], yardstick: str
) -> dict[str, float]:
    """How many times as fast a way is as the yardstick, and as the way that it adds to."""
    own = ways.get(name)
    others = {"times as fast": yardstick, "over what it adds to": own.adds_to if own else ""}
    return {
        figure: found[other].median / found[name].median
        for figure, other in others.items()
        if other in found and found[other].seconds
    }


def rates(
    operations: int, seconds: float, dtype: torch.dtype, settings: Settings
) -> dict[str, float]:
    """TFLOP/s, and the share of the fastest matrix multiplication in the same precision."""
    name = precision(settings.device, dtype)
    peak = matmul_peak(settings.device, name)
    if name == "tf32":
        settings.facts["float32"] = "convolutions are computed in tf32, PyTorch's default on a GPU"
    settings.facts[f"matrix multiplication in {name}"] = f"{peak / 1e12:.3g} TFLOP/s"
    rate = operations / seconds
    return {"TFLOP/s": rate / 1e12, "share of peak (%)": 100 * rate / peak}
