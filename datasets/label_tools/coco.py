"""COCO's annotations: one JSON file for many pictures, of instances or panoptic."""

from __future__ import annotations

from collections import defaultdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from label_tools.canvas import Canvas, polygon_mask
from label_tools.rle import decode_rle
from label_tools.source import Drawing, Item, Request, Source, label_numbers, read_json
from label_tools.table import BACKGROUND, Label, Table
from pix2pixhd.data.opening import opened
from pix2pixhd.data.pairing import first_few
from pix2pixhd.util.errors import UserError


def is_coco(content: Any) -> bool:
    """A file with pictures and their annotations, as against results of a detector."""
    return isinstance(content, dict) and {"images", "annotations", "categories"} <= content.keys()


def is_panoptic(content: Any) -> bool:
    return is_coco(content) and any("segments_info" in a for a in content["annotations"][:1])


def coco_source(request: Request) -> Source:
    """An instances file: polygons and run lengths.

    Raises:
        UserError: not such a file, or categories that the given table does not know.
    """
    content = _load(request)
    table, numbers = _categories(content, request)
    by_image: dict[Any, list[dict[str, Any]]] = defaultdict(list)
    without = 0
    for annotation in content["annotations"]:
        _check_category(request, annotation.get("category_id"), annotation, numbers)
        if annotation.get("segmentation"):
            by_image[annotation.get("image_id")].append(annotation)
        else:
            without += 1
    if not by_image:
        raise UserError(
            f"{request.path}: no annotation has a segmentation, boxes or keypoints only; expected "
            "polygons or run lengths (instances_*.json)"
        )
    _check_images(request, content, by_image)
    items = [
        Item(
            _file(image, request),
            partial(_draw, request.path, image, by_image[image["id"]], numbers),
        )
        for image in content["images"]
    ]
    empty = sum(not by_image[image["id"]] for image in content["images"])
    report = [
        f"pictures: {len(items):,}, shapes: {sum(map(len, by_image.values())):,}, categories: "
        f"{len(numbers)}; the largest are drawn first, so that small ones stay in sight"
    ]
    report += [f"pictures without a shape, all {BACKGROUND}: {empty}"] if empty else []
    warnings = [f"annotations without a segmentation, left out: {without:,}"] if without else []
    return Source(table, items, report, warnings, has_parts=True)


def panoptic_source(request: Request) -> Source:
    """A panoptic file, with the folder of its PNG files.

    Raises:
        UserError: not such a file, no such folder, or categories that the given table does not
            know.
    """
    content = _load(request)
    folder = _mask_folder(request)
    table, numbers = _categories(content, request)
    things = {c["id"] for c in content["categories"] if c.get("isthing", 1)}
    for annotation in content["annotations"]:
        _check_keys(request, "annotation", annotation, {"image_id", "file_name", "segments_info"})
        for segment in annotation["segments_info"]:
            _check_keys(request, "segment", segment, {"id"})
            _check_category(request, segment.get("category_id"), segment, numbers)
    _check_images(request, content, {a["image_id"] for a in content["annotations"]})
    files = {image["id"]: _file(image, request) for image in content["images"]}
    items = [
        Item(
            files[annotation["image_id"]],
            partial(_draw_panoptic, folder / annotation["file_name"], annotation, numbers, things),
        )
        for annotation in content["annotations"]
    ]
    report = [f"pictures: {len(items):,}, categories: {len(numbers)}, of things: {len(things)}"]
    return Source(table, items, report, has_parts=True)


def _load(request: Request) -> dict[str, Any]:
    content = read_json(request.path)
    if not is_coco(content) or not content["images"] or not content["annotations"]:
        raise UserError(
            f"{request.path}: no images, annotations and categories in it, expected a file of COCO "
            "such as instances_train2017.json"
        )
    return content


def _categories(content: dict[str, Any], request: Request) -> tuple[Table, dict[Any, int]]:
    """The table, and the label of each category id: in the order of their ids, behind the
    background, or as the given table names them."""
    for category in content["categories"]:
        _check_keys(request, "category", category, {"id", "name"})
    categories = sorted(content["categories"], key=lambda category: category["id"])
    if request.table:
        table, by_name = label_numbers([c["name"] for c in categories], request)
        return table, {c["id"]: by_name[c["name"]] for c in categories}
    labels = [Label(BACKGROUND)]
    for category in categories:
        colour = category.get("color")
        colours = (tuple(colour),) if isinstance(colour, list) and len(colour) == 3 else ()
        labels.append(Label(category["name"], colours, category["id"]))
    return Table(tuple(labels)), {c["id"]: n for n, c in enumerate(categories, 1)}


def _check_keys(request: Request, what: str, item: dict[str, Any], keys: set[str]) -> None:
    if missing := keys - item.keys():
        raise UserError(
            f"{request.path}: {what} {item.get('id', '')} has no {', '.join(sorted(missing))}; "
            "export the file again"
        )


def _check_category(request: Request, category: Any, owner: Any, numbers: dict[Any, int]) -> None:
    if category not in numbers:
        raise UserError(
            f"{request.path}: annotation {owner.get('id')} is of category {category}, which is not "
            "among the categories; add it there"
        )


def _check_images(request: Request, content: dict[str, Any], used: Any) -> None:
    """All pictures have what it takes, and no annotation is of another."""
    known = set()
    for image in content["images"]:
        _check_keys(request, "image", image, {"id", "file_name", "width", "height"})
        known.add(image["id"])
    if missing := [identity for identity in used if identity not in known]:
        raise UserError(
            f"{request.path}: annotations of images that are not among the images: "
            f"{first_few(map(str, missing))}; export it again"
        )


def _file(image: dict[str, Any], request: Request) -> Path:
    """The path that the annotations give to a picture, kept from leading elsewhere."""
    parts = Path(str(image["file_name"]).replace("\\", "/")).parts
    file = Path(*(part for part in parts if part not in ("/", "..") and not part.endswith(":")))
    if not file.name:
        raise UserError(
            f"{request.path}: image {image['id']} has the file_name {image['file_name']!r}, "
            "expected the name of a picture; correct it there"
        )
    return file


def _draw(
    path: Path, image: dict[str, Any], shapes: list[dict[str, Any]], numbers: dict[Any, int]
) -> Drawing:
    canvas = Canvas(image["width"], image["height"])
    for shape in sorted(shapes, key=_beneath):
        # A crowd is several objects that nobody told apart.
        number = canvas.shape(numbers[shape["category_id"]], counted=not shape.get("iscrowd"))
        try:
            _draw_shape(canvas, shape["segmentation"], number)
        except (TypeError, ValueError, KeyError) as error:
            raise UserError(
                f"{path}: annotation {shape.get('id')} of {image['file_name']} cannot be drawn "
                f"({error}); mend or remove it"
            ) from error
    return canvas.drawing()


def _beneath(shape: dict[str, Any]) -> tuple[bool, float]:
    """Crowds first, then the largest."""
    box = shape.get("bbox") or (0, 0, 0, 0)
    return not shape.get("iscrowd"), -float(shape.get("area") or box[2] * box[3])


def _draw_shape(canvas: Canvas, segmentation: Any, number: int) -> None:
    if isinstance(segmentation, dict):
        height, width = segmentation["size"]
        if (width, height) != canvas.picture.size:
            raise ValueError(f"run lengths of {width}x{height} pixels")
        canvas.fill(decode_rle(segmentation["counts"], height, width), (0, 0), number)
        return
    for polygon in segmentation:
        corners = np.asarray(polygon, float).reshape(-1, 2)
        if len(corners) < 3:
            raise ValueError(f"a polygon of {len(corners)} points")
        canvas.fill(*polygon_mask(corners, *canvas.picture.size), number)


def _mask_folder(request: Request) -> Path:
    """Where the PNG files lie: named as the JSON file, or as asked for."""
    folder = request.masks or request.path.with_suffix("")
    if not folder.is_dir():
        raise UserError(
            f"{folder}: no such folder, expected the PNG files that belong to {request.path.name}; "
            "name it with --masks FOLDER"
        )
    return folder


def _draw_panoptic(
    path: Path, annotation: dict[str, Any], numbers: dict[Any, int], things: set[Any]
) -> Drawing:
    with opened(path) as image:
        rgb = np.asarray(image.convert("RGB"), np.int32)
    ids, inverse = np.unique(rgb @ np.array([1, 256, 65536], np.int32), return_inverse=True)
    segments = {segment["id"]: segment for segment in annotation["segments_info"]}
    labels, parts = np.zeros(len(ids), np.int32), np.zeros(len(ids), np.int32)
    for place, identity in enumerate(ids.tolist()):
        if identity == 0:
            continue
        if identity not in segments:
            raise UserError(
                f"{path}: segment {identity} is not among the segments of the JSON file; the two "
                "do not belong together, or this is no panoptic PNG"
            )
        segment = segments[identity]
        labels[place] = numbers[segment["category_id"]]
        if segment["category_id"] in things and not segment.get("iscrowd"):
            parts[place] = place + 1
    inverse = inverse.reshape(rgb.shape[:2])
    return Drawing(labels[inverse], parts[inverse])
