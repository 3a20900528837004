"""What the programs in datasets/ share: complaints in one line, and files that are whole or absent.

Importing it makes `pix2pixhd` known to a program that is run as `python datasets/PROGRAM.py`.

A program refuses what it can know beforehand before it writes anything; a file that only turns out
to be damaged on the way is reported at the end, with exit code 2, and all others are done.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import uuid
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NoReturn, TypeVar

sys.path.insert(1, str(Path(__file__).resolve().parents[1]))

from pix2pixhd.engine.program import run_program
from pix2pixhd.util.errors import UserError
from pix2pixhd.util.files import replacing, writing

Item = TypeVar("Item")
Result = TypeVar("Result")

SHOWN = 20  # lines about damaged files


class Parser(argparse.ArgumentParser):
    """A parser that takes its help from the program's docstring and complains in one line."""

    def __init__(self, **settings: Any) -> None:
        settings.setdefault("formatter_class", argparse.RawDescriptionHelpFormatter)
        super().__init__(allow_abbrev=False, **settings)

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"error: {message}; see python datasets/{self.prog} --help\n")


def run(main: Callable[[], None]) -> NoReturn:
    """Run a program and exit: with 2 and `error:` lines over a UserError, with 130 over Ctrl-C."""
    run_program(main)
    sys.exit(0)


def try_each(
    work: Callable[[Item], Result], items: Sequence[Item], unit: str
) -> tuple[list[tuple[Item, Result]], list[str]]:
    """The items that the work could be done for, with its results, and lines about the others; in
    threads and with a bar on a terminal."""
    from pix2pixhd.util.threads import in_threads

    problems: list[str] = []

    def attempt(item: Item) -> list[tuple[Item, Result]]:
        try:
            return [(item, work(item))]
        except UserError as error:
            problems.extend(error.problems)
            return []

    done = [result for one in in_threads(attempt, items, unit=unit) for result in one]
    more = [f"... and {len(problems) - SHOWN} more"] if len(problems) > SHOWN else []
    return done, sorted(problems)[:SHOWN] + more


def for_each(work: Callable[[Item], Result], items: Sequence[Item], unit: str) -> list[Result]:
    """The work's results for all items.

    Raises:
        UserError: those of the items that could not be done, at the end.
    """
    done, problems = try_each(work, items, unit)
    if problems:
        raise UserError(problems)
    return [result for _, result in done]


def refuse_existing(targets: Iterable[Path], overwrite: bool) -> None:
    """
    Raises:
        UserError: files are where others are to be written, and nobody said to replace them.
    """
    there = [] if overwrite else [target for target in targets if os.path.lexists(target)]
    if there:
        count = f", and {len(there) - 1} more of the files to write" if len(there) > 1 else ""
        raise UserError(f"{there[0]}: is there already{count}; give --overwrite or another --out")


def refuse_equal_names(targets: Iterable[tuple[Path, Path]]) -> None:
    """
    Args:
        targets: files, and what is made of each.

    Raises:
        UserError: two files would be made into one, as they differ in nothing but their endings.
    """
    first: dict[Path, Path] = {}
    for source, target in targets:
        if first.setdefault(target, source) is not source:
            raise UserError(
                f"{source}: {target} is made of {first[target].name} already; rename one of them"
            )


def refuse_inside(source: Path, *folders: Path, or_same: bool = False) -> None:
    """
    Raises:
        UserError: what is written would be read by the next call.
    """
    for folder in folders:
        at = folder.resolve()
        if source.resolve() in at.parents or (or_same and source.resolve() == at):
            raise UserError(f"{folder}: lies in {source}, which is read; give another --out")


def phase(text: str) -> str:
    """A phase, as a flag gives it: the first part of folders' names, and no path."""
    if not text or text.startswith(".") or "/" in text:
        raise argparse.ArgumentTypeError(f"{text!r} is no part of a folder's name, such as train")
    return text


def whole_number(low: int, high: int, text: str) -> int:
    """A flag's value, if it is a whole number from `low` to `high`.

    Raises:
        ArgumentTypeError: it is none.
    """
    try:
        number = int(text)
    except ValueError:
        number = low - 1
    if not low <= number <= high:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from {low} to {high}")
    return number


def save_png(image: Any, path: Path) -> None:
    """Write a PIL image as PNG, atomically, folders included.

    Raises:
        UserError: the file cannot be written.
    """
    with replacing(path) as file:
        image.save(file, "PNG")


def link(source: Path, target: Path, out: Path) -> None:
    """Make `target`, below the folder `out`, a link to the file `source`, atomically, in place of
    what there is.

    The link is relative where the source lies in or beside `out`, as both may then be moved
    together, and absolute elsewhere, so that `out` may be moved alone.

    Raises:
        UserError: the link cannot be made.
    """
    to = source.resolve()
    with writing(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        if to.is_relative_to(out.resolve().parent):
            to = Path(os.path.relpath(to, target.parent.resolve()))
        temporary = target.with_name(f".{uuid.uuid4().hex}.tmp")
        temporary.symlink_to(to)
        temporary.replace(target)


def copy(source: Path, target: Path) -> None:
    """Copy a file and its time of change atomically, in place of what there is.

    Raises:
        UserError: the file cannot be read or written.
    """
    try:
        with source.open("rb") as file, replacing(target) as copied:
            shutil.copyfileobj(file, copied)
            copied.flush()
            status = os.fstat(file.fileno())
            os.utime(copied.fileno(), ns=(status.st_atime_ns, status.st_mtime_ns))
    except OSError as error:
        reason = error.strerror or error
        raise UserError(f"{source}: cannot be read ({reason}); make the file readable") from error
