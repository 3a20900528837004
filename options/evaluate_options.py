"""Options of `evaluate.py`; those of its other commands are in files of their own."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import Literal

from pix2pixhd.options.parsing import parse_for_run
from pix2pixhd.options.test_options import TestOptions


@dataclass(frozen=True)
class MetricOptions:
    """What is measured, and with which networks."""

    inception: str | None = None
    """FID's Inception network as a TorchScript file; by default torchmetrics' own."""
    extractor: Literal["inception", "dinov2"] = "inception"
    """Network whose features KID and FID compare; dinov2 needs torch-fidelity and its weights."""
    lpips_backbone: str | None = None
    """AlexNet's weights for LPIPS; by default torchvision's, which are fetched once."""
    segmenter: str | None = None
    """Segmentation network: of `evaluate.py train-segmenter`, a TorchScript file, or a folder of
    Hugging Face's."""
    eval_size: str | None = None
    """Size that is segmented at, HEIGHTxWIDTH; by default the label maps' own."""


@dataclass(frozen=True)
class EvaluationOptions:
    """What is evaluated, and where the figures go."""

    fake: str | None = None
    """A folder of synthesised images to evaluate in place of a run; paired by name."""
    real: str | None = None
    """The folder of real images that belongs to --fake."""
    label: str | None = None
    """The folder of label maps that belongs to --fake."""
    out: str | None = None
    """Folder of the figures and the page; by default that of the run's gallery."""
    metrics: str | None = None
    """Figures to take, a comma list; by default all that can be had."""


@dataclass(frozen=True)
class EvaluateOptions(TestOptions):
    """Evaluate a trained run, or anybody's images: figures, their protocol, a page.

    Other commands: evaluate.py train-segmenter, compare, study, study-report; each has its --help.
    """

    evaluation: EvaluationOptions = field(default_factory=EvaluationOptions)
    metric: MetricOptions = field(default_factory=MetricOptions)


PARSERS = {"evaluate": partial(parse_for_run, EvaluateOptions)}
