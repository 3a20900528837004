"""Files of labels' names, colours and numbers, in the forms that docs/data.md has."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path
from typing import Any, NamedTuple

from pix2pixhd.util.errors import UserError

Colour = tuple[int, int, int]

FORMATS = (
    'JSON such as ["road", ...], {"road": [128, 64, 128], ...} or [{"name": "road"}, ...], CSV '
    "with a header name,r,g,b, lines like `128 64 128 road`, or one name a line"
)
COLUMNS = {"red": "r", "green": "g", "blue": "b", "label": "name", "class": "name"}


class Entry(NamedTuple):
    """A label as the file has it."""

    name: str
    colours: tuple[Colour, ...]  # the first is the one to draw it in
    number: int  # its id, or its place where none has one
    source: int | None  # its number where it comes from


def read_entries(path: Path, flag: str) -> list[Entry]:
    """The entries of a file that was given by `flag`, in its order.

    Raises:
        UserError: unreadable, of another format, without entries, or some without the id that
            others have.
    """
    where = f"{flag} {path}"
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no text"
        raise UserError(f"{where}: cannot be read ({reason}); check the path") from None
    items = _of_json(where, text) if text.lstrip()[:1] in ("[", "{") else _of_lines(where, text)
    if not items:
        raise UserError(f"{where}: no entries, expected {FORMATS}")
    with_id = any(isinstance(item, dict) and _number(item.get("id")) is not None for item in items)
    return [
        _entry(f"{where}: entry {place}", item, None if with_id else place)
        for place, item in enumerate(items)
    ]


def _of_json(where: str, text: str) -> list[Any]:
    try:
        # Pairs, as a dictionary would lose all but the last of two labels of one name.
        content = json.loads(text, object_pairs_hook=tuple)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{where}: not sound JSON ({error}); correct it there") from None
    if isinstance(content, tuple):
        return [{"name": name, "color": colour} for name, colour in content]
    return [dict(item) if isinstance(item, tuple) else item for item in content]


def _of_lines(where: str, text: str) -> list[Any]:
    """The items of CSV with a header, of lines `r g b name`, or of names alone."""
    lines = [line for line in text.splitlines() if line.strip()]
    if not lines:
        return []
    if re.match(r"\s*\d+\s+\d+\s+\d+\s+\S", lines[0]):
        columns = ["r", "g", "b", "name"]
        rows = iter([line.strip().split(maxsplit=3) for line in lines])
    else:
        separator = next((mark for mark in ";\t" if mark in lines[0]), ",")
        rows = csv.reader(lines, delimiter=separator, skipinitialspace=True)
        columns = [name.strip().casefold() for name in next(rows)]
        if len(columns) == 1 and columns[0] != "name":
            return [line.strip() for line in lines]
    columns = [short if (short := COLUMNS.get(c, c)) not in columns else c for c in columns]
    if "name" not in columns or 0 < len({"r", "g", "b"} & set(columns)) < 3:
        raise UserError(f"{where}: begins with {_short(lines[0])}, expected {FORMATS}")
    items = []
    for place, row in enumerate(rows):
        if len(row) != len(columns):
            raise UserError(
                f"{where}: entry {place} has {len(row)} columns, expected {len(columns)} "
                f"({','.join(columns)}); a name that holds a comma goes between quotation marks"
            )
        cells = dict(zip(columns, (cell.strip() for cell in row), strict=True))
        rgb = [cells.get(channel) for channel in "rgb"]
        colour = rgb if any(rgb) else None
        items.append({"name": cells["name"], "color": colour, "id": cells.get("id")})
    return items


def _entry(where: str, item: Any, place: int | None) -> Entry:
    """`place`: the number of an entry without an id; None: it needs one."""
    item = {"name": item} if isinstance(item, str) else item
    if not isinstance(item, dict):
        raise UserError(f"{where} is {_short(item)}, expected a name; {FORMATS}")
    name = item.get("name")
    if not isinstance(name, str):
        raise UserError(f"{where} has no name; {FORMATS}")
    where += f" ({name})"
    also = item.get("also")
    colours = [item.get("color", item.get("colour")), *(also if isinstance(also, list) else [])]
    known = tuple(_colour(where, colour) for colour in colours if colour is not None)
    number, source = _number(item.get("id")), _number(item.get("source"))
    number = place if number is None else number
    if number is None:
        raise UserError(f"{where} has no id, but others have; give each an id, or none")
    if type(number) is not int:
        raise UserError(f"{where}: id {_short(number)}, expected a whole number")
    return Entry(name, known, number, source if type(source) is int else None)


def _colour(where: str, value: Any) -> Colour:
    if isinstance(value, str) and (parts := re.fullmatch(r"#?([0-9a-fA-F]{6})", value)):
        return tuple(bytes.fromhex(parts[1]))  # type: ignore[return-value]
    rgb = [_number(part) for part in value] if isinstance(value, list) else value
    is_list = isinstance(rgb, list) and len(rgb) == 3
    if not is_list or not all(type(part) is int and 0 <= part <= 255 for part in rgb):
        raise UserError(
            f"{where}: colour {_short(rgb)}, expected red, green and blue from 0 to 255"
        )
    return tuple(rgb)


def _number(value: Any) -> Any:
    """The number that a cell holds; None if it is empty, the value itself if it is no number."""
    if isinstance(value, str) and re.fullmatch(r"-?\d{1,18}", value):
        return int(value)
    return None if value == "" else value


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 40 else f"{text[:40]}..."
