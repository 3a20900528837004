"""Distances between two sets of images, of a network's features: FID and KID.

FID: Heusel et al. 2017. KID: Binkowski et al. 2018. What resizing does to both: Parmar et al. 2022.
"""

from __future__ import annotations

import functools
import importlib
import math
import warnings
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pix2pixhd.metrics.base import Figure, Measurement, MetricSettings, Sample, weights_hash
from pix2pixhd.metrics.pixels import as_rgb, levels
from pix2pixhd.util.checkpoint import load_script
from pix2pixhd.util.errors import UserError

RESIZINGS: dict[str, tuple[str, dict[str, Any]]] = {
    "legacy": ("bilinear without antialiasing", {"mode": "bilinear"}),  # as pytorch-fid
    "clean": ("bicubic with antialiasing", {"mode": "bicubic", "antialias": True}),  # as clean-fid
}
# Of torch-fidelity, by our names: module, class, network, which of its features, side of what it
# sees, its weights in torch's cache. Its Inception is the one that torchmetrics takes.
FETCHED = {
    "inception": (
        "feature_extractor_inceptionv3",
        "FeatureExtractorInceptionV3",
        "inception-v3-compat",
        "2048",
        299,
        "weights-inception-2015-12-05-6726825d.pth",
    ),
    "dinov2": (
        "feature_extractor_dinov2",
        "FeatureExtractorDinoV2",
        "dinov2-vit-l-14",  # as Stein et al. 2023
        "dinov2",
        224,
        "dinov2_vitl14_pretrain.pth",
    ),
}
FEW = 2000  # images, below which KID is what to quote
SUBSETS, SUBSET_SIZE, SEED = 100, 1000, 0  # of KID


_NOT_TO_BE_HAD = (
    *(ImportError, OSError, HTTPException),  # no torch-fidelity, no network
    *(RuntimeError, EOFError, UnpicklingError, LookupError),  # a damaged file in torch's cache
)


@dataclass(frozen=True)
class Extractor:
    """A network and how it is used."""

    features: Callable[[Tensor], Tensor]  # levels 0 to 255, [N, 3, side, side], to [N, D]
    side: int
    protocol: Mapping[str, Any]


class InceptionDistances:
    """FID under two resizings, and KID under the antialiased one.

    Images are rounded to 8 bits as files have them, resized and seen one at a time.
    """

    needs: Collection[str] = ("real",)

    def __init__(self, settings: MetricSettings) -> None:
        """
        Raises:
            UserError: the network cannot be read or fetched.
        """
        self.device = settings.device
        if settings.inception and settings.extractor == "inception":
            self.extractor = _read(settings.inception, settings.device)
        else:
            self.extractor = _fetched(settings.extractor, settings.device)

    @torch.inference_mode()
    def measure(self, sample: Sample) -> Measurement:
        """Features [D] in float32: fake_legacy, fake_clean, real_legacy, real_clean.

        Raises:
            UserError: an image has neither 1 nor 3 channels.
        """
        assert sample.real is not None
        size = (self.extractor.side, self.extractor.side)
        found = {}
        for name, image in (("fake", sample.fake), ("real", sample.real)):
            whole = levels(as_rgb(image, "FID and KID")).to(self.device)
            for resizing, (_, how) in RESIZINGS.items():
                resized = F.interpolate(whole, size, align_corners=False, **how)
                features = self.extractor.features(resized)
                found[f"{name}_{resizing}"] = features[0].float().cpu().numpy()
        return found

    def figures(self, measurements: Sequence[Measurement]) -> dict[str, Figure]:
        # KID's subsets are drawn by place, which must not depend on who measured what.
        ordered = sorted(measurements, key=lambda one: one["fake_clean"][:16].tolist())
        count, side = len(ordered), self.extractor.side
        few = ""
        if count < FEW:
            few = f"{count} images: FID is biased upwards below some thousands, quote KID"
        if count < 2:
            few = f"{count} images: FID and KID need two or more"
        figures = {}
        for resizing, (words, _) in RESIZINGS.items():
            protocol = {
                **self.extractor.protocol,
                "resampling": f"{words}, to {side}x{side}",
                "batch_size": 1,
            }
            names = (f"fake_{resizing}", f"real_{resizing}")
            fake, real = (_stacked([one[name] for one in ordered]) for name in names)
            value = fid(fake, real) if count >= 2 else float("nan")
            figures[f"fid_{resizing}"] = Figure(value, "lower", protocol, warning=few)
        # The last ones are the clean ones.
        figures["kid"] = _kid_figure(fake, real, protocol, few if count < 2 else "")
        return figures


def fid(fake: Tensor, real: Tensor) -> float:
    """Frechet distance of the normal distributions that fit two sets of features, as torchmetrics
    has it; 0 for equal sets.

    Args:
        fake, real: [N, D] in float64, N of 2 and more.
    """
    from torchmetrics.image.fid import FrechetInceptionDistance

    # In coordinates of the space that the features span: the distance is the same, and a few
    # images have no directions without variance, where rounding makes up some.
    both = torch.cat([fake, real])
    axes = torch.linalg.qr((both - both.mean(0)).T, mode="r").R
    metric = FrechetInceptionDistance(_AsItIs(len(axes)))
    for features, is_real in zip(axes.T.split([len(fake), len(real)]), (False, True), strict=True):
        metric.update(features, real=is_real)
    return float(metric.compute())


def kid(fake: Tensor, real: Tensor) -> float:
    """Squared maximum mean discrepancy of two sets of features, kernel (x.y / D + 1)^3, as
    torchmetrics has it.

    Of more than 1000 images, the mean over 100 subsets of 1000, drawn by a seed of their own.

    Args:
        fake, real: [N, D] in float64, N of 2 and more.
    """
    from torchmetrics.image.kid import KernelInceptionDistance

    count = len(fake)
    subsets = SUBSETS if count > SUBSET_SIZE else 1
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that features are kept
        metric = KernelInceptionDistance(
            _AsItIs(fake.shape[1]), subsets, subset_size=min(SUBSET_SIZE, count)
        )
    metric.update(fake, real=False)
    metric.update(real, real=True)
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(SEED)  # torch.manual_seed would seed GPUs as well
        return float(metric.compute()[0])


def kid_standard_error(fake: Tensor, real: Tensor) -> float:
    """Standard error of the KID of all images: the jackknife that leaves out one pair at a time.

    What varies over torchmetrics' subsets is none: of 1000 images and less, all subsets are equal,
    and its draws know nothing of pairs, whose images resemble each other.

    Args:
        fake, real: [N, D] in float64, N of 3 and more; rows of one number belong together.
    """
    from torchmetrics.image.kid import poly_kernel

    count, width = fake.shape

    def row_sums(one: Tensor, other: Tensor) -> Tensor:
        return torch.cat([poly_kernel(rows, other).sum(1) for rows in one.split(SUBSET_SIZE)])

    def diagonal(one: Tensor, other: Tensor) -> Tensor:
        return ((one * other).sum(1) / width + 1) ** 3

    def within(features: Tensor) -> Tensor:
        sums = row_sums(features, features) - diagonal(features, features)
        return (sums.sum() - 2 * sums) / ((count - 1) * (count - 2))

    rows, columns = row_sums(fake, real), row_sums(real, fake)
    across = (rows.sum() - rows - columns + diagonal(fake, real)) / (count - 1) ** 2
    left = within(fake) + within(real) - 2 * across  # KID without each pair
    return math.sqrt((count - 1) * float(left.var(correction=0)))


def _kid_figure(fake: Tensor, real: Tensor, protocol: Mapping[str, Any], warning: str) -> Figure:
    count = len(fake)
    drawn = f"{SUBSETS} subsets of {SUBSET_SIZE} images, seed {SEED}"
    protocol = {
        **protocol,
        "kernel": "(x.y / D + 1)^3",
        "over": drawn if count > SUBSET_SIZE else "all images",
        "standard_error": "jackknife over pairs",
    }
    value = kid(fake, real) if count >= 2 else float("nan")
    beside = {"standard_error": kid_standard_error(fake, real)} if count >= 3 else {}
    return Figure(value, "lower", protocol, beside=beside, warning=warning)


def _stacked(features: Sequence[np.ndarray]) -> Tensor:
    return torch.from_numpy(np.array(features, np.float64))


class _AsItIs(nn.Module):
    """In place of a network, where features are at hand."""

    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.num_features = num_features  # torchmetrics asks for it

    def forward(self, features: Tensor) -> Tensor:
        return features


@functools.lru_cache(maxsize=1)  # a training builds its metrics again and again
def _read(file: Path, device: torch.device) -> Extractor:
    """The network of --inception."""
    expected = "expected TorchScript that makes [N, 2048] of [N, 3, 299, 299]"
    if not file.is_file():
        raise UserError(f"--inception {file}: there is no such file; {expected}")
    network = load_script(file, device, "--inception", expected)
    try:
        with torch.inference_mode():
            found = network(torch.zeros(2, 3, 299, 299, device=device))
    except torch.OutOfMemoryError:
        raise
    except RuntimeError as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[-1]
        raise UserError(f"--inception {file}: {reason}; {expected}") from error
    if not isinstance(found, Tensor) or found.shape != (2, 2048):
        shape = list(found.shape) if isinstance(found, Tensor) else type(found).__name__
        raise UserError(f"--inception {file}: two images give {shape}; {expected}")
    protocol = {"extractor": "inception", "weights": weights_hash(file)}
    return Extractor(lambda x: network((x - 128) / 128), 299, protocol)


@functools.lru_cache(maxsize=1)
def _fetched(name: str, device: torch.device) -> Extractor:
    """A network of torch-fidelity with weights from torch's cache, fetched where they are not."""
    module, its_class, network_name, features, side, weights = FETCHED[name]
    try:
        made = getattr(importlib.import_module(f"torch_fidelity.{module}"), its_class)
        network = made(network_name, [features]).to(device)
        used = weights_hash(Path(torch.hub.get_dir(), "checkpoints", weights))
    except _NOT_TO_BE_HAD as error:
        instead = "FILE" if name == "inception" else "FILE with --extractor inception"
        raise UserError(
            f"the {name} network for FID and KID cannot be had ({repr(error)[:200]}); give "
            f"--inception {instead}, or install torch-fidelity and let it fetch {weights} once"
        ) from error
    protocol = {
        "extractor": f"{name} (torch-fidelity's {network_name})",
        "weights": used,
        "levels": "rounded to 8 bits after resampling",
    }
    # It would resize, but what it is given has its size already.
    return Extractor(lambda x: network(x.round().clamp(0, 255).byte())[0], side, protocol)
