"""Instance-wise average pooling, next to a loop over the instances."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from scipy.spatial import cKDTree
from torch import Tensor

from models.encoder import instance_average
from scripts.benchmarks.timing import Measurement, Settings, time_ways
from util.errors import UserError

INSTANCES = (25, 500)  # a quiet street, and more than Cityscapes' fullest
FEATURES = 3  # the default of --feat_num
AGREEMENT = 1e-5  # largest difference allowed between two ways of doing the same


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
