"""Small networks in place of the trained ones, so that every metric runs without a network."""

from __future__ import annotations

import warnings
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from pix2pixhd.metrics import MetricSettings
from pix2pixhd.util.labels import LabelSet

ALEXNET = {0: (64, 3, 11), 3: (192, 64, 5), 6: (384, 192, 3), 8: (256, 384, 3), 10: (256, 256, 3)}
VGG16 = "vgg16-397923af.pth"


def settings(folder: Path) -> MetricSettings:
    """Settings with which every row of METRICS can be built; files not yet there are written.

    DISTS takes its weights from torch's cache: it needs `vgg16_stand_in` besides.
    """
    files = {name: folder / f"{name}.pt" for name in ("inception", "segmenter", "alexnet")}
    if not files["alexnet"].exists():
        torch.save(alexnet_weights(), files["alexnet"])
        # By tracing: TorchScript without source files.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # users have such files, deprecated or not
            for name, network in (("inception", Inception()), ("segmenter", Segmenter())):
                traced = torch.jit.trace(network, torch.zeros(1, 3, 299, 299))
                torch.jit.save(traced, str(files[name]))
    return MetricSettings(
        labels=LabelSet(np.eye(3, dtype=np.uint8) * 255, ("red", "green", "blue")),
        inception=files["inception"],
        lpips_backbone=files["alexnet"],
        segmenter=files["segmenter"],
    )


def alexnet_weights(dtype: torch.dtype = torch.float32) -> dict[str, Tensor]:
    """Random weights of AlexNet's convolutions, under torchvision's names."""
    draw = torch.Generator().manual_seed(0)
    state = {}
    for index, (out, into, side) in ALEXNET.items():
        weight = torch.randn(out, into, side, side, generator=draw) / (into * side**2) ** 0.5
        state[f"features.{index}.weight"] = weight.to(dtype)
        state[f"features.{index}.bias"] = torch.zeros(out, dtype=dtype)
    return state


def vgg16_stand_in(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """A random VGG16 without its classifier, which has 0.5 GB, in torch's cache."""
    from torchvision.models.vgg import cfgs, make_layers

    torch.manual_seed(0)
    features = make_layers(cfgs["D"], batch_norm=False)
    (folder / "checkpoints").mkdir(exist_ok=True)
    (folder / "checkpoints" / VGG16).write_bytes(b"random")
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(folder))
    made = SimpleNamespace(features=features)
    monkeypatch.setattr("torchmetrics.functional.image.dists.vgg16", lambda weights: made)


class Inception(nn.Module):
    """[N, 3, 299, 299] to [N, 2048]."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layer = nn.Conv2d(3, 2048, 23, 23)

    def forward(self, image: Tensor) -> Tensor:
        features: Tensor = self.layer(image).relu().mean((2, 3))
        return features


class Segmenter(nn.Module):
    """The brightest channel is the label: [N, 3, H, W] to as many logits."""

    def forward(self, image: Tensor) -> Tensor:
        return image * 10
