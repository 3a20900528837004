"""What kind of annotation lies somewhere."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from label_tools.coco import coco_source, is_coco, is_panoptic, panoptic_source
from label_tools.colours import colour_source
from label_tools.labelme import is_labelme, labelme_source
from label_tools.numbers import number_source
from label_tools.source import Request, Source, read_json
from pix2pixhd.data.opening import opened
from pix2pixhd.data.pairing import IMAGE_EXTENSIONS, first_few, list_images
from pix2pixhd.util.errors import UserError

SOURCES: dict[str, Callable[[Request], Source]] = {
    "colours": colour_source,
    "labels": number_source,
    "labelme": labelme_source,
    "coco": coco_source,
    "coco_panoptic": panoptic_source,
}

# Files looked at to tell a folder's kind.
LOOKED_AT = 5


def find_kind(path: Path) -> str:
    """Which of SOURCES a file or folder is for.

    Raises:
        UserError: nothing there, or nothing known.
    """
    if not path.exists():
        raise UserError(f"{path}: no such file or folder; check --in")
    if path.is_file():
        return _kind_of_json(path)
    jsons = sorted(file for file in path.rglob("*.json") if file.is_file())
    content = read_json(jsons[0]) if jsons else None
    if is_labelme(content):
        return "labelme"
    if is_coco(content):
        names = first_few(map(str, jsons))
        raise UserError(f"{path}: a folder of COCO's files, expected one of them: --in {names}")
    images = list_images(path, "or .json files of labelme or COCO; check --in")
    kinds = {_kind_of_image(file) for file in images[:LOOKED_AT]}
    if len(kinds) > 1:
        raise UserError(
            f"{path}: some files are colour pictures, others have one channel of numbers; give "
            "--from colours or --from labels"
        )
    return kinds.pop()


def _kind_of_json(path: Path) -> str:
    if path.suffix.lower() in IMAGE_EXTENSIONS:
        raise UserError(f"{path}: one picture, expected the folder; give --in {path.parent}")
    content = read_json(path)
    if is_labelme(content):
        return "labelme"
    if is_coco(content):
        return "coco_panoptic" if is_panoptic(content) else "coco"
    raise UserError(
        f"{path}: neither a file of labelme (shapes) nor of COCO (images, annotations and "
        "categories); check --in"
    )


def _kind_of_image(path: Path) -> str:
    with opened(path) as image:
        if len(image.getbands()) == 1:
            return "labels"
        rgb = np.asarray(image.convert("RGB"))
    return "colours" if (rgb != rgb[..., :1]).any() else "labels"
