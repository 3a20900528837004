"""The table of a data set's labels: their names, colours and numbers; read, looked up, written."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from pix2pixhd.util.errors import UserError
from pix2pixhd.util.files import replacing
from pix2pixhd.util.label_file import Colour, Entry, read_entries

# Of pixels that get no label, until they are written.
IGNORED = -1

BACKGROUND = "background"
# What labelme and its converters call it.
BACKGROUNDS = {BACKGROUND, "_background_"}
# The name that they keep for pixels that nothing is known about.
IGNORE_NAME = "__ignore__"


@dataclass(frozen=True)
class Label:
    """One label; its number is its place in the table."""

    name: str
    colours: tuple[Colour, ...] = ()  # all that stand for it; the first is the one to draw it in
    source: int | None = None  # its number where it comes from


@dataclass(frozen=True)
class Table:
    """The labels 0 to n - 1, and the colours that stand for "nothing known here"."""

    labels: tuple[Label, ...]
    ignored: tuple[Colour, ...] = ()

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def names(self) -> list[str]:
        return [label.name for label in self.labels]

    @property
    def ignore_value(self) -> int:
        """What pixels without a label are written as."""
        return 255 if len(self) <= 255 else 65535

    def colours(self) -> tuple[np.ndarray, np.ndarray]:
        """All colours, uint8 [n,3], and the label of each, int32 [n] (see IGNORED)."""
        pairs = [(c, number) for number, label in enumerate(self.labels) for c in label.colours]
        pairs += [(colour, IGNORED) for colour in self.ignored]
        return (
            np.array([colour for colour, _ in pairs], np.uint8).reshape(-1, 3),
            np.array([number for _, number in pairs], np.int32),
        )

    def number(self, name: str, flag: str) -> int:
        """The label that `name`, or a number, stands for.

        Raises:
            UserError: there is none, or several of this name.
        """
        found = [n for n, known in enumerate(self.names) if known.casefold() == name.casefold()]
        if not found and name.isdecimal() and int(name) < len(self):
            found = [int(name)]
        if len(found) != 1:
            what = "several labels are called so; give the number" if found else "no such label"
            known = ", ".join(f"{n} {label}" for n, label in enumerate(self.names[:40]))
            raise UserError(f"{flag} {name}: {what}; there are {known}")
        return found[0]


def names_table(names: list[str]) -> Table:
    """A table of names, of which the first is the background, put there where it is missing."""
    names = [name for name in names if name != IGNORE_NAME]
    if not names or names[0].casefold() not in BACKGROUNDS:
        names = [BACKGROUND, *names]
    return Table(tuple(Label(name) for name in names))


def read_table(path: Path) -> Table:
    """Read a table of names, colours and numbers, in any form of util/label_file.py.

    Entries of one number are one label with several colours. A negative number, and 255 where it
    is not one of a row, mean that nothing is known there.

    Raises:
        UserError: unreadable, of another format, or at odds with itself.
    """
    entries = read_entries(path, "--colours")
    where = f"--colours {path}"
    _check_colours(where, entries)
    numbers = {entry.number for entry in entries}
    if max(numbers) > 65534:
        raise UserError(f"{where}: id {max(numbers)}, expected numbers up to 65534; renumber them")
    alone = 255 if max(numbers) == 255 and 254 not in numbers else None
    labels: dict[int, Label] = {}
    ignored: list[Colour] = []
    for entry in entries:
        if entry.number < 0 or entry.number == alone:
            ignored += entry.colours
        else:
            label = labels.get(entry.number, Label(entry.name, (), entry.source))
            labels[entry.number] = replace(label, colours=label.colours + entry.colours)
    if not labels:
        raise UserError(f"{where}: all ids mean that nothing is known there, expected 0 and up")
    # Numbers that the file leaves out are labels all the same, of which there are no pixels.
    in_order = (labels.get(n, Label(str(n))) for n in range(max(labels) + 1))
    return Table(tuple(in_order), tuple(ignored))


def _check_colours(where: str, entries: list[Entry]) -> None:
    names: dict[Colour, str] = {}
    for colour, name in ((colour, entry.name) for entry in entries for colour in entry.colours):
        if colour in names:
            raise UserError(
                f"{where}: {names[colour]} and {name} have one colour, "
                f"{','.join(map(str, colour))}, and cannot be told apart; keep one of them"
            )
        names[colour] = name


def write_table(path: Path, table: Table) -> None:
    """Write the table as JSON, an entry a line, to be read by `read_table` and --label_names."""
    lines: list[dict[str, Any]] = []
    for number, label in enumerate(table.labels):
        entry: dict[str, Any] = {"id": number, "name": label.name}
        if label.colours:
            entry["color"] = label.colours[0]
        if label.colours[1:]:
            entry["also"] = label.colours[1:]
        if label.source is not None:
            entry["source"] = label.source
        lines.append(entry)
    lines += [{"id": -1, "name": "no label", "color": colour} for colour in table.ignored]
    text = ",\n".join("  " + json.dumps(entry, ensure_ascii=False) for entry in lines)
    with replacing(path) as file:
        file.write(f"[\n{text}\n]\n".encode())


def hexadecimal(colour: Colour) -> str:
    return "#{:02x}{:02x}{:02x}".format(*colour)
