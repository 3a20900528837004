"""From argv to the options of each entry script, which inherit what a run was trained with."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from pix2pixhd.options.base_options import (
    DataOptions,
    ModelOptions,
    ProgramOptions,
    TrainedRunOptions,
)
from pix2pixhd.options.check_options import CheckOptions
from pix2pixhd.options.command_line import read_argv
from pix2pixhd.options.edit_options import EditOptions
from pix2pixhd.options.encode_options import EncodeOptions, EncoderRunOptions, PrecomputeOptions
from pix2pixhd.options.fields import flat, replaced, types_of
from pix2pixhd.options.flags import as_flag
from pix2pixhd.options.saved import find_paths, saved_options
from pix2pixhd.options.test_options import TestOptions
from pix2pixhd.options.train_options import TrainOptions, defaults_beside
from pix2pixhd.util.errors import UserError

AnyOptions = TypeVar("AnyOptions", bound=ProgramOptions)
RunUser = TypeVar("RunUser", bound=TrainedRunOptions)

# What a program that uses a trained run takes over from it: all model options, and what the images
# are. The rest of the data options, such as the batch size, suited the training alone.
_DATA = (
    *("dataroot", "dataset_mode", "loadSize", "fineSize", "resize_or_crop", "ignore_label"),
    *("value_range", "input_range", "output_bits", "label_names"),
)
_INHERITED = {*types_of(ModelOptions), *_DATA}

# What the values of images mean to the networks, and so may not change either.
_LEARNED = {"value_range", "input_range"}

# Of the model options, those that tell how to use the networks, not what they are: they may change.
_NOT_ARCHITECTURE = {"n_clusters", "load_features"}

# How weights begin would change nothing in a run that goes on.
_FIXED = types_of(ModelOptions).keys() - _NOT_ARCHITECTURE | _LEARNED
_FIXED |= {"netD", "norm_D", "no_gan_loss", "init", "init_gain"}

# What belongs to one call and not to the run: a resumed run does not inherit it. Its name and
# folder are where it was found, even if it was moved since.
_OF_ONE_CALL = {
    *("name", "checkpoints_dir", "verbose", "local_rank"),
    *("continue_train", "load_pretrain", "which_epoch", "debug"),
}

# Flags that say one thing: if one of them is given, a resumed run inherits none of them.
_SAY_ONE_THING = ({"precision", "fp16", "data_type"}, {"gan_loss", "lsgan"})

# Names that begin as those of booleans that are switched off.
_NEGATIVE = {name for name in types_of(TrainOptions) if name.startswith("no_")}

# What a run saved for a part that argv switches off; and to give it switches the part on.
_SERVES = {"vgg_weights": "vgg_loss"}


def parse_train(
    argv: Sequence[str],
    *,
    launched: bool = False,
    is_restarted: Callable[[Path], bool] = lambda folder: False,
) -> TrainOptions:
    """Options of `train.py`; a run that is continued lends its own where argv says nothing.

    Exits with 0 after --help.

    Args:
        argv: the command line.
        launched: whether a launcher started several processes, which says on how many GPUs the
            run goes on: those of its earlier part do not count.
        is_restarted: whether torchrun started the same argv anew after a state was saved in the
            run's folder; that is then continued.

    Raises:
        UserError: argv or the run's saved options are at fault; one line for each problem.
    """
    options = _read_train(argv)
    if is_restarted(options.run.folder):
        argv = [*argv, "--continue_train", "--load_pretrain=", "--which_epoch=latest"]
        options = _read_train(argv)
    if options.schedule.continue_train and (saved := saved_options(options.run)):
        left = _OF_ONE_CALL | ({"gpu_ids"} if launched else set())
        left = left.union(*(names for names in _SAY_ONE_THING if names & given_flags(argv)))
        left |= {name for name, part in _SERVES.items() if f"no_{part}" in _words(argv)}
        left |= {part for name, part in _SERVES.items() if flat(options)[name]}
        options = _inherit(options, argv, saved, saved.keys() - left)
    return _sound(options)


def _read_train(argv: Sequence[str]) -> TrainOptions:
    """As argv says, and by default what goes with its discriminator."""
    options = read_argv(argv, TrainOptions())
    defaults = defaults_beside(options)
    return options if defaults == TrainOptions() else read_argv(argv, defaults)


def parse_for_run(
    kind: type[RunUser], argv: Sequence[str], say: Callable[[str], object] = print
) -> RunUser:
    """Options of a program that uses a trained run: the run's own networks and data, then argv.

    A run that has no saved options may be published weights, which tell what its networks are: see
    `engine.published`, which also does the checks that need to know it. `say` is given a line for
    each of the run's paths that was found elsewhere.

    Raises:
        UserError: as `parse_train`, and where argv contradicts the run's networks.
    """
    options = read_argv(argv, kind())
    saved = saved_options(options.run)
    phase = {"phase"} if issubclass(kind, EncoderRunOptions) else set()  # what it was trained on
    options = _inherit(options, argv, saved, _INHERITED | phase, say) if saved else options
    # Only now, as argv may have changed the sizes that whole images depend on.
    options = dataclasses.replace(options, data=uncropped(options.data)).resolved()
    refuse([*options.problems(), *(options.run_problems() if saved else [])])
    return options


parse_test = partial(parse_for_run, TestOptions)
parse_encode = partial(parse_for_run, EncodeOptions)
parse_precompute = partial(parse_for_run, PrecomputeOptions)
parse_edit = partial(parse_for_run, EditOptions)


def parse_check(argv: Sequence[str]) -> tuple[CheckOptions, set[str]]:
    """Options of `check_data.py`, and the names of those that argv, or a run that it names, says.

    The rest is for the program to find out. Raises UserError as `parse_for_run`.
    """
    options, told = read_argv(argv, CheckOptions()), given_flags(argv)
    if "name" in told and (saved := saved_options(options.run)):
        options, told = _inherit(options, argv, saved, _INHERITED), told | _INHERITED
    return _sound(options), told


def _inherit(
    options: AnyOptions,
    argv: Sequence[str],
    saved: Mapping[str, Any],
    names: Container[str],
    say: Callable[[str], object] = print,
) -> AnyOptions:
    """The options read anew: where argv says nothing, those of `names` are as in the saved run."""
    given = given_flags(argv)
    inherited = {name: saved[name] for name in saved if name in names and name not in given}
    found, lines = find_paths(inherited, options.run)
    for line in lines:
        say(line)
    inherited |= found
    options = read_argv(argv, replaced(type(options)(), inherited))
    run = f"the run {options.run.name!r} in {options.run.checkpoints_dir} was trained with"
    fixed = _FIXED
    if saved.get("netD", "multiscale") == "multiscale":  # it names the tensors of D
        fixed = fixed | {"ganFeat_loss"}
    refuse(
        f"{as_flag(name, value)}: {run} {as_flag(name, saved[name])}; leave the flag out"
        for name, value in flat(options).items()
        if name in fixed and value != saved[name]
    )
    return options


def _sound(options: AnyOptions) -> AnyOptions:
    options = options.resolved()
    refuse(options.problems())
    return options


def refuse(problems: Iterable[str]) -> None:
    """Raise a UserError of the problems, if there are any."""
    if found := list(problems):
        raise UserError(found)


def given_flags(argv: Sequence[str]) -> set[str]:
    """The names of the flags in a command line, those of negative booleans without their `no_`."""
    return {name if name in _NEGATIVE else name.removeprefix("no_") for name in _words(argv)}


def _words(argv: Sequence[str]) -> set[str]:
    """The flags as they are written, but with underscores."""
    flags = (word[2:].partition("=")[0] for word in argv if word.startswith("--"))
    return {flag.replace("-", "_") for flag in flags}


def uncropped(data: DataOptions) -> DataOptions:
    """The options that show the whole image, at the same scale, where training saw crops of it."""
    changes: dict[str, dict[str, Any]] = {
        "scale_width_and_crop": {"resize_or_crop": "scale_width"},
        "resize_and_crop": {"fineSize": data.loadSize},
        "crop": {"resize_or_crop": "none"},
    }
    return dataclasses.replace(data, **changes.get(data.resize_or_crop, {}))
