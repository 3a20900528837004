"""What a metric is: it measures images one by one, and makes figures of all measurements.

Measurements can be kept in a file and gathered from processes in any order, so that evaluations go
on where they were stopped, and any number of processes finds the same figures.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
import torch
from torch import Tensor

from pix2pixhd.util.labels import LabelSet

Measurement = Mapping[str, np.ndarray]  # of one image, by names of the metric's own; can be pickled


@dataclass(frozen=True)
class Sample:
    """A synthesised image, and what it is compared with, on any device."""

    fake: Tensor  # [1, C, H, W] in [-1, 1]
    real: Tensor | None = None  # [1, C, H, W] in [-1, 1]
    label: Tensor | None = None  # integers [1, 1, H, W]
    others: Tensor | None = None  # [K, C, H, W]: the same input, other features


@dataclass(frozen=True)
class Figure:
    """A number that says how good images are, with what is to be known of it."""

    value: float  # NaN where there is nothing to take it of
    better: Literal["lower", "higher"]
    # How it was made: extractor, hash of its weights, resampling, size, classes left out, ...
    protocol: Mapping[str, Any] = field(default_factory=dict)
    per_image: Sequence[float] | None = None  # in the order of the measurements
    # Other numbers beside it, by name: standard_error, real (the ceiling), floor, ...
    beside: Mapping[str, float] = field(default_factory=dict)
    by_class: Mapping[str, float] = field(default_factory=dict)  # by the label's name
    warning: str = ""  # a line to show with it


@dataclass(frozen=True)
class MetricSettings:
    """What metrics are built from; each takes what it needs."""

    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    labels: LabelSet | None = None
    ignore_label: Sequence[int] = ()
    inception: Path | None = None  # TorchScript; None: torchmetrics' own
    extractor: Literal["inception", "dinov2"] = "inception"
    lpips_backbone: Path | None = None  # AlexNet's convolutions; None: torchvision's
    segmenter: Path | None = None
    eval_size: tuple[int, int] | None = None  # height and width to segment at; None: the labels'


class Metric(Protocol):
    """Measures images; its figures may be several, which share their measurements."""

    needs: Collection[str]  # fields of Sample that must be there: "real", "label", "others"

    def measure(self, sample: Sample) -> Measurement:
        """Measure one image. What is the same for all images, the metric keeps itself."""

    def figures(self, measurements: Sequence[Measurement]) -> dict[str, Figure]:
        """The figures of all images, by their names in METRICS."""


def mean_figure(
    values: Sequence[float], better: Literal["lower", "higher"], **protocol: Any
) -> Figure:
    """The mean over images of a number for each."""
    mean = float(np.mean(values)) if len(values) else float("nan")
    return Figure(mean, better, protocol, list(values))


def weights_hash(path: Path) -> str:
    """The first 12 hexadecimal digits of a weights file's SHA-256, for protocols."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:12]
