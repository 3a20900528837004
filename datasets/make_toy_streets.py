#!/usr/bin/env python3
"""Draw a toy data set of street scenes in Cityscapes' labels: label maps, instance maps, photos.

    python datasets/make_toy_streets.py --out datasets/streets

writes, for the phases `train` and `test`, the folders `<phase>_label` (8-bit label ids 0..34),
`<phase>_inst` (16-bit ids: label * 1000 + n for a car, person, rider, bicycle or building, the
plain label elsewhere) and `<phase>_img` (RGB), with one `street_0000.png` of the same name in each.
`colours.json` records the body colour drawn for each car, person, rider and building in sight, as
{phase: {"street_0000": {"26001": [r, g, b]}}}, and `toy_streets.json` what the set was made with.

A scene depends on nothing but the seed, its phase and its number (and, for its pixels, the size),
so a smaller set is the beginning of a larger one.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import common


def main(argv: Sequence[str] | None = None) -> int:
    """Make the set that the command line asks for; the exit status."""
    parser = common.Parser(
        description="Draw a toy data set of street scenes in Cityscapes' labels."
    )
    parser.add_argument("--out", type=Path, required=True, help="folder for the set")
    for flag, low, high, default, meaning in (
        ("--width", 32, 2048, 256, "in pixels (default: %(default)s)"),
        ("--height", 32, 2048, 128, "in pixels (default: %(default)s)"),
        ("--train", 0, 9999, 200, "scenes (default: %(default)s)"),
        ("--test", 0, 9999, 20, "scenes (default: %(default)s)"),
        ("--seed", 0, 2**31, 0, "default: %(default)s"),
    ):
        number = partial(common.whole_number, low, high)
        parser.add_argument(flag, type=number, default=default, help=meaning)
    parser.add_argument("--force", action="store_true", help="replace a set that is there already")
    asked = vars(parser.parse_args(argv))
    force = asked.pop("force")
    # Only now, so that --help need not wait for it and Ctrl-C meanwhile ends as any other.
    from toy_streets.files import ToySet

    toys = ToySet(**asked)
    try:
        if not force and toys.is_made():
            print(f"{toys.out} already holds this set")
            return 0
        ours = force or toys.is_half_made()
        if not ours and toys.out.exists() and any(toys.out.iterdir()):
            remedy = "name another folder or replace it with --force"
            parser.exit(2, f"error: {toys.out} is not empty; {remedy}\n")
        start = time.perf_counter()
        toys.make()
    except OSError as error:
        reason = error.strerror or error
        parser.exit(2, f"error: cannot write {error.filename or toys.out}: {reason}\n")
    scenes = f"{toys.train} training and {toys.test} test scenes"
    print(f"drew {scenes} into {toys.out} in {time.perf_counter() - start:.1f} s")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
