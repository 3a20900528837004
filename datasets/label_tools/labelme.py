"""labelme's JSON files, a file a picture, drawn as labelme itself draws them."""

from __future__ import annotations

import base64
import io
import math
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from label_tools.canvas import Canvas
from label_tools.source import (
    Drawing,
    Item,
    Request,
    Source,
    label_numbers,
    read_all,
    read_json,
)
from label_tools.table import BACKGROUNDS, IGNORE_NAME, IGNORED
from pix2pixhd.data.opening import opened
from pix2pixhd.util.errors import UserError

# What its own converters take: pixels of a line's width, and of a point's radius.
LINE_WIDTH = 10
POINT_RADIUS = 5

# Kinds of shapes, with the number of points that each has at least.
POINTS = {
    **{"polygon": 3, "oriented_rectangle": 4, "rectangle": 2, "circle": 2, "line": 2},
    **{"linestrip": 2, "point": 1, "points": 1, "mask": 2},
}


def labelme_source(request: Request) -> Source:
    """The labelme files below a folder, or one.

    Raises:
        UserError: none can be read, or names that the given table does not know.
    """
    folder = request.path if request.path.is_dir() else request.path.parent
    files = sorted(folder.rglob("*.json")) if request.path.is_dir() else [request.path]
    if not files:
        raise UserError(f"{folder}: no .json files, expected labelme's; check --in")
    contents, problems = read_all(_read, files)
    used = {shape["label"] for content in contents.values() for shape in content["shapes"]}
    special = dict.fromkeys(used & BACKGROUNDS, 0) | {IGNORE_NAME: IGNORED}
    table, numbers = label_numbers(sorted(used - special.keys()), request)
    numbers |= special
    items = [
        Item(file.relative_to(folder), partial(_draw, file, content, numbers))
        for file, content in contents.items()
    ]
    labels = ", ".join(f"{number} {name}" for number, name in enumerate(table.names))
    report = [f"files: {len(contents):,}; later shapes cover earlier ones; labels: {labels}"]
    return Source(table, items, report, problems=problems, has_parts=True)


def is_labelme(content: Any) -> bool:
    return isinstance(content, dict) and isinstance(content.get("shapes"), list)


def _read(path: Path) -> dict[str, Any]:
    """A file's shapes and its picture's size, without the picture that it may hold."""
    content = read_json(path)
    if not is_labelme(content):
        raise UserError(f"{path}: no shapes in it, expected a file of labelme; move it elsewhere")
    for place, shape in enumerate(content["shapes"]):
        _check(f"{path}: shape {place}", shape)
    width, height = _size(path, content)
    return {"shapes": content["shapes"], "width": width, "height": height}


def _check(where: str, shape: Any) -> None:
    if not isinstance(shape, dict) or not isinstance(shape.get("label"), str):
        raise UserError(f"{where} has no label; open the file in labelme and mend it")
    where += f" ({shape['label']})"
    kind = shape.get("shape_type") or "polygon"
    if kind not in POINTS:
        raise UserError(f"{where} is a {kind!r}, expected one of {', '.join(POINTS)}; remove it")
    try:
        points = np.asarray(shape.get("points"), float).reshape(-1, 2)
    except (TypeError, ValueError):
        points = np.zeros((0, 2))
    if len(points) < POINTS[kind] or not np.isfinite(points).all():
        raise UserError(
            f"{where} is a {kind} of {len(points)} points, expected {POINTS[kind]} or more; remove "
            "or mend it in labelme"
        )


def _size(path: Path, content: dict[str, Any]) -> tuple[int, int]:
    """Width and height; where old files do not tell, those of the picture."""
    size = content.get("imageWidth"), content.get("imageHeight")
    if all(isinstance(side, int) and side > 0 for side in size):
        return size  # type: ignore[return-value]
    picture = path.parent / str(content.get("imagePath") or "").replace("\\", "/")
    if content.get("imageData"):
        try:
            with Image.open(io.BytesIO(base64.b64decode(content["imageData"]))) as image:
                return image.size
        except (OSError, ValueError, TypeError) as error:
            raise UserError(f"{path}: imageData is no picture ({error}); save it anew") from error
    if picture.is_file():
        with opened(picture) as image:
            return image.size
    raise UserError(
        f"{path}: no imageWidth and imageHeight, and no picture {picture} that would tell; put the "
        "picture there"
    )


def _draw(path: Path, content: dict[str, Any], numbers: dict[str, int]) -> Drawing:
    canvas = Canvas(content["width"], content["height"])
    for shape in content["shapes"]:
        number = canvas.shape(numbers[shape["label"]], shape.get("group_id"))
        try:
            _draw_shape(canvas, shape, number)
        except (OSError, ValueError) as error:
            raise UserError(f"{path}: {shape['label']} cannot be drawn ({error})") from error
    return canvas.drawing()


def _draw_shape(canvas: Canvas, shape: dict[str, Any], number: int) -> None:
    points = [(float(x), float(y)) for x, y in shape["points"]]
    (x, y), (x1, y1) = points[0], points[-1]
    match shape.get("shape_type") or "polygon":
        case "rectangle":
            box = (min(x, x1), min(y, y1), max(x, x1), max(y, y1))
            canvas.draw.rectangle(box, fill=number, outline=number)
        case "circle":
            _disc(canvas, x, y, math.hypot(x - x1, y - y1), number)
        case "line" | "linestrip":
            canvas.draw.line(points, fill=number, width=LINE_WIDTH)
        case "point" | "points":
            for x, y in points:
                _disc(canvas, x, y, POINT_RADIUS, number)
        case "mask":
            with Image.open(io.BytesIO(base64.b64decode(shape.get("mask") or ""))) as image:
                canvas.fill(np.asarray(image).astype(bool), (int(x), int(y)), number)
        case _:
            canvas.draw.polygon(points, fill=number, outline=number)


def _disc(canvas: Canvas, x: float, y: float, radius: float, number: int) -> None:
    box = (x - radius, y - radius, x + radius, y + radius)
    canvas.draw.ellipse(box, fill=number, outline=number)
