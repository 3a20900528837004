"""The options that are saved with a run, and read back from it."""

from __future__ import annotations

import contextlib
import json
import os
import re
import reprlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pix2pixhd.options.base_options import ProgramOptions, RunOptions
from pix2pixhd.options.fields import expected, fits, flat, types_of
from pix2pixhd.options.train_options import TrainOptions
from pix2pixhd.util.errors import UserError

# Options that are paths, and what to give where a run's own is not to be found.
PATHS = {
    "dataroot": "--dataroot FOLDER",
    "cache": "--cache FOLDER, or --cache None",
    "label_names": "--label_names FILE, or --label_names None",
    "vgg_weights": "--vgg_weights FILE, or --no_vgg_loss",
    "inception": "--inception FILE, or --inception None",
    "lpips_backbone": "--lpips_backbone FILE, or --lpips_backbone None",
    "segmenter": "--segmenter FILE, or --segmenter None",
}


def options_texts(options: TrainOptions) -> dict[str, str]:
    """What is saved with a run: file name -> text of `options.json` and of `opt.txt`.

    `opt.txt` is for people and for tools made for the reference: its spelling, which knows no
    positive booleans. What is on by default is written `no_flip: False`. `options.json` also has
    the folder, `cwd`, that relative paths were meant from.
    """
    values, defaults = flat(options), flat(TrainOptions())
    lines = sorted(
        f"no_{name}: {not value}" if defaults[name] is True else f"{name}: {value}"
        for name, value in values.items()
    )
    head, end = "------------ Options -------------", "-------------- End ----------------"
    opt_txt = "\n".join([head, *lines, end, ""])
    options_json = json.dumps(values | {"cwd": str(Path.cwd())}, indent=2) + "\n"
    return {"options.json": options_json, "opt.txt": opt_txt}


def options_file(run: RunOptions) -> Path | None:
    """The file of a run's saved options: `options.json` or, where the reference implementation
    trained it, `opt.txt`; None where it has none, as published weights have not."""
    files = (run.folder / "options.json", run.folder / "opt.txt")
    return next(filter(Path.is_file, files), None)


def saved_options(run: RunOptions) -> dict[str, Any]:
    """The options saved with a run, {flag: value}; empty where it has none.

    Names that this version does not know are left out; those that the file lacks have defaults.

    Raises:
        UserError: the file is damaged, or a value is not of its field's type.
    """
    types, file = types_of(TrainOptions), options_file(run)
    if file is None:
        return {}
    values = _read(file)
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


def find_paths(values: Mapping[str, Any], run: RunOptions) -> tuple[dict[str, str], list[str]]:
    """Where relative paths among a run's saved options are now that are not below this folder:
    below the folder that they were meant from or, if the run was moved together with its data,
    below the one that holds --checkpoints_dir.

    Returns:
        The paths found, {flag: path}, and a line to print for each.
    """
    file, found, lines = options_file(run), {}, []
    lost = [name for name in PATHS if values.get(name) and not Path(values[name]).exists()]
    if file is None or not lost:
        return {}, []
    cwd = _read(file).get("cwd")
    homes = [cwd] if isinstance(cwd, str) else []
    homes.append(os.path.normpath(Path(run.checkpoints_dir).absolute() / ".."))
    for name in lost:
        places = (Path(home, values[name]) for home in homes)
        if place := next(filter(Path.exists, places), None):
            found[name] = str(place)
            line = f"{name} {values[name]} of {file} is not below this folder: taking {place}"
            lines.append(line)
    return found, lines


def require_paths(options: ProgramOptions) -> None:
    """
    Raises:
        UserError: a path that the options have from the run's saved ones leads nowhere.
    """
    values, saved = flat(options), saved_options(options.run)
    problems = [
        f"{options_file(options.run)}: the run's {name} {path} is not to be found; give {remedy}"
        for name, remedy in PATHS.items()
        if (path := values.get(name)) and path == saved.get(name) and _is_lost(name, Path(path))
    ]
    if problems:
        raise UserError(problems)


def _is_lost(name: str, path: Path) -> bool:
    if path.exists() or name != "cache":
        return not path.exists()
    above = next(parent for parent in path.absolute().parents if parent.exists())
    return not (above.is_dir() and os.access(above, os.W_OK))  # else the cache is made again


def _read(file: Path) -> dict[str, Any]:
    """What a file of saved options holds, be it sound or not.

    Raises:
        UserError: it holds no options.
    """
    try:
        text = file.read_text(encoding="utf-8")
        values = json.loads(text) if file.name == "options.json" else _read_opt_txt(text)
        if not isinstance(values, dict) or not types_of(TrainOptions).keys() & values.keys():
            raise ValueError("it names no option")
    except (ValueError, OSError, RecursionError) as error:
        reason = "brackets nested too deep" if isinstance(error, RecursionError) else error
        complaint = f"{file}: not a run's saved options ({reason}); restore or remove it"
        raise UserError(complaint) from None
    return values


def _read_opt_txt(text: str) -> dict[str, Any]:
    """The table of an `opt.txt`, its negative booleans turned into our positive ones."""
    types, values = types_of(TrainOptions), {}
    for name, word in re.findall(r"^(\w+): (.*?)\s*$", text, flags=re.MULTILINE):
        if name == "gpu_ids" and word.startswith("["):  # the reference prints [0, 1], [] for CPU
            word = word.strip("[]").replace(" ", "") or "-1"
        plain = name if name in types else name.removeprefix("no_")
        value = _from_word(word, types.get(plain, str))
        is_negated = plain != name and isinstance(value, bool)
        values[plain] = not value if is_negated else value
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
