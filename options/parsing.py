"""From argv to the options of each entry script, which inherit what a run was trained with."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from options import encode_options, test_options, train_options
from options.base_options import DataOptions, ModelOptions, RunOptions
from options.command_line import exit_with, read_argv
from options.encode_options import EncodeOptions, PrecomputeOptions
from options.saved import flat, replaced, saved_options
from options.test_options import TestOptions
from options.train_options import TrainOptions

RunUser = TypeVar("RunUser", TestOptions, EncodeOptions, PrecomputeOptions)
Encoding = TypeVar("Encoding", EncodeOptions, PrecomputeOptions)

# Fields that tell how to use the networks, not what they are: a run may change them at any time.
_NOT_ARCHITECTURE = {"n_clusters", "load_features"}

# What a program that uses a trained run takes over beside its architecture.
_INHERITED_TOO = (
    *("dataroot", "dataset_mode", "loadSize", "fineSize", "resize_or_crop", "ignore_label"),
    *_NOT_ARCHITECTURE,
)

# What belongs to one call and not to the run: a resumed run does not inherit it.
# Its name and folder are where it was found, even if it was moved since.
_OF_ONE_CALL = (
    *("name", "checkpoints_dir", "verbose", "local_rank"),
    *("continue_train", "load_pretrain", "which_epoch", "debug"),
)


# The launch that a run's state is of, where torchrun may start its processes anew.
LAUNCH_FILE = "launch.txt"


# Three flags for one thing: of these, those of a run are all left when one is given.
_PRECISION = {"precision", "fp16", "data_type"}


def parse_train(
    argv: Sequence[str], *, launched: bool = False, restarted_launch: str | None = None
) -> TrainOptions:
    """Options of `train.py`; a run that is continued lends its own where argv says nothing.

    Exits with 0 after --help.

    Args:
        argv: the command line.
        launched: whether another launcher started several processes, and thereby said how many GPUs
            there are; a saved --gpu_ids is not inherited then.
        restarted_launch: given where torchrun started the program anew with the same argv; what
            that launch saved before is then continued.

    Raises:
        UserError: argv is at fault; one line a problem.
    """
    options = read_argv(TrainOptions, argv, TrainOptions())
    if restarted_launch and _has_saved(options.run, restarted_launch):
        argv = [*argv, "--continue_train", "--load_pretrain=", "--which_epoch=latest"]
        options = read_argv(TrainOptions, argv, TrainOptions())
    saved = saved_options(options.run) if options.schedule.continue_train else None
    if saved:
        left = {*_OF_ONE_CALL, *(["gpu_ids"] if launched else [])}
        if _names(argv) & {*_PRECISION, "no_fp16"}:
            left |= _PRECISION
        kept = {name: value for name, value in saved.items() if name not in left}
        options = read_argv(TrainOptions, argv, replaced(TrainOptions(), kept))
        exit_with(_contradictions(options.model, saved, options.run))
    options = train_options.settle(options)
    exit_with(train_options.problems(options))
    return options


def parse_test(argv: Sequence[str]) -> TestOptions:
    """Options of `test.py`: the run's own architecture and data, and what argv says.

    Exits with 0 after --help.

    Raises:
        UserError: argv is at fault, one line a problem; a flag that contradicts the run's
            architecture is such a problem.
    """
    options = _parse_for_run(TestOptions(), argv)
    exit_with(test_options.problems(options))
    return options


def parse_encode(argv: Sequence[str]) -> EncodeOptions:
    """Options of `encode_features.py`; inherits and raises as `parse_test`."""
    options = _with_features(_parse_for_run(EncodeOptions(), argv))
    exit_with(encode_options.encode_problems(options))
    return options


def parse_precompute(argv: Sequence[str]) -> PrecomputeOptions:
    """Options of `precompute_feature_maps.py`; inherits and raises as `parse_test`."""
    options = _with_features(_parse_for_run(PrecomputeOptions(), argv))
    exit_with(encode_options.precompute_problems(options))
    return options


def _names(argv: Sequence[str]) -> set[str]:
    """The names of the flags in a command line."""
    flags = [word for word in argv if word.startswith("--")]
    return {word[2:].partition("=")[0].replace("-", "_") for word in flags}


def _has_saved(run: RunOptions, launch: str) -> bool:
    """Whether the run's latest state is of that launch, and not of an earlier run of its name."""
    folder = Path(run.checkpoints_dir) / run.name
    marker = folder / LAUNCH_FILE
    is_ours = marker.is_file() and marker.read_text().strip() == launch
    return is_ours and (folder / "latest_state.pth").is_file()


def _parse_for_run(default: RunUser, argv: Sequence[str]) -> RunUser:
    """Options of a program that uses a trained run: its own architecture and data, then argv."""
    options = read_argv(type(default), argv, default)
    saved = saved_options(options.run)
    if not saved:
        return options
    names = (*_architecture(), *_INHERITED_TOO)
    inherited = replaced(default, {n: saved[n] for n in names if n in saved})
    inherited = dataclasses.replace(inherited, data=uncropped(inherited.data))
    options = read_argv(type(default), argv, inherited)
    exit_with(_contradictions(options.model, saved, options.run))
    return options


def _with_features(options: Encoding) -> Encoding:
    """The options, with --instance_feat where a run has no saved options to say which features."""
    if saved_options(options.run) or options.model.label_feat:
        return options
    return dataclasses.replace(options, model=replaced(options.model, {"instance_feat": True}))


def uncropped(data: DataOptions) -> DataOptions:
    """The options that show the whole image, at the same scale, where training saw crops of it."""
    changes: dict[str, dict[str, Any]] = {
        "scale_width_and_crop": {"resize_or_crop": "scale_width"},
        "resize_and_crop": {"fineSize": data.loadSize},
        "crop": {"resize_or_crop": "none"},
    }
    return dataclasses.replace(data, **changes.get(data.resize_or_crop, {}))


def ineffective_flags(
    options: TrainOptions | TestOptions | EncodeOptions | PrecomputeOptions,
) -> list[str]:
    """One line for each flag that was set and changes nothing."""
    values, defaults = flat(options), flat(type(options)())
    advice = {
        "local_rank": "it has no effect",
        "ntest": "it has no effect; --how_many limits the images",
        "aspect_ratio": "it has no effect; images keep the size of their label map",
    }
    if not isinstance(options, TrainOptions):
        advice["tf_log"] = "it has no effect; TensorBoard logs are of trainings"
    found = [
        f"--{name} {values[name]}: {text}"
        for name, text in advice.items()
        if name in values and values[name] != defaults[name]
    ]
    if values["data_type"] == 8:
        found.append("--data_type 8: it has no effect; the networks compute in 32 bits")
    return found


def _architecture() -> list[str]:
    return [f.name for f in dataclasses.fields(ModelOptions) if f.name not in _NOT_ARCHITECTURE]


def _contradictions(model: ModelOptions, saved: Mapping[str, Any], run: RunOptions) -> list[str]:
    given = dataclasses.asdict(model)
    return [
        f"{_as_flag(name, given[name])}: the run {run.name!r} in {run.checkpoints_dir} was trained "
        f"with {_as_flag(name, saved[name])}; leave the flag out"
        for name in _architecture()
        if name in saved and given[name] != saved[name]
    ]


def _as_flag(name: str, value: Any) -> str:
    if isinstance(value, bool):
        return f"--{name}" if value else f"--no_{name}"
    return f"--{name} {value}"
