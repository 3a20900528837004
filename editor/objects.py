"""Objects cut from a run's data set, to be added to scenes: a gallery of them by label."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps
from scipy import ndimage
from tqdm import tqdm

from pix2pixhd.editor.regions import bounding_box
from pix2pixhd.editor.scene import THING, Scene
from pix2pixhd.util.files import replacing, stamp
from pix2pixhd.util.image import label_to_image, png_of

FILE = "objects.npz"  # in a run's folder
FORMAT = 1  # of that file
PER_LABEL = 60  # the largest
PER_IMAGE = 3  # of a label, so that one crowded street does not fill the gallery
MOST_IMAGES = 300  # looked at, spread over the data set: each is encoded
SMALLEST = 2000  # objects have at least this fraction of their image's pixels, and at least 16
THUMBNAIL = 96  # pixels of the longer side
NEIGHBOURS = np.ones((3, 3), bool)  # pixels that touch at a corner belong together

Progress = Callable[[int, int], None]
"""Is told how many images of how many are done."""


@dataclass(frozen=True, eq=False)
class CutObject:
    """An object cut from its image."""

    label: int
    mask: np.ndarray  # bool [h, w]
    at: tuple[int, int]  # row and column of the mask's corner in the image
    thumbnail: bytes  # a PNG, transparent around the object
    image: str  # name of the image
    instance: int  # its id there
    vector: np.ndarray | None  # float32 [feat_num]; None where features are not of a photograph
    is_cut_off: bool = False  # by the image's border

    @property
    def area(self) -> int:
        return int(self.mask.sum())


class ObjectGallery:
    """The largest objects of each label that are whole."""

    def __init__(self, objects: Sequence[CutObject] = ()) -> None:
        self._by_label: dict[int, list[CutObject]] = {}
        for found in sorted(objects, key=lambda found: -found.area):
            self._by_label.setdefault(found.label, []).append(found)

    def labels(self) -> list[int]:
        """Those that have objects."""
        return sorted(self._by_label)

    def of(self, label: int) -> list[CutObject]:
        """The objects of a label, the largest first."""
        return self._by_label.get(label, [])


def open_gallery(
    folder: Path,
    sources: Sequence[Path],
    scenes: Sequence[Callable[[], Scene]],
    colours: np.ndarray,
    feat_num: int,
    progress: Progress | None = None,
) -> ObjectGallery:
    """The gallery that `folder` keeps, built anew where its sources are others than they were.

    Args:
        folder: the run's.
        sources: the files that scenes and their vectors are made of.
        scenes: open the data set's images, of which `MOST_IMAGES` are looked at.
        colours: uint8 [n, 3] of the labels, for thumbnails where there is no photograph.
        feat_num: length of vectors; 0: the run has no features.

    Raises:
        UserError: a file of the data set cannot be read, or the gallery not be written.
    """
    rules = [FORMAT, PER_LABEL, PER_IMAGE, MOST_IMAGES, SMALLEST, THUMBNAIL, feat_num]
    text = json.dumps([rules, *map(stamp, sources)])
    key = hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
    if (kept := _read(folder / FILE, key)) is not None:
        return ObjectGallery(kept)
    some = scenes[:: -(-len(scenes) // MOST_IMAGES)]
    chosen: dict[int, list[CutObject]] = {}
    for done, open_scene in enumerate(tqdm(some, "Cutting objects", unit="img", disable=None), 1):
        _take_largest(chosen, open_scene(), colours)
        if progress:
            progress(done, len(some))
    objects = [found for of_label in chosen.values() for found in of_label]
    _write(folder / FILE, key, objects, feat_num)
    return ObjectGallery(objects)


def cut(scene: Scene, instance: int, colours: np.ndarray) -> CutObject:
    """An instance of a scene, whole or not; UserError where it is not there."""
    scene.require_instances(instance)
    mask = scene.inst == instance
    box = bounding_box(mask)
    assert box is not None
    inside = mask[box.top : box.bottom, box.left : box.right]
    return _cut(scene, instance, inside, (box.top, box.left), colours)


def _cut(
    scene: Scene, instance: int, mask: np.ndarray, at: tuple[int, int], colours: np.ndarray
) -> CutObject:
    """The pixels of an instance that a mask holds, bool [h, w], whose corner is at row, column."""
    box = _box(mask, at)
    is_cut_off = min(at) == 0 or box[0].stop == scene.shape[0] or box[1].stop == scene.shape[1]
    label, photo = _label_of(scene, mask, at), scene.image
    pixels = label_to_image(scene.label[box], colours) if photo is None else photo[box]
    whole = Image.fromarray(np.dstack([pixels, mask * np.uint8(255)]))
    small = ImageOps.contain(whole, (THUMBNAIL, THUMBNAIL), Image.Resampling.LANCZOS)
    thumbnail = bytes(png_of(np.asarray(small)))
    vector = scene.vectors.get(label if scene.styled == "label" else instance)
    return CutObject(label, mask, at, thumbnail, scene.name, instance, vector, is_cut_off)


def _box(mask: np.ndarray, at: tuple[int, int]) -> tuple[slice, slice]:
    return slice(at[0], at[0] + mask.shape[0]), slice(at[1], at[1] + mask.shape[1])


def _label_of(scene: Scene, mask: np.ndarray, at: tuple[int, int]) -> int:
    """The most frequent one of an object's pixels."""
    values, counts = np.unique(scene.label[_box(mask, at)][mask], return_counts=True)
    return int(values[counts.argmax()])


def _take_largest(chosen: dict[int, list[CutObject]], scene: Scene, colours: np.ndarray) -> None:
    """Add those of a scene to the ones chosen, label by label, if they are among the largest."""
    least, taken = max(16, scene.label.size // SMALLEST), Counter[int]()
    parts = [(int(mask.sum()), instance, mask, at) for instance, mask, at in _whole_parts(scene)]
    large = [part for part in parts if part[0] >= least]
    for area, instance, mask, at in sorted(large, key=lambda part: -part[0]):
        label = _label_of(scene, mask, at)
        of_label = chosen.setdefault(label, [])
        is_small = len(of_label) == PER_LABEL and area <= of_label[-1].area
        if is_small or label >= len(colours) or taken[label] == PER_IMAGE:
            continue
        taken[label] += 1
        of_label.append(_cut(scene, instance, mask, at, colours))
        of_label.sort(key=lambda other: -other.area)
        del of_label[PER_LABEL:]


def _whole_parts(scene: Scene) -> Iterator[tuple[int, np.ndarray, tuple[int, int]]]:
    """Id, mask and its corner, of what the border does not cut off: an instance where its id tells
    it from others of its label, else each connected part of it."""
    height, width = scene.shape
    ids = np.array(sorted(scene.counts["inst" if scene.has_instances else "label"]))
    index = np.searchsorted(ids, scene.inst).astype(np.int32)
    boxes = ndimage.find_objects(index + 1)
    for place, (instance, box) in enumerate(zip(ids.tolist(), boxes, strict=True)):
        mask = index[box] == place
        is_thing = scene.has_instances and instance >= THING
        parts = mask.astype(np.int32) if is_thing else ndimage.label(mask, NEIGHBOURS)[0]
        for number, (rows, columns) in enumerate(ndimage.find_objects(parts), 1):
            top, left = box[0].start + rows.start, box[1].start + columns.start
            bottom, right = box[0].start + rows.stop, box[1].start + columns.stop
            if min(top, left) > 0 and bottom < height and right < width:
                yield instance, parts[rows, columns] == number, (top, left)


# ---------------------------------------------------------------- the file


def _write(file: Path, key: str, objects: Sequence[CutObject], feat_num: int) -> None:
    """Numbers a row each; masks, as bits, and thumbnails end to end."""
    bits = [np.packbits(found.mask) for found in objects]
    pictures = [np.frombuffer(found.thumbnail, np.uint8) for found in objects]
    none = np.full(feat_num, np.nan, np.float32)
    numbers = [(f.label, f.instance, *f.at, *f.mask.shape) for f in objects]
    arrays: dict[str, Any] = {
        "key": np.array(key),
        "image": np.array([found.image for found in objects], np.str_),
        "numbers": np.array(numbers, np.int64).reshape(-1, 6),
        "vector": np.array([none if f.vector is None else f.vector for f in objects]),
        "lengths": np.array([[len(b), len(p)] for b, p in zip(bits, pictures, strict=True)], int),
        "masks": np.concatenate([np.zeros(0, np.uint8), *bits]),
        "thumbnails": np.concatenate([np.zeros(0, np.uint8), *pictures]),
    }
    with replacing(file) as opened:
        np.savez(opened, **arrays)


def _read(file: Path, key: str) -> list[CutObject] | None:
    """None where there is no such file, or one of other data or weights, or none of ours."""
    try:
        with np.load(file, allow_pickle=False) as archive:
            arrays = dict(archive) if str(archive["key"]) == key else {}
        ends = arrays["lengths"].reshape(-1, 2).cumsum(axis=0)[:-1]
        bits = np.split(arrays["masks"], ends[:, 0])
        pictures = np.split(arrays["thumbnails"], ends[:, 1])
        objects = []
        for row, (label, instance, top, left, height, width) in enumerate(
            arrays["numbers"].tolist()
        ):
            mask = np.unpackbits(bits[row], count=height * width).astype(bool)
            vector = arrays["vector"][row]
            objects.append(
                CutObject(
                    label,
                    mask.reshape(height, width),
                    (top, left),
                    pictures[row].tobytes(),
                    str(arrays["image"][row]),
                    instance,
                    vector if len(vector) and np.isfinite(vector).all() else None,
                )
            )
        return objects
    except Exception:  # names, headers and compressed data come from the file
        return None
