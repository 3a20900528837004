"""Files of instance features and of their clusters: ours are `.npz`, the reference's `.npy`.

Ours hold one array for each label, named `features_<label>` or `centres_<label>`, and no pickles.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np

from models.clustering import ByLabel
from util.errors import UserError
from util.files import replacing
from util.legacy_npy import MAGIC, load_legacy_npy

FEATURES, CENTRES = "features", "centres"
REMEDY = "make the file again with encode_features.py"


def clusters_name(n_clusters: int) -> str:
    """The name of the file of clusters in a run's folder."""
    return f"features_clustered_{n_clusters:03d}.npz"


def existing_file(path: Path) -> Path:
    """`path`, or the same file in the other format where only that is there."""
    other = path.with_suffix({".npy": ".npz", ".npz": ".npy"}.get(path.suffix, path.suffix))
    return other if not path.is_file() and other.is_file() else path


def save_features(rows: ByLabel, path: Path) -> None:
    """Write features, label -> [n, feat_num + 1], atomically.

    Raises:
        UserError: the file cannot be written; an earlier one is as it was.
    """
    _save(FEATURES, rows, path)


def save_clusters(centres: ByLabel, path: Path) -> None:
    """Write cluster centres, label -> [k, feat_num], atomically; errors as `save_features`."""
    _save(CENTRES, centres, path)


def load_features(path: Path, feat_num: int, label_nc: int) -> ByLabel:
    """Read features, ours or the reference's: label -> float64 [n, feat_num + 1].

    Args:
        path: the file.
        feat_num: features that the networks were made for.
        label_nc: number of labels; 0: any label may be in the file.

    Raises:
        UserError: the file is missing, damaged or holds anything but such arrays; features or
            labels are others than those of the networks.
    """
    return _load(FEATURES, path, feat_num, label_nc)


def load_clusters(path: Path, feat_num: int, label_nc: int) -> ByLabel:
    """Read cluster centres, ours or the reference's: label -> float64 [k, feat_num], k > 0.

    Arguments and errors as those of `load_features`.
    """
    centres = _load(CENTRES, path, feat_num, label_nc)
    filled = {label: array for label, array in centres.items() if len(array)}
    if not filled:
        raise UserError(f"{path}: holds no cluster of any label; {REMEDY}")
    return filled


def _save(kind: str, arrays: ByLabel, path: Path) -> None:
    named: dict[str, Any] = {f"{kind}_{label}": array for label, array in arrays.items()}
    with replacing(path, durable=True) as file:
        np.savez(file, **named)


def _load(kind: str, path: Path, feat_num: int, label_nc: int) -> ByLabel:
    if not path.is_file():
        raise UserError(f"{kind}: there is no file {path}; check the path, or {REMEDY}")
    arrays = load_legacy_npy(path) if _magic(path) == MAGIC else _read_npz(kind, path)
    columns = feat_num + 1 if kind == FEATURES else feat_num
    for label, array in arrays.items():
        if problem := _problem(kind, label, array, columns, feat_num, label_nc):
            raise UserError(f"{path}: {problem}")
    return {label: np.asarray(array, np.float64) for label, array in sorted(arrays.items())}


def _magic(path: Path) -> bytes:
    """The first bytes, which tell the two formats apart, and both from anything else."""
    try:
        with path.open("rb") as file:
            magic = file.read(len(MAGIC))
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); check the file") from error
    if magic != MAGIC and not magic.startswith(b"PK"):
        raise UserError(f"{path}: is neither .npz nor .npy; check the path, or {REMEDY}")
    return magic


def _read_npz(kind: str, path: Path) -> dict[int, np.ndarray]:
    """The arrays by label; those of pickled objects are refused."""
    try:
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    # Names, headers and compressed data come from the file, so anything can go wrong here.
    except Exception as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
        if "allow_pickle" in reason:
            reason = "it holds pickled objects, none of which was executed"
        raise UserError(
            f"{path}: cannot be read ({reason}); the file is damaged, take an intact copy, or "
            f"{REMEDY}"
        ) from error
    by_label = {}
    for name, array in arrays.items():
        if not (match := re.fullmatch(rf"{kind}_(-?\d{{1,10}})", name)):
            raise UserError(
                f"{path}: holds an array {name[:40]!r}, expected {kind}_<label>; {REMEDY}, or "
                "give its other file"
            )
        by_label[int(match[1])] = array
    return by_label


def _problem(
    kind: str, label: Any, array: Any, columns: int, feat_num: int, label_nc: int
) -> str | None:
    """What is wrong with the array of a label, if anything."""
    if isinstance(label, bool) or not isinstance(label, int):
        return f"holds {kind} of {str(label)[:40]!r}, expected labels; {REMEDY}"
    if not isinstance(array, np.ndarray) or array.ndim != 2 or array.dtype.kind not in "fiu":
        return f"{kind} of label {label}: expected an array of numbers, a row each; {REMEDY}"
    if label_nc and not 0 <= label < label_nc:
        return (
            f"holds {kind} of label {label}, but --label_nc {label_nc} has labels 0 to "
            f"{label_nc - 1}; the file is of another data set, take that of this run, or {REMEDY}"
        )
    if array.shape[1] != columns:
        found, other = array.shape[1], CENTRES if kind == FEATURES else FEATURES
        made_for = found - 1 if kind == FEATURES else found
        return (
            f"{kind} of label {label}: {found} columns, expected {columns} (--feat_num "
            f"{feat_num}); it is of another run (--feat_num {made_for}), or a file of {other}: "
            f"check the path, or {REMEDY}"
        )
    if not np.isfinite(array).all():
        return f"{kind} of label {label}: not all are finite numbers; {REMEDY}"
    return None
