"""Options of `encode_features.py` and of `precompute_feature_maps.py`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

from pix2pixhd.options.base_options import TrainedRunOptions
from pix2pixhd.options.generator_options import Count


@dataclass(frozen=True)
class EncodingOptions:
    """What is encoded, with which weights."""

    phase: str = "train"
    """Folders to encode: <phase>_img and so on; by default those that the run was trained on."""
    which_epoch: str = "latest"
    """Weights of the encoder: latest, or an epoch's number."""


@dataclass(frozen=True)
class EncoderRunOptions(TrainedRunOptions):
    """Options of a program that uses a run's encoder."""

    encoding: EncodingOptions = field(default_factory=EncodingOptions)

    def run_problems(self) -> Iterator[str]:
        if not self.model.uses_features:
            reason = "it was trained without --instance_feat and --label_feat"
            yield f"the run has no encoder: {reason}; give the --name of a run with features"


@dataclass(frozen=True)
class EncodeOptions(EncoderRunOptions):
    """Encode every instance of the training images, and cluster the features of each label."""

    min_instance_area: Count | None = None
    """Leave out instances of fewer pixels; by default those up to half of H*W//32."""


@dataclass(frozen=True)
class PrecomputeOptions(EncoderRunOptions):
    """Encode every training image, and write its map for training with --load_features."""

    feat_format: Literal["npz", "png"] = "npz"
    """npz keeps 16 bits of every feature; png keeps 8, of --feat_num 3 or 1, as the reference."""

    def run_problems(self) -> Iterator[str]:
        yield from super().run_problems()
        if self.model.load_features:
            remedy = "give the --name of the run whose encoder made them"
            yield f"--load_features: this run reads its features from files; {remedy}"
        if self.feat_format == "png" and self.model.feat_num not in (1, 3):
            flags = f"--feat_format png with --feat_num {self.model.feat_num}"
            yield f"{flags}: a PNG holds 1 or 3 channels; leave the flag out for npz"
