"""Files of label names and colours (--label_names): JSON or CSV, see docs/data.md."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path
from typing import Any, NamedTuple

from pix2pixhd.util.errors import UserError

Colour = tuple[int, int, int]

JSON_FORMATS = '["road", ...], {"road": [128, 64, 128], ...} or [{"name": "road"}, ...]'
FORMATS = f"JSON such as {JSON_FORMATS}, or CSV with a header name,r,g,b"


class Entry(NamedTuple):
    """A label as the file has it."""

    name: str
    colour: Colour | None = None
    number: int | None = None  # else its place


def read_label_file(path: Path, count: int) -> list[Entry]:
    """The labels 0 to `count` - 1, in this order.

    Entries of a negative id, and of 255 where that is no label, stand for "nothing known here" and
    are left out.

    Raises:
        UserError: the file cannot be read, or does not name each of the labels once.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no text"
        raise UserError(f"{_said(path)}: cannot be read ({reason}); check the path") from None
    entries = _of_json(path, text) if text.lstrip()[:1] in ("[", "{") else _of_csv(path, text)
    return _in_order(path, entries, count)


def _of_json(path: Path, text: str) -> list[Entry]:
    try:
        # Pairs, as a dictionary would lose all but the last of two labels of one name.
        content = json.loads(text, object_pairs_hook=list)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{_said(path)}: not sound JSON ({error}); correct it there") from None
    if text.lstrip().startswith("{"):
        content = [[("name", name), ("color", colour)] for name, colour in content]
    entries = []
    for place, item in enumerate(content):
        where = f"{_said(path)}: entry {place}"
        pairs = [("name", item)] if isinstance(item, str) else item
        if not isinstance(pairs, list) or not all(isinstance(pair, tuple) for pair in pairs):
            raise UserError(f"{where} is {_short(item)}, expected a name; {FORMATS}")
        found = dict(pairs)
        if not isinstance(found.get("name"), str):
            raise UserError(f"{where} has no name; {FORMATS}")
        where += f" ({found['name']})"
        colour = found.get("color", found.get("colour"))
        entries.append(Entry(found["name"], _colour(where, colour), _id(where, found.get("id"))))
    return entries


def _of_csv(path: Path, text: str) -> list[Entry]:
    lines = [line for line in text.splitlines() if line.strip()]
    header = lines[0] if lines else ""
    separator = next((mark for mark in ";\t" if mark in header), ",")
    rows = csv.reader(lines, delimiter=separator, skipinitialspace=True)
    short = {"red": "r", "green": "g", "blue": "b"}
    columns = [name.strip().casefold() for name in next(rows, [])]
    columns = [short.get(name, name) for name in columns]
    if "name" not in columns or 0 < len({"r", "g", "b"} & set(columns)) < 3:
        raise UserError(f"{_said(path)}: begins with {_short(header)}, expected {FORMATS}")
    entries = []
    for place, row in enumerate(rows):
        where = f"{_said(path)}: entry {place}"
        if len(row) != len(columns):
            raise UserError(
                f"{where} has {len(row)} columns, expected {len(columns)} as the header has; "
                "a name that holds a comma goes between quotation marks"
            )
        cells: dict[str, Any] = dict(zip(columns, (cell.strip() for cell in row), strict=True))
        where += f" ({cells['name']})"
        rgb = [_number(cells.get(channel)) for channel in "rgb"]
        colour = _colour(where, rgb if any(part is not None for part in rgb) else None)
        entries.append(Entry(cells["name"], colour, _id(where, _number(cells.get("id")))))
    return entries


def _in_order(path: Path, entries: list[Entry], count: int) -> list[Entry]:
    numbers = [entry.number for entry in entries]
    if set(numbers) == {None}:
        numbers = list(range(len(entries)))
    by_number: dict[int, Entry] = {}
    for place, (entry, number) in enumerate(zip(entries, numbers, strict=True)):
        where = f"{_said(path)}: entry {place} ({entry.name})"
        if number is None:
            raise UserError(f"{where} has no id, but others have; give each an id, or none")
        if number in by_number:
            other = by_number[number].name
            raise UserError(f"{where} has id {number}, as {other} has; ids must differ")
        if number >= 0 and (number != 255 or count > 255):
            by_number[number] = entry
    if by_number.keys() == set(range(count)):
        return [by_number[number] for number in range(count)]
    missing = next((n for n in range(count) if n not in by_number), None)
    found = f"{len(by_number)} label" + "s" * (len(by_number) != 1)
    detail = f", none with id {missing}" if missing is not None and len(by_number) >= count else ""
    raise UserError(
        f"{_said(path)}: names {found}{detail}, expected labels 0 to {count - 1} "
        f"(--label_nc {count}); add or remove names, or give --label_nc as the data have it"
    )


def _colour(where: str, value: Any) -> Colour | None:
    if value is None:
        return None
    if isinstance(value, str) and (parts := re.fullmatch(r"#?([0-9a-fA-F]{6})", value)):
        return tuple(bytes.fromhex(parts[1]))  # type: ignore[return-value]
    is_list = isinstance(value, list) and len(value) == 3
    if not is_list or not all(type(part) is int and 0 <= part <= 255 for part in value):
        raise UserError(
            f"{where}: colour {_short(value)}, expected red, green and blue from 0 to 255"
        )
    return tuple(value)


def _id(where: str, value: Any) -> int | None:
    if value is not None and type(value) is not int:
        raise UserError(f"{where}: id {_short(value)}, expected a whole number")
    return value


def _number(cell: str | None) -> int | str | None:
    """The number that a cell holds; None if it is empty, the cell itself if it is no number."""
    return int(cell) if cell and re.fullmatch(r"-?\d{1,9}", cell) else cell or None


def _said(path: Path) -> str:
    return f"--label_names {path}"


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 40 else f"{text[:40]}..."
