"""What every kind of annotation becomes: a table of labels, and maps to be drawn one by one."""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

import common
from label_tools.table import IGNORED, Table, names_table
from pix2pixhd.util.errors import UserError

Result = TypeVar("Result")


@dataclass(frozen=True)
class Request:
    """What the command line asks for, as far as reading annotations goes."""

    path: Path  # folder or file
    table: Table | None = None  # given, or left by an earlier phase
    table_file: Path | None = None
    nearest: bool = False
    ignore_unknown: bool = False
    min_share: float | None = None  # of the pixels, for a colour to be a label
    renumber: bool = False
    ignore_label: int | None = None
    masks: Path | None = None


@dataclass(frozen=True)
class Drawing:
    """A picture's labels, and which of its pixels belong together."""

    label: np.ndarray  # integers [H,W], 0 to n - 1 or IGNORED
    parts: np.ndarray | None = None  # int32 [H,W], numbers within a label; 0: no instance


@dataclass(frozen=True)
class Item:
    """A picture to draw: `draw` raises UserError where its file cannot be read."""

    file: Path  # what it is of, relative to its folder
    draw: Callable[[], Drawing]


@dataclass(frozen=True)
class Source:
    """All that is to be drawn."""

    table: Table
    items: list[Item]
    report: list[str] = field(default_factory=list)  # lines to print
    warnings: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)  # files that are left out
    has_parts: bool = False  # the annotation tells instances apart


def read_all(
    read: Callable[[Path], Result], files: list[Path]
) -> tuple[dict[Path, Result], list[str]]:
    """Read files in threads: what they hold, in their order, and a line for each that is bad.

    Raises:
        UserError: all of them are bad.
    """
    found, problems = common.try_each(read, files, "file")
    if not found:
        raise UserError(problems)
    return dict(found), problems


def read_json(path: Path) -> Any:
    """
    Raises:
        UserError: unreadable, or not JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}; make the file readable") from error
    except ValueError as error:
        raise UserError(f"{path}: not JSON ({error}); export it again") from error


def label_numbers(names: list[str], request: Request) -> tuple[Table, dict[str, int]]:
    """The table of the names in use, and the number of each: as the given table has them, or in
    alphabetical order behind the background.

    Raises:
        UserError: names that the given table does not know.
    """
    given = request.table
    table = names_table(given.names if given else names)
    if given and given.names == table.names:  # with what else it holds
        table = given
    by_name = {name: number for number, name in enumerate(table.names)}
    unknown = [name for name in names if name not in by_name]
    if unknown and not request.ignore_unknown:
        close = difflib.get_close_matches(unknown[0], table.names, 1, 0.0)
        raise UserError(
            f"{request.path}: {', '.join(unknown[:5])} found, but {request.table_file} has no such "
            f"label (most like {unknown[0]}: {', '.join(close)}); add it there, or give "
            "--ignore_unknown to leave such pixels without a label"
        )
    return table, {name: by_name.get(name, IGNORED) for name in names}
