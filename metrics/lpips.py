"""Perceptual distance (Zhang et al. 2018): to the real image, and between renderings of one input.

AlexNet's backbone is read from a file or fetched; the linear heads come with torchmetrics.
"""

from __future__ import annotations

import functools
from collections.abc import Collection, Sequence
from http.client import HTTPException
from itertools import combinations
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from pix2pixhd.metrics.base import (
    Figure,
    Measurement,
    MetricSettings,
    Sample,
    mean_figure,
    weights_hash,
)
from pix2pixhd.metrics.pixels import as_rgb, check_size
from pix2pixhd.util.checkpoint import differing_tensors, load_tensors
from pix2pixhd.util.errors import UserError

SMALLEST = 31  # pixels each way, that AlexNet's second pooling has something to take


class LPIPS:
    """Mean LPIPS to the real image: 0 for equal images."""

    needs: Collection[str] = ("real",)

    def __init__(self, settings: MetricSettings) -> None:
        """
        Raises:
            UserError: AlexNet's weights cannot be read or fetched.
        """
        self.network, self.protocol = _network(settings.lpips_backbone, settings.device)

    def measure(self, sample: Sample) -> Measurement:
        assert sample.real is not None
        return {"value": np.array(self.distance(sample.fake, sample.real, "lpips"))}

    def figures(self, measurements: Sequence[Measurement]) -> dict[str, Figure]:
        values = [float(measurement["value"]) for measurement in measurements]
        return {"lpips": mean_figure(values, "lower", **self.protocol)}

    @torch.inference_mode()
    def distance(self, one: Tensor, other: Tensor, name: str) -> float:
        """Of two images [1, 1 or 3, H, W] in [-1, 1]; the metric's name is for messages.

        Raises:
            UserError: they have other numbers of channels, or fewer than 31 pixels a side.
        """
        check_size(one, SMALLEST, name)
        value: Tensor = self.network(as_rgb(one, name).float(), as_rgb(other, name).float())
        return value.item()


class Diversity(LPIPS):
    """Mean LPIPS of all pairs of renderings of one input, mean over inputs; 0 where there is but
    one picture for each input."""

    needs: Collection[str] = ("others",)

    def measure(self, sample: Sample) -> Measurement:
        """
        Raises:
            UserError: fewer than two renderings.
        """
        others = sample.others
        if others is None or len(others) < 2:
            found = 0 if others is None else len(others)
            raise UserError(f"diversity: {found} renderings of an input, expected at least 2")
        pairs = combinations(others.split(1), 2)
        distances = [self.distance(one, other, "diversity") for one, other in pairs]
        return {"value": np.array(np.mean(distances)), "renderings": np.array(len(others))}

    def figures(self, measurements: Sequence[Measurement]) -> dict[str, Figure]:
        values = [float(measurement["value"]) for measurement in measurements]
        counts = sorted({int(measurement["renderings"]) for measurement in measurements})
        renderings = counts[0] if len(counts) == 1 else counts
        protocol = {**self.protocol, "renderings": renderings}
        return {"diversity": mean_figure(values, "higher", **protocol)}


@functools.lru_cache(maxsize=1)  # both metrics have the same
def _network(backbone: Path | None, device: torch.device) -> tuple[nn.Module, dict[str, Any]]:
    """LPIPS, and what a protocol says of it."""
    from torchmetrics.functional.image.lpips import _NoTrainLpips

    weights, source, file = _backbone(backbone)
    # The classes around it build AlexNet with fetched weights only.
    network = _NoTrainLpips(net="alex", pnet_rand=True)
    state = network.net.state_dict()
    # torchmetrics has slices of torchvision's layers, which keep their numbers: slice2.3.weight.
    names = {name: f"features.{name.split('.', 1)[1]}" for name in state}
    needed = {
        name: weights[theirs].float()
        for name, theirs in names.items()
        if isinstance(weights.get(theirs), Tensor)
    }
    if differing := differing_tensors(state, needed):
        name, found = differing[0].split(": ", 1)
        raise UserError(
            f"{source}: not the weights of an AlexNet under torchvision's names "
            f"({names[name]} {found}); give --lpips_backbone such a file"
        )
    network.net.load_state_dict(needed)
    protocol = {
        "network": "alexnet",
        "heads": "torchmetrics (LPIPS 0.1)",
        "backbone": weights_hash(file),
    }
    return network.to(device), protocol


def _backbone(file: Path | None) -> tuple[dict[str, Any], str, Path]:
    """AlexNet's state dict, its name for messages, and the file that it is in."""
    if file is not None:
        return load_tensors(file, "--lpips_backbone"), f"--lpips_backbone {file}", file
    from torchvision.models import AlexNet_Weights

    published = AlexNet_Weights.IMAGENET1K_V1
    file = Path(torch.hub.get_dir(), "checkpoints", Path(published.url).name)
    try:
        weights = published.get_state_dict(progress=True, check_hash=True)
    except (OSError, HTTPException, RuntimeError, EOFError, UnpicklingError, LookupError) as error:
        # The first two are the network's; the others come of a damaged file in torch's cache.
        raise UserError(
            f"the AlexNet weights for LPIPS cannot be fetched ({error!r}); give --lpips_backbone "
            "FILE with a copy of torchvision's file"
        ) from error
    return dict(weights), str(file), file
