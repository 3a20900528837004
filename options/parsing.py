"""From argv to dataclasses, and the options that are saved with a run and inherited from it."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import json
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import tyro

from options import test_options, train_options
from options.base_options import DataOptions, ModelOptions, RunOptions
from options.test_options import TestOptions
from options.train_options import TrainOptions

Options = TypeVar("Options")

# Fields that tell how to use the networks, not what they are: a run may change them at any time.
_NOT_ARCHITECTURE = {"n_clusters"}

# What a rendering takes over from the training run beside the architecture.
_INHERITED_DATA = (
    *("dataroot", "dataset_mode", "loadSize", "fineSize", "resize_or_crop", "ignore_label"),
)

# What belongs to one call and not to the run: a resumed run does not inherit it.
# Its name and folder are where it was found, even if it was moved since.
_OF_ONE_CALL = (
    *("name", "checkpoints_dir", "verbose", "local_rank"),
    *("continue_train", "load_pretrain", "which_epoch", "debug"),
)


def parse_train(argv: Sequence[str]) -> TrainOptions:
    """Options of `train.py`; a run that is continued lends its own where argv says nothing.

    Exits with 0 after --help and with 2, one line a problem, where argv is at fault.
    """
    options = _parse(TrainOptions, argv, TrainOptions())
    saved = saved_options(options.run) if options.schedule.continue_train else None
    if saved:
        kept = {name: value for name, value in saved.items() if name not in _OF_ONE_CALL}
        options = _parse(TrainOptions, argv, replaced(TrainOptions(), kept))
        _exit_with(_contradictions(options.model, saved, options.run))
    options = train_options.settle(options)
    _exit_with(train_options.problems(options))
    return options


def parse_test(argv: Sequence[str]) -> TestOptions:
    """Options of `test.py`: the run's own architecture and data, and what argv says.

    Exits with 0 after --help and with 2, one line a problem, where argv is at fault; a flag that
    contradicts the run's architecture is such a problem.
    """
    options = _parse(TestOptions, argv, TestOptions())
    saved = saved_options(options.run)
    if saved:
        names = (*_architecture(), *_INHERITED_DATA)
        inherited = replaced(TestOptions(), {n: saved[n] for n in names if n in saved})
        inherited = dataclasses.replace(inherited, data=uncropped(inherited.data))
        options = _parse(TestOptions, argv, inherited)
        _exit_with(_contradictions(options.model, saved, options.run))
    _exit_with(test_options.problems(options))
    return options


def uncropped(data: DataOptions) -> DataOptions:
    """The options that show the whole image, at the same scale, where training saw crops of it."""
    changes: dict[str, dict[str, Any]] = {
        "scale_width_and_crop": {"resize_or_crop": "scale_width"},
        "resize_and_crop": {"fineSize": data.loadSize},
        "crop": {"resize_or_crop": "none"},
    }
    return dataclasses.replace(data, **changes.get(data.resize_or_crop, {}))


def ineffective_flags(options: TrainOptions | TestOptions) -> list[str]:
    """One line for each flag that was set and changes nothing."""
    values, defaults = flat(options), flat(type(options)())
    advice = {
        "local_rank": "it has no effect",
        "ntest": "it has no effect; --how_many limits the images",
        "aspect_ratio": "it has no effect; images keep the size of their label map",
    }
    found = [
        f"--{name} {values[name]}: {text}"
        for name, text in advice.items()
        if name in values and values[name] != defaults[name]
    ]
    if values["data_type"] == 8:
        found.append("--data_type 8: it has no effect; the networks compute in 32 bits")
    return found


def flat(options: Any) -> dict[str, Any]:
    """Every field of the groups by its name: {flag: value}."""
    values: dict[str, Any] = {}
    for field in dataclasses.fields(options):
        value = getattr(options, field.name)
        values |= flat(value) if dataclasses.is_dataclass(value) else {field.name: value}
    return values


def replaced(options: Options, values: Mapping[str, Any]) -> Options:
    """The same options with the fields in `values` changed, whatever group they are in."""
    changes: dict[str, Any] = {}
    for field in dataclasses.fields(options):  # type: ignore[arg-type]
        value = getattr(options, field.name)
        if dataclasses.is_dataclass(value):
            changes[field.name] = replaced(value, values)
        elif field.name in values:
            changes[field.name] = values[field.name]
    return dataclasses.replace(options, **changes)  # type: ignore[type-var]


def options_texts(options: TrainOptions) -> dict[str, str]:
    """What is saved with a run: file name -> text of `options.json` and of `opt.txt`.

    `opt.txt` is for people and for tools made for the reference: its spelling, `no_flip: False`.
    """
    values = flat(options)
    reference = dict(_reference_spelling(name, value) for name, value in values.items())
    lines = [f"{name}: {value}" for name, value in sorted(reference.items())]
    frame = ["------------ Options -------------", *lines, "-------------- End ----------------"]
    return {
        "options.json": json.dumps(values, indent=2) + "\n",
        "opt.txt": "\n".join(frame) + "\n",
    }


def saved_options(run: RunOptions) -> dict[str, Any]:
    """The options saved with a run, {flag: value}; empty where it has none.

    Reads `options.json`, or the `opt.txt` of a run that the reference implementation trained.
    Names that this version does not know are left out. Exits with 2 if the file is damaged.
    """
    folder = Path(run.checkpoints_dir) / run.name
    for name, read in (("options.json", json.loads), ("opt.txt", _read_opt_txt)):
        file = folder / name
        if not file.is_file():
            continue
        try:
            values = read(file.read_text())
            known = flat(TrainOptions())
            if not isinstance(values, dict) or not known.keys() & values.keys():
                raise ValueError("it names no option")
            words = _as_argv({key: values[key] for key in known if key in values})
        except (ValueError, TypeError, OSError) as error:
            _exit_with([f"{file}: not a run's saved options ({error}); restore or remove it"])
        return flat(_parse(TrainOptions, words, TrainOptions(), source=f"{file}: "))
    return {}


def _read_opt_txt(text: str) -> dict[str, Any]:
    """The table of an `opt.txt`, its negative booleans turned into our positive ones."""
    pairs = dict(re.findall(r"^(\w+): (.*?)\s*$", text, flags=re.MULTILINE))
    if "gpu_ids" in pairs:  # the reference prints a list: [0, 1], or [] for the CPU
        pairs["gpu_ids"] = ",".join(re.findall(r"-?\d+", pairs["gpu_ids"])) or "-1"
    return dict(_our_spelling(name, _value(word)) for name, word in pairs.items())


def _value(word: str) -> Any:
    """A word of `opt.txt`: the reference prints inf for what is unlimited."""
    return {"True": True, "False": False, "None": None, "inf": None}.get(word, word)


def _our_spelling(name: str, value: Any) -> tuple[str, Any]:
    positive = name.removeprefix("no_")
    return (positive, not value) if name != positive else (name, value)


def _reference_spelling(name: str, value: Any) -> tuple[str, Any]:
    """The reference knows no positive booleans: what is on by default is written no_<name>."""
    on_by_default = flat(TrainOptions())[name] is True
    return (f"no_{name}", not value) if on_by_default else (name, value)


def _as_argv(values: Mapping[str, Any]) -> list[str]:
    """The command line that says the same as `values`."""
    words: list[str] = []
    for name, value in values.items():
        if isinstance(value, bool):
            words.append(f"--{name}" if value else f"--no_{name}")
        elif value is not None:
            words.append(f"--{name}={value}")  # one word: the value may begin with a dash
    return words


def _parse(kind: type[Options], argv: Sequence[str], default: Options, source: str = "") -> Options:
    messages = io.StringIO()
    try:
        with contextlib.redirect_stderr(messages):
            return tyro.cli(
                kind,
                args=list(argv),
                default=default,
                config=(tyro.conf.OmitArgPrefixes,),
                use_underscores=True,
            )
    except SystemExit as stop:
        if stop.code:
            _exit_with([source + _one_line(messages.getvalue())])
        raise


def _one_line(box: str) -> str:
    """The text of tyro's framed message, without the frame and without its pointer to --help."""
    lines = [re.sub(r"[│╭╮╰╯─]", " ", line).strip() for line in box.splitlines()]
    text = " ".join(line for line in lines[1:] if line)
    return text.split("For full helptext")[0].strip()


def _exit_with(found: Sequence[str]) -> None:
    """Print one line for each problem and exit with 2; return if there is none."""
    if found:
        for problem in found:
            print(f"error: {problem}", file=sys.stderr)
        sys.exit(2)


def _architecture() -> list[str]:
    return [f.name for f in dataclasses.fields(ModelOptions) if f.name not in _NOT_ARCHITECTURE]


def _contradictions(model: ModelOptions, saved: Mapping[str, Any], run: RunOptions) -> list[str]:
    given = dataclasses.asdict(model)
    return [
        f"--{name} {given[name]}: the run {run.name!r} in {run.checkpoints_dir} was trained with "
        f"{saved[name]}; leave the flag out"
        for name in _architecture()
        if name in saved and given[name] != saved[name]
    ]
