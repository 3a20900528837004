"""The table of a data set's labels: their names, colours and numbers; read, looked up, written."""

from __future__ import annotations

import csv
import json
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pix2pixhd.util.errors import UserError
from pix2pixhd.util.files import replacing

Colour = tuple[int, int, int]

# Of pixels that get no label, until they are written.
IGNORED = -1

BACKGROUND = "background"
# What labelme and its converters call it.
BACKGROUNDS = {BACKGROUND, "_background_"}
# The name that they keep for pixels that nothing is known about.
IGNORE_NAME = "__ignore__"

FORMATS = (
    'expected JSON ({"road": [128, 64, 128], ...} or [{"name": "road", "color": [128, 64, 128]}, '
    "...]), CSV with a header (name,r,g,b), lines like `128 64 128 road`, or one name a line"
)


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
    """Read a table of names, colours and numbers: JSON, CSV or text.

    An entry's number is its `id`, or its place where none has one. Entries of one number are one
    label with several colours. A negative number, and 255 where it is not one of a row, mean
    that nothing is known there.

    Raises:
        UserError: unreadable, of another format, or at odds with itself.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not text"
        raise UserError(f"{path}: cannot be read ({reason}); {FORMATS}") from error
    entries = _json_entries(path, text) if text.lstrip()[:1] in ("{", "[") else _lines(path, text)
    if not entries:
        raise UserError(f"{path}: no entries; {FORMATS}")
    return _in_order(path, entries)


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


@dataclass(frozen=True)
class _Entry:
    label: Label
    number: int | None  # as the file says


def _json_entries(path: Path, text: str) -> list[_Entry]:
    try:
        content = json.loads(text)
    except ValueError as error:
        raise UserError(f"{path}: not JSON ({error}); {FORMATS}") from error
    if isinstance(content, dict):
        content = [{"name": name, "color": colour} for name, colour in content.items()]
    entries = []
    for place, item in enumerate(content):
        item = {"name": item} if isinstance(item, str) else item
        if not isinstance(item, dict) or not isinstance(item.get("name"), str):
            raise UserError(f"{path}: entry {place} has no name; {FORMATS}")
        where = f"{path}: {item['name']}"
        also = item.get("also", [])
        colours = [item.get("color", item.get("colour")), *(also if isinstance(also, list) else [])]
        known = tuple(_colour(where, colour) for colour in colours if colour is not None)
        source = item.get("source")
        label = Label(item["name"], known, None if source is None else _whole(where, source))
        number = item.get("id")
        entries.append(_Entry(label, None if number is None else _whole(where, number)))
    return entries


def _lines(path: Path, text: str) -> list[_Entry]:
    """The entries of CSV with a header, of lines `r g b name`, or of names alone."""
    rows = [row.strip() for row in text.splitlines() if row.strip()]
    camvid = [re.fullmatch(r"(\d+)\s+(\d+)\s+(\d+)\s+(.+)", row) for row in rows]
    if rows and all(camvid):
        parts = [match.groups() for match in camvid if match]
        return [_Entry(Label(name, (_colour(path, rgb),)), None) for *rgb, name in parts]
    header = [name.strip().casefold() for name in re.split("[,;\t]", rows[0])] if rows else []
    if len(header) > 1:
        return _csv_entries(path, rows, header)
    return [_Entry(Label(row), None) for row in rows]


def _csv_entries(path: Path, rows: list[str], header: list[str]) -> list[_Entry]:
    short = {"red": "r", "green": "g", "blue": "b", "label": "name", "class": "name"}
    header = [short.get(name, name) for name in header]
    if not {"name", "r", "g", "b"} <= set(header):
        raise UserError(f"{path}: the header is {rows[0]!r}; {FORMATS}")
    separator = re.search("[,;\t]", rows[0])
    assert separator
    entries = []
    for row in csv.reader(rows[1:], delimiter=separator[0], skipinitialspace=True):
        if len(row) != len(header):
            raise UserError(f"{path}: {','.join(row)!r} has not the header's {len(header)} columns")
        item = dict(zip(header, (field.strip() for field in row), strict=True))
        where = f"{path}: {item['name']}"
        colour = _colour(where, [item[channel] for channel in "rgb"])
        number = _whole(where, item["id"]) if item.get("id") else None
        entries.append(_Entry(Label(item["name"], (colour,)), number))
    return entries


def _in_order(path: Path, entries: list[_Entry]) -> Table:
    """Put the entries where their numbers say."""
    numbers = [entry.number for entry in entries]
    if all(number is None for number in numbers):
        numbers = list(range(len(entries)))
    if None in numbers:
        name = entries[numbers.index(None)].label.name
        raise UserError(f"{path}: {name} has no id, but others have; give all of them one, or none")
    known = [number for number in numbers if number is not None]
    if max(known) > 65534:
        raise UserError(f"{path}: id {max(known)}, expected numbers up to 65534; renumber them")
    nothing = {number for number in known if number < 0}
    if 255 in known and 254 not in known and max(known) == 255:
        nothing.add(255)
    _check_colours(path, [entry.label for entry in entries])
    by_number: dict[int, Label] = {}
    ignored: list[Colour] = []
    for number, entry in zip(known, entries, strict=True):
        first = by_number.get(number)
        if number in nothing:
            ignored += entry.label.colours
        elif first is None:
            by_number[number] = entry.label
        else:
            merged = first.colours + entry.label.colours
            by_number[number] = Label(first.name, merged, first.source)
    if not by_number:
        raise UserError(f"{path}: all ids mean that nothing is known there, expected 0 and up")
    count = max(by_number) + 1
    # Numbers that the file leaves out are labels all the same, of which there are no pixels.
    return Table(tuple(by_number.get(n, Label(str(n))) for n in range(count)), tuple(ignored))


def _check_colours(path: Path, labels: list[Label]) -> None:
    counts = Counter(colour for label in labels for colour in label.colours)
    for colour, count in counts.items():
        if count > 1:
            names = " and ".join(label.name for label in labels if colour in label.colours)
            raise UserError(
                f"{path}: {names} have one colour, {','.join(map(str, colour))}, and cannot be "
                "told apart; keep one of them"
            )


def _colour(where: object, value: Any) -> Colour:
    if isinstance(value, str) and re.fullmatch("#?[0-9a-fA-F]{6}", value):
        value = list(bytes.fromhex(value.removeprefix("#")))
    if not isinstance(value, list | tuple) or len(value) != 3:
        raise UserError(f"{where}: colour {value!r}, expected three numbers from 0 to 255")
    red, green, blue = (_whole(where, channel) for channel in value)
    if not all(0 <= channel <= 255 for channel in (red, green, blue)):
        raise UserError(f"{where}: colour {red},{green},{blue}, expected numbers from 0 to 255")
    return red, green, blue


def _whole(where: object, value: Any) -> int:
    try:
        return int(str(value))
    except ValueError:
        raise UserError(f"{where}: {value!r} found, expected a whole number") from None
