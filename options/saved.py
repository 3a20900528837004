"""The options that are saved with a run, and read back from it."""

from __future__ import annotations

import contextlib
import json
import re
import reprlib
from pathlib import Path
from typing import Any

from pix2pixhd.options.base_options import RunOptions
from pix2pixhd.options.fields import expected, fits, flat, types_of
from pix2pixhd.options.train_options import TrainOptions
from pix2pixhd.util.errors import UserError


def options_texts(options: TrainOptions) -> dict[str, str]:
    """What is saved with a run: file name -> text of `options.json` and of `opt.txt`.

    `opt.txt` is for people and for tools made for the reference: its spelling, which knows no
    positive booleans. What is on by default is written `no_flip: False`.
    """
    values, defaults = flat(options), flat(TrainOptions())
    lines = sorted(
        f"no_{name}: {not value}" if defaults[name] is True else f"{name}: {value}"
        for name, value in values.items()
    )
    head, end = "------------ Options -------------", "-------------- End ----------------"
    opt_txt = "\n".join([head, *lines, end, ""])
    return {"options.json": json.dumps(values, indent=2) + "\n", "opt.txt": opt_txt}


def saved_options(run: RunOptions) -> dict[str, Any]:
    """The options saved with a run, {flag: value}; empty where it has none.

    Reads `options.json`, or the `opt.txt` of a run that the reference implementation trained.
    Names that this version does not know are left out; those that the file lacks have defaults.

    Raises:
        UserError: the file is damaged, or a value is not of its field's type.
    """
    types, folder = types_of(TrainOptions), run.folder
    file = next(filter(Path.is_file, (folder / "options.json", folder / "opt.txt")), None)
    if file is None:
        return {}
    try:
        text = file.read_text(encoding="utf-8")
        values = json.loads(text) if file.name == "options.json" else _read_opt_txt(text)
        if not isinstance(values, dict) or not types.keys() & values.keys():
            raise ValueError("it names no option")
    except (ValueError, OSError, RecursionError) as error:
        reason = "brackets nested too deep" if isinstance(error, RecursionError) else error
        complaint = f"{file}: not a run's saved options ({reason}); restore or remove it"
        raise UserError(complaint) from None
    known = {name: values[name] for name in types if name in values}
    remedy = "correct it there, or restore the file"
    problems = [
        f"{file}: {name} is {reprlib.repr(value)}, but must be {expected(types[name])}; {remedy}"
        for name, value in known.items()
        if not fits(value, types[name])
    ]
    if problems:
        raise UserError(problems)
    return flat(TrainOptions()) | known


def _read_opt_txt(text: str) -> dict[str, Any]:
    """The table of an `opt.txt`, its negative booleans turned into our positive ones."""
    types, values = types_of(TrainOptions), {}
    for name, word in re.findall(r"^(\w+): (.*?)\s*$", text, flags=re.MULTILINE):
        if name == "gpu_ids" and word.startswith("["):  # the reference prints [0, 1], [] for CPU
            word = word.strip("[]").replace(" ", "") or "-1"
        value = _from_word(word, types.get(name.removeprefix("no_"), str))
        is_negated = name.startswith("no_") and isinstance(value, bool)
        values[name.removeprefix("no_")] = not value if is_negated else value
    return values


def _from_word(word: str, hint: Any) -> Any:
    """The value that a word stands for in a field of that type; the word itself if none fits."""
    # What is unlimited is None here and inf in the reference.
    readings: list[Any] = [{"None": None, "True": True, "False": False}.get(word, word), word]
    for number in (int, float):
        with contextlib.suppress(ValueError):
            readings.append(number(word))
    readings += [None] if word == "inf" else []
    return next((value for value in readings if fits(value, hint)), word)
