"""The files of a set of toy streets: what is written where, and whether it is there already."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

from PIL import Image

from toy_streets.canvas import labels_of
from toy_streets.painter import draw_street
from toy_streets.palette import Colour

PHASES = ("train", "test")
KINDS = ("label", "inst", "img")
_RECORD, _COLOURS = "toy_streets.json", "colours.json"

# Changes whenever the same arguments come to mean other pictures.
_EDITION = 1
# Starting more processes takes longer than a handful of scenes.
_WORTH_A_POOL = 24


@dataclass(frozen=True)
class ToySet:
    """A data set to make: its folder, the size in pixels, the scenes of each phase, the seed."""

    out: Path
    width: int
    height: int
    train: int
    test: int
    seed: int

    def is_made(self) -> bool:
        """Whether the folder holds exactly this set, whole."""
        try:
            if json.loads((self.out / _RECORD).read_text(encoding="utf-8")) != self._arguments():
                return False
        except (FileNotFoundError, ValueError):
            return False
        wanted = {self._path(*scene, kind) for scene in self._scenes() for kind in KINDS}
        return (self.out / _COLOURS).is_file() and wanted == set(self._pictures())

    def is_half_made(self) -> bool:
        """Whether the folder holds a set, this or another, that we were stopped from finishing."""
        return _unfinished(self.out / _RECORD).is_file()

    def make(self) -> None:
        """Write the whole set, in place of what there is of any.

        The record of its arguments is there under its unfinished name as long as we are at it, and
        under its own once it can vouch for all the rest.
        """
        self.out.mkdir(parents=True, exist_ok=True)
        _unfinished(self.out / _RECORD).touch()
        for stale in [self.out / _RECORD, self.out / _COLOURS, *self._pictures()]:
            stale.unlink(missing_ok=True)
        for folder in self._folders():
            folder.mkdir(exist_ok=True)
        scenes = self._scenes()
        if len(scenes) < _WORTH_A_POOL:
            drawn = [self._make_scene(scene) for scene in scenes]
        else:
            # Ctrl-C goes to every process of the terminal; only this one is to answer it.
            ignore = partial(signal.signal, signal.SIGINT, signal.SIG_IGN)
            with ProcessPoolExecutor(initializer=ignore) as pool:
                drawn = list(pool.map(self._make_scene, scenes, chunksize=4))
        colours: dict[str, dict[str, dict[int, Colour]]] = {phase: {} for phase in PHASES}
        for scene, scene_colours in zip(scenes, drawn, strict=True):
            colours[scene[0]][self._path(*scene, "img").stem] = scene_colours
        _write_json(self.out / _COLOURS, colours)
        _write_json(self.out / _RECORD, self._arguments())

    def _make_scene(self, scene: tuple[str, int]) -> dict[int, Colour]:
        """Draw one scene and write its three pictures; its body colours by instance id."""
        drawing = draw_street(self.seed, *scene, self.width, self.height)
        label, inst = Image.fromarray(labels_of(drawing.ids)), Image.fromarray(drawing.ids)
        pictures = (label, inst, Image.fromarray(drawing.image))
        for kind, picture in zip(KINDS, pictures, strict=True):
            save = partial(picture.save, format="PNG", compress_level=1)
            _write(self._path(*scene, kind), save)
        return dict(sorted(drawing.colours.items()))

    def _arguments(self) -> dict[str, int]:
        """All that decides the set's content."""
        return {"edition": _EDITION, **{key: n for key, n in asdict(self).items() if key != "out"}}

    def _scenes(self) -> list[tuple[str, int]]:
        """The phase and the number of every scene."""
        counts = zip(PHASES, (self.train, self.test), strict=True)
        return [(phase, index) for phase, count in counts for index in range(count)]

    def _folders(self) -> list[Path]:
        return [self.out / f"{phase}_{kind}" for phase in PHASES for kind in KINDS]

    def _path(self, phase: str, index: int, kind: str) -> Path:
        return self.out / f"{phase}_{kind}" / f"street_{index:04d}.png"

    def _pictures(self) -> list[Path]:
        """The pictures of whatever set the folder holds, unfinished ones with them."""
        return [path for folder in self._folders() for path in folder.glob("street_*.png*")]


def _unfinished(path: Path) -> Path:
    return path.with_name(path.name + ".tmp")


def _write_json(path: Path, content: object) -> None:
    text = json.dumps(content, separators=(",", ":")) + "\n"
    _write(path, partial(Path.write_text, data=text, encoding="utf-8"))


def _write(path: Path, save: Callable[[Path], object]) -> None:
    # Under its own name a file is either not there yet or whole.
    save(_unfinished(path))
    _unfinished(path).replace(path)
