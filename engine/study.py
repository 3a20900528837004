"""`evaluate.py study`: a folder with which people compare the results of two runs."""

from __future__ import annotations

import hashlib
import json
import random
from pathlib import Path
from typing import Any

import numpy as np

from pix2pixhd.engine.comparison import Results, find_results, in_common
from pix2pixhd.options.study_options import StudyOptions
from pix2pixhd.pages.html import image_size, refuse_other, remove_stale
from pix2pixhd.pages.study_page import write_study_page
from pix2pixhd.util.errors import UserError
from pix2pixhd.util.image import read_picture, save_image
from pix2pixhd.util.words import counted

TIMES = (0.125, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0)  # seconds; the paper's, too, are from 1/8 to 8
OURS = r"images/[0-9a-f]{16}\.png"
GRID = 6  # parts a side that a broken picture is shuffled in


def run(options: StudyOptions) -> None:
    """Write the study's folder.

    Raises:
        UserError: results are missing or do not match, or the folder has another page.
    """
    page, names = Path(options.out, "index.html"), list(options.folders)
    refuse_other(page, "study")
    x, y = (find_results(name, folder) for name, folder in options.folders.items())
    stems, notes = in_common([x, y])
    for note in notes:
        print(note)
    inputs = {**y.beside.get("input_label", {}), **x.beside.get("input_label", {})}
    draw = random.Random(options.seed)
    if options.pairs is not None:
        if options.pairs > len(stems):
            raise UserError(f"--pairs {options.pairs}: there are {len(stems)}; give fewer, or none")
        stems = sorted(draw.sample(stems, options.pairs))
    _refuse_other_shapes(stems, x, y)
    folder, salt = page.parent, draw.randbytes(16)
    trials = [_pair(stem, x, y, folder, salt) for stem in stems]
    count = max(1, round(options.checks * len(stems))) if options.checks else 0
    for number in range(count):
        stem, of = draw.choice(stems), draw.choice((x, y))
        trials.append(_check(number, stem, of, folder, salt, draw.getrandbits(32)))
    for trial in trials:
        beside = inputs.get(trial["name"])
        what = f"input/{trial['name']}"
        trial["input"] = _save(read_picture(beside), folder, salt, what) if beside else ""
    key: dict[str, Any] = {"x": names[0], "y": names[1], "trials": trials}
    key["times"] = list(TIMES) if options.timed else []
    key["study"] = hashlib.sha256(json.dumps([key, salt.hex()]).encode()).hexdigest()[:12]
    write_study_page(page, key)
    files = {trial[what] for trial in trials for what in ("a", "b", "input") if trial[what]}
    remove_stale(folder, "images/*.png", OURS, files)
    checks = counted(count, "attention check")
    print(f"{page}: {counted(len(stems), 'pair')} and {checks} for each person")
    if not any(trial["input"] for trial in trials):
        print("no input is shown, as neither run has <name>_input_label beside its results")


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


def _refuse_other_shapes(stems: list[str], x: Results, y: Results) -> None:
    """Both of a pair are shown equally large: their aspect must be the same, and they readable."""
    for stem in stems:
        sizes = []
        for file in (x.images[stem], y.images[stem]):
            if (size := image_size(file)) is None:
                raise UserError(f"{file}: is no image that can be read; render it again")
            sizes.append(size)
        (w, h), (v, g) = sizes
        if abs(w * g - v * h) > max(w * g, v * h) * 0.01:
            raise UserError(
                f"{stem}: {x.name} is {w}x{h}, {y.name} {v}x{g}; "
                "a pair must have one aspect: render both alike"
            )


def _pair(stem: str, x: Results, y: Results, folder: Path, salt: bytes) -> dict[str, Any]:
    a, b = (
        _save(read_picture(of.images[stem]), folder, salt, f"{side}/{stem}")
        for side, of in (("x", x), ("y", y))
    )
    return {"name": stem, "check": False, "a": a, "b": b}


def _check(
    number: int, stem: str, of: Results, folder: Path, salt: bytes, seed: int
) -> dict[str, Any]:
    """A pair of which one, `a`, is right: `b` is the same shuffled."""
    image = read_picture(of.images[stem])
    sides = {"a": image, "b": shuffled(image, seed)}
    saved = {s: _save(image, folder, salt, f"{s}{number}") for s, image in sides.items()}
    return {"name": stem, "check": True, **saved}


def _save(image: np.ndarray, folder: Path, salt: bytes, what: str) -> str:
    """Save under a name that tells nothing. Written anew, all are alike in format and metadata."""
    # Of the pixels, too: a study of other pictures is another study, and no cache confuses them.
    said = salt + what.encode(errors="surrogateescape") + image.tobytes()
    name = hashlib.sha256(said).hexdigest()[:16]
    save_image(image, folder / f"images/{name}.png")
    return f"images/{name}.png"
