"""Options of `evaluate.py train-segmenter`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

from pix2pixhd.options.base_options import DataOptions
from pix2pixhd.options.command_line import read_argv
from pix2pixhd.options.fields import Range, expected, fits, flat, types_of
from pix2pixhd.options.generator_options import Count
from pix2pixhd.options.parsing import refuse

Network = Literal[
    "lraspp_mobilenet_v3_large",
    "deeplabv3_mobilenet_v3_large",
    "deeplabv3_resnet50",
    "deeplabv3_resnet101",
    "fcn_resnet50",
    "fcn_resnet101",
]


@dataclass(frozen=True)
class SegmenterOptions:
    """Train a segmentation network on real photographs and their label maps, for --segmenter.

    It sees the images at the size that --resize_or_crop and --loadSize say, by default that of the
    files; give what the runs were trained with that it is to judge. The state is saved after every
    epoch, and the same command goes on. Held-out images (phase val, else test) tell how good it is.
    """

    out: str | None = None
    """File of the trained network; must be given."""
    phase: str = "train"
    """Folders to train on: <phase>_label and <phase>_img."""
    label_nc: Annotated[int, Range(2, 65_536)] = 35
    """Number of labels. Of Cityscapes' 35, its 19 training classes are learnt."""
    network: Network = "lraspp_mobilenet_v3_large"
    """Network of torchvision's."""
    weights: str | None = None
    """Weights to start from, of the whole network or of its backbone; by default random."""
    epochs: Count = 40
    """Times that all images are seen."""
    lr: Annotated[float, Range(1e-8, 10)] = 1e-3
    """Learning rate of AdamW at the start; it falls to 0 with power 0.9."""
    weight_decay: Annotated[float, Range(0, 10)] = 1e-2
    """Weight decay of AdamW."""
    gpu_ids: str = "0"
    """The GPU; -1: the CPU."""
    seed: Annotated[int, Range(0, 2**63 - 1)] = 0
    """Seed of initial weights, order and augmentation."""
    data: DataOptions = field(
        default_factory=lambda: DataOptions(resize_or_crop="none", fineSize=256, batchSize=8)
    )

    def problems(self) -> Iterator[str]:
        """Values out of range and contradictions, one line each; none if sound."""
        types = types_of(type(self))
        for name, value in flat(self).items():
            if not fits(value, types[name]):
                yield f"--{name} {value}: must be {expected(types[name])}"
        if not self.out:
            yield "--out: not given; name the file to write, such as segmenter.pt"
        elif Path(self.out).is_dir():
            yield f"--out {self.out}: is a folder; name a file to write in it"
        if not re.fullmatch(r"-1|\d+", self.gpu_ids):
            yield f"--gpu_ids {self.gpu_ids!r}: must be one GPU's number, or -1 for the CPU"
        if self.data.augment:
            yield "--augment: is for train.py; crops are scaled and recoloured anyway; leave it out"
        if self.data.batchSize < 2:
            yield "--batchSize 1: must be 2 or more; batch normalisation compares images"
        if self.data.fineSize < 32:
            yield f"--fineSize {self.data.fineSize}: must be 32 or more; the networks halve 5 times"


def parse_segmenter(argv: Sequence[str]) -> SegmenterOptions:
    """Options of a command line.

    Raises:
        UserError: it is at fault; one line for each problem.
    """
    options = read_argv(argv, SegmenterOptions())
    refuse(options.problems())
    return options


PARSERS = {"train-segmenter": parse_segmenter}
