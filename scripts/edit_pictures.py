#!/usr/bin/env python3
"""Make the pictures of docs/editing.md: its code, run on a trained run with features.

python scripts/edit_pictures.py --name toy_streets
"""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import pix2pixhd
from pix2pixhd.editor.scene import Scene
from pix2pixhd.editor.studio import Studio
from pix2pixhd.util.errors import UserError
from pix2pixhd.util.image import label_to_image, save_image

ROOT = Path(__file__).resolve().parents[1]
DOCUMENT = ROOT / "docs/editing.md"
BLOCK = r"```python\n((?:(?!```).)*)```"
LABELS = "car=26,tree=21,building=11,road=7,sidewalk=8"  # Cityscapes' numbers
LOOKED_AT = 30  # images, for the one with the largest object


def examples(text: str) -> dict[str, str]:
    """The code before each picture, by the picture's name."""
    found = re.findall(BLOCK + r"\n+!\[[^\]]*\]\(images/(\S+)\)", text, re.S)
    return {picture: code for code, picture in found}


def best_image(studio: Studio, labels: dict[str, int]) -> str:
    """Among the first images that have all of the labels, the one with the largest first label."""

    def size(name: str) -> int:
        pixels = [int((studio.open(name).label == label).sum()) for label in labels.values()]
        return pixels[0] if all(pixels) else -1

    if not studio.names:
        raise UserError("; ".join(studio.notes))
    return max(studio.names[:LOOKED_AT], key=size)


def shown(studio: Studio, scene: Scene) -> np.ndarray:
    """Image above label map, uint8 [2*H, W, 3]."""
    labels = label_to_image(scene.label, studio.labels.colours)
    return np.concatenate([studio.render(scene).image, labels])


def make_pictures(studio: Studio, image: str, labels: dict[str, int], folder: Path) -> list[Path]:
    """Run each example on the image; returns the files written."""
    text = DOCUMENT.read_text()
    names: dict[str, Any] = {name.upper(): label for name, label in labels.items()}
    exec(re.findall(BLOCK, text, re.S)[0], names)  # imports
    files = []
    for picture, code in examples(text).items():
        scene = studio.open(image)
        columns = [shown(studio, scene)]
        exec(code, names | {"studio": studio, "scene": scene})
        columns.append(shown(studio, scene))
        files.append(folder / picture)
        save_image(np.concatenate(columns, axis=1), files[-1])
    return files


def main(argv: list[str]) -> list[Path]:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--name", required=True, help="the run")
    parser.add_argument("--checkpoints_dir", default="./checkpoints")
    parser.add_argument("--phase", default="test", help="of the image")
    parser.add_argument("--image", help="its name (default: one with a large car)")
    parser.add_argument("--labels", default=LABELS, help=f"numbers of the labels ({LABELS})")
    parser.add_argument("--out", type=Path, default=ROOT / "docs/images")
    asked = parser.parse_args(argv)
    given = (word.split("=") for word in asked.labels.split(","))
    labels = {name: int(number) for name, number in given}
    renderer = pix2pixhd.load(asked.name, checkpoints_dir=asked.checkpoints_dir, phase=asked.phase)
    studio = Studio(renderer)
    image = asked.image or best_image(studio, labels)
    return make_pictures(studio, image, labels, asked.out)


if __name__ == "__main__":
    try:
        print(*main(sys.argv[1:]), sep="\n")
    except UserError as error:
        sys.exit(f"error: {error}")
