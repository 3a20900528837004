"""What can be done to a scene: each returns a `Change`, which `scene.apply` does.

An instance for new pixels is given as its id, there already (of that label) or not; as "new"; or as
None: that instance of the label which the pixels adjoin most, or else `Scene.usual_instance`.
Scenes without instance maps take no notice of it. A vector is of the instance that the pixels get;
without one, a new instance has none. All raise UserError for a label, instance, pixel or vector out
of range.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from pix2pixhd.editor.checks import ID_LIMITS
from pix2pixhd.editor.history import Change
from pix2pixhd.editor.regions import flood, nearest_outside, surrounding, without_slender
from pix2pixhd.editor.scene import THING, Scene
from pix2pixhd.util.errors import UserError

Instance = int | Literal["new"] | None
What = int | Iterable[int] | np.ndarray
"""An instance's id, several, or a mask, bool [H,W]."""


def set_style(scene: Scene, instances: int | Iterable[int], vector: ArrayLike) -> Change:
    """Give instances, or with vectors of labels theirs, a vector, [feat_num]."""
    ids = scene.require_instances(instances)
    if scene.styled == "label" and scene.has_instances:
        ids = np.unique(scene.label[scene.mask_of(ids)]).tolist()
    return set_styles(scene, dict.fromkeys(ids, vector))


def set_styles(scene: Scene, vectors: Mapping[int, ArrayLike]) -> Change:
    """Set the vectors of several ids at once."""
    there = scene.counts.get(scene.styled, {})
    if absent := [id_ for id_ in vectors if id_ not in there]:
        raise UserError(f"instance {absent[0]}: not in this scene; choose one by a pixel of it")
    checked = {id_: scene.checked_vector(vector) for id_, vector in vectors.items()}
    return scene.change(np.zeros(0, int), {}, checked)


def set_label(
    scene: Scene,
    what: What,
    label: int,
    instance: Instance = None,
    vector: ArrayLike | None = None,
) -> Change:
    """Make something else of instances, each for itself, or of the pixels of a mask."""
    if isinstance(what, np.ndarray) and what.dtype == bool:
        return paint(scene, what, label, instance, vector=vector)
    scene.require_labels(label)
    inst, targets = scene.inst.copy(), set[int]()
    ids = scene.require_instances(what)
    for id_ in ids:
        mask = scene.inst == id_
        target = _instance(scene, mask, label, instance, targets)
        targets.add(target)
        inst[mask] = target
    mask = scene.mask_of(ids)
    pixels = np.flatnonzero(mask)
    _require_own(scene, pixels, label, instance)
    return _painted(scene, pixels, label, inst[mask], vector)


def add_object(
    scene: Scene,
    mask: np.ndarray,
    label: int,
    vector: ArrayLike | None = None,
    behind: Iterable[int] = (),
) -> Change:
    """Add a new instance, in front of all but the instances named in `behind`."""
    seen = scene.mask_of(mask) & ~scene.mask_of(behind)
    if mask.any() and not seen.any():
        raise UserError("object: all of it is behind others; put it elsewhere, or in front")
    return paint(scene, seen, label, "new", vector=vector)


def paint(
    scene: Scene,
    mask: np.ndarray,
    label: int,
    instance: Instance = None,
    only_over: Collection[int] | None = None,
    vector: ArrayLike | None = None,
) -> Change:
    """Give the mask's pixels a label; with `only_over` those alone that have one of its labels."""
    scene.require_labels(label)
    if only_over is not None:
        scene.require_labels(sorted(only_over))
    pixels = np.flatnonzero(mask := scene.mask_of(mask))
    target = _instance(scene, mask, label, instance)
    if only_over is not None:
        pixels = pixels[np.isin(scene.label.reshape(-1)[pixels], list(only_over))]
    _require_own(scene, pixels, label, instance)
    return _painted(scene, pixels, label, target, vector)


def fill(
    scene: Scene,
    at: tuple[int, int],
    label: int,
    instance: Instance = None,
    vector: ArrayLike | None = None,
) -> Change:
    """Paint the connected pixels that have the label and the instance of that at a row, column."""
    scene.require_inside(*at)
    same = (scene.label == scene.label[at]) & (scene.inst == scene.inst[at])
    return paint(scene, flood(same, *at), label, instance, vector=vector)


def move(scene: Scene, what: What, by: tuple[int, int], fill: int | None = None) -> Change:
    """Move instances or the pixels of a mask down and right by so many pixels; see `remove` for
    where they were. What leaves the picture is cut off."""
    mask = scene.mask_of(what)
    height, width = scene.shape
    rows, columns = np.nonzero(mask)
    to_row, to_column = rows + by[0], columns + by[1]
    stays = (to_row >= 0) & (to_row < height) & (to_column >= 0) & (to_column < width)
    to, from_ = to_row[stays] * width + to_column[stays], np.flatnonzero(mask)[stays]
    if len(rows) and not len(to):
        raise UserError(f"move by {list(by)}: out of the picture; leave a part in, or remove it")
    touched, values = _filled(scene, mask, fill)
    pixels = np.union1d(touched, to)
    places, at = np.searchsorted(pixels, touched), np.searchsorted(pixels, to)
    moved = {}
    for name, filled in values.items():
        moved[name] = np.empty(len(pixels), np.int32)
        moved[name][places] = filled
        moved[name][at] = _flat(scene, name)[from_]
    return scene.change(pixels, moved)


def remove(scene: Scene, what: What, fill: int | None = None) -> Change:
    """Take instances or the pixels of a mask away.

    Args:
        fill: the label that is to be there; None: each pixel takes label and instance of the
            nearest around, of stuff if there is any, but not of what is slender there.
    """
    pixels, values = _filled(scene, scene.mask_of(what), fill)
    return scene.change(pixels, values)


def set_pixels(scene: Scene, mask: np.ndarray, colour: ArrayLike) -> Change:
    """Draw on the picture of a run with --label_nc 0, or erase with the colour of its ground.

    Args:
        colour: a value of 0 to 255 for each channel, or one for all.
    """
    channels, values = scene.picture.shape[2], np.asarray(colour)
    fits = values.shape in ((), (channels,)) and values.dtype.kind in "iu"
    if not fits or values.min() < 0 or values.max() > 255:
        raise UserError(
            f"colour {values.tolist()}: expected {channels} whole number{'s' * (channels > 1)} "
            "from 0 to 255; one for each channel"
        )
    return scene.change(scene.mask_of(mask), {"picture": values})


def _painted(
    scene: Scene,
    pixels: np.ndarray,
    label: int,
    inst: int | np.ndarray,
    vector: ArrayLike | None,
) -> Change:
    """Set label and, where there is one, instance; and the vector of what the pixels then are."""
    values = {"label": label, "inst": inst} if scene.has_instances else {"label": label}
    if vector is None:
        return scene.change(pixels, values)
    ids = [label] if scene.styled == "label" else np.unique(inst).tolist()
    return scene.change(pixels, values, dict.fromkeys(ids, scene.checked_vector(vector)))


def _require_own(scene: Scene, pixels: np.ndarray, label: int, instance: Instance) -> None:
    """Raise a UserError where an instance that is there keeps pixels of another label."""
    if not scene.has_instances or instance not in scene.counts["inst"]:
        return
    kept = scene.inst.reshape(-1) == instance
    kept[pixels] = False
    labels, n = np.unique(_flat(scene, "label")[kept], return_counts=True)
    if len(labels) and (own := labels[n.argmax()]) != label:
        raise UserError(
            f"instance {instance}: is of label {own}, not {label}; an object has one label"
        )


def _filled(
    scene: Scene, mask: np.ndarray, label: int | None
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """The mask's pixels, and what the maps are to be there without what is there."""
    pixels = np.flatnonzero(mask)
    names = ["label", "inst"] if scene.has_instances else ["label"]
    if label is not None:
        scene.require_labels(label)
        target = _instance(scene, mask, label, None, among=~mask)
        both = {"label": label, "inst": target}
        return pixels, {name: np.full(len(pixels), both[name], np.int32) for name in names}
    # Things that stand beside it would grow.
    source = nearest_outside(mask, without_slender(mask, scene.inst < THING, scene.inst))
    if source is None:
        raise UserError("fill: nothing is around what covers the whole picture; give a label")
    return pixels, {name: _flat(scene, name)[source] for name in names}


def _instance(
    scene: Scene,
    mask: np.ndarray,
    label: int,
    instance: Instance,
    taken: Collection[int] = (),
    among: np.ndarray | None = None,
) -> int:
    """The id for pixels of a label; see the head of this file."""
    if not scene.has_instances:
        return label
    if instance == "new":
        return scene.new_instance(label, taken)
    if instance is not None:
        if not ID_LIMITS.min <= instance <= ID_LIMITS.max:
            raise UserError(f"instance {instance}: expected a number of 32 bits; choose another")
        return instance
    same = scene.label == label
    found = surrounding(scene.inst, mask, same if among is None else same & among)
    return scene.usual_instance(label, taken) if found is None else found


def _flat(scene: Scene, name: str) -> np.ndarray:
    return (scene.label if name == "label" else scene.inst).reshape(-1)
