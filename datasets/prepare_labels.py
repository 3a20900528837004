#!/usr/bin/env python3
"""Make label maps, and instance maps, of annotation that is none yet.

    python datasets/prepare_labels.py --in FOLDER --out datasets/mine --phase train

Reads, as told by --from or found from the files:
  colours         pictures in a colour for each label, with a table of them or without
  labels          pictures of label numbers, to be renumbered, or to get instance maps
  labelme         labelme's .json files: polygons, rectangles, circles, lines, points, masks
  coco            COCO's instances_*.json: polygons and run lengths
  coco_panoptic   COCO's panoptic_*.json with its folder of PNG files

Writes <out>/<phase>_label (PNG, 8 bits, 16 for more than 255 labels), <out>/<phase>_inst where
there are instances (ids label * 1000 + n, the plain label elsewhere), and <out>/labels.json, the
labels' names and colours. Further phases take the labels from that file, so that all agree.
"""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import common
from pix2pixhd.util.errors import UserError

if TYPE_CHECKING:
    from label_tools.output import Output
    from label_tools.source import Request, Source
    from label_tools.table import Table

KINDS = ("colours", "labels", "labelme", "coco", "coco_panoptic")


def parser() -> common.Parser:
    parser = common.Parser(prog="prepare_labels.py", description=__doc__)
    add = parser.add_argument
    number = partial(common.whole_number, 0, 2**31 - 1)
    add("--in", dest="path", type=Path, required=True, help="folder, or COCO's .json file")
    add("--out", type=Path, required=True, help="folder of the data set to be made")
    add("--from", dest="kind", choices=KINDS, help="kind of annotation (default: as found)")
    add("--phase", type=common.phase, default="train", help="train (the default), val or test")
    add(
        *("--colours", "--colors", "--classes"),
        dest="table_file",
        type=Path,
        metavar="FILE",
        help="names, colours and numbers of the labels: JSON, CSV, lines `128 64 128 road`, or one "
        "name a line (default: <out>/labels.json if it is there, else as found)",
    )
    add("--nearest", action="store_true", help="take unknown colours for the nearest known one")
    add("--ignore_unknown", action="store_true", help="unknown colours and names get no label")
    add(
        "--min_share",
        type=_percent,
        metavar="PERCENT",
        help="of the pixels, that a colour must have to be found as a label (default: 0.002 in "
        "pictures with JPEG's noise, else none)",
    )
    add("--renumber", action="store_true", help="give labels with gaps the numbers 0 to n - 1")
    add("--ignore_label", type=number, metavar="N", help="number that means nothing is known")
    add("--masks", type=Path, metavar="FOLDER", help="coco_panoptic's PNG files")
    add(
        "--instances",
        metavar="NAMES",
        help="labels that have instances, with commas: car,person (default: all that the "
        "annotation tells apart); of pictures, each connected region is one",
    )
    add("--min_size", type=number, default=1, help="pixels of the smallest instance")
    add("--no_instance", action="store_true", help="write no instance maps")
    add("--overwrite", action="store_true", help="replace files that are there already")
    return parser


def _percent(text: str) -> float:
    try:
        share = float(text)
    except ValueError:
        share = -1
    if not 0 <= share < 100:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 0 to 100")
    return share / 100


def main(argv: Sequence[str] | None = None) -> None:
    """Do what the command line asks for.

    Raises:
        UserError: it cannot be done, or not for all files.
    """
    asked = parser().parse_args(argv)
    # Only now, so that --help need not wait for it.
    from label_tools.kinds import SOURCES, find_kind

    kind = asked.kind or find_kind(asked.path)
    request = _request(asked)
    source = SOURCES[kind](request)
    print("\n".join(source.report))
    for line in source.warnings:
        print(f"warning: {line}", file=sys.stderr)
    output = _output(asked, source)
    _write_labels(asked, request, source.table)
    problems = source.problems + output.write()
    for line in output.warnings:
        print(f"warning: {line}", file=sys.stderr)
    _tell(asked, output)
    if problems:
        raise UserError(problems)


def _request(asked: argparse.Namespace) -> Request:
    from label_tools.source import Request
    from label_tools.table import read_table

    given = asked.table_file
    earlier = asked.out / "labels.json"
    if given is None and earlier.is_file():
        given = earlier
        print(f"labels as in {earlier}; remove it to have them anew")
    return Request(
        path=asked.path,
        table=read_table(given) if given else None,
        table_file=given,
        nearest=asked.nearest,
        ignore_unknown=asked.ignore_unknown,
        min_share=asked.min_share,
        renumber=asked.renumber,
        ignore_label=asked.ignore_label,
        masks=asked.masks,
    )


def _output(asked: argparse.Namespace, source: Source) -> Output:
    """What is to be written, if nothing stands in its way."""
    from label_tools.output import Output

    instances = None
    if asked.instances and asked.no_instance:
        raise UserError("--instances with --no_instance: give one of them")
    if asked.instances:
        names = [name.strip() for name in asked.instances.split(",") if name.strip()]
        instances = sorted({source.table.number(name, "--instances") for name in names})
        if 0 in instances:
            raise UserError(
                f"--instances {source.table.names[0]}: label 0 cannot have instances, whose ids "
                "0 * 1000 + n would read as labels n; let the labels begin with another"
            )
    elif source.has_parts and not asked.no_instance:
        instances = list(range(1, len(source.table)))
    output = Output(source, asked.out, asked.phase, instances, asked.min_size)
    if asked.path.is_dir():
        common.refuse_inside(asked.path, *output.folders(), or_same=True)
    output.check(asked.overwrite)
    return output


def _write_labels(asked: argparse.Namespace, request: Request, table: Table) -> None:
    """Leave the table for the next phase and for training, unless it is there."""
    from label_tools.table import read_table, write_table

    path = asked.out / "labels.json"
    if path.is_file() and not asked.overwrite:
        if read_table(path) != table:
            raise UserError(
                f"{path}: other labels than those of {request.table_file}; give --overwrite to "
                "replace them, for all phases, or another --out"
            )
        return
    write_table(path, table)


def _tell(asked: argparse.Namespace, output: Output) -> None:
    """What was written, and what to do next."""
    table = output.source.table
    folders = " and ".join(map(str, output.folders()))
    print(f"maps written: {output.written:,}, to {folders}; labels: {asked.out / 'labels.json'}")
    photos = asked.out / f"{asked.phase}_img"
    if not photos.is_dir():
        print(f"put the photographs into {photos}, named as the label maps")
    if asked.phase != "train":
        return
    out = str(asked.out)
    command = ["python", "train.py", "--name", asked.out.resolve().name, "--dataroot", out]
    command += ["--label_nc", str(len(table)), "--label_names", str(asked.out / "labels.json")]
    command += ["--ignore_label", str(table.ignore_value)] if output.ignored else []
    command += ["--no_instance"] if output.instances is None else []
    print(f"then train with\n  {shlex.join(command)}")


if __name__ == "__main__":
    common.run(main)
