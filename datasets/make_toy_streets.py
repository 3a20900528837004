#!/usr/bin/env python3
"""Draw a toy data set of street scenes in Cityscapes' labels: label maps, instance maps, photos.

    python datasets/make_toy_streets.py --out datasets/toy_streets

writes, for the phases `train` and `test`, the folders `<phase>_label` (8-bit label ids 0..34),
`<phase>_inst` (16-bit ids: label * 1000 + n for a car, person, rider, bicycle or building, the
plain label elsewhere) and `<phase>_img` (RGB), with one `street_0000.png` of the same name in each.
`colours.json` records the body colour drawn for each car, person, rider and building in sight, as
{phase: {"street_0000": {"26001": [r, g, b]}}}, and `toy_streets.json` what the set was made with.

A scene depends on nothing but the seed, its phase and its number (and, for its pixels, the size),
so a smaller set is the beginning of a larger one.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NoReturn

from PIL import Image
from street_canvas import labels_of
from street_painter import draw_street

PHASES = ("train", "test")
KINDS = ("label", "inst", "img")

# Changes whenever the same arguments come to mean other pictures.
_EDITION = 1
_SIZES = (32, 2048)
# Starting more processes takes longer than a handful of scenes.
_WORTH_A_POOL = 24

Colours = dict[str, tuple[int, int, int]]


@dataclass(frozen=True)
class ToySet:
    """A data set to make: its folder, the size in pixels, the scenes of each phase, the seed."""

    out: Path
    width: int
    height: int
    train: int
    test: int
    seed: int

    def record(self) -> dict[str, int]:
        """All that decides the set's content."""
        return {
            "edition": _EDITION,
            "width": self.width,
            "height": self.height,
            "train": self.train,
            "test": self.test,
            "seed": self.seed,
        }

    def scenes(self) -> list[tuple[str, int]]:
        """The phase and the number of every scene."""
        counts = zip(PHASES, (self.train, self.test), strict=True)
        return [(phase, index) for phase, count in counts for index in range(count)]

    def path(self, phase: str, kind: str, index: int) -> Path:
        """Where one picture goes."""
        return self.out / f"{phase}_{kind}" / f"{scene_name(index)}.png"

    def is_made(self) -> bool:
        """Whether the folder holds exactly this set, whole."""
        record = self.out / "toy_streets.json"
        try:
            if json.loads(record.read_text(encoding="utf-8")) != self.record():
                return False
        except (FileNotFoundError, ValueError):
            return False
        wanted = {self.path(phase, kind, index) for phase, index in self.scenes() for kind in KINDS}
        return (self.out / "colours.json").is_file() and wanted == set(self.pictures())

    def pictures(self) -> list[Path]:
        """The pictures of whatever set the folder holds, unfinished ones with them."""
        folders = [self.out / f"{phase}_{kind}" for phase in PHASES for kind in KINDS]
        return [path for folder in folders for path in folder.glob("street_*.png*")]


def scene_name(index: int) -> str:
    """The file name, without its suffix, of all three pictures of a scene."""
    return f"street_{index:04d}"


def make(toys: ToySet) -> None:
    """Write the whole set; `toy_streets.json` comes last and so vouches for the rest."""
    for stale in [toys.out / "toy_streets.json", toys.out / "colours.json", *toys.pictures()]:
        stale.unlink(missing_ok=True)
    for phase in PHASES:
        for kind in KINDS:
            (toys.out / f"{phase}_{kind}").mkdir(parents=True, exist_ok=True)
    scenes = toys.scenes()
    if len(scenes) < _WORTH_A_POOL:
        drawn = [_make_scene(toys, scene) for scene in scenes]
    else:
        with ProcessPoolExecutor() as pool:
            drawn = list(pool.map(partial(_make_scene, toys), scenes, chunksize=4))
    colours: dict[str, dict[str, Colours]] = {phase: {} for phase in PHASES}
    for (phase, index), scene_colours in zip(scenes, drawn, strict=True):
        colours[phase][scene_name(index)] = scene_colours
    _write_json(toys.out / "colours.json", colours)
    _write_json(toys.out / "toy_streets.json", toys.record())


def _make_scene(toys: ToySet, scene: tuple[str, int]) -> Colours:
    """Draw one scene and write its three pictures; its body colours by instance id."""
    phase, index = scene
    drawing = draw_street(toys.seed, phase, index, toys.width, toys.height)
    pictures = {
        "label": Image.fromarray(labels_of(drawing.ids)),
        "inst": Image.fromarray(drawing.ids),
        "img": Image.fromarray(drawing.image),
    }
    for kind, picture in pictures.items():
        _write(toys.path(phase, kind, index), partial(picture.save, format="PNG", compress_level=1))
    return {str(ident): colour for ident, colour in sorted(drawing.colours.items())}


def _write_json(path: Path, content: object) -> None:
    text = json.dumps(content, separators=(",", ":")) + "\n"
    _write(path, partial(Path.write_text, data=text, encoding="utf-8"))


def _write(path: Path, save: Callable[[Path], object]) -> None:
    # Under its own name a file is either not there yet or whole.
    unfinished = path.with_name(path.name + ".tmp")
    save(unfinished)
    unfinished.replace(path)


class _Parser(argparse.ArgumentParser):
    """A parser that complains in one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}\n")


def _whole(low: int, high: int, text: str) -> int:
    """The whole number in `text`, if it is one from `low` to `high`."""
    try:
        number = int(text)
    except ValueError:
        number = low - 1
    if not low <= number <= high:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from {low} to {high}")
    return number


def _parser() -> _Parser:
    parser = _Parser(description="Draw a toy data set of street scenes in Cityscapes' labels.")
    size, count, seed = (
        partial(_whole, *_SIZES),
        partial(_whole, 0, 9999),
        partial(_whole, 0, 2**31),
    )
    parser.add_argument("--out", type=Path, required=True, help="folder for the set")
    parser.add_argument("--width", type=size, default=256, help="in pixels (default: %(default)s)")
    parser.add_argument("--height", type=size, default=128, help="in pixels (default: %(default)s)")
    parser.add_argument("--train", type=count, default=200, help="scenes (default: %(default)s)")
    parser.add_argument("--test", type=count, default=20, help="scenes (default: %(default)s)")
    parser.add_argument("--seed", type=seed, default=0, help="default: %(default)s")
    parser.add_argument("--force", action="store_true", help="replace a set that is there already")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Make the set that the command line asks for; the exit status."""
    parser = _parser()
    asked = parser.parse_args(argv)
    toys = ToySet(asked.out, asked.width, asked.height, asked.train, asked.test, asked.seed)
    try:
        if not asked.force and toys.is_made():
            print(f"{toys.out} already holds this set")
            return 0
        if not asked.force and toys.out.exists() and any(toys.out.iterdir()):
            parser.error(f"{toys.out} is not empty; name another folder or replace it with --force")
        start = time.perf_counter()
        make(toys)
    except OSError as error:
        parser.error(f"cannot write {error.filename or toys.out}: {error.strerror or error}")
    seconds = time.perf_counter() - start
    print(f"drew {toys.train} training and {toys.test} test scenes into {toys.out}", end="")
    print(f" in {seconds:.1f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
