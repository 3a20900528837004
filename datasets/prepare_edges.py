#!/usr/bin/env python3
"""Draw the edges in photographs, to train image-to-image from edges to photographs.

    python datasets/prepare_edges.py --in PHOTOS --out datasets/edges --phase train

writes <phase>_A, the edges as black lines on white (PNG of one channel), and <phase>_B, links to
the photographs or with --copy copies of them. Sub-folders are kept.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image
from scipy import ndimage

import common


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = common.Parser(description=__doc__)
    add = parser.add_argument
    add("--in", dest="photos", type=Path, required=True, help="folder of photographs")
    add("--out", type=Path, required=True, help="folder for the data set")
    add("--phase", type=common.phase, default="train", help="begins the folders' names (train)")
    levels = "in levels of 255 (default: %(default)s)"
    add("--sigma", type=float, default=2, help="pixels to smooth over (default: %(default)s)")
    add("--high", type=float, default=25, help=f"contrast that begins a line, {levels}")
    add("--low", type=float, default=10, help=f"contrast down to which it goes on, {levels}")
    add("--white", action="store_true", help="white lines on black")
    add("--copy", action="store_true", help="copy the photographs instead of linking to them")
    add("--overwrite", action="store_true", help="replace files that are there")
    options = parser.parse_args(argv)
    if not 0 < options.sigma <= 100:
        parser.error(f"--sigma {options.sigma}: expected more than 0, at most 100")
    if not 0 <= options.low <= options.high:
        parser.error(f"--low {options.low} --high {options.high}: expected 0 <= low <= high")
    return options


def main(argv: Sequence[str] | None = None) -> None:
    options = parse(argv)
    # Only now, so that --help need not wait for PyTorch.
    from pix2pixhd.data.decode import read_photo
    from pix2pixhd.data.pairing import list_images

    lines, photos = (options.out / f"{options.phase}_{side}" for side in "AB")
    common.refuse_inside(options.photos, lines, photos)
    found = list_images(options.photos, "check --in")
    names = {path: path.relative_to(options.photos) for path in found}
    drawings = {path: lines / name.with_suffix(".png") for path, name in names.items()}
    common.refuse_equal_names(drawings.items())
    placed = {path: photos / name for path, name in names.items()}
    if photos.resolve() == options.photos.resolve():
        placed = {}  # the photographs are where they belong
    common.refuse_existing([*drawings.values(), *placed.values()], options.overwrite)

    put = common.copy if options.copy else partial(common.link, out=options.out)

    def prepare(path: Path) -> None:
        [pixels] = read_photo(path, 1)
        white = np.iinfo(pixels.dtype).max if pixels.dtype.kind == "u" else 1
        levels = pixels * np.float32(255 / white)
        edges = find_edges(levels, options.sigma, options.low, options.high)
        picture = np.where(edges == options.white, np.uint8(255), np.uint8(0))
        common.save_png(Image.fromarray(picture), drawings[path])
        if path in placed:
            put(path, placed[path])

    common.for_each(prepare, found, unit="img")
    print(f"{len(found)} photographs: edges in {lines}, photographs in {photos}")
    flags = "--label_nc 0 --no_instance --input_nc 1"
    print(f"to train: python train.py --name edges2photo {flags} --dataroot {options.out}")


def find_edges(gray: np.ndarray, sigma: float, low: float, high: float) -> np.ndarray:
    """Canny's edges: bool [H,W] of float32 `gray`.

    Args:
        sigma: of the Gaussian whose derivatives are the gradient, in pixels.
        low, high: the height of a step, in gray levels, from which its pixels belong to an edge,
            and of which an edge must have one.
    """
    by_y, by_x = (ndimage.gaussian_filter(gray, sigma, order) for order in ((1, 0), (0, 1)))
    height = np.hypot(by_y, by_x) * np.float32(sigma * np.sqrt(2 * np.pi))  # of a step alone
    # Across an edge, to the nearest of four directions, neither neighbour may be higher.
    direction = np.rint(np.arctan2(by_y, by_x) / (np.pi / 4)).astype(np.int8) % 4
    padded = np.pad(height, 1)
    rows, columns = gray.shape
    is_ridge = np.zeros(gray.shape, bool)
    for number, (y, x) in enumerate(((0, 1), (1, 1), (1, 0), (1, -1))):
        before = padded[1 - y : 1 - y + rows, 1 - x : 1 - x + columns]
        behind = padded[1 + y : 1 + y + rows, 1 + x : 1 + x + columns]
        is_ridge |= (direction == number) & (height > before) & (height >= behind)
    pieces, count = ndimage.label(is_ridge & (height > low), np.ones((3, 3)))
    is_edge = np.zeros(count + 1, bool)
    is_edge[pieces[height > high]] = True
    is_edge[0] = False
    return is_edge[pieces]


if __name__ == "__main__":
    common.run(main)
