"""From the options of metrics to what they are built from."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import torch

from pix2pixhd.metrics import MetricSettings
from pix2pixhd.options.base_options import DataOptions
from pix2pixhd.options.metric_options import MetricOptions
from pix2pixhd.util.labels import LabelSet


class WithMetrics(Protocol):
    """Options of a program that takes metrics."""

    @property
    def metric(self) -> MetricOptions: ...

    @property
    def data(self) -> DataOptions: ...


def metric_settings(
    options: WithMetrics, device: torch.device, labels: LabelSet | None
) -> MetricSettings:
    """What the flags say to metrics."""
    given, ignored = options.metric, options.data.ignore_label
    files = {
        name: None if (file := getattr(given, name)) is None else Path(file)
        for name in ("inception", "lpips_backbone", "segmenter")
    }
    return MetricSettings(
        device=device,
        labels=labels,
        ignore_label=() if ignored is None else (ignored,),
        extractor=given.extractor,
        eval_size=given.size,
        **files,
    )
