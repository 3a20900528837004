"""`evaluate.py study`: a folder with which people compare the results of two runs."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from pix2pixhd.options.study_options import StudyOptions
from pix2pixhd.pages.html import image_size, remove_stale
from pix2pixhd.pages.study_page import write_study_page
from pix2pixhd.util.errors import UserError
from pix2pixhd.util.image import save_image
from pix2pixhd.util.words import counted

TIMES = (0.125, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0)  # seconds, of the paper
ENDINGS = (".png", ".jpg", ".jpeg", ".webp", ".bmp")
SUFFIX = "_synthesized_image"
OURS = r"images/[0-9a-f]{16}\.png"
GRID = 6  # parts a side that a broken picture is shuffled in


def run(options: StudyOptions) -> None:
    """Write the study's folder; raises UserError where results are missing or do not match."""
    x, y = (find_results(run, options) for run in options.runs)
    names = [run.partition("=")[0] for run in options.runs]
    stems = sorted(x.keys() & y.keys())
    if not stems:
        raise UserError(
            f"study: {names[0]} and {names[1]} have no image of the same name "
            f"({next(iter(sorted(x)))}, {next(iter(sorted(y)))}); render the same phase with both"
        )
    if left := len(x.keys() ^ y.keys()):
        print(f"left out: {counted(left, 'image')} that only one of the two has")
    draw = random.Random(options.seed)
    if options.pairs is not None:
        if options.pairs > len(stems):
            raise UserError(f"--pairs {options.pairs}: there are {len(stems)}; give fewer, or none")
        stems = sorted(draw.sample(stems, options.pairs))
    _refuse_other_shapes(stems, x, y, names)
    folder, salt = Path(options.out), draw.randbytes(16)
    trials = [_pair(stem, x[stem], y[stem], folder, salt) for stem in stems]
    count = max(1, round(options.checks * len(stems))) if options.checks else 0
    for number in range(count):
        stem, of = draw.choice(stems), draw.choice((x, y))
        trials.append(_check(number, stem, of[stem], folder, salt, draw.getrandbits(32)))
    key: dict[str, Any] = {"x": names[0], "y": names[1], "trials": trials}
    key["times"] = list(TIMES) if options.timed else []
    key["study"] = hashlib.sha256(json.dumps([key, salt.hex()]).encode()).hexdigest()[:12]
    write_study_page(folder / "index.html", key)
    files = {trial[what] for trial in trials for what in ("a", "b", "input") if trial[what]}
    remove_stale(folder, "images/*.png", OURS, files)
    checks = counted(count, "attention check")
    print(f"{folder / 'index.html'}: {counted(len(stems), 'pair')} and {checks} for each person")
    if not any(trial["input"] for trial in trials):
        print("no input is shown, as neither run has <name>_input_label beside its results")


def find_results(run: str, options: StudyOptions) -> dict[str, Path]:
    """The synthesised images of a run, or of a folder given as name=DIR: {stem: file}.

    Raises UserError where there are none.
    """
    name, is_folder, given = run.partition("=")
    of_run = Path(options.results_dir, name, f"{options.phase}_{options.which_epoch}")
    folder = Path(given) if is_folder else of_run
    folder = folder / "images" if (folder / "images").is_dir() else folder
    files = sorted(folder.glob("*")) if folder.is_dir() else []
    images = {file.stem: file for file in files if file.suffix.lower() in ENDINGS}
    ours = {
        stem.removesuffix(SUFFIX): file for stem, file in images.items() if stem.endswith(SUFFIX)
    }
    if not ours and (not is_folder or not images):
        remedy = "give name=DIR of a folder with images" if is_folder else f"test.py --name {name}"
        raise UserError(f"{folder}: no synthesised images of {name!r} there; {remedy}")
    return ours or images


def shuffled(image: np.ndarray, seed: int) -> np.ndarray:
    """The image, uint8 [H,W,3], with its parts, GRID a side, in another order."""
    height, width = (max(1, side // GRID) for side in image.shape[:2])
    down, across = image.shape[0] // height, image.shape[1] // width
    cut = image[: down * height, : across * width]
    parts = cut.reshape(down, height, across, width, 3).swapaxes(1, 2).reshape(-1, height, width, 3)
    # Moved on by at least one in a random order: no part stays where it was.
    order = np.random.default_rng(seed).permutation(len(parts))
    moved = np.empty_like(parts)
    moved[order] = parts[np.roll(order, 1)]
    back = moved.reshape(down, across, height, width, 3).swapaxes(1, 2).reshape(cut.shape)
    whole = image.copy()
    whole[: cut.shape[0], : cut.shape[1]] = back
    return whole


def _refuse_other_shapes(
    stems: list[str], x: Mapping[str, Path], y: Mapping[str, Path], names: list[str]
) -> None:
    """Both of a pair are shown equally large: their aspect must be the same, and they readable."""
    for stem in stems:
        sizes = []
        for file in (x[stem], y[stem]):
            if (size := image_size(file)) is None:
                raise UserError(f"{file}: is no image that can be read; render it again")
            sizes.append(size)
        (w, h), (v, g) = sizes
        if abs(w * g - v * h) > max(w * g, v * h) * 0.01:
            raise UserError(
                f"{stem}: {names[0]} is {w}x{h}, {names[1]} {v}x{g}; "
                "a pair must have one aspect: render both alike"
            )


def _pair(stem: str, x: Path, y: Path, folder: Path, salt: bytes) -> dict[str, Any]:
    a, b = (
        _save(_read(file), folder, salt, f"{side}/{stem}") for side, file in (("x", x), ("y", y))
    )
    return {
        "name": stem,
        "check": False,
        "a": a,
        "b": b,
        "input": _input(stem, (x, y), folder, salt),
    }


def _check(
    number: int, stem: str, file: Path, folder: Path, salt: bytes, seed: int
) -> dict[str, Any]:
    """A pair of which one, `a`, is right: `b` is the same shuffled."""
    image = _read(file)
    sides = {"a": image, "b": shuffled(image, seed)}
    saved = {s: _save(image, folder, salt, f"{s}{number}") for s, image in sides.items()}
    return {"name": stem, "check": True, **saved, "input": _input(stem, (file,), folder, salt)}


def _input(stem: str, results: tuple[Path, ...], folder: Path, salt: bytes) -> str:
    """The input's picture, where one of the results has it beside it; else an empty name."""
    for result in results:
        beside = result.with_stem(f"{stem}_input_label")
        if beside != result and beside.is_file():
            return _save(_read(beside), folder, salt, f"input/{stem}")
    return ""


def _read(file: Path) -> np.ndarray:
    try:
        with Image.open(file) as opened:
            return np.asarray(opened.convert("RGB"))
    except (OSError, ValueError, Image.DecompressionBombError) as error:
        raise UserError(f"{file}: cannot be read ({error}); render it again") from error


def _save(image: np.ndarray, folder: Path, salt: bytes, what: str) -> str:
    """Save under a name that tells nothing. Written anew, all are alike in format and metadata."""
    # Of the pixels, too: a study of other pictures is another study, and no cache confuses them.
    said = salt + what.encode(errors="surrogateescape") + image.tobytes()
    name = hashlib.sha256(said).hexdigest()[:16]
    save_image(image, folder / f"images/{name}.png")
    return f"images/{name}.png"
