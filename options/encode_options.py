"""Options of `encode_features.py` and of `precompute_feature_maps.py`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from options.base_options import DataOptions, ModelOptions, RunOptions
from options.checks import at_least, base_problems


@dataclass(frozen=True)
class EncodingOptions:
    """What is encoded, with which weights."""

    phase: str = "train"
    """Folders to encode: <phase>_img and so on."""

    which_epoch: str = "latest"
    """Weights of the encoder: latest, or an epoch's number."""


@dataclass(frozen=True)
class ClusteringOptions:
    """Which instances are clustered; --n_clusters says into how many."""

    min_instance_area: int | None = None
    """Leave out instances of fewer pixels; by default those up to half of H*W//32."""


@dataclass(frozen=True)
class MapOptions:
    """The files that are written."""

    feat_format: Literal["npz", "png"] = "npz"
    """npz keeps 16 bits of every feature; png keeps 8, of --feat_num 3 or 1, as the reference."""


@dataclass(frozen=True)
class EncodeOptions:
    """Encode every instance of the training images, and cluster the features of each label."""

    run: RunOptions = field(default_factory=RunOptions)
    data: DataOptions = field(default_factory=DataOptions)
    model: ModelOptions = field(default_factory=ModelOptions)
    encoding: EncodingOptions = field(default_factory=EncodingOptions)
    clustering: ClusteringOptions = field(default_factory=ClusteringOptions)


@dataclass(frozen=True)
class PrecomputeOptions:
    """Encode every training image, and write its feature map, as large as its label map's file, for
    training with --load_features."""

    run: RunOptions = field(default_factory=RunOptions)
    data: DataOptions = field(default_factory=DataOptions)
    model: ModelOptions = field(default_factory=ModelOptions)
    encoding: EncodingOptions = field(default_factory=EncodingOptions)
    maps: MapOptions = field(default_factory=MapOptions)


def encode_problems(options: EncodeOptions) -> list[str]:
    """Values out of range and contradictions between flags, one line each; empty if sound."""
    found = base_problems(options.run, options.data, options.model)
    found += _needs_features(options.model)
    return found + at_least(1, options.clustering, "min_instance_area")


def precompute_problems(options: PrecomputeOptions) -> list[str]:
    """Values out of range and contradictions between flags, one line each; empty if sound."""
    found = base_problems(options.run, options.data, options.model)
    found += _needs_features(options.model)
    if options.model.load_features:
        found.append(
            "--load_features: this run reads its features from files; give the --name of the run "
            "whose encoder made them"
        )
    if options.maps.feat_format == "png" and options.model.feat_num not in (1, 3):
        found.append(
            f"--feat_format png with --feat_num {options.model.feat_num}: a PNG holds 1 or 3 "
            "channels; leave the flag out for npz"
        )
    return found


def _needs_features(model: ModelOptions) -> list[str]:
    if model.instance_feat or model.label_feat:
        return []
    return [
        "the run has no encoder: it was trained without --instance_feat and --label_feat; give the "
        "--name of a run with features"
    ]
