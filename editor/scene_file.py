"""Scenes in files: one to go on with elsewhere, and those that other programs read.

A scene's file is an .npz without pickles. It holds the maps and vectors at the start, and what each
change of the history sets; where the scene stands, and what undo brings back, come of doing the
changes again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from pix2pixhd.data.feature_maps import write_feature_map
from pix2pixhd.editor.scene import Scene
from pix2pixhd.util.errors import UserError
from pix2pixhd.util.files import replacing
from pix2pixhd.util.image import png_of, save_image, save_values

VERSION = 1
SETTINGS: dict[str, tuple[type, ...]] = {  # arguments of a scene that are no arrays -> their types
    "label_nc": (int,),
    "feat_num": (int,),
    "by_label": (bool,),
    "ignored": (int, type(None)),
    "name": (str,),
    "run": (str,),
}
MAPS = {"label": (np.int32, 2), "inst": (np.int32, 2), "picture": (np.uint8, 3)}  # dtype, axes
LIMIT = 2**32
MEMBERS = 32  # more arrays than any scene has
# Arrays that become objects, and about how many bytes an object takes, however little it says.
LISTS, EACH = ("head", "steps", "change_pixels", "start_ids", "set_ids"), 2**10


class Damaged(Exception):
    """What is wrong with a file, told in this file's own words."""


def save_scene(scene: Scene, path: Path) -> None:
    """Write a scene with its history, atomically.

    Raises:
        UserError: the file cannot be written; an earlier one is as it was.
    """
    history = scene.history
    steps = [*history.done, *reversed(history.undone)]
    changes = [change for step in steps for change in step]
    head = {"version": VERSION, "undone": len(history.undone)}
    head |= {name: getattr(scene, name) for name in SETTINGS}
    arrays: dict[str, Any] = {
        "head": np.frombuffer(json.dumps(head).encode(), np.uint8),
        "steps": np.array([len(step) for step in steps], np.int32),
        "change_pixels": np.array([len(change.pixels) for change in changes], np.int32),
        "change_vectors": np.array([len(change.vectors_after) for change in changes], np.int32),
        "pixels": _joined(np.zeros(0, np.int32), [change.pixels for change in changes]),
    }
    for name, map_ in scene.start.items():
        nothing = map_.reshape(-1, *map_.shape[2:])[:0]
        arrays[f"start_{name}"] = map_
        arrays[f"set_{name}"] = _joined(nothing, [change.after[name] for change in changes])
    arrays |= _packed("start", list(scene.start_vectors.items()), scene.feat_num)
    set_ = [vector for change in changes for vector in change.vectors_after.items()]
    arrays |= _packed("set", set_, scene.feat_num)
    if scene.image is not None:
        arrays["image"] = scene.image
    with replacing(path, durable=True) as file:
        np.savez_compressed(file, **arrays)


def load_scene(path: Path, limit: int = LIMIT) -> Scene:
    """Read a scene with its history.

    Args:
        limit: bytes that the arrays may have in memory; for files of strangers.

    Raises:
        UserError: there is no such file, or it is damaged, too large or of another kind.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            members = archive.zip.infolist()
            size = sum(member.file_size for member in members)
            if size > limit or len(members) > MEMBERS:
                raise UserError(f"{size} bytes of arrays, expected at most {limit}; it is no scene")
            arrays = dict(archive)
        _require_few(arrays, limit)
        return _scene_of(arrays)
    except UserError as error:
        raise UserError(f"{path}: {error}") from error
    except FileNotFoundError:
        raise UserError(f"{path}: there is no such file; check the path") from None
    # All in it may be others' work, so anything can go wrong here.
    except Exception as error:
        reason = f" ({error})" if isinstance(error, Damaged) else ""
        raise UserError(
            f"{path}: not a scene{reason}; take an intact copy of a file that the editor saved"
        ) from error


def export(
    scene: Scene,
    folder: Path,
    *,
    before: np.ndarray | None = None,
    after: np.ndarray | None = None,
    features: np.ndarray | None = None,
) -> list[Path]:
    """Write maps as a data set has them, to train on and to render.

    label.png and inst.png have 8 or 16 bits, and are label.tif and inst.tif of 32 bits where ids
    do not fit; a picture of more than 4 channels is label.npy. features.npz is a feature map,
    image.png the image, before_after.png both images side by side.

    Args:
        before, after: images rendered of the scene at its start and now, uint8 [H,W,3].
        features: float [H,W,feat_num], as rendered; None: those of `Scene.features`.

    Returns:
        The files.

    Raises:
        UserError: one cannot be written.
    """
    files = []
    if scene.label_nc:
        files.append(_save_ids(scene.label, folder, "label"))
    else:
        planes = scene.picture.transpose(2, 0, 1)
        files.append(folder / ("label.png" if len(planes) <= 4 else "label.npy"))
        save_values(planes, files[-1])
    if scene.has_instances:
        files.append(_save_ids(scene.inst, folder, "inst"))
    if scene.feat_num:
        maps = scene.features() if features is None else features
        files.append(folder / "features.npz")
        write_feature_map(files[-1], maps.transpose(2, 0, 1))
    if after is not None:
        pictures = {"image": [after], "before_after": [after if before is None else before, after]}
        for name, shown in pictures.items():
            files.append(folder / f"{name}.png")
            save_image(np.concatenate(shown, axis=1), files[-1])
    return files


def _require_few(arrays: Mapping[str, np.ndarray], limit: int) -> None:
    """Raises UserError where a small file would become many objects."""
    size = {name: np.size(arrays.get(name, ())) for name in (*LISTS, "pixels")}
    if (count := sum(size[name] for name in LISTS)) * EACH > limit:
        few = f"at most {limit // EACH} are read; begin anew with its label map"
        raise UserError(f"{count} steps, changes and vectors, {few}")
    changes = size["change_pixels"]
    if size["steps"] > changes or changes > size["pixels"] + size["set_ids"]:
        raise Damaged("steps that change nothing")


def _scene_of(arrays: Mapping[str, np.ndarray]) -> Scene:
    """The scene that a file's arrays describe; raises anything where they describe none."""
    head = json.loads(_array(arrays, "head", np.uint8, 1).tobytes())
    if head["version"] != VERSION:
        raise UserError(f"a scene of version {head['version']}, expected {VERSION}; update")
    settings: dict[str, Any] = {name: head[name] for name in SETTINGS}
    for name, types in {**SETTINGS, "undone": (int,)}.items():
        if type(head[name]) not in types:
            raise Damaged(f"{name} is {head[name]!r:.100}")
    kinds = {name: kind for name, kind in MAPS.items() if f"start_{name}" in arrays}
    maps: dict[str, Any] = {
        name: _array(arrays, f"start_{name}", *kind) for name, kind in kinds.items()
    }
    image = _array(arrays, "image", np.uint8, 3) if "image" in arrays else None
    feat_num = head["feat_num"]
    vectors = {id_: v for id_, v in _unpacked(arrays, "start", feat_num) if v is not None}
    scene = Scene(**maps, vectors=vectors, image=image, **settings)
    counts = _array(arrays, "change_pixels", np.int32, 1)
    pixels = _split(_array(arrays, "pixels", np.int32, 1), counts)
    values = {
        name: _split(_array(arrays, f"set_{name}", dtype, axes - 1), counts)
        for name, (dtype, axes) in kinds.items()
    }
    given = iter(_unpacked(arrays, "set", feat_num))
    vector_counts = _array(arrays, "change_vectors", np.int32, 1)
    steps = _array(arrays, "steps", np.int32, 1)
    # Which change of its step each is.
    places = [place for part in _split(counts, steps) for place in range(len(part))]
    for number, (place, where, n) in enumerate(zip(places, pixels, vector_counts, strict=True)):
        inside = len(where) == 0 or (where[0] >= 0 and where[-1] < np.prod(scene.shape))
        if not inside or (np.diff(where) <= 0).any():
            raise Damaged("pixels outside or out of order")
        new = dict(next(given) for _ in range(n))
        checked = {id_: None if v is None else scene.checked_vector(v) for id_, v in new.items()}
        sets = {name: parts[number] for name, parts in values.items()}
        scene.apply(scene.change(where, sets, checked), extend=place > 0)
    if len(scene.history.done) != len(steps) or not 0 <= head["undone"] <= len(steps):
        raise Damaged("steps that change nothing")
    for _ in range(head["undone"]):
        scene.undo()
    scene.history.is_open = False  # what follows is no part of the last step
    return scene


def _array(arrays: Mapping[str, np.ndarray], name: str, dtype: Any, axes: int) -> np.ndarray:
    if name not in arrays:
        raise Damaged(f"no {name}")
    array = arrays[name]
    if not isinstance(array, np.ndarray) or array.dtype != dtype or array.ndim != axes:
        raise Damaged(f"another kind of {name}")
    return array


def _joined(nothing: np.ndarray, parts: Sequence[np.ndarray]) -> np.ndarray:
    return np.concatenate([nothing, *parts])


def _split(joined: np.ndarray, lengths: np.ndarray) -> list[np.ndarray]:
    if (lengths < 0).any() or lengths.sum(dtype=np.int64) != len(joined):
        raise Damaged("lengths that do not add up")
    return np.split(joined, np.cumsum(lengths, dtype=np.int64))[:-1]


def _packed(
    kind: str, vectors: Sequence[tuple[int, np.ndarray | None]], feat_num: int
) -> dict[str, np.ndarray]:
    """Vectors as arrays: ids, whether there is one, and its values."""
    rows = [np.zeros(feat_num) if vector is None else vector for _, vector in vectors]
    return {
        f"{kind}_ids": np.array([id_ for id_, _ in vectors], np.int32),
        f"{kind}_there": np.array([vector is not None for _, vector in vectors], bool),
        f"{kind}_vectors": np.array(rows, np.float32).reshape(len(rows), feat_num),
    }


def _unpacked(
    arrays: Mapping[str, np.ndarray], kind: str, feat_num: int
) -> list[tuple[int, np.ndarray | None]]:
    ids = _array(arrays, f"{kind}_ids", np.int32, 1)
    there = _array(arrays, f"{kind}_there", bool, 1)
    rows = _array(arrays, f"{kind}_vectors", np.float32, 2)
    if rows.shape != (len(ids), feat_num):
        raise Damaged(f"{list(rows.shape)} values of {len(ids)} vectors of {feat_num}")
    marked = zip(ids.tolist(), there, rows, strict=True)
    return [(id_, row if has else None) for id_, has, row in marked]


def _save_ids(ids: np.ndarray, folder: Path, name: str) -> Path:
    fits = ids.min() >= 0 and ids.max() < 2**16
    path, other = folder / f"{name}.png", folder / f"{name}.tif"
    if not fits:
        path, other = other, path
    with replacing(path) as file:
        if fits:
            file.write(png_of(ids.astype(np.uint8 if ids.max() < 2**8 else np.uint16)))
        else:
            Image.fromarray(ids).save(file, "TIFF")
    other.unlink(missing_ok=True)  # of an earlier export
    return path
