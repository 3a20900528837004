"""Ranges and contradictions that all entry scripts share: one line for each problem."""

from __future__ import annotations

import re
from typing import Any

from options.base_options import DataOptions, ModelOptions, RunOptions


def at_least(least: int, options: Any, *names: str) -> list[str]:
    """Problems of the named fields that are below `least`; None counts as unlimited."""
    values = {name: getattr(options, name) for name in names}
    return [
        f"--{name} {value}: must be {least} or more"
        for name, value in values.items()
        if value is not None and value < least
    ]


def not_below(least: float, options: Any, *names: str) -> list[str]:
    """As `at_least`, for real numbers: not-a-number and infinity are problems too."""
    values = {name: getattr(options, name) for name in names}
    return [
        f"--{name} {value}: must be a finite number of {least:g} or more"
        for name, value in values.items()
        if not least <= value < float("inf")
    ]


def not_built(options: Any, *names: str) -> list[str]:
    """Problems of flags whose part of the method this version does not have."""
    return [
        f"--{name}: this version does not have that part yet; leave the flag out"
        for name in names
        if getattr(options, name)
    ]


def asked_precision(run: RunOptions) -> str:
    """The precision that --precision, --fp16 and --data_type ask for together."""
    return "fp16" if run.fp16 or run.data_type == 16 else run.precision


def base_problems(run: RunOptions, data: DataOptions, model: ModelOptions) -> list[str]:
    """Problems of the shared options, one line each; empty if they are sound."""
    return _run_problems(run) + _data_problems(data, model) + _model_problems(model)


def _run_problems(run: RunOptions) -> list[str]:
    found = at_least(0, run, "niter_fix_global", "seed") + at_least(16, run, "display_winsize")
    if run.seed >= 2**63:
        found.append(f"--seed {run.seed}: must be less than 2^63")
    if not re.fullmatch(r"-1(,-1)*|\d+(,\d+)*", run.gpu_ids):
        found.append(f"--gpu_ids {run.gpu_ids!r}: must be a list such as 0 or 0,1, or -1 for CPU")
    elif (ids := run.gpu_ids.split(","))[0] != "-1" and len(set(ids)) < len(ids):
        found.append(f"--gpu_ids {run.gpu_ids}: names a GPU twice; each process needs its own")
    if asked_precision(run) != run.precision != "auto":
        flag = "--fp16" if run.fp16 else "--data_type 16"
        instead = "--no_fp16" if run.fp16 else "--data_type 32"
        found.append(
            f"--precision {run.precision} with {flag}: they contradict each other; give {instead}"
        )
    if not run.name or run.name == "." or ".." in run.name.split("/"):
        found.append(f"--name {run.name!r}: must be a folder's name, below --checkpoints_dir")
    return found


def _data_problems(data: DataOptions, model: ModelOptions) -> list[str]:
    found = at_least(1, data, "loadSize", "fineSize", "batchSize", "max_dataset_size")
    found += at_least(0, data, "nThreads", "ignore_label")
    both = data.resize_or_crop in ("resize_and_crop", "scale_width_and_crop")
    if both and data.fineSize > data.loadSize:
        found.append(
            f"--fineSize {data.fineSize} with --loadSize {data.loadSize}: the crop is larger than "
            "the image it is cut from; lower --fineSize or raise --loadSize"
        )
    if data.cache == "":
        found.append("--cache '': must be a folder's name; leave the flag out for no cache")
    if data.ignore_label is not None and model.label_nc == 0:
        found.append("--ignore_label with --label_nc 0: there is no label map to ignore values of")
    return found


def _model_problems(model: ModelOptions) -> list[str]:
    found = at_least(0, model, "label_nc", "n_blocks_global", "n_blocks_local")
    found += at_least(1, model, "ngf", "n_downsample_global", "n_local_enhancers")
    found += at_least(1, model, "feat_num", "n_downsample_E", "nef", "n_clusters")
    found += [
        f"--{name} {getattr(model, name)}: image files carry 1 or 3 channels"
        for name in ("input_nc", "output_nc")
        if getattr(model, name) not in (1, 3)
    ]
    return found + _feature_problems(model)


def _feature_problems(model: ModelOptions) -> list[str]:
    found = []
    if model.instance_feat and model.label_feat:
        found.append("--instance_feat with --label_feat: features are of one kind; drop one")
    if model.instance_feat and not model.instance:
        found.append(
            "--instance_feat with --no_instance: features of instances need their maps; drop "
            "--no_instance, or take --label_feat"
        )
    if model.label_feat and model.label_nc == 0:
        found.append("--label_feat with --label_nc 0: there are no labels; take --instance_feat")
    if model.load_features and not (model.instance_feat or model.label_feat):
        found.append(
            "--load_features without --instance_feat or --label_feat: the features would not be "
            "used; add one of them"
        )
    return found
