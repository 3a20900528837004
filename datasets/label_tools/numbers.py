"""Label maps that are numbers already: checked, renumbered without gaps, or taken as they are."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from label_tools.source import Drawing, Item, Request, Source, read_all
from label_tools.table import IGNORED, Label, Table
from pix2pixhd.data.decode import read_ids
from pix2pixhd.data.pairing import list_images
from pix2pixhd.util.errors import UserError

MOST_LABELS = 65535
SHOWN = 60


class Values(NamedTuple):
    """The values of one map, or of all, ascending, with their pixels and files."""

    values: np.ndarray  # integers [n]
    pixels: np.ndarray  # int64 [n]
    files: np.ndarray  # int64 [n]


def number_source(request: Request) -> Source:
    """Label maps below a folder, with the numbers that they are to have.

    Raises:
        UserError: no maps, or values that are no labels.
    """
    files = list_images(request.path, "check --in")
    maps, problems = read_all(_values, files)
    seen = _total(list(maps.values()))
    by_source = request.renumber or bool(
        request.table and any(label.source is not None for label in request.table.labels)
    )
    table = request.table or _table(seen, request)
    new = _new_numbers(seen.values, table, by_source, request)
    items = [
        Item(file.relative_to(request.path), partial(_draw, file, seen.values, new))
        for file in maps
    ]
    report, warnings = _report(seen, new, table), _gaps(seen, by_source, request)
    return Source(table, items, report, warnings, problems)


def _values(path: Path) -> Values:
    values, pixels = np.unique(np.asarray(read_ids(path, "label")), return_counts=True)
    return Values(values, pixels, np.ones_like(values))


def _total(maps: list[Values]) -> Values:
    values, inverse = np.unique(
        np.concatenate([found.values for found in maps]), return_inverse=True
    )
    pixels = np.bincount(inverse, np.concatenate([found.pixels for found in maps]))
    return Values(values, pixels.astype(np.int64), np.bincount(inverse))


def _table(seen: Values, request: Request) -> Table:
    labels = [int(value) for value in seen.values if value != request.ignore_label]
    if not labels:
        raise UserError(f"{request.path}: all pixels are of --ignore_label {request.ignore_label}")
    if request.renumber:
        if len(labels) > MOST_LABELS:
            raise UserError(f"{request.path}: {len(labels)} values, expected up to {MOST_LABELS}")
        return Table(tuple(Label(str(value), source=value) for value in labels))
    if labels[0] < 0 or labels[-1] >= MOST_LABELS:
        raise UserError(
            f"{request.path}: values from {labels[0]} to {labels[-1]}, expected 0 to "
            f"{MOST_LABELS - 1}; give --renumber"
        )
    return Table(tuple(Label(str(number)) for number in range(labels[-1] + 1)))


def _new_numbers(values: np.ndarray, table: Table, by_source: bool, request: Request) -> np.ndarray:
    """The label of each value, int32."""
    if by_source:
        known = {label.source: number for number, label in enumerate(table.labels)}
    else:
        known = {number: number for number in range(len(table))}
    new = np.array([known.get(int(value), IGNORED) for value in values], np.int32)
    new[values == request.ignore_label] = IGNORED
    unknown = values[(new == IGNORED) & (values != request.ignore_label)]
    if len(unknown) and not request.ignore_unknown:
        raise UserError(
            f"{request.path}: label {', '.join(map(str, unknown[:5]))} found, but "
            f"{request.table_file} has no such; add it there, or give --ignore_unknown to leave "
            f"such pixels without a label (--ignore_label {unknown[-1]}: of this value only)"
        )
    return new


def _draw(path: Path, values: np.ndarray, new: np.ndarray) -> Drawing:
    return Drawing(new[np.searchsorted(values, np.asarray(read_ids(path, "label")))])


def _report(seen: Values, new: np.ndarray, table: Table) -> list[str]:
    total = seen.pixels.sum()
    lines = [" value  label        pixels    share   files  name"]
    for value, number, pixels, files in list(
        zip(seen.values, new, seen.pixels, seen.files, strict=True)
    )[:SHOWN]:
        name = table.names[number] if number != IGNORED else "no label"
        label = "-" if number == IGNORED else str(number)
        name = "" if name in (label, str(value)) else name
        share = f"{pixels / total:.3%}"
        lines.append(f"{value:6} {label:>6} {pixels:13,} {share:>8} {files:7}  {name}".rstrip())
    return lines + ([f"   ... and {len(new) - SHOWN} more"] if len(new) > SHOWN else [])


def _gaps(seen: Values, by_source: bool, request: Request) -> list[str]:
    values = [int(value) for value in seen.values if value != request.ignore_label]
    unused = values[-1] + 1 - len(values)
    if by_source or request.table or unused <= len(values):
        return []
    ignore = ", and --ignore_label 255 if that means that nothing is known" if 255 in values else ""
    return [
        f"{unused} of the numbers 0 to {values[-1]} are not used; give --renumber to have labels 0 "
        f"to {len(values) - 1}{ignore}"
    ]
