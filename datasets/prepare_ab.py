#!/usr/bin/env python3
"""Cut pictures that show A and B side by side, as pix2pix's data sets do, into two folders.

    python datasets/prepare_ab.py --in facades --out datasets/facades --swap

writes the left halves to <phase>_A and the right ones to <phase>_B, as PNG; with --swap, A is the
right half: B is what will be made of A. The sub-folders train, val and test are the phases; where
there is none of them, all pictures are of --phase.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import common
from pix2pixhd.util.errors import UserError

PHASES = ("train", "val", "test")


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = common.Parser(description=__doc__)
    add = parser.add_argument
    add("--in", dest="pictures", type=Path, required=True, help="folder of the pictures")
    add("--out", type=Path, required=True, help="folder for the data set")
    add("--phase", type=common.phase, default="train", help="where no sub-folder names it (train)")
    add("--swap", action="store_true", help="A is the right half")
    add("--overwrite", action="store_true", help="replace files that are there")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    options = parse(argv)
    # Only now, so that --help need not wait for PyTorch.
    from pix2pixhd.data.pairing import list_images

    folders = {options.pictures / p: p for p in PHASES if (options.pictures / p).is_dir()}
    folders = folders or {options.pictures: options.phase}
    halves: dict[Path, tuple[Path, Path]] = {}
    for folder, phase in folders.items():
        sides = [options.out / f"{phase}_{side}" for side in "AB"]
        common.refuse_inside(folder, *sides)
        for path in list_images(folder, "check --in"):
            name = path.relative_to(folder).with_suffix(".png")
            halves[path] = (sides[0] / name, sides[1] / name)
    common.refuse_equal_names((path, of_a) for path, (of_a, _) in halves.items())
    common.refuse_existing((half for pair in halves.values() for half in pair), options.overwrite)
    widths = common.for_each(half_width, list(halves), unit="header")
    common.for_each(lambda path: cut(path, *halves[path], options.swap), list(halves), unit="img")
    for phase in folders.values():
        count = sum(of_a.is_relative_to(options.out / f"{phase}_A") for of_a, _ in halves.values())
        print(f"{count} pictures cut into {options.out}/{phase}_A and {phase}_B")
    flags = f"--label_nc 0 --no_instance --loadSize {widths[0]}"
    print(f"to train: python train.py --name a2b {flags} --dataroot {options.out}")


def half_width(path: Path) -> int:
    """The width of A and of B, in pixels.

    Raises:
        UserError: the width is odd, the values unknown, or the file no picture.
    """
    from pix2pixhd.data.opening import opened

    if path.suffix.lower() == ".npy":
        raise UserError(f"{path}: an array, expected a picture of two halves; save it as PNG")
    with opened(path) as picture:
        if picture.mode == "F":
            raise UserError(f"{path}: floating-point pixels, expected 8 or 16 bits; convert it")
        if picture.width % 2:
            raise UserError(
                f"{path}: {picture.width} pixels wide, expected an even number for two halves; "
                "remove it, or see that --in holds pictures side by side"
            )
        return picture.width // 2


def cut(path: Path, of_a: Path, of_b: Path, swap: bool) -> None:
    """Write the halves of a picture.

    Raises:
        UserError: it is damaged, or a half cannot be written.
    """
    from pix2pixhd.data.opening import opened

    with opened(path) as picture:
        picture.load()
    # PNG has no other kinds of colour than these.
    if picture.mode in ("CMYK", "YCbCr", "LAB", "HSV"):
        picture = picture.convert("RGB")
    half = picture.width // 2
    left, right = (picture.crop((x, 0, x + half, picture.height)) for x in (0, half))
    for target, side in zip((of_b, of_a) if swap else (of_a, of_b), (left, right), strict=True):
        common.save_png(side, target)


if __name__ == "__main__":
    common.run(main)
