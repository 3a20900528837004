"""Do the synthesised cars of the toy streets have the colours of the true ones?

    python scripts/measure_toy_colours.py --dataroot datasets/toy_streets \\
        --results results/toy_feat/test_latest [more folders of results]

The colour of a synthesised car is the mean over the pixels of its instance, windows and wheels
with the rest; its true colour is the body colour in the data set's `colours.json`. Pearson's r
between the two is taken over all instances of a label, for each of red, green and blue.

Where a folder has several styles of each scene (`test.py --styles K`), r is the first one's, and
how far the styles differ is measured as the deviation of a pixel's value over the styles (0..255),
its mean over channels and pixels. Pixels near a car are left out of what is not car, because a
generator blurs a little over outlines; riders and bicycles are left out as well: they have colours
of their own, too.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import maximum_filter

# Run as a program, Python looks for modules in scripts/ only.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from scripts.report import in_one_line, machine, markdown
from util.errors import UserError, run_program

BUILDING, PERSON, RIDER, CAR, BICYCLE = 11, 24, 25, 26, 33
COLOURED = {CAR: "car", PERSON: "person", BUILDING: "building"}
# A results folder is taken for cropped, not just rounded to a multiple, beyond this.
ASPECT_TOLERANCE = 0.1

Floats = NDArray[np.float64]
Colours = dict[str, dict[str, list[int]]]  # {scene: {instance id: [r, g, b]}}, 0..255


@dataclass(frozen=True)
class Scene:
    """One test scene as it was synthesised."""

    name: str
    ids: NDArray[np.int32]  # [H, W]; label * 1000 + n for an instance, else the label
    styles: NDArray[np.uint8]  # [K, H, W, 3]
    colours: dict[str, list[int]]  # true ones, {instance id: [r, g, b]}

    def labels(self) -> NDArray[np.int32]:
        """The label of each pixel, [H, W]."""
        return np.where(self.ids >= 1000, self.ids // 1000, self.ids)


class ColourPairs:
    """Collects true and synthesised colours of instances, by label."""

    def __init__(self, min_area: int) -> None:
        self.min_area = min_area  # in pixels; smaller instances are left out
        self._pairs: dict[int, list[tuple[list[int], Floats]]] = {label: [] for label in COLOURED}

    def add(self, scene: Scene) -> None:
        """Add the instances of a scene, in its first style.

        Raises:
            UserError: `colours.json` lacks an instance.
        """
        ids, index, areas = np.unique(scene.ids, return_inverse=True, return_counts=True)
        channels = scene.styles[0].reshape(-1, 3).T
        sums = np.stack([np.bincount(index.ravel(), weights=channel) for channel in channels], 1)
        for id_, area, total in zip(ids.tolist(), areas, sums, strict=True):
            if id_ // 1000 not in COLOURED or area < self.min_area:
                continue
            if str(id_) not in scene.colours:
                raise UserError(
                    f"colours.json has no instance {id_} of {scene.name}, the instance map does; "
                    "make the set again with datasets/make_toy_streets.py --force"
                )
            self._pairs[id_ // 1000].append((scene.colours[str(id_)], total / area))

    def count(self, label: int) -> int:
        """Instances measured."""
        return len(self._pairs[label])

    def correlations(self, label: int) -> Floats:
        """Pearson's r of red, green and blue, [3]; NaN where there is nothing to correlate."""
        if not self._pairs[label]:
            return np.full(3, np.nan)
        true, seen = (np.array(colours, float) for colours in zip(*self._pairs[label], strict=True))
        true, seen = true - true.mean(0), seen - seen.mean(0)
        # With all values equal it is 0 / 0.
        with np.errstate(invalid="ignore"):
            r: Floats = (true * seen).sum(0) / np.sqrt((true**2).sum(0) * (seen**2).sum(0))
        return r


class StyleDifferences:
    """Collects how far the styles of scenes differ, by kind of pixel."""

    def __init__(self, band: int) -> None:
        self.band = band  # pixels around cars that are left out of what is not car
        self.pixels = {"car": 0, "person, building": 0, "elsewhere": 0}
        self._sums = dict.fromkeys(self.pixels, 0.0)

    def add(self, scene: Scene) -> None:
        """Add the pixels of a scene."""
        deviation = scene.styles.astype(np.float32).std(axis=0).mean(axis=-1, dtype=np.float64)
        for name, where in self._masks(scene.labels()).items():
            self.pixels[name] += int(where.sum())
            self._sums[name] += float(deviation[where].sum())

    def mean(self, name: str) -> float:
        """The deviation across styles, 0..255; NaN where there is no such pixel."""
        return self._sums[name] / self.pixels[name] if self.pixels[name] else float("nan")

    def _masks(self, labels: NDArray[np.int32]) -> dict[str, NDArray[np.bool_]]:
        cars = labels == CAR
        away = maximum_filter(cars, size=2 * self.band + 1) == 0
        objects = np.isin(labels, (PERSON, BUILDING))
        others = np.isin(labels, (RIDER, BICYCLE))
        return {
            "car": cars,
            "person, building": objects & away,
            "elsewhere": ~(cars | objects | others) & away,
        }


def read_scenes(dataroot: Path, results: Path, phase: str) -> Iterator[Scene]:
    """The scenes of the data set that have been synthesised.

    Raises:
        UserError: a file is missing or cannot be read, or does not fit the others.
    """
    colours = read_colours(dataroot / "colours.json", phase)
    found = {name: style_files(results / "images", name) for name in sorted(colours)}
    found = {name: files for name, files in found.items() if files}
    if not found:
        raise UserError(
            f"{results}: has no images/<scene>_synthesized_image.png of a scene of {dataroot}; "
            f"make them with test.py --dataroot {dataroot}"
        )
    styles = max(len(files) for files in found.values())
    for name, files in found.items():
        if len(files) < styles:
            raise UserError(
                f"{results}: {name} has {len(files)} styles, others have {styles}; "
                "delete the folder and render again with one --styles"
            )
        pictures = [np.asarray(open_image(file).convert("RGB")) for file in files]
        ids = read_ids(dataroot / f"{phase}_inst" / f"{name}.png", pictures[0].shape)
        if any(picture.shape != pictures[0].shape for picture in pictures):
            raise UserError(f"{results}: the styles of {name} differ in size; render them again")
        yield Scene(name, ids, np.stack(pictures), colours[name])


def read_colours(file: Path, phase: str) -> Colours:
    """The true colours of a phase.

    Raises:
        UserError: the file is missing, or is not as make_toy_streets.py writes it.
    """
    remedy = f"make the set with datasets/make_toy_streets.py --out {file.parent}"
    try:
        content: dict[str, Colours] = json.loads(file.read_text(encoding="utf-8"))
        return content[phase]
    except FileNotFoundError as error:
        raise UserError(f"{file}: not found; {remedy}") from error
    except (OSError, ValueError) as error:
        raise UserError(f"{file}: cannot be read ({error}); {remedy}") from error
    except (KeyError, TypeError) as error:
        raise UserError(f"{file}: has no phase {phase!r}; give another --phase") from error


def style_files(folder: Path, scene: str) -> list[Path]:
    """The synthesised pictures of a scene, the first style first."""
    files: list[Path] = []
    while True:
        name = f"{scene}_synthesized_image" + (f"_{len(files) + 1}" if files else "")
        found = [folder / f"{name}.{ending}" for ending in ("png", "jpg")]
        found = [file for file in found if file.is_file()]
        if not found:
            return files
        files.append(found[0])


def read_ids(file: Path, shape: tuple[int, ...]) -> NDArray[np.int32]:
    """An instance map, brought to the size of the pictures, [H, W].

    Raises:
        UserError: it is missing, cannot be read, or has another aspect than the pictures.
    """
    # As plain integers: Pillow scales 16-bit pictures in some versions only.
    opened = Image.fromarray(np.asarray(open_image(file)).astype(np.int32))
    height, width = shape[:2]
    if abs(width / height * opened.height / opened.width - 1) > ASPECT_TOLERANCE:
        raise UserError(
            f"{file}: is {opened.width}x{opened.height}, its synthesised image {width}x{height}; "
            "render without cropping (--resize_or_crop none)"
        )
    return np.asarray(opened.resize((width, height), Image.Resampling.NEAREST))


def open_image(file: Path) -> Image.Image:
    """Read a picture whole.

    Raises:
        UserError: it is missing or damaged.
    """
    try:
        with Image.open(file) as opened:
            opened.load()
            return opened
    except FileNotFoundError as error:
        raise UserError(
            f"{file}: not found; is --dataroot the set it was rendered from?"
        ) from error
    except (OSError, SyntaxError) as error:
        raise UserError(f"{file}: is no picture ({error}); make it again") from error


def measure(
    dataroot: Path, results: Path, *, phase: str = "test", min_area: int = 60, band: int = 5
) -> tuple[ColourPairs, StyleDifferences | None, int]:
    """Measure one folder of results; returns also the number of scenes in it.

    There are no style differences where there is one style.

    Raises:
        UserError: a file is missing or cannot be read, or does not fit the others.
    """
    pairs, differences, scenes = ColourPairs(min_area), StyleDifferences(band), 0
    several = False
    for scene in read_scenes(dataroot, results, phase):
        pairs.add(scene)
        several = len(scene.styles) > 1
        if several:
            differences.add(scene)
        scenes += 1
    return pairs, differences if several else None, scenes


def colour_table(pairs: ColourPairs) -> str:
    """Pearson's r by label, as Markdown."""
    rows = []
    for label, name in COLOURED.items():
        r = pairs.correlations(label)
        rows.append([f"{name} ({label})", str(pairs.count(label)), *map(_figure, [*r, r.mean()])])
    return markdown(["label", "instances", "r red", "r green", "r blue", "mean"], rows)


def style_table(differences: StyleDifferences) -> str:
    """The deviation across styles by kind of pixel, as Markdown."""
    rows = [
        [name, str(pixels), _figure(differences.mean(name))]
        for name, pixels in differences.pixels.items()
    ]
    return markdown(["pixels of", "number", "deviation across styles (0..255)"], rows)


def _figure(value: Any) -> str:
    return "-" if np.isnan(value) else f"{value:.3f}"


def _whole(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 0 on")
    return int(text)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Compare synthesised with true colours.")
    parser.add_argument("--dataroot", type=Path, required=True, help="the toy streets")
    parser.add_argument("--results", type=Path, required=True, nargs="+", help="as test.py wrote")
    parser.add_argument("--phase", default="test", help="of the data set (%(default)s)")
    parser.add_argument("--min_area", type=_whole, default=60, help="pixels (%(default)s)")
    parser.add_argument("--band", type=_whole, default=5, help="around cars, pixels (%(default)s)")
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    """Measure the folders that the command line names, and print tables.

    Raises:
        UserError: a file is missing or cannot be read, or does not fit the others.
    """
    asked = _parser().parse_args(argv)
    print(in_one_line(machine()))
    for folder in asked.results:
        pairs, differences, scenes = measure(
            asked.dataroot, folder, phase=asked.phase, min_area=asked.min_area, band=asked.band
        )
        print(f"\n{folder}: {scenes} scenes, {pairs.count(CAR)} cars", end="")
        print(f" (instances of at least {asked.min_area} pixels)\n\n{colour_table(pairs)}")
        if differences:
            print(f"\n{style_table(differences)}")
            print(f"\n{asked.band} pixels around cars, riders and bicycles are left out.")


if __name__ == "__main__":
    run_program(main)
