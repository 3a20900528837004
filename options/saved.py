"""The options that are saved with a run, and read back from it."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from options.base_options import RunOptions
from options.command_line import exit_with, read_argv
from options.train_options import TrainOptions

Options = TypeVar("Options")


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
            exit_with([f"{file}: not a run's saved options ({error}); restore or remove it"])
        return flat(read_argv(TrainOptions, words, TrainOptions(), source=f"{file}: "))
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
