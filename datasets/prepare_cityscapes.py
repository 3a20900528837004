#!/usr/bin/env python3
"""Make the reference's folders from Cityscapes as it is downloaded.

    python datasets/prepare_cityscapes.py --root /data/cityscapes --out datasets/cityscapes

makes <split>_label, <split>_inst and <split>_img of gtFine/<split>/<city> and
leftImg8bit/<split>/<city>: links, or with --copy copies. What is there already is kept, so that it
may be run again, for instance with more cities. All programs also read such a download directly:
--dataroot /data/cityscapes.
"""

from __future__ import annotations

import argparse
import filecmp
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import common
from pix2pixhd.util.errors import UserError

Files = list[tuple[Path, Path]]  # of the download, and where it goes


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = common.Parser(description=__doc__)
    add = parser.add_argument
    add("--root", type=Path, required=True, help="holds gtFine and leftImg8bit")
    add("--out", type=Path, required=True, help="folder for the data set")
    add("--splits", default="train,val,test", help="comma list (default: %(default)s)")
    add("--copy", action="store_true", help="copy the files instead of linking to them")
    add("--overwrite", action="store_true", help="replace files of other content in --out")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    options = parse(argv)
    splits = [split.strip() for split in options.splits.split(",") if split.strip()]
    if not splits:
        raise UserError(f"--splits {options.splits!r}: none named, expected a comma list")
    found = {split: split_files(options.root, options.out, split) for split in splits}
    is_there = is_copied if options.copy else is_linked
    missing = {
        split: [pair for pairs in of_folder.values() for pair in pairs if not is_there(*pair)]
        for split, of_folder in found.items()
    }
    targets = (target for pairs in missing.values() for _, target in pairs)
    common.refuse_existing(targets, options.overwrite)
    put = common.copy if options.copy else partial(common.link, out=options.out)
    for split, pairs in missing.items():
        common.for_each(lambda pair: put(*pair), pairs, unit="file")
        counts = ", ".join(f"{len(files)} in {folder}" for folder, files in found[split].items())
        there = sum(map(len, found[split].values())) - len(pairs)
        print(
            f"{counts}: {len(pairs)} {'copied' if options.copy else 'linked'}, {there} were there"
        )
    print(f"to train: python train.py --name label2city --dataroot {options.out}")


def split_files(root: Path, out: Path, split: str) -> dict[str, Files]:
    """The files of a split, by the name of the folder for them.

    Raises:
        UserError: folders or files are missing; photographs may be, and are told.
    """
    # Only now, so that --help need not wait for PyTorch.
    from pix2pixhd.data.layouts import Cityscapes, Layout
    from pix2pixhd.data.pairing import pair_files

    download, target = Cityscapes(root, split), Layout(out, split)
    download.flag = "--splits"
    maps = ["label", "inst", "image"]
    if download.folder("label").is_dir() and not (photos := download.folder("image")).is_dir():
        print(f"warning: {photos}: no such folder; {target.folder('image').name} is not made")
        maps.remove("image")
    found = [download.find(map_, {".png"}) for map_ in maps]
    folders = [target.folder(map_) for map_ in maps]
    scenes = pair_files(found, root)
    return {
        folder.name: [(path, folder / path.name) for path in files]
        for folder, files in zip(folders, zip(*scenes, strict=True), strict=True)
    }


def is_linked(source: Path, target: Path) -> bool:
    return target.is_symlink() and target.resolve() == source.resolve()


def is_copied(source: Path, target: Path) -> bool:
    """Whether there is a copy: of the same size and time, or the same content."""
    return not target.is_symlink() and target.is_file() and filecmp.cmp(source, target)


if __name__ == "__main__":
    common.run(main)
